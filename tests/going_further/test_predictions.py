"""Networks that predict x̂_0 or v, on Gaussian data whose perfect answers are known, also where ᾱ_T = 0."""

import math

import pytest
import torch

from diffusion_utilities import (
    Clipped,
    Guided,
    ddim_step,
    ddpm_step,
    dpm_step,
    exact_denoiser,
    linear_schedule,
    sample,
    step_pairs,
)
from going_further.predictions import PredictsV, PredictsX0
from going_further.schedules import zero_terminal_snr

T = 60
PLAIN = linear_schedule(T, 1e-3, 0.15)
ZERO = zero_terminal_snr(PLAIN)
M, S = 0.3, 0.4
SHAPE = (40, 3, 16, 16)
STEPS = {
    "ddpm": (lambda schedule: ddpm_step(schedule), T),
    "ddim": (lambda schedule: ddim_step(0.0, schedule), 30),
    "ddim, eta 1": (lambda schedule: ddim_step(1.0, schedule), 30),
    "dpm": (lambda schedule: dpm_step(0.0, schedule), 30),
    "dpm, eta 1": (lambda schedule: dpm_step(1.0, schedule), 30),
}


def perfect_x0(schedule):
    """E[x_0 | x_t] for N(M, S²): linear regression of x_0 on x_t; at ᾱ = 0 it is M."""

    def model(x, t, c=None):
        ab = schedule.ab_t[round(float(t) * T)].double()
        return M + ab.sqrt() * S**2 / (ab * S**2 + 1 - ab) * (x.double() - ab.sqrt() * M)

    return model


def perfect_v(schedule):
    """√ᾱ E[ε | x_t] - √(1-ᾱ) E[x_0 | x_t], with E[ε | x_t] from the same regression, without dividing by √ᾱ."""

    def model(x, t, c=None):
        ab = schedule.ab_t[round(float(t) * T)].double()
        noise = (1 - ab).sqrt() * (x.double() - ab.sqrt() * M) / (ab * S**2 + 1 - ab)
        return ab.sqrt() * noise - (1 - ab).sqrt() * perfect_x0(schedule)(x, t)

    return model


def draw(model, name, schedule, **options):
    make, n = STEPS[name]
    return sample(
        make(schedule),
        step_pairs(n, T),
        SHAPE[0],
        model=model,
        schedule=schedule,
        seed=0,
        progress=False,
        **options,
    )


MODELS = {
    "x0": lambda schedule: PredictsX0(perfect_x0(schedule), schedule),
    "v": lambda schedule: PredictsV(perfect_v(schedule), schedule),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", MODELS)
def test_on_an_ordinary_schedule_all_draw_what_the_noise_predictor_draws(kind, name):
    expected, _ = draw(exact_denoiser(M, S, PLAIN), name, PLAIN)
    samples, _ = draw(MODELS[kind](PLAIN), name, PLAIN)
    torch.testing.assert_close(samples, expected, atol=2e-4, rtol=1e-4)


def ddim_spread(schedule, n, eta):
    """The spread at the end, by the recursion of the variance; from ᾱ_T = 0 only the noise that is kept counts."""
    variance, ab_t = 1.0, schedule.ab_t.double().tolist()
    for t, t_next in step_pairs(n, T):
        ab, ab_next = ab_t[t], ab_t[t_next]
        sigma = eta * math.sqrt((1 - ab_next) / (1 - ab) * (1 - ab / ab_next))
        d = ab * S**2 + 1 - ab
        kept = math.sqrt(ab_next * ab) * S**2 / d + math.sqrt(max(0, 1 - ab_next - sigma**2) * (1 - ab)) / d
        variance = kept**2 * variance + sigma**2
    return math.sqrt(variance)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", MODELS)
def test_from_nothing_of_the_picture_ddim_draws_as_the_recursion_says(kind, eta):
    options = {"model": MODELS[kind](ZERO), "schedule": ZERO, "seed": 0, "progress": False}
    samples, _ = sample(ddim_step(eta, ZERO), step_pairs(30, T), SHAPE[0], **options)
    assert samples.mean().item() == pytest.approx(M, abs=5 * S / math.sqrt(samples.numel()))
    assert samples.std().item() == pytest.approx(ddim_spread(ZERO, 30, eta), rel=5 / math.sqrt(2 * samples.numel()))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", MODELS)
def test_from_nothing_of_the_picture_the_data_come_back(kind, name):
    """The mean is exact from any start; the spread is nearly that of the data, for the steps are few and large."""
    samples, _ = draw(MODELS[kind](ZERO), name, ZERO)
    assert samples.mean().item() == pytest.approx(M, abs=5 * S / math.sqrt(samples.numel()))
    assert samples.std().item() == pytest.approx(S, rel=0.15)


def test_the_first_ddim_step_from_nothing_is_its_formula():
    """√ᾱ' x̂_0 + √(1-ᾱ') x_T, because at ᾱ_T = 0 the noise is x_T itself."""
    _, frames = draw(MODELS["v"](ZERO), "ddim", ZERO)
    ab = ZERO.ab_t[T - 2].double()
    expected = ab.sqrt() * M + (1 - ab).sqrt() * torch.from_numpy(frames[0]).double()
    torch.testing.assert_close(torch.from_numpy(frames[1]).double(), expected, atol=5e-6, rtol=1e-5)


def test_the_first_ddpm_step_from_nothing_is_its_formula():
    """√ᾱ_(T-1) x̂_0 and fresh noise of variance β_T = 1."""
    _, frames = draw(MODELS["x0"](ZERO), "ddpm", ZERO)
    generator = torch.Generator().manual_seed(0)
    torch.randn(SHAPE, generator=generator)  # x_T
    expected = ZERO.ab_t[T - 1].sqrt() * M + torch.randn(SHAPE, generator=generator)
    torch.testing.assert_close(torch.from_numpy(frames[1]), expected, atol=5e-6, rtol=1e-5)


def test_a_noise_predictor_is_refused_at_nothing_and_welcome_below():
    model = exact_denoiser(M, S, ZERO)
    with pytest.raises(ValueError, match="ends at ᾱ_T = 0"):
        draw(model, "ddim", ZERO)
    x = torch.zeros(SHAPE)
    options = {"model": model, "schedule": ZERO, "x": x, "progress": False}
    samples, _ = sample(ddim_step(0.0, ZERO), step_pairs(5, T, start=T - 1), SHAPE[0], **options)
    assert samples.isfinite().all()


@pytest.mark.parametrize("kind", MODELS)
def test_wrappers_around_them_work_from_nothing_too(kind):
    model, context = MODELS[kind](ZERO), torch.zeros(SHAPE[0], 5)
    plain, _ = draw(model, "ddim", ZERO)
    # it does not look at contexts
    guided, _ = draw(Guided(model, 2.0), "ddim", ZERO, context=context)
    torch.testing.assert_close(guided, plain, atol=1e-5, rtol=0)
    clipped, _ = draw(Guided(Clipped(model, ZERO), 1.5), "ddim", ZERO, context=context)
    inside = plain.abs() < 0.9
    assert inside.float().mean() > 0.8 and clipped.abs().max() <= 1 + 1e-5
    torch.testing.assert_close(clipped[inside], plain[inside], atol=1e-4, rtol=0)

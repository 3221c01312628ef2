"""Networks that predict x̂_0 or v, on Gaussian data whose perfect answers are known, also where ᾱ_T = 0."""

import math

import numpy as np
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
# name → the step, made for a schedule, its eta, and how many of them
STEPS = {
    "ddpm": (lambda schedule: ddpm_step(schedule), None, T),
    "ddim": (lambda schedule: ddim_step(0.0, schedule), 0.0, 30),
    "ddim, eta 0.5": (lambda schedule: ddim_step(0.5, schedule), 0.5, 30),
    "ddim, eta 1": (lambda schedule: ddim_step(1.0, schedule), 1.0, 30),
    "dpm": (lambda schedule: dpm_step(0.0, schedule), 0.0, 15),
    "dpm, eta 1": (lambda schedule: dpm_step(1.0, schedule), 1.0, 15),
    "dpm, eta inf": (lambda schedule: dpm_step(math.inf, schedule), math.inf, 15),
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
    make, _, n = STEPS[name]
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
def test_on_an_ordinary_schedule_all_go_the_way_of_the_noise_predictor(kind, name):
    _, expected = draw(exact_denoiser(M, S, PLAIN), name, PLAIN)
    _, frames = draw(MODELS[kind](PLAIN), name, PLAIN)
    np.testing.assert_allclose(frames, expected, atol=1e-4, rtol=0)


def ddpm(x, x0, noise, z, ab, ab_next):
    """The posterior's mean, and noise of variance β_t."""
    b = 1 - ab / ab_next
    mean = math.sqrt(ab_next) * b / (1 - ab) * x0
    return mean + math.sqrt(1 - b) * (1 - ab_next) / (1 - ab) * x + math.sqrt(b) * z


def ddim(x, x0, noise, z, ab, ab_next, eta):
    variance = eta**2 * (1 - ab_next) / (1 - ab) * (1 - ab / ab_next)
    direction = math.sqrt(max(0, 1 - ab_next - variance))  # below 0 by rounding alone
    return math.sqrt(ab_next) * x0 + direction * noise + math.sqrt(variance) * z


def dpm(x, x0, before, z, ab, ab_next, eta):
    """In q = e^-h, the root of a ratio of signal-to-noise ratios, 0 where ᾱ is; ``before`` is (q, x̂_0)."""
    if ab_next == 1:
        return x0
    q = math.sqrt(ab * (1 - ab_next) / (ab_next * (1 - ab)))
    kept, left = q**eta, q ** (1 + eta)
    d = x0
    if before is not None:
        q_before, x0_before = before
        rho = 1 / (1 - left) + (0 if math.isinf(eta) else 1 / ((1 + eta) * math.log(q)))
        d = x0 + rho * math.log(q) / math.log(q_before) * (x0 - x0_before)
    old = math.sqrt((1 - ab_next) / (1 - ab)) * kept
    fresh = math.sqrt((1 - ab_next) * (1 - kept**2))
    return old * x + math.sqrt(ab_next) * (1 - left) * d + fresh * z


def moments(name, schedule):
    """Mean and spread of what comes out, without drawing anything.

    All that is done to x is linear, so x is always a constant and so much of each of the independent
    noises, x_T among them. These shares are what is carried along.
    """
    _, eta, n = STEPS[name]
    ab_t, pairs = schedule.ab_t.double().tolist(), step_pairs(n, T)
    one, x, *zs = np.eye(2 + n)
    before = None
    for (t, t_next), z in zip(pairs, zs, strict=True):
        ab, ab_next, z = ab_t[t], ab_t[t_next], z * (t_next > 0)
        share = math.sqrt(ab) * S**2 / (ab * S**2 + 1 - ab)
        x0 = M * one + share * (x - math.sqrt(ab) * M * one)
        noise = (x - math.sqrt(ab) * x0) / math.sqrt(1 - ab)
        if name == "ddpm":
            x = ddpm(x, x0, noise, z, ab, ab_next)
        elif name.startswith("ddim"):
            x = ddim(x, x0, noise, z, ab, ab_next, eta)
        else:
            x = dpm(x, x0, before, z, ab, ab_next, eta)
            if t_next > 0:
                q = math.sqrt(ab * (1 - ab_next) / (ab_next * (1 - ab)))
                before = (q, x0) if q > 0 else None
    return x[0], np.linalg.norm(x[1:])


@pytest.mark.parametrize("schedule", [PLAIN, ZERO], ids=["ordinary", "ends at nothing"])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", MODELS)
def test_mean_and_spread_are_those_of_the_formulas(kind, name, schedule):
    samples, _ = draw(MODELS[kind](schedule), name, schedule)
    mean, spread = moments(name, schedule)
    assert samples.mean().item() == pytest.approx(mean, abs=5 * spread / math.sqrt(samples.numel()))
    assert samples.std().item() == pytest.approx(spread, rel=5 / math.sqrt(2 * samples.numel()))


@pytest.mark.parametrize("name", STEPS)
def test_from_nothing_of_the_picture_the_data_come_back(name):
    """The mean is exact from any start; the spread is nearly that of the data: steps are few and large.

    Not with all noise fresh: what differs in two guesses is then mostly noise, which the second
    order enlarges.
    """
    mean, spread = moments(name, ZERO)
    assert mean == pytest.approx(M, abs=1e-6)
    assert spread == pytest.approx(S, rel=0.15) or name == "dpm, eta inf"


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

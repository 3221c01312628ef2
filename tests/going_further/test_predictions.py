"""Networks that predict x̂_0, v or a velocity, on Gaussian data whose answers are known, also where ᾱ_T = 0."""

import math

import numpy as np
import pytest
import torch

from diffusion_utilities import (
    Clipped,
    ContextUnet,
    Guided,
    ddim_step,
    ddpm_step,
    dpm_step,
    exact_denoiser,
    linear_schedule,
    sample,
    step_pairs,
)
from going_further.diffusion import DenoiseDiffusion, gaussian_kl
from going_further.dit import DiT
from going_further.flows import heun_step, karras_pairs
from going_further.predictions import (
    OBJECTIVES,
    PredictsEDM,
    PredictsFlow,
    PredictsV,
    PredictsX0,
    answer_errors,
    draw_levels,
    loss_weights,
    time_of_flow,
)
from going_further.schedules import linear_zero, straight, zero_terminal_snr
from going_further.unet import UNet

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


def perfect_flow(schedule):
    """E[ε - x_0 | x_τ], from a regression on x_τ = (1-τ) x_0 + τ ε; no noise schedule comes into it."""

    def model(x, tau, c=None):
        x, tau = x.double(), torch.as_tensor(tau).double()
        variance = (1 - tau) ** 2 * S**2 + tau**2
        return (tau - (1 - tau) * S**2) / variance * (x - (1 - tau) * M) - M

    return model


def perfect_edm(schedule):
    """E[F target | what F is shown], from sums: x_0 and ε given x_t by regression, then mixed as EDM mixes them."""

    def model(x_in, t, c=None):
        ab = schedule.ab_t[round(float(t) * T)].double()
        x = (ab / 4 + 1 - ab).sqrt() * x_in.double()  # σ_d = 1/2
        x0 = perfect_x0(schedule)(x, t)
        noise = (1 - ab).sqrt() * (x - ab.sqrt() * M) / (ab * S**2 + 1 - ab)
        return (2 * (1 - ab).sqrt() * x0 - ab.sqrt() / 2 * noise) / (ab / 4 + 1 - ab).sqrt()

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
    "flow": lambda schedule: PredictsFlow(perfect_flow(schedule), schedule),
    "edm": lambda schedule: PredictsEDM(perfect_edm(schedule), schedule),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", MODELS)
def test_on_an_ordinary_schedule_all_go_the_way_of_the_noise_predictor(kind, name):
    _, expected = draw(exact_denoiser(M, S, PLAIN), name, PLAIN)
    _, frames = draw(MODELS[kind](PLAIN), name, PLAIN)
    np.testing.assert_allclose(frames, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("is_straight", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_heun_goes_the_same_way_with_all(kind, is_straight):
    def walk(model, schedule, n, straight):
        step = heun_step(model, None, schedule, straight)
        how = {"model": model, "schedule": schedule, "seed": 0, "progress": False}
        return sample(step, step_pairs(n, T), SHAPE[0], **how)[0]

    expected = walk(exact_denoiser(M, S, PLAIN), PLAIN, 15, is_straight)
    torch.testing.assert_close(walk(MODELS[kind](PLAIN), PLAIN, 15, is_straight), expected, atol=1e-4, rtol=0)
    x = walk(MODELS[kind](ZERO), ZERO, 30, True)  # also from where nothing is left of the picture
    assert x.mean().item() == pytest.approx(M, abs=5 * S / math.sqrt(x.numel()))
    assert x.std().item() == pytest.approx(S, rel=0.03)


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


PERFECT = {"noise": exact_denoiser, "x0": perfect_x0, "v": perfect_v, "flow": perfect_flow, "edm": perfect_edm}


def perfect(name, schedule):
    return exact_denoiser(M, S, schedule) if name == "noise" else PERFECT[name](schedule)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_answer_has_a_smaller_loss_than_the_perfect_one(name):
    """So the target, what the network is shown and what it is told belong together."""
    generator = torch.Generator().manual_seed(0)
    x0 = M + S * torch.randn(20_000, 1, 1, 1, generator=generator)
    noise, t = torch.randn(x0.shape, generator=generator), torch.randint(1, T + 1, (len(x0),), generator=generator)
    model = perfect(name, PLAIN)

    def one_by_one(x, level, c):  # the perfect ones take one level at a time
        levels, answer = level.flatten(), torch.empty_like(x)
        for value in levels.unique():
            answer[levels == value] = model(x[levels == value], value).to(x)
        return answer

    def loss(factor, shift):
        def network(x, t, c):
            return factor * one_by_one(x, t, c) + shift

        diffusion = DenoiseDiffusion(network, T, schedule=PLAIN, objective=name)
        return diffusion.loss(x0, t=t, noise=noise).item()

    best = loss(1.0, 0.0)
    for factor, shift in ((0.9, 0.0), (1.1, 0.0), (1.0, 0.1), (1.0, -0.1)):
        assert loss(factor, shift) > best


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_target_is_what_leads_back_to_the_noise(name):
    x0, noise, t = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4), torch.tensor([1, 7, 20, 45, T])
    objective = OBJECTIVES[name](lambda x, t, c: objective.target(x0, noise, levels), PLAIN)
    levels = t
    xt = PLAIN.ab_t[t].sqrt()[:, None, None, None] * x0 + (1 - PLAIN.ab_t[t]).sqrt()[:, None, None, None] * noise
    torch.testing.assert_close(objective(xt, t / T).float(), noise, atol=2e-4, rtol=1e-4)


def test_the_flow_is_asked_about_the_straight_way():
    x0, noise, t = torch.randn(3, 3, 4, 4), torch.randn(3, 3, 4, 4), torch.tensor([1, 30, T])
    asked = []

    def network(x, tau, c):
        asked.append((x, tau))
        return torch.zeros_like(x)

    DenoiseDiffusion(network, T, schedule=PLAIN, objective="flow").loss(x0, t=t, noise=noise)
    x, tau = asked[0]
    assert tau.shape == (3,) and ((tau > 0) & (tau < 1)).all()
    straight_way = (1 - tau)[:, None, None, None] * x0 + tau[:, None, None, None] * noise
    torch.testing.assert_close(x, straight_way, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sigma_data", [0.5, 0.8])
def test_edm_is_preconditioned_as_in_diffusers(sigma_data):
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.EDMEulerScheduler(sigma_data=sigma_data)
    ours = PredictsEDM(lambda x, t, c: torch.sin(3 * x), PLAIN, sigma_data)
    x_t = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    for t in (1, 20, T):
        ab = PLAIN.ab_t[t].double()
        y, sigma = x_t / ab.sqrt(), ((1 - ab) / ab).sqrt()
        answer = torch.sin(3 * theirs.precondition_inputs(y, sigma))
        x0 = theirs.precondition_outputs(y, answer, sigma)
        torch.testing.assert_close(ours(x_t, t / T), (y - x0) / sigma, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("to_zero", [False, True], ids=["linear", "ends at nothing"])
def test_steps_with_v_are_those_of_diffusers(to_zero):
    diffusers = pytest.importorskip("diffusers")
    schedule, n = (linear_zero if to_zero else linear_schedule)(500), 10
    theirs = diffusers.DDIMScheduler(
        num_train_timesteps=500,
        beta_start=1e-4,
        beta_end=0.02,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=to_zero,
        timestep_spacing="trailing",
    )
    theirs.set_timesteps(n)
    torch.testing.assert_close(theirs.alphas_cumprod, schedule.ab_t[1:], atol=1e-5, rtol=1e-4)
    start = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    x = start
    for level in theirs.timesteps:  # they count from 0
        x = theirs.step(torch.sin(2 * x) + (level + 1) / 500, level, x).prev_sample
    model = PredictsV(lambda x, t, c: torch.sin(2 * x) + t, schedule)
    how = {"schedule": schedule, "x": start, "progress": False, "save_rate": None}
    found, _ = sample(ddim_step(0.0, schedule), step_pairs(n), 4, model=model, **how)
    torch.testing.assert_close(found, x, atol=2e-4, rtol=1e-3)


def test_steps_with_edm_are_those_of_diffusers():
    """From the same network F, on the same levels; theirs is y = x_t / √ᾱ."""
    diffusers = pytest.importorskip("diffusers")
    schedule, n = linear_schedule(), 8
    theirs, pairs = diffusers.EDMEulerScheduler(sigma_data=0.5), karras_pairs(n, schedule)
    theirs.set_timesteps(n)
    ab_t = schedule.ab_t[[t for t, _ in pairs]]
    theirs.sigmas = torch.cat([((1 - ab_t) / ab_t).sqrt(), torch.zeros(1)])
    start = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    y = start / ab_t[0].sqrt()
    for timestep in theirs.timesteps:
        y = theirs.step(torch.sin(2 * theirs.scale_model_input(y, timestep)), timestep, y).prev_sample
    model = PredictsEDM(lambda x, t, c: torch.sin(2 * x), schedule)
    how = {"schedule": schedule, "x": start, "progress": False, "save_rate": None}
    found, _ = sample(ddim_step(0.0, schedule), pairs, 4, model=model, **how)
    torch.testing.assert_close(found, y, atol=2e-4, rtol=1e-3)


def test_edm_with_a_spread_of_one_is_v():
    x0, noise, t = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4), torch.tensor([1, 7, 20, 45, T])
    edm, v = PredictsEDM(lambda x, t, c: -torch.cos(x), PLAIN, 1.0), PredictsV(lambda x, t, c: torch.cos(x), PLAIN)
    torch.testing.assert_close(edm.target(x0, noise, t), -v.target(x0, noise, t), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(edm(x0, t / T), v(x0, t / T), atol=1e-5, rtol=1e-5)


def test_what_edm_shows_and_asks_for_has_variance_one():
    x0, noise = 0.5 * torch.randn(50_000, 1, 1, 1), torch.randn(50_000, 1, 1, 1)
    shown = []
    edm = PredictsEDM(lambda x, t, c: shown.append(x) or x, PLAIN)
    for t in (1, 15, 40, T):
        ab = PLAIN.ab_t[t]
        edm.answer(ab.sqrt() * x0 + (1 - ab).sqrt() * noise, t / T)
        assert shown[-1].var().item() == pytest.approx(1, abs=0.03)
        assert edm.target(x0, noise, t).var().item() == pytest.approx(1, abs=0.03)


def test_edm_wants_a_spread_above_nothing():
    with pytest.raises(ValueError, match="expected sigma_data from 0.001 to inf, got 0"):
        PredictsEDM(lambda x, t, c: x, PLAIN, 0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_run_of_the_kit_has_the_loss_of_the_denoiser(name):
    """``answer_errors`` weighted, over all pictures, is ``DenoiseDiffusion.loss``."""
    x0, noise, t = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4), torch.tensor([1, 7, 20, 30, 45, T])
    diffusion = DenoiseDiffusion(lambda x, t, c: torch.sin(x), T, schedule=PLAIN, objective=name, loss_weight="min-snr")
    x_t, _ = diffusion.forward_sample(x0, t, noise)
    errors = answer_errors(diffusion.weights)(diffusion.model, x_t, t, None, x0, noise, PLAIN)
    assert errors.shape == (6,)
    assert errors.mean().item() == pytest.approx(diffusion.loss(x0, t=t, noise=noise).item(), rel=1e-5)


def test_on_the_straight_schedule_the_time_is_the_level():
    schedule = straight(T)
    torch.testing.assert_close(
        time_of_flow(schedule.ab_t.double()), torch.arange(T + 1).double() / T, atol=2e-4, rtol=0
    )
    assert schedule.ends_at_zero


def test_an_euler_step_of_the_flow_is_a_step_of_ddim():
    """One network, read both ways: as a flow on the straight way, and as diffusion by the module's loop."""
    schedule, n = straight(500), 10

    def network(x, tau, c=None):
        return torch.tanh(x) * (1 + torch.as_tensor(tau).to(x)) - 0.3

    start = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    x = start.double()
    for i in range(n, 0, -1):  # dx/dτ = u, from τ = 1 to 0
        x = x - network(x, torch.tensor(i / n)) / n
    model = PredictsFlow(network, schedule)
    how = {"model": model, "schedule": schedule, "x": start, "progress": False, "save_rate": None}
    found, _ = sample(ddim_step(0.0, schedule), step_pairs(n), 6, **how)
    torch.testing.assert_close(found.double(), x, atol=1e-4, rtol=1e-4)


def test_euler_steps_of_the_flow_are_those_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    schedule, n = straight(500), 10
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=500)
    theirs.set_timesteps(sigmas=[i / n for i in range(n, 0, -1)])
    start = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))

    def network(x, tau, c=None):
        return torch.sin(2 * x) + torch.as_tensor(tau).to(x)

    x = start
    for timestep in theirs.timesteps:
        x = theirs.step(network(x, timestep / 500), timestep, x).prev_sample
    how = {"schedule": schedule, "x": start, "progress": False, "save_rate": None}
    found, _ = sample(ddim_step(0.0, schedule), step_pairs(n), 4, model=PredictsFlow(network, schedule), **how)
    torch.testing.assert_close(found, x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("kind", ["simple", "min-snr", "bound"])
def test_a_weight_means_the_same_whatever_is_answered(kind, name):
    """The same wrong x̂_0, said in five ways, costs the same, up to one factor for the bound."""
    x0, noise, wrong = (torch.randn(T - 1, 1, 4, 4).double() for _ in range(3))
    t = torch.arange(2, T + 1)
    ab = PLAIN.ab_t.double()[t][:, None, None, None]
    xt = ab.sqrt() * x0 + (1 - ab).sqrt() * noise
    implied = (xt - ab.sqrt() * wrong) / (1 - ab).sqrt()  # the noise of who believes in the wrong picture

    def costs(name):
        objective = OBJECTIVES[name](lambda x, t, c: x, PLAIN)
        error = (objective.target(wrong, implied, t) - objective.target(x0, noise, t)) ** 2
        return loss_weights(kind, objective)[t].double() * error.mean(dim=(1, 2, 3))

    found, expected = costs(name), costs("x0")
    if kind == "bound":
        found, expected = found / found.sum(), expected / expected.sum()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-9)


def test_simple_is_the_noise_alike_and_min_snr_at_most_five():
    noise, x0 = (OBJECTIVES[name](lambda x, t, c: x, PLAIN) for name in ("noise", "x0"))
    snr = PLAIN.ab_t[1:] / (1 - PLAIN.ab_t[1:])
    assert loss_weights("simple", noise).tolist() == [0.0] + [1.0] * T
    torch.testing.assert_close(loss_weights("min-snr", x0)[1:], snr.clamp(max=5), rtol=2e-4, atol=0)
    assert loss_weights("own", x0).tolist() == [0.0] + [1.0] * T


def test_the_bound_weighs_as_the_divergence_does():
    """Beside the KL divergence of the two steps back, which is reckoned without any SNR."""
    diffusion = DenoiseDiffusion(lambda x, t, c: x, T, schedule=PLAIN)
    x0, wrong, xt = (torch.randn(1, 1, 1, 1) for _ in range(3))
    kl = []
    for t in range(2, T + 1):
        mean, variance = diffusion.posterior(x0, xt, t)
        kl.append(gaussian_kl(mean, variance, diffusion.posterior(wrong, xt, t)[0], variance).item())
    weights = loss_weights("bound", OBJECTIVES["x0"](lambda x, t, c: x, PLAIN))[2:].double()
    kl = torch.tensor(kl).double()
    torch.testing.assert_close(weights / weights.sum(), kl / kl.sum(), rtol=5e-3, atol=1e-6)
    noise = loss_weights("bound", OBJECTIVES["noise"](lambda x, t, c: x, PLAIN))
    assert noise[1:].mean().item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("name", ["x0", "v", "flow", "edm"])
@pytest.mark.parametrize("kind", ["own", "simple", "min-snr", "bound"])
def test_weights_are_finite_where_nothing_is_left(kind, name):
    weights = loss_weights(kind, OBJECTIVES[name](lambda x, t, c: x, ZERO))
    assert weights.isfinite().all() and (weights >= 0).all()


def test_levels_are_drawn_from_one_to_the_last():
    generator = torch.Generator().manual_seed(0)
    for kind in ("uniform", "middle"):
        t = draw_levels(kind, 50_000, 10, generator)
        assert t.dtype == torch.int64 and set(t.tolist()) == set(range(1, 11))
    middle = draw_levels("middle", 50_000, 500, generator)
    assert (middle > 250).float().mean().item() == pytest.approx(0.5, abs=0.01)
    # sigmoid(1) = 0.731, and a normal number is below 1 in 84.1 of 100 cases
    assert (middle <= 0.731 * 500).float().mean().item() == pytest.approx(0.841, abs=0.01)


def test_words_that_are_not_known():
    model = OBJECTIVES["x0"](lambda x, t, c: x, PLAIN)
    with pytest.raises(ValueError, match="expected a weight out of own, simple, min-snr, bound, got 'snr'"):
        loss_weights("snr", model)
    with pytest.raises(ValueError, match="expected levels out of uniform, middle, got 'high'"):
        draw_levels("high", 3, 10)
    with pytest.raises(ValueError, match="expected an objective out of noise, x0, v, flow, edm, got 'eps'"):
        DenoiseDiffusion(model, objective="eps")


NETWORKS = {
    "ContextUnet": lambda: ContextUnet(3, 8, 5, 16),
    "UNet": lambda: UNet(3, 3, dim=8, dim_mults=(1, 2), attns=(False, True), n_blocks=1, groups=4, n_classes=5),
    "DiT": lambda: DiT(3, 3, dim=16, depth=1, heads=2, n_classes=5),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_may_answer_with_each_and_every_sampler_takes_it(name, objective):
    """Trained a step, then asked with contexts, guided; what it is and its mode stay."""
    torch.manual_seed(0)
    schedule = PLAIN if objective == "noise" else ZERO
    diffusion = DenoiseDiffusion(NETWORKS[name]().train(), T, schedule=schedule, objective=objective)
    x, context = torch.rand(5, 3, 16, 16) * 2 - 1, torch.eye(5)
    for p in diffusion.net.parameters():  # some start as 0, and all samplers agree about nothing
        p.data += 0.05 * torch.randn_like(p)
    diffusion.loss(x, context).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in diffusion.net.parameters())
    model, seen = Guided(diffusion.model, 2.0), []
    assert (model.in_channels, model.height, model.n_cfeat) == (3, 16, 5)
    for step, n in (
        (ddpm_step(schedule), T),
        (ddim_step(0.5, schedule), 3),
        (dpm_step(0.0, schedule), 3),
        (heun_step(model, context, schedule, straight=True), 3),
    ):
        how = {"model": model, "schedule": schedule, "context": context, "seed": 0, "progress": False}
        samples, _ = sample(step, step_pairs(n, T), 5, **how)
        assert samples.isfinite().all() and samples.shape == (5, 3, 16, 16) and diffusion.net.training
        seen.append(samples)
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(seen, seen[1:], strict=False))

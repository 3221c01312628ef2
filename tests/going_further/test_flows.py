"""Heun's step, EDM's levels and reflow, in closed form and beside diffusers."""

import math

import pytest
import torch

from diffusion_utilities import ContextUnet, ddim_step, exact_denoiser, linear_schedule, sample, step_pairs
from going_further.flows import (
    bend,
    coupled,
    coupled_batches,
    coupled_perturb,
    euler_step,
    heun_step,
    karras_pairs,
    reflow_pairs,
    ways,
)
from going_further.predictions import PredictsFlow, PredictsV, answer_errors, loss_weights
from going_further.schedules import cosine, linear_zero, straight
from support.training import Recipe, Run, noise_errors

SCHEDULE = linear_schedule()
M, S = 0.3, 0.4
START = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def network(x, t, c=None):
    shift = 0 if c is None else c.sum(dim=1)[:, None, None, None]
    return torch.tanh(x) * (0.5 + torch.as_tensor(t).to(x)) - 0.3 + shift


def walk(step, pairs, model=network, schedule=SCHEDULE, x=START, **options):
    how = {"model": model, "schedule": schedule, "x": x, "progress": False, "save_rate": None}
    return sample(step, pairs, len(x), **(how | options))[0]


# ------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize("n", [1, 2, 5, 10, 25, 60, 200, 499, 500])
@pytest.mark.parametrize("schedule", [SCHEDULE, cosine()], ids=["linear", "cosine"])
def test_levels_fall_from_the_last_to_nothing(n, schedule):
    pairs = karras_pairs(n, schedule)
    assert len(pairs) == n and pairs[0][0] == 500 and pairs[-1][1] == 0
    assert all(t > t_next for t, t_next in pairs)
    assert all(before[1] == after[0] for before, after in zip(pairs, pairs[1:], strict=False))
    assert n == 1 or pairs[-1][0] == 1


@pytest.mark.parametrize("n", [5, 10])
def test_levels_are_those_of_diffusers(n):
    """Our integers beside diffusers' fractions of levels: no further apart than a half, and where σ is small, one."""
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.EulerDiscreteScheduler(
        num_train_timesteps=500, beta_start=1e-4, beta_end=0.02, use_karras_sigmas=True
    )
    theirs.set_timesteps(n)
    for (t, _), timestep in zip(karras_pairs(n), theirs.timesteps.tolist(), strict=True):
        assert abs(t - 1 - timestep) <= 0.51


def test_rho_of_one_spreads_sigma_evenly():
    sigma = ((1 - SCHEDULE.ab_t) / SCHEDULE.ab_t).sqrt()
    steps = [(sigma[t] - sigma[t_next]).item() for t, t_next in karras_pairs(6, rho=1)][:-1]
    assert max(steps) - min(steps) < 0.15
    high = sum(t > 250 for t, _ in karras_pairs(20))
    assert high < sum(t > 250 for t, _ in step_pairs(20)) < sum(t > 250 for t, _ in karras_pairs(20, rho=1))


def test_levels_that_cannot_be():
    with pytest.raises(ValueError, match="σ is infinite"):
        karras_pairs(5, straight(500))
    with pytest.raises(ValueError, match="expected rho from 1 to inf, got 0.5"):
        karras_pairs(5, rho=0.5)
    with pytest.raises(ValueError, match="number of steps n"):
        karras_pairs(501)


# --------------------------------------------------------------------------------------------- Heun


def test_heun_is_that_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    n = 6
    theirs = diffusers.HeunDiscreteScheduler(
        num_train_timesteps=500, beta_start=1e-4, beta_end=0.02, timestep_spacing="trailing"
    )
    theirs.set_timesteps(n)
    levels = [round(t) + 1 for t in theirs.timesteps.tolist()]  # each but the first twice; they count from 0
    pairs = list(zip([levels[0], *levels[1::2]], [*levels[1::2], 0], strict=True))
    x = START.double() * theirs.init_noise_sigma
    for timestep in theirs.timesteps:
        scaled = theirs.scale_model_input(x, timestep)
        x = theirs.step(network(scaled, (timestep + 1) / 500), timestep, x).prev_sample
    ab_t = SCHEDULE.ab_t[500]
    start = (START.double() * theirs.init_noise_sigma * ab_t.sqrt()).float()
    torch.testing.assert_close(walk(heun_step(network), pairs, x=start), x.float(), atol=2e-4, rtol=1e-3)


def test_both_kinds_of_heun_by_hand():
    """y = x_t / √ᾱ with dy/dσ = ε, and x_τ = (1-τ) x_0 + τ ε with dx/dτ = ε - x_0."""
    t, t_next, x = 400, 250, START.double()
    ab, ab_next = SCHEDULE.ab_t.double()[t], SCHEDULE.ab_t.double()[t_next]
    sigma, sigma_next = ((1 - ab) / ab).sqrt(), ((1 - ab_next) / ab_next).sqrt()
    y, first = x / ab.sqrt(), network(x, t / 500)
    y_euler = y + (sigma_next - sigma) * first
    second = network(y_euler * ab_next.sqrt(), t_next / 500)
    expected = (y + (sigma_next - sigma) * (first + second) / 2) * ab_next.sqrt()
    found = heun_step(network)(x, t, t_next, first, torch.zeros_like(x))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)

    size, size_next = ab.sqrt() + (1 - ab).sqrt(), ab_next.sqrt() + (1 - ab_next).sqrt()
    tau, tau_next = (1 - ab).sqrt() / size, (1 - ab_next).sqrt() / size_next
    u = first - (x - (1 - ab).sqrt() * first) / ab.sqrt()
    euler = (x / size + (tau_next - tau) * u) * size_next
    second = network(euler, t_next / 500)
    u_next = second - (euler - (1 - ab_next).sqrt() * second) / ab_next.sqrt()
    expected = (x / size + (tau_next - tau) * (u + u_next) / 2) * size_next
    found = heun_step(network, straight=True)(x, t, t_next, first, torch.zeros_like(x))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("is_straight", [False, True])
def test_heun_is_of_second_order(is_straight):
    """Half the step, a quarter of the error, where DDIM's is halved: a walk in the middle, with the exact denoiser."""
    model = exact_denoiser(M, S)
    options = {"model": model, "x": START}

    def far(step, n):
        pairs = [(t + 100, t_next + 100) for t, t_next in step_pairs(n, 300)]
        return walk(step, pairs, **options)

    truth = far(heun_step(model, straight=is_straight), 300)
    errors = [(far(heun_step(model, straight=is_straight), n) - truth).abs().max() for n in (5, 10, 20)]
    plain = [(far(ddim_step(), n) - truth).abs().max() for n in (5, 10, 20)]
    assert errors[0] / errors[2] > 10 and 2.5 < plain[0] / plain[2] < 6
    assert errors[1] < plain[1] / 3


def test_heun_asks_with_the_context_and_leaves_the_mode():
    context = torch.eye(5)[torch.arange(8) % 5]
    with_context = walk(heun_step(network, context), step_pairs(4), context=context)
    without = walk(heun_step(network), step_pairs(4), context=context)
    assert (with_context - without).abs().max() > 0.1  # the second question is half of the answer
    unet = ContextUnet(3, 16, 5, 16).train()
    walk(heun_step(unet), step_pairs(2), unet)
    assert unet.training and unet.init_conv.conv1[1].num_batches_tracked == 0


def test_heun_asks_a_network_that_is_being_trained_as_one_that_is_not():
    class Dropping(torch.nn.Module):
        def forward(self, x, t, c=None):
            return torch.nn.functional.dropout(network(x, t), 0.5, self.training)

    model = Dropping().train()
    pairs = step_pairs(4)
    torch.testing.assert_close(walk(heun_step(model), pairs, model), walk(heun_step(network), pairs))
    assert model.training


def test_heun_from_pure_noise():
    schedule = straight(500)
    model = PredictsFlow(network, schedule)
    x, n = START.double(), 5
    for i in range(n, 1, -1):
        u = network(x, i / n)
        x = x - (u + network(x - u / n, (i - 1) / n)) / 2 / n
    x = x - network(x, 1 / n) / n  # the last is Euler's
    found = walk(heun_step(model, None, schedule, straight=True), step_pairs(n), model, schedule)
    torch.testing.assert_close(found.double(), x, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="take straight=True"):
        walk(heun_step(model, None, schedule), step_pairs(n), model, schedule)


# ------------------------------------------------------------------------------------ the straight way


def test_ways_are_euler_steps_from_noise_to_picture():
    """To a single picture m every way is straight: (1-τ) m + τ ε, at each place of the walk."""
    found = ways(lambda x, tau: (x - M) / tau, START, 8)
    tau = torch.linspace(1, 0, 9).reshape(-1, 1, 1, 1, 1)
    torch.testing.assert_close(found, (1 - tau) * M + tau * START)


@pytest.mark.parametrize("schedule", [SCHEDULE, straight(500)], ids=["linear", "straight"])
def test_an_euler_step_is_a_step_of_ddim(schedule):
    for t, t_next in ((499, 300), (300, 20), (20, 0)):
        noise = torch.randn(START.shape, generator=torch.Generator().manual_seed(t))
        ab = schedule.ab_t[t].double()
        x0 = (START.double() - (1 - ab).sqrt() * noise) / ab.sqrt()
        found = euler_step(START.double(), t, t_next, noise - x0, schedule)
        expected = ddim_step(0.0, schedule)(START.double(), t, t_next, noise.double(), torch.zeros_like(START))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_way_to_a_single_picture_is_straight_and_others_are_bent():
    """All data at one point: the velocity (x - m) / τ is the same all the way. Two points: ways turn."""
    schedule = straight(500)

    def to_one(x, tau, c=None):
        return (x - M) / torch.as_tensor(tau).to(x)

    def to_two(x, tau, c=None):
        tau = torch.as_tensor(tau).to(x)
        x0 = torch.tanh((1 - tau) * x / tau**2)  # E[x_0 | x_τ] for x_0 = ±1
        return (x - x0) / tau

    assert bend(PredictsFlow(to_one, schedule), START, schedule=schedule) < 1e-6
    assert bend(PredictsFlow(to_two, schedule), START, schedule=schedule) > 0.01


def test_the_bend_of_data_that_are_normal():
    """N(0, s²): a way is x_τ = ε √((1-τ)² s² + τ²), whose speed is known; the mean over τ by a fine sum."""
    schedule = straight(500)

    def model(x, tau, c=None):
        tau = torch.as_tensor(tau).double()
        return ((tau - (1 - tau) * S**2) / ((1 - tau) ** 2 * S**2 + tau**2) * x.double()).to(x)

    tau = (torch.arange(20_000).double() + 0.5) / 20_000
    speed = (tau - (1 - tau) * S**2) / ((1 - tau) ** 2 * S**2 + tau**2).sqrt()
    expected = ((speed - (1 - S)) ** 2).mean() / (1 - S) ** 2
    assert bend(PredictsFlow(model, schedule), START, n=250, schedule=schedule) == pytest.approx(
        expected.item(), rel=0.03
    )


def test_pairs_are_a_noise_and_what_it_becomes():
    model = PredictsV(network, linear_zero(500))
    model.in_channels, model.height = 3, 16
    noise, x = reflow_pairs(4, model=model, schedule=linear_zero(500), n=7, seed=3)
    assert noise.shape == x.shape == (4, 3, 16, 16)
    expected = walk(ddim_step(0.0, linear_zero(500)), step_pairs(7), model, linear_zero(500), noise)
    torch.testing.assert_close(x, expected)


def test_a_pair_stays_together():
    pairs = torch.arange(12.0)[:, None, None, None] + torch.zeros(12, 6, 4, 4)
    pairs = pairs + torch.linspace(0, 0.3, 4)  # left is not right
    pairs[:, 3:] += 100
    batches = coupled_batches(pairs, torch.arange(12)[:, None], 5, torch.Generator().manual_seed(0))
    turned = 0
    for _ in range(8):
        x, c = next(batches)
        assert len(x) == 5
        torch.testing.assert_close(x[:, 3:] - x[:, :3], torch.full((5, 3, 4, 4), 100.0))
        assert (x[:, 0, 0].floor().min(dim=1).values == c[:, 0]).all()
        turned += (x[:, 0, 0, 0] > x[:, 0, 0, 3]).sum().item()
    assert 8 < turned < 32


def test_a_run_on_pairs_uses_their_noise():
    x, own, fresh = (torch.randn(5, 3, 4, 4) for _ in range(3))
    pair, t = torch.cat([x, own], dim=1), torch.tensor([1, 50, 200, 400, 500])
    x_t = coupled_perturb(pair, t, torch.cat([fresh, fresh], dim=1), SCHEDULE)
    ab = SCHEDULE.ab_t[t][:, None, None, None]
    torch.testing.assert_close(x_t, ab.sqrt() * x + (1 - ab).sqrt() * own)
    errors = coupled(noise_errors)(lambda *_: own, x_t, t, None, pair, pair, SCHEDULE)
    assert errors.abs().max() == 0


def test_reflow_makes_the_ways_straighter(tmp_path):
    """One number in place of a picture: a flow to ±1 is trained again on its own pairs, and bends less."""
    schedule = straight(500)

    class Net(torch.nn.Module):
        in_channels, height, n_cfeat = 1, 1, 1

        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(2, 64),
                torch.nn.SiLU(),
                torch.nn.Linear(64, 64),
                torch.nn.SiLU(),
                torch.nn.Linear(64, 1),
            )

        def forward(self, x, t, c=None):
            t = torch.as_tensor(t).expand(len(x)).to(x)
            return self.layers(torch.stack([x.flatten(), t], dim=1)).reshape(x.shape)

    class Adam:
        def __init__(self, model):
            self.inner = torch.optim.Adam(model.parameters(), lr=4e-3)

        def step(self, factor):
            self.inner.param_groups[0]["lr"] = 4e-3 * factor
            self.inner.step()
            self.inner.zero_grad()

        def state_dict(self):
            return self.inner.state_dict()

    def exact(x, tau, c=None):
        tau = torch.as_tensor(tau).to(x)
        return (x - torch.tanh((1 - tau) * x / tau**2)) / tau

    teacher = PredictsFlow(exact, schedule)
    teacher.in_channels = teacher.height = 1
    noise, x = reflow_pairs(4096, model=teacher, schedule=schedule, n=100)
    torch.manual_seed(0)
    student = PredictsFlow(Net(), schedule)
    errors = coupled(answer_errors(loss_weights("own", student)))
    pairs, labels = torch.cat([x, noise], dim=1), torch.zeros(4096, 1)
    ways = {"errors": errors, "perturb": coupled_perturb, "batches": coupled_batches, "schedule": schedule}
    run = Run(
        Recipe(epochs=30, batch_size=256), student, Adam(student), pairs, labels, tmp_path / "x.checkpoint", **ways
    )
    run.finish()
    start = torch.randn(2000, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    before = bend(teacher, start, schedule=schedule)
    after = bend(run.ema, start, schedule=schedule)
    assert after < before / 3, (before, after)
    one_step = walk(ddim_step(0.0, schedule), step_pairs(1), run.ema, schedule, start)
    assert ((one_step.abs() - 1).abs() < 0.3).float().mean() > 0.8  # a single step of the teacher gives 0 for all
    assert math.isfinite(after)

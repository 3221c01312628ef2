"""The checks of flows.ipynb: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

As in the labs: the mistakes are written out, one line each. Do the exercises before you read it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from exercise_tools.judging import difference
from exercise_tools.kit import Lab, call, compare, fail
from L4_FastSampling.checks import between, pictures, whole

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours


def _column(tau: Tensor, x: Tensor) -> Tensor:
    """(n,) → (n, 1, …), to be multiplied with x."""
    return tau.reshape(-1, *[1] * (x.ndim - 1))


# ------------------------------------------------------------------------------------- 8.1 flow_loss


def flow_loss(velocity: Callable, x0: Tensor, noise: Tensor, tau: Tensor) -> Tensor:
    """Mean |u_θ(x_τ, τ) - (ε - x_0)|² at places x_τ = (1-τ) x_0 + τ ε; tau (n,), all else (n, …)."""
    x, _ = _straight_way(x0, noise, tau)
    return (velocity(x, tau) - (noise - x0)).square().mean()


def _straight_way(x0: Tensor, noise: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    share = _column(tau, x0)
    return (1 - share) * x0 + share * noise, noise - x0


class _Asked:
    """A velocity that keeps what it was asked, and can be trained."""

    def __init__(self) -> None:
        self.weight, self.asked = torch.tensor(0.4, requires_grad=True), []

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        self.asked.append((x, tau))
        return self.weight * x + (0.5 + torch.as_tensor(tau).to(x)).reshape(-1, *[1] * (x.ndim - 1))


PLACE_MISTAKES = {
    "clean end at 1": (
        lambda x0, e, s: s * x0 + (1 - s) * e,
        "There τ = 1 is the picture. Here τ = 0 is, and τ = 1 the noise.",
    ),
    "diffusion's way": (
        lambda x0, e, s: (1 - s).sqrt() * x0 + s.sqrt() * e,
        "These are the roots of diffusion. The straight way has (1-τ) x_0 + τ ε, without roots.",
    ),
    "a quarter circle": (
        lambda x0, e, s: (1 - s * s).sqrt() * x0 + s * e,
        "The squares of the two shares need not add up to 1 here: the picture counts 1-τ.",
    ),
    "noise only added": (
        lambda x0, e, s: x0 + s * e,
        "The picture fades as the noise comes: it counts 1-τ.",
    ),
    "the clean picture": (lambda x0, e, s: x0 + 0 * s, "The network is shown the clean picture, and should see x_τ."),
    "the noise": (lambda x0, e, s: e + 0 * s, "The network is shown the noise alone, and should see x_τ."),
}
TARGET_MISTAKES = {
    "wrong sign": (
        lambda x0, e, x: x0 - e,
        "The target points from noise to picture. As τ grows, x goes from x_0 to ε.",
    ),
    "predicts the noise": (lambda x0, e, x: e, "The target is ε, as in the labs. Here it is the velocity, dx_τ/dτ."),
    "predicts the picture": (lambda x0, e, x: x0, "The target is x_0. It should be the velocity, dx_τ/dτ."),
    "from the place": (
        lambda x0, e, x: e - x,
        "The target is what is left of the way, ε - x_τ. The velocity is ε - x_0.",
    ),
    "to the place": (
        lambda x0, e, x: x - x0,
        "The target is what is done of the way, x_τ - x_0. The velocity is ε - x_0.",
    ),
    "not squared": (None, "This is the mean absolute error: square it."),
    "a sum": (None, "This is the sum of all squares: take their mean."),
}


@LAB.exercise("8.1", "The loss of flow matching", stars=2, minutes=10)
def check_flow_loss(my_flow_loss: Callable) -> str:
    """my_flow_loss(velocity, x0, noise, tau) → one number; velocity(x, tau), tau (n,) from 0 to 1."""
    velocity, (x0, noise) = _Asked(), pictures(2)
    tau = 0.15 + 0.7 * torch.rand(len(x0))
    loss = call(my_flow_loss, velocity, x0, noise, tau)
    if len(velocity.asked) != 1:
        fail("not asked once", f"velocity was asked {len(velocity.asked)} times. It should be once, for all of x0.")
    x, told = velocity.asked[0]
    expected, target = _straight_way(x0, noise, tau)
    if problem := difference(x, expected, name="what the network sees"):
        for name, (place, sentence) in PLACE_MISTAKES.items():
            if difference(x, place(x0, noise, _column(tau, x0))) is None:
                fail(name, sentence)
        fail(*problem)
    if not isinstance(told, Tensor) or told.numel() != len(x0) or difference(told.flatten(), tau):
        fail("another time", "the network should be told τ, a number for each picture, as it came: velocity(x, tau).")
    answer = velocity(x, told).detach()
    if problem := difference(loss, (answer - target).square().mean(), name="the loss"):
        for name, (wrong, sentence) in TARGET_MISTAKES.items():
            errors = answer - (target if wrong is None else wrong(x0, noise, x))
            made = {"not squared": errors.abs().mean(), "a sum": errors.square().sum()}
            if difference(loss, made.get(name, errors.square().mean())) is None:
                fail(name, sentence)
        fail(*problem)
    if not (isinstance(loss, Tensor) and loss.requires_grad):
        fail("no gradient", "the value is right, but no gradient flows back: no .item(), .detach() or no_grad here.")
    return "the straight way, and on it the velocity that leads from picture to noise."


# ------------------------------------------------------------------------------- 8.2 and 8.3, walking


def _velocity() -> Callable:
    """A velocity that depends on place and time, each time another one."""
    a, b = between(0.5, 1.0), between(0.5, 1.5)

    def velocity(x: Tensor, tau: Tensor | float) -> Tensor:
        tau = torch.as_tensor(tau).to(x)
        tau = tau.reshape(-1, *[1] * (x.ndim - 1)) if tau.ndim else tau
        return (a * x).sin() + b * tau**2 - 0.3 * x

    return velocity


@torch.no_grad()
def euler_walk(velocity: Callable, x: Tensor, n: int) -> Tensor:
    """From τ = 1 to 0 in n equal Euler steps: x ← x + (τ' - τ) u(x, τ)."""
    return _walk(velocity, x, n)


def _walk(velocity, x, n, *, times=lambda n: torch.linspace(1, 0, n + 1), step=None, told=lambda tau, tau_next: tau):
    """A walk, each part exchangeable: the times, the step, the time that the network is told."""
    step = step or (lambda x, u, tau, tau_next: x + (tau_next - tau) * u)
    times = times(n)
    for tau, tau_next in zip(times[:-1], times[1:], strict=True):
        x = step(x, velocity(x, told(tau, tau_next)), tau, tau_next)
    return x


def _up(n: int) -> Tensor:
    return torch.linspace(0, 1, n + 1)


WALK_MISTAKES = {
    "wrong sign": (
        lambda *a: _walk(*a, step=lambda x, u, tau, tau_next: x + (tau - tau_next) * u),
        "You go away from the picture: τ falls, so τ' - τ is below 0.",
    ),
    "upwards": (
        lambda *a: _walk(*a, times=_up),
        "You begin at τ = 0, the picture. A sampler begins at τ = 1, the noise.",
    ),
    "up in time, down in step": (
        lambda *a: _walk(*a, times=_up, step=lambda x, u, tau, tau_next: x - (tau_next - tau) * u),
        "The steps go the right way, but the network is told τ from 0 up. It should be from 1 down.",
    ),
    "the next time": (
        lambda *a: _walk(*a, told=lambda tau, tau_next: tau_next),
        "The network is told the time where the step ends. Tell it where x is now.",
    ),
    "the time halfway": (
        lambda *a: _walk(*a, told=lambda tau, tau_next: (tau + tau_next) / 2),
        "The network is told the time in the middle of the step, but x is still at its beginning.",
    ),
    "a step too few": (
        lambda v, x, n: _walk(v, x, n, times=lambda n: torch.linspace(1, 0, n + 1)[:-1]),
        "The last step is missing: the walk ends above τ = 0.",
    ),
    "n times, n - 1 steps": (
        lambda v, x, n: _walk(v, x, n, times=lambda n: torch.linspace(1, 0, n)),
        "These are n times, so n - 1 steps. n steps have n + 1 times.",
    ),
    "whole steps": (
        lambda *a: _walk(*a, step=lambda x, u, tau, tau_next: x - u),
        "Each step goes the whole way, by u. It should go τ' - τ of it.",
    ),
    "one step": (lambda v, x, n: x - v(x, 1.0), "This is one step, from τ = 1 to 0. n are wanted."),
    "shrinking steps": (
        lambda *a: _walk(*a, step=lambda x, u, tau, tau_next: x - tau * u),
        "Each step goes by τ, all that is left of the way. It should go by τ' - τ.",
    ),
    "picture's share forgotten": (
        lambda v, x, n: _walk(v, x, n, step=lambda x, u, tau, tau_next: tau_next * x - (tau - tau_next) * u),
        "x itself is changed as well: an Euler step only adds (τ' - τ) u.",
    ),
}


@LAB.exercise("8.2", "Walk along the flow", stars=2, minutes=10)
def check_euler_walk(my_euler_walk: Callable) -> str:
    """my_euler_walk(velocity, x, n) → x at τ = 0, after n equal Euler steps from τ = 1."""

    def draw() -> tuple[Callable, Tensor, int]:
        return _velocity(), pictures(1)[0], whole(3, 7)

    compare(my_euler_walk, euler_walk, draw, WALK_MISTAKES)
    return "n steps from noise to picture, each along the velocity where x is."


@torch.no_grad()
def heun(velocity: Callable, x: Tensor, tau: float, tau_next: float) -> Tensor:
    """One step of Heun from τ to τ': x + (τ' - τ) (u + u') / 2, with u' where Euler's step would end."""
    return _heun(velocity, x, tau, tau_next)


def _heun(v, x, s, n, *, place=lambda x, u, s, n: x + (n - s) * u, time=lambda s, n: n, mean=lambda a, b: (a + b) / 2):
    """A step, each part exchangeable: where and when it is asked again, and what is made of both answers."""
    first = v(x, s)
    return x + (n - s) * mean(first, v(place(x, first, s, n), time(s, n)))


HEUN_MISTAKES = {
    "Euler": (lambda v, x, s, n: x + (n - s) * v(x, s), "This is a step of Euler. Ask again where it ends."),
    "no mean": (
        lambda *a: _heun(*a, mean=lambda a, b: b),
        "You go with the second answer alone. It should be the mean of both.",
    ),
    "a sum": (
        lambda *a: _heun(*a, mean=lambda a, b: a + b),
        "The sum of both answers goes twice as far: take the mean.",
    ),
    "asked at the start": (
        lambda *a: _heun(*a, place=lambda x, u, s, n: x),
        "The second question is about the same x. Ask about the place where Euler's step ends.",
    ),
    "the old time": (
        lambda *a: _heun(*a, time=lambda s, n: s),
        "The second question is about the right place, but told the old time.",
    ),
    "from the end": (
        lambda v, x, s, n: _heun(v, x + (n - s) * v(x, s), s, n),
        "The step begins where Euler's would end. It should begin at x.",
    ),
    "added to Euler": (
        lambda v, x, s, n: x + (n - s) * v(x, s) + (n - s) * (v(x, s) + v(x + (n - s) * v(x, s), n)) / 2,
        "Both steps are taken, Euler's and Heun's: begin at x again.",
    ),
    "midpoint": (
        lambda v, x, s, n: x + (n - s) * v(x + (n - s) / 2 * v(x, s), (s + n) / 2),
        "This is the midpoint method, of second order as well. Heun's goes to the end, and takes the mean.",
    ),
    "wrong sign": (
        lambda v, x, s, n: _heun(v, x, s, 2 * s - n),
        "The step goes up in τ: τ' - τ is below 0.",
    ),
    "right place, wrong way": (
        lambda v, x, s, n: x - (n - s) * (v(x, s) + v(x + (n - s) * v(x, s), n)) / 2,
        "The second question is right, but the step itself goes the other way: τ' - τ is below 0.",
    ),
    "step lost": (
        lambda v, x, s, n: x + (v(x, s) + v(x + (n - s) * v(x, s), n)) / 2,
        "The mean velocity is multiplied by the length of the step, τ' - τ.",
    ),
}


@LAB.exercise("8.3", "Look ahead", stars=2, minutes=10)
def check_heun(my_heun: Callable) -> str:
    """my_heun(velocity, x, tau, tau_next) → x at tau_next."""

    def draw() -> tuple[Callable, Tensor, float, float]:
        tau = between(0.6, 1.0)
        return _velocity(), pictures(1)[0], tau, tau - between(0.25, 0.5)

    compare(my_heun, heun, draw, HEUN_MISTAKES)
    return "the mean of the velocity here and where it leads."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

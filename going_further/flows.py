"""Flows: a picture moves along a straight way from noise, and a network says how fast.

The way is x_τ = (1-τ) x_0 + τ ε, the velocity u = ε - x_0, and the network learns its mean over all pictures and noises
that pass through x_τ (:class:`going_further.predictions.PredictsFlow`). This module has what is done with such a
network, and with any other: Heun's second-order step, the levels of Karras et al., and reflow, which makes the ways of
the flow straighter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

import support.checks as check
from diffusion_utilities import (
    NoiseSchedule,
    Step,
    ab_at,
    ddim_step,
    denoise_ddim,
    linear_schedule,
    perturb_input,
    predict_x0,
    sample,
    step_pairs,
)
from going_further.predictions import time_of_flow
from support.speed import evaluating, faster

RHO = 7  # Karras et al. 2022: how much denser the levels lie where there is little noise

# ------------------------------------------------------------------------------- how to walk


def karras_pairs(n: int, schedule: NoiseSchedule | None = None, rho: float = RHO) -> list[tuple[int, int]]:
    """The walk from T to 0 in n steps at the noise levels of EDM, as pairs (t, next t) for any sampler.

    σ_i = (σ_max^(1/ρ) + i/(n-1) (σ_min^(1/ρ) - σ_max^(1/ρ)))^ρ for i = 0 … n-1, then 0 (Karras et al. 2022, arXiv
    2206.00364, equation 5), with σ = √(1-ᾱ) / √ᾱ, σ_max and σ_min being those of t = T and t = 1. Each is brought to
    the level t whose ln σ is nearest; levels that would coincide move apart.

    Args:
        n: how many steps, 1 … T.
        rho: ρ; 1 spreads σ evenly, more puts more steps where there is little noise.

    Raises:
        ValueError: n outside of 1 … T, ρ below 1, or a schedule that ends at ᾱ_T = 0, where σ is infinite.
    """
    schedule = schedule or linear_schedule()
    n, rho = check.whole(n, "a number of steps n", 1, schedule.timesteps), check.number(rho, "rho", 1)
    if schedule.ends_at_zero:
        raise ValueError("expected a schedule with ᾱ_T > 0, got one that ends in pure noise, where σ is infinite")
    ab_t = schedule.ab_t[1:].double().cpu().numpy()  # (T,)
    sigma = np.sqrt((1 - ab_t) / ab_t)
    ends = sigma[[-1, 0]] ** (1 / rho)
    wanted = np.linspace(*ends, n) ** rho  # falling
    levels = 1 + np.abs(np.log(sigma) - np.log(wanted)[:, None]).argmin(axis=1)  # (n,)
    levels = np.maximum(levels, np.arange(n, 0, -1)).tolist()  # room for all that follow
    for i in range(1, n):
        levels[i] = min(levels[i], levels[i - 1] - 1)
    return list(zip(levels, [*levels[1:], 0], strict=True))


@torch.no_grad()
def ways(velocity: Callable, x: Tensor, n: int = 200) -> Tensor:
    """Where a flow leads, place by place, in n equal Euler steps from τ = 1 to 0: (n+1, k, …), x first.

    Args:
        velocity: ``velocity(x, tau)`` → u, shaped like x.
        x: where the ways begin (k, …).
    """
    places, times = [x], torch.linspace(1, 0, n + 1)
    for tau, tau_next in zip(times[:-1], times[1:], strict=True):
        places.append(places[-1] + (tau_next - tau) * velocity(places[-1], tau))
    return torch.stack(places)


def euler_step(x: Tensor, t: int, t_next: int, velocity: Tensor, schedule: NoiseSchedule) -> Tensor:
    """x_τ' = x_τ + (τ'-τ) u: an Euler step of the flow from level t to t_next, for x in the size of x_t.

    Args:
        x: x_t (n, 3, h, w) = (√ᾱ + √(1-ᾱ)) x_τ, in float64 where ᾱ_t may be 0.
        velocity: u, same shape.
    """
    ab_t, ab_next = ab_at(schedule, t, x), ab_at(schedule, t_next, x)
    size, size_next = (ab.sqrt() + (1 - ab).sqrt() for ab in (ab_t, ab_next))
    return (x / size + (time_of_flow(ab_next) - time_of_flow(ab_t)) * velocity) * size_next


def heun_step(
    model: Callable, context: Tensor | None = None, schedule: NoiseSchedule | None = None, straight: bool = False
) -> Step:
    """Heun's step: go as Euler does, ask again where that leads, and go with the mean of both answers.

    The step of second order of Karras et al. 2022 (arXiv 2206.00364, algorithm 1), which asks the network twice, but
    for the last step. Euler's step in y = x_t / √ᾱ, dy = ε dσ, is a step of DDIM, so Heun's is one with the mean of
    both noises. With ``straight``, the coordinate is x_τ of the flow, whose velocity is ε - x̂_0; that works from
    ᾱ_T = 0 as well, where σ is infinite.

    Args:
        model: the one that the sampler is given.
        context: likewise.

    Raises:
        ValueError: a step from ᾱ_T = 0 that is not ``straight``.
    """
    schedule, model = schedule or linear_schedule(), check.model(model)
    network = faster(model)

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        euler = denoise_ddim(x, t, t_next, pred_noise, 0.0, z, schedule)
        if t_next == 0:  # no network was ever told level 0
            return euler
        level = torch.tensor(t_next / schedule.timesteps, dtype=torch.float32, device=x.device)
        with evaluating(model):
            again = network(euler.to(x.dtype), level, context)
        if straight:
            return _straight_heun(x, euler, t, t_next, pred_noise, again, schedule)
        if schedule.ends_at_zero and t == schedule.timesteps:
            raise ValueError("the schedule ends at ᾱ_T = 0, where σ is infinite: take straight=True")
        return denoise_ddim(x, t, t_next, (pred_noise + again) / 2, 0.0, z, schedule)

    return step


def _straight_heun(
    x: Tensor, euler: Tensor, t: int, t_next: int, noise: Tensor, again: Tensor, schedule: NoiseSchedule
) -> Tensor:
    """x_τ' = x_τ + (τ'-τ) (u + u') / 2, with the velocities u = ε - x̂_0 at both ends, in the size of x_t."""
    x, euler, noise, again = x.double(), euler.double(), noise.double(), again.double()
    velocity = noise - predict_x0(x, t, noise, schedule)
    velocity_next = again - predict_x0(euler, t_next, again, schedule)
    return euler_step(x, t, t_next, (velocity + velocity_next) / 2, schedule)


# ------------------------------------------------------------------------------- straighter ways


@torch.no_grad()
def reflow_pairs(
    n_sample: int, *, model: Callable, schedule: NoiseSchedule, n: int = 50, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Noises and the pictures that the flow makes of them, both (n_sample, 3, h, w): what reflow trains with.

    (Liu et al. 2022, arXiv 2209.03003, algorithm 1.) Trained with pairs that belong together, the ways from noise to
    picture cross less often, so the mean velocity is nearly that of each single way.

    Args:
        schedule: the model's; it may be any.
        n: steps of the walk from noise to picture.
    """
    shape = (check.whole(n_sample, "n_sample", 1), model.in_channels, model.height, model.height)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    how = {"model": model, "schedule": schedule, "save_rate": None, "progress": False}
    x, _ = sample(ddim_step(schedule=schedule), step_pairs(n, schedule.timesteps), n_sample, x=noise, **how)
    return noise, x.cpu()


def coupled_batches(pairs: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[tuple]:
    """Batches of pairs (n, 6, h, w), a picture's channels and then its noise's, each mirrored or not, as a whole."""
    while True:
        order = torch.randperm(len(pairs), generator=generator)
        for rows in order.split(batch_size):
            if len(rows) == batch_size:
                mirrored = torch.rand(batch_size, 1, 1, 1, generator=generator) < 0.5
                x = pairs[rows]
                yield torch.where(mirrored.to(x.device), x.flip(3), x), labels[rows]


def coupled_perturb(pair: Tensor, t: Tensor, noise: Tensor, schedule: NoiseSchedule) -> Tensor:
    """Noise each picture with the noise that belongs to it; the fresh one is left out."""
    x, own = pair.chunk(2, dim=1)
    return perturb_input(x, t, own, schedule)


def coupled(errors: Callable) -> Callable:
    """``errors`` of :class:`support.training.Run` with the picture and the noise of a pair."""

    def of_pairs(
        model: Callable, x_t: Tensor, t: Tensor, c: Tensor | None, pair: Tensor, _: Tensor, *rest: NoiseSchedule
    ) -> Tensor:
        x, own = pair.chunk(2, dim=1)
        return errors(model, x_t, t, c, x, own, *rest)

    return of_pairs


@torch.no_grad()
def bend(model: Callable, noise: Tensor, n: int = 50, schedule: NoiseSchedule | None = None) -> float:
    """How bent a model's ways are: 0 where each goes straight and evenly from its noise to its picture.

    The mean of |u(x_τ, τ) - (ε - x̂_0)|² over the way, divided by that of |ε - x̂_0|², where x̂_0 is the picture that the
    way ends at (Liu et al. 2022, section 2.2, there without the division).

    Args:
        model: any model of noise; its velocity is ε_θ - x̂_0.
        noise: where the ways begin (k, 3, h, w).
        n: Euler steps of each way.
        schedule: the model's; None is the course's.
    """
    schedule = schedule or linear_schedule()
    network, pairs, x, velocities = faster(model), step_pairs(n, schedule.timesteps), noise.double(), []
    with evaluating(model):
        for t, t_next in pairs:
            pred_noise = network(x.float(), torch.tensor(t / schedule.timesteps, device=x.device)).double()
            velocities.append(pred_noise - predict_x0(x, t, pred_noise, schedule))
            x = euler_step(x, t, t_next, velocities[-1], schedule)
    chord = noise - x
    squares = torch.stack([(u - chord).square().mean() for u in velocities])  # (n,)
    time = time_of_flow(schedule.ab_t.double())
    lengths = torch.stack([time[t] - time[t_next] for t, t_next in pairs])
    return ((squares * lengths).sum() / lengths.sum() / chord.square().mean()).item()

"""The patients of solvers.ipynb: DPM-Solver++ with one real bug each.

Look at what they draw, and name the bugs, before you read on. A patient is a healthy function in which one piece of a
line is replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from diffusion_utilities import (
    ContextUnet,
    background_error,
    exact_denoiser,
    linear_schedule,
    predict_x0,
    step_pairs,
)
from exercise_tools.clinic_tools import examine, figure, patient, table

TIMESTEPS = 500
AB = linear_schedule(TIMESTEPS).ab_t  # ᾱ_0 … ᾱ_T


def half_log_snr(t: int) -> Tensor:
    """λ_t = ln(√ᾱ_t / √(1-ᾱ_t)), infinite at t = 0."""
    return 0.5 * (AB[t].log() - (1 - AB[t]).log())


def healthy_dpm(model: Callable, x: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    """DPM-Solver++ with nothing wrong, from x_T that is given: equations (4) and (5)."""
    x0_before, lam_before = None, None
    for t, t_prev in pairs:
        x0_pred, lam = predict_x0(x, t, model(x, t / TIMESTEPS)), half_log_snr(t)
        if t_prev == 0:
            return x0_pred  # the step is infinitely long
        h, d = half_log_snr(t_prev) - lam, x0_pred
        if x0_before is not None:
            r = (lam - lam_before) / h
            d = x0_pred + (1 / (1 - (-h).exp()) - 1 / h) * (x0_pred - x0_before) / r
        x = ((1 - AB[t_prev]) / (1 - AB[t])).sqrt() * x + AB[t_prev].sqrt() * (1 - (-h).exp()) * d
        x0_before, lam_before = x0_pred, lam
    return x


# A lost minus: h where -h belongs.
patient_a = patient(healthy_dpm, "(1 - (-h).exp()) * d", "(1 - h.exp()) * d")
# The guess is carried on in the wrong direction: back to what it was.
patient_b = patient(healthy_dpm, "(x0_pred - x0_before) / r", "(x0_before - x0_pred) / r")


def sprites(network: ContextUnet, shape: tuple[int, ...] = (8, 3, 16, 16)) -> dict[str, Tensor]:
    """What healthy and both patients draw in ten steps from the same noise, on the CPU."""
    network = copy.deepcopy(network).cpu().eval()
    solvers = {"healthy": healthy_dpm, "A": patient_a, "B": patient_b}
    pairs = step_pairs(10, TIMESTEPS)
    return {name: examine(lambda s=s: s(network, torch.randn(shape), pairs)) for name, s in solvers.items()}


def sprite_report(seen: dict[str, Tensor], images: Tensor) -> str:
    """The sprites, measured as they are shown; ``images`` are the real ones."""
    shown = {name: x.clamp(-1, 1) for name, x in seen.items()}
    rows = {name: [x.mean(), x.std(), figure(background_error, x, images.cpu())] for name, x in shown.items()}
    return table(["mean", "spread", "ground"], rows)


def path_error(solver: Callable, stride: int, stop: int = 100) -> float:
    """How far ``solver`` ends from the exact solution, if it walks x_T = 1 down to level ``stop``; data N(0, 0.25²)."""
    pairs = list(pairwise(range(TIMESTEPS, stop - 1, -stride)))
    x = examine(solver, exact_denoiser(0.0, 0.25), torch.ones(1, dtype=torch.float64), pairs)
    spread = (AB * 0.25**2 + 1 - AB).sqrt()
    return abs(x.item() - (spread[stop] / spread[TIMESTEPS]).item())


def unseen() -> dict[str, list[float]]:
    """The errors of patient B and of the healthy solver in 10, 20, 40 and 80 steps: what no eye finds in a picture."""
    solvers = {"healthy": healthy_dpm, "B": patient_b}
    return {name: [path_error(solver, stride) for stride in (40, 20, 10, 5)] for name, solver in solvers.items()}


def order_report(errors: dict[str, list[float]]) -> str:
    """By how much the errors fall each time the steps double: about 4 for a solver of second order."""
    rows = {name: [f"{e:.5f}" for e in e_s] + [e_s[-2] / e_s[-1]] for name, e_s in errors.items()}
    return table(["10 steps", "20 steps", "40 steps", "80 steps", "last ratio"], rows, digits=1)

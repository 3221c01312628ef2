"""The patients of Lab 4's clinic: fast samplers with one real bug each.

Look at their pictures in the lab, and name the bugs, before you read on. A patient is a healthy function in which one
piece of a line is replaced.
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
    denoise_ddim,
    exact_denoiser,
    linear_schedule,
    load_classifier,
    predict_x0,
    step_pairs,
)
from exercise_tools.clinic_tools import Bell, examine, figure, patient, table

SPRITES = (8, 3, 16, 16)
NUMBERS = (20_000,)
TIMESTEPS = 500
AB = linear_schedule(TIMESTEPS).ab_t  # ᾱ_0 … ᾱ_T

# --------------------------------------------------------------------------------------------------------- A to D: DDIM


def healthy_ddim(model: Callable, n: int, shape: tuple[int, ...]) -> Tensor:
    """DDIM with nothing wrong: equation (3) with σ = 0."""
    pairs = step_pairs(n, TIMESTEPS)
    x = torch.randn(shape)
    for t, t_prev in pairs:
        ab, ab_prev, pred_noise = AB[t], AB[t_prev], model(x, t / TIMESTEPS)
        x0_pred = (x - (1 - ab).sqrt() * pred_noise) / ab.sqrt()
        x = ab_prev.sqrt() * x0_pred + (1 - ab_prev).sqrt() * pred_noise
    return x


# If n does not divide T, the last level is below 0, and Python counts it from the end of the
# table.
patient_a = patient(
    healthy_ddim,
    "step_pairs(n, TIMESTEPS)",
    "[(t, t - TIMESTEPS // n) for t in range(TIMESTEPS, 0, -(TIMESTEPS // n))]",
)
# One start noise for all samples.
patient_b = patient(healthy_ddim, "x = torch.randn(shape)", "x = torch.randn(shape[1:]).expand(shape)")
# The guessed picture gets the weight of level t, and not that of the level to go to.
patient_c = patient(healthy_ddim, "ab_prev.sqrt() * x0_pred", "ab.sqrt() * x0_pred")
# range leaves its end out, so the last level is missing.
patient_d = patient(healthy_ddim, "step_pairs(n, TIMESTEPS)", "list(pairwise(range(TIMESTEPS, 0, -(TIMESTEPS // n))))")


# ------------------------------------------------------------------------------------ E: DDIM with context and guidance


def healthy_guidance(network: ContextUnet, guidance: float, shape: tuple[int, ...]) -> Tensor:
    """Heroes, with classifier-free guidance, in 25 steps."""
    hero, x = torch.eye(5)[[0] * shape[0]], torch.randn(shape)
    for t, t_prev in step_pairs(25, TIMESTEPS):
        with_hero, without = network(x, t / TIMESTEPS, hero), network(x, t / TIMESTEPS)
        pred_noise = without + guidance * (with_hero - without)
        x = denoise_ddim(x, t, t_prev, pred_noise)
    return x


# Guidance with the wrong sign: away from what is asked for.
patient_e = patient(healthy_guidance, "(with_hero - without)", "(without - with_hero)")


# ----------------------------------------------------------------------------------------------- F, G: DPM-Solver++(2M)


def half_log_snr(t: int) -> Tensor:
    """λ_t = ln(√ᾱ_t / √(1-ᾱ_t)), infinite at t = 0."""
    return 0.5 * (AB[t].log() - (1 - AB[t]).log())


def healthy_dpm(model: Callable, x: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    """DPM-Solver++ with nothing wrong, from x_T that is given: equations (9) and (10)."""
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
patient_f = patient(healthy_dpm, "(1 - (-h).exp()) * d", "(1 - h.exp()) * d")
# The guess is carried on in the wrong direction: back to what it was.
patient_g = patient(healthy_dpm, "(x0_pred - x0_before) / r", "(x0_before - x0_pred) / r")


# --------------------------------------------------------------------------------------------- H: DDIM with fresh noise


def healthy_eta(model: Callable, n: int, shape: tuple[int, ...], eta: float) -> Tensor:
    """DDIM with fresh noise: equations (3) and (4)."""
    x = torch.randn(shape)
    for t, t_prev in step_pairs(n, TIMESTEPS):
        ab, ab_prev, pred_noise = AB[t], AB[t_prev], model(x, t / TIMESTEPS)
        x0_pred = (x - (1 - ab).sqrt() * pred_noise) / ab.sqrt()
        sigma = eta * ((1 - ab_prev) / (1 - ab) * (1 - ab / ab_prev)).sqrt()
        direction = (1 - ab_prev - sigma**2).sqrt() * pred_noise
        x = ab_prev.sqrt() * x0_pred + direction + sigma * torch.randn(shape)
    return x


# Fresh noise is added, but no less of the old noise is kept.
patient_h = patient(healthy_eta, "(1 - ab_prev - sigma**2).sqrt()", "(1 - ab_prev).sqrt()")


# --------------------------------------------------------------------------------------------------- what the lab shows


def sprites(
    network: ContextUnet, context_network: ContextUnet, shape: tuple[int, ...] = SPRITES
) -> list[dict[str, Tensor]]:
    """What healthy and patients A to G draw, on the CPU, in rows for the clinic_tools."""
    network, context_network = (copy.deepcopy(one).cpu().eval() for one in (network, context_network))

    def draw(patient: Callable, n: int) -> Tensor:
        return examine(patient, network, n, shape)

    def guided(patient: Callable) -> Tensor:
        return examine(patient, context_network, 3.0, shape)

    def solve(patient: Callable) -> Tensor:
        return examine(lambda: patient(network, torch.randn(shape), step_pairs(10, TIMESTEPS)))

    return [
        {
            "healthy": draw(healthy_ddim, 25),
            "A, n = 30": draw(patient_a, 30),
            "B, n = 25": draw(patient_b, 25),
        },
        {"C, n = 25": draw(patient_c, 25), "D, n = 10": draw(patient_d, 10)},
        {
            "healthy, asked for heroes": guided(healthy_guidance),
            "E, asked for heroes": guided(patient_e),
        },
        {"healthy, DPM-Solver++": solve(healthy_dpm), "F, DPM-Solver++": solve(patient_f)}
        | {"G, DPM-Solver++": solve(patient_g)},
    ]


def numbers() -> dict[str, Bell]:
    """What patient H and the healthy sampler draw in 25 steps for data N(0.4, 0.25²), with η = 0 and with η = 1."""
    model = exact_denoiser(0.4, 0.25)
    drawn: dict[str, Bell] = {}
    for eta in (0, 1):
        for name, sampler in {"healthy": healthy_eta, "H": patient_h}.items():
            drawn[f"{name}, η = {eta}"] = Bell(examine(sampler, model, 25, NUMBERS, eta), 0.4, 0.25)
    return drawn


def path_error(solver: Callable, stride: int, stop: int = 100) -> float:
    """How far ``solver`` ends from the exact solution, if it walks x_T = 1 down to level ``stop``; data N(0, 0.25²)."""
    pairs = list(pairwise(range(TIMESTEPS, stop - 1, -stride)))
    x = examine(solver, exact_denoiser(0.0, 0.25), torch.ones(1, dtype=torch.float64), pairs)
    spread = (AB * 0.25**2 + 1 - AB).sqrt()
    return abs(x.item() - (spread[stop] / spread[TIMESTEPS]).item())


def unseen() -> dict[str, list[float]]:
    """The errors of patient G and of the healthy solver in 10, 20, 40 and 80 steps: what no eye finds in a picture."""
    solvers = {"healthy": healthy_dpm, "G": patient_g}
    return {name: [path_error(solver, stride) for stride in (40, 20, 10, 5)] for name, solver in solvers.items()}


@torch.no_grad()
def sprite_report(seen: list[dict[str, Tensor]], images: Tensor) -> str:
    """The sprites, measured as they are shown; ``images`` are the real ones. Variety: the spread of a pixel."""
    classifier, rows = load_classifier("cpu"), {}
    for name, x in (panel for row in seen for panel in row.items()):
        x = x.clamp(-1, 1)
        heroes = (classifier(x)[0].argmax(dim=1) == 0).float().mean()
        rows[name] = [
            x.mean(),
            x.std(),
            x.std(dim=0).mean(),
            figure(background_error, x, images.cpu()),
            f"{heroes:.0%}",
        ]
    return table(["mean", "spread", "variety", "ground", "heroes"], rows)


def number_report(drawn: dict[str, Bell]) -> str:
    """The spread of the numbers, and what it should be."""
    return table(
        ["spread", "of the data"],
        {name: [bell.numbers.std(), bell.s] for name, bell in drawn.items()},
    )


def order_report(errors: dict[str, list[float]]) -> str:
    """By how much the errors fall each time the steps double: about 4 for a solver of second order."""
    rows = {name: [f"{e:.5f}" for e in e_s] + [e_s[-2] / e_s[-1]] for name, e_s in errors.items()}
    return table(["10 steps", "20 steps", "40 steps", "80 steps", "last ratio"], rows, digits=1)

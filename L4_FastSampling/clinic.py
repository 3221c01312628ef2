"""The patients of Lab 4's clinic: fast samplers with one real bug each.

Look at their pictures in the lab, and name the bugs, before you read on. A patient is a healthy function in which one
piece of a line is replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise  # noqa: F401  (for the line of patient D)

import torch
from torch import Tensor

from diffusion_utilities import (
    ContextUnet,
    background_error,
    denoise_ddim,
    exact_denoiser,
    linear_schedule,
    load_classifier,
    step_pairs,
)
from exercise_tools.clinic_tools import Bell, examine, figure, patient, table

SPRITES = (8, 3, 16, 16)
NUMBERS = (20_000,)
TIMESTEPS = 500
AB = linear_schedule(TIMESTEPS).ab_t  # ᾱ_0 … ᾱ_T

# ------------------------------------------------------------------------------------- A to D: DDIM


def healthy_ddim(model: Callable, n: int, shape: tuple[int, ...]) -> Tensor:
    """DDIM with nothing wrong: equation (3) with σ = 0."""
    pairs = step_pairs(n, TIMESTEPS)
    x = torch.randn(shape)
    for t, t_prev in pairs:
        ab, ab_prev, pred_noise = AB[t], AB[t_prev], model(x, t / TIMESTEPS)
        x0_pred = (x - (1 - ab).sqrt() * pred_noise) / ab.sqrt()
        x = ab_prev.sqrt() * x0_pred + (1 - ab_prev).sqrt() * pred_noise
    return x


# If n does not divide T, the last level is below 0, which Python counts from the table's end.
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
patient_d = patient(
    healthy_ddim,
    "step_pairs(n, TIMESTEPS)",
    "list(pairwise(range(TIMESTEPS, 0, -(TIMESTEPS // n))))",
)


# ---------------------------------------------------------------- E: DDIM with context and guidance


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


# ------------------------------------------------------------------------- F: DDIM with fresh noise


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
patient_f = patient(healthy_eta, "(1 - ab_prev - sigma**2).sqrt()", "(1 - ab_prev).sqrt()")


# ------------------------------------------------------------------------------- what the lab shows


def sprites(
    network: ContextUnet, context_network: ContextUnet, shape: tuple[int, ...] = SPRITES
) -> list[dict[str, Tensor]]:
    """What healthy and patients A to E draw, on the CPU, in rows for the clinic_tools."""
    network, context_network = (copy.deepcopy(one).cpu().eval() for one in (network, context_network))

    def draw(patient: Callable, n: int) -> Tensor:
        return examine(patient, network, n, shape)

    def guided(patient: Callable) -> Tensor:
        return examine(patient, context_network, 3.0, shape)

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
    ]


def numbers() -> dict[str, Bell]:
    """What patient F and the healthy sampler draw in 25 steps for data N(0.4, 0.25²), with η = 0 and with η = 1."""
    model = exact_denoiser(0.4, 0.25)
    drawn: dict[str, Bell] = {}
    for eta in (0, 1):
        for name, sampler in {"healthy": healthy_eta, "F": patient_f}.items():
            drawn[f"{name}, η = {eta}"] = Bell(examine(sampler, model, 25, NUMBERS, eta), 0.4, 0.25)
    return drawn


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

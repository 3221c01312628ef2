"""The patients of Lab 1's clinic: samplers with one real bug each.

Look at their pictures in the lab, and name the bugs, before you read on. A patient is a healthy function in which one
piece of a line is replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_utilities import (
    ContextUnet,
    NoiseSchedule,
    background_error,
    exact_denoiser,
    linear_schedule,
)
from exercise_tools.clinic_tools import Bell, examine, few_levels, figure, patient, table

SPRITES = (8, 3, 16, 16)  # eight sprites, in 25 large steps
NUMBERS = (20_000,)  # plain numbers, in 500 steps


def healthy(model: Callable, schedule: NoiseSchedule, shape: tuple[int, ...]) -> Tensor:
    """Lab 1's sampler, with nothing wrong: equation (5) for t = T, …, 1."""
    b_t, a_t, ab_t, timesteps = schedule.b_t, schedule.a_t, schedule.ab_t, schedule.timesteps
    x = torch.randn(shape)
    for t in range(timesteps, 0, -1):
        z = torch.randn(shape) if t > 1 else 0
        pred_noise = model(x, t / timesteps)
        mean = (x - b_t[t] / (1 - ab_t[t]).sqrt() * pred_noise) / a_t[t].sqrt()
        x = mean + b_t[t].sqrt() * z
    return x


# No noise is put back.
patient_a = patient(healthy, "z = torch.randn(shape) if t > 1 else 0", "z = 0")
# α and ᾱ have changed places.
patient_b = patient(
    healthy,
    "(1 - ab_t[t]).sqrt() * pred_noise) / a_t[t].sqrt()",
    "(1 - a_t[t]).sqrt() * pred_noise) / ab_t[t].sqrt()",
)
# The noise that is put back is multiplied by β in place of its root.
patient_c = patient(healthy, "b_t[t].sqrt() * z", "b_t[t] * z")
# The start is drawn between 0 and 1, all values equally likely, and is not normal.
patient_d = patient(healthy, "x = torch.randn(shape)", "x = torch.rand(shape)")
# Noise is put back after the last step as well.
patient_e = patient(healthy, "z = torch.randn(shape) if t > 1 else 0", "z = torch.randn(shape)")
# The network is told t - 1, as if levels counted from 0.
patient_f = patient(healthy, "model(x, t / timesteps)", "model(x, (t - 1) / timesteps)")
# The seed is set within the loop, so that every z is the same.
patient_g = patient(healthy, "z = torch.randn(shape)", "torch.manual_seed(1)\n        z = torch.randn(shape)")
# The division by √α is forgotten.
patient_h = patient(
    healthy,
    "(x - b_t[t] / (1 - ab_t[t]).sqrt() * pred_noise) / a_t[t].sqrt()",
    "x - b_t[t] / (1 - ab_t[t]).sqrt() * pred_noise",
)


# ------------------------------------------------------------------------------- what the lab shows


def sprites(network: ContextUnet, shape: tuple[int, ...] = SPRITES) -> list[dict[str, Tensor]]:
    """What healthy and patients A to F draw, on the CPU, in rows for the gallery; E and F in steps that are larger."""
    network = copy.deepcopy(network).cpu().eval()

    def draw(n: int, **samplers: Callable) -> dict[str, Tensor]:
        arguments = network, few_levels(n), shape
        return {name.replace("_", " "): examine(sampler, *arguments) for name, sampler in samplers.items()}

    return [
        draw(25, healthy=healthy, A=patient_a, B=patient_b),
        draw(25, C=patient_c, D=patient_d),
        draw(10, healthy_in_10_steps=healthy, E=patient_e, F=patient_f),
    ]


def numbers() -> dict[str, Bell]:
    """What healthy and patients G and H draw in 500 steps, for data N(0, 1), with the exact denoiser."""
    arguments = exact_denoiser(0.0, 1.0), linear_schedule(), NUMBERS
    samplers = {"healthy": healthy, "G": patient_g, "H": patient_h}
    return {name: Bell(examine(sampler, *arguments), 0.0, 1.0) for name, sampler in samplers.items()}


def unseen() -> dict[str, Bell]:
    """Patient F with all 500 levels, for data N(0.4, 0.05²): what no eye finds in a picture."""
    arguments = exact_denoiser(0.4, 0.05), linear_schedule(), NUMBERS
    samplers = {"healthy": healthy, "F": patient_f}
    return {name: Bell(examine(sampler, *arguments), 0.4, 0.05) for name, sampler in samplers.items()}


def sprite_report(seen: list[dict[str, Tensor]], images: Tensor) -> str:
    """The sprites, measured as they are shown; ``images`` are the real ones.

    The last figure is the root mean square distance from the healthy control that took the same steps.
    """
    rows, control = {}, None
    for name, x in (panel for row in seen for panel in row.items()):
        x = x.clamp(-1, 1)
        control = x if name.startswith("healthy") else control
        away = (x - control).square().mean().sqrt()
        rows[name] = [
            x.mean(),
            x.std(),
            x.std(dim=1).mean(),
            figure(background_error, x, images.cpu()),
            away,
        ]
    return table(["mean", "spread", "colour", "ground", "distance"], rows)


def number_report(drawn: dict[str, Bell], digits: int = 2) -> str:
    """The spread of the numbers, and what it should be."""
    return table(
        ["spread", "of the data"],
        {n: [bell.numbers.std(), bell.s] for n, bell in drawn.items()},
        digits,
    )

"""The patients of Lab 2's clinic: training code, or code around a trained network, with one real bug each.

Look at their pictures in the lab, and name the bugs, before you read on. A patient is a healthy function in which one
piece of a line is replaced. Nothing is trained here: where training is at fault, the patient has the best
answer that this training can lead to, which is known exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffusion_utilities import (
    ContextUnet,
    background_error,
    denoise_add_noise,
    denoise_ddim,
    linear_schedule,
    load_classifier,
    nearest_sprite,
    perturb_input,
)
from exercise_tools.clinic_tools import Bell, examine, few_levels, figure, patient, table

SPRITES = (8, 3, 16, 16)
NUMBERS, PAIRS = 20_000, 200_000  # numbers drawn; pairs (x_t, ε) trained on
TIMESTEPS = 500
STEPS = 25  # of DDPM; each is as large as 20 of the course's
SCHEDULE = few_levels(STEPS)
# a smoothed label: nine tenths hero, the rest shared out
HERO = torch.tensor([0.9, 0.025, 0.025, 0.025, 0.025])

# -------------------------------------------------- A to C: the shipped network, DDPM on few levels


def healthy_network(network: ContextUnet, shape: tuple[int, ...]) -> Tensor:
    """The network as it should be used."""
    network.eval()
    x = torch.randn(shape)
    for t in range(STEPS, 0, -1):
        x = denoise_add_noise(x, t, network(x, t / STEPS), schedule=SCHEDULE)
    return x


# After training, nobody switched to evaluation mode.
patient_a = patient(healthy_network, "network.eval()", "network.train()")


class Unguarded(ContextUnet):
    """The network of the course, but it takes any t, as most codes do; ours would refuse the t of patient B."""

    def _check(self, x: Tensor, t: Tensor | float, c: Tensor | None) -> tuple[Tensor, Tensor]:
        t = torch.as_tensor(t, dtype=x.dtype).reshape(-1, 1)
        return t, x.new_zeros(1, self.n_cfeat) if c is None else c


def unguarded(network: ContextUnet) -> ContextUnet:
    """A copy that does not look at its t."""
    twin = copy.deepcopy(network)
    twin.__class__ = Unguarded
    return twin


# The network is told t, and not t/T.
patient_b = patient(healthy_network, "network(x, t / STEPS)", "network(x, t)")
# A division of whole numbers, which makes 0 of every t below T.
patient_c = patient(healthy_network, "network(x, t / STEPS)", "network(x, t // STEPS)")


# ----------------------------------------- D to F: the perfect denoiser of some data, DDPM as above


def shares(labels: Tensor, wanted: Tensor) -> Tensor:
    """How likely each sprite is, labels (n, 5), if the classes come as often as ``wanted`` (5,) says; zeros: anyhow."""
    weight = labels @ (wanted / labels.sum(dim=0).clamp(min=1)) if wanted.any() else torch.ones(len(labels))
    return weight / weight.sum()


def perfect_denoiser(data: Tensor, share: Tensor) -> Callable[[Tensor, int], Tensor]:
    """model(x, t) → E[ε | x_t] if there are no other pictures than ``data``, and each as often as its share."""
    flat, ab_t = data.flatten(1), SCHEDULE.ab_t

    def model(x: Tensor, t: int) -> Tensor:
        distance = torch.cdist(x.flatten(1), ab_t[t].sqrt() * flat)
        probability = (share.log() - distance**2 / (2 * (1 - ab_t[t]))).softmax(dim=1)
        return (x - ab_t[t].sqrt() * (probability @ flat).view_as(x)) / (1 - ab_t[t]).sqrt()

    return model


def healthy_data(sprites: np.ndarray, labels: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """From sprites, uint8 (n, h, w, 3), to pictures in [-1, 1] and their mirror images; then samples for one label."""
    images = torch.from_numpy(sprites).permute(0, 3, 1, 2) / 127.5 - 1
    data = torch.cat([images, images.flip(3)])
    wanted = HERO.float()
    share = shares(torch.from_numpy(labels).float(), wanted).repeat(2) / 2
    model, x = perfect_denoiser(data, share), torch.randn(shape)
    for t in range(STEPS, 0, -1):
        x = denoise_add_noise(x, t, model(x, t), schedule=SCHEDULE)
    return x


# The pictures lie in [0, 1], and not in [-1, 1].
patient_d = patient(healthy_data, "/ 127.5 - 1", "/ 255")
# Augmentation turns the wrong axis round: shape is (n, 3, h, w), and 2 is the height.
patient_e = patient(healthy_data, "images.flip(3)", "images.flip(2)")
# The label is made a whole number, as labels often are: 0.9 becomes 0.
patient_f = patient(healthy_data, "HERO.float()", "HERO.long()")


# ----------------------------------------- G, H: plain numbers, and the best that training can give


def healthy_noise(m: float, s: float, n: int) -> Tensor:
    """The best answer to training on N(m, s²) with √(1-ᾱ) parts noise, sampled by DDPM in 500 steps."""
    ab_t = linear_schedule(TIMESTEPS).ab_t
    # of the noise, in training
    strength = (1 - ab_t).sqrt()
    x = torch.randn(n)
    for t in range(TIMESTEPS, 0, -1):
        variance = ab_t[t] * s**2 + strength[t] ** 2  # of x_t, in training
        # E[ε | x_t], by linear regression
        pred_noise = strength[t] * (x - ab_t[t].sqrt() * m) / variance
        x = denoise_add_noise(x, t, pred_noise)
    return x


# Training without the root; the sampler has it.
patient_g = patient(healthy_noise, "strength = (1 - ab_t).sqrt()", "strength = 1 - ab_t")


def healthy_levels(timesteps: int, pairs: int, n: int) -> Tensor:
    """Train one factor for each level, ε ≈ factor · x_t, on data N(0, 1); then sample by DDIM over all levels.

    DDPM would hide the mistake of the first step under the noise that it puts back.
    """
    schedule = few_levels(timesteps)
    t = torch.randint(1, timesteps + 1, (pairs,))
    x_0, noise = torch.randn(2, pairs)
    x_t = perturb_input(x_0, t, noise, schedule)
    zeros = torch.zeros(timesteps + 1)  # an untrained factor is 0
    # least squares
    factor = zeros.index_add(0, t, x_t * noise) / zeros.index_add(0, t, x_t**2).clamp(min=1)
    x = torch.randn(n)
    for level in range(timesteps, 0, -1):
        x = denoise_ddim(x, level, level - 1, factor[level] * x, schedule=schedule)
    return x


# Training never draws t = T: randint leaves its upper limit out.
patient_h = patient(
    healthy_levels,
    "torch.randint(1, timesteps + 1, (pairs,))",
    "torch.randint(1, timesteps, (pairs,))",
)


# ------------------------------------------------------------------------------- what the lab shows


def sprites(
    network: ContextUnet, data: np.ndarray, labels: np.ndarray, shape: tuple[int, ...] = SPRITES
) -> list[dict[str, Tensor]]:
    """What healthy and patients A to F draw, on the CPU, in rows for the gallery; ``data`` is uint8 (n, h, w, 3)."""
    ours = copy.deepcopy(network).cpu().eval()
    given = (data, labels, shape)
    return [
        {
            "healthy": examine(healthy_network, ours, shape),
            "A": examine(patient_a, copy.deepcopy(ours), shape),
        },
        {"B": examine(patient_b, unguarded(ours), shape), "C": examine(patient_c, ours, shape)},
        {"healthy for D, E and F": examine(healthy_data, *given), "D": examine(patient_d, *given)},
        {"E": examine(patient_e, *given), "F": examine(patient_f, *given)},
    ]


def numbers() -> dict[str, Bell]:
    """What patients G and H draw, and their healthy controls; the data are N(0.4, 0.25²) for G and N(0, 1) for H."""
    return {
        "healthy, 500 steps": Bell(examine(healthy_noise, 0.4, 0.25, NUMBERS), 0.4, 0.25),
        "G": Bell(examine(patient_g, 0.4, 0.25, NUMBERS), 0.4, 0.25),
        "healthy, 10 levels": Bell(examine(healthy_levels, 10, PAIRS, NUMBERS), 0.0, 1.0),
        "H": Bell(examine(patient_h, 10, PAIRS, NUMBERS), 0.0, 1.0),
    }


def unseen() -> dict[str, Bell]:
    """Patient H with all 500 levels: what nobody sees."""
    return {
        "healthy, 500 levels": Bell(examine(healthy_levels, 500, 10 * PAIRS, NUMBERS), 0.0, 1.0),
        "H, 500 levels": Bell(examine(patient_h, 500, 10 * PAIRS, NUMBERS), 0.0, 1.0),
    }


@torch.no_grad()
def sprite_report(seen: list[dict[str, Tensor]], images: Tensor) -> str:
    """The sprites, measured as they are shown; ``images`` are the real ones.

    The last two figures: the share of samples that are no copy of a real sprite, which means something for the perfect
    denoiser only; and the share that the classifier takes for heroes.
    """
    classifier, rows = load_classifier("cpu"), {}
    for name, x in (panel for row in seen for panel in row.items()):
        x = x.clamp(-1, 1)
        distance = figure(lambda x: nearest_sprite(x, images.cpu())[0], x)
        heroes = (classifier(x)[0].argmax(dim=1) == 0).float().mean()
        ground, strange = figure(background_error, x, images.cpu()), (distance > 0.1).float().mean()
        rows[name] = [x.mean(), x.std(), ground, f"{strange:.0%}", f"{heroes:.0%}"]
    return table(["mean", "spread", "ground", "no copy", "heroes"], rows)


def number_report(drawn: dict[str, Bell]) -> str:
    """The spread of the numbers, and what it should be."""
    return table(
        ["spread", "of the data"],
        {name: [bell.numbers.std(), bell.s] for name, bell in drawn.items()},
    )

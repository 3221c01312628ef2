"""Everything that the four labs teach, in the order in which they need it.

1. Noise schedule         how much noise each step adds
2. Network                the U-Net that predicts the noise in a picture
3. Diffusion arithmetic   one function per formula: add noise, take a step back
4. Sampling               models, models around models, steps, one loop; from pure noise to sprites
5. Sprites                the data set, batch by batch

What serves the labs without being taught by them, pictures and measures among it, stands in ``support/``.

Notation, the same in every lab: T = 500 noise levels; t = 0 is a clean picture, t = T pure noise (libraries that
count from 0 call our t their t - 1);
b_t, a_t, ab_t = β_t, α_t = 1 - β_t, ᾱ_t = α_1 ⋯ α_t; pictures x have shape (n, 3, 16, 16) and values in [-1, 1].
DDPM means Ho et al. 2020 (arXiv 2006.11239), DDIM Song et al. 2020 (arXiv 2010.02502), DPM-Solver++ Lu et al. 2022
(arXiv 2211.01095).

What cannot be meant raises a ValueError that says what was expected and what came: levels outside 0 … T, tensors of
other shapes, numbers out of the range that a docstring names, values that are not finite.
"""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn
from matplotlib.animation import FuncAnimation, PillowWriter
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

import support.checks as check

# isort: off
from support.files import ROOT, find_weights, load_sprites, read_state, save_weights, without_prefix
from support.pictures import compare_samples, film_strip, gen_tst_context, mosaic, norm_all, norm_torch
from support.pictures import play, plot_grid, plot_sample, show_images, to_unit, unorm
from support.quality import SpriteClassifier, background_error, class_accuracy, frechet_sprite_distance
from support.quality import load_classifier, nearest_sprite, precision_recall
from support.speed import OpenvinoUnet, bf16_is_faster, default_device, evaluating, faster, folded
from support.speed import largest_batch
# isort: on

__all__ = [
    "NoiseSchedule", "linear_schedule",
    "ResidualConvBlock", "UnetDown", "UnetUp", "EmbedFC", "ContextUnet", "load_pretrained", "ema_update",
    "perturb_input", "denoise_add_noise", "predict_x0", "noise_from_x0", "denoise_ddim", "denoise_dpm",
    "guided_noise", "exact_denoiser",
    "NoisePredictor", "ModelWrapper", "Guided", "Autoguided", "Clipped",
    "step_pairs", "ddpm_step", "ddim_step", "dpm_step", "denoising", "sample",
    "sample_ddpm", "sample_ddpm_incorrect", "sample_ddpm_context", "sample_ddim", "sample_ddim_context",
    "sample_dpm", "sample_dpm_context",
    "CLASS_NAMES", "CustomDataset", "transform", "load_sprites", "sprite_tensors", "augment", "sprite_batches",
    "to_unit", "unorm", "norm_all", "norm_torch", "gen_tst_context",
    "mosaic", "show_images", "plot_grid", "plot_sample", "compare_samples", "film_strip", "play",
    # from support/
    "save_weights", "SpriteClassifier", "load_classifier", "frechet_sprite_distance", "precision_recall",
    "class_accuracy", "nearest_sprite", "background_error", "evaluating", "faster", "bf16_is_faster", "OpenvinoUnet",
    # what notebooks of the public course expect of their star-import
    "os", "np", "plt", "torch", "nn", "Dataset", "FuncAnimation", "PillowWriter", "transforms", "make_grid",
    "save_image",
]  # fmt: skip

CLASS_NAMES = ("hero", "non-hero", "food", "spell", "side-facing")
MOST_LEVELS = 100_000  # a schedule with more is a slip of the keyboard
LEAST_AB = 1e-12  # stands for ᾱ_T = 0 where it is divided by; see going_further/predictions.py


def __getattr__(name: str) -> object:
    """torchvision's part of the star-import, only where it is asked for: importing it takes a second."""
    if name in ("make_grid", "save_image"):
        import torchvision.utils

        return getattr(torchvision.utils, name)
    if name == "transforms":
        from torchvision import transforms

        return transforms
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# ==================================================================================================
# 1. Noise schedule
# ==================================================================================================


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """How much noise there is at each level t = 0 … T. All three tables are float32 of shape (T+1,), indexed by t.

    Attributes:
        b_t: β_t, the variance of the noise that step t adds; b_t[0] = 0.
        a_t: α_t = 1 - β_t; a_t[0] = 1.
        ab_t: ᾱ_t = α_1 ⋯ α_t, the share of the clean picture's variance left after t steps; ab_t[0] = 1.

    Raises:
        ValueError: the tables contradict each other, as when ᾱ does not fall or is not the product of the α.
    """

    b_t: Tensor
    a_t: Tensor
    ab_t: Tensor

    def __post_init__(self) -> None:
        check.schedule(self.b_t, self.a_t, self.ab_t)

    @classmethod
    def from_betas(cls, betas: Tensor) -> NoiseSchedule:
        """The schedule of β_1 … β_T, shape (T,). Products are taken in float64: 500 roundings would show in float32."""
        b_t = torch.cat([torch.zeros(1, dtype=torch.float64), check.betas(betas).double().cpu()])
        a_t = 1 - b_t
        ab_t = a_t.cumprod(dim=0)
        return cls(b_t.float(), a_t.float(), ab_t.float())

    @property
    def timesteps(self) -> int:
        """T, the number of noise levels."""
        return len(self.b_t) - 1

    @property
    def ends_at_zero(self) -> bool:
        """Whether ᾱ_T = 0: at t = T nothing of the picture is left."""
        return bool(self.ab_t[-1] == 0)

    def to(self, device: torch.device | str) -> NoiseSchedule:
        """The same schedule with its tables on ``device``."""
        return NoiseSchedule(self.b_t.to(device), self.a_t.to(device), self.ab_t.to(device))


def linear_schedule(timesteps: int = 500, beta1: float = 1e-4, beta2: float = 0.02) -> NoiseSchedule:
    """β_t rises in a straight line from ``beta1`` at t = 1 to ``beta2`` at t = T (DDPM, section 4, with T = 1000)."""
    timesteps = check.whole(timesteps, "timesteps", 1, MOST_LEVELS)
    if not 0 < check.number(beta1, "beta1") <= check.number(beta2, "beta2") < 1:
        raise ValueError(f"expected 0 < beta1 <= beta2 < 1, got beta1={beta1}, beta2={beta2}")
    return NoiseSchedule.from_betas(torch.linspace(beta1, beta2, timesteps, dtype=torch.float64))


@lru_cache
def _default_schedule() -> NoiseSchedule:
    """The schedule that is meant where none is given. It is never handed out, so that nobody changes it."""
    return linear_schedule()


# ==================================================================================================
# 2. Network
# ==================================================================================================


class ResidualConvBlock(nn.Module):
    """Two 3×3 convolutions, (n, in_channels, h, w) → (n, out_channels, h, w); with ``is_res``, the input is added.

    Where the channel counts differ, the input passes through ``shortcut``, a learned 1×1 convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, is_res: bool = False) -> None:
        super().__init__()
        self.is_res = is_res
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, 1, 1), nn.BatchNorm2d(out_channels), nn.GELU()
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, 1, 1), nn.BatchNorm2d(out_channels), nn.GELU()
        )
        if is_res and in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
        else:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.conv1(x))
        if not self.is_res:
            return h
        # a sum of two signals of variance 1 has variance 2
        return (self.shortcut(x) + h) / math.sqrt(2)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *rest: object) -> None:
        """As in torch.nn.Module, but ``shortcut`` may be missing, as in checkpoints of the public course.

        Its code drew that projection at random anew in every forward pass. The mean of these is zero.
        """
        own = self.state_dict(prefix=prefix)
        lost = {name: torch.zeros_like(own[name]) for name in own.keys() - state_dict.keys()}
        if lost and lost.keys() == {name for name in own if name.startswith(f"{prefix}shortcut.")}:
            warnings.warn(f"the checkpoint has no {', '.join(sorted(lost))}; set to zero", stacklevel=2)
            state_dict.update(lost)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class UnetDown(nn.Module):
    """Two convolution blocks, then half the size: (n, in_channels, h, w) → (n, out_channels, h/2, w/2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            ResidualConvBlock(in_channels, out_channels), ResidualConvBlock(out_channels, out_channels), nn.MaxPool2d(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class UnetUp(nn.Module):
    """Joins the skip connection, doubles the size: x and skip, together in_channels → (n, out_channels, 2h, 2w)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, 2, 2),
            ResidualConvBlock(out_channels, out_channels),
            ResidualConvBlock(out_channels, out_channels),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.model(torch.cat((x, skip), dim=1))


class EmbedFC(nn.Module):
    """Turns a few numbers (a time, a context) into a vector: (n, input_dim) → (n, emb_dim)."""

    def __init__(self, input_dim: int, emb_dim: int) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.model = nn.Sequential(nn.Linear(input_dim, emb_dim), nn.GELU(), nn.Linear(emb_dim, emb_dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x.reshape(-1, self.input_dim))


class ContextUnet(nn.Module):
    """The noise predictor ε_θ(x_t, t, c): a U-Net that is told the noise level and, if wanted, what to draw.

    Args:
        in_channels: channels of the pictures, 3 for colour.
        n_feat: width of the network; a multiple of 8, because its group norms have 8 groups.
        n_cfeat: length of a context vector.
        height: height and width of the pictures; a multiple of 4, because they are halved twice.
    """

    def __init__(self, in_channels: int, n_feat: int = 256, n_cfeat: int = 10, height: int = 28) -> None:
        super().__init__()
        check.sizes(in_channels=in_channels, n_feat=n_feat, n_cfeat=n_cfeat, height=height)
        self.in_channels, self.n_feat, self.n_cfeat, self.height = in_channels, n_feat, n_cfeat, height

        self.init_conv = ResidualConvBlock(in_channels, n_feat, is_res=True)
        self.down1 = UnetDown(n_feat, n_feat)
        self.down2 = UnetDown(n_feat, 2 * n_feat)
        self.to_vec = nn.Sequential(nn.AvgPool2d(height // 4), nn.GELU())

        self.timeembed1 = EmbedFC(1, 2 * n_feat)
        self.timeembed2 = EmbedFC(1, n_feat)
        self.contextembed1 = EmbedFC(n_cfeat, 2 * n_feat)
        self.contextembed2 = EmbedFC(n_cfeat, n_feat)

        self.up0 = nn.Sequential(
            nn.ConvTranspose2d(2 * n_feat, 2 * n_feat, height // 4, height // 4),
            nn.GroupNorm(8, 2 * n_feat),
            nn.ReLU(),
        )
        self.up1 = UnetUp(4 * n_feat, n_feat)
        self.up2 = UnetUp(2 * n_feat, n_feat)
        self.out = nn.Sequential(
            nn.Conv2d(2 * n_feat, n_feat, 3, 1, 1),
            nn.GroupNorm(8, n_feat),
            nn.ReLU(),
            nn.Conv2d(n_feat, in_channels, 3, 1, 1),
        )

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """Predict the noise in x.

        Args:
            x: noisy pictures (n, in_channels, height, height).
            t: noise level divided by T, in (0, 1]; one number for all, or n of them in any shape.
            c: context (n, n_cfeat), float; None is the zero vector, "no context".

        Returns:
            the predicted noise, same shape as x.
        """
        t, c = self._check(x, t, c)
        x = self.init_conv(x)  # (n, n_feat, h, h)
        down1 = self.down1(x)  # (n, n_feat, h/2, h/2)
        down2 = self.down2(down1)  # (n, 2 n_feat, h/4, h/4)
        vec = self.to_vec(down2)  # (n, 2 n_feat, 1, 1): what is in the picture, not where

        cemb1 = self.contextembed1(c)[:, :, None, None]  # (n, 2 n_feat, 1, 1)
        temb1 = self.timeembed1(t)[:, :, None, None]
        cemb2 = self.contextembed2(c)[:, :, None, None]  # (n, n_feat, 1, 1)
        temb2 = self.timeembed2(t)[:, :, None, None]

        up0 = self.up0(vec)  # (n, 2 n_feat, h/4, h/4)
        up1 = self.up1(cemb1 * up0 + temb1, down2)  # (n, n_feat, h/2, h/2)
        up2 = self.up2(cemb2 * up1 + temb2, down1)  # (n, n_feat, h, h)
        return self.out(torch.cat((up2, x), dim=1))

    def _check(self, x: Tensor, t: Tensor | float, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """t as (n, 1) or (1, 1), c as (n, n_cfeat) or (1, n_cfeat)."""
        t = check.network_inputs(self, x, t, c)
        return t, x.new_zeros(1, self.n_cfeat) if c is None else c.to(x)

    @property
    def h(self) -> int:
        """The old name of ``height``."""
        return self.height

    def for_sampling(self) -> nn.Module:
        """The same network for sampling only, faster (see support/speed.py)."""
        return folded(self)

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True, assign: bool = False):
        """As in torch.nn.Module, but all is checked first, so that a file that does not fit changes nothing.

        What DataParallel and torch.compile put before each name is taken off. ``init_conv.shortcut`` may be missing.

        Raises:
            ValueError: missing or unknown keys, other shapes, or values that are not finite.
        """
        given = without_prefix(state_dict)
        check.fit(given, self.state_dict(), strict)
        return super().load_state_dict(given, strict=strict, assign=assign)


def load_pretrained(name_or_path: str | Path, device: torch.device | str | None = None) -> ContextUnet:
    """A trained network in evaluation mode, its sizes read off the checkpoint.

    Args:
        name_or_path: the name of a file in ``weights/``, such as "model_trained", or any path; ".pth" may be left out.
        device: where to put it; None is the first GPU if there is one, else the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short, is no checkpoint, or is one of another network.
    """
    path = find_weights(name_or_path)
    state = read_state(path)
    try:
        n_feat, in_channels, _, _ = state["init_conv.conv1.0.weight"].shape
        _, n_cfeat = state["contextembed1.model.0.weight"].shape
        _, _, quarter, _ = state["up0.0.weight"].shape
        sizes = (in_channels, n_feat, n_cfeat, 4 * quarter)
        with torch.device("meta"):  # takes no memory, whatever the file claims
            check.fit(state, ContextUnet(*sizes).state_dict())
        model = ContextUnet(*sizes)
        model.load_state_dict(state)
    except KeyError as missing:
        raise ValueError(f"{path} is not a checkpoint of ContextUnet: it has no {missing}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model.to(device or default_device()).eval()


@torch.no_grad()
def ema_update(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Move ``ema_model`` a little towards ``model``: weight ← decay · weight + (1 - decay) · model's weight.

    Buffers, the running statistics of batch norm among them, belong to the current weights and are copied.
    """
    check.number(decay, "decay", 0, 1)
    check.same_form(ema_model, model)
    for averaged, current in zip(ema_model.parameters(), model.parameters(), strict=True):
        averaged.lerp_(current, 1 - decay)
    for averaged, current in zip(ema_model.buffers(), model.buffers(), strict=True):
        averaged.copy_(current)


# ==================================================================================================
# 3. Diffusion arithmetic
# ==================================================================================================


def _at(table: Tensor, t: int | Tensor, x: Tensor) -> Tensor:
    """table[t], ready to be multiplied with x: one number for an int t, (n, 1, 1, 1) for a t of shape (n,).

    In float32 at least, for in 16 bits 1 - ᾱ_1 would be 0.
    """
    t = check.levels(t, len(x) if x.ndim else 1, len(table) - 1)
    dtype = torch.promote_types(x.dtype, torch.float32)
    if t.ndim > 0:
        return table.to(x.device)[t].reshape(-1, *[1] * (x.ndim - 1)).to(dtype)
    return table[t].to(dtype)


def ab_at(schedule: NoiseSchedule, t: int | Tensor, x: Tensor) -> Tensor:
    """ᾱ_t, ready to be multiplied with x; in float64, ``LEAST_AB`` in the place of ᾱ_T = 0, so that it can divide."""
    ab_t = _at(schedule.ab_t, t, x)
    return torch.where(ab_t == 0, LEAST_AB, ab_t) if x.dtype == torch.float64 else ab_t


def _fresh(z: Tensor | float | None, x: Tensor, needed: bool) -> Tensor:
    """Noise to put back, like x: z itself; where z is None, drawn if it is needed, else 0."""
    if z is None:
        return torch.randn_like(x) if needed else torch.zeros_like(x)
    return z if isinstance(z, Tensor) else torch.full_like(x, check.finite(z, "z"))


def perturb_input(x: Tensor, t: int | Tensor, noise: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """Noise clean pictures to level t in one step: x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε (DDPM, equation 4).

    Args:
        x: clean pictures x_0 (n, 3, h, w), or one, (3, h, w) or (1, 3, h, w), for many noises.
        t: noise level 0 … T, one for all or an integer tensor (n,).
        noise: ε, standard normal, same shape as x, or (n, 3, h, w) for one x.
    """
    check.noise(x, noise)
    ab_t = ab_at(schedule or _default_schedule(), t, x)
    return ab_t.sqrt() * x + (1 - ab_t).sqrt() * noise


def denoise_add_noise(
    x: Tensor, t: int, pred_noise: Tensor, z: Tensor | float | None = None, schedule: NoiseSchedule | None = None
) -> Tensor:
    """One DDPM step from level t to t-1: remove the predicted noise, put back a little fresh noise √β_t z.

    x_{t-1} = (x_t - β_t / √(1-ᾱ_t) · ε_θ) / √α_t + √β_t z    (DDPM, algorithm 2 with σ_t² = β_t)

    Args:
        x: x_t (n, 3, h, w).
        t: the level that x is at, 1 … T.
        pred_noise: ε_θ(x_t, t), same shape.
        z: standard normal noise, same shape, or 0 for none. None draws it, except at t = 1: the last step adds none.
    """
    schedule = schedule or _default_schedule()
    t = check.level(t, 1, schedule.timesteps)
    z = _fresh(z, x, needed=t > 1)
    check.same_shape(x=x, pred_noise=pred_noise, z=z)
    b_t, a_t, ab_t = (_at(table, t, x) for table in (schedule.b_t, schedule.a_t, schedule.ab_t))
    mean = (x - b_t / (1 - ab_t).sqrt() * pred_noise) / a_t.sqrt()
    return mean + b_t.sqrt() * z


def predict_x0(x: Tensor, t: int | Tensor, pred_noise: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """The clean picture that the predicted noise implies: x̂_0 = (x_t - √(1-ᾱ_t) ε_θ) / √ᾱ_t (DDIM, equation 9).

    Args:
        x: x_t (n, 3, h, w).
        t: the level that x is at, 0 … T, one for all or an integer tensor (n,).
        pred_noise: ε_θ(x_t, t), same shape as x.
    """
    check.same_shape(x=x, pred_noise=pred_noise)
    ab_t = ab_at(schedule or _default_schedule(), t, pred_noise)
    return (x - (1 - ab_t).sqrt() * pred_noise) / ab_t.sqrt()


def noise_from_x0(x: Tensor, t: int | Tensor, x0_pred: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """The noise that a guessed clean picture implies: ε = (x_t - √ᾱ_t x̂_0) / √(1-ᾱ_t), :func:`predict_x0` read
    the other way.

    Args:
        x: x_t (n, 3, h, w).
        t: the level that x is at, 1 … T, one for all or an integer tensor (n,).
        x0_pred: x̂_0, same shape as x.
    """
    check.same_shape(x=x, x0_pred=x0_pred)
    ab_t = ab_at(schedule or _default_schedule(), t, x0_pred)
    return (x - ab_t.sqrt() * x0_pred) / (1 - ab_t).sqrt()


def denoise_ddim(
    x: Tensor,
    t: int,
    t_prev: int,
    pred_noise: Tensor,
    eta: float = 0.0,
    z: Tensor | None = None,
    schedule: NoiseSchedule | None = None,
) -> Tensor:
    """One DDIM step from level t to any lower level t_prev (DDIM, equation 12, with σ as in equation 16).

    σ = η √((1-ᾱ_prev) / (1-ᾱ_t)) √(1 - ᾱ_t / ᾱ_prev)
    x_prev = √ᾱ_prev x̂_0 + √(1-ᾱ_prev-σ²) ε_θ + σ z

    Args:
        x: x_t (n, 3, h, w).
        t, t_prev: the level that x is at and the one to go to, T >= t > t_prev >= 0.
        pred_noise: ε_θ(x_t, t), same shape.
        eta: 0 adds no noise (DDIM), 1 as much as DDPM with the posterior variance.
        z: standard normal noise, same shape; None draws it. Not used where σ = 0.
    """
    schedule = schedule or _default_schedule()
    check.number(eta, "eta", 0, 1)
    t, t_prev = check.levels_down(t, t_prev, schedule.timesteps)
    z = _fresh(z, x, needed=eta > 0)
    check.same_shape(x=x, pred_noise=pred_noise, z=z)
    ab_t, ab_prev = ab_at(schedule, t, pred_noise), ab_at(schedule, t_prev, pred_noise)
    sigma = eta * ((1 - ab_prev) / (1 - ab_t) * (1 - ab_t / ab_prev)).sqrt()
    x0_pred = predict_x0(x, t, pred_noise, schedule)
    direction = (1 - ab_prev - sigma**2).clamp(min=0).sqrt() * pred_noise
    return ab_prev.sqrt() * x0_pred + direction + sigma * z


def denoise_dpm(
    x: Tensor,
    t: int,
    t_prev: int,
    x0_pred: Tensor,
    before: tuple[int, Tensor] | None = None,
    schedule: NoiseSchedule | None = None,
    *,
    eta: float = 0.0,
    z: Tensor | None = None,
) -> Tensor:
    """One step of DPM-Solver++(2M), from level t to any lower level t_prev.

    With λ = ln(√ᾱ / √(1-ᾱ)), h = λ_prev - λ_t, r = (λ_t - λ_before) / h and a = (1 + η) h:
    D = x̂_0 + ρ/r (x̂_0 - x̂_0,before) with ρ = 1/(1 - e^-a) - 1/a, the mean of an x̂_0 that goes on changing as it did
    x_prev = √(1-ᾱ_prev) / √(1-ᾱ_t) e^-ηh x_t + √ᾱ_prev (1 - e^-a) D + √(1-ᾱ_prev) √(1 - e^-2ηh) z

    (DPM-Solver++, algorithm 2, and for η = 1 its form for the SDE. The paper has ρ = 1/2, the limit for short steps;
    the exact ρ is what diffusers calls solver_type="heun".)

    Args:
        x: x_t (n, 3, h, w).
        t, t_prev: the level that x is at and the one to go to, T >= t > t_prev >= 0.
        x0_pred: x̂_0 as predicted from x_t (see :func:`predict_x0`), same shape.
        before: the level of the step before and the x̂_0 predicted there. None makes a step of first order, D = x̂_0,
            which with η = 0 or 1 is DDIM's. The step to t_prev = 0, where h is infinite, gives x̂_0 itself.
        eta: how fast old noise is exchanged for fresh: 0 keeps all of it, 1 exchanges it as DDPM does, ``math.inf`` at
            once, so that x_prev = √ᾱ_prev D + √(1-ᾱ_prev) z.
        z: standard normal noise, same shape; None draws it. Not used with η = 0, nor in the step to 0.
    """
    schedule = schedule or _default_schedule()
    check.number(eta, "eta", 0)
    t, t_prev = check.levels_down(t, t_prev, schedule.timesteps)
    check.same_shape(x=x, x0_pred=x0_pred)
    if before is not None:
        check.levels_down(before[0], t, schedule.timesteps)
        check.same_shape(x=x, **{"x0_pred before": before[1]})
        if before[0] == schedule.timesteps and schedule.ends_at_zero:
            before = None  # infinitely far away in λ, so that nothing has changed since
    if t_prev == 0:
        return x0_pred
    ab_t, ab_prev = ab_at(schedule, t, x0_pred), ab_at(schedule, t_prev, x0_pred)
    h = _half_log_snr(ab_prev) - _half_log_snr(ab_t)
    a, kept, d = (1 + eta) * h, (-eta * h).exp(), x0_pred
    if before is not None:
        t_before, x0_before = before
        r = (_half_log_snr(ab_t) - _half_log_snr(ab_at(schedule, t_before, x0_pred))) / h
        d = x0_pred + (1 / (1 - (-a).exp()) - 1 / a) / r * (x0_pred - x0_before)
    x_prev = ((1 - ab_prev) / (1 - ab_t)).sqrt() * kept * x + ab_prev.sqrt() * (1 - (-a).exp()) * d
    if eta == 0:
        return x_prev
    z = _fresh(z, x, needed=True)
    check.same_shape(x=x, z=z)
    return x_prev + ((1 - ab_prev) * (1 - kept**2)).sqrt() * z


def _half_log_snr(ab_t: Tensor) -> Tensor:
    """λ = ln(√ᾱ / √(1-ᾱ)), half the logarithm of the signal-to-noise ratio."""
    return 0.5 * (ab_t.log() - (1 - ab_t).log())


def exact_denoiser(m: float, s: float, schedule: NoiseSchedule | None = None) -> Callable:
    """The best possible noise prediction for plain numbers from N(m, s²), to test samplers without a network.

    x_t and ε are jointly Gaussian, so E[ε | x_t] is linear regression: Cov(ε, x_t) / Var(x_t) · (x_t - E[x_t]).

    Returns:
        a function model(x, t, c=None) → prediction like x; t is the level divided by T, one for all of x; c is ignored.
    """
    schedule = schedule or _default_schedule()

    def model(x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        ab = schedule.ab_t[round(float(t) * schedule.timesteps)].to(x)
        return (1 - ab).sqrt() * (x - ab.sqrt() * m) / (ab * s**2 + 1 - ab)

    return model


def guided_noise(pred_cond: Tensor, pred_uncond: Tensor, guidance: float) -> Tensor:
    """Classifier-free guidance: ε_∅ + w (ε_c - ε_∅), so w = 0 ignores the context and w > 1 overstates it.

    (Ho and Salimans 2022, arXiv 2207.12598, equation 6, whose w is ours minus 1.)
    """
    check.same_shape(pred_cond=pred_cond, pred_uncond=pred_uncond)
    return pred_uncond + guidance * (pred_cond - pred_uncond)


# ==================================================================================================
# 4. Sampling
# ==================================================================================================
# Three ideas. A model answers with the noise, and models wrap models. A step goes from x_t to x_(t_next), and steps
# wrap steps. One loop asks the model and takes the step.

# step(x, t, t_next, pred_noise, z) → x at t_next
Step = Callable[[Tensor, int, int, Tensor, Tensor], Tensor]


class NoisePredictor(Protocol):
    """What sampling asks of a model: ε_θ(x_t, t, c), and the form of its pictures.

    A plain function will do as well; its pictures are taken to be (3, 16, 16). Optional: ``for_sampling()``, a faster
    copy, and ``predicts`` = "x0" or "v" where x̂_0 is known even at ᾱ_T = 0 (see going_further/predictions.py).
    """

    in_channels: int
    height: int
    n_cfeat: int

    def __call__(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """The predicted noise, shaped like x (n, in_channels, height, height), at level t / T; c is (n, n_cfeat)."""


class ModelWrapper(nn.Module):
    """A model around a :class:`NoisePredictor`. What is made of it says in ``forward`` what it does with the answer."""

    def __init__(self, model: Callable) -> None:
        super().__init__()
        self.model = check.model(model)
        self.height = _height(model)
        for name in ("in_channels", "n_cfeat", "predicts"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))

    def for_sampling(self) -> ModelWrapper:
        """The same wrapper around faster copies of the models in it."""
        twin = copy.copy(self)
        twin._modules = {name: faster(module) for name, module in self._modules.items()}
        return twin


def _height(model: Callable) -> int:
    """Height of a model's pictures; code written for the public course calls it h."""
    return getattr(model, "height", getattr(model, "h", 16))


class Guided(ModelWrapper):
    """Classifier-free guidance: ε_∅ + w (ε_c - ε_∅), see :func:`guided_noise`. Without a context, the model itself.

    Args:
        guidance: w; 0 ignores the context, 1 is the plain context, above 1 exaggerates it.
    """

    def __init__(self, model: Callable, guidance: float) -> None:
        super().__init__(model)
        self.guidance = check.finite(guidance, "guidance")

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        if c is None or self.guidance == 0:
            return self.model(x, t, None)
        if self.guidance == 1:
            return self.model(x, t, c)
        return guided_noise(self.model(x, t, c), self.model(x, t, None), self.guidance)


class Autoguided(ModelWrapper):
    """Guidance by a worse copy of the same network: ε + (w - 1) (ε - ε_worse), within some levels only.

    Where both err, the worse one errs farther the same way, so the difference points away from errors (Karras et al.
    2024, arXiv 2406.02507).

    Args:
        model, worse: two networks, such as one and its own earlier self.
        guidance: w; 1 is the model itself.
        levels: the first and last level t that are guided, of ``timesteps``; outside, only the model is asked.
    """

    def __init__(
        self,
        model: Callable,
        worse: Callable,
        guidance: float,
        levels: tuple[float, float] = (0, math.inf),
        timesteps: int = 500,
    ) -> None:
        super().__init__(model)
        self.worse, self.timesteps = check.model(worse), check.whole(timesteps, "timesteps", 1)
        self.guidance, (self.low, self.high) = check.finite(guidance, "guidance"), check.interval(levels)

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        pred_noise = self.model(x, t, c)
        level = torch.as_tensor(t, device=x.device).reshape(-1, *[1] * (x.ndim - 1)) * self.timesteps
        # half a level, for t / T is rounded
        inside = (level > self.low - 0.5) & (level < self.high + 0.5)
        if self.guidance == 1 or not inside.any():
            return pred_noise
        return torch.where(inside, guided_noise(pred_noise, self.worse(x, t, c), self.guidance), pred_noise)


class Clipped(ModelWrapper):
    """Keeps the guessed picture x̂_0 in [-1, 1], and answers with the noise that belongs to it.

    Args:
        schedule: the one that the network was trained with, and that the sampler is given as well.
    """

    def __init__(self, model: Callable, schedule: NoiseSchedule | None = None) -> None:
        super().__init__(model)
        self.schedule = schedule or _default_schedule()

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        level = to_level(t, self.schedule)
        pred_noise = self.model(x, t, c)
        pred_noise = pred_noise.to(torch.promote_types(pred_noise.dtype, x.dtype))
        x0_pred = predict_x0(x, level, pred_noise, self.schedule).clamp(-1, 1)
        return noise_from_x0(x, level, x0_pred, self.schedule)


def to_level(t: Tensor | float, schedule: NoiseSchedule) -> int | Tensor:
    """t / T → t: an int for one number, else (n,)."""
    if not isinstance(t, Tensor) or t.numel() == 1:
        return round(float(t) * schedule.timesteps)
    return (t.reshape(-1) * schedule.timesteps).round().long()


# -------------------------------------------------------------------------------------------- steps


def step_pairs(n: int, timesteps: int = 500, start: int | None = None) -> list[tuple[int, int]]:
    """The walk from T to 0 in n steps, as pairs (t, next t): ``step_pairs(2, 500)`` is [(500, 250), (250, 0)].

    Args:
        start: the level to begin at, for a picture that is noised to it; None is ``timesteps``.
    """
    start = timesteps if start is None else check.whole(start, "start", 1, timesteps)
    n = check.whole(n, "a number of steps n", 1, start)
    levels = np.linspace(start, 0, n + 1).round().astype(int).tolist()
    return list(zip(levels[:-1], levels[1:], strict=True))


def ddpm_step(schedule: NoiseSchedule | None = None) -> Step:
    """The step of DDPM, from t to t-1 (see :func:`denoise_add_noise`)."""

    schedule = schedule or _default_schedule()

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        if t_next != t - 1:
            raise ValueError(f"DDPM goes from t to t-1, not from {t} to {t_next}: take ddim_step or dpm_step")
        # where ᾱ_t = 0, so that α_t = 0 and β_t = 1, the formula is 0/0; this is its limit
        if t == schedule.timesteps and schedule.ends_at_zero:
            return ab_at(schedule, t_next, x).sqrt() * predict_x0(x, t, pred_noise, schedule) + z
        return denoise_add_noise(x, t, pred_noise, z, schedule)

    return step


def ddim_step(eta: float = 0.0, schedule: NoiseSchedule | None = None) -> Step:
    """The step of DDIM, from t to any lower level (see :func:`denoise_ddim`)."""
    check.number(eta, "eta", 0, 1)

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        return denoise_ddim(x, t, t_next, pred_noise, eta, z, schedule)

    return step


def dpm_step(eta: float = 0.0, schedule: NoiseSchedule | None = None) -> Step:
    """The step of DPM-Solver++(2M), from t to any lower level (see :func:`denoise_dpm`).

    It remembers the x̂_0 of the step before, if that ended where this one begins.
    """
    check.number(eta, "eta", 0)
    before, reached = None, None

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        nonlocal before, reached
        if reached != t or before[1].shape != x.shape:
            before = None
        x0_pred = predict_x0(x, t, pred_noise, schedule)
        x_next = denoise_dpm(x, t, t_next, x0_pred, before, schedule, eta=eta, z=z)
        before, reached = (t, x0_pred), t_next
        return x_next

    return step


# ----------------------------------------------------------------------------------------- the loop


@torch.no_grad()
def denoising(
    step: Step,
    pairs: Iterable[tuple[int, int]],
    n_sample: int,
    *,
    model: Callable,
    x: Tensor | None = None,
    context: Tensor | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | torch.Generator | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The loop behind all samplers: at each pair (t, t_next), ask the model and take the step.

        for t, x, x0_pred in denoising(ddim_step(), step_pairs(20), 8, model=model):
            ...  # break ends it; what is written into x in place counts in the next step

    Args:
        step: ``step(x, t, t_next, pred_noise, z)`` → x at t_next; z is fresh noise, and 0 in a step to 0.
        pairs: the levels to go through, each pair (t, t_next) in 0 … T. With x, they may begin below T.
        n_sample: how many pictures.
        model: a :class:`NoisePredictor`.
        x: where to start: pictures (n_sample, channels, h, w) at the first level. None is pure noise.
        context: (n_sample, n_cfeat), one row for each picture, or None.
        schedule: the one that the step was made with; None is :func:`linear_schedule`.
        seed: of the noise; the same on the CPU and on a GPU. None continues torch's own random stream.

    Yields:
        after each step the level reached, x there, and x̂_0, the clean picture that was guessed on the way.

    Raises:
        ValueError: arguments that do not fit; a model or step that answers in another shape or with NaN; ᾱ_T = 0 at
            the start of a model that predicts noise, which says nothing about the picture there.
    """
    schedule = schedule or _default_schedule()
    pairs = check.walk(list(pairs), schedule, check.model(model))
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = parameter.device if parameter is not None else torch.device("cpu")
    dtype = parameter.dtype if parameter is not None else torch.float32
    generator = check.seeded(seed)
    x = _start(n_sample, model, x, generator).to(device, copy=True)
    context = check.contexts(context, len(x), getattr(model, "n_cfeat", None), device)
    network, size = faster(model), largest_batch(device, _height(model))

    def predict(x: Tensor, t: int) -> Tensor:
        level = torch.tensor(t / schedule.timesteps, dtype=torch.float32, device=device)
        contexts = repeat(None) if context is None else context.split(size)
        parts = zip(x.to(dtype).split(size), contexts, strict=False)
        with evaluating(model):
            answers = [check.answer(network(part, level, c), part, f"the model at t = {t}") for part, c in parts]
        return torch.cat(answers)

    for t, t_next in pairs:
        # noise added last would stay in the picture
        z = _noise(x.shape, generator).to(device) if t_next > 0 else torch.zeros_like(x)
        pred_noise = predict(x, t)
        x0_pred = predict_x0(x, t, pred_noise, schedule).float()
        x = check.answer(step(x, t, t_next, pred_noise, z), x, f"the step from {t} to {t_next}").float()
        yield t_next, x, x0_pred


def _noise(shape: Iterable[int], generator: torch.Generator | None) -> Tensor:
    """Standard normal noise. From the CPU on every device, so that a seed means the same sprites on a GPU."""
    return torch.randn(tuple(shape), generator=generator, dtype=torch.float32)


def _start(n_sample: int, model: Callable, x: Tensor | None, generator: torch.Generator | None) -> Tensor:
    """x_T, pure noise, or the x that was given, in float32."""
    shape = (check.whole(n_sample, "n_sample", 1), getattr(model, "in_channels", 3), _height(model), _height(model))
    return _noise(shape, generator) if x is None else check.start(x, shape, model).float()


def sample(
    step: Step,
    pairs: Iterable[tuple[int, int]],
    n_sample: int,
    *,
    model: Callable,
    x: Tensor | None = None,
    context: Tensor | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | torch.Generator | None = None,
    save_rate: int | None = 1,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """Run :func:`denoising` to its end and keep what it shows.

    Args:
        save_rate: keep a frame after every ``save_rate`` steps; None keeps the result alone, which saves memory.
        progress: show a progress bar.

    Other arguments as there.

    Returns:
        samples (n_sample, channels, h, w), about in [-1, 1], on the model's device; and the frames on the way, a
        float32 array (frames, n_sample, channels, h, w) from the start to the result.
    """
    pairs, generator = list(pairs), check.seeded(seed)
    save_rate = math.inf if save_rate is None else check.whole(save_rate, "save_rate", 1)
    x = _start(n_sample, model, x, generator)
    walk = denoising(step, pairs, n_sample, model=model, x=x, context=context, schedule=schedule, seed=generator)
    walk = tqdm(walk, total=len(pairs), leave=False) if progress else walk
    saved = [i for i in range(len(pairs)) if i % save_rate == 0 and save_rate < math.inf] + [len(pairs)]
    frames = np.empty((len(saved), *x.shape), np.float32)
    for i, x in enumerate(chain([x], (x for _, x, _ in walk))):  # noqa: B020
        if i in saved:
            frames[saved.index(i)] = x.cpu()
    return x, frames


# ----------------------------------------------------------------------------- the samplers by name


@lru_cache
def _pretrained(name: str) -> ContextUnet:
    """A shipped network, loaded once."""
    return load_pretrained(name)


def _run(
    step: Step,
    n: int | None,
    n_sample: int,
    context: Tensor | None,
    name: str,
    *,
    guidance: float = 1.0,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    **options: object,
) -> tuple[Tensor, np.ndarray]:
    """``sample`` in n steps, None being all of the schedule's, by default with the pre-trained network ``name``."""
    timesteps = (schedule or _default_schedule()).timesteps
    model = Guided(_pretrained(name) if model is None else model, guidance)
    pairs = step_pairs(timesteps if n is None else n, timesteps)
    return sample(step, pairs, n_sample, model=model, context=context, schedule=schedule, **options)


def sample_ddpm(n_sample: int, save_rate: int | None = 20, **options: object) -> tuple[Tensor, np.ndarray]:
    """Draw sprites by DDPM: all T steps, with fresh noise after each but the last (DDPM, algorithm 2).

    Args:
        n_sample: how many.
        save_rate: keep a frame after every ``save_rate`` steps; None keeps the result alone.
        options: ``model`` (None is the pre-trained network), ``schedule``, ``seed``, ``progress`` and what else
            :func:`sample` takes.

    Returns:
        samples (n_sample, 3, h, w), about in [-1, 1], on the model's device; and the frames on the way, a float32
        array (frames, n_sample, 3, h, w) from the first, x_T, to the last, the result.
    """
    step = ddpm_step(options.get("schedule"))
    return _run(step, None, n_sample, None, "model_trained", save_rate=save_rate, **options)


def sample_ddpm_incorrect(n_sample: int, *, save_rate: int | None = 20, **options: object) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_ddpm` with one mistake, made on purpose: no noise is put back after a step.

    Arguments and results as there; the same seed starts both from the same x_T.
    """
    right = ddpm_step(options.get("schedule"))

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        return right(x, t, t_next, pred_noise, torch.zeros_like(z))  # z is thrown away

    return _run(step, None, n_sample, None, "model_trained", save_rate=save_rate, **options)


def sample_ddpm_context(
    n_sample: int, context: Tensor | None, save_rate: int | None = 20, **options: object
) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_ddpm` of sprites that follow a context; the default network is the one trained with contexts.

    Args:
        context: (n_sample, n_cfeat), one row for each sample; the classes are hero, non-hero, food, spell, side-facing.
            None is no context.
        options: also ``guidance``, w; 1 is the plain context, 0 ignores it, above 1 exaggerates it (see
            :class:`Guided`).
    """
    step = ddpm_step(options.get("schedule"))
    return _run(step, None, n_sample, context, "context_model_trained", save_rate=save_rate, **options)


def sample_ddim(n_sample: int, n: int = 20, *, eta: float = 0.0, **options: object) -> tuple[Tensor, np.ndarray]:
    """Draw sprites by DDIM in ``n`` steps, spread evenly over the T levels.

    Args:
        n: number of steps, 1 … T.
        eta: 0 adds no noise on the way, 1 as much as DDPM (see :func:`denoise_ddim`).
        options: as in :func:`sample_ddpm`; ``save_rate`` is 1.
    """
    step = ddim_step(eta, options.get("schedule"))
    return _run(step, n, n_sample, None, "model_trained", **options)


def sample_ddim_context(
    n_sample: int, context: Tensor | None, n: int = 20, *, eta: float = 0.0, **options: object
) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_ddim` of sprites that follow a context, as in :func:`sample_ddpm_context`."""
    step = ddim_step(eta, options.get("schedule"))
    return _run(step, n, n_sample, context, "context_model_trained", **options)


def sample_dpm(n_sample: int, n: int = 10, *, eta: float = 0.0, **options: object) -> tuple[Tensor, np.ndarray]:
    """Draw sprites by DPM-Solver++(2M) in ``n`` steps, spread evenly over the T levels (see :func:`denoise_dpm`).

    ``eta=math.inf`` draws the best sprites in 8 to 20 steps, but not in many, nor with much guidance (see
    going_further/solvers.ipynb). With ``eta=0`` each noise has its sprite. All else as in :func:`sample_ddim`.
    """
    step = dpm_step(eta, options.get("schedule"))
    return _run(step, n, n_sample, None, "model_trained", **options)


def sample_dpm_context(
    n_sample: int, context: Tensor | None, n: int = 10, *, eta: float = 0.0, **options: object
) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_dpm` of sprites that follow a context, as in :func:`sample_ddpm_context`."""
    step = dpm_step(eta, options.get("schedule"))
    return _run(step, n, n_sample, context, "context_model_trained", **options)


# ==================================================================================================
# 5. Sprites
# ==================================================================================================


def transform(sprite: np.ndarray) -> Tensor:
    """A picture uint8 (h, w, 3) with values 0 … 255 → float32 (3, h, w) with values -1 … 1."""
    # importing torchvision takes a second
    from torchvision.transforms.functional import normalize, to_tensor

    return normalize(to_tensor(check.sprites(sprite, 3)), (0.5,), (0.5,))


class CustomDataset(Dataset):
    """Sprites and their labels from two .npy files, for a ``DataLoader``.

    Item i is (``transform`` of sprite i, its label). Labels are float vectors: a mixed label of 0.6 stays 0.6.

    Args:
        sfilename: sprites, uint8 (n, h, w, 3).
        lfilename: labels, numbers (n, number of classes).
        transform: what turns a sprite into a tensor, such as :data:`transform`; None leaves the array.
        null_context: give zeros for every label, as for training without context.

    Raises:
        FileNotFoundError, ValueError: as :func:`load_sprites`.
    """

    def __init__(
        self, sfilename: str | Path, lfilename: str | Path, transform: Callable | None, null_context: bool = False
    ) -> None:
        self.sprites, self.slabels = load_sprites(sfilename, lfilename)
        self.transform = transform
        self.null_context = null_context

    def __len__(self) -> int:
        return len(self.sprites)

    def __getitem__(self, idx: int) -> tuple[Tensor, Tensor]:
        image = self.sprites[idx] if self.transform is None else self.transform(self.sprites[idx])
        # a copy: what a loop changes in place does not change the data
        label = torch.tensor(self.slabels[idx])
        return image, torch.zeros_like(label) if self.null_context else label

    def getshapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of the sprites and of the labels."""
        return self.sprites.shape, self.slabels.shape


def sprite_tensors(
    sprites: np.ndarray, labels: np.ndarray, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """The whole set at once: images (n, 3, h, w) in [-1, 1] and labels (n, classes), both float32 on ``device``.

    1,788 sprites take 5 MB, so there is no need to load them picture by picture.

    Raises:
        ValueError: sprites that are not uint8 (n, h, w, 3), or not one label for each, of finite numbers.
    """
    sprites, labels = check.sprites(sprites, 4), check.labels(labels, len(sprites))
    images = torch.from_numpy(sprites).to(device).permute(0, 3, 1, 2) / 127.5 - 1
    return images.contiguous(), torch.tensor(labels, dtype=torch.float32, device=device)


def _hue_rotation(angle: Tensor) -> Tensor:
    """(n,) angles → (n, 3, 3) rotations of RGB about the grey axis: hues turn, white, black and grey stay."""
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    grey = angle.new_full((3, 3), 1 / 3)  # the projection on the grey axis
    cross = angle.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    return cos * torch.eye(3).to(angle) + (1 - cos) * grey + sin * cross


def augment(images: Tensor, hue: float = 0.05, generator: torch.Generator | None = None, mirror: bool = True) -> Tensor:
    """Mirror images (n, 3, h, w) with probability 1/2 and turn their hues by normal angles of spread ``hue`` (radians).

    A mirrored hero is a hero; a carrot of another orange is a carrot; a blue one would not be. ``mirror=False`` is for
    letters, and for whatever else always faces one way.
    """
    check.colour_pictures(images)
    check.number(hue, "hue", 0, math.pi)
    n = len(images)
    mirrored = torch.rand(n, generator=generator).to(images.device) < 0.5 * mirror
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    angle = (hue * torch.randn(n, generator=generator)).to(images)
    return torch.einsum("nij,njhw->nihw", _hue_rotation(angle), images).clamp(-1, 1)


def sprite_batches(
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    generator: torch.Generator | None = None,
    hue: float = 0.05,
    mirror: bool = True,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless augmented batches (images, labels), the set shuffled anew in each pass over it.

    A pass shows every sprite at most once; the few that would not fill a last batch are left out. ``hue`` and
    ``mirror`` are those of :func:`augment`.
    """
    check.same_length(images=images, labels=labels)
    check.whole(batch_size, "batch_size", 1, len(images))
    while True:
        order = torch.randperm(len(images), generator=generator).to(images.device)
        for chosen in order[: len(order) - len(order) % batch_size].split(batch_size):
            yield augment(images[chosen], hue, generator, mirror), labels[chosen]

"""Everything that the four labs share, in the order in which they need it.

1. Noise schedule         how much noise each step adds
2. Network                the U-Net that predicts the noise in a picture
3. Diffusion arithmetic   one formula a function: add noise, take a step back
4. Samplers               from pure noise to sprites, along a list of steps
5. Sprites                the data set, batch by batch
6. Pictures               grids, film strips, animations
7. Quality                how good, how varied, how obedient samples are, and whether they copy
8. Speed                  the same network, computed faster; nothing that a lab teaches

Notation, the same in every lab: T = 500 noise levels; t = 0 is a clean picture, t = T pure noise (libraries that count
from 0 call our t their t - 1);
b_t, a_t, ab_t = β_t, α_t = 1 - β_t, ᾱ_t = α_1 ⋯ α_t; pictures x have shape (n, 3, 16, 16) and values in [-1, 1].
DDPM means Ho et al. 2020 (arXiv 2006.11239), DDIM Song et al. 2020 (arXiv 2010.02502), DPM-Solver++ Lu et al. 2022
(arXiv 2211.01095).
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from numbers import Integral
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn
from matplotlib.animation import FuncAnimation, PillowWriter
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

__all__ = [
    "torch",  # so that a snippet runs right after `from diffusion_utilities import *`
    "NoiseSchedule", "linear_schedule",
    "ResidualConvBlock", "UnetDown", "UnetUp", "EmbedFC", "ContextUnet",
    "load_pretrained", "save_weights", "ema_update", "evaluating",
    "perturb_input", "denoise_add_noise", "predict_x0", "denoise_ddim", "denoise_dpm", "guided_noise",
    "exact_denoiser", "step_pairs", "sample_ddpm", "sample_ddpm_incorrect", "sample_ddpm_context", "sample_ddim",
    "sample_ddim_context", "sample_dpm", "sample_dpm_context",
    "CLASS_NAMES", "CustomDataset", "transform", "load_sprites", "sprite_tensors", "augment", "sprite_batches",
    "to_unit", "unorm", "norm_all", "norm_torch", "gen_tst_context",
    "show_images", "plot_grid", "plot_sample", "compare_samples", "film_strip",
    "SpriteClassifier", "load_classifier", "frechet_sprite_distance", "precision_recall", "class_accuracy",
    "nearest_sprite", "background_error",
    "faster", "bf16_is_faster", "OpenvinoUnet",
]  # fmt: skip

ROOT = Path(__file__).resolve().parent
WEIGHTS_DIR = ROOT / "weights"
CLASS_NAMES = ("hero", "non-hero", "food", "spell", "side-facing")


# ======================================================================================================================
# 1. Noise schedule
# ======================================================================================================================


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
        b_t, a_t, ab_t = (table.double().cpu() for table in (self.b_t, self.a_t, self.ab_t))
        if not (b_t.ndim == 1 and len(b_t) >= 2 and b_t.shape == a_t.shape == ab_t.shape):
            shapes = [tuple(table.shape) for table in (b_t, a_t, ab_t)]
            raise ValueError(f"a schedule needs three tables of the same shape (T+1,) with T >= 1, not {shapes}")
        rules = {
            "b_t[0] = 0, a_t[0] = 1 and ab_t[0] = 1": (b_t[0], a_t[0], ab_t[0]) == (0, 1, 1),
            "0 < b_t <= 1 for t >= 1": bool(((b_t[1:] > 0) & (b_t[1:] <= 1)).all()),
            "a_t = 1 - b_t": torch.allclose(a_t, 1 - b_t, atol=1e-6),
            "ab_t falls and stays >= 0 (in float32)": bool((ab_t.diff() < 0).all() and (ab_t >= 0).all()),
            "ab_t = ab_(t-1) * a_t": torch.allclose(ab_t[1:], ab_t[:-1] * a_t[1:], rtol=1e-4, atol=1e-7),
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ValueError(f"not a noise schedule: it must be that {'; '.join(broken)}")

    @classmethod
    def from_betas(cls, betas: Tensor) -> NoiseSchedule:
        """The schedule of β_1 … β_T, shape (T,). Products are taken in float64: 500 roundings would show in float32."""
        b_t = torch.cat([torch.zeros(1, dtype=torch.float64), betas.double()])
        a_t = 1 - b_t
        ab_t = a_t.cumprod(dim=0)
        return cls(b_t.float(), a_t.float(), ab_t.float())

    @property
    def timesteps(self) -> int:
        """T, the number of noise levels."""
        return len(self.b_t) - 1

    def to(self, device: torch.device | str) -> NoiseSchedule:
        """The same schedule with its tables on ``device``."""
        return NoiseSchedule(self.b_t.to(device), self.a_t.to(device), self.ab_t.to(device))


def linear_schedule(timesteps: int = 500, beta1: float = 1e-4, beta2: float = 0.02) -> NoiseSchedule:
    """β_t rises in a straight line from ``beta1`` at t = 1 to ``beta2`` at t = T (DDPM, section 4, with T = 1000).

    Raises:
        ValueError: ``timesteps`` below 1, or not 0 < beta1 <= beta2 < 1.
    """
    if timesteps < 1 or not 0 < beta1 <= beta2 < 1:
        raise ValueError(
            "expected timesteps >= 1 and 0 < beta1 <= beta2 < 1, "
            f"got timesteps={timesteps}, beta1={beta1}, beta2={beta2}"
        )
    return NoiseSchedule.from_betas(torch.linspace(beta1, beta2, timesteps, dtype=torch.float64))


@lru_cache
def _default_schedule() -> NoiseSchedule:
    """The schedule that is meant where none is given. It is never handed out, so that nobody changes it."""
    return linear_schedule()


# ======================================================================================================================
# 2. Network
# ======================================================================================================================


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
        return (self.shortcut(x) + h) / math.sqrt(2)  # a sum of two signals of variance 1 has variance 2


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

    Raises:
        ValueError: a size that the network cannot have.
    """

    def __init__(self, in_channels: int, n_feat: int = 256, n_cfeat: int = 10, height: int = 28) -> None:
        super().__init__()
        if in_channels < 1 or n_cfeat < 1 or n_feat < 8 or n_feat % 8 or height < 4 or height % 4:
            raise ValueError(
                "expected in_channels >= 1, n_cfeat >= 1, n_feat a multiple of 8 and height a multiple of 4, "
                f"got in_channels={in_channels}, n_cfeat={n_cfeat}, n_feat={n_feat}, height={height}"
            )
        self.in_channels, self.n_feat, self.n_cfeat, self.h = in_channels, n_feat, n_cfeat, height

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

        Raises:
            ValueError: x, t or c of another shape.
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
        """t as (n, 1) or (1, 1), c as (n, n_cfeat) or (1, n_cfeat); a ValueError for shapes that cannot be meant."""
        if x.ndim != 4 or x.shape[1:] != (self.in_channels, self.h, self.h):
            expected = f"(n, {self.in_channels}, {self.h}, {self.h})"
            raise ValueError(f"this network takes pictures of shape {expected}, not {tuple(x.shape)}")
        t = torch.as_tensor(t, dtype=x.dtype, device=x.device)
        if t.numel() not in (1, len(x)):
            raise ValueError(f"t needs 1 value or one for each of the {len(x)} pictures, not shape {tuple(t.shape)}")
        if c is None:
            c = x.new_zeros(1, self.n_cfeat)
        elif c.shape != (len(x), self.n_cfeat):
            raise ValueError(f"context must have shape ({len(x)}, {self.n_cfeat}), not {tuple(c.shape)}")
        return t.reshape(-1, 1), c.to(x)

    def load_state_dict(self, state_dict: dict[str, Tensor], strict: bool = True, assign: bool = False):
        """As in torch.nn.Module, but all is checked first, so that a file that does not fit changes nothing.

        Checkpoints of the public course have no ``init_conv.shortcut``: its code drew that projection at random anew in
        every forward pass. Such a file loads with the mean of those random projections, which is zero, and a warning.

        Raises:
            ValueError: missing or unknown keys, other shapes, or values that are not finite.
        """
        own, given = self.state_dict(), dict(state_dict)
        lost = [key for key in own if key not in given]
        lost = lost if all(".shortcut." in key for key in lost) else []
        given.update({key: torch.zeros_like(own[key]) for key in lost})
        problems = [f"{key} is missing" for key in own.keys() - given.keys() if strict]
        problems += [f"{key} is unknown" for key in given.keys() - own.keys() if strict]
        for key in own.keys() & given.keys():
            if given[key].shape != own[key].shape:
                problems.append(f"{key} has shape {tuple(given[key].shape)}, expected {tuple(own[key].shape)}")
            elif not given[key].isfinite().all():
                problems.append(f"{key} holds values that are not finite")
        if problems:
            more = f" (and {len(problems) - 4} more)" if len(problems) > 4 else ""
            raise ValueError(f"this checkpoint does not fit the network: {'; '.join(sorted(problems)[:4])}{more}")
        if lost:
            warnings.warn(f"the checkpoint has no {', '.join(lost)}; set to zero", stacklevel=2)
        return super().load_state_dict(given, strict=strict, assign=assign)


def default_device() -> torch.device:
    """The first GPU if there is one, else the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def _check_hash(path: Path) -> None:
    """Warn where a file of ``weights/`` is not the one that ``weights/metrics.json`` describes."""
    record = WEIGHTS_DIR / "metrics.json"
    if path.resolve().parent != WEIGHTS_DIR or not record.is_file():
        return
    expected = json.loads(record.read_text()).get("sha256", {}).get(path.name)
    if expected and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        warnings.warn(
            f"{path.name} is not the file that weights/metrics.json describes: its SHA-256 differs. It is damaged, "
            "or was trained again; the figures of the model card do not hold for it.",
            stacklevel=4,
        )


def _read_state(path: Path) -> dict[str, Tensor]:
    """The state_dict in a file; a ValueError where there is none."""
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in WEIGHTS_DIR.glob("*.pth")))
        raise FileNotFoundError(f"no checkpoint at {path}; by name there are: {known or 'none'}")
    _check_hash(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different type for every way in which a file can be broken
        raise ValueError(f"{path} is not a complete PyTorch checkpoint: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no state_dict, that is a dictionary of tensors")
    return state


def load_pretrained(name_or_path: str | Path, device: torch.device | str | None = None) -> ContextUnet:
    """A trained network in evaluation mode, its sizes read off the checkpoint.

    Args:
        name_or_path: the name of a file in ``weights/``, such as "model_trained", or any path; ".pth" may be left out.
        device: where to put it; None is the first GPU if there is one, else the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short, is no checkpoint, or is one of another network.
    """
    path = Path(name_or_path)
    if not path.is_file():
        folder = WEIGHTS_DIR if str(name_or_path) == path.name else path.parent
        path = folder / (path.name.removesuffix(".pth") + ".pth")
    state = _read_state(path)
    try:
        n_feat, in_channels, _, _ = state["init_conv.conv1.0.weight"].shape
        _, n_cfeat = state["contextembed1.model.0.weight"].shape
        _, _, quarter, _ = state["up0.0.weight"].shape
        model = ContextUnet(in_channels, n_feat, n_cfeat, height=4 * quarter)
        model.load_state_dict(state)
    except KeyError as missing:
        raise ValueError(f"{path} is not a checkpoint of ContextUnet: it has no {missing}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model.to(device or default_device()).eval()


def save_weights(obj: object, path: str | Path) -> None:
    """``torch.save`` that leaves either the old file or the whole new one, whenever it is stopped."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        torch.save(obj, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@torch.no_grad()
def ema_update(ema_model: nn.Module, model: nn.Module, decay: float) -> None:
    """Move ``ema_model`` a little towards ``model``: weight ← decay · weight + (1 - decay) · model's weight.

    Buffers, the running statistics of batch norm among them, belong to the current weights and are copied.
    """
    for averaged, current in zip(ema_model.parameters(), model.parameters(), strict=True):
        averaged.lerp_(current, 1 - decay)
    for averaged, current in zip(ema_model.buffers(), model.buffers(), strict=True):
        averaged.copy_(current)


@contextmanager
def evaluating(model: Callable) -> Iterator[None]:
    """Within the block ``model`` is in evaluation mode; afterwards every part of it is in the mode it was in."""
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, nn.Module) else []
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


# ======================================================================================================================
# 3. Diffusion arithmetic
# ======================================================================================================================


def _at(table: Tensor, t: int | Tensor, x: Tensor) -> Tensor:
    """table[t], ready to be multiplied with x: one number for an int t, (n, 1, 1, 1) for a t of shape (n,).

    In float32 at least, for in 16 bits 1 - ᾱ_1 would be 0.
    """
    t = torch.as_tensor(t)
    if t.device.type == "cpu" and not 0 <= int(t.min()) <= int(t.max()) < len(table):  # a GPU would have to wait
        raise ValueError(f"expected noise levels t from 0 to {len(table) - 1}, got {t.tolist()}")
    dtype = torch.promote_types(x.dtype, torch.float32)
    if t.ndim > 0:
        return table.to(x.device)[t].reshape(-1, *[1] * (x.ndim - 1)).to(dtype)
    return table[t].to(dtype)


def perturb_input(x: Tensor, t: int | Tensor, noise: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """Noise clean pictures to level t in one step: x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε (DDPM, equation 4).

    Args:
        x: clean pictures x_0 (n, 3, h, w).
        t: noise level 0 … T, one for all or an integer tensor (n,).
        noise: ε, standard normal, same shape as x.

    Raises:
        ValueError: a level t that is not in 0 … T.
    """
    ab_t = _at((schedule or _default_schedule()).ab_t, t, x)
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

    Raises:
        ValueError: t is not in 1 … T.
    """
    schedule = schedule or _default_schedule()
    if not 1 <= t <= schedule.timesteps:
        raise ValueError(f"expected a noise level t from 1 to {schedule.timesteps}, got {t}")
    b_t, a_t, ab_t = (_at(table, t, x) for table in (schedule.b_t, schedule.a_t, schedule.ab_t))
    if z is None:
        z = torch.randn_like(x) if t > 1 else torch.zeros_like(x)
    mean = (x - b_t / (1 - ab_t).sqrt() * pred_noise) / a_t.sqrt()
    return mean + b_t.sqrt() * z


def predict_x0(x: Tensor, t: int | Tensor, pred_noise: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """The clean picture that the predicted noise implies: x̂_0 = (x_t - √(1-ᾱ_t) ε_θ) / √ᾱ_t (DDIM, equation 9).

    Args:
        x: x_t (n, 3, h, w).
        t: the level that x is at, 0 … T, one for all or an integer tensor (n,).
        pred_noise: ε_θ(x_t, t), same shape as x.
    """
    ab_t = _at((schedule or _default_schedule()).ab_t, t, x)
    return (x - (1 - ab_t).sqrt() * pred_noise) / ab_t.sqrt()


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

    Raises:
        ValueError: not T >= t > t_prev >= 0, or eta not in 0 … 1.
    """
    schedule = schedule or _default_schedule()
    if not 0 <= eta <= 1:
        raise ValueError(f"expected eta from 0 to 1, got {eta}")
    if not 0 <= t_prev < t <= schedule.timesteps:
        raise ValueError(f"expected {schedule.timesteps} >= t > t_prev >= 0, got t={t}, t_prev={t_prev}")
    ab_t, ab_prev = _at(schedule.ab_t, t, x), _at(schedule.ab_t, t_prev, x)
    sigma = eta * ((1 - ab_prev) / (1 - ab_t) * (1 - ab_t / ab_prev)).sqrt()
    x0_pred = predict_x0(x, t, pred_noise, schedule)
    direction = (1 - ab_prev - sigma**2).clamp(min=0).sqrt() * pred_noise
    if z is None:
        z = torch.randn_like(x) if eta > 0 else torch.zeros_like(x)
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

    Raises:
        ValueError: not T >= t > t_prev >= 0, the level before is not above t, or eta is negative or not a number.
    """
    schedule = schedule or _default_schedule()
    if not eta >= 0:
        raise ValueError(f"expected eta from 0 to infinity, got {eta}")
    if not 0 <= t_prev < t <= schedule.timesteps or (before is not None and not t < before[0] <= schedule.timesteps):
        levels = f"t={t}, t_prev={t_prev}" + (f", before={before[0]}" if before else "")
        raise ValueError(f"expected {schedule.timesteps} >= (level before >) t > t_prev >= 0, got {levels}")
    if t_prev == 0:
        return x0_pred
    ab_t, ab_prev = _at(schedule.ab_t, t, x), _at(schedule.ab_t, t_prev, x)
    h = _half_log_snr(ab_prev) - _half_log_snr(ab_t)
    a, kept, d = (1 + eta) * h, (-eta * h).exp(), x0_pred
    if before is not None:
        t_before, x0_before = before
        r = (_half_log_snr(ab_t) - _half_log_snr(_at(schedule.ab_t, t_before, x))) / h
        d = x0_pred + (1 / (1 - (-a).exp()) - 1 / a) / r * (x0_pred - x0_before)
    x_prev = ((1 - ab_prev) / (1 - ab_t)).sqrt() * kept * x + ab_prev.sqrt() * (1 - (-a).exp()) * d
    if eta == 0:
        return x_prev
    z = torch.randn_like(x) if z is None else z
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
    return pred_uncond + guidance * (pred_cond - pred_uncond)


# ======================================================================================================================
# 4. Samplers
# ======================================================================================================================


def step_pairs(n: int, timesteps: int = 500) -> list[tuple[int, int]]:
    """The walk from T to 0 in n steps, as pairs (t, next t): ``step_pairs(2, 500)`` is [(500, 250), (250, 0)].

    Raises:
        ValueError: n is not between 1 and ``timesteps``.
    """
    if not isinstance(n, Integral) or not 1 <= n <= timesteps:
        raise ValueError(f"expected a whole number of steps n from 1 to {timesteps}, got {n!r}")
    levels = np.linspace(timesteps, 0, n + 1).round().astype(int).tolist()
    return list(zip(levels[:-1], levels[1:], strict=True))


@lru_cache
def _pretrained(name: str) -> ContextUnet:
    """A shipped network, loaded once."""
    return load_pretrained(name)


def _check_request(
    n_sample: int, context: Tensor | None, save_rate: int, model: Callable, schedule: NoiseSchedule
) -> None:
    if not isinstance(n_sample, Integral) or n_sample < 1:
        raise ValueError(f"n_sample must be a whole number of at least 1, got {n_sample!r}")
    if not isinstance(save_rate, Integral) or save_rate < 1:
        raise ValueError(f"save_rate must be a whole number of at least 1, got {save_rate!r}")
    if schedule.ab_t[-1] == 0:
        raise ValueError("the schedule ends at ᾱ_T = 0: there the predicted noise says nothing about the picture")
    if context is not None:
        width = getattr(model, "n_cfeat", context.shape[-1] if context.ndim else 0)
        if context.shape != (n_sample, width):
            raise ValueError(
                f"context must have shape ({n_sample}, {width}), one row for each sample, not {tuple(context.shape)}"
            )
        if not context.isfinite().all():
            raise ValueError("context holds values that are not finite")


@torch.no_grad()
def _sample(
    n_sample: int,
    pairs: list[tuple[int, int]],
    step: Callable[[Tensor, int, int, Tensor, Tensor], Tensor],
    *,
    model: Callable,
    schedule: NoiseSchedule,
    save_rate: int,
    seed: int | None,
    progress: bool,
    context: Tensor | None = None,
    guidance: float = 1.0,
) -> tuple[Tensor, np.ndarray]:
    """The loop behind all samplers: at each pair (t, t_next), call ``step(x, t, t_next, pred_noise, z)``."""
    context = None if context is None else torch.as_tensor(context, dtype=torch.float32)
    _check_request(n_sample, context, save_rate, model, schedule)
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    device = parameter.device if parameter is not None else torch.device("cpu")
    height = getattr(model, "h", 16)
    shape = (n_sample, getattr(model, "in_channels", 3), height, height)
    # Noise comes from the CPU's generator on every device, so that a seed means the same sprites on a GPU.
    generator = None if seed is None else torch.Generator().manual_seed(int(seed))
    context = None if context is None else context.to(device)
    network, size = faster(model), _largest_batch(device, height)

    def draw() -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    def predict_batch(x: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
        if c is None or guidance == 0:
            return network(x, t, None)
        if guidance == 1:
            return network(x, t, c)
        return guided_noise(network(x, t, c), network(x, t, None), guidance)

    def predict(x: Tensor, t: int) -> Tensor:
        t = torch.tensor(t / schedule.timesteps, device=device)
        contexts = repeat(None) if context is None else context.split(size)
        return torch.cat([predict_batch(part, t, c) for part, c in zip(x.split(size), contexts, strict=False)])

    kept = [i for i in range(len(pairs) + 1) if i % save_rate == 0 or i == len(pairs)]  # after how many steps
    frames = np.empty((len(kept), *shape), np.float32)
    with evaluating(model):
        x = draw()  # x_T
        frames[0] = x.cpu()
        for i, (t, t_next) in enumerate(tqdm(pairs, leave=False) if progress else pairs, start=1):
            z = draw() if t_next > 0 else torch.zeros_like(x)  # noise added last would stay in the picture
            x = step(x, t, t_next, predict(x, t), z)
            if i in kept:
                frames[kept.index(i)] = x.cpu()
    return x, frames


def sample_ddpm(
    n_sample: int,
    save_rate: int = 20,
    *,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """Draw sprites by DDPM: all T steps, with fresh noise after each but the last (DDPM, algorithm 2).

    Args:
        n_sample: how many.
        save_rate: keep a frame after every ``save_rate`` steps.
        model: ``model(x, t, c)`` that predicts noise, t being level / T; None is the pre-trained network. Pictures are
            (3, 16, 16), or as its attributes ``in_channels`` and ``h`` say, and on the device of its parameters.
        schedule: None is :func:`linear_schedule`.
        seed: the same number gives the same noise on the CPU and on a GPU, and so, up to rounding, the same sprites;
            None continues torch's own random stream.
        progress: show a progress bar.

    Returns:
        samples (n_sample, 3, h, w), about in [-1, 1], on the model's device; and the frames on the way, a float32 array
        (frames, n_sample, 3, h, w) from the first, x_T, to the last, the result.

    Raises:
        ValueError: n_sample or save_rate below 1, or a schedule that ends at ᾱ_T = 0 (so in all samplers).
    """
    return sample_ddpm_context(
        n_sample, None, save_rate,
        model=model or _pretrained("model_trained"), schedule=schedule, seed=seed, progress=progress,
    )  # fmt: skip


def sample_ddpm_incorrect(
    n_sample: int,
    *,
    save_rate: int = 20,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_ddpm` with one mistake, made on purpose: no noise is put back after a step.

    Arguments and results as there; the same seed starts both from the same x_T.
    """
    schedule, model = schedule or _default_schedule(), model or _pretrained("model_trained")

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        return denoise_add_noise(x, t, pred_noise, torch.zeros_like(x), schedule)  # z is thrown away

    pairs = step_pairs(schedule.timesteps, schedule.timesteps)
    return _sample(
        n_sample, pairs, step, model=model, schedule=schedule, save_rate=save_rate, seed=seed, progress=progress
    )


def sample_ddpm_context(
    n_sample: int,
    context: Tensor | None,
    save_rate: int = 20,
    *,
    guidance: float = 1.0,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_ddpm` of sprites that follow a context; the default network is the one trained with contexts.

    Args:
        context: (n_sample, n_cfeat), one row for each sample; the classes are hero, non-hero, food, spell, side-facing.
            None is no context.
        guidance: w; 1 is the plain context, 0 ignores it, above 1 exaggerates it (see :func:`guided_noise`).

    Other arguments and results as in :func:`sample_ddpm`.

    Raises:
        ValueError: n_sample or save_rate below 1, or context of another shape or not finite.
    """
    schedule, model = schedule or _default_schedule(), model or _pretrained("context_model_trained")

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        return denoise_add_noise(x, t, pred_noise, z, schedule)

    pairs = step_pairs(schedule.timesteps, schedule.timesteps)
    return _sample(
        n_sample, pairs, step, model=model, schedule=schedule, save_rate=save_rate, seed=seed, progress=progress,
        context=context, guidance=guidance,
    )  # fmt: skip


def sample_ddim(
    n_sample: int,
    n: int = 20,
    *,
    eta: float = 0.0,
    save_rate: int = 1,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """Draw sprites by DDIM in ``n`` steps, spread evenly over the T levels.

    Args:
        n: number of steps, 1 … T.
        eta: 0 adds no noise on the way, 1 as much as DDPM (see :func:`denoise_ddim`).

    Other arguments and results as in :func:`sample_ddpm`.

    Raises:
        ValueError: n_sample or save_rate below 1, n not in 1 … T, or eta not in 0 … 1.
    """
    return sample_ddim_context(
        n_sample, None, n, eta=eta, save_rate=save_rate,
        model=model or _pretrained("model_trained"), schedule=schedule, seed=seed, progress=progress,
    )  # fmt: skip


def sample_ddim_context(
    n_sample: int,
    context: Tensor | None,
    n: int = 20,
    *,
    guidance: float = 1.0,
    eta: float = 0.0,
    save_rate: int = 1,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_ddim` of sprites that follow a context; ``context`` and ``guidance`` as in
    :func:`sample_ddpm_context`.

    Raises:
        ValueError: n_sample or save_rate below 1, n not in 1 … T, eta not in 0 … 1, or context of another shape or not
            finite.
    """
    schedule, model = schedule or _default_schedule(), model or _pretrained("context_model_trained")

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        return denoise_ddim(x, t, t_next, pred_noise, eta, z, schedule)

    pairs = step_pairs(n, schedule.timesteps)
    return _sample(
        n_sample, pairs, step, model=model, schedule=schedule, save_rate=save_rate, seed=seed, progress=progress,
        context=context, guidance=guidance,
    )  # fmt: skip


def sample_dpm(
    n_sample: int,
    n: int = 10,
    *,
    eta: float = 0.0,
    save_rate: int = 1,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """Draw sprites by DPM-Solver++(2M) in ``n`` steps, spread evenly over the T levels (see :func:`denoise_dpm`).

    ``eta=math.inf`` draws the best sprites in 8 to 20 steps, but not in many, nor with much guidance: see Lab 4. With
    ``eta=0`` each noise has its sprite, as in DDIM. Arguments and results as in :func:`sample_ddim`.

    Raises:
        ValueError: n_sample or save_rate below 1, n not in 1 … T, or eta negative.
    """
    return sample_dpm_context(
        n_sample, None, n, eta=eta, save_rate=save_rate,
        model=model or _pretrained("model_trained"), schedule=schedule, seed=seed, progress=progress,
    )  # fmt: skip


def sample_dpm_context(
    n_sample: int,
    context: Tensor | None,
    n: int = 10,
    *,
    guidance: float = 1.0,
    eta: float = 0.0,
    save_rate: int = 1,
    model: Callable | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> tuple[Tensor, np.ndarray]:
    """:func:`sample_dpm` of sprites that follow a context; ``context`` and ``guidance`` as in
    :func:`sample_ddpm_context`.

    Raises:
        ValueError: n_sample or save_rate below 1, n not in 1 … T, eta negative, or context of another shape or not
            finite.
    """
    schedule, model = schedule or _default_schedule(), model or _pretrained("context_model_trained")
    before = None

    def step(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        nonlocal before
        x0_pred = predict_x0(x, t, pred_noise, schedule)
        x_next = denoise_dpm(x, t, t_next, x0_pred, before, schedule, eta=eta, z=z)
        before = t, x0_pred
        return x_next

    pairs = step_pairs(n, schedule.timesteps)
    return _sample(
        n_sample, pairs, step, model=model, schedule=schedule, save_rate=save_rate, seed=seed, progress=progress,
        context=context, guidance=guidance,
    )  # fmt: skip


# ======================================================================================================================
# 5. Sprites
# ======================================================================================================================


def transform(sprite: np.ndarray) -> Tensor:
    """A picture uint8 (h, w, 3) with values 0 … 255 → float32 (3, h, w) with values -1 … 1."""
    from torchvision.transforms.functional import normalize, to_tensor  # importing torchvision takes a second

    return normalize(to_tensor(sprite), (0.5,), (0.5,))


def load_sprites(sfilename: str | Path, lfilename: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read and check a pair of .npy files: sprites uint8 (n, h, w, 3) and labels float32 (n, number of classes).

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file is cut short or no array, or the arrays have the wrong shape, type or count, or hold NaN.
    """
    arrays = []
    for name in (sfilename, lfilename):
        if not Path(name).is_file():
            raise FileNotFoundError(f"no file {name}")
        try:
            with Path(name).open("rb") as file:
                arrays.append(np.lib.format.read_array(file, allow_pickle=False))
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{name} is not a complete .npy array of numbers: {error}") from error
    sprites, labels = arrays
    if sprites.ndim != 4 or sprites.shape[3] != 3 or len(sprites) == 0 or sprites.dtype != np.uint8:
        raise ValueError(
            f"{sfilename}: expected sprites of type uint8 and shape (n, height, width, 3), "
            f"got {sprites.dtype} {sprites.shape}"
        )
    if labels.ndim != 2 or len(labels) != len(sprites) or labels.dtype.kind not in "fiub":
        raise ValueError(
            f"{lfilename}: expected numbers of shape ({len(sprites)}, number of classes), one row for each sprite, "
            f"got {labels.dtype} {labels.shape}"
        )
    with np.errstate(over="ignore"):
        labels = labels.astype(np.float32)
    if not np.isfinite(labels).all():
        raise ValueError(f"{lfilename}: row {int(np.argwhere(~np.isfinite(labels))[0, 0])} is not finite in float32")
    return sprites, labels


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
        label = torch.tensor(self.slabels[idx])  # a copy: what a loop changes in place does not change the data
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
        ValueError: sprites that are not uint8 (n, h, w, 3), or not one label for each.
    """
    if sprites.dtype != np.uint8 or sprites.ndim != 4 or len(sprites) != len(labels):
        raise ValueError(
            "expected sprites of type uint8 and shape (n, height, width, 3) and as many labels, "
            f"got {sprites.dtype} {sprites.shape} and {len(labels)} labels"
        )
    images = torch.from_numpy(sprites).to(device).permute(0, 3, 1, 2) / 127.5 - 1
    return images.contiguous(), torch.tensor(labels, dtype=torch.float32, device=device)


def _hue_rotation(angle: Tensor) -> Tensor:
    """(n,) angles → (n, 3, 3) rotations of RGB about the grey axis: hues turn, white, black and grey stay."""
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    grey = angle.new_full((3, 3), 1 / 3)  # the projection on the grey axis
    cross = angle.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    return cos * torch.eye(3).to(angle) + (1 - cos) * grey + sin * cross


def augment(images: Tensor, hue: float = 0.05, generator: torch.Generator | None = None) -> Tensor:
    """Mirror images (n, 3, h, w) with probability 1/2 and turn their hues by normal angles of spread ``hue`` (radians).

    A mirrored hero is a hero; a carrot of another orange is a carrot; a blue one would not be.

    Raises:
        ValueError: the images do not have three channels.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"expected images of shape (n, 3, height, width), got {tuple(images.shape)}")
    n = len(images)
    mirrored = torch.rand(n, generator=generator).to(images.device) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    angle = (hue * torch.randn(n, generator=generator)).to(images)
    return torch.einsum("nij,njhw->nihw", _hue_rotation(angle), images).clamp(-1, 1)


def sprite_batches(
    images: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless augmented batches (images, labels), the set shuffled anew in each pass over it.

    A pass shows every sprite at most once; the few that would not fill a last batch are left out.

    Raises:
        ValueError: batch_size is not between 1 and the number of sprites.
    """
    if not 1 <= batch_size <= len(images):
        raise ValueError(f"expected a batch size from 1 to {len(images)}, the number of sprites, got {batch_size}")
    while True:
        order = torch.randperm(len(images), generator=generator).to(images.device)
        for chosen in order[: len(order) - len(order) % batch_size].split(batch_size):
            yield augment(images[chosen], generator=generator), labels[chosen]


# ======================================================================================================================
# 6. Pictures
# ======================================================================================================================


def to_unit(x: Tensor | np.ndarray) -> np.ndarray:
    """Pictures (..., 3, h, w) in [-1, 1] → what matplotlib shows, (..., h, w, 3) in [0, 1]: clip((x + 1) / 2).

    The same rule for every picture, unlike :func:`unorm`, which would hide a background that is not white.
    """
    x = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    return np.clip((np.moveaxis(x, -3, -1) + 1) / 2, 0, 1)


def unorm(x: np.ndarray) -> np.ndarray:
    """Stretch each channel of one picture (h, w, channels) to [0, 1] by its own extremes; a flat one becomes 0."""
    low, high = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    return (x - low) / np.where(high > low, high - low, 1)


def norm_all(store: np.ndarray, n_t: int, n_s: int) -> np.ndarray:
    """:func:`unorm` of the first n_s pictures of the first n_t frames; store is (frames, samples, h, w, channels)."""
    return np.stack([[unorm(picture) for picture in frame[:n_s]] for frame in store[:n_t]])


def norm_torch(x_all: Tensor) -> Tensor:
    """:func:`unorm` for a batch of tensors (n, channels, h, w)."""
    x = x_all.detach().cpu()
    low, high = x.amin(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
    return (x - low) / torch.where(high > low, high - low, 1)


def gen_tst_context(n_cfeat: int) -> tuple[int, Tensor]:
    """Contexts to try: each class alone, then none, six times over; the number of rows and the rows (·, n_cfeat)."""
    rows = torch.cat([torch.eye(n_cfeat), torch.zeros(1, n_cfeat)]).repeat(6, 1)
    return len(rows), rows


def _mosaic(x: Tensor | np.ndarray, n_rows: int) -> np.ndarray:
    """Pictures (n, 3, h, w) in [-1, 1] as one picture in [0, 1] of n_rows rows, white where there are not enough."""
    from torchvision.utils import make_grid

    if n_rows < 1:
        raise ValueError(f"expected at least 1 row, got {n_rows}")
    x = torch.as_tensor(x).detach().cpu().float().clamp(-1, 1)
    n_columns = math.ceil(len(x) / n_rows)
    x = torch.cat([x, x.new_ones(n_rows * n_columns - len(x), *x.shape[1:])])
    grid = make_grid(x, nrow=n_columns, padding=1, pad_value=1.0)
    return to_unit(grid)


def show_images(imgs: Tensor, nrow: int = 2) -> None:
    """Show pictures (n, 3, h, w) in [-1, 1] in ``nrow`` rows."""
    mosaic = _mosaic(imgs, nrow)
    height, width = mosaic.shape[:2]
    fig, ax = plt.subplots(figsize=(min(width / 17, 10), min(width / 17, 10) * height / width))
    ax.imshow(mosaic, interpolation="nearest")
    ax.set_axis_off()
    fig.tight_layout(pad=0)
    plt.show()


def plot_grid(x: Tensor, n_sample: int, n_rows: int, save_dir: str | Path, w: object) -> Tensor:
    """Save the first n_sample pictures of x (n, 3, h, w) as ``save_dir/run_image_w{w}.png``; return the grid (3, ·, ·).

    ``w`` is any word for the file name, by custom the guidance weight.
    """
    from torchvision.utils import save_image

    grid = torch.from_numpy(_mosaic(x[:n_sample], n_rows)).permute(2, 0, 1)
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    save_image(grid, Path(save_dir) / f"run_image_w{w}.png")
    return grid


def compare_samples(runs: dict[str, np.ndarray], nrows: int = 4) -> FuncAnimation:
    """An animation that plays several runs side by side.

    Args:
        runs: title → frames (frames, n, 3, h, w) as the samplers return them; all with the same number of frames.
        nrows: rows of sprites in each panel.

    Raises:
        ValueError: no runs, or runs of different length.
    """
    lengths = {title: len(frames) for title, frames in runs.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"expected runs with the same number of frames, got {lengths}")
    mosaics = [[_mosaic(frame, nrows) for frame in frames] for frames in runs.values()]
    height, width = mosaics[0][0].shape[:2]
    panel = 8 / len(runs) if len(runs) > 1 else 5
    size = (panel * len(runs), panel * height / width + 0.35)
    fig, axs = plt.subplots(1, len(runs), figsize=size, dpi=72, squeeze=False, layout="constrained")  # noise is large
    images = []
    for ax, title, frames in zip(axs[0], runs, mosaics, strict=True):
        ax.set_title(title)
        ax.set_axis_off()
        images.append(ax.imshow(frames[0], interpolation="nearest"))

    def show_frame(i: int) -> list:
        for image, frames in zip(images, mosaics, strict=True):
            image.set_data(frames[i])
        return images

    plt.close(fig)  # or the notebook would show a still of it as well
    return FuncAnimation(fig, show_frame, frames=len(mosaics[0]), interval=200)


def plot_sample(
    x_gen_store: np.ndarray, n_sample: int, nrows: int, save_dir: str | Path, fn: str, w: object, save: bool = False
) -> FuncAnimation:
    """An animation of sprites coming out of the noise; show it with ``HTML(animation.to_jshtml())``.

    Args:
        x_gen_store: frames (frames, n, 3, h, w) in about [-1, 1], as the samplers return them.
        n_sample, nrows: show the first n_sample, in nrows rows.
        save_dir, fn, w: with ``save``, the file is ``save_dir/{fn}_w{w}.gif``.
    """
    animation = compare_samples({"": x_gen_store[:, :n_sample]}, nrows)
    if save:
        Path(save_dir).mkdir(parents=True, exist_ok=True)
        animation.save(Path(save_dir) / f"{fn}_w{w}.gif", dpi=100, writer=PillowWriter(fps=5))
    return animation


def film_strip(runs: dict[str, np.ndarray], n_frames: int = 9, sample: int = 0, last: str = "result") -> None:
    """Runs as still pictures: one row a run, ``n_frames`` of its frames from left to right, of one sample.

    ``runs`` is as in :func:`compare_samples`. This stays readable where a viewer does not play animations.
    """
    fig, axs = plt.subplots(len(runs), n_frames, figsize=(n_frames, 1.15 * len(runs)), squeeze=False)
    for row, (title, frames) in zip(axs, runs.items(), strict=True):
        for ax, i in zip(row, np.linspace(0, len(frames) - 1, n_frames).round().astype(int), strict=True):
            ax.imshow(to_unit(frames[i, sample]), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(title)
    axs[0, 0].set_title("noise", fontsize=9)
    axs[0, -1].set_title(last, fontsize=9)
    fig.tight_layout(pad=0.3)
    plt.show()


# ======================================================================================================================
# 7. Quality
# ======================================================================================================================


class SpriteClassifier(nn.Module):
    """A small convolutional network that names a sprite's class and kind; used only for measuring.

    Args:
        n_classes, n_kinds: how many of each it tells apart.
        width: channels of the first stage.
    """

    def __init__(self, n_classes: int, n_kinds: int, width: int = 32) -> None:
        super().__init__()

        def stage(inside: int, outside: int) -> list[nn.Module]:
            return [nn.Conv2d(inside, outside, 3, 1, 1), nn.BatchNorm2d(outside), nn.ReLU()]

        self.body = nn.Sequential(
            *stage(3, width), *stage(width, width), nn.MaxPool2d(2),
            *stage(width, 2 * width), *stage(2 * width, 2 * width), nn.MaxPool2d(2),
            *stage(2 * width, 4 * width), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Dropout(0.3), nn.Linear(16 * width, 4 * width), nn.ReLU(),
        )  # fmt: skip
        self.class_head = nn.Linear(4 * width, n_classes)
        self.kind_head = nn.Linear(4 * width, n_kinds)

    def features(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, h, w) in [-1, 1] → the penultimate layer (n, 4 width)."""
        return self.body(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (n, 3, h, w) in [-1, 1] → scores of the classes (n, n_classes) and of the kinds (n, n_kinds)."""
        h = self.features(x)
        return self.class_head(h), self.kind_head(h)


def load_classifier(device: torch.device | str | None = None) -> SpriteClassifier:
    """The shipped classifier in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: the file is not there, or cut short.
    """
    state = _read_state(WEIGHTS_DIR / "sprite_classifier.pth")
    classifier = SpriteClassifier(len(state["class_head.bias"]), len(state["kind_head.bias"]))
    classifier.load_state_dict(state)
    return classifier.to(device or default_device()).eval()


class _Features(nn.Module):
    """The classifier without its heads, in the form that torchmetrics wants."""

    def __init__(self, classifier: SpriteClassifier) -> None:
        super().__init__()
        self.classifier, self.num_features = classifier, classifier.class_head.in_features

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier.features(x)


def _check_pictures(*sets: Tensor) -> None:
    if not all(pictures.isfinite().all() for pictures in sets):  # with NaN torchmetrics may end the whole process
        raise ValueError("these pictures hold values that are not finite: has the training diverged?")


@torch.no_grad()
def frechet_sprite_distance(samples: Tensor, reference: Tensor, classifier: SpriteClassifier) -> float:
    """How far apart two sets of pictures (n, 3, h, w) and (m, 3, h, w) are, as the classifier sees them; 0 is equal.

    The Fréchet distance of Heusel et al. 2017 (arXiv 1706.08500, equation 6) between normal distributions fitted to the
    features of both sets, |μ_1 - μ_2|² + Tr(Σ_1 + Σ_2 - 2 (Σ_1 Σ_2)^½), with our classifier in the place of Inception.
    Two samples of one distribution are not at 0 either: compare only sets of the same size.

    Raises:
        ValueError: pictures that are not finite.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # a slow import, for measuring only

    _check_pictures(samples, reference)
    metric = FrechetInceptionDistance(_Features(classifier), normalize=True).to(classifier.class_head.weight.device)
    with evaluating(classifier):
        for pictures, real in ((reference, True), (samples, False)):
            for batch in pictures.split(512):
                metric.update(batch, real=real)
    return metric.compute().item()


@torch.no_grad()
def precision_recall(
    samples: Tensor, reference: Tensor, classifier: SpriteClassifier, k: int = 3
) -> tuple[float, float]:
    """Precision: the share of samples that look like the reference; recall: the share of it that the samples cover.

    A picture is covered by a set if it lies, in the classifier's features, no farther from one of its members than that
    member's k-th neighbour in the set (Kynkäänniemi et al. 2019, arXiv 1904.06991). Read them together: samples that
    are all alike have low recall, mess has low precision or, where a few outliers reach far, low recall. Both sets are
    (n, 3, h, w).

    Raises:
        ValueError: a set has no more than k pictures, or holds values that are not finite.
    """
    _check_pictures(samples, reference)
    if min(len(samples), len(reference)) <= k:
        raise ValueError(f"expected more than k={k} pictures in each set, got {len(samples)} and {len(reference)}")
    with evaluating(classifier):
        ours, real = (torch.cat([classifier.features(batch) for batch in x.split(512)]) for x in (samples, reference))

    def covered(points: Tensor, by: Tensor) -> float:
        radius = torch.cdist(by, by).kthvalue(k + 1, dim=1).values  # (n,); the nearest of all is the point itself
        return (torch.cdist(points, by) <= radius).any(dim=1).float().mean().item()

    return covered(ours, by=real), covered(real, by=ours)


@torch.no_grad()
def class_accuracy(samples: Tensor, context: Tensor, classifier: SpriteClassifier) -> Tensor:
    """Of the samples (n, 3, h, w) of each class asked for, one-hot (n, classes), the share recognised: (classes,).

    NaN for a class that nobody asked for.

    Raises:
        ValueError: samples that are not finite.
    """
    _check_pictures(samples)
    with evaluating(classifier):
        right = classifier(samples)[0].argmax(dim=1) == context.to(samples).argmax(dim=1)
    return (context.to(samples) * right[:, None]).sum(dim=0) / context.to(samples).sum(dim=0)


def background_error(samples: Tensor, sprites: Tensor) -> float:
    """How far the background of the samples is from white, as mean absolute error in steps of 1/255.

    The background is what is white in every one of the real ``sprites``: the outermost pixels at the corners.
    """
    background = (sprites == 1).all(dim=1).all(dim=0)  # (h, w)
    return (samples.clamp(-1, 1)[:, :, background] - 1).abs().mean().item() * 127.5


def nearest_sprite(samples: Tensor, sprites: Tensor) -> tuple[Tensor, Tensor]:
    """For each sample (n, 3, h, w) the closest sprite of (m, 3, h, w): root mean square distance (n,) and index (n,).

    A distance of 0 is an exact copy; sprites count mirrored as well, for a mirrored copy is a copy.
    """
    flat = samples.flatten(1)
    # by differences, not by |a|² - 2ab + |b|²: its rounding would make a copy look like a near copy
    exact = "donot_use_mm_for_euclid_dist"
    plain = torch.cdist(flat, sprites.flatten(1), compute_mode=exact)
    mirrored = torch.cdist(flat, sprites.flip(3).flatten(1), compute_mode=exact)
    distance, index = torch.minimum(plain, mirrored).min(dim=1)
    return distance / math.sqrt(flat.shape[1]), index


# ======================================================================================================================
# 8. Speed
# ======================================================================================================================
# The samplers pass every network through `faster` before their loop. The numbers stay the same up to rounding.


def _largest_batch(device: torch.device, height: int) -> int:
    """How many pictures pass through the network at once, so that memory stays bounded.

    On a GPU 4,096 sprites of 16×16; on a CPU 128, because what larger batches compute no longer fits into its cache.
    """
    return max(1, (4096 if device.type == "cuda" else 128) * 16**2 // height**2)


def faster(model: Callable) -> Callable:
    """What computes the same as a ContextUnet in evaluation mode, faster. It is only for sampling.

    Batch norm, at fixed statistics a multiplication and an addition, is folded into the convolution before it, and the
    channels of a pixel lie side by side in memory. On a GPU, launching the kernels one by one takes longer than running
    them, so they are recorded once and then launched together. Any other model is returned as it is.
    """
    if not isinstance(model, ContextUnet):
        return model
    fast = copy.deepcopy(model).eval()
    for block in fast.modules():
        if isinstance(block, ResidualConvBlock):
            for conv in (block.conv1, block.conv2):
                if isinstance(conv[1], nn.BatchNorm2d):  # and not folded already
                    conv[0], conv[1] = nn.utils.fuse_conv_bn_eval(conv[0], conv[1]), nn.Identity()
    fast = fast.to(memory_format=torch.channels_last)
    return _Recorded(fast) if next(fast.parameters()).is_cuda else fast


@lru_cache
def bf16_is_faster(device: torch.device | str) -> bool:
    """Whether a convolution takes less than four fifths of its time in bf16, tried out on ``device`` in a moment.

    Processors made for these numbers of 16 bits multiply twice as many of them in the same time; others take longer
    with them than with 32 bits. It is for training, where weights and gradients stay float32 all the same:
    ``torch.autocast(device.type, torch.bfloat16, enabled=bf16_is_faster(device))``.
    """
    device = torch.device(device)
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return False
    x, weight = torch.ones(16, 64, 16, 16, device=device), torch.ones(64, 64, 3, 3, device=device)
    seconds = {True: math.inf, False: math.inf}
    for bf16 in (True, False) * 10:  # the fastest of ten, because a machine may be busy for a moment
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            began = time.perf_counter()
            nn.functional.conv2d(x, weight, padding=1).sum().item()  # asking for a number makes a GPU finish its work
            seconds[bf16] = min(seconds[bf16], time.perf_counter() - began)
    return seconds[True] < 0.8 * seconds[False]


class _Recorded(nn.Module):
    """A network on a GPU whose kernels are recorded as a CUDA graph, anew for each shape of input.

    Where recording fails or its result is not that of the network, and under autocast, the network itself is called.
    """

    def __init__(self, network: ContextUnet) -> None:
        super().__init__()
        self.network, self.graphs = network, {}
        self.in_channels, self.n_cfeat, self.h = network.in_channels, network.n_cfeat, network.h

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        if torch.is_autocast_enabled("cuda"):
            return self.network(x, t, c)
        c = x.new_zeros(len(x), self.network.n_cfeat) if c is None else c
        key = (x.shape, t.shape)
        if key not in self.graphs:
            try:
                with torch.cuda.device(x.device):
                    self.graphs[key] = self._record(x, t, c)
            except RuntimeError:  # recording is not possible here
                self.graphs[key] = None
        if self.graphs[key] is None:
            return self.network(x, t, c)
        graph, inputs, output = self.graphs[key]
        for own, given in zip(inputs, (x, t, c), strict=True):  # a graph reads and writes always the same memory
            own.copy_(given)
        graph.replay()
        return output.clone()

    def _record(self, *inputs: Tensor) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor] | None:
        """The graph, its inputs, its output; None where it computes something else than the network."""
        inputs = [given.clone() for given in inputs]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # first passes choose algorithms and reserve memory: not to be recorded
            for _ in range(3):
                expected = self.network(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            output = self.network(*inputs)
        output.zero_()  # so that the comparison sees what the replay computes
        graph.replay()
        return (graph, inputs, output) if torch.allclose(output, expected, rtol=1e-3, atol=1e-3) else None


class OpenvinoUnet:
    """A ContextUnet computed on the CPU by OpenVINO, a runtime that compiles a whole network before it is used.

    Pass it to any sampler: ``sample_ddpm(32, model=OpenvinoUnet())``. It needs ``pip install openvino``.

    Args:
        model: the network; None is the pre-trained one, without context.
        bf16: compute with 8 bits of precision in place of 24: on processors made for it about twice as fast, and the
            predicted noise is off by a few hundredths at most.

    Raises:
        ImportError: OpenVINO is not installed.
    """

    def __init__(self, model: ContextUnet | None = None, bf16: bool = False) -> None:
        sys.modules.setdefault("openvino_telemetry", None)  # or its converter would report its use over the network
        try:
            import openvino
        except ImportError as error:
            raise ImportError("OpenVINO is not installed here: pip install openvino") from error
        model = copy.deepcopy(model or _pretrained("model_trained")).cpu().eval()
        self.in_channels, self.n_cfeat, self.h = model.in_channels, model.n_cfeat, model.h
        size = (self.in_channels, self.h, self.h)
        example = torch.zeros(2, *size), torch.ones(1, 1), torch.zeros(2, self.n_cfeat)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing warns that it leaves out the checks of shapes
            graph = openvino.convert_model(model, example_input=example)
        graph.reshape({0: [-1, *size], 1: [1, 1], 2: [-1, self.n_cfeat]})
        precision = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
        self.compiled = openvino.compile_model(graph, "CPU", precision)

    def __call__(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """As :meth:`ContextUnet.forward`, with one t for all."""
        t = torch.as_tensor(t, dtype=torch.float32).reshape(1, 1)
        c = torch.zeros(len(x), self.n_cfeat) if c is None else c
        (pred_noise,) = self.compiled([x.contiguous().numpy(), t.numpy(), c.contiguous().numpy()]).values()
        return torch.from_numpy(pred_noise)

"""What the clinics of Labs 1, 2 and 4 share: make patients, show what they draw, print measurements."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from diffusion_utilities import NoiseSchedule, linear_schedule, mosaic, step_pairs

__all__ = ["Bell", "examine", "few_levels", "figure", "patient", "show_histograms"]
__all__ += ["show_sprites", "table"]


def patient(healthy: Callable, right: str, bug: str) -> Callable:
    """A copy of a function in which one line, or a part of it, is another: ``bug`` for ``right``.

    Its attributes ``bug`` and ``right`` hold the whole line, ill and healthy.

    Raises:
        ValueError: ``right`` does not stand in it exactly once.
    """
    source = inspect.getsource(healthy)
    if source.count(right) != 1:
        raise ValueError(f"expected {right!r} once in {healthy.__name__}, got {source.count(right)}")
    made: dict[str, Callable] = {}
    exec(source.replace(right, bug), healthy.__globals__, made)
    ill = made[healthy.__name__]
    (line,) = (line.strip() for line in source.splitlines() if right in line)
    ill.bug, ill.right = line.replace(right, bug), line
    return ill


@torch.no_grad()
def examine(patient: Callable, *arguments: object, seed: int = 0) -> Tensor:
    """What patient(*arguments) draws, from one random state; the notebook's own is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return patient(*arguments)


def few_levels(n: int) -> NoiseSchedule:
    """A schedule of n large levels, each as large as 500 / n of the course's; n divides 500."""
    ab_t = linear_schedule().ab_t.double()
    levels = [0] + [t for t, _ in reversed(step_pairs(n))]
    return NoiseSchedule.from_betas(1 - ab_t[levels[1:]] / ab_t[levels[:-1]])


def show_sprites(rows: list[dict[str, Tensor]]) -> None:
    """Rows of panels: title → sprites (n, 3, 16, 16), shown in two rows; NaN is shown grey."""
    n_columns = max(len(row) for row in rows)
    size = (10, 5.8 / n_columns * len(rows))
    fig, axs = plt.subplots(len(rows), n_columns, figsize=size, squeeze=False)
    for ax in axs.flat:
        ax.set_axis_off()
    for row, panels in zip(axs, rows, strict=True):
        for ax, (title, x) in zip(row, panels.items(), strict=False):
            ax.imshow(mosaic(x.nan_to_num(0), n_rows=2), interpolation="nearest")
            ax.set_title(title)
    fig.tight_layout(pad=0.6, h_pad=0.8)
    plt.show()


def figure(measure: Callable, x: Tensor, *others: object) -> float | Tensor:
    """measure(x, …), or NaN where a patient has exploded: its pictures have no figures."""
    return measure(x, *others) if x.isfinite().all() else torch.tensor(math.nan)


@dataclass(frozen=True)
class Bell:
    """Numbers that a patient drew; mean m and spread s of the data it should have drawn from."""

    numbers: Tensor
    m: float
    s: float


def show_histograms(panels: dict[str, Bell]) -> None:
    """A histogram for each title, with the bell of the data over it; each has its own axes."""
    fig, axs = plt.subplots(1, len(panels), figsize=(10, 3), layout="constrained", squeeze=False)
    for ax, (title, bell) in zip(axs[0], panels.items(), strict=True):
        half = 4 * max(bell.s, bell.numbers.std().item())
        edges = np.linspace(bell.m - half, bell.m + half, 81)
        values = np.linspace(bell.m - half, bell.m + half, 801)
        z = (values - bell.m) / bell.s
        density = np.exp(-(z**2) / 2) / (bell.s * math.sqrt(2 * math.pi))
        ax.hist(bell.numbers.numpy(), bins=edges, density=True, color="#56B4E9", label="drawn")
        ax.plot(values, density, color="#D55E00", label="data")
        ax.set(title=title, xlabel="value", ylabel="density")
    fig.legend(*axs[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    plt.show()


def table(columns: list[str], rows: dict[str, list[float | Tensor | str]], digits: int = 2) -> str:
    """Lines of text: a name and its figures. What is huge or not a number is said in a word."""

    def word(value: float | Tensor | str) -> str:
        if isinstance(value, str):
            return value
        # a NaN is not less than anything
        return f"{value:.{digits}f}" if abs(value) < 1000 else "exploded"

    width = max(len(name) for name in rows)
    lines = [" " * width + "".join(f"{column:>13}" for column in columns)]
    for name, values in rows.items():
        lines.append(f"{name:{width}}" + "".join(f"{word(value):>13}" for value in values))
    return "\n".join(lines)

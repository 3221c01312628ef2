"""Noise schedules: linear, cosine, sigmoid and straight, as the module's NoiseSchedule, and the zero-SNR rescaling.

A schedule decides how training and sampling spread their T levels over the way from picture to noise. The signal-to-
noise ratio of level t is SNR = ᾱ_t / (1-ᾱ_t); :func:`plot` shows schedules side by side, in ᾱ and in log SNR.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

import support.checks as check
from diffusion_utilities import MOST_LEVELS, NoiseSchedule, linear_schedule
from going_further import options

# a step that removes nearly all that is left, but not all: with ᾱ_T = 0 there is no way back
MAX_BETA = 0.999

# Okabe and Ito's colours, which colour-blind readers can tell apart; each has its own dashes as
# well, for print in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 4)))

linear = linear_schedule


def cosine(timesteps: int = 500, s: float = 0.008) -> NoiseSchedule:
    """ᾱ_t = f(t) / f(0) with f(t) = cos²((t/T + s) / (1 + s) · π/2).

    (Nichol and Dhariwal 2021, arXiv 2102.09672, equation 17.) It keeps more of the picture in the middle than the
    linear schedule does, and so wastes fewer levels on near noise. β_t is clipped at 0.999, as there, since ᾱ_T would
    be 0.

    Args:
        timesteps: T, the number of noise levels.
        s: keeps the first steps from being too small to matter.

    Raises:
        ValueError: ``timesteps`` below 1, or s negative.
    """
    timesteps = check.whole(timesteps, "timesteps", 1, MOST_LEVELS)
    if check.finite(s, "s") < 0:
        raise ValueError(f"expected s >= 0, got s={s}")
    u = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)  # t/T
    return _from_curve(((u + s) / (1 + s) * math.pi / 2).cos() ** 2)


def sigmoid(timesteps: int = 500, start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> NoiseSchedule:
    """ᾱ_t = (v(1) - v(t/T)) / (v(1) - v(0)) with v(u) = sigmoid((start + u (end - start)) / tau).

    The sigmoid schedule γ of Jabri et al. 2022 (arXiv 2212.11972), in the form of Chen 2023 (arXiv 2301.10972, section
    2.1) with the same default numbers. β_t is clipped at 0.999, since ᾱ_T would be 0.

    Args:
        timesteps: T, the number of noise levels.
        start, end: the part of the sigmoid that is used; moving it to lower numbers adds noise earlier.
        tau: a larger one makes the curve straighter.

    Raises:
        ValueError: ``timesteps`` below 1, or not start < end, or tau not positive.
    """
    timesteps = check.whole(timesteps, "timesteps", 1, MOST_LEVELS)
    if not check.finite(start, "start") < check.finite(end, "end") or check.finite(tau, "tau") <= 0:
        raise ValueError(f"expected start < end and tau > 0, got {start=}, {end=}, {tau=}")
    v = (torch.linspace(start, end, timesteps + 1, dtype=torch.float64) / tau).sigmoid()
    return _from_curve(v[-1] - v)


def _from_curve(curve: Tensor) -> NoiseSchedule:
    """The schedule whose ᾱ_t is in proportion to ``curve``, (T+1,) in float64, as far as β_t <= 0.999 allows."""
    b_t = 1 - curve[1:] / curve[:-1]
    return NoiseSchedule.from_betas(b_t.clamp(max=MAX_BETA))


def zero_terminal_snr(schedule: NoiseSchedule) -> NoiseSchedule:
    """The schedule rescaled so that nothing of the picture is left at t = T: ᾱ_T = 0, b_T = 1.

    √ᾱ_t ← (√ᾱ_t - √ᾱ_T) √ᾱ_1 / (√ᾱ_1 - √ᾱ_T), so that ᾱ_1 stays (Lin et al. 2023, arXiv 2305.08891, algorithm 1).
    Sampling starts from pure noise, so training should know pure noise too; with ᾱ_T > 0 the network learns that x_T
    still tells how bright the picture is.

    A network that predicts noise has nothing to say at t = T: there x_T is the noise, and
    x̂_0 = (x_T - √(1-ᾱ_T) ε) / √ᾱ_T is 0/0. The module's samplers refuse such a schedule then. It is
    for networks that answer with something else, see predictions.py.

    Raises:
        ValueError: the schedule has only one level, which cannot keep its ᾱ and lose it.
    """
    if schedule.timesteps < 2:
        raise ValueError(f"expected a schedule of at least 2 levels, got {schedule.timesteps}")
    root = (1 - schedule.b_t[1:].double()).cumprod(dim=0).sqrt()  # (T,), √ᾱ_1 … √ᾱ_T
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    ab_t = torch.cat([root.new_ones(1), root**2])
    return NoiseSchedule.from_betas(1 - ab_t[1:] / ab_t[:-1])


def linear_zero(timesteps: int = 500) -> NoiseSchedule:
    """The linear schedule, rescaled by :func:`zero_terminal_snr`."""
    return zero_terminal_snr(linear(timesteps))


def straight(timesteps: int = 500) -> NoiseSchedule:
    """The levels of the straight way x_τ = (1-τ) x_0 + τ ε of flow matching, at τ = t/T: √ᾱ_t : √(1-ᾱ_t) = 1-τ : τ.

    ᾱ_t = (1-τ)² / ((1-τ)² + τ²), so ᾱ_T = 0 (Lipman et al. 2022, arXiv 2210.02747, section 4.1; as a schedule of
    diffusion, Kingma and Gao 2023, arXiv 2303.00848). x_t is x_τ, brought to variance 1.

    Raises:
        ValueError: ``timesteps`` below 1.
    """
    timesteps = check.whole(timesteps, "timesteps", 1, MOST_LEVELS)
    tau = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    ab_t = (1 - tau) ** 2 / ((1 - tau) ** 2 + tau**2)
    return NoiseSchedule.from_betas(1 - ab_t[1:] / ab_t[:-1])


def plot(schedules: dict[str, NoiseSchedule]) -> Figure:
    """Schedules side by side: ᾱ on the left, log SNR on the right, both over t/T, so that any T can be compared.

    Args:
        schedules: name → schedule. Levels at which log SNR is infinite (t = 0, and t = T if ᾱ_T = 0) are left out.

    Raises:
        ValueError: no schedules.
    """
    if not schedules:
        raise ValueError("expected at least one schedule to plot, got none")
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    for (name, schedule), colour, dashes in zip(schedules.items(), cycle(COLOURS), cycle(DASHES), strict=False):
        u = torch.arange(schedule.timesteps + 1) / schedule.timesteps
        ab_t = schedule.ab_t.double().cpu()
        left.plot(u, ab_t, color=colour, linestyle=dashes, label=name)
        between = (ab_t > 0) & (ab_t < 1)
        right.plot(u[between], ab_t[between].logit(), color=colour, linestyle=dashes, label=name)
    left.set(xlabel="noise level t/T", ylabel="ᾱ, share of signal left")
    right.set(xlabel="noise level t/T", ylabel="log SNR = ln(ᾱ / (1-ᾱ))")
    left.legend()
    plt.close(fig)  # or a notebook would show it twice
    return fig


SCHEDULES: dict[str, Callable[..., NoiseSchedule]] = dict(
    zip(options.SCHEDULES, (linear, cosine, sigmoid, linear_zero, straight), strict=True)
)

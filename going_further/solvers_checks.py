"""The checks of solvers.ipynb: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

As in the labs: the mistakes are written out, one line each. Do the exercises before you read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_utilities import denoise_dpm, linear_schedule
from exercise_tools.kit import Lab, call, compare, difference, fail, strengths
from L4_FastSampling.checks import between, falling_levels, pictures, whole

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

AB = linear_schedule().ab_t

# --------------------------------------------------------------------------------------- 5.1 to 5.3


def _half_log_snr(t: int) -> Tensor:
    return 0.5 * (AB[t] / (1 - AB[t])).log()


def _share(h: Tensor) -> Tensor:
    """Where in the step the guess has its mean: half-way if the step is short, later if it is long."""
    return 1 / (1 - (-h).exp()) - 1 / h


def _dpm(
    x,
    t,
    t_prev,
    x0,
    before,
    *,
    lam=_half_log_snr,
    sign=1,
    gain=lambda r, h: _share(h) / r,
    power=0.5,
    weight=lambda t, t_prev: AB[t_prev].sqrt(),
) -> Tensor:
    """Equation (5), each part exchangeable: λ, the sign in the exponent, ρ/r, the root before x, the weight of D."""
    h = lam(t_prev) - lam(t)
    d = x0 + gain((lam(t) - lam(before[0])) / h, h) * (x0 - before[1])
    return ((1 - AB[t_prev]) / (1 - AB[t])) ** power * x + weight(t, t_prev) * (1 - (-sign * h).exp()) * d


DPM_MISTAKES = {
    "r upside down": (
        lambda *a: _dpm(*a, gain=lambda r, h: r * _share(h)),
        "r is upside down: it is λ_t - λ_before over h.",
    ),
    "sign of h": (
        lambda *a: _dpm(*a, sign=-1, gain=lambda r, h: -_share(-h) / r),
        "h is λ_prev - λ_t, and positive: λ grows on the way down.",
    ),
    "sign in the exponent": (
        lambda *a: _dpm(*a, sign=-1),
        "The exponent is -h: 1 - e^-h lies between 0 and 1.",
    ),
    "carried to the end": (
        lambda *a: _dpm(*a, gain=lambda r, h: 1 / r),
        "The correction is too large: D is the mean of the guess over the step, hence ρ/r. You carried it to the end.",
    ),
    "carried half-way": (
        lambda *a: _dpm(*a, gain=lambda r, h: 1 / (2 * r)),
        "Nearly: you took the guess half-way, as the paper does. The weight e^λ grows on the way, so ρ is above 1/2.",
    ),
    "correction subtracted": (
        lambda *a: _dpm(*a, gain=lambda r, h: -_share(h) / r),
        "The correction goes the wrong way: it is x̂_0 minus the one before, and r is positive.",
    ),
    "h in place of rho": (
        lambda *a: _dpm(*a, gain=lambda r, h: _share(h) * h / r),
        "The correction has one h too many: r holds it already, so it is ρ/r.",
    ),
    "levels in place of lambda": (
        lambda *a: _dpm(*a, gain=lambda r, h, a=a: _share(h) * (a[1] - a[2]) / (a[4][0] - a[1])),
        "r is a ratio of lengths in λ, not in t.",
    ),
    "beginning at the guess before": (
        lambda *a: _dpm(*a, gain=lambda r, h: _share(h) / r - 1),
        "D begins at the guess before: it should be x̂_0 plus the correction.",
    ),
    "picture of level t": (
        lambda *a: _dpm(*a, weight=lambda t, t_prev: AB[t].sqrt()),
        "D is multiplied by √ᾱ_t: it should be √ᾱ_prev, of the level to go to.",
    ),
    "picture without its root": (
        lambda *a: _dpm(*a, weight=lambda t, t_prev: AB[t_prev]),
        "D is multiplied by ᾱ_prev: is a square root missing?",
    ),
    "step before ignored": (
        lambda *a: _dpm(*a, gain=lambda r, h: 0),
        "This is DDIM's step, of first order: D = x̂_0 is right only where there is no step before.",
    ),
    "lambda without the half": (
        lambda *a: _dpm(*a, lam=lambda t: 2 * _half_log_snr(t)),
        "λ is twice too large: it is ln(√ᾱ / √(1-ᾱ)), with roots, so half of ln(ᾱ / (1-ᾱ)).",
    ),
    "noise ratio upside down": (
        lambda *a: _dpm(*a, power=-0.5),
        "x is multiplied by σ_t / σ_prev: turn it round.",
    ),
    "missing square root": (
        lambda *a: _dpm(*a, power=1),
        "x is multiplied by a ratio of variances: σ is √(1-ᾱ).",
    ),
}


@LAB.exercise("5.1", "A step of second order", stars=3, minutes=15)
def check_denoise_dpm(my_denoise_dpm: Callable) -> str:
    """my_denoise_dpm(x, t, t_prev, x0_pred, before) → x at level t_prev; before is None or (level, x̂_0 there)."""

    def draw() -> tuple[Tensor, int, int, Tensor, tuple[int, Tensor]]:
        x, x0_pred, x0_before = pictures(3)
        t_before, t, t_prev = falling_levels(3)
        return x, t, t_prev, x0_pred, (t_before, x0_before)

    def describe(args: tuple, got: Tensor, expected: Tensor) -> str | None:
        return strengths(x=0, x0_pred=3, x0_before=4, t=1)((*args[:4], args[4][1]), got, expected)

    compare(my_denoise_dpm, denoise_dpm, draw, DPM_MISTAKES, describe)
    x, t, t_prev, x0_pred, before = draw()
    if problem := difference(call(my_denoise_dpm, x, t, t_prev, x0_pred, None), denoise_dpm(x, t, t_prev, x0_pred)):
        fail("first step", f"with before = None, D is x̂_0: {problem[1]}")
    if problem := difference(call(my_denoise_dpm, x, t, 0, x0_pred, before), x0_pred):
        fail(
            "last step",
            f"to t_prev = 0, h is infinite. Treat this case first, and return x0_pred itself. Yours: {problem[1]}",
        )
    return "D is the mean of the guess over the step; at the first and the last step it is x̂_0 as it is."


def order(n_1: int, error_1: float, n_2: int, error_2: float) -> float:
    return math.log(error_1 / error_2) / math.log(n_2 / n_1)


ORDER_MISTAKES = {
    "minus sign": (
        lambda *a: -order(*a),
        "The line falls, so its slope is negative. The order is -slope.",
    ),
    "no logarithm": (
        lambda n, e, n_2, e_2: e / e_2,
        "This is how many times the error falls. Take logarithms.",
    ),
    "steps taken to double": (
        lambda n, e, n_2, e_2: math.log2(e / e_2),
        "This is right where n_2 is twice n_1. Divide by the logarithm of n_2 / n_1.",
    ),
    "steps without their logarithm": (
        lambda n, e, n_2, e_2: math.log(e / e_2) / (n_2 - n),
        "The steps need a logarithm as well: C / n^p is a straight line only where both axes are logarithmic.",
    ),
    "upside down": (
        lambda *a: 1 / order(*a),
        "Upside down: the logarithm of the errors belongs above.",
    ),
    "divided by the ratio": (
        lambda n, e, n_2, e_2: math.log(e / e_2) / (n_2 / n),
        "The ratio of the steps has no logarithm.",
    ),
    "difference of errors": (
        lambda n, e, n_2, e_2: math.log(e - e_2) / math.log(n_2 / n),
        "C falls out of the ratio of the errors, not of their difference.",
    ),
    "ratio of logarithms": (
        lambda n, e, n_2, e_2: (math.log(e) / math.log(e_2)) / (math.log(n_2) / math.log(n)),
        "log(a) / log(b) is not log(a / b): divide first.",
    ),
    "two logarithms": (
        lambda n, e, n_2, e_2: math.log2(e / e_2) / math.log(n_2 / n),
        "The two logarithms are to different bases: take the same one twice.",
    ),
    "rounded": (
        lambda *a: round(order(*a)),
        "Is it rounded? Measured orders are no whole numbers: leave it.",
    ),
}


@LAB.exercise("5.2", "The order of a solver", stars=2, minutes=10)
def check_order(my_order: Callable) -> str:
    """my_order(n_1, error_1, n_2, error_2) → p, if the error is C / n^p."""

    def draw() -> tuple[int, float, int, float]:
        n_1, scale, p = whole(4, 30), between(1, 3), whole(1, 3) + between(0.15, 0.35)
        n_2 = int(n_1 * between(2.5, 6))
        return n_1, scale / n_1**p, n_2, scale / n_2**p

    compare(my_order, order, draw, ORDER_MISTAKES, tolerance=1e-3)
    return "the slope on logarithmic axes: order 2 means a quarter of the error for twice the steps."


def _fresh(
    t,
    t_prev,
    x0,
    before,
    z,
    *,
    gain=lambda r, h: 1 / r,
    share=0.5,
    root=0.5,
    level=lambda t, t_prev: t_prev,
    shown=lambda t, t_prev: t_prev,
    left=lambda h: 1,
) -> Tensor:
    """Equation (6) for η = ∞, each part exchangeable: ρ/r, both roots, the levels of noise and picture, D's share."""
    h = _half_log_snr(t_prev) - _half_log_snr(t)
    d = x0 + gain((_half_log_snr(t) - _half_log_snr(before[0])) / h, h) * (x0 - before[1])
    return AB[shown(t, t_prev)] ** share * left(h) * d + (1 - AB[level(t, t_prev)]) ** root * z


def denoise_fresh(t: int, t_prev: int, x0_pred: Tensor, before: tuple[int, Tensor] | None, z: Tensor) -> Tensor:
    """Equation (6) for η = ∞: the module's step, in which x_t then has the weight 0."""
    return denoise_dpm(torch.zeros_like(z), t, t_prev, x0_pred, before, eta=math.inf, z=z)


FRESH_MISTAKES = {
    "r upside down": (
        lambda *a: _fresh(*a, gain=lambda r, h: r),
        "r is upside down: it is λ_t - λ_before over h.",
    ),
    "carried half-way": (
        lambda *a: _fresh(*a, gain=lambda r, h: 1 / (2 * r)),
        "You took the guess half-way. With η = ∞ nothing older counts: ρ = 1, the end of the step.",
    ),
    "rho of eta = 1": (
        lambda *a: _fresh(*a, gain=lambda r, h: _share(2 * h) / r),
        "This ρ is that of η = 1. With η = ∞ it is 1: the end of the step.",
    ),
    "weight of eta = 0": (
        lambda *a: _fresh(*a, left=lambda h: 1 - (-h).exp()),
        "D is multiplied by 1 - e^-h, as with η = 0. Here it alone brings the picture: its weight is √ᾱ_prev.",
    ),
    "levels in place of lambda": (
        lambda *a: _fresh(*a, gain=lambda r, h, a=a: (a[0] - a[1]) / (a[3][0] - a[0])),
        "r is a ratio of lengths in λ, not in t.",
    ),
    "beginning at the guess before": (
        lambda *a: _fresh(*a, gain=lambda r, h: 1 / r - 1),
        "D begins at the guess before: it should be x̂_0 plus the correction.",
    ),
    "picture of level t": (
        lambda *a: _fresh(*a, shown=lambda t, _: t),
        "D is multiplied by √ᾱ_t: it should be √ᾱ_prev, of the level to go to.",
    ),
    "noised to level t": (
        lambda *a: _fresh(*a, shown=lambda t, _: t, level=lambda t, _: t),
        "This is noised to level t, where the step begins: it should be t_prev.",
    ),
    "z not used": (
        lambda *a: _fresh(*a[:4], 0),
        "There is no noise in it: σ_prev z is missing.",
    ),
    "rho of eta = 0": (
        lambda *a: _fresh(*a, gain=lambda r, h: _share(h) / r),
        "This ρ is that of η = 0. With η = ∞ it is 1: the end of the step.",
    ),
    "correction subtracted": (
        lambda *a: _fresh(*a, gain=lambda r, h: -1 / r),
        "The correction goes the wrong way: it is x̂_0 minus the one before, and r is positive.",
    ),
    "step before ignored": (
        lambda *a: _fresh(*a, gain=lambda r, h: 0),
        "D = x̂_0 is right only where there is no step before.",
    ),
    "picture without its weight": (
        lambda *a: _fresh(*a, share=0),
        "D needs its weight: at t_prev it counts √ᾱ_prev.",
    ),
    "missing square root on the picture": (
        lambda *a: _fresh(*a, share=1),
        "D is multiplied by √ᾱ_prev, with a root.",
    ),
    "missing square root on the noise": (
        lambda *a: _fresh(*a, root=1),
        "z is multiplied by a standard deviation.",
    ),
    "noise of level t": (
        lambda *a: _fresh(*a, level=lambda t, _: t),
        "This is the noise of level t, not of t_prev.",
    ),
}


@LAB.exercise("5.3", "All noise fresh", stars=2, minutes=10)
def check_denoise_fresh(my_denoise_fresh: Callable) -> str:
    """my_denoise_fresh(t, t_prev, x0_pred, before, z) → x at level t_prev; before is None or (level, x̂_0 there)."""

    def draw() -> tuple[int, int, Tensor, tuple[int, Tensor], Tensor]:
        x0_pred, x0_before, z = pictures(3)
        t_before, t, t_prev = falling_levels(3)
        return t, t_prev, x0_pred, (t_before, x0_before), z

    def describe(args: tuple, got: Tensor, expected: Tensor) -> str | None:
        return strengths(x0_pred=2, x0_before=3, z=4, t=0)((*args[:3], args[3][1], args[4]), got, expected)

    compare(my_denoise_fresh, denoise_fresh, draw, FRESH_MISTAKES, describe)
    t, t_prev, x0_pred, before, z = draw()
    first = (t, t_prev, x0_pred, None, z)
    if problem := difference(call(my_denoise_fresh, *first), denoise_fresh(*first)):
        fail("first step", f"with before = None, D is x̂_0: {problem[1]}")
    if problem := difference(call(my_denoise_fresh, t, 0, x0_pred, before, z), x0_pred):
        fail(
            "last step",
            f"to t_prev = 0 the result should be x0_pred itself, without noise: {problem[1]}",
        )
    return "the guess at the end of the step, noised anew to t_prev."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

"""The checks of Lab 4's exercises: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

Each compares with the module or a closed form, on fresh random inputs. The mistakes are written out, one line each, so
that this file is also a list of what goes wrong in practice. Do the exercises before you read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle
from numbers import Integral

import torch
from torch import Tensor

from diffusion_utilities import (
    denoise_ddim,
    denoise_dpm,
    linear_schedule,
    perturb_input,
    predict_x0,
    step_pairs,
)
from exercise_tools.kit import Lab, call, compare, difference, fail, strengths

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

SCHEDULE = linear_schedule()
A, AB = SCHEDULE.a_t, SCHEDULE.ab_t
T = SCHEDULE.timesteps


def _pictures(n: int) -> list[Tensor]:
    return [torch.randn(4, 3, 8, 8) for _ in range(n)]


def _whole(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()))


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _levels(n: int) -> list[int]:
    """n falling levels, 20 to 60 apart and at least 200: no two shares are nearly equal, so that no mistake hides."""
    levels = [_whole(200, 260)]
    for _ in range(n - 1):
        levels.append(levels[-1] + _whole(20, 60))
    return levels[::-1]


# ----------------------------------------------------------------------------------------------------- 4.1 step_pairs


def _is_level(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.ndim == 0 and not value.is_floating_point()
    return isinstance(value, Integral)


def _judge_pairs(pairs: object, n: int, timesteps: int) -> None:
    """Fail unless pairs is an even walk from ``timesteps`` to 0 in n steps; rounding up and down are both right."""
    asked = f"for n = {n} and {timesteps} levels"
    if not isinstance(pairs, list | tuple):
        fail("not a list", f"the result should be a list of pairs, it is a {type(pairs).__name__}.")
    if pairs and all(_is_level(one) for one in pairs):
        fail(
            "levels, not pairs",
            f"{asked} the list holds single levels. Put each together with the one after it.",
        )
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        fail("not pairs", f"{asked} the result should be a list of {n} pairs (t, t_next).")
    if not all(_is_level(level) for pair in pairs for level in pair):
        fail(
            "not whole numbers",
            f"{asked} the list has {pairs[0]}. Levels are places in a table: round them to int.",
        )
    starts, ends = [int(t) for t, _ in pairs], [int(t_next) for _, t_next in pairs]
    steps = [t - t_next for t, t_next in zip(starts, ends, strict=True)]
    problems = [
        (
            "counts upwards",
            starts[0] < starts[-1] or max(steps) < 0,
            "the list goes up. Sampling goes down from T.",
        ),
        (
            "starts at T-1",
            starts[0] == timesteps - 1,
            "the first level is T-1. x_T is at T; 0 is the clean picture.",
        ),
        ("wrong start", starts[0] != timesteps, f"the first level is {starts[0]}."),
        (
            "runs below 0",
            min(ends) < 0,
            f"it goes to {min(ends)}: a negative index takes a table from its end.",
        ),
        ("repeated level", 0 in steps, "a step leads from a level to itself."),
        (
            "gap in the walk",
            ends[:-1] != starts[1:],
            f"{pairs[:2]}: each pair must begin where the one before ends.",
        ),
        (
            "ends at 1",
            ends[-1] == 1,
            "the last step ends at 1, where there is still noise. The clean picture is 0.",
        ),
        (
            "ends above 0",
            ends[-1] != 0,
            f"the last step ends at {ends[-1]}. Is a fixed stride too short here?",
        ),
        (
            "fixed stride",
            len(pairs) != n,
            f"there are {len(pairs)} steps. Is the stride T // n, with a rest?",
        ),
        (
            "uneven",
            max(steps) - min(steps) > 1,
            f"the steps have {min(steps)} to {max(steps)} levels: make them even.",
        ),
    ]
    for diagnosis, found, sentence in problems:
        if found:
            fail(diagnosis, f"{asked} {sentence}")


@LAB.exercise("4.1", "The list of levels", stars=2, minutes=10)
def check_step_pairs(my_step_pairs: Callable) -> str:
    """my_step_pairs(n, timesteps) → n pairs (t, t_next)."""
    n = _whole(20, 30)  # it divides 20 n, and not 15 n + 3
    for count, timesteps in ((n, 20 * n), (n, 15 * n + 3), (_whole(280, 320), T), (1, T), (T, T)):
        _judge_pairs(call(my_step_pairs, count, timesteps), count, timesteps)
    return "n steps from T to 0, as even as whole numbers can be, also where n does not divide T."


# --------------------------------------------------------------------------------------------------- 4.2 denoise_ddim


def _ddim(x, t, t_prev, eps, eta, z, *, ab=AB, picture=torch.sqrt, divide=True, kept=None, fresh=None) -> Tensor:
    """Equation (3), each part exchangeable: the root before x̂_0, its division, what is under the other root, and σ."""
    low, high = ab[t_prev], ab[t]
    sigma = eta * ((1 - low) / (1 - high) * (1 - high / low)).sqrt()
    x0 = (x - (1 - high).sqrt() * eps) / (high.sqrt() if divide else 1)
    kept = kept(low, high, sigma) if kept else 1 - low - sigma**2
    return picture(low) * x0 + kept.sqrt() * eps + (fresh(sigma) if fresh else sigma) * z


DDIM_MISTAKES = {
    "level t in the direction": (
        lambda *a: _ddim(*a, kept=lambda low, high, sigma: 1 - high - sigma**2),
        "The noise kept has ᾱ_t under its root: it should fit the level to go to, ᾱ_prev.",
    ),
    "sigma forgotten under the root": (
        lambda *a: _ddim(*a, kept=lambda low, high, sigma: 1 - low),
        "Is σ² forgotten under the root? Old and fresh noise must add up to the variance 1-ᾱ_prev.",
    ),
    "missing square root on the picture": (
        lambda *a: _ddim(*a, picture=lambda low: low),
        "x̂_0 is multiplied by ᾱ_prev: is a square root missing?",
    ),
    "sigma squared before z": (
        lambda *a: _ddim(*a, fresh=torch.square),
        "z is multiplied by σ²: it should be σ.",
    ),
    "alpha for alpha-bar": (
        lambda *a: _ddim(*a, ab=A),
        "Is α in the place of ᾱ? α belongs to one small step only.",
    ),
    "x_0 not divided": (
        lambda *a: _ddim(*a, divide=False),
        "x̂_0 is still shrunk: divide it by √ᾱ_t.",
    ),
    "eta forgotten": (
        lambda *a: _ddim(*a[:4], 1.0, a[5]),
        "σ has its full size: multiply it by η.",
    ),
    "always without noise": (
        lambda *a: _ddim(*a[:4], 0.0, a[5]),
        "This is the step for η = 0, whatever η is.",
    ),
    "z not used": (
        lambda *a: _ddim(*a[:5], 0),
        "Old noise is taken out, but σ z is not put in: the samples collapse.",
    ),
    "t-1 in place of t_prev": (
        lambda *a: _ddim(*a[:2], a[1] - 1, *a[3:]),
        "The step goes to t-1, whatever t_prev is.",
    ),
}


@LAB.exercise("4.2", "A step of any size", stars=2, minutes=15)
def check_denoise_ddim(my_denoise_ddim: Callable) -> str:
    """my_denoise_ddim(x, t, t_prev, pred_noise, eta, z) → x at level t_prev."""

    def draw() -> tuple[Tensor, int, int, Tensor, float, Tensor]:
        x, pred_noise, z = _pictures(3)
        return x, *_levels(2), pred_noise, _between(0.5, 0.9), z

    describe = strengths(x=0, pred_noise=3, z=5, t=1)
    compare(my_denoise_ddim, denoise_ddim, draw, DDIM_MISTAKES, describe, tolerance=1e-5)
    x, t, _, pred_noise, eta, z = draw()
    if problem := difference(call(my_denoise_ddim, x, t, 0, pred_noise, eta, z), predict_x0(x, t, pred_noise)):
        fail(
            "last step",
            f"from t = {t} to 0 the result should be x̂_0 itself, without noise: {problem[1]}",
        )
    return "the guess x̂_0, noised again to t_prev; old and fresh noise together have the variance 1-ᾱ_prev."


# --------------------------------------------------------------------------------------------------- 4.3 steps_needed


def _spread(n: int, s: float, eta: float = 0.0) -> float:
    """The standard deviation that DDIM in n steps gives for data N(0, s²), step by step from that of x_T, 1."""
    variance = torch.ones((), dtype=torch.float64)
    for t, t_prev in step_pairs(n, T):
        high, low = AB[t].double(), AB[t_prev].double()
        share = (1 - high).sqrt() / (high * s**2 + 1 - high)  # the exact prediction is this times x
        fresh = eta**2 * (1 - low) / (1 - high) * (1 - high / low)  # σ²
        x0 = (1 - (1 - high).sqrt() * share) / high.sqrt()
        variance = (low.sqrt() * x0 + (1 - low - fresh).sqrt() * share) ** 2 * variance + fresh
    return float(variance.sqrt())


def _error(n: int, s: float, eta: float = 0.0) -> float:
    return abs(_spread(n, s, eta) / s - 1)


def _steps_needed(s: float, bound: float, eta: float = 0.0) -> int:
    return next(n for n in range(1, T + 1) if _error(n, s, eta) <= bound)


NEEDED_MISTAKES = {
    "one step early": (
        lambda *a: _steps_needed(*a) - 1,
        "One too few: this is the last n that misses too much.",
    ),
    "first n taken": (
        lambda *a: 1,
        "Is std / s - 1 negative? Or is the comparison the wrong way round?",
    ),
    "not divided by s": (
        lambda s, bound: _steps_needed(s, bound / s),
        "The bound is a share of s: divide by s.",
    ),
    "variance": (
        lambda s, bound: _steps_needed(s, 1 - (1 - bound) ** 0.5),
        "These are variances: take standard deviations.",
    ),
    "fresh noise": (
        lambda *a: _steps_needed(*a, eta=1.0),
        "This is the answer for η = 1. DDIM is η = 0.",
    ),
}


@LAB.exercise("4.3", "How many steps are enough", stars=2, minutes=15)
def check_steps_needed(my_steps_needed: Callable) -> str:
    """my_steps_needed(s, bound) → the smallest n for which DDIM's spread is off by no more than bound · s."""
    wanted = cycle(torch.randperm(3).add(6).tolist())  # n = 6, 7, 8 in some order

    def draw() -> tuple[float, float]:
        s, n = _between(0.42, 0.5), next(wanted)
        # half-way, so that a measurement with samples finds n as well
        return s, (_error(n - 1, s) + _error(n, s)) / 2

    compare(my_steps_needed, _steps_needed, draw, NEEDED_MISTAKES, tolerance=1e-6)
    return "few steps shrink the spread, and it takes about twice the steps to halve what is missing."


# ---------------------------------------------------------------------------------------------------------- 4.4 slerp


def slerp(a: Tensor, b: Tensor, u: float) -> Tensor:
    """The point u (from 0 to 1) of the arc from a to b; both are one picture of noise (3, h, w)."""
    return _arc(a, b, u, _angle(a, b))


def _angle(a: Tensor, b: Tensor, dim: int | None = None) -> Tensor:
    """The angle of a and b; with ``dim``, many angles, each along this axis alone."""
    dot, aa, bb = ((one * other).sum(dim, keepdim=dim is not None) for one, other in ((a, b), (a, a), (b, b)))
    return (dot / (aa * bb).sqrt()).acos()


def _arc(a: Tensor | float, b: Tensor | float, u: float, omega: Tensor) -> Tensor:
    return (((1 - u) * omega).sin() * a + (u * omega).sin() * b) / omega.sin()


SLERP_MISTAKES = {
    "straight line": (
        torch.lerp,
        "This is the straight line, (1-u) a + u b. In its middle the noise is too weak.",
    ),
    "line made longer": (
        lambda a, b, u: torch.lerp(a, b, u) * a.norm() / torch.lerp(a, b, u).norm(),
        "This is the straight line, lengthened afterwards. It does not walk at an even pace, nor end at b's length.",
    ),
    "weights that add up to 1": (
        lambda a, b, u: slerp(a, b, u) / _arc(1, 1, u, _angle(a, b)),
        "The weights add up to 1. On an arc they add up to more: divide by sin Ω.",
    ),
    "division forgotten": (
        lambda a, b, u: slerp(a, b, u) * _angle(a, b).sin(),
        "The division by sin Ω is missing.",
    ),
    "quarter circle": (
        lambda a, b, u: _arc(a, b, u, torch.tensor(torch.pi / 2)),
        "Right for 90° only: measure the angle.",
    ),
    "angle not divided by the lengths": (
        lambda a, b, u: _arc(a, b, u, (a * b).sum().acos()),
        "a·b is taken for cos Ω: divide it by both lengths. With long vectors the result is NaN.",
    ),
    "u and 1-u swapped": (
        lambda a, b, u: slerp(b, a, u),
        "It is turned round: u = 0 must give a, and u = 1 give b.",
    ),
    "degrees": (
        lambda a, b, u: _arc(a, b, u, _angle(a, b).rad2deg()),
        "sin wants radians, as acos gives them.",
    ),
    "lengths lost": (
        lambda a, b, u: slerp(a / a.norm(), b / b.norm(), u),
        "Only the angle needs lengths of 1, not a and b.",
    ),
    "angle row by row": (
        lambda a, b, u: _arc(a, b, u, _angle(a, b, -1)),
        "A picture is one vector: sum over all values.",
    ),
}


@LAB.exercise("4.4", "Along the arc", stars=2, minutes=10)
def check_slerp(my_slerp: Callable) -> str:
    """my_slerp(a, b, u) → the point u of the arc from a to b."""

    def draw() -> tuple[Tensor, Tensor, float]:
        a, across = (one / one.norm() for one in torch.randn(2, 3, 8, 8))
        across = across - (a * across).sum() * a
        # 60.3° to 62.2°: at 90° some mistakes do not show, and taken for radians, these are far from a multiple of π
        omega = _between(1.053, 1.085)
        b = math.cos(omega) * a + math.sin(omega) * across / across.norm()
        # nor may the lengths be equal
        return _between(0.5, 0.7) * a, _between(0.75, 0.95) * b, _between(0.15, 0.4)

    compare(my_slerp, slerp, draw, SLERP_MISTAKES, strengths(a=0, b=1), tolerance=3e-4)
    return "the arc: it begins at a, ends at b, and keeps the length of noise on the way."


# --------------------------------------------------------------------------------------------------------- 4.5 encode


@torch.no_grad()
def encode(model: Callable, x_0: Tensor, n: int) -> Tensor:
    """From sprites x_0 (n, 3, h, w) to the noise that they come from: DDIM run backwards, in n steps."""
    return _climb(model, x_0, n)


def _climb(model: Callable, x: Tensor, n: int, *, walk=list, ask=None, clean=None) -> Tensor:
    """The walk upwards, each part exchangeable: the list of (t, t_next), the level the model is told, predict_x0's."""
    for t, t_next in walk([(low, high) for high, low in reversed(step_pairs(n, T))]):
        pred_noise = model(x, (ask(t, t_next) if ask else max(t, 1)) / T)
        x0_pred = predict_x0(x, clean(t, t_next) if clean else t, pred_noise)
        x = perturb_input(x0_pred, t_next, pred_noise)
    return x


def _exact(m: float, s: float) -> Callable:
    """The exact denoiser for N(m, s²). A level outside 0 … T counts as the nearest, so that no mistake is a crash."""

    def model(x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        level = round(float(torch.as_tensor(t).flatten()[0]) * T)
        ab = AB[max(0, min(level, T))]
        return (1 - ab).sqrt() * (x - ab.sqrt() * m) / (ab * s**2 + 1 - ab)

    return model


ENCODE_MISTAKES = {
    "list not reversed": (
        lambda *a: _climb(*a, walk=lambda up: [(high, low) for low, high in reversed(up)]),
        "The walk goes from T down to 0, as in sampling. The sprite is at level 0: reverse the list.",
    ),
    "pairs not turned round": (
        lambda *a: _climb(*a, walk=lambda up: [(high, low) for low, high in up]),
        "The list is reversed, but its pairs are not: step_pairs gives (high, low), and x is at the low one.",
    ),
    "target's level in predict_x0": (
        lambda *a: _climb(*a, clean=lambda t, t_next: t_next),
        "predict_x0 is given the level to go to. x is still at t.",
    ),
    "target's level for the model": (
        lambda *a: _climb(*a, ask=lambda t, t_next: t_next),
        "The model is asked about the level to go to. x is still at t.",
    ),
    "level 0 for the model": (
        lambda *a: _climb(*a, ask=lambda t, _: t),
        "In the first step the model is told t = 0, which it was never trained on: tell it 1, as in max(t, 1).",
    ),
    "level 1 for predict_x0": (
        lambda *a: _climb(*a, clean=lambda t, _: max(t, 1)),
        "Only the model is told 1. predict_x0 gets the true level, 0: there x is the picture itself.",
    ),
    "t in place of t/T": (
        lambda *a: _climb(*a, ask=lambda t, _: T * max(t, 1)),
        "The model wants t/T, up to 1.",
    ),
    "predict_x0 left out": (
        lambda *a: _climb(*a, clean=lambda *_: 0),
        "First take the noise out of x, with predict_x0.",
    ),
    "last level left out": (
        lambda *a: _climb(*a, walk=lambda up: up[:-1]),
        "The last step, up to T, is missing.",
    ),
    "first level left out": (
        lambda *a: _climb(*a, walk=lambda up: up[1:]),
        "The first step, up from 0, is missing.",
    ),
}


@LAB.exercise("4.5", "From a sprite to its noise", stars=3, minutes=15)
def check_encode(my_encode: Callable) -> str:
    """my_encode(model, x_0, n) → x_T, which DDIM leads back to x_0."""

    def draw() -> tuple[Callable, Tensor, int]:
        m, s = _between(0.2, 0.5), _between(0.3, 0.6)
        return _exact(m, s), m + s * torch.randn(4, 3, 8, 8), _whole(6, 30)

    args = draw()
    first, second = call(my_encode, *args), call(my_encode, *args)
    if isinstance(first, Tensor) and first.isfinite().all() and difference(second, first, tolerance=1e-3):
        fail(
            "fresh noise",
            "two calls give different results: is fresh noise added? Use the predicted noise.",
        )
    compare(my_encode, encode, draw, ENCODE_MISTAKES)
    return "DDIM upwards: guess the clean picture, noise it to the next level with the predicted noise."


# ------------------------------------------------------------------------------------------- 4.6 to 4.8: second order


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
) -> Tensor:
    """Equation (10), each part exchangeable: λ, the sign in the exponent, ρ/r, the root of the ratio before x."""
    h = lam(t_prev) - lam(t)
    d = x0 + gain((lam(t) - lam(before[0])) / h, h) * (x0 - before[1])
    return ((1 - AB[t_prev]) / (1 - AB[t])) ** power * x + AB[t_prev].sqrt() * (1 - (-sign * h).exp()) * d


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


@LAB.exercise("4.6", "A step of second order", stars=3, minutes=15)
def check_denoise_dpm(my_denoise_dpm: Callable) -> str:
    """my_denoise_dpm(x, t, t_prev, x0_pred, before) → x at level t_prev; before is None or (level, x̂_0 there)."""

    def draw() -> tuple[Tensor, int, int, Tensor, tuple[int, Tensor]]:
        x, x0_pred, x0_before = _pictures(3)
        t_before, t, t_prev = _levels(3)
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
            f"to t_prev = 0 the result should be x0_pred itself. There h is infinite: {problem[1]}",
        )
    return "D is the mean of the guess over the step; at the first and the last step it is x̂_0 as it is."


def _order(n_1: int, error_1: float, n_2: int, error_2: float) -> float:
    return math.log(error_1 / error_2) / math.log(n_2 / n_1)


ORDER_MISTAKES = {
    "minus sign": (
        lambda *a: -_order(*a),
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
        lambda *a: 1 / _order(*a),
        "Upside down: the logarithm of the errors belongs above.",
    ),
    "rounded": (
        lambda *a: round(_order(*a)),
        "Is it rounded? Measured orders are no whole numbers: leave it.",
    ),
}


@LAB.exercise("4.7", "The order of a solver", stars=2, minutes=10)
def check_order(my_order: Callable) -> str:
    """my_order(n_1, error_1, n_2, error_2) → p, if the error is C / n^p."""

    def draw() -> tuple[int, float, int, float]:
        n_1, scale, p = _whole(4, 30), _between(1, 3), _whole(1, 3) + _between(0.15, 0.35)
        n_2 = int(n_1 * _between(2.5, 6))
        return n_1, scale / n_1**p, n_2, scale / n_2**p

    compare(my_order, _order, draw, ORDER_MISTAKES, tolerance=1e-3)
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
):
    """Equation (11) for η = ∞, each part exchangeable: ρ/r, both roots, the level of the noise."""
    h = _half_log_snr(t_prev) - _half_log_snr(t)
    d = x0 + gain((_half_log_snr(t) - _half_log_snr(before[0])) / h, h) * (x0 - before[1])
    return AB[t_prev] ** share * d + (1 - AB[level(t, t_prev)]) ** root * z


FRESH_MISTAKES = {
    "r upside down": (
        lambda *a: _fresh(*a, gain=lambda r, h: r),
        "r is upside down: it is λ_t - λ_before over h.",
    ),
    "carried half-way": (
        lambda *a: _fresh(*a, gain=lambda r, h: 1 / (2 * r)),
        "You took the guess half-way. With η = ∞ nothing older counts: ρ = 1, the end of the step.",
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


@LAB.exercise("4.8", "All noise fresh", stars=2, minutes=10)
def check_denoise_fresh(my_denoise_fresh: Callable) -> str:
    """my_denoise_fresh(t, t_prev, x0_pred, before, z) → x at level t_prev; before is None or (level, x̂_0 there)."""

    def exact(t: int, t_prev: int, x0_pred: Tensor, before: tuple[int, Tensor] | None, z: Tensor) -> Tensor:
        return denoise_dpm(torch.zeros_like(z), t, t_prev, x0_pred, before, eta=math.inf, z=z)

    def draw() -> tuple[int, int, Tensor, tuple[int, Tensor], Tensor]:
        x0_pred, x0_before, z = _pictures(3)
        t_before, t, t_prev = _levels(3)
        return t, t_prev, x0_pred, (t_before, x0_before), z

    def describe(args: tuple, got: Tensor, expected: Tensor) -> str | None:
        return strengths(x0_pred=2, x0_before=3, z=4, t=0)((*args[:3], args[3][1], args[4]), got, expected)

    compare(my_denoise_fresh, exact, draw, FRESH_MISTAKES, describe)
    t, t_prev, x0_pred, before, z = draw()
    if problem := difference(call(my_denoise_fresh, t, t_prev, x0_pred, None, z), exact(t, t_prev, x0_pred, None, z)):
        fail("first step", f"with before = None, D is x̂_0: {problem[1]}")
    if problem := difference(call(my_denoise_fresh, t, 0, x0_pred, before, z), x0_pred):
        fail(
            "last step",
            f"to t_prev = 0 the result should be x0_pred itself, without noise: {problem[1]}",
        )
    return "the guess at the end of the step, noised anew to t_prev."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

"""The checks of Lab 4's exercises: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

Each compares with the module or a closed form, on fresh random inputs. The mistakes are written out, one line each, so
that this file is also a list of what goes wrong in practice. Do the exercises before you read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import cycle, pairwise
from numbers import Integral

import torch
from torch import Tensor

from diffusion_utilities import (
    Guided,
    denoise_ddim,
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


def pictures(n: int) -> list[Tensor]:
    return [torch.randn(4, 3, 8, 8) for _ in range(n)]


def whole(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()))


def between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def falling_levels(n: int) -> list[int]:
    """n falling levels, 20 to 60 apart and at least 200: no two shares are nearly equal, so that no mistake hides."""
    levels = [whole(200, 260)]
    for _ in range(n - 1):
        levels.append(levels[-1] + whole(20, 60))
    return levels[::-1]


# ----------------------------------------------------------------------------------- 4.1 step_pairs


def _is_level(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.ndim == 0 and not value.is_floating_point()
    return isinstance(value, Integral)


def _judge_pairs(pairs: object, n: int, timesteps: int) -> None:
    """Fail unless pairs is an even walk from ``timesteps`` to 0 in n steps, rounded in any way."""
    asked = f"for n = {n} and {timesteps} levels"
    if not isinstance(pairs, list | tuple):
        way = "" if not isinstance(pairs, Iterator) else ": list(…) around it makes one"
        fail(
            "not a list",
            f"the result should be a list of pairs, it is a {type(pairs).__name__}{way}.",
        )
    if pairs and all(_is_level(one) for one in pairs):
        message = f"{asked} the list holds single levels. Put each together with the one after it."
        fail("levels, not pairs", message)
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        fail("not pairs", f"{asked} the result should be a list of {n} pairs (t, t_next).")
    if not all(_is_level(level) for pair in pairs for level in pair):
        message = f"{asked} the list has {pairs[0]}. Levels are places in a table: round them to int."
        fail("not whole numbers", message)
    starts, ends = [int(t) for t, _ in pairs], [int(t_next) for _, t_next in pairs]
    for diagnosis, found, sentence in _problems(starts, ends, n, timesteps):
        if found:
            fail(diagnosis, f"{asked} {sentence}")


def _problems(starts: list[int], ends: list[int], n: int, timesteps: int) -> list[tuple[str, bool, str]]:
    """What may be wrong with a walk: diagnosis, whether it is so, a sentence. The first that is so counts."""
    steps = [t - t_next for t, t_next in zip(starts, ends, strict=True)]
    divides, first = timesteps % n == 0, (starts[0], ends[0])
    falls = all(t > t_next for t, t_next in pairwise(starts))
    return [
        (
            "pairs turned round",
            max(steps) < 0 and falls,
            f"the pairs are turned round: {first}. The higher level comes first.",
        ),
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
        (
            "wrong start",
            starts[0] != timesteps,
            f"the first level is {starts[0]}. It should be `timesteps`.",
        ),
        (
            "runs below 0",
            min(ends) < 0,
            f"it goes to {min(ends)}: a negative index takes a table from its end.",
        ),
        (
            "repeated level",
            0 in steps,
            "a step leads from a level to itself. Is 0 in the list twice, or 498.99… cut off to 498? Round first.",
        ),
        (
            "gap in the walk",
            ends[:-1] != starts[1:],
            f"the pairs begin at {starts[:2]} and end at {ends[:2]}: each must begin where the one before ends.",
        ),
        (
            "ends at 1",
            ends[-1] == 1,
            "the last step ends at 1, where there is still noise. The clean picture is 0.",
        ),
        (
            "last level left out",
            ends[-1] > 0 and len(steps) < n and divides,
            f"the last step ends at {ends[-1]}: 0 is left out. Mind that `range` leaves its end out.",
        ),
        (
            "ends above 0",
            ends[-1] != 0,
            f"the last step ends at {ends[-1]}. Is a fixed stride too short here?",
        ),
        (
            "fence post",
            abs(len(steps) - n) == 1 and divides,
            f"there are {len(steps)} steps. n steps have n+1 levels, the first and the last one counted.",
        ),
        (
            "fixed stride",
            len(steps) != n and not divides,
            f"there are {len(steps)} steps. Is the stride T // n, with a rest?",
        ),
        (
            "wrong number of steps",
            len(steps) != n,
            f"there are {len(steps)} steps.",
        ),
        (
            "uneven",  # one level more is forgiven: int(419.99…) is 419
            max(steps) - min(steps) > 2,
            f"the steps have {min(steps)} to {max(steps)} levels: make them even.",
        ),
    ]


@LAB.exercise("4.1", "The list of levels", stars=2, minutes=10)
def check_step_pairs(my_step_pairs: Callable) -> str:
    """my_step_pairs(n, timesteps) → n pairs (t, t_next)."""
    n = whole(20, 30)  # it divides 20 n, and not 15 n + 3
    for count, timesteps in ((n, 20 * n), (n, 15 * n + 3), (whole(280, 320), T), (1, T), (T, T)):
        _judge_pairs(call(my_step_pairs, count, timesteps), count, timesteps)
    return "n steps from T to 0, as even as whole numbers can be, also where n does not divide T."


# --------------------------------------------------------------------------------- 4.2 denoise_ddim


def _ddim(
    x,
    t,
    t_prev,
    eps,
    eta,
    z,
    *,
    ab=AB,
    picture=torch.sqrt,
    noise=torch.sqrt,
    divide=True,
    kept=None,
    root=0.5,
    fresh=None,
) -> Tensor:
    """Equation (3), each part exchangeable: the root before x̂_0, the noise taken out of it, its division, what is
    under the other root, that root, and σ."""
    low, high = ab[t_prev], ab[t]
    sigma = eta * ((1 - low) / (1 - high) * (1 - high / low)).sqrt()
    x0 = (x - noise(1 - high) * eps) / (high.sqrt() if divide else 1)
    kept = kept(low, high, sigma) if kept else 1 - low - sigma**2
    return picture(low) * x0 + kept**root * eps + (fresh(sigma) if fresh else sigma) * z


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
    "missing square root in x_0": (
        lambda *a: _ddim(*a, noise=lambda share: share),
        "In x̂_0 the noise is multiplied by 1-ᾱ_t: is a square root missing?",
    ),
    "noise added": (
        lambda *a: _ddim(*a, noise=lambda share: -share.sqrt()),
        "In x̂_0 the predicted noise is added: it must be taken out.",
    ),
    "missing square root on the direction": (
        lambda *a: _ddim(*a, root=1),
        "ε_θ is multiplied by a variance: is the root over 1-ᾱ_prev-σ² missing?",
    ),
    "direction left out": (
        lambda *a: _ddim(*a, kept=lambda low, high, sigma: 0 * low),
        "The middle term is missing: the part of the predicted noise that is kept.",
    ),
    "sigma without its root": (
        lambda x, t, p, eps, eta, z: _ddim(x, t, p, eps, eta * _ddim(0 * x, t, p, 0 * x, 1, 1).max(), z),
        "σ has no square root: equation (4) has two.",
    ),
    "predicted noise in place of z": (
        lambda *a: _ddim(*a[:5], a[3]),
        "σ multiplies the predicted noise: it should be z, the fresh one.",
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
        x, pred_noise, z = pictures(3)
        return x, *falling_levels(2), pred_noise, between(0.5, 0.9), z

    describe = strengths(x=0, pred_noise=3, z=5, t=1)
    compare(my_denoise_ddim, denoise_ddim, draw, DDIM_MISTAKES, describe, tolerance=1e-5)
    x, t, _, pred_noise, eta, z = draw()
    if problem := difference(call(my_denoise_ddim, x, t, 0, pred_noise, eta, z), predict_x0(x, t, pred_noise)):
        fail(
            "last step",
            f"from t = {t} to 0 the result should be x̂_0 itself, without noise: {problem[1]}",
        )
    return "the guess x̂_0, noised again to t_prev; old and fresh noise together have the variance 1-ᾱ_prev."


# --------------------------------------------------------------------------------- 4.3 steps_needed


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
    "one step late": (
        lambda *a: _steps_needed(*a) + 1,
        "One too many: the n before is good enough already.",
    ),
    "first n taken": (
        lambda *a: 1,
        "The first n is taken, whatever comes out. std / s - 1 is below 0: take abs. Then compare with <=.",
    ),
    "divided by the result": (
        lambda s, bound: _steps_needed(s, 1 - 1 / (1 + bound)),
        "The share is one of std: divide by s, not by what comes out.",
    ),
    "s not used": (
        lambda s, bound: _steps_needed(0.25, bound),
        "This is right for s = 0.25 only: s is an argument.",
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
    # far apart, so that no two mistakes give the same three answers by chance
    wanted = cycle([(0.3, 6), (0.38, 8), (0.46, 7)])

    def draw() -> tuple[float, float]:
        s, n = next(wanted)
        s += between(0, 0.04)
        # half-way, so that a measurement with samples finds n as well
        return s, (_error(n - 1, s) + _error(n, s)) / 2

    compare(my_steps_needed, _steps_needed, draw, NEEDED_MISTAKES, tolerance=1e-6)
    return "few steps shrink the spread, and it takes about twice the steps to halve what is missing."


# ---------------------------------------------------------------------------------------- 4.4 slerp


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
        "This is the straight line, (1-u) a + u b. In its middle the noise is too weak. Are the sines missing?",
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
    "only b divided": (
        lambda a, b, u: slerp(a, b, u) + ((1 - u) * _angle(a, b)).sin() * (1 - 1 / _angle(a, b).sin()) * a,
        "Only the second term is divided by sin Ω: set parentheses round the sum.",
    ),
    "divided by the angle": (
        lambda a, b, u: slerp(a, b, u) * _angle(a, b).sin() / _angle(a, b),
        "Divided by Ω: it should be sin Ω.",
    ),
    "cosine taken for the angle": (
        lambda a, b, u: _arc(a, b, u, _angle(a, b).cos()),
        "This is cos Ω in the place of Ω: acos is missing.",
    ),
    "asin for acos": (
        lambda a, b, u: _arc(a, b, u, _angle(a, b).cos().asin()),
        "asin of cos Ω is not the angle: take acos.",
    ),
    "cosines for sines": (
        lambda a, b, u: (((1 - u) * _angle(a, b)).cos() * a + (u * _angle(a, b)).cos() * b) / _angle(a, b).sin(),
        "The weights are sines, not cosines.",
    ),
    "sine before the product": (
        lambda a, b, u: (math.sin(1 - u) * a + math.sin(u) * b) * _angle(a, b) / _angle(a, b).sin(),
        "The sine is taken of u, and then multiplied: it is the sine of the product, sin(uΩ).",
    ),
    "one length only": (
        lambda a, b, u: _arc(a, b, u, ((a * b).sum() / a.norm() ** 2).acos()),
        "a·b is divided by |a| twice: it should be |a| and |b|.",
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
    "angle column by column": (
        lambda a, b, u: _arc(a, b, u, _angle(a, b, 1)),
        "A picture is one vector: sum over all values, not along axis 1.",
    ),
    "angle pixel by pixel": (
        lambda a, b, u: _arc(a, b, u, _angle(a, b, 0)),
        "A picture is one vector: sum over all values, not over the colours of each pixel.",
    ),
}


@LAB.exercise("4.4", "Along the arc", stars=2, minutes=10)
def check_slerp(my_slerp: Callable) -> str:
    """my_slerp(a, b, u) → the point u of the arc from a to b."""

    def draw() -> tuple[Tensor, Tensor, float]:
        a, across = (one / one.norm() for one in torch.randn(2, 3, 8, 8))
        across = across - (a * across).sum() * a
        # 60.3° to 62.2°: at 90° some mistakes do not show, and taken for radians, these are far
        # from a multiple of π
        omega = between(1.053, 1.085)
        b = math.cos(omega) * a + math.sin(omega) * across / across.norm()
        # nor may the lengths be equal
        return between(0.5, 0.7) * a, between(0.75, 0.95) * b, between(0.15, 0.4)

    compare(my_slerp, slerp, draw, SLERP_MISTAKES, strengths(a=0, b=1), tolerance=3e-4)
    return "the arc: it begins at a, ends at b, and keeps the length of noise on the way."


# --------------------------------------------------------------------------------------- 4.5 encode


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


def _exact(m: float | Tensor, s: float) -> Callable:
    """The exact denoiser for N(m, s²). A level outside 0 … T counts as the nearest, so that no mistake is a crash."""

    def model(x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        level = round(float(torch.as_tensor(t).flatten()[0]) * T)
        ab = AB[max(0, min(level, T))]
        return (1 - ab).sqrt() * (x - ab.sqrt() * m) / (ab * s**2 + 1 - ab)

    return model


def _fail_if_random(function: Callable, args: tuple) -> None:
    first, second = call(function, *args), call(function, *args)
    if isinstance(first, Tensor) and first.isfinite().all() and difference(second, first, tolerance=1e-3):
        message = "two calls give different results: is fresh noise added? Use the predicted noise."
        fail("fresh noise", message)


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
    "one large step": (
        lambda model, x, n: _climb(model, x, 1),
        "This is one step from 0 to T: walk, in n steps.",
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
        m, s = between(0.2, 0.5), between(0.3, 0.6)
        return _exact(m, s), m + s * torch.randn(4, 3, 8, 8), whole(6, 30)

    _fail_if_random(my_encode, draw())
    compare(my_encode, encode, draw, ENCODE_MISTAKES)
    return "DDIM upwards: guess the clean picture, noise it to the next level with the predicted noise."


# ----------------------------------------------------------------------------------------- 4.6 edit


@torch.no_grad()
def edit(model: Callable, x_0: Tensor, old: Tensor, new: Tensor, w: float, n: int) -> Tensor:
    """Sprites x_0 (n, 3, h, w) edited: up to their noise with the context ``old``, down with ``new`` and guidance w."""
    return _edit(model, x_0, old, new, w, n)


def _edit(model, x_0, old, new, w, n, *, up=1.0, start=None, eta=0.0, steps_down=None, scale=T) -> Tensor:
    """The edit, each part exchangeable: guidance on the way up, what comes of it, η, the steps down, and t's unit."""
    x = encode(lambda x, t: Guided(model, up)(x, t, old), x_0, n)
    x = start(x) if start else x
    for t, t_prev in step_pairs(steps_down or n, T):
        x = denoise_ddim(x, t, t_prev, Guided(model, w)(x, t / scale, new), eta)
    return x


def _exact_by_class(means: Tensor, s: float) -> Callable:
    """The exact denoiser for classes N(means[k], s²); without a context, or with zeros, for their common mean."""
    middle = float(means.mean())

    def model(x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        if c is None:
            return _exact(middle, s)(x, t)
        m = middle + c.to(x) @ (means - middle)
        return _exact(m.reshape(-1, 1, 1, 1), s)(x, t)

    return model


EDIT_MISTAKES = {
    "contexts swapped": (
        lambda model, x, old, new, *a: _edit(model, x, new, old, *a),
        "The contexts are swapped: up with `old`, down with `new`.",
    ),
    "old on the way down": (
        lambda model, x, old, new, *a: _edit(model, x, old, old, *a),
        "The way down asks for `old` again: nothing is edited.",
    ),
    "new on the way up": (
        lambda model, x, old, new, *a: _edit(model, x, new, new, *a),
        "The way up asks for `new`. The sprite is what `old` says: encode it as that.",
    ),
    "no context on the way up": (
        lambda model, x, old, *a: _edit(model, x, None, *a),
        "The way up has no context: give the model `old`.",
    ),
    "no context on the way down": (
        lambda model, x, old, new, *a: _edit(model, x, old, None, *a),
        "The way down has no context: give the model `new`.",
    ),
    "guidance forgotten": (
        lambda *a: _edit(*a[:4], 1.0, a[5]),
        "This is w = 1 on the way down: ask `Guided(model, w)`.",
    ),
    "guidance on the way up": (
        lambda *a: _edit(*a, up=a[4]),
        "The way up is guided, too: there the model is asked as it is.",
    ),
    "guidance on the wrong way": (
        lambda *a: _edit(*a[:4], 1.0, a[5], up=a[4]),
        "The way up is guided, and the way down is not: it should be the other way round.",
    ),
    "not encoded": (
        lambda model, x, *a: _edit(model, x, *a, start=lambda _: x),
        "The way down begins at the sprite itself, not at its noise.",
    ),
    "only the way up": (
        lambda model, x, old, new, w, n: encode(lambda x, t: model(x, t, old), x, n),
        "This is the noise: the way down is missing.",
    ),
    "t in place of t/T": (
        lambda *a: _edit(*a, scale=1),
        "On the way down the model wants t/T, up to 1.",
    ),
}


@LAB.exercise("4.6", "Edit a sprite", stars=2, minutes=10)
def check_edit(my_edit: Callable) -> str:
    """my_edit(model, x_0, old, new, w, n) → x_0 as `new` would have it."""

    def draw() -> tuple[Callable, Tensor, Tensor, Tensor, float, int]:
        means, s = 0.4 * torch.randn(5), between(0.3, 0.5)
        k, j = torch.randperm(5)[:2].tolist()
        means[j] = means[k] + 0.5  # so that the edit changes something
        old, new = torch.eye(5)[[k] * 4], torch.eye(5)[[j] * 4]
        x_0 = means[k] + s * torch.randn(4, 3, 8, 8)
        return _exact_by_class(means, s), x_0, old, new, between(1.7, 3), whole(8, 20)

    _fail_if_random(my_edit, draw())
    compare(my_edit, edit, draw, EDIT_MISTAKES)
    return "up with what the sprite is, down with what it should be: the noise is kept, the class is not."


# exercise 4.6 builds on encode
__all__ = ["LAB", "encode", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

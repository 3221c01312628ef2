"""The checks of Lab 3's exercises: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

Each compares with the module or a closed form, on fresh random inputs. The mistakes are written out, one line each, so
that this file is also a list of what goes wrong in practice. The course's own functions stand here, too, for a sheet in
which the exercise is still open. Do the exercises before you read it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffusion_utilities import CLASS_NAMES, denoise_ddim, guided_noise, linear_schedule, step_pairs
from exercise_tools.kit import Lab, call, compare, difference, fail, strengths

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

AB = linear_schedule().ab_t
T = len(AB) - 1
M, S = 1.0, 0.7  # the two bells of section 7: ± M, of width S


def _between(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _read_as(function: Callable, read: Callable[[object], object]) -> Callable:
    """The learner's function with its result put in another form; ``wraps`` lets `call` still find its lines."""

    @functools.wraps(function)
    def changed(*args: object) -> object:
        return read(function(*args))

    return changed


# -------------------------------------------------------------------------------------- 3.1 and 3.2


def context(wish: dict[str, float], n: int) -> Tensor:
    """A wish, class name → part, as contexts (n, 5), all rows the same."""
    return torch.tensor([[float(wish.get(name, 0)) for name in CLASS_NAMES]]).repeat(n, 1)


def _alphabetical(wish: dict[str, float], n: int) -> Tensor:
    return torch.tensor([[float(wish.get(name, 0)) for name in sorted(CLASS_NAMES)]]).repeat(n, 1)


def _first_row_only(wish: dict[str, float], n: int) -> Tensor:
    return context(wish, n) * (torch.arange(n) == 0)[:, None]


def _in_order_of_wish(wish: dict[str, float], n: int) -> Tensor:
    return torch.tensor([*wish.values()] + [0.0] * (len(CLASS_NAMES) - len(wish))).repeat(n, 1)


CONTEXT_MISTAKES = {
    "cut to integers": (
        lambda *a: context(*a).trunc(),
        "The parts went through whole numbers on the way, and 0.6 became 0. Use floats from the start.",
    ),
    "one row only": (
        lambda *a: context(*a)[0],
        "This is the vector of one sprite: repeat it, one row for each.",
    ),
    "rows and columns swapped": (
        lambda *a: context(*a).T,
        "Each sprite has a row, each class a column.",
    ),
    "order of the wish": (
        _in_order_of_wish,
        "The parts stand in the order in which they were named. The place of a class is that in CLASS_NAMES.",
    ),
    "alphabetical": (
        _alphabetical,
        "The classes stand in alphabetical order. The place of a class is that in CLASS_NAMES.",
    ),
    "first row only": (
        _first_row_only,
        "Only the first sprite has the wish: write into all rows, c[:, place].",
    ),
    "scaled to sum 1": (
        lambda wish, n: context(wish, n) / sum(wish.values()),
        "The parts are divided by their sum. They are no shares: [1, 0, 0.6, 0, 0] stays as it is.",
    ),
    "parts ignored": (
        lambda *a: (context(*a) > 0).float(),
        "Each class named has a 1, not its part.",
    ),
    "only the largest": (
        lambda *a: torch.eye(5)[context(*a).argmax(dim=1)],
        "Only the largest part is left. A context may hold several.",
    ),
    "one class late": (
        lambda *a: context(*a).roll(1, dims=1),
        "One place late: classes count from 0.",
    ),
}


@LAB.exercise("3.1", "A wish as a vector", stars=1, minutes=5)
def check_context(my_context: Callable) -> str:
    """my_context(wish, n) → (n, 5), n equal rows; wish: class name → part."""

    def draw() -> tuple[dict[str, float], int]:
        chosen, parts = (
            torch.randperm(5)[:4].tolist(),
            [1, _between(0.2, 0.5), _between(0.6, 0.9), 1],
        )
        wish = {CLASS_NAMES[i]: parts[j] for i, j in zip(chosen, torch.randperm(4).tolist(), strict=True)}
        return wish, int(torch.randint(2, 4, ()))

    wish, n = draw()
    result = call(my_context, wish, n)
    if isinstance(result, Tensor) and not result.is_floating_point():
        if result.ndim == 1 and len(result) == n:
            fail(
                "a class number",
                "each sprite got a number of a class. A context is a row of five floats.",
            )
        fail(
            "cut to integers",
            f"the result is {result.dtype}, so 0.6 was cut to 0. Contexts are floats.",
        )
    compare(my_context, context, draw, CONTEXT_MISTAKES)
    whole = call(my_context, {"food": 1}, 2)
    if problem := difference(whole, context({"food": 1}, 2)):
        if isinstance(whole, Tensor) and not whole.is_floating_point():
            fail(
                "integers for whole parts",
                f'for {{"food": 1}} the result is {whole.dtype}: without a fraction among the parts, PyTorch takes '
                "integers. Contexts are floats: float(…), or dtype=torch.float32.",
            )
        fail(problem[0], f'for {{"food": 1}}: {problem[1]}')
    return "each part in the place of its class, as a float, one row for each sprite."


def hide_contexts(c: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Contexts (n, 5) with each row replaced by zeros with probability p."""
    return c * (torch.rand(len(c), 1, generator=generator) >= p).to(c)


def _hidden_rows(got: Tensor, c: Tensor, p: float) -> Tensor:
    """Which rows are 0, (n,); fail unless each row is either 0 or that of c, which itself holds no 0."""
    if got.dtype == torch.bool or (got.numel() and set(got.unique().tolist()) == {0, 1}):
        fail("the mask itself", "this is the mask. The contexts multiplied by it are asked for.")
    if not got.is_floating_point():
        fail(
            "cut to integers",
            f"the result is {got.dtype}: a context of 0.6 would become 0. Contexts are floats.",
        )
    # shape, dtype, no NaN
    if problem := difference(got, c, tolerance=float("inf"), name="the contexts"):
        fail(*problem)
    zero = got == 0
    rows = zero.all(dim=1)
    if not torch.equal(zero, rows[:, None].expand_as(zero)):
        if torch.equal(zero, zero.all(dim=0).expand_as(zero)):
            fail(
                "columns hidden",
                "the same class is hidden in all rows. Draw one number for each row: rand(n, 1).",
            )
        fail(
            "single entries hidden",
            "in some rows only some of the numbers are 0. Hide whole rows: rand(n, 1).",
        )
    kept, wanted = got[~rows], c[~rows]
    if torch.allclose(kept, wanted):
        return rows
    if torch.equal(kept, wanted.trunc()):
        fail(
            "cut to integers",
            "the contexts went through whole numbers on the way: what is shown is cut off.",
        )
    if torch.allclose(kept, -wanted):
        fail(
            "kept rows negative",
            "the rows that are shown have changed their sign: the mask should be 0 or 1.",
        )
    if torch.allclose(kept, wanted / (1 - p)):
        fail(
            "rescaled as in dropout",
            "the rows shown are divided by 1 - p, as dropout does. They must stay as is.",
        )
    changed = (kept != wanted).any(dim=1)
    if not rows.any() and not changed.all():
        row = [round(value, 2) for value in kept[changed][0].tolist()]
        fail(
            "hidden rows not 0",
            f"some rows became {row}. Hidden means five zeros: that is what samplers give.",
        )
    fail("kept rows changed", "the rows that are shown are not those of c.")


@LAB.exercise("3.2", "Hide some contexts", stars=2, minutes=10)
def check_hide_contexts(my_hide_contexts: Callable) -> str:
    """my_hide_contexts(c, p, generator) → (n, 5), each row with probability p replaced by zeros."""

    def hide(c: Tensor, p: float, seed: int) -> Tensor:
        got = call(my_hide_contexts, c, p, torch.Generator().manual_seed(seed))
        if not isinstance(got, Tensor):
            fail(
                "not a tensor",
                f"the result should be a tensor of shape {tuple(c.shape)}, it is a {type(got).__name__}.",
            )
        return _hidden_rows(got, c, p)

    c, p = 1.2 + 2.6 * torch.rand(4000, 5), _between(0.15, 0.3)
    seed = int(torch.randint(10**6, ()))
    rows = hide(c, p, seed)
    again, other = hide(c, p, seed), hide(c, p, seed + 1)
    few = torch.stack([hide(c[:6], 0.5, seed + i) for i in range(40)])  # (40, 6)
    if torch.equal(few, few[:, :1].expand_as(few)):
        if few.all() or not few.any():
            fail(
                "nothing hidden",
                f"{'every' if few.all() else 'no'} row is hidden, although p is 0.5.",
            )
        fail(
            "one draw for the batch",
            "all rows are hidden together or none: draw one number for each row.",
        )
    if not torch.equal(rows, again):
        fail(
            "generator not used",
            "the same generator gives another result: hand it over, rand(…, generator=…).",
        )
    if torch.equal(rows, other):
        fail(
            "always the same rows",
            "another generator hides the same rows: draw random numbers from it.",
        )
    if few.sum(dim=1).unique().numel() == 1:
        fail(
            "always as many",
            "each batch has equally many hidden rows. Each row should be decided for itself.",
        )
    share = float(rows.float().mean())  # 0.7 % is one standard error
    found = f"of 4000 rows {share:.1%} are hidden; with p = {p:.3f} it should be about {p:.1%}."
    if abs(share - (1 - p)) < 0.04:
        fail("p and 1-p swapped", f"{found} Is the comparison the wrong way round?")
    if abs(share - p) > 0.04:
        fail("wrong share", found)
    return "whole rows, each decided for itself, and what is shown stays as it was."


# ---------------------------------------------------------------------------------------------- 3.3


def confusion_matrix(asked: Tensor, recognised: Tensor, n: int) -> Tensor:
    """Class numbers of the same sprites (sprites,) → counts (n, n), row: asked, column: recognised."""
    return torch.bincount(n * asked + recognised, minlength=n * n).reshape(n, n).double()


def _once(asked: Tensor, recognised: Tensor, n: int) -> Tensor:
    return (confusion_matrix(asked, recognised, n) > 0).double()


def _one_list_for_all_rows(asked: Tensor, recognised: Tensor, n: int) -> Tensor:
    return confusion_matrix(asked, recognised, n).sum(dim=0).repeat(n, 1)


def _without(first: int, last: int) -> Callable:
    """Counting that leaves out so many sprites at each end."""
    return lambda asked, recognised, n: confusion_matrix(*(x[first : len(x) - last] for x in (asked, recognised)), n)


def _diagonal(asked: Tensor, recognised: Tensor, n: int) -> Tensor:
    return confusion_matrix(asked, recognised, n).diag().diag()


def _each_with_each(asked: Tensor, recognised: Tensor, n: int) -> Tensor:
    return torch.outer(asked.bincount(minlength=n), recognised.bincount(minlength=n)).double()


CONFUSION_MISTAKES = {
    "transposed": (
        lambda *a: confusion_matrix(*a).T,
        "Rows and columns are swapped: the row is what was asked for.",
    ),
    "each pair counted once": (
        _once,
        "No number is above 1: a pair that comes several times counts once. Is there a = in the place of +=? "
        "And `matrix[asked, recognised] += 1` adds only once for all equal pairs: count in a loop, or with bincount.",
    ),
    "rows are one list": (
        _one_list_for_all_rows,
        "All rows are the same: [[0] * n] * n is n times one and the same list. Make a new one for each row.",
    ),
    "first sprite left out": (
        _without(1, 0),
        "The first sprite is not counted: places count from 0.",
    ),
    "last sprite left out": (_without(0, 1), "The last sprite is not counted."),
    "begun with ones": (
        lambda *a: confusion_matrix(*a) + 1,
        "Each number is too large by 1: begin with zeros.",
    ),
    "each asked with each recognised": (
        _each_with_each,
        "Every sprite asked for is paired with every one recognised. Go through both together, with zip.",
    ),
    "mistakes left out": (
        _diagonal,
        "Off the diagonal all is 0: where are the mistakes?",
    ),
    "hits left out": (
        lambda *a: confusion_matrix(*a) - _diagonal(*a),
        "The diagonal is 0: what was recognised rightly counts, too.",
    ),
    "counted both ways": (
        lambda *a: confusion_matrix(*a) + confusion_matrix(*a).T,
        "Each sprite is counted twice, as (asked, recognised) and as (recognised, asked).",
    ),
    "shares of all": (
        lambda *a: confusion_matrix(*a) / len(a[0]),
        "All is divided by the number of sprites. Counts are asked for.",
    ),
    "shares of each column": (
        lambda *a: confusion_matrix(*a) / confusion_matrix(*a).sum(dim=0).clamp(min=1),
        "Each column is divided by its sum. Counts are asked for.",
    ),
    "in per cent": (
        lambda *a: 100 * confusion_matrix(*a) / confusion_matrix(*a).sum(dim=1, keepdim=True),
        "These are per cent of each row. Counts are asked for.",
    ),
    "shares of each row": (
        lambda *a: confusion_matrix(*a) / confusion_matrix(*a).sum(dim=1, keepdim=True),
        "Each row is divided by its sum. Counts are asked for.",
    ),
    "diagonal only": (
        lambda *a: confusion_matrix(*a).diag(),
        "Only what was recognised rightly: where are the mistakes?",
    ),
    "flat": (
        lambda *a: confusion_matrix(*a).flatten(),
        "The right counts, in one row: reshape(n, n) makes the matrix.",
    ),
    "counted from 1": (
        lambda *a: confusion_matrix(*a).roll((-1, -1), dims=(0, 1)),
        "All is one place too far up and left: classes count from 0.",
    ),
    "matched one by one": (
        lambda asked, recognised, n: confusion_matrix(asked.sort()[0], recognised.sort()[0], n),
        "Asked and recognised are counted apart: which sprite was which is lost.",
    ),
}


def _counts(result: object) -> object:
    """Whole numbers or floats, as a tensor, an array, lists or a list of tensors: all are counts."""
    if not isinstance(result, Tensor | np.ndarray | list | tuple):
        return result
    return torch.as_tensor(np.asarray(result)).double()


@LAB.exercise("3.3", "Asked and recognised", stars=2, minutes=10)
def check_confusion_matrix(my_confusion_matrix: Callable) -> str:
    """my_confusion_matrix(asked, recognised, n) → (n, n), counts; both inputs hold class numbers, (sprites,)."""

    sizes = iter([6, 4, 7])  # never 5: a matrix that is always (5, 5) must fail

    def draw() -> tuple[Tensor, Tensor, int]:
        n = next(sizes)
        asked = torch.cat([torch.arange(n), torch.randint(n, (60,))])
        # the last class is never recognised, but keeps its column
        return asked, torch.randint(n - 1, asked.shape), n

    compare(_read_as(my_confusion_matrix, _counts), confusion_matrix, draw, CONFUSION_MISTAKES)
    return "row: asked for, column: recognised; all numbers together are the number of sprites."


# -------------------------------------------------------------------------------------- 3.4 and 3.5

GUIDANCE_MISTAKES = {
    "w of the paper": (
        lambda c, u, w: (1 + w) * c - w * u,
        "This is the paper's w, ours minus 1: the difference is added to the wrong one.",
    ),
    "w - 1": (
        lambda c, u, w: u + (w - 1) * (c - u),
        "One too low: w = 1 must give the prediction with context.",
    ),
    "swapped": (
        lambda c, u, w: c + w * (u - c),
        "The two are swapped: this leads away from the context.",
    ),
    "sign wrong": (
        lambda c, u, w: u - w * (c - u),
        "The sign is wrong: with context minus without.",
    ),
    "start forgotten": (
        lambda c, u, w: w * (c - u),
        "The difference must be added to the prediction without context.",
    ),
    "plain sum": (lambda c, u, w: c + w * u, "Both are added. w belongs to their difference."),
    "context on top": (
        lambda c, u, w: u + w * c,
        "Add only what the context changes, not all of the prediction.",
    ),
    "parentheses missing": (
        lambda c, u, w: w * c,
        "This is w * pred_cond, and so is pred_uncond + w * pred_cond - pred_uncond: the difference needs parentheses.",
    ),
    "plain difference": (
        lambda c, u, w: c - u,
        "This is what the context changes. It is exaggerated by w, and added to the prediction without context.",
    ),
    "weights that add up to 1 + w": (
        lambda c, u, w: (u + w * c) / (1 + w),
        "This lies between the two. For w above 1 guidance goes beyond the prediction with context.",
    ),
    "w cut to an integer": (
        lambda c, u, w: u + int(w) * (c - u),
        "w went through an integer.",
    ),
    "plain mean": (lambda c, u, w: (c + u) / 2, "This is the mean of both, whatever w is."),
    "clipped": (
        lambda *a: guided_noise(*a).clamp(-1, 1),
        "It is clipped. A third of all noise lies outside of -1 … 1.",
    ),
    "w ignored": (
        lambda c, u, w: c,
        "The prediction with context, as for w = 1. Is w cut off at 1?",
    ),
}


def _describe_guidance(args: tuple, got: Tensor, expected: Tensor) -> str | None:
    sentence = strengths(pred_cond=0, pred_uncond=1)(args, got, expected)
    return sentence and f"with w = {args[2]:.4g} {sentence}"


@LAB.exercise("3.4", "Guidance in one line", stars=1, minutes=5)
def check_guided_noise(my_guided_noise: Callable) -> str:
    """my_guided_noise(pred_cond, pred_uncond, w) → the guided prediction."""

    def draw() -> tuple[Tensor, Tensor, float]:
        return torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8), _between(1.6, 5.0)

    compare(my_guided_noise, guided_noise, draw, GUIDANCE_MISTAKES, _describe_guidance)
    return "without context at w = 0, with context at w = 1, and beyond it from there."


def passes(n: int, w: float) -> int:
    """How often sample_ddim_context calls its model in n steps with guidance w."""
    return n if w in (0, 1) else 2 * n


PASSES_MISTAKES = {
    "always one a step": (
        lambda n, w: n,
        "One a step, always. Did you hand over a context and guidance=w, and do you count calls, not levels?",
    ),
    "always two a step": (
        lambda n, w: 2 * n,
        "Two a step, always. But with w = 0 or 1 one of them has the factor 0.",
    ),
    "w = 0 forgotten": (
        lambda n, w: n if w == 1 else 2 * n,
        "With w = 0 the prediction with context is left out.",
    ),
    "w = 1 forgotten": (
        lambda n, w: n if w == 0 else 2 * n,
        "With w = 1 the prediction without context is left out.",
    ),
    "between 0 and 1": (
        lambda n, w: n if 0 <= w <= 1 else 2 * n,
        "Between 0 and 1 both predictions count.",
    ),
    "w below 1": (
        lambda n, w: n if w <= 1 else 2 * n,
        "Between 0 and 1 both predictions count, and below 0 as well.",
    ),
    "w up to 0": (
        lambda n, w: n if w <= 0 or w == 1 else 2 * n,
        "Below 0 both predictions count: only at 0 is one of them left out.",
    ),
    "whole w": (
        lambda n, w: n if w == int(w) else 2 * n,
        "Only at w = 0 and w = 1 is a prediction left out, not at every whole number.",
    ),
    "only those with context": (
        lambda n, w: 0 if w == 0 else n,
        "Only the passes with a context are counted.",
    ),
    "only those without context": (
        lambda n, w: 0 if w == 1 else n,
        "Only the passes without context are counted.",
    ),
    "n not handed over": (
        lambda n, w: passes(20, w),
        "The sampler took 20 steps, its default: hand over n=n.",
    ),
    "frames": (
        lambda n, w: n + 1,
        "These are the frames: the start, and one a step. Calls of the model are asked for.",
    ),
    "one more": (lambda n, w: passes(n, w) + 1, "One too many: does the count begin at 1?"),
    "one less": (
        lambda n, w: passes(n, w) - 1,
        "One too few: is the first or the last call left out?",
    ),
    "w cut to an integer": (lambda n, w: passes(n, int(w)), "w went through an integer."),
    "steps times w": (
        lambda n, w: int(n * w),
        "A pass is needed or not, however large w is.",
    ),
    "every level": (
        lambda n, w: T * (1 if w in (0, 1) else 2),
        f"These are all {T} levels: hand n over to the sampler, and take sample_ddim_context.",
    ),
}


@LAB.exercise("3.5", "Count the passes", stars=2, minutes=10)
def check_passes(my_passes: Callable) -> str:
    """my_passes(n, w) → how often the model is called by sample_ddim_context in n steps with guidance w."""
    # whole and negative weights, too: a formula may be right for the others by luck
    more, less, part = _between(1.5, 1.9), -_between(0.5, 0.9), _between(0.2, 0.8)
    weights = iter([more, 1, 0, part, 2, int(torch.randint(3, 9, ())), less])

    def draw() -> tuple[int, float]:
        return int(torch.randint(5, 30, ())), next(weights)

    compare(my_passes, passes, draw, PASSES_MISTAKES, trials=7, tolerance=1e-6)
    return "two for each step, and only one where w = 0 or w = 1 makes the other superfluous."


# -------------------------------------------------------------------------------------- 3.6 and 3.7

GRID = torch.linspace(-12, 12, 6001).double()
LOG_BELL = {c: torch.distributions.Normal(c * M, S).log_prob(GRID) for c in (1, -1)}
LOG_P = torch.logaddexp(LOG_BELL[1], LOG_BELL[-1]) - np.log(2)  # both classes, equally frequent
LOG_CLASS = {c: LOG_BELL[c] - np.log(2) - LOG_P for c in (1, -1)}  # log p(c | x)


def _moments(log_density: Tensor, normalised: bool = True, area: float = 1.0) -> tuple[float, float]:
    """Mean and spread of a density; as a learner has them who leaves it as it is, or gives it another area than 1."""
    density = log_density.exp()
    if normalised:
        density = density * area / torch.trapezoid(density, GRID)
    mean = torch.trapezoid(GRID * density, GRID)
    return float(mean), float(torch.trapezoid((GRID - mean) ** 2 * density, GRID).sqrt())


def _pair(result: tuple) -> Tensor:
    return torch.tensor([float(part) for part in result])


def _two_numbers(result: object) -> object:
    """A tensor or an array of two numbers counts as a pair of them."""
    return tuple(result) if isinstance(result, Tensor | np.ndarray) and result.shape == (2,) else result


def promised(w: float) -> tuple[float, float]:
    """Mean and spread of the density proportional to p(x) p(c|x)^w, for c = +1 of the two bells."""
    return _moments(LOG_P + w * LOG_CLASS[1])


def _mean(t: int) -> Tensor:
    """The middle of bell +1 at level t."""
    return AB[t].sqrt() * M


def _variance(t: int) -> Tensor:
    """The variance of each bell at level t."""
    return AB[t] * S**2 + 1 - AB[t]


def _two_bells(x: Tensor, t: int, c: Tensor | float) -> Tensor:
    """The exact prediction; c = ±1, or the mean of c given x."""
    return (1 - AB[t]).sqrt() * (x - _mean(t) * c) / _variance(t)


def _odds(x: Tensor, t: int, share: float = 0.5) -> Tensor:
    """Half the logarithm of P(+1 | x_t) / P(-1 | x_t); its tanh is the mean of c given x_t."""
    return _mean(t) * x / _variance(t) + 0.5 * np.log(share / (1 - share))


def _sampled(w: float) -> tuple[float, float]:
    """Mean and spread of what guidance draws: DDIM in 100 steps has no chance in it, so evenly spread x_T will do."""
    x = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(4000) + 0.5) / 4000)
    for t, t_next in step_pairs(100, T):
        pred_uncond = _two_bells(x, t, torch.tanh(_odds(x, t)))
        x = denoise_ddim(x, t, t_next, guided_noise(_two_bells(x, t, 1.0), pred_uncond, w))
    return float(x.mean()), float(x.std())


def _wrong_bells(w: float, below: float) -> tuple[float, float]:
    """The promise for bells exp(-(x - c m)² / below)."""
    log_bell = {c: -((GRID - c * M) ** 2) / below for c in (1, -1)}
    log_p = torch.logaddexp(log_bell[1], log_bell[-1])
    return _moments(log_p + w * (log_bell[1] - log_p))


PROMISED_MISTAKES = {
    "spread and mean swapped": (
        lambda w: promised(w)[::-1],
        "Mean first, then spread.",
    ),
    "square root of the second moment": (
        lambda w: (promised(w)[0], (promised(w)[0] ** 2 + promised(w)[1] ** 2) ** 0.5),
        "The spread is measured from 0: subtract the mean before squaring.",
    ),
    "variance": (
        lambda w: (promised(w)[0], promised(w)[1] ** 2),
        "The second is the variance: take its root.",
    ),
    "w too large by 1": (
        lambda w: promised(w + 1),
        "p(x | c) in the place of p(x) is one factor p(c | x) too many.",
    ),
    "likelihood for posterior": (
        lambda w: _moments(LOG_P + w * LOG_BELL[1]),
        "p(x | c) stands in the place of p(c | x). By Bayes' rule p(c | x) is p(x | c) p(c) / p(x).",
    ),
    "whole density sharpened": (
        lambda w: _moments(w * LOG_BELL[1]),
        "This is p(x | c) to the power w, or, which is the same, p(x) has the power, too. Only p(c | x) gets it.",
    ),
    "power on the wrong factor": (
        lambda w: _moments(w * LOG_P + LOG_CLASS[1]),
        "p(x) got the power in place of p(c | x).",
    ),
    "prior missing": (
        lambda w: _moments(torch.where(GRID.abs() <= 8, w * LOG_CLASS[1], -torch.inf)),
        "This is p(c | x)^w alone. It does not fall off to the right: multiply by p(x).",
    ),
    "w too small by 1": (
        lambda w: promised(w - 1),
        "The power is w - 1. At w = 1 the bell of the class must come out.",
    ),
    "root of w": (
        lambda w: promised(1 / w),
        "The power is 1/w.",
    ),
    "width for variance": (
        lambda w: _wrong_bells(w, 2 * S),
        "The bells have variance s: divide (x - m)² by 2 s².",
    ),
    "half the variance": (
        lambda w: _wrong_bells(w, S**2),
        "A 2 is missing in the bells: divide (x - m)² by 2 s².",
    ),
    "right half only": (
        lambda w: _moments(torch.where(GRID >= 0, LOG_P + w * LOG_CLASS[1], -torch.inf)),
        "Values below 0 are left out, but the density reaches beyond it.",
    ),
    "divided by its sum": (
        lambda w: _moments(LOG_P + w * LOG_CLASS[1], area=16 / 4000),
        "The density is divided by its sum, and then integrated: divide by its area.",
    ),
    "not normalised": (
        lambda w: _moments(LOG_P + w * LOG_CLASS[1], normalised=False),
        "The density is not divided by its area.",
    ),
    "w ignored": (
        lambda w: (M, S),
        "This is the class itself, as for w = 1: p(c | x) needs the power w.",
    ),
    "context ignored": (
        lambda w: _moments(LOG_P),
        "This is p(x), both classes: the factor p(c | x)^w is missing.",
    ),
    "other class": (lambda w: (-promised(w)[0], promised(w)[1]), "This is class -1."),
    "samples measured": (
        _sampled,
        "This is what guidance draws. The promise is asked for: they differ!",
    ),
}


@LAB.exercise("3.6", "What guidance promises", stars=3, minutes=15)
def check_promised(my_promised: Callable) -> str:
    """mypromised(w) → (mean, spread) of the density proportional to p(x) p(c|x)^w, for c = +1 of the two bells."""

    weights = iter([_between(2, 3), _between(1.3, 1.6), _between(4, 6)])  # far apart: no constant will do

    def draw() -> tuple[float]:
        return (next(weights),)

    def describe(args: tuple, got: Tensor, expected: Tensor) -> str:
        wanted, mine = ("mean {:.3f} and spread {:.3f}".format(*pair) for pair in (expected, got))
        return f"you have {mine}; it should be {wanted}."

    # two numbers
    my_pair = _read_as(my_promised, _two_numbers)
    if problem := difference(call(my_pair, 2.0), (1.0, 1.0), tolerance=float("inf")):
        fail(*problem)
    if not all(math.isfinite(float(part)) for part in call(my_pair, 6.0)):
        fail(
            "not finite",
            "for w = 6 the result is not finite, as far out a power of a tiny density is 0, and another infinite. "
            "Take p(c | x) itself to the power w, a narrower x, or float64.",
        )
    # as one tensor, so that the tolerance is a share of the larger of both, and a mean of 0 can be
    # told
    mistakes = {name: (_read_as(mistake, _pair), sentence) for name, (mistake, sentence) in PROMISED_MISTAKES.items()}
    compare(
        _read_as(my_pair, _pair),
        _read_as(promised, _pair),
        draw,
        mistakes,
        describe,
        tolerance=0.02,  # 100,000 random numbers are off by up to 1 %
    )
    return "a density is known up to a factor, and dividing by its area finds the factor."


def either_or(x: Tensor, t: int, share: float) -> Tensor:
    """The exact noise prediction at level t where a share of the data is of class +1, and the rest of class -1."""
    return _two_bells(x, t, torch.tanh(_odds(x, t, share)))


def _weighted(x: Tensor, t: int, share: float) -> Tensor:
    """Σ π_k exp(-(x - mean_k)² / 2v) ε_k, not divided by the sum of the weights."""
    shares = {1: share, -1: 1 - share}
    weights = {c: shares[c] * (-((x - c * _mean(t)) ** 2) / (2 * _variance(t))).exp() for c in shares}
    return sum(weights[c] * _two_bells(x, t, c) for c in weights)


def _joint_odds(x: Tensor, t: int, share: float) -> Tensor:
    """As _odds, for all numbers of a picture together, (n, 1, 1, 1)."""
    return _odds(x, t).sum(dim=(1, 2, 3), keepdim=True) + 0.5 * np.log(share / (1 - share))


def _judged_by(x: Tensor, t: int, share: float, mean: float | Tensor, variance: float | Tensor) -> Tensor:
    """The right mixture, but with P(k | x_t) from bells around ± mean of that variance."""
    return _two_bells(x, t, torch.tanh(mean * x / variance + 0.5 * np.log(share / (1 - share))))


EITHER_OR_MISTAKES = {
    "fixed shares": (
        lambda x, t, share: _two_bells(x, t, 2 * share - 1),
        "The shares are the same at every x_t, which is here the same as a mixed context. They must be P(k | x_t), "
        "from two bells: one around +√ᾱ m, one around -√ᾱ m.",
    ),
    "shares forgotten": (
        lambda x, t, share: either_or(x, t, 0.5),
        "Both classes count the same: use their shares.",
    ),
    "shares swapped": (
        lambda x, t, share: either_or(x, t, 1 - share),
        "`share` is that of class +1.",
    ),
    "not normalised": (_weighted, "The weights do not add up to 1: divide both by their sum."),
    "densities not normalised": (
        lambda x, t, share: _weighted(x, t, share) / (2 * torch.pi * _variance(t)).sqrt(),
        "The weights do not add up to 1: divide both by their sum.",
    ),
    "variance without 1-ᾱ": (
        lambda x, t, share: _judged_by(x, t, share, _mean(t), AB[t] * S**2),
        "In p(x_t | c) the variance of the noise is missing: v = ᾱ s² + 1-ᾱ.",
    ),
    "noise only": (
        lambda x, t, share: _judged_by(x, t, share, _mean(t), 1 - AB[t]),
        "In p(x_t | c) the width of the data is missing: v = ᾱ s² + 1-ᾱ.",
    ),
    "bells of clean data": (
        lambda x, t, share: _judged_by(x, t, share, M, S**2),
        "P(k | x_t) is taken from the bells of level 0. At level t they are around ± √ᾱ m, with variance v.",
    ),
    "mean not shrunk": (
        lambda x, t, share: _judged_by(x, t, share, M, _variance(t)),
        "In p(x_t | c) the mean is ± m. At level t it is ± √ᾱ m.",
    ),
    "ᾱ for √ᾱ": (
        lambda x, t, share: _judged_by(x, t, share, AB[t] * M, _variance(t)),
        "In p(x_t | c) the mean is ± ᾱ m. Take the root: ± √ᾱ m.",
    ),
    "s for s²": (
        lambda x, t, share: _judged_by(x, t, share, _mean(t), AB[t] * S + 1 - AB[t]),
        "In p(x_t | c) s stands for s²: v = ᾱ s² + 1-ᾱ.",
    ),
    "width not shrunk": (
        lambda x, t, share: _judged_by(x, t, share, _mean(t), S**2 + 1 - AB[t]),
        "In p(x_t | c) the data keep their width. At level t it has shrunk as well: v = ᾱ s² + 1-ᾱ.",
    ),
    "2 missing": (
        lambda x, t, share: _judged_by(x, t, share, _mean(t), _variance(t) / 2),
        "The bells are too narrow: divide (x - √ᾱ m c)² by 2 v.",
    ),
    "root of v": (
        lambda x, t, share: _judged_by(x, t, share, _mean(t), _variance(t).sqrt()),
        "In the exponent stands the root of v: divide by 2 v.",
    ),
    "v squared": (
        lambda x, t, share: _judged_by(x, t, share, _mean(t), _variance(t) ** 2),
        "In the exponent stands v²: v is the variance already.",
    ),
    "minus missing": (
        lambda x, t, share: _judged_by(x, t, share, -_mean(t), _variance(t)),
        "The bells rise away from their middle: exp(-(…)² / (2 v)), with a minus.",
    ),
    "probabilities swapped": (
        lambda x, t, share: _two_bells(x, t, -torch.tanh(_odds(x, t, share))),
        "P(+1 | x_t) is multiplied with the prediction for -1, and the other way round.",
    ),
    "one P for a picture": (
        lambda x, t, share: _two_bells(x, t, torch.tanh(_joint_odds(x, t, share))),
        "All numbers of a picture share one P. Here each number is a case of its own.",
    ),
    "class +1 only": (
        lambda x, t, share: _two_bells(x, t, 1.0),
        "This is the prediction for class +1 alone.",
    ),
    "class -1 only": (
        lambda x, t, share: _two_bells(x, t, -1.0),
        "This is the prediction for class -1 alone.",
    ),
    "no shares at all": (
        lambda x, t, share: 2 * _two_bells(x, t, 0.0),
        "The two predictions are added. Multiply each by its P.",
    ),
    "0 for class -1": (
        lambda x, t, share: _two_bells(x, t, (1 + torch.tanh(_odds(x, t, share))) / 2),
        "The second class is called -1, not 0.",
    ),
    "as guidance": (
        lambda x, t, share: guided_noise(_two_bells(x, t, 1.0), either_or(x, t, 0.5), share),
        "This is guidance with w = share, and not the sum over both classes.",
    ),
    "winner takes all": (
        lambda x, t, share: _two_bells(x, t, torch.sign(_odds(x, t, share))),
        "Only the more probable class counts. Both do, with their probabilities.",
    ),
}


@LAB.exercise("3.7", "Either, or", stars=3, minutes=20)
def check_either_or(my_either_or: Callable) -> str:
    """my_either_or(x, t, share) → the exact noise prediction where a share of the data is of class +1, the rest -1."""

    def draw() -> tuple[Tensor, int, float]:
        return torch.randn(4, 3, 8, 8), int(torch.randint(50, 300, ())), _between(0.6, 0.85)

    compare(my_either_or, either_or, draw, EITHER_OR_MISTAKES)
    return "the shares change with x_t. No single context could say this."


# ---------------------------------------------------------------------------------------------- 3.8


def variety(x: Tensor) -> float:
    """The mean root mean square distance between two different pictures of x (n, 3, h, w)."""
    return float(torch.pdist(x.flatten(1)).mean() / x[0].numel() ** 0.5)


def _mean_distance(x: Tensor, distance: Callable[[Tensor], Tensor]) -> float:
    """The mean of a distance of another kind over all pairs."""
    pairs = torch.combinations(torch.arange(len(x)))
    return float(torch.stack([distance(x[i] - x[j]) for i, j in pairs]).mean())


VARIETY_MISTAKES = {
    "each with itself": (
        lambda x: variety(x) * (len(x) - 1) / len(x),
        "Each picture's distance to itself, 0, is counted as well.",
    ),
    "each once with itself": (
        lambda x: variety(x) * (len(x) - 1) / (len(x) + 1),
        "Each picture is also paired with itself: combinations, without replacement.",
    ),
    "half": (
        lambda x: variety(x) / 2,
        "Half of it: each pair is counted once, but divided by n (n-1), where each counts twice.",
    ),
    "divided by n²": (
        lambda x: variety(x) * (len(x) - 1) / len(x) / 2,
        "The sum over the pairs is divided by n². There are n (n-1) / 2 pairs.",
    ),
    "divided by n": (
        lambda x: variety(x) * (len(x) - 1) / 2,
        "The sum over the pairs is divided by n. There are n (n-1) / 2 pairs.",
    ),
    "sum": (
        lambda x: variety(x) * (len(x) - 1) * len(x) / 2,
        "This is the sum over all pairs: divide by their number.",
    ),
    "root missing in the divisor": (
        lambda x: variety(x) / x[0].numel() ** 0.5,
        "The length is divided by the number of values. Divide by its root.",
    ),
    "divided by all values": (
        lambda x: variety(x) / len(x) ** 0.5,
        "It is divided by the root of all values of all pictures. Take those of one, x[0].numel().",
    ),
    "channels not counted": (
        lambda x: variety(x) * 3**0.5,
        "It is divided by the root of the number of pixels. Each has three values.",
    ),
    "768 for all": (
        lambda x: variety(x) * (x[0].numel() / 768) ** 0.5,
        "768 is the number of values of a sprite. Pictures may be smaller here: x[0].numel().",
    ),
    "mean of the channels": (
        lambda x: _mean_distance(x, lambda d: d.square().mean(dim=(1, 2)).sqrt().mean()),
        "The root is taken for each channel. Take one root for each pair.",
    ),
    "mean of the pixels": (
        lambda x: _mean_distance(x, lambda d: d.square().mean(dim=0).sqrt().mean()),
        "The root is taken for each pixel. Take one root for each pair.",
    ),
    "not squared": (
        lambda x: _mean_distance(x, lambda d: d.mean()),
        "Differences of both signs cancel: square them.",
    ),
    "median": (
        lambda x: float(torch.pdist(x.flatten(1)).median() / x[0].numel() ** 0.5),
        "This is the median. The mean is asked for.",
    ),
    "largest": (
        lambda x: float(torch.pdist(x.flatten(1)).max() / x[0].numel() ** 0.5),
        "This is the largest distance. The mean is asked for.",
    ),
    "first against the others": (
        lambda x: float((x[1:] - x[0]).square().mean(dim=(1, 2, 3)).sqrt().mean()),
        "Only the first picture is compared with the others: take all pairs.",
    ),
    "last left out": (lambda x: variety(x[:-1]), "The last picture is never compared."),
    "ring": (
        lambda x: float((x - x.roll(1, dims=0)).square().mean(dim=(1, 2, 3)).sqrt().mean()),
        "Each picture is compared with the one before only: take all pairs.",
    ),
    "standard deviation": (
        lambda x: float(x.std(dim=0).mean()),
        "This is the standard deviation of each value over the set. Pairs are asked for.",
    ),
    "clipped": (
        lambda x: variety(x.clamp(-1, 1)),
        "The values are cut to -1 … 1 first: take them as they are.",
    ),
    "root at the end, each with itself": (
        lambda x: float((torch.pdist(x.flatten(1)).square().sum() * 2 / len(x) ** 2 / x[0].numel()).sqrt()),
        "The root is taken once, of the mean over all pairs, and each picture is paired with itself as well.",
    ),
    "length of the difference": (
        lambda x: variety(x) * x[0].numel() ** 0.5,
        "It is not divided by the root of the number of values: a larger picture would look more varied.",
    ),
    "mean square": (
        lambda x: float(torch.pdist(x.flatten(1)).square().mean() / x[0].numel()),
        "These are the squares: each distance needs its root.",
    ),
    "root at the end": (
        lambda x: float((torch.pdist(x.flatten(1)).square().mean() / x[0].numel()).sqrt()),
        "The root is taken once, of the mean over all pairs. Take it for each pair, then the mean.",
    ),
    "absolute differences": (
        lambda x: float(torch.pdist(x.flatten(1), p=1).mean() / x[0].numel()),
        "This is the mean absolute difference. Root mean square: square, mean, root.",
    ),
    "distance to the mean": (
        lambda x: float((x - x.mean(dim=0)).square().mean(dim=(1, 2, 3)).sqrt().mean()),
        "This is how far the pictures are from their mean. Pairs are asked for.",
    ),
    "neighbours only": (
        lambda x: float((x[1:] - x[:-1]).square().mean(dim=(1, 2, 3)).sqrt().mean()),
        "Only neighbours are compared: take all pairs.",
    ),
    "each pair twice": (
        lambda x: 2 * variety(x),
        "(a, b) and (b, a) are both added, but counted as one.",
    ),
}


@LAB.exercise("3.8", "How different are they?", stars=2, minutes=10)
def check_variety(my_variety: Callable) -> str:
    """my_variety(x) → the mean root mean square distance between two different pictures of x (n, 3, h, w)."""

    def draw() -> tuple[Tensor]:
        n = int(torch.randint(5, 10, ()))
        # distances of all sizes
        return (torch.linspace(0.2, 2, n)[:, None, None, None] * torch.randn(n, 3, 6, 6),)

    compare(my_variety, variety, draw, VARIETY_MISTAKES)
    return "0 if all are alike; each pair counts once, whatever the size of the pictures."


OWN = ["context", "hide_contexts", "confusion_matrix", "passes", "promised", "either_or", "variety"]
__all__ = ["LAB", "progress", "yours", *OWN, *(f"check_{name}" for name in LAB.exercises)]

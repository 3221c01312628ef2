"""The checks of Lab 3: right solutions pass, stubs are not attempted, each classic mistake is called by its name.

All functions here are written without those of checks.py, as a learner would.
"""

import itertools

import numpy as np
import pytest
import torch

from diffusion_utilities import sample_ddim_context, sample_dpm_context
from tests.exercises.every_lab import *  # noqa: F403

LAB = "L3_Context"
T = 500
CLASSES = ("hero", "non-hero", "food", "spell", "side-facing")
ab_t = torch.cat([torch.ones(1), 1 - torch.linspace(1e-4, 0.02, T)]).cumprod(dim=0)
m, s = 1.0, 0.7


# ------------------------------------------------------------------------------------------ context


def context(wish, n, place=CLASSES.index, part=float, dtype=torch.float32):
    """One place to go wrong for each argument; as it is, it is right."""
    c = torch.zeros(n, 5, dtype=dtype)
    for name, value in wish.items():
        c[:, place(name) % 5] = part(value)
    return c


def context_by_numpy(wish, n):
    row = np.array([wish[name] if name in wish else 0 for name in CLASSES], dtype=np.float32)
    return torch.from_numpy(np.tile(row, (n, 1)))


def context_by_eye(wish, n):
    return sum(value * torch.eye(5)[CLASSES.index(name)] for name, value in wish.items()).expand(n, 5)


def packed_to_the_left(wish, n):
    c = torch.zeros(n, 5)
    for place, value in enumerate(wish.values()):
        c[:, place] = value
    return c


def scaled_to_one(wish, n):
    c = context(wish, n)
    return c / c.sum(dim=1, keepdim=True)


def one_hot_of_the_largest(wish, n):
    return torch.nn.functional.one_hot(context(wish, n).max(dim=1).indices, 5).float()


# ------------------------------------------------------------------------------------ hide_contexts


def hidden(c, p, generator, shape=lambda c: (len(c), 1), seen=lambda draw, p: draw >= p, paint=None):
    """One place to go wrong for each argument; as it is, it is right."""
    shown = seen(torch.rand(shape(c), generator=generator), p).float()
    return paint(c, shown, p) if paint else c * shown


def hidden_by_where(c, p, generator):
    hide = torch.bernoulli(torch.full((len(c),), p), generator=generator).bool()
    return torch.where(hide[:, None], torch.zeros_like(c), c)


def hidden_in_a_loop(c, p, generator):
    c = c.clone()
    for row in c:
        if torch.rand(1, generator=generator).item() < p:
            row[:] = 0
    return c


def hidden_in_place(c, p, generator):
    c[torch.rand(len(c), generator=generator) < p] = 0
    return c


def hidden_without_generator(c, p, generator):
    return c * (torch.rand(len(c), 1) >= p)


def first_rows_hidden(c, p, generator):
    return torch.cat([torch.zeros_like(c[: int(p * len(c))]), c[int(p * len(c)) :]])


def so_many_hidden(c, p, generator):
    c = c.clone()
    c[torch.randperm(len(c), generator=generator)[: round(p * len(c))]] = 0
    return c


def hidden_by_dropout(c, p, generator):
    return torch.nn.functional.dropout(c, p)


def mask_of_the_old_code(c, shown, p):
    """As in minDiffusion, where a 1 in the mask means hidden; here the mask has it the other way round."""
    return c * (-1 * shown)


# --------------------------------------------------------------------------------- confusion_matrix


def matrix(asked, recognised, n, dtype=torch.long):
    counts = torch.zeros(n, n, dtype=dtype)
    for row, column in zip(asked, recognised, strict=True):
        counts[row, column] += 1
    return counts


def matrix_of_lists(asked, recognised, n):
    pairs = list(zip(asked.tolist(), recognised.tolist(), strict=True))
    return [[pairs.count((row, column)) for column in range(n)] for row in range(n)]


def matrix_by_product(asked, recognised, n):
    return torch.eye(n)[asked].T @ torch.eye(n)[recognised]


def matrix_by_index(asked, recognised, n):
    counts = torch.zeros(n, n)
    counts[asked, recognised] += 1
    return counts


def matrix_from_one(asked, recognised, n):
    return matrix(asked - 1, recognised - 1, n)


# ------------------------------------------------------------------------------------------- passes


def counted(n, w, sprites=1, steps=None, guidance=None):
    """Hand over a model that counts; one place to go wrong for each argument."""
    calls = []

    def model(x, t, c=None):
        calls.append(float(t))
        return torch.zeros_like(x)

    guidance = w if guidance is None else guidance
    sample_ddim_context(sprites, torch.ones(sprites, 5), steps or n, guidance=guidance, model=model, progress=False)
    return len(calls)


class Counter(torch.nn.Module):
    calls = 0

    def forward(self, x, t, c=None):
        self.calls += 1
        return 0 * x


def counted_by_a_module(n, w):
    model = Counter()
    sample_ddim_context(2, torch.eye(5)[:2], n=n, guidance=w, model=model, progress=False)
    return model.calls


# --------------------------------------------------------------------------- promised and either_or


def bell(x, mean, variance):
    return torch.exp(-((x - mean) ** 2) / (2 * variance)) / (2 * torch.pi * variance) ** 0.5


def promise(w, density=lambda p, like, post, w: p * post**w, sign=1, area=True, spread=lambda v: v**0.5):
    """p(x), p(x|c), p(c|x) on a grid; one place to go wrong for each argument."""
    x = torch.arange(-8, 8, 0.002, dtype=torch.float64)
    like = bell(x, sign * m, s**2)
    p = (like + bell(x, -sign * m, s**2)) / 2
    weights = density(p, like, like / 2 / p, w) * 0.002
    weights = weights / weights.sum() if area else weights
    mean = (weights * x).sum()
    return mean, spread((weights * (x - mean) ** 2).sum())


def promise_by_weighted_numbers(w):
    """Draw from p(x) and weigh with p(c|x)^w, without any grid."""
    c = torch.randint(2, (400_000,)) * 2 - 1
    x = m * c + s * torch.randn(400_000)
    weights = torch.sigmoid(2 * m * x / s**2) ** w
    mean = (weights * x).sum() / weights.sum()
    return [mean.item(), ((weights * (x - mean) ** 2).sum() / weights.sum()).sqrt().item()]


def two_bells(x, t, c=None):
    """As in the lab; t is the level divided by T."""
    ab = ab_t[round(float(t) * T)]
    v = ab * s**2 + 1 - ab
    sign = torch.tanh(ab.sqrt() * m * x / v) if c is None else c[:, :, None, None]
    return (1 - ab).sqrt() * (x - ab.sqrt() * m * sign) / v


def drawn(w):
    x, _ = sample_ddim_context(32, torch.ones(32, 1), n=100, guidance=w, model=two_bells, progress=False)
    return x.mean(), x.std()


def mixture(
    x,
    t,
    share,
    bells=lambda ab: (ab.sqrt() * m, ab * s**2 + 1 - ab),
    weigh=lambda share, plus, minus: (share * plus, (1 - share) * minus),
    divide=lambda weights: weights / weights.sum(dim=0),
):
    """Σ_k P(k | x_t) ε(x_t, t, c_k); one place to go wrong for each argument."""
    mean, v = bells(ab_t[t])
    weights = divide(torch.stack(weigh(share, bell(x, mean, v), bell(x, -mean, v))))
    ones = torch.ones(len(x), 1)
    return weights[0] * two_bells(x, t / T, ones) + weights[1] * two_bells(x, t / T, -ones)


def mixture_by_score(x, t, share):
    """Equation (1) of section 7: differentiate the logarithm of the density."""
    x = x.clone().requires_grad_()
    v = ab_t[t] * s**2 + 1 - ab_t[t]
    log_plus = np.log(share) - (x - ab_t[t].sqrt() * m) ** 2 / (2 * v)
    log_minus = np.log(1 - share) - (x + ab_t[t].sqrt() * m) ** 2 / (2 * v)
    (score,) = torch.autograd.grad(torch.logaddexp(log_plus, log_minus).sum(), x)
    return -(1 - ab_t[t]).sqrt() * score


def mixture_by_softmax(x, t, share):
    mean, v = ab_t[t].sqrt() * m, ab_t[t] * s**2 + 1 - ab_t[t]
    logits = torch.stack([2 * mean * x / v + np.log(share), torch.full_like(x, np.log(1 - share))])
    p = logits.softmax(dim=0)
    return (1 - ab_t[t]).sqrt() * (x - mean * (p[0] - p[1])) / v


def mixed_context(x, t, share):
    return two_bells(x, t / T, torch.full((len(x), 1), share * 1 + (1 - share) * -1))


# ------------------------------------------------------------------------------------------ variety


def varied(x, pairs=itertools.combinations, distance=lambda d: d.square().mean().sqrt(), mean=np.mean):
    return mean([float(distance(a - b)) for a, b in pairs(x, 2)])


def varied_by_matrix(x):
    squares = (x[:, None] - x[None]).square().mean(dim=(2, 3, 4))  # (n, n)
    return squares.sqrt().sum() / (len(x) * (len(x) - 1))


# --------------------------------------------------------------------------------------- the tables

RIGHT = {
    "context": [context, context_by_numpy, context_by_eye],
    "hide_contexts": [hidden, hidden_by_where, hidden_in_a_loop],
    "confusion_matrix": [
        matrix,
        matrix_of_lists,
        matrix_by_product,
        lambda asked, seen, n: np.histogram2d(asked.numpy(), seen.numpy(), bins=np.arange(n + 1) - 0.5)[0],
    ],
    "guided_noise": [
        lambda cond, uncond, w: uncond + w * (cond - uncond),
        lambda cond, uncond, w: w * cond + (1 - w) * uncond,
        lambda cond, uncond, w: torch.lerp(uncond, cond, w),
    ],
    "passes": [counted, counted_by_a_module, lambda n, w: n * ((w != 0) + (w != 1))],
    "promised": [promise, promise_by_weighted_numbers],
    "either_or": [mixture, mixture_by_score, mixture_by_softmax],
    "variety": [
        varied,
        varied_by_matrix,
        lambda x: torch.pdist(x.flatten(1)).mean() / x[0].numel() ** 0.5,
    ],
}

WRONG = {
    "context": {
        "cut to integers": lambda wish, n: context(wish, n, dtype=torch.long),
        "one row only": lambda wish, n: context(wish, 1)[0],
        "rows and columns swapped": lambda wish, n: torch.stack([*context(wish, n)], dim=1),
        "order of the wish": packed_to_the_left,
        "scaled to sum 1": scaled_to_one,
        "parts ignored": lambda wish, n: context(wish, n, part=lambda value: 1),
        "only the largest": one_hot_of_the_largest,
        "one class late": lambda wish, n: context(wish, n, place=lambda name: CLASSES.index(name) + 1),
        "a class number": lambda wish, n: torch.full((n,), CLASSES.index(max(wish, key=wish.get))),
        "wrong dtype": lambda wish, n: context(wish, n, dtype=torch.float64),
        "not a tensor": lambda wish, n: [[float(wish.get(name, 0)) for name in CLASSES]] * n,
    },
    "hide_contexts": {
        "single entries hidden": lambda c, p, g: hidden(c, p, g, shape=lambda c: c.shape),
        "columns hidden": lambda c, p, g: hidden(c, 0.5, g, shape=lambda c: 5, seen=lambda d, p: d > d.median()),
        "p and 1-p swapped": lambda c, p, g: hidden(c, p, g, seen=lambda draw, p: draw < p),
        "one draw for the batch": lambda c, p, g: hidden(c, p, g, shape=lambda c: 1),
        "changes its input": hidden_in_place,
        "cut to integers": lambda c, p, g: hidden(c.long(), p, g, paint=lambda c, shown, p: c * shown.long()),
        "hidden rows not 0": lambda c, p, g: hidden(c, p, g, paint=lambda c, shown, p: c * shown + (1 - shown)),
        "kept rows negative": lambda c, p, g: hidden(c, p, g, paint=mask_of_the_old_code),
        "rescaled as in dropout": lambda c, p, g: hidden(c, p, g, paint=lambda c, shown, p: c * shown / (1 - p)),
        "the mask itself": lambda c, p, g: hidden(c, p, g, paint=lambda c, shown, p: shown),
        "generator not used": hidden_without_generator,
        "always the same rows": first_rows_hidden,
        "always as many": so_many_hidden,
        "nothing hidden": lambda c, p, g: c + 0,
        "wrong share": lambda c, p, g: hidden(c, p / 2, g),
        "wrong shape": lambda c, p, g: c[torch.rand(len(c), generator=g) >= p],
        "not a tensor": lambda c, p, g: hidden(c, p, g).tolist(),
    },
    "confusion_matrix": {
        "transposed": lambda asked, recognised, n: matrix(recognised, asked, n),
        "each pair counted once": matrix_by_index,
        "shares of each row": lambda *a: torch.nn.functional.normalize(matrix(*a, torch.float32), p=1),
        "diagonal only": lambda asked, recognised, n: [((asked == recognised) & (asked == k)).sum() for k in range(n)],
        "flat": lambda asked, recognised, n: torch.histc((n * asked + recognised).float(), n * n, 0, n * n - 1),
        "counted from 1": matrix_from_one,
        "matched one by one": lambda asked, recognised, n: matrix(*(x.msort() for x in (asked, recognised)), n),
        "hits left out": lambda *a: matrix(*a) - matrix(*a).diag().diag(),
        "wrong shape": lambda asked, recognised, n: matrix_by_product(asked, recognised, n)[:, : recognised.max() + 1],
        "not a tensor": lambda asked, recognised, n: {},
    },
    "guided_noise": {
        "w of the paper": lambda cond, uncond, w: cond + w * (cond - uncond),
        "w - 1": lambda cond, uncond, w: uncond + (w - 1) * (cond - uncond),
        "swapped": lambda uncond, cond, w: uncond + w * (cond - uncond),
        "sign wrong": lambda cond, uncond, w: uncond + w * (uncond - cond),
        "start forgotten": lambda cond, uncond, w: w * (cond - uncond),
        "plain sum": lambda cond, uncond, w: cond + w * uncond,
        "context on top": lambda cond, uncond, w: w * cond + uncond,
        "plain mean": lambda cond, uncond, w: torch.stack([cond, uncond]).mean(dim=0),
        "clipped": lambda cond, uncond, w: (uncond + w * (cond - uncond)).clip(-1, 1),
        "w ignored": lambda cond, uncond, w: torch.lerp(uncond, cond, min(w, 1)),
        "weights that add up to 1 + w": lambda cond, uncond, w: (uncond + w * cond) / (1 + w),
    },
    "passes": {
        "always one a step": lambda n, w: counted(n, w, guidance=1),
        "always two a step": lambda n, w: counted(n, w, guidance=2),
        "w = 0 forgotten": lambda n, w: n if w == 1 else n + n,
        "w = 1 forgotten": lambda n, w: n * (1 + bool(w)),
        "between 0 and 1": lambda n, w: n if 0 <= w <= 1 else 2 * n,
        "every level": lambda n, w: counted(n, w, steps=T),
        "wrong values": lambda n, w: 3 * counted(n, w),
        "not a number": lambda n, w: [counted(n, w)],
    },
    "promised": {
        "variance": lambda w: promise(w, spread=lambda v: v),
        "w too large by 1": lambda w: promise(w, lambda p, like, post, w: like * post**w),
        "likelihood for posterior": lambda w: promise(w, lambda p, like, post, w: p * like**w),
        "whole density sharpened": lambda w: promise(w, lambda p, like, post, w: like**w),
        "power on the wrong factor": lambda w: promise(w, lambda p, like, post, w: p**w * post),
        "not normalised": lambda w: promise(w, area=False),
        "w ignored": lambda w: promise(1),
        "context ignored": lambda w: promise(0),
        "other class": lambda w: promise(w, sign=-1),
        "samples measured": drawn,
        "wrong number of results": lambda w: promise(w)[0],
    },
    "either_or": {
        "fixed shares": mixed_context,
        "shares forgotten": lambda *a: mixture(*a, weigh=lambda share, plus, minus: (plus, minus)),
        "shares swapped": lambda *a: mixture(*a, weigh=lambda share, plus, minus: ((1 - share) * plus, share * minus)),
        "not normalised": lambda x, t, share: mixture(
            x,
            t,
            share,
            divide=lambda weights: weights * (2 * torch.pi * (ab_t[t] * s**2 + 1 - ab_t[t])).sqrt(),
        ),
        "densities not normalised": lambda *a: mixture(*a, divide=lambda weights: weights),
        "variance without 1-ᾱ": lambda *a: mixture(*a, bells=lambda ab: (ab.sqrt() * m, ab * s**2)),
        "noise only": lambda *a: mixture(*a, bells=lambda ab: (ab.sqrt() * m, 1 - ab)),
        "bells of clean data": lambda *a: mixture(*a, bells=lambda ab: (m, torch.tensor(s**2))),
        "mean not shrunk": lambda *a: mixture(*a, bells=lambda ab: (m, ab * s**2 + 1 - ab)),
        "winner takes all": lambda *a: mixture(*a, divide=lambda weights: (weights == weights.max(dim=0)[0]).float()),
        "wrong values": lambda x, t, share: mixture(x, t - 1, share),
    },
    "variety": {
        "each with itself": lambda x: varied(x, pairs=lambda x, k: itertools.product(x, repeat=k)),
        "length of the difference": lambda x: varied(x, distance=torch.linalg.vector_norm),
        "mean square": lambda x: varied(x, distance=lambda d: d.pow(2).mean()),
        "root at the end": lambda x: varied(x, distance=lambda d: d.pow(2).mean()) ** 0.5,
        "absolute differences": lambda x: varied(x, distance=lambda d: d.abs().mean()),
        "distance to the mean": lambda x: np.mean([float((a - x.mean(0)).square().mean() ** 0.5) for a in x]),
        "neighbours only": lambda x: varied(x, pairs=lambda x, k: itertools.pairwise(x)),
        "each pair twice": lambda x: 2 * varied_by_matrix(x),
        "sum": lambda x: varied(x, mean=np.sum),
        "not a number": lambda x: torch.cdist(x.flatten(1), x.flatten(1)),
    },
}


def test_the_message_says_what_came_and_what_should_have(checks):
    message = checks.check_guided_noise(WRONG["guided_noise"]["w of the paper"]).message
    assert "with w = " in message and "you made" in message and "ours minus 1" in message


@pytest.mark.parametrize(
    "name, key, again",
    [
        ("context", "cut to integers", lambda wish, n: context(wish, n, part=int)),
        ("hide_contexts", "cut to integers", lambda c, p, g: hidden(c.long().float(), p, g)),
        ("hide_contexts", "single entries hidden", hidden_by_dropout),
        (
            "hide_contexts",
            "hidden rows not 0",
            lambda c, p, g: hidden(c, p, g, paint=lambda c, m, p: c * (2 * m - 1)),
        ),
        ("hide_contexts", "the mask itself", lambda c, p, g: torch.rand(len(c), generator=g) >= p),
        ("hide_contexts", "nothing hidden", lambda c, p, g: 0 * c),
        ("hide_contexts", "kept rows changed", lambda c, p, g: hidden(c + 1, p, g)),
        ("either_or", "fixed shares", lambda *a: mixture(*a, divide=lambda w: [a[2], 1 - a[2]])),
    ],
)
def test_the_same_mistake_made_differently(checks, name, key, again):
    verdict = getattr(checks, f"check_{name}")(again)
    assert (verdict.status, verdict.diagnosis) == ("wrong", key), verdict


def test_a_count_without_all_classes_shows_the_learners_line(checks):
    def my_confusion_matrix(asked, recognised, n):
        return torch.bincount(n * asked + recognised).reshape(n, n)  # minlength is missing

    verdict = checks.check_confusion_matrix(my_confusion_matrix)
    assert verdict.status == "crashed" and "torch.bincount(n * asked + recognised)" in verdict.message


# --------------------------------------------------------------------- what learners have handed in
# (diagnosis, function); "" is right. A crash has the name of its exception.


def context_row_by_row(wish, n):
    rows = []
    for _ in range(n):
        row = [0.0] * 5
        for name, part in wish.items():
            row[CLASSES.index(name)] = part
        rows.append(row)
    return torch.tensor(rows)


def only_the_first_row(wish, n):
    c = torch.zeros(n, 5)
    for name, part in wish.items():
        c[0, CLASSES.index(name)] = part
    return c


def parts(wish, missing=0.0, names=CLASSES):
    return [wish.get(name, missing) for name in names]


def hidden_by_numpy(c, p, generator):
    rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    return c * torch.tensor(rng.random(len(c)) >= p)[:, None]


def hidden_number_by_number(c, p, generator):
    c = c.clone()
    for row, column in np.ndindex(*c.shape):
        if torch.rand(1, generator=generator) < p:
            c[row, column] = 0
    return c


def hidden_by_the_global_seed(c, p, generator):
    torch.manual_seed(0)
    return c * (torch.rand(len(c), 1) >= p)


def draws(c, generator):
    return torch.rand(len(c), 1, generator=generator)


def first_number_hidden(c, p, generator):
    c = c.clone()
    c[torch.rand(len(c), generator=generator) < p, 0] = 0
    return c


def counted_in(counts, change=lambda old: old + 1, which=lambda row, column: True, pairs=zip):
    """Fill a matrix in a loop; one place to go wrong for each argument."""

    def my_confusion_matrix(asked, recognised, n):
        matrix = counts(n)
        for row, column in pairs(asked.tolist(), recognised.tolist()):
            if which(row, column):
                matrix[row][column] = change(matrix[row][column])
        return matrix

    return my_confusion_matrix


def rates(dim, scale=1):
    return lambda *a: scale * matrix(*a) / (matrix(*a).sum(dim=dim, keepdim=True) if dim is not None else len(a[0]))


def calls_of(sampler=sample_ddim_context, rows=1, context=True, note=lambda x, t, c: [0], **fixed):
    """Count by a list; one place to go wrong for each argument."""

    def my_passes(n, w):
        noted = []

        def model(x, t, c=None):
            noted.extend(note(x, t, c))
            return 0 * x

        wish = torch.ones(rows, 5) if context else None
        sampler(rows, wish, **{"n": n, "guidance": w, "model": model, "progress": False} | fixed)
        return len(noted)

    return my_passes


kept_between_calls = []


def counted_in_one_list(n, w):
    kept_between_calls.extend([0] * counted(n, w))
    return len(kept_between_calls)


def frames_counted(n, w):
    options = {"n": n, "guidance": w, "model": lambda x, t, c=None: 0 * x, "progress": False}
    return len(sample_ddim_context(1, torch.ones(1, 5), **options)[1])


def moments(density, width=2 * s**2, x=None, area=True, spread=torch.sqrt):
    """Of density(bell of +1, bell of -1, w) on the grid of the hint; one place to go wrong for each argument."""

    def my_promised(w):
        grid = torch.linspace(-8, 8, 4001) if x is None else x
        plus, minus = ((-((grid - sign * m) ** 2) / width).exp() for sign in (1, -1))
        values = density(plus, minus, w)
        values = values / (torch.trapezoid(values, grid) if area is True else area(values))
        mean = torch.trapezoid(grid * values, grid)
        return mean.item(), spread(torch.trapezoid((grid - mean) ** 2 * values, grid)).item()

    return my_promised


def sharpened(plus, minus, w):
    return (plus + minus) * (plus / (plus + minus)) ** w


RIGHT_MOMENTS = moments(sharpened)


def weighted(n):
    def my_promised(w):
        x = m * (torch.randint(2, (n,)) * 2 - 1) + s * torch.randn(n)
        weights = torch.sigmoid(2 * m * x / s**2) ** w
        mean = (weights * x).sum() / weights.sum()
        return mean, ((weights * (x - mean) ** 2).sum() / weights.sum()).sqrt()

    return my_promised


def kept_or_thrown_away(w):
    x = torch.randint(2, (400_000,)) * 2 - 1 + s * torch.randn(400_000)
    x = x[torch.rand(400_000) < torch.sigmoid(2 * m * x / s**2) ** w]
    return x.mean(), x.std()


def drawn_again_by_numpy(w):
    rng = np.random.default_rng()
    x = rng.choice([-1, 1], 200_000) + s * rng.standard_normal(200_000)
    weights = (1 / (1 + np.exp(-2 * x / s**2))) ** w
    x = rng.choice(x, 100_000, p=weights / weights.sum())
    return x.mean(), x.std()


def by_sums_in_numpy(w):
    x = np.linspace(-6, 6, 2001)
    density = (np.exp(-((x - 1) ** 2) / 0.98) + np.exp(-((x + 1) ** 2) / 0.98)) / (1 + np.exp(-2 * x / 0.49)) ** w
    density /= density.sum()
    mean = (x * density).sum()
    return mean, np.sqrt((x**2 * density).sum() - mean**2)


def predicted(x, t):
    """For class +1 and for class -1."""
    ones = torch.ones(len(x), 1)
    return two_bells(x, t / T, ones), two_bells(x, t / T, -ones)


def by_p(p, plus_first=True):
    """P(+1 | x_t) from a function of (x, mean, v, log of the odds of the shares)."""

    def my_either_or(x, t, share):
        v = ab_t[t] * s**2 + 1 - ab_t[t]
        share_of_plus = p(x, ab_t[t].sqrt() * m, v, np.log(share / (1 - share)))
        plus, minus = predicted(x, t) if plus_first else reversed(predicted(x, t))
        return share_of_plus * plus + (1 - share_of_plus) * minus

    return my_either_or


def by_bells(height):
    """P(+1 | x_t) from height(x, middle, v), with middle = ±√ᾱ m."""

    def my_either_or(x, t, share):
        v, mean = ab_t[t] * s**2 + 1 - ab_t[t], ab_t[t].sqrt() * m
        weights = share * height(x, mean, v), (1 - share) * height(x, -mean, v)
        return by_p(lambda *_: weights[0] / (weights[0] + weights[1]))(x, t, share)

    return my_either_or


def number_by_number(x, t, share):
    result = torch.zeros_like(x)
    for place in np.ndindex(*x.shape):
        result[place] = mixture(x[place].reshape(1, 1, 1, 1), t, share).item()
    return result


def sum_over_pairs(number_of_pairs):
    def my_variety(x):
        total = 0
        for i in range(len(x)):
            for j in range(i + 1, len(x)):
                total += ((x[i] - x[j]) ** 2).mean().sqrt()
        return total / number_of_pairs(len(x))

    return my_variety


def varied_by_triangle(x):
    flat = x.numpy().reshape(len(x), -1)
    i, j = np.triu_indices(len(flat), 1)
    return np.sqrt(((flat[i] - flat[j]) ** 2).mean(axis=1)).mean()


def all_differences(x):
    return (x[:, None] - x[None]).square().mean(dim=(2, 3, 4))  # (n, n)


def lengths(x):
    return torch.pdist(x.flatten(1))


SUBMISSIONS = {
    "context": [
        ("", context_row_by_row),
        ("", lambda wish, n: torch.stack([torch.tensor(parts(wish))] * n)),
        ("", lambda wish, n: torch.tensor([parts(wish) for _ in range(n)])),
        ("", lambda wish, n: torch.from_numpy(np.array([parts(wish)] * n)).float()),
        ("", lambda wish, n: torch.ones(n, 1) * torch.tensor(parts(wish))),
        ("", lambda wish, n: torch.tensor(parts(wish)).expand(n, -1)),
        ("integers for whole parts", lambda wish, n: torch.tensor([parts(wish, 0)] * n)),
        ("wrong dtype", lambda wish, n: torch.from_numpy(np.array([parts(wish)] * n))),
        ("not a tensor", lambda wish, n: np.tile(np.array(parts(wish), dtype=np.float32), (n, 1))),
        ("first row only", only_the_first_row),
        ("alphabetical", lambda wish, n: torch.tensor([parts(wish, names=sorted(CLASSES))] * n)),
        ("wrong values", lambda wish, n: torch.tensor([parts(wish, 1.0)] * n)),
        ("wrong values", lambda wish, n: context(wish, n).flip(1)),
        ("wrong values", lambda wish, n: context(wish, n).softmax(dim=1)),
        ("wrong values", lambda wish, n: context(dict.fromkeys(wish, min(wish.values())), n)),
        ("wrong shape", lambda wish, n: context(wish, 8)),
        ("wrong shape", lambda wish, n: context(wish, 1)),
        ("wrong shape", lambda wish, n: torch.tensor(parts(wish)).repeat(n)),
        ("wrong shape", lambda wish, n: torch.tensor([parts(wish)]).repeat(1, n)),
        (
            "wrong shape",
            lambda wish, n: torch.tensor([[float(part) for part in wish.values()]] * n),
        ),
        (
            "cut to integers",
            lambda wish, n: torch.IntTensor([[int(part) for part in parts(wish)]] * n),
        ),
        ("cut to integers", lambda wish, n: torch.tensor([[name in wish for name in CLASSES]] * n)),
    ],
    "hide_contexts": [
        ("", hidden_by_numpy),
        ("", lambda c, p, g: torch.where(draws(c, g) < p, 0.0, c)),
        ("", lambda c, p, g: c.masked_fill(draws(c, g) < p, 0)),
        ("", lambda c, p, g: c * torch.bernoulli(torch.full((len(c), 1), 1 - p), generator=g)),
        (
            "",
            lambda c, p, g: torch.stack([row if torch.rand((), generator=g) > p else 0 * row for row in c]),
        ),
        ("", lambda c, p, g: torch.diag((draws(c, g)[:, 0] > p).float()) @ c),
        ("", lambda c, p, g: c * (draws(c, g) > p).repeat(1, 5).float()),
        ("", lambda c, p, g: c * (1 - (draws(c, g) < p).float())),
        ("", lambda c, p, g: c - c * (draws(c, g) < p)),
        ("single entries hidden", hidden_number_by_number),
        (
            "single entries hidden",
            lambda c, p, g: c * torch.bernoulli(torch.full_like(c, 1 - p), generator=g),
        ),
        ("single entries hidden", first_number_hidden),
        ("changes its input", lambda c, p, g: c.mul_((draws(c, g) >= p).float())),
        ("always the same rows", hidden_by_the_global_seed),
        ("always the same rows", lambda c, p, g: c * (draws(c, g.manual_seed(0)) >= p)),
        (
            "one draw for the batch",
            lambda c, p, g: c if torch.rand(1, generator=g) >= p else torch.zeros_like(c),
        ),
        ("wrong share", lambda c, p, g: c * draws(c, g).round()),
        ("wrong share", lambda c, p, g: c * (torch.randn(len(c), 1, generator=g) >= p)),
        ("wrong share", lambda c, p, g: c * (draws(c, g) >= 0.1)),
        ("p and 1-p swapped", lambda c, p, g: torch.where(draws(c, g) < p, c, 0.0)),
        ("kept rows changed", lambda c, p, g: c * draws(c, g)),
        ("kept rows changed", lambda c, p, g: torch.nn.functional.normalize(hidden(c, p, g), p=1)),
        ("kept rows changed", lambda c, p, g: hidden(c[torch.randperm(len(c), generator=g)], p, g)),
        ("the mask itself", lambda c, p, g: draws(c, g) >= p),
        ("hidden rows not 0", lambda c, p, g: torch.where(draws(c, g) < p, -1.0, c)),
        ("not finite", lambda c, p, g: torch.where(draws(c, g) < p, float("nan"), c)),
        ("columns hidden", lambda c, p, g: c * (torch.tensor([0.1, 0.9, 0.8, 0.7, 0.6]) >= p)),
        ("wrong shape", lambda c, p, g: c * (draws(c, g) >= p)[:, None]),
        ("not a tensor", lambda c, p, g: (hidden(c, p, g),)),
        ("wrong dtype", lambda c, p, g: c.double() * (draws(c, g) >= p)),
        ("RuntimeError", lambda c, p, g: c * (draws(c, g)[:, 0] >= p)),
    ],
    "confusion_matrix": [
        ("", counted_in(lambda n: [[0] * n for _ in range(n)])),
        ("", counted_in(lambda n: np.zeros((n, n)))),
        ("", counted_in(lambda n: torch.zeros(n, n))),
        (
            "",
            lambda a, r, n: torch.zeros(n, n).index_put((a, r), torch.ones(len(a)), accumulate=True),
        ),
        (
            "",
            lambda a, r, n: torch.tensor([[((a == i) & (r == j)).sum() for j in range(n)] for i in range(n)]),
        ),
        ("", lambda a, r, n: torch.bincount(n * a + r, minlength=n * n).view(n, n).int()),
        (
            "",
            lambda a, r, n: torch.stack([torch.bincount(r[a == i], minlength=n) for i in range(n)]),
        ),
        ("", lambda a, r, n: [torch.bincount(r[a == i], minlength=n) for i in range(n)]),
        (
            "",
            lambda a, r, n: torch.nn.functional.one_hot(a, n).T @ torch.nn.functional.one_hot(r, n),
        ),
        ("", lambda a, r, n: tuple(map(tuple, matrix_of_lists(a, r, n)))),
        ("", lambda a, r, n: np.bincount(n * a.numpy() + r.numpy(), minlength=n * n).reshape(n, n)),
        ("rows are one list", counted_in(lambda n: [[0] * n] * n)),
        ("first sprite left out", lambda a, r, n: matrix(a[1:], r[1:], n)),
        ("last sprite left out", lambda a, r, n: matrix(a[:-1], r[:-1], n)),
        ("each pair counted once", counted_in(lambda n: torch.zeros(n, n), change=lambda old: 1)),
        ("each pair counted once", lambda *a: matrix(*a) > 0),
        ("begun with ones", counted_in(lambda n: torch.ones(n, n))),
        ("counted both ways", lambda *a: matrix(*a) + matrix(*a).T),
        (
            "each asked with each recognised",
            counted_in(lambda n: torch.zeros(n, n), pairs=itertools.product),
        ),
        ("mistakes left out", counted_in(lambda n: torch.zeros(n, n), which=lambda i, j: i == j)),
        ("hits left out", counted_in(lambda n: torch.zeros(n, n), which=lambda i, j: i != j)),
        ("transposed", lambda a, r, n: torch.bincount(a + n * r, minlength=n * n).reshape(n, n)),
        ("shares of all", rates(None)),
        ("in per cent", rates(1, 100)),
        ("shares of each column", lambda *a: rates(0)(*a).nan_to_num()),
        ("wrong values", lambda a, r, n: torch.bincount(a + r, minlength=n * n).reshape(n, n)),
        ("wrong values", lambda *a: rates(1)(*a).T),
        ("wrong shape", lambda a, r, n: (a == r).float().mean()),
        ("wrong shape", lambda a, r, n: torch.bincount(a, minlength=n)),
        ("wrong shape", lambda *a: matrix(*a)[None]),
        ("IndexError", counted_in(lambda n: torch.zeros(5, 5))),
    ],
    "guided_noise": [
        ("", lambda cond, uncond, w: cond + (w - 1) * (cond - uncond)),
        ("", lambda cond, uncond, w: torch.add(uncond, cond - uncond, alpha=w)),
        ("", lambda cond, uncond, w: uncond - w * (uncond - cond)),
        ("", lambda cond, uncond, w: uncond + w * cond - w * uncond),
        (
            "",
            lambda cond, uncond, w: (uncond.double() + w * (cond.double() - uncond.double())).float(),
        ),
        ("changes its input", lambda cond, uncond, w: uncond.add_(w * (cond - uncond))),
        ("w cut to an integer", lambda cond, uncond, w: uncond + int(w) * (cond - uncond)),
        ("not a tensor", lambda cond, uncond, w: (uncond + w * (cond - uncond)).numpy()),
        ("w of the paper", lambda cond, uncond, w: uncond + (1 + w) * (cond - uncond)),
        ("parentheses missing", lambda cond, uncond, w: uncond + w * cond - uncond),
        ("swapped", lambda cond, uncond, w: w * uncond + (1 - w) * cond),
        ("swapped", lambda cond, uncond, w: cond - w * (cond - uncond)),
        ("weights that add up to 1 + w", lambda cond, uncond, w: (w * cond + uncond) / (1 + w)),
        ("plain difference", lambda cond, uncond, w: cond - uncond),
        ("wrong values", lambda cond, uncond, w: cond + uncond),
        ("wrong values", lambda cond, uncond, w: uncond + w**2 * (cond - uncond)),
        ("wrong values", lambda cond, uncond, w: (uncond + w * (cond - uncond)).clamp(-3, 3)),
        ("wrong values", lambda cond, uncond, w: torch.tanh(uncond + w * (cond - uncond))),
        ("wrong values", lambda cond, uncond, w: uncond),
        ("wrong shape", lambda cond, uncond, w: (uncond + w * (cond - uncond)).mean()),
        ("wrong dtype", lambda cond, uncond, w: uncond.double() + w * (cond - uncond)),
    ],
    "passes": [
        ("", calls_of()),
        ("", calls_of(sample_dpm_context)),
        ("", lambda n, w: n if w in (0, 1) else 2 * n),
        ("", lambda n, w: torch.tensor(counted(n, w))),
        ("", lambda n, w: float(counted(n, w))),
        ("", lambda n, w: np.int64(counted(n, w))),
        ("every level", calls_of(n=500)),
        ("always one a step", calls_of(context=False)),
        ("always one a step", lambda n, w: len({float(t) for t in range(n)})),
        ("only those with context", calls_of(note=lambda x, t, c: [] if c is None else [0])),
        ("only those without context", calls_of(note=lambda x, t, c: [0] if c is None else [])),
        ("frames", frames_counted),
        ("n not handed over", calls_of(n=20)),
        ("whole w", lambda n, w: n if w == int(w) else 2 * n),
        ("whole w", lambda n, w: n if w in range(20) else 2 * n),
        ("w up to 0", lambda n, w: n if w <= 0 or w == 1 else 2 * n),
        ("w below 1", lambda n, w: n if w <= 1 else 2 * n),
        ("w cut to an integer", lambda n, w: counted(n, int(w))),
        ("one more", lambda n, w: counted(n, w) + 1),
        ("one less", lambda n, w: counted(n, w) - 1),
        ("steps times w", lambda n, w: int(n * w)),
        ("wrong values", calls_of(rows=4, note=lambda x, t, c: [0] * len(x))),
        ("wrong values", counted_in_one_list),
        ("wrong values", lambda n, w: counted(25, w)),
        ("wrong values", lambda n, w: n * (1 + (w > 0))),
        ("not a number", lambda n, w: f"{counted(n, w)} passes"),
        ("TypeError", calls_of(note=lambda x, t, c: 1)),
    ],
    "promised": [
        ("", RIGHT_MOMENTS),
        ("", moments(sharpened, x=torch.linspace(-5, 6, 301))),
        ("", by_sums_in_numpy),
        ("", lambda w: torch.tensor(by_sums_in_numpy(w))),
        ("", lambda w: np.array(by_sums_in_numpy(w))),
        ("", weighted(100_000)),
        ("", weighted(1_000_000)),
        ("", kept_or_thrown_away),
        ("", drawn_again_by_numpy),
        ("", moments(lambda plus, minus, w: plus * (plus / (plus + minus)) ** (w - 1))),
        ("", moments(lambda plus, minus, w: (plus + minus) / 2 * (2 * plus / (plus + minus)) ** w)),
        ("width for variance", moments(sharpened, width=2 * s)),
        ("half the variance", moments(sharpened, width=s**2)),
        ("prior missing", moments(lambda plus, minus, w: (plus / (plus + minus)) ** w)),
        ("w ignored", moments(lambda plus, minus, w: w * plus)),
        ("root of w", lambda w: RIGHT_MOMENTS(1 / w)),
        ("w too small by 1", lambda w: RIGHT_MOMENTS(w - 1)),
        ("whole density sharpened", moments(lambda plus, minus, w: plus**w)),
        ("right half only", moments(sharpened, x=torch.linspace(0, 8, 2001))),
        ("divided by its sum", moments(sharpened, area=torch.sum)),
        (
            "square root of the second moment",
            lambda w: (RIGHT_MOMENTS(w)[0], np.hypot(*RIGHT_MOMENTS(w))),
        ),
        ("spread and mean swapped", lambda w: RIGHT_MOMENTS(w)[::-1]),
        ("other class", moments(lambda plus, minus, w: sharpened(minus, plus, w))),
        ("variance", moments(sharpened, spread=lambda v: v)),
        ("not finite", moments(lambda plus, minus, w: plus**w * (plus + minus) ** (1 - w))),
        ("not finite", lambda w: (float("nan"), 1.0)),
        ("wrong values", lambda w: (1.18, 0.59)),
        ("wrong values", moments(sharpened, x=torch.linspace(-2, 2, 401))),
        ("wrong values", lambda w: (0.0, RIGHT_MOMENTS(w)[1])),
        ("wrong number of results", lambda w: torch.linspace(0, 1, 4001)),
        ("wrong number of results", lambda w: (*RIGHT_MOMENTS(w), 0.0)),
    ],
    "either_or": [
        ("", number_by_number),
        ("", by_p(lambda x, mean, v, odds: torch.sigmoid(2 * mean * x / v + odds))),
        ("", by_p(lambda x, mean, v, odds: 1 / (1 + torch.exp(-2 * mean * x / v - odds)))),
        (
            "",
            by_bells(lambda x, mean, v: torch.distributions.Normal(mean, v.sqrt()).log_prob(x).exp()),
        ),
        ("", lambda x, t, share: mixture(x.double(), t, share).float()),
        (
            "probabilities swapped",
            by_p(lambda x, mean, v, odds: torch.sigmoid(2 * mean * x / v + odds), False),
        ),
        ("shares forgotten", lambda x, t, share: two_bells(x, t / T)),
        ("2 missing", by_bells(lambda x, mean, v: torch.exp(-((x - mean) ** 2) / v))),
        ("root of v", by_bells(lambda x, mean, v: torch.exp(-((x - mean) ** 2) / (2 * v.sqrt())))),
        ("v squared", by_bells(lambda x, mean, v: torch.exp(-((x - mean) ** 2) / (2 * v**2)))),
        ("minus missing", by_bells(lambda x, mean, v: torch.exp((x - mean) ** 2 / (2 * v)))),
        (
            "fixed shares",
            by_bells(lambda x, mean, v: torch.exp(-((x - mean.abs()) ** 2) / (2 * v))),
        ),
        ("ᾱ for √ᾱ", lambda *a: mixture(*a, bells=lambda ab: (ab * m, ab * s**2 + 1 - ab))),
        ("s for s²", lambda *a: mixture(*a, bells=lambda ab: (ab.sqrt() * m, ab * s + 1 - ab))),
        (
            "width not shrunk",
            lambda *a: mixture(*a, bells=lambda ab: (ab.sqrt() * m, s**2 + 1 - ab)),
        ),
        (
            "one P for a picture",
            by_p(lambda x, mean, v, odds: torch.sigmoid((2 * mean * x / v).sum(dim=(1, 2, 3), keepdim=True) + odds)),
        ),
        ("class +1 only", lambda x, t, share: predicted(x, t)[0]),
        ("class -1 only", lambda x, t, share: predicted(x, t)[1]),
        ("no shares at all", lambda x, t, share: sum(predicted(x, t))),
        (
            "as guidance",
            lambda x, t, share: torch.lerp(two_bells(x, t / T), predicted(x, t)[0], share),
        ),
        ("wrong values", by_p(lambda x, mean, v, odds: torch.sigmoid(mean * x / v + odds))),
        ("wrong values", by_p(lambda x, mean, v, odds: (x > 0).float())),
        (
            "wrong values",
            by_p(lambda x, mean, v, odds: torch.sigmoid(2 * mean * x / v + odds).mean()),
        ),
        (
            "wrong values",
            lambda x, t, share: torch.where(torch.rand_like(x) < share, *predicted(x, t)),
        ),
        ("wrong shape", lambda *a: mixture(*a).mean(dim=(1, 2, 3))),
        ("IndexError", lambda x, t, share: share * two_bells(x, t, torch.ones(len(x), 1))),
        (
            "TypeError",
            lambda x, t, share: share * two_bells(x, t / T, 1) + (1 - share) * two_bells(x, t / T, -1),
        ),
    ],
    "variety": [
        ("", sum_over_pairs(lambda n: n * (n - 1) / 2)),
        ("", varied_by_triangle),
        ("", lambda x: lengths(x).div(x[0].numel() ** 0.5).mean()),
        ("", lambda x: torch.tensor([varied(x)])),
        ("", lambda x: all_differences(x).sqrt()[~torch.eye(len(x), dtype=torch.bool)].mean()),
        ("", lambda x: varied(x, distance=lambda d: np.linalg.norm(d) / d.numel() ** 0.5)),
        ("", lambda x: varied(x, pairs=itertools.permutations)),
        ("divided by n²", sum_over_pairs(lambda n: n * n)),
        ("divided by n", sum_over_pairs(lambda n: n)),
        ("half", sum_over_pairs(lambda n: n * (n - 1))),
        ("sum", sum_over_pairs(lambda n: 1)),
        ("last left out", lambda x: varied(x[:-1])),
        (
            "first against the others",
            lambda x: varied(x, pairs=lambda x, k: [(x[0], other) for other in x[1:]]),
        ),
        ("ring", lambda x: varied(x, pairs=lambda x, k: zip(x, x.roll(1, 0), strict=True))),
        (
            "each once with itself",
            lambda x: varied(x, pairs=itertools.combinations_with_replacement),
        ),
        ("each with itself", lambda x: all_differences(x).sqrt().mean()),
        ("root at the end, each with itself", lambda x: all_differences(x).mean().sqrt()),
        ("standard deviation", lambda x: x.std(dim=0).mean()),
        ("median", lambda x: lengths(x).median() / x[0].numel() ** 0.5),
        ("largest", lambda x: lengths(x).max() / x[0].numel() ** 0.5),
        ("root missing in the divisor", lambda x: lengths(x).mean() / x[0].numel()),
        ("divided by all values", lambda x: lengths(x).mean() / x.numel() ** 0.5),
        ("channels not counted", lambda x: lengths(x).mean() / x[0, 0].numel() ** 0.5),
        ("768 for all", lambda x: lengths(x).mean() / 768**0.5),
        (
            "mean of the channels",
            lambda x: varied(x, distance=lambda d: d.square().mean(dim=(1, 2)).sqrt().mean()),
        ),
        (
            "mean of the pixels",
            lambda x: varied(x, distance=lambda d: d.square().mean(dim=0).sqrt().mean()),
        ),
        ("not squared", lambda x: varied(x, distance=torch.mean)),
        ("clipped", lambda x: varied(x.clamp(-1, 1))),
        ("wrong values", lambda x: x.std()),
        ("wrong values", sum_over_pairs(lambda n: n - 1)),
        ("not a number", lambda x: lengths(x)),
        ("RuntimeError", lambda x: torch.pdist(x).mean()),
    ],
}
CASES = [(name, *submission) for name, submissions in SUBMISSIONS.items() for submission in submissions]


@pytest.mark.parametrize("name, diagnosis, function", CASES)
def test_what_learners_have_handed_in(checks, name, diagnosis, function):
    verdict = getattr(checks, f"check_{name}")(function)
    status = "passed" if not diagnosis else "crashed" if diagnosis.endswith("Error") else "wrong"
    assert (verdict.status, verdict.diagnosis) == (status, diagnosis), verdict


def test_the_course_has_a_function_for_every_exercise(checks):
    """What a sheet draws with until an exercise is passed passes its check."""
    for name in checks.LAB.exercises:
        own = checks.guided_noise if name == "guided_noise" else getattr(checks, name)
        assert getattr(checks, f"check_{name}")(own).status == "passed", name
        assert name == "guided_noise" or name in checks.__all__

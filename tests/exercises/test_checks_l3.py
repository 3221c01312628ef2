"""The checks of Lab 3: right solutions pass, stubs are not attempted, each classic mistake is called by its name.

All functions here are written without those of checks.py, as a learner would.
"""

import itertools

import numpy as np
import pytest
import torch

from diffusion_utilities import sample_ddim_context
from tests.exercises.every_lab import *  # noqa: F403

LAB = "L3_Context"
T = 500
CLASSES = ("hero", "non-hero", "food", "spell", "side-facing")
ab_t = torch.cat([torch.ones(1), 1 - torch.linspace(1e-4, 0.02, T)]).cumprod(dim=0)
m, s = 1.0, 0.7


# -------------------------------------------------------------------------------------------------------------- context


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


# -------------------------------------------------------------------------------------------------------- hide_contexts


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


# ----------------------------------------------------------------------------------------------------- confusion_matrix


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


# --------------------------------------------------------------------------------------------------------------- passes


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


# ----------------------------------------------------------------------------------------------- promised and either_or


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


# -------------------------------------------------------------------------------------------------------------- variety


def varied(x, pairs=itertools.combinations, distance=lambda d: d.square().mean().sqrt(), mean=np.mean):
    return mean([float(distance(a - b)) for a, b in pairs(x, 2)])


def varied_by_matrix(x):
    squares = (x[:, None] - x[None]).square().mean(dim=(2, 3, 4))  # (n, n)
    return squares.sqrt().sum() / (len(x) * (len(x) - 1))


# ----------------------------------------------------------------------------------------------------------- the tables

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
        "wrong values": lambda *a: matrix(*a) - matrix(*a).diag().diag(),
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
        "wrong values": lambda cond, uncond, w: (uncond + w * cond) / (1 + w),
    },
    "passes": {
        "always one a step": lambda n, w: counted(n, w, guidance=1),
        "always two a step": lambda n, w: counted(n, w, guidance=2),
        "w = 0 forgotten": lambda n, w: n if w == 1 else n + n,
        "w = 1 forgotten": lambda n, w: n * (1 + bool(w)),
        "between 0 and 1": lambda n, w: 2 * n if w > 1 else n,
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
        "wrong values": lambda x: varied(x, mean=np.sum),
        "not a number": lambda x: torch.cdist(x.flatten(1), x.flatten(1)),
    },
}


def test_the_message_says_what_came_and_what_should_have(checks):
    message = repr(checks.check_guided_noise(WRONG["guided_noise"]["w of the paper"]))
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

"""The checks of transformers.ipynb: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

As in the labs: the mistakes are written out, one line each. Do the exercises before you read it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from exercise_tools.kit import Lab, compare
from going_further import dit
from L4_FastSampling.checks import whole

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

# ------------------------------------------------------------------------------------- 9.1 patchify


def patchify(x: Tensor, patch: int) -> Tensor:
    """Pictures (n, c, h, w) → their patches, row by row, each a vector: (n, h/p · w/p, c·p·p)."""
    return dit.patchify(x, patch)


def _patches(x: Tensor, p: int, order: tuple[int, ...] = (0, 2, 4, 1, 3, 5)) -> Tensor:
    """Patches whose axes (n, c, rows, p, columns, p) were brought into another order."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // p, p, w // p, p).permute(order)
    return x.reshape(n, h * w // p**2, c * p * p)


def _far_apart(x: Tensor, p: int) -> Tensor:
    n, c, h, w = x.shape
    x = x.reshape(n, c, p, h // p, p, w // p).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, h * w // p**2, c * p * p)


PATCHIFY_MISTAKES = {
    "no permute": (
        lambda x, p: x.reshape(len(x), x.shape[2] * x.shape[3] // p**2, -1),
        "Your numbers are still in the order of memory, so one vector holds a piece of a pixel row. "
        "Split h and w first, then bring the axes into order, then join.",
    ),
    "column by column": (
        lambda x, p: _patches(x, p, (0, 4, 2, 1, 3, 5)),
        "The patches come column by column: row by row is asked for.",
    ),
    "channels last": (
        lambda x, p: _patches(x, p, (0, 2, 4, 3, 5, 1)),
        "Each vector has the channels last: (c, p, p) is the order asked for, all of the first channel first.",
    ),
    "rows and columns of a patch exchanged": (
        lambda x, p: _patches(x, p, (0, 2, 4, 1, 5, 3)),
        "Within each patch rows and columns are exchanged: every patch is mirrored at its diagonal.",
    ),
    "rows joined with columns": (
        lambda x, p: _patches(x, p, (0, 2, 3, 1, 4, 5)),
        "A row of patches is joined with the rows inside of a patch: bring both numbers of patches to the front.",
    ),
    "pixels far apart": (
        _far_apart,
        "Your vectors hold pixels that lie h/p apart. Split h into (h/p, p), not into (p, h/p): neighbours belong "
        "together.",
    ),
    "tokens last": (
        lambda x, p: _patches(x, p).transpose(1, 2),
        "The axes are (n, numbers, tokens): transpose the last two, so that each token is a row.",
    ),
    "each channel a token": (
        lambda x, p: _patches(x, p).reshape(len(x), -1, p * p),
        "Each channel of a patch is a token of its own here: one token holds all channels of its patch.",
    ),
    "a grid of tokens": (
        lambda x, p: _patches(x, p).reshape(len(x), x.shape[2] // p, x.shape[3] // p, -1),
        "The tokens still lie in rows and columns: join these two axes.",
    ),
    "patches joined with pictures": (
        lambda x, p: _patches(x, p).flatten(0, 1),
        "The patches of all pictures are in one list: keep n as the first axis.",
    ),
    "means of patches": (
        lambda x, p: F.avg_pool2d(x, p).flatten(2).transpose(1, 2),
        "These are means: a patch keeps all its pixels.",
    ),
}


@LAB.exercise("9.1", "A picture becomes tokens", stars=2, minutes=10)
def check_patchify(my_patchify: Callable) -> str:
    """my_patchify(x, patch) → (n, h/p · w/p, c·p·p)."""

    def draw() -> tuple[Tensor, int]:
        patch = whole(2, 3)
        return torch.randn(4, 3, 2 * patch, 5 * patch), patch

    compare(my_patchify, patchify, draw, PATCHIFY_MISTAKES)
    return "each patch a vector, row by row, and not a number lost."


# ------------------------------------------------------------------------------------ 9.2 attention


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √d) V: (n, heads, count, d) three times → the same shape."""
    return _attention(q, k, v)


def _attention(q, k, v, *, scale=lambda q: q.shape[3] ** -0.5, weigh=lambda scores: scores.softmax(dim=3)) -> Tensor:
    """Attention, with a scale and a softmax to exchange."""
    return weigh(q @ k.transpose(2, 3) * scale(q)) @ v


ATTENTION_MISTAKES = {
    "no root of d": (
        lambda q, k, v: _attention(q, k, v, scale=lambda q: 1.0),
        "The products are not divided by √d.",
    ),
    "divided by d": (
        lambda q, k, v: _attention(q, k, v, scale=lambda q: 1 / q.shape[3]),
        "The products are divided by d, not by its root.",
    ),
    "multiplied by the root": (
        lambda q, k, v: _attention(q, k, v, scale=lambda q: q.shape[3] ** 0.5),
        "The products are multiplied by √d: divide.",
    ),
    "root of the number of tokens": (
        lambda q, k, v: _attention(q, k, v, scale=lambda q: q.shape[2] ** -0.5),
        "This is the root of the number of tokens. d is the length of a query: the last axis.",
    ),
    "softmax over the queries": (
        lambda q, k, v: _attention(q, k, v, weigh=lambda scores: scores.softmax(dim=2)),
        "The softmax runs over the queries: for each query the weights of all *keys* add up to 1, the last axis.",
    ),
    "softmax over the heads": (
        lambda q, k, v: _attention(q, k, v, weigh=lambda scores: scores.softmax(dim=1)),
        "The softmax runs over the heads: the keys are the last axis.",
    ),
    "softmax over the batch": (
        lambda q, k, v: _attention(q, k, v, weigh=lambda scores: scores.softmax(dim=0)),
        "The softmax runs over the batch: the keys are the last axis.",
    ),
    "no softmax": (
        lambda q, k, v: _attention(q, k, v, weigh=lambda scores: scores),
        "There is no softmax: the weights of a query are positive and add up to 1.",
    ),
    "powers that do not add up to 1": (
        lambda q, k, v: _attention(q, k, v, weigh=torch.exp),
        "These are e to the products, not yet divided by their sum.",
    ),
    "divided after the softmax": (
        lambda q, k, v: _attention(q, k, v, scale=lambda q: 1.0) / q.shape[3] ** 0.5,
        "√d divides what comes out of the softmax: it belongs inside, to the products.",
    ),
    "softmax at the end": (
        lambda q, k, v: _attention(q, k, v, weigh=lambda scores: scores).softmax(dim=3),
        "The softmax comes after the values: it makes weights of the products, before them.",
    ),
    "queries and keys exchanged": (
        lambda q, k, v: _attention(k, q, v),
        "Queries and keys have changed places: row i holds the products of query i with all keys.",
    ),
    "keys and values exchanged": (
        lambda q, k, v: _attention(q, v, k),
        "Keys and values have changed places: keys are compared with, values are added up.",
    ),
    "the weights": (
        lambda q, k, v: _attention(q, k, torch.eye(v.shape[2]).expand(*v.shape[:2], -1, -1)),
        "These are the weights: multiply them with the values.",
    ),
}


@LAB.exercise("9.2", "Attention", stars=2, minutes=10)
def check_attention(my_attention: Callable) -> str:
    """my_attention(q, k, v) → softmax(Q Kᵀ / √d) V, in each head."""

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        return tuple(torch.randn(2, 3, 5, 4) for _ in range(3))

    compare(my_attention, attention, draw, ATTENTION_MISTAKES)
    return "each query weighs all keys, and takes that much of their values."


# ---------------------------------------------------------------------------------------- 9.3 block


class _Mixing:
    """In the place of attention: every token hears of every other, and what comes out is no line."""

    def __init__(self, count: int, dim: int) -> None:
        self.between, self.within = torch.randn(count, count) / count, torch.randn(dim, dim) / dim**0.5

    def __call__(self, x: Tensor) -> Tensor:
        return (self.between.to(x) @ x @ self.within.to(x)).tanh()


def block(x: Tensor, six: Tensor, attention: Callable, mlp: Callable) -> Tensor:
    """An adaLN-zero block: tokens (n, count, dim), six vectors (n, 6, dim), two functions → tokens."""
    return _block(x, six, attention, mlp)


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])


def _block(
    x,
    six,
    attention,
    mlp,
    *,
    order=(0, 1, 2, 3, 4, 5),
    told=lambda x, shift, scale: _norm(x) * (1 + scale) + shift,
    add=lambda x, gate, y: x + gate * y,
) -> Tensor:
    """A block with parts to exchange: the order of the six, what a function is told, how its answer is added."""
    vectors = six.chunk(6, dim=1)  # each (n, 1, dim)
    b1, s1, g1, b2, s2, g2 = (vectors[i] for i in order)
    x = add(x, g1, attention(told(x, b1, s1)))
    return add(x, g2, mlp(told(x, b2, s2)))


def _side_by_side(x, six, attention, mlp) -> Tensor:
    b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)
    return x + g1 * attention(_norm(x) * (1 + s1) + b1) + g2 * mlp(_norm(x) * (1 + s2) + b2)


def _second_from_the_start(x, six, attention, mlp) -> Tensor:
    b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)
    y = x + g1 * attention(_norm(x) * (1 + s1) + b1)
    return x + g2 * mlp(_norm(y) * (1 + s2) + b2)


def _second_norm_forgotten(x, six, attention, mlp) -> Tensor:
    b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)
    x = x + g1 * attention(_norm(x) * (1 + s1) + b1)
    return x + g2 * mlp(x * (1 + s2) + b2)


def _mlp_first(x, six, attention, mlp) -> Tensor:
    return _block(x, six, mlp, attention)


BLOCK_MISTAKES = {
    "scale without the 1": (
        lambda *a: _block(*a, told=lambda x, b, s: _norm(x) * s + b),
        "The tokens are scaled by s: it should be 1 + s, so that s = 0 leaves them as they are.",
    ),
    "no norm": (
        lambda *a: _block(*a, told=lambda x, b, s: x * (1 + s) + b),
        "There is no norm: scale and shift work on norm(x).",
    ),
    "norm after the modulation": (
        lambda *a: _block(*a, told=lambda x, b, s: _norm(x * (1 + s) + b)),
        "The norm comes last and takes scale and shift away again: norm first.",
    ),
    "norm over all tokens": (
        lambda *a: _block(*a, told=lambda x, b, s: F.layer_norm(x, x.shape[1:]) * (1 + s) + b),
        "The norm runs over the tokens as well: each token has its own mean and spread, over the last axis.",
    ),
    "no shift": (
        lambda *a: _block(*a, told=lambda x, b, s: _norm(x) * (1 + s)),
        "The shift is missing.",
    ),
    "no scale": (
        lambda *a: _block(*a, told=lambda x, b, s: _norm(x) + b),
        "The scale is missing.",
    ),
    "shift before scale": (
        lambda *a: _block(*a, told=lambda x, b, s: (_norm(x) + b) * (1 + s)),
        "The shift is scaled as well: scale first, then shift.",
    ),
    "no gates": (
        lambda *a: _block(*a, add=lambda x, g, y: x + y),
        "The gates are missing: they say how much is added, and start at 0.",
    ),
    "gate of 1 + g": (
        lambda *a: _block(*a, add=lambda x, g, y: x + (1 + g) * y),
        "A gate has no 1 added: at g = 0 nothing is added to x. The 1 belongs to the scale.",
    ),
    "no shortcut": (
        lambda *a: _block(*a, add=lambda x, g, y: g * y),
        "x itself is missing: what attention and MLP say is added to it.",
    ),
    "gate on everything": (
        lambda *a: _block(*a, add=lambda x, g, y: g * (x + y)),
        "The gate multiplies x as well: it belongs to what is added.",
    ),
    "side by side": (
        _side_by_side,
        "The MLP is told the old x: it comes after attention, and sees what that has added.",
    ),
    "the first step lost": (
        _second_from_the_start,
        "The MLP's answer is added to the old x, and what attention has added is lost.",
    ),
    "second norm forgotten": (
        _second_norm_forgotten,
        "The MLP is told x without a norm.",
    ),
    "MLP first": (
        _mlp_first,
        "The MLP comes first: attention does.",
    ),
    "scale and shift exchanged": (
        lambda *a: _block(*a, order=(1, 0, 2, 4, 3, 5)),
        "Shift and scale have changed places: the order is shift, scale, gate.",
    ),
    "gate first": (
        lambda *a: _block(*a, order=(1, 2, 0, 4, 5, 3)),
        "The first of the six is taken for the gate: the order is shift, scale, gate.",
    ),
    "the same three twice": (
        lambda *a: _block(*a, order=(0, 1, 2, 0, 1, 2)),
        "The first three serve both: the last three are for the MLP.",
    ),
    "the wrong three": (
        lambda *a: _block(*a, order=(3, 4, 5, 0, 1, 2)),
        "The last three serve attention: the first three do.",
    ),
    "pairs in place of threes": (
        lambda *a: _block(*a, order=(0, 2, 4, 1, 3, 5)),
        "The order is shift, scale, gate for attention, then the same three for the MLP, not both shifts first.",
    ),
}


@LAB.exercise("9.3", "A block", stars=3, minutes=15)
def check_block(my_block: Callable) -> str:
    """my_block(x, six, attention, mlp) → the tokens after an adaLN-zero block."""

    def draw() -> tuple[Tensor, Tensor, Callable, Callable]:
        count, dim = 5, 8
        within = torch.randn(dim, dim) / dim**0.5
        x = 2 * torch.randn(3, count, dim) + torch.randn(3, count, 1)
        return x, torch.randn(3, 6, dim), _Mixing(count, dim), lambda y: (y @ within.to(y)).sin()

    compare(my_block, block, draw, BLOCK_MISTAKES)
    return "told by shift and scale, added by the gate; with six zeros it leaves the tokens as they are."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

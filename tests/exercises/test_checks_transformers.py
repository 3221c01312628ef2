"""The checks of transformers.ipynb: right solutions pass, each classic mistake is called by its name.

All functions here are written without those of going_further, as a learner would.
"""

# ruff: noqa: E501  (what learners typed stands on one line)

import math

import torch
import torch.nn.functional as F

from tests.exercises.every_lab import *  # noqa: F403
from tests.exercises.submitted import *  # noqa: F403

LAB = "going_further.transformers_checks"


def cut(order="n r s c i j", join=lambda x, p: x.flatten(3).flatten(1, 2)):
    """Patches with one place to go wrong for each argument; as it is, it is right."""

    def my_patchify(x, p):
        n, c, h, w = x.shape
        axes = dict(zip("ncrisj", (0, 1, 2, 3, 4, 5), strict=True))
        y = x.view(n, c, h // p, p, w // p, p).permute([axes[name] for name in order.split()])
        return join(y, p)

    return my_patchify


def tokens_of(y, p):
    """Whatever the order: as many tokens, of as many numbers, as there should be."""
    n, count = y.shape[0], y[0].numel()
    c = 3
    return y.reshape(n, count // (c * p * p), c * p * p)


def one_by_one(x, p):
    rows = []
    for top in range(0, x.shape[2], p):
        for left in range(0, x.shape[3], p):
            rows.append(x[:, :, top : top + p, left : left + p].reshape(len(x), -1))
    return torch.stack(rows, dim=1)


def attend(scale=lambda q: 1 / math.sqrt(q.size(-1)), weigh=lambda s: F.softmax(s, dim=-1), last=lambda y: y):
    """Attention with one place to go wrong for each argument; as it is, it is right."""

    def my_attention(q, k, v):
        scores = torch.einsum("nhqd,nhkd->nhqk", q, k) * scale(q)
        return last(torch.einsum("nhqk,nhkd->nhqd", weigh(scores), v))

    return my_attention


def by_powers(q, k, v):
    powers = (q.matmul(k.mT) / q.shape[-1] ** 0.5).exp()
    return powers.matmul(v) / powers.sum(-1, keepdim=True)


def normed(x):
    return (x - x.mean(2, keepdim=True)) / (x.var(2, keepdim=True, unbiased=False) + 1e-5).sqrt()


def make_block(six=(0, 1, 2, 3, 4, 5), told=lambda x, b, s: normed(x) * (1 + s) + b, add=lambda x, g, y: x + g * y):
    """A block with one place to go wrong for each argument; as it is, it is right."""

    def my_block(x, vectors, attention, mlp):
        b1, s1, g1, b2, s2, g2 = (vectors[:, i].unsqueeze(1) for i in six)
        h = add(x, g1, attention(told(x, b1, s1)))
        return add(h, g2, mlp(told(h, b2, s2)))

    return my_block


def in_a_loop(x, six, attention, mlp):
    for i, part in ((0, attention), (3, mlp)):
        shift, scale, gate = six[:, i : i + 1], six[:, i + 1 : i + 2], six[:, i + 2 : i + 3]
        y = F.layer_norm(x, (x.shape[-1],))
        x = torch.addcmul(x, gate, part(y + scale * y + shift))
    return x


def parallel(x, six, attention, mlp):
    b1, s1, g1, b2, s2, g2 = six.unsqueeze(2).unbind(1)
    return x + g1 * attention(normed(x) * (1 + s1) + b1) + g2 * mlp(normed(x) * (1 + s2) + b2)


def lost(x, six, attention, mlp):
    b1, s1, g1, b2, s2, g2 = six.unsqueeze(2).unbind(1)
    y = x + g1 * attention(normed(x) * (1 + s1) + b1)
    return x + g2 * mlp(normed(y) * (1 + s2) + b2)


def one_norm(x, six, attention, mlp):
    b1, s1, g1, b2, s2, g2 = six.unsqueeze(2).unbind(1)
    x = x + g1 * attention(normed(x) * (1 + s1) + b1)
    return x + g2 * mlp(x * (1 + s2) + b2)


RIGHT = {
    "patchify": [
        cut(),
        one_by_one,
        lambda x, p: F.unfold(x, p, stride=p).transpose(1, 2),
        lambda x, p: F.pixel_unshuffle(x, p).flatten(2).mT,
        lambda x, p: x.unfold(2, p, p).unfold(3, p, p).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2),
    ],
    "attention": [attend(), by_powers, lambda q, k, v: F.scaled_dot_product_attention(q, k, v)],
    "block": [make_block(), in_a_loop],
}

WRONG = {
    "patchify": {
        "no permute": lambda x, p: x.reshape(len(x), -1, x.shape[1] * p * p),
        "column by column": cut("n s r c i j"),
        "channels last": cut("n r s i j c"),
        "rows and columns of a patch exchanged": cut("n r s c j i"),
        "rows joined with columns": cut("n r i c s j", tokens_of),
        "pixels far apart": lambda x, p: torch.stack(
            [
                x[:, :, i :: x.shape[2] // p, j :: x.shape[3] // p].flatten(1)
                for i in range(x.shape[2] // p)
                for j in range(x.shape[3] // p)
            ],
            1,
        ),
        "tokens last": lambda x, p: F.unfold(x, p, stride=p),
        "each channel a token": cut(join=lambda y, p: y.flatten(4).flatten(1, 3)),
        "a grid of tokens": cut(join=lambda y, p: y.flatten(3)),
        "patches joined with pictures": cut(join=lambda y, p: y.flatten(3).flatten(0, 2)),
        "means of patches": lambda x, p: torch.stack(
            [part.mean((2, 3)) for row in x.split(p, 2) for part in row.split(p, 3)], 1
        ),
        "wrong values": lambda x, p: one_by_one(x.flip(1), p),
    },
    "attention": {
        "no root of d": attend(scale=lambda q: 1),
        "divided by d": attend(scale=lambda q: 1 / q.size(-1)),
        "multiplied by the root": attend(scale=lambda q: q.size(-1) ** 0.5),
        "root of the number of tokens": attend(scale=lambda q: q.size(-2) ** -0.5),
        "softmax over the queries": attend(weigh=lambda s: s.softmax(-2)),
        "softmax over the heads": attend(weigh=lambda s: s.softmax(1)),
        "softmax over the batch": attend(weigh=lambda s: s.softmax(0)),
        "no softmax": attend(weigh=lambda s: s),
        "powers that do not add up to 1": attend(weigh=lambda s: torch.exp(s)),
        "divided after the softmax": attend(scale=lambda q: 1, last=lambda y: y / 2),
        "softmax at the end": attend(weigh=lambda s: s, last=lambda y: y.softmax(-1)),
        "queries and keys exchanged": lambda q, k, v: attend()(k, q, v),
        "keys and values exchanged": lambda q, k, v: attend()(q, v, k),
        "the weights": lambda q, k, v: (q @ k.mT / 2).softmax(-1),
        "wrong values": attend(weigh=lambda s: s.sigmoid()),
    },
    "block": {
        "scale without the 1": make_block(told=lambda x, b, s: normed(x) * s + b),
        "no norm": make_block(told=lambda x, b, s: x * (1 + s) + b),
        "norm after the modulation": make_block(told=lambda x, b, s: normed(x * (1 + s) + b)),
        "norm over all tokens": make_block(
            told=lambda x, b, s: (
                (x - x.mean((1, 2), keepdim=True)) / x.std((1, 2), keepdim=True, unbiased=False) * (1 + s) + b
            )
        ),
        "no shift": make_block(told=lambda x, b, s: normed(x) * (1 + s)),
        "no scale": make_block(told=lambda x, b, s: normed(x) + b),
        "shift before scale": make_block(told=lambda x, b, s: (1 + s) * (normed(x) + b)),
        "no gates": make_block(add=lambda x, g, y: x + y),
        "gate of 1 + g": make_block(add=lambda x, g, y: x + y + g * y),
        "no shortcut": make_block(add=lambda x, g, y: g * y),
        "gate on everything": make_block(add=lambda x, g, y: g * x + g * y),
        "side by side": parallel,
        "the first step lost": lost,
        "second norm forgotten": one_norm,
        "MLP first": lambda x, six, attention, mlp: make_block()(x, six, mlp, attention),
        "scale and shift exchanged": make_block((1, 0, 2, 4, 3, 5)),
        "gate first": make_block((1, 2, 0, 4, 5, 3)),
        "the same three twice": make_block((0, 1, 2, 0, 1, 2)),
        "the wrong three": make_block((3, 4, 5, 0, 1, 2)),
        "pairs in place of threes": make_block((0, 2, 4, 1, 3, 5)),
        "wrong values": make_block(add=lambda x, g, y: x - g * y),
    },
}

# --------------------------------------------------------------------------- as learners write them

# exercise → (diagnosis, or "" where it is right; what was typed)
SUBMISSIONS = {
    "patchify": [
        ("", "n, c, h, w = x.shape\nx = x.reshape(n, c, h // patch, patch, w // patch, patch)\nx = x.permute(0, 2, 4, 1, 3, 5)\nreturn x.reshape(n, -1, c * patch * patch)"),
        ("", "return torch.cat([F.unfold(one[None], patch, stride=patch).mT for one in x])"),
        ("", "kernel = torch.eye(x.shape[1] * patch**2).reshape(-1, x.shape[1], patch, patch)\nreturn F.conv2d(x, kernel, stride=patch).flatten(2).transpose(1, 2)"),
        ("", "out = []\nfor picture in x:\n    rows = picture.split(patch, dim=1)\n    out.append(torch.stack([p.flatten() for row in rows for p in row.split(patch, dim=2)]))\nreturn torch.stack(out)"),
        ("", "b, c, h, w = x.shape\nx = x.view(b, c, h // patch, patch, w // patch, patch)\nx = torch.einsum('nchpwq->nhwcpq', x)\nreturn x.reshape(b, h * w // patch**2, -1)"),
        ("channels last", "n, c, h, w = x.shape\nx = x.permute(0, 2, 3, 1).reshape(n, h // patch, patch, w // patch, patch, c)\nreturn x.transpose(2, 3).reshape(n, -1, patch * patch * c)"),
        ("pixels far apart", "n, c, h, w = x.shape\nx = x.reshape(n, c, patch, h // patch, patch, w // patch)\nreturn x.permute(0, 3, 5, 1, 2, 4).flatten(3).flatten(1, 2)"),
        ("column by column", "n, c, h, w = x.shape\nx = x.reshape(n, c, h // patch, patch, w // patch, patch)\nx = x.permute(0, 4, 2, 1, 3, 5)\nreturn x.reshape(n, -1, c * patch * patch)"),
        ("no permute", "n, c, h, w = x.shape\nreturn x.view(n, (h // patch) * (w // patch), c * patch**2)"),
        ("tokens last", "return F.unfold(x, kernel_size=patch, stride=patch)"),
        ("a grid of tokens", "n, c, h, w = x.shape\nx = x.unfold(2, patch, patch).unfold(3, patch, patch)\nreturn x.permute(0, 2, 3, 1, 4, 5).flatten(3)"),
        ("RuntimeError", "n, c, h, w = x.shape\nx = x.view(n, c, h // patch, patch, w // patch, patch).permute(0, 2, 4, 1, 3, 5)\nreturn x.view(n, -1, c * patch * patch)"),
        ("rows and columns of a patch exchanged", "n, c, h, w = x.shape\nx = x.reshape(n, c, h // patch, patch, w // patch, patch)\nx = x.permute(0, 2, 4, 1, 5, 3)\nreturn x.flatten(3).flatten(1, 2)"),
        ("means of patches", "return F.adaptive_avg_pool2d(x, (x.shape[2] // patch, x.shape[3] // patch)).flatten(2).mT"),
    ],
    "attention": [
        ("", "d = q.shape[-1]\nweights = torch.softmax(q @ k.transpose(-2, -1) / d**0.5, dim=-1)\nreturn weights @ v"),
        ("", "return F.scaled_dot_product_attention(q, k, v)"),
        ("", "scores = torch.einsum('bhid,bhjd->bhij', q, k) / math.sqrt(q.shape[3])\nreturn torch.einsum('bhij,bhjd->bhid', scores.softmax(3), v)"),
        ("", "s = (q / q.shape[3] ** 0.5) @ k.mT\ns = (s - s.max(-1, keepdim=True).values).exp()\nreturn s / s.sum(-1, keepdim=True) @ v"),
        ("", "n, h, count, d = q.shape\nout = torch.zeros_like(v)\nfor i in range(count):\n    a = (q[:, :, i : i + 1] * k).sum(-1) / d**0.5\n    out[:, :, i] = (a.softmax(-1)[..., None] * v).sum(2)\nreturn out"),
        ("no root of d", "return (q @ k.transpose(2, 3)).softmax(-1) @ v"),
        ("divided by d", "return (q @ k.transpose(2, 3) / q.shape[3]).softmax(-1) @ v"),
        ("root of the number of tokens", "return (q @ k.transpose(2, 3) / q.shape[2] ** 0.5).softmax(-1) @ v"),
        ("softmax over the queries", "return (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(2) @ v"),
        ("softmax over the heads", "return torch.softmax(q @ k.mT / q.shape[3] ** 0.5, 1) @ v"),
        ("RuntimeError", "return (q @ k / q.shape[3] ** 0.5).softmax(-1) @ v"),
        ("the weights", "return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1)"),
        ("queries and keys exchanged", "return (k @ q.mT / q.shape[-1] ** 0.5).softmax(-1) @ v"),
        ("softmax over the queries", "a = (k @ q.mT / q.shape[-1] ** 0.5).softmax(-1)\nreturn a.mT @ v"),
        ("no softmax", "return (q @ k.mT / q.shape[-1] ** 0.5) @ v"),
    ],
    "block": [
        ("", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nx = x + g1 * attention(F.layer_norm(x, x.shape[-1:]) * (1 + s1) + b1)\nreturn x + g2 * mlp(F.layer_norm(x, x.shape[-1:]) * (1 + s2) + b2)"),
        ("", "norm = torch.nn.LayerNorm(x.shape[2], elementwise_affine=False)\nb1, s1, g1, b2, s2, g2 = [v[:, None] for v in six.unbind(dim=1)]\nh = attention(b1 + (1 + s1) * norm(x)) * g1 + x\nreturn mlp(b2 + (1 + s2) * norm(h)) * g2 + h"),
        ("", "def part(x, f, b, s, g):\n    return x + g[:, None] * f(torch.nn.functional.layer_norm(x, (x.size(-1),)) * (1 + s[:, None]) + b[:, None])\nx = part(x, attention, *six[:, :3].unbind(1))\nreturn part(x, mlp, *six[:, 3:].unbind(1))"),
        ("", "rows = []\nfor one, v in zip(x, six):\n    y = one + v[2] * attention((F.layer_norm(one, one.shape[-1:]) * (1 + v[1]) + v[0])[None])[0]\n    rows.append(y + v[5] * mlp(F.layer_norm(y, y.shape[-1:]) * (1 + v[4]) + v[3]))\nreturn torch.stack(rows)"),
        ("no gates", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nx = x + attention(F.layer_norm(x, x.shape[-1:]) * (1 + s1) + b1)\nreturn x + mlp(F.layer_norm(x, x.shape[-1:]) * (1 + s2) + b2)"),
        ("scale without the 1", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nx = x + g1 * attention(F.layer_norm(x, x.shape[-1:]) * s1 + b1)\nreturn x + g2 * mlp(F.layer_norm(x, x.shape[-1:]) * s2 + b2)"),
        ("side by side", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nn = F.layer_norm(x, x.shape[-1:])\nreturn x + g1 * attention(n * (1 + s1) + b1) + g2 * mlp(n * (1 + s2) + b2)"),
        ("no shortcut", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nx = g1 * attention(F.layer_norm(x, x.shape[-1:]) * (1 + s1) + b1)\nreturn g2 * mlp(F.layer_norm(x, x.shape[-1:]) * (1 + s2) + b2)"),
        ("scale and shift exchanged", "s1, b1, g1, s2, b2, g2 = six.chunk(6, dim=1)\nx = x + g1 * attention(F.layer_norm(x, x.shape[-1:]) * (1 + s1) + b1)\nreturn x + g2 * mlp(F.layer_norm(x, x.shape[-1:]) * (1 + s2) + b2)"),
        ("gate first", "g1, b1, s1, g2, b2, s2 = six.chunk(6, dim=1)\nx = x + g1 * attention(F.layer_norm(x, x.shape[-1:]) * (1 + s1) + b1)\nreturn x + g2 * mlp(F.layer_norm(x, x.shape[-1:]) * (1 + s2) + b2)"),
        ("RuntimeError", "b1, s1, g1, b2, s2, g2 = six.unbind(dim=1)\nx = x + g1 * attention(F.layer_norm(x, x.shape[-1:]) * (1 + s1) + b1)\nreturn x + g2 * mlp(F.layer_norm(x, x.shape[-1:]) * (1 + s2) + b2)"),
        ("changes its input", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nx += g1 * attention(F.layer_norm(x, x.shape[-1:]) * (1 + s1) + b1)\nreturn x + g2 * mlp(F.layer_norm(x, x.shape[-1:]) * (1 + s2) + b2)"),
        ("norm over all tokens", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nx = x + g1 * attention(F.layer_norm(x, x.shape[1:]) * (1 + s1) + b1)\nreturn x + g2 * mlp(F.layer_norm(x, x.shape[1:]) * (1 + s2) + b2)"),
        ("norm after the modulation", "b1, s1, g1, b2, s2, g2 = six.chunk(6, dim=1)\nx = x + g1 * attention(F.layer_norm(x * (1 + s1) + b1, x.shape[-1:]))\nreturn x + g2 * mlp(F.layer_norm(x * (1 + s2) + b2, x.shape[-1:]))"),
    ],
}  # fmt: skip

ARGUMENTS = {"patchify": "x, patch", "attention": "q, k, v", "block": "x, six, attention, mlp"}

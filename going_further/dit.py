"""A noise predictor without convolutions: a transformer whose tokens are the patches of a picture.

DiT (Peebles and Xie 2022, arXiv 2212.09748, section 3.2), with adaLN-zero blocks. From outside it is used just like
ContextUnet, ``model(x, t, c)``, so that every sampler of the module takes it.

    x (n, channels, h, w)  →  tokens (n, h/p · w/p, dim)  →  blocks of attention and MLP  →  the noise, like x

A block is told the noise level and the class by six vectors, made of their embedding: they shift and scale what goes
into attention and MLP, and say how much of what comes out is added. All six start at 0, so a block starts as x → x.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

import support.checks as check
from diffusion_utilities import default_device
from going_further.unet import MOST_BLOCKS, TimeEmbedding, check_inputs, zeroed
from support.files import read_checkpoint
from support.speed import evaluating, folded

SLOWEST = 10_000  # of the position embedding: its slowest wave is nearly so many times longer than its fastest


def patchify(x: Tensor, patch: int) -> Tensor:
    """Pictures (n, c, h, w) → their patches, row by row, each a vector: (n, h/p · w/p, c·p·p).

    (Peebles and Xie 2022, section 3.2, "Patchify".)

    Raises:
        ValueError: no pictures, or a height or width that is no multiple of ``patch``.
    """
    check.whole(patch, "patch", 1)
    if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[2] % patch or x.shape[3] % patch:
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"expected pictures (n, channels, h, w) with h and w multiples of {patch}, got {got}")
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // patch, patch, w // patch, patch)
    x = x.permute(0, 2, 4, 1, 3, 5)  # (n, rows, columns, c, p, p)
    return x.reshape(n, (h // patch) * (w // patch), c * patch * patch)


def unpatchify(tokens: Tensor, patch: int, rows: int) -> Tensor:
    """The way back: patches (n, rows · columns, c·p·p) → pictures (n, c, rows · p, columns · p).

    Raises:
        ValueError: tokens that are no such patches.
    """
    check.whole(patch, "patch", 1)
    check.whole(rows, "rows", 1)
    if not isinstance(tokens, Tensor) or tokens.ndim != 3 or tokens.shape[1] % rows or tokens.shape[2] % patch**2:
        got = tuple(tokens.shape) if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ValueError(f"expected tokens (n, {rows} · columns, c · {patch * patch}), got {got}")
    n, count, length = tokens.shape
    columns, c = count // rows, length // patch**2
    x = tokens.reshape(n, rows, columns, c, patch, patch)
    x = x.permute(0, 3, 1, 4, 2, 5)  # (n, c, rows, p, columns, p)
    return x.reshape(n, c, rows * patch, columns * patch)


def positions(rows: int, columns: int, dim: int, device: torch.device | str | None = None) -> Tensor:
    """Where each patch stands: (rows · columns, dim); half of each vector tells the row, half the column.

    Each half holds the sines and cosines of dim/4 waves, of 1 radian a patch down to nearly 1/10000 (Vaswani et al.
    2017, arXiv 1706.03762, section 3.5, for each of two directions). dim is a multiple of 4.
    """
    omega = SLOWEST ** (-torch.arange(dim // 4, device=device) / (dim // 4))

    def waves(count: int) -> Tensor:
        angles = torch.arange(count, device=device)[:, None] * omega  # (count, dim/4)
        return torch.cat((angles.sin(), angles.cos()), dim=1)  # (count, dim/2)

    row, column = waves(rows), waves(columns)
    return torch.cat((row.repeat_interleave(columns, dim=0), column.repeat(rows, 1)), dim=1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Tokens (n, count, dim) scaled by 1 + ``scale`` and shifted, both (n, 1, dim); zeros leave x as it is."""
    return x * (1 + scale) + shift


class Attention(nn.Module):
    """Every token looks at every other, in several heads: (n, count, dim) → the same shape.

    softmax(Q Kᵀ / √(dim/heads)) V in each head (Vaswani et al. 2017, section 3.2), where Q, K and V are linear maps of
    each token, and one more linear map brings the heads together.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        weights, v = self._weights_and_values(x)
        return self.out((weights @ v).transpose(1, 2).flatten(2))  # (n, heads, count, dim/heads) → (n, count, dim)

    def weights(self, x: Tensor) -> Tensor:
        """How much each token looks at each other one: (n, heads, count, count), each row adds up to 1."""
        return self._weights_and_values(x)[0]

    def _weights_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n, count, dim = x.shape
        qkv = self.qkv(x).reshape(n, count, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (n, heads, count, dim/heads)
        # F.scaled_dot_product_attention keeps no weights. With tokens as few as ours it saves nothing, and in 16 bits
        # on a CPU its way back takes many times as long.
        q = q / (dim // self.heads) ** 0.5
        return (q @ k.transpose(2, 3)).softmax(dim=3), v


class DiTBlock(nn.Module):
    """Attention, then an MLP for each token, both told the level and the class: (n, count, dim) → the same shape.

    (Peebles and Xie 2022, section 3.2, "adaLN-Zero block", and figure 3.)
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)  # scale and shift come from the modulation
        self.attention = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.modulation = zeroed(nn.Linear(dim, 6 * dim))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        six = self.modulation(F.silu(emb))[:, None]  # (n, 1, 6 dim)
        shift1, scale1, gate1, shift2, scale2, gate2 = six.chunk(6, dim=2)  # each (n, 1, dim)
        x = x + gate1 * self.attention(modulate(self.norm(x), shift1, scale1))
        return x + gate2 * self.mlp(modulate(self.norm(x), shift2, scale2))


class DiT(nn.Module):
    """The noise predictor ε_θ(x_t, t, c) as a transformer.

    Args:
        in_channels: channels of the pictures.
        out_channels: channels of the prediction; the same number for predicting noise.
        dim: length of a token; a multiple of 8 and of ``heads``.
        depth: number of blocks.
        heads: of each attention.
        patch: side of a patch in pixels. Half of it makes four times as many tokens.
        n_classes: length of the context vectors; None is a network without context.
        height: the size that the module's samplers draw with it. forward itself takes any size that fits.

    Raises:
        ValueError: sizes that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dim: int = 128,
        depth: int = 6,
        heads: int = 4,
        patch: int = 2,
        *,
        n_classes: int | None = None,
        height: int = 16,
    ) -> None:
        super().__init__()
        self._check_sizes(in_channels, out_channels, dim, depth, heads, patch, n_classes, height)
        # what the module's samplers ask a network for
        self.in_channels, self.n_cfeat, self.height = in_channels, n_classes or 0, height
        self.dim, self.patch = dim, patch

        self.embed = nn.Linear(in_channels * patch**2, dim)
        self.time_embedding = TimeEmbedding(dim // 4)  # of length dim
        # Without a bias, the zero vector adds nothing: it is "no context", as in ContextUnet.
        self.class_embedding = nn.Linear(n_classes, dim, bias=False) if n_classes else None
        self.blocks = nn.ModuleList(DiTBlock(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.modulation = zeroed(nn.Linear(dim, 2 * dim))
        self.out = zeroed(nn.Linear(dim, out_channels * patch**2))  # the first prediction is 0, the mean of the noise

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """Predict the noise in x.

        Args:
            x: noisy pictures (n, in_channels, h, w); h and w are multiples of the patch.
            t: noise level divided by T, in (0, 1]; one number for all, or (n,).
            c: context (n, n_classes), float; None is the zero vector, "no context".

        Returns:
            the predicted noise (n, out_channels, h, w).

        Raises:
            ValueError: x, t or c of another shape, or a context for a network without.
        """
        t = check_inputs(self, x, t, c, self.patch)
        emb = self.time_embedding(t)  # (n, dim), or (1, dim) where one t is for all
        if c is not None:
            emb = emb + self.class_embedding(c.to(x))
        rows, columns = x.shape[2] // self.patch, x.shape[3] // self.patch
        # (n, rows · columns, dim)
        tokens = self.embed(patchify(x, self.patch)) + positions(rows, columns, self.dim, x.device)
        for block in self.blocks:
            tokens = block(tokens, emb)
        shift, scale = self.modulation(F.silu(emb))[:, None].chunk(2, dim=2)  # each (n, 1, dim)
        patches = self.out(modulate(self.norm(tokens), shift, scale))  # (n, rows · columns, out_channels · p²)
        return unpatchify(patches, self.patch, rows)

    def for_sampling(self) -> nn.Module:
        """The same network for sampling only, faster (see support/speed.py)."""
        return folded(self)

    @staticmethod
    def _check_sizes(in_channels, out_channels, dim, depth, heads, patch, n_classes, height) -> None:
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "dim": dim, "heads": heads}
        sizes |= {"patch": patch, "height": height} | ({} if n_classes is None else {"n_classes": n_classes})
        for name, value in sizes.items():
            check.whole(value, name, 1)
        check.whole(depth, "depth", 1, MOST_BLOCKS)
        if dim % 8 or dim % heads:
            raise ValueError(f"expected a dim that is a multiple of 8 and of heads, got dim={dim} and heads={heads}")
        if height % patch:
            raise ValueError(f"expected a height that is a multiple of the patch, got {height} and {patch}")


def load_dit(path: str | Path, device: torch.device | str | None = None) -> DiT:
    """A trained transformer in evaluation mode, from a file that holds its sizes: {"dit": arguments, "weights": …}.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short, or holds something else.
    """
    state = read_checkpoint(Path(path))
    try:
        model = DiT(**state["dit"])
        model.load_state_dict(state["weights"])
    except (KeyError, TypeError, AttributeError, RuntimeError):  # PyTorch lists every weight
        raise ValueError(f"expected a transformer of make_transformers.py, got another file: {path}") from None
    return model.to(device or default_device()).eval()


# ------------------------------------------------------------------------------------- what it sees


@torch.no_grad()
def attention_maps(model: DiT, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
    """How much each token looks at each other one, in every block: (depth, n, heads, count, count).

    Args:
        x, t, c: as the network takes them.
    """
    maps = []

    def note(attention: Attention, inputs: tuple[Tensor]) -> None:
        maps.append(attention.weights(*inputs))

    hooks = [block.attention.register_forward_pre_hook(note) for block in model.blocks]
    try:
        with evaluating(model):
            model(x, t, c)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(maps)


def mean_distance(maps: Tensor, columns: int) -> Tensor:
    """How far tokens look, in patches: the mean of the distances, weighted by the attention.

    Args:
        maps: (…, count, count), rows that add up to 1.
        columns: patches side by side, of the count = rows · columns.

    Returns:
        the mean over all tokens, (…).

    Raises:
        ValueError: maps that are not square, or a count that is no multiple of ``columns``.
    """
    check.same_shape(maps=maps)
    check.whole(columns, "columns", 1)
    if maps.ndim < 2 or maps.shape[-1] != maps.shape[-2] or maps.shape[-1] % columns:
        raise ValueError(f"expected maps (…, rows · {columns}, rows · {columns}), got {tuple(maps.shape)}")
    place = torch.arange(maps.shape[-1], device=maps.device)
    places = torch.stack((place // columns, place % columns), dim=1).to(maps)  # (count, 2)
    return (maps * torch.cdist(places, places)).sum(dim=-1).mean(dim=-1)

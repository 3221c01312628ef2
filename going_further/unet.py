"""A stronger noise predictor than the labs' ContextUnet: a U-Net with residual blocks and self-attention, any size.

The network of DDPM (Ho et al. 2020, arXiv 2006.11239, appendix B) in its essentials. From outside it is used just like
ContextUnet, ``model(x, t, c)``, so that every sampler of the module takes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import support.checks as check
from support.speed import folded

# t/T in (0, 1] becomes a number up to 1000, the range that the frequencies below are made for
TIME_SCALE = 1000
MOST_BLOCKS = 100  # in a stage; more is a slip of the keyboard, or a damaged file


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The layer, starting at zero.

    As the last layer of a residual branch it makes the block start as its shortcut, so that a deep network starts as a
    shallow one, which is easy to train. As the last layer of all it makes the first prediction 0, the mean of the
    noise, and not a wild guess.
    """
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def check_inputs(net: nn.Module, x: Tensor, t: Tensor | float, c: Tensor | None, multiple: int) -> Tensor:
    """t as (n,) or (1,) in float32; a ValueError for what cannot be meant, as height or width no multiple."""
    check.same_shape(x=x)
    if x.ndim != 4 or x.shape[1] != net.in_channels or any(s % multiple or not s for s in x.shape[2:]):
        expected = f"(n, {net.in_channels}, h, w) with h and w multiples of {multiple}"
        raise ValueError(f"expected pictures of shape {expected}, got {tuple(x.shape)}")
    t = torch.as_tensor(t, dtype=torch.float32, device=x.device).reshape(-1)
    if len(t) not in (1, len(x)):
        raise ValueError(f"expected one t or one for each of the {len(x)} pictures, got {len(t)}")
    if c is not None and net.class_embedding is None:
        raise ValueError("expected no context, because this network was made without n_classes, got one")
    if c is not None and c.shape != (len(x), net.n_cfeat):
        raise ValueError(f"expected a context of shape ({len(x)}, {net.n_cfeat}), got {tuple(c.shape)}")
    return t


class TimeEmbedding(nn.Module):
    """Noise levels t/T (n,) → vectors (n, 4 dim): sines and cosines of many frequencies, then two linear layers.

    (Vaswani et al. 2017, arXiv 1706.03762, section 3.5.) Slow waves tell far levels apart, fast ones neighbours.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim))

    def waves(self, t: Tensor) -> Tensor:
        """(n,) → (n, dim): sin(ω_i t') and cos(ω_i t') with t' = 1000 t/T and ω_i from 1 down to nearly 1/10000."""
        half = self.dim // 2
        omega = torch.exp(-math.log(10000) / half * torch.arange(half, device=t.device))
        angles = TIME_SCALE * t[:, None] * omega  # (n, dim/2)
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(self.waves(t).to(self.mlp[0].weight.dtype))


class SelfAttention(nn.Module):
    """Every pixel looks at every other: (n, channels, h, w) → the same shape, added to the input. One head, as in DDPM.

    softmax(Q Kᵀ / √channels) V, where Q, K and V are three linear maps of each pixel.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, channels, h, w = x.shape
        qkv = self.qkv(self.norm(x)).permute(0, 2, 3, 1).reshape(n, 1, h * w, 3, channels)
        # each (n, 1 head, h·w, channels): a pixel is a token, and its numbers lie side by side, also in the gradient
        q, k, v = qkv.unbind(dim=3)
        y = F.scaled_dot_product_attention(q, k, v)  # (n, 1, h·w, channels)
        return x + self.out(y.reshape(n, h, w, channels).permute(0, 3, 1, 2))


class ResBlock(nn.Module):
    """Two 3×3 convolutions, the embedding added between them, then the input: (n, in, h, w) → (n, out, h, w).

    With ``attn``, self-attention follows. With ``checkpointing``, see :meth:`UNet.use_checkpointing`.
    """

    checkpointing = False

    def __init__(self, in_channels: int, out_channels: int, emb_dim: int, groups: int, attn: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.emb = nn.Linear(emb_dim, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels)
        self.conv2 = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        self.attention = SelfAttention(out_channels, groups) if attn else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(self._forward, x, emb, use_reentrant=False)
        return self._forward(x, emb)

    def _forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))  # (n, out, h, w)
        h = h + self.emb(F.silu(emb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return self.attention(self.shortcut(x) + h)


class DownStage(nn.Module):
    """Residual blocks, then half the size unless ``last``; also gives the output of each block, for the way up."""

    def __init__(self, in_channels: int, out_channels: int, n_blocks: int, last: bool, **block) -> None:
        super().__init__()
        widths = [in_channels] + (n_blocks - 1) * [out_channels]
        self.blocks = nn.ModuleList(ResBlock(width, out_channels, **block) for width in widths)
        self.resize = nn.Identity() if last else nn.Conv2d(out_channels, out_channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for block in self.blocks:
            x = block(x, emb)  # (n, out, h, w)
            skips.append(x)
        return self.resize(x), skips  # (n, out, h/2, w/2)


class UpStage(nn.Module):
    """The mirror image of a :class:`DownStage`: each block also takes the skip connection of its partner."""

    def __init__(self, in_channels: int, out_channels: int, n_blocks: int, last: bool, **block) -> None:
        super().__init__()
        widths = [in_channels] + (n_blocks - 1) * [out_channels]
        self.blocks = nn.ModuleList(ResBlock(width + out_channels, out_channels, **block) for width in widths)
        double = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.resize = nn.Identity() if last else double

    def forward(self, x: Tensor, skips: list[Tensor], emb: Tensor) -> Tensor:
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = block(torch.cat((x, skip), dim=1), emb)  # (n, out, h, w)
        return self.resize(x)  # (n, out, 2h, 2w)


class UNet(nn.Module):
    """The noise predictor ε_θ(x_t, t, c) with attention.

    Args:
        in_channels: channels of the pictures.
        out_channels: channels of the prediction; the same number for predicting noise.
        dim: width of the first stage; even, and a multiple of ``groups``.
        dim_mults: width of each stage as a multiple of ``dim``. Between stages the size is halved.
        attns: for each stage, whether its blocks have self-attention. The middle always has it.
        n_blocks: residual blocks of each stage, one number for all or one for each.
        groups: groups of the group norms.
        n_classes: length of the context vectors; None is a network without context.
        height: the size that the module's samplers draw with it. forward itself takes any size that fits.

    Raises:
        ValueError: sizes that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dim: int = 64,
        dim_mults: Sequence[int] = (1, 2, 4),
        attns: Sequence[bool] = (False, False, True),
        n_blocks: int | Sequence[int] = 2,
        groups: int = 8,
        *,
        n_classes: int | None = None,
        height: int = 16,
    ) -> None:
        super().__init__()
        n_blocks = [n_blocks] * len(dim_mults) if isinstance(n_blocks, int) else list(n_blocks)
        self._check_sizes(in_channels, out_channels, dim, dim_mults, attns, n_blocks, groups, n_classes, height)
        # what the module's samplers ask a network for
        self.in_channels, self.n_cfeat, self.height = in_channels, n_classes or 0, height
        self.multiple = 2 ** (len(dim_mults) - 1)

        emb_dim = 4 * dim
        self.time_embedding = TimeEmbedding(dim)
        # Without a bias, the zero vector adds nothing: it is "no context", as in ContextUnet.
        self.class_embedding = nn.Linear(n_classes, emb_dim, bias=False) if n_classes else None

        widths = [dim * mult for mult in dim_mults]
        deepest = len(widths) - 1
        self.init_conv = nn.Conv2d(in_channels, dim, 3, padding=1)
        self.downs = nn.ModuleList()
        for i, before in enumerate([dim, *widths[:-1]]):
            block = {"emb_dim": emb_dim, "groups": groups, "attn": attns[i]}
            self.downs.append(DownStage(before, widths[i], n_blocks[i], last=i == deepest, **block))
        self.mid1 = ResBlock(widths[-1], widths[-1], emb_dim, groups, attn=True)
        self.mid2 = ResBlock(widths[-1], widths[-1], emb_dim, groups)
        self.ups = nn.ModuleList()
        for i, before in reversed(list(enumerate([*widths[1:], widths[-1]]))):
            block = {"emb_dim": emb_dim, "groups": groups, "attn": attns[i]}
            self.ups.append(UpStage(before, widths[i], n_blocks[i], last=i == 0, **block))
        self.out = nn.Sequential(
            nn.GroupNorm(groups, widths[0]),
            nn.SiLU(),
            zeroed(nn.Conv2d(widths[0], out_channels, 3, padding=1)),
        )

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """Predict the noise in x.

        Args:
            x: noisy pictures (n, in_channels, h, w); h and w are multiples of 2^(number of stages - 1).
            t: noise level divided by T, in (0, 1]; one number for all, or (n,). The embedding takes 1000 times that.
            c: context (n, n_classes), float; None is the zero vector, "no context".

        Returns:
            the predicted noise (n, out_channels, h, w).

        Raises:
            ValueError: x, t or c of another shape, or a context for a network without.
        """
        t = self._check_inputs(x, t, c)
        emb = self.time_embedding(t)  # (n, 4 dim), or (1, 4 dim) where one t is for all
        if c is not None:
            emb = emb + self.class_embedding(c.to(x))
        x = self.init_conv(x)  # (n, dim, h, w)
        skips = []
        for down in self.downs:
            x, own = down(x, emb)
            skips.append(own)
        x = self.mid2(self.mid1(x, emb), emb)  # (n, the last width, h / multiple, w / multiple)
        for up in self.ups:
            x = up(x, skips.pop(), emb)
        return self.out(x)  # (n, out_channels, h, w)

    def use_checkpointing(self) -> None:
        """From now on, training keeps only what goes into each block, and computes the rest again on the way back.

        (Chen et al. 2016, arXiv 1604.06174.) Less memory, more time, and the same gradients to the last bit.
        """
        for module in self.modules():
            if isinstance(module, ResBlock):
                module.checkpointing = True

    @property
    def h(self) -> int:
        """The old name of ``height``."""
        return self.height

    def for_sampling(self) -> nn.Module:
        """The same network for sampling only, faster (see support/speed.py)."""
        return folded(self)

    def _check_inputs(self, x: Tensor, t: Tensor | float, c: Tensor | None) -> Tensor:
        return check_inputs(self, x, t, c, self.multiple)

    @staticmethod
    def _check_sizes(in_channels, out_channels, dim, dim_mults, attns, n_blocks, groups, n_classes, height) -> None:
        if not len(dim_mults) == len(attns) == len(n_blocks) > 0:
            raise ValueError(
                "expected dim_mults, attns and n_blocks of the same length, at least 1, "
                f"got {len(dim_mults)}, {len(attns)} and {len(n_blocks)}"
            )
        if min(in_channels, out_channels, dim, groups, 1 if n_classes is None else n_classes) < 1:
            raise ValueError(
                "expected channels, dim, groups and n_classes of at least 1, got "
                f"in_channels={in_channels}, out_channels={out_channels}, dim={dim}, groups={groups}, "
                f"n_classes={n_classes}"
            )
        if min(*dim_mults, *n_blocks) < 1 or max(n_blocks) > MOST_BLOCKS:
            raise ValueError(
                f"expected dim_mults of at least 1 and n_blocks from 1 to {MOST_BLOCKS}, "
                f"got {tuple(dim_mults)} and {tuple(n_blocks)}"
            )
        if dim % groups or dim % 2:
            raise ValueError(f"expected an even dim that is a multiple of groups, got dim={dim} and groups={groups}")
        multiple = 2 ** (len(dim_mults) - 1)
        if height < 1 or height % multiple:
            raise ValueError(f"expected a height that is a multiple of {multiple}, got {height}")

"""What a sheet goes on with while an exercise is open: the module's functions, called as the exercises call theirs."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

import diffusion_utilities as du


def linear_schedule(timesteps: int, beta1: float, beta2: float) -> tuple[Tensor, Tensor, Tensor]:
    """b_t, a_t and ab_t, each (T+1,)."""
    schedule = du.linear_schedule(timesteps, beta1, beta2)
    return schedule.b_t, schedule.a_t, schedule.ab_t


def residual_block(x: Tensor, conv1: Callable, conv2: Callable, shortcut: Callable) -> Tensor:
    """What the module's ResidualConvBlock does with its layers."""
    return (shortcut(x) + conv2(conv1(x))) / math.sqrt(2)


def time_embedding(width: int) -> nn.Sequential:
    """The layers of the module's EmbedFC, for one number."""
    return du.EmbedFC(1, width).model


def unet(net: du.ContextUnet, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
    """The forward pass of the module's ContextUnet through the stages of ``net``."""
    return du.ContextUnet.forward(net, x, t, c)


def sample_ddpm(model: Callable, x: Tensor) -> Tensor:
    """x_T → x_0, in all T steps."""
    samples, _ = du.sample_ddpm(len(x), None, model=model, x=x, progress=False)
    return samples

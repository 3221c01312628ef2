"""Other recipes and another network, to measure ours against, all else being the same.

The public course is DeepLearning.AI's "How Diffusion Models Work". Its recipe differs from ours in
two mistakes that matter; each can be made here alone, or both together:

- training noise is scaled by 1 - ᾱ where √(1-ᾱ) belongs (:func:`perturb_without_root`);
- where the channel counts of a residual block differ, its input passes through a projection that is
  drawn at random anew in every forward pass (:class:`RandomShortcut`), so that the network has a
  layer it can never learn.

Written from that description, for measuring only.
"""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from diffusion_utilities import ContextUnet, NoiseSchedule


def perturb_without_root(x: Tensor, t: Tensor, noise: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The missing square root: √ᾱ_t x_0 + (1-ᾱ_t) ε.

    At t = 100 the noise is 0.19 strong where it should be 0.43.
    """
    ab_t = schedule.ab_t[t][:, None, None, None]
    return ab_t.sqrt() * x + (1 - ab_t) * noise


class RandomShortcut(nn.Module):
    """A 1×1 convolution with new random weights at every call.

    (n, in_channels, h, w) → (n, out_channels, h, w)
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels

    def forward(self, x: Tensor) -> Tensor:
        return nn.Conv2d(self.in_channels, self.out_channels, 1).to(x.device)(x)


def random_shortcut_unet() -> ContextUnet:
    """Our network with the random projection in the place of the learned one."""
    model = ContextUnet(3, 64, 5, 16)
    model.init_conv.shortcut = RandomShortcut(3, 64)
    return model


class DiffusersUnet(nn.Module):
    """Hugging Face diffusers' UNet2DModel, called like our network.

    It has 1.57 million parameters, ours 1.48.
    """

    in_channels, n_cfeat, height = 3, 5, 16

    def __init__(self, timesteps: int = 500) -> None:
        super().__init__()
        from diffusers import UNet2DModel  # only needed here

        self.timesteps = timesteps
        self.unet = UNet2DModel(
            sample_size=16,
            layers_per_block=1,
            block_out_channels=(64, 64, 64),
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=16,
            norm_num_groups=16,
        )

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """t is level / T, as in ContextUnet; c is not used.

        diffusers counts levels from 0, so our level t is its t - 1.
        """
        level = (torch.as_tensor(t, device=x.device) * self.timesteps).round().long() - 1
        return self.unet(x, level.reshape(-1).expand(len(x))).sample

"""Keep the guessed picture in [-1, 1] while sampling, as DDPM's own program does.

At level t the guess is x̂_0 = (x_t - √(1-ᾱ_t) ε_θ) / √ᾱ_t, which multiplies the network's error by √(1-ᾱ_t) / √ᾱ_t. The
linear schedule of 500 levels ends at a factor of 12, and its samplers need no help. The cosine and sigmoid schedules
end where next to nothing of the picture is left: at factors of tens of thousands, the first step throws a sampler out
of the range of pictures, and a short walk does not come back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn as nn
from torch import Tensor

from diffusion_utilities import NoiseSchedule, predict_x0


class Clipped(nn.Module):
    """A noise predictor for the module's samplers whose guess of the clean picture always lies in [-1, 1].

    It answers with the noise that belongs to the clipped guess, ε = (x_t - √ᾱ_t clip(x̂_0)) / √(1-ᾱ_t).

    Args:
        net: ``net(x, t, c)`` that predicts noise, t being level / T.
        schedule: the one that it was trained with, and that the sampler is given as well.
    """

    def __init__(self, net: Callable, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.net, self.schedule = net, schedule
        # what the samplers ask a network for
        self.in_channels, self.h = getattr(net, "in_channels", 3), getattr(net, "h", 16)
        if hasattr(net, "n_cfeat"):
            self.n_cfeat = net.n_cfeat

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """As the network's own; t is one level / T for all pictures (n, channels, h, w)."""
        level = round(float(t) * self.schedule.timesteps)
        x0_pred = predict_x0(x, level, self.net(x, t, c).to(x), self.schedule).clamp(-1, 1)
        ab_t = self.schedule.ab_t[level].to(x)
        return (x - ab_t.sqrt() * x0_pred) / (1 - ab_t).sqrt()

"""Guidance by a classifier: whatever can tell what is in a noisy picture can say where to go.

By Bayes' rule p(x_t | c) ∝ p(x_t) p(c | x_t), so the scores add up:

    ∇ log p(x_t | c) = ∇ log p(x_t) + ∇ log p(c | x_t),     and  ∇ log p(x_t) = -ε / √(1-ᾱ_t)

A network that knows no classes, and a classifier of noisy pictures beside it, draw a class together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import support.checks as check
from diffusion_utilities import (
    EmbedFC,
    ModelWrapper,
    NoiseSchedule,
    ResidualConvBlock,
    UnetDown,
    ab_at,
    linear_schedule,
    to_level,
)
from support.files import read_state
from support.speed import default_device


class NoisyClassifier(nn.Module):
    """The class of a noisy picture, at any level: the way down of the course's U-Net, and a linear layer.

    Args:
        n_classes: how many there are.
        n_feat: width, as of the U-Net.
        in_channels, height: of the pictures.
    """

    def __init__(self, n_classes: int = 5, n_feat: int = 32, in_channels: int = 3, height: int = 16) -> None:
        super().__init__()
        self.n_classes, self.in_channels, self.height = n_classes, in_channels, height
        self.init_conv = ResidualConvBlock(in_channels, n_feat, is_res=True)
        self.timeembed = EmbedFC(1, n_feat)
        self.down1 = UnetDown(n_feat, n_feat)
        self.down2 = UnetDown(n_feat, 2 * n_feat)
        self.last = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(2 * n_feat * (height // 4) ** 2, n_classes))

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """Noisy pictures (n, 3, h, w) at level t / T, one for all or (n,) → scores (n, n_classes)."""
        t = torch.as_tensor(t, device=x.device).to(x).reshape(-1, 1)
        x = self.init_conv(x) + self.timeembed(t)[:, :, None, None]  # (n, n_feat, h, w)
        return self.last(self.down2(self.down1(x)))  # (n, 2 n_feat, h/4, w/4) → (n, n_classes)


def load_noisy_classifier(path: str | Path, device: torch.device | str | None = None) -> NoisyClassifier:
    """A trained classifier in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: as :func:`support.files.read_state`.
    """
    classifier = NoisyClassifier()
    classifier.load_state_dict(read_state(path))
    return classifier.to(device or default_device()).eval()


class ClassifierGuided(ModelWrapper):
    """ε - w √(1-ᾱ_t) ∇ log p(c | x_t), by a classifier of noisy pictures (Dhariwal and Nichol 2021, arXiv 2105.05233,
    algorithm 2).

    Args:
        model: is asked without a context, unless ``both``.
        classifier: ``classifier(x, t)`` → scores (n, classes).
        guidance: w; 0 is the model alone, 1 is Bayes' rule, above 1 exaggerates.
        both: ask the model with the context as well. Around :class:`Guided` that is both kinds of guidance.
        schedule: the one that the network was trained with, and that the sampler is given as well.
    """

    def __init__(
        self,
        model: Callable,
        classifier: Callable,
        guidance: float,
        both: bool = False,
        schedule: NoiseSchedule | None = None,
    ) -> None:
        super().__init__(model)
        self.classifier, self.guidance = classifier, check.finite(guidance, "guidance")
        self.both, self.schedule = both, schedule or linear_schedule()

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        pred_noise = self.model(x, t, c if self.both else None)
        if c is None or self.guidance == 0:
            return pred_noise
        ab_t = ab_at(self.schedule, to_level(t, self.schedule), x)
        return pred_noise - self.guidance * (1 - ab_t).sqrt() * log_probability_gradient(self.classifier, x, t, c)


def log_probability_gradient(classifier: Callable, x: Tensor, t: Tensor | float, c: Tensor) -> Tensor:
    """∇ log p(c | x_t) with respect to x_t, shaped like x.

    Args:
        c: (n, classes); of a mixture, each class counts as much as its number says.
    """
    with torch.enable_grad():  # samplers switch gradients off
        x = x.detach().requires_grad_()
        log_p = classifier(x, t).log_softmax(dim=1)  # (n, classes)
        # a picture's scores depend on itself alone, so one backward pass serves all
        return torch.autograd.grad((c.to(log_p) * log_p).sum(), x)[0]

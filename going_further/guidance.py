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
    ModelWrapper,
    NoiseSchedule,
    ab_at,
    linear_schedule,
    to_level,
)
from support.files import read_state
from support.speed import default_device


class NoisyClassifier(nn.Module):
    """The class of a noisy picture, at any level: three linear layers, the first of which sees all pixels at once.

    Under much noise a pixel says next to nothing, and its neighbours as little. What tells the classes apart is a sum
    over the whole picture, and that is what a linear layer makes.

    Args:
        n_classes: how many there are.
        width: of the first layer; the second has a quarter of it.
        in_channels, height: of the pictures.
    """

    def __init__(self, n_classes: int = 5, width: int = 1024, in_channels: int = 3, height: int = 16) -> None:
        super().__init__()
        self.n_classes, self.in_channels, self.height = n_classes, in_channels, height
        self.from_pixels = nn.Linear(in_channels * height**2, width)
        self.from_level = nn.Sequential(nn.Linear(1, 64), nn.GELU(), nn.Linear(64, width))
        self.rest = nn.Sequential(
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(width, width // 4),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(width // 4, n_classes),
        )

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """Noisy pictures (n, 3, h, w) at level t / T, one for all or (n,) → scores (n, n_classes)."""
        t = torch.as_tensor(t, device=x.device).to(x).reshape(-1, 1)
        return self.rest(self.from_pixels(x.flatten(1)) + self.from_level(t))  # (n, width) → (n, n_classes)


def load_noisy_classifier(path: str | Path, device: torch.device | str | None = None) -> NoisyClassifier:
    """A trained classifier in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: as :func:`support.files.read_state`.
    """
    classifier = NoisyClassifier()
    classifier.load_state_dict(read_state(path))
    return classifier.to(device or default_device()).eval()


class ExactClassifier(nn.Module):
    """The best classifier there can be, if the pictures given were all there are: Bayes' rule in closed form.

    Given a clean picture x_0, x_t is Gaussian around √ᾱ_t x_0 with variance 1 - ᾱ_t. So p(x_t | c) is the mean of these
    Gaussians over the pictures of the class. Nothing is learned, and each question goes through all pictures.

    Args:
        pictures: (k, 3, h, w).
        labels: one-hot (k, classes); each class has at least one picture.
        schedule: the one that the pictures asked about are noised by.

    Raises:
        ValueError: a class without a picture.
    """

    def __init__(self, pictures: Tensor, labels: Tensor, schedule: NoiseSchedule | None = None) -> None:
        super().__init__()
        self.in_channels, self.height, self.n_classes = *pictures.shape[1:3], labels.shape[1]
        self.schedule = schedule or linear_schedule()
        if (empty := labels.sum(dim=0) == 0).any():
            raise ValueError(f"expected a picture of each class, got none of class {empty.nonzero()[0].item()}")
        self.pictures, self.shares = pictures.flatten(1), (labels / labels.sum(dim=0)).log()  # log 0 = -∞: not of it

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """Noisy pictures (n, 3, h, w) at level t / T, above 0 → log p(x_t | c) up to a constant, (n, classes)."""
        x = x.flatten(1).to(self.pictures)
        ab_t = ab_at(self.schedule, to_level(t, self.schedule), x)
        with torch.autocast(x.device.type, enabled=False):  # differences of large numbers
            # |x - √ᾱ x_0|², but for |x|², which is the same for all
            distances = ab_t * self.pictures.square().sum(dim=1) - 2 * ab_t.sqrt() * (x @ self.pictures.T)  # (n, k)
            log_p = -distances / (2 * (1 - ab_t))
        return (log_p[:, :, None] + self.shares).logsumexp(dim=1)  # (n, k, classes) → (n, classes)


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

"""Networks that answer with something else than the noise, as models that answer with the noise.

A network may guess the clean picture x̂_0, or v = √ᾱ ε - √(1-ᾱ) x_0 (Salimans and Ho 2022, arXiv 2202.00512). Each
implies a noise, so that every sampler, and every wrapper of the module, takes it.

Both answer in float64. Where nearly nothing of the picture is left, x̂_0 stands in the last digits of the noise. So even
a schedule that ends at ᾱ_T = 0 works, where the noise alone, being x_T itself, says nothing about the picture: the
module counts ᾱ_T = 0 as 1e-12.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from diffusion_utilities import (
    ModelWrapper,
    NoiseSchedule,
    ab_at,
    linear_schedule,
    noise_from_x0,
    to_level,
)
from support.checks import same_shape


def noise_from_v(x: Tensor, t: int | Tensor, v: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """The noise that v implies: ε = √ᾱ_t v + √(1-ᾱ_t) x_t (Salimans and Ho 2022, appendix D).

    Args:
        x: x_t (n, 3, h, w).
        t: the level that x is at, 0 … T, one for all or an integer tensor (n,).
        v: same shape as x.

    Raises:
        ValueError: a level t that is not in 0 … T, or tensors of different shapes.
    """
    same_shape(x=x, v=v)
    ab_t = ab_at(schedule or linear_schedule(), t, x)
    return ab_t.sqrt() * v + (1 - ab_t).sqrt() * x


class PredictsX0(ModelWrapper):
    """A network that answers with x̂_0, as a model that answers with the noise.

    Args:
        model: ``model(x, t, c)`` → x̂_0, shaped like x.
        schedule: the one that it was trained with; None is the course's.
    """

    predicts = "x0"

    def __init__(self, model: Callable, schedule: NoiseSchedule | None = None) -> None:
        super().__init__(model)
        self.schedule = schedule or linear_schedule()

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        x0_pred = self.model(x, t, c).double()
        return noise_from_x0(x.double(), to_level(t, self.schedule), x0_pred, self.schedule)


class PredictsV(PredictsX0):
    """The same for a network that answers with v."""

    predicts = "v"

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        v = self.model(x, t, c).double()
        return noise_from_v(x.double(), to_level(t, self.schedule), v, self.schedule)

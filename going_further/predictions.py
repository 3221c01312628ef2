"""What a network may answer with: the noise, the clean picture, v, the velocity of a flow, or what EDM asks for.

Each answer implies a noise, so that every sampler, and every wrapper of the module, takes such a network as a model.
Each is learned from the same noisy pictures; what differs is the target, and how much each level counts.

    answer      target                       its error, as a multiple of that of x̂_0, squared
    noise       ε                            SNR
    x0          x_0                          1
    v           √ᾱ ε - √(1-ᾱ) x_0            SNR + 1             (Salimans and Ho 2022, arXiv 2202.00512)
    flow        u = ε - x_0                  (√SNR + 1)²         (Lipman et al. 2022, arXiv 2210.02747; Liu et al. 2022,
                                                                  arXiv 2209.03003)

with SNR = ᾱ / (1-ᾱ). All four share one wrong x̂_0, so for each level a weight of one is a weight of any other.

All but the first answer in float64. Where nearly nothing of the picture is left, x̂_0 stands in the last digits of the
noise. So even a schedule that ends at ᾱ_T = 0 works, where the noise alone, being x_T itself, says nothing about the
picture: the module counts ᾱ_T = 0 as 1e-12.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import support.checks as check
from diffusion_utilities import (
    LEAST_AB,
    ModelWrapper,
    NoiseSchedule,
    ab_at,
    linear_schedule,
    noise_from_x0,
    to_level,
)
from going_further import options

SIGMA_DATA = 0.5  # EDM's
MOST_SNR = 5.0  # of the weight min-snr (Hang et al. 2023, arXiv 2303.09556)


def noise_from_v(x: Tensor, t: int | Tensor, v: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """The noise that v implies: ε = √ᾱ_t v + √(1-ᾱ_t) x_t (Salimans and Ho 2022, appendix D).

    Args:
        x: x_t (n, 3, h, w).
        t: the level that x is at, 0 … T, one for all or an integer tensor (n,).
        v: same shape as x.

    Raises:
        ValueError: a level t that is not in 0 … T, or tensors of different shapes.
    """
    check.same_shape(x=x, v=v)
    ab_t = ab_at(schedule or linear_schedule(), t, x)
    return ab_t.sqrt() * v + (1 - ab_t).sqrt() * x


def time_of_flow(ab_t: Tensor) -> Tensor:
    """The time τ at which the straight way x_τ = (1-τ) x_0 + τ ε is as noisy as x_t: τ = √(1-ᾱ) / (√ᾱ + √(1-ᾱ))."""
    return (1 - ab_t).sqrt() / (ab_t.sqrt() + (1 - ab_t).sqrt())


class PredictsNoise(ModelWrapper):
    """A network that answers with the noise, as in the labs. The others say how they differ.

    Args:
        model: ``model(x, t, c)`` → its answer, shaped like x.
        schedule: the one that it was trained with; None is the course's.
    """

    def __init__(self, model: Callable, schedule: NoiseSchedule | None = None) -> None:
        super().__init__(model)
        self.schedule = schedule or linear_schedule()

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """The noise in x_t at level t / T."""
        return self.answer(x, t, c)

    def answer(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """What the network itself says."""
        return self.model(x, t, c)

    def target(self, x0: Tensor, noise: Tensor, t: int | Tensor) -> Tensor:
        """What it should say about x_t, made of x_0 and ε, at the level t = 1 … T."""
        return noise

    def error(self, snr: Tensor) -> Tensor:
        """Its squared error, as a multiple of that of x̂_0."""
        return snr


class PredictsX0(PredictsNoise):
    """A network that answers with x̂_0, as a model that answers with the noise."""

    predicts = "x0"

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        x0_pred = self.answer(x, t, c).double()
        return noise_from_x0(x.double(), to_level(t, self.schedule), x0_pred, self.schedule)

    def target(self, x0: Tensor, noise: Tensor, t: int | Tensor) -> Tensor:
        return x0

    def error(self, snr: Tensor) -> Tensor:
        return torch.ones_like(snr)


class PredictsV(PredictsNoise):
    """The same for a network that answers with v."""

    predicts = "v"

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        v = self.answer(x, t, c).double()
        return noise_from_v(x.double(), to_level(t, self.schedule), v, self.schedule)

    def target(self, x0: Tensor, noise: Tensor, t: int | Tensor) -> Tensor:
        ab_t = ab_at(self.schedule, t, x0)
        return ab_t.sqrt() * noise - (1 - ab_t).sqrt() * x0

    def error(self, snr: Tensor) -> Tensor:
        return snr + 1


class PredictsFlow(PredictsNoise):
    """The same for a network that answers with the velocity u = ε - x_0 on the straight way x_τ = (1-τ) x_0 + τ ε.

    It is asked about x_τ, which is x_t in another size, and told the time τ in (0, 1] in the place of t / T. An Euler
    step of its flow from τ to τ' is a step of DDIM with η = 0 between the levels that are as noisy. With the schedule
    ``straight``, τ = t / T.
    """

    predicts = "flow"

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        x_flow, time = self._straight(x.double(), t)
        return x_flow + (1 - time) * self.answer(x, t, c).double()

    def answer(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        x_flow, time = self._straight(x.double(), t)
        time = time.flatten().to(x) if time.ndim else time.to(x)  # (n, 1, 1, 1) → (n,)
        return self.model(x_flow.to(x), time, c)

    def target(self, x0: Tensor, noise: Tensor, t: int | Tensor) -> Tensor:
        return noise - x0

    def error(self, snr: Tensor) -> Tensor:
        return (snr.sqrt() + 1) ** 2

    def _straight(self, x: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """x_τ = x_t / (√ᾱ + √(1-ᾱ)) and τ, one number or (n, 1, 1, 1)."""
        ab_t = ab_at(self.schedule, to_level(t, self.schedule), x)
        return x / (ab_t.sqrt() + (1 - ab_t).sqrt()), time_of_flow(ab_t)


class PredictsEDM(PredictsNoise):
    """The same for a network F that is shown, and answers with, numbers of variance 1 at every level.

    With y = x_t / √ᾱ = x_0 + σ ε and σ² = (1-ᾱ) / ᾱ, the picture is x̂_0 = c_skip y + c_out F(c_in y), where

        c_skip = σ_d² / (σ² + σ_d²),   c_out = σ σ_d / √(σ² + σ_d²),   c_in = 1 / √(σ² + σ_d²)

    (Karras et al. 2022, arXiv 2206.00364, equation 7 and table 1.) The three follow from two wishes: what goes in and
    what is asked for have variance 1 where x_0 has variance σ_d², and the error of F is multiplied by as little as can
    be. For σ_d = 1, F is -v. The network is told t / T as always, where EDM has ln σ / 4: both name the level.

    Args:
        sigma_data: σ_d, about the root mean square of the pictures; EDM's is 0.5.
    """

    predicts = "x0"

    def __init__(self, model: Callable, schedule: NoiseSchedule | None = None, sigma_data: float = SIGMA_DATA) -> None:
        super().__init__(model, schedule)
        self.sigma_data = check.number(sigma_data, "sigma_data", 1e-3)

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        level, answer, x = to_level(t, self.schedule), self.answer(x, t, c).double(), x.double()
        ab_t = ab_at(self.schedule, level, x)
        variance = self._variance(ab_t)
        skip = self.sigma_data**2 * ab_t.sqrt() / variance * x  # c_skip y, without a division by ᾱ, which may be 0
        out = self.sigma_data * ((1 - ab_t) / variance).sqrt()  # c_out
        return noise_from_x0(x, level, skip + out * answer, self.schedule)

    def answer(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        ab_t = ab_at(self.schedule, to_level(t, self.schedule), x)
        return self.model(x / self._variance(ab_t).sqrt(), t, c)  # c_in y

    def target(self, x0: Tensor, noise: Tensor, t: int | Tensor) -> Tensor:
        ab_t = ab_at(self.schedule, t, x0)
        mixed = (1 - ab_t).sqrt() / self.sigma_data * x0 - ab_t.sqrt() * self.sigma_data * noise
        return mixed / self._variance(ab_t).sqrt()

    def error(self, snr: Tensor) -> Tensor:
        return snr + 1 / self.sigma_data**2

    def _variance(self, ab_t: Tensor) -> Tensor:
        """Of x_t, where x_0 has variance σ_d²."""
        return ab_t * self.sigma_data**2 + 1 - ab_t


KINDS = (PredictsNoise, PredictsX0, PredictsV, PredictsFlow, PredictsEDM)
OBJECTIVES = dict(zip(options.OBJECTIVES, KINDS, strict=True))


def answer_errors(weights: Tensor) -> Callable:
    """What :class:`support.training.Run` takes as ``errors``: of the model's own answer, weighted by level (T+1,)."""

    def errors(
        model: PredictsNoise,
        x_t: Tensor,
        t: Tensor,
        c: Tensor | None,
        x: Tensor,
        noise: Tensor,
        schedule: NoiseSchedule,
    ) -> Tensor:
        answer = model.answer(x_t, t / schedule.timesteps, c).float()
        return weights.to(x.device)[t] * (answer - model.target(x, noise, t)).square().mean(dim=(1, 2, 3))

    return errors


def loss_weights(kind: str, model: PredictsNoise) -> Tensor:
    """How much the squared error of an answer counts at each level: (T+1,), float32, 0 at t = 0.

    Args:
        kind: "own" counts all levels alike in what the network answers with. The others do the same to whatever is
            answered: "simple" counts the error of the noise alike (DDPM, equation 14); "min-snr" is min(SNR, 5) times
            the error of x̂_0 (Hang et al. 2023); "bound" is the variational bound (DDPM, equation 12): ½ (SNR_(t-1) -
            SNR_t) times the error of x̂_0, divided by the mean over all levels, so that the learning rate stays.
            Its first level has no SNR before it; DDPM's variance β̃_2 takes the place.

    Raises:
        ValueError: another word.
    """
    # from β, in float64: 1 - ᾱ_1 from the float32 ᾱ would be wrong in its fourth digit
    ab_t = (1 - model.schedule.b_t.double()[1:]).cumprod(dim=0).clamp(min=LEAST_AB)
    snr = ab_t / (1 - ab_t)  # (T,), of the levels 1 … T
    if kind == "own":
        return torch.cat([snr.new_zeros(1), torch.ones_like(snr)]).float()
    if kind == "simple":
        of_x0 = snr
    elif kind == "min-snr":
        of_x0 = snr.clamp(max=MOST_SNR)
    elif kind == "bound":
        if len(ab_t) < 2:
            raise ValueError("expected at least 2 noise levels for the bound, got 1")
        variance = (1 - ab_t[0]) / (1 - ab_t[1]) * (1 - ab_t[1] / ab_t[0])  # β̃_2
        of_x0 = torch.cat([0.5 / variance[None], 0.5 * (snr[:-1] - snr[1:])])
    else:
        raise ValueError(f"expected a weight out of {', '.join(options.LOSS_WEIGHTS)}, got {kind!r}")
    weights = of_x0 / model.error(snr)
    weights = weights / weights.mean() if kind == "bound" else weights
    return torch.cat([weights.new_zeros(1), weights]).float()


def draw_levels(kind: str, n: int, timesteps: int, generator: torch.Generator | None = None) -> Tensor:
    """n levels of 1 … T, int64: "uniform", or "middle", t/T = sigmoid(N(0, 1)) (Esser et al. 2024, arXiv 2403.03206).

    Raises:
        ValueError: another word.
    """
    if kind == "uniform":
        return torch.randint(1, timesteps + 1, (n,), generator=generator)
    if kind == "middle":
        return (torch.randn(n, generator=generator).sigmoid() * timesteps).ceil().long().clamp(1, timesteps)
    raise ValueError(f"expected levels out of {', '.join(options.LEVELS)}, got {kind!r}")

"""DenoiseDiffusion: a network and a schedule together, with the losses of DDPM (Ho et al. 2020, arXiv 2006.11239).

The arithmetic and the sampler are the module's. New here are the posterior, which the labs pass over, and the
variational bound: how many bits the model would need to store a picture exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion_utilities import (
    ModelWrapper,
    NoiseSchedule,
    _at,
    evaluating,
    linear_schedule,
    perturb_input,
    predict_x0,
    sample_ddpm_context,
)
from going_further.predictions import OBJECTIVES, loss_weights


def gaussian_kl(mean1: Tensor, variance1: Tensor, mean2: Tensor, variance2: Tensor) -> Tensor:
    """KL(N(mean1, variance1) ‖ N(mean2, variance2)) of single numbers, in nats; shapes that broadcast.

    ½ (r - 1 - ln r + (mean1 - mean2)² / variance2) with r = variance1 / variance2.
    """
    r = variance1 / variance2
    return 0.5 * (r - 1 - r.log() + (mean1 - mean2) ** 2 / variance2)


def decoder_log_prob(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """ln of the probability that N(mean, std²) gives to the 8-bit value x: its integral from x - 1/255 to x + 1/255.

    The outermost values, -1 and 1, get the whole tail on their side, so that the 256 probabilities sum to 1
    (DDPM, equation 13).

    Args:
        x: values k/127.5 - 1 for k = 0 … 255, any shape.
        mean, std: of the shape of x, or broadcasting to it.

    Returns:
        float64, same shape: far in the tail, float32 would make 0 of the probability.
    """
    x, mean, std = x.double(), mean.double(), std.double()
    upper = torch.where(x > 1 - 1 / 255, math.inf, (x + 1 / 255 - mean) / std)
    lower = torch.where(x < -1 + 1 / 255, -math.inf, (x - 1 / 255 - mean) / std)
    # Φ(upper) - Φ(lower) = Φ(-lower) - Φ(-upper): the side on which Φ is small is the one that
    # keeps its digits
    right = x > mean
    upper, lower = torch.where(right, -lower, upper), torch.where(right, -upper, lower)
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    return log_upper + torch.log(-torch.expm1(log_lower - log_upper))


@dataclass(frozen=True, eq=False)
class BitsPerDim:
    """The terms of the variational bound for each of n pictures (DDPM, equation 5), in bits per number of a picture.

    Attributes:
        prior: (n,) L_T, what x_T still tells about the picture.
        kl: (n, T-1) L_(t-1) for t = 2 … T, what the network's guess of each step costs; L_(t-1) is kl[:, t-2].
        decoder: (n,) L_0, the last step, to exact 8-bit values.
    """

    prior: Tensor
    kl: Tensor
    decoder: Tensor

    @property
    def total(self) -> Tensor:
        """(n,) the bound: no more bits than this are needed on average to store the picture."""
        return self.prior + self.kl.sum(dim=1) + self.decoder


class _Sized(ModelWrapper):
    """A network that tells the samplers to draw pictures of a certain shape (n, channels, h, h)."""

    def __init__(self, net: Callable, shape: tuple[int, int, int, int]) -> None:
        super().__init__(net)
        _, self.in_channels, self.height, _ = shape

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.model(x, t, c)


class DenoiseDiffusion:
    """Noise pictures, learn to take the noise away, draw new ones.

    Args:
        net: ``net(x, t, c)``, t being level / T; c is None where there is no context.
        timesteps: T, the number of noise levels.
        schedule: of ``timesteps`` levels; None is the module's linear one.
        objective: what ``net`` answers with, a word out of :data:`going_further.predictions.OBJECTIVES`.
        loss_weight: how much an error counts at each level, see :func:`going_further.predictions.loss_weights`.

    Attributes:
        model: ``net`` as a model that predicts noise.

    Raises:
        ValueError: the schedule has another number of levels, or words that are not known.
    """

    def __init__(
        self,
        net: Callable,
        timesteps: int = 500,
        *,
        schedule: NoiseSchedule | None = None,
        objective: str = "noise",
        loss_weight: str = "own",
    ) -> None:
        self.net, self.timesteps = net, timesteps
        self.schedule = schedule or linear_schedule(timesteps)
        if self.schedule.timesteps != timesteps:
            raise ValueError(f"expected a schedule of {timesteps} levels, got one of {self.schedule.timesteps}")
        if objective not in OBJECTIVES:
            raise ValueError(f"expected an objective out of {', '.join(OBJECTIVES)}, got {objective!r}")
        self.model = OBJECTIVES[objective](net, self.schedule)
        self.weights = loss_weights(loss_weight, self.model)  # (T+1,)
        # For the posterior, tables (T+1,) indexed by t like the schedule's, NaN at t = 0, which has no level before it.
        # In float64, from β: 1 - ᾱ_1 from the float32 ᾱ would be wrong in its fourth digit.
        b_t = self.schedule.b_t.double()
        ab_t = (1 - b_t).cumprod(dim=0)
        ab_prev = torch.cat([ab_t[:1], ab_t[:-1]])
        self.x0_factor = (ab_prev.sqrt() * b_t / (1 - ab_t)).float()
        self.xt_factor = ((1 - b_t).sqrt() * (1 - ab_prev) / (1 - ab_t)).float()
        self.posterior_variance = (b_t * (1 - ab_prev) / (1 - ab_t)).float()  # β̃_t; 0 at t = 1

    def forward_sample(self, xstart: Tensor, t: int | Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise clean pictures (n, channels, h, w) to level t, an int or (n,) integers: x_t and the noise ε in it.

        Raises:
            ValueError: a level t that is not in 0 … T.
        """
        noise = torch.randn_like(xstart) if noise is None else noise
        return perturb_input(xstart, t, noise, self.schedule), noise

    def reverse_sample(
        self,
        shape: tuple[int, int, int, int],
        *,
        context: Tensor | None = None,
        guidance: float = 1.0,
        seed: int | None = None,
        progress: bool = False,
    ) -> Tensor:
        """Draw pictures of ``shape`` (n, channels, h, h) by DDPM, on the network's device.

        It is the module's ``sample_ddpm_context``, which explains the other arguments. That one also gives the frames
        on the way; it and the faster samplers take ``model=net, schedule=self.schedule``.

        Raises:
            ValueError: a shape that is not square, a context that does not fit, or ᾱ_T = 0 for an answer in noise.
        """
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(f"expected a shape (n, channels, h, h), got {tuple(shape)}")
        samples, _ = sample_ddpm_context(
            shape[0],
            context,
            save_rate=self.timesteps,
            guidance=guidance,
            model=_Sized(self.model, shape),
            schedule=self.schedule,
            seed=seed,
            progress=progress,
        )
        return samples

    def posterior(self, xstart: Tensor, xt: Tensor, t: int | Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(x_(t-1) | x_t, x_0), the step back of one who knows the clean picture.

        μ̃_t = √ᾱ_(t-1) β_t / (1-ᾱ_t) x_0 + √α_t (1-ᾱ_(t-1)) / (1-ᾱ_t) x_t,  β̃_t = (1-ᾱ_(t-1)) / (1-ᾱ_t) β_t
        (DDPM, equations 6 and 7)

        Args:
            xstart, xt: x_0 and x_t, (n, channels, h, w).
            t: the level of x_t, 1 … T, an int or (n,) integers.

        Returns:
            the mean, same shape as xt; the variance, one number or (n, 1, 1, 1).

        Raises:
            ValueError: a level t that is not in 1 … T.
        """
        # asking a GPU would make it wait
        known = not isinstance(t, Tensor) or t.device.type == "cpu"
        if known and int(torch.as_tensor(t).min()) < 1:
            raise ValueError(f"expected noise levels t from 1 to {self.timesteps}, got {t}")
        mean = _at(self.x0_factor, t, xt) * xstart + _at(self.xt_factor, t, xt) * xt
        return mean, _at(self.posterior_variance, t, xt)

    def loss(
        self,
        xstart: Tensor,
        context: Tensor | None = None,
        *,
        t: int | Tensor | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """The error of what the network answers, squared, at random levels t = 1 … T; one number.

        With noise as the answer and all levels alike, as it is unless the two words say otherwise, that is the
        simplified loss E |ε - ε_θ(x_t, t, c)|² (DDPM, equation 14).

        Args:
            xstart: clean pictures (n, channels, h, w).
            context: (n, classes), or None.
            t: the levels, an int or (n,) integers; None draws them.
            noise: ε, like xstart; None draws it.
        """
        if t is None:
            t = torch.randint(1, self.timesteps + 1, (len(xstart),), device=xstart.device)
        xt, noise = self.forward_sample(xstart, t, noise)
        answer = self.model.answer(xt, self._time(xt, t), context)
        errors = (answer - self.model.target(xstart, noise, t)) ** 2
        return (_at(self.weights, t, xt) * errors).mean()

    @torch.no_grad()
    def bits_per_dim(self, xstart: Tensor, context: Tensor | None = None, *, seed: int | None = None) -> BitsPerDim:
        """The variational bound of pictures (n, channels, h, w) of 8-bit values in [-1, 1] (DDPM, equation 5).

        Each L_(t-1) is estimated with one x_t, and the network is asked T times. The variance of the reverse step is
        β̃_t, the posterior's, so that its KL divergence is the distance of the means alone (DDPM, equation 8). The last
        step, t = 1, has β̃_1 = 0, with which no value but one would be possible: it takes β̃_2, as DDPM's program does.
        The predicted x̂_0 is not clipped to [-1, 1].

        Args:
            context: (n, classes), or None.
            seed: the same number draws the same noise on every device; None continues torch's own random stream.

        Raises:
            ValueError: fewer than 2 levels, or ᾱ_T = 0 for an answer in noise.
        """
        if self.timesteps < 2:
            raise ValueError(f"expected at least 2 noise levels, got {self.timesteps}")
        if self.schedule.ab_t[-1] == 0 and not hasattr(self.model, "predicts"):
            raise ValueError("the schedule ends at ᾱ_T = 0: from pure noise, predicted noise gives x̂_0 = 0/0")
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        kl = []
        with evaluating(self.net):
            for t in range(1, self.timesteps + 1):
                noise = torch.randn(xstart.shape, generator=generator).to(xstart)
                xt, _ = self.forward_sample(xstart, t, noise)
                x0_pred = predict_x0(xt, t, self._pred_noise(xt, t, context), self.schedule)
                if t == 1:
                    decoder = -decoder_log_prob(xstart, x0_pred, self.posterior_variance[2].to(xt).sqrt())
                else:
                    mean, variance = self.posterior(xstart, xt, t)
                    kl.append(_bits(gaussian_kl(mean, variance, self.posterior(x0_pred, xt, t)[0], variance)))
        return BitsPerDim(self._prior(xstart), torch.stack(kl, dim=1), _bits(decoder).to(xstart))

    def _prior(self, xstart: Tensor) -> Tensor:
        """L_T = KL(q(x_T | x_0) ‖ N(0, 1)), (n,)."""
        ab_t = self.schedule.ab_t[-1].to(xstart)
        return _bits(gaussian_kl(ab_t.sqrt() * xstart, 1 - ab_t, torch.zeros_like(ab_t), torch.ones_like(ab_t)))

    def _pred_noise(self, xt: Tensor, t: int | Tensor, context: Tensor | None) -> Tensor:
        return self.model(xt, self._time(xt, t), context)

    def _time(self, xt: Tensor, t: int | Tensor) -> Tensor:
        return torch.as_tensor(t, device=xt.device) / self.timesteps


def _bits(nats: Tensor) -> Tensor:
    """Nats for each number of a picture (n, …) → bits per number (n,)."""
    return nats.flatten(1).mean(dim=1) / math.log(2)

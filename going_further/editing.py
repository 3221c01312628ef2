"""Editing: pictures that are changed, filled in, or enlarged by the networks of the course.

Nothing in the loop changes. A picture may start half-noised; a step around a step keeps what is
known; a network that is told something of its own for each picture takes it as its context.

    fixed = inpaint(sprites, known=mask, model=load_pretrained("model_trained"), seed=0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

import support.checks as check
from diffusion_utilities import (
    ContextUnet,
    ModelWrapper,
    NoiseSchedule,
    Step,
    ab_at,
    ddim_step,
    denoising,
    linear_schedule,
    noise_from_x0,
    perturb_input,
    predict_x0,
    sample,
    step_pairs,
)

# ------------------------------------------------------------------------------- from a picture on


def walk_from(strength: float, n: int, timesteps: int = 500) -> list[tuple[int, int]]:
    """The pairs from level ``strength`` · T (at least 1) to 0: of the n steps of a whole walk, that share.

    ``walk_from(0.3, 10)`` is [(150, 100), (100, 50), (50, 0)].
    """
    start = max(1, round(strength * timesteps))
    return step_pairs(min(start, max(1, round(strength * n))), timesteps, start)


def image_to_image(
    x: Tensor,
    strength: float,
    *,
    model: Callable,
    n: int = 25,
    step: Step | None = None,
    context: Tensor | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
) -> Tensor:
    """Noise pictures to level ``strength`` · T, and finish them (SDEdit, Meng et al. 2021, arXiv 2108.01073).

    Args:
        x: clean pictures (k, 3, h, w) in [-1, 1].
        strength: 0 leaves them as they are, 1 leaves next to nothing of them.
        n: steps of a whole walk from T; of these, the share ``strength`` is taken.
        step: made with the same schedule; None is DDIM's, which adds no noise of its own.
        context: what they are to become, (k, n_cfeat).

    Returns:
        the new pictures, shaped like x.

    Raises:
        ValueError: a strength outside of 0 … 1, or arguments that do not fit.
    """
    schedule = schedule or linear_schedule()
    check.number(strength, "strength", 0, 1)
    if strength == 0:
        return x.clone()
    generator, pairs = check.seeded(seed), walk_from(strength, n, schedule.timesteps)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    return sample(
        step or ddim_step(schedule=schedule),
        pairs,
        len(x),
        model=model,
        x=perturb_input(x, pairs[0][0], noise, schedule),
        context=context,
        schedule=schedule,
        seed=generator,
        save_rate=None,
        progress=False,
    )[0]


@torch.no_grad()
def encode(
    x: Tensor, *, model: Callable, n: int = 50, context: Tensor | None = None, schedule: NoiseSchedule | None = None
) -> Tensor:
    """The noise x_T from which DDIM draws these pictures: its steps walked upwards (Lab 4, equation 6).

    Args:
        x: clean pictures (k, 3, h, w) in [-1, 1].
        n: steps; the walk back should take as many.
    """
    schedule = schedule or linear_schedule()
    for t_next, t in reversed(step_pairs(n, schedule.timesteps)):
        # no network was ever told level 0
        level = torch.tensor(max(t, 1) / schedule.timesteps, device=x.device)
        pred_noise = model(x, level, context)
        x = perturb_input(predict_x0(x, t, pred_noise, schedule), t_next, pred_noise, schedule)
    return x


# ------------------------------------------------------------------------------------ filling in


def keep_known(step: Step, picture: Tensor, known: Tensor, schedule: NoiseSchedule | None = None) -> Step:
    """A step around a step: where ``known`` is True, what comes out is ``picture``, noised as that level asks.

    At level 0 this is the picture itself, bit for bit.

    Args:
        picture: (n, 3, h, w); what it holds where it is not known does not matter, if it is finite.
        known: bool, (h, w) or any shape that broadcasts to the picture's.
    """

    def keeping(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        # the inner step's z is thrown away with its known pixels, so it may serve here
        noised = perturb_input(picture.to(x), t_next, z, schedule)
        return torch.where(known.to(x.device), noised, step(x, t, t_next, pred_noise, z))

    return keeping


def noise_further(x: Tensor, t: int, t_up: int, noise: Tensor, schedule: NoiseSchedule | None = None) -> Tensor:
    """From level t up to t_up: x_up = √(ᾱ_up/ᾱ_t) x_t + √(1 - ᾱ_up/ᾱ_t) ε (DDPM, equation 2, for several steps).

    Args:
        x: x_t (n, 3, h, w).
        t, t_up: levels, 0 <= t <= t_up <= T.
    """
    schedule = schedule or linear_schedule()
    share = ab_at(schedule, t_up, x) / ab_at(schedule, t, x)
    return share.sqrt() * x + (1 - share).sqrt() * noise


def repeated(
    pairs: list[tuple[int, int]], jump: int = 1, rounds: int = 1, between: tuple[float, float] = (0, math.inf)
) -> list[tuple[int, int]]:
    """Pairs in blocks of ``jump``, each block ``rounds`` times if the level it begins at lies in ``between``.

    ``repeated(step_pairs(4), 2, 2)`` goes 500 → 375 → 250, again 500 → 375 → 250, then 250 → 125 → 0 twice.
    """
    check.whole(jump, "jump", 1)
    check.whole(rounds, "rounds", 1)
    low, high = between
    blocks = [pairs[i : i + jump] for i in range(0, len(pairs), jump)]
    return [pair for block in blocks for _ in range(rounds if low <= block[0][0] <= high else 1) for pair in block]


def going_back_up(
    walk: Iterable[tuple[int, Tensor, Tensor]],
    pairs: list[tuple[int, int]],
    schedule: NoiseSchedule | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """What ``denoising`` yields along these pairs; where the next one begins higher, x goes up to there in between.

    This happens in place, and after x has been shown.
    """
    for (t, x, x0_pred), (after, _) in zip(walk, [*pairs[1:], (0, 0)], strict=True):
        yield t, x, x0_pred
        if after > t:
            noise = torch.randn(x.shape, generator=generator).to(x)
            x.copy_(noise_further(x, t, after, noise, schedule))


def inpaint(
    picture: Tensor,
    known: Tensor,
    *,
    model: Callable,
    n: int = 50,
    jump: int = 1,
    rounds: int = 1,
    between: tuple[float, float] = (0, math.inf),
    step: Step | None = None,
    context: Tensor | None = None,
    schedule: NoiseSchedule | None = None,
    seed: int | None = None,
) -> Tensor:
    """Draw what is not known, so that it fits what is (RePaint, Lugmayr et al. 2022, arXiv 2201.09865, algorithm 1).

    Each level keeps the known pixels. A step cannot fit them to the unknown ones, which it moves at the same time, so
    RePaint goes back up with fresh noise and down again, ``rounds`` times in all. One round is plain keeping. Where the
    known pixels are those in the middle, this is outpainting.

    Args:
        picture: (k, 3, h, w) in [-1, 1].
        known: bool, True where the picture is kept; any shape that broadcasts to the picture's.
        n: steps of a walk without jumps; with jumps everywhere the network is asked n · rounds times.
        jump: how many steps back up.
        between: the levels, lowest and highest, from which steps are repeated. What is drawn is decided at high ones.
        step: made with the same schedule; None is DDIM's with η = 1, as noisy as DDPM's.

    Returns:
        pictures shaped like ``picture``; the known pixels are exactly as they were.

    Raises:
        ValueError: ``known`` is not bool or does not broadcast to the picture's shape, or arguments that do not fit.
    """
    schedule = schedule or linear_schedule()
    check_known(picture, known)
    generator = check.seeded(seed)
    pairs = repeated(step_pairs(n, schedule.timesteps), jump, rounds, between)
    keeping = keep_known(step or ddim_step(1.0, schedule), picture, known, schedule)
    start = torch.randn(picture.shape, generator=generator).to(picture.device)
    start = torch.where(known.to(picture.device), perturb_input(picture, pairs[0][0], start, schedule), start)
    how = {"model": model, "context": context, "schedule": schedule, "seed": generator}
    walk = denoising(keeping, pairs, len(picture), x=start, **how)
    *_, (_, x, _) = going_back_up(walk, pairs, schedule, generator)
    return x


def check_known(picture: Tensor, known: Tensor) -> None:
    """A mask says True or False, and fits the picture.

    Raises:
        ValueError: it does not.
    """
    if not isinstance(known, Tensor) or known.dtype != torch.bool:
        raise ValueError(f"expected a mask of True and False, got {getattr(known, 'dtype', type(known).__name__)}")
    try:
        fits = torch.broadcast_shapes(known.shape, picture.shape) == picture.shape
    except RuntimeError:
        fits = False
    if not fits:
        expected, got = tuple(picture.shape), tuple(known.shape)
        raise ValueError(f"expected a mask that fits pictures of shape {expected}, got shape {got}")


# -------------------------------------------------------------------------------------- enlarging


def shrink(x: Tensor) -> Tensor:
    """(n, 3, h, w) → (n, 3, h/2, w/2): each pixel the mean of four."""
    return F.avg_pool2d(x, 2)


def enlarge(small: Tensor) -> Tensor:
    """(n, 3, h, w) → (n, 3, 2h, 2w): each pixel four times."""
    return F.interpolate(small, scale_factor=2)


def project_on_small(step: Step, small: Tensor, schedule: NoiseSchedule | None = None) -> Step:
    """A step around a step, after which each x̂_0 has ``small`` as its small picture.

    x̂_0 + enlarge(small - shrink(x̂_0)): what the small picture says is taken from it, all else from the network (Wang et
    al. 2022, arXiv 2212.00490, equation 13, with no noise in the small picture).

    Args:
        small: (n, 3, h/2, w/2).
    """

    def projecting(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
        x0_pred = predict_x0(x, t, pred_noise, schedule)
        x0_pred = x0_pred + enlarge(small.to(x) - shrink(x0_pred))
        return step(x, t, t_next, noise_from_x0(x, t, x0_pred, schedule), z)

    return projecting


def small_context(small: Tensor, strength: float | Tensor = 0.0, generator: torch.Generator | None = None) -> Tensor:
    """Small pictures as contexts of an :class:`Upscaler`: (n, 3, h/2, w/2) → (n, 3·h/2·w/2 + 1).

    Args:
        strength: noise them to level strength · T first; one number for all or (n,). The network is told how much, in
            the last column, so that it knows how far to trust them (noise augmentation, Ho et al. 2021, arXiv
            2106.15282).
    """
    strength = torch.as_tensor(strength, device=small.device).to(small).expand(len(small))
    levels = (strength * linear_schedule().timesteps).round().long()
    noise = torch.randn(small.shape, generator=generator).to(small)
    return torch.cat([perturb_input(small, levels, noise).flatten(1), strength[:, None]], dim=1)


class Upscaler(ModelWrapper):
    """A network that sees a small picture beside x_t, as a model whose context *is* the small picture.

    A context goes with its picture wherever a sampler takes it, so the loop needs to know nothing of this. See
    :func:`small_context`.

    Args:
        network: of 6 channels, x_t and the enlarged small picture; of its answer the first three count. Its own context
            is one number, the strength of the noise in the small picture.
    """

    def __init__(self, network: ContextUnet) -> None:
        super().__init__(network)
        self.in_channels = network.in_channels // 2
        self.n_cfeat = self.in_channels * (network.height // 2) ** 2 + 1

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor) -> Tensor:
        small, strength = c[:, :-1].to(x), c[:, -1:]
        small = small.reshape(len(x), self.in_channels, self.height // 2, self.height // 2)
        return self.model(torch.cat([x, enlarge(small)], dim=1), t, strength)[:, : self.in_channels]

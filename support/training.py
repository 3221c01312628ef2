"""The training kit: a recipe, one step, and runs that may be stopped at any moment.

In the labs the learner writes the plain loop first; this is what comes after. A run is described by
a :class:`Recipe`, which its checkpoint holds whole. All randomness of an epoch follows from the
recipe's seed and the epoch's number, so a run that was stopped ends with the same weights as one
that was not.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from filelock import FileLock, Timeout  # PyTorch brings it
from torch import Tensor
from tqdm import tqdm

import support.checks as check
from diffusion_utilities import (
    NoiseSchedule,
    ema_update,
    linear_schedule,
    perturb_input,
    sprite_batches,
)
from support.files import read_checkpoint, save_weights

WARMUP_STEPS = 100
EMA_DECAY = 0.999
# share of pictures whose context is hidden, so that the network also learns to draw without
CONTEXT_DROPOUT = 0.1
LARGEST_GRADIENT = 1.0  # norm; longer gradients are cut to it


@dataclass(frozen=True)
class Recipe:
    """All that decides what a run ends with.

    Attributes:
        epochs, batch_size, seed: as everywhere. A loop that counts steps leaves ``epochs`` at 1.
        views: how often an epoch shows each picture, each time augmented anew.
        rate: a factor of the optimiser's learning rates.
        warmup_steps: in which the rates rise; then they fall along half a cosine to 0.
        ema_decay: of the moving average of the weights.
        context_dropout: share of pictures whose context is hidden; None trains without contexts.
        largest_weight: the error at level t counts 1/ᾱ_t times, at most so many times; 1 is the
            plain loss.
        bf16: whether passes are computed in 16 bits.
        data: hash of pictures and labels (:func:`data_hash`).
        start: hash of the weights it begins with (:func:`weights_hash`); "" where they are random.
    """

    epochs: int = 1
    views: int = 1
    batch_size: int = 64
    rate: float = 1.0
    warmup_steps: int = WARMUP_STEPS
    ema_decay: float = EMA_DECAY
    context_dropout: float | None = None
    largest_weight: float = 1.0
    seed: int = 0
    bf16: bool = False
    data: str = ""
    start: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "views", "batch_size"):
            check.whole(getattr(self, name), name, 1)
        check.whole(self.warmup_steps, "warmup_steps", 0)
        check.whole(self.seed, "seed", 0)
        check.number(self.ema_decay, "ema_decay", 0, 1)
        if self.context_dropout is not None:
            check.number(self.context_dropout, "context_dropout", 0, 1)
        check.finite(self.rate, "rate")
        check.number(self.largest_weight, "largest_weight")
        if min(self.rate, self.largest_weight) <= 0:
            got = f"{self.rate} and {self.largest_weight}"
            raise ValueError(f"expected a rate and a largest_weight above 0, got {got}")

    def steps(self, n_pictures: int) -> int:
        """Steps of one epoch."""
        return max(1, self.views * n_pictures // self.batch_size)

    def as_dict(self) -> dict:
        """The recipe as plain values, for a checkpoint or a report."""
        return dataclasses.asdict(self)


def differences(then: dict, now: dict) -> list[str]:
    """What is not the same in two recipes, setting by setting, in words."""
    names = [*now, *(name for name in then if name not in now)]
    return [
        f"{name} was {_word(then.get(name))}, is now {_word(now.get(name))}"
        for name in names
        if then.get(name) != now.get(name)
    ]


def _word(value: object) -> str:
    a_hash = isinstance(value, str) and len(value) == 64  # its beginning is enough to tell
    return f"{value[:12]}…" if a_hash else repr(value)


def data_hash(images: Tensor, labels: Tensor | None) -> str:
    """SHA-256 of pictures and labels: other labels are other data, too."""
    digest = hashlib.sha256(images.cpu().contiguous().numpy())
    if labels is not None:
        digest.update(labels.cpu().contiguous().numpy())
    return digest.hexdigest()


def weights_hash(state: dict[str, Tensor]) -> str:
    """SHA-256 of the weights in a state_dict, whatever file they lie in."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------- one step


def learning_rate(step: int, n_steps: int, warmup_steps: int = WARMUP_STEPS) -> float:
    """A factor for the learning rates: a short straight rise to 1, then half a cosine down to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, n_steps - warmup_steps)))


def ema_decay_at(step: int, decay: float = EMA_DECAY) -> float:
    """The decay at a step, small at first, while the average still holds the untrained weights."""
    return min(decay, (1 + step) / (10 + step))


def loss_weight(t: Tensor, schedule: NoiseSchedule, largest: float) -> Tensor:
    """1/ᾱ_t, at most ``largest``: how much the squared error at level t (n,) counts.

    Where there is little picture left, the noise is easily guessed and its error small, but it
    decides what will be drawn. An error of ε weighted by 1/ᾱ is the error of v (Salimans and Ho
    2022, arXiv 2202.00512, appendix D).
    """
    return (1 / schedule.ab_t[t]).clamp(max=largest)


def drop_contexts(c: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Contexts (n, classes), of which about ``share`` become rows of zeros, "no context"."""
    return c * (torch.rand(len(c), 1, generator=generator) >= share).to(c)


def uniform_levels(n: int, timesteps: int, generator: torch.Generator) -> Tensor:
    """n levels of 1 … T, all equally likely."""
    return torch.randint(1, timesteps + 1, (n,), generator=generator)


def noise_errors(
    model: Callable, x_t: Tensor, t: Tensor, c: Tensor | None, x: Tensor, noise: Tensor, schedule: NoiseSchedule
) -> Tensor:
    """The mean squared error of the predicted noise for each picture, (n,)."""
    return (model(x_t, t / schedule.timesteps, c).float() - noise).square().mean(dim=(1, 2, 3))


def training_step(
    model: torch.nn.Module,
    ema: torch.nn.Module,
    optimizer: object,
    x: Tensor,
    c: Tensor | None,
    step: int,
    n_steps: int,
    recipe: Recipe,
    schedule: NoiseSchedule,
    generator: torch.Generator,
    perturb: Callable = perturb_input,
    levels: Callable = uniform_levels,
    errors: Callable = noise_errors,
) -> Tensor:
    """Change the weights once, and move the average along; the mean squared error, not weighted.

    Args:
        optimizer: has ``step(factor)``, a step at its learning rates times ``factor`` that forgets
            the gradients.
        x, c: sprites (n, channels, h, w) and their contexts (n, classes).
        step, n_steps: which step it is, and of how many.
        generator: of levels, noise and hidden contexts.
        perturb: for peers, which noise pictures in other ways.
        levels: for comparisons, which draw levels in other ways; see :func:`uniform_levels`.
        errors: for networks that answer with something else; see :func:`noise_errors`.
    """
    t = levels(len(x), schedule.timesteps, generator).to(x.device)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    # drawn without contexts too, so that both see the same noise
    dropped = drop_contexts(c, recipe.context_dropout or 0.0, generator)
    x_t = perturb(x, t, noise, schedule).contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.bf16):
        c = None if recipe.context_dropout is None else dropped
        error = errors(model, x_t, t, c, x, noise, schedule)  # (n,)
    (loss_weight(t, schedule, recipe.largest_weight) * error).mean().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
    optimizer.step(recipe.rate * learning_rate(step, n_steps, recipe.warmup_steps))
    ema_update(ema, model, ema_decay_at(step, recipe.ema_decay))
    return error.mean().detach()


@torch.no_grad()
def with_recomputed_batch_norm(
    model: torch.nn.Module, images: Tensor, labels: Tensor, batches: int = 200
) -> torch.nn.Module:
    """A copy whose batch-norm statistics are plain means over ``batches`` batches.

    The weights stand still. Images and labels as in :class:`Run`.
    """
    model, schedule = copy.deepcopy(model).train(), linear_schedule().to(images.device)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean
    generator = torch.Generator().manual_seed(0)
    for x, _ in islice(sprite_batches(images, labels, min(64, len(images)), generator), batches):
        t = torch.randint(1, 501, (len(x),), generator=generator).to(x.device)
        noise = torch.randn(x.shape, generator=generator).to(x)
        model(perturb_input(x, t, noise, schedule), t / 500)
    return model.eval()


def cpu_state_dict(model: torch.nn.Module) -> dict[str, Tensor]:
    """The state_dict of a network, on the CPU and in the usual memory format."""
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}


def half_state_dict(model: torch.nn.Module) -> dict[str, Tensor]:
    """The same with numbers of 16 bits, for a file of half the size; load_state_dict makes them 32 again.

    Counts stay whole numbers. A tensor stays as it is where one of its numbers is too large for 16 bits.
    """

    def halved(value: Tensor) -> Tensor:
        fits = value.is_floating_point() and value.half().isfinite().all()
        return value.half() if fits else value

    return {key: halved(value) for key, value in cpu_state_dict(model).items()}


# ----------------------------------------------------------------------------- a run that may stop


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Within the block no other program runs a block for the same path.

    Raises:
        ValueError: one does already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        reason = "wait for it, or choose another place"
        raise ValueError(f"another run is writing to {path}: {reason}") from None
    try:
        yield
    finally:
        # first, so that nobody takes a lock whose file is about to go; Windows does it at release
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


class Run:
    """One run of training, of a network and its average, which goes on where its checkpoint ends.

    Args:
        recipe: compared whole with that of the checkpoint; its ``data`` is filled in here.
        model: changed in place; the average begins as its copy.
        optimizer: see :func:`training_step`; also state_dict and load_state_dict.
        images, labels: (n, channels, h, w) and (n, classes), on the model's device.
        checkpoint: the file that is written after each epoch.
        perturb, levels, errors: see :func:`training_step`.
        batches: called as ``batches(images, labels, batch_size, generator)``, it augments them.
        schedule: None is :func:`linear_schedule`.

    Raises:
        ValueError: the checkpoint is damaged, or of a run with another recipe, where what differs
            is named, or of another network.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: torch.nn.Module,
        optimizer: object,
        images: Tensor,
        labels: Tensor,
        checkpoint: Path,
        perturb: Callable = perturb_input,
        levels: Callable = uniform_levels,
        batches: Callable = sprite_batches,
        errors: Callable = noise_errors,
        schedule: NoiseSchedule | None = None,
    ) -> None:
        self.recipe = dataclasses.replace(recipe, data=data_hash(images, labels))
        self.model, self.optimizer = model, optimizer
        self.ways, self.batches = (perturb, levels, errors), batches
        self.ema = copy.deepcopy(model).requires_grad_(False)
        self.images, self.labels, self.checkpoint = images, labels, checkpoint
        self.schedule = (schedule or linear_schedule()).to(images.device)
        self.losses, self.seconds = [], 0.0  # losses: the mean error of each finished epoch
        if checkpoint.exists():
            self._resume()

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.losses)

    def _resume(self) -> None:
        state = read_checkpoint(self.checkpoint)
        try:
            then = state["recipe"]
            if changed := differences(then, self.recipe.as_dict()):
                reason = f"is of another run: {'; '.join(changed)}; delete it to begin anew"
                raise ValueError(f"{self.checkpoint} {reason}")
            self.model.load_state_dict(state["model"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.losses, self.seconds = state["losses"], state["seconds"]
        except (KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{self.checkpoint} is no checkpoint of a run: {reason}") from None

    def train_epoch(self) -> float:
        """Train for one epoch; its mean squared error, not weighted."""
        recipe, steps = self.recipe, self.recipe.steps(len(self.images))
        # the only randomness of this epoch
        generator = torch.Generator().manual_seed(1000 * recipe.seed + self.epoch)
        batch_size = min(recipe.batch_size, len(self.images))
        batches = islice(self.batches(self.images, self.labels, batch_size, generator), steps)
        began, errors = time.perf_counter(), []
        self.model.train()
        bar = tqdm(batches, total=steps, desc=f"epoch {self.epoch}", leave=False, disable=None)
        networks, rest = (self.model, self.ema, self.optimizer), (recipe, self.schedule, generator)
        for step, (x, c) in enumerate(bar, start=self.epoch * steps):
            place = (step, recipe.epochs * steps)
            errors.append(training_step(*networks, x, c, *place, *rest, *self.ways))
        self.losses.append(torch.stack(errors).mean().item())
        self.seconds += time.perf_counter() - began
        return self.losses[-1]

    def save(self) -> None:
        """Write the checkpoint; the old one stays whole until the new one is."""
        parts = {"model": self.model, "ema": self.ema, "optimizer": self.optimizer}
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"recipe": self.recipe.as_dict(), "losses": self.losses, "seconds": self.seconds}
        save_weights(state, self.checkpoint)

    def finish(self, after_epoch: Callable[[Run], None] = lambda run: None) -> dict:
        """Train to the end, a checkpoint after each epoch.

        Args:
            after_epoch: called with the run before its checkpoint is written, to keep weights or
                to print.

        Returns:
            what is worth recording: the recipe, the loss of each epoch, seconds, the numbers of
            steps and images.
        """
        with alone(self.checkpoint):
            while self.epoch < self.recipe.epochs:
                self.train_epoch()
                after_epoch(self)
                self.save()
        n_steps = self.recipe.epochs * self.recipe.steps(len(self.images))
        return {
            "recipe": self.recipe.as_dict(),
            "loss_per_epoch": [round(loss, 5) for loss in self.losses],
            "steps": n_steps,
            "images_shown": n_steps * self.recipe.batch_size,
            "seconds": round(self.seconds),
        }

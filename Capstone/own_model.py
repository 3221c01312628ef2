"""A network for your own sprites, trained until it no longer learns.

run = OwnRun(pictures, "build/my_sprites")
run.train(minutes=20)
run.draw("ghost", 8)
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

import support.checks as check
from Capstone.own_sprites import OwnSprites
from diffusion_utilities import (
    CLASS_NAMES,
    ContextUnet,
    NoiseSchedule,
    default_device,
    linear_schedule,
    load_pretrained,
    perturb_input,
    sample_dpm_context,
    sprite_batches,
    sprite_tensors,
)
from going_further import checkpoints
from going_further.unet import UNet
from support.files import ROOT, read_checkpoint, read_json, save_weights
from support.speed import bf16_is_faster, evaluating
from support.tables import write_text
from support.training import (
    CONTEXT_DROPOUT,
    Recipe,
    alone,
    cpu_state_dict,
    data_hash,
    differences,
    half_state_dict,
    loss_weight,
    training_step,
    weights_hash,
)
from weights.muon import MuonAndAdamW

EVERY = 5  # one picture of so many is put aside, by chance
MOST_ASIDE = 200  # enough to measure with
LEAST = 20  # of fewer pictures none can be spared
CHECK_EVERY = 50  # steps
PATIENCE = 1 / 3  # share of all steps in which nothing got better
LEAST_STEPS = 300  # before that, a pause of the learning is no end
STEPS_UNWATCHED = 1000  # where no pictures can be put aside to see when it is enough
WATCHED = 256  # pairs of a picture and a level in one measurement
CLOSE = 1.01  # losses on the control that differ by less are as good as each other
SAVE_EVERY = 60  # seconds


# --------------------------------------------------------------------------------- what is put aside


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures to train on, and others that the training never sees, with their labels."""

    images: Tensor
    labels: Tensor
    control: Tensor
    control_labels: Tensor


def split(pictures: OwnSprites, device: torch.device | str = "cpu") -> Split:
    """Put a fifth of the pictures of each class aside, at most about 200 in all.

    Of pictures that are equal only the first counts: a twin among the others would make the control
    worthless. The sprites of one file (a strip, an animation) are alike, so they stay together, unless
    a file holds a large part of a class.
    """
    images, labels = sprite_tensors(pictures.sprites, pictures.labels, device)
    _, first = np.unique(pictures.sprites, axis=0, return_index=True)
    first = np.sort(first)
    aside = _aside([pictures.sources[i] for i in first], pictures.labels[first].argmax(axis=1))
    train, control = (torch.from_numpy(first[which]).to(device) for which in (~aside, aside))
    return Split(images[train], labels[train], images[control], labels[control])


def _aside(sources: list[str], classes: np.ndarray) -> np.ndarray:
    """Which of the pictures are put aside, (n,) bool.

    By chance, not every fifth by name: of axe, hoe, pickaxe, shovel, sword in five metals that would be
    all swords.
    """
    aside = np.zeros(len(sources), dtype=bool)
    if len(sources) < LEAST:
        return aside
    every = max(EVERY, len(sources) / MOST_ASIDE)
    chance = np.random.default_rng(0)
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        files = {}  # file → its sprites
        for i in members:
            files.setdefault(sources[i], []).append(i)
        if max(map(len, files.values())) > len(members) / EVERY:
            files = {i: [i] for i in members}
        if len(files) > 2:  # else too few would be left to train on
            names = chance.permutation(np.array(list(files), dtype=object))
            for name in names[: max(1, round(len(files) / every))]:
                aside[files[name]] = True
    return aside


# ---------------------------------------------------------------------------------- where it starts


def start_network(
    start: str | Path | None, class_names: tuple[str, ...], size: int, seed: int = 0
) -> tuple[nn.Module, int, dict]:
    """A network for sprites of a size and their classes; and where it comes from.

    Args:
        start: "course", the network of Lab 3; "unet", that of ``going_further/``; None, random weights;
            or the path of a model that this program has saved.

    Returns:
        the network; how many of its tensors are stored ones; and for a U-Net of ``going_further/`` the
        config of its checkpoint, else an empty one.

    Every weight whose shape fits is taken over. The first layer of the context stands for the classes
    of the stored network. Where they are others it is set to zero: at first every context acts like
    none, and the network draws well and obeys nothing.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another word, or a file of another kind.
    """
    torch.manual_seed(seed)
    if start is None:
        return ContextUnet(3, 64, len(class_names), size), 0, {}
    config = {}
    if start == "unet" or str(start).endswith(".pt"):
        path = ROOT / "going_further/sprites_unet.pt" if start == "unet" else Path(start)
        stored, schedule, config = checkpoints.load_model(path, "cpu")
        if config["unet"]["in_channels"] != 3 or not torch.equal(schedule.ab_t, linear_schedule().ab_t):
            raise ValueError(f"expected a network for colours and the labs' noise levels, {path} has others")
        if checkpoints.objective_of(config) != "noise":
            raise ValueError(f"expected a network that answers with noise, {path} answers with {config['objective']}")
        names = tuple(config["class_names"])
        unet = config["unet"] | {"n_classes": len(class_names), "height": size}
        own = {"dataset": "custom", "image_size": size, "class_names": list(class_names), "unet": unet}
        config, model = config | own, UNet(**unet)
        contexts = ["class_embedding.weight"]
    else:
        path = Path("context_model_trained" if start == "course" else start)
        stored = load_pretrained(path, "cpu")
        model = ContextUnet(3, stored.n_feat, len(class_names), size)
        names = CLASS_NAMES if start == "course" else _names_beside(path)
        contexts = [f"contextembed{i}.model.0.weight" for i in (1, 2)]
    own = model.state_dict()
    fitting = {k: v for k, v in stored.state_dict().items() if k in own and v.shape == own[k].shape}
    silent = {} if names == class_names else {name: torch.zeros_like(own[name]) for name in contexts}
    model.load_state_dict(own | fitting | silent)
    return model, len(fitting.keys() - silent.keys()), config


def _names_beside(path: Path) -> tuple[str, ...]:
    """The classes of a model that this program saved, () where they are not known."""
    about = path.with_suffix(".json")
    return tuple(read_json(about).get("class_names", ())) if about.is_file() else ()


# ------------------------------------------------------------------------------------------ the run


class OwnRun:
    """One run of training on your own pictures, which goes on where its folder ends.

    The rate rises for a moment and then stays: nobody knows beforehand when it will be enough. The
    moving average, whose memory is about a tenth of all steps, is what is drawn from, and what is
    measured on the control. The run is over when its loss there has not fallen for a third of all
    steps. The model are the latest weights whose loss was the least, or within 1 % of it: where the
    loss stands still, these have learned the classes longer.

    Args:
        pictures: see :func:`Capstone.own_sprites.read_folder`.
        folder: for all that is written. A folder of an earlier run on the same pictures and with the
            same settings goes on; its name is the model's.
        start: see :func:`start_network`.
        mirror, hue: see :func:`diffusion_utilities.augment`. Without ``mirror`` for letters, and for
            art that faces one way.

    Raises:
        ValueError: the folder holds something else, or a run with other pictures or settings.
    """

    def __init__(
        self,
        pictures: OwnSprites,
        folder: str | Path,
        start: str | Path | None = "course",
        mirror: bool = True,
        hue: float = 0.05,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        self.folder, self.device = Path(folder).expanduser(), torch.device(device or default_device())
        self.class_names, self.ground = pictures.class_names, pictures.ground
        self.size = pictures.sprites.shape[1]
        self.schedule: NoiseSchedule = linear_schedule().to(self.device)
        self.split = split(pictures, self.device)
        network, self.n_stored, self.config = start_network(start, self.class_names, self.size, seed)
        self.recipe = Recipe(
            batch_size=min(64, len(self.split.images)),
            rate=1.0 if start is None else 0.5,
            warmup_steps=30,
            ema_decay=0.9999,  # reached after some hours; before, the memory is a tenth of the steps
            context_dropout=CONTEXT_DROPOUT,
            largest_weight=5.0 if start is None else math.inf,
            seed=seed,
            bf16=bf16_is_faster(self.device),
            data=data_hash(self.split.images, self.split.labels),
            start="" if start is None else weights_hash(network.state_dict()),
        )
        self.settings = {"classes": list(self.class_names), "mirror": mirror, "hue": hue}
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = MuonAndAdamW(self.network)
        self.losses, self.checks, self.seconds = [], {}, 0.0  # checks: step → loss on the control
        self.best = cpu_state_dict(self.average)
        if self.checkpoint.exists():
            self._resume()
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise ValueError(f"expected a new folder, or one of an earlier run; {self.folder} holds other files")

    # ------------------------------------------------------------------------------------- the files

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def checkpoint(self) -> Path:
        """What the next call goes on from."""
        return self.folder / f"{self.name}.checkpoint"

    @property
    def model_file(self) -> Path:
        """The finished model: load_pretrained takes a .pth, going_further/sample.py a .pt."""
        ending = "pt" if self.config else "pth"
        return self.folder / f"{self.name}.{ending}"

    def _resume(self) -> None:
        state = read_checkpoint(self.checkpoint)
        try:
            self.recipe = replace(self.recipe, bf16=state["recipe"]["bf16"])  # the machine's choice
            now = self.recipe.as_dict() | self.settings
            if changed := differences(state["recipe"] | state["settings"], now):
                what = "; ".join(changed)
                raise ValueError(f"{self.folder} holds another run: {what}. Choose another folder")
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.losses, self.checks = state["losses"], state["checks"]
            self.seconds, self.best = state["seconds"], state["best"]
        except (KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{self.checkpoint} is no checkpoint of such a run: {reason}") from None

    def save(self) -> None:
        """Write the checkpoint, the model and what is known about it; each whole or not at all."""
        parts = {"network": self.network, "average": self.average, "optimizer": self.optimizer}
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"recipe": self.recipe.as_dict(), "settings": self.settings, "best": self.best}
        state |= {"losses": self.losses, "checks": self.checks, "seconds": self.seconds}
        save_weights(state, self.checkpoint)
        half = half_state_dict(self.model)
        if self.config:
            half = {"config": self.config | {"training": self.recipe.as_dict()}, "ema": half}
        save_weights(half, self.model_file)
        about = {
            "class_names": list(self.class_names),
            "size": self.size,
            "ground": list(self.ground),
            "pictures": len(self.split.images),
            "steps": len(self.losses),
            "best_step": self.best_step,
            "minutes": round(self.seconds / 60, 1),
        }
        text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
        write_text(self.folder / f"{self.name}.json", text)

    # ---------------------------------------------------------------------------------- the training

    @torch.no_grad()
    def control_loss(self) -> float:
        """The averaged network's loss on the pictures put aside, weighted as in training, at most 5.

        The same levels, spread evenly, and the same noise each time: only the weights differ.
        """
        generator = torch.Generator().manual_seed(1)
        repeats = math.ceil(WATCHED / len(self.split.control))
        x, c = (part.repeat_interleave(repeats, 0) for part in (self.split.control, self.split.control_labels))
        t = torch.linspace(1, self.schedule.timesteps, len(x)).long()
        t = t[torch.randperm(len(x), generator=generator)].to(self.device)
        noise = torch.randn(x.shape, generator=generator).to(self.device)
        x_t = perturb_input(x, t, noise, self.schedule)
        with evaluating(self.average):
            error = (self.average(x_t, t / self.schedule.timesteps, c) - noise).square().mean((1, 2, 3))
        return (loss_weight(t, self.schedule, 5.0) * error).mean().item()

    @property
    def best_step(self) -> int:
        """The latest step at which the loss on the control was as good as the least; without a control, the last."""
        if not self.checks:
            return len(self.losses)
        least = min(self.checks.values())
        return max(step for step, loss in self.checks.items() if loss <= CLOSE * least)

    @property
    def finished(self) -> bool:
        """Whether more steps would teach it nothing new."""
        steps = len(self.losses)
        if not len(self.split.control):
            return steps >= STEPS_UNWATCHED
        least_step = min(self.checks, key=self.checks.get, default=steps)
        return steps >= LEAST_STEPS and steps - least_step > PATIENCE * steps

    @property
    def state(self) -> str:
        """How far the training is, in words."""
        if not len(self.split.control):
            return f"too few pictures to see when it is enough: {STEPS_UNWATCHED} steps are the end"
        best = f"the model is that of step {self.best_step}"
        if self.finished:
            return f"the loss on the pictures put aside no longer falls, so it is finished; {best}"
        return f"the loss on the pictures put aside may still fall: not finished, train on; {best}"

    def _batches(self) -> tuple[Iterator, torch.Generator]:
        """Batches, and the generator of all randomness from this step on."""
        generator = torch.Generator().manual_seed(1000 * self.recipe.seed + len(self.losses))
        pictures = self.split.images, self.split.labels, self.recipe.batch_size
        switches = {name: self.settings[name] for name in ("hue", "mirror")}
        return sprite_batches(*pictures, generator, **switches), generator

    def train(self, minutes: float = 20, most_steps: int | None = None) -> OwnRun:
        """Train until nothing new is learned, or for so many minutes, or up to a step.

        Stopping it loses nothing: the next call goes on.

        Raises:
            FloatingPointError: the loss is no longer a number. What was saved before stays.
        """
        check.number(minutes, "minutes", 0)
        most = math.inf if most_steps is None else check.whole(most_steps, "most_steps", 1)
        self.folder.mkdir(parents=True, exist_ok=True)
        batches, generator = self._batches()
        began = saved = time.monotonic()
        before, budget = self.seconds, 60 * minutes
        form = "training {bar} {elapsed} of at most " + f"{minutes:g} minutes{{postfix}}"
        with alone(self.checkpoint), tqdm(total=budget, bar_format=form, leave=False) as bar:
            try:
                while self._goes_on(most) and time.monotonic() - began < budget:
                    self._step(*next(batches), generator)
                    self.seconds = before + time.monotonic() - began
                    bar.update(min(budget, self.seconds - before) - bar.n)
                    if len(self.losses) % CHECK_EVERY == 0:
                        self._check(bar)
                    if time.monotonic() - saved > SAVE_EVERY:
                        self.save()
                        saved = time.monotonic()
            except KeyboardInterrupt:
                print("Interrupted: what was learned is saved, and the next call goes on.")
            if self.losses:
                if len(self.losses) % CHECK_EVERY:
                    self._check(bar)
                self.save()
        return self

    def _goes_on(self, most: float) -> bool:
        return not self.finished and len(self.losses) < most

    def _step(self, x: Tensor, c: Tensor, generator: torch.Generator) -> None:
        self.network.train()
        networks = self.network, self.average, self.optimizer
        how = math.inf, self.recipe, self.schedule, generator  # of endlessly many steps: no end is known
        loss = training_step(*networks, x, c, len(self.losses), *how).item()
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at step {len(self.losses)}; what was saved before is good")
        self.losses.append(loss)

    def _check(self, bar: tqdm) -> None:
        """Measure on the control, and keep the weights if none were better."""
        step = len(self.losses)
        if len(self.split.control):
            self.checks[step] = self.control_loss()
            bar.set_postfix_str(f"step {step}, control {self.checks[step]:.4f}, best at {self.best_step}")
        if self.best_step == step:
            self.best = cpu_state_dict(self.average)

    def plot(self) -> None:
        """The loss of the training and that on the control, against the steps."""
        fig, ax = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
        window = min(50, len(self.losses))
        means = np.convolve(self.losses, np.ones(window) / window, "valid")
        ax.plot(np.arange(window, len(self.losses) + 1), means, color="#0072B2")
        ax.set(xlabel="step", yscale="log")
        ax.set_ylabel(f"training, mean of {window} steps", color="#0072B2")
        if self.checks:
            other = ax.twinx()
            other.plot(self.checks.keys(), self.checks.values(), color="#D55E00")
            other.axvline(self.best_step, color="#D55E00", linestyle=":")
            other.set_ylabel("control, weighted", color="#D55E00")
            other.set_yscale("log")
        plt.show()

    # ----------------------------------------------------------------------------------- the drawing

    @property
    def model(self) -> nn.Module:
        """The finished network: the average at its best moment, in evaluation mode."""
        model = copy.deepcopy(self.average).eval()
        model.load_state_dict(self.best)
        return model

    def context(self, what: str | dict[str, float], n: int) -> Tensor:
        """n equal rows (n, classes): one class by its name, or shares of several, {"ghost": 0.5, "gem": 0.5}.

        Raises:
            ValueError: no such class.
        """
        shares = {what: 1.0} if isinstance(what, str) else dict(what)
        if unknown := [name for name in shares if name not in self.class_names]:
            known = ", ".join(self.class_names)
            raise ValueError(f"expected classes among {known}, got {', '.join(map(str, unknown))}")
        row = [float(shares.get(name, 0)) for name in self.class_names]
        return torch.tensor([row] * check.whole(n, "n", 1))

    def draw(
        self,
        what: str | dict[str, float] | Tensor,
        n_sample: int = 8,
        *,
        guidance: float = 1.0,
        seed: int | None = 0,
        sample: Callable = sample_dpm_context,
        **options: object,
    ) -> Tensor:
        """Sprites (n_sample, 3, size, size) in [-1, 1] of a class, a mixture, or contexts (n, classes).

        In ten steps with all noise fresh, where no other sampler and no guidance is asked for.
        """
        context = what if isinstance(what, Tensor) else self.context(what, n_sample)
        if sample is sample_dpm_context:
            options = {"n": 10, "eta": math.inf if guidance == 1 else 0.0} | options
        options |= {"guidance": guidance, "seed": seed, "model": self.model, "progress": False}
        return sample(len(context), context, **options)[0].clamp(-1, 1)

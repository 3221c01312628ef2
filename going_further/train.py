"""Train the U-Net with attention to predict noise, or what noise can be computed from.

    python going_further/train.py    # on the course's sprites
    python going_further/train.py --dataset mnist --epochs 50 --batch-size 128
    python going_further/train.py --dataset cifar10 --epochs 200 --batch-size 128 --dim 128 --lr 0.0002
    python going_further/train.py --dataset custom --data photos --image-size 64 --timesteps 1000
    python going_further/train.py --objective flow --schedule straight --levels middle

A run may be stopped at any moment. The same command with --resume goes on where the checkpoint was
written last, after an epoch or, every ten minutes, within one. On a CPU it ends with the same
weights, bit for bit, as a run that was not stopped. On several GPUs or machines, start it with

    accelerate launch --multi_gpu --num_processes 2 going_further/train.py --dataset cifar10

The processes share each batch, and the result is that of one process up to rounding. Where there is no GPU, the same
makes two processes on the CPU.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
from going_further.options import train_parser

if __name__ == "__main__":  # answers --help and slips of the keyboard before the slow imports
    train_parser(__doc__).parse_args()

import torch
from torch import Tensor
from torchvision.utils import save_image
from tqdm import tqdm

import support.training as kit
from diffusion_utilities import (
    Clipped,
    augment,
    bf16_is_faster,
    default_device,
    ema_update,
    mosaic,
    sample_dpm_context,
    save_weights,
)
from going_further import checkpoints, datasets
from going_further.datasets import ImageData
from going_further.diffusion import DenoiseDiffusion
from going_further.predictions import draw_levels
from going_further.schedules import SCHEDULES
from going_further.unet import UNet
from support.cli import errors_in_one_line
from support.writing import replacing

try:
    from accelerate import Accelerator
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    sys.exit(f"{error}: install what this folder needs with  pip install -r going_further/requirements.txt")

WARMUP_STEPS = 200  # at most a tenth of a run
HELD_OUT = 0.05  # share of the pictures that is only for the validation loss …
MOST_HELD_OUT = 1024  # … which more pictures would not make much more exact
# stages of at most this height have attention: its cost grows with the fourth power of the height
ATTENTION_SIZE = 16
LOG_EVERY = 10  # steps; reading the loss makes a GPU wait
GROUPS = 8  # of the group norms
SAMPLE_STEPS = 10  # of DPM-Solver++
SAMPLE_ROWS = 4


class Batch(NamedTuple):
    """What one step of training needs; all processes draw the same whole batch, and each takes its share."""

    x: Tensor  # clean pictures (n, channels, h, w)
    c: Tensor | None  # (n, classes), rows of zeros where the class is hidden
    t: Tensor  # levels (n,)
    noise: Tensor  # like x

    def share(self, chosen: slice, device: torch.device) -> Batch:
        return Batch(*(None if part is None else part[chosen].to(device) for part in self))


def generator_for(seed: int, epoch: int) -> torch.Generator:
    """The only randomness of an epoch 1, 2, …; number 0 is for the held-out pictures."""
    return torch.Generator().manual_seed(10**6 * seed + epoch)


def epoch_batches(
    images: Tensor,
    labels: Tensor | None,
    batch_size: int,
    timesteps: int,
    augmented: Callable,
    g: torch.Generator,
    levels: str = "uniform",
) -> Iterator[Batch]:
    """Every picture once, in a new order, at a random level; the few that would not fill a last batch are left out."""
    order = torch.randperm(len(images), generator=g)
    rows = torch.zeros(len(images), 1) if labels is None else labels
    for chosen in order[: len(order) - len(order) % batch_size].split(batch_size):
        x = augmented(images[chosen], generator=g)
        c = kit.drop_contexts(rows[chosen], kit.CONTEXT_DROPOUT, g)
        t = draw_levels(levels, batch_size, timesteps, g)
        noise = torch.randn(x.shape, generator=g)
        yield Batch(x, None if labels is None else c, t, noise)


def n_held_out(n_pictures: int) -> int:
    """How many of the pictures are only for the validation loss."""
    return max(1, min(MOST_HELD_OUT, int(HELD_OUT * n_pictures)))


def make_config(args: argparse.Namespace, data: ImageData, mixed_precision: str) -> dict:
    """What a checkpoint says about itself.

    Raises:
        ValueError: pictures that the network cannot take.
    """
    _, channels, height, width = data.images.shape
    multiple = 2 ** (len(args.dim_mults) - 1)
    if height != width:
        raise ValueError(f"expected square pictures, got {width}×{height}: choose a size with --image-size")
    if height % multiple:
        raise ValueError(
            f"expected an --image-size that is a multiple of {multiple}, because a network with {len(args.dim_mults)} "
            f"--dim-mults halves it {len(args.dim_mults) - 1} times, got {height}"
        )
    if args.dim % GROUPS:
        raise ValueError(f"expected a --dim that is a multiple of {GROUPS}, got {args.dim}")
    if args.objective == "noise" and SCHEDULES[args.schedule](args.timesteps).ends_at_zero:
        raise ValueError(
            f"expected an --objective x0, v, flow or edm with --schedule {args.schedule}, which ends in pure noise: "
            "there the noise says nothing about the picture"
        )
    classes = data.class_names if len(data.class_names) > 1 else ()  # one class says nothing
    unet = {
        "in_channels": channels,
        "out_channels": channels,
        "dim": args.dim,
        "dim_mults": args.dim_mults,
        "attns": [i > 0 and height // 2**i <= ATTENTION_SIZE for i in range(len(args.dim_mults))],
        "n_blocks": args.blocks,
        "groups": GROUPS,
        "n_classes": len(classes) or None,
        "height": height,
    }
    n_steps = args.epochs * ((len(data.images) - n_held_out(len(data.images))) // args.batch_size)
    recipe = kit.Recipe(
        epochs=args.epochs,
        batch_size=args.batch_size,
        rate=args.lr,
        warmup_steps=min(WARMUP_STEPS, n_steps // 10),
        context_dropout=kit.CONTEXT_DROPOUT if classes else None,
        seed=args.seed,
        bf16=mixed_precision == "bf16",
        data=kit.data_hash(data.images, data.labels),
        start="" if args.start is None else kit.weights_hash(checkpoints.read(args.start)["ema"]),
    )
    training = {
        "mixed_precision": mixed_precision,
        "accumulate": args.accumulate,
        "augment": args.augment,
        "loss_weight": args.loss_weight,
        "levels": args.levels,
        "pictures": len(data.images),
    }
    return {
        "dataset": args.dataset,
        "image_size": height,
        "timesteps": args.timesteps,
        "schedule": args.schedule,
        "objective": args.objective,
        "class_names": list(classes),
        "unet": unet,
        "recipe": recipe.as_dict(),
        "training": training,
    }


class Trainer:
    """One run of training, in the folder ``out``: checkpoint.pt, samples/, tensorboard/ and, at the end, model.pt.

    Args:
        accelerator: carries device, precision and processes.
        data: the pictures.
        config: see :func:`make_config`.
        out: the folder.
        sample_every: epochs between pictures.
        save_minutes: least time between two checkpoints within an epoch.
        checkpointing: see :meth:`UNet.use_checkpointing`.

    Raises:
        ValueError: sizes that do not fit each other.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        data: ImageData,
        config: dict,
        out: Path,
        sample_every: int = 10,
        save_minutes: float = 10,
        checkpointing: bool = False,
    ) -> None:
        self.accelerator, self.config, self.out = accelerator, config, out
        self.sample_every, self.save_minutes = sample_every, save_minutes
        self.recipe = kit.Recipe(**config["recipe"])
        self.schedule = SCHEDULES[config["schedule"]](config["timesteps"])
        self._split(data)
        batch_size, parts = self.recipe.batch_size, accelerator.gradient_accumulation_steps
        shares = parts * accelerator.num_processes
        if batch_size % shares or batch_size > len(self.images):
            raise ValueError(
                f"expected a --batch-size that is a multiple of {shares} (processes times --accumulate) and at most "
                f"{len(self.images)}, the number of pictures to train on, got {batch_size}"
            )
        self.share = batch_size // shares
        self.epoch_steps = len(self.images) // batch_size
        self.n_steps = self.recipe.epochs * self.epoch_steps

        torch.manual_seed(self.recipe.seed)
        # the channels of a pixel lie side by side in memory: faster, but not in 16 bits on a CPU (see cost/COST.md)
        slower = accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16"
        layout = torch.contiguous_format if slower else torch.channels_last
        self.net = UNet(**config["unet"]).to(memory_format=layout)
        self.ema = copy.deepcopy(self.net).requires_grad_(False).to(accelerator.device).eval()
        if checkpointing:
            self.net.use_checkpointing()
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.recipe.rate)
        # self.net stays the bare network
        self.network, self.optimizer = accelerator.prepare(self.net, optimizer)
        self.denoiser, self.averaged = self._denoiser(self.network), self._denoiser(self.ema)
        self.step, self.losses = 0, []  # losses: (training, validation) of each finished epoch
        self.part = 0.0  # of an epoch that is not finished, the sum of the training losses so far
        self.saved, self.saved_at = "", 0.0  # what the checkpoint is of, "" if there is none; when
        self.writer = None

    def _denoiser(self, network: torch.nn.Module) -> DenoiseDiffusion:
        how = {"objective": self.config["objective"], "loss_weight": self.config["training"]["loss_weight"]}
        return DenoiseDiffusion(network, self.config["timesteps"], schedule=self.schedule, **how)

    def _split(self, data: ImageData) -> None:
        """Put the held-out pictures aside, with noise and levels that stay the same for the whole run."""
        g = generator_for(self.recipe.seed, 0)
        n = n_held_out(len(data.images))
        held_out, chosen = torch.randperm(len(data.images), generator=g).split([n, len(data.images) - n])
        labels = data.labels if self.config["class_names"] else None
        self.images, self.labels = data.images[chosen], None if labels is None else labels[chosen]
        # all levels alike, (n,)
        t = ((torch.arange(n) + 0.5) / n * self.config["timesteps"]).ceil().long()
        x = data.images[held_out]
        c = None if labels is None else labels[held_out]
        self.held_out = Batch(x, c, t, torch.randn(x.shape, generator=g))

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of a checkpoint.

        Raises:
            FileNotFoundError, ValueError: no checkpoint, a damaged one, or one of another network.
        """
        state = checkpoints.read(path)
        weights, then = state["ema"], checkpoints.objective_of(state["config"])
        if then != self.config["objective"]:
            raise ValueError(f"{path} answers with {then}, not with {self.config['objective']}: see --objective")
        try:
            self.net.load_state_dict(weights)
            self.ema.load_state_dict(weights)
        except RuntimeError as error:  # PyTorch lists every weight
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{path} does not fit this network: {reason}") from None
        self.accelerator.print(f"starting from the averaged weights of {path}, which were trained before")

    def resume(self) -> None:
        """Go on where the checkpoint was written.

        Raises:
            FileNotFoundError, ValueError: no checkpoint, or one that is damaged, or of a run with other settings.
        """
        state = checkpoints.read(self.checkpoint)
        if "optimizer" not in state:
            raise ValueError(f"{self.checkpoint} is for sampling only: it does not say how to go on")
        try:
            self._go_on_from(state)
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise ValueError(f"{self.checkpoint} does not say how to go on: {reason}") from None

    def _go_on_from(self, state: dict) -> None:
        # older checkpoints are of runs that had no choice
        then, now = {"objective": "noise", "loss_weight": "own", "levels": "uniform"}, _flat(self.config)
        then |= _flat(state["config"])
        longer = now["epochs"] > then.get("epochs", math.inf) == state.get("epoch")
        if longer:  # a finished run
            then |= {"epochs": now["epochs"], "warmup_steps": now["warmup_steps"]}
        if changed := kit.differences(then, now):
            raise ValueError(f"{self.checkpoint} is of another run: {'; '.join(changed)}")
        if longer:
            self.accelerator.print(
                f"lengthened from {state['epoch']} epochs to {now['epochs']}: the learning rate, "
                "which had fallen to 0, rises again to where it would be in the longer run, so the "
                "result is not that of one long run"
            )
        self.net.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.losses = state["step"], state["losses"]
        self.part = state.get("part", 0.0)  # older checkpoints are all of whole epochs
        self.saved = self.place()

    def place(self) -> str:
        """Where the run is, in words."""
        epoch = len(self.losses)
        rest = self.step - epoch * self.epoch_steps
        return f"step {rest} of epoch {epoch + 1}" if rest else f"epoch {epoch}"

    def save(self) -> None:
        """Write the checkpoint; the old one stays whole until the new one is."""
        scaler = self.accelerator.scaler
        state = {
            "config": self.config,
            "ema": self.ema.state_dict(),
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "step": self.step,
            "epoch": len(self.losses),
            "losses": self.losses,
            "part": self.part,
        }
        if self.accelerator.is_main_process:
            save_weights(state, self.checkpoint)
        self.saved, self.saved_at = self.place(), time.monotonic()

    def run(self) -> None:
        """Train from where the run is to the end of its last epoch.

        Raises:
            FloatingPointError: the loss is not finite. The checkpoint is then the last good one.
            KeyboardInterrupt: the user's, with a text that says whether the run can go on.
        """
        try:
            self._run()
        except KeyboardInterrupt:
            way_on = f"; the same command with --resume goes on after {self.saved}"
            lost = " before a checkpoint was written: there is nothing to go on from"
            raise KeyboardInterrupt("stopped" + (way_on if self.saved else lost)) from None

    def _run(self) -> None:
        main, epochs = self.accelerator.is_main_process, self.recipe.epochs
        self.saved_at = time.monotonic()
        if main:
            if not self.saved:  # curves of a run that ended before its first checkpoint
                for old in (self.out / "tensorboard").glob("events.out.tfevents.*"):
                    old.unlink()
            self.writer = SummaryWriter(self.out / "tensorboard", purge_step=self.step)
        disable = None if main else True  # None: no bar where it would go into a file
        with tqdm(total=self.n_steps, initial=self.step, unit="step", disable=disable) as bar:
            for epoch in range(len(self.losses) + 1, epochs + 1):
                loss, validation = self.train_epoch(epoch, bar), self.validation_loss()
                self.check_finite(validation)
                self.losses.append((loss, validation))
                self.part = 0.0
                if main:
                    bar.write(
                        f"epoch {epoch}/{epochs}, loss {loss:.4f}, validation {validation:.4f}",
                        file=sys.stdout,
                    )
                    self.writer.add_scalar("loss/validation", validation, self.step)
                    if epoch % self.sample_every == 0 or epoch == epochs:
                        self.draw(epoch)
                self.save()
                self.accelerator.wait_for_everyone()
        if main:
            self.writer.close()
            checkpoints.strip(self.checkpoint, self.out / "model.pt")

    def train_epoch(self, epoch: int, bar: tqdm) -> float:
        """Train on every picture once, or on what is left of a stopped epoch; the mean loss."""
        accelerator, recipe = self.accelerator, self.recipe
        self.net.train()
        g = generator_for(recipe.seed, epoch)
        augmented = (
            augmentation(self.config["dataset"]) if self.config["training"]["augment"] else lambda x, generator: x
        )
        rest = (self.config["timesteps"], augmented, g, self.config["training"]["levels"])
        batches = epoch_batches(self.images, self.labels, recipe.batch_size, *rest)
        done = self.step - (epoch - 1) * self.epoch_steps  # their batches are drawn and left out
        logged, pending = done, []  # how many steps the sum of the losses is of; the losses since
        for i, batch in itertools.islice(enumerate(batches, start=1), done, None):
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.rate * kit.learning_rate(self.step, self.n_steps, recipe.warmup_steps)
            pending.append(self.train_step(batch))
            ema_update(self.ema, self.net, kit.ema_decay_at(self.step, recipe.ema_decay))
            self.step += 1
            bar.update()
            if i % LOG_EVERY == 0 or i == self.epoch_steps:
                loss = accelerator.reduce(torch.stack(pending).mean(), "mean").item()
                self.check_finite(loss)
                self.part, logged, pending = self.part + loss * (i - logged), i, []
                bar.set_postfix(epoch=epoch, loss=f"{loss:.4f}")
                if self.writer:
                    self.writer.add_scalar("loss/training", loss, self.step)
                    self.writer.add_scalar("learning_rate", group["lr"], self.step)
                    if i < self.epoch_steps and self.time_to_save():
                        self.check_finite(self.validation_loss())  # has this step broken them?
                        self.save()
        return self.part / self.epoch_steps

    def time_to_save(self) -> bool:
        """Whether the last checkpoint of this process is old enough for another one."""
        return time.monotonic() - self.saved_at >= 60 * self.save_minutes

    def train_step(self, batch: Batch) -> Tensor:
        """One step of the optimiser; the loss of this process's share, not yet read from the device."""
        accelerator, losses = self.accelerator, []
        for i in range(accelerator.gradient_accumulation_steps):
            start = self.share * (i * accelerator.num_processes + accelerator.process_index)
            own = batch.share(slice(start, start + self.share), accelerator.device)
            with accelerator.accumulate(self.network):
                loss = self.denoiser.loss(own.x, own.c, t=own.t, noise=own.noise)
                accelerator.backward(loss)
                # the last part: gradients are complete, and the same in all processes
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(self.network.parameters(), kit.LARGEST_GRADIENT)
                self.optimizer.step()
                self.optimizer.zero_grad()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    @torch.no_grad()
    def validation_loss(self) -> float:
        """The loss of the averaged weights on the held-out pictures. Every process measures all of it: it is short."""
        n, total = len(self.held_out.x), 0.0
        for start in range(0, n, self.share):
            x, c, t, noise = self.held_out.share(slice(start, start + self.share), self.accelerator.device)
            total += self.averaged.loss(x, c, t=t, noise=noise).item() * len(x)
        return total / n

    def check_finite(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        last = f"{self.checkpoint} is that of {self.saved}"
        kept = last if self.saved else "there is no checkpoint yet"
        raise FloatingPointError(
            f"the loss is {loss} at step {self.step}; {kept}. Try a lower --lr (now {self.recipe.rate}), "
            "--mixed-precision bf16 in place of fp16, and look at the pictures: are all of them what they should be?"
        )

    def draw(self, epoch: int) -> None:
        """Draw a few pictures, a column for each class, always from the same noise."""
        n_classes = len(self.config["class_names"])
        columns = min(n_classes, 10) or SAMPLE_ROWS
        n = columns * SAMPLE_ROWS
        context = torch.eye(n_classes)[torch.arange(n) % columns] if n_classes else None
        steps, net = min(SAMPLE_STEPS, self.config["timesteps"]), Clipped(self.averaged.model, self.schedule)
        samples, _ = sample_dpm_context(
            n,
            context,
            steps,
            eta=math.inf,
            save_rate=steps,
            model=net,
            schedule=self.schedule,
            seed=0,
            progress=False,
        )  # with eta=0, pictures of ten steps are worse: see the table in README.md
        grid = torch.from_numpy(mosaic(samples, SAMPLE_ROWS)).permute(2, 0, 1)  # (3, height, width)
        with replacing(self.out / "samples" / f"epoch_{epoch:04d}.png") as part:
            save_image(grid, part)
        self.writer.add_image("samples", grid, self.step)


def augmentation(dataset: str) -> Callable:
    """What turns a picture into another that could have been in the set."""
    # a mirrored digit is no digit
    kinds = {"sprites": augment, "mnist": lambda images, generator: images}
    return kinds.get(dataset, datasets.mirror)


def _flat(config: dict) -> dict:
    """One level in place of two: {"unet": {"dim": 32}} → {"dim": 32}."""
    flat = {}
    for key, value in config.items():
        flat.update(value if isinstance(value, dict) else {key: value})
    return flat


def choose_precision(asked: str, resumed: Path | None) -> str | None:
    """The precision to compute with; None leaves it to what started several processes.

    Args:
        asked: the option; "auto" is that of the run that goes on, else bf16 if it is faster here.
        resumed: the checkpoint to go on from.
    """
    if asked != "auto":
        return asked
    if resumed is not None:
        then = _flat(checkpoints.read(resumed)["config"])
        return then.get("mixed_precision", "no")
    if {"ACCELERATE_MIXED_PRECISION", "WORLD_SIZE"} & os.environ.keys():
        return None  # each process would try for itself, and they might not agree
    return "bf16" if bf16_is_faster(default_device()) else "no"


def train(args: argparse.Namespace) -> None:
    """Train as the arguments say.

    Raises:
        ValueError, OSError: arguments or files that do not fit.
        FloatingPointError: the loss is not finite.
    """
    out = args.out or Path("runs") / args.dataset
    if not args.resume and (out / "checkpoint.pt").exists():
        raise ValueError(f"{out} holds a run already: add --resume to go on with it, or choose another --out")
    root = datasets.folder_of(args.dataset, args.data)
    resumed = out / "checkpoint.pt" if args.resume else None
    mixed_precision = choose_precision(args.mixed_precision, resumed)
    # without cpu=True, processes on a machine without a GPU would not know of each other, and each
    # train on its own
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision=mixed_precision,
        gradient_accumulation_steps=args.accumulate,
    )
    if accelerator.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise ValueError("expected a GPU for --mixed-precision fp16, got none: bf16 works on a CPU as well")
    with accelerator.main_process_first():  # one process downloads, the others find the files
        data = datasets.load(args.dataset, root, args.image_size)
    trainer = Trainer(
        accelerator,
        data,
        make_config(args, data, accelerator.mixed_precision),
        out,
        args.sample_every,
        args.save_minutes,
        args.checkpointing,
    )
    if args.start is not None and not args.resume:
        trainer.start_from(args.start)
    if args.resume:
        trainer.resume()
    if accelerator.is_main_process:
        size = sum(p.numel() for p in trainer.net.parameters())
        print(
            f"{len(trainer.images)} pictures to train on, {len(trainer.held_out.x)} held out; a network of {size:,} "
            f"numbers; {trainer.n_steps - trainer.step} steps to go; processes: {accelerator.num_processes}, on "
            f"{accelerator.device.type}; mixed precision: {accelerator.mixed_precision}",
            flush=True,
        )
    with kit.alone(trainer.checkpoint) if accelerator.is_main_process else nullcontext():
        trainer.run()
    accelerator.print(f"done: {out / 'model.pt'}")
    accelerator.end_training()


def main(argv: list[str] | None = None) -> None:
    parser = train_parser(__doc__)
    args = parser.parse_args(argv)
    memory = "add --checkpointing; or raise --accumulate, which keeps the result up to rounding; or lower --batch-size"
    with errors_in_one_line(parser, memory, stopped="stopped before the training began"):
        train(args)


if __name__ == "__main__":
    main()

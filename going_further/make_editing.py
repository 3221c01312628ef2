"""Train the networks that editing and guidance need, from the sprites in ``data/``.

    python -m going_further.make_editing --bf16              # all of them
    python -m going_further.make_editing --bf16 upscaler     # some

``upscaler.pth`` sees an 8×8 picture and draws the 16×16 one. ``noisy_classifier.pth`` says the class
of a noisy sprite; ``clean_classifier.pth`` has the same form, but was never shown noise.
``unet_8.pth`` draws 8×8 pictures of a class, for a cascade. Beside it stands ``unet_16.pth``, the course's
network, trained for as many seconds as ``unet_8.pth`` and ``upscaler.pth`` together; it is measured, and
not kept in git. A run of a U-Net may be stopped; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from diffusion_utilities import (
    ContextUnet,
    linear_schedule,
    load_sprites,
    perturb_input,
    save_weights,
    sprite_batches,
    sprite_tensors,
)
from going_further.editing import Upscaler, shrink, small_context
from going_further.guidance import NoisyClassifier
from support.files import ROOT, read_json
from support.tables import write_text
from support.training import CONTEXT_DROPOUT, Recipe, Run, half_state_dict
from weights.make_weights import LABELS, SPRITES
from weights.muon import MuonAndAdamW

FOLDER = ROOT / "going_further/editing_networks"
FIGURES = FOLDER / "training.json"
STRONGEST = 0.2  # noise in the small pictures of the upscaler's training, as a share of T
VIEWS = 4  # of each sprite in an epoch
RECIPES = {
    "upscaler": Recipe(epochs=40, views=VIEWS, largest_weight=5.0, context_dropout=0.0),
    # a class is decided at high levels, where 1/ᾱ is large
    "unet_8": Recipe(epochs=60, views=VIEWS, largest_weight=math.inf, context_dropout=CONTEXT_DROPOUT),
    "unet_16": Recipe(epochs=1, views=VIEWS, largest_weight=math.inf, context_dropout=CONTEXT_DROPOUT),
}


def batches_with_small(
    images: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented sprites and their small pictures as contexts: two thirds of these with noise, of any strength."""
    for x, _ in sprite_batches(images, labels, batch_size, generator):
        strength = (STRONGEST * (1.5 * torch.rand(len(x), generator=generator) - 0.5).clamp(min=0)).to(x)
        yield x, small_context(shrink(x), strength, generator)


def build(name: str) -> tuple[torch.nn.Module, dict]:
    """A new network, and in what its run is unlike others."""
    if name == "upscaler":
        return Upscaler(ContextUnet(6, 64, 1, 16)), {"batches": batches_with_small}
    return ContextUnet(3, 64, 5, 8 if name == "unet_8" else 16), {}


def train_unet(name: str, images: Tensor, labels: Tensor, folder: Path, recipe: Recipe) -> dict:
    """Train a U-Net, and write its averaged weights to ``folder``, in 16 bits."""
    torch.manual_seed(recipe.seed)
    model, ways = build(name)
    model = model.to(images.device, memory_format=torch.channels_last)
    images = shrink(images) if name == "unet_8" else images
    run = Run(recipe, model, MuonAndAdamW(model), images, labels, folder / f"{name}.checkpoint", **ways)
    figures = run.finish(lambda run: print(f"{name}: epoch {run.epoch - 1}, loss {run.losses[-1]:.4f}", flush=True))
    save_weights(half_state_dict(run.ema.model if name == "upscaler" else run.ema), folder / f"{name}.pth")
    run.checkpoint.unlink()
    return figures


def train_classifier(
    name: str, images: Tensor, labels: Tensor, folder: Path, steps: int = 4000, bf16: bool = False
) -> dict:
    """Train a classifier on sprites of all levels, or, if it is the clean one, on clean sprites."""
    torch.manual_seed(0)
    batch_size, schedule = min(512, len(images)), linear_schedule().to(images.device)
    model = NoisyClassifier(labels.shape[1]).to(images.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    decay = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps)
    began, batches = time.perf_counter(), sprite_batches(images, labels, batch_size)
    for _, (x, c) in zip(tqdm(range(steps), desc=name, disable=None), batches, strict=False):
        t = torch.randint(0, 501, (len(x),), device=x.device) * (name == "noisy_classifier")
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            scores = model(perturb_input(x, t, torch.randn_like(x), schedule), t / 500)
        optimizer.zero_grad()
        F.cross_entropy(scores.float(), c).backward()
        optimizer.step()
        decay.step()
    save_weights(half_state_dict(model), folder / f"{name}.pth")
    return {"steps": steps, "images_shown": steps * batch_size, "seconds": round(time.perf_counter() - began)}


def seconds_a_step(name: str, images: Tensor, labels: Tensor, bf16: bool, steps: int = 40) -> float:
    """What a step of training takes at this moment, measured over a short trial."""
    few = images[: 64 * steps // VIEWS]
    model, ways = build(name)
    model = model.to(images.device, memory_format=torch.channels_last)
    few_images = shrink(few) if name == "unet_8" else few
    recipe = replace(RECIPES[name], bf16=bf16, epochs=2)
    run = Run(recipe, model, MuonAndAdamW(model), few_images, labels[: len(few)], FOLDER / "trial.checkpoint", **ways)
    run.train_epoch()  # the first steps are slower
    warm = run.seconds
    run.train_epoch()
    return (run.seconds - warm) / recipe.steps(len(few))


def epochs_of_equal_seconds(figures: dict, images: Tensor, labels: Tensor, bf16: bool) -> int:
    """How many epochs of the 16×16 network take as long as both networks of the cascade take together.

    All three are timed now, one after the other: what their runs took depends on what ran beside them.
    """
    a_step = {name: seconds_a_step(name, images, labels, bf16) for name in ("upscaler", "unet_8", "unet_16")}
    wanted = sum(figures[name]["steps"] * a_step[name] for name in ("upscaler", "unet_8"))
    figures["seconds_a_step"] = {name: round(seconds, 4) for name, seconds in a_step.items()}
    return max(1, round(wanted / a_step["unet_16"] / RECIPES["unet_16"].steps(len(images))))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make_editing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("upscaler", "unet_8", "noisy_classifier", "clean_classifier", "unet_16")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bf16", action="store_true", help="16-bit arithmetic: faster on new processors")
    args = parser.parse_args()
    if unknown := set(args.networks) - set(names):
        parser.error(f"expected networks among {', '.join(names)}, got {', '.join(sorted(unknown))}")
    images, labels = sprite_tensors(*load_sprites(SPRITES, LABELS), args.device)
    FOLDER.mkdir(exist_ok=True)
    figures = read_json(FIGURES) if FIGURES.exists() else {}
    for name in args.networks or names:
        if name.endswith("classifier"):
            figures[name] = train_classifier(name, images, labels, FOLDER, bf16=args.bf16)
        else:
            recipe = replace(RECIPES[name], bf16=args.bf16)
            if name == "unet_16":
                recipe = replace(recipe, epochs=epochs_of_equal_seconds(figures, images, labels, args.bf16))
            figures[name] = train_unet(name, images, labels, FOLDER, recipe)
        figures[name] |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
        print(name, figures[name]["seconds"], "s", flush=True)
        write_text(FIGURES, json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

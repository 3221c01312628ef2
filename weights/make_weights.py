"""Make the files of this folder from the sprites in ``data/``.

    python -m weights.make_weights                 # all of them, then measure
    python -m weights.make_weights classifier      # sprite_classifier.pth
    python -m weights.make_weights unconditional   # model_0, _4, _8, _31 and model_trained.pth
    python -m weights.make_weights longer          # one more leg of training, kept if it is better
    python -m weights.make_weights context         # context_model_trained.pth
    python -m weights.make_weights peers           # other recipes: figures and pictures only
    python -m weights.make_weights --evaluate      # measure what is there, into metrics.json
    python -m weights.make_weights --evaluate frontier where    # some of it

A run of the networks may be stopped at any moment (the classifier, half a minute, starts anew). The
same command goes on at the last finished epoch and ends with the same weights as a run that was not
stopped, because all randomness of an epoch follows from the seed and the epoch's number.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from diffusion_utilities import (
    CLASS_NAMES,
    ContextUnet,
    SpriteClassifier,
    augment,
    linear_schedule,
    load_pretrained,
    load_sprites,
    perturb_input,
    save_weights,
    sprite_tensors,
)
from support.files import read_checkpoint, read_json, read_state, sha256
from support.quality import Ruler
from support.tables import write_text
from support.training import CONTEXT_DROPOUT, Recipe, Run, cpu_state_dict, half_state_dict, loss_weight, weights_hash
from weights.measure import PARTS, measure_leg, measure_peer, measure_short
from weights.muon import MuonAndAdamW
from weights.peers import DiffusersUnet, perturb_without_root, random_shortcut_unet

WEIGHTS_DIR = Path(__file__).resolve().parent
LEGS_DIR = WEIGHTS_DIR / "legs"  # not in git
DATA_DIR = WEIGHTS_DIR.parent / "data"
SPRITES = DATA_DIR / "sprites_1788_16x16.npy"
LABELS = DATA_DIR / "sprite_labels_nc_1788_16x16.npy"
CAPTIONS = DATA_DIR / "sprite_captions_1788.csv"

SEED = 0
# An epoch shows each sprite twenty times, each time augmented anew.
UNCONDITIONAL = Recipe(epochs=32, views=20, largest_weight=5.0, seed=SEED)
# Epochs of the further legs of the unconditional run. Each has its own seed, and ends at a rate of 0,
# so that what there is can be used whenever the patience ends; that was after the fifth.
LEGS = (42, 24, 24, 44, 59)
RECIPES = {
    "unconditional": UNCONDITIONAL,
    # It starts from the unconditional network, so full rates would undo much of what that has
    # learned. The class is decided at high levels, where 1/ᾱ is large.
    "context": replace(
        UNCONDITIONAL,
        epochs=24,
        rate=0.5,
        context_dropout=CONTEXT_DROPOUT,
        largest_weight=math.inf,
    ),
    # of the peers only the order matters, and that shows early
    "peers": replace(UNCONDITIONAL, epochs=5),
}
PREFIX = {"unconditional": "model", "context": "context_model"}  # of the files' names
KEPT_EPOCHS = {"unconditional": (0, 4, 8, 31)}
# what is made where nothing is asked for
RUNS = ("classifier", "unconditional", *["longer"] * len(LEGS), "context", "peers")


def train_network(
    name: str,
    images: Tensor,
    labels: Tensor,
    out: Path,
    recipe: Recipe,
    start: Path | None = None,
    n_feat: int = 64,
    model: torch.nn.Module | None = None,
    **ways: Callable,
) -> dict:
    """Train a network and write its weights to ``out``, in 16 bits.

    It goes on from ``out/{name}.checkpoint``, which has all 32 bits, if that is there. A new run
    begins with the weights in ``start``, or with random ones. ``model``, and the ``ways`` of
    :class:`support.training.Run`, perturb, levels and batches, are for peers and comparisons.

    Returns:
        what is worth recording: see :meth:`support.training.Run.finish`.
    """
    torch.manual_seed(recipe.seed)
    model = model or ContextUnet(3, n_feat, labels.shape[1], images.shape[-1])
    model = model.to(images.device, memory_format=torch.channels_last)
    if start is not None:
        state = read_state(start)
        model.load_state_dict(state)
        recipe = replace(recipe, start=weights_hash(state))
    checkpoint = out / f"{name}.checkpoint"
    run = Run(recipe, model, MuonAndAdamW(model), images, labels, checkpoint, **ways)
    if run.epoch:
        print(f"{name}: going on after epoch {run.epoch - 1}")

    def after_epoch(run: Run) -> None:
        epoch = run.epoch - 1
        print(f"{name}: epoch {epoch}, loss {run.losses[-1]:.4f}, {run.seconds:.0f} s", flush=True)
        if epoch in KEPT_EPOCHS.get(name, ()):
            save_weights(half_state_dict(run.model), out / f"{PREFIX[name]}_{epoch}.pth")

    figures = run.finish(after_epoch)
    save_weights(half_state_dict(run.ema), out / f"{PREFIX.get(name, name)}_trained.pth")
    return figures


def loss_on_fresh(figures: dict) -> float:
    """The loss of the unconditional run on fresh sprites, a mean over the levels that measure_leg looks at."""
    errors = figures["error"]["fresh"]
    t = torch.tensor([int(level) for level in errors])
    weights = loss_weight(t, linear_schedule(), UNCONDITIONAL.largest_weight)
    return (weights * torch.tensor(list(errors.values()))).mean().item()


def run_leg(images: Tensor, labels: Tensor, bf16: bool) -> list[dict]:
    """Train the unconditional network for one more leg, from the end of the last one on.

    It becomes ``model_trained.pth`` where its loss on fresh sprites is the least so far. Where the file of the last
    leg is gone, it starts from ``model_trained.pth``.

    Returns:
        the figures of all legs.
    """
    before, legs = read_metrics()["unconditional"], read_metrics().get("longer", [])
    k, shipped = len(legs) + 1, WEIGHTS_DIR / "model_trained.pth"
    last = LEGS_DIR / f"leg_{k - 1}_trained.pth"
    epochs = LEGS[min(k, len(LEGS)) - 1]
    recipe = replace(UNCONDITIONAL, epochs=epochs, bf16=bf16, seed=SEED + k)
    figures = train_network(f"leg_{k}", images, labels, LEGS_DIR, recipe, last if last.exists() else shipped)
    new, ruler = LEGS_DIR / f"leg_{k}_trained.pth", Ruler(images)
    model = load_pretrained(new, images.device)
    figures |= measure_leg(ruler, model, bf16)
    if loss_on_fresh(figures) < min(map(loss_on_fresh, (before, *legs))):
        save_weights(read_state(new), shipped)
    # the file has 16 bits: is anything lost?
    model.load_state_dict(read_checkpoint(LEGS_DIR / f"leg_{k}.checkpoint")["ema"])
    figures["fsd_in_32_bits"] = measure_short(ruler, model, bf16)
    return [*legs, figures]


def read_kinds(captions: Path) -> tuple[list[str], np.ndarray]:
    """The kinds, as "class / kind", and the number of each sprite's kind."""
    with captions.open(newline="", encoding="utf-8-sig") as file:
        rows = [f"{row['class']} / {row['kind']}" for row in csv.DictReader(file)]
    names = sorted(set(rows))
    return names, np.array([names.index(row) for row in rows])


def train_classifier(images: Tensor, labels: Tensor, kinds: np.ndarray, n_kinds: int, out: Path) -> dict:
    """Train the classifier on 80 % of each kind's sprites; its accuracy on the other 20 %.

    Writes ``out/sprite_classifier.pth``.
    """
    epochs, batch_size, device = 60, 64, images.device
    shuffled = np.random.default_rng(SEED).permutation(len(kinds))
    rank = np.zeros(len(kinds), dtype=int)  # each sprite's place in its kind
    for kind in range(n_kinds):
        members = shuffled[kinds[shuffled] == kind]
        rank[members] = np.arange(len(members))
    held_out = torch.from_numpy(rank % 5 == 0).to(device)
    classes, kinds = labels.argmax(dim=1), torch.from_numpy(kinds).to(device)

    torch.manual_seed(SEED)
    model = SpriteClassifier(labels.shape[1], n_kinds).to(device)
    train = torch.nonzero(~held_out).squeeze(1)
    batches = len(train) // batch_size  # of an epoch
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    total = epochs * batches
    decay = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=total)
    start = time.perf_counter()
    for _ in tqdm(range(epochs), desc="classifier", disable=None):
        order = train[torch.randperm(len(train)).to(device)]
        for chosen in order.split(batch_size)[:batches]:
            class_scores, kind_scores = model(augment(images[chosen]))
            loss = F.cross_entropy(class_scores, classes[chosen])
            loss = loss + F.cross_entropy(kind_scores, kinds[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
    model.eval()
    with torch.no_grad():
        class_scores, kind_scores = model(images[held_out])
    class_right = class_scores.argmax(dim=1) == classes[held_out]
    kind_right = kind_scores.argmax(dim=1) == kinds[held_out]
    save_weights(cpu_state_dict(model), out / "sprite_classifier.pth")
    return {
        "trained_on": len(train),
        "tested_on": int(held_out.sum()),
        "class_accuracy": round(class_right.float().mean().item(), 4),
        "kind_accuracy": round(kind_right.float().mean().item(), 4),
        "accuracy_by_class": {
            name: round(class_right[classes[held_out] == i].float().mean().item(), 4)
            for i, name in enumerate(CLASS_NAMES)
        },
        "seconds": round(time.perf_counter() - start),
    }


PEERS = {
    "ours": (lambda: ContextUnet(3, 64, 5, 16), perturb_input),
    "missing_root": (lambda: ContextUnet(3, 64, 5, 16), perturb_without_root),
    "random_shortcut": (random_shortcut_unet, perturb_input),
    "public_recipe": (random_shortcut_unet, perturb_without_root),
    "diffusers": (DiffusersUnet, perturb_input),
}


def run_peers(images: Tensor, labels: Tensor, out: Path, bf16: bool) -> dict:
    """Train each of the peers in the same way and for the same short time, and measure it."""
    ruler, figures, recipe = Ruler(images), {}, replace(RECIPES["peers"], bf16=bf16)
    for peer, (build, perturb) in PEERS.items():
        torch.manual_seed(SEED)
        name, model = f"peer_{peer}", build()
        how = {"model": model, "perturb": perturb}
        figures[peer] = train_network(name, images, labels, out, recipe, **how)
        model.load_state_dict(read_state(out / f"{name}_trained.pth"))
        figures[peer]["parameters"] = sum(p.numel() for p in model.parameters())
        figures[peer]["quality"] = measure_peer(peer, model, ruler, bf16)
    return figures


def read_metrics() -> dict:
    """What ``metrics.json`` holds so far.

    Raises:
        ValueError: it is damaged.
    """
    path = WEIGHTS_DIR / "metrics.json"
    return read_json(path) if path.exists() else {}


def record(entry: str, values: dict) -> None:
    """Put one run's figures, and the hashes of the files as they are now, into metrics.json."""
    files = sorted(WEIGHTS_DIR.glob("*.pth"))
    hashes = {path.name: sha256(path) for path in files if not path.name.startswith("peer_")}
    metrics = read_metrics() | {entry: values, "sha256": hashes}
    text = json.dumps(dict(sorted(metrics.items())), indent=2) + "\n"
    write_text(WEIGHTS_DIR / "metrics.json", text)


def evaluate(parts: list[str], images: Tensor, labels: Tensor, bf16: bool, made_on: dict) -> None:
    """Measure the files of this folder; each part is recorded when it is done, for some take an hour."""
    ruler = Ruler(images)
    for part in parts:
        found = PARTS[part](ruler, labels, bf16)
        figures = read_metrics().get("evaluation", {}) | found | {"made_on": made_on}  # as it is now
        if {"frontier", "quality"} <= figures.keys():
            figures["frontier"]["DDPM"] = {"500": figures["quality"]["DDPM, 500 steps"]["fsd"]}
        record("evaluation", figures)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = f"{', '.join(dict.fromkeys(RUNS))} (default: these, in this order, with {len(LEGS)} legs of longer)"
    parser.add_argument("runs", nargs="*", metavar="RUN", help=which)
    parts = f"measure the files that are there: {', '.join(PARTS)} (default: all of it)"
    parser.add_argument("--evaluate", nargs="*", metavar="PART", help=parts)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    twice = "16-bit arithmetic: twice as fast where the processor has it"
    parser.add_argument("--bf16", action="store_true", help=twice)
    args = parser.parse_args()
    if unknown := set(args.runs) - set(RUNS):
        known = ", ".join(dict.fromkeys(RUNS))
        parser.error(f"expected runs among {known}, got {', '.join(sorted(unknown))}")
    if unknown := set(args.evaluate or ()) - set(PARTS):
        parser.error(f"expected parts among {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    read_metrics()  # a damaged file is found now, not after the hours of a run
    sprites, labels = load_sprites(SPRITES, LABELS)
    images, labels = sprite_tensors(sprites, labels, args.device)
    made_on = {
        "data_sha256": sha256(SPRITES),
        "device": args.device if args.device == "cpu" else torch.cuda.get_device_name(),
        "processors": os.cpu_count(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "seed": SEED,
        "bf16": args.bf16,
    }
    everything = not args.runs and args.evaluate is None
    runs = RUNS if everything else args.runs
    trained = WEIGHTS_DIR / "model_trained.pth"
    for run in runs:
        if run in ("longer", "context") and not trained.exists():
            parser.error(f"{run} starts from {trained}: run unconditional first")
        if run == "classifier":
            names, kinds = read_kinds(CAPTIONS)
            figures = train_classifier(images, labels, kinds, len(names), WEIGHTS_DIR)
        elif run == "peers":
            figures = run_peers(images, labels, WEIGHTS_DIR, args.bf16)
        elif run == "longer":
            legs = run_leg(images, labels, args.bf16)
            legs[-1]["made_on"] = made_on
            record(run, legs)
            continue
        else:
            start = trained if run == "context" else None
            figures = train_network(run, images, labels, WEIGHTS_DIR, replace(RECIPES[run], bf16=args.bf16), start)
            if run == "unconditional":
                figures |= measure_leg(Ruler(images), load_pretrained(trained, args.device), args.bf16)
                record("longer", [])  # its legs begin anew, too
        record(run, figures | {"made_on": made_on})
    if everything or args.evaluate is not None:
        evaluate(args.evaluate or list(PARTS), images, labels, args.bf16, made_on)
    for run in runs:  # all is done; the next call begins anew
        name = {"peers": "peer_*", "longer": "legs/leg_*"}.get(run, run)
        for path in WEIGHTS_DIR.glob(f"{name}.checkpoint"):
            path.unlink()


if __name__ == "__main__":
    main()

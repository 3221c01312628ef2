"""Make the files of this folder from the sprites in ``data/``.

    python -m weights.make_weights                        # all of them, then measure
    python -m weights.make_weights classifier             # sprite_classifier.pth
    python -m weights.make_weights unconditional          # model_0, _4, _8, _31 and model_trained.pth
    python -m weights.make_weights context                # context_model_31 and context_model_trained.pth
    python -m weights.make_weights peers                  # other recipes, for comparison: figures and pictures only
    python -m weights.make_weights --evaluate             # measure the files that are there, into metrics.json

A run of the networks may be stopped at any moment (the classifier, half a minute, starts anew). The same command goes
on at the last finished epoch and ends with the same weights as a run that was not stopped, because all randomness of an
epoch follows from the seed and the epoch's number.
"""

from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from diffusion_utilities import (
    CLASS_NAMES,
    ContextUnet,
    NoiseSchedule,
    SpriteClassifier,
    augment,
    ema_update,
    linear_schedule,
    load_sprites,
    perturb_input,
    save_weights,
    sprite_batches,
    sprite_tensors,
)
from weights.measure import (
    Ruler,
    measure_context,
    measure_epochs,
    measure_frontier,
    measure_peer,
    measure_unconditional,
)
from weights.muon import MuonAndAdamW
from weights.peers import DiffusersUnet, perturb_without_root, random_shortcut_unet

WEIGHTS_DIR = Path(__file__).resolve().parent
DATA_DIR = WEIGHTS_DIR.parent / "data"
SPRITES = DATA_DIR / "sprites_1788_16x16.npy"
LABELS = DATA_DIR / "sprite_labels_nc_1788_16x16.npy"
CAPTIONS = DATA_DIR / "sprite_captions_1788.csv"

EPOCHS = 32
VIEWS = 20  # an epoch shows each sprite twenty times, each time augmented anew
CONTEXT_VIEWS = 12  # fewer, because the context run starts from the unconditional network
PEER_EPOCHS = 1  # of the peers only the order matters, and that shows early
BATCH_SIZE = 64
CONTEXT_RATE = 0.5  # of these rates: the full ones would undo much of what the unconditional run has learned
WARM_UP = 100  # steps
LARGEST_WEIGHT = 5.0  # of the unconditional run
LARGEST_CONTEXT_WEIGHT = math.inf  # the class is decided at high levels, where 1/ᾱ is large
EMA_DECAY = 0.999
MASKED = 0.1  # share of training pictures whose context is hidden, so that the network also learns to draw without
SEED = 0
PREFIX = {"unconditional": "model", "context": "context_model"}  # of the files' names
KEPT_EPOCHS = {"unconditional": (0, 4, 8, 31), "context": (31,)}
RUNS = ("classifier", "unconditional", "context", "peers")


def learning_rate(step: int, n_steps: int) -> float:
    """A short straight rise to 1, then half a cosine down to 0; a factor for the learning rates."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, n_steps - WARM_UP)))


def loss_weight(t: Tensor, schedule: NoiseSchedule, largest: float = LARGEST_WEIGHT) -> Tensor:
    """1/ᾱ_t, at most ``largest``: how much the squared error at level t (n,) counts.

    Where there is little picture left, the noise is easily guessed and its error small, but it decides what will be
    drawn. An error of ε weighted by 1/ᾱ is the error of v (Salimans and Ho 2022, arXiv 2202.00512, appendix D).
    """
    return (1 / schedule.ab_t[t]).clamp(max=largest)


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """A plain state_dict on the CPU."""
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}


def train_epoch(
    model: ContextUnet,
    ema: ContextUnet,
    optimizer: MuonAndAdamW,
    images: Tensor,
    labels: Tensor,
    epoch: int,
    epochs: int,
    steps: int,
    context: bool,
    bf16: bool,
    perturb: Callable = perturb_input,
    rate: float = 1.0,
    largest_weight: float = LARGEST_WEIGHT,
) -> float:
    """Train for one epoch of ``steps`` batches; the mean squared error, not weighted."""
    schedule, device = linear_schedule().to(images.device), images.device
    generator = torch.Generator().manual_seed(1000 * SEED + epoch)  # the only randomness of this epoch
    batches = islice(sprite_batches(images, labels, min(BATCH_SIZE, len(images)), generator), steps)
    losses = []
    for i, (x, c) in enumerate(tqdm(batches, total=steps, desc=f"epoch {epoch}", leave=False, disable=None)):
        t = torch.randint(1, schedule.timesteps + 1, (len(x),), generator=generator).to(device)
        noise = torch.randn(x.shape, generator=generator).to(device)
        shown = (torch.rand(len(x), 1, generator=generator) >= MASKED).to(c)
        x_t = perturb(x, t, noise, schedule).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            pred_noise = model(x_t, t / schedule.timesteps, c * shown if context else None)
        error = (pred_noise.float() - noise).square().mean(dim=(1, 2, 3))  # (n,)
        (loss_weight(t, schedule, largest_weight) * error).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(rate * learning_rate(epoch * steps + i, epochs * steps))
        # early on, the average would otherwise still hold the untrained weights
        ema_update(ema, model, min(EMA_DECAY, (1 + epoch * steps + i) / (10 + epoch * steps + i)))
        losses.append(error.mean().detach())
    return torch.stack(losses).mean().item()


def train_network(
    name: str,
    images: Tensor,
    labels: Tensor,
    out: Path,
    context: bool,
    epochs: int = EPOCHS,
    views: int = VIEWS,
    n_feat: int = 64,
    start: Path | None = None,
    bf16: bool = False,
    model: torch.nn.Module | None = None,
    perturb: Callable = perturb_input,
    rate: float = 1.0,
    largest_weight: float = LARGEST_WEIGHT,
) -> dict:
    """Train a network, going on from ``out/{name}.checkpoint`` if that is there; write its weights to ``out``.

    A new run begins with the weights in ``start``, or with random ones. ``model`` and ``perturb`` are for peers;
    ``rate`` is a factor for all learning rates.

    Returns:
        what is worth recording: the loss of each epoch, seconds, the numbers of steps and images.
    """
    device = images.device
    steps = max(1, views * len(images) // BATCH_SIZE)
    torch.manual_seed(SEED)
    model = model or ContextUnet(3, n_feat, labels.shape[1], images.shape[-1])
    model = model.to(device, memory_format=torch.channels_last)
    if start is not None:
        model.load_state_dict(torch.load(start, map_location=device, weights_only=True))
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = MuonAndAdamW(model)
    losses, seconds = [], 0.0

    checkpoint = out / f"{name}.checkpoint"
    settings = {"context": context, "epochs": epochs, "steps": steps, "n_feat": n_feat, "bf16": bf16, "seed": SEED}
    settings["data"] = hashlib.sha256(images.cpu().numpy().tobytes()).hexdigest()
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["settings"] != settings:
            raise ValueError(
                f"{checkpoint} is of another run: {state['settings']}, not {settings}; delete it to begin anew"
            )
        model.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        losses, seconds = state["losses"], state["seconds"]
        print(f"{name}: going on after epoch {len(losses) - 1}")

    for epoch in range(len(losses), epochs):
        began = time.perf_counter()
        model.train()
        losses.append(
            train_epoch(
                model,
                ema,
                optimizer,
                images,
                labels,
                epoch,
                epochs,
                steps,
                context,
                bf16,
                perturb,
                rate,
                largest_weight,
            )
        )
        seconds += time.perf_counter() - began
        print(f"{name}: epoch {epoch}, loss {losses[-1]:.4f}, {seconds:.0f} s", flush=True)
        if epoch in KEPT_EPOCHS.get(name, ()):
            save_weights(weights_of(model), out / f"{PREFIX[name]}_{epoch}.pth")
        state = {"model": model.state_dict(), "ema": ema.state_dict(), "optimizer": optimizer.state_dict()}
        save_weights({**state, "losses": losses, "seconds": seconds, "settings": settings}, checkpoint)
    save_weights(weights_of(ema), out / f"{PREFIX.get(name, name)}_trained.pth")
    return {
        "loss_per_epoch": [round(loss, 5) for loss in losses],
        "epochs": epochs,
        "steps": steps * epochs,
        "images_shown": steps * epochs * BATCH_SIZE,
        "seconds": round(seconds),
    }


def read_kinds(captions: Path) -> tuple[list[str], np.ndarray]:
    """The kinds, as "class / kind", and the number of each sprite's kind."""
    with captions.open(newline="", encoding="utf-8") as file:
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
    steps = epochs * (len(train) // batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    decay = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    start = time.perf_counter()
    for _ in tqdm(range(epochs), desc="classifier", disable=None):
        for chosen in train[torch.randperm(len(train)).to(device)].split(batch_size)[: len(train) // batch_size]:
            class_scores, kind_scores = model(augment(images[chosen]))
            loss = F.cross_entropy(class_scores, classes[chosen]) + F.cross_entropy(kind_scores, kinds[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            decay.step()
    model.eval()
    with torch.no_grad():
        class_scores, kind_scores = model(images[held_out])
    class_right = class_scores.argmax(dim=1) == classes[held_out]
    kind_right = kind_scores.argmax(dim=1) == kinds[held_out]
    save_weights(weights_of(model), out / "sprite_classifier.pth")
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
    ruler, figures = Ruler(images), {}
    for name, (build, perturb) in PEERS.items():
        torch.manual_seed(SEED)
        model = build()
        n_parameters = sum(p.numel() for p in model.parameters())
        settings = {"context": False, "epochs": PEER_EPOCHS, "bf16": bf16, "model": model, "perturb": perturb}
        run = train_network(f"peer_{name}", images, labels, out, **settings)
        averaged = torch.load(out / f"peer_{name}_trained.pth", map_location=images.device, weights_only=True)
        model.load_state_dict(averaged)
        figures[name] = run | {"parameters": n_parameters, "quality": measure_peer(name, model, ruler, bf16)}
    return figures


def record(entry: str, values: dict) -> None:
    """Put one run's figures, and the hashes of the files as they are now, into metrics.json."""
    path = WEIGHTS_DIR / "metrics.json"
    metrics = json.loads(path.read_text()) if path.exists() else {}
    metrics[entry] = values
    files = [path for path in sorted(WEIGHTS_DIR.glob("*.pth")) if not path.name.startswith("peer_")]
    metrics["sha256"] = {path.name: sha256(path) for path in files}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dict(sorted(metrics.items())), indent=2) + "\n")
    part.replace(path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{', '.join(RUNS)} (default: all, in this order)")
    parser.add_argument("--evaluate", action="store_true", help="measure the files that are there")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--bf16", action="store_true", help="16-bit arithmetic: twice as fast where the processor has it"
    )
    args = parser.parse_args()
    if unknown := set(args.runs) - set(RUNS):
        parser.error(f"expected runs among {', '.join(RUNS)}, got {', '.join(sorted(unknown))}")
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
    everything = not args.runs and not args.evaluate
    runs = RUNS if everything else args.runs
    for run in runs:
        if run == "classifier":
            names, kinds = read_kinds(CAPTIONS)
            figures = train_classifier(images, labels, kinds, len(names), WEIGHTS_DIR)
        elif run == "unconditional":
            figures = train_network(run, images, labels, WEIGHTS_DIR, context=False, bf16=args.bf16)
        elif run == "context":
            start = WEIGHTS_DIR / "model_trained.pth"
            if not start.exists():
                parser.error(f"the context run starts from {start}; make it first: make_weights.py unconditional")
            settings = {"views": CONTEXT_VIEWS, "start": start, "rate": CONTEXT_RATE, "bf16": args.bf16}
            settings["largest_weight"] = LARGEST_CONTEXT_WEIGHT
            figures = train_network(run, images, labels, WEIGHTS_DIR, context=True, **settings)
        else:
            figures = run_peers(images, labels, WEIGHTS_DIR, args.bf16)
        record(run, figures | {"made_on": made_on})
    if everything or args.evaluate:
        ruler = Ruler(images)
        figures = measure_unconditional(ruler, args.bf16) | measure_frontier(ruler, args.bf16)
        figures["frontier"]["DDPM"] = {"500": figures["quality"]["DDPM, 500 steps"]["fsd"]}
        figures |= measure_epochs(ruler, labels, args.bf16) | measure_context(ruler, labels, args.bf16)
        record("evaluation", figures | {"made_on": made_on})
    for run in runs:  # all is done; the next call begins anew
        for path in WEIGHTS_DIR.glob("peer_*.checkpoint" if run == "peers" else f"{run}.checkpoint"):
            path.unlink()


if __name__ == "__main__":
    main()

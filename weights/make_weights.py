"""Make the files of this folder from the sprites in ``data/``.

    python weights/make_weights.py                        # all of them
    python weights/make_weights.py unconditional          # model_0, _4, _8, _31 and model_trained.pth
    python weights/make_weights.py context                # context_model_trained.pth
    python weights/make_weights.py classifier             # sprite_classifier.pth
    python weights/make_weights.py evaluation             # how well contexts are followed, into metrics.json

A run of the networks may be stopped at any moment (the classifier, a few minutes, starts anew). The same command goes
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
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

WEIGHTS_DIR = Path(__file__).resolve().parent
DATA_DIR = WEIGHTS_DIR.parent / "data"
sys.path.insert(0, str(WEIGHTS_DIR.parent))
from diffusion_utilities import (  # noqa: E402
    CLASS_NAMES,
    ContextUnet,
    SpriteClassifier,
    augment,
    ema_update,
    linear_schedule,
    load_pretrained,
    load_sprites,
    perturb_input,
    sample_ddim_context,
    save_weights,
    sprite_batches,
    sprite_tensors,
)

SPRITES = DATA_DIR / "sprites_1788_16x16.npy"
LABELS = DATA_DIR / "sprite_labels_nc_1788_16x16.npy"
CAPTIONS = DATA_DIR / "sprite_captions_1788.csv"

EPOCHS = 32
CONTEXT_EPOCHS = 6  # fewer, because the context run starts from the unconditional network
VIEWS = 20  # an epoch shows each sprite twenty times, each time augmented anew
BATCH_SIZE = 64
LEARNING_RATE = 1e-3
WARM_UP = 200  # steps
EMA_DECAY = 0.999
MASKED = 0.1  # share of training pictures whose context is hidden, so that the network also learns to draw without
SEED = 0
KEPT_EPOCHS = (0, 4, 8, 31)
RUNS = ("unconditional", "context", "classifier", "evaluation")


def learning_rate(step: int, n_steps: int) -> float:
    """A short straight rise, then half a cosine down to 0."""
    if step < WARM_UP:
        return LEARNING_RATE * (step + 1) / WARM_UP
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, n_steps - WARM_UP)))


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """A plain state_dict on the CPU."""
    return {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}


def train_epoch(
    model: ContextUnet,
    ema: ContextUnet,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    epoch: int,
    epochs: int,
    steps: int,
    context: bool,
    bf16: bool,
) -> float:
    """Train for one epoch of ``steps`` batches; the mean loss."""
    schedule, device = linear_schedule().to(images.device), images.device
    generator = torch.Generator().manual_seed(1000 * SEED + epoch)  # the only randomness of this epoch
    batches = islice(sprite_batches(images, labels, min(BATCH_SIZE, len(images)), generator), steps)
    losses = []
    for i, (x, c) in enumerate(tqdm(batches, total=steps, desc=f"epoch {epoch}", leave=False, disable=None)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(epoch * steps + i, epochs * steps)
        t = torch.randint(1, schedule.timesteps + 1, (len(x),), generator=generator).to(device)
        noise = torch.randn(x.shape, generator=generator).to(device)
        shown = (torch.rand(len(x), 1, generator=generator) >= MASKED).to(c)
        x_t = perturb_input(x, t, noise, schedule).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            pred_noise = model(x_t, t / schedule.timesteps, c * shown if context else None)
        loss = F.mse_loss(pred_noise.float(), noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        # early on, the average would otherwise still hold the untrained weights
        ema_update(ema, model, min(EMA_DECAY, (1 + epoch * steps + i) / (10 + epoch * steps + i)))
        losses.append(loss.detach())
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
) -> dict:
    """Train a network, going on from ``out/{name}.checkpoint`` if that is there; write its weights to ``out``.

    A new run begins with the weights in ``start``, or with random ones.

    Returns:
        what is worth recording: the loss of each epoch, seconds, the numbers of steps and images.
    """
    device = images.device
    steps = max(1, views * len(images) // BATCH_SIZE)
    torch.manual_seed(SEED)
    model = ContextUnet(3, n_feat, labels.shape[1], images.shape[-1]).to(device, memory_format=torch.channels_last)
    if start is not None:
        model.load_state_dict(torch.load(start, map_location=device, weights_only=True))
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
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
        losses.append(train_epoch(model, ema, optimizer, images, labels, epoch, epochs, steps, context, bf16))
        seconds += time.perf_counter() - began
        print(f"{name}: epoch {epoch}, loss {losses[-1]:.4f}, {seconds:.0f} s", flush=True)
        if not context and epoch in KEPT_EPOCHS:
            save_weights(weights_of(model), out / f"model_{epoch}.pth")
        state = {"model": model.state_dict(), "ema": ema.state_dict(), "optimizer": optimizer.state_dict()}
        save_weights({**state, "losses": losses, "seconds": seconds, "settings": settings}, checkpoint)
    save_weights(weights_of(ema), out / ("context_model_trained.pth" if context else "model_trained.pth"))
    return {
        "loss_per_epoch": [round(loss, 5) for loss in losses],
        "epochs": epochs,
        "steps": steps * epochs,
        "images_shown": steps * epochs * BATCH_SIZE,
        "seconds": round(seconds),
        "bf16": bf16,
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


@torch.no_grad()
def evaluate_context(n_kinds: int, device: str, per_class: int = 40) -> dict:
    """The share of context samples to which the classifier gives the class asked for, by guidance weight."""
    classifier = SpriteClassifier(len(CLASS_NAMES), n_kinds).to(device).eval()
    classifier.load_state_dict(torch.load(WEIGHTS_DIR / "sprite_classifier.pth", weights_only=True))
    model = load_pretrained("context_model_trained", device)
    context = torch.eye(len(CLASS_NAMES)).repeat_interleave(per_class, dim=0)
    accuracy = {}
    for guidance in (1, 2, 3, 5):
        samples, _ = sample_ddim_context(len(context), context, n=25, guidance=guidance, model=model, seed=SEED)
        right = classifier(samples)[0].argmax(dim=1).cpu() == context.argmax(dim=1)
        by_class = right.float().view(-1, per_class).mean(dim=1)
        shares = dict(zip((*CLASS_NAMES, "all"), [*by_class, right.float().mean()], strict=True))
        accuracy[f"w = {guidance}"] = {name: round(share.item(), 3) for name, share in shares.items()}
    return {"context_accuracy": accuracy, "samples_per_class": per_class, "sampler": "DDIM, 25 steps"}


def record(entry: str, values: dict) -> None:
    """Put one run's figures into metrics.json."""
    path = WEIGHTS_DIR / "metrics.json"
    metrics = json.loads(path.read_text()) if path.exists() else {}
    metrics[entry] = values
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dict(sorted(metrics.items())), indent=2) + "\n")
    part.replace(path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"{', '.join(RUNS)} (default: all, in this order)")
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
    }
    for run in args.runs or RUNS:
        names, kinds = read_kinds(CAPTIONS)
        if run == "evaluation":
            figures = evaluate_context(len(names), args.device)
        elif run == "classifier":
            figures = train_classifier(images, labels, kinds, len(names), WEIGHTS_DIR)
        elif run == "unconditional":
            figures = train_network(run, images, labels, WEIGHTS_DIR, context=False, bf16=args.bf16)
        else:
            start = WEIGHTS_DIR / "model_trained.pth"
            if not start.exists():
                parser.error(f"the context run starts from {start}; make it first: make_weights.py unconditional")
            figures = train_network(
                run, images, labels, WEIGHTS_DIR, context=True, epochs=CONTEXT_EPOCHS, start=start, bf16=args.bf16
            )
        record(run, figures | made_on)
        (WEIGHTS_DIR / f"{run}.checkpoint").unlink(missing_ok=True)  # done; the next call begins anew
        print(f"{run}: {json.dumps({k: v for k, v in figures.items() if k != 'loss_per_epoch'})}")


if __name__ == "__main__":
    main()

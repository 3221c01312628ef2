"""Train the transformers of ``transformers.ipynb`` from the sprites in ``data/``, and measure them.

    python -m going_further.make_transformers --bf16                      # all of them
    python -m going_further.make_transformers --bf16 network unet_0       # some

``network.pth`` is the transformer that the notebook draws with; it knows the classes. The others are for comparison:
the course's U-Net in half width beside transformers of as many parameters, with as many pictures and with as many
seconds; other sizes of the patch; other widths. They leave figures, no files. After each run the figures go into
``figures.json``, and into ``FIGURES.md`` as tables. What is there is not made again: delete its entry for that. A run
may be stopped; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from diffusion_utilities import (
    ContextUnet,
    class_accuracy,
    linear_schedule,
    load_sprites,
    perturb_input,
    save_weights,
    sprite_tensors,
)
from going_further.dit import DiT
from going_further.predictions import PredictsV
from support.files import ROOT, read_json
from support.quality import SEEDS, Ruler, fresh_pictures, spread
from support.speed import evaluating
from support.tables import pm, table, write_text
from support.training import CONTEXT_DROPOUT, Recipe, Run, half_state_dict
from weights.make_weights import LABELS, SPRITES
from weights.measure import AUTOGUIDED, SHORT, draw
from weights.muon import MuonAndAdamW

FOLDER = ROOT / "going_further/transformer_networks"
FIGURES = FOLDER / "figures.json"
DIM, DEPTH, HEAD = 64, 5, 32  # of the transformer beside the U-Net; each head is 32 wide
WIDTHS = (32, 64, 96, 128)
PATCHES = (1, 2, 4, 8)
# 37 epochs of 27 steps of 64 pictures: 63,936 pictures
RECIPE = Recipe(epochs=37, views=1, largest_weight=5.0)
# the class is decided at high levels, where 1/ᾱ is large
NETWORK = Recipe(epochs=36, views=4, largest_weight=math.inf, context_dropout=CONTEXT_DROPOUT)
HELD_OUT, HELD_OUT_SEED = 1000, 300  # fresh sprites; the rulers have other seeds


@dataclass(frozen=True)
class Transformer:
    """The sizes of one, as :class:`DiT` takes them."""

    dim: int = DIM
    depth: int = DEPTH
    patch: int = 2
    n_classes: int | None = None

    def arguments(self) -> dict:
        """What DiT is called with."""
        return {"in_channels": 3, "out_channels": 3, "heads": self.dim // HEAD, **asdict(self)}


# name → sizes, None for the U-Net. A number at the end of a name is the seed.
NETWORKS: dict[str, Transformer | None] = {"network": Transformer(dim=128, depth=6, n_classes=5)}
for seed in SEEDS:
    NETWORKS |= {f"unet_{seed}": None, f"images_{seed}": Transformer()}
    NETWORKS |= {f"seconds_{seed}": Transformer(), f"v_{seed}": Transformer()}
NETWORKS |= {f"width_{dim}": Transformer(dim=dim) for dim in WIDTHS if dim != DIM}
NETWORKS |= {f"patch_{patch}": Transformer(patch=patch) for patch in reversed(PATCHES) if patch != 2}


# name without its seed → the row, and whose steps were timed
COMPARED = {
    "unet": ("U-Net", "unet"),
    "images": ("transformer, equal images", "patch_2"),
    "seconds": ("transformer, equal seconds", "patch_2"),
    "v": ("transformer, answers with v, equal seconds", "patch_2"),
}


def build(sizes: Transformer | None) -> tuple[torch.nn.Module, object]:
    """A new network with its optimiser: a transformer, or the course's U-Net in half width."""
    if sizes is None:
        model = ContextUnet(3, 32, 5, 16).to(memory_format=torch.channels_last)
        return model, MuonAndAdamW(model)
    model = DiT(**sizes.arguments())
    return model, MuonAndAdamW(model, [p for p in model.blocks.parameters() if p.ndim == 2])


def parameters(sizes: Transformer | None) -> int:
    """How many numbers such a network learns."""
    return sum(p.numel() for p in build(sizes)[0].parameters())


# --------------------------------------------------------------------------------------------- seconds


def timed(images: Tensor, labels: Tensor, bf16: bool, rounds: int = 12) -> dict[str, dict[str, float]]:
    """Milliseconds of a step of training, and of a pass for one picture while drawing, of each kind of network.

    All take turns, so that what else the machine does counts for all alike; the median of the rounds.
    """
    kinds = {"unet": None} | {f"patch_{patch}": Transformer(patch=patch) for patch in PATCHES}
    kinds |= {f"width_{dim}": Transformer(dim=dim) for dim in WIDTHS if dim != DIM}
    few, labels, epochs = images[:128], labels[:128], rounds + 1  # two steps an epoch; the first is slower
    runs, passes = {}, {name: [] for name in kinds}
    for name, sizes in kinds.items():
        model, optimizer = build(sizes)
        recipe = replace(RECIPE, epochs=epochs, bf16=bf16)
        runs[name] = Run(recipe, model, optimizer, few, labels, FOLDER / f"timed_{name}.checkpoint")
    steps = {name: [] for name in kinds}
    for _ in range(epochs):
        for name, run in runs.items():
            before = run.seconds
            run.train_epoch()
            steps[name].append((run.seconds - before) / run.recipe.steps(len(few)))
            passes[name].append(seconds_a_pass(run.ema, few, bf16))
    return {
        name: {
            "ms a step": round(1000 * statistics.median(steps[name][1:]), 1),
            "ms a pass": round(1000 * statistics.median(passes[name][1:]), 3),
        }
        for name in kinds
    }


@torch.no_grad()
def seconds_a_pass(model: torch.nn.Module, x: Tensor, bf16: bool) -> float:
    """Of one picture, in a batch."""
    with evaluating(model), torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
        began = time.perf_counter()
        model(x, 0.5)
        return (time.perf_counter() - began) / len(x)


def recipe_of(name: str, figures: dict, bf16: bool) -> Recipe:
    """How a network is trained; that of equal seconds has as many steps as fit into the U-Net's seconds."""
    if name == "network":
        return replace(NETWORK, bf16=bf16)
    recipe = replace(RECIPE, bf16=bf16, seed=int(name[-1]) if name[:-2] in COMPARED else 0)
    if name.startswith(("seconds_", "v_")):
        a_step = {kind: figures["timed"][kind]["ms a step"] for kind in ("unet", "patch_2")}
        recipe = replace(recipe, epochs=max(1, round(RECIPE.epochs * a_step["unet"] / a_step["patch_2"])))
    return recipe


# --------------------------------------------------------------------------------------------- measured


@lru_cache
def ruler_of(seed: int) -> Ruler:
    """What samples of one seed are measured against."""
    return Ruler(sprite_tensors(*load_sprites(SPRITES, LABELS), "cpu")[0], [seed])


@torch.no_grad()
def held_out_losses(model: torch.nn.Module) -> dict[str, float]:
    """The mean squared error of the noise on sprites that no network has seen: of all levels, and a fifth of them each.

    Sprites, levels and noise are always the same.
    """
    fresh, generator = fresh_pictures(HELD_OUT, HELD_OUT_SEED), torch.Generator().manual_seed(HELD_OUT_SEED)
    t = torch.arange(HELD_OUT) % 500 + 1  # (HELD_OUT,)
    mixed = torch.randperm(HELD_OUT, generator=generator)  # sprites lie sorted by their class
    noise = torch.randn(fresh.shape, generator=generator)
    x, errors = perturb_input(fresh[mixed], t, noise, linear_schedule()), []
    with evaluating(model):
        for part in torch.arange(HELD_OUT).split(100):
            errors.append((model(x[part], t[part] / 500) - noise[part]).square().mean(dim=(1, 2, 3)))
    errors, fifth = torch.cat(errors), (t - 1) // 100
    bands = {f"t = {100 * i + 1} to {100 * i + 100}": errors[fifth == i].mean().item() for i in range(5)}
    return {name: round(loss, 5) for name, loss in {"all": errors.mean().item(), **bands}.items()}


def fsd_of(model: torch.nn.Module, seed: int, bf16: bool, context: Tensor | None = None) -> dict[str, float]:
    """The Fréchet sprite distance of 1,788 samples by each of the course's two short ways to draw."""
    ruler, figures = ruler_of(seed), {}
    for name in SHORT:
        sampler, options = AUTOGUIDED[name]
        samples = draw(sampler, len(ruler.images), seed, context, bf16, model=model, **options)
        figures[name] = round(ruler.fsd([samples])["mean"], 2)
        if context is not None:
            right = class_accuracy(samples.clamp(-1, 1), context, ruler.classifier)
            figures[f"right, %, {name}"] = round(100 * right.mean().item(), 1)
    return figures


def answers_with_v(name: str) -> bool:
    """Whether a network answers with v. The loss is that of the noise all the same, so only the answer differs."""
    return name == "network" or name[:-2] == "v"


def make(name: str, figures: dict, images: Tensor, labels: Tensor, bf16: bool) -> dict:
    """Train a network and measure it; the one to draw with is kept, in 16 bits."""
    sizes, recipe = NETWORKS[name], recipe_of(name, figures, bf16)
    torch.manual_seed(recipe.seed)
    model, optimizer = build(sizes)
    model = PredictsV(model) if answers_with_v(name) else model
    run = Run(recipe, model, optimizer, images, labels, FOLDER / f"{name}.checkpoint")
    trained = run.finish(lambda run: print(f"{name}: epoch {run.epoch - 1}, loss {run.losses[-1]:.4f}", flush=True))
    trained["loss_per_epoch"] = trained["loss_per_epoch"][-1:]
    measured = {"parameters": parameters(sizes), "losses": held_out_losses(run.ema)}
    if name == "network":
        state = {"dit": sizes.arguments(), "weights": half_state_dict(run.ema.model)}
        save_weights(state, FOLDER / "network.pth")
        measured["fsd"] = [fsd_of(run.ema, seed, bf16, labels) for seed in SEEDS]
    elif not name.startswith("width_"):
        measured["fsd"] = [fsd_of(run.ema, recipe.seed, bf16)]
    run.checkpoint.unlink()
    return measured | {"trained": trained, "torch": torch.__version__, "threads": torch.get_num_threads()}


# --------------------------------------------------------------------------------------------- tables


def tables(figures: dict) -> dict[str, dict[str, dict]]:
    """The notebook's tables, of the runs that are there: table → row → column."""
    runs, timed = figures.get("runs", {}), figures.get("timed", {})
    made = {"compared": {}, "levels": {}, "patches": {}, "widths": {}, "network": {}}
    for kind, (row, clock) in COMPARED.items():
        if several := [runs[f"{kind}_{seed}"] for seed in SEEDS if f"{kind}_{seed}" in runs]:
            made["compared"][row] = compared_row(several, timed[clock]["ms a step"])
            names = several[0]["losses"]
            made["levels"][row] = {name: spread([run["losses"][name] for run in several]) for name in names}
    for patch in PATCHES if timed else ():
        run = runs.get(f"patch_{patch}" if patch != 2 else "images_0")
        sizes = {"tokens": (16 // patch) ** 2, "parameters": parameters(Transformer(patch=patch))}
        made["patches"][f"patch {patch}"] = sizes | timed[f"patch_{patch}"] | (quality([run]) if run else {})
    for dim in WIDTHS:
        if run := runs.get(f"width_{dim}" if dim != DIM else "images_0"):
            a_step = timed[f"width_{dim}" if dim != DIM else "patch_2"]["ms a step"]
            row = {"parameters": run["parameters"], "ms a step": a_step, "loss": run["losses"]["all"]}
            made["widths"][f"width {dim}"] = row
    if run := runs.get("network"):
        row = {
            name if "%" in name else f"FSD, {name}": spread([one[name] for one in run["fsd"]]) for name in run["fsd"][0]
        }
        made["network"]["the stored transformer"] = {
            "parameters": run["parameters"],
            "loss": run["losses"]["all"],
        } | row
    return {name: rows for name, rows in made.items() if rows}


def quality(several: list[dict]) -> dict:
    """Held-out loss and FSD of runs of different seeds."""
    fsd = {f"FSD, {name}": spread([run["fsd"][0][name] for run in several]) for name in SHORT}
    return {"loss": spread([run["losses"]["all"] for run in several])} | fsd


def compared_row(several: list[dict], ms_a_step: float) -> dict:
    """One row of the comparison with the U-Net."""
    steps = several[0]["trained"]["steps"]
    sizes = {"parameters": several[0]["parameters"], "pictures": several[0]["trained"]["images_shown"]}
    return sizes | {"seconds": round(steps * ms_a_step / 1000)} | quality(several)


def slope(rows: dict[str, dict]) -> float:
    """Of the line that fits log loss over log parameters best."""
    points = [(math.log(row["parameters"]), math.log(row["loss"])) for row in rows.values()]
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def in_markdown(rows: dict[str, dict]) -> str:
    """A table of the page."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))

    def cell(column: str, figure: object) -> str:
        digits = 2 if column == "ms a pass" else 1 if column.startswith(("FSD", "ms", "right")) else 4
        if isinstance(figure, dict):
            return pm(figure, digits)
        return f"{figure:,}" if isinstance(figure, int) else f"{figure:.{digits}f}"

    lines = [[name, *(cell(c, row[c]) if c in row else "" for c in columns)] for name, row in rows.items()]
    return table(["", *columns], lines)


TITLES = {
    "compared": "Beside a U-Net of as many parameters",
    "levels": "The same, loss by level",
    "patches": "Patches",
    "widths": "Widths",
    "network": "The stored transformer",
}
PREFACE = """# Transformers in figures

Made by `python -m going_further.make_transformers`. FSD is of 1,788 samples, less is better. Loss is the mean squared
error of the noise on 1,000 fresh sprites. Milliseconds are those of one step of 64 pictures on one thread, and of one
pass for one picture; all networks took turns. Seconds are steps times milliseconds a step. Where a
figure has a deviation in the first two tables, it is that of three trainings with three seeds, each drawn from once; in
the last, of one training drawn from three times. All else is one training.
"""


def page(figures: dict) -> str:
    """All tables, in Markdown."""
    parts = [PREFACE]
    for name, rows in tables(figures).items():
        parts += [f"## {TITLES[name]}\n", in_markdown(rows) + "\n"]
        if name == "widths" and len(rows) == len(WIDTHS):
            parts.append(f"Loss falls about as the number of parameters to the power of {slope(rows):.2f}.\n")
    return "\n".join(parts)


def store(figures: dict) -> None:
    """Write the figures, and the page."""
    write_text(FIGURES, json.dumps(figures, indent=2) + "\n")
    write_text(FOLDER / "FIGURES.md", page(figures))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="make_transformers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"{', '.join(NETWORKS)} (default: all)")
    parser.add_argument("--bf16", action="store_true", help="16-bit arithmetic: faster on new processors")
    args = parser.parse_args(arguments)
    if unknown := set(args.networks) - set(NETWORKS):
        parser.error(f"expected networks among {', '.join(NETWORKS)}, got {', '.join(sorted(unknown))}")
    images, labels = sprite_tensors(*load_sprites(SPRITES, LABELS), "cpu")
    FOLDER.mkdir(exist_ok=True)
    figures = read_json(FIGURES) if FIGURES.exists() else {"runs": {}}
    if "timed" not in figures:
        figures["timed"] = timed(images, labels, args.bf16)
        store(figures)
    for name in args.networks or NETWORKS:
        if name not in figures["runs"]:
            figures["runs"][name] = make(name, figures, images, labels, args.bf16)
            print(name, figures["runs"][name], flush=True)
            store(figures)


if __name__ == "__main__":
    main()

"""Compare recipes: short annealed runs that differ from the shipped recipe in one thing each.

    python -m weights.compare --bf16                        # all of them
    python -m weights.compare shipped not_cut --seeds 3     # some, each begun from three seeds

Each run trains the unconditional network anew, its learning rate falls to 0 at its end, and it is
measured at once. ``comparison.json`` keeps the figures of all runs, and ``COMPARISON.md`` shows
them. A run that is there with the same recipe is not made again; one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from diffusion_utilities import (
    CLASS_NAMES,
    ContextUnet,
    ModelWrapper,
    ab_at,
    linear_schedule,
    load_sprites,
    sprite_batches,
    sprite_tensors,
    to_level,
)
from support.files import read_json, read_state
from support.quality import Ruler
from support.tables import pm, table, write_text
from support.training import Recipe, data_hash, uniform_levels
from weights.make_weights import LABELS, SPRITES, UNCONDITIONAL, train_network
from weights.measure import SHORT, measure_short

WEIGHTS_DIR = Path(__file__).resolve().parent
VIEWS = 4  # of each sprite in an epoch: short epochs, so that little is lost where a run is stopped
MIDDLE = (220, 440)  # the levels at which it is decided what is drawn


class PredictsV(ModelWrapper):
    """A network that answers with v, as a model that answers with the noise: ε = √ᾱ v + √(1-ᾱ) x_t."""

    def __init__(self, model: Callable) -> None:
        super().__init__(model)
        self.schedule = linear_schedule()

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        ab_t = ab_at(self.schedule, to_level(t, self.schedule), x)
        return ab_t.sqrt() * self.model(x, t, c) + (1 - ab_t).sqrt() * x


def middle_levels(n: int, timesteps: int, generator: torch.Generator) -> Tensor:
    """n levels, each with probability 1/2 one of ``MIDDLE``, else any of 1 … T."""
    low, high = MIDDLE
    middle = torch.randint(low, high + 1, (n,), generator=generator)
    anywhere = uniform_levels(n, timesteps, generator)
    return torch.where(torch.rand(n, generator=generator) < 0.5, middle, anywhere)


def facing_batches(
    images: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches as always, but what is side-facing is not mirrored: all of it looks to one side."""
    side_facing = CLASS_NAMES.index("side-facing")
    for x, c in sprite_batches(images, labels, batch_size, generator, mirror=False):
        mirrored = (torch.rand(len(x), generator=generator) < 0.5).to(x.device) & (c[:, side_facing] == 0)
        yield torch.where(mirrored[:, None, None, None], x.flip(3), x), c


@dataclass(frozen=True)
class Change:
    """The one thing that a run does in another way than the shipped recipe.

    Attributes:
        words: for the table.
        recipe: settings of the recipe.
        ways: of :class:`support.training.Run`.
        wrapper: around the network.
    """

    words: str
    recipe: dict = field(default_factory=dict)
    ways: dict = field(default_factory=dict)
    wrapper: Callable | None = None


# Runs are known by name and recipe, so what changes its ways or its wrapper takes another name.
CHANGES = {
    "shipped": Change("nothing: as shipped"),
    "cut_2": Change("weight 1/ᾱ of the error, cut at 2 in place of 5", {"largest_weight": 2.0}),
    "cut_10": Change("weight cut at 10", {"largest_weight": 10.0}),
    "not_cut": Change("weight not cut", {"largest_weight": math.inf}),
    "not_weighted": Change("error not weighted", {"largest_weight": 1.0}),
    "middle_levels": Change(
        f"half of the levels drawn between {MIDDLE[0]} and {MIDDLE[1]}", ways={"levels": middle_levels}
    ),
    "predicts_v": Change("network predicts v", wrapper=PredictsV),
    "longer_memory": Change("decay of the average 0.9995 in place of 0.999", {"ema_decay": 0.9995}),
    "batch_128": Change("batches of 128 in place of 64", {"batch_size": 128}),
    "rate_1.4": Change("learning rates × 1.4", {"rate": 1.4}),
    "facing": Change("side-facing sprites not mirrored", ways={"batches": facing_batches}),
}


def short_recipe(name: str, n_pictures: int, images: int, seed: int, bf16: bool) -> Recipe:
    """The shipped recipe with one change, for about ``images`` images."""
    epochs = max(1, round(images / (VIEWS * n_pictures)))
    recipe = replace(UNCONDITIONAL, epochs=epochs, views=VIEWS, seed=seed, bf16=bf16)
    return replace(recipe, **CHANGES[name].recipe)


def read_runs() -> list[dict]:
    """The runs that ``comparison.json`` holds so far.

    Raises:
        ValueError: it is damaged.
    """
    path = WEIGHTS_DIR / "comparison.json"
    runs = read_json(path).get("runs") if path.exists() else []
    if not isinstance(runs, list):
        raise ValueError(f"expected a list of runs in {path}")
    return runs


def known(name: str, recipe: Recipe, runs: list[dict]) -> bool:
    """Whether a run of this name and recipe is among the finished ones."""
    return any(run["name"] == name and run["recipe"] == recipe.as_dict() for run in runs)


def compare(name: str, recipe: Recipe, images: Tensor, labels: Tensor, ruler: Ruler, n_feat: int = 64) -> None:
    """Train a network with one change, measure it, and record it, unless that was done."""
    recipe = replace(recipe, data=data_hash(images, labels))
    if known(name, recipe, read_runs()):
        print(f"{name}, seed {recipe.seed}: is there")
        return
    change, folder = CHANGES[name], WEIGHTS_DIR / "runs"  # the folder is not kept in git
    run = f"compare_{name}_{recipe.epochs}_{recipe.seed}"
    torch.manual_seed(recipe.seed)  # all runs of a seed start from the same weights
    model = ContextUnet(3, n_feat, labels.shape[1], images.shape[-1])
    model = change.wrapper(model) if change.wrapper else model
    figures = train_network(run, images, labels, folder, recipe, model=model, **change.ways)
    model.load_state_dict(read_state(folder / f"{run}_trained.pth"))
    figures = (
        {"name": name} | figures | {"fsd": measure_short(ruler, model, recipe.bf16), "made_on": made_on(images.device)}
    )
    print(name, figures["fsd"], flush=True)
    record(figures)
    for ending in (".checkpoint", "_trained.pth"):
        (folder / f"{run}{ending}").unlink()


def made_on(device: torch.device) -> dict:
    """The device, and how many of a processor's cores compute."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def record(run: dict) -> None:
    """Put a run into ``comparison.json``, and write the table anew."""
    runs = [*read_runs(), run]
    write_text(WEIGHTS_DIR / "comparison.json", json.dumps({"runs": runs}, indent=2) + "\n")
    write_text(WEIGHTS_DIR / "COMPARISON.md", page(runs))


def page(runs: list[dict]) -> str:
    """The page that shows the runs: by length, then in the order of ``CHANGES``, so the shipped recipe comes first."""
    order = list(CHANGES)

    def place(run: dict) -> tuple:
        return run["recipe"]["epochs"], run["recipe"]["bf16"], order.index(run["name"]), run["recipe"]["seed"]

    runs = sorted((run for run in runs if run["name"] in CHANGES), key=place)
    rows = [
        [
            CHANGES[run["name"]].words,
            f"{run['images_shown']:,}",
            run["recipe"]["seed"],
            *(pm(run["fsd"][sampler], 1) for sampler in SHORT),
            f"{run['seconds']:,}",
            16 if run["recipe"]["bf16"] else 32,
        ]
        for run in runs
    ]
    head = ["what is different", "images", "seed", *(f"FSD, {sampler}" for sampler in SHORT), "seconds", "bits"]
    return f"{INTRODUCTION}\n{table(head, rows)}\n"


INTRODUCTION = """# Recipes compared

Made by `python -m weights.compare`, from the figures in `comparison.json`. Each run trains the unconditional network
from random weights and differs from the shipped recipe in one thing. Its learning rate falls to 0 at its end, so runs
of one length can be compared, and runs of another length have a table row of their own. FSD is the Fréchet sprite
distance of the averaged weights to 1,788 fresh sprites, of as many samples: mean ± standard deviation over three
sampling seeds of one and the same network. What another seed of the training would give is not in it; the column
*seed* tells the trainings apart. Seconds are those of the training alone, beside whatever else ran on the machine; bits
are those of its arithmetic.
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(CHANGES)} (default: all)")
    parser.add_argument("--images", type=int, default=192_000, help="how many a run is shown, about")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each recipe, from seed 0 on")
    parser.add_argument("--bf16", action="store_true", help="16-bit arithmetic where the processor has it")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.names if name not in CHANGES]:
        parser.error(f"expected names among {', '.join(CHANGES)}, got {', '.join(unknown)}")
    if min(args.images, args.seeds) < 1:
        parser.error(f"expected at least 1 image and 1 seed, got {args.images} and {args.seeds}")
    read_runs()  # a damaged file is found now, not after a run
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, labels = sprite_tensors(*load_sprites(SPRITES, LABELS), device)
    ruler = Ruler(images)
    for seed in range(args.seeds):
        for name in args.names or CHANGES:
            recipe = short_recipe(name, len(images), args.images, seed, args.bf16)
            compare(name, recipe, images, labels, ruler)
    if runs := read_runs():
        write_text(WEIGHTS_DIR / "COMPARISON.md", page(runs))


if __name__ == "__main__":
    main()

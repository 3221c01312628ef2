"""Train and measure networks that answer with noise, x̂_0, v or a velocity, from the sprites in ``data/``.

    python -m going_further.make_flows --bf16                      # all of it: about two and a half hours of one thread
    python -m going_further.make_flows --bf16 answers --seeds 1    # some tables, begun from one seed

All are the course's network at half width. A run that ``flow_networks/figures.json`` holds is not made again: delete
its entry for that. One that was stopped goes on. ``noise.pth``, ``flow.pth`` and ``reflow.pth`` beside it are of longer
runs from seed 0; those of seeds 1 and 2 are kept beside them, not in git.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock  # PyTorch brings it
from torch import Tensor

from diffusion_utilities import (
    ContextUnet,
    NoiseSchedule,
    ddim_step,
    dpm_step,
    linear_schedule,
    load_sprites,
    sample,
    sample_ddim_context,
    sample_dpm_context,
    save_weights,
    sprite_tensors,
    step_pairs,
)
from going_further.diffusion import DenoiseDiffusion
from going_further.flows import bend, coupled, coupled_batches, coupled_perturb, heun_step, karras_pairs, reflow_pairs
from going_further.predictions import (
    OBJECTIVES,
    PredictsNoise,
    answer_errors,
    draw_levels,
    loss_weights,
    time_of_flow,
)
from going_further.schedules import SCHEDULES
from support.files import ROOT, read_json, read_state
from support.quality import Ruler, background, frechet_sprite_distance, spread
from support.tables import figures_table, write_text
from support.training import Recipe, Run, half_state_dict
from weights.make_weights import LABELS, SPRITES
from weights.measure import draw
from weights.muon import MuonAndAdamW

FOLDER = ROOT / "going_further/flow_networks"
WIDTH = 32  # half of the course's 64
VIEWS = 4
EPOCH = 7104  # pictures: as many batches of 64 as four views of each sprite make
SHORT, LONG, FEW = 7, 40, 2  # epochs


@dataclass(frozen=True)
class Way:
    """One way to train: what the network answers with, at which levels, and how much they count.

    Attributes:
        words: for the table.
        objective, weight, levels: see :mod:`going_further.predictions`.
        schedule: a name out of :data:`going_further.schedules.SCHEDULES`.
        largest: of 1/ᾱ, by which an error counts, see :class:`support.training.Recipe`.
    """

    words: str
    objective: str
    schedule: str = "linear"
    weight: str = "own"
    levels: str = "uniform"
    largest: float = 1.0

    def made_schedule(self) -> NoiseSchedule:
        return SCHEDULES[self.schedule](500)


WAYS = {
    "noise": Way("ε, all levels alike", "noise"),
    "noise_cut": Way("ε, 1/ᾱ at most 5: the course's", "noise", largest=5.0),
    "x0": Way("x̂_0", "x0"),
    "v": Way("v", "v"),
    "edm": Way("EDM's F", "edm"),
    "flow": Way("velocity, straight schedule", "flow", "straight"),
    "flow_middle": Way("velocity, straight schedule, levels in the middle", "flow", "straight", levels="middle"),
    "v_zero": Way("v, schedule with ᾱ_T = 0", "v", "linear-zero"),
    "min_snr": Way("x̂_0, weight min-SNR", "x0", weight="min-snr"),
    "bound": Way("ε, weight of the bound", "noise", weight="bound"),
}
NETWORKS = {"noise": "noise_cut", "flow": "flow_middle"}  # that are trained for longer and stored
GROUNDS = ("noise", "v", "v_zero", "flow")


def build(way: Way) -> PredictsNoise:
    """A new network, as a model of noise."""
    return OBJECTIVES[way.objective](ContextUnet(3, WIDTH, 5, 16), way.made_schedule())


def ways_of_run(way: Way, model: PredictsNoise) -> dict:
    """What :class:`support.training.Run` is given for it."""
    return {
        "schedule": way.made_schedule(),
        "errors": answer_errors(loss_weights(way.weight, model)),
        "levels": lambda n, timesteps, generator: draw_levels(way.levels, n, timesteps, generator),
    }


def train(
    name: str, way: Way, images: Tensor, labels: Tensor, recipe: Recipe, start: dict | None = None, **ways: Callable
) -> tuple[PredictsNoise, dict]:
    """The averaged network of a run, and what is worth recording."""
    torch.manual_seed(recipe.seed)  # all runs of a seed start from the same weights
    model = build(way)
    model = model.to(images.device, memory_format=torch.channels_last)
    if start is not None:
        model.model.load_state_dict(start)
    recipe = replace(recipe, largest_weight=way.largest)
    path = FOLDER / f"{name}_{recipe.seed}.checkpoint"
    run = Run(recipe, model, MuonAndAdamW(model), images, labels, path, **(ways_of_run(way, model) | ways))
    figures = run.finish()
    path.unlink()
    return run.ema.eval(), figures


# ------------------------------------------------------------------------------------ measuring

SAMPLERS = {
    "DDIM-25": (sample_ddim_context, {"n": 25}),
    "DDIM-10": (sample_ddim_context, {"n": 10}),
    "η=∞-10": (sample_dpm_context, {"n": 10, "eta": math.inf}),
}


class Judge:
    """The sprites, and fresh ones for each seed of training.

    Args:
        bf16: whether passes are computed in 16 bits.
    """

    def __init__(self, device: str, bf16: bool) -> None:
        self.images, self.labels = sprite_tensors(*load_sprites(SPRITES, LABELS), device)
        self.ruler, self.bf16 = Ruler(self.images), bf16

    def fsd(self, samples: Tensor, seed: int) -> float:
        """The Fréchet sprite distance to the fresh sprites of a seed."""
        return frechet_sprite_distance(samples.clamp(-1, 1), self.ruler.fresh[seed], self.ruler.classifier)

    def draw(self, model: PredictsNoise, sampler: str, seed: int, count: int | None = None) -> Tensor:
        """Samples on the model's own schedule, as many as there are sprites."""
        draws, options = SAMPLERS[sampler]
        options = options | {"model": model, "schedule": model.schedule}
        return draw(draws, count or len(self.images), seed, None, self.bf16, **options)

    def walk(self, model: PredictsNoise, step: Callable, pairs: list[tuple[int, int]], seed: int) -> float:
        """FSD of samples drawn by a step at given levels."""

        def sampler(count: int, _: None, **options: object) -> tuple:
            return sample(step, pairs, count, schedule=model.schedule, **options)

        return round(self.fsd(draw(sampler, len(self.images), seed, None, self.bf16, model=model), seed), 2)

    def by_sampler(self, model: PredictsNoise, seed: int) -> dict[str, float]:
        """FSD by each sampler."""
        return {f"FSD, {name}": round(self.fsd(self.draw(model, name, seed), seed), 2) for name in SAMPLERS}

    def recipe(self, epochs: int, seed: int) -> Recipe:
        return Recipe(epochs=epochs, views=VIEWS, seed=seed, bf16=self.bf16)


def answers(judge: Judge, book: Book, seed: int) -> None:
    """What the network answers with, and how much each level counts, at equal images."""
    for name, way in WAYS.items():
        if book.has("answers", name, seed):
            continue
        model, run = train(name, way, judge.images, judge.labels, judge.recipe(SHORT, seed))
        row = judge.by_sampler(model, seed)
        if name in ("noise", "bound"):
            row["bits"] = round(bits(model, way, judge.ruler.fresh[seed][:200]), 3)
        book.put("answers", name, seed, row | {"images": run["images_shown"], "seconds": run["seconds"]})


def bits(model: PredictsNoise, way: Way, pictures: Tensor) -> float:
    """The variational bound of pictures, in bits per number."""
    denoiser = DenoiseDiffusion(model.model, schedule=model.schedule, objective=way.objective)
    return denoiser.bits_per_dim(pictures, seed=0).total.mean().item()


def grounds(judge: Judge, book: Book, seed: int) -> None:
    """Sprites of which half stand on black: is the ground of a sample black or white, and how far from either?"""
    white = (judge.images == 1).all(dim=1, keepdim=True)
    images = torch.cat([judge.images, torch.where(white, -1.0, judge.images)])
    labels, where = judge.labels.repeat(2, 1), background(judge.images)
    for name in GROUNDS:
        if book.has("grounds", name, seed):
            continue
        model, run = train(f"grounds_{name}", WAYS[name], images, labels, judge.recipe(FEW, seed))
        row = {}
        for sampler in SAMPLERS:
            ground = judge.draw(model, sampler, seed, len(judge.images) // 3)[:, :, where].mean(dim=(1, 2))  # (n,)
            row[f"black, {sampler}, %"] = round(100 * (ground < 0).float().mean().item(), 1)
            row[f"shift, {sampler}"] = round(127.5 * (ground.abs() - 1).abs().mean().item(), 2)
        book.put("grounds", name, seed, row | {"images": run["images_shown"]})


def longer(judge: Judge, book: Book, seed: int) -> None:
    """One longer run with ε, one with a velocity, and one reflow of the latter; their networks are stored."""
    for network, name in NETWORKS.items():
        if not book.has("longer", name, seed):
            run = train(f"longer_{name}", WAYS[name], judge.images, judge.labels, judge.recipe(LONG, seed))
            keep_longer(judge, book, seed, network, name, *run)
    if not book.has("longer", "reflow", seed):
        keep_longer(judge, book, seed, "reflow", "reflow", *reflow(judge, seed))


def keep_longer(judge: Judge, book: Book, seed: int, network: str, row: str, model: PredictsNoise, run: dict) -> None:
    """Write the network of a longer run to its file and its figures to the book."""
    save_weights(half_state_dict(model.model), path_of(network, seed))
    figures = judge.by_sampler(model, seed)
    book.put("longer", row, seed, figures | {"images": run["images_shown"], "seconds": run["seconds"]})


def reflow(judge: Judge, seed: int) -> tuple[PredictsNoise, dict]:
    """The stored flow, trained further on pairs of a noise and what it made of it."""
    way, state = WAYS[NETWORKS["flow"]], read_state(path_of("flow", seed))
    device = judge.images.device
    teacher = load("flow", device, seed)
    with torch.autocast(device.type, torch.bfloat16, enabled=judge.bf16):
        noise, x = reflow_pairs(4 * len(judge.images), model=teacher, schedule=teacher.schedule, n=25, seed=seed)
    pairs, labels = torch.cat([x.float(), noise], dim=1).to(device), judge.labels.repeat(4, 1)
    recipe = replace(judge.recipe(14, seed), views=1, rate=0.3)
    ways = {"batches": coupled_batches, "perturb": coupled_perturb}
    ways["errors"] = coupled(answer_errors(loss_weights(way.weight, teacher)))
    return train("reflow", way, pairs, labels, recipe, state, **ways)


def path_of(network: str, seed: int) -> Path:
    """Where the network of a longer run lies; git holds those of seed 0."""
    return FOLDER / (f"{network}_{seed}.pth" if seed else f"{network}.pth")


def load(name: str, device: torch.device | str = "cpu", seed: int = 0) -> PredictsNoise:
    """A stored network, "noise", "flow" or "reflow", as a model of noise, ready to draw.

    Raises:
        FileNotFoundError, ValueError: no such file, or one that is damaged.
    """
    path = path_of(name, seed)
    if seed and not path.exists():
        raise FileNotFoundError(
            f"no file {path}: only the networks of seed 0 come with the course. Delete what {FOLDER / 'figures.json'} "
            f'holds under "longer" for seed {seed}, and `python -m going_further.make_flows longer --seeds {seed}` '
            "trains it again"
        )
    model = build(WAYS[NETWORKS.get(name, NETWORKS["flow"])])
    model.model.load_state_dict(read_state(path))
    return model.to(device).eval()


PASSES = (1, 2, 3, 5, 9, 25)  # through the network
# name → the step and the levels for n passes; Heun's step takes two passes, its last one
SOLVERS = {
    "Euler": lambda model, n: (ddim_step(0.0, model.schedule), step_pairs(n)),
    "DPM-Solver++": lambda model, n: (dpm_step(0.0, model.schedule), step_pairs(n)),
    "Heun": lambda model, n: (heun_step(model, None, model.schedule, straight=True), step_pairs((n + 1) // 2)),
    "Euler, Karras levels": lambda model, n: (ddim_step(0.0, model.schedule), karras_pairs(n, model.schedule)),
    "Heun in σ, Karras levels": lambda model, n: (
        heun_step(model, None, model.schedule),
        karras_pairs((n + 1) // 2, model.schedule),
    ),
}


def steps(judge: Judge, book: Book, seed: int) -> None:
    """FSD against passes through the network, by several solvers without fresh noise."""
    for name in ("noise", "flow", "reflow"):
        model = load(name, judge.images.device, seed)
        for solver in SOLVERS:
            # the schedule of a flow ends where σ is infinite; what reflow does is seen by one solver
            if ("Karras" in solver and name != "noise") or (solver != "Euler" and name == "reflow"):
                continue
            for n in PASSES:
                key = f"{name}, {solver}, {n}"
                if ("Heun" in solver and n % 2 == 0) or book.has("steps", key, seed):
                    continue
                book.put("steps", key, seed, {"FSD": judge.walk(model, *SOLVERS[solver](model, n), seed)})


def even_in_time(n: int, schedule: NoiseSchedule) -> list[tuple[int, int]]:
    """n steps of about equal length in the flow's time τ, as pairs of levels of any schedule."""
    time = time_of_flow(schedule.ab_t.double())  # (T+1,)
    wanted = torch.linspace(time[-1], 0, n + 1, dtype=torch.float64)
    levels = (time - wanted[:, None]).abs().argmin(dim=1).tolist()
    return list(zip(levels[:-1], levels[1:], strict=True))


def placing(judge: Judge, book: Book, seed: int) -> None:
    """Where the steps fall: 25 Euler steps, even in t or in τ, on the labs' schedule or on the straight one."""
    labs, networks = linear_schedule(), {name: load(name, judge.images.device, seed) for name in ("noise", "flow")}
    on_labs = OBJECTIVES["flow"](networks["flow"].model, labs)  # the same network, begun at τ = 0.93
    ways = {
        "noise, labs' schedule, even in t": (networks["noise"], step_pairs(25)),
        "noise, labs' schedule, even in τ": (networks["noise"], even_in_time(25, labs)),
        "flow, labs' schedule, even in t": (on_labs, step_pairs(25)),
        "flow, labs' schedule, even in τ": (on_labs, even_in_time(25, labs)),
        "flow, straight schedule": (networks["flow"], step_pairs(25)),
    }
    for name, (model, pairs) in ways.items():
        if not book.has("placing", name, seed):
            step = ddim_step(0.0, model.schedule)
            book.put("placing", name, seed, {"FSD": judge.walk(model.eval(), step, pairs, seed)})


def bends(judge: Judge, book: Book, seed: int) -> None:
    """How bent the ways of the stored flows are, 0 being straight."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(judge.images) // 12, 3, 16, 16, generator=generator)
    for name in ("noise", "flow", "reflow"):
        if not book.has("bends", name, seed):
            model = load(name, seed=seed)
            book.put("bends", name, seed, {"bend": round(bend(model, noise, schedule=model.schedule), 4)})


TABLES = {"answers": answers, "longer": longer, "grounds": grounds, "steps": steps, "placing": placing, "bends": bends}
OF_WAYS = ("answers", "longer", "grounds")  # whose rows are WAYS; the others' are networks


# ------------------------------------------------------------------------------------------ the book


class Book:
    """The figures of all runs, table → row → seed → figures, written to the folder after each."""

    def __init__(self) -> None:
        self.path = FOLDER / "figures.json"
        self.read()

    def read(self) -> dict:
        """What the file holds now.

        Raises:
            ValueError: it is damaged.
        """
        self.figures = read_json(self.path) if self.path.exists() else {}
        return self.figures

    def has(self, table: str, row: str, seed: int) -> bool:
        return str(seed) in self.read().get(table, {}).get(row, {})

    def put(self, table: str, row: str, seed: int, figures: dict) -> None:
        """Record one run. Two programs may run side by side: each waits, and reads what the other has written."""
        with FileLock(self.path.with_suffix(".lock")):
            self.read().setdefault(table, {}).setdefault(row, {})[str(seed)] = figures
            write_text(self.path, json.dumps(self.figures, indent=1) + "\n")
            write_text(FOLDER / "FIGURES.md", page(self.figures))
        print(table, row, seed, figures, flush=True)


def rows_of(figures: dict, table: str) -> dict[str, dict]:
    """Row → column → mean and standard deviation over the seeds, but for the length of the runs."""
    rows = {}
    for name, seeds in figures.get(table, {}).items():
        columns = next(iter(seeds.values()))
        rows[name] = {c: spread([run[c] for run in seeds.values()]) for c in columns if c not in ("images", "seconds")}
    return rows


def page(figures: dict) -> str:
    """All tables, in Markdown."""
    parts = ["# Answers and flows in figures\n", PREFACE]
    for table, measure in TABLES.items():
        words = {name: way.words for name, way in WAYS.items()} if table in OF_WAYS else {}
        rows = {words.get(name, name): row for name, row in rows_of(figures, table).items()}
        if rows:
            parts += [
                f"## {table.capitalize()}\n",
                " ".join(measure.__doc__.split()) + "\n",
                figures_table(rows) + "\n",
            ]
    return "\n".join(parts)


PREFACE = f"""Made by `python -m going_further.make_flows --bf16`. FSD is the Fréchet sprite distance of 1,788 samples
to as many fresh sprites. Mean ± standard deviation over three seeds, of training and of sampling at once. All networks
are the course's at half width. Under *answers* each was shown {SHORT * EPOCH:,} pictures, under *longer*
{LONG * EPOCH:,}; *steps*, *placing* and *bends* are of the networks of *longer*.
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="make_flows", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)} (default: all)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="which (default: 0 1 2)"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bf16", action="store_true", help="16-bit arithmetic: faster on new processors")
    args = parser.parse_args(arguments)
    if unknown := set(args.tables) - set(TABLES):
        parser.error(f"expected tables among {', '.join(TABLES)}, got {', '.join(sorted(unknown))}")
    if not set(args.seeds) <= {0, 1, 2}:
        parser.error(f"expected seeds out of 0, 1 and 2, got {args.seeds}")
    FOLDER.mkdir(exist_ok=True)
    book, judge = Book(), Judge(args.device, args.bf16)
    for seed in args.seeds:
        for table in args.tables or TABLES:
            TABLES[table](judge, book, seed)


if __name__ == "__main__":
    main()

"""Ablation: which schedule, how many levels, which sampler, how many steps? Small networks on the sprites, short runs.

    python going_further/ablate.py    # half an hour on one CPU core; if stopped, it goes on where it was
    python going_further/ablate.py --quick --out build/quick    # a minute, to see that it works; figures mean nothing

For each number of levels T and each schedule one network is trained, all with the same weights to begin with, the same
pictures in the same order and the same number of steps. Each is sampled in several ways, and the samples are compared
with sprites that the generator of ``data/`` draws anew. Written to the folder ``--out``: results.json, table.md, and
ablation.png; results.json and the networks are stored after each piece of work, and what is there is not done again.
"""

from __future__ import annotations

import copy
import itertools
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
from going_further.options import ablate_parser

if __name__ == "__main__":  # answers --help and slips of the keyboard before the slow imports
    ablate_parser(__doc__).parse_args()

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor
from tqdm import tqdm

import diffusion_utilities as du
from going_further import datasets
from going_further.schedules import COLOURS, SCHEDULES
from support import tables
from support.cli import errors_in_one_line
from support.files import read_json
from support.quality import FRESH_SEED, fresh_pictures, spread
from support.tables import write_text
from support.training import Recipe, training_step
from support.writing import replacing
from weights.muon import MuonAndAdamW

FOLDER = Path(__file__).resolve().parent / "ablation"

WARMUP_STEPS = 30  # steps
BATCH_SIZE = 32


@dataclass(frozen=True)
class Plan:
    """How large the ablation is; results can be compared only if they are of the same plan.

    Attributes:
        timesteps, schedules: the networks, one for each pair.
        steps: of the fast samplers; DDPM always takes all T.
        train_steps, n_feat: of each run, and the width of its network.
        samples: drawn for each figure.
        repeated: the pair that is trained again with other seeds, to see how much a figure depends on chance.
        seeds: how many runs of it there are in all.
    """

    timesteps: tuple[int, ...] = (100, 500, 1000)
    schedules: tuple[str, ...] = ("linear", "cosine", "sigmoid")
    steps: tuple[int, ...] = (10, 25, 50)
    train_steps: int = 1200
    n_feat: int = 16
    samples: int = 300
    repeated: tuple[str, int] = ("linear", 500)
    seeds: int = 3


QUICK = Plan(
    timesteps=(4, 8),
    schedules=("linear", "cosine"),
    steps=(2, 4),
    train_steps=3,
    n_feat=8,
    samples=8,
    repeated=("linear", 4),
    seeds=2,
)


@dataclass(frozen=True)
class Way:
    """A way to sample a network: ``steps`` None means all T; see the module's Clipped for ``clipped``."""

    sampler: str
    steps: int | None
    clipped: bool = True

    def __str__(self) -> str:
        return f"{self.sampler} {self.steps or 'T'}" + ("" if self.clipped else ", not clipped")


def ways(plan: Plan) -> list[Way]:
    """All ways in which each network is sampled."""
    fast = [Way(sampler, steps) for sampler in ("ddim", "dpm++") for steps in plan.steps]
    return [*fast, Way("ddim", plan.steps[-1], clipped=False), Way("ddpm", None)]


def train(schedule: du.NoiseSchedule, images: Tensor, labels: Tensor, plan: Plan, seed: int) -> du.ContextUnet:
    """The averaged weights of a short run without context, in evaluation mode; all its randomness is from ``seed``."""
    torch.manual_seed(seed)
    device = images.device
    net = du.ContextUnet(3, plan.n_feat, labels.shape[1], images.shape[-1])
    net = net.to(device, memory_format=torch.channels_last).train()
    ema = copy.deepcopy(net).requires_grad_(False).eval()
    optimizer = MuonAndAdamW(net)
    recipe = Recipe(batch_size=BATCH_SIZE, warmup_steps=WARMUP_STEPS, seed=seed, bf16=True)
    schedule, generator = schedule.to(device), torch.Generator().manual_seed(seed)
    n_steps, rest = plan.train_steps, (recipe, schedule, generator)
    batches = itertools.islice(du.sprite_batches(images, labels, BATCH_SIZE, generator), n_steps)
    bar = tqdm(batches, total=n_steps, leave=False, disable=None)
    for step, (x, c) in enumerate(bar):
        training_step(net, ema, optimizer, x, c, step, n_steps, *rest)
    return ema


def draw(net: du.ContextUnet, schedule: du.NoiseSchedule, way: Way, n_sample: int, seed: int) -> Tensor:
    """Samples (n_sample, 3, 16, 16), brought into [-1, 1] as they would be for showing them."""
    model = du.Clipped(net, schedule) if way.clipped else net
    options = {
        "model": model,
        "schedule": schedule,
        "seed": seed,
        "progress": False,
        "save_rate": None,
    }
    with torch.autocast(next(net.parameters()).device.type, torch.bfloat16):
        if way.sampler == "ddpm":
            samples, _ = du.sample_ddpm(n_sample, **options)
        else:
            samples, _ = {"ddim": du.sample_ddim, "dpm++": du.sample_dpm}[way.sampler](n_sample, way.steps, **options)
    return samples.nan_to_num().clamp(-1, 1)


class Ruler:
    """Fresh sprites to compare samples with, and what fresh sprites themselves score: the floor."""

    def __init__(self, n_sample: int, device: torch.device) -> None:
        self.classifier = du.load_classifier(device)
        self.reference, *others = (fresh_pictures(n_sample, FRESH_SEED + i, device) for i in range(4))
        self.floor = [self.fsd(other) for other in others]

    def fsd(self, samples: Tensor) -> float:
        """The Fréchet sprite distance of samples to the reference."""
        return round(du.frechet_sprite_distance(samples, self.reference, self.classifier), 1)


def run(plan: Plan, out: Path) -> dict:
    """Do what is missing in ``out/results.json``, store it after each piece of work, and return it.

    Raises:
        ValueError: what is there is of another plan, or cannot be read.
    """
    results = read_results(out / "results.json", plan)
    device = du.default_device()
    data = datasets.load("sprites", du.ROOT / "data")
    images, labels = data.images.to(device), data.labels.to(device)
    ruler = Ruler(plan.samples, device)
    results["floor"] = ruler.floor
    jobs = [(name, timesteps, 0, ways(plan)) for timesteps in plan.timesteps for name in plan.schedules]
    jobs += [(*plan.repeated, seed, [Way("ddim", plan.steps[-1])]) for seed in range(1, plan.seeds)]
    for name, timesteps, seed, its_ways in jobs:
        schedule = SCHEDULES[name](timesteps)
        key = f"{name}_{timesteps}_{seed}"
        new = {"ab_T": float(f"{schedule.ab_t[-1]:.2g}"), "trained": False, "fsd": {}}
        row = results["networks"].setdefault(key, new)
        todo = [way for way in its_ways if str(way) not in row["fsd"]]
        if not todo:
            continue
        checkpoint = out / f"{key}.checkpoint"
        if not (row["trained"] and checkpoint.is_file()):  # a file alone may be of another plan
            du.save_weights(train(schedule, images, labels, plan, seed).state_dict(), checkpoint)
            row["trained"] = True
            write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
        net = du.load_pretrained(checkpoint, device)
        for way in todo:
            row["fsd"][str(way)] = ruler.fsd(draw(net, schedule, way, plan.samples, seed))
            print(f"{key}, {way}: FSD {row['fsd'][str(way)]}", flush=True)
            write_text(out / "results.json", json.dumps(results, indent=1) + "\n")
    return results


def read_results(path: Path, plan: Plan) -> dict:
    """What is done already; the frame for it if there is nothing."""
    as_stored = json.loads(json.dumps(asdict(plan)))  # lists in place of tuples
    if not path.exists():
        return {"plan": as_stored, "floor": [], "networks": {}}
    try:
        results = read_json(path)
        stored, rows = results["plan"], results["networks"].values()
        for row in rows:  # all that is asked of it later
            float(row["ab_T"]), row["trained"], [float(value) for value in row["fsd"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read as results of this program ({error}); delete it") from None
    if stored != as_stored:
        raise ValueError(f"{path} is of another plan: expected {as_stored}, got {stored}; choose another --out")
    return results


def table(results: dict) -> str:
    """The results as Markdown: a row for each network, a column for each way to sample it."""
    plan = results["plan"]
    columns = [str(way) for way in ways(Plan(**plan))]
    rows = []
    for timesteps in plan["timesteps"]:
        for name in plan["schedules"]:
            row = results["networks"][f"{name}_{timesteps}_0"]
            cells = [f"{row['fsd'][column]:.0f}" for column in columns]
            rows.append([timesteps, name, f"{row['ab_T']:g}", *cells])
    name, timesteps = plan["repeated"]
    way = str(Way("ddim", plan["steps"][-1]))
    again = [results["networks"][f"{name}_{timesteps}_{seed}"]["fsd"][way] for seed in range(plan["seeds"])]
    n, steps = plan["samples"], plan["train_steps"]
    return f"""# Ablation: levels, schedules, samplers, steps

Made by `python going_further/ablate.py`. It compares **short runs of small networks**: `ContextUnet` with
n_feat = {plan["n_feat"]}, {steps} training steps of {BATCH_SIZE} sprites. Their samples have shapes and outlines, and
few can be named. Long runs may end in another order.

Fréchet sprite distance (FSD) of {n} samples; less is better, and each figure is from one seed. The floor, {n} real
sprites against {n} others, is {_spread(results["floor"])}. How much is chance: the network for {name}, T = {timesteps}
gives {_spread(again)} by {way} with {plan["seeds"]} seeds, each of training and of sampling.

{tables.table(["T", "schedule", "ᾱ_T", *columns], rows)}

"ddim 25" is DDIM in 25 steps, "ddpm T" is DDPM in all T. The guess of the clean picture is clipped to [-1, 1] in each
step (`Clipped`), except in the column that says otherwise.
"""


def _spread(values: list[float]) -> str:
    figure = spread(values)
    return f"{figure['mean']:.3g} ± {figure['std']:.2g}"


def plot(results: dict) -> Figure:
    """FSD against steps: a panel for each T, a colour for each schedule, lines for fast samplers, stars for DDPM."""
    plan = results["plan"]
    fig, axs = plt.subplots(
        1,
        len(plan["timesteps"]),
        figsize=(10, 3.8),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for ax, timesteps in zip(axs[0], plan["timesteps"], strict=True):
        for name, colour in zip(plan["schedules"], COLOURS, strict=False):
            fsd = results["networks"][f"{name}_{timesteps}_0"]["fsd"]
            for sampler, line in (("ddim", "o-"), ("dpm++", "s--")):
                values = [fsd[str(Way(sampler, n))] for n in plan["steps"]]
                ax.plot(
                    plan["steps"],
                    values,
                    line,
                    color=colour,
                    label=f"{name}, {sampler}",
                    markersize=4,
                )
            ax.plot(timesteps, fsd["ddpm T"], "*", color=colour, label=f"{name}, ddpm", markersize=11)
        ax.set(xscale="log", yscale="log", xlabel="steps", title=f"T = {timesteps}")
        ax.set_xticks([*plan["steps"], timesteps], [*plan["steps"], timesteps])
        ax.yaxis.set_major_formatter("{x:.0f}")
        ax.yaxis.set_minor_formatter("{x:.0f}")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.grid(alpha=0.3, which="both")
    axs[0, 0].set_ylabel(f"FSD ({plan['samples']} samples; floor {statistics.mean(results['floor']):.0f})")
    handles, labels = axs[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    plt.close(fig)
    return fig


def save_plot(results: dict, path: Path) -> None:
    """Draw the whole picture or none."""
    with replacing(path) as part:
        plot(results).savefig(part, dpi=100, format="png")


def main(argv: list[str] | None = None) -> None:
    parser = ablate_parser(__doc__)
    args = parser.parse_args(argv)
    out = args.out or FOLDER
    if args.quick and out == FOLDER:
        parser.exit(
            2,
            "ablate.py: error: expected another --out with --quick, or it would mix with the real results\n",
        )
    memory = "try --quick, or a GPU with more of it"
    with errors_in_one_line(parser, memory, stopped="stopped; the same command goes on where it was"):
        results = run(QUICK if args.quick else Plan(), out)
        write_text(out / "table.md", table(results))
        save_plot(results, out / "ablation.png")
    print(table(results))


if __name__ == "__main__":
    main()

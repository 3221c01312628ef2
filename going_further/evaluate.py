"""Measure how good the pictures of a trained network are, and how varied.

    python going_further/evaluate.py --checkpoint model.pt --samples 1000
    python going_further/evaluate.py --checkpoint model.pt --samples 10000 --sampler ddim --steps 50 --guidance 2

Two measures, and only the first is for any pictures:

    inception   FID and Inception Score. They need `pip install torch-fidelity` and its file of Inception weights, which
                is downloaded on first use (90 MB) or given with --inception-weights.
    sprites     Fréchet sprite distance, precision and recall, with the classifier of the course. For 16×16 colour
                pictures that look like its sprites.

Without --features, it is inception if that can be had. Every figure is a mean over several seeds with its standard
deviation; each seed has its own samples and its own real pictures. Beside it stands what other real pictures score, the
best that a network can hope for. Such figures depend on the number of samples: compare only those of the same number.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn as nn
from torch import Tensor
from tqdm import tqdm

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
import diffusion_utilities as du
from data.make_sprites import fresh_sprites, to_arrays
from going_further import checkpoints, datasets, sample
from support.cli import errors_in_one_line
from support.quality import FRESH_SEED, spread
from support.tables import write_text
from support.writing import can_write

LEAST_SAMPLES = 10  # the Inception Score divides them into ten parts
BATCH_SIZE = 64  # of the Inception network, which makes 299×299 of every picture

PART = 250  # samples drawn at once

# (samples, real pictures), both (n, channels, h, w) in [-1, 1]
Measure = Callable[[Tensor, Tensor], dict[str, float]]


class Unavailable(Exception):  # noqa: N818  (no error: there may be another measure)
    """Why a measure cannot be had here."""


def load_inception(weights: Path | None, device: torch.device) -> nn.Module:
    """The Inception network that FID is defined with: uint8 (n, 3, h, w) → features (n, 2048).

    Args:
        weights: torch-fidelity's file; None is the one in torch's cache, which is downloaded if it is not there.

    Raises:
        Unavailable: torch-fidelity is not installed, or the file cannot be had.
    """
    from torchmetrics.image.fid import NoTrainInceptionV3

    path = None if weights is None else str(weights)
    try:
        net = NoTrainInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=path)
    except ModuleNotFoundError:
        raise Unavailable("torch-fidelity is not installed: pip install torch-fidelity") from None
    except Exception as error:  # no network, no such file, one that is cut short: all come as other types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unavailable(f"the weights of Inception could not be loaded ({reason})") from None
    return net.to(device).eval()


class _AsGiven(nn.Module):
    """In the place of a network in torchmetrics, for features that have been computed already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


@torch.no_grad()
def inception_figures(samples: Tensor, real: Tensor, inception: nn.Module) -> dict[str, float]:
    """FID (Heusel et al. 2017, arXiv 1706.08500) and Inception Score (Salimans et al. 2016, arXiv 1606.03498).

    Args:
        samples, real: (n, channels, h, w) in [-1, 1], with 1 or 3 channels.
        inception: as :func:`load_inception` gives it; each picture passes through it once, for both figures.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    ours, theirs = (torch.cat([inception(batch) for batch in to_bytes(x).split(BATCH_SIZE)]) for x in (samples, real))
    fid = FrechetInceptionDistance(_AsGiven(ours.shape[1])).to(ours.device)
    fid.update(theirs, real=True)
    fid.update(ours, real=False)
    with warnings.catch_warnings():
        # it would say that it keeps all features, which here are kept in any case
        warnings.simplefilter("ignore")
        score = InceptionScore(_AsGiven(len(inception.fc.weight))).to(ours.device)
    score.update(ours @ inception.fc.weight.T)  # without the bias, as is the custom
    return {"FID": fid.compute().item(), "Inception Score": score.compute()[0].item()}


def sprite_figures(samples: Tensor, real: Tensor, classifier: nn.Module) -> dict[str, float]:
    """The module's Fréchet sprite distance, precision and recall."""
    precision, recall = du.precision_recall(samples, real, classifier)
    return {
        "FSD": du.frechet_sprite_distance(samples, real, classifier),
        "precision": precision,
        "recall": recall,
    }


def to_bytes(x: Tensor) -> Tensor:
    """Pictures (n, 1 or 3, h, w) in [-1, 1] → colour pictures (n, 3, h, w) of 8-bit values."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).expand(-1, 3, -1, -1)


def choose_measure(
    features: str | None, shape: tuple[int, int, int], weights: Path | None, device: torch.device
) -> tuple[Measure, str]:
    """The measure that was asked for, or else FID if that can be had, and a sentence that says which one it is.

    Args:
        features: "inception", "sprites", or None.
        shape: of the pictures, (channels, h, w).

    Raises:
        ValueError: it cannot be had, or does not suit the pictures.
    """
    reasons = []
    if features != "sprites":
        try:
            inception = load_inception(weights, device)
            note = "Measured with the features of Inception. Published figures are often of 50,000 samples."
            return lambda samples, real: inception_figures(samples, real, inception), note
        except Unavailable as reason:
            reasons.append(f"no FID, because {reason}")
    if features != "inception":
        if shape == (3, 16, 16):
            classifier = du.load_classifier(device)
            note = "; ".join(["Measured with the features of the course's sprite classifier", *reasons])
            return lambda samples, real: sprite_figures(samples, real, classifier), note
        reasons.append(f"the sprite features are for colour pictures of 16×16, not for {_describe(shape)}")
    raise ValueError("; ".join(reasons))


def _describe(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'colour'} pictures of {height}×{width}"


def real_pictures(config: dict, folder: Path | None, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Two sets of n real pictures that have none in common, and the classes of the first if the network knows classes.

    For the course's sprites these are new ones, drawn by the generator of ``data/``; the network has seen none of them.
    Otherwise they are taken at random from the set that it was trained on.

    Raises:
        ValueError: there are fewer than 2n pictures, or others than the network draws.
    """
    if config["dataset"] == "sprites" and config["image_size"] == 16 and folder is None:
        first, second = (to_arrays(fresh_sprites(n, start + seed)) for start in (FRESH_SEED, 2 * FRESH_SEED))
        (reference, labels), (other, _) = du.sprite_tensors(*first), du.sprite_tensors(*second)
    else:
        root = folder or (du.ROOT / "data" if config["dataset"] == "sprites" else Path("downloads"))
        data = datasets.load(config["dataset"], root, config["image_size"])
        if 2 * n > len(data.images):
            raise ValueError(
                f"expected at most {len(data.images) // 2} samples, because twice as many real pictures are needed and "
                f"there are {len(data.images)}, got {n}"
            )
        chosen = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(seed))[: 2 * n]
        reference, other = data.images[chosen].split(n)
        labels = data.labels[chosen[:n]]
        if config["class_names"] and tuple(data.class_names) != tuple(config["class_names"]):
            raise ValueError(f"expected pictures of the classes {config['class_names']}, got {list(data.class_names)}")
    return reference, other, labels if config["class_names"] else None


def draw(
    net: du.Clipped,
    context: Tensor | None,
    n: int,
    sampler: str,
    steps: int | None,
    eta: float | None,
    guidance: float,
    seed: int,
) -> Tensor:
    """n samples (n, channels, h, w) in [-1, 1], as sample.py draws them, in parts that leave room in the memory."""
    parts = []
    for start in tqdm(range(0, n, PART), desc=f"seed {seed}", leave=False, disable=None):
        rows = None if context is None else context[start : start + PART]
        options = {
            "eta": eta,
            "guidance": guidance,
            "seed": 10**6 * seed + start,
            "progress": False,
        }
        frames, _ = sample.draw(net, rows, min(PART, n - start), sampler, steps, **options)
        parts.append(torch.from_numpy(frames[-1]))
    return torch.cat(parts).clamp(-1, 1)


def summary(values: list[float], real: list[float]) -> dict:
    """Mean and standard deviation over the seeds, of samples and of real pictures."""
    ours, theirs = spread(values), spread(real)
    return ours | {f"real_{name}": value for name, value in theirs.items()}


def check(args: argparse.Namespace) -> None:
    """ValueError for arguments that cannot be meant, before any time is spent."""
    if args.samples < LEAST_SAMPLES or args.seeds < 1 or args.seed < 0 or (args.steps is not None and args.steps < 1):
        raise ValueError(
            f"expected at least {LEAST_SAMPLES} samples, 1 step, 1 seed and no seed below 0, got "
            f"{args.samples}, {args.steps or 'the usual'}, {args.seeds} and {args.seed}"
        )
    sample.check_drawing(args)


def evaluate(args: argparse.Namespace) -> dict:
    """Draw and measure as the arguments say.

    Returns:
        plain values: how it was measured, and ``figures``, name → :func:`summary`, with the values of each seed.

    Raises:
        ValueError, OSError: arguments or files that do not fit.
    """
    check(args)
    net, schedule, config = checkpoints.load_model(args.checkpoint)
    if args.guidance != 1 and not config["class_names"]:
        raise ValueError("expected no --guidance, because this network was trained without classes")
    device = next(net.parameters()).device
    measure, note = choose_measure(
        args.features, (net.in_channels, net.height, net.height), args.inception_weights, device
    )
    net = du.Clipped(net, schedule)
    steps = sample.choose_steps(args.sampler, args.steps, schedule.timesteps)
    du.step_pairs(steps, schedule.timesteps)
    if args.out is not None:
        can_write(args.out)
    seeds, ours, theirs = list(range(args.seed, args.seed + args.seeds)), [], []
    for seed in seeds:
        reference, other, context = real_pictures(config, args.data, args.samples, seed)
        how = (args.sampler, steps, args.eta, args.guidance)
        samples = draw(net, context, args.samples, *how, seed)
        torch.manual_seed(seed)  # the Inception Score shuffles the samples
        ours.append(measure(samples.to(device), reference.to(device)))
        theirs.append(measure(other.to(device), reference.to(device)))
        print(
            f"seed {seed}: " + ", ".join(f"{name} {value:.4g}" for name, value in ours[-1].items()),
            flush=True,
        )
    figures = {}
    for name in ours[0]:
        values, real = ([round(row[name], 4) for row in rows] for rows in (ours, theirs))
        figures[name] = summary(values, real) | {"values": values, "real_values": real}
    eta = sample.choose_eta(args.sampler, args.eta, args.guidance)
    return {
        "checkpoint": args.checkpoint.name,
        "dataset": config["dataset"],
        "note": note,
        "samples": args.samples,
        "seeds": seeds,
        "sampler": args.sampler,
        "guidance": args.guidance,
        "steps": steps,
        "eta": "inf" if eta == math.inf else eta,  # JSON has no number for it
        "figures": figures,
    }


def table(results: dict) -> str:
    """What was measured, for people."""
    how = f", eta {float(results['eta']):g}" if results["eta"] is not None else ""
    how += f", guidance {results['guidance']:g}" if results["guidance"] != 1 else ""
    lines = [
        f"{results['checkpoint']}: {results['samples']} samples by {results['sampler']} in {results['steps']} steps"
        f"{how}, seeds {', '.join(map(str, results['seeds']))}",
        results["note"],
        "",
        f"{'':16}{'samples':>18}{'real pictures':>18}",
    ]
    for name, row in results["figures"].items():
        ours, real = (_with_spread(row[mean], row[std]) for mean, std in (("mean", "std"), ("real_mean", "real_std")))
        lines.append(f"{name:16}{ours:>18}{real:>18}")
    return "\n".join(lines)


def _with_spread(mean: float, std: float | None) -> str:
    return f"{mean:.3f}" + ("" if std is None else f" ± {std:.3f}")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(name: str, text: str, **options) -> None:
        shown = "" if options.get("default") is None else " (default: %(default)s)"
        parser.add_argument(name, help=text + shown, **options)

    sample.add_drawing(parser, sampler="dpm++")
    add("--samples", "how many to draw for each seed", type=int, default=1000, metavar="N")
    add("--seed", "the first seed", type=int, default=0, metavar="N")
    add("--seeds", "how many seeds, one after the other", type=int, default=3, metavar="N")
    add(
        "--features",
        "inception or sprites, see above",
        choices=("inception", "sprites"),
        metavar="KIND",
    )
    add(
        "--inception-weights",
        "torch-fidelity's file, where it cannot be downloaded",
        type=Path,
        metavar="FILE",
    )
    add(
        "--data",
        "folder of the real pictures, if they are not where train.py expects them",
        type=Path,
        metavar="FOLDER",
    )
    add("--out", "also write the figures to this JSON file", type=Path, metavar="FILE")
    return parser


def main(argv: list[str] | None = None) -> None:
    parser = make_parser()
    args = parser.parse_args(argv)
    with errors_in_one_line(parser, memory="lower --samples"):
        results = evaluate(args)
        if args.out is not None:
            write_text(args.out, json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()

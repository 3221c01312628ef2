"""Measure how good the pictures of a trained network are, and how varied.

    python going_further/evaluate.py --checkpoint model.pt --samples 1000
    python going_further/evaluate.py --checkpoint model.pt --samples 10000 --sampler ddim --steps 50 --guidance 2

Two measures, and only the first is for any pictures:

    inception   FID and Inception Score. They need `pip install torch-fidelity` and its file of Inception weights, which
                is downloaded on first use (90 MB) or given with --inception-weights. At least 2,049
                samples.
    sprites     Fréchet sprite distance, precision and recall, with the classifier of the course. For 16×16 colour
                pictures that look like its sprites; of others the figures say little. At least 129
                samples.

Without --features, it is inception if that can be had. Every figure is a mean over several seeds with its standard
deviation; each seed has its own samples and its own real pictures. Beside it stands what other real pictures score, the
best that a network can hope for. Such figures depend on the number of samples: compare only those of the same number.
A copy is a sample that is nearly one of the training pictures, or its mirror image.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
from going_further.options import evaluate_parser

if __name__ == "__main__":  # answers --help and slips of the keyboard before the slow imports
    evaluate_parser(__doc__).parse_args()

import torch
import torch.nn as nn
from torch import Tensor
from tqdm import tqdm

import diffusion_utilities as du
from data.make_sprites import fresh_sprites, to_arrays
from going_further import checkpoints, datasets, sample
from support.cli import errors_in_one_line
from support.quality import FRESH_SEED, nearest_sprite, spread
from support.tables import write_text
from support.writing import can_write

# The Fréchet distance compares covariances, which fewer pictures than features do not determine.
FEATURES = {"inception": 2048, "sprites": 128}
FOREIGN = (
    ". Careful: these pictures are not the course's sprites, and the classifier knows only those. "
    "Blurred pictures may score as well as real ones. Look at the samples, or take inception"
)
A_COPY = 0.05  # root mean square distance to a training picture; colours go from -1 to 1
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
    features: str | None,
    shape: tuple[int, int, int],
    weights: Path | None,
    device: torch.device,
    n: int,
    foreign: bool = False,
) -> tuple[Measure, str]:
    """The measure that was asked for, or else FID if that can be had, and a sentence that says which one it is.

    Args:
        features: "inception", "sprites", or None.
        shape: of the pictures, (channels, h, w).
        n: how many samples will be measured.
        foreign: whether the pictures are others than the course's sprites.

    Raises:
        ValueError: it cannot be had, does not suit the pictures, or needs more of them.
    """
    reasons = []
    if features != "sprites":
        try:
            if problem := too_few(n, "inception"):
                raise Unavailable(problem)
            inception = load_inception(weights, device)
            note = "Measured with the features of Inception. Published figures are often of 50,000 samples."
            return lambda samples, real: inception_figures(samples, real, inception), note
        except Unavailable as reason:
            reasons.append(f"no FID, because {reason}")
    if features != "inception":
        if shape == (3, 16, 16) and not (problem := too_few(n, "sprites")):
            classifier = du.load_classifier(device)
            note = "; ".join(["Measured with the features of the course's sprite classifier", *reasons])
            note += FOREIGN if foreign else ""
            return lambda samples, real: sprite_figures(samples, real, classifier), note
        unfit = f"the sprite features are for colour pictures of 16×16, not for {_describe(shape)}"
        reasons.append(problem if shape == (3, 16, 16) else unfit)
    raise ValueError("; ".join(reasons))


def too_few(n: int, features: str) -> str:
    """Why n samples are too few for the features; "" if they are enough."""
    least = FEATURES[features] + 1
    needed = f"at least {least} --samples, and twice as many real pictures"
    return "" if n >= least else f"the {features} features need {needed}, got {n}"


def _describe(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{'grey' if channels == 1 else 'colour'} pictures of {height}×{width}"


def training_pictures(config: dict, root: Path) -> datasets.ImageData:
    """The set that the network was trained on.

    Raises:
        ValueError, OSError: it is not there, or has other classes than the network draws.
    """
    data = datasets.load(config["dataset"], root, config["image_size"])
    if config["class_names"] and list(data.class_names) != config["class_names"]:
        expected, got = config["class_names"], list(data.class_names)
        raise ValueError(f"expected pictures of the classes {expected}, got {got}")
    return data


def copies(samples: Tensor, pictures: Tensor) -> float:
    """The share of samples (n, channels, h, w) that are nearly one of the pictures (m, …).

    Raises:
        ValueError: pictures of another shape.
    """
    distance, _ = nearest_sprite(samples, pictures)
    return (distance < A_COPY).float().mean().item()


def real_pictures(
    config: dict, data: datasets.ImageData, n: int, seed: int, fresh: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Two sets of n real pictures that have none in common, and the classes of the first if the network knows classes.

    Args:
        data: the set that the network was trained on, of which they are taken at random.
        fresh: draw new ones by the generator of ``data/``, which the network has never seen.

    Raises:
        ValueError: there are fewer than 2n pictures.
    """
    if fresh:
        first, second = (to_arrays(fresh_sprites(n, start + seed)) for start in (FRESH_SEED, 2 * FRESH_SEED))
        (reference, labels), (other, _) = du.sprite_tensors(*first), du.sprite_tensors(*second)
    else:
        if 2 * n > len(data.images):
            raise ValueError(
                f"expected at most {len(data.images) // 2} samples, because twice as many real pictures are needed and "
                f"there are {len(data.images)}, got {n}"
            )
        chosen = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(seed))[: 2 * n]
        reference, other = data.images[chosen].split(n)
        labels = data.labels[chosen[:n]]
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


def evaluate(args: argparse.Namespace) -> dict:
    """Draw and measure as the arguments say.

    Returns:
        plain values: how it was measured; ``figures``, name → :func:`summary`, with the values of
        each seed; and ``copies``, the share of samples that are.

    Raises:
        ValueError, OSError: arguments or files that do not fit.
    """
    sample.check_drawing(args)
    net, schedule, config = checkpoints.load_model(args.checkpoint)
    if args.guidance != 1 and not config["class_names"]:
        raise ValueError("expected no --guidance, because this network was trained without classes")
    device, shape = next(net.parameters()).device, (net.in_channels, net.height, net.height)
    root, foreign = datasets.folder_of(config["dataset"], args.data), config["dataset"] != "sprites"
    wanted = (args.features, shape, args.inception_weights, device)
    measure, note = choose_measure(*wanted, args.samples, foreign)
    net = du.Clipped(net, schedule)
    steps = sample.choose_steps(args.sampler, args.steps, schedule.timesteps)
    du.step_pairs(steps, schedule.timesteps)
    if args.out is not None:
        can_write(args.out)
    data = training_pictures(config, root)
    fresh = not foreign and config["image_size"] == 16 and args.data is None
    seeds, ours, theirs, copied = list(range(args.seed, args.seed + args.seeds)), [], [], []
    for seed in seeds:
        reference, other, context = real_pictures(config, data, args.samples, seed, fresh)
        how = (args.sampler, steps, args.eta, args.guidance)
        samples = draw(net, context, args.samples, *how, seed)
        torch.manual_seed(seed)  # the Inception Score shuffles the samples
        ours.append(measure(samples.to(device), reference.to(device)))
        theirs.append(measure(other.to(device), reference.to(device)))
        copied.append(round(copies(samples, data.images), 4))
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
        "copies": spread(copied) | {"values": copied, "nearer_than": A_COPY},
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
    copied = f"{results['copies']['mean']:.1%} of the samples are copies of training pictures"
    lines += ["", f"{copied} (root mean square distance below {A_COPY})"]
    return "\n".join(lines)


def _with_spread(mean: float, std: float | None) -> str:
    return f"{mean:.3f}" + ("" if std is None else f" ± {std:.3f}")


def main(argv: list[str] | None = None) -> None:
    parser = evaluate_parser(__doc__)
    args = parser.parse_args(argv)
    with errors_in_one_line(parser, memory="lower --samples"):
        results = evaluate(args)
        if args.out is not None:
            write_text(args.out, json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()

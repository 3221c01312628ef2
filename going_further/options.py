"""What the four scripts take from the command line; without PyTorch, so --help is there at once."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

DATASETS = ("sprites", "mnist", "cifar10", "custom")
SCHEDULES = ("linear", "cosine", "sigmoid", "linear-zero", "straight")
OBJECTIVES = ("noise", "x0", "v", "flow", "edm")
LOSS_WEIGHTS = ("own", "simple", "min-snr", "bound")
LEVELS = ("uniform", "middle")
# for each sampler, how many steps where none are asked for; None is all T
STEPS = {"ddpm": None, "ddim": 50, "dpm++": 10}
# where none is asked for; ddpm leaves no choice
ETAS = {"ddpm": None, "ddim": 0.0, "dpm++": math.inf}
LARGEST_SEED = 10**9  # what follows from it still fits into 64 bits


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """A type for argparse: whole numbers from ``least`` to ``most``."""

    def whole_number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            wanted = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"expected a whole number {wanted}, got {text!r}")
        return int(text)

    return whole_number


def positive(text: str) -> float:
    """A type for argparse: finite numbers above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def _parser(script: str, description: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=script,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add(group: argparse._ActionsContainer, name: str, text: str, **options) -> None:
    """One option; its help text says the default where there is one."""
    shown = "" if options.get("default") is None else " (default: %(default)s)"
    group.add_argument(name, help=text + shown, **options)


def train_parser(description: str | None = None) -> argparse.ArgumentParser:
    """The options of train.py."""
    parser = _parser("train.py", description)

    data = parser.add_argument_group("pictures")
    _add(
        data,
        "--dataset",
        f"what to learn: {', '.join(DATASETS)}",
        choices=DATASETS,
        default="sprites",
        metavar="NAME",
    )
    _add(
        data,
        "--data",
        "folder of the pictures; for custom, which needs one, with a subfolder for each class "
        "(default: the course's sprites; mnist and cifar10 are downloaded to downloads/)",
        type=Path,
        metavar="FOLDER",
    )
    _add(
        data,
        "--image-size",
        "bring all pictures to this height and width; of those that are not square, only the "
        "largest square in the middle is used (default: as they are, which must be squares of "
        "one size)",
        type=whole(1),
        metavar="N",
    )
    data.add_argument(
        "--no-augment",
        dest="augment",
        action="store_false",
        help="do not mirror pictures at random; for pictures of letters, say",
    )

    model = parser.add_argument_group("network and noise")
    _add(
        model,
        "--dim",
        "width of the network, a multiple of 8; 64 to 128 for photographs",
        type=whole(8),
        default=32,
        metavar="N",
    )
    model.add_argument(
        "--dim-mults",
        type=whole(1),
        nargs="+",
        default=[1, 2, 2],
        metavar="N",
        help="width of each stage as a multiple of --dim; each stage after the first has half "
        "the size (default: 1 2 2)",
    )
    _add(model, "--blocks", "residual blocks in each stage", type=whole(1), default=2, metavar="N")
    _add(model, "--timesteps", "number of noise levels T", type=whole(1), default=500, metavar="T")
    _add(
        model,
        "--schedule",
        f"how noise grows with the level: {', '.join(SCHEDULES)}; the last two end in pure noise, "
        "which a network that answers with the noise cannot start from",
        choices=SCHEDULES,
        default="linear",
        metavar="NAME",
    )
    _add(
        model,
        "--objective",
        "what the network answers with: the noise; x0, the clean picture; v, the two turned by an "
        "angle; flow, the velocity from picture to noise; edm, the two mixed so that all is of size 1",
        choices=OBJECTIVES,
        default="noise",
        metavar="KIND",
    )

    run = parser.add_argument_group("training")
    _add(
        run,
        "--epochs",
        "how often to go through all pictures",
        type=whole(1),
        default=100,
        metavar="N",
    )
    _add(
        run,
        "--batch-size",
        "pictures in each step, over all processes together",
        type=whole(1),
        default=64,
        metavar="N",
    )
    _add(
        run,
        "--accumulate",
        "compute each batch in this many parts, which takes less memory; the result is the same up "
        "to rounding, not to the last bit, so that --resume refuses another number",
        type=whole(1),
        default=1,
        metavar="N",
    )
    _add(
        run,
        "--lr",
        "learning rate: the largest, after the warm-up and before the decay",
        type=positive,
        default=1e-3,
    )
    _add(
        run,
        "--loss-weight",
        "how much an error counts at each level. own: alike, in what the network answers with; "
        "simple: alike, in the noise; min-snr: min(SNR, 5) times the error of the clean picture; bound: "
        "as in the variational bound",
        choices=LOSS_WEIGHTS,
        default="own",
        metavar="KIND",
    )
    _add(
        run,
        "--levels",
        "which levels are trained at: uniform, all alike; middle, the ends seldom",
        choices=LEVELS,
        default="uniform",
        metavar="KIND",
    )
    _add(
        run,
        "--mixed-precision",
        "bf16 or fp16: compute with 16 bits, faster where the processor can; no: with 32; auto: "
        "bf16 if a short trial is faster with it, else no; with --resume, as the run began; "
        "under `accelerate launch`, what that was told. fp16 needs a GPU",
        choices=("auto", "no", "bf16", "fp16"),
        default="auto",
        metavar="KIND",
    )
    run.add_argument(
        "--checkpointing",
        action="store_true",
        help="keep only what goes into each block, and compute the rest once more on the way back: "
        "a quarter of the memory, a third more time, and the same weights to the last bit, so that "
        "--resume may add it or leave it out",
    )
    _add(
        run,
        "--seed",
        "another number gives another run",
        type=whole(0, LARGEST_SEED),
        default=0,
        metavar="N",
    )

    files = parser.add_argument_group("files")
    _add(
        files,
        "--out",
        "folder to write to (default: runs/ and the name of the data set)",
        type=Path,
        metavar="FOLDER",
    )
    _add(
        files,
        "--sample-every",
        "draw pictures after every so many epochs",
        type=whole(1),
        default=10,
        metavar="N",
    )
    _add(
        files,
        "--save-minutes",
        "within an epoch, save after every so many minutes; the end of an epoch is saved always",
        type=positive,
        default=10,
        metavar="M",
    )
    files.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out where it was saved last; with a higher --epochs, "
        "lengthen a finished one. On a CPU the end is the same to the last bit as without a stop, "
        "if processor, number of threads and version of PyTorch are; else up to rounding",
    )
    _add(
        files,
        "--start",
        "begin with the averaged weights of another checkpoint in place of random ones",
        type=Path,
        metavar="FILE",
    )
    return parser


def _add_drawing(parser: argparse.ArgumentParser, sampler: str) -> None:
    """The options of every program that draws; ``sampler`` is the default of one of them."""
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        metavar="FILE",
        help="the model.pt or checkpoint.pt of a training",
    )
    _add(
        parser,
        "--sampler",
        "ddpm takes all T steps; ddim and dpm++ are the faster the fewer --steps they take",
        choices=STEPS,
        default=sampler,
    )
    _add(
        parser,
        "--steps",
        "of ddim or dpm++ (default: 50 for ddim, 10 for dpm++)",
        type=whole(1),
        metavar="N",
    )
    _add(
        parser,
        "--eta",
        "how much fresh noise ddim (0 to 1) or dpm++ (0 to inf) puts in on the way: with 0 "
        "the same noise always ends at the same picture, with inf nothing is kept of the old noise "
        "(default: 0 for ddim, inf for dpm++, but 0 with a --guidance above 1)",
        type=float,
        metavar="E",
    )
    _add(
        parser,
        "--guidance",
        "how much to insist on the class: 0: not at all, 1: as trained, 2 to 5: clearer, less varied",
        type=float,
        default=1.0,
        metavar="W",
    )


def sample_parser(description: str | None = None) -> argparse.ArgumentParser:
    """The options of sample.py."""
    parser = _parser("sample.py", description)
    _add_drawing(parser, sampler="ddpm")
    _add(parser, "--num-samples", "how many to draw", type=whole(1), default=16, metavar="N")
    _add(
        parser,
        "--class-id",
        "what to draw, by number or name (default: all classes in turn)",
        metavar="CLASS",
    )
    _add(
        parser,
        "--seed",
        "another number draws others",
        type=whole(0, LARGEST_SEED),
        default=0,
        metavar="N",
    )
    _add(
        parser,
        "--out",
        "a name in .png for the pictures, in .gif for an animation of their way out of the "
        "noise; a folder, or a name without an ending, for one .png file each, in the network's "
        "own size",
        type=Path,
        default=Path("samples.png"),
        metavar="PATH",
    )
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="compute with 16 bits: faster where the processor can, and the pictures change a little",
    )
    edit = parser.add_argument_group("editing (PICTURE, MASK and SMALL are files)")
    _add(edit, "--init", "begin with a picture of the network's size, noised", type=Path, metavar="PICTURE")
    _add(
        edit,
        "--strength",
        "how much of --init is given up, above 0; 1 leaves next to nothing of it (default: 0.6)",
        type=float,
        metavar="S",
    )
    _add(
        edit,
        "--mask",
        "draw --init anew where this picture, of the same size, is white, and keep it where it is black",
        type=Path,
        metavar="MASK",
    )
    _add(
        edit,
        "--rounds",
        "how often each step is taken with --mask, going back up in between (default: 5)",
        type=whole(1),
        metavar="N",
    )
    _add(edit, "--upscale", "draw a picture whose half size is this one", type=Path, metavar="SMALL")
    parser.add_argument(
        "--progressive",
        action="store_true",
        help="show the way of the first pictures as a film strip: noisy above, and below the clean "
        "picture that the network sees in it",
    )
    return parser


def evaluate_parser(description: str | None = None) -> argparse.ArgumentParser:
    """The options of evaluate.py."""
    parser = _parser("evaluate.py", description)
    _add_drawing(parser, sampler="dpm++")
    _add(
        parser,
        "--samples",
        "how many to draw for each seed",
        type=whole(1),
        default=1000,
        metavar="N",
    )
    _add(parser, "--seed", "the first seed", type=whole(0, LARGEST_SEED), default=0, metavar="N")
    _add(
        parser,
        "--seeds",
        "how many seeds, one after the other",
        type=whole(1),
        default=3,
        metavar="N",
    )
    _add(
        parser,
        "--features",
        "inception or sprites, see above",
        choices=("inception", "sprites"),
        metavar="KIND",
    )
    _add(
        parser,
        "--inception-weights",
        "torch-fidelity's file, where it cannot be downloaded",
        type=Path,
        metavar="FILE",
    )
    _add(
        parser,
        "--data",
        "folder of the real pictures, if they are not where train.py expects them; a network that "
        "was trained with --dataset custom needs it",
        type=Path,
        metavar="FOLDER",
    )
    _add(parser, "--out", "also write the figures to this JSON file", type=Path, metavar="FILE")
    return parser


def ablate_parser(description: str | None = None) -> argparse.ArgumentParser:
    """The options of ablate.py."""
    parser = _parser("ablate.py", description)
    _add(parser, "--out", "default: going_further/ablation", type=Path, metavar="FOLDER")
    parser.add_argument("--quick", action="store_true", help="tiny, only to see that it works")
    return parser

"""Draw pictures with a network that train.py has trained.

python going_further/sample.py --checkpoint model.pt --num-samples 16
python going_further/sample.py --checkpoint model.pt --sampler ddim --steps 50
python going_further/sample.py --checkpoint model.pt --class-id 5 --guidance 3
python going_further/sample.py --checkpoint model.pt --sampler dpm++                  # in ten steps
python going_further/sample.py --checkpoint model.pt --sampler ddim --out way.gif     # the way out of the noise
python going_further/sample.py --checkpoint model.pt --progressive --out strip.png    # and what is guessed on it
python going_further/sample.py --checkpoint model.pt --num-samples 500 --out drawn   # a file each
python going_further/sample.py --checkpoint model.pt --init hero.png --strength 0.6
python going_further/sample.py --checkpoint model.pt --init hero.png --mask mask.png  # white: draw anew
python going_further/sample.py --checkpoint model.pt --upscale small.png              # of half the size
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
from going_further.options import ETAS, STEPS, sample_parser

if __name__ == "__main__":  # answers --help and slips of the keyboard before the slow imports
    sample_parser(__doc__).parse_args()

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from diffusion_utilities import (
    Clipped,
    Guided,
    ModelWrapper,
    NoiseSchedule,
    Step,
    ddim_step,
    ddpm_step,
    denoising,
    dpm_step,
    mosaic,
    perturb_input,
    step_pairs,
    to_unit,
)
from going_further import checkpoints
from going_further.editing import going_back_up, keep_known, project_on_small, repeated, walk_from
from support.cli import errors_in_one_line
from support.picture_files import open_picture
from support.writing import can_write, replacing

FRAMES = 40  # of an animation
MOMENTS = 9  # of a film strip
STRIPS = 4  # pictures whose way a film strip shows
LEAST_HEIGHT = 64  # smaller pictures are shown enlarged
FOLDER = ""  # the ending of a --out that is a folder


class InBf16(ModelWrapper):
    """The answer of a model, computed with the 8 bits of precision of bfloat16 where PyTorch thinks it safe."""

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            answer = self.model(x, t, c)
        return answer.to(torch.promote_types(answer.dtype, torch.float32))

    def for_sampling(self) -> ModelWrapper:
        """On a CPU as it is: with channels side by side, 16-bit group norms take longer (see cost/COST.md)."""
        parameter = next(self.parameters(), None)
        return self if parameter is None or parameter.device.type == "cpu" else super().for_sampling()


def class_context(names: Sequence[str], asked: str | None, n: int) -> Tensor | None:
    """One-hot rows (n, classes): the class asked for, by its name or number, or all classes in turn if asked is None.

    None for a network without classes.

    Raises:
        ValueError: no such class, or a network without classes.
    """
    if asked is None:
        return torch.eye(len(names))[torch.arange(n) % len(names)] if names else None
    if not names:
        raise ValueError("expected no --class-id, because this network was trained without classes")
    if asked in names:
        number = names.index(asked)
    elif asked.isdecimal() and int(asked) < len(names):
        number = int(asked)
    else:
        known = ", ".join(f"{i} ({name})" for i, name in enumerate(names))
        raise ValueError(f"expected a --class-id out of {known}, got {asked!r}")
    return torch.eye(len(names))[[number] * n]


def choose_eta(sampler: str, eta: float | None, guidance: float) -> float | None:
    """The eta that was asked for, or if that is None the usual one of the sampler and, for dpm++, of the guidance.

    Raises:
        ValueError: the sampler has none, or not such a one.
    """
    if eta is None:
        # fresh noise in every step and strong guidance together end in noise
        return 0.0 if sampler == "dpm++" and guidance > 1 else ETAS[sampler]
    if sampler == "ddpm":
        raise ValueError("expected no --eta for ddpm, which has no choice of it: try ddim or dpm++")
    largest = 1 if sampler == "ddim" else math.inf
    if not 0 <= eta <= largest:
        raise ValueError(f"expected an --eta from 0 to {largest} for {sampler}, got {eta}")
    return eta


def choose_steps(sampler: str, steps: int | None, timesteps: int) -> int:
    """The number of steps that was asked for, or if that is None the usual one of the sampler.

    Raises:
        ValueError: the sampler leaves no choice.
    """
    if sampler == "ddpm" and steps not in (None, timesteps):
        reason = f"which always takes all {timesteps}: try ddim or dpm++"
        raise ValueError(f"expected no --steps for ddpm, {reason}")
    return steps or min(STEPS[sampler] or timesteps, timesteps)


def walk_of(steps: int, timesteps: int, strength: float = 1.0, rounds: int = 1, **_) -> list[tuple[int, int]]:
    """The pairs of levels that :func:`way`, of whose arguments it needs some, goes through."""
    return repeated(walk_from(strength, steps, timesteps), rounds=rounds)


def way(
    net: Clipped,
    context: Tensor | None,
    n: int,
    sampler: str = "ddpm",
    steps: int | None = None,
    *,
    eta: float | None = None,
    guidance: float = 1.0,
    seed: int = 0,
    progress: bool = True,
    picture: Tensor | None = None,
    strength: float = 1.0,
    wrap: Callable[[Step], Step] | None = None,
    rounds: int = 1,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Draw n pictures by one of the module's samplers, level by level.

    Args:
        steps, eta: None is what is usual, see :func:`choose_steps` and :func:`choose_eta`.
        picture: (channels, h, w), to begin with, noised to the level strength · T.
        wrap: makes of the sampler's step the one that is taken.
        rounds: how often each step is taken, going back up in between (see :mod:`going_further.editing`).

    Yields:
        from T to 0 each level t, x_t and the x̂_0 guessed from it, (n, channels, h, w); at t = 0
        both are the result.

    Raises:
        ValueError: a number of steps or an eta that the sampler cannot take.
    """
    schedule, eta = net.schedule, choose_eta(sampler, eta, guidance)
    steps = choose_steps(sampler, steps, schedule.timesteps)
    pairs = walk_of(steps, schedule.timesteps, strength, rounds)
    start = pairs[0][0]
    make = {"ddpm": lambda: ddpm_step(schedule), "ddim": lambda: ddim_step(eta, schedule)}
    step = make.get(sampler, lambda: dpm_step(eta, schedule))()
    step = step if wrap is None else wrap(step)
    model, generator = Guided(net, guidance), torch.Generator().manual_seed(seed)
    x = torch.randn(n, model.in_channels, model.height, model.height, generator=generator)
    x = x if picture is None else perturb_input(picture.expand_as(x), start, x, schedule)
    options = {"context": context, "schedule": schedule, "seed": generator}
    walk = going_back_up(denoising(step, pairs, n, model=model, x=x, **options), pairs, schedule, generator)
    bar = tqdm(walk, total=len(pairs), leave=False, disable=not progress)
    for (t, _), (_, x_next, x0_pred) in zip(pairs, bar, strict=True):
        yield t, x, x0_pred
        x = x_next  # if the walk goes up, it does so in place when it is asked for more
    yield 0, x, x


def draw(
    net: Clipped, context: Tensor | None, n: int, sampler: str = "ddpm", steps: int | None = None, **options
) -> tuple[np.ndarray, list[int]]:
    """About 40 frames of :func:`way`, which has the same arguments, and the noise level of each.

    Returns:
        frames (frames, n, channels, h, w), from x_T to the result; their levels, from T to 0.
    """
    timesteps = net.schedule.timesteps
    walk = walk_of(choose_steps(sampler, steps, timesteps), timesteps, **options)
    every = math.ceil(len(walk) / FRAMES)
    moments = enumerate(way(net, context, n, sampler, steps, **options))
    kept = [(x.cpu().numpy(), t) for i, (t, x, _) in moments if i % every == 0 or t == 0]
    frames, levels = zip(*kept, strict=True)
    return np.stack(frames), list(levels)


def grid(x: np.ndarray) -> Image.Image:
    """Pictures (n, channels, h, w) in [-1, 1] as one, about as wide as high, small ones enlarged."""
    rows = math.ceil(len(x) / math.ceil(math.sqrt(len(x))))
    pixels = mosaic(x, rows, scale=math.ceil(LEAST_HEIGHT / x.shape[-1]))
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


def read_picture(path: Path, channels: int, size: int) -> Tensor:
    """A picture file as (channels, size, size) in [-1, 1]; what is transparent becomes white.

    Raises:
        ValueError: no picture, or one of another size.
    """
    try:
        image, _ = open_picture(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if image.size != (size, size):
        raise ValueError(f"expected {path} of {size}×{size} pixels, got {image.width}×{image.height}")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image).convert("L" if channels == 1 else "RGB")
    return torch.from_numpy(np.array(image)).reshape(size, size, channels).permute(2, 0, 1) / 127.5 - 1


def editing(args: argparse.Namespace, net: Clipped, schedule: NoiseSchedule) -> dict:
    """What the options of editing ask of :func:`way`.

    Raises:
        ValueError: pictures that do not fit, or a mask that keeps all or nothing.
    """
    if args.upscale is not None:
        if net.height % 2:
            raise ValueError(f"expected no --upscale, because pictures of {net.height}×{net.height} have no half size")
        small = read_picture(args.upscale, net.in_channels, net.height // 2)
        return {"wrap": lambda step: project_on_small(step, small[None], schedule)}
    if args.init is None:
        return {}
    picture = read_picture(args.init, net.in_channels, net.height)
    if args.mask is None:
        return {"picture": picture, "strength": 0.6 if args.strength is None else args.strength}
    known = read_picture(args.mask, 1, net.height)[0] < 0
    if known.all() or not known.any():
        found = "black" if known.all() else "white"
        raise ValueError(f"expected {args.mask} with black, to keep, and white, to draw anew; all of it is {found}")
    return {"wrap": lambda step: keep_known(step, picture[None], known, schedule), "rounds": args.rounds or 5}


def single(x: np.ndarray) -> Image.Image:
    """One picture (channels, h, w) in [-1, 1], grey or in colours, as large as it is."""
    pixels = ((x.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def film_strip(moments: list[tuple[int, Tensor, Tensor]]) -> bytes:
    """A PNG of the way of each picture: above, x_t at some levels, and below, the x̂_0 guessed from it.

    Args:
        moments: level, x_t and x̂_0, (n, channels, h, w), as :func:`way` yields them.
    """
    matplotlib.use("Agg")  # draws into a file, without a window
    import matplotlib.pyplot as plt

    n, columns = len(moments[0][1]), len(moments)
    fig, axs = plt.subplots(2 * n, columns, figsize=(columns, 2.1 * n + 0.3), squeeze=False)
    for j, (t, noisy, clean) in enumerate(moments):
        for i in range(n):
            for ax, x in ((axs[2 * i, j], noisy[i]), (axs[2 * i + 1, j], clean[i])):
                picture = to_unit(x).squeeze()
                ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
        axs[0, j].set_title(f"t = {t}", fontsize=9)
    for i in range(n):
        axs[2 * i, 0].set_ylabel("$x_t$")
        axs[2 * i + 1, 0].set_ylabel(r"$\hat{x}_0$")
    fig.tight_layout(pad=0.4)
    buffer = io.BytesIO()
    fig.savefig(buffer, dpi=100, format="png")
    plt.close(fig)
    return buffer.getvalue()


def encode(images: list[Image.Image], kind: str) -> bytes:
    """A PNG of the last of the images, or a GIF of all that shows the last one longer."""
    buffer = io.BytesIO()
    if kind == ".png":
        images[-1].save(buffer, format="PNG")
    else:
        durations = [80] * (len(images) - 1) + [2000]  # milliseconds
        images[0].save(
            buffer,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=durations,
            loop=0,
            optimize=False,
        )
    return buffer.getvalue()


def check_drawing(args: argparse.Namespace) -> None:
    """ValueError for options of every program that draws that cannot be meant."""
    choose_eta(args.sampler, args.eta, args.guidance)
    if not 0 <= args.guidance < math.inf:
        raise ValueError(f"expected a --guidance of at least 0, got {args.guidance}")


def check(args: argparse.Namespace) -> None:
    """ValueError for arguments that cannot be meant, before any time is spent."""
    kind = kind_of(args.out)
    if kind not in (".png", ".gif", FOLDER):
        raise ValueError(f"expected --out in .png or .gif, or a folder, got {args.out}")
    if args.progressive and kind != ".png":
        reason = "for the film strip of --progressive"
        raise ValueError(f"expected --out in .png {reason}, got {args.out}")
    there = [file.name for file in singles(args.out, args.num_samples) if file.exists()]
    if kind == FOLDER and there:
        raise ValueError(f"{args.out} holds {there[0]} already: choose another --out")
    check_drawing(args)
    needs = {"--strength": args.strength, "--mask": args.mask}
    for name, value in needs.items():
        if value is not None and args.init is None:
            raise ValueError(f"expected --init with the picture for {name}")
    if args.rounds is not None and args.mask is None:
        raise ValueError("expected --mask with --rounds")
    if args.mask is not None and args.strength is not None:
        raise ValueError("expected --strength or --mask, not both: what is masked is drawn from noise")
    if args.upscale is not None and args.init is not None:
        raise ValueError("expected --upscale or --init, not both")
    if args.strength is not None and not 0 < args.strength <= 1:
        raise ValueError(f"expected a --strength above 0 and at most 1, got {args.strength}")


def kind_of(out: Path) -> str:
    """What --out asks for: ".png", ".gif" or another ending, or FOLDER."""
    return FOLDER if out.is_dir() else out.suffix.lower()


def singles(folder: Path, n: int) -> list[Path]:
    """The files of n single pictures."""
    return [folder / f"{i:05d}.png" for i in range(n)]


def sample(args: argparse.Namespace) -> None:
    """Draw and write the file, or the files.

    Raises:
        ValueError, OSError: arguments or files that do not fit.
    """
    check(args)
    net, schedule, config = checkpoints.load_model(args.checkpoint)
    net = InBf16(net) if args.bf16 else net
    context = class_context(config["class_names"], args.class_id, args.num_samples)
    if context is None and args.guidance != 1:
        raise ValueError("expected no --guidance, because this network was trained without classes")
    steps = choose_steps(args.sampler, args.steps, schedule.timesteps)
    step_pairs(steps, schedule.timesteps)
    kind, files = kind_of(args.out), singles(args.out, args.num_samples)
    can_write(files[0] if kind == FOLDER else args.out)
    given = (Clipped(net, schedule), context, args.num_samples, args.sampler, steps)
    options = {"eta": args.eta, "guidance": args.guidance, "seed": args.seed} | editing(args, net, schedule)
    if kind == FOLDER:
        for _, x, _ in way(*given, **options):  # noqa: B007  (only the last one is kept)
            pass
        for file, picture in zip(files, x.cpu().numpy(), strict=True):
            with replacing(file) as part:
                single(picture).save(part)
        return
    if args.progressive:
        n_steps = len(walk_of(steps, schedule.timesteps, **options))
        chosen = np.linspace(0, n_steps, min(MOMENTS, n_steps + 1)).round()
        moments = enumerate(way(*given, **options))
        shown = [(t, x[:STRIPS], x0[:STRIPS]) for i, (t, x, x0) in moments if i in chosen]
        content = film_strip(shown)
    else:
        frames, _ = draw(*given, **options)
        content = encode([grid(x) for x in (frames if kind == ".gif" else frames[-1:])], kind)
    with replacing(args.out) as part:
        part.write_bytes(content)


def main(argv: list[str] | None = None) -> None:
    parser = sample_parser(__doc__)
    args = parser.parse_args(argv)
    with errors_in_one_line(parser, memory="lower --num-samples"):
        sample(args)
    print(f"done: {args.out}")


if __name__ == "__main__":
    main()

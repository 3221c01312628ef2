"""Pictures of sprites: grids, film strips, animations. Colours are shown as they are, clip((x + 1) / 2)."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.animation import FuncAnimation, PillowWriter
from PIL import Image
from torch import Tensor

import support.checks as check
from support.players import self_contained
from support.writing import replacing

# where there are too many, matplotlib's player leaves out the last, the finished sprites
MOST_FRAMES = 200
STILLS = 10  # frames of an animation that plays without a script


def to_unit(x: Tensor | np.ndarray) -> np.ndarray:
    """Pictures (..., 3, h, w) in [-1, 1] → what matplotlib shows, (..., h, w, 3) in [0, 1]: clip((x + 1) / 2).

    The same rule for every picture, unlike :func:`unorm`, which would hide a background that is not white.
    """
    x = x.detach().cpu().float().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if x.ndim < 3 or x.dtype.kind != "f":
        got = f"{x.dtype} {x.shape}"
        raise ValueError(f"expected pictures (..., 3, h, w) of values in [-1, 1], got {got}")
    return np.clip((np.moveaxis(x, -3, -1) + 1) / 2, 0, 1)


def unorm(x: np.ndarray) -> np.ndarray:
    """Stretch each channel of one picture (h, w, channels) to [0, 1] by its own extremes; a flat one becomes 0."""
    if not isinstance(x, np.ndarray) or x.ndim != 3:
        got = x.shape if isinstance(x, np.ndarray) else type(x).__name__
        raise ValueError(f"expected one picture as an array (h, w, channels), got {got}")
    low, high = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    return (x - low) / np.where(high > low, high - low, 1)


def norm_all(store: np.ndarray, n_t: int, n_s: int) -> np.ndarray:
    """:func:`unorm` of the first n_s pictures of the first n_t frames; store is (frames, samples, h, w, channels)."""
    return np.stack([[unorm(picture) for picture in frame[:n_s]] for frame in store[:n_t]])


def norm_torch(x_all: Tensor) -> Tensor:
    """:func:`unorm` for a batch of tensors (n, channels, h, w)."""
    x = check.pictures(x_all)
    low, high = x.amin(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
    return (x - low) / torch.where(high > low, high - low, 1)


def gen_tst_context(n_cfeat: int) -> tuple[int, Tensor]:
    """Contexts to try: each class alone, then none, six times over; the number of rows and the rows (·, n_cfeat)."""
    check.whole(n_cfeat, "n_cfeat", 1)
    rows = torch.cat([torch.eye(n_cfeat), torch.zeros(1, n_cfeat)]).repeat(6, 1)
    return len(rows), rows


def mosaic(x: Tensor | np.ndarray, n_rows: int, scale: int = 1) -> np.ndarray:
    """Pictures (n, 3 or 1, h, w) in [-1, 1] as one (height, width, 3) in [0, 1]: n_rows rows, white lines between.

    Args:
        n_rows: where there are too few pictures for the last row, it ends in white.
        scale: every pixel becomes a square of so many.

    Raises:
        ValueError: no pictures, n_rows below 1, or values that are not finite.
    """
    from torchvision.utils import make_grid  # importing it takes a second

    x, scale = check.pictures(x), check.whole(scale, "scale", 1)
    n_columns = math.ceil(len(x) / check.whole(n_rows, "n_rows", 1))
    x = torch.cat([x.clamp(-1, 1), x.new_ones(n_rows * n_columns - len(x), *x.shape[1:])])
    grid = to_unit(make_grid(x, nrow=n_columns, padding=1, pad_value=1.0))
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)


def show_images(
    imgs: Tensor,
    n_rows: int = 2,
    *,
    rows: Sequence[object] = (),
    columns: Sequence[object] = (),
    nrow: int | None = None,
) -> None:
    """Show pictures (n, 3, h, w) in [-1, 1] in ``n_rows`` rows.

    Args:
        rows, columns: words that say what each row and each column is.
        nrow: the public course's name for ``n_rows``. (In torchvision it counts the pictures of a row.)

    Raises:
        ValueError: as :func:`mosaic`; or not as many words as there are rows or columns.
    """
    n_rows = check.whole(n_rows if nrow is None else nrow, "n_rows", 1)
    grid = mosaic(imgs, n_rows)
    height, width = grid.shape[:2]
    fig, ax = plt.subplots(figsize=(min(width / 17, 10), min(width / 17, 10) * height / width))
    ax.imshow(grid, interpolation="nearest")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=9, top=True, labeltop=True, bottom=False, labelbottom=False)
    n_columns = math.ceil(len(imgs) / n_rows)
    places = {"rows": (rows, n_rows, height, ax.set_yticks), "columns": (columns, n_columns, width, ax.set_xticks)}
    for name, (words, n, size, set_ticks) in places.items():
        if len(words) not in (0, n):
            raise ValueError(f"expected a word for each of {n} {name}, got {len(words)}")
        # a picture and the white line behind it take the n-th part; a name such as $$ is no formula
        centres = [(k + 0.5) * (size - 1) / n for k in range(len(words))]
        set_ticks(centres, [str(word) for word in words], parse_math=False)
    fig.tight_layout(pad=0)
    plt.show()


def plot_grid(x: Tensor, n_sample: int, n_rows: int, save_dir: str | Path, w: object) -> Tensor:
    """Save the first n_sample pictures of x (n, 3, h, w) as ``save_dir/run_image_w{w}.png``; return the grid (3, ·, ·).

    ``w`` is any word for the file name, by custom the guidance weight.
    """
    from torchvision.utils import save_image

    grid = torch.from_numpy(mosaic(x[:n_sample], n_rows)).permute(2, 0, 1)
    with replacing(Path(save_dir) / f"run_image_w{w}.png") as part:
        save_image(grid, part)
    return grid


class Player(FuncAnimation):
    """An animation whose player needs no network, however it is asked for."""

    def to_jshtml(self, *args, **kwargs) -> str:
        """The player, as HTML."""
        return self_contained(super().to_jshtml(*args, **kwargs), _words(self))


def _words(animation: FuncAnimation) -> str:
    """What a player shows: the titles of its panels."""
    titles = ", ".join(ax.get_title() for ax in animation._fig.axes)
    return f"animation: {titles}" if titles else "animation"


def compare_samples(runs: dict[str, np.ndarray], nrows: int = 4) -> FuncAnimation:
    """An animation that plays several runs side by side; of more than MOST_FRAMES frames, evenly chosen ones.

    Args:
        runs: title → frames (frames, n, 3, h, w) as the samplers return them; all with the same number of frames.
        nrows: rows of sprites in each panel.

    Raises:
        ValueError: no runs, or runs of different length.
    """
    runs = check.runs(runs)
    n_frames = len(next(iter(runs.values())))
    shown = np.linspace(0, n_frames - 1, min(n_frames, MOST_FRAMES)).round().astype(int)
    mosaics = [[mosaic(frames[i], nrows) for i in shown] for frames in runs.values()]
    height, width = mosaics[0][0].shape[:2]
    panel = 8 / len(runs) if len(runs) > 1 else 5
    size = (panel * len(runs), panel * height / width + 0.35)
    # noise is large
    fig, axs = plt.subplots(1, len(runs), figsize=size, dpi=72, squeeze=False, layout="constrained")
    images = []
    for ax, title, frames in zip(axs[0], runs, mosaics, strict=True):
        ax.set_title(title)
        ax.set_axis_off()
        images.append(ax.imshow(frames[0], interpolation="nearest"))

    def show_frame(i: int) -> list:
        for image, frames in zip(images, mosaics, strict=True):
            image.set_data(frames[i])
        return images

    plt.close(fig)  # or the notebook would show a still of it as well
    return Player(fig, show_frame, frames=len(mosaics[0]), interval=200)


def plot_sample(
    x_gen_store: np.ndarray,
    n_sample: int,
    nrows: int,
    save_dir: str | Path,
    fn: str,
    w: object,
    save: bool = False,
) -> FuncAnimation:
    """An animation of sprites coming out of the noise; show it with ``HTML(animation.to_jshtml())``.

    Args:
        x_gen_store: frames (frames, n, 3, h, w) in about [-1, 1], as the samplers return them.
        n_sample, nrows: show the first n_sample, in nrows rows.
        save_dir, fn, w: with ``save``, the file is ``save_dir/{fn}_w{w}.gif``.
    """
    frames = check.frames(x_gen_store)[:, : check.whole(n_sample, "n_sample", 1)]
    animation = compare_samples({"": frames}, nrows)
    if save:
        with replacing(Path(save_dir) / f"{fn}_w{w}.gif") as part:
            animation.save(part, dpi=100, writer=PillowWriter(fps=5))
    return animation


def play(animation: FuncAnimation) -> None:
    """Show an animation with buttons; where a viewer strips scripts, as a picture that moves, or as its end.

    The picture that moves (APNG) has STILLS frames and 64 colours, to be small.
    """
    from IPython.display import display  # importing it takes half a second

    with TemporaryDirectory() as folder:
        path = Path(folder) / "frames.png"
        animation.save(path, writer=PillowWriter(fps=5), dpi=animation._fig.dpi)
        with Image.open(path) as stored:
            n = stored.n_frames
            chosen = sorted({round(i) for i in np.linspace(0, n - 1, STILLS)})
            stills = [_still(stored, i) for i in chosen]
    moving, end = io.BytesIO(), io.BytesIO()
    durations = [200 * n // len(stills)] * (len(stills) - 1) + [3000]  # ms; time to look at the end
    stills[0].save(moving, "PNG", save_all=True, append_images=stills[1:], duration=durations, loop=0)
    stills[-1].save(end, "PNG")
    picture, still = (base64.b64encode(data.getvalue()).decode() for data in (moving, end))
    # the player's own picture has no source until its script runs: without, it would be broken
    player = self_contained(animation.to_jshtml(), _words(animation))
    player = player.replace("<img id=", f'<img src="data:image/png;base64,{still}" id=', 1)
    display({"text/html": player, "image/png": picture, "text/plain": "an animation"}, raw=True)


def _still(stored: Image.Image, i: int) -> Image.Image:
    stored.seek(i)
    return stored.convert("RGB").quantize(64, dither=Image.Dither.NONE)


def film_strip(runs: dict[str, np.ndarray], n_frames: int = 9, sample: int = 0, last: str = "result") -> None:
    """Runs as still pictures: one row a run, ``n_frames`` of its frames from left to right, of one sample.

    ``runs`` is as in :func:`compare_samples`. This stays readable where a viewer does not play animations.
    """
    runs, n_frames = check.runs(runs), check.whole(n_frames, "n_frames", 1)
    check.whole(sample, "sample", 0, min(frames.shape[1] for frames in runs.values()) - 1)
    fig, axs = plt.subplots(len(runs), n_frames, figsize=(n_frames, 1.15 * len(runs)), squeeze=False)
    for row, (title, frames) in zip(axs, runs.items(), strict=True):
        for ax, i in zip(row, np.linspace(0, len(frames) - 1, n_frames).round().astype(int), strict=True):
            ax.imshow(to_unit(frames[i, sample]), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(title)
    axs[0, 0].set_title("noise", fontsize=9)
    axs[0, -1].set_title(last, fontsize=9)
    fig.tight_layout(pad=0.3)
    plt.show()

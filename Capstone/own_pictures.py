"""Sprites as files: on a transparent ground, at size and enlarged, in few colours, as a sheet and a film."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

import support.checks as check
from Capstone.own_model import OwnRun
from diffusion_utilities import sample_ddim_context, to_unit
from support.writing import replacing

SCALE = 8  # of the enlarged pictures
TOLERANCE = 24  # of 255: a drawn ground is not quite one colour
GAP = 2  # pixels between the sprites of a sheet
FRAME_MS, LAST_MS = 80, 1500


def to_bytes(samples: Tensor | np.ndarray) -> np.ndarray:
    """Pictures (n, 3, h, w) in [-1, 1] → uint8 (n, h, w, 3)."""
    return (255 * to_unit(samples)).round().astype(np.uint8)


def palette_of(sprites: np.ndarray, colours: int) -> Image.Image:
    """The colours that stand best for all pixels of sprites uint8 (n, h, w, 3), as a palette."""
    colours = check.whole(colours, "colours", 2, 256)
    pixels = Image.fromarray(sprites.reshape(-1, sprites.shape[2], 3))
    return pixels.quantize(colours, Image.Quantize.MEDIANCUT, kmeans=3)


def snapped(pictures: np.ndarray, palette: Image.Image) -> np.ndarray:
    """Pictures uint8 (n, h, w, 3), each pixel in the nearest colour of the palette."""
    n, h, w, _ = pictures.shape
    rows = Image.fromarray(pictures.reshape(n * h, w, 3))
    few = rows.quantize(palette=palette, dither=Image.Dither.NONE)
    return np.asarray(few.convert("RGB")).reshape(pictures.shape)


def cut_out(picture: np.ndarray, ground: tuple[int, int, int]) -> Image.Image:
    """A picture uint8 (h, w, 3) with its ground transparent, as far as that can be reached from outside.

    White inside a figure stays: the eyes of a ghost are no holes.
    """
    near = np.abs(picture.astype(int) - ground).max(axis=2) <= TOLERANCE
    # one pixel more all around, so that every part of the ground at the border is reached
    mask = Image.fromarray(np.pad(255 * near.astype(np.uint8), 1, constant_values=255)).copy()  # to write in
    ImageDraw.floodfill(mask, (0, 0), 128)
    image = Image.fromarray(picture)
    image.putalpha(Image.fromarray(np.where(np.asarray(mask)[1:-1, 1:-1] == 128, 0, 255).astype(np.uint8)))
    return image


def enlarged(image: Image.Image, scale: int = SCALE) -> Image.Image:
    """Each pixel a square of so many."""
    return image.resize((scale * image.width, scale * image.height), Image.Resampling.NEAREST)


def file_name(class_name: str) -> str:
    """A class's name as the beginning of a file's name on every system."""
    return re.sub(r"[^\w .-]", "_", class_name).strip(" .") or "class"


def write_sprites(
    folder: Path, rows: dict[str, np.ndarray], ground: tuple[int, int, int], film: np.ndarray | None = None
) -> list[Path]:
    """Write sprites as files into a new folder.

    Args:
        rows: class name → pictures uint8 (n, h, w, 3).
        film: frames uint8 (frames, h, w, 3), for film.gif.

    Returns:
        the files: each sprite at size, and enlarged in ``large/``, both on a transparent ground;
        ``sheet.png``, one row for each class; ``film.gif``.
    """
    folder.mkdir(parents=True, exist_ok=False)
    cut = {name: [cut_out(picture, ground) for picture in pictures] for name, pictures in rows.items()}
    images = {}
    for name, row in cut.items():
        for i, image in enumerate(row):
            images[f"{file_name(name)}_{i:02}.png"] = image
            images[f"large/{file_name(name)}_{i:02}.png"] = enlarged(image)
    images["sheet.png"] = sheet(list(cut.values()))
    for name, image in images.items():
        with replacing(folder / name) as part:
            image.save(part)
    if film is not None:
        frames = [enlarged(Image.fromarray(frame), SCALE // 2) for frame in film]
        times = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
        with replacing(folder / "film.gif") as part:
            frames[0].save(part, save_all=True, append_images=frames[1:], duration=times, loop=0)
    return [folder / name for name in images] + [folder / "film.gif"] * (film is not None)


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """All sprites at size on one transparent sheet, one row for each class."""
    step = rows[0][0].width + GAP
    size = step * max(map(len, rows)) - GAP, step * len(rows) - GAP
    whole = Image.new("RGBA", size)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            whole.paste(image, (step * x, step * y))
    return whole


def draw_files(run: OwnRun, each: int = 8, guidance: float = 1.0, seed: int = 0, colours: int | None = None) -> Path:
    """Draw sprites of every class and write them into a new folder inside the run's.

    Args:
        each: sprites of each class.
        colours: so many at most, the best for your pictures; None leaves them as they are.

    Returns:
        the folder, named after the steps of the training; see :func:`write_sprites`.
    """
    rows = {name: to_bytes(run.draw(name, each, guidance=guidance, seed=seed)) for name in run.class_names}
    # the way of one sprite of each class out of the noise
    context = torch.eye(len(run.class_names))
    options = {"n": 25, "guidance": guidance, "seed": seed, "model": run.model, "progress": False}
    _, frames = sample_ddim_context(len(context), context, **options)
    film = np.stack([np.hstack(to_bytes(frame)) for frame in frames])  # (26, h, classes · w, 3)
    if colours is not None:
        palette = palette_of(to_bytes(run.split.images), colours)
        rows = {name: snapped(pictures, palette) for name, pictures in rows.items()}
        film[-1:] = snapped(film[-1:], palette)
    folder = new_folder(run.folder / f"drawn_after_{len(run.losses)}_steps")
    write_sprites(folder, rows, run.ground, film)
    return folder


def new_folder(path: Path) -> Path:
    """The path, or the first of path_2, path_3 … that is not there yet: nothing is overwritten."""
    candidates = [path, *(path.with_name(f"{path.name}_{i}") for i in range(2, 10_000))]
    return next(candidate for candidate in candidates if not candidate.exists())

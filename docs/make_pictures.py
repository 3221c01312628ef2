"""Make the pictures of the README with the shipped weights: ``python docs/make_pictures.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))
from diffusion_utilities import sample_ddpm, to_unit

ROWS, COLUMNS, SCALE = 3, 10, 4


def mosaic(frame: np.ndarray) -> Image.Image:
    """Sprites (ROWS · COLUMNS, 3, 16, 16) as one picture, every pixel a square of SCALE."""
    sprites = np.pad(to_unit(frame), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1)  # (n, 18, 18, 3)
    grid = sprites.reshape(ROWS, COLUMNS, 18, 18, 3).swapaxes(1, 2).reshape(ROWS * 18, COLUMNS * 18, 3)
    image = Image.fromarray((grid * 255).round().astype(np.uint8))
    return image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.NEAREST)


def main() -> None:
    _, frames = sample_ddpm(ROWS * COLUMNS, save_rate=20, seed=1)
    pictures = [mosaic(frame) for frame in frames]
    durations = [160] * (len(pictures) - 1) + [3000]
    pictures[0].save(
        DOCS / "sprites.gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True
    )


if __name__ == "__main__":
    main()

"""Make the pictures of the README and of the model card: ``python -m docs.make_pictures``."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from diffusion_utilities import (
    mosaic,
    sample_ddim,
    sample_ddim_context,
    sample_ddpm,
    sample_ddpm_context,
    sample_dpm,
    sample_dpm_context,
)
from support.files import read_json
from support.writing import replacing

DOCS = Path(__file__).resolve().parent


def picture(sprites: torch.Tensor | np.ndarray, rows: int = 8, scale: int = 3) -> Image.Image:
    """Sprites (n, 3, 16, 16) as one picture of ``rows`` rows, every pixel a square of ``scale``."""
    return Image.fromarray((mosaic(sprites, rows, scale) * 255).round().astype(np.uint8))


def save_mosaic(sprites: torch.Tensor, path: Path, **options: int) -> None:
    """Write a :func:`picture` as PNG."""
    with replacing(path) as part:
        picture(sprites, **options).save(part, optimize=True)


def draw_loss_curve(path: Path) -> None:
    """The error of each epoch of the shipped runs, from ``weights/metrics.json``."""
    metrics = read_json(DOCS.parent / "weights" / "metrics.json")
    fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
    for name, line in (("unconditional", "-"), ("context", "--")):
        ax.plot(metrics[name]["loss_per_epoch"], line, label=name)
    ax.set(xlabel="epoch", ylabel="squared error of the noise", yscale="log")
    ax.legend()
    ax.grid(alpha=0.3, which="both")
    with replacing(path) as part:
        fig.savefig(part, dpi=100)


def main() -> None:
    _, frames = sample_ddpm(30, save_rate=25, seed=1)
    pictures = [picture(frame, rows=3) for frame in frames]
    durations = [160] * (len(pictures) - 1) + [3000]  # milliseconds; the result stays
    options = {"save_all": True, "duration": durations, "loop": 0, "optimize": True}
    with replacing(DOCS / "sprites.gif") as part:
        pictures[0].save(part, append_images=pictures[1:], **options)

    rows = torch.cat([torch.eye(5), torch.zeros(1, 5), torch.eye(5)[:2]])
    contexts = rows.repeat_interleave(8, dim=0)
    draw_loss_curve(DOCS / "loss_curve.png")
    runs = {
        "unconditional_500": sample_ddpm(64, seed=0),
        "unconditional_25": sample_ddim(64, n=25, seed=0),
        "unconditional_10": sample_dpm(64, n=10, eta=math.inf, seed=0),
        "context_500": sample_ddpm_context(64, contexts, seed=0),
        "context_25": sample_ddim_context(64, contexts, n=25, seed=0),
        "context_10": sample_dpm_context(64, contexts, n=10, eta=math.inf, seed=0),
    }
    for name, (samples, _) in runs.items():
        save_mosaic(samples, DOCS / f"samples_{name}.png")


if __name__ == "__main__":
    main()

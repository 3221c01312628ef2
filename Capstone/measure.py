"""How good a default run of the capstone is, on three made-up folders: writes FIGURES.md.

    python -m Capstone.measure            # an hour on two cores

The pictures are drawn by the program of ``data/``; none is among the course's sprites.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from Capstone.own_figures import measure
from Capstone.own_model import OwnRun
from Capstone.own_sprites import read_folder
from data.make_sprites import draw_sprite
from diffusion_utilities import load_sprites
from support.files import ROOT
from support.quality import spread
from support.tables import pm, table, write_text

SEEDS = (0, 1, 2)  # of the drawing; each folder is trained on once
FIVE = {"gem": "spell", "ghost": "non-hero", "mushroom": "food", "potion": "spell", "sword": "spell"}
TWELVE = FIVE | {
    "apple": "food",
    "bat": "non-hero",
    "crown": "spell",
    "fish": "food",
    "knight": "hero",
    "skeleton": "non-hero",
    "wizard": "hero",
}
TWO = {"knight": "hero", "slime": "non-hero"}
FOLDERS = {  # name → kinds, pictures of each, size
    "5 classes of 40": (FIVE, 40, 16),
    "12 classes of 20": (TWELVE, 20, 16),
    "2 classes of 300 at 32×32": (TWO, 300, 32),
}


def draw_kind(class_name: str, kind: str, n: int) -> list[np.ndarray]:
    """n different sprites uint8 (16, 16, 3) of a kind, none of them among the course's."""
    known, _ = load_sprites(ROOT / "data/sprites_1788_16x16.npy", ROOT / "data/sprite_labels_nc_1788_16x16.npy")
    seen, drawn, i = {rgb.tobytes() for rgb in known}, [], 0
    while len(drawn) < n:
        rgb = draw_sprite(class_name, kind, f"capstone/{i}").rgb
        i += 1
        if rgb.tobytes() not in seen:
            seen.add(rgb.tobytes())
            drawn.append(rgb)
    return drawn


def smoothed_double(rgb: np.ndarray) -> np.ndarray:
    """Pixel art (h, w, 3) at twice its size, its stairs rounded: Eric's Pixel Expansion.

    Each pixel becomes four; a corner takes the colour of its two neighbours where these agree and the
    opposite ones do not.
    """
    around = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
    above, below, left, right = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    double = rgb.repeat(2, axis=0).repeat(2, axis=1)

    def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a == b).all(axis=2)

    for y, x, one, two, against in (
        (0, 0, left, above, (right, below)),
        (0, 1, above, right, (below, left)),
        (1, 0, below, left, (above, right)),
        (1, 1, right, below, (left, above)),
    ):
        # against[0] faces `one`, against[1] faces `two`
        corner = same(one, two) & ~same(one, against[1]) & ~same(two, against[0])
        double[y::2, x::2][corner] = one[corner]
    return double


def make_folder(folder: Path, kinds: dict[str, str], n: int, size: int) -> None:
    """Picture files of n sprites of each kind, one folder for each."""
    for kind, class_name in kinds.items():
        (folder / kind).mkdir(parents=True)
        for i, rgb in enumerate(draw_kind(class_name, kind, n)):
            rgb = smoothed_double(rgb) if size == 32 else rgb
            Image.fromarray(rgb).save(folder / kind / f"{i:03}.png")


def run_folder(folder: Path, size: int, minutes: float) -> list[str]:
    """One line of the table."""
    run = OwnRun(read_folder(folder, size), folder.parent / f"{folder.name}_model")
    run.train(minutes)
    sets = [measure(run, seed=seed) for seed in SEEDS]
    least = [min(one.drawn.right.values()) for one in sets]
    columns = {
        "right": [100 * one.drawn.all_right for one in sets],
        "least": [100 * share for share in least],
        "near": [100 * one.near for one in sets],
        "precision": [100 * one.drawn.precision for one in sets],
        "recall": [100 * one.drawn.recall for one in sets],
    }
    control = sets[0].control
    control = [control.all_right, min(control.right.values()), 0.1, control.precision, control.recall]
    pairs = zip(columns.values(), control, strict=True)
    figures = [f"{pm(spread(drawn), 0)} ({100 * real:.0f})" for drawn, real in pairs]
    return [*figures, f"{len(run.losses)}, best {run.best_step}", f"{run.seconds / 60:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="Capstone.measure", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20, help="at most, for each folder (default: 20)")
    parser.add_argument("--out", type=Path, default=ROOT / "Capstone/FIGURES.md")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for i, (name, (kinds, n, size)) in enumerate(FOLDERS.items()):
            folder = Path(temporary) / f"folder_{i}"
            make_folder(folder, kinds, n, size)
            rows.append([name, *run_folder(folder, size, args.minutes)])
            print(*rows[-1], sep=" | ", flush=True)
    head = ["pictures", "recognised", "least class", "near copies", "precision", "recall", "steps", "minutes"]
    write_text(args.out, PAGE.format(table=table(head, rows), minutes=f"{args.minutes:g}"))


PAGE = """# A default run of the capstone

Made by `python -m Capstone.measure`. Each folder is trained on once, with the defaults: from the
course's network, for at most {minutes} minutes, or until the loss on the pictures put aside no longer
falls. Then sprites of all classes are drawn in ten steps, with three seeds (mean ± standard deviation,
in per cent).

{table}

In brackets: the same figure of the pictures put aside, which no network has seen. *Recognised*: the
nearest training sprite is of the class asked for. *Near copies*: the share of drawn sprites that are
nearer to a training sprite than nine of ten of the pictures put aside; by definition that is 10 for
these. *Precision* and *recall*: against the training sprites, in the features of the course's
classifier.
"""


if __name__ == "__main__":
    main()

"""Draw the course's sprites.

    python data/make_sprites.py                                    # the 1,788 sprites, labels, captions, contact sheet
    python data/make_sprites.py --fresh 500 --seed 1 --out fresh   # 500 others, none of them among the 1,788

Each kind of sprite is a short function in ``data/sprite_art/``. The same seed draws the same files.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
from data.sprite_art import creatures, food, heroes, side_heroes, spells
from data.sprite_art.canvas import SIZE, Canvas, Look
from support.writing import replacing

DATA_DIR = Path(__file__).resolve().parent
N_SPRITES = 1788
SEED = 1788
CLASSES: dict[str, dict[str, Callable[[Canvas, Random], Look]]] = {  # in the order of the labels
    "hero": heroes.KINDS,
    "non-hero": creatures.KINDS,
    "food": food.KINDS,
    "spell": spells.KINDS,
    "side-facing": side_heroes.KINDS,
}


@dataclass(frozen=True)
class Sprite:
    """One drawn sprite: ``rgb`` is uint8 (16, 16, 3) on pure white."""

    rgb: np.ndarray
    class_name: str
    kind: str
    look: Look


def draw_sprite(class_name: str, kind: str, seed: str) -> Sprite:
    """Draw one sprite; the same seed gives the same sprite."""
    canvas = Canvas()
    look = CLASSES[class_name][kind](canvas, Random(seed))
    canvas.outline()
    return Sprite(canvas.rgb, class_name, kind, look)


def draw_sprites(n: int, seed: int, without: np.ndarray | None = None) -> list[Sprite]:
    """Draw n different sprites, close to equal shares of the classes, and of the kinds within each class.

    Args:
        n: how many.
        seed: which ones.
        without: sprites (m, 16, 16, 3) that must not be among them.

    Raises:
        ValueError: n below 1.
        RuntimeError: a kind has no more different sprites to give.
    """
    if n < 1:
        raise ValueError(f"expected a number of sprites of at least 1, got {n}")
    seen = set() if without is None else {rgb.tobytes() for rgb in without}
    sprites = []
    for index in range(n):
        class_name = list(CLASSES)[index % len(CLASSES)]
        kinds = list(CLASSES[class_name])
        kind = kinds[index // len(CLASSES) % len(kinds)]
        for attempt in range(200):
            sprite = draw_sprite(class_name, kind, f"{seed}/{class_name}/{kind}/{index}/{attempt}")
            if sprite.rgb.tobytes() not in seen:
                break
        else:
            raise RuntimeError(f"the kind {kind!r} has no more different sprites to give after {index} sprites")
        seen.add(sprite.rgb.tobytes())
        sprites.append(sprite)
    return sprites


def fresh_sprites(n: int, seed: int) -> list[Sprite]:
    """n sprites of another seed, none of them an image of the course's 1,788: held-out truth for measuring.

    Raises:
        ValueError: the seed is the one of the course's own sprites.
    """
    if seed == SEED:
        raise ValueError(f"seed {SEED} draws the course's own sprites; choose another")
    own = np.stack([sprite.rgb for sprite in draw_sprites(N_SPRITES, SEED)])
    return draw_sprites(n, seed, without=own)


def to_arrays(sprites: list[Sprite]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, 16, 16, 3) and one-hot labels float32 (n, 5)."""
    names = list(CLASSES)
    labels = np.eye(len(names), dtype=np.float32)[[names.index(sprite.class_name) for sprite in sprites]]
    return np.stack([sprite.rgb for sprite in sprites]), labels


def write_files(sprites: list[Sprite], folder: Path, n_name: int) -> None:
    """Write images, labels and captions; each file appears whole or not at all."""
    images, labels = to_arrays(sprites)
    for name, array in (
        (f"sprites_{n_name}_16x16", images),
        (f"sprite_labels_nc_{n_name}_16x16", labels),
    ):
        with replacing(folder / f"{name}.npy") as part:
            np.save(part, array)
    with (
        replacing(folder / f"sprite_captions_{n_name}.csv") as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["index", "class", "kind", "parts", "colours", "caption"])
        for i, s in enumerate(sprites):
            chosen = [json.dumps(choice, ensure_ascii=False) for choice in (s.look.parts, s.look.colours)]
            writer.writerow([i, s.class_name, s.kind, *chosen, s.look.caption])


def contact_sheet(sprites: list[Sprite], per_kind: int = 10, scale: int = 2) -> Image.Image:
    """A picture of ``per_kind`` sprites of every kind, a row a kind, the classes side by side."""
    font = ImageFont.load_default(size=11)
    cell, name_width, head = (SIZE + 2) * scale, 92, 22
    column = name_width + per_kind * cell + 16
    height = head + max(map(len, CLASSES.values())) * cell
    sheet = Image.new("RGB", (column * len(CLASSES), height), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (class_name, kinds) in enumerate(CLASSES.items()):
        draw.text((k * column + 4, 4), class_name.upper(), fill="black", font=font)
        for row, kind in enumerate(kinds):
            y = head + row * cell
            draw.text((k * column + 4, y + cell // 2 - 7), kind, fill="black", font=font)
            chosen = [s for s in sprites if (s.class_name, s.kind) == (class_name, kind)][:per_kind]
            for i, sprite in enumerate(chosen):
                picture = Image.fromarray(sprite.rgb).resize((SIZE * scale, SIZE * scale), Image.Resampling.NEAREST)
                sheet.paste(picture, (k * column + name_width + i * cell, y + scale))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", type=int, metavar="N", help="draw N sprites that are not among the 1,788")
    parser.add_argument("--seed", type=int, default=1, help="which fresh sprites to draw (default: 1)")
    parser.add_argument("--out", type=Path, help="folder for the files (default: data/; needed with --fresh)")
    args = parser.parse_args()
    if args.fresh is None:
        folder = args.out or DATA_DIR
        sprites = draw_sprites(N_SPRITES, SEED)
        write_files(sprites, folder, N_SPRITES)
        contact_sheet(sprites).save(folder / "contact_sheet.png", optimize=True)
    else:
        if args.out is None or args.out.resolve() == DATA_DIR:
            parser.error("--fresh needs --out FOLDER, a folder other than data/")
        if args.fresh < 1 or args.seed == SEED:
            parser.error(f"expected N >= 1 and a seed other than {SEED}, got N={args.fresh}, seed={args.seed}")
        folder = args.out
        sprites = fresh_sprites(args.fresh, args.seed)
        write_files(sprites, folder, args.fresh)
    print(f"{len(sprites)} sprites of {len({(s.class_name, s.kind) for s in sprites})} kinds written to {folder}")


if __name__ == "__main__":
    main()

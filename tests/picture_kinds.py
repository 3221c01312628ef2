"""Kinds of picture files as people have them, and what the capstone's reader makes of each.

    python -m tests.picture_kinds      # writes docs/PICTURES_READ.md

Each kind is made with Pillow from six of the course's sprites. ``KINDS`` maps what it is to a function
that writes the files into a class folder and returns the sprites that should be found again.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from Capstone.own_sprites import read_folder
from support.files import ROOT
from support.tables import write_text

CHOSEN = (3, 300, 900, 1200, 1500, 1700)  # none of them touches another kind of border than white
MAGENTA, BLACK, GREEN = (255, 0, 255), (0, 0, 0), (0, 200, 0)
KINDS: dict[str, Callable[[Path, np.ndarray], list[np.ndarray]]] = {}


def kind(words: str) -> Callable:
    """Register a function under what it is."""

    def register(function: Callable) -> Callable:
        KINDS[words] = function
        return function

    return register


def sprites() -> np.ndarray:
    """Six sprites uint8 (6, 16, 16, 3)."""
    return np.load(ROOT / "data/sprites_1788_16x16.npy")[list(CHOSEN)]


def clear(rgb: np.ndarray) -> np.ndarray:
    """White made transparent: (16, 16, 3) → (16, 16, 4), black under what is clear."""
    drawn = (rgb < 255).any(axis=2, keepdims=True)
    return np.concatenate([rgb * drawn, 255 * drawn.astype(np.uint8)], axis=2)


def on(rgb: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """White made another colour."""
    return np.where((rgb < 255).any(axis=2, keepdims=True), rgb, np.array(colour, np.uint8))


def enlarged(rgb: np.ndarray, k: int) -> np.ndarray:
    return rgb.repeat(k, axis=0).repeat(k, axis=1)


def placed(rgb: np.ndarray, height: int, width: int, top: int, left: int) -> np.ndarray:
    """On a larger white canvas."""
    canvas = np.full((height, width, rgb.shape[2]), 255, np.uint8)
    canvas[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
    return canvas


def sheet(parts: np.ndarray, columns: int, margin: int = 0, spacing: int = 0) -> np.ndarray:
    """Sprites (n, 16, 16, c) on one white canvas."""
    rows, side = -(-len(parts) // columns), 16 + spacing
    shape = (2 * margin + rows * side - spacing, 2 * margin + columns * side - spacing, parts.shape[3])
    canvas = np.full(shape, 255, np.uint8)
    for i, part in enumerate(parts):
        y, x = margin + side * (i // columns), margin + side * (i % columns)
        canvas[y : y + 16, x : x + 16] = part
    return canvas


def each(name: str, change: Callable = lambda rgb: rgb, **options: object) -> Callable:
    """One file for each sprite, after a change of the pixels."""

    def write(folder: Path, six: np.ndarray) -> list[np.ndarray]:
        for i, rgb in enumerate(six):
            Image.fromarray(change(rgb)).save(folder / name.format(i), **options)
        return list(six)

    return write


def one(name: str, make: Callable, **options: object) -> Callable:
    """One file for all six."""

    def write(folder: Path, six: np.ndarray) -> list[np.ndarray]:
        Image.fromarray(make(six)).save(folder / name, **options)
        return list(six)

    return write


for ending in ("png", "bmp", "tif", "tga", "ppm"):
    KINDS[f"16×16, .{ending}"] = each("{}." + ending)
KINDS["16×16, .webp without loss"] = each("{}.webp", lossless=True)
KINDS["16×16, .jpg of good quality"] = each("{}.jpg", quality=98, subsampling=0)
KINDS["transparent, black beneath"] = each("{}.png", clear)
KINDS["an icon, .ico, transparent"] = each("{}.ico", clear)
for words, colour in (("magenta", MAGENTA), ("black", BLACK), ("green", GREEN), ("grey", (90, 90, 90))):
    KINDS[f"on {words}"] = each("{}.png", lambda rgb, colour=colour: on(rgb, colour))
for k in (2, 3, 4, 7):
    KINDS[f"enlarged {k} times"] = each("{}.png", lambda rgb, k=k: enlarged(rgb, k))
for k, side, top, left in ((4, 71, 3, 5), (3, 50, 1, 1), (8, 140, 7, 2), (4, 66, 1, 1)):
    words = f"enlarged {k} times, off its grid on a canvas of {side}"
    KINDS[words] = each("{}.png", lambda rgb, k=k, s=side, t=top, x=left: placed(enlarged(rgb, k), s, s, t, x))
KINDS["enlarged 4 times, transparent"] = each("{}.png", lambda rgb: enlarged(clear(rgb), 4))
KINDS["enlarged 6 times, .jpg"] = each("{}.jpg", lambda rgb: enlarged(rgb, 6), quality=90)
KINDS["on a canvas of 24"] = each("{}.png", lambda rgb: placed(rgb, 24, 24, 2, 7))
KINDS["small on a canvas of 256"] = each("{}.png", lambda rgb: placed(rgb, 256, 256, 100, 31))
KINDS["a strip"] = one("all.png", lambda six: sheet(six, 6))
KINDS["a strip from top to bottom"] = one("all.png", lambda six: sheet(six, 1))
KINDS["a sheet of 3 by 2"] = one("all.png", lambda six: sheet(six, 3))
KINDS["a sheet, one pixel between"] = one("all.png", lambda six: sheet(six, 3, spacing=1))
KINDS["a sheet with margin 3 and spacing 2"] = one("all.png", lambda six: sheet(six, 2, 3, 2))
KINDS["a sheet, enlarged 3 times"] = one("all.png", lambda six: enlarged(sheet(six, 3, 1, 1), 3))
KINDS["a sheet on magenta"] = one("all.png", lambda six: on(sheet(six, 3, 2, 2), MAGENTA))
KINDS["a transparent strip"] = one("all.png", lambda six: clear(sheet(six, 6)))


@kind("a ground that is not quite one colour")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    chance = np.random.default_rng(0)
    for i, rgb in enumerate(six):
        noisy = on(rgb, (60, 120, 180)).astype(int)
        ground = (rgb == 255).all(axis=2)
        noisy[ground] += chance.integers(-3, 4, (ground.sum(), 3))
        Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{i}.png")
    return list(six)


@kind("on a painted checkerboard")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    y, x = np.mgrid[:16, :16] // 4
    board = np.where((x + y) % 2, 204, 254)[:, :, None].repeat(3, axis=2).astype(np.uint8)
    for i, rgb in enumerate(six):
        drawn = (rgb < 255).any(axis=2, keepdims=True)
        Image.fromarray(np.where(drawn, rgb, board)).save(folder / f"{i}.png")
    return list(six)


@kind("white figures, transparent")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    found = []
    for i, rgb in enumerate(six):
        pixels = clear(rgb)
        pixels[..., :3] = 255
        Image.fromarray(pixels).save(folder / f"{i}.png")
        found.append(np.where(pixels[..., 3:] > 0, pixels[..., :3], 0))
    return found


@kind("a half-transparent shadow")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, rgb in enumerate(six):
        pixels = clear(rgb)
        shadow = np.roll(pixels[..., 3], 1, axis=1) > 0
        pixels[shadow & (pixels[..., 3] == 0)] = (0, 0, 0, 100)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return list(six)


@kind("a palette, .gif")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, rgb in enumerate(six):
        Image.fromarray(rgb).convert("P", palette=Image.Palette.ADAPTIVE).save(folder / f"{i}.gif")
    return list(six)


@kind("a palette with a transparent entry")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, rgb in enumerate(six):
        picture = Image.fromarray(on(rgb, MAGENTA)).convert("P", palette=Image.Palette.ADAPTIVE)
        picture.save(folder / f"{i}.png", transparency=picture.getpixel((0, 0)))
    return list(six)


def greys(six: np.ndarray) -> np.ndarray:
    return six.mean(axis=3).round().astype(np.uint8)  # (6, 16, 16)


@kind("grey, 8 bits")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, grey in enumerate(greys(six)):
        Image.fromarray(grey).save(folder / f"{i}.png")
    return [grey[:, :, None].repeat(3, axis=2) for grey in greys(six)]


@kind("grey, 16 bits")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, grey in enumerate(greys(six)):
        Image.fromarray(grey.astype(np.uint16) * 257).save(folder / f"{i}.png")
    return [grey[:, :, None].repeat(3, axis=2) for grey in greys(six)]


@kind("grey, 16 bits, black is transparent")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, grey in enumerate(greys(six)):
        numbers = np.where(grey == 255, 0, np.maximum(grey, 1)).astype(np.uint16) * 257
        Image.fromarray(numbers).save(folder / f"{i}.png", transparency=0)
    return [np.maximum(grey, 1)[:, :, None].repeat(3, axis=2) for grey in greys(six)]


def write_packed(path: Path, levels: np.ndarray, depth: int, hole: int) -> None:
    """Levels (16, 16) of grey as a PNG of ``depth`` bits, of which one is transparent; Pillow writes no such file."""
    bits = np.unpackbits(levels.astype(np.uint8)[:, :, None], axis=2)[:, :, -depth:]  # (16, 16, depth)
    rows = np.packbits(bits.reshape(len(levels), -1), axis=1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)  # each row begins with its filter: none
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *levels.shape[::-1], depth, 0, 0, 0, 0))]
    parts += [(b"tRNS", struct.pack(">H", hole)), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@kind("grey, 2 bits, one level is transparent")
def _(folder: Path, six: np.ndarray, depth: int = 2) -> list[np.ndarray]:
    top, expected = 2**depth - 1, []
    for i, grey in enumerate(greys(six)):
        levels = grey // (256 >> depth)
        levels[levels == 1] = 0  # level 1 becomes the hole
        expected.append((levels * (255 // top))[:, :, None].repeat(3, axis=2))
        write_packed(folder / f"{i}.png", np.where(grey == 255, 1, levels), depth, hole=1)
    return expected


@kind("grey, 4 bits, one level is transparent")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    return KINDS["grey, 2 bits, one level is transparent"](folder, six, depth=4)


@kind("one bit")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, grey in enumerate(greys(six)):
        Image.fromarray(grey == 255).save(folder / f"{i}.png")
    return [np.where(grey == 255, 255, 0)[:, :, None].repeat(3, axis=2) for grey in greys(six)]


@kind("for printing: CMYK")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    for i, rgb in enumerate(six):
        Image.fromarray(rgb).convert("CMYK").save(folder / f"{i}.tif")
    return list(six)


@kind("animated, .gif")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    frames = [Image.fromarray(rgb).convert("P", palette=Image.Palette.ADAPTIVE) for rgb in six]
    for i in range(6):
        frames[i].save(folder / f"{i}.gif", save_all=True, append_images=frames[i + 1 :])
    return list(six)


@kind("animated, .png")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    frames = [Image.fromarray(rgb) for rgb in six]
    for i in range(6):
        frames[i].save(folder / f"{i}.png", save_all=True, append_images=frames[i + 1 :])
    return list(six)


@kind("turned by its EXIF note")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned to the right by a quarter
    for i, rgb in enumerate(six):
        Image.fromarray(np.ascontiguousarray(np.rot90(rgb))).save(folder / f"{i}.png", exif=exif)
    return list(six)


@kind("two megabytes of text inside")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("workflow", "x" * 2_000_000, zip=True)
    for i, rgb in enumerate(six):
        Image.fromarray(rgb).save(folder / f"{i}.png", pnginfo=notes)
    return list(six)


def beside(what: Callable[[Path], None]) -> Callable:
    """Six good files, and another one."""

    def write(folder: Path, six: np.ndarray) -> list[np.ndarray]:
        found = each("{}.png")(folder, six)
        what(folder)
        return found

    return write


def _cut_short(folder: Path) -> None:
    whole = (folder / "0.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])


def _numbers(folder: Path) -> None:
    Image.fromarray(np.zeros((16, 16), np.float32)).save(folder / "float.tif")


def _hidden(folder: Path) -> None:
    for name in ("@eaDir", "__MACOSX", ".ipynb_checkpoints"):
        (folder / name).mkdir()
        Image.new("RGB", (16, 16), "red").save(folder / name / "0.png")
    (folder / "._0.png").write_text("")


def _deeper(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "0.png").rename(folder / "more/0.png")


KINDS["beside a file that was cut short"] = beside(_cut_short)
KINDS["beside an empty file"] = beside(lambda folder: (folder / "empty.png").touch())
KINDS["beside a web page called .png"] = beside(lambda folder: (folder / "page.png").write_text("<html>404"))
KINDS["beside a TIFF of 32-bit numbers"] = beside(_numbers)
KINDS["beside a drawing program's own file"] = beside(lambda folder: (folder / "hero.aseprite").touch())
KINDS["beside what machines leave behind"] = beside(_hidden)
KINDS["one of them in a deeper folder"] = beside(_deeper)
KINDS["beside a link to one that is gone"] = beside(lambda folder: (folder / "gone.png").symlink_to("nowhere.png"))


@kind("one of them in a second class as well")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    (folder.parent / "red").mkdir()
    Image.fromarray(six[0]).save(folder.parent / "red/other name.png")
    return each("{}.png")(folder, six)


@kind("the class folder is a link")
def _(folder: Path, six: np.ndarray) -> list[np.ndarray]:
    elsewhere = folder.parent.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere, target_is_directory=True)
    return each("{}.png")(folder, six)


# -------------------------------------------------------------------------------------- what happened


def drawing(rgb: np.ndarray, ground: tuple[int, int, int]) -> np.ndarray:
    """What is not ground, without empty lines around it; JPEG leaves a ground that is not quite one."""
    rows, columns = np.nonzero((np.abs(rgb.astype(int) - ground) > 24).any(axis=2))
    return rgb[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def read(words: str, root: Path) -> tuple[list[int], list[str]]:
    """Make a kind in a folder and read it.

    Returns:
        for each sprite that should be found, how far the nearest one of the same form is from it, the
        largest difference of 255, or 255; and what the report says besides numbers.
    """
    (root / "set/things").mkdir(parents=True)
    wanted = KINDS[words](root / "set/things", sprites())
    own = read_folder(root / "set")
    whites = {tuple(rgb[0, 0]) for rgb in wanted}
    off = []
    for rgb in wanted:
        shape = drawing(rgb, whites.copy().pop() if len(whites) == 1 else (255, 255, 255))
        found = [drawing(sprite, own.ground) for sprite in own.sprites]
        same = [part for part in found if part.shape == shape.shape]
        off.append(min((int(np.abs(part.astype(int) - shape).max()) for part in same), default=255))
    lines = own.report.splitlines()
    return off, [line.strip() for line in lines if not line.startswith(("memory", "Careful", "own sizes"))]


def page() -> str:
    """docs/PICTURES_READ.md."""
    rows = []
    for words in KINDS:
        with tempfile.TemporaryDirectory() as root:
            off, said = read(words, Path(root))
        exact = sum(value == 0 for value in off)
        near = sum(0 < value <= 40 for value in off)
        found = f"{exact}" + (f", {near} to within {max(v for v in off if v <= 40)} of 255" if near else "")
        rows.append(f"| {words} | {found} | {'; '.join(said[1:]).replace('|', ' ')} |")
    table = "\n".join(["| six sprites, as | found again exactly | what the report says |", "|:--|:--|:--|", *rows])
    return f"{INTRODUCTION}\n{table}\n"


INTRODUCTION = """# Pictures of all kinds, as the capstone reads them

Made by `python -m tests.picture_kinds`, which writes six sprites in each of these ways, reads the folder with
`read_folder`, and counts how many come back pixel for pixel, wherever they stand in the frame. The tests hold it to
this table.
"""


def main() -> None:
    write_text(ROOT / "docs/PICTURES_READ.md", page())


if __name__ == "__main__":
    main()

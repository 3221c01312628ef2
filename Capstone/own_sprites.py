"""Your own pictures as the arrays of the course: a folder of picture files → sprites and labels.

    sprites, labels, class_names, report = read_folder("my_sprites")
    print(report)
    sprites_file, labels_file = save_arrays("build", sprites, labels)

Each subfolder is a class. A folder without subfolders is one class.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from support.writing import replacing

FORMATS = ("PNG", "GIF", "BMP", "JPEG", "WEBP", "TIFF", "TGA", "ICO")
HINT = "pictures end in .png, .gif, .jpg or the like"
MOST_PIXELS = 40_000_000  # more would take gigabytes of memory
FEW = 100  # fewer pictures than this are learned by heart
NOTES = {  # what may be worth knowing about a picture: what is done, or what to do
    "transparent": "put on white",
    "animated": "only the first frame is used",
    "blank": "nothing but white, so take them out",
    "not square": "padded with white",
    "made smaller": "details are lost; a larger size would keep them",
    "more than 8 times too large": "little is left of a photograph; a sheet of many sprites must be cut up first",
    "in a folder inside a class folder": "they count as that class; if they are the classes, name the folder above",
    "equal to another": "a copy teaches nothing new",
}


def read_folder(folder: str | Path, size: int = 16) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], str]:
    """All pictures in a folder as sprites.

    Args:
        folder: one subfolder for each class, or pictures only. What lies deeper belongs to the class above it.
        size: height and width of the sprites, a multiple of 4, because the network halves them twice.

    Returns:
        sprites uint8 (n, size, size, 3) on white; labels float32 (n, classes), one-hot; the names of the classes, in
        alphabetical order; and a report to print: what was found, what was changed, what to look out for.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a size that is no multiple of 4, a folder in another form, fewer than two different pictures, or a
            class or more than half of all files unreadable.
    """
    if not isinstance(size, int) or size < 4 or size % 4:
        raise ValueError(f"expected a size that is a multiple of 4, such as 16, got {size!r}")
    classes, others = find_pictures(Path(folder).expanduser())
    files = [(label, path) for label, paths in enumerate(classes.values()) for path in paths]
    sprites = np.empty((len(files), size, size, 3), np.uint8)
    kept, broken, notes, sizes = [], [], Counter(), Counter()
    for label, path in tqdm(files, desc="reading", leave=False):
        try:
            image, seen = open_picture(path)
            sprites[len(kept)], changed = fit(image, size)
        except ValueError as error:
            broken.append(f"  {readable(path.parent.name)}/{readable(path.name)}: {error}")
            continue
        kept.append(label)
        notes.update(seen + changed)
        sizes[f"{image.width}×{image.height}"] += 1
    counts = {name: kept.count(label) for label, name in enumerate(classes)}
    missing = [f"{len(broken)} of {len(files)} files cannot be read:", *broken[:10]] if broken else []
    missing += [f"  and {len(broken) - 10} more"] if len(broken) > 10 else []
    different = len({sprite.tobytes() for sprite in sprites[: len(kept)]})
    _refuse_too_few(counts, different, missing, more_than_half=2 * len(broken) > len(files))
    notes["equal to another"] = len(kept) - different
    root = Path(folder).expanduser()
    notes["in a folder inside a class folder"] = sum(len(path.relative_to(root).parts) > 2 for _, path in files)
    labels = np.eye(len(classes), dtype=np.float32)[kept]
    report = _report(size, counts, sizes, notes, missing, [readable(path.name) for path in others])
    return sprites[: len(kept)], labels, tuple(classes), report


def _refuse_too_few(counts: dict[str, int], different: int, missing: list[str], more_than_half: bool) -> None:
    """A ValueError where training makes no sense."""
    wanted = None
    if different < 2:
        wanted = "two different pictures or more, because one teaches only itself"
    if lost := [name for name, n in counts.items() if n == 0]:
        wanted = f"pictures of {', '.join(lost)} that can be read"
    if more_than_half:
        wanted = "that at least half of the files can be read"
    if wanted:
        raise ValueError("\n".join([f"expected {wanted}; got {sum(counts.values())} in all", *missing]))


def _report(size: int, counts: dict, sizes: Counter, notes: Counter, missing: list[str], others: list[str]) -> str:
    """What was found, what was changed, what to look out for, in a few lines."""
    n, common = sum(counts.values()), [f"{name} ({k})" for name, k in sizes.most_common(5)]
    lines = [f"{n} sprites of {size}×{size}: " + ", ".join(f"{k} {name}" for name, k in counts.items())]
    lines += ["own sizes: " + ", ".join(common + ["…"] * (len(sizes) > 5))]
    lines += [f"{notes[note]} {note}: {what}" for note, what in NOTES.items() if notes[note]] + missing
    lines += [f"other files left out: {len(others)}, such as {name}" for name in others[:1]]
    lines += [f"memory: {3 * n * size**2 / 1e6:.1f} MB, as tensors for training {12 * n * size**2 / 1e6:.1f} MB"]
    if n < FEW:
        lines += [f"Careful: {n} pictures are few. A network will learn them by heart and copy them."]
    if max(counts.values()) > 4 * min(counts.values()):
        lines += ["Careful: uneven classes. The small ones will be drawn worse."]
    return "\n".join(lines)


def find_pictures(folder: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Class name → picture files, both in alphabetical order; and all other files. Hidden ones are passed over."""
    if not folder.exists():
        raise FileNotFoundError(f"expected a folder of pictures, but there is no {folder.resolve()}")
    if not folder.is_dir():
        raise ValueError(f"expected a folder of pictures, but {folder.name} is a file; unpack archives first")
    found = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
    found = [p for p in found if not any(part.startswith((".", "__MACOSX")) for part in p.relative_to(folder).parts)]
    endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    pictures = [path for path in found if path.is_file() and path.suffix.lower() in endings]
    others = [path for path in found if path.is_file() and path.suffix.lower() not in endings]
    loose = [path for path in pictures if path.parent == folder]
    inside = {path: [] for path in found if path.is_dir() and path.parent == folder}
    for path in pictures:
        if path.parent != folder:
            inside[folder / path.relative_to(folder).parts[0]].append(path)
    names = [readable(path.name) for path in inside]
    same = [name for name, n in Counter(name.casefold() for name in names).items() if n > 1]
    if not pictures:
        raise ValueError(f"expected pictures in {folder.name}, got none (other files: {len(others)}); {HINT}")
    if loose and inside:
        beside = f"{len(loose)} beside the folders, such as {loose[0].name}"
        raise ValueError(f"expected all pictures in class folders, or no folders at all, got {beside}")
    if same:
        raise ValueError(f"expected a different name for each class, got more than one {', '.join(same)}")
    if empty := [path.name for path, files in inside.items() if not files]:
        raise ValueError(f"expected pictures in every class folder, got none in {', '.join(empty)}; {HINT}")
    return dict(zip(names, inside.values(), strict=True)) or {folder.resolve().name: loose}, others


def readable(name: str) -> str:
    """A file's name as text: macOS writes ü as two characters, and names from old archives may be no text at all."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()).strip()


def open_picture(path: Path) -> tuple[Image.Image, list[str]]:
    """The picture in a file of any mode as RGB, upright, on white; and which of the NOTES apply.

    Pixel art that was enlarged comes at its own size.

    Raises:
        ValueError: the file is no complete picture; the message is the reason alone.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            notes = ["animated"] if getattr(file, "is_animated", False) else []
            if file.width * file.height > MOST_PIXELS:
                size = f"{file.width}×{file.height}"
                raise ValueError(f"{size} is more than {MOST_PIXELS // 10**6} million pixels: no sprite")
            # a phone stores how it was held, and leaves the turning to others
            image = ImageOps.exif_transpose(file)
        if image.mode in ("I", "F"):
            raise ValueError("numbers of 32 bits, of which nobody knows where white is")
        if image.mode.startswith("I;16"):  # 16 bits of grey: Pillow would cut them off at 255
            grey, hole = np.asarray(image), image.info.get("transparency")
            image = Image.fromarray((grey / 257).round().astype(np.uint8))
            image.putalpha(Image.fromarray(np.where(grey == hole, 0, 255).astype(np.uint8)))
        image = image.convert("RGBA")
    except Exception as error:  # Pillow raises a different type for every way in which a file can be broken
        reason = "an empty file" if path.stat().st_size == 0 else getattr(error, "strerror", None) or str(error)
        raise ValueError("no picture inside" if "cannot identify" in reason else reason) from error
    transparent = image.getextrema()[3][0] < 255
    rgb = np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))
    notes += ["transparent"] * transparent + ["blank"] * bool((rgb == 255).all())
    return Image.fromarray(own_pixels(rgb)), notes


def own_pixels(rgb: np.ndarray) -> np.ndarray:
    """Pixel art (h, w, 3) that was enlarged k times, as (h/k, w/k, 3); any other picture as it is (k = 1)."""
    # where colours change
    columns = 1 + np.flatnonzero((rgb[:, 1:] != rgb[:, :-1]).any(axis=(0, 2)))
    rows = 1 + np.flatnonzero((rgb[1:] != rgb[:-1]).any(axis=(1, 2)))
    k = np.gcd.reduce([*rgb.shape[:2], *columns, *rows])  # in enlarged art, only at multiples of k
    return rgb[::k, ::k]


def fit(image: Image.Image, size: int) -> tuple[np.ndarray, list[str]]:
    """A picture (RGB) in the middle of a white square, as uint8 (size, size, 3); and which of the NOTES apply.

    A small one is enlarged by a whole number, so that its pixels stay squares of their own colour (NEAREST). In a large
    one NEAREST would leave out whole lines, so each new pixel is a mean: of its block if the factor is whole (BOX),
    else weighted (HAMMING). Neither overshoots. LANCZOS does: it rings around outlines, and the white would not be
    white.

    Raises:
        ValueError: it is so narrow that less than one pixel would be left of it.
    """
    side, other = max(image.size), min(image.size)
    if side > size * other:
        raise ValueError(f"{image.width}×{image.height} is too narrow for {size}×{size}")
    image = image.reduce(max(1, side // (64 * size)))  # saves memory
    image = ImageOps.scale(image, max(1, size // side), Image.Resampling.NEAREST)
    square = Image.new("RGB", (max(size, *image.size),) * 2, "white")
    square.paste(image, ((square.width - image.width) // 2, (square.width - image.height) // 2))
    filtering = Image.Resampling.HAMMING if square.width % size else Image.Resampling.BOX
    facts = {
        "not square": other < side,
        "made smaller": side > size,
        "more than 8 times too large": side > 8 * size,
    }
    return np.asarray(square.resize((size, size), filtering)), [note for note, holds in facts.items() if holds]


def save_arrays(folder: str | Path, sprites: np.ndarray, labels: np.ndarray) -> tuple[Path, Path]:
    """Write my_sprites.npy and my_labels.npy, for the module's ``load_sprites``; each appears whole or not at all."""
    files = Path(folder) / "my_sprites.npy", Path(folder) / "my_labels.npy"
    with replacing(files[0]) as first, replacing(files[1]) as second:
        np.save(first, sprites)
        np.save(second, labels)
    return files

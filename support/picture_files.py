"""Picture files as they really are: finding them in a folder, and opening each as upright RGBA of 8 bits.

For the capstone and for ``going_further``: one reader, so that a folder means the same to both.
"""

from __future__ import annotations

import io
import os
import unicodedata
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

FORMATS = ("PNG", "GIF", "BMP", "JPEG", "WEBP", "TIFF", "TGA", "ICO", "PPM")  # others may call other programs
HINT = "pictures end in .png, .gif, .jpg or the like"
MOST_PIXELS = 40_000_000  # more would take gigabytes of memory
NOT_OURS = {"__macosx", "@eadir", "$recycle.bin", "__pycache__", "system volume information"}  # made by machines
DRAWINGS = {".psd", ".svg", ".xcf", ".kra", ".ase", ".aseprite", ".piskel", ".heic", ".avif", ".cur"}


# --------------------------------------------------------------------------------------- finding


def find_pictures(folder: str | Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Class name → picture files, both in alphabetical order; and all other files.

    Each subfolder is a class, and what lies deeper belongs to the class above it; a folder without subfolders is one
    class. Links are followed. What is hidden, or made by machines, is passed over.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a folder in another form, a class without pictures, or a link to a folder that it lies in.
    """
    folder = Path(folder).expanduser()
    if not folder.exists():
        raise FileNotFoundError(f"expected a folder of pictures, but there is no folder {folder.resolve()}")
    if not folder.is_dir():
        raise ValueError(f"expected a folder of pictures, but {readable(folder.name)} is a file; unpack archives first")
    inside = {path: _files(path, (folder.resolve(),)) for path in _entries(folder) if path.is_dir()}
    beside = [path for path in _entries(folder) if not path.is_dir()]
    loose = [path for path in beside if _is_picture(path)]
    others = [path for path in [*beside, *sum(inside.values(), [])] if not _is_picture(path)]
    classes = {path: [file for file in files if _is_picture(file)] for path, files in inside.items()}
    names = [readable(path.name) for path in classes]
    same = [name for name, n in Counter(name.casefold() for name in names).items() if n > 1]
    if not loose and not any(classes.values()):
        name = readable(folder.resolve().name)
        raise ValueError(f"expected pictures in {name}, got none (other files: {len(others)}); {HINT}")
    if loose and classes:
        names = f"{len(loose)} beside the folders, such as {readable(loose[0].name)}"
        raise ValueError(f"expected all pictures in class folders, or no folders at all, got {names}")
    if same:
        raise ValueError(f"expected a different name for each class, got more than one {', '.join(same)}")
    if empty := [name for name, files in zip(names, classes.values(), strict=True) if not files]:
        raise ValueError(f"expected pictures in every class folder, got none in {', '.join(empty)}; {HINT}")
    return dict(zip(names, classes.values(), strict=True)) or {readable(folder.resolve().name): loose}, others


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, in alphabetical order, without what nobody put there on purpose."""
    paths = sorted(folder.iterdir(), key=lambda path: path.name)
    return [path for path in paths if not path.name.startswith(".") and path.name.lower() not in NOT_OURS]


def _files(folder: Path, above: tuple[Path, ...]) -> list[Path]:
    """All files in a folder and in those inside it; ``above`` are the folders that it lies in."""
    if folder.resolve() in above:
        raise ValueError(f"{text(folder)} is a link that leads back to a folder it lies in: remove it")
    found = []
    for path in _entries(folder):
        found += _files(path, (*above, folder.resolve())) if path.is_dir() else [path]
    return found


def _is_picture(path: Path) -> bool:
    """By the name. A link to nothing counts, so that it is missed; a pipe does not, for it may never end."""
    endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    return path.suffix.lower() in endings and (path.is_file() or path.is_symlink())


def why_not(path: Path) -> str:
    """Why a file that is no picture by its name was left out."""
    ending = path.suffix.lower()
    if ending in DRAWINGS:
        return "save it as PNG first"
    return "unpack it first" if ending in {".zip", ".rar", ".7z", ".tar", ".gz"} else "no picture"


def text(path: str | Path) -> str:
    """A path that can be printed. Old archives hold names that are no UTF-8; most are Latin-1."""
    raw = os.fsencode(path)
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("latin-1")
    # macOS writes ü as two characters
    return "".join(c if c.isprintable() else "?" for c in unicodedata.normalize("NFC", name))


def readable(name: str) -> str:
    """A file's or folder's name as text without blanks around it."""
    return text(name).strip() or "?"


# --------------------------------------------------------------------------------------- opening


def open_picture(path: str | Path, most_pixels: int = MOST_PIXELS) -> tuple[Image.Image, list[str]]:
    """The picture in a file of any mode as RGBA of 8 bits, upright; and notes, such as "animated".

    Raises:
        ValueError: the file is no complete picture; the message is the reason alone.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on sizes and on palettes, are all dealt with here
            with Image.open(_without_texts(Path(path)), formats=FORMATS) as file:
                if file.width * file.height > most_pixels:
                    raise Image.DecompressionBombError(f"{file.width}×{file.height}")
                notes = ["animated"] if getattr(file, "is_animated", False) else []
                image = _rgba(file)
                turn = file.getexif().get(ExifTags.Base.Orientation, 1)
                upright = image if turn == 1 else _upright(image, turn)
    except Exception as error:  # Pillow raises a different type for every way in which a file can be broken
        raise ValueError(_reason(Path(path), error, most_pixels)) from error
    return upright, notes


def _without_texts(path: Path) -> io.BytesIO | Path:
    """A PNG without its texts, which some programs fill with megabytes, so that Pillow refuses them."""
    with path.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return path
        data = file.read()
    kept, at = [b"\x89PNG\r\n\x1a\n"], 0
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")  # length, name, content, checksum
        if data[at + 4 : at + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(data[at:end])
        at = end
    return io.BytesIO(b"".join(kept))


def _rgba(file: Image.Image) -> Image.Image:
    """Any mode as RGBA."""
    hole = _hole(file)
    if file.mode == "F" or (file.mode == "I" and file.format != "PPM"):
        raise ValueError("numbers of 32 bits, of which nobody knows where white is")
    if file.mode.startswith("I"):  # 16 bits of grey: Pillow would cut them off at 255
        numbers = np.asarray(file)
        image = Image.fromarray((numbers / 257).round().astype(np.uint8)).convert("RGBA")
    elif hole is not None:
        image = file.convert("RGB")
        numbers = np.asarray(image)
        image = image.convert("RGBA")
    else:
        # not all modes lead to RGBA directly
        image = (file.convert("RGB") if file.mode in ("CMYK", "YCbCr", "HSV", "LAB") else file).convert("RGBA")
    if hole is not None:
        clear = (numbers.reshape(*numbers.shape[:2], -1) == hole).all(axis=2)
        image.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    return image


def _hole(file: Image.Image) -> np.ndarray | None:
    """The colour of a PNG that stands for "transparent", as it appears in the opened picture; or None.

    The file names it in its own depth, such as 2 or 16 bits. Pillow hands that on, but brings the pixels to 8.
    """
    hole = file.info.get("transparency")
    if file.format != "PNG" or hole is None or file.mode == "P":  # a palette's is right
        return None
    if file.mode.startswith("I"):
        return np.array(hole)
    depth = {"L;2": 2, "L;4": 4, "RGB;16B": 16}.get(file.tile[0][3], 8)
    return np.array(hole) * 255 // (2**depth - 1)


def _upright(image: Image.Image, turn: int) -> Image.Image:
    """A phone stores how it was held, a number of EXIF, and leaves the turning to others."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    image.info = {"exif": exif.tobytes()}
    return ImageOps.exif_transpose(image)


def _reason(path: Path, error: Exception, most_pixels: int) -> str:
    """What is wrong with a file, in words."""
    said = getattr(error, "strerror", None) or str(error)
    if isinstance(error, Image.DecompressionBombError):
        size = f"{said} is" if "×" in said else "it has"
        return f"{size} more than {most_pixels // 10**6} million pixels: no sprite"
    if path.exists() and path.stat().st_size == 0:
        return "an empty file"
    if not path.exists():
        return "a link to a file that is not there" if path.is_symlink() else said
    if "cannot identify" in said:
        return "no picture inside"
    return said if "32 bits" in said or getattr(error, "errno", None) else f"damaged or cut short ({said})"

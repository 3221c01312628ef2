"""Your own pictures as the arrays of the course: a folder of picture files → sprites and labels.

    own = read_folder("my_sprites")
    print(own.report)
    sprites_file, labels_file = save_arrays("build", own.sprites, own.labels)

Each subfolder is a class. A folder without subfolders is one class.

From the command line, all of the capstone: read, train, draw, and say how good it is.

    python Capstone/own_sprites.py FOLDER --size 16 --minutes 20 --out NAME
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

if not __package__:  # started by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])
import support.checks as check
from Capstone import pixel_art
from support.cli import errors_in_one_line
from support.picture_files import find_pictures, open_picture, text, why_not
from support.tables import write_text
from support.writing import replacing

FEW = 100  # fewer pictures than this are learned by heart
MOST_NAMES = 40  # in one list of a report
NOTES = {  # what may be worth knowing about pictures: what is done, or what to do
    "transparent": "put on {ground}",
    "on a ground of another colour": "it is {ground} now",
    "on a painted checkerboard": "it is {ground} now; real transparency is safer",
    "with a dark half-transparent shadow": "the shadow is left out, for it would be a grey spot",
    "half transparent in places": "mixed with the ground",
    "with an outline like the ground": "it is lost there; give it another colour",
    "animated": "only the first frame is used",
    "enlarged": "brought back to their own pixels",
    "of another scale than the others": "draw all at one scale, or they stay large beside small",
    "cut into sprites": "each of them counts",
    "cropped": "empty margins are gone, the rest is in the middle",
    "not square": "padded with {ground}",
    "made smaller": "details are lost; a larger size would keep them, up to {needed}",
    "more than 8 times too large": "little is left of a photograph; a sheet of many sprites must be cut up first",
    "in a folder inside a class folder": "they count as that class; if they are the classes, name the folder above",
    "equal to another": "a copy teaches nothing new",
    "in two class folders": "once in the set, with both labels",
}
NAMED = {
    "on a painted checkerboard",
    "with a dark half-transparent shadow",
    "with an outline like the ground",
    "of another scale than the others",
    "cut into sprites",
    "in two class folders",
}
COLOURS = dict(zip(pixel_art.GROUNDS, ("white", "black", "grey", "magenta", "green", "blue"), strict=True))


@dataclass(frozen=True, eq=False)
class OwnSprites:
    """What was read from a folder.

    Attributes:
        sprites: uint8 (n, size, size, 3).
        labels: float32 (n, classes): 1 for each class folder that a picture lies in, else 0.
        class_names: the names of the classes, in alphabetical order.
        ground: the colour (r, g, b) that was put behind what is transparent.
        sources: for each sprite the name of its file; the sprites of one sheet have it in common.
        report: text to print: what was found, what was changed, what was left out, what to look out for.
    """

    sprites: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    ground: tuple[int, int, int]
    sources: tuple[str, ...]
    report: str


@dataclass
class _File:
    """One picture file: where it lies, and what a first look at it found."""

    path: Path
    name: str
    label: int
    canvas: tuple[int, int] = (0, 0)
    ground: tuple[int, int, int] | None = None
    scale: int = 1


class _Said:
    """What there is to report: the names of files by note, and the reasons why files were left out."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = defaultdict(list)
        self.unreadable: list[str] = []
        self.left_out: list[str] = []
        self.sizes: Counter[str] = Counter()
        self.needed = 0  # the size that would keep all details


def read_folder(folder: str | Path, size: int = 16, cell: int | None = None) -> OwnSprites:
    """All pictures in a folder as sprites.

    Args:
        folder: one subfolder for each class, or pictures only. What lies deeper belongs to the class above it.
        size: height and width of the sprites, a multiple of 4, because the network halves them twice.
        cell: height and width of the cells of sheets, in pixels of the files, where a sheet does not show it itself.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a size that is no multiple of 4, a folder in another form, fewer than two different pictures, or a
            class or more than half of all files unreadable.
    """
    if not isinstance(size, (int, np.integer)) or size < 4 or size % 4:
        raise ValueError(f"expected a size that is a multiple of 4, such as 16, got {size!r}")
    if cell is not None and (not isinstance(cell, (int, np.integer)) or cell < 1):
        raise ValueError(f"expected a cell of at least one pixel, such as 16, got {cell!r}")
    size, root, said = int(size), Path(folder).expanduser(), _Said()
    classes, others = find_pictures(root)
    found = [
        _File(path, text(path.relative_to(root)), label)
        for label, paths in enumerate(classes.values())
        for path in paths
    ]
    files = [file for file in tqdm(found, desc="looking", leave=False) if _look(file, size, said)]
    known = _ground_of_most(files)
    scales = _scales(files, said)
    sprites, sources, own_grounds = [], [], []
    for file, scale in zip(tqdm(files, desc="reading", leave=False), scales, strict=True):
        new = _sprites_of(file, size, scale, known, cell, said)
        sprites += new
        sources += [file] * len(new)
        own_grounds += [file.ground] * len(new)
    counts = np.bincount([file.label for file in sources], minlength=len(classes))
    different = len({sprite.tobytes() for sprite in sprites})
    _refuse_too_few(dict(zip(classes, counts, strict=True)), different, said, len(found))

    stack = np.stack(sprites)
    ground = pixel_art.choose_ground(stack, own_grounds)
    lost = pixel_art.hidden_outline(stack, ground, own_grounds)
    said.notes["with an outline like the ground"] = [sources[i].name for i in np.flatnonzero(lost > 0.1)]
    deep = [file.name for file in files if len(file.path.relative_to(root).parts) > 2]
    said.notes["in a folder inside a class folder"] = deep
    pictures, labels, first = _with_all_labels(pixel_art.on_ground(stack, ground), sources, len(classes), said)
    beside = [f"{text(path.relative_to(root))} ({why_not(path)})" for path in others]
    report = _report(
        size,
        dict(zip(classes, labels.sum(axis=0).astype(int), strict=True)),
        said,
        ground,
        len(found),
        beside,
        len(pictures),
    )
    return OwnSprites(pictures, labels, tuple(classes), ground, tuple(sources[i].name for i in first), report)


def _look(file: _File, size: int, said: _Said) -> bool:
    """Note the ground and the scale of a picture; whether it could be opened."""
    try:
        image, notes = open_picture(file.path)
    except ValueError as error:
        said.unreadable.append(f"{file.name}: {error}")
        return False
    for note in notes:
        said.notes[note].append(file.name)
    pixels = np.asarray(image)
    file.canvas = image.size
    clear, file.ground, _ = pixel_art.without_ground(pixels)
    if image.size != (size, size):
        file.scale = pixel_art.scale_of(pixels if pixel_art.many_colours(pixels) else clear)
    return True


def _ground_of_most(files: list[_File]) -> tuple[tuple[int, int, int], ...]:
    """The ground that more than half of the pictures have in common, if there is one."""
    common = Counter(file.ground for file in files if file.ground).most_common(1)
    return tuple(colour for colour, n in common if 2 * n > len(files))


def _scales(files: list[_File], said: _Said) -> list[int]:
    """One scale for the pictures of a folder, where most of them agree.

    Art of few colours may look as if it had been enlarged more than it was; the others know better.
    """
    groups = defaultdict(list)
    for file in files:
        groups[file.canvas].append(file.scale)
    scales, usual = [], _most([file.scale for file in files])
    for file in files:
        group = groups[file.canvas]
        agreed = _most(group) if len(group) > 2 else usual if usual > 1 else 0
        scales.append(agreed if agreed and file.scale % agreed == 0 else file.scale)
        if scales[-1] > 1:
            said.notes["enlarged"].append(file.name)
            if usual > 1 and scales[-1] != usual:
                said.notes["of another scale than the others"].append(file.name)
    return scales


def _most(numbers: list[int]) -> int:
    """The number that more than half of them are, else 0."""
    number, n = Counter(numbers).most_common(1)[0] if numbers else (0, 0)
    return number if 2 * n > len(numbers) else 0


def _sprites_of(file: _File, size: int, scale: int, known: tuple, cell: int | None, said: _Said) -> list[np.ndarray]:
    """The sprites (size, size, 4) in one file; what is to be said about it goes to ``said``."""
    try:
        pixels, _ = open_picture(file.path)
        pixels, file.ground, notes = pixel_art.cleared(np.asarray(pixels), scale, known)
        if not pixels[..., 3].any():
            raise ValueError("nothing but one colour")
        height, width = pixels.shape[:2]
        parts = [pixels]
        if cell:
            parts = pixel_art.cut_by(pixels, cell // scale if cell % scale == 0 else cell)
        elif max(height, width) > size:
            parts = pixel_art.cut(pixels, size)
        fitted = [pixel_art.fit(part, size) for part in parts]
    except ValueError as error:
        said.left_out.append(f"{file.name}: {error}")
        return []
    if len(parts) > 1:
        said.notes["cut into sprites"].append(f"{file.name} ({len(parts)} of {parts[0].shape[1]}×{parts[0].shape[0]})")
    for note in {*notes, *(note for _, changed in fitted for note in changed)}:
        said.notes[note].append(file.name)
    said.sizes[f"{width}×{height}"] += 1
    said.needed = max([said.needed, *(pixel_art.side_needed(part) for part in parts if max(part.shape) <= 8 * size)])
    return [sprite for sprite, _ in fitted]


def _with_all_labels(
    pictures: np.ndarray, files: list[_File], n: int, said: _Said
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Pictures that lie in two classes once, with both labels: pictures, labels, and the numbers of those kept."""
    same = defaultdict(list)
    for i, picture in enumerate(pictures):
        same[picture.tobytes()].append(i)
    labels, kept = np.zeros((len(pictures), n), np.float32), []
    for numbers in same.values():
        classes = [files[i].label for i in numbers]
        labels[np.ix_(numbers, classes)] = 1
        # copies inside of one class stay, so that nothing vanishes unseen
        stay = [i for i in numbers if files[i].label == classes[0]]
        kept += stay
        said.notes["equal to another"] += [files[i].name for i in stay[1:]]
        if len(stay) < len(numbers):
            names = dict.fromkeys(files[i].name for i in numbers)
            said.notes["in two class folders"].append(" = ".join(names))
    kept.sort()
    return pictures[kept], labels[kept], kept


def _refuse_too_few(counts: dict[str, int], different: int, said: _Said, n_files: int) -> None:
    """A ValueError where training makes no sense."""
    wanted = None
    if different < 2:
        wanted = "two different pictures or more, because one teaches only itself"
    if lost := [name for name, n in counts.items() if n == 0]:
        wanted = f"pictures of {', '.join(lost)} that can be read"
    if 2 * len(said.unreadable) > n_files:
        wanted = "that at least half of the files can be read"
    if wanted:
        lines = [f"expected {wanted}; got {sum(counts.values())} in all"]
        raise ValueError("\n".join(lines + _missing(said, n_files, most=10)))


def _missing(said: _Said, n_files: int, most: int = MOST_NAMES) -> list[str]:
    """The names of the files that were left out, with the reasons."""
    lines = []
    for names, what in ((said.unreadable, "cannot be read"), (said.left_out, "are left out")):
        lines += [f"{len(names)} of {n_files} files {what}:"] if names else []
        lines += [f"  {name}" for name in names[:most]]
        lines += [f"  and {len(names) - most} more"] if len(names) > most else []
    return lines


def _report(size: int, counts: dict, said: _Said, ground: tuple, n_files: int, others: list[str], n: int) -> str:
    """What was found, what was changed, what to look out for, in a few lines."""
    common = [f"{name} ({k})" for name, k in said.sizes.most_common(5)]
    words = {"ground": COLOURS[ground], "needed": -(-said.needed // 4) * 4}
    lines = [f"{n} sprites of {size}×{size}: " + ", ".join(f"{k} {name}" for name, k in counts.items())]
    lines += ["own sizes: " + ", ".join(common + ["…"] * (len(said.sizes) > 5))]
    if ground != pixel_art.WHITE:
        lines += [f"ground: {COLOURS[ground]}, because figures would vanish in white"]
    for note, what in NOTES.items():
        if names := said.notes[note]:
            lines += [f"{len(names)} {note}: {what.format(**words)}" + (f" ({_list(names)})" if note in NAMED else "")]
    lines += _missing(said, n_files)
    lines += [f"other files left out: {len(others)}: {_list(others)}"] if others else []
    lines += [f"memory: {3 * n * size**2 / 1e6:.1f} MB, as tensors for training {12 * n * size**2 / 1e6:.1f} MB"]
    if n < FEW:
        lines += [f"Careful: {n} pictures are few. A network will learn them by heart and copy them."]
    if max(counts.values()) > 4 * min(counts.values()):
        lines += ["Careful: uneven classes. The small ones will be drawn worse."]
    return "\n".join(lines)


def _list(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMES] + [f"and {len(names) - MOST_NAMES} more"] * (len(names) > MOST_NAMES))


def save_arrays(folder: str | Path, sprites: np.ndarray, labels: np.ndarray) -> tuple[Path, Path]:
    """Write my_sprites.npy and my_labels.npy, for the module's ``load_sprites``; each appears whole or not at all."""
    files = Path(folder) / "my_sprites.npy", Path(folder) / "my_labels.npy"
    with replacing(files[0]) as first, replacing(files[1]) as second:
        np.save(first, sprites)
        np.save(second, labels)
    return files


# ------------------------------------------------------------------------------ from the command line


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="own_sprites",
        description="Train a network on a folder of pictures, draw new ones, and say how good they are.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="A second call with the same pictures and --out trains on, and draws again.",
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="one subfolder for each class, or pictures only")
    add("--size", type=int, default=16, help="height and width of the sprites, a multiple of 4 (default: 16)")
    add(
        "--cell",
        type=int,
        metavar="PIXELS",
        help="height and width of the cells of sheets, where they are not found out",
    )
    add("--minutes", type=float, default=20, help="train for at most so long (default: 20); 0 only draws")
    add("--out", type=Path, metavar="NAME", help="folder for all that is made (default: FOLDER's name and _model)")
    add("--start", default="course", metavar="WHAT", help="course (default), unet, nothing, or a model's file")
    add("--no-mirror", action="store_true", help="for letters, and for art that faces one way")
    add("--hue", type=float, default=0.05, help="how far hues may turn, in radians (default: 0.05); 0: not at all")
    add("--each", type=int, default=8, help="sprites to draw of each class (default: 8)")
    add("--guidance", type=float, default=1.0, help="above 1: more like the class, less varied (default: 1)")
    add("--colours", type=int, metavar="K", help="draw in so many colours at most")
    add("--seed", type=int, default=0, help="of training and drawing (default: 0)")
    return parser


def train_and_draw(args: argparse.Namespace) -> None:
    """All steps of the capstone, one after the other."""
    # slow imports, which --help can do without
    from Capstone.own_figures import report_on
    from Capstone.own_model import OwnRun
    from Capstone.own_pictures import draw_files

    check.whole(args.each, "each", 1)
    if args.colours is not None:
        check.whole(args.colours, "colours", 2, 256)
    pictures = read_folder(args.folder, args.size, args.cell)
    print(pictures.report)
    out = args.out or Path(f"{args.folder.expanduser().resolve().name}_model")
    start = None if args.start == "nothing" else args.start
    run = OwnRun(pictures, out, start, not args.no_mirror, args.hue, args.seed)
    before = len(run.losses)
    run.train(args.minutes)
    if not run.losses:
        raise ValueError("expected some --minutes of training before anything can be drawn")
    print(f"{len(run.losses) - before} steps of training, {len(run.losses)} in all; {run.state}")
    drawn = draw_files(run, args.each, args.guidance, args.seed, args.colours)
    report = report_on(run, args.guidance, args.seed)
    write_text(drawn / "report.md", pictures.report + "\n\n" + report + "\n")
    print(report)
    print(f"the model: {run.model_file}\nthe sprites and this report: {drawn}")


def main(argv: list[str] | None = None) -> None:
    parser = make_parser()
    args = parser.parse_args(argv)
    with errors_in_one_line(parser, memory="choose a smaller --size"):
        train_and_draw(args)


if __name__ == "__main__":
    main()

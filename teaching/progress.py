"""A class's progress in one table.

    python -m teaching.progress FOLDER               everything below a folder, or in a ZIP
    python -m teaching.progress FOLDER --csv FILE    the table as a file for a spreadsheet, too

Two kinds of files count. ``progress.json`` of a lab's folder, under its own or another name, holds what is passed.
Exercise sheets in which somebody has written, ``my_L1_Sampling.ipynb``, show also what was tried, and what was wrong.
ZIPs are read as they are, also those in ZIPs. What learners wrote is read as text and never run.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exercise_tools import make_sheets
from support.cli import errors_in_one_line
from support.writing import replacing
from teaching.course import Exercise, Lab, labs

NESTED = 3  # ZIPs in ZIPs are opened to this depth
LARGEST = 50_000_000  # bytes of one file: far above any sheet with its outputs, below what would fill the memory
MARKS = {"passed": "ok", "tried": "try", "not begun": "-"}  # plain letters, for terminals of every encoding
UNREADABLE = (OSError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError)

# What learning platforms make of the names of files and folders; `who` is the learner.
PLATFORMS = [
    re.compile(r"(?P<who>.+?)_\d+_assignsubmission_[a-z]+(_|$)"),  # Moodle
    re.compile(r".+_(?P<who>[^_]+)_attempt_\d{4}(-\d\d){5}"),  # Blackboard
    re.compile(r"(?P<who>[^\W\d_]+)(_LATE)?_\d+_\d+_"),  # Canvas
]
# What stands in the names of files without being a learner's name: the mark of a copy, a lab, an ending.
NO_NAME = re.compile(r"\(\d+\)|\b(\d\d?|copy|final|v\d+|before\d+|progress|json|txt|bak\d*|ipynb|l\d|lab ?\d)\b", re.I)


@dataclass
class Learner:
    """What one learner has passed and tried, by the exercises' numbers; ``said`` is what a check found wrong."""

    passed: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)

    def state(self, number: str) -> str:
        """passed, tried or not begun, as far as what was handed in can tell."""
        return "passed" if number in self.passed else "tried" if number in self.tried else "not begun"


@dataclass
class Class:
    """The learners by name, and a line for each file that could not be used, or not wholly."""

    learners: dict[str, Learner]
    remarks: list[str]


def shown(text: str) -> str:
    """Text of somebody else's, in one line and without what would steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


# ------------------------------------------------------------------------------------------- files


def files(path: Path, remarks: list[str]) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """The files below a folder, or in a ZIP, that may say something: (the parts of its name, what is in it).

    A ZIP is one of the parts. What cannot be read is added to the remarks.

    Raises:
        OSError: there is no such folder or file.
    """
    if path.is_file():
        yield from opened((path.name,), path.stat().st_size, path.read_bytes, remarks)
        return
    if not path.is_dir():
        raise FileNotFoundError(f"expected a folder or a ZIP with progress files, {path} is none")
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        yield from opened(file.relative_to(path).parts, file.stat().st_size, file.read_bytes, remarks)


def opened(
    parts: tuple[str, ...], size: int, read: Callable[[], bytes], remarks: list[str], depth: int = 0
) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """One file, if it may say something; of a ZIP, those in it."""
    name, where = parts[-1].lower(), shown("/".join(parts))
    hidden = any(
        part.startswith(".") or part == "node_modules" for part in parts
    )  # .venv, checkpoints, macOS's ._ files
    wanted = name.endswith((".json", ".ipynb", ".zip")) or re.search(r"progress.*(\.json\.\w+|\.txt)$", name)
    if hidden or not wanted:
        return
    try:
        if size > LARGEST:
            raise ValueError(f"it has {size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}")
        data = read()
        if not name.endswith(".zip"):
            yield parts, data
            return
        if depth == NESTED:
            raise ValueError(f"a ZIP inside {NESTED} others")
        archive = zipfile.ZipFile(io.BytesIO(data))
    except UNREADABLE as error:
        remarks.append(f"{where}: cannot be read: {shown(str(error))}")
        return
    with archive:
        for entry in archive.infolist():
            inside = (*parts[:-1], parts[-1][: -len(".zip")], *filter(None, re.split(r"[/\\]", entry.filename)))
            if not entry.is_dir():
                yield from opened(inside, entry.file_size, lambda e=entry: archive.read(e), remarks, depth + 1)


# ------------------------------------------------------------------------------------ whose they are


def owner(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Whose file it is: a name that stands in the file's name, or else the folders in which it lies."""
    for part in parts:
        for platform in PLATFORMS:
            if match := platform.match(part):
                return (match["who"].strip(),)
    known = "|".join(re.escape(lab.name) for lab in labs())
    words = re.sub(rf"(my_)?({known})(_exercises)?", " ", parts[-1], flags=re.I)
    words = NO_NAME.sub(" ", re.sub(r"[\s_.\-]+", " ", words))
    if words.strip():
        return (" ".join(words.split()),)
    folders = {lab.folder for lab in labs()}
    return tuple(part for part in parts[:-1] if part not in folders)


def called(owners: set[tuple[str, ...]], folder: str) -> dict[tuple[str, ...], str]:
    """A name for each owner: its folders, without those in front and behind that all share."""
    names = {owner: list(owner) for owner in owners}
    while len(names) > 1 and all(len(name) > 1 for name in names.values()):
        if len({name[0] for name in names.values()}) > 1:
            break
        for name in names.values():
            del name[0]
    while True:  # a course copied whole: anna/course, ben/course
        long = [name for name in names.values() if len(name) > 1]
        cut = {tuple(name[:-1] if len(name) > 1 else name) for name in names.values()}
        if len(long) < 2 or len({name[-1] for name in long}) > 1 or len(cut) < len(names):
            break
        for name in long:
            del name[-1]
    return {owner: shown("/".join(name)) or folder for owner, name in names.items()}


# -------------------------------------------------------------------------------- what is in them


def passed_in(data: bytes) -> list[str]:
    """The names of the exercises in a progress file: a table of names and functions, or formerly a list of names.

    Raises:
        ValueError: it is damaged, or something else.
    """
    try:
        noted = json.loads(data)  # bytes may be UTF-8 or UTF-16, with a mark
    except RecursionError:
        noted = None
    if isinstance(noted, list) and all(isinstance(name, str) for name in noted):
        return noted
    if not isinstance(noted, dict) or not all(isinstance(code, str) for code in noted.values()):
        raise ValueError("expected names of exercises with functions")
    return list(noted)


def numbered(names: list[str], parts: tuple[str, ...]) -> tuple[set[str], list[str]]:
    """(the numbers of the exercises, the names that are none of that lab).

    A name may stand in two labs: the other names in the file tell which, or else the file's own name or folder.

    Raises:
        ValueError: no name is an exercise, or nothing tells the lab.
    """
    by_folder: dict[str, dict[str, str]] = defaultdict(dict)
    for lab in labs():
        by_folder[lab.folder] |= {exercise.name: exercise.number for exercise in lab.exercises}
    fits = {folder: sum(name in known for name in names) for folder, known in by_folder.items()}
    most = max(fits.values())
    if names and not most:
        raise ValueError(f"holds no exercise of this course, but {', '.join(names)}")
    likely = [folder for folder, fit in fits.items() if fit == most]
    if names and len(likely) > 1:
        told = [
            folder
            for folder in likely
            if re.search(rf"{folder}|(?<![a-z]){folder[:2]}(?![a-z0-9])", "/".join(parts), re.I)
        ]
        if len(told) != 1:
            raise ValueError(f"{', '.join(names)} may be of {' or '.join(likely)}: put the lab into the file's name")
        likely = told
    known = by_folder[likely[0]]
    return {known[name] for name in names if name in known}, [name for name in names if name not in known]


def verdict_of(check: dict) -> str:
    """What a check's cell shows: "✗ Exercise 1.3: …"; "" where it has not been run."""
    for output in check.get("outputs", []):
        text = "".join(output.get("data", {}).get("text/plain", output.get("text", "")))
        if match := re.search(r"^[✓✗○vxo] Exercise .*", text, flags=re.DOTALL | re.MULTILINE):
            return match[0]
    return ""


def read_sheet(data: bytes, learner: Learner) -> bool:
    """Add what an exercise sheet shows to a learner; False where it is no sheet that somebody works in.

    The labs themselves and the solved sheets hold the same cells, and nobody's work.

    Raises:
        ValueError: it is damaged.
    """
    try:
        cells = json.loads(data)["cells"]
        text = [make_sheets.source(cell) for cell in cells]
        kinds = [make_sheets.kind(cell) for cell in cells]
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("not a notebook") from None
    solved = any('os.environ["COURSE_PROGRESS"] = "off"' in source for source in text)
    if solved or not any(source.startswith("*This is the exercise sheet of") for source in text):
        return False
    number, written = "", False
    for cell, kind, source in zip(cells, kinds, text, strict=True):
        if kind == "exercise":
            match = make_sheets.HEADER.match(source)
            number, written = match[1] if match else "", False
        elif kind == "solution":
            written = bool(source.strip()) and make_sheets.STUB not in source
        elif kind == "check" and number:
            verdict = verdict_of(cell)
            if verdict[:1] in ("✓", "v"):
                learner.passed.add(number)
            elif written or verdict[:1] in ("✗", "x"):
                learner.tried.add(number)
                learner.said[number] = shown(verdict.partition(": ")[2])
    return True


def read_class(path: Path) -> Class:
    """All that was handed in.

    Raises:
        OSError: there is no such folder or file.
    """
    found: dict[tuple[str, ...], Learner] = defaultdict(Learner)
    remarks: list[str] = []
    others: list[str] = []
    for parts, data in files(path, remarks):
        where, name = shown("/".join(parts)), parts[-1].lower()
        learner = Learner()
        try:
            if name.endswith(".ipynb"):
                if not read_sheet(data, learner):
                    continue
            else:
                learner.passed, unknown = numbered(passed_in(data), parts)
                if unknown:
                    remarks.append(f"{where}: not exercises of this lab: {shown(', '.join(unknown))}")
        except ValueError as error:
            damaged = isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
            if damaged or "progress" in name or name.endswith(".ipynb"):
                found[owner(parts)]  # the learner stands in the table all the same
                remarks.append(f"{where}: not counted: {shown(str(error))}")
            else:
                others.append(where)
            continue
        known = found[owner(parts)]
        known.passed |= learner.passed
        known.tried |= learner.tried
        known.said |= learner.said
    if others:  # a course handed in whole has many
        more = ", …" if len(others) > 5 else ""
        remarks.append(f"{len(others)} other .json files: {', '.join(others[:5])}{more}")
    names = called(set(found), path.resolve().stem)
    return Class({names[owner]: found[owner] for owner in sorted(found, key=lambda o: names[o].casefold())}, remarks)


# ------------------------------------------------------------------------------------------ the table


def lab_table(lab: Lab, learners: dict[str, Learner]) -> str:
    """One lab: a line for each learner, a column for each exercise, and how many have passed it."""
    width = max(len(name) for name in (*learners, "passed by"))
    numbers = [exercise.number for exercise in lab.exercises]
    lines = [f"{lab.title}", f"{'':{width}} " + "".join(f"{number:>6}" for number in numbers) + "   passed"]
    for name, learner in learners.items():
        marks = "".join(f"{MARKS[learner.state(number)]:>6}" for number in numbers)
        lines.append(f"{name:{width}} {marks}   {len(learner.passed & set(numbers)):2} of {len(numbers)}")
    sums = "".join(f"{sum(number in learner.passed for learner in learners.values()):>6}" for number in numbers)
    return "\n".join([*lines, f"{'passed by':{width}} {sums}   of {len(learners)}"])


def stuck(lab: Lab, learners: dict[str, Learner]) -> list[tuple[Exercise, list[str], list[str]]]:
    """Where most are stuck first: (exercise, who has tried it in vain, who has left it out).

    Left out means that it is not passed, and a later exercise of the lab is.
    """
    found = []
    for i, exercise in enumerate(lab.exercises):
        later = {other.number for other in lab.exercises[i + 1 :]}
        open_ = {name: one for name, one in learners.items() if exercise.number not in one.passed}
        tried = [name for name, one in open_.items() if exercise.number in one.tried]
        left_out = [name for name, one in open_.items() if name not in tried and one.passed & later]
        if tried or left_out:
            found.append((exercise, tried, left_out))
    return sorted(found, key=lambda entry: (-len(entry[1]) - len(entry[2]), -len(entry[1])))


def stuck_lines(lab: Lab, learners: dict[str, Learner]) -> list[str]:
    """The three exercises of a lab at which most are stuck, with names, and what the checks said to three of them."""
    lines = []
    for exercise, tried, left_out in stuck(lab, learners)[:3]:
        lines.append(f"{exercise.number}  {exercise.title}")
        lines += [f"      tried: {', '.join(tried)}"] if tried else []
        lines += [f"      left out: {', '.join(left_out)}"] if left_out else []
        said = {name: learners[name].said.get(exercise.number) for name in tried}
        lines += [f"      the check said to {name}: {message}" for name, message in said.items() if message][:3]
    return lines


def report(group: Class) -> str:
    """The tables of the labs that somebody has begun, where most are stuck, and what could not be used."""
    learners = group.learners
    touched = {number for one in learners.values() for number in one.passed | one.tried}
    begun = [lab for lab in labs() if any(exercise.number in touched for exercise in lab.exercises)]
    parts = [lab_table(lab, learners) for lab in begun]
    if begun:
        parts.append("ok: passed   try: written or checked, not passed   -: not begun, or not handed in")
    if lines := [line for lab in begun for line in stuck_lines(lab, learners)]:
        parts.append("\n".join(["Where most are stuck, up to three exercises of each lab", *lines]))
    passed = sum(len(one.passed) for one in learners.values())
    parts.append(f"{len(learners)} learners, {passed} exercises passed" if learners else "no progress found")
    if group.remarks:
        parts.append("\n".join(["Not used, or not wholly:", *group.remarks]))
    return "\n\n".join(parts)


def write_csv(group: Class, path: Path) -> None:
    """A line for each learner, a column for each exercise of the course, and the sums. Excel needs UTF-8's mark."""
    exercises = [exercise for lab in labs() for exercise in lab.exercises]
    titles = [f"{exercise.number} {exercise.title}" for exercise in exercises]  # a bare 1.10 would be read as 1.1
    with replacing(path) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["learner", *titles, "passed", "tried"])
        for name, one in group.learners.items():
            states = [one.state(exercise.number) for exercise in exercises]
            if name.startswith(("=", "+", "-", "@")):  # which a spreadsheet would take for a formula
                name = f"'{name}"
            writer.writerow([name, *states, states.count("passed"), states.count("tried")])


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m teaching.progress", description="A class's progress in one table.")
    parser.add_argument("folder", type=Path, help="a folder, or a ZIP, with what the learners handed in")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table to a file for a spreadsheet, too")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")  # learners' names on a terminal that lacks their letters
    with errors_in_one_line(parser, "close other programs"):
        group = read_class(options.folder)
        print(report(group))
        if options.csv:
            write_csv(group, options.csv)
            print(f"wrote {options.csv}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

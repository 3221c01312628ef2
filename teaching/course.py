"""The course as a teacher needs it: its labs and exercises, read off the notebooks; without PyTorch."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exercise_tools import make_sheets
from support.cli import errors_in_one_line
from support.tables import write_text


@dataclass(frozen=True)
class Exercise:
    """One exercise: its key in progress.json, what its first two lines say, its task, and the lab's solution."""

    name: str
    number: str
    title: str
    stars: int
    minutes: int
    task: str
    solution: str


@dataclass(frozen=True)
class Lab:
    """A notebook with exercises. ``title`` is its first heading, ``checks`` the module that checks them."""

    path: Path
    title: str
    checks: str
    exercises: tuple[Exercise, ...]

    @property
    def name(self) -> str:
        """As in L1_Sampling.ipynb: L1_Sampling."""
        return self.path.stem

    @property
    def folder(self) -> str:
        """The name of the folder in which the learner's progress.json lies."""
        return self.path.parent.name


def heading(notebook: dict) -> str:
    """The first line of a notebook, without its hash sign."""
    return make_sheets.source(notebook["cells"][0]).split("\n", 1)[0].lstrip("# ")


def lab_of(path: Path) -> Lab:
    """A lab, read off its notebook, whose cells are tagged as `exercise_tools.make_sheets` wants them."""
    notebook = make_sheets.read(path)
    headers = make_sheets.exercises(notebook)
    sources: dict[str, list[str]] = {"exercise": [], "solution": [], "check": []}
    for cell in notebook["cells"]:
        if (kind := make_sheets.kind(cell)) in sources:
            sources[kind].append(make_sheets.source(cell))
    made = []
    for header, task, solution, check in zip(headers, *sources.values(), strict=True):
        name = re.search(r"check_(\w+)\(", check)[1]
        task = make_sheets.HEADER.sub("", task)
        made.append(Exercise(name, *header, task=task, solution=solution))
    return Lab(path, heading(notebook), make_sheets.checks_of(path), tuple(made))


@functools.cache
def labs() -> tuple[Lab, ...]:
    """All notebooks with exercises: the four labs, then those of going_further, in the order of their numbers."""
    made = map(lab_of, make_sheets.labs())
    return tuple(sorted(made, key=lambda lab: float(lab.exercises[0].number)))


def write_for_labs(
    program: str,
    words: str,
    ending: str,
    page: Callable[[Lab, Path], str],
    arguments: list[str] | None,
    prepare: Callable[[Path], None] = lambda folder: None,
) -> int:
    """The command line of a program that writes a page for each lab, or for those that are named, to a folder.

    Args:
        program, words: its name in ``teaching``, and what its help says of it.
        ending: of the files' names.
        page: a lab and the folder → the text of its page.
        prepare: what is done once with the folder, before the first page.
    """
    known = {lab.name: lab for lab in labs()}
    parser = argparse.ArgumentParser(prog=f"python -m teaching.{program}", description=words)
    parser.add_argument("labs", nargs="*", metavar="LAB", help=f"some of {', '.join(known)}; all, if none is named")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the pages are written")
    options = parser.parse_args(arguments)
    with errors_in_one_line(parser, "close other programs"):
        if unknown := [name for name in options.labs if name not in known]:
            raise ValueError(f"expected labs among {', '.join(known)}, got {', '.join(unknown)}")
        prepare(options.out)
        for name in options.labs or known:
            path = options.out / f"{name}{ending}"
            write_text(path, page(known[name], options.out))
            print(f"wrote {path}")
    return 0

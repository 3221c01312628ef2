"""The course as a teacher needs it: its labs and exercises, read off the notebooks; without PyTorch."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from exercise_tools import make_sheets


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

"""An answer key: of each exercise the task, the solution, other right answers, and what the check says of mistakes.

    python -m teaching.answers --out build/answers              a page for each lab, in a few minutes
    python -m teaching.answers --out build/answers L1_Sampling  of one lab

Nothing is written down here. Tasks and solutions come from the labs; the mistakes are those with which the tests try
the checks (``tests/exercises``), and what a check says of each is what it says now. The pages are Markdown: JupyterLab
shows them with their formulas, without a network (right click, Open With, Markdown Preview).
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch

from exercise_tools import kit
from teaching.course import Exercise, Lab, write_for_labs

TESTS = Path(__file__).resolve().parent.parent / "tests" / "exercises"


@dataclass(frozen=True)
class Answer:
    """An answer of a learner, as the tests know it; ``code`` is what was typed, "" where it does not explain itself."""

    function: Callable
    code: str


@dataclass(frozen=True)
class Judged:
    """An answer, and what the check says of it."""

    code: str
    verdict: kit.Verdict


def tests_of(lab: Lab) -> ModuleType:
    """The module of tests with the answers to a lab's exercises."""
    for path in sorted(TESTS.glob("test_checks_*.py")):
        module = importlib.import_module(f"tests.exercises.{path.stem}")
        if lab.checks in (module.LAB, f"{module.LAB}.checks"):
            return module
    raise ValueError(f"expected a test_checks_….py of {lab.checks} in tests/exercises, there is none")


def code_of(node: ast.expr, module: ModuleType) -> str:
    """What a test's table shows of an answer: a formula or a function; what a helper makes does not explain itself."""
    if isinstance(node, ast.Lambda) and not node.args.vararg:
        return f"lambda {ast.unparse(node.args)}: {ast.unparse(node.body)}"
    if isinstance(node, ast.Constant):
        return node.value
    function = getattr(module, node.id, None) if isinstance(node, ast.Name) else None
    return textwrap.dedent(inspect.getsource(function)) if inspect.isfunction(function) else ""


def tables(module: ModuleType) -> dict[str, ast.expr]:
    """The tables of answers as they are typed: name → expression."""
    lines = ast.parse(inspect.getsource(module)).body
    assigned = [line for line in lines if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)]
    return {line.targets[0].id: line.value for line in assigned}


def answers(module: ModuleType, exercise: str) -> Iterator[Answer]:
    """All answers that the tests know of an exercise: right ones, classic mistakes, and what learners typed."""
    typed = tables(module)

    def entries(table: str) -> ast.expr | None:
        pairs = zip(typed[table].keys, typed[table].values, strict=True) if table in typed else ()
        return next((value for key, value in pairs if key.value == exercise), None)

    def pairs(nodes: list[ast.expr], functions: list) -> Iterator[Answer]:
        for node, function in zip(nodes, functions, strict=True):
            if isinstance(function, str):  # the body of a function
                function = module.submitted(module, exercise, function)
            yield Answer(function, code_of(node, module))

    yield from pairs(entries("RIGHT").elts, module.RIGHT[exercise])
    yield from pairs(entries("WRONG").values, list(module.WRONG[exercise].values()))
    for table in ("SUBMISSIONS", "MORE"):
        if node := entries(table):
            nodes = [entry.elts[1] for entry in node.elts]
            yield from pairs(nodes, [function for _, function in getattr(module, table)[exercise]])


def judged(lab: Lab, exercise: Exercise) -> list[Judged]:
    """Each answer with its verdict, right ones first; one for each diagnosis, if possible one that shows its code.

    The checks draw the same numbers in each run, and note nothing.
    """
    check = getattr(importlib.import_module(lab.checks), f"check_{exercise.name}")
    module = tests_of(lab)
    right, wrong = [], {}
    with mock.patch.dict(os.environ, COURSE_PROGRESS="off"), mock.patch.object(kit, "draw_anew", draw_the_same):
        for answer in answers(module, exercise.name):
            verdict = check(answer.function)
            if verdict.status == "passed":
                right.append(Judged(answer.code, verdict))
            elif not (before := wrong.get(verdict.diagnosis)) or not before.code and answer.code:
                wrong[verdict.diagnosis] = Judged(answer.code, verdict)
    return right + list(wrong.values())


def draw_the_same() -> None:
    """In place of the checks' new numbers, so that the page is the same in each run."""
    torch.manual_seed(0)


# ---------------------------------------------------------------------------------------------- pages


def fenced(text: str, language: str) -> str:
    """Text as it is."""
    return f"```{language}\n{text.rstrip()}\n```"


def exercise_page(lab: Lab, exercise: Exercise) -> str:
    """One exercise in Markdown."""
    found = judged(lab, exercise)
    stars = "★" * exercise.stars
    parts = [f"## {exercise.number} · {exercise.title}", f"{stars} · {exercise.minutes} minutes", exercise.task]
    parts += ["### Solution", fenced(exercise.solution, "python")]
    right = [one for one in found if one.verdict.status == "passed"]
    parts += [f"The check says: {right[0].verdict.message}"]
    if codes := list(dict.fromkeys(one.code for one in right if one.code)):
        parts += ["<details><summary>Also right</summary>", *(fenced(code, "python") for code in codes), "</details>"]
    parts += ["### Mistakes, and what the check says"]
    for one in found:
        if one.verdict.status != "passed":
            parts += [f"**{one.verdict.diagnosis}**"]
            parts += [fenced(one.code, "python")] if one.code else []
            parts += [fenced(one.verdict.message, "text")]
    return "\n\n".join(parts)


def with_links(text: str, lab: Lab, out: Path) -> str:
    """The links of a lab's text, which lead from its folder, made to lead from where the page lies."""

    def moved(match: re.Match) -> str:
        target = os.path.relpath(lab.path.parent / match[1], out)
        return f"]({Path(target).as_posix()}{match[2] or ''})"

    return re.sub(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)", moved, text)


def page(lab: Lab, out: Path) -> str:
    """The answer key of a lab in Markdown."""
    about = (
        f"Made from the lab, its checks and their tests by `python -m teaching.answers`. The numbers in the checks' "
        f"sentences are of one run; a check draws others each time. Where an answer calls what is not in the sheet, "
        f"that is defined in `tests/exercises/{Path(tests_of(lab).__file__).name}`."
    )
    exercises = [with_links(exercise_page(lab, exercise), lab, out) for exercise in lab.exercises]
    return "\n\n".join([f"# {lab.title}: answer key", about, *exercises]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return write_for_labs(
        "answers", "An answer key for each lab.", ".md", lambda lab, out: page(lab, out.resolve()), arguments
    )


if __name__ == "__main__":
    sys.exit(main())

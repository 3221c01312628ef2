"""What a lab's checks.py needs: the list of its exercises, its checks, and which of them are passed.

The exercises are listed once, and each has one function:

    LAB = Lab(__file__, [Exercise("perturb_input", "1.2", "Noise a picture", stars=1, minutes=5)])
    progress = LAB.progress

    @LAB.check("perturb_input")
    def check_perturb_input(my_perturb_input):
        compare(my_perturb_input, perturb_input, draw, mistakes, strengths(x=0, noise=2, t=1))
        return "one line of why it is right"

The function runs the learner's one with `call` (or `compare`, which does), and ends with `fail` or with the line of
why it is right. The decorator makes a `Verdict` of it and notes what is passed.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from exercise_tools.judging import compare, difference, strengths
from exercise_tools.running import Failed, call, fail

__all__ = ["Exercise", "Lab", "Verdict", "call", "compare", "difference", "fail", "strengths"]

SYMBOLS = {"passed": "✓", "not attempted": "○"}  # all else is ✗


@dataclass(frozen=True)
class Exercise:
    """One line of a lab's list: ``name`` as in check_<name>, a number such as "1.2", one to three stars."""

    name: str
    number: str
    title: str
    stars: int
    minutes: int


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check found; status is passed, not attempted, crashed, too slow or wrong, diagnosis a short key."""

    exercise: str
    status: str
    diagnosis: str
    message: str

    def __repr__(self) -> str:
        return f"{SYMBOLS.get(self.status, '✗')} Exercise {self.exercise}: {self.message}"


class Lab:
    """The exercises of one lab, and which of them are passed, kept in progress.json beside the lab's checks.py.

    COURSE_PROGRESS=off in the environment notes nothing: for the lab itself, which shows the solutions, and for tests.
    """

    def __init__(self, checks_file: str, exercises: list[Exercise]) -> None:
        self.file = Path(checks_file).with_name("progress.json")
        self.exercises = {exercise.name: exercise for exercise in exercises}

    def check(self, name: str) -> Callable[[Callable[[Callable], str]], Callable[[Callable], Verdict]]:
        """Decorator. It makes a check, learner's function → Verdict, of one that fails or returns why all is right."""
        number = self.exercises[name].number

        def decorate(judge: Callable[[Callable], str]) -> Callable[[Callable], Verdict]:
            @functools.wraps(judge)
            def checked(my_function: Callable) -> Verdict:
                try:
                    with torch.random.fork_rng(devices=[]):  # a check leaves the notebook's random numbers alone
                        torch.default_generator.seed()
                        if not callable(my_function):
                            fail("not a function", "hand over the function itself, its name without parentheses.")
                        message = judge(my_function)
                except Failed as failure:
                    return Verdict(number, *failure.args)
                except Exception as error:  # whatever came, the notebook goes on
                    kind = type(error).__name__
                    return Verdict(number, "wrong", "odd result", f"your result cannot be judged ({kind}: {error}).")
                self.record(name)
                return Verdict(number, "passed", "", message)

            return checked

        return decorate

    def passed(self) -> set[str]:
        """The names of the exercises passed; none if the file is missing or broken."""
        try:
            return self.exercises.keys() & set(json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return set()

    def record(self, name: str) -> None:
        """Note an exercise as passed. The file is replaced as a whole, so that it is never half written."""
        if os.environ.get("COURSE_PROGRESS") == "off":
            return
        part = self.file.with_name(f"progress.{os.getpid()}.part")
        try:
            part.write_text(json.dumps(sorted(self.passed() | {name})), encoding="utf-8")
            part.replace(self.file)
        except OSError:  # a folder that cannot be written to is no reason to fail
            part.unlink(missing_ok=True)

    def table(self) -> str:
        """The exercises line by line: passed or not, number, title, stars, minutes."""
        passed, width = self.passed(), max(len(exercise.title) for exercise in self.exercises.values())
        lines = []
        for e in self.exercises.values():
            mark = SYMBOLS["passed" if e.name in passed else "not attempted"]
            lines.append(f"{mark} {e.number}  {e.title:{width}}  {'★' * e.stars:3}  {e.minutes:2} minutes")
        return "\n".join([*lines, f"{len(passed)} of {len(lines)} passed"])

    def progress(self) -> None:
        """Print the table."""
        print(self.table())

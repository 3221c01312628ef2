"""What a lab's checks.py needs: its exercises, each with its check, and what is passed.

Each exercise is one function:

    LAB = Lab(__file__)
    progress, yours = LAB.progress, LAB.yours

    @LAB.exercise("1.2", "Noise a picture", stars=1, minutes=5)
    def check_perturb_input(my_perturb_input):
        compare(my_perturb_input, perturb_input, draw, mistakes, strengths(x=0, noise=2, t=1))
        return "one line of why it is right"

The function runs the learner's one with `call` (or `compare`, which does), and ends with `fail` or
with the line of why it is right. The decorator makes a `Verdict` of it and notes what is passed.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch

from exercise_tools.judging import compare, difference, strengths
from exercise_tools.running import Failed, call, fail
from support.writing import replacing

__all__ = ["Exercise", "Lab", "Verdict", "call", "compare", "difference", "fail", "strengths"]

Judge = Callable[[Callable], str]  # takes the learner's function; fails, or returns why it is right
SYMBOLS = {"passed": "✓", "not attempted": "○"}  # all else is ✗
ASCII = {"✓": "v", "✗": "x", "○": "o", "★": "*", "→": "->", "…": "...", "⋯": "...", "√": "root "}
ASCII |= {"²": "^2", "·": "*", "×": "x", "±": "+-", "∞": "infinity", "ᾱ": "alpha-bar"}
ASCII |= {"\u0302": "-hat", "\u0303": "-tilde"}  # over the letter before
ASCII |= dict(zip("αβεηλπρσ", "alpha beta epsilon eta lambda pi rho sigma".split(), strict=True))


def printable(text: str) -> str:
    """The text as stdout can print it, with ASCII for what its encoding (cp1252, ASCII) lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"

    def plain(char: str) -> str:
        try:
            char.encode(encoding)
        except UnicodeEncodeError:
            return ASCII.get(char, "?")
        return char

    return "".join(map(plain, text))


def wrapped(text: str, width: int = 88) -> str:
    """The text in lines no wider than a lab's code: JupyterLab breaks longer ones inside words."""
    options = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(line, width, **options) for line in text.split("\n"))


@dataclass(frozen=True)
class Exercise:
    """A line of a lab's list: ``name`` as in check_<name>, a number such as "1.2", 1 to 3 stars."""

    name: str
    number: str
    title: str
    stars: int
    minutes: int


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check found.

    ``status`` is passed, not attempted, crashed, too slow or wrong; ``diagnosis`` is a short key
    such as "missing square root", and empty where all is right; ``message`` is for the learner.
    """

    exercise: str
    status: str
    diagnosis: str
    message: str

    def __repr__(self) -> str:
        symbol = SYMBOLS.get(self.status, "✗")
        return printable(wrapped(f"{symbol} Exercise {self.exercise}: {self.message}"))


def source_of(function: Callable) -> str:
    """What was typed for a function, from its ``def`` on; "" where that cannot be told."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        (definition,) = ast.parse(source).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""
    return source if isinstance(definition, ast.FunctionDef | ast.ClassDef) else ""


@contextmanager
def _float32() -> Iterator[None]:
    """New tensors are float32, as the course's are: in float64 right functions are refused."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def draw_anew() -> None:
    """From here on, random numbers that no other call of a check has seen."""
    torch.default_generator.seed()


class Lab:
    """The exercises of one lab, and what is passed, kept in progress.json beside its checks.py.

    COURSE_PROGRESS=off in the environment notes nothing: for the lab itself, which shows the
    solutions, and for tests.
    """

    def __init__(self, checks_file: str) -> None:
        self.file = Path(checks_file).with_name("progress.json")
        self.exercises: dict[str, Exercise] = {}  # by name, in the order of their checks
        self._unsaved: dict[str, str] = {}  # passed, but the file could not be written
        self._functions: dict[str, Callable] = {}  # those that have passed since the kernel started

    def exercise(
        self, number: str, title: str, *, stars: int, minutes: int
    ) -> Callable[[Judge], Callable[[Callable], Verdict]]:
        """Decorator. Of check_<name>, which fails or returns why all is right, it makes a check.

        The check takes the learner's function and returns a Verdict, whatever that function does.
        It leaves the notebook's random numbers and its default dtype alone.
        """

        def decorate(judge: Judge) -> Callable[[Callable], Verdict]:
            name = judge.__name__.removeprefix("check_")
            self.exercises[name] = Exercise(name, number, title, stars, minutes)

            @functools.wraps(judge)
            def checked(my_function: Callable) -> Verdict:
                self._functions.pop(name, None)  # what passed before may be another function
                try:
                    with torch.random.fork_rng(devices=[]), _float32():
                        draw_anew()
                        if not callable(my_function):
                            message = "hand over the function itself, without parentheses."
                            fail("not a function", message)
                        message = judge(my_function)
                except Failed as failure:
                    return Verdict(number, *failure.args)
                except Exception as error:  # whatever came, the notebook goes on
                    message = f"your result cannot be judged ({type(error).__name__}: {error})."
                    return Verdict(number, "wrong", "odd result", message)
                self._functions[name] = my_function
                noted = self.record(name, source_of(my_function))
                return Verdict(number, "passed", "", f"{message} {noted}".rstrip())

            return checked

        return decorate

    def yours(self, function: Callable) -> Callable:
        """The learner's own version of a function, once its check has passed; until then it itself.

        Which of the two it is, is printed: what follows is drawn with it.
        """
        name = function.__name__
        if name in self._functions:
            print(f"From here on: your own {getattr(self._functions[name], '__name__', name)}.")
            return self._functions[name]
        number = self.exercises[name].number
        print(f"From here on: the module's {name}, until exercise {number} is passed.")
        return function

    def _stored(self) -> dict[str, str]:
        """What the file holds: exercise → the function that passed; those not known here, too.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged.
        """
        try:
            noted = json.loads(self.file.read_bytes())  # bytes may be UTF-8 or UTF-16, with a mark
        except FileNotFoundError:
            return {}
        except RecursionError:
            noted = None
        if isinstance(noted, list) and all(isinstance(name, str) for name in noted):
            return dict.fromkeys(noted, "")  # of an earlier version, which kept the names only
        if not isinstance(noted, dict) or not all(isinstance(code, str) for code in noted.values()):
            raise ValueError(f"{self.file.name} holds no names with functions")
        return noted

    def functions(self) -> dict[str, str]:
        """The exercises passed, each with the source of the function, as far as can be read.

        The source is "" where it is not known, as of a function that was typed in elsewhere.
        """
        try:
            stored = self._stored()
        except (OSError, ValueError):
            stored = {}
        noted = stored | self._unsaved
        return {name: noted[name] for name in self.exercises if name in noted}

    def passed(self) -> set[str]:
        """The names of the exercises passed, as far as the file can be read."""
        return set(self.functions())

    def record(self, name: str, function: str = "") -> str:
        """Note an exercise as passed; what the learner should know about it, nearly always "".

        A damaged file is kept as progress.json.bak. Where nothing can be written, that is said
        once, and the exercise counts until the kernel is restarted.
        """
        if os.environ.get("COURSE_PROGRESS") == "off":
            return ""
        message = ""
        try:
            try:
                stored = self._stored()
            except ValueError:
                kept = self._keep_damaged()
                message = f"({self.file.name} was damaged: it is kept as {kept.name}.)"
                stored = {}
            noted = stored | self._unsaved | {name: function}
            with replacing(self.file) as part:
                text = json.dumps(noted, indent=1, sort_keys=True, ensure_ascii=False)
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            if not self._unsaved:
                reason = error.strerror or type(error).__name__
                message = f"(This could not be noted in {self.file.name}: {reason}.)"
            self._unsaved[name] = function
        else:
            self._unsaved.clear()
        return message

    def _keep_damaged(self) -> Path:
        names = (self.file.with_name(f"{self.file.name}.bak{n if n > 1 else ''}") for n in count(1))
        return self.file.rename(next(name for name in names if not os.path.lexists(name)))

    def table(self) -> str:
        """The exercises line by line: passed or not, number, title, stars, minutes.

        Below them how many are passed, and a word about a file that cannot be read.
        """
        passed, exercises = self.passed(), self.exercises.values()
        width, digits = (max(len(getattr(e, name)) for e in exercises) for name in ("title", "number"))
        lines = []
        for e in exercises:
            mark = SYMBOLS["passed" if e.name in passed else "not attempted"]
            stars = "★" * e.stars
            lines.append(f"{mark} {e.number:{digits}}  {e.title:{width}}  {stars:3}  {e.minutes:2} minutes")
        lines.append(f"{len(passed)} of {len(lines)} passed")
        try:
            self._stored()
        except (OSError, ValueError) as error:
            state = "cannot be read" if isinstance(error, OSError) else "is damaged"
            lines.append(f"{self.file.name} {state}: what was passed before is not shown")
        return printable("\n".join(lines))

    def progress(self) -> None:
        """Print the table."""
        print(self.table())

"""Make each lab's exercise sheet from the lab, so that the two cannot drift apart.

    python -m exercise_tools.make_sheets             write L1_Sampling/L1_Sampling_exercises.ipynb …
    python -m exercise_tools.make_sheets --check     write nothing; fail if a sheet is out of date
    python -m exercise_tools.make_sheets --solved build/solved    solutions filled in, for tests
    python -m exercise_tools.make_sheets --mine      a copy of each to work in, my_L1_Sampling.ipynb …

The cells' tags in the lab say what becomes of them in the sheet:

    exercise   markdown: `### Exercise 1.3 · Title`, a line `★★ · 10 minutes`, the task, up to two
               hints; as it is
    solution   the next code cell: functions with docstrings; their bodies are emptied
    check      the next code cell: `check_it(my_it)`; as it is, and the solution follows, folded
    answer     what would give an answer away: folded away with the solution where it follows a
               check, else left out
    spoiler    code that resembles an answer, but that later cells need; its source is folded
    (none)     as it is; it must not use a function that the learner has yet to write
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import shutil
import sys
from itertools import count
from pathlib import Path

from support.writing import replacing

ROOT = Path(__file__).resolve().parent.parent
STUB = 'raise NotImplementedError("your code here")'
HEADER = re.compile(r"### Exercise (\d+\.\d+) · (.+)\n(★{1,3}) · (\d+) minutes\n\n")
NEXT = {"exercise": "solution", "solution": "check", "check": "exercise"}
NOTE = (
    "*This is the exercise sheet of [the lab]({lab}): the same text, with functions for you to "
    "write, and without what would give them away. Below each check, its solution and what it "
    "shows are folded away.*"
)


def labs(root: Path = ROOT) -> list[Path]:
    """The labs, and the notebooks of going_further, that have exercises."""
    notebooks = [folder / f"{folder.name}.ipynb" for folder in sorted(root.glob("L*_*"))]
    others = sorted((root / "going_further").glob("*.ipynb"))  # among them sheets, and copies of them
    notebooks += [path for path in others if not re.search("^my_|_exercises", path.stem)]
    notebooks = [path for path in notebooks if path.exists()]
    return [lab for lab in notebooks if "exercise" in map(kind, read(lab)["cells"])]


def checks_of(lab: Path) -> str:
    """The module that checks a lab's exercises."""
    name = "checks" if lab.stem == lab.parent.name else f"{lab.stem}_checks"
    return f"{lab.parent.name}.{name}"


def sheet_path(lab: Path) -> Path:
    """Where a lab's sheet lies."""
    return lab.with_name(f"{lab.stem}_exercises.ipynb")


def read(path: Path) -> dict:
    """A notebook."""
    return json.loads(path.read_text(encoding="utf-8"))


def to_text(notebook: dict) -> str:
    """A notebook as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def kind(cell: dict) -> str:
    """exercise, solution, check, answer, or nothing."""
    tags = cell["metadata"].get("tags", [])
    return next((tag for tag in ("exercise", "solution", "check", "answer") if tag in tags), "")


def source(cell: dict) -> str:
    """The text of a cell, which may be stored as one string or as lines."""
    return "".join(cell["source"])


def exercises(notebook: dict) -> list[tuple[str, str, int, int]]:
    """(number, title, stars, minutes) of each exercise, read off its first two lines.

    Raises:
        ValueError: a first line of another form.
    """
    found = []
    for cell in notebook["cells"]:
        if kind(cell) == "exercise":
            header = HEADER.match(source(cell))
            if not header:
                form = "'### Exercise 1.3 · Title', then '★★ · 10 minutes'"
                raise ValueError(f"{cell['id']}: an exercise begins {form}")
            number, title, stars, minutes = header.groups()
            found.append((number, title, len(stars), int(minutes)))
    return found


def stub(code: str) -> str:
    """The code of a solution with the body of each function emptied, up to its docstring.

    Raises:
        ValueError: no function in it, or one without a docstring.
    """
    lines = code.splitlines()
    functions = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    if not functions or not all(ast.get_docstring(function) for function in functions):
        raise ValueError("a solution needs at least one function, and each function a docstring")
    for function in reversed(functions):  # from the end, so that the line numbers stay right
        docstring, end = function.body[0], function.end_lineno
        for i in range(end, len(lines)):  # comments after the last statement belong to the body
            if lines[i].strip() and not lines[i].startswith((" ", "\t")):
                break
            end = i + 1 if lines[i].strip() else end
        lines[docstring.end_lineno : end] = [" " * docstring.col_offset + STUB]
    return "\n".join(lines)


def functions(code: str) -> list[str]:
    """The names of the functions that a code cell defines."""
    return [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]


def names(code: str) -> set[str]:
    """The names that a code cell uses."""
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def new_cell(cell_id: str, cell_type: str, text: str, tag: str = "") -> dict:
    """A cell without outputs."""
    cell = {"cell_type": cell_type, "id": cell_id, "metadata": {"tags": [tag]} if tag else {}}
    if cell_type == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": text.splitlines(keepends=True)}


def python(code: str) -> str:
    """Code as a block in markdown."""
    return f"```python\n{code}\n```"


def ran(cell: dict) -> str:
    """A code cell of the lab and what it printed, in markdown."""
    streams = [output for output in cell["outputs"] if output.get("name") == "stdout"]
    printed = "".join("".join(stream["text"]) for stream in streams)
    code = f"The lab goes on with\n\n{python(source(cell))}"
    if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
        code += "\n\nwhich draws a picture: run it, or see it in the lab."
    return f"{code}\n\nand prints\n\n```text\n{printed.rstrip()}\n```" if printed else code


def fold(parts: list[str]) -> str:
    """Markdown that is hidden until it is clicked."""
    return "<details><summary>Solution</summary>\n\n" + "\n\n".join(parts) + "\n</details>"


def make_sheet(lab: dict, lab_name: str, solved: bool = False) -> dict:
    """The exercise sheet of a lab; with ``solved``, the same with the solutions in their places.

    Raises:
        ValueError: exercise, solution and check do not follow each other, or a cell needs what is
            yet to be written.
    """
    exercises(lab)  # only to see that all are well-formed
    cells, awaited, solution, folded, unwritten = [], "exercise", None, [], set()
    for cell in lab["cells"]:
        what, text, name = kind(cell), source(cell), cell["id"]
        if what == "answer":
            # `Code(…)` shows the source of the module's own function
            if folded and not text.startswith("Code("):
                folded.append(text if cell["cell_type"] == "markdown" else ran(cell))
                cells[-1]["source"] = fold(folded).splitlines(keepends=True)
            continue
        folded = []
        if what:
            if what != awaited:
                raise ValueError(f"{name}: tagged {what} where the next tag should be {awaited}")
            awaited = NEXT[what]
        elif cell["cell_type"] == "code":
            if awaited != "exercise":
                wanted = f"the {awaited} of an exercise"
                raise ValueError(f"{name}: a code cell where {wanted} should be")
            if needed := unwritten & names(text):
                used = ", ".join(sorted(needed))
                raise ValueError(f"{name}: uses {used}; in a blank sheet it would crash")
        if what == "solution":
            solution = text
            unwritten |= set(functions(text))
            text = text if solved else stub(text)
        copy = new_cell(name, cell["cell_type"], text, what)
        if "spoiler" in cell["metadata"].get("tags", []):
            copy["metadata"]["jupyter"] = {"source_hidden": True}
        if "attachments" in cell:
            copy["attachments"] = cell["attachments"]
        cells.append(copy)
        if what == "check" and not solved:
            folded = [python(solution)]
            cells.append(new_cell(f"{name}-solution", "markdown", fold(folded)))
    if awaited != "exercise":
        raise ValueError(f"the last exercise has no {awaited}")
    note = new_cell("about-this-sheet", "markdown", NOTE.format(lab=lab_name))
    cells.insert(1, note)  # after the title
    if solved:  # a test must not tick off the exercises of whoever runs it
        code = 'import os\n\nos.environ["COURSE_PROGRESS"] = "off"'
        cells.insert(0, new_cell("progress-off", "code", code))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    metadata["made_from"] = fingerprint(cells)
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def fingerprint(cells: list[dict]) -> str:
    """A hash of all that is written in the cells."""
    text = json.dumps([[cell["cell_type"], source(cell)] for cell in cells])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def untouched(path: Path) -> bool:
    """Whether a sheet is as it was made. One that cannot be read may hold what somebody wrote."""
    try:
        sheet = read(path)
        return sheet["metadata"].get("made_from") == fingerprint(sheet["cells"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def keep_what_was_written(path: Path) -> None:
    """Move a sheet in which somebody has written out of the way of the new one."""
    if untouched(path):
        return
    names = (path.with_suffix(f".before{n}.ipynb") for n in count(1))
    kept = next(name for name in names if not name.exists())
    path.replace(kept)
    print(f"somebody has written in {path.name}: it is kept as {kept.name}")


def copy_to_work_in(lab: Path) -> None:
    """Put a copy of a lab's sheet beside it, unless there is one in which somebody has written."""
    mine = lab.with_name(f"my_{lab.name}")
    if mine.exists() and not untouched(mine):
        return
    with replacing(mine) as part:
        shutil.copyfile(sheet_path(lab), part)
    print(f"to work in: {mine}")


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line; 0 if all is well."""
    parser = argparse.ArgumentParser(description="Make the exercise sheets from the labs.")
    add = parser.add_argument
    add("--check", action="store_true", help="write nothing, fail if a sheet is out of date")
    add("--solved", type=Path, metavar="DIR", help="write solved sheets there instead")
    add("--mine", action="store_true", help="only copy each sheet to my_….ipynb, to work in")
    options = parser.parse_args(arguments)
    if options.mine:
        for lab in labs(root):
            copy_to_work_in(lab)
        return 0
    stale = []
    for lab in labs(root):
        try:
            text = to_text(make_sheet(read(lab), lab.name, solved=options.solved is not None))
        except ValueError as error:
            raise SystemExit(f"{lab.name}: {error}") from None
        path = sheet_path(lab)
        if options.solved:
            path = options.solved / path.name
        current = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        if options.check and text != current:
            stale.append(path.name)
        elif text != current:
            if current and not options.solved:
                keep_what_was_written(path)
            with replacing(path) as part:
                part.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {path}")
    if stale:
        remedy = "run: python -m exercise_tools.make_sheets"
        print(f"not what the lab gives: {', '.join(stale)}; {remedy}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

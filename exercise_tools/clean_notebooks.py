"""What must not be in a notebook that is committed: errors, paths of a machine, states of widgets, times of runs.

    python -m exercise_tools.clean_notebooks FILE…    say what is wrong; fail if anything is
    python -m exercise_tools.clean_notebooks          the same of all notebooks that git tracks

Only Python's own library is used, so that it can run before each commit.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OF_A_MACHINE = re.compile(r"/(home|root|work|tmp|Users|usr)/|site-packages")
OF_WINDOWS = re.compile(r"\b[A-Z]:\\+Users\\")  # in outputs; a text may show how such a path is written
REMEDY = "run the notebook again from the top (make notebooks), or clear what is named"


def shown(output: dict) -> str:
    """The text of an output, without its pictures."""
    return "".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", []))


def faults(notebook: dict) -> Iterator[str]:
    """What must not be committed, one line for each fault, with the id of the cell."""
    if "widgets" in notebook["metadata"]:
        yield "the notebook: holds the state of widgets"
    for cell in notebook["cells"]:
        name, outputs = cell.get("id", "a cell without an id"), cell.get("outputs", [])
        if "execution" in cell["metadata"]:
            yield f"{name}: holds the times of its run"
        if any(output["output_type"] == "error" for output in outputs):
            yield f"{name}: ended in an error"
        if any(output.get("name") == "stderr" for output in outputs):
            yield f"{name}: wrote to stderr"
        if any("widget-view" in kind for output in outputs for kind in output.get("data", {})):
            yield f"{name}: holds the view of a widget"
        printed = "\n".join(map(shown, outputs))
        if found := OF_A_MACHINE.search("".join(cell["source"]) + printed) or OF_WINDOWS.search(printed):
            yield f"{name}: holds a path of a machine, {found[0]}"


def tracked() -> list[Path]:
    """The notebooks that git knows."""
    listed = subprocess.run(["git", "ls-files", "*.ipynb"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all notebooks are clean."""
    parser = argparse.ArgumentParser(
        prog="python -m exercise_tools.clean_notebooks", description="Look over notebooks."
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="without any, all that git tracks")
    lines = []
    for path in parser.parse_args(arguments).files or tracked():
        try:
            lines += [f"{path}: {fault}" for fault in faults(json.loads(path.read_text(encoding="utf-8")))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            lines.append(f"{path}: cannot be read as a notebook ({type(error).__name__}: {error})")
    if lines:
        print("\n".join(lines), REMEDY, sep="\n", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())

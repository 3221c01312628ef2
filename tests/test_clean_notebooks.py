"""What must not be committed in a notebook is found and named, and the course's notebooks are free of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exercise_tools.clean_notebooks import ROOT, faults, main

FOLDERS = [folder for folder in ROOT.glob("[!.]*/") if folder.name != "build" and not (folder / "pyvenv.cfg").exists()]
NOTEBOOKS = [path for folder in FOLDERS for path in sorted(folder.glob("*.ipynb"))]
NOTEBOOKS = [path for path in NOTEBOOKS if not path.name.startswith("my_") and ".before" not in path.name]


def notebook(output=None, source=("print(1)\n", "print(2)"), metadata=None, of_all=None):
    """A notebook of one cell, whose source and outputs are lists of lines, as Jupyter stores them."""
    cell = {"cell_type": "code", "id": "one", "metadata": metadata or {}, "source": list(source)}
    return {"cells": [cell | {"outputs": [output] if output else []}], "metadata": of_all or {}}


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def result(**data):
    return {"output_type": "display_data", "data": {kind.replace("__", "/"): value for kind, value in data.items()}}


WIDGET = {"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}}
FAULTS = {
    "an error": ({"output": {"output_type": "error", "ename": "ValueError"}}, "one: ended in an error"),
    "a warning": ({"output": {"output_type": "stream", "name": "stderr", "text": ["!"]}}, "one: wrote to stderr"),
    "times": ({"metadata": {"execution": {"iopub.execute_input": "2026"}}}, "one: holds the times of its run"),
    "a widget": ({"output": WIDGET}, "one: holds the view of a widget"),
    "states": ({"of_all": {"widgets": {}}}, "the notebook: holds the state of widgets"),
    "a printed path": ({"output": printed("saved /home/ann/x.png")}, "one: holds a path of a machine, /home/"),
    "a shown path": ({"output": result(text__plain=["'/Users/ann'/"])}, "one: holds a path of a machine, /Users/"),
    "a path of Windows": ({"output": printed(r"C:\Users\ann")}, "one: holds a path of a machine, C:\\Users\\"),
    "a path in code": ({"source": ['open("/tmp/x")']}, "one: holds a path of a machine, /tmp/"),
}
CLEAN = {
    "prints": {"output": printed("3.14\n")},
    "a picture": {"output": result(image__png="/tmp/" + "A" * 40, text__plain=["<Figure>"])},
    "markdown": {"source": ["# Lab"]},
    "how a path is written": {"source": [r'# such as r"C:\Users\me"']},
    "tags": {"metadata": {"tags": ["solution"]}},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name):
    made, expected = FAULTS[name]
    assert list(faults(notebook(**made))) == [expected]


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_no_fault(name):
    assert list(faults(notebook(**CLEAN[name]))) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_courses_notebooks_are_clean(path):
    assert list(faults(json.loads(path.read_text(encoding="utf-8")))) == []


def test_the_command(tmp_path, capsys):
    good, bad, none = tmp_path / "good.ipynb", tmp_path / "bad.ipynb", tmp_path / "none.ipynb"
    good.write_text(json.dumps(notebook()), encoding="utf-8")
    bad.write_text(json.dumps(notebook(**FAULTS["a warning"][0])), encoding="utf-8")
    none.write_text("not a notebook", encoding="utf-8")
    assert main([str(good)]) == 0 and capsys.readouterr() == ("", "")
    assert main([str(good), str(bad), str(none)]) == 1
    first, second, remedy = capsys.readouterr().err.splitlines()
    assert first == f"{bad}: one: wrote to stderr" and second.startswith(f"{none}: cannot be read as a notebook")
    assert "make notebooks" in remedy


def test_it_runs_before_anything_is_installed():
    command = [sys.executable, "-S", "-m", "exercise_tools.clean_notebooks", "L1_Sampling/L1_Sampling.ipynb"]
    assert subprocess.run(command, cwd=Path(ROOT)).returncode == 0

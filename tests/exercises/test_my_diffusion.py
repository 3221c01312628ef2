"""The program that is put together from what a learner wrote in all labs."""

import importlib
import json
import runpy
import sys

import pytest
from PIL import Image

import diffusion_utilities as du
from exercise_tools import my_diffusion

OWN = """def my_context(wish, n):
    # my own words
    return torch.tensor([[float(wish.get(c, 0)) for c in CLASS_NAMES]] * n)
"""

CALLS_ANOTHER = """from support.training import drop_contexts


def my_hide_contexts(c, p, generator):
    my_context({}, 1)
    return drop_contexts(c, p, generator)
"""


@pytest.fixture
def lab3(tmp_path, monkeypatch):
    """Lab 3, with its progress somewhere else, and the other labs without any."""
    for lab in my_diffusion.PIECES:
        checks = importlib.import_module(f"{lab}.checks")
        monkeypatch.setattr(checks.LAB, "file", tmp_path / lab / "progress.json")
        (tmp_path / lab).mkdir()
    return tmp_path / "L3_Context/progress.json"


def noted(file, **functions):
    file.write_text(json.dumps(functions), encoding="utf-8")
    return my_diffusion.program()


def test_what_is_missing_is_the_labs(lab3):
    text = my_diffusion.program()
    assert text.count("· the lab's solution\n") == sum(map(len, my_diffusion.PIECES.values())) >= 10
    assert "· yours" not in text
    for names in my_diffusion.PIECES.values():
        assert all(f"def my_{name}(" in text for name in names)


def test_what_has_passed_is_the_learners(lab3):
    text = noted(lab3, context=OWN)
    assert "A wish as a vector · yours\n" + OWN in text and text.count("· yours") == 1


@pytest.mark.parametrize(
    "code",
    [
        "",
        OWN.replace("CLASS_NAMES", "names_of_another_cell"),
        OWN.replace("float(", "2 * float("),
        "def my_context(",
    ],
    ids=["unknown", "needs another cell", "wrong by now", "broken"],
)
def test_what_does_not_pass_alone_is_the_labs(lab3, code):
    text = noted(lab3, context=code)
    assert "· yours" not in text and "def my_context(" in text
    compile(text, "my_diffusion.py", "exec")


def test_a_function_may_call_those_before_it(lab3):
    checks = importlib.import_module("L3_Context.checks")
    assert my_diffusion.passes(CALLS_ANOTHER, "hide_contexts", checks, OWN)
    assert not my_diffusion.passes(CALLS_ANOTHER, "hide_contexts", checks)


def test_no_other_program_is_overwritten(lab3, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(my_diffusion, "program", lambda: "mine · yours\n")
    (tmp_path / "my_diffusion.py").write_text("my own diary")
    for _ in range(2):  # the same program is not written twice
        assert my_diffusion.write(tmp_path) == tmp_path / "my_diffusion2.py"
    assert (tmp_path / "my_diffusion.py").read_text() == "my own diary"
    assert capsys.readouterr().out.startswith("my_diffusion2.py: 1 of ")


def test_the_program_runs_the_whole_course(lab3, monkeypatch, capsys):
    folder = lab3.parent.parent / "L4_FastSampling"
    (lab3.parent.parent / "data").symlink_to(du.ROOT / "data")
    monkeypatch.setattr(sys, "path", [*sys.path])  # the program adds to it
    noted(lab3, context=OWN)
    path = my_diffusion.write(folder)
    # 25 levels in place of 500: what is drawn is no sprite, but every line of it runs
    path.write_text(
        path.read_text(encoding="utf-8").replace("timesteps = 500", "timesteps = 25"),
        encoding="utf-8",
    )
    runpy.run_path(str(path), run_name="__main__")
    said = capsys.readouterr().out
    assert "1 of" in said and "contexts hidden in training: 1" in said
    first, last = (float(word) for word in said.split("loss ")[1].split("\n")[0].split(" → "))
    assert last < 0.8 * first
    with Image.open(folder / "my_diffusion.png") as picture:
        assert picture.size == (4 * (8 * 17 + 1), 4 * (2 * 17 + 1))

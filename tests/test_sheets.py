"""Exercise sheets: made from tiny labs, they hold what they should and nothing that gives an answer away."""

import ast
import importlib
import json
import uuid

import nbformat
import numpy as np
import pytest
import torch.nn.functional as F

from exercise_tools import make_sheets

LABS = make_sheets.labs()
TASK = "### Exercise 1.1 · Twice\n★★ · 10 minutes\n\nDouble it."
SOLUTION = 'def my_double(x):\n    """x (n,) → 2 x (n,)."""\n    y = x + x\n    return y'
CHECK = "check_double(my_double)"


def cell(text, tag=None, cell_type="code", name=None):
    made = {
        "cell_type": cell_type,
        "id": name or uuid.uuid4().hex[:8],
        "source": text.splitlines(keepends=True),
    }
    made["metadata"] = {"tags": [tag]} if tag else {}
    return made | ({"outputs": [{"output_type": "stream"}], "execution_count": 7} if cell_type == "code" else {})


@pytest.fixture
def lab():
    cells = [
        cell("# Lab 1", cell_type="markdown"),
        cell("import os", name="setup"),
        cell(TASK, "exercise", "markdown"),
        cell(SOLUTION, "solution", name="the-solution"),
        cell(CHECK, "check", name="the-check"),
        cell("print(my_double(3))", "answer")
        | {"outputs": [{"output_type": "stream", "name": "stdout", "text": ["6\n"]}]},
        cell("You see a 6.", "answer", "markdown"),
        cell("print(1)", "nbval-check-output"),
    ]
    return {
        "cells": cells,
        "metadata": {"language_info": {"version": "3.99"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def texts(notebook):
    return [make_sheets.source(cell) for cell in notebook["cells"]]


def test_the_sheet(lab):
    sheet = make_sheets.make_sheet(lab, "L1.ipynb")
    title, about, setup, task, stub, check, folded, last = texts(sheet)
    assert (title, setup, task, check, last) == ("# Lab 1", "import os", TASK, CHECK, "print(1)")
    assert "(L1.ipynb)" in about
    assert stub == 'def my_double(x):\n    """x (n,) → 2 x (n,)."""\n    raise NotImplementedError("your code here")'
    parts = [
        f"```python\n{SOLUTION}\n```",
        "The lab goes on with",
        "```python\nprint(my_double(3))\n```",
    ]
    parts += ["and prints", "```text\n6\n```", "You see a 6."]
    assert folded == "<details><summary>Solution</summary>\n\n" + "\n\n".join(parts) + "\n</details>"


def test_answers_that_follow_no_check_and_the_modules_source_are_left_out(lab):
    lab["cells"].insert(1, cell("You will see a 6.", "answer", "markdown"))
    lab["cells"].insert(6, cell("Code(inspect.getsource(double))", "answer"))
    sheet = json.dumps(make_sheets.make_sheet(lab, "L1.ipynb"))
    assert "You will see" not in sheet and "getsource" not in sheet and "You see a 6." in sheet


def test_the_sheet_is_valid_without_outputs_and_always_the_same(lab):
    sheet = make_sheets.make_sheet(lab, "L1.ipynb")
    nbformat.validate(sheet)
    code = [cell for cell in sheet["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert "nbval" not in json.dumps(sheet)  # there is no output to compare with
    assert "3.99" not in json.dumps(sheet)
    assert make_sheets.to_text(sheet) == make_sheets.to_text(make_sheets.make_sheet(lab, "L1.ipynb"))


def test_the_solved_sheet_is_the_sheet_with_the_solution_in_its_place(lab):
    solved = make_sheets.make_sheet(lab, "L1.ipynb", solved=True)
    nbformat.validate(solved)
    assert 'os.environ["COURSE_PROGRESS"] = "off"' in texts(solved)[0]
    blank = texts(make_sheets.make_sheet(lab, "L1.ipynb"))
    assert [text for text in texts(solved) if text not in blank] == [texts(solved)[0], SOLUTION]
    assert "print(my_double(3))" not in texts(solved)


def test_a_spoiler_is_there_with_its_source_folded(lab):
    lab["cells"].append(cell("def double(x): ...", "spoiler", name="theirs"))
    last = make_sheets.make_sheet(lab, "L1.ipynb")["cells"][-1]
    assert last["source"] == ["def double(x): ..."] and last["metadata"]["jupyter"] == {"source_hidden": True}


STUBBED = '    raise NotImplementedError("your code here")'


@pytest.mark.parametrize(
    "code, expected",
    [
        ('def f(x):\n    """Doc."""\n    return x', f'def f(x):\n    """Doc."""\n{STUBBED}'),
        ('def f(x):\n    """Doc."""', f'def f(x):\n    """Doc."""\n{STUBBED}'),
        (
            'def f(x):\n    """Doc,\n\nlong."""\n\n    def g():\n        """In."""\n        return x\n\n    return g()',
            f'def f(x):\n    """Doc,\n\nlong."""\n{STUBBED}',
        ),
        (
            'a = 1\n\n\n@deco\ndef f(\n    x,\n):\n    """Doc."""\n    # how\n    return x\n\n    # secret\n\n\nb = 2',
            f'a = 1\n\n\n@deco\ndef f(\n    x,\n):\n    """Doc."""\n{STUBBED}\n\n\nb = 2',
        ),
        (
            'def f():\n    """F."""\n    return 1\n\n\ndef g():\n    """G."""\n    return 2\n',
            f'def f():\n    """F."""\n{STUBBED}\n\n\ndef g():\n    """G."""\n{STUBBED}',
        ),
    ],
    ids=["plain", "only a docstring", "inner function", "decorator and comments", "two functions"],
)
def test_stub(code, expected):
    assert make_sheets.stub(code) == expected


@pytest.mark.parametrize("code", ["x = 1", "def f(x):\n    return x", "f = lambda x: x"])
def test_a_solution_without_a_documented_function(code):
    with pytest.raises(ValueError, match="docstring"):
        make_sheets.stub(code)


def test_a_stub_is_what_the_checks_call_not_attempted():
    from exercise_tools.running import Failed, call

    space = {}
    exec(make_sheets.stub(SOLUTION), space)
    with pytest.raises(Failed) as failed:
        call(space["my_double"], 1)
    assert failed.value.args[0] == "not attempted"


def move_check_away(cells):
    del cells[4]


def forget_solution(cells):
    del cells[3]


def put_code_between(cells):
    cells.insert(4, cell("x = 1"))


def end_early(cells):
    del cells[4:]


def use_it_later(cells):
    cells.append(cell("print(my_double(4))", name="later"))


def spoil_header(cells):
    cells[2]["source"] = ["## Exercise one\n", "hard"]


@pytest.mark.parametrize(
    "spoil, complaint",
    [
        (forget_solution, "the-check: tagged check where the next tag should be solution"),
        (put_code_between, "a code cell where the check of an exercise should be"),
        (move_check_away, "a code cell where the check"),
        (end_early, "the last exercise has no check"),
        (use_it_later, "later: uses my_double; in a blank sheet it would crash"),
        (spoil_header, "an exercise begins"),
    ],
)
def test_a_lab_that_makes_no_sheet(lab, spoil, complaint):
    spoil(lab["cells"])
    with pytest.raises(ValueError, match=complaint):
        make_sheets.make_sheet(lab, "L1.ipynb")


# ------------------------------------------------------------------------------------- command line


@pytest.fixture
def root(tmp_path, lab):
    for name, notebook in {"L1_One": lab, "L2_Two": lab | {"cells": lab["cells"][:2]}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.ipynb").write_text(make_sheets.to_text(notebook), encoding="utf-8")
    return tmp_path


def test_check_fails_until_the_sheets_are_made_and_says_which(root, capsys):
    assert make_sheets.main(["--check"], root) == 1
    assert "L1_One_exercises.ipynb" in capsys.readouterr().err
    assert make_sheets.main([], root) == 0
    # L2 has none
    assert [path.name for path in root.rglob("*_exercises.ipynb")] == ["L1_One_exercises.ipynb"]
    assert make_sheets.main(["--check"], root) == 0
    path = root / "L1_One/L1_One_exercises.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("Double it", "Halve it"), encoding="utf-8")
    assert make_sheets.main(["--check"], root) == 1
    assert "Halve it" in path.read_text(encoding="utf-8")


def test_what_somebody_has_written_in_a_sheet_is_kept(root, capsys):
    make_sheets.main([], root)
    path, lab = root / "L1_One/L1_One_exercises.ipynb", root / "L1_One/L1_One.ipynb"
    for n in (1, 2):  # nor is what was kept first lost the second time
        sheet = make_sheets.read(path)
        stubs = [cell for cell in sheet["cells"] if make_sheets.kind(cell) == "solution"]
        stubs[0]["source"].insert(-1, f"    y = {n}\n")  # half done: the raise is still there
        path.write_text(json.dumps(sheet), encoding="utf-8")
        assert make_sheets.main([], root) == 0
        kept = path.with_suffix(f".before{n}.ipynb")
        assert make_sheets.read(kept) == sheet and kept.name in capsys.readouterr().out
        # the sheet is new again, and what was kept is no lab
        assert make_sheets.main(["--check"], root) == 0
    lab.write_text(lab.read_text(encoding="utf-8").replace("Double it", "Halve it"), encoding="utf-8")
    assert make_sheets.main([], root) == 0  # nobody has written in this one
    assert not path.with_suffix(".before3.ipynb").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-20],
        lambda raw: raw.decode("utf-8").encode("utf-16"),
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: b"[1]",
        lambda raw: b'{"cells": []}',
    ],
    ids=["cut short", "UTF-16", "byte-order mark", "a list", "no metadata"],
)
def test_a_sheet_that_cannot_be_read_is_kept(root, spoil):
    make_sheets.main([], root)
    path = root / "L1_One/L1_One_exercises.ipynb"
    damaged = spoil(path.read_bytes())
    path.write_bytes(damaged)
    assert make_sheets.main(["--check"], root) == 1
    assert make_sheets.main([], root) == 0
    assert path.with_suffix(".before1.ipynb").read_bytes() == damaged
    assert make_sheets.main(["--check"], root) == 0


def test_a_disk_that_is_full_leaves_the_old_sheet(root, monkeypatch):
    make_sheets.main([], root)
    path, lab = root / "L1_One/L1_One_exercises.ipynb", root / "L1_One/L1_One.ipynb"
    before = path.read_bytes()
    lab.write_text(lab.read_text(encoding="utf-8").replace("Double it", "Halve it"), encoding="utf-8")

    def half(path, text, **kwargs):
        path.write_bytes(text.encode()[:100])
        raise OSError("no space left")

    monkeypatch.setattr(type(path), "write_text", half)
    with pytest.raises(OSError, match="no space"):
        make_sheets.main([], root)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 2


def test_solved_sheets_go_where_they_are_sent(root):
    assert make_sheets.main(["--solved", str(root / "build" / "solved")], root) == 0
    assert "y = x + x" in (root / "build/solved/L1_One_exercises.ipynb").read_text(encoding="utf-8")
    assert not (root / "L1_One/L1_One_exercises.ipynb").exists()


def test_a_copy_to_work_in_is_renewed_until_somebody_writes_in_it(root, capsys):
    make_sheets.main([], root)
    mine, lab = root / "L1_One/my_L1_One.ipynb", root / "L1_One/L1_One.ipynb"
    make_sheets.main(["--mine"], root)
    assert capsys.readouterr().out.endswith(f"to work in: {mine}\n")
    assert mine.read_bytes() == make_sheets.sheet_path(lab).read_bytes()
    lab.write_text(lab.read_text(encoding="utf-8").replace("Double it", "Halve it"), encoding="utf-8")
    make_sheets.main([], root)
    make_sheets.main(["--mine"], root)
    assert "Halve it" in mine.read_text(encoding="utf-8")  # nobody had written in it
    written = mine.read_text(encoding="utf-8").replace("Halve it", "I did it")
    mine.write_text(written, encoding="utf-8")
    make_sheets.main(["--mine"], root)
    assert mine.read_text(encoding="utf-8") == written
    assert make_sheets.labs(root) == [lab]


def test_a_notebook_of_going_further_has_its_sheet_and_checks_beside_it(root, lab):
    further = root / "going_further/solvers.ipynb"
    further.parent.mkdir()
    for name in ("solvers", "my_solvers", "solvers_exercises", "solvers_exercises.before1"):
        further.with_stem(name).write_text(make_sheets.to_text(lab), encoding="utf-8")
    assert make_sheets.labs(root) == [root / "L1_One/L1_One.ipynb", further]
    assert make_sheets.sheet_path(further).name == "solvers_exercises.ipynb"
    assert make_sheets.checks_of(further) == "going_further.solvers_checks"
    assert make_sheets.checks_of(root / "L1_One/L1_One.ipynb") == "L1_One.checks"


def test_a_faulty_lab_is_named(root):
    path = root / "L1_One/L1_One.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("★★ · 10", "10"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"L1_One\.ipynb: .*an exercise begins"):
        make_sheets.main([], root)


# --------------------------------------------------------------------------------- the course's own


def test_the_stored_sheets_are_what_the_labs_give():
    for lab in LABS:
        text = make_sheets.sheet_path(lab).read_text(encoding="utf-8")
        assert text == make_sheets.to_text(make_sheets.make_sheet(make_sheets.read(lab), lab.name)), lab.name


@pytest.mark.parametrize("lab", LABS, ids=lambda path: path.stem)
def test_the_labs_exercises_are_those_of_its_checks(lab):
    checks = importlib.import_module(make_sheets.checks_of(lab))
    listed = [(e.number, e.title, e.stars, e.minutes) for e in checks.LAB.exercises.values()]
    notebook = make_sheets.read(lab)
    assert make_sheets.exercises(notebook) == listed and len(listed) >= 2
    called = [make_sheets.source(cell).strip() for cell in notebook["cells"] if make_sheets.kind(cell) == "check"]
    assert called == [f"check_{name}(my_{name})" for name in checks.LAB.exercises]


@pytest.mark.parametrize("lab", LABS, ids=lambda path: path.stem)
def test_every_code_cell_of_a_sheet_is_python(lab):
    for one in make_sheets.read(make_sheets.sheet_path(lab))["cells"]:
        if one["cell_type"] == "code":
            ast.parse(make_sheets.source(one))


@pytest.mark.parametrize("lab", LABS, ids=lambda path: path.stem)
def test_a_lab_notes_no_progress(lab):
    """It shows the solutions; who runs it has solved nothing."""
    code = [make_sheets.source(one) for one in make_sheets.read(lab)["cells"] if make_sheets.kind(one) == "answer"]
    assert any('os.environ["COURSE_PROGRESS"] = "off"' in text for text in code)


@pytest.mark.parametrize("lab", LABS, ids=lambda path: path.stem)
@pytest.mark.parametrize("solved", [False, True], ids=["blank", "solved"])
def test_each_check_of_a_sheet_answers_what_it_should(lab, solved, monkeypatch):
    """Not attempted in a blank sheet, passed in a solved one; with no more of the lab than the solutions need."""
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    space = {"np": np, "plt": None, "F": F, "timesteps": 500, "n_cfeat": 5}
    exec(f"from diffusion_utilities import *\nfrom {make_sheets.checks_of(lab)} import *", space)
    schedule = space["linear_schedule"]()
    space |= {"schedule": schedule, "b_t": schedule.b_t, "a_t": schedule.a_t, "ab_t": schedule.ab_t}
    verdicts = []
    for one in make_sheets.make_sheet(make_sheets.read(lab), lab.name, solved)["cells"]:
        text = make_sheets.source(one)
        if (
            make_sheets.kind(one) in ("solution", "check") or "def two_bells" in text
        ):  # Lab 3's exact case, which a solution calls
            if make_sheets.kind(one) == "check":
                verdicts.append(eval(text, space))
            else:
                exec(text, space)
    assert [verdict.status for verdict in verdicts] == ["passed" if solved else "not attempted"] * len(verdicts)
    assert len(verdicts) >= 2

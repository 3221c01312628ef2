"""A class's progress: what learners hand in, in all the forms in which it arrives, becomes one table."""

import csv
import io
import json
import zipfile

import pytest

import L1_Sampling.checks as checks
from exercise_tools import make_sheets
from exercise_tools.my_diffusion import PIECES
from teaching.course import labs
from teaching.progress import called, main, owner, read_class
from tests.exercises import test_checks_l1 as l1


def noted(*names):
    return json.dumps(dict.fromkeys(names, "def f():\n    return 1"))


def zipped(entries):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Writes files below a folder: put("anna/progress.json", text or bytes)."""

    class Folder:
        path = tmp_path / "class"

        def put(self, name, content):
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
            return read_class(self.path)

    return Folder()


def table(group):
    return {name: sorted(one.passed) for name, one in group.learners.items()}


def filled_sheet(lab, functions):
    """A learner's sheet after its checks have run: exercise → function."""
    sheet = make_sheets.make_sheet(make_sheets.read(lab.path), lab.path.name)
    names = iter(exercise.name for exercise in lab.exercises)
    for cell in sheet["cells"]:
        kind = make_sheets.kind(cell)
        if kind == "exercise":
            name = next(names)
        elif kind == "solution" and name in functions:
            cell["source"] = [f"def my_{name}(*a):\n", "    return work(*a)"]
        elif kind == "check" and name in functions:
            shown = repr(getattr(checks, f"check_{name}")(functions[name]))
            cell["outputs"] = [{"output_type": "execute_result", "data": {"text/plain": [shown]}}]
    return json.dumps(sheet)


# ------------------------------------------------------------------------------------ what is in a file


def test_what_the_checks_write_is_what_is_read(folder, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", "on")
    monkeypatch.setattr(checks.LAB, "file", folder.path / "anna/L1_Sampling/progress.json")
    checks.LAB.file.parent.mkdir(parents=True)
    checks.check_crossover(l1.RIGHT["crossover"][0])
    checks.check_perturb_input(l1.RIGHT["perturb_input"][0])
    checks.check_predict_x0(lambda x, t, eps: x)
    assert table(read_class(folder.path)) == {"anna": ["1.2", "1.3"]}


def test_a_sheet_shows_what_was_tried_and_what_the_check_said(folder, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    done = {"perturb_input": l1.RIGHT["perturb_input"][0], "crossover": l1.WRONG["crossover"]["power forgotten"]}
    anna = folder.put("anna/my_L1_Sampling.ipynb", filled_sheet(labs()[0], done)).learners["anna"]
    assert (anna.passed, anna.tried) == ({"1.2"}, {"1.3"})
    assert "pictures of mean square 1" in anna.said["1.3"]
    states = [anna.state(number) for number in ("1.1", "1.2", "1.3")]
    assert states == ["not begun", "passed", "tried"]


@pytest.mark.parametrize("solved", [False, True])
def test_a_lab_or_solved_sheet_is_nobodys_work(folder, solved):
    lab = labs()[0].path
    text = lab.read_text(encoding="utf-8")
    if solved:
        text = json.dumps(make_sheets.make_sheet(json.loads(text), lab.name, solved=True))
    assert not folder.put("anna/L1_Sampling.ipynb", text).learners


def test_a_blank_sheet_is_a_learner_who_has_not_begun(folder):
    blank = json.dumps(make_sheets.make_sheet(make_sheets.read(labs()[0].path), "lab"))
    anna = folder.put("anna/my_L1_Sampling.ipynb", blank).learners["anna"]
    assert not anna.passed and not anna.tried


def test_both_files_of_a_learner_count_together(folder, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    sheet = filled_sheet(labs()[0], {"crossover": l1.WRONG["crossover"]["power forgotten"]})
    folder.put("anna/L1_Sampling/my_L1_Sampling.ipynb", sheet)
    anna = folder.put("anna/L1_Sampling/progress.json", noted("crossover", "perturb_input", "unet")).learners["anna"]
    assert anna.passed == {"1.2", "1.3", "1.6"} and anna.state("1.3") == "passed"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_old_and_odd_files_are_read(folder, encoding):
    group = folder.put("anna_progress.json", '["linear_schedule", "unet"]'.encode(encoding))
    assert table(group) == {"anna": ["1.1", "1.6"]} and not group.remarks


def test_the_lab_is_told_by_the_other_names_or_by_the_files_name(folder):
    folder.put("a_progress.json", noted("perturb_input", "unet"))
    folder.put("b_progress.json", noted("perturb_input", "noise_loss"))
    folder.put("c_L2_progress.json", noted("perturb_input"))
    folder.put("d/L1_Sampling/progress.json", noted("perturb_input"))
    group = folder.put("e_progress.json", noted("perturb_input"))
    assert table(group) == {"a": ["1.2", "1.6"], "b": ["2.1", "2.5"], "c": ["2.1"], "d": ["1.2"], "e": []}
    assert len(group.remarks) == 1 and "L1_Sampling or L2_Training" in group.remarks[0]


def test_every_exercise_has_a_name_of_the_checks():
    """What is read off the notebooks is what the checks note."""
    assert {exercise.name for exercise in labs()[0].exercises} == set(checks.LAB.exercises)
    assert all(set(names) <= {e.name for lab in labs() if lab.name == lab_name for e in lab.exercises}
               for lab_name, names in PIECES.items())  # fmt: skip


def test_learners_code_is_not_run(folder, tmp_path):
    code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\ndef f(): pass"
    folder.put("anna/L1_Sampling/progress.json", json.dumps({"unet": code}))
    main([str(folder.path)])
    assert not (tmp_path / "ran").exists()


# --------------------------------------------------------------------------------------- whose they are


@pytest.mark.parametrize(
    "name, learner",
    [
        ("anna/L1_Sampling/progress.json", "anna"),
        ("anna_progress.json", "anna"),
        ("progress_anna.json", "anna"),
        ("Anna Bo-L1_Sampling-progress (1).json", "Anna Bo"),
        ("anna/progress (2).json", "anna"),
        ("anna/L1_Sampling/progress.json.bak", "anna"),
        ("week 1/My Nguyen_progress.json", "My Nguyen"),
        ("my_L1_Sampling_anna.ipynb", "anna"),
        ("anna/L1_Sampling/my_L1_Sampling.before1.ipynb", "anna"),
        ("all/Anna Müller_100234_assignsubmission_file_/progress.json", "Anna Müller"),
        ("Anna Müller_100234_assignsubmission_file_progress.json", "Anna Müller"),
        ("Anna Müller_100234_assignsubmission_file_/course/L2_Training/progress.json", "Anna Müller"),
        ("mulleranna_LATE_12345_678901_progress-1.json", "mulleranna"),
        ("Week 1_amuller_attempt_2026-11-27-10-00-00_progress.json", "amuller"),
    ],
)
def test_the_learner_is_told_by_the_name(name, learner):
    assert owner(tuple(name.split("/"))) == (learner,)


def test_names_lose_what_all_share():
    assert set(called({("c", "a", "course"), ("c", "b", "course")}, "x").values()) == {"a", "b"}
    assert set(called({("a",), ("b", "course")}, "x").values()) == {"a", "b/course"}
    assert set(called({("a",), ("a", "course"), ("b", "course")}, "x").values()) == {"a", "a/course", "b/course"}
    assert called({()}, "class") == {(): "class"}


def test_zips_as_platforms_hand_them_out(folder):
    mine = zipped({"L1_Sampling/progress.json": noted("unet"), "__MACOSX/L1_Sampling/._progress.json": "x"})
    everything = {
        "Anna Müller_1_assignsubmission_file_/progress.json": noted("linear_schedule"),
        "Ben_2_assignsubmission_file_/my work.zip": mine,
        "Cai_3_assignsubmission_file_progress.json": noted("crossover"),
    }
    folder.put("week1.zip", zipped(everything))
    group = folder.put("dora.zip", mine)
    assert table(group) == {"Anna Müller": ["1.1"], "Ben": ["1.6"], "Cai": ["1.3"], "dora": ["1.6"]}
    assert not group.remarks
    assert table(read_class(folder.path / "week1.zip")).keys() == {"Anna Müller", "Ben", "Cai"}


# ------------------------------------------------------------------------------- what cannot be used


@pytest.mark.parametrize(
    "name, content, why",
    [
        ("anna/progress.json", '{"unet": ', "not counted"),
        ("anna/progress.json", '{"unet": 3}', "expected names of exercises with functions"),
        ("anna/progress.json", "[" * 100_000, "not counted"),
        ("anna/progress.json", noted("somethings_else"), "holds no exercise of this course, but somethings_else"),
        ("anna/my_L1_Sampling.ipynb", '{"cells": 3}', "not a notebook"),
        ("anna.json", '{"unet', "not counted"),
    ],
)
def test_a_bad_file_is_named_in_one_line_and_its_learner_stays(folder, name, content, why):
    group = folder.put(name, content)
    assert table(group) == {"anna": []}
    (line,) = group.remarks
    assert line.startswith(f"{name}: ") and why in line and "\n" not in line


def test_a_bad_zip_is_named_and_the_others_count(folder):
    good = zipped({"progress.json": noted("unet")})
    folder.put("anna.zip", good)
    folder.put("ben.zip", good[: len(good) // 2])
    group = folder.put("cai.zip", b"")
    assert table(group) == {"anna": ["1.6"]}
    assert [line.split(":")[0] for line in group.remarks] == ["ben.zip", "cai.zip"]


def test_a_file_too_large_to_open_is_named(folder, monkeypatch):
    monkeypatch.setattr("teaching.progress.LARGEST", 10_000)
    group = folder.put("anna.zip", zipped({"progress.json": "x" * 20_000}))
    assert "anna/progress.json: cannot be read" in group.remarks[0]


def test_other_json_is_named_and_hidden_folders_are_passed_over(folder):
    folder.put("anna/.venv/lib/progress.json", "broken")
    folder.put("anna/weights/metrics.json", '{"a": 1}')
    group = folder.put("anna/L1_Sampling/progress.json", noted("unet", "gone"))
    assert group.remarks == [
        "anna/L1_Sampling/progress.json: not exercises of this lab: gone",
        "1 other .json files: anna/weights/metrics.json",
    ]


# ----------------------------------------------------------------------------------------- the report


@pytest.fixture
def report(folder, capsys):
    """The printed report of three learners."""
    folder.put("anna/L1_Sampling/progress.json", noted("linear_schedule", "perturb_input", "unet"))
    folder.put("ben/L1_Sampling/progress.json", noted("linear_schedule"))
    folder.put("=cai/L1_Sampling/progress.json", noted("linear_schedule", "perturb_input", "crossover"))
    assert main([str(folder.path), "--csv", str(folder.path / "out/table.csv")]) == 0
    return capsys.readouterr().out


def test_the_table_has_sums(report):
    lines = {line.split()[0]: line.split()[1:] for line in report.splitlines() if line}
    assert lines["anna"][:3] == ["ok", "ok", "-"] and lines["anna"][-3:] == ["3", "of", "12"]
    assert lines["passed"][1:4] == ["3", "2", "1"]
    assert "3 learners, 7 exercises passed" in report and "Lab 2" not in report


def test_what_was_left_out_is_said(report):
    stuck = report[report.index("Where most are stuck") :]
    assert stuck.index("1.3  When noise wins") < stuck.index("1.4  The residual block")
    assert stuck.count("left out: anna") == 3 and "ben" not in stuck


def test_the_spreadsheet(report, folder):
    text = (folder.path / "out/table.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert text.startswith(b"\xef\xbb\xbf")
    assert [row["learner"] for row in rows] == ["'=cai", "anna", "ben"]
    assert rows[1]["1.6 The U-Net"] == "passed" and rows[1]["1.10 Taken away and put back"] == "not begun"
    assert rows[1]["passed"] == "3"


def test_nothing_in_a_name_steers_the_terminal(folder, capsys):
    folder.put("an\x1b[31mna_progress.json", '["unet"]')
    main([str(folder.path)])
    assert "\x1b" not in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "none")])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1

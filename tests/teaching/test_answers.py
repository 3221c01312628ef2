"""The answer key says what the labs, the checks and the tests say, and nothing else."""

import re

import pytest

from exercise_tools import kit
from teaching import answers
from teaching.course import labs

BY_NAME = {lab.name: lab for lab in labs()}


@pytest.fixture(scope="module")
def noise_a_picture():
    """The page of exercise 1.2, whose check is quick."""
    lab = BY_NAME["L1_Sampling"]
    return answers.exercise_page(lab, lab.exercises[1])


def test_task_and_solution_are_the_labs(noise_a_picture):
    exercise = BY_NAME["L1_Sampling"].exercises[1]
    assert noise_a_picture.startswith("## 1.2 · Noise a picture\n\n★ · 5 minutes\n\n")
    assert exercise.task in noise_a_picture and "★" not in exercise.task
    assert f"### Solution\n\n```python\n{exercise.solution}\n```" in noise_a_picture


def test_each_mistake_has_its_code_and_what_the_check_says(noise_a_picture):
    mistake = noise_a_picture.split("**missing square root**")[1].split("\n\n**")[0]
    assert "lambda x, t, noise: ab_t[t] ** 0.5 * x + (1 - ab_t[t]) * noise" in mistake
    assert "Is a square root missing?" in mistake and "you made" in mistake


def test_every_diagnosis_stands_there_once(noise_a_picture):
    names = re.findall(r"^\*\*(.+)\*\*$", noise_a_picture, flags=re.MULTILINE)
    module = answers.tests_of(BY_NAME["L1_Sampling"])
    wanted = {diagnosis for diagnosis, _ in module.SUBMISSIONS["perturb_input"] if diagnosis}
    assert sorted(names) == sorted({*module.WRONG["perturb_input"], *wanted})


def test_no_right_answer_is_among_the_mistakes(noise_a_picture):
    right, wrong = noise_a_picture.split("### Mistakes")
    assert right.count("```python") >= 3 and "noised_by_numpy" in right and "noised_by_numpy" not in wrong


def test_the_same_page_comes_again(noise_a_picture):
    lab = BY_NAME["L1_Sampling"]
    before = kit.draw_anew
    assert answers.exercise_page(lab, lab.exercises[1]) == noise_a_picture
    assert kit.draw_anew is before


@pytest.mark.parametrize("lab", labs(), ids=lambda lab: lab.name)
def test_the_tests_know_answers_to_every_exercise(lab):
    module = answers.tests_of(lab)
    for exercise in lab.exercises:
        known = list(answers.answers(module, exercise.name))
        wanted = len(module.RIGHT[exercise.name]) + len(module.WRONG[exercise.name])
        assert len(known) >= wanted and all(callable(answer.function) for answer in known)
        assert any(answer.code for answer in known)


def test_links_lead_from_where_the_page_lies(tmp_path):
    lab = BY_NAME["L1_Sampling"]
    text = "[a](../docs/GLOSSARY.md#noise) [b](https://x.org/y) [c](#here) [d](clinic.py)"
    links = re.findall(r"\]\((.+?)\)", answers.with_links(text, lab, tmp_path))
    assert (tmp_path / links[0].split("#")[0]).resolve() == lab.path.parents[1] / "docs/GLOSSARY.md"
    assert links[0].endswith("#noise") and links[1:3] == ["https://x.org/y", "#here"]
    assert (tmp_path / links[3]).resolve() == lab.path.with_name("clinic.py")


def test_an_unknown_lab_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        answers.main(["--out", str(tmp_path), "L5"])
    assert end.value.code == 2 and "expected labs among L1_Sampling" in capsys.readouterr().err

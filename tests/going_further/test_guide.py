"""The guide and the README of going_further: snippets run and show what is said; what is named exists."""

import importlib
import math
import re
import shlex
from pathlib import Path

import pytest
import torch

from going_further import options

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "going_further" / "IMPLEMENTATION_GUIDE.md"
TEXT = GUIDE.read_text(encoding="utf-8")
README = (GUIDE.parent / "README.md").read_text(encoding="utf-8")
LABS = {"1": "L1_Sampling", "2": "L2_Training", "3": "L3_Context", "4": "L4_FastSampling"}


@pytest.fixture(scope="module")
def names():
    """What is defined after all snippets have run, one after the other, in the course's folder."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for block in re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL):
            exec(block, names)
    return names


def test_rate_that_is_too_high_ends_in_nan_and_the_cure_learns(names):
    assert math.isnan(names["too_fast"][-1])
    assert all(map(math.isfinite, names["clipped"])) and names["clipped"][-1] > 0.9
    assert names["cured"][-1] < 0.8 * names["cured"][0]


def test_wrong_schedule_is_nan_at_the_stated_number_of_levels(names):
    assert names["ab_t"].sqrt().isnan().sum() == 279


def test_blur_is_measured_as_stated_and_training_shows_in_the_distance(names):
    stated = re.search(r"print\(sharpness, contrast\(images\)\)  # ([\d., ]+); real sprites ([\d.]+)", TEXT).groups()
    measured = [*names["sharpness"], names["contrast"](names["images"])]
    assert measured == pytest.approx([*map(float, stated[0].split(",")), float(stated[1])], abs=0.02)
    assert names["distance"]["model_0"] > 1.5 * names["distance"]["model_trained"]


def test_passes_are_those_of_the_text(names):
    assert list(names["passes"].values()) == [500, 25, 10, 50]


def test_memory_behaves_as_stated(names):
    memory = names["memory"]
    assert memory["32×32"] > 4 * memory["16×16"]
    assert memory["half the batch"] < 0.6 * memory["16×16"]
    assert memory["bf16"] < 0.8 * memory["16×16"]


def test_accumulated_gradient_is_that_of_the_whole_batch(names):
    torch.testing.assert_close(names["gradient"](4), names["gradient"](1), rtol=1e-4, atol=1e-5)


def test_all_exercises_of_the_labs_are_named_with_their_numbers():
    named = set(re.findall(r"(\d\.\d+) `(\w+)`", TEXT))
    exercises = set()
    for module in [*(f"{lab}.checks" for lab in LABS.values()), "going_further.solvers_checks"]:
        checks = importlib.import_module(module)
        exercises |= {(exercise.number, exercise.name) for exercise in checks.LAB.exercises.values()}
    assert named == exercises


def test_patients_that_are_named_exist():
    named = re.findall(r"patients? ([A-H])(?: and ([A-H]))? of\s+Lab (\d)", TEXT)
    assert len(named) >= 6
    for *letters, lab in named:
        clinic = importlib.import_module(f"{LABS[lab]}.clinic")
        for letter in filter(None, letters):
            assert hasattr(clinic, f"patient_{letter.lower()}"), f"patient {letter} of Lab {lab}"


@pytest.mark.parametrize("text", [TEXT, README], ids=["guide", "README"])
def test_links_and_files_exist(text):
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    titles = re.findall(r"^##+ (.*)", text, flags=re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert not [link for link in links if link.startswith("#") and link not in anchors]
    assert not [link for link in links if not link.startswith("#") and not (GUIDE.parent / link).exists()]
    text = re.sub(r"^\| `[^|]*", "", text, flags=re.MULTILINE)  # names that others use
    files = re.findall(r"(?:`| )((?:going_further/)?\w+\.(?:py|ipynb))\b", text)
    assert not [f for f in files if not (GUIDE.parent / Path(f).name).exists() and not (ROOT / f).exists()]


def test_readme_snippet_runs_as_written():
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {}
    exec(block, names)
    assert names["xt"].shape == names["noise"].shape == (4, 3, 32, 32)
    assert names["loss"].isfinite() and names["samples"].shape == (2, 3, 32, 32)


def test_sections_that_are_named_exist():
    for lab, folder in LABS.items():
        notebook = (ROOT / folder / f"{folder}.ipynb").read_text(encoding="utf-8")
        last = max(map(int, re.findall(r'"## (\d+) · ', notebook)))
        for numbers in re.findall(rf"Lab {lab}(?:\]\([^)]*\))?, sections? ([\d, toand]*\d)", TEXT):
            assert all(1 <= int(number) <= last for number in re.findall(r"\d+", numbers)), f"Lab {lab}, {numbers}"


@pytest.mark.parametrize(("text", "least"), [(TEXT, 6), (README, 4)], ids=["guide", "README"])
def test_commands_take_the_options_that_are_given_to_them(text, least):
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    scripts = [command for command in commands if command[1].startswith("going_further/")]
    assert len(scripts) >= least
    for _, script, *given in scripts:
        getattr(options, f"{Path(script).stem}_parser")().parse_args(given)

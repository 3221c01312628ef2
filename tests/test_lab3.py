"""Lab 3: what it promises a learner, and what its sheet must not show."""

from pathlib import Path

import pytest

from exercise_tools import make_sheets
from L3_Context import checks

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / "L3_Context" / "L3_Context.ipynb"
TELLTALE = {  # what the solution of an exercise cannot do without
    "hide_contexts": ("torch.rand(", "bernoulli"),
    "confusion_matrix": ("bincount", "+= 1"),
    "guided_noise": ("pred_uncond +", "w * ("),
    "promised": ("trapezoid", "logaddexp(log_bell"),
    "either_or": ("plus / (plus", "sigmoid"),
    "variety": ("pdist", "combinations"),
}


@pytest.fixture(scope="module")
def cells():
    return make_sheets.read(LAB)["cells"]


@pytest.fixture(scope="module")
def code_of_the_sheet():
    cells = make_sheets.read(make_sheets.sheet_path(LAB))["cells"]
    return "\n".join(make_sheets.source(cell) for cell in cells if cell["cell_type"] == "code")


def test_the_sheet_draws_with_the_learners_own_functions(code_of_the_sheet):
    for name in checks.LAB.exercises:
        assert f"{name} = yours({name})" in code_of_the_sheet


@pytest.mark.parametrize("exercise", TELLTALE)
def test_no_code_of_the_sheet_gives_an_answer_away(exercise, code_of_the_sheet):
    assert not [hint for hint in TELLTALE[exercise] if hint in code_of_the_sheet]


def test_pages_are_short_and_lines_fit(cells):
    text = [make_sheets.source(cell) for cell in cells if cell["cell_type"] == "markdown"]
    assert sum(len(part.split()) for part in text) <= 6500
    code = [make_sheets.source(cell) for cell in cells if cell["cell_type"] == "code"]
    assert max(len(line) for part in code for line in part.splitlines()) <= 88


def test_sliders_have_a_still_for_readers_without_a_kernel(cells):
    place = next(i for i, cell in enumerate(cells) if "FloatSlider" in make_sheets.source(cell))
    stills = [output for cell in cells[place + 1 : place + 3] for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in stills)


def test_contexts_are_measured_on_sprites_that_no_network_has_seen(cells):
    text = "\n".join(make_sheets.source(cell) for cell in cells)
    assert "fresh = fresh_pictures(400, FRESH_SEED" in text and "x_test, c_test = fresh[:100]" in text

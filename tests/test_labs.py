"""The stored labs: one run from the top, short cells, numbers that are compared, pictures that say what they show."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LABS = [folder / f"{folder.name}.ipynb" for folder in sorted(ROOT.glob("L*_*"))]
LABS += [ROOT / "Capstone" / "Capstone.ipynb", ROOT / "going_further" / "solvers.ipynb"]
LABS += [ROOT / "going_further" / "editing.ipynb", ROOT / "going_further" / "guidance.ipynb"]
LABS += [ROOT / "going_further" / "flows.ipynb", ROOT / "going_further" / "transformers.ipynb"]


def test_there_is_a_lab():
    assert LABS


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
class TestStoredLab:
    """What holds for every notebook, tests/test_clean_notebooks.py asks."""

    def test_is_one_run_from_the_top(self, path):
        cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))

    def test_is_small(self, path):
        assert path.stat().st_size < 3 * 2**20

    def test_code_cells_are_short(self, path):
        for cell in read(path)["cells"]:
            if cell["cell_type"] == "code":
                lines = [line for line in cell["source"] if line.strip()]
                assert len(lines) <= 16, "".join(lines)

    def test_compares_its_seeded_numbers(self, path):
        cells = read(path)["cells"]
        compared = [cell for cell in cells if "nbval-check-output" in cell["metadata"].get("tags", [])]
        assert len(compared) >= 3 and all(cell["outputs"] for cell in compared)

    def test_every_animation_has_a_film_strip_after_it(self, path):
        """A viewer that strips scripts still shows something for every animation: a still picture right after it."""
        cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
        animated = [i for i, cell in enumerate(cells) if re.search(r"to_jshtml|\bplay\(", "".join(cell["source"]))]
        assert all("film_strip" in "".join(cells[i + 1]["source"]) for i in animated)


@pytest.mark.parametrize("path", LABS[:4], ids=lambda path: path.stem)
def test_every_grid_names_its_rows_or_columns(path):
    """But for a heap of samples, each from its own noise: there a place means nothing."""
    cells = read(path)["cells"]
    code = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
    calls = re.findall(r"show_images\(.*\)", code)
    assert calls and not re.search(r"\bnrow=", code)
    heaps = {"show_images(samples)", "show_images(samples, 1)", "show_images(samples, 4)"}
    heaps |= {"show_images(samples, n_rows=4)", "show_images(quick, 2)", "show_images(samples_incorrect, 4)"}
    assert not [call for call in calls if call not in heaps and "rows=" not in call and "columns=" not in call]

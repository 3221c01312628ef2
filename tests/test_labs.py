"""The stored labs: one clean run from the top, and nothing in them that belongs to a machine."""

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


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
class TestStoredLab:
    def test_is_one_clean_run_from_the_top(self, path):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
        kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
        assert "error" not in kinds
        assert not any(output.get("name") == "stderr" for cell in cells for output in cell["outputs"])

    def test_is_small_and_names_no_machine(self, path):
        assert path.stat().st_size < 3 * 2**20
        notebook = json.loads(path.read_text())
        assert "widgets" not in notebook["metadata"] and "widget-view" not in path.read_text()
        for cell in notebook["cells"]:
            outputs = cell.get("outputs", [])
            shown = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs]
            assert not re.search(r"/(home|root|work|tmp|Users|usr)/|site-packages", str(cell["source"]) + str(shown))

    def test_code_cells_are_short(self, path):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                lines = [line for line in cell["source"] if line.strip()]
                assert len(lines) <= 16, "".join(lines)

    def test_compares_its_seeded_numbers(self, path):
        cells = json.loads(path.read_text())["cells"]
        compared = [cell for cell in cells if "nbval-check-output" in cell["metadata"].get("tags", [])]
        assert len(compared) >= 3 and all(cell["outputs"] for cell in compared)

    def test_every_animation_has_a_film_strip_after_it(self, path):
        """A viewer that strips scripts still shows something for every animation: a still picture right after it."""
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        animated = [i for i, cell in enumerate(cells) if re.search(r"to_jshtml|\bplay\(", "".join(cell["source"]))]
        assert all("film_strip" in "".join(cells[i + 1]["source"]) for i in animated)


@pytest.mark.parametrize("path", LABS[:4], ids=lambda path: path.stem)
def test_every_grid_names_its_rows_or_columns(path):
    """But for a heap of samples, each from its own noise: there a place means nothing."""
    cells = json.loads(path.read_text())["cells"]
    code = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
    calls = re.findall(r"show_images\(.*\)", code)
    assert calls and not re.search(r"\bnrow=", code)
    heaps = {"show_images(samples)", "show_images(samples, 1)", "show_images(samples, 4)"}
    heaps |= {"show_images(samples, n_rows=4)", "show_images(quick, 2)"}
    assert not [call for call in calls if call not in heaps and "rows=" not in call and "columns=" not in call]

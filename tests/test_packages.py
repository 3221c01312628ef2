"""One way to import, from the course's root, that an installed package of the same name cannot break."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRACKED = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True).stdout.split()
PROGRAMS = [path for path in TRACKED or map(str, ROOT.rglob("*.py")) if ".venv" not in path]
FOREIGN = (
    "data",
    "weights",
    "support",
    "docs",
    "Capstone",
    "going_further",
    "L1_Sampling",
    "exercise_tools",
)


def test_paths_are_edited_in_few_places_and_in_one_way():
    form = re.compile(
        r"^if not __package__:  # started by its path\n    sys\.path\[0\] = str\(Path\(__file__\)"
        r"\.resolve\(\)\.parents\[1\]\)\n",
        re.MULTILINE,
    )
    edits = {path: (ROOT / path).read_text(encoding="utf-8") for path in PROGRAMS if not path.startswith("tests/")}
    edits = {path: text for path, text in edits.items() if "sys.path" in text}
    assert len(edits) <= 6
    assert all(text.count("sys.path") == 1 and form.search(text) for text in edits.values()), list(edits)


def test_every_folder_with_programs_is_a_package():
    folders = {str(Path(path).parent) for path in PROGRAMS} - {
        ".",
        "tests/exercises",
        "tests/going_further",
    }
    assert [folder for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


@pytest.fixture
def foreign(tmp_path):
    """A folder on the path with installed packages of our names."""
    for name in FOREIGN:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('a foreign package')\n")
    return {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}


NOTEBOOK = """
import sys
from pathlib import Path
folders = [Path.cwd(), *Path.cwd().parents]
sys.path.insert(0, str(next(folder for folder in folders if (folder / "diffusion_utilities.py").exists())))
from diffusion_utilities import *
from L1_Sampling.checks import *
from data.make_sprites import fresh_sprites
from weights.muon import MuonAndAdamW
print(len(fresh_sprites(2, 1)))
"""


@pytest.mark.parametrize("folder", [".", "L1_Sampling"])
def test_a_notebook_gets_ours(folder, foreign):
    command = [sys.executable, "-c", NOTEBOOK]
    done = subprocess.run(command, cwd=ROOT / folder, env=foreign, capture_output=True, text=True)
    assert done.stdout.strip() == "2", done.stderr


@pytest.mark.parametrize("how", [["data/make_sprites.py"], ["-m", "data.make_sprites"]], ids=["by path", "as a module"])
def test_a_program_gets_ours(how, foreign, tmp_path):
    command = [sys.executable, *how, "--fresh", "3", "--out", str(tmp_path / "fresh")]
    done = subprocess.run(command, cwd=ROOT, env=foreign, capture_output=True, text=True)
    assert done.returncode == 0 and "3 sprites" in done.stdout, done.stderr

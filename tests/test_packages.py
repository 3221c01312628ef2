"""One way to import, from the course's root, that an installed package of the same name cannot break."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = [folder for folder in ROOT.glob("[!.]*/") if folder.name != "build" and not (folder / "pyvenv.cfg").exists()]
OF_LEARNERS = set(ROOT.glob("L?_*/my_*.py"))
PROGRAMS = [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in folder.rglob("*.py"))]
PROGRAMS = [path for path in PROGRAMS if path not in OF_LEARNERS]
NOTEBOOKS = [path for folder in FOLDERS for path in folder.glob("[!m]*.ipynb") if "exercises" not in path.name]
PACKAGES = sorted(folder.name for folder in FOLDERS if (folder / "__init__.py").exists())
FORM = re.compile(
    r"^if not __package__:  # started by its path\n"
    r"    sys\.path\[0\] = str\(Path\(__file__\)\.resolve\(\)\.parents\[1\]\)\n",
    re.MULTILINE,
)


def test_paths_are_edited_in_few_places_and_in_one_way():
    texts = {path: path.read_text(encoding="utf-8") for path in PROGRAMS}
    edit = re.compile(r"sys\.path(\.\w+\(|\[.*\] *=|\[:\]| *\+?= )|syspath|addsitedir\(")
    edits = {str(path): len(edit.findall(text)) for path, text in texts.items() if path != Path(__file__)}
    edits = {path: count for path, count in edits.items() if count}
    assert edits == {str(path): 1 for path, text in texts.items() if FORM.search(text)}
    assert 1 <= len(edits) <= 7  # a program that is started by its path needs one


def test_every_folder_with_programs_is_a_package_and_says_what_it_holds():
    for folder in {path.parent for path in PROGRAMS} - {ROOT}:
        first = folder / "__init__.py"
        assert first.is_file() and first.read_text(encoding="utf-8").startswith('"""'), folder


def test_imports_begin_at_the_root():
    """Not beside the program, which only works where its folder is on the path, and not at a dot."""
    own = {path.stem for path in PROGRAMS if path.parent != ROOT} - {*PACKAGES, "__init__"}
    for path in PROGRAMS:
        found = re.findall(r"^ *(?:from|import) +([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert [name for name in found if name.startswith(".")] == [], path
        # `import clinic` and the like; what is installed may share a name with a file of ours
        bare = {name.split(".")[0] for name in found} & own
        assert bare <= {"datasets"}, (path, bare)


@pytest.fixture
def foreign(tmp_path):
    """An environment with installed packages of our names before all else that is installed."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('a foreign package')\n")
    needed = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP") if name in os.environ}  # by Windows
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    return needed | home | {"PYTHONPATH": str(tmp_path), "PATH": os.defpath}


def run(command: list[str], folder: Path, environment: dict) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def first_cell(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gets_our_packages(notebook, foreign):
    code = f"{first_cell(notebook)}\nimport {', '.join(PACKAGES)}\nprint(data.__file__)"
    assert run(["-c", code], notebook.parent, foreign) == str(ROOT / "data" / "__init__.py")


def test_a_lab_gets_our_sprites(foreign):
    code = f"""{first_cell(ROOT / "L1_Sampling" / "L1_Sampling.ipynb")}
from diffusion_utilities import *
from L1_Sampling.checks import *
from data.make_sprites import fresh_sprites
from weights.muon import MuonAndAdamW
print(len(fresh_sprites(2, 1)))"""
    assert run(["-c", code], ROOT, foreign) == "2"


def test_a_program_that_is_imported_leaves_the_path_alone(foreign):
    code = "import sys; before = [*sys.path]; import data.make_sprites; print(sys.path == before)"
    assert run(["-c", code], ROOT, foreign) == "True"


@pytest.mark.parametrize(
    ("how", "folder"),
    [([str(ROOT / "data" / "make_sprites.py")], ROOT / "data"), (["-m", "data.make_sprites"], ROOT)],
    ids=["by path", "as a module"],
)
def test_a_program_gets_ours(how, folder, foreign, tmp_path):
    assert "3 sprites" in run([*how, "--fresh", "3", "--out", str(tmp_path / "fresh")], folder, foreign)


def test_a_script_of_going_further_gets_ours(foreign, tmp_path):
    assert "usage: sample.py" in run([str(ROOT / "going_further" / "sample.py"), "--help"], tmp_path, foreign)

"""What stands around the course agrees with it and with itself: versions, workflows, environments, forms, addresses."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import address
from exercise_tools import make_sheets
from support.tables import with_blocks

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
FORMS = [path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def loaded(path):
    return yaml.safe_load(text(path))


def test_one_version():
    newest = re.search(r"^## (\d+\.\d+\.\d+) \(.+\)$", text("CHANGELOG.md"), re.MULTILINE)
    assert loaded("CITATION.cff")["version"] == newest[1]
    headings = re.findall(r"^## (\d+)\.(\d+)\.(\d+)", text("CHANGELOG.md"), re.MULTILINE)
    assert headings == sorted(headings, key=lambda numbers: [*map(int, numbers)], reverse=True)


def test_citation_has_what_the_format_asks_for():
    citation = loaded("CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and {"message", "title", "authors", "version"} <= citation.keys()
    assert f"# {citation['title']}\n" in text("README.md")
    assert citation["authors"][0]["name"].removeprefix("The ") in text("LICENSE")


def test_ruff_is_one_version_everywhere():
    pinned = re.search(r"^ruff==(.+)$", text("constraints.txt"), re.MULTILINE)[1]
    hooks = loaded(".pre-commit-config.yaml")["repos"][0]["hooks"]
    named = {need for hook in hooks for need in hook.get("additional_dependencies", [])}
    assert named == {f"ruff=={pinned}"}


def test_hooks_start_programs_that_exist():
    for hook in loaded(".pre-commit-config.yaml")["repos"][0]["hooks"]:
        if module := re.search(r"-m ([\w.]+)", hook["entry"]):
            assert (ROOT / f"{module[1].replace('.', '/')}.py").exists()


def test_workflow_runs_the_readmes_commands_on_every_system_and_python():
    jobs = loaded(".github/workflows/ci.yml")["jobs"]
    matrix = jobs["unit"]["strategy"]["matrix"]
    assert matrix["python"] == PYTHONS and "Python 3.10 to 3.14" in text("README.md")
    assert [name.split("-")[0] for name in matrix["system"]] == ["ubuntu", "macos", "windows"]
    typed = text("README.md").replace(".venv\\Scripts\\python", "python").splitlines()
    commands = [step["run"] for step in jobs["unit"]["steps"] if "run" in step]
    assert [command for command in commands if command not in typed and f"{command} --torch auto" not in typed] == []
    assert [step["run"] for step in jobs["labs"]["steps"] if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").rstrip().endswith("\nmake test")


def test_container_and_binder_prepare_the_course():
    container = json.loads(text(".devcontainer/devcontainer.json"))
    assert container["image"].rpartition(":")[2] in PYTHONS
    first = make_sheets.labs()[0]
    mine = first.with_name(f"my_{first.name}").relative_to(ROOT).as_posix()
    assert container["customizations"]["codespaces"]["openFiles"] == [mine] == [address.FIRST]
    binder = loaded(".binder/environment.yml")
    pythons = [need.partition("=")[2] for need in binder["dependencies"] if need.startswith("python=")]
    assert len(pythons) == 1 and pythons[0] in PYTHONS
    for modules in (container["postCreateCommand"], text(".binder/postBuild")):
        for module in re.findall(r"-m ([\w.]+)", modules):
            assert (ROOT / f"{module.replace('.', '/')}.py").exists()
        assert "exercise_tools.make_sheets --mine" in modules


@pytest.mark.skipif(os.name == "nt", reason="there files have no right to be run")
def test_binders_script_can_be_run():
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(("given", "expected"), [([], "auto"), (["TORCH=cpu"], "cpu")], ids=["by itself", "cpu"])
def test_make_hands_on_which_pytorch(given, expected):
    command = ["make", "--no-print-directory", "-n", "-B", "lab", "VENV=.venv", *given]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f".venv/bin/python -m support.install --torch {expected}\n" in lines


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/RUN_ANYWHERE.md", "CHANGELOG.md"])
def test_pages_name_what_exists(page):
    written = text(page)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", written) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
    verbs = set(re.findall(r"`make (\w+)", written)) | set(re.findall(r"^make (\w+)", written, re.MULTILINE))
    assert verbs <= set(re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE))
    modules = {
        name for name in re.findall(r"python -m ([a-z_]+\.[\w.]+)", written) if "support" in name or "docs" in name
    }
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


def test_contributing_shows_a_check_as_the_kit_does():
    example = re.search(r"```python\n(.*?)```", text("CONTRIBUTING.md"), re.DOTALL)[1]
    kit = re.sub(r"^ {4}", "", text("exercise_tools/kit.py").split('"""')[1], flags=re.MULTILINE)
    assert example in kit
    for tag in ("exercise", "solution", "check", "answer", "spoiler"):
        assert f"`{tag}`" in text("CONTRIBUTING.md") and f"    {tag} " in text("exercise_tools/make_sheets.py")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form.keys() >= {"name", "description", "body"}
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids)) >= 2
    for field in form["body"]:
        assert field["type"] in {"input", "textarea", "dropdown"} and field["attributes"]["label"]
        assert field["type"] != "dropdown" or len(field["attributes"]["options"]) >= 2


# ------------------------------------------------------------------------------------------- address


@pytest.fixture
def copies(tmp_path):
    """The pages that hold the address, in a folder of their own, and as if it were not known."""
    for name in (*address.PAGES, "CITATION.cff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text(name), encoding="utf-8")
    return tmp_path


def test_pages_are_what_the_known_address_gives():
    known = address.of(text("CITATION.cff"))
    for page in address.PAGES:
        assert with_blocks(text(page), known, address.BLOCKS, "address ") == text(page)
    assert "<!-- address buttons -->" in text("README.md") and "<!-- address clone -->" in text("docs/RUN_ANYWHERE.md")


def test_an_address_is_written_everywhere_and_again(copies, capsys):
    assert address.main(["ann/course-1"], copies) == 0
    assert address.main(["bob/my.course"], copies) == 0  # it moved
    readme, page = ((copies / name).read_text(encoding="utf-8") for name in address.PAGES)
    citation = (copies / "CITATION.cff").read_text(encoding="utf-8")
    assert "ann/" not in readme + page + citation and "OWNER/NAME" not in readme.partition("## The labs")[0]
    links = re.findall(r"https://(?:colab|mybinder|codespaces)[^)\s]+", readme)
    assert len(links) == 6 and all("bob/my.course" in link for link in links)
    assert "git clone --depth 1 https://github.com/bob/my.course /content/course\n" in page
    assert citation.count("repository-code:") == 1 and address.of(citation) == "bob/my.course"
    assert yaml.safe_load(citation)["repository-code"] == "https://github.com/bob/my.course"


def test_links_lead_to_files_that_exist():
    assert all((ROOT / path).exists() for path in address.LABS.values())
    line = address.buttons("ann/course")
    assert all(f"/github/ann/course/blob/main/{path})" in line for path in address.LABS.values())
    assert "urlpath=lab/tree/L1_Sampling%2Fmy_L1_Sampling.ipynb" in line


def test_without_an_address_there_are_no_dead_links():
    line = address.buttons(address.UNKNOWN)
    assert "http" not in line and "python -m docs.address OWNER/NAME" in line


@pytest.mark.parametrize("wrong", ["course", "https://github.com/ann/course", "ann/", "ann/co urse", "-a/b", "a/b/c"])
def test_what_is_no_address_changes_nothing(wrong, copies, capsys):
    before = {path: path.read_bytes() for path in copies.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit):
        address.main(["--", wrong], copies)
    assert "expected OWNER/NAME" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in copies.rglob("*") if path.is_file()} == before

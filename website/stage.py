"""Bring together what the site is made of: a copy of notebooks and cards, in folders as in the repository.

What differs from the originals is small: links to files that are no pages, texts for pictures, names of the sheets.
Nothing is run.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from support.tables import write_text
from website.alternative_text import with_alternative_texts

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
LABS = ("L1_Sampling", "L2_Training", "L3_Context", "L4_FastSampling", "Capstone")
FOLDERS = (*LABS, "going_further", "docs", "data", "weights", "teaching")
PAGES = (".md", ".ipynb")
NOT_OURS = re.compile(r"^my_|\.before|^\.|-checkpoint\.")  # what learners write, and what editors leave
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#\s])")  # the file of [text](file#place); never an address


def pages(root: Path = ROOT) -> list[Path]:
    """The pages, as paths from the root: its Markdown files, and the notebooks and Markdown files of FOLDERS."""
    found = [*root.glob("*.md"), *(path for folder in FOLDERS for path in (root / folder).rglob("*"))]
    found = [path.relative_to(root) for path in sorted(found) if path.suffix in PAGES]
    return [path for path in found if not any(NOT_OURS.search(part) for part in path.parts)]


def stage(to: Path, repository: str = "", branch: str = "main", root: Path = ROOT) -> None:
    """Write the sources of the site to the folder ``to``, which is emptied before.

    Args:
        repository: owner/name on GitHub. Links to files that are no pages lead there; without it, the files are copied,
            and the links download them.

    A link to what does not exist stays as it is; Sphinx warns of it.
    """
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(HERE / "static", to / "_static")
    _copy_mathjax(to / "_static" / "mathjax")
    ours = {*pages(root), Path("index.md")}
    for page in ours:
        text = ((HERE if page.name == "index.md" else root) / page).read_text(encoding="utf-8")
        links = Links(page, ours, root, repository, branch)
        write_text(to / page, _notebook(text, page, links) if page.suffix == ".ipynb" else links.rewritten(text))
        for file, name in links.files.items():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / file, to / name)


class Links:
    """The links of one page, as they must be on the site; ``files`` says which must lie there too, and where."""

    def __init__(self, page: Path, ours: set[Path], root: Path, repository: str, branch: str) -> None:
        self.page, self.ours, self.root = page, ours, root.resolve()
        self.address = f"https://github.com/{repository}/{{}}/{branch}/" if repository else ""
        self.files: dict[Path, str] = {}

    def rewritten(self, text: str) -> str:
        """Markdown, with links to folders and to files that are no pages led elsewhere."""
        return LINK.sub(lambda match: self._target(match[1]), text)

    def _target(self, link: str) -> str:
        path = (self.root / self.page.parent / link).resolve()
        if not path.is_relative_to(self.root) or not path.exists():
            return link  # not a link but code, such as f[0](x); Sphinx reports it where it is one
        target = path.relative_to(self.root)
        if path.is_dir() and target / "README.md" in self.ours:
            return f"{link.rstrip('/')}/README.md"
        if target in self.ours:
            return link
        if self.address and path.suffix not in (".png", ".gif"):
            return self.address.format("tree" if path.is_dir() else "blob") + target.as_posix()
        if path.is_dir():
            return link
        ending = ".txt" if path.suffix in PAGES else ""  # or Sphinx would take it for a page
        self.files[target] = target.as_posix() + ending
        return link + ending


def _notebook(text: str, page: Path, links: Links) -> str:
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = links.rewritten("".join(cell["source"]))
        elif cell["metadata"].get("jupyter", {}).get("source_hidden"):
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
    if page.stem.endswith("_exercises"):  # has the title of its lab; in a list of pages it needs one of its own
        first = notebook["cells"][0]
        first["source"] = re.sub(r"^(# .+)$", r"\1 · Exercises", first["source"], count=1, flags=re.MULTILINE)
    with_alternative_texts(notebook)
    return json.dumps(notebook, ensure_ascii=False)


def _copy_mathjax(to: Path) -> None:
    """Formulas are set without any server: MathJax, of which a fifth is needed, comes from a package."""
    from importlib.metadata import files

    for file in files("sphinx-mathjax-offline") or ():
        name = file.as_posix().partition("/static/mathjax/")[2]
        if re.match(r"tex-chtml\.js|input/tex/extensions/|output/chtml/fonts/woff|a11y/", name):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.locate(), to / name)

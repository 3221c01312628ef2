"""Slides of each lab, made from its notebook: headings, formulas, pictures, animations, and the first sentences.

    python -m teaching.slides --out build/slides              of all labs
    python -m teaching.slides --out build/slides L1_Sampling  of one

Open build/slides/L1_Sampling.html in a browser; no server and no network are needed. Press s for the notes: the whole
text and the code. Nothing is written into the notebooks. The rule by which a notebook becomes slides:

- a heading begins a slide; ``#`` and ``##`` to the right, ``###`` below;
- a paragraph is shown with its first sentence, and a *Predict first* as it is; the rest goes into the notes;
- formulas, lists, tables, and what cells show are kept; code is in the notes;
- an exercise is shown with its task; its hints and its solution are in the notes;
- what does not fit goes on a slide below, under the same heading.
"""

from __future__ import annotations

import math
import re
import shutil
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter

from exercise_tools import make_sheets
from support.players import self_contained
from teaching.course import Lab, write_for_labs

LINES = 14  # of text that a slide of 1280 × 720 holds below its heading
COLUMNS = 75  # letters in such a line
PICTURE, ANIMATION = 10, 13  # as many lines does it take
ENOUGH = 110  # letters; a paragraph whose first sentence is shorter is shown with its second
ASSETS = {  # package → what of it is needed, and where it goes
    "sphinx-revealjs": (r".*/revealjs/((dist|plugin/notes)/(?!.*\.(map|esm\.js)$).*)", "reveal"),
    "sphinx-mathjax-offline": (
        r".*/static/mathjax/(tex-chtml\.js|(input/tex/extensions|output/chtml/fonts/woff|a11y).*)",
        "mathjax",
    ),
}


@dataclass
class Slide:
    """What is on a slide, as cells of a notebook, and what is said with it, in Markdown."""

    heading: str
    first: bool  # of a section, so to the right of the slide before, and not below it
    cells: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lines: float = 0


# -------------------------------------------------------------------------------------------- the rule


def blocks(text: str) -> list[str]:
    """Markdown in pieces: paragraphs, lists, tables, formulas; what is folded and what is fenced stay whole."""
    found = re.findall(
        r"<details>.*?</details>|```.*?```|\$\$.*?\$\$|(?:(?!\n\n|\$\$|<details>|```).)+", text, re.DOTALL
    )
    return [piece.strip() for piece in found if piece.strip()]


def sentences(paragraph: str) -> list[str]:
    """A paragraph in sentences. A full stop in a formula or in code ends none."""
    kept: list[str] = []
    hidden = re.sub(r"\$[^$]+\$|`[^`]+`|\]\([^)]*\)", lambda m: kept.append(m[0]) or f"\0{len(kept) - 1}\0", paragraph)
    ends = r"(?:(?<=[.?!])|(?<=[.?!][*)])|(?<=[.?!]\*\*))\s+(?=[A-Z*\0\[(])"
    parts = re.split(ends, hidden)
    return [re.sub("\0(\\d+)\0", lambda m: kept[int(m[1])], part) for part in parts]


def key(paragraph: str) -> str:
    """What of a paragraph is shown: the first sentence, with the next where it is short; of a question all."""
    if "**Predict first" in paragraph or re.match(r"\*\*\d+\.\*\*", paragraph):
        return paragraph
    parts = sentences(paragraph)
    n = 1
    while n < min(3, len(parts)) and len(" ".join(parts[: n + 1])) <= 2 * ENOUGH and len(" ".join(parts[:n])) < ENOUGH:
        n += 1
    shown = " ".join(parts[:n])
    stars = re.sub(r"\$[^$]+\$|`[^`]+`|\*\*", "", shown).count("*")
    return shown + "*" * (stars % 2)  # of a caption in italics, the first sentence


def height(block: str) -> float:
    """The lines that a piece of Markdown takes, roughly."""
    if block.startswith("$$"):
        return 3 + 2 * block.count(r"\\") + ("frac" in block) + ("underbrace" in block)
    rows = block.split("\n")
    if block.startswith("|"):
        return len(rows) + 1
    if block.startswith("```"):
        return math.ceil(0.7 * len(rows)) + 1
    return 0.5 + sum(math.ceil(len(re.sub(r"\]\([^)]*\)", "", row)) / COLUMNS) for row in rows)


class Deck:
    """Slides in the making."""

    def __init__(self) -> None:
        self.slides: list[Slide] = []
        self.section = ""  # the heading under which the lab goes on after an exercise
        self.after_exercise = False

    def begin(self, heading: str, first: bool, section: bool = True) -> None:
        """A new slide."""
        self.slides.append(Slide(heading, first))
        self.section = heading if section else self.section
        self.after_exercise = False

    def add(self, cell: dict, lines: float) -> None:
        """Show a cell, on a slide below where it does not fit on this one. A line that announces it goes with it."""
        if self.after_exercise:
            self.begin(self.section, first=False)
        slide = self.slides[-1]
        if slide.lines and slide.lines + lines > LINES:
            self.begin(slide.heading, first=False, section=False)
            above = slide.cells[-1]
            if (
                above.cell_type == "markdown"
                and re.search(r":\**$|^\*\*[^*]+\*\*$", above.source)
                and len(slide.cells) > 1
            ):
                self.slides[-1].cells.append(slide.cells.pop())
                self.slides[-1].lines += height(above.source)
        self.slides[-1].cells.append(cell)
        self.slides[-1].lines += lines

    def text(self, block: str) -> None:
        """Show a piece of Markdown; a list or table that is taller than a slide goes on on the next."""
        rows = block.split("\n")
        head = 2 if block.startswith("|") else 0
        while len(rows) > head + 1 and height("\n".join(rows)) > LINES and re.match(r"[|*-]|\d+\.", block):
            n = next(n for n in range(len(rows) - 1, head, -1) if height("\n".join(rows[:n])) <= LINES or n == head + 1)
            part, rows = rows[:n], rows[:head] + rows[n:]
            self.add(nbformat.v4.new_markdown_cell("\n".join(part)), height("\n".join(part)))
        self.add(nbformat.v4.new_markdown_cell("\n".join(rows)), height("\n".join(rows)))

    def note(self, text: str) -> None:
        """Say something with the slide as it is now."""
        self.slides[-1].notes.append(text)


def add_markdown(deck: Deck, text: str, whole: bool = False) -> None:
    """A Markdown cell: the key sentences on slides, all of it in the notes. ``whole``: no paragraph is shortened."""
    for block in blocks(text):
        heading = re.match(r"(#{1,3}) (.+)", block)
        if heading:
            deck.begin(heading[2].split("\n")[0], first=len(heading[1]) < 3)
            block = block.partition("\n")[2].strip()
        if not block:
            continue
        if block.startswith(("<details", "```", "---")):
            deck.note(block)
        elif block.startswith("$$") or re.match(r"[|*-] |\||\d+\. ", block):
            deck.text(block)
        else:
            shown = block if whole else key(block)
            deck.text(shown)
            if shown != block:
                deck.note(block)


def add_outputs(deck: Deck, cell: dict) -> None:
    """What a code cell shows, if it says something to those who do not see the code."""
    for output in cell["outputs"]:
        data = output.get("data", {})
        html = "".join(data.get("text/html", ""))
        printed = "".join(output.get("text", ""))
        markdown = "".join(data.get("text/markdown", ""))
        shown = nbformat.v4.new_code_cell(outputs=[nbformat.from_dict(output)])
        if "<script" in html:
            shown.outputs[0].data = {"text/html": self_contained(html, "animation")}
            deck.add(shown, ANIMATION)
        elif "image/png" in data:
            deck.add(shown, PICTURE)
        elif markdown:
            deck.text(markdown.strip())
        elif printed and output.get("name") == "stdout":
            rows = printed.rstrip().split("\n")
            if len(rows) <= LINES and not printed.startswith("From here on:"):
                deck.text("```text\n" + "\n".join(rows) + "\n```")


def slides_of(notebook: dict) -> list[Slide]:
    """The slides of a lab, by the rule that stands above."""
    deck = Deck()
    for cell in notebook["cells"]:
        kind, text = make_sheets.kind(cell), make_sheets.source(cell)
        if kind == "exercise":
            header = make_sheets.HEADER.match(text)
            deck.begin(f"Exercise {header[1]} · {header[2]}", first=False, section=False)
            add_markdown(deck, f"{header[3]} · {header[4]} minutes\n\n{text[header.end() :]}", whole=True)
        elif cell["cell_type"] == "markdown":
            add_markdown(deck, text)
        elif kind == "check":
            deck.after_exercise = True
        else:
            if kind == "solution":
                deck.note("Solution:")
            else:
                add_outputs(deck, cell)
            if text.strip() and deck.slides:
                deck.note(f"```python\n{text}\n```")
    return [slide for slide in deck.slides if slide.cells or slide.notes]


# -------------------------------------------------------------------------------------------- the page


def derived(lab: Lab) -> nbformat.NotebookNode:
    """A notebook that SlidesExporter turns into the slides of a lab."""
    made = nbformat.v4.new_notebook(metadata={"title": lab.title})
    for slide in slides_of(make_sheets.read(lab.path)):
        mark = "#" if not made.cells else "##" if slide.first else "###"
        head = nbformat.v4.new_markdown_cell(f"{mark} {slide.heading}")
        head.metadata["slideshow"] = {"slide_type": "slide" if slide.first else "subslide"}
        made.cells += [head, *slide.cells]
        if slide.notes:
            note = nbformat.v4.new_markdown_cell("\n\n".join(slide.notes))
            note.metadata["slideshow"] = {"slide_type": "notes"}
            made.cells.append(note)
    return made


def html_of(lab: Lab) -> str:
    """The slides of a lab as one page, which expects the folders reveal and mathjax beside it."""
    exporter = SlidesExporter(
        template_file=str(Path(__file__).with_name("slides.html.j2")),
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    return exporter.from_notebook_node(derived(lab))[0]


def copy_assets(out: Path) -> None:
    """Put reveal.js and MathJax beside the pages.

    Raises:
        FileNotFoundError: a package is not installed.
    """
    for package, (pattern, folder) in ASSETS.items():
        try:
            found = [(file, re.fullmatch(pattern, file.as_posix())) for file in files(package) or ()]
        except PackageNotFoundError:
            remedy = "python -m pip install -r teaching/requirements.txt"
            raise FileNotFoundError(f"{package} is not installed: {remedy}") from None
        for file, match in found:
            if match:
                target = out / folder / match[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return write_for_labs("slides", "Slides of each lab.", ".html", lambda lab, _: html_of(lab), arguments, copy_assets)


if __name__ == "__main__":
    sys.exit(main())

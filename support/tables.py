"""Tables in Markdown, and the marked blocks of a page that are made from figures and never typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from support.files import replacing


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are numbers, on the right."""
    lines = [head, [":--"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def pm(figure: dict, digits: int = 2) -> str:
    """Mean ± standard deviation."""
    return f"{figure['mean']:.{digits}f} ± {figure['std']:.{digits}f}"


def with_blocks(text: str, figures: dict, blocks: dict[str, Callable[[dict], str]], prefix: str = "") -> str:
    """A page with each block from ``<!-- prefixNAME -->`` to ``<!-- / -->`` made anew by the function of that name."""

    def made(match: re.Match) -> str:
        return f"<!-- {prefix}{match[1]} -->\n{blocks[match[1]](figures)}\n<!-- / -->"

    return re.sub(rf"<!-- {prefix}(\w+) -->\n.*?<!-- / -->", made, text, flags=re.DOTALL)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")

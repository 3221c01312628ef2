"""Tables in Markdown, and the blocks of a page that are made from figures and never typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from support.writing import replacing


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are numbers, on the right."""
    lines = [head, [":--"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def pm(figure: dict, digits: int = 2) -> str:
    """Mean ± standard deviation; of one seed alone, the mean."""
    mean, std = figure["mean"], figure["std"]
    return f"{mean:.{digits}f}" + ("" if std is None else f" ± {std:.{digits}f}")


IN_HUNDREDTHS = ("distance", "precision", "recall", "bits", "bend")  # columns of small numbers


def figures_table(rows: dict[str, dict], columns: Sequence[str] = ()) -> str:
    """Stored figures, a row for each way: some columns, or all that any row has. What a row lacks stays empty."""
    columns = columns or list(dict.fromkeys(column for row in rows.values() for column in row))

    def cell(figure: object, column: str) -> str:
        if isinstance(figure, dict):
            return pm(figure, 2 if column in IN_HUNDREDTHS else 1)
        return f"{figure:.0f}" if figure else ""

    return table(["way", *columns], [[way, *(cell(row.get(c), c) for c in columns)] for way, row in rows.items()])


def with_blocks(text: str, figures: dict, blocks: dict[str, Callable[[dict], str]], prefix: str = "") -> str:
    """A page whose blocks, from ``<!-- prefixNAME -->`` to ``<!-- / -->``, are made anew.

    Raises:
        ValueError: the figures lack what a block shows.
    """

    def made(match: re.Match) -> str:
        name, make = match[1], blocks[match[1]]
        try:
            return f"<!-- {prefix}{name} -->\n{make(figures)}\n<!-- / -->"
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"the figures lack what the block {name} shows: {reason}") from None

    return re.sub(rf"<!-- {prefix}(\w+) -->\n.*?<!-- / -->", made, text, flags=re.DOTALL)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")

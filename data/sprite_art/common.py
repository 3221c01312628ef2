"""What several classes of sprites share: lists of colours, words of captions, sheets of art, the closing of gaps."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from data.sprite_art.canvas import OUTLINE, SIZE, Canvas, Look, Ramp, box, grow

Draw = Callable[[Canvas, Random], Look]  # what draws a kind of sprite

WARM = ["red", "orange", "yellow"]
COLD = ["lime", "green", "teal", "sky-blue", "blue", "purple", "magenta", "pink"]
SKINS = ["pale skin", "tan skin", "brown skin", "dark skin"]
HAIRS = ["blond hair", "red hair", "brown hair", "black hair", "grey hair"]

CORNERS = box(1, 1, 1, 1) | box(14, 1, 14, 1) | box(1, 14, 1, 14) | box(14, 14, 14, 14)


def paler(ramp: Ramp) -> Ramp:
    """The same material one tone brighter."""
    return (ramp[0], *ramp[:-1])


def darker(ramp: Ramp) -> Ramp:
    """The same material one tone darker."""
    return (*ramp[1:], ramp[-1])


def an(text: str) -> str:
    """The text with its article: "a bat", "an orb", "a one-eyed orc"."""
    return f"{'an' if text[0] in 'aeiou' and not text.startswith('one') else 'a'} {text}"


def haired(hair: str) -> str:
    """How a caption tells a hair colour: "blond", "red-haired"."""
    return f"{hair}ed".replace("blond haired", "blond").replace(" ", "-")


def pick(rng: Random, options: dict[str, Any]) -> tuple[str, Any]:
    """One of the options, with its name."""
    name = rng.choice(list(options))
    return name, options[name]


def sheet(text: str) -> dict[str, str]:
    """Arts drawn side by side, each below its name; ``-`` names the part that may also be missing."""
    columns = zip(*(line.split("|") for line in text.strip().split("\n")), strict=True)
    arts = {}
    for column in columns:
        name, *rows = (cell.strip() for cell in column)
        arts[name.strip("-")] = "\n".join(row for row in rows if row)
    return arts


def shut_in(filled: np.ndarray, border: bool) -> np.ndarray:
    """Single empty pixels that outlines around ``filled``, with or without the picture's border, would shut in."""
    inked = np.pad(grow(filled), 1, constant_values=border)
    around = inked[:-2, 1:-1] & inked[2:, 1:-1] & inked[1:-1, :-2] & inked[1:-1, 2:]
    return around & ~inked[1:-1, 1:-1]


def close_gaps(c: Canvas, rounds: int = 1) -> None:
    """Darken pixels that would be shut in, those in the border from inside; closing one can shut in its neighbour."""
    c.erase(CORNERS)  # an outline around them would cut off the picture's own corners
    for _ in range(rounds):
        y, x = np.clip(np.nonzero(shut_in(c.filled, border=True)), 1, SIZE - 2)
        c.rgb[y, x] = OUTLINE
        c.filled[y, x] = True


def closing_gaps(draw: Draw) -> Draw:
    """The same drawing function, with the gaps closed at the end."""

    def drawn(c: Canvas, rng: Random) -> Look:
        look = draw(c, rng)
        close_gaps(c)
        return look

    return drawn

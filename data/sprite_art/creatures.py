"""Creatures (class non-hero): one drawing function for each kind."""

from __future__ import annotations

from random import Random

from .canvas import RAMPS, Canvas, Look, ellipse


def slime(c: Canvas, rng: Random) -> Look:
    colour = rng.choice(["lime", "green", "teal", "sky", "blue", "purple", "magenta", "red", "orange"])
    rx, ry = rng.choice([(6.5, 4.5), (5.5, 5), (6, 4), (5, 5.5)])
    c.fill(ellipse(7.5, 14 - ry, rx, ry) | ellipse(7.5, 12.5, rx + 0.5, 2), RAMPS[colour])
    c.stamp("#..#\n#..#", {}, x=6, y=round(13 - ry))
    return Look(f"a {colour} slime", parts={"body": "wide" if rx > ry + 1 else "tall"}, colours={"body": colour})


KINDS = {"slime": slime}

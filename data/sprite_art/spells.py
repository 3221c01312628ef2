"""Spells (class spell): magic and the items of an adventurer, one drawing function for each kind."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from .canvas import OUTLINE, RAMPS, SIZE, Canvas, Look, Ramp, box, ellipse, line, polygon

MAGIC = ["red", "orange", "yellow", "lime", "green", "teal", "sky", "blue", "purple", "magenta", "pink"]
METALS = ["gold", "steel", "grey", "black"]
WOODS = ["brown", "tan", "black", "red"]
CLOTH = ["red", "blue", "purple", "green", "brown", "teal", "black"]

# Small cut stones, for rings, amulets and shields of other materials.
JEWELS = {
    "round": """
.1122.
1w1223
112334
123345
.3445.""",
    "square": """
111222
1w2233
122334
123344
334445""",
    "pointed": """
.1123.
1w2234
112345
.2345.
..35..""",
    "oval": """
.1223.
1w2334
123345
.2345.""",
    "heart": """
.11.23
1w1234
123345
.2345.
..45..""",
}

# Signs for covers, crests and stones: 1 is the light tone, 2 the next one.
SIGNS = {
    "star": "..1..\n11112\n.112.\n.112.\n12.22",
    "moon": ".11..\n11...\n11...\n112.2\n.122.",
    "diamond": "..1..\n.112.\n11122\n.122.\n..2..",
    "cross": "..1..\n..1..\n11122\n..2..\n..2..",
    "flame": "..1..\n.11..\n.112.\n11122\n.122.",
    "bolt": "..11.\n.11..\n11122\n..22.\n.22..",
    "eye": ".111.\n11#12\n1###2\n11#22\n.222.",
    "sun": "1.1.1\n.111.\n11122\n.122.\n1.2.2",
}


def _a(text: str) -> str:
    return f"an {text}" if text[0] in "aeiou" else f"a {text}"


def _diagonal(c: Canvas, ramp: Ramp, tones: str, start: int, stop: int, taper: float = 0,
              sway: Callable | None = None) -> None:
    """A bar on the diagonal: ``tones`` has a digit for each lane, from the upper left one to the lower right one.

    It runs from ``start`` to ``stop``; 0 is the lower left end of the diagonal, pixel (1, 14), 26 the upper right end.
    ``taper`` lets each outer lane stop that much earlier; ``sway`` moves the bar sideways, given the way along it.
    """
    y, x = np.mgrid[:SIZE, :SIZE]
    along, across = x - y + 13, x + y - 15
    if sway:
        across = across - np.round(sway(along)).astype(int)
    for lane, tone in enumerate(tones, -(len(tones) // 2)):
        inside = (along >= start) & (along <= stop - taper * abs(lane)) & box(1, 1, 14, 14)
        c.fill(inside & (across == lane), ramp, int(tone))


def potion(c: Canvas, rng: Random) -> Look:
    body, shape, neck = rng.choice([
        ("round", ellipse(7.5, 9.5, 5.5, 5), 5), ("wide", ellipse(7.5, 10, 6.5, 4.5), 6),
        ("cone-shaped", polygon((6, 6), (9, 6), (13, 12), (12, 14), (3, 14), (2, 12)), 6),
        ("square", box(3, 7, 12, 14) | box(4, 6, 11, 6), 6), ("tall", box(4, 6, 11, 13) | box(5, 5, 10, 14), 5),
        ("heart-shaped", ellipse(5, 8, 3.6, 3.2) | ellipse(10, 8, 3.6, 3.2) | polygon((2, 9), (13, 9), (8, 14), (7, 14)), 6),
    ])
    liquid, glass = rng.choice(MAGIC), rng.choice(["white", "sky", "steel"])
    level, top = rng.choice([("full", 6), ("two thirds full", 8), ("half-full", 10)])
    c.fill(shape | box(6, 3, 9, neck + 1), RAMPS[glass], 0)
    c.fill(box(9, 3, 9, neck), RAMPS[glass], 2)
    wet = shape & box(1, top, 14, 14)
    c.fill(wet, RAMPS[liquid])
    c.fill(wet & box(1, top, 14, top), RAMPS[liquid], 0)
    cork, colour = rng.choice([("cork", "tan"), ("cork", "brown"), ("stopper", "red"), ("stopper", "gold")])
    if cork == "cork":
        c.stamp(".12.\n1123", {"1": RAMPS[colour]}, x=6, y=1)
    else:
        c.stamp("..12..\n111233", {"1": RAMPS[colour]}, x=5, y=1)
    c.stamp("112234", {"1": RAMPS[glass]}, x=5, y=3)
    inside = rng.choice(["plain", "bubbles", "fizz", "label", "star"])
    if inside == "label":
        c.stamp("11112\n1#1#2\n11112", {"1": RAMPS["tan"]}, x=5, y=10)
    elif inside != "plain":
        art = {"bubbles": "....\n...1\n1...\n..1.", "fizz": "1...\n..1.\n.1..\n...1", "star": ".1.\n111\n.1."}[inside]
        c.stamp(art, {"1": RAMPS[liquid]}, x=6, y=10)
    c.stamp("w.\nw.", {}, x=5, y=rng.choice([8, 9]))
    return Look(f"{_a(body)} bottle, {level}, of {liquid} potion", {"flask": body, "level": level, "top": cork,
                "inside": inside}, {"liquid": liquid, "glass": glass, cork: colour})


def sword(c: Canvas, rng: Random) -> Look:
    blade, lanes, tip = rng.choice([
        ("straight", "113", 25), ("broad", "11023", 26), ("curved", "1023", 25), ("wavy", "11023", 26), ("short", "11023", 21),
    ])
    sway = {"curved": lambda u: 2.2 - ((u - 16) / 4.8) ** 2, "wavy": lambda u: np.sin((u - 8) / 1.6)}.get(blade)
    guard, bar = rng.choice([("narrow", "1112333"), ("long", "111122333"), ("very long", "11112223333"), ("disc", "11233")])
    metal = rng.choice(["steel", "steel", "gold", "sky", "teal", "red", "black", "lime"])
    hilt, grip = rng.choice(["gold", "steel", "brown", "black"]), rng.choice(CLOTH)
    _diagonal(c, RAMPS[metal], lanes, 8, tip, 2, sway)
    _diagonal(c, RAMPS[grip], "134", 2, 8)
    _diagonal(c, RAMPS[hilt], bar, 7 if guard == "disc" else 8, 9)
    pommel, art = rng.choice([("knob", ".12.\n1223\n2334\n.34."), ("small", "12\n23"), ("square", "112\n123\n233")])
    stone = rng.choice([hilt, hilt, "red", "blue", "green", "purple"])
    c.stamp(art, {"1": RAMPS[stone]}, x=1, y=15 - len(art.split("\n")))
    return Look(f"{_a(blade)} {metal} sword with a {guard} guard", {"blade": blade, "guard": guard, "pommel": pommel},
                {"blade": metal, "hilt": hilt, "grip": grip})


def staff(c: Canvas, rng: Random) -> Look:
    wood, metal, stone = rng.choice(WOODS), rng.choice(METALS), rng.choice(MAGIC)
    head = rng.choice(["ball", "crescent", "hoop", "crystal", "wings"])
    _diagonal(c, RAMPS[wood], "13", 0, 18)
    holder, gem = {
        "ball": (polygon((6, 7), (8, 9), (10, 8), (7, 5)), ellipse(10.5, 4.5, 4, 4)),
        "crescent": (ellipse(10, 5, 4.6, 4.6) & ~ellipse(11.7, 3.3, 3.6, 3.6), ellipse(11, 4, 2.3, 2.3)),
        "hoop": (ellipse(10, 5, 4.6, 4.6), ellipse(10, 5, 2.9, 2.9)),
        "crystal": (polygon((6, 6), (9, 9), (11, 9), (6, 4)), polygon((8, 7), (8, 4), (11, 1), (14, 1), (14, 4), (11, 7))),
        "wings": (polygon((4, 1), (8, 4), (11, 7), (14, 11), (9, 9), (6, 6)), ellipse(10.5, 4.5, 3, 3)),
    }[head]
    c.fill(holder, RAMPS[metal], "bevel")
    c.fill(gem, RAMPS[stone])
    c.stamp("w", {}, *rng.choice([(9, 3), (10, 3), (10, 4)]))
    bands = rng.choice([(), (4,), (11,), (4, 11), (1, 7)])
    cloth = rng.choice(CLOTH + METALS)
    for start in bands:
        _diagonal(c, RAMPS[cloth], "13", start, start + 2)
    return Look(f"{_a(wood)} staff with {_a(stone)} gem in {_a(metal)} {head}", {"head": head, "bands": str(len(bands))},
                {"wood": wood, "gem": stone, "metal": metal})


STARS = {
    "five-pointed": """
....1....
...112...
...112...
1111w2222
.11ww122.
..11122..
..11222..
.112.223.
.12...23.""",
    "four-pointed": """
....1....
....1....
...112...
..11w22..
111ww1222
..11122..
...122...
....2....
....2....""",
    "plump": """
...112...
...112...
11111222.
111ww1222
.11w1222.
..11122..
.1112223.
.112.223.
..........""",
    "eight-pointed": """
....1....
.1..1..2.
.11112222
..11w22..
111ww1223
..11122..
.1122223.
.1..2..3.
....2....""",
}


def magic_wand(c: Canvas, rng: Random) -> Look:
    shape, star, stick = rng.choice(list(STARS)), rng.choice(["yellow", "yellow", *MAGIC]), rng.choice(WOODS + ["white", "purple", "blue", "pink"])
    start = rng.choice([0, 2, 4])
    _diagonal(c, RAMPS[stick], "13", start, 15)
    stripes, trim = rng.choice(["none", "tip", "spiral", "handle"]), rng.choice(METALS[:2] + ["red", "pink", "teal", "white"])
    for at in {"none": (), "tip": (start,), "spiral": (start + 2, start + 6, start + 10), "handle": (start, start + 2)}[stripes]:
        _diagonal(c, RAMPS[trim], "13", at, at + 1)
    ribbon = rng.choice(["none", "left", "right", "both"])
    if ribbon in ("left", "both"):
        c.stamp("..12\n.12.\n12..", {"1": RAMPS[trim]}, x=3, y=7)
    if ribbon in ("right", "both"):
        c.stamp("..12\n..12\n.12.", {"1": RAMPS[trim]}, x=6, y=10)
    c.stamp(STARS[shape], {"1": RAMPS[star]}, x=6, y=1)
    return Look(f"a magic wand with {_a(star)} {shape} star", {"star": shape, "stripes": stripes, "ribbon": ribbon},
                {"star": star, "stick": stick, "trim": trim})


def spell_book(c: Canvas, rng: Random) -> Look:
    cover, metal, sign = rng.choice(CLOTH + ["magenta", "orange"]), rng.choice(METALS), rng.choice(list(SIGNS))
    left, top = rng.choice([1, 2]), rng.choice([1, 2])
    right = rng.choice([12, 13])
    c.fill(box(left, top + 1, right, 14) | box(left + 1, top, right, 14), RAMPS[cover], 3)
    c.fill(box(left + 3, 12, right, 13), RAMPS["white"], 1)
    c.fill(box(left + 2, 13, right, 13), RAMPS["white"], 2)
    c.fill(box(left + 2, top, right, 11), RAMPS[cover], 2)
    c.fill(box(left + 2, top, right, top), RAMPS[cover], 1)
    c.fill(box(left + 1, top + 1, left + 1, 13), RAMPS[cover], 1)
    c.stamp(SIGNS[sign], {"1": RAMPS[metal if metal != "black" else "white"]}, x=left + 4, y=top + 3)
    corners = rng.choice(["plain", "corners", "ribs", "strap"])
    if corners == "corners":
        c.stamp("11\n.1", {"1": RAMPS["gold"]}, x=right - 1, y=top)
        c.stamp(".2\n22", {"1": RAMPS["gold"]}, x=right - 1, y=10)
    elif corners == "ribs":
        c.stamp("12\n..\n..\n..\n..\n..\n12", {"1": RAMPS["gold"]}, x=left, y=top + 2)
    elif corners == "strap":
        c.stamp("11\n12\n22", {"1": RAMPS["gold"]}, x=right - 1 + (right < 13), y=top + 4)
    mark = rng.choice(["none", "red", "gold", "sky", "lime"])
    if mark != "none":
        c.stamp("12\n12", {"1": RAMPS[mark]}, x=right - 3, y=13)
    return Look(f"{_a(cover)} spell book with {_a(sign)} sign", {"sign": sign, "fittings": corners},
                {"cover": cover, "sign": metal, "bookmark": mark})


def scroll(c: Canvas, rng: Random) -> Look:
    paper, ink = rng.choice(["tan", "white", "yellow"]), rng.choice(["brown", "blue", "red", "purple", "black", "green"])
    top, bottom = rng.choice([(1, 12), (2, 12), (2, 11), (1, 11)])
    side = rng.choice([2, 3, 4])
    c.fill(box(side, top, 15 - side, bottom), RAMPS[paper], 0)
    c.fill(box(14 - side, top, 15 - side, bottom) | box(side, top + 3, 15 - side, top + 3), RAMPS[paper], 1)
    knob, trim = rng.choice(["none", "round", "long"]), rng.choice(["red", "gold", "brown", "blue", "green", "steel"])
    edge = {"none": max(side - 1, 1), "round": max(side - 1, 2), "long": max(side - 1, 3)}[knob]
    for y in (top, bottom):
        for row, tone in enumerate((0, 1, 2)):
            c.fill(box(edge, y + row, 15 - edge, y + row), RAMPS[paper], tone)
        c.fill(box(edge, y + 1, edge, y + 1) | box(15 - edge, y + 1, 15 - edge, y + 1), RAMPS[paper], 3)
        if knob != "none":
            c.fill(box(1, y + 1, edge - 1, y + 1), RAMPS[trim], 1)
            c.fill(box(1, y + (knob == "round"), 1, y + 2), RAMPS[trim], 2)
    return Look(f"{_a(ink)} scroll")


KINDS = {"potion": potion, "sword": sword, "staff": staff, "magic wand": magic_wand, "spell book": spell_book, "scroll": scroll}

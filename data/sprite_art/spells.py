"""Spells (class spell): magic and the items of an adventurer, one drawing function for each kind."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from data.sprite_art.canvas import RAMPS, SIZE, Canvas, Look, Ramp, box, ellipse, line, polygon
from data.sprite_art.common import COLD, WARM, Draw, an, paler, pick, sheet

MAGIC = WARM + COLD
FRAME = box(2, 1, 13, 14) | box(1, 2, 14, 13)  # the corners stay free

METALS = ["gold", "steel", "grey", "black"]
WOODS = ["brown", "tan", "black", "red"]
CLOTH = ["red", "blue", "purple", "green", "brown", "teal", "black"]

# Small cut stones, for rings, amulets and shields of other materials.
JEWELS = sheet("""
round  | square | pointed | oval   | heart
.1122. | 111222 | .1123.  | .1223. | 11..23
1w1223 | 1w2233 | 1w2234  | 1w2334 | 1w1234
112334 | 122334 | 112345  | 123345 | 123345
123345 | 123344 | .2345.  | .2345. | .2345.
.3445. | 334445 | ..35..  |        | ..45..
""")

# Signs for covers, crests and stones: 1 is the light tone, 2 the next one.
SIGNS = sheet("""
star   | moon   | diamond | cross  | flame  | bolt   | ring   | sun
..11.. | ..111. | ..11..  | ..12.. | ..1... | ...112 | .1112. | 1.11.2
..12.. | .11... | .1112.  | ..12.. | ..11.. | ..112. | 11..22 | .1112.
111122 | .11... | 111122  | 111122 | .1112. | .11122 | 1....2 | 111122
.1122. | .112.2 | 112222  | 112222 | .1122. | ..122. | 1....2 | 111222
.1122. | .11222 | .1222.  | ..12.. | 112222 | .122.. | 11..22 | .1222.
11..22 | ..222. | ..22..  | ..12.. | .1222. | .2.... | .1222. | 1.22.2
""")


def _ways() -> tuple[np.ndarray, np.ndarray]:
    """Each pixel's way along the diagonal (0 at lower left, 26 at upper right) and across it (lower right: > 0)."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return x - y + 13, x + y - 15


def _diagonal(
    c: Canvas, ramp: Ramp, tones: str, start: int, stop: int, taper: float = 0, sway: Callable | None = None
) -> None:
    """A bar on the diagonal: ``tones`` has a digit for each lane, from the upper left one to the lower right one.

    ``taper`` lets each outer lane stop that much earlier; ``sway`` moves the bar sideways, given the way along it.
    """
    along, across = _ways()
    if sway:
        across = across - np.round(sway(along)).astype(int)
    for lane, tone in enumerate(tones, -(len(tones) // 2)):
        inside = (along >= start) & (along <= stop - taper * abs(lane)) & FRAME
        c.fill(inside & (across == lane), ramp, int(tone))


def _inner(mask: np.ndarray) -> np.ndarray:
    """The mask without its border."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


POTION_INSIDES = sheet("""
plain | bubbles | fizz | star | swirl
.     | ....    | 1... | .1.  | ..11
      | ...1    | ..1. | 111  | .11.
      | 1...    | .1.. | .1.  | 11..
      | ..1.    | ...1 |      |
""")


def potion(c: Canvas, rng: Random) -> Look:
    body, shape, neck = rng.choice(
        [
            ("round", ellipse(7.5, 9.5, 5.5, 5), 5),
            ("wide", ellipse(7.5, 9.5, 6.6, 4.9), 5),
            ("cone-shaped", polygon((6, 6), (9, 6), (13, 12), (13, 13), (12, 14), (3, 14), (2, 13), (2, 12)), 6),
            ("square", box(3, 7, 12, 13) | box(4, 6, 11, 14), 6),
            ("tall", box(4, 6, 11, 13) | box(5, 5, 10, 14), 5),
            ("pointed", polygon((5, 6), (10, 6), (13, 9), (9, 14), (6, 14), (2, 9)), 6),
        ]
    )
    liquid, glass = rng.choice(MAGIC), rng.choice(["white", "sky-blue", "steel"])
    level, top = rng.choice([("full", 6), ("two thirds full", 8), ("half-full", 10)])
    c.fill(shape | box(6, 3, 9, neck + 1), RAMPS[glass], 0)
    c.fill(box(9, 3, 9, neck), RAMPS[glass], 2)
    wet = shape & box(1, top, 14, 14)
    c.fill(wet, RAMPS[liquid])
    c.fill(wet & box(1, top, 14, top), RAMPS[liquid], 0)
    cap, art, material = rng.choice(
        [
            ("cork", ".12.\n1123", "tan"),
            ("cork", ".12.\n1123", "brown"),
            ("stopper", "..12..\n111233", "red"),
            ("stopper", "112234\n.1233.", "gold"),
        ]
    )
    c.stamp(art, {"1": RAMPS[material]}, x=6 if cap == "cork" else 5, y=1)
    c.stamp("112234", {"1": RAMPS[glass]}, x=5, y=3)
    inside, bits = pick(rng, POTION_INSIDES)
    c.stamp(bits, {"1": RAMPS[liquid]}, x=6, y=10)
    c.stamp("w\nw", {}, x=5, y=rng.choice([8, 9]))
    return Look(
        f"{an(body)} bottle with {an(cap)}, {level}, of {liquid} potion",
        {"flask": body, "level": level, "top": cap, "inside": inside},
        {"liquid": liquid, "glass": glass, cap: material},
    )


SWORD_POMMELS = sheet("""
round | long | small
.1.   | .12  | 12
123   | 123  | 23
.3.   | .3.  |
""")


def sword(c: Canvas, rng: Random) -> Look:
    blade, lanes, tip = rng.choice(
        [
            ("narrow", "113", 25),
            ("broad", "11023", 26),
            ("curved", "1023", 25),
            ("great", "1110233", 26),
            ("short", "11023", 22),
        ]
    )
    sway = (lambda u: 2.2 - ((u - 16) / 4.8) ** 2) if blade == "curved" else None
    guard, bar = rng.choice([("narrow", "111112333"), ("long", "1111112233333"), ("very long", "11111112223333333")])
    metal = rng.choice(["steel", "steel", "grey", "gold", "sky-blue", "teal", "red", "lime", "purple"])
    hilt, grip = rng.choice(["gold", "steel", "brown", "black"]), rng.choice(CLOTH)
    _diagonal(c, RAMPS[metal], lanes, 9, tip, 2, sway)
    _diagonal(c, RAMPS[grip], "134", 3, 9)
    _diagonal(c, RAMPS[hilt], bar, 8, rng.choice([9, 10]))
    pommel, art = pick(rng, SWORD_POMMELS)
    stone = rng.choice([hilt, hilt, "red", "blue", "green", "purple"])
    c.stamp(art, {"1": RAMPS[stone]}, x=1, y=15 - len(art.split("\n")) - (pommel == "small"))
    return Look(
        f"{an(blade)} {metal} sword with {an(guard)} guard",
        {"blade": blade, "guard": guard, "pommel": pommel},
        {"blade": metal, "hilt": hilt, "grip": grip, "pommel": stone},
    )


STAFF_HEADS = sheet("""
claw    | crescent | hoop     | crook    | socket
...112. | ..ab...  | ..aabb.. | ..aabbc. | ....11.
aa1w223 | .ab.12.  | .ab..cc. | .ab...cd | ..11123
a.12233 | ab.1w23  | ab.12.cd | ab.12..d | .1w1234
b.22334 | ab..234  | a.1w23.d | ab1w23.d | .11234.
bb.334d | abb..4.  | b.1234.d | bb.234cd | a12344.
.bbb.cd | .bbb...  | bc.34.cd | bbc...d. | ab344..
..bccd. | ..bbccd  | .cc..dd. | .bc..... | .bccd..
        |          | ..ccdd.. | bb...... |
""")


def staff(c: Canvas, rng: Random) -> Look:
    wood, metal, stone = rng.choice(WOODS), rng.choice(METALS), rng.choice(MAGIC)
    head, start, lanes = rng.choice(list(STAFF_HEADS)), rng.choice([2, 4]), rng.choice(["13", "13", "134"])
    _diagonal(c, RAMPS[wood], lanes, start, 14)
    holder = wood if head == "crook" else metal
    c.stamp(STAFF_HEADS[head], {"1": RAMPS[stone], "a": RAMPS[holder]}, x=7 if head in ("hoop", "crook") else 8, y=1)
    bands = rng.choice([(), (4,), (10,), (4, 10), (5, 8)])
    cloth = rng.choice(CLOTH + METALS)
    for place in bands:
        _diagonal(c, RAMPS[cloth], lanes, place, place + 2)
    return Look(
        f"{an(wood)} staff with {an(stone)} gem in {an(holder)} {head}",
        {"head": head, "bands": str(len(bands)), "shaft": "thick" if lanes == "134" else "thin"},
        {"wood": wood, "gem": stone, "holder": holder, "bands": cloth},
    )


STARS = sheet("""
five-pointed | four-pointed | plump
....1....    | ....1....    | ...11...
...112...    | ....1....    | ...112...
...112...    | ...112...    | 11111222.
1111w2222    | ..11w22..    | 1111w2222
.11ww122.    | 111ww1222    | .11ww122.
..11122..    | ..11122..    | .1111222.
..11222..    | ...122...    | .1112223.
.112.223.    | ....2....    | .112.223.
.12...23.    | ....2....    |
""")


def magic_wand(c: Canvas, rng: Random) -> Look:
    shape, star = rng.choice(list(STARS)), rng.choice(["yellow", "yellow", *MAGIC])
    stick, trim = (
        rng.choice([*WOODS, "white", "purple", "blue", "pink"]),
        rng.choice(["gold", "steel", "red", "teal", "white"]),
    )
    start = rng.choice([2, 4])
    _diagonal(c, RAMPS[stick], "13", start, 14)
    stripes, places = rng.choice(
        [("no", ()), ("tip", (start,)), ("spiral", (start + 2, start + 6)), ("wide", (start, start + 1))]
    )
    for at in places:
        _diagonal(c, RAMPS[trim], "13", at, at + 1)
    collar, at = rng.choice([("no", 99), ("ring at the star", 9), ("ring at the grip", 5)])
    _diagonal(c, RAMPS[trim], "11233", at, at)
    c.stamp(STARS[shape], {"1": RAMPS[star]}, x=6, y=1)
    return Look(
        f"a magic wand with {an(star)} {shape} star",
        {"star": shape, "stripes": stripes, "collar": collar},
        {"star": star, "stick": stick, "trim": trim},
    )


def spell_book(c: Canvas, rng: Random) -> Look:
    cover, metal = rng.choice([*CLOTH, "magenta", "orange"]), rng.choice(["gold", "steel", "white"])
    sign, top, right, low = (
        rng.choice(list(SIGNS)),
        rng.choice([1, 2]),
        rng.choice([11, 12, 13]),
        rng.choice([11, 10]),
    )
    c.fill(box(2, top + 1, right, low + 3) | box(3, top, right, low + 3), RAMPS[cover], 3)
    c.fill(box(4, low + 1, right, low + 1), RAMPS["white"], 0)
    c.fill(box(4, low + 2, right, low + 2), RAMPS["white"], 2)
    c.fill(box(4, top, right, low), RAMPS[cover], 2)
    c.fill(box(4, top, right, top) | box(3, top + 1, 3, low + 2), RAMPS[cover], 1)
    c.stamp(SIGNS[sign], {"1": RAMPS[metal]}, x=(right - 1) // 2, y=top + 2)
    fittings = rng.choice(["plain", "corners", "ribs", "clasp"])
    if fittings == "corners":
        c.stamp("11\n.1", {"1": RAMPS["gold"]}, x=right - 1, y=top)
        c.stamp(".2\n22", {"1": RAMPS["gold"]}, x=right - 1, y=low - 1)
    elif fittings == "ribs":
        c.stamp("12\n..\n..\n..\n..\n..\n12", {"1": RAMPS["gold"]}, x=2, y=top + 2)
    elif fittings == "clasp":
        c.stamp("112\n122", {"1": RAMPS["gold"]}, x=right - 1, y=top + 4)
    mark = rng.choice(["no", "red", "gold", "sky-blue", "lime"])
    if mark != "no":
        c.stamp("12\n12", {"1": RAMPS[mark]}, x=right - 3, y=low + 2)
    return Look(
        f"{an(cover)} spell book with {an(metal)} {sign} sign",
        {"sign": sign, "fittings": fittings},
        {"cover": cover, "sign": metal, "bookmark": mark},
    )


WRITINGS = sheet("""
lines  | star   | circle | runes  | map    | eye
445445 | ..44.. | .4444. | 4.44.4 | 44.... | ......
...... | .4444. | 4....4 | 44.4.4 | ..4.5. | .4444.
545544 | 444444 | 4.44.4 | 4.4444 | ..44.4 | 44..44
...... | .4444. | 4....4 | ...... | .....4 | .4444.
4454.. | .4..4. | .4444. | 444.44 | 4.444. | ......
""")


def scroll(c: Canvas, rng: Random) -> Look:
    paper, ink = (
        rng.choice(["tan", "white", "yellow"]),
        rng.choice(["brown", "blue", "red", "purple", "black", "green"]),
    )
    knobs, trim = rng.choice(["no", "round", "long"]), rng.choice(["red", "gold", "brown", "blue", "green"])
    side = 4 if knobs == "round" else rng.choice([3, 4])
    top, low = rng.choice([(1, 12), (2, 12), (2, 11)])
    c.fill(box(side, top, 15 - side, low), RAMPS[paper], 0)
    c.fill(box(15 - side, top, 15 - side, low) | box(side, top + 3, 15 - side, top + 3), RAMPS[paper], 1)
    edge = side - 1
    for y in (top, low):
        for row, tone in enumerate((0, 1, 2)):
            c.fill(box(edge, y + row, 15 - edge, y + row), RAMPS[paper], tone)
        for x in (edge, 15 - edge):
            c.stamp("3\n5\n4", {"1": RAMPS[paper]}, x=x, y=y)
        if knobs != "no":
            reach = 1 if knobs == "round" else side - 2
            for x in (*range(edge - reach, edge), *range(16 - edge, 16 - edge + reach)):
                c.stamp("1\n2\n4" if knobs == "round" else "2", {"1": RAMPS[trim]}, x=x, y=y + (knobs == "long"))
    written = rng.choice(list(WRITINGS))
    c.stamp(WRITINGS[written], {"1": tuple(RAMPS[ink][min(i, 2)] for i in range(5))}, x=5, y=5)
    seal = rng.choice(["no", "middle", "left", "right"])
    if seal != "no":
        c.stamp(
            ".12.\n1223\n.33.",
            {"1": RAMPS["red" if ink != "red" else "blue"]},
            x={"left": side, "middle": 6, "right": 12 - side}[seal],
            y=low - 1,
        )
    return Look(
        f"{an(paper)} scroll with {ink} {written}" + (" and a seal" if seal != "no" else ""),
        {"writing": written, "knobs": knobs, "seal": seal},
        {"paper": paper, "ink": ink, "knobs": trim},
    )


NAMES = {"orange": "copper", "steel": "silver", "grey": "iron"}


def ring(c: Canvas, rng: Random) -> Look:
    metal, cut = rng.choice(METALS[:3] + ["orange"]), rng.choice(list(JEWELS))
    stone = rng.choice([name for name in MAGIC if metal in METALS[1:] or name not in ("yellow", "orange")])
    width, hole = rng.choice([5.6, 6.2]), rng.choice([3.1, 3.7])
    c.fill(ellipse(7.5, 9, width, 5.4), RAMPS[metal])
    c.erase(ellipse(7.5, 9.5, hole, hole - 0.5))
    setting = rng.choice(["bar", "cup", "leaves"])
    c.stamp(
        {"bar": "12222234", "cup": ".122234.\n..1234..", "leaves": "11.22.34\n.112334."}[setting],
        {"1": RAMPS[metal]},
        x=4,
        y=5,
    )
    sides = rng.choice(["no", "no", "red", "sky-blue", "lime", "purple", "white"])
    if sides != "no":
        c.stamp("12......12\n23......23", {"1": RAMPS[sides]}, x=3, y=6)
    c.stamp(JEWELS[cut], {"1": RAMPS[stone]}, x=5, y=1)
    return Look(
        f"{an(NAMES.get(metal, metal))} ring with {an(cut)} {stone} stone",
        {"cut": cut, "setting": setting, "side stones": "no" if sides == "no" else "two"},
        {"metal": NAMES.get(metal, metal), "stone": stone, "side stones": sides},
    )


def amulet(c: Canvas, rng: Random) -> Look:
    chain, stone, cut = (
        rng.choice(["gold", "steel", "brown", "red", "black"]),
        rng.choice(MAGIC),
        rng.choice(list(JEWELS)),
    )
    loop, mask = rng.choice(
        [
            ("round", ellipse(7.5, 5.5, 6.2, 4.9)),
            ("pointed", polygon((3, 1), (12, 1), (13, 3), (8, 10), (7, 10), (2, 3))),
            ("wide", ellipse(7.5, 4.5, 6.6, 3.9) | box(4, 4, 11, 8)),
        ]
    )
    c.fill(mask & ~_inner(mask), RAMPS[chain], "bevel")
    metal = rng.choice(METALS)
    pendant, plate = rng.choice(
        [
            ("round", ellipse(7.5, 11, 4.5, 3.7)),
            ("square", box(4, 8, 11, 14)),
            ("winged", polygon((1, 8), (14, 8), (9, 14), (6, 14))),
            ("diamond-shaped", polygon((7, 7), (8, 7), (12, 11), (8, 14), (7, 14), (3, 11))),
            ("plain", box(6, 8, 9, 9)),
        ]
    )
    c.fill(plate, RAMPS[metal], "bevel")
    c.stamp(JEWELS[cut], {"1": RAMPS[stone]}, x=5, y=9)
    return Look(
        f"{an(pendant)} {metal} amulet with {an(stone)} stone",
        {"pendant": pendant, "cut": cut, "chain": loop},
        {"chain": chain, "metal": metal, "stone": stone},
    )


DEPTHS = {  # what colour a gem may show in its depth
    "red": "magenta",
    "orange": "red",
    "yellow": "orange",
    "lime": "green",
    "green": "teal",
    "teal": "blue",
    "sky-blue": "blue",
    "blue": "purple",
    "purple": "blue",
    "magenta": "purple",
    "pink": "magenta",
    "white": "sky-blue",
}


def gem(c: Canvas, rng: Random) -> Look:
    colour, cut = rng.choice([*MAGIC, "white"]), rng.choice(["brilliant", "brilliant", "step", "crystal", "drop"])
    ramp, deep = RAMPS[colour], RAMPS[rng.choice([colour, DEPTHS[colour]])]
    {"brilliant": _brilliant, "step": _step_cut, "crystal": _crystal, "drop": _drop}[cut](c, rng, ramp, deep)
    c.stamp(*rng.choice([("w", {}, 5, 5), ("ww", {}, 5, 5), ("w\nw", {}, 5, 5), ("w", {}, 6, 4), (".w\nw.", {}, 5, 5)]))
    return Look(
        f"{an(colour)} {cut}-cut gem" if cut != "crystal" else f"{an(colour)} crystal", {"cut": cut}, {"gem": colour}
    )


def _brilliant(c: Canvas, rng: Random, ramp: Ramp, deep: Ramp) -> None:
    wide, table, top, low = rng.choice([5, 6]), rng.choice([2, 3, 4]), rng.choice([2, 3]), rng.choice([13, 14])
    waist = top + rng.choice([3, 4])
    left, right, inner = 7 - wide, 8 + wide, table - 1
    c.fill(polygon((left, waist), (right, waist), (8, low), (7, low)), deep, 3)
    c.fill(polygon((left, waist), (7, low), (7 - inner, waist)), deep, 2)
    c.fill(polygon((7 - inner, waist), (8 + inner, waist), (8, low), (7, low)), deep, 1)
    c.fill(polygon((8, waist), (8 + inner, waist), (8, low)), deep, 2)
    c.fill(polygon((7 - table, top), (8 + table, top), (right, waist), (left, waist)), ramp, 2)
    c.fill(polygon((7 - table, top), (left, waist), (7 - inner, waist)), ramp, 1)
    c.fill(polygon((7 - table, top), (8 + table, top), (8 + inner, waist), (7 - inner, waist)), ramp, 0)


def _step_cut(c: Canvas, rng: Random, ramp: Ramp, deep: Ramp) -> None:
    wide, tall, step = rng.choice([(4, 6, 3), (5, 6, 3), (6, 4, 3), (6, 5, 3), (4, 5, 2), (5, 5, 3)])
    y, x = np.mgrid[:SIZE, :SIZE]
    right, down = abs(x - 7.5), abs(y - 7.5)
    stone = (right < wide + 1) & (down < tall + 1) & (right + down < wide + tall + 1 - step + 1)
    across, along = (x - 7.5) / wide, (y - 7.5) / tall
    c.fill(stone, deep, 3)
    c.fill(stone & (across + along < 0.1), ramp, 1)
    c.fill(stone & (across > abs(along)), deep, 2)
    c.fill(stone & (across < -abs(along)), ramp, 2)
    inset = rng.choice([2, 3])
    table = (right < wide + 1 - inset) & (down < tall + 1 - inset)
    c.fill(table, ramp, 1)
    c.fill(table & (x - 7.5 + y - 7.5 < rng.choice([-1, 1])), ramp, 0)


def _crystal(c: Canvas, rng: Random, ramp: Ramp, deep: Ramp) -> None:
    wide, shoulder, hip, face = rng.choice([3, 4]), rng.choice([4, 5, 6]), rng.choice([9, 10, 11]), rng.choice([0, 1])
    c.fill(
        polygon(
            (7, 1),
            (8, 1),
            (8 + wide, shoulder),
            (8 + wide, hip),
            (8, 14),
            (7, 14),
            (7 - wide, hip),
            (7 - wide, shoulder),
        ),
        deep,
        3,
    )
    c.fill(polygon((7, 1), (7 - wide, shoulder), (7 - wide, hip), (7, 14)), ramp, 1)
    c.fill(
        polygon((7 - face, shoulder + 1), (8 + face, shoulder + 1), (8 + face, hip - 1), (7 - face, hip - 1)), ramp, 2
    )
    c.fill(polygon((7, 1), (7 - wide, shoulder), (7 - face, shoulder + 1), (7, shoulder)), ramp, 0)


def _drop(c: Canvas, rng: Random, ramp: Ramp, deep: Ramp) -> None:
    wide, middle, peak = rng.choice([4.6, 5.4]), rng.choice([9, 9.5]), rng.choice([5, 6, 7])
    shape = ellipse(7.5, middle, wide, 14.4 - middle) | polygon((7, 1), (8, 1), (12, peak + 2), (3, peak + 2))
    c.fill(shape, deep)
    core = ellipse(7.5, middle, wide - 2, 3) | polygon((7, 5), (8, 5), (9, 8), (6, 8))
    c.fill(core, ramp, rng.choice([0, 1]))
    c.fill(core & box(8, 1, 14, 14), ramp, 2)


ORB_STANDS = sheet("""
claw       | pedestal   | legs       | cushion    | ring
1........3 | ..122234.. | .......... | .......... | ..........
11......33 | ..233345.. | 1122223344 | .11111223. | 1122223344
.112..334. | ..122234.. | .12222334. | 1112222334 | .12222334.
..122334.. | .11222334. | .12....34. | 1222233345 | ..233345..
.12223344. | 1122223344 | 112....344 | .33344445. | .12222334.
""")
ORB_INSIDES = sheet("""
mist   | star  | moon | swirl | flame | nothing
..111. | ..1.. | .11. | .111. | .1..  | .
111... | .111. | 11.. | 1...1 | .11.  |
...111 | ..1.. | 11.. | 1.1.1 | 1111  |
       |       | .11. | ..11. | .11.  |
""")


def orb(c: Canvas, rng: Random) -> Look:
    colour, metal = rng.choice([*MAGIC, "white"]), rng.choice([*METALS, "brown"])
    radius = rng.choice([4.6, 5, 5.5])
    stand, art = pick(rng, ORB_STANDS)
    c.fill(ellipse(7.5, 6.5 if radius > 5 else 7, radius, radius), RAMPS[colour])
    inside, bits = pick(rng, ORB_INSIDES)
    glow = rng.choice(["white", "yellow", "sky-blue", "pink", "lime"])
    c.stamp(bits, {"1": RAMPS[glow]}, x=6, y=rng.choice([5, 6]))
    c.stamp("ww\nw.", {}, x=5, y=3)
    c.stamp(art, {"1": RAMPS["red" if stand == "cushion" and metal == "black" else metal]}, x=3, y=10)
    return Look(
        f"{an(colour)} crystal ball on {an(metal)} {stand}",
        {"stand": stand, "inside": inside},
        {"ball": colour, "stand": metal, "glow": glow},
    )


FIREBALL_CORES = sheet("""
bright | small | wide | tall
ww     | w     | .w   | w
ww     |       | ww   | w
""")


def fireball(c: Canvas, rng: Random) -> Look:
    name, ramps = rng.choice(
        [
            ("red", ("red", "orange", "yellow")),
            ("orange", ("orange", "yellow", "white")),
            ("blue", ("blue", "sky-blue", "white")),
            ("purple", ("purple", "magenta", "pink")),
            ("green", ("green", "lime", "yellow")),
            ("crimson", ("magenta", "red", "orange")),
            ("teal", ("teal", "sky-blue", "white")),
        ]
    )
    tips = (
        rng.choice([(10, 1), (8, 1), (7, 2), (9, 3)]),
        rng.choice([(14, 2), (13, 1), (12, 2)]),
        rng.choice([(14, 7), (14, 8), (13, 7), (12, 8)]),
    )
    roots = (((2, 8), (8, 8)), ((4, 7), (9, 11)), ((7, 7), (8, 13)))
    radius = rng.choice([4, 4.3, 4.6])
    for ramp, size, reach in zip(ramps, (1, 0.72, 0.42), (1, 0.6, 0.3), strict=True):
        mask = ellipse(5.5, 9.5, radius * size, radius * size)
        for (tx, ty), (a, b) in zip(tips, roots, strict=True):
            points = [
                (5.5 + (x - 5.5) * k, 9.5 + (y - 9.5) * k) for (x, y), k in ((a, size), (b, size), ((tx, ty), reach))
            ]
            mask |= polygon(*points)
        c.fill(mask & box(1, 1, 14, 14), RAMPS[ramp], 1)
    heart, art = pick(rng, FIREBALL_CORES)
    c.stamp(art, {}, x=5, y=9)
    if mirrored := rng.random() < 0.5:
        c.mirror()
    return Look(
        f"{an(name)} fireball flying to the {'right' if mirrored else 'left'}",
        {"direction": "right" if mirrored else "left", "core": heart},
        {"fire": name},
    )


ICE_SHARD_DRIFTS = sheet("""
low          | mounds       | ridge        | banks
..11112222.. | .11...1122.. | ...111222... | 11......1222
111222222223 | 111111222223 | 111122222233 | 111222222233
""")


def ice_shard(c: Canvas, rng: Random) -> Look:
    colour = rng.choice(["sky-blue", "sky-blue", "teal", "blue", "purple"])
    base = rng.choice(["sky-blue", "white", "steel", "blue"])
    count = rng.choice([2, 3, 3, 4])
    shards = [((7, 8), (7 + rng.choice([-1, 0, 1, 2]), rng.choice([1, 2])), 3)]
    shards.append(((4, 6), (rng.choice([1, 2, 3]), rng.choice([4, 6, 7])), 2))
    if count > 2:
        shards.append(((11, 12), (rng.choice([12, 13]), rng.choice([5, 6, 8])), 2))
    if count > 3:
        shards.append(((9, 10), (rng.choice([9, 10]), 9), 2))
    for (x0, x1), (tx, ty), half in shards:
        mid = (x0 + x1) // 2
        shoulder = ty + 3
        c.fill(polygon((tx, ty), (min(tx + half, 14), shoulder), (x1 + half - 1, 14), (mid, 14)), RAMPS[colour], 3)
        c.fill(polygon((tx, ty), (max(tx - half + 1, 1), shoulder), (x0 - half + 1, 14), (mid, 14)), RAMPS[colour], 1)
        c.fill(line((tx, ty + 1), (tx, shoulder), (mid, 14)), RAMPS[colour], 0)
    drift, art = pick(rng, ICE_SHARD_DRIFTS)
    c.stamp(art, {"1": RAMPS[base]}, x=2, y=13)
    return Look(
        f"{['two', 'three', 'four'][count - 2]} {colour} ice shards",
        {"shards": str(count), "ground": drift},
        {"ice": colour, "ground": base},
    )


def lightning_bolt(c: Canvas, rng: Random) -> Look:
    colour = rng.choice(["yellow", "yellow", "gold", "sky-blue", "purple", "pink", "lime", "orange", "blue", "magenta"])
    top, mid, wide = rng.choice([6, 7, 8]), rng.choice([-1, 0, 1]), rng.choice([4, 5])
    upper, lower, foot = rng.choice([5, 6]), rng.choice([8, 9]), rng.choice([3, 4, 5, 6])
    shape = polygon(
        (top, 1), (top + wide, 1), (9 + mid, upper), (13 + mid, upper), (foot, 14), (7 + mid, lower), (2 + mid, lower)
    )
    fork, branch = rng.choice(
        [
            ("no", box(0, 0, 0, 0)),
            ("right", polygon((9, 8), (11, 9), (13, 13), (10, 11))),
            ("top", polygon((9, 3), (13, 3), (10, 6))),
        ]
    )
    ramp = RAMPS[colour]
    c.fill(shape | branch & FRAME, paler(ramp), "bevel")
    core = rng.choice(["plain", "white", "pale"])
    if core != "plain":
        path = line((top + wide - 3, 2), (5 + mid, lower - 1), (9 + mid, lower - 1), (7, 11))
        c.fill(path & _inner(shape), RAMPS["white" if core == "white" else colour], 0)
    return Look(
        f"{an(colour)} lightning bolt" + (f" forked at the {fork}" if fork != "no" else ""),
        {"fork": fork, "core": core, "width": "wide" if wide == 5 else "narrow"},
        {"bolt": colour},
    )


# The handle of a key and the opening in it.
KEY_BOWS = {
    "round": (ellipse(7.5, 5, 5.2, 4.4), ellipse(7.5, 5, 3.2, 2.4)),
    "square": (box(3, 1, 12, 8), box(5, 3, 10, 6)),
    "diamond": (
        polygon((7, 1), (8, 1), (13, 5), (8, 9), (7, 9), (2, 5)),
        polygon((7, 3), (8, 3), (10, 5), (8, 7), (7, 7), (5, 5)),
    ),
    "heart": (
        ellipse(4.5, 4, 3.4, 3.4) | ellipse(10.5, 4, 3.4, 3.4) | polygon((1, 5), (14, 5), (8, 9), (7, 9)),
        polygon((4, 3), (6, 3), (7, 4), (8, 4), (9, 3), (11, 3), (11, 5), (8, 7), (7, 7), (4, 5)),
    ),
    "oval": (ellipse(7.5, 5, 4.2, 4.4), ellipse(7.5, 5, 2, 2.4)),
    "crown": (polygon((2, 2), (5, 4), (7, 1), (8, 1), (10, 4), (13, 2), (12, 8), (3, 8)), box(6, 5, 9, 6)),
}


KEY_TEETH = sheet("""
two  | square | three | comb  | block | steps | hook
1223 | 1122   | 1223  | 12223 | 1223  | 12..  | 1223
.... | 2..3   | ....  | 1.2.3 | 1223  | 122.  | ..23
1222 | 2233   | 12..  |       | 1.23  | 1223  |
     |        | ....  |       |       |       |
     |        | 1223  |       |       |       |
""")
KEY_COLLARS = sheet("""
no | narrow | wide   | double
.  | .1223. | 112233 | .1223.
   |        |        | .2334.
""")


def key(c: Canvas, rng: Random) -> Look:
    metal, bow = (
        rng.choice(["gold", "gold", "steel", "grey", "orange", "teal", "red", "purple", "sky-blue"]),
        rng.choice(list(KEY_BOWS)),
    )
    ramp, (shape, hole) = RAMPS[metal], KEY_BOWS[bow]
    c.fill(box(7, 8, 7, 14), ramp, 1)
    c.fill(box(8, 8, 8, 14), ramp, 3)
    c.fill(shape, ramp)
    stone = rng.choice(
        [name for name in ("no", "no", "no", "red", "sky-blue", "lime", "purple", "pink", "blue") if name != metal]
    )
    c.erase(hole)
    if stone != "no":
        c.fill(_inner(hole) if _inner(hole).any() else hole, RAMPS[stone])
    teeth, art = pick(rng, KEY_TEETH)
    side, rows = rng.choice(["left", "right"]), art.split("\n")
    x = 9 if side == "right" else 7 - len(rows[0])
    c.stamp(art, {"1": ramp}, x=x, y=14 - len(rows) - (len(rows) < 4) * rng.choice([0, 1]), flip=side == "left")
    collar, ring_art = pick(rng, KEY_COLLARS)
    c.stamp(ring_art, {"1": ramp}, x=5, y=9)
    return Look(
        f"{an(NAMES.get(metal, metal))} key with {an(bow)} handle"
        + (f" and {an(stone)} stone" if stone != "no" else ""),
        {"handle": bow, "teeth": f"{teeth} {side}", "collar": collar},
        {"metal": NAMES.get(metal, metal), "stone": stone},
    )


SHIELDS = {
    "heater": polygon((2, 1), (13, 1), (14, 2), (14, 7), (12, 11), (8, 14), (7, 14), (3, 11), (1, 7), (1, 2)),
    "round": ellipse(7.5, 7.5, 6.8, 6.8),
    "kite": polygon((5, 1), (10, 1), (12, 3), (12, 6), (8, 14), (7, 14), (3, 6), (3, 3)),
    "tower": polygon((3, 2), (6, 1), (9, 1), (12, 2), (13, 13), (11, 14), (4, 14), (2, 13)),
    "pointed": polygon((1, 3), (4, 3), (7, 1), (8, 1), (11, 3), (14, 3), (13, 9), (8, 14), (7, 14), (2, 9)),
    "horned": polygon((1, 2), (4, 3), (11, 3), (14, 2), (14, 6), (12, 11), (8, 14), (7, 14), (3, 11), (1, 6)),
    "oval": ellipse(7.5, 7.5, 5.4, 6.9),
    "long": polygon((3, 1), (12, 1), (12, 9), (8, 14), (7, 14), (3, 9)),
    "square": box(2, 3, 13, 12) | box(3, 2, 12, 13),
    "crested": polygon((2, 3), (5, 3), (6, 1), (9, 1), (10, 3), (13, 3), (13, 8), (8, 14), (7, 14), (2, 8)),
    "wide": polygon((1, 3), (14, 3), (14, 7), (10, 13), (5, 13), (1, 7)),
    "six-sided": polygon((7, 1), (8, 1), (13, 4), (13, 11), (8, 14), (7, 14), (2, 11), (2, 4)),
}


def shield(c: Canvas, rng: Random) -> Look:
    shape, rim = rng.choice(list(SHIELDS)), rng.choice(["gold", "steel", "grey", "brown"])
    field = rng.choice([*CLOTH, "sky-blue", "orange", "magenta"])
    second = rng.choice([colour for colour in ("white", "yellow", "red", "blue", "green", "black") if colour != field])
    mask = SHIELDS[shape]
    c.fill(mask, RAMPS[rim], "bevel")
    inner = _inner(mask)
    c.fill(inner, RAMPS[field])
    y, x = np.mgrid[:SIZE, :SIZE]
    division, part = rng.choice(
        [
            ("plain", inner & False),
            ("plain", inner & False),
            ("halved", inner & (x >= 8)),
            ("quartered", inner & ((x >= 8) ^ (y >= 7))),
            ("chevron", inner & (abs(y - 4.5 - abs(x - 7.5)) <= 1)),
            ("barred", inner & (y >= 6) & (y <= 8)),
            ("striped", inner & (x >= 6) & (x <= 9)),
            ("topped", inner & (y <= 4)),
        ]
    )
    c.fill(part, RAMPS[second], 1)
    c.fill(part & (x + y > 15), RAMPS[second], 2)
    crests = [*SIGNS, "jewel", "boss"] if division in ("plain", "topped") else ["no", "boss", "jewel"]
    crest, metal = rng.choice(crests), rng.choice(["gold", "steel"])
    if crest == "boss":
        c.fill(ellipse(7.5, 7.5, 2.6, 2.6), RAMPS[rim])
    elif crest == "jewel":
        c.stamp(JEWELS["round"], {"1": RAMPS["sky-blue" if field != "sky-blue" else "red"]}, x=5, y=5)
    elif crest != "no":
        c.stamp(SIGNS[crest], {"1": RAMPS[metal]}, x=5, y=5)
    return Look(
        f"{an(shape)} {field} shield with {an(rim)} rim" + (f" and {an(crest)}" if crest != "no" else ""),
        {"shape": shape, "division": division, "crest": crest},
        {"field": field, "second": second, "rim": rim},
    )


BOW_HEADS = sheet("""
broad | barbed | long
1..   | 1...   | .1..
112   | .112   | 1112
233   | .233   | 2233
3..   | 3...   | .3..
""")


def bow(c: Canvas, rng: Random) -> Look:
    wood, fletching, metal = (
        rng.choice([*WOODS, "gold", "teal"]),
        rng.choice(MAGIC),
        rng.choice(["steel", "gold", "grey", "sky-blue"]),
    )
    reach, (string, nock) = rng.choice([8, 9]), rng.choice([("straight", 4), ("half-drawn", 3), ("drawn", 2)])
    y, x = np.mgrid[:SIZE, :SIZE]
    limbs = ellipse(3, 7.5, reach, 6.9) & ~ellipse(3, 7.5, reach - 2.2, 5.3) & (x >= 4)
    c.fill(line((4, 2), (nock, 7)) | line((4, 13), (nock, 8)), RAMPS["white"], 1)
    c.fill(limbs, RAMPS[wood], 1)
    c.fill(limbs & ((y > 8) | ~ellipse(2.3, 7.5, reach - 0.4, 6.9)), RAMPS[wood], 2)
    tips = rng.choice(["plain", "curled", "capped"])
    if tips != "plain":
        ramp = RAMPS[wood if tips == "curled" else metal]
        c.stamp("12", {"1": ramp}, x=3, y=1)
        c.stamp("23", {"1": ramp}, x=3, y=14)
    wrap, wide = rng.choice([wood, *CLOTH]), rng.choice([2, 3])
    c.fill(limbs & (abs(y - 7.5) <= wide), RAMPS[wrap], 2)
    c.fill(box(nock, 7, 12, 7), RAMPS["tan"], 0)
    c.fill(box(nock, 8, 12, 8), RAMPS["tan"], 2)
    c.stamp("112.\n.122\n.123\n223.", {"1": RAMPS[fletching]}, x=nock - 1, y=6)
    head, art = pick(rng, BOW_HEADS)
    c.stamp(art, {"1": RAMPS[metal]}, x=15 - len(art.split("\n")[1]), y=6)
    return Look(
        f"{an(wood)} bow and an arrow with {fletching} feathers",
        {"string": string, "arrowhead": head, "tips": tips},
        {"wood": wood, "feathers": fletching, "arrowhead": metal, "grip": wrap},
    )


def axe(c: Canvas, rng: Random) -> Look:
    wood, wrap = rng.choice(["brown", "tan", "black", "red"]), rng.choice([*CLOTH, "gold"])
    metal = rng.choice(["steel", "steel", "grey", "gold", "sky-blue", "red", "teal"])
    kind, back = rng.choice([("single", 2), ("bearded", 2), ("double", 9), ("spiked", 8), ("broad", 2), ("hooked", 5)])
    reach, flare, middle = rng.choice([9, 10]), rng.choice([0.4, 0.55]), rng.choice([15, 16])
    _diagonal(c, RAMPS[wood], "134", 2, rng.choice([20, 22]))
    along, across = _ways()
    for side, far in ((-1, reach), (1, back)):
        out, way = across * side, (along - middle) * side
        bulge = out + (way / 6.5) ** 2
        spread = 5.5 - 0.6 * out if side > 0 and kind in ("spiked", "hooked") else 1.6 + flare * out + (kind == "broad")
        beard = (kind == "bearded") & (side < 0) & (out >= 4) & (way > 0) & (way <= out - 1) & (out <= far)
        blade = ((out >= 1) & (bulge <= far) & (abs(way) <= spread) | beard) & FRAME
        tone = 1 if side < 0 else 2
        c.fill(blade, RAMPS[metal], tone + 1)
        c.fill(blade & (out <= 3), RAMPS[metal], tone + 2)
        c.fill(blade & (bulge > far - 3), RAMPS[metal], tone - 1)
    bands = rng.choice([(), (4,), (4, 7), (2, 5, 8), (8,)])
    for start in bands:
        _diagonal(c, RAMPS[wrap], "134", start, start + 1)
    return Look(
        f"{an(kind)} {metal} axe",
        {"head": kind, "wraps": str(len(bands))},
        {"blade": metal, "handle": wood, "wrap": wrap},
    )


def hammer(c: Canvas, rng: Random) -> Look:
    metal, band = (
        rng.choice(["steel", "grey", "gold", "brown", "black", "teal", "purple"]),
        rng.choice(["gold", "steel", "red", "sky-blue"]),
    )
    wood, wrap = rng.choice(["brown", "tan", "black", "red"]), rng.choice(CLOTH)
    kind, thick, wide, middle = (
        rng.choice(["block", "flared", "round", "spiked"]),
        rng.choice([3, 4]),
        rng.choice([7, 8]),
        rng.choice([16, 17]),
    )
    along, across = _ways()
    _diagonal(c, RAMPS[wood], "134", 2, middle)
    spread = {
        "block": thick,
        "flared": thick - 1.2 + 0.35 * abs(across),
        "round": thick + 0.5 - 2 * (abs(across) > wide - 1),
        "spiked": np.minimum(thick, 1.2 * thick - 0.45 * across),
    }[kind]
    head = (abs(along - middle) <= spread) & (across >= -wide) & (across <= wide + (kind == "spiked")) & FRAME
    c.fill(head, RAMPS[metal], 2)
    c.fill(head & (along > middle + 1), RAMPS[metal], 1)
    c.fill(head & (along < middle - 1), RAMPS[metal], 3)
    c.fill(head & (across < 3 - wide), RAMPS[metal], 0)
    mark, lanes = rng.choice(
        [
            ("no", across > 99),
            ("middle", abs(across) <= 1),
            ("pair", abs(abs(across) - 4.5) <= 0.5),
            ("cap", across > wide - 3),
        ]
    )
    c.fill(head & lanes, RAMPS[band], 1)
    c.fill(head & lanes & (along < middle), RAMPS[band], 2)
    bands = rng.choice([(), (4,), (4, 7), (2, 5), (8,)])
    for start in bands:
        _diagonal(c, RAMPS[wrap], "134", start, start + 1)
    return Look(
        f"{an(kind)} {metal} hammer",
        {"head": kind, "band": mark, "wraps": str(len(bands))},
        {"head": metal, "handle": wood, "band": band, "wrap": wrap},
    )


BOMB_SPARKS = sheet("""
star  | flame | cross
..1.. | ..1.  | .11.
.1w1. | .11.  | 1ww1
1www1 | 11w1  | 1ww1
.1w1. | 1ww1  | .11.
..1.. | .11.  |
""")


def bomb(c: Canvas, rng: Random) -> Look:
    body, metal = rng.choice(["black", "black", "grey", "blue", "red", "purple", "green"]), rng.choice(METALS[:3])
    spark, cord, radius = (
        rng.choice(["yellow", "orange", "red", "sky-blue", "lime", "pink"]),
        rng.choice(["tan", "white", "brown"]),
        rng.choice([4.6, 5.2]),
    )
    ball = ellipse(6.5, 9.5, radius, radius - 0.1)
    c.fill(ball, RAMPS[body])
    band, place = rng.choice(
        [
            ("no", box(0, 0, 0, 0)),
            ("belt", box(1, 9, 14, 10)),
            ("strap", box(6, 4, 7, 14)),
            ("belts", box(1, 7, 14, 7) | box(1, 12, 14, 12)),
        ]
    )
    c.fill(ball & place, RAMPS[metal], 2)
    c.fill(ball & place & box(1, 1, 5, 14), RAMPS[metal], 1)
    fuse, points = rng.choice(
        [("straight", ((9, 6), (12, 3))), ("bent", ((10, 5), (10, 3), (12, 3))), ("low", ((10, 5), (12, 5), (12, 3)))]
    )
    c.fill(line(*points, width=2), RAMPS[cord], 1)
    c.stamp("112.\n1223\n.233", {"1": RAMPS[metal]}, x=7, y=5)
    shape, art = pick(rng, BOMB_SPARKS)
    c.stamp(art, {"1": RAMPS[spark][1]}, x=15 - len(art.split("\n")[0]), y=1)
    c.stamp("w.\nw.", {}, x=4, y=7)
    return Look(
        f"{an(body)} bomb with a {fuse} fuse",
        {"fuse": fuse, "spark": shape, "band": band},
        {"body": body, "spark": spark, "metal": metal, "fuse": cord},
    )


def coins(c: Canvas, rng: Random) -> Look:
    heights = rng.choice([2, 3, 4, 5]), rng.choice([2, 3, 4, 5]), rng.choice([1, 2])
    metals = [rng.choice(["gold", "gold", "gold", "steel", "orange"]) for _ in heights]
    for x, base, height, metal in zip((1, 9, rng.choice([4, 5, 6])), (12, 12, 13), heights, metals, strict=True):
        _stack(c, RAMPS[metal], x, base, height)
    extra = rng.choice(["no", "coin", "gem", "both"])
    stone = rng.choice(MAGIC)
    if extra in ("coin", "both"):
        c.stamp(".112.\n12234\n12344\n.344.", {"1": RAMPS[rng.choice(metals)]}, x=2, y=10)
    if extra in ("gem", "both"):
        c.stamp(".12.\n1w23\n2234\n.34.", {"1": RAMPS[stone]}, x=10, y=10)
    return Look(
        f"a {NAMES.get(metals[0], metals[0])} coin pile"
        + (f" with {an(stone)} gem" if extra in ("gem", "both") else ""),
        {"stacks": "-".join(map(str, heights)), "extra": extra},
        {"coins": "-".join(NAMES.get(metal, metal) for metal in metals), "gem": stone},
    )


def _stack(c: Canvas, ramp: Ramp, x: int, base: int, height: int) -> None:
    for i in range(height):
        c.stamp("122334\n#5555#", {"1": ramp}, x=x, y=base - 2 * i)
    c.stamp(".1112.\n112223", {"1": ramp}, x=x, y=base - 2 * height)


CROWN_BANDS = sheet("""
one stone    | three stones | five stones  | two stones
....1223.... | .12..12..12. | 1.12.12.12.1 | ..12....12..
....2334.... | .23..23..23. | 2.23.23.23.2 | ..23....23..
""")


def crown(c: Canvas, rng: Random) -> Look:
    metal, stone = rng.choice(["gold", "gold", "gold", "steel", "orange", "teal"]), rng.choice(MAGIC)
    velvet = rng.choice(["red", "purple", "blue", "green", "magenta", "no"])
    middle, outer, valley = rng.choice([2, 3]), rng.choice([3, 4, 5]), rng.choice([7, 8])
    count = rng.choice(["three", "five"])
    if velvet != "no":
        c.fill(ellipse(7.5, 9, 4.6, 4.6), RAMPS[velvet])
    if count == "three":
        edge = [(1, outer), (4, valley), (7, middle), (8, middle), (11, valley), (14, outer)]
    else:
        edge = [
            (1, outer),
            (3, valley),
            (4, middle + 1),
            (6, valley),
            (7, middle),
            (8, middle),
            (9, valley),
            (11, middle + 1),
            (12, valley),
            (14, outer),
        ]
    c.fill(polygon(*edge, (13, 12), (12, 13), (3, 13), (2, 12)), RAMPS[metal])
    tips = rng.choice(["plain", "balls", "stones"])
    if tips != "plain":
        ramp = RAMPS[stone if tips == "stones" else metal]
        c.stamp("12\n23", {"1": ramp}, x=7, y=middle - 1)
        for x in (1, 13):
            c.stamp("12\n23", {"1": ramp}, x=x, y=outer - 1)
    c.stamp("111222233334", {"1": RAMPS[metal]}, x=2, y=10)
    c.fill(box(3, 13, 12, 13), RAMPS[metal], 3)
    band, art = pick(rng, CROWN_BANDS)
    c.stamp(art, {"1": RAMPS[stone]}, x=2, y=11)
    return Look(
        f"{an(NAMES.get(metal, metal))} crown with {count} points and {stone} stones",
        {"points": count, "tips": tips, "band": band},
        {"metal": NAMES.get(metal, metal), "velvet": velvet, "stone": stone},
    )


LANTERN_HANDLES = sheet("""
ring   | hook | loop | knob
.1223. | 1223 | .12. | 1223
12..34 | ...3 | 1..3 | .23.
2....4 | ..34 | 1..3 | 1223
""")
LANTERN_FLAMES = sheet("""
tall  | small | round
..1.. | ..1.  | .11.
.11.. | .11.  | 1ww1
.1w1. | 1ww1  | 1ww1
1ww1. | .11.  | .11.
.11.. |       |
""")


def lantern(c: Canvas, rng: Random) -> Look:
    metal, glow = (
        rng.choice(["gold", "steel", "grey", "black", "brown", "red", "green"]),
        rng.choice(["yellow", "yellow", "orange", "sky-blue", "lime", "pink", "purple"]),
    )
    ramp = RAMPS[metal]
    shape, glass = rng.choice(
        [
            ("square", box(3, 6, 12, 12)),
            ("round", ellipse(7.5, 9, 6, 4)),
            ("tapered", polygon((2, 6), (13, 6), (11, 12), (4, 12))),
            ("slim", box(4, 6, 11, 12)),
            ("bell-shaped", polygon((5, 6), (10, 6), (13, 12), (2, 12))),
        ]
    )
    handle, art = pick(rng, LANTERN_HANDLES)
    c.stamp(art, {"1": ramp}, x=(16 - len(art.split("\n")[0])) // 2, y=1)
    c.fill(glass, RAMPS[glow], 2)
    c.fill(_inner(glass), RAMPS[glow], 1)
    flame, fire = pick(rng, LANTERN_FLAMES)
    c.stamp(fire, {"1": RAMPS[glow]}, x=6, y=7)
    bars, mask = rng.choice(
        [
            ("no", glass & False),
            ("edges", glass & ~_inner(glass)),
            ("sides", glass & (box(1, 6, 4, 12) | box(11, 6, 14, 12)) & ~_inner(_inner(glass))),
        ]
    )
    c.fill(mask, ramp, "bevel")
    c.stamp(
        rng.choice(["...1234...\n..112334..\n1112233344", "..112334..\n.11223344.", "1122233344"]),
        {"1": ramp},
        x=3,
        y=4,
    )
    c.stamp(rng.choice(["1122333444\n.22333444.", ".11223344.\n1122233445", "1122233444"]), {"1": ramp}, x=3, y=13)
    return Look(
        f"{an(shape)} {metal} lantern with {an(glow)} flame",
        {"shape": shape, "handle": handle, "bars": bars, "flame": flame},
        {"metal": metal, "light": glow},
    )


HOURGLASS_PLATES = sheet("""
flat         | stepped      | knobbed
111222222334 | .1122222334. | 112222222334
223333333445 | 112233333445 | 1233....2345
""")


def hourglass(c: Canvas, rng: Random) -> Look:
    frame, sand = rng.choice(["gold", "steel", "brown", "tan", "black", "red", "purple"]), rng.choice([*MAGIC, "tan"])
    wide, posts = rng.choice([(5, "no"), (4, "no"), (4, "two")])
    bulb, tint = rng.choice(["angular", "rounded", "pinched"]), rng.choice(["sky-blue", "white", "steel"])
    glass = polygon((8 - wide, 3), (7 + wide, 3), (7 + wide, 5), (8, 8), (7, 8), (8 - wide, 5))
    if bulb == "pinched":
        glass = polygon((8 - wide, 3), (7 + wide, 3), (7 + wide, 4), (8, 6), (8, 8), (7, 8), (7, 6), (8 - wide, 4))
    elif bulb == "rounded":
        glass = ellipse(7.5, 4, wide, 3.4) & box(1, 3, 14, 7) | box(7, 7, 8, 8)
    glass |= glass[::-1]
    c.fill(glass, RAMPS[tint], 0)
    c.fill(glass & box(9, 1, 14, 14), RAMPS[tint], 1)
    level = rng.choice([3, 4, 5, 6])
    c.fill(_inner(glass) & box(1, level, 14, 8), RAMPS[sand], 1)
    c.fill(box(7, 7, 8, 12), RAMPS[sand], 1)
    c.fill(glass & polygon((7, 14 - level), (8, 14 - level), (7 + wide, 12), (8 - wide, 12)), RAMPS[sand])
    trim = rng.choice([frame, "gold", "steel", "red"])
    plate, art = pick(rng, HOURGLASS_PLATES)
    c.stamp(art, {"1": RAMPS[frame]}, x=2, y=1)
    c.stamp("\n".join(reversed(art.split("\n"))), {"1": RAMPS[frame]}, x=2, y=13)
    c.fill(box(6, 1, 9, 1) | box(6, 14, 9, 14), RAMPS[trim], 1)
    if posts == "two":
        c.fill(box(2, 3, 2, 12), RAMPS[frame], 1)
        c.fill(box(13, 3, 13, 12), RAMPS[frame], 3)
    return Look(
        f"{an(frame)} hourglass with {sand} sand",
        {"posts": posts, "bulbs": bulb, "plates": plate, "sand": str(7 - level)},
        {"frame": frame, "sand": sand, "trim": trim},
    )


def feather(c: Canvas, rng: Random) -> Look:
    colour, tip = (
        rng.choice([*MAGIC, "white", "black", "brown", "grey"]),
        rng.choice(["same", "white", "black", "gold", "red", "sky-blue"]),
    )
    wide, bend = rng.choice([3.4, 4.2, 5]), rng.choice([-1.5, 0, 1.5])
    along, across = _ways()
    across = across - np.round(bend * (1 - ((along - 14) / 11) ** 2)).astype(int)
    width = wide * np.sqrt(np.clip((along - 6) * (26 - along), 0, None)) / 10
    vane = (abs(across) <= width) & box(2, 2, 13, 13)
    pattern, start, stop = rng.choice([("tip", 20, 27), ("stripe", 13, 17), ("base", 5, 11)])
    marked = vane & (along >= start) & (along <= stop)
    for mask, name in ((vane, colour), (marked, colour if tip == "same" else tip)):
        c.fill(mask & (across < 0), RAMPS[name], 1)
        c.fill(mask & (across > 0), RAMPS[name], 2)
    for side, at in ((rng.choice([-1, 1]), rng.choice([11, 13])), (rng.choice([-1, 1]), rng.choice([16, 18]))):
        c.erase(vane & (across * side >= 2) & (abs(along - at - across * side) <= 1))
    c.fill((across == 0) & (along >= 2) & (along <= 22) & FRAME, RAMPS["white"], 0)
    c.fill((across == 1) & (along >= 2) & (along <= 8) & FRAME, RAMPS["white"], 2)
    second = "" if tip in ("same", colour) else f" with {an(tip)} {pattern}"
    return Look(
        f"{an(colour)} feather{second}",
        {
            "width": {3.4: "narrow", 4.2: "medium", 5: "wide"}[wide],
            "pattern": pattern,
            "bend": {-1.5: "up", 0: "straight", 1.5: "down"}[bend],
        },
        {"feather": colour, "marking": tip},
    )


SLABS = {
    "rounded": polygon((5, 1), (10, 1), (12, 4), (13, 11), (12, 14), (3, 14), (2, 11), (3, 4)),
    "tall": polygon((5, 2), (9, 1), (11, 3), (12, 13), (11, 14), (4, 14), (3, 13), (4, 4)),
    "pebble": ellipse(7.5, 8, 6.6, 5.6),
    "slanted": polygon((3, 4), (10, 1), (12, 3), (13, 13), (12, 14), (3, 14), (2, 13)),
    "hexagonal": polygon((5, 1), (10, 1), (14, 6), (14, 9), (10, 14), (5, 14), (1, 9), (1, 6)),
    "arched": ellipse(7.5, 6.5, 5.5, 5.5) | box(2, 7, 13, 13) | box(3, 14, 12, 14),
}

RUNES = sheet("""
fork    | fish  | arrow | bolt  | flag  | diamond | gate  | spiral
1..1..1 | 1...1 | ..1.. | ...11 | 111.. | ..1..   | 1...1 | .111.
.1.1.1. | 11.11 | .111. | ..11. | 1..1. | .1.1.   | 11..1 | 1...1
..111.. | .1.1. | 1.1.1 | .11.. | 111.. | 1...1   | 1.1.1 | 1.1.1
...1... | ..1.. | ..1.. | 11111 | 1.1.. | .1.1.   | 1..11 | 1.111
...1... | .1.1. | ..1.. | ..11. | 1..1. | .111.   | 1...1 | 1....
...1... | 1...1 | ..1.. | .11.. | 1...1 | 1...1   | 1...1 | .111.
""")


def rune_stone(c: Canvas, rng: Random) -> Look:
    stone, glow = rng.choice(["grey", "steel", "tan", "brown", "black"]), rng.choice(MAGIC)
    shape, rune = rng.choice(list(SLABS)), rng.choice(list(RUNES))
    c.fill(SLABS[shape], RAMPS[stone])
    chip, gap = rng.choice(
        [
            ("no", box(0, 0, 0, 0)),
            ("left", polygon((0, 9), (3, 10), (0, 12))),
            ("right", polygon((15, 4), (11, 5), (15, 7))),
            ("top", polygon((9, 0), (10, 3), (13, 0))),
        ]
    )
    c.erase(gap)
    wear, art, x, y = rng.choice(
        [
            ("smooth", ".", 5, 5),
            ("cracked", "4..\n44.\n.44", 3, 10),
            ("mossy", "1.12\n1223\n.33.", 8, 11),
            ("mossy", "112.\n123.\n.3..", 4, 3),
        ]
    )
    c.stamp(art, {"1": RAMPS["green" if wear == "mossy" else stone]}, x=x, y=y)
    left = 8 - (len(RUNES[rune].split("\n")[0]) + 1) // 2
    c.stamp(RUNES[rune], {"1": RAMPS[stone][4]}, x=left + 1, y=6)
    c.stamp(RUNES[rune], {"1": RAMPS[glow][rng.choice([0, 1])]}, x=left, y=5)
    return Look(
        f"{an(shape)} {stone} stone with {an(glow)} rune",
        {"shape": shape, "rune": rune, "wear": wear, "chip": chip},
        {"stone": stone, "rune": glow},
    )


HEART_EXTRAS = {
    "cracked": [("..#\n.#.\n.##\n..#\n.#.\n#..", 6, 4, False)],
    "bandage": [("..12\n.112\n122.\n12..", 8, 6, False)],
    "winged": [("1..\n112\n122\n.12\n..2", 1, 4, False), ("1..\n112\n122\n.12\n..2", 12, 4, True)],
    "arrow": [("11.\n.12\n..2", 12, 1, False), ("..12\n1.23\n112.\n.11.", 1, 10, False)],
    "crowned": [("1.12.3\n111223\n222334\n.2334.", 5, 2, False)],
}


HEART_SHINES = sheet("""
round | long | small | double
ww    | .w   | ww    | ww.
w.    | w.   |       | w..
      | w.   |       | ...
      |      |       | w..
""")


def heart(c: Canvas, rng: Random) -> Look:
    colour = rng.choice(["red", "red", "pink", "magenta", "purple", "blue", "green", "orange", "yellow", "sky-blue"])
    trim = rng.choice([name for name in ("gold", "steel", "white", "sky-blue", "lime") if name != colour])
    extra = rng.choice(
        ["plain", "framed", "framed", "cracked", "arrow", "bandage", "winged", "crowned", "belted", "belted"]
    )
    low, top, inset = (
        rng.choice([13, 14]),
        4 if extra == "crowned" else 2,
        {"winged": 2, "arrow": 1}.get(extra, rng.choice([0, 0, 1])),
    )
    shape = _heart_shape(inset, top, low)
    if extra == "framed":
        c.fill(shape, RAMPS[trim], "bevel")
        shape = _inner(shape)
    c.fill(shape, RAMPS[colour])
    shine, art = pick(rng, HEART_SHINES)
    c.stamp(art, {}, x=3 + inset, y=top + 2)
    glow = rng.choice(["no", "low", "side"])
    if glow != "no":
        c.stamp(".2\n2.", {"1": RAMPS[colour]}, *{"low": (8, 10), "side": (10, 7)}[glow])
    if extra == "belted":
        c.fill(shape & box(1, 7, 14, 8), RAMPS[trim], "bevel")
    for art, x, y, flip in HEART_EXTRAS.get(extra, []):
        c.stamp(art, {"1": RAMPS[trim]}, x=x, y=y, flip=flip)
    words = {
        "plain": "",
        "framed": f" in {an(trim)} frame",
        "cracked": " with a crack",
        "winged": f" with {trim} wings",
        "crowned": f" with {an(trim)} crown",
        "belted": f" with {an(trim)} belt",
    }.get(extra, f" with {an(trim)} {extra}")
    return Look(f"{an(colour)} heart{words}", {"extra": extra, "shine": shine}, {"heart": colour, "trim": trim})


def _heart_shape(inset: int, top: int, low: int) -> np.ndarray:
    left, right, lobe = 1 + inset, 14 - inset, 3.5 - inset / 2
    middle = top + lobe
    lobes = ellipse(left + lobe - 0.5, middle, lobe, lobe) | ellipse(right - lobe + 0.5, middle, lobe, lobe)
    return lobes & box(1, top, 14, 14) | polygon(
        (left, middle), (right, middle), (right, middle + 1), (8, low), (7, low), (left, middle + 1)
    )


KINDS: dict[str, Draw] = {
    draw.__name__.replace("_", " "): draw
    for draw in (
        potion,
        sword,
        staff,
        magic_wand,
        spell_book,
        scroll,
        ring,
        amulet,
        gem,
        orb,
        fireball,
        ice_shard,
        lightning_bolt,
        key,
        shield,
        bow,
        axe,
        hammer,
        bomb,
        coins,
        crown,
        lantern,
        hourglass,
        feather,
        rune_stone,
        heart,
    )
}

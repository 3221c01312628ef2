"""Food: one drawing function for each kind of fruit, vegetable, dish and sweet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from random import Random
from typing import TypeVar

import numpy as np

from .canvas import OUTLINE, RAMPS, SIZE, WHITE, Canvas, Look, Ramp, box, ellipse, line, polygon

T = TypeVar("T")

CREAM: Ramp = ((255, 250, 226), (250, 236, 190), (236, 212, 150), (206, 172, 110), (150, 116, 78))
CRUST: Ramp = ((255, 214, 138), (238, 172, 84), (205, 128, 54), (154, 86, 42), (100, 54, 34))
SEED_BLACK = RAMPS["black"][4]

# --- helpers ----------------------------------------------------------------------------------------------------------


def _a(text: str) -> str:
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _light(ramp: Ramp) -> Ramp:
    """The same material one tone brighter."""
    return ramp[:1] + ramp[:4]


def _some(rng: Random, items: Sequence[T], chance: float) -> list[T]:
    """Each of the items with the given chance, in order."""
    return [item for item in items if rng.random() < chance]


def _mask(art: str, chars: str = "X", x: int = 1, y: int = 1, flip: bool = False) -> np.ndarray:
    """The pixels of ``art`` that show one of ``chars``; ``flip`` mirrors about the middle of the picture."""
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    for dy, row in enumerate(art.strip("\n").split("\n")):
        for dx, char in enumerate(row):
            if char in chars:
                mask[y + dy, x + dx] = True
    return mask[:, ::-1] if flip else mask


def _flip(mask: np.ndarray, flip: bool) -> np.ndarray:
    return mask[:, ::-1] if flip else mask


def _shift(mask: np.ndarray, dx: int = 0, dy: int = 0) -> np.ndarray:
    """The mask moved right by ``dx`` and down by ``dy``; what leaves the picture is lost."""
    moved = np.zeros_like(mask)
    ys, xs = np.nonzero(mask)
    keep = (ys + dy >= 0) & (ys + dy < SIZE) & (xs + dx >= 0) & (xs + dx < SIZE)
    moved[ys[keep] + dy, xs[keep] + dx] = True
    return moved


def _grow(mask: np.ndarray) -> np.ndarray:
    return mask | _shift(mask, 1) | _shift(mask, -1) | _shift(mask, 0, 1) | _shift(mask, 0, -1)


def _shrink(mask: np.ndarray) -> np.ndarray:
    return ~_grow(~mask)


def _recolour(c: Canvas, region: np.ndarray, old: Ramp, new: Ramp) -> None:
    """Swap one material for another within a region, tone by tone, so that the shading stays."""
    before = c.rgb.copy()
    for old_tone, new_tone in zip(old, new, strict=True):
        c.rgb[region & (before == old_tone).all(-1)] = new_tone


def _bite(c: Canvas, body: np.ndarray, side: str, at: int, flesh: Ramp, depth: float = 2.6) -> None:
    """Bite into one side of the body at row ``at`` (or column, for top and bottom) and show the flesh."""
    along = np.nonzero(body[at] if side in ("left", "right") else body[:, at])[0]
    edge = along[0] - 0.5 if side in ("left", "top") else along[-1] + 0.5
    if side in ("left", "right"):
        gone = ellipse(edge, at - 1.4, depth, 1.9) | ellipse(edge, at + 1.4, depth, 1.9)
    else:
        gone = ellipse(at - 1.4, edge, 1.9, depth) | ellipse(at + 1.4, edge, 1.9, depth)
    c.fill(body & _grow(gone), flesh, 0)
    c.fill(body & _grow(gone) & ~_shift(_grow(gone), -1, -1), flesh, 1)
    c.erase(gone)


def _ball(c: Canvas, x: float, y: float, r: float, ramp: Ramp) -> None:
    """A round fruit, with a dark line where it lies in front of something."""
    ball = ellipse(x, y, r, r)
    c.rgb[_grow(ball) & c.filled] = OUTLINE
    c.fill(ball, ramp)


def _plugged(draw: Callable[[Canvas, Random], Look]) -> Callable[[Canvas, Random], Look]:
    """The same drawing function, with gaps of a single pixel (between stem and leaf, say) filled with outline."""

    @wraps(draw)
    def drawn(c: Canvas, rng: Random) -> Look:
        look = draw(c, rng)
        solid = _grow(c.filled)
        holes = ~solid & _shift(solid, 1) & _shift(solid, -1) & _shift(solid, 0, 1) & _shift(solid, 0, -1)
        c.fill(holes, (OUTLINE,) * 5, 0)
        return look

    return drawn


LEAVES = {  # tones g (light) to k (dark); drawn to the right of the stem
    "small": ".ggh\nghi.",
    "broad": "..ggh\nghhi.\n.ii..",
    "long": "..ggg\ngghhi\n.ii..",
}


def _leaf(c: Canvas, rng: Random, x: int, y: int, sides: Sequence[str] = ("none", "left", "right", "both")) -> str:
    """Leaves on either side of a two pixel wide stem at column x; tells in words which."""
    side = rng.choice(sides)
    size = rng.choice(list(LEAVES))
    ramp = RAMPS[rng.choice(["green", "lime"])]
    width = max(map(len, LEAVES[size].split("\n")))
    if side in ("right", "both"):
        c.stamp(LEAVES[size], {"g": ramp}, x + 1, y)
    if side in ("left", "both"):
        c.stamp(LEAVES[size], {"g": ramp}, x - width, y, flip=True)
    return side


# --- fruit ------------------------------------------------------------------------------------------------------------


APPLES = {  # distance of the two lobes from the middle, their radii
    "round": (2.0, 4.6, 5.2),
    "wide": (2.7, 4.3, 4.6),
    "tall": (1.7, 4.3, 5.6),
    "small": (2.0, 4.0, 4.6),
    "big": (2.3, 4.7, 5.4),
}


def apple(c: Canvas, rng: Random) -> Look:
    colour = rng.choice(["red", "red", "lime", "green", "yellow"])
    shape = rng.choice(list(APPLES))
    d, rx, ry = APPLES[shape]
    body = ellipse(7.5 - d, 14.3 - ry, rx, ry) | ellipse(7.5 + d, 14.3 - ry, rx, ry)
    c.fill(body, RAMPS[colour])
    blush = rng.choice(["none", "left", "right"]) if colour != "red" else rng.choice(["none", "right"])
    if blush != "none":
        cheek = ellipse(4 if blush == "left" else 11, rng.choice([9, 10, 11]), 3.5, 4)
        _recolour(c, cheek, RAMPS[colour], RAMPS["orange" if colour == "red" else "red"])
    top = max(int(np.nonzero(body[:, 7])[0][0]), 4)
    bite, row = rng.choice(["none", "none", "left", "right", "both"]), rng.choice([8, 9, 10])
    for side in {"none": [], "both": ["left", "right"]}.get(bite, [bite]):
        _bite(c, body, side, row, CREAM, rng.choice([2.2, 3.1]))
    stem, lean = rng.choice([("straight", 0), ("bent left", -1), ("bent right", 1)])
    c.fill(line((7, top), (7, top - 1), (7 + lean, top - 3)) | box(7, top - 1, 7, top + 1), RAMPS["brown"], 3)
    leaf = _leaf(c, rng, 7, top - 3)
    state = {"none": "", "both": "half-eaten "}.get(bite, "bitten ")
    parts = {"shape": shape, "bite": bite, "leaf": leaf, "stem": stem}
    return Look(_a(f"{state}{colour} apple"), parts, {"skin": colour})


PEARS = {
    "plump": """
.....XXXX.....
....XXXXXX....
....XXXXXX....
....XXXXXX....
...XXXXXXXX...
..XXXXXXXXXX..
.XXXXXXXXXXXX.
.XXXXXXXXXXXX.
.XXXXXXXXXXXX.
.XXXXXXXXXXXX.
..XXXXXXXXXX..
...XXXXXXXX...
""",
    "slim": """
.....XXX......
....XXXXX.....
....XXXXX.....
....XXXXX.....
....XXXXXX....
...XXXXXXX....
..XXXXXXXXX...
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
...XXXXXXXX...
""",
    "leaning": """
........XXX...
.......XXXXX..
.......XXXXX..
......XXXXXX..
....XXXXXXX...
...XXXXXXXX...
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
...XXXXXXXX...
....XXXXXX....
""",
    "squat": """
.....XXXX.....
....XXXXXX....
....XXXXXX....
...XXXXXXXX...
.XXXXXXXXXXXX.
XXXXXXXXXXXXXX
XXXXXXXXXXXXXX
XXXXXXXXXXXXXX
.XXXXXXXXXXXX.
..XXXXXXXXXX..
""",
}


def pear(c: Canvas, rng: Random) -> Look:
    colour, blush = rng.choice(["lime", "yellow", "green", "gold"]), rng.choice(["none", "red", "orange", "brown"])
    shape, flip = rng.choice(list(PEARS)), rng.random() < 0.5
    body = _mask(PEARS[shape], flip=flip)
    body = _shift(body, 0, 14 - int(np.nonzero(body)[0].max()))
    c.fill(body, RAMPS[colour])
    if blush != "none":
        cheek = ellipse(rng.choice([10, 11, 4]), rng.choice([9.5, 11]), 3, 3.5)
        _recolour(c, cheek, RAMPS[colour], RAMPS[blush])
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([9, 10]), CREAM, rng.choice([2.6, 3.4]))
    top = int(np.nonzero(body)[0].min())
    x = round(float(np.nonzero(body[top])[0].mean()))
    c.fill(line((x, top), (x, top - 1), (x + rng.choice([-1, 0, 1]), top - 2)), RAMPS["brown"], 3)
    leaf = _leaf(c, rng, x, top - 2, ("none", "left", "right"))
    words = f"{'bitten ' if bite != 'none' else ''}{colour} pear"
    return Look(_a(words), {"shape": shape, "bite": bite, "leaf": leaf, "blush": blush}, {"skin": colour})


BANANAS = {
    "one": """
..........tt..
..........tt..
..........XX..
.........XXXX.
.........XXXX.
.........XXXX.
........XXXXX.
........XXXX..
.......XXXXX..
.....XXXXXX...
t.XXXXXXXXX...
tXXXXXXXX.....
.XXXXXXX......
...XXX........
""",
    "bunch": """
.........ttt..
.........ttt..
........XXYYY.
.......XXXYYY.
......XXXXYYY.
.....XXXXYYYY.
....XXXXYYYYY.
...XXXX.YYYY..
.XXXXX.YYYYY..
tXXXX.YYYYY...
tXX..YYYYYY...
...YYYYYYY....
..tYYYYYY.....
..tYYYY.......
""",
    "straight": """
...........tt.
...........tt.
..........XXX.
.........XXXX.
........XXXXX.
.......XXXXX..
......XXXXXX..
.....XXXXXX...
....XXXXXX....
..XXXXXXXX....
tXXXXXXXX.....
tXXXXXXX......
..XXXXX.......
""",
    "peeled": """
......pp......
.....pppp.....
.....pppp.....
.....pppp.....
....Xpppp.....
...XXpppXX....
..XXXXppXXXX..
.XXXXXXXXXXXX.
.XX.XXXXXX.XX.
.X..XXXXX..XX.
....XXXXX...X.
....XXXXX.....
.....XXXX.....
......tt......
""",
    "half-eaten": """


.....p..p.....
.....pppp.....
...X.pppp.....
..XXXpppXX....
.XXXXXppXXXX..
.XXXXXXXXXXXX.
.XX.XXXXXX.XX.
XX..XXXXX..XX.
X...XXXXX...X.
....XXXXX.....
.....XXXX.....
......tt......
""",
}


def banana(c: Canvas, rng: Random) -> Look:
    colour, tip = rng.choice(["yellow", "yellow", "gold", "lime"]), rng.choice(["brown", "green", "black"])
    form, flip = rng.choice(list(BANANAS)), rng.random() < 0.5
    art = BANANAS[form]
    for chars, ramp in (("X", RAMPS[colour]), ("Y", RAMPS[colour]), ("p", CREAM)):
        c.fill(_mask(art, chars, flip=flip), _light(ramp), "bevel")
    c.fill(_mask(art, "t", flip=flip), RAMPS[tip], 3)
    room = _shrink(_mask(art, "X", flip=flip)) | _shrink(_mask(art, "Y", flip=flip))
    places = [(x, y) for y in range(3, 14) for x in range(2 + y % 3, 14, 3) if room[y, x : x + 2].all()]
    spots = _some(rng, places, rng.choice([0.1, 0.3, 0.6]))
    for x, y in spots:
        c.fill(box(x, y, x + 1, y), RAMPS["brown"], 1)
    words = {"bunch": "pair of bananas"}.get(form, f"{form} banana")
    words = words.removeprefix("straight ").removeprefix("one ")
    parts = {"form": form, "side": "left" if flip else "right", "spots": "some" if spots else "none"}
    return Look(_a(f"{'spotted ' if spots else ''}{colour} {words}"), parts, {"peel": colour, "tip": tip})


def cherries(c: Canvas, rng: Random) -> Look:
    colour, stem = rng.choice(["red", "red", "magenta", "orange"]), rng.choice(["green", "lime", "brown"])
    number, r = rng.choice([("two", 3.5), ("two", 3.0), ("two", 3.3), ("three", 2.5)])
    join = (rng.choice([6, 7, 8, 9]), rng.choice([1, 2]))
    low, high = rng.choice([10.5, 11]), rng.choice([8.5, 9.5, 10.5])
    left, right = rng.choice([(low, high), (high, low)])
    centres = [(4.5, left), (10.5, right)]
    if number == "three":
        centres = [(3.5, high), (11.5, high), (rng.choice([7, 7.5, 8]), 11.5)]
    for x, y in centres:
        c.fill(line(join, ((join[0] + 2 * x) / 3, y - 5), (x, y - r)), RAMPS[stem], 2)
    for x, y in centres:
        _ball(c, x, y, r, RAMPS[colour])
        c.stamp("ww\nw." if r > 3 else "w\nw", {}, round(x - r / 2), round(y - r / 2))
    leaf = _leaf(c, rng, *join, ("none", "left", "right"))
    return Look(f"{number} {colour} cherries", {"number": number, "leaf": leaf}, {"fruit": colour, "stem": stem})


BUNCHES = {  # centres of the grapes, from the back to the front
    "triangle": ((3, 5.5), (7.5, 5), (12, 5.5), (5.2, 8.5), (9.8, 8.5), (7.5, 12)),
    "broad": ((5, 5), (10, 5), (3, 8), (12, 8), (7.5, 8), (5, 11), (10, 11), (7.5, 12.5)),
    "slim": ((5, 5), (10, 5), (4.5, 8.5), (9.5, 8), (6, 11), (8, 12.5)),
    "leaning": ((3, 5), (7, 5), (11, 5.5), (4, 8.5), (8, 8.5), (5, 12)),
}


def grapes(c: Canvas, rng: Random) -> Look:
    colour, r = rng.choice(["purple", "lime", "magenta", "blue", "green"]), rng.choice([2.2, 2.5])
    shape, flip = rng.choice(list(BUNCHES)), rng.random() < 0.5
    c.fill(line((7, 1), (7, 5), width=2), RAMPS["brown"], 3)
    for x, y in BUNCHES[shape]:
        x, y = (15 - x if flip else x) + rng.choice([-0.5, 0, 0.5]), y + rng.choice([-0.5, 0])
        _ball(c, x, y, r, RAMPS[colour])
    leaf = _leaf(c, rng, 7, 1, ("none", "left", "right", "both"))
    return Look(f"a bunch of {colour} grapes", {"shape": shape, "leaf": leaf}, {"fruit": colour})


STRAWBERRIES = {
    "heart": ("..XXXX..XXXX..", ".XXXXXXXXXXXX.", ".XXXXXXXXXXXX.", ".XXXXXXXXXXXX.", ".XXXXXXXXXXXX.", "..XXXXXXXXXX..",
              "..XXXXXXXXXX..", "...XXXXXXXX...", "....XXXXXX....", ".....XXXX.....", "......XX......"),
    "round": ("...XXXXXXXX...", "..XXXXXXXXXX..", ".XXXXXXXXXXXX.", ".XXXXXXXXXXXX.", ".XXXXXXXXXXXX.", ".XXXXXXXXXXXX.",
              "..XXXXXXXXXX..", "..XXXXXXXXXX..", "...XXXXXXXX...", ".....XXXX....."),
    "long": ("...XXXXXXXX...", "..XXXXXXXXXX..", "..XXXXXXXXXX..", "..XXXXXXXXXX..", "..XXXXXXXXXX..", "...XXXXXXXX...",
             "...XXXXXXXX...", "....XXXXXX....", "....XXXXXX....", ".....XXXX.....", "......XX......"),
    "leaning": ("...XXXXXXXX...", "..XXXXXXXXXX..", "..XXXXXXXXXXX.", "..XXXXXXXXXXX.", ".XXXXXXXXXXX..", ".XXXXXXXXXXX..",
                ".XXXXXXXXXX...", ".XXXXXXXXX....", "..XXXXXXX.....", "..XXXXX......."),
}
CAPS = {
    "crown": "......gg......\n..g..ghhg..g..\n..hhgghhgghh..\n...ihhiihhi...\n....i..i..i...",
    "star": "......hh......\n.....ghh......\n.gghhghhgghhg.\n..hi.hiihiih..\n.....i..i.....",
    "mop": ".......gh.....\n...ggg.gh.gg..\n..ghhhghhghhg.\n..hi.ihiih.ih.\n..i..i..i..i..",
}


def strawberry(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["red", "red", "red", "pink"]), rng.choice(["green", "lime", "teal"])
    shape, cap, flip = rng.choice(list(STRAWBERRIES)), rng.choice(list(CAPS)), rng.random() < 0.5
    body = _mask("\n".join(STRAWBERRIES[shape]), y=4, flip=flip)
    c.fill(body, RAMPS[colour])
    phase, step, odd, inside = rng.randrange(4), rng.choice([3, 4]), rng.randrange(2), _shrink(body)
    for y in range(7 + odd, 14, 2):
        for x in range((phase + 2 * (y // 2 % 2)) % step, 14, step):
            if inside[y, x] and inside[y - 1, x]:
                c.fill(box(x, y - 1, x, y - 1), RAMPS["yellow"], 0)
                c.fill(box(x, y, x, y), RAMPS[colour], 3)
    bite = rng.choice(["none", "none", "left", "right", "bottom"])
    if bite != "none":
        at = rng.choice([7, 8]) if bite == "bottom" else rng.choice([9, 10])
        _bite(c, body, bite, at, _light(RAMPS["pink"]), rng.choice([2.2, 3.1]))
    c.stamp(CAPS[cap], {"g": RAMPS[leaf]}, 1, 1, flip)
    words = f"{'bitten ' if bite != 'none' else ''}{colour} strawberry"
    return Look(_a(words), {"shape": shape, "cap": cap, "bite": bite}, {"fruit": colour, "leaves": leaf})


def watermelon(c: Canvas, rng: Random) -> Look:
    colour, rind = rng.choice(["red", "pink", "red", "yellow"]), rng.choice(["green", "lime", "teal"])
    form, flip = rng.choice(["half round", "wedge", "tilted"]), rng.random() < 0.5
    if form == "half round":
        x, y, rx, ry, cut = 7.5, 3.5, 7, rng.choice([8.5, 9.5, 10.5]), box(1, 4, 14, 14)
    elif form == "wedge":
        w = rng.choice([5, 6, 7])
        x, y, rx, ry = 7.5, 0, 14, rng.choice([13.3, 14.3])
        cut = polygon((7, 1), (8, 1), (8 + w, 11), (8 + w, 14), (7 - w, 14), (7 - w, 11))
    else:
        x, y, rx, ry, cut = 6, 6, 8.3, rng.choice([7.3, 8.3]), polygon((1, 12), (12, 1), (14, 3), (14, 14), (3, 14))
    outer, pith, flesh = (_flip(ellipse(x, y, rx - d, ry - d) & cut, flip) for d in (0, 1.3, 2.4))
    c.fill(outer, RAMPS[rind], 2)
    c.fill(outer & ~_shift(outer, -1, -1), RAMPS[rind], 3)
    c.fill(pith, _light(RAMPS["lime"]), 0)
    c.fill(flesh, RAMPS[colour])
    inside, first, phase = _shrink(flesh), 3 + rng.randrange(2), rng.randrange(3)
    for y in range(first, 13, 3):
        for x in _some(rng, range(2 + (y + phase) % 3, 14, 3), 0.75):
            if inside[y, x] and inside[y + 1, x]:
                c.fill(box(x, y, x, y + 1), RAMPS["black"], 4)
    bite = "none" if form == "tilted" else rng.choice(["none", "one bite", "two bites"])
    if form == "half round":
        for x in {"none": [], "one bite": [rng.choice([4, 7, 10.5])], "two bites": [4.5, 10.5]}[bite]:
            c.erase(ellipse(x, 3.5, 2, rng.choice([2, 3])) & flesh)
    elif bite != "none":
        for side in [rng.choice(["left", "right"])] if bite == "one bite" else ["left", "right"]:
            c.erase(ellipse(4 if side == "left" else 11, rng.choice([6, 7]), 2.2, 2.2) & flesh)
    words = f"{'bitten ' if bite != 'none' else ''}slice of {colour} watermelon"
    return Look(_a(words), {"form": form, "bite": bite}, {"flesh": colour, "rind": rind})


CROWNS = {
    "fan": "g....gg....h\nhg..ghhg..hi\n.hggghihghi.\n..hihhiihi..\n...ihiiij...",
    "tuft": "....gg.g....\n..g.ghgh.g..\n..hghhhihh..\n...hihiih...\n....iiij....",
    "tall": ".....gg.....\n..gg.gh.gh..\n...hghhghi..\n...ihhiihj..\n....hiij....",
    "wild": ".gg..g...gg.\n...ghg.ghi..\nggghhhghhigh\n...ihhiij...\n....iiij....",
}


def pineapple(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["orange", "gold", "yellow"]), rng.choice(["green", "lime", "teal"])
    crown, flip = rng.choice(list(CROWNS)), rng.random() < 0.5
    shape, rx = rng.choice([("slim", 4.3), ("plump", 4.8), ("fat", 5.4)])
    top = rng.choice([4.2, 5.2])
    body = ellipse(7.5, (14.5 + top) / 2, rx, (14.5 - top) / 2)
    c.fill(body, _light(RAMPS[colour]))
    y, x = np.mgrid[:SIZE, :SIZE]
    a, b = rng.randrange(4), rng.randrange(4)
    falling, rising = (x - y + a) % 4 == 0, (x + y + b) % 4 == 0
    tones = RAMPS[colour]
    _recolour(c, body & (falling | rising), tones, tones[2:] + tones[4:] * 2)
    eyes = _shift(falling & rising, 0, 2) & _shrink(body)
    for spot in zip(*np.nonzero(eyes), strict=True):
        if rng.random() < 0.5:
            c.rgb[spot] = tones[0]
    c.stamp(CROWNS[crown], {"g": RAMPS[leaf]}, 2, 1, flip)
    return Look(_a(f"{shape} {colour} pineapple"), {"shape": shape, "crown": crown}, {"skin": colour, "leaves": leaf})


def _citrus(c: Canvas, x: float, y: float, r: float, colour: str, turned: bool) -> None:
    """A round cut face: rind, white pith and six segments."""
    c.fill(ellipse(x, y, r, r), RAMPS[colour], 2)
    c.fill(ellipse(x, y, r - 0.8, r - 0.8), CREAM, 0)
    flesh = ellipse(x, y, r - 1.6, r - 1.6)
    c.fill(flesh, _light(RAMPS[colour]), "round")
    for dx, dy in ((0, 6), (6, 3), (6, -3)):
        dx, dy = (dy, dx) if turned else (dx, dy)
        c.fill(line((x - dx, y - dy), (x + dx, y + dy)) & flesh, CREAM, 0)


def lemon(c: Canvas, rng: Random) -> Look:
    colour, form = rng.choice(["yellow", "yellow", "gold"]), rng.choice(["whole", "whole", "sliced", "with a slice"])
    flip, tilt, ry = rng.random() < 0.5, rng.choice([0, 1, 2]), rng.choice([4.2, 4.7, 5.2])
    body = ellipse(7.5, 8.5, rng.choice([5.3, 5.7]), ry)
    body = _flip(body | box(1, 8 + tilt, 3, 9 + tilt) | box(12, 8 - tilt, 14, 9 - tilt), flip)
    if form == "sliced":
        _citrus(c, 7, 7 + tilt / 2, 6, colour, flip)
    else:
        c.fill(body, RAMPS[colour])
        for x, y in _some(rng, [(4, 8), (5, 11), (7, 9), (8, 11), (10, 9), (9, 7), (7, 6)], 0.5):
            c.fill(box(x, y, x + 1, y) & _shrink(body), RAMPS[colour], 2)
        c.stamp(".ww\nww.", {}, rng.choice([4, 5]), 6)
    leaf = "none"
    if form == "whole":
        leaf = _leaf(c, rng, rng.choice([6, 7, 8]), 2, ("none", "left", "right"))
    elif form == "with a slice":
        _citrus(c, rng.choice([5, 10]), 10, 4, colour, flip)
    words = {"whole": "lemon", "sliced": "slice of lemon", "with a slice": "lemon with a slice"}[form]
    return Look(_a(f"{colour} {words}"), {"form": form, "leaf": leaf}, {"skin": colour})


# --- vegetables -------------------------------------------------------------------------------------------------------

CARROT_TOPS = {  # drawn upright, the root begins below
    "bushy": "..gg..gg.g..\n.ghhg.ghghg.\n..hhhghhhi..\n...ihhhii...\n.....hi.....",
    "long": "....g..g....\n.g..gh.g..g.\n.hg.hh.h.hi.\n..hhhhhhii..\n....ihii....",
    "tufts": ".gg......gg.\nghhg.gg.ghhi\n.hhhghhghhi.\n...ihhhhi...\n.....hi.....",
}
CARROTS = {
    "upright": """
....XXXXXX....
...XXXXXXXX...
...XXXXXXXX...
...XXXXXXXX...
....XXXXXX....
....XXXXXX....
....XXXXX.....
.....XXXX.....
.....XXX......
......XX......
""",
    "slim": """
.....XXXX.....
....XXXXXX....
....XXXXXX....
....XXXXXX....
....XXXXXX....
.....XXXXX....
.....XXXX.....
.....XXXX.....
......XX......
......XX......
""",
    "stout": """
...XXXXXXXX...
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
...XXXXXXXX...
...XXXXXXXX...
....XXXXXX....
.....XXXX.....
......XX......
""",
    "crooked": """
....XXXXXX....
...XXXXXXXX...
...XXXXXXXX...
...XXXXXXX....
....XXXXXX....
....XXXXXX....
.....XXXXXX...
......XXXXX...
.......XXXX...
.........XX...
""",
}


def carrot(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["orange", "orange", "orange", "yellow", "purple"]), rng.choice(["green", "lime"])
    shape, tops, flip = rng.choice(list(CARROTS)), rng.choice(list(CARROT_TOPS)), rng.random() < 0.5
    body = _mask(CARROTS[shape], y=5, flip=flip)
    c.fill(body, RAMPS[colour])
    for y in _some(rng, range(6, 13), 0.4):
        columns = np.nonzero(body[y])[0]
        x = columns[0] if y % 2 else columns[-1] - 2
        c.fill(box(x, y, x + 2, y) & body, RAMPS[colour], 3)
    bite = rng.choice(["none", "none", "tip", "left", "right"])
    if bite == "tip":
        c.fill(body & box(1, 10, 14, 11), RAMPS[colour], 0)
        c.erase(box(1, 11, 14, 14) | body & box(7, 10, 8, 10))
    elif bite != "none":
        _bite(c, body, bite, rng.choice([8, 9]), RAMPS[colour], 2)
    c.stamp(CARROT_TOPS[tops], {"g": RAMPS[leaf]}, 2, 1, rng.random() < 0.5)
    words = f"{'bitten ' if bite != 'none' else ''}{colour} carrot"
    return Look(_a(words), {"shape": shape, "leaves": tops, "bite": bite}, {"root": colour, "leaves": leaf})


CALYXES = {
    "star": "......j.....\n.....jj.....\n..ghhhhhhi..\nhhhi.hh.ihhi\n....hi.h....\n...hi...i...",
    "short": "......j.....\n......j.....\n...hhhhhhi..\n.hhi.hi.hhi.\n.....h......",
    "vine": "..jjjjjjjj..\n......j.....\n.g.hhhhhi.i.\n..hhi.hihhi.\n..h..hi..i..",
    "wild": ".......jj...\ng.....j...g.\n.hh.hhhh.hi.\n..hhhhihhi..\n.hi..hi..hi.\n.....h......",
}


def tomato(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["red", "red", "orange", "yellow"]), rng.choice(["green", "lime", "teal"])
    shape, rx, ry = rng.choice([("round", 6.3, 5.6), ("flat", 7, 5), ("plum", 5.2, 5.8), ("big", 7, 5.8)])
    body = ellipse(7.5, 14.4 - ry, rx, ry)
    c.fill(body, RAMPS[colour])
    ribs = rng.choice([(), (-3, 3), (-4, 0, 4), (-3,), (3,)])
    for d in ribs:
        c.fill(line((7.5 + d, 10), (7.5 + d * 0.8, 13)) & _shrink(body), RAMPS[colour], 3)
    c.stamp(rng.choice(["ww\nw.", "ww", "w\nw", ".w\nw."]), {}, rng.choice([3, 4]), rng.choice([7, 8]))
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([9, 10]), _light(RAMPS["pink"]), rng.choice([2.6, 3.4]))
    calyx = rng.choice(list(CALYXES))
    y = 14 - round(2 * ry) - 1
    c.stamp(CALYXES[calyx], {"g": RAMPS[leaf]}, 2, max(1, y), rng.random() < 0.5)
    words = f"{'bitten ' if bite != 'none' else ''}{colour} tomato"
    return Look(_a(words), {"shape": shape, "calyx": calyx, "bite": bite}, {"skin": colour, "leaves": leaf})


AUBERGINES = {
    "curved": """
...........jj.
..........jj..
.......hhhj...
......hhhhhi..
.....XXhhhhi..
....XXXXhXii..
...XXXXXXXXi..
..XXXXXXXXXX..
.XXXXXXXXXX...
XXXXXXXXXXX...
XXXXXXXXXX....
XXXXXXXXX.....
.XXXXXXX......
..XXXXX.......
""",
    "straight": """
............jj
...........jj.
........hhhj..
.......hhhhi..
......XXhhhi..
.....XXXXhhi..
....XXXXXXX...
..XXXXXXXXX...
.XXXXXXXXXX...
.XXXXXXXXX....
XXXXXXXXXX....
XXXXXXXXX.....
XXXXXXXX......
.XXXXXX.......
""",
    "hanging": """
......jj......
......jj......
....hhhhhi....
...hhhhhhhi...
...hXhhXhhi...
...XXXXhXXX...
...XXXXXXXX...
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
..XXXXXXXXXX..
...XXXXXXXX...
.....XXXX.....
""",
}


def aubergine(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["purple", "purple", "magenta", "black"]), rng.choice(["green", "lime", "teal"])
    shape, flip = rng.choice(list(AUBERGINES)), rng.random() < 0.5
    art = AUBERGINES[shape]
    body = _mask(art, flip=flip)
    c.fill(body, RAMPS[colour])
    striped = rng.random() < 0.3
    for x in range(2, 14, 3) if striped else ():
        c.fill(line((x, 5), (x, 13)) & _shrink(body), RAMPS["white"], 2)
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([9, 10]), CREAM, rng.choice([2.2, 3.1]))
    c.stamp(art.replace("X", "."), {"g": RAMPS[leaf]}, 1, 1, flip)
    words = f"{'bitten ' if bite != 'none' else ''}{'striped ' if striped else ''}{colour} aubergine"
    parts = {"shape": shape, "bite": bite, "stripes": "yes" if striped else "no"}
    return Look(_a(words), parts, {"skin": colour, "leaves": leaf})


HUSKS = {  # left leaf, mirrored for the right one
    "open": "X.....\nXX....\nXXX...\n.XXX..\n.XXXX.\n..XXXX\n...XXX\n....XX",
    "wide": "XX....\nXXXX..\n.XXXX.\n.XXXXX\n..XXXX\n...XXX",
    "closed": "..X...\n..XX..\n..XXX.\n..XXXX\n..XXXX\n..XXXX\n..XXXX\n...XXX\n....XX",
    "short": "..X...\n.XXX..\n..XXXX\n...XXX",
}


def corn(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["yellow", "gold", "yellow", "orange", "white"]), rng.choice(["green", "lime"])
    shape, rx = rng.choice([("slim", 3.2), ("plump", 4.2)])
    cob = ellipse(7.5, 7.5, rx, rng.choice([6.5, 7])) & box(1, 1, 14, 13)
    ramp = RAMPS[colour]
    c.fill(cob, _light(ramp))
    y, x = np.mgrid[:SIZE, :SIZE]
    _recolour(c, cob & (y % 2 == 0), _light(ramp), ramp)
    c.fill(cob & (y % 2 == 0) & ((x + y // 2) % 2 == 0), ramp, 3)
    mixed = rng.choice(["none", "none", "red", "purple", "orange"])
    for ky in range(3, 11, 2) if mixed != "none" else ():
        for kx in _some(rng, range(4, 11), 0.2):
            c.fill(box(kx, ky, kx + 1, ky) & cob, RAMPS[mixed], 2)
    husk, other = rng.choice(list(HUSKS)), rng.choice(list(HUSKS))
    for name, flip in ((husk, False), (other, True)):
        height = HUSKS[name].count("\n") + 1
        c.fill(_mask(HUSKS[name], x=2, y=15 - height, flip=flip), RAMPS[leaf], "bevel")
    kernels = "" if mixed == "none" else f" with {mixed} kernels"
    return Look(f"{_a(colour)} cob of corn{kernels}", {"shape": shape, "husks": f"{husk} {other}"},
                {"kernels": colour, "husks": leaf})


PUMPKIN_STEMS = {"short": "hi\nhi\nij", "bent left": "hh..\n.hi.\n.hij", "bent right": ".hhi\n.hi.\n.hij", "thick": "hhi\nhij\nhij"}


def pumpkin(c: Canvas, rng: Random) -> Look:
    colour, stem_colour = rng.choice(["orange", "orange", "orange", "white", "green", "yellow"]), rng.choice(["green", "lime", "brown"])
    shape, rx, ry = rng.choice([("wide", 7, 5), ("round", 6.5, 5.5), ("tall", 5.8, 6), ("flat", 7, 4.2)])
    y, ramp = 14.4 - ry, RAMPS[colour]
    side = 0.58 * rx
    for x, w in ((7.5 - rx + side, side), (7.5 + rx - side, side)):
        c.fill(ellipse(x, y, w, ry - 0.4), ramp)
    d = rng.choice([0.3, 0.36, 0.42]) * rx
    c.fill(ellipse(7.5, y, d + 1, ry), ramp, 3)
    middle = ellipse(7.5, y, d, ry)
    c.fill(middle, ramp)
    stem = rng.choice(list(PUMPKIN_STEMS))
    art, top = PUMPKIN_STEMS[stem], int(np.nonzero(middle)[0].min())
    c.stamp(art, {"g": RAMPS[stem_colour]}, 7 if len(art) < 10 else 6, max(1, top - 2))
    leaf = _leaf(c, rng, 7, max(1, top - 1))
    return Look(_a(f"{shape} {colour} pumpkin"), {"shape": shape, "stem": stem, "leaf": leaf}, {"skin": colour})


def mushroom(c: Canvas, rng: Random) -> Look:
    colour, form = rng.choice(["brown", "tan", "red", "white"]), rng.choice(["one", "one", "one", "two"])
    if form == "two":
        small = rng.choice([4, 11])
        _one_mushroom(c, rng, small, 3.2, 4, 9, colour)
        _one_mushroom(c, rng, 15 - small - (0.5 if small == 4 else -0.5), 4.6, 7, 4, colour)
        shape = "pair"
    else:
        shape, rx, ry, y = rng.choice([("button", 5.5, 6.5, 8), ("flat", 7, 5, 7), ("bell", 4.8, 7.5, 9), ("wide", 6.8, 6, 7)])
        _one_mushroom(c, rng, 7.5, rx, ry, y, colour)
    words = "two mushrooms with" if form == "two" else f"{_a(shape)} mushroom with a"
    return Look(f"{words} {colour} cap{'s' if form == 'two' else ''}", {"form": form, "shape": shape}, {"cap": colour})


def _one_mushroom(c: Canvas, rng: Random, x: float, rx: float, ry: float, y: float, colour: str) -> None:
    """A stem down to the ground, gills and a dome of radius (rx, ry) whose lower edge lies at row y."""
    w = rx * rng.choice([0.3, 0.4, 0.5])
    bulge = rng.choice([0, 0.6, 1.2])
    stem = polygon((x - w, y), (x + w, y), (x + w + bulge, 14), (x - w - bulge, 14))
    c.fill(stem, CREAM, "bevel")
    gills = ellipse(x, y, rx - 0.6, rng.choice([1.6, 2.2])) & (np.mgrid[:SIZE, :SIZE][0] > y - 1)
    c.fill(gills, RAMPS["tan"], 3)
    cap = ellipse(x, y, rx, ry) & (np.mgrid[:SIZE, :SIZE][0] <= y) & box(1, 1, 14, 14)
    c.fill(cap, RAMPS[colour])


KINDS = {
    draw.__name__: _plugged(draw)
    for draw in (
        apple, pear, banana, cherries, grapes, strawberry, watermelon, pineapple, lemon,
        carrot, tomato, aubergine, corn, pumpkin, mushroom,
    )
}  # fmt: skip

"""Food: one drawing function for each kind of fruit, vegetable, dish and sweet."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from data.sprite_art.canvas import OUTLINE, RAMPS, SIZE, Canvas, Colour, Look, Ramp, box, ellipse, grow, line, polygon
from data.sprite_art.common import Draw, an, closing_gaps, darker, paler, sheet

CREAM: Ramp = ((255, 250, 226), (250, 236, 190), (236, 212, 150), (206, 172, 110), (150, 116, 78))
CRUST: Ramp = ((255, 214, 138), (238, 172, 84), (205, 128, 54), (154, 86, 42), (100, 54, 34))
# --- helpers --------------------------------------------------------------------------------------
# --------------------


def _some(rng: Random, items: Sequence, chance: float) -> list:
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


def _height(art: str) -> int:
    return len(art.strip("\n").split("\n"))


def _flip(mask: np.ndarray, flip: bool) -> np.ndarray:
    return mask[:, ::-1] if flip else mask


def _shift(mask: np.ndarray, dx: int = 0, dy: int = 0) -> np.ndarray:
    """The mask moved right by ``dx`` and down by ``dy``; what leaves the picture is lost."""
    moved = np.zeros_like(mask)
    ys, xs = np.nonzero(mask)
    keep = (ys + dy >= 0) & (ys + dy < SIZE) & (xs + dx >= 0) & (xs + dx < SIZE)
    moved[ys[keep] + dy, xs[keep] + dx] = True
    return moved


def _shrink(mask: np.ndarray) -> np.ndarray:
    return ~grow(~mask)


def _recolour(c: Canvas, region: np.ndarray, old: Ramp, new: Ramp) -> None:
    """Swap one material for another within a region, tone by tone, so that the shading stays."""
    before = c.rgb.copy()
    for old_tone, new_tone in zip(old, new, strict=True):
        c.rgb[region & (before == old_tone).all(-1)] = new_tone


def _bite(c: Canvas, body: np.ndarray, side: str, at: int, flesh: Ramp, depth: float = 2.6) -> None:
    """Bite into one side of the body at row ``at`` (or column, for top and bottom) and show the flesh."""
    along = np.nonzero(body[at] if side in ("left", "right") else body[:, at])[0]
    edge = along[0] - 0.5 if side in ("left", "top") else along[-1] + 0.5
    x, y, rx, ry = (edge, at, depth, 2.6) if side in ("left", "right") else (at, edge, 2.6, depth)
    c.fill(body & ellipse(x, y, rx + 1.5, ry + 1.3), flesh, 1)
    c.fill(body & ellipse(x, y, rx + 1.1, ry + 0.9), flesh, 0)
    c.erase(ellipse(x, y, rx, ry))


def _ball(c: Canvas, x: float, y: float, r: float, ramp: Ramp, edge: Colour = OUTLINE) -> None:
    """A round fruit, with a line around it where it lies in front of something."""
    ball = ellipse(x, y, r, r) & box(1, 1, 14, 14)
    c.rgb[grow(ball) & c.filled] = edge
    c.fill(ball, ramp)


def _stamp_on(c: Canvas, region: np.ndarray, art: str, ramp: Ramp, x: int, y: int) -> None:
    """Stamp art in tones 1 to 5 of a material, but only where it lies on the region."""
    rgb, filled = c.rgb.copy(), c.filled.copy()
    c.stamp(art, {"1": ramp}, x, y)
    c.rgb[~region], c.filled[~region] = rgb[~region], filled[~region]


# Tones g (light) to k (dark); drawn to the right of the stem.
LEAVES = sheet("""
small | broad | long
.ggh  | ..ggh | ..ggg
ghi.  | ghhi. | gghhi
      | .ii.. | .ii..
""")


def _leaf(c: Canvas, rng: Random, x: int, y: int, sides: Sequence[str] = ("none", "left", "right", "both")) -> str:
    """Leaves on either side of a two pixel wide stem at column x; tells in words which."""
    side = rng.choice(sides)
    size = rng.choice(list(LEAVES))
    ramp = RAMPS[rng.choice(["green", "lime"])]
    width = max(map(len, LEAVES[size].split("\n")))
    if side in ("right", "both"):
        c.stamp(LEAVES[size], {"g": ramp}, min(x + 1, SIZE - 1 - width), y)
    if side in ("left", "both"):
        c.stamp(LEAVES[size], {"g": ramp}, max(1, x - width), y, flip=True)
    return side


# --- fruit ----------------------------------------------------------------------------------------
# --------------------

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
    blush = rng.choice({"red": ["none", "left"], "yellow": ["none", "left", "right"]}.get(colour, ["none"]))
    if blush != "none":
        cheek = ellipse(4, 9, 2.2, 3.2) if blush == "left" else ellipse(11.5, rng.choice([9, 10, 11]), 3.8, 4.6)
        _recolour(c, cheek, RAMPS[colour], RAMPS["orange" if colour == "red" else "red"])
    c.stamp(rng.choice(["11\n1.", "11", "1\n1", ".1\n1."]), {"1": CREAM}, rng.choice([4, 5]), rng.choice([6, 7]))
    top = max(int(np.nonzero(body[:, 7])[0][0]), 4)
    bite, row = rng.choice(["none", "none", "left", "right", "both"]), rng.choice([8, 9, 10])
    for side in {"none": [], "both": ["left", "right"]}.get(bite, [bite]):
        _bite(c, body, side, row, CREAM, rng.choice([2.2, 3.1]))
    stem, lean = rng.choice([("straight", 0), ("bent left", -1), ("bent right", 1)])
    c.fill(line((7, top), (7, top - 1), (7 + lean, top - 3)) | box(7, top - 1, 7, top + 1), RAMPS["brown"], 3)
    leaf = _leaf(c, rng, 7, top - 3)
    state = {"none": "", "both": "half-eaten "}.get(bite, "bitten ")
    parts = {"shape": shape, "bite": bite, "leaf": leaf, "stem": stem}
    return Look(an(f"{state}{colour} apple"), parts, {"skin": colour})


PEARS = sheet("""
plump          | slim           | leaning        | bell
.....XXXX..... | .....XXX...... | ........XXX... | .....XXXX.....
....XXXXXX.... | ....XXXXX..... | .......XXXXX.. | .....XXXX.....
....XXXXXX.... | ....XXXXX..... | .......XXXXX.. | ....XXXXXX....
....XXXXXX.... | ....XXXXX..... | ......XXXXXX.. | ....XXXXXX....
...XXXXXXXX... | ....XXXXXX.... | ....XXXXXXX... | ....XXXXXX....
..XXXXXXXXXX.. | ...XXXXXXX.... | ...XXXXXXXX... | ..XXXXXXXXXX..
.XXXXXXXXXXXX. | ..XXXXXXXXX... | ..XXXXXXXXXX.. | .XXXXXXXXXXXX.
.XXXXXXXXXXXX. | ..XXXXXXXXXX.. | ..XXXXXXXXXX.. | .XXXXXXXXXXXX.
.XXXXXXXXXXXX. | ..XXXXXXXXXX.. | ..XXXXXXXXXX.. | .XXXXXXXXXXXX.
.XXXXXXXXXXXX. | ..XXXXXXXXXX.. | ..XXXXXXXXXX.. | .XXXXXXXXXXXX.
..XXXXXXXXXX.. | ..XXXXXXXXXX.. | ...XXXXXXXX... | ..XXXXXXXXXX..
...XXXXXXXX... | ...XXXXXXXX... | ....XXXXXX.... | ...XXXXXXXX...
""")
PEAR_BLUSHES = {"green": "lime", "lime": "yellow", "yellow": "orange", "gold": "orange"}


def pear(c: Canvas, rng: Random) -> Look:
    colour, blush = rng.choice(["lime", "yellow", "gold", "green"]), rng.choice(["none", "left", "right"])
    shape, flip = rng.choice(list(PEARS)), rng.random() < 0.5
    body = _mask(PEARS[shape], flip=flip)
    body = _shift(body, 0, 14 - int(np.nonzero(body)[0].max()))
    c.fill(body, RAMPS[colour])
    if blush != "none":
        cheek = ellipse(11.5 if blush == "right" else 3.5, rng.choice([9.5, 10.5, 11.5]), 4, 4)
        _recolour(c, cheek, RAMPS[colour], RAMPS[PEAR_BLUSHES[colour]])
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([9, 10]), CREAM, rng.choice([2.6, 3.4]))
    top = int(np.nonzero(body)[0].min())
    x = round(float(np.nonzero(body[top])[0].mean()))
    c.fill(line((x, top), (x, top - 1), (x + rng.choice([-1, 0, 1]), top - 2)), RAMPS["brown"], 3)
    c.stamp(rng.choice(["w\nw", "ww\nw.", ".w\nw."]), {}, x - 1 if flip else x - 2, rng.choice([5, 6]))
    leaf = _leaf(c, rng, x, top - 2, ("none", "left", "right"))
    words = f"{'bitten ' if bite != 'none' else ''}{colour} pear"
    return Look(an(words), {"shape": shape, "bite": bite, "leaf": leaf, "blush": blush}, {"skin": colour})


BANANAS = sheet("""
one            | bunch          | hand           | straight       | peeled         | half-eaten
..........tt.. | .........ttt.. | ......ttt..... | ...........tt. | ......pp...... | .....p..p.....
..........tt.. | .........ttt.. | ......ttt..... | ...........tt. | .....pppp..... | .....pppp.....
..........XX.. | ........XXYYY. | .....XXYYZZ... | ..........XXX. | .....pppp..... | ...X.pppp.....
.........XXXX. | .......XXXYYY. | ....XXXYYZZZ.. | .........XXXX. | .....pppp..... | ..XXXpppXX....
.........XXXX. | ......XXXXYYY. | ...XXXYYYZZZ.. | ........XXXXX. | ....Xpppp..... | .XXXXXppXXXX..
.........XXXX. | .....XXXXYYYY. | ..XXXXYYYZZZZ. | .......XXXXX.. | ...XXpppXX.... | .XXXXXXXXXXXX.
........XXXXX. | ....XXXXYYYYY. | .XXXX.YYYYZZZ. | ......XXXXXX.. | ..XXXXppXXXX.. | .XX.XXXXXX.XX.
........XXXX.. | ...XXXX.YYYY.. | .XXX.XYYYYZZZ. | .....XXXXXX... | .XXXXXXXXXXXX. | XX..XXXXX..XX.
.......XXXXX.. | .XXXXX.YYYYY.. | .XXX..YYYYZZZ. | ....XXXXXX.... | .XX.XXXXXX.XX. | X...XXXXX...X.
.....XXXXXX... | tXXXX.YYYYY... | .XXX..YYY.ZZZ. | ..XXXXXXXX.... | .X..XXXXX..XX. | ....XXXXX.....
t.XXXXXXXXX... | tXX..YYYYYY... | .tXX.YYYY.ZZZ. | tXXXXXXXX..... | ....XXXXX...X. | .....XXXX.....
tXXXXXXXX..... | ...YYYYYYY.... | ..t..YYY.ZZZ.. | tXXXXXXX...... | ....XXXXX..... | ......tt......
.XXXXXXX...... | ..tYYYYYY..... | .....tYY.ZZZ.. | ..XXXXX....... | .....XXXX..... |
...XXX........ | ..tYYYY....... | ......t..tt... |                | ......tt...... |
""")


def banana(c: Canvas, rng: Random) -> Look:
    colour, tip = rng.choice(["yellow", "yellow", "gold", "lime"]), rng.choice(["brown", "green", "black", "gold"])
    form, flip = rng.choice(2 * ["one", "straight", "bunch", "hand"] + ["peeled", "half-eaten"]), rng.random() < 0.5
    art = BANANAS[form]
    for chars, ramp in (("X", RAMPS[colour]), ("Y", RAMPS[colour]), ("Z", RAMPS[colour]), ("p", CREAM)):
        c.fill(_mask(art, chars, flip=flip), paler(ramp), "bevel")
    c.fill(_mask(art, "t", flip=flip), RAMPS[tip], 3)
    room = _shrink(_mask(art, "X", flip=flip)) | _shrink(_mask(art, "Y", flip=flip))
    start = rng.randrange(3)
    places = [(x, y) for y in range(3, 14) for x in range(2 + (y + start) % 3, 14, 2) if room[y, x : x + 2].all()]
    spots = _some(rng, places, rng.choice([0.3, 0.4, 0.6]))
    shade = rng.choice([0, 1, 2])
    for x, y in spots:
        c.fill(box(x, y, x + 1, y), RAMPS["brown"], shade)
    words = {"bunch": "pair of bananas", "hand": "bunch of bananas", "one": "banana"}.get(form, f"{form} banana")
    parts = {"form": form, "side": "left" if flip else "right", "spots": "some" if spots else "none"}
    return Look(an(f"{'spotted ' if spots else ''}{colour} {words}"), parts, {"peel": colour, "tip": tip})


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


STRAWBERRIES = sheet("""
heart          | round          | long           | leaning
..XXXX..XXXX.. | ...XXXXXXXX... | ...XXXXXXXX... | ...XXXXXXXX...
.XXXXXXXXXXXX. | ..XXXXXXXXXX.. | ..XXXXXXXXXX.. | ..XXXXXXXXXX..
.XXXXXXXXXXXX. | .XXXXXXXXXXXX. | ..XXXXXXXXXX.. | ..XXXXXXXXXXX.
.XXXXXXXXXXXX. | .XXXXXXXXXXXX. | ..XXXXXXXXXX.. | ..XXXXXXXXXXX.
.XXXXXXXXXXXX. | .XXXXXXXXXXXX. | ..XXXXXXXXXX.. | .XXXXXXXXXXX..
..XXXXXXXXXX.. | .XXXXXXXXXXXX. | ...XXXXXXXX... | .XXXXXXXXXXX..
..XXXXXXXXXX.. | ..XXXXXXXXXX.. | ...XXXXXXXX... | .XXXXXXXXXX...
...XXXXXXXX... | ..XXXXXXXXXX.. | ....XXXXXX.... | .XXXXXXXXX....
....XXXXXX.... | ...XXXXXXXX... | ....XXXXXX.... | ..XXXXXXX.....
.....XXXX..... | .....XXXX..... | .....XXXX..... | ..XXXXX.......
......XX...... |                | ......XX...... |
""")
CAPS = sheet("""
crown          | star           | mop
......gg...... | ......hh...... | .......gh.....
..g..ghhg..g.. | .....ghh...... | ...ggg.gh.gg..
..hhgghhgghh.. | .gghhghhgghhg. | ..ghhhghhghhg.
...ihhiihhi... | ..hi.hiihiih.. | ..hi.ihiih.ih.
....i..i..i... | .....i..i..... | ..i..i..i..i..
""")


def strawberry(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["red", "red", "red", "pink"]), rng.choice(["green", "lime"])
    shape, cap, flip = rng.choice(list(STRAWBERRIES)), rng.choice(list(CAPS)), rng.random() < 0.5
    body = _mask(STRAWBERRIES[shape], y=4, flip=flip)
    c.fill(body, RAMPS[colour])
    phase, step, odd, inside = rng.randrange(4), rng.choice([3, 4]), rng.randrange(2), _shrink(body)
    for y in range(7 + odd, 14, 2):
        for x in range((phase + 2 * (y // 2 % 2)) % step, 14, step):
            if inside[y, x] and inside[y - 1, x] and rng.random() < 0.9:
                c.fill(box(x, y - 1, x, y - 1), RAMPS["yellow"], 0)
                c.fill(box(x, y, x, y), RAMPS[colour], 3)
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([8, 9, 10]), paler(RAMPS["pink"]), rng.choice([2.2, 2.7, 3.3]))
    c.stamp(CAPS[cap], {"g": RAMPS[leaf]}, 1, 1, flip)
    words = f"{'bitten ' if bite != 'none' else ''}{colour} strawberry"
    return Look(an(words), {"shape": shape, "cap": cap, "bite": bite}, {"fruit": colour, "leaves": leaf})


def watermelon(c: Canvas, rng: Random) -> Look:
    colour, rind = rng.choice(["red", "red", "red", "yellow", "orange"]), rng.choice(["green", "lime", "teal"])
    seed, striped = rng.choice(["black", "brown"]), rng.random() < 0.5
    form, flip = rng.choice(["half round", "wedge", "tilted"]), rng.random() < 0.5
    if form == "half round":
        x, y, rx, ry, cut = 7.5, 3.5, 7, rng.choice([8.5, 9.5, 10.5]), box(1, 4, 14, 14)
    elif form == "wedge":
        w = rng.choice([4, 5, 6])
        x, y, rx, ry = 7.5, 0, 13, rng.choice([13.4, 14.4])
        cut = polygon((7, 1), (8, 1), (8 + w, 11), (8 + w, 14), (7 - w, 14), (7 - w, 11))
    else:
        x, y, rx, ry, cut = 6, 6, 8.3, rng.choice([7.3, 8.3]), polygon((1, 12), (12, 1), (14, 3), (14, 14), (3, 14))
    outer, pith, flesh = (_flip(ellipse(x, y, rx - d, ry - d) & cut, flip) for d in (0, 1.3, 2.4))
    c.fill(outer, RAMPS[rind], 2)
    c.fill(outer & ~_shift(outer, -1, -1), RAMPS[rind], 3)
    for x in range(2, 14, 4) if striped else ():
        c.fill(outer & box(x, 4, x + 1, 14), RAMPS[rind], 4)
    c.fill(pith, paler(RAMPS["lime"]), 0)
    c.fill(flesh, RAMPS[colour])
    inside, first, phase = _shrink(flesh), 3 + rng.randrange(2), rng.randrange(3)
    for y in range(first, 13, 3):
        for x in _some(rng, range(2 + (y + phase) % 3, 14, 3), 0.8):
            if inside[y, x] and inside[y + 1, x]:
                c.fill(box(x, y, x, y + 1), RAMPS[seed], 4)
    bite = rng.choice(["none", "one bite", "two bites"]) if form == "half round" else rng.choice(["none", "one bite"])
    if form == "half round":
        for x in {"none": [], "one bite": [rng.choice([4, 7, 10.5])], "two bites": [4.5, 10.5]}[bite]:
            c.erase(ellipse(x, 3.5, 2, rng.choice([2, 3])) & flesh)
    elif bite != "none":
        tip = ellipse(rng.choice([6.5, 8.5]), 1, 2.5, 3)
        c.erase(tip if form == "wedge" else _flip(ellipse(7, 5, 2, 2), flip))
    words = f"{'bitten ' if bite != 'none' else ''}slice of {colour} watermelon"
    return Look(an(words), {"form": form, "bite": bite}, {"flesh": colour, "rind": rind})


CROWNS = sheet("""
fan          | tuft         | tall         | wild
g....gg....h | ....gg.g.... | .....gg..... | .gg..g...gg.
hg..ghhg..hi | ..g.ghgh.g.. | ..gg.gh.gh.. | ...ghg.ghi..
.hggghihghi. | ..hghhhihh.. | ...hghhghi.. | ggghhhghhigh
..hihhiihi.. | ...hihiih... | ...ihhiihj.. | ...ihhiij...
...ihiiij... | ....iiij.... | ....hiij.... | ....iiij....
""")


def pineapple(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["orange", "gold", "yellow"]), rng.choice(["green", "lime", "teal"])
    crown, flip = rng.choice(list(CROWNS)), rng.random() < 0.5
    shape, rx = rng.choice([("slim", 4.3), ("plump", 4.8), ("fat", 5.4)])
    top = rng.choice([4.2, 5.2])
    body = ellipse(7.5, (14.5 + top) / 2, rx, (14.5 - top) / 2)
    c.fill(body, paler(RAMPS[colour]))
    y, x = np.mgrid[:SIZE, :SIZE]
    a = rng.randrange(4)
    b = (a + rng.choice([0, 2])) % 4  # the lines have to cross in a pixel
    falling, rising = (x - y + a) % 4 == 0, (x + y + b) % 4 == 0
    tones = RAMPS[colour]
    _recolour(c, body & (falling | rising), tones, tones[2:] + tones[4:] * 2)
    eyes = _shift(falling & rising, 0, 2) & _shrink(body)
    for spot in zip(*np.nonzero(eyes), strict=True):
        if rng.random() < 0.5:
            c.rgb[spot] = tones[0]
    c.stamp(CROWNS[crown], {"g": RAMPS[leaf]}, 2, 1, flip)
    return Look(an(f"{shape} {colour} pineapple"), {"shape": shape, "crown": crown}, {"skin": colour, "leaves": leaf})


# Rind tones 1 to 5, p: pith.
SLICES = sheet("""
large         | small
....33333.... | ..33333..
..33ppppp33.. | .3ppppp3.
.3pp22p22pp3. | 3pp222pp3
.3p222p222p3. | 3p2p2p2p4
3ppp22p22ppp4 | 3p22p22p4
3p22ppppp22p4 | 3p2p2p2p4
3p2222p2222p4 | 3pp222pp4
3p22ppppp22p4 | .3ppppp4.
3ppp22p22ppp4 | ..44444..
.3p222p222p4. |
.3pp22p22pp4. |
..34ppppp44.. |
....44444.... |
""")


def lemon(c: Canvas, rng: Random) -> Look:
    colour, form = rng.choice(["yellow", "gold"]), rng.choice(["whole", "whole", "whole", "sliced", "with a slice"])
    flip, tilt, ry = rng.random() < 0.5, rng.choice([0, 1]), rng.choice([4.2, 4.7, 5.2])
    legend = {"1": RAMPS[colour], "p": CREAM[0]}
    body = ellipse(7.5, 8.5, rng.choice([5.3, 5.7]), ry)
    body |= ellipse(7.5, 8.5, 6.4, ry * 0.6)
    body = _flip(body | box(1, 8 + tilt, 3, 9 + tilt) | box(12, 8 - tilt, 14, 9 - tilt), flip)
    leaf = "none"
    if form == "sliced":
        c.stamp(SLICES["large"], legend, rng.choice([1, 2]), rng.choice([1, 2]))
        for x, y in _some(rng, [(5, 4), (6, 6), (10, 4), (4, 9), (11, 8), (6, 11), (10, 10), (9, 6)], 0.4):
            c.stamp("3\n4", {"1": RAMPS["tan"]}, x, y)
    else:
        c.fill(body, RAMPS[colour])
        for x, y in _some(rng, [(3, 9), (5, 11), (6, 9), (8, 11), (8, 8), (10, 9), (9, 6), (11, 7)], 0.45):
            _recolour(c, box(x, y, x + 1, y) & _shrink(body), RAMPS[colour], darker(RAMPS[colour]))
        c.stamp(".ww\nww.", {}, rng.choice([4, 5]), 6)
    if form == "whole":
        leaf = _leaf(c, rng, rng.choice([6, 7, 8]), 2, ("none", "left", "right"))
    elif form == "with a slice":
        x, y = rng.choice([1, 2, 5, 6]), rng.choice([5, 6])
        c.rgb[grow(_mask(SLICES["small"], "34p2", x, y)) & c.filled] = OUTLINE
        c.stamp(SLICES["small"], legend, x, y)
    words = {"whole": "lemon", "sliced": "slice of lemon", "with a slice": "lemon with a slice"}[form]
    return Look(an(f"{colour} {words}"), {"form": form, "leaf": leaf}, {"skin": colour})


# --- vegetables -----------------------------------------------------------------------------------
# --------------------

# Drawn upright, the root begins below.
CARROT_TOPS = sheet("""
bushy        | long         | tufts
..gg..gg.g.. | ....g..g.... | .gg......gg.
.ghhg.ghghg. | .g..gh.g..g. | ghhg.gg.ghhi
..hhhghhhi.. | .hg.hh.h.hi. | .hhhghhghhi.
...ihhhii... | ..hhhhhhii.. | ...ihhhhi...
.....hi..... | ....ihii.... | .....hi.....
""")
CARROTS = sheet("""
upright        | slim           | stout          | crooked
....XXXXXX.... | .....XXXX..... | ...XXXXXXXX... | ....XXXXXX....
...XXXXXXXX... | ....XXXXXX.... | ..XXXXXXXXXX.. | ...XXXXXXXX...
...XXXXXXXX... | ....XXXXXX.... | ..XXXXXXXXXX.. | ...XXXXXXXX...
...XXXXXXXX... | ....XXXXXX.... | ..XXXXXXXXX... | ...XXXXXXX....
....XXXXXX.... | ....XXXXXX.... | ...XXXXXXXX... | ....XXXXXX....
....XXXXXX.... | .....XXXXX.... | ...XXXXXXX.... | ....XXXXXX....
....XXXXX..... | .....XXXX..... | ....XXXXXX.... | .....XXXXXX...
.....XXXX..... | .....XXXX..... | ....XXXXX..... | ......XXXXX...
.....XXX...... | ......XX...... | .....XXX...... | .......XXXX...
......XX...... | ......XX...... | ......X....... | .........XX...
""")


def carrot(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["orange", "orange", "orange", "yellow", "purple"]), rng.choice(["green", "lime"])
    shape, tops, flip = rng.choice(list(CARROTS)), rng.choice(list(CARROT_TOPS)), rng.random() < 0.5
    body = _mask(CARROTS[shape], y=5, flip=flip)
    c.fill(body, RAMPS[colour])
    for y in _some(rng, range(6, 13), 0.4):
        columns = np.nonzero(body[y])[0]
        x = columns[0] if y % 2 else columns[-1] - 2
        c.fill(box(x, y, x + 2, y) & body, RAMPS[colour], 3)
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([8, 9]), paler(paler(RAMPS[colour])), 2)
    c.stamp(CARROT_TOPS[tops], {"g": RAMPS[leaf]}, 2, 1, rng.random() < 0.5)
    words = f"{'bitten ' if bite != 'none' else ''}{colour} carrot"
    return Look(an(words), {"shape": shape, "leaves": tops, "bite": bite}, {"root": colour, "leaves": leaf})


CALYXES = sheet("""
star         | short        | bent         | wild
.....jj..... | .....jj..... | .......jj... | .....jj.....
...hhhhhi... | .....jj..... | ......jj.... | ..gg.jj.gg..
.ghhhhhhhii. | ..ghhhhhhi.. | ..hhhhhhhi.. | ...hhhhhhi..
.h..hhi..i.. | ..hi.hh.ii.. | .hhi.hi.hii. | ..hhhhhhii..
.....h...... |              | .....h...... | ..h..hi..i..
""")


def tomato(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["red", "red", "orange", "yellow"]), rng.choice(["green", "lime"])
    shape, rx, ry = rng.choice([("round", 6.3, 5.6), ("flat", 7, 5), ("small", 5.6, 5), ("big", 7, 5.8)])
    body = ellipse(7.5, 14.4 - ry, rx, ry)
    c.fill(body, RAMPS[colour])
    ribs = rng.choice([(), (-3, 3), (-4, 0, 4), (-3,), (3,)])
    for d in ribs:
        c.fill(line((7.5 + d, 10), (7.5 + d * 0.8, 13)) & _shrink(body), RAMPS[colour], 3)
    c.stamp(rng.choice(["ww\nw.", "ww", "w\nw", ".w\nw."]), {}, rng.choice([3, 4]), rng.choice([7, 8]))
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([9, 10]), paler(RAMPS["pink"]), rng.choice([2.6, 3.4]))
    calyx = rng.choice(list(CALYXES))
    y = 14 - round(2 * ry)
    c.stamp(CALYXES[calyx], {"g": RAMPS[leaf]}, 2, max(1, y), rng.random() < 0.5)
    words = f"{'bitten ' if bite != 'none' else ''}{colour} tomato"
    return Look(an(words), {"shape": shape, "calyx": calyx, "bite": bite}, {"skin": colour, "leaves": leaf})


AUBERGINES = sheet("""
curved         | straight       | hanging
...........jj. | ............jj | ......jj......
..........jj.. | ...........jj. | ......jj......
.......hhhj... | ........hhhj.. | ....hhhhhi....
......hhhhhi.. | .......hhhhi.. | ...hhhhhhhi...
.....XXhhhhi.. | ......XXhhhi.. | ...hXhhXhhi...
....XXXXhXii.. | .....XXXXhhi.. | ...XXXXhXXX...
...XXXXXXXXi.. | ....XXXXXXX... | ...XXXXXXXX...
..XXXXXXXXXX.. | ..XXXXXXXXX... | ..XXXXXXXXXX..
.XXXXXXXXXX... | .XXXXXXXXXX... | ..XXXXXXXXXX..
XXXXXXXXXXX... | .XXXXXXXXX.... | ..XXXXXXXXXX..
XXXXXXXXXX.... | XXXXXXXXXX.... | ..XXXXXXXXXX..
XXXXXXXXX..... | XXXXXXXXX..... | ..XXXXXXXXXX..
.XXXXXXX...... | XXXXXXXX...... | ...XXXXXXXX...
..XXXXX....... | .XXXXXX....... | .....XXXX.....
""")


def aubergine(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["purple", "magenta", "black"]), rng.choice(["green", "lime", "teal"])
    shape, flip = rng.choice(list(AUBERGINES)), rng.random() < 0.5
    art = AUBERGINES[shape]
    body = _mask(art, flip=flip)
    c.fill(body, RAMPS[colour])
    if colour == "magenta":
        _recolour(c, body, RAMPS["magenta"], RAMPS["magenta"][1:] + RAMPS["purple"][4:])
    inside, striped = _shrink(body), rng.random() < 0.3
    for x in range(2 + rng.randrange(3), 14, 3) if striped else ():
        c.fill(line((x, 5), (x, 13)) & inside, RAMPS["white"], 2)
    x, y = rng.choice([(3, 9), (4, 8), (4, 10), (5, 8), (5, 9), (6, 7)])
    c.stamp(rng.choice([".w\nw.\nw.", ".ww\nww.", "w\nw", "ww\nw."]), {}, x + 2 * flip, y)
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([8, 9, 10]), CREAM, rng.choice([1.8, 2.4, 3.0]))
    c.stamp(art.replace("X", "."), {"g": RAMPS[leaf]}, 1, 1, flip)
    words = f"{'bitten ' if bite != 'none' else ''}{'striped ' if striped else ''}{colour} aubergine"
    parts = {"shape": shape, "bite": bite, "stripes": "yes" if striped else "no"}
    return Look(an(words), parts, {"skin": colour, "leaves": leaf})


# Left leaf, mirrored for the right one.
HUSKS = sheet("""
open   | wide   | closed | short
X..... | XX.... | ..X... | ..X...
XX.... | XXXX.. | ..XX.. | .XXX..
XXX... | .XXXX. | ..XXX. | ..XXXX
.XXX.. | .XXXXX | ..XXXX | ...XXX
.XXXX. | ..XXXX | ..XXXX |
..XXXX | ...XXX | ..XXXX |
...XXX |        | ..XXXX |
....XX |        | ...XXX |
       |        | ....XX |
""")


def corn(c: Canvas, rng: Random) -> Look:
    colour, leaf = rng.choice(["yellow", "gold"]), rng.choice(["green", "lime"])
    shape, rx = rng.choice([("slim", 3.7), ("plump", 4.6)])
    cob, ramp = ellipse(7.5, 7.5, rx, rng.choice([6.5, 7])) & box(1, 1, 14, 13), RAMPS[colour]
    c.fill(cob, paler(ramp))
    mixed = rng.choice(["none", "none", "red", "purple", "brown"])
    first = rng.randrange(3)
    gaps = cob.copy()
    for y in range(1, 14, 3):  # rows of kernels of 2×2 pixels, shifted like bricks
        for x in range(2 + (first + y // 3) % 3, 13, 3):
            kernel = box(x, y, x + 1, y + 1) & cob
            gaps &= ~kernel
            if rng.random() < 0.25:
                c.fill(kernel, *((ramp, 0) if mixed == "none" else (RAMPS[mixed], 2)))
    c.fill(gaps, ramp, 2)
    husk, other = rng.choice(list(HUSKS)), rng.choice(list(HUSKS))
    for name, flip in ((husk, False), (other, True)):
        c.fill(_mask(HUSKS[name], x=2, y=15 - _height(HUSKS[name]), flip=flip), RAMPS[leaf], "bevel")
    kernels = "" if mixed == "none" else f" with {mixed} kernels"
    parts = {"shape": shape, "husks": f"{husk} {other}"}
    return Look(f"{an(colour)} cob of corn{kernels}", parts, {"kernels": colour, "husks": leaf})


PUMPKIN_STEMS = sheet("""
short | bent left | bent right | thick
.hi   | hh.       | .hhi       | hhi
.hi   | .hi       | .hi.       | hij
.ij   | hij       | .hij       | hij
""")


def pumpkin(c: Canvas, rng: Random) -> Look:
    colour = rng.choice(["orange", "orange", "orange", "orange", "white", "yellow"])
    stem_colour = rng.choice(["green", "lime", "brown"])
    shape, rx, ry = rng.choice([("wide", 7, 5), ("round", 6.5, 5.5), ("tall", 5.8, 6), ("flat", 7, 4.2)])
    y, ramp = 14.4 - ry, paler(RAMPS["white"]) if colour == "white" else RAMPS[colour]
    side = 0.58 * rx
    for x, w in ((7.5 - rx + side, side), (7.5 + rx - side, side)):
        c.fill(ellipse(x, y, w, ry - 0.4), ramp)
    d = rng.choice([0.3, 0.36, 0.42]) * rx
    c.fill(ellipse(7.5, y, d + 1, ry), ramp, 3)
    middle = ellipse(7.5, y, d, ry)
    c.fill(middle, ramp)
    shine = rng.choice(["1\n1", "11\n1.", "1\n1\n1"])
    c.stamp(shine, {"1": CREAM}, rng.choice([3, 4, 7]), round(y - ry / 2) + rng.choice([0, 1]))
    stem = rng.choice(list(PUMPKIN_STEMS))
    top = max(3, int(np.nonzero(middle)[0].min()))
    c.stamp(PUMPKIN_STEMS[stem], {"g": RAMPS[stem_colour]}, 6, top - 2)
    leaf = _leaf(c, rng, 7, top - 1)
    return Look(an(f"{shape} {colour} pumpkin"), {"shape": shape, "stem": stem, "leaf": leaf}, {"skin": colour})


MUSHROOMS = {  # radii of the dome, row of its lower edge, half the width of the stem
    "round": (5.9, 6.5, 8, 2.0),
    "flat": (7.0, 4.6, 7, 1.6),
    "bell": (5.4, 7.6, 9, 1.7),
    "broad": (6.8, 6.2, 7, 2.2),
    "button": (6.2, 7.0, 9, 2.6),
}


def _one_mushroom(c: Canvas, x: float, size: tuple[float, float, int, float], foot: float, ramp: Ramp) -> np.ndarray:
    """A stem down to the ground, gills in the shadow and a dome; returns the dome."""
    rx, ry, y, w = size
    rows = np.mgrid[:SIZE, :SIZE][0]
    stem = polygon((x - w, y), (x + w, y), (x + w, 11), (x + w + foot, 14), (x - w - foot, 14), (x - w, 11))
    cap = ellipse(x, y, rx, ry) & (rows <= y) & box(1, 1, 14, 14)
    c.rgb[grow(stem | cap) & c.filled] = OUTLINE
    c.fill(stem, CREAM)
    c.fill(ellipse(x, y, rx - 1, 2.6) & (rows > y), RAMPS["tan"], 3)
    c.fill(stem & (rows > y) & (rows < y + 3), CREAM, 3)
    c.fill(cap, ramp)
    return cap


def mushroom(c: Canvas, rng: Random) -> Look:
    colour, foot = rng.choice(["brown", "tan", "red", "white", "orange"]), rng.choice([0, 1, 1.6])
    number, shape, flip = rng.choice(["one", "one", "two"]), rng.choice(list(MUSHROOMS)), rng.random() < 0.5
    ramp, x = paler(RAMPS["white"]) if colour == "white" else RAMPS[colour], 7.5
    size = (*MUSHROOMS[shape][:3], MUSHROOMS[shape][3] + rng.choice([-0.5, 0, 0.5]))
    if number == "two":
        x, size = 5.5 if flip else 9.5, (5, *size[1:3], 1.5)
    cap = _one_mushroom(c, x, size, foot, ramp)
    flecks = [(4, 5), (6, 3), (8, 5), (10, 4), (5, 7), (10, 7), (7, 7)]
    for fx, fy in _some(rng, flecks, rng.choice([0.2, 0.5])):
        c.fill(box(fx, fy, fx + 1, fy) & _shrink(cap), ramp, 3 if fy > 5 else 2)
    x, y = np.argwhere(_shrink(cap))[0][::-1]
    c.stamp(rng.choice(["11\n1.", "11", ".1\n1."]), {"1": CREAM}, int(x), int(y))
    if number == "two":
        little = (rng.choice([2.6, 3.2]), 3.6, rng.choice([9, 10]), 1)
        _one_mushroom(c, 11.5 if flip else 3.5, little, rng.choice([0, 0.6]), ramp)
    grass = rng.choice(["none", "left", "right", "both"])
    for side in {"none": [], "both": ["left", "right"]}.get(grass, [grass]):
        c.stamp(rng.choice(["g.h\nhgi", ".g.\nghi"]), {"g": RAMPS["green"]}, 3 if side == "left" else 10, 13)
        c.fill(box(5, 14, 10, 14), RAMPS["green"], 2)
    words = f"two mushrooms with {colour} caps" if number == "two" else f"{an(shape)} mushroom with {an(colour)} cap"
    return Look(words, {"number": number, "shape": shape, "grass": grass}, {"cap": colour})


# --- meals ----------------------------------------------------------------------------------------
# --------------------

LOAVES = sheet("""
tin            | round          | baguette       | slice
....XXXXXXXX.. | .....XXXX..... | ..........XXX. | ..ccccccccc...
..XXXXXXXXXXX. | ...XXXXXXXX... | ........XXXXXX | .cpppppppppc..
.XXXXXXXXXXXXX | ..XXXXXXXXXX.. | .......XXXXXXX | cpppppppppppc.
.cccccccXXXXXX | .XXXXXXXXXXXX. | ......XXXXXXXX | cpppppppppppc.
cpppppppcXXXXX | .XXXXXXXXXXXX. | .....XXXXXXXX. | cpppppppppppc.
cpppppppcXXXXX | XXXXXXXXXXXXXX | ....XXXXXXXXX. | .cpppppppppc..
cpppppppcXXXXX | XXXXXXXXXXXXXX | ...XXXXXXXXX.. | ..cpppppppc...
.cpppppcXXXXXX | XXXXXXXXXXXXXX | ..XXXXXXXXX... | ..cpppppppc...
.cpppppcXXXXXX | .XXXXXXXXXXXX. | .XXXXXXXXX.... | ..cpppppppc...
.cpppppcXXXXX. | ..XXXXXXXXXX.. | .XXXXXXXX..... | ..cpppppppc...
.cpppppcXXXX.. |                | XXXXXXXX...... | ..cpppppppc...
.cccccccXX.... |                | XXXXXXX....... | ..cpppppppc...
               |                | XXXXXX........ | ...ccccccc....
               |                | .XXX.......... |
""")
CUTS = {  # scores in the crust; where they may lie
    "tin": ((3, 3), (6, 2), (9, 2), (11, 4), (10, 7), (12, 9)),
    "round": ((2, 7), (5, 5), (8, 6), (11, 7), (4, 9), (7, 9), (10, 10)),
    "baguette": ((12, 3), (10, 4), (8, 6), (6, 8), (4, 10), (3, 12)),
    "slice": ((4, 5), (8, 4), (6, 8), (9, 9), (5, 11), (9, 6), (4, 8)),
}
CRUSTS = {
    "golden": CRUST,
    "brown": RAMPS["brown"],
    "dark": RAMPS["brown"][1:] + RAMPS["black"][4:],
    "pale": RAMPS["tan"],
}
SPREADS = {"butter": RAMPS["yellow"], "jam": RAMPS["red"], "honey": RAMPS["orange"]}


def bread(c: Canvas, rng: Random) -> Look:
    crust, form, flip = rng.choice(list(CRUSTS)), rng.choice(list(LOAVES)), rng.random() < 0.5
    ramp, y = CRUSTS[crust], {"tin": 2, "round": 4}.get(form, 1)
    body = _mask(LOAVES[form], "Xcp", y=y, flip=flip)
    c.fill(body, ramp)
    c.fill(_mask(LOAVES[form], "c", y=y, flip=flip), ramp, 2)
    c.fill(_mask(LOAVES[form], "p", y=y, flip=flip), paler(CREAM), "bevel")
    cut = rng.choice([".a\naa\na.", "aa\n.a", ".aa\naa."])
    for cx, cy in _some(rng, CUTS[form], rng.choice([0.5, 0.8])):
        tone = CREAM[2] if form == "slice" else CREAM[1]
        c.stamp(cut if form != "slice" else "aa", {"a": tone}, 13 - cx if flip else cx, cy + (y > 1))
    spread = rng.choice(["none", *SPREADS]) if form == "slice" else "none"
    if spread != "none":
        blob = ellipse(6.5, 7, rng.choice([3.4, 4.4]), rng.choice([3, 3.6]))
        blob |= ellipse(*rng.choice([(6, 9), (8, 10), (5, 11)]), 2, 3)
        c.fill(_flip(blob, flip) & _shrink(body), SPREADS[spread])
    bite = rng.choice(["none", "left", "right"])
    if bite != "none":
        _bite(c, body, bite, rng.choice([7, 8, 9]), CREAM, rng.choice([1.8, 2.4, 3]))
    words = {"tin": "loaf of bread", "round": "round loaf of bread", "slice": "slice of bread"}.get(form, form)
    words = f"{'bitten ' * (bite != 'none')}{crust} {words}" + (f" with {spread}" if spread != "none" else "")
    return Look(an(words), {"form": form, "bite": bite, "spread": spread}, {"crust": crust})


# Letters: t top, s side, r rind.
CHEESES = sheet("""
wedge          | flat wedge     | steep wedge
........ttrr.. | .......tttrr.. | .........ttr..
......tttttrr. | ....tttttttrr. | .......ttttrr.
....tttttttrr. | ..tttttttttrr. | .....ttttttrr.
..ttttttttttrr | ttttttttttttrr | ....tttttttrr.
tttttttttttttr | ssssssssssssss | ..ttttttttttrr
ssssssssssssss | ssssssssssssss | .tttttttttttrr
ssssssssssssss | ssssssssssssss | .sssssssssssss
ssssssssssssss | ssssssssssssss | .sssssssssssss
ssssssssssssss | ssssssssssssss | .sssssssssssss
ssssssssssssss |                | .sssssssssssss
ssssssssssssss |                | .sssssssssssss
               |                | .sssssssssssss
""")
HOLES = ("43\n33", "44\n43\n33", "443\n433\n.33", "43")


def cheese(c: Canvas, rng: Random) -> Look:
    colour, rind = rng.choice(["yellow", "gold", "orange"]), rng.choice(["red", "orange", "brown", "white"])
    form, flip = rng.choice(list(CHEESES)), rng.random() < 0.5
    art = CHEESES[form]
    y, ramp = 15 - _height(art), RAMPS[colour]
    c.fill(_mask(art, "t", y=y, flip=flip), ramp, 0)
    c.fill(_mask(art, "r", y=y, flip=flip), RAMPS[rind], 2)
    side = _mask(art, "s", y=y, flip=flip)
    c.fill(side, ramp, 1)
    c.fill(side & ~_shift(side, 0, -1), ramp, 2)
    top = int(np.nonzero(side)[0].min())
    blue = rng.random() < 0.25
    mould = RAMPS["steel"][2:] + RAMPS["blue"][3:]
    for x, dy in _some(rng, [(2, 1), (6, 2), (10, 1), (3, 5), (8, 4), (12, 4)], 0.6):
        _stamp_on(c, side, rng.choice(HOLES), mould if blue else ramp, x, min(top + dy, 12))
    if rng.random() < 0.4:
        x = rng.choice([4, 6, 8])
        c.erase(ellipse(x, 14.5, 1.6, 2))
    words = f"wedge of {'blue' if blue else colour} cheese"
    return Look(an(words), {"form": form, "holes": "blue" if blue else "plain"}, {"cheese": colour, "rind": rind})


TAILS = sheet("""
fork | fan  | moon
X... | .XX. | XX..
XX.. | XXX. | XXX.
XXX. | XXXX | .XXX
.XXX | XXXX | ..XX
.XXX | XXX. | ..XX
XXX. | .XX. | .XXX
XX.. |      | XXX.
X... |      | XX..
""")
FINS = {"tall": ((7, -2), (8, -2)), "long": ((4, -1), (10, -1)), "low": ((6, -1), (9, 0)), "two": ((5, 0), (6, -1))}
FISH_MARKS = {  # where they may lie, width and tone
    "stripes": ([(5, 6), (5, 7), (7, 5), (7, 6), (7, 7)], 0, 3),
    "scales": ([(5, 7), (7, 6), (7, 8), (4, 8), (9, 5)], 1, 0),
    "spots": ([(4, 7), (7, 5), (8, 7), (6, 9), (5, 6)], 1, 3),
}


def fish(c: Canvas, rng: Random) -> Look:
    colour = rng.choice(["sky-blue", "blue", "orange", "pink", "steel", "teal", "red", "lime"])
    belly, flip = rng.choice(["white", "yellow", "tan"]), rng.random() < 0.5
    shape, ry = rng.choice([("slim", 3.2), ("plump", 4.2), ("round", 5.1)])
    tail, fin, pattern = rng.choice(list(TAILS)), rng.choice(list(FINS)), rng.choice(list(FISH_MARKS))
    body = ellipse(9, 8, 5.5, ry) | polygon((3, 7), (7, 9 - ry), (7, 7 + ry), (3, 8))
    (x0, y0), (x1, y1) = FINS[fin]
    fins = polygon((x0, 8 - ry + y0), (x1, 8 - ry + y1), (11, 8), (6, 8))
    fins |= polygon((7, 10), (9, 10), (7, 10 + ry), (6, 9 + ry))
    fins |= _mask(TAILS[tail], y=8 - _height(TAILS[tail]) // 2)
    c.fill(_flip(fins & box(1, 1, 14, 14), flip), RAMPS[colour], 3)
    c.fill(_flip(body, flip), RAMPS[colour])
    _recolour(c, _flip(body & ellipse(9.5, 9 + ry, 6, ry), flip), RAMPS[colour], paler(RAMPS[belly]))
    places, extra, tone = FISH_MARKS[pattern]
    for x, y in _some(rng, places, 0.6):
        c.fill(_flip(box(x, y, x + extra, y) & body, flip), RAMPS[colour], tone)
    c.fill(_flip(line((10, 7), (10, 9)), flip), RAMPS[colour], 4)
    c.stamp("w#", {}, 3 if flip else 11, 7, flip)
    parts = {"shape": shape, "tail": tail, "fin": fin, "pattern": pattern}
    return Look(an(f"{shape} {colour} fish"), parts, {"body": colour, "belly": belly})


# Letters: X meat, b bone.
JOINTS = sheet("""
drumstick      | slim drumstick | upright drumstick | thick joint
.......XXXXX.. | ........XXXX.. | ....XXXXXX....    | ..........bb..
.....XXXXXXXX. | ......XXXXXXX. | ..XXXXXXXXXX..    | .........bbb..
....XXXXXXXXXX | .....XXXXXXXXX | .XXXXXXXXXXXX.    | ..XXXXXX.bbbbb
...XXXXXXXXXXX | .....XXXXXXXXX | .XXXXXXXXXXXX.    | .XXXXXXXXbbbbb
...XXXXXXXXXXX | ....XXXXXXXXXX | .XXXXXXXXXXXX.    | XXXXXXXXXXbb..
...XXXXXXXXXXX | ....XXXXXXXXX. | .XXXXXXXXXXXX.    | XXXXXXXXXXX...
...XXXXXXXXXX. | ....XXXXXXXXX. | ..XXXXXXXXXX..    | XXXXXXXXXXX...
...XXXXXXXXXX. | ....XXXXXXX... | ..XXXXXXXXXX..    | XXXXXXXXXXX...
...XXXXXXXX... | ...bXXXXX..... | ...XXXXXXXX...    | .XXXXXXXXXX...
...bXXXXX..... | ..bbbX........ | .....XXXX.....    | ..XXXXXXXX....
bbbbb......... | bbbbb......... | ......bb......    | .bbXXXXX......
bbbb.......... | bbbb.......... | ....bbbbbb....    | bbbb..........
.bbb.......... | .bbb.......... | ....bbbbbb....    | bbbb..........
.bb........... | .bb........... | ....bb..bb....    | ..bb..........
""")
ROASTS = {"golden": CRUST, "brown": RAMPS["brown"], "red": RAMPS["red"], "orange": RAMPS["orange"]}


def drumstick(c: Canvas, rng: Random) -> Look:
    roast, form, flip = rng.choice(list(ROASTS)), rng.choice(list(JOINTS)), rng.random() < 0.5
    ramp = ROASTS[roast]
    c.fill(_mask(JOINTS[form], "b", flip=flip), paler(RAMPS["white"]), "bevel")
    body = _mask(JOINTS[form], "X", flip=flip)
    c.fill(body, ramp)
    for mx, my in _some(rng, [(6, 6), (9, 5), (8, 8), (10, 9), (11, 7), (6, 9), (7, 4)], 0.5):
        c.fill(_flip(box(mx, my, mx + 1, my), flip) & _shrink(body), ramp, 3)
    shine = np.argwhere(_shrink(_shrink(body)))[0] + (0, rng.choice([-1, 0]))
    c.stamp(rng.choice(["11\n1.", ".1\n1.", "11"]), {"1": CREAM}, int(shine[1]), int(shine[0]))
    bite = rng.choice(["none", "none", "top", "right" if not flip else "left"])
    bite = bite if "drumstick" in form else "none"
    if bite != "none":
        at = 7 if bite != "top" else rng.choice([9, 10]) if not flip else rng.choice([5, 6])
        _bite(c, body, bite, at, RAMPS["pale skin"], rng.choice([1.8, 2.6]))
    words = "thick piece of meat on the bone" if form == "thick joint" else form
    return Look(an(f"{'bitten ' * (bite != 'none')}{roast} {words}"), {"form": form, "bite": bite}, {"meat": roast})


EGG_LOBES = ((4, 4), (11, 4), (4, 11), (11, 11), (3.5, 7.5), (11.5, 7.5), (7.5, 11.5), (7.5, 3.5))


def egg(c: Canvas, rng: Random) -> Look:
    yolk, yolks = rng.choice(["yellow", "gold", "orange"]), rng.choice(["one", "one", "two"])
    white, lobes = ellipse(7.5, 7.5, 5.5, 5), _some(rng, EGG_LOBES, 0.5)
    for x, y in lobes:
        white |= ellipse(x, y, *rng.choice([(3, 3), (3.4, 2.4), (2.4, 3.2)]))
    white = grow(_shrink(white & box(1, 1, 14, 14)))  # no spikes
    edge, rim = rng.choice([("soft", RAMPS["white"][1:]), ("crisp", RAMPS["tan"])])
    c.fill(white, RAMPS["white"], 0)
    c.fill(white & ~_shift(white, -1, -1), rim, 1)
    x, y = rng.choice([(7, 7), (7.5, 7.5), (8, 7), (7, 8)])
    for dx, dy, r in {"one": [(0, 0, rng.choice([3, 3.5]))], "two": [(-2.5, -1, 2.5), (2.5, 1, 2.5)]}[yolks]:
        _ball(c, x + dx, y + dy, r, paler(RAMPS[yolk]), RAMPS["white"][1])
        c.stamp("ww\nw.", {}, round(x + dx - r / 2), round(y + dy - r / 2))
    spice, herb = rng.choice([("none", ""), ("herbs", "green"), ("pepper", "black")])
    for x, y in _some(rng, [(3, 5), (11, 4), (4, 11), (11, 11), (8, 12)], 0.5) if herb else ():
        c.fill(box(x, y, x + 1, y) & _shrink(white), RAMPS[herb], 2)
    words = f"a fried egg with {yolks} {yolk} yolk{'s' * (yolks == 'two')}" + (f" and {spice}" if herb else "")
    return Look(words, {"yolks": yolks, "edge": edge, "lobes": str(len(lobes)), "spice": spice}, {"yolk": yolk})


FLAVOURS = {
    "strawberry": RAMPS["pink"],
    "vanilla": CREAM,
    "chocolate": RAMPS["brown"],
    "mint": RAMPS["teal"],
    "lime": RAMPS["lime"],
    "blueberry": RAMPS["purple"],
    "lemon": RAMPS["yellow"],
    "orange": RAMPS["orange"],
}
TOPPINGS = {  # what lies on top of cakes and ice cream, 4 wide and 4 high
    "cherry": ("..a.\n.12.\n1223\n.33.", RAMPS["red"]),
    "strawberry": (".ab.\n1112\n1223\n.23.", RAMPS["red"]),
    "blueberry": ("....\n.12.\n1223\n.33.", RAMPS["blue"]),
    "cream": ("..1.\n.112\n1122\n1223", RAMPS["white"]),
}
CAKE = """
.........tttt.
......tttttttt
...ttttttttttt
tttttttttttttt
iiiiiiiiiiiiii
iiiiiiiiiiiiii
ssssssssssssss
ssssssssssssss
ffffffffffffff
ssssssssssssss
ssssssssssssss
"""


def _topping(c: Canvas, name: str, x: int, y: int) -> None:
    art, ramp = TOPPINGS[name]
    c.stamp(art, {"1": ramp, "a": RAMPS["green"]}, x, y)


def cake(c: Canvas, rng: Random) -> Look:
    icing, filling = rng.choice(list(FLAVOURS)), rng.choice(["strawberry", "vanilla", "chocolate"])
    sponge, flip = rng.choice(["golden", "dark", "pale"]), rng.random() < 0.5
    for char, tone, ramp in (("s", 1, CRUSTS[sponge]), ("f", 1, FLAVOURS[filling]), ("it", 2, FLAVOURS[icing])):
        c.fill(_mask(CAKE, char, y=4, flip=flip), ramp, tone)
    c.fill(_mask(CAKE, "t", y=4, flip=flip), FLAVOURS[icing], 1)
    c.fill(box(1, 14, 14, 14), CRUSTS[sponge], 2)
    for x in _some(rng, [1, 4, 7, 10, 13], 0.6):
        c.fill(box(x, 10, x + 1, rng.choice([10, 11])), FLAVOURS[icing], 2)
    topping, x = rng.choice(list(TOPPINGS)), rng.choice([6, 7, 8, 9])
    _topping(c, topping, 12 - x if flip else x, rng.choice([2, 3]))
    words = f"slice of {icing} cake with {topping if topping == 'cream' else an(topping)}"
    parts = {"topping": topping, "side": "left" if flip else "right"}
    return Look(an(words), parts, {"icing": icing, "sponge": sponge, "filling": filling})


CONES = {
    "pointed": ((3, 7), (12, 7), (8, 14), (7, 14)),
    "slim": ((4, 7), (11, 7), (9, 14), (6, 14)),
    "cup": ((3, 7), (12, 7), (12, 9), (10, 10), (9, 14), (6, 14), (5, 10), (3, 9)),
}
SCOOPS = {  # centre and radius, from the back to the front
    "one": ((7.5, 5.0, 4.6),),
    "two": ((4.6, 4.8, 3.5), (10.4, 4.8, 3.5)),
    "stack": ((7.5, 6.4, 4.0), (7.5, 3.6, 3.1)),
    "three": ((4.6, 6.0, 3.3), (10.4, 6.0, 3.3), (7.5, 3.8, 3.0)),
}


def ice_cream(c: Canvas, rng: Random) -> Look:
    cone, form = rng.choice(list(CONES)), rng.choice(list(SCOOPS))
    body = polygon(*CONES[cone])
    c.fill(body, CRUST, 1)
    y, x = np.mgrid[:SIZE, :SIZE]
    phase = rng.randrange(4)
    c.fill(body & (((x + y + phase) % 4 == 0) | ((x - y + phase) % 4 == 0)), CRUST, 2)
    c.fill(body & ~_shift(body, -1, 0), CRUST, 3)
    topping = rng.choice(["none", "none", "cherry", "wafer", "strawberry"])
    top = round(min(y - r for _, y, r in SCOOPS[form]))
    if topping == "wafer":
        c.fill(polygon((11, 1), (12, 2), (9, 6), (8, 5)), RAMPS["brown"], "bevel")
    flavours = [rng.choice(list(FLAVOURS)) for _ in SCOOPS[form]]
    for (sx, sy, r), flavour in zip(SCOOPS[form], flavours, strict=True):
        _ball(c, sx, sy, r, FLAVOURS[flavour], FLAVOURS[flavour][4])
        for dx in _some(rng, [-2, 1], 0.5):  # drips
            left, low = round(sx) + dx, round(sy + r)
            c.fill(box(left, low, left + 1, low + 1) & body, FLAVOURS[flavour], 2)
    if topping in TOPPINGS:
        _topping(c, topping, 6, max(1, top - 1))
    named = " and ".join(dict.fromkeys(flavours))
    parts = {"cone": cone, "scoops": form, "topping": topping}
    extra = "" if topping == "none" else f" and {an(topping)}"
    return Look(f"an ice cream cone with {named} ice cream{extra}", parts, {"ice cream": flavours[0]})


def doughnut(c: Canvas, rng: Random) -> Look:
    glaze = rng.choice(["strawberry", "vanilla", "chocolate", "mint", "lime", "blueberry"])
    dough = rng.choice(["golden", "pale"])
    shape, rx, ry = rng.choice([("round", 7, 7), ("wide", 7, 6), ("small", 6, 6)])
    hole = ellipse(7.5, 7.5, 2.3, rng.choice([1.7, 2.3]))
    ring = ellipse(7.5, 7.5, rx, ry) & ~hole
    c.fill(ring, CRUSTS[dough])
    top = ellipse(7.5, 7, rx - 1, ry - 1.2) & ~grow(hole)
    for x in _some(rng, [3, 6, 9, 11], 0.6):
        top |= box(x, 10, x + 1, 13) & ellipse(7.5, 7.5, rx - 0.8, ry - 0.8)
    c.fill(top & ring, FLAVOURS[glaze])
    topping = rng.choice(["sprinkles", "sprinkles", "stripes", "plain"])
    places = [(3, 5), (5, 3), (8, 2), (11, 4), (12, 7), (11, 10), (8, 11), (4, 11), (3, 8), (10, 6), (5, 6)]
    for x, y in _some(rng, places, 0.65) if topping == "sprinkles" else ():
        colour = rng.choice([name for name in ("red", "yellow", "sky-blue", "lime", "white") if name != glaze])
        c.fill(box(x, y, x + 1, y) & top & ring, RAMPS[colour], 1)
    for x in range(rng.randrange(3, 6), 14, 3) if topping == "stripes" else ():
        c.fill(line((x, 1), (x - 2, 13)) & top & ring, RAMPS["brown"] if glaze == "vanilla" else CREAM, 1)
    bite = rng.choice(["none", "none", "left", "right", "top", "bottom"])
    if bite != "none":
        _bite(c, ring, bite, rng.choice([7, 8]), CREAM, rng.choice([2, 2.6]))
    words = f"{'bitten ' * (bite != 'none')}doughnut with {glaze} glaze"
    words = an(words) + ("" if topping == "plain" else f" and {topping}")
    return Look(words, {"shape": shape, "bite": bite, "topping": topping}, {"glaze": glaze, "dough": dough})


FILLINGS = {  # the visible edge of each layer, from left to right, and its material
    "lettuce": (".1121121121121\n11.22.22.22.22", "lime"),
    "tomato": (".122222222223.", "red"),
    "cheese": (".111111111112.\n..22..222..22.", "yellow"),
    "meat": (".333333333344.\n.444444444455.", "brown"),
    "onion": (".112111211121.", "magenta"),
}
STACKS = (  # from the bottom up
    ("meat", "cheese", "lettuce"),
    ("meat", "tomato", "lettuce"),
    ("lettuce", "meat", "cheese"),
    ("meat", "cheese", "tomato"),
    ("meat", "cheese", "meat", "cheese"),
    ("tomato", "meat", "lettuce"),
    ("meat", "cheese", "onion", "lettuce"),
    ("lettuce", "meat", "cheese", "tomato"),
    ("meat", "onion", "cheese"),
    ("tomato", "meat", "cheese"),
    ("lettuce", "meat", "tomato"),
    ("meat", "lettuce", "meat"),
)
BUNS = {"golden": CRUST, "light": (CREAM[1], *CRUST[:4]), "orange": RAMPS["orange"], "pale": RAMPS["tan"]}


def burger(c: Canvas, rng: Random) -> Look:
    bun, stack, base = rng.choice(list(BUNS)), rng.choice(STACKS), rng.choice([12, 13])
    c.fill(box(1, base - 1, 14, base) | box(2, base + 1, 13, base + 1), BUNS[bun], "bevel")
    y = base - 1
    for name in stack:
        art, colour = FILLINGS[name]
        y -= 2 if name == "meat" else 1
        c.stamp(art, {"1": RAMPS[colour]}, 1, y)
    top = max(1, y - rng.choice([4, 5, 6]))
    dome = ellipse(7.5, y, 7, y - top + 0.5) | box(2, y - 2, 13, y - 2) | box(1, y - 1, 14, y - 1)
    dome &= box(1, 1, 14, y - 1)
    c.fill(dome, BUNS[bun])
    seeds = _some(rng, [(4, y - 3), (7, y - 4), (10, y - 3), (6, y - 2), (9, y - 2)], rng.choice([0.3, 0.6, 0.8]))
    for x, row in seeds:
        c.fill(box(x, row, x + 1, row) & _shrink(dome), CREAM, 0)
    bite = rng.choice(["none", "none", "left", "right"])
    if bite != "none":
        c.erase(ellipse(0.5 if bite == "left" else 14.5, rng.choice([7, 8, 9]), rng.choice([2.5, 3.5]), 2.6))
    *others, last = dict.fromkeys(stack[::-1])
    words = f"{'bitten ' * (bite != 'none')}burger with {', '.join(others)} and {last}"
    parts = {"stack": " ".join(stack), "seeds": "some" if seeds else "none", "bite": bite}
    return Look(an(words), parts, {"bun": bun})


PIZZA_TOPPINGS = {
    "salami": (".22.\n1223\n2223\n.33.", "red"),
    "tomato": (".12.\n1112\n2112\n.22.", "red"),
    "mushrooms": (".11.\n1112\n.22.\n.22.", "tan"),
    "basil": (".22\n223\n33.", "green"),
    "peppers": ("22.\n.22\n.33", "green"),
    "olives": ("34\n44", "black"),
}
CRUST_EDGES = sheet("""
puffy          | bumpy          | round
..XXXXXXXXXX.. | .XXXX..XXXXX.. | ....XXXXXX....
XXXXXXXXXXXXXX | XXXXXXXXXXXXXX | .XXXXXXXXXXXX.
XXXXXXXXXXXXXX | XXXXXXXXXXXXXX | XXXXXXXXXXXXXX
               |                | XX..........XX
""")


def pizza(c: Canvas, rng: Random) -> Look:
    crust, edge, flip = rng.choice(["golden", "light", "brown"]), rng.choice(list(CRUST_EDGES)), rng.random() < 0.5
    cheese_colour, tip = rng.choice(["yellow", "gold"]), rng.choice([6, 7.5, 9])
    ramp, piece = RAMPS[cheese_colour], polygon((1, 4), (14, 4), (tip + 0.5, 14), (tip - 0.5, 14))
    c.fill(piece, ramp, 1)
    c.fill(piece & ~_shift(piece, -1, 0), ramp, 2)
    c.fill(piece & box(1, 4, 14, 4), RAMPS["red"], 2)
    c.fill(_mask(CRUST_EDGES[edge], flip=flip), (CRUSTS | BUNS)[crust])
    toppings = [rng.choice(["salami", "salami", "tomato", "mushrooms"]), rng.choice(list(PIZZA_TOPPINGS))]
    for number, (x, y) in enumerate([(3, 5), (9, 5), (round(tip) - 1, 9)]):
        art, colour = PIZZA_TOPPINGS[toppings[number % 2]]
        _stamp_on(c, piece, art, RAMPS[colour], x + rng.choice([-1, 0]), y + rng.choice([0, 1]))
    bite = rng.choice(["none", "none", "tip", "left", "right"])
    if bite == "tip":
        c.erase(ellipse(tip, 14.5, 3, 2.6))
    elif bite != "none":
        c.erase(ellipse(3 if bite == "left" else 12, rng.choice([8, 9]), 2.4, 2.2))
    words = f"{'bitten ' * (bite != 'none')}slice of pizza with {' and '.join(dict.fromkeys(toppings))}"
    parts = {"edge": edge, "bite": bite, "topping": " ".join(dict.fromkeys(toppings))}
    return Look(an(words), parts, {"cheese": cheese_colour, "crust": crust})


_DRAWINGS = {
    "apple": apple,
    "pear": pear,
    "banana": banana,
    "cherries": cherries,
    "grapes": grapes,
    "strawberry": strawberry,
    "watermelon slice": watermelon,
    "pineapple": pineapple,
    "lemon": lemon,
    "carrot": carrot,
    "tomato": tomato,
    "aubergine": aubergine,
    "corn": corn,
    "pumpkin": pumpkin,
    "mushroom": mushroom,
    "bread": bread,
    "cheese wedge": cheese,
    "fish": fish,
    "drumstick": drumstick,
    "fried egg": egg,
    "cake slice": cake,
    "ice cream cone": ice_cream,
    "doughnut": doughnut,
    "burger": burger,
    "pizza slice": pizza,
}
KINDS: dict[str, Draw] = {kind: closing_gaps(draw) for kind, draw in _DRAWINGS.items()}

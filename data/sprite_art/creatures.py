"""Creatures (class non-hero): one drawing function for each kind."""

from __future__ import annotations

from random import Random

import numpy as np

from data.sprite_art.canvas import OUTLINE, RAMPS, SIZE, Canvas, Look, Ramp, box, ellipse, line
from data.sprite_art.common import COLD, WARM, Draw, an, closing_gaps, darker, paler, pick, sheet


def _colour(rng: Random, *names: str) -> tuple[str, Ramp]:
    name = rng.choice(names)
    return name, RAMPS[name]


def _caption(start: str, *details: str) -> str:
    """Join a start and the non-empty details: "a bat", "a bat with fangs", "a bat with fangs and big ears"."""
    *most, last = [detail for detail in details if detail] or [""]
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"{start} with {listed}" if listed else start


def _sym(half: str) -> str:
    """The left half of an art and its mirror image."""
    rows = half.strip("\n").split("\n")
    width = max(map(len, rows))
    return "\n".join(row + row[::-1] for row in (row.ljust(width, ".") for row in rows))


def _grid(art: str, x: int = 1, y: int = 1, flip: bool = False) -> np.ndarray:
    """The characters of an art placed on the canvas; ``flip`` mirrors them together with their place."""
    grid = np.full((SIZE, SIZE), ".")
    for dy, row in enumerate(art.strip("\n").split("\n")):
        grid[y + dy, x : x + len(row)] = list(row)
    return grid[:, ::-1] if flip else grid


def _paint(
    c: Canvas,
    art: str,
    materials: dict[str, Ramp],
    x: int = 1,
    y: int = 1,
    flip: bool = False,
    shade: str | int = "round",
) -> None:
    """Like ``Canvas.stamp``, but a capital letter is a region shaded by itself, and ``flip`` mirrors on the canvas."""
    grid = _grid(art, x, y, flip)
    for letter, ramp in materials.items():
        if letter.isupper():
            c.fill(grid == letter, ramp, shade)
            grid = np.where(grid == letter, ".", grid)
    legend = {first: ramp for first, ramp in materials.items() if not first.isupper()}
    c.stamp("\n".join("".join(row) for row in grid), legend)


def _facing(flip: bool) -> str:
    return "right" if flip else "left"


# --- slime ----------------------------------------------------------------------------------------
# --------------------

FACE_EYES = sheet("""
dot    | shiny  | angry  | sleepy | wide   | single
.#..#. | w#..w# | #....# | ...... | ww..ww | .wwww.
.#..#. | ##..## | w#..#w | ##..## | w#..#w | ww##ww
       |        | ww..ww |        | w#..#w | ww##ww
       |        |        |        |        | .wwww.
""")
FACE_MOUTHS = sheet("""
smile  | open mouth | fangs  | grin   | small mouth
.#..#. | .####.     | .####. | #wwww# | ......
..##.. | ..pp..     | .w..w. | .####. | ..##..
""")
SLIME_TOPS = sheet("""
- | two horns | two feelers | a sprout | a crown  | spikes
  | a......b  | aa....bb    | .ab.cc.. | .a.ab.c. | ...a....
  | ab....bc  | .b....c.    | ..bbc... | .abbbbc. | .a.bb.c.
  | .bc..cd.  | ..b..c..    | ...c.... | .bbcccd. | abbbccdd
""")
TOP_RAMPS = {"a sprout": ("lime", "green"), "a crown": ("gold", "steel")}


def slime(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, *COLD, *WARM)
    body, (rx, ry) = pick(rng, {"round": (5.5, 5), "wide": (6.5, 4.5), "tall": (5, 5.5), "flat": (6.5, 4)})
    top, art = pick(rng, SLIME_TOPS)
    _, accent = _colour(rng, *TOP_RAMPS.get(top, ("white", "orange", "yellow", "brown", "sky-blue")))
    first_row = round(14.4 - 2 * ry)
    _paint(c, art, {"a": accent}, x=4, y=max(1, first_row - art.count("\n")))
    c.fill(ellipse(7.5, 14 - ry, rx, ry) | ellipse(7.5, 12.6, rx + 0.5, 1.9), ramp)
    eyes, eye_art = pick(rng, FACE_EYES)
    mouth, mouth_art = pick(rng, FACE_MOUTHS)
    _paint(c, eye_art, {}, x=5, y=first_row + (2 if eyes in ("angry", "wide", "single") else 3))
    _paint(c, mouth_art, {"p": RAMPS["pink"]}, x=5, y=first_row + 6)
    eye_text = "one big eye" if eyes == "single" else ""
    return Look(
        _caption(an(f"{body} {colour} slime"), top, eye_text, mouth if mouth == "fangs" else ""),
        parts={"body": body, "top": top or "none", "eyes": eyes, "mouth": mouth},
        colours={"body": colour},
    )


# --- bat ------------------------------------------------------------------------------------------
# --------------------

BAT_WINGS = sheet("""
raised | level | lowered | swept
b....  | ..... | .....   | .....
ba...  | ..... | .....   | .b...
bba..  | ..... | .....   | bba..
bcba.  | ..ba. | .....   | bcbba
bcbba  | .bbba | ...ba   | bccbb
ccbcb  | bbcbb | ..bba   | b.cbc
c.cbc  | bcbbb | .bbcb   | ..ccb
..ccb  | bc.cb | .bcbb   | ..c.c
...cc  | c..cc | bbcbc   |
       | ....c | bc.cc   |
       |       | bc..c   |
       |       | c....   |
""")
BAT_EARS = sheet("""
pointed | big    | small
1....2  | 11..22 | ......
11..22  | 1p..p2 | 1....2
.1222.  | 112222 | 112222
""")
BAT_FACES = sheet("""
fangs  | smile  | open   | angry
w#..#w | #....# | ww..ww | #....#
...... | ...... | w#..#w | p#..#p
.w##w. | .#pp#. | ..##.. | ..ww..
""")


def bat(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "purple", "black", "brown", "blue", "red", "grey", "teal")
    wing_colour, wing_ramp = _colour(rng, "purple", "magenta", "orange", "red", "blue", "tan", "sky-blue", "pink")
    wings, wing = pick(rng, BAT_WINGS)
    ears, ear_art = pick(rng, BAT_EARS)
    face, face_art = pick(rng, BAT_FACES)
    for flip in (False, True):
        _paint(c, wing, {"a": wing_ramp}, flip=flip)
    c.fill(ellipse(7.5, 8, 3, 3.7), ramp)
    _paint(c, ear_art, {"1": ramp, "p": RAMPS["pink"]}, x=5, y=3)
    _paint(c, face_art, {"p": RAMPS[rng.choice(["pink", "yellow"])]}, x=5, y=6)
    feet = rng.choice(["tucked", "hanging"])
    if feet == "hanging":
        _paint(c, "e..e\ne..e", {"a": ramp}, x=6, y=12)
    return Look(
        _caption(
            f"{an(colour)} bat", f"{wings} {wing_colour} wings", f"{ears} ears", "fangs" if face == "fangs" else ""
        ),
        parts={"wings": wings, "ears": ears, "face": face, "feet": feet},
        colours={"body": colour, "wings": wing_colour},
    )


# --- ghost ----------------------------------------------------------------------------------------
# --------------------

GHOST_HEMS = sheet("""
wavy       | ragged     | tail to the right | tail to the left
BBBBBBBBBB | BBBBBBBBBB | .BBBBBBBBBB.      | BBBBBBBBB
BBB.BB.BBB | BB.BBBB.BB | ...BBBBBBBB.      | BBBBBBB..
.B..BB..B. | B...BB...B | .......BBBB.      | BBB......
""")
GHOST_ARMS = sheet("""
raised | spread | lowered | hidden
B.     | ..     | ..      | ..
BB     | .B     | ..      |
BB     | BB     | .B      |
.B     | BB     | BB      |
       |        | BB      |
       |        | B.      |
""")
GHOST_EYES = sheet("""
hollow | shiny  | angry  | sad    | glowing
##..## | w#..w# | #....# | .#..#. | ##..##
##..## | ##..## | ##..## | ##..## | #p..p#
##..## | ##..## | ##..## | ##..## | ##..##
""")
GHOST_MOUTHS = sheet("""
howling | smiling | sticking out its tongue | grinning | silent
..##..  | .#..#.  | .####.                  | .####.   |
..##..  | ..##..  | ..qr..                  | .#ww#.   |
..##..  |         |                         |          |
""")
GHOST_HATS = sheet("""
- | a crown  | a top hat | a bow      | a pointed hat
  | .a.bb.c. | ..ppqq..  | .....aa.cc | ...pq...
  | .abbbcd. | ..pqqr..  | .....abbdd | ..ppqr..
  | .bcccdd. | ..aabb..  | .....aa.cc | ..aabb..
  |          | ppqqqrrr  |            | ppqqrrss
""")


def ghost(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "white", "steel", "sky-blue", "purple", "teal", "pink")
    ramp = paler(ramp)
    hat, hat_art = pick(rng, GHOST_HATS)
    accent_name, accent = _colour(rng, "gold", "red", "magenta") if hat else ("none", RAMPS["gold"])
    (left, left_art), (right, right_art) = pick(rng, GHOST_ARMS), pick(rng, GHOST_ARMS)
    hem, hem_art = pick(rng, GHOST_HEMS)
    mood, mouth_art = pick(rng, GHOST_MOUTHS)
    eyes, eye_art = pick(rng, GHOST_EYES)
    _paint(c, left_art, {"B": ramp}, x=1, y=6)
    _paint(c, right_art, {"B": ramp[1:] + ramp[-1:]}, x=1, y=6, flip=True)
    hem_mask = _grid(hem_art, x=3, y=12) == "B"
    c.fill(ellipse(7.5, 7, 5, 5.4) | box(3, 7, 12, 11) | hem_mask, ramp)
    _paint(c, eye_art, {"p": RAMPS["yellow"]}, x=5, y=5)
    _paint(c, mouth_art, {"p": RAMPS["red"]}, x=5, y=9)
    _paint(c, hat_art, {"a": accent, "p": RAMPS["black"]}, x=4, y=1)
    return Look(
        _caption(an(f"{mood} {colour} ghost"), hat, f"{eyes} eyes"),
        parts={"hem": hem, "left arm": left, "right arm": right, "mood": mood, "eyes": eyes, "hat": hat or "none"},
        colours={"body": colour, "hat": accent_name},
    )


# --- dragon ---------------------------------------------------------------------------------------
# --------------------

DRAGON = """
..............
..BB..........
.BBBBBB.......
BBBw#BBB......
BBBBBBBB......
.w#wBBBB......
..BBBBBB......
....YBBBB.....
...YYBBBBB....
..YYYBBBBBB...
..YYYBBBBBB...
...YYBBBBBB...
..BBB.BBBBB...
.BBBB.BBBB....
"""
DRAGON_WINGS = sheet("""
raised   | spread   | folded  | small
.....aab | ........ | ....... | .......
....abbb | ........ | ....... | .......
...abcbc | ....aaaa | ....... | .......
...abcbc | ...abbbb | ....... | .......
..abcbcc | ..abccbc | ....... | ....ab.
..abcbc. | ..abcbcc | ....... | ...abbb
..abcbc. | ..abcb.c | .aab... | ..abcbc
..abcc.. | ..abc... | aabbbb. | ..abcc.
...bc... | ...b.... | abcbcbb | ...bc..
         |          | .bccbcb |
         |          | ...ccc. |
""")
DRAGON_HORNS = sheet("""
long  | swept | crested | short
...aa | ..... | .a.a.   | .....
..ab. | ...aa | .bab.   | ..a..
.bb.. | .bbb. | .bbc.   | .bb..
""")
DRAGON_TAILS = sheet("""
pointed | spiked | curled
...T    | .a..   | ....
..TT    | abb.   | .TT.
..TT    | .bT.   | ..TT
TTT.    | TTT.   | TTTT
TT..    | TT..   | TTT.
""")
DRAGON_BREATHS = sheet("""
- | breathing fire
  | qp..
  | rqp.
  | srr.
  | .s..
""")


def dragon(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "red", "green", "blue", "purple", "teal", "black", "orange", "magenta")
    wing_colour, wing_ramp = _colour(
        rng, *[n for n in ("orange", "yellow", "teal", "magenta", "sky-blue") if n != colour]
    )
    _, belly = _colour(rng, "tan", "white", "grey")
    wings, wing = pick(rng, DRAGON_WINGS)
    horns, horn = pick(rng, DRAGON_HORNS)
    tail, tail_art = pick(rng, DRAGON_TAILS)
    breath, breath_art = pick(rng, DRAGON_BREATHS)
    flip = rng.random() < 0.5
    _paint(c, tail_art, {"T": ramp[1:] + ramp[-1:], "a": RAMPS["white"]}, x=11, y=9, flip=flip)
    _paint(c, DRAGON, {"B": ramp, "Y": belly}, flip=flip)
    _paint(c, wing, {"a": wing_ramp}, x=7, flip=flip)
    _paint(c, breath_art, {"p": FIRES["orange"]}, y=7, flip=flip)
    _paint(c, horn, {"a": RAMPS["white"]}, x=4, y=1, flip=flip)
    return Look(
        _caption(an(f"{colour} dragon {breath}".strip()), f"{wings} {wing_colour} wings", f"{horns} horns"),
        parts={"wings": wings, "horns": horns, "tail": tail, "breath": breath or "none", "facing": _facing(flip)},
        colours={"body": colour, "wings": wing_colour},
    )


# --- skeleton -------------------------------------------------------------------------------------
# --------------------

SKULLS = sheet("""
round    | broad    | cracked  | horned   | long
.BBBBBB. | .BBBBBB. | ..B#BBB. | B......B | ..BBBB..
BBBBBBBB | BBBBBBBB | .BBB#BBB | BBBBBBBB | .BBBBBB.
BBBBBBBB | BBBBBBBB | BBB#BBBB | BBBBBBBB | .BBBBBB.
B##BB##B | ##gBBg## | B##BB##B | B##BB##B | .#gBBg#.
B#gBBg#B | B##BB##B | B#gBBg#B | B#gBBg#B | .##BB##.
.BB##BB. | BBB##BBB | .BB##BB. | .BB##BB. | .BB##BB.
..B#B#B. | .B#BB#B. | ..B#B#B. | ..B#B#B. | ..B#B#B.
""")
RIBS = """
BBBBBBBB
..#BB#..
..BBBB..
...BB...
"""
BONE_ARMS = sheet("""
raised | lowered | bent | outstretched
B..    | ...     | ...  | ...
B..    | ...     | ...  | ...
B..    | ...     | ...  | ...
BB.    | ...     | ...  | ...
.B.    | ...     | ...  | ...
..B    | ..B     | ..B  | BBB
       | .B.     | BB.  | B..
       | .B.     | B..  |
       | B..     | BB.  |
       | BB.     |      |
""")
BONE_LEGS = sheet("""
standing | bow-legged | walking
..BBBB.. | ..BBBB..   | ..BBBB..
..B..B.. | BB....BB   | .BB..B..
.BB..BB. | BB....BB   | BB...BBB
""")


def skeleton(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "white", "grey", "steel", "sky-blue")
    ramp = paler(ramp)
    glow_name, glow = _colour(rng, "red", "lime", "sky-blue", "magenta", "yellow")
    skull, skull_art = pick(rng, SKULLS)
    left, left_art = pick(rng, BONE_ARMS)
    right, right_art = pick(rng, BONE_ARMS)
    legs, leg_art = pick(rng, BONE_LEGS)
    _paint(c, left_art, {"B": ramp}, x=1, y=3)
    _paint(c, right_art, {"B": ramp}, x=1, y=3, flip=True)
    _paint(c, RIBS, {"B": ramp}, x=4, y=8)
    _paint(c, leg_art, {"B": ramp}, x=4, y=12)
    _paint(c, skull_art, {"B": ramp, "g": glow[1:2] * 5}, x=4, y=1)
    rags = rng.choice(["no", "brown", "red", "purple"])
    if rags != "no":
        _paint(c, "BBBB\n.BB.", {"B": RAMPS[rags]}, x=6, y=12)
    return Look(
        _caption(
            an(f"{legs} {colour} skeleton"),
            f"a {skull} skull",
            f"{glow_name} eyes",
            f"{rags} rags" if rags != "no" else "",
        ),
        parts={"skull": skull, "left arm": left, "right arm": right, "legs": legs},
        colours={"bones": colour, "eyes": glow_name, "rags": rags if rags != "no" else "none"},
    )


# --- spider ---------------------------------------------------------------------------------------
# --------------------

SPIDER_LEGS = {  # for each of four legs on the left: hip, knee, foot
    "arched": [(5, 6, 3, 3, 1, 6), (5, 8, 2, 8, 1, 9), (5, 10, 2, 11, 1, 13), (6, 11, 4, 13, 4, 14)],
    "raised": [(5, 6, 4, 4, 3, 1), (5, 8, 2, 5, 1, 3), (5, 10, 3, 9, 1, 10), (6, 11, 3, 12, 2, 14)],
    "spread": [(5, 6, 3, 4, 1, 3), (5, 8, 3, 7, 1, 7), (5, 10, 3, 10, 1, 11), (6, 11, 4, 13, 4, 14)],
    "reaching": [(5, 6, 2, 4, 2, 1), (5, 8, 2, 7, 1, 8), (5, 10, 2, 10, 1, 12), (6, 11, 4, 13, 3, 14)],
}
SPIDER_MARKS = sheet("""
- | an hourglass | stripes | a cross | spots
  | .bb.         | bbbb    | .bb.    | b..b
  | .bc.         | ....    | bbbc    | ....
  | ....         | bbcc    | .bc.    | .bb.
  | .bc.         | ....    | .cc.    | ....
  | .cc.         | .cc.    |         | c..c
""")
SPIDER_EYES = sheet("""
two  | four | six  | big
g..g | g..g | .gg. | w..w
g..g | .gg. | g..g | #ww#
     |      | .gg. |
""")


def spider(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "black", "brown", "purple", "red", "blue", "green", "grey")
    mark_colour, accent = _colour(rng, *[n for n in ("red", "yellow", "orange", "sky-blue", "lime") if n != colour])
    legs, joints = pick(rng, SPIDER_LEGS)
    for flip in (False, True):
        for hip_x, hip_y, knee_x, knee_y, foot_x, foot_y in joints:
            leg = line((hip_x, hip_y), (knee_x, knee_y), (foot_x, foot_y))
            c.fill(leg[:, ::-1] if flip else leg, ramp, 1 + flip)
    abdomen, (rx, ry) = pick(rng, {"round": (3.6, 3.6), "slim": (2.6, 4), "long": (3.2, 4.4), "broad": (4.2, 3.3)})
    c.fill(ellipse(7.5, 9.2 - ry, rx, ry), ramp)
    c.fill(ellipse(7.5, 10.7, 2.6, 2.4), ramp)
    mark, mark_art = pick(rng, SPIDER_MARKS)
    eyes, eye_art = pick(rng, SPIDER_EYES)
    _paint(c, mark_art, {"a": accent}, x=6, y=3)
    _paint(c, eye_art, {"g": paler(accent)}, x=6, y=10)
    _paint(c, "w..w", {}, x=6, y=13)
    return Look(
        _caption(an(f"{colour} spider"), f"{legs} legs", f"{mark} on its back" if mark else "", f"{eyes} eyes"),
        parts={"legs": legs, "abdomen": abdomen, "mark": mark or "none", "eyes": eyes},
        colours={"body": colour, "mark": mark_colour},
    )


# --- mushroomling ---------------------------------------------------------------------------------
# --------------------

CAPS = sheet("""
round   | pointed | flat    | bell-shaped
....BBB | ......B | ...BBBB | ....BBB
..BBBBB | .....BB | BBBBBBB | ...BBBB
.BBBBBB | ....BBB | BBBBBBB | ..BBBBB
BBBBBBB | ...BBBB | BBBBBBB | ..BBBBB
BBBBBBB | ..BBBBB | .GGGGGG | ..BBBBB
BBBBBBB | BBBBBBB |         | .BBBBBB
.GGGGGG | BBBBBBB |         | .BBBBBB
        | .G.GGGG |         | ..GGGGG
""")
CAP_SPOTS = {
    "big spots": [(4.5, 5.5, 1.5), (9, 3.5, 1.5), (12, 6.5, 1.2)],
    "small spots": [(3.5, 6.5, 0.8), (6.5, 4.5, 0.8), (9.5, 6.5, 0.8), (12.5, 6.5, 0.8), (9.5, 3.5, 0.8)],
    "one big spot": [(7.5, 4.5, 2.2)],
    "no spots": [],
}
TINY_FACES = sheet("""
happy | angry | surprised | bright-eyed | sleepy
#..#  | #..#  | #..#      | w..w  | ....
#..#  | .##.  | ....      | #..#  | #..#
.##.  | #..#  | .##.      | ....  | ....
      |       | .##.      | .##.  | .##.
""")
STUB_ARMS = sheet("""
raised | lowered | spread | hidden
b.     | ..      | ..     |
bc     | .b      | ..     |
.c     | bc      | bc     |
       | c.      |        |
""")


def mushroomling(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "red", "orange", "purple", "blue", "brown", "green", "pink", "teal")
    _, skin = _colour(rng, "white", "steel")
    _, spot_ramp = _colour(rng, "white", "yellow")
    cap, half = pick(rng, CAPS)
    spots, circles = pick(rng, CAP_SPOTS)
    face, face_art = pick(rng, TINY_FACES)
    arms, arm_art = pick(rng, STUB_ARMS)
    for flip in (False, True):
        _paint(c, arm_art, {"a": skin}, x=2, y=9, flip=flip)
    c.fill(ellipse(7.5, 11, 3.6, 3) | box(4, 8, 11, 11), paler(skin))
    _paint(c, rng.choice(["BB..BB", "BBB.BBB", ".BBBB."]), {"B": darker(skin)}, x=5, y=14)
    _paint(c, face_art, {}, x=6, y=10)
    art, y = _sym(half), 9 - len(half.split("\n"))
    _paint(c, art, {"B": ramp, "G": darker(darker(skin))}, y=y)
    for x, spot_y, radius in circles:
        c.fill(ellipse(x, spot_y, radius, radius) & (_grid(art, y=y) == "B"), spot_ramp, 0)
    return Look(
        _caption(
            an(f"{face} walking mushroom"),
            f"a {cap} {colour} cap",
            spots if circles else "",
            f"{arms} arms" * (arms != "hidden"),
        ),
        parts={"cap": cap, "spots": spots, "face": face, "arms": arms},
        colours={"cap": colour},
    )


# --- snake ----------------------------------------------------------------------------------------
# --------------------

SNAKE_HEADS = sheet("""
raised     | hooded     | low        | striking
...BBBB... | ....BB.... | .......... | ..BBBBB...
..BB#BBB.. | ..BBBBBB.. | .......... | .BB#BBBB..
.BBBBBBB.. | ..B#BB#B.. | .......... | BBBBBBBB..
r.BBBBBB.. | .BBBBBBBB. | ..BBBB.... | w.w#BBBB..
.r..YBBB.. | BBB.rr.BBB | .BB#BBB... | rrr#YBBB..
.....YBBB. | BBBYrrYBBB | BBBBBBBB.. | .BBBYBBBB.
.....YBBB. | BBBYYYYBBB | .BBBBBBB.. | ..BBBYBBB.
....YBBB.. | .BBYYYYBB. | r...YBBB.. | ....YBBB..
...YYBBB.. | ...YYYY... | .r.YBBB... | ...YYBBB..
...YBBB... | ...YYYY... | ...YBBB... | ...YBBB...
""")
SNAKE_TAILS = sheet("""
raised | rattling | flat | curled
..B    | .yy      | BBB  | .BB
..B    | .yy      |      | B.B
.BB    | .Yy      |      | ..B
.BB    | .B.      |      | BBB
BB.    | BB.      |      | BB.
""")
SNAKE_PATTERNS = {"plain": "", "striped": "Z..Z..Z..Z..Z", "banded": "..ZZ...ZZ...ZZ", "spotted": "Z.Z.Z.Z.Z.Z.Z"}


def _coil(c: Canvas, mask: np.ndarray, ramp: Ramp, pattern: str, accent: Ramp) -> None:
    c.fill(mask, ramp)
    if pattern:
        columns = _grid("\n".join([pattern] * 14)) == "Z"
        c.fill(columns & mask, accent, 2)


def snake(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "green", "lime", "red", "purple", "blue", "teal", "brown", "orange")
    accent_name, accent = _colour(rng, *[n for n in ("yellow", "tan", "white", "pink", "sky-blue") if n != colour])
    head, art = pick(rng, SNAKE_HEADS)
    tail, tail_art = pick(rng, SNAKE_TAILS)
    pattern, columns = pick(rng, SNAKE_PATTERNS)
    flip = rng.random() < 0.5
    _paint(c, tail_art, {"B": ramp, "Y": accent, "y": RAMPS["yellow"]}, x=12, y=13 - tail_art.count("\n"), flip=flip)
    _coil(c, ellipse(7, 12.5, 6.4, 2.1), ramp, columns, accent)
    coils = rng.choice(["one coil", "two coils"])
    if coils == "two coils":
        c.fill(ellipse(7.5, 11.3, 5.2, 1.6), [OUTLINE] * 5, 0)
        _coil(c, ellipse(7.5, 10.2, 5, 1.6), ramp, columns, accent)
    neck_y = 1 if coils == "two coils" else 2
    _paint(c, art, {"B": ramp, "Y": paler(accent), "r": RAMPS["red"][1:]}, x=3, y=neck_y, flip=flip)
    return Look(
        _caption(an(f"{pattern} {colour} snake"), f"a {head} head", coils),
        parts={"head": head, "tail": tail, "coils": coils, "pattern": pattern, "facing": _facing(flip)},
        colours={"body": colour, "belly": accent_name},
    )


# --- wolf -----------------------------------------------------------------------------------------
# --------------------

WOLF_HEADS = sheet("""
watchful  | howling   | snarling
...B..B.. | ..#B..... | .........
...BB.BB. | ..BBB.... | .........
...BBBBB. | Y.BBBB..B | ...B..B..
..BBBBBBB | YY.BBBBBB | ...BBBBB.
.BBe#BBBB | .YYBB#BBB | .BBBe#BBB
#BBBBBBBB | ..YYBBBB. | #BBBBBBBB
BBBYYBBB. | ...YBBBB. | BBBBBBBBB
..YYYBB.. | ...YYBBB. | w#w#YBBB.
          |           | .YYYYYB..
""")
WOLF_BODIES = sheet("""
standing    | running       | sitting     | crouching
....BBBBBB. | ....BBBBBB... | ....BBB.... | ....BBBBBB.
...YBBBBBBB | ...YBBBBBBB.. | ....BBBBB.. | ...YBBBBBBB
...YYBBBBBB | ...YYBBBBBBB. | ...YBBBBBB. | ...YYBBBBBB
...YYBBBBBB | ...YYBBBBBBB. | ...YYBBBBB. | ...YYYBBBBB
...BBYYYBBB | ..BBYYYY.BBBB | ...YYBBBBBB | ..BBBYYYBBB
...BB...BBB | .BBB......BBB | ...YBBBBBBB | .BBB..BBBBB
...BB....BB | BBB........BB | ...BB.BBBBB | BBB...BBBB.
..BBB...BBB | BB..........B | ...BB.BBBBB |
            |               | ..BBB.BBBB. |
""")
WOLF_TAILS = sheet("""
raised | bushy | hanging
...B   | ....  | ....
..BB   | ....  | ....
.BBB   | .BB.  | BB..
.BB.   | BBBB  | BBB.
BB..   | .BBB  | .BBB
       | ..YY  | ..BB
       |       | ..YY
""")


def wolf(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "grey", "steel", "white", "brown", "black", "blue", "purple")
    fur_colour, fur = _colour(rng, *[n for n in ("white", "tan", "grey", "sky-blue") if n != colour])
    eye_colour, eye = _colour(rng, "yellow", "red", "sky-blue", "lime")
    head, head_art = pick(rng, WOLF_HEADS)
    pose, body = pick(rng, WOLF_BODIES)
    tail, tail_art = pick(rng, WOLF_TAILS)
    flip = rng.random() < 0.5
    body_y = 14 - body.count("\n")
    _paint(c, tail_art, {"B": ramp, "Y": fur}, x=11, y=5 + 2 * (pose in ("sitting", "crouching")), flip=flip)
    _paint(c, body, {"B": ramp, "Y": paler(fur)}, x=2, y=body_y, flip=flip)
    if (back := rng.choice(["plain", "dark"])) == "dark":
        saddle = _grid("BBBBBB\n.BBBB.", x=6, y=body_y, flip=flip) == "B"
        c.fill(saddle & c.filled, ramp, 3)
    _paint(c, head_art, {"B": paler(ramp), "Y": paler(fur), "e": eye}, flip=flip)
    return Look(
        _caption(an(f"{head} {colour} wolf {pose}"), f"{an(tail)} tail", f"{eye_colour} eyes"),
        parts={"head": head, "pose": pose, "tail": tail, "back": back, "facing": _facing(flip)},
        colours={"fur": colour, "chest": fur_colour, "eyes": eye_colour},
    )


# --- rat ------------------------------------------------------------------------------------------
# --------------------

RAT_BODIES = sheet("""
crouching   | creeping     | rearing
.......BBB. | .....BBBBB.. | ....BBB......
.....BBBBBB | ..BBe#BBBBB. | ..BBe#BB.....
....BBBBBBB | .BBBBBBBBBBB | .BBBBBBB.....
..BBe#BBBBB | PBBBBYYBBBBB | PBBBBBBB.....
.BBBBBBBBBB | ..w#YYYYBBB. | ..w#BBBBB....
PBBBBBYBBBB | ...PP...PPP. | ..PPBBBBBB...
..w#BYYYBB. |              | ...PYYBBBBB..
....PP.PPP. |              | ....YYBBBBB..
            |              | ...PYYBBBBBB.
            |              | ..PPYYBBBBBB.
            |              | ....YYBBBBBB.
            |              | ...PPP.PPPP..
""")
RAT_EARS_AT = {"crouching": (4, 9), "creeping": (5, 9), "rearing": (6, 5)}  # column, last row
RAT_EARS = sheet("""
round | pointed | huge  | small
.BB.  | .B..    | .BBB. | BB.
BPPB  | BPB.    | BPPPB | BPB
BPPB  | BPPB    | BPPPB | .BB
.BB.  | .BB.    | .BBB. |
""")
RAT_TAILS = sheet("""
curled | raised | low
.pp.   | ..pp   | ...p
...p   | .p..   | ...p
...p   | .p..   | ..p.
.pp.   | ..p.   | pp..
p...   | ...p   |
p...   | ...p   |
.ppp   | .pp.   |
""")


def rat(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "brown", "grey", "black", "tan", "white", "steel")
    belly_colour, belly = _colour(rng, *[n for n in ("white", "tan", "grey", "brown") if n != colour])
    eye_colour, eye = _colour(rng, "red", "white", "yellow")
    tail_colour, tail_ramp = _colour(rng, "pink", "tan")
    pose, body = pick(rng, RAT_BODIES)
    ear_x, ear_y = RAT_EARS_AT[pose]
    ears, ear = pick(rng, RAT_EARS)
    tail, tail_art = pick(rng, RAT_TAILS)
    flip = rng.random() < 0.5
    _paint(c, tail_art, {"p": tail_ramp[1:]}, x=11, y=13 - tail_art.count("\n"), flip=flip)
    _paint(c, body, {"B": ramp, "Y": belly, "P": RAMPS["pink"], "e": eye}, y=14 - body.count("\n"), flip=flip)
    _paint(c, ear, {"B": paler(ramp), "P": RAMPS["pink"]}, x=ear_x, y=ear_y - ear.count("\n"), flip=flip)
    return Look(
        _caption(an(f"{pose} {colour} rat"), f"{ears} ears", f"a {tail} tail"),
        parts={"pose": pose, "ears": ears, "tail": tail, "facing": _facing(flip)},
        colours={"fur": colour, "belly": belly_colour, "eyes": eye_colour, "tail": tail_colour},
    )


# --- goblin ---------------------------------------------------------------------------------------
# --------------------

GOBLIN_EARS = sheet("""
raised  | level   | drooping
B...... | ....BBB | ....BBB
BB.BBBB | ...BBBB | ...BBBB
.BBBBBB | BBBBBBB | ..BBBBB
.BBBBBB | .BBBBBB | .BBBBBB
..BBBBB | ..BBBBB | BBBBBBB
...BBBB | ...BBBB | BB.BBBB
....BBB | ....BBB | ....BBB
""")
GOBLIN_FACES = sheet("""
grinning | angry  | sly    | shouting
#....#   | ##..## | ...... | yy..yy
y#..#y   | y#..#y | ##..## | y#..#y
..22..   | ..22.. | y#22y# | ..22..
#wwww#   | .####. | ..22.. | .w##w.
.####.   | .w..w. | ..#### | .####.
""")
GOBLIN_ITEMS = sheet("""
a club | a dagger | a torch | a sack | -
.ab    | .a.      | .x.     | ...    |
abb    | .b.      | xyx     | .p.    |
abc    | .b.      | .y.     | aab    |
.bc    | ppp      | .p.     | abb    |
.c.    | .p.      | .p.     | bbc    |
""")
GOBLIN_ITEM_RAMPS = {"a dagger": "steel", "a sack": "tan"}  # the others are of wood
GOBLIN_BODY = """
...B.TTTT.B...
..BBBTTTTBBB..
..BB.TTTT.BB..
..B..KKKK..B..
....BTTTTB....
...BBB..BBB...
"""


def goblin(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "green", "lime", "teal")
    shirt_colour, shirt = _colour(rng, "brown", "red", "purple", "tan", "blue", "orange")
    eye_colour, eye = _colour(rng, "yellow", "red", "orange")
    ears, half = pick(rng, GOBLIN_EARS)
    face, face_art = pick(rng, GOBLIN_FACES)
    item, item_art = pick(rng, GOBLIN_ITEMS)
    flip = rng.random() < 0.5
    _paint(c, GOBLIN_BODY, {"B": ramp, "T": shirt, "K": RAMPS["black"]}, y=9)
    _paint(c, _sym(half), {"B": ramp}, y=3)
    _paint(c, face_art, {"y": eye, "1": ramp}, x=5, y=5)
    hood = rng.choice(["bald", "hood", "tuft"])
    if hood == "hood":
        _paint(c, "..HHHH..\n.HHHHHH.\nHHHHHHHH", {"H": shirt}, x=4, y=2)
    elif hood == "tuft":
        _paint(c, ".h.h\nhhi.\n.ii.", {"h": RAMPS["red"]}, x=6, y=1)
    item_ramp = RAMPS[GOBLIN_ITEM_RAMPS.get(item, "brown")]
    _paint(c, item_art, {"a": item_ramp, "p": RAMPS["brown"], "x": RAMPS["orange"]}, y=8, flip=flip)
    return Look(
        _caption(an(f"{face} {colour} goblin"), f"{ears} ears", item),
        parts={"ears": ears, "face": face, "item": item or "none", "head": hood},
        colours={"skin": colour, "shirt": shirt_colour, "eyes": eye_colour},
    )


# --- orc ------------------------------------------------------------------------------------------
# --------------------

ORC_BODY = """
..............
....BBBBBB....
...BBBBBBBB...
.AAABBBBBBCCC.
AAAABBBBBBCCCC
AAAABBBBBBCCCC
AAAADBBBBDCCCC
AAA#DDDDDD#CCC
.AA#DDDDDD#CC.
AAA#KKKKKK#CCC
AAA.TTTTTT.CCC
AAA.TTTTTT.CCC
....DDTTDD....
...DDD..DDD...
"""
ORC_HEADS = sheet("""
a topknot | a mohawk | a horned helmet | a bald head | long hair
..##..    | ..hh..   | a......a        |             | .hhhhii.
..##..    | ..hi..   | ab.mm.bb        |             | hhhhhiii
          | ..ii..   | .bmmnnb.        |             | h......i
          |          |                 |             | h......i
""")
ORC_FACES = sheet("""
angry  | roaring | gloomy | one-eyed
##..## | #e..e#  | ...... | ##..##
.e..e. | ......  | #e##e# | ##..e.
w....w | w####w  | w.22.w | w#...w
w####w | w#rr#w  | w####w | w####w
""")
ORC_OUTFITS = sheet("""
a strap | armour | a fur pelt | a bare chest
pp....  | ssttuu | ssssss     | ......
.qpp..  | sttuuv | tttttt     | 222333
...qqp  | ttuuvv | .t.t.t     | .3..3.
""")
ORC_ITEMS = sheet("""
- | an axe | a spiked club
  | .a.a   | .a..
  | abpb   | pqqa
  | abpc   | pqq.
  | .bpc   | aqqr
  | ..p.   | .qr.
  | ..p.   | .qr.
  | ..p.   | ..r.
  | ..p.   | ..r.
  | ..p.   | ..r.
  | ....   | ....
  | ....   | ....
  | ..p.   | ..r.
""")


def orc(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "green", "teal", "lime")
    cloth_colour, cloth = _colour(rng, "brown", "red", "purple", "tan", "orange")
    _, eye = _colour(rng, "red", "yellow")
    head, head_art = pick(rng, ORC_HEADS)
    face, face_art = pick(rng, ORC_FACES)
    outfit, outfit_art = pick(rng, ORC_OUTFITS)
    item, item_art = pick(rng, ORC_ITEMS)
    flip = rng.random() < 0.5
    steel, brown = RAMPS["steel"], RAMPS["brown"]
    dark = darker(ramp)
    body = {"A": dark, "C": darker(dark), "D": dark, "K": RAMPS["black"], "T": cloth, "B": paler(ramp)}
    _paint(c, ORC_BODY, body)
    _paint(c, outfit_art, {"1": ramp, "p": brown, "s": cloth}, x=5, y=8)
    _paint(c, face_art, {"1": ramp, "e": eye[1:], "r": RAMPS["red"]}, x=5, y=3)
    _paint(c, head_art, {"h": RAMPS["black"], "m": steel, "a": RAMPS["white"]}, x=4 if len(head_art) > 25 else 5, y=1)
    _paint(c, item_art, {"a": steel, "p": brown}, x=1, y=2, flip=flip)
    return Look(
        _caption(an(f"{face} {colour} orc"), head, outfit, item),
        parts={"head": head, "face": face, "outfit": outfit, "item": item or "none"},
        colours={"skin": colour, "cloth": cloth_colour},
    )


# --- zombie ---------------------------------------------------------------------------------------
# --------------------

ZOMBIE_HEADS = sheet("""
messy hair | an open brain | a bald head | a bandage
..h.hh...  | ...PPPP..     | ...BBBB..   | ...BBBB..
.hhhhhhh.  | ..PPqPPP.     | ..BBBBBB.   | ..BBBBBB.
.BBBBhhh.  | .BB#q##B.     | .BBB#BBB.   | .wwwwwww.
BBBBBBBh.  | BBBBBBBB.     | BBBBB#BB.   | wwwwwwww.
Be#BBBBB.  | Be#BBBBB.     | Be#BBBBB.   | Be#BBBBB.
BBBB#BBB.  | BBBB#BBB.     | BBBBBBBB.   | BBBB#BBB.
.w#wBBB..  | .w#wBBB..     | .####BB..   | .w#wBBB..
""")
ZOMBIE_ARMS = sheet("""
outstretched | raised  | drooping | one outstretched arm
BBTTTTT      | B...... | ...TTTT  | ..TTTTT
BBBTTTT      | BB..... | ..BTTT.  | BBBTTTT
.......      | .BB.... | .BB....  | BB.....
BBBBTT.      | BBBTTTT | BB.....  |
             | .BBTTT. | B......  |
             | ..BTT.. |          |
""")
ZOMBIE_LEGS = sheet("""
shuffling | standing | limping
PPPPP.    | .PPPP.   | PPPPPP
PPPPPP    | .PPPP.   | PP.PPP
PP.PPP    | .PPPP.   | BB..BB
BB..BB    | BBBBB.   | BB..BB
""")


def zombie(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "lime", "green", "teal")
    shirt_colour, shirt = _colour(rng, "red", "purple", "brown", "orange", "white", "grey")
    _, trousers = _colour(rng, "blue", "black", "brown")
    head, head_art = pick(rng, ZOMBIE_HEADS)
    (arms, arm_art), (legs, leg_art) = pick(rng, ZOMBIE_ARMS), pick(rng, ZOMBIE_LEGS)
    flip = rng.random() < 0.5
    skin = {"B": paler(ramp), "e": RAMPS["yellow"], "h": RAMPS["black"], "P": RAMPS["pink"], "q": RAMPS["red"]}
    _paint(c, leg_art, {"P": trousers, "B": ramp}, x=6, y=14 - leg_art.count("\n"), flip=flip)
    _paint(
        c,
        rng.choice(["TTTTTT\nTTTTTT\nTTTTTT\n.T.TTT", "TTTTTT\nTTTBTT\nTTBBTT\nTTT.TT"]),
        {"T": shirt, "B": ramp},
        x=6,
        y=8,
        flip=flip,
    )
    _paint(c, head_art, skin, x=4, y=1, flip=flip)
    _paint(c, arm_art, {"T": shirt, "B": ramp}, x=1, y=8 - 3 * (arms == "raised"), flip=flip)
    return Look(
        _caption(an(f"{legs} {colour} zombie"), head, arms if arms[:3] == "one" else f"{arms} arms"),
        parts={"head": head, "arms": arms, "legs": legs, "facing": _facing(flip)},
        colours={"skin": colour, "shirt": shirt_colour},
    )


# --- beholder -------------------------------------------------------------------------------------
# --------------------

STALKS = {
    "three stalks": [(4, 5, 2, 3), (7, 4, 7, 2), (11, 5, 12, 3)],
    "four stalks": [(3, 6, 2, 4), (6, 4, 5, 2), (9, 4, 10, 2), (12, 6, 13, 4)],
    "five stalks": [(3, 8, 2, 6), (4, 5, 3, 2), (7, 4, 7, 2), (11, 5, 11, 2), (12, 8, 13, 6)],
    "two long stalks": [(5, 5, 3, 2), (10, 5, 12, 2)],
}


EYE_HEMS = sheet("""
smooth | ragged     | pointed
       | B..BBBB..B | ..........
       | BB.BBBB.BB | ...BBBB...
       | .B..BB..B. | ....BB....
""")
EYE_MOUTHS = sheet("""
fangs    | a toothy grin | a frown  | a crooked smile | an open mouth
######## | #wwwwww#      | ..####.. | ......#.        | ..####..
.w.##.w. | .######.      | .#....#. | .#####..        | ..w##w..
""")


def beholder(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "purple", "red", "green", "blue", "teal", "orange", "brown", "pink")
    iris_colour, iris = _colour(rng, *[n for n in ("red", "lime", "sky-blue", "yellow", "magenta") if n != colour])
    stalks, places = pick(rng, STALKS)
    for base_x, base_y, x, y in places:
        c.fill(line((base_x, base_y), (x, y)), ramp, 1 if x < 8 else 2)
        _paint(c, "ab\nb#" if x < 8 else "ab\n#b", {"a": iris}, x=min(x, 13), y=y - 1)
    body, (rx, ry) = pick(rng, {"round": (5.4, 5.4), "squat": (6.2, 5), "tall": (4.6, 5.4)})
    c.fill(ellipse(7.5, 9, rx, ry), ramp)
    hem, hem_art = pick(rng, EYE_HEMS)
    _paint(c, hem_art, {"B": darker(ramp)}, x=3, y=12)
    eye, (rx, ry) = pick(rng, {"round": (2.8, 2.8), "wide": (3.6, 2.4), "narrow": (3.6, 1.6)})
    c.fill(ellipse(7.5, 7.5, rx, ry), RAMPS["white"], 0)
    look_x, gaze = rng.choice([(6, "left"), (7, "ahead"), (8, "right")])
    pupil = rng.choice(["bb\n##\n##\nbb", "ab\nb#\n##\nbb"]) if eye != "narrow" else "b#\n#b"
    _paint(c, pupil, {"a": iris}, x=look_x, y=6 if eye != "narrow" else 7)
    mouth, art = pick(rng, EYE_MOUTHS)
    _paint(c, art, {}, x=4, y=11)
    return Look(
        _caption(an(f"{colour} floating eye"), stalks, f"{an(iris_colour)} iris", mouth),
        parts={"body": body, "underside": hem, "stalks": stalks, "eye": eye, "gaze": gaze, "mouth": mouth},
        colours={"body": colour, "iris": iris_colour},
    )


# --- golem ----------------------------------------------------------------------------------------
# --------------------

GOLEM_ARMS = sheet("""
lowered | raised | mighty
.AAA    | AAA.   | ..AA
AAAA    | AAA.   | .AAA
AAAA    | AAA.   | .AAA
.AA.    | .AA.   | .AA.
.AA.    | .AAA   | AAAA
AAA.    | .AAA   | AAAA
AAAA    | ..AA   | AAAA
AAAA    |        | AAAA
.AAA    |        | AAA.
""")
GOLEM_HEADS = sheet("""
square | flat   | single-eyed | narrow | slit-eyed
HHHH   | ....   | .HH.        | ....   | HHHH
HHHH   | HHHHHH | HHHH        | .HH.   | HHHH
e##e   | He##eH | HeeH        | .ee.   | eeee
HHHH   | HHHHHH | HHHH        | .HH.   | HHHH
""")
GOLEM_CHESTS = sheet("""
- | a crack | a glowing core | moss   | a rune
  | ..#...  | ......         | m.mm.. | ......
  | ..##..  | ..xx..         | mmnn.. | .x..x.
  | ...#..  | ..xy..         | .n.... | ..xx..
  | ...##.  | ..yy..         | ....m. | ..xx..
""")
GOLEM_BODY = """
.TTTTTT.
TTTTTTTT
TTTTTTTT
.TTTTTT.
.TTTTTT.
.TTTTTT.
..TTTT..
.LL..RR.
.LL..RR.
LLL..RRR
"""


def golem(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "grey", "tan", "brown", "steel", "sky-blue", "white", "purple")
    glow_colour, glow = _colour(
        rng, *[n for n in ("red", "yellow", "sky-blue", "lime", "magenta", "orange") if n != colour]
    )
    head, head_art = pick(rng, GOLEM_HEADS)
    chest, chest_art = pick(rng, GOLEM_CHESTS)
    (left, left_art), (right, right_art) = pick(rng, GOLEM_ARMS), pick(rng, GOLEM_ARMS)
    _paint(c, GOLEM_BODY, {"T": ramp, "L": ramp, "R": darker(ramp)}, x=4, y=5, shade="bevel")
    _paint(c, left_art, {"A": ramp}, x=1, y=1 if left == "raised" else 4, shade="bevel")
    _paint(c, right_art, {"A": ramp}, x=1, y=1 if right == "raised" else 4, flip=True, shade="bevel")
    _paint(c, head_art, {"H": paler(ramp), "e": glow}, x=5 if head == "flat" else 6, y=2, shade="bevel")
    _paint(c, chest_art, {"x": glow, "m": RAMPS["lime"][1:]}, x=5, y=6)
    return Look(
        _caption(an(f"{colour} golem"), f"a {head} head", f"{glow_colour} eyes", chest),
        parts={"head": head, "chest": chest or "plain", "left arm": left, "right arm": right},
        colours={"stone": colour, "glow": glow_colour},
    )


# --- flame ----------------------------------------------------------------------------------------
# --------------------

FIRES: dict[str, Ramp] = {
    "orange": (*RAMPS["yellow"][:2], *RAMPS["orange"][1:2], *RAMPS["red"][1:3]),
    "red": (*RAMPS["orange"][:2], *RAMPS["red"][1:4]),
    "yellow": (*RAMPS["yellow"][:3], *RAMPS["orange"][1:3]),
    "blue": (*RAMPS["sky-blue"][:3], *RAMPS["blue"][1:3]),
    "green": (*RAMPS["lime"][:3], *RAMPS["green"][2:4]),
    "pink": (*RAMPS["pink"][:3], *RAMPS["magenta"][2:4]),
    "purple": (*RAMPS["magenta"][:2], *RAMPS["purple"][1:4]),
}
FIRE_SHAPES = sheet("""
swirling       | pointed        | horned         | leaning
.......4...... | ......4....... | .............. | ..........4...
......44...... | ......44...... | ..4........4.. | ........44....
..4...444..4.. | .....444...... | ..44......44.. | .......444....
......4444.4.. | .....4444..4.. | .444..44..444. | ..4...4444.4..
.....44444.44. | ..4.44444.44.. | .4444.44.4444. | .....44444.44.
.4..444444444. | ..4.444444444. | .444444444444. | ....444444444.
44.4444444444. | .44444444444.. | ..4444444444.. | .4..444444444.
44444444444444 | .444444444444. | ..4444444444.. | 44.4444444444.
44444444444444 | 44444444444444 | .444444444444. | 44444444444444
44444444444444 | 44444444444444 | 44444444444444 | 44444444444444
.4444444444444 | 44444444444444 | 44444444444444 | 44444444444444
.444444444444. | .444444444444. | .444444444444. | .444444444444.
..4444444444.. | ..4444444444.. | ..4444444444.. | ..4444444444..
....444444.... | ...44444444... | ....444444.... | ....444444....
""")


FIRE_FACES = sheet("""
grinning | angry  | roaring | calm   | surprised | one-eyed
#....#   | ##..## | #....#  | ...... | .#..#.    | ......
##..##   | .#..#. | ##..##  | ##..## | .#..#.    | .####.
......   | ...... | ......  | ##..## | ......    | ..##..
#....#   | .####. | .####.  | ...... | ..##..    | ......
.####.   | .#..#. | .####.  | ..##.. | ..##..    | .####.
""")


def flame(c: Canvas, rng: Random) -> Look:
    colour, ramp = pick(rng, FIRES)
    shape, art = pick(rng, FIRE_SHAPES)
    face, face_art = pick(rng, FIRE_FACES)
    core, (rx, ry) = pick(rng, {"large": (5.4, 5.4), "small": (4.4, 4.2), "tall": (4, 6)})
    flip = rng.random() < 0.5
    outer = _grid(art, flip=flip) == "4"
    c.fill(outer, ramp, 3)
    shift = rng.choice([-1, 0, 1])
    for tone, shrink in [(2, 0), (1, 1), (0, 2.2)]:
        inner = ellipse(7.5, 13.5 - ry + shrink, rx - shrink, ry - shrink)
        tip = ellipse(7.5 + shift, 13 - 2 * ry + 2 * shrink, 1.4, 2)
        c.fill((inner | tip) & outer, ramp, tone)
    arms, y = pick(rng, {"none": 0, "raised": 6, "lowered": 9})
    if y:
        for mirrored in (False, True):
            _paint(c, "3..\n33.\n323\n.32\n..3", {"0": ramp}, x=1, y=y, flip=mirrored)
    _paint(c, face_art, {}, x=5, y=8)
    return Look(
        _caption(an(f"{face} {colour} fire elemental"), f"a {shape} flame", f"{arms} arms" if y else ""),
        parts={"shape": shape, "face": face, "core": core, "arms": arms},
        colours={"fire": colour},
    )


# --- treant ---------------------------------------------------------------------------------------
# --------------------

TREE_CROWNS = {
    "round": [
        (7.5, 2.6, 3.4, 2),
        (3.4, 4.6, 2.5, 1.9),
        (11.6, 4.6, 2.5, 1.9),
        (5.4, 3.6, 2.5, 1.9),
        (9.6, 3.6, 2.5, 1.9),
    ],
    "split": [(3.6, 2.8, 2.6, 1.9), (11.4, 2.8, 2.6, 1.9), (5, 4.4, 2.5, 1.9), (10, 4.4, 2.5, 1.9)],
    "tall": [(5, 4.6, 2.6, 1.9), (10, 4.6, 2.6, 1.9), (7.5, 3.6, 3, 1.6), (7.5, 2.2, 1.9, 1.6)],
    "lopsided": [(12, 4.6, 2.5, 1.9), (9.5, 3.2, 2.9, 2.3), (3.4, 3.4, 2.4, 2.5), (6, 2.9, 2.9, 2)],
    "bare": [],
}
BARE_BRANCHES = """
B...B....B...B
B...BB..BB...B
BB...B..B...BB
.BB..B..BB.BB.
..BB.BBBBBBB..
...BBBBBBBB...
"""
TREE_TRUNK = """
....BBB
....BBB
....BBB
....BBB
....BBB
....BBB
....BBB
....BBB
"""
TREE_ROOTS = sheet("""
spread  | stubby  | clawed
..BBBBB | ...BBB. | ..BBBBB
.BB.BB. | ...BBB. | BB.B.BB
""")
TREE_ARMS = sheet("""
raised | lowered | spread
L...   | ....    | ....
B.L.   | ....    | L...
BBB.   | ..BB    | B..B
.BB.   | .BB.    | BBBB
..BB   | BB..    | .B..
       | B.B.    | .L..
       | L.L.    |
""")
BARKS = {"brown": RAMPS["brown"], "dark brown": darker(RAMPS["brown"])}
TREE_FACES = sheet("""
grim   | friendly | howling | toothy
##..## | ##..##   | #x..x#  | #x..x#
x#..#x | #x..x#   | ##..##  | ......
...... | ......   | ......  | ######
.####. | #....#   | .####.  | #b##b#
.#..#. | .####.   | .####.  | ######
""")


def treant(c: Canvas, rng: Random) -> Look:
    leaf_colour, leaves = _colour(rng, "green", "lime", "teal", "orange", "pink")
    bark_colour, bark = pick(rng, BARKS)
    eye_colour, eye = _colour(rng, "yellow", "red", "sky-blue")
    crown, blobs = pick(rng, TREE_CROWNS)
    roots, root_art = pick(rng, TREE_ROOTS)
    face, face_art = pick(rng, TREE_FACES)
    (left, left_art), (right, right_art) = pick(rng, TREE_ARMS), pick(rng, TREE_ARMS)
    tuft = leaves if blobs else bark
    _paint(c, left_art, {"B": bark, "L": tuft}, x=1, y=6)
    _paint(c, right_art, {"B": darker(bark), "L": tuft}, x=1, y=6, flip=True)
    _paint(c, _sym(TREE_TRUNK + root_art), {"B": bark}, y=5)
    _paint(c, face_art, {"x": eye[1:], "a": bark}, x=5, y=7)
    if not blobs:
        _paint(c, BARE_BRANCHES, {"B": bark}, y=1)
    for blob in blobs:
        c.fill(ellipse(*blob), leaves)
    fruit = rng.choice(["no", "red", "yellow", "white"]) if blobs else "no"
    if fruit != "no":
        _paint(c, "......aa...\naa....bb...\nbb.......aa\n....aa...bb", {"a": RAMPS[fruit]}, x=3, y=2)
    return Look(
        _caption(
            an(f"{face} living tree"),
            f"a {crown} crown" if not blobs else f"a {crown} {leaf_colour} crown",
            f"{fruit} fruit" if fruit != "no" else "",
        ),
        parts={"crown": crown, "fruit": fruit, "roots": roots, "face": face, "left arm": left, "right arm": right},
        colours={"leaves": leaf_colour if blobs else "none", "bark": bark_colour, "eyes": eye_colour},
    )


# --- crab -----------------------------------------------------------------------------------------
# --------------------

CRAB_CLAWS = sheet("""
raised | spread | closed
B.B..  | .....  | .....
B.BB.  | .....  | .....
BBBB.  | .....  | .BBB.
BBBB.  | .B...  | BBBB.
.BB..  | B..B.  | BBBBB
..B..  | BBBB.  | .BBB.
..BB.  | BBBB.  | ..BB.
...BB  | .BBB.  | ...BB
       | ...BB  |
""")
CRAB_LEGS = sheet("""
bent   | straight | tucked
..BBB. | .BBBBB   | ......
.B..BB | BB..BB   | ..BBBB
BB.BB. | ..BB..   | .BB.BB
...B.. | .BB...   | ..BB..
""")
CRAB_EYES = sheet("""
wide     | tired    | tall     | angry
........ | ........ | www..www | ........
www..www | BBB..BBB | w#w..w#w | B......B
w#w..w#w | w#w..w#w | .B....B. | #BB..BB#
.B....B. | .B....B. | .B....B. | w#w..w#w
""")
CRAB_MOUTHS = sheet("""
smiling | calm | toothy | bubbling | sad
#..#    | .... | ####   | uu..     | .##.
.##.    | .##. | .ww.   | uu##     | #..#
""")


def crab(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "red", "orange", "blue", "purple", "teal", "magenta")
    shell, (rx, ry) = pick(rng, {"wide": (5.5, 3), "round": (4.6, 3.6), "flat": (5.5, 2.4)})
    claws, _ = pick(rng, CRAB_CLAWS)
    second = rng.choice([claws, claws, *CRAB_CLAWS])
    legs, leg_art = pick(rng, CRAB_LEGS)
    eyes, eye_art = pick(rng, CRAB_EYES)
    mouth, mouth_art = pick(rng, CRAB_MOUTHS)
    for name, flip in ((claws, False), (second, True)):
        _paint(c, leg_art, {"B": darker(ramp)}, x=1, y=11, flip=flip)
        _paint(c, CRAB_CLAWS[name], {"B": ramp}, flip=flip)
    top = round(13 - 2 * ry)
    c.fill(ellipse(7.5, 13 - ry, rx, ry), ramp)
    _paint(c, eye_art, {"B": ramp}, x=4, y=top - 2)
    _paint(c, mouth_art, {"u": RAMPS["sky-blue"]}, x=6, y=11)
    return Look(
        _caption(an(f"{colour} crab"), f"a {shell} shell", f"{claws} claws" if claws == second else "uneven claws"),
        parts={"shell": shell, "left claw": claws, "right claw": second, "legs": legs, "eyes": eyes, "mouth": mouth},
        colours={"shell": colour},
    )


# --- bee ------------------------------------------------------------------------------------------
# --------------------

BEE_WINGS = sheet("""
raised   | spread   | swept-back | half-open
..aa.ab. | aa...aab | .........  | ..aab.
.aab.aab | aab.aabb | .....aab.  | .aaabb
.abbaabb | .abbabb. | ....aabbb  | .aabbb
..bb.bb. | ..bbbb.. | ...aabbb.  | ..abb.
...bbb.. |          | ...abb...  | ...b..
""")
BEE_FEELERS = sheet("""
long | curled | short
B... | BB..   | ....
.B.. | ..B.   | .B..
.B.. | ..B.   | ..B.
""")
BEE_BODIES = {"plump": (9, 9.5, 4.6, 4), "slim": (9.5, 9.5, 4.4, 3), "drooping": (9, 10.2, 3.8, 4.3)}
BEE_STRIPES = {"two": [7, 8, 11, 12], "three": [6, 9, 12], "one": [8, 9], "thick": [7, 8, 10, 11, 13]}


def bee(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "yellow", "gold", "orange")
    stripe_colour, stripe = pick(
        rng,
        {
            "black": RAMPS["black"][1:] + RAMPS["black"][4:],
            "dark brown": darker(RAMPS["brown"][1:] + RAMPS["brown"][4:]),
        },
    )
    wing_colour, wing_ramp = _colour(rng, "sky-blue", "white", "steel")
    wings, wing = pick(rng, BEE_WINGS)
    feelers, feeler_art = pick(rng, BEE_FEELERS)
    body, (cx, cy, rx, ry) = pick(rng, BEE_BODIES)
    stripes, columns = pick(rng, BEE_STRIPES)
    flip = rng.random() < 0.5
    turn = slice(None, None, -1 if flip else 1)
    body_mask = ellipse(cx, cy, rx, ry)
    _paint(c, "4", {"1": stripe}, x=round(cx + rx), y=round(cy), flip=flip)
    _paint(c, feeler_art, {"B": stripe}, x=2, y=5, flip=flip)
    c.fill(body_mask[:, turn], ramp)
    c.fill((body_mask & np.isin(np.arange(SIZE), columns))[:, turn], stripe)
    c.fill(ellipse(3.8, 9.5, 2.8, 2.8)[:, turn], paler(ramp))
    _paint(c, rng.choice(["w#\n##", "##\n##", "#.\n##", "..\n##"]), {}, x=2, y=8, flip=flip)
    _paint(c, wing, {"a": wing_ramp}, x=5, flip=flip)
    return Look(
        _caption(an(f"{body} {colour} bee"), f"{wings} {wing_colour} wings", f"{stripes} {stripe_colour} stripes"),
        parts={"body": body, "wings": wings, "feelers": feelers, "stripes": stripes, "facing": _facing(flip)},
        colours={"body": colour, "stripes": stripe_colour, "wings": wing_colour},
    )


# --- owl ------------------------------------------------------------------------------------------
# --------------------

OWL_EARS = sheet("""
pointed tufts | curved tufts | a round head | small tufts
BB......BB    | B........B   | ..........   | ..........
BBB....BBB    | BB......BB   | ..BBBBBB..   | .B......B.
.BBBBBBBB.    | .BBBBBBBB.   | .BBBBBBBB.   | .BBBBBBBB.
""")
OWL_EYES = sheet("""
wide     | yellow   | sleepy   | stern    | winking
.ww..ww. | .aa..aa. | .ww..ww. | ##....## | .ww..ww.
w##ww##w | a##aa##a | wwwwwwww | w##..##w | w##wwwww
w##ww##w | a##aa##a | ###ww### | w##ww##w | w##w####
.ww..ww. | .aa..aa. | .ww..ww. | .ww..ww. | .ww..ww.
""")
OWL_WINGS = sheet("""
folded | spread | drooping
...    | A..    | ...
...    | AA.    | ...
..A    | AAA    | ...
.AA    | AAA    | ..A
.AA    | A.A    | .AA
.AA    |        | .AA
.AA    |        | .AA
..A    |        | .A.
       |        | .A.
""")
OWL_BELLIES = sheet("""
speckled | barred | plain | chevrons
s..s..   | .ssss. |       | s.ss.s
..s..s   | ...... |       | .s..s.
s..s..   | .ssss. |       | ..ss..
""")


def owl(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "brown", "grey", "white", "tan", "purple", "blue", "teal")
    belly_colour, belly = _colour(rng, *[n for n in ("tan", "white", "yellow") if n != colour])
    ears, ear_art = pick(rng, OWL_EARS)
    eyes, eye_art = pick(rng, OWL_EYES)
    wings, wing = pick(rng, OWL_WINGS)
    pattern, pattern_art = pick(rng, OWL_BELLIES)
    c.fill(ellipse(7.5, 8, 5, 5.4) | (_grid(ear_art, 3, 1) == "B"), ramp)
    c.fill(ellipse(7.5, 11, 3.4, 2.8), belly)
    _paint(c, pattern_art, {"s": belly[2:] + belly[:2]}, x=5, y=10)
    for flip in (False, True):
        _paint(c, wing, {"A": darker(ramp)}, y=5, flip=flip)
    _paint(c, eye_art, {"a": RAMPS["yellow"]}, x=4, y=4)
    _paint(c, "pq\nqr", {"p": RAMPS["orange"]}, x=7, y=7)
    perch = rng.choice(["feet", "branch"])
    _paint(
        c,
        "pp..pp" if perch == "feet" else "bbbppbbppbbccc",
        {"p": RAMPS["orange"], "a": RAMPS["brown"]},
        x=5 if perch == "feet" else 1,
        y=14,
    )
    return Look(
        _caption(an(f"{colour} owl"), ears, f"{eyes} eyes", f"{wings} wings"),
        parts={"ears": ears, "eyes": eyes, "wings": wings, "belly": pattern, "perch": perch},
        colours={"feathers": colour, "belly": belly_colour},
    )


# --- frog -----------------------------------------------------------------------------------------
# --------------------

FROG_POSES = sheet("""
sitting | crouching | squatting | puffed-up | standing tall
..BBBBB | ..BBBBB   | ..BBBBB   | ..BBBBB   | ..BBBBB
.BBBBBB | .BBBBBB   | .BBBBBB   | .BBBBBB   | .BBBBBB
.BBBBBB | .BBBBBB   | .BBBBBB   | .BBBBBB   | .BBBBBB
BBBBBBB | BBBBBBB   | .BBBBBB   | BBBBBBB   | .BBBBBB
.BBBBBB | BBBBBBB   | .BBBBBB   | BYYYYYY   | ..BBBBB
.BBYYYY | BBBYYYY   | ..BYYYY   | BYYYYYY   | ..BYYYY
.BBYYYY | BBBYYYY   | BBBYYYY   | BYYYYYY   | ..BYYYY
BBBYYYY | BB.BYYY   | BBBBYYY   | .BYYYYY   | .BBYYYY
BBBBYYY | BBBBB..   | .BBBBYY   | BBBYYYY   | BB.BYYY
BBBBBYY |           | BBBBBB.   | BBBBB..   | B..BBYY
BBB.BB. |           |           |           | ..BBB..
""")
FROG_EYES = sheet("""
round  | sleepy | cross  | golden
.BBB.. | .BBB.. | .BBB.. | .BBB..
Bww#B. | BBBBB. | B##BB. | Byy#B.
Bww#BB | B###BB | Bw##BB | Byy#BB
""")
FROG_MOUTHS = sheet("""
a wide smile | its tongue out | an open mouth | a small mouth
#........#   | .########.     | .########.    | ..........
.########.   | ....rr....     | .#rrrrrr#.    | ...####...
             | ....rs....     | ..######..    |
             | .....s....     |               |
""")
FROG_HATS = sheet("""
- | a crown | a leaf on its head | a flower
  | a.ab.c  | ..gh..             | ..p...
  | abbbcc  | .gghi.             | .pyp..
  |         |                    | ..p...
""")


def frog(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "green", "lime", "teal", "blue", "orange", "red", "brown")
    belly_colour, belly = _colour(rng, *[n for n in ("yellow", "tan", "white") if n != colour])
    pose, half = pick(rng, FROG_POSES)
    eyes, eye_art = pick(rng, FROG_EYES)
    (mouth, mouth_art), (hat, hat_art) = pick(rng, FROG_MOUTHS), pick(rng, FROG_HATS)
    marks = rng.choice(["plain", "spotted", "striped"])
    art = _sym(half)
    top = 14 - art.count("\n")
    _paint(c, art, {"B": ramp, "Y": paler(belly)}, y=top)
    if marks != "plain":
        _paint(c, "d..d\n.d.." if marks == "spotted" else ".dd.\n.dd.", {"a": ramp}, x=6, y=top)
    _paint(c, eye_art, {"B": ramp, "y": RAMPS["yellow"]}, x=2, y=top - 2)
    _paint(c, eye_art, {"B": ramp, "y": RAMPS["yellow"]}, x=2, y=top - 2, flip=True)
    _paint(c, mouth_art, {"r": RAMPS["red"]}, x=3, y=top + 3)
    _paint(
        c,
        hat_art,
        {"a": RAMPS["gold"], "g": RAMPS["lime"], "p": RAMPS["pink"], "y": RAMPS["yellow"]},
        x=5,
        y=top - hat_art.count("\n") - 1,
    )
    return Look(
        _caption(an(f"{pose} {colour} frog"), f"{eyes} eyes", mouth, hat),
        parts={"pose": pose, "eyes": eyes, "mouth": mouth, "hat": hat or "none", "back": marks},
        colours={"skin": colour, "belly": belly_colour},
    )


# --- mimic ----------------------------------------------------------------------------------------
# --------------------

MIMIC_LIDS = sheet("""
domed          | flat           | banded         | tilted
...WWWWWWWW... | mWWWWWWWWWWWWn | ..WWmWWWWnWW.. | ..........WWn.
.mWWWWWWWWWWn. | mWWWWWWWWWWWWn | .WWWmWWWWnWWW. | ......WWWWWWn.
.mWWWWWWWWWWn. | mmnnnnnnnnnnoo | WWWWmWWWWnWWWW | ..WWWWWWWWWnn.
mmnnnnnnnnnnoo |                | mmnnnnnnnnnnoo | mWWWWWnnnnnoo.
               |                |                | mmnnno........
""")
MIMIC_MOUTHS = sheet("""
sharp        | long         | even         | crooked
w.w.ww.w.w.w | w.w......w.w | ww.ww.ww.ww. | w..ww..w.ww.
............ | w.w......w.w | ............ | .......w....
............ | ............ | ............ | ..w.........
.w.w.ww.w.w. | .w.w.ww.w.w. | ww.ww.ww.ww. | w.w..w.ww.w.
""")
MIMIC_EYES = {"two": "..yy....yy..", "one": ".....yy.....", "three": ".yy..yy..yy.", "no": ""}
MIMIC_TONGUES = sheet("""
- | a long tongue | a short tongue | a curled tongue
  | pqq.          | pqqr           | .pqr
  | pqq.          | pqqr           | .pqr
  | .pqq          | .qr.           | pqq.
  | .pqq          |                | pq.p
  | ..qr          |                | .qqq
""")


MIMIC_CHEST = """
mmmnnnnnnnnnoo
mWWWWWWWWWWWWo
mWWWWWWWWWWWWo
mWWWWWWWWWWWWo
mmnnnnnnnnnnoo
"""
MIMIC_FEET = {"no": "", "stubby": ".BBB......BBB.", "clawed": "ww.ww....ww.ww", "four": ".BB.BB..BB.BB."}


def mimic(c: Canvas, rng: Random) -> Look:
    wood_colour, wood = _colour(rng, "brown", "tan", "red", "purple", "blue", "green")
    metal_colour, metal = _colour(rng, "gold", "steel", "orange")
    lid, lid_art = pick(rng, MIMIC_LIDS)
    teeth, teeth_art = pick(rng, MIMIC_MOUTHS)
    eyes, eye_art = pick(rng, MIMIC_EYES)
    tongue, tongue_art = pick(rng, MIMIC_TONGUES)
    eye_colour, eye = _colour(rng, "yellow", "red", "lime")
    c.fill(box(2, 4, 13, 9), [OUTLINE] * 5, 0)
    _paint(c, lid_art, {"W": wood, "m": metal[1:]}, y=max(1, 4 - lid_art.count("\n")))
    _paint(c, teeth_art, {}, x=2, y=5)
    _paint(c, eye_art, {"y": eye}, x=2, y=6)
    feet, feet_art = pick(rng, MIMIC_FEET)
    _paint(c, feet_art, {"B": wood}, y=14)
    _paint(c, MIMIC_CHEST, {"W": wood, "m": metal[1:]}, y=9)
    lock = rng.choice(["square", "keyhole", "none"])
    if lock != "none" and not tongue:
        _paint(c, "mmnn\nm##n\nn##n" if lock == "square" else ".mn.\nm##n\n.nn.", {"m": metal}, x=6, y=9)
    _paint(c, tongue_art, {"p": RAMPS["pink"][1:]}, x=rng.choice([3, 6, 9]), y=9)
    return Look(
        _caption(
            f"{an(wood_colour)} treasure chest monster",
            f"{teeth} teeth",
            f"{eyes} eyes" if eyes != "one" else "one eye",
            tongue,
        ),
        parts={"lid": lid, "teeth": teeth, "eyes": eyes, "tongue": tongue or "none", "lock": lock, "feet": feet},
        colours={"wood": wood_colour, "metal": metal_colour, "eyes": eye_colour},
    )


# --- imp ------------------------------------------------------------------------------------------
# --------------------

IMP_HORNS = sheet("""
long     | curved   | short    | wide
a......b | .a....b. | ........ | ........
a......b | a......b | ........ | aa....bb
ab....bb | ab....bb | a......b | .ab..bb.
.BBBBBB. | .BBBBBB. | bBBBBBBb | ..BBBB..
""")
IMP_HEAD = """
BBBBBBBB
BBBBBBBB
BBBBBBBB
BBBBBBBB
.BBBBBB.
"""
IMP_FACES = sheet("""
grinning | sneering | cackling | glaring
#....#   | ##..##   | #....#   | ##..##
y#..#y   | y#..#y   | y#..#y   | #y##y#
......   | ......   | ......   | ......
#wwww#   | ..####   | w####w   | .####.
.####.   | ...w..   | .####.   | #....#
""")
IMP_WINGS = sheet("""
raised | spread | folded | none
B..    | ....   | ...    |
BB.    | ....   | ...    |
BBB    | ....   | ...    |
BBB    | BBB    | ...    |
.BB    | BBBB   | ..B    |
..B    | B.BB   | .BB    |
       | ...B   | .BB    |
       |        | .B.    |
""")
IMP_LEGS = sheet("""
crouching | hopping  | standing
BB.BB.BB  | .BBBBBB. | .BBBBBB.
BBBBBBBB  | BBBBBBBB | .BBBBBB.
.BB..BB.  | BB....BB | .BB..BB.
BB....BB  | .B....B. | .BB..BB.
""")
IMP_TAILS = sheet("""
arrow | forked | curled
..B.  | B.B    | .BB.
.BBB  | BBB    | B..B
..B.  | .B.    | ...B
..B.  | .B.    | ..B.
BBB.  | BB.    | BB..
""")
FORK = """
a.a
aaa
.b.
.b.
.b.
.b.
.b.
.b.
.b.
"""


def imp(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "red", "purple", "orange", "magenta", "blue")
    wing_colour, wing_ramp = _colour(rng, *[n for n in ("black", "purple", "orange", "red") if n != colour])
    horns, horn_art = pick(rng, IMP_HORNS)
    face, face_art = pick(rng, IMP_FACES)
    wings, wing = pick(rng, IMP_WINGS)
    pose, leg_art = pick(rng, IMP_LEGS)
    tail, tail_art = pick(rng, IMP_TAILS)
    fork, flip = rng.choice(["a trident", ""]), rng.random() < 0.5
    _paint(c, tail_art, {"B": darker(ramp)}, x=11, y=9, flip=flip)
    for mirrored in (False, True):
        _paint(c, wing, {"B": wing_ramp}, y=3, flip=mirrored)
    _paint(c, leg_art, {"B": ramp}, x=4, y=11)
    c.fill(ellipse(7.5, 10, 2.6, 2.6), paler(ramp))
    _paint(c, horn_art + IMP_HEAD, {"B": ramp, "a": RAMPS["white"]}, x=4, y=1)
    _paint(c, face_art, {"y": RAMPS["yellow"]}, x=5, y=5)
    if fork:
        _paint(c, FORK, {"a": RAMPS["steel"][1:2] + RAMPS["brown"][:4]}, x=1, y=5, flip=flip)
    return Look(
        _caption(an(f"{pose} {colour} imp"), f"{horns} horns", f"{an(tail)} tail", fork),
        parts={"horns": horns, "face": face, "wings": wings, "pose": pose, "tail": tail, "fork": fork or "none"},
        colours={"skin": colour, "wings": wing_colour},
    )


# --- octopus --------------------------------------------------------------------------------------
# --------------------

TENTACLES = sheet("""
curled  | spread  | raised  | dangling
B..BBBB | ...BBBB | B..BBBB | ...BBBB
BB.BBBB | .BBBBBB | BBBBBBB | ..BBBBB
.BBBBBB | BB.BBBB | .BBBBBB | .BBBBBB
..BBBBB | B.BB.BB | ..BB.BB | .BB.BB.
.BB.BB. | ..B..BB | .BB..BB | .B..BB.
.B..BB. | .BB..B. | .B...B. | BB..B..
""")
OCTOPUS_MOUTHS = sheet("""
smile | round | flat
#..#  | .##.  | ....
.##.  | .##.  | .##.
""")
OCTOPUS_MARKS = sheet("""
plain | spotted  | striped  | starry
      | ..aa.... | .aaaaaa. | ...a....
      | ......b. | ........ | ..aaa...
      | a....... | aaaaaaaa | ...a....
""")


def octopus(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "red", "orange", "purple", "pink", "teal", "blue", "magenta")
    arms, half = pick(rng, TENTACLES)
    right_arms, right_half = pick(rng, TENTACLES)
    head, (cy, rx, ry) = pick(rng, {"round": (5.5, 5, 4.6), "tall": (5.4, 4.4, 4.6), "wide": (6, 5.6, 4.2)})
    eyes, eye_art = pick(rng, FACE_EYES)
    mouth, mouth_art = pick(rng, OCTOPUS_MOUTHS)
    marks, mark_art = pick(rng, OCTOPUS_MARKS)
    rows = zip(half.split("\n"), right_half.split("\n"), strict=True)
    _paint(c, "\n".join(left + right[::-1] for left, right in rows), {"B": ramp}, y=9)
    c.fill(ellipse(7.5, cy, rx, ry), ramp)
    _paint(c, mark_art, {"a": paler(ramp)}, x=4, y=2)
    _paint(c, eye_art, {}, x=5, y=5)
    _paint(c, mouth_art, {}, x=6, y=9)
    arm_text = f"{arms} arms" if arms == right_arms else f"{arms} and {right_arms} arms"
    return Look(
        _caption(an(f"{marks} {colour} octopus"), arm_text, f"a {head} head"),
        parts={"left arms": arms, "right arms": right_arms, "head": head, "eyes": eyes, "mouth": mouth, "marks": marks},
        colours={"skin": colour},
    )


# --- snail ----------------------------------------------------------------------------------------
# --------------------

SHELLS = sheet("""
spiral    | striped   | pointed   | flat      | spotted
..SSSSS.. | ..SSaSS.. | ....SS... | ..SSSSSS. | ..SSSSS..
.SS###SS. | .SSaaSSS. | ....SS... | .SS####SS | .SaaSSSS.
SS#SSS#SS | SSSaSSaSS | ...aaaa.. | SS#SSSS#S | SSaaSSaSS
SS#S#S#SS | SaaSSaaSS | ...SSSS.. | SS#S##S#S | SSSSSaaaS
SS#SS##SS | SaSSSaSSS | ..SSSSSS. | .SSS#SS#S | SSSSSSaSS
SSS#SSSSS | SSSSaaSSa | ..aaaaaa. | ..SSSSSS. | SaaSSSSSS
.SSS###S. | .SSSaSSa. | .SSSSSSSS |           | .aaSaaSS.
..SSSSS.. | ..SSSSS.. | .SSSSSSSS |           | ..SSSSS..
          |           | .aaaaaaaa |           |
          |           | ..SSSSSS. |           |
""")
SNAIL_STALKS = sheet("""
long stalks | short stalks | crossed stalks | leaning stalks
w...w       | w..w.        | w.w..          | w..w.
B...B       | B..B.        | B.BB.          | BB.BB
BB.BB       | BBBB.        | .BBB.          | .BB.B
.B.B.       |              | .BB..          | ..BBB
.BBB.       |              |                |
""")
SNAIL_FEET = sheet("""
long           | short          | wavy
.BBBBB.......  | .BBBBB.......  | .BBBBB.......B
BBBBBBBBBBBBB  | BBBBBBBBBBBB.  | BBBBBBBBBBBBBB
BBBBBBBBBBBBBB | .BBBBBBBBBBB.. | .BBB.BBBB.BBB.
""")


def snail(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "tan", "lime", "yellow", "sky-blue", "pink", "grey", "green")
    shell_colour, shell = _colour(rng, "red", "orange", "purple", "brown", "blue", "teal", "magenta")
    shape, shell_art = pick(rng, SHELLS)
    stalks, stalk_art = pick(rng, SNAIL_STALKS)
    foot, foot_art = pick(rng, SNAIL_FEET)
    flip = rng.random() < 0.5
    _paint(c, "BBBB.\nBBBB.\nBBBBB\nBBBBB", {"B": ramp}, y=9, flip=flip)
    _paint(c, stalk_art, {"B": ramp}, x=1, y=8 - stalk_art.count("\n"), flip=flip)
    _paint(c, foot_art, {"B": ramp}, y=12, flip=flip)
    _paint(c, shell_art, {"S": shell, "a": shell[:1] * 5}, x=6, y=12 - shell_art.count("\n"), flip=flip)
    _paint(c, rng.choice(["#.\n.#", "##\n..", ".#\n#."]), {}, x=2, y=10, flip=flip)
    return Look(
        _caption(an(f"{colour} snail"), f"a {shape} {shell_colour} shell", stalks),
        parts={"shell": shape, "stalks": stalks, "foot": foot, "facing": _facing(flip)},
        colours={"body": colour, "shell": shell_colour},
    )


KINDS: dict[str, Draw] = {
    kind.__name__: closing_gaps(kind)
    for kind in (
        slime,
        bat,
        ghost,
        dragon,
        skeleton,
        spider,
        mushroomling,
        snake,
        wolf,
        rat,
        goblin,
        orc,
        zombie,
        beholder,
        golem,
        flame,
        treant,
        crab,
        bee,
        owl,
        frog,
        mimic,
        imp,
        octopus,
        snail,
    )
}

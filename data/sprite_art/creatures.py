"""Creatures (class non-hero): one drawing function for each kind."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from .canvas import OUTLINE, RAMPS, SIZE, Canvas, Look, Ramp, box, ellipse, line

BRIGHT = ["lime", "green", "teal", "sky", "blue", "purple", "magenta", "pink", "red", "orange", "yellow"]


def _a(text: str) -> str:
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _pick(rng: Random, options: dict[str, Any]) -> tuple[str, Any]:
    name = rng.choice(list(options))
    return name, options[name]


def _colour(rng: Random, *names: str) -> tuple[str, Ramp]:
    name = rng.choice(names)
    return name, RAMPS[name]


def _caption(start: str, *details: str) -> str:
    """Join a start and the non-empty details: "a bat", "a bat with fangs", "a bat with fangs and big ears"."""
    details = [detail for detail in details if detail]
    if not details:
        return start
    return f"{start} with {' and '.join([', '.join(details[:-1]), details[-1]] if details[1:] else details)}"


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


def _paint(c: Canvas, art: str, materials: dict[str, Ramp], x: int = 1, y: int = 1, flip: bool = False) -> None:
    """Like ``Canvas.stamp``, but a capital letter is a region shaded as a ball, and ``flip`` mirrors on the canvas."""
    grid = _grid(art, x, y, flip)
    for letter, ramp in materials.items():
        if letter.isupper():
            c.fill(grid == letter, ramp)
            grid = np.where(grid == letter, ".", grid)
    legend = {first: ramp for first, ramp in materials.items() if not first.isupper()}
    c.stamp("\n".join("".join(row) for row in grid), legend)


def _paler(ramp: Ramp) -> Ramp:
    return (ramp[0], *ramp[:4])


def _darker(ramp: Ramp) -> Ramp:
    return (*ramp[1:], ramp[4])


def _facing(flip: bool) -> str:
    return "right" if flip else "left"


def _close_gaps(c: Canvas) -> None:
    """Fill single empty pixels that the outline would enclose; one at the very border is closed from inside."""
    reach = np.pad(c.filled, 1)
    reach = reach[1:-1, 1:-1] | reach[:-2, 1:-1] | reach[2:, 1:-1] | reach[1:-1, :-2] | reach[1:-1, 2:]
    free = np.pad(~reach, 1)
    lonely = ~reach & ~(free[:-2, 1:-1] | free[2:, 1:-1] | free[1:-1, :-2] | free[1:-1, 2:])
    y, x = np.clip(np.nonzero(lonely), 1, SIZE - 2)
    c.rgb[y, x] = OUTLINE
    c.filled[y, x] = True


def _tidy(draw: Callable[[Canvas, Random], Look]) -> Callable[[Canvas, Random], Look]:
    def tidied(c: Canvas, rng: Random) -> Look:
        look = draw(c, rng)
        _close_gaps(c)
        return look

    return tidied


# --- slime ------------------------------------------------------------------------------------------------------------

FACE_EYES = {
    "dot": ".#..#.\n.#..#.",
    "shiny": "w#..w#\n##..##",
    "angry": "#....#\nw#..#w\nww..ww",
    "sleepy": "......\n##..##",
    "wide": "ww..ww\nw#..#w\nw#..#w",
    "single": ".wwww.\nww##ww\nww##ww\n.wwww.",
}
FACE_MOUTHS = {
    "smile": ".#..#.\n..##..",
    "open mouth": ".####.\n..pp..",
    "fangs": ".####.\n.w..w.",
    "grin": "#wwww#\n.####.",
    "small mouth": "......\n..##..",
}
SLIME_TOPS = {
    "": "",
    "two horns": "a......b\nab....bc\n.bc..cd.",
    "an antenna": "..aab...\n..abb...\n..bcc...\n....c...",
    "a sprout": ".ab.cc..\n..bbc...\n...c....",
    "a crown": ".a.ab.c.\n.abbbbc.\n.bbcccd.",
    "spikes": "...a....\n.a.bb.c.\nabbbccdd",
}
TOP_RAMPS = {"a sprout": ("lime", "green"), "a crown": ("gold", "steel")}


def slime(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, *BRIGHT)
    body, (rx, ry) = _pick(rng, {"round": (5.5, 5), "wide": (6.5, 4.5), "tall": (5, 5.5), "flat": (6.5, 4)})
    top, art = _pick(rng, SLIME_TOPS)
    _, accent = _colour(rng, *TOP_RAMPS.get(top, ("white", "orange", "yellow", "brown", "sky")))
    first_row = round(14.4 - 2 * ry)
    _paint(c, art, {"a": accent}, x=4, y=first_row - len(art.split("\n")) + 1)
    c.fill(ellipse(7.5, 14 - ry, rx, ry) | ellipse(7.5, 12.6, rx + 0.5, 1.9), ramp)
    eyes, eye_art = _pick(rng, FACE_EYES)
    mouth, mouth_art = _pick(rng, FACE_MOUTHS)
    _paint(c, eye_art, {}, x=5, y=first_row + (2 if eyes in ("angry", "wide", "single") else 3))
    _paint(c, mouth_art, {"p": RAMPS["pink"]}, x=5, y=first_row + 6)
    eye_text = "one big eye" if eyes == "single" else ""
    return Look(
        _caption(_a(f"{body} {colour} slime"), top, eye_text, mouth if mouth == "fangs" else ""),
        parts={"body": body, "top": top or "none", "eyes": eyes, "mouth": mouth},
        colours={"body": colour},
    )


# --- bat --------------------------------------------------------------------------------------------------------------

BAT_WINGS = {
    "raised": (1, "b....\nba...\nbba..\nbcba.\nbcbba\nccbcb\nc.cbc\n..ccb\n...cc"),
    "level": (4, "..ba.\n.bbba\nbbcbb\nbcbbb\nbc.cb\nc..cc\n....c"),
    "lowered": (5, "...ba\n..bba\n.bbcb\n.bcbb\nbbcbc\nbc.cc\nbc..c\nc...."),
    "swept": (2, ".b...\nbba..\nbcbba\nbccbb\nb.cbc\n..ccb\n..c.c"),
}
BAT_EARS = {
    "pointed": "1....2\n11..22\n.1222.",
    "big": "11..22\n1p..p2\n112222",
    "small": "......\n1....2\n112222",
}
BAT_FACES = {
    "fangs": "w#..#w\n......\n.w##w.",
    "smile": "#....#\n......\n.#pp#.",
    "open": "ww..ww\nw#..#w\n..##..",
    "angry": "#....#\np#..#p\n..ww..",
}


def bat(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "purple", "black", "brown", "blue", "red", "grey", "teal")
    wing_colour, wing_ramp = _colour(rng, "purple", "magenta", "orange", "red", "blue", "tan")
    wings, (y, wing) = _pick(rng, BAT_WINGS)
    ears, ear_art = _pick(rng, BAT_EARS)
    face, face_art = _pick(rng, BAT_FACES)
    for flip in (False, True):
        _paint(c, wing, {"a": wing_ramp}, x=1, y=y, flip=flip)
    c.fill(ellipse(7.5, 8, 3, 3.7), ramp)
    _paint(c, ear_art, {"1": ramp, "p": RAMPS["pink"]}, x=5, y=3)
    _paint(c, face_art, {"p": RAMPS[rng.choice(["pink", "yellow"])]}, x=5, y=6)
    feet = rng.choice(["tucked", "hanging"])
    if feet == "hanging":
        _paint(c, "e..e\ne..e", {"a": ramp}, x=6, y=12)
    return Look(
        _caption(f"{_a(colour)} bat", f"{wings} {wing_colour} wings", f"{ears} ears", "fangs" if face == "fangs" else ""),
        parts={"wings": wings, "ears": ears, "face": face, "feet": feet},
        colours={"body": colour, "wings": wing_colour},
    )


# --- ghost ------------------------------------------------------------------------------------------------------------

GHOST_HEMS = {
    "wavy": "BBBBBBBBBB\nBBB.BB.BBB\n.B..BB..B.",
    "ragged": "BBBBBBBBBB\nBB.BBBB.BB\nB...BB...B",
    "tail to the right": ".BBBBBBBBBB.\n...BBBBBBBB.\n.......BBBB.",
    "tail to the left": "BBBBBBBBB\nBBBBBBB..\nBBB......",
}
GHOST_ARMS = {
    "raised": "B.\nBB\nBB\n.B",
    "spread": "..\n.B\nBB\nBB",
    "lowered": "..\n..\n.B\nBB\nBB\nB.",
    "hidden": "..",
}
GHOST_EYES = {
    "hollow": "##..##\n##..##\n##..##",
    "shiny": "w#..w#\n##..##\n##..##",
    "angry": "#....#\n##..##\n##..##",
    "sad": ".#..#.\n##..##\n##..##",
    "glowing": "##..##\n#p..p#\n##..##",
}
GHOST_MOUTHS = {
    "howling": "..##..\n..##..\n..##..",
    "smiling": ".#..#.\n..##..",
    "sticking out its tongue": ".####.\n..qr..",
    "grinning": ".####.\n.#ww#.",
    "silent": "",
}
GHOST_HATS = {
    "": "",
    "a crown": ".a.bb.c.\n.abbbcd.\n.bcccdd.",
    "a top hat": "..ppqq..\n..pqqr..\n..aabb..\nppqqqrrr",
    "a bow": ".....aa.cc\n.....abbdd\n.....aa.cc",
    "a pointed hat": "...pq...\n..ppqr..\n..aabb..\nppqqrrss",
}


def ghost(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "white", "steel", "sky", "purple", "teal", "pink")
    ramp = _paler(ramp)
    hat, hat_art = _pick(rng, GHOST_HATS)
    accent_name, accent = _colour(rng, "gold", "red", "magenta") if hat else ("none", RAMPS["gold"])
    (left, left_art), (right, right_art) = _pick(rng, GHOST_ARMS), _pick(rng, GHOST_ARMS)
    hem, hem_art = _pick(rng, GHOST_HEMS)
    mood, mouth_art = _pick(rng, GHOST_MOUTHS)
    eyes, eye_art = _pick(rng, GHOST_EYES)
    _paint(c, left_art, {"B": ramp}, x=1, y=6)
    _paint(c, right_art, {"B": ramp[1:] + ramp[-1:]}, x=1, y=6, flip=True)
    hem_mask = np.zeros((SIZE, SIZE), bool)
    for dy, row in enumerate(hem_art.split("\n")):
        hem_mask[12 + dy, 3 : 3 + len(row)] = [char == "B" for char in row]
    c.fill(ellipse(7.5, 7, 5, 5.4) | box(3, 7, 12, 11) | hem_mask, ramp)
    _paint(c, eye_art, {"p": RAMPS["yellow"]}, x=5, y=5)
    _paint(c, mouth_art, {"p": RAMPS["red"]}, x=5, y=9)
    _paint(c, hat_art, {"a": accent, "p": RAMPS["black"]}, x=4, y=1)
    return Look(
        _caption(_a(f"{mood} {colour} ghost"), hat, f"{eyes} eyes"),
        parts={"hem": hem, "left arm": left, "right arm": right, "mood": mood, "eyes": eyes, "hat": hat or "none"},
        colours={"body": colour, "hat": accent_name},
    )


# --- dragon -----------------------------------------------------------------------------------------------------------

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
DRAGON_WINGS = {
    "raised": (9, 1, "...aab\n..abbb\n.abcbc\n.abcbc\nabcbcc\nabcbc.\nabcbc.\nabcc..\n.bc..."),
    "spread": (9, 3, "..aaaa\n.abbbb\nabccbc\nabcbcc\nabcb.c\nabc...\n.b...."),
    "folded": (7, 7, ".aab...\naabbbb.\nabcbcbb\n.bccbcb\n...ccc."),
    "small": (9, 5, "..ab.\n.abbb\nabcbc\nabcc.\n.bc.."),
}
DRAGON_HORNS = {
    "long": "...aa\n..ab.\n.bb..",
    "swept": ".....\n...aa\n.bbb.",
    "crested": ".a.a.\n.bab.\n.bbc.",
    "short": ".....\n..a..\n.bb..",
}
DRAGON_TAILS = {
    "pointed": "...T\n..TT\n..TT\nTTT.\nTT..",
    "spiked": ".a..\nabb.\n.bT.\nTTT.\nTT..",
    "curled": "....\n.TT.\n..TT\nTTTT\nTTT.",
}
DRAGON_BREATHS = {"": "", "breathing fire": "qp..\nrq..\nsr..", "puffing smoke": "uu..\n.vv.\nuv.."}


def dragon(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "red", "green", "blue", "purple", "teal", "black", "orange", "magenta")
    wing_colour, wing_ramp = _colour(rng, *[n for n in ("orange", "yellow", "teal", "magenta", "sky") if n != colour])
    _, belly = _colour(rng, "tan", "yellow")
    wings, (wing_x, wing_y, wing) = _pick(rng, DRAGON_WINGS)
    horns, horn = _pick(rng, DRAGON_HORNS)
    tail, tail_art = _pick(rng, DRAGON_TAILS)
    breath, breath_art = _pick(rng, DRAGON_BREATHS)
    flip = rng.random() < 0.5
    _paint(c, tail_art, {"T": ramp[1:] + ramp[-1:], "a": RAMPS["white"]}, x=11, y=9, flip=flip)
    _paint(c, DRAGON, {"B": ramp, "Y": belly}, flip=flip)
    _paint(c, wing, {"a": wing_ramp}, x=wing_x, y=wing_y, flip=flip)
    _paint(c, breath_art, {"p": RAMPS["yellow"][1:] + RAMPS["red"][:1], "u": RAMPS["grey"]}, x=1, y=8, flip=flip)
    _paint(c, horn, {"a": RAMPS["white"]}, x=4, y=1, flip=flip)
    return Look(
        _caption(_a(f"{colour} dragon {breath}".strip()), f"{wings} {wing_colour} wings", f"{horns} horns"),
        parts={"wings": wings, "horns": horns, "tail": tail, "breath": breath or "none", "facing": _facing(flip)},
        colours={"body": colour, "wings": wing_colour},
    )


# --- skeleton ---------------------------------------------------------------------------------------------------------

SKULLS = {
    "round": ".BBBBBB.\nBBBBBBBB\nBBBBBBBB\nB##BB##B\nB#gBBg#B\n.BB##BB.\n..B#B#B.",
    "broad": ".BBBBBB.\nBBBBBBBB\nBBBBBBBB\n##gBBg##\nB##BB##B\nBBB##BBB\n.B#BB#B.",
    "cracked": "..B#BBB.\n.BBB#BBB\nBBB#BBBB\nB##BB##B\nB#gBBg#B\n.BB##BB.\n..B#B#B.",
    "horned": "B......B\nBBBBBBBB\nBBBBBBBB\nB##BB##B\nB#gBBg#B\n.BB##BB.\n..B#B#B.",
    "long": "..BBBB..\n.BBBBBB.\n.BBBBBB.\n.#gBBg#.\n.##BB##.\n.BB##BB.\n..B#B#B.",
}
RIBS = """
BBBBBB
B#BB#B
BBBBBB
.#BB#.
"""
BONE_ARMS = {
    "raised": "B..\nB..\nBB.\n.B.\n.B.\n.BB",
    "lowered": "...\n...\n...\n...\n...\n.BB\n.B.\nB..\nB..\nBB.",
    "bent": "...\n...\n...\n...\n...\n.BB\nBB.\nB..\nBB.",
}
BONE_LEGS = {
    "standing": "..BBBB..\n..B..B..\n.BB..BB.",
    "bow-legged": "..BBBB..\nBB....BB\nBB....BB",
    "walking": "..BBBB..\n.BB..B..\nBB...BBB",
}
BONE_ITEMS = {
    "": "",
    "a rusty sword": ".a\nab\nab\nab\nab\npp\n.q",
    "a big bone": "B.B\nBBB\n.B.\n.B.\n.B.\nBBB\nB.B",
    "a scythe": "aaaa\nb..q\n...q\n...q\n...q\n...q\n...q\n...q\n...q\n...q",
}


def skeleton(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "white", "tan", "grey", "steel")
    ramp = _paler(ramp)
    glow_name, glow = _colour(rng, "red", "lime", "sky", "magenta", "yellow")
    skull, skull_art = _pick(rng, SKULLS)
    left, left_art = _pick(rng, BONE_ARMS)
    right, right_art = _pick(rng, BONE_ARMS)
    legs, leg_art = _pick(rng, BONE_LEGS)
    _paint(c, left_art, {"B": ramp}, x=2, y=3)
    _paint(c, right_art, {"B": ramp}, x=2, y=3, flip=True)
    _paint(c, RIBS, {"B": ramp}, x=5, y=8)
    _paint(c, leg_art, {"B": ramp}, x=4, y=12)
    _paint(c, skull_art, {"B": ramp, "g": glow[1:2] * 5}, x=4, y=1)
    return Look(
        _caption(_a(f"{legs} {colour} skeleton"), f"a {skull} skull", f"{glow_name} eyes"),
        parts={"skull": skull, "left arm": left, "right arm": right, "legs": legs},
        colours={"bones": colour, "eyes": glow_name},
    )


# --- spider -----------------------------------------------------------------------------------------------------------

SPIDER_LEGS = {  # for each of four legs on the left: hip, knee, foot
    "arched": [(5, 6, 3, 3, 1, 6), (5, 8, 2, 8, 1, 9), (5, 10, 2, 11, 1, 13), (6, 11, 4, 13, 4, 14)],
    "raised": [(5, 6, 4, 4, 3, 1), (5, 8, 2, 5, 1, 3), (5, 10, 3, 9, 1, 10), (6, 11, 3, 12, 2, 14)],
    "spread": [(5, 6, 3, 4, 1, 3), (5, 8, 3, 7, 1, 7), (5, 10, 3, 10, 1, 11), (6, 11, 4, 13, 4, 14)],
    "reaching": [(5, 6, 2, 4, 2, 1), (5, 8, 2, 7, 1, 8), (5, 10, 2, 10, 1, 12), (6, 11, 4, 13, 3, 14)],
}
SPIDER_MARKS = {
    "": "",
    "an hourglass": ".bb.\n.bc.\n....\n.bc.\n.cc.",
    "stripes": "bbbb\n....\nbbcc\n....\n.cc.",
    "a cross": ".bb.\nbbbc\n.bc.\n.cc.",
    "spots": "b..b\n....\n.bb.\n....\nc..c",
}
SPIDER_EYES = {
    "two": "g..g\ng..g",
    "four": "g..g\n.gg.",
    "six": ".gg.\ng..g\n.gg.",
    "big": "w..w\n#ww#",
}


def spider(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "black", "brown", "purple", "red", "blue", "green", "grey")
    mark_colour, accent = _colour(rng, *[n for n in ("red", "yellow", "orange", "sky", "lime") if n != colour])
    legs, joints = _pick(rng, SPIDER_LEGS)
    for flip in (False, True):
        for hip_x, hip_y, knee_x, knee_y, foot_x, foot_y in joints:
            leg = line((hip_x, hip_y), (knee_x, knee_y), (foot_x, foot_y))
            c.fill(leg[:, ::-1] if flip else leg, ramp, 1 + flip)
    abdomen, (rx, ry) = _pick(rng, {"round": (3.6, 3.6), "slim": (2.6, 4), "long": (3.2, 4.4)})
    c.fill(ellipse(7.5, 9.2 - ry, rx, ry), ramp)
    c.fill(ellipse(7.5, 10.7, 2.6, 2.4), ramp)
    mark, mark_art = _pick(rng, SPIDER_MARKS)
    eyes, eye_art = _pick(rng, SPIDER_EYES)
    _paint(c, mark_art, {"a": accent}, x=6, y=3)
    _paint(c, eye_art, {"g": _paler(accent)}, x=6, y=10)
    _paint(c, "w..w", {}, x=6, y=13)
    return Look(
        _caption(_a(f"{colour} spider"), f"{legs} legs", f"{mark} on its back" if mark else "", f"{eyes} eyes"),
        parts={"legs": legs, "abdomen": abdomen, "mark": mark or "none", "eyes": eyes},
        colours={"body": colour, "mark": mark_colour},
    )


# --- mushroomling -----------------------------------------------------------------------------------------------------

CAPS = {
    "round": "....BBB\n..BBBBB\n.BBBBBB\nBBBBBBB\nBBBBBBB\nBBBBBBB\n.GGGGGG",
    "pointed": "......B\n.....BB\n....BBB\n...BBBB\n..BBBBB\nBBBBBBB\nBBBBBBB\n.G.GGGG",
    "flat": "...BBBB\nBBBBBBB\nBBBBBBB\nBBBBBBB\n.GGGGGG",
    "bell-shaped": "....BBB\n...BBBB\n..BBBBB\n..BBBBB\n..BBBBB\n.BBBBBB\n.BBBBBB\n..GGGGG",
}
CAP_SPOTS = {
    "big spots": [(4.5, 5.5, 1.5), (9, 3.5, 1.5), (12, 6.5, 1.2)],
    "small spots": [(3.5, 6.5, 0.8), (6.5, 4.5, 0.8), (9.5, 6.5, 0.8), (12.5, 6.5, 0.8), (9.5, 3.5, 0.8)],
    "one big spot": [(7.5, 4.5, 2.2)],
    "no spots": [],
}
TINY_FACES = {
    "happy": "#..#\n#..#\n.##.",
    "angry": "#..#\n.##.\n#..#",
    "surprised": "#..#\n....\n.##.\n.##.",
    "shiny": "w..w\n#..#\n....\n.##.",
    "sleepy": "....\n#..#\n....\n.##.",
}
STUB_ARMS = {"raised": "b.\nbc\n.c", "lowered": "..\n.b\nbc\nc.", "spread": "..\n..\nbc", "hidden": ""}


def mushroomling(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "red", "orange", "purple", "blue", "brown", "green", "pink", "teal")
    _, skin = _colour(rng, "tan", "white")
    _, spot_ramp = _colour(rng, "white", "yellow")
    cap, half = _pick(rng, CAPS)
    spots, circles = _pick(rng, CAP_SPOTS)
    face, face_art = _pick(rng, TINY_FACES)
    arms, arm_art = _pick(rng, STUB_ARMS)
    for flip in (False, True):
        _paint(c, arm_art, {"a": skin}, x=2, y=9, flip=flip)
    c.fill(ellipse(7.5, 11, 3.6, 3) | box(4, 8, 11, 11), _paler(skin))
    _paint(c, rng.choice(["BB..BB", "BBB.BBB", ".BBBB."]), {"B": _darker(skin)}, x=5, y=14)
    _paint(c, face_art, {}, x=6, y=10)
    art, y = _sym(half), 9 - len(half.split("\n"))
    _paint(c, art, {"B": ramp, "G": _darker(_darker(skin))}, y=y)
    for x, spot_y, radius in circles:
        c.fill(ellipse(x, spot_y, radius, radius) & (_grid(art, y=y) == "B"), spot_ramp, 0)
    return Look(
        _caption(_a(f"{face} walking mushroom"), f"a {cap} {colour} cap", spots if circles else "", f"{arms} arms"),
        parts={"cap": cap, "spots": spots, "face": face, "arms": arms or "hidden"},
        colours={"cap": colour},
    )


# --- snake ------------------------------------------------------------------------------------------------------------

SNAKE_NECKS = {
    "raised": (3, 1, "..BBBB..\n.BBB#BB.\nBBBB#BBB\nBBBBBBBB\n....BBBB\n....YBBB\n...YYBBB\n...YBBBB\n...YBBB."),
    "hooded": (2, 1, "...BBBB...\n..BBBBBB..\n.BB#BB#BB.\n.BBBBBBBB.\nBBB.YY.BBB\nBBBYYYYBBB\nBBBYYYYBBB\n.BBYYYYBB.\n..BYYYYB..\n...YYYYB.."),
    "low": (2, 4, ".BBBB...\nBBB#BBB.\nBBBBBBBB\nBBBBBBBB\n....BBBB\n...YBBB.\n...YBBB."),
    "striking": (2, 1, "..BBBBB.\n.BB#BBBB\nBBBBBBBB\nw#w#BBBB\n####YBBB\nBBB#YBBB\n.BBBYBBB\n...YYBBB\n...YBBB."),
}
SNAKE_TAILS = {
    "raised": "..B\n..B\n.BB\n.B.\nBB.",
    "rattling": "yy.\nyy.\nYyy\n.B.\nBB.",
    "flat": "...\n...\n...\n...\nBBB",
}


def snake(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "green", "lime", "red", "purple", "blue", "teal", "brown", "orange")
    accent_name, accent = _colour(rng, *[n for n in ("yellow", "black", "white", "magenta") if n != colour])
    neck, (x, y, art) = _pick(rng, SNAKE_NECKS)
    tail, tail_art = _pick(rng, SNAKE_TAILS)
    flip = rng.random() < 0.5
    _paint(c, tail_art, {"B": ramp, "Y": accent, "y": RAMPS["yellow"]}, x=12, y=8, flip=flip)
    coils = rng.choice(["one coil", "two coils"])
    c.fill(ellipse(7.5, 12.4, 6.5, 2.2), ramp)
    if coils == "two coils":
        c.fill(ellipse(7.5, 10.4, 4.6, 1.8), ramp)
    pattern, columns = _pick(rng, {"plain": [], "striped": [3, 6, 9, 12], "banded": [4, 5, 10, 11]})
    for column in columns:
        c.fill(box(column, 11, column, 14) & c.filled, accent, 2)
    _paint(c, art, {"B": ramp, "Y": _paler(accent)}, x=x, y=y, flip=flip)
    return Look(
        _caption(_a(f"{pattern} {colour} snake"), f"a {neck} head", coils),
        parts={"head": neck, "tail": tail, "coils": coils, "pattern": pattern, "facing": _facing(flip)},
        colours={"body": colour, "belly": accent_name},
    )


# --- wolf -------------------------------------------------------------------------------------------------------------

WOLF_HEADS = {
    "watchful": (1, 1, "...B..B..\n...BB.BB.\n...BBBBB.\n..BBBBBBB\n.BBe#BBBB\n#BBBBBBBB\nBBBYYBBBB\n..YYYBBB."),
    "howling": (1, 1, "..#......\n..BBB....\n.YBBBB...\n.#YBBBBB.\n...B#BBBB\n..YBBBBBB\n...YBBBBB\n...YYBBBB"),
    "snarling": (1, 3, "...B..B..\n...BBBBB.\n.BBBe#BBB\n#BBBBBBBB\nBBBBBBBBB\nw#w#YBBBB\n.YYYYYBB."),
}
WOLF_BODIES = {
    "standing": "...BBBBBBBB.\n..YBBBBBBBB.\n..YYBBBBBBB.\n..YYBBBBBBB.\n...BYYYYBBB.\n...BD...BBD.\n...BD...DBD.\n..BBD..BBDD.",
    "running": "...BBBBBBBB.\n..YBBBBBBBB.\n..YYBBBBBBB.\n..YYBBBBBBBB\n..BBYYYYBBBB\n.BBDD....BBD\nBB.DD...D.BB\nB..D...DD.B.",
    "sitting": "...BBBBB....\n..YBBBBBB...\n..YYBBBBBB..\n..YYBBBBBBB.\n...BYBBBBBB.\n...BDBBBBBB.\n...BDBBBBBB.\n..BBDBBBBBB.",
}
WOLF_TAILS = {
    "raised": "...B\n..BB\n.BBB\n.BB.\nBB..",
    "bushy": "....\n....\n.BB.\nBBBB\nBBBB\n..BY",
    "hanging": "....\n....\nBB..\nBBB.\n.BBB\n..BB\n..BB\n..Y.",
}


def wolf(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "grey", "steel", "white", "brown", "tan", "black", "blue")
    _, fur = _colour(rng, *[n for n in ("white", "tan", "grey") if n != colour])
    eye_colour, eye = _colour(rng, "yellow", "red", "sky", "lime")
    head, (x, y, head_art) = _pick(rng, WOLF_HEADS)
    pose, body = _pick(rng, WOLF_BODIES)
    tail, tail_art = _pick(rng, WOLF_TAILS)
    flip = rng.random() < 0.5
    _paint(c, tail_art, {"B": ramp, "Y": fur}, x=11, y=5 + 2 * (pose == "sitting"), flip=flip)
    _paint(c, body, {"B": ramp, "Y": _paler(fur), "D": _darker(ramp)}, x=2, y=7, flip=flip)
    _paint(c, head_art, {"B": ramp, "Y": _paler(fur), "e": eye}, x=x, y=y, flip=flip)
    return Look(
        _caption(_a(f"{head} {colour} wolf {pose}"), f"{_a(tail)} tail", f"{eye_colour} eyes"),
        parts={"head": head, "pose": pose, "tail": tail, "facing": _facing(flip)},
        colours={"fur": colour, "eyes": eye_colour},
    )


# --- rat --------------------------------------------------------------------------------------------------------------

RAT_BODIES = {
    "crouching": "......BBBBB...\n.....BBBBBBB..\n..BBBBBBBBBB..\n.BBe#BBBBBBBB.\nPBBBBBBBBBBBB.\n.BBYYYBBBBBB..\n..w.YYYYBBBB..\n...PP...PPP...",
    "creeping": "..............\n.....BBBBBBB..\n..BBBBBBBBBBB.\n.BBe#BBBBBBBB.\nPBBBBBBBBBBBB.\n.BBYYYYYBBBB..\n..w..YYYBBB...\n...PP....PPP..",
    "hunched": ".....BBBBB....\n....BBBBBBB...\n..BBBBBBBBBB..\n.BBe#BBBBBBB..\nPBBBBBBBBBBB..\n.BBYYBBBBBBB..\n..wYYYBBBBBB..\n...PPYYBPPP...",
}
RAT_EARS = {
    "round": ".BBB.\nBBPPB\nBBPPB\n.BBB.",
    "pointed": "B..B.\nBPBB.\nBPPB.\n.BB..",
    "huge": "BBBB.\nBPPBB\nBPPPB\n.BPPB\n..BB.",
}
RAT_TAILS = {
    "curled": ".pp.\np..p\n...p\n..pq\n.pq.\npq..",
    "raised": "..pp\n.p..\n.p..\n.pp.\n..q.\n.qq.\nqq..",
    "low": "....\n....\n....\n...p\n..pp\nqqq.",
}


def rat(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "brown", "grey", "black", "tan", "white", "purple")
    _, belly = _colour(rng, *[n for n in ("white", "tan", "grey") if n != colour])
    eye_colour, eye = _colour(rng, "red", "white", "yellow")
    pose, body = _pick(rng, RAT_BODIES)
    ears, ear = _pick(rng, RAT_EARS)
    tail, tail_art = _pick(rng, RAT_TAILS)
    flip = rng.random() < 0.5
    pink = RAMPS["pink"]
    _paint(c, tail_art, {"p": pink[1:3] + pink[2:] }, x=11, y=14 - len(tail_art.split("\n")), flip=flip)
    _paint(c, body, {"B": ramp, "Y": belly, "P": pink, "e": eye}, y=7, flip=flip)
    _paint(c, ear, {"B": ramp, "P": pink}, x=4, y=5, flip=flip)
    return Look(
        _caption(_a(f"{pose} {colour} rat"), f"{ears} ears", f"a {tail} tail"),
        parts={"pose": pose, "ears": ears, "tail": tail, "facing": _facing(flip)},
        colours={"fur": colour, "eyes": eye_colour},
    )


# --- goblin -----------------------------------------------------------------------------------------------------------

GOBLIN_EARS = {
    "raised": "B......\nBB.BBBB\n.BBBBBB\n.BBBBBB\n..BBBBB\n...BBBB\n....BBB",
    "level": "....BBB\n...BBBB\nBBBBBBB\n.BBBBBB\n..BBBBB\n...BBBB\n....BBB",
    "drooping": "....BBB\n...BBBB\n..BBBBB\n.BBBBBB\nBBBBBBB\nBB.BBBB\n....BBB",
}
GOBLIN_FACES = {
    "grinning": "#....#\ny#..#y\n..22..\n#wwww#\n.####.",
    "angry": "##..##\ny#..#y\n..22..\n.####.\n.w..w.",
    "sly": "......\n##..##\ny#22y#\n..22..\n..####",
    "shouting": "yy..yy\ny#..#y\n..22..\n.w##w.\n.####.",
}
GOBLIN_ITEMS = {
    "a club": (".ab\nabb\nabc\n.bc\n.c.", "brown"),
    "a dagger": (".a.\n.b.\n.b.\nppp\n.p.", "steel"),
    "a torch": (".x.\nxyx\n.y.\n.p.\n.p.", "brown"),
    "a sack": ("...\n.p.\naab\nabb\nbbc", "tan"),
    "": ("", "brown"),
}
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
    shirt_colour, shirt = _colour(rng, "brown", "red", "purple", "tan", "blue")
    ears, half = _pick(rng, GOBLIN_EARS)
    face, face_art = _pick(rng, GOBLIN_FACES)
    item, (item_art, item_ramp) = _pick(rng, GOBLIN_ITEMS)
    flip = rng.random() < 0.5
    _paint(c, GOBLIN_BODY, {"B": ramp, "T": shirt, "K": RAMPS["black"]}, y=9)
    _paint(c, _sym(half), {"B": ramp}, y=3)
    _paint(c, face_art, {"y": RAMPS["yellow"], "1": ramp}, x=5, y=5)
    hood = rng.choice(["bald", "hood", "tuft"])
    if hood == "hood":
        _paint(c, "..HHHH..\n.HHHHHH.\nHHHHHHHH", {"H": shirt}, x=4, y=2)
    elif hood == "tuft":
        _paint(c, ".h.h\nhhi.\n.ii.", {"h": RAMPS["red"]}, x=6, y=1)
    _paint(c, item_art, {"a": RAMPS[item_ramp], "p": RAMPS["brown"], "x": RAMPS["orange"]}, x=1, y=8, flip=flip)
    return Look(
        _caption(_a(f"{face} {colour} goblin"), f"{ears} ears", item),
        parts={"ears": ears, "face": face, "item": item or "none", "head": hood},
        colours={"skin": colour, "shirt": shirt_colour},
    )


# --- orc --------------------------------------------------------------------------------------------------------------

ORC_BODY = """
..............
....BBBBBB....
....BBBBBB....
....BBBBBB....
.AABBBBBBBBCC.
AAABBBBBBBBCCC
AAATTTTTTTTCCC
AAATTTTTTTTCCC
AAA.TTTTTT.CCC
.AA.KKKKKK.CC.
AAA.PPPPPP.CCC
AAA.PPPPPP.CCC
.A..PPPPPP..C.
...BBBB.BBBB..
"""
ORC_HEADS = {
    "a topknot": "..##..\n..##..\n..##..",
    "a mohawk": "..hh..\n..hi..\n..ii..",
    "a horned helmet": "a....b\nbmmnnc\nmmmnno",
    "bald": "",
}


def orc(c: Canvas, rng: Random) -> Look:
    colour, ramp = _colour(rng, "green", "teal", "grey")
    _paint(c, ORC_BODY, {"B": ramp, "A": ramp, "C": _darker(ramp), "T": RAMPS["brown"], "K": RAMPS["gold"], "P": RAMPS["tan"]})
    _paint(c, "#....#\nr#..#r\n......\nw####w\nw....w", {"r": RAMPS["red"]}, x=5, y=3)
    return Look("an orc")


KINDS: dict[str, Callable[[Canvas, Random], Look]] = {
    kind.__name__: _tidy(kind)
    for kind in (slime, bat, ghost, dragon, skeleton, spider, mushroomling, snake, wolf, rat, goblin, orc)
}

"""Heroes in profile (class side-facing): twelve professions looking to the right, one function each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import numpy as np

from data.sprite_art.canvas import OUTLINE, RAMPS, SIZE, Canvas, Colour, Look, Ramp, box, line

# Everybody stands on the same frame: headgear in rows 1 to 5, the eye in rows 6 and 7, the chin in row 8, the trunk in
# rows 9 to 11, the legs down to row 14. The nose is in column 10, the hand in column 12, hair and cloaks in 1 to 4.
# In the templates digits are the main material, a to e usually wood, leather or hair, A to E gold, P to T free.

LIGHT_SKINS = ["pale skin", "tan skin"]  # brown hair stands out only against these
SKINS = [*LIGHT_SKINS, "brown skin", "dark skin"]
HAIR_WORDS = {
    "blond hair": "blond",
    "red hair": "red-haired",
    "brown hair": "brown-haired",
    "black hair": "black-haired",
    "grey hair": "grey-haired",
}
GOLD, STEEL, WOOD, CLOTH = RAMPS["gold"], RAMPS["steel"], RAMPS["brown"], RAMPS["white"]
CORNERS = box(1, 1, 1, 1) | box(14, 1, 14, 1) | box(1, 14, 1, 14) | box(14, 14, 14, 14)
Placed = tuple[str, int, int]  # a template, the column and the row of its upper left corner


@dataclass(frozen=True)
class Person:
    """Skin, hair colour, hair style and beard of one hero, by name."""

    skin: str
    hair: str
    style: str
    beard: str

    @property
    def word(self) -> str:
        return HAIR_WORDS[self.hair]


def _person(rng: Random, styles: str, beards: str = "") -> Person:
    """A random person: a hair style of ``styles``, and with short hair perhaps a beard of ``beards``."""
    style = rng.choice(styles.split())
    beard = rng.choice(["no", *beards.split()]) if style in ("short", "bald") else "no"
    skin = rng.choice(SKINS)
    hairs = [hair for hair in HAIR_WORDS if hair != "brown hair" or skin in LIGHT_SKINS]
    return Person(skin, rng.choice(hairs), style, beard)


def _a(text: str) -> str:
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def _with(item: str) -> str:
    """The end of a caption: how the item is carried."""
    tool = item.removeprefix("shouldered ")
    return f"with {_a(tool)}" + (" over the shoulder" if tool != item else "")


def _put(c: Canvas, placed: Placed, legend: dict[str, Ramp | Colour]) -> None:
    art, x, y = placed
    c.stamp(art, legend, x=x, y=y)


# --- head -------------------------------------------------------------------------------------------------------------

FACE = """
.12222.
122222.
122222.
122w#2.
1232#22
.23333."""

HAIR_TOP = """
..abbb..
.abbbbb
abbbbbc."""

HAIR: dict[str, Placed] = {
    "short": (".bb\nbbc\nbc\n.c", 3, 5),
    "long": (
        """
..bbb
..bbc
.abbc
.bbbc
abbcc
bbcc.
bcd..
.d...""",
        1,
        5,
    ),
    "ponytail": (
        """
..abb
aPbbc
bbPcc
bbc..
bc...
bc...
.d...""",
        1,
        5,
    ),
    "braid": (
        """
..bbb
..abb
..bbc
.abc.
.bcc.
.abc.
.bcd.
.PQ..
.bd..""",
        1,
        5,
    ),
    "bun": (
        """
..bbb
abbbc
bbPc.
bcc..""",
        1,
        5,
    ),
    "curls": (
        """
.abbb
.bbbc
abbbc
bbccb
bcbcc
.cdc.""",
        1,
        5,
    ),
}

BEARDS: dict[str, Placed] = {
    "moustache": ("bbb", 8, 8),
    "goatee": ("..b\n.bc\n.c.", 8, 8),
    "full": ("b....\nbb.ab\nbbbbb\n.bbc.", 6, 7),
    "long": ("b....\nbb.ab\nbbbbb\n.abbc\n.abc.\n..bc.\n..c..", 6, 7),
    "braided": ("b....\nbb.ab\nbbbbc\n.abc.\n..A..\n..bc.\n..c..", 6, 7),
}


def _head(c: Canvas, who: Person, ribbon: str = "red") -> None:
    skin, hair = RAMPS[who.skin], {"a": RAMPS[who.hair], "P": RAMPS[ribbon], "A": GOLD}
    c.stamp(FACE, {"1": skin}, x=4, y=3)
    if who.style != "bald":
        c.stamp(HAIR_TOP, hair, x=3, y=3)
        _put(c, HAIR[who.style], hair)
    if who.beard != "no":
        _put(c, BEARDS[who.beard], hair)


# --- body -------------------------------------------------------------------------------------------------------------

LEGS: dict[str, Placed] = {
    "striding": ("..44222.\n.44..22.\ndd...abb", 3, 12),
    "walking": (".44222.\n.44.22.\n.dd.abb", 4, 12),
    "running": ("..44222.\ndd4..22.\nd....abb", 3, 12),
    "stepping": (".4422...\n.44.22ab\n.dd..bb.", 4, 12),
}
POSES = list(LEGS)

# Trunks, columns 4 to 8: 1 to 5 the shirt, P to T what is worn over it, a to e the belt.
TORSOS: dict[str, str] = {
    "plain": "12223\n12223\nbbbcc",
    "tabard": "12PQ3\n1PQQ3\nPQQR3",
    "striped": "PPQQR\n11223\nPPQQR",
    "bib": "1PQ23\n1PQQQ\nPPQQR",
    "vest": "PP123\nPPQ13\nbbbcc",
    "furs": "PPPQR\n11223\nbbAcc",
    "jacket": "11122\n11212\n12223",
}

ROBES: dict[str, str] = {
    "straight": """
.12223..
.12223..
.12233..
.122233.
.122334.
.PPQQQR.""",
    "flared": """
.12223..
.12223..
.122233.
1222233.
1222334.
PPQQQQRR""",
    "sweeping": """
.12223..
.12223..
.122233.
1222233.
12223344
PQ.QQQRR""",
}

CLOAKS: dict[str, Placed] = {
    "flying": ("....12\n.11222\n112223\n222334\n.4..44", 1, 8),
    "hanging": ("..12\n.122\n.123\n.223\n1223\n2234", 2, 9),
    "billowing": ("...12\n..122\n.1223\n12233\n22334\n.344.", 1, 9),
}


def _legs(c: Canvas, rng: Random, trousers: str, boots: str) -> str:
    pose = rng.choice(POSES)
    _put(c, LEGS[pose], {"1": RAMPS[trousers], "a": RAMPS[boots]})
    return pose


def _torso(c: Canvas, cut: str, cloth: str, over: str = "brown", belt: str = "brown") -> None:
    c.stamp(TORSOS[cut], {"1": RAMPS[cloth], "P": RAMPS[over], "a": RAMPS[belt], "A": GOLD}, x=4, y=9)


def _robe(c: Canvas, rng: Random, cloth: str, trim: str) -> str:
    cut = rng.choice(list(ROBES))
    c.stamp(ROBES[cut], {"1": RAMPS[cloth], "P": RAMPS[trim]}, x=3, y=9)
    return cut


def _cloak(c: Canvas, rng: Random, cloth: str) -> str:
    cut = rng.choice(list(CLOAKS))
    _put(c, CLOAKS[cut], {"1": RAMPS[cloth]})
    return cut


def _arm(c: Canvas, sleeve: str, hand: str, row: int, end: int = 12) -> None:
    """The near arm, from the shoulder to a hand that ends in column ``end``, row ``row`` (9 to 11)."""
    c.stamp("12\n23", {"1": RAMPS[sleeve]}, x=6, y=9)
    c.fill(box(7, row, end - 2, row), RAMPS[sleeve], 1)
    c.fill(box(7, row + 1, end - 2, row + 1), RAMPS[sleeve], 3)
    c.stamp("12", {"1": RAMPS[hand]}, x=end - 1, y=row)


def _tidy(c: Canvas) -> None:
    """Clear the frame's corners and darken single empty pixels that outlines, or outline and border, would shut in."""
    c.erase(CORNERS)
    for _ in range(2):  # closing one gap can shut in its neighbour
        inked = np.pad(c.filled, 1)
        inked = inked[:-2, 1:-1] | inked[2:, 1:-1] | inked[1:-1, :-2] | inked[1:-1, 2:] | c.filled
        around = np.pad(inked, 1, constant_values=True)
        shut = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:] & ~inked
        for y, x in np.clip(np.argwhere(shut), 1, SIZE - 2).tolist():
            c.fill(box(x, y, x, y), (OUTLINE,), 0)


# --- things to carry --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A template, the row of it gripped (None: a pole from row 1 down), its first and the hand's last column."""

    art: str
    grip: int | None = None
    x: int = 11
    hand: int = 12


POLE = "\n.b" * 9

ITEMS: dict[str, Item] = {
    "sword": Item(".1.\n.12\n.12\n.12\n.12\nAABC\n.b.\n.B.", 6),
    "broadsword": Item("..1.\n.122\n.122\n.122\n.123\nAABBC\n.bc\n.AB", 6, 10),
    "lance": Item("..1\n.12\n.12\n.12\n.ab" + POLE),
    "banner": Item(".A\n.bPP\n.bPQ\n.bQQ\n.bR" + POLE),
    "axe": Item(".a12\n1b12\n1b12\n.b23\n.b\n.b\n.b\n.b\n.c", 5),
    "double axe": Item("12a23\n12b23\n12b23\n1.b.3\n..b\n..b\n..b\n..b\n..c", 5, 10),
    "hammer": Item("1122\n1223\n2233\n.b.\n.b.\n.b.\n.b.\n.c.", 6),
    "staff with an orb": Item(".PQ\nPPQR\nPQRS\n.RS\nAbB" + POLE),
    "staff with a crystal": Item(".P.\n.PQ\nPPQR\n.QR\nAbB" + POLE),
    "gnarled staff": Item(".bb\nbPQc\nbQRc\n.bc\n.b" + POLE),
    "flaming staff": Item("..P\n.PQ\nPPQR\n.11R\nABBC" + POLE),
    "bow": Item("b..\n1b.\n1.b\n1.b\n1.b\n1.c\n1.c\n1c.\nc..", 4),
    "longbow": Item("bb.\n1.b\n1..b\n1..b\n1..b\n1..b\n1..c\n1..c\n1.c\ncc.", 5, 11, 13),
    "bow and arrow": Item("b...\n.b..\n..b.\n..b.\n11b1\n..c.\n..c.\n.c..\nc...", 4),
    "dagger": Item(".1.\n.12\n.12\nAAB\n.b.\n.B.", 4),
    "drawn dagger": Item("A...\nA112\nB", 1, 11, 10),
    "curved dagger": Item("..1.\n..12\n.12\n.12\nAB.\n.b.", 5),
    "cross staff": Item(".A\n.A\nAAB\n.B\n.B" + POLE.replace("b", "B")),
    "chalice": Item("A11B\nAABC\nABBC\n.BC\n.B\nABBC", 4, 11, 11),
    "sun staff": Item("A.A.B\n.AAB\nAA1BB\n.ABB\nA.B.B" + POLE.replace(".b", "..B"), None, 10),
    "book": Item("PPQQ\nPAQR\nAAAR\nPAQR\n1111", 2, 11, 11),
    "sceptre": Item(".PQ\n.QR\nAABC\n.A.\n.A.\n.A.\n.B.\n.B.\n.B.\n.C.", 6),
    "orb": Item(".A.\nAAB\n.PQ\nPPQR\nPQRS\n.RS", 5, 11, 13),
    "cutlass": Item("1...\n112.\n.112\n.112\n.12.\nAABB\n.b.B\n.B..", 6),
    "sabre": Item("...1\n..12\n..12\n.12\n.12\nAAB.\n.bB\n.B", 6),
    "katana": Item("...1\n...1\n..12\n..12\n.12.\n.12.\nABC.\n.d..\nd...", 7),
    "throwing star": Item(".1.\n1#2\n.2.", 1, 12, 11),
    "straight katana": Item(".1\n.12\n.12\n.12\n.12\n.12\nABC\n.d\n.d", 7),
    "pitchfork": Item("1.1.1\n1.1.2\n11122\n..b\n..b" + POLE.replace(".b", "..b"), None, 10),
    "hoe": Item(".a12\n.b.2\n.b.3\n.b\n.b" + POLE),
    "shovel": Item(".12\n1122\n1223\n.23\n.b" + POLE),
    "ladle": Item("1112\n1223\n.23.\n.2..\n.2..\n.3..\n.3..", 5),
    "wooden spoon": Item(".ab\nabbc\nabbc\n.bc.\n.b.\n.b.\n.c.", 5),
    "pan": Item(".45\n4445\n4345\n4455\n.5.\n.a.\n.b.\n.c.", 6),
    "cleaver": Item(".122\n.122\n.122\n.223\n.a.\n.b.\n.c.", 5),
    "pickaxe": Item(".12\n.b12\n1b.2\n2b.3\n.b\n.b\n.b\n.b\n.c", 5),
}

# Tools over the shoulder, head to the left; the handle reaches through behind the figure to the hand.
SHOULDERED: dict[str, Placed] = {
    "pickaxe": ("..1122\n.12...\n12b...\n12.b..\n2...b.\n2....b", 1, 2),
    "axe": ("..12\n.122\n122b\n123.b\n.3..b\n.....b", 1, 3),
    "hoe": ("..1b\n.12.b\n12..b\n2....b", 1, 4),
    "pitchfork": ("1122.\n...2.\n1122b\n...3.\n1123.b", 1, 2),
}


def _shoulder(c: Canvas, name: str, sleeve: str, hand: str) -> None:
    """Move the figure to the right and put the named tool behind it, over the shoulder."""
    _arm(c, sleeve, hand, 10, 10)
    c.rgb, c.filled = np.roll(c.rgb, 3, axis=1), np.roll(c.filled, 3, axis=1)
    back = Canvas()
    back.fill(line((6, 7), (14, 12)), WOOD, 2)
    _put(back, SHOULDERED[name], {"1": STEEL, "a": WOOD})
    new = back.filled & ~c.filled
    c.rgb[new] = back.rgb[new]
    c.filled |= new


def _hold(c: Canvas, name: str, row: int, sleeve: str, hand: str, extra: str = "red") -> None:
    """Draw the named item and the near arm that holds it in front or, if "shouldered", over the shoulder."""
    if name.startswith("shouldered "):
        _shoulder(c, name.removeprefix("shouldered "), sleeve, hand)
        return
    item = ITEMS[name]
    top = 1 if item.grip is None else row - item.grip
    c.stamp(item.art, {"1": STEEL, "a": WOOD, "A": GOLD, "P": RAMPS[extra]}, x=item.x, y=top)
    _arm(c, sleeve, hand, row, item.hand)


# --- knight -----------------------------------------------------------------------------------------------------------

HELMETS: dict[str, Placed] = {
    "pointed": (".11223..\n1112233.\n1112233.\n12A#####\n11222333\n.122334.", 4, 3),
    "flat": (".11222.\n1112223\n1112223\nAAB####\n1122233\n1122334", 4, 3),
    "open": (".11222..\n11122333\n11233444\n1A.....\n12.....\n.1233..", 4, 3),
}
PLUMES: dict[str, Placed] = {
    "sweeping": ("...PPQQ\n.PPQQQRR\nPQQRR...\nQQR.....\nQR\nR", 1, 1),
    "tall": (".PPQ..\nPQQQRQ\nQR.QRR\nR..", 3, 1),
    "long": (".....PP\n..PPQQQR\n.PQQRR\nPQQR\nPQR\nQQR\nQR\n.R", 1, 1),
}
SHIELDS: dict[str, Placed] = {
    "kite shield": ("AAAAB\nAPPQB\nAPAQB\nAQARB\n.BRB\n..B", 7, 8),
    "round shield": (".111.\n1PPQ2\n1PAQ2\n1QQR2\n.222", 7, 9),
}


def knight(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short")
    colour = rng.choice(["red", "blue", "green", "purple", "orange", "magenta", "teal"])
    metal = rng.choice(["steel", "steel", "steel", "gold", "black"])
    helmet, plume = rng.choice(list(HELMETS)), rng.choice(list(PLUMES))
    item, shield = (
        rng.choice(["sword", "broadsword", "lance", "banner"]),
        rng.choice(["no", *SHIELDS]),
    )
    pose = _legs(c, rng, metal, metal)
    _torso(c, rng.choice(["plain", "tabard"]), metal, colour, colour)
    _head(c, who)
    _put(c, PLUMES[plume], {"P": RAMPS[colour]})
    _put(c, HELMETS[helmet], {"1": RAMPS[metal], "A": GOLD})
    _hold(c, item, rng.choice([9, 10]), metal, metal, colour)
    if shield != "no":
        _put(
            c,
            SHIELDS[shield],
            {"1": STEEL, "P": RAMPS[colour], "A": STEEL if metal == "gold" else GOLD},
        )
    _tidy(c)
    carried = _a(item) + (f" and {_a(shield)}" if shield != "no" else "")
    return Look(
        f"a knight in {metal} armour with {_a(colour)} plume, in profile, with {carried}",
        {"helmet": helmet, "plume": plume, "pose": pose, "item": item, "shield": shield},
        {"armour": metal, "plume": colour},
    )


# --- wizard -----------------------------------------------------------------------------------------------------------

WIZARD_HATS: dict[str, Placed] = {
    "drooping": (".PPP.......\nPQRQQQ.....\nR..PQQQR...\n...AAABBB..\n.PQQQQQQRRR", 1, 1),
    "swept back": ("PPP........\n.PQQQQ.....\n..QPQQQR...\n...AAABBB..\n.PQQQQQQRRR", 1, 1),
    "crumpled": ("..PPP......\n.PQRRQ.....\n.R.PQQRR...\n..PPQQQQR..\n.AAAAAABBBB", 1, 1),
    "tall": ("....PP.....\n...PQQR....\n...PAQQR...\n..PPQQQQR..\nPPQQQQQQRRR", 1, 1),
}


def wizard(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short long braid curls", "long long full braided")
    colour = rng.choice(["blue", "purple", "red", "green", "teal", "magenta", "sky-blue"])
    hat, gem = (
        rng.choice(list(WIZARD_HATS)),
        rng.choice(["sky-blue", "red", "lime", "magenta", "yellow"]),
    )
    item = rng.choice(["staff with an orb", "staff with a crystal", "gnarled staff", "flaming staff"])
    robe = _robe(c, rng, colour, rng.choice(["gold", colour, "white"]))
    _head(c, who)
    _put(c, WIZARD_HATS[hat], {"P": RAMPS[colour], "A": GOLD})
    _hold(
        c,
        item,
        rng.choice([9, 10, 11]),
        colour,
        who.skin,
        "orange" if item == "flaming staff" else gem,
    )
    _tidy(c)
    beard = "" if who.beard == "no" else " bearded"
    return Look(
        f"a {who.word}{beard} wizard in {_a(colour)} robe, in profile, {_with(item)}",
        {"hat": hat, "robe": robe, "hair": who.style, "beard": who.beard, "item": item},
        {"robe": colour, "hair": who.hair, "skin": who.skin},
    )


# --- archer and rogue -------------------------------------------------------------------------------------------------

ARCHER_CAPS: dict[str, Placed] = {
    "cap": ("PP.......\n.PQQ112..\n..QQ12223.\n..1QR22233\n..334444455", 1, 1),
    "pointed cap": (".P........\n.PQ.......\n..QQ1222..\n.11QQ22223.\n.33344444455", 1, 1),
}
HOODS: dict[str, Placed] = {
    "hood": ("...1122..\n..112223.\n.11222223\n112233...\n11223....\n1223.....\n.2233....", 3, 2),
    "pointed hood": (
        "..11222..\n.11222223\n112222233\n112233...\n.1223....\n.1223....\n..2233...",
        2,
        2,
    ),
}
QUIVER = """
P.Q..
PQQ.
.abc.
.abbc
..bbc
..bcc
...c."""


def archer(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short long ponytail braid bun", "goatee full")
    colour = rng.choice(["green", "lime", "teal", "green", "red"])
    feather = rng.choice(["red", "yellow", "white", "sky-blue", "orange"])
    hat, item = rng.choice([*ARCHER_CAPS, "hood"]), rng.choice(["bow", "longbow", "bow and arrow"])
    pose = _legs(c, rng, rng.choice(["tan", "grey", "green"]), "brown")
    _torso(c, rng.choice(["plain", "vest"]), colour, "tan")
    _head(c, who, feather)
    c.stamp(QUIVER, {"P": RAMPS[feather], "a": RAMPS[rng.choice(["tan", "orange", "brown"])]}, x=1, y=6)
    _put(c, ARCHER_CAPS.get(hat, HOODS["hood"]), {"1": RAMPS[colour], "P": RAMPS[feather]})
    _hold(c, item, rng.choice([9, 10]), colour, who.skin)
    _tidy(c)
    return Look(
        f"a {who.word} archer in {_a(colour)} {hat}, in profile, {_with(item)}",
        {"hat": hat, "pose": pose, "hair": who.style, "beard": who.beard, "item": item},
        {"cap": colour, "feather": feather, "hair": who.hair, "skin": who.skin},
    )


MASK = "PPQQQ\n.PQQR"


def rogue(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short")
    colour = rng.choice(["black", "purple", "grey", "brown", "teal", "red"])
    mask = rng.choice([name for name in ("black", "red", "purple", "teal") if name != colour])
    hood, item = rng.choice(list(HOODS)), rng.choice(["dagger", "drawn dagger", "curved dagger"])
    cloak = _cloak(c, rng, colour)
    pose = _legs(c, rng, rng.choice(["black", "brown", "grey"]), "black")
    _torso(c, "vest", "black" if colour != "black" else "grey", colour)
    _head(c, who)
    c.stamp(MASK, {"P": RAMPS[mask][1:]}, x=6, y=7)
    _put(c, HOODS[hood], {"1": RAMPS[colour]})
    _hold(c, item, rng.choice([9, 10]), colour, who.skin)
    _tidy(c)
    return Look(
        f"a rogue in {_a(colour)} {hood} and {_a(mask)} mask, in profile, {_with(item)}",
        {"hood": hood, "cloak": cloak, "pose": pose, "item": item},
        {"hood": colour, "mask": mask, "skin": who.skin},
    )


# --- priest and monarch -----------------------------------------------------------------------------------------------

PRIEST_HATS: dict[str, Placed] = {
    "mitre": ("...11..\n..1112.\n.11C122\n11CCC22\nBBBBCCC\n1......\nB......", 3, 1),
    "cap": ("..1122.\n.111122\nAAAABBB", 3, 2),
    "veil": (
        "..1122..\n.1112223\n11122AAB\n1112A...\n1122B...\n1122B...\n11222...\n.1223...",
        2,
        2,
    ),
}


def priest(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short bald long bun", "full goatee long")
    colour = rng.choice(["red", "purple", "blue", "green", "sky-blue"])
    hat, item = (
        rng.choice(list(PRIEST_HATS)),
        rng.choice(["cross staff", "chalice", "sun staff", "book"]),
    )
    robe = _robe(c, rng, "white", "gold")
    c.stamp("..P\n.PQ\n.Q\n.Q\n.R", {"P": RAMPS[colour]}, x=6, y=9)
    _head(c, who)
    _put(c, PRIEST_HATS[hat], {"1": RAMPS["white"], "A": GOLD, "P": RAMPS[colour]})
    _hold(c, item, rng.choice([9, 10, 11]), "white", who.skin, colour)
    _tidy(c)
    return Look(
        f"a priest in a white and gold robe and {_a(hat)}, in profile, {_with(item)}",
        {"hat": hat, "robe": robe, "hair": who.style, "beard": who.beard, "item": item},
        {"stole": colour, "hair": who.hair, "skin": who.skin},
    )


CROWNS: dict[str, Placed] = {
    "open": ("A..A..B\nAA.AB.B\nAPABQBC\nAABBBBC", 3, 1),
    "velvet": ("..PAQ..\nA.PAQRB\nAPQAQRB\nAABBBBC", 3, 1),
    "tall": ("A.A.A.B\nAAABABB\nAPBQBPC\nABBBBCC", 3, 1),
}
CAPES: dict[str, Placed] = {
    "trailing": ("....PP\n...PQQ\n..PQQR\n.PPQQR\nPPQQRR\n11#1#1", 1, 9),
    "flowing": ("...PPP\n.PPQQR\n1PQQRR\n1#QQRR\n.1#QRR\n..1#11", 1, 9),
    "long": ("...PPQ\n..PPQR\n..PQQR\n.PPQQR\n.PQQRR\n1#1#12", 1, 9),
}


def monarch(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short curls braid bun", "full full moustache")
    cape = rng.choice(["red", "purple", "blue", "green"])
    colour = rng.choice(["teal", "sky-blue", "pink", "white", "lime"])
    crown, item = rng.choice(list(CROWNS)), rng.choice(["sceptre", "orb", "sword"])
    cut = rng.choice(list(CAPES))
    robe = _robe(c, rng, colour, "gold")
    _put(c, CAPES[cut], {"P": RAMPS[cape], "1": CLOTH})
    _head(c, who, cape)
    c.stamp("1111#\n.1#112", {"1": CLOTH}, x=4, y=8)
    _put(c, CROWNS[crown], {"A": GOLD, "P": RAMPS[cape]})
    _hold(c, item, 10, colour, who.skin, cape)
    _tidy(c)
    title = "queen" if who.style != "short" else "king"
    return Look(
        f"a {who.word} {title} with a crown and {_a(cape)} cape, in profile, {_with(item)}",
        {
            "crown": crown,
            "robe": robe,
            "cape": cut,
            "hair": who.style,
            "beard": who.beard,
            "item": item,
        },
        {"cape": cape, "robe": colour, "hair": who.hair, "skin": who.skin},
    )


# --- viking and pirate ------------------------------------------------------------------------------------------------

HORNED: dict[str, Placed] = {
    "upright": ("P.........P\nPQ..122..PQ\nQQR11222PQQ\n.QR112223R.\n..AAABBBBC.", 1, 1),
    "curved": (".P.......P.\nPQ..122..PQ\nPQR11222PQR\n.QQ112223Q.\n..AAABBBBC.", 1, 1),
    "short": ("...........\n.P..122..P.\n.PQ11222PQ.\n..Q112223..\n..AAABBBBC.", 1, 1),
}


def viking(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short short braid long", "full braided long")
    if who.style == "short" and who.beard == "no":
        who = replace(who, beard="full")
    colour, fur = (
        rng.choice(["red", "blue", "green", "tan", "teal"]),
        rng.choice(["brown", "grey", "tan"]),
    )
    horns, item = (
        rng.choice(list(HORNED)),
        rng.choice(["axe", "double axe", "hammer", "shouldered axe"]),
    )
    pose = _legs(c, rng, rng.choice(["brown", "grey", "tan"]), fur)
    _torso(c, "furs", colour, fur)
    _head(c, who, colour)
    _put(c, HORNED[horns], {"1": STEEL, "A": GOLD, "P": RAMPS["tan"]})
    _hold(c, item, rng.choice([10, 11]), colour, who.skin)
    _tidy(c)
    return Look(
        f"a {who.word} viking in a horned helmet, in profile, {_with(item)}",
        {"horns": horns, "pose": pose, "hair": who.style, "beard": who.beard, "item": item},
        {"tunic": colour, "fur": fur, "hair": who.hair, "skin": who.skin},
    )


PIRATE_HATS: dict[str, Placed] = {
    "tricorn": ("...1122....\nA.112222..A\n1A122223.AB\n11AAAABBB22\n.1222233333", 2, 1),
    "long bandana": (
        "...PPQQQ..\n..PPQQPQQ.\n..PQQQQQQR\nPPQRRRRRRR\nQRQ.......\nR.QR......\n..R",
        1,
        2,
    ),
    "bandana": ("....PPQQ..\n...PPQPQQ.\n..PPQQQQQR\nPPQRRRRRRR\n.QR.......\nQR........", 1, 2),
    "feathered tricorn": ("PPP.122....\nQQPPP222..A\n.RQQPP23.AB\n11AQQABBB22\n.1222233333", 2, 1),
}


def pirate(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short long braid curls", "full goatee moustache")
    colour = rng.choice(["red", "blue", "purple", "green"])
    hat, item = rng.choice(list(PIRATE_HATS)), rng.choice(["cutlass", "sabre"])
    patch, felt = rng.random() < 0.5, rng.choice(["black", "black", "brown", "blue"])
    pose = _legs(c, rng, rng.choice(["brown", "black", "tan", "blue"]), "black")
    _torso(c, "striped", "white", colour)
    _head(c, who, colour)
    if patch:
        c.stamp("#..\n.##\n.##", {}, x=6, y=5)
    _put(c, PIRATE_HATS[hat], {"1": RAMPS[felt], "A": GOLD, "P": RAMPS[colour]})
    _hold(c, item, rng.choice([9, 10]), "white", who.skin)
    _tidy(c)
    return Look(
        f"a {who.word} pirate in a {hat}{' with an eye patch' if patch else ''}, in profile, {_with(item)}",
        {
            "hat": hat,
            "patch": str(patch).lower(),
            "pose": pose,
            "hair": who.style,
            "beard": who.beard,
            "item": item,
        },
        {"shirt": colour, "hair": who.hair, "skin": who.skin},
    )


# --- ninja ------------------------------------------------------------------------------------------------------------

NINJA_WRAP = """
.11222.
1112223
1122223
122...
1222...
.122233"""
HEADBANDS: dict[str, Placed] = {
    "flying": ("PP........\n.QQPPPQQQQR\nPQRR......\n", 1, 4),
    "waving": (".PP.......\nPQQPPPQQQQR\nR.QQ......\n.QR", 1, 4),
    "drooping": ("..PPPPQQQQR\n.PQQ.\nPQPQ\nQ.QR\n..R", 1, 5),
}


def ninja(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "bald")
    colour = rng.choice(["black", "blue", "purple", "grey", "red", "green"])
    band = rng.choice([name for name in ("red", "yellow", "sky-blue", "lime", "orange") if name != colour])
    tails, item = (
        rng.choice(list(HEADBANDS)),
        rng.choice(["katana", "straight katana", "throwing star"]),
    )
    pose = _legs(c, rng, colour, colour)
    _torso(c, "plain", colour, belt=band)
    scabbard = rng.random() < 0.5
    if scabbard:
        c.stamp("..ab\n.bb\ncc", {"a": WOOD}, x=1, y=11)
    _head(c, who)
    c.stamp(NINJA_WRAP, {"1": RAMPS[colour]}, x=4, y=3)
    _put(c, HEADBANDS[tails], {"P": RAMPS[band]})
    _hold(c, item, rng.choice([9, 10, 11]), colour, colour, band)
    _tidy(c)
    return Look(
        f"a ninja in {colour} with {_a(band)} headband, in profile, {_with(item)}",
        {"headband": tails, "pose": pose, "scabbard": str(scabbard).lower(), "item": item},
        {"clothes": colour, "headband": band, "skin": who.skin},
    )


# --- farmer, chef and miner -------------------------------------------------------------------------------------------

STRAW_HATS: dict[str, Placed] = {
    "wide": ("....1122...\n...112223..\n...PPQQQR..\n11222222333", 1, 2),
    "drooping": ("....1122...\n...112223..\n..1PPQQQR3.\n12222222333\n1.........4", 1, 2),
    "tall": (".....112...\n....11223..\n...112223..\n...PPQQQR..\n11222222333", 1, 1),
}


def farmer(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short long ponytail braid", "full goatee moustache")
    colour = rng.choice(["red", "green", "yellow", "white", "orange", "pink"])
    denim = rng.choice(["blue", "blue", "sky-blue", "brown"])
    hat = rng.choice(list(STRAW_HATS))
    item = rng.choice(["pitchfork", "hoe", "shovel", "shouldered pitchfork", "shouldered hoe"])
    pose = _legs(c, rng, denim, "brown")
    _torso(c, "bib", colour, denim)
    _head(c, who, colour)
    _put(c, STRAW_HATS[hat], {"1": RAMPS["yellow"], "P": RAMPS[colour]})
    _hold(c, item, rng.choice([9, 10, 11]), colour, who.skin)
    _tidy(c)
    return Look(
        f"a {who.word} farmer in a straw hat and {denim} dungarees, in profile, {_with(item)}",
        {"hat": hat, "pose": pose, "hair": who.style, "beard": who.beard, "item": item},
        {"shirt": colour, "dungarees": denim, "hair": who.hair, "skin": who.skin},
    )


CHEF_HATS: dict[str, Placed] = {
    "puffy": ("..11122.\n.1112122\n.1112123\n..122233\n..11223.", 3, 1),
    "tall": ("..111222\n..112123\n..112123\n..112123\n..223334", 3, 1),
    "leaning": (".11112..\n11121222\n11212223\n.2212233\n..11223.", 2, 1),
}


def chef(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short short ponytail bun braid", "moustache moustache goatee")
    colour = rng.choice(["red", "blue", "green", "orange", "purple"])
    trousers = rng.choice(["black", "grey", "blue", "brown"])
    hat, item = rng.choice(list(CHEF_HATS)), rng.choice(["ladle", "wooden spoon", "pan", "cleaver"])
    pose = _legs(c, rng, trousers, "black")
    _torso(c, "jacket", "white")
    apron = rng.choice(["white", "white", colour])
    c.stamp("1122\n.123", {"1": RAMPS[apron]}, x=6, y=12)
    _head(c, who, colour)
    c.stamp("PPQQR\n..Q", {"P": RAMPS[colour]}, x=5, y=9)
    _put(c, CHEF_HATS[hat], {"1": RAMPS["white"]})
    _hold(c, item, rng.choice([9, 10]), "white", who.skin)
    _tidy(c)
    return Look(
        f"a {who.word} chef in a {hat} white hat and {_a(colour)} neckerchief, in profile, {_with(item)}",
        {"hat": hat, "pose": pose, "hair": who.style, "beard": who.beard, "item": item},
        {
            "neckerchief": colour,
            "apron": apron,
            "trousers": trousers,
            "hair": who.hair,
            "skin": who.skin,
        },
    )


MINER_HELMETS: dict[str, Placed] = {
    "round": ("..1122..\n.111223\n.11222AwA\n111222wwB\n122223333", 3, 1),
    "ridged": ("...1112.\n.1122223\n.11222AwA\n.11222wwB\n122223333", 3, 1),
    "low": ("..11122\n.11222AwA\n111222wwB\n122223333", 3, 2),
}


def miner(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short long ponytail braid", "full full moustache")
    helmet = rng.choice(["yellow", "yellow", "orange", "red", "sky-blue", "lime"])
    colour = rng.choice(["grey", "red", "tan", "teal", "sky-blue"])
    shape, item = rng.choice(list(MINER_HELMETS)), rng.choice(["pickaxe", "shouldered pickaxe"])
    pose = _legs(c, rng, rng.choice(["brown", "grey", "blue"]), "black")
    _torso(c, "vest", colour, helmet)
    _head(c, who, helmet)
    _put(c, MINER_HELMETS[shape], {"1": RAMPS[helmet], "A": GOLD})
    _hold(c, item, rng.choice([10, 11]), colour, who.skin)
    _tidy(c)
    return Look(
        f"a {who.word} miner in {_a(helmet)} helmet with a lamp, in profile, {_with(item)}",
        {"helmet": shape, "pose": pose, "hair": who.style, "beard": who.beard, "item": item},
        {"helmet": helmet, "clothes": colour, "hair": who.hair, "skin": who.skin},
    )


KINDS = {
    "knight": knight,
    "wizard": wizard,
    "archer": archer,
    "rogue": rogue,
    "priest": priest,
    "viking": viking,
    "monarch": monarch,
    "pirate": pirate,
    "ninja": ninja,
    "farmer": farmer,
    "chef": chef,
    "miner": miner,
}

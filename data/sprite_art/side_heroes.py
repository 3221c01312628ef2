"""Heroes in profile (class side-facing): twelve professions looking to the right, one function each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import numpy as np

from data.sprite_art.canvas import RAMPS, Canvas, Look, box, line
from data.sprite_art.common import HAIRS, SKINS, Draw, an, close_gaps, haired, sheet

# Everybody stands on the same frame: headgear in rows 1 to 5, the eye in rows 6 and 7, the chin in row 8, the trunk in
# rows 9 to 11, the legs down to row 14. The nose is in column 10, the hand in column 12, hair and cloaks in 1 to 4.
# In the templates digits are the main material, a to e usually wood, leather or hair, A to E gold,
# P to T free.

LIGHT_SKINS = ["pale skin", "tan skin"]  # brown hair stands out only against these
GOLD, STEEL, WOOD, CLOTH = RAMPS["gold"], RAMPS["steel"], RAMPS["brown"], RAMPS["white"]


@dataclass(frozen=True)
class Person:
    """Skin, hair colour, hair style and beard of one hero, by name."""

    skin: str
    hair: str
    style: str
    beard: str

    @property
    def word(self) -> str:
        return haired(self.hair)

    def look(
        self, c: Canvas, item: str, words: str, colours: dict[str, str], hooded: bool = False, **parts: str
    ) -> Look:
        """Close the gaps and tell what was drawn; neither hair nor beard of a hooded person can be seen."""
        close_gaps(c, rounds=2)
        if not hooded:
            parts, colours = parts | {"hair": self.style, "beard": self.beard}, colours | {"hair": self.hair}
        return Look(f"{words}, in profile, {_with(item)}", parts | {"item": item}, colours | {"skin": self.skin})


def _person(rng: Random, styles: str, beards: str = "") -> Person:
    """A random person: a hair style of ``styles``, and with short hair perhaps a beard of ``beards``."""
    style = rng.choice(styles.split())
    beard = rng.choice(["no", *beards.split()]) if style in ("short", "bald") else "no"
    skin = rng.choice(SKINS)
    hairs = [hair for hair in HAIRS if hair != "brown hair" or skin in LIGHT_SKINS]
    return Person(skin, rng.choice(hairs), style, beard)


def _with(item: str) -> str:
    """The end of a caption: how the item is carried."""
    tool = item.removeprefix("shouldered ")
    return f"with {an(tool)}" + (" over the shoulder" if tool != item else "")


# --- head -----------------------------------------------------------------------------------------
# --------------------

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

HAIR = sheet("""
short | long  | ponytail | braid | bun   | curls
...bb | ..bbb | ..abb    | ..bbb | ..bbb | .abbb
..bbc | ..bbc | aPbbc    | ..abb | abbbc | .bbbc
..bc. | .abbc | bbPcc    | ..bbc | bbPc. | abbbc
...c. | .bbbc | bbc..    | .abc. | bcc.. | bbccb
      | abbcc | bc...    | .bcc. |       | bcbcc
      | bbcc. | bc...    | .abc. |       | .cdc.
      | bcd.. | .d...    | .bcd. |       |
      | .d... |          | .PQ.. |       |
      |       |          | .bd.. |       |
""")

BEARDS = sheet("""
moustache | goatee | full  | long  | braided
.....     | .....  | b.... | b.... | b....
..bbb     | ....b  | bb.ab | bb.ab | bb.ab
          | ...bc  | bbbbb | bbbbb | bbbbc
          | ...c.  | .bbc. | .abbc | .abc.
          |        |       | .abc. | ..A..
          |        |       | ..bc. | ..bc.
          |        |       | ..c.. | ..c..
""")


def _head(c: Canvas, who: Person, ribbon: str = "red") -> None:
    skin, hair = RAMPS[who.skin], {"a": RAMPS[who.hair], "P": RAMPS[ribbon], "A": GOLD}
    c.stamp(FACE, {"1": skin}, x=4, y=3)
    if who.style != "bald":
        c.stamp(HAIR_TOP, hair, x=3, y=3)
        c.stamp(HAIR[who.style], hair, x=1, y=5)
    if who.beard != "no":
        c.stamp(BEARDS[who.beard], hair, x=6, y=7)


# --- body -----------------------------------------------------------------------------------------
# --------------------

LEGS = sheet("""
striding | walking  | running  | stepping
..44222. | ..44222. | ..44222. | ..4422...
.44..22. | ..44.22. | dd4..22. | ..44.22ab
dd...abb | ..dd.abb | d....abb | ..dd..bb.
""")
POSES = list(LEGS)

# Trunks, columns 4 to 8: 1 to 5 the shirt, P to T what is worn over it, a to e the belt.
TORSOS = sheet("""
plain | tabard | striped | bib   | vest  | furs  | jacket
12223 | 12PQ3  | PPQQR   | 1PQ23 | PP123 | PPPQR | 11122
12223 | 1PQQ3  | 11223   | 1PQQQ | PPQ13 | 11223 | 11212
bbbcc | PQQR3  | PPQQR   | PPQQR | bbbcc | bbAcc | 12223
""")

ROBES = sheet("""
straight | flared   | sweeping
.12223.. | .12223.. | .12223..
.12223.. | .12223.. | .12223..
.12233.. | .122233. | .122233.
.122233. | 1222233. | 1222233.
.122334. | 1222334. | 12223344
.PPQQQR. | PPQQQQRR | PQ.QQQRR
""")

CLOAKS = sheet("""
flying | hanging | billowing
....12 | .....   | .....
.11222 | ...12   | ...12
112223 | ..122   | ..122
222334 | ..123   | .1223
.4..44 | ..223   | 12233
       | .1223   | 22334
       | .2234   | .344.
""")


def _legs(c: Canvas, rng: Random, trousers: str, boots: str) -> str:
    pose = rng.choice(POSES)
    c.stamp(LEGS[pose], {"1": RAMPS[trousers], "a": RAMPS[boots]}, x=3, y=12)
    return pose


def _torso(c: Canvas, cut: str, cloth: str, over: str = "brown", belt: str = "brown") -> None:
    c.stamp(TORSOS[cut], {"1": RAMPS[cloth], "P": RAMPS[over], "a": RAMPS[belt], "A": GOLD}, x=4, y=9)


def _robe(c: Canvas, rng: Random, cloth: str, trim: str) -> str:
    cut = rng.choice(list(ROBES))
    c.stamp(ROBES[cut], {"1": RAMPS[cloth], "P": RAMPS[trim]}, x=3, y=9)
    return cut


def _cloak(c: Canvas, rng: Random, cloth: str) -> str:
    cut = rng.choice(list(CLOAKS))
    c.stamp(CLOAKS[cut], {"1": RAMPS[cloth]}, x=1, y=8)
    return cut


def _arm(c: Canvas, sleeve: str, hand: str, row: int, end: int = 12) -> None:
    """The near arm, from the shoulder to a hand that ends in column ``end``, row ``row`` (9 to 11)."""
    c.stamp("12\n23", {"1": RAMPS[sleeve]}, x=6, y=9)
    c.fill(box(7, row, end - 2, row), RAMPS[sleeve], 1)
    c.fill(box(7, row + 1, end - 2, row + 1), RAMPS[sleeve], 3)
    c.stamp("12", {"1": RAMPS[hand]}, x=end - 1, y=row)


# --- things to carry
# --------------------------------------------------------------------------------------------------


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

# Tools over the shoulder, head to the left; the handle reaches through behind the figure to the
# hand.
SHOULDERED = sheet("""
pickaxe | axe    | hoe    | pitchfork
..1122  | ...... | ...... | 1122..
.12...  | ..12.. | ...... | ...2..
12b...  | .122.. | ..1b.. | 1122b.
12.b..  | 122b.. | .12.b. | ...3..
2...b.  | 123.b. | 12..b. | 1123.b
2....b  | .3..b. | 2....b |
        | .....b |        |
""")


def _shoulder(c: Canvas, name: str, sleeve: str, hand: str) -> None:
    """Move the figure to the right and put the named tool behind it, over the shoulder."""
    _arm(c, sleeve, hand, 10, 10)
    c.rgb, c.filled = np.roll(c.rgb, 3, axis=1), np.roll(c.filled, 3, axis=1)
    back = Canvas()
    back.fill(line((6, 7), (14, 12)), WOOD, 2)
    back.stamp(SHOULDERED[name], {"1": STEEL, "a": WOOD}, x=1, y=2)
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


# --- knight ---------------------------------------------------------------------------------------
# --------------------

HELMETS = sheet("""
pointed  | flat    | open
.11223.. | .11222. | .11222..
1112233. | 1112223 | 11122333
1112233. | 1112223 | 11233444
12A##### | AAB#### | 1A......
11222333 | 1122233 | 12......
.122334. | 1122334 | .1233...
""")
PLUMES = sheet("""
sweeping | tall     | long
...PPQQ. | ...PPQ.. | .....PP.
.PPQQQRR | ..PQQQRQ | ..PPQQQR
PQQRR... | ..QR.QRR | .PQQRR..
QQR..... | ..R..... | PQQR....
QR...... |          | PQR.....
R....... |          | QQR.....
         |          | QR......
         |          | .R......
""")
SHIELDS = sheet("""
kite shield | round shield
AAAAB       | .....
APPQB       | .111.
APAQB       | 1PPQ2
AQARB       | 1PAQ2
.BRB.       | 1QQR2
..B..       | .222.
""")


def knight(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short")
    colour = rng.choice(["red", "blue", "green", "purple", "orange", "magenta", "teal"])
    metal = rng.choice(["steel", "steel", "steel", "gold", "black"])
    helmet, plume = rng.choice(list(HELMETS)), rng.choice(list(PLUMES))
    item, shield = rng.choice(["sword", "broadsword", "lance", "banner"]), rng.choice(["no", *SHIELDS])
    pose = _legs(c, rng, metal, metal)
    _torso(c, rng.choice(["plain", "tabard"]), metal, colour, colour)
    _head(c, who)
    c.stamp(PLUMES[plume], {"P": RAMPS[colour]}, x=1, y=1)
    c.stamp(HELMETS[helmet], {"1": RAMPS[metal], "A": GOLD}, x=4, y=3)
    _hold(c, item, rng.choice([9, 10]), metal, metal, colour)
    if shield != "no":
        c.stamp(SHIELDS[shield], {"1": STEEL, "P": RAMPS[colour], "A": STEEL if metal == "gold" else GOLD}, x=7, y=8)
    close_gaps(c, rounds=2)
    carried = an(item) + (f" and {an(shield)}" if shield != "no" else "")
    return Look(
        f"a knight in {metal} armour with {an(colour)} plume, in profile, with {carried}",
        {"helmet": helmet, "plume": plume, "pose": pose, "item": item, "shield": shield},
        {"armour": metal, "plume": colour},
    )


# --- wizard ---------------------------------------------------------------------------------------
# --------------------

WIZARD_HATS = sheet("""
drooping    | swept back  | crumpled    | tall
.PPP....... | PPP........ | ..PPP...... | ....PP.....
PQRQQQ..... | .PQQQQ..... | .PQRRQ..... | ...PQQR....
R..PQQQR... | ..QPQQQR... | .R.PQQRR... | ...PAQQR...
...AAABBB.. | ...AAABBB.. | ..PPQQQQR.. | ..PPQQQQR..
.PQQQQQQRRR | .PQQQQQQRRR | .AAAAAABBBB | PPQQQQQQRRR
""")


def wizard(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short long braid curls", "long long full braided")
    colour = rng.choice(["blue", "purple", "red", "green", "teal", "magenta", "sky-blue"])
    hat, gem = rng.choice(list(WIZARD_HATS)), rng.choice(["sky-blue", "red", "lime", "magenta", "yellow"])
    item = rng.choice(["staff with an orb", "staff with a crystal", "gnarled staff", "flaming staff"])
    robe = _robe(c, rng, colour, rng.choice(["gold", colour, "white"]))
    _head(c, who)
    c.stamp(WIZARD_HATS[hat], {"P": RAMPS[colour], "A": GOLD}, x=1, y=1)
    _hold(c, item, rng.choice([9, 10, 11]), colour, who.skin, "orange" if item == "flaming staff" else gem)
    beard = "" if who.beard == "no" else " bearded"
    words = f"a {who.word}{beard} wizard in {an(colour)} robe"
    return who.look(c, item, words, {"robe": colour}, hat=hat, robe=robe)


# --- archer and rogue
# -------------------------------------------------------------------------------------------------

ARCHER_CAPS = sheet("""
cap         | pointed cap
PP......... | .P..........
.PQQ112.... | .PQ.........
..QQ12223.. | ..QQ1222....
..1QR22233. | .11QQ22223..
..334444455 | .33344444455
""")
HOODS = sheet("""
hood        | pointed hood
........... | ..........
.....1122.. | ...11222..
....112223. | ..11222223
...11222223 | .112222233
..112233... | .112233...
..11223.... | ..1223....
..1223..... | ..1223....
...2233.... | ...2233...
""")
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
    c.stamp((ARCHER_CAPS | HOODS)[hat], {"1": RAMPS[colour], "P": RAMPS[feather]}, x=1, y=1)
    _hold(c, item, rng.choice([9, 10]), colour, who.skin)
    words = f"a {who.word} archer in {an(colour)} {hat}"
    return who.look(c, item, words, {"cap": colour, "feather": feather}, hat=hat, pose=pose)


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
    c.stamp(HOODS[hood], {"1": RAMPS[colour]}, x=1, y=1)
    _hold(c, item, rng.choice([9, 10]), colour, who.skin)
    words = f"a rogue in {an(colour)} {hood} and {an(mask)} mask"
    return who.look(c, item, words, {"hood": colour, "mask": mask}, hooded=True, hood=hood, cloak=cloak, pose=pose)


# --- priest and monarch
# -----------------------------------------------------------------------------------------------

PRIEST_HATS = sheet("""
mitre    | cap      | veil
....11.. | ........ | ........
...1112. | ...1122. | ..1122..
..11C122 | ..111122 | .1112223
.11CCC22 | .AAAABBB | 11122AAB
.BBBBCCC |          | 1112A...
.1...... |          | 1122B...
.B...... |          | 1122B...
         |          | 11222...
         |          | .1223...
""")


def priest(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short bald long bun", "full goatee long")
    colour = rng.choice(["red", "purple", "blue", "green", "sky-blue"])
    hat, item = rng.choice(list(PRIEST_HATS)), rng.choice(["cross staff", "chalice", "sun staff", "book"])
    robe = _robe(c, rng, "white", "gold")
    c.stamp("..P\n.PQ\n.Q\n.Q\n.R", {"P": RAMPS[colour]}, x=6, y=9)
    _head(c, who)
    c.stamp(PRIEST_HATS[hat], {"1": RAMPS["white"], "A": GOLD, "P": RAMPS[colour]}, x=2, y=1)
    _hold(c, item, rng.choice([9, 10, 11]), "white", who.skin, colour)
    words = f"a priest in a white and gold robe and {an(hat)}"
    return who.look(c, item, words, {"stole": colour}, hat=hat, robe=robe)


CROWNS = sheet("""
open    | velvet  | tall
A..A..B | ..PAQ.. | A.A.A.B
AA.AB.B | A.PAQRB | AAABABB
APABQBC | APQAQRB | APBQBPC
AABBBBC | AABBBBC | ABBBBCC
""")
CAPES = sheet("""
trailing | flowing | long
....PP   | ...PPP  | ...PPQ
...PQQ   | .PPQQR  | ..PPQR
..PQQR   | 1PQQRR  | ..PQQR
.PPQQR   | 1#QQRR  | .PPQQR
PPQQRR   | .1#QRR  | .PQQRR
11#1#1   | ..1#11  | 1#1#12
""")


def monarch(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short curls braid bun", "full full moustache")
    cape = rng.choice(["red", "purple", "blue", "green"])
    colour = rng.choice(["teal", "sky-blue", "pink", "white", "lime"])
    crown, item = rng.choice(list(CROWNS)), rng.choice(["sceptre", "orb", "sword"])
    cut = rng.choice(list(CAPES))
    robe = _robe(c, rng, colour, "gold")
    c.stamp(CAPES[cut], {"P": RAMPS[cape], "1": CLOTH}, x=1, y=9)
    _head(c, who, cape)
    c.stamp("1111#\n.1#112", {"1": CLOTH}, x=4, y=8)
    c.stamp(CROWNS[crown], {"A": GOLD, "P": RAMPS[cape]}, x=3, y=1)
    _hold(c, item, 10, colour, who.skin, cape)
    title = "queen" if who.style != "short" else "king"
    words = f"a {who.word} {title} with a crown and {an(cape)} cape"
    return who.look(c, item, words, {"cape": cape, "robe": colour}, crown=crown, robe=robe, cape=cut)


# --- viking and pirate
# ------------------------------------------------------------------------------------------------

HORNED = sheet("""
upright     | curved      | short
P.........P | .P.......P. | ...........
PQ..122..PQ | PQ..122..PQ | .P..122..P.
QQR11222PQQ | PQR11222PQR | .PQ11222PQ.
.QR112223R. | .QQ112223Q. | ..Q112223..
..AAABBBBC. | ..AAABBBBC. | ..AAABBBBC.
""")


def viking(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short short braid long", "full braided long")
    if who.style == "short" and who.beard == "no":
        who = replace(who, beard="full")
    colour, fur = rng.choice(["red", "blue", "green", "tan", "teal"]), rng.choice(["brown", "grey", "tan"])
    horns, item = rng.choice(list(HORNED)), rng.choice(["axe", "double axe", "hammer", "shouldered axe"])
    pose = _legs(c, rng, rng.choice(["brown", "grey", "tan"]), fur)
    _torso(c, "furs", colour, fur)
    _head(c, who, colour)
    c.stamp(HORNED[horns], {"1": STEEL, "A": GOLD, "P": RAMPS["tan"]}, x=1, y=1)
    _hold(c, item, rng.choice([10, 11]), colour, who.skin)
    words = f"a {who.word} viking in a horned helmet"
    return who.look(c, item, words, {"tunic": colour, "fur": fur}, horns=horns, pose=pose)


PIRATE_HATS = sheet("""
tricorn      | long bandana | bandana    | feathered tricorn
....1122.... | ..........   | .......... | .PPP.122....
.A.112222..A | ...PPQQQ..   | ....PPQQ.. | .QQPPP222..A
.1A122223.AB | ..PPQQPQQ.   | ...PPQPQQ. | ..RQQPP23.AB
.11AAAABBB22 | ..PQQQQQQR   | ..PPQQQQQR | .11AQQABBB22
..1222233333 | PPQRRRRRRR   | PPQRRRRRRR | ..1222233333
             | QRQ.......   | .QR....... |
             | R.QR......   | QR........ |
             | ..R.......   |            |
""")


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
    c.stamp(PIRATE_HATS[hat], {"1": RAMPS[felt], "A": GOLD, "P": RAMPS[colour]}, x=1, y=1)
    _hold(c, item, rng.choice([9, 10]), "white", who.skin)
    words = f"a {who.word} pirate in a {hat}{' with an eye patch' if patch else ''}"
    return who.look(c, item, words, {"shirt": colour}, hat=hat, patch=str(patch).lower(), pose=pose)


# --- ninja ----------------------------------------------------------------------------------------
# --------------------

NINJA_WRAP = """
.11222.
1112223
1122223
122...
1222...
.122233"""
HEADBANDS = sheet("""
flying      | waving      | drooping
PP......... | .PP........ | ...........
.QQPPPQQQQR | PQQPPPQQQQR | ..PPPPQQQQR
PQRR....... | R.QQ....... | .PQQ.......
            | .QR........ | PQPQ.......
            |             | Q.QR.......
            |             | ..R........
""")


def ninja(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "bald")
    colour = rng.choice(["black", "blue", "purple", "grey", "red", "green"])
    band = rng.choice([name for name in ("red", "yellow", "sky-blue", "lime", "orange") if name != colour])
    tails, item = rng.choice(list(HEADBANDS)), rng.choice(["katana", "straight katana", "throwing star"])
    pose = _legs(c, rng, colour, colour)
    _torso(c, "plain", colour, belt=band)
    scabbard = rng.random() < 0.5
    if scabbard:
        c.stamp("..ab\n.bb\ncc", {"a": WOOD}, x=1, y=11)
    _head(c, who)
    c.stamp(NINJA_WRAP, {"1": RAMPS[colour]}, x=4, y=3)
    c.stamp(HEADBANDS[tails], {"P": RAMPS[band]}, x=1, y=4)
    _hold(c, item, rng.choice([9, 10, 11]), colour, colour, band)
    words = f"a ninja in {colour} with {an(band)} headband"
    colours = {"clothes": colour, "headband": band}
    return who.look(c, item, words, colours, hooded=True, headband=tails, pose=pose, scabbard=str(scabbard).lower())


# --- farmer, chef and miner
# -------------------------------------------------------------------------------------------

STRAW_HATS = sheet("""
wide        | drooping    | tall
........... | ........... | .....112...
....1122... | ....1122... | ....11223..
...112223.. | ...112223.. | ...112223..
...PPQQQR.. | ..1PPQQQR3. | ...PPQQQR..
11222222333 | 12222222333 | 11222222333
            | 1.........4 |
""")


def farmer(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short long ponytail braid", "full goatee moustache")
    colour = rng.choice(["red", "green", "yellow", "white", "orange", "pink"])
    denim = rng.choice(["blue", "blue", "sky-blue", "brown"])
    hat = rng.choice(list(STRAW_HATS))
    item = rng.choice(["pitchfork", "hoe", "shovel", "shouldered pitchfork", "shouldered hoe"])
    pose = _legs(c, rng, denim, "brown")
    _torso(c, "bib", colour, denim)
    _head(c, who, colour)
    c.stamp(STRAW_HATS[hat], {"1": RAMPS["yellow"], "P": RAMPS[colour]}, x=1, y=1)
    _hold(c, item, rng.choice([9, 10, 11]), colour, who.skin)
    words = f"a {who.word} farmer in a straw hat and {denim} dungarees"
    return who.look(c, item, words, {"shirt": colour, "dungarees": denim}, hat=hat, pose=pose)


CHEF_HATS = sheet("""
puffy     | tall      | leaning
...11122. | ...111222 | .11112..
..1112122 | ...112123 | 11121222
..1112123 | ...112123 | 11212223
...122233 | ...112123 | .2212233
...11223. | ...223334 | ..11223.
""")


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
    c.stamp(CHEF_HATS[hat], {"1": RAMPS["white"]}, x=2, y=1)
    _hold(c, item, rng.choice([9, 10]), "white", who.skin)
    words = f"a {who.word} chef in a {hat} white hat and {an(colour)} neckerchief"
    return who.look(c, item, words, {"neckerchief": colour, "apron": apron, "trousers": trousers}, hat=hat, pose=pose)


MINER_HELMETS = sheet("""
round     | ridged    | low
..1122... | ...1112.. | .........
.111223.. | .1122223. | ..11122..
.11222AwA | .11222AwA | .11222AwA
111222wwB | .11222wwB | 111222wwB
122223333 | 122223333 | 122223333
""")


def miner(c: Canvas, rng: Random) -> Look:
    who = _person(rng, "short short long ponytail braid", "full full moustache")
    helmet = rng.choice(["yellow", "yellow", "orange", "red", "sky-blue", "lime"])
    colour = rng.choice(["grey", "red", "tan", "teal", "sky-blue"])
    shape, item = rng.choice(list(MINER_HELMETS)), rng.choice(["pickaxe", "shouldered pickaxe"])
    pose = _legs(c, rng, rng.choice(["brown", "grey", "blue"]), "black")
    _torso(c, "vest", colour, helmet)
    _head(c, who, helmet)
    c.stamp(MINER_HELMETS[shape], {"1": RAMPS[helmet], "A": GOLD}, x=3, y=1)
    _hold(c, item, rng.choice([10, 11]), colour, who.skin)
    words = f"a {who.word} miner in {an(helmet)} helmet with a lamp"
    return who.look(c, item, words, {"helmet": helmet, "clothes": colour}, helmet=shape, pose=pose)


DRAWINGS = (knight, wizard, archer, rogue, priest, viking, monarch, pirate, ninja, farmer, chef, miner)
KINDS: dict[str, Draw] = {draw.__name__: draw for draw in DRAWINGS}

"""Heroes (class hero): people who face the viewer, one drawing function for each profession."""

from __future__ import annotations

from random import Random

from .canvas import OUTLINE, RAMPS, Canvas, Look

Item = tuple[str, int, int]  # art drawn for the left hand, column and row of the grip

SKINS = ["pale skin", "tan skin", "brown skin", "dark skin"]
HAIRS = ["blond hair", "red hair", "brown hair", "black hair", "grey hair"]

# Letters in all templates: 1-5 clothes, a-e second cloth, A-E trim, h-l hair, p-t skin; the rest never changes.
FIXED = {"F": RAMPS["gold"], "K": RAMPS["steel"], "P": RAMPS["brown"], "U": RAMPS["white"]}


def _sheet(names: str, art: str) -> dict[str, str]:
    """Cut a sheet of templates that stand side by side, parted by blanks, into single ones."""
    columns = zip(*(row.split() for row in art.strip().split("\n")), strict=True)
    return dict(zip(names.split(", "), ("\n".join(column) for column in columns), strict=True))


# --- heads: 10 columns wide, the middle between the 5th and the 6th ---------------------------------------------------

FACE = """
..pqqqqr..
.ppqqqqrr.
.rq#qq#rs.
.rq#qq#rs.
..qqqqrr..
"""
EYES = {"dark": "", "wide": "w#..#w\n.#..#."}
LOCKS = _sheet("short, bob, long, curly, braids, shaved", """
.i......k.  .i......k.  .i......k.  hi......jk  .i......k.  ..........
.i......k.  .i......k.  .i......k.  ii......jk  .i......k.  ..........
..........  ij......kk  ii......jk  ij......kk  .i......k.  ..........
..........  ij......kk  ij......kk  .j......k.  hi......ik  ..........
..........  ..........  ij......kk  ..........  AB......BC  ..........
..........  ..........  .j......k.  ..........  hi......ik  ..........
..........  ..........  ..........  ..........  .j......k.  ..........
""")  # hair beside the face, from the forehead down
FRINGES = {"full": "iiijjk", "parted": "ij..jk", "swept": "iijj.k"}
BEARDS = _sheet("none, beard, long beard, forked beard, moustache", """
........  i......k  i......k  i......k  ........
........  iijjjjkk  hiijjjkk  hiijjjkk  .hiiijj.
........  .ijjjjk.  hiijjjkk  .iijjkk.  ........
........  ........  .iijjkk.  .ij..jk.  ........
........  ........  ..ijjk..  .i....k.  ........
........  ........  ...jk...  ........  ........
""")  # 8 columns, from the row of the lower half of the eyes down


class Hero:
    """A person in the making: chooses looks on creation, then draws body, head, headgear and items in that order."""

    def __init__(self, c: Canvas, rng: Random, styles: str, beards: str = "none", drop: int | None = None) -> None:
        self.c = c
        self.skin, self.hair = rng.choice(SKINS), rng.choice(HAIRS)
        self.style, self.fringe = rng.choice(styles.split()), rng.choice(list(FRINGES))
        self.beard = rng.choice(beards.split(", ")) if self.style in ("short", "shaved") else "none"
        self.eyes = rng.choice(list(EYES))
        self.side = rng.choice(["left", "right"])  # of the picture, where the main item is held
        self.other_side = "right" if self.side == "left" else "left"
        self.x = 1 if self.side == "left" else -1
        self.y = rng.randrange(2) if drop is None else drop
        self.legend = {**FIXED, "h": RAMPS[self.hair], "p": RAMPS[self.skin]}

    def dress(self, clothes: str, second: str, trim: str = "gold") -> None:
        self.legend |= {"1": RAMPS[clothes], "a": RAMPS[second], "A": RAMPS[trim]}

    def put(self, art: str, x: int, y: int, flip: bool = False) -> None:
        """Stamp ``art``; ``x`` and ``y`` are those of a tall person in the middle of the picture."""
        self.c.stamp(art, self.legend, x + self.x, y + self.y, flip)

    def over(self, art: str, x: int, y: int, flip: bool = False) -> None:
        """Like ``put``, cut off at the ground, with a dark line where the art lies on what is already drawn."""
        top = Canvas()
        art = "\n".join(art.strip("\n").split("\n")[: 15 - y - self.y])
        top.stamp(art, self.legend, x + self.x, y + self.y, flip)
        mask = top.filled.copy()
        top.outline()
        self.c.rgb[top.filled & ~mask & self.c.filled] = OUTLINE
        self.c.rgb[mask] = top.rgb[mask]
        self.c.filled |= mask

    def beside(self, art: str, x: int, y: int, side: str) -> None:
        """Put ``art``, drawn for the left of the picture, over the person on either side."""
        left = side == "left"
        width = max(map(len, art.split()))
        self.over(art, x if left else 16 - x - width, y, flip=not left)

    def body(self, art: str) -> None:
        """From the shoulders to the feet, 10 columns; short people lack the fourth row."""
        rows = art.strip("\n").split("\n")
        if self.y:
            del rows[3]
        self.put("\n".join(rows), 3, 9)

    def head(self, face: str = FACE) -> None:
        """The head with its hair; hair that hangs over the body gets a dark line, the face then covers the rest."""
        beard, locks = BEARDS[self.beard], LOCKS[self.style]
        self.over(locks, 3, 5)
        self.over(beard, 4, 7)
        self.put(face, 3, 4)
        self.put(locks, 3, 5)
        if self.style != "shaved":
            self.put(FRINGES[self.fringe], 5, 5)
        self.put(EYES[self.eyes], 5, 6)
        self.put(beard, 4, 7)

    def hold(self, item: Item, hand: str = "qr") -> None:
        """Put an item into the hand on ``side``."""
        art, grip_x, grip_y = item
        self.beside(art, 2 - grip_x, 11 - grip_y, self.side)
        self.put(hand, 2 if self.side == "left" else 12, 11)

    def look(self, kind: str, clothes: str, items: str, hidden: bool = False, **parts: str) -> Look:
        """``items`` is what the caption says after "with"; if the hair is hidden, it names the skin instead."""
        bald = hidden or self.style == "shaved" and self.beard == "none"
        who = f"{self.skin if bald else self.hair}ed".replace(" ", "-").replace("skined", "skinned")
        colours = {"skin": self.skin.split()[0]} | ({} if hidden else {"hair": self.hair.split()[0]})
        parts |= {"build": "short" if self.y else "tall", "eyes": self.eyes}
        parts |= {} if hidden else {"hair": self.style, "beard": self.beard}
        caption = f"{_a(who.replace('blond-haired', 'blond'))} {kind} in {clothes} with {items}"
        return Look(caption, parts, colours)


def _a(text: str) -> str:
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


# --- clothes ----------------------------------------------------------------------------------------------------------

CLOTHES = _sheet("armour, tabard, tunic, robe, vestment, cloak, furs, ermine", """
KLLLMMMMNN  KLL1223MNN  .12222233.  .12222233.  .1UFUUFV4.  .12BBBB34.  .PbPQQRcR.  .1UU##UV3.
L#KLLMMN#N  L#L1223N#N  2#122233#3  12#2223#33  1U#FUUF#V4  12#aabb#34  PQ#QQRR#RS  1UV2FU3UV3
M#LLMMNN#N  M#L1F23N#N  q#223333#r  q2#2233#3r  qU#FUUF#Vr  q2#abbb#3r  q#aabbbc#r  q2#abbb#3r
..PPQFQQ..  ..P1FG3Q..  ..PQQFQR..  ..PQFQQR..  ..UUFGUV..  .22PPFP33.  ..PPFGPQ..  .22aFFb33.
.KLM..MNN.  .KL.33MNN.  .bbb..ccd.  .12222334.  .1UUFGUV4.  122bb.c334  .bbb..ccd.  122aabb234
.LMN..NOO.  .LMN..NOO.  .QQR..RSS.  1222233345  1UUVFGVV45  12QQR.RS34  .QQR..RSS.  UUVaabbVUV
""")

# --- professions ------------------------------------------------------------------------------------------------------

HELMETS = _sheet("open helmet, helmet with a nose guard, winged helmet, visored helmet", """
...KLLM...  ...KLLM...  K..KLLM..K  ...KLLM...
..KLLLMM..  ..KLLLMM..  KL.LLMM.LM  ..KLLLMM..
.KLLLMMMN.  .KLLLMMMN.  KLKLLMMLLM  .KL#LM#MN.
.LMMMMNNN.  .LMKLMNNN.  .LMMFGNNM.  KLLLMMMNNO
.L......N.  .L..LM..N.  .L......N.  .M......O.
.L......N.  .L..LM..N.  .L......N.  .L......N.
.M......O.  .MM....NO.  .M......O.  .LM....NO.
""")
PLUMES = _sheet("crest, feather, plume", """
....AB....  ....ABBB..  ...ABBC...
....BC....  ....BBCCC.  ..AB##CC..
....BC....  ........CD  ..........
""")
SWORD = ("K..\nKM.\nKM.\nKM.\nKM.\nKM.\nFGH\nPQ.", 1, 7)
SHIELDS = _sheet("heater, striped, round", """
ABBCC  ABUCC  .KLM.
AFFGC  ABUCC  KABCN
BFGGD  BBUCD  LBFCN
BBCCD  BCVDD  MBCDN
.CCD.  .CVD.  .NNO.
..D..  ..D..  .....
""")


def knight(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short bob long braids shaved", "none, none, beard, moustache")
    colour = rng.choice(["red", "blue", "green", "purple", "gold", "sky"])
    h.dress(colour, "steel", colour)
    helmet, plume, shield = rng.choice(list(HELMETS)), rng.choice(list(PLUMES)), rng.choice([*SHIELDS, "none"])
    dress = rng.choice(["armour", "tabard"])
    h.body(CLOTHES[dress])
    h.head()
    h.put(HELMETS[helmet], 3, 2)
    h.put(PLUMES[plume], 3, 1)
    h.hold(SWORD, hand="LM")
    if shield != "none":
        h.beside(SHIELDS[shield], 2, 9, h.other_side)
    clothes = "steel armour" if dress == "armour" else f"{_a(colour)} tabard"
    items = "a sword" if shield == "none" else f"a sword and {_a(colour)} shield"
    return h.look("knight", clothes, items, headgear=helmet, plume=plume, shield=shield)


WIZARD_HATS = _sheet("pointed hat, bent hat, starry hat, wide hat", """
.....12.....  ......1222..  ......12....  ...111......
.....123....  .....122334.  .....1223...  ..12222.....
....1223....  ....1223.44.  ....12F23...  ..3.12233...
....12233...  ....12233...  ...1FFFF34..  ....122233..
...AABBBC...  ...AABBBC...  ...12F2F34..  ...AABBBBC..
.1122222334.  .1122222334.  .1122222334.  112222222334
""")
STAFFS = _sheet("staff with an orb, crooked staff, crystal staff", """
.AB.  .PQ.  .AB.
AwBC  P..Q  ABBC
ABBD  Q..Q  BBCD
.CD.  ..QR  FCDG
..Q.  ..Q.  ..Q.
..Q.  ..R.  ..Q.
..R.  ..Q.  ..R.
..Q.  ..Q.  ..Q.
..Q.  ..R.  ..Q.
..R.  ..Q.  ..R.
..R.  ..R.  ..R.
..S.  ..S.  ..S.
""")


def wizard(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short shaved long bob braids", "long beard, long beard, beard, forked beard", drop=1)
    colour = rng.choice(["blue", "purple", "teal", "magenta", "red", "green"])
    h.dress(colour, colour, rng.choice([name for name in ("sky", "pink", "lime", "orange") if name != colour]))
    hat, staff = rng.choice(list(WIZARD_HATS)), rng.choice(list(STAFFS))
    h.body(CLOTHES["robe"])
    h.head()
    h.put(WIZARD_HATS[hat], 2, 0)
    h.hold((STAFFS[staff], 2, 8))
    return h.look("wizard", f"{_a(colour)} robe", _a(staff), headgear=hat, item=staff)


CAPS = _sheet("feathered cap, hood, hunting hat", """
.......AA.  ....12....  .AA.......
......ABB.  ..112233..  ..AB12....
..1223AB..  .12222333.  ..AB2233..
.122233B..  .12233334.  ..122233..
.12222333.  .12....34.  ..QQQRRR..
112333344.  .2......4.  1112222334
..........  .2......4.  ..........
..........  .33....44.  ..........
""")
BOW = ("..PP\n.PQU\nPQ.U\nPQ.U\nQ..U\nQ..U\nQ..U\nPQ.U\nQR.U\n.QRU\n..RR", 0, 5)
QUIVER = "A.B\nAUB\nPQP\nPQQ\nQQR"


def archer(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short bob long braids curly", "none, none, beard, moustache")
    colour, second = rng.choice(["green", "lime", "teal", "brown"]), rng.choice(["brown", "tan", "black"])
    h.dress(colour, second, rng.choice(["red", "yellow", "sky", "white", "orange"]))
    cap = rng.choice(list(CAPS))
    h.beside(QUIVER, 2, 7, h.other_side)
    h.body(CLOTHES["tunic"])
    h.head()
    h.put(CAPS[cap], 3, 1)
    h.hold((BOW[0], 0, 5))
    return h.look("archer", f"{_a(colour)} {cap}", "a bow", headgear=cap)


HOODS = _sheet("pointed hood, round hood, wide hood", """
....12....  ..........  ...12.....
...1223...  ...1223...  ..12233...
..122233..  ..122233..  .12222333.
.12233334.  .12233334.  1222233334
.12....34.  .22....34.  12......34
.2......4.  .2......4.  12......34
.2......4.  .2......4.  122....334
.23....44.  .23....44.  .23....44.
""")
ROGUE_FACE = """
..ssssss..
.ss#ss#ss.
.rq#qq#rs.
.AABBBBCC.
..ABBBBC..
"""
DAGGERS = _sheet("dagger, curved dagger, raised knife", """
....  ....  K...
....  K...  LM..
.K..  KL..  LM..
.KM.  .LM.  LM..
.KM.  .LM.  FGH.
FFGH  .FGH  .Q..
.QR.  .QR.  ....
""")


def rogue(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "shaved")
    colour = rng.choice(["black", "purple", "green", "brown", "red", "blue"])
    mask = rng.choice([name for name in ("red", "black", "teal", "purple", "tan") if name != colour])
    h.dress(colour, rng.choice(["brown", "black", "tan"]), mask)
    hood, dagger = rng.choice(list(HOODS)), rng.choice(list(DAGGERS))
    h.body(CLOTHES["cloak"])
    h.put(ROGUE_FACE, 3, 4)
    h.put(HOODS[hood], 3, 1)
    h.hold((DAGGERS[dagger], 2, 6))
    return h.look("rogue", f"{_a(colour)} hood", _a(dagger), hidden=True, headgear=hood, item=dagger)


MITRES = _sheet("mitre, halo, veil, skullcap", """
....UV....  ...FFFF...  ..........  ..........
...UFGV...  ..F....H..  ...UUUV...  ..........
..UFFGGV..  ...GGHH...  ..UUUUVV..  ...UUFV...
..UUFGVV..  ..........  .UUUUUVVW.  ..UUUVVW..
..FFFGGH..  ..........  .FFFFGGGH.  .FFFFGGGH.
..........  ..........  .U......V.  ..........
..........  ..........  UU......VW  ..........
..........  ..........  UV......VW  ..........
..........  ..........  UV......WW  ..........
""")
HOLY = _sheet("cross staff, sun staff, crook, book", """
.FG.  F.F.  .FG.  ....
FFGH  .FG.  F..G  ....
.GH.  FGGH  ...H  ....
.GH.  .GH.  ..GH  ....
..G.  ..G.  ..G.  ....
..G.  ..G.  ..G.  ....
..H.  ..H.  ..H.  ....
..G.  ..G.  ..G.  ABUV
..G.  ..G.  ..G.  BFUV
..H.  ..H.  ..H.  BCUV
..H.  ..H.  ..H.  ....
""")


def priest(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short bob long curly", "none, none, beard, long beard")
    return h.look("priest", "white and gold", "a")


KINDS = {"knight": knight, "wizard": wizard, "archer": archer, "rogue": rogue}

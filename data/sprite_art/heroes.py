"""Heroes (class hero): people who face the viewer, one drawing function for each profession."""

from __future__ import annotations

from random import Random

from data.sprite_art.canvas import OUTLINE, RAMPS, Canvas, Look, ellipse
from data.sprite_art.common import HAIRS, SKINS, Draw, an, darker, haired, sheet, shut_in

# Letters in all templates: 1-5 clothes, a-e second cloth, A-E trim, h-l hair, p-t skin; the rest
# never changes.
FIXED = {"F": RAMPS["gold"], "K": RAMPS["steel"], "P": RAMPS["brown"], "U": RAMPS["white"]}


def _on_shaft(tones: str, heads: str) -> dict[str, str]:
    """A sheet of heads, each on the same shaft, of which ``tones`` has a letter for each row."""
    shaft = "".join(f"\n..{tone}." for tone in tones)
    return {name: head + shaft for name, head in sheet(heads).items()}


def _pick(rng: Random, names: str, *taken: str) -> str:
    """One of several colours, but not one that is taken."""
    return rng.choice([name for name in names.split() if name not in taken])


# --- heads: 10 columns wide, the middle between the 5th and the 6th
# ---------------------------------------------------

FACE = """
..pqqqqr..
.ppqqqqrr.
.rq#qq#rs.
.rq#qq#rs.
..qqqqrr..
"""
EYES = {"dark": "", "wide": "w#..#w\n.#..#."}
LOCKS = sheet("""
short      | bob        | long       | curly      | braids     | shaved
.i......k. | .i......k. | .i......k. | hi......jk | .i......k. | ..........
.i......k. | .i......k. | .i......k. | ii......jk | .i......k. | ..........
.......... | ij......kk | ii......jk | ij......kk | .i......k. | ..........
.......... | ij......kk | ij......kk | .j......k. | hi......ik | ..........
.......... | .......... | ij......kk | .......... | AB......BC | ..........
.......... | .......... | .j......k. | .......... | hi......ik | ..........
.......... | .......... | .......... | .......... | .j......k. | ..........
""")  # hair beside the face, from the forehead down
HAIR_TOP = "..hiiijj..\n.hiiiijjk."
BARE_TOP = "...pqqr...\n..pqqqqr.."
FRINGES = {"full": "iiijjk", "parted": "ij..jk", "swept": "iijj.k"}
BEARDS = sheet("""
none     | beard    | long beard | forked beard | moustache
........ | i......k | i......k   | i......k     | ........
........ | iijrrjkk | hiirrjkk   | hiirrjkk     | .hiiijj.
........ | .ijjjjk. | hiijjjkk   | .iijjkk.     | ........
........ | ........ | .iijjkk.   | .ij..jk.     | ........
........ | ........ | ..ijjk..   | .i....k.     | ........
........ | ........ | ...jk...   | ........     | ........
""")  # 8 columns, from the row of the lower half of the eyes down


class Hero:
    """A person in the making: chooses looks on creation, then draws body, head, headgear and items in that order."""

    def __init__(self, c: Canvas, rng: Random, styles: str, beards: str = "none", hairs: list[str] = HAIRS) -> None:
        self.c = c
        self.skin, self.hair = rng.choice(SKINS), rng.choice(hairs)
        self.style, self.fringe = rng.choice(styles.split()), rng.choice(list(FRINGES))
        self.beard = rng.choice(beards.split(", ")) if self.style in ("short", "shaved") else "none"
        # so that they show on any skin
        self.eyes = "wide" if self.skin == "dark skin" else rng.choice(list(EYES))
        self.side = rng.choice(["left", "right"])  # of the picture, where the main item is held
        self.other_side = "right" if self.side == "left" else "left"
        self.x = 1 if self.side == "left" else -1
        self.y = rng.randrange(2)  # short people begin one row lower
        self.legend = {**FIXED, "h": RAMPS[self.hair], "p": RAMPS[self.skin]}
        self.colours = {"skin": self.skin.split()[0], "hair": self.hair.split()[0]}

    def dress(self, clothes: str, second: str, trim: str, dark: bool = False) -> None:
        """Choose the cloths; ``dark`` takes the first one tone darker, for people of the night."""
        ramp = RAMPS[clothes]
        self.legend |= {"1": darker(ramp) if dark else ramp, "a": RAMPS[second], "A": RAMPS[trim]}
        self.colours |= {"clothes": clothes, "second": second, "trim": trim}

    def put(self, art: str, x: int, y: int, flip: bool = False) -> None:
        """Stamp ``art``; ``x`` and ``y`` are those of a tall person in the middle of the picture."""
        self.c.stamp(art, self.legend, x + self.x, y + self.y, flip)

    def over(self, art: str, x: int, y: int, flip: bool = False) -> None:
        """Like ``put``, cut off above the ground, with a dark line where the art lies on what is already drawn."""
        top = Canvas()
        art = "\n".join(art.strip("\n").split("\n")[: 14 - y - self.y])
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

    def head(self) -> None:
        """The head with its hair; hair that hangs over the body gets a dark line, the face then covers the rest."""
        beard, locks = BEARDS[self.beard], LOCKS[self.style]
        self.over(locks, 3, 5)
        self.over(beard, 4, 7)
        self.put(FACE, 3, 4)
        self.put(locks, 3, 5)
        if self.style != "shaved":
            self.put(FRINGES[self.fringe], 5, 5)
        self.put(EYES[self.eyes], 5, 6)
        self.put(beard, 4, 7)

    def body_and_head(self, art: str) -> None:
        """Both, for people without a mask."""
        self.body(art)
        self.head()

    def crown_of_head(self) -> None:
        """The top of a head that no hat covers."""
        self.put(BARE_TOP if self.style == "shaved" else HAIR_TOP, 3, 3)

    def hold(self, art: str, grip: int, shaft: int = 2, hand: str = "qr", lift: int = 0) -> None:
        """Put an item into the hand on ``side``, which grips it at row ``grip`` and column ``shaft``."""
        self.beside(art, 2 - shaft, 11 - lift - grip, self.side)
        self.put(hand, 4 - len(hand) if self.side == "left" else 12, 11 - lift)

    def look(self, kind: str, clothes: str, items: str, hair_seen: bool = True, **parts: str) -> Look:
        """``items`` is what the caption says after "with"; if no hair can be seen, it names the skin."""
        shut = shut_in(self.c.filled, border=False)
        self.c.rgb[shut] = OUTLINE
        self.c.filled |= shut
        if hair_seen:
            parts |= {"hair": self.style, "beard": self.beard}
        else:
            del self.colours["hair"]
        who = haired(self.hair)
        if not hair_seen or (self.style, self.beard) == ("shaved", "none"):
            who = f"{self.skin}ned".replace(" ", "-")
        parts |= {"build": "short" if self.y else "tall", "eyes": self.eyes}
        return Look(f"{an(who)} {kind} in {clothes} with {items}", parts, self.colours)


# --- clothes --------------------------------------------------------------------------------------
# --------------------

CLOTHES = sheet("""
armour     | tabard     | tunic      | robe       | vestment   | cloak      | furs       | ermine
KLLLMMMMNN | KLL1223MNN | .12222233. | .12222233. | .UUFUUGVV. | .122CD334. | .UVPUVQUV. | .UU#VV#VW.
L#KLLMMN#N | L#L1223N#N | 2#122233#3 | 12#2223#33 | UU#FUGV#VW | 12#aabb#34 | 12#22233#3 | 122UVVW334
M#LLMMNN#N | M#L1F23N#N | q#223333#r | q2#2233#3r | qV#FUGV#Wr | q2#abbc#3r | q2#22333#r | q22aaFc33r
..PPQFQQ.. | ..P1FG3Q.. | ..PQQFQR.. | ..PQFQQR.. | ..UFFGVV.. | .22PPFP33. | ..PQFGQR.. | .22aabc33.
.KLM..MNN. | .KL.33MNN. | .bbb..ccd. | .12222334. | .UUVFGVVW. | 1222bcc334 | .bbb..ccd. | 122aabc334
.LMN..NOO. | .LMN..NOO. | .QQR..RSS. | 1222233345 | AABBBBCCCD | 12QRRRSS34 | .UVV..VWW. | UV#UVVV#VW
""") | sheet("""
coat       | striped shirt | wraps      | dungarees  | jacket     | apron      | overalls
.12UUVV33. | .UUUUVVVV.    | .12222333. | .12a22b33. | .UUABBCVV. | .12U22V33. | .12a22b33.
12#AABB#33 | AA#AABB#BB    | 12#2233#33 | 22#abbb#33 | UU#UBVV#VW | 22#UUVV#33 | 22#abbb#33
q2#UUVV#3r | qV#UUVV#Vr    | q3#2233#3r | q3#abFc#3r | qV#UUVV#Wr | q3#UUVV#3r | q3#abdd#3r
.1PPFGQQ3. | ..AABBBB..    | ..AABBBC.. | ..abbbcc.. | ..UU#V#W.. | ..AABBBC.. | ..abbbcc..
.bbb..ccd. | .bbb..ccd.    | .222..334. | .bbb..ccd. | .bbb..ccd. | .UUUUVVVW. | .bdd..cdd.
.QQR..RSS. | .QQR..RSS.    | .BBC..CDD. | .QQR..RSS. | .ddd..eee. | .QQR..RSS. | .QQR..RSS.
""")

# --- items that only one profession carries, drawn for the left of the picture
# ---------------------------------------

ITEMS = sheet("""
sword | cutlass | katana | bow | quiver | holy book
K..   | .K..    | K...   | ..P | A.B    | ABBC
KM.   | KL..    | K...   | .PQ | AUB    | BFGU
KM.   | KL..    | LK..   | PQU | PQP    | BFGU
KM.   | KLM.    | LK..   | P.U | PQQ    | BBCU
KM.   | KLM.    | LK..   | P.U | QQR    | CCCV
KM.   | .KLM    | .LK.   | Q.U | ...    | ....
FGH   | .KLM    | .LK.   | Q.U | ...    | ....
PQ.   | FFGG    | .LK.   | QRU | ...    | ....
...   | G.QG    | .FGH   | .QR | ...    | ....
...   | ....    | ..#B   | ..R | ...    | ....
...   | ....    | ..AB   | ... | ...    | ....
""")

# --- professions ----------------------------------------------------------------------------------
# --------------------

HELMETS = sheet("""
open helmet | helmet with a nose guard | winged helmet | visored helmet
...KLLM...  | ...KLLM...               | K..KLLM..K    | ...KLLM...
..KLLLMM..  | ..KLLLMM..               | KL.LLMM.LM    | ..KLLLMM..
.KLLLMMMN.  | .KLLLMMMN.               | KLKLLMMLLM    | .KL#LM#MN.
.LMMMMNNN.  | .LMKLMNNN.               | .LMMFGNNM.    | KLLLMMMNNO
.L......N.  | .L..LM..N.               | .L......N.    | .M......O.
.L......N.  | .L..LM..N.               | .L......N.    | .L......N.
.M......O.  | .MM....NO.               | .M......O.    | .LM....NO.
""")
PLUMES = sheet("""
tuft       | swept feather | side feather
...ABBC... | ...ABBBC..    | .......ABB
....AB.... | ....BBCCC.    | ....ABBBCC
....BC.... | ....B..CCD    | ....BC..CD
""")
SHIELDS = sheet("""
heater | striped | round
ABBCC  | ABUCC   | .KLM.
AFFGC  | ABUCC   | KABCN
BFGGD  | BBUCD   | LBFCN
BBCCD  | BCVDD   | MBCDN
.CCD.  | .CVD.   | .NNO.
..D..  | ..D..   | .....
""")


def knight(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short bob long braids shaved", "none, none, beard, moustache")
    colour = _pick(rng, "red blue green purple gold sky-blue")
    h.dress(colour, "steel", colour)
    helmet, plume, shield = rng.choice(list(HELMETS)), rng.choice(list(PLUMES)), rng.choice([*SHIELDS, "none"])
    dress = rng.choice(["armour", "tabard"])
    h.body_and_head(CLOTHES[dress])
    h.put(HELMETS[helmet], 3, 2)
    h.put(PLUMES[plume], 3, 1)
    h.hold(ITEMS["sword"], 7, shaft=1, hand="LM")
    if shield != "none":
        h.beside(SHIELDS[shield], 2, 9, h.other_side)
    clothes = "steel armour" if dress == "armour" else f"{an(colour)} tabard"
    items = "a sword" if shield == "none" else f"a sword and {an(colour)} shield"
    hair_seen = h.style in ("bob", "long", "braids") or h.beard != "none"
    return h.look("knight", clothes, items, hair_seen, headgear=helmet, plume=plume, shield=shield, outfit=dress)


WIZARD_HATS = sheet("""
pointed hat  | bent hat     | starry hat   | wide hat
.....12..... | ......1222.. | ......12.... | ...111......
.....123.... | .....122334. | .....1223... | ..12222.....
....1223.... | ....1223.44. | ....12F23... | ..3.12233...
....12233... | ....12233... | ...12FFF34.. | ....122233..
...AABBBC... | ...AABBBC... | ...122F234.. | ...AABBBBC..
.1122222334. | .1122222334. | .1122222334. | 112222222334
""")
STAFFS = sheet("""
staff with an orb | crooked staff | crystal staff
.AB.              | .PQ.          | .AB.
AwBC              | P..Q          | ABBC
ABBD              | Q..Q          | BBCD
.CD.              | ..QR          | FCDG
..Q.              | ..Q.          | ..Q.
..Q.              | ..R.          | ..Q.
..R.              | ..Q.          | ..R.
..Q.              | ..Q.          | ..Q.
..Q.              | ..R.          | ..Q.
..R.              | ..Q.          | ..R.
..R.              | ..R.          | ..R.
..S.              | ..S.          | ..S.
""")


def wizard(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short shaved long bob braids", "long beard, long beard, beard, forked beard")
    h.y = 1  # the hat needs the room
    colour = _pick(rng, "blue purple teal magenta red green")
    h.dress(colour, colour, _pick(rng, "sky-blue pink lime orange"))
    hat, staff = rng.choice(list(WIZARD_HATS)), rng.choice(list(STAFFS))
    h.body_and_head(CLOTHES["robe"])
    h.put(WIZARD_HATS[hat], 2, 0)
    h.hold(STAFFS[staff], 8)
    return h.look("wizard", f"{an(colour)} robe", an(staff), headgear=hat, item=staff)


CAPS = sheet("""
feathered cap | hood       | hunting hat
......AA..    | ....12.... | .AA.......
..123ABB..    | ..112233.. | .AB123....
.1222AB3..    | .12222333. | ..AB2233..
.12222333.    | .12233334. | ..QQQRRR..
112333344.    | .12....34. | 1112222334
..........    | .2......4. | ..........
..........    | .2......4. | ..........
..........    | .33....44. | ..........
""")


def archer(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short bob long braids curly", "none, none, beard, moustache")
    colour = _pick(rng, "green lime teal")
    h.dress(colour, _pick(rng, "brown tan black"), _pick(rng, "red yellow sky-blue white orange"))
    cap = rng.choice(list(CAPS))
    h.beside(ITEMS["quiver"], 2, 7, h.other_side)
    h.body_and_head(CLOTHES["tunic"])
    h.put(CAPS[cap], 3, 1)
    h.hold(ITEMS["bow"], 6, hand="qqr", lift=1)
    return h.look("archer", f"{an(colour)} {cap}", "a bow", headgear=cap)


HOODS = sheet("""
pointed hood | round hood | wide hood
....12....   | .......... | ...12.....
...1223...   | ...1223... | ..12233...
..122233..   | ..122233.. | .12222333.
.12233334.   | .12233334. | 1222233334
.12....34.   | .22....34. | 12......34
.2......4.   | .2......4. | 12......34
.2......4.   | .2......4. | 122....334
.23....44.   | .23....44. | .23....44.
""")
ROGUE_FACE = """
..ssssss..
.sw#ss#ws.
.rq#qq#rs.
.BBCCCCDD.
..CCCCDD..
"""
DAGGERS = sheet("""
dagger | curved dagger | raised knife
....   | ....          | K...
....   | K...          | LM..
.K..   | KL..          | LM..
.KM.   | .LM.          | LM..
.KM.   | .LM.          | FGH.
FFGH   | .FGH          | .Q..
.QR.   | .QR.          | ....
""")


def rogue(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "shaved")
    colour = _pick(rng, "black purple green teal red blue")
    mask = _pick(rng, "red black teal purple orange", colour)
    h.dress(colour, _pick(rng, "brown black grey"), mask, dark=colour != "black")
    hood, dagger = rng.choice(list(HOODS)), rng.choice(list(DAGGERS))
    h.body(CLOTHES["cloak"])
    h.put(ROGUE_FACE, 3, 4)
    h.put(HOODS[hood], 3, 1)
    h.hold(DAGGERS[dagger], 6)
    return h.look("rogue", f"{an(colour)} hood", an(dagger), hair_seen=False, headgear=hood, item=dagger)


MITRES = sheet("""
mitre      | veil       | skullcap
....UV.... | .......... | ..........
...UFGV... | ...UUUV... | ..........
..UFFGGV.. | ..UUFGVV.. | ...UUFV...
..UUFGVV.. | .UUUUUVVW. | ..UUUVVW..
..FFFGGH.. | .FFFFGGGH. | .FFFFGGGH.
.......... | .U......V. | ..........
.......... | UU......VW | ..........
.......... | UV......VW | ..........
.......... | UV......WW | ..........
""")
HOLY = _on_shaft(
    "GGHGGHH",
    """
cross staff | ankh staff | crook
.FG.        | .FG.       | .FG.
FFGH        | F##G       | F##G
.GH.        | FFGH       | F.#G
..G.        | .GH.       | ..GH
""",
)


def priest(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short bob long curly", "none, none, beard, long beard")
    colour = _pick(rng, "gold red purple blue green")
    h.dress("white", "gold", colour)
    # gold is lost around blond hair
    mitres = [*MITRES] if h.hair == "blond hair" else [*MITRES, "halo"]
    mitre, item = rng.choice(mitres), rng.choice([*HOLY, "holy book"])
    h.body_and_head(CLOTHES["vestment"])
    h.crown_of_head()
    if mitre == "halo":
        h.c.fill(ellipse(7.5 + h.x, 5.5 + h.y, 5.6, 4.6) & ~h.c.filled, RAMPS["gold"])
    else:
        h.put(MITRES[mitre], 3, 1)
    h.hold(*((ITEMS[item], 3, 1) if item == "holy book" else (HOLY[item], 8)))
    return h.look("priest", f"a white and {colour} robe", an(item), headgear=mitre, item=item)


HORNS = sheet("""
wide horns   | bull horns   | side horns
.U........W. | .UV......VW. | ............
UVV.KLLM.VVW | UV..KLLM..VW | U...KLLM...W
.VVKLLLMMVW. | UUVKLLLMMVVW | UUVKLLLMMVVW
..LLLMMMNN.. | .VLLLMMMNNW. | .VLLLMMMNNW.
..FFGGGGHH.. | ..FFGGGGHH.. | ..FFGGGGHH..
""")
AXES = sheet("""
axe  | double axe | broad axe
KL.Q | KLQM       | KLMQ
KLMQ | KLQM       | KLMQ
LM.Q | LMQN       | KLMQ
...Q | ..Q.       | ...Q
...Q | ..R.       | ...Q
...R | ..Q.       | ...R
...Q | ..Q.       | ...Q
...R | ..R.       | ...R
""")


def viking(c: Canvas, rng: Random) -> Look:
    hairs = ["blond hair", "blond hair", "red hair", "red hair", "brown hair", "grey hair"]
    h = Hero(c, rng, "short short short braids braids long", "beard, long beard, forked beard", hairs)
    colour = _pick(rng, "red blue green orange teal")
    h.dress(colour, _pick(rng, "brown grey tan"), _pick(rng, "red yellow sky-blue green"))
    horns, axe, shield = rng.choice(list(HORNS)), rng.choice(list(AXES)), rng.choice(["round", "none"])
    h.body_and_head(CLOTHES["furs"])
    h.put(HORNS[horns], 2, 1)
    h.hold(AXES[axe], 5)
    if shield == "round":
        h.beside(SHIELDS[shield], 2, 9, h.other_side)
    items = an(axe) if shield == "none" else f"{an(axe)} and a shield"
    return h.look("viking", f"{an(colour)} tunic and fur", items, headgear=horns, item=axe, shield=shield)


CROWNS = sheet("""
pointed crown | arched crown | wide crown | tiara
....FG....    | ....FG....   | .F..FG..H. | ..........
.F..FG..H.    | ..FAABCG..   | .FF.FG.GH. | ....FG....
.FF.FG.GH.    | .FAAFGCCH.   | .FFFFGGGH. | ..F.AB.H..
.FFAFGAGH.    | .FFGGGGHH.   | .FAFAGAGH. | ..FFABGH..
""")
SCEPTRES = _on_shaft(
    "GHGH",
    """
orb sceptre | tall sceptre | jewel sceptre
....        | .FG.         | .AB.
.FG.        | .AB.         | FABG
FwGH        | FABG         | FBCG
FGGH        | .GH.         | .GH.
.GH.        | ..G.         | ..G.
""",
)


def monarch(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short bob long long curly braids", "none, beard, long beard, moustache")
    colour = _pick(rng, "red purple blue magenta green")
    h.dress(colour, _pick(rng, "red sky-blue purple white", colour), _pick(rng, "red sky-blue lime magenta"))
    crown, sceptre = rng.choice(list(CROWNS)), rng.choice(list(SCEPTRES))
    h.body_and_head(CLOTHES["ermine"])
    h.crown_of_head()
    h.put(CROWNS[crown], 3, 1)
    h.hold(SCEPTRES[sceptre], 6)
    return h.look("monarch", f"{an(colour)} ermine cape", an(sceptre), headgear=crown, item=sceptre)


PIRATE_HATS = sheet("""
tricorn      | skull tricorn | bandana      | feathered tricorn
....1123.... | ...112233...  | ............ | .....11..AB.
12..1223..34 | 1.1wwwwww3.4  | ....AABB.... | 12..1122ABB4
122112233334 | 121w#ww#w334  | ...AwABBBC.. | 122112BBB334
122222223334 | 1221wwww3334  | ..AABBBwBC.. | 122222223334
.FFGGGGGGHH. | 122222222334  | ..ABBBBBCC.C | .FFGGGGGGHH.
............ | ............  | ..........CC | ............
""")
PATCHES = sheet("""
left   | right  | none
###### | ###### | ......
###qrr | qqq### | ......
###... | ...### | ......
""")  # the other eye squints, which keeps a patch from looking like dark glasses


def pirate(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short bob long braids curly", "none, beard, beard, forked beard, moustache")
    coat, stripes = _pick(rng, "black black brown blue red"), _pick(rng, "red blue orange teal")
    h.dress(coat, _pick(rng, "blue brown black"), stripes, dark=coat != "black")
    hat, outfit, patch = rng.choice(list(PIRATE_HATS)), rng.choice(["coat", "striped shirt"]), rng.choice([*PATCHES])
    h.body_and_head(CLOTHES[outfit])
    h.put(PATCHES[patch], 5, 5)
    h.put(PIRATE_HATS[hat], 2, 1)
    h.hold(ITEMS["cutlass"], 8)
    clothes = f"{an(stripes)}-striped shirt" + (f" and {an(coat)} coat" if outfit == "coat" else "")
    items = "a cutlass" if patch == "none" else "an eye patch and a cutlass"
    return h.look("pirate", clothes, items, headgear=hat, patch=patch, outfit=outfit)


NINJA_FACE = """
.12222334.
.pqqqqqqr.
.qq#qq#qr.
.12222334.
..222233..
"""
NINJA_HEADS = sheet("""
headband   | plated headband | topknot
.......... | ..........      | ....hi....
...1222... | ...1222...      | ....ij....
..122223.. | ..122223..      | ..122223..
.AABBBBCC. | .ABKLLMBC.      | .AABBBBCC.
""")
TAILS = sheet("""
long tails | forked tails | flying tails
.BC        | .BC          | BB.
BBC        | BBC          | BBC
BC.        | BC.          | .CC
BC.        | BBC          | ...
B..        | .BC          | ...
""")


def ninja(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "shaved")
    colour = _pick(rng, "black black blue purple red teal grey")
    band = _pick(rng, "red yellow sky-blue orange lime magenta", colour)
    h.dress(colour, colour, band, dark=colour != "black")
    head, tails = rng.choice(list(NINJA_HEADS)), rng.choice(list(TAILS))
    h.body(CLOTHES["wraps"])
    h.beside(TAILS[tails], 2, 4, h.other_side)
    h.put(NINJA_FACE, 3, 4)
    h.put(EYES[h.eyes], 5, 5)
    h.put(NINJA_HEADS[head], 3, 1)
    h.hold(ITEMS["katana"], 9, hand="23")
    return h.look("ninja", f"{colour} and {an(band)} headband", "a katana", False, headgear=head, tails=tails)


STRAW_HATS = sheet("""
round straw hat | flat straw hat | pointed straw hat | floppy straw hat
....ABBC....    | ............   | .....AB.....      | ............
...ABBBCC...    | ...AABBCC...   | ....ABBC....      | ....ABBC....
...ABBBCC...    | ...ABBBBC...   | ...ABBBCC...      | ...ABBBBC...
...122233...    | ...122233...   | ..ABBBBCCC..      | ...122233...
AAABBBBBCCCC    | AABBBBBBCCCD   | .AABBBBBCCC.      | .AABBBBBCCC.
.BB......CC.    | ............   | ABB......CCD      | ABB......CCD
""")
TOOLS = sheet("""
pitchfork | hoe  | two-pronged fork
K.L.M     | .... | K..L
K.L.M     | .LLQ | K..L
LLMMN     | KMMQ | LLMM
..Q..     | KN.Q | ..Q.
..Q..     | ...Q | ..Q.
..R..     | ...R | ..R.
..Q..     | ...Q | ..Q.
..Q..     | ...Q | ..Q.
..Q..     | ...Q | ..Q.
..R..     | ...R | ..R.
..R..     | ...R | ..R.
""")


def farmer(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short bob long braids curly", "none, none, beard, moustache")
    shirt, trousers = _pick(rng, "red green white orange sky-blue pink"), _pick(rng, "blue blue brown teal")
    h.dress(shirt, trousers, _pick(rng, "yellow gold tan"))
    hat, tool = rng.choice(list(STRAW_HATS)), rng.choice(list(TOOLS))
    h.body_and_head(CLOTHES["dungarees"])
    h.put(STRAW_HATS[hat], 2, 1)
    h.hold(TOOLS[tool], 8)
    return h.look("farmer", f"{trousers} dungarees", f"a straw hat and {an(tool)}", headgear=hat, item=tool)


CHEF_HATS = sheet("""
puffy hat  | tall hat   | floppy hat
..UUUVVV.. | ...UUUV... | .UUUU.....
.UUUVUUVW. | ..UUVUVW.. | UUUUVUVV..
.UUVVUVVW. | ..UUVUVW.. | UUVVUUVVW.
..UUVUVW.. | ..UUVUVW.. | .VVUUVVVW.
..UUUVVW.. | ..UUVUVW.. | ..UUVVVW..
""")
PANS = sheet("""
ladle | frying pan | wooden spoon | whisk
KLM.  | .bc.       | .PP.         | .KL.
KMN.  | bwFd       | PPQQ         | K#LM
.NL.  | cwwd       | PQQR         | K#LM
..L.  | .de.       | .QR.         | .LM.
..M.  | ..Q.       | ..Q.         | ..Q.
..M.  | ..Q.       | ..R.         | ..R.
""")


def chef(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short short bob braids curly", "none, moustache, moustache, beard")
    h.dress(_pick(rng, "sky-blue red green orange pink"), _pick(rng, "black grey"), _pick(rng, "red blue green orange"))
    hat, item, outfit = rng.choice(list(CHEF_HATS)), rng.choice(list(PANS)), rng.choice(["jacket", "apron"])
    h.body_and_head(CLOTHES[outfit])
    h.put(CHEF_HATS[hat], 3, 1)
    h.hold(PANS[item], 6)
    return h.look("chef", f"a white {outfit}", an(item), headgear=hat, item=item, outfit=outfit)


LAMP_HELMETS = sheet("""
round helmet | brimmed helmet | ridged helmet
..........   | ....22....     | ....11....
...1223...   | ..112233..     | ..112233..
..12ww33..   | .112ww233.     | .112ww234.
.12NwFN34.   | .12NwFN34.     | .12NwFN34.
.122NN334.   | 1222NN3344     | .122NN334.
""")
PICKAXES = sheet("""
pickaxe | heavy pickaxe | small pickaxe
.KLL.   | KLLLM         | .....
KLQLM   | LLQLM         | .KQL.
L.Q.M   | L.Q.M         | KLQLM
M.Q..   | M.Q.N         | L.Q.M
..R..   | ..R..         | ..R..
..Q..   | ..Q..         | ..Q..
..Q..   | ..Q..         | ..Q..
..R..   | ..R..         | ..R..
..Q..   | ..Q..         | ..Q..
..R..   | ..R..         | ..R..
""")


def miner(c: Canvas, rng: Random) -> Look:
    h = Hero(c, rng, "short short short bob braids curly shaved", "none, beard, long beard, moustache")
    clothes = _pick(rng, "brown brown grey blue", h.hair.split()[0])
    h.dress(_pick(rng, "yellow orange red sky-blue teal"), clothes, "grey")
    helmet, pick = rng.choice(list(LAMP_HELMETS)), rng.choice(list(PICKAXES))
    h.body_and_head(CLOTHES["overalls"])
    h.put("CC", rng.choice([5, 6, 8, 9]), 8)  # coal dust
    h.put(LAMP_HELMETS[helmet], 3, 1)
    h.hold(PICKAXES[pick], 8)
    return h.look("miner", f"dirty {clothes} overalls", an(pick), headgear=helmet, item=pick)


DRAWINGS = (knight, wizard, archer, rogue, priest, viking, monarch, pirate, ninja, farmer, chef, miner)
KINDS: dict[str, Draw] = {draw.__name__: draw for draw in DRAWINGS}

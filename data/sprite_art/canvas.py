"""The drawing surface behind every sprite: 16×16 pixels, materials with five tones, light from the upper left.

A kind of sprite is a function ``draw(canvas, rng) -> Look``. It picks parts and colours with ``rng``, draws them on the
canvas with :meth:`Canvas.fill` (shapes, shaded by themselves) and :meth:`Canvas.stamp` (pixels placed by hand), and
returns what it chose. The outline is added afterwards, by one rule for all sprites.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

SIZE = 16
Colour = tuple[int, int, int]
Ramp = tuple[Colour, ...]  # five tones of one material, lightest first

OUTLINE: Colour = (34, 24, 44)
WHITE: Colour = (248, 248, 252)  # eyes and teeth; pure white is reserved for the background


def _ramp(tones: str) -> Ramp:
    return tuple(tuple(bytes.fromhex(tone)) for tone in tones.split())


# Shadows lean towards blue and lights towards yellow, as in the open air, which keeps dark tones
# from looking dirty.
RAMPS: dict[str, Ramp] = {
    "red": _ramp("ff8a7a e8483f c22b35 8f1a33 5c1230"),
    "orange": _ramp("ffc27a f79239 d9661f a84318 6e2a1a"),
    "yellow": _ramp("fff2a0 fbd648 e0a92b ad7620 704a1c"),
    "gold": _ramp("fff6b0 ffd84d e5a823 b3741c 754515"),
    "lime": _ramp("dcf58a a8dc45 74b52f 4a8629 2c5a26"),
    "green": _ramp("9be37a 55b94a 318a42 1f6140 163f38"),
    "teal": _ramp("8ff0d8 3fc8b4 24978f 1a6a70 16454f"),
    "sky-blue": _ramp("c4efff 7dcdf5 4a9fdd 3470b0 264a7d"),
    "blue": _ramp("9cb8ff 5b82ea 3a58c4 2b3c92 1f2860"),
    "purple": _ramp("d3a6ff a06be0 7645b8 522e88 351f5a"),
    "magenta": _ramp("ffa3e0 e65cb8 b83a92 82276f 541b4c"),
    "pink": _ramp("ffd6de ffa4b8 ec6f90 b8476f 7a2d52"),
    "brown": _ramp("d9a066 b27842 8a5430 623823 3f251b"),
    "tan": _ramp("f5dcb0 e0b880 bd8f5c 8f6642 5f4230"),
    "grey": _ramp("e3e6ea b9bec9 8b91a2 60657a 3d4055"),
    "steel": _ramp("f0f6fc bccbdc 8a9bb5 5d6b8a 3b4362"),
    "white": _ramp("f7f3ec e2dcd2 c2bab2 978e90 685f6b"),
    "black": _ramp("7a7590 57526c 3e3a52 2d293e 221d2e"),
    # people
    "pale skin": _ramp("ffe6d2 f9c9a8 e0a083 b5725f 7e4a48"),
    "tan skin": _ramp("f7cf9f e3a871 c08150 915a3c 5f3a30"),
    "brown skin": _ramp("cc9468 a86d45 845034 5f3829 3f261f"),
    "dark skin": _ramp("96674c 744a36 573527 3e261f 2a1a1a"),
    "blond hair": _ramp("fff0a8 f0cc60 cc9a3c 966828 60401c"),
    "red hair": _ramp("ff9c5a e06030 b03c20 7a2818 4c1a16"),
    "brown hair": _ramp("b0784c 855033 623824 442619 2c1814"),
    "black hair": _ramp("6a6684 474260 312d46 231f33 1a1626"),
    "grey hair": _ramp("f4f4f0 d2d4d8 a4a8b4 757a8c 4c5064"),
}


@dataclass(frozen=True)
class Look:
    """What a drawing function chose: ``parts`` and ``colours`` by name, and a caption in plain words."""

    caption: str
    parts: dict[str, str] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)


# --- shapes: boolean masks of (16, 16), indexed [y, x]; a pixel belongs to a shape if its centre
# does -----------------


def ellipse(cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    """Pixels whose centre lies in the ellipse around (cx, cy); ``ellipse(7.5, 7.5, 3, 3)`` is 6 pixels across."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """The rectangle from column x0, row y0 to column x1, row y1, both ends included."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)


def polygon(*points: tuple[float, float]) -> np.ndarray:
    """The filled polygon through the given (x, y) points, border included."""
    image = Image.new("1", (SIZE, SIZE))
    ImageDraw.Draw(image).polygon(points, fill=1, outline=1)
    return np.array(image, dtype=bool)


def line(*points: tuple[float, float], width: int = 1) -> np.ndarray:
    """The open line through the given (x, y) points."""
    image = Image.new("1", (SIZE, SIZE))
    ImageDraw.Draw(image).line(points, fill=1, width=width)
    return np.array(image, dtype=bool)


def grow(mask: np.ndarray) -> np.ndarray:
    """The mask and every pixel that touches it by an edge."""
    padded = np.pad(mask, 1)
    return mask | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def _tones(mask: np.ndarray, shade: str | int) -> np.ndarray:
    """Tone 0 (light) to 4 (dark) for each pixel of ``mask``, the light coming from the upper left."""
    if isinstance(shade, int):
        return np.full(mask.shape, shade)
    if shade == "bevel":  # a flat plate: a light upper left rim, a dark lower right rim
        padded = np.pad(mask, 1)
        light_rim = ~padded[:-2, 1:-1] | ~padded[1:-1, :-2]
        dark_rim = ~padded[2:, 1:-1] | ~padded[1:-1, 2:]
        return np.where(dark_rim, 3, np.where(light_rim, 1, 2))
    if shade == "round":  # a ball stretched over the mask: the slope towards the light decides
        ys, xs = np.nonzero(mask)
        y, x = np.mgrid[:SIZE, :SIZE]
        nx = (x - (xs.min() + xs.max()) / 2) / (np.ptp(xs) / 2 + 0.5)
        ny = (y - (ys.min() + ys.max()) / 2) / (np.ptp(ys) / 2 + 0.5)
        return np.digitize(0.6 * nx + 0.8 * ny, (-0.72, -0.2, 0.4, 0.85))
    raise ValueError(f"shade is 'round', 'bevel' or a tone 0..4, not {shade!r}")


class Canvas:
    """A transparent 16×16 sprite in the making.

    ``rgb`` is uint8 (16, 16, 3); ``filled`` is bool (16, 16) and says which pixels have been drawn.
    Art stays within columns and rows 1 to 14, so that the outline around it fits.
    """

    def __init__(self) -> None:
        self.rgb = np.full((SIZE, SIZE, 3), 255, dtype=np.uint8)
        self.filled = np.zeros((SIZE, SIZE), dtype=bool)

    def fill(self, mask: np.ndarray, ramp: Ramp, shade: str | int = "round") -> None:
        """Paint a shape in a material; ``shade``: "round" (a ball), "bevel" (a plate) or one tone 0 (light) to 4."""
        if mask.any():
            self.rgb[mask] = np.array(ramp, dtype=np.uint8)[_tones(mask, shade)[mask]]
            self.filled |= mask

    def stamp(self, art: str, legend: dict[str, Ramp | Colour], x: int = 0, y: int = 0, flip: bool = False) -> None:
        """Place pixels by hand: ``art`` is rows of characters, its upper left corner at column x, row y.

        ``.`` leaves a pixel alone, ``#`` is the outline colour, ``w`` is white, ``_`` erases. ``legend`` maps the first
        of five consecutive characters to a material: with ``{"1": red, "a": steel}``, 1 is the lightest red and 5 the
        darkest, a the lightest steel and e the darkest. A legend entry may also be one colour for one character.
        ``flip`` mirrors the art left to right within its own width.
        """
        colours: dict[str, Colour] = {"#": OUTLINE, "w": WHITE}
        for first, material in legend.items():
            if isinstance(material[0], int):
                colours[first] = material
            else:
                colours.update({chr(ord(first) + i): tone for i, tone in enumerate(material)})
        rows = art.strip("\n").split("\n")
        width = max(len(row) for row in rows)
        for dy, row in enumerate(rows):
            row = row.ljust(width, ".")
            for dx, char in enumerate(reversed(row) if flip else row):
                if char in ". ":
                    continue
                if not (0 <= x + dx < SIZE and 0 <= y + dy < SIZE):
                    raise ValueError(f"stamp leaves the canvas at column {x + dx}, row {y + dy}: {row!r}")
                self.filled[y + dy, x + dx] = char != "_"
                self.rgb[y + dy, x + dx] = (255, 255, 255) if char == "_" else colours[char]

    def erase(self, mask: np.ndarray) -> None:
        """Make the pixels of ``mask`` transparent again."""
        self.rgb[mask] = 255
        self.filled[mask] = False

    def mirror(self) -> None:
        """Swap left and right."""
        self.rgb, self.filled = self.rgb[:, ::-1].copy(), self.filled[:, ::-1].copy()

    def outline(self) -> None:
        """Draw the dark line around the silhouette: every empty pixel that touches a drawn one by an edge."""
        grown = grow(self.filled)
        self.rgb[grown & ~self.filled] = OUTLINE
        self.filled = grown

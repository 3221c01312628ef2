"""Every kind of picture file in the table of docs/PICTURES_READ.md, read anew."""

import sys

import numpy as np
import pytest

from Capstone import pixel_art
from tests.picture_kinds import (
    KINDS,
    MAGENTA,
    ROOT,
    drawing,
    enlarged,
    on,
    page,
    placed,
    read,
    sheet,
    sprites,
)

WHITE = (255, 255, 255)
JPEG = 20  # steps of 255 that saving as JPEG may cost
SAID = {
    "on a painted checkerboard": "6 on a painted checkerboard",
    "a half-transparent shadow": "the shadow is left out",
    "white figures, transparent": "ground: black, because figures would vanish in white",
    "enlarged 4 times": "6 enlarged: brought back to their own pixels",
    "a sheet, one pixel between": "1 cut into sprites: each of them counts (things/all.png (6 of 16×16))",
    "animated, .gif": "only the first frame is used",
    "beside a file that was cut short": "things/half.png: damaged or cut short",
    "beside an empty file": "things/empty.png: an empty file",
    "beside a web page called .png": "things/page.png: no picture inside",
    "beside a TIFF of 32-bit numbers": "things/float.tif: numbers of 32 bits, of which nobody knows where white is",
    "beside a drawing program's own file": "things/hero.aseprite (save it as PNG first)",
    "beside a link to one that is gone": "things/gone.png: a link to a file that is not there",
    "one of them in a second class as well": "1 in two class folders: once in the set, with both labels",
    "one of them in a deeper folder": "1 in a folder inside a class folder",
}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize("words", KINDS)
def test_six_sprites_are_found_again(words, tmp_path):
    off, said = read(words, tmp_path)
    assert max(off) <= (JPEG if ".jpg" in words else 0), (off, said)
    assert said[0].startswith("6 sprites of 16×16")
    assert SAID.get(words, "") in "; ".join(said)


def test_the_table_has_forty_kinds_and_is_what_the_program_gives():
    assert len(KINDS) >= 40 and set(SAID) <= set(KINDS)
    assert (ROOT / "docs/PICTURES_READ.md").read_text(encoding="utf-8") == page()


def opaque(rgb):
    return np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)], axis=2)


def test_the_courses_own_sprites_are_left_as_they_are():
    for rgb in np.load(ROOT / "data/sprites_1788_16x16.npy"):
        pixels, _, _ = pixel_art.cleared(opaque(rgb), 1)
        sprite, notes = pixel_art.fit(pixels, 16)
        np.testing.assert_array_equal(pixel_art.on_ground(sprite, pixel_art.WHITE), rgb)
        assert notes == [] and len(pixel_art.cut(pixels, 16)) == 1


@pytest.mark.parametrize("k", [2, 3, 4, 6, 8])
def test_enlarged_art_is_found_behind_any_margin(k):
    chance, six = np.random.default_rng(k), sprites()
    for i in range(40):
        rgb = six[i % 6]
        top, left, below, right = chance.integers(0, 3 * k, 4)
        canvas = placed(enlarged(rgb, k), 16 * k + top + below, 16 * k + left + right, top, left)
        pixels = opaque(canvas)
        assert pixel_art.scale_of(pixels) == k
        clear, _, _ = pixel_art.cleared(pixels, k)
        shown = clear[pixel_art.content(clear)]
        np.testing.assert_array_equal(shown[..., :3][shown[..., 3] > 0], rgb[drawing_mask(rgb)])


def drawing_mask(rgb):
    """What is not the ground: white that can be reached from outside."""
    pixels, _, _ = pixel_art.without_ground(opaque(rgb))
    return pixels[..., 3] > 0


def test_random_sheets_on_magenta_are_cut_rightly():
    chance, all_sprites = np.random.default_rng(0), np.load(ROOT / "data/sprites_1788_16x16.npy")
    right = 0
    for _ in range(30):
        columns, rows = chance.integers(2, 6, 2)
        margin, spacing = chance.integers(0, 5, 2)
        parts = all_sprites[chance.choice(1788, columns * rows, replace=False)]
        canvas = opaque(on(sheet(parts, columns, margin, spacing), MAGENTA))
        cells = pixel_art.cut(pixel_art.without_ground(canvas)[0], 16)
        cells = [pixel_art.fit(cell, 16)[0] for cell in cells]
        found = {drawing(pixel_art.on_ground(cell, pixel_art.WHITE), WHITE).tobytes() for cell in cells}
        wanted = [drawing(rgb, WHITE).tobytes() for rgb in parts]
        right += len(cells) == len(parts) and all(one in found for one in wanted)
    assert right >= 29, right

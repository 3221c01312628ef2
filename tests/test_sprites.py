"""The shipped sprites, and the program that draws them."""

import csv
import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label

DATA = Path(__file__).resolve().parent.parent / "data"
from data import make_sprites
from data.sprite_art.canvas import OUTLINE, RAMPS, Canvas, ellipse


@pytest.fixture(scope="module")
def shipped():
    images = np.load(DATA / "sprites_1788_16x16.npy")
    labels = np.load(DATA / "sprite_labels_nc_1788_16x16.npy")
    with (DATA / "sprite_captions_1788.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return images, labels, rows


def test_arrays_have_the_promised_form(shipped):
    images, labels, rows = shipped
    assert images.shape == (1788, 16, 16, 3) and images.dtype == np.uint8
    assert labels.shape == (1788, 5) and labels.dtype.kind == "f"
    assert len(rows) == 1788
    assert ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
    assert labels.sum(axis=0).max() - labels.sum(axis=0).min() <= 1


def test_captions_belong_to_their_sprites(shipped):
    _, labels, rows = shipped
    names = list(make_sprites.CLASSES)
    for i, row in enumerate(rows):
        assert int(row["index"]) == i
        assert row["class"] == names[labels[i].argmax()]
        assert row["kind"] in make_sprites.CLASSES[row["class"]]
        assert json.loads(row["parts"]) and json.loads(row["colours"]), row
        assert row["caption"].split()[0] in ("a", "an", "two", "three", "four"), row["caption"]
        assert row["caption"] == row["caption"].strip() and "  " not in row["caption"]


def test_articles_fit_the_next_word(shipped):
    for row in shipped[2]:
        words = row["caption"].split()
        for article, word in zip(words, words[1:], strict=False):
            if article in ("a", "an") and not word.startswith(("one-", "uni", "hour", "hon")):
                assert (article == "an") == (word[0] in "aeiou"), row["caption"]


def test_enough_kinds_with_enough_sprites_each(shipped):
    kinds = {name: len(kinds) for name, kinds in make_sprites.CLASSES.items()}
    assert kinds["hero"] >= 12 and kinds["side-facing"] >= 12
    assert min(kinds["non-hero"], kinds["food"], kinds["spell"]) >= 24
    counts = Counter((row["class"], row["kind"]) for row in shipped[2])
    assert len(counts) == sum(kinds.values())
    assert min(counts.values()) >= 13


def test_no_two_sprites_are_equal(shipped):
    assert len({image.tobytes() for image in shipped[0]}) == 1788


def test_kinds_vary_in_shape_and_not_in_colour_alone(shipped):
    images, _, rows = shipped
    silhouettes = defaultdict(set)
    for image, row in zip(images, rows, strict=True):
        silhouettes[row["class"], row["kind"]].add((image == 255).all(axis=-1).tobytes())
    fewest = min(silhouettes, key=lambda kind: len(silhouettes[kind]))
    assert len(silhouettes[fewest]) >= 4, fewest


def test_every_sprite_is_one_piece_with_a_closed_outline(shipped):
    images, _, rows = shipped
    for image, row in zip(images, rows, strict=True):
        drawn = ~(image == 255).all(axis=-1)
        assert label(drawn, np.ones((3, 3)))[1] == 1, f"stray pixels in {row['caption']}"
        around = np.pad(~drawn, 1, constant_values=True)
        at_edge = drawn & (around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:])
        assert (image[at_edge] == OUTLINE).all(), f"a gap in the outline of {row['caption']}"


def test_the_same_seed_draws_the_shipped_files(shipped, tmp_path):
    sprites = make_sprites.draw_sprites(make_sprites.N_SPRITES, make_sprites.SEED)
    make_sprites.write_files(sprites, tmp_path, make_sprites.N_SPRITES)
    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (DATA / path.name).read_bytes(), path.name
    assert len(list(tmp_path.iterdir())) == 3


def test_fresh_sprites_are_new_repeatable_and_of_all_classes(shipped):
    own = {image.tobytes() for image in shipped[0]}
    fresh = make_sprites.fresh_sprites(600, seed=7)
    again = make_sprites.fresh_sprites(600, seed=7)
    images = {sprite.rgb.tobytes() for sprite in fresh}
    assert len(images) == 600 and not images & own
    assert all((a.rgb == b.rgb).all() for a, b in zip(fresh, again, strict=True))
    assert set(Counter(sprite.class_name for sprite in fresh).values()) == {120}


def test_fresh_sprites_refuse_the_seed_of_the_shipped_ones():
    with pytest.raises(ValueError, match="choose another"):
        make_sprites.fresh_sprites(1, seed=make_sprites.SEED)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fresh", "0", "--out", "x"],
        ["--fresh", "5"],
        ["--fresh", "5", "--seed", "1788", "--out", "x"],
    ],
)
def test_command_refuses_what_cannot_work(arguments, tmp_path):
    command = [sys.executable, str(DATA / "make_sprites.py"), *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 2 and "error: " in result.stderr and "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_command_writes_fresh_files(tmp_path):
    command = [
        sys.executable,
        str(DATA / "make_sprites.py"),
        "--fresh",
        "20",
        "--seed",
        "3",
        "--out",
        str(tmp_path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert np.load(tmp_path / "sprites_20_16x16.npy").shape == (20, 16, 16, 3)
    assert np.load(tmp_path / "sprite_labels_nc_20_16x16.npy").shape == (20, 5)


def test_light_comes_from_the_upper_left():
    canvas = Canvas()
    canvas.fill(ellipse(7.5, 7.5, 6, 6), RAMPS["red"])
    brightness = canvas.rgb.astype(int).sum(axis=-1)
    assert brightness[4, 5] > brightness[7, 7] > brightness[11, 11]


def test_outline_surrounds_the_drawing_and_leaves_it_alone():
    canvas = Canvas()
    canvas.stamp("13\n31", {"1": RAMPS["blue"]}, x=7, y=7)
    before = canvas.rgb.copy()
    canvas.outline()
    assert (canvas.rgb[7:9, 7:9] == before[7:9, 7:9]).all()
    assert (canvas.rgb == OUTLINE).all(axis=-1).sum() == 8  # two on each side, none at the corners


def test_stamp_refuses_art_that_leaves_the_canvas():
    with pytest.raises(ValueError, match="column 16, row 0"):
        Canvas().stamp("##", {}, x=15, y=0)

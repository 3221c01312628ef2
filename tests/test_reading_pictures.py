"""Folders of pictures as they really are, read as sprites."""

import os
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diffusion_utilities as du
from Capstone import own_sprites, pixel_art
from Capstone.own_sprites import read_folder, save_arrays
from support.picture_files import open_picture

ROOT = Path(__file__).resolve().parent.parent
RED, GREEN, BLUE, WHITE = (200, 30, 40), (10, 160, 60), (20, 40, 220), (255, 255, 255)


def noise_art(height, width, seed=0):
    """Pixel art in which every pixel is of another colour, none of them white."""
    return np.random.default_rng(seed).integers(0, 250, (height, width, 3), dtype=np.uint8)


def enlarged(art, k):
    return art.repeat(k, axis=0).repeat(k, axis=1)


def save(art, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(art).save(path, **options)


def in_the_middle(art, size=16):
    """art on white, by hand; the odd line goes to the right and below."""
    square = np.full((size, size, 3), 255, np.uint8)
    top, left = (size - art.shape[0]) // 2, (size - art.shape[1]) // 2
    square[top : top + art.shape[0], left : left + art.shape[1]] = art
    return square


def read_one(path, size=16):
    """One picture as the reader makes a sprite of it, on white."""
    pixels = np.asarray(open_picture(path)[0])
    scale = 1 if pixels.shape[:2] == (size, size) else pixel_art.scale_of(pixels)
    clear, _, _ = pixel_art.cleared(pixels, scale)
    return pixel_art.on_ground(pixel_art.fit(clear, size)[0], WHITE)


def opened(path):
    """What is in a file, on white, before anything is guessed about it."""
    return pixel_art.on_ground(np.asarray(open_picture(path)[0]), WHITE)


@pytest.fixture
def folder(tmp_path):
    """Two classes of three pictures each."""
    for i in range(3):
        save(noise_art(16, 16, seed=i), tmp_path / f"sprites/food/{i}.png")
        save(noise_art(16, 16, seed=10 + i), tmp_path / f"sprites/hero/{i}.png")
    return tmp_path / "sprites"


# ---------------------------------------------------------------------------------- single pictures


def test_a_picture_of_the_right_size_stays_as_it_is(tmp_path):
    save(noise_art(16, 16), tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), noise_art(16, 16))


@pytest.mark.parametrize("k", [2, 3, 5, 20])
def test_enlarged_pixel_art_comes_back_pixel_for_pixel(tmp_path, k):
    save(enlarged(noise_art(16, 16), k), tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), noise_art(16, 16))


@pytest.mark.parametrize(("shape", "k"), [((8, 8), 2), ((5, 4), 3), ((7, 8), 2), ((9, 16), 1)])
def test_small_pictures_grow_by_a_whole_number_and_are_padded(tmp_path, shape, k):
    save(noise_art(*shape), tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), in_the_middle(enlarged(noise_art(*shape), k)))


def test_enlarged_art_that_is_no_square_is_padded_at_its_own_size(tmp_path):
    save(enlarged(noise_art(10, 13), 7), tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), in_the_middle(noise_art(10, 13)))


def test_a_whole_factor_gives_the_mean_of_each_block(tmp_path):
    art = noise_art(64, 64)
    save(art, tmp_path / "a.png")
    means = art.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    # Pillow rounds twice, along and across
    assert np.abs(read_one(tmp_path / "a.png") - means).max() <= 1


@pytest.mark.parametrize("side", [17, 23, 40, 64, 100, 1500])
def test_white_stays_white_and_outlines_do_not_vanish(tmp_path, side):
    art = np.full((side, side, 3), 255, np.uint8)
    art[side // 2, :] = 0  # one thin line, in the middle
    save(art, tmp_path / "a.png")
    sprite = read_one(tmp_path / "a.png")
    assert (sprite[[0, 1, 2, 3, 12, 13, 14, 15]] == 255).all()
    assert (sprite[7:9].min(axis=0) < 255).all()


def test_no_halo_where_lanczos_would_draw_one():
    art = np.full((40, 40, 4), 255, np.uint8)
    art[15:25, 15:25, :3] = 0
    sprite = pixel_art.fit(art, 16)[0]
    assert (sprite[:4] == 255).all() and (sprite[:, :4] == 255).all()
    assert (np.diff(sprite[8, :8, 0].astype(int)) <= 0).all()  # from white to black, and never back


@pytest.mark.parametrize("size", [4, 12, 32])
def test_other_sizes(tmp_path, size):
    save(noise_art(4, 4), tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path / "a.png", size), enlarged(noise_art(4, 4), size // 4))


def test_transparency_is_put_on_white(tmp_path):
    rgba = np.zeros((16, 16, 4), np.uint8)  # black that cannot be seen
    rgba[4, 5], rgba[4, 6] = (*RED, 255), (0, 100, 200, 51)  # 51: a fifth
    save(rgba, tmp_path / "a.png")
    expected = np.full((16, 16, 3), 255)
    expected[4, 5], expected[4, 6] = RED, (204, 224, 244)
    assert np.abs(read_one(tmp_path / "a.png").astype(int) - expected).max() <= 1
    _, _, notes = pixel_art.without_ground(np.asarray(open_picture(tmp_path / "a.png")[0]))
    assert notes == ["transparent", "half transparent in places"]


def test_what_is_hidden_under_transparency_does_not_shine_through_when_scaled(tmp_path):
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[30, 30] = (*RED, 255)  # so that it is neither blank nor enlarged art
    save(rgba, tmp_path / "a.png")
    sprite = read_one(tmp_path / "a.png")
    assert (sprite != 255).any(axis=2).sum() == 1


def palette_picture():
    """Three colours of a palette, of which number 0 is to be transparent; and what must be seen."""
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([*GREEN, *RED, *BLUE])
    picture.putpixel((3, 2), 1)
    picture.putpixel((4, 2), 2)
    expected = np.full((16, 16, 3), 255, np.uint8)
    expected[2, 3], expected[2, 4] = RED, BLUE
    return picture, expected


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palettes_with_and_without_transparency(tmp_path, name):
    picture, expected = palette_picture()
    picture.save(tmp_path / name, transparency=0)
    np.testing.assert_array_equal(opened(tmp_path / name), expected)
    picture.save(tmp_path / name)
    expected[(expected == 255).all(axis=2)] = GREEN
    np.testing.assert_array_equal(opened(tmp_path / name), expected)


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(tmp_path / "b.png", save_all=True, append_images=frames[1:])
    for name in ("a.gif", "a.webp", "b.png"):
        assert (opened(tmp_path / name) == RED).all() and open_picture(tmp_path / name)[1] == ["animated"]


def test_one_bit(tmp_path):
    bits = np.random.default_rng(0).random((16, 16)) < 0.5
    for name in ("a.png", "a.bmp", "a.tiff"):
        Image.fromarray(bits).save(tmp_path / name)
        np.testing.assert_array_equal(opened(tmp_path / name), np.where(bits, 255, 0)[:, :, None].repeat(3, axis=2))


def test_greys_of_8_and_16_bits(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    expected = grey[:, :, None].repeat(3, axis=2)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "b.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "b.tif")
    for name in ("a.png", "b.png", "b.tif"):
        np.testing.assert_array_equal(opened(tmp_path / name), expected)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "c.png", transparency=int(grey[0, 0]) * 257)
    expected[grey == grey[0, 0]] = 255
    np.testing.assert_array_equal(opened(tmp_path / "c.png"), expected)


def test_other_modes(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    assert np.abs(opened(tmp_path / "a.tif").astype(int) - (255, 0, 0)).max() <= 2
    Image.new("LA", (16, 16), (0, 51)).save(tmp_path / "b.png")
    assert np.abs(opened(tmp_path / "b.png").astype(int) - 204).max() <= 1


def test_numbers_of_32_bits_are_refused(tmp_path):
    for name, kind in (("a.tif", np.int32), ("b.tif", np.float32)):
        Image.fromarray(np.zeros((16, 16), kind)).save(tmp_path / name)
        with pytest.raises(ValueError, match="32 bits"):
            open_picture(tmp_path / name)


def test_a_phone_held_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    save(noise_art(16, 16), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), np.rot90(noise_art(16, 16), k=-1))


def test_a_huge_picture(tmp_path):
    art = np.full((2500, 3000, 3), 255, np.uint8)
    art[500:2001, 700:2301] = RED
    save(art, tmp_path / "a.png", compress_level=1)
    sprite = read_one(tmp_path / "a.png")
    assert (sprite[1:-1] == RED).all()  # 1501 × 1601, without the margins


def test_a_strip_is_refused_before_it_takes_all_memory(tmp_path):
    save(noise_art(1, 20_000), tmp_path / "a.png")
    with pytest.raises(ValueError, match="20000×1 is too narrow for 16×16"):
        read_one(tmp_path / "a.png")
    save(noise_art(1, 16), tmp_path / "a.png")
    np.testing.assert_array_equal(read_one(tmp_path / "a.png"), in_the_middle(noise_art(1, 16)))


# ------------------------------------------------------------------------------------ whole folders


def test_folders_are_classes(folder):
    own = read_folder(folder)
    assert own.sprites.dtype == np.uint8 and own.sprites.shape == (6, 16, 16, 3)
    assert own.labels.dtype == np.float32
    np.testing.assert_array_equal(own.labels, [[1, 0]] * 3 + [[0, 1]] * 3)
    assert own.class_names == ("food", "hero")
    for i, seed in enumerate((0, 1, 2, 10, 11, 12)):
        np.testing.assert_array_equal(own.sprites[i], noise_art(16, 16, seed))
    assert own.report.splitlines() == [
        "6 sprites of 16×16: 3 food, 3 hero",
        "own sizes: 16×16 (6)",
        "memory: 0.0 MB, as tensors for training 0.0 MB",
        "Careful: 6 pictures are few. A network will learn them by heart and copy them.",
    ]


def test_no_folders_are_one_class(folder):
    own = read_folder(str(folder / "food"))
    assert own.sprites.shape == (3, 16, 16, 3) and own.class_names == ("food",)
    np.testing.assert_array_equal(own.labels, [[1]] * 3)


def test_nested_folders_belong_to_the_class_above(folder):
    save(noise_art(16, 16, seed=5), folder / "food/fruit/red/apple.PNG")
    own = read_folder(folder)
    assert len(own.sprites) == 7 and own.class_names == ("food", "hero") and own.labels[:, 0].sum() == 4
    assert "1 in a folder inside a class folder: they count as that class" in own.report
    np.testing.assert_array_equal(own.sprites[3], noise_art(16, 16, seed=5))


def test_unicode_names(tmp_path):
    save(noise_art(16, 16), tmp_path / unicodedata.normalize("NFD", "Gemüse") / "Möhre 🥕.png")
    save(noise_art(16, 16, seed=1), tmp_path / "剣/一.png")
    assert read_folder(tmp_path).class_names == ("Gemüse", "剣")


def test_what_the_report_says(folder):
    rgba = np.zeros((48, 60, 4), np.uint8)
    rgba[20, 21, 3] = 255
    save(rgba, folder / "food/large.png")
    Image.new("RGB", (500, 500), "white").save(folder / "food/blank.png")
    save(noise_art(200, 200), folder / "hero/sheet.png")
    (folder / "hero/cut.png").write_bytes((folder / "hero/sheet.png").read_bytes()[:5000])
    (folder / "hero/empty.gif").touch()
    (folder / "hero/text.png").write_text("not a picture")
    (folder / "hero/Thumbs.db").touch()
    (folder / "notes.txt").touch()
    (folder / ".DS_Store.png").touch()
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX/._0.png").touch()
    own = read_folder(folder)
    assert len(own.sprites) == len(own.labels) == 8 and own.class_names == ("food", "hero")
    assert own.report.splitlines() == [
        "8 sprites of 16×16: 4 food, 4 hero",
        "own sizes: 16×16 (6), 60×48 (1), 200×200 (1)",
        "1 transparent: put on white",
        "1 cropped: empty margins are gone, the rest is in the middle",
        "1 not square: padded with white",
        "1 more than 8 times too large: little is left of a photograph; a sheet of many sprites must be cut up first",
        "3 of 12 files cannot be read:",
        "  hero/cut.png: damaged or cut short (image file is truncated)",
        "  hero/empty.gif: an empty file",
        "  hero/text.png: no picture inside",
        "1 of 12 files are left out:",
        "  food/blank.png: nothing but one colour",
        "other files left out: 2: notes.txt (no picture), hero/Thumbs.db (no picture)",
        "memory: 0.0 MB, as tensors for training 0.0 MB",
        "Careful: 8 pictures are few. A network will learn them by heart and copy them.",
    ]


def test_uneven_classes_are_reported(folder):
    for i in range(10):
        save(noise_art(16, 16, seed=100 + i), folder / f"hero/more{i}.png")
    # 3 and 13
    assert "Careful: uneven classes. The small ones will be drawn worse." in read_folder(folder).report
    (folder / "hero/more0.png").unlink()
    assert "uneven" not in read_folder(folder).report  # 3 and 12


def test_two_pictures_work_with_a_warning(tmp_path):
    for i in range(2):
        save(noise_art(16, 16, seed=i), tmp_path / f"{i}.png")
    own = read_folder(tmp_path)
    assert len(own.sprites) == 2
    assert "Careful: 2 pictures are few. A network will learn them by heart and copy them." in own.report


def test_hundreds_of_pictures(tmp_path):
    """300 of them many times over would be slow only here, where they have to be written first."""
    for i in range(300):
        save(noise_art(8, 8, seed=i), tmp_path / f"{i:03}.bmp")
    began = time.perf_counter()
    own = read_folder(tmp_path)
    assert time.perf_counter() - began < 5
    assert (
        len(own.sprites) == 300
        and "memory: 0.2 MB, as tensors for training 0.9 MB" in own.report
        and "few" not in own.report
    )
    np.testing.assert_array_equal(own.sprites[217], enlarged(noise_art(8, 8, seed=217), 2))


# ----------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("size", [0, 2, 15, -16, 16.0, "16", None])
def test_sizes_that_the_network_cannot_have(folder, size):
    with pytest.raises(ValueError, match="expected a size that is a multiple of 4, such as 16, got"):
        read_folder(folder, size)


def test_a_size_may_be_a_number_of_numpy(folder):
    assert read_folder(folder, np.int64(16)).sprites.shape[1:] == (16, 16, 3)


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder of pictures, but there is no .*missing"):
        read_folder(tmp_path / "missing")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "sprites.zip").touch()
    with pytest.raises(ValueError, match="sprites.zip is a file; unpack archives first"):
        read_folder(tmp_path / "sprites.zip")


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(ValueError, match="expected pictures in .*, got none \\(other files: 0\\); pictures end in"):
        read_folder(tmp_path)
    (tmp_path / "food").mkdir()
    (tmp_path / "food/notes.txt").touch()
    with pytest.raises(ValueError, match="got none \\(other files: 1\\)"):
        read_folder(tmp_path)


def test_a_single_picture(tmp_path):
    save(noise_art(16, 16), tmp_path / "a.png")
    with pytest.raises(
        ValueError,
        match="expected two different pictures or more, because one teaches only itself; got 1 in",
    ):
        read_folder(tmp_path)
    (tmp_path / "b.png").touch()
    with pytest.raises(ValueError, match=r"got 1 in all\n1 of 2 files cannot be read:\n  b.png: an empty file"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("empty", "beside", "words"),
    [
        (["spell/", "weapon/"], [], "in every class folder, got none in spell, weapon; pictures end in .png"),
        (["spell/a.png"], [], "expected pictures of spell that can be read; got 6 in all\n1 of 7 files"),
        ([], ["sheet.png"], "or no folders at all, got 1 beside the folders, such as sheet.png"),
    ],
)
def test_class_folders_that_cannot_be_used(folder, empty, beside, words):
    for name in empty:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).mkdir() if name.endswith("/") else (folder / name).touch()
    for name in beside:
        save(noise_art(16, 16), folder / name)
    with pytest.raises(ValueError, match=words):
        read_folder(folder)


@pytest.mark.parametrize(("name", "other"), [("hero", "hero "), ("gemüse", "gemu\u0308se"), ("Elf", "elf")])
def test_classes_of_the_same_name(folder, name, other):
    for used in (name, other):
        save(noise_art(16, 16), folder / used / "a.png")
    if len([*folder.iterdir()]) < (3 if name == "hero" else 4):
        pytest.skip("this file system does not tell the names apart")
    with pytest.raises(
        ValueError,
        match=f"expected a different name for each class, got more than one {name.lower()}",
    ):
        read_folder(folder)


def test_more_than_half_is_broken(folder):
    for i in range(6):
        (folder / f"food/broken{i:02}.png").touch()
    assert len(read_folder(folder).sprites) == 6  # exactly half
    for i in range(6, 12):
        (folder / f"food/broken{i:02}.png").write_text("not a picture")
    with pytest.raises(ValueError, match="expected that at least half of the files can be read; got 6 in all") as error:
        read_folder(folder)
    lines = str(error.value).splitlines()
    assert lines[1:3] == ["12 of 18 files cannot be read:", "  food/broken00.png: an empty file"]
    assert lines[-1] == "  and 2 more" and len(lines) == 13


# -------------------------------------------------------------------------------------------- files


def test_saved_arrays_are_those_that_the_course_loads(folder, tmp_path):
    own = read_folder(folder)
    files = save_arrays(tmp_path / "new/arrays", own.sprites, own.labels)
    loaded = du.load_sprites(*files)
    np.testing.assert_array_equal(loaded[0], own.sprites)
    np.testing.assert_array_equal(loaded[1], own.labels)
    assert sorted(path.name for path in (tmp_path / "new/arrays").iterdir()) == [
        "my_labels.npy",
        "my_sprites.npy",
    ]
    assert len(du.CustomDataset(*files, du.transform)) == 6


def test_a_stopped_save_leaves_the_old_files(folder, tmp_path, monkeypatch):
    own = read_folder(folder)
    files = save_arrays(tmp_path, own.sprites, own.labels)
    whole_save = np.save

    def stopped(path, array):
        whole_save(path, array[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(own_sprites.np, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        save_arrays(tmp_path, own.sprites[:3], own.labels[:3])
    assert len(du.load_sprites(*files)[0]) == 6


def test_copies_are_counted_and_no_substitute_for_a_second_picture(folder, tmp_path):
    (folder / "hero/copy.png").write_bytes((folder / "hero/0.png").read_bytes())
    own = read_folder(folder)
    assert len(own.sprites) == 7 and "1 equal to another: a copy teaches nothing new" in own.report
    for name in ("a", "b"):
        save(noise_art(16, 16), tmp_path / f"twins/{name}.png")
    with pytest.raises(ValueError, match="expected two different pictures or more.*; got 2 in all"):
        read_folder(tmp_path / "twins")


def test_a_picture_of_too_many_pixels_is_left_out_before_it_is_unpacked(tmp_path):
    Image.new("1", (8000, 5001)).save(tmp_path / "map.png")
    with pytest.raises(ValueError, match="8000×5001 is more than 40 million pixels"):
        open_picture(tmp_path / "map.png")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these systems know no names that are no text")
def test_names_from_old_archives_can_be_printed(tmp_path):
    folder = tmp_path / os.fsdecode(b"k\xf6nig")  # Latin-1, which is no UTF-8
    folder.mkdir()
    for i in range(3):
        save(noise_art(16, 16, seed=i), folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"")
    own = read_folder(tmp_path)
    assert own.class_names == ("könig",) and "könig/broken.png" in own.report.encode("utf-8").decode()

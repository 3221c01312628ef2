"""What the capstone writes and says: sprites as files, figures and advice, and the command."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

import diffusion_utilities as du
from Capstone import measure as default_runs
from Capstone import own_figures, own_model, own_pictures, own_sprites
from Capstone.own_figures import advice, as_table, measure
from Capstone.own_model import OwnRun
from Capstone.own_pictures import cut_out, draw_files, file_name, palette_of, snapped, write_sprites
from data.make_sprites import draw_sprite
from support.files import ROOT

WHITE = (255, 255, 255)
KINDS = (("spell", "gem"), ("non-hero", "ghost"))


@pytest.fixture(scope="module")
def course():
    return du.load_sprites(ROOT / "data/sprites_1788_16x16.npy", ROOT / "data/sprite_labels_nc_1788_16x16.npy")


# ----------------------------------------------------------------------------------------- one sprite


def outside(white):
    """Which white pixels (h, w) can be reached from the border, by growing step by step."""
    reached = np.pad(white, 1, constant_values=True)
    inside = reached.copy()
    reached[1:-1, 1:-1] = False
    while True:
        grown = reached.copy()
        for axis in (0, 1):
            for shift in (-1, 1):
                grown |= np.roll(reached, shift, axis)
        grown &= inside
        if (grown == reached).all():
            return reached[1:-1, 1:-1]
        reached = grown


def test_the_ground_becomes_transparent_and_white_inside_stays(course):
    holes = 0
    for rgb in course[0][::30]:
        image = np.asarray(cut_out(rgb, WHITE))
        white = (rgb > 255 - 25).all(axis=2)
        np.testing.assert_array_equal(image[:, :, :3], rgb)
        np.testing.assert_array_equal(image[:, :, 3] == 0, outside(white))
        holes += (white & ~outside(white)).sum()
    assert holes > 20  # there was something to keep


def test_a_ground_that_is_not_quite_one_colour_and_one_that_is_not_white():
    rgb = np.random.default_rng(0).integers(96, 104, (16, 16, 3)).astype(np.uint8)
    rgb[5:9, 5:9] = 0
    alpha = np.asarray(cut_out(rgb, (100, 100, 100)))[:, :, 3]
    assert (alpha[5:9, 5:9] == 255).all() and (alpha > 0).sum() == 16


def test_few_colours(course):
    sprites = course[0][::40]
    palette = palette_of(sprites, 12)
    few = snapped(sprites, palette)
    assert few.shape == sprites.shape and len(np.unique(few.reshape(-1, 3), axis=0)) <= 12
    assert np.abs(few.astype(int) - sprites).mean() < 12
    np.testing.assert_array_equal(snapped(few, palette_of(few, 12)), few)


@pytest.mark.parametrize("colours", [0, 1, 257, 2.5, True])
def test_numbers_of_colours_that_cannot_be_meant(course, colours):
    with pytest.raises(ValueError, match="colours"):
        palette_of(course[0][:2], colours)


@pytest.mark.parametrize(
    ("name", "file"), [("ghost", "ghost"), ("a/b:c", "a_b_c"), ("Gemüse 2", "Gemüse 2"), ("..", "class")]
)
def test_file_names(name, file):
    assert file_name(name) == file


def test_files_at_size_enlarged_as_a_sheet_and_a_film(course, tmp_path):
    rows = {"hero": course[0][:3], "a/b": course[0][-3:]}
    film = np.stack([np.hstack(course[0][i : i + 2]) for i in range(5)])
    files = write_sprites(tmp_path / "new", rows, WHITE, film)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in files) == sorted(
        path.relative_to(tmp_path).as_posix() for path in (tmp_path / "new").rglob("*.*")
    )
    for i, rgb in enumerate(course[0][:3]):
        image = Image.open(tmp_path / f"new/hero_{i:02}.png")
        assert image.mode == "RGBA" and image.size == (16, 16)
        large = np.asarray(Image.open(tmp_path / f"new/large/hero_{i:02}.png"))
        np.testing.assert_array_equal(large, np.asarray(image).repeat(8, axis=0).repeat(8, axis=1))
        np.testing.assert_array_equal(np.asarray(image)[:, :, :3], rgb)
    assert Image.open(tmp_path / "new/sheet.png").size == (3 * 18 - 2, 2 * 18 - 2)
    with Image.open(tmp_path / "new/film.gif") as gif:
        assert gif.n_frames == 5 and gif.size == (128, 64)
    with pytest.raises(FileExistsError):
        write_sprites(tmp_path / "new", rows, WHITE)


# ------------------------------------------------------------------------------------ figures, advice


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A run on 80 gems and ghosts of the course's program, not trained."""
    drawn = [draw_sprite(*what, f"test/{i}").rgb for what in KINDS for i in range(40)]
    labels = np.eye(2, dtype=np.float32).repeat(40, axis=0)
    sources = tuple(map(str, range(80)))
    pictures = own_sprites.OwnSprites(np.stack(drawn), labels, ("gem", "ghost"), WHITE, sources, "")
    return OwnRun(pictures, tmp_path_factory.mktemp("own") / "mine", device="cpu")


def drawing(monkeypatch, pictures):
    """Let the run draw these pictures: a function of the contexts (n, classes)."""
    monkeypatch.setattr(OwnRun, "draw", lambda run, wanted, **options: pictures(wanted))


def taken_from(images, labels, noise=0.0):
    """For each context a picture of that class, in turn."""

    def pictures(wanted):
        members = [torch.nonzero(labels[:, k]).squeeze(1) for k in range(labels.shape[1])]
        chosen = [members[k][i % len(members[k])] for i, k in enumerate(wanted.argmax(dim=1).tolist())]
        x = images[torch.stack(chosen)]
        return (x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)

    return pictures


def test_a_ground_of_another_colour_is_measured_as_well(own, monkeypatch):
    run = object.__new__(OwnRun)
    run.__dict__ |= own.__dict__ | {"ground": (0, 0, 0)}
    white = own.split.images == 1
    run.split = dataclasses.replace(
        own.split, images=torch.where(white.all(dim=1, keepdim=True), -1.0, own.split.images)
    )
    samples = taken_from(run.split.images, run.split.labels)
    drawing(monkeypatch, samples)
    assert measure(run).ground_error == 0
    drawing(monkeypatch, lambda wanted: (samples(wanted) + 10 / 127.5).clamp(-1, 1))
    assert measure(run).ground_error == pytest.approx(10, rel=1e-3)


def test_a_network_that_copies_is_told_so(own, monkeypatch):
    drawing(monkeypatch, taken_from(own.split.images, own.split.labels))
    figures = measure(own)
    assert figures.near == 1 and figures.drawn.all_right == 1 and figures.drawn.nearest[0] == 0
    assert figures.ground_error == 0 and figures.drawn.precision == 1
    assert any("it copies" in line for line in advice(figures, own))


def test_real_pictures_are_found_good(own, monkeypatch):
    drawing(monkeypatch, taken_from(own.split.control, own.split.control_labels))
    figures = measure(own)
    assert figures.near < 0.3
    assert figures.drawn.right == pytest.approx(figures.control.right, abs=0.1)
    assert (figures.drawn.precision, figures.drawn.recall) == (figures.control.precision, figures.control.recall)
    assert advice(figures, own) == ["Nothing stands out: by these figures the drawn sprites are like your real ones."]


def test_other_classes_and_noise_are_told(own, monkeypatch):
    drawing(monkeypatch, taken_from(own.split.control, own.split.control_labels.flip(1)))
    swapped = measure(own)
    assert swapped.drawn.all_right < 0.3
    assert any("mixed up" in line and "train on" in line for line in advice(swapped, own))
    drawing(monkeypatch, lambda wanted: torch.randn(len(wanted), 3, 16, 16).clamp(-1, 1))
    words = " ".join(advice(measure(own), own))
    assert "farther from your pictures" in words and "The ground is off by" in words


def test_a_dull_network_is_told(own, monkeypatch):
    one = own.split.control[:1]
    drawing(monkeypatch, lambda wanted: one.repeat(len(wanted), 1, 1, 1))
    assert any("less varied" in line for line in advice(measure(own), own))


def test_what_does_not_exist_is_left_out(own, monkeypatch):
    """No nan: for a class without control, for no control at all, for pictures without a ground."""
    run = object.__new__(OwnRun)
    run.__dict__ |= own.__dict__
    no_ghost = own.split.control_labels[:, 1] == 0
    drawing(monkeypatch, taken_from(own.split.images, own.split.labels, noise=0.1))
    for keep in (no_ghost, torch.zeros_like(no_ghost)):
        run.split = dataclasses.replace(
            own.split, control=own.split.control[keep], control_labels=own.split.control_labels[keep]
        )
        figures = measure(run)
        text = as_table(figures) + " ".join(advice(figures, run))
        assert "nan" not in text and "None" not in text
    assert figures.control is None and "nothing to compare with" in text
    run.split = dataclasses.replace(own.split, images=torch.rand(own.split.images.shape) - 0.5)
    assert measure(run).ground_error is None


# ---------------------------------------------------------------------------------------- the command


@pytest.fixture
def folder(course, tmp_path, monkeypatch):
    """Two folders of 15 sprites, and a narrow network in the place of the usual one."""
    sprites, labels = course
    for k, name in enumerate(("food", "spell"), start=2):
        (tmp_path / "art" / name).mkdir(parents=True)
        for i in np.flatnonzero(labels[:, k])[:15]:
            Image.fromarray(sprites[i]).save(tmp_path / f"art/{name}/{i}.png")
    wide = du.ContextUnet
    monkeypatch.setattr(own_model, "ContextUnet", lambda c, _, k, h: wide(c, 8, k, h))
    monkeypatch.setattr(own_model, "bf16_is_faster", lambda device: False)
    monkeypatch.setattr(own_figures, "EACH", 5)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "art"


def test_from_a_folder_to_sprites_and_a_report(folder, tmp_path, capsys):
    call = [str(folder), "--start", "nothing", "--minutes", "0.01", "--each", "2", "--colours", "8"]
    own_sprites.main(call)
    said = capsys.readouterr().out
    out = tmp_path / "art_model"
    assert (out / "art_model.pth").is_file()
    steps = json.loads((out / "art_model.json").read_text(encoding="utf-8"))["steps"]
    drawn = out / f"drawn_after_{steps}_steps"
    assert {path.name for path in drawn.iterdir()} == {
        "food_00.png", "food_01.png", "spell_00.png", "spell_01.png", "large", "sheet.png", "film.gif", "report.md",
    }  # fmt: skip
    report = (drawn / "report.md").read_text(encoding="utf-8")
    assert "30 sprites of 16×16: 15 food, 15 spell" in report and "recognised as the class asked for" in report
    assert "| pictures |" in said and f"{steps} steps of training, {steps} in all" in said
    pixels = np.asarray(Image.open(drawn / "sheet.png").convert("RGBA")).reshape(-1, 4)
    assert len(np.unique(pixels[pixels[:, 3] > 0][:, :3], axis=0)) <= 8
    before = {path: path.read_bytes() for path in drawn.rglob("*.*")}
    own_sprites.main([*call[:-2], "--minutes", "0"])  # draws again, beside the first
    assert (out / f"drawn_after_{steps}_steps_2/sheet.png").is_file()
    assert {path: path.read_bytes() for path in drawn.rglob("*.*")} == before
    own_sprites.main(call)
    assert json.loads((out / "art_model.json").read_text(encoding="utf-8"))["steps"] > steps


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--size", "15"], "expected a size that is a multiple of 4"),
        (["--minutes", "0", "--start", "nothing"], "expected some --minutes"),
        (["--minutes", "-1"], "minutes"),
        (["--start", "missing.pth"], "missing.pth"),
        (["--cell", "0"], "cell"),
        (["--out", "."], "expected a new folder"),
        (["--colours", "1", "--start", "nothing", "--minutes", "0.01"], "colours"),
        (["--each", "0", "--start", "nothing", "--minutes", "0.01"], "each"),
        (["--hue", "9"], "hue"),
    ],
)
def test_mistakes_are_told_in_one_line(folder, more, words, capsys):
    with pytest.raises(SystemExit) as stop:
        own_sprites.main([str(folder), *more])
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert stop.value.code == 2 and words in told and told.startswith("own_sprites: error:")


def test_a_missing_folder(tmp_path, capsys):
    with pytest.raises(SystemExit):
        own_sprites.main([str(tmp_path / "missing")])
    assert "there is no" in capsys.readouterr().err


def test_nothing_is_drawn_over(tmp_path):
    assert own_pictures.new_folder(tmp_path / "x") == tmp_path / "x"
    for name in ("x", "x_2"):
        (tmp_path / name).mkdir()
    assert own_pictures.new_folder(tmp_path / "x").name == "x_3"


def test_the_film_shows_each_class_from_noise_to_the_end(own, tmp_path):
    run = object.__new__(OwnRun)
    run.__dict__ |= own.__dict__ | {"folder": tmp_path}
    with Image.open(draw_files(run, each=1) / "film.gif") as gif:
        assert gif.size == (2 * 16 * 4, 16 * 4) and gif.n_frames == 26


# ------------------------------------------------------------------------------ how good a default run is


def test_pixel_art_at_twice_its_size_has_rounded_stairs():
    stairs = np.zeros((3, 3, 1), np.uint8)
    stairs[1:, 1:] = 9  # a corner at the upper left
    double = default_runs.smoothed_double(stairs.repeat(3, axis=2))[..., 0]
    expected = stairs[..., 0].repeat(2, axis=0).repeat(2, axis=1)
    expected[2, 2] = 0  # the corner is cut off, all else stays
    np.testing.assert_array_equal(double, expected)


def test_none_of_the_made_up_sprites_is_the_courses_own(course):
    known = {rgb.tobytes() for rgb in course[0]}
    drawn = [rgb.tobytes() for rgb in default_runs.draw_kind("spell", "gem", 30)]
    assert len(set(drawn)) == 30 and not known & set(drawn)


def test_the_table_of_default_runs(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(default_runs, "FOLDERS", {"two": (default_runs.TWO, 12, 32)})
    monkeypatch.setattr(own_model, "CHECK_EVERY", 1)
    arguments = ["measure", "--minutes", "0.02", "--out", str(tmp_path / "F.md")]
    monkeypatch.setattr("sys.argv", arguments)
    default_runs.main()
    page = (tmp_path / "F.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| two"))
    assert row.count("|") == 9 and row.count("±") == 5 and "nan" not in row


# ------------------------------------------------------------------------------------- the notebook


def test_what_was_seen_is_shown_for_the_example_only(tmp_path):
    cells = json.loads((ROOT / "Capstone/Capstone.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (define,) = [source for source in sources if "def seen(" in source]
    shown = [source[6:-2] for source in sources if source.startswith('seen("')]
    space = {"ROOT": ROOT, "Markdown": str, "EXAMPLE": tmp_path, "FOLDER": tmp_path}
    exec(define, space)
    text = (ROOT / "Capstone/example.md").read_text(encoding="utf-8")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == shown
    assert all(len(space["seen"](what)) > 40 for what in shown)
    space["FOLDER"] = tmp_path / "mine"
    assert all(space["seen"](what) is None for what in shown)

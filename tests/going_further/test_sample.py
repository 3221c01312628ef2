"""The sampling script: pictures, animations and film strips from a checkpoint, and clear words where there are none."""

import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

import diffusion_utilities as du
from diffusion_utilities import Clipped
from going_further import sample
from going_further.predictions import OBJECTIVES
from going_further.unet import UNet

CLASSES = ["cat", "dog", "1"]


@pytest.fixture(scope="module")
def make_checkpoint(tmp_path_factory):
    """A function that writes a checkpoint with random weights and gives its path."""

    def make(channels=3, classes=CLASSES, timesteps=60):
        torch.manual_seed(0)
        unet = {"in_channels": channels, "out_channels": channels, "dim": 8, "dim_mults": [1, 2]}
        unet |= {
            "attns": [False, True],
            "n_blocks": 1,
            "groups": 8,
            "n_classes": len(classes) or None,
            "height": 8,
        }
        net = UNet(**unet)
        for parameter in net.parameters():  # a fresh network predicts 0, whatever it is asked
            torch.nn.init.normal_(parameter, std=0.2)
        config = {
            "dataset": "custom",
            "image_size": 8,
            "timesteps": timesteps,
            "schedule": "cosine",
        }
        config |= {"class_names": classes, "unet": unet, "training": {}}
        path = tmp_path_factory.mktemp("checkpoints") / "model.pt"
        du.save_weights({"config": config, "ema": net.state_dict()}, path)
        return path

    return make


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint()


def run(checkpoint, out, *more):
    """Draw four pictures in five steps; the bytes of the file."""
    few = [
        "--checkpoint",
        checkpoint,
        "--num-samples",
        4,
        "--sampler",
        "ddim",
        "--steps",
        5,
        "--out",
        out,
    ]
    sample.main([*map(str, few), *map(str, more)])
    assert not list(out.parent.glob("*.part"))
    return out.read_bytes()


# -------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("sampler", [["ddpm"], ["ddim", "--steps", "7"], ["dpm++", "--steps", "3"], ["ddim"]])
def test_grid_of_each_sampler(checkpoint, tmp_path, sampler, capsys):
    out = tmp_path / "new" / "grid.png"
    sample.main(
        [
            "--checkpoint",
            str(checkpoint),
            "--num-samples",
            "5",
            "--sampler",
            *sampler,
            "--out",
            str(out),
        ]
    )
    with Image.open(out) as image:
        # 3 columns, 8 times as large
        assert image.format == "PNG" and image.size == (8 * (3 * 9 + 1), 8 * (2 * 9 + 1))
        assert len(image.getcolors(10**6)) > 10
    assert capsys.readouterr().out == f"done: {out}\n"


def test_grey_pictures(make_checkpoint, tmp_path):
    run(make_checkpoint(channels=1, classes=[]), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        red, green, blue = np.moveaxis(np.asarray(image), 2, 0)
    assert (red == green).all() and (green == blue).all() and len(np.unique(red)) > 3


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_gets_each_picture_as_it_is(make_checkpoint, tmp_path, capsys, channels):
    checkpoint, out = make_checkpoint(channels=channels), tmp_path / "new" / "drawn"
    few = ["--checkpoint", checkpoint, "--num-samples", 4, "--sampler", "ddim", "--steps", 5]
    few = [*map(str, few)]
    sample.main([*few, "--out", str(out)])
    sample.main([*few, "--out", str(tmp_path / "grid.png")])
    assert sorted(path.name for path in out.iterdir()) == [f"0000{i}.png" for i in range(4)]
    with Image.open(tmp_path / "grid.png") as image:
        grid = np.asarray(image)[::8, ::8]  # 8 times as large, lines between the pictures
    for i, path in enumerate(sorted(out.iterdir())):
        with Image.open(path) as image:
            assert image.size == (8, 8) and image.mode == {1: "L", 3: "RGB"}[channels]
            row, column = 1 + 9 * (i // 2), 1 + 9 * (i % 2)
            assert (np.asarray(image.convert("RGB")) == grid[row : row + 8, column : column + 8]).all()
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SystemExit) as error:
        sample.main([*few, "--seed", "1", "--out", str(out)])
    assert error.value.code == 2 and "holds 00000.png already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_bf16_changes_the_pictures_a_little(checkpoint, tmp_path):
    run(checkpoint, tmp_path / "plain.png")
    run(checkpoint, tmp_path / "bf16.png", "--bf16")
    plain, bf16 = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("plain", "bf16"))
    assert 0 < np.abs(plain - bf16).mean() < 5


@torch.no_grad()
def test_bf16_answers_in_the_digits_of_the_model(checkpoint):
    """Also of one that answers in float64, because x̂_0 stands in its last digits."""
    net, schedule, _ = sample.checkpoints.load_model(checkpoint, "cpu")
    x = torch.randn(2, 3, 8, 8)
    exact, bf16 = net(x, 0.5), sample.InBf16(net)(x, 0.5)
    assert bf16.dtype == torch.float32
    assert 1e-4 < (exact - bf16).norm() / exact.norm() < 0.05
    assert sample.InBf16(OBJECTIVES["x0"](net, schedule))(x, 0.5).dtype == torch.float64


def test_bf16_on_a_cpu_leaves_the_layout(checkpoint):
    model = du.faster(Clipped(sample.InBf16(sample.checkpoints.load_model(checkpoint, "cpu")[0])))
    assert model.model.model.init_conv.weight.is_contiguous()


def test_animation_ends_with_the_pictures(checkpoint, tmp_path):
    run(checkpoint, tmp_path / "way.gif")
    run(checkpoint, tmp_path / "grid.png")
    with Image.open(tmp_path / "way.gif") as animation, Image.open(tmp_path / "grid.png") as grid:
        assert animation.n_frames == 6 and animation.info["duration"] < 200
        animation.seek(5)
        assert animation.info["duration"] == 2000
        difference = np.asarray(animation.convert("RGB")).astype(int) - np.asarray(grid.convert("RGB"))
    assert np.abs(difference).mean() < 10  # a GIF has only 256 colours


@pytest.mark.parametrize("classes", [CLASSES, []])
def test_film_strip(make_checkpoint, tmp_path, classes):
    run(
        make_checkpoint(classes=classes),
        tmp_path / "strip.png",
        "--progressive",
        "--steps",
        20,
        "--num-samples",
        1,
    )
    with Image.open(tmp_path / "strip.png") as image:
        assert image.format == "PNG" and image.size[0] == 900


def test_a_seed_is_one_result(checkpoint, tmp_path):
    first = run(checkpoint, tmp_path / "1.png", "--seed", 1)
    assert run(checkpoint, tmp_path / "2.png", "--seed", 1) == first != run(checkpoint, tmp_path / "3.png", "--seed", 2)


def test_class_and_guidance_matter(checkpoint, tmp_path):
    options = (["--class-id", 0], ["--class-id", 1], ["--class-id", 0, "--guidance", 3], [])
    assert len({run(checkpoint, tmp_path / "out.png", *map(str, option)) for option in options}) == 4


# -------------------------------------------------------------------------------------------- parts


def test_classes_by_name_and_number():
    assert torch.equal(sample.class_context(["cat", "dog"], "1", 2), torch.eye(2)[[1, 1]])
    assert torch.equal(sample.class_context(["cat", "dog"], "cat", 1), torch.eye(2)[[0]])
    # a name comes first
    assert torch.equal(sample.class_context(CLASSES, "1", 1), torch.eye(3)[[2]])
    assert torch.equal(sample.class_context(["cat", "dog"], None, 3), torch.eye(2)[[0, 1, 0]])
    assert sample.class_context([], None, 3) is None


@pytest.fixture
def net():
    torch.manual_seed(0)
    schedule = du.linear_schedule(60)
    unet = UNet(3, 3, 8, (1, 2), (False, True), 1, n_classes=2, height=8)
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return Clipped(unet.eval(), schedule)


@pytest.mark.parametrize(
    ("sampler", "steps", "function"),
    [
        ("ddpm", None, du.sample_ddpm_context),
        ("ddim", 7, du.sample_ddim_context),
        ("dpm++", 7, du.sample_dpm_context),
    ],
)
def test_samplers_are_those_of_the_module(net, sampler, steps, function):
    context = torch.eye(2)
    frames, levels = sample.draw(net, context, 2, sampler, steps, guidance=2, seed=3, progress=False)
    given = [steps] if steps else []
    options = {"guidance": 2, "seed": 3, "progress": False}
    expected, _ = function(2, context, *given, save_rate=60, model=net, schedule=net.schedule, **options)
    np.testing.assert_array_equal(frames[-1], expected.numpy())
    assert len(frames) == len(levels) and levels[0] == 60 and levels[-1] == 0
    assert levels == sorted(levels, reverse=True) and len(levels) <= sample.FRAMES + 1


@pytest.mark.parametrize(
    ("sampler", "function", "usual", "steps", "others"),
    [
        ("ddim", du.sample_ddim_context, 0.0, 50, [0.5, 1.0]),
        ("dpm++", du.sample_dpm_context, math.inf, 10, [0.0, 1.0, 2.0]),
    ],
)
def test_eta_and_what_is_usual_without_it(net, sampler, function, usual, steps, others):
    pictures = []
    for eta in (None, usual, *others):
        frames, _ = sample.draw(net, torch.eye(2), 2, sampler, eta=eta, seed=3, progress=False)
        options = {"model": net, "schedule": net.schedule, "seed": 3, "progress": False}
        expected, _ = function(2, torch.eye(2), steps, eta=usual if eta is None else eta, **options)
        np.testing.assert_array_equal(frames[-1], expected.numpy())
        pictures.append(frames[-1].tobytes())
    assert pictures[0] == pictures[1] and len(set(pictures)) == 1 + len(others)


def test_guidance_above_1_is_without_fresh_noise_unless_asked_for(net):
    usual = {w: sample.choose_eta("dpm++", None, w) for w in (0, 1, 1.5, 4)}
    assert usual == {0: math.inf, 1: math.inf, 1.5: 0, 4: 0}
    assert sample.choose_eta("dpm++", math.inf, 4) == math.inf and sample.choose_eta("ddpm", None, 4) is None
    options = {"guidance": 4, "seed": 3, "progress": False}
    frames, _ = sample.draw(net, torch.eye(2), 2, "dpm++", **options)
    expected, _ = du.sample_dpm_context(2, torch.eye(2), 10, eta=0, model=net, schedule=net.schedule, **options)
    np.testing.assert_array_equal(frames[-1], expected.numpy())


@pytest.mark.parametrize("option", [["ddim", "--eta", "1"], ["dpm++", "--eta", "0"], ["dpm++", "--eta", "inf"]])
def test_command_hands_eta_on(checkpoint, tmp_path, option):
    picture = run(checkpoint, tmp_path / "asked.png", "--sampler", *option)
    usual = run(checkpoint, tmp_path / "usual.png", "--sampler", option[0])
    assert (picture == usual) == (option[-1] == "inf")


@pytest.mark.parametrize(
    ("sampler", "eta"),
    [("ddpm", 1.0), ("ddim", -0.1), ("ddim", 1.1), ("dpm++", -1.0), ("dpm++", math.nan)],
)
def test_eta_that_cannot_be(net, sampler, eta):
    with pytest.raises(ValueError, match="--eta"):
        sample.draw(net, None, 1, sampler, eta=eta, progress=False)


def test_levels_are_those_of_the_frames(net):
    """DDIM of a network that always guesses grey: x_t = √(1-ᾱ_t) / √(1-ᾱ_T) x_T says where each frame is."""

    class Grey(torch.nn.Module):
        in_channels, h, schedule = 3, 8, net.schedule

        def forward(self, x, t, c=None):
            return x / (1 - self.schedule.ab_t[round(float(t) * 60)]).sqrt()

    frames, levels = sample.draw(Grey(), None, 1, "ddim", 49, progress=False)
    ab_t = net.schedule.ab_t.numpy()[levels]
    expected = np.sqrt((1 - ab_t) / (1 - ab_t[0]))
    np.testing.assert_allclose(frames.std(axis=(1, 2, 3, 4)) / frames[0].std(), expected, atol=1e-5)


def test_default_steps_fit_a_short_schedule(make_checkpoint, tmp_path):
    path = make_checkpoint(timesteps=10)
    out = tmp_path / "grid.png"
    sample.main(["--checkpoint", str(path), "--num-samples", "1", "--sampler", "ddim", "--out", str(out)])
    assert out.exists()


@torch.no_grad()
def test_each_guess_is_the_guided_one_from_the_pictures_beside_it(net):
    context = torch.eye(2)
    moments = list(sample.way(net, context, 2, "ddim", 4, guidance=3, progress=False))
    assert [t for t, _, _ in moments] == [60, 45, 30, 15, 0]
    for t, x, x0_pred in moments[:-1]:
        level = torch.tensor(t / 60)
        noise = 3 * net(x, level, context) - 2 * net(x, level, None)
        expected = du.predict_x0(x, t, noise, net.schedule)
        torch.testing.assert_close(x0_pred, expected, rtol=1e-4, atol=1e-4)
    _, result, guess = moments[-1]
    assert torch.equal(result, guess)  # clean pictures are their own guess


# ------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--checkpoint", "nowhere.pt"], "no checkpoint at nowhere.pt"),
        (["--checkpoint", du.ROOT / "README.md"], "not a complete PyTorch checkpoint"),
        (
            ["--checkpoint", du.ROOT / "weights" / "model_trained.pth"],
            "was not made by going_further/train.py",
        ),
        (["--class-id", 3], r"out of 0 \(cat\), 1 \(dog\), 2 \(1\), got '3'"),
        (["--class-id", "Cat"], "got 'Cat'"),
        (["--class-id=-1"], "got '-1'"),
        (["--steps", 61], "steps n as a whole number from 1 to 60, got 61"),
        (["--steps", 0], "--steps: expected a whole number of at least 1, got '0'"),
        (["--num-samples", 0], "--num-samples: expected a whole number of at least 1"),
        (["--seed", -1], "--seed: expected a whole number from 0 to 1000000000, got '-1'"),
        (["--seed", 10**20], "--seed: expected a whole number from 0 to 1000000000"),
        (["--progressive", "--out", "folder"], "in .png for the film strip"),
        (["--sampler", "ddpm"], "no --steps for ddpm, which always takes all 60"),
        (["--guidance", -1], "a --guidance of at least 0, got -1"),
        (["--sampler", "ddpm", "--eta", 1], "no --eta for ddpm"),
        (["--checkpoint", "nowhere.pt", "--eta", 1.5], "an --eta from 0 to 1 for ddim, got 1.5"),
        (["--eta", "nan"], "an --eta from 0 to 1 for ddim, got nan"),
        (["--sampler", "dpm++", "--eta", -1], "an --eta from 0 to inf for dpm.., got -1.0"),
        (["--sampler", "dpm++", "--eta", "nan"], "an --eta from 0 to inf for dpm.., got nan"),
        (["--guidance", "nan"], "a --guidance of at least 0, got nan"),
        (["--out", "grid.jpg"], "in .png or .gif, or a folder, got grid.jpg"),
        (["--progressive", "--out", "strip.gif"], "in .png for the film strip"),
        (["--out", du.ROOT / "README.md" / "grid.png"], "README.md"),
    ],
)
def test_clear_errors(checkpoint, tmp_path, capsys, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as info:
        run(checkpoint, tmp_path / "grid.png", *more)
    assert info.value.code == 2
    text = capsys.readouterr().err.splitlines()[-1]
    assert text.startswith("sample.py: error: ") and re.search(message, text)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_found_before_sampling(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sample, "denoising", None)
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "grid.png", tmp_path / "file"):
        with pytest.raises(SystemExit) as info:
            run(checkpoint, out)
        assert info.value.code == 2 and "sample.py: error: " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("wrong", [["--checkpoint", "nowhere.pt"], ["--steps", 61], ["--class-id", 7]])
def test_what_cannot_be_meant_makes_no_folder(checkpoint, tmp_path, wrong, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run(checkpoint, tmp_path / "new" / "grid.png", *wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("option", "value"), [("--class-id", "0"), ("--guidance", "2")])
def test_network_without_classes_takes_none(make_checkpoint, tmp_path, capsys, option, value):
    with pytest.raises(SystemExit):
        run(make_checkpoint(classes=[]), tmp_path / "grid.png", option, value)
    assert f"expected no {option}, because this network was trained without classes" in capsys.readouterr().err


def test_unknown_sampler(checkpoint, tmp_path, capsys):
    with pytest.raises(SystemExit) as info:
        run(checkpoint, tmp_path / "grid.png", "--sampler", "euler")
    assert info.value.code == 2 and "'euler'" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as info:
        sample.main(["--help"])
    assert info.value.code == 0 and "--guidance" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------- editing


@pytest.fixture
def pictures(tmp_path):
    """Files for a network of 8×8: a picture, a mask whose lower half is white, and a picture of half the size."""
    rng = np.random.default_rng(0)
    mask = np.zeros((8, 8), np.uint8)
    mask[4:] = 255
    arrays = {"init": rng.integers(0, 256, (8, 8, 3)), "mask": mask, "small": rng.integers(0, 256, (4, 4, 3))}
    arrays |= {"black": 0 * mask, "wide": rng.integers(0, 256, (8, 9, 3))}
    for name, array in arrays.items():
        Image.fromarray(array.astype(np.uint8)).save(tmp_path / f"{name}.png")
    return {name: tmp_path / f"{name}.png" for name in arrays}


def run_to_folder(checkpoint, folder, *more):
    few = ["--checkpoint", str(checkpoint), "--num-samples", "4", "--sampler", "ddim", "--steps", "5"]
    sample.main([*few, "--out", str(folder), *more])


def test_what_a_mask_keeps_stays_to_the_last_bit(checkpoint, pictures, tmp_path):
    more = ("--init", str(pictures["init"]), "--mask", str(pictures["mask"]), "--rounds", "2")
    run_to_folder(checkpoint, tmp_path / "drawn", *more)
    init = np.asarray(Image.open(pictures["init"]))
    for file in sorted((tmp_path / "drawn").iterdir()):
        picture = np.asarray(Image.open(file))
        np.testing.assert_array_equal(picture[:4], init[:4])
        assert (picture[4:] != init[4:]).any()


def test_the_half_size_is_the_small_picture(checkpoint, pictures, tmp_path):
    """Up to clipping, which this network of random weights does not need everywhere."""
    options = {"sampler": "ddim", "steps": 5, "progress": False}
    net, schedule, _ = sample.checkpoints.load_model(checkpoint)
    args = sample.sample_parser().parse_args(["--checkpoint", "x", "--upscale", str(pictures["small"])])
    edit = sample.editing(args, Clipped(net, schedule), schedule)
    *_, (_, x, _) = sample.way(Clipped(net, schedule), None, 2, **options, **edit)
    small = np.asarray(Image.open(pictures["small"])).transpose(2, 0, 1) / 127.5 - 1
    found = torch.nn.functional.avg_pool2d(x, 2).cpu().numpy()
    np.testing.assert_allclose(found, np.stack([small, small]), atol=1e-5)


def test_a_low_strength_changes_little(checkpoint, pictures, tmp_path):
    init = np.asarray(Image.open(pictures["init"])).astype(int)
    off = []
    for strength in ("0.02", "0.9"):
        folder = tmp_path / strength.replace(".", "_")
        run_to_folder(checkpoint, folder, "--init", str(pictures["init"]), "--strength", strength)
        off.append(np.mean([np.abs(np.asarray(Image.open(file)) - init).mean() for file in folder.iterdir()]))
    assert off[0] < 0.2 * off[1]


def test_jumps_are_frames_as_well(checkpoint, pictures, tmp_path):
    net, schedule, _ = sample.checkpoints.load_model(checkpoint)
    known = torch.arange(8)[:, None].expand(8, 8) < 4
    edit = {"wrap": lambda step: sample.keep_known(step, torch.zeros(1, 3, 8, 8), known, schedule), "rounds": 3}
    levels = [t for t, *_ in sample.way(Clipped(net, schedule), None, 1, "ddim", 3, progress=False, **edit)]
    assert levels == [60, 60, 60, 40, 40, 40, 20, 20, 20, 0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--init", "wide"], "wide.png of 8×8 pixels, got 9×8"),
        (["--init", "init", "--mask", "small"], "small.png of 8×8 pixels, got 4×4"),
        (["--init", "init", "--mask", "black"], "with black, to keep, and white, to draw anew; all of it is black"),
        (["--mask", "mask"], "expected --init with the picture for --mask"),
        (["--strength", "0.5"], "expected --init with the picture for --strength"),
        (["--init", "init", "--rounds", "2"], "expected --mask with --rounds"),
        (["--init", "init", "--strength", "1.5"], "--strength above 0 and at most 1, got 1.5"),
        (["--init", "init", "--strength", "0.5", "--mask", "mask"], "--strength or --mask, not both"),
        (["--init", "init", "--upscale", "small"], "--upscale or --init, not both"),
        (["--upscale", "init"], "init.png of 4×4 pixels, got 8×8"),
        (["--init", "nowhere"], "nowhere: No such file"),
    ],
)
def test_edits_that_cannot_be(checkpoint, pictures, tmp_path, capsys, more, words):
    more = [str(pictures.get(word, word)) for word in more]
    with pytest.raises(SystemExit, match="2"):
        run_to_folder(checkpoint, tmp_path / "drawn", *more)
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.glob("drawn/*"))

"""Measuring a checkpoint: the figures are those of the formulas, and it is said which ones they are and of what."""

import json
import math
import urllib.error

import numpy as np
import pytest
import torch
import torchmetrics.image.fid
from PIL import Image
from scipy.linalg import sqrtm

import diffusion_utilities as du
from data.make_sprites import draw_sprites, to_arrays
from diffusion_utilities import Clipped
from going_further import evaluate, sample
from going_further.schedules import SCHEDULES
from going_further.unet import UNet
from tests.going_further import exit_status


def shake(net):
    """Move all weights: a fresh UNet predicts nothing but zeros, whatever it is asked for."""
    for parameter in net.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))


def write_checkpoint(path, channels=3, height=16, classes=du.CLASS_NAMES, dataset="sprites", schedule="linear"):
    """A tiny network with random weights, as train.py would store it."""
    unet = {
        "in_channels": channels,
        "out_channels": channels,
        "dim": 8,
        "dim_mults": [1, 2],
        "attns": [False, True],
        "n_blocks": 1,
        "groups": 8,
        "n_classes": len(classes) or None,
        "height": height,
    }
    net = UNet(**unet)
    shake(net)
    config = {
        "dataset": dataset,
        "image_size": height,
        "timesteps": 20,
        "schedule": schedule,
        "class_names": list(classes),
        "unet": unet,
    }
    du.save_weights({"config": config, "ema": net.state_dict()}, path)
    return net.eval(), config


class FakeInception(torch.nn.Module):
    """Its features are the means of the three channels; its logits are these times ``fc``'s weights."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 4)
        self.seen = []

    def forward(self, x):
        assert x.dtype == torch.uint8 and x.shape[1] == 3
        self.seen.append(len(x))
        return x.float().mean(dim=(2, 3))


@pytest.fixture(autouse=True)
def quick_sprites(monkeypatch):
    """As fresh_sprites, without the second that it takes to leave out what is among the course's own."""
    monkeypatch.setattr(evaluate, "fresh_sprites", draw_sprites)


def unavailable(weights, device):
    raise evaluate.Unavailable("torch-fidelity is not installed")


def run(*arguments):
    return exit_status(evaluate.main, *arguments)


def test_command_prints_and_stores_figures_that_the_module_gives_as_well(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "load_inception", unavailable)
    net, _ = write_checkpoint(tmp_path / "tiny.pt", schedule="cosine")
    out = tmp_path / "new" / "figures.json"
    arguments = (
        "--samples",
        130,
        "--seeds",
        2,
        "--seed",
        3,
        "--sampler",
        "ddim",
        "--steps",
        2,
        "--guidance",
        50,
    )
    arguments += ("--eta", 0.5)
    assert run("--checkpoint", tmp_path / "tiny.pt", *arguments, "--out", out) == 0
    results = json.loads(out.read_text())
    assert [path.name for path in out.parent.iterdir()] == ["figures.json"]

    # the second seed, 4, once more by hand: new sprites of the generator, their classes, samples
    # that are clipped
    reference, labels = du.sprite_tensors(*to_arrays(draw_sprites(130, 104)))
    other, _ = du.sprite_tensors(*to_arrays(draw_sprites(130, 204)))
    schedule = SCHEDULES["cosine"](20)
    samples, _ = du.sample_ddim_context(
        130,
        labels,
        2,
        eta=0.5,
        guidance=50,
        model=Clipped(net, schedule),
        schedule=schedule,
        seed=4 * 10**6,
        progress=False,
    )
    classifier = du.load_classifier()
    fsd = du.frechet_sprite_distance(samples.clamp(-1, 1), reference, classifier)
    figures = results["figures"]["FSD"]
    assert figures["values"][1] == pytest.approx(fsd, rel=1e-3)
    assert figures["real_values"][1] == pytest.approx(
        du.frechet_sprite_distance(other, reference, classifier), rel=1e-3
    )
    assert figures["mean"] == pytest.approx(np.mean(figures["values"]), rel=1e-4)
    assert figures["real_std"] == pytest.approx(np.std(figures["real_values"], ddof=1), rel=1e-3)
    assert results["seeds"] == [3, 4] and results["samples"] == 130
    assert results["steps"] == 2 and results["eta"] == 0.5
    assert results["copies"]["values"] == [0, 0]

    printed = capsys.readouterr().out
    assert "130 samples by ddim in 2 steps, eta 0.5, guidance 50, seeds 3, 4" in printed
    assert "sprite classifier; no FID, because the inception features need at least 2049" in printed
    assert f"{figures['mean']:.3f} ± {figures['std']:.3f}" in printed and f"{figures['real_mean']:.3f} ±" in printed
    assert "0.0% of the samples are copies" in printed and "Careful" not in printed


@pytest.mark.parametrize(
    ("options", "steps", "eta", "said"),
    [
        (["ddpm"], 20, None, "ddpm in 20 steps, seeds"),
        (["ddim"], 20, 0, "ddim in 20 steps, eta 0, seeds"),
        (["dpm++"], 10, "inf", "dpm++ in 10 steps, eta inf, seeds"),
        (["dpm++", "--guidance", 2], 10, 0, "dpm++ in 10 steps, eta 0, guidance 2, seeds"),
    ],
)
def test_record_says_which_eta_is_usual(tmp_path, capsys, options, steps, eta, said):
    write_checkpoint(tmp_path / "tiny.pt")
    out = tmp_path / "figures.json"
    arguments = ("--samples", 129, "--seeds", 1, "--features", "sprites", "--sampler", *options)
    assert run("--checkpoint", tmp_path / "tiny.pt", *arguments, "--out", out) == 0
    record = json.loads(out.read_text(), parse_constant=pytest.fail)  # Infinity is no JSON
    assert (record["steps"], record["eta"]) == (steps, eta)
    assert said in capsys.readouterr().out


def test_fid_is_the_frechet_distance_of_the_features():
    samples, real = torch.rand(100, 3, 4, 4) * 2 - 1, (torch.rand(100, 3, 4, 4) * 2 - 1) * 0.7 + 0.3
    inception = FakeInception()
    fid = evaluate.inception_figures(samples, real, inception)["FID"]
    a, b = (inception(evaluate.to_bytes(x)).double().numpy() for x in (samples, real))
    root = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert fid == pytest.approx(expected, rel=1e-4)
    assert sum(inception.seen[:4]) == 200  # each picture passes once


def test_inception_score_counts_the_classes_that_are_drawn():
    inception = FakeInception()
    inception.fc.weight.data = 0.2 * torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]])
    # red, green, blue
    colours = torch.eye(3).repeat(100, 1)[:, :, None, None].expand(-1, -1, 2, 2) * 2 - 1
    assert evaluate.inception_figures(colours, colours, inception)["Inception Score"] == pytest.approx(3, rel=0.05)
    only_red = colours[:1].expand(300, -1, -1, -1)
    assert evaluate.inception_figures(only_red, colours, inception)["Inception Score"] == pytest.approx(1)


def test_pictures_become_bytes_and_grey_ones_get_three_channels():
    grey = torch.tensor([-1.2, -1, 0.0, 1, 1.2]).reshape(1, 1, 1, 5)
    assert evaluate.to_bytes(grey).tolist() == [[[[0, 0, 128, 255, 255]]] * 3]


def test_measure_is_inception_where_it_can_be_had_and_else_sprites_if_they_suit(monkeypatch):
    colour, grey, device = (3, 16, 16), (1, 28, 28), torch.device("cpu")
    monkeypatch.setattr(evaluate, "load_inception", lambda weights, device: FakeInception())
    for shape in (colour, grey):
        assert "features of Inception" in evaluate.choose_measure(None, shape, None, device, 2049)[1]
    measure, note = evaluate.choose_measure(None, colour, None, device, 2048)
    assert "no FID, because the inception features need at least 2049 --samples" in note
    monkeypatch.setattr(evaluate, "load_inception", unavailable)
    measure, note = evaluate.choose_measure(None, colour, None, device, 2049)
    assert "sprite classifier; no FID, because torch-fidelity is not installed" in note
    pictures = torch.rand(20, 3, 16, 16) * 2 - 1
    assert measure(pictures, pictures)["precision"] == 1
    with pytest.raises(ValueError, match="no FID, because torch-fidelity.*not for grey pictures of 28×28"):
        evaluate.choose_measure(None, grey, None, device, 2049)
    with pytest.raises(ValueError, match="^no FID, because torch-fidelity is not installed$"):
        evaluate.choose_measure("inception", colour, None, device, 2049)
    monkeypatch.setattr(evaluate, "load_inception", None)  # not even tried
    assert "FID" not in evaluate.choose_measure("sprites", colour, None, device, 129)[1]


def test_foreign_pictures_and_too_few_are_said(monkeypatch):
    given = ("sprites", (3, 16, 16), None, torch.device("cpu"))
    assert "Careful: these pictures are not the course's" in evaluate.choose_measure(*given, 129, foreign=True)[1]
    assert "Careful" not in evaluate.choose_measure(*given, 129)[1]
    with pytest.raises(ValueError, match="sprites features need at least 129 --samples.*got 128"):
        evaluate.choose_measure(*given, 128)
    classifier = du.load_classifier("cpu")
    assert classifier.class_head.in_features == evaluate.FEATURES["sprites"]


def test_copies_are_counted_mirrored_and_with_a_little_noise():
    pictures = torch.rand(20, 3, 8, 8) * 2 - 1
    others = torch.rand(5, 3, 8, 8) * 2 - 1
    near = (pictures[:2] + 0.02).flip(3)
    samples = torch.cat([others, pictures[:1], near, pictures[2:4] + 0.2])
    assert evaluate.copies(samples, pictures) == pytest.approx(3 / 10)


def test_a_network_of_your_own_pictures_says_which_option_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "load_inception", unavailable)
    write_checkpoint(tmp_path / "own.pt", classes=("a", "b"), dataset="custom")
    assert run("--checkpoint", tmp_path / "own.pt") == 2
    text = capsys.readouterr().err
    assert "expected --data with the folder of your pictures" in text and text.count("\n") == 1


def test_a_network_of_your_own_pictures_is_measured_with_a_warning(tmp_path, capsys, monkeypatch):
    for i in range(4):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (60 * i, 0, 0)).save(path)
    monkeypatch.setattr(evaluate, "FEATURES", {"inception": 2048, "sprites": 1})
    write_checkpoint(tmp_path / "own.pt", classes=("a", "b"), dataset="custom")
    monkeypatch.setattr(evaluate, "sprite_figures", lambda *sets: {"FSD": 1.0})
    copied = lambda net, context, n, *how: torch.full((n, 3, 16, 16), -1.0)  # noqa: E731
    monkeypatch.setattr(evaluate, "draw", copied)
    more = ("--features", "sprites", "--data", tmp_path / "photos", "--samples", 2)
    assert run("--checkpoint", tmp_path / "own.pt", *more) == 0
    printed = capsys.readouterr().out
    assert "Careful: these pictures are not" in printed and "100.0% of the samples are copies" in printed


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("no torch-fidelity"), "pip install torch-fidelity"),
        (urllib.error.URLError("no network"), "no network"),
        (EOFError(), "EOFError"),
    ],
)
def test_inception_that_cannot_be_had_says_why(error, message, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(torchmetrics.image.fid, "NoTrainInceptionV3", fail)
    with pytest.raises(evaluate.Unavailable, match=message):
        evaluate.load_inception(None, torch.device("cpu"))


@pytest.fixture
def photos(tmp_path):
    """Twelve pictures, each of its own colour, in two classes."""
    for i in range(12):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(path)
    return tmp_path / "photos"


def test_real_pictures_of_a_set_are_taken_once_each_and_by_the_seed(photos):
    config = {"dataset": "custom", "image_size": 8, "class_names": ["a", "b"]}
    data = evaluate.training_pictures(config, photos)
    reference, other, labels = evaluate.real_pictures(config, data, 6, seed=1, fresh=False)
    colours = torch.cat([reference, other])[:, 0, 0, 0]
    assert len(colours.unique()) == 12
    numbers = ((reference[:, 0, 0, 0] + 1) * 127.5 / 20).round().long()
    assert torch.equal(labels, torch.eye(2)[numbers % 2])
    assert torch.equal(evaluate.real_pictures(config, data, 6, 1, fresh=False)[0], reference)
    assert not torch.equal(evaluate.real_pictures(config, data, 6, 2, fresh=False)[0], reference)
    with pytest.raises(ValueError, match="at most 6 samples.*there are 12, got 7"):
        evaluate.real_pictures(config, data, 7, 1, fresh=False)
    with pytest.raises(ValueError, match="of the classes \\['a', 'z'\\], got \\['a', 'b'\\]"):
        evaluate.training_pictures(config | {"class_names": ["a", "z"]}, photos)
    assert evaluate.real_pictures(config | {"class_names": []}, data, 6, 1, fresh=False)[2] is None


def test_samples_are_drawn_in_parts_each_with_noise_and_classes_of_its_own(monkeypatch):
    monkeypatch.setattr(evaluate, "PART", 4)
    schedule = SCHEDULES["linear"](20)
    net, context = UNet(3, 3, 8, (1, 2), (False, True), 1, n_classes=10).eval(), torch.eye(10)
    shake(net)
    net = Clipped(net, schedule)
    drawn = evaluate.draw(net, context, 10, "ddim", 2, eta=1.0, guidance=1.0, seed=3)
    assert drawn.shape == (10, 3, 16, 16) and drawn.abs().max() <= 1
    assert len(drawn.unique(dim=0)) == 10
    last, _ = sample.draw(net, context[8:], 2, "ddim", 2, eta=1.0, seed=3 * 10**6 + 8, progress=False)
    torch.testing.assert_close(drawn[8:], torch.from_numpy(last[-1]).clamp(-1, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--checkpoint", "missing.pt"), "no checkpoint at missing.pt"),
        (("--checkpoint", "foreign.pt"), "was not made by"),
        (("--checkpoint", "tiny.pt", "--samples", 5), "the sprites features need at least 129"),
        (("--checkpoint", "tiny.pt", "--seeds", 0), "of at least 1, got '0'"),
        (("--checkpoint", "tiny.pt", "--seed", -1), "from 0 to 1000000000, got '-1'"),
        (("--checkpoint", "tiny.pt", "--steps", 21, "--samples", 129), "from 1 to 20"),
        (("--checkpoint", "tiny.pt", "--guidance", "nan"), "--guidance of at least 0"),
        (("--checkpoint", "missing.pt", "--eta", -1), "an --eta from 0 to inf for dpm++, got -1.0"),
        (("--checkpoint", "tiny.pt", "--sampler", "ddpm", "--eta", 1), "no --eta for ddpm"),
        (("--checkpoint", "tiny.pt", "--out", "."), "is a folder"),
        (("--checkpoint", "classless.pt", "--guidance", 2), "trained without classes"),
        (("--checkpoint", "grey.pt"), "grey pictures of 28×28"),
        (("--checkpoint", "tiny.pt", "--sampler", "euler"), "invalid choice"),
    ],
)
def test_bad_input_is_one_clear_line_and_no_file(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "load_inception", unavailable)
    write_checkpoint("tiny.pt")
    write_checkpoint("classless.pt", classes=())
    write_checkpoint("grey.pt", channels=1, height=28, dataset="mnist")
    torch.save({"weights": torch.zeros(3)}, "foreign.pt")
    out = () if "--out" in arguments else ("--out", "figures.json")
    assert run(*arguments, *out) == 2
    printed = capsys.readouterr()
    assert message in printed.err and "Traceback" not in printed.err
    assert not (tmp_path / "figures.json").exists()


def test_one_seed_has_no_spread():
    figures = evaluate.summary([2.0], [1.0])
    assert figures == {"mean": 2, "std": None, "real_mean": 1, "real_std": None}
    results = {
        "checkpoint": "a.pt",
        "samples": 10,
        "sampler": "ddpm",
        "steps": 20,
        "eta": None,
        "guidance": 1.0,
        "seeds": [0],
        "note": "n",
        "figures": {"FSD": figures},
        "copies": {"mean": 0.25},
    }
    assert evaluate.table(results).splitlines()[-3].split() == ["FSD", "2.000", "1.000"]
    assert math.isclose(evaluate.summary([1.0, 3.0], [1.0, 1.0])["std"], math.sqrt(2), rel_tol=1e-4)

"""What trains and measures the networks of editing and guidance."""

import json
from dataclasses import replace

import pytest
import torch

from diffusion_utilities import ContextUnet, load_pretrained
from going_further import make_editing, measure_editing
from going_further.editing import Upscaler, shrink
from going_further.guidance import load_noisy_classifier
from support.quality import Ruler

IMAGES = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
LABELS = torch.eye(5)[torch.arange(64) % 5]


@pytest.mark.parametrize(("name", "sizes"), [("upscaler", (6, 1, 16)), ("unet_8", (3, 5, 8)), ("unet_16", (3, 5, 16))])
def test_a_run_leaves_a_network_that_loads(tmp_path, monkeypatch, name, sizes):
    monkeypatch.setattr(
        make_editing, "ContextUnet", lambda channels, _, n_cfeat, size: ContextUnet(channels, 8, n_cfeat, size)
    )
    recipe = replace(make_editing.RECIPES[name], epochs=2, views=1, warmup_steps=1)
    figures = make_editing.train_unet(name, IMAGES, LABELS, tmp_path, recipe)
    assert figures["images_shown"] == 128 and figures["recipe"]["epochs"] == 2
    network = load_pretrained(tmp_path / f"{name}.pth", "cpu")
    assert (network.in_channels, network.n_cfeat, network.height) == sizes
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.pth"]
    if name == "upscaler":
        assert Upscaler(network).n_cfeat == 193


def test_the_upscaler_is_shown_each_sprites_own_small_picture_a_third_of_them_clean():
    batches = make_editing.batches_with_small(IMAGES, LABELS, 64, torch.Generator().manual_seed(0))
    strengths = []
    for _ in range(20):
        x, c = next(batches)
        strengths.append(c[:, -1])
        clean = c[:, -1] == 0
        torch.testing.assert_close(c[clean, :-1], shrink(x[clean]).flatten(1))
        assert not torch.allclose(c[~clean, :-1], shrink(x[~clean]).flatten(1), atol=0.01)
    strengths = torch.cat(strengths)
    assert (strengths == 0).float().mean().item() == pytest.approx(1 / 3, abs=0.05)
    assert 0.19 < strengths.max() <= make_editing.STRONGEST


@pytest.mark.parametrize("name", ["noisy_classifier", "clean_classifier"])
def test_a_classifier_learns_at_its_levels(tmp_path, monkeypatch, name):
    levels, perturb = [], make_editing.perturb_input

    def noting(x, t, *rest):
        levels.append(t)
        return perturb(x, t, *rest)

    monkeypatch.setattr(make_editing, "perturb_input", noting)
    make_editing.train_classifier(name, IMAGES, LABELS, tmp_path, steps=3)
    levels = torch.cat(levels)
    assert levels.max() == 0 if name == "clean_classifier" else levels.min() < 20 and levels.max() > 480
    classifier = load_noisy_classifier(tmp_path / f"{name}.pth", "cpu")
    assert classifier(IMAGES, 0.0).shape == (64, 5) and not classifier.training


def test_as_many_seconds_as_the_cascade_takes(monkeypatch, tmp_path):
    seconds = {"upscaler": 0.2, "unet_8": 0.1, "unet_16": 0.4}
    monkeypatch.setattr(make_editing, "seconds_a_step", lambda name, *rest: seconds[name])
    figures = {"upscaler": {"steps": 1000}, "unet_8": {"steps": 4000}}  # 600 seconds, 1500 steps of the large one
    epochs = make_editing.epochs_of_equal_seconds(figures, IMAGES, LABELS, False)
    assert epochs == round(1500 / make_editing.RECIPES["unet_16"].steps(len(IMAGES)))
    assert figures["seconds_a_step"] == seconds


def test_a_step_is_timed_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(make_editing, "FOLDER", tmp_path)
    monkeypatch.setattr(make_editing, "build", lambda name: (ContextUnet(3, 8, 5, 16), {}))
    assert 0 < make_editing.seconds_a_step("unet_16", IMAGES, LABELS, False, steps=2) < 5
    assert not list(tmp_path.iterdir())


def test_the_page_shows_the_stored_figures():
    figures = json.loads((make_editing.FOLDER / "figures.json").read_text(encoding="utf-8"))
    assert (make_editing.FOLDER / "FIGURES.md").read_text(encoding="utf-8") == measure_editing.page(figures)


def test_the_judge_knows_its_own_sprites(monkeypatch):
    monkeypatch.setattr(measure_editing, "Ruler", lambda images: Ruler(images[:60]))  # fewer are drawn sooner
    judge = measure_editing.Judge()
    x, classes, kinds = judge.truths(60)[0]
    right = judge.recognised(x, classes, kinds)
    assert min(right) > 90 and judge.recognised(x.flip(0), classes, kinds)[1] < 50
    side = x[classes[:, measure_editing.SIDE_FACING] == 1]
    assert judge.turned(side) > 90 and judge.turned(x[classes[:, 2] == 1]) < 10

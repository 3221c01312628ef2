"""Measuring: the nearest training sprite and the classifier."""

import numpy as np
import pytest
import torch

import diffusion_utilities as du


def sprites(n, seed=0):
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("n", [1, 10, 300], ids=lambda n: f"{n} sprites")
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_exact_copy_has_distance_zero_and_its_index(n, mirrored):
    known = sprites(n)
    wanted = torch.arange(n).flip(0)
    copies = known[wanted].flip(3) if mirrored else known[wanted]
    distance, index = du.nearest_sprite(copies, known)
    assert torch.equal(index, wanted)
    assert (distance == 0).all(), f"up to {distance.max().item():.1e}"


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 7), (40, 60)])
def test_distance_is_the_root_mean_square_to_the_nearest(n, m):
    samples, known = sprites(n, seed=1), sprites(m)
    distance, index = du.nearest_sprite(samples, known)
    assert distance.shape == index.shape == (n,)
    both = torch.stack([known, known.flip(3)])  # (2, m, 3, h, w)
    exact = (samples[:, None, None] - both[None]).double().square().mean((-3, -2, -1)).sqrt().amin(1)  # (n, m)
    np.testing.assert_allclose(distance.numpy(), exact.amin(1).numpy(), rtol=1e-4)
    assert torch.equal(index, exact.argmin(1))


def test_a_known_distance():
    black, white = torch.full((1, 3, 16, 16), -1.0), torch.full((1, 3, 16, 16), 1.0)
    grey = torch.full((1, 3, 16, 16), 0.5)
    distance, index = du.nearest_sprite(grey, torch.cat([black, white]))
    assert distance.item() == pytest.approx(0.5, abs=1e-6) and index.item() == 1


@pytest.mark.parametrize("height", [12, 16, 32])
@pytest.mark.parametrize(("n_classes", "n_kinds", "width"), [(5, 40, 8), (3, 7, 4)])
def test_classifier_shapes(n_classes, n_kinds, width, height):
    model = du.SpriteClassifier(n_classes, n_kinds, width).eval()
    x = torch.randn(2, 3, height, height)
    classes, kinds = model(x)
    assert classes.shape == (2, n_classes) and kinds.shape == (2, n_kinds)
    assert model.features(x).shape == (2, 4 * width)


def test_classifier_heads_read_the_features():
    model = du.SpriteClassifier(5, 40, 8).eval()
    x = torch.randn(3, 3, 16, 16)
    classes, kinds = model(x)
    assert torch.equal(model.class_head(model.features(x)), classes)
    assert torch.equal(model.kind_head(model.features(x)), kinds)
    assert (classes[0] - classes[1]).abs().max() > 1e-4  # pictures make a difference


def test_classifier_in_evaluation_mode_is_deterministic_and_batchwise_independent():
    model = du.SpriteClassifier(5, 40, 8).eval()
    x = torch.randn(3, 3, 16, 16)
    assert torch.equal(model(x)[0], model(x)[0])
    torch.testing.assert_close(model(x)[0], torch.cat([model(x[i : i + 1])[0] for i in range(3)]), rtol=1e-4, atol=1e-5)

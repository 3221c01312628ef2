"""Measuring: distances, precision and recall, accuracy, background, the nearest training sprite, the classifier."""

import json
import math
import shutil
import warnings

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from support import files


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
    # (n, m)
    exact = (samples[:, None, None] - both[None]).double().square().mean((-3, -2, -1)).sqrt().amin(1)
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


@pytest.fixture(scope="module")
def classifier():
    return du.load_classifier("cpu")


@pytest.fixture(scope="module")
def drawn():
    """Forty of the course's sprites, in random order."""
    folder = du.ROOT / "data"
    files = folder / "sprites_1788_16x16.npy", folder / "sprite_labels_nc_1788_16x16.npy"
    images, labels = du.sprite_tensors(*du.load_sprites(*files))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order], labels[order]


def test_shipped_classifier_names_sprites(classifier, drawn):
    images, labels = drawn[0][:100], drawn[1][:100]
    assert not classifier.training
    with torch.no_grad():
        assert (classifier(images)[0].argmax(dim=1) == labels.argmax(dim=1)).float().mean() > 0.95


def test_frechet_distance_is_that_of_the_definition(classifier, drawn):
    """Against the formula, with the matrix root taken by eigenvectors, of features taken here."""
    a, b = drawn[0][:600], drawn[0][600:1100]  # more of each than there are features
    with torch.no_grad():
        fa, fb = (classifier.features(x).double().numpy() for x in (a, b))
    ca, cb = np.cov(fa.T), np.cov(fb.T)
    values, vectors = np.linalg.eigh(ca)
    # (Σ_1 Σ_2)^½ has the trace of (Σ_1^½ Σ_2 Σ_1^½)^½
    root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    trace = np.sqrt(np.linalg.eigvalsh(root @ cb @ root).clip(min=0)).sum()
    expected = ((fa.mean(0) - fb.mean(0)) ** 2).sum() + np.trace(ca + cb) - 2 * trace
    assert du.frechet_sprite_distance(a, b, classifier) == pytest.approx(expected, rel=0.01)


def test_frechet_distance_of_a_set_to_itself_is_zero_and_grows_with_noise(classifier, drawn):
    images = drawn[0][:400]
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    distances = [du.frechet_sprite_distance(images + s * noise, images, classifier) for s in (0, 0.2, 0.4, 1.0)]
    assert abs(distances[0]) < 0.01
    assert distances == sorted(distances) and distances[1] > 1


class Plain:
    """A classifier whose features are the pictures' first two numbers, and whose class is the larger one."""

    def features(self, x):
        return x.flatten(1)[:, :2]

    def __call__(self, x):
        return self.features(x), None


def points(*pairs):
    x = torch.zeros(len(pairs), 3, 4, 4)
    x.flatten(1)[:, :2] = torch.tensor(pairs, dtype=torch.float32)
    return x


def test_precision_and_recall_by_hand():
    # k = 1: in the reference each radius is 1, in the samples 0.5
    reference = points((0, 0), (0, 1), (10, 0), (10, 1))
    samples = points((0, 0.4), (0, 0.9), (50, 0), (50, 0.5))
    precision, recall = du.precision_recall(samples, reference, Plain(), k=1)
    assert precision == 0.5  # the two at 50 are near nothing real
    assert recall == 0.5  # nothing was drawn near 10


def test_collapse_and_mess_do_not_hide(classifier, drawn):
    real, other = drawn[0][:500], drawn[0][500:1000]
    noise = torch.randn(500, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    precision, recall = du.precision_recall(other, real, classifier)
    assert min(precision, recall) > 0.8
    # one sprite, again and again
    assert du.precision_recall(other[:1] + 0.02 * noise, real, classifier)[1] < 0.1
    # two in one
    assert du.precision_recall((other + other.flip(0)) / 2, real, classifier)[0] < precision - 0.1
    # one sprite far from all others has a reach in which even noise lies, so that its precision
    # means little
    assert du.precision_recall(noise, real, classifier)[1] < 0.05


def test_a_set_covers_itself(classifier, drawn):
    assert du.precision_recall(drawn[0][:50], drawn[0][:50], classifier) == (1.0, 1.0)


def test_accuracy_is_a_share_of_each_class():
    context = torch.eye(2)[[0, 0, 0, 0, 1, 1]]
    samples = points((2, 1), (2, 1), (2, 1), (1, 2), (2, 1), (1, 2))
    assert du.class_accuracy(samples, context, Plain()).tolist() == [0.75, 0.5]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_pictures_that_are_not_finite_are_refused(value, classifier, drawn, monkeypatch):
    """Without the check torchmetrics ends the process, or all NaN counts as the first class."""
    # so that this test fails in words, and does not end pytest, where the check is missing
    monkeypatch.setattr("torchmetrics.image.fid.FrechetInceptionDistance", None)
    images, labels = drawn[0][:20], drawn[1][:20]
    broken = images.clone()
    broken[3, 1, 5, 5] = value
    for measure in (du.frechet_sprite_distance, du.precision_recall):
        for sets in ((broken, images), (images, broken)):
            with pytest.raises(ValueError, match="not finite"):
                measure(*sets, classifier)
    with pytest.raises(ValueError, match="not finite"):
        du.class_accuracy(broken, labels, classifier)


def test_measuring_neither_depends_on_the_classifiers_mode_nor_changes_it(drawn):
    images, labels = drawn[0][:50], drawn[1][:50]
    in_training, prepared = du.load_classifier("cpu").train(), du.load_classifier("cpu")
    before = {key: value.clone() for key, value in in_training.state_dict().items()}
    for measure in (du.frechet_sprite_distance, du.precision_recall):
        assert measure(images, images.flip(0) * 0.9, in_training) == measure(images, images.flip(0) * 0.9, prepared)
    accuracy = [du.class_accuracy(images, labels, model) for model in (in_training, prepared)]
    torch.testing.assert_close(*accuracy, equal_nan=True)
    assert in_training.training
    assert all(torch.equal(value, before[key]) for key, value in in_training.state_dict().items())


def test_background_error_is_in_steps_of_a_byte(drawn):
    images = drawn[0]
    assert du.background_error(images, images) == 0
    always = (images == 1).all(dim=1).all(dim=0)
    assert 8 <= always.sum() <= 40 and always[0, 0] and always[-1, -1] and not always[8, 8]
    grey = images.clone()
    grey[:, :, always] = 1 - 2 * 10 / 255
    assert du.background_error(grey, images) == pytest.approx(10, rel=1e-4)
    inside = images.clone()
    inside[:, :, ~always] = -1
    assert du.background_error(inside, images) == 0


@pytest.fixture
def weights_folder(tmp_path, monkeypatch):
    """A copy of a few shipped weights."""
    for name in ("model_trained.pth", "sprite_classifier.pth", "metrics.json"):
        shutil.copy(files.WEIGHTS_DIR / name, tmp_path / name)
    monkeypatch.setattr(files, "WEIGHTS_DIR", tmp_path)
    return tmp_path


def test_shipped_files_load_without_a_warning(weights_folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        du.load_pretrained("model_trained", "cpu")
        du.load_classifier("cpu")


def test_every_shipped_file_has_its_hash_on_record():
    record = json.loads((files.WEIGHTS_DIR / "metrics.json").read_text())["sha256"]
    assert {path.name for path in files.WEIGHTS_DIR.glob("*.pth") if not path.name.startswith("peer_")} == set(record)


def test_a_changed_file_is_told_from_the_shipped_one(weights_folder):
    state = torch.load(weights_folder / "model_trained.pth", weights_only=True)
    state["out.3.bias"] += 1e-3
    du.save_weights(state, weights_folder / "model_trained.pth")
    with pytest.warns(UserWarning, match="model_trained.pth is not the file .* SHA-256 differs"):
        du.load_pretrained("model_trained", "cpu")


def test_files_elsewhere_and_without_record_are_not_compared(weights_folder, tmp_path_factory):
    state = torch.load(weights_folder / "model_trained.pth", weights_only=True)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "model_trained.pth"
    state["out.3.bias"] += 1e-3
    du.save_weights(state, elsewhere)
    du.save_weights(state, weights_folder / "mine.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        du.load_pretrained(elsewhere, "cpu")
        du.load_pretrained("mine", "cpu")

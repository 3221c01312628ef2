"""Guidance by a classifier against mixtures of two Gaussians, of which everything is known."""

from __future__ import annotations

import pytest
import torch

from diffusion_utilities import Guided, ddim_step, exact_denoiser, linear_schedule, sample, step_pairs
from going_further.guidance import ClassifierGuided, ExactClassifier, NoisyClassifier, log_probability_gradient

AB = linear_schedule().ab_t
M, S = (-0.6, 0.5), 0.2  # means and spread of the two classes, which are equally many


def level(t) -> torch.Tensor:
    return AB[round(float(t) * 500)].double()


def scores(x, t):
    """log p(x_t | class) for both, up to what they have in common: (n, 1, 1, 1) → (n, 2)."""
    ab = level(t)
    means = ab.sqrt() * torch.tensor(M, dtype=torch.double)
    return (-0.5 * (x.reshape(-1, 1) - means) ** 2 / (ab * S**2 + 1 - ab)).to(x)


def mixture(x, t, c=None):
    """The best noise prediction for the mixture, or, with a context, for one class."""
    each = torch.stack([exact_denoiser(m, S)(x, t) for m in M])  # (2, n, 1, 1, 1)
    share = scores(x, t).softmax(dim=1) if c is None else c
    return (share.T[:, :, None, None, None] * each).sum(dim=0)


mixture.in_channels, mixture.height, mixture.n_cfeat = 1, 1, 2


def context(n: int) -> torch.Tensor:
    return torch.tensor([[0.0, 1.0]]).expand(n, 2)


@pytest.mark.parametrize("t", [1, 20, 150, 300, 500])
def test_with_the_right_classifier_bayes_rule_gives_the_class(t):
    x = torch.linspace(-2, 2, 41).double().reshape(-1, 1, 1, 1)
    guided = ClassifierGuided(mixture, scores, 1.0)
    torch.testing.assert_close(guided(x, t / 500, context(41)), exact_denoiser(M[1], S)(x, t / 500), atol=1e-6, rtol=0)


@pytest.mark.parametrize("w", [0.5, 3.0])
def test_other_strengths_tilt_the_mixture(w):
    """The guided noise is that of the density p(x_t) p(c | x_t)^w, whose slope is found by differences."""
    t, h = 250, 1e-4
    x = torch.linspace(-2, 2, 41).double().reshape(-1, 1, 1, 1)

    def log_density(x):
        both = scores(x, t / 500)
        return both.logsumexp(dim=1) + w * both.log_softmax(dim=1)[:, 1]

    slope = (log_density(x + h) - log_density(x - h)) / (2 * h)
    expected = -(1 - level(t / 500)).sqrt() * slope
    found = ClassifierGuided(mixture, scores, w)(x, t / 500, context(41))
    torch.testing.assert_close(found.flatten(), expected, atol=1e-5, rtol=0)


def test_samples_are_of_the_class():
    guided = ClassifierGuided(mixture, scores, 1.0)
    how = {"model": guided, "context": context(4000), "seed": 0, "save_rate": None, "progress": False}
    x, _ = sample(ddim_step(1.0), step_pairs(100), 4000, **how)
    assert x.mean().item() == pytest.approx(M[1], abs=0.02) and x.std().item() == pytest.approx(S, rel=0.1)


def test_without_a_context_it_is_the_model_alone():
    x = torch.randn(5, 1, 1, 1)
    asked = []

    def model(x, t, c=None):
        asked.append(c)
        return 2 * x

    torch.testing.assert_close(ClassifierGuided(model, scores, 3.0)(x, 0.5), 2 * x)
    torch.testing.assert_close(ClassifierGuided(model, scores, 0.0)(x, 0.5, context(5)), 2 * x)
    ClassifierGuided(model, scores, 1.0)(x, 0.5, context(5))
    assert asked == [None, None, None]


def points(pictures):
    """The best noise prediction if these pictures, equally often, are all there is: from the mean of x_0."""

    def model(x, t, c=None):
        ab = level(t)
        distance = (x.flatten(1)[:, None] - ab.sqrt() * pictures.flatten(1)).square().sum(dim=2)  # (n, k)
        shares = (-distance / (2 * (1 - ab))).softmax(dim=1)
        return (x - ab.sqrt() * (shares @ pictures.flatten(1)).reshape(x.shape)) / (1 - ab).sqrt()

    return model


@pytest.mark.parametrize("t", [20, 250, 400, 500])
def test_the_exact_classifier_leads_from_all_pictures_to_those_of_the_class(t):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(12, 3, 4, 4, generator=generator).double()
    labels = torch.eye(3).double()[torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2])]  # not equally many
    x = level(t / 500).sqrt() * pictures + (1 - level(t / 500)).sqrt() * torch.randn(12, 3, 4, 4).double()
    classifier = ExactClassifier(pictures, labels)
    tilted = labels.sum(dim=0).log()  # the mixture has them so often; the classifier counts each class alike
    guided = ClassifierGuided(points(pictures), lambda x, t: classifier(x, t) + tilted, 1.0)
    torch.testing.assert_close(guided(x, t / 500, labels), torch.cat(of_each_class(x, t / 500, pictures, labels)))


def of_each_class(x, t, pictures, labels):
    """What is right for each picture if its class's pictures are all there is."""
    return [points(pictures[labels[:, c.argmax()] == 1])(one[None], t) for one, c in zip(x, labels, strict=True)]


def test_the_exact_classifier_at_levels_of_their_own_and_in_sixteen_bits():
    pictures, labels = torch.rand(20, 3, 4, 4) * 2 - 1, torch.eye(5)[torch.arange(20) % 5]
    classifier, t = ExactClassifier(pictures, labels), torch.tensor([0.2, 0.6, 1.0])
    one_by_one = torch.cat([classifier(pictures[i : i + 1], t[i]) for i in range(3)])
    torch.testing.assert_close(classifier(pictures[:3], t), one_by_one)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(classifier(pictures[:3], t), one_by_one)


def test_the_exact_classifier_needs_a_picture_of_each_class():
    with pytest.raises(ValueError, match="expected a picture of each class, got none of class 2"):
        ExactClassifier(torch.zeros(2, 3, 4, 4), torch.eye(3)[:2])


def test_both_kinds_of_guidance_add_up():
    x = torch.linspace(-1, 1, 9).double().reshape(-1, 1, 1, 1)
    both = ClassifierGuided(Guided(mixture, 2.0), scores, 0.5, both=True)
    push = (1 - level(0.4)).sqrt() * log_probability_gradient(scores, x, 0.4, context(9))
    torch.testing.assert_close(both(x, 0.4, context(9)), Guided(mixture, 2.0)(x, 0.4, context(9)) - 0.5 * push)


def test_pictures_at_levels_of_their_own():
    guided, x = ClassifierGuided(lambda x, t, c=None: x, NoisyClassifier(2, 8).eval(), 2.0), torch.randn(3, 3, 16, 16)
    t = torch.tensor([0.1, 0.5, 1.0])
    one_by_one = [guided(x[i : i + 1], t[i], context(1)) for i in range(3)]
    torch.testing.assert_close(guided(x, t, context(3)), torch.cat(one_by_one), atol=1e-5, rtol=1e-4)


def test_the_classifier_learns_and_is_told_the_level():
    torch.manual_seed(0)
    classifier = NoisyClassifier(2, 8, height=8)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-2)
    y = torch.arange(64) % 2
    x = (2.0 * y - 1)[:, None, None, None] + 0.5 * torch.randn(64, 3, 8, 8)
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(classifier(x, 0.3), y)
        loss.backward()
        optimizer.step()
    classifier.eval()
    assert (classifier(x, 0.3).argmax(dim=1) == y).float().mean() > 0.95
    assert not torch.allclose(classifier(x, 0.3), classifier(x, 0.9))
    torch.testing.assert_close(classifier(x, 0.3), classifier(x, torch.full((64,), 0.3)))

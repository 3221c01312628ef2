"""The checks of guidance.ipynb: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

As in the labs: the mistakes are written out, one line each. Do the exercises before you read it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_utilities import guided_noise, linear_schedule
from exercise_tools.kit import Lab, call, compare, fail, strengths
from L4_FastSampling.checks import between, pictures, whole

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

AB = linear_schedule().ab_t

# -------------------------------------------------------------------------- 7.1 log_probability_gradient


class _Scores:
    """A classifier of pictures (n, 3, 8, 8): a linear layer with a bend in it, told the level."""

    def __init__(self) -> None:
        self.weights, self.asked = torch.randn(5, 192) / 8, []

    def __call__(self, x: Tensor, t: Tensor | float) -> Tensor:
        self.asked.append(float(torch.as_tensor(t).flatten()[0]))
        level = torch.as_tensor(t).to(x).reshape(-1, 1)
        return (x.flatten(1) @ self.weights.T.to(x)).sin() * (1 + level)


def log_probability_gradient(classifier: Callable, x: Tensor, t: float, c: Tensor) -> Tensor:
    """∇ log p(c | x_t) with respect to x_t, for a class one-hot (n, classes)."""
    return _gradient(classifier, x, t, c)


def _gradient(
    classifier,
    x,
    t,
    c,
    *,
    of=lambda scores: scores.log_softmax(dim=1),
    together=lambda chosen: chosen.sum(),
    level=lambda t: t,
) -> Tensor:
    """The gradient, each part exchangeable: of what, how the batch is brought together, the level that is told."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        chosen = (of(classifier(x, level(t))) * c).sum(dim=1)  # (n,)
        return torch.autograd.grad(together(chosen), x)[0]


GRADIENT_MISTAKES = {
    "no logarithm": (
        lambda *a: _gradient(*a, of=lambda s: s.softmax(dim=1)),
        "This is the slope of the probability, not of its logarithm.",
    ),
    "scores, not probabilities": (
        lambda *a: _gradient(*a, of=lambda s: s),
        "This is the slope of the class's own score. log_softmax makes log probabilities of the scores of all classes.",
    ),
    "softmax over the batch": (
        lambda *a: _gradient(*a, of=lambda s: s.log_softmax(dim=0)),
        "The softmax runs over the batch: the classes are axis 1.",
    ),
    "logarithm of another base": (
        lambda *a: _gradient(*a, of=lambda s: s.log_softmax(dim=1) / torch.log(torch.tensor(2.0))),
        "The logarithm is to the base 2: take the natural one.",
    ),
    "mean over the batch": (
        lambda *a: _gradient(*a, together=lambda chosen: chosen.mean()),
        "Each picture's slope is divided by the number of pictures: take the sum over the batch, not the mean.",
    ),
    "loss in place of log p": (
        lambda *a: -_gradient(*a),
        "The sign is that of a loss. Log p itself should grow.",
    ),
    "mean loss": (
        lambda *a: -_gradient(*a, together=lambda chosen: chosen.mean()),
        "This is the slope of cross_entropy: its sign is that of a loss, and it is a mean over the batch.",
    ),
    "all classes": (
        lambda classifier, x, t, c: _gradient(classifier, x, t, torch.ones_like(c)),
        "This is the sum over all classes: choose the one that is asked for, with c.",
    ),
    "mean over the classes": (
        lambda *a: _gradient(*a, together=lambda chosen: chosen.sum() / 5),
        "A mean over the classes divides by their number: c is 0 for all but one, so sum.",
    ),
    "t in place of t/T": (
        lambda *a: _gradient(*a, level=lambda t: t * 500),
        "The classifier is told t/T, as the network is, and you hand it t.",
    ),
    "level 0": (
        lambda *a: _gradient(*a, level=lambda t: 0.0),
        "The classifier is told level 0: tell it t.",
    ),
}


@LAB.exercise("7.1", "Where the class is", stars=3, minutes=15)
def check_log_probability_gradient(my_log_probability_gradient: Callable) -> str:
    """my_log_probability_gradient(classifier, x, t, c) → ∇ log p(c | x_t), like x; t is t/T, c one-hot (n, 5)."""

    def draw() -> tuple[Callable, Tensor, float, Tensor]:
        c = torch.eye(5)[torch.randperm(5)[:4]]
        return _Scores(), pictures(1)[0], between(0.2, 0.9), c

    @torch.no_grad()  # as in the loop
    def without_gradients(*args: object) -> Tensor:
        return my_log_probability_gradient(*args)

    args = draw()
    result = call(my_log_probability_gradient, *args)
    if isinstance(result, tuple | list) and len(result) == 1:
        fail("a tuple", "torch.autograd.grad returns a tuple, of one tensor for each input: take its [0].")
    compare(my_log_probability_gradient, log_probability_gradient, draw, GRADIENT_MISTAKES)
    try:
        without_gradients(*args)
    except RuntimeError as error:
        reason = "the samplers switch gradients off. Put `with torch.enable_grad():` around it"
        fail("gradients switched off", f"it does not work inside of a sampler: {reason} ({error}).")
    return "a slope that points to where the class is more probable, for each picture its own."


# --------------------------------------------------------------------------------- 7.2 guide


def guide(pred_noise: Tensor, gradient: Tensor, t: int, w: float) -> Tensor:
    """The noise that belongs to the score of p(x_t) p(c | x_t)^w: ε - w √(1-ᾱ_t) ∇ log p(c | x_t)."""
    return pred_noise - w * (1 - AB[t]).sqrt() * gradient


GUIDE_MISTAKES = {
    "wrong sign": (
        lambda e, g, t, w: e + w * (1 - AB[t]).sqrt() * g,
        "The sign is wrong: the score is *minus* ε over √(1-ᾱ), so where log p grows, there is less noise.",
    ),
    "score added to noise": (
        lambda e, g, t, w: e - w * g,
        "A score is no noise: the factor √(1-ᾱ_t) between the two is missing.",
    ),
    "score added to noise, wrong sign": (
        lambda e, g, t, w: e + w * g,
        "The score is -ε/√(1-ᾱ): both its sign and its factor are missing.",
    ),
    "missing square root": (
        lambda e, g, t, w: e - w * (1 - AB[t]) * g,
        "The factor is √(1-ᾱ_t), with a root.",
    ),
    "divided": (
        lambda e, g, t, w: e - w * g / (1 - AB[t]).sqrt(),
        "Multiply by √(1-ᾱ_t): ε = -√(1-ᾱ_t) · score.",
    ),
    "strength of the picture": (
        lambda e, g, t, w: e - w * AB[t].sqrt() * g,
        "√ᾱ_t is the share of the picture. The noise counts √(1-ᾱ_t).",
    ),
    "w forgotten": (
        lambda e, g, t, w: e - (1 - AB[t]).sqrt() * g,
        "w is missing.",
    ),
    "w - 1": (
        lambda e, g, t, w: e - (w - 1) * (1 - AB[t]).sqrt() * g,
        "Here w = 1 is Bayes' rule, and the gradient counts w times, not w - 1 times.",
    ),
    "w on everything": (
        lambda e, g, t, w: w * (e - (1 - AB[t]).sqrt() * g),
        "w multiplies the noise as well: it belongs to the gradient alone.",
    ),
    "beta in place of 1 - alpha-bar": (
        lambda e, g, t, w: e - w * linear_schedule().b_t[t].sqrt() * g,
        "√β_t is the noise of one level. x_t has that of all levels up to t: √(1-ᾱ_t).",
    ),
    "a score, not a noise": (
        lambda e, g, t, w: -e / (1 - AB[t]).sqrt() + w * g,
        "This is the guided *score*. The sampler wants the noise: multiply by -√(1-ᾱ_t).",
    ),
    "between the two": (
        lambda e, g, t, w: guided_noise(g, e, w),
        "This is the formula of classifier-free guidance, between two noises. A gradient is no noise.",
    ),
}


@LAB.exercise("7.2", "From the slope to the noise", stars=2, minutes=10)
def check_guide(my_guide: Callable) -> str:
    """my_guide(pred_noise, gradient, t, w) → the guided noise; t is a level, 1 … T."""

    def draw() -> tuple[Tensor, Tensor, int, float]:
        pred_noise, gradient = pictures(2)
        return pred_noise, gradient, whole(60, 160), between(1.5, 4)

    compare(my_guide, guide, draw, GUIDE_MISTAKES, strengths(pred_noise=0, gradient=1, t=2))
    return "scores add up, and a score is -ε/√(1-ᾱ)."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

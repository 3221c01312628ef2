"""The checks of editing.ipynb: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

As in the labs: the mistakes are written out, one line each. Do the exercises before you read it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_utilities import linear_schedule, perturb_input
from exercise_tools.kit import Lab, call, compare, fail, strengths
from going_further.editing import enlarge, keep_known, noise_further, shrink
from L4_FastSampling.checks import falling_levels, pictures

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

AB = linear_schedule().ab_t

# --------------------------------------------------------------------------------- 6.1 keep_known


def _inner(x: Tensor, t: int, t_next: int, pred_noise: Tensor, z: Tensor) -> Tensor:
    """A step that treats each pixel alike and depends on all that it gets."""
    return 0.8 * x - 0.3 * pred_noise + 0.1 * z + t / 1000 + t_next / 3000


def _kept(
    picture,
    known,
    x,
    t,
    t_next,
    pred_noise,
    z,
    *,
    noised=lambda picture, t, t_next, pred_noise, z: perturb_input(picture, t_next, z),
    after=lambda x, *rest: _inner(x, *rest),
    where=lambda known: known,
) -> Tensor:
    """What a step with known pixels gives, each part exchangeable."""
    put_back = noised(picture, t, t_next, pred_noise, z)
    return torch.where(where(known), put_back, after(x, t, t_next, pred_noise, z))


def _kept_before(picture, known, x, t, t_next, pred_noise, z) -> Tensor:
    x = torch.where(known, perturb_input(picture, t, z), x)
    return _inner(x, t, t_next, pred_noise, z)


def _with_root(p, t_next, z, picture_power=0.5, noise_power=0.5):
    return AB[t_next] ** picture_power * p + (1 - AB[t_next]) ** noise_power * z


KEEP_MISTAKES = {
    "mask turned round": (
        lambda *a: _kept(*a, where=lambda known: ~known),
        "The mask is turned round: it is True where the picture is known.",
    ),
    "not noised": (
        lambda *a: _kept(*a, noised=lambda p, *rest: p),
        "The known pixels go in clean. The network expects the noise of level t_next everywhere.",
    ),
    "noised to level t": (
        lambda *a: _kept(*a, noised=lambda p, t, t_next, eps, z: perturb_input(p, t, z)),
        "The known pixels are noised to level t: what comes out is at level t_next.",
    ),
    "predicted noise": (
        lambda *a: _kept(*a, noised=lambda p, t, t_next, eps, z: perturb_input(p, t_next, eps)),
        "The known pixels are noised with the predicted noise. Take z, which is fresh.",
    ),
    "kept before the step": (
        _kept_before,
        "You put the known pixels into x before the step, which then changes them. Put them into what it returns.",
    ),
    "no step": (
        lambda *a: _kept(*a, after=lambda x, *rest: x),
        "The unknown pixels are as they came in: the inner step is not taken.",
    ),
    "missing square root on the picture": (
        lambda *a: _kept(*a, noised=lambda p, t, t_next, eps, z: _with_root(p, t_next, z, picture_power=1)),
        "The picture counts √ᾱ, with a root.",
    ),
    "missing square root on the noise": (
        lambda *a: _kept(*a, noised=lambda p, t, t_next, eps, z: _with_root(p, t_next, z, noise_power=1)),
        "The noise counts √(1-ᾱ), with a root.",
    ),
    "known pixels forgotten": (
        lambda picture, known, *a: _inner(*a),
        "This is the inner step alone: the known pixels are not put back.",
    ),
    "known pixels alone": (
        lambda *a: _kept(*a, where=torch.ones_like),
        "All pixels come from the picture: take them only where `known` is True.",
    ),
    "step without its noise": (
        lambda *a: _kept(*a, after=lambda x, t, t_next, eps, z: _inner(x, t, t_next, eps, torch.zeros_like(z))),
        "The inner step gets no z. It needs the noise, too: the two use different pixels of it.",
    ),
}


@LAB.exercise("6.1", "A step that keeps pixels", stars=2, minutes=10)
def check_keep_known(my_keep_known: Callable) -> str:
    """my_keep_known(step, picture, known) → a step(x, t, t_next, pred_noise, z) that keeps the known pixels."""

    def draw() -> tuple:
        picture, x, pred_noise, z = pictures(4)
        t, t_next = falling_levels(2)
        return picture, torch.rand(8, 8) < 0.5, x, t, t_next, pred_noise, z

    def taken(picture: Tensor, known: Tensor, *rest: object) -> Tensor:
        return call(my_keep_known, _inner, picture, known)(*rest)

    picture, known, x, t, t_next, pred_noise, z = draw()
    made = call(my_keep_known, _inner, picture, known)
    if isinstance(made, Tensor):
        fail("not a step", "it returns a tensor. It should return a *function*, the new step: return its name.")
    if not callable(made):
        fail("not a step", f"it should return a step, a function. It returns a {type(made).__name__}.")
    arguments = (x, t, t_next, pred_noise, z)
    if not torch.equal(*(torch.as_tensor(call(made, *arguments)) for _ in range(2))):
        fail(
            "noise of its own", "two calls give two results: you draw noise. Take z, so that a seed repeats a picture."
        )

    def right(picture: Tensor, known: Tensor, *rest: object) -> Tensor:
        return keep_known(_inner, picture, known)(*rest)

    compare(taken, right, draw, KEEP_MISTAKES)
    end = call(made, x, t, 0, pred_noise, torch.zeros_like(z))
    if not torch.equal(end[..., known], picture[..., known]):
        fail("not exact at the end", "at level 0, with z = 0, the known pixels should be exactly those of the picture.")
    return "the step as it was, and then the known pixels as noisy as t_next asks; at level 0, exactly."


# ------------------------------------------------------------------------------ 6.2 noise_further


def _further(x, t, t_up, noise, *, share=lambda t, t_up: AB[t_up] / AB[t], x_power=0.5, noise_power=0.5) -> Tensor:
    """Equation (2), each part exchangeable."""
    return share(t, t_up) ** x_power * x + (1 - share(t, t_up)).clamp(min=0) ** noise_power * noise


FURTHER_MISTAKES = {
    "as if x were clean": (
        lambda *a: _further(*a, share=lambda t, t_up: AB[t_up]),
        "This noises x as if it were clean. It is at level t already: what is kept is ᾱ_up/ᾱ_t.",
    ),
    "noise of level t_up": (
        lambda x, t, t_up, noise: (AB[t_up] / AB[t]).sqrt() * x + (1 - AB[t_up]).sqrt() * noise,
        "This is all the noise of level t_up. x has some already: add 1 - ᾱ_up/ᾱ_t.",
    ),
    "noise of the difference": (
        lambda x, t, t_up, noise: (AB[t_up] / AB[t]).sqrt() * x + (AB[t] - AB[t_up]).sqrt() * noise,
        "The noise that x has shrinks with x. So ᾱ_t - ᾱ_up is too little: solve for what is missing.",
    ),
    "picture not weakened": (
        lambda x, t, t_up, noise: x + (1 - AB[t_up] / AB[t]).sqrt() * noise,
        "x itself must become weaker, too, by √(ᾱ_up/ᾱ_t).",
    ),
    "upside down": (
        lambda x, t, t_up, noise: (AB[t] / AB[t_up]).sqrt() * x + (1 - AB[t_up] / AB[t]).sqrt() * noise,
        "The ratio before x is upside down: x becomes weaker on the way up.",
    ),
    "missing square root on x": (
        lambda *a: _further(*a, x_power=1),
        "x counts √(ᾱ_up/ᾱ_t), with a root.",
    ),
    "missing square root on the noise": (
        lambda *a: _further(*a, noise_power=1),
        "The noise counts a standard deviation: a root is missing.",
    ),
    "a single step of β": (
        lambda x, t, t_up, noise: (
            (1 - linear_schedule().b_t[t_up]).sqrt() * x + linear_schedule().b_t[t_up].sqrt() * noise
        ),
        "This is one level only, with β of t_up. From t to t_up there may be many.",
    ),
    "noise not used": (
        lambda x, t, t_up, noise: (AB[t_up] / AB[t]).sqrt() * x,
        "There is no fresh noise in it.",
    ),
}


@LAB.exercise("6.2", "Back up", stars=2, minutes=10)
def check_noise_further(my_noise_further: Callable) -> str:
    """my_noise_further(x, t, t_up, noise) → x_t noised further, to level t_up."""

    def draw() -> tuple[Tensor, int, int, Tensor]:
        t_up, t = falling_levels(2)
        x, noise = pictures(2)
        return x, t, t_up, noise

    compare(my_noise_further, noise_further, draw, FURTHER_MISTAKES, strengths(x=0, noise=3, t=1))
    return "what is kept of x is ᾱ_up/ᾱ_t, and the rest is noise: one step of the forward process, of any length."


# ----------------------------------------------------------------------------------- 6.3 project


def project(x0_pred: Tensor, small: Tensor) -> Tensor:
    """The picture nearest to x̂_0 that has ``small`` (n, 3, h/2, w/2) as its small picture."""
    return x0_pred + enlarge(small - shrink(x0_pred))


PROJECT_MISTAKES = {
    "small picture alone": (
        lambda x, small: enlarge(small),
        "This is the small picture, enlarged: all that the network guessed is lost.",
    ),
    "sum of both": (
        lambda x, small: x + enlarge(small),
        "x̂_0 has a small picture of its own, which must be taken off first.",
    ),
    "wrong sign": (
        lambda x, small: x - enlarge(small - shrink(x)),
        "The correction goes the wrong way: it is small minus what x̂_0 has.",
    ),
    "half of the way": (
        lambda x, small: x + enlarge(small - shrink(x)) / 2,
        "This goes half of the way: without the division, the means are right at once.",
    ),
    "a quarter of the way": (
        lambda x, small: x + enlarge(small - shrink(x)) / 4,
        "This goes a quarter of the way: to move a mean of four by d, each of the four moves by d.",
    ),
    "mean of both": (
        lambda x, small: (x + enlarge(small)) / 2,
        "This is the mean of the two. The small picture of the result should be `small` itself.",
    ),
    "every other pixel": (
        lambda x, small: x + enlarge(small - x[..., ::2, ::2]),
        "You compare with every other pixel of x̂_0. The small picture is made of means of four.",
    ),
    "unchanged": (
        lambda x, small: x,
        "x̂_0 is as it was.",
    ),
}


@LAB.exercise("6.3", "What the small picture says", stars=2, minutes=10)
def check_project(my_project: Callable) -> str:
    """my_project(x0_pred, small) → x̂_0 whose small picture is small, and which is else as it was."""

    def draw() -> tuple[Tensor, Tensor]:
        return pictures(1)[0], torch.randn(4, 3, 4, 4)

    compare(my_project, project, draw, PROJECT_MISTAKES)
    return "the means of four are those of the small picture, and what deviates from them is x̂_0's."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

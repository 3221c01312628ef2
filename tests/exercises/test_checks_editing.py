"""The checks of editing.ipynb: right solutions pass, each classic mistake is called by its name.

All functions here are written without those of going_further, as a learner would.
"""

# ruff: noqa: E501  (what learners typed stands on one line)

import torch
import torch.nn.functional as F

import diffusion_utilities as du  # noqa: F401  (for what learners typed)
from tests.exercises.every_lab import *  # noqa: F403
from tests.exercises.submitted import *  # noqa: F403

LAB = "going_further.editing_checks"
T = 500
b_t = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
ab_t = (1 - b_t).double().cumprod(dim=0).float()


def noised(picture, t, noise):
    return ab_t[t] ** 0.5 * picture + (1 - ab_t[t]) ** 0.5 * noise


def keep(put_back=lambda p, t, t_next, eps, z: noised(p, t_next, z), mask=lambda known: known, inner=None):
    """A step with one place to go wrong for each argument; as it is, it is right."""

    def my_keep_known(step, picture, known):
        def new_step(x, t, t_next, pred_noise, z):
            after = inner(step, x, t, t_next, pred_noise, z) if inner else step(x, t, t_next, pred_noise, z)
            return torch.where(mask(known), put_back(picture, t, t_next, pred_noise, z), after)

        return new_step

    return my_keep_known


def keep_by_product(step, picture, known):
    def new_step(x, t, t_next, pred_noise, z):
        m = known.float()
        return m * noised(picture, t_next, z) + (1 - m) * step(x, t, t_next, pred_noise, z)

    return new_step


def keep_by_index(step, picture, known):
    def new_step(*args):
        after, (_, _, t_next, _, z) = step(*args).clone(), args
        after[..., known] = noised(picture, t_next, z)[..., known]
        return after

    return new_step


def keep_before(step, picture, known):
    def new_step(x, t, t_next, pred_noise, z):
        return step(torch.where(known, noised(picture, t, z), x), t, t_next, pred_noise, z)

    return new_step


def keep_nearly(step, picture, known):
    """With a trace of noise that stays to the end."""
    return lambda x, t, t_next, eps, z: torch.where(
        known, noised(picture, t_next, z) + (t_next == 0) * 1e-3, step(x, t, t_next, eps, z)
    )


def down(x):
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def up(small):
    return small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


RIGHT = {
    "keep_known": [keep(), keep_by_product, keep_by_index],
    "noise_further": [
        lambda x, t, t_up, noise: torch.sqrt(ab_t[t_up] / ab_t[t]) * x + torch.sqrt(1 - ab_t[t_up] / ab_t[t]) * noise,
        lambda x, t, t_up, noise: (
            (1 - b_t[t + 1 : t_up + 1]).prod().sqrt() * x + (1 - (1 - b_t[t + 1 : t_up + 1]).prod()).sqrt() * noise
        ),
    ],
    "project": [lambda x, small: x + up(small - down(x)), lambda x, small: (x - up(down(x))) + up(small)],
}

WRONG = {
    "keep_known": {
        "mask turned round": keep(mask=lambda known: ~known),
        "not noised": keep(put_back=lambda p, *rest: p),
        "noised to level t": keep(put_back=lambda p, t, t_next, eps, z: noised(p, t, z)),
        "predicted noise": keep(put_back=lambda p, t, t_next, eps, z: noised(p, t_next, eps)),
        "kept before the step": keep_before,
        "no step": keep(inner=lambda step, x, *rest: x),
        "missing square root on the picture": keep(
            put_back=lambda p, t, t_next, eps, z: ab_t[t_next] * p + (1 - ab_t[t_next]) ** 0.5 * z
        ),
        "missing square root on the noise": keep(
            put_back=lambda p, t, t_next, eps, z: ab_t[t_next] ** 0.5 * p + (1 - ab_t[t_next]) * z
        ),
        "known pixels forgotten": lambda step, picture, known: step,
        "known pixels alone": keep(mask=lambda known: torch.ones_like(known)),
        "step without its noise": keep(inner=lambda step, x, t, t_next, eps, z: step(x, t, t_next, eps, 0 * z)),
        "not a step": lambda step, picture, known: torch.where(known, picture, 0 * picture),
        "not exact at the end": keep_nearly,
        "wrong values": keep(put_back=lambda p, t, t_next, eps, z: noised(p, t_next, -z)),
    },
    "noise_further": {
        "as if x were clean": lambda x, t, t_up, noise: noised(x, t_up, noise),
        "noise of level t_up": lambda x, t, t_up, noise: (
            (ab_t[t_up] / ab_t[t]) ** 0.5 * x + (1 - ab_t[t_up]) ** 0.5 * noise
        ),
        "noise of the difference": lambda x, t, t_up, noise: (
            (ab_t[t_up] / ab_t[t]) ** 0.5 * x + (ab_t[t] - ab_t[t_up]) ** 0.5 * noise
        ),
        "picture not weakened": lambda x, t, t_up, noise: x + (1 - ab_t[t_up] / ab_t[t]) ** 0.5 * noise,
        "upside down": lambda x, t, t_up, noise: (
            (ab_t[t] / ab_t[t_up]) ** 0.5 * x + (1 - ab_t[t_up] / ab_t[t]) ** 0.5 * noise
        ),
        "missing square root on x": lambda x, t, t_up, noise: (
            ab_t[t_up] / ab_t[t] * x + (1 - ab_t[t_up] / ab_t[t]) ** 0.5 * noise
        ),
        "missing square root on the noise": lambda x, t, t_up, noise: (
            (ab_t[t_up] / ab_t[t]) ** 0.5 * x + (1 - ab_t[t_up] / ab_t[t]) * noise
        ),
        "a single step of β": lambda x, t, t_up, noise: (1 - b_t[t_up]) ** 0.5 * x + b_t[t_up] ** 0.5 * noise,
        "noise not used": lambda x, t, t_up, noise: (ab_t[t_up] / ab_t[t]) ** 0.5 * x,
        "wrong values": lambda x, t, t_up, noise: x + noise,
    },
    "project": {
        "small picture alone": lambda x, small: up(small),
        "sum of both": lambda x, small: x + up(small),
        "wrong sign": lambda x, small: x + up(down(x) - small),
        "half of the way": lambda x, small: x + 0.5 * up(small - down(x)),
        "a quarter of the way": lambda x, small: x + 0.25 * up(small - down(x)),
        "mean of both": lambda x, small: 0.5 * x + 0.5 * up(small),
        "every other pixel": lambda x, small: x + up(small - x[:, :, ::2, ::2]),
        "unchanged": lambda x, small: x + 0,
        "wrong values": lambda x, small: x + up(small - 4 * down(x)),
    },
}

# --------------------------------------------------------------------------- as learners write them

# exercise → (diagnosis, or "" where it is right; what was typed)
SUBMISSIONS = {
    "keep_known": [
        (
            "",
            "def new(x, t, t_next, e, z):\n    x = step(x, t, t_next, e, z)\n    return torch.where(known, du.perturb_input(picture, t_next, z), x)\nreturn new",
        ),
        (
            "",
            "return lambda x, t, t_next, e, z: torch.where(known, du.perturb_input(picture, t_next, z), step(x, t, t_next, e, z))",
        ),
        (
            "",
            "def new(x, t, t_next, e, z):\n    kept = ab_t[t_next].sqrt() * picture + (1 - ab_t[t_next]).sqrt() * z\n    return known * kept + ~known * step(x, t, t_next, e, z)\nreturn new",
        ),
        (
            "",
            "def new(x, t, t_next, e, z):\n    out = step(x, t, t_next, e, z).clone()\n    mask = known.expand_as(out)\n    out[mask] = du.perturb_input(picture, t_next, z)[mask]\n    return out\nreturn new",
        ),
        (
            "not noised",
            "def new(x, t, t_next, e, z):\n    x = step(x, t, t_next, e, z)\n    x[..., known] = picture[..., known]\n    return x\nreturn new",
        ),
        (
            "noised to level t",
            "def new(x, t, t_next, e, z):\n    return torch.where(known, du.perturb_input(picture, t, z), step(x, t, t_next, e, z))\nreturn new",
        ),
        (
            "mask turned round",
            "def new(x, t, t_next, e, z):\n    return torch.where(known, step(x, t, t_next, e, z), du.perturb_input(picture, t_next, z))\nreturn new",
        ),
        (
            "kept before the step",
            "def new(x, t, t_next, e, z):\n    x = torch.where(known, du.perturb_input(picture, t, z), x)\n    return step(x, t, t_next, e, z)\nreturn new",
        ),
        (
            "predicted noise",
            "def new(x, t, t_next, pred_noise, z):\n    return torch.where(known, du.perturb_input(picture, t_next, pred_noise), step(x, t, t_next, pred_noise, z))\nreturn new",
        ),
        ("not a step", "return torch.where(known, picture, torch.zeros_like(picture))"),
        ("not a step", "return [step, picture, known]"),
        (
            "noise of its own",
            "def new(x, t, t_next, e, z):\n    return torch.where(known, du.perturb_input(picture, t_next, torch.randn_like(z)), step(x, t, t_next, e, z))\nreturn new",
        ),
    ],
    "noise_further": [
        ("", "a = ab_t[t_up] / ab_t[t]\nreturn a.sqrt() * x + (1 - a).sqrt() * noise"),
        (
            "",
            "for i in range(t + 1, t_up + 1):\n    a = 1 - b_t[i]\n    x = a.sqrt() * x\nreturn x + (1 - ab_t[t_up] / ab_t[t]) ** 0.5 * noise",
        ),
        ("", "a = float(ab_t[t_up]) / float(ab_t[t])\nreturn a**0.5 * x + (1 - a) ** 0.5 * noise"),
        (
            "",
            "a = torch.exp(torch.log(1 - b_t[t + 1 : t_up + 1]).sum())\nreturn torch.sqrt(a) * x + torch.sqrt(1 - a) * noise",
        ),
        ("as if x were clean", "return du.perturb_input(x, t_up, noise)"),
        ("as if x were clean", "return ab_t[t_up].sqrt() * x + (1 - ab_t[t_up]).sqrt() * noise"),
        ("a single step of β", "return (1 - b_t[t_up]).sqrt() * x + b_t[t_up].sqrt() * noise"),
        ("missing square root on the noise", "a = ab_t[t_up] / ab_t[t]\nreturn a.sqrt() * x + (1 - a) * noise"),
        ("missing square root on x", "a = ab_t[t_up] / ab_t[t]\nreturn a * x + (1 - a).sqrt() * noise"),
        ("picture not weakened", "a = ab_t[t_up] / ab_t[t]\nreturn x + (1 - a).sqrt() * noise"),
        ("not finite", "a = ab_t[t] / ab_t[t_up]\nreturn a.sqrt() * x + (1 - a).sqrt() * noise"),
        (
            "noise of the difference",
            "a = ab_t[t_up] / ab_t[t]\nreturn a.sqrt() * x + (ab_t[t] - ab_t[t_up]).sqrt() * noise",
        ),
        ("changes its input", "a = ab_t[t_up] / ab_t[t]\nx *= a.sqrt()\nreturn x + (1 - a).sqrt() * noise"),
        ("wrong values", "for i in range(t, t_up):\n    x = (1 - b_t[i]).sqrt() * x + b_t[i].sqrt() * noise\nreturn x"),
    ],
    "project": [
        ("", "return x0 + F.interpolate(small - F.avg_pool2d(x0, 2), scale_factor=2)"),
        (
            "",
            "diff = small - F.avg_pool2d(x0, kernel_size=2, stride=2)\nreturn x0 + diff.repeat_interleave(2, -1).repeat_interleave(2, -2)",
        ),
        (
            "",
            "n, c, h, w = small.shape\nblocks = x0.reshape(n, c, h, 2, w, 2)\nblocks = blocks + (small - blocks.mean(dim=(3, 5)))[:, :, :, None, :, None]\nreturn blocks.reshape(n, c, 2 * h, 2 * w)",
        ),
        (
            "",
            "out = x0.clone()\nd = small - F.avg_pool2d(x0, 2)\nfor i in (0, 1):\n    for j in (0, 1):\n        out[:, :, i::2, j::2] += d\nreturn out",
        ),
        ("", "up = torch.nn.Upsample(scale_factor=2, mode='nearest')\nreturn up(small) + x0 - up(F.avg_pool2d(x0, 2))"),
        ("small picture alone", "return F.interpolate(small, scale_factor=2)"),
        ("sum of both", "return x0 + F.interpolate(small, scale_factor=2)"),
        ("mean of both", "return (x0 + F.interpolate(small, scale_factor=2)) / 2"),
        ("wrong sign", "return x0 - F.interpolate(small - F.avg_pool2d(x0, 2), scale_factor=2)"),
        ("every other pixel", "return x0 + F.interpolate(small - x0[..., ::2, ::2], scale_factor=2)"),
        ("a quarter of the way", "return x0 + F.interpolate(small - F.avg_pool2d(x0, 2), scale_factor=2) / 4"),
        ("wrong values", "return x0 + F.interpolate(small - F.avg_pool2d(x0, 2), scale_factor=2, mode='bilinear')"),
        ("wrong values", "return x0 + F.interpolate(small - F.max_pool2d(x0, 2), scale_factor=2)"),
        ("wrong shape", "return small - F.avg_pool2d(x0, 2)"),
        ("RuntimeError", "return x0 + small - F.avg_pool2d(x0, 2)"),
    ],
}
ARGUMENTS = {"keep_known": "step, picture, known", "noise_further": "x, t, t_up, noise", "project": "x0, small"}


def test_the_small_picture_here_is_that_of_the_module():
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(down(x), F.avg_pool2d(x, 2))

"""The checks of solvers.ipynb: right solutions pass, each classic mistake is called by its name.

All functions here are written without the module's, as a learner would.
"""

# ruff: noqa: E501  (what learners typed stands on one line)

import math

import numpy as np
import torch

import diffusion_utilities as du  # noqa: F401  (for what learners typed)
from tests.exercises.every_lab import *  # noqa: F403
from tests.exercises.submitted import *  # noqa: F403

LAB = "going_further.solvers_checks"
T = 500
ab_t = torch.cat([torch.ones(1), (1 - torch.linspace(1e-4, 0.02, T)).double().cumprod(dim=0).float()])

# -------------------------------------------------------------------------------------- denoise_dpm


def log_ratio(t):
    return torch.log(ab_t[t].sqrt() / (1 - ab_t[t]).sqrt())


def place(h):
    return 1 / (1 - torch.exp(-h)) - 1 / h


def dpm(
    lam=log_ratio,
    use=lambda r, h: place(h) / r,
    h_of=lambda low, high: low - high,
    shrink=None,
    grow=None,
    weight=None,
    last=True,
):
    """A step with one place to go wrong for each argument; as it is, it is right."""

    def my_denoise_dpm(x, t, t_prev, x0_pred, before):
        if t_prev == 0 and last:
            return x0_pred
        h, guess = h_of(lam(t_prev), lam(t)), x0_pred
        if before is not None:
            r = (lam(t) - lam(before[0])) / h
            guess = x0_pred + use(r, h) * (x0_pred - before[1])
        ratio = ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt()
        share = weight(t, t_prev) if weight else ab_t[t_prev].sqrt()
        return (shrink(ratio) if shrink else ratio) * x + share * (grow or one_minus_exp)(h) * guess

    return my_denoise_dpm


def one_minus_exp(h):
    return 1 - torch.exp(-h)


def dpm_by_ddim(x, t, t_prev, x0_pred, before):
    """DDIM's step with the noise that belongs to D."""
    if t_prev == 0:
        return x0_pred.clone()
    d = x0_pred
    if before:
        t_before, x0_before = before
        slope = (x0_pred - x0_before) / float(log_ratio(t) - log_ratio(t_before))
        h = float(log_ratio(t_prev) - log_ratio(t))
        d = x0_pred + slope * (h * math.exp(h) / (math.exp(h) - 1) - 1)
    eps = (x - ab_t[t] ** 0.5 * d) / (1 - ab_t[t]) ** 0.5
    return ab_t[t_prev] ** 0.5 * d + (1 - ab_t[t_prev]) ** 0.5 * eps


def dpm_without_first_order(x, t, t_prev, x0_pred, before):
    """Takes the missing step before for one with the guess 0."""
    return dpm()(x, t, t_prev, x0_pred, before or (T, torch.zeros_like(x0_pred)))


def fresh(
    use=lambda r, h: 1 / r,
    of_picture=lambda ab: ab**0.5,
    of_noise=lambda t, t_prev: (1 - ab_t[t_prev]) ** 0.5,
):
    """A step with all noise fresh, with one place to go wrong for each argument; as it is, it is right."""

    def my_denoise_fresh(t, t_prev, x0_pred, before, z):
        if t_prev == 0:
            return x0_pred
        guess = x0_pred
        if before is not None:
            h = log_ratio(t_prev) - log_ratio(t)
            guess = x0_pred + use((log_ratio(t) - log_ratio(before[0])) / h, h) * (x0_pred - before[1])
        return of_picture(ab_t[t_prev]) * guess + of_noise(t, t_prev) * z

    return my_denoise_fresh


def fresh_by_line(t, t_prev, x0_pred, before, z):
    """The straight line through both guesses, read off at the end of the step."""
    if t_prev == 0:
        return x0_pred
    if before is None:
        return ab_t[t_prev].sqrt() * x0_pred + (1 - ab_t[t_prev]).sqrt() * z
    t_before, x0_before = before
    at = [float(log_ratio(level)) for level in (t_before, t, t_prev)]
    u = (at[2] - at[0]) / (at[1] - at[0])
    return ab_t[t_prev].sqrt() * ((1 - u) * x0_before + u * x0_pred) + (1 - ab_t[t_prev]).sqrt() * z


def order_by_fit(n_1, error_1, n_2, error_2):
    return -np.polyfit(np.log([n_1, n_2]), np.log([error_1, error_2]), 1)[0]


# --------------------------------------------------------------------------------------- the tables

RIGHT = {
    "denoise_dpm": [dpm(), dpm_by_ddim],
    "denoise_fresh": [fresh(), fresh_by_line],
    "order": [lambda n_1, e_1, n_2, e_2: math.log(e_2 / e_1, n_1 / n_2), order_by_fit],
}

WRONG = {
    "denoise_dpm": {
        "r upside down": dpm(use=lambda r, h: place(h) * r),
        "sign of h": dpm(h_of=lambda low, high: high - low),
        "sign in the exponent": dpm(grow=lambda h: 1 - torch.exp(h)),
        "carried to the end": dpm(use=lambda r, h: 1 / r),
        "carried half-way": dpm(use=lambda r, h: 1 / (2 * r)),
        "correction subtracted": dpm(use=lambda r, h: -place(h) / r),
        "h in place of rho": dpm(use=lambda r, h: place(h) * h / r),
        "levels in place of lambda": lambda x, t, p, x0, before: dpm(
            use=lambda r, h: place(h) * (t - p) / (before[0] - t)
        )(x, t, p, x0, before),
        "beginning at the guess before": dpm(use=lambda r, h: place(h) / r - 1),
        "picture of level t": dpm(weight=lambda t, t_prev: ab_t[t] ** 0.5),
        "picture without its root": dpm(weight=lambda t, t_prev: ab_t[t_prev]),
        "step before ignored": lambda x, t, t_prev, x0, before: dpm()(x, t, t_prev, x0, None),
        "lambda without the half": dpm(lam=lambda t: torch.log(ab_t[t] / (1 - ab_t[t]))),
        "noise ratio upside down": dpm(shrink=lambda ratio: 1 / ratio),
        "missing square root": dpm(shrink=lambda ratio: ratio**2),
        "first step": dpm_without_first_order,
        "last step": dpm(last=False),
        "wrong values": dpm(lam=lambda t: ab_t[t]),
    },
    "denoise_fresh": {
        "r upside down": fresh(use=lambda r, h: r),
        "carried half-way": fresh(use=lambda r, h: 0.5 / r),
        "rho of eta = 0": fresh(use=lambda r, h: place(h) / r),
        "correction subtracted": fresh(use=lambda r, h: -1 / r),
        "rho of eta = 1": fresh(use=lambda r, h: place(2 * h) / r),
        "weight of eta = 0": lambda t, t_prev, x0, before, z: fresh(
            of_picture=lambda ab: ab**0.5 * one_minus_exp(log_ratio(t_prev) - log_ratio(t))
        )(t, t_prev, x0, before, z),
        "levels in place of lambda": lambda t, p, x0, before, z: fresh(use=lambda r, h: (t - p) / (before[0] - t))(
            t, p, x0, before, z
        ),
        "beginning at the guess before": fresh(use=lambda r, h: 1 / r - 1),
        "picture of level t": lambda t, p, x0, before, z: fresh(of_picture=lambda ab: ab_t[t] ** 0.5)(
            t, p, x0, before, z
        ),
        "noised to level t": lambda t, p, x0, before, z: fresh(
            of_picture=lambda ab: ab_t[t] ** 0.5, of_noise=lambda t, t_prev: (1 - ab_t[t]) ** 0.5
        )(t, p, x0, before, z),
        "z not used": fresh(of_noise=lambda t, t_prev: 0),
        "step before ignored": fresh(use=lambda r, h: 0),
        "picture without its weight": fresh(of_picture=lambda ab: 1),
        "missing square root on the picture": fresh(of_picture=lambda ab: ab),
        "missing square root on the noise": fresh(of_noise=lambda t, t_prev: 1 - ab_t[t_prev]),
        "noise of level t": fresh(of_noise=lambda t, t_prev: (1 - ab_t[t]).sqrt()),
        "first step": lambda t, t_prev, x0, before, z: fresh()(t, t_prev, x0, before or (T, 0 * x0), z),
        "last step": lambda t, t_prev, *rest: fresh()(t, t_prev, *rest) + (t_prev == 0) * 0.01 * rest[-1],
        "wrong values": fresh(of_noise=lambda t, t_prev: -((1 - ab_t[t_prev]) ** 0.5)),
    },
    "order": {
        "minus sign": lambda n_1, e_1, n_2, e_2: np.polyfit(np.log([n_1, n_2]), np.log([e_1, e_2]), 1)[0],
        "no logarithm": lambda n_1, e_1, n_2, e_2: e_1 / e_2,
        "steps taken to double": lambda n_1, e_1, n_2, e_2: np.log2(e_1) - np.log2(e_2),
        "steps without their logarithm": lambda n_1, e_1, n_2, e_2: np.log(e_1 / e_2) / (n_2 - n_1),
        "upside down": lambda n_1, e_1, n_2, e_2: math.log(n_2 / n_1) / math.log(e_1 / e_2),
        "two logarithms": lambda n_1, e_1, n_2, e_2: np.log2(e_1 / e_2) / np.log(n_2 / n_1),
        "rounded": lambda n_1, e_1, n_2, e_2: int(order_by_fit(n_1, e_1, n_2, e_2)),
        "divided by the ratio": lambda n_1, e_1, n_2, e_2: math.log(e_1 / e_2) * n_1 / n_2,
        "difference of errors": lambda n_1, e_1, n_2, e_2: math.log(e_1 - e_2) / math.log(n_2 / n_1),
        "ratio of logarithms": lambda n_1, e_1, n_2, e_2: np.log(e_1) / np.log(e_2) / (np.log(n_2) / np.log(n_1)),
        "wrong values": lambda n_1, e_1, n_2, e_2: (e_1 - e_2) / (n_2 - n_1),
    },
}


# --------------------------------------------------------------------------- as learners write them

# exercise → (diagnosis, or "" where it is right; what was typed)
SUBMISSIONS = {
    "denoise_dpm": [
        (
            "",
            "if t_prev == 0: return x0\nl = lambda i: 0.5 * torch.log(ab_t[i] / (1 - ab_t[i]))\nh = l(t_prev) - l(t)\nd = x0\nif before is not None:\n    tb, xb = before\n    r = (l(t) - l(tb)) / h\n    d = x0 + (1 / (1 - torch.exp(-h)) - 1 / h) / r * (x0 - xb)\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - torch.exp(-h)) * d",
        ),
        (
            "",
            "if t_prev == 0: return x0\na, s = ab_t.sqrt(), (1 - ab_t).sqrt()\nlam = np.log(a.numpy()[1:] / s.numpy()[1:])\nh = float(lam[t_prev - 1] - lam[t - 1])\nif before:\n    r = float(lam[t - 1] - lam[before[0] - 1]) / h\n    x0 = x0 + (1 / (1 - math.exp(-h)) - 1 / h) / r * (x0 - before[1])\nreturn s[t_prev] / s[t] * x + a[t_prev] * (1 - math.exp(-h)) * x0",
        ),
        (
            "",
            "if t_prev == 0: return x0.clone()\nh = log_ratio(t_prev) - log_ratio(t)\nd = x0.clone()\nif before is not None:\n    d += place(h) * h * (x0 - before[1]) / (log_ratio(t) - log_ratio(before[0]))\nreturn (1 - ab_t[t_prev]).sqrt() * (x / (1 - ab_t[t]).sqrt() + (log_ratio(t_prev).exp() - log_ratio(t).exp()) * d)",
        ),
        (
            "",
            "if t_prev < 1: return x0\nh = log_ratio(t_prev) - log_ratio(t)\nd = x0 if before is None else x0 + place(h) * h / (log_ratio(t) - log_ratio(before[0])) * (x0 - before[1])\nreturn torch.sqrt((1 - ab_t[t_prev]) / (1 - ab_t[t])) * x - ab_t[t_prev].sqrt() * torch.expm1(-h) * d",
        ),
        (
            "carried half-way",
            "if t_prev == 0: return x0\nh = log_ratio(t_prev) - log_ratio(t)\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / h\n    x0 = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * before[1]\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - (-h).exp()) * x0",
        ),
        (
            "step before ignored",
            "if t_prev == 0: return x0\nh = log_ratio(t_prev) - log_ratio(t)\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - (-h).exp()) * x0",
        ),
        (
            "correction subtracted",
            "if t_prev == 0: return x0\nh = log_ratio(t_prev) - log_ratio(t)\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / h\n    x0 = x0 + place(h) / r * (before[1] - x0)\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - (-h).exp()) * x0",
        ),
        (
            "h in place of rho",
            "if t_prev == 0: return x0\nh = log_ratio(t_prev) - log_ratio(t)\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / h\n    x0 = x0 + place(h) * h / r * (x0 - before[1])\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - (-h).exp()) * x0",
        ),
        (
            "levels in place of lambda",
            "if t_prev == 0: return x0\nh = log_ratio(t_prev) - log_ratio(t)\nif before is not None:\n    r = (before[0] - t) / (t - t_prev)\n    x0 = x0 + place(h) / r * (x0 - before[1])\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - (-h).exp()) * x0",
        ),
        (
            "beginning at the guess before",
            "if t_prev == 0: return x0\nh = log_ratio(t_prev) - log_ratio(t)\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / h\n    x0 = before[1] + place(h) / r * (x0 - before[1])\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - (-h).exp()) * x0",
        ),
        (
            "missing square root",
            "if t_prev == 0: return x0\nreturn dpm(shrink=lambda ratio: ratio**2)(x, t, t_prev, x0, before)",
        ),
        (
            "last step",
            "h = log_ratio(t_prev) - log_ratio(t)\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / h\n    x0 = x0 + place(h) / r * (x0 - before[1])\nreturn ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt() * x + ab_t[t_prev].sqrt() * (1 - (-h).exp()) * x0",
        ),
        (
            "TypeError",
            "if t_prev == 0: return x0\nt_before, x0_before = before\nreturn dpm()(x, t, t_prev, x0, before)",
        ),
        ("changes its input", "x *= ((1 - ab_t[t_prev]) / (1 - ab_t[t])).sqrt()\nreturn x"),
    ],
    "denoise_fresh": [
        (
            "",
            "if t_prev == 0: return x0\nd = x0\nif before is not None:\n    l = 0.5 * torch.log(ab_t / (1 - ab_t))\n    r = (l[t] - l[before[0]]) / (l[t_prev] - l[t])\n    d = x0 + (x0 - before[1]) / r\nreturn torch.sqrt(ab_t[t_prev]) * d + torch.sqrt(1 - ab_t[t_prev]) * z",
        ),
        (
            "",
            "if t_prev == 0: return x0\nl = lambda i: math.log(ab_t[i] / (1 - ab_t[i]))  # without the half: it falls out\nif before: x0 = x0 + (l(t_prev) - l(t)) / (l(t) - l(before[0])) * (x0 - before[1])\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "",
            "d = x0.clone()\nif before is not None and t_prev > 0:\n    d += (x0 - before[1]) * (log_ratio(t_prev) - log_ratio(t)) / (log_ratio(t) - log_ratio(before[0]))\nreturn ab_t[t_prev] ** 0.5 * d + (1 - ab_t[t_prev]) ** 0.5 * z",
        ),
        (
            "",
            "if t_prev == 0: return x0\nl = -(1 - ab_t).log() / 2 + ab_t.log() / 2\nif before is None: return ab_t[t_prev].sqrt() * x0 + (1 - ab_t[t_prev]).sqrt() * z\nslope = (x0 - before[1]) / (l[t] - l[before[0]])\nreturn ab_t[t_prev].sqrt() * (x0 + slope * (l[t_prev] - l[t])) + (1 - ab_t[t_prev]).sqrt() * z",
        ),
        (
            "r upside down",
            "if t_prev == 0: return x0\nif before is not None:\n    r = (log_ratio(t_prev) - log_ratio(t)) / (log_ratio(t) - log_ratio(before[0]))\n    x0 = x0 + (x0 - before[1]) / r\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "carried half-way",
            "if t_prev == 0: return x0\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / (log_ratio(t_prev) - log_ratio(t))\n    x0 = x0 + 0.5 / r * (x0 - before[1])\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "step before ignored",
            "if t_prev == 0: return x0\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "correction subtracted",
            "if t_prev == 0: return x0\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / (log_ratio(t_prev) - log_ratio(t))\n    x0 = x0 - (x0 - before[1]) / r\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "correction subtracted",
            "if t_prev == 0: return x0\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / (log_ratio(t) - log_ratio(t_prev))\n    x0 = x0 + (x0 - before[1]) / r\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "levels in place of lambda",
            "if t_prev == 0: return x0\nif before is not None:\n    x0 = x0 + (t - t_prev) / (before[0] - t) * (x0 - before[1])\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "beginning at the guess before",
            "if t_prev == 0: return x0\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / (log_ratio(t_prev) - log_ratio(t))\n    x0 = before[1] + (x0 - before[1]) / r\nreturn du.perturb_input(x0, t_prev, z)",
        ),
        (
            "noised to level t",
            "if t_prev == 0: return x0\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / (log_ratio(t_prev) - log_ratio(t))\n    x0 = x0 + (x0 - before[1]) / r\nreturn du.perturb_input(x0, t, z)",
        ),
        (
            "z not used",
            "if t_prev == 0: return x0\nif before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / (log_ratio(t_prev) - log_ratio(t))\n    x0 = x0 + (x0 - before[1]) / r\nreturn ab_t[t_prev].sqrt() * x0",
        ),
        (
            "missing square root on the noise",
            "if t_prev == 0: return x0\nreturn fresh(of_noise=lambda t, p: 1 - ab_t[p])(t, t_prev, x0, before, z)",
        ),
        (
            "last step",
            "if before is not None:\n    r = (log_ratio(t) - log_ratio(before[0])) / (log_ratio(t_prev) - log_ratio(t))\n    x0 = x0 + (x0 - before[1]) / r\nreturn du.perturb_input(x0, t_prev, z)",
        ),
    ],
    "order": [
        ("", "return math.log2(e1 / e2) / math.log2(n2 / n1)"),
        ("", "return (math.log(e1) - math.log(e2)) / (math.log(n2) - math.log(n1))"),
        ("", "return torch.log(torch.tensor(e1 / e2)) / torch.log(torch.tensor(n2 / n1))"),
        (
            "",
            "slope = (np.log10(e2) - np.log10(e1)) / (np.log10(n2) - np.log10(n1)); return -slope",
        ),
        ("", "return math.log(e1 / e2, n2 / n1)"),
        ("", "return np.array([np.log(e1 / e2) / np.log(n2 / n1)])"),
        ("minus sign", "return math.log(e2 / e1) / math.log(n2 / n1)"),
        ("minus sign", "return np.log(e1 / e2) / np.log(n1 / n2)"),
        ("no logarithm", "return e1 / e2"),
        ("steps taken to double", "return math.log2(e1 / e2)"),
        ("steps without their logarithm", "return (math.log(e1) - math.log(e2)) / (n2 - n1)"),
        ("divided by the ratio", "return math.log(e1 / e2) / (n2 / n1)"),
        ("upside down", "return math.log(n2 / n1) / math.log(e1 / e2)"),
        ("two logarithms", "return math.log2(e1 / e2) / math.log(n2 / n1)"),
        ("rounded", "return round(math.log(e1 / e2) / math.log(n2 / n1))"),
        ("rounded", "return math.log(e1 / e2) // math.log(n2 / n1)"),
        ("difference of errors", "return math.log(e1 - e2) / math.log(n2 / n1)"),
        (
            "ratio of logarithms",
            "return (math.log(e1) / math.log(e2)) / (math.log(n2) / math.log(n1))",
        ),
        ("wrong values", "return (e1 / e2) / (n2 / n1)"),
    ],
}
ARGUMENTS = {
    "denoise_dpm": "x, t, t_prev, x0, before",
    "denoise_fresh": "t, t_prev, x0, before, z",
    "order": "n1, e1, n2, e2",
}


def test_the_message_says_what_came_and_what_should_have(checks):
    message = checks.check_denoise_dpm(WRONG["denoise_dpm"]["r upside down"]).message
    assert "at t = " in message and "x0_before" in message and "it should be" in message

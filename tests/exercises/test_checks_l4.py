"""The checks of Lab 4: right solutions pass, stubs are not attempted, each classic mistake is called by its name.

All functions here are written without the module's, as a learner would.
"""

# ruff: noqa: E501  (what learners typed stands on one line)

import itertools
import math

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from tests.exercises.every_lab import *  # noqa: F403
from tests.exercises.submitted import *  # noqa: F403

LAB = "L4_FastSampling"
T = 500
a_t = 1 - torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
ab_t = a_t.double().cumprod(dim=0).float()


# --------------------------------------------------------------------------------------- step_pairs


def pairs_by_linspace(n, timesteps):
    levels = torch.linspace(timesteps, 0, n + 1).round().int().tolist()
    return list(zip(levels, levels[1:], strict=False))


def pairs_by_division(n, timesteps):
    return [[timesteps * (n - i) // n, timesteps * (n - i - 1) // n] for i in range(n)]


def pairs_by_stride(n, timesteps):
    """As in the public course: it runs below 0 where n does not divide T."""
    stride = timesteps // n
    return [(t, t - stride) for t in range(timesteps, 0, -stride)]


def pairs_that_stop_at_0(n, timesteps):
    return [(t, max(t_next, 0)) for t, t_next in pairs_by_stride(n, timesteps)]


def pairs_of_n_strides(n, timesteps):
    stride = timesteps // n
    return [(timesteps - i * stride, timesteps - (i + 1) * stride) for i in range(n)]


def pairs_by_larger_stride(n, timesteps):
    stride = math.ceil(timesteps / n)
    return [(max(timesteps - i * stride, 0), max(timesteps - (i + 1) * stride, 0)) for i in range(n)]


def pairs_from_below(n, timesteps):
    levels = np.linspace(timesteps - 1, 0, n + 1).round().astype(int)
    return list(zip(levels[:-1], levels[1:], strict=True))


def pairs_down_to_1(n, timesteps):
    levels = np.linspace(timesteps, 1, n + 1).round().astype(int)
    return list(zip(levels[:-1], levels[1:], strict=True))


def pairs_with_a_last_small_step(n, timesteps):
    levels = [*np.linspace(timesteps, 1, n).round().astype(int).tolist(), 0]
    return list(zip(levels[:-1], levels[1:], strict=True))


# ------------------------------------------------------------------------------------- denoise_ddim


def sigma_of(t, t_prev, eta, ab=ab_t):
    return eta * ((1 - ab[t_prev]) / (1 - ab[t])) ** 0.5 * (1 - ab[t] / ab[t_prev]) ** 0.5


def clean(x, t, eps, ab=ab_t):
    return (x - (1 - ab[t]) ** 0.5 * eps) / ab[t] ** 0.5


def ddim(x, t, t_prev, eps, eta, z, ab=ab_t):
    sigma = sigma_of(t, t_prev, eta, ab)
    return ab[t_prev] ** 0.5 * clean(x, t, eps, ab) + (1 - ab[t_prev] - sigma**2) ** 0.5 * eps + sigma * z


def ddim_sorted_by_term(x, t, t_prev, eps, eta, z):
    """In float64, with the weight of each of x, ε and z worked out beforehand."""
    high, low = float(ab_t[t]), float(ab_t[t_prev])
    variance = eta**2 * (1 - low) / (1 - high) * (1 - high / low)
    of_eps = math.sqrt(max(1 - low - variance, 0)) - math.sqrt(low * (1 - high) / high)
    return math.sqrt(low / high) * x + of_eps * eps + math.sqrt(variance) * z


def ddim_with_total_noise_first(x, t, t_prev, eps, eta, z):
    """Right but for the last step, where it divides 0 by 0."""
    total, sigma = (1 - ab_t[t_prev]) ** 0.5, sigma_of(t, t_prev, eta)
    return ab_t[t_prev] ** 0.5 * clean(x, t, eps) + total * (1 - (sigma / total) ** 2) ** 0.5 * eps + sigma * z


# ---------------------------------------------------------------------------------------- measuring


def prediction(x, t, s):
    """The exact one for N(0, s²)."""
    return (1 - ab_t[t]) ** 0.5 * x / (ab_t[t] * s**2 + 1 - ab_t[t])


def measured_spread(n, s, start):
    """What DDIM makes of the numbers ``start``: the spread of the data, if start has that of x_T."""
    x = start
    for t, t_prev in pairs_by_linspace(n, T):
        x = ddim(x, t, t_prev, prediction(x, t, s), 0.0, 0.0)
    return x.std() if len(x) > 1 else abs(x.item())


def spread_with_fresh_noise(n, s, start):
    """The same for η = 1, without drawing any: each step multiplies by a number and adds σ² to the variance."""
    variance = 1.0
    for t, t_prev in pairs_by_linspace(n, T):
        factor = ddim(1.0, t, t_prev, prediction(1.0, t, s), 1.0, 0.0)
        variance = factor**2 * variance + sigma_of(t, t_prev, 1.0) ** 2
    return variance**0.5


def needed(s, bound, start=None, spread=measured_spread, wrong=lambda std, s: abs(std / s - 1)):
    n = 1
    while wrong(spread(n, s, torch.ones(1) if start is None else start), s) > bound:
        n += 1
    return n


# -------------------------------------------------------------------------------------------- slerp


def cos_angle(a, b):
    return torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)


def on_the_arc(a, b, u, omega=None):
    omega = torch.arccos(cos_angle(a, b)) if omega is None else omega
    return torch.sin((1 - u) * omega) / torch.sin(omega) * a + torch.sin(u * omega) / torch.sin(omega) * b


def on_the_arc_by_rotation(a, b, u):
    """Turn from a towards b: cos(uΩ) along a, sin(uΩ) along the part of b across a; lengths put in at the end."""
    one, other = a / a.norm(), b / b.norm()
    omega = math.acos((one * other).sum())
    across = other / math.sin(omega) - one / math.tan(omega)
    # the weight of b/|b| is sin(uΩ)/sin Ω, the rest is along a/|a|
    of_other = math.sin(u * omega) / math.sin(omega)
    of_one = math.cos(u * omega) - math.sin(u * omega) / math.tan(omega)
    turned = math.cos(u * omega) * one + math.sin(u * omega) * across
    assert torch.allclose(turned, of_one * one + of_other * other, atol=1e-5)
    return of_one * a + of_other * b


def weights_normalised(a, b, u):
    omega = math.acos(cos_angle(a, b))
    one, other = math.sin((1 - u) * omega), math.sin(u * omega)
    return (one * a + other * b) / (one + other)


def undivided(a, b, u):
    omega = math.acos(cos_angle(a, b))
    return math.sin((1 - u) * omega) * a + math.sin(u * omega) * b


def only_b_divided(a, b, u):
    omega = math.acos(cos_angle(a, b))
    return math.sin((1 - u) * omega) * a + math.sin(u * omega) * b / math.sin(omega)


def cosines(a, b, u):
    omega = math.acos(cos_angle(a, b))
    return (math.cos((1 - u) * omega) * a + math.cos(u * omega) * b) / math.sin(omega)


def sine_first(a, b, u):
    omega = math.acos(cos_angle(a, b))
    return (math.sin(1 - u) * omega * a + math.sin(u) * omega * b) / math.sin(omega)


def angle_in_degrees(a, b, u):
    return on_the_arc(a, b, u, torch.tensor(np.degrees(math.acos(cos_angle(a, b)))))


def angle_by_row(a, b, u):
    cos = (a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True))
    return on_the_arc(a, b, u, cos.acos())


def lengthened_line(a, b, u):
    mixed = (1 - u) * a + u * b
    return mixed / mixed.norm() * a.norm()


# ------------------------------------------------------------------------------------------- encode


def climb(walk=None, ask=lambda t, t_next: max(t, 1), guess=None, noise=None, scale=T):
    """An encoder with one place to go wrong for each argument; as it is, it is right."""

    def my_encode(model, x_0, n):
        x, up = x_0, [(t, t_next) for t_next, t in pairs_by_linspace(n, T)[::-1]]
        for t, t_next in walk(up) if walk else up:
            eps = model(x, ask(t, t_next) / scale)
            x0 = guess(x, t, t_next, eps) if guess else clean(x, t, eps)
            x = ab_t[t_next] ** 0.5 * x0 + (1 - ab_t[t_next]) ** 0.5 * (noise(eps) if noise else eps)
        return x

    return my_encode


def climb_by_levels(model, x_0, n):
    """In the units of x/√ᾱ, in which DDIM's step is the prediction times the change of √(1-ᾱ)/√ᾱ."""
    levels = [t for t, _ in pairs_by_linspace(n, T)][::-1]
    y, sigma, t = x_0.double(), 0.0, 0
    for t_next in levels:
        eps = model((y * math.sqrt(ab_t[t])).float(), torch.full((len(y),), max(t, 1) / T))
        sigma_next = math.sqrt((1 - ab_t[t_next]) / ab_t[t_next])
        y, sigma, t = y + (sigma_next - sigma) * eps, sigma_next, t_next
    return (y * math.sqrt(ab_t[T])).float()


# --------------------------------------------------------------------------------------------- edit


def guided(model, x, t, c, w):
    return (1 - w) * model(x, t) + w * model(x, t, c)


def edited(up=lambda model, x, t, old, w: model(x, t, old), down=guided, encoded=None):
    """An edit with one place to go wrong for each argument; as it is, it is right."""

    def my_edit(model, x_0, old, new, w, n):
        x = climb()(lambda x, t: up(model, x, t, old, w), x_0, n)
        x = encoded(x_0, x) if encoded else x
        for t, t_prev in pairs_by_linspace(n, T):
            x = ddim(x, t, t_prev, down(model, x, t / T, new, w), 0.0, 0.0)
        return x

    return my_edit


def edit_by_guided(model, x_0, old, new, w, n):
    """With the module's loop and the wrapper."""
    x = climb_by_levels(lambda x, t: model(x, t, old), x_0, n)
    strong, zeros = du.Guided(model, w), torch.zeros_like(x)
    for t, t_prev in reversed([(t, t_prev) for t_prev, t in climb_pairs(n)]):
        x = du.denoise_ddim(x, t, t_prev, strong(x, torch.full((len(x),), t / T), new), 0.0, zeros)
    return x


def climb_pairs(n):
    return [(t_prev, t) for t, t_prev in pairs_by_linspace(n, T)[::-1]]


# --------------------------------------------------------------------------------------- the tables

RIGHT = {
    "step_pairs": [pairs_by_linspace, pairs_by_division],
    "denoise_ddim": [ddim, ddim_sorted_by_term],
    "steps_needed": [needed, lambda s, bound: needed(s, bound, torch.randn(32, 3, 16, 16))],
    "slerp": [on_the_arc, on_the_arc_by_rotation],
    "encode": [climb(), climb_by_levels],
    "edit": [edited(), edit_by_guided],
}

WRONG = {
    "step_pairs": {
        "runs below 0": pairs_by_stride,
        "fixed stride": pairs_that_stop_at_0,
        "ends above 0": pairs_of_n_strides,
        "last level left out": lambda n, timesteps: list(itertools.pairwise(range(timesteps, 0, -(timesteps // n)))),
        "fence post": lambda n, timesteps: pairs_by_linspace(n - 1, timesteps),
        "wrong number of steps": lambda n, timesteps: pairs_by_linspace(n // 2, timesteps),
        "pairs turned round": lambda n, timesteps: [(t, before) for before, t in pairs_by_linspace(n, timesteps)],
        "repeated level": pairs_by_larger_stride,
        "starts at T-1": pairs_from_below,
        "ends at 1": pairs_down_to_1,
        "uneven": pairs_with_a_last_small_step,
        "counts upwards": lambda n, timesteps: pairs_by_linspace(n, timesteps)[::-1],
        "gap in the walk": lambda n, timesteps: [(t, t - 1) for t, _ in pairs_by_linspace(n, timesteps)],
        "wrong start": lambda n, timesteps: pairs_by_linspace(n, timesteps)[1:],
        "not whole numbers": lambda n, T: [(T - T / n * i, T - T / n * (i + 1)) for i in range(n)],  # noqa: N803
        "levels, not pairs": lambda n, timesteps: torch.linspace(timesteps, 0, n + 1).int().tolist(),
        "not pairs": lambda n, timesteps: [],
        "not a list": lambda n, timesteps: zip(range(n), range(n), strict=True),
    },
    "denoise_ddim": {
        "level t in the direction": lambda x, t, p, eps, eta, z: (
            ab_t[p] ** 0.5 * clean(x, t, eps)
            + (1 - ab_t[t] - sigma_of(t, p, eta) ** 2) ** 0.5 * eps
            + sigma_of(t, p, eta) * z
        ),
        "sigma forgotten under the root": lambda x, t, p, eps, eta, z: (
            ddim(x, t, p, eps, 0, z) + sigma_of(t, p, eta) * z
        ),
        "sigma squared before z": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, z * sigma_of(t, p, eta)),
        "alpha for alpha-bar": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, z, ab=a_t),
        "x_0 not divided": lambda x, t, p, eps, eta, z: (
            ddim(x, t, p, eps, eta, z) + ab_t[p] ** 0.5 * (ab_t[t] ** 0.5 - 1) * clean(x, t, eps)
        ),
        "missing square root on the picture": lambda x, t, p, eps, eta, z: (
            ddim(x, t, p, eps, eta, z) + (ab_t[p] - ab_t[p] ** 0.5) * clean(x, t, eps)
        ),
        "eta forgotten": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, 1, z),
        "missing square root in x_0": lambda x, t, p, eps, eta, z: (
            ddim(x, t, p, eps, eta, z) + ab_t[p] ** 0.5 * ((1 - ab_t[t]) ** 0.5 - (1 - ab_t[t])) * eps / ab_t[t] ** 0.5
        ),
        "noise added": lambda x, t, p, eps, eta, z: (
            ddim(x, t, p, eps, eta, z) + 2 * ab_t[p] ** 0.5 * (1 - ab_t[t]) ** 0.5 * eps / ab_t[t] ** 0.5
        ),
        "missing square root on the direction": lambda x, t, p, eps, eta, z: (
            ab_t[p] ** 0.5 * clean(x, t, eps) + (1 - ab_t[p] - sigma_of(t, p, eta) ** 2) * eps + sigma_of(t, p, eta) * z
        ),
        "direction left out": lambda x, t, p, eps, eta, z: ab_t[p] ** 0.5 * clean(x, t, eps) + sigma_of(t, p, eta) * z,
        "sigma without its root": lambda x, t, p, eps, eta, z: ddim(
            x,
            t,
            p,
            eps,
            eta * (1 - ab_t[p]) / (1 - ab_t[t]) * (1 - ab_t[t] / ab_t[p]) / sigma_of(t, p, 1),
            z,
        ),
        "predicted noise in place of z": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, eps),
        "always without noise": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, 0, z),
        "z not used": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, torch.zeros_like(z)),
        "t-1 in place of t_prev": lambda x, t, p, eps, eta, z: ddim(x, t, t - 1, eps, eta, z),
        "last step": ddim_with_total_noise_first,
        "wrong values": lambda x, t, p, eps, eta, z: ddim(z, t, p, eps, eta, x),
        "wrong shape": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, z)[0],
        "wrong dtype": lambda x, t, p, eps, eta, z: ddim(x.double(), t, p, eps.double(), eta, z.double()),
    },
    "steps_needed": {
        "one step early": lambda s, bound: needed(s, bound) - 1,
        "one step late": lambda s, bound: needed(s, bound) + 1,
        "divided by the result": lambda s, bound: needed(s, bound, wrong=lambda std, s: abs(s / std - 1)),
        "s not used": lambda s, bound: needed(0.25, bound),
        "first n taken": lambda s, bound: needed(s, bound, wrong=lambda std, s: std / s - 1),
        "not divided by s": lambda s, bound: needed(s, bound, wrong=lambda std, s: abs(std - s)),
        "variance": lambda s, bound: needed(s, bound, wrong=lambda std, s: abs(std**2 / s**2 - 1)),
        "fresh noise": lambda s, bound: needed(s, bound, spread=spread_with_fresh_noise),
        "wrong values": lambda s, bound: 25,
        "not a number": lambda s, bound: [needed(s, bound)],
    },
    "slerp": {
        "straight line": lambda a, b, u: a + u * (b - a),
        "line made longer": lengthened_line,
        "weights that add up to 1": weights_normalised,
        "division forgotten": undivided,
        "only b divided": only_b_divided,
        "divided by the angle": lambda a, b, u: undivided(a, b, u) / math.acos(cos_angle(a, b)),
        "cosine taken for the angle": lambda a, b, u: on_the_arc(a, b, u, cos_angle(a, b)),
        "asin for acos": lambda a, b, u: on_the_arc(a, b, u, torch.asin(cos_angle(a, b))),
        "cosines for sines": cosines,
        "sine before the product": sine_first,
        "one length only": lambda a, b, u: on_the_arc(a, b, u, torch.acos((a * b).sum() / (a * a).sum())),
        "angle column by column": lambda a, b, u: on_the_arc(
            a, b, u, torch.nn.functional.cosine_similarity(a, b, dim=1).acos().unsqueeze(1)
        ),
        "angle pixel by pixel": lambda a, b, u: on_the_arc(
            a, b, u, torch.nn.functional.cosine_similarity(a, b, dim=0).acos()
        ),
        "quarter circle": lambda a, b, u: math.cos(u * math.pi / 2) * a + math.sin(u * math.pi / 2) * b,
        "angle not divided by the lengths": lambda a, b, u: on_the_arc(a, b, u, torch.dot(a.ravel(), b.ravel()).acos()),
        "u and 1-u swapped": lambda a, b, u: on_the_arc(a, b, 1 - u),
        "degrees": angle_in_degrees,
        "lengths lost": lambda a, b, u: on_the_arc(a / a.norm(), b / b.norm(), u),
        "angle row by row": angle_by_row,
        "wrong values": lambda a, b, u: on_the_arc(a, b, u**2),
        "not finite": lambda a, b, u: on_the_arc(a, b, u, (10 + cos_angle(a, b)).acos()),
    },
    "encode": {
        "list not reversed": climb(walk=lambda up: [(t_next, t) for t, t_next in up[::-1]]),
        "pairs not turned round": climb(walk=lambda up: [(t_next, t) for t, t_next in up]),
        "target's level in predict_x0": climb(guess=lambda x, t, t_next, eps: clean(x, t_next, eps)),
        "target's level for the model": climb(ask=lambda t, t_next: t_next),
        "level 0 for the model": climb(ask=lambda t, t_next: t),
        "level 1 for predict_x0": climb(guess=lambda x, t, t_next, eps: clean(x, max(t, 1), eps)),
        "t in place of t/T": climb(scale=1),
        "predict_x0 left out": climb(guess=lambda x, t, t_next, eps: x),
        "last level left out": climb(walk=lambda up: up[:-1]),
        "first level left out": climb(walk=lambda up: up[1:]),
        "one large step": lambda model, x, n: climb()(model, x, 1),
        "fresh noise": climb(noise=torch.randn_like),
        "wrong values": climb(noise=lambda eps: -eps),
        "not finite": climb(guess=lambda x, t, t_next, eps: x / 0),
    },
    "edit": {
        "contexts swapped": lambda model, x, old, new, w, n: edited()(model, x, new, old, w, n),
        "old on the way down": lambda model, x, old, new, w, n: edited()(model, x, old, old, w, n),
        "new on the way up": lambda model, x, old, new, w, n: edited()(model, x, new, new, w, n),
        "no context on the way up": edited(up=lambda model, x, t, old, w: model(x, t)),
        "no context on the way down": edited(down=lambda model, x, t, new, w: model(x, t)),
        "guidance forgotten": edited(down=lambda model, x, t, new, w: model(x, t, new)),
        "guidance on the way up": edited(up=lambda model, x, t, old, w: guided(model, x, t, old, w)),
        "guidance on the wrong way": edited(up=guided, down=lambda model, x, t, new, w: model(x, t, new)),
        "not encoded": edited(encoded=lambda x_0, x: x_0),
        "only the way up": lambda model, x, old, new, w, n: climb()(lambda x, t: model(x, t, old), x, n),
        "t in place of t/T": edited(down=lambda model, x, t, new, w: guided(model, x, t * T, new, w)),
        "fresh noise": edited(encoded=lambda x_0, x: torch.randn_like(x)),
        "wrong values": edited(down=lambda model, x, t, new, w: guided(model, x, t, new, -w)),
    },
}


# --------------------------------------------------------------------------- as learners write them

# exercise → (diagnosis, or "" where it is right; what was typed)
SUBMISSIONS = {
    "step_pairs": [
        ("", "l = np.linspace(timesteps, 0, n + 1).astype(int); return list(zip(l[:-1], l[1:]))"),
        (
            "repeated level",
            "l = [int(timesteps * (1 - i / n)) for i in range(n + 1)]; return list(zip(l, l[1:]))",
        ),
        (
            "",
            "l = [round(timesteps - i * timesteps / n) for i in range(n + 1)]\nreturn [(l[i], l[i + 1]) for i in range(n)]",
        ),
        (
            "",
            "l = torch.linspace(0, timesteps, n + 1).round().long().flip(0); return [tuple(p) for p in zip(l[:-1], l[1:])]",
        ),
        (
            "",
            "out, t = [], timesteps\nfor i in range(n, 0, -1):\n    out.append((t, t - t // i)); t = out[-1][1]\nreturn out",
        ),
        (
            "",
            "return [(math.ceil(timesteps * i / n), math.ceil(timesteps * (i - 1) / n)) for i in range(n, 0, -1)]",
        ),
        (
            "",
            "l = torch.linspace(timesteps, 0, n + 1).round().int().tolist(); return [[a, b] for a, b in itertools.pairwise(l)]",
        ),
        (
            "fence post",
            "l = torch.linspace(timesteps, 0, n).round().int().tolist(); return list(zip(l, l[1:]))",
        ),
        (
            "fence post",
            "l = torch.linspace(timesteps, 0, n + 2).round().int().tolist(); return list(zip(l[:-1], l[1:]))",
        ),
        (
            "last level left out",
            "l = list(range(timesteps, 0, -timesteps // n)); return list(zip(l, l[1:]))",
        ),
        (
            "last level left out",
            "l = torch.arange(timesteps, 0, -timesteps / n).int().tolist(); return list(zip(l[:-1], l[1:]))",
        ),
        (
            "ends above 0",
            "s = timesteps // n\nl = [timesteps - i * s for i in range(n + 1)]\nreturn list(zip(l, l[1:]))",
        ),
        (
            "fixed stride",
            "l = list(range(timesteps, 0, -(timesteps // n))) + [0]; return list(zip(l, l[1:]))",
        ),
        (
            "not a list",
            "l = torch.linspace(timesteps, 0, n + 1).round().int().tolist(); return zip(l, l[1:])",
        ),
        (
            "not a list",
            "l = np.linspace(timesteps, 0, n + 1).round().astype(int); return np.stack([l[:-1], l[1:]], 1)",
        ),
        (
            "not whole numbers",
            "l = torch.linspace(timesteps, 0, n + 1).tolist(); return list(zip(l, l[1:]))",
        ),
        (
            "not whole numbers",
            "l = torch.linspace(timesteps, 0, n + 1).round(); return list(zip(l, l[1:]))",
        ),
        (
            "pairs turned round",
            "l = torch.linspace(timesteps, 0, n + 1).round().int().tolist(); return list(zip(l[1:], l))",
        ),
        (
            "counts upwards",
            "l = torch.linspace(0, timesteps, n + 1).round().int().tolist(); return list(zip(l, l[1:]))",
        ),
        (
            "repeated level",
            "l = torch.linspace(timesteps, 0, n + 1).round().int().tolist(); return list(zip(l, l[1:] + [0]))",
        ),
        (
            "runs below 0",
            "l = torch.linspace(timesteps, 0, n + 1).round().int().tolist(); return list(zip(l, l[1:] + [-1]))",
        ),
        (
            "gap in the walk",
            "l = torch.linspace(timesteps, 0, 2 * n).round().int().tolist(); return list(zip(l[::2], l[1::2]))",
        ),
        (
            "wrong start",
            "l = torch.linspace(1000, 0, n + 1).round().int().tolist(); return list(zip(l, l[1:]))",
        ),
        (
            "uneven",
            "l = np.linspace(timesteps**0.5, 0, n + 1) ** 2; l = l.round().astype(int); return list(zip(l, l[1:]))",
        ),
    ],
    "denoise_ddim": [
        (
            "",
            "ab, p = ab_t[t].item(), ab_t[t_prev].item()\ns = eta * math.sqrt((1 - p) / (1 - ab)) * math.sqrt(1 - ab / p)\nx0 = (x - math.sqrt(1 - ab) * eps) / math.sqrt(ab)\nreturn math.sqrt(p) * x0 + math.sqrt(max(1 - p - s * s, 0)) * eps + s * z",
        ),
        (
            "",
            "x0 = du.predict_x0(x, t, eps)\ns = eta * torch.sqrt((1 - ab_t[t_prev]) / (1 - ab_t[t]) * (1 - ab_t[t] / ab_t[t_prev]))\nreturn ab_t[t_prev].sqrt() * x0 + (1 - ab_t[t_prev] - s**2).sqrt() * eps + s * z",
        ),
        (
            "",
            "ab, p = np.float64(ab_t[t]), np.float64(ab_t[t_prev])\nv = eta**2 * (1 - p) / (1 - ab) * (1 - ab / p)\nx0 = (x - float(np.sqrt(1 - ab)) * eps) / float(np.sqrt(ab))\nreturn float(np.sqrt(p)) * x0 + float(np.sqrt(max(1 - p - v, 0))) * eps + float(np.sqrt(v)) * z",
        ),
        (
            "",
            "y = x.clone()\ny -= (1 - ab_t[t]) ** 0.5 * eps\ny /= ab_t[t] ** 0.5\ny *= ab_t[t_prev] ** 0.5\ns = eta * ((1 - ab_t[t_prev]) / (1 - ab_t[t]) * (1 - ab_t[t] / ab_t[t_prev])) ** 0.5\nreturn y + (1 - ab_t[t_prev] - s**2) ** 0.5 * eps + s * z",
        ),
        ("changes its input", "x -= (1 - ab_t[t]) ** 0.5 * eps\nx /= ab_t[t] ** 0.5\nreturn x"),
        (
            "sigma forgotten under the root",
            "p = ab_t[t_prev]\ns = eta * ((1 - p) / (1 - ab_t[t]) * (1 - ab_t[t] / p)) ** 0.5\nreturn p**0.5 * clean(x, t, eps) + (1 - p) ** 0.5 * eps + s * z",
        ),
        (
            "sigma squared before z",
            "p = ab_t[t_prev]\nv = eta**2 * (1 - p) / (1 - ab_t[t]) * (1 - ab_t[t] / p)\nreturn p**0.5 * clean(x, t, eps) + (1 - p - v) ** 0.5 * eps + v * z",
        ),
        (
            "missing square root in x_0",
            "p, ab = ab_t[t_prev], ab_t[t]\ns = sigma_of(t, t_prev, eta)\nx0 = (x - (1 - ab) * eps) / ab.sqrt()\nreturn p.sqrt() * x0 + (1 - p - s**2).sqrt() * eps + s * z",
        ),
        (
            "missing square root on the direction",
            "p, s = ab_t[t_prev], sigma_of(t, t_prev, eta)\nreturn p.sqrt() * clean(x, t, eps) + (1 - p - s**2) * eps + s * z",
        ),
        (
            "direction left out",
            "s = sigma_of(t, t_prev, eta)\nreturn ab_t[t_prev].sqrt() * clean(x, t, eps) + s * z",
        ),
        (
            "always without noise",
            "return ab_t[t_prev].sqrt() * clean(x, t, eps) + (1 - ab_t[t_prev]).sqrt() * eps",
        ),
        (
            "sigma without its root",
            "p, ab = ab_t[t_prev], ab_t[t]\ns = eta * (1 - p) / (1 - ab) * (1 - ab / p)\nreturn p.sqrt() * clean(x, t, eps) + (1 - p - s**2).sqrt() * eps + s * z",
        ),
        (
            "predicted noise in place of z",
            "s = sigma_of(t, t_prev, eta)\nreturn ab_t[t_prev].sqrt() * clean(x, t, eps) + ((1 - ab_t[t_prev] - s**2).sqrt() + s) * eps",
        ),
        ("t-1 in place of t_prev", "t_prev = t - 1\nreturn ddim(x, t, t_prev, eps, eta, z)"),
        (
            "not finite",
            "p, ab = ab_t[t_prev], ab_t[t]\ns = eta * ((1 - p) / (1 - ab)).sqrt() * (1 - p / ab).sqrt()\nreturn p.sqrt() * clean(x, t, eps) + (1 - p - s**2).sqrt() * eps + s * z",
        ),
        ("not a tensor", "return ddim(x, t, t_prev, eps, eta, z).numpy()"),
    ],
    "steps_needed": [
        (
            "",
            "n = 0\nwhile True:\n    n += 1\n    if abs(measured_spread(n, s, torch.ones(1)) / s - 1) <= bound:\n        return n",
        ),
        (
            "",
            "for n in range(1, 501):\n    x, _ = du.sample_ddim(32, n=n, model=du.exact_denoiser(0.0, s), progress=False)\n    if abs(x.std() / s - 1) <= bound:\n        return n",
        ),
        (
            "",
            "for n in range(1, 501):\n    x, _ = du.sample_ddim(32, n=n, model=du.exact_denoiser(0.4, s), progress=False, seed=0)\n    if np.abs(x.numpy().std() / s - 1) <= bound:\n        return torch.tensor(n)",
        ),
        (
            "",
            "return next(n for n in itertools.count(1) if 1 - measured_spread(n, s, torch.ones(1)) / s < bound)",
        ),
        (
            "",
            "lo, hi = 1, 500\nwhile lo < hi:\n    mid = (lo + hi) // 2\n    if abs(measured_spread(mid, s, torch.ones(1)) - s) <= bound * s: hi = mid\n    else: lo = mid + 1\nreturn lo",
        ),
        (
            "first n taken",
            "n = 1\nwhile measured_spread(n, s, torch.ones(1)) / s - 1 > bound: n += 1\nreturn n",
        ),
        (
            "first n taken",
            "for n in range(1, 501):\n    if abs(measured_spread(n, s, torch.ones(1)) / s - 1) >= bound: return n",
        ),
        (
            "one step early",
            "for i, n in enumerate(range(1, 501)):\n    if abs(measured_spread(n, s, torch.ones(1)) / s - 1) <= bound: return i",
        ),
        (
            "one step late",
            "n = 1\nwhile True:\n    ok = abs(measured_spread(n, s, torch.ones(1)) / s - 1) <= bound\n    n += 1\n    if ok: return n",
        ),
        (
            "not divided by s",
            "n = 1\nwhile abs(s - measured_spread(n, s, torch.ones(1))) > bound: n += 1\nreturn n",
        ),
        (
            "divided by the result",
            "n = 1\nwhile abs(1 - s / measured_spread(n, s, torch.ones(1))) > bound: n += 1\nreturn n",
        ),
        (
            "variance",
            "n = 1\nwhile abs(measured_spread(n, s, torch.ones(1)) ** 2 / s**2 - 1) > bound: n += 1\nreturn n",
        ),
        (
            "s not used",
            "s = 0.25; n = 1\nwhile abs(measured_spread(n, s, torch.ones(1)) / s - 1) > bound: n += 1\nreturn n",
        ),
        (
            "wrong values",
            "for n in (1, 5, 10, 25, 50, 100):\n    if abs(measured_spread(n, s, torch.ones(1)) / s - 1) <= bound: return n",
        ),
        (
            "not a number",
            "return [n for n in range(1, 10) if abs(measured_spread(n, s, torch.ones(1)) / s - 1) <= bound]",
        ),
    ],
    "slerp": [
        (
            "",
            "o = math.acos(float((a * b).sum() / a.norm() / b.norm()))\nreturn (math.sin((1 - u) * o) * a + math.sin(u * o) * b) / math.sin(o)",
        ),
        (
            "",
            "o = torch.acos(torch.dot(a.flatten(), b.flatten()) / (a.norm() * b.norm()))\nreturn a * torch.sin((1 - u) * o) / torch.sin(o) + b * torch.sin(u * o) / torch.sin(o)",
        ),
        (
            "",
            "o = np.arccos((a * b).sum().item() / (np.linalg.norm(a) * np.linalg.norm(b)))\nreturn float(np.sin((1 - u) * o) / np.sin(o)) * a + float(np.sin(u * o) / np.sin(o)) * b",
        ),
        (
            "",
            "o = torch.acos((a / a.norm() * (b / b.norm())).sum().clamp(-1, 1))\nif o.abs() < 1e-4:\n    return (1 - u) * a + u * b\nreturn (torch.sin((1 - u) * o) * a + torch.sin(u * o) * b) / torch.sin(o)",
        ),
        (
            "",
            "cos = (a * b).sum() / torch.sqrt((a**2).sum() * (b**2).sum())\nsin = (1 - cos**2).sqrt()\no = torch.atan2(sin, cos)\nreturn ((o - u * o).sin() * a + (u * o).sin() * b) / sin",
        ),
        ("straight line", "return torch.lerp(a, b, u)"),
        (
            "straight line",
            "o = torch.acos(cos_angle(a, b))\nreturn ((1 - u) * o * a + u * o * b) / o",
        ),
        ("line made longer", "m = (1 - u) * a + u * b\nreturn m * (a.norm() / m.norm())"),
        ("quarter circle", "th = u * math.pi / 2\nreturn math.cos(th) * a + math.sin(th) * b"),
        (
            "only b divided",
            "o = torch.acos(cos_angle(a, b))\nreturn torch.sin((1 - u) * o) * a + torch.sin(u * o) * b / torch.sin(o)",
        ),
        (
            "divided by the angle",
            "o = torch.acos(cos_angle(a, b))\nreturn (torch.sin((1 - u) * o) * a + torch.sin(u * o) * b) / o",
        ),
        (
            "division forgotten",
            "o = torch.acos(cos_angle(a, b))\nreturn torch.sin((1 - u) * o) * a + torch.sin(u * o) * b",
        ),
        (
            "u and 1-u swapped",
            "o = torch.acos(cos_angle(a, b))\nreturn (torch.sin(u * o) * a + torch.sin((1 - u) * o) * b) / torch.sin(o)",
        ),
        (
            "degrees",
            "o = np.rad2deg(math.acos(cos_angle(a, b)))\nreturn (math.sin((1 - u) * o) * a + math.sin(u * o) * b) / math.sin(o)",
        ),
        (
            "lengths lost",
            "a, b = a / a.norm(), b / b.norm()\no = (a * b).sum().acos()\nreturn (torch.sin((1 - u) * o) * a + torch.sin(u * o) * b) / torch.sin(o)",
        ),
        (
            "angle column by column",
            "o = torch.nn.functional.cosine_similarity(a, b).acos().unsqueeze(1)\nreturn (torch.sin((1 - u) * o) * a + torch.sin(u * o) * b) / torch.sin(o)",
        ),
        (
            "cosine taken for the angle",
            "o = cos_angle(a, b)\nreturn (torch.sin((1 - u) * o) * a + torch.sin(u * o) * b) / torch.sin(o)",
        ),
        (
            "wrong shape",
            "o = torch.acos(cos_angle(a, b))\nreturn ((torch.sin((1 - u) * o) * a + torch.sin(u * o) * b) / torch.sin(o)).flatten()",
        ),
    ],
    "encode": [
        (
            "",
            "for high, low in reversed(du.step_pairs(n)):\n    e = model(x, max(low, 1) / T)\n    x = du.perturb_input(du.predict_x0(x, low, e), high, e)\nreturn x",
        ),
        (
            "",
            "l = [int(v) for v in torch.linspace(0, T, n + 1).round()]\nfor i in range(n):\n    e = model(x, (l[i] or 1) / T)\n    x0 = (x - (1 - ab_t[l[i]]).sqrt() * e) / ab_t[l[i]].sqrt()\n    x = ab_t[l[i + 1]].sqrt() * x0 + (1 - ab_t[l[i + 1]]).sqrt() * e\nreturn x",
        ),
        (
            "",
            "p = du.step_pairs(n)[::-1]\ny = x.clone()\nfor t_next, t in p:\n    e = model(y, torch.tensor(max(t, 1) / T))\n    y = du.perturb_input(du.predict_x0(y, t, e), t_next, e)\nreturn y",
        ),
        (
            "",
            "for t_next, t in reversed(du.step_pairs(n)):\n    e = model(x, torch.full((len(x),), max(t, 1)) / T)\n    k, k2 = ((1 - ab_t[i]).sqrt() / ab_t[i].sqrt() for i in (t, t_next))\n    x = (x / ab_t[t].sqrt() + (k2 - k) * e) * ab_t[t_next].sqrt()\nreturn x",
        ),
        (
            "",
            "k = n\nwhile k > 0:\n    t_next, t = du.step_pairs(n)[k - 1]\n    e = model(x, max(t, 1) / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\n    k -= 1\nreturn x",
        ),
        (
            "list not reversed",
            "for t, t_next in du.step_pairs(n):\n    e = model(x, max(t, 1) / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nreturn x",
        ),
        (
            "pairs not turned round",
            "for t, t_next in reversed(du.step_pairs(n)):\n    e = model(x, max(t, 1) / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nreturn x",
        ),
        (
            "fresh noise",
            "for t_next, t in reversed(du.step_pairs(n)):\n    e = model(x, max(t, 1) / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, torch.randn_like(x))\nreturn x",
        ),
        (
            "level 0 for the model",
            "for t_next, t in reversed(du.step_pairs(n)):\n    e = model(x, t / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nreturn x",
        ),
        (
            "level 1 for predict_x0",
            "for t_next, t in reversed(du.step_pairs(n)):\n    t = max(t, 1)\n    e = model(x, t / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nreturn x",
        ),
        (
            "target's level for the model",
            "for t_next, t in reversed(du.step_pairs(n)):\n    e = model(x, t_next / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nreturn x",
        ),
        (
            "t in place of t/T",
            "for t_next, t in reversed(du.step_pairs(n)):\n    e = model(x, max(t, 1))\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nreturn x",
        ),
        (
            "predict_x0 left out",
            "for t_next, t in reversed(du.step_pairs(n)):\n    x = du.perturb_input(x, t_next, model(x, max(t, 1) / T))\nreturn x",
        ),
        (
            "first level left out",
            "for t_next, t in reversed(du.step_pairs(n)):\n    if t == 0: continue\n    e = model(x, t / T)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nreturn x",
        ),
        ("one large step", "e = model(x, 1 / T)\nreturn du.perturb_input(x, T, e)"),
    ],
    "edit": [
        (
            "",
            "x = encode(lambda x, t: model(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T, new))\nreturn x",
        ),
        (
            "",
            "def up(y, t): return model(y, t, old)\ny, strong = encode(up, x, n), du.Guided(model, w)\nfor t, t_prev in du.step_pairs(n):\n    y = du.denoise_ddim(y, t, t_prev, strong(y, t / T, new), 0.0, torch.zeros_like(y))\nreturn y",
        ),
        (
            "",
            "x = encode(lambda x, t: du.Guided(model, 1)(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    free, asked = model(x, t / T), model(x, t / T, new)\n    x = ddim(x, t, t_prev, free + w * (asked - free), 0, 0)\nreturn x",
        ),
        (
            "",
            "import functools\nx = encode(functools.partial(model, c=old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = ddim(x, t, t_prev, du.Guided(model, w)(x, torch.tensor(t / T), new), 0, 0)\nreturn x",
        ),
        (
            "",
            "for t_next, t in reversed(du.step_pairs(n)):\n    e = model(x, max(t, 1) / T, old)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_next, e)\nfor t, t_prev in du.step_pairs(n):\n    e = du.guided_noise(model(x, t / T, new), model(x, t / T), w)\n    x = du.perturb_input(du.predict_x0(x, t, e), t_prev, e)\nreturn x",
        ),
        (
            "guidance on the way up",
            "g = du.Guided(model, w)\nx = encode(lambda x, t: g(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, g(x, t / T, new))\nreturn x",
        ),
        (
            "guidance forgotten",
            "x = encode(lambda x, t: model(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, model(x, t / T, new))\nreturn x",
        ),
        (
            "no context on the way up",
            "x = encode(model, x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T, new))\nreturn x",
        ),
        (
            "no context on the way down",
            "x = encode(lambda x, t: model(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T))\nreturn x",
        ),
        (
            "contexts swapped",
            "x = encode(lambda x, t: model(x, t, new), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T, old))\nreturn x",
        ),
        (
            "new on the way up",
            "x = encode(lambda x, t: model(x, t, new), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T, new))\nreturn x",
        ),
        (
            "not encoded",
            "code = encode(lambda x, t: model(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T, new))\nreturn x",
        ),
        (
            "fresh noise",
            "x = encode(lambda x, t: model(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T, new), 1.0)\nreturn x",
        ),
        (
            "fresh noise",
            "x = torch.randn_like(x)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t / T, new))\nreturn x",
        ),
        ("only the way up", "return encode(lambda x, t: model(x, t, old), x, n)"),
        (
            "t in place of t/T",
            "x = encode(lambda x, t: model(x, t, old), x, n)\nfor t, t_prev in du.step_pairs(n):\n    x = du.denoise_ddim(x, t, t_prev, du.Guided(model, w)(x, t, new))\nreturn x",
        ),
    ],
}
ARGUMENTS = {
    "step_pairs": "n, timesteps",
    "denoise_ddim": "x, t, t_prev, eps, eta, z",
    "steps_needed": "s, bound",
    "slerp": "a, b, u",
    "encode": "model, x, n",
    "edit": "model, x, old, new, w, n",
}


def encode(model, x, n):
    return climb()(model, x, n)


def test_endless_loop_is_stopped(checks, monkeypatch):
    monkeypatch.setattr("exercise_tools.running.SECONDS", 0.2)

    def endless(s, bound):
        while True:
            pass

    assert checks.check_steps_needed(endless).status == "too slow"


@pytest.mark.parametrize("levels", [np.int64, torch.tensor], ids=["numpy", "torch"])
def test_levels_may_be_whole_numbers_of_any_kind(checks, levels):
    def my_step_pairs(n, timesteps):
        return [(levels(t), levels(t_next)) for t, t_next in pairs_by_division(n, timesteps)]

    assert checks.check_step_pairs(my_step_pairs).status == "passed"


def test_the_labs_own_functions(checks):
    """The cells after the exercises use these two."""
    a, b = torch.randn(2, 3, 16, 16)
    assert torch.allclose(checks.slerp(a, b, 0.3), on_the_arc(a, b, 0.3), atol=1e-5)
    x = torch.randn(2, 3, 16, 16)
    answer = lambda x, t: prediction(x, round(t * T), 0.5)  # noqa: E731
    assert torch.allclose(checks.encode(answer, x, 7), climb()(answer, x, 7), atol=1e-4)

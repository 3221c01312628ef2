"""The checks of Lab 4: right solutions pass, stubs are not attempted, each classic mistake is called by its name.

All functions here are written without the module's, as a learner would.
"""

import math

import numpy as np
import pytest
import torch

from tests.exercises.every_lab import *  # noqa: F403

LAB = "L4_FastSampling"
T = 500
a_t = 1 - torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
ab_t = a_t.double().cumprod(dim=0).float()


# ---------------------------------------------------------------------------------------------------------- step_pairs


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


# -------------------------------------------------------------------------------------------------------- denoise_ddim


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


# ---------------------------------------------------------------------------------------------------------- measuring


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


# --------------------------------------------------------------------------------------------------------------- slerp


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


def angle_in_degrees(a, b, u):
    return on_the_arc(a, b, u, torch.tensor(np.degrees(math.acos(cos_angle(a, b)))))


def angle_by_row(a, b, u):
    cos = (a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True))
    return on_the_arc(a, b, u, cos.acos())


def lengthened_line(a, b, u):
    mixed = (1 - u) * a + u * b
    return mixed / mixed.norm() * a.norm()


# -------------------------------------------------------------------------------------------------------------- encode


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


# --------------------------------------------------------------------------------------------------------- denoise_dpm


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
        return (shrink(ratio) if shrink else ratio) * x + ab_t[t_prev].sqrt() * (grow or one_minus_exp)(h) * guess

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


# --------------------------------------------------------------------------------------------------------- the tables

RIGHT = {
    "step_pairs": [pairs_by_linspace, pairs_by_division],
    "denoise_ddim": [ddim, ddim_sorted_by_term],
    "steps_needed": [needed, lambda s, bound: needed(s, bound, torch.randn(32, 3, 16, 16))],
    "slerp": [on_the_arc, on_the_arc_by_rotation],
    "encode": [climb(), climb_by_levels],
    "denoise_dpm": [dpm(), dpm_by_ddim],
    "denoise_fresh": [fresh(), fresh_by_line],
    "order": [lambda n_1, e_1, n_2, e_2: math.log(e_2 / e_1, n_1 / n_2), order_by_fit],
}

WRONG = {
    "step_pairs": {
        "runs below 0": pairs_by_stride,
        "fixed stride": pairs_that_stop_at_0,
        "ends above 0": pairs_of_n_strides,
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
        "always without noise": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, 0, z),
        "z not used": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, torch.zeros_like(z)),
        "t-1 in place of t_prev": lambda x, t, p, eps, eta, z: ddim(x, t, t - 1, eps, eta, z),
        "last step": ddim_with_total_noise_first,
        "wrong values": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, eps),
        "wrong shape": lambda x, t, p, eps, eta, z: ddim(x, t, p, eps, eta, z)[0],
        "wrong dtype": lambda x, t, p, eps, eta, z: ddim(x.double(), t, p, eps.double(), eta, z.double()),
    },
    "steps_needed": {
        "one step early": lambda s, bound: needed(s, bound) - 1,
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
        "quarter circle": lambda a, b, u: math.cos(u * math.pi / 2) * a + math.sin(u * math.pi / 2) * b,
        "angle not divided by the lengths": lambda a, b, u: on_the_arc(a, b, u, torch.dot(a.ravel(), b.ravel()).acos()),
        "u and 1-u swapped": lambda a, b, u: on_the_arc(a, b, 1 - u),
        "degrees": angle_in_degrees,
        "lengths lost": lambda a, b, u: on_the_arc(a / a.norm(), b / b.norm(), u),
        "angle row by row": angle_by_row,
        "wrong values": lambda a, b, u: on_the_arc(a, b, u, cos_angle(a, b)),
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
        "fresh noise": climb(noise=torch.randn_like),
        "wrong values": climb(noise=lambda eps: -eps),
        "not finite": climb(guess=lambda x, t, t_next, eps: x / 0),
    },
    "denoise_dpm": {
        "r upside down": dpm(use=lambda r, h: place(h) * r),
        "sign of h": dpm(h_of=lambda low, high: high - low),
        "sign in the exponent": dpm(grow=lambda h: 1 - torch.exp(h)),
        "carried to the end": dpm(use=lambda r, h: 1 / r),
        "carried half-way": dpm(use=lambda r, h: 1 / (2 * r)),
        "correction subtracted": dpm(use=lambda r, h: -place(h) / r),
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
        "step before ignored": fresh(use=lambda r, h: 0),
        "picture without its weight": fresh(of_picture=lambda ab: 1),
        "missing square root on the picture": fresh(of_picture=lambda ab: ab),
        "missing square root on the noise": fresh(of_noise=lambda t, t_prev: 1 - ab_t[t_prev]),
        "noise of level t": fresh(of_noise=lambda t, t_prev: (1 - ab_t[t]).sqrt()),
        "first step": lambda t, t_prev, x0, before, z: fresh()(t, t_prev, x0, before or (T, 0 * x0), z),
        "last step": lambda t, t_prev, *rest: fresh()(t, t_prev, *rest) + (t_prev == 0) * 0.01 * rest[-1],
        "wrong values": fresh(of_noise=lambda t, t_prev: 0),
    },
    "order": {
        "minus sign": lambda n_1, e_1, n_2, e_2: np.polyfit(np.log([n_1, n_2]), np.log([e_1, e_2]), 1)[0],
        "no logarithm": lambda n_1, e_1, n_2, e_2: e_1 / e_2,
        "steps taken to double": lambda n_1, e_1, n_2, e_2: np.log2(e_1) - np.log2(e_2),
        "steps without their logarithm": lambda n_1, e_1, n_2, e_2: np.log(e_1 / e_2) / (n_2 - n_1),
        "upside down": lambda n_1, e_1, n_2, e_2: math.log(n_2 / n_1) / math.log(e_1 / e_2),
        "rounded": lambda n_1, e_1, n_2, e_2: int(order_by_fit(n_1, e_1, n_2, e_2)),
        "wrong values": lambda n_1, e_1, n_2, e_2: (e_1 - e_2) / (n_2 - n_1),
    },
}


def test_endless_loop_is_stopped(checks, monkeypatch):
    monkeypatch.setattr("exercise_tools.running.SECONDS", 0.2)

    def endless(s, bound):
        while True:
            pass

    assert checks.check_steps_needed(endless).status == "too slow"


def test_every_mistake_of_the_checks_has_a_variant(checks):
    """A mistake that no test makes could be written down wrongly."""
    listed = [table for name, table in vars(checks).items() if name.endswith("_MISTAKES")]
    assert len(listed) == 7  # step_pairs judges by properties
    assert set().union(*listed) <= set().union(*WRONG.values())


def test_the_message_says_what_came_and_what_should_have(checks):
    message = repr(checks.check_denoise_dpm(WRONG["denoise_dpm"]["r upside down"]))
    assert "at t = " in message and "x0_before" in message and "it should be" in message


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

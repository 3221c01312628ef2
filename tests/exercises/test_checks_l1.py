"""The checks of Lab 1: right solutions pass, stubs are not attempted, each classic mistake is called by its name.

All functions here are written without the module's, as a learner would.
"""

import math

import numpy as np
import pytest
import torch

from tests.exercises.every_lab import *  # noqa: F403

LAB = "L1_Sampling"
T = 500
b_t = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
a_t = 1 - b_t
ab_t = a_t.double().cumprod(dim=0).float()


# ------------------------------------------------------------------------------------------------------ linear_schedule


def tables(timesteps, beta1, beta2):
    b = torch.zeros(timesteps + 1)
    b[1:] = torch.linspace(beta1, beta2, timesteps)
    return b, 1 - b, torch.cumprod(1 - b, dim=0)


def tables_in_a_loop(timesteps, beta1, beta2):
    b, ab = [0.0], [1.0]
    for t in range(1, timesteps + 1):
        b.append(beta1 + (beta2 - beta1) * (t - 1) / (timesteps - 1))
        ab.append(ab[-1] * (1 - b[-1]))
    return [torch.tensor(b), 1 - torch.tensor(b), torch.tensor(ab)]


def no_level_zero(timesteps, beta1, beta2):
    b = torch.linspace(beta1, beta2, timesteps)
    a = 1 - b
    return b, a, torch.cumprod(a, dim=0)


def beta1_at_zero(timesteps, beta1, beta2):
    b = (beta2 - beta1) * torch.linspace(0, 1, timesteps + 1) + beta1
    a = 1 - b
    # as in the public course, which then sets ab[0] = 1
    return b, a, torch.cumsum(a.log(), dim=0).exp()


def zeroed_afterwards(timesteps, beta1, beta2):
    b = torch.linspace(beta1, beta2, timesteps + 1)
    b[0] = 0
    return b, 1 - b, (1 - b).cumprod(0)


def alpha_zero_counted(timesteps, beta1, beta2):
    b, a, _ = tables(timesteps, beta1, beta2)
    return b, a, (1 - torch.linspace(beta1, beta2, timesteps + 1)).cumprod(0)


def one_minus_sum(timesteps, beta1, beta2):
    b, a, _ = tables(timesteps, beta1, beta2)
    return b, a, 1 - b.cumsum(0)


def summed_alphas(timesteps, beta1, beta2):
    b, a, _ = tables(timesteps, beta1, beta2)
    return b, a, a.cumsum(0)


def product_of_betas(timesteps, beta1, beta2):
    b, a, _ = tables(timesteps, beta1, beta2)
    return b, a, b.cumprod(0)


def product_before(timesteps, beta1, beta2):
    b, a, ab = tables(timesteps, beta1, beta2)
    late = torch.ones_like(ab)
    late[1:] = ab[:-1]
    return b, a, late


# ----------------------------------------------------------------------------------------- perturb_input and crossover


def noised_by_numpy(x, t, noise):
    share = float(ab_t[t])
    return torch.from_numpy((share**0.5 * x.numpy() + (1 - share) ** 0.5 * noise.numpy()).astype(np.float32))


def first_by_loop(ab_t, power):
    t = 0
    while power * ab_t[t] >= 1 - ab_t[t]:
        t += 1
    return t


def first_by_ratio(ab_t, power):
    return torch.argmax((power * ab_t / (1 - ab_t) < 1).int())


# ------------------------------------------------------------------------------------------------------------- samplers


def step(x, t, eps, z):
    return (x - b_t[t] / torch.sqrt(1 - ab_t[t]) * eps) / torch.sqrt(a_t[t]) + torch.sqrt(b_t[t]) * z


def step_sorted_by_term(x, t, eps, z):
    beta, share = float(b_t[t]), float(ab_t[t])
    return x / (1 - beta) ** 0.5 - beta / ((1 - beta) * (1 - share)) ** 0.5 * eps + beta**0.5 * z


def sampler(levels=range(T, 0, -1), last=1, ask=lambda t: t / T, draw=None, scale=None):
    """A sampling loop with one place to go wrong for each argument; as it is, it is right."""

    def my_sample_ddpm(model, x_T):  # noqa: N803
        x, same = x_T, torch.randn_like(x_T)
        for t in levels:
            z = torch.randn_like(x) if t > last else torch.zeros_like(x)
            z = draw(z, same) if draw else z
            x = step(x, t, model(x, ask(t)), z * (scale(t) if scale else 1))
        return x

    return my_sample_ddpm


def sampler_by_while(model, x_T):  # noqa: N803
    t, x = T, x_T.clone()
    while t:
        eps = model(x, torch.full((len(x),), t / T))
        x -= b_t[t] / (1 - ab_t[t]) ** 0.5 * eps
        x /= a_t[t] ** 0.5
        t -= 1
        if t > 0:
            x += b_t[t + 1] ** 0.5 * torch.randn(x.shape)
    return x


def sampler_from_own_noise(model, x_T):  # noqa: N803
    return sampler()(model, torch.randn_like(x_T))


def collapse(n, schedule_levels=None, share=lambda ab: (1 - ab).sqrt(), noise=0.0):
    b = tables(schedule_levels or n, 1e-4, 0.02)[0]
    a, ab = 1 - b, (1 - b).cumprod(0)
    x = torch.randn(50_000)
    for t in range(n, 0, -1):
        x = (x - b[t] / (1 - ab[t]).sqrt() * share(ab[t]) * x) / a[t].sqrt() + noise * b[t].sqrt() * torch.randn(50_000)
    return x


def beta_tilde(t):
    return b_t[t] * (1 - ab_t[t - 1]) / (1 - ab_t[t])


def beta_tilde_by_precision(t):
    """1 / (α/β + 1/(1-ᾱ_{t-1})), as in the derivation."""
    if t == 1:
        return 0.0
    return 1 / (float(a_t[t]) / float(b_t[t]) + 1 / (1 - float(ab_t[t - 1])))


def taken_and_put_back(t):
    one, zero = torch.ones(1), torch.zeros(1)
    return -step(zero, t, one, zero), step(zero, t, zero, one)


def taken_and_put_back_by_formula(t):
    return [float(b_t[t] / (a_t[t] - a_t[t] * ab_t[t]) ** 0.5), math.sqrt(b_t[t])]


# --------------------------------------------------------------------------------------------------------- the tables

RIGHT = {
    "linear_schedule": [tables, tables_in_a_loop],
    "perturb_input": [
        lambda x, t, noise: ab_t[t].sqrt() * x + (1 - ab_t[t]).sqrt() * noise,
        noised_by_numpy,
    ],
    "crossover": [first_by_loop, first_by_ratio],
    "predict_x0": [
        lambda x, t, eps: (x - (1 - ab_t[t]).sqrt() * eps) / ab_t[t].sqrt(),
        lambda x, t, eps: x * ab_t[t] ** -0.5 - eps * (1 / ab_t[t] - 1) ** 0.5,
    ],
    "posterior_variance": [beta_tilde, beta_tilde_by_precision],
    "denoise_add_noise": [step, step_sorted_by_term],
    "noise_budget": [taken_and_put_back, taken_and_put_back_by_formula],
    "sample_ddpm": [sampler(), sampler_by_while],
    "spread_without_noise": [
        lambda n: collapse(n).std(),
        lambda n: collapse(n).square().mean().sqrt().item(),
    ],
}

WRONG = {
    "linear_schedule": {
        "no 0 in front": no_level_zero,
        "beta1 at t = 0": beta1_at_zero,
        "beta_0 set to 0 afterwards": zeroed_afterwards,
        "alpha_0 counted": alpha_zero_counted,
        "sum in place of product": one_minus_sum,
        "cumulative sum of alpha": summed_alphas,
        "product of beta": product_of_betas,
        "one level late": product_before,
        "wrong number of results": lambda n, low, high: torch.linspace(low, high, n),
        "wrong dtype": lambda *a: tuple(table.double() for table in tables(*a)),
    },
    "perturb_input": {
        "missing square root": lambda x, t, noise: ab_t[t] ** 0.5 * x + (1 - ab_t[t]) * noise,
        "missing square root on the signal": lambda x, t, noise: ab_t[t] * x + (1 - ab_t[t]) ** 0.5 * noise,
        "no square roots": lambda x, t, noise: torch.lerp(noise, x, ab_t[t]),
        "weights swapped": lambda x, t, noise: (1 - ab_t[t]) ** 0.5 * x + ab_t[t] ** 0.5 * noise,
        "alpha for alpha-bar": lambda x, t, noise: a_t[t] ** 0.5 * x + (1 - a_t[t]) ** 0.5 * noise,
        "level t-1": lambda x, t, noise: ab_t[t - 1] ** 0.5 * x + (1 - ab_t[t - 1]) ** 0.5 * noise,
        "one minus the root": lambda x, t, noise: ab_t[t] ** 0.5 * x + (1 - ab_t[t] ** 0.5) * noise,
        "wrong values": lambda x, t, noise: x + noise,
        "wrong shape": lambda x, t, noise: ab_t[t] ** 0.5 * x[0] + (1 - ab_t[t]) ** 0.5 * noise[0],
    },
    "crossover": {
        "one level early": lambda ab_t, power: first_by_loop(ab_t[1:], power),
        "power forgotten": lambda ab_t, power: int((ab_t >= 0.5).sum()),
        "power without its root": lambda ab_t, power: int((power * ab_t.sqrt() >= (1 - ab_t).sqrt()).sum()),
        "root on one side": lambda ab_t, power: int((power * ab_t.sqrt() >= 1 - ab_t).sum()),
        "comparison turned round": lambda ab_t, power: int(torch.argmax((power * ab_t > 1 - ab_t).int())),
        "last level": lambda ab_t, power: max(t for t in range(len(ab_t)) if 1 - ab_t[t] > power * ab_t[t]),
        "not a number": lambda ab_t, power: (1 - ab_t > power * ab_t).nonzero(),
    },
    "predict_x0": {
        "missing square root": lambda x, t, eps: (x - (1 - ab_t[t]) * eps) / ab_t[t] ** 0.5,
        "missing square root in the divisor": lambda x, t, eps: (x - (1 - ab_t[t]) ** 0.5 * eps) / ab_t[t],
        "division forgotten": lambda x, t, eps: x - (1 - ab_t[t]) ** 0.5 * eps,
        "multiplied, not divided": lambda x, t, eps: (x - (1 - ab_t[t]) ** 0.5 * eps) * ab_t[t] ** 0.5,
        "division of x only": lambda x, t, eps: x / ab_t[t] ** 0.5 - (1 - ab_t[t]) ** 0.5 * eps,
        "plus in place of minus": lambda x, t, eps: (x + (1 - ab_t[t]) ** 0.5 * eps) / ab_t[t] ** 0.5,
        "alpha for alpha-bar": lambda x, t, eps: (x - (1 - a_t[t]) ** 0.5 * eps) / a_t[t] ** 0.5,
        "level t-1": lambda x, t, eps: (x - (1 - ab_t[t - 1]) ** 0.5 * eps) / ab_t[t - 1] ** 0.5,
    },
    "posterior_variance": {
        "beta itself": lambda t: b_t[t],
        "fraction upside down": lambda t: b_t[t] * (1 - ab_t[t]) / (1 - ab_t[max(t - 1, 1)]),
        "one-minus forgotten": lambda t: b_t[t] * ab_t[t - 1] / ab_t[t],
        "standard deviation": lambda t: beta_tilde(t) ** 0.5,
        "alpha for alpha-bar": lambda t: b_t[t] * (1 - a_t[t - 1]) / (1 - a_t[t]),
        "level t+1": lambda t: b_t[t + 1] * (1 - ab_t[t]) / (1 - ab_t[t + 1]),
        "level t-1": lambda t: b_t[t - 1] * (1 - ab_t[t - 2]) / (1 - ab_t[t - 1]),
        "roots of the fraction": lambda t: b_t[t] * ((1 - ab_t[t - 1]) ** 0.5 / (1 - ab_t[t]) ** 0.5),
        "not 0 at t = 1": lambda t: beta_tilde(max(t, 2)),
    },
    "denoise_add_noise": {
        "noise forgotten": lambda x, t, eps, z: step(x, t, eps, 0),
        "missing square root": lambda x, t, eps, z: step(x, t, eps, 0) + b_t[t] * z,
        "beta over root alpha": lambda x, t, eps, z: step(x, t, 0, z) - b_t[t] / a_t[t] * eps,
        "alpha and alpha-bar swapped": lambda x, t, eps, z: (
            (x - b_t[t] / (1 - a_t[t]) ** 0.5 * eps) / ab_t[t] ** 0.5 + b_t[t] ** 0.5 * z
        ),
        "alpha-bar for alpha": lambda x, t, eps, z: (
            (x - b_t[t] / (1 - ab_t[t]) ** 0.5 * eps) / ab_t[t] ** 0.5 + b_t[t] ** 0.5 * z
        ),
        "no root under the prediction": lambda x, t, eps, z: step(x, t, eps / (1 - ab_t[t]) ** 0.5, z),
        "jump to level 0": lambda x, t, eps, z: (x - (1 - ab_t[t]) ** 0.5 * eps) / a_t[t] ** 0.5 + b_t[t] ** 0.5 * z,
        "division forgotten": lambda x, t, eps, z: x - b_t[t] * eps / (1 - ab_t[t]) ** 0.5 + b_t[t] ** 0.5 * z,
        "division of x only": lambda x, t, eps, z: (
            x / a_t[t] ** 0.5 - b_t[t] * eps / (1 - ab_t[t]) ** 0.5 + b_t[t] ** 0.5 * z
        ),
        "noise divided as well": lambda x, t, eps, z: step(x, t, eps, z / a_t[t] ** 0.5),
        "plus in place of minus": lambda x, t, eps, z: (
            (x + b_t[t] / (1 - ab_t[t]) ** 0.5 * eps) / a_t[t] ** 0.5 + b_t[t] ** 0.5 * z
        ),
        "posterior variance": lambda x, t, eps, z: step(x, t, eps, 0) + beta_tilde(t) ** 0.5 * z,
        "level t-1": lambda x, t, eps, z: step(x, t - 1, eps, z),
        "wrong values": lambda x, t, eps, z: step(x, t, eps, -z),
    },
    "noise_budget": {
        "minus sign": lambda t: (step(0, t, torch.ones(1), 0), step(0, t, 0, torch.ones(1))),
        "order swapped": lambda t: taken_and_put_back(t)[::-1],
        "variances": lambda t: [float(part) ** 2 for part in taken_and_put_back(t)],
        "variance put back": lambda t: (taken_and_put_back(t)[0], b_t[t]),
        "division forgotten": lambda t: (b_t[t] / (1 - ab_t[t]) ** 0.5, b_t[t] ** 0.5),
        "fresh noise left on": lambda t: (
            -step(0, t, torch.ones(1), torch.ones(1)),
            step(0, t, 0, torch.ones(1)),
        ),
    },
    "sample_ddpm": {
        "noise at the last step": sampler(last=0),
        "no noise put back": sampler(last=T),
        "one number for all": sampler(draw=lambda z, same: z.flatten()[0].expand_as(z)),
        "uniform noise": sampler(draw=lambda z, same: torch.rand_like(z) * (z.abs().max() > 0)),
        "same noise each step": sampler(draw=lambda z, same: same * (z.abs().max() > 0)),
        "stops at t = 2": sampler(levels=range(T, 1, -1)),
        "starts at T-1": sampler(levels=range(T - 1, 0, -1)),
        "goes on to t = 0": sampler(levels=range(T, -1, -1), scale=lambda t: t > 1),
        "noise predicted at t-1": sampler(ask=lambda t: (t - 1) / T),
        "t in place of t/T": sampler(ask=lambda t: t),
        "counts upwards": sampler(levels=range(1, T + 1)),
        "wrong levels": sampler(levels=range(T, 0, -5)),
        "wrong step": sampler(scale=lambda t: b_t[t].sqrt()),
        "does not start from x_T": sampler_from_own_noise,
    },
    "spread_without_noise": {
        "variance": lambda n: collapse(n).var(),
        "schedule of 500 levels": lambda n: collapse(n, schedule_levels=T).std(),
        "does not shrink": lambda n: collapse(n, noise=1.0).std(),
        "prediction forgotten": lambda n: collapse(n, share=lambda ab: 0).std(),
        "missing square root": lambda n: collapse(n, share=lambda ab: 1 - ab).std(),
        "x as prediction": lambda n: collapse(n, share=lambda ab: 1).std(),
        "wrong values": lambda n: collapse(n).mean(),
    },
}


def test_the_message_says_what_came_and_what_should_have(checks):
    message = repr(checks.check_perturb_input(WRONG["perturb_input"]["missing square root"]))
    assert "at t = " in message and "you made" in message and "Is a square root missing?" in message


@pytest.mark.parametrize("times", [[], [1.0], [0.4] * 500], ids=["never", "once", "always the same"])
def test_a_model_asked_in_an_odd_way(checks, times):
    def my_sample_ddpm(model, x_T):  # noqa: N803
        for time in times:
            model(x_T, time)
        return x_T + 0

    assert checks.check_sample_ddpm(my_sample_ddpm).diagnosis == "wrong levels"

"""The checks of Lab 1: right solutions pass, stubs are not attempted, each classic mistake is called by its name.

All functions here are written without the module's, as a learner would.
"""

import json
import math
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from L1_Sampling import given
from tests.exercises.every_lab import *  # noqa: F403

LAB = "L1_Sampling"
T = 500
b_t = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
a_t = 1 - b_t
ab_t = a_t.double().cumprod(dim=0).float()


# ---------------------------------------------------------------------------------- linear_schedule


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


# ---------------------------------------------------------------------- perturb_input and crossover


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


# ----------------------------------------------------------------------------------------- samplers


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


def collapse(
    s,
    m,
    levels=None,
    tables=None,
    share=lambda ab: (1 - ab).sqrt(),
    centre=lambda ab: ab.sqrt(),
    **other,
):
    """The walk without noise, with one place to go wrong for each argument; as it is, it is right."""
    b, ab = tables or (s.b_t, s.ab_t)
    x = torch.randn(50_000) + other.get("start", 0)
    for t in range(s.timesteps, 0, -1) if levels is None else levels(s.timesteps):
        eps = share(ab[t]) * (x - centre(ab[t]) * m)
        x = (x - b[t] / (1 - ab[t]).sqrt() * eps) / (1 - b[t]).sqrt()
        x = x + other.get("noise", 0) * b[t].sqrt() * torch.randn(50_000)
    return other.get("measure", lambda x: (x.mean(), x.std()))(x)


def collapsed(**changes):
    return lambda s, m: collapse(s, m, **changes)


def collapse_by_float(s, m):
    x = np.random.default_rng().standard_normal(50_000)
    for t in reversed(range(1, len(s.b_t))):
        b, a, ab = (float(table[t]) for table in (s.b_t, s.a_t, s.ab_t))
        x = a**0.5 * x + b * (ab / a) ** 0.5 * m  # the step and the prediction put together
    return float(x.mean()), float(x.std())


# -------------------------------------------------------------------------------------- the network


def block(x, conv1, conv2, shortcut):
    return (shortcut(x) + conv2(conv1(x))) / 2**0.5


def block_in_place(x, conv1, conv2, shortcut):
    h = conv2(conv1(x))
    h += shortcut(x)
    h *= 0.5**0.5
    return h


def embedding(width):
    return nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width))


def embedding_by_list(width):
    layers = [nn.Linear(1, width, bias=True)]
    layers.append(nn.GELU())
    layers.append(nn.Linear(width, width))
    return torch.nn.Sequential(*layers)


class NamedLayers(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(1, width), nn.Linear(width, width)

    def forward(self, t):
        return self.fc2(F.gelu(self.fc1(t)))


SHARED = embedding(8)


def spread(vector):
    return vector[:, :, None, None]


def both(maps, times, plus):
    return times * maps + plus


def unet(**change):
    """The way through the U-Net, with one place to go wrong for each argument; as it is, it is right."""
    get = change.get

    def my_unet(net, x, t, c):
        x, t, c = get("given", lambda x, t, c: (x, t, c))(x, t, c)
        wide = get("wide", spread)
        first = net.init_conv(x)
        down1 = net.down1(first)
        down2 = net.down2(down1)
        up0 = get("middle", lambda net, maps: net.up0(net.to_vec(maps)))(net, down2)
        stages1, stages2 = get("stages", (1, 2))
        (c1, c2), (t1, t2) = ([getattr(net, f"{k}embed{i}") for i in (stages1, stages2)] for k in ("context", "time"))
        maps = get("mix1", get("mix", both))(up0, wide(c1(c)), wide(t1(t)))
        up1 = get("enter1", get("enter", lambda stage, maps, skip: stage(maps, skip)))(
            net.up1, maps, (down2, down1)[get("skip", 0)]
        )
        maps = get("mix2", get("mix", both))(up1, wide(c2(c)), wide(t2(t)))
        up2 = get("enter", lambda stage, maps, skip: stage(maps, skip))(net.up2, maps, (down1, first)[get("skip2", 0)])
        joined = get("join", lambda up2, first, x: torch.cat([up2, first], dim=1))(up2, first, x)
        return get("end", lambda noise, x: noise)(net.out(joined), x)

    return my_unet


def unet_by_view(net, x, t, c):
    n = len(x)
    kept = [net.init_conv(x)]
    for stage in (net.down1, net.down2):
        kept.append(stage(kept[-1]))
    h = net.up0(net.to_vec(kept[-1]))
    for stage, of_c, of_t in (
        (net.up1, net.contextembed1, net.timeembed1),
        (net.up2, net.contextembed2, net.timeembed2),
    ):
        h = h * of_c(c).view(n, -1, 1, 1)
        h += of_t(t).view(n, -1, 1, 1)
        h = stage(h, kept.pop())
    return net.out(torch.concat((h, kept[0]), 1))


def unet_that_joins_itself(net, x, t, c):
    """Calls the layers inside of up1 and up2, and joins the maps itself."""

    def enter(stage, maps, skip):
        return stage.model(torch.cat((maps, skip), dim=1))

    return unet(enter=enter)(net, x, t, c)


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


# ---------------------------------------------------------------------------- for what is handed in

zeros, ones = torch.zeros(10), torch.ones(10)


def tables_of(b):
    return b, 1 - b, (1 - b).cumprod(0)


def noised_step_by_step(x, t, noise):
    """Names for the two parts, as many write it."""
    signal = ab_t[t] ** 0.5 * x
    rest = (1 - ab_t[t]) ** 0.5 * noise
    return signal + rest


def jump(x, t, eps):
    return (x - (1 - ab_t[t]) ** 0.5 * eps) / ab_t[t] ** 0.5


def step_by_numpy(x, t, eps, z):
    b, ab = b_t[t].item(), ab_t[t].item()
    mean = (x.numpy() - b / np.sqrt(1 - ab) * eps.numpy()) / np.sqrt(1 - b)
    return torch.from_numpy(mean + np.sqrt(b) * z.numpy()).float()


def dict_of_layers(width):
    return OrderedDict(first=nn.Linear(1, width), bend=nn.GELU(), second=nn.Linear(width, width))


reversed_levels = list(range(T + 1))[:0:-1]


def stay(x, x_next):
    return x


def walk_from(go_on):
    """A sampler whose next x is go_on(x, x_next)."""

    def my_sample_ddpm(model, x):
        for t in range(T, 0, -1):
            x_next = step(x, t, model(x, t / T), torch.randn_like(x) * (t > 1))
            x = go_on(x, x_next)
        return x_next if go_on is stay else x

    return my_sample_ddpm


def sampler_that_clips_the_guess(model, x):
    for t in range(T, 0, -1):
        x0 = jump(x, t, model(x, t / T)).clamp(-1, 1)
        eps = (x - ab_t[t] ** 0.5 * x0) / (1 - ab_t[t]) ** 0.5
        x = step(x, t, eps, torch.randn_like(x) * (t > 1))
    return x


def sampler_without_return(model, x):
    x = sampler()(model, x)


def block_without_return(x, conv1, conv2, shortcut):
    h = block(x, conv1, conv2, shortcut)  # noqa: F841


def asked_twice(model, x):
    def twice(x, t):
        model(x, t)
        return model(x, t)

    return sampler()(twice, x)


# --------------------------------------------------------------------------------------- the tables

RIGHT = {
    "linear_schedule": [tables, tables_in_a_loop],
    "perturb_input": [
        lambda x, t, noise: ab_t[t].sqrt() * x + (1 - ab_t[t]).sqrt() * noise,
        noised_by_numpy,
    ],
    "crossover": [first_by_loop, first_by_ratio],
    "residual_block": [block, block_in_place],
    "time_embedding": [embedding, embedding_by_list],
    "unet": [unet(), unet_by_view, unet_that_joins_itself],
    "predict_x0": [
        lambda x, t, eps: (x - (1 - ab_t[t]).sqrt() * eps) / ab_t[t].sqrt(),
        lambda x, t, eps: x * ab_t[t] ** -0.5 - eps * (1 / ab_t[t] - 1) ** 0.5,
    ],
    "posterior_variance": [beta_tilde, beta_tilde_by_precision],
    "denoise_add_noise": [step, step_sorted_by_term],
    "noise_budget": [taken_and_put_back, taken_and_put_back_by_formula],
    "sample_ddpm": [sampler(), sampler_by_while],
    "collapse": [collapse, collapse_by_float],
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
        "nothing weighted": lambda x, t, noise: x + noise,
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
        "fresh noise subtracted": lambda x, t, eps, z: step(x, t, eps, -z),
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
    "collapse": {
        "counts upwards": collapsed(levels=lambda n: range(1, n + 1)),
        "only one step": collapsed(levels=lambda n: [1]),
        "first step only": collapsed(levels=lambda n: [n]),
        "stops at t = 2": collapsed(levels=lambda n: range(n, 1, -1)),
        "starts at T-1": collapsed(levels=lambda n: range(n - 1, 0, -1)),
        "default schedule": collapsed(tables=(b_t, ab_t)),
        "noise put back": collapsed(noise=1.0),
        "prediction forgotten": collapsed(share=lambda ab: 0),
        "missing square root": collapsed(share=lambda ab: 1 - ab),
        "missing square root before m": collapsed(centre=lambda ab: ab),
        "m not shrunk": collapsed(centre=lambda ab: 1),
        "m forgotten": collapsed(centre=lambda ab: 0),
        "difference as prediction": collapsed(share=lambda ab: 1),
        "starts at the data": lambda s, m: collapse(s, m, start=m),
        "variance": collapsed(measure=lambda x: (x.mean(), x.var())),
        "order swapped": collapsed(measure=lambda x: (x.std(), x.mean())),
        "mean of the data": lambda s, m: (m, 1.0),
        "wrong number of results": collapsed(measure=torch.std),
    },
    "residual_block": {
        "no shortcut": lambda x, f, g, s: g(f(x)),
        "no shortcut, divided": lambda x, f, g, s: g(f(x)) / 2**0.5,
        "root 2 missing": lambda x, f, g, s: g(f(x)) + s(x),
        "halved": lambda x, f, g, s: torch.stack([g(f(x)), s(x)]).mean(0),
        "multiplied by root 2": lambda x, f, g, s: (s(x) + g(f(x))) * math.sqrt(2),
        "only the convolutions divided": lambda x, f, g, s: s(x) + g(f(x)) / math.sqrt(2),
        "only the shortcut divided": lambda x, f, g, s: g(f(x)) + s(x) / math.sqrt(2),
        "second convolution forgotten": lambda x, f, g, s: block(x, f, lambda h: h, s),
        "convolutions forgotten": lambda x, f, g, s: s(x),
        "shortcut between the convolutions": lambda x, f, g, s: g((f(x) + s(x)) / 2**0.5),
        "shortcut between, not divided": lambda x, f, g, s: g(f(x) + s(x)),
        "shortcut around the second only": lambda x, f, g, s: (f(x) + g(f(x))) / 2**0.5,
        "convolutions of the shortcut": lambda x, f, g, s: (s(x) + g(s(x))) / 2**0.5,
        "multiplied, not added": lambda x, f, g, s: s(x) * g(f(x)) / 2**0.5,
        "subtracted": lambda x, f, g, s: (g(f(x)) - s(x)) / 2**0.5,
        "activation at the end": lambda x, f, g, s: F.gelu(block(x, f, g, s)),
        "cut off at 0": lambda x, f, g, s: F.relu(block(x, f, g, s)),
        "joined, not added": lambda x, f, g, s: torch.cat((s(x), g(f(x))), 1),
        "joined, convolutions first": lambda x, f, g, s: torch.cat((g(f(x)), s(x)), 1),
    },
    "time_embedding": {
        "not a Sequential": lambda width: [nn.Linear(1, width), nn.GELU(), nn.Linear(width, width)],
        "one layer": lambda width: nn.Sequential(nn.Linear(1, width)),
        "no activation": lambda width: nn.Sequential(nn.Linear(1, width), nn.Linear(width, width)),
        "activation at the end": lambda width: embedding(width).append(nn.GELU()),
        "activation at the start": lambda width: nn.Sequential(nn.GELU(), nn.Linear(1, width), nn.Linear(width, width)),
        "another activation": lambda width: nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width)),
        "other layers": lambda width: nn.Sequential(*embedding(width)[:2], nn.Dropout(0.1), nn.Linear(width, width)),
        "not one number": lambda width: nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)),
        "wrong width": lambda width: nn.Sequential(nn.Linear(1, 64), nn.GELU(), nn.Linear(64, 64)),
        "names do not fit": lambda width: nn.Sequential(
            nn.Linear(1, width, bias=False), nn.GELU(), nn.Linear(width, width)
        ),
        "shared layers": lambda width: SHARED if width == 8 else embedding(width),
    },
    "unet": {
        "time and context swapped": unet(mix=lambda h, c, t: t * h + c),
        "context added": unet(mix=lambda h, c, t: h + c + t),
        "time multiplied": unet(mix=lambda h, c, t: h * c * t),
        "time added before the context multiplies": unet(mix=lambda h, c, t: c * (h + t)),
        "time forgotten": unet(mix=lambda h, c, t: c * h),
        "context forgotten": unet(mix=lambda h, c, t: h + t),
        "neither time nor context": unet(mix=lambda h, c, t: h),
        "time only before up2": unet(mix1=lambda h, c, t: c * h),
        "time only before up1": unet(mix2=lambda h, c, t: c * h),
        "context only before up2": unet(mix1=lambda h, c, t: h + t),
        "context only before up1": unet(mix2=lambda h, c, t: h + t),
        "nothing before up2": unet(mix2=lambda h, c, t: h),
        "no skip": unet(enter=lambda stage, h, skip: stage(h, torch.zeros_like(skip))),
        "joined with itself": unet(enter=lambda stage, h, skip: stage(h, h)),
        "skip first": unet(enter=lambda stage, h, skip: stage(skip, h)),
        "skip added as well": unet(enter=lambda stage, h, skip: stage(h + skip, skip)),
        "last two in the wrong order": unet(join=lambda up2, first, x: torch.cat((first, up2), 1)),
        "last joined with itself": unet(join=lambda up2, first, x: torch.cat((up2, up2), 1)),
        "way down joined with itself": unet(join=lambda up2, first, x: torch.cat((first, first), 1)),
        "zeros at the end": unet(join=lambda up2, first, x: F.pad(up2, (0, 0, 0, 0, 0, 64))),
        "t divided once more": unet(given=lambda x, t, c: (x, t / 500, c)),
        "t multiplied": unet(given=lambda x, t, c: (x, 500 * t, c)),
        "time from the end": unet(given=lambda x, t, c: (x, 1 - t, c)),
        "context of zeros": unet(given=lambda x, t, c: (x, t, torch.zeros(len(x), 5))),
        "noise taken away": unet(end=lambda noise, x: x - noise),
        "minus sign": unet(end=lambda noise, x: -noise),
    },
}


# what learners hand in: (diagnosis, function); right ones have none
SUBMISSIONS = {
    "linear_schedule": [
        ("", lambda n, low, high: tables(n, torch.tensor(low), torch.tensor(high))),
        ("", lambda *a: list(tables(*a))),
        (
            "",
            lambda *a: (
                tables(*a)[0],
                1 - tables(*a)[0],
                torch.exp(torch.log(1 - tables(*a)[0]).cumsum(0)),
            ),
        ),
        ("", lambda n, low, high: tables_of(F.pad(torch.linspace(low, high, n), (1, 0)))),
        (
            "",
            lambda n, low, high: tables_of(torch.tensor([0.0, *np.linspace(low, high, n)], dtype=torch.float32)),
        ),
        (
            "",
            lambda n, low, high: tables_of(
                torch.cat([torch.tensor([0.0]), low + (high - low) * torch.arange(n) / (n - 1)])
            ),
        ),
        (
            "never reaches beta2",
            lambda n, low, high: tables_of(torch.cat([torch.zeros(1), torch.linspace(low, high, n + 1)[:-1]])),
        ),
        (
            "beta_0 set to 0 afterwards",
            lambda n, low, high: tables_of(
                torch.arange(n + 1).clamp(max=n) / n * (high - low) + low * (torch.arange(n + 1) > 0)
            ),
        ),
        ("beta falls", lambda n, low, high: tables(n, high, low)),
        (
            "0 at the end",
            lambda n, low, high: tables_of(F.pad(torch.linspace(low, high, n), (0, 1))),
        ),
        ("alpha-bar_0 is 0", lambda *a: (*tables(*a)[:2], F.pad(no_level_zero(*a)[2], (1, 0)))),
        ("alpha_0 is 0", lambda *a: tuple(F.pad(table, (1, 0)) for table in no_level_zero(*a))),
        (
            "beta_0 is 1",
            lambda n, low, high: tables_of(torch.cat([torch.ones(1), torch.linspace(low, high, n)])),
        ),
        ("root of alpha-bar", lambda *a: (*tables(*a)[:2], tables(*a)[2].sqrt())),
        (
            "roots rise in a line",
            lambda n, low, high: tables_of(tables(n, low**0.5, high**0.5)[0].square()),
        ),
        ("tables in another order", lambda *a: (tables(*a)[1], tables(*a)[0], tables(*a)[2])),
        ("not a tensor", lambda *a: tuple(table.numpy() for table in tables(*a))),
        ("not a tensor", lambda *a: tuple(table.tolist() for table in tables(*a))),
        ("wrong number of results", lambda *a: tables(*a)[2]),
        ("wrong number of results", lambda *a: {"b_t": tables(*a)[0]}),
    ],
    "perturb_input": [
        ("", lambda x, t, noise: x * math.sqrt(ab_t[t]) + noise * math.sqrt(1 - ab_t[t])),
        ("", lambda x, t, noise: torch.sqrt(ab_t[t]) * x + torch.sqrt(1.0 - ab_t[t]) * noise),
        (
            "",
            lambda x, t, noise: ab_t[torch.tensor([t])].sqrt()[:, None, None, None] * x + (1 - ab_t[t]) ** 0.5 * noise,
        ),
        (
            "",
            lambda x, t, noise: torch.stack(
                [ab_t[t] ** 0.5 * p + (1 - ab_t[t]) ** 0.5 * z for p, z in zip(x, noise, strict=True)]
            ),
        ),
        ("", noised_step_by_step),
        (
            "",
            lambda x, t, noise: torch.add(x.mul(ab_t[t].sqrt()), noise, alpha=float((1 - ab_t[t]).sqrt())),
        ),
        (
            "draws its own noise",
            lambda x, t, noise: ab_t[t] ** 0.5 * x + (1 - ab_t[t]) ** 0.5 * torch.randn_like(x),
        ),
        (
            "level t+1",
            lambda x, t, noise: ab_t[t + 1] ** 0.5 * x + (1 - ab_t[t + 1]) ** 0.5 * noise,
        ),
        ("swapped without roots", lambda x, t, noise: (1 - ab_t[t]) * x + ab_t[t] * noise),
        ("beta for the noise", lambda x, t, noise: ab_t[t] ** 0.5 * x + b_t[t] ** 0.5 * noise),
        ("picture not shrunk", lambda x, t, noise: x + (1 - ab_t[t]) ** 0.5 * noise),
        ("noise not weighted", lambda x, t, noise: ab_t[t] ** 0.5 * x + noise),
        ("nothing weighted", lambda x, t, noise: x + noise),
        ("noise forgotten", lambda x, t, noise: ab_t[t] ** 0.5 * x),
        (
            "minus in place of plus",
            lambda x, t, noise: ab_t[t] ** 0.5 * x - (1 - ab_t[t]) ** 0.5 * noise,
        ),
        (
            "plus in place of minus",
            lambda x, t, noise: ab_t[t] ** 0.5 * x + (1 + ab_t[t]) ** 0.5 * noise,
        ),
        (
            "changes its input",
            lambda x, t, noise: x.mul_(ab_t[t] ** 0.5) + (1 - ab_t[t]) ** 0.5 * noise,
        ),
        ("wrong values", lambda x, t, noise: noised_step_by_step(x, t, noise).clamp(-1, 1)),
        ("not a tensor", lambda x, t, noise: (noised_step_by_step(x, t, noise),)),
        ("not a tensor", lambda x, t, noise: noised_step_by_step(x, t, noise).numpy()),
        ("wrong dtype", lambda x, t, noise: noised_step_by_step(x, t, noise).double()),
    ],
    "crossover": [
        ("", lambda ab, power: next(t for t in range(len(ab)) if 1 - ab[t] > power * ab[t])),
        ("", lambda ab, power: int((ab * power >= 1 - ab).sum())),
        ("", lambda ab, power: (1 - ab > ab * power).nonzero()[0]),
        ("", lambda ab, power: np.argmax((1 - ab > ab * power).numpy())),
        ("", lambda ab, power: torch.where((1 - ab).sqrt() > (ab * power).sqrt())[0][0].item()),
        ("", lambda ab, power: float((1 - ab > ab * power).float().argmax())),
        ("power on the wrong side", lambda ab, power: int(((1 - ab) * power > ab).nonzero()[0])),
        ("power without its root", lambda ab, power: int((1 - ab > ab * power**2).nonzero()[0])),
        ("how many, not which", lambda ab, power: int((1 - ab > ab * power).sum())),
        ("one level late", lambda ab, power: int((1 - ab > ab * power).nonzero()[0]) + 1),
        ("one level late", lambda ab, power: int((1 - ab > ab * power).nonzero()[1])),
        ("one level early", lambda ab, power: int((1 - ab <= ab * power).nonzero()[-1])),
        ("share below one half", lambda ab, power: int((ab < power / 2).nonzero()[0])),
        ("power forgotten", lambda ab, power: int((1 - ab > ab).nonzero()[0])),
        ("last level", lambda ab, power: int((1 - ab > ab * power).nonzero()[-1])),
        ("comparison turned round", lambda ab, power: int((1 - ab < ab * power).nonzero()[0])),
        ("not a number", lambda ab, power: 1 - ab > ab * power),
        (
            "not a number",
            lambda ab, power: [t for t in range(len(ab)) if 1 - ab[t] > power * ab[t]],
        ),
    ],
    "residual_block": [
        ("", lambda x, f, g, s: torch.stack([s(x), g(f(x))]).sum(0) / math.sqrt(2)),
        ("", lambda x, f, g, s: (g(f(x)) + s(x)) * 2**-0.5),
        ("", lambda x, f, g, s: torch.add(s(x), g(f(x))).div(np.sqrt(2))),
        ("", lambda x, f, g, s: (s(x) + nn.Sequential(f, g)(x)) / 1.41421356),
        ("", lambda x, f, g, s: s(x) / 2**0.5 + g(f(x)) / 2**0.5),
        ("x itself added", lambda x, f, g, s: (x + g(f(x))) / 2**0.5),
        ("stages in another order", lambda x, f, g, s: (s(x) + f(g(x))) / 2**0.5),
        ("stages in another order", lambda x, f, g, s: (s(g(f(x))) + g(f(x))) / 2**0.5),
        ("nothing returned", block_without_return),
        ("not a tensor", lambda x, f, g, s: (s(x), g(f(x)))),
        ("root 2 missing", lambda x, f, g, s: sum((s(x), g(f(x))))),
        ("wrong values", lambda x, f, g, s: (s(x) + g(f(x))) / 1.4),
    ],
    "time_embedding": [
        (
            "",
            lambda width: nn.Sequential(
                nn.Linear(in_features=1, out_features=width), nn.GELU(), nn.Linear(width, width)
            ),
        ),
        (
            "",
            lambda width: nn.Sequential(
                *(
                    make()
                    for make in (
                        lambda: nn.Linear(1, width),
                        nn.GELU,
                        lambda: nn.Linear(width, width),
                    )
                )
            ),
        ),
        ("", lambda width: embedding(width).eval()),
        ("", lambda width: embedding(width).requires_grad_(False)),
        ("", lambda width: embedding(width)[:2].append(nn.Linear(width, width))),
        ("not a Sequential", NamedLayers),
        ("not a Sequential", lambda width: nn.ModuleList(embedding(width))),
        ("not a Sequential", lambda width: lambda t: embedding(width)(t)),
        ("not a Sequential", lambda width: nn.Linear(1, width)),
        ("not a Sequential", lambda width: embedding(width)(torch.rand(4, 1))),
        (
            "another activation",
            lambda width: nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width)),
        ),
        (
            "another activation",
            lambda width: nn.Sequential(nn.Linear(1, width), nn.Sigmoid(), nn.Linear(width, width)),
        ),
        (
            "wrong width",
            lambda width: nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, 2 * width)),
        ),
        (
            "wrong width",
            lambda width: nn.Sequential(nn.Linear(1, 2 * width), nn.GELU(), nn.Linear(2 * width, width)),
        ),
        (
            "not one number",
            lambda width: nn.Sequential(nn.Linear(500, width), nn.GELU(), nn.Linear(width, width)),
        ),
        ("other layers", lambda width: nn.Sequential(embedding(width))),
        ("names do not fit", lambda width: nn.Sequential(dict_of_layers(width))),
        (
            "TypeError",
            lambda width: nn.Sequential(nn.Linear(1, width), nn.GELU, nn.Linear(width, width)),
        ),
    ],
    "unet": [
        ("", unet(wide=lambda vector: vector.reshape(*vector.shape, 1, 1))),
        ("", unet(wide=lambda vector: vector.unsqueeze(-1).unsqueeze(-1))),
        ("", unet(mix=lambda h, c, t: torch.addcmul(t.expand_as(h), c.expand_as(h), h))),
        ("", unet(enter=lambda stage, h, skip: stage(x=h, skip=skip))),
        ("", unet(join=lambda up2, first, x: torch.hstack((up2, first)))),
        ("no skip", unet(enter=lambda stage, h, skip: stage(h))),
        ("skip from the wrong level", unet(skip=1)),
        ("skip from the wrong level", unet(skip2=1)),
        ("not spread over height and width", unet(wide=lambda vector: vector)),
        ("not spread over height and width", unet(wide=lambda vector: vector[:, :, None])),
        ("vectors of the other stage", unet(stages=(2, 1))),
        ("first maps forgotten", unet(join=lambda up2, first, x: up2)),
        ("added, not joined", unet(join=lambda up2, first, x: up2 + first)),
        ("picture in place of its maps", unet(join=lambda up2, first, x: torch.cat((up2, x), 1))),
        ("joined along the wrong axis", unet(join=lambda up2, first, x: torch.cat((up2, first)))),
        (
            "joined along the wrong axis",
            unet(join=lambda up2, first, x: torch.cat((up2, first), dim=2)),
        ),
        (
            "joined along the wrong axis",
            unet(join=lambda up2, first, x: torch.cat((up2, first), dim=-1)),
        ),
        ("vector forgotten", unet(middle=lambda net, maps: net.up0(maps))),
        ("up0 forgotten", unet(middle=lambda net, maps: net.to_vec(maps))),
        ("TypeError", lambda net, x, t, c: net(x, t, c)),
        (
            "joined with itself",
            unet(enter=lambda stage, h, skip: stage.model(torch.cat((h, h), 1))),
        ),
        ("wrong values", unet(end=lambda noise, x: noise / 2)),
        ("not a tensor", unet(end=lambda noise, x: (noise, x))),
        ("wrong shape", unet(end=lambda noise, x: noise[0])),
    ],
    "predict_x0": [
        ("", lambda x, t, eps: (x - math.sqrt(1 - ab_t[t]) * eps) / math.sqrt(ab_t[t])),
        ("", lambda x, t, eps: x / ab_t[t].sqrt() - ((1 - ab_t[t]) / ab_t[t]).sqrt() * eps),
        ("", lambda x, t, eps: torch.stack([jump(p, t, e) for p, e in zip(x, eps, strict=True)])),
        (
            "",
            lambda x, t, eps: torch.from_numpy(
                (x.numpy() - (1 - ab_t[t].item()) ** 0.5 * eps.numpy()) / ab_t[t].item() ** 0.5
            ),
        ),
        (
            "",
            lambda x, t, eps: torch.sub(x, eps, alpha=float((1 - ab_t[t]).sqrt())).div_(ab_t[t].sqrt()),
        ),
        ("level t+1", lambda x, t, eps: jump(x, t + 1, eps)),
        ("clipped", lambda x, t, eps: jump(x, t, eps).clamp(-1, 1)),
        ("clipped", lambda x, t, eps: jump(x, t, eps).clip(min=-1, max=1)),
        ("noise forgotten", lambda x, t, eps: x / ab_t[t] ** 0.5),
        ("noise not weighted", lambda x, t, eps: (x - eps) / ab_t[t] ** 0.5),
        (
            "divided by the wrong root",
            lambda x, t, eps: (x - (1 - ab_t[t]) ** 0.5 * eps) / (1 - ab_t[t]) ** 0.5,
        ),
        ("weights swapped", lambda x, t, eps: (x - ab_t[t] ** 0.5 * eps) / (1 - ab_t[t]) ** 0.5),
        ("no square roots", lambda x, t, eps: (x - (1 - ab_t[t]) * eps) / ab_t[t]),
        ("noised once more", lambda x, t, eps: ab_t[t] ** 0.5 * x + (1 - ab_t[t]) ** 0.5 * eps),
        ("draws its own noise", lambda x, t, eps: jump(x, t, torch.randn_like(x))),
        (
            "changes its input",
            lambda x, t, eps: x.sub_((1 - ab_t[t]) ** 0.5 * eps).div(ab_t[t] ** 0.5),
        ),
        ("wrong shape", lambda x, t, eps: jump(x, t, eps).mean(dim=1)),
        ("not a tensor", lambda x, t, eps: jump(x, t, eps).numpy()),
    ],
    "posterior_variance": [
        ("", lambda t: ((1 - ab_t[t - 1]) / (1 - ab_t[t]) * b_t[t]).item()),
        ("", lambda t: b_t[t : t + 1] * (1 - ab_t[t - 1 : t]) / (1 - ab_t[t : t + 1])),
        (
            "",
            lambda t: np.float64(b_t[t]) * (1 - np.float64(ab_t[t - 1])) / (1 - np.float64(ab_t[t])),
        ),
        ("", lambda t: (1 - ab_t[t - 1]) / (1 - ab_t[t]) * (1 - a_t[t])),
        (
            "",
            lambda t: b_t[t] * (1 - ab_t[t] / a_t[t]).clamp(min=0) / (1 - ab_t[t]) if t > 1 else 0,
        ),
        ("beta of t-1", lambda t: (1 - ab_t[t - 1]) / (1 - ab_t[t]) * b_t[t - 1]),
        ("alpha for alpha-bar", lambda t: b_t[t - 1]),
        ("alpha for alpha-bar", lambda t: 1 - a_t[t - 1]),
        ("fraction alone", lambda t: (1 - ab_t[t - 1]) / (1 - ab_t[t])),
        ("precision", lambda t: 1 / beta_tilde(t) if t > 1 else 1e9),
        ("mean's coefficient", lambda t: ab_t[t - 1] ** 0.5 * b_t[t] / (1 - ab_t[t])),
        ("alpha in place of beta", lambda t: (1 - ab_t[t - 1]) / (1 - ab_t[t]) * a_t[t]),
        ("beta itself", lambda t: 1 - a_t[t]),
        ("standard deviation", lambda t: math.sqrt(beta_tilde(t))),
        ("wrong values", lambda t: b_t[: t + 1].mean()),
        ("not a number", lambda t: b_t[1:] * (1 - ab_t[:-1]) / (1 - ab_t[1:])),
        ("not a number", lambda t: f"{beta_tilde(t):.4f}"),
        ("not 0 at t = 1", lambda t: beta_tilde(t) if t > 1 else b_t[1]),
    ],
    "denoise_add_noise": [
        (
            "",
            lambda x, t, eps, z: (
                (x - (1 - a_t[t]) / (1 - ab_t[t]) ** 0.5 * eps) / a_t[t] ** 0.5 + (1 - a_t[t]).sqrt() * z
            ),
        ),
        (
            "",
            lambda x, t, eps, z: a_t[t] ** -0.5 * (x - b_t[t] * (1 - ab_t[t]) ** -0.5 * eps) + b_t[t] ** 0.5 * z,
        ),
        ("", step_by_numpy),
        ("", lambda x, t, eps, z: step(x, torch.tensor(t), eps, z)),
        (
            "",
            lambda x, t, eps, z: torch.stack([step(*four) for four in zip(x, [t] * len(x), eps, z, strict=True)]),
        ),
        ("level t+1", lambda x, t, eps, z: step(x, t + 1, eps, z)),
        (
            "alpha-bar of t-1",
            lambda x, t, eps, z: (x - b_t[t] / (1 - ab_t[t - 1]) ** 0.5 * eps) / a_t[t] ** 0.5 + b_t[t] ** 0.5 * z,
        ),
        (
            "alpha for alpha-bar",
            lambda x, t, eps, z: (x - b_t[t] / (1 - a_t[t]) ** 0.5 * eps) / a_t[t] ** 0.5 + b_t[t] ** 0.5 * z,
        ),
        (
            "prediction not weighted",
            lambda x, t, eps, z: (x - eps) / a_t[t] ** 0.5 + b_t[t] ** 0.5 * z,
        ),
        (
            "beta alone before the prediction",
            lambda x, t, eps, z: (x - b_t[t] * eps) / a_t[t] ** 0.5 + b_t[t] ** 0.5 * z,
        ),
        (
            "root of beta before the prediction",
            lambda x, t, eps, z: step(x, t, eps / b_t[t] ** 0.5, z),
        ),
        ("prediction forgotten", lambda x, t, eps, z: step(x, t, 0, z)),
        (
            "multiplied by root alpha",
            lambda x, t, eps, z: step(x, t, eps, 0) * a_t[t] + b_t[t] ** 0.5 * z,
        ),
        (
            "divided by alpha",
            lambda x, t, eps, z: step(x, t, eps, 0) / a_t[t] ** 0.5 + b_t[t] ** 0.5 * z,
        ),
        ("noise at full strength", lambda x, t, eps, z: step(x, t, eps, 0) + z),
        ("all noise put back", lambda x, t, eps, z: step(x, t, eps, 0) + (1 - ab_t[t]) ** 0.5 * z),
        ("fresh noise subtracted", lambda x, t, eps, z: step(x, t, eps, -z)),
        ("draws its own noise", lambda x, t, eps, z: step(x, t, eps, torch.randn_like(x))),
        ("wrong values", lambda x, t, eps, z: step(x, t, eps, z).clamp(-1, 1)),
        ("changes its input", lambda x, t, eps, z: step(x.mul_(2), t, eps, z)),
    ],
    "noise_budget": [
        ("", lambda t: (abs(step(0, t, torch.ones(1), 0)), abs(step(0, t, 0, torch.ones(1))))),
        ("", lambda t: [-step(0.0, t, 1.0, 0.0), step(0.0, t, 0.0, 1.0)]),
        (
            "",
            lambda t: tuple(
                abs(step(*four).mean().item()) for four in ((zeros, t, ones, zeros), (zeros, t, zeros, ones))
            ),
        ),
        (
            "",
            lambda t: (
                step(zeros, t, zeros, zeros).mean() - step(zeros, t, ones, zeros).mean(),
                step(zeros, t, zeros, ones).mean(),
            ),
        ),
        ("", lambda t: (-step(torch.tensor(0.0), t, 1, 0), b_t[t].sqrt())),
        (
            "prediction left on",
            lambda t: (-step(0, t, torch.ones(1), 0), step(0, t, torch.ones(1), torch.ones(1))),
        ),
        ("x left on", lambda t: (-step(1, t, torch.ones(1), 0), step(0, t, 0, torch.ones(1)))),
        (
            "x left on in both",
            lambda t: (-step(1, t, torch.ones(1), 0), step(1, t, 0, torch.ones(1))),
        ),
        (
            "what is left of x",
            lambda t: (step(1, t, torch.ones(1), 0), step(0, t, 0, torch.ones(1))),
        ),
        ("all the noise", lambda t: ((1 - ab_t[t]) ** 0.5, b_t[t] ** 0.5)),
        ("posterior variance", lambda t: (-step(0, t, torch.ones(1), 0), beta_tilde(t) ** 0.5)),
        ("level t-1", lambda t: taken_and_put_back(t - 1)),
        ("level t+1", lambda t: taken_and_put_back(t + 1)),
        ("both signs", lambda t: (step(0, t, torch.ones(1), 0), -step(0, t, 0, torch.ones(1)))),
        (
            "random numbers",
            lambda t: (
                step(0, t, torch.randn(9999), 0).std(),
                step(0, t, 0, torch.randn(9999)).std(),
            ),
        ),
        ("wrong number of results", lambda t: taken_and_put_back(t)[0]),
        ("wrong number of results", lambda t: torch.cat(taken_and_put_back(t))),
        ("not a number", lambda t: (-step(zeros, t, ones, zeros), step(zeros, t, zeros, ones))),
    ],
    "sample_ddpm": [
        ("", sampler(levels=[T - i for i in range(T)])),
        ("", sampler(levels=reversed_levels)),
        ("", sampler(ask=lambda t: torch.tensor(t / T))),
        ("", sampler(ask=lambda t: torch.full((16, 1), t / T))),
        ("", sampler(levels=np.arange(T, 0, -1).tolist())),
        ("", lambda model, x: sampler()(model, x.double().float())),
        ("x is not carried on", walk_from(stay)),
        ("clipped", walk_from(lambda x, x_next: x_next.clamp(-1, 1))),
        ("clipped", walk_from(lambda x, x_next: torch.clip(x_next, -1, 1))),
        ("clipped at the end", lambda model, x: sampler()(model, x).clamp(-1, 1)),
        ("x̂_0 clipped", sampler_that_clips_the_guess),
        ("posterior variance", sampler(scale=lambda t: (beta_tilde(t) / b_t[t]) ** 0.5)),
        ("one noise for all pictures", sampler(draw=lambda z, same: z[:1].expand_as(z))),
        ("noise stops too early", sampler(last=2)),
        ("noise stops too early", sampler(last=10)),
        ("asked twice", asked_twice),
        ("stops at t = 2", sampler(levels=range(T, 1, -1))),
        ("wrong levels", sampler(levels=range(T, 0, -2))),
        ("wrong step", sampler(scale=lambda t: 0.5)),
        ("wrong step", walk_from(lambda x, x_next: 0.9 * x_next)),
        ("not a tensor", lambda model, x: (sampler()(model, x), [])),
        ("nothing returned", sampler_without_return),
        ("wrong shape", lambda model, x: sampler()(model, x)[0]),
    ],
    "collapse": [
        ("", collapsed(levels=lambda n: [n - i for i in range(n)])),
        ("", collapsed(measure=lambda x: [x.mean().item(), x.var().sqrt().item()])),
        (
            "",
            collapsed(measure=lambda x: (x.sum() / len(x), (x - x.mean()).square().mean().sqrt())),
        ),
        ("", collapsed(measure=lambda x: (np.mean(x.numpy()), np.std(x.numpy())))),
        ("", collapsed(measure=lambda x: torch.std_mean(x)[::-1])),
        ("counts upwards", collapsed(levels=lambda n: range(1, n + 1))),
        ("stops at t = 2", collapsed(levels=lambda n: list(range(n + 1))[:1:-1])),
        ("variance", collapsed(measure=lambda x: (x.mean(), x.square().mean() - x.mean() ** 2))),
        ("order swapped", collapsed(measure=torch.std_mean)),
        ("m forgotten", lambda s, m: collapse(s, 0)),
        ("not a number", collapsed(measure=lambda x: (x, x.std()))),
        ("wrong number of results", collapsed(measure=lambda x: x.std().item())),
        ("wrong number of results", collapsed(measure=lambda x: x)),
        ("wrong values", collapsed(measure=lambda x: (x.mean(), x.max()))),
        ("IndexError", collapsed(levels=lambda n: range(n + 1, 0, -1))),
    ],
}
CASES = [(name, *submission) for name, submissions in SUBMISSIONS.items() for submission in submissions]


@pytest.mark.parametrize("name, diagnosis, function", CASES)
def test_as_learners_write(checks, name, diagnosis, function):
    verdict = getattr(checks, f"check_{name}")(function)
    assert verdict.diagnosis == diagnosis and (verdict.status == "passed") == (not diagnosis), verdict


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


GIVEN = [name for name, made in vars(given).items() if getattr(made, "__module__", "") == given.__name__]


@pytest.mark.parametrize("name", [name for name in GIVEN if name != "unet"])  # it takes a whole network
def test_what_a_sheet_goes_on_with_is_right(checks, name):
    assert getattr(checks, f"check_{name}")(getattr(given, name)).status == "passed"


def test_the_lab_goes_on_with_the_learners_functions_once_they_are_checked(checks):
    """yours(…) stands after the check of its exercise, and the pictures of §3, §4, §5 and §7 come from it."""
    path = Path(__file__).resolve().parents[2] / LAB / f"{LAB}.ipynb"
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    seen, used = set(), set()
    for cell in cells:
        source = "".join(cell["source"])
        seen |= set(re.findall(r"^check_(\w+)\(", source, flags=re.MULTILINE))
        now = set(re.findall(r"yours\((?:given\.)?(\w+)\)", source))
        assert now <= seen, source
        used |= now
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"])
        assert all(f"your own my_{name}." in printed for name in now)
    assert used == {*GIVEN, "perturb_input", "predict_x0"}

"""The checks of Lab 2: right solutions pass, stubs are not attempted, each classic mistake is called by its name.

All functions here are written without the module's, as a learner would.
"""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.exercises.every_lab import *  # noqa: F403

LAB = "L2_Training"
T = 500
b_t = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
ab_t = (1 - b_t.double()).cumprod(dim=0).float()
ROOT, STRENGTH = ab_t**0.5, (1 - ab_t) ** 0.5


# -------------------------------------------------------------------- perturb_input, noise_variance


def column(table, t):
    return table[t][:, None, None, None]


def mix(x, ab, noise):
    return ab**0.5 * x + (1 - ab) ** 0.5 * noise


def noised(x, t, noise):
    return mix(x, column(ab_t, t), noise)


def noised_without_root(x, t, noise):
    return column(ab_t, t) ** 0.5 * x + (1 - column(ab_t, t)) * noise


def noised_by_loop(x, t, noise):
    shares = [float(ab_t[int(level)]) for level in t]
    rows = [s**0.5 * a.numpy() + (1 - s) ** 0.5 * b.numpy() for s, a, b in zip(shares, x, noise, strict=True)]
    return torch.from_numpy(np.stack(rows).astype(np.float32))


def variance(perturb, x, t, n=1000, noise=torch.randn):
    many = x.expand(n, -1, -1, -1)
    return perturb(many, t, noise(many.shape)).var(dim=0).mean()


def variance_one_by_one(perturb, x, t):
    pixels = [perturb(x, t, torch.randn_like(x))[0, 0, 0].tolist() for _ in range(2000)]
    return float(np.var(pixels, axis=0).mean())


def variance_of_one_noise(perturb, x, t):
    noise = torch.randn_like(x).expand(500, -1, -1, -1)
    return perturb(x.expand(500, -1, -1, -1), t, noise).var(dim=0).mean()


def variance_with_levels(perturb, x, t):
    many = x.repeat(300, 1, 1, 1)
    return perturb(many, torch.full((300,), t), torch.randn_like(many)).var(0).mean().item()


# ------------------------------------------------------------------------- exact_x0 and share_named


def posterior(
    x_t,
    t,
    sprites,
    scaled=lambda s, ab: s * ab.sqrt(),
    exponent=lambda d, ab: -(d**2) / (2 * (1 - ab)),
):
    flat, ab = sprites.flatten(1), ab_t[t]
    distance = torch.cdist(x_t.flatten(1), scaled(flat, ab))
    return (exponent(distance, ab).softmax(dim=1) @ flat).reshape(x_t.shape)


def posterior_by_loop(x_t, t, sprites):
    """By hand, with the largest exponent taken away first."""
    answers = []
    for x in x_t.double():
        d = ((x - float(ab_t[t]) ** 0.5 * sprites.double()) ** 2).sum(dim=(1, 2, 3))
        p = torch.exp((d.min() - d) / (2 - 2 * float(ab_t[t])))
        answers.append(torch.einsum("i,ichw->chw", p / p.sum(), sprites.double()))
    return torch.stack(answers).float()


def posterior_by_exp(x_t, t, sprites):
    flat = sprites.flatten(1)
    p = torch.exp(-(torch.cdist(x_t.flatten(1), ab_t[t].sqrt() * flat) ** 2) / (2 * (1 - ab_t[t])))
    return (p / p.sum(dim=1, keepdim=True) @ flat).view_as(x_t)


def posterior_wrong_axis(x_t, t, sprites):
    flat = sprites.flatten(1)
    d = torch.cdist(x_t.flatten(1), ab_t[t].sqrt() * flat)
    return (torch.softmax(-d.square() / (2 - 2 * ab_t[t]), 0) @ flat).view_as(x_t)


def most_probable(x_t, t, sprites):
    return sprites[torch.cdist(x_t.flatten(1), ab_t[t].sqrt() * sprites.flatten(1)).argmin(dim=1)]


def two_sprites(a, b, t, scale=ROOT, strength=STRENGTH, n=10_000):
    """For each noise, the difference of the squared distances to b and to a: positive if a is nearer."""
    x_t = ab_t[t].sqrt() * a + strength[t] * torch.randn(n, *a.shape)
    return ((x_t - scale[t] * b) ** 2 - (x_t - scale[t] * a) ** 2).sum(dim=(1, 2, 3))


def named(*inputs, **mistake):
    return (two_sprites(*inputs, **mistake) > 0).float().mean()


def named_by_loop(a, b, t):
    count = 0
    for _ in range(60):  # in pieces, as where memory is short
        x_t = ab_t[t] ** 0.5 * a + (1 - ab_t[t]) ** 0.5 * torch.randn(200, *a.shape)
        to = [torch.cdist(x_t.flatten(1), ab_t[t] ** 0.5 * s.reshape(1, -1)) for s in (a, b)]
        count += int((to[0] < to[1]).sum())
    return count / 12_000


def named_of_one_noise(a, b, t):
    x_t = mix(a, ab_t[t], torch.randn_like(a)).expand(1000, -1, -1, -1)
    nearer = (x_t - ab_t[t].sqrt() * a).flatten(1).norm(dim=1) < (x_t - ab_t[t].sqrt() * b).flatten(1).norm(dim=1)
    return nearer.float().mean().item()


def majority(a, b, t):
    x_t = mix(a, ab_t[t], torch.randn(10_000, *a.shape))
    votes = (x_t - ab_t[t].sqrt() * a).abs() < (x_t - ab_t[t].sqrt() * b).abs()
    return (votes.flatten(1).sum(dim=1) > votes[0].numel() / 2).float().mean().item()


def mean_probability(a, b, t):
    return torch.sigmoid(two_sprites(a, b, t) / (2 * (1 - ab_t[t]))).mean()


# --------------------------------------------------------------------------------------- noise_loss


def loss(
    levels=lambda n: torch.randint(1, T + 1, (n,)),
    noise=torch.randn_like,
    noised=noised,
    seen=lambda x, x_t: x_t,
    time=lambda t: t / T,
    target=lambda x, x_t, eps: eps,
    judge=lambda a, b: ((a - b) ** 2).mean(),
):
    """A loss with one place to go wrong for each argument; as it is, it is right."""

    def my_noise_loss(model, x):
        t, eps = levels(len(x)), noise(x)
        x_t = noised(x, t.expand(len(x)), eps)
        return judge(model(seen(x, x_t), time(t)), target(x, x_t, eps))

    return my_noise_loss


def loss_with_mse(model, x):
    t = 1 + torch.randperm(len(x)) % T  # evenly spread, in random order
    eps = torch.empty_like(x).normal_()
    return F.mse_loss(model(noised_by_loop(x, t, eps), (t / T)[:, None, None, None]), eps)


def loss_of_two_calls(model, x):
    return (loss()(model, x[:10_000]) + loss()(model, x[10_000:])) / 2


def loss_without_grad(model, x):
    with torch.no_grad():
        return loss()(model, x)


# --------------------------------------------------------------------------------------- ema_update


def average(weights=lambda a, c, d: a.mul_(d).add_(c, alpha=1 - d), buffers=lambda a, c, d: a.copy_(c)):
    @torch.no_grad()
    def my_ema_update(ema_model, model, decay):
        for a, c in zip(ema_model.parameters(), model.parameters(), strict=True):
            weights(a, c, decay)
        for a, c in zip(ema_model.buffers(), model.buffers(), strict=True):
            buffers(a, c, decay)
        return ema_model

    return my_ema_update


def average_by_state_dict(ema_model, model, decay):
    new, parameters = model.state_dict(), dict(model.named_parameters())
    for name, value in ema_model.state_dict().items():
        new[name] = decay * value + (1 - decay) * new[name] if name in parameters else new[name]
    ema_model.load_state_dict(new)
    return ema_model


def average_by_data(ema_model, model, decay):
    for a, c in zip(ema_model.parameters(), model.parameters(), strict=True):
        a.data = torch.lerp(c.data, a.data, decay)
    for a, c in zip(ema_model.buffers(), model.buffers(), strict=True):
        a.data = c.data.clone()
    return ema_model


def average_in_the_graph(ema_model, model, decay):
    for a, c in zip(ema_model.parameters(), model.parameters(), strict=True):
        a.lerp_(c, 1 - decay)
    for a, c in zip(ema_model.buffers(), model.buffers(), strict=True):
        a.copy_(c)
    return ema_model


def average_of_a_copy(ema_model, model, decay):
    return average()(copy.deepcopy(ema_model), model, decay)


def average_without_return(ema_model, model, decay):
    average()(ema_model, model, decay)


def average_of_the_model(ema_model, model, decay):
    average()(model, ema_model, decay)
    return ema_model


def names_only(ema_model, model, decay):
    for a, c in zip(ema_model.parameters(), model.parameters(), strict=True):
        a = decay * a + (1 - decay) * c
    for a, c in zip(ema_model.buffers(), model.buffers(), strict=True):
        a = c
    return ema_model


def average_of_whole_numbers(ema_model, model, decay):
    with torch.no_grad():
        for a, c in zip(ema_model.state_dict().values(), model.state_dict().values(), strict=True):
            a.mul_(decay).add_((1 - decay) * c)
    return ema_model


# ------------------------------------------------------------------------------------ training_step


def clear(s):
    s.optimizer.zero_grad()


def find_loss(s):
    s.loss = s.loss_of(s.model, s.x)


def backward(s):
    s.loss.backward()


def clip(s):
    torch.nn.utils.clip_grad_norm_(s.model.parameters(), max_norm=1.0)


def step(s):
    s.optimizer.step()


def move_average(s):
    average()(s.ema_model, s.model, s.decay)


def move_model(s):
    average()(s.model, s.ema_model, s.decay)


def training(*parts, answer=lambda s: s.loss.detach()):
    def my_training_step(model, ema_model, optimizer, loss_of, x, decay):
        s = type("State", (), {})()
        s.model, s.ema_model, s.optimizer, s.loss_of, s.x, s.decay = (
            model,
            ema_model,
            optimizer,
            loss_of,
            x,
            decay,
        )
        for part in parts:
            part(s)
        return answer(s)

    return my_training_step


def training_by_hand(model, ema_model, optimizer, loss_of, x, decay):
    """Without clip_grad_norm_, and cleared at the end."""
    loss = loss_of(model, x)
    loss.backward()
    gradients = [p.grad for p in model.parameters()]
    size = sum(g.pow(2).sum() for g in gradients).sqrt()
    for g in gradients:
        g.mul_(1 / max(1.0, float(size)))
    optimizer.step()
    average_by_data(ema_model, model, decay)
    for p in model.parameters():
        p.grad = None
    return loss.item()


RIGHT_ORDER = (clear, find_loss, backward, clip, step, move_average)


# ------------------------------------------------------------------------------------ picture_error


def guess(model, x, t, noise, time=None, strength=lambda ab: (1 - ab).sqrt()):
    ab = ab_t[t]
    x_t = mix(x, ab, noise)
    return (x_t - strength(ab) * model(x_t, t / T if time is None else time)) / ab.sqrt()


def picture_error(model, x, t, noise, **mistake):
    return (guess(model, x, t, noise, **mistake) - x).square().mean().item()


def noise_error(model, x, t, noise):
    return F.mse_loss(model(mix(x, ab_t[t], noise), torch.full((len(x),), t / T)), noise)


def picture_error_by_factor(model, x, t, noise):
    return (1 / ab_t[t] - 1) * noise_error(model, x, t, noise)


# --------------------------------------------------------------------------------------- the tables

RIGHT = {
    "perturb_input": [noised, noised_by_loop],
    "noise_variance": [variance, variance_one_by_one, variance_with_levels],
    "exact_x0": [posterior, posterior_by_loop],
    "share_named": [named, named_by_loop],
    "noise_loss": [loss(), loss_with_mse],
    "ema_update": [average(), average_by_state_dict, average_by_data],
    "training_step": [
        training(*RIGHT_ORDER),
        training(find_loss, clear, *RIGHT_ORDER[2:]),
        training_by_hand,
    ],
    "picture_error": [picture_error, picture_error_by_factor],
}

WRONG = {
    "perturb_input": {
        "missing square root": noised_without_root,
        "missing square root on the signal": lambda x, t, e: column(ab_t, t) * x + (1 - column(ab_t, t)).sqrt() * e,
        "weights swapped": lambda x, t, e: noised(e, t, x),
        "one level for all": lambda x, t, e: mix(x, ab_t[int(t[0])], e),
        "levels along the width": lambda x, t, e: ab_t[t].sqrt() * x + (1 - ab_t[t]).sqrt() * e,
        "levels along the height": lambda x, t, e: mix(x, ab_t[t].unsqueeze(1), e),
        "level t-1": lambda x, t, e: noised(x, t - 1, e),
        "noise of its own": lambda x, t, e: noised(x, t, torch.randn_like(x)),
        "wrong values": lambda x, t, e: mix(x, column(b_t, t), e),
        "wrong shape": lambda x, t, e: mix(x, ab_t[t][:, None, None, None, None], e),
    },
    "noise_variance": {
        "formula in place of a measurement": lambda perturb, x, t: 1 - ab_t[t],
        "standard deviation": lambda *a: variance(*a) ** 0.5,
        "variance over the pixels": lambda perturb, x, t: perturb(x, t, torch.randn(1000, *x.shape[1:])).var(),
        "mean square": lambda perturb, x, t: (perturb(x, t, torch.randn(1000, *x.shape[1:])) ** 2).mean(),
        "difference from x": lambda f, x, t: (f(x, t, torch.randn(1000, *x.shape[1:])) - x).square().mean(),
        "uniform noise": lambda *a: variance(*a, noise=torch.rand),
        "the same noise each time": variance_of_one_noise,
        "wrong values": lambda *a: 2 * variance(*a),
        "not a number": lambda perturb, x, t: perturb(x, t, torch.randn(1000, *x.shape[1:])).var(dim=0),
    },
    "exact_x0": {
        "sprites not scaled": lambda *a: posterior(*a, scaled=lambda s, ab: s),
        "missing square root": lambda *a: posterior(*a, scaled=lambda s, ab: s * ab),
        "distance not squared": lambda *a: posterior(*a, exponent=lambda d, ab: -d / (2 * (1 - ab))),
        "slash read from left to right": lambda *a: posterior(*a, exponent=lambda d, ab: -(d**2) / 2 * (1 - ab)),
        "2 forgotten": lambda *a: posterior(*a, exponent=lambda d, ab: -(d**2) / (1 - ab)),
        "alpha-bar for its complement": lambda *a: posterior(*a, exponent=lambda d, ab: -(d**2) / (2 * ab)),
        "minus forgotten": lambda *a: posterior(*a, exponent=lambda d, ab: d**2 / (2 * (1 - ab))),
        "softmax along the wrong axis": posterior_wrong_axis,
        "likeliest sprite": most_probable,
        "underflow": posterior_by_exp,
        "wrong values": lambda x_t, t, sprites: posterior(x_t, t, 2 * sprites),
        "wrong shape": lambda x_t, t, sprites: posterior(x_t, t, sprites).flatten(1),
        "not a tensor": lambda x_t, t, sprites: (posterior(x_t, t, sprites), None),
    },
    "share_named": {
        "sprites not scaled": lambda *a: named(*a, scale=torch.ones(T + 1)),
        "missing square root": lambda *a: named(*a, scale=ab_t),
        "noise too weak": lambda *a: named(*a, strength=1 - ab_t),
        "comparison turned round": lambda *a: (two_sprites(*a) < 0).float().mean().item(),
        "mean of the probabilities": mean_probability,
        "majority of the pixels": majority,
        "the same answer each time": named_of_one_noise,
        "wrong values": lambda a, b, t: 0.5,
        "not a number": lambda *a: two_sprites(*a) > 0,
    },
    "noise_loss": {
        "T never drawn": loss(levels=lambda n: torch.randint(1, T, (n,))),
        "counts from 0": loss(levels=lambda n: torch.randint(0, T, (n,))),
        "level 0 drawn": loss(levels=lambda n: torch.randint(T + 1, (n,))),
        "t in place of t/T": loss(time=lambda t: t),
        "one level for the whole batch": loss(levels=lambda n: torch.randint(1, T + 1, (1,))),
        "wrong levels": loss(levels=lambda n: torch.randint(1, T + 1, (n,)) // 2 + 1),
        "clean pictures handed over": loss(seen=lambda x, x_t: x),
        "one noise for all": loss(noise=lambda x: torch.randn_like(x[:1]).expand_as(x)),
        "uniform noise": loss(noise=torch.rand_like),
        "missing square root": loss(noised=noised_without_root),
        "wrong x_t": loss(noised=lambda x, t, eps: noised(x, t - 1, eps)),
        "not averaged": loss(judge=lambda a, b: (a - b) ** 2),
        "sum in place of mean": loss(judge=lambda a, b: F.mse_loss(a, b, reduction="sum")),
        "sum over the pixels": loss(judge=lambda a, b: (a - b).square().sum(dim=(1, 2, 3)).mean()),
        "not squared": loss(judge=F.l1_loss),
        "mean of the difference": loss(judge=lambda a, b: (a - b).mean()),
        "root mean square": loss(judge=lambda a, b: F.mse_loss(a, b).sqrt()),
        "compared with the picture": loss(target=lambda x, x_t, eps: x),
        "compared with x_t": loss(target=lambda x, x_t, eps: x_t),
        "other noise": loss(target=lambda x, x_t, eps: torch.randn_like(eps)),
        "no gradient": loss_without_grad,
        "not asked once": loss_of_two_calls,
        "wrong values": loss(judge=lambda a, b: (a + b).square().mean()),
    },
    "ema_update": {
        "shares swapped": average(lambda a, c, d: a.lerp_(c, d)),
        "weights copied": average(lambda a, c, d: a.copy_(c)),
        "decay forgotten on the old": average(lambda a, c, d: a.add_((1 - d) * c)),
        "weights not changed": average(lambda a, c, d: d * a + (1 - d) * c),
        "nothing changed": names_only,
        "buffers forgotten": average(buffers=lambda a, c, d: None),
        "buffers averaged": average(buffers=lambda a, c, d: a.copy_(d * a + (1 - d) * c)),
        "not in place": average_of_a_copy,
        "model changed": average_of_the_model,
        "hangs on the graph": average_in_the_graph,
        "nothing returned": average_without_return,
        "plain mean": average(lambda a, c, d: a.copy_((a + c) / 2)),
        "wrong values": average(lambda a, c, d: a.lerp_(c, (1 - d) / 2)),
    },
    "training_step": {
        "not cleared": training(*RIGHT_ORDER[1:]),
        "not clipped in time": training(clear, find_loss, backward, step, clip, move_average),
        "average before the step": training(clear, find_loss, backward, clip, move_average, step),
        "average forgotten": training(*RIGHT_ORDER[:-1]),
        "average and model swapped": training(*RIGHT_ORDER[:-1], move_model),
        "no backward": training(clear, find_loss, step, move_average),
        "cleared before the step": training(find_loss, backward, clear, clip, step, move_average),
        "no step": training(clear, find_loss, backward, clip, move_average),
        "loss still attached": training(*RIGHT_ORDER, answer=lambda s: s.loss),
        "nothing returned": training(*RIGHT_ORDER, answer=lambda s: None),
        "wrong values": training(*RIGHT_ORDER, answer=lambda s: s.loss_of(s.model, s.x).item()),
    },
    "picture_error": {
        "error of the noise": noise_error,
        "factor upside down": lambda *a: noise_error(*a) * ab_t[a[2]] / (1 - ab_t[a[2]]),
        "root of the factor": lambda *a: noise_error(*a) * (1 - ab_t[a[2]]).sqrt() / ab_t[a[2]].sqrt(),
        "missing square root": lambda *a: picture_error(*a, strength=lambda ab: 1 - ab),
        "t in place of t/T": lambda *a: picture_error(*a, time=a[2]),
        "compared with x_t": lambda model, x, t, noise: F.mse_loss(guess(model, x, t, noise), mix(x, ab_t[t], noise)),
        "root mean square": lambda *a: picture_error(*a) ** 0.5,
        "clipped": lambda *a: F.mse_loss(guess(*a).clamp(-1, 1), a[1]).item(),
        "sum in place of mean": lambda *a: (guess(*a) - a[1]).square().sum(),
        "not squared": lambda *a: (guess(*a) - a[1]).abs().mean(),
        "wrong values": lambda *a: 0.7 * picture_error(*a),
        "not a number": lambda *a: (guess(*a) - a[1]).square().mean(dim=(1, 2, 3)),
    },
}


# More of each kind, as learners write them: (exercise, diagnosis or "" where it is right,
# submission)


def perturb_in_numpy(x, t, noise):
    ab = ab_t.numpy()[t.numpy()].reshape(-1, 1, 1, 1)
    return torch.tensor(np.sqrt(ab) * x.numpy() + np.sqrt(1 - ab) * noise.numpy())


def perturb_in_place(x, t, noise):
    x_t = x.clone()
    for i in range(x.shape[0]):
        x_t[i].mul_(ab_t[t[i]].sqrt()).add_(noise[i], alpha=float((1 - ab_t[t[i]]).sqrt()))
    return x_t


def perturb_changing_x(x, t, noise):
    x *= column(ab_t, t).sqrt()
    return x + column(1 - ab_t, t).sqrt() * noise


def one_pixel(perturb, x, t, n=1000):
    return perturb(x.repeat(n, 1, 1, 1), t, torch.randn(n, *x.shape[1:]))[:, 0, 0, 0].var().item()


def variance_by_formula(perturb, x, t):
    x_t = perturb(x.expand(1000, *x.shape[1:]), t, torch.randn(1000, *x.shape[1:])).numpy()
    return np.mean(np.mean(x_t**2, axis=0) - np.mean(x_t, axis=0) ** 2)


def variance_in_a_loop(perturb, x, t, noise=None):
    kept = []
    for _ in range(500):
        kept.append(perturb(x, t, torch.randn_like(x) if noise is None else noise(x)))
    return torch.cat(kept).var(0).mean()


def measured(reduce, n=1000):
    """What ``reduce`` makes of n noisy copies."""
    return lambda perturb, x, t: reduce(perturb(x.expand(n, -1, -1, -1), t, torch.randn(n, *x.shape[1:])))


def posterior_in_numpy(x_t, t, sprites):
    flat, ab = sprites.flatten(1).numpy(), float(ab_t[t])
    d = ((x_t.flatten(1).numpy()[:, None] - ab**0.5 * flat[None]) ** 2).sum(-1) / (2 * (1 - ab))
    p = np.exp(d.min(axis=1, keepdims=True) - d)
    return torch.tensor(p / p.sum(axis=1, keepdims=True) @ flat, dtype=torch.float32).view_as(x_t)


def posterior_scaled_up(x_t, t, sprites, variance=lambda ab: (1 - ab) / ab):
    flat, ab = sprites.flatten(1), ab_t[t]
    d = torch.cdist(x_t.flatten(1) / ab.sqrt(), flat).square()
    return (torch.softmax(-d / (2 * variance(ab)), dim=-1) @ flat).reshape(x_t.shape)


def posterior_of_axes(x_t, t, sprites, reduce=torch.sum, p=2):
    d = reduce((x_t[:, None] - ab_t[t].sqrt() * sprites[None]).abs() ** p, dim=(2, 3, 4))
    return torch.einsum("ij,jchw->ichw", (-d / (2 * (1 - ab_t[t]))).softmax(1), sprites)


def unnormalised(x_t, t, sprites):
    d = torch.cdist(x_t.flatten(1), ROOT[t] * sprites.flatten(1)) ** 2
    return (torch.exp(-d / (2 * (1 - ab_t[t]))) @ sprites.flatten(1)).view_as(x_t)


def posterior_noise(x_t, t, sprites):
    return (x_t - ROOT[t] * posterior(x_t, t, sprites)) / STRENGTH[t]


def named_with(distance, n=10_000, noise=torch.randn, x_0=lambda a, b: a):
    def my_share_named(a, b, t):
        x_t = mix(x_0(a, b), ab_t[t], noise((n, *a.shape)))
        return (distance(x_t - ROOT[t] * a) < distance(x_t - ROOT[t] * b)).float().mean().item()

    return my_share_named


def squares(x):
    return x.square().sum(dim=(1, 2, 3))


def half_rooted(a, b, t):
    x_t = ab_t[t] * a + STRENGTH[t] * torch.randn(10_000, *a.shape)
    return (squares(x_t - ROOT[t] * a) < squares(x_t - ROOT[t] * b)).float().mean()


def named_by_dot_product(a, b, t):
    """The square of x_t is the same on both sides."""
    x_t = mix(a, ab_t[t], torch.randn(10_000, *a.shape))
    scores = [ROOT[t] * (x_t * s).sum(dim=(1, 2, 3)) - ab_t[t] * s.square().sum() / 2 for s in (a, b)]
    return int((scores[0] > scores[1]).sum()) / 10_000


def named_by_softmax(a, b, t):
    x_t = mix(a, ab_t[t], torch.randn(10_000, *a.shape)).flatten(1)
    d = torch.stack([(x_t - ROOT[t] * s.flatten()).square().sum(1) for s in (a, b)], dim=1)
    return ((-d / (2 * (1 - ab_t[t]))).softmax(1)[:, 0] > 0.5).numpy().mean()


def loss_in_a_loop(model, x):
    t = torch.tensor(np.random.randint(1, T + 1, size=len(x)))
    eps = torch.randn(x.size())
    out = model(noised(x, t, eps), t.float() / T)
    return torch.mean((eps - out) ** 2)


def loss_of_float_levels(model, x):
    t = torch.randint(1, T + 1, (len(x),)).float()
    eps = torch.randn_like(x)
    return F.mse_loss(model(noised(x, t.long(), eps), t / T), eps)


def looped(model, x):
    total = 0.0
    for picture in x[:50]:
        total = total + loss()(model, picture[None])
    return total / 50


def average_shared(ema_model, model, decay):
    for a, c in zip(ema_model.parameters(), model.parameters(), strict=True):
        a.data.mul_(decay).add_(c.data, alpha=1 - decay)
    for a, c in zip(ema_model.buffers(), model.buffers(), strict=True):
        a.data = c.data
    return ema_model


def average_by_name(ema_model, model, decay):
    current, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    with torch.no_grad():
        for name, p in ema_model.named_parameters():
            p.copy_(decay * p + (1 - decay) * current[name])
        for name, b in ema_model.named_buffers():
            b.copy_(buffers[name])
    return ema_model


def average_of_modules(ema_model, model, decay):
    """Goes through the network and its parts, and so moves everything twice."""
    with torch.no_grad():
        for old, new in zip(ema_model.modules(), model.modules(), strict=True):
            for a, c in zip(old.parameters(), new.parameters(), strict=True):
                a.lerp_(c, 1 - decay)
            for a, c in zip(old.buffers(), new.buffers(), strict=True):
                a.copy_(c)
    return ema_model


def average_then_load(ema_model, model, decay):
    average(buffers=lambda a, c, d: None)(ema_model, model, decay)
    ema_model.load_state_dict(model.state_dict())
    return ema_model


def clip_values(s):
    torch.nn.utils.clip_grad_value_(s.model.parameters(), 1.0)


def clip_each(s):
    for p in s.model.parameters():
        torch.nn.utils.clip_grad_norm_(p, 1.0)


def normalise(s):
    size = torch.cat([p.grad.flatten() for p in s.model.parameters()]).norm()
    for p in s.model.parameters():
        p.grad /= size


def clear_model(s):
    s.model.zero_grad(set_to_none=False)


def average_by_the_rest(s):
    average()(s.ema_model, s.model, 1 - s.decay)


def with_time(time):
    return lambda model, x, t, noise: picture_error(model, x, t, noise, time=time(t))


def error_of(guessed):
    """The mean squared error of a guess from x_t, the prediction, ᾱ."""

    def my_picture_error(model, x, t, noise):
        x_t = mix(x, ab_t[t], noise)
        with torch.no_grad():
            return float(((guessed(x_t, model(x_t, t / T), ab_t[t]) - x) ** 2).mean())

    return my_picture_error


def right_guess(x_t, pred, ab):
    return (x_t - (1 - ab).sqrt() * pred) / ab.sqrt()


def clean_picture(model, x, t, noise):
    return (right_guess(mix(x, ab_t[t], noise), model(x, t / T), ab_t[t]) - x).square().mean()


def error_by_numpy(model, x, t, noise):
    return np.square(guess(model, x, t, noise).numpy() - x.numpy()).mean()


def error_by_pictures(model, x, t, noise):
    errors = [picture_error(model, x[i : i + 1], t, noise[i : i + 1]) for i in range(len(x))]
    return sum(errors) / len(errors)


MORE = {
    "perturb_input": [
        ("", perturb_in_numpy),
        ("", perturb_in_place),
        (
            "",
            lambda x, t, e: torch.einsum("n,nchw->nchw", ROOT[t], x) + torch.einsum("n,nchw->nchw", STRENGTH[t], e),
        ),
        (
            "",
            lambda x, t, e: torch.lerp(x * 0, x, ROOT[t].view(-1, 1, 1, 1)) + e * STRENGTH[t].view(-1, 1, 1, 1),
        ),
        (
            "",
            lambda x, t, e: (x.permute(1, 2, 3, 0) * ROOT[t] + e.permute(1, 2, 3, 0) * STRENGTH[t]).movedim(3, 0),
        ),
        ("changes its input", perturb_changing_x),
        ("one step in place of t", lambda x, t, e: mix(x, column(1 - b_t, t), e)),
        ("level t+1", lambda x, t, e: noised(x, t + 1, e)),
        (
            "both square roots missing",
            lambda x, t, e: column(ab_t, t) * x + (1 - column(ab_t, t)) * e,
        ),
        ("wrong values", lambda x, t, e: column(ROOT, t) * x - column(STRENGTH, t) * e),
        ("wrong values", lambda x, t, e: column(ROOT, t) * (x + column(STRENGTH, t) * e)),
        ("wrong values", lambda x, t, e: x + column(STRENGTH, t) * e),
        ("not a tensor", lambda x, t, e: noised(x, t, e).numpy()),
        ("not a tensor", lambda x, t, e: list(noised(x, t, e))),
        ("wrong dtype", lambda x, t, e: noised(x.double(), t, e)),
    ],
    "noise_variance": [
        ("", one_pixel),
        ("", variance_by_formula),
        ("", variance_in_a_loop),
        ("", measured(lambda x_t: x_t.std(dim=0).square().mean().item())),
        ("", measured(lambda x_t: (x_t - x_t.mean(dim=0)).square().mean())),
        ("", measured(lambda x_t: x_t.flatten(1).var(dim=0).median().numpy())),
        ("standard deviation", measured(lambda x_t: x_t.std(dim=0).mean())),
        ("variance over the pixels", measured(lambda x_t: x_t.var(dim=(1, 2, 3)).mean())),
        ("variance over the pixels", measured(lambda x_t: x_t[0].var().item())),
        ("pixels averaged first", measured(lambda x_t: x_t.mean(dim=(1, 2, 3)).var())),
        ("sum over the pixels", measured(lambda x_t: x_t.var(dim=0).sum())),
        ("mean square", measured(lambda x_t: (x_t**2).mean())),
        ("difference from x", lambda f, x, t: (f(x, t, torch.randn(1000, 3, 8, 8)) - x).pow(2).mean().item()),
        (
            "the same noise each time",
            lambda f, x, t: variance_in_a_loop(f, x, t, noise=torch.ones_like),
        ),
        ("uniform noise", lambda f, x, t: variance_in_a_loop(f, x, t, noise=torch.rand_like)),
        ("variance squared", measured(lambda x_t: x_t.var(dim=0).mean() ** 2)),
        ("formula in place of a measurement", lambda perturb, x, t: float(STRENGTH[t]) ** 2),
    ],
    "exact_x0": [
        ("", posterior_in_numpy),
        ("", posterior_scaled_up),
        ("", posterior_of_axes),
        ("", lambda x_t, t, s: torch.cat([posterior(x[None], t, s) for x in x_t])),
        ("", lambda x_t, t, s: posterior(x_t.double(), t, s.double()).float()),
        ("mean of the scaled sprites", lambda x_t, t, s: ROOT[t] * posterior(x_t, t, s)),
        ("mean over the pixels", lambda *a: posterior_of_axes(*a, reduce=torch.mean)),
        ("absolute distance", lambda *a: posterior_of_axes(*a, p=1)),
        ("picture scaled up", lambda *a: posterior_scaled_up(*a, variance=lambda ab: 1 - ab)),
        (
            "root of the variance",
            lambda *a: posterior(*a, exponent=lambda d, ab: -(d**2) / (2 * (1 - ab) ** 0.5)),
        ),
        (
            "variance squared",
            lambda *a: posterior(*a, exponent=lambda d, ab: -(d**2) / (2 * (1 - ab) ** 2)),
        ),
        ("not normalised", unnormalised),
        ("noise in place of picture", posterior_noise),
        (
            "mean of all sprites",
            lambda x_t, t, s: s.mean(dim=0, keepdim=True).repeat(len(x_t), 1, 1, 1),
        ),
        ("level t-1", lambda x_t, t, s: posterior(x_t, t - 1, s)),
        ("wrong dtype", lambda x_t, t, s: posterior(x_t.double(), t, s.double())),
    ],
    "share_named": [
        ("", named_with(squares)),
        ("", named_with(lambda d: d.square().mean(dim=(1, 2, 3)))),
        ("", named_with(lambda d: d.flatten(1).norm(dim=1) ** 2, n=20_000)),
        ("", named_by_dot_product),
        ("", named_by_softmax),
        ("", lambda a, b, t: torch.tensor([float(named(a, b, t))])),
        ("absolute distance", named_with(lambda d: d.abs().sum(dim=(1, 2, 3)))),
        ("absolute distance", named_with(lambda d: d.abs().mean(dim=(1, 2, 3)))),
        ("majority of the pixels", majority),
        ("not summed over the picture", named_with(torch.abs)),
        ("not summed over the picture", named_with(torch.square)),
        ("comparison turned round", named_with(squares, x_0=lambda a, b: b)),
        ("uniform noise", named_with(squares, noise=torch.rand)),
        ("not a share", lambda *a: int((two_sprites(*a) > 0).sum())),
        ("missing square root on the signal", half_rooted),
        ("the same answer each time", named_with(squares, noise=torch.zeros)),
        ("wrong values", lambda *a: 0.9 * float(named(*a)) ** 2),
    ],
    "noise_loss": [
        ("", loss_in_a_loop),
        ("", loss_of_float_levels),
        ("", loss(levels=lambda n: torch.randint(0, T, (n,)) + 1)),
        ("", loss(time=lambda t: t / T * 1.0, judge=lambda a, b: (b - a).pow(2).sum() / b.numel())),
        (
            "",
            loss(
                levels=lambda n: (torch.rand(n) * T).long() + 1,
                noise=lambda x: torch.normal(0.0, 1.0, x.shape),
            ),
        ),
        ("", loss(judge=lambda a, b: (a - b).flatten(1).square().mean(dim=1).mean())),
        ("division of whole numbers", loss(time=lambda t: t // T)),
        ("division of whole numbers", loss(time=lambda t: (t / T).long())),
        ("divided by another number", loss(time=lambda t: t / (T + 1))),
        ("divided by another number", loss(time=lambda t: t / (T - 1))),
        ("one number for many pixels", loss(noise=lambda x: torch.randn(len(x), 1, 1, 1))),
        ("one number for many pixels", loss(noise=lambda x: torch.randn(len(x), 1, *x.shape[2:]))),
        ("uniform noise", loss(noise=lambda x: 2 * torch.rand_like(x) - 1)),
        ("uniform noise", loss(noise=lambda x: 3.46 * (torch.rand_like(x) - 0.5))),
        (
            "one noise for all",
            loss(noise=lambda x: torch.randn(x.shape[1:]).repeat(len(x), 1, 1, 1)),
        ),
        ("not asked once", looped),
        ("no gradient", lambda model, x: loss()(model, x).item()),
        ("t in place of t/T", loss(time=lambda t: t.float())),
    ],
    "ema_update": [
        ("", average_by_name),
        ("", average(lambda a, c, d: a.add_((1 - d) * (c - a)))),
        ("", average(lambda a, c, d: a.sub_((1 - d) * (a - c)), lambda a, c, d: a.set_(c.clone()))),
        ("", average(lambda a, c, d: a.copy_(torch.lerp(a, c, 1 - d)))),
        ("", average(lambda a, c, d: a.data.copy_(d * a.data + (1 - d) * c.data))),
        ("not a copy", average_shared),
        ("moved twice", average_of_modules),
        ("weights copied", average_then_load),
        ("1 - decay forgotten on the new", average(lambda a, c, d: a.mul_(d).add_(c))),
        ("decay for both", average(lambda a, c, d: a.mul_(d).add_(c, alpha=d))),
        ("weights not changed", average(lambda a, c, d: a.lerp(c, 1 - d))),
        ("weights not changed", average(lambda a, c, d: a * d + c * (1 - d))),
        (
            "buffers averaged",
            average(buffers=lambda a, c, d: a.copy_(torch.lerp(c.float(), a.float(), d))),
        ),
        ("shares swapped", average(lambda a, c, d: a.mul_(1 - d).add_(d * c))),
        (
            "not in place",
            lambda ema_model, model, decay: average()(ema_model, model, decay).state_dict(),
        ),
        ("plain mean", average(lambda a, c, d: a.add_(c).div_(2))),
    ],
    "training_step": [
        ("", training(clear_model, *RIGHT_ORDER[1:])),
        ("", training(*RIGHT_ORDER, answer=lambda s: s.loss.item())),
        ("", training(*RIGHT_ORDER, answer=lambda s: s.loss.detach().clone().reshape(1))),
        ("", training(find_loss, backward, clip, step, clear, move_average)),
        ("", training(clear, find_loss, backward, clip, step, clear, move_average)),
        ("not clipped in time", training(clear, find_loss, clip, backward, step, move_average)),
        ("values clipped", training(clear, find_loss, backward, clip_values, step, move_average)),
        ("each clipped alone", training(clear, find_loss, backward, clip_each, step, move_average)),
        ("always shortened", training(clear, find_loss, backward, normalise, step, move_average)),
        ("1 - decay handed over", training(*RIGHT_ORDER[:-1], average_by_the_rest)),
        ("step before backward", training(clear, find_loss, step, backward, clip, move_average)),
        ("cleared before the step", training(find_loss, backward, clip, clear, step, move_average)),
        ("average forgotten", training(clear_model, *RIGHT_ORDER[1:-1])),
        ("average before the step", training(move_average, *RIGHT_ORDER[:-1])),
        ("loss still attached", training(*RIGHT_ORDER, answer=lambda s: s.loss * 1)),
    ],
    "picture_error": [
        ("", error_of(right_guess)),
        ("", error_by_numpy),
        ("", error_by_pictures),
        ("", lambda *a: picture_error(*a, time=torch.full((len(a[1]),), a[2] / T))),
        ("", lambda *a: F.mse_loss(guess(*a), a[1])),
        ("not divided by √ᾱ", error_of(lambda x_t, pred, ab: x_t - (1 - ab).sqrt() * pred)),
        ("divided by ᾱ", error_of(lambda x_t, pred, ab: (x_t - (1 - ab).sqrt() * pred) / ab)),
        ("noise added", error_of(lambda x_t, pred, ab: (x_t + (1 - ab).sqrt() * pred) / ab.sqrt())),
        ("wrong values", error_of(lambda x_t, pred, ab: x_t - pred)),
        ("clipped", error_of(lambda x_t, pred, ab: ((x_t - (1 - ab).sqrt() * pred) / ab.sqrt()).clip(-1, 1))),
        ("division of whole numbers", with_time(lambda t: t // T)),
        ("clean picture handed over", clean_picture),
        ("compared with the noise", lambda *a: (guess(*a) - a[3]).square().mean()),
        ("sum over the pixels", lambda *a: (guess(*a) - a[1]).square().sum(dim=(1, 2, 3)).mean()),
        ("sum in place of mean", lambda *a: F.mse_loss(guess(*a), a[1], reduction="sum").item()),
        ("not squared", lambda *a: F.l1_loss(guess(*a), a[1])),
        ("not a number", lambda *a: (guess(*a) - a[1]).square()),
    ],
}
CASES = [(name, *case) for name, cases in MORE.items() for case in cases]


NAMES = [f"{i}-{name}-{key}" for i, (name, key, _) in enumerate(CASES)]


@pytest.mark.parametrize("name, expected, submission", CASES, ids=NAMES)
def test_as_learners_write(checks, name, expected, submission):
    verdict = getattr(checks, f"check_{name}")(submission)
    status = "wrong" if expected else "passed"
    assert (verdict.status, verdict.diagnosis) == (status, expected), verdict


def test_a_single_pixel_is_enough(checks):
    """1,000 noises know a variance to 4.5 %."""
    verdicts = [checks.check_noise_variance(one_pixel).status for _ in range(200)]
    assert set(verdicts) == {"passed"}


def test_an_average_that_trips_over_the_counter_of_batch_norm(checks):
    """num_batches_tracked is a whole number, and cannot be multiplied by 0.9 in place."""
    verdict = checks.check_ema_update(average_of_whole_numbers)
    assert verdict.status == "crashed" and "a.mul_(decay)" in verdict.message


def test_levels_that_do_not_fit_the_pictures_show_the_learners_line(checks):
    def my_perturb_input(x, t, noise):
        return ab_t[t][:, None, None] * x

    verdict = checks.check_perturb_input(my_perturb_input)
    assert verdict.status == "crashed" and "ab_t[t][:, None, None] * x" in verdict.message


@pytest.mark.parametrize(
    "name, key, part",
    [
        ("ema_update", "buffers forgotten", "the list of all buffers"),
        ("training_step", "average forgotten", "that of the averages"),
    ],
)
def test_the_message_names_the_part_that_is_wrong(checks, name, key, part):
    message = getattr(checks, f"check_{name}")(WRONG[name][key]).message
    assert part in message and "expected" in message and "got" in message


def test_the_message_says_what_came_and_what_should_have(checks):
    message = checks.check_perturb_input(WRONG["perturb_input"]["missing square root"]).message
    assert "at t = " in message and "you made" in message and "Is a square root missing?" in message

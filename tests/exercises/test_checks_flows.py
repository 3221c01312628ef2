"""The checks of flows.ipynb: right solutions pass, each classic mistake is called by its name.

All functions here are written without those of going_further, as a learner would.
"""

# ruff: noqa: E501  (what learners typed stands on one line)

import torch
import torch.nn.functional as F

from tests.exercises.every_lab import *  # noqa: F403
from tests.exercises.submitted import *  # noqa: F403

LAB = "going_further.flows_checks"


def loss(
    place=lambda x0, e, s: (1 - s) * x0 + s * e,
    target=lambda x0, e, x: e - x0,
    size=lambda d: (d**2).mean(),
    told=lambda tau: tau,
):
    """The loss with one place to go wrong for each argument; as it is, it is right."""

    def my_flow_loss(velocity, x0, noise, tau):
        x = place(x0, noise, tau.view(-1, 1, 1, 1))
        return size(velocity(x, told(tau)) - target(x0, noise, x))

    return my_flow_loss


def loss_by_mse(velocity, x0, noise, tau):
    x = torch.stack([torch.lerp(a, b, float(s)) for a, b, s in zip(x0, noise, tau, strict=True)])
    return F.mse_loss(velocity(x, tau), noise - x0)


def asks_twice(velocity, x0, noise, tau):
    velocity(x0, tau)
    return loss()(velocity, x0, noise, tau)


def walk(
    times=lambda n: [1 - i / n for i in range(n + 1)], told=lambda a, b: a, move=lambda x, u, a, b: x - (a - b) * u
):
    def my_euler_walk(velocity, x, n):
        ts = times(n)
        for a, b in zip(ts, ts[1:], strict=False):
            x = move(x, velocity(x, told(a, b)), a, b)
        return x

    return my_euler_walk


def walk_by_index(velocity, x, n):
    for i in reversed(range(n)):
        x = x - velocity(x, torch.tensor((i + 1) / n)) / n
    return x


def heun_in_two(velocity, x, tau, tau_next):
    k1 = velocity(x, tau)
    k2 = velocity(x + (tau_next - tau) * k1, tau_next)
    return x + 0.5 * (tau_next - tau) * k1 + 0.5 * (tau_next - tau) * k2


def heun_from_euler(v, x, a, b):
    y = x - (a - b) * v(x, a)
    return (x + y + (b - a) * v(y, b)) / 2


RIGHT = {
    "flow_loss": [loss(), loss_by_mse, loss(told=lambda tau: tau[:, None, None, None])],
    "euler_walk": [walk(), walk_by_index],
    "heun": [heun_in_two, heun_from_euler],
}

WRONG = {
    "flow_loss": {
        "clean end at 1": loss(lambda x0, e, s: s * x0 + (1 - s) * e),
        "diffusion's way": loss(lambda x0, e, s: (1 - s) ** 0.5 * x0 + s**0.5 * e),
        "a quarter circle": loss(lambda x0, e, s: (1 - s**2) ** 0.5 * x0 + s * e),
        "noise only added": loss(lambda x0, e, s: x0 + s * e),
        "the clean picture": loss(lambda x0, e, s: x0),
        "the noise": loss(lambda x0, e, s: e),
        "wrong sign": loss(target=lambda x0, e, x: x0 - e),
        "predicts the noise": loss(target=lambda x0, e, x: e),
        "predicts the picture": loss(target=lambda x0, e, x: x0),
        "from the place": loss(target=lambda x0, e, x: e - x),
        "to the place": loss(target=lambda x0, e, x: x - x0),
        "not squared": loss(size=lambda d: d.abs().mean()),
        "a sum": loss(size=lambda d: (d**2).sum()),
        "not asked once": asks_twice,
        "another time": loss(told=lambda tau: 1 - tau),
        "no gradient": loss(size=lambda d: (d**2).mean().item()),
        "wrong values": loss(size=lambda d: (d**2).mean() / 2),
    },
    "euler_walk": {
        "wrong sign": walk(move=lambda x, u, a, b: x + (a - b) * u),
        "upwards": walk(lambda n: [i / n for i in range(n + 1)]),
        "up in time, down in step": walk(
            lambda n: [i / n for i in range(n + 1)], move=lambda x, u, a, b: x - (b - a) * u
        ),
        "the next time": walk(told=lambda a, b: b),
        "the time halfway": walk(told=lambda a, b: (a + b) / 2),
        "a step too few": walk(lambda n: [1 - i / n for i in range(n)]),
        "n times, n - 1 steps": walk(lambda n: torch.linspace(1, 0, n).tolist()),
        "whole steps": walk(move=lambda x, u, a, b: x - u),
        "one step": lambda v, x, n: x - v(x, torch.tensor(1.0)),
        "shrinking steps": walk(move=lambda x, u, a, b: x - a * u),
        "picture's share forgotten": walk(move=lambda x, u, a, b: b * x - (a - b) * u),
        "wrong values": walk(move=lambda x, u, a, b: x - (a - b) * u / 2),
    },
    "heun": {
        "Euler": lambda v, x, a, b: x - (a - b) * v(x, a),
        "no mean": lambda v, x, a, b: x + (b - a) * v(x + (b - a) * v(x, a), b),
        "a sum": lambda v, x, a, b: x + (b - a) * (v(x, a) + v(x + (b - a) * v(x, a), b)),
        "asked at the start": lambda v, x, a, b: x + (b - a) * (v(x, a) + v(x, b)) / 2,
        "the old time": lambda v, x, a, b: x + (b - a) * (v(x, a) + v(x + (b - a) * v(x, a), a)) / 2,
        "from the end": lambda v, x, a, b: heun_in_two(v, x + (b - a) * v(x, a), a, b),
        "added to Euler": lambda v, x, a, b: heun_in_two(v, x, a, b) + (b - a) * v(x, a),
        "midpoint": lambda v, x, a, b: x + (b - a) * v(x + (b - a) / 2 * v(x, a), (a + b) / 2),
        "wrong sign": lambda v, x, a, b: heun_in_two(v, x, a, a + a - b),
        "right place, wrong way": lambda v, x, a, b: 2 * x - heun_in_two(v, x, a, b),
        "step lost": lambda v, x, a, b: x + (v(x, a) + v(x + (b - a) * v(x, a), b)) / 2,
        "wrong values": lambda v, x, a, b: x + (b - a) * (2 * v(x, a) + v(x + (b - a) * v(x, a), b)) / 3,
    },
}

# --------------------------------------------------------------------------- as learners write them

# exercise → (diagnosis, or "" where it is right; what was typed)
SUBMISSIONS = {
    "flow_loss": [
        (
            "",
            "share = tau.reshape(-1, *[1] * (x0.ndim - 1))\nx = (1 - share) * x0 + share * noise\nreturn ((velocity(x, tau) - (noise - x0)) ** 2).mean()",
        ),
        (
            "",
            "t = tau[:, None, None, None]\nx_t = x0 + t * (noise - x0)\nreturn torch.nn.functional.mse_loss(velocity(x_t, tau), noise - x0)",
        ),
        (
            "",
            "b = len(x0)\nt = tau.view(b, *(1,) * (x0.dim() - 1)).expand_as(x0)\nx_t = torch.lerp(x0, noise, t)\npred = velocity(x_t, tau)\nreturn (pred - noise + x0).pow(2).mean()",
        ),
        (
            "",
            "xs = [(1 - s) * a + s * b for a, b, s in zip(x0, noise, tau)]\nd = velocity(torch.stack(xs), tau) - (noise - x0)\nreturn torch.mean(torch.square(d).flatten(1).mean(1))",
        ),
        (
            "RuntimeError",
            "x = (1 - tau) * x0 + tau * noise\nreturn ((velocity(x, tau) - (noise - x0)) ** 2).mean()",
        ),
        (
            "clean end at 1",
            "t = tau[:, None, None, None]\nx = t * x0 + (1 - t) * noise\nreturn ((velocity(x, tau) - (x0 - noise)) ** 2).mean()",
        ),
        (
            "wrong sign",
            "t = tau[:, None, None, None]\nx = (1 - t) * x0 + t * noise\nreturn ((velocity(x, tau) - (x0 - noise)) ** 2).mean()",
        ),
        (
            "predicts the noise",
            "t = tau[:, None, None, None]\nx = (1 - t) * x0 + t * noise\nreturn F.mse_loss(velocity(x, tau), noise)",
        ),
        (
            "diffusion's way",
            "t = tau[:, None, None, None]\nx = (1 - t).sqrt() * x0 + t.sqrt() * noise\nreturn F.mse_loss(velocity(x, tau), noise - x0)",
        ),
        (
            "a sum",
            "t = tau[:, None, None, None]\nx = (1 - t) * x0 + t * noise\nreturn F.mse_loss(velocity(x, tau), noise - x0, reduction='sum')",
        ),
        (
            "another time",
            "t = tau[:, None, None, None]\nx = (1 - t) * x0 + t * noise\nreturn F.mse_loss(velocity(x, tau * 500), noise - x0)",
        ),
        (
            "no gradient",
            "t = tau[:, None, None, None]\nx = (1 - t) * x0 + t * noise\nwith torch.no_grad():\n    return F.mse_loss(velocity(x, tau), noise - x0)",
        ),
        (
            "wrong shape",
            "t = tau[:, None, None, None]\nx = ((1 - t) * x0 + t * noise).flatten(1)\nreturn F.mse_loss(velocity(x, tau), (noise - x0).flatten(1))",
        ),
    ],
    "euler_walk": [
        ("", "for i in range(n):\n    tau = 1 - i / n\n    x = x - velocity(x, tau) / n\nreturn x"),
        (
            "",
            "taus = torch.linspace(1, 0, n + 1)\nfor tau, tau_next in zip(taus[:-1], taus[1:]):\n    x = x + (tau_next - tau) * velocity(x, tau)\nreturn x",
        ),
        ("", "dt = -1.0 / n\nt = 1.0\nwhile t > 1e-6:\n    x = x + dt * velocity(x, t)\n    t += dt\nreturn x"),
        ("", "for i in range(n, 0, -1):\n    x = x - velocity(x, torch.full((len(x),), i / n)) * (1 / n)\nreturn x"),
        ("wrong sign", "for i in range(n):\n    x = x + velocity(x, 1 - i / n) / n\nreturn x"),
        ("up in time, down in step", "for i in range(n):\n    x = x - velocity(x, i / n) / n\nreturn x"),
        ("upwards", "for i in range(n):\n    x = x + velocity(x, i / n) / n\nreturn x"),
        ("the next time", "for i in range(1, n + 1):\n    x = x - velocity(x, 1 - i / n) / n\nreturn x"),
        (
            "n times, n - 1 steps",
            "ts = torch.linspace(1, 0, n)\nfor a, b in zip(ts, ts[1:]):\n    x = x + (b - a) * velocity(x, a)\nreturn x",
        ),
        ("a step too few", "for i in range(n - 1):\n    x = x - velocity(x, 1 - i / n) / n\nreturn x"),
        ("whole steps", "for i in range(n):\n    x = x - velocity(x, 1 - i / n)\nreturn x"),
        ("changes its input", "for i in range(n):\n    x -= velocity(x, 1 - i / n) / n\nreturn x"),
    ],
    "heun": [
        (
            "",
            "u = velocity(x, tau)\nguess = x + (tau_next - tau) * u\nu2 = velocity(guess, tau_next)\nreturn x + (tau_next - tau) * (u + u2) / 2",
        ),
        (
            "",
            "h = tau - tau_next\nk1 = velocity(x, tau)\nk2 = velocity(x - h * k1, tau_next)\nreturn x - h / 2 * (k1 + k2)",
        ),
        (
            "",
            "d = tau_next - tau\nk = [velocity(x, tau)]\nk.append(velocity(x + d * k[0], tau_next))\nreturn x + d * torch.stack(k).mean(0)",
        ),
        ("Euler", "return x + (tau_next - tau) * velocity(x, tau)"),
        (
            "no mean",
            "u = velocity(x, tau)\nguess = x + (tau_next - tau) * u\nreturn x + (tau_next - tau) * velocity(guess, tau_next)",
        ),
        (
            "from the end",
            "d = tau_next - tau\nu = velocity(x, tau)\nx = x + d * u\nu2 = velocity(x + d * velocity(x, tau), tau_next)\nreturn x + d * (velocity(x, tau) + u2) / 2",
        ),
        (
            "the old time",
            "d = tau_next - tau\nu = velocity(x, tau)\nreturn x + d * (u + velocity(x + d * u, tau)) / 2",
        ),
        (
            "midpoint",
            "d = tau_next - tau\nhalf = x + 0.5 * d * velocity(x, tau)\nreturn x + d * velocity(half, tau + 0.5 * d)",
        ),
        (
            "wrong sign",
            "d = tau - tau_next\nu = velocity(x, tau)\nu2 = velocity(x + d * u, tau + d)\nreturn x + d * (u + u2) / 2",
        ),
        (
            "a sum",
            "d = tau_next - tau\nu = velocity(x, tau)\nu2 = velocity(x + d * u, tau_next)\nreturn x + d * (u + u2)",
        ),
        (
            "asked at the start",
            "d = tau_next - tau\nreturn x + d * (velocity(x, tau) + velocity(x, tau_next)) / 2",
        ),
        (
            "step lost",
            "d = tau_next - tau\nu = velocity(x, tau)\nreturn x + (u + velocity(x + d * u, tau_next)) / 2",
        ),
    ],
}
ARGUMENTS = {
    "flow_loss": "velocity, x0, noise, tau",
    "euler_walk": "velocity, x, n",
    "heun": "velocity, x, tau, tau_next",
}

"""The checks of guidance.ipynb: right solutions pass, each classic mistake is called by its name.

All functions here are written without those of going_further, as a learner would.
"""

# ruff: noqa: E501  (what learners typed stands on one line)

import torch
import torch.nn.functional as F

from tests.exercises.every_lab import *  # noqa: F403
from tests.exercises.submitted import *  # noqa: F403

LAB = "going_further.guidance_checks"
T = 500
b_t = torch.cat([torch.zeros(1), torch.linspace(1e-4, 0.02, T)])
ab_t = (1 - b_t).double().cumprod(dim=0).float()


def slope(of=lambda scores, c: (scores.log_softmax(dim=1) * c).sum(), level=lambda t: t):
    """A gradient with one place to go wrong for each argument; as it is, it is right."""

    def my_log_probability_gradient(classifier, x, t, c):
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            of(classifier(x, level(t)), c).backward()
        return x.grad

    return my_log_probability_gradient


@torch.enable_grad()
def slope_of_losses(classifier, x, t, c):
    x = x.detach().clone().requires_grad_(True)
    loss = F.cross_entropy(classifier(x, t), c, reduction="sum")
    (gradient,) = torch.autograd.grad(-loss, x)
    return gradient


def slope_one_by_one(classifier, x, t, c):
    rows = []
    for one, wanted in zip(x, c, strict=True):
        with torch.enable_grad():
            one = one[None].detach().requires_grad_()
            classifier(one, t).log_softmax(1)[0, wanted.argmax()].backward()
        rows.append(one.grad)
    return torch.cat(rows)


RIGHT = {
    "log_probability_gradient": [slope(), slope_of_losses, slope_one_by_one],
    "guide": [
        lambda e, g, t, w: e - w * torch.sqrt(1 - ab_t[t]) * g,
        lambda e, g, t, w: -((1 - ab_t[t]) ** 0.5) * (-e / (1 - ab_t[t]) ** 0.5 + w * g),
    ],
}

WRONG = {
    "log_probability_gradient": {
        "no logarithm": slope(lambda s, c: (s.softmax(1) * c).sum()),
        "scores, not probabilities": slope(lambda s, c: (s * c).sum()),
        "softmax over the batch": slope(lambda s, c: (s.log_softmax(0) * c).sum()),
        "logarithm of another base": slope(lambda s, c: (s.softmax(1).log2() * c).sum()),
        "mean over the batch": slope(lambda s, c: (s.log_softmax(1) * c).sum(1).mean()),
        "loss in place of log p": slope(lambda s, c: F.cross_entropy(s, c, reduction="sum")),
        "mean loss": slope(lambda s, c: F.cross_entropy(s, c)),
        "all classes": slope(lambda s, c: s.log_softmax(1).sum()),
        "mean over the classes": slope(lambda s, c: (s.log_softmax(1) * c).mean(1).sum()),
        "t in place of t/T": slope(level=lambda t: T * t),
        "level 0": slope(level=lambda t: 0 * t),
        "a tuple": lambda classifier, x, t, c: (slope()(classifier, x, t, c),),
        "wrong values": slope(lambda s, c: (s.log_softmax(1) * c).mean()),
    },
    "guide": {
        "wrong sign": lambda e, g, t, w: e + w * (1 - ab_t[t]) ** 0.5 * g,
        "score added to noise": lambda e, g, t, w: e - w * g,
        "score added to noise, wrong sign": lambda e, g, t, w: e + w * g,
        "missing square root": lambda e, g, t, w: e - w * (1 - ab_t[t]) * g,
        "divided": lambda e, g, t, w: e - w / (1 - ab_t[t]) ** 0.5 * g,
        "strength of the picture": lambda e, g, t, w: e - w * ab_t[t] ** 0.5 * g,
        "w forgotten": lambda e, g, t, w: e - (1 - ab_t[t]) ** 0.5 * g,
        "w - 1": lambda e, g, t, w: e + (1 - w) * (1 - ab_t[t]) ** 0.5 * g,
        "w on everything": lambda e, g, t, w: w * e - w * (1 - ab_t[t]) ** 0.5 * g,
        "beta in place of 1 - alpha-bar": lambda e, g, t, w: e - w * b_t[t] ** 0.5 * g,
        "a score, not a noise": lambda e, g, t, w: w * g - e / (1 - ab_t[t]) ** 0.5,
        "between the two": lambda e, g, t, w: (1 - w) * e + w * g,
        "wrong values": lambda e, g, t, w: e - (w + 1) * (1 - ab_t[t]) ** 0.5 * g,
    },
}

# --------------------------------------------------------------------------- as learners write them

# exercise → (diagnosis, or "" where it is right; what was typed)
SUBMISSIONS = {
    "log_probability_gradient": [
        (
            "",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    p = (classifier(x, t).log_softmax(1) * c).sum()\n    return torch.autograd.grad(p, x)[0]",
        ),
        (
            "",
            "with torch.enable_grad():\n    x = x.clone().detach().requires_grad_(True)\n    logp = F.log_softmax(classifier(x, t), dim=-1)\n    picked = logp[range(len(x)), c.argmax(dim=1)]\n    picked.sum().backward()\nreturn x.grad",
        ),
        (
            "",
            "torch.set_grad_enabled(True)\nx = x.detach().requires_grad_()\nlogits = classifier(x, t)\nlogp = (logits * c).sum(1) - torch.logsumexp(logits, 1)\ng = torch.autograd.grad(logp, x, torch.ones_like(logp))[0]\nreturn g",
        ),
        (
            "",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    loss = torch.nn.CrossEntropyLoss()(classifier(x, t), c.argmax(1)) * len(x)\nreturn -torch.autograd.grad(loss, x)[0]",
        ),
        (
            "",
            "f = lambda x: (torch.log(torch.softmax(classifier(x, t), 1)) * c).sum()\nwith torch.enable_grad():\n    return torch.autograd.functional.jacobian(f, x)",
        ),
        (
            "gradients switched off",
            "x = x.detach().requires_grad_()\np = (classifier(x, t).log_softmax(1) * c).sum()\nreturn torch.autograd.grad(p, x)[0]",
        ),
        (
            "RuntimeError",
            "with torch.enable_grad():\n    p = (classifier(x, t).log_softmax(1) * c).sum()\n    return torch.autograd.grad(p, x)[0]",
        ),
        (
            "a tuple",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    p = (classifier(x, t).log_softmax(1) * c).sum()\n    return torch.autograd.grad(p, x)",
        ),
        (
            "no logarithm",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    p = (classifier(x, t).softmax(1) * c).sum()\n    return torch.autograd.grad(p, x)[0]",
        ),
        (
            "mean loss",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    return torch.autograd.grad(F.cross_entropy(classifier(x, t), c), x)[0]",
        ),
        (
            "scores, not probabilities",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    s = classifier(x, t)[range(len(x)), c.argmax(1)]\n    return torch.autograd.grad(s.sum(), x)[0]",
        ),
        (
            "mean over the batch",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    p = (classifier(x, t).log_softmax(1) * c).sum(1).mean()\n    return torch.autograd.grad(p, x)[0]",
        ),
        (
            "t in place of t/T",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    p = (classifier(x, t * T).log_softmax(1) * c).sum()\n    return torch.autograd.grad(p, x)[0]",
        ),
        (
            "wrong shape",
            "with torch.enable_grad():\n    x = x.detach().requires_grad_()\n    return (classifier(x, t).log_softmax(1) * c).sum(1)",
        ),
    ],
    "guide": [
        ("", "return e - w * (1 - ab_t[t]).sqrt() * g"),
        ("", "score = -e / (1 - ab_t[t]).sqrt()\nreturn -(score + w * g) * (1 - ab_t[t]).sqrt()"),
        ("", "sigma = float(1 - ab_t[t]) ** 0.5\nreturn e - sigma * (w * g)"),
        ("", "return torch.add(e, g, alpha=-w * (1 - ab_t[t].item()) ** 0.5)"),
        ("wrong sign", "return e + w * (1 - ab_t[t]).sqrt() * g"),
        ("score added to noise", "return e - w * g"),
        ("score added to noise, wrong sign", "return e + w * g"),
        ("missing square root", "return e - w * (1 - ab_t[t]) * g"),
        ("strength of the picture", "return e - w * ab_t[t].sqrt() * g"),
        ("w forgotten", "return e - (1 - ab_t[t]).sqrt() * g"),
        ("w - 1", "return e - (w - 1) * (1 - ab_t[t]).sqrt() * g"),
        ("a score, not a noise", "return -e / (1 - ab_t[t]).sqrt() + w * g"),
        ("between the two", "return e + w * (g - e)"),
        ("beta in place of 1 - alpha-bar", "return e - w * b_t[t].sqrt() * g"),
        ("changes its input", "e -= w * (1 - ab_t[t]).sqrt() * g\nreturn e"),
    ],
}
ARGUMENTS = {"log_probability_gradient": "classifier, x, t, c", "guide": "e, g, t, w"}

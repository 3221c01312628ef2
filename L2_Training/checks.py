"""The checks of Lab 2's exercises: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

Each compares with the module or a closed form, on fresh random inputs, and none needs a trained network. The mistakes
are listed, so that this file also shows what goes wrong in practice. Do the exercises before you read it.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from functools import partial

import torch
import torch.nn as nn
from torch import Tensor

from diffusion_utilities import ema_update, linear_schedule, perturb_input
from exercise_tools.kit import Lab, call, compare, difference, fail, strengths

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

SCHEDULE = linear_schedule()
AB, T = SCHEDULE.ab_t, SCHEDULE.timesteps


def _between(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()))


# In the functions below, every argument after those of the exercise is a place to go wrong. As it is, it is right.

# ----------------------------------------------------------------------------------------------------------------- 2.1


def _noised(x, t, noise, on_picture=0.5, on_noise=0.5, shape=(-1, 1, 1, 1), table=AB):
    share = table[t].reshape(shape)
    return share**on_picture * x + (1 - share) ** on_noise * noise


PERTURB_MISTAKES = {
    "missing square root": (
        partial(_noised, on_noise=1),
        "Is a square root missing? 1-ᾱ is a variance.",
    ),
    "missing square root on the signal": (
        partial(_noised, on_picture=1),
        "Is a square root missing on the picture?",
    ),
    "weights swapped": (
        partial(_noised, table=1 - AB),
        "The two weights are swapped: √ᾱ belongs to the picture.",
    ),
    "one level for all": (
        lambda x, t, noise: _noised(x, t[:1], noise),
        "All pictures have the level of the first. t has one for each: use all of ab_t[t].",
    ),
    "levels along the width": (
        partial(_noised, shape=(-1,)),
        "ab_t[t] has shape (n,), which PyTorch lines up with the last axis, the width. Shape it (n, 1, 1, 1).",
    ),
    "levels along the height": (
        partial(_noised, shape=(-1, 1)),
        "Your levels run along the height. The batch is the first of four axes: shape them (n, 1, 1, 1).",
    ),
    "level t-1": (
        partial(_noised, table=AB.roll(1)),
        "This is level t-1: index t of the tables is level t.",
    ),
}


@LAB.exercise("2.1", "A level for each picture", stars=2, minutes=10)
def check_perturb_input(my_perturb_input: Callable) -> str:
    """my_perturb_input(x, t, noise) → x_t, with a level for each picture, t (n,)."""

    def draw() -> tuple[Tensor, Tensor, Tensor]:
        t = 50 + 50 * torch.randperm(8) + torch.randint(0, 20, (8,))  # far apart
        # as many pictures as columns: a mix-up must run
        return torch.randn(8, 3, 8, 8), t, torch.randn(8, 3, 8, 8)

    def describe(args: tuple, got: Tensor, expected: Tensor) -> str | None:
        worst = int((got - expected).abs().flatten(1).sum(dim=1).argmax())
        found = strengths(x=0, noise=2, t=1)([arg[worst] for arg in args], got[worst], expected[worst])
        return found and f"picture {worst}: {found}"

    inputs = draw()
    first, second = (call(my_perturb_input, *inputs) for _ in range(2))
    if difference(first, inputs[0], float("inf")) is None and not torch.equal(first, second):
        fail(
            "noise of its own",
            "the same call twice gives two results. Use the noise handed over, draw none.",
        )
    compare(my_perturb_input, perturb_input, draw, PERTURB_MISTAKES, describe)
    return "each picture has its own √ᾱ and √(1-ᾱ). It agrees with the module."


# ----------------------------------------------------------------------------------------------------------------- 2.2


def _noise_variance(perturb, x, t, power=1.0, of_picture=0.0, share=1.0):
    """Exactly: what a single 1 as noise becomes, squared. The picture adds nothing to it."""
    strength = perturb(torch.zeros(1, 1, 1, 1), t, torch.ones(1, 1, 1, 1)).item()
    return (share * strength**2 + AB[t] * of_picture) ** power


VARIANCE_MISTAKES = {
    "formula in place of a measurement": (
        lambda perturb, x, t: 1 - AB[t],
        "This is 1-ᾱ for every perturb, also for one that is wrong. Call perturb, and measure what it makes.",
    ),
    "standard deviation": (
        partial(_noise_variance, power=0.5),
        "This is its root, the standard deviation.",
    ),
    "variance over the pixels": (
        lambda perturb, x, t: _noise_variance(perturb, x, t, of_picture=x.var()),
        "The differences between the pixels of the picture are in it. Take each pixel alone: var(dim=0).",
    ),
    "mean square": (
        lambda perturb, x, t: _noise_variance(perturb, x, t, of_picture=x.square().mean()),
        "This is the mean square of x_t, with the picture in it. The variance is taken around the mean.",
    ),
    "uniform noise": (
        partial(_noise_variance, share=1 / 12),
        "It is a twelfth of it: torch.rand draws evenly from 0 to 1, torch.randn normal noise of variance 1.",
    ),
}


@LAB.exercise("2.2", "Find the missing root", stars=2, minutes=10)
def check_noise_variance(my_noise_variance: Callable) -> str:
    """my_noise_variance(perturb, x, t) → the variance of a pixel of x_t over many noises."""
    without_root = partial(_noised, on_noise=1)
    functions = iter([perturb_input, perturb_input, without_root, without_root])

    def draw() -> tuple[Callable, Tensor, int]:
        return next(functions), 0.3 + 0.7 * torch.randn(1, 3, 8, 8), _between(100, 200)

    first = call(my_noise_variance, *draw())
    if isinstance(first, float | Tensor) and torch.as_tensor(first).abs().max() < 1e-6:
        fail(
            "the same noise each time",
            "it is 0: do all copies get the same noise? Draw it in their shape.",
        )
    # 100 noises know it to 1 %
    compare(my_noise_variance, _noise_variance, draw, VARIANCE_MISTAKES, tolerance=0.05)
    return "1-ᾱ for the right function, (1-ᾱ)² for the one without the root: a test that tells them apart."


# ----------------------------------------------------------------------------------------------------------------- 2.3


def _exact_x0(x_t, t, sprites, root=0.5, power=2, scale=lambda ab: 2 * (1 - ab), dim=1, weigh=torch.softmax):
    """Equation (11)."""
    flat = sprites.flatten(1)
    distance = (x_t.flatten(1)[:, None] - AB[t] ** root * flat).norm(dim=2)  # (n, N)
    return (weigh(-(distance**power) / scale(AB[t]), dim=dim) @ flat).view_as(x_t)


def _one_hot(logits: Tensor, dim: int) -> Tensor:
    return nn.functional.one_hot(logits.argmax(dim=dim), logits.shape[1]).float()


EXACT_MISTAKES = {
    "sprites not scaled": (
        partial(_exact_x0, root=0),
        "In x_t a sprite has shrunk: take the distance to √ᾱ s_i.",
    ),
    "missing square root": (
        partial(_exact_x0, root=1),
        "The sprites are multiplied by ᾱ: is a square root missing?",
    ),
    "distance not squared": (
        partial(_exact_x0, power=1),
        "Square the distance: torch.cdist gives it unsquared.",
    ),
    "slash read from left to right": (
        partial(_exact_x0, scale=lambda ab: 2 / (1 - ab)),
        "In Python a / 2 * b is (a / 2) * b: put 2 * (1 - ab) in parentheses.",
    ),
    "2 forgotten": (
        partial(_exact_x0, scale=lambda ab: 1 - ab),
        "It is divided by 1-ᾱ: the 2 is missing.",
    ),
    "alpha-bar for its complement": (
        partial(_exact_x0, scale=lambda ab: 2 * ab),
        "It is divided by 2ᾱ, not 2 (1-ᾱ).",
    ),
    "minus forgotten": (
        partial(_exact_x0, scale=lambda ab: -2 * (1 - ab)),
        "The exponent needs a minus sign.",
    ),
    "softmax along the wrong axis": (
        partial(_exact_x0, dim=0),
        "The softmax runs over the noisy pictures. For each of them, the sprites share the probability 1.",
    ),
    "likeliest sprite": (
        partial(_exact_x0, weigh=_one_hot),
        "This is the likeliest sprite, not the mean of all.",
    ),
}


@LAB.exercise("2.3", "The perfect denoiser", stars=3, minutes=15)
def check_exact_x0(my_exact_x0: Callable) -> str:
    """my_exact_x0(x_t, t, sprites) → E[x_0 | x_t] like x_t, if there are only these sprites."""

    def draw(size: int = 2, t: int | None = None) -> tuple[Tensor, int, Tensor]:
        sprites = 2 * torch.rand(12, 3, size, size) - 1
        # for tiny pictures, several sprites are then about equally likely
        t = t or _between(200, 300)
        return perturb_input(sprites[:5], t, torch.randn_like(sprites[:5])), t, sprites

    compare(my_exact_x0, _exact_x0, draw, EXACT_MISTAKES, tolerance=1e-3)
    inputs = draw(size=16, t=20)  # exponents of -384 and less: too small for float32
    if problem := difference(call(my_exact_x0, *inputs), _exact_x0(*inputs), tolerance=1e-3):
        if problem[0] != "not finite":
            fail(*problem)
        fail(
            "underflow",
            "right for tiny pictures, but for 16×16 all exp(…) are 0, and 0/0 is NaN. Use softmax.",
        )
    return "a softmax over squared distances, and the mean of the clean sprites with it."


# ----------------------------------------------------------------------------------------------------------------- 2.4


def _share_named(a, b, t, root=0.5, strength=0.5):
    """Exactly: a is named if x_t · (a-b) > ᾱ^root (|a|²-|b|²) / 2, and x_t · (a-b) is normal."""
    threshold = AB[t] ** root * (a.square().sum() - b.square().sum()) / 2
    distance = AB[t].sqrt() * (a * (a - b)).sum() - threshold
    return torch.special.ndtr(distance / ((1 - AB[t]) ** strength * (a - b).norm())).item()


def _mean_probability(a: Tensor, b: Tensor, t: int) -> Tensor:
    """The mean of P(a | x_t): its log-odds are normal with mean k²/2 and variance k²."""
    k = (AB[t] / (1 - AB[t])).sqrt() * (a - b).norm()
    return torch.sigmoid(k**2 / 2 + k * torch.randn(200_000)).mean()


NAMED_MISTAKES = {
    "sprites not scaled": (
        partial(_share_named, root=0),
        "In x_t sprites have shrunk: compare with √ᾱ a and √ᾱ b.",
    ),
    "missing square root": (
        partial(_share_named, root=1),
        "Is x_t compared with ᾱ a and ᾱ b? A root is missing.",
    ),
    "noise too weak": (
        partial(_share_named, strength=1),
        "Is the noise only 1-ᾱ strong? Its root is missing.",
    ),
    "comparison turned round": (
        lambda a, b, t: 1 - _share_named(a, b, t),
        "This is how often b is named. a is named if the distance to it is the smaller.",
    ),
    "mean of the probabilities": (
        _mean_probability,
        "This is the mean of P(a | x_t). The question is how often a is the likelier of the two: count.",
    ),
}


@LAB.exercise("2.4", "Only two sprites", stars=2, minutes=15)
def check_share_named(my_share_named: Callable) -> str:
    """my_share_named(a, b, t) → how often a is the likelier of two sprites, if x_t was made from a."""

    def draw() -> tuple[Tensor, Tensor, int]:
        t, apart, middle = _between(130, 170), torch.randn(3, 4, 4), torch.randn(3, 4, 4)
        # so far that about 79 % are named
        apart *= 1.6 * ((1 - AB[t]) / AB[t]).sqrt() / apart.norm()
        # a is then larger than b, as the mistakes need it
        middle -= (middle * apart).sum() / apart.norm() ** 2 * apart
        return middle + 1.5 * apart, middle + 0.5 * apart, t

    runs = [(args, call(my_share_named, *args)) for args in (draw() for _ in range(3))]
    for _, got in runs:
        if problem := difference(got, 0.5, float("inf")):  # one number, whichever
            fail(*problem)
    if all(got in (0, 1) for _, got in runs):
        fail(
            "the same answer each time",
            "every noise gives the same answer: is one noise used for all, or none?",
        )

    def alike(function: Callable) -> bool:
        # 10,000 noises err by 0.004
        return all(abs(float(got) - float(function(*args))) < 0.02 for args, got in runs)

    if not alike(_share_named):
        message = f"expected about {_share_named(*runs[0][0]):.3f}, got {float(runs[0][1]):.3f}."
        for name, (mistake, sentence) in NAMED_MISTAKES.items():
            if alike(mistake):
                fail(name, f"{message} {sentence}")
        fail("wrong values", f"{message} Did you take 10,000 noises?")
    return "only √ᾱ ‖a-b‖ / √(1-ᾱ) counts: every pixel in which the two differ is a clue."


# ----------------------------------------------------------------------------------------------------------------- 2.5


class _Watcher(nn.Module):
    """A noise predictor that notes what it is asked, and answers half of what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.asked = nn.Parameter(torch.tensor(0.5)), []

    def forward(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        self.asked.append((x.detach().clone(), torch.as_tensor(t).detach().double().flatten()))
        return self.weight * x


def _judge_levels(times: Tensor, n: int) -> Tensor:
    """The levels 1 … T, one for each picture, from the times t/T."""
    levels = (times * T).round().long()
    low, high = int(levels.min()), int(levels.max())
    seen = f"the {n:,} pictures had levels from {low} to {high}."
    if times.max() > 1.5:
        fail(
            "t in place of t/T",
            f"the model was handed t up to {times.max():.0f}. It wants t/T, a number up to 1.",
        )
    if low == high:
        fail(
            "one level for the whole batch",
            f"all pictures had level {low}. Draw one for each, of shape (n,).",
        )
    known = {
        (1, T - 1): ("T never drawn", "randint leaves its upper limit out: it must be T+1."),
        (0, T - 1): (
            "counts from 0",
            "Our levels are 1 to T. randint leaves its upper limit out: randint(1, T+1).",
        ),
        (0, T): ("level 0 drawn", "At level 0 there is no noise to predict: begin with 1."),
    }
    if (low, high) in known:
        diagnosis, sentence = known[low, high]
        fail(diagnosis, f"{seen} {sentence}")
    even = abs(levels.double().mean() / ((T + 1) / 2) - 1) < 0.03  # 0.4 % is one standard error
    if (low, high, len(levels), even) != (1, T, n, True) or (times * T - levels).abs().max() > 1e-3:
        fail(
            "wrong levels",
            f"{seen} It should be whole numbers from 1 to {T}, all equally likely, one a picture.",
        )
    return levels


def _judge_noise(x: Tensor, x_t: Tensor, levels: Tensor) -> Tensor:
    """The noise in x_t. It must be normal with variance 1 at low, middle and high levels."""
    if torch.equal(x_t, x):
        fail(
            "clean pictures handed over",
            "the model sees the clean pictures x. Hand over the noisy ones, x_t.",
        )
    share = AB[levels].reshape(-1, 1, 1, 1)
    noise = (x_t - share.sqrt() * x) / (1 - share).sqrt()
    middle = (levels > 100) & (levels <= 200)
    if noise.std(dim=0).max() < 0.01:
        fail(
            "one noise for all",
            "all pictures have the same noise. Draw it in the whole shape of x.",
        )
    if noise[middle].min() > -0.01:
        fail(
            "uniform noise",
            "the noise is never negative: torch.rand is uniform, torch.randn is normal.",
        )
    if abs(noise[middle].var() / (1 - share[middle]).mean() - 1) < 0.05:
        fail("missing square root", "the noise in x_t has variance (1-ᾱ)²: is a square root missing?")
    for low, high in ((1, 5), (6, 100), (101, 300), (301, T)):
        chosen = noise[(levels >= low) & (levels <= high)]
        if abs(chosen.var() - 1) > 0.2 or chosen.mean().abs() > 0.2:  # by chance it is below 4 %
            found = f"at levels {low} to {high} the model does not see √ᾱ x + √(1-ᾱ) noise."
            fail("wrong x_t", f"{found} Is x_t made with the same t that the model is told?")
    return noise


def _judge_loss(loss: object, x: Tensor, x_t: Tensor, noise: Tensor) -> None:
    """It must be the mean square of what the watcher's answer, x_t / 2, is wrong by."""
    if isinstance(loss, Tensor) and loss.numel() > 1:
        fail(
            "not averaged",
            f"the loss has shape {tuple(loss.shape)}. It is one number: take the mean over all.",
        )
    wrong_by = x_t / 2 - noise
    right = wrong_by.square().mean()
    loss = loss.detach() if isinstance(loss, Tensor) else loss
    if not (problem := difference(loss, right, 1e-3, "the loss")):
        return
    known = {
        "sum in place of mean": (
            right * x.numel(),
            "It is the sum over everything: take the mean.",
        ),
        "sum over the pixels": (
            right * x[0].numel(),
            "It is a sum over the pixels: take the mean over all.",
        ),
        "not squared": (
            wrong_by.abs().mean(),
            "It is the mean absolute error: square the differences.",
        ),
        "mean of the difference": (wrong_by.mean(), "The difference is not squared."),
        "root mean square": (
            right.sqrt(),
            "It is the root of the mean square. Leave the root out.",
        ),
        "compared with the picture": (
            (x_t / 2 - x).square().mean(),
            "Compare with the noise, not with the picture.",
        ),
        "compared with x_t": ((x_t / 2).square().mean(), "Compare with the noise, not with x_t."),
    }
    for diagnosis, (value, sentence) in known.items():
        if difference(loss, value, 1e-3) is None:
            fail(diagnosis, f"{problem[1]} {sentence}")
    if difference(loss, (x_t / 2).square().mean() + 1, 0.01) is None:
        fail(
            "other noise",
            f"{problem[1]} Is it compared with noise that is not in x_t? Draw noise only once.",
        )
    fail(*problem)


@LAB.exercise("2.5", "The loss", stars=2, minutes=10)
def check_noise_loss(my_noise_loss: Callable) -> str:
    """my_noise_loss(model, x) → the mean squared error of the predicted noise, each x at a random level."""
    # by chance, T is missing once in e^40 times
    model, x = _Watcher(), 0.3 + 0.5 * torch.randn(20_000, 3, 2, 2)
    loss = call(my_noise_loss, model, x)
    if len(model.asked) != 1:
        fail(
            "not asked once",
            f"the model was asked {len(model.asked)} times. It should be once, for all of x.",
        )
    x_t, times = model.asked[0]
    if problem := difference(x_t, x, float("inf"), "what the model sees"):
        fail(*problem)
    _judge_loss(loss, x, x_t, _judge_noise(x, x_t, _judge_levels(times, len(x))))
    if not (isinstance(loss, Tensor) and loss.requires_grad):
        fail(
            "no gradient",
            "the value is right, but no gradient flows back: no .item(), .detach() or no_grad here.",
        )
    return "levels 1 to T, one for each picture, t/T for the model, and the mean square of what it missed."


# --------------------------------------------------------------------------------------------------------- 2.6 and 2.7


def _flat(model: nn.Module, part: Callable = nn.Module.parameters) -> Tensor:
    """A network's parameters or buffers in one row, without the counters of batch norm, which count for nothing."""
    return torch.cat([tensor.detach().flatten() for tensor in part(model) if tensor.is_floating_point()])


def _named(*names: str) -> Callable:
    """A ``describe`` for results of several parts: which part is wrong, by its name."""

    def describe(args: tuple, got: tuple, expected: tuple) -> str:
        found = (difference(g, e, name=name) for name, g, e in zip(names, got, expected, strict=True))
        return next(problem[1] for problem in found if problem)

    return describe


def _norm_and_layer() -> nn.Module:
    """A tiny network with parameters, statistics and a counter, all at random values."""
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = torch.randn(tensor.shape) if tensor.is_floating_point() else tensor.data + 1
    return model


def _after_update(update: Callable) -> Callable:
    """(ema_model, model, decay) → the weights and the buffers of the average, updated on a copy."""

    @functools.wraps(update)  # so that a crash shows the learner's line
    def run(ema_model: nn.Module, model: nn.Module, decay: float) -> tuple | None:
        ema_model = copy.deepcopy(ema_model)
        if update(ema_model, model, decay) is None:
            return None
        return _flat(ema_model), _flat(ema_model, nn.Module.buffers)

    return run


@torch.no_grad()
def _update(
    ema_model,
    model,
    decay,
    old_share=lambda d: d,
    new_share=lambda d: 1 - d,
    of_buffers=lambda d: 0,
):
    for old, new in zip(ema_model.parameters(), model.parameters(), strict=True):
        old.copy_(old_share(decay) * old + new_share(decay) * new)
    for old, new in zip(ema_model.buffers(), model.buffers(), strict=True):
        old.copy_(of_buffers(decay) * old + (1 - of_buffers(decay)) * new)
    return ema_model


EMA_MISTAKES = {
    "shares swapped": (
        partial(_update, old_share=lambda d: 1 - d, new_share=lambda d: d),
        "decay is the share of the old average. lerp_ wants that of the new weights, 1 - decay.",
    ),
    "weights copied": (
        partial(_update, old_share=lambda d: 0, new_share=lambda d: 1),
        "The weights are only copied.",
    ),
    "decay forgotten on the old": (
        partial(_update, old_share=lambda d: 1),
        "The old average keeps all of its weight: multiply it by decay, or the weights grow.",
    ),
    "weights not changed": (
        partial(_update, old_share=lambda d: 1, new_share=lambda d: 0),
        "The weights are as before. `p = …` only gives the name p to another tensor; p.copy_ and p.lerp_ change p.",
    ),
    "nothing changed": (
        lambda ema_model, model, decay: ema_model,
        "Weights and buffers are as before.",
    ),
    "buffers forgotten": (
        partial(_update, of_buffers=lambda d: 1),
        "The buffers, the statistics of batch norm, are as before: copy them.",
    ),
    "buffers averaged": (
        partial(_update, of_buffers=lambda d: d),
        "The buffers are averaged like the weights. They belong to the current weights: copy them.",
    ),
}


@LAB.exercise("2.6", "The moving average", stars=2, minutes=10)
def check_ema_update(my_ema_update: Callable) -> str:
    """my_ema_update(ema_model, model, decay) → ema_model, changed in place."""

    def draw() -> tuple[nn.Module, nn.Module, float]:
        return (
            _norm_and_layer().requires_grad_(False),
            _norm_and_layer(),
            0.6 + 0.3 * float(torch.rand(())),
        )

    ema_model, model, decay = draw()
    before = _flat(model)
    if call(my_ema_update, ema_model, model, decay) is not ema_model:
        fail(
            "not in place",
            "return ema_model itself, changed in place: training goes on with that very object.",
        )
    if not torch.equal(_flat(model), before):
        fail("model changed", "the network that is trained is changed. Only ema_model moves.")
    if any(tensor.requires_grad for tensor in (*ema_model.parameters(), *ema_model.buffers())):
        fail(
            "hangs on the graph",
            "the average is part of a graph, which grows with each step. Use torch.no_grad().",
        )
    mistakes = {name: (_after_update(mistake), sentence) for name, (mistake, sentence) in EMA_MISTAKES.items()}
    describe = _named("the list of all weights", "the list of all buffers")
    compare(_after_update(my_ema_update), _after_update(_update), draw, mistakes, describe)
    return "decay of the old and 1 - decay of the new, in place, and the buffers copied."


def _loss_of(model: nn.Module, x: Tensor) -> Tensor:
    return (model(x) - 3).square().mean()  # far from its minimum, so that clipping matters


def _step(order: str) -> Callable:
    def step(model, ema_model, optimizer, loss_of, x, decay):
        losses = []
        actions = {
            "clear": optimizer.zero_grad,
            "loss": lambda: losses.append(loss_of(model, x)),
            "backward": lambda: losses[0].backward(),
            "clip": lambda: nn.utils.clip_grad_norm_(model.parameters(), 1.0),
            "step": optimizer.step,
            "average": lambda: ema_update(ema_model, model, decay),
            "average-the-model": lambda: ema_update(model, ema_model, decay),
        }
        for word in order.split():
            actions[word]()
        return losses[0].detach()

    return step


def _after_two_steps(step: Callable) -> Callable:
    """(model, x, decay) → the weights, their average and the losses after two steps, on copies, with halves of x."""

    @functools.wraps(step)
    def run(model: nn.Module, x: Tensor, decay: float) -> tuple | None:
        model, ema_model = copy.deepcopy(model), copy.deepcopy(model).requires_grad_(False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = [step(model, ema_model, optimizer, _loss_of, half, decay) for half in x.chunk(2)]
        return None if losses[0] is None else (_flat(model), _flat(ema_model), losses)

    return run


STEP_MISTAKES = {
    "not cleared": (
        "loss backward clip step average",
        "Gradients add up from step to step: clear them first.",
    ),
    "not clipped in time": (
        "clear loss backward step average",
        "Clip the gradient between backward and step.",
    ),
    "average before the step": (
        "clear loss backward clip average step",
        "The average is one step late: move it last.",
    ),
    "average forgotten": (
        "clear loss backward clip step",
        "The moving average does not move: call ema_update.",
    ),
    "average and model swapped": (
        "clear loss backward clip step average-the-model",
        "ema_update changes its first argument: that must be ema_model.",
    ),
}


@LAB.exercise("2.7", "One step of training", stars=3, minutes=15)
def check_training_step(my_training_step: Callable) -> str:
    """my_training_step(model, ema_model, optimizer, loss_of, x, decay) → the loss, not attached to the graph."""

    def draw() -> tuple[nn.Module, Tensor, float]:
        return nn.Linear(4, 1), torch.randn(16, 4), 0.6 + 0.3 * float(torch.rand(()))

    model, x, decay = draw()
    ema_model, before, passes = copy.deepcopy(model).requires_grad_(False), _flat(model), []
    model.weight.register_hook(passes.append)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = call(my_training_step, model, ema_model, optimizer, _loss_of, x, decay)
    if torch.equal(_flat(model), before):
        if not passes:
            fail(
                "no backward",
                "the weights stay as they are: without loss.backward() there is no gradient.",
            )
        if model.weight.grad is None or not model.weight.grad.any():
            fail(
                "cleared before the step",
                "the weights stay as they are: the gradient is cleared before the step.",
            )
        fail("no step", "the weights stay as they are: optimizer.step() is missing.")
    if isinstance(loss, Tensor) and loss.requires_grad:
        fail(
            "loss still attached",
            "the loss returned still holds its graph, and its memory: return loss.detach().",
        )
    mistakes = {name: (_after_two_steps(_step(order)), sentence) for name, (order, sentence) in STEP_MISTAKES.items()}
    right = _after_two_steps(_step("clear loss backward clip step average"))
    describe = _named("the list of weights after two steps", "that of the averages", "the list of losses")
    compare(_after_two_steps(my_training_step), right, draw, mistakes, describe)
    return "clear, loss, backward, clip, step, average: after two steps all is as it should be."


# ----------------------------------------------------------------------------------------------------------------- 2.8


def _predictor(x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
    """A noise prediction that is wrong, and depends on t/T."""
    return (0.3 + 0.5 * torch.as_tensor(t, dtype=x.dtype).reshape(-1, 1, 1, 1)) * x


def _picture_error(model, x, t, noise, factor=0.0, time=lambda t: t / T, power=0.5, target=0.0):
    """By equation (3). ``factor`` 1 leaves (12) out, 2 turns it upside down; ``target`` 1 compares with x_t."""
    x_t = perturb_input(x, t, noise)
    x0_pred = (x_t - (1 - AB[t]) ** power * model(x_t, time(t))) / AB[t].sqrt()
    return (x0_pred - torch.lerp(x, x_t, target)).square().mean() * (AB[t] / (1 - AB[t])) ** factor


PICTURE_MISTAKES = {
    "error of the noise": (
        partial(_picture_error, factor=1),
        "This is the error of the noise: compare x̂_0 with x.",
    ),
    "factor upside down": (
        partial(_picture_error, factor=2),
        "The factor is upside down: it is (1-ᾱ)/ᾱ.",
    ),
    "root of the factor": (
        partial(_picture_error, factor=0.5),
        "The factor has a root, as in the formula for x̂_0 - x_0. For its square there is none.",
    ),
    "missing square root": (
        partial(_picture_error, power=1),
        "The predicted noise is multiplied by 1-ᾱ before it is taken away: is a square root missing?",
    ),
    "t in place of t/T": (
        partial(_picture_error, time=lambda t: t),
        "The model was handed t. It wants t/T.",
    ),
    "compared with x_t": (
        partial(_picture_error, target=1),
        "x̂_0 is compared with x_t: compare it with x.",
    ),
    "root mean square": (
        lambda *a: _picture_error(*a).sqrt(),
        "This is the root of the mean square.",
    ),
    "sum in place of mean": (
        lambda *a: _picture_error(*a) * a[1].numel(),
        "This is a sum: take the mean.",
    ),
}


@LAB.exercise("2.8", "From the noise to the picture", stars=2, minutes=10)
def check_picture_error(my_picture_error: Callable) -> str:
    """my_picture_error(model, x, t, noise) → the mean squared error of x̂_0."""

    def draw() -> tuple[Callable, Tensor, int, Tensor]:
        return _predictor, torch.randn(5, 3, 4, 4), _between(230, 400), torch.randn(5, 3, 4, 4)

    compare(my_picture_error, _picture_error, draw, PICTURE_MISTAKES, tolerance=1e-3)
    return "the error of the noise times (1-ᾱ)/ᾱ, as equation (12) says."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

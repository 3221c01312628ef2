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

from diffusion_utilities import ema_update, linear_schedule, perturb_input, predict_x0
from exercise_tools.kit import Lab, call, compare, difference, fail, strengths

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

SCHEDULE = linear_schedule()
AB, T = SCHEDULE.ab_t, SCHEDULE.timesteps


def _between(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()))


# In the functions below, every argument after those of the exercise is a place to go wrong. As it
# is, it is right.

Mistakes = dict[str, tuple[Callable, str]]  # diagnosis → a function that makes it, and a sentence that explains it


def _one_wrong(right: Callable, table: dict[str, tuple[dict, str]]) -> Mistakes:
    """``right`` with other arguments for each mistake: diagnosis → (arguments, sentence)."""
    return {name: (partial(right, **arguments), sentence) for name, (arguments, sentence) in table.items()}


SPRITES_SCALED = {
    "sprites not scaled": (
        {"root": 0},
        "In x_t sprites have shrunk: take the distance to √ᾱ times each.",
    ),
    "missing square root": (
        {"root": 1},
        "The sprites are multiplied by ᾱ: is a square root missing?",
    ),
}

# ---------------------------------------------------------------------------------------------- 2.1


def _noised(x, t, noise, on_picture=0.5, on_noise=0.5, shape=(-1, 1, 1, 1), table=AB):
    share = table[t].reshape(shape)
    return share**on_picture * x + (1 - share) ** on_noise * noise


PERTURB_MISTAKES = _one_wrong(
    _noised,
    {
        "missing square root": ({"on_noise": 1}, "Is a square root missing? 1-ᾱ is a variance."),
        "missing square root on the signal": (
            {"on_picture": 1},
            "Is a square root missing on the picture?",
        ),
        "both square roots missing": (
            {"on_noise": 1, "on_picture": 1},
            "Both weights lack their square root.",
        ),
        "weights swapped": (
            {"table": 1 - AB},
            "The two weights are swapped: √ᾱ belongs to the picture.",
        ),
        "levels along the width": (
            {"shape": (-1,)},
            "ab_t[t] has shape (n,), which PyTorch lines up with the last axis, the width. Shape it (n, 1, 1, 1).",
        ),
        "levels along the height": (
            {"shape": (-1, 1)},
            "Your levels run along the height. The batch is the first of four axes: shape them (n, 1, 1, 1).",
        ),
        "level t-1": (
            {"table": AB.roll(1)},
            "This is level t-1: index t of the tables is level t.",
        ),
        "level t+1": (
            {"table": AB.roll(-1)},
            "This is level t+1: index t of the tables is level t.",
        ),
        "one step in place of t": (
            {"table": SCHEDULE.a_t},
            "This is α_t, the share of the picture that one step leaves. ᾱ_t, of all t steps, is ab_t.",
        ),
    },
) | {
    "one level for all": (
        lambda x, t, noise: _noised(x, t[:1], noise),
        "All pictures have the level of the first. t has one for each: use all of ab_t[t].",
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


# ---------------------------------------------------------------------------------------------- 2.2


def noise_variance(perturb: Callable, x: Tensor, t: int) -> float:
    """The variance of a pixel of x_t, over 1,000 noises."""
    many = x.expand(1000, -1, -1, -1)
    return perturb(many, t, torch.randn(many.shape)).var(dim=0).mean().item()


def _noise_variance(perturb, x, t, power=1.0, of_picture=0.0, share=1.0):
    """Exactly: what a single 1 as noise becomes, squared. The picture adds nothing to it."""
    strength = perturb(torch.zeros(1, 1, 1, 1), t, torch.ones(1, 1, 1, 1)).item()
    return (share * strength**2 + AB[t] * of_picture) ** power


VARIANCE_MISTAKES = _one_wrong(
    _noise_variance,
    {
        "standard deviation": ({"power": 0.5}, "This is its root, the standard deviation."),
        "uniform noise": (
            {"share": 1 / 12},
            "It is a twelfth of it: torch.rand draws evenly from 0 to 1, torch.randn normal noise of variance 1.",
        ),
        "variance squared": ({"power": 2}, "This is the variance squared."),
    },
) | {
    "formula in place of a measurement": (
        lambda perturb, x, t: 1 - AB[t],
        "This is 1-ᾱ for every perturb, also for one that is wrong. Call perturb, and measure what it makes.",
    ),
    "variance over the pixels": (
        lambda perturb, x, t: _noise_variance(perturb, x, t, of_picture=x.var()),
        "The differences between the pixels of the picture are in it. Take each pixel alone: var(dim=0).",
    ),
    "mean square": (
        lambda perturb, x, t: _noise_variance(perturb, x, t, of_picture=x.square().mean()),
        "This is the mean square of x_t, with the picture in it. The variance is taken around the mean.",
    ),
    "difference from x": (
        lambda perturb, x, t: _noise_variance(perturb, x, t) + (1 - AB[t].sqrt()) ** 2 * x.square().mean(),
        "This is the mean square of x_t - x, with (√ᾱ - 1) x in it. The variance is taken around the mean of x_t.",
    ),
    "pixels averaged first": (
        lambda perturb, x, t: _noise_variance(perturb, x, t) / x.numel(),
        "It is too small by the number of pixels: take the variance of each pixel first, then the mean of these.",
    ),
    "sum over the pixels": (
        lambda perturb, x, t: _noise_variance(perturb, x, t) * x.numel(),
        "It is a sum over the pixels: take the mean.",
    ),
}


@LAB.exercise("2.2", "Find the missing root", stars=2, minutes=10)
def check_noise_variance(my_noise_variance: Callable) -> str:
    """my_noise_variance(perturb, x, t) → the variance of a pixel of x_t over many noises."""
    without_root = partial(_noised, on_noise=1)
    functions = iter([perturb_input, perturb_input, without_root, without_root])

    def draw() -> tuple[Callable, Tensor, int]:
        picture = torch.randn(1, 3, 8, 8)
        # mean 2 and spread 1, so that what the picture adds shows
        return next(functions), 2 + (picture - picture.mean()) / picture.std(), _between(100, 150)

    first = call(my_noise_variance, *draw())
    if difference(first, 1.0, float("inf")) is None and abs(float(first)) < 1e-6:
        fail(
            "the same noise each time",
            "it is 0: do all copies get the same noise? Draw it in their shape.",
        )
    # one pixel and 1,000 noises know it to 4.5 %
    compare(my_noise_variance, _noise_variance, draw, VARIANCE_MISTAKES, tolerance=0.3)
    return "1-ᾱ for the right function, (1-ᾱ)² for the one without the root: a test that tells them apart."


# ---------------------------------------------------------------------------------------------- 2.3


def _exact_x0(
    x_t,
    t,
    sprites,
    root=0.5,
    power=2,
    scale=lambda ab: 2 * (1 - ab),
    dim=1,
    weigh=torch.softmax,
    norm=2,
    each=lambda x: 1,
    times=0,
    table=AB,
):
    """Equation (11). ``each`` divides the distances by a number, ``times`` is a power of ᾱ before the result."""
    flat, ab = sprites.flatten(1), table[t]
    distance = (x_t.flatten(1)[:, None] - ab**root * flat).norm(p=norm, dim=2)  # (n, N)
    weights = weigh(-(distance**power) / (each(x_t) * scale(ab)), dim=dim)
    return ab**times * (weights @ flat).view_as(x_t)


def _one_hot(logits: Tensor, dim: int) -> Tensor:
    return nn.functional.one_hot(logits.argmax(dim=dim), logits.shape[1]).float()


def _noise_for(x_t, t, sprites):
    return (x_t - AB[t].sqrt() * _exact_x0(x_t, t, sprites)) / (1 - AB[t]).sqrt()


EXACT_MISTAKES = _one_wrong(
    _exact_x0,
    SPRITES_SCALED
    | {
        "mean of the scaled sprites": (
            {"times": 0.5},
            "The weights are right. But the mean is asked of the clean sprites s_i, not of √ᾱ s_i.",
        ),
        "distance not squared": (
            {"power": 1},
            "Square the distance: torch.cdist gives it unsquared.",
        ),
        "absolute distance": (
            {"norm": 1, "power": 1},
            "The distances are sums of absolute differences: take the squares of the differences.",
        ),
        "mean over the pixels": (
            {"each": lambda x: x[0].numel()},
            "The squared distance is a sum over the pixels, not a mean.",
        ),
        "slash read from left to right": (
            {"scale": lambda ab: 2 / (1 - ab)},
            "In Python a / 2 * b is (a / 2) * b: put 2 * (1 - ab) in parentheses.",
        ),
        "2 forgotten": ({"scale": lambda ab: 1 - ab}, "It is divided by 1-ᾱ: the 2 is missing."),
        "root of the variance": (
            {"scale": lambda ab: 2 * (1 - ab).sqrt()},
            "It is divided by 2√(1-ᾱ). The bell has the variance there, 1-ᾱ.",
        ),
        "variance squared": (
            {"scale": lambda ab: 2 * (1 - ab) ** 2},
            "It is divided by 2 (1-ᾱ)². 1-ᾱ is the variance already.",
        ),
        "picture scaled up": (
            {"scale": lambda ab: 2 * (1 - ab) * ab},
            "Is x_t divided by √ᾱ? Then its noise has grown, too: to the variance (1-ᾱ)/ᾱ.",
        ),
        "alpha-bar for its complement": (
            {"scale": lambda ab: 2 * ab},
            "It is divided by 2ᾱ, not 2 (1-ᾱ).",
        ),
        "minus forgotten": (
            {"scale": lambda ab: -2 * (1 - ab)},
            "The exponent needs a minus sign.",
        ),
        "softmax along the wrong axis": (
            {"dim": 0},
            "The softmax runs over the noisy pictures. For each of them, the sprites share the probability 1.",
        ),
        "likeliest sprite": (
            {"weigh": _one_hot},
            "This is the likeliest sprite, not the mean of all.",
        ),
        "not normalised": (
            {"weigh": lambda z, dim: z.exp()},
            "The probabilities do not add up to 1: divide by their sum, or use softmax.",
        ),
        "logarithms as weights": (
            {"weigh": torch.log_softmax},
            "log_softmax gives logarithms of the probabilities.",
        ),
        "one step in place of t": ({"table": SCHEDULE.a_t}, "This is made with α_t. ᾱ_t is ab_t."),
        "level t-1": (
            {"table": AB.roll(1)},
            "This is level t-1: index t of the tables is level t.",
        ),
    },
) | {
    "noise in place of picture": (
        _noise_for,
        "This is the noise, E[ε | x_t]. The clean picture is asked.",
    ),
    "mean of all sprites": (
        lambda x_t, t, sprites: sprites.mean(dim=0).expand_as(x_t),
        "All sprites count alike: they must be weighted by their probability.",
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


# ---------------------------------------------------------------------------------------------- 2.4


def share_named(a: Tensor, b: Tensor, t: int) -> float:
    """How often a is the likelier of two sprites, over 10,000 noises."""
    x_t = perturb_input(a, t, torch.randn(10_000, *a.shape))
    to_a, to_b = ((x_t - AB[t].sqrt() * sprite).flatten(1).norm(dim=1) for sprite in (a, b))
    return (to_a < to_b).float().mean().item()


def _share_named(a, b, t, root=0.5, strength=0.5, signal=0.5):
    """Exactly: a is named if x_t · (a-b) > ᾱ^root (|a|²-|b|²) / 2, and x_t · (a-b) is normal."""
    threshold = AB[t] ** root * (a.square().sum() - b.square().sum()) / 2
    distance = AB[t] ** signal * (a * (a - b)).sum() - threshold
    return torch.special.ndtr(distance / ((1 - AB[t]) ** strength * (a - b).norm())).item()


def _share_of_pixels(a: Tensor, b: Tensor, t: int) -> float:
    """How often a single pixel is nearer to that of a."""
    k = (AB[t] / (1 - AB[t])).sqrt() * (a - b).abs() / 2
    return torch.special.ndtr(k).mean().item()


def _majority_of_pixels(a: Tensor, b: Tensor, t: int) -> float:
    """How often more than half of the pixels are nearer to those of a."""
    x_t = AB[t].sqrt() * a + (1 - AB[t]).sqrt() * torch.randn(20_000, *a.shape)
    to_a, to_b = ((x_t - AB[t].sqrt() * sprite).abs() for sprite in (a, b))
    return ((to_a < to_b).flatten(1).float().mean(dim=1) > 0.5).float().mean().item()


def _named_by(norm: int = 2, noise: Callable = torch.randn, n: int = 100_000) -> Callable:
    """Measured, with another distance or other noise."""

    def share(a: Tensor, b: Tensor, t: int) -> float:
        x_t = AB[t].sqrt() * a + (1 - AB[t]).sqrt() * noise(n, *a.shape)
        to_a, to_b = ((x_t - AB[t].sqrt() * s).flatten(1).norm(p=norm, dim=1) for s in (a, b))
        return (to_a < to_b).float().mean().item()

    return share


def _mean_probability(a: Tensor, b: Tensor, t: int) -> Tensor:
    """The mean of P(a | x_t): its log-odds are normal with mean k²/2 and variance k²."""
    k = (AB[t] / (1 - AB[t])).sqrt() * (a - b).norm()
    return torch.sigmoid(k**2 / 2 + k * torch.randn(200_000)).mean()


NAMED_MISTAKES = _one_wrong(
    _share_named,
    SPRITES_SCALED
    | {
        "noise too weak": ({"strength": 1}, "Is the noise only 1-ᾱ strong? Its root is missing."),
        "missing square root on the signal": (
            {"signal": 1},
            "Is x_t made with ᾱ a? A root is missing.",
        ),
        "picture not scaled": ({"signal": 0}, "Is x_t made with a in place of √ᾱ a?"),
    },
) | {
    "comparison turned round": (
        lambda a, b, t: 1 - _share_named(a, b, t),
        "This is how often the wrong one is named. x_t is made from a; the smaller distance names.",
    ),
    "not summed over the picture": (
        _share_of_pixels,
        "This is the share of single pixels that are nearer to a. Add up the squares over a picture first.",
    ),
    "majority of the pixels": (
        _majority_of_pixels,
        "Each pixel has one vote here. One that differs much says more than others: add up the squares.",
    ),
    "absolute distance": (
        _named_by(norm=1),
        "Are the distances sums of absolute differences? By (11) the squares count.",
    ),
    "uniform noise": (
        _named_by(noise=torch.rand),
        "Is the noise from torch.rand? torch.randn is normal.",
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
        t, apart, middle = _between(130, 170), torch.randn(3, 4, 4) ** 3, torch.randn(3, 4, 4)
        # so far that about 79 % are named; absolute distances do worse where few pixels differ much
        apart *= 1.6 * ((1 - AB[t]) / AB[t]).sqrt() / apart.norm()
        # a is then larger than b, as the mistakes need it
        middle -= (middle * apart).sum() / apart.norm() ** 2 * apart
        return middle + 1.5 * apart, middle + 0.5 * apart, t

    runs = [(args, call(my_share_named, *args)) for args in (draw() for _ in range(6))]
    for _, got in runs:
        if problem := difference(got, 0.5, float("inf")):  # one number, whichever
            fail(*problem)
        if float(got) > 1:
            fail(
                "not a share",
                f"it is {float(got):.0f}. A share is from 0 to 1: divide by the number of noises.",
            )
    if all(got in (0, 1) for _, got in runs):
        fail(
            "the same answer each time",
            "every noise gives the same answer: is one noise used for all, or none?",
        )
    if len({float(got) for _, got in runs}) == 1:
        fail("wrong values", f"it is {float(runs[0][1]):.3g} for any two sprites.")

    def alike(function: Callable, tolerance: float = 0.02) -> bool:
        # 10,000 noises err by 0.004
        return all(abs(float(got) - float(function(*args))) < tolerance for args, got in runs)

    if not alike(_share_named):
        message = f"expected about {_share_named(*runs[0][0]):.3f}, got {float(runs[0][1]):.3f}."
        for tolerance in (0.015, 0.03):  # some mistakes are much alike, and some err themselves
            for name, (mistake, sentence) in NAMED_MISTAKES.items():
                if alike(mistake, tolerance):
                    fail(name, f"{message} {sentence}")
        near = all(abs(float(got) - _share_named(*args)) < 0.1 for args, got in runs)
        fail("wrong values", f"{message} Did you take 10,000 noises?" if near else message)
    return "only √ᾱ ‖a-b‖ / √(1-ᾱ) counts: every pixel in which the two differ is a clue."


# ---------------------------------------------------------------------------------------------- 2.5


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
    if set(times.tolist()) == {0.0, 1.0}:
        fail(
            "division of whole numbers",
            "the model was handed only 0 and 1, as from t // T, a division of whole numbers. It wants t / T.",
        )
    if low == high:
        fail(
            "one level for the whole batch",
            f"all pictures had level {low}. Draw one for each, of shape (n,).",
        )
    for other in (T - 1, T + 1):
        if (times * other - (times * other).round()).abs().max() < 1e-3:
            fail(
                "divided by another number",
                f"the model was handed t/{other}. It wants t/T, and T is {T}.",
            )
    if (times * T - levels).abs().max() > 1e-3:
        fail(
            "levels in between",
            "the levels are no whole numbers: torch.randint draws them, torch.rand does not.",
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
    if (low, high, len(levels), even) != (1, T, n, True):
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
    flat = noise[middle].flatten(1)
    if torch.corrcoef(flat.T).sub(torch.eye(flat.shape[1])).abs().max() > 0.5:  # by chance it is below 0.1
        fail(
            "one number for many pixels",
            "pixels of one picture share their noise. Draw it in the whole shape of x.",
        )
    if noise[middle].abs().max() < 2:
        fail(
            "uniform noise",
            "the noise has sharp limits: torch.rand is uniform, torch.randn is normal.",
        )
    if abs(noise[middle].var() / (1 - share[middle]).mean() - 1) < 0.05:
        fail("missing square root", "the noise in x_t has variance (1-ᾱ)²: is a square root missing?")
    for low, high in ((1, 5), (6, 100), (101, 300), (301, T)):
        chosen = noise[(levels >= low) & (levels <= high)]
        if abs(chosen.var() - 1) > 0.2 or chosen.mean().abs() > 0.2:  # by chance it is below 4 %
            found = f"at levels {low} to {high} the model does not see √ᾱ x + √(1-ᾱ) noise."
            fail(
                "wrong x_t",
                f"{found} Is x_t made with the same t that the model is told, and is its noise normal?",
            )
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


# -------------------------------------------------------------------------------------- 2.6 and 2.7


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


EMA_MISTAKES = _one_wrong(
    _update,
    {
        "shares swapped": (
            {"old_share": lambda d: 1 - d, "new_share": lambda d: d},
            "decay is the share of the old average. lerp_ wants that of the new weights, 1 - decay.",
        ),
        "weights copied": (
            {"old_share": lambda d: 0, "new_share": lambda d: 1},
            "The weights are only copied.",
        ),
        "decay forgotten on the old": (
            {"old_share": lambda d: 1},
            "The old average keeps all of its weight: multiply it by decay, or the weights grow.",
        ),
        "1 - decay forgotten on the new": (
            {"new_share": lambda d: 1},
            "The current weights are added whole: multiply them by 1 - decay, or the weights grow.",
        ),
        "decay for both": (
            {"new_share": lambda d: d},
            "Both have the share decay: the new weights have 1 - decay.",
        ),
        "plain mean": (
            {"old_share": lambda d: 0.5, "new_share": lambda d: 0.5},
            "Old and new have a half each: use decay.",
        ),
        "moved twice": (
            {"old_share": lambda d: d**2, "new_share": lambda d: 1 - d**2},
            "The weights are moved twice: is there one loop too many?",
        ),
        "weights not changed": (
            {"old_share": lambda d: 1, "new_share": lambda d: 0},
            "The weights are as before. Does a line make a new tensor, as `p = …` does? p.copy_ and p.lerp_ change p.",
        ),
        "nothing changed": (
            {"old_share": lambda d: 1, "new_share": lambda d: 0, "of_buffers": lambda d: 1},
            "Weights and buffers are as before. Does a line make a new tensor, as `p = …` does?",
        ),
        "buffers forgotten": (
            {"of_buffers": lambda d: 1},
            "The buffers, the statistics of batch norm, are as before: copy them.",
        ),
        "buffers averaged": (
            {"of_buffers": lambda d: d},
            "The buffers are averaged like the weights. They belong to the current weights: copy them.",
        ),
    },
)


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
    held = {tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    if any(tensor.data_ptr() in held for tensor in (*ema_model.parameters(), *ema_model.buffers())):
        fail(
            "not a copy",
            "the average holds a tensor of the network itself, which training changes: copy it.",
        )
    mistakes = {name: (_after_update(mistake), sentence) for name, (mistake, sentence) in EMA_MISTAKES.items()}
    describe = _named("the list of all weights", "the list of all buffers")
    compare(_after_update(my_ema_update), _after_update(_update), draw, mistakes, describe)
    return "decay of the old and 1 - decay of the new, in place, and the buffers copied."


def _loss_of(model: nn.Module, x: Tensor, factor: float = 1.0) -> Tensor:
    return factor * (model(x) - 3).square().mean()  # far from its minimum, so that clipping matters


_small_loss_of = partial(_loss_of, factor=0.01)  # its gradient is shorter than 1: clipping leaves it alone


def _size(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()]).norm()


def _step(order: str) -> Callable:
    def step(model, ema_model, optimizer, loss_of, x, decay):
        losses = []
        actions = {
            "clear": optimizer.zero_grad,
            "loss": lambda: losses.append(loss_of(model, x)),
            "backward": lambda: losses[0].backward(),
            "clip": lambda: nn.utils.clip_grad_norm_(model.parameters(), 1.0),
            "clip-each": lambda: [nn.utils.clip_grad_norm_(p, 1.0) for p in model.parameters()],
            "clip-values": lambda: nn.utils.clip_grad_value_(model.parameters(), 1.0),
            "shorten": lambda: [p.grad.div_(size) for size in [_size(model)] for p in model.parameters()],
            "step": optimizer.step,
            "average": lambda: ema_update(ema_model, model, decay),
            "average-by-the-rest": lambda: ema_update(ema_model, model, 1 - decay),
            "average-the-model": lambda: ema_update(model, ema_model, decay),
        }
        for word in order.split():
            actions[word]()
        return losses[0].detach()

    return step


def _after_three_steps(step: Callable) -> Callable:
    """(model, x, decay) → the weights, their average and the losses after three steps, on copies, with parts of x.

    The last has a small gradient.
    """

    @functools.wraps(step)
    def run(model: nn.Module, x: Tensor, decay: float) -> tuple | None:
        model, ema_model = copy.deepcopy(model), copy.deepcopy(model).requires_grad_(False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        parts = zip((_loss_of, _loss_of, _small_loss_of), x.chunk(3), strict=True)
        losses = [step(model, ema_model, optimizer, loss_of, part, decay) for loss_of, part in parts]
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
    "each clipped alone": (
        "clear loss backward clip-each step average",
        "Each parameter is clipped alone. The norm is that of all: hand over model.parameters() at once.",
    ),
    "values clipped": (
        "clear loss backward clip-values step average",
        "Each number of the gradient is clipped: that is clip_grad_value_. Clip the norm.",
    ),
    "always shortened": (
        "clear loss backward shorten step average",
        "Gradients shorter than 1 are made longer: clipping leaves them as they are.",
    ),
    "average before the step": (
        "clear loss backward clip average step",
        "The average is one step late: move it last.",
    ),
    "average forgotten": (
        "clear loss backward clip step",
        "The moving average does not move: call ema_update.",
    ),
    "1 - decay handed over": (
        "clear loss backward clip step average-by-the-rest",
        "Is ema_update handed 1 - decay? It wants decay itself.",
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
        return nn.Linear(4, 1), torch.randn(24, 4), 0.6 + 0.3 * float(torch.rand(()))

    model, x, decay = draw()
    ema_model, before, passes = copy.deepcopy(model).requires_grad_(False), _flat(model), []
    model.weight.register_hook(passes.append)
    optimizer, passes_before_step = torch.optim.SGD(model.parameters(), lr=0.1), []
    optimizer.register_step_pre_hook(lambda *args: passes_before_step.append(len(passes)))
    loss = call(my_training_step, model, ema_model, optimizer, _loss_of, x, decay)
    if torch.equal(_flat(model), before):
        if passes and passes_before_step and passes_before_step[0] == 0:
            fail(
                "step before backward",
                "the weights stay as they are: optimizer.step() comes before loss.backward().",
            )
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
    mistakes = {name: (_after_three_steps(_step(order)), sentence) for name, (order, sentence) in STEP_MISTAKES.items()}
    right = _after_three_steps(_step("clear loss backward clip step average"))
    describe = _named("the list of weights after three steps", "that of the averages", "the list of losses")
    compare(_after_three_steps(my_training_step), right, draw, mistakes, describe)
    return "clear, loss, backward, clip, step, average: after three steps all is as it should be."


# ---------------------------------------------------------------------------------------------- 2.8


@torch.no_grad()
def picture_error(model: Callable, x: Tensor, t: int, noise: Tensor) -> float:
    """The mean squared error of x̂_0 at level t."""
    return (_x0_pred(model, x, t, noise) - x).square().mean().item()


def _predictor(x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
    """A noise prediction that is wrong, and depends on t/T."""
    return (0.3 + 0.5 * torch.as_tensor(t, dtype=x.dtype).reshape(-1, 1, 1, 1)) * x


def _picture_error(
    model,
    x,
    t,
    noise,
    factor=0.0,
    time=lambda t: t / T,
    power=0.5,
    target=0.0,
    root=0.5,
    seen=1.0,
    level=0,
    norm=2,
    sign=1,
):
    """By equation (3). ``factor`` 1 leaves (12) out, 2 turns it upside down.

    ``target`` and ``seen`` are 0 for the clean picture, 1 for x_t: what is compared with, what the model sees.
    """
    x_t, ab = perturb_input(x, t, noise), AB[t + level]
    pred_noise = model(torch.lerp(x, x_t, seen), time(t))
    x0_pred = (x_t - sign * (1 - ab) ** power * pred_noise) / ab**root
    error = (x0_pred - torch.lerp(x, x_t, target)).abs() ** norm
    return error.mean() * (AB[t] / (1 - AB[t])) ** factor


def _x0_pred(model, x, t, noise):
    x_t = perturb_input(x, t, noise)
    return predict_x0(x_t, t, model(x_t, t / T))


PICTURE_MISTAKES = _one_wrong(
    _picture_error,
    {
        "error of the noise": (
            {"factor": 1},
            "This is the error of the noise: compare x̂_0 with x.",
        ),
        "factor upside down": ({"factor": 2}, "The factor is upside down: it is (1-ᾱ)/ᾱ."),
        "root of the factor": (
            {"factor": 0.5},
            "The factor has a root, as in the formula for x̂_0 - x_0. For its square there is none.",
        ),
        "missing square root": (
            {"power": 1},
            "The predicted noise is multiplied by 1-ᾱ before it is taken away: is a square root missing?",
        ),
        "not divided by √ᾱ": (
            {"root": 0},
            "What is left of x_t without its noise is √ᾱ x̂_0: divide by √ᾱ.",
        ),
        "divided by ᾱ": ({"root": 1}, "x̂_0 is divided by ᾱ: is a square root missing?"),
        "noise added": ({"sign": -1}, "The predicted noise is added to x_t: take it away."),
        "clean picture handed over": (
            {"seen": 0},
            "The model sees the clean picture: hand over x_t.",
        ),
        "t in place of t/T": ({"time": lambda t: t}, "The model was handed t. It wants t/T."),
        "division of whole numbers": (
            {"time": lambda t: t // T},
            "t // T is 0 for t below T: the model wants t / T.",
        ),
        "level t-1": (
            {"level": -1},
            "x̂_0 is made with level t-1: index t of the tables is level t.",
        ),
        "compared with x_t": ({"target": 1}, "x̂_0 is compared with x_t: compare it with x."),
        "not squared": ({"norm": 1}, "This is the mean absolute error: square the differences."),
    },
) | {
    "compared with the noise": (
        lambda model, x, t, noise: (_x0_pred(model, x, t, noise) - noise).square().mean(),
        "x̂_0 is compared with the noise: compare it with x.",
    ),
    "clipped": (
        lambda model, x, t, noise: (_x0_pred(model, x, t, noise).clamp(-1, 1) - x).square().mean(),
        "x̂_0 is clipped to [-1, 1], which hides part of its error: leave it as it is.",
    ),
    "root mean square": (
        lambda *a: _picture_error(*a).sqrt(),
        "This is the root of the mean square.",
    ),
    "sum in place of mean": (
        lambda *a: _picture_error(*a) * a[1].numel(),
        "This is a sum: take the mean.",
    ),
    "sum over the pixels": (
        lambda *a: _picture_error(*a) * a[1][0].numel(),
        "This is a sum over the pixels: take the mean over all.",
    ),
}


@LAB.exercise("2.8", "From the noise to the picture", stars=2, minutes=10)
def check_picture_error(my_picture_error: Callable) -> str:
    """my_picture_error(model, x, t, noise) → the mean squared error of x̂_0."""

    def draw() -> tuple[Callable, Tensor, int, Tensor]:
        return _predictor, torch.randn(5, 3, 4, 4), _between(230, 400), torch.randn(5, 3, 4, 4)

    compare(my_picture_error, _picture_error, draw, PICTURE_MISTAKES, tolerance=1e-3)
    return "the error of the noise times (1-ᾱ)/ᾱ, as equation (12) says."


OWN = ["noise_variance", "share_named", "picture_error"]
__all__ = ["LAB", "progress", "yours", *OWN, *(f"check_{name}" for name in LAB.exercises)]

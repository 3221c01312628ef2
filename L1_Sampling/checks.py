"""The checks of Lab 1's exercises: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

Each compares with the module or a closed form, on fresh random inputs. The mistakes are written out, one line each, so
that this file is also a list of what goes wrong in practice. Do the exercises before you read it.
"""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

import diffusion_utilities as du
from diffusion_utilities import NoiseSchedule, denoise_add_noise, perturb_input, predict_x0
from exercise_tools import judging, kit
from exercise_tools.running import Failed, call, fail
from L1_Sampling import given

LAB = kit.Lab(__file__)
progress, yours = LAB.progress, LAB.yours

B, A, AB = given.linear_schedule(500, 1e-4, 0.02)
T = len(B) - 1


def _level() -> int:
    """A level at which no two shares are nearly equal, so that no mistake hides."""
    return int(torch.randint(50, 451, ()))


def _judge_formula(mine: Callable, right: Callable, mistakes: dict, tolerance: float = 1e-4, **places: int) -> None:
    """Judge a function of pictures and a level t, (x, t, …); ``places`` names the pictures, and says where they stand.

    It is a formula, so it must give one result for one input.
    """

    def draw() -> tuple:
        x, *others = (torch.randn(4, 3, 8, 8) for _ in places)
        return x, _level(), *others

    _judge_twice(mine, draw(), "draws its own noise", "All noise comes in from outside: draw none in here.")
    judging.compare(mine, right, draw, mistakes, judging.strengths(t=1, **places), tolerance=tolerance)


def _judge_twice(mine: Callable, args: tuple, diagnosis: str, sentence: str) -> None:
    """Fail where two calls with the same input give two results."""
    first, second = (call(mine, *args) for _ in range(2))
    problem = judging.difference(second, first) if isinstance(first, Tensor | tuple | list | float) else None
    if problem and problem[0] == "wrong values":
        fail(diagnosis, f"called twice with the same input, it gives two results. {sentence}")


# --------------------------------------------------------------------------------------- 1.1 to 1.3


def _tables(b_t: Tensor, ab_t: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    a_t = 1 - b_t
    return b_t, a_t, a_t.cumprod(dim=0) if ab_t is None else ab_t


def _betas(timesteps: int, beta1: float, beta2: float) -> Tensor:
    """β_1 … β_T with a 0 in front, float32 (T+1,)."""
    return torch.cat([torch.zeros(1), torch.linspace(beta1, beta2, timesteps)])


def _from_zero(timesteps: int, beta1: float, beta2: float) -> Tensor:
    return torch.linspace(beta1, beta2, timesteps + 1)


def _summed(timesteps: int, beta1: float, beta2: float) -> Tensor:
    return 1 - _betas(timesteps, beta1, beta2).cumsum(dim=0)


def _shifted(timesteps: int, beta1: float, beta2: float) -> Tensor:
    """ᾱ one place late: ᾱ_t = α_0 ⋯ α_(t-1)."""
    ab_t = (1 - _betas(timesteps, beta1, beta2)).cumprod(dim=0)
    return torch.cat([ab_t[:1], ab_t[:-1]])


def _zero_first(a_t: Tensor, product: Callable = lambda a_t, dim: a_t) -> Tensor:
    return torch.cat([torch.zeros(1), product(a_t, dim=0)])


SCHEDULE_MISTAKES = {
    "no 0 in front": (
        lambda n, low, high: _tables(torch.linspace(low, high, n)),
        "The tables have T entries: put β_0 = 0 in front, so that index t means level t.",
    ),
    "beta1 at t = 0": (
        lambda *a: _tables(_from_zero(*a)),
        "β starts at t = 0 with β1. Level 0 is the clean picture, so β_0 = 0 and ᾱ_0 = 1; β1 belongs to t = 1.",
    ),
    "beta_0 set to 0 afterwards": (
        lambda *a: _tables(torch.cat([torch.zeros(1), _from_zero(*a)[1:]])),
        "β rises from t = 0 and only then is β_0 set to 0: β_1 must be β1 exactly, so T values go from β1 to β2.",
    ),
    "alpha_0 counted": (
        lambda *a: _tables(_betas(*a), (1 - _from_zero(*a)).cumprod(dim=0)),
        "ᾱ also multiplies an α of level 0 that is not 1. ᾱ_0 must be 1 exactly.",
    ),
    "sum in place of product": (
        lambda *a: _tables(_betas(*a), _summed(*a)),
        "ᾱ_t is the product of the α (cumprod), not 1 minus the sum of the β.",
    ),
    "cumulative sum of alpha": (
        lambda *a: _tables(_betas(*a), (1 - _betas(*a)).cumsum(dim=0)),
        "ᾱ_t is the product of the α: cumprod in place of cumsum.",
    ),
    "product of beta": (
        lambda *a: _tables(_betas(*a), _betas(*a).cumprod(dim=0)),
        "ᾱ_t is the product of the α = 1 - β, not of the β.",
    ),
    "one level late": (
        lambda *a: _tables(_betas(*a), _shifted(*a)),
        "ᾱ is one place late: ᾱ_t includes α_t itself.",
    ),
    "never reaches beta2": (
        lambda n, low, high: _tables(torch.cat([torch.zeros(1), _from_zero(n, low, high)[:-1]])),
        "β ends one part of T below β2: T values have only T-1 gaps between them.",
    ),
    "beta falls": (
        lambda n, low, high: _tables(_betas(n, high, low)),
        "β falls from β2 to β1: the first step must add the least noise.",
    ),
    "0 at the end": (
        lambda n, low, high: _tables(torch.cat([torch.linspace(low, high, n), torch.zeros(1)])),
        "The 0 stands at the end: level 0 is the clean picture, so β_0 = 0 comes first.",
    ),
    "alpha-bar_0 is 0": (
        lambda *a: _tables(_betas(*a), _zero_first(1 - _betas(*a)[1:], torch.cumprod)),
        "A 0 was put in front of ᾱ. Level 0 is the clean picture, all of it is left: ᾱ_0 = 1.",
    ),
    "alpha_0 is 0": (
        lambda *a: (
            _betas(*a),
            _zero_first(1 - _betas(*a)[1:]),
            _zero_first(1 - _betas(*a)[1:], torch.cumprod),
        ),
        "A 0 was put in front of α and ᾱ as well. Nothing is lost at level 0: α_0 = ᾱ_0 = 1.",
    ),
    "beta_0 is 1": (
        lambda n, low, high: _tables(torch.cat([torch.ones(1), torch.linspace(low, high, n)])),
        "β_0 is 1, so α_0 is 0, and so is every ᾱ. No noise has been added at level 0: β_0 = 0.",
    ),
    "root of alpha-bar": (
        lambda *a: _tables(_betas(*a), (1 - _betas(*a)).cumprod(dim=0).sqrt()),
        "The third table is √ᾱ. The table holds ᾱ, and the root is taken where it is needed.",
    ),
    "roots rise in a line": (
        lambda n, low, high: _tables(_betas(n, low**0.5, high**0.5) ** 2),
        "√β rises in a straight line here, as in Stable Diffusion. In this lab β itself does.",
    ),
    "tables in another order": (
        lambda *a: (1 - _betas(*a), _betas(*a), (1 - _betas(*a)).cumprod(dim=0)),
        "α and β have changed places in your return: first β, then α, then ᾱ.",
    ),
}


@LAB.exercise("1.1", "The noise schedule", stars=2, minutes=10)
def check_linear_schedule(my_linear_schedule: Callable) -> str:
    """my_linear_schedule(timesteps, beta1, beta2) → b_t, a_t, ab_t, each (T+1,)."""

    def draw() -> tuple[int, float, float]:
        return (
            int(torch.randint(20, 600, ())),
            float(torch.rand(()) + 1) * 1e-3,
            float(torch.rand(()) + 1) * 0.02,
        )

    judging.compare(my_linear_schedule, given.linear_schedule, draw, SCHEDULE_MISTAKES)
    return "β_0 = 0 and ᾱ_0 = 1, then β rises in a straight line and ᾱ_t is the product α_1 ⋯ α_t."


PERTURB_MISTAKES = {
    "missing square root": (
        lambda x, t, noise: AB[t].sqrt() * x + (1 - AB[t]) * noise,
        "Is a square root missing? 1-ᾱ is a variance, and pictures are multiplied by standard deviations.",
    ),
    "missing square root on the signal": (
        lambda x, t, noise: AB[t] * x + (1 - AB[t]).sqrt() * noise,
        "The picture is multiplied by ᾱ: is a square root missing there?",
    ),
    "no square roots": (
        lambda x, t, noise: AB[t] * x + (1 - AB[t]) * noise,
        "Both square roots are missing. ᾱ and 1-ᾱ are variances.",
    ),
    "weights swapped": (
        lambda x, t, noise: (1 - AB[t]).sqrt() * x + AB[t].sqrt() * noise,
        "The two weights are swapped: √ᾱ belongs to the picture.",
    ),
    "alpha for alpha-bar": (
        lambda x, t, noise: A[t].sqrt() * x + B[t].sqrt() * noise,
        "This is a single step (α_t). The jump from level 0 needs ᾱ_t, the product of all α up to t.",
    ),
    "level t-1": (
        lambda x, t, noise: perturb_input(x, t - 1, noise),
        "These are the weights of level t-1. The tables have T+1 entries: index t is level t.",
    ),
    "one minus the root": (
        lambda x, t, noise: AB[t].sqrt() * x + (1 - AB[t].sqrt()) * noise,
        "The noise is multiplied by 1-√ᾱ: take the root of 1-ᾱ.",
    ),
    "level t+1": (
        lambda x, t, noise: perturb_input(x, t + 1, noise),
        "These are the weights of level t+1. The tables have T+1 entries: index t is level t.",
    ),
    "swapped without roots": (
        lambda x, t, noise: (1 - AB[t]) * x + AB[t] * noise,
        "The two weights are swapped, and both square roots are missing.",
    ),
    "beta for the noise": (
        lambda x, t, noise: AB[t].sqrt() * x + B[t].sqrt() * noise,
        "β_t is the noise of one step. After t steps the noise has the variance 1-ᾱ_t.",
    ),
    "picture not shrunk": (
        lambda x, t, noise: x + (1 - AB[t]).sqrt() * noise,
        "The picture is not multiplied by √ᾱ, so the variance grows.",
    ),
    "noise not weighted": (
        lambda x, t, noise: AB[t].sqrt() * x + noise,
        "The noise has no weight: multiply it by √(1-ᾱ).",
    ),
    "nothing weighted": (
        lambda x, t, noise: x + noise,
        "Picture and noise are added as they are. Equation (2) gives each a weight.",
    ),
    "noise forgotten": (
        lambda x, t, noise: AB[t].sqrt() * x,
        "The picture is only shrunk: the noise is missing.",
    ),
    "minus in place of plus": (
        lambda x, t, noise: AB[t].sqrt() * x - (1 - AB[t]).sqrt() * noise,
        "The noise is taken away. Equation (2) adds it.",
    ),
    "plus in place of minus": (
        lambda x, t, noise: AB[t].sqrt() * x + (1 + AB[t]).sqrt() * noise,
        "It is the root of 1+ᾱ: the noise has what the picture lacks, 1-ᾱ.",
    ),
}


@LAB.exercise("1.2", "Noise a picture", stars=1, minutes=5)
def check_perturb_input(my_perturb_input: Callable) -> str:
    """my_perturb_input(x, t, noise) → x_t, for one level t."""
    _judge_formula(my_perturb_input, perturb_input, PERTURB_MISTAKES, x=0, noise=2)
    return "√ᾱ parts picture and √(1-ᾱ) parts noise: the squares add up to 1, so the variance stays."


def _crossover(ab_t: Tensor, power: float) -> int:
    return int((1 - ab_t > power * ab_t).nonzero()[0])


CROSSOVER_MISTAKES = {
    "one level early": (
        lambda ab_t, power: _crossover(ab_t, power) - 1,
        "One too few: do your tables start at t = 1, or do you return the last level at which the picture is stronger?",
    ),
    "power forgotten": (
        lambda ab_t, power: _crossover(ab_t, 1.0),
        "This is right for pictures of mean square 1. At level t the picture's part has mean square ᾱ_t times power.",
    ),
    "power without its root": (
        lambda ab_t, power: _crossover(ab_t, power**2),
        "power comes in squared: it is a mean square already, and together with √ᾱ it needs its root.",
    ),
    "root on one side": (
        lambda ab_t, power: int((1 - ab_t > power * ab_t.sqrt()).nonzero()[0]),
        "A variance is compared with a standard deviation: take both roots, or none.",
    ),
    "comparison turned round": (
        lambda ab_t, power: 0,
        "At level 0 there is no noise at all. Is the comparison the wrong way round?",
    ),
    "last level": (
        lambda ab_t, power: len(ab_t) - 1,
        "This is the last level at which noise is stronger: the first is asked for.",
    ),
    "power on the wrong side": (
        lambda ab_t, power: int((power * (1 - ab_t) > ab_t).nonzero()[0]),
        "power belongs to the picture, so it multiplies ᾱ_t, not 1-ᾱ_t.",
    ),
    "how many, not which": (
        lambda ab_t, power: int((1 - ab_t > power * ab_t).sum()),
        "This is how many levels there are at which noise is stronger. The first of them is asked for.",
    ),
    "one level late": (
        lambda ab_t, power: _crossover(ab_t, power) + 1,
        "One too many: is 1 added to t before it is returned, or the first level left out?",
    ),
    "share below one half": (
        lambda ab_t, power: int((ab_t < 0.5 * power).nonzero()[0]),
        "Both parts depend on ᾱ_t: compare 1-ᾱ_t with ᾱ_t · power, and not ᾱ_t with a fixed number.",
    ),
}


@LAB.exercise("1.3", "When noise wins", stars=2, minutes=10)
def check_crossover(my_crossover: Callable) -> str:
    """my_crossover(ab_t, power) → int, the first t at which the noise is stronger than the picture."""

    def draw() -> tuple[Tensor, float]:
        ab_t = given.linear_schedule(int(torch.randint(400, 800, ())), 1e-4, float(torch.rand(()) + 1) * 0.02)[2]
        return ab_t, 0.3 + 0.4 * float(torch.rand(()))

    judging.compare(my_crossover, _crossover, draw, CROSSOVER_MISTAKES, tolerance=1e-6)
    return "the first t with 1-ᾱ_t > ᾱ_t · power. Weaker pictures drown earlier."


# -------------------------------------------------------------------------- 1.4 to 1.6: the network


@functools.cache
def _trained() -> du.ContextUnet:
    return du.load_pretrained("model_trained", "cpu")


def _explained(judge: Callable[[], None], sentences: dict[str, tuple[str, str]]) -> None:
    """Run a part of a check; where the learner's function crashes with a known error, say what causes it.

    Args:
        sentences: diagnosis → (a pattern of the error's text, a sentence that explains it).
    """
    try:
        judge()
    except Failed as failure:
        status, kind, message = failure.args
        for diagnosis, (pattern, sentence) in sentences.items() if status == "crashed" else ():
            if re.search(pattern, message):
                fail(diagnosis, f"{message}\n  {sentence}", status)
        raise


Maps = Callable[[Tensor], Tensor]
ROOT_2 = math.sqrt(2)

BLOCK_MISTAKES = {
    "no shortcut": (
        lambda x, conv1, conv2, shortcut: conv2(conv1(x)),
        "These are the two convolutions alone. Add what the shortcut makes of x, and divide by √2.",
    ),
    "no shortcut, divided": (
        lambda x, conv1, conv2, shortcut: conv2(conv1(x)) / ROOT_2,
        "The shortcut is missing: its maps are added to those of the convolutions.",
    ),
    "root 2 missing": (
        lambda x, conv1, conv2, shortcut: shortcut(x) + conv2(conv1(x)),
        "The sum is not divided by √2: its variance is that of both parts together.",
    ),
    "halved": (
        lambda x, conv1, conv2, shortcut: (shortcut(x) + conv2(conv1(x))) / 2,
        "The sum is divided by 2. Its variance is twice as large, so divide by the root, √2.",
    ),
    "multiplied by root 2": (
        lambda x, conv1, conv2, shortcut: (shortcut(x) + conv2(conv1(x))) * ROOT_2,
        "The sum is multiplied by √2: divide, so that the variance comes down again.",
    ),
    "only the convolutions divided": (
        lambda x, conv1, conv2, shortcut: shortcut(x) + conv2(conv1(x)) / ROOT_2,
        "Only the convolutions' part is divided by √2: are parentheses missing?",
    ),
    "only the shortcut divided": (
        lambda x, conv1, conv2, shortcut: shortcut(x) / ROOT_2 + conv2(conv1(x)),
        "Only the shortcut's part is divided by √2: the whole sum is.",
    ),
    "second convolution forgotten": (
        lambda x, conv1, conv2, shortcut: (shortcut(x) + conv1(x)) / ROOT_2,
        "conv2 is not used: x goes through conv1 and then through conv2.",
    ),
    "convolutions forgotten": (
        lambda x, conv1, conv2, shortcut: shortcut(x),
        "This is the shortcut alone: the convolutions are missing.",
    ),
    "shortcut between the convolutions": (
        lambda x, conv1, conv2, shortcut: conv2((shortcut(x) + conv1(x)) / ROOT_2),
        "The shortcut is added after conv1. It goes around both convolutions.",
    ),
    "shortcut between, not divided": (
        lambda x, conv1, conv2, shortcut: conv2(shortcut(x) + conv1(x)),
        "The shortcut is added after conv1. It goes around both convolutions, and the sum is divided by √2.",
    ),
    "shortcut around the second only": (
        lambda x, conv1, conv2, shortcut: (conv1(x) + conv2(conv1(x))) / ROOT_2,
        "What is added is conv1(x). The shortcut starts at x: shortcut(x).",
    ),
    "convolutions of the shortcut": (
        lambda x, conv1, conv2, shortcut: (shortcut(x) + conv2(shortcut(x))) / ROOT_2,
        "conv2 gets the shortcut's maps: it should get those of conv1.",
    ),
    "multiplied, not added": (
        lambda x, conv1, conv2, shortcut: shortcut(x) * conv2(conv1(x)) / ROOT_2,
        "The two are multiplied: add them.",
    ),
    "subtracted": (
        lambda x, conv1, conv2, shortcut: (conv2(conv1(x)) - shortcut(x)) / ROOT_2,
        "The shortcut is subtracted: add it.",
    ),
    "activation at the end": (
        lambda x, conv1, conv2, shortcut: nn.functional.gelu((shortcut(x) + conv2(conv1(x))) / ROOT_2),
        "There is an activation after the sum. conv1 and conv2 bring theirs along, and nothing follows the sum.",
    ),
    "cut off at 0": (
        lambda x, conv1, conv2, shortcut: ((shortcut(x) + conv2(conv1(x))) / ROOT_2).relu(),
        "There is an activation after the sum. conv1 and conv2 bring theirs along, and nothing follows the sum.",
    ),
    "joined, not added": (
        lambda x, conv1, conv2, shortcut: torch.cat([shortcut(x), conv2(conv1(x))], dim=1),
        "The two are joined to twice as many channels: a residual block adds them.",
    ),
    "joined, convolutions first": (
        lambda x, conv1, conv2, shortcut: torch.cat([conv2(conv1(x)), shortcut(x)], dim=1),
        "The two are joined to twice as many channels: a residual block adds them.",
    ),
}


@LAB.exercise("1.4", "The residual block", stars=1, minutes=10)
def check_residual_block(my_residual_block: Callable) -> str:
    """my_residual_block(x, conv1, conv2, shortcut) → maps (n, 64, h, w)."""
    block = _trained().init_conv

    def draw() -> tuple[Tensor, Maps, Maps, Maps]:
        return torch.randn(4, 3, 16, 16), block.conv1, block.conv2, block.shortcut

    _explained(
        lambda: judging.compare(my_residual_block, given.residual_block, draw, BLOCK_MISTAKES),
        {
            "x itself added": (
                r"tensor a \((3|64)\) must match the size of tensor b \((3|64)\)",
                "x has 3 channels, the convolutions make 64. shortcut(x) has 64, too: add that.",
            ),
            "stages in another order": (
                r"to have \d+ channels, but got \d+ channels",
                "x has 3 channels and goes into conv1 and shortcut; conv2 takes the 64 channels of conv1.",
            ),
        },
    )
    return "with the trained weights your block gives the maps that ours gives."


def _judge_layers(layers: object, width: int) -> None:
    """Layers whose tensors have the names and sizes of the trained embedding's."""
    if not isinstance(layers, nn.Sequential):
        came = type(layers).__name__
        fail("not a Sequential", f"return the three layers as one nn.Sequential(…); it is a {came}.")
    kinds = [type(layer).__name__ for layer in layers]
    came = f"your layers are {', '.join(kinds)}."
    middle = kinds[1] if kinds[0::2] == ["Linear", "Linear"] else ""
    known = {
        "one layer": (
            kinds == ["Linear"],
            "One linear layer bends nothing: two, and a GELU between them.",
        ),
        "no activation": (
            kinds == ["Linear"] * 2,
            "Two linear layers in a row are one: put a GELU between them.",
        ),
        "activation at the end": (
            kinds[:3] == ["Linear", "GELU", "Linear"] != kinds,
            "Nothing follows the second.",
        ),
        "activation at the start": (
            kinds[:2] == ["GELU", "Linear"],
            "The number goes into a linear layer first.",
        ),
        "another activation": (
            len(kinds) == 3 and middle not in ("", "GELU"),
            "The weights were trained with a GELU.",
        ),
        "other layers": (
            kinds != ["Linear", "GELU", "Linear"],
            "They should be Linear, GELU, Linear.",
        ),
    }
    for diagnosis, (matches, sentence) in known.items():
        if matches:
            fail(diagnosis, f"{came} {sentence}")
    first, _, second = layers
    sizes = [first.in_features, first.out_features, second.in_features, second.out_features]
    if sizes[0] != 1:
        fail("not one number", f"the first layer takes {sizes[0]} numbers: t/T is one.")
    if sizes != [1, width, width, width]:
        shape = f"{sizes[0]} → {sizes[1]}, {sizes[2]} → {sizes[3]}"
        fail(
            "wrong width",
            f"for width {width} your layers go {shape}; they should go 1 → {width} → {width}.",
        )
    names, wanted = list(layers.state_dict()), ["0.weight", "0.bias", "2.weight", "2.bias"]
    if names != wanted:
        fail(
            "names do not fit",
            f"the trained tensors are called {wanted}, yours {names}. Keep the bias, give no names.",
        )


@LAB.exercise("1.5", "The time embedding", stars=2, minutes=10)
def check_time_embedding(my_time_embedding: Callable) -> str:
    """my_time_embedding(width) → layers, (n, 1) → (n, width)."""
    net = _trained()
    for width, embedding in (
        (net.n_feat, net.timeembed2.model),
        (2 * net.n_feat, net.timeembed1.model),
    ):
        layers = call(my_time_embedding, width)
        _judge_layers(layers, width)
        layers.load_state_dict(embedding.state_dict())
        t = torch.rand(5, 1)
        if problem := judging.difference(layers(t), embedding(t)):
            fail(*problem)
    if call(my_time_embedding, 8)[0].weight is call(my_time_embedding, 8)[0].weight:
        fail("shared layers", "two calls give the same layers: make new ones in the function.")
    return "the trained weights fit into your layers, and the vectors are those of ours."


class _Stages:
    """The stages of the trained network, by their names; they note what they are given and what they make of it."""

    def __init__(self) -> None:
        self.given, self.made = {}, {}
        for name, stage in copy.deepcopy(_trained()).named_children():
            setattr(self, name, stage)
            stage.register_forward_pre_hook(functools.partial(self._note_given, name), with_kwargs=True)
            stage.register_forward_hook(functools.partial(self._note_made, name))

    def _note_given(self, name: str, stage: nn.Module, args: tuple, named: dict) -> None:
        self.given[name] = [*args, *named.values()]

    def _note_made(self, name: str, stage: nn.Module, args: tuple, result: Tensor) -> None:
        self.made[name] = result


def _forward(
    net: object,
    x: Tensor,
    t: Tensor,
    c: Tensor,
    mix: tuple[Callable, Callable] = (lambda maps, times, plus: maps * times + plus,) * 2,
    enter: Callable = lambda stage, maps, skip: stage(maps, skip),
    join: Callable = lambda up2, first: torch.cat((up2, first), dim=1),
) -> Tensor:
    """The forward pass of ContextUnet with one place to go wrong for each argument; as it is, it is right."""
    first = net.init_conv(x)
    down1 = net.down1(first)
    down2 = net.down2(down1)
    vectors = [
        (embed_c(c)[:, :, None, None], embed_t(t)[:, :, None, None])
        for embed_c, embed_t in (
            (net.contextembed1, net.timeembed1),
            (net.contextembed2, net.timeembed2),
        )
    ]
    up0 = net.up0(net.to_vec(down2))
    up1 = enter(net.up1, mix[0](up0, *vectors[0]), down2)
    up2 = enter(net.up2, mix[1](up1, *vectors[1]), down1)
    return net.out(join(up2, first))


def _mixed(both: Callable) -> Callable:
    return lambda *args: _forward(*args, mix=(both, both))


def _once(which: int, changed: Callable) -> Callable:
    def both(maps: Tensor, times: Tensor, plus: Tensor) -> Tensor:
        return maps * times + plus

    return lambda *args: _forward(*args, mix=(changed, both) if which == 0 else (both, changed))


UNET_MISTAKES = {
    "time and context swapped": (
        _mixed(lambda maps, times, plus: maps * plus + times),
        "Time and context have changed places: the context multiplies, the time is added.",
    ),
    "context added": (
        _mixed(lambda maps, times, plus: maps + times + plus),
        "The context's vector is added: it multiplies the maps.",
    ),
    "time multiplied": (
        _mixed(lambda maps, times, plus: maps * times * plus),
        "The time's vector multiplies: it is added.",
    ),
    "time added before the context multiplies": (
        _mixed(lambda maps, times, plus: (maps + plus) * times),
        "The context multiplies the time, too: multiply the maps first, then add the time.",
    ),
    "time forgotten": (
        _mixed(lambda maps, times, plus: maps * times),
        "The network is not told the noise level: add the time's vectors.",
    ),
    "context forgotten": (
        _mixed(lambda maps, times, plus: maps + plus),
        "The context's vectors are not used. They are not 1, not even for five zeros.",
    ),
    "neither time nor context": (
        _mixed(lambda maps, times, plus: maps),
        "Neither time nor context is used.",
    ),
    "time only before up2": (
        _once(0, lambda maps, times, plus: maps * times),
        "The time's first vector is not added, before up1.",
    ),
    "time only before up1": (
        _once(1, lambda maps, times, plus: maps * times),
        "The time's second vector is not added, before up2.",
    ),
    "context only before up2": (
        _once(0, lambda maps, times, plus: maps + plus),
        "The context's first vector is not used, before up1.",
    ),
    "context only before up1": (
        _once(1, lambda maps, times, plus: maps + plus),
        "The context's second vector is not used, before up2.",
    ),
    "nothing before up2": (
        _once(1, lambda maps, times, plus: maps),
        "Neither time nor context is used before up2: timeembed2 and contextembed2 belong there.",
    ),
    "no skip": (
        lambda *args: _forward(*args, enter=lambda stage, maps, skip: stage(maps, torch.zeros_like(skip))),
        "Zeros are handed over in place of the skip connections.",
    ),
    "joined with itself": (
        lambda *args: _forward(*args, enter=lambda stage, maps, skip: stage(maps, maps)),
        "up1 and up2 get the same maps twice. The second are those of the way down: down2 and down1.",
    ),
    "skip first": (
        lambda *args: _forward(*args, enter=lambda stage, maps, skip: stage(skip, maps)),
        "up1 and up2 get their two inputs in the wrong order: first the maps from below, then the skip connection.",
    ),
    "skip added as well": (
        lambda *args: _forward(*args, enter=lambda stage, maps, skip: stage(maps + skip, skip)),
        "The skip connection is added to the maps as well: it is only handed over.",
    ),
    "last two in the wrong order": (
        lambda *args: _forward(*args, join=lambda up2, first: torch.cat((first, up2), dim=1)),
        "The last two are joined in the wrong order: up2 first, then the maps of init_conv.",
    ),
    "last joined with itself": (
        lambda *args: _forward(*args, join=lambda up2, first: torch.cat((up2, up2), dim=1)),
        "At the end up2 is joined with itself: join it with the maps of init_conv.",
    ),
    "way down joined with itself": (
        lambda *args: _forward(*args, join=lambda up2, first: torch.cat((first, first), dim=1)),
        "At the end the maps of init_conv are joined with themselves: join up2 with them.",
    ),
    "zeros at the end": (
        lambda *args: _forward(*args, join=lambda up2, first: torch.cat((up2, 0 * first), dim=1)),
        "At the end zeros are handed over: join up2 with the maps of init_conv.",
    ),
    "t divided once more": (
        lambda net, x, t, c: _forward(net, x, t / T, c),
        "t is t/T already: do not divide it again.",
    ),
    "t multiplied": (
        lambda net, x, t, c: _forward(net, x, t * T, c),
        "t is multiplied by T: the network was trained on t/T.",
    ),
    "time from the end": (
        lambda net, x, t, c: _forward(net, x, 1 - t, c),
        "1 - t/T is handed over: the time is t/T.",
    ),
    "context of zeros": (
        lambda net, x, t, c: _forward(net, x, t, 0 * c),
        "Your network ignores c: five zeros are handed over in its place.",
    ),
    "noise taken away": (
        lambda net, x, t, c: x - _forward(net, x, t, c),
        "The prediction is taken from x. The network's answer is the noise itself.",
    ),
    "minus sign": (
        lambda net, x, t, c: -_forward(net, x, t, c),
        "The sign is turned round.",
    ),
}


def _crash_of_unet(net: _Stages, error: str) -> tuple[str, str] | None:
    """What the shapes that arrived before a crash say about its cause."""
    shapes = {name: [tuple(maps.shape) for maps in given] for name, given in net.given.items()}
    late = [name for name in ("up0", "up1", "up2", "out") if name in shapes][-1:]
    if re.search(r"missing 1 required positional argument: 'skip'", error):
        return "no skip", "up1 and up2 take two inputs: the maps from below, and a skip connection."
    if "up0" in shapes and shapes["up0"][0][-1] != 1:
        return "vector forgotten", "up0 spreads out the vector that to_vec makes of down2."
    if late == ["out"]:
        (shape,) = shapes["out"]
        up2 = net.made["up2"]
        if shape[1:] == (64, 16, 16) and len(shape) == 4:
            if shape[0] != len(up2):
                return "joined along the wrong axis", "out needs 128 channels: torch.cat(…, dim=1)."
            if torch.equal(net.given["out"][0], up2):
                return (
                    "first maps forgotten",
                    "out takes 128 channels: join the maps of init_conv with up2.",
                )
            return (
                "added, not joined",
                "out takes 128 channels: torch.cat, and not +, for up2 and the maps of init_conv.",
            )
        if shape[1] == 67:
            return (
                "picture in place of its maps",
                "up2 is joined with x itself: keep what init_conv makes of x.",
            )
        if shape[1] == 64:
            return "joined along the wrong axis", "out needs 128 channels: torch.cat(…, dim=1)."
        return None
    if late in (["up1"], ["up2"]) and len(shapes[late[0]]) == 2 and late[0] not in net.made:
        maps, skip = shapes[late[0]]
        if maps[-1] == 1:
            return "up0 forgotten", "the vector has no height and width yet: up0 spreads it out."
        if maps[-2:] != skip[-2:]:
            stage = "down2" if late == ["up1"] else "down1"
            return (
                "skip from the wrong level",
                f"{late[0]} needs the maps of its own height and width: those of {stage}.",
            )
    if spread := re.search(r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\).* dimension (\d)", error):
        if spread[3] == "1" and "128" in spread.groups() and "64" in spread.groups():
            return (
                "vectors of the other stage",
                "before up1 go timeembed1 and contextembed1, before up2 the second two.",
            )
        if {"timeembed1", "contextembed1"} & shapes.keys():
            sentence = "a vector (n, k) does not fit to maps (n, k, h, w): give it two axes more, [:, :, None, None]."
            return "not spread over height and width", sentence
    return None


@LAB.exercise("1.6", "The U-Net", stars=3, minutes=20)
def check_unet(my_unet: Callable) -> str:
    """my_unet(net, x, t, c) → the predicted noise, shaped like x; net holds the stages, t is (n, 1), c (n, 5)."""
    net = _Stages()

    def draw() -> tuple[_Stages, Tensor, Tensor, Tensor]:
        return net, torch.randn(3, 3, 16, 16), torch.rand(3, 1), torch.rand(3, 5)

    def right(net: _Stages, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        return _trained()(x, t, c)

    with torch.no_grad():
        try:
            judging.compare(my_unet, right, draw, UNET_MISTAKES, tolerance=1e-3)
        except Failed as failure:
            status, diagnosis, message = failure.args
            cause = _crash_of_unet(net, message) if status == "crashed" else None
            if cause:
                fail(cause[0], f"{message}\n  {cause[1]}", status)
            raise
    return "with the trained weights your forward pass predicts what ours predicts."


# -------------------------------------------------------------------------------------- 1.7 to 1.10

PREDICT_MISTAKES = {
    "missing square root": (
        lambda x, t, eps: (x - (1 - AB[t]) * eps) / AB[t].sqrt(),
        "Is a square root missing? x_t holds √(1-ᾱ) parts noise, so take away as much.",
    ),
    "missing square root in the divisor": (
        lambda x, t, eps: (x - (1 - AB[t]).sqrt() * eps) / AB[t],
        "It is divided by ᾱ: x_t holds √ᾱ parts picture, so divide by the root.",
    ),
    "division forgotten": (
        lambda x, t, eps: x - (1 - AB[t]).sqrt() * eps,
        "The noise is gone, but the picture is still shrunk: divide by √ᾱ.",
    ),
    "multiplied, not divided": (
        lambda x, t, eps: (x - (1 - AB[t]).sqrt() * eps) * AB[t].sqrt(),
        "It is multiplied by √ᾱ: solve equation (2) for x_0, and it is a division.",
    ),
    "division of x only": (
        lambda x, t, eps: x / AB[t].sqrt() - (1 - AB[t]).sqrt() * eps,
        "Only x_t is divided by √ᾱ: are parentheses missing?",
    ),
    "plus in place of minus": (
        lambda x, t, eps: (x + (1 - AB[t]).sqrt() * eps) / AB[t].sqrt(),
        "The noise is added a second time: it must be taken away.",
    ),
    "alpha for alpha-bar": (
        lambda x, t, eps: (x - B[t].sqrt() * eps) / A[t].sqrt(),
        "This undoes one step (α_t). The jump to level 0 needs ᾱ_t.",
    ),
    "level t-1": (
        lambda x, t, eps: predict_x0(x, t - 1, eps),
        "These are the weights of level t-1; x is at level t.",
    ),
    "level t+1": (
        lambda x, t, eps: predict_x0(x, t + 1, eps),
        "These are the weights of level t+1; x is at level t.",
    ),
    "clipped": (
        lambda x, t, eps: predict_x0(x, t, eps).clamp(-1, 1),
        "It is clipped to -1 … 1. Many samplers do so, but equation (3) does not.",
    ),
    "noise forgotten": (
        lambda x, t, eps: x / AB[t].sqrt(),
        "pred_noise is not used: take √(1-ᾱ) parts of it away first.",
    ),
    "noise not weighted": (
        lambda x, t, eps: (x - eps) / AB[t].sqrt(),
        "All of pred_noise is taken away: x_t holds √(1-ᾱ) parts of it.",
    ),
    "divided by the wrong root": (
        lambda x, t, eps: (x - (1 - AB[t]).sqrt() * eps) / (1 - AB[t]).sqrt(),
        "It is divided by √(1-ᾱ), the noise's weight. The picture's weight is √ᾱ.",
    ),
    "weights swapped": (
        lambda x, t, eps: (x - AB[t].sqrt() * eps) / (1 - AB[t]).sqrt(),
        "The two weights are swapped: √ᾱ belongs to the picture.",
    ),
    "no square roots": (
        lambda x, t, eps: (x - (1 - AB[t]) * eps) / AB[t],
        "Both square roots are missing. ᾱ and 1-ᾱ are variances.",
    ),
    "noised once more": (
        lambda x, t, eps: perturb_input(x, t, eps),
        "This is equation (2) again, the way into the noise. Solve it for x_0.",
    ),
}


@LAB.exercise("1.7", "Back in one jump", stars=1, minutes=5)
def check_predict_x0(my_predict_x0: Callable) -> str:
    """my_predict_x0(x, t, pred_noise) → x̂_0."""
    _judge_formula(my_predict_x0, predict_x0, PREDICT_MISTAKES, x=0, pred_noise=2)
    return "equation (2) solved for x_0: with the true noise it gives the clean picture back."


def _posterior(t: int) -> Tensor:
    return (1 - AB[t - 1]) / (1 - AB[t]) * B[t]


POSTERIOR_MISTAKES = {
    "beta itself": (
        lambda t: B[t],
        "This is β_t, the variance of the way into the noise. Multiply it by (1-ᾱ_{t-1}) / (1-ᾱ_t).",
    ),
    "fraction upside down": (
        lambda t: (1 - AB[t]) / (1 - AB[t - 1]) * B[t],
        "The fraction is upside down: the level t-1 belongs above, so that the result is less than β_t.",
    ),
    "one-minus forgotten": (
        lambda t: AB[t - 1] / AB[t] * B[t],
        "ᾱ is how much picture is left. The formula has how much noise there is, 1-ᾱ.",
    ),
    "standard deviation": (
        lambda t: _posterior(t).sqrt(),
        "This is its root, a standard deviation. The variance is asked for.",
    ),
    "alpha for alpha-bar": (
        lambda t: B[t - 1] / B[t] * B[t],
        "This is β_{t-1}. Is α in the place of ᾱ? 1-α is β, so β_t cancels.",
    ),
    "level t-1": (
        lambda t: _posterior(t - 1),
        "This is the value for t-1: the tables begin with level 0, so index t is level t.",
    ),
    "level t+1": (
        lambda t: (1 - AB[t]) / (1 - AB[t + 1]) * B[t + 1],
        "This is the value for t+1: the step goes from t down to t-1.",
    ),
    "roots of the fraction": (
        lambda t: ((1 - AB[t - 1]) / (1 - AB[t])).sqrt() * B[t],
        "The fraction has no root: all three are variances.",
    ),
    "beta of t-1": (
        lambda t: (1 - AB[t - 1]) / (1 - AB[t]) * B[t - 1],
        "The fraction is right, but it multiplies β_{t-1}: it should be β_t.",
    ),
    "fraction alone": (
        lambda t: (1 - AB[t - 1]) / (1 - AB[t]),
        "This is the fraction alone, which is β̃_t / β_t: multiply it by β_t.",
    ),
    "precision": (
        lambda t: 1 / _posterior(t),
        "This is 1/β̃_t, the coefficient a. The variance is 1/a.",
    ),
    "mean's coefficient": (
        lambda t: AB[t - 1].sqrt() * B[t] / (1 - AB[t]),
        "This is the coefficient of x_0 in equation (4). The variance stands above it.",
    ),
    "alpha in place of beta": (
        lambda t: (1 - AB[t - 1]) / (1 - AB[t]) * A[t],
        "The fraction multiplies α_t: it should be β_t.",
    ),
}


@LAB.exercise("1.8", "How much noise is too little", stars=2, minutes=10)
def check_posterior_variance(my_posterior_variance: Callable) -> str:
    """my_posterior_variance(t) → the number β̃_t."""

    # at larger t some mistakes come near: β_{t-1} does at t = 250; below, 1-ᾱ is rounded too much
    judging.compare(
        my_posterior_variance,
        _posterior,
        lambda: (int(torch.randint(20, 100, ())),),
        POSTERIOR_MISTAKES,
    )
    judging.compare(
        my_posterior_variance,
        _posterior,
        lambda: (2,),
        POSTERIOR_MISTAKES,
        trials=1,
        tolerance=0.01,
    )
    first = float(call(my_posterior_variance, 1))
    if not abs(first) < 1e-9:
        fail(
            "not 0 at t = 1",
            f"at t = 1 it should be 0, you have {first:.3g}: ᾱ_0 is 1, so nothing is uncertain.",
        )
    return "below β_t at each level, 0 at t = 1 and soon nearly β_t."


def _step(x: Tensor, t: int, eps: Tensor, z: Tensor, *, b=B, a=A, ab=AB, noise=None) -> Tensor:
    """Equation (5) with tables of one's choice: x_{t-1} = (x - b/√(1-ab) ε) / √a + noise z."""
    noise = B[t].sqrt() if noise is None else noise
    return (x - b[t] / (1 - ab[t]).sqrt() * eps) / a[t].sqrt() + noise * z


STEP_MISTAKES = {
    "noise forgotten": (
        lambda x, t, eps, z: _step(x, t, eps, 0 * z),
        "z is not used. Without it the samples collapse: put back √β_t z.",
    ),
    "missing square root": (
        lambda x, t, eps, z: _step(x, t, eps, z, noise=B[t]),
        "The fresh noise is multiplied by β_t: is a square root missing?",
    ),
    "beta over root alpha": (
        lambda x, t, eps, z: (x - B[t] / A[t].sqrt() * eps) / A[t].sqrt() + B[t].sqrt() * z,
        "The prediction is multiplied by β/√α: it should be β/√(1-ᾱ).",
    ),
    "alpha and alpha-bar swapped": (
        lambda x, t, eps, z: _step(x, t, eps, z, a=AB, ab=A),
        "α and ᾱ are swapped: √(1-ᾱ) under the prediction, √α under all of it.",
    ),
    "alpha-bar for alpha": (
        lambda x, t, eps, z: _step(x, t, eps, z, a=AB),
        "All is divided by √ᾱ, as for a jump to level 0. One step needs √α.",
    ),
    "no root under the prediction": (
        lambda x, t, eps, z: (x - B[t] / (1 - AB[t]) * eps) / A[t].sqrt() + B[t].sqrt() * z,
        "The prediction is divided by 1-ᾱ: it should be its root.",
    ),
    "jump to level 0": (
        lambda x, t, eps, z: (x - (1 - AB[t]).sqrt() * eps) / A[t].sqrt() + B[t].sqrt() * z,
        "All of the predicted noise is taken away. One step takes only β/√(1-ᾱ) of it.",
    ),
    "division forgotten": (
        lambda x, t, eps, z: x - B[t] / (1 - AB[t]).sqrt() * eps + B[t].sqrt() * z,
        "The division by √α is missing: it undoes the shrinking of equation (1).",
    ),
    "division of x only": (
        lambda x, t, eps, z: x / A[t].sqrt() - B[t] / (1 - AB[t]).sqrt() * eps + B[t].sqrt() * z,
        "Only x is divided by √α: are parentheses missing?",
    ),
    "noise divided as well": (
        lambda x, t, eps, z: _step(x, t, eps, z, noise=(B[t] / A[t]).sqrt()),
        "The fresh noise is divided by √α as well: it is added after the division.",
    ),
    "plus in place of minus": (
        lambda x, t, eps, z: _step(x, t, -eps, z),
        "The predicted noise is added: it must be taken away.",
    ),
    "posterior variance": (
        lambda x, t, eps, z: _step(x, t, eps, z, noise=_posterior(t).sqrt()),
        "The fresh noise has the variance β̃_t. That is a sampler too, but equation (5) here takes σ_t² = β_t.",
    ),
    "level t-1": (
        lambda x, t, eps, z: denoise_add_noise(x, t - 1, eps, z),
        "All tables are read at t-1; x is at level t. Index t is level t, because the tables begin with level 0.",
    ),
    "level t+1": (
        lambda x, t, eps, z: denoise_add_noise(x, t + 1, eps, z),
        "All tables are read at t+1; x is at level t.",
    ),
    "alpha-bar of t-1": (
        lambda x, t, eps, z: _step(x, t, eps, z, ab=torch.cat([AB[:1], AB[:-1]])),
        "ᾱ is read at t-1: x_t holds √(1-ᾱ_t) parts noise.",
    ),
    "alpha for alpha-bar": (
        lambda x, t, eps, z: _step(x, t, eps, z, ab=A),
        "The prediction is divided by √(1-α): it should be √(1-ᾱ), the strength of all the noise.",
    ),
    "prediction not weighted": (
        lambda x, t, eps, z: (x - eps) / A[t].sqrt() + B[t].sqrt() * z,
        "All of pred_noise is taken away: its weight is β/√(1-ᾱ).",
    ),
    "beta alone before the prediction": (
        lambda x, t, eps, z: (x - B[t] * eps) / A[t].sqrt() + B[t].sqrt() * z,
        "The prediction is multiplied by β alone: divide by √(1-ᾱ).",
    ),
    "root of beta before the prediction": (
        lambda x, t, eps, z: (x - B[t].sqrt() / (1 - AB[t]).sqrt() * eps) / A[t].sqrt() + B[t].sqrt() * z,
        "The prediction is multiplied by √β/√(1-ᾱ): there β has no root.",
    ),
    "prediction forgotten": (
        lambda x, t, eps, z: x / A[t].sqrt() + B[t].sqrt() * z,
        "pred_noise is not used: β/√(1-ᾱ) of it is to be taken away.",
    ),
    "multiplied by root alpha": (
        lambda x, t, eps, z: (x - B[t] / (1 - AB[t]).sqrt() * eps) * A[t].sqrt() + B[t].sqrt() * z,
        "It is multiplied by √α: divide, to undo the shrinking of equation (1).",
    ),
    "divided by alpha": (
        lambda x, t, eps, z: (x - B[t] / (1 - AB[t]).sqrt() * eps) / A[t] + B[t].sqrt() * z,
        "It is divided by α: a root is missing.",
    ),
    "noise at full strength": (
        lambda x, t, eps, z: _step(x, t, eps, z, noise=1.0),
        "z is added as it is: multiply it by √β_t.",
    ),
    "all noise put back": (
        lambda x, t, eps, z: _step(x, t, eps, z, noise=(1 - AB[t]).sqrt()),
        "The fresh noise has the strength √(1-ᾱ), as much as there was in x_t. Equation (5) puts back √β_t.",
    ),
    "fresh noise subtracted": (
        lambda x, t, eps, z: _step(x, t, eps, -z),
        "z is subtracted. It draws just as well, but equation (5) adds it.",
    ),
}


@LAB.exercise("1.9", "One step back", stars=2, minutes=10)
def check_denoise_add_noise(my_denoise_add_noise: Callable) -> str:
    """my_denoise_add_noise(x, t, pred_noise, z) → x_{t-1}."""
    # 3e-6 is a few roundings; a division by √α more or less is not much more than that
    _judge_formula(my_denoise_add_noise, denoise_add_noise, STEP_MISTAKES, 3e-6, x=0, pred_noise=2, z=3)
    return "the mean of x_{t-1}, and fresh noise of variance β_t. It agrees with the module."


def _budget(t: int) -> tuple[float, float]:
    return float(B[t] / ((1 - AB[t]) * A[t]).sqrt()), float(B[t].sqrt())


BUDGET_MISTAKES = {
    "minus sign": (
        lambda t: (-_budget(t)[0], _budget(t)[1]),
        "The first has a minus sign: say how much is taken away, a positive number.",
    ),
    "order swapped": (
        lambda t: _budget(t)[::-1],
        "First what is taken away, then what is put back.",
    ),
    "variances": (
        lambda t: tuple(part**2 for part in _budget(t)),
        "These are variances. Strengths, standard deviations, are asked for.",
    ),
    "variance put back": (
        lambda t: (_budget(t)[0], float(B[t])),
        "The second is β_t, a variance. The noise put back has the strength √β_t.",
    ),
    "division forgotten": (
        lambda t: (float(B[t] / (1 - AB[t]).sqrt()), _budget(t)[1]),
        "The first lacks the division by √α, which applies to the prediction as well.",
    ),
    "fresh noise left on": (
        lambda t: (_budget(t)[0] - _budget(t)[1], _budget(t)[1]),
        "With pred_noise = 1, z must be 0, or both effects are mixed.",
    ),
    "prediction left on": (
        lambda t: (_budget(t)[0], _budget(t)[1] - _budget(t)[0]),
        "With z = 1, pred_noise must be 0, or both effects are mixed.",
    ),
    "x left on": (
        lambda t: (_budget(t)[0] - float(1 / A[t].sqrt()), _budget(t)[1]),
        "With x = 1 the picture itself is measured, too: x must be 0.",
    ),
    "x left on in both": (
        lambda t: (_budget(t)[0] - float(1 / A[t].sqrt()), _budget(t)[1] + float(1 / A[t].sqrt())),
        "With x = 1 the picture itself is measured, too: x must be 0 in both.",
    ),
    "what is left of x": (
        lambda t: (float(1 / A[t].sqrt()) - _budget(t)[0], _budget(t)[1]),
        "With x = 1 this is what is left of x. With x = 0, what comes out is minus what is taken away.",
    ),
    "all the noise": (
        lambda t: (float((1 - AB[t]).sqrt()), _budget(t)[1]),
        "√(1-ᾱ) is all the noise in x_t. One step takes only a part of it: measure it.",
    ),
    "posterior variance": (
        lambda t: (_budget(t)[0], float(_posterior(t).sqrt())),
        "The second is √β̃_t. The module's step puts back √β_t.",
    ),
    "level t-1": (
        lambda t: _budget(t - 1),
        "Both are those of level t-1: hand t over as it is.",
    ),
    "level t+1": (
        lambda t: _budget(t + 1),
        "Both are those of level t+1: hand t over as it is.",
    ),
    "both signs": (
        lambda t: (-_budget(t)[0], -_budget(t)[1]),
        "Both have a minus sign: strengths are positive numbers.",
    ),
}


@LAB.exercise("1.10", "Taken away and put back", stars=2, minutes=10)
def check_noise_budget(my_noise_budget: Callable) -> str:
    """my_noise_budget(t) → (strength of the noise taken away, strength of the noise put back)."""
    _judge_twice(
        my_noise_budget,
        (_level(),),
        "random numbers",
        "Feed in zeros and ones: then the answer is exact.",
    )
    judging.compare(my_noise_budget, _budget, lambda: (_level(),), BUDGET_MISTAKES, tolerance=1e-3)
    return "β/√(1-ᾱ) lowers the variance of the noise by 2β, and √β of fresh noise brings back only β."


# ------------------------------------------------------------------------------------ 1.11 and 1.12


class _Watcher:
    """The exact denoiser for data N(0, 1), which notes when it was asked, and about what."""

    def __init__(self) -> None:
        self.times, self.asked = [], []

    def __call__(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        time = float(torch.as_tensor(t).flatten()[0])
        self.times.append(time)
        self.asked.append(x.detach().clone())
        return self.answer(x, round(time * T))

    @staticmethod
    def answer(x: Tensor, t: int) -> Tensor:
        return (1 - AB[max(0, min(t, T))]).sqrt() * x


def _judge_times(times: list[float]) -> None:
    """The model must have been asked at T/T, (T-1)/T, …, 1/T."""
    levels = [round(time * T) for time in times]
    if levels == list(range(T, 0, -1)):
        return
    seen = f"the model was asked {len(times)} times" + (f", from {times[0]:.3f} to {times[-1]:.3f}." if times else ".")
    wanted = f"{seen} It should be {T} times, from 1.000 (t/T at t = T) to {1 / T:.3f} (t = 1)."
    known = {
        "t in place of t/T": (max(times, default=0) > 1.5, "It wants t/T, a number up to 1."),
        "counts upwards": (
            levels == sorted(set(levels)) and len(levels) > 1,
            "Sampling goes down, from t = T to 1.",
        ),
        "noise predicted at t-1": (
            levels == list(range(T - 1, -1, -1)),
            "Each step asks about level t-1; x is at t.",
        ),
        "stops at t = 2": (
            levels == list(range(T, 1, -1)),
            "The step from t = 1 to 0 is missing: range ends early.",
        ),
        "starts at T-1": (
            levels == list(range(T - 1, 0, -1)),
            f"The step from t = {T} is missing.",
        ),
        "asked twice": (
            levels == [t for t in range(T, 0, -1) for _ in range(2)],
            "It is asked twice at each level: once is enough.",
        ),
        "goes on to t = 0": (
            levels == list(range(T, -1, -1)),
            "At t = 0 there is nothing left to do.",
        ),
    }
    for diagnosis, (matches, sentence) in known.items():
        if matches:
            fail(diagnosis, f"{wanted} {sentence}")
    fail("wrong levels", wanted)


def _judge_walk(states: list[Tensor]) -> None:
    """states are x_T … x_0: each must come from the one before, and none may be cut off."""
    start, *walk, result = states
    if all(torch.equal(x, start) for x in walk):
        fail(
            "x is not carried on",
            "the model is asked about x_T in every step: the next step must begin at this one's x.",
        )
    inside = [bool(x.abs().max() <= 1.001) for x in [*walk, result]]
    sentence = "These data go beyond 1, and so does the noise: clip nothing (show_images clips what it shows)."
    if all(inside):
        fail("clipped", f"x is cut off at ±1 after each step. {sentence}")
    if inside[-1] and not any(inside[:-1]) and not _clips_the_guess(states):
        fail("clipped at the end", f"the result is cut off at ±1. {sentence}")


def _remains(states: list[Tensor], noise_of: Callable[[Tensor, int], Tensor] = None) -> list[Tensor]:
    """What is left of each step without its mean, in units of √β_t; ``noise_of(x, t)`` is the prediction it used."""
    noise_of = noise_of or _Watcher.answer
    steps = zip(range(T, 0, -1), states[:-1], states[1:], strict=True)
    return [(x_next - denoise_add_noise(x, t, noise_of(x, t), 0)) / B[t].sqrt() for t, x, x_next in steps]


def _clips_the_guess(states: list[Tensor]) -> bool:
    """Whether the steps are right but for an x̂_0 that was clipped on the way."""

    def noise_of(x: Tensor, t: int) -> Tensor:
        return du.noise_from_x0(x, t, predict_x0(x, t, _Watcher.answer(x, t)).clamp(-1, 1))

    *size, last = (noise.std() for noise in _remains(states, noise_of))
    return last < 0.1 and all(abs(each - 1) < 0.1 for each in size)


def _judge_noise(states: list[Tensor]) -> None:
    """states are x_T … x_0; what remains of each step without its mean must be fresh noise of strength √β_t."""
    z = _remains(states)
    # 1 for t > 1, 0 for t = 1; 1.3 % is one standard error
    size = torch.stack([noise.std() for noise in z])
    mean = torch.stack([noise.mean() for noise in z])
    expected = torch.ones(T).index_fill(0, torch.tensor([T - 1]), 0.0)
    if size.max() < 0.01 and mean.abs().max() > 0.1:
        fail(
            "one number for all",
            "each step adds one and the same number to all values: draw torch.randn_like(x).",
        )
    if mean[:-1].min() > 0.3:
        fail(
            "uniform noise",
            "the noise put back is never negative: torch.rand is uniform, torch.randn is normal.",
        )
    if size.max() < 0.01:
        fail("no noise put back", "no step adds noise: √β_t z is missing, and the samples collapse.")
    if abs(size[-1] - 1) < 0.1 and (size[:-1] - 1).abs().max() < 0.1:
        fail(
            "noise at the last step",
            "the step from t = 1 adds noise too, and nothing removes it again: z = 0 there.",
        )
    if torch.stack([noise.std(dim=0).max() for noise in z[:-1]]).max() < 0.01:
        fail(
            "one noise for all pictures",
            "all pictures get the same z: draw one as large as x, torch.randn_like(x).",
        )
    silent = int((size.flip(0) > 0.01).int().argmax())  # of the last steps
    if silent > 1 and (size[:-silent] - 1).abs().max() < 0.1:
        fail(
            "noise stops too early",
            f"from t = {silent} on no noise is put back. Only the step from t = 1 has none.",
        )
    ratio = torch.stack([_posterior(t) / B[t] for t in range(T, 0, -1)]).sqrt()
    if (size - ratio).abs().max() < 0.08:
        fail(
            "posterior variance",
            "the noise put back has the variance β̃_t. It draws as well; this exercise takes β_t.",
        )
    worst = int((size - expected).abs().argmax())
    if abs(size[worst] - expected[worst]) > 0.1:
        if _clips_the_guess(states):
            fail(
                "x̂_0 clipped",
                "x̂_0 is clipped before the step. Many samplers do; this exercise takes equation (5).",
            )
        found = f"at t = {T - worst} the noise put back is {size[worst]:.2f} times √β_t"
        fail(
            "wrong step",
            f"{found}; it should be {expected[worst]:.0f} times. Is the step equation (5)?",
        )
    if (z[0] * z[1]).mean().abs() > 0.2:
        fail("same noise each step", "each step adds the same z. Draw a fresh one inside the loop.")


@LAB.exercise("1.11", "The sampler", stars=3, minutes=15)
def check_sample_ddpm(my_sample_ddpm: Callable) -> str:
    """my_sample_ddpm(model, x_T) → x_0, all T steps."""
    model, start = _Watcher(), torch.randn(16, 3, 8, 8)
    result = call(my_sample_ddpm, model, start)
    _judge_times(model.times)
    if problem := judging.difference(result, start, tolerance=float("inf")):  # shape, dtype, no NaN
        fail(*problem)
    if not torch.equal(model.asked[0], start):
        fail("does not start from x_T", "the first x that the model sees is not the x_T handed over.")
    states = [*model.asked, result.detach()]
    _judge_walk(states)
    _judge_noise(states)
    return f"{T} steps down from x_T, fresh noise after each but the last."


def _walk(
    schedule: NoiseSchedule,
    m: float,
    *,
    levels: Iterable[int] | None = None,
    share: Callable[[Tensor], Tensor] = lambda ab: (1 - ab).sqrt(),
    centre: Callable[[Tensor], Tensor] = lambda ab: ab.sqrt(),
    noise: float = 0.0,
    start: float = 0.0,
) -> Tensor:
    """Mean and spread at the end, for the prediction share(ᾱ_t) · (x - centre(ᾱ_t) m); as it is, the right one.

    Each step is a straight line, so mean and spread can be followed without drawing a number.
    """
    b_t, a_t, ab_t = schedule.b_t.double(), schedule.a_t.double(), schedule.ab_t.double()
    mean, variance = start, 1.0
    for t in range(schedule.timesteps, 0, -1) if levels is None else levels:
        weight = b_t[t] / (1 - ab_t[t]).sqrt() * share(ab_t[t])
        mean = (mean - weight * (mean - centre(ab_t[t]) * m)) / a_t[t].sqrt()
        variance = (1 - weight) ** 2 * variance / a_t[t] + noise * b_t[t]
    return torch.tensor([float(mean), float(variance) ** 0.5])


DEFAULT = NoiseSchedule.from_betas(B[1:])

COLLAPSE_MISTAKES = {
    "counts upwards": (
        lambda s, m: _walk(s, m, levels=range(1, s.timesteps + 1)),
        "The loop goes up. It must go down, from t = T to 1: the spread comes out the same, the mean does not.",
    ),
    "only one step": (
        lambda s, m: _walk(s, m, levels=[1]),
        "Only the last step counts: does each one go on from the x of the step before?",
    ),
    "first step only": (
        lambda s, m: _walk(s, m, levels=[s.timesteps]),
        "Only the first step is taken: is the return inside the loop?",
    ),
    "stops at t = 2": (
        lambda s, m: _walk(s, m, levels=range(s.timesteps, 1, -1)),
        "The step from t = 1 to 0 is missing: range ends early.",
    ),
    "starts at T-1": (
        lambda s, m: _walk(s, m, levels=range(s.timesteps - 1, 0, -1)),
        "The step from t = T is missing: the first level is T.",
    ),
    "default schedule": (
        lambda s, m: _walk(DEFAULT, m, levels=range(s.timesteps, 0, -1)),
        "The tables of the course's schedule are used: take those of the schedule handed over, in the step as well.",
    ),
    "noise put back": (
        lambda s, m: _walk(s, m, noise=1.0),
        "Noise is put back. z must be 0: with None denoise_add_noise draws its own.",
    ),
    "prediction forgotten": (
        lambda s, m: _walk(s, m, share=lambda ab: 0 * ab),
        "The numbers grew: the predicted noise is not taken away.",
    ),
    "missing square root": (
        lambda s, m: _walk(s, m, share=lambda ab: 1 - ab),
        "Is a square root missing in the prediction? It is √(1-ᾱ_t) (x_t - √ᾱ_t m).",
    ),
    "missing square root before m": (
        lambda s, m: _walk(s, m, centre=lambda ab: ab),
        "Is a square root missing before m? The prediction is √(1-ᾱ_t) (x_t - √ᾱ_t m).",
    ),
    "m not shrunk": (
        lambda s, m: _walk(s, m, centre=torch.ones_like),
        "m is subtracted as it is. At level t the mean is √ᾱ_t m.",
    ),
    "m forgotten": (
        lambda s, m: _walk(s, m, centre=lambda ab: 0 * ab),
        "The mean m is not used: the prediction is √(1-ᾱ_t) (x_t - √ᾱ_t m).",
    ),
    "difference as prediction": (
        lambda s, m: _walk(s, m, share=torch.ones_like),
        "Is all of the difference taken for noise? Multiply it by √(1-ᾱ_t).",
    ),
    "starts at the data": (
        lambda s, m: _walk(s, m, start=m),
        "It starts around m. Sampling starts from pure noise, of mean 0.",
    ),
    "variance": (
        lambda s, m: _walk(s, m) ** torch.tensor([1, 2]),
        "The second is the variance: the spread is its root, x.std().",
    ),
    "order swapped": (
        lambda s, m: _walk(s, m).flip(0),
        "First the mean, then the spread.",
    ),
    "mean of the data": (
        lambda s, m: torch.tensor([m, 1.0]),
        "These are the data's own mean and spread. Take the steps, and measure what comes out.",
    ),
}


@LAB.exercise("1.12", "What is left without noise", stars=3, minutes=15)
def check_collapse(my_collapse: Callable) -> str:
    """my_collapse(schedule, m) → mean and spread at the end of the incorrect sampler, for data N(m, 1)."""

    def draw() -> tuple[NoiseSchedule, float]:
        betas = torch.linspace(0.1, 0.3, int(torch.randint(6, 10, ())))  # few and large, so that each mistake shows
        return NoiseSchedule.from_betas(betas), 2 + float(torch.rand(()))

    @functools.wraps(my_collapse)
    def as_tensor(schedule: NoiseSchedule, m: float) -> Tensor:
        return torch.tensor([float(part) for part in my_collapse(schedule, m)])

    def described(args: tuple, got: Tensor, expected: Tensor) -> str:
        (mean, spread), (right_mean, right_spread) = got.tolist(), expected.tolist()
        wanted = f"it should be {right_mean:.3f} and {right_spread:.3f}"
        return f"{args[0].timesteps} levels, m = {args[1]:.2f}: mean {mean:.3f}, spread {spread:.3f}; {wanted}."

    if problem := judging.difference(call(my_collapse, *draw()), (1.0, 1.0), float("inf")):  # two numbers?
        fail(*problem)
    # 50,000 numbers know both to half a percent
    judging.compare(as_tensor, _walk, draw, COLLAPSE_MISTAKES, described, tolerance=0.015)
    return "the mean is nearly m, and the spread √ᾱ_T: the walk loses all that was not put back."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

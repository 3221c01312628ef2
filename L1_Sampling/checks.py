"""The checks of Lab 1's exercises: `check_x(my_x)` says whether my_x is right, and if not, what is probably wrong.

Each compares with the module or a closed form, on fresh random inputs. The mistakes are written out, one line each, so
that this file is also a list of what goes wrong in practice. Do the exercises before you read it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion_utilities import (
    NoiseSchedule,
    denoise_add_noise,
    linear_schedule,
    perturb_input,
    predict_x0,
)
from exercise_tools.kit import Lab, call, compare, difference, fail, strengths

LAB = Lab(__file__)
progress, yours = LAB.progress, LAB.yours

SCHEDULE = linear_schedule()
B, A, AB = SCHEDULE.b_t, SCHEDULE.a_t, SCHEDULE.ab_t
T = SCHEDULE.timesteps


def _level() -> int:
    """A level at which no two shares are nearly equal, so that no mistake hides."""
    return int(torch.randint(50, 451, ()))


def _pictures(n: int) -> list[Tensor]:
    return [torch.randn(4, 3, 8, 8) for _ in range(n)]


# ------------------------------------------------------------------------------------------------------- 1.1 to 1.3


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
}


@LAB.exercise("1.1", "The noise schedule", stars=2, minutes=10)
def check_linear_schedule(my_linear_schedule: Callable) -> str:
    """my_linear_schedule(timesteps, beta1, beta2) → b_t, a_t, ab_t, each (T+1,)."""

    def right(timesteps: int, beta1: float, beta2: float) -> tuple[Tensor, Tensor, Tensor]:
        schedule = linear_schedule(timesteps, beta1, beta2)
        return schedule.b_t, schedule.a_t, schedule.ab_t

    def draw() -> tuple[int, float, float]:
        return (
            int(torch.randint(20, 600, ())),
            float(torch.rand(()) + 1) * 1e-3,
            float(torch.rand(()) + 1) * 0.02,
        )

    compare(my_linear_schedule, right, draw, SCHEDULE_MISTAKES)
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
}


@LAB.exercise("1.2", "Noise a picture", stars=1, minutes=5)
def check_perturb_input(my_perturb_input: Callable) -> str:
    """my_perturb_input(x, t, noise) → x_t, for one level t."""

    def draw() -> tuple[Tensor, int, Tensor]:
        x, noise = _pictures(2)
        return x, _level(), noise

    compare(my_perturb_input, perturb_input, draw, PERTURB_MISTAKES, strengths(x=0, noise=2, t=1))
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
        "power is a mean square: together with √ᾱ it needs its root as well.",
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
}


@LAB.exercise("1.3", "When noise wins", stars=2, minutes=10)
def check_crossover(my_crossover: Callable) -> str:
    """my_crossover(ab_t, power) → int, the first t at which the noise is stronger than the picture."""

    def draw() -> tuple[Tensor, float]:
        schedule = linear_schedule(int(torch.randint(400, 800, ())), beta2=float(torch.rand(()) + 1) * 0.02)
        return schedule.ab_t, 0.3 + 0.4 * float(torch.rand(()))

    compare(my_crossover, _crossover, draw, CROSSOVER_MISTAKES, tolerance=1e-6)
    return "the first t with 1-ᾱ_t > ᾱ_t · power. Weaker pictures drown earlier."


# ------------------------------------------------------------------------------------------------------- 1.4 to 1.7

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
}


@LAB.exercise("1.4", "Back in one jump", stars=1, minutes=5)
def check_predict_x0(my_predict_x0: Callable) -> str:
    """my_predict_x0(x, t, pred_noise) → x̂_0."""

    def draw() -> tuple[Tensor, int, Tensor]:
        x, pred_noise = _pictures(2)
        return x, _level(), pred_noise

    compare(my_predict_x0, predict_x0, draw, PREDICT_MISTAKES, strengths(x=0, pred_noise=2, t=1))
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
        "Is α in the place of ᾱ? 1-α is β, so β_t cancels.",
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
}


@LAB.exercise("1.5", "How much noise is too little", stars=2, minutes=10)
def check_posterior_variance(my_posterior_variance: Callable) -> str:
    """my_posterior_variance(t) → the number β̃_t."""

    def draw() -> tuple[int]:
        # it still differs from β_t, and 1-ᾱ is not rounded too much
        return (int(torch.randint(100, 250, ())),)

    compare(my_posterior_variance, _posterior, draw, POSTERIOR_MISTAKES)
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
}


@LAB.exercise("1.6", "One step back", stars=2, minutes=10)
def check_denoise_add_noise(my_denoise_add_noise: Callable) -> str:
    """my_denoise_add_noise(x, t, pred_noise, z) → x_{t-1}."""

    def draw() -> tuple[Tensor, int, Tensor, Tensor]:
        x, pred_noise, z = _pictures(3)
        return x, _level(), pred_noise, z

    describe = strengths(x=0, pred_noise=2, z=3, t=1)
    # 3e-6 is a few roundings; a division by √α more or less is not much more than that
    compare(my_denoise_add_noise, denoise_add_noise, draw, STEP_MISTAKES, describe, tolerance=3e-6)
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
}


@LAB.exercise("1.7", "Taken away and put back", stars=2, minutes=10)
def check_noise_budget(my_noise_budget: Callable) -> str:
    """my_noise_budget(t) → (strength of the noise taken away, strength of the noise put back)."""
    compare(my_noise_budget, _budget, lambda: (_level(),), BUDGET_MISTAKES, tolerance=1e-3)
    return "β/√(1-ᾱ) lowers the variance of the noise by 2β, and √β of fresh noise brings back only β."


# ------------------------------------------------------------------------------------------------------- 1.8 and 1.9


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
        "goes on to t = 0": (
            levels == list(range(T, -1, -1)),
            "At t = 0 there is nothing left to do.",
        ),
    }
    for diagnosis, (matches, sentence) in known.items():
        if matches:
            fail(diagnosis, f"{wanted} {sentence}")
    fail("wrong levels", wanted)


def _judge_noise(states: list[Tensor]) -> None:
    """states are x_T … x_0; what remains of each step without its mean must be fresh noise of strength √β_t."""
    z = []
    for t, x, x_next in zip(range(T, 0, -1), states[:-1], states[1:], strict=True):
        mean = denoise_add_noise(x, t, _Watcher.answer(x, t), 0)
        z.append((x_next - mean) / B[t].sqrt())
    # 1 for t > 1, 0 for t = 1; 1.3 % is one standard error
    size = torch.stack([noise.std() for noise in z])
    mean = torch.stack([noise.mean() for noise in z])
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
    expected = torch.ones(T).index_fill(0, torch.tensor([T - 1]), 0.0)
    worst = int((size - expected).abs().argmax())
    if abs(size[worst] - expected[worst]) > 0.1:
        found = f"at t = {T - worst} the noise put back is {size[worst]:.2f} times √β_t"
        fail(
            "wrong step",
            f"{found}; it should be {expected[worst]:.0f} times. Is the step equation (5)?",
        )
    if (z[0] * z[1]).mean().abs() > 0.2:
        fail("same noise each step", "each step adds the same z. Draw a fresh one inside the loop.")


@LAB.exercise("1.8", "The sampler", stars=3, minutes=15)
def check_sample_ddpm(my_sample_ddpm: Callable) -> str:
    """my_sample_ddpm(model, x_T) → x_0, all T steps."""
    model, start = _Watcher(), torch.randn(16, 3, 8, 8)
    result = call(my_sample_ddpm, model, start)
    _judge_times(model.times)
    if problem := difference(result, start, tolerance=float("inf")):  # shape, dtype, no NaN
        fail(*problem)
    if not torch.equal(model.asked[0], start):
        fail("does not start from x_T", "the first x that the model sees is not the x_T handed over.")
    _judge_noise([*model.asked, result.detach()])
    return f"{T} steps down from x_T, fresh noise after each but the last."


def _spread(timesteps: int, schedule: NoiseSchedule | None = None) -> float:
    return float((schedule or linear_schedule(timesteps)).ab_t[timesteps].sqrt())


def _product(timesteps: int, share: Callable[[Tensor], Tensor]) -> float:
    """The spread at the end if the prediction is ``share(ᾱ_t)`` times x."""
    schedule = linear_schedule(timesteps)
    b_t, ab_t = schedule.b_t[1:], schedule.ab_t[1:]
    return float(((1 - b_t / (1 - ab_t).sqrt() * share(ab_t)) / (1 - b_t).sqrt()).prod().abs())


SPREAD_MISTAKES = {
    "variance": (
        lambda n: _spread(n) ** 2,
        "This is the variance: the spread is its root, x.std().",
    ),
    "schedule of 500 levels": (
        lambda n: _spread(n, SCHEDULE),
        "The tables used are those of 500 levels: make linear_schedule(timesteps) and hand it over as schedule=.",
    ),
    "does not shrink": (
        lambda n: 1.0,
        "Is noise put back (z must be 0)? Or does a step not go on from the x of the step before?",
    ),
    "prediction forgotten": (
        lambda n: _product(n, lambda ab: 0 * ab),
        "The numbers grew: the predicted noise is not taken away.",
    ),
    "missing square root": (
        lambda n: _product(n, lambda ab: 1 - ab),
        "Is a square root missing in the prediction? For m = 0, s = 1 it is √(1-ᾱ_t) x_t.",
    ),
    "x as prediction": (
        lambda n: _product(n, torch.ones_like),
        "Is all of x taken for noise? For m = 0, s = 1 the prediction is √(1-ᾱ_t) x_t.",
    ),
}


@LAB.exercise("1.9", "The collapse, level by level", stars=3, minutes=15)
def check_spread_without_noise(my_spread_without_noise: Callable) -> str:
    """my_spread_without_noise(timesteps) → the spread at the end of the incorrect sampler, for data N(0, 1)."""

    def draw() -> tuple[int]:
        return (int(torch.randint(180, 260, ())),)  # where no two of the mistakes come out alike

    # 50,000 numbers know it to 0.3 %
    compare(my_spread_without_noise, _spread, draw, SPREAD_MISTAKES, tolerance=0.02)
    return "√ᾱ_T of the schedule in use: every further level shrinks the spread a little more."


__all__ = ["LAB", "progress", "yours", *(f"check_{name}" for name in LAB.exercises)]

"""Compare a learner's result with the right one, and if it is wrong, with those of classic mistakes."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from exercise_tools.running import call, fail


def difference(got: object, expected: object, tolerance: float = 1e-4, name: str = "the result") -> tuple | None:
    """None where the two are equal, else (diagnosis, message). Kind, shape, dtype and device come before values.

    Expected may be a tensor, a number (any tensor of one value will do for it), or a tuple or list of such.
    ``tolerance`` is a share of its largest value.
    """
    if isinstance(expected, tuple | list):
        return _first_difference(got, expected, tolerance, name)
    if isinstance(expected, Tensor) and expected.ndim > 0:
        return _kind_difference(got, expected, name) or _value_difference(got, expected, tolerance, name)
    if isinstance(got, Real) or (isinstance(got, Tensor) and got.numel() == 1):
        return _value_difference(torch.tensor(float(got)), torch.tensor(float(expected)), tolerance, name)
    return "not a number", f"{name} should be one number, it is a {type(got).__name__}."


def _first_difference(got: object, expected: tuple | list, tolerance: float, name: str) -> tuple | None:
    if not isinstance(got, tuple | list) or len(got) != len(expected):
        count = len(got) if isinstance(got, tuple | list) else f"one {type(got).__name__}"
        return "wrong number of results", f"{name} should have {len(expected)} parts, it has {count}."
    for i, (mine, wanted) in enumerate(zip(got, expected, strict=True), start=1):
        if problem := difference(mine, wanted, tolerance, f"part {i} of {name}"):
            return problem
    return None


def _kind_difference(got: object, expected: Tensor, name: str) -> tuple | None:
    if not isinstance(got, Tensor):
        shape, kind = tuple(expected.shape), type(got).__name__
        return "not a tensor", f"{name} should be a tensor of shape {shape}, it is a {kind}."
    for what, read in (
        ("shape", lambda x: tuple(x.shape)),
        ("dtype", lambda x: x.dtype),
        ("device", lambda x: x.device),
    ):
        if read(got) != read(expected):
            return f"wrong {what}", f"{name} should have {what} {read(expected)}, it has {read(got)}."
    return None


def _value_difference(got: Tensor, expected: Tensor, tolerance: float, name: str) -> tuple | None:
    got, expected = got.detach().double(), expected.detach().double()
    if not got.isfinite().all():
        return "not finite", f"{name} holds NaN or infinite values."
    error = (got - expected).abs()
    if error.numel() == 0 or error.max() <= tolerance * expected.abs().max():
        return None
    where = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
    place = f", most at {list(where)}" if where else ""
    return "wrong values", f"{name} is wrong{place}: expected {expected[where]:.4g}, got {got[where]:.4g}."


def compare(
    function: Callable,
    right: Callable,
    draw: Callable[[], tuple],
    mistakes: dict[str, tuple[Callable, str]],
    describe: Callable[[tuple, object, object], str | None] | None = None,
    trials: int = 3,
    tolerance: float = 1e-4,
) -> None:
    """Fail unless the learner's function gives what ``right`` gives, on several inputs drawn by ``draw``.

    Args:
        mistakes: diagnosis → (a function that makes this mistake, a sentence that explains it). The first one that
            gives the same wrong results as the learner's is the diagnosis.
        describe: what was expected and what came, from (args, got, expected); None takes the largest difference.
    """
    runs = [(args, call(function, *args), right(*args)) for args in (draw() for _ in range(trials))]
    problems = [(difference(got, expected, tolerance), args, got, expected) for args, got, expected in runs]
    wrong = [problem for problem in problems if problem[0]]
    if not wrong:
        return
    (diagnosis, message), args, got, expected = wrong[0]
    if describe and diagnosis == "wrong values":
        message = describe(args, got, expected) or message
    if all(isinstance(arg, Real) for arg in args):  # then the learner can try it again
        message = f"for {', '.join(f'{arg:.4g}' for arg in args)}: {message}"
    for name, (mistake, sentence) in mistakes.items():
        if all(difference(got, mistake(*args), tolerance) is None for args, got, _ in runs):
            fail(name, f"{message} {sentence}")
    fail(diagnosis, message)


def strengths(t: int | None = None, **inputs: int) -> Callable[[tuple, Tensor, Tensor], str | None]:
    """A ``describe`` for formulas that are sums of inputs: "at t = 100 you made 0.9 x + 0.19 noise; it should be …".

    ``strengths(x=0, noise=2, t=1)`` says that x is the first argument, noise the third, t (one int) the second.
    """

    def formula(columns: Tensor, result: Tensor) -> str | None:
        flat = result.detach().double().reshape(-1, 1)
        weights = torch.linalg.lstsq(columns, flat).solution
        if not torch.allclose(columns @ weights, flat, atol=1e-3):  # no sum of the inputs
            return None
        weights = [round(w, 6) for w in weights[:, 0].tolist()]
        parts = [f"{'-' if w < 0 else '+'} {abs(w):.4g} {name}" for w, name in zip(weights, inputs, strict=True)]
        return " ".join(parts).removeprefix("+ ")

    def describe(args: tuple, got: Tensor, expected: Tensor) -> str | None:
        columns = torch.stack([args[i].double().flatten() for i in inputs.values()], dim=1)
        mine, wanted = formula(columns, got), formula(columns, expected)
        level = "" if t is None else f"at t = {args[t]} "
        return mine and wanted and f"{level}you made {mine}; it should be {wanted}."

    return describe

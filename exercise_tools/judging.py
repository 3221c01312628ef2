"""Compare a learner's result with the right one, and if wrong, with those of classic mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from exercise_tools.running import call, fail

Problem = tuple[str, str] | None  # diagnosis and message; None where nothing is wrong
Describe = Callable[[tuple, object, object], str | None]  # (args, got, expected) → message


def difference(
    got: object,
    expected: object,
    tolerance: float = 1e-4,
    name: str = "the result",
) -> Problem:
    """None where the two are equal, else (diagnosis, message); shape, dtype, device before values.

    Expected may be a tensor, a number (for which any tensor or NumPy array of one value will do),
    or a tuple or list of such. ``tolerance`` is a share of its largest value. The message says what
    was expected, what came and, where that can be told, how to get from one to the other.
    """
    if isinstance(expected, tuple | list):
        return _first_difference(got, expected, tolerance, name)
    if isinstance(expected, Tensor) and expected.ndim > 0:
        problem = _kind_difference(got, expected, name)
        return problem or _value_difference(got, expected, tolerance, name)
    if _is_number(got):
        mine = float(got.item() if isinstance(got, Tensor | np.ndarray) else got)
        pair = torch.tensor([mine, float(expected)], dtype=torch.float64)
        return _value_difference(*pair, tolerance, name)
    return "not a number", f"{name} should be one number, it is {_described(got)}."


def _is_number(got: object) -> bool:
    if isinstance(got, Tensor):
        return got.numel() == 1 and not got.is_complex() and got.dtype != torch.bool
    if isinstance(got, np.ndarray):
        return got.size == 1 and got.dtype.kind in "iuf"
    return isinstance(got, Real) and not isinstance(got, bool)


def _described(got: object) -> str:
    """What came, in words: "a list of length 3"."""
    kind = type(got).__name__
    article = "an" if kind[0] in "aeiouAEIOU" else "a"
    if got is None:
        return "None: is a value missing in your `return`?"
    if isinstance(got, Tensor):
        return f"a tensor of shape {tuple(got.shape)}, dtype {got.dtype}"
    if isinstance(got, np.ndarray):
        return f"a NumPy array of shape {got.shape}, dtype {got.dtype}"
    if isinstance(got, Iterator):
        return f"{article} {kind}, of which nothing is computed yet: `return` the values themselves"
    if isinstance(got, tuple) and len(got) == 1:
        return "a tuple of length 1: is there a comma too many behind your result?"
    if isinstance(got, Sized):
        return f"{article} {kind} of length {len(got)}"
    if callable(got):
        return f"{article} {kind}: are the parentheses of a call missing?"
    return f"{article} {kind}"


def _first_difference(got: object, expected: tuple | list, tolerance: float, name: str) -> Problem:
    if not isinstance(got, tuple | list) or len(got) != len(expected):
        parts = f"{len(expected)} parts, as a tuple or list"
        return "wrong number of results", f"{name} should be {parts}; it is {_described(got)}."
    for i, (mine, wanted) in enumerate(zip(got, expected, strict=True), start=1):
        if problem := difference(mine, wanted, tolerance, f"part {i} of {name}"):
            return problem
    return None


def _kind_difference(got: object, expected: Tensor, name: str) -> Problem:
    if not isinstance(got, Tensor):
        wanted = f"a tensor of shape {tuple(expected.shape)}"
        message = f"{name} should be {wanted}, it is {_described(got)}."
        return "not a tensor", message + _way_to_a_tensor(got, expected.dtype)
    if got.shape != expected.shape:
        message = f"{name} should have shape {tuple(expected.shape)}, it has {tuple(got.shape)}"
        return "wrong shape", f"{message}{_shape_hint(got, expected)}."
    for what in ("dtype", "device"):
        mine, wanted = getattr(got, what), getattr(expected, what)
        if mine != wanted:
            way = f".to({wanted})" if what == "dtype" else f'.to("{wanted}")'
            message = f"{name} should have {what} {wanted}, it has {mine}: {way} converts it."
            return f"wrong {what}", message
    return None


def _way_to_a_tensor(got: object, dtype: torch.dtype) -> str:
    """What makes a tensor of it; nothing where no single call does."""
    if isinstance(got, np.ndarray | np.generic):
        return f" torch.as_tensor(…, dtype={dtype}) makes a tensor of it."
    if not isinstance(got, list | tuple) or len(got) < 2:
        return ""
    if all(isinstance(item, Tensor) for item in got):
        return " torch.stack or torch.cat makes one tensor of its tensors."
    if all(isinstance(item, Real | list | tuple) for item in got):
        return f" torch.tensor(…, dtype={dtype}) makes a tensor of it."
    return ""


def _shape_hint(got: Tensor, expected: Tensor) -> str:
    mine, wanted = list(got.shape), list(expected.shape)
    if sorted(mine) == sorted(wanted):
        return ": the axes are in another order"
    if [n for n in mine if n != 1] == [n for n in wanted if n != 1]:
        return f": too {'many' if len(mine) > len(wanted) else 'few'} axes of length 1"
    if not mine:
        return ", one number: is a mean or a sum taken over too much?"
    return ""


def _value_difference(got: Tensor, expected: Tensor, tolerance: float, name: str) -> Problem:
    got, expected = got.detach().double(), expected.detach().double()
    if broken := int((~got.isfinite()).sum()):
        message = (
            f"{name} should be finite, but {broken} of {got.numel()} values are NaN or infinite: "
            "is something divided by 0, or is a root taken of what is below 0?"
        )
        return "not finite", message
    error = (got - expected).abs()
    if error.numel() == 0 or error.max() <= tolerance * expected.abs().max():
        return None
    where = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
    place = f", most at {list(where)}" if where else ""
    wanted, mine = _apart(expected[where].item(), got[where].item())
    return "wrong values", f"{name} is wrong{place}: expected {wanted}, got {mine}."


def _apart(a: float, b: float) -> tuple[str, str]:
    """Both with as many digits as it takes to tell them apart, at least four."""
    texts = ((f"{a:.{digits}g}", f"{b:.{digits}g}") for digits in range(4, 18))
    return next((pair for pair in texts if pair[0] != pair[1]), (repr(a), repr(b)))


def compare(
    function: Callable,
    right: Callable,
    draw: Callable[[], tuple],
    mistakes: dict[str, tuple[Callable, str]],
    describe: Describe | None = None,
    trials: int = 3,
    tolerance: float = 1e-4,
) -> None:
    """Fail unless the learner's function gives what ``right`` gives, on inputs that ``draw`` draws.

    Args:
        mistakes: diagnosis → (a function that makes this mistake, a sentence that explains it). The
            first one that gives the same wrong results as the learner's is the diagnosis.
        describe: what was expected and what came, from (args, got, expected); where it gives None,
            or is None, the place of the largest difference is said.
        trials: how many inputs are drawn.
        tolerance: as in `difference`.

    Raises:
        Failed: the learner's function fails in `call`, or gives something else than ``right``.
    """
    runs = [(args, call(function, *args), right(*args)) for args in (draw() for _ in range(trials))]
    problems = [(difference(run[1], run[2], tolerance), *run) for run in runs]
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


def strengths(t: int | None = None, **inputs: int) -> Describe:
    """A ``describe`` for formulas that are sums of inputs.

    "at t = 100 you made 0.9 x + 0.19 noise; it should be …": ``strengths(x=0, noise=2, t=1)`` says
    that x is the first argument, noise the third, t (one int) the second. Where the result is no
    such sum, or its weights differ only in digits that are not shown, the description is None.
    """

    def formula(columns: Tensor, result: Tensor) -> str | None:
        flat = result.detach().double().reshape(-1, 1)
        weights = torch.linalg.lstsq(columns, flat).solution
        if not torch.allclose(columns @ weights, flat, atol=1e-3):  # no sum of the inputs
            return None
        weights = [round(w, 6) for w in weights[:, 0].tolist()]
        pairs = zip(weights, inputs, strict=True)
        parts = [f"{'-' if w < 0 else '+'} {abs(w):.4g} {name}" for w, name in pairs]
        return " ".join(parts).removeprefix("+ ")

    def describe(args: tuple, got: Tensor, expected: Tensor) -> str | None:
        columns = torch.stack([args[i].double().flatten() for i in inputs.values()], dim=1)
        mine, wanted = formula(columns, got), formula(columns, expected)
        level = "" if t is None else f"at t = {args[t]} "
        if not mine or not wanted or mine == wanted:
            return None
        return f"{level}you made {mine}; it should be {wanted}."

    return describe

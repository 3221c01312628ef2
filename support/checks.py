"""What is asked at the doors: a clear error for what cannot be meant, in place of a wrong result.

Where an answer lies on a GPU, which would have to be waited for, nothing is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor


def whole(value: object, name: str, least: int, most: int | None = None) -> int:
    """A whole number as an int; ValueError for anything else, ``True`` among it."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        wanted = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise ValueError(f"expected {name} as a whole number {wanted}, got {value!r:.80}")
    return int(value)


def number(value: object, name: str, least: float = -math.inf, most: float = math.inf) -> float:
    """A number; ValueError for anything else, NaN and ``True`` among it, and for one out of range."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        wanted = "as a number" if (least, most) == (-math.inf, math.inf) else f"from {least} to {most}"
        raise ValueError(f"expected {name} {wanted}, got {value!r:.80}")
    return value


def finite(value: object, name: str) -> float:
    """A finite number."""
    if math.isinf(number(value, name)):
        raise ValueError(f"expected {name} as a finite number, got {value}")
    return value


def same_shape(**given: object) -> None:
    """ValueError unless all are tensors of one shape: broadcasting would silently give a wrong result."""
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"expected {name} to be a tensor, got {type(value).__name__}")
    if len({value.shape for value in given.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in given.items())
        raise ValueError(f"expected tensors of one shape, got {shapes}")


def noise(x: object, given: object) -> None:
    """Noise for pictures: of their shape, or a batch of noises for one picture."""
    same_shape(x=x)
    same_shape(noise=given)
    a_batch = given.ndim == x.ndim > 1 and len(x) == 1 and given.shape[1:] == x.shape[1:]
    if not a_batch and (given.ndim > x.ndim + 1 or given.shape[given.ndim - x.ndim :] != x.shape):
        raise ValueError(f"expected noise of the shape of x, {tuple(x.shape)}, got {tuple(given.shape)}")


def level(t: int | Tensor, least: int, timesteps: int) -> int:
    """One noise level for all pictures, as an int; a tensor of one whole number will do."""
    if isinstance(t, Tensor) and t.numel() == 1 and not t.is_floating_point() and t.dtype != torch.bool:
        t = int(t)
    return whole(t, "a noise level t", least, timesteps)


def levels_down(t: int | Tensor, t_next: int | Tensor, timesteps: int) -> tuple[int, int]:
    """Two levels, T >= t > t_next >= 0, as ints."""
    t, t_next = level(t, 1, timesteps), level(t_next, 0, timesteps)
    if t_next >= t:
        raise ValueError(f"expected a step down, {timesteps} >= t > t_next >= 0, got t={t} and t_next={t_next}")
    return t, t_next


def levels(t: int | Tensor, n: int, timesteps: int) -> Tensor:
    """Noise levels as a tensor of whole numbers: of shape () for one int, (n,) or (1,) for a tensor."""
    if isinstance(t, list | tuple | np.ndarray):
        t = torch.as_tensor(t)
    if not isinstance(t, Tensor):
        return torch.tensor(whole(t, "a noise level t", 0, timesteps))
    if t.is_floating_point() or t.is_complex() or t.dtype == torch.bool:
        raise ValueError(f"expected noise levels t of whole numbers, got {t.dtype}")
    if t.ndim > 0 and t.numel() not in (1, n):
        raise ValueError(f"expected one t, or one for each of the {n} pictures, got {tuple(t.shape)}")
    if t.device.type == "cpu" and not 0 <= int(t.min()) <= int(t.max()) <= timesteps:
        raise ValueError(f"expected noise levels t from 0 to {timesteps}, got {t.tolist()}")
    return t.long() if t.ndim == 0 else t.reshape(-1).long()


def network_inputs(network: nn.Module, x: Tensor, t: Tensor | float, c: Tensor | None) -> Tensor:
    """What a ContextUnet is given fits; t / T as (n, 1), or (1, 1) where one is for all."""
    same_shape(x=x)
    n, expected = x.shape[0], (network.in_channels, network.height, network.height)
    if x.ndim != 4 or x.shape[1:] != expected:
        shape = f"(n, {', '.join(map(str, expected))})"
        raise ValueError(f"this network takes pictures of shape {shape}, not {tuple(x.shape)}")
    t = t if isinstance(t, Tensor) else torch.as_tensor(number(t, "t / T"))
    if t.device.type == "cpu" and not bool(((t >= 0) & (t <= 1)).all()):
        raise ValueError(f"expected t / T, from 0 to 1, got t = {t.flatten()[0].item()}: divide the level by T")
    if t.numel() not in (1, n):
        raise ValueError(f"t needs 1 value or one for each of the {n} pictures, not shape {tuple(t.shape)}")
    if c is not None:
        same_shape(context=c)
        if c.shape != (n, network.n_cfeat):
            raise ValueError(f"context must have shape ({n}, {network.n_cfeat}), not {tuple(c.shape)}")
    return t.to(x).reshape(-1, 1)


def sizes(n_feat: int, height: int, **others: int) -> None:
    """Sizes that a ContextUnet can have."""
    for name, value in {"n_feat": n_feat, "height": height, **others}.items():
        whole(value, name, 1)
    if n_feat % 8 or height % 4:
        wanted = "n_feat a multiple of 8 and height a multiple of 4"
        raise ValueError(f"expected {wanted}, got n_feat={n_feat} and height={height}")


def schedule(b_t: Tensor, a_t: Tensor, ab_t: Tensor) -> None:
    """ValueError unless the three tables belong together."""
    same_shape(b_t=b_t, a_t=a_t, ab_t=ab_t)
    b_t, a_t, ab_t = (table.double().cpu() for table in (b_t, a_t, ab_t))
    if b_t.ndim != 1 or len(b_t) < 2:
        raise ValueError(f"a schedule needs tables of shape (T+1,) with T >= 1, not {tuple(b_t.shape)}")
    product = ab_t[:-1] * a_t[1:]
    rules = {
        "b_t[0] = 0, a_t[0] = 1 and ab_t[0] = 1": (b_t[0], a_t[0], ab_t[0]) == (0, 1, 1),
        "0 < b_t <= 1 for t >= 1": bool(((b_t[1:] > 0) & (b_t[1:] <= 1)).all()),
        "a_t = 1 - b_t": torch.allclose(a_t, 1 - b_t, atol=1e-6),
        "ab_t falls and stays >= 0 (in float32)": bool((ab_t.diff() < 0).all() and (ab_t >= 0).all()),
        "ab_t = ab_(t-1) * a_t": torch.allclose(ab_t[1:], product, rtol=1e-4, atol=1e-7),
    }
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        raise ValueError(f"not a noise schedule: it must be that {'; '.join(broken)}")


def start(x: object, shape: tuple[int, ...], model: Callable) -> Tensor:
    """Pictures to start from: finite numbers, as many as asked for, of the model's form if it has one."""
    same_shape(x=x)
    if not hasattr(model, "in_channels"):
        shape = (shape[0], *x.shape[1:])
    if x.shape != shape or not x.is_floating_point() or not x.isfinite().all():
        raise ValueError(f"expected x of shape {shape} and finite numbers, got {x.dtype} {tuple(x.shape)}")
    return x


def same_form(one: nn.Module, other: nn.Module) -> None:
    """ValueError unless two networks have weights of the same shapes."""
    if not isinstance(one, nn.Module) or not isinstance(other, nn.Module):
        raise ValueError(f"expected two networks, got {type(one).__name__} and {type(other).__name__}")
    shapes = [[value.shape for value in network.state_dict().values()] for network in (one, other)]
    if shapes[0] != shapes[1]:
        raise ValueError("expected two networks of the same form, so that each weight has its partner")


def betas(given: object) -> Tensor:
    """β_1 … β_T as a tensor of shape (T,)."""
    same_shape(betas=given)
    if given.ndim != 1 or len(given) < 1:
        raise ValueError(f"expected betas of shape (T,) with T >= 1, got {tuple(given.shape)}")
    return given


def interval(given: object) -> tuple[float, float]:
    """Two levels, 0 <= low <= high."""
    try:
        low, high = given
    except (TypeError, ValueError):
        raise ValueError(f"expected levels as a pair (low, high), got {given!r:.80}") from None
    if not 0 <= number(low, "the first of the levels") <= number(high, "the last of the levels"):
        raise ValueError(f"expected levels with 0 <= low <= high, got {given}")
    return low, high


def sprites(given: object, ndim: int) -> np.ndarray:
    """Sprites uint8 (h, w, 3), or (n, h, w, 3) where ndim is 4, whatever their strides."""
    given = np.asarray(given)
    if given.dtype != np.uint8 or given.ndim != ndim or given.shape[-1] != 3:
        shape = "(height, width, 3)" if ndim == 3 else "(n, height, width, 3)"
        raise ValueError(f"expected sprites of type uint8 and shape {shape}, got {given.dtype} {given.shape}")
    return np.ascontiguousarray(given)


def labels(given: object, n: int) -> np.ndarray:
    """One row of finite numbers for each of n sprites."""
    given = np.asarray(given)
    if given.ndim != 2 or len(given) != n or given.dtype.kind not in "fiub":
        shape = f"({n}, number of classes), one row for each sprite"
        raise ValueError(f"expected labels as numbers of shape {shape}, got {given.dtype} {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"expected finite labels, row {np.argwhere(~np.isfinite(given))[0, 0]} is not finite")
    return given


def frames(given: object) -> np.ndarray:
    """Frames of a run (frames, n, channels, h, w), finite numbers, as the samplers return them."""
    given = given.detach().cpu().numpy() if isinstance(given, Tensor) else given
    if not isinstance(given, np.ndarray) or given.ndim != 5 or 0 in given.shape or given.dtype.kind != "f":
        got = f"{given.dtype} {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        raise ValueError(f"expected frames (frames, n, 3, h, w), as the samplers return, got {got}")
    if not np.isfinite(given).all():
        raise ValueError("expected finite frames, these hold NaN or infinite values: has the training diverged?")
    return given


def runs(given: object) -> dict[str, np.ndarray]:
    """Runs by title, all with the same number of frames."""
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"expected runs as a dictionary, title → frames, got {given!r:.60}")
    given = {title: frames(one) for title, one in given.items()}
    lengths = {title: len(one) for title, one in given.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"expected runs with the same number of frames, got {lengths}")
    return given


def pictures(given: object) -> Tensor:
    """Pictures (n, 3 or 1, h, w) of finite float numbers, float32 on the CPU."""
    given = torch.from_numpy(given) if isinstance(given, np.ndarray) and given.dtype.kind == "f" else given
    if not isinstance(given, Tensor) or given.ndim != 4 or given.numel() == 0 or given.shape[1] not in (1, 3):
        got = tuple(given.shape) if hasattr(given, "shape") else type(given).__name__
        raise ValueError(f"expected pictures (n, 3, h, w), n at least 1, got {got}")
    if not given.is_floating_point():
        raise ValueError(f"expected pictures of values in [-1, 1], got {given.dtype}")
    if not given.isfinite().all():
        raise ValueError("these pictures hold values that are not finite: has the training diverged?")
    return given.detach().cpu().float()


def colour_pictures(given: object) -> None:
    """Pictures (n, 3, h, w) of float numbers."""
    same_shape(images=given)
    if given.ndim != 4 or given.shape[1] != 3 or not given.is_floating_point():
        raise ValueError(f"expected images of shape (n, 3, height, width), got {given.dtype} {tuple(given.shape)}")


def same_length(**given: object) -> None:
    """Tensors with as many rows each."""
    for name, value in given.items():
        same_shape(**{name: value})
    if len({len(value) for value in given.values()}) > 1:
        counts = " and ".join(f"{len(value)} {name}" for name, value in given.items())
        raise ValueError(f"expected one row of each for each picture, got {counts}")


def seeded(seed: int | torch.Generator | None) -> torch.Generator | None:
    """A generator for a seed; None, torch's own random stream, for None."""
    if seed is None or isinstance(seed, torch.Generator):
        return seed
    return torch.Generator().manual_seed(whole(seed, "a seed", -(2**63), 2**63 - 1))


def walk(pairs: list, schedule: object, model: Callable) -> list[tuple[int, int]]:
    """Pairs of levels (t, t_next), each in 0 … T, and not from ᾱ_T = 0 with a model that predicts noise."""
    try:
        checked = [tuple(whole(t, "a level", 0, schedule.timesteps) for t in pair) for pair in pairs]
    except TypeError:
        checked = []
    if not checked or any(len(pair) != 2 for pair in checked):
        raise ValueError(f"expected pairs of levels (t, t_next), as step_pairs gives, got {pairs!r:.80}")
    from_the_end = any(t == schedule.timesteps for t, _ in checked)
    if from_the_end and schedule.ends_at_zero and getattr(model, "predicts", "noise") == "noise":
        raise ValueError("the schedule ends at ᾱ_T = 0: there the predicted noise says nothing about the picture")
    return checked


def contexts(context: object, n_sample: int, width: int | None, device: torch.device) -> Tensor | None:
    """One finite row for each sample, float32 (n_sample, width) on the device; None for None."""
    if context is None:
        return None
    try:
        context = torch.as_tensor(context, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"expected context to be a tensor of numbers, got {context!r:.80}") from None
    if width is None:
        width = context.shape[-1] if context.ndim else 0
    if context.shape != (n_sample, width):
        shape = f"({n_sample}, {width}), one row for each sample"
        raise ValueError(f"context must have shape {shape}, not {tuple(context.shape)}")
    if not context.isfinite().all():
        raise ValueError("expected context to be finite, it holds values that are not finite")
    return context.to(device)


def answer(given: object, x: Tensor, whose: str) -> Tensor:
    """What a model or a step gave: a tensor shaped like x, of finite numbers."""
    if not isinstance(given, Tensor) or given.shape != x.shape:
        got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise ValueError(f"{whose} should give a tensor of shape {tuple(x.shape)}, it gave {got}")
    if x.device.type == "cpu" and not given.isfinite().all():
        raise ValueError(f"{whose} gave values that are not finite")
    return given


def model(given: object) -> Callable:
    """A model that can be called."""
    if not callable(given):
        raise ValueError(f"expected a model that can be called as model(x, t, c), got {given!r:.80}")
    return given


def fit(given: Mapping[str, Tensor], own: Mapping[str, Tensor], strict: bool = True) -> None:
    """ValueError where a state_dict does not fit a network whose own is ``own``; shapes come before values.

    All of ``shortcut`` may be missing: ResidualConvBlock fills it in.
    """
    lost = own.keys() - given.keys()
    problems = [f"{key} is missing" for key in lost if strict]
    if all(".shortcut." in key for key in lost):
        problems = []
    problems += [f"{key} is unknown" for key in given.keys() - own.keys() if strict]
    for key in own.keys() & given.keys():
        if given[key].shape != own[key].shape:
            problems.append(f"{key} has shape {tuple(given[key].shape)}, expected {tuple(own[key].shape)}")
        elif not given[key].isfinite().all():
            problems.append(f"{key} holds values that are not finite")
    if problems:
        more = f" (and {len(problems) - 4} more)" if len(problems) > 4 else ""
        raise ValueError(f"this checkpoint does not fit the network: {'; '.join(sorted(problems)[:4])}{more}")

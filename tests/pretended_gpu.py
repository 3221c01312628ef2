"""A GPU that is only pretended, to find what would fail on a real one where there is none.

Its tensors lie in the memory of the CPU and are computed there; they only say that they are on cuda:0. What a GPU
refuses is refused: operations between devices, a generator of the other device, numpy(). In a CUDA graph, calls are
recorded in the place of kernels, and what would make a recording fail, such as waiting for a number, fails. Not seen
are speed, memory, other roundings, and what a single kernel cannot do.

A whole notebook, cell by cell:  python -m tests.pretended_gpu L1_Sampling/L1_Sampling.ipynb
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import torch
import torch._dynamo  # first, because it does not like what is changed here
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

GPU = torch.device("cuda:0")
aten = torch.ops.aten
INDEXING = (
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
)
NOT_ON_CPU = (
    "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
)


class OnGpu(Tensor):
    """A tensor around the one with the numbers, ``held``."""

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGpu:
        layout = {
            "strides": held.stride(),
            "storage_offset": held.storage_offset(),
            "dtype": held.dtype,
        }
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, device="cpu", requires_grad=False, **layout)

    def __init__(self, held: Tensor) -> None:
        self.held = held

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def __repr__(self) -> str:
        return f"OnGpu({self.held})"

    def __format__(self, spec: str) -> str:
        return format(self.held, spec)

    def __reduce_ex__(self, protocol: int):
        return self.held.__reduce_ex__(protocol)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """What is decided by the device before an operation is dispatched."""
        kwargs, x = kwargs or {}, args[0] if args else None
        target = [x for x in (*args[1:], *kwargs.values()) if isinstance(x, str | torch.device | Tensor)]
        if func in (Tensor.numpy, Tensor.__array__):
            raise TypeError(NOT_ON_CPU)
        if func is Tensor.tolist:
            return x.held.tolist()
        if func is Tensor.quantile:  # makes a tensor of its own, on what it takes for the device
            return OnGpu(x.held.quantile(*args[1:], **kwargs))
        if func is Tensor.new_tensor:
            return torch.tensor(args[1], **{"dtype": x.dtype, **kwargs}).to(GPU)
        if func is Tensor.cpu:
            return _ToCpu.apply(x)
        # x.to(y): device and type of y
        if func is Tensor.to and target and isinstance(target[0], Tensor):
            return x.to(target[0].device, target[0].dtype)
        if func is Tensor.to and target and torch.device(target[0]).type == "cpu":
            rest = [value for value in args[1:] if not isinstance(value, str | torch.device)]
            named = {key: value for key, value in kwargs.items() if key not in ("device", "non_blocking")}
            return _ToCpu.apply(x).to(*rest, **named) if rest or named else _ToCpu.apply(x)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _ToCpu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        _not_while_recording("a copy to the CPU")
        return x.held.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return OnGpu(gradient)


class Graph:
    """A CUDA graph of calls."""

    recording: Graph | None = None

    def __init__(self) -> None:
        self.calls = []

    def replay(self) -> None:
        for func, args, kwargs, results in self.calls:
            for old, new in zip(results, tree_flatten(func(*args, **kwargs))[0], strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _not_while_recording(what: str) -> None:
    if Graph.recording:
        raise RuntimeError(f"operation not permitted when stream is capturing: {what}")


def _run(func, args, kwargs):
    """One operation: refused where a GPU would refuse it, else computed with the numbers held."""
    flat, spec = tree_flatten((args, kwargs))
    tensors = [x for x in flat if isinstance(x, Tensor)]
    on_gpu = [isinstance(x, OnGpu) for x in tensors]
    asked = kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda"
    if not any(on_gpu) and not asked:
        return func(*args, **kwargs)
    if func in (aten._local_scalar_dense.default, aten.equal.default):
        _not_while_recording("waiting for a number")
    elif func in (aten._to_copy.default, aten.copy_.default):
        if not all(on_gpu):
            _not_while_recording("a copy from the CPU")
    elif func in INDEXING:  # a GPU takes indices from the CPU, not the other way round
        if not isinstance(args[0], OnGpu):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    elif any(x.dim() and not isinstance(x, OnGpu) for x in tensors):  # a single number may come from the CPU
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
        )
    if kwargs.get("generator") is not None:
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    held_args, held_kwargs = tree_unflatten([x.held if isinstance(x, OnGpu) else x for x in flat], spec)
    held_kwargs = {k: v for k, v in held_kwargs.items() if k not in ("device", "pin_memory")}
    result = func(*held_args, **held_kwargs)
    if Graph.recording:
        Graph.recording.calls.append((func, held_args, held_kwargs, tree_flatten(result)[0]))
    if func is aten.copy_.default:
        return args[0]
    return return_and_correct_aliasing(func, args, kwargs, tree_map_only(Tensor, OnGpu, result))


class _Everywhere(TorchDispatchMode):
    """Sees also what makes a tensor on the GPU out of nothing."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


@contextmanager
def _record(graph: Graph, stream: object) -> Iterator[None]:
    Graph.recording = graph
    try:
        yield
    finally:
        Graph.recording = None


class _Stream:
    def wait_stream(self, other: object) -> None:
        pass


def _made_there(make):
    """torch.tensor and torch.as_tensor go to a device without being dispatched."""

    def made(data, *args, device=None, requires_grad=False, **kwargs):
        made = make(data, *args, **kwargs)
        return (made if device is None else made.to(device)).requires_grad_(requires_grad or made.requires_grad)

    return made


def _loaded(load):
    """torch.load puts storages on a device without being dispatched."""

    def loaded(file, map_location=None, **kwargs):
        loaded = load(file, map_location="cpu", **kwargs)
        return loaded if map_location is None else tree_map_only(Tensor, lambda x: x.to(map_location), loaded)

    return loaded


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Within the block there is a GPU, as far as torch and this course can tell."""
    nothing, there = (lambda *args, **kwargs: None), (lambda *args, **kwargs: True)
    changes = {
        torch: {
            "tensor": _made_there(torch.tensor),
            "as_tensor": _made_there(torch.as_tensor),
            "load": _loaded(torch.load),
        },
        torch.cuda: dict.fromkeys(("is_available", "is_bf16_supported"), there)
        | dict.fromkeys(("_lazy_init", "synchronize", "manual_seed", "manual_seed_all"), nothing)
        | dict.fromkeys(("Stream", "current_stream"), _Stream)
        | dict.fromkeys(("stream", "device"), nullcontext)
        | {"get_device_name": lambda *args: "pretended", "CUDAGraph": Graph, "graph": _record},
    }
    if hasattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check"):  # asks the driver
        changes[torch.optim.Optimizer] = {"_accelerator_graph_capture_health_check": nothing}
    swap = torch.__future__.get_swap_module_params_on_conversion()
    with ExitStack() as stack:
        for place, values in changes.items():
            stack.enter_context(patch.multiple(place, **values))
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swap)
        # Module.to must exchange whole tensors
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.enter_context(_Everywhere())
        yield


def main(notebook: str) -> None:
    """Run the code cells of a notebook; the first error ends it."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    with pretended_gpu():
        for i, cell in enumerate(cells):
            if cell["cell_type"] == "code":
                print(f"--- cell {i}", flush=True)
                shell.run_cell("".join(cell["source"])).raise_error()


if __name__ == "__main__":
    main(sys.argv[1])

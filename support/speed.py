"""The same network, computed faster; no number changes but by rounding.

The sampling loop passes every network through :func:`faster` and cuts large requests into batches.
"""

from __future__ import annotations

import copy
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from weakref import WeakKeyDictionary

import torch
import torch.nn as nn
from torch import Tensor


def default_device() -> torch.device:
    """The first GPU if there is one, else the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


@contextmanager
def evaluating(model: Callable) -> Iterator[None]:
    """Within the block ``model`` is in evaluation mode; afterwards every part of it is in the mode it was in."""
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, nn.Module) else []
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def largest_batch(device: torch.device, height: int) -> int:
    """How many pictures pass through the network at once, so that memory stays bounded.

    On a GPU 4,096 sprites of 16×16; on a CPU 128, because what larger batches compute no longer fits into its cache.
    """
    return max(1, (4096 if device.type == "cuda" else 128) * 16**2 // height**2)


def faster(model: Callable) -> Callable:
    """What computes the same as ``model`` in evaluation mode, faster. It is only for sampling.

    A network says how by a method ``for_sampling()``, which most answer with :func:`folded`; a wrapper passes the
    question on to the network inside. Any other model is returned as it is. On a GPU a second call for one network
    gives the same object, with the weights of now.
    """
    for_sampling = getattr(model, "for_sampling", None)
    return for_sampling() if callable(for_sampling) else model


def folded(network: nn.Module) -> nn.Module:
    """A copy for sampling: batch norm folded into the convolutions, channels last, on a GPU recorded.

    Batch norm at fixed statistics is a multiplication and an addition, which the convolution before it can do. The
    channels of a pixel lie side by side in memory. On a GPU, launching the kernels one by one takes longer than
    running them, so they are recorded once and then launched together.
    """
    fast = copy.deepcopy(network).eval()
    for block in fast.modules():
        if isinstance(block, nn.Sequential):
            for i in range(len(block) - 1):
                if isinstance(block[i], nn.Conv2d) and isinstance(block[i + 1], nn.BatchNorm2d):
                    block[i] = nn.utils.fuse_conv_bn_eval(block[i], block[i + 1])
                    block[i + 1] = nn.Identity()
    fast = fast.to(memory_format=torch.channels_last)
    return _recorded(network, fast) if next(fast.parameters()).is_cuda else fast


_RECORDED: WeakKeyDictionary[nn.Module, Recorded] = WeakKeyDictionary()


def _recorded(network: nn.Module, fast: nn.Module) -> Recorded:
    """The recording of this network from an earlier call, with the weights of now, or a new one.

    A graph reads its weights from fixed places in memory, so new numbers are written to these places.
    """
    old = _RECORDED.get(network)
    new = [*fast.parameters(), *fast.buffers()]
    if old is not None:
        places = [*old.network.parameters(), *old.network.buffers()]
        if [(p.shape, p.dtype, p.device) for p in places] == [(p.shape, p.dtype, p.device) for p in new]:
            with torch.no_grad():
                for place, value in zip(places, new, strict=True):
                    place.copy_(value)
            return old
    _RECORDED[network] = Recorded(fast)
    return _RECORDED[network]


class Recorded(nn.Module):
    """A network on a GPU whose kernels are recorded as a CUDA graph, anew for each shape of input.

    Where recording fails or its result is not that of the network, and under autocast, the network itself is called.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.graphs = network, {}
        self.in_channels, self.n_cfeat, self.height = (
            network.in_channels,
            network.n_cfeat,
            network.height,
        )

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        if torch.is_autocast_enabled("cuda"):
            return self.network(x, t, c)
        if c is None and self.n_cfeat:
            c = x.new_zeros(len(x), self.n_cfeat)
        given = (x, t) if c is None else (x, t, c)
        key = (x.shape, x.dtype, t.shape)
        if key not in self.graphs:
            try:
                with torch.cuda.device(x.device):
                    self.graphs[key] = self._record(*given)
            except RuntimeError:  # recording is not possible here
                self.graphs[key] = None
        if self.graphs[key] is None:
            return self.network(*given)
        graph, inputs, output = self.graphs[key]
        # a graph reads and writes always the same memory
        for own, value in zip(inputs, given, strict=True):
            own.copy_(value)
        graph.replay()
        return output.clone()

    def _record(self, *inputs: Tensor) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor] | None:
        """The graph, its inputs, its output; None where it computes something else than the network."""
        inputs = [given.clone() for given in inputs]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        # first passes choose algorithms and reserve memory: not to be recorded
        with torch.cuda.stream(stream):
            for _ in range(3):
                expected = self.network(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            output = self.network(*inputs)
        output.zero_()  # so that the comparison sees what the replay computes
        graph.replay()
        return (graph, inputs, output) if torch.allclose(output, expected, rtol=1e-3, atol=1e-3) else None


@lru_cache
def bf16_is_faster(device: torch.device | str) -> bool:
    """Whether a convolution takes less than four fifths of its time in bf16, tried out on ``device`` in a moment.

    Processors made for these numbers of 16 bits multiply twice as many of them in the same time; others take longer
    with them than with 32 bits. It is for training, where weights and gradients stay float32 all the same:
    ``torch.autocast(device.type, torch.bfloat16, enabled=bf16_is_faster(device))``.
    """
    device = torch.device(device)
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return False
    x, weight = torch.ones(16, 64, 16, 16, device=device), torch.ones(64, 64, 3, 3, device=device)
    seconds = {True: math.inf, False: math.inf}
    # the fastest of ten, because a machine may be busy for a moment
    for bf16 in (True, False) * 10:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            began = time.perf_counter()
            # asking for a number makes a GPU finish its work
            nn.functional.conv2d(x, weight, padding=1).sum().item()
            seconds[bf16] = min(seconds[bf16], time.perf_counter() - began)
    return seconds[True] < 0.8 * seconds[False]


class OpenvinoUnet:
    """A ContextUnet computed on the CPU by OpenVINO, a runtime that compiles a whole network before it is used.

    Pass it to any sampler: ``sample_ddpm(32, model=OpenvinoUnet())``. It needs ``pip install openvino``.

    Args:
        model: the network; None is the pre-trained one, without context.
        bf16: compute with 8 bits of precision in place of 24: on processors made for it about twice as fast, and the
            predicted noise is off by a few hundredths at most.

    Raises:
        ImportError: OpenVINO is not installed.
    """

    def __init__(self, model: nn.Module | None = None, bf16: bool = False) -> None:
        # or its converter would report its use over the network
        sys.modules.setdefault("openvino_telemetry", None)
        try:
            import openvino
        except ImportError as error:
            raise ImportError("OpenVINO is not installed here: pip install openvino") from error
        if model is None:
            # here, because the module imports this one
            from diffusion_utilities import load_pretrained

            model = load_pretrained("model_trained", "cpu")
        model = copy.deepcopy(model).cpu().eval()
        self.in_channels, self.n_cfeat, self.height = model.in_channels, model.n_cfeat, model.height
        size = (self.in_channels, self.height, self.height)
        example = torch.zeros(2, *size), torch.ones(1, 1), torch.zeros(2, self.n_cfeat)
        # tracing warns that it leaves out the checks of shapes, and fails where autocast casts the weights
        with warnings.catch_warnings(), torch.no_grad(), torch.autocast("cpu", enabled=False):
            warnings.simplefilter("ignore")
            graph = openvino.convert_model(model, example_input=example)
        graph.reshape({0: [-1, *size], 1: [1, 1], 2: [-1, self.n_cfeat]})
        precision = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
        self.compiled = openvino.compile_model(graph, "CPU", precision)

    def __call__(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """As :meth:`ContextUnet.forward`, with one t for all."""
        t = torch.as_tensor(t, dtype=torch.float32).reshape(1, 1)
        c = torch.zeros(len(x), self.n_cfeat) if c is None else c
        (pred_noise,) = self.compiled([x.contiguous().numpy(), t.numpy(), c.contiguous().numpy()]).values()
        return torch.from_numpy(pred_noise)

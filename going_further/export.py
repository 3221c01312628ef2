"""Networks as ONNX files, which other programs read, and ONNX files as models that every sampler takes.

    python -m going_further.export going_further/sprites_unet.pt build/unet.onnx

Writing needs ``pip install onnx onnxscript``, reading ``pip install onnxruntime`` or ``pip install openvino``.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffusion_utilities import ContextUnet, NoiseSchedule, linear_schedule, perturb_input
from going_further import checkpoints
from going_further.unet import UNet
from support.cli import errors_in_one_line
from support.writing import replacing


def unchecked(network: ContextUnet | UNet) -> tuple[ContextUnet | UNet, dict[str, Tensor]]:
    """A copy without its checks of what it is given, which a graph cannot hold, and an example of that.

    Returns:
        the copy, on the CPU and in evaluation mode; x (2, channels, height, height), t (1,) and, for a network with
        contexts, c (2, n_cfeat).

    Raises:
        ValueError: another model, such as a wrapper.
    """
    if not isinstance(network, ContextUnet | UNet):
        raise ValueError(f"expected a ContextUnet or a UNet that predicts the noise, got {type(network).__name__}")
    bare = copy.deepcopy(network).cpu().eval()
    if isinstance(bare, ContextUnet):
        bare._check = lambda x, t, c: (t.reshape(-1, 1), c)
    else:
        bare._check_inputs = lambda x, t, c: t.reshape(-1)
    example = {"x": torch.zeros(2, bare.in_channels, bare.height, bare.height), "t": torch.ones(1)}
    return bare, example | ({"c": torch.zeros(2, bare.n_cfeat)} if bare.n_cfeat else {})


def exported(network: ContextUnet | UNet) -> torch.export.ExportedProgram:
    """The graph of a network in evaluation mode, for any number n of pictures.

    Raises:
        ValueError: see :func:`unchecked`.
    """
    bare, example = unchecked(network)
    n = torch.export.Dim("n")
    shapes = {name: None if name == "t" else {0: n} for name in example}
    with torch.no_grad():
        return torch.export.export(bare, (), example, dynamic_shapes=shapes)


def export_onnx(network: ContextUnet | UNet, path: str | Path) -> None:
    """Write a network as ONNX: x (n, channels, height, height), t (1,), c (n, n_cfeat) → pred_noise, for any n.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        ValueError: see :func:`unchecked`.
    """
    program = exported(network)
    with replacing(path) as part:
        torch.onnx.export(program, f=part, output_names=["pred_noise"], external_data=False, verbose=False)


def quantize_onnx(path: str | Path, out: str | Path, pictures: Tensor, schedule: NoiseSchedule | None = None) -> None:
    """Write a copy of an ONNX file whose convolutions multiply whole numbers of 8 bits.

    How large the numbers get in each layer is read off some pictures on their way through, at five levels of noise.

    Args:
        pictures: such as the network was trained on, (n, channels, height, height).
        schedule: the network's; None is the course's.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    width, schedule = OnnxModel(path).n_cfeat, schedule or linear_schedule()
    contexts = {"c": torch.eye(width)[torch.arange(len(pictures)) % width].numpy()} if width else {}
    generator, last = torch.Generator().manual_seed(0), schedule.timesteps

    def passes() -> Iterator[dict[str, np.ndarray]]:
        for t in torch.linspace(1, last, 5).round().long().tolist():
            noise = torch.randn(pictures.shape, generator=generator)
            x = perturb_input(pictures, t, noise, schedule)
            yield {"x": x.numpy(), "t": np.array([t / last], np.float32)} | contexts

    class Reader(CalibrationDataReader):
        given = passes()

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.given, None)

    kinds = {"weight_type": QuantType.QInt8, "activation_type": QuantType.QUInt8}
    with replacing(out) as part:
        quantize_static(path, part, Reader(), per_channel=True, op_types_to_quantize=["Conv"], **kinds)


class OnnxModel:
    """A noise predictor out of an ONNX file of :func:`export_onnx`, computed on the CPU.

    Args:
        path: the file.
        runtime: "onnxruntime" or "openvino".
        bf16: OpenVINO only: compute with 8 bits of precision in place of 24.

    Raises:
        ImportError: the runtime is not installed.
        ValueError: another runtime, or one that cannot compute so.
    """

    def __init__(self, path: str | Path, runtime: str = "onnxruntime", bf16: bool = False) -> None:
        if runtime not in RUNTIMES or (bf16 and runtime != "openvino"):
            raise ValueError(f"expected {' or '.join(RUNTIMES)}, the last alone with bf16, got {runtime}, bf16={bf16}")
        self.compute, shapes = RUNTIMES[runtime](str(path), bf16)
        _, self.in_channels, self.height, _ = shapes["x"]
        self.n_cfeat = shapes["c"][1] if "c" in shapes else 0

    def __call__(self, x: Tensor, t: Tensor | float, c: Tensor | None = None) -> Tensor:
        """As :meth:`ContextUnet.forward`, with one t for all."""
        given = {"x": x, "t": torch.as_tensor(t, dtype=torch.float32).reshape(1)}
        if self.n_cfeat:
            given["c"] = torch.zeros(len(x), self.n_cfeat) if c is None else c
        arrays = {name: value.detach().contiguous().numpy() for name, value in given.items()}
        return torch.from_numpy(np.array(self.compute(arrays)))


def _onnxruntime(path: str, bf16: bool) -> tuple[Callable, dict[str, list]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda given: session.run(None, given)[0], {i.name: i.shape for i in session.get_inputs()}


def _openvino(path: str, bf16: bool) -> tuple[Callable, dict[str, list]]:
    import openvino

    how = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.compile_model(path, "CPU", how)
    shapes = {i.any_name: [d.get_length() if d.is_static else None for d in i.partial_shape] for i in compiled.inputs}
    return lambda given: compiled(given)[0], shapes


RUNTIMES = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="export.py", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="a file of train.py")
    parser.add_argument("out", type=Path, help="the file to write, in .onnx")
    args = parser.parse_args(argv)
    with errors_in_one_line(parser, memory="there is no smaller way"):
        network, _, _ = checkpoints.load_model(args.checkpoint, "cpu")
        export_onnx(network, args.out)
    print(f"done: {args.out}")


if __name__ == "__main__":
    main()

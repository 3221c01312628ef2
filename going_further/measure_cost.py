"""What makes training and sampling cheaper, each way on the same work: ``python -m going_further.measure_cost``.

    python -m going_further.measure_cost                     # all that is installed here
    python -m going_further.measure_cost --rows bf16 compile  # some; what is stored of the others stays
    python -m going_further.measure_cost --tables            # write the tables from the stored figures again

The work is a training step of 64 sprites, and a pass of 128, by the network of ``sprites_unet.pt``. All run in turn,
round by round, with one thread, and CPU seconds are counted, so that other programs on the machine hardly count.
Written to ``cost/``: figures.json and COST.md; and the tables of README.md.

The rows of other libraries need, in the environment of the course:

    pip install onnx onnxscript onnxruntime openvino diffusers denoising-diffusion-pytorch

What is not there is left out. torch.compile needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from diffusion_utilities import (
    Clipped,
    faster,
    perturb_input,
    sample_dpm_context,
)
from going_further import checkpoints, datasets
from going_further.export import OnnxModel, export_onnx, exported, quantize_onnx
from going_further.sample import InBf16
from support.files import read_json
from support.quality import Ruler, fresh_pictures
from support.tables import table, with_blocks, write_text

HERE = Path(__file__).resolve().parent
FOLDER, README, SPRITES = HERE / "cost", HERE / "README.md", HERE.parent / "data"
BATCH, PASS, ROUNDS = 64, 128, 5
PLAIN = "plain"  # what all others are compared with: float32, channels last, as train.py and the samplers do

WORDS = {
    PLAIN: "float32, channels last",
    "contiguous": "float32, each channel by itself",
    "checkpointing": "gradient checkpointing",
    "bf16": "bf16, each channel by itself",
    "bf16-last": "bf16, channels last",
    "compile": "torch.compile",
    "export": "torch.export",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "openvino-bf16": "OpenVINO, bf16",
    "int8": "int8, ONNX Runtime",
    "int8-openvino": "int8, OpenVINO",
    "lucidrains": "lucidrains' Unet",
    "lucidrains-last": "lucidrains' Unet, channels last",
    "diffusers": "diffusers' UNet2DModel",
    "diffusers-last": "diffusers' UNet2DModel, channels last",
}
OTHER_DIGITS = (PLAIN, "bf16", "int8")  # ways whose samples are measured


# ------------------------------------------------------------------------------------------ the work


@dataclass(frozen=True)
class Work:
    """Noisy sprites (n, 3, 16, 16), their levels t / T (n,), contexts (n, classes) and noise."""

    x: Tensor
    t: Tensor
    c: Tensor
    noise: Tensor

    @classmethod
    def of(cls, n: int, classes: int) -> Work:
        """n fresh sprites, at levels from end to end."""
        x, generator = fresh_pictures(n, 300), torch.Generator().manual_seed(0)
        t, noise = torch.linspace(1, 500, n).round().long(), torch.randn(x.shape, generator=generator)
        return cls(perturb_input(x, t, noise), t / 500, torch.eye(classes)[torch.arange(n) % classes], noise)


def rounded(share: Tensor) -> float:
    """Two digits."""
    return float(f"{share.item():.1e}")


def cpu_seconds() -> float:
    """Of this process and of those it has started, such as a compiler."""
    return sum(os.times()[:4])


def in_turn(runs: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, dict]:
    """CPU time of each run: ``ms``, the median; ``ratio``, the median of its shares of the first's, round by round."""
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time()
            run()
            seconds[name].append(time.process_time() - began)
    first = next(iter(seconds.values()))
    return {
        name: {
            "ms": round(1000 * statistics.median(own), 1),
            "ratio": round(statistics.median(a / b for a, b in zip(own, first, strict=True)), 3),
        }
        for name, own in seconds.items()
    }


def made(ways: dict[str, Callable[[], Callable]], rows: Iterable[str]) -> tuple[dict[str, Callable], dict[str, float]]:
    """The ways that can be had here, each run once; and the CPU seconds that this took. The others are named."""
    runs, once = {}, {}
    for name in (name for name in ways if name == PLAIN or name in rows):
        began = cpu_seconds()
        try:
            run = ways[name]()
            run()
        except ImportError as error:
            print(f"{name} is left out: pip install {(error.name or str(error)).split('.')[0]}")
        except RuntimeError as error:  # no compiler, say
            print(f"{name} is left out: {' '.join(str(error).split()):.200}")
        else:
            runs[name], once[name] = run, round(cpu_seconds() - began, 1)
    return runs, once


# ---------------------------------------------------------------------------------------- the peers


class Peer(nn.Module):
    """A network of another library, called like ours. Its levels are counted to 500; contexts are not used."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        answer = self.network(x, (500 * t).reshape(-1).expand(len(x)))
        return getattr(answer, "sample", answer)


def lucidrains() -> Peer:
    """denoising-diffusion-pytorch's Unet of our three stages; its attention is its own, in all of them."""
    from denoising_diffusion_pytorch import Unet

    return Peer(Unet(32, dim_mults=(1, 2, 2)))


def diffusers() -> Peer:
    """diffusers' UNet2DModel of our three stages, attention where we have it; narrower, because it has more blocks."""
    from diffusers import UNet2DModel

    down, up = ["DownBlock2D", *2 * ["AttnDownBlock2D"]], [*2 * ["AttnUpBlock2D"], "UpBlock2D"]
    sizes = {"sample_size": 16, "block_out_channels": (32, 56, 56), "norm_num_groups": 8, "attention_head_dim": None}
    return Peer(UNet2DModel(**sizes, down_block_types=down, up_block_types=up, layers_per_block=2))


PEERS = {"lucidrains": lucidrains, "diffusers": diffusers}


def numbers(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# ----------------------------------------------------------------------------------------- training


class Step:
    """A step of training, as often as it is called.

    Args:
        network: it is copied.
        work: the batch.
        last: whether the channels of a pixel lie side by side in memory.
    """

    def __init__(self, network: nn.Module, work: Work, last=True, bf16=False, compiled=False, checkpointing=False):
        layout = torch.channels_last if last else torch.contiguous_format
        self.network, self.work, self.bf16 = copy.deepcopy(network).to(memory_format=layout).train(), work, bf16
        if checkpointing:
            self.network.use_checkpointing()
        self.model = torch.compile(self.network) if compiled else self.network
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4)

    def loss(self) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            pred_noise = self.model(self.work.x, self.work.t, self.work.c)
        return F.mse_loss(pred_noise.float(), self.work.noise)

    def gradient(self) -> Tensor:
        """Of all weights, one after the other, (numbers,)."""
        self.loss().backward()
        gradient = torch.cat([p.grad.flatten() for p in self.network.parameters()])
        self.optimizer.zero_grad()
        return gradient

    def kept(self) -> float:
        """MB that the way forward keeps for the way back, the weights not counted."""
        weights, sizes = {p.untyped_storage().data_ptr() for p in self.network.parameters()}, {}

        def keep(x: Tensor) -> Tensor:
            sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            loss = self.loss()  # it holds what is kept, so that no place is counted for two
        del loss
        return sum(size for place, size in sizes.items() if place not in weights) / 2**20

    def __call__(self) -> None:
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def training_ways(network: nn.Module, work: Work) -> dict[str, Callable[[], Callable]]:
    """What makes a step of each way."""
    ways = {
        PLAIN: {},
        "contiguous": {"last": False},
        "checkpointing": {"checkpointing": True},
        "bf16": {"bf16": True, "last": False},
        "bf16-last": {"bf16": True},
        "compile": {"compiled": True},
    }
    steps = {name: lambda how=how: Step(network, work, **how) for name, how in ways.items()}
    for name, peer in PEERS.items():
        steps[name] = lambda peer=peer: Step(peer(), work, last=False)
        steps[f"{name}-last"] = lambda peer=peer: Step(peer(), work)
    return steps


def measure_training(network: nn.Module, rows: Iterable[str], n: int = BATCH, rounds: int = ROUNDS) -> dict:
    """A row for each way: time, MB kept, and how far the gradient is from that of the plain way, as a share of it."""
    work = Work.of(n, network.n_cfeat)
    steps, once = made(training_ways(network, work), rows)
    true = Step(network, work).gradient()
    figures = in_turn(steps, rounds)
    for name, step in steps.items():
        figures[name] |= {"once": once[name], "mb": round(step.kept(), 1)}
        if name.split("-")[0] in PEERS:
            figures[name]["numbers"] = numbers(step.network)
        else:
            step.network.load_state_dict(network.state_dict())
            figures[name]["off"] = rounded((step.gradient() - true).norm() / true.norm())
    return figures


# ----------------------------------------------------------------------------------------- sampling


def sampling_ways(network: nn.Module, folder: Path) -> dict[str, Callable[[], Callable]]:
    """What makes a model of each way; files are written to the folder."""
    plain, small = folder / "plain.onnx", folder / "int8.onnx"

    def onnx(runtime: str, bf16: bool = False, int8: bool = False) -> OnnxModel:
        if not plain.exists():
            export_onnx(network, plain)
        if int8 and not small.exists():
            quantize_onnx(plain, small, fresh_pictures(32, 301))
        return OnnxModel(small if int8 else plain, runtime, bf16)

    ways = {
        PLAIN: lambda: faster(network),
        "contiguous": lambda: network,
        "bf16": lambda: InBf16(network),
        "bf16-last": lambda: InBf16(faster(network)),
        "compile": lambda: torch.compile(faster(network)),
        "export": lambda: exported(network).module(),
        "onnxruntime": lambda: onnx("onnxruntime"),
        "openvino": lambda: onnx("openvino"),
        "openvino-bf16": lambda: onnx("openvino", bf16=True),
        "int8": lambda: onnx("onnxruntime", int8=True),
        "int8-openvino": lambda: onnx("openvino", int8=True),
    }
    for name, peer in PEERS.items():
        ways[name] = lambda peer=peer: peer().eval()
        ways[f"{name}-last"] = lambda peer=peer: peer().eval().to(memory_format=torch.channels_last)
    return ways


@torch.no_grad()
def measure_sampling(
    network: nn.Module, rows: Iterable[str], folder: Path, judge: Judge | None, n: int = PASS, rounds: int = ROUNDS
) -> dict:
    """A row for each way: time, how far the predicted noise is from the plain way's at most, and for some the FSD."""
    fresh, t, models = Work.of(n, network.n_cfeat), torch.tensor([0.5]), {}

    def way(name: str, make: Callable[[], Callable]) -> Callable[[], Tensor]:
        models[name] = make()
        return lambda: models[name](x=fresh.x, t=t, c=fresh.c)

    ways = {name: lambda name=name, make=make: way(name, make) for name, make in sampling_ways(network, folder).items()}
    runs, once = made(ways, rows)
    figures, true = in_turn(runs, rounds), runs[PLAIN]()
    for name, run in runs.items():
        figures[name]["once"] = once[name]
        if name.split("-")[0] in PEERS:
            figures[name]["numbers"] = numbers(models[name])
            continue
        figures[name]["off"] = rounded((run() - true).abs().max())
        if judge is not None and name in OTHER_DIGITS:
            figures[name]["fsd"] = judge(models[name])
    return figures


class Judge:
    """The Fréchet sprite distance of as many samples as training sprites, with their labels, one seed."""

    def __init__(self) -> None:
        data = datasets.load("sprites", SPRITES)
        self.labels, self.ruler = data.labels, Ruler(data.images, seeds=(0,))

    def __call__(self, model: Callable) -> float:
        options = {"eta": math.inf, "model": Clipped(model), "seed": 0, "save_rate": None, "progress": False}
        samples, _ = sample_dpm_context(len(self.labels), self.labels, 10, **options)
        return round(self.ruler.fsd([samples])["mean"], 1)


# ------------------------------------------------------------------------------------------- tables


def _lines(rows: dict[str, dict], columns: dict[str, Callable]) -> list[list[str]]:
    """A line for each way, without the peers; a column that a way lacks stays empty."""
    chosen = [name for name in WORDS if name in rows and name.split("-")[0] not in PEERS]
    return [[WORDS[name], *(show(rows[name]) for show in columns.values())] for name in chosen]


def _figure(key: str, form: str) -> Callable[[dict], str]:
    return lambda row: f"{row[key]:{form}}" if key in row else ""


TIME = {"time": _figure("ratio", ".2f"), "CPU s before the first": _figure("once", ".0f")}


def training(figures: dict) -> str:
    rows, columns = figures["training"], TIME | {"MB kept": _figure("mb", ".0f"), "off by": _figure("off", ".0e")}
    return table([f"a training step of 64, {rows[PLAIN]['ms']:.0f} ms", *columns], _lines(rows, columns))


def sampling(figures: dict) -> str:
    rows, columns = figures["sampling"], TIME | {"off by": _figure("off", ".0e"), "FSD": _figure("fsd", ".1f")}
    return table([f"a pass of 128, {rows[PLAIN]['ms']:.0f} ms", *columns], _lines(rows, columns))


def peers(figures: dict) -> str:
    """How many times our time they take."""
    train, draw = figures["training"], figures["sampling"]
    chosen = [name for name in WORDS if name in train and name in draw and name.split("-")[0] in PEERS]
    rows = [
        [WORDS[name], f"{train[name]['numbers']:,}", *(f"{part[name]['ratio']:.2f}" for part in (train, draw))]
        for name in chosen
    ]
    ours = ["ours, channels last", f"{figures['numbers']:,}", "1", "1"]
    return table(["network", "parameters", "training step, of ours", "pass, of ours"], [ours, *rows])


def measured_on(figures: dict) -> str:
    return f"Measured on {figures['machine']}."


BLOCKS = {f.__name__: f for f in (training, sampling, peers, measured_on)}

PAGE = """# What makes it cheaper

Made by `python -m going_further.measure_cost`, with the network of `sprites_unet.pt`. Time is CPU time, as a share of
the first row's: the median of rounds in which all ways ran in turn, so that other programs on the machine hit all
alike. What was seen stands in [the README](../README.md).

<!-- cost measured_on -->
<!-- / -->

"MB kept" is what the way forward keeps for the way back. "Off by" is, in training, how far the gradient is from the
first row's, as a share of it; in sampling, the largest change in 128 predictions of noise, whose size is about 1.
FSD is of 1,788 sprites by DPM-Solver++ with η = ∞ in ten steps, one seed. "Before the first" are the seconds until
the first result: exporting, compiling, looking at pictures for int8.

<!-- cost training -->
<!-- / -->

<!-- cost sampling -->
<!-- / -->

Other libraries' networks of about as many parameters at 16×16, in both layouts:

<!-- cost peers -->
<!-- / -->
"""


def write_tables(figures: dict) -> None:
    """COST.md, and the blocks of the README."""
    write_text(FOLDER / "COST.md", with_blocks(PAGE, figures, BLOCKS, "cost "))
    write_text(README, with_blocks(README.read_text(encoding="utf-8"), figures, BLOCKS, "cost "))


# ---------------------------------------------------------------------------------------------- run


def machine() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", info.read_text()) if info.exists() else []
    name = names[0] if names else platform.processor()
    return f"{name}, one thread, Python {platform.python_version()}, PyTorch {torch.__version__.split('+')[0]}"


def merged(old: dict, new: dict) -> dict:
    """The stored figures with the new rows in place of theirs; the first row's milliseconds stay as they were."""
    figures = old | new
    for part in ("training", "sampling"):
        rows = old.get(part, {})
        figures[part] = rows | {name: row for name, row in new[part].items() if name != PLAIN or PLAIN not in rows}
    return figures


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="measure_cost", description=__doc__.splitlines()[0])
    known = [name for name in WORDS if name != PLAIN]
    parser.add_argument("--rows", nargs="+", choices=known, default=known, metavar="ROW", help=f"{', '.join(known)}")
    parser.add_argument("--tables", action="store_true", help="write the tables again, from the stored figures")
    args = parser.parse_args(argv)
    path = FOLDER / "figures.json"
    if args.tables:
        write_tables(read_json(path))
        return
    torch.set_num_threads(1)
    network, _, _ = checkpoints.load_model(HERE / "sprites_unet.pt", "cpu")
    new = {"machine": machine(), "numbers": numbers(network), "training": measure_training(network, args.rows)}
    with tempfile.TemporaryDirectory() as folder:
        new["sampling"] = measure_sampling(network, args.rows, Path(folder), Judge())
    figures = merged(read_json(path) if path.exists() else {}, new)
    write_text(path, json.dumps(figures, indent=1) + "\n")
    write_tables(figures)


if __name__ == "__main__":
    main()

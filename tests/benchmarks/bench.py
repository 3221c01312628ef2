"""How fast sampling and training are: the plain loop and ours, side by side in one run. ``make bench`` calls this.

    python -m tests.benchmarks.bench     # about 25 minutes; writes results.json
    python -m tests.benchmarks.report    # from there the tables of README.md and docs/SPEED.md

What is compared runs in turn, round by round, so that a busy moment of the machine does not hit one way alone. All of
it runs on the GPU where there is one. The plain loop is written out, as a learner writes it after Lab 1; of the module
it uses nothing but the network.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results.json"
import diffusion_utilities as du
from data.make_sprites import fresh_sprites, to_arrays

DEVICE = du.default_device()
SPRITES = ROOT / "data" / "sprites_1788_16x16.npy"
LABELS = ROOT / "data" / "sprite_labels_nc_1788_16x16.npy"
FEW = {"n": 10, "eta": math.inf, "progress": False}  # DPM-Solver++ with fresh noise, see Lab 4
MEASURED = 320  # sprites for a Fréchet distance; 500 steps of more would take too long here
TRAINING_STEPS = 20


def in_turn(runs: dict[str, Callable], rounds: int, warm_up: int = 1) -> dict[str, dict]:
    """Seconds of each run: median, fastest, slowest."""
    seconds = {name: [] for name in runs}
    for i in range(warm_up + rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()  # kernels run on after the call has returned
            if i >= warm_up:
                seconds[name].append(time.perf_counter() - began)
    return {
        name: {
            "median": short(statistics.median(s)),
            "min": short(min(s)),
            "max": short(max(s)),
            "rounds": rounds,
        }
        for name, s in seconds.items()
    }


def short(value: float) -> float:
    """Four digits."""
    return float(f"{value:.4g}")


def bf16(enabled: bool = True) -> AbstractContextManager:
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=enabled)


def networks(model: du.ContextUnet) -> dict[str, tuple[Callable, bool]]:
    """Way → the network to pass to a sampler, and whether to call it under bf16 autocast."""
    ways = {"ours": (model, False), "ours, bf16": (model, True)}
    if DEVICE.type == "cpu":
        ways |= {"OpenVINO": (du.OpenvinoUnet(model), False)}
        ways |= {"OpenVINO, bf16": (du.OpenvinoUnet(model, bf16=True), False)}
    return ways


def under(enabled: bool, run: Callable, *arguments: object, **options: object) -> Callable[[], object]:
    """The call, to be made later, with or without bf16 autocast."""

    def call() -> object:
        with torch.no_grad(), bf16(enabled):
            return run(*arguments, **options)

    return call


def plain_loop(model: du.ContextUnet, n_sample: int) -> Tensor:
    """DDPM as in the paper, without a thought to speed."""
    b = torch.linspace(1e-4, 0.02, 500, device=DEVICE)
    a = 1 - b
    ab = a.cumprod(dim=0)
    x, frames = torch.randn(n_sample, 3, 16, 16, device=DEVICE), []
    model.eval()
    with torch.no_grad():
        for i in range(499, -1, -1):
            z = torch.randn_like(x) if i > 0 else torch.zeros_like(x)
            pred_noise = model(x, torch.tensor((i + 1) / 500, device=DEVICE), None)
            x = (x - b[i] / (1 - ab[i]).sqrt() * pred_noise) / a[i].sqrt() + b[i].sqrt() * z
            if i % 20 == 0:
                frames.append(x.cpu().numpy())
    return x


def passes(model: du.ContextUnet) -> dict:
    """One pass of the network, and by how much each way changes what it predicts."""
    x, t = torch.randn(32, 3, 16, 16, device=DEVICE), torch.tensor(0.5, device=DEVICE)
    runs = {"plain": under(False, model, x, t)}
    runs |= {way: under(half, du.faster(network), x, t) for way, (network, half) in networks(model).items()}
    rows = in_turn(runs, rounds=40, warm_up=5)
    for way, row in rows.items():
        row["largest_difference"] = short((runs[way]() - runs["plain"]()).abs().max().item())
    return rows


def ddpm(model: du.ContextUnet) -> dict:
    runs = {"plain": lambda: plain_loop(model, 32)}
    for way, (network, half) in networks(model).items():
        runs[way] = under(half, du.sample_ddpm, 32, model=network, progress=False)
    return in_turn(runs, rounds=3, warm_up=0)


def few_steps(model: du.ContextUnet) -> dict:
    runs = {way: under(half, du.sample_dpm, 32, model=net, **FEW) for way, (net, half) in networks(model).items()}
    return in_turn(runs, rounds=5)


def quality(model: du.ContextUnet) -> dict:
    """FSD of sprites by 500 steps of the plain loop, and by few steps with all digits and with half of them."""
    fresh, _ = du.sprite_tensors(*to_arrays(fresh_sprites(1788, 100)), DEVICE)
    samples = {"plain": plain_loop(model, MEASURED)}
    for way, (network, half) in networks(model).items():
        samples[way], _ = under(half, du.sample_dpm, MEASURED, save_rate=500, seed=0, model=network, **FEW)()
    classifier = du.load_classifier(DEVICE)
    distances = {
        way: du.frechet_sprite_distance(x.float().clamp(-1, 1), fresh, classifier) for way, x in samples.items()
    }
    return {way: {"fsd": short(fsd)} for way, fsd in distances.items()}


def trainer(ours: bool, half: bool) -> tuple[du.ContextUnet, Callable[[int], None]]:
    """A new network, and what trains it for so many steps.

    The plain loop transforms picture by picture and does not even augment; ours has the set in memory, and augments.
    """
    schedule = du.linear_schedule().to(DEVICE)
    layout = torch.channels_last if ours else torch.contiguous_format
    network = du.ContextUnet(3, 64, 5, 16).to(DEVICE, memory_format=layout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    dataset = du.CustomDataset(SPRITES, LABELS, du.transform)
    images, labels = du.sprite_tensors(*du.load_sprites(SPRITES, LABELS), DEVICE)

    def train(steps: int) -> None:
        loader = du.sprite_batches(images, labels, 64) if ours else DataLoader(dataset, 64, shuffle=True)
        for x, _ in islice(loader, steps):
            x = x.to(DEVICE)
            t = torch.randint(1, 501, (len(x),), device=DEVICE)
            noise = torch.randn_like(x)
            x_t = du.perturb_input(x, t, noise, schedule).contiguous(memory_format=layout)
            with bf16(half):
                pred_noise = network(x_t, t / 500)
            optimizer.zero_grad()
            F.mse_loss(pred_noise.float(), noise).backward()
            optimizer.step()

    return network, train


def training() -> dict:
    ways = {"plain": (False, False), "ours": (True, False), "ours, bf16": (True, True)}
    return in_turn(
        {way: partial(trainer(*settings)[1], TRAINING_STEPS) for way, settings in ways.items()},
        rounds=3,
    )


def training_digits() -> dict:
    """The error on fresh sprites after 200 training steps with all digits and with half of them, for three seeds."""
    x, _ = du.sprite_tensors(*to_arrays(fresh_sprites(500, 100)), DEVICE)
    t = torch.arange(1, 501, device=DEVICE)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    x_t = du.perturb_input(x, t, noise)

    def error(half: bool, seed: int) -> float:
        torch.manual_seed(seed)
        network, train = trainer(True, half)
        train(200)
        with torch.no_grad():
            return F.mse_loss(network.eval()(x_t, t / 500), noise).item()

    errors = {way: [error(half, seed) for seed in range(3)] for way, half in (("ours", False), ("ours, bf16", True))}
    return {way: {"mean": short(statistics.mean(e)), "std": short(statistics.stdev(e))} for way, e in errors.items()}


# ------------------------------------------------------------------------------------------- growth

CHILD = """
import re
from pathlib import Path
import diffusion_utilities as du
model = du.ContextUnet(3, 64, 5, {height}).to(du.default_device())
if {uncut}:
    du.largest_batch = lambda device, height: {n_sample}
du.sample_ddim({n_sample}, 2, model=model, progress=False)
status = Path("/proc/self/status")
if du.torch.cuda.is_available():
    print(du.torch.cuda.max_memory_allocated() / 2**20)
elif status.exists():  # here getrusage would tell the parent's largest size if that was larger
    print(int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text())[1]) / 2**10)
else:
    import resource

    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def peak_memory(n_sample: int, height: int = 16, uncut: bool = False) -> int:
    """MB that a fresh process takes at its largest, PyTorch included; ``uncut``, in one batch of any size."""
    code = CHILD.format(n_sample=n_sample, height=height, uncut=uncut)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return round(float(run.stdout))


def with_memory(rows: dict, sizes: dict[str, dict]) -> dict:
    for name, size in sizes.items():
        rows[name] |= {
            "peak_mb": peak_memory(**size),
            "peak_mb_uncut": peak_memory(**size, uncut=True),
        }
    return rows


def growth_with_n_sample(model: du.ContextUnet) -> dict:
    """Two steps each."""
    sizes = {str(n): {"n_sample": n} for n in (1, 4, 16, 64, 256, 1024, 4096)}
    runs = {name: under(False, du.sample_ddim, int(name), 2, model=model, progress=False) for name in sizes}
    return with_memory(in_turn(runs, rounds=3, warm_up=0), sizes)


def growth_with_steps(model: du.ContextUnet) -> dict:
    """32 sprites."""
    return in_turn(
        {str(n): under(False, du.sample_ddim, 32, n, model=model, progress=False) for n in (1, 5, 20, 100)},
        3,
    )


def growth_with_height() -> dict:
    """32 sprites, two steps; speed does not depend on what the weights are."""
    sizes = {str(height): {"n_sample": 32, "height": height} for height in (16, 32, 64)}
    models = {name: du.ContextUnet(3, 64, 5, int(name)).to(DEVICE) for name in sizes}
    runs = {name: under(False, du.sample_ddim, 32, 2, model=m, progress=False) for name, m in models.items()}
    return with_memory(in_turn(runs, rounds=3), sizes)


def throughput(model: du.ContextUnet) -> dict:
    """One pass of 4,096 sprites, for GPUs; a CPU is busy with 32 already."""
    x, t = torch.randn(4096, 3, 16, 16, device=DEVICE), torch.tensor(0.5, device=DEVICE)
    network = du.faster(model)
    rows = in_turn({"ours": under(False, network, x, t), "ours, bf16": under(True, network, x, t)}, 20, 5)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x, t)
    for row in rows.values():
        row["teraflops_per_second"] = short(counter.get_total_flops() / row["median"] / 1e12)
    return rows


def importing() -> dict:
    """Seconds that the module adds to importing torch, each in a fresh process."""
    code = "import time, torch; a = time.perf_counter(); import diffusion_utilities; print(time.perf_counter() - a)"
    run = [sys.executable, "-c", code]
    found = [float(subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout) for _ in range(5)]
    return {
        "median": short(statistics.median(found)),
        "min": short(min(found)),
        "max": short(max(found)),
    }


def machine() -> dict:
    if DEVICE.type == "cuda":
        name, memory = (
            torch.cuda.get_device_name(),
            torch.cuda.get_device_properties(0).total_memory,
        )
    else:
        cpuinfo = Path("/proc/cpuinfo")
        lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
        name = next(
            (line.split(": ")[1] for line in lines if line.startswith("model name")),
            platform.processor(),
        )
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "device": name,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
        "torch": torch.__version__.split("+")[0],
        "python": platform.python_version(),
    }


def main() -> None:
    torch.manual_seed(0)
    model = du.load_pretrained("model_trained", DEVICE)
    measurements = {
        "passes": lambda: passes(model),
        "ddpm": lambda: ddpm(model),
        "few_steps": lambda: few_steps(model),
        "quality": lambda: quality(model),
        "training": training,
        "training_digits": training_digits,
        "growth_with_n_sample": lambda: growth_with_n_sample(model),
        "growth_with_steps": lambda: growth_with_steps(model),
        "growth_with_height": growth_with_height,
        "importing": importing,
    }
    if DEVICE.type == "cuda":
        measurements["throughput"] = lambda: throughput(model)
    results = {"machine": machine()}
    print(json.dumps(results["machine"]), flush=True)
    for name, measure in measurements.items():
        results[name] = measure()
        print(name, json.dumps(results[name], indent=1), flush=True)
    part = RESULTS.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n")
    part.replace(RESULTS)


if __name__ == "__main__":
    main()

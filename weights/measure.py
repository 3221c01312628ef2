"""Measure the files of this folder, for ``make_weights --evaluate``: the model card's figures.

Each figure is a mean over three seeds with its standard deviation. Seed i has its own reference,
1,788 sprites that the generator of ``data/`` draws anew, and its own start noise. FSD is the
Fréchet sprite distance of the module. What is in ``PARTS`` takes a ruler, the labels of its sprites
(n, classes) and whether passes are computed in 16 bits, and returns entries of the evaluation.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from diffusion_utilities import (
    CLASS_NAMES,
    Autoguided,
    Clipped,
    class_accuracy,
    ddim_step,
    dpm_step,
    load_pretrained,
    perturb_input,
    sample,
    sample_ddim_context,
    sample_ddpm_context,
    sample_dpm_context,
)
from docs.make_pictures import save_mosaic
from support.quality import Ruler, spread
from support.speed import OpenvinoUnet
from support.training import with_recomputed_batch_norm

DOCS = Path(__file__).resolve().parents[1] / "docs"

BATCH = 149  # 12 batches make 1,788 samples
GUIDANCE = (1, 2, 3)
LONG = (3, 5, 6, 8, 10, 15, 20, 25, 50)  # numbers of steps
FRONTIER = {
    "DDIM": (sample_ddim_context, (1, 2, 3, 5, 10, 20, 25, 50), {}),
    "DDIM, η = 1": (sample_ddim_context, (10, 25, 50), {"eta": 1.0}),
    "DPM-Solver++": (sample_dpm_context, (2, 3, 5, 10, 20), {}),
    "DPM-Solver++, η = 1": (sample_dpm_context, (5, 10, 15, 20, 25), {"eta": 1.0}),
    "DPM-Solver++, η = ∞": (sample_dpm_context, LONG, {"eta": math.inf}),
}
FROM_THE_MEAN = {  # numbers of steps of some of these, started from the mean sprite
    "DDIM": (10, 25, 50),
    "DPM-Solver++": (10, 20),
    "DPM-Solver++, η = 1": (10, 20),
    "DPM-Solver++, η = ∞": (5, 8, 10, 15, 20, 25, 50),
}
ERROR_LEVELS = (50, 150, 250, 350, 450)  # at which the error of the noise is measured
LEVELS = (20, 60, 100, 200, 300, 400, 500)  # from which fresh sprites are drawn on
# of autoguidance: the worse network, the weight, and the levels at which it guides
AUTOGUIDANCE = [
    (worse, w, levels)
    for worse in ("model_4", "model_8", "model_31")
    for w in (1.25, 2.0, 3.0)
    for levels in ((0, 500), (150, 450))
]
AUTOGUIDED = {
    "DDIM, 25 steps": (sample_ddim_context, {"n": 25}),
    "DPM-Solver++, 10 steps": (sample_dpm_context, {"n": 10}),
    "DPM-Solver++, η = ∞, 10 steps": (sample_dpm_context, {"n": 10, "eta": math.inf}),
    "DPM-Solver++, η = ∞, 20 steps": (sample_dpm_context, {"n": 20, "eta": math.inf}),
    "DPM-Solver++, η = 1, 20 steps": (sample_dpm_context, {"n": 20, "eta": 1.0}),
}
SHORT = ("DPM-Solver++, η = ∞, 10 steps", "DDIM, 25 steps")  # with fresh noise, and without
# the samplers that are swept, each with others of its kind: without fresh noise, and with
SWEPT = {
    "DDIM, 25 steps": ("DPM-Solver++, 10 steps",),
    "DPM-Solver++, η = ∞, 10 steps": ("DPM-Solver++, η = ∞, 20 steps", "DPM-Solver++, η = 1, 20 steps"),
}
EVERY_THIRD = 3  # sprite is enough to find the best of a sweep


def stored(name: str, device: torch.device, bf16: bool) -> Callable:
    """A stored network. In 16 bits on a CPU, OpenVINO computes it in little more than half the time, if it is there."""
    model = load_pretrained(name, device)
    fast = bf16 and device.type == "cpu" and importlib.util.find_spec("openvino")
    return OpenvinoUnet(model, bf16=True) if fast else model


def draw(
    sampler: Callable,
    count: int,
    seed: int,
    context: Tensor | None,
    bf16: bool,
    clean: Tensor | None = None,
    **options: object,
) -> Tensor:
    """``count`` samples of a sampler in batches, each with a seed of its own.

    ``clean``, (count, 3, h, w), are pictures that are noised to level T: the samples start from them, with
    the same noise ε that is the start where there are none.
    """
    parameters = getattr(options["model"], "parameters", list)  # OpenVINO's network shows none
    samples, device = [], next(iter(parameters()), torch.empty(0)).device.type
    options |= {"save_rate": 500, "progress": False}
    for start in range(0, count, BATCH):
        rows = None if context is None else context[start : start + BATCH]
        n, generator = min(BATCH, count - start), torch.Generator().manual_seed(10_000 * seed + start)
        if clean is not None:
            part = clean[start : start + n]
            options["x"] = perturb_input(part, 500, torch.randn(part.shape, generator=generator).to(part))
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            x, _ = sampler(n, rows, seed=generator, **options)
        samples.append(x.float())
    return torch.cat(samples)


def draw_sets(ruler: Ruler, sampler: Callable, context: Tensor | None, bf16: bool, **options: object) -> list[Tensor]:
    """Samples for a ruler: a set for each of its seeds, as large as that of its sprites."""
    return [draw(sampler, len(ruler.images), s, context, bf16, **options) for s in ruler.seeds]


def mean_sprites(images: Tensor, labels: Tensor | None) -> Tensor:
    """For each sprite (n, 3, h, w) the mean of all, or of those with its label (n, classes): (n, 3, h, w)."""
    if labels is None:
        return images.mean(dim=0).expand_as(images)
    means = labels.T @ images.flatten(1) / labels.sum(dim=0)[:, None]  # (classes, 3 h w)
    return (labels @ means).view_as(images)


def draw_short(ruler: Ruler, model: torch.nn.Module, bf16: bool) -> dict[str, list[Tensor]]:
    """Samples of a network by each sampler of ``SHORT``, a set for each of the ruler's seeds."""
    samplers = ((name, *AUTOGUIDED[name]) for name in SHORT)
    return {name: draw_sets(ruler, draws, None, bf16, model=model, **options) for name, draws, options in samplers}


def measure_short(ruler: Ruler, model: torch.nn.Module, bf16: bool) -> dict:
    """FSD of a network by each sampler of ``SHORT``: enough to tell networks apart."""
    return {name: ruler.fsd(sets) for name, sets in draw_short(ruler, model, bf16).items()}


def measure_leg(ruler: Ruler, model: torch.nn.Module, bf16: bool) -> dict:
    """What tells how far a training has come, and whether it has begun to learn its sprites by heart.

    ``fsd`` and ``nearest``, the median distance to the nearest training sprite, by each sampler of ``SHORT``; and
    ``error``, that of the noise by level, on the training sprites and on fresh ones.
    """
    sets = draw_short(ruler, model, bf16)
    pictures = {"training": ruler.images, "fresh": ruler.other_fresh[0]}
    return {
        "fsd": {name: ruler.fsd(x) for name, x in sets.items()},
        "nearest": {name: ruler.copying(x)["colour, 50%"] for name, x in sets.items()},
        "error": {name: errors_of_noise(model, x, bf16) for name, x in pictures.items()},
    }


@torch.no_grad()
def errors_of_noise(model: torch.nn.Module, images: Tensor, bf16: bool) -> dict[str, float]:
    """The mean squared error of the predicted noise on pictures (n, 3, h, w), at each of ERROR_LEVELS."""
    errors = {}
    for t in ERROR_LEVELS:
        generator, of_pictures = torch.Generator().manual_seed(t), []
        for x in images.split(BATCH):
            noise = torch.randn(x.shape, generator=generator).to(x)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
                pred_noise = model(perturb_input(x, t, noise), t / 500).float()
            of_pictures.append((pred_noise - noise).square().mean(dim=(1, 2, 3)))
        errors[str(t)] = round(torch.cat(of_pictures).mean().item(), 5)
    return errors


def measure_unconditional(ruler: Ruler, labels: Tensor, bf16: bool) -> dict:
    """The unconditional network by four samplers, beside what any figure is compared with."""
    n, images = len(ruler.images), ruler.images
    generators = [torch.Generator().manual_seed(seed) for seed in ruler.seeds]
    noise = [torch.randn(images.shape, generator=generator).to(images) for generator in generators]
    figures = {
        "fresh sprites": ruler.quality(ruler.other_fresh),
        "training sprites": ruler.quality([images] * len(ruler.seeds)),
        "pure noise": ruler.quality(noise),
    }
    model = stored("model_trained", images.device, bf16)
    copying = {"fresh sprites": ruler.copying(ruler.other_fresh)}
    for name, sampler, options in (
        ("DPM-Solver++, 10 steps", sample_dpm_context, {"n": 10}),
        ("DPM-Solver++, η = ∞, 10 steps", sample_dpm_context, {"n": 10, "eta": math.inf}),
        ("DDIM, 25 steps", sample_ddim_context, {"n": 25}),
        ("DDPM, 500 steps", sample_ddpm_context, {}),
    ):
        sets = draw_sets(ruler, sampler, None, bf16, model=model, **options)
        figures[name] = ruler.quality(sets)
        copying[name] = ruler.copying(sets)
        print(name, figures[name], flush=True)
    return {"quality": figures, "distance_to_nearest_training_sprite": copying, "samples": n}


def measure_clipping(ruler: Ruler, labels: Tensor, bf16: bool) -> dict:
    """The same network with its guess x̂_0 clipped to [-1, 1] in every step, by the samplers of ``SHORT``."""
    return {"fsd_clipped": measure_short(ruler, Clipped(stored("model_trained", labels.device, bf16)), bf16)}


def measure_where(ruler: Ruler, labels: Tensor, bf16: bool) -> dict:
    """Where the distance arises: fresh sprites, noised to a level and drawn from there, by two samplers.

    At the lowest level nothing is left to decide, at the highest all; where FSD rises in between,
    the network decides what it does not know well enough.
    """
    model, where = stored("model_trained", ruler.images.device, bf16), {}
    for name, step, stride in (
        ("DDIM", ddim_step(), 20),
        ("DPM-Solver++, η = ∞", dpm_step(math.inf), 50),
    ):
        where[name] = {}
        for level in LEVELS:
            pairs = [(t, max(t - stride, 0)) for t in range(level, 0, -stride)]
            sets = [
                finish(x, step, pairs, model, seed, bf16)
                for x, seed in zip(ruler.other_fresh, ruler.seeds, strict=True)
            ]
            where[name][str(level)] = ruler.fsd(sets)
            print(name, "from level", level, where[name][str(level)], flush=True)
    return {"fsd_by_start_level": where}


def finish(images: Tensor, step: Callable, pairs: list, model: torch.nn.Module, seed: int, bf16: bool) -> Tensor:
    """Pictures (n, 3, h, w), noised to the first level of ``pairs`` and denoised along them, in batches."""
    drawn = []
    for i, part in enumerate(images.split(BATCH)):
        generator = torch.Generator().manual_seed(10_000 * seed + i)
        x_t = perturb_input(part, pairs[0][0], torch.randn(part.shape, generator=generator).to(part))
        options = {"seed": 10_000 * seed + BATCH * (i + 1), "save_rate": None, "progress": False}
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            x, _ = sample(step, pairs, len(part), model=model, x=x_t, **options)
        drawn.append(x.float())
    return torch.cat(drawn)


def measure_start(ruler: Ruler, labels: Tensor, bf16: bool) -> dict:
    """What it changes to start from the mean sprite, noised to level T, in place of pure noise.

    Training has seen √ᾱ_T x_0 + √(1-ᾱ_T) ε at level T, and √ᾱ_T is not 0: what all sprites have in common is
    in its pictures, and not in pure noise. As a second step, the samplers of ``SHORT`` start from pictures of
    the normal distribution that has the sprites' mean and covariance.
    """
    model, mean, by_steps = stored("model_trained", labels.device, bf16), mean_sprites(ruler.images, None), {}
    for name, counts in FROM_THE_MEAN.items():
        sampler, _, options = FRONTIER[name]
        by_steps[name] = {}
        for n in counts:
            sets = draw_sets(ruler, sampler, None, bf16, model=model, clean=mean, n=n, **options)
            by_steps[name][str(n)] = ruler.fsd(sets)
            print("from the mean sprite,", name, n, by_steps[name][str(n)], flush=True)
    normal = [normal_sprites(ruler.images, seed) for seed in ruler.seeds]
    from_normal = {}
    for name in SHORT:
        sampler, options = AUTOGUIDED[name]
        sets = [
            draw(sampler, len(x), seed, None, bf16, clean=x, model=model, **options)
            for x, seed in zip(normal, ruler.seeds, strict=True)
        ]
        from_normal[name] = ruler.fsd(sets)
        print("from a normal distribution,", name, from_normal[name], flush=True)
    return {"frontier_from_mean": by_steps, "fsd_from_normal": from_normal}


def normal_sprites(images: Tensor, seed: int) -> Tensor:
    """As many pictures of the normal distribution with the mean and covariance of the sprites (n, 3, h, w)."""
    flat = images.flatten(1).double().cpu()
    values, vectors = torch.linalg.eigh(flat.T.cov())
    z = torch.randn(flat.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    flat = flat.mean(dim=0) + (z * values.clamp(min=0).sqrt()) @ vectors.T
    return flat.view(images.shape).to(images)


def autoguided(
    ruler: Ruler, name: str, context: Tensor | None, clean: Tensor | None, sampler: str, setting: tuple, bf16: bool
) -> list[Tensor]:
    """Samples of a stored network that an earlier epoch guides; a setting is of AUTOGUIDANCE, clean as in draw."""
    worse, w, levels = setting
    better, worse = (stored(which, ruler.images.device, bf16) for which in (name, worse))
    draws, options = AUTOGUIDED[sampler]
    model = Autoguided(better, worse, w, levels)
    return draw_sets(ruler, draws, context, bf16, model=model, clean=clean, **options)


def passes(sampler: str, setting: tuple) -> int:
    """How often a sampler of ``AUTOGUIDED`` asks one network or the other."""
    asked = []

    def network(x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        asked.append(t)
        return torch.zeros_like(x)

    draws, options = AUTOGUIDED[sampler]
    _, w, levels = setting
    start = torch.zeros(1, 3, 16, 16)
    draws(1, None, model=Autoguided(network, network, w, levels), x=start, progress=False, **options)
    return len(asked)


def measure_autoguidance(ruler: Ruler, labels: Tensor, bf16: bool, network: str, from_mean: bool) -> dict:
    """Autoguidance over its worse network, weight and levels; the best of it with all seeds and pictures.

    The sweep is that of two samplers, with one seed and every third sprite; the best setting of each
    serves others of its kind, too. Each is measured without guidance as well. A network of contexts is
    given the labels, and starts, where it does from the mean sprite, from that of its class.
    """
    context, figures = labels if network.startswith("context") else None, {}
    clean = mean_sprites(ruler.images, context) if from_mean else None
    for swept, others in SWEPT.items():
        sweep = autoguidance_sweep(ruler, network, context, clean, swept, bf16)
        best = min(sweep, key=sweep.get)
        plain = (best[0], 1.0, best[2])  # w = 1 asks the worse network nothing
        quality = {}
        for sampler, setting in itertools.product((swept, *others), (plain, best)):
            sets = autoguided(ruler, network, context, clean, sampler, setting, bf16)
            figure = ruler.quality(sets) | {"passes": passes(sampler, setting)}
            figure["nearest"] = ruler.copying(sets)["colour, 50%"]
            if context is not None:
                figure["accuracy"] = accuracies(sets, context, ruler)
            quality.setdefault(sampler, {})["plain" if setting is plain else "guided"] = figure
            print(network, sampler, setting, figure, flush=True)
        rows = [[*setting, fsd] for setting, fsd in sweep.items()]
        figures[swept] = {"sweep": rows, "best": best, "quality": quality}
    return {f"autoguidance_of_{network}{'_from_mean' if from_mean else ''}": figures}


def autoguidance_sweep(
    ruler: Ruler, network: str, context: Tensor | None, clean: Tensor | None, sampler: str, bf16: bool
) -> dict[tuple, float]:
    """The FSD of each setting of AUTOGUIDANCE, with one seed and every third sprite."""
    few, sweep = Ruler(ruler.images[::EVERY_THIRD], ruler.seeds[:1]), {}
    context, clean = (None if rows is None else rows[::EVERY_THIRD] for rows in (context, clean))
    for setting in AUTOGUIDANCE:
        sweep[setting] = few.fsd(autoguided(few, network, context, clean, sampler, setting, bf16))["mean"]
        print(network, sampler, setting, sweep[setting], flush=True)
    return sweep


def accuracies(sets: list[Tensor], labels: Tensor, ruler: Ruler) -> dict:
    """The share of each class that is recognised as what was asked for, and the least of them."""
    right = [class_accuracy(x, labels, ruler.classifier) for x in sets]
    right = torch.stack(right).cpu()  # (seeds, classes)
    shares = {c: spread(right[:, i].tolist()) for i, c in enumerate(CLASS_NAMES)}
    return shares | {"least": round(right.mean(dim=0).min().item(), 4)}


def measure_epochs(ruler: Ruler, labels: Tensor, bf16: bool) -> dict:
    """The kept epochs, and the last network with other batch-norm statistics, by DDIM-25."""

    def fsd(model: Callable) -> dict:
        sets = draw_sets(ruler, sample_ddim_context, None, bf16, model=model, n=25)
        return ruler.fsd(sets)

    device = ruler.images.device
    kept = [f"model_{epoch}" for epoch in (0, 4, 8, 31)]
    by_epoch = {name: fsd(stored(name, device, bf16)) for name in kept}
    model = load_pretrained("model_trained", device)
    recomputed = with_recomputed_batch_norm(model, ruler.images, labels)
    norm = {"running statistics": fsd(model), "recomputed statistics": fsd(recomputed)}

    class BatchStatistics(torch.nn.Module):
        """The network with the statistics of the samples at hand, all of one noise level."""

        def __init__(self) -> None:
            super().__init__()
            self.network, self.n_cfeat = copy.deepcopy(model), model.n_cfeat

        def forward(self, x: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
            return self.network.train()(x, t, c)

    norm["statistics of the samples of one level"] = fsd(BatchStatistics())
    return {"fsd_by_epoch": by_epoch, "fsd_by_batch_norm": norm}


def measure_context(ruler: Ruler, labels: Tensor, bf16: bool) -> dict:
    """How well contexts are followed, and at what price; each class as often as in the data."""
    model = stored("context_model_trained", labels.device, bf16)

    def measure(sampler: Callable, **options: object) -> tuple[dict, dict]:
        quality, accuracy = {}, {}
        for w in GUIDANCE:
            options |= {"model": model, "guidance": w}
            sets, name = draw_sets(ruler, sampler, labels, bf16, **options), f"w = {w}"
            quality[name] = ruler.quality(sets)
            accuracy[name] = accuracies(sets, labels, ruler)
            print("guidance", w, accuracy[name], quality[name], flush=True)
        return quality, accuracy

    quality, accuracy = measure(sample_ddim_context, n=25)
    figures = {"context_quality": quality, "context_accuracy": accuracy}
    quality, accuracy = measure(sample_dpm_context, n=10, eta=math.inf)
    figures["context_quality_in_ten_steps"] = quality
    return figures | {"context_accuracy_in_ten_steps": accuracy}


def measure_frontier(ruler: Ruler, labels: Tensor, bf16: bool) -> dict:
    """The FSD of the unconditional network by sampler and number of steps."""
    model, frontier = stored("model_trained", ruler.images.device, bf16), {}
    for name, (sampler, counts, options) in FRONTIER.items():
        frontier[name] = {}
        for n in counts:
            sets = draw_sets(ruler, sampler, None, bf16, model=model, n=n, **options)
            frontier[name][str(n)] = ruler.fsd(sets)
            print(name, n, frontier[name][str(n)], flush=True)
    return {"frontier": frontier}


def measure_peer(name: str, model: torch.nn.Module, ruler: Ruler, bf16: bool) -> dict:
    """A network of the peers by each sampler of ``SHORT``; 64 samples of DDIM become a picture."""
    sets = draw_short(ruler, model, bf16)
    figures = {sampler: ruler.quality(x) for sampler, x in sets.items()}
    print(name, figures, flush=True)
    save_mosaic(sets["DDIM, 25 steps"][0][:64], DOCS / f"peer_{name}.png")
    return figures


PARTS = {
    "quality": measure_unconditional,
    "clipping": measure_clipping,
    "frontier": measure_frontier,
    "epochs": measure_epochs,
    "where": measure_where,
    "start": measure_start,
    "context": measure_context,
} | {
    f"autoguidance{where}{start}": partial(measure_autoguidance, network=network, from_mean=bool(start))
    for where, network in (("", "model_trained"), ("_in_context", "context_model_trained"))
    for start in ("", "_from_mean")
}

"""Measure editing and guidance over three seeds: writes FIGURES.md and figures.json beside the networks.

    python -m going_further.measure_editing --bf16                # all tables
    python -m going_further.measure_editing --bf16 inpainting     # one of them anew

The judge is the generator of ``data/``: it draws sprites that no network has seen, whose class and kind are known.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from data.make_sprites import fresh_sprites, to_arrays
from diffusion_utilities import (
    CLASS_NAMES,
    Autoguided,
    Guided,
    class_accuracy,
    ddim_step,
    dpm_step,
    load_pretrained,
    load_sprites,
    sample,
    sample_dpm_context,
    sprite_tensors,
    step_pairs,
)
from going_further.editing import (
    Upscaler,
    encode,
    enlarge,
    image_to_image,
    inpaint,
    project_on_small,
    repeated,
    shrink,
    small_context,
)
from going_further.guidance import ClassifierGuided, ExactClassifier, load_noisy_classifier
from going_further.make_editing import FOLDER
from going_further.sample import class_context
from support.files import read_json
from support.quality import FRESH_SEED, Ruler, precision_recall, spread
from support.tables import figures_table, write_text
from weights.make_weights import CAPTIONS, LABELS, SPRITES, read_kinds
from weights.measure import draw, stored

QUIET = {"save_rate": None, "progress": False}
ETA = {0.0: "η = 0", math.inf: "η = ∞"}
UPPER = torch.arange(16)[:, None] < 8  # (16, 1): rows that are known, of a lower half to be drawn
EVERYWHERE, HIGH = (0, 500), (200, 450)  # levels from which steps are repeated
# η, steps, rounds and where
WAYS_TO_INPAINT = [
    *((1.0, 50, rounds, EVERYWHERE) for rounds in (1, 2, 5, 10)),
    *((math.inf, 10, rounds, EVERYWHERE) for rounds in (1, 2, 5, 10)),
    (math.inf, 10, 16, HIGH),
    (math.inf, 25, 20, HIGH),
]
SIDE_FACING = CLASS_NAMES.index("side-facing")
in_32_bits = torch.autocast("cpu", enabled=False)  # the judge is not to be made coarser


class Judge:
    """The ruler of the course's figures, and who is asked what a sprite shows.

    Args:
        bf16: whether what it judges is drawn in 16 bits.
    """

    def __init__(self, bf16: bool = False) -> None:
        self.bf16 = bf16
        self.images, self.labels = sprite_tensors(*load_sprites(SPRITES, LABELS), "cpu")
        self.ruler, self.kinds = Ruler(self.images), read_kinds(CAPTIONS)[0]

    def network(self, name: str) -> Callable:
        """A stored network of the course."""
        return stored(name, self.images.device, self.bf16)

    def truths(self, n: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each seed n fresh sprites, their classes one-hot, and the numbers of their kinds."""
        sets = []
        for seed in self.ruler.seeds:
            sprites = fresh_sprites(n, FRESH_SEED + seed)
            kinds = torch.tensor([self.kinds.index(f"{sprite.class_name} / {sprite.kind}") for sprite in sprites])
            sets.append((*sprite_tensors(*to_arrays(sprites), "cpu"), kinds))
        return sets

    @in_32_bits
    @torch.no_grad()
    def recognised(self, x: Tensor, classes: Tensor, kinds: Tensor) -> tuple[float, float]:
        """The shares in per cent whose class, and whose kind, is found to be the right one."""
        class_scores, kind_scores = self.ruler.classifier.eval()(x.clamp(-1, 1))
        pairs = ((class_scores, classes.argmax(dim=1)), (kind_scores, kinds))
        return tuple(100 * (scores.argmax(dim=1) == right).float().mean().item() for scores, right in pairs)

    @in_32_bits
    def turned(self, x: Tensor) -> float:
        """The share in per cent that is taken for side-facing."""
        context = class_context(CLASS_NAMES, "side-facing", len(x))
        return 100 * class_accuracy(x.clamp(-1, 1), context, self.ruler.classifier)[SIDE_FACING].item()

    @in_32_bits
    def fsd(self, sets: list[Tensor]) -> dict:
        """The Fréchet sprite distance, one set for each seed."""
        return self.ruler.fsd([x.float() for x in sets])

    @in_32_bits
    def by_class(self, sets: list[Tensor]) -> dict:
        """FSD, precision and recall, and the classes asked for: ``labels``, for each seed."""
        right = [class_accuracy(x.clamp(-1, 1), self.labels, self.ruler.classifier) for x in sets]
        pairs = zip(sets, self.ruler.fresh, strict=True)
        both = [precision_recall(x.clamp(-1, 1), fresh, self.ruler.classifier) for x, fresh in pairs]
        return {
            "FSD": self.fsd(sets),
            "precision": spread([precision for precision, _ in both]),
            "recall": spread([recall for _, recall in both]),
            "right, %": spread([100 * share.mean().item() for share in right]),
            "least class, %": spread([100 * share.min().item() for share in right]),
        }


def draw_in_ten_steps(
    judge: Judge, model: Callable, eta: float = 0.0, contexts: list[Tensor] | None = None
) -> list[Tensor]:
    """For each seed samples of a model by DPM-Solver++; None asks for the classes of the training sprites."""
    contexts = contexts or [judge.labels] * len(judge.ruler.seeds)
    pairs = zip(judge.ruler.seeds, contexts, strict=True)
    return [draw(sample_dpm_context, len(c), seed, c, judge.bf16, model=model, n=10, eta=eta) for seed, c in pairs]


def distance(a: Tensor, b: Tensor) -> float:
    """Root mean square over all pixels, of pictures in [-1, 1]."""
    return (a.clamp(-1, 1) - b).square().mean().sqrt().item()


# ------------------------------------------------------------------------------------- the tables


def measure_image_to_image(judge: Judge, n: int = 298) -> dict:
    """Heroes that are to turn aside: how many do, and how far they are from what they were."""
    network, figures = judge.network("context_model_trained"), {}
    heroes = [x[classes[:, 0] == 1][: n // 5] for x, classes, _ in judge.truths(n)]
    others = [x[classes[:, SIDE_FACING] == 1][: n // 5] for x, classes, _ in judge.truths(n)]

    def row(name: str, sets: list[Tensor]) -> None:
        figures[name] = {
            "side-facing, %": spread([judge.turned(x) for x in sets]),
            "distance": spread([distance(x, hero) for x, hero in zip(sets, heroes, strict=True)]),
        }

    row("the heroes themselves", heroes)
    for w in (1.0, 2.0):
        model = Guided(network, w)
        for strength in (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0):
            sets = []
            for seed, hero in zip(judge.ruler.seeds, heroes, strict=True):
                context = class_context(CLASS_NAMES, "side-facing", len(hero))
                sets.append(image_to_image(hero, strength, model=model, context=context, n=50, seed=seed))
            row(f"noised, strength {strength}, w = {w:g}", sets)
        sets = []
        for hero in heroes:
            context, own = (class_context(CLASS_NAMES, name, len(hero)) for name in ("side-facing", "hero"))
            noise = encode(hero, model=network, context=own)
            sets.append(
                sample(ddim_step(), step_pairs(50), len(hero), model=model, x=noise, context=context, **QUIET)[0]
            )
        row(f"encoded and drawn anew, w = {w:g}", sets)
    row("other sprites, side-facing", [x[: len(hero)] for x, hero in zip(others, heroes, strict=True)])
    return figures


def measure_inpainting(judge: Judge, n: int = 149) -> dict:
    """The lower half drawn anew by the unconditional network: is it still the same class, the same kind?"""
    truths, figures = judge.truths(n), {}

    def row(name: str, sets: list[Tensor], passes: int = 0) -> None:
        shares = [judge.recognised(x, *right) for x, (_, *right) in zip(sets, truths, strict=True)]
        figures[name] = {
            "class, %": spread([share for share, _ in shares]),
            "kind, %": spread([share for _, share in shares]),
            "passes": passes,
        }

    def fitting(x: Tensor) -> Tensor:
        """The lower halves of those training sprites whose upper halves are most alike."""
        library = torch.cat([judge.images, judge.images.flip(3)])
        nearest = torch.cdist(x[:, :, :8].flatten(1), library[:, :, :8].flatten(1)).argmin(dim=1)
        return torch.where(UPPER, x, library[nearest])

    row("true sprites", [x for x, *_ in truths])
    row("lower half white", [torch.where(UPPER, x, torch.ones(())) for x, *_ in truths])
    row("nearest training sprite that fits", [fitting(x) for x, *_ in truths])
    model = judge.network("model_trained")
    for eta, steps, rounds, between in WAYS_TO_INPAINT:
        step = ddim_step(eta) if eta <= 1 else dpm_step(eta)
        how = {"model": model, "step": step, "n": steps, "rounds": rounds, "between": between}
        sets = [inpaint(x, UPPER, **how, seed=seed) for seed, (x, *_) in zip(judge.ruler.seeds, truths, strict=True)]
        name = inpainting_in_words(eta, steps, rounds, between)
        row(name, sets, len(repeated(step_pairs(steps), 1, rounds, between)))
    return figures


def inpainting_in_words(eta: float, steps: int, rounds: int, between: tuple[int, int]) -> str:
    """The name of a row."""
    times = "once" if rounds == 1 else f"{rounds} times"
    where = "" if between == EVERYWHERE else f" at levels {between[0]} to {between[1]}"
    return f"η = {'∞' if eta == math.inf else f'{eta:g}'}, {steps} steps, each {times}{where}"


def measure_enlarging(judge: Judge) -> dict:
    """From 8×8 back to 16×16."""
    truths, figures = judge.ruler.fresh, {}
    model, upscaler = judge.network("model_trained"), Upscaler(load_pretrained(FOLDER / "upscaler.pth"))

    smalls = [shrink(x) for x in truths]

    def row(name: str, sets: list[Tensor]) -> None:
        figures[name] = {
            "distance": spread([distance(x, truth) for x, truth in zip(sets, truths, strict=True)]),
            "FSD": judge.fsd(sets),
        }

    def projected(small: Tensor, seed: int, eta: float) -> Tensor:
        step = project_on_small(dpm_step(eta), small)
        return sample(step, step_pairs(10), len(small), model=model, seed=seed, **QUIET)[0]

    row("nearest neighbour", [enlarge(small) for small in smalls])
    row("bicubic", [F.interpolate(small, scale_factor=2, mode="bicubic") for small in smalls])
    for eta in (0.0, math.inf):
        pairs = zip(smalls, judge.ruler.seeds, strict=True)
        row(f"projected, {ETA[eta]}", [projected(small, seed, eta) for small, seed in pairs])
    contexts = [small_context(small) for small in smalls]
    for eta in (0.0, math.inf):
        row(f"trained, {ETA[eta]}", draw_in_ten_steps(judge, upscaler, eta, contexts))
    return figures


def measure_cascade(judge: Judge) -> dict:
    """An 8×8 network and the upscaler after it, beside one 16×16 network, of as many seconds of training."""
    networks = {name: load_pretrained(FOLDER / f"{name}.pth") for name in ("unet_8", "unet_16", "upscaler")}
    upscaler, figures, seconds = Upscaler(networks["upscaler"]), {}, "CPU seconds"

    def enlarged(smalls: list[Tensor], strength: float = 0.0) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        return draw_in_ten_steps(judge, upscaler, contexts=[small_context(x, strength, generator) for x in smalls])

    sets, alone = timed(lambda: draw_in_ten_steps(judge, networks["unet_16"]))
    figures["16×16 network"] = judge.by_class(sets) | {seconds: alone}
    smalls, first = timed(lambda: draw_in_ten_steps(judge, networks["unet_8"]))
    for strength in (0.0, 0.05, 0.1, 0.2):
        sets, second = timed(lambda strength=strength: enlarged(smalls, strength))
        figures[f"cascade, strength {strength}"] = judge.by_class(sets) | {seconds: first + second}
    for strength in (0.0, 0.1):
        sets = enlarged([shrink(x) for x in judge.ruler.fresh], strength)
        figures[f"fresh sprites at 8×8, enlarged, strength {strength}"] = {"FSD": judge.fsd(sets)}
    return figures


def timed(work: Callable[[], list[Tensor]]) -> tuple[list[Tensor], float]:
    """What the work returns, and its seconds a set: of all processors together, so that other programs count little."""
    began = time.process_time()
    sets = work()
    return sets, (time.process_time() - began) / len(sets)


def measure_guidance(judge: Judge) -> dict:
    """Classes by a classifier, by contexts, by both, and by a worse copy of the network."""
    plain, network = judge.network("model_trained"), judge.network("context_model_trained")
    noisy, clean = (load_noisy_classifier(FOLDER / f"{name}_classifier.pth") for name in ("noisy", "clean"))
    mirrored = torch.cat([judge.images, judge.images.flip(3)])
    exact = ExactClassifier(mirrored, judge.labels.repeat(2, 1))
    # a model, how many U-Nets it asks at each step, and η
    ways = {f"noisy classifier, w = {w}": (ClassifierGuided(plain, noisy, w), 1, 0.0) for w in (1, 4, 16, 40, 64)}
    ways |= {f"noisy classifier, w = {w}, η = ∞": (ClassifierGuided(plain, noisy, w), 1, math.inf) for w in (1, 2, 4)}
    ways["clean classifier, w = 40"] = ClassifierGuided(plain, clean, 40), 1, 0.0
    for eta in (0.0, math.inf):
        ways[f"exact classifier, w = 1, {ETA[eta]}"] = ClassifierGuided(plain, exact, 1), 1, eta
    ways |= {f"classifier-free, w = {w}": (Guided(network, w), 1 + (w > 1), 0.0) for w in (1, 2, 3)}
    ways["contexts, and noisy classifier, w = 4"] = ClassifierGuided(network, noisy, 4, both=True), 1, 0.0
    both = ClassifierGuided(Guided(network, 2), noisy, 4, both=True)
    ways["classifier-free, w = 2, and noisy classifier, w = 4"] = both, 2, 0.0
    worse = judge.network("model_8")
    for w in (2, 3):
        ways[f"contexts, and autoguidance, w = {w}"] = Autoguided(network, worse, w, (150, 450)), 2, 0.0
    figures = {}
    for name, (model, asked, eta) in ways.items():
        figures[name] = judge.by_class(draw_in_ten_steps(judge, model, eta)) | {"networks asked": asked}
        print(name, figures[name], flush=True)
    return figures


TABLES = {
    "image_to_image": measure_image_to_image,
    "inpainting": measure_inpainting,
    "enlarging": measure_enlarging,
    "cascade": measure_cascade,
    "guidance": measure_guidance,
}


def page(figures: dict) -> str:
    """All tables, in Markdown."""
    parts = ["# Editing and guidance in figures\n", PREFACE]
    for name, rows in figures.items():
        title = f"## {name.replace('_', ' ').capitalize()}\n"
        parts += [title, TABLES[name].__doc__.splitlines()[0] + "\n", figures_table(rows) + "\n"]
    return "\n".join(parts)


PREFACE = """Made by `python -m going_further.measure_editing`; the networks by `python -m going_further.make_editing`.
Mean ± standard deviation over three seeds of sampling; each network is trained once. The 16×16 network beside the
cascade was trained for as many seconds as the two networks of the cascade: their steps, times the seconds of a step,
all three timed one after the other. CPU seconds are those of drawing one set, on all processors together. Distances
are root mean squares of pictures in [-1, 1]. Classes and kinds are those that the course's classifier finds. Where
nothing else is said, pictures are drawn in ten steps of DPM-Solver++ with η = 0.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="measure_editing", description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)} (default: all)")
    twice = "16-bit arithmetic: twice as fast where the processor has it"
    parser.add_argument("--bf16", action="store_true", help=twice)
    args = parser.parse_args()
    if unknown := set(args.tables) - set(TABLES):
        parser.error(f"expected tables among {', '.join(TABLES)}, got {', '.join(sorted(unknown))}")
    path, judge = FOLDER / "figures.json", Judge(args.bf16)
    for name in args.tables or TABLES:
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            rows = TABLES[name](judge)
        figures = (read_json(path) if path.exists() else {}) | {name: rows}  # as it is now: two may run side by side
        ordered = {known: figures[known] for known in TABLES if known in figures}
        write_text(path, json.dumps(ordered, indent=2) + "\n")
        write_text(FOLDER / "FIGURES.md", page(ordered))


if __name__ == "__main__":
    main()

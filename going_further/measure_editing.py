"""Measure editing and guidance over three seeds: writes FIGURES.md and figures.json beside the networks.

    python -m going_further.measure_editing                # three quarters of an hour on two cores
    python -m going_further.measure_editing inpainting     # one of the tables anew

The judge is the generator of ``data/``: it draws sprites that no network has seen, whose class and kind are known.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from data.make_sprites import fresh_sprites, to_arrays
from diffusion_utilities import (
    CLASS_NAMES,
    Autoguided,
    ContextUnet,
    Guided,
    class_accuracy,
    ddim_step,
    dpm_step,
    load_pretrained,
    load_sprites,
    sample,
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
    shrink,
    small_context,
)
from going_further.guidance import ClassifierGuided, NoisyClassifier
from going_further.make_editing import FOLDER
from support.files import read_json, read_state
from support.quality import FRESH_SEED, Ruler, precision_recall, spread
from support.tables import pm, table, write_text
from weights.make_weights import CAPTIONS, LABELS, SPRITES, read_kinds

QUIET = {"save_rate": None, "progress": False}
UPPER = torch.arange(16)[:, None] < 8  # (16, 1): rows that are known, of a lower half to be drawn
SIDE_FACING = CLASS_NAMES.index("side-facing")


def load_upscaler() -> Upscaler:
    network = ContextUnet(6, 64, 1, 16)
    network.load_state_dict(read_state(FOLDER / "upscaler.pth"))
    return Upscaler(network.eval())


def load_classifier(name: str = "noisy_classifier") -> NoisyClassifier:
    classifier = NoisyClassifier(len(CLASS_NAMES))
    classifier.load_state_dict({key: value.float() for key, value in read_state(FOLDER / f"{name}.pth").items()})
    return classifier.eval()


class Judge:
    """The ruler of the course's figures, and who is asked what a sprite shows.

    Args:
        n: sprites of each set, at most 1,788.
    """

    def __init__(self, n: int = 1788) -> None:
        images, labels = sprite_tensors(*load_sprites(SPRITES, LABELS), "cpu")
        self.images, self.labels, self.ruler = images, labels[:n], Ruler(images)
        self.n, self.kinds = n, read_kinds(CAPTIONS)[0]

    def truths(self, n: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For each seed n fresh sprites, their classes one-hot, and the numbers of their kinds."""
        sets = []
        for seed in self.ruler.seeds:
            sprites = fresh_sprites(n, FRESH_SEED + seed)
            kinds = torch.tensor([self.kinds.index(f"{sprite.class_name} / {sprite.kind}") for sprite in sprites])
            sets.append((*sprite_tensors(*to_arrays(sprites), "cpu"), kinds))
        return sets

    @torch.no_grad()
    def recognised(self, x: Tensor, classes: Tensor, kinds: Tensor) -> tuple[float, float]:
        """The shares in per cent whose class, and whose kind, is found to be the right one."""
        class_scores, kind_scores = self.ruler.classifier.eval()(x.clamp(-1, 1))
        pairs = ((class_scores, classes.argmax(dim=1)), (kind_scores, kinds))
        return tuple(100 * (scores.argmax(dim=1) == right).float().mean().item() for scores, right in pairs)

    def turned(self, x: Tensor) -> float:
        """The share in per cent that is taken for side-facing."""
        context = F.one_hot(torch.full((len(x),), SIDE_FACING), len(CLASS_NAMES)).float()
        return 100 * class_accuracy(x.clamp(-1, 1), context, self.ruler.classifier)[SIDE_FACING].item()

    def by_class(self, sets: list[Tensor]) -> dict:
        """FSD, precision and recall, and the classes asked for: ``labels``, for each seed."""
        right = [class_accuracy(x.clamp(-1, 1), self.labels, self.ruler.classifier) for x in sets]
        both = [precision_recall(x.clamp(-1, 1), y, self.ruler.classifier) for x, y in self.pairs(sets)]
        return {
            "FSD": self.fsd(sets),
            "precision": spread([precision for precision, _ in both]),
            "recall": spread([recall for _, recall in both]),
            "right, %": spread([100 * share.mean().item() for share in right]),
            "least class, %": spread([100 * share.min().item() for share in right]),
        }

    def pairs(self, sets: list[Tensor]) -> zip:
        return zip(sets, self.ruler.fresh, strict=True)

    def fsd(self, sets: list[Tensor]) -> dict:
        return self.ruler.fsd(sets)


def in_parts(function: Callable, *tensors: Tensor, size: int = 149) -> Tensor:
    """``function`` of parts of the tensors, so that memory stays small; each part has its own seed, its beginning."""
    starts = range(0, len(tensors[0]), size)
    return torch.cat([function(*(x[i : i + size] for x in tensors), seed=i) for i in starts])


def distance(a: Tensor, b: Tensor) -> float:
    """Root mean square over all pixels, of pictures in [-1, 1]."""
    return (a.clamp(-1, 1) - b).square().mean().sqrt().item()


# ------------------------------------------------------------------------------------- the tables


def measure_image_to_image(judge: Judge, n: int = 298) -> dict:
    """Heroes that are to turn aside: how many do, and how far they are from what they were."""
    network, figures = load_pretrained("context_model_trained"), {}
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
                context = F.one_hot(torch.full((len(hero),), SIDE_FACING), 5).float()
                sets.append(image_to_image(hero, strength, model=model, context=context, n=50, seed=seed))
            row(f"noised, strength {strength}, w = {w:g}", sets)
        sets = []
        for hero in heroes:
            context = F.one_hot(torch.full((len(hero),), SIDE_FACING), 5).float()
            own = F.one_hot(torch.zeros(len(hero), dtype=torch.long), 5).float()
            noise = encode(hero, model=network, context=own)
            sets.append(
                sample(ddim_step(), step_pairs(50), len(hero), model=model, x=noise, context=context, **QUIET)[0]
            )
        row(f"encoded and drawn anew, w = {w:g}", sets)
    row("other sprites, side-facing", [x[: len(hero)] for x, hero in zip(others, heroes, strict=True)])
    return figures


def measure_inpainting(judge: Judge, n: int = 298) -> dict:
    """The lower half drawn anew by the unconditional network: is it still the same class, the same kind?"""
    model, truths, figures = load_pretrained("model_trained"), judge.truths(n), {}

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
    for step_name, step, steps in (("η = 1", ddim_step(1.0), 50), ("η = ∞", dpm_step(math.inf), 10)):
        for rounds in (1, 2, 5, 10):
            sets = [
                inpaint(x, UPPER, model=model, step=step, n=steps, rounds=rounds, seed=seed)
                for seed, (x, *_) in zip(judge.ruler.seeds, truths, strict=True)
            ]
            row(f"{step_name}, {steps} steps, {rounds} rounds", sets, steps * rounds)
    return figures


def measure_enlarging(judge: Judge) -> dict:
    """From 8×8 back to 16×16."""
    truths, figures = judge.ruler.fresh, {}
    model, upscaler = load_pretrained("model_trained"), load_upscaler()

    def row(name: str, way: Callable) -> None:
        sets = [in_parts(way, shrink(x)) for x in truths]
        figures[name] = {
            "distance": spread([distance(x, truth) for x, truth in zip(sets, truths, strict=True)]),
            "FSD": judge.fsd(sets),
        }

    def drawn(step: Callable, small: Tensor, seed: int, n: int) -> Tensor:
        step = project_on_small(step, small)
        return sample(step, step_pairs(n), len(small), model=model, seed=seed, **QUIET)[0]

    def trained(step: Callable, small: Tensor, seed: int, n: int) -> Tensor:
        how = {"model": upscaler, "context": small_context(small), "seed": seed}
        return sample(step, step_pairs(n), len(small), **how, **QUIET)[0]

    row("nearest neighbour", lambda small, seed: enlarge(small))
    row("bicubic", lambda small, seed: F.interpolate(small, scale_factor=2, mode="bicubic"))
    for name, way in (("projected", drawn), ("trained", trained)):
        row(f"{name}, DDIM, 25 steps", lambda small, seed, way=way: way(ddim_step(), small, seed, 25))
        row(f"{name}, η = ∞, 10 steps", lambda small, seed, way=way: way(dpm_step(math.inf), small, seed, 10))
    return figures


def measure_cascade(judge: Judge) -> dict:
    """An 8×8 network and the upscaler after it, beside one 16×16 network, of as many seconds of training."""
    small_network, network = ContextUnet(3, 64, 5, 8), ContextUnet(3, 64, 5, 16)
    small_network.load_state_dict(read_state(FOLDER / "unet_8.pth"))
    network.load_state_dict(read_state(FOLDER / "unet_16.pth"))
    upscaler, figures = load_upscaler(), {}

    def draw(model: torch.nn.Module, context: Tensor, seed: int) -> Tensor:
        return sample(ddim_step(), step_pairs(25), len(context), model=model, context=context, seed=seed, **QUIET)[0]

    smalls = []
    for base in judge.ruler.seeds:
        smalls.append(
            in_parts(lambda c, seed, base=base: draw(small_network.eval(), c, seed + 10_000 * base), judge.labels)
        )

    def up(small: Tensor, seed: int, strength: float) -> Tensor:
        generator = torch.Generator().manual_seed(seed + 5000)
        return draw(upscaler, small_context(small, strength, generator), seed)

    figures["16×16 network"] = judge.by_class(
        [
            in_parts(lambda c, seed, base=base: draw(network.eval(), c, seed + 10_000 * base), judge.labels)
            for base in judge.ruler.seeds
        ]
    )
    for strength in (0.0, 0.05, 0.1, 0.2):
        sets = [in_parts(lambda x, seed, s=strength: up(x, seed, s), small) for small in smalls]
        figures[f"cascade, noise in the small picture {strength}"] = judge.by_class(sets)
    true = [in_parts(lambda x, seed: up(x, seed, 0.0), shrink(fresh)) for fresh in judge.ruler.fresh]
    figures["true 8×8 pictures, enlarged"] = {"FSD": judge.fsd(true)}
    return figures


def measure_guidance(judge: Judge) -> dict:
    """Classes by a classifier, by contexts, by both, and by a worse copy of the network."""
    plain, network = load_pretrained("model_trained"), load_pretrained("context_model_trained")
    noisy, clean = load_classifier(), load_classifier("clean_classifier")
    models = {f"noisy classifier, w = {w:g}": (ClassifierGuided(plain, noisy, w), 1) for w in (1, 2, 4, 8)}
    models["clean classifier, w = 4"] = ClassifierGuided(plain, clean, 4), 1
    models |= {f"classifier-free, w = {w:g}": (Guided(network, w), 1 + (w > 1)) for w in (1, 2, 3)}
    models["both, w = 2 and 2"] = ClassifierGuided(Guided(network, 2), noisy, 2, both=True), 2
    models["contexts w = 1, classifier w = 2"] = ClassifierGuided(network, noisy, 2, both=True), 1
    worse = load_pretrained("model_8")
    models["autoguidance, w = 3, levels 150 to 450"] = Autoguided(network, worse, 3, (150, 450)), 2
    figures = {}
    for name, (model, networks) in models.items():
        sets = []
        for base in judge.ruler.seeds:

            def draw(c: Tensor, seed: int, model: Callable = model, base: int = base) -> Tensor:
                how = {"model": model, "context": c, "seed": seed + 10_000 * base}
                return sample(ddim_step(), step_pairs(25), len(c), **how, **QUIET)[0]

            sets.append(in_parts(draw, judge.labels))
        figures[name] = judge.by_class(sets) | {"networks asked": networks}
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
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))

        def cell(row: dict, column: str) -> str:
            value = row.get(column, "")
            digits = 2 if column in ("distance", "precision", "recall") else 1
            return pm(value, digits) if isinstance(value, dict) else str(value or "")

        lines = [[way, *(cell(row, column) for column in columns)] for way, row in rows.items()]
        parts += [f"## {name.replace('_', ' ').capitalize()}\n", TABLES[name].__doc__.splitlines()[0] + "\n"]
        parts += [table(["way", *columns], lines) + "\n"]
    return "\n".join(parts)


PREFACE = """Made by `python -m going_further.measure_editing`; the networks by `python -m going_further.make_editing`.
Mean ± standard deviation over three seeds of sampling; each network is trained once. Distances are root mean squares of
pictures in [-1, 1]. Classes and kinds are those that the course's classifier finds.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="measure_editing", description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)} (default: all)")
    args = parser.parse_args()
    if unknown := set(args.tables) - set(TABLES):
        parser.error(f"expected tables among {', '.join(TABLES)}, got {', '.join(sorted(unknown))}")
    path = FOLDER / "figures.json"
    figures, judge = read_json(path) if path.exists() else {}, Judge()
    for name in args.tables or TABLES:
        figures[name] = TABLES[name](judge)
        ordered = {known: figures[known] for known in TABLES if known in figures}
        write_text(path, json.dumps(ordered, indent=2) + "\n")
        write_text(FOLDER / "FIGURES.md", page(ordered))


if __name__ == "__main__":
    main()

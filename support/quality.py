"""How good, how varied, how obedient samples are, and whether they copy.

Samples and sprites are (n, 3, h, w) with values in about [-1, 1].
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from numbers import Integral

import torch
import torch.nn as nn
from torch import Tensor

from support.files import find_weights, read_state
from support.speed import default_device, evaluating


class SpriteClassifier(nn.Module):
    """A small convolutional network that names a sprite's class and kind; used only for measuring.

    Args:
        n_classes, n_kinds: how many of each it tells apart.
        width: channels of the first stage.
    """

    def __init__(self, n_classes: int, n_kinds: int, width: int = 32) -> None:
        super().__init__()

        def stage(inside: int, outside: int) -> list[nn.Module]:
            return [nn.Conv2d(inside, outside, 3, 1, 1), nn.BatchNorm2d(outside), nn.ReLU()]

        self.body = nn.Sequential(
            *stage(3, width),
            *stage(width, width),
            nn.MaxPool2d(2),
            *stage(width, 2 * width),
            *stage(2 * width, 2 * width),
            nn.MaxPool2d(2),
            *stage(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(16 * width, 4 * width),
            nn.ReLU(),
        )
        self.class_head = nn.Linear(4 * width, n_classes)
        self.kind_head = nn.Linear(4 * width, n_kinds)

    def features(self, x: Tensor) -> Tensor:
        """Pictures (n, 3, h, w) in [-1, 1] → the penultimate layer (n, 4 width)."""
        return self.body(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (n, 3, h, w) in [-1, 1] → scores of the classes (n, n_classes) and of the kinds (n, n_kinds)."""
        h = self.features(x)
        return self.class_head(h), self.kind_head(h)


def load_classifier(device: torch.device | str | None = None) -> SpriteClassifier:
    """The shipped classifier in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: the file is not there, or cut short.
    """
    state = read_state(find_weights("sprite_classifier"))
    try:
        classifier = SpriteClassifier(len(state["class_head.bias"]), len(state["kind_head.bias"]))
        classifier.load_state_dict(state)
    except (KeyError, RuntimeError):  # PyTorch lists every weight
        raise ValueError("weights/sprite_classifier.pth is a checkpoint of another network") from None
    return classifier.to(device or default_device()).eval()


class _Features(nn.Module):
    """The classifier without its heads, in the form that torchmetrics wants."""

    def __init__(self, classifier: SpriteClassifier) -> None:
        super().__init__()
        self.classifier, self.num_features = classifier, classifier.class_head.in_features

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier.features(x)


def _check_pictures(*sets: Tensor) -> None:
    """ValueError where a set is no pictures, empty, or of another form than the others."""
    for x in sets:
        if not isinstance(x, Tensor):
            raise ValueError(f"expected pictures as a tensor (n, channels, h, w), got {type(x).__name__}")
        if x.ndim != 4 or len(x) == 0 or x.shape[1:] != sets[0].shape[1:]:
            shapes = " and ".join(str(tuple(one.shape)) for one in sets)
            raise ValueError(f"expected pictures of shape (n, channels, h, w), n at least 1, got {shapes}")
        # with NaN torchmetrics may end the whole process
        if not x.isfinite().all():
            raise ValueError("these pictures hold values that are not finite: has the training diverged?")


@torch.no_grad()
def frechet_sprite_distance(samples: Tensor, reference: Tensor, classifier: SpriteClassifier) -> float:
    """How far apart two sets of pictures (n, 3, h, w) and (m, 3, h, w) are, as the classifier sees them; 0 is equal.

    The Fréchet distance of Heusel et al. 2017 (arXiv 1706.08500, equation 6) between normal distributions fitted to the
    features of both sets, |μ_1 - μ_2|² + Tr(Σ_1 + Σ_2 - 2 (Σ_1 Σ_2)^½), with our classifier in the place of Inception.
    Two samples of one distribution are not at 0 either: compare only sets of the same size.

    Raises:
        ValueError: fewer than two pictures in a set, or pictures that are not finite.
    """
    # a slow import, for measuring only
    from torchmetrics.image.fid import FrechetInceptionDistance

    _check_pictures(samples, reference)
    if min(len(samples), len(reference)) < 2:
        raise ValueError("expected at least 2 pictures in each set, because one alone has no spread")
    metric = FrechetInceptionDistance(_Features(classifier), normalize=True).to(classifier.class_head.weight.device)
    with evaluating(classifier):
        for pictures, real in ((reference, True), (samples, False)):
            for batch in pictures.split(512):
                metric.update(batch, real=real)
    return metric.compute().item()


@torch.no_grad()
def precision_recall(
    samples: Tensor, reference: Tensor, classifier: SpriteClassifier, k: int = 3
) -> tuple[float, float]:
    """Precision: the share of samples that look like the reference; recall: the share of it that the samples cover.

    A picture is covered by a set if it lies, in the classifier's features, no farther from one of its members than that
    member's k-th neighbour in the set (Kynkäänniemi et al. 2019, arXiv 1904.06991). Read them together: samples that
    are all alike have low recall, mess has low precision or, where a few outliers reach far, low recall. Both sets are
    (n, 3, h, w).

    Raises:
        ValueError: k below 1, a set that has no more than k pictures, or values that are not finite.
    """
    _check_pictures(samples, reference)
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"expected a whole number of neighbours k of at least 1, got {k!r}")
    if min(len(samples), len(reference)) <= k:
        raise ValueError(f"expected more than k={k} pictures in each set, got {len(samples)} and {len(reference)}")
    with evaluating(classifier):
        ours, real = (torch.cat([classifier.features(batch) for batch in x.split(512)]) for x in (samples, reference))

    def covered(points: Tensor, by: Tensor) -> float:
        # (n,); the nearest of all is the point itself
        radius = torch.cdist(by, by).kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, by) <= radius).any(dim=1).float().mean().item()

    return covered(ours, by=real), covered(real, by=ours)


@torch.no_grad()
def class_accuracy(samples: Tensor, context: Tensor, classifier: SpriteClassifier) -> Tensor:
    """Of the samples (n, 3, h, w) of each class asked for, one-hot (n, classes), the share recognised: (classes,).

    NaN for a class that nobody asked for.

    Raises:
        ValueError: samples that are not finite, or a context that is not one one-hot row for each of them.
    """
    _check_pictures(samples)
    with evaluating(classifier):
        scores = classifier(samples)[0]  # (n, classes)
    expected = tuple(scores.shape)
    if not isinstance(context, Tensor) or context.shape != expected:
        got = tuple(context.shape) if isinstance(context, Tensor) else type(context).__name__
        raise ValueError(f"expected a context of shape {expected}, one row for each sample, got {got}")
    context = context.to(samples)
    if not (((context == 0) | (context == 1)).all() and (context.sum(dim=1) == 1).all()):
        raise ValueError("expected rows with one 1 and else 0: of a mixed context no class is the right one")
    right = scores.argmax(dim=1) == context.argmax(dim=1)
    return (context * right[:, None]).sum(dim=0) / context.sum(dim=0)


def background(sprites: Tensor, ground: Tensor | float = 1.0) -> Tensor:
    """Which pixels (h, w) are ground in every one of the sprites (n, 3, h, w): white, or a colour (3, 1, 1)."""
    return (sprites == ground).all(dim=1).all(dim=0)


def background_error(samples: Tensor, sprites: Tensor, ground: Tensor | float = 1.0) -> float:
    """How far the background of the samples is from white, as mean absolute error in steps of 1/255.

    The background is what is white in every one of the real ``sprites``: the outermost pixels at the corners.
    ``ground`` is another colour in its place, (3, 1, 1) in [-1, 1].

    Raises:
        ValueError: pictures that are not finite, or no pixel that is white in all of the sprites.
    """
    _check_pictures(samples, sprites)
    where = background(sprites, ground)
    if not where.any():
        raise ValueError("expected sprites on white, but no pixel is white in all of them")
    return (samples.clamp(-1, 1) - ground).abs()[:, :, where].mean().item() * 127.5


def nearest_sprite(samples: Tensor, sprites: Tensor) -> tuple[Tensor, Tensor]:
    """For each sample (n, 3, h, w) the closest sprite of (m, 3, h, w): root mean square distance (n,) and index (n,).

    A distance of 0 is an exact copy; sprites count mirrored as well, for a mirrored copy is a copy.

    Raises:
        ValueError: pictures that are not finite, or sets of different form.
    """
    _check_pictures(samples, sprites)
    flat = samples.flatten(1)
    # by differences, not by |a|² - 2ab + |b|²: its rounding would make a copy look like a near copy
    exact = "donot_use_mm_for_euclid_dist"
    plain = torch.cdist(flat, sprites.flatten(1), compute_mode=exact)
    mirrored = torch.cdist(flat, sprites.flip(3).flatten(1), compute_mode=exact)
    distance, index = torch.minimum(plain, mirrored).min(dim=1)
    return distance / math.sqrt(flat.shape[1]), index


SEEDS = (0, 1, 2)
# seed i has the reference of generator seed 100 + i, and for the floor that of 200 + i
FRESH_SEED = 100


def fresh_pictures(n: int, seed: int, device: torch.device | str = "cpu") -> Tensor:
    """n sprites that the generator of ``data/`` draws anew and no network has seen, (n, 3, 16, 16)."""
    from data.make_sprites import fresh_sprites, to_arrays  # only measuring needs it

    sprites, _ = to_arrays(fresh_sprites(n, seed))
    return (torch.from_numpy(sprites).to(device).permute(0, 3, 1, 2) / 127.5 - 1).contiguous()


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and standard deviation of one figure over the seeds; one seed alone has no deviation, None."""
    std = round(statistics.stdev(values), 4) if len(values) > 1 else None
    return {"mean": round(statistics.fmean(values), 4), "std": std}


class Ruler:
    """What samples are measured against: the classifier, the training sprites, and for each seed fresh sprites.

    Args:
        images: the training sprites (n, 3, 16, 16); each seed has as many fresh ones.
        seeds: each figure is a mean over so many sets of samples.
    """

    def __init__(self, images: Tensor, seeds: Sequence[int] = SEEDS) -> None:
        self.images, self.seeds, self.classifier = images, seeds, load_classifier(images.device)
        n, device = len(images), images.device
        self.fresh = [fresh_pictures(n, FRESH_SEED + seed, device) for seed in seeds]
        self.other_fresh = [fresh_pictures(n, 2 * FRESH_SEED + seed, device) for seed in seeds]

    def fsd(self, sets: Sequence[Tensor]) -> dict[str, float]:
        """The Fréchet sprite distance of sets of pictures, one a seed. Pictures count as they are shown."""
        pairs = zip(sets, self.fresh, strict=True)
        return spread([frechet_sprite_distance(x.clamp(-1, 1), fresh, self.classifier) for x, fresh in pairs])

    def quality(self, sets: Sequence[Tensor]) -> dict[str, dict[str, float]]:
        """All figures of sets of pictures, one a seed."""
        sets = [x.clamp(-1, 1) for x in sets]
        both = [precision_recall(x, fresh, self.classifier) for x, fresh in zip(sets, self.fresh, strict=True)]
        return {
            "fsd": self.fsd(sets),
            "precision": spread([precision for precision, _ in both]),
            "recall": spread([recall for _, recall in both]),
            "background_error": spread([background_error(x, self.images) for x in sets]),
        }

    def copying(self, sets: Sequence[Tensor]) -> dict[str, dict[str, float]]:
        """Quantiles of the distance to the nearest training sprite; mirrored sprites count, as nearest_sprite has it.

        In grey, a copy in other hues counts as well: turning hues leaves the mean of the three colours as it is.
        """
        figures = {}
        for name, seen in {
            "colour": lambda x: x,
            "grey": lambda x: x.mean(dim=1, keepdim=True),
        }.items():
            distances = [nearest_sprite(seen(x.clamp(-1, 1)), seen(self.images))[0] for x in sets]
            for level in (0.0, 0.01, 0.1, 0.5):
                figures[f"{name}, {level:.0%}"] = spread([d.quantile(level).item() for d in distances])
        return figures

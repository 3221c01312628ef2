"""How good your own model is: does it obey, does it copy, is it as varied as real pictures? And what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from Capstone.own_model import OwnRun
from support.quality import (
    background,
    background_error,
    load_classifier,
    nearest_sprite,
    precision_recall,
)
from support.tables import table

EACH = 20  # sprites drawn of each class, at least
K = 3  # neighbours for precision and recall
A_COPY = 0.05  # root mean square distance, where no control says what is near


@dataclass(frozen=True)
class Row:
    """The figures of one set of pictures; None is a figure that does not exist for it.

    Attributes:
        right: of each class, the share whose nearest training sprite is of the class asked for.
        nearest: quantiles 0, 0.1 and 0.5 of the distance to the nearest training sprite.
        precision, recall: against the training sprites, in the features of the course's classifier.
    """

    n: int
    right: dict[str, float]
    nearest: tuple[float, float, float]
    precision: float | None
    recall: float | None

    @property
    def all_right(self) -> float:
        """The mean over the classes."""
        return sum(self.right.values()) / len(self.right)


@dataclass(frozen=True)
class Figures:
    """Drawn sprites beside the control, real pictures that the network has never seen.

    Attributes:
        near: share of the drawn ones that are nearer to a training sprite than nine of ten of the
            control (0.1 would be as real pictures are); without a control, the share of copies.
        ground_error: mean error of what should be ground, in steps of 1/255; None without a ground.
    """

    drawn: Row
    control: Row | None
    near: float
    ground_error: float | None


def measure(run: OwnRun, guidance: float = 1.0, seed: int = 0) -> Figures:
    """Draw sprites of every class and measure them beside the control."""
    split = run.split
    counts = split.control_labels.sum(dim=0).long().tolist()
    classes = torch.eye(len(run.class_names))
    wanted = torch.cat([one.repeat(max(EACH, n), 1) for one, n in zip(classes, counts, strict=True)])
    samples = run.draw(wanted, guidance=guidance, seed=seed)
    wanted = wanted.to(samples)
    control = None
    if len(split.control):
        control, _ = _row(run, split.control, split.control_labels, split.control)
    # of each class as many as the control has: precision and recall depend on the number
    alike = [samples[wanted[:, k] == 1][:n] for k, n in enumerate(counts)]
    drawn, distance = _row(run, samples, wanted, torch.cat(alike) if control else samples)
    limit = control.nearest[1] if control else A_COPY
    near = (distance < limit).float().mean().item()
    return Figures(drawn, control, near, _ground_error(run, samples))


def _row(run: OwnRun, pictures: Tensor, labels: Tensor, for_sets: Tensor) -> tuple[Row, Tensor]:
    """The figures of pictures, and their distances to the nearest training sprite (n,)."""
    distance, index = nearest_sprite(pictures, run.split.images)
    # a picture may carry two labels: one of them is enough
    hit = (run.split.labels[index] * labels).sum(dim=1) > 0
    right = {
        name: hit[labels[:, k] > 0].float().mean().item()
        for k, name in enumerate(run.class_names)
        if (labels[:, k] > 0).any()
    }
    quantiles = tuple(distance.quantile(q).item() for q in (0.0, 0.1, 0.5))
    both = None, None
    if min(len(for_sets), len(run.split.images)) > K:
        both = precision_recall(for_sets, run.split.images, load_classifier(run.device), K)
    return Row(len(pictures), right, quantiles, *both), distance


def _ground_error(run: OwnRun, samples: Tensor) -> float | None:
    """Where every training sprite shows the ground, mirrored or not: how far the samples are from it."""
    ground = torch.tensor(run.ground, device=run.device)[:, None, None] / 127.5 - 1
    images = torch.cat([run.split.images, run.split.images.flip(3)])
    return background_error(samples, images, ground) if background(images, ground).any() else None


# -------------------------------------------------------------------------------------- in words


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def as_table(figures: Figures) -> str:
    """The figures as a Markdown table, drawn beside control."""
    columns = {"drawn": figures.drawn}
    if figures.control:
        columns["control"] = figures.control
    lines = [["", *columns]]

    def line(name: str, show: Callable[[Row], object]) -> None:
        lines.append([name, *(show(row) for row in columns.values())])

    line("pictures", lambda row: row.n)
    if len(figures.drawn.right) > 1:
        line("recognised as the class asked for", lambda row: _percent(row.all_right))
        for name in figures.drawn.right:
            line(f"… {name}", lambda row, name=name: _percent(row.right.get(name)))
    line("nearest training sprite, least distance", lambda row: f"{row.nearest[0]:.2f}")
    line("… half are below", lambda row: f"{row.nearest[2]:.2f}")
    if figures.drawn.precision is not None:
        line("precision", lambda row: _percent(row.precision))
        line("recall", lambda row: _percent(row.recall))
    return table(lines[0], lines[1:])


def advice(figures: Figures, run: OwnRun) -> list[str]:
    """What stands out, in plain sentences, each with what to do."""
    drawn, control = figures.drawn, figures.control
    stopped = not run.finished
    longer = "train on, the run has not finished" if stopped else "more pictures would help, or guidance=2"
    said = []
    if control is None:
        said += [f"With {len(run.split.images)} pictures none could be put aside, so there is nothing to compare with."]
    elif len(control.right) > 1 and control.all_right < 0.6:
        said += [
            f"Of real pictures only {control.all_right:.0%} are recognised: your classes differ in what single "
            "pixels do not show. Trust your eyes, not this figure."
        ]
    elif len(drawn.right) > 1 and drawn.all_right < 0.9 * control.all_right:
        weakest = min(drawn.right, key=drawn.right.get)
        said += [f"The classes are mixed up, most of all {weakest}: {longer}."]
    if figures.near > 0.3:
        said += [
            f"{figures.near:.0%} are nearer to a training sprite than "
            + ("nine of ten real pictures are" if control else "a copy should be")
            + ": it copies. More pictures help; fewer minutes and a larger hue help a little."
        ]
    elif control and drawn.nearest[2] > 1.3 * control.nearest[2]:
        said += [f"They are farther from your pictures than real ones are: blurred or mixed. {longer.capitalize()}."]
    if control and drawn.recall is not None and drawn.recall < 0.7 * control.recall:
        said += ["They are less varied than your pictures: lower the guidance, or train on with more pictures."]
    if control and drawn.precision is not None and drawn.precision < 0.7 * control.precision:
        said += [f"Too many look like none of your pictures: {longer}."]
    if figures.ground_error is not None and figures.ground_error > 3:
        said += [f"The ground is off by {figures.ground_error:.0f} of 255: {longer}."]
    return said or ["Nothing stands out: by these figures the drawn sprites are like your real ones."]


def report_on(run: OwnRun, guidance: float = 1.0, seed: int = 0) -> str:
    """The table of :func:`measure` and what follows from it, to print."""
    figures = measure(run, guidance, seed)
    return as_table(figures) + "\n\n" + "\n".join(advice(figures, run))

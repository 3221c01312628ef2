"""Checkpoints: one file that holds a network's weights and everything needed to use them.

A checkpoint is a dictionary of plain values and tensors:

    config      dataset, image_size, timesteps, schedule (its name), objective (what the network answers with),
                class_names, unet (the arguments of UNet), recipe and training (the settings of the run)
    ema         the averaged weights, which sampling uses
    model       the weights that are being trained             } only while a run may still go on:
    optimizer, scaler, step, epoch, losses                     } :func:`strip` leaves them out
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import support.checks as check
from diffusion_utilities import NoiseSchedule, default_device, save_weights
from going_further.predictions import OBJECTIVES, PredictsNoise
from going_further.schedules import SCHEDULES
from going_further.unet import UNet
from support.files import read_checkpoint, without_prefix

CONFIG = {
    "dataset": str,
    "image_size": int,
    "timesteps": int,
    "schedule": str,
    "class_names": list,
    "unet": dict,
}


def read(path: str | Path) -> dict:
    """The dictionary in a checkpoint, its tensors on the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short or damaged, or was not made by train.py.
    """
    path = Path(path)
    state = read_checkpoint(path)
    if problem := _problem(state):
        raise ValueError(f"{path} was not made by going_further/train.py: {problem}")
    return state


def _problem(state: object) -> str:
    """What is wrong with the contents of a checkpoint, "" if nothing is."""
    config = state.get("config") if isinstance(state, dict) else None
    if not isinstance(config, dict) or "ema" not in state:
        return "expected a config and averaged weights in it"
    for key, kind in CONFIG.items():
        if not isinstance(config.get(key), kind):
            return f"expected {key} as {kind.__name__} in its config, got {config.get(key)!r:.40}"
    if not all(isinstance(name, str) for name in config["class_names"]):
        return f"expected class_names as words, got {config['class_names']!r:.40}"
    if (objective := objective_of(config)) not in OBJECTIVES:
        return f"expected an objective out of {', '.join(OBJECTIVES)} in its config, got {objective!r:.40}"
    for key in ("ema", "model"):
        try:
            without_prefix(state.get(key, {}))
        except ValueError as error:
            return f"{key}: {error}"
    return ""


def objective_of(config: dict) -> str:
    """What the network answers with; before there was a choice, that was the noise."""
    return config.get("objective", "noise")


def load_model(
    path: str | Path, device: torch.device | str | None = None, ema: bool = True
) -> tuple[UNet | PredictsNoise, NoiseSchedule, dict]:
    """A trained network in evaluation mode, the schedule it was trained with, and its config.

    It predicts noise. One that answers with something else comes in a wrapper.

    Args:
        path: a checkpoint, whole or stripped.
        device: where to put the network; None is the first GPU if there is one, else the CPU.
        ema: take the averaged weights; False takes those of the last step.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short, was not made by train.py, or holds averaged weights only and ema is False.
    """
    state = read(path)
    config = state["config"]
    if not ema and "model" not in state:
        raise ValueError(f"{path} holds the averaged weights only")
    try:
        schedule = SCHEDULES[config["schedule"]](config["timesteps"])
        net = _network(config, state["ema" if ema else "model"])
    except Exception as error:  # what a file of a newer or changed program holds can fail in any way
        reason = " ".join(str(error).split())[:200]  # in one line
        raise ValueError(f"{path} does not fit this program: {type(error).__name__}: {reason}") from error
    net = net.to(device or default_device()).eval()
    objective = objective_of(config)
    return net if objective == "noise" else OBJECTIVES[objective](net, schedule).eval(), schedule, config


def _network(config: dict, weights: dict[str, Tensor]) -> UNet:
    """The network of a config with the weights given."""
    with torch.device("meta"):  # takes no memory, whatever the file claims
        planned = UNet(**config["unet"])
    check.fit(weights, planned.state_dict())
    if len(config["class_names"]) != planned.n_cfeat or config["image_size"] != planned.height:
        raise ValueError(
            f"{len(config['class_names'])} class names and pictures of {config['image_size']} do not "
            f"belong to a network of {planned.n_cfeat} classes and height {planned.height}"
        )
    net = UNet(**config["unet"])
    net.load_state_dict(weights)
    return net


def strip(path_in: str | Path, path_out: str | Path) -> None:
    """Write a copy with only what sampling needs, the config and the averaged weights: a quarter of the size.

    Raises:
        FileNotFoundError, ValueError: as :func:`read`.
    """
    state = read(path_in)
    save_weights({"config": state["config"], "ema": state["ema"]}, path_out)

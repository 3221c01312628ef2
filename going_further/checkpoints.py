"""Checkpoints: one file that holds a network's weights and everything needed to use them.

A checkpoint is a dictionary of plain values and tensors:

    config      dataset, image_size, timesteps, schedule (its name), class_names, unet (the arguments of UNet),
                training (the settings of the run)
    ema         the averaged weights, which sampling uses
    model       the weights that are being trained             } only while a run may still go on:
    optimizer, scaler, step, epoch, losses                     } :func:`strip` leaves them out
"""

from __future__ import annotations

from pathlib import Path

import torch

from diffusion_utilities import NoiseSchedule, default_device, save_weights
from going_further.schedules import SCHEDULES
from going_further.unet import UNet
from support.files import read_checkpoint

CONFIG_KEYS = ("dataset", "image_size", "timesteps", "schedule", "class_names", "unet")


def read(path: str | Path) -> dict:
    """The dictionary in a checkpoint, its tensors on the CPU.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short, or was not made by train.py.
    """
    path = Path(path)
    state = read_checkpoint(path)
    config = state.get("config") if isinstance(state, dict) else None
    if not isinstance(config, dict) or "ema" not in state or any(key not in config for key in CONFIG_KEYS):
        raise ValueError(f"{path} was not made by going_further/train.py: expected a config and averaged weights in it")
    return state


def load_model(
    path: str | Path, device: torch.device | str | None = None, ema: bool = True
) -> tuple[UNet, NoiseSchedule, dict]:
    """A trained network in evaluation mode, the schedule it was trained with, and its config.

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
        net = UNet(**config["unet"])
        net.load_state_dict(state["ema" if ema else "model"])
    except Exception as error:  # what a file of a newer or changed program holds can fail in any way
        reason = " ".join(str(error).split())[:200]  # in one line
        raise ValueError(f"{path} does not fit this program: {type(error).__name__}: {reason}") from error
    return net.to(device or default_device()).eval(), schedule, config


def strip(path_in: str | Path, path_out: str | Path) -> None:
    """Write a copy with only what sampling needs, the config and the averaged weights: a quarter of the size.

    Raises:
        FileNotFoundError, ValueError: as :func:`read`.
    """
    state = read(path_in)
    save_weights({"config": state["config"], "ema": state["ema"]}, path_out)

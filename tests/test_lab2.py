"""The training loop of Lab 2, taken from the notebook: it may be interrupted, and goes on where it stopped."""

import copy
import json
import math
import time
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from tqdm import tqdm

import diffusion_utilities as du
from weights.muon import MuonAndAdamW

ROOT = Path(__file__).resolve().parent.parent
NAMES = (
    "def noise_loss",
    "def learning_rate",
    "def training_step",
    "def draw_loss",
    "def train(",
    "def show_and_save",
)


@pytest.fixture
def lab(tmp_path, make_model):
    """The cells that define the loop, run with a tiny network and a set of 64 pictures."""
    model = make_model(seed=0).to(memory_format=torch.channels_last)
    space = {name: getattr(du, name) for name in du.__all__}
    space |= {
        "math": math,
        "np": np,
        "plt": plt,
        "display": lambda fig, display_id: SimpleNamespace(update=lambda fig: None),
        "tqdm": tqdm,
        "time": time,
        "timesteps": 500,
        "device": torch.device("cpu"),
        "BF16": False,
    }
    space |= {
        "schedule": du.linear_schedule(),
        "nn_model": model,
        "ema_model": copy.deepcopy(model),
        "n_steps": 30,
    }
    space |= {
        "optimizer": MuonAndAdamW(model),
        "generator": torch.Generator().manual_seed(0),
        "linear_loss": 0.3,
    }
    space |= {
        "images": torch.randn(64, 3, 16, 16),
        "labels": torch.eye(5)[torch.arange(64) % 5],
        "batch_size": 32,
    }
    space["checkpoint"] = tmp_path / "my_model.pth"
    cells = json.loads((ROOT / "L2_Training/L2_Training.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for source in sources:
        if any(name in source for name in NAMES):
            exec(source, space)
    return space


def test_interrupted_training_leaves_a_usable_checkpoint_and_goes_on(lab, capsys):
    whole_step = lab["training_step"]

    def interrupted_step(x, step):
        if step == 7:
            raise KeyboardInterrupt
        return whole_step(x, step)

    lab["training_step"] = interrupted_step
    lab["train"](30)
    assert len(lab["losses"]) == 7 and "Interrupted after 7 of 30" in capsys.readouterr().out
    saved = torch.load(lab["checkpoint"], weights_only=True)
    averaged = lab["ema_model"].state_dict()
    assert all(torch.equal(saved[key], averaged[key]) for key in averaged)

    lab["training_step"] = whole_step
    lab["train"](30)
    assert len(lab["losses"]) == 30
    saved_last = torch.load(lab["checkpoint"], weights_only=True)
    assert not all(torch.equal(saved_last[key], saved[key]) for key in saved)


def test_loss_reaches_every_level_and_hands_over_t_divided_by_T(lab):  # noqa: N802
    seen = []

    def says_nothing(x, t):
        seen.append(t)
        return torch.zeros_like(x)

    losses = [lab["noise_loss"](says_nothing, lab["images"]).item() for _ in range(200)]
    levels = (torch.cat(seen) * 500).round().int()
    assert set(levels.tolist()) == set(range(1, 501))
    assert np.mean(losses) == pytest.approx(1, abs=0.01)  # the variance of the noise


def test_in_bf16_the_loss_is_nearly_the_same_and_gradients_keep_their_digits(lab):
    losses = []
    for bf16 in (False, True):
        lab["BF16"] = bf16
        lab["generator"].manual_seed(1)
        lab["nn_model"].zero_grad()
        losses.append(lab["noise_loss"](lab["nn_model"], lab["images"]))
    losses[1].backward()
    assert 0 < abs(losses[0] - losses[1]) < 0.02 * losses[0]
    assert {parameter.grad.dtype for parameter in lab["nn_model"].parameters()} == {torch.float32}


def test_nothing_that_the_lab_writes_is_among_the_shipped_weights():
    for path in ROOT.glob("L?_*/L?_*.ipynb"):
        code = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
        written = [line for cell in code for line in cell["source"] if "save_weights(" in line or "torch.save(" in line]
        assert all("checkpoint)" in line for line in written), (path.name, written)
    lab2 = (ROOT / "L2_Training/L2_Training.ipynb").read_text(encoding="utf-8")
    assert 'checkpoint = ROOT / \\"build/my_model.pth\\"' in lab2

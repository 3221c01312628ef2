"""The training of Lab 2, taken from the notebook: each run is what it says, may be interrupted, and goes on."""

import copy
import itertools
import json
import math
import os
import time
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.animation import FuncAnimation
from tqdm import tqdm

import diffusion_utilities as du
from L2_Training import checks

ROOT = Path(__file__).resolve().parent.parent
CELLS = json.loads((ROOT / "L2_Training/L2_Training.ipynb").read_text(encoding="utf-8"))["cells"]
SOURCES = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
LOOP = ["def noise_loss", "def new_network", "model = new_network()\noptimizer = torch.optim.Adam", "def draw_loss"]
BETTER = ["def training_step", "def learning_rate", "def train(", "class Muon", "def loss_in_16_bits"]
SAFE = ["def show_and_save", "def train_safely"]
PLANE = ["def exact_x0", "def exact_in_plane", "def plane_model"]


def run(names, space):
    """Execute the cells that hold these words, one each."""
    for name in names:
        (source,) = (source for source in SOURCES if name in source)
        exec(source, space)
    return space


@pytest.fixture(scope="module")
def names():
    """What the first cells of the lab define."""
    space = {name: getattr(du, name) for name in du.__all__}
    space |= {"copy": copy, "itertools": itertools, "math": math, "os": os, "time": time, "np": np, "plt": plt}
    space |= {"torch": torch, "tqdm": tqdm, "Path": Path, "ROOT": ROOT, "FuncAnimation": FuncAnimation}
    space["display"] = lambda fig, display_id: SimpleNamespace(update=lambda fig: None)
    space |= {"timesteps": 500, "n_feat": 8, "n_cfeat": 5, "height": 16, "linear_loss": 0.3}
    return space | {"device": torch.device("cpu"), "ab_t": du.linear_schedule().ab_t}


@pytest.fixture
def lab(tmp_path, names, monkeypatch):
    """The cells of section 6, run with a tiny network and a set of 64 pictures."""
    monkeypatch.setenv("COURSE_STEPS", "12")
    monkeypatch.setattr(plt, "show", lambda: None)
    torch.manual_seed(0)
    space = dict(names)
    space |= {"images": torch.randn(64, 3, 16, 16), "labels": torch.eye(5)[torch.arange(64) % 5]}
    run([*LOOP, *BETTER, *SAFE], space)
    space |= {"checkpoint": tmp_path / "my_model.pth", "BF16": False}
    return space


def test_the_first_loop_draws_as_it_goes(lab):
    assert lab["first_steps"] == 12 and len(lab["drawn"]) == 3
    assert all(x.shape == (12, 3, 16, 16) and x.isfinite().all() for x in (*lab["drawn"], lab["first"]))
    assert not torch.equal(lab["drawn"][0], lab["first"])


def test_the_first_sprite_is_drawn_at_most_15_cells_after_the_loss():
    loss, drawn = (
        next(i for i, s in enumerate(SOURCES) if name in s) for name in ("def my_noise_loss", "*drawn, first")
    )
    assert "show_images" in SOURCES[drawn] and 0 < drawn - loss < 15


def test_the_first_loop_has_a_dozen_lines():
    (loop,) = (source for source in SOURCES if LOOP[2] in source)
    assert len(loop.splitlines()) <= 16 and "ema" not in loop and "clip" not in loop


def test_a_run_takes_its_seconds_and_ends_with_a_small_rate(lab):
    ticks = itertools.count()
    lab["clock"] = lambda: next(ticks) / 10  # each step takes a tenth of a second
    model = lab["new_network"](8)
    optimizer, before = lab["Muon"](model), copy.deepcopy(model.state_dict())
    average, steps = lab["train"](model, optimizer, lab["noise_loss"], 1.0, lab["learning_rate"])
    assert steps == 10
    rate = optimizer.parts[1].param_groups[0]["lr"]
    assert rate == 2e-3 * lab["learning_rate"](0.9) and rate < 1e-4
    for network in (model, average):
        assert not all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert average is not model


def test_the_rate_rises_shortly_and_falls_to_zero(lab):
    rates = [lab["learning_rate"](done) for done in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert 0 < rates[0] < 0.1 and 5 <= top <= 15 and rates[-1] == 0
    assert np.all(np.diff(rates[top:]) < 0)


def test_a_factor_scales_muon(lab):
    moved = []
    for factor in (0.0, 1.0):
        model = lab["new_network"]()
        optimizer = lab["Muon"](model)
        optimizer.factor = factor
        before = [p.detach().clone() for p in model.parameters()]
        lab["noise_loss"](model, lab["images"]).backward()
        optimizer.step()
        moved.append(max((p - old).abs().max().item() for p, old in zip(model.parameters(), before, strict=True)))
    assert moved[0] == 0 and moved[1] > 1e-3


def test_interrupted_training_leaves_a_usable_checkpoint_and_goes_on(lab, capsys):
    whole_step, steps = lab["training_step"], itertools.count()

    def interrupted_step(*arguments):
        if next(steps) == 7:
            raise KeyboardInterrupt
        return whole_step(*arguments)

    lab["training_step"] = interrupted_step
    lab["train_safely"](30)
    assert len(lab["losses"]) == 7 and "Interrupted after 7 of 30" in capsys.readouterr().out
    saved = torch.load(lab["checkpoint"], weights_only=True)
    averaged = lab["average"].state_dict()
    assert all(torch.equal(saved[key], averaged[key]) for key in averaged)

    lab["training_step"] = whole_step
    lab["train_safely"](30)
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
    losses, model = [], lab["new_network"]()
    for bf16 in (False, True):
        lab["BF16"] = bf16
        torch.manual_seed(1)
        model.zero_grad()
        losses.append(lab["loss_in_16_bits"](model, lab["images"]))
    losses[1].backward()
    assert 0 < abs(losses[0] - losses[1]) < 0.02 * losses[0]
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}


def test_in_the_plane_both_samplers_end_on_the_points(names):
    space = run(PLANE, dict(names))
    points, paths = space["points"], space["paths"]
    assert points.shape == (200, 2) and set(paths) == {"DDPM", "DDIM"}
    torch.testing.assert_close(points.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    for frames in paths.values():
        assert frames.shape == (101, 200, 2)
        distance, hit = torch.cdist(torch.from_numpy(frames[-1]), points).min(dim=1)
        assert distance.max() < 0.05 and 0.35 < (hit < 100).float().mean() < 0.65
    bends = {name: np.abs(np.diff(frames[:, :, 0], n=2, axis=0)).mean() for name, frames in paths.items()}
    assert bends["DDPM"] > 10 * bends["DDIM"]  # one wanders, the other is smooth
    at_the_top = space["exact_in_plane"](torch.tensor([[2.0, 1.0], [-2.0, -1.0]]), 500)
    assert at_the_top.abs().max() < 0.3  # nothing is decided: the mean


def test_nothing_that_the_lab_writes_is_among_the_shipped_weights():
    for path in ROOT.glob("L?_*/L?_*.ipynb"):
        code = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
        written = [line for cell in code for line in cell["source"] if "save_weights(" in line or "torch.save(" in line]
        assert all("checkpoint)" in line for line in written), (path.name, written)
    assert any('checkpoint = ROOT / "build/my_model.pth"' in source for source in SOURCES)


@pytest.mark.parametrize("name", checks.LAB.exercises)
def test_what_follows_is_computed_with_the_learners_function(name):
    used = "diffusion_utilities.perturb_input" if name == "perturb_input" else name
    assert any(f"yours({used})" in source for source in SOURCES)


def test_training_noises_with_the_learners_function(names, monkeypatch):
    calls = []

    def my_perturb_input(x, t, noise):
        calls.append(t.shape)
        return du.perturb_input(x, t, noise)

    monkeypatch.setitem(checks.LAB._functions, "perturb_input", my_perturb_input)
    space = run(["of_each = yours", "def noise_loss"], names | {"yours": checks.yours, "timesteps": 500})
    space["noise_loss"](lambda x, t: x, torch.zeros(4, 3, 8, 8))
    assert calls == [(4,)]
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(space["perturb_input"](x, 7, x), du.perturb_input(x, 7, x)) and len(calls) == 1

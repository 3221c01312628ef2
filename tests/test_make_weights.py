"""Training: it learns, and a run that was killed ends like one that was not."""

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import diffusion_utilities as du

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("make_weights", ROOT / "weights" / "make_weights.py")
make_weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_weights)
from weights import muon

TINY_RUN = f"""
import importlib.util, sys, torch
spec = importlib.util.spec_from_file_location("make_weights", {str(ROOT / "weights" / "make_weights.py")!r})
make_weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_weights)
from pathlib import Path
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
images = torch.rand(128, 3, 16, 16, generator=generator) * 2 - 1
labels = torch.eye(5)[torch.arange(128) % 5]
print("ready", flush=True)
figures = make_weights.train_network("context", images, labels, Path(sys.argv[1]), context=True, epochs=6, views=3, n_feat=8)
print(figures["loss_per_epoch"])
"""  # noqa: E501


def run_tiny(folder, kill_after_epochs=None):
    """Train in a process of its own; with ``kill_after_epochs``, kill -9 it once that many checkpoints were written."""
    process = subprocess.Popen([sys.executable, "-c", TINY_RUN, str(folder)], stdout=subprocess.PIPE, text=True)
    if kill_after_epochs is None:
        out, _ = process.communicate()
        assert process.returncode == 0
        return out.strip().splitlines()[-1]
    for line in process.stdout:
        if line.startswith(f"context: epoch {kill_after_epochs - 1},"):
            time.sleep(0.05)  # somewhere within saving, or the next epoch
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL


def test_run_killed_twice_ends_with_the_same_weights(tmp_path):
    losses = run_tiny(tmp_path / "whole")
    run_tiny(tmp_path / "killed", kill_after_epochs=1)
    run_tiny(tmp_path / "killed", kill_after_epochs=2)
    assert not (tmp_path / "killed" / "context_model_trained.pth").exists()
    assert run_tiny(tmp_path / "killed") == losses
    whole, killed = (
        torch.load(tmp_path / name / "context_model_trained.pth", weights_only=True) for name in ("whole", "killed")
    )
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[key], killed[key]) for key in whole)


def test_loss_falls_and_the_epochs_of_the_course_are_kept(tmp_path):
    images = torch.ones(64, 3, 16, 16)
    images[:, :, 4:12, 4:12] = -1
    labels = torch.eye(5)[torch.arange(64) % 5]
    figures = make_weights.train_network(
        "unconditional", images, labels, tmp_path, context=False, epochs=9, views=12, n_feat=8
    )
    losses = figures["loss_per_epoch"]
    assert losses[-1] < 0.7 * losses[0]
    kept = {path.name for path in tmp_path.glob("*.pth")}
    assert kept == {"model_0.pth", "model_4.pth", "model_8.pth", "model_trained.pth"}


def test_learning_rate_rises_then_falls_to_zero():
    rates = [make_weights.learning_rate(step, 1000) for step in range(1000)]
    peak = rates.index(max(rates))
    assert rates[0] < 0.02 and max(rates) == 1
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-5


def test_errors_count_as_those_of_v_up_to_the_largest_weight():
    """v = √ᾱ ε - √(1-ᾱ) x_0: its squared error, for any picture, is that of ε times the weight."""
    schedule, t = du.linear_schedule(), torch.tensor([1, 100, 250, 500])
    ab_t = schedule.ab_t[t].double()
    x_t, noise, pred_noise = torch.randn(3, 4, dtype=torch.float64)

    def v(eps):
        x0 = (x_t - (1 - ab_t).sqrt() * eps) / ab_t.sqrt()
        return ab_t.sqrt() * eps - (1 - ab_t).sqrt() * x0

    of_v = (v(pred_noise) - v(noise)).square() / (pred_noise - noise).square()
    torch.testing.assert_close(make_weights.loss_weight(t, schedule).double(), of_v.clamp(max=5), rtol=1e-5, atol=0)
    assert of_v[2] < 5 < of_v[3]  # the bound matters at high noise only
    unbounded = make_weights.loss_weight(t, schedule, make_weights.LARGEST_CONTEXT_WEIGHT)
    torch.testing.assert_close(unbounded.double(), of_v, rtol=1e-5, atol=0)


def test_optimizer_moves_every_weight_in_place_and_forgets_gradients(make_model):
    model = make_model(seed=0).to(memory_format=torch.channels_last).train()
    optimizer = muon.MuonAndAdamW(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    c = torch.eye(5)[:4]
    model(torch.randn(4, 3, 16, 16), torch.rand(4), c).square().mean().backward()
    optimizer.step(1.0)
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    # batch norm takes out any constant that is added before it, so such biases have no gradient worth the name
    assert not [name for name in still if not name.endswith("bias")], still
    assert all(p.grad is None for p in model.parameters())
    assert len(optimizer.convs) > 15  # Muon has the wide convolutions, not the ones from or to three colours
    assert all(min(p.shape[:2]) > 3 for p in optimizer.convs)


def test_muon_step_is_orthogonal_in_every_convolution(make_model):
    """What Muon is for: the step of a weight, as a matrix, has singular values that are about equal."""
    model = make_model(seed=0).to(memory_format=torch.channels_last).train()
    optimizer = muon.MuonAndAdamW(model)
    before = [p.detach().clone() for p in optimizer.convs]
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    optimizer.step(1.0)
    for p, old in zip(optimizer.convs, before, strict=True):
        step = muon.as_matrix((p.detach() - old * (1 - 0.01 * muon.CONV_RATE)).double())
        values = torch.linalg.svdvals(step) / muon.CONV_RATE / max(1, step.shape[0] / step.shape[1]) ** 0.5
        assert values[0] < 1.4 and values.median() > 0.5, (tuple(p.shape), values)


def test_optimizer_at_rate_zero_changes_nothing(make_model):
    model = make_model(seed=0).to(memory_format=torch.channels_last).train()
    optimizer = muon.MuonAndAdamW(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(torch.randn(4, 3, 16, 16), torch.rand(4), None).square().mean().backward()
    optimizer.step(0.0)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_context_is_hidden_from_a_tenth_of_the_pictures(monkeypatch):
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x, t, c):
            seen.append((t.clone(), c.clone()))
            return x * self.weight

    images, labels = torch.zeros(64, 3, 16, 16), torch.full((64, 5), 0.6)

    class StandStill:
        def step(self, factor):
            pass

    model, ema, optimizer = Spy(), Spy(), StandStill()
    make_weights.train_epoch(model, ema, optimizer, images, labels, 0, 1, 60, context=True, bf16=False)
    c = torch.cat([c for _, c in seen])
    hidden = (c == 0).all(dim=1)
    assert hidden.float().mean().item() == pytest.approx(0.1, abs=0.02)  # 3840 draws: three deviations are 0.015
    assert torch.equal(c[~hidden], torch.full((int((~hidden).sum()), 5), 0.6))  # labels are not cut to whole numbers
    t = torch.cat([t for t, _ in seen]) * 500
    assert t.min().round() == 1 and t.max().round() == 500  # t = T is drawn as well, t = 0 never


def test_checkpoint_of_another_run_is_refused(tmp_path):
    images, labels = torch.zeros(64, 3, 16, 16), torch.eye(5)[torch.arange(64) % 5]
    tiny = {"context": True, "epochs": 1, "views": 1, "n_feat": 8}
    (tmp_path / "run").mkdir()
    save = make_weights.save_weights
    save(
        {"settings": {"context": True, "epochs": 32, "steps": 9, "n_feat": 64}}, tmp_path / "run" / "context.checkpoint"
    )
    with pytest.raises(ValueError, match="delete it to begin anew"):
        make_weights.train_network("context", images, labels, tmp_path / "run", **tiny)
    make_weights.train_network("context", images, labels, tmp_path / "other", **tiny)
    files = {path.name for path in (tmp_path / "other").iterdir()}
    assert files == {"context.checkpoint", "context_model_trained.pth"}


def test_context_run_starts_from_the_given_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(make_weights, "learning_rate", lambda step, n_steps: 0.0)
    images, labels = torch.zeros(64, 3, 16, 16), torch.eye(5)[torch.arange(64) % 5]
    start = make_weights.ContextUnet(3, 8, 5, 16)
    make_weights.save_weights(start.state_dict(), tmp_path / "start.pth")
    make_weights.train_network(
        "context", images, labels, tmp_path, context=True, epochs=1, views=1, n_feat=8, start=tmp_path / "start.pth"
    )
    trained = torch.load(tmp_path / "context_model_trained.pth", weights_only=True)
    for key, value in start.named_parameters():
        assert torch.equal(trained[key], value), key


def test_last_epoch_of_the_context_run_is_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(make_weights.KEPT_EPOCHS, "context", (1,))
    images, labels = torch.zeros(64, 3, 16, 16), torch.eye(5)[torch.arange(64) % 5]
    make_weights.train_network("context", images, labels, tmp_path, context=True, epochs=2, views=1, n_feat=8)
    assert {path.name for path in tmp_path.glob("*.pth")} == {"context_model_1.pth", "context_model_trained.pth"}


def test_command_refuses_unknown_runs():
    command = [sys.executable, str(ROOT / "weights" / "make_weights.py"), "unconditionnal"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and "unconditionnal" in result.stderr and "Traceback" not in result.stderr

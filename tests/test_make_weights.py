"""Training: it learns, and a run that was killed ends like one that was not."""

import dataclasses
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import diffusion_utilities as du
from support import training
from support.training import Recipe, Run, alone, learning_rate, loss_weight
from weights import card, make_weights, muon

ROOT = Path(__file__).resolve().parent.parent
TINY = Recipe(epochs=1, largest_weight=5.0)
TINY_CONTEXT = replace(TINY, context_dropout=0.1, largest_weight=math.inf)

TINY_RUN = """
import sys, torch
from dataclasses import replace
from pathlib import Path
from weights import make_weights
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
images = torch.rand(128, 3, 16, 16, generator=generator) * 2 - 1
labels = torch.eye(5)[torch.arange(128) % 5]
recipe = replace(make_weights.RECIPES["context"], epochs=6, views=3)
print("ready", flush=True)
figures = make_weights.train_network("context", images, labels, Path(sys.argv[1]), recipe, n_feat=8)
print(figures["loss_per_epoch"])
"""


def run_tiny(folder, kill_after_epochs=None):
    """Train in a process of its own; kill -9 it once ``kill_after_epochs`` checkpoints were written."""
    process = subprocess.Popen(
        [sys.executable, "-c", TINY_RUN, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    if kill_after_epochs is None:
        out, _ = process.communicate()
        assert process.returncode == 0
        return out.strip().splitlines()[-1]
    for line in process.stdout:
        if line.startswith(f"context: epoch {kill_after_epochs - 1},"):
            time.sleep(0.05)  # somewhere within saving, or the next epoch
            process.kill()
            break
    process.stdout.close()
    assert process.wait() != 0


def test_run_killed_twice_ends_with_the_same_weights(tmp_path):
    losses = run_tiny(tmp_path / "whole")
    run_tiny(tmp_path / "killed", kill_after_epochs=1)
    run_tiny(tmp_path / "killed", kill_after_epochs=2)
    assert not (tmp_path / "killed" / "context_model_trained.pth").exists()
    assert run_tiny(tmp_path / "killed") == losses
    paths = [tmp_path / name / "context_model_trained.pth" for name in ("whole", "killed")]
    whole, killed = (torch.load(path, weights_only=True) for path in paths)
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[key], killed[key]) for key in whole)


def test_loss_falls_and_the_epochs_of_the_course_are_kept(tmp_path):
    images = torch.ones(64, 3, 16, 16)
    images[:, :, 4:12, 4:12] = -1
    labels = torch.eye(5)[torch.arange(64) % 5]
    recipe = replace(TINY, epochs=9, views=12)
    figures = make_weights.train_network("unconditional", images, labels, tmp_path, recipe, n_feat=8)
    losses = figures["loss_per_epoch"]
    assert losses[-1] < 0.7 * losses[0]
    kept = {path.name for path in tmp_path.glob("*.pth")}
    assert kept == {"model_0.pth", "model_4.pth", "model_8.pth", "model_trained.pth"}


def test_learning_rate_rises_then_falls_to_zero():
    rates = [learning_rate(step, 1000) for step in range(1000)]
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
    torch.testing.assert_close(loss_weight(t, schedule, 5.0).double(), of_v.clamp(max=5), rtol=1e-5, atol=0)
    assert of_v[2] < 5 < of_v[3]  # the bound matters at high noise only
    unbounded = loss_weight(t, schedule, math.inf)
    torch.testing.assert_close(unbounded.double(), of_v, rtol=1e-5, atol=0)


def test_optimizer_moves_every_weight_in_place_and_forgets_gradients(make_model):
    model = make_model(seed=0).to(memory_format=torch.channels_last).train()
    optimizer = muon.MuonAndAdamW(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    c = torch.eye(5)[:4]
    model(torch.randn(4, 3, 16, 16), torch.rand(4), c).square().mean().backward()
    optimizer.step(1.0)
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    # batch norm takes out any constant that is added before it, so such biases have no gradient
    # worth the name
    assert not [name for name in still if not name.endswith("bias")], still
    assert all(p.grad is None for p in model.parameters())
    # Muon has the wide convolutions, not the ones from or to three colours
    assert len(optimizer.convs) > 15
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
        step = muon.as_matrix((p.detach() - old * (1 - 0.01 * muon.MUON_RATE)).double())
        values = torch.linalg.svdvals(step) / muon.MUON_RATE / max(1, step.shape[0] / step.shape[1]) ** 0.5
        assert values[0] < 1.4 and values.median() > 0.5, (tuple(p.shape), values)


def test_optimizer_at_rate_zero_changes_nothing(make_model):
    model = make_model(seed=0).to(memory_format=torch.channels_last).train()
    optimizer = muon.MuonAndAdamW(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(torch.randn(4, 3, 16, 16), torch.rand(4), None).square().mean().backward()
    optimizer.step(0.0)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_context_is_hidden_from_a_tenth_of_the_pictures(tmp_path):
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

    recipe = replace(TINY_CONTEXT, views=60)
    Run(recipe, Spy(), StandStill(), images, labels, tmp_path / "run.checkpoint").train_epoch()
    c = torch.cat([c for _, c in seen])
    hidden = (c == 0).all(dim=1)
    # 3840 draws: three deviations are 0.015
    assert hidden.float().mean().item() == pytest.approx(0.1, abs=0.02)
    # labels are not cut to whole numbers
    assert torch.equal(c[~hidden], torch.full((int((~hidden).sum()), 5), 0.6))
    t = torch.cat([t for t, _ in seen]) * 500
    assert t.min().round() == 1 and t.max().round() == 500  # t = T is drawn as well, t = 0 never


IMAGES, LABELS = torch.zeros(64, 3, 16, 16), torch.eye(5)[torch.arange(64) % 5]
OTHER = {
    "epochs": 2,
    "views": 2,
    "batch_size": 32,
    "rate": 0.5,
    "warmup_steps": 7,
    "ema_decay": 0.99,
    "context_dropout": 0.2,
    "largest_weight": 5.0,
    "seed": 1,
    "bf16": True,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a run has ended, and left its checkpoint."""
    folder = tmp_path_factory.mktemp("finished")
    make_weights.train_network("context", IMAGES, LABELS, folder, TINY_CONTEXT, n_feat=8)
    assert {path.name for path in folder.iterdir()} == {
        "context.checkpoint",
        "context_model_trained.pth",
    }
    return folder


def test_every_setting_of_a_recipe_is_tried_below():
    assert OTHER.keys() | {"data", "start"} == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("name", OTHER)
def test_a_resume_with_another_setting_is_refused_and_names_it(name, finished):
    recipe = replace(TINY_CONTEXT, **{name: OTHER[name]})
    with pytest.raises(ValueError, match=f"{name} was .*, is now .*delete it to begin anew") as refusal:
        make_weights.train_network("context", IMAGES, LABELS, finished, recipe, n_feat=8)
    assert str(refusal.value).count(" was ") == 1


def test_a_resume_with_other_pictures_labels_or_start_is_refused(finished, tmp_path):
    start = tmp_path / "start.pth"
    du.save_weights(du.ContextUnet(3, 8, 5, 16).state_dict(), start)
    for name, images, labels, options in (
        ("data", IMAGES + 0.1, LABELS, {}),
        ("data", IMAGES, LABELS.roll(1, 0), {}),
        ("start", IMAGES, LABELS, {"start": start}),
    ):
        options |= {"n_feat": 8}
        with pytest.raises(ValueError, match=f"{name} was "):
            make_weights.train_network("context", images, labels, finished, TINY_CONTEXT, **options)


def test_a_resume_of_another_network_is_refused(finished):
    with pytest.raises(ValueError, match="this checkpoint does not fit the network"):
        make_weights.train_network("context", IMAGES, LABELS, finished, TINY_CONTEXT, n_feat=16)


@pytest.mark.parametrize("content", [{}, {"recipe": 3}, {"recipe": {}}, [1, 2], {"settings": {"epochs": 32}}])
def test_a_checkpoint_that_is_none_of_a_run_is_refused(content, tmp_path):
    du.save_weights(content, tmp_path / "context.checkpoint")
    with pytest.raises(ValueError, match=r"context\.checkpoint is "):
        make_weights.train_network("context", IMAGES, LABELS, tmp_path, TINY_CONTEXT, n_feat=8)


def test_two_runs_in_one_place_are_noticed_before_the_first_checkpoint(tmp_path):
    with alone(tmp_path / "context.checkpoint"):
        with pytest.raises(ValueError, match="another run is writing"):
            make_weights.train_network("context", IMAGES, LABELS, tmp_path, TINY_CONTEXT, n_feat=8)
    assert not list(tmp_path.glob("*"))


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": True},
        {"views": 1.5},
        {"batch_size": "64"},
        {"rate": 0.0},
        {"rate": math.nan},
        {"ema_decay": 1.5},
        {"context_dropout": -0.1},
        {"largest_weight": 0},
        {"seed": -1},
        {"warmup_steps": -1},
    ],
)
def test_impossible_recipes_are_refused(bad):
    with pytest.raises(ValueError, match="expected"):
        Recipe(**{"epochs": 1} | bad)


def test_context_run_starts_from_the_given_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "learning_rate", lambda *arguments: 0.0)
    start = du.ContextUnet(3, 8, 5, 16)
    du.save_weights(start.state_dict(), tmp_path / "start.pth")
    options = {"n_feat": 8, "start": tmp_path / "start.pth"}
    make_weights.train_network("context", IMAGES, LABELS, tmp_path, TINY_CONTEXT, **options)
    trained = torch.load(tmp_path / "context_model_trained.pth", weights_only=True)
    for key, value in start.named_parameters():
        assert torch.equal(trained[key], value.half()), key


def test_files_have_16_bits_and_the_checkpoint_32(finished):
    stored = torch.load(finished / "context_model_trained.pth", weights_only=True)
    checkpoint = training.read_checkpoint(finished / "context.checkpoint")
    assert {value.dtype for value in stored.values()} == {torch.float16, torch.int64}
    for part in ("model", "ema"):
        assert {value.dtype for value in checkpoint[part].values()} == {torch.float32, torch.int64}


def test_epochs_to_keep_are_written_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setitem(make_weights.KEPT_EPOCHS, "context", (1,))
    recipe = replace(TINY_CONTEXT, epochs=2)
    make_weights.train_network("context", IMAGES, LABELS, tmp_path, recipe, n_feat=8)
    assert {path.name for path in tmp_path.glob("*.pth")} == {
        "context_model_1.pth",
        "context_model_trained.pth",
    }


def test_legs_go_on_from_the_last_one_and_the_best_on_fresh_sprites_is_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(make_weights, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setattr(make_weights, "LEGS_DIR", tmp_path / "legs")
    monkeypatch.setattr(make_weights, "LEGS", (1, 2))
    monkeypatch.setattr(make_weights, "UNCONDITIONAL", TINY)
    monkeypatch.setattr(make_weights, "sprite_tensors", lambda *_: (IMAGES, LABELS))
    monkeypatch.setattr(make_weights, "ContextUnet", lambda channels, _, *rest: du.ContextUnet(channels, 8, *rest))
    monkeypatch.setattr(make_weights, "Ruler", lambda images: images)
    errors, in_16_bits, in_32_bits = iter((0.4, 0.6)), [], []

    def measure_leg(ruler, model, bf16):
        in_16_bits.append(model.init_conv.conv1[0].weight.detach().clone())
        return {"error": {"fresh": {"50": next(errors)}}}

    def measure_short(ruler, model, bf16):
        in_32_bits.append(model.init_conv.conv1[0].weight.detach().clone())

    monkeypatch.setattr(make_weights, "measure_leg", measure_leg)
    monkeypatch.setattr(make_weights, "measure_short", measure_short)
    monkeypatch.setattr(sys, "argv", ["make_weights", "longer", "longer"])
    shipped, legs = tmp_path / "model_trained.pth", [tmp_path / "legs" / f"leg_{k}_trained.pth" for k in (1, 2)]
    du.save_weights(training.half_state_dict(du.ContextUnet(3, 8, 5, 16)), shipped)
    make_weights.record("unconditional", {"error": {"fresh": {"50": 0.5}}})
    first = training.weights_hash(torch.load(shipped))
    make_weights.main()
    one, two = (training.weights_hash(torch.load(path)) for path in legs)
    assert training.weights_hash(torch.load(shipped)) == one and len({first, one, two}) == 3
    recipes = [leg["recipe"] for leg in make_weights.read_metrics()["longer"]]
    assert [recipe["start"] for recipe in recipes] == [first, one]
    assert [recipe["seed"] for recipe in recipes] == [1, 2]
    assert [recipe["epochs"] for recipe in recipes] == [1, 2]
    assert {file.name for file in tmp_path.rglob("*.*")} == {shipped.name, *(leg.name for leg in legs), "metrics.json"}
    # the file's numbers are rounded, those before it were not
    assert all(torch.equal(x, x.half().float()) for x in in_16_bits)
    assert not any(torch.equal(x, x.half().float()) for x in in_32_bits)


def test_a_new_first_run_begins_the_legs_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(make_weights, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setitem(make_weights.RECIPES, "unconditional", TINY)
    monkeypatch.setattr(make_weights, "sprite_tensors", lambda *_: (IMAGES, LABELS))
    monkeypatch.setattr(make_weights, "ContextUnet", lambda channels, _, *rest: du.ContextUnet(channels, 8, *rest))
    monkeypatch.setattr(make_weights, "Ruler", lambda images: images)
    monkeypatch.setattr(make_weights, "measure_leg", lambda *arguments: {"error": {}})
    monkeypatch.setattr(sys, "argv", ["make_weights", "unconditional"])
    make_weights.record("longer", [{"images_shown": 1}])
    make_weights.main()
    assert make_weights.read_metrics()["longer"] == []


def test_loss_on_fresh_sprites_is_the_weighted_mean_over_its_levels():
    schedule, errors = du.linear_schedule(), {"50": 0.1, "450": 0.01}
    expected = (0.1 / schedule.ab_t[50].item() + 0.01 * 5) / 2  # 1/ᾱ is above 5 at level 450
    assert make_weights.loss_on_fresh({"error": {"fresh": errors}}) == pytest.approx(expected, rel=1e-5)


def test_shipped_network_is_the_leg_with_the_least_loss_on_fresh_sprites():
    metrics = make_weights.read_metrics()
    legs = [metrics["unconditional"], *metrics["longer"]]
    losses = [make_weights.loss_on_fresh(leg) for leg in legs]
    best = losses.index(min(losses))
    following = metrics["longer"][best]["recipe"]["start"]  # the next leg began with it, in 16 bits
    stored = torch.load(make_weights.WEIGHTS_DIR / "model_trained.pth")
    assert training.weights_hash(stored) == following


@pytest.mark.parametrize("text", ['{"classifier": ', "[1, 2]", "", "\x00"])
def test_a_damaged_metrics_json_is_found_before_anything_is_trained(text, tmp_path, monkeypatch):
    (tmp_path / "metrics.json").write_text(text)
    (tmp_path / "README.md").write_text("the old card")
    monkeypatch.setattr(make_weights, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setattr(card, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setattr(sys, "argv", ["make_weights", "classifier"])
    for main in (make_weights.main, card.main):
        with pytest.raises(ValueError, match=r"metrics\.json"):
            main()
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "README.md"}
    assert (tmp_path / "README.md").read_text() == "the old card"


def test_a_metrics_json_without_a_run_is_named_and_the_card_stays(tmp_path, monkeypatch):
    page = "<!-- runs -->\nold\n<!-- / -->\n"
    (tmp_path / "metrics.json").write_text('{"classifier": {}}')
    (tmp_path / "README.md").write_text(page)
    monkeypatch.setattr(card, "WEIGHTS_DIR", tmp_path)
    with pytest.raises(ValueError, match="the figures lack what the block runs shows: KeyError"):
        card.main()
    assert (tmp_path / "README.md").read_text() == page


def test_figures_are_added_to_those_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(make_weights, "WEIGHTS_DIR", tmp_path)
    (tmp_path / "model_0.pth").write_bytes(b"1")
    (tmp_path / "peer_ours_trained.pth").write_bytes(b"2")  # not kept
    make_weights.record("unconditional", {"seconds": 1})
    make_weights.record("context", {"seconds": 2})
    metrics = make_weights.read_metrics()
    assert list(metrics) == ["context", "sha256", "unconditional"]
    assert metrics["sha256"].keys() == {"model_0.pth"}


def test_parts_of_the_evaluation_are_recorded_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(make_weights, "WEIGHTS_DIR", tmp_path)
    monkeypatch.setattr(make_weights, "Ruler", lambda images: images)

    def fails(*arguments):
        raise KeyboardInterrupt

    def frontier(*arguments):
        # another process has finished another part meanwhile
        make_weights.record("evaluation", {"older": 1, "where": 3})
        return {"frontier": {"DDIM": {"25": 2}}}

    parts = {
        "frontier": frontier,
        "quality": lambda *arguments: {"quality": {"DDPM, 500 steps": {"fsd": 7}}},
        "context": fails,
    }
    monkeypatch.setattr(make_weights, "PARTS", parts)
    (tmp_path / "metrics.json").write_text('{"evaluation": {"older": 1}}')
    with pytest.raises(KeyboardInterrupt):
        make_weights.evaluate(["frontier", "quality", "context"], IMAGES, LABELS, False, {"seed": 0})
    assert make_weights.read_metrics()["evaluation"] == {
        "older": 1,
        "where": 3,
        "frontier": {"DDIM": {"25": 2}, "DDPM": {"500": 7}},
        "quality": {"DDPM, 500 steps": {"fsd": 7}},
        "made_on": {"seed": 0},
    }


@pytest.mark.parametrize("words", [["unconditionnal"], ["--evaluate", "frontiers"]])
def test_command_refuses_unknown_runs_and_parts(words):
    command = [sys.executable, "-m", "weights.make_weights", *words]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 2
    assert words[-1] in result.stderr and "Traceback" not in result.stderr

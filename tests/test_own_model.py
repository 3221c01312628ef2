"""The capstone's training: what is put aside, where it starts, when it stops, how it goes on."""

import json
import math

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from Capstone import own_model
from Capstone.own_model import OwnRun, split, start_network
from Capstone.own_sprites import OwnSprites
from going_further import checkpoints

WHITE = (255, 255, 255)
NAMES = ("elf", "orc", "troll")


def sprites_of(n=30, names=NAMES, size=16, seed=0, sources=None):
    """n sprites of noise on white, the classes in turn."""
    sprites = np.full((n, size, size, 3), 255, np.uint8)
    inside = np.random.default_rng(seed).integers(0, 250, (n, size - 4, size - 4, 3))
    sprites[:, 2:-2, 2:-2] = inside
    labels = np.eye(len(names), dtype=np.float32)[np.arange(n) % len(names)]
    return OwnSprites(sprites, labels, names, WHITE, sources or tuple(f"{i}.png" for i in range(n)), "")


@pytest.fixture
def small(monkeypatch):
    """A narrow network in the place of the usual one, so that steps take no time."""
    wide = du.ContextUnet
    monkeypatch.setattr(own_model, "ContextUnet", lambda c, _, k, h: wide(c, 8, k, h))
    monkeypatch.setattr(own_model, "bf16_is_faster", lambda device: False)


# ---------------------------------------------------------------------------------- what is put aside


def test_a_fifth_of_each_class_is_put_aside_and_nothing_is_lost():
    own = sprites_of(90)
    parts = split(own)
    assert parts.control_labels.sum(dim=0).tolist() == [6, 6, 6]
    together = torch.cat([parts.images, parts.control])
    images, _ = du.sprite_tensors(own.sprites, own.labels)
    assert len(together) == 90 and torch.equal(torch.unique(together, dim=0), torch.unique(images, dim=0))


def test_of_equal_pictures_only_the_first_counts():
    own = sprites_of(60)
    own.sprites[30:] = own.sprites[:30]
    parts = split(own)
    assert len(parts.images) + len(parts.control) == 30
    assert torch.cdist(parts.control.flatten(1), parts.images.flatten(1)).min() > 1


def test_at_most_two_hundred_are_put_aside():
    assert 190 <= len(split(sprites_of(3000)).control) <= 210


def test_the_sprites_of_one_strip_stay_together():
    own = sprites_of(60, ("elf",), sources=tuple(f"strip {i // 4}" for i in range(60)))
    aside = own_model._aside(list(own.sources), np.zeros(60, int))
    assert {aside[k : k + 4].sum() for k in range(0, 60, 4)} == {0, 4} and aside.sum() == 12
    # all in one sheet: then each counts alone
    assert own_model._aside(["sheet"] * 60, np.zeros(60, int)).sum() == 12


def test_names_in_a_pattern_do_not_choose_one_thing():
    """Axe, hoe, pickaxe, shovel, sword in five metals: every fifth would be all swords."""
    aside = np.flatnonzero(own_model._aside([f"{i:02}" for i in range(50)], np.zeros(50, int)))
    assert len(set(aside % 5)) > 2


def test_few_pictures_and_small_classes_are_spared():
    assert not own_model._aside([str(i) for i in range(19)], np.arange(19) % 2).any()
    aside = own_model._aside([str(i) for i in range(30)], np.array([0] * 28 + [1] * 2))
    assert aside[:28].any() and not aside[28:].any()


# ---------------------------------------------------------------------------------- where it starts


@pytest.mark.parametrize(
    ("size", "names", "new"),
    [
        (16, NAMES, {"contextembed1.model.0.weight", "contextembed2.model.0.weight"}),
        (24, ("a", "b", "c", "d", "e"), {"up0.0.weight"}),
        (16, du.CLASS_NAMES, set()),
    ],
)
def test_the_course_weights_are_taken_over_where_they_fit(size, names, new):
    model, n, _ = start_network("course", names, size)
    stored, own = du.load_pretrained("context_model_trained", "cpu").state_dict(), model.state_dict()
    silent = {f"contextembed{i}.model.0.weight" for i in (1, 2)} if names != du.CLASS_NAMES else set()
    assert n == len(stored) - len(new | silent)
    differ = {k for k in own if own[k].shape != stored[k].shape or not torch.equal(own[k], stored[k])}
    assert differ == new | silent and all((own[k] == 0).all() for k in silent)


@pytest.mark.parametrize("start", ["course", "unet"])
def test_at_first_new_classes_act_like_no_context(start):
    model = start_network(start, NAMES, 16)[0].eval()
    if start == "course":
        stored = du.load_pretrained("context_model_trained", "cpu")
    else:
        stored, _, _ = checkpoints.load_model(own_model.ROOT / "going_further/sprites_unet.pt", "cpu")
    x, t = torch.randn(3, 3, 16, 16), torch.tensor(0.7)
    with torch.no_grad():
        torch.testing.assert_close(model(x, t, torch.eye(3)), stored(x, t, None), rtol=1e-3, atol=1e-4)


def test_other_starts_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        start_network(tmp_path / "missing.pth", NAMES, 16)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="not a complete PyTorch checkpoint"):
        start_network(tmp_path / "text.pth", NAMES, 16)


def test_a_network_that_answers_with_something_else_is_refused(tmp_path):
    state = checkpoints.read(own_model.ROOT / "going_further/sprites_unet.pt")
    state["config"]["objective"] = "v"
    du.save_weights(state, tmp_path / "v.pt")
    with pytest.raises(ValueError, match=r"expected a network that answers with noise, .*v\.pt answers with v"):
        start_network(tmp_path / "v.pt", NAMES, 16)


def test_random_weights_follow_the_seed(small):
    one, other = (start_network(None, NAMES, 16, seed)[0].state_dict()["out.3.weight"] for seed in (0, 1))
    assert not torch.equal(one, other)
    assert torch.equal(one, start_network(None, NAMES, 16, 0)[0].state_dict()["out.3.weight"])


# --------------------------------------------------------------------------------------- the training


def test_a_run_writes_a_model_that_the_samplers_take(small, tmp_path):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu").train(most_steps=6)
    assert len(run.losses) == 6 and all(math.isfinite(loss) for loss in run.losses)
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert names == {"mine.pth", "mine.checkpoint", "mine.json"}
    model = du.load_pretrained(tmp_path / "mine/mine.pth", "cpu")
    assert (model.n_cfeat, model.height) == (3, 16)
    x, t = torch.randn(3, 3, 16, 16), torch.tensor(0.5)
    with torch.no_grad():
        torch.testing.assert_close(model(x, t, torch.eye(3)), run.model(x, t, torch.eye(3)), rtol=0, atol=0.02)
    about = json.loads((tmp_path / "mine/mine.json").read_text(encoding="utf-8"))
    assert about["class_names"] == list(NAMES) and about["steps"] == 6 and about["size"] == 16
    # another folder may start from it, and keeps its contexts where the classes are the same
    other, *_ = start_network(tmp_path / "mine/mine.pth", NAMES, 16)
    assert torch.equal(other.contextembed1.model[0].weight, model.contextembed1.model[0].weight)
    foreign, *_ = start_network(tmp_path / "mine/mine.pth", ("a", "b", "c"), 16)
    assert (foreign.contextembed1.model[0].weight == 0).all()


def test_the_unet_becomes_a_checkpoint_of_going_further(tmp_path, monkeypatch):
    monkeypatch.setattr(own_model, "bf16_is_faster", lambda device: False)
    run = OwnRun(sprites_of(20), tmp_path / "mine", start="unet", device="cpu").train(most_steps=1)
    model, schedule, config = checkpoints.load_model(tmp_path / "mine/mine.pt", "cpu")
    assert config["class_names"] == list(NAMES) and model.n_cfeat == 3 and schedule.timesteps == 500
    again, n, _ = start_network(tmp_path / "mine/mine.pt", NAMES, 16)
    assert n == len(again.state_dict()) and (again.class_embedding.weight != 0).any()
    assert run.draw("orc", 2, n=2).shape == (2, 3, 16, 16)


def test_a_second_run_goes_on(small, tmp_path):
    first = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu").train(most_steps=4)
    second = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu")
    assert second.losses == first.losses and second.checks == first.checks
    for one, other in ((first.network, second.network), (first.average, second.average)):
        assert all(torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items())
    second.train(most_steps=7)
    assert len(second.losses) == 7 and second.losses[:4] == first.losses


@pytest.mark.parametrize(
    ("pictures", "options", "words"),
    [
        (sprites_of(seed=1), {}, "data was"),
        (sprites_of(), {"mirror": False}, "mirror was True, is now False"),
        (sprites_of(names=("elf", "orc", "ogre")), {}, "classes was"),
    ],
)
def test_nothing_of_another_run_is_overwritten(small, tmp_path, pictures, options, words):
    OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu").train(most_steps=1)
    before = {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    with pytest.raises(ValueError, match=f"holds another run: .*{words}.*Choose another folder"):
        OwnRun(pictures, tmp_path / "mine", start=None, device="cpu", **options)
    assert {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before


def test_a_folder_of_other_things_is_refused(small, tmp_path):
    (tmp_path / "holiday.png").touch()
    with pytest.raises(ValueError, match="expected a new folder, or one of an earlier run"):
        OwnRun(sprites_of(), tmp_path, start=None, device="cpu")


def watched(monkeypatch, losses):
    """Checks after each step, of these losses one after the other."""
    values = iter(losses)
    monkeypatch.setattr(own_model, "CHECK_EVERY", 1)
    monkeypatch.setattr(own_model, "LEAST_STEPS", 4)
    monkeypatch.setattr(OwnRun, "control_loss", lambda run: next(values))


def test_it_stops_when_the_control_has_not_got_better_for_a_third_of_the_steps(small, tmp_path, monkeypatch):
    watched(monkeypatch, [9, 8, 7, 6, 5, 4, 5, 5, 5, 5, 5, 5, 5])
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu")
    weights = []
    step = run._step
    monkeypatch.setattr(run, "_step", lambda *a: (step(*a), weights.append(own_model.cpu_state_dict(run.average))))
    run.train()
    # the best is step 6; at 10 steps the last 4 were no better, which is more than a third
    assert (len(run.losses), run.best_step) == (10, 6) and run.finished
    model = run.model.state_dict()
    assert all(torch.equal(value, model[key]) for key, value in weights[5].items())
    run.train()
    assert len(run.losses) == 10  # nothing to do


def test_of_weights_that_are_equally_good_the_latest_are_kept(small, tmp_path, monkeypatch):
    """Where the loss stands still, the network goes on to learn the classes."""
    watched(monkeypatch, [9, 8, 7, 5, 5.02, 5.1, 5.3])
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu")
    weights = []
    step = run._step
    monkeypatch.setattr(run, "_step", lambda *a: (step(*a), weights.append(own_model.cpu_state_dict(run.average))))
    run.train()
    # 5.02 is within 1 % of 5, what follows is not; the end is counted from the least, at step 4
    assert (len(run.losses), run.best_step) == (7, 5)
    model = run.model.state_dict()
    assert all(torch.equal(value, model[key]) for key, value in weights[4].items())


def test_it_goes_on_while_the_control_gets_better(small, tmp_path, monkeypatch):
    watched(monkeypatch, range(100, 0, -1))
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu").train(most_steps=30)
    assert len(run.losses) == 30 and not run.finished and "train on" in run.state


def test_the_minutes_are_kept(small, tmp_path):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu")
    assert run.train(minutes=0).losses == [] and not run.checkpoint.exists()
    run.train(minutes=0.02)
    assert 1 <= len(run.losses) < 300
    with pytest.raises(ValueError, match="minutes"):
        run.train(minutes=-1)


def test_an_interrupt_loses_nothing(small, tmp_path, monkeypatch, capsys):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu")
    step = run._step

    def interrupted(*given):
        if len(run.losses) == 3:
            raise KeyboardInterrupt
        step(*given)

    monkeypatch.setattr(run, "_step", interrupted)
    run.train()
    assert "Interrupted" in capsys.readouterr().out
    assert len(OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu").losses) == 3


def test_a_run_that_diverges_ends_and_spoils_nothing(small, tmp_path, monkeypatch):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu").train(most_steps=2)
    before = {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    monkeypatch.setattr(own_model, "training_step", lambda *given: torch.tensor(math.nan))
    with pytest.raises(FloatingPointError, match="nan at step 2"):
        run.train()
    assert {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before


def test_few_pictures_train_for_a_fixed_number_of_steps(small, tmp_path, monkeypatch):
    monkeypatch.setattr(own_model, "STEPS_UNWATCHED", 5)
    run = OwnRun(sprites_of(12), tmp_path / "mine", start=None, device="cpu").train()
    assert len(run.losses) == 5 and run.finished and run.best_step == 5 and "too few" in run.state


@pytest.mark.parametrize("mirror", [True, False])
def test_sprites_are_mirrored_only_where_that_is_allowed(small, tmp_path, mirror):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu", mirror=mirror, hue=0.0)
    batches, _ = run._batches()
    x = torch.cat([next(batches)[0] for _ in range(4)])
    # (n, m): which of the training sprites it is
    same = (torch.cdist(x.flatten(1), run.split.images.flatten(1)) < 0.1).any(dim=1)
    assert same.all() if not mirror else 0.2 < same.float().mean() < 0.8


def test_every_level_comes_up_and_a_tenth_of_the_contexts_is_hidden(small, tmp_path, monkeypatch):
    run = OwnRun(sprites_of(80), tmp_path / "mine", start=None, device="cpu")
    seen, forward = [], run.network.forward
    monkeypatch.setattr(run.network, "forward", lambda x, t, c: (seen.append((t, c)), forward(x, t, c))[1])
    run.train(most_steps=40)
    t, c = (torch.cat(parts) for parts in zip(*seen, strict=True))
    assert t.min() >= 1 / 500 and t.max() <= 1 and t.min() < 0.01 and t.max() > 0.99
    assert 0.07 < (c.sum(dim=1) == 0).float().mean() < 0.13


def test_the_loss_on_the_control_is_the_same_each_time_and_follows_the_weights(small, tmp_path):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu")
    before = run.control_loss()
    assert run.control_loss() == before
    run.train(most_steps=30)
    assert run.control_loss() < before


# ---------------------------------------------------------------------------------------- the drawing


def test_contexts_by_name(small, tmp_path):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu")
    assert run.context("orc", 2).tolist() == [[0, 1, 0]] * 2
    assert run.context({"elf": 0.5, "troll": 0.25}, 1).tolist() == [[0.5, 0, 0.25]]
    with pytest.raises(ValueError, match="expected classes among elf, orc, troll, got ogre"):
        run.context("ogre", 1)


def test_drawing_follows_the_seed(small, tmp_path):
    run = OwnRun(sprites_of(), tmp_path / "mine", start=None, device="cpu").train(most_steps=2)
    one, again, other = (run.draw("elf", 3, seed=seed) for seed in (0, 0, 1))
    assert one.shape == (3, 3, 16, 16) and one.abs().max() <= 1
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert run.draw("elf", 2, guidance=2, n=3, sample=du.sample_ddim_context).isfinite().all()

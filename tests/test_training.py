"""What training needs beside the formulas: the kit, the moving average, the evaluation mode."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import diffusion_utilities as du
from support import training
from support.training import Recipe, alone

ROOT = Path(__file__).resolve().parents[1]


# ----------------------------------------------------------------------------------------- the kit


def test_a_recipe_is_frozen_and_its_differences_are_words():
    recipe = Recipe(epochs=3, data=64 * "a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.epochs = 4
    then = recipe.as_dict()
    assert training.differences(then, dict(then)) == []
    now = dataclasses.replace(recipe, rate=0.5, data=64 * "b").as_dict()
    said = [f"data was {12 * 'a'}…, is now {12 * 'b'}…", "rate was 1.0, is now 0.5"]
    assert sorted(training.differences(then, now)) == said
    # a setting that an older or a newer program did not know
    assert training.differences(then | {"old": 1}, then) == ["old was 1, is now None"]
    assert training.differences(then, then | {"new": 1}) == ["new was None, is now 1"]


def test_an_epoch_shows_each_picture_as_often_as_the_recipe_says():
    assert Recipe(views=20).steps(1788) == 558  # 20 · 1788 / 64, cut to a whole number
    assert Recipe(batch_size=1000).steps(64) == 1


def test_hashes_see_every_number_and_nothing_else():
    images, labels = torch.randn(4, 3, 8, 8), torch.eye(4)
    whole = training.data_hash(images, labels)
    assert whole == training.data_hash(images.clone(), labels.clone())
    strided = images.contiguous(memory_format=torch.channels_last)
    assert whole == training.data_hash(strided, labels)  # the same numbers in another order
    other = labels.clone()
    other[3, 0] = 1e-6
    for changed in ((images, other), (images.roll(1, 0), labels), (images, None)):
        assert training.data_hash(*changed) != whole
    state = {"a": torch.ones(2), "b": torch.zeros(2)}
    of_state = training.weights_hash(state)
    assert of_state == training.weights_hash(dict(reversed(state.items())))
    assert of_state != training.weights_hash({"a": torch.zeros(2), "b": torch.ones(2)})
    assert of_state != training.weights_hash({"a": torch.ones(2), "c": torch.zeros(2)})


def test_the_rate_is_a_share_also_where_the_run_ends_before_it_is_warm():
    assert [training.learning_rate(step, 3, 4) for step in range(3)] == [0.25, 0.5, 0.75]
    assert training.learning_rate(0, 1, 0) == 1
    assert training.learning_rate(4, 4, 4) == 1
    assert training.learning_rate(7, 10, 4) == pytest.approx(0.5)  # half of the way down


def test_the_average_forgets_the_untrained_weights():
    decays = [training.ema_decay_at(step) for step in range(20_000)]
    assert decays[0] == 0.1 and decays == sorted(decays) and decays[-1] == training.EMA_DECAY
    untrained = torch.tensor(decays[:500], dtype=torch.float64).log().sum().exp()
    assert untrained < 1e-9  # what is left of them after 500 steps


def test_whole_contexts_are_hidden_at_the_rate_asked_for():
    c = torch.full((4000, 5), 0.6)
    seeded = torch.Generator().manual_seed(0)
    hidden = training.drop_contexts(c, 0.1, seeded)
    assert set(hidden.sum(dim=1).mul(10).round().tolist()) == {0, 30}  # rows of zeros, or untouched
    assert 0.08 < (hidden == 0).all(dim=1).float().mean() < 0.12
    assert torch.equal(training.drop_contexts(c, 0.0), c)
    assert not training.drop_contexts(c, 1.0).any()


def test_weights_are_copied_to_plain_memory(make_model):
    model = make_model(seed=0).to(memory_format=torch.channels_last)
    state = training.cpu_state_dict(model)
    assert state.keys() == model.state_dict().keys()
    assert all(value.is_contiguous() and not value.requires_grad for value in state.values())


def test_a_file_of_16_bits_is_half_as_large_and_predicts_the_same(make_model, tmp_path):
    model = make_model(n_feat=32)
    du.save_weights(training.cpu_state_dict(model), tmp_path / "full.pth")
    du.save_weights(training.half_state_dict(model), tmp_path / "half.pth")
    assert (tmp_path / "half.pth").stat().st_size < 0.6 * (tmp_path / "full.pth").stat().st_size
    loaded = du.load_pretrained(tmp_path / "half.pth", "cpu")
    dtypes = {name: value.dtype for name, value in model.state_dict().items()}
    assert {name: value.dtype for name, value in loaded.state_dict().items()} == dtypes
    x, t = torch.randn(16, 3, 16, 16), torch.linspace(0.002, 1, 16)
    with torch.no_grad():
        expected, pred_noise = model(x, t), loaded(x, t)
    error = (pred_noise - expected).square().mean() / expected.square().mean()
    assert 0 < error.sqrt() < 0.002  # numbers of 16 bits are right to 0.0005 of themselves


def test_what_16_bits_cannot_hold_keeps_all_its_bits(tiny_model):
    norm = tiny_model.init_conv.conv1[1]
    norm.running_var[0] = 1e6  # 16 bits end at 65,504
    norm.num_batches_tracked += 100_001
    state = training.half_state_dict(tiny_model)
    assert torch.equal(state["init_conv.conv1.1.running_var"], norm.running_var)
    assert state["init_conv.conv1.1.num_batches_tracked"] == 100_001
    assert state["init_conv.conv1.1.running_mean"].dtype == torch.float16


def test_levels_and_batches_can_be_drawn_in_other_ways(make_model, tmp_path):
    model, levels, sizes = make_model(), [], []

    def of_level_7(n, timesteps, generator):
        return torch.full((n,), 7)

    def plain(images, labels, batch_size, generator):
        while True:
            sizes.append(batch_size)
            yield images[:batch_size], labels[:batch_size]

    class StandStill:
        def step(self, factor):
            pass

    model.register_forward_pre_hook(lambda module, inputs: levels.append(inputs[1]))
    how = {"levels": of_level_7, "batches": plain}
    recipe, data = Recipe(batch_size=4, views=2), (torch.zeros(8, 3, 16, 16), torch.eye(5)[torch.arange(8) % 5])
    training.Run(recipe, model, StandStill(), *data, tmp_path / "run.checkpoint", **how).train_epoch()
    assert sizes == [4] * 4
    assert torch.equal(torch.cat(levels), torch.full((16,), 7 / 500))


WAITING = """
import sys
from pathlib import Path
from support.training import alone
with alone(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_place_is_free_again_however_the_run_in_it_ended(tmp_path):
    path = tmp_path / "a folder/run.checkpoint"
    with pytest.raises(KeyError), alone(path):
        raise KeyError("inside")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    other = subprocess.Popen([sys.executable, "-c", WAITING, str(path)], cwd=ROOT, **pipes)
    try:
        assert other.stdout.readline().strip() == b"ready"
        with pytest.raises(ValueError, match="another run is writing to .*run.checkpoint"):
            with alone(path):
                pass
        with alone(tmp_path / "another.checkpoint"):
            pass
    finally:
        other.kill()
        other.communicate()
    with alone(path):
        assert path.with_name("run.checkpoint.lock").exists()
    assert not list(path.parent.iterdir())


# ------------------------------------------------------------------------- average and evaluation


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_ema_averages_every_parameter(make_model, decay):
    ema, model = make_model(seed=0), make_model(seed=1)
    before = [p.detach().clone() for p in ema.parameters()]
    current = [p.detach().clone() for p in model.parameters()]
    du.ema_update(ema, model, decay)
    for p, old, new in zip(ema.parameters(), before, current, strict=True):
        torch.testing.assert_close(p.detach(), decay * old + (1 - decay) * new)
    assert all(torch.equal(p, new) for p, new in zip(model.parameters(), current, strict=True))


def test_ema_copies_the_batch_norm_buffers(make_model):
    ema, model = make_model(seed=0), make_model(seed=1)
    model.train()(torch.randn(4, 3, 16, 16), 0.5)  # moves the running statistics and counts a batch
    du.ema_update(ema, model, 0.999)
    ours, theirs = dict(ema.named_buffers()), dict(model.named_buffers())
    # running mean, variance and count, of two norms, in each of nine blocks
    assert len(ours) == 3 * 2 * 9
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert ours["init_conv.conv1.1.num_batches_tracked"] == 1


def test_ema_shares_no_memory_with_the_model(make_model):
    ema, model = make_model(seed=0), make_model(seed=1)
    du.ema_update(ema, model, 0.0)
    snapshot = {key: value.clone() for key, value in ema.state_dict().items()}
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    assert all(torch.equal(ema.state_dict()[key], value) for key, value in snapshot.items())


def test_ema_works_between_training_steps(make_model):
    """In place on parameters that require gradients, and without a trace in the graph."""
    ema, model = make_model(seed=0), make_model(seed=1).train()
    model(torch.randn(2, 3, 16, 16), 0.5).mean().backward()
    du.ema_update(ema, model, 0.9)
    assert all(p.is_leaf and p.requires_grad and p.grad is None for p in ema.parameters())


def modes(model):
    return {name: module.training for name, module in model.named_modules()}


def mixed(model):
    """Training, but with two parts frozen: what a plain model.train() afterwards would not restore."""
    model.train()
    model.down1.eval()
    model.init_conv.conv1[1].eval()
    return model


def test_evaluating_restores_the_mode_of_every_part(tiny_model):
    before = modes(mixed(tiny_model))
    assert set(before.values()) == {True, False}
    with du.evaluating(tiny_model):
        assert not any(modes(tiny_model).values())
    assert modes(tiny_model) == before


@pytest.mark.parametrize("training", [True, False])
def test_evaluating_restores_a_uniform_mode(tiny_model, training):
    tiny_model.train(training)
    with du.evaluating(tiny_model):
        pass
    assert set(modes(tiny_model).values()) == {training}


def test_evaluating_restores_after_an_exception(tiny_model):
    before = modes(mixed(tiny_model))
    with pytest.raises(KeyError, match="inside"), du.evaluating(tiny_model):
        raise KeyError("inside")
    assert modes(tiny_model) == before


def test_evaluating_takes_a_plain_function():
    def predict(x, t, c):
        return x

    with du.evaluating(predict):
        assert predict(1, 2, 3) == 1

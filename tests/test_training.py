"""What training needs beside the formulas: the moving average of the weights and the evaluation mode."""

import pytest
import torch

import diffusion_utilities as du


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

"""The peers: each has the mistake that it is named for, and no other. And how networks are measured."""

import pytest
import torch

import diffusion_utilities as du
from support.quality import spread
from support.training import with_recomputed_batch_norm
from weights import measure, peers


def test_missing_root_changes_the_noise_only():
    schedule, t = du.linear_schedule(), torch.tensor([1, 100, 500])
    x, noise = torch.randn(3, 3, 16, 16), torch.randn(3, 3, 16, 16)
    assert torch.equal(
        peers.perturb_without_root(x, t, 0 * noise, schedule),
        du.perturb_input(x, t, 0 * noise, schedule),
    )
    spread = peers.perturb_without_root(0 * x, t, torch.ones_like(noise), schedule)[:, 0, 0, 0]
    assert spread[1].item() == pytest.approx(0.187, abs=1e-3)  # the right one is its root, 0.433
    right = du.perturb_input(0 * x, t, torch.ones_like(noise), schedule)[:, 0, 0, 0]
    torch.testing.assert_close(spread.sqrt(), right, rtol=1e-3, atol=1e-3)


def test_random_shortcut_differs_from_pass_to_pass_and_has_nothing_to_learn():
    model, ours = peers.random_shortcut_unet().eval(), du.ContextUnet(3, 64, 5, 16)
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert (model(x, 0.5) - model(x, 0.5)).abs().max() > 1e-3
    assert set(ours.state_dict()) - set(model.state_dict()) == {
        "init_conv.shortcut.weight",
        "init_conv.shortcut.bias",
    }


def test_diffusers_network_is_of_our_size_and_told_the_level():
    model, ours = peers.DiffusersUnet().eval(), du.ContextUnet(3, 64, 5, 16)
    size, our_size = (sum(p.numel() for p in m.parameters()) for m in (model, ours))
    assert 1 < size / our_size < 1.1
    levels = []
    hook = model.unet.register_forward_pre_hook(lambda module, args: levels.append(args[1].tolist()))
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert model(x, torch.tensor([1 / 500, 1.0])).shape == x.shape
        model(x, torch.tensor(250 / 500))
    hook.remove()
    assert levels == [[0, 499], [249, 249]]  # diffusers counts from 0


def test_spread_is_mean_and_sample_deviation():
    assert spread([1.0, 2.0, 3.0]) == {"mean": 2.0, "std": 1.0}


def test_drawing_in_batches_is_repeatable_and_gives_each_its_context(tiny_model, monkeypatch):
    monkeypatch.setattr(measure, "BATCH", 4)
    context = torch.eye(5)[torch.arange(10) % 5]
    options = {"model": tiny_model, "n": 2}
    x = measure.draw(du.sample_ddim_context, 10, 1, context, False, **options)
    assert x.shape == (10, 3, 16, 16)
    assert torch.equal(x, measure.draw(du.sample_ddim_context, 10, 1, context, False, **options))
    assert (x - measure.draw(du.sample_ddim_context, 10, 2, context, False, **options)).abs().max() > 1e-3
    third, _ = du.sample_ddim_context(2, context[8:], seed=10_008, progress=False, **options)
    torch.testing.assert_close(x[8:], third)


def test_recomputed_statistics_are_those_of_the_batches(make_model):
    images, labels = torch.rand(64, 3, 16, 16) * 2 - 1, torch.eye(5)[torch.arange(64) % 5]
    model = make_model(seed=0).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    settled = with_recomputed_batch_norm(model, images, labels, batches=3)
    assert not settled.training and settled.init_conv.conv1[1].num_batches_tracked == 3
    assert (settled.init_conv.conv1[1].running_var - model.init_conv.conv1[1].running_var).abs().max() > 1e-3
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), settled.parameters(), strict=True))

"""The U-Net with attention: its shapes, what each part does, and what it refuses."""

import inspect
import math
import re

import pytest
import torch

import diffusion_utilities as du
from going_further import unet
from tests.going_further.every_network import *  # noqa: F403
from tests.going_further.every_network import lively

SMALL = {"dim": 8, "dim_mults": (1, 2), "attns": (False, True), "n_blocks": 1, "groups": 4}


def small_net(in_channels=3, out_channels=3, **changes):
    return lively(unet.UNet(in_channels, out_channels, **(SMALL | changes)))


def test_signature_is_that_of_the_seed():
    names = ["in_channels", "out_channels", "dim", "dim_mults", "attns", "n_blocks", "groups"]
    parameters = inspect.signature(unet.UNet).parameters
    assert list(parameters)[:7] == names
    assert unet.UNet(3, 3, 8, (1, 2), (False, True), 1, 4)(torch.randn(2, 3, 8, 8), 0.5).shape == (
        2,
        3,
        8,
        8,
    )


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "size", "changes"),
    [
        (1, 1, (28, 28), {"dim_mults": (1, 2, 2), "attns": (False, False, True)}),
        (3, 3, (16, 16), {}),
        (3, 6, (12, 20), {}),
        (4, 4, (8, 8), {"dim_mults": (1, 2, 3, 4), "attns": (True, False, True, False)}),
        (3, 3, (7, 5), {"dim_mults": (2,), "attns": (False,)}),
        (3, 3, (8, 8), {"n_blocks": (3, 2)}),
    ],
    ids=str,
)
@torch.no_grad()
def test_any_channels_and_any_size_that_the_depth_divides(in_channels, out_channels, size, changes):
    net = small_net(in_channels, out_channels, **changes)
    y = net(torch.randn(2, in_channels, *size), torch.tensor([0.1, 0.9]))
    assert y.shape == (2, out_channels, *size)
    assert y.isfinite().all() and y.std() > 1e-3


# ------------------------------------------------------------------------------------------- inside


@torch.no_grad()
def test_an_untrained_network_predicts_zero():
    """The mean of the noise: its loss starts at 1, the variance of the noise, and not above."""
    assert not unet.UNet(3, 3, **SMALL)(torch.randn(2, 3, 8, 8), 0.5).any()


@pytest.mark.parametrize(("inside", "outside", "attn"), [(8, 8, False), (8, 16, False), (8, 8, True)])
@torch.no_grad()
def test_an_untrained_block_is_its_shortcut(inside, outside, attn):
    block = unet.ResBlock(inside, outside, emb_dim=12, groups=4, attn=attn)
    x = torch.randn(2, inside, 4, 4)
    assert torch.equal(block(x, torch.randn(2, 12)), block.shortcut(x))
    assert inside != outside or torch.equal(block.shortcut(x), x)


@pytest.mark.parametrize(("inside", "outside"), [(8, 8), (8, 12)])
@torch.no_grad()
def test_a_block_is_the_formula(inside, outside):
    """conv(silu(norm(·))) twice, the embedding between, the input at the end; silu(x) = x / (1 + e^-x)."""
    block, x, emb = (
        lively(unet.ResBlock(inside, outside, 12, groups=4)),
        torch.randn(2, inside, 4, 4),
        torch.randn(2, 12),
    )

    def silu(h):
        return h / (1 + (-h).exp())

    h = block.conv1(silu(block.norm1(x))) + block.emb(silu(emb)).reshape(2, outside, 1, 1)
    h = block.conv2(silu(block.norm2(h)))
    torch.testing.assert_close(block(x, emb), h + block.shortcut(x), rtol=1e-4, atol=1e-5)


def test_every_parameter_learns():
    """A trained network, that is one without layers at zero, has a gradient everywhere: no part is left out."""
    net = small_net(n_classes=2).train()
    net(torch.randn(2, 3, 8, 8), torch.tensor([0.2, 0.7]), torch.eye(2)).square().mean().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-9]
    assert dead == []


def test_a_fresh_network_learns_to_take_a_picture_for_noise():
    """Out of its zeros, in a few steps: predict x from x."""
    net, x = unet.UNet(1, 1, **SMALL), torch.randn(4, 1, 8, 8)
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        loss = (net(x, 0.5) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(x.square().mean().item()) and losses[-1] < 0.3 * losses[0]


def test_checkpointing_keeps_less_and_changes_no_gradient():
    net, kept, gradients = small_net(n_classes=2).train(), [], []
    x, t, c = torch.randn(2, 3, 8, 8), torch.tensor([0.2, 0.7]), torch.eye(2)
    for _ in range(2):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x):
            loss = net(x, t, c).square().mean()
        kept.append(sum(sizes))
        loss.backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
        net.zero_grad()
        net.use_checkpointing()
    assert kept[1] < 0.5 * kept[0]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("dim", [2, 8, 64])
def test_time_embedding_is_the_sinusoid_of_1000_t(dim):
    """By the formula, in float64; frequencies from 1 to 10000^-(1 - 2/dim)."""
    t = torch.tensor([0.002, 0.25, 1.0])
    waves = unet.TimeEmbedding(dim).waves(t)
    for n, level in enumerate([2, 250, 1000]):
        angles = [level * 10000 ** (-2 * i / dim) for i in range(dim // 2)]
        expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        # 1000 in float32 is known to 6e-5
        assert waves[n].tolist() == pytest.approx(expected, abs=2e-4)


@torch.no_grad()
def test_attention_is_the_formula():
    """softmax(Q Kᵀ / √channels) V over all pixels, in plain matrix products."""
    layer, x = lively(unet.SelfAttention(8, groups=4)), torch.randn(2, 8, 3, 5)
    q, k, v = layer.qkv(layer.norm(x)).flatten(2).chunk(3, dim=1)  # each (n, channels, pixels)
    weights = torch.softmax(torch.einsum("ncq,nck->nqk", q, k) / math.sqrt(8), dim=2)
    y = torch.einsum("nqk,nck->ncq", weights, v).reshape(x.shape)
    torch.testing.assert_close(layer(x), x + layer.out(y), rtol=1e-4, atol=1e-5)


def test_attention_is_where_it_is_asked_for_and_in_the_middle():
    net = small_net(dim_mults=(1, 2, 2), attns=(False, True, True), n_blocks=(1, 2, 1))
    found = {name for name, module in net.named_modules() if isinstance(module, unet.SelfAttention)}
    down = ["downs.1.blocks.0", "downs.1.blocks.1", "downs.2.blocks.0"]
    up = ["ups.0.blocks.0", "ups.1.blocks.0", "ups.1.blocks.1"]  # the deepest stage comes first
    assert found == {f"{block}.attention" for block in [*down, "mid1", *up]}


@torch.no_grad()
def test_each_block_on_the_way_up_takes_the_skip_of_its_partner():
    net = small_net(dim_mults=(1, 2, 3), attns=(False,) * 3, n_blocks=2)
    sent, taken = [], []
    for stage in net.downs:
        for block in stage.blocks:
            block.register_forward_hook(lambda module, args, output: sent.append(output))
    for stage in net.ups:
        for block in stage.blocks:
            block.register_forward_pre_hook(lambda module, args: taken.append(args[0]))
    net(torch.randn(2, 3, 8, 8), 0.5)
    assert len(sent) == len(taken) == 6
    for skip, joined in zip(reversed(sent), taken, strict=True):
        assert torch.equal(joined[:, -skip.shape[1] :], skip)
    assert [s.shape[1:] for s in sent] == [(8, 8, 8)] * 2 + [(16, 4, 4)] * 2 + [(24, 2, 2)] * 2


# ------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attns": (True,)}, "got 2, 1 and 2"),
        ({"n_blocks": (1, 1, 1)}, "got 2, 2 and 3"),
        ({"dim_mults": (), "attns": ()}, "got 0, 0 and 0"),
        ({"groups": 3}, "got dim=8 and groups=3"),
        ({"dim": 9, "groups": 3}, "got dim=9 and groups=3"),
        ({"groups": 0}, "groups=0"),
        ({"n_blocks": 0}, "got (1, 2) and (0, 0)"),
        ({"dim_mults": (1, 0)}, "got (1, 0) and (1, 1)"),
        ({"n_classes": 0}, "n_classes=0"),
        ({"height": 15}, "multiple of 2, got 15"),
        ({"height": 0}, "multiple of 2, got 0"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused_when_it_is_made(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        unet.UNet(3, 3, **(SMALL | changes))


@pytest.mark.parametrize("channels", [(0, 3), (3, 0)])
def test_no_channels_are_refused(channels):
    with pytest.raises(ValueError, match=re.escape(f"in_channels={channels[0]}, out_channels={channels[1]}")):
        unet.UNet(*channels, **SMALL)


def test_its_fast_copy_has_the_channels_of_a_pixel_side_by_side():
    fast = du.faster(small_net())
    assert fast.init_conv.weight.is_contiguous(memory_format=torch.channels_last)

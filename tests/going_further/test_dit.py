"""The transformer: patches, positions, attention, blocks, what it refuses, and its agreement with diffusers."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import diffusion_utilities as du
from going_further import dit
from support.files import save_weights
from support.training import half_state_dict
from tests.going_further.every_network import *  # noqa: F403
from tests.going_further.every_network import lively

SMALL = {"dim": 16, "depth": 2, "heads": 2, "height": 8}


def small_net(in_channels=3, out_channels=3, **changes):
    return lively(dit.DiT(in_channels, out_channels, **(SMALL | changes)))


# ------------------------------------------------------------------------------------------ patches


@pytest.mark.parametrize(
    ("shape", "patch"), [((2, 3, 16, 16), 2), ((1, 1, 8, 12), 4), ((3, 5, 6, 4), 1), ((2, 3, 8, 8), 8)], ids=str
)
def test_patches_and_back_bit_for_bit(shape, patch):
    x = torch.randn(shape)
    tokens = dit.patchify(x, patch)
    assert tokens.shape == (shape[0], shape[2] * shape[3] // patch**2, shape[1] * patch**2)
    assert torch.equal(dit.unpatchify(tokens, patch, shape[2] // patch), x)


def test_each_token_is_its_patch_row_by_row():
    x = torch.randn(2, 3, 8, 12)
    tokens = dit.patchify(x, 4)
    for row in range(2):
        for column in range(3):
            patch = x[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert torch.equal(tokens[:, 3 * row + column], patch.flatten(1))


def test_patches_and_a_linear_map_are_a_strided_convolution():
    conv, x = torch.nn.Conv2d(3, 7, 2, stride=2), torch.randn(2, 3, 8, 6)
    tokens = F.linear(dit.patchify(x, 2), conv.weight.flatten(1), conv.bias)
    torch.testing.assert_close(tokens, conv(x).flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dit.patchify(torch.zeros(2, 3, 8, 9), 2), "multiples of 2, got (2, 3, 8, 9)"),
        (lambda: dit.patchify(torch.zeros(3, 8, 8), 2), "got (3, 8, 8)"),
        (lambda: dit.patchify(np.zeros((1, 3, 8, 8)), 2), "got ndarray"),
        (lambda: dit.patchify(torch.zeros(1, 3, 8, 8), 0), "patch as a whole number of at least 1, got 0"),
        (lambda: dit.patchify(torch.zeros(1, 3, 8, 8), 2.0), "got 2.0"),
        (lambda: dit.unpatchify(torch.zeros(1, 15, 12), 2, 4), "(n, 4 · columns, c · 4), got (1, 15, 12)"),
        (lambda: dit.unpatchify(torch.zeros(1, 16, 13), 2, 4), "got (1, 16, 13)"),
        (lambda: dit.unpatchify(torch.zeros(16, 12), 2, 4), "got (16, 12)"),
        (lambda: dit.unpatchify(torch.zeros(1, 16, 12), 2, 0), "rows as a whole number of at least 1, got 0"),
        (lambda: dit.mean_distance(torch.zeros(4, 5), 2), "(…, rows · 2, rows · 2), got (4, 5)"),
        (lambda: dit.mean_distance(torch.zeros(9, 9), 2), "got (9, 9)"),
        (lambda: dit.mean_distance(torch.zeros(4), 2), "got (4,)"),
        (lambda: dit.mean_distance(None, 2), "expected maps to be a tensor, got NoneType"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_functions_refuse_what_cannot_be_meant(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(("rows", "columns", "dim"), [(2, 3, 8), (4, 4, 16), (1, 2, 12)])
def test_positions_are_the_waves_of_row_and_column(rows, columns, dim):
    places = dit.positions(rows, columns, dim)
    for row in range(rows):
        for column in range(columns):
            expected = []
            for place in (row, column):
                angles = [place * 10000 ** (-4 * i / dim) for i in range(dim // 4)]
                expected += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            assert places[row * columns + column].tolist() == pytest.approx(expected, abs=1e-5)


def test_positions_are_those_of_diffusers():
    """It puts the column first."""
    from diffusers.models.embeddings import get_2d_sincos_pos_embed

    theirs = get_2d_sincos_pos_embed(16, 4, base_size=4, output_type="pt").float()
    column_first = torch.cat(dit.positions(4, 4, 16).chunk(2, dim=1)[::-1], dim=1)
    torch.testing.assert_close(column_first, theirs, rtol=1e-4, atol=1e-5)


def test_no_two_patches_have_the_same_position():
    places = dit.positions(8, 8, 32)
    apart = torch.cdist(places, places) + 10 * torch.eye(64)
    assert apart.min() > 0.5


# ---------------------------------------------------------------------------------------- attention


@torch.no_grad()
def test_attention_is_the_softmax_computed_by_hand():
    layer, x = lively(dit.Attention(12, 3)), torch.randn(2, 5, 12)
    q, k, v = (F.linear(x, w, b) for w, b in zip(layer.qkv.weight.chunk(3), layer.qkv.bias.chunk(3), strict=True))
    expected, maps = torch.zeros(2, 5, 12), torch.zeros(2, 3, 5, 5)
    for n in range(2):
        for head in range(3):
            own = slice(4 * head, 4 * head + 4)
            for i in range(5):
                scores = [float(q[n, i, own] @ k[n, j, own]) / 2 for j in range(5)]  # √4 = 2
                powers = [math.exp(s) for s in scores]
                maps[n, head, i] = torch.tensor([p / sum(powers) for p in powers])
                expected[n, i, own] = maps[n, head, i] @ v[n, :, own]
    torch.testing.assert_close(layer.weights(x), maps, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(x), layer.out(expected), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_that_of_pytorch(heads):
    layer, theirs = lively(dit.Attention(16, heads)), torch.nn.MultiheadAttention(16, heads, batch_first=True)
    theirs.in_proj_weight.copy_(layer.qkv.weight)
    theirs.in_proj_bias.copy_(layer.qkv.bias)
    theirs.out_proj.load_state_dict(layer.out.state_dict())
    x = torch.randn(3, 7, 16)
    expected, weights = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.weights(x), weights, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_block_does_not_know_the_order_of_its_tokens():
    block, x, emb = lively(dit.DiTBlock(16, 2)), torch.randn(2, 9, 16), torch.randn(2, 16)
    order = torch.randperm(9)
    torch.testing.assert_close(block(x[:, order], emb), block(x, emb)[:, order], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_patches_that_change_places_with_their_positions_give_the_same_noise_in_these_places(monkeypatch):
    net, x = small_net(), torch.randn(2, 3, 8, 8)
    order, plain = torch.randperm(16), dit.positions
    moved = dit.unpatchify(dit.patchify(x, 2)[:, order], 2, 4)
    expected = dit.unpatchify(dit.patchify(net(x, 0.5), 2)[:, order], 2, 4)
    assert (net(moved, 0.5) - expected).abs().max() > 1e-2  # alone, the pictures are not enough
    monkeypatch.setattr(dit, "positions", lambda *args: plain(*args)[order])
    torch.testing.assert_close(net(moved, 0.5), expected, rtol=1e-3, atol=1e-4)


# ------------------------------------------------------------------------------------------- blocks


@torch.no_grad()
def test_an_untrained_block_leaves_its_tokens_as_they_are():
    block, x = dit.DiTBlock(16, 2), torch.randn(2, 9, 16)
    assert torch.equal(block(x, torch.randn(2, 16)), x)


@torch.no_grad()
def test_an_untrained_network_predicts_zero():
    """The mean of the noise: its loss starts at 1, the variance of the noise, and not above."""
    assert not dit.DiT(3, 3, **SMALL)(torch.randn(2, 3, 8, 8), 0.5).any()


@torch.no_grad()
def test_a_block_is_the_formula():
    """x + g₁ attention((1+s₁) norm(x) + b₁), and the same with the MLP; b₁, s₁, g₁, b₂, s₂, g₂ in this order."""
    block, x, emb = lively(dit.DiTBlock(16, 2)), torch.randn(2, 9, 16), torch.randn(2, 16)
    silu = emb / (1 + (-emb).exp())
    b1, s1, g1, b2, s2, g2 = (block.modulation(silu)[:, 16 * i : 16 * i + 16].reshape(2, 1, 16) for i in range(6))

    def norm(x):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()

    y = x + g1 * block.attention((1 + s1) * norm(x) + b1)
    h = block.mlp[0]((1 + s2) * norm(y) + b2)
    h = 0.5 * h * (1 + torch.erf(h / math.sqrt(2)))
    torch.testing.assert_close(block(x, emb), y + g2 * block.mlp[2](h), rtol=1e-4, atol=1e-4)


class Given(torch.nn.Module):
    """Answers with what it was given, whatever it is asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, *args, **options):
        return self.answer


@torch.no_grad()
def test_a_block_is_that_of_diffusers():
    """With its weights copied over, and our embedding in the place of its own."""
    from diffusers.models.attention import BasicTransformerBlock

    block, x, emb = lively(dit.DiTBlock(16, 2)), torch.randn(2, 9, 16), torch.randn(2, 16)
    theirs = BasicTransformerBlock(
        16, 2, 8, activation_fn="gelu", num_embeds_ada_norm=5, attention_bias=True, norm_type="ada_norm_zero",
        norm_elementwise_affine=False, norm_eps=1e-6,
    ).eval()  # fmt: skip
    for name, weight, bias in zip(
        "qkv", block.attention.qkv.weight.chunk(3), block.attention.qkv.bias.chunk(3), strict=True
    ):
        layer = getattr(theirs.attn1, f"to_{name}")
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    theirs.attn1.to_out[0].load_state_dict(block.attention.out.state_dict())
    theirs.ff.net[0].proj.load_state_dict(block.mlp[0].state_dict())
    theirs.ff.net[2].load_state_dict(block.mlp[2].state_dict())
    theirs.norm1.linear.load_state_dict(block.modulation.state_dict())
    theirs.norm1.emb = Given(emb)
    expected = theirs(x, timestep=torch.zeros(2), class_labels=torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(block(x, emb), expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_the_network_is_its_parts():
    net, x, t, c = small_net(n_classes=3), torch.randn(2, 3, 8, 8), torch.tensor([0.2, 0.7]), torch.eye(3)[:2]
    emb = net.time_embedding(t) + c @ net.class_embedding.weight.T
    tokens = net.embed(dit.patchify(x, 2)) + dit.positions(4, 4, 16)
    for block in net.blocks:
        tokens = block(tokens, emb)
    shift, scale = net.modulation(F.silu(emb)).chunk(2, dim=1)
    tokens = F.layer_norm(tokens, (16,), eps=1e-6) * (1 + scale[:, None]) + shift[:, None]
    torch.testing.assert_close(net(x, t, c), dit.unpatchify(net.out(tokens), 2, 4), rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------------------------- from outside


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "size", "changes"),
    [
        (1, 1, (28, 28), {"patch": 4, "height": 28}),
        (3, 6, (12, 20), {}),
        (3, 3, (16, 16), {"patch": 1, "depth": 1}),
        (3, 3, (8, 8), {"patch": 8, "heads": 1}),
        (4, 4, (6, 9), {"patch": 3, "height": 9, "dim": 24, "heads": 3}),
    ],
    ids=str,
)
@torch.no_grad()
def test_any_channels_and_any_size_that_the_patch_divides(in_channels, out_channels, size, changes):
    net = small_net(in_channels, out_channels, **changes)
    y = net(torch.randn(2, in_channels, *size), torch.tensor([0.1, 0.9]))
    assert y.shape == (2, out_channels, *size)
    assert y.isfinite().all() and y.std() > 1e-3


# ----------------------------------------------------------------------------------------- learning


def test_every_parameter_learns_once_the_gates_are_open():
    """The zeros open from the end: in the first step the last layer learns, in the second the gates, then all."""
    net = dit.DiT(3, 3, **SMALL, n_classes=2).train()
    optimizer, x, moved = torch.optim.Adam(net.parameters(), lr=1e-2), torch.randn(4, 3, 8, 8), []
    for _ in range(3):
        optimizer.zero_grad()
        noise = torch.randn_like(x)
        (net(x, torch.rand(4), torch.eye(2).repeat(2, 1)) - noise).square().mean().backward()
        moved.append({name for name, p in net.named_parameters() if p.grad.abs().max() > 0})
        optimizer.step()
    names = {name for name, _ in net.named_parameters()}
    assert moved[0] == {"out.weight", "out.bias"}
    assert {"modulation.weight", "blocks.0.modulation.weight"} <= moved[1] < names
    assert moved[2] == names


def test_it_learns_two_pictures():
    """Denoising them from a middle level, where the picture can be told from the noise."""
    torch.manual_seed(0)
    net, x = dit.DiT(3, 3, **SMALL).train(), torch.rand(2, 3, 8, 8).round() * 2 - 1
    optimizer, losses = torch.optim.Adam(net.parameters(), lr=3e-3), []
    for _ in range(150):
        noise, both = torch.randn(16, 3, 8, 8), x.repeat(8, 1, 1, 1)
        loss = (net(du.perturb_input(both, 250, noise), 0.5) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1, abs=0.1) and sum(losses[-10:]) / 10 < 0.35


# ------------------------------------------------------------------------------------- what it sees


@torch.no_grad()
@pytest.mark.parametrize("classes", [None, 3])
def test_attention_maps_are_those_of_the_pass(classes):
    net, x = small_net(n_classes=classes).train(), torch.randn(2, 3, 8, 8)
    c = None if classes is None else torch.eye(classes)[:2]
    maps = dit.attention_maps(net, x, 0.5, c)
    assert maps.shape == (2, 2, 2, 16, 16) and net.training
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones(2, 2, 2, 16))
    block, emb = net.blocks[0], net.time_embedding(torch.tensor([0.5]))
    emb = emb if c is None else emb + net.class_embedding(c)
    shift, scale, *_ = block.modulation(F.silu(emb))[:, None].chunk(6, dim=2)
    tokens = net.embed(dit.patchify(x, 2)) + dit.positions(4, 4, 16)
    torch.testing.assert_close(maps[0], block.attention.weights(dit.modulate(block.norm(tokens), shift, scale)))
    assert not any(block.attention._forward_pre_hooks for block in net.blocks)


def test_mean_distance_of_known_maps():
    own = torch.eye(6)  # a token that looks at itself only
    right = torch.eye(6).roll(1, dims=1)  # at the next one: two steps of 1, then to the next row, on a grid of 2 by 3
    assert dit.mean_distance(own, 3) == 0
    home = math.sqrt(1 + 4)  # from the end of a row to the start of the other
    assert dit.mean_distance(right, 3).item() == pytest.approx((4 * 1 + 2 * home) / 6, rel=1e-5)
    both = dit.mean_distance(torch.stack((own, right))[:, None], 3)
    assert both.shape == (2, 1) and both[0] == 0
    alike = torch.full((64, 64), 1 / 64)
    pairs = [(i // 8, i % 8) for i in range(64)]
    mean = sum(math.dist(a, b) for a in pairs for b in pairs) / 64**2
    assert dit.mean_distance(alike, 8).item() == pytest.approx(mean, rel=1e-4)


# ------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 12}, "multiple of 8 and of heads, got dim=12 and heads=2"),
        ({"heads": 3}, "got dim=16 and heads=3"),
        ({"heads": 0}, "heads as a whole number of at least 1, got 0"),
        ({"depth": 0}, "depth as a whole number from 1 to 100, got 0"),
        ({"depth": 101}, "got 101"),
        ({"patch": 0}, "patch as a whole number of at least 1, got 0"),
        ({"patch": True}, "got True"),
        ({"n_classes": 0}, "n_classes as a whole number of at least 1, got 0"),
        ({"height": 7}, "multiple of the patch, got 7 and 2"),
        ({"height": 0}, "height as a whole number of at least 1, got 0"),
        ({"dim": 16.0}, "got 16.0"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused_when_it_is_made(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        dit.DiT(3, 3, **(SMALL | changes))


@pytest.mark.parametrize(("channels", "name"), [((0, 3), "in_channels"), ((3, 0), "out_channels")])
def test_no_channels_are_refused(channels, name):
    with pytest.raises(ValueError, match=f"expected {name} as a whole number of at least 1, got 0"):
        dit.DiT(*channels, **SMALL)


# -------------------------------------------------------------------------------------------- files


@torch.no_grad()
def test_a_stored_network_is_the_same(tmp_path):
    arguments = {"in_channels": 3, "out_channels": 3, **SMALL, "n_classes": 5}
    net = lively(dit.DiT(**arguments))
    save_weights({"dit": arguments, "weights": half_state_dict(net)}, tmp_path / "net.pth")
    loaded, x = dit.load_dit(tmp_path / "net.pth", "cpu"), torch.randn(2, 3, 8, 8)
    assert (loaded.n_cfeat, loaded.height, loaded.patch, loaded.training) == (5, 8, 2, False)
    torch.testing.assert_close(loaded(x, 0.5), net(x, 0.5), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    "state",
    [
        {"weights": {}},
        {"dit": {"dim": 16}, "weights": {}},
        {"dit": {"in_channels": 3, "out_channels": 3, **SMALL}, "weights": {"embed.weight": torch.zeros(1)}},
        {"dit": 3, "weights": {}},
    ],
    ids=["no sizes", "too few sizes", "other weights", "no dictionary"],
)
def test_another_file_is_refused(tmp_path, state):
    save_weights(state, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="expected a transformer of make_transformers.py, got another file"):
        dit.load_dit(tmp_path / "net.pth", "cpu")
    with pytest.raises(FileNotFoundError):
        dit.load_dit(tmp_path / "none.pth", "cpu")

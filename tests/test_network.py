"""The network: sizes, arguments, determinism, names, and the same numbers as the public course's forward pass."""

import re

import pytest
import torch
import torch.nn.functional as F

import diffusion_utilities as du


def inputs(n=3, height=16, n_cfeat=5):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 3, height, height, generator=generator)
    return x, torch.rand(n, generator=generator), torch.rand(n, n_cfeat, generator=generator)


@pytest.mark.parametrize("height", [4, 12, 16, 20, 24, 32, 64])
def test_any_multiple_of_four_works_as_height(make_model, height):
    model = make_model(height=height)
    x, t, c = inputs(2, height)
    assert model(x, t, c).shape == (2, 3, height, height)


@pytest.mark.parametrize("height", [12, 20, 32])
def test_the_bottleneck_pools_the_whole_picture(make_model, height):
    assert make_model(height=height).to_vec(torch.randn(2, 16, height // 4, height // 4)).shape == (
        2,
        16,
        1,
        1,
    )


@pytest.mark.parametrize(
    "sizes",
    [
        {"in_channels": 0},
        {"n_feat": 0},
        {"n_feat": 12},
        {"n_cfeat": 0},
        {"height": 0},
        {"height": 14},
        {"height": 18},
        {"height": -16},
    ],
    ids=str,
)
def test_impossible_sizes_are_refused_by_name(sizes):
    ((name, value),) = sizes.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        du.ContextUnet(**{"in_channels": 3, "n_feat": 8, "n_cfeat": 5, "height": 16, **sizes})


def test_defaults_are_those_of_the_public_course():
    model = du.ContextUnet(3)
    assert (model.in_channels, model.n_feat, model.n_cfeat, model.height) == (3, 256, 10, 28)
    assert model.h == 28  # as code written for it reads


def test_two_evaluation_passes_are_equal(tiny_model):
    x, t, c = inputs()
    assert torch.equal(tiny_model(x, t, c), tiny_model(x, t, c))


def test_a_pass_draws_no_random_numbers(tiny_model):
    x, t, c = inputs()
    before = torch.get_rng_state()
    tiny_model.train()(x, t, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_equals_its_singles(tiny_model):
    x, t, c = inputs(4)
    singles = torch.cat([tiny_model(x[i : i + 1], t[i : i + 1], c[i : i + 1]) for i in range(4)])
    # convolutions of another batch size may add in another order: a few float32 roundings
    torch.testing.assert_close(tiny_model(x, t, c), singles, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (3, 1), (3, 1, 1, 1), (1, 1, 1, 1)], ids=str)
def test_time_may_have_any_shape_that_means_one_or_n_numbers(tiny_model, shape):
    x, _, c = inputs()
    torch.testing.assert_close(tiny_model(x, torch.full(shape, 0.3), c), tiny_model(x, 0.3, c), rtol=1e-5, atol=1e-6)


def test_time_may_be_of_any_number_type(tiny_model):
    x, _, c = inputs()
    assert torch.equal(tiny_model(x, torch.tensor(1), c), tiny_model(x, 1.0, c))
    assert torch.equal(tiny_model(x, torch.tensor(0.3, dtype=torch.float64), c), tiny_model(x, 0.3, c))


def test_each_picture_has_its_own_time(tiny_model):
    x, _, c = inputs()
    t = torch.tensor([0.1, 0.5, 0.9])
    together = tiny_model(x, t.reshape(3, 1, 1, 1), c)
    for i in range(3):
        torch.testing.assert_close(together[i], tiny_model(x, float(t[i]), c)[i], rtol=1e-5, atol=1e-5)


def test_time_matters(tiny_model):
    x, _, c = inputs()
    assert (tiny_model(x, 0.1, c) - tiny_model(x, 0.9, c)).abs().max() > 1e-2


def test_no_context_is_the_zero_vector(tiny_model):
    x, t, _ = inputs()
    assert torch.equal(tiny_model(x, t), tiny_model(x, t, None))
    torch.testing.assert_close(tiny_model(x, t), tiny_model(x, t, torch.zeros(3, 5)), rtol=1e-5, atol=1e-6)


def test_context_matters(tiny_model):
    x, t, _ = inputs()
    rows = [torch.eye(5)[i].repeat(3, 1) for i in range(5)] + [torch.zeros(3, 5)]
    answers = [tiny_model(x, t, row) for row in rows]
    for i, one in enumerate(answers):
        for other in answers[i + 1 :]:
            assert (one - other).abs().max() > 1e-4  # rounding is 1e-6


def test_context_of_whole_numbers_is_taken_as_float(tiny_model):
    x, t, _ = inputs()
    whole = torch.eye(5, dtype=torch.long)[:3]
    assert torch.equal(tiny_model(x, t, whole), tiny_model(x, t, whole.float()))


@pytest.mark.parametrize("shape", [(3, 3, 16, 20), (3, 3, 12, 12), (3, 1, 16, 16), (3, 16, 16), (16, 16)], ids=str)
def test_pictures_of_another_shape_are_refused_with_both_shapes(tiny_model, shape):
    with pytest.raises(ValueError, match=re.escape("(n, 3, 16, 16)") + ".*" + re.escape(str(shape))):
        tiny_model(torch.zeros(shape), 0.5)


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 2), (0,)], ids=str)
def test_a_wrong_number_of_times_is_refused_with_both_counts(tiny_model, shape):
    with pytest.raises(ValueError, match="each of the 3 pictures.*" + re.escape(str(shape))):
        tiny_model(torch.zeros(3, 3, 16, 16), torch.zeros(shape))


@pytest.mark.parametrize("shape", [(5,), (3, 4), (3, 6), (1, 5), (2, 5), (3, 5, 1), ()], ids=str)
def test_context_of_another_shape_is_refused_with_both_shapes(tiny_model, shape):
    with pytest.raises(ValueError, match=re.escape("(3, 5)") + ".*" + re.escape(str(shape))):
        tiny_model(torch.zeros(3, 3, 16, 16), 0.5, torch.zeros(shape))


def expected_names():
    """Every parameter and buffer of the public course's network, and the one layer that is ours, `shortcut`."""

    def layer(prefix):
        return {f"{prefix}.weight", f"{prefix}.bias"}

    def block(prefix):
        names = set()
        for conv in (f"{prefix}.conv1", f"{prefix}.conv2"):
            names |= layer(f"{conv}.0") | layer(f"{conv}.1")
            names |= {f"{conv}.1.{buffer}" for buffer in ("running_mean", "running_var", "num_batches_tracked")}
        return names

    names = block("init_conv") | layer("init_conv.shortcut")
    for down in ("down1", "down2"):
        names |= block(f"{down}.model.0") | block(f"{down}.model.1")
    for embed in ("timeembed1", "timeembed2", "contextembed1", "contextembed2"):
        names |= layer(f"{embed}.model.0") | layer(f"{embed}.model.2")
    for up in ("up1", "up2"):
        names |= layer(f"{up}.model.0") | block(f"{up}.model.1") | block(f"{up}.model.2")
    return names | layer("up0.0") | layer("up0.1") | layer("out.0") | layer("out.1") | layer("out.3")


def test_names_are_those_of_the_public_course(tiny_model):
    assert set(tiny_model.state_dict()) == expected_names()


def test_the_course_network_has_its_1481027_parameters():
    assert sum(p.numel() for p in du.ContextUnet(3, 64, 5, 16).parameters()) == 1_481_027


def test_every_parameter_learns(make_model):
    """A layer that is made but not used would have no gradient."""
    model = make_model().train()
    x, t, c = inputs()
    model(x, t, c).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(("channels", "residual"), [((3, 8), True), ((8, 8), True), ((3, 8), False)])
def test_only_a_residual_block_of_unequal_channels_has_a_shortcut_layer(channels, residual):
    block = du.ResidualConvBlock(*channels, is_res=residual).eval()
    has_layer = any(name.startswith("shortcut") for name, _ in block.named_parameters())
    assert has_layer == (residual and channels[0] != channels[1])


def test_residual_block_of_equal_channels_adds_its_input():
    x = torch.randn(2, 8, 4, 4)
    plain, residual = (
        du.ResidualConvBlock(8, 8).eval(),
        du.ResidualConvBlock(8, 8, is_res=True).eval(),
    )
    residual.load_state_dict(plain.state_dict())
    torch.testing.assert_close(residual(x), (x + plain(x)) / 2**0.5)


def public_course_forward(w, x, t, c, root_two):
    """The public course's forward pass in evaluation mode, from a dictionary of weights ``w``, functions only."""

    def conv(x, name, pad=1):
        return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=pad)

    def batch_norm(x, name):
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    def group_norm(x, name):
        groups = x.reshape(len(x), 8, -1)
        groups = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, keepdim=True, unbiased=False) + 1e-5).sqrt()
        return groups.reshape(x.shape) * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    def block(x, name):
        for half in ("conv1", "conv2"):
            x = F.gelu(batch_norm(conv(x, f"{name}.{half}.0"), f"{name}.{half}.1"))
        return x

    def down(x, name):
        return F.max_pool2d(block(block(x, f"{name}.model.0"), f"{name}.model.1"), 2)

    def up(x, skip, name):
        x = torch.cat([x, skip], 1)
        x = F.conv_transpose2d(x, w[f"{name}.model.0.weight"], w[f"{name}.model.0.bias"], stride=2)
        return block(block(x, f"{name}.model.1"), f"{name}.model.2")

    def embed(v, name):
        v = F.gelu(v @ w[f"{name}.model.0.weight"].T + w[f"{name}.model.0.bias"])
        return (v @ w[f"{name}.model.2.weight"].T + w[f"{name}.model.2.bias"])[:, :, None, None]

    x = block(x, "init_conv") / root_two  # the projection of the input is zero
    down1 = down(x, "down1")
    down2 = down(down1, "down2")
    hidden = F.gelu(down2.mean((2, 3), keepdim=True))
    quarter = down2.shape[-1]
    up0 = F.conv_transpose2d(hidden, w["up0.0.weight"], w["up0.0.bias"], stride=quarter)
    up0 = F.relu(group_norm(up0, "up0.1"))
    t = t.reshape(-1, 1)
    up1 = up(embed(c, "contextembed1") * up0 + embed(t, "timeembed1"), down2, "up1")
    up2 = up(embed(c, "contextembed2") * up1 + embed(t, "timeembed2"), down1, "up2")
    last = F.relu(group_norm(conv(torch.cat([up2, x], 1), "out.0"), "out.1"))
    return conv(last, "out.3")


@pytest.mark.parametrize(("root_two", "tolerance"), [(2**0.5, 2e-5), (1.414, 2e-3)], ids=["root", "1.414"])
@pytest.mark.parametrize("height", [16, 20])
def test_the_same_numbers_as_the_public_course(make_model, height, root_two, tolerance):
    """Exactly so with √2; the public course wrote 1.414, which is 1.5e-4 less and shows in the third digit."""
    model = make_model(height=height)
    torch.nn.init.zeros_(model.init_conv.shortcut.weight)
    torch.nn.init.zeros_(model.init_conv.shortcut.bias)
    x, t, c = inputs(height=height)
    with torch.no_grad():
        ours, theirs = model(x, t, c), public_course_forward(model.state_dict(), x, t, c, root_two)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    assert ours.std() > 0.05  # not two zeros compared

"""Editing against closed forms: Gaussian pictures, of which all conditional distributions are known."""

from __future__ import annotations

import math

import pytest
import torch

from diffusion_utilities import (
    ContextUnet,
    ddim_step,
    exact_denoiser,
    linear_schedule,
    perturb_input,
    sample,
    step_pairs,
)
from going_further.editing import (
    Upscaler,
    encode,
    enlarge,
    going_back_up,
    image_to_image,
    inpaint,
    keep_known,
    noise_further,
    project_on_small,
    repeated,
    shrink,
    small_context,
)

SCHEDULE = linear_schedule()
AB = SCHEDULE.ab_t


def correlated(mean: torch.Tensor, covariance: torch.Tensor):
    """The best noise prediction for pictures (n, 1, 2, 2) from N(mean, covariance), their pixels in a row.

    As in the module's exact_denoiser, but with matrices: √(1-ᾱ) (ᾱ Σ + (1-ᾱ) I)⁻¹ (x - √ᾱ m).
    """

    def model(x, t, c=None):
        ab = AB[round(float(t) * 500)]
        noisy = ab * covariance + (1 - ab) * torch.eye(4)
        rows = (x.flatten(1) - ab.sqrt() * mean).T  # (4, n)
        return ((1 - ab).sqrt() * torch.linalg.solve(noisy, rows)).T.reshape(x.shape)

    model.in_channels, model.height = 1, 2
    return model


MEAN = torch.tensor([0.5, -0.5, 0.2, 0.0])
SIGMA = 0.16 * (0.2 * torch.eye(4) + 0.8 * torch.ones(4, 4))  # a correlation of 0.8, a spread of 0.4


# ------------------------------------------------------------------------------- from a picture on


@pytest.mark.parametrize("strength", [0.2, 0.5, 0.8])
def test_likeness_falls_as_the_closed_form_says(strength):
    """DDIM's flow keeps quantiles, so the likeness of result and picture is that of x_t and x_0."""
    m, s, n = 0.3, 0.5, 40_000
    x = m + s * torch.randn(n, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    model = exact_denoiser(m, s)
    model.in_channels, model.height = 1, 1
    result = image_to_image(x, strength, model=model, n=250, seed=2)
    ab = AB[round(strength * 500)]
    expected = (ab.sqrt() * s / (ab * s**2 + 1 - ab).sqrt()).item()
    assert torch.corrcoef(torch.stack([x.flatten(), result.flatten()]))[0, 1].item() == pytest.approx(
        expected, abs=0.01
    )
    assert result.mean().item() == pytest.approx(m, abs=0.01)
    assert result.std().item() == pytest.approx(s, rel=0.03)


def test_strength_0_changes_nothing_and_1_begins_at_noise():
    x = torch.rand(3, 1, 1, 1)
    asked = []

    def model(x, t, c=None):
        asked.append(round(float(t) * 500))
        return x

    model.in_channels, model.height = 1, 1
    assert torch.equal(image_to_image(x, 0, model=model), x) and not asked
    image_to_image(x, 1.0, model=model, n=10)
    assert asked == list(range(500, 0, -50))
    asked.clear()
    image_to_image(x, 0.3, model=model, n=10)
    assert asked == [150, 100, 50]


@pytest.mark.parametrize("strength", [-0.1, 1.1, "0.5", True, float("nan")])
def test_other_strengths_are_refused(strength):
    with pytest.raises(ValueError, match="expected strength from 0 to 1"):
        image_to_image(torch.zeros(1, 3, 16, 16), strength, model=lambda x, t, c=None: x)


def test_the_way_up_and_down_again_leads_back():
    m, s = 0.3, 0.5
    model = exact_denoiser(m, s)
    model.in_channels, model.height = 1, 1
    x = m + s * torch.randn(100, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    noise = encode(x, model=model, n=250)
    # the flow takes N(m, s²) to what the schedule ends at, quantile by quantile
    ab = AB[500]
    expected = ab.sqrt() * m + (ab * s**2 + 1 - ab).sqrt() * (x - m) / s
    torch.testing.assert_close(noise, expected, atol=0.05, rtol=0)
    back, _ = sample(ddim_step(), step_pairs(250), 100, model=model, x=noise, save_rate=None, progress=False)
    torch.testing.assert_close(back, x, atol=0.05, rtol=0)


# ------------------------------------------------------------------------------------ filling in

KNOWN = torch.tensor([[True, True], [False, False]])


def conditional(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of the lower two pixels, given the upper two."""
    regression = SIGMA[2:, :2] @ torch.linalg.inv(SIGMA[:2, :2])
    mean = MEAN[2:] + regression @ (picture.flatten()[:2] - MEAN[:2])
    return mean, SIGMA[2:, 2:] - regression @ SIGMA[:2, 2:]


def test_going_back_up_leads_to_the_right_conditional_distribution():
    picture = torch.tensor([1.2, 0.1, 0.0, 0.0]).reshape(1, 1, 2, 2)
    mean, covariance = conditional(picture)
    off = {}
    for rounds in (1, 8):
        many = picture.expand(4000, 1, 2, 2).clone()
        result = inpaint(many, KNOWN, model=correlated(MEAN, SIGMA), n=250, rounds=rounds, seed=0)
        assert torch.equal(result[..., :1, :], many[..., :1, :])
        found = result.flatten(1)[:, 2:]
        off[rounds] = (found.mean(dim=0) - mean).abs().max().item()
        spread = found.T.cov() / covariance
    assert off[8] < 0.03 < off[1]
    torch.testing.assert_close(spread, torch.ones(2, 2), atol=0.2, rtol=0)


def test_known_pixels_stay_bit_for_bit_whatever_the_model_says():
    picture = torch.rand(3, 3, 16, 16) * 2 - 1
    known = torch.rand(3, 1, 16, 16) < 0.5
    result = inpaint(picture, known, model=lambda x, t, c=None: x.sin(), n=5, rounds=2, jump=2, seed=0)
    known = known.expand_as(picture)
    assert torch.equal(result[known], picture[known]) and not torch.equal(result, picture)


def test_at_each_level_known_pixels_are_as_noisy_as_it_asks():
    picture, z = torch.full((1, 1, 100, 100), 0.7), torch.randn(1, 1, 100, 100)
    keeping = keep_known(lambda x, *rest: x, picture, torch.tensor(True))
    noised = keeping(torch.zeros_like(picture), 300, 200, torch.zeros_like(picture), z)
    torch.testing.assert_close(noised, perturb_input(picture, 200, z))


def test_one_step_as_diffusers_takes_it():
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.RePaintScheduler(
        num_train_timesteps=500, trained_betas=SCHEDULE.b_t[1:].numpy(), clip_sample=False, eta=1.0
    )
    theirs.set_timesteps(100, jump_length=1, jump_n_sample=1)
    generator = torch.Generator().manual_seed(0)
    x, picture, pred_noise = (torch.randn(2, 3, 16, 16, generator=generator) for _ in range(3))
    known = torch.rand(2, 3, 16, 16, generator=generator) < 0.5
    generator.manual_seed(7)
    answer = theirs.step(pred_noise, 250, x, picture, known.float(), generator=generator).prev_sample
    generator.manual_seed(7)
    z = torch.randn(x.shape, generator=generator)
    # their level t is our t + 1, and a hundredth of the way further down is five levels
    ours = keep_known(ddim_step(1.0), picture, known)(x, 251, 246, pred_noise, z)
    torch.testing.assert_close(ours, answer, atol=1e-4, rtol=1e-4)


def test_noise_on_noise_is_noise_of_the_higher_level():
    x = perturb_input(torch.full((100_000, 1, 1, 1), 0.8), 100, torch.randn(100_000, 1, 1, 1))
    x = noise_further(x, 100, 300, torch.randn(100_000, 1, 1, 1))
    assert x.mean().item() == pytest.approx(0.8 * AB[300].sqrt().item(), abs=0.01)
    assert x.var().item() == pytest.approx(1 - AB[300].item(), abs=0.01)


def test_pairs_with_jumps():
    assert repeated(step_pairs(3, 300)) == step_pairs(3, 300)
    down, last = [(500, 375), (375, 250)], [(250, 125), (125, 0)]
    assert repeated(step_pairs(4), jump=2, rounds=2) == [*down, *down, *last, *last]
    high = repeated(step_pairs(3, 300), rounds=2, between=(200, 299))
    assert high == [(300, 200), (200, 100), (200, 100), (100, 0)]
    assert repeated(step_pairs(3, 300), 2, 2) == 2 * [(300, 200), (200, 100)] + 2 * [(100, 0)]
    with pytest.raises(ValueError, match="expected rounds as a whole number of at least 1, got 0"):
        repeated(step_pairs(4), rounds=0)


def test_inpainting_asks_again_only_between_the_levels():
    asked = []

    def model(x, t, c=None):
        asked.append(round(float(t) * 500))
        return 0 * x

    model.in_channels, model.height = 1, 4
    known = torch.arange(4)[:, None] < 2
    inpaint(torch.zeros(1, 1, 4, 4), known, model=model, n=4, rounds=3, between=(200, 400), seed=0)
    assert asked == [500, 375, 375, 375, 250, 250, 250, 125]


def test_the_walk_goes_up_after_it_was_shown():
    pairs = repeated(step_pairs(2), rounds=2)
    walk = [(t, torch.full((1000,), 0.5), None) for _, t in pairs]
    seen = [(t, x.clone()) for t, x, _ in going_back_up(walk, pairs, generator=torch.Generator().manual_seed(0))]
    assert [t for t, _ in seen] == [250, 250, 0, 0] and all((x == 0.5).all() for _, x in seen)
    noised = [(x != 0.5).any().item() for _, x, _ in walk]
    assert noised == [True, False, True, False]
    assert walk[0][1].mean().item() == pytest.approx(0.5 * (AB[500] / AB[250]).sqrt().item(), abs=0.1)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (torch.ones(16, 16), "expected a mask of True and False, got torch.float32"),
        (None, "expected a mask of True and False, got NoneType"),
        (torch.ones(8, 8, dtype=torch.bool), r"fits pictures of shape \(2, 3, 16, 16\), got shape \(8, 8\)"),
        (torch.ones(5, 2, 3, 16, 16, dtype=torch.bool), r"got shape \(5, 2, 3, 16, 16\)"),
    ],
)
def test_other_masks_are_refused(known, words):
    with pytest.raises(ValueError, match=words):
        inpaint(torch.zeros(2, 3, 16, 16), known, model=lambda x, t, c=None: x)


# -------------------------------------------------------------------------------------- enlarging


def test_small_pictures_are_means_and_come_back():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert shrink(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    small = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(shrink(enlarge(small)), small)


def test_projection_draws_from_the_right_conditional_distribution():
    """Where all pixels are alike, a block's mean and what deviates from it are independent, so projection is exact."""
    small = torch.tensor(0.6).reshape(1, 1, 1, 1).expand(4000, 1, 1, 1)
    step = project_on_small(ddim_step(1.0), small)
    how = {"model": correlated(MEAN, SIGMA), "seed": 0, "save_rate": None, "progress": False}
    x, _ = sample(step, step_pairs(500), 4000, **how)
    torch.testing.assert_close(shrink(x), small, atol=1e-5, rtol=0)
    x = x.flatten(1)
    torch.testing.assert_close(x.mean(dim=0), MEAN + 0.6 - MEAN.mean(), atol=0.02, rtol=0)
    regression = SIGMA.sum(dim=1) / SIGMA.sum()  # of the pixels on four times their mean
    expected = SIGMA - torch.outer(regression, SIGMA.sum(dim=1))
    torch.testing.assert_close(x.T.cov(), expected, atol=0.003, rtol=0)


def test_each_picture_is_enlarged_from_its_own_small_one():
    torch.manual_seed(0)
    network = ContextUnet(6, 16, 1, 16).eval()
    upscaler = Upscaler(network)
    assert (upscaler.in_channels, upscaler.height, upscaler.n_cfeat) == (3, 16, 193)
    small, x = torch.randn(3, 3, 8, 8), torch.randn(3, 3, 16, 16)
    contexts, how = small_context(small), {"model": upscaler, "progress": False, "save_rate": None}
    together, _ = sample(ddim_step(), step_pairs(3), 3, context=contexts, x=x, **how)
    alone, _ = sample(ddim_step(), step_pairs(3), 1, context=contexts[2:], x=x[2:], **how)
    torch.testing.assert_close(together[2:], alone, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        answer = network(torch.cat([x, enlarge(small)], dim=1), 0.5, torch.zeros(3, 1))
        torch.testing.assert_close(upscaler(x, 0.5, contexts), answer[:, :3])


def test_the_loop_hands_on_each_small_picture_where_it_splits_the_batch(monkeypatch):
    torch.manual_seed(0)
    upscaler = Upscaler(ContextUnet(6, 16, 1, 16).eval())
    small, x = torch.randn(5, 3, 8, 8), torch.randn(5, 3, 16, 16)
    how = {"model": upscaler, "context": small_context(small), "x": x, "progress": False, "save_rate": None}
    monkeypatch.setattr("diffusion_utilities.largest_batch", lambda *_: 2)
    parts, _ = sample(ddim_step(), step_pairs(2), 5, **how)
    monkeypatch.undo()
    torch.testing.assert_close(sample(ddim_step(), step_pairs(2), 5, **how)[0], parts, atol=1e-4, rtol=1e-4)


def test_small_pictures_are_noised_as_strongly_as_the_network_is_told():
    small = torch.full((3, 3, 100, 100), 0.5)
    contexts = small_context(small, torch.tensor([0.0, 0.1, 0.2]), torch.Generator().manual_seed(0))
    assert contexts[:, -1].tolist() == pytest.approx([0, 0.1, 0.2])
    assert torch.equal(contexts[0, :-1], small[0].flatten())
    for row, t in ((1, 50), (2, 100)):
        assert contexts[row, :-1].mean().item() == pytest.approx(0.5 * AB[t].sqrt().item(), abs=0.01)
        assert contexts[row, :-1].std().item() == pytest.approx((1 - AB[t]).sqrt().item(), rel=0.02)
    assert small_context(small, 0.1)[:, -1].tolist() == pytest.approx(3 * [0.1])


def test_quantities_of_the_closed_forms():
    """The test data is what it says: correlation 0.8, spread 0.4."""
    assert SIGMA[0, 0].sqrt().item() == pytest.approx(0.4) and (SIGMA[0, 1] / SIGMA[0, 0]).item() == pytest.approx(0.8)
    assert math.isclose(AB[0], 1)

"""DenoiseDiffusion: forward and back, the posterior by Bayes' rule, the losses against closed forms."""

import math
import re

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

import diffusion_utilities as du
from going_further import schedules
from going_further.diffusion import BitsPerDim, DenoiseDiffusion, decoder_log_prob, gaussian_kl
from going_further.unet import UNet

T = 20
SCHEDULE = du.linear_schedule(T, 1e-3, 0.3)
BETA = np.concatenate([[0], np.linspace(1e-3, 0.3, T)])
AB = np.cumprod(1 - BETA)
BETA_TILDE = np.concatenate([[np.nan], BETA[1:] * (1 - AB[:-1]) / (1 - AB[1:])])


def nothing(x, t, c):
    """A network, where none is asked."""
    raise AssertionError


def diffusion(net):
    return DenoiseDiffusion(net, T, schedule=SCHEDULE)


def ab_at(t, x):
    """ᾱ of the level t/T that a network is told, ready to be multiplied with x."""
    return torch.from_numpy(AB).to(x.dtype)[(t * T).round().long().reshape(-1)][:, None, None, None]


def oracle(m, s):
    """The best predictor for data N(m, s²)."""

    def net(x, t, c):
        ab = ab_at(t, x)
        return (1 - ab).sqrt() * (x - ab.sqrt() * m) / (ab * s**2 + 1 - ab)

    return net


def off_by(delta, xstart):
    """One who knows the picture, and so the noise, but says ``delta`` too much."""

    def net(x, t, c):
        ab = ab_at(t, x)
        return (x - ab.sqrt() * xstart) / (1 - ab).sqrt() + delta

    return net


def eight_bit(shape, seed=0):
    """Values k/127.5 - 1, without the outermost ones."""
    k = torch.randint(1, 255, shape, generator=torch.Generator().manual_seed(seed))
    return k / 127.5 - 1


def small_net(**changes):
    """Without layers at zero, through which a context would not be seen."""
    net = UNet(3, 3, 8, (1, 2), (False, False), 1, 4, **changes)
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.1)
    return net


# ------------------------------------------------------------------------------------------ forward


def test_forward_sample_gives_the_noised_picture_and_its_noise():
    xstart = torch.randn(3, 3, 8, 8)
    xt, noise = diffusion(nothing).forward_sample(xstart, torch.tensor([0, 7, T]))
    for i, t in enumerate([0, 7, T]):
        expected = math.sqrt(AB[t]) * xstart[i] + math.sqrt(1 - AB[t]) * noise[i]
        torch.testing.assert_close(xt[i], expected, rtol=1e-5, atol=1e-6)


def test_forward_sample_draws_fresh_standard_noise_unless_it_is_given():
    """196,608 numbers know their mean to 0.0023 and their variance to 0.0032; five of each."""
    denoiser, xstart = diffusion(nothing), torch.ones(16, 3, 64, 64)
    xt, noise = denoiser.forward_sample(xstart, 10)
    assert noise.mean().item() == pytest.approx(0, abs=0.0115) and noise.var().item() == pytest.approx(1, abs=0.016)
    assert not torch.equal(noise, denoiser.forward_sample(xstart, 10)[1])
    again, same = denoiser.forward_sample(xstart, 10, noise)
    assert torch.equal(again, xt) and same is noise


def test_the_schedule_is_linear_unless_another_of_the_same_length_is_given():
    assert torch.equal(DenoiseDiffusion(nothing).schedule.ab_t, du.linear_schedule().ab_t)
    assert torch.equal(DenoiseDiffusion(nothing, 1000).schedule.ab_t, du.linear_schedule(1000).ab_t)
    assert diffusion(nothing).schedule is SCHEDULE
    with pytest.raises(ValueError, match="schedule of 10 levels, got one of 20"):
        DenoiseDiffusion(nothing, 10, schedule=SCHEDULE)


# ------------------------------------------------------------------------------------------ reverse


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_reverse_sample_is_the_sampler_of_the_module(guidance):
    net, context = small_net(n_classes=3, height=8), torch.eye(3)[:2]
    samples = diffusion(net).reverse_sample(shape=(2, 3, 8, 8), context=context, guidance=guidance, seed=5)
    expected, _ = du.sample_ddpm_context(
        2, context, guidance=guidance, model=net, schedule=SCHEDULE, seed=5, progress=False
    )
    assert torch.equal(samples, expected)


def test_reverse_sample_draws_any_shape_and_leaves_the_network_as_it_was():
    net = small_net(height=8).train()
    modes = []
    net.register_forward_pre_hook(lambda module, args: modes.append(module.training))
    assert diffusion(net).reverse_sample((4, 3, 12, 12)).shape == (4, 3, 12, 12)
    assert modes == T * [False]
    assert net.training and net.h == 8
    assert diffusion(oracle(0, 1)).reverse_sample((1, 2, 5, 5)).shape == (1, 2, 5, 5)


def test_reverse_sample_without_seed_differs_from_call_to_call():
    denoiser = diffusion(oracle(0, 1))
    assert not torch.equal(denoiser.reverse_sample((1, 1, 4, 4)), denoiser.reverse_sample((1, 1, 4, 4)))


@pytest.mark.parametrize("shape", [(1, 3, 8, 12), (3, 8, 8)])
def test_shapes_that_are_not_square_are_refused(shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        diffusion(oracle(0, 1)).reverse_sample(shape)


def test_zero_terminal_snr_trains_but_does_not_go_back():
    denoiser = DenoiseDiffusion(oracle(0, 1), T, schedule=schedules.zero_terminal_snr(SCHEDULE))
    x = torch.randn(4, 1, 4, 4)
    assert denoiser.loss(x).isfinite()
    for call in (lambda: denoiser.reverse_sample((1, 1, 4, 4)), lambda: denoiser.bits_per_dim(x)):
        with pytest.raises(ValueError, match="ends at ᾱ_T = 0"):
            call()


# ---------------------------------------------------------------------------------------- posterior


@pytest.mark.parametrize("t", range(2, T + 1))
def test_posterior_is_what_bayes_rule_gives(t):
    """Product of N(√ᾱ_(t-1) x_0, 1-ᾱ_(t-1)), known before x_t, and of x_t's N(√α_t x_(t-1), β_t): precisions add."""
    xstart, xt = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    mean, variance = diffusion(nothing).posterior(xstart, xt, t)
    before, seen = 1 / (1 - AB[t - 1]), (1 - BETA[t]) / BETA[t]
    assert variance.item() == pytest.approx(1 / (before + seen), rel=1e-6)
    expected = before * math.sqrt(AB[t - 1]) * xstart + seen / math.sqrt(1 - BETA[t]) * xt
    torch.testing.assert_close(mean, expected / (before + seen), rtol=1e-5, atol=1e-6)


def test_posterior_of_the_first_level_is_the_clean_picture():
    xstart, xt = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    mean, variance = diffusion(nothing).posterior(xstart, xt, 1)
    torch.testing.assert_close(mean, xstart)
    assert variance == 0


def test_posterior_of_the_labs_schedule_is_exact_at_its_smallest_steps():
    """1 - ᾱ_2 = 2.4e-4 from a float32 ᾱ_2 is off by 1e-4 of itself; from β it is not."""
    mean, variance = DenoiseDiffusion(nothing).posterior(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), 2)
    beta = np.linspace(1e-4, 0.02, 500)[:2]
    left = 1 - (1 - beta[0]) * (1 - beta[1])
    assert mean.item() == pytest.approx(math.sqrt(1 - beta[0]) * beta[1] / left, rel=1e-6)
    assert variance.item() == pytest.approx(beta[0] * beta[1] / left, rel=1e-6)


def test_posterior_takes_a_level_for_each_picture():
    denoiser, xstart, xt = diffusion(nothing), torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4)
    levels = [1, 7, T]
    mean, variance = denoiser.posterior(xstart, xt, torch.tensor(levels))
    assert variance.shape == (3, 1, 1, 1)
    for i, t in enumerate(levels):
        own_mean, own_variance = denoiser.posterior(xstart[i], xt[i], t)
        torch.testing.assert_close(mean[i], own_mean)
        assert variance[i].item() == own_variance.item()


@pytest.mark.parametrize("t", [0, T + 1, torch.tensor([3, 0])], ids=str)
def test_posterior_refuses_levels_that_are_not_there(t):
    with pytest.raises(ValueError, match="noise level.* from"):
        diffusion(nothing).posterior(torch.zeros(2, 1, 1, 1), torch.zeros(2, 1, 1, 1), t)


# ---------------------------------------------------------------------------------- simplified loss


@pytest.mark.parametrize("delta", [0.0, 0.1, -0.5])
def test_loss_is_the_mean_squared_error_of_the_noise(delta):
    xstart = torch.randn(64, 3, 8, 8)
    assert diffusion(off_by(delta, xstart)).loss(xstart).item() == pytest.approx(delta**2, rel=1e-3, abs=1e-8)


def test_loss_asks_for_every_level_and_passes_the_context(make_recorder):
    recorder, context = make_recorder(), torch.rand(2000, 5)
    diffusion(recorder).loss(torch.zeros(2000, 1, 1, 1), context)
    assert recorder.contexts[0] is context
    levels = (recorder.times[0] * T).round().long()
    counts = torch.bincount(levels, minlength=T + 2)
    assert counts[0] == counts[T + 1] == 0
    assert (counts[1 : T + 1] > 50).all()  # of about 100 each, with a spread of 10


def test_loss_at_given_levels_with_given_noise(make_recorder):
    recorder, xstart, noise = (
        make_recorder(lambda x, t, c: 2 * x),
        torch.randn(3, 1, 4, 4),
        torch.randn(3, 1, 4, 4),
    )
    t = torch.tensor([1, T // 2, T])
    loss = diffusion(recorder).loss(xstart, t=t, noise=noise)
    torch.testing.assert_close(recorder.times[0], t / T)
    x_t = torch.cat([du.perturb_input(xstart[i : i + 1], int(t[i]), noise[i : i + 1], SCHEDULE) for i in range(3)])
    torch.testing.assert_close(loss, (2 * x_t - noise).square().mean())


def test_loss_can_be_trained_on():
    net = small_net()
    diffusion(net).loss(torch.randn(2, 3, 8, 8)).backward()
    assert all(p.grad is not None for p in net.parameters())


# ---------------------------------------------------------------------------------- building blocks


def test_kl_of_gaussians_is_that_of_torch():
    m1, m2 = torch.randn(2, 50, dtype=torch.float64)
    v1, v2 = torch.rand(2, 50, dtype=torch.float64) + 0.01
    expected = kl_divergence(Normal(m1, v1.sqrt()), Normal(m2, v2.sqrt()))
    torch.testing.assert_close(gaussian_kl(m1, v1, m2, v2), expected)
    assert not gaussian_kl(m1, v1, m1, v1).any()


VALUES = torch.arange(256).double() / 127.5 - 1


@pytest.mark.parametrize("mean", [-1.5, -1.0, -0.301, 0.0, 0.5, 0.999, 1.0, 3.0])
@pytest.mark.parametrize("std", [1e-3, 0.0076, 0.1, 2.0])
def test_the_256_probabilities_of_the_decoder_sum_to_one(mean, std):
    log_p = decoder_log_prob(VALUES, torch.tensor(mean), torch.tensor(std))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("mean", "std"), [(0.1, 0.3), (-0.9, 0.05), (0.0, 10.0)])
def test_each_probability_is_the_integral_over_its_bin(mean, std):
    """For float32 pictures too, where Φ itself in float32 would lose the small difference between two edges."""
    normal = Normal(torch.tensor(mean, dtype=torch.float64), std)
    edges = torch.cat([torch.tensor([-math.inf]), (torch.arange(255) + 0.5) / 127.5 - 1, torch.tensor([math.inf])])
    expected = normal.cdf(edges.double()).diff()
    got = decoder_log_prob(VALUES.float(), torch.tensor(mean), torch.tensor(std)).exp()
    torch.testing.assert_close(got, expected, rtol=2e-5, atol=1e-12)


def test_the_decoder_is_exact_far_in_the_tail():
    """A hundred standard deviations off: about -x²/2 nats, on both sides, and not the logarithm of 0."""
    log_p = decoder_log_prob(torch.tensor([1 / 255, -1 / 255]), torch.tensor([-1.0, 1.0]), torch.tensor(0.01))
    assert log_p[0].item() == pytest.approx(log_p[1].item())
    edge = 100  # the nearer edge of the bin lies 1.0 from the mean
    assert log_p[0].item() == pytest.approx(-(edge**2) / 2 - math.log(edge * math.sqrt(2 * math.pi)), rel=1e-4)


# -------------------------------------------------------------------------------- variational bound


def bits(nats):
    return nats / math.log(2)


@pytest.mark.parametrize("delta", [0.1, 0.5])
def test_each_kl_term_is_the_error_of_the_noise_times_the_weight_of_equation_12(delta):
    """β_t² / (2 σ_t² α_t (1-ᾱ_t)) |ε - ε_θ|² with σ_t² = β̃_t; nothing is random in it where the error is constant."""
    xstart = eight_bit((2, 3, 8, 8))
    kl = diffusion(off_by(delta, xstart)).bits_per_dim(xstart).kl
    t = np.arange(2, T + 1)
    weight = BETA[t] ** 2 / (2 * BETA_TILDE[t] * (1 - BETA[t]) * (1 - AB[t]))
    assert kl.shape == (2, T - 1)
    for row in kl:
        np.testing.assert_allclose(row.numpy(), bits(weight * delta**2), rtol=2e-3)


def test_the_kl_terms_of_gaussian_data_have_their_closed_form():
    """With the best predictor, E L_(t-1) = ᾱ_(t-1) β_t s² / (2 (1-ᾱ_(t-1)) D_t), D_t the variance of x_t.

    For E |x_0 - x̂_0|² = s² (1-ᾱ_t) / D_t. 98,304 numbers know it to 0.45 %; five of that is 2.3 %.
    """
    m, s = 0.3, 0.5
    xstart = m + s * torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    kl = diffusion(oracle(m, s)).bits_per_dim(xstart, seed=0).kl.mean(dim=0)
    t = np.arange(2, T + 1)
    expected = AB[t - 1] * BETA[t] * s**2 / (2 * (1 - AB[t - 1]) * (AB[t] * s**2 + 1 - AB[t]))
    np.testing.assert_allclose(kl.numpy(), bits(expected), rtol=0.023)
    assert kl.sum().item() == pytest.approx(bits(expected.sum()), rel=0.01)


def test_the_prior_term_of_gaussian_data_has_its_closed_form():
    """E L_T = ½ (ᾱ_T (m² + s² - 1) - ln(1-ᾱ_T)), up to the mean square of the data as drawn."""
    xstart = 0.3 + 0.5 * torch.randn(4, 3, 32, 32)
    prior = diffusion(oracle(0.3, 0.5)).bits_per_dim(xstart).prior
    for i in range(4):
        square = xstart[i].double().square().mean().item()
        assert prior[i].item() == pytest.approx(bits(0.5 * (AB[T] * (square - 1) - math.log(1 - AB[T]))), rel=1e-4)


@pytest.mark.parametrize("delta", [0.0, 0.2])
def test_the_decoder_term_is_the_probability_of_the_right_bin(delta):
    """A noise δ too large is a picture √((1-ᾱ_1)/ᾱ_1) δ too dark; the spread is √β̃_2."""
    xstart = eight_bit((2, 3, 8, 8))
    decoder = diffusion(off_by(delta, xstart)).bits_per_dim(xstart).decoder
    normal = Normal(-math.sqrt((1 - AB[1]) / AB[1]) * delta, math.sqrt(BETA_TILDE[2]))
    p = normal.cdf(torch.tensor(1 / 255)) - normal.cdf(torch.tensor(-1 / 255))
    assert decoder.tolist() == pytest.approx(2 * [bits(-math.log(p))], rel=1e-3)


def test_the_bound_lies_just_above_the_entropy_of_gaussian_data():
    """The whole of it: no code is shorter than the entropy, and the best predictor comes close with T = 500.

    Most of what is lost, 0.8 bits, is lost in the first levels, where the noise more than doubles in one step.
    """
    s = 0.2
    xstart = ((s * torch.randn(8, 3, 16, 16) + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1
    entropy = 0.5 * math.log2(2 * math.pi * math.e * s**2) + math.log2(127.5)
    ab_t = du.linear_schedule().ab_t

    def net(x, t, c):
        ab = ab_t[round(float(t) * 500)]
        return (1 - ab).sqrt() * x / (ab * s**2 + 1 - ab)

    bound = DenoiseDiffusion(net).bits_per_dim(xstart, seed=0)
    assert entropy < bound.total.mean().item() < entropy + 1


def test_total_is_the_sum_of_all_terms():
    terms = BitsPerDim(torch.tensor([1.0, 2]), torch.tensor([[3.0, 4, 5], [6, 7, 8]]), torch.tensor([9.0, 10]))
    assert terms.total.tolist() == [22, 33]


def test_each_picture_has_its_own_bits():
    """One who is right about the first picture only pays for the second."""
    xstart = eight_bit((2, 3, 8, 8))
    wrong = torch.tensor([0.0, 0.3])[:, None, None, None]
    bound = diffusion(off_by(wrong, xstart)).bits_per_dim(xstart)
    assert bound.prior.shape == bound.decoder.shape == bound.total.shape == (2,)
    assert bound.kl[0].sum() < 1e-6 < bound.kl[1].sum()


def test_bits_per_dim_is_repeatable_passes_the_context_and_leaves_the_network_as_it_was():
    net, x, context = small_net(n_classes=2).train(), eight_bit((2, 3, 8, 8)), torch.eye(2)
    seen = []
    net.register_forward_pre_hook(lambda module, args: seen.append((module.training, args[1].item(), args[2])))
    first, second = (diffusion(net).bits_per_dim(x, context, seed=3).total for _ in range(2))
    assert torch.equal(first, second) and net.training and not first.requires_grad
    assert sorted(round(t * T) for _, t, _ in seen[:T]) == list(range(1, T + 1))
    assert all(c is context and not training for training, _, c in seen)
    assert not torch.equal(first, diffusion(net).bits_per_dim(x, context, seed=4).total)


def test_one_level_has_no_bound():
    with pytest.raises(ValueError, match="at least 2 noise levels, got 1"):
        DenoiseDiffusion(oracle(0, 1), 1).bits_per_dim(torch.zeros(1, 1, 1, 1))

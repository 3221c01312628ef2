"""The formulas that the labs derive, against numbers that do not come from the derivation."""

import math

import pytest
import torch

import diffusion_utilities as du

BETAS = torch.cat([torch.zeros(1, dtype=torch.float64), torch.linspace(1e-4, 0.02, 500, dtype=torch.float64)])
TABLES = {"b_t": BETAS, "ab_t": (1 - BETAS).cumprod(0)}  # not the module's own
LEVELS = pytest.mark.parametrize("t", [2, 50, 250, 500])


def normal(n, seed):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@LEVELS
def test_many_small_steps_are_one_large_one(t):
    """x_t = √α_t x_{t-1} + √β_t ε, t times over, has the mean and variance that perturb_input gives at once."""
    b_t, ab_t = TABLES["b_t"], TABLES["ab_t"]
    mean, variance = 0.7, 0.0
    for s in range(1, t + 1):
        mean, variance = (
            (1 - b_t[s]).sqrt().item() * mean,
            (1 - b_t[s]).item() * variance + b_t[s].item(),
        )
    x_t = du.perturb_input(torch.full((200_000, 1, 1, 1), 0.7), t, normal(200_000, 0).float()[:, None, None, None])
    assert mean == pytest.approx(ab_t[t].sqrt().item() * 0.7, rel=1e-4)
    assert x_t.mean().item() == pytest.approx(mean, abs=5 * math.sqrt(variance / 200_000))
    assert x_t.var().item() == pytest.approx(variance, rel=5 * math.sqrt(2 / 200_000))


@LEVELS
def test_posterior_by_bayes_and_monte_carlo(t):
    """q(x_{t-1} | x_t, x_0): draw pairs (x_{t-1}, x_t) forwards from one x_0, and ask what x_t says of x_{t-1}.

    The regression of x_{t-1} on x_t over such pairs is the posterior's mean, its residual has the posterior's variance.
    """
    b_t, ab_t = TABLES["b_t"], TABLES["ab_t"]
    n, x0 = 400_000, 0.7
    x_before = ab_t[t - 1].sqrt() * x0 + (1 - ab_t[t - 1]).sqrt() * normal(n, 1)
    x_t = (1 - b_t[t]).sqrt() * x_before + b_t[t].sqrt() * normal(n, 2)
    slope = torch.cov(torch.stack([x_before, x_t]))[0, 1] / x_t.var()
    residual = x_before - slope * x_t

    # the derived form: β̃ = β_t (1-ᾱ_{t-1}) / (1-ᾱ_t), mean = (√ᾱ_{t-1} β_t x_0 + √α_t (1-ᾱ_{t-1})
    # x_t) / (1-ᾱ_t)
    variance = b_t[t] * (1 - ab_t[t - 1]) / (1 - ab_t[t])
    on_x0 = ab_t[t - 1].sqrt() * b_t[t] / (1 - ab_t[t])
    on_x_t = (1 - b_t[t]).sqrt() * (1 - ab_t[t - 1]) / (1 - ab_t[t])
    error = 5 * math.sqrt(variance / x_t.var() / n)  # of the slope; it shifts the residual as well
    assert slope.item() == pytest.approx(on_x_t.item(), abs=error)
    assert residual.mean().item() == pytest.approx((on_x0 * x0).item(), abs=error + 5 * math.sqrt(variance / n))
    assert residual.var().item() == pytest.approx(variance.item(), rel=0.02)

    # and DDPM's step without noise is that mean, with x̂_0 in place of x_0
    x, noise = normal(8, 3).reshape(2, 1, 2, 2), normal(8, 4).reshape(2, 1, 2, 2)
    x0_pred = du.predict_x0(x, t, noise)
    torch.testing.assert_close(
        du.denoise_add_noise(x, t, noise, 0.0), on_x0 * x0_pred + on_x_t * x, rtol=1e-3, atol=1e-3
    )


def mixture(x_t, ab_t, means, shares):
    """log p(x_t) of a mixture of clean values, each blurred to level t."""
    spread = 1 - ab_t
    logs = shares.log() - (x_t[:, None] - ab_t.sqrt() * means) ** 2 / (2 * spread)
    return torch.logsumexp(logs, dim=1)


MEANS = torch.tensor([-0.8, 0.1, 0.9], dtype=torch.float64)
SHARES = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)


@LEVELS
def test_the_best_noise_prediction_is_the_score(t):
    """E[ε | x_t] = -√(1-ᾱ_t) ∇ log p(x_t): the mean noise among many draws near x_t, against the slope of log p."""
    ab_t = TABLES["ab_t"][t]
    n = 2_000_000
    chosen = torch.multinomial(SHARES, n, replacement=True, generator=torch.Generator().manual_seed(0))
    noise = normal(n, 5)
    x_t = ab_t.sqrt() * MEANS[chosen] + (1 - ab_t).sqrt() * noise
    at = torch.tensor([-0.5, 0.0, 0.6], dtype=torch.float64, requires_grad=True)
    (score,) = torch.autograd.grad(mixture(at, ab_t, MEANS, SHARES).sum(), at)
    width = 0.02
    for value, slope in zip(at.tolist(), score.tolist(), strict=True):
        near = noise[(x_t - value).abs() < width]
        if len(near) > 1000:  # where hardly anything arrives there is nothing to compare
            expected = -math.sqrt(1 - ab_t) * slope
            assert near.mean().item() == pytest.approx(expected, abs=6 / math.sqrt(len(near)) + 2 * width)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("t", "t_prev"), [(500, 400), (250, 249), (100, 10)])
def test_every_eta_leads_to_the_same_noise_level(t, t_prev, eta):
    """DDIM's family: with the true noise, x_prev is spread as perturb_input spreads it, whatever η is."""
    n, x0 = 200_000, 0.7
    noise, z = (normal(n, seed).reshape(n, 1, 1, 1) for seed in (6, 7))
    x_t = du.perturb_input(torch.full_like(noise, x0), t, noise)
    x_prev = du.denoise_ddim(x_t, t, t_prev, noise, eta, z)
    ab_prev = TABLES["ab_t"][t_prev]
    assert x_prev.mean().item() == pytest.approx(
        ab_prev.sqrt().item() * x0, abs=5 * math.sqrt((1 - ab_prev) / n) + 1e-4
    )
    assert x_prev.var().item() == pytest.approx(1 - ab_prev.item(), rel=5 * math.sqrt(2 / n) + 1e-3)


@pytest.mark.parametrize("w", [0.0, 1.0, 3.0])
def test_guidance_is_the_score_of_the_sharpened_distribution(w):
    """ε_∅ + w (ε_c - ε_∅) is the noise prediction of p(x) p(c|x)^w, here with three classes of one value each."""
    ab_t = TABLES["ab_t"][250]
    x = torch.linspace(-1, 1, 9, dtype=torch.float64, requires_grad=True)

    def noise_of(log_p):
        return -(1 - ab_t).sqrt() * torch.autograd.grad(log_p.sum(), x)[0]

    def log_p(c=None):
        if c is None:
            return mixture(x, ab_t, MEANS, SHARES)
        return mixture(x, ab_t, MEANS[c : c + 1], torch.ones(1, dtype=torch.float64))

    c = 1
    log_c_given_x = log_p(c) + SHARES[c].log() - log_p()  # Bayes
    sharpened = noise_of(log_p() + w * log_c_given_x)
    torch.testing.assert_close(du.guided_noise(noise_of(log_p(c)), noise_of(log_p()), w), sharpened)

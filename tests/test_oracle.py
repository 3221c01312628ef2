"""Samplers fed with the best possible predictor, which is known exactly for Gaussian data N(m, s²).

ε*(x, t) = √(1-ᾱ_t) (x - √ᾱ_t m) / D_t with D_t = ᾱ_t s² + 1 - ᾱ_t, the variance of x_t. With it every step is a
straight line in x, so that the samplers' mean and variance follow from a recursion of two numbers, done here in
float64.
"""

import numpy as np
import pytest
import torch

import diffusion_utilities as du

T = 500
AB = np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 0.02, T))])
BETA = np.concatenate([[0.0], np.linspace(1e-4, 0.02, T)])


def oracle(m, s):
    """The best predictor as a sampler's ``model``. It finds its level t from t/T, as a network has to."""
    ab_t = torch.from_numpy(AB)

    def model(x, t, c):
        ab = ab_t[round(float(t) * T)]
        return ((1 - ab).sqrt() * (x.double() - ab.sqrt() * m) / (ab * s**2 + 1 - ab)).to(x.dtype)

    return model


@pytest.mark.parametrize(("m", "s"), [(0.4, 0.25), (-0.3, 1.5)])
@pytest.mark.parametrize("t", [1, 200, 500])
def test_exact_denoiser_is_the_regression_of_the_noise(t, m, s):
    """The module's formula against a straight line fitted to pairs (x_t, ε), with no formula."""
    x0, noise = torch.randn(2, 1_000_000, generator=torch.Generator().manual_seed(t), dtype=torch.float64)
    x_t = du.perturb_input(m + s * x0, t, noise)
    slope, offset = np.polyfit(x_t.numpy(), noise.numpy(), 1)
    at = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(du.exact_denoiser(m, s)(at, t / T), slope * at + offset, atol=0.01, rtol=0.01)


def spread(t, s):
    return AB[t] * s**2 + 1 - AB[t]


def ddim_factor(t, t_prev, s):
    """What one deterministic step does to the distance from the mean √ᾱ m."""
    ab, ab_prev = AB[t], AB[t_prev]
    return (np.sqrt(ab * ab_prev) * s**2 + np.sqrt((1 - ab) * (1 - ab_prev))) / spread(t, s)


def walk(n):
    """n evenly spread steps from T to 0, for n that divide T: not the module's own list."""
    assert T % n == 0
    return [(t, t - T // n) for t in range(T, 0, -T // n)]


def ddim_total_factor(n, s):
    return np.prod([ddim_factor(t, t_prev, s) for t, t_prev in walk(n)])


def variance_of(samples, frames):
    """Variance of the result over that of the start noise as drawn: no error from the finite number of samples."""
    return samples.double().var().item() / frames[0].astype(np.float64).var(ddof=1)


GAUSSIANS = pytest.mark.parametrize(("m", "s"), [(0.0, 1.0), (0.3, 0.5), (-0.6, 0.2), (0.5, 2.0)])
COUNTS = [1, 2, 7, 20, 25, 33, 125, 500]


# --------------------------------------------------------------------------------------------- DDIM


@GAUSSIANS
@pytest.mark.parametrize("n", COUNTS)
def test_ddim_mean_is_exact_for_any_number_of_steps(n, m, s):
    """A start exactly at the mean of x_T ends exactly at the mean of the data, also where n does not divide T."""
    x = torch.full((1, 1, 1, 1), np.sqrt(AB[T]) * m, dtype=torch.float64)
    model = oracle(m, s)
    for t, t_next in du.step_pairs(n, T):
        x = du.denoise_ddim(x, t, t_next, model(x, t / T, None))
    # the module's tables are float32: 500 steps of 6e-8
    assert x.item() == pytest.approx(m, abs=2e-5)


@GAUSSIANS
@pytest.mark.parametrize("n", COUNTS)
def test_ddim_sampler_ends_at_the_mean_of_the_data(n, m, s):
    """Every sample is m + K (x_T - √ᾱ_T m): so is their mean, with the K seen in their spread."""
    samples, frames = du.sample_ddim(16, n, model=oracle(m, s), seed=0, progress=False)
    factor = np.sqrt(variance_of(samples, frames))
    expected = m + factor * (frames[0].astype(np.float64).mean() - np.sqrt(AB[T]) * m)
    assert samples.double().mean().item() == pytest.approx(expected, abs=1e-4)


@GAUSSIANS
@pytest.mark.parametrize("n", [1, 2, 5, 25, 100, 500])
def test_ddim_samples_follow_the_exact_recursion(n, m, s):
    """Not only mean and variance: each of 12,288 numbers is where the recursion puts it."""
    samples, frames = du.sample_ddim(16, n, model=oracle(m, s), seed=0, progress=False)
    expected = m + ddim_total_factor(n, s) * (frames[0].astype(np.float64) - np.sqrt(AB[T]) * m)
    # float32 over up to 500 steps
    np.testing.assert_allclose(samples.numpy(), expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0])
def test_ddim_variance_error_halves_as_steps_double(s):
    """Against the variance of infinitely many steps, s²/D_T: an error of first order in 1/n."""
    exact = s**2 / spread(T, s)
    counts = [31, 62, 125, 250, 500]
    errors = [
        variance_of(*du.sample_ddim(4, n, model=oracle(0.0, s), seed=0, progress=False)) / exact - 1 for n in counts
    ]
    ratios = [errors[i] / errors[i + 1] for i in range(len(errors) - 1)]
    assert ratios[-2:] == pytest.approx([2, 2], rel=0.15)


# ------------------------------------------------------------------------------------- DPM-Solver++


def dpm_error(stride, s):
    """Down to level 100 in steps of ``stride``: the error of the spread, against that of infinitely many steps."""
    x, before, model = torch.ones(1, 1, 1, 1, dtype=torch.float64), None, oracle(0.0, s)
    for t in range(T, 100, -stride):
        x0_pred = du.predict_x0(x, t, model(x, t / T, None))
        x, before = du.denoise_dpm(x, t, t - stride, x0_pred, before), (t, x0_pred)
    return abs(x.item() - np.sqrt(spread(100, s) / spread(T, s)))


@pytest.mark.parametrize("s", [0.2, 0.5, 2.0])
def test_dpm_error_falls_fourfold_as_steps_double(s):
    """Second order, where DDIM's error only halves."""
    errors = [dpm_error(stride, s) for stride in (8, 4, 2)]
    assert [errors[0] / errors[1], errors[1] / errors[2]] == pytest.approx([4, 4], rel=0.2)


@GAUSSIANS
@pytest.mark.parametrize("n", [1, 2, 7, 20, 33])
def test_dpm_mean_is_exact_for_any_number_of_steps(n, m, s):
    x, before, model = (
        torch.full((1, 1, 1, 1), np.sqrt(AB[T]) * m, dtype=torch.float64),
        None,
        oracle(m, s),
    )
    for t, t_next in du.step_pairs(n, T):
        x0_pred = du.predict_x0(x, t, model(x, t / T, None))
        x, before = du.denoise_dpm(x, t, t_next, x0_pred, before), (t, x0_pred)
    assert x.item() == pytest.approx(m, abs=2e-5)


# --------------------------------------------------------------------------------------------- DDPM


def test_ddpm_on_unit_data_keeps_variance_one_until_the_noiseless_last_step():
    """196,608 numbers know their variance to 0.32 %; five of that is 1.6 %."""
    samples, frames = du.sample_ddpm(256, 499, model=oracle(0.0, 1.0), seed=0, progress=False)
    assert frames[1].var() == pytest.approx(1, rel=0.016)  # after step t = 2
    np.testing.assert_allclose(samples.numpy(), frames[1] * np.sqrt(1 - 1e-4), rtol=1e-5, atol=1e-6)


def test_ddpm_on_unit_data_keeps_variance_one_on_the_way():
    _, frames = du.sample_ddpm(64, 20, model=oracle(0.0, 1.0), seed=1, progress=False)
    # 49,152 numbers: 0.64 % each
    assert frames.reshape(26, -1).var(axis=1) == pytest.approx(np.ones(26), rel=0.035)


def ddpm_factor(t, s):
    return (1 - BETA[t] / spread(t, s)) / np.sqrt(1 - BETA[t])


@pytest.mark.parametrize(("m", "s"), [(0.3, 0.5), (-0.6, 0.2)])
def test_ddpm_mean_and_variance_follow_the_recursion(m, s):
    """mean ← …, variance ← factor² · variance + β_t, and no β at t = 1."""
    samples, _ = du.sample_ddpm(64, 500, model=oracle(m, s), seed=2, progress=False)
    off, variance = -np.sqrt(AB[T]) * m, 1.0
    for t in range(T, 0, -1):
        off, variance = (
            ddpm_factor(t, s) * off,
            ddpm_factor(t, s) ** 2 * variance + (BETA[t] if t > 1 else 0),
        )
    n = samples.numel()
    assert samples.mean().item() == pytest.approx(m + off, abs=5 * np.sqrt(variance / n))
    assert samples.var().item() == pytest.approx(variance, rel=5 * np.sqrt(2 / n))


# -------------------------------------------------------------------------------------- DDIM, η = 1


@pytest.mark.parametrize("s", [0.5, 1.0])
def test_ddim_with_eta_one_over_all_levels_is_ddpm_with_the_posterior_variance(s):
    """Step by step: the same factor, and noise of β̃_t = β_t (1-ᾱ_(t-1)) / (1-ᾱ_t)."""
    model = oracle(0.0, s)
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for t in range(T, 0, -1):
        pred_noise = model(x, t / T, None)
        factor = du.denoise_ddim(x, t, t - 1, pred_noise, 1.0, torch.zeros_like(x)).item()
        noise = du.denoise_ddim(x, t, t - 1, pred_noise, 1.0, torch.ones_like(x)).item() - factor
        # 1-ᾱ_t/ᾱ_(t-1) from float32 tables: 1.2e-7 of at least 1e-4
        assert factor == pytest.approx(ddpm_factor(t, s), abs=2e-6 + 2e-3 * BETA[t])
        assert noise**2 == pytest.approx(BETA[t] * (1 - AB[t - 1]) / (1 - AB[t]), rel=2e-3, abs=1e-12)


@pytest.mark.parametrize(("s", "n"), [(0.5, 500), (1.0, 500), (0.5, 25)])
def test_ddim_with_eta_one_has_the_variance_of_the_recursion(s, n):
    """Drawn: 49,152 numbers know their variance to 0.64 %. At n < T the step is the posterior of the skipped levels."""
    samples, _ = du.sample_ddim(64, n, eta=1.0, model=oracle(0.0, s), seed=3, progress=False)
    variance = 1.0
    for t, t_prev in walk(n):
        alpha = AB[t] / AB[t_prev]
        factor = (1 - (1 - alpha) / spread(t, s)) / np.sqrt(alpha)
        variance = factor**2 * variance + (1 - alpha) * (1 - AB[t_prev]) / (1 - AB[t])
    assert samples.var().item() == pytest.approx(variance, rel=0.032)


# ---------------------------------------------------------------------------- the incorrect sampler


@pytest.mark.parametrize("s", [0.2, 0.5, 1.0])
def test_the_incorrect_sampler_shrinks_the_variance_by_the_product_of_its_factors(s):
    samples, frames = du.sample_ddpm_incorrect(16, model=oracle(0.0, s), seed=0, progress=False)
    factor = np.prod([ddpm_factor(t, s) for t in range(1, T + 1)])
    np.testing.assert_allclose(samples.numpy(), factor * frames[0], rtol=2e-4, atol=1e-7)
    assert factor**2 < 0.1 * s**2  # far too little: the correct sampler ends near s²
    if s == 1:
        assert factor**2 == pytest.approx(AB[T], rel=1e-9)  # unit data: Π √α_t

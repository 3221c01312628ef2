"""The same steps as an independent, well-kept implementation takes: diffusers. Our t is theirs + 1."""

import numpy as np
import pytest
import torch

import diffusion_utilities as du

diffusers = pytest.importorskip("diffusers")

T = 500
LINE = {"num_train_timesteps": T, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def normal(seed):
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def predict(x, t, c):
    """A fixed stand-in for a network: bounded, not linear, and different at each level and pixel."""
    return torch.sin(2 * x + 3 * float(t)) + 0.3 * x.roll(1, dims=3)


def with_exact_tables(scheduler):
    """Their formulas with their tables in float64.

    In float32 they take β_2 = 1.4e-4 as 1 - ᾱ_2/ᾱ_1, which is off by a thousandth of itself; at t = 2 that alone moves
    their result by 2e-4. The test is of the formulas.
    """
    scheduler.betas = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = scheduler.alphas.cumprod(0)
    return scheduler


@pytest.fixture
def ddpm():
    return with_exact_tables(
        diffusers.DDPMScheduler(**LINE, variance_type="fixed_large", prediction_type="epsilon", clip_sample=False)
    )


@pytest.fixture
def ddim():
    return with_exact_tables(
        diffusers.DDIMScheduler(
            **LINE,
            timestep_spacing="trailing",
            set_alpha_to_one=True,
            clip_sample=False,
            prediction_type="epsilon",
        )
    )


def test_alpha_bars_agree():
    theirs = diffusers.DDPMScheduler(**LINE).alphas_cumprod  # as they ship it: a product in float32
    np.testing.assert_allclose(du.linear_schedule().ab_t[1:].numpy(), theirs.numpy(), rtol=2e-5)


@pytest.mark.parametrize("t", [1, 2, 100, 499, 500])
def test_forward_process_agrees(ddpm, t):
    x, noise = normal(0), normal(1)
    theirs = ddpm.add_noise(x, noise, torch.tensor([t - 1, t - 1]))
    torch.testing.assert_close(du.perturb_input(x, t, noise), theirs, **CLOSE)


@pytest.mark.parametrize("t", [1, 2, 3, 10, 100, 250, 499, 500])
def test_ddpm_step_agrees(ddpm, t):
    x, pred_noise = normal(0), normal(1)
    theirs = ddpm.step(pred_noise, t - 1, x, generator=torch.Generator().manual_seed(2)).prev_sample
    z = normal(2) if t > 1 else torch.zeros_like(x)  # what their generator draws
    torch.testing.assert_close(du.denoise_add_noise(x, t, pred_noise, z), theirs, **CLOSE)


@pytest.mark.parametrize("seed", [0, 1])
def test_whole_ddpm_run_agrees(ddpm, seed):
    """One generator feeds theirs; ours makes the same draws in the same order."""
    samples, frames = du.sample_ddpm(2, 50, model=predict, seed=seed, progress=False)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, 16, 16, generator=generator)
    for t in range(T, 0, -1):
        x = ddpm.step(predict(x, t / T, None), t - 1, x, generator=generator).prev_sample
        if (T - t + 1) % 50 == 0:
            np.testing.assert_allclose(
                frames[(T - t + 1) // 50], x.numpy(), rtol=1e-4, atol=1e-4 * x.abs().max().item()
            )
    torch.testing.assert_close(samples, x, rtol=1e-4, atol=1e-4 * x.abs().max().item())


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 5, 25, 50, 100, 250, 500])
def test_every_ddim_step_agrees(ddim, n, eta):
    """Along our own trajectory, so that one step's rounding does not pass on to the next."""
    ddim.set_timesteps(n)
    pairs = du.step_pairs(n, T)
    assert [t - 1 for t, _ in pairs] == ddim.timesteps.tolist()
    x = normal(0)
    for i, (t, t_next) in enumerate(pairs):
        pred_noise, z = predict(x, t / T, None), normal(i + 1)
        theirs = ddim.step(pred_noise, t - 1, x, eta=eta, variance_noise=z if eta else None).prev_sample
        ours = du.denoise_ddim(x, t, t_next, pred_noise, eta, z)
        scale = 1 + x.abs().max().item() / du.linear_schedule().ab_t[t].sqrt().item()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * scale)
        x = ours


@pytest.mark.parametrize("n", [1, 5, 25, 50, 100, 250, 500])
def test_whole_ddim_run_agrees(ddim, n):
    samples, frames = du.sample_ddim(2, n, model=predict, seed=0, progress=False)
    ddim.set_timesteps(n)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for i, t in enumerate(ddim.timesteps.tolist(), start=1):
        x = ddim.step(predict(x, (t + 1) / T, None), t, x).prev_sample
        np.testing.assert_allclose(frames[i], x.numpy(), rtol=1e-4, atol=1e-4 * x.abs().max().item())
    assert np.array_equal(frames[-1], samples.numpy())


def dpm(algorithm_type):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **LINE,
        algorithm_type=algorithm_type,
        solver_order=2,
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        # the straight line integrated exactly, as here; "midpoint" is algorithm 2 of the paper
        solver_type="heun",
    )
    scheduler = with_exact_tables(scheduler)
    scheduler.alpha_t, scheduler.sigma_t = (
        scheduler.alphas_cumprod.sqrt(),
        (1 - scheduler.alphas_cumprod).sqrt(),
    )
    scheduler.lambda_t = scheduler.alpha_t.log() - scheduler.sigma_t.log()
    return scheduler


@pytest.mark.parametrize("n", [2, 5, 10, 25, 100])
@pytest.mark.parametrize(("eta", "algorithm_type"), [(0, "dpmsolver++"), (1, "sde-dpmsolver++")])
def test_whole_dpm_run_agrees(eta, algorithm_type, n):
    samples, frames = du.sample_dpm(2, n, eta=eta, model=predict, seed=0, progress=False)
    scheduler = dpm(algorithm_type)
    scheduler.set_timesteps(n)
    assert scheduler.timesteps.tolist() == [t - 1 for t, _ in du.step_pairs(n, T)]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 16, 16, generator=generator)
    for i, t in enumerate(scheduler.timesteps.tolist(), start=1):
        z = torch.randn(x.shape, generator=generator)
        x = scheduler.step(predict(x, (t + 1) / T, None), t, x, variance_noise=z).prev_sample
        np.testing.assert_allclose(frames[i], x.numpy(), rtol=1e-4, atol=1e-4 * x.abs().max().item())
    assert np.array_equal(frames[-1], samples.numpy())

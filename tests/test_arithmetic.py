"""One formula a function: each against a formula written again here, in float64, or against probability theory."""

import math

import numpy as np
import pytest
import torch

import diffusion_utilities as du

T = 500
# float32 tables hold 1 - ab_t to 6e-8; at t = 1, where it is 1e-4, that is 3e-4 of its root at
# worst.
ROOT_RTOL = 4e-4


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# ---------------------------------------------------------------------------------- forward process


@pytest.mark.parametrize("t", [1, 10, 100, 250, 499, 500])
def test_perturbed_variance_is_one_minus_alpha_bar(t, tables64):
    """49,152 × 4 numbers: the sample's standard deviation is known to 0.16 %, so 1 % is six of its errors."""
    noise = normal(256, 3, 16, 16)
    x_t = du.perturb_input(torch.full_like(noise, 0.5), t, noise)
    ab = tables64[2][t]
    assert x_t.std().item() == pytest.approx(np.sqrt(1 - ab), rel=0.01)
    assert x_t.mean().item() == pytest.approx(np.sqrt(ab) * 0.5, abs=5 * np.sqrt((1 - ab) / noise.numel()))


@pytest.mark.parametrize("t", [1, 2, 50, 250, 500])
def test_perturb_input_against_the_formula(t, tables64):
    x, noise = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    ab = tables64[2][t]
    expected = np.sqrt(ab) * x.double().numpy() + np.sqrt(1 - ab) * noise.double().numpy()
    np.testing.assert_allclose(du.perturb_input(x, t, noise).numpy(), expected, atol=2e-5)


def test_unit_data_stays_of_unit_variance():
    """Signal and noise shares add up to 1 at every level: ab + (1 - ab)."""
    one, zero = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    for t in range(T + 1):
        signal, noise = du.perturb_input(one, t, zero), du.perturb_input(zero, t, one)
        assert (signal**2 + noise**2).item() == pytest.approx(1, abs=1e-6)


def test_one_jump_equals_a_chain_of_single_steps(betas64):
    """x_t = √(1-β) x_(t-1) + √β z, 500 times over, has the mean and the variance of the jump at every t."""
    one, zero = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    mean, variance = 1.0, 0.0
    for t, beta in enumerate(betas64, start=1):
        mean, variance = np.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        assert du.perturb_input(one, t, zero).item() == pytest.approx(mean, rel=1e-6)
        assert du.perturb_input(zero, t, one).item() == pytest.approx(np.sqrt(variance), rel=ROOT_RTOL)


def test_a_drawn_chain_ends_where_the_jump_does(betas64):
    """The same with random numbers: 40,000 of them know it to 0.7 %, both sides are drawn: 5 errors are 5 %."""
    x = torch.full((40_000,), 3.0)
    for t, beta in enumerate(betas64[:100]):
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * normal(40_000, seed=t)
    jump = du.perturb_input(torch.full((40_000,), 3.0), 100, normal(40_000, seed=1000))
    assert x.var().item() == pytest.approx(jump.var().item(), rel=0.05)
    assert x.mean().item() == pytest.approx(jump.mean().item(), abs=7 * jump.std().item() / 200)


def test_a_tensor_of_levels_equals_one_call_a_sample():
    x, noise = normal(5, 3, 4, 4), normal(5, 3, 4, 4, seed=1)
    t = torch.tensor([0, 1, 250, 499, 500])
    together = du.perturb_input(x, t, noise)
    for i in range(5):
        assert torch.equal(together[i : i + 1], du.perturb_input(x[i : i + 1], int(t[i]), noise[i : i + 1]))
    assert torch.equal(du.perturb_input(x, torch.tensor(250), noise), du.perturb_input(x, 250, noise))


@pytest.mark.parametrize("t", [0, torch.tensor(0), torch.zeros(3, dtype=torch.long)], ids=["int", "0-dim", "(n,)"])
def test_level_zero_gives_the_picture_back(t):
    x = normal(3, 3, 4, 4)
    assert torch.equal(du.perturb_input(x, t, normal(3, 3, 4, 4, seed=1)), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arithmetic_keeps_the_precision_of_the_pictures(dtype):
    x = normal(2, 3, 4, 4, dtype=dtype)
    assert du.perturb_input(x, torch.tensor([3, 4]), x).dtype == dtype
    assert du.denoise_add_noise(x, 3, x).dtype == dtype
    assert du.denoise_ddim(x, 3, 1, x).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("t", [1, 2, 5])
def test_pictures_of_16_bits_get_the_right_amount_of_noise(dtype, t):
    """1 - ᾱ_1 = 0.0001 is 0 where ᾱ_1 is rounded to 16 bits."""
    x = normal(2, 3, 4, 4)
    x16 = x.to(dtype)
    for result, expected in [
        (
            du.perturb_input(torch.zeros_like(x16), t, x16),
            du.perturb_input(torch.zeros_like(x), t, x),
        ),
        (du.perturb_input(0 * x16, torch.tensor([t, t]), x16), du.perturb_input(0 * x, t, x)),
        (du.denoise_add_noise(x16, t, x16, 0.0), du.denoise_add_noise(x, t, x, 0.0)),
        (du.denoise_ddim(x16, t, 0, x16), du.denoise_ddim(x, t, 0, x)),
    ]:
        torch.testing.assert_close(result.float(), expected, rtol=0.1, atol=0.05 * expected.abs().max().item())


def test_levels_as_a_list_or_an_array_mean_one_for_each_picture():
    x, noise, t = normal(16, 3, 16, 16), normal(16, 3, 16, 16, seed=1), np.arange(1, 17) * 30
    expected = du.perturb_input(x, torch.tensor(t), noise)
    assert torch.equal(du.perturb_input(x, t, noise), expected)
    assert torch.equal(du.perturb_input(x, t.tolist(), noise), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_levels_of_any_whole_type_mean_levels(dtype):
    """uint8 would else be taken for a mask."""
    x, y = normal(3, 3, 4, 4), normal(3, 3, 4, 4, seed=1)
    many, one = torch.tensor([1, 2, 250]), torch.tensor(250)
    for formula in (
        lambda t: du.perturb_input(x, t, y),
        lambda t: du.predict_x0(x, t, y),
        lambda t: du.noise_from_x0(x, t, y),
    ):
        assert torch.equal(formula(many.to(dtype)), formula(many))
        assert torch.equal(formula(one.to(dtype)), formula(250))
    for step in (
        lambda t, t_prev: du.denoise_add_noise(x, t, y, 0),
        lambda t, t_prev: du.denoise_ddim(x, t, t_prev, y),
        lambda t, t_prev: du.denoise_dpm(x, t, t_prev, y, (300, x)),
    ):
        for shape in ((), (1,)):
            t, t_prev = one.to(dtype).reshape(shape), (one - 50).to(dtype).reshape(shape)
            assert torch.equal(step(t, t_prev), step(250, 200))


TENSORS = {
    "perturb_input": ({"t": 5}, ["x", "noise"]),
    "predict_x0": ({"t": 5}, ["x", "pred_noise"]),
    "noise_from_x0": ({"t": 5}, ["x", "x0_pred"]),
    "denoise_add_noise": ({"t": 5}, ["x", "pred_noise", "z"]),
    "denoise_ddim": ({"t": 5, "t_prev": 2, "eta": 1.0}, ["x", "pred_noise", "z"]),
    "denoise_dpm": ({"t": 5, "t_prev": 2, "eta": 1.0}, ["x", "x0_pred", "z", "before"]),
    "guided_noise": ({"guidance": 2.0}, ["pred_cond", "pred_uncond"]),
}
SPOILT = [(name, spoilt) for name, (_, tensors) in TENSORS.items() for spoilt in tensors]


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (1, 3, 4, 4), (2, 3, 1, 1), (3, 4, 4), (4,), ()], ids=str)
@pytest.mark.parametrize(("name", "spoilt"), SPOILT)
def test_no_tensor_is_stretched_to_the_shape_of_another(name, spoilt, shape):
    numbers, tensors = TENSORS[name]
    given = {key: normal(*shape) if key == spoilt else normal(2, 3, 4, 4) for key in tensors}
    if "before" in given:
        given["before"] = 9, given["before"]
    if name == "perturb_input" and spoilt == "x" and shape in ((3, 4, 4), (1, 3, 4, 4)):
        # many noises of one picture
        assert du.perturb_input(**numbers, **given).shape == (2, 3, 4, 4)
        return
    with pytest.raises(ValueError, match="expected (tensors of one shape|noise of the shape of x)"):
        getattr(du, name)(**numbers, **given)


def test_another_schedule_is_used_where_given():
    schedule, x, noise = (
        du.linear_schedule(10, 0.1, 0.3),
        normal(1, 3, 4, 4),
        normal(1, 3, 4, 4, seed=1),
    )
    ab, ab_prev, b = schedule.ab_t[10], schedule.ab_t[4], schedule.b_t[10]
    torch.testing.assert_close(
        du.perturb_input(x, 10, noise, schedule=schedule), ab.sqrt() * x + (1 - ab).sqrt() * noise
    )
    torch.testing.assert_close(
        du.denoise_add_noise(x, 10, noise, 0, schedule=schedule),
        (x - b / (1 - ab).sqrt() * noise) / (1 - b).sqrt(),
    )
    x0 = (x - (1 - ab).sqrt() * noise) / ab.sqrt()
    torch.testing.assert_close(
        du.denoise_ddim(x, 10, 4, noise, schedule=schedule),
        ab_prev.sqrt() * x0 + (1 - ab_prev).sqrt() * noise,
    )


# ---------------------------------------------------------------------------------------- DDPM step


@pytest.mark.parametrize("t", [1, 2, 3, 100, 250, 499, 500])
def test_ddpm_step_against_the_formula(t, tables64):
    x, eps, z = (normal(2, 3, 8, 8, seed=i) for i in range(3))
    b_t, a_t, ab_t = (table[t] for table in tables64)
    mean = (x.double().numpy() - b_t / np.sqrt(1 - ab_t) * eps.double().numpy()) / np.sqrt(a_t)
    expected = mean + np.sqrt(b_t) * z.double().numpy()
    np.testing.assert_allclose(du.denoise_add_noise(x, t, eps, z).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(du.denoise_add_noise(x, t, eps, 0).numpy(), mean, atol=1e-5)


def test_ddpm_step_draws_its_own_noise_when_given_none():
    x = torch.zeros(64, 3, 16, 16)
    noise = du.denoise_add_noise(x, 400, x)
    beta = du.linear_schedule().b_t[400].item()
    # five errors of a spread of 49,152 numbers
    assert noise.std().item() == pytest.approx(np.sqrt(beta), rel=0.015)
    assert not torch.equal(noise, du.denoise_add_noise(x, 400, x))


def test_ddpm_last_step_adds_nothing_when_given_none():
    x, eps = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    assert torch.equal(du.denoise_add_noise(x, 1, eps), du.denoise_add_noise(x, 1, eps, 0))
    assert not torch.equal(du.denoise_add_noise(x, 2, eps), du.denoise_add_noise(x, 2, eps, 0))


def test_ddpm_last_step_with_the_true_noise_finds_the_picture():
    x_0, noise = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    found = du.denoise_add_noise(du.perturb_input(x_0, 1, noise), 1, noise)
    # noise of 0.01, known to 4e-4 of itself
    torch.testing.assert_close(found, x_0, rtol=0, atol=2e-5)


# ---------------------------------------------------------------------------------------- DDIM step


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("t", "t_prev"), [(500, 499), (500, 250), (500, 0), (250, 1), (2, 1), (1, 0)])
def test_ddim_step_against_the_formula(t, t_prev, eta, tables64):
    x, eps, z = (normal(2, 3, 8, 8, seed=i) for i in range(3))
    ab, ab_prev = tables64[2][t], tables64[2][t_prev]
    x64, eps64, z64 = (array.double().numpy() for array in (x, eps, z))
    sigma = eta * np.sqrt((1 - ab_prev) / (1 - ab)) * np.sqrt(1 - ab / ab_prev)
    x_0 = (x64 - np.sqrt(1 - ab) * eps64) / np.sqrt(ab)
    expected = np.sqrt(ab_prev) * x_0 + np.sqrt(1 - ab_prev - sigma**2) * eps64 + sigma * z64
    # x_0 from t = 500 is of size 1/√ab = 12.5, and ab itself rounded: hence relative as well as
    # absolute
    np.testing.assert_allclose(du.denoise_ddim(x, t, t_prev, eps, eta, z).numpy(), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("t", "t_prev"), [(500, 400), (500, 3), (77, 76), (77, 0), (1, 0)])
def test_ddim_with_the_true_noise_walks_along_the_forward_process(t, t_prev):
    x_0, noise = (
        normal(2, 3, 4, 4, dtype=torch.float64),
        normal(2, 3, 4, 4, seed=1, dtype=torch.float64),
    )
    stepped = du.denoise_ddim(du.perturb_input(x_0, t, noise), t, t_prev, noise)
    torch.testing.assert_close(stepped, du.perturb_input(x_0, t_prev, noise), rtol=0, atol=1e-12)


def test_ddim_without_eta_is_deterministic_and_with_eta_is_not():
    x, eps = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    assert torch.equal(du.denoise_ddim(x, 9, 4, eps), du.denoise_ddim(x, 9, 4, eps))
    assert torch.equal(
        du.denoise_ddim(x, 9, 4, eps),
        du.denoise_ddim(x, 9, 4, eps, 0.0, normal(2, 3, 4, 4, seed=2)),
    )
    assert not torch.equal(du.denoise_ddim(x, 9, 4, eps, 1.0), du.denoise_ddim(x, 9, 4, eps, 1.0))


@pytest.mark.parametrize("t", [1, 20, 500])
def test_ddim_adds_no_noise_on_the_step_to_zero(t):
    x, eps = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    plain = du.denoise_ddim(x, t, 0, eps)
    assert torch.equal(du.denoise_ddim(x, t, 0, eps, 1.0), plain)
    assert torch.equal(du.denoise_ddim(x, t, 0, eps, 1.0, normal(2, 3, 4, 4, seed=2)), plain)


@pytest.mark.parametrize(("t", "t_prev"), [(5, 5), (5, 6), (0, 0), (5, -1), (501, 400)])
def test_steps_that_do_not_go_down_are_refused(t, t_prev):
    x = torch.zeros(1, 3, 4, 4)
    for step in (
        lambda: du.denoise_ddim(x, t, t_prev, x),
        lambda: du.denoise_dpm(x, t, t_prev, x),
        lambda: du.denoise_dpm(x, t_prev, 0, x, (t, x)),  # the step before
    ):
        with pytest.raises(ValueError, match="expected a step down|expected a noise level"):
            step()


def posterior_by_integration(x_t, x_0, ab, ab_prev):
    """Mean and spread of q(x_s | x_t, x_0) by Bayes' rule on a fine grid: no closed form is used."""
    alpha = ab / ab_prev  # from s to t
    prior_mean, prior_var = np.sqrt(ab_prev) * x_0, 1 - ab_prev
    likelihood_mean, likelihood_var = x_t / np.sqrt(alpha), (1 - alpha) / alpha
    spread = 10 * np.sqrt(min(prior_var, likelihood_var))
    grid = np.linspace(
        min(prior_mean, likelihood_mean) - spread,
        max(prior_mean, likelihood_mean) + spread,
        400_001,
    )
    log_density = -((x_t - np.sqrt(alpha) * grid) ** 2) / (2 * (1 - alpha)) - (grid - prior_mean) ** 2 / (2 * prior_var)
    weight = np.exp(log_density - log_density.max())
    mean = (weight * grid).sum() / weight.sum()
    return mean, np.sqrt((weight * (grid - mean) ** 2).sum() / weight.sum())


@pytest.mark.parametrize(("t", "t_prev"), [(2, 1), (3, 2), (50, 49), (250, 249), (500, 499), (500, 250), (100, 40)])
def test_ddim_with_eta_one_draws_from_the_posterior(t, t_prev, tables64):
    """With ε known, a step with η = 1 is one draw of q(x_s | x_t, x_0), also where s is far below t."""
    x_t, x_0 = 0.7, 0.4
    ab, ab_prev = tables64[2][t], tables64[2][t_prev]
    mean, spread = posterior_by_integration(x_t, x_0, ab, ab_prev)
    x = torch.full((1, 1, 1, 1), x_t, dtype=torch.float64)
    # ε from the module's own tables, so that the x_0 it finds is exactly 0.4
    ab32 = du.linear_schedule().ab_t[t].double()
    eps = (x - ab32.sqrt() * x_0) / (1 - ab32).sqrt()
    at_zero = du.denoise_ddim(x, t, t_prev, eps, 1.0, torch.zeros_like(x)).item()
    at_one = du.denoise_ddim(x, t, t_prev, eps, 1.0, torch.ones_like(x)).item()
    assert at_zero == pytest.approx(mean, rel=ROOT_RTOL)
    assert at_one - at_zero == pytest.approx(spread, rel=2 * ROOT_RTOL)


@pytest.mark.parametrize("t", [1, 2, 50, 250, 500])
def test_ddpm_and_ddim_with_eta_one_share_their_mean(t):
    x, eps = (
        normal(2, 3, 4, 4, dtype=torch.float64),
        normal(2, 3, 4, 4, seed=1, dtype=torch.float64),
    )
    ddim = du.denoise_ddim(x, t, t - 1, eps, 1.0, torch.zeros_like(x))
    torch.testing.assert_close(du.denoise_add_noise(x, t, eps, 0), ddim, rtol=0, atol=2e-5)


# ------------------------------------------------------------------------------------- DPM-Solver++


@pytest.mark.parametrize("eta", [0.0, 1.0, 4.0])
@pytest.mark.parametrize(("t_before", "t", "t_prev"), [(500, 450, 400), (300, 100, 50), (60, 50, 1)])
def test_dpm_step_integrates_a_straight_line(t_before, t, t_prev, eta):
    """x/σ grows by ∫ (1+η) e^λ e^-η(λ_prev-λ) x̂_0 dλ and keeps a share e^-ηh; here the integral is a sum of many."""
    ab = du.linear_schedule().ab_t.double()
    lam, sigma = 0.5 * (ab / (1 - ab)).log(), (1 - ab).sqrt()
    x, x0_pred, x0_before = (normal(1, 3, 4, 4, seed=i, dtype=torch.float64) for i in range(3))
    ours = du.denoise_dpm(x, t, t_prev, x0_pred, (t_before, x0_before), eta=eta, z=torch.zeros_like(x))
    at = torch.linspace(lam[t], lam[t_prev], 20_001, dtype=torch.float64)[:, None]
    line = x0_pred.reshape(1, -1) + (at - lam[t]) * ((x0_pred - x0_before) / (lam[t] - lam[t_before])).reshape(1, -1)
    grown = torch.trapezoid((1 + eta) * at.exp() * (-eta * (lam[t_prev] - at)).exp() * line, at, dim=0).reshape(x.shape)
    expected = sigma[t_prev] * ((-eta * (lam[t_prev] - lam[t])).exp() * x / sigma[t] + grown)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 4.0, math.inf])
@pytest.mark.parametrize(("t", "t_prev"), [(500, 250), (300, 299), (20, 1)])
def test_dpm_step_leaves_the_noise_of_the_level(t, t_prev, eta):
    """Where the guess is right, old and fresh noise together have the variance 1 - ᾱ_prev."""
    ab = du.linear_schedule().ab_t.double()
    x_0, one, none = (torch.full((1, 1, 1, 1), value, dtype=torch.float64) for value in (0.3, 1.0, 0.0))

    def step(noise, z):
        x = ab[t].sqrt() * x_0 + (1 - ab[t]).sqrt() * noise
        return du.denoise_dpm(x, t, t_prev, x_0, (500, x_0) if t < 500 else None, eta=eta, z=z).item()

    centre = step(none, none)
    assert centre == pytest.approx(ab[t_prev].sqrt().item() * 0.3, rel=1e-3)
    variance = (step(one, none) - centre) ** 2 + (step(none, one) - centre) ** 2
    assert variance == pytest.approx(1 - ab[t_prev].item(), rel=2 * ROOT_RTOL)


def test_dpm_step_with_all_noise_fresh_forgets_where_it_was():
    x, other, x0_pred, x0_before, z = (normal(1, 3, 4, 4, seed=i, dtype=torch.float64) for i in range(5))
    one, two = (du.denoise_dpm(y, 300, 250, x0_pred, (350, x0_before), eta=math.inf, z=z) for y in (x, other))
    ab = du.linear_schedule().ab_t.double()
    lam = 0.5 * (ab / (1 - ab)).log()
    at_the_end = x0_pred + (lam[250] - lam[300]) / (lam[300] - lam[350]) * (x0_pred - x0_before)
    assert torch.equal(one, two)
    torch.testing.assert_close(one, ab[250].sqrt() * at_the_end + (1 - ab[250]).sqrt() * z, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(("t", "t_prev"), [(500, 400), (300, 299), (20, 0)])
def test_dpm_step_without_one_before_is_ddims(t, t_prev, eta):
    x, eps, z = (normal(2, 3, 4, 4, seed=i, dtype=torch.float64) for i in range(3))
    ours = du.denoise_dpm(x, t, t_prev, du.predict_x0(x, t, eps), eta=eta, z=z)
    torch.testing.assert_close(ours, du.denoise_ddim(x, t, t_prev, eps, eta, z), rtol=1e-4, atol=1e-4)


def test_dpm_step_draws_its_own_noise_when_given_none():
    x = torch.zeros(1, 3, 16, 16)
    torch.manual_seed(0)
    one, two = (du.denoise_dpm(x, 300, 250, x, eta=1.0) for _ in range(2))
    assert not torch.equal(one, two)
    assert torch.equal(du.denoise_dpm(x, 300, 250, x), du.denoise_dpm(x, 300, 250, x))


# ----------------------------------------------------------------------------------------- guidance


@pytest.mark.parametrize("guidance", [-1.0, 0.0, 0.5, 1.0, 3.0])
def test_guidance_moves_from_unconditional_through_conditional(guidance):
    cond, uncond = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    expected = (1 - guidance) * uncond + guidance * cond
    torch.testing.assert_close(du.guided_noise(cond, uncond, guidance), expected)

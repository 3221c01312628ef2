"""The three ideas: models wrap models, steps wrap steps, and the loop is open to whoever wants to write something else.

Inpainting, image to image and an early stop are written here with public names, in a few lines each, and held against
closed forms.
"""

import inspect
import math

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from diffusion_utilities import (
    Autoguided,
    Clipped,
    Guided,
    ModelWrapper,
    ddim_step,
    ddpm_step,
    denoising,
    dpm_step,
    exact_denoiser,
    linear_schedule,
    perturb_input,
    sample,
    step_pairs,
)

T = 500
AB = linear_schedule().ab_t.double().numpy()
BETA = np.concatenate([[0], np.linspace(1e-4, 0.02, T)])


# ----------------------------------------------------------- what a learner writes, in public names


def keep_known(step, known, mask):
    """Inpainting: a step around a step, which puts the known pixels, noised to the level reached, in their places."""

    def wrapped(x, t, t_next, pred_noise, z):
        x = step(x, t, t_next, pred_noise, z)
        return torch.where(mask, perturb_input(known, t_next, torch.randn_like(x)), x)

    return wrapped


def image_to_image(picture, level, n, model, seed=0):
    """SDEdit: noise a picture to a level, and finish it from there by DDIM in n steps."""
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    x = perturb_input(picture, level, noise)
    samples, _ = sample(ddim_step(), step_pairs(n, start=level), len(x), model=model, x=x, progress=False)
    return samples


def stopped_at(level, n_sample, model):
    """An early stop: what there is, and what is guessed, at a level on the way."""
    for t, x, x0_pred in denoising(ddpm_step(), step_pairs(T), n_sample, model=model, seed=0):
        if t == level:
            return x, x0_pred


@pytest.mark.parametrize("function", [keep_known, image_to_image, stopped_at])
def test_each_takes_at_most_twelve_lines(function):
    assert len(inspect.getsource(function).strip().splitlines()) <= 12


def pair_denoiser(mean, covariance):
    """The exact noise prediction for pictures of two correlated pixels, shaped (n, 1, 1, 2)."""
    mean, covariance = torch.tensor(mean), torch.tensor(covariance)

    def model(x, t, c=None):
        ab = torch.tensor(AB[round(float(t) * T)])
        inverse = torch.linalg.inv(ab * covariance + (1 - ab) * torch.eye(2, dtype=torch.float64))
        return (1 - ab).sqrt() * (x.double() - ab.sqrt() * mean) @ inverse

    return model


def inpainting_recursion(mean, covariance, known):
    """Mean and variance of the second pixel at the end, where the first is kept: by propagating the moments exactly."""
    mean, covariance, eye = np.array(mean), np.array(covariance), np.eye(2)
    m, v = np.zeros(2), np.eye(2)  # of x_T
    for t in range(T, 0, -1):
        gain = np.linalg.inv(AB[t] * covariance + (1 - AB[t]) * eye)
        factor = (eye - BETA[t] * gain) / math.sqrt(1 - BETA[t])
        m = factor @ m + BETA[t] * math.sqrt(AB[t]) * gain @ mean / math.sqrt(1 - BETA[t])
        v = factor @ v @ factor.T + (BETA[t] if t > 1 else 0) * eye
        m[0], v[0, :], v[:, 0] = math.sqrt(AB[t - 1]) * known, 0, 0
        v[0, 0] = 1 - AB[t - 1]
    return m[1], v[1, 1]


def test_inpainting_keeps_the_known_and_draws_the_rest_as_the_moments_say():
    mean, covariance, known, n = [0.2, -0.1], [[0.25, 0.18], [0.18, 0.25]], 0.9, 5000
    picture = torch.full((n, 1, 1, 2), known)
    mask = torch.tensor([True, False]).expand_as(picture)
    start = torch.randn(picture.shape, generator=torch.Generator().manual_seed(3))
    step, model = keep_known(ddpm_step(), picture, mask), pair_denoiser(mean, covariance)
    samples, _ = sample(step, step_pairs(T), n, model=model, x=start, seed=0, save_rate=None, progress=False)
    assert torch.equal(samples[..., 0], picture[..., 0])
    m, v = inpainting_recursion(mean, covariance, known)
    drawn = samples[..., 1].double()
    assert drawn.mean().item() == pytest.approx(m, abs=5 * math.sqrt(v / n))
    assert drawn.var().item() == pytest.approx(v, rel=5 * math.sqrt(2 / n))
    # the mean should be that of the conditional distribution; replacing pixels goes half of the way
    # to it
    right, unasked = -0.1 + 0.18 / 0.25 * (known - 0.2), -0.1
    assert 0.5 < (m - unasked) / (right - unasked) < 0.7


def ddim_factor(levels, s):
    """What DDIM with the exact denoiser of N(m, s²) makes of x - √ᾱ m, from the first of the levels to the last."""
    factor = 1.0
    for t, t_next in zip(levels[:-1], levels[1:], strict=True):
        d = AB[t] * s**2 + 1 - AB[t]
        x0, noise = math.sqrt(AB[t]) * s**2 / d, math.sqrt(1 - AB[t]) / d
        factor *= math.sqrt(AB[t_next]) * x0 + math.sqrt(1 - AB[t_next]) * noise
    return factor


@pytest.mark.parametrize("level", [40, 200, 333, 500])
def test_image_to_image_ends_where_the_recursion_says(level):
    m, s, n = 0.3, 0.4, 20
    picture = torch.linspace(-1, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
    got = image_to_image(picture, level, n, exact_denoiser(m, s))
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0)).double()
    x = math.sqrt(AB[level]) * picture + math.sqrt(1 - AB[level]) * noise
    pairs = step_pairs(n, start=level)
    factor = ddim_factor([t for t, _ in pairs] + [0], s)
    torch.testing.assert_close(got.double(), m + factor * (x - math.sqrt(AB[level]) * m), atol=2e-4, rtol=1e-4)
    if level == 40:  # little noise: the picture is kept
        assert (got - picture).square().mean().sqrt() < 0.3


def test_an_early_stop_is_at_its_level():
    m, s, level, n = 0.3, 0.5, 250, 400
    x, x0_pred = stopped_at(level, n, exact_denoiser(m, s))
    variance = 1.0
    for t in range(T, level, -1):
        factor = (1 - BETA[t] / (AB[t] * s**2 + 1 - AB[t])) / math.sqrt(1 - BETA[t])
        variance = factor**2 * variance + BETA[t]
    numbers = x.numel()
    assert x.double().var().item() == pytest.approx(variance, rel=5 * math.sqrt(2 / numbers))
    assert x.mean().item() == pytest.approx(math.sqrt(AB[level]) * m, abs=0.01)
    # x̂_0 is that of the level before, of which the step was made
    spread = AB[level + 1] * s**4 / (AB[level + 1] * s**2 + 1 - AB[level + 1])
    assert x0_pred.double().var().item() == pytest.approx(spread, rel=0.02)


# ----------------------------------------------------------------------------------------- the loop


def test_sample_collects_what_the_loop_yields(tiny_model):
    seen = list(denoising(ddim_step(), step_pairs(5), 2, model=tiny_model, seed=4))
    assert [t for t, _, _ in seen] == [400, 300, 200, 100, 0]
    samples, frames = sample(ddim_step(), step_pairs(5), 2, model=tiny_model, seed=4, progress=False)
    assert torch.equal(samples, seen[-1][1])
    assert np.array_equal(frames[1:], np.stack([x for _, x, _ in seen]))
    # in the last step of DDIM x is x̂_0 itself
    torch.testing.assert_close(seen[-1][1], seen[-1][2])


@pytest.mark.parametrize(
    ("step", "pairs", "name", "options"),
    [
        (ddpm_step(), step_pairs(T), "ddpm", {}),
        (ddim_step(0.5), step_pairs(7), "ddim", {"n": 7, "eta": 0.5}),
        (dpm_step(math.inf), step_pairs(6), "dpm", {"n": 6, "eta": math.inf}),
    ],
    ids=["ddpm", "ddim", "dpm"],
)
def test_the_samplers_by_name_are_this_loop(step, pairs, name, options, tiny_model):
    ours, _ = sample(step, pairs, 2, model=tiny_model, seed=1, save_rate=None, progress=False)
    named, _ = getattr(du, f"sample_{name}")(2, model=tiny_model, seed=1, progress=False, **options)
    assert torch.equal(ours, named)


def test_what_is_written_into_x_counts_in_the_next_step(make_recorder):
    model = make_recorder(lambda x, t, c: x)
    for _, x, _ in denoising(lambda x, *rest: x, step_pairs(2), 1, model=model, seed=0):
        x.zero_()
    assert model.answer(x, 0, None).abs().sum() == 0
    asked = []
    walk = denoising(
        lambda x, *rest: x,
        step_pairs(3),
        1,
        seed=0,
        model=lambda x, t, c: asked.append(x.clone()) or x,
    )
    for _, x, _ in walk:
        x.fill_(0.5)
    assert [x.unique().tolist() for x in asked[1:]] == [[0.5], [0.5]]


def test_a_start_is_left_as_it_is_and_comes_first(tiny_model):
    x = torch.randn(2, 3, 16, 16)
    before = x.clone()
    options = {"model": tiny_model, "x": x, "seed": 0, "progress": False}
    _, frames = sample(ddim_step(eta=1.0), step_pairs(4, start=300), 2, **options)
    assert torch.equal(x, before) and np.array_equal(frames[0], x.numpy())


def test_a_start_takes_no_noise_out_of_the_seed(make_recorder):
    """The first fresh noise is the first of the seed, not the second."""
    zs = []
    step = lambda x, t, t_next, pred_noise, z: zs.append(z) or x  # noqa: E731
    sample(
        step,
        [(9, 4), (4, 0)],
        1,
        model=make_recorder(),
        x=torch.zeros(1, 3, 16, 16),
        seed=5,
        progress=False,
    )
    first = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    assert torch.equal(zs[0], first) and zs[1].abs().sum() == 0


def test_any_pairs_even_up_again_reach_the_step(make_recorder):
    walked = []
    pairs = [(300, 200), (200, 260), (260, 0)]
    step = lambda x, t, t_next, *rest: walked.append((t, t_next)) or x  # noqa: E731
    sample(step, pairs, 1, model=make_recorder(), x=torch.zeros(1, 3, 16, 16), progress=False)
    assert walked == pairs


@pytest.mark.parametrize("save_rate", [None, 1, 2, 100])
def test_save_rate(save_rate, make_recorder):
    samples, frames = sample(ddim_step(), step_pairs(5), 2, model=make_recorder(), save_rate=save_rate, progress=False)
    assert len(frames) == {None: 1, 1: 6, 2: 4, 100: 2}[save_rate]
    assert np.array_equal(frames[-1], samples.numpy())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_networks_of_other_precision_draw_float32(dtype, make_model):
    model = make_model()
    expected, _ = sample(ddim_step(), step_pairs(3), 2, model=model, seed=0, progress=False)
    got, frames = sample(ddim_step(), step_pairs(3), 2, model=model.to(dtype), seed=0, progress=False)
    assert got.dtype == torch.float32 and frames.dtype == np.float32
    torch.testing.assert_close(got, expected, atol={torch.float64: 1e-3}.get(dtype, 0.5), rtol=0.1)


@pytest.mark.parametrize("name", ["ddpm", "ddim_context"])
def test_another_default_dtype_changes_nothing(name, make_model):
    options = {
        "schedule": linear_schedule(10, 0.01, 0.2),
        "seed": 0,
        "progress": False,
        "model": make_model(),
    }
    arguments = (2, torch.eye(5)[:2], 5) if "context" in name else (2,)
    expected, _ = getattr(du, f"sample_{name}")(*arguments, **options)
    torch.set_default_dtype(torch.float64)
    try:
        got, _ = getattr(du, f"sample_{name}")(*arguments, **options)
    finally:
        torch.set_default_dtype(torch.float32)
    assert got.dtype == torch.float32 and torch.equal(got, expected)


def test_dpm_step_forgets_what_was_before_when_the_walk_breaks_off(tiny_model):
    """Made once and used for two walks, it draws as if made anew; a start at the level of a break counts as new."""
    step = dpm_step()
    one, _ = sample(step, step_pairs(4), 2, model=tiny_model, seed=0, progress=False)
    two, _ = sample(step, step_pairs(4), 2, model=tiny_model, seed=0, progress=False)
    assert torch.equal(one, two)


BAD = {
    "no pairs": {"pairs": []},
    "a number for pairs": {"pairs": [5, 3]},
    "triples": {"pairs": [(5, 3, 1)]},
    "a level above T": {"pairs": [(501, 0)]},
    "a negative level": {"pairs": [(5, -1)]},
    "True for a level": {"pairs": [(True, 0)]},
    "half a level": {"pairs": [(2.5, 0)]},
    "True for a number": {"n_sample": True},
    "no samples": {"n_sample": 0},
    "True for save_rate": {"save_rate": True},
    "save_rate 0": {"save_rate": 0},
    "a word for a seed": {"seed": "one"},
    "True for a seed": {"seed": True},
    "x as a list": {"x": [[0.0]]},
    "x of whole numbers": {"x": torch.zeros(2, 3, 16, 16, dtype=torch.long)},
    "x with NaN": {"x": torch.full((2, 3, 16, 16), math.nan)},
    "too few x": {"x": torch.zeros(1, 3, 16, 16)},
    "x of another size": {"x": torch.zeros(2, 3, 8, 8)},
    "a context too few": {"context": torch.zeros(1, 5)},
    "a word for a context": {"context": "hero"},
    "NaN in a context": {"context": torch.full((2, 5), math.nan)},
    "a model that gives NaN": {"model": lambda x, t, c: x * math.nan},
    "a model that gives one row": {"model": lambda x, t, c: x[:1]},
    "a model that gives None": {"model": lambda x, t, c: None},
    "a model that gives NumPy": {"model": lambda x, t, c: x.numpy()},
    "no model": {"model": None},
    "a word for a model": {"model": "model_trained"},
    "a step that gives None": {"step": lambda *arguments: None},
    "a step that gives one row": {"step": lambda x, *rest: x[:1]},
    "a step that gives infinity": {"step": lambda x, *rest: x / 0},
    "DDPM by leaps": {"step": ddpm_step(), "pairs": [(500, 250), (250, 0)]},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_refused_in_words(bad, tiny_model):
    arguments = {
        "step": ddim_step(),
        "pairs": step_pairs(2),
        "n_sample": 2,
        "model": tiny_model,
    } | bad
    with pytest.raises(ValueError, match=r"expected|must|should|gave|goes") as refusal:
        sample(**arguments, progress=False)
    assert len(str(refusal.value)) < 200


# ----------------------------------------------------------------------------- models around models


def test_guided_needs_a_finite_guidance(tiny_model):
    for guidance in (math.nan, math.inf, -math.inf, True, "2", None):
        with pytest.raises(ValueError, match="guidance"):
            Guided(tiny_model, guidance)
        with pytest.raises(ValueError, match="guidance"):
            Autoguided(tiny_model, tiny_model, guidance)


@pytest.mark.parametrize("levels", [(3, 2), (-1, 2), (math.nan, 2)])
def test_autoguided_needs_levels_in_order(levels, tiny_model):
    with pytest.raises(ValueError, match="levels"):
        Autoguided(tiny_model, tiny_model, 2.0, levels=levels)


@torch.no_grad()
@pytest.mark.parametrize("context", [None, torch.eye(5)[:2]], ids=["no context", "context"])
def test_autoguided_is_its_formula_within_its_levels_and_the_model_outside(context, make_model):
    model, worse, w = make_model(seed=0), make_model(seed=1), 2.5
    guided, x = Autoguided(model, worse, w, levels=(200, 450)), torch.randn(2, 3, 16, 16)
    for level in (1, 199, 200, 201, 300, 450, 451, 500):
        t = torch.tensor(level / T)
        good, bad = model(x, t, context), worse(x, t, context)
        expected = good + (w - 1) * (good - bad) if 200 <= level <= 450 else good
        torch.testing.assert_close(guided(x, t, context), expected)
    mixed = guided(x, torch.tensor([100, 300]) / T, context)
    rows = None if context is None else context[1:]
    torch.testing.assert_close(mixed[1:], guided(x[1:], torch.tensor(300 / T), rows), atol=1e-5, rtol=1e-4)


def test_the_worse_network_is_asked_only_within_the_levels(make_recorder):
    worse = make_recorder()
    guided = Autoguided(make_recorder(), worse, 2.0, levels=(150, 350))
    sample(ddim_step(), step_pairs(5), 1, model=guided, progress=False)
    assert [round(t.item() * T) for t in worse.times] == [300, 200]


def test_autoguidance_of_gaussians_draws_as_the_recursion_says():
    """Exact denoisers of N(0, 0.5²) and N(0, 0.7²): the difference narrows what is drawn, as a closed form says."""
    model, worse, w, n = exact_denoiser(0, 0.5), exact_denoiser(0, 0.7), 2.0, 50
    samples, frames = sample(ddim_step(), step_pairs(n), 4, model=Autoguided(model, worse, w), seed=0, progress=False)
    factor = 1.0
    for t, t_next in step_pairs(n):
        gains = [math.sqrt(1 - AB[t]) / (AB[t] * s**2 + 1 - AB[t]) for s in (0.5, 0.7)]
        noise = gains[0] + (w - 1) * (gains[0] - gains[1])
        x0 = (1 - math.sqrt(1 - AB[t]) * noise) / math.sqrt(AB[t])
        factor *= math.sqrt(AB[t_next]) * x0 + math.sqrt(1 - AB[t_next]) * noise
    np.testing.assert_allclose(samples.numpy(), factor * frames[0], rtol=2e-3, atol=1e-5)
    assert factor < ddim_factor([t for t, _ in step_pairs(n)] + [0], 0.5)


@torch.no_grad()
def test_clipped_keeps_the_guess_in_range_and_small_guesses_as_they_are(tiny_model):
    x = torch.randn(4, 3, 16, 16)
    for level in (1, 100, 400, 500):
        pred_noise = Clipped(tiny_model)(x, torch.tensor(level / T), None)
        guess = du.predict_x0(x, level, tiny_model(x, level / T, None))
        torch.testing.assert_close(du.predict_x0(x, level, pred_noise), guess.clamp(-1, 1), atol=2e-4, rtol=0)


class Twice(ModelWrapper):
    def forward(self, x, t, c=None):
        return self.model(x, t, c) * 2


def test_wrappers_wrap_wrappers_and_keep_the_form(make_model):
    model = make_model(height=12)
    wrapped = Guided(Clipped(Twice(model)), 2.0)
    assert (wrapped.in_channels, wrapped.height, wrapped.n_cfeat) == (3, 12, 5)
    samples, _ = sample(
        ddim_step(),
        step_pairs(3),
        2,
        model=wrapped,
        context=torch.eye(5)[:2],
        seed=0,
        progress=False,
    )
    assert samples.shape == (2, 3, 12, 12)


def test_wrappers_take_plain_functions_and_networks_with_the_old_name_of_height(make_recorder):
    class Old(torch.nn.Module):
        in_channels, h, n_cfeat = 3, 8, 5

        def forward(self, x, t, c):
            return x

    assert Guided(Old(), 1.0).height == 8
    for model, height in ((Old(), 8), (make_recorder(), 16)):
        samples, _ = sample(ddim_step(), step_pairs(2), 1, model=Guided(model, 3.0), progress=False)
        assert samples.shape == (1, 3, height, height)

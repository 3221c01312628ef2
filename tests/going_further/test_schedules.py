"""The schedules of going_further: their formulas, their ends, and what becomes of them with zero terminal SNR."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import diffusion_utilities as du
from going_further import schedules

HALF_ULP = 2**-24


def logistic(u):
    return 1 / (1 + np.exp(-u))


@pytest.mark.parametrize("name", ["linear", "cosine", "sigmoid"])
@pytest.mark.parametrize("timesteps", [1, 2, 10, 500, 1000, 4000])
def test_each_is_a_noise_schedule_of_any_length(name, timesteps):
    """NoiseSchedule checks its own rules; of float32, the small steps of many levels ask the most."""
    schedule = schedules.SCHEDULES[name](timesteps)
    assert isinstance(schedule, du.NoiseSchedule) and schedule.timesteps == timesteps
    assert schedule.ab_t[-1] > 0


@pytest.mark.parametrize("name", ["linear", "cosine", "sigmoid"])
def test_500_levels_by_default(name):
    assert schedules.SCHEDULES[name]().timesteps == 500


def test_linear_is_that_of_the_labs():
    for table in ("b_t", "a_t", "ab_t"):
        assert torch.equal(getattr(schedules.linear(), table), getattr(du.linear_schedule(), table))


@pytest.mark.parametrize(("timesteps", "s"), [(500, 0.008), (1000, 0.008), (50, 0.1)])
def test_cosine_is_equation_17(timesteps, s):
    t = np.arange(timesteps)  # without T, where β is clipped
    f = np.cos((t / timesteps + s) / (1 + s) * np.pi / 2) ** 2
    ab_t = schedules.cosine(timesteps, s).ab_t.double().numpy()
    np.testing.assert_allclose(ab_t[:-1], f / f[0], rtol=2 * HALF_ULP)


def test_cosine_by_default_has_the_s_of_the_paper():
    assert torch.equal(schedules.cosine(100).ab_t, schedules.cosine(100, 0.008).ab_t)


@pytest.mark.parametrize("make", [schedules.cosine, schedules.sigmoid])
def test_only_the_last_beta_is_clipped_at_0_999(make):
    b_t = make().b_t
    assert b_t[-1].item() == np.float32(0.999)
    assert (b_t[1:-1] < 0.9).all()


@pytest.mark.parametrize(("start", "end", "tau"), [(-3, 3, 1), (-3, 3, 0.5), (0, 3, 0.7), (-1, 2, 1)])
def test_sigmoid_is_the_formula(start, end, tau):
    u = np.arange(500) / 500
    v0, v, v1 = (logistic((start + share * (end - start)) / tau) for share in (0, u, 1))
    ab_t = schedules.sigmoid(500, start, end, tau).ab_t.double().numpy()
    np.testing.assert_allclose(ab_t[:-1], (v1 - v) / (v1 - v0), rtol=2 * HALF_ULP)


def test_sigmoid_by_default_treats_signal_and_noise_alike():
    """From -3 to 3 the curve is symmetric about its middle: as much signal at t as noise at T - t."""
    ab_t = schedules.sigmoid().ab_t
    torch.testing.assert_close(ab_t[1:-1], 1 - ab_t.flip(0)[1:-1], rtol=0, atol=1e-6)
    assert ab_t[125].item() == pytest.approx((logistic(3) - logistic(-1.5)) / (logistic(3) - logistic(-3)))


@pytest.mark.parametrize(
    ("make", "arguments", "got"),
    [
        (schedules.linear, {"timesteps": 0}, "timesteps as a whole number from 1"),
        (schedules.cosine, {"timesteps": 0}, "timesteps as a whole number from 1"),
        (schedules.cosine, {"s": -0.1}, "s=-0.1"),
        (schedules.cosine, {"s": math.nan}, "s as a number, got nan"),
        (schedules.sigmoid, {"timesteps": 0}, "timesteps as a whole number from 1"),
        (schedules.sigmoid, {"start": 3, "end": 3}, "start=3, end=3"),
        (schedules.sigmoid, {"tau": 0}, "tau=0"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_impossible_schedules_are_refused(make, arguments, got):
    with pytest.raises(ValueError, match=re.escape(got)):
        make(**arguments)


# -------------------------------------------------------------------------------- zero terminal SNR


@pytest.mark.parametrize("name", ["linear", "cosine", "sigmoid"])
@pytest.mark.parametrize("timesteps", [2, 500])
def test_rescaled_schedule_ends_at_zero_and_keeps_its_first_level(name, timesteps):
    before = schedules.SCHEDULES[name](timesteps)
    after = schedules.zero_terminal_snr(before)
    assert after.ab_t[-1] == 0 and after.b_t[-1] == 1
    assert after.ab_t[1].item() == pytest.approx(before.ab_t[1].item(), rel=2 * HALF_ULP)
    assert after.timesteps == timesteps


def test_rescaling_is_a_straight_line_in_the_root_of_alpha_bar():
    before, after = (s.ab_t[1:].double().sqrt() for s in (du.linear_schedule(), rescaled_linear()))
    expected = before[0] * (before - before[-1]) / (before[0] - before[-1])
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-7)


def rescaled_linear():
    return schedules.zero_terminal_snr(du.linear_schedule())


def test_rescaling_agrees_with_diffusers():
    scheduling = pytest.importorskip("diffusers.schedulers.scheduling_ddpm")
    betas = torch.linspace(1e-4, 0.02, 500, dtype=torch.float64)
    theirs = scheduling.rescale_zero_terminal_snr(betas)
    torch.testing.assert_close(rescaled_linear().b_t[1:].double(), theirs, rtol=1e-6, atol=1e-7)


def test_rescaling_twice_changes_nothing_more():
    once = rescaled_linear()
    torch.testing.assert_close(schedules.zero_terminal_snr(once).ab_t, once.ab_t, rtol=1e-5, atol=1e-9)


def test_one_level_cannot_be_rescaled():
    with pytest.raises(ValueError, match="at least 2 levels, got 1"):
        schedules.zero_terminal_snr(du.linear_schedule(1))


def test_predicted_noise_says_nothing_about_the_picture_at_zero_snr():
    """As the docstring warns: x_T is the noise itself, and x̂_0 is 0/0."""
    schedule, x, noise = rescaled_linear(), torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    x_end = du.perturb_input(x, 500, noise, schedule)
    assert torch.equal(x_end, noise)
    assert du.predict_x0(x_end, 500, noise, schedule).isnan().all()


# --------------------------------------------------------------------------------------------- plot


def drawn():
    made = {name: make() for name, make in schedules.SCHEDULES.items()}
    made["zero SNR"] = rescaled_linear()
    return made, schedules.plot(made)


def test_plot_shows_alpha_bar_and_log_snr_of_each_schedule():
    made, fig = drawn()
    assert isinstance(fig, Figure) and len(fig.axes) == 2
    for i, schedule in enumerate(made.values()):
        left, right = (ax.lines[i] for ax in fig.axes)
        np.testing.assert_allclose(left.get_xdata(), np.arange(501) / 500, rtol=1e-6)
        np.testing.assert_allclose(left.get_ydata(), schedule.ab_t, rtol=1e-6)
        ab = schedule.ab_t.double().numpy()[np.round(500 * np.asarray(right.get_xdata())).astype(int)]
        np.testing.assert_allclose(right.get_ydata(), np.log(ab / (1 - ab)), rtol=1e-6, atol=1e-6)
        assert len(ab) == (499 if schedule.ab_t[-1] == 0 else 500) and np.isfinite(right.get_ydata()).all()


def test_plot_names_its_axes_and_lines():
    made, fig = drawn()
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in fig.axes)
    assert "ᾱ" in fig.axes[0].get_ylabel() and "SNR" in fig.axes[1].get_ylabel()
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == list(made)


def test_lines_differ_in_colour_and_in_dashes_and_agree_on_both_sides():
    made = {str(i): du.linear_schedule(10 + i) for i in range(7)}
    left, right = schedules.plot(made).axes
    looks = [[(line.get_color(), str(line._dash_pattern)) for line in ax.lines] for ax in (left, right)]
    assert looks[0] == looks[1]
    for kind in zip(*looks[0], strict=True):
        assert len(set(kind)) == 7


def test_plot_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one schedule"):
        schedules.plot({})

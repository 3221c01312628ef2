"""The noise schedule: its ends, its precision, and that contradictory tables are refused."""

import dataclasses
import math
import re
from contextlib import nullcontext

import numpy as np
import pytest
import torch

import diffusion_utilities as du
from tests.pretended_gpu import pretended_gpu

HALF_ULP = 2**-24  # the largest relative error of one rounding from float64 to float32


def good_tables():
    """Tables of T = 3 that obey every rule."""
    b_t = torch.tensor([0, 0.1, 0.2, 0.5], dtype=torch.float64)
    return b_t, 1 - b_t, (1 - b_t).cumprod(0)


def test_default_tables_are_float32_and_indexed_from_0_to_500():
    schedule = du.linear_schedule()
    assert schedule.timesteps == 500
    for table in (schedule.b_t, schedule.a_t, schedule.ab_t):
        assert table.shape == (501,) and table.dtype == torch.float32


@pytest.mark.parametrize("timesteps", [1, 2, 10, 500, 1000])
def test_level_zero_is_exactly_clean(timesteps):
    schedule = du.linear_schedule(timesteps)
    assert schedule.timesteps == timesteps
    assert (schedule.b_t[0].item(), schedule.a_t[0].item(), schedule.ab_t[0].item()) == (
        0.0,
        1.0,
        1.0,
    )


def test_first_and_last_beta_sit_at_both_ends():
    b_t = du.linear_schedule().b_t
    assert b_t[1].item() == np.float32(1e-4) and b_t[500].item() == np.float32(0.02)


def test_betas_rise_in_a_straight_line(betas64):
    np.testing.assert_allclose(du.linear_schedule().b_t[1:].numpy(), betas64, rtol=2 * HALF_ULP)


def test_products_are_taken_in_float64_and_rounded_once():
    """A product taken in float32 would be off by many roundings; one rounding is all there may be."""
    ab_t = du.linear_schedule().ab_t.double().tolist()
    for t in range(501):
        exact = math.prod(1 - (1e-4 + (0.02 - 1e-4) * i / 499) for i in range(t))
        assert ab_t[t] == pytest.approx(exact, rel=HALF_ULP * 1.01, abs=0)


def test_tables_agree_with_each_other():
    schedule = du.linear_schedule()
    torch.testing.assert_close(schedule.a_t, 1 - schedule.b_t, rtol=0, atol=2 * HALF_ULP)
    torch.testing.assert_close(schedule.ab_t[1:] / schedule.ab_t[:-1], schedule.a_t[1:], rtol=4 * HALF_ULP, atol=0)
    assert (schedule.ab_t.diff() < 0).all()


def test_other_ends_of_the_line():
    schedule = du.linear_schedule(10, 0.01, 0.3)
    np.testing.assert_allclose(schedule.b_t[1:].numpy(), np.linspace(0.01, 0.3, 10), rtol=1e-6)


def test_from_betas_takes_any_curve():
    betas = torch.tensor([0.5, 0.1, 0.2])
    schedule = du.NoiseSchedule.from_betas(betas)
    np.testing.assert_allclose(schedule.ab_t.numpy(), [1, 0.5, 0.45, 0.36], rtol=1e-6)
    assert schedule.ab_t.dtype == torch.float32


@pytest.mark.parametrize(
    "arguments",
    [
        (0,),
        (-1,),
        (True,),
        (10**9,),  # 8 GB, if it were tried
        (500, 0.0),
        (500, -0.1),
        (500, 0.03, 0.02),
        (500, 1e-4, 1.0),
    ],
    ids=str,
)
def test_impossible_linear_schedules_are_refused(arguments, monkeypatch):
    monkeypatch.delattr(torch, "linspace")  # refused before anything is made
    with pytest.raises(ValueError, match=r"timesteps as a whole number from 1|0 < beta1 <= beta2 < 1"):
        du.linear_schedule(*arguments)


def test_valid_tables_are_accepted():
    assert du.NoiseSchedule(*good_tables()).timesteps == 3


def with_changes(**changes):
    """The good tables with table[index] replaced: with_changes(b_t={1: 0.3})."""
    tables = dict(zip(("b_t", "a_t", "ab_t"), good_tables(), strict=True))
    for name, values in changes.items():
        for index, value in values.items():
            tables[name][index] = value
    return tables


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"b_t": {0: 1e-7}}, "b_t[0] = 0"),
        ({"a_t": {0: 1 - 1e-7}}, "a_t[0] = 1"),
        ({"ab_t": {0: 1 + 1e-7}}, "ab_t[0] = 1"),
        ({"b_t": {2: 0.0}, "a_t": {2: 1.0}}, "0 < b_t <= 1"),
        ({"b_t": {2: -0.1}}, "0 < b_t <= 1"),
        ({"b_t": {2: 1.1}}, "0 < b_t <= 1"),
        ({"b_t": {2: math.nan}}, "0 < b_t <= 1"),
        ({"a_t": {2: 0.79}}, "a_t = 1 - b_t"),
        ({"a_t": {2: math.nan}}, "a_t = 1 - b_t"),
        ({"ab_t": {2: 0.95}}, "ab_t falls"),
        ({"ab_t": {3: -0.1}}, "stays >= 0"),
        ({"ab_t": {3: math.nan}}, "ab_t falls"),
        ({"ab_t": {3: 0.35}}, "ab_t = ab_(t-1) * a_t"),
    ],
    ids=str,
)
def test_each_broken_rule_is_named(changes, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        du.NoiseSchedule(**with_changes(**changes))


def test_alpha_bar_that_forgets_alpha_1_is_refused():
    """The classic slip: a product that starts one factor late."""
    b_t, a_t, _ = good_tables()
    shifted = torch.cat([torch.ones(2, dtype=torch.float64), a_t[2:].cumprod(0)])
    with pytest.raises(ValueError, match=re.escape("ab_t = ab_(t-1) * a_t")):
        du.NoiseSchedule(b_t, a_t, shifted)


@pytest.mark.parametrize(
    "shapes",
    [((4,), (4,), (3,)), ((4,), (3,), (4,)), ((1,), (1,), (1,)), ((2, 2), (2, 2), (2, 2))],
    ids=str,
)
def test_tables_of_unequal_shape_are_refused(shapes):
    with pytest.raises(ValueError, match="tensors of one shape|tables of shape"):
        du.NoiseSchedule(*(torch.zeros(shape) for shape in shapes))


def test_a_schedule_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        du.linear_schedule().b_t = torch.zeros(501)


def test_to_moves_every_table_and_keeps_the_values():
    schedule = du.linear_schedule(10)
    with nullcontext() if torch.cuda.is_available() else pretended_gpu():
        moved = schedule.to("cuda:0")
        assert isinstance(moved, du.NoiseSchedule)
        for name in ("b_t", "a_t", "ab_t"):
            assert getattr(moved, name).is_cuda and not getattr(schedule, name).is_cuda
            assert torch.equal(getattr(moved, name).cpu(), getattr(schedule, name))

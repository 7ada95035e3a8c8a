import math
import re

import numpy as np
import pytest

from runner.nn.checks import NeuralNetworkError
from runner.nn.schedules import SCHEDULES

RNG = np.random.default_rng(0)


def factors(name, steps, **params):
    schedule = SCHEDULES[name](**params)
    return [schedule(step, steps) for step in range(steps)]


def test_every_schedule_is_tested():
    assert set(SCHEDULES) == {"constant", "linear", "step", "cosine"}


def test_constant():
    assert factors("constant", 4) == [1, 1, 1, 1]


def test_linear_falls_by_equal_steps_to_zero_after_the_last_update():
    assert [SCHEDULES["linear"]()(step, 4) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]


def test_without_warm_up_linear_is_the_formula_to_the_last_bit():
    for steps in RNG.integers(1, 10**7, 200).tolist():
        step = int(RNG.integers(steps))
        assert SCHEDULES["linear"]()(step, steps) == 1 - step / steps


def test_step_falls_at_half_and_at_three_quarters():
    assert factors("step", 8) == pytest.approx([1] * 4 + [0.1] * 2 + [0.01] * 2, rel=1e-15)
    odd = factors("step", 9)  # 4/9 is below half, 6/9 below three quarters
    assert odd == pytest.approx([1] * 5 + [0.1] * 2 + [0.01] * 2, rel=1e-15)


@pytest.mark.parametrize("milestone", [0.1, 0.3, 0.6, 0.7, 0.9])
@pytest.mark.parametrize("steps", [10, 30, 70, 1000])
def test_step_falls_in_the_very_update(milestone, steps):
    met = factors("step", steps, milestones=[milestone], gamma=0.5)
    at = round(milestone * steps)
    assert met == [1.0] * at + [0.5] * (steps - at)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"milestones": []}, [1, 1, 1, 1]),
        ({"milestones": (0.25, 0.5, 0.75), "gamma": 0.5}, [1, 0.5, 0.25, 0.125]),
        ({"milestones": [0.5], "gamma": 0}, [1, 1, 0, 0]),
        ({"milestones": [0], "gamma": 0.5}, [0.5] * 4),
    ],
)
def test_step_of_other_parameters(params, expected):
    assert factors("step", 4, **params) == expected


def test_cosine_at_known_angles():
    # cos of 0, 30, 45, 60 and 90 degrees and their mirror images
    expected = {0: 1, 2: 3**0.5 / 2, 3: 2**0.5 / 2, 4: 0.5, 6: 0, 8: -0.5, 12: -1}
    schedule, half = SCHEDULES["cosine"](), SCHEDULES["cosine"](final=0.5)
    for step, cosine in expected.items():
        assert schedule(step, 12) == pytest.approx((1 + cosine) / 2, abs=1e-15)
        assert half(step, 12) == pytest.approx((3 + cosine) / 4, abs=1e-15)
    assert schedule(0, 12) == half(0, 12) == 1


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_is_sgdrs_without_restarts(final):
    # Loshchilov & Hutter 2017, eq. 5 with T_i the whole training, at a learning rate of 0.05.
    lowest, highest = final * 0.05, 0.05
    for step, factor in enumerate(factors("cosine", 200, final=final)):
        rate = lowest + (highest - lowest) / 2 * (1 + math.cos(step / 200 * math.pi))
        assert 0.05 * factor == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_warm_up_rises_by_equal_parts_and_the_schedule_has_the_rest(name):
    warmed = factors(name, 100, warmup=0.2)
    assert warmed[:20] == [(step + 1) / 20 for step in range(20)]
    assert warmed[20:] == factors(name, 80)


@pytest.mark.parametrize(("warmup", "steps", "rising"), [
    (0.0, 10, 0), (0.04, 10, 0), (0.06, 10, 1), (0.07, 100, 7), (0.29, 100, 29), (0.3, 10, 3),
    (0.99, 10, 9), (0.5, 1, 0), (0.9, 2, 1), (0.999, 3, 2),
])  # fmt: skip
def test_warm_up_is_rounded_and_leaves_an_update_to_the_schedule(warmup, steps, rising):
    expected = [(step + 1) / rising for step in range(rising)] + factors("linear", steps - rising)
    assert factors("linear", steps, warmup=warmup) == expected


@pytest.mark.parametrize("params", [{}, {"warmup": 0.3}, {"warmup": 0.99}])
@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_factors_are_python_floats_from_0_to_1_and_fall_after_the_warm_up(name, params, steps):
    met = factors(name, steps, **params)
    assert {type(factor) for factor in met} == {float}
    assert all(0 < factor <= 1 for factor in met)
    top = met.index(1.0)
    assert met[top:] == sorted(met[top:], reverse=True)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_numpy_scalars_as_parameters_give_python_floats(name):
    assert type(SCHEDULES[name](warmup=np.float64(0.1))(5, 10)) is float


FRACTION = "expected a finite number >= 0 and < 1"
LIST = "milestones: expected a list of fractions of the training"
RISING = "milestones: expected rising fractions, got"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        *[
            (name, {"warmup": 1.0}, f"warmup: {FRACTION}, got 1.0")
            for name in ("constant", "linear", "step", "cosine")
        ],
        ("constant", {"warmup": -0.1}, f"warmup: {FRACTION}, got -0.1"),
        ("linear", {"warmup": None}, f"warmup: {FRACTION}, got None"),
        ("linear", {"warmup": True}, f"warmup: {FRACTION}, got True"),
        ("cosine", {"final": 1}, f"final: {FRACTION}, got 1"),
        ("cosine", {"final": math.nan}, f"final: {FRACTION}, got nan"),
        ("step", {"gamma": 1.0}, f"gamma: {FRACTION}, got 1.0"),
        ("step", {"gamma": -0.5}, f"gamma: {FRACTION}, got -0.5"),
        ("step", {"milestones": 0.5}, f"{LIST}, got 0.5"),
        ("step", {"milestones": "0.5"}, f"{LIST}, got '0.5'"),
        ("step", {"milestones": [0.5, 1.0]}, f"milestones: {FRACTION}, got 1.0"),
        ("step", {"milestones": [-0.1]}, f"milestones: {FRACTION}, got -0.1"),
        ("step", {"milestones": ["a"]}, f"milestones: {FRACTION}, got 'a'"),
        ("step", {"milestones": [0.75, 0.5]}, f"{RISING} [0.75, 0.5]"),
        ("step", {"milestones": (0.5, 0.5)}, f"{RISING} [0.5, 0.5]"),
    ],
)
def test_bad_parameters(name, params, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        SCHEDULES[name](**params)

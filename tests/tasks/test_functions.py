import re

import numpy as np
import pytest
from scipy import special

from runner.config import Choice, Config, Dataset, Network, Weights
from runner.lookup import BadInput
from runner.tasks import functions
from runner.tasks.setup import build

BY_SCIPY = {
    "step": lambda x: np.heaviside(x, 0),
    "sigmoid": special.expit,
    "softmax": special.softmax,
    "identity": np.asarray,
    "relu": lambda x: np.clip(x, 0, None),
    "tanh": lambda x: 2 * special.expit(2 * x) - 1,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, special.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * special.ndtr(x),
    "softplus": lambda x: -special.log_expit(-x),
}


@pytest.fixture(params=["float64", "float32"])
def setup(request):
    return made(request.param)


def made(dtype="float64"):
    return build(
        Config(
            task=Choice("functions"),
            dataset=Dataset("and"),
            network=Network([]),
            activation=Choice("relu"),
            output=Choice("softmax"),
            loss=Choice("cross_entropy"),
            optimizer=Choice("sgd", {"lr": 0.1}),
            schedule=Choice("constant"),
            init=Choice("auto"),
            weights=Weights("none"),
            dtype=dtype,
        )
    )


def test_book_range_has_49_ones(setup):
    records = functions.run(setup)
    x, step = records.arrays["x"], records.arrays["step"]
    assert list(records.arrays) == ["x", "step", "sigmoid", "relu"]
    assert {array.dtype for array in records.arrays.values()} == {setup.network.dtype}
    assert records.result == {"n": 100}
    assert len(x) == 100
    assert step.sum() == 49
    # np.arange does not meet 0: what is there is a little below it, in both dtypes.
    assert -1.9e-14 < x[50] < -1.7e-14
    assert step[50] == 0


def test_fine_range_has_2999_ones(setup):
    arrays = functions.run(setup, functions=["step"], start=-3, stop=3, step=0.001).arrays
    assert len(arrays["x"]) == 6000
    assert arrays["step"].sum() == 2999


def test_points_take_the_place_of_the_range():
    arrays = functions.run(made(), points=[-2, 1, 3]).arrays
    assert arrays["x"].tolist() == [-2, 1, 3]
    assert arrays["step"].tolist() == [0, 1, 1]
    assert arrays["relu"].tolist() == [0, 1, 3]
    published = [0.119202922, 0.7310585786, 0.9525741268]
    np.testing.assert_allclose(arrays["sigmoid"], published, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("points", "published"),
    [
        ([0.3, 2.9, 4.0], [0.0182112733, 0.2451918129, 0.7365969138]),
        ([1010, 1000, 990], [0.99995460007, 4.5397868609e-05, 2.0610600462e-09]),
    ],
)
def test_softmax_takes_the_points_as_one_row(points, published):
    y = functions.run(made(), functions=["softmax"], points=points).arrays["softmax"]
    np.testing.assert_allclose(y, published, rtol=0, atol=1e-10)
    assert y.sum() == pytest.approx(1, abs=1e-15)


def test_every_activation_and_output_can_be_tabulated(setup):
    arrays = functions.run(setup, functions=list(functions.FUNCTIONS)).arrays
    x = arrays.pop("x")
    assert set(arrays) == set(BY_SCIPY)
    digits = 4 * float(np.finfo(setup.network.dtype).eps)
    for name, y in arrays.items():
        expected = BY_SCIPY[name](x.astype(np.float64))
        np.testing.assert_allclose(y, expected, rtol=digits, atol=5 * digits, err_msg=name)


def test_extreme_points_raise_no_warning(setup):
    extremes = [-1e30, -800, -100, 0, 100, 800, 1e30]
    arrays = functions.run(setup, functions=list(functions.FUNCTIONS), points=extremes).arrays
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert arrays["sigmoid"].tolist()[::6] == [0, 1]


NAMES = "elu, gelu, identity, leaky_relu, relu, sigmoid, softmax, softplus, step, tanh"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"functions": ["relo"]},
            f"functions: expected one of {NAMES}, got relo; did you mean relu?",
        ),
        ({"functions": "relu"}, "functions: expected a list of names, got relu"),
        ({"functions": []}, "functions: expected a list of names, got []"),
        (
            {"functions": [["relu"]]},
            f"functions: expected one of {NAMES}, got ['relu']; did you mean relu?",
        ),
        ({"points": []}, "points: expected a list of finite numbers, got []"),
        ({"points": 3}, "points: expected a list of finite numbers, got 3"),
        ({"points": [1, True]}, "points: expected a list of finite numbers, got [1, True]"),
        (
            {"points": [float("nan")]},
            "points: expected a list of finite numbers, got [nan]",
        ),
        ({"step": 0}, "step: expected a number above 0, got 0"),
        ({"step": -0.1}, "step: expected a number above 0, got -0.1"),
        ({"stop": -5.0}, "stop: expected a number above start (-5.0), got -5.0"),
        ({"step": 1e-9}, "step: expected at most 1,000,000 points, got 1e-09"),
        (
            {"start": "a"},
            "start, stop, step: expected a list of finite numbers, got ('a', 5.0, 0.1)",
        ),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(BadInput, match=f"^{re.escape(f'task.params.{message}')}$"):
        functions.run(made(), **params)


def test_points_too_large_for_the_dtype():
    assert functions.run(made(), points=[1e300]).arrays["x"] == 1e300
    message = "task.params.points: expected a list of finite numbers, got [1e+300]"
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        functions.run(made("float32"), points=[1e300])


@pytest.mark.parametrize("name", ["maxout", "pairwise"])
def test_what_makes_one_number_of_several_has_no_table(name):
    message = f"^task.params.functions: expected one of elu, .*, tanh, got {name}$"
    with pytest.raises(BadInput, match=message):
        functions.run(made(), functions=["relu", name])

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import optimize

from runner.choices import CONF
from runner.config import Choice, Config, Dataset, Network, Weights
from runner.lookup import BadInput
from runner.nn.training import Diverged
from runner.tasks import descent
from runner.tasks.setup import build

START = (-3.0, 4.0)


def made(optimizer="sgd", lr=0.1, schedule="constant", dtype="float64", params=()):
    return build(
        Config(
            task=Choice("descent", dict(params)),
            dataset=Dataset("and"),
            network=Network([]),
            activation=Choice("relu"),
            output=Choice("softmax"),
            loss=Choice("cross_entropy"),
            optimizer=Choice(optimizer, {"lr": lr}),
            schedule=Choice(schedule),
            init=Choice("auto"),
            weights=Weights("none"),
            dtype=dtype,
        )
    )


@pytest.mark.parametrize(("dtype", "digits"), [("float64", 1e-10), ("float32", 1e-6)])
def test_path_down_the_bowl_in_closed_form(dtype, digits):
    arrays = descent.run(made(dtype=dtype)).arrays
    # x ← x - 0.1 · 2x, so that the k-th point is 0.8^k of the first.
    path = np.outer(0.8 ** np.arange(101), START)
    np.testing.assert_allclose(arrays["path"], path, rtol=0, atol=digits)
    np.testing.assert_allclose(arrays["gradients"], 2 * path, rtol=0, atol=10 * digits)
    np.testing.assert_allclose(arrays["values"], (path**2).sum(axis=1), rtol=0, atol=30 * digits)
    np.testing.assert_array_equal(arrays["x"], arrays["path"][-1])
    assert arrays["path"].dtype == arrays["x"].dtype == arrays["gradients"].dtype == dtype
    assert np.abs(arrays["x"]).max() < 1e-8


def test_a_large_learning_rate_diverges():
    # |x| grows 19 times with each step: 4 · 19^9 is the first that is beyond 4.5e11.
    message = "step 9: |x| is 1.3e+12, too large for differences of 0.0001"
    with pytest.raises(Diverged, match=f"^{re.escape(message)}$"):
        descent.run(made(lr=10.0))
    assert 4 * 19.0**8 < descent.LARGEST < 4 * 19.0**9


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_overflows_diverges_without_a_warning(dtype):
    with pytest.raises(Diverged, match=r"^step 1: \|x\| is inf"):
        descent.run(made(lr=1e308, dtype=dtype))


def test_the_largest_point_is_where_the_difference_still_sees_its_step():
    just_below = descent.LARGEST / 2
    assert just_below + descent.H != just_below
    assert 4 * descent.LARGEST + descent.H == 4 * descent.LARGEST


def test_a_small_learning_rate_stays():
    x = descent.run(made(lr=1e-10)).arrays["x"]
    np.testing.assert_allclose(x, (-2.99999994, 3.99999992), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "lr", "x", "y"),
    [
        ("sgd", 0.95, -0.3503929958, 0.0847823166),
        ("momentum", 0.1, 0.8964138585, 0.0880856017),
        ("adagrad", 1.5, -0.1201623223, 2.5e-17),
        ("adam", 0.3, 0.1360068524, 0.3182453755),
    ],
)
def test_book_optimizers(name, lr, x, y):
    arrays = descent.run(made(name, lr), function="valley", start=[-7.0, 2.0], steps=30).arrays
    np.testing.assert_allclose(arrays["x"], (x, y), rtol=0, atol=1e-9)
    assert arrays["path"].shape == (31, 2)


@pytest.mark.parametrize(
    ("function", "start", "slopes"),
    [
        ("parabola", [5, 10], (0.2, 0.3)),
        ("bowl", [3.0, 4.0], (6, 8)),
        ("bowl", [3, 4], (6, 8)),
        ("valley", [-7, 2, 1], (-0.7, 4, 2)),
    ],
)
def test_gradient_at_a_point_alone(function, start, slopes):
    arrays = descent.run(made(), function=function, start=start, steps=0).arrays
    np.testing.assert_allclose(arrays["gradients"], [slopes], rtol=0, atol=1e-9)
    assert arrays["path"].tolist() == [start]


@pytest.mark.parametrize(("function", "minimum"), [("bowl", 0), ("valley", 0), ("parabola", -5)])
def test_functions_have_the_minima_that_scipy_finds(function, minimum):
    found = optimize.minimize(descent.FUNCTIONS[function], [1.0, 2.0], tol=1e-10)
    np.testing.assert_allclose(found.x, minimum, rtol=0, atol=1e-4)


def test_the_schedule_is_followed():
    arrays = descent.run(made(schedule="linear"), start=[1.0], steps=4).arrays
    assert arrays["x"] == pytest.approx((1 - 0.2) * (1 - 0.15) * (1 - 0.1) * (1 - 0.05), abs=1e-10)


def test_surface_is_the_function_around_the_path():
    arrays = descent.run(made(), function="valley", start=[-7.0, 2.0], steps=3).arrays
    x0, x1, values = arrays["surface"]
    np.testing.assert_allclose(values, x0**2 / 20 + x1**2, rtol=1e-14)
    for x, column in zip((x0, x1), arrays["path"].T, strict=True):
        assert x.min() <= column.min() - 1 < column.max() + 1 <= x.max()
    assert "surface" not in descent.run(made(), start=[1.0, 2.0, 3.0], steps=1).arrays


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"function": "bowls"},
            "function: expected one of bowl, parabola, valley, got bowls; did you mean bowl?",
        ),
        (
            {"function": ["bowl"]},
            "function: expected one of bowl, parabola, valley, got ['bowl']; did you mean bowl?",
        ),
        ({"start": []}, "start: expected a list of finite numbers, got []"),
        ({"start": [1, "2"]}, "start: expected a list of finite numbers, got [1, '2']"),
        ({"start": [float("inf")]}, "start: expected a list of finite numbers, got [inf]"),
        ({"steps": -1}, "steps: expected an integer from 0, got -1"),
        ({"steps": 2.5}, "steps: expected an integer from 0, got 2.5"),
        ({"steps": True}, "steps: expected an integer from 0, got True"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(BadInput, match=f"^{re.escape(f'task.params.{message}')}$"):
        descent.run(made(), **params)
    with pytest.raises(BadInput, match=f"^{re.escape(f'task.params.{message}')}$"):
        descent.check_setup(made(params=params))


def test_the_check_knows_the_defaults():
    signature = inspect.signature(descent.run).parameters
    node = yaml.safe_load(Path(CONF, "task", "descent.yaml").read_text(encoding="utf-8"))
    for name, value in node["task"]["params"].items():
        assert np.array_equal(signature[name].default, value)
        descent.check_setup(made(params={name: value}))

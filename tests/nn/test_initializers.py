import math
import re

import numpy as np
import pytest

from runner.nn.activations import ACTIVATIONS
from runner.nn.checks import NeuralNetworkError
from runner.nn.initializers import INITIALIZERS


def weights(initializer, activation="sigmoid", fans=(400, 900), dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return initializer(*fans, activation, rng=rng, dtype=dtype)


@pytest.mark.parametrize(
    ("name", "params", "activation", "std"),
    [
        ("gaussian", {}, "relu", 0.01),
        ("gaussian", {"std": 1.0}, "sigmoid", 1.0),
        ("xavier", {}, "relu", math.sqrt(1 / 400)),
        ("he", {}, "sigmoid", math.sqrt(2 / 400)),
        *[
            ("auto", {}, name, math.sqrt(2 / 400))
            for name in ("relu", "leaky_relu", "elu", "gelu", "softplus")
        ],
        *[
            ("auto", {}, name, math.sqrt(1 / 400))
            for name in ("sigmoid", "tanh", "step", "identity", "softmax", "mine:mish")
        ],
    ],
)
def test_standard_deviation(name, params, activation, std):
    W = weights(INITIALIZERS[name](**params), activation)
    # 360,000 numbers: their std is known to 0.12 %, their mean to std/600
    assert W.shape == (400, 900)
    assert W.std() == pytest.approx(std, rel=0.006)
    assert abs(W.mean()) < std / 120


def test_zeros():
    assert not weights(INITIALIZERS["zeros"]()).any()


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_float32_is_the_same_network_rounded(name):
    initializer = INITIALIZERS[name]()
    low = weights(initializer, dtype=np.float32)
    assert low.dtype == np.float32
    np.testing.assert_array_equal(low, weights(initializer).astype(np.float32))


def test_randomness_comes_from_the_generator_alone():
    initializer = INITIALIZERS["he"]()
    np.testing.assert_array_equal(weights(initializer, seed=5), weights(initializer, seed=5))
    assert (weights(initializer, seed=5) != weights(initializer, seed=6)).any()


@pytest.mark.parametrize(
    ("value", "got"), [(-1.0, "-1.0"), ("1", "'1'"), (math.nan, "nan"), (None, "None")]
)
def test_bad_standard_deviation(value, got):
    message = f"std: expected a finite number >= 0, got {got}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        INITIALIZERS["gaussian"](std=value)


def stds_of_five_layers(activation, initializer, rng):
    """Of the activations, 1000 inputs of N(0, 1) through 5 layers of 100 (book 6.2)."""
    z, stds = rng.normal(size=(1000, 100)), []
    for _ in range(5):
        W = initializer(100, 100, activation, rng=rng, dtype=np.float64)
        z = ACTIVATIONS[activation]().forward(z @ W)
        stds.append(z.std())
    return stds


@pytest.mark.parametrize(
    ("activation", "name", "params", "first", "last"),
    [
        ("sigmoid", "gaussian", {"std": 1.0}, 0.458, 0.437),
        ("sigmoid", "gaussian", {"std": 0.01}, 0.025, 0.012),
        ("relu", "gaussian", {"std": 0.01}, 0.0585, 0.0),
        ("relu", "xavier", {}, 0.585, 0.177),
        ("relu", "he", {}, 0.83, 1.00),
    ],
)
def test_published_draw_of_the_book(activation, name, params, first, last):
    # The published values are those of one draw, that of NumPy's legacy generator from seed 0.
    rng = np.random.RandomState(0)
    stds = stds_of_five_layers(activation, INITIALIZERS[name](**params), rng)
    assert stds[0] == pytest.approx(first, rel=0.05)
    assert stds[-1] == pytest.approx(last, rel=0.05, abs=1e-5)


@pytest.mark.parametrize(("name", "last"), [("xavier", 0.5**2), ("he", 1.0)])
def test_expected_activations_of_relu_layers(name, last):
    # E[z²] halves (xavier) or stays (he) per layer, and z = max(a, 0) of a normal a has
    # the standard deviation √(½ - 1/2π) times that of a: closed forms, over many draws.
    relu = math.sqrt(1 / 2 - 1 / (2 * math.pi))
    gain = {"xavier": 1, "he": math.sqrt(2)}[name]
    rng = np.random.default_rng(0)
    draws = [stds_of_five_layers("relu", INITIALIZERS[name](), rng) for _ in range(40)]
    mean = np.sqrt(np.mean(np.square(draws), axis=0))
    assert mean[0] == pytest.approx(gain * relu, rel=0.01)
    assert mean[-1] == pytest.approx(gain * relu * last, rel=0.05)

import math
import re

import numpy as np
import pytest
from scipy import special

from runner.nn.activations import ACTIVATIONS, gelu, maxout, pair
from runner.nn.checks import NeuralNetworkError
from runner.nn.numerical import gradient

X = np.linspace(-12, 12, 1201)  # has 0
LARGE = [0, 1e-30, 1e-3, 1, 10, 88, 89, 104, 709, 710, 746, 1e4, 1e15, 1e30]
EXTREMES = np.array([sign * x for x in LARGE for sign in (1, -1)])

# name, parameters, the function by SciPy or by its definition
ORACLES = [
    ("step", {}, lambda a: np.heaviside(a, 0)),
    ("sigmoid", {}, special.expit),
    ("relu", {}, lambda a: (a + np.abs(a)) / 2),
    ("tanh", {}, lambda a: 2 * special.expit(2 * a) - 1),
    ("leaky_relu", {}, lambda a: np.maximum(a, 0.01 * a)),
    ("leaky_relu", {"negative_slope": 0.2}, lambda a: np.maximum(a, 0.2 * a)),
    ("elu", {}, lambda a: np.maximum(a, 0) + special.expm1(np.minimum(a, 0))),
    ("elu", {"alpha": 0.5}, lambda a: np.maximum(a, 0) + 0.5 * special.expm1(np.minimum(a, 0))),
    ("gelu", {}, lambda a: a * special.ndtr(a)),
    (
        "gelu",
        {"approximate": "tanh"},
        lambda a: a * special.expit(2 * math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)),
    ),
    ("softplus", {}, lambda a: -special.log_expit(-a)),
    ("identity", {}, lambda a: a),
]
CASES = [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in ORACLES]


def test_every_activation_has_an_oracle():
    # Maxout takes several numbers for one, and has tests of its own.
    assert {name for name, _, _ in ORACLES} == set(ACTIVATIONS) - {"maxout"}


@pytest.mark.parametrize(("name", "params", "oracle"), CASES)
def test_forward_equals_the_oracle(name, params, oracle):
    forward = ACTIVATIONS[name](**params).forward
    np.testing.assert_allclose(forward(X), oracle(X), rtol=0, atol=1e-14)
    low = forward(X.astype(np.float32))
    np.testing.assert_allclose(low, oracle(X), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("name", "params", "oracle"), CASES)
def test_slope_is_the_derivative(name, params, oracle):
    a = X[np.abs(X) > 1e-3]  # not across the kinks
    slope = ACTIVATIONS[name](**params).slope
    numerical = gradient(lambda z: oracle(z).sum(), a[::10], h=1e-5)
    np.testing.assert_allclose(slope(a[::10]), numerical, rtol=0, atol=2e-8)
    low = slope(a.astype(np.float32))
    np.testing.assert_allclose(low, slope(a), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "params", "oracle"), CASES)
def test_extremes_are_finite_without_a_warning(name, params, oracle, dtype):
    activation = ACTIVATIONS[name](**params)
    a = EXTREMES.astype(dtype)
    with np.errstate(all="raise"):
        z, slope = activation.forward(a), activation.slope(a)
    assert np.isfinite(z).all()
    assert np.isfinite(slope).all()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(z, oracle(a.astype(np.float64)), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "params", "oracle"), CASES)
def test_keeps_shape_and_dtype_in_a_new_array(name, params, oracle, dtype, shape):
    a = np.full(shape, 0.5, dtype)
    activation = ACTIVATIONS[name](**params)
    for function in (activation.forward, activation.slope):
        z = function(a)
        assert (z.shape, z.dtype) == (shape, dtype)
        assert not np.shares_memory(z, a)
    assert (a == 0.5).all()


def between_ones(shape, dtype):
    """A view into an array that is wider on both sides, as those of back-propagation are."""
    return np.ones((shape[0], shape[1] + 2), dtype)[:, 1:-1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "params", "oracle"), CASES)
def test_both_writes_forward_and_slope_into_given_arrays(name, params, oracle, dtype):
    activation = ACTIVATIONS[name](**params)
    a = np.concatenate([X[::8], EXTREMES]).astype(dtype)[:, None] * np.ones(2, dtype)
    z, slope, before = between_ones(a.shape, dtype), between_ones(a.shape, dtype), a.copy()
    with np.errstate(all="raise"):
        assert activation.both(a, z, slope) is None
    np.testing.assert_array_equal(z, activation.forward(a))
    np.testing.assert_array_equal(slope, activation.slope(a))
    np.testing.assert_array_equal(a, before)
    for array in (z, slope):
        assert (array.base[:, [0, -1]] == 1).all()
        assert array.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "params", "oracle"), CASES)
def test_forward_into_another_array_and_into_its_own(name, params, oracle, dtype):
    forward = ACTIVATIONS[name](**params).forward
    a = X.astype(dtype)[:, None] * np.ones(2, dtype)
    expected, out, before = forward(a), between_ones(a.shape, dtype), a.copy()
    assert forward(a, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert (out.base[:, [0, -1]] == 1).all()
    np.testing.assert_array_equal(a, before)
    assert forward(a, out=a) is a
    np.testing.assert_array_equal(a, expected)


def test_pair_makes_an_activation_of_two_functions_of_a_alone():
    asked = []

    def square(a):
        asked.append(a)
        return a * a

    activation = pair(square, lambda a: 2 * a)
    a, z, slope = np.array([[-1.0, 0.5, 3.0]]), np.empty((1, 3)), np.empty((1, 3))
    activation.both(a, z, slope)
    assert len(asked) == 1
    assert asked[0] is a
    np.testing.assert_array_equal(z, [[1, 0.25, 9]])
    np.testing.assert_array_equal(slope, [[-2, 1, 6]])
    np.testing.assert_array_equal(activation.slope(a), [[-2, 1, 6]])
    assert activation.forward(a, out=z) is z
    new = activation.forward(a)
    assert not any(np.shares_memory(new, array) for array in (a, z))
    np.testing.assert_array_equal(new, z)
    np.testing.assert_array_equal(activation.forward(a, out=a), new)


def test_book_values():
    a = np.array([-2.0, 1.0, 3.0])
    sigmoid = [0.119202922, 0.7310585786, 0.9525741268]
    np.testing.assert_allclose(ACTIVATIONS["sigmoid"]().forward(a), sigmoid, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ACTIVATIONS["step"]().forward(a), [0, 1, 1])
    np.testing.assert_array_equal(ACTIVATIONS["relu"]().forward(a), [0, 1, 3])
    assert ACTIVATIONS["sigmoid"]().forward(np.array([0.0])) == 0.5


def test_book_counts_of_the_step_function():
    step = ACTIVATIONS["step"]().forward
    x = np.arange(-5, 5, 0.1)
    assert (len(x), step(x).sum(), step(x)[50]) == (100, 49, 0)
    x = np.arange(-3, 3, 0.001)
    assert (len(x), step(x).sum()) == (6000, 2999)


def test_slopes_at_the_kink():
    zero = np.zeros(1)
    slopes = {name: ACTIVATIONS[name]().slope(zero)[0] for name in ("step", "relu", "leaky_relu")}
    assert slopes == {"step": 0, "relu": 0, "leaky_relu": 0.01}


def test_exact_gelu_to_the_last_digits():
    a = np.linspace(-36, 36, 100_001)
    activation = gelu()
    np.testing.assert_allclose(activation.forward(a), a * special.ndtr(a), rtol=0, atol=1e-14)
    np.testing.assert_allclose(activation.forward(a), a * special.ndtr(a), rtol=1e-11, atol=0)
    slope = special.ndtr(a) + a * np.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(activation.slope(a), slope, rtol=0, atol=1e-14)


def by_unit(a, pieces):
    """The pieces of each unit side by side, (..., units, pieces), one number after the other."""
    units = a.shape[-1] // pieces
    columns = [[piece * units + unit for piece in range(pieces)] for unit in range(units)]
    return a[..., columns]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(10,), (7, 10), (2, 3, 20)])
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout_is_the_largest_piece_and_its_slope_the_derivative(pieces, shape, dtype):
    a = np.random.default_rng(0).normal(size=shape).astype(dtype)
    activation, before = maxout(pieces), a.copy()
    z, slope = activation.forward(a), activation.slope(a)
    assert (z.shape, z.dtype) == ((*shape[:-1], shape[-1] // pieces), dtype)
    assert (slope.shape, slope.dtype) == (shape, dtype)
    np.testing.assert_array_equal(z, by_unit(a, pieces).max(axis=-1))
    np.testing.assert_array_equal(by_unit(slope, pieces).sum(axis=-1), 1)
    np.testing.assert_array_equal((by_unit(slope, pieces) * by_unit(a, pieces)).sum(axis=-1), z)
    numerical = gradient(lambda a: by_unit(a, pieces).max(axis=-1).sum(), a, h=1e-6)
    np.testing.assert_allclose(slope, numerical, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(a, before)


def test_maxout_of_one_piece_is_the_identity():
    a = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(maxout(1).forward(a), a)
    np.testing.assert_array_equal(maxout(1).slope(a), 1)


def test_maxout_of_a_and_0_is_relu():
    a = np.random.default_rng(0).normal(size=(3, 4))
    activation, both = maxout(2), np.concatenate([a, np.zeros_like(a)], axis=1)
    np.testing.assert_array_equal(activation.forward(both), ACTIVATIONS["relu"]().forward(a))
    np.testing.assert_array_equal(activation.slope(both)[:, :4], ACTIVATIONS["relu"]().slope(a))


def test_pieces_that_are_equal_share_the_slope_of_maxout():
    a = np.array([[1.0, 5.0, 1.0, 2.0, 1.0, 5.0], [0.0] * 6])
    expected = [[1 / 3, 0.5, 1 / 3, 0, 1 / 3, 0.5], [1 / 3] * 6]
    np.testing.assert_allclose(maxout(3).slope(a), expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maxout_writes_into_given_arrays(dtype):
    activation = maxout(3)
    a = np.random.default_rng(0).normal(size=(5, 12)).astype(dtype)
    z, slope = between_ones((5, 4), dtype), between_ones(a.shape, dtype)
    assert activation.both(a, z, slope) is None
    np.testing.assert_array_equal(z, activation.forward(a))
    np.testing.assert_array_equal(slope, activation.slope(a))
    out = between_ones((5, 4), dtype)
    assert activation.forward(a, out=out) is out
    np.testing.assert_array_equal(out, z)
    for array in (z, slope, out):
        assert (array.base[:, [0, -1]] == 1).all()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_nan_is_not_hidden(name):
    activation = ACTIVATIONS[name]()
    a, z = np.full(activation.pieces, 1, np.float32), np.zeros(1, np.float32)
    a[0] = np.nan
    activation.both(a, z, np.zeros_like(a))
    for value in (activation.forward(a)[0], z[0]):
        assert np.isnan(value) or name == "step"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("gelu", {"approximate": "erf"}, "approximate: expected 'none' or 'tanh', got 'erf'"),
        ("maxout", {"pieces": 0}, "pieces: expected an integer from 1, got 0"),
        ("maxout", {"pieces": 2.5}, "pieces: expected an integer from 1, got 2.5"),
        ("maxout", {"pieces": True}, "pieces: expected an integer from 1, got True"),
        ("maxout", {"pieces": "5"}, "pieces: expected an integer from 1, got '5'"),
        ("elu", {"alpha": "1"}, "alpha: expected a finite number, got '1'"),
        ("elu", {"alpha": math.inf}, "alpha: expected a finite number, got inf"),
        (
            "leaky_relu",
            {"negative_slope": True},
            "negative_slope: expected a finite number, got True",
        ),
    ],
)
def test_bad_parameters(name, params, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        ACTIVATIONS[name](**params)


def test_numpy_scalars_as_parameters_keep_float32():
    activation, a = ACTIVATIONS["leaky_relu"](negative_slope=np.float64(0.1)), np.ones(2, "f4")
    assert activation.forward(a).dtype == activation.slope(a).dtype == np.float32

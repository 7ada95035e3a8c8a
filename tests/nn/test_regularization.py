import math
import re

import numpy as np
import pytest

from runner.nn.checks import NeuralNetworkError
from runner.nn.regularization import PLAIN, Dropout, Regularization, clip_columns, clip_norm


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_leaves_out_a_fraction_and_keeps_the_expectation(p):
    a = np.ones((1000, 400))
    Dropout(p, rng())(a)
    # 400,000 draws: the fraction is known to √(p (1 - p) / 400,000), four of which are allowed
    error = 4 * math.sqrt(p * (1 - p) / a.size)
    assert (a == 0).mean() == pytest.approx(p, abs=error)
    assert a.mean() == pytest.approx(1, abs=error / (1 - p))
    # each unit and each sample by itself
    assert np.ptp((a == 0).mean(axis=0)) < 0.2
    assert np.ptp((a == 0).mean(axis=1)) < 0.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.25, 0.4])
def test_dropout_scales_up_the_others_during_training_as_pytorch_does(p, dtype):
    # torch.nn.Dropout: "the outputs are scaled by a factor of 1/(1-p) during training"
    before = rng(1).normal(size=(30, 20)).astype(dtype)
    a = before.copy()
    Dropout(p, rng())(a)
    assert a.dtype == dtype
    kept = a != 0
    np.testing.assert_allclose(a[kept], before[kept] / (1 - p), rtol=4 * np.finfo(dtype).eps)
    assert 0.4 < kept.mean() < 0.9


def test_dropout_has_one_mask_for_all_arrays_of_a_call():
    z, slope = np.ones((50, 21))[:, :-1], np.full((50, 20), 3.0)
    Dropout(0.5, rng())(z, slope)
    np.testing.assert_array_equal(slope, 3 * z)
    assert (z.base[:, -1] == 1).all()
    assert 0.4 < (z == 0).mean() < 0.6


def test_dropout_draws_anew_each_time_and_repeats_itself_by_its_generator():
    masks = []
    for seed in (5, 5, 6):
        dropout = Dropout(0.5, rng(seed))
        made = np.ones((2, 10, 10))
        dropout(made[0])
        dropout(made[1])
        masks.append(made)
        assert (made[0] != made[1]).any()
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_dropout_draws_as_many_numbers_as_there_are_units_whatever_came_before():
    # NumPy's own order of the draws, row after row
    sizes, expected, dropout = [(4, 30), (2, 7), (9, 30), (1, 1)], rng(3), Dropout(0.4, rng(3))
    for size in sizes:
        a = np.ones(size)
        dropout(a)
        np.testing.assert_array_equal(a != 0, expected.random(size, np.float32) >= 0.4)


def test_dropout_needs_a_generator():
    message = "dropout_rng: expected a generator (for dropout), got None"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        Dropout(0.5, None)


def test_dropout_of_both_dtypes_leaves_out_the_same():
    low, high = np.ones((20, 30), np.float32), np.ones((20, 30))
    Dropout(0.3, rng())(low)
    Dropout(0.3, rng())(high)
    np.testing.assert_array_equal(low, high.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("most", [0.1, 1.0, 5.0])
def test_clip_norm_equals_the_formula(most, dtype):
    # torch.nn.utils.clip_grad_norm_, without the 1e-6 in its denominator
    for scale in (0.01, 0.1, 10):
        g = (scale * rng(2).normal(size=400)).astype(dtype)
        norm = math.sqrt(sum(float(value) ** 2 for value in g))
        expected = g * min(1, most / norm)
        assert clip_norm(g, most) is None
        np.testing.assert_allclose(g, expected, rtol=1e-5 if dtype == np.float32 else 1e-13)
        assert g.dtype == dtype


def test_clip_norm_leaves_shorter_gradients_to_the_bit_as_they_are():
    g = np.array([3.0, 0.0, -4.0])
    clip_norm(g, 5.0)
    np.testing.assert_array_equal(g, [3, 0, -4])
    clip_norm(g, 4.0)
    np.testing.assert_allclose(g, [2.4, 0, -3.2], rtol=1e-15)
    zero = np.zeros(3)
    clip_norm(zero, 1e-30)
    np.testing.assert_array_equal(zero, [0, 0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_norm_of_a_gradient_whose_square_overflows(dtype):
    g = np.array([3, 0, -4], dtype) * math.sqrt(np.finfo(dtype).max)
    with np.errstate(over="ignore"):
        clip_norm(g, 2.0)
    np.testing.assert_allclose(g, [1.2, 0, -1.6], rtol=1e-6)
    infinite = np.array([1, np.inf, 1], dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        clip_norm(infinite, 2.0)
    assert np.isnan(infinite).any()  # which is noticed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_columns_equals_the_formula(dtype):
    # keras.constraints.MaxNorm(max_value, axis=0), without its epsilon
    weights = [rng(i).normal(size=size).astype(dtype) for i, size in enumerate([(40, 7), (7, 20)])]
    expected = [W.astype(np.float64) for W in weights]
    for W in expected:
        norms = np.sqrt((W**2).sum(axis=0))
        W *= np.clip(norms, 0, 2.5) / norms
    shorter = [np.linalg.norm(W, axis=0) < 2.5 for W in weights]
    assert not shorter[0].any()
    assert 0 < shorter[1].sum() < 20
    kept = weights[1][:, shorter[1]].copy()
    clip_columns(weights, 2.5)
    for W, wanted in zip(weights, expected, strict=True):
        np.testing.assert_allclose(W, wanted, rtol=2e-6 if dtype == np.float32 else 1e-14)
        assert W.dtype == dtype
    np.testing.assert_array_equal(weights[1][:, shorter[1]], kept)


def test_clip_columns_takes_columns_and_not_rows_and_no_column_of_0_amiss():
    W = np.array([[3.0, 0.0, 0.3], [4.0, 0.0, 0.4]])
    clip_columns([W], 1.0)
    np.testing.assert_allclose(W, [[0.6, 0, 0.3], [0.8, 0, 0.4]], rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_columns_of_weights_whose_squares_overflow_are_noticed(dtype):
    W = np.ones((3, 2), dtype)
    W[:, 0] *= float(np.finfo(dtype).max) ** 0.75
    with np.errstate(over="ignore"):
        clip_columns([W], 2.0)
    assert np.isnan(W[:, 0]).all()
    np.testing.assert_array_equal(W[:, 1], 1)


def test_numpy_scalars_keep_float32():
    g, W = np.ones(8, np.float32), np.ones((8, 2), np.float32)
    clip_norm(g, np.float64(1))
    clip_columns([W], np.float64(1))
    Dropout(np.float64(0.5), rng())(g)
    assert g.dtype == W.dtype == np.float32


def test_everything_is_off_unless_given():
    assert Regularization() == PLAIN
    assert Regularization(dropout=0, input_dropout=0.0, max_norm=None, clip_norm=None) == PLAIN


FRACTION = "expected a finite number >= 0 and < 1"
NORM = "expected a finite number >= 1.17549e-38"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dropout": 1}, f"dropout: {FRACTION}, got 1"),
        ({"dropout": -0.1}, f"dropout: {FRACTION}, got -0.1"),
        ({"dropout": None}, f"dropout: {FRACTION}, got None"),
        ({"input_dropout": 1.0}, f"input_dropout: {FRACTION}, got 1.0"),
        ({"input_dropout": True}, f"input_dropout: {FRACTION}, got True"),
        ({"max_norm": 0}, f"max_norm: {NORM}, got 0"),
        ({"max_norm": -1.0}, f"max_norm: {NORM}, got -1.0"),
        ({"max_norm": "3"}, f"max_norm: {NORM}, got '3'"),
        ({"clip_norm": 0.0}, f"clip_norm: {NORM}, got 0.0"),
        ({"clip_norm": math.inf}, f"clip_norm: {NORM}, got inf"),
        ({"clip_norm": math.nan}, f"clip_norm: {NORM}, got nan"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        Regularization(**params)

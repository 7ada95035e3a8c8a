import itertools
import math
import re

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.linear_model import Perceptron

from runner.nn.checks import NeuralNetworkError
from runner.nn.perceptron import perceptron

X = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


@pytest.mark.parametrize(
    ("t", "passes", "w"),
    [
        pytest.param([0, 0, 0, 1], 6, [-2, 1, 2], id="and"),
        pytest.param([1, 1, 1, 0], 6, [3, -1, -2], id="nand"),
        pytest.param([0, 1, 1, 1], 4, [0, 1, 1], id="or"),
    ],
)
def test_book_gates(t, passes, w):
    records = list(perceptron(X, np.array(t)))
    assert [record.epoch for record in records] == list(range(1, passes + 1))
    np.testing.assert_array_equal(records[-1].w, w)
    assert [record.converged for record in records] == [False] * (passes - 1) + [True]
    assert records[-1].error == 0
    np.testing.assert_array_equal((X @ records[-1].w[1:] + records[-1].w[0] > 0), t)


def test_book_xor_never_converges():
    records = list(perceptron(X, np.array([0, 1, 1, 0])))
    assert [record.error for record in records] == [0.5, 0.75] + [1.0] * 98
    assert not any(record.converged for record in records)
    assert records[-1].updates == 2 + 3 + 4 * 98


def separable(t):
    """Whether a line separates the classes, by linear programming."""
    side = 2 * np.array(t) - 1
    constraints = -side[:, None] * np.column_stack([np.ones(4), X])
    return linprog(np.zeros(3), constraints, -np.ones(4), bounds=(None, None)).status == 0


def test_converges_for_the_14_separable_functions_of_two_inputs():
    functions = list(itertools.product([0, 1], repeat=4))
    converged = [list(perceptron(X, np.array(t)))[-1].converged for t in functions]
    assert converged == [separable(t) for t in functions]
    assert (len(functions), sum(converged)) == (16, 14)


def test_equals_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    t = (x @ [1, -2, 0.5, 1] + rng.normal(0, 0.5, 300) > 0).astype(int)
    theirs = Perceptron(shuffle=False, max_iter=7, tol=None).fit(x, t)
    record = list(perceptron(x, t, max_passes=7))[-1]
    np.testing.assert_allclose(record.w[0], theirs.intercept_[0], rtol=1e-12)
    np.testing.assert_allclose(record.w[1:], theirs.coef_[0], rtol=1e-12)


def test_error_is_counted_during_the_pass():
    # After the second pass of OR all four are right, but two were wrong while it went on.
    second = list(perceptron(X, np.array([0, 1, 1, 1])))[1]
    wrong_after = ((X @ second.w[1:] + second.w[0] > 0) != [0, 1, 1, 1]).mean()
    assert second.error > wrong_after


def test_learning_rate_scales_the_weights_alone():
    t = np.array([0, 0, 0, 1])
    full, half = list(perceptron(X, t)), list(perceptron(X, t, lr=0.5))
    np.testing.assert_array_equal(half[-1].w, full[-1].w / 2)
    assert [r.updates for r in half] == [r.updates for r in full]


def test_gamma_above_the_error_stops_early():
    records = list(perceptron(X, np.array([0, 1, 1, 0]), gamma=0.6))
    assert len(records) == 1
    assert records[0].converged


def test_gamma_itself_is_not_below():
    assert not next(perceptron(X, np.array([0, 1, 1, 0]), gamma=0.5)).converged


def test_records_keep_the_weights_of_their_pass():
    records = list(perceptron(X, np.array([0, 0, 0, 1])))
    assert len({tuple(record.w) for record in records[:-1]}) > 1
    assert math.isfinite(sum(record.seconds for record in records))


@pytest.mark.parametrize(
    ("given", "kept"), [(np.float32, np.float32), (np.float64, np.float64), (np.uint8, np.float64)]
)
def test_dtype(given, kept):
    records = list(perceptron(X.astype(given), np.array([0.0, 0, 0, 1]), lr=np.float64(1)))
    assert records[-1].w.dtype == kept
    np.testing.assert_array_equal(records[-1].w, [-2, 1, 2])


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (X[0], [0], "x: expected (samples, inputs), got (2,)"),
        (X, [[0], [0], [0], [1]], "t: expected (4,), got (4, 1)"),
        (X, [0, 0, 1], "t: expected (4,), got (3,)"),
        (X, [-1, -1, -1, 1], "t: expected classes 0 and 1, got [-1, 1]"),
    ],
)
def test_bad_samples(x, t, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        next(perceptron(x, np.array(t)))


def test_bad_learning_rate():
    message = "lr: expected a finite number, got nan"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        next(perceptron(X, np.array([0, 0, 0, 1]), lr=math.nan))

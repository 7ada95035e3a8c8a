import math
import re

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss

from runner.data.dataset import one_of_two
from runner.nn.checks import NeuralNetworkError
from runner.nn.losses import LOSSES, head
from runner.nn.numerical import gradient
from runner.nn.outputs import OUTPUTS

RNG = np.random.default_rng(2)
A = RNG.normal(0, 2, (12, 4))
T = np.eye(4)[RNG.integers(4, size=12)]
PAIRS = [(loss, output) for loss in LOSSES for output in OUTPUTS if output != "pairwise"]

T2 = np.eye(10)[[2]]
Y1 = np.array([[0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]])
Y2 = np.array([[0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]])


def head_of(loss, output, **params):
    return head(LOSSES[loss](**params), OUTPUTS[output](), output)


def backward(pair, a, t):
    """The loss and its gradient in the logits."""
    da = np.full_like(a, np.nan)
    return pair.backward(a, t, da), da


def in_order(array, order):
    """A copy in C or Fortran order; "wide" is the part in use of a longer one in Fortran order."""
    if order == "wide":
        longer = np.full((len(array) + 5, array.shape[1]), 7, array.dtype, order="F")
        longer[: len(array)] = array
        return longer[: len(array)]
    return np.array(array, order=order)


@pytest.mark.parametrize(("y", "expected"), [(Y1, 0.0975), (Y2, 0.5975)])
def test_book_values_of_the_sum_of_squares(y, expected):
    assert LOSSES["sum_squares"]().value(y, T2) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("y", "expected"), [(Y1, 0.510825457099338), (Y2, 2.302584092994546)])
def test_book_values_of_cross_entropy(y, expected):
    assert LOSSES["cross_entropy"]().value(y, T2) == pytest.approx(expected, abs=1e-15)


def test_cross_entropy_is_the_mean_over_the_batch():
    value = LOSSES["cross_entropy"]().value(np.vstack([Y1, Y2]), np.vstack([T2, T2]))
    assert value == pytest.approx(1.40670478, abs=1e-8)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradient_is_the_derivative_of_the_value(name):
    loss, y = LOSSES[name](), special.softmax(A, axis=1)
    numerical = gradient(lambda y: loss.value(y, T), y, h=1e-6)
    np.testing.assert_allclose(loss.gradient(y, T), numerical, rtol=1e-6, atol=1e-8)


def test_softmax_cross_entropy_equals_scikit_learn():
    for output in ("softmax", "identity"):
        value = head_of("cross_entropy", output, delta=0).value(A, T)
        assert value == pytest.approx(log_loss(T, special.softmax(A, axis=1)), rel=1e-14)
        assert value == pytest.approx(-(T * special.log_softmax(A, axis=1)).sum() / 12, rel=1e-14)


def test_sigmoid_cross_entropy_equals_scikit_learn():
    value = head_of("cross_entropy", "sigmoid", delta=0).value(A, T)
    y = special.expit(A)
    expected = sum(log_loss(T[:, k], y[:, k]) for k in range(4))
    assert value == pytest.approx(expected, rel=1e-14)


def test_pairwise_cross_entropy_equals_scikit_learns_of_each_pair():
    a, labels = RNG.normal(0, 2, (40, 6)), RNG.integers(4, size=40)
    t, pair = one_of_two(labels, 4, np.float64), head_of("cross_entropy", "pairwise")
    expected = sum(
        log_loss(t[known, i], special.expit(a[known, i]), normalize=False)
        for i, known in enumerate(~np.isnan(t).T)
    )
    assert pair.value(a, t) == pytest.approx(expected / 40, rel=1e-12)
    loss, da = backward(pair, a, t)
    assert loss == pair.value(a, t)
    numerical = gradient(lambda logits: pair.value(logits, t), a, h=1e-5)
    np.testing.assert_allclose(da, numerical, rtol=1e-6, atol=1e-9)
    assert (da[np.isnan(t)] == 0).all()


def test_pairwise_cross_entropy_of_extreme_logits():
    a, t = (
        np.array([[1e4, -1e4, 5.0], [1e4, -1e4, 5.0]]),
        np.array([[1, 0, np.nan], [0, 1, np.nan]]),
    )
    with np.errstate(all="raise"):
        loss, da = backward(head_of("cross_entropy", "pairwise"), a, t)
    assert loss == 1e4
    np.testing.assert_array_equal(da, [[0, 0, 0], [0.5, -0.5, 0]])


def test_cross_entropy_from_logits_is_that_of_the_outputs():
    plain = LOSSES["cross_entropy"]().value(OUTPUTS["softmax"]().forward(A), T)
    assert head_of("cross_entropy", "softmax").value(A, T) == plain
    without = head_of("cross_entropy", "softmax", delta=0).value(A, T)
    assert without == pytest.approx(plain, rel=1e-5)
    assert without != plain


def test_step_pays_for_every_output_that_is_wrong():
    a, t = np.array([[-1.0], [1.0], [1.0], [-1.0]]), np.array([[0.0], [1.0], [0.0], [0.0]])
    assert head_of("cross_entropy", "step").value(a, t) == pytest.approx(-math.log(1e-7) / 4)
    assert head_of("cross_entropy", "step").value(a[:2], t[:2]) == 0
    assert head_of("cross_entropy", "step", delta=0).value(a, t) == math.inf


@pytest.mark.parametrize("delta", [-1e-7, 1e-5, 1, math.nan, "1e-7"])
def test_refuses_a_delta_that_is_none(delta):
    message = f"delta: expected a finite number >= 0 and < 1e-05, got {delta!r}"
    with pytest.raises(NeuralNetworkError, match=re.escape(message)):
        LOSSES["cross_entropy"](delta=delta)


@pytest.mark.parametrize("order", ["C", "F", "wide"])
@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_backward_of_every_head_is_the_derivative_of_its_value(loss, output, order):
    # Exact: the book's 1e-7 is in the loss, but not in its gradient y - t.
    exact = loss == "cross_entropy" and output != "step"
    pair = head_of(loss, output, **({"delta": 0} if exact else {}))
    numerical = gradient(lambda a: pair.value(a, T), A, h=1e-5)
    a, t, da = in_order(A, order), in_order(T, order), in_order(A, order)
    value = pair.backward(a, t, da)
    np.testing.assert_allclose(da, numerical, rtol=1e-6, atol=1e-9)
    assert (np.linalg.norm(numerical) > 0) == (output != "step")
    assert value == pytest.approx(pair.value(A, T), rel=1e-14)
    assert type(value) is float
    np.testing.assert_array_equal(a, A)
    np.testing.assert_array_equal(t, T)
    if order == "wide":
        assert (da.base.T[len(A) :] == 7).all()


@pytest.mark.parametrize("output", ["softmax", "identity", "sigmoid"])
def test_delta_is_in_the_loss_but_not_in_its_gradient(output):
    exact, plain = (head_of("cross_entropy", output, delta=delta) for delta in (0, 1e-7))
    loss, da = backward(plain, A, T)
    exact_loss, exact_da = backward(exact, A, T)
    np.testing.assert_array_equal(da, exact_da)
    assert loss == plain.value(A, T) < exact_loss == exact.value(A, T)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_keeps_dtype_and_arguments(loss, output, dtype):
    a, t = A.astype(dtype), T.astype(dtype)
    pair = head_of(loss, output)
    assert type(pair.value(a, t)) is float
    assert LOSSES[loss]().gradient(OUTPUTS["sigmoid"]().forward(a), t).dtype == dtype
    _, da = backward(pair, a, t)
    _, expected = backward(pair, A, T)
    np.testing.assert_allclose(da, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(a, A.astype(dtype))
    np.testing.assert_array_equal(t, T.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("output", "expected"),
    # row 1 is right, row 2 wrong by 2e4; binary: row 1 right, row 2 wrong by 1e4 in two outputs
    [("softmax", 1e4), ("identity", 1e4), ("sigmoid", (0 + math.log(2) + 2e4 + math.log(2)) / 2)],
)
def test_extreme_logits_give_the_finite_loss(output, expected, dtype):
    a = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0]], dtype)
    t = np.array([[1, 0, 0], [0, 1, 0]], dtype)
    pair = head_of("cross_entropy", output, delta=0)
    with np.errstate(all="raise"):
        value, (loss, slopes) = pair.value(a, t), backward(pair, a, t)
    assert value == loss == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_every_head_is_finite_without_a_warning(loss, output, dtype):
    a = np.array([[1e4, -1e4, 0], [-1e4, 0, 1e4]], dtype)
    t = np.array([[1, 0, 0], [0, 1, 0]], dtype)
    pair = head_of(loss, output)
    loss, da = backward(pair, a, t)
    assert math.isfinite(pair.value(a, t))
    assert math.isfinite(loss)
    assert np.isfinite(da).all()


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_other_pairs_are_the_chain_of_loss_and_output(loss):
    # Without its fused pairs a loss is that of the outputs, the book's 1e-7 included.
    plain = LOSSES[loss]()._replace(on_logits={})
    y = special.softmax(A, axis=1)
    chain = head(plain, OUTPUTS["softmax"](), "softmax")
    value, da = backward(chain, A, T)
    assert value == chain.value(A, T) == pytest.approx(plain.value(y, T), rel=1e-14)
    numerical = gradient(lambda a: plain.value(special.softmax(a, axis=1), T), A, h=1e-5)
    np.testing.assert_allclose(da, numerical, rtol=1e-6, atol=1e-9)


def test_a_certain_and_right_answer_costs_nothing():
    a = np.array([[1e4, 0.0, 0.0]])
    value = head_of("cross_entropy", "softmax", delta=0).value(a, np.array([[1.0, 0.0, 0.0]]))
    assert math.copysign(1, value) == 1
    assert value == 0


def test_a_large_float32_batch_adds_up_in_float64():
    y = np.full((1_000_000, 3), 0.1, np.float32)
    square = float(np.float32(0.1) ** 2)
    value = LOSSES["sum_squares"]().value(y, np.zeros_like(y))
    assert value == pytest.approx(1.5 * square, rel=1e-12)

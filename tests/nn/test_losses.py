import math
import re

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss

from runner.nn.checks import NeuralNetworkError
from runner.nn.losses import LOSSES, head
from runner.nn.numerical import gradient
from runner.nn.outputs import OUTPUTS

RNG = np.random.default_rng(2)
A = RNG.normal(0, 2, (12, 4))
T = np.eye(4)[RNG.integers(4, size=12)]
PAIRS = [(loss, output) for loss in LOSSES for output in OUTPUTS]

T2 = np.eye(10)[[2]]
Y1 = np.array([[0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]])
Y2 = np.array([[0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]])


def head_of(loss, output, **params):
    return head(LOSSES[loss](**params), OUTPUTS[output](), output)


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


@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_gradient_of_every_head_is_the_derivative_of_its_value(loss, output):
    # Exact: the book's 1e-7 is in the loss, but not in its gradient y - t.
    exact = loss == "cross_entropy" and output != "step"
    pair = head_of(loss, output, **({"delta": 0} if exact else {}))
    numerical = gradient(lambda a: pair.value(a, T), A, h=1e-5)
    np.testing.assert_allclose(pair.gradient(A, T), numerical, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_keeps_dtype_and_arguments(loss, output, dtype):
    a, t = A.astype(dtype), T.astype(dtype)
    pair = head_of(loss, output)
    assert type(pair.value(a, t)) is float
    assert pair.gradient(a, t).dtype == dtype
    assert LOSSES[loss]().gradient(OUTPUTS["sigmoid"]().forward(a), t).dtype == dtype
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
        value, slopes = pair.value(a, t), pair.gradient(a, t)
    assert value == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_every_head_is_finite_without_a_warning(loss, output, dtype):
    a = np.array([[1e4, -1e4, 0], [-1e4, 0, 1e4]], dtype)
    t = np.array([[1, 0, 0], [0, 1, 0]], dtype)
    pair = head_of(loss, output)
    assert math.isfinite(pair.value(a, t))
    assert np.isfinite(pair.gradient(a, t)).all()


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_other_pairs_are_the_chain_of_loss_and_output(loss):
    # Without its fused pairs a loss is that of the outputs, the book's 1e-7 included.
    plain = LOSSES[loss]()._replace(on_logits={})
    y = special.softmax(A, axis=1)
    value = head(plain, OUTPUTS["softmax"](), "softmax").value(A, T)
    assert value == pytest.approx(plain.value(y, T), rel=1e-14)


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

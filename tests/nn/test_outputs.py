import numpy as np
import pytest
from scipy import special
from sklearn.utils.multiclass import _ovr_decision_function

from runner.nn.numerical import gradient
from runner.nn.outputs import OUTPUTS, decide, softmax_into

RNG = np.random.default_rng(1)
A = RNG.normal(0, 3, (12, 5))
ORACLES = {
    "identity": lambda a: a,
    "sigmoid": special.expit,
    "softmax": lambda a: special.softmax(a, axis=-1),
    "step": lambda a: np.heaviside(a, 0),
}


NEURONS = sorted(ORACLES)  # those with an output for each neuron


def test_every_output_has_an_oracle():
    assert {*NEURONS, "pairwise"} == set(OUTPUTS)


@pytest.mark.parametrize("name", NEURONS)
def test_forward_equals_the_oracle(name):
    np.testing.assert_allclose(OUTPUTS[name]().forward(A), ORACLES[name](A), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", NEURONS)
def test_backward_equals_the_numerical_gradient(name):
    output, dy = OUTPUTS[name](), RNG.normal(size=A.shape)
    numerical = gradient(lambda a: (dy * ORACLES[name](a)).sum(), A, h=1e-5)
    analytical = output.backward(output.forward(A), dy)
    np.testing.assert_allclose(analytical, numerical, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NEURONS)
def test_keeps_shape_and_dtype_in_a_new_array(name, dtype):
    output, a = OUTPUTS[name](), A.astype(dtype)
    y = output.forward(a)
    assert (y.dtype, y.shape) == (dtype, a.shape)
    assert not np.shares_memory(y, a)
    da = output.backward(y, a)
    assert (da.dtype, da.shape) == (dtype, a.shape)
    np.testing.assert_array_equal(a, A.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NEURONS)
def test_extremes_are_finite_without_a_warning(name, dtype):
    a = np.array([[1e4, -1e4, 0], [-1e30, 1e30, 1e30], [-1e4, -1e4, -1e4]], dtype)
    output = OUTPUTS[name]()
    with np.errstate(all="raise"):
        y = output.forward(a)
        da = output.backward(y, np.ones_like(y))
    np.testing.assert_allclose(y, ORACLES[name](a.astype(np.float64)), rtol=1e-6)
    assert np.isfinite(da).all()


def test_book_values_of_softmax():
    softmax = OUTPUTS["softmax"]().forward
    y = softmax(np.array([0.3, 2.9, 4.0]))
    np.testing.assert_allclose(y, [0.0182112733, 0.2451918129, 0.7365969138], rtol=0, atol=1e-10)
    y = softmax(np.array([1010.0, 1000.0, 990.0]))
    expected = [0.99995460007, 4.5397868609e-05, 2.0610600462e-09]
    np.testing.assert_allclose(y, expected, rtol=1e-10)
    np.testing.assert_array_equal(softmax(np.array([800.0, 0.0])), [1, 0])


def test_softmax_sums_to_one_in_every_row():
    y = OUTPUTS["softmax"]().forward(A)
    np.testing.assert_allclose(y.sum(axis=1), np.ones(12), rtol=1e-15)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_into_a_given_array(dtype, order):
    a = np.array(A, dtype, order=order)
    out, before, expected = np.full_like(a, np.nan), a.copy(), special.softmax(A, axis=1)
    assert softmax_into(a, out=out) is out
    np.testing.assert_allclose(out, expected, rtol=20 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(a, before)
    np.testing.assert_array_equal(softmax_into(a), out)
    assert softmax_into(a, out=a) is a
    np.testing.assert_array_equal(a, out)


def test_softmax_keeps_the_order():
    np.testing.assert_array_equal(decide(OUTPUTS["softmax"]().forward(A)), decide(A))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_pairwise_decides_as_scikit_learn_does(classes, dtype):
    # Its confidences are for the second class; of as many votes their sum decides here and there.
    pairs = classes * (classes - 1) // 2
    a = RNG.normal(0, 1, (500, pairs)).astype(dtype)
    y = OUTPUTS["pairwise"]().forward(a)
    assert (y.dtype, y.shape) == (dtype, (500, classes))
    theirs = _ovr_decision_function(a <= 0, 0.5 - special.expit(a), classes)
    np.testing.assert_array_equal(np.floor(y), np.rint(theirs))
    np.testing.assert_array_equal(decide(y), theirs.argmax(axis=1))
    np.testing.assert_allclose(y.sum(axis=1), pairs + pairs / classes, rtol=1e-5)


def test_decide_takes_the_first_of_equals():
    np.testing.assert_array_equal(decide(np.array([[0, 1, 1], [0, 0, 0], [2, 1, 3]])), [1, 0, 2])


def test_decide_for_one_neuron_is_strictly_above_one_half():
    labels = decide(np.array([[0.5], [0.500001], [0.1], [1.0]]))
    np.testing.assert_array_equal(labels, [0, 1, 0, 1])
    assert labels.dtype == np.intp

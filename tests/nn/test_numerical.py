import numpy as np
import pytest
from scipy import optimize, special

from runner.nn.losses import cross_entropy
from runner.nn.numerical import gradient


@pytest.mark.parametrize(("x", "expected"), [(5, 0.2), (10, 0.3)])
def test_book_derivative(x, expected):
    assert gradient(lambda x: 0.01 * x**2 + 0.1 * x, x) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("x", [(3.0, 4.0), (3, 4), np.array([3, 4]), np.float32([3, 4])])
def test_book_gradient_also_of_integers(x):
    np.testing.assert_allclose(gradient(lambda x: (x**2).sum(), x), (6, 8), rtol=0, atol=1e-9)


def test_book_simple_network():
    W = np.array([[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]])
    x, t = np.array([[0.6, 0.9]]), np.array([[0.0, 0.0, 1.0]])

    def loss(W):
        return cross_entropy().value(special.softmax(x @ W, axis=1), t)

    assert loss(W) == pytest.approx(0.9280682858, abs=1e-10)
    dW = gradient(loss, W)
    assert dW.shape == (2, 3)
    np.testing.assert_allclose(dW[0], [0.21924757, 0.14356243, -0.36281], rtol=0, atol=1e-8)


def test_equals_scipy_and_leaves_the_argument_alone():
    x = np.array([0.5, -1.2, 2.0])
    before = x.copy()
    expected = optimize.approx_fprime(x, optimize.rosen, 1e-9)
    np.testing.assert_allclose(gradient(optimize.rosen, x), expected, rtol=1e-5)
    np.testing.assert_array_equal(x, before)


def test_step_is_halved_on_each_side():
    # x³ at 0 has the central difference h², the one-sided one as well; x² tells them apart
    assert gradient(lambda x: x**3, 0.0, h=0.1) == pytest.approx(0.01)
    assert gradient(lambda x: x**2, 0.0, h=0.1) == 0

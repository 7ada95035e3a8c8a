import re
from decimal import Decimal, localcontext

import numpy as np
import pytest

from runner.nn.checks import NeuralNetworkError
from runner.nn.optimizers import OPTIMIZERS

START = (-7.0, 2.0)


def slopes(w):
    """The gradient of x²/20 + y²."""
    return np.array([w[0] / 10, 2 * w[1]], w.dtype)


def descend(optimizer, lr, steps, dtype=np.float64):
    w = np.array(START, dtype)
    path = []
    for _ in range(steps):
        optimizer.update(w, slopes(w), lr)
        path.append(w.copy())
    return np.array(path)


@pytest.mark.parametrize(
    ("name", "lr", "x", "y"),
    [
        ("sgd", 0.95, -0.3503929958, 0.0847823166),
        ("momentum", 0.1, 0.8964138585, 0.0880856017),
        ("adagrad", 1.5, -0.1201623223, 2.5e-17),
        ("adam", 0.3, 0.1360068524, 0.3182453755),
    ],
)
def test_book_values(name, lr, x, y):
    end = descend(OPTIMIZERS[name](), lr, 30)[-1]
    np.testing.assert_allclose(end, (x, y), rtol=0, atol=1e-10)
    if name == "adagrad":
        assert end[1] == pytest.approx(y, rel=0.01)


def pytorch_sgd(lr, steps, *, momentum=0.0, weight_decay=0.0, nesterov=False):
    """The algorithm as documented at torch.optim.SGD, its letters included."""
    theta, b = np.array(START), None
    for _ in range(steps):
        g = slopes(theta) + weight_decay * theta
        b = g if b is None else momentum * b + g
        g = g + momentum * b if nesterov else b
        theta = theta - lr * g
        yield theta


def pytorch_rmsprop(lr, steps, *, alpha, eps):
    """The algorithm as documented at torch.optim.RMSprop."""
    theta, v = np.array(START), np.zeros(2)
    for _ in range(steps):
        g = slopes(theta)
        v = alpha * v + (1 - alpha) * g**2
        theta = theta - lr * g / (np.sqrt(v) + eps)
        yield theta


def pytorch_adam(lr, steps, *, betas=(0.9, 0.999), eps=1e-8):
    """The algorithm as documented at torch.optim.Adam."""
    theta, m, v = np.array(START), np.zeros(2), np.zeros(2)
    for t in range(1, steps + 1):
        g = slopes(theta)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        theta = theta - lr * m / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        yield theta


def test_adam_in_fifty_digits():
    # Kingma & Ba 2015, end of section 2, one coordinate after the other.
    b1, b2, lr, eps = (Decimal(value) for value in ("0.9", "0.999", "0.3", "1e-7"))
    end = []
    with localcontext(prec=50):
        for start, curvature in zip(START, (Decimal("0.1"), Decimal(2)), strict=True):
            w, m, v = Decimal(start), Decimal(0), Decimal(0)
            for k in range(1, 31):
                g = curvature * w
                m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
                w -= lr * (1 - b2**k).sqrt() / (1 - b1**k) * m / (v.sqrt() + eps)
            end.append(float(w))
    np.testing.assert_allclose(descend(OPTIMIZERS["adam"](), 0.3, 30)[-1], end, rtol=0, atol=1e-14)
    np.testing.assert_allclose(end, (0.13600685239498, 0.31824537553722), rtol=0, atol=1e-14)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize(
    ("name", "momentum"), [("sgd", 0.0), ("momentum", 0.9), ("nesterov", 0.9), ("nesterov", 0.5)]
)
def test_equals_pytorchs_documented_sgd(name, momentum, weight_decay):
    params = {"weight_decay": weight_decay} | ({} if name == "sgd" else {"momentum": momentum})
    path = descend(OPTIMIZERS[name](**params), 0.1, 30)
    expected = list(
        pytorch_sgd(
            0.1,
            30,
            nesterov=name == "nesterov",
            momentum=momentum,
            **{"weight_decay": weight_decay},
        )
    )
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-13)


def test_nesterov_is_the_gradient_looked_up_one_step_ahead():
    # Sutskever et al. 2013, eq. 3 and 4, at the point the other form keeps: w + μ v.
    w, v = np.array(START), np.zeros(2)
    expected = []
    for _ in range(30):
        v = 0.9 * v - 0.1 * slopes(w + 0.9 * v)
        w = w + v
        expected.append(w + 0.9 * v)
    path = descend(OPTIMIZERS["nesterov"](), 0.1, 30)
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("alpha", [0.99, 0.9])
def test_equals_pytorchs_documented_rmsprop(alpha):
    path = descend(OPTIMIZERS["rmsprop"](alpha=alpha), 0.1, 30)
    expected = list(pytorch_rmsprop(0.1, 30, alpha=alpha, eps=1e-7))
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-13)


def test_equals_pytorchs_documented_adam_but_for_where_eps_stands():
    path = descend(OPTIMIZERS["adam"](eps=0.0), 0.3, 30)
    np.testing.assert_allclose(path, list(pytorch_adam(0.3, 30, eps=0.0)), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_works_in_place_in_float32(name):
    parameters = np.array(START, np.float32)
    gradients = slopes(parameters)
    before, optimizer = gradients.copy(), OPTIMIZERS[name]()
    for _ in range(3):
        optimizer.update(parameters, gradients, 0.1)
    np.testing.assert_array_equal(gradients, before)
    state = [value for value in vars(optimizer).values() if value is not None]
    arrays = [a for value in state for a in np.atleast_2d(value) if np.ndim(value)]
    assert all(a.dtype == np.float32 for a in arrays)
    assert bool(arrays) == (name != "sgd")
    path = descend(OPTIMIZERS[name](), 0.1, 10, np.float32)
    expected = descend(OPTIMIZERS[name](), 0.1, 10)
    np.testing.assert_allclose(path, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_each_made_one_has_its_own_state(name):
    np.testing.assert_array_equal(
        descend(OPTIMIZERS[name](), 0.1, 5), descend(OPTIMIZERS[name](), 0.1, 5)
    )


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("sgd", {"weight_decay": -1}, "weight_decay: expected a finite number >= 0, got -1"),
        ("momentum", {"momentum": 1}, "momentum: expected a finite number >= 0 and < 1, got 1"),
        ("nesterov", {"momentum": "a"}, "momentum: expected a finite number >= 0 and < 1, got 'a'"),
        ("adagrad", {"eps": -1.0}, "eps: expected a finite number >= 0, got -1.0"),
        ("rmsprop", {"alpha": 1.5}, "alpha: expected a finite number >= 0 and < 1, got 1.5"),
        ("adam", {"beta1": 1.0}, "beta1: expected a finite number >= 0 and < 1, got 1.0"),
        ("adam", {"beta2": -0.1}, "beta2: expected a finite number >= 0 and < 1, got -0.1"),
    ],
)
def test_bad_parameters(name, params, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        OPTIMIZERS[name](**params)

import math
import re
from decimal import Decimal, localcontext

import numpy as np
import pytest

from runner.nn import optimizers
from runner.nn.checks import NeuralNetworkError
from runner.nn.optimizers import BLOCK, FLUSH, LINEAR, OPTIMIZERS

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


def pytorch_adagrad(lr, steps, *, weight_decay=0.0, eps):
    """The algorithm as documented at torch.optim.Adagrad."""
    theta, state_sum = np.array(START), np.zeros(2)
    for _ in range(steps):
        g = slopes(theta) + weight_decay * theta
        state_sum = state_sum + g**2
        theta = theta - lr * g / (np.sqrt(state_sum) + eps)
        yield theta


def pytorch_rmsprop(lr, steps, *, weight_decay=0.0, alpha, eps):
    """The algorithm as documented at torch.optim.RMSprop."""
    theta, v = np.array(START), np.zeros(2)
    for _ in range(steps):
        g = slopes(theta) + weight_decay * theta
        v = alpha * v + (1 - alpha) * g**2
        theta = theta - lr * g / (np.sqrt(v) + eps)
        yield theta


def pytorch_adam(lr, steps, *, weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8):
    """The algorithm as documented at torch.optim.Adam."""
    theta, m, v = np.array(START), np.zeros(2), np.zeros(2)
    for t in range(1, steps + 1):
        g = slopes(theta) + weight_decay * theta
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


WEIGHT_DECAYS = pytest.mark.parametrize("weight_decay", [0.0, 0.01, 1.0])


@WEIGHT_DECAYS
@pytest.mark.parametrize("eps", [1e-7, 0.1])
def test_equals_pytorchs_documented_adagrad(eps, weight_decay):
    params = {"eps": eps, "weight_decay": weight_decay}
    path = descend(OPTIMIZERS["adagrad"](**params), 1.5, 30)
    expected = list(pytorch_adagrad(1.5, 30, **params))
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-13)


@WEIGHT_DECAYS
@pytest.mark.parametrize("eps", [1e-7, 0.1])
@pytest.mark.parametrize("alpha", [0.99, 0.9, 0.5])
def test_equals_pytorchs_documented_rmsprop(alpha, eps, weight_decay):
    params = {"alpha": alpha, "eps": eps, "weight_decay": weight_decay}
    path = descend(OPTIMIZERS["rmsprop"](**params), 0.1, 30)
    expected = list(pytorch_rmsprop(0.1, 30, **params))
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-13)


@WEIGHT_DECAYS
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9), (0, 0)])
def test_equals_pytorchs_documented_adam_but_for_where_eps_stands(betas, weight_decay):
    params = {"beta1": betas[0], "beta2": betas[1], "weight_decay": weight_decay}
    path = descend(OPTIMIZERS["adam"](eps=0.0, **params), 0.3, 30)
    expected = list(pytorch_adam(0.3, 30, betas=betas, weight_decay=weight_decay, eps=0.0))
    np.testing.assert_allclose(path, expected, rtol=0, atol=1e-13)


def test_eps_of_adam_stands_beside_the_uncorrected_root():
    # Kingma & Ba 2015, end of section 2: an eps of theirs is eps √(1 - β2^k) in algorithm 1.
    optimizer, w = OPTIMIZERS["adam"](eps=0.1), np.array([2.0])
    optimizer.update(w, np.array([3.0]), 0.5)
    root = math.sqrt(0.001)
    assert w[0] == pytest.approx(2 - 0.5 * root / 0.1 * 0.3 / (3 * root + 0.1), rel=1e-14)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_works_in_place_in_float32(name):
    vector, optimizer = np.array([5, *START, 5], np.float32), OPTIMIZERS[name]()
    parameters = vector[1:3]
    for _ in range(3):
        gradients = slopes(parameters)
        optimizer.update(parameters, gradients, 0.1)
        kept = [moment.copy() for moment in optimizer.moments]
        gradients[...] = np.nan  # the caller's to write into again
        for moment, before in zip(optimizer.moments, kept, strict=True):
            np.testing.assert_array_equal(moment, before)
    assert vector[[0, 3]].tolist() == [5, 5]
    assert (parameters != START).all()
    count = {"sgd": 0, "adam": 2}.get(name, 1)
    assert [moment.dtype for moment in optimizer.moments] == [np.float32] * count
    assert optimizer.updates == 3
    path = descend(OPTIMIZERS[name](), 0.1, 10, np.float32)
    expected = descend(OPTIMIZERS[name](), 0.1, 10)
    assert path.dtype == np.float32
    np.testing.assert_allclose(path, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_blocks_change_no_bit(name, dtype, weight_decay, monkeypatch):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(2, 2 * BLOCK + 17)).astype(dtype)
    found = []
    for block in (BLOCK, 3 * BLOCK):
        monkeypatch.setattr(optimizers, "BLOCK", block)
        optimizer, parameters = OPTIMIZERS[name](weight_decay=weight_decay), start.copy()
        for _ in range(2):
            optimizer.update(parameters, gradients.copy(), 0.1)
        found.append([parameters, *optimizer.moments])
    for blocks, whole in zip(*found, strict=True):
        np.testing.assert_array_equal(blocks, whole)
    assert (found[0][0] != start).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"sgd"}))
def test_denormals_are_flushed_every_hundredth_update(name, dtype):
    optimizer, tiny = OPTIMIZERS[name](), float(np.finfo(dtype).tiny)
    parameters, zero = np.ones(6, dtype), np.zeros(6, dtype)
    numbers = np.array([tiny / 2, -tiny / 2, 4 * tiny, -4 * tiny, 1, -1], dtype)
    for hundreds in (1, 2):
        for _ in range(FLUSH - 2):
            optimizer.update(parameters, zero.copy(), 0.1)
        for i, moment in enumerate(optimizer.moments):
            squares = i == 1 or name in ("adagrad", "rmsprop")
            moment[...] = np.abs(numbers) if squares else numbers
        optimizer.update(parameters, zero.copy(), 0.1)
        assert all(moment.all() for moment in optimizer.moments)
        optimizer.update(parameters, zero.copy(), 0.1)
        assert optimizer.updates == hundreds * FLUSH == hundreds * 100
        for moment in optimizer.moments:
            np.testing.assert_array_equal(moment != 0, [False, False, True, True, True, True])


def test_linear_are_those_whose_step_is_linear_in_the_gradients():
    linear = {name for name, made in OPTIMIZERS.items() if made in LINEAR}
    assert linear == {"sgd", "momentum", "nesterov"}


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_lr_may_come_with_the_gradients_of_linear_ones(name):
    plain, folded = OPTIMIZERS[name](), OPTIMIZERS[name]()
    w, v = np.array(START), np.array(START)
    for step in range(30):
        lr = 0.1 * (1 - step / 30)  # also where it changes
        plain.update(w, slopes(w), lr)
        folded.update(v, lr * slopes(v), 1.0)
        np.testing.assert_allclose(v, w, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_each_made_one_has_its_own_state(name):
    np.testing.assert_array_equal(
        descend(OPTIMIZERS[name](), 0.1, 5), descend(OPTIMIZERS[name](), 0.1, 5)
    )


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        *[
            (name, {"weight_decay": -1}, "weight_decay: expected a finite number >= 0, got -1")
            for name in OPTIMIZERS
        ],
        ("adam", {"weight_decay": "1"}, "weight_decay: expected a finite number >= 0, got '1'"),
        ("momentum", {"momentum": 1}, "momentum: expected a finite number >= 0 and < 1, got 1"),
        ("nesterov", {"momentum": "a"}, "momentum: expected a finite number >= 0 and < 1, got 'a'"),
        *[
            (name, {"eps": -1.0}, "eps: expected a finite number >= 0, got -1.0")
            for name in ("adagrad", "rmsprop", "adam")
        ],
        ("rmsprop", {"alpha": 1.5}, "alpha: expected a finite number >= 0 and < 1, got 1.5"),
        ("adam", {"beta1": 1.0}, "beta1: expected a finite number >= 0 and < 1, got 1.0"),
        ("adam", {"beta2": -0.1}, "beta2: expected a finite number >= 0 and < 1, got -0.1"),
    ],
)
def test_bad_parameters(name, params, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        OPTIMIZERS[name](**params)

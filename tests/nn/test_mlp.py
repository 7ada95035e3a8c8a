import itertools
import re

import numpy as np
import pytest

from runner.nn.activations import ACTIVATIONS
from runner.nn.checks import NeuralNetworkError
from runner.nn.initializers import INITIALIZERS
from runner.nn.losses import LOSSES, head
from runner.nn.mlp import MLP
from runner.nn.numerical import gradient
from runner.nn.outputs import OUTPUTS

PAIRS = [(output, loss) for output in OUTPUTS for loss in LOSSES]
GELU_TANH = ("gelu", {"approximate": "tanh"})
ALL_ACTIVATIONS = [*((name, {}) for name in ACTIVATIONS), GELU_TANH]


def network(sizes, activation="sigmoid", output="softmax", dtype=np.float64, seed=0, **params):
    """A network with random weights and biases."""
    hidden = [ACTIVATIONS[activation](**params)] * (len(sizes) - 2)
    net = MLP(sizes, hidden, OUTPUTS[output](), dtype)
    rng = np.random.default_rng(seed)
    net.initialize(
        INITIALIZERS["gaussian"](std=0.7), [activation] * len(hidden) + [output], rng=rng
    )
    for b in net.b:
        b[...] = rng.normal(0, 0.3, b.shape)
    return net


def samples(inputs, classes, batch=12, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, inputs)).astype(dtype)
    return x, np.eye(classes, dtype=dtype)[rng.integers(classes, size=batch)]


def head_of(output, loss="cross_entropy"):
    # Exact: the book's 1e-7 is in the loss, but not in its gradient y - t.
    exact = loss == "cross_entropy" and output != "step"
    params = {"delta": 0} if exact else {}
    return head(LOSSES[loss](**params), OUTPUTS[output](), output)


def three_layers():
    net = MLP([2, 3, 2, 2], [ACTIVATIONS["sigmoid"]()] * 2, OUTPUTS["identity"](), np.float64)
    W1 = [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]]
    W2 = [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]
    W3 = [[0.1, 0.3], [0.2, 0.4]]
    net.set_weights([W1, W2, W3], [[0.1, 0.2, 0.3], [0.1, 0.2], [0.1, 0.2]])
    return net


def test_book_three_layer_network():
    expected = {
        "a1": [0.3, 0.7, 1.1],
        "z1": [0.5744425168, 0.6681877722, 0.7502601056],
        "a2": [0.5161598378, 1.2140269562],
        "z2": [0.6262493704, 0.7710106969],
        "y": [0.31682708, 0.69627909],
    }
    arrays = dict(three_layers().trace(np.array([[1.0, 0.5]])))
    for name, value in expected.items():
        np.testing.assert_allclose(arrays[name], [value], rtol=0, atol=5e-9)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([0, 0], [0.3080685345, 0.6768389367]),
        ([1, 1], [0.3196068495, 0.7024580489]),
        ([1, 0.5], [0.31682708, 0.69627909]),
    ],
)
def test_the_output_follows_the_input(x, y):
    np.testing.assert_allclose(three_layers().forward(np.array([x])), [y], rtol=0, atol=5e-9)


def test_fixed_perceptrons_and_xor_by_composition():
    x = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    step = ACTIVATIONS["step"]()
    single = MLP([2, 3], [], OUTPUTS["step"](), np.float64)  # AND, NAND, OR at once
    single.set_weights([[[0.5, -0.5, 1], [0.5, -0.5, 1]]], [[-0.7, 0.7, -0.5]])
    expected = [[0, 0, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1]]
    np.testing.assert_array_equal(single.forward(x).T, expected)

    xor = MLP([2, 2, 1], [step], OUTPUTS["step"](), np.float64)
    xor.set_weights([[[-0.5, 1], [-0.5, 1]], [[0.5], [0.5]]], [[0.7, -0.5], [-0.7]])
    np.testing.assert_array_equal(dict(xor.trace(x))["z1"].T, expected[1:])
    np.testing.assert_array_equal(xor.forward(x)[:, 0], [0, 1, 1, 0])


def test_linear_activations_collapse():
    net = network([4, 5, 6, 3], "identity", "identity")
    x, _ = samples(4, 3)
    W = net.W[0] @ net.W[1] @ net.W[2]
    b = (net.b[0] @ net.W[1] + net.b[1]) @ net.W[2] + net.b[2]
    np.testing.assert_allclose(net.forward(x), x @ W + b, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("batch", "hidden"), [(1, [50, 100]), (100, [50, 100]), (7, [])])
def test_trace_names_every_array_in_order(batch, hidden):
    net = network([784, *hidden, 10], "relu", dtype=np.float32)
    x = np.zeros((batch, 784), np.float32)
    arrays = net.trace(x)
    sizes = [784, *hidden, 10]
    shapes = [("x", (batch, 784))]
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1):
        shapes += [(f"W{i}", (fan_in, fan_out)), (f"b{i}", (fan_out,)), (f"a{i}", (batch, fan_out))]
        shapes += [(f"z{i}", (batch, fan_out))] if i <= len(hidden) else []
    shapes.append(("y", (batch, 10)))
    assert [(name, array.shape) for name, array in arrays] == shapes
    assert {array.dtype for _, array in arrays} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(arrays[-1][1], net.forward(x))
    np.testing.assert_array_equal(dict(arrays)[f"a{len(sizes) - 1}"], net.logits(x))


def test_number_of_parameters_of_the_books_network():
    assert network([784, 50, 100, 10]).parameters.shape == (45_360,)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
@pytest.mark.parametrize(("activation", "params"), ALL_ACTIVATIONS)
def test_backward_equals_the_numerical_gradient(activation, params, output, loss):
    net = network([4, 5, 6, 3], activation, output, seed=3, **params)
    x, t = samples(4, 3, batch=12, seed=4)
    pair = head_of(output, loss)
    kinks = [a for name, a in net.trace(x) if name[0] == "a"]
    assert min(np.abs(a).min() for a in kinks) > 1e-4  # no step h crosses one

    value = net.backward(x, t, pair)
    assert value == pair.value(net.logits(x), t)

    def loss_at(parameters):
        net.parameters[...] = parameters
        return pair.value(net.logits(x), t)

    numerical = gradient(loss_at, net.parameters, h=1e-5)
    difference = np.linalg.norm(net.gradients - numerical)
    assert difference <= 1e-6 * np.linalg.norm(numerical)
    assert (np.linalg.norm(numerical) > 0) == (output != "step")


def test_gradients_of_different_activations_per_layer():
    names = ["tanh", "relu"]
    net = MLP([3, 4, 5, 2], [ACTIVATIONS[name]() for name in names], OUTPUTS["softmax"](), float)
    net.parameters[...] = np.random.default_rng(1).normal(size=net.parameters.shape)
    x, t = samples(3, 2)
    pair = head_of("softmax")
    net.backward(x, t, pair)

    def loss_at(parameters):
        net.parameters[...] = parameters
        return pair.value(net.logits(x), t)

    numerical = gradient(loss_at, net.parameters, h=1e-5)
    np.testing.assert_allclose(net.gradients, numerical, rtol=1e-6, atol=1e-9)


def test_gradients_are_the_mean_over_the_batch():
    net = network([4, 5, 3])
    x, t = samples(4, 3)
    net.backward(x, t, head_of("softmax"))
    once = net.gradients.copy()
    net.backward(np.vstack([x, x]), np.vstack([t, t]), head_of("softmax"))
    np.testing.assert_allclose(net.gradients, once, rtol=1e-12)


def test_parameters_and_gradients_are_views_of_one_vector():
    net = network([4, 5, 3])
    for vector, W, b in [(net.parameters, net.W, net.b), (net.gradients, net.dW, net.db)]:
        vector[...] = np.arange(len(vector))
        order = np.concatenate([part.ravel() for pair in zip(W, b, strict=True) for part in pair])
        np.testing.assert_array_equal(order, np.arange(4 * 5 + 5 + 5 * 3 + 3))
        W[1][0, 0] = -1
        assert vector[25] == -1
    assert not np.shares_memory(net.parameters, net.gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("output", "loss"), PAIRS)
@pytest.mark.parametrize(("activation", "params"), ALL_ACTIVATIONS)
def test_every_array_keeps_the_dtype(activation, params, output, loss, dtype):
    x, t = samples(4, 3, dtype=dtype)
    seen = []

    def watched(function):
        def wrapper(*arrays):
            result = function(*arrays)
            seen.extend(array.dtype for array in (*arrays, result) if isinstance(array, np.ndarray))
            return result

        return wrapper

    net = network([4, 5, 6, 3], activation, output, dtype, **params)
    net.activations = [type(a)(*map(watched, a)) for a in net.activations]
    pair = head_of(output, loss)
    net.backward(x, t, type(pair)(*map(watched, pair)))
    seen += [array.dtype for _, array in net.trace(x)] + [net.parameters.dtype, net.gradients.dtype]
    assert set(seen) == {np.dtype(dtype)}
    assert len(seen) > 20


def test_float32_agrees_with_float64():
    x, t = samples(20, 10, batch=50)
    low, high = (network([20, 30, 30, 10], "gelu", dtype=d) for d in (np.float32, np.float64))
    pair = head_of("softmax")
    assert low.backward(x, t, pair) == pytest.approx(high.backward(x, t, pair), rel=1e-6)
    np.testing.assert_allclose(low.gradients, high.gradients, rtol=1e-3, atol=1e-6)


def test_integers_and_wider_inputs_are_cast():
    net = network([2, 3, 2], dtype=np.float32)
    x = [[0, 1], [1, 1]]
    assert net.forward(x).dtype == np.float32
    np.testing.assert_array_equal(net.forward(np.array(x)), net.forward(np.array(x, np.float64)))


def test_set_weights_copies_and_casts():
    W, b = [np.ones((2, 3)), np.ones((3, 1))], [np.zeros(3), np.zeros(1)]
    net = network([2, 3, 1], output="sigmoid", dtype=np.float32)
    net.set_weights(W, b)
    W[0][...] = 7
    assert net.W[0].dtype == np.float32
    assert (net.W[0] == 1).all()
    assert net.parameters.sum() == 9


def test_initialize_asks_for_each_layer_and_zeroes_the_biases():
    asked = []

    def initializer(fan_in, fan_out, name, *, rng, dtype):
        asked.append((fan_in, fan_out, name, np.dtype(dtype)))
        return rng.random((fan_in, fan_out))

    net = network([4, 5, 3], "relu", dtype=np.float32)
    net.initialize(initializer, ["relu", "softmax"], rng=np.random.default_rng(0))
    float32 = np.dtype(np.float32)
    assert asked == [(4, 5, "relu", float32), (5, 3, "softmax", float32)]
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(net.W[0], rng.random((4, 5)).astype(np.float32))
    assert not any(b.any() for b in net.b)


def test_network_without_hidden_layers():
    net = network([2, 1], output="sigmoid")
    x, _ = samples(2, 2)
    np.testing.assert_allclose(net.forward(x), 1 / (1 + np.exp(-x @ net.W[0] - net.b[0])))


@pytest.mark.parametrize(
    ("sizes", "hidden", "dtype", "message"),
    [
        ([3], 0, np.float32, "sizes: expected two or more of at least 1, got [3]"),
        ([3, 0, 2], 1, np.float32, "sizes: expected two or more of at least 1, got [3, 0, 2]"),
        ([3, 4, 2], 2, np.float32, "activations: expected 1, got 2"),
        ([3, 2], 0, np.float16, "dtype: expected float32 or float64, got float16"),
        ([3, 2], 0, int, f"dtype: expected float32 or float64, got {np.dtype(int)}"),
    ],
)
def test_bad_networks(sizes, hidden, dtype, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        MLP(sizes, [ACTIVATIONS["relu"]()] * hidden, OUTPUTS["softmax"](), dtype)


@pytest.mark.parametrize("method", ["forward", "logits", "trace"])
@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 2, 2), ()])
def test_bad_inputs(method, shape):
    message = f"x: expected (batch, 4), got {shape}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        getattr(network([4, 5, 3]), method)(np.zeros(shape))


@pytest.mark.parametrize("shape", [(12,), (12, 1), (1, 3), (3,), (11, 3)])
def test_bad_targets(shape):
    x, _ = samples(4, 3)
    message = f"t: expected (12, 3), got {shape}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        network([4, 5, 3]).backward(x, np.zeros(shape), head_of("softmax"))


@pytest.mark.parametrize(
    ("W", "b", "message"),
    [
        ([(4, 5)], [(5,), (3,)], "W: expected 2 arrays, got 1"),
        ([(4, 5), (5, 3)], [(5,)], "b: expected 2 arrays, got 1"),
        ([(4, 5), (3, 5)], [(5,), (3,)], "W2: expected (5, 3), got (3, 5)"),
        ([(4, 5), (5, 3)], [(5,), (1,)], "b2: expected (3,), got (1,)"),
    ],
)
def test_bad_weights_change_nothing(W, b, message):
    net = network([4, 5, 3])
    before = net.parameters.copy()
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        net.set_weights([np.ones(shape) for shape in W], [np.ones(shape) for shape in b])
    np.testing.assert_array_equal(net.parameters, before)


def test_bad_number_of_names():
    message = "names: expected 2, got 1"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        network([4, 5, 3]).initialize(
            INITIALIZERS["auto"](), ["relu"], rng=np.random.default_rng(0)
        )

import itertools
import re

import numpy as np
import pytest

from runner.nn.activations import ACTIVATIONS
from runner.nn.checks import NeuralNetworkError
from runner.nn.initializers import INITIALIZERS
from runner.nn.mlp import MLP, ROWS, Forward, layers
from runner.nn.outputs import OUTPUTS

BAD_INPUTS = pytest.mark.parametrize(
    ("shape", "expected"),
    [((4,), (4, 4)), ((2, 3), (2, 4)), ((2, 2, 2), (2, 4)), ((2, 5), (2, 4)), ((), (1, 4))],
)


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


def samples(inputs, batch=12, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, inputs)).astype(dtype)


def plain(net, x):
    """The logits by the book's formula alone, in float64."""
    z = np.asarray(x, np.float64)
    for i, (W, b) in enumerate(zip(net.W, net.b, strict=True)):
        a = z @ W.astype(np.float64) + b
        z = net.activations[i].forward(a) if i < len(net.activations) else a
    return z


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
    x = samples(4)
    W = net.W[0] @ net.W[1] @ net.W[2]
    b = (net.b[0] @ net.W[1] + net.b[1]) @ net.W[2] + net.b[2]
    np.testing.assert_allclose(net.forward(x), x @ W + b, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("batch", "hidden"), [(1, [50, 100]), (100, [50, 100]), (7, [])])
def test_trace_names_every_array_in_order(batch, hidden):
    net = network([784, *hidden, 10], "relu", dtype=np.float32)
    x = samples(784, batch, np.float32) / 28
    arrays = net.trace(x)
    sizes = [784, *hidden, 10]
    shapes = [("x", (batch, 784))]
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1):
        shapes += [(f"W{i}", (fan_in, fan_out)), (f"b{i}", (fan_out,)), (f"a{i}", (batch, fan_out))]
        shapes += [(f"z{i}", (batch, fan_out))] if i <= len(hidden) else []
    shapes.append(("y", (batch, 10)))
    assert [(name, array.shape) for name, array in arrays] == shapes
    assert {array.dtype for _, array in arrays} == {np.dtype(np.float32)}
    last = dict(arrays)[f"a{len(sizes) - 1}"]
    np.testing.assert_allclose(last, net.logits(x), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(arrays[-1][1], net.output.forward(last))


def test_number_of_parameters_of_the_books_network():
    assert network([784, 50, 100, 10]).parameters.shape == (45_360,)


def test_parameters_are_one_vector_by_layer_the_biases_after_the_weights():
    net = network([4, 5, 3])
    net.parameters[...] = np.arange(4 * 5 + 5 + 5 * 3 + 3)
    parts = [part.ravel() for pair in zip(net.W, net.b, strict=True) for part in pair]
    np.testing.assert_array_equal(np.concatenate(parts), net.parameters)
    for Wb, W, b in zip(net.Wb, net.W, net.b, strict=True):
        np.testing.assert_array_equal(Wb, np.vstack([W, b]))
    net.W[1][0, 0], net.b[0][4], net.Wb[1][5, 2] = -1, -2, -3
    assert net.parameters[[25, 24, 42]].tolist() == [-1, -2, -3]


def test_layers_are_views_of_a_vector():
    vector = np.arange(43.0)
    first, second = layers(vector, [(5, 5), (6, 3)])
    np.testing.assert_array_equal(first, np.arange(25.0).reshape(5, 5))
    np.testing.assert_array_equal(second, np.arange(25.0, 43.0).reshape(6, 3))
    second[...] = 0
    assert vector.sum() == sum(range(25))


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 255, 256, 257, 600])
@pytest.mark.parametrize("rows", [1, 4, 7, 64, 256])
@pytest.mark.parametrize("sizes", [[6, 5, 4, 3], [6, 3], [6, 1, 1]])
def test_forward_equals_the_plain_products(sizes, rows, count):
    net, x = network(sizes, "tanh"), samples(6, count)
    a = Forward(net, rows)(x)
    assert a.shape == (count, sizes[-1])
    np.testing.assert_allclose(a, plain(net, x), rtol=0, atol=1e-13)


def test_rows_are_those_of_the_cache_unless_given():
    assert Forward(network([2, 3])).rows == ROWS == 512


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_of_every_activation(activation, dtype):
    net, x = network([6, 5, 4, 3], activation, dtype=dtype), samples(6, 30, dtype)
    a = Forward(net, 7)(x)
    assert a.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(a, plain(net, x), rtol=0, atol=tolerance)
    np.testing.assert_allclose(net.logits(x), a, rtol=0, atol=tolerance)


def test_forward_gives_new_arrays_and_leaves_the_countalone():
    net, x = network([6, 5, 3]), samples(6, 10)
    forward, before = Forward(net, 4), x.copy()
    first = forward(x)
    kept = first.copy()
    second = forward(x[::-1].copy())
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_allclose(second, kept[::-1], rtol=0, atol=1e-13)
    np.testing.assert_array_equal(x, before)


def test_forward_after_a_full_block_and_a_short_one_is_the_same():
    net, x = network([6, 5, 3]), samples(6, 10)
    forward = Forward(net, 8)
    alternating = [forward(x[:size]) for size in (8, 3, 10, 1, 8)]
    for a in alternating:
        np.testing.assert_allclose(a, plain(net, x[: len(a)]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("sizes", [[6, 5, 3], [6, 3]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_goes_into_the_weights_as_into_the_inputs(sizes, dtype):
    net = network(sizes, dtype=dtype)
    x = np.random.default_rng(0).integers(0, 256, (20, 6)).astype(np.uint8)
    before = net.parameters.copy()
    a = Forward(net, 8, 1 / 255)(x)
    assert a.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(a, plain(net, x / 255), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(net.parameters, before)
    assert np.abs(a - Forward(net, 8)(x)).max() > 1


@pytest.mark.parametrize("rows", [4, 8, 256])
def test_forward_has_the_first_weights_as_they_were_and_the_others_as_they_are(rows):
    net, x = network([6, 5, 3]), samples(6)
    forward, before = Forward(net, rows), [Wb.copy() for Wb in net.Wb]
    net.parameters[...] = np.random.default_rng(9).normal(size=net.parameters.shape)
    net.Wb[0][...], last = before[0], net.Wb[1].copy()
    expected = plain(net, x)
    net.Wb[0][...] = 0
    np.testing.assert_allclose(forward(x), expected, rtol=0, atol=1e-13)
    assert (last != before[1]).all()


@pytest.mark.parametrize("dtype", ["u1", "i8", "?", "f2", "f8", ">f4", "u8"])
def test_forward_takes_any_real_dtype_in_any_layout(dtype):
    net = network([6, 5, 3], dtype=np.float32)
    x = np.random.default_rng(0).integers(0, 2, (20, 12)).astype(dtype)
    for view in (x[:, :6], x[:, ::2], np.asfortranarray(x[:, 6:])):
        np.testing.assert_allclose(Forward(net, 8)(view), plain(net, view), rtol=0, atol=1e-5)


@BAD_INPUTS
def test_bad_inputs_of_forward(shape, expected):
    message = f"x: expected {expected}, got {shape}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        Forward(network([4, 5, 3]))(np.zeros(shape))


@pytest.mark.parametrize("output", sorted(OUTPUTS))
def test_forward_of_the_network_is_the_output_of_the_logits(output):
    net, x = network([6, 5, 3], output=output), samples(6, 300)
    np.testing.assert_allclose(net.logits(x), plain(net, x), rtol=0, atol=1e-13)
    expected = OUTPUTS[output]().forward(plain(net, x))
    np.testing.assert_allclose(net.forward(x), expected, rtol=0, atol=1e-13)


def test_no_countgive_no_outputs():
    assert network([4, 5, 3]).forward(np.empty((0, 4))).shape == (0, 3)


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
    x = samples(2)
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
@BAD_INPUTS
def test_bad_inputs(method, shape, expected):
    message = f"x: expected {expected}, got {shape}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        getattr(network([4, 5, 3]), method)(np.zeros(shape))


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

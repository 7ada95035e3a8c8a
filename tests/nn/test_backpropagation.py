import re

import numpy as np
import pytest

from runner.nn.activations import ACTIVATIONS
from runner.nn.backpropagation import Backpropagation
from runner.nn.checks import NeuralNetworkError
from runner.nn.losses import LOSSES, head
from runner.nn.mlp import MLP
from runner.nn.numerical import gradient
from runner.nn.outputs import OUTPUTS
from runner.nn.regularization import Dropout

# No gradient passes through votes; with cross-entropy they are not taken.
VOTES = [("pairwise", "sum_squares")]
PAIRS = [(output, loss) for output in OUTPUTS for loss in LOSSES if (output, loss) not in VOTES]
GELU_TANH = ("gelu", {"approximate": "tanh"})
ALL_ACTIVATIONS = [*((name, {}) for name in ACTIVATIONS), GELU_TANH]


def generator():
    return np.random.default_rng(5)


def network(sizes, activations="sigmoid", output="softmax", dtype=np.float64, **params):
    """A network with random weights and biases, of one activation or of one a layer."""
    names = [activations] * (len(sizes) - 2) if isinstance(activations, str) else activations
    net = MLP(sizes, [ACTIVATIONS[name](**params) for name in names], OUTPUTS[output](), dtype)
    net.parameters[...] = generator().normal(0, 0.7, net.parameters.shape)
    return net


def samples(inputs, classes, batch=12, dtype=np.float64):
    """Inputs with the column of ones, and one-hot targets."""
    rng = np.random.default_rng(4)
    x1 = np.column_stack([rng.normal(size=(batch, inputs)), np.ones(batch)])
    return x1.astype(dtype), np.eye(classes, dtype=dtype)[rng.integers(classes, size=batch)]


def head_of(output="softmax", loss="cross_entropy"):
    # Exact: the book's 1e-7 is in the loss, but not in its gradient y - t.
    exact = loss == "cross_entropy" and output != "step"
    return head(LOSSES[loss](**({"delta": 0} if exact else {})), OUTPUTS[output](), output)


def plain(net, x1, t, pair, masks=None):
    """Loss and gradient layer by layer, with W and b apart and new arrays (book ch. 5.7).

    ``masks`` multiply the outputs of the hidden layers.
    """
    z, slopes, pieces = [x1[:, :-1]], [], [activation.pieces for activation in net.activations]
    for i, (W, b) in enumerate(zip(net.W, net.b, strict=True)):
        a = z[i] @ W + b
        if i < len(net.activations):
            z.append(net.activations[i].forward(a))
            slopes.append(net.activations[i].slope(a))
            if masks is not None:
                z[-1] *= masks[i]
                slopes[-1] *= np.tile(masks[i], pieces[i])
    da = np.empty_like(a)
    loss = pair.backward(a, t, da)
    parts = []
    for i in reversed(range(len(net.W))):
        parts = [(z[i].T @ da).ravel(), da.sum(axis=0), *parts]
        if i > 0:
            da = np.tile(da @ net.W[i].T, pieces[i - 1]) * slopes[i - 1]
    return loss, np.concatenate(parts)


def nearest_kink(net, x1):
    """How far from a kink of its activation the nearest unit is."""
    a = [a for name, a in net.trace(x1[:, :-1]) if name[0] == "a"]
    if net.activations[0].pieces == 1:
        return min(np.abs(each).min() for each in a)
    by_piece = [np.sort(each.reshape(len(x1), 5, -1), axis=1) for each in a[:-1]]
    return min((each[:, -1] - each[:, -2]).min() for each in by_piece)


def numerical(net, f):
    """The gradient of f() in the parameters by finite differences."""

    def at(parameters):
        net.parameters[...] = parameters
        return f()

    return gradient(at, net.parameters, h=1e-5)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
@pytest.mark.parametrize(("activation", "params"), ALL_ACTIVATIONS)
def test_equals_the_numerical_gradient(activation, params, output, loss):
    net = network([4, 5, 6, 3], activation, output, **params)
    x1, t = samples(4, 3)
    pair = head_of(output, loss)
    assert nearest_kink(net, x1) > 1e-4  # no step h crosses one

    propagate, before = Backpropagation(net, pair), net.parameters.copy()
    value = propagate(x1, t)
    np.testing.assert_array_equal(net.parameters, before)
    assert type(value) is float
    assert value == pytest.approx(pair.value(net.logits(x1[:, :-1]), t), rel=1e-13)

    expected = numerical(net, lambda: pair.value(net.logits(x1[:, :-1]), t))
    difference = np.linalg.norm(propagate.gradients - expected)
    assert difference <= 1e-6 * np.linalg.norm(expected)
    assert (np.linalg.norm(expected) > 0) == (output != "step")


def test_of_different_activations_per_layer():
    net = network([3, 4, 5, 4, 2], ["tanh", "relu", "gelu"])
    x1, t = samples(3, 2)
    propagate = Backpropagation(net, head_of())
    propagate(x1, t)
    expected = numerical(net, lambda: head_of().value(net.logits(x1[:, :-1]), t))
    np.testing.assert_allclose(propagate.gradients, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sizes", [[4, 3], [4, 1], [1, 1], [1, 1, 1], [4, 5, 3], [2, 9, 7, 8, 3]])
def test_equals_the_plain_one_for_any_depth_and_width(sizes):
    net, pair = network(sizes, "tanh", "sigmoid"), head_of("sigmoid")
    x1, _ = samples(sizes[0], 2)
    t = np.random.default_rng(0).integers(0, 2, (12, sizes[-1])).astype(float)
    propagate = Backpropagation(net, pair)
    loss, gradients = plain(net, x1, t, pair)
    assert propagate(x1, t) == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(propagate.gradients, gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_batches_of_fewer_rows_in_any_order_of_sizes(output, loss):
    net, pair = network([4, 5, 6, 3], "tanh", output), head_of(output, loss)
    x1, t = samples(4, 3, batch=20)
    propagate = Backpropagation(net, pair)
    start = 0
    for size in (16, 1, 16, 7, 7, 16, 2, 15):
        chosen = np.arange(start, start + size) % 20
        start += size
        expected, gradients = plain(net, x1[chosen], t[chosen], pair)
        assert propagate(x1[chosen], t[chosen]) == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(propagate.gradients, gradients, rtol=1e-12, atol=1e-15)


def test_follows_the_parameters_of_the_network():
    net, (x1, t) = network([4, 5, 3]), samples(4, 3)
    propagate = Backpropagation(net, head_of())
    first = propagate(x1, t)
    net.parameters *= 0.5
    expected, gradients = plain(net, x1, t, head_of())
    assert propagate(x1, t) == pytest.approx(expected, rel=1e-13) != first
    np.testing.assert_allclose(propagate.gradients, gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("sizes", [[4, 1, 3], [4, 5, 3], [2, 9, 7, 8, 3]])
def test_maxout_equals_the_plain_one_for_any_number_of_pieces(sizes, pieces):
    net, (x1, t) = network(sizes, "maxout", pieces=pieces), samples(sizes[0], 3)
    assert [W.shape[1] for W in net.W] == [*(units * pieces for units in sizes[1:-1]), 3]
    propagate = Backpropagation(net, head_of())
    for size in (12, 3, 12):
        loss, gradients = plain(net, x1[:size], t[:size], head_of())
        assert propagate(x1[:size], t[:size]) == pytest.approx(loss, rel=1e-13)
        np.testing.assert_allclose(propagate.gradients, gradients, rtol=1e-12, atol=1e-15)


def test_of_maxout_beside_other_activations():
    names = ["maxout", "tanh", "maxout"]
    net, (x1, t) = network([3, 4, 5, 4, 2], names), samples(3, 2)
    propagate = Backpropagation(net, head_of())
    propagate(x1, t)
    expected = numerical(net, lambda: head_of().value(net.logits(x1[:, :-1]), t))
    np.testing.assert_allclose(propagate.gradients, expected, rtol=1e-6, atol=1e-9)


def test_is_the_mean_over_the_batch():
    net, (x1, t) = network([4, 5, 3]), samples(4, 3)
    propagate = Backpropagation(net, head_of())
    loss = propagate(x1, t)
    once = propagate.gradients.copy()
    assert propagate(np.vstack([x1, x1]), np.vstack([t, t])) == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(propagate.gradients, once, rtol=1e-12)


def test_gradients_are_one_vector_in_the_order_of_the_parameters():
    net, (x1, t) = network([4, 5, 3]), samples(4, 3)
    propagate = Backpropagation(net, head_of())
    propagate(x1, t)
    assert propagate.gradients.shape == net.parameters.shape
    assert [dWb.shape for dWb in propagate.dWb] == [Wb.shape for Wb in net.Wb] == [(5, 5), (6, 3)]
    joined = np.concatenate([dWb.ravel() for dWb in propagate.dWb])
    np.testing.assert_array_equal(joined, propagate.gradients)
    assert all(np.shares_memory(dWb, propagate.gradients) for dWb in propagate.dWb)
    assert not np.shares_memory(net.parameters, propagate.gradients)


@pytest.mark.parametrize("layout", ["C", "F", "wide"])
def test_leaves_its_arguments_alone_in_any_layout(layout):
    net, (x1, t) = network([4, 5, 3]), samples(4, 3)
    expected, gradients = plain(net, x1, t, head_of())
    given = {"C": (x1, t), "F": (np.asfortranarray(x1), np.asfortranarray(t))}
    given["wide"] = np.hstack([x1, x1])[:, :5], np.vstack([t.T, t.T])[:3].T
    propagate = Backpropagation(net, head_of())
    assert propagate(*given[layout]) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(propagate.gradients, gradients, rtol=1e-12, atol=1e-15)
    for array, before in zip(given[layout], (x1, t), strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("sizes", [[6, 5, 3], [6, 3]])
@pytest.mark.parametrize("first", [1, 3, 6])
def test_from_the_first_input_that_is_not_0(sizes, first):
    net, (x1, t) = network(sizes), samples(6, 3)
    x1[:, :first] = 0
    propagate = Backpropagation(net, head_of())
    propagate.gradients[...] = np.nan  # nothing of before is left
    expected, gradients = plain(net, x1, t, head_of())
    assert propagate(np.ascontiguousarray(x1[:, first:]), t, first) == pytest.approx(expected)
    np.testing.assert_allclose(propagate.gradients, gradients, rtol=1e-12, atol=1e-15)
    assert (propagate.dWb[0][:first] == 0).all()


@pytest.mark.parametrize("sizes", [[4, 5, 6, 3], [4, 3]])
@pytest.mark.parametrize("factor", [0.25, 0.1, 0.0, 3])
def test_factor_is_in_the_gradients_and_not_in_the_loss(sizes, factor):
    net, (x1, t) = network(sizes), samples(4, 3)
    propagate = Backpropagation(net, head_of())
    loss = propagate(x1, t)
    plainly = propagate.gradients.copy()
    assert propagate(x1, t, factor=factor) == loss
    np.testing.assert_allclose(propagate.gradients, factor * plainly, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("output", "loss"), PAIRS)
@pytest.mark.parametrize(("activation", "params"), ALL_ACTIVATIONS)
def test_every_array_keeps_the_dtype(activation, params, output, loss, dtype):
    seen = []

    def watched(function):
        def wrapper(*arrays, **options):
            result = function(*arrays, **options)
            seen.extend(array.dtype for array in (*arrays, result) if isinstance(array, np.ndarray))
            return result

        return wrapper if callable(function) else function

    net = network([4, 5, 6, 3], activation, output, dtype, **params)
    net.activations = [type(a)(*map(watched, a)) for a in net.activations]
    pair = head_of(output, loss)
    propagate = Backpropagation(net, type(pair)(*map(watched, pair)), Dropout(0.5, generator()))
    propagate(*samples(4, 3, dtype=dtype), factor=0.1)
    assert set(seen) == {np.dtype(dtype)}
    assert len(seen) == 2 * 3 + 3
    assert net.parameters.dtype == propagate.gradients.dtype == dtype


@pytest.mark.parametrize("activation", ["gelu", "maxout", "relu", "sigmoid"])
def test_float32_agrees_with_float64(activation):
    losses, gradients = [], []
    for dtype in (np.float32, np.float64):
        net = network([20, 30, 30, 10], activation, dtype=dtype)
        propagate = Backpropagation(net, head_of())
        losses.append(propagate(*samples(20, 10, 50, dtype)))
        gradients.append(propagate.gradients)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    np.testing.assert_allclose(*gradients, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("activation", ["tanh", "maxout"])
def test_dropout_leaves_out_hidden_units_and_their_gradient_and_no_bias(activation):
    net, (x1, t) = network([4, 30, 20, 3], activation), samples(4, 3)
    propagate = Backpropagation(net, head_of(), Dropout(0.4, generator()))
    rng = generator()
    for size in (12, 5):  # the masks of one layer after the other, anew for each batch
        shapes = [(size, 30), (size, 20)]
        masks = [(rng.random(shape, np.float32) >= 0.4) / 0.6 for shape in shapes]
        expected, gradients = plain(net, x1[:size], t[:size], head_of(), masks)
        assert propagate(x1[:size], t[:size]) == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(propagate.gradients, gradients, rtol=1e-12, atol=1e-15)


def test_same_arguments_same_bits():
    net, (x1, t) = network([4, 5, 3], dtype=np.float32), samples(4, 3, dtype=np.float32)
    found = []
    for _ in range(2):
        propagate = Backpropagation(net, head_of())
        found += [(propagate(x1, t), propagate.gradients.copy()) for _ in range(2)]
    assert len({loss for loss, _ in found}) == 1
    assert len({gradients.tobytes() for _, gradients in found}) == 1


@pytest.mark.parametrize(("columns", "first"), [(4, 0), (6, 0), (1, 0), (5, 2), (2, 2)])
def test_bad_inputs(columns, first):
    _, t = samples(4, 3)
    message = f"x: expected (12, {5 - first}), got (12, {columns})"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        Backpropagation(network([4, 5, 3]), head_of())(np.zeros((12, columns)), t, first)


@pytest.mark.parametrize("shape", [(12,), (12, 1), (1, 3), (3,), (11, 3), (12, 3, 1)])
def test_bad_targets(shape):
    x1, _ = samples(4, 3)
    message = f"t: expected (12, 3), got {shape}"
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        Backpropagation(network([4, 5, 3]), head_of())(x1, np.zeros(shape))

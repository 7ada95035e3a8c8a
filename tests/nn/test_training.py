import itertools
import math
import re

import numpy as np
import pytest
from scipy import special
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from runner.nn import training
from runner.nn.activations import ACTIVATIONS
from runner.nn.checks import NeuralNetworkError
from runner.nn.initializers import INITIALIZERS
from runner.nn.losses import LOSSES, head
from runner.nn.mlp import MLP
from runner.nn.optimizers import OPTIMIZERS
from runner.nn.outputs import OUTPUTS, decide
from runner.nn.schedules import SCHEDULES
from runner.nn.training import Diverged, evaluate, fit

HEAD = head(LOSSES["cross_entropy"](delta=0), OUTPUTS["softmax"](), "softmax")
IMAGES, LABELS = load_digits(return_X_y=True)
X, T = IMAGES.astype(np.uint8), np.eye(10)[LABELS]


def sixteenths(x):
    """Pixels 0..16 as float32 in [0, 1]."""
    return x.astype(np.float32) / 16


def network(sizes=(64, 20, 10), activation="relu", dtype=np.float64, seed=1):
    hidden = [ACTIVATIONS[activation]()] * (len(sizes) - 2)
    net = MLP(sizes, hidden, OUTPUTS["softmax"](), dtype)
    names = [activation] * len(hidden) + ["softmax"]
    net.initialize(INITIALIZERS["auto"](), names, rng=np.random.default_rng(seed))
    return net


def train(net, x=X, t=T, **changes):
    options = {
        "head": HEAD,
        "optimizer": OPTIMIZERS["sgd"](),
        "lr": 0.1,
        "schedule": SCHEDULES["constant"](),
        "batch_size": 100,
        "epochs": 3,
        "rng": np.random.default_rng(0),
        "prepare": sixteenths,
    }
    return fit(net, x, t, **options | changes)


def textbook(W1, b1, W2, b2, x, t, orders, batch_size, rates, momentum):
    """The book's two-layer network and loop, written out: ReLU, softmax, cross-entropy, momentum.

    Yields the parameters after each update and the batch's loss.
    """
    parameters = [W1.copy(), b1.copy(), W2.copy(), b2.copy()]
    velocities = [np.zeros_like(p) for p in parameters]
    rates = iter(rates)
    for order in orders:
        for first in range(0, len(x), batch_size):
            batch = order[first : first + batch_size]
            W1, b1, W2, b2 = parameters
            a1 = x[batch] @ W1 + b1
            z1 = np.maximum(a1, 0)
            y = special.softmax(z1 @ W2 + b2, axis=1)
            loss = -np.sum(t[batch] * np.log(y)) / len(batch)
            dy = (y - t[batch]) / len(batch)
            da1 = (dy @ W2.T) * (a1 > 0)
            gradients = [x[batch].T @ da1, da1.sum(axis=0), z1.T @ dy, dy.sum(axis=0)]
            lr = next(rates)
            for p, v, g in zip(parameters, velocities, gradients, strict=True):
                v[...] = momentum * v - lr * g
                p += v
            yield np.concatenate([p.ravel() for p in parameters]), loss, len(batch)


class Spy:
    """An optimizer that keeps what another one made of the parameters, and the rates."""

    def __init__(self, optimizer):
        self.optimizer, self.path, self.rates = optimizer, [], []

    def update(self, parameters, gradients, lr):
        self.optimizer.update(parameters, gradients, lr)
        self.path.append(parameters.copy())
        self.rates.append(lr)


def test_equals_the_textbook_step_by_step():
    net, rng = network(), np.random.default_rng(7)
    orders = [rng.permutation(len(X)) for _ in range(2)]
    steps = 2 * math.ceil(len(X) / 100)
    rates = [0.2 * (1 - step / steps) for step in range(steps)]
    weights = net.W[0], net.b[0], net.W[1], net.b[1]
    expected = list(textbook(*weights, X / 16, T, orders, 100, rates, momentum=0.9))

    spy = Spy(OPTIMIZERS["momentum"]())
    options = {"optimizer": spy, "lr": 0.2, "schedule": SCHEDULES["linear"](), "epochs": 2}
    records = list(train(net, rng=np.random.default_rng(7), **options))

    assert len(spy.path) == len(expected) == steps == 36
    for parameters, (textbook_parameters, _, _) in zip(spy.path, expected, strict=True):
        np.testing.assert_allclose(parameters, textbook_parameters, rtol=0, atol=1e-12)
    assert spy.rates == pytest.approx(rates, rel=1e-15)
    for i, record in enumerate(records):
        epoch = expected[18 * i : 18 * (i + 1)]
        mean = sum(loss * batch for _, loss, batch in epoch) / len(X)
        assert record.train_loss == pytest.approx(mean, rel=1e-12)
        assert (record.epoch, record.updates) == (i + 1, 18 * (i + 1))
        assert record.lr == pytest.approx(rates[18 * (i + 1) - 1])


def test_equals_scikit_learn():
    # Full batches, so that the order of the samples does not matter; both from the same weights.
    theirs = MLPClassifier(
        (20,), activation="tanh", solver="sgd", alpha=0, batch_size=len(X), momentum=0,
        learning_rate_init=0.2, random_state=0,
    )  # fmt: skip
    theirs.partial_fit(X / 16, LABELS, classes=range(10))
    net = network(activation="tanh")
    net.set_weights(theirs.coefs_, theirs.intercepts_)
    losses = []
    for _ in range(15):
        theirs.partial_fit(X / 16, LABELS)
        losses.append(theirs.loss_)
    records = list(train(net, lr=0.2, batch_size=len(X), epochs=15))
    np.testing.assert_allclose([r.train_loss for r in records], losses, rtol=1e-10)
    for ours, W in zip(net.W, theirs.coefs_, strict=True):
        np.testing.assert_allclose(ours, W, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [1, 7, 100, 250, 1000])
def test_every_sample_once_an_epoch_with_a_short_last_batch(batch_size, dtype):
    x, seen = np.arange(250), []

    def prepare(batch):
        seen.append(batch.copy())
        return np.ones((len(batch), 2), np.float32)

    net = network([2, 3], dtype=dtype)
    records = list(
        train(net, x, np.eye(3)[x % 3], prepare=prepare, batch_size=batch_size, epochs=2)
    )
    per_epoch = math.ceil(250 / batch_size)
    assert [len(batch) for batch in seen[:per_epoch]] == [
        min(batch_size, 250 - first) for first in range(0, 250, batch_size)
    ]
    epochs = [np.concatenate(seen[:per_epoch]), np.concatenate(seen[per_epoch:])]
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), x)
    assert (epochs[0] != epochs[1]).any()
    assert [record.updates for record in records] == [per_epoch, 2 * per_epoch]


def test_short_last_batch_weighs_by_its_samples():
    net = network([2, 3])
    x, t = np.arange(5), np.eye(3)[[0, 0, 0, 0, 1]]
    record = next(
        train(net, x, t, lr=0.0, batch_size=4, prepare=lambda x: np.c_[x, -x].astype(float))
    )
    expected = HEAD.value(net.logits(np.c_[x, -x]), t)
    assert record.train_loss == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_float32_stays_float32(name):
    net = network(dtype=np.float32)
    optimizer = Spy(OPTIMIZERS[name]())

    def schedule(step, steps):
        return np.float64(0.5)  # a user's own may well give NumPy's scalars

    list(train(net, optimizer=optimizer, lr=np.float64(0.01), schedule=schedule, epochs=1))
    assert {type(rate) for rate in optimizer.rates} == {float}
    assert {path.dtype for path in optimizer.path} == {np.dtype(np.float32)}
    state = vars(optimizer.optimizer).values()
    assert all(np.asarray(a).dtype == np.float32 for a in state if np.ndim(a))


def test_reads_a_memory_map(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    nets = network(), network()
    for net, x in zip(nets, (X, mapped), strict=True):
        list(train(net, x))
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_same_generator_same_training_and_no_global_randomness():
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    nets = network(), network(), network()
    for net, seed in zip(nets, (5, 5, 6), strict=True):
        list(train(net, rng=np.random.default_rng(seed)))
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert (nets[0].parameters != nets[2].parameters).any()
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_learns_the_digits():
    net = network(dtype=np.float32)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))
    train_part, test_part = order[:1400], order[1400:]
    optimizer = OPTIMIZERS["momentum"]()
    records = list(train(net, X[train_part], T[train_part], optimizer=optimizer, epochs=30))
    loss, y = evaluate(net, X[test_part], T[test_part], HEAD, 100, sixteenths)
    assert records[-1].train_loss < 0.1 * records[0].train_loss
    assert (decide(y) == LABELS[test_part]).mean() >= 0.95
    assert loss < 0.2


def test_seconds_leave_out_what_the_consumer_does(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(training.time, "perf_counter", lambda: float(next(clock)))
    records = []
    for record in train(network()):
        records.append(record)
        for _ in range(100):
            training.time.perf_counter()  # an evaluation that takes 100 s
    assert [record.seconds for record in records] == [1.0, 1.0, 1.0]


def test_divergence_names_epoch_and_step_without_a_warning():
    # ½Σ(y - t)² of a linear network at a far too large rate
    net = MLP([64, 10], [], OUTPUTS["identity"](), np.float32)
    squares = head(LOSSES["sum_squares"](), OUTPUTS["identity"](), "identity")
    records = []
    with pytest.raises(Diverged, match=r"^epoch \d+, step \d+: the loss is (inf|nan)$") as caught:
        records.extend(train(net, head=squares, lr=100.0, epochs=50))
    epoch, step = (int(word) for word in re.findall(r"\d+", str(caught.value)))
    assert epoch == math.ceil(step / 18)
    assert isinstance(caught.value, FloatingPointError)


def test_divergence_stops_before_a_bad_update():
    x = np.zeros((4, 2))
    x[3] = np.inf
    net = network([2, 10])
    before = net.parameters.copy()
    with pytest.raises(Diverged, match=re.escape("epoch 1, step 1: the loss is nan")):
        list(train(net, x, T[:4], prepare=lambda x: x))
    np.testing.assert_array_equal(net.parameters, before)


def test_parameters_that_overflow_in_the_last_update_are_noticed():
    net = MLP([1, 1], [], OUTPUTS["identity"](), np.float32)
    squares = head(LOSSES["sum_squares"](), OUTPUTS["identity"](), "identity")
    options = {"head": squares, "lr": 1e30, "epochs": 1, "prepare": lambda x: x}
    message = "epoch 1, step 1: parameters are not finite"
    with pytest.raises(Diverged, match=f"^{re.escape(message)}$"):
        list(train(net, np.full((1, 1), 1e10), np.ones((1, 1)), **options))


@pytest.mark.parametrize("batch_size", [1, 7, 64, 5000])
def test_evaluate_is_the_same_at_every_batch_size(batch_size):
    net = network(dtype=np.float32)
    loss, y = evaluate(net, X, T, HEAD, batch_size, sixteenths)
    double = network()
    np.testing.assert_allclose(y, double.forward(X / 16), rtol=0, atol=1e-6)
    assert y.dtype == np.float32
    assert loss == pytest.approx(HEAD.value(double.logits(X / 16), T), rel=1e-6)


def test_evaluate_changes_nothing():
    net = network()
    net.gradients[...] = 3
    before = net.parameters.copy()
    evaluate(net, X, T, HEAD, 100, sixteenths)
    np.testing.assert_array_equal(net.parameters, before)
    assert (net.gradients == 3).all()


def test_evaluate_of_logits_that_overflow_is_not_finite_and_silent():
    net = network([64, 10], dtype=np.float32)
    net.parameters[...] = 3e38
    loss, _ = evaluate(net, X, T, HEAD, 100, sixteenths)
    assert not math.isfinite(loss)


@pytest.mark.parametrize(
    ("x", "t", "batch_size", "message"),
    [
        (X, T[1:], 10, "t: expected (1797, 10), got (1796, 10)"),
        (X, LABELS, 10, "t: expected (1797, 10), got (1797,)"),
        (X, T[:, 1:], 10, "t: expected (1797, 10), got (1797, 9)"),
        (X[:0], T[:0], 10, "x: expected at least one sample, got none"),
        (X, T, 0, "batch_size: expected at least 1, got 0"),
    ],
)
def test_bad_arguments(x, t, batch_size, message):
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        next(train(network(), x, t, batch_size=batch_size))
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        evaluate(network(), x, t, HEAD, batch_size, sixteenths)

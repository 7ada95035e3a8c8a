import copy
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
from runner.nn.batches import Batches
from runner.nn.checks import NeuralNetworkError
from runner.nn.initializers import INITIALIZERS
from runner.nn.losses import LOSSES, Head, head
from runner.nn.mlp import MLP
from runner.nn.optimizers import OPTIMIZERS, SGD, AdaGrad
from runner.nn.outputs import OUTPUTS, decide
from runner.nn.regularization import Regularization
from runner.nn.schedules import SCHEDULES
from runner.nn.training import Diverged, fit

HEAD = head(LOSSES["cross_entropy"](delta=0), OUTPUTS["softmax"](), "softmax")
IMAGES, LABELS = load_digits(return_X_y=True)
X, T = IMAGES.astype(np.uint8), np.eye(10)[LABELS]
SIXTEENTH = 1 / 16  # pixels are 0..16

MARGINS = X[:130].copy()
MARGINS[:, :9] = MARGINS[:, 50:60] = 0
SAMPLES = {
    "bytes with margins": MARGINS,  # which are arranged
    "bytes without margins": X[:130] + 1,
    "bytes of an odd width": X[:130, 1:].copy(),
    "floats": IMAGES[:130].astype(np.float32),
    "one sample": MARGINS[:1],
    "samples of 0": np.zeros((5, 64), np.uint8),
}


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
        "scale": SIXTEENTH,
    }
    return fit(net, x, t, **options | changes)


def trained(net, *samples, **changes):
    """The parameters after each epoch, and the records."""
    pairs = [(net.parameters.copy(), record) for record in train(net, *samples, **changes)]
    return [parameters for parameters, _ in pairs], [record for _, record in pairs]


def sgd():
    def update(w, g, lr):
        w -= lr * g

    return update


def momentum(mu=0.9):
    v = 0

    def update(w, g, lr):
        nonlocal v
        v = mu * v - lr * g
        w += v

    return update


def adam(b1=0.9, b2=0.999, eps=1e-7):
    """Kingma & Ba 2015, algorithm 1 in the form at the end of section 2."""
    m = v = k = 0

    def update(w, g, lr):
        nonlocal m, v, k
        k += 1
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        w -= lr * math.sqrt(1 - b2**k) / (1 - b1**k) * m / (np.sqrt(v) + eps)

    return update


RULES = {"sgd": (sgd, 0.2), "momentum": (momentum, 0.05), "adam": (adam, 0.01)}


def textbook(net, x, t, orders, batch_size, rates, update, *, decay=0, clip=None, max_norm=None,
             masks=lambda batch, x: (1, 1)):  # fmt: skip
    """The book's two-layer network and loop, written out: ReLU, softmax, cross-entropy.

    ``masks`` gives what dropout multiplies the inputs and the hidden units of a batch by.
    Yields the parameters after each update, the batch's loss and its size.
    """
    flat, rates = net.parameters.copy(), iter(rates)
    (n, hidden), outputs = net.W[0].shape, len(net.b[1])
    W1, b1, W2, b2 = np.split(flat, np.cumsum([n * hidden, hidden, hidden * outputs]))
    W1, W2 = W1.reshape(n, hidden), W2.reshape(hidden, outputs)
    for order in orders:
        for first in range(0, len(x), batch_size):
            batch = order[first : first + batch_size]
            of_inputs, of_hidden = masks(batch, x)
            x0 = x[batch] * of_inputs
            a1 = x0 @ W1 + b1
            z1 = np.maximum(a1, 0) * of_hidden
            y = special.softmax(z1 @ W2 + b2, axis=1)
            loss = -np.sum(t[batch] * np.log(y)) / len(batch)
            dy = (y - t[batch]) / len(batch)
            da1 = (dy @ W2.T) * (a1 > 0) * of_hidden
            parts = [x0.T @ da1, da1.sum(axis=0), z1.T @ dy, dy.sum(axis=0)]
            g = np.concatenate([part.ravel() for part in parts])
            if clip is not None:
                g *= min(1, clip / np.linalg.norm(g))
            update(flat, g + decay * flat, next(rates))
            for W in (W1, W2) if max_norm is not None else ():
                W *= np.minimum(1, max_norm / np.linalg.norm(W, axis=0))
            yield flat.copy(), loss, len(batch)


def book(net, x, t, rule, lr, batch_size, epochs=3, seed=0, **options):
    """The parameters after each epoch of the textbook's loop, and the mean losses."""
    rng, per_epoch = np.random.default_rng(seed), math.ceil(len(x) / batch_size)
    orders = [rng.permutation(len(x)) for _ in range(epochs)]
    rates = [lr] * (epochs * per_epoch)
    steps = list(textbook(net, x / 16, t, orders, batch_size, rates, rule(), **options))
    epochs_of = [steps[i * per_epoch : (i + 1) * per_epoch] for i in range(epochs)]
    losses = [sum(loss * n for _, loss, n in epoch) / len(x) for epoch in epochs_of]
    return [epoch[-1][0] for epoch in epochs_of], losses


def assert_equals_the_book(net, x, t, name, batch_size, *, decay=0, changes=None, **options):
    """Check parameters and losses of three epochs, and that nothing given was changed."""
    rule, lr = RULES[name]
    wanted, losses = book(net, x, t, rule, lr, batch_size, decay=decay, **options)
    before = x.copy(), t.copy()
    optimizer = OPTIMIZERS[name](weight_decay=decay)
    found, records = trained(
        net, x, t, optimizer=optimizer, lr=lr, batch_size=batch_size, **changes or {}
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose([r.train_loss for r in records], losses, rtol=1e-12)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(t, before[1])
    assert np.abs(np.diff(found, axis=0)).max(axis=1).min() > 1e-6


class Spy:
    """An optimizer that keeps what another one made of the parameters, and the rates."""

    def __init__(self, optimizer):
        self.optimizer, self.path, self.rates = optimizer, [], []

    def update(self, parameters, gradients, lr):
        self.optimizer.update(parameters, gradients, lr)
        self.path.append(parameters.copy())
        self.rates.append(lr)


@pytest.fixture
def met(monkeypatch):
    """The rates that gradient descent itself gets, and how many parameters and gradients."""
    kept, update = [], SGD.update

    def watched(self, parameters, gradients, lr):
        kept.append((lr, len(parameters), len(gradients)))
        update(self, parameters, gradients, lr)

    monkeypatch.setattr(SGD, "update", watched)
    return kept


class Sign(SGD):
    """A user's own, which is not linear in the gradients though SGD is."""

    def step(self, p, g, s, lr, *moments):
        p -= lr * np.sign(g)


class Shrink(AdaGrad):
    """A user's own, which changes also what has a gradient of 0, though AdaGrad does not."""

    def step(self, p, g, s, lr, *moments):
        p *= 1 - lr


def test_equals_the_textbook_step_by_step():
    net, rng = network(), np.random.default_rng(7)
    orders = [rng.permutation(len(X)) for _ in range(2)]
    steps = 2 * math.ceil(len(X) / 100)
    rates = [0.2 * (1 - step / steps) for step in range(steps)]
    expected = list(textbook(net, X / 16, T, orders, 100, rates, momentum()))

    spy = Spy(OPTIMIZERS["momentum"]())
    options = {"optimizer": spy, "lr": 0.2, "schedule": SCHEDULES["linear"](), "epochs": 2}
    records = list(train(net, IMAGES, rng=np.random.default_rng(7), **options))

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


def test_only_bytes_with_margins_are_arranged():
    arranged = {
        what
        for what, x in SAMPLES.items()
        if Batches(x, T[: len(x)], 40, np.dtype(np.float64), 1.0).order is not None
    }
    assert arranged == {"bytes with margins", "one sample", "samples of 0"}


@pytest.mark.parametrize("decay", [0, 0.01])
@pytest.mark.parametrize("batch_size", [7, 40, 1000])  # 130 samples: batches of 4 and 10 at the end
@pytest.mark.parametrize("what", SAMPLES)
@pytest.mark.parametrize("name", RULES)
def test_equals_the_textbook_after_every_epoch(name, what, batch_size, decay):
    x = SAMPLES[what]
    net = network((x.shape[1], 20, 10))
    assert_equals_the_book(net, x, T[: len(x)], name, batch_size, decay=decay)


@pytest.mark.parametrize("what", ["bytes with margins", "floats"])
@pytest.mark.parametrize("name", RULES)
def test_clipped_gradients_equal_the_textbook(name, what):
    x, t, net = SAMPLES[what], T[:130], network()
    options = Regularization(clip_norm=0.5)
    for decay in (0, 0.01):  # which comes after it, as with PyTorch's clip_grad_norm_
        changes = {"regularization": options}
        assert_equals_the_book(net, x, t, name, 40, clip=0.5, decay=decay, changes=changes)
    rule, lr = RULES[name]
    clipped, _ = book(net, x, t, rule, lr, 40, clip=0.5)
    plain, _ = book(net, x, t, rule, lr, 40)
    assert np.abs(clipped[-1] - plain[-1]).max() > 1e-3


@pytest.mark.parametrize("what", ["bytes with margins", "floats"])
@pytest.mark.parametrize("name", RULES)
def test_max_norm_equals_the_textbook(name, what):
    net, changes = network(), {"regularization": Regularization(max_norm=1.2)}
    assert_equals_the_book(net, SAMPLES[what], T[:130], name, 40, max_norm=1.2, changes=changes)
    norms = [np.linalg.norm(W, axis=0) for W in net.W]
    assert max(norm.max() for norm in norms) == pytest.approx(1.2, rel=1e-14)
    assert 0 < sum((norm < 1.19).sum() for norm in norms) < 30


def drawn(rng, shape, p):
    return (rng.random(shape, np.float32) >= p) / (1 - p)


@pytest.mark.parametrize(("p", "inputs"), [(0.5, 0.0), (0.0, 0.2), (0.4, 0.1)])
@pytest.mark.parametrize("what", ["bytes with margins", "bytes of an odd width", "floats"])
@pytest.mark.parametrize("name", RULES)
def test_dropout_equals_the_textbook_with_the_same_masks(name, what, p, inputs):
    x, t, rng = SAMPLES[what], T[:130], np.random.default_rng(3)
    order = Batches(x, t, 40, np.dtype(np.float64), 1.0).order
    order = np.arange(x.shape[1]) if order is None else order

    def masks(batch, x):
        of_inputs, of_hidden = np.ones((len(batch), x.shape[1])), 1
        if inputs:  # drawn for those that are met: inputs from the first that the batch has
            first = 0 if what == "floats" or x.shape[1] % 2 else x[batch][:, order].any(0).argmax()
            of_inputs[:, order[first:]] = drawn(rng, (len(batch), x.shape[1] - first), inputs)
        if p:
            of_hidden = drawn(rng, (len(batch), 20), p)
        return of_inputs, of_hidden

    options = Regularization(dropout=p, input_dropout=inputs)
    changes = {"regularization": options, "dropout_rng": np.random.default_rng(3)}
    net = network((x.shape[1], 20, 10))
    assert_equals_the_book(net, x, t, name, 40, masks=masks, changes=changes)


def test_dropout_does_not_touch_the_order_of_the_samples():
    seen = []
    for options in (Regularization(), Regularization(dropout=0.5, input_dropout=0.1)):
        rng = np.random.default_rng(5)
        changes = {"regularization": options, "dropout_rng": np.random.default_rng(6)}
        list(train(network(), rng=rng, epochs=2, **changes))
        seen.append(rng.bit_generator.state)
    assert seen[0] == seen[1]


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
    # The logit of a network of one weight 1 is its input, which is the number of the sample.
    numbers, seen = np.arange(250.0)[:, None], []

    def backward(a, t, da):
        np.testing.assert_array_equal(a, t)
        assert a.dtype == t.dtype == da.dtype == dtype
        seen.append(t[:, 0].copy())
        da[...] = 0
        return 0.0

    net = MLP([1, 1], [], OUTPUTS["identity"](), dtype)
    net.W[0][...] = 1
    options = {"head": Head(lambda a, t: 0.0, backward), "scale": 1.0, "epochs": 2}
    records = list(train(net, numbers, numbers, batch_size=batch_size, **options))
    per_epoch = math.ceil(250 / batch_size)
    assert [len(batch) for batch in seen[:per_epoch]] == [
        min(batch_size, 250 - first) for first in range(0, 250, batch_size)
    ]
    epochs = [np.concatenate(seen[:per_epoch]), np.concatenate(seen[per_epoch:])]
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), numbers[:, 0])
    assert (epochs[0] != epochs[1]).any()
    assert [record.updates for record in records] == [per_epoch, 2 * per_epoch]


def test_short_last_batch_weighs_by_its_samples():
    net = network([2, 3])
    x, t = np.c_[np.arange(5.0), -np.arange(5.0)], np.eye(3)[[0, 0, 0, 0, 1]]
    record = next(train(net, x, t, lr=0.0, batch_size=4, scale=1.0))
    expected = HEAD.value(net.logits(x), t)
    assert record.train_loss == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("what", ["bytes with margins", "floats"])
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_lr_folded_into_the_loss_equals_lr_in_the_update(name, what):
    options = {"lr": 0.05, "schedule": SCHEDULES["cosine"](), "batch_size": 40}
    nets = network(), network()
    folded = trained(nets[0], SAMPLES[what], T[:130], optimizer=OPTIMIZERS[name](), **options)
    spy = Spy(OPTIMIZERS[name]())  # of which nothing is known
    plain = trained(nets[1], SAMPLES[what], T[:130], optimizer=spy, **options)
    np.testing.assert_allclose(folded[0], plain[0], rtol=0, atol=1e-12)
    for ours, theirs in zip(folded[1], plain[1], strict=True):
        assert ours.lr == theirs.lr
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-12)


@pytest.mark.parametrize(
    ("decay", "options", "rate"),
    [
        (0, {}, 1.0),
        (0, {"max_norm": 3.0}, 1.0),
        (0, {"dropout": 0.5}, 1.0),
        (0.1, {}, 0.25),
        (0, {"clip_norm": 1e6}, 0.25),
    ],
)
def test_lr_is_not_folded_with_weight_decay_or_clipping(decay, options, rate, met):
    optimizer = SGD(weight_decay=decay)
    rng = np.random.default_rng(0)
    changes = {"regularization": Regularization(**options), "dropout_rng": rng, "lr": 0.25}
    records = list(train(network(), optimizer=optimizer, **changes))
    assert {given[0] for given in met} == {rate}
    assert {record.lr for record in records} == {0.25}


def test_weights_of_unused_inputs_are_left_out_unless_they_decay(met):
    unused = Batches(MARGINS, T[:130], 40, np.dtype(np.float64), 1.0).unused
    assert unused > 15
    for decay, left_out in ((0, 20 * unused), (0.1, 0)):
        net, optimizer = network(), SGD(weight_decay=decay)
        before = net.W[0].copy()
        list(train(net, MARGINS, T[:130], optimizer=optimizer, batch_size=40, epochs=1))
        count = len(net.parameters) - left_out
        assert {given[1:] for given in met} == {(count, count)}
        met.clear()
        dark = ~MARGINS.any(axis=0)
        changed = net.W[0] != before
        assert changed[dark].all() == (decay > 0)
        assert changed[dark].any() == (decay > 0)
        assert changed[~dark].any(axis=1).all()
    net, spy = network(), Spy(OPTIMIZERS["sgd"]())  # which might change them, for all that is known
    list(train(net, MARGINS, T[:130], optimizer=spy, batch_size=40, epochs=1))
    assert {path.shape for path in spy.path} == {net.parameters.shape}


def test_an_optimizer_derived_from_one_that_is_known_may_do_anything():
    net, before = network(), network()
    list(train(net, MARGINS, T[:130], optimizer=Sign(), lr=0.25, batch_size=40, epochs=1))
    steps = (net.parameters - before.parameters) / 0.25  # of 4 updates
    np.testing.assert_allclose(steps, np.round(steps), rtol=0, atol=1e-12)
    assert np.abs(steps).max() == pytest.approx(4)
    net = network()
    list(train(net, MARGINS, T[:130], optimizer=Shrink(), lr=0.5, batch_size=40, epochs=1))
    np.testing.assert_array_equal(net.parameters, before.parameters / 16)


@pytest.mark.parametrize("scale", [SIXTEENTH, np.float64(1 / 255), np.float32(0.1), 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_is_that_of_the_inputs(scale, dtype):
    nets = network(dtype=dtype), network(dtype=dtype)
    list(train(nets[0], MARGINS, T[:130], batch_size=40, scale=scale, lr=0.01))
    scaled = MARGINS.astype(np.float64) * float(scale)
    list(train(nets[1], scaled, T[:130], batch_size=40, scale=1.0, lr=0.01))
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(*(net.parameters for net in nets), rtol=0, atol=tolerance)
    assert nets[0].parameters.dtype == dtype


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_float32_stays_float32(name):
    net = network(dtype=np.float32)
    optimizer = Spy(OPTIMIZERS[name]())

    def schedule(step, steps):
        return np.float64(0.5)  # a user's own may well give NumPy's scalars

    options = {"regularization": Regularization(0.5, 0.1, np.float64(2), np.float64(1))}
    options |= {"dropout_rng": np.random.default_rng(0), "schedule": schedule}
    list(train(net, optimizer=optimizer, lr=np.float64(0.01), epochs=1, **options))
    assert {type(rate) for rate in optimizer.rates} == {float}
    assert {path.dtype for path in optimizer.path} == {np.dtype(np.float32)}
    assert all(moment.dtype == np.float32 for moment in optimizer.optimizer.moments)


@pytest.mark.parametrize("x", [X, MARGINS, IMAGES.astype(np.float32)], ids=lambda x: str(x.dtype))
def test_reads_a_memory_map(x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    nets = network(), network()
    for net, samples in zip(nets, (x, mapped), strict=True):
        list(train(net, samples, T[: len(x)]))
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_same_generators_same_training_and_no_global_randomness():
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    found = []
    for seed, dropout_seed in ((5, 1), (5, 1), (6, 1), (5, 2)):
        net = network(dtype=np.float32)
        options = {"regularization": Regularization(dropout=0.2, input_dropout=0.1)}
        options |= {"dropout_rng": np.random.default_rng(dropout_seed)}
        optimizer = OPTIMIZERS["adam"]()
        list(train(net, MARGINS, T[:130], optimizer=optimizer, lr=0.01, batch_size=40,
                   rng=np.random.default_rng(seed), **options))  # fmt: skip
        found.append(net.parameters.tobytes())
    assert found[0] == found[1]
    assert len(set(found)) == 3
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_training_that_goes_on_equals_one_that_was_not_stopped(name, dtype):
    options = {
        "regularization": Regularization(dropout=0.2, input_dropout=0.1, max_norm=2.0),
        "schedule": SCHEDULES["cosine"](warmup=0.3),
        "lr": 0.01,
        "batch_size": 7,
        "epochs": 5,
    }

    def generators():
        return {"rng": np.random.default_rng(1), "dropout_rng": np.random.default_rng(2)}

    net, state = network(dtype=dtype), {"optimizer": OPTIMIZERS[name](), **generators()}
    whole, records = trained(net, MARGINS, T[:130], **options, **state)

    first, state = network(dtype=dtype), {"optimizer": OPTIMIZERS[name](), **generators()}
    running = train(first, MARGINS, T[:130], **options, **state)
    start = [next(running) for _ in range(2)]
    second, kept = network(dtype=dtype, seed=9), copy.deepcopy(state)
    second.parameters[...] = first.parameters
    next(running)  # the first one goes on, which is nothing to what was kept
    running.close()
    rest, end = trained(second, MARGINS, T[:130], **options, **kept, done=2)

    assert [parameters.tobytes() for parameters in rest] == [p.tobytes() for p in whole[2:]]
    assert [r._replace(seconds=0) for r in start + end] == [r._replace(seconds=0) for r in records]


def test_a_training_that_is_done_has_nothing_to_do():
    net = network()
    before = net.parameters.copy()
    assert list(train(net, epochs=3, done=3)) == []
    assert list(train(net, epochs=0)) == []
    np.testing.assert_array_equal(net.parameters, before)


def test_learns_the_digits():
    net = network(dtype=np.float32)
    order = np.random.default_rng(0).permutation(len(X))
    train_part, test_part = order[:1400], order[1400:]
    optimizer = OPTIMIZERS["momentum"]()
    records = list(train(net, X[train_part], T[train_part], optimizer=optimizer, epochs=30))
    a = net.logits(X[test_part] / 16)
    assert records[-1].train_loss < 0.1 * records[0].train_loss
    assert (decide(a) == LABELS[test_part]).mean() >= 0.95
    assert HEAD.value(a, T[test_part]) < 0.2


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


@pytest.mark.parametrize("epoch", [1, 2])
def test_divergence_stops_before_a_bad_update_and_leaves_the_order_of_the_weights(epoch):
    # What one good update makes is what is left, also where the weights are arranged.
    losses = itertools.count(1)

    def backward(a, t, da):
        loss = HEAD.backward(a, t, da)
        return math.nan if next(losses) == 2 + 4 * (epoch - 1) else loss

    rng = np.random.default_rng(0)
    orders = [rng.permutation(130) for _ in range(epoch)]
    net = network()
    steps = textbook(net, MARGINS / 16, T[:130], orders, 40, itertools.repeat(0.1), sgd())
    expected = next(itertools.islice(steps, 4 * (epoch - 1), None))[0]
    message = f"epoch {epoch}, step {2 + 4 * (epoch - 1)}: the loss is nan"
    with pytest.raises(Diverged, match=f"^{re.escape(message)}$"):
        list(train(net, MARGINS, T[:130], batch_size=40, head=HEAD._replace(backward=backward)))
    np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-12)


def test_samples_that_are_not_finite_are_noticed_before_an_update():
    x = np.zeros((4, 2))
    x[3] = np.inf
    net = network([2, 10])
    before = net.parameters.copy()
    with pytest.raises(Diverged, match=f"^{re.escape('epoch 1, step 1: the loss is nan')}$"):
        list(train(net, x, T[:4]))
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_weights_are_in_order_after_an_interruption(error):
    def schedule(step, steps):
        if step == 6:
            raise error
        return 1.0

    rng = np.random.default_rng(0)
    orders = [rng.permutation(130) for _ in range(2)]
    net = network()
    steps = textbook(net, MARGINS / 16, T[:130], orders, 40, itertools.repeat(0.1), sgd())
    expected = next(itertools.islice(steps, 5, None))[0]
    with pytest.raises(error):
        list(train(net, MARGINS, T[:130], batch_size=40, schedule=schedule))
    np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-12)


def test_weights_are_in_order_where_the_consumer_stops():
    net = network()
    expected, _ = book(net, MARGINS, T[:130], sgd, 0.1, 40)
    running = train(net, MARGINS, T[:130], batch_size=40)
    for parameters in expected[:2]:
        next(running)
        np.testing.assert_allclose(net.parameters, parameters, rtol=0, atol=1e-12)
    running.close()
    np.testing.assert_allclose(net.parameters, expected[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_too_large_for_their_norm_are_not_made_0_by_max_norm(dtype):
    # Its square overflows, the weight itself does not.
    large = float(np.finfo(dtype).max) ** 0.75
    net = MLP([1, 1], [], OUTPUTS["identity"](), dtype)
    squares = head(LOSSES["sum_squares"](), OUTPUTS["identity"](), "identity")
    options = {"head": squares, "lr": large, "epochs": 1, "scale": 1.0}
    options |= {"regularization": Regularization(max_norm=3.0)}
    message = "epoch 1, step 1: parameters are not finite"
    with pytest.raises(Diverged, match=f"^{re.escape(message)}$"):
        list(train(net, np.ones((1, 1)), np.ones((1, 1)), **options))


def test_parameters_that_overflow_in_the_last_update_are_noticed():
    net = MLP([1, 1], [], OUTPUTS["identity"](), np.float32)
    squares = head(LOSSES["sum_squares"](), OUTPUTS["identity"](), "identity")
    options = {"head": squares, "lr": 1e30, "epochs": 1, "scale": 1.0}
    message = "epoch 1, step 1: parameters are not finite"
    with pytest.raises(Diverged, match=f"^{re.escape(message)}$"):
        list(train(net, np.full((1, 1), 1e10), np.ones((1, 1)), **options))


@pytest.mark.parametrize(
    ("x", "t", "changes", "message"),
    [
        (X, T[1:], {}, "t: expected (1797, 10), got (1796, 10)"),
        (X, LABELS, {}, "t: expected (1797, 10), got (1797,)"),
        (X, T[:, 1:], {}, "t: expected (1797, 10), got (1797, 9)"),
        (X[:, 1:], T, {}, "x: expected (1797, 64), got (1797, 63)"),
        (X.reshape(-1, 8, 8), T, {}, "x: expected (1797, 64), got (1797, 8, 8)"),
        (X[:, 0], T, {}, "x: expected (1797, 64), got (1797,)"),
        (X[:0], T[:0], {}, "x: expected at least one sample, got none"),
        (X, T, {"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        (X, T, {"batch_size": -3}, "batch_size: expected at least 1, got -3"),
        *[
            (
                X,
                T,
                {"regularization": Regularization(**{name: 0.5})},
                "dropout_rng: expected a generator (for dropout), got None",
            )
            for name in ("dropout", "input_dropout")
        ],
    ],
)
def test_bad_arguments(x, t, changes, message):
    net = network()
    before = net.parameters.copy()
    with pytest.raises(NeuralNetworkError, match=f"^{re.escape(message)}$"):
        next(train(net, x, t, **changes))
    np.testing.assert_array_equal(net.parameters, before)

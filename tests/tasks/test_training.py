"""Training as a task: what is learned, what is measured, when it ends, and what is refused."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import special
from sklearn.datasets import load_digits

from runner.config import Choice, Config, Distortion, Network, Training, Weights
from runner.lookup import BadInput
from runner.nn.activations import ACTIVATIONS
from runner.nn.initializers import INITIALIZERS
from runner.nn.losses import LOSSES, head
from runner.nn.mlp import MLP
from runner.nn.optimizers import OPTIMIZERS
from runner.nn.outputs import OUTPUTS
from runner.nn.regularization import Regularization
from runner.nn.schedules import SCHEDULES
from runner.nn.training import Diverged, fit
from runner.tasks import checkpoint, training
from runner.tasks.setup import build

ORDER = np.random.RandomState(0).permutation(1797)  # that of dataset=digits
DIGITS, LABELS = (array[ORDER] for array in load_digits(return_X_y=True))
CURVE = {"output": Choice("identity"), "loss": Choice("sum_squares")}
XOR = {"activation": Choice("tanh"), "output": Choice("sigmoid"), "batch_size": 4}


def set_up(name="digits", params=None, *, lr=0.1, limit=None, **changes):
    """A training as composed from `task=training`; fields of `training` go by their own names."""
    options = {key: changes.pop(key) for key in list(changes) if key in vars(Training())}
    config = Config(training=Training(**options), network=Network([20]))
    config.task, config.activation, config.output = map(Choice, ("training", "relu", "softmax"))
    config.dataset.name, config.dataset.params, config.dataset.limit = name, params or {}, limit
    config.loss, config.init = Choice("cross_entropy"), Choice("auto")
    config.weights = Weights("none")
    config.optimizer, config.schedule = Choice("sgd", {"lr": lr}), Choice("constant")
    setup = build(replace(config, **changes))
    training.check(setup)
    return setup


def train(name="digits", params=None, **changes):
    return training.run(set_up(name, params, **changes))


def logits(weights, x):
    """Those of a network with ReLU, in float64."""
    z = np.asarray(x, np.float64)
    for i in range(1, len(weights) // 2 + 1):
        a = z @ weights[f"W{i}"].astype(np.float64) + weights[f"b{i}"]
        z = np.maximum(a, 0)
    return a


def measures(weights, x, t):
    """Loss and accuracy of a classifier, from its weights alone."""
    a = logits(weights, x)
    loss = -np.mean(special.log_softmax(a, axis=1)[np.arange(len(t)), t])
    return loss, np.mean(a.argmax(axis=1) == t)


def last_measures(records, split):
    row = records.history[-1]
    return row[f"{split}_loss"], row[f"{split}_accuracy"]


def whole(records, split):
    (row,) = (r for r in records.accuracy if (r["split"], r["class"]) == (split, "all"))
    return row


def assert_equal_weights(one, two):
    for name, array in one.weights.items():
        np.testing.assert_array_equal(array, two.weights[name], strict=True)


def without_seconds(records):
    return [{key: row[key] for key in row if key != "seconds"} for row in records.history]


# Validation


def test_the_validation_split_is_the_end_of_the_limited_train_split():
    setup = set_up(limit=300, validation=60)
    parts = {"train": slice(240), "validation": slice(240, 300), "test": slice(1437, 1737)}
    for name, part in parts.items():
        split = setup.split(name)
        np.testing.assert_array_equal(split.x.reshape(-1, 64), DIGITS[part])
        np.testing.assert_array_equal(split.t, LABELS[part])
        np.testing.assert_array_equal(split.targets, np.eye(10)[LABELS[part]])
    assert len(setup.split("all").x) == 300


def test_validation_samples_are_measured_and_not_learned():
    records = train(limit=300, validation=60, epochs=3)
    shorter = train(limit=240, epochs=3)
    assert_equal_weights(records, shorter)
    assert whole(records, "train") == whole(shorter, "train")
    assert (whole(records, "train")["n"], whole(records, "test")["n"]) == (240, 300)
    assert [row["items"] for row in records.timing] == [240] * 3
    parts = {"train": slice(240), "validation": slice(240, 300), "test": slice(1437, 1737)}
    for name, part in parts.items():
        expected = measures(records.weights, DIGITS[part] / 16, LABELS[part])
        assert last_measures(records, name) == pytest.approx(expected, rel=1e-5), name
    first = train(limit=300, validation=60, epochs=1)
    assert records.history[0]["validation_loss"] == first.history[0]["validation_loss"]
    assert "validation_loss" not in shorter.history[0]
    assert records.result["validation_accuracy"] == records.history[-1]["validation_accuracy"]
    assert "validation_accuracy" not in shorter.result


def test_validation_of_a_regression_is_a_loss_alone():
    records = train("curve", {"n": 50}, validation=10, epochs=2, **CURVE)
    rng = np.random.RandomState(0)
    x = rng.random_sample((150, 1))
    t = np.sin(2 * np.pi * x) + 0.1 * rng.standard_normal(x.shape)
    error = logits(records.weights, x[40:50]) - t[40:50]
    assert last_measures(records, "validation") == (pytest.approx(np.mean(error**2) / 2), None)
    assert whole(records, "train")["n"] == 40


def test_gates_learn_less_and_are_tested_on_all():
    records = train("xor", validation=1, epochs=1, **XOR)
    assert (whole(records, "train")["n"], whole(records, "test")["n"]) == (3, 4)


@pytest.mark.parametrize("validation", [299, 150, 1])
def test_any_part_of_the_train_split_can_be_held_out(validation):
    assert len(set_up(limit=300, validation=validation).split("train").x) == 300 - validation


@pytest.mark.parametrize("validation", [300, 301, 10_000])
def test_something_is_left_to_learn(validation):
    message = "training.validation: expected fewer than the 300 samples of the train split, got "
    with pytest.raises(BadInput, match=f"^{message}{validation}$"):
        set_up(limit=300, validation=validation)


# Early stopping

# Few samples and large steps: after some epochs the validation loss rises.
OVERFITTING = {"limit": 120, "validation": 40, "lr": 0.5, "batch_size": 20}


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_stops_so_many_epochs_after_the_best_and_goes_back_to_it(patience):
    records = train(epochs=200, patience=patience, **OVERFITTING)
    losses = [row["validation_loss"] for row in records.history]
    best = int(np.argmin(losses)) + 1
    assert 1 < best < len(losses) == best + patience < 200
    lowest = np.minimum.accumulate(losses[:best])  # no stop was due before
    better = [0, *(np.flatnonzero(np.diff(lowest) < 0) + 1)]
    assert max(np.diff(better), default=0) <= patience
    assert records.result["epochs"] == len(records.timing) == best + patience

    exactly = train(epochs=best, **OVERFITTING)
    assert_equal_weights(records, exactly)
    assert without_seconds(exactly) == without_seconds(records)[:best]
    for split in ("train", "test"):
        assert whole(records, split) == whole(exactly, split)
    assert records.result["train_accuracy"] == exactly.result["train_accuracy"]
    assert records.arrays.keys() == exactly.arrays.keys()
    for name, array in exactly.arrays.items():
        np.testing.assert_array_equal(records.arrays[name], array)
    np.testing.assert_array_equal(records.confusion, exactly.confusion)
    np.testing.assert_array_equal(records.trace["W1"], exactly.weights["W1"])
    longer = train(epochs=best + patience, **OVERFITTING)
    assert (longer.weights["W1"] != records.weights["W1"]).any()
    assert without_seconds(longer) == without_seconds(records)


def test_where_patience_lasts_the_best_epoch_counts_all_the_same():
    records = train(epochs=30, patience=100, **OVERFITTING)
    losses = [row["validation_loss"] for row in records.history]
    best = int(np.argmin(losses)) + 1
    assert best < len(losses) == records.result["epochs"] == 30
    assert_equal_weights(records, train(epochs=best, **OVERFITTING))


def test_an_equal_validation_loss_is_not_lower():
    records = train(limit=50, validation=10, epochs=9, patience=2, lr=1e-30)
    losses = {row["validation_loss"] for row in records.history}
    assert (len(records.history), len(losses)) == (3, 1)


def test_without_patience_no_parameters_are_kept_for_the_best_epoch(monkeypatch):
    met, compare = [], checkpoint.Best.compare

    def watched(self, epoch, loss, parameters):
        met.append(epoch)
        compare(self, epoch, loss, parameters)

    monkeypatch.setattr(checkpoint.Best, "compare", watched)
    train(epochs=3, **OVERFITTING)
    assert met == []
    train(epochs=3, patience=5, **OVERFITTING)
    assert met == [1, 2, 3]


def test_without_patience_the_last_epoch_counts():
    records = train(epochs=30, **OVERFITTING)
    expected = measures(records.weights, DIGITS[80:120] / 16, LABELS[80:120])
    assert records.history[-1]["validation_loss"] == pytest.approx(expected[0], rel=1e-5)
    assert min(row["validation_loss"] for row in records.history) < 0.99 * expected[0]


# Label smoothing


@pytest.mark.parametrize("smoothing", [0.1, 0.75])
def test_smoothed_targets_are_those_of_szegedy(smoothing):
    # One step of all samples at once from weights of 0, so that it is lr times the gradient.
    changes = {"network": Network([]), "init": Choice("zeros"), "dtype": "float64", "lr": 1.0}
    changes |= {"limit": 200, "batch_size": 200, "epochs": 1}
    records = train(label_smoothing=smoothing, **changes)
    x, t = DIGITS[:200] / 16, LABELS[:200]
    # Szegedy et al. 2016, section 7: q'(k) = (1 - eps) q(k) + eps / K.
    targets = (1 - smoothing) * np.eye(10)[t] + smoothing / 10
    gradient = x.T @ (np.full((200, 10), 0.1) - targets) / 200
    np.testing.assert_allclose(records.weights["W1"], -gradient, rtol=0, atol=1e-14)
    # What is measured are the labels as they are.
    assert last_measures(records, "train") == pytest.approx(measures(records.weights, x, t))


def test_no_smoothing_hands_the_targets_on_as_they_are(monkeypatch):
    given = []

    def spy(network, x, t, **options):
        given.append(t)
        return fit(network, x, t, **options)

    monkeypatch.setattr(training, "fit", spy)
    plain, zero = train(epochs=2, limit=100), train(epochs=2, limit=100, label_smoothing=0.0)
    assert_equal_weights(plain, zero)
    for t in given:
        np.testing.assert_array_equal(t, np.eye(10, dtype=np.float32)[LABELS[:100]], strict=True)
    train(epochs=1, limit=100, label_smoothing=0.1)
    assert given[-1].dtype == np.float32


CLASSES = "training.label_smoothing: expected 0 (there are no classes with a neuron each), got 0.1"


@pytest.mark.parametrize(("name", "changes"), [("curve", CURVE), ("xor", XOR)])
def test_smoothing_without_a_neuron_for_each_class(name, changes):
    with pytest.raises(BadInput, match=f"^{re.escape(CLASSES)}$"):
        set_up(name, label_smoothing=0.1, **changes)


def test_smoothing_two_classes_with_a_neuron_each():
    records = train("xor", label_smoothing=0.1, epochs=1, batch_size=4)
    assert records.weights["b2"].shape == (2,)


# What reaches the core

OPTIONS = {"dropout": 0.3, "input_dropout": 0.1, "max_norm": 1.5, "clip_norm": 0.2}


@pytest.mark.parametrize("options", [OPTIONS, *({key: OPTIONS[key]} for key in OPTIONS), {}])
def test_weights_are_those_of_the_core_with_streams_of_their_own(options):
    records = train(limit=200, epochs=2, seed=3, lr=0.5, schedule=Choice("linear"), **options)
    init, shuffle, dropout = map(np.random.default_rng, np.random.SeedSequence(3).spawn(3))
    network = MLP([64, 20, 10], [ACTIVATIONS["relu"]()], OUTPUTS["softmax"](), np.float32)
    network.initialize(INITIALIZERS["auto"](), ["relu", "softmax"], rng=init)
    epochs = fit(
        network,
        DIGITS[:200].astype(np.uint8),
        np.eye(10, dtype=np.float32)[LABELS[:200]],
        head=head(LOSSES["cross_entropy"](), OUTPUTS["softmax"](), "softmax"),
        optimizer=OPTIMIZERS["sgd"](),
        lr=0.5,
        schedule=SCHEDULES["linear"](),
        batch_size=100,
        epochs=2,
        rng=shuffle,
        scale=1 / 16,
        regularization=Regularization(**options),
        dropout_rng=dropout,
    )
    rows = [(row.epoch, row.updates, row.lr) for row in epochs]
    assert [(row["epoch"], row["updates"], row["lr"]) for row in records.history] == rows
    for i, (W, b) in enumerate(zip(network.W, network.b, strict=True), start=1):
        np.testing.assert_array_equal(records.weights[f"W{i}"], W, strict=True)
        np.testing.assert_array_equal(records.weights[f"b{i}"], b, strict=True)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_changes_what_is_learned(name):
    changes = {"limit": 200, "epochs": 2, "lr": 0.5}
    plain, other = train(**changes), train(**changes, **{name: OPTIONS[name]})
    assert (plain.weights["W1"] != other.weights["W1"]).any()


def test_max_norm_bounds_the_weights_into_every_unit():
    changes = {"limit": 200, "epochs": 5, "lr": 0.5}
    for bounded, records in ((True, train(max_norm=1.0, **changes)), (False, train(**changes))):
        norms = [np.linalg.norm(records.weights[name], axis=0) for name in ("W1", "W2")]
        assert all((column <= 1 + 1e-6).all() for column in norms) == bounded


def test_clip_norm_bounds_the_step():
    changes = {"limit": 200, "batch_size": 200, "epochs": 1, "lr": 2.0}
    first = set_up(**changes).network.parameters
    lengths = []
    for options in ({"clip_norm": 0.25}, {"clip_norm": 1e6}, {}):
        setup = set_up(**changes, **options)
        training.run(setup)
        lengths.append(np.linalg.norm(setup.network.parameters - first))
    assert lengths[0] == pytest.approx(2 * 0.25, rel=1e-4)
    assert lengths[1] == lengths[2] > 1.0


def test_dropout_is_of_training_alone():
    records = train(limit=200, epochs=3, dropout=0.5, input_dropout=0.2)
    for name, part in (("train", slice(200)), ("test", slice(1437, 1637))):
        expected = measures(records.weights, DIGITS[part] / 16, LABELS[part])
        assert last_measures(records, name) == pytest.approx(expected, rel=1e-5), name


def test_dropout_draws_from_no_other_stream():
    first = set_up().network.parameters
    np.testing.assert_array_equal(set_up(dropout=0.5, input_dropout=0.5).network.parameters, first)
    # One in 10^12 leaves nothing out, and the order of the samples is then all that could differ.
    assert_equal_weights(train(epochs=2), train(epochs=2, dropout=1e-12, input_dropout=1e-12))


@pytest.mark.parametrize("options", [{}, {"dropout": 0.4}])
def test_the_seed_decides_everything(options):
    changes = {"limit": 200, "epochs": 2, **options}
    one, two, other = (train(seed=seed, **changes) for seed in (5, 5, 6))
    assert_equal_weights(one, two)
    assert without_seconds(one) == without_seconds(two)
    assert (one.weights["W1"] != other.weights["W1"]).any()


# Divergence


@pytest.mark.parametrize("lr", [1e6, 1e30])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_a_diverging_training_ends_within_the_epoch(optimizer, lr):
    steps = []
    with pytest.raises(Diverged, match=r"^epoch 1, step (\d+): the loss is nan$") as caught:
        training.run(
            set_up(optimizer=Choice(optimizer, {"lr": lr}), network=Network([50, 100])),
            lambda done, *_: steps.append(done),
        )
    assert int(re.findall(r"step (\d+)", str(caught.value))[0]) < 10  # of 15 in an epoch
    assert steps == [0]


@pytest.mark.parametrize("options", [{}, {"validation": 1, "patience": 1}])
def test_an_epoch_that_ends_beyond_all_numbers_has_diverged(options):
    # One step: the loss of the batch is finite, and that of the weights it leads to is not.
    with pytest.raises(Diverged, match=r"^epoch 1, step 1: the train loss is inf$"):
        train("curve", epochs=1, lr=1e12, batch_size=100, **CURVE, **options)


def test_a_validation_loss_beyond_all_numbers_has_diverged():
    params = {"x": [[1.0], [1.0], [1e30]], "t": [[0.5], [0.25], [0.0]]}
    changes = {"network": Network([]), "init": Choice("zeros"), "epochs": 1, **CURVE}
    with pytest.raises(Diverged, match=r"^epoch 1, step 1: the validation loss is inf$"):
        train("inline", params, validation=1, **changes)


def test_the_wait_for_distorted_images_counts_as_time_of_the_epoch(monkeypatch):
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr(training.time, "perf_counter", lambda: float(next(clock)))
    records = train(limit=100, epochs=2, distortion=Distortion("shift"))
    # fit reads the clock twice between two readings of ours.
    assert [row["seconds"] for row in records.history] == [21.0, 21.0]

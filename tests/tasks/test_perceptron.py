import re

import numpy as np
import pytest
import threadpoolctl

from runner.config import Choice, Config
from runner.lookup import BadInput
from runner.tasks import perceptron
from runner.tasks.setup import build


def set_up(name, params=None, *, task=None, **changes):
    config = Config()
    config.task = Choice("perceptron", task or {})
    config.dataset.name, config.dataset.params = name, params or {}
    config.activation, config.output = Choice("relu"), Choice("step")
    config.loss, config.optimizer = Choice("cross_entropy"), Choice("sgd", {"lr": 0.1})
    config.schedule, config.init, config.weights.name = Choice("constant"), Choice("zeros"), "none"
    config.epochs = 100
    for key, value in changes.items():
        setattr(config, key, value)
    return build(config)


def run(name, params=None, *, task=None, **changes):
    setup = set_up(name, params, task=task, **changes)
    perceptron.check(setup)
    return perceptron.run(setup, **setup.config.task.params)


@pytest.mark.parametrize(
    ("gate", "passes", "b", "w"),
    [("and", 6, -2, [1, 2]), ("nand", 6, 3, [-1, -2]), ("or", 4, 0, [1, 1])],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gates_of_the_book(gate, passes, b, w, dtype):
    records = run(gate, dtype=dtype)
    assert records.result["epochs"] == passes
    assert records.result["converged"] is True
    assert records.result["train_accuracy"] == 1
    np.testing.assert_array_equal(records.weights["W1"], np.array(w, dtype)[:, None], strict=True)
    np.testing.assert_array_equal(records.weights["b1"], np.array([b], dtype), strict=True)
    np.testing.assert_array_equal(records.arrays["predicted"], records.arrays["t"])
    assert [row["epoch"] for row in records.history] == list(range(1, passes + 1))
    assert records.history[-1]["error"] == 0


def test_xor_is_no_success():
    records = run("xor")
    assert [row["error"] for row in records.history] == [0.5, 0.75] + [1.0] * 98
    assert records.result["converged"] is False
    assert records.result["epochs"] == 100
    assert records.history[-1]["updates"] == 2 + 3 + 4 * 98
    assert records.result["train_accuracy"] < 1


def test_history_measures_both_splits_after_every_pass():
    records = run("digits", epochs=3)
    for row in records.history:
        assert row.keys() == {
            *("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy"),
            *("updates", "seconds", "lr", "error"),
        }
        assert row["lr"] == 1.0
    assert records.result["fit_seconds"] == sum(row["seconds"] for row in records.history)
    assert [row["repeat"] for row in records.timing] == [1, 2, 3]
    whole = {row["split"]: row for row in records.accuracy if row["class"] == "all"}
    for split in ("train", "test"):
        correct, n = whole[split]["correct"], whole[split]["n"]
        assert records.history[-1][f"{split}_accuracy"] == correct / n
        assert records.history[-1][f"{split}_loss"] == whole[split]["loss"]


def test_of_many_classes_the_largest_score_decides():
    setup = set_up("digits", epochs=2)
    records = perceptron.run(setup)
    test = setup.split("test")
    scores = setup.prepare(test.x) @ records.weights["W1"] + records.weights["b1"]
    np.testing.assert_allclose(records.arrays["y"], scores, rtol=1e-5)
    np.testing.assert_array_equal(records.arrays["predicted"], scores.argmax(axis=1))
    # Where several steps are 1 or none is, the first of them would be another class.
    assert ((scores > 0).argmax(axis=1) != scores.argmax(axis=1)).any()
    correct = np.count_nonzero(scores.argmax(axis=1) == test.t)
    assert records.accuracy[-1]["correct"] == np.trace(records.confusion) == correct
    assert records.accuracy[-1]["loss"] == setup.head.value(records.arrays["y"], test.targets)
    assert correct / len(test.t) > 0.85


def test_learns_on_from_given_weights():
    learned = {"W1": [[1], [2]], "b1": [-2]}
    records = run("and", weights=type(Config().weights)("inline", learned))
    assert (records.result["epochs"], records.history[0]["updates"]) == (1, 0)
    np.testing.assert_array_equal(records.weights["b1"], [-2])


def test_learning_rate_changes_no_decision():
    plain, scaled = run("nand"), run("nand", task={"lr": 0.1})
    np.testing.assert_allclose(scaled.weights["W1"], 0.1 * plain.weights["W1"], rtol=1e-6)
    assert [row["error"] for row in scaled.history] == [row["error"] for row in plain.history]
    assert {row["lr"] for row in scaled.history} == {0.1}


def test_gamma_ends_the_learning():
    assert run("xor", task={"gamma": 0.6}).result["epochs"] == 1


def test_shuffle_follows_the_seed():
    first, again, other = (
        run("digits", task={"shuffle": True}, epochs=1, seed=seed).weights["W1"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != run("digits", epochs=1).weights["W1"]).any()


def test_average_keeps_the_mean_of_the_weights():
    # The weights [b, w1, w2] after each of the 8 steps of two passes of AND, by hand.
    steps = [[0, 0, 0]] * 3 + [[1, 1, 1]] + [[0, 1, 1], [-1, 0, 1], [-1, 0, 1], [0, 1, 2]]
    records = run("and", task={"average": True}, epochs=2)
    mean = np.mean(steps, axis=0)
    np.testing.assert_array_equal(np.r_[records.weights["b1"], records.weights["W1"][:, 0]], mean)
    assert records.history[-1]["error"] == 0.75
    # The rule goes on with its own weights, and stops by their mistakes; the mean lags behind.
    result = run("and", task={"average": True}).result
    assert (result["epochs"], result["converged"], result["train_accuracy"]) == (6, True, 0.75)


def test_mnist_averaged(mnist_dir):
    with threadpoolctl.threadpool_limits(1):
        records = run("mnist", task={"average": True}, epochs=5, data_dir=str(mnist_dir))
    assert records.accuracy[-1]["n"] == 10_000
    assert 1 - records.history[-1]["test_accuracy"] <= 0.085
    assert records.result["converged"] is False


def bad(message, name, params=None, *, task=None, **changes):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        run(name, params, task=task, **changes)


def test_hidden_layers_are_refused():
    network = type(Config().network)([3])
    message = "network.hidden: expected none (the rule reaches one layer), got [3]"
    bad(message, "and", network=network)


def test_another_output_is_refused():
    message = "output: expected step (the rule compares 0 and 1), got softmax"
    bad(message, "and", output=Choice("softmax"))


def test_a_regression_is_refused():
    changes = {"output": Choice("identity"), "loss": Choice("sum_squares")}
    message = "dataset: expected classes to tell apart, got real-numbered targets"
    bad(message, "curve", **changes)


def test_samples_without_labels_are_refused():
    weights = type(Config().weights)("inline", {"W1": [[1], [2]], "b1": [-2]})
    message = "dataset: expected classes to tell apart, got samples without labels"
    bad(message, "inline", {"x": [[0, 0], [1, 1]]}, weights=weights)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr", 0, "a number from 1e-30 to 1e30"),
        ("lr", True, "a number from 1e-30 to 1e30"),
        ("lr", "fast", "a number from 1e-30 to 1e30"),
        ("lr", float("nan"), "a number from 1e-30 to 1e30"),
        ("gamma", -0.1, "a number from 1e-30 to 1"),
        ("gamma", None, "a number from 1e-30 to 1"),
        ("shuffle", 1, "true or false"),
        ("average", "yes", "true or false"),
    ],
)
def test_bad_parameters(name, value, expected):
    got = "null" if value is None else value
    bad(f"task.params.{name}: expected {expected}, got {got}", "and", task={name: value})

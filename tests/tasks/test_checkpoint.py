"""A training that is stopped and goes on is the one that was not, whatever its options."""

import io
import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from runner.config import Choice, Config, Network, Training, Weights
from runner.lookup import BadInput
from runner.tasks import training
from runner.tasks.checkpoint import deep, flat
from runner.tasks.records import Records
from runner.tasks.setup import build


class Killed(BaseException):
    """What nothing catches."""


class Memory:
    """A storage that keeps arrays as a file does."""

    file, written = None, 0

    def read(self):
        if self.file is None:
            return None
        with np.load(io.BytesIO(self.file), allow_pickle=False) as arrays:
            return dict(arrays)

    def write(self, arrays):
        stream = io.BytesIO()
        np.savez(stream, **arrays)
        self.file = stream.getvalue()
        self.written += 1


def set_up(storage=None, optimizer="sgd", params=None, **changes):
    config = Config(network=Network([20]), epochs=8, batch_size=50)
    options = {key: changes.pop(key) for key in list(changes) if key in vars(Training())}
    config.training = Training(**options)
    config.task, config.activation, config.output = map(Choice, ("training", "relu", "softmax"))
    config.dataset.name, config.dataset.limit = "digits", 200
    config.loss, config.init = Choice("cross_entropy"), Choice("auto")
    config.optimizer = Choice(optimizer, {"lr": 0.1, **(params or {})})
    config.schedule, config.weights = Choice("constant"), Weights("none")
    setup = build(replace(config, **changes))
    setup.storage = storage
    return setup


def killed(setup, after):
    """Run a training up to the end of an epoch."""

    def progress(done, total, what):
        if done == after:
            raise Killed

    with pytest.raises(Killed):
        training.run(setup, progress)


def plain(records):
    """All that a training records, without its times and without what it went on from."""
    history, timing = (
        [{key: row[key] for key in row if "second" not in key} for row in rows]
        for rows in (records.history, records.timing)
    )
    result = {key: value for key, value in records.result.items() if key != "fit_seconds"}
    return history, timing, result, records.accuracy, records.confusion.tolist()


def assert_same(one, two):
    assert plain(one) == plain(two)
    for name in ("weights", "arrays", "trace"):
        arrays, others = getattr(one, name), getattr(two, name)
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, others[key], strict=True)


EVERYTHING = {
    **{"dropout": 0.3, "input_dropout": 0.1, "max_norm": 2.0, "clip_norm": 1.0},
    **{"label_smoothing": 0.1, "validation": 40, "patience": 4, "schedule": Choice("linear")},
}
STEPS = {"schedule": Choice("step", {"milestones": [0.4, 0.7], "warmup": 0.2})}
ADAM = {"optimizer": "adam", "params": {"lr": 0.01}}


@pytest.mark.parametrize("after", [2, 3])
@pytest.mark.parametrize(
    "changes",
    [
        *({"optimizer": name} for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop")),
        *(ADAM, {**ADAM, "dtype": "float64"}, {**ADAM, **STEPS}),
        *(
            {**ADAM, "dropout": 0.5},
            {**ADAM, **EVERYTHING},
            {"optimizer": "momentum", **EVERYTHING},
        ),
        {"optimizer": "sgd", "params": {"weight_decay": 0.01}, "validation": 100, "patience": 1},
    ],
)
def test_stopped_and_gone_on_is_not_stopped_at_all(changes, after):
    storage = Memory()
    killed(set_up(storage, checkpoint_every=2, **changes), after)
    assert storage.written == 1
    records = training.run(set_up(storage, checkpoint_every=2, **changes))
    assert records.restored == 2
    assert [row["epoch"] for row in records.history] == [*range(1, len(records.history) + 1)]
    assert_same(records, training.run(set_up(**changes)))


def test_stopped_again_and_again():
    storage, changes = Memory(), {**ADAM, "dropout": 0.2, "checkpoint_every": 1}
    for after in range(1, 9):
        killed(set_up(storage, **changes), after)
    records = training.run(set_up(storage, **changes))
    assert (records.restored, storage.written) == (8, 8)  # nothing was left to learn
    assert_same(records, training.run(set_up(**changes)))


def test_nothing_is_written_unless_asked_and_only_when_due():
    storage = Memory()
    training.run(set_up(storage))
    assert storage.written == 0
    training.run(set_up(storage, checkpoint_every=3))
    assert storage.written == 2  # after the epochs 3 and 6 of 8
    training.run(set_up(None, checkpoint_every=3))  # a task on its own has no place for it


@pytest.mark.parametrize("every", [1, 2, 3])
def test_killed_after_the_last_epoch_of_an_early_stop(every, monkeypatch):
    changes = {"validation": 40, "patience": 2, "checkpoint_every": every, "epochs": 100}
    changes |= {"params": {"lr": 0.5}}
    expected = training.run(set_up(**changes))
    assert len(expected.history) < 100

    def finish(*arguments):
        raise Killed

    storage = Memory()
    with monkeypatch.context() as patched:
        patched.setattr(training, "finish", finish)
        with pytest.raises(Killed):
            training.run(set_up(storage, **changes))
    assert_same(training.run(set_up(storage, **changes)), expected)


def test_a_loss_of_any_number_is_saved():
    def value(a, t):
        return np.float32(setup.head.value(a, t))

    setup, storage = set_up(), Memory()
    own = set_up(storage, checkpoint_every=8)
    own.head = setup.head._replace(value=value)
    for row in (*training.run(own).history, *training.run(own).history):
        assert type(row["train_loss"]) is type(row["test_loss"]) is float


def test_progress_goes_on_where_it_was():
    storage, seen = Memory(), []
    killed(set_up(storage, checkpoint_every=2), 5)
    training.run(set_up(storage, checkpoint_every=2), lambda done, total, what: seen.append(done))
    assert seen == [4, 5, 6, 7, 8]


# What an optimizer may have


def round_trip(value):
    storage, arrays = Memory(), {}
    state = flat("optimizer", value, arrays)
    storage.write(arrays)
    return deep(json.loads(json.dumps(state)), storage.read())


M = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "value",
    [
        *(3, -(2**80), True, None, "text", 0.1, math.inf, 1e-320),
        *(M, M.T, np.float64(0.1), np.int32(3), np.array(2.5), np.array([], np.float32)),
        *([], [1, M], (0.9, 0.999), {}, {"m": [M, {"v": (M,)}], 3: M.T, "3": M}),
        np.array([True, False]),
    ],
    ids=repr,
)
def test_numbers_arrays_and_what_holds_them_come_back(value):
    def equal(one, two):
        assert type(one) is type(two)
        if isinstance(one, (np.ndarray, np.generic)):
            np.testing.assert_array_equal(one, two, strict=True)
        elif isinstance(one, dict):
            assert list(one) == list(two)
            equal(list(one.values()), list(two.values()))
        elif isinstance(one, (list, tuple)):
            for item, other in zip(one, two, strict=True):
                equal(item, other)
        else:
            assert one == two

    equal(round_trip(value), value)


def test_not_a_number_comes_back():
    assert math.isnan(round_trip(math.nan))


STRANGE = {
    "generator": ((i for i in range(3)), "generator"),
    "function": (len, "builtin_function_or_method"),
    "objects": (np.array([None]), "ndarray"),
    "set": ({1}, "set"),
    "records": (Records(), "Records"),
    "random numbers": (np.random.default_rng(0), "Generator"),
    "keys": ({(1, 2): 3}, "dict"),
    "a kind of list": (type("Mine", (list,), {})(), "Mine"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_cannot_come_back_is_refused(name):
    value, kind = STRANGE[name]
    message = f"optimizer.a.1: expected numbers and arrays to save, got {kind}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        flat("optimizer", {"a": [0, value]}, {})


def test_an_optimizer_that_cannot_be_saved_is_refused_from_the_start():
    def update(parameters, gradients, lr):
        parameters -= lr * gradients

    setup = set_up(checkpoint_every=1)
    setup.optimizer = SimpleNamespace(update=update)
    message = (
        "training.checkpoint_every: optimizer.update: expected numbers and arrays to save, "
        "got function"
    )
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        training.check(setup)
    setup.config.training.checkpoint_every = None
    training.check(setup)


def test_an_optimizer_without_attributes_has_nothing_to_save():
    class Slots:
        __slots__ = ("v",)

        def update(self, parameters, gradients, lr):
            parameters -= lr * gradients

    setup = set_up(checkpoint_every=1)
    setup.optimizer = Slots()
    message = "training.checkpoint_every: optimizer: expected attributes to save, got Slots"
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        training.check(setup)

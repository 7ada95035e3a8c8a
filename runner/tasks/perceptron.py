"""Learn by Rosenblatt's rule; measure both splits after every pass (book ch. 2)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from runner.lookup import BadInput
from runner.nn.outputs import identity
from runner.nn.perceptron import PassRecord, perceptron
from runner.nn.training import EpochRecord
from runner.tasks.records import Progress, Records, no_progress, timing_row
from runner.tasks.setup import Setup, Split
from runner.tasks.training import finish, history_row, whole


def check(setup: Setup) -> None:
    """Check that the rule can learn what a setup asks, before it runs.

    Raises
    ------
    BadInput
        For hidden layers, an output other than step, and parameters
        of the task that are out of range.
    """
    hidden = setup.network.sizes[1:-1]
    if hidden:
        raise BadInput("network.hidden", "none (the rule reaches one layer)", hidden)
    if setup.config.output.name != "step":
        expected = "step (the rule compares 0 and 1)"
        raise BadInput("output", expected, setup.config.output.name)
    check_params(setup.config.task.params)


def check_params(params: Mapping[str, Any]) -> None:
    """Check the values of the task's own parameters; raise BadInput."""
    for name in {"lr", "gamma"} & set(params):
        value = params[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # What float32 can hold; an error is a fraction.
        most, said = (1e30, "1e30") if name == "lr" else (1.0, "1")
        if not (number and 1e-30 <= value <= most):
            raise BadInput(f"task.params.{name}", f"a number from 1e-30 to {said}", value)
    for name in {"shuffle", "average"} & set(params):
        if not isinstance(params[name], bool):
            raise BadInput(f"task.params.{name}", "true or false", params[name])


def run(
    setup: Setup,
    progress: Progress = no_progress,
    *,
    lr: float = 1.0,
    gamma: float = 0.01,
    shuffle: bool = False,
    average: bool = False,
) -> Records:
    """Return the history, the learned weights, and accuracy and predictions of the last pass.

    One neuron tells two classes apart. Of more classes each has a neuron, the
    largest score decides, and the scores are the outputs that are predicted.

    Parameters
    ----------
    lr : learning rate; where the first weights are 0, it only scales them.
    gamma : stop when the mean error of a pass, counted while it goes on, is below.
    shuffle : whether each pass has an order of its own.
    average : whether to keep the mean of the weights after each step, not the last ones.

    Raises
    ------
    runner.nn.checks.Diverged
        When a weight is no longer finite.
    """
    train, test = setup.split("train"), setup.split("test")
    if setup.network.sizes[-1] > 1:
        setup.network.output = identity()  # steps would hide which score is the largest
    records, limit = Records(), setup.config.epochs
    progress(0, limit, "pass 1")
    for made in learn(setup, train, lr, gamma, shuffle, average):
        rows = [whole(setup, split) for split in (train, test)]
        epoch = EpochRecord(made.epoch, made.updates, rows[0]["loss"], made.seconds, lr)
        records.history.append(history_row(epoch, *rows) | {"error": made.error})
        records.timing.append(timing_row("epoch", len(train.x), made.seconds, 1, made.epoch))
        records.result["converged"] = made.converged
        progress(made.epoch, limit, f"pass {min(made.epoch + 1, limit)}")
    finish(setup, train, test, records)
    return records


def learn(
    setup: Setup, train: Split, lr: float, gamma: float, shuffle: bool, average: bool
) -> Iterator[PassRecord]:
    """Teach the network pass by pass, from the weights that it has."""
    network = setup.network
    for made in perceptron(
        setup.matrix(train.x),
        np.asarray(train.targets),
        np.vstack([network.b[0], network.W[0]]),
        lr=lr,
        gamma=gamma,
        max_passes=setup.config.epochs,
        average=average,
        rng=setup.streams["shuffle"] if shuffle else None,
        scale=setup.scale,
    ):
        network.set_weights([made.w[1:]], [made.w[0]])
        yield made

"""Train a network by back-propagation; measure both splits after every epoch."""

from collections.abc import Iterator

import numpy as np

from runner.nn.training import EpochRecord, fit
from runner.tasks.inference import classify, measure, met
from runner.tasks.records import (
    Progress,
    Records,
    Row,
    accuracy_rows,
    no_progress,
    timing_row,
)
from runner.tasks.setup import Array, Setup, Split

CHUNK = 1000  # samples per pass of an evaluation


def run(setup: Setup, progress: Progress = no_progress) -> Records:
    """Return the history, the trained weights, and accuracy and predictions of the last epoch.

    Raises
    ------
    runner.nn.training.Diverged
        When the loss or a weight is no longer finite.
    """
    train, test = setup.split("train"), setup.split("test")
    records, logits, epochs = Records(), {}, setup.config.epochs
    progress(0, epochs, "epoch 1")
    for epoch in learn(setup, train):
        logits = {split.name: classify(setup, split.x, CHUNK) for split in (train, test)}
        rows = [whole(setup, split, logits[split.name]) for split in (train, test)]
        records.history.append(history_row(epoch, *rows))
        size = setup.config.batch_size
        records.timing.append(timing_row("epoch", len(train.x), epoch.seconds, size, epoch.epoch))
        progress(epoch.epoch, epochs, f"epoch {min(epoch.epoch + 1, epochs)}")
    finish(setup, train, test, logits, records)
    return records


def learn(setup: Setup, train: Split) -> Iterator[EpochRecord]:
    """Train the network epoch by epoch."""
    config = setup.config
    return fit(
        setup.network,
        train.x,
        np.asarray(train.targets),
        head=setup.head,
        optimizer=setup.optimizer,
        lr=setup.lr,
        schedule=setup.schedule,
        batch_size=config.batch_size,
        epochs=config.epochs,
        rng=setup.streams["shuffle"],
        prepare=setup.prepare,
    )


def finish(
    setup: Setup, train: Split, test: Split, logits: dict[str, Array], records: Records
) -> None:
    """Add to the records what a training leaves: measures of both splits, shapes and weights."""
    y = setup.network.output.forward(logits["train"])
    records.accuracy += accuracy_rows(train, logits["train"], y, setup.classes, setup.head)
    measure(setup, test, logits["test"], records)
    records.trace = met(setup, train, setup.config.batch_size)
    records.weights = trained(setup)
    records.result |= result(records)


def whole(setup: Setup, split: Split, logits: Array) -> Row:
    """Return loss and accuracy of a whole split."""
    y = setup.network.output.forward(logits)
    row = accuracy_rows(split, logits, y, setup.classes, setup.head)[-1]
    return row | {"accuracy": None if row["correct"] is None else row["correct"] / row["n"]}


def history_row(epoch: EpochRecord, train: Row, test: Row) -> Row:
    """Return a row of history.csv."""
    return {
        "epoch": epoch.epoch,
        "train_loss": train["loss"],
        "train_accuracy": train["accuracy"],
        "test_loss": test["loss"],
        "test_accuracy": test["accuracy"],
        "updates": epoch.updates,
        "seconds": epoch.seconds,
        "lr": epoch.lr,
    }


def trained(setup: Setup) -> dict[str, Array]:
    """Return the weights by their names W1, b1, W2, ..."""
    pairs = zip(setup.network.W, setup.network.b, strict=True)
    named = ((f"W{i}", W, f"b{i}", b) for i, (W, b) in enumerate(pairs, start=1))
    return {name: array for W, w, B, b in named for name, array in ((W, w), (B, b))}


def result(records: Records) -> Row:
    """Return what the run's row says of the training."""
    last = records.history[-1]
    return {
        "train_accuracy": last["train_accuracy"],
        "epochs": last["epoch"],
        "fit_seconds": sum(row["seconds"] for row in records.history),
    }

"""Train a network by back-propagation; measure every split after every epoch."""

import math
import time
from collections.abc import Iterator
from functools import partial

import numpy as np

from runner.data.dataset import samples
from runner.data.distortion import LEVELS, distorted
from runner.lookup import BadInput
from runner.nn.checks import Diverged, overflows
from runner.nn.training import EpochRecord, fit
from runner.tasks.checkpoint import Best, Checkpoint, check_optimizer
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


def check(setup: Setup) -> None:
    """Check what can only be checked with the samples; raise BadInput."""
    options = setup.config.training
    train, _ = samples(setup.dataset, "train", setup.config.dataset.limit)
    if options.validation >= len(train):
        expected = f"fewer than the {len(train)} samples of the train split"
        raise BadInput("training.validation", expected, options.validation)
    alone = setup.network.sizes[-1] < 2 or setup.config.output.name == "pairwise"
    if options.label_smoothing and (setup.classes is None or alone):
        expected = "0 (there are no classes with a neuron each)"
        raise BadInput("training.label_smoothing", expected, options.label_smoothing)
    if options.checkpoint_every is not None:
        check_optimizer(setup)


def run(setup: Setup, progress: Progress = no_progress) -> Records:
    """Return the history, the trained weights, and accuracy and predictions of the last epoch.

    With ``training.patience`` it ends early, with the weights of the epoch
    whose validation loss was the lowest.

    Raises
    ------
    runner.nn.checks.Diverged
        When a loss that is learned from, or a weight, is no longer finite.
    """
    config, options = setup.config, setup.config.training
    train, test = setup.split("train"), setup.split("test")
    validation = setup.split("validation") if options.validation else None
    records, best, streams = Records(), Best(), setup.streams
    checkpoint = Checkpoint(setup, records, best, streams)
    records.restored = done = checkpoint.restore()
    progress(done, config.epochs, f"epoch {done + 1}")
    for epoch in learn(setup, train, streams, done):
        row = history_row(epoch, whole(setup, train), whole(setup, test))
        if validation is not None:
            measured = whole(setup, validation)
            row |= {f"validation_{name}": measured[name] for name in ("loss", "accuracy")}
        check_finite(row)
        records.history.append(row)
        seconds = timing_row("epoch", len(train.x), epoch.seconds, config.batch_size, epoch.epoch)
        records.timing.append(seconds)
        if options.patience is not None:
            best.compare(epoch.epoch, row["validation_loss"], setup.network.parameters)
            if epoch.epoch - best.epoch >= options.patience:
                break  # without a checkpoint, from which it would go on
        if options.checkpoint_every and epoch.epoch % options.checkpoint_every == 0:
            checkpoint.save(epoch.epoch)
        progress(epoch.epoch, config.epochs, f"epoch {min(epoch.epoch + 1, config.epochs)}")
    if options.patience is not None:
        setup.network.parameters[...] = best.parameters
    finish(setup, train, test, records)
    if validation is not None:
        records.result["validation_accuracy"] = whole(setup, validation)["accuracy"]
    return records


def learn(
    setup: Setup, train: Split, streams: dict[str, np.random.Generator], done: int
) -> Iterator[EpochRecord]:
    """Train the network epoch by epoch."""
    config = setup.config
    targets, smoothing = np.asarray(train.targets), config.training.label_smoothing
    if smoothing:
        targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
    learning = partial(
        fit,
        setup.network,
        t=targets,
        head=setup.head,
        optimizer=setup.optimizer,
        lr=setup.lr,
        schedule=setup.schedule,
        batch_size=config.batch_size,
        epochs=config.epochs,
        rng=streams["shuffle"],
        regularization=setup.regularization,
        dropout_rng=streams["dropout"],
    )
    if setup.distortion is None:
        yield from learning(setup.matrix(train.x), scale=setup.scale, done=done)
        return
    epochs = range(done + 1, config.epochs + 1)
    started = time.perf_counter()
    for epoch, images in distorted(train.x, setup.distortion, config.seed, epochs):
        x, scale = setup.matrix(images), setup.scale / LEVELS
        record = next(learning(x, scale=scale, done=epoch - 1))
        yield record._replace(seconds=time.perf_counter() - started)  # the wait for them counts
        started = time.perf_counter()


def finish(setup: Setup, train: Split, test: Split, records: Records) -> None:
    """Add to the records what a training leaves: measures of both splits, shapes and weights."""
    logits = classify(setup, train.x, CHUNK)
    y = setup.network.output.forward(logits)
    records.accuracy += accuracy_rows(train, logits, y, setup.classes, setup.head)
    measure(setup, test, classify(setup, test.x, CHUNK), records)
    records.trace = met(setup, train, setup.config.batch_size)
    records.weights = trained(setup)
    records.result |= result(records)


def whole(setup: Setup, split: Split) -> Row:
    """Return loss and accuracy of a whole split."""
    with overflows():
        logits = classify(setup, split.x, CHUNK)
        y = setup.network.output.forward(logits)
        row = accuracy_rows(split, logits, y, setup.classes, setup.head)[-1]
    return row | {"accuracy": None if row["correct"] is None else row["correct"] / row["n"]}


def check_finite(row: Row) -> None:
    """Raise Diverged where an epoch ends with a loss of what is learned that is not finite."""
    for name in ("train_loss", "validation_loss"):
        if not math.isfinite(row.get(name, 0.0)):
            place = f"epoch {row['epoch']}, step {row['updates']}"
            raise Diverged(f"{place}: the {name.replace('_', ' ')} is {row[name]}")


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
    whole = next(row for row in records.accuracy if row["class"] == "all")
    known = whole["correct"] is not None
    return {
        "train_accuracy": whole["correct"] / whole["n"] if known else None,
        "epochs": last["epoch"],
        "fit_seconds": sum(row["seconds"] for row in records.history),
    }

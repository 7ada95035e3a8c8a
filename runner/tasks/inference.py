"""Classify a split with given weights: accuracy by class, and the time it takes by batch size."""

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from runner.config import batch_sizes
from runner.data.dataset import one_hot
from runner.nn.checks import Diverged, overflows
from runner.nn.mlp import ROWS, Forward
from runner.nn.outputs import decide
from runner.tasks.records import (
    Progress,
    Records,
    accuracy_rows,
    confusion_matrix,
    no_progress,
    timing_row,
)
from runner.tasks.setup import Array, Setup, Split


def run(setup: Setup, progress: Progress = no_progress) -> Records:
    """Return accuracy, confusion, predictions, shapes, and one timing block per batch size.

    Raises
    ------
    ArithmeticError
        When two batch sizes do not decide for the same classes.
    runner.nn.checks.Diverged
        When an output is not finite: which one is the largest says nothing then.
    """
    with overflows():
        return infer(setup, progress)


def infer(setup: Setup, progress: Progress) -> Records:
    """Do what `run` says."""
    split = setup.split(setup.config.dataset.split)
    sizes = batch_sizes(setup.config)
    records = Records()
    logits = {}
    for done, size in enumerate(sizes):
        progress(done, len(sizes), f"batch size {size}")
        records.timing += time_batches(setup, split.x, size)
        logits[size] = classify(setup, split.x, size)
        progress(done + 1, len(sizes), f"batch size {size}")
    check_agreement(setup, logits)
    measure(setup, split, logits[sizes[-1]], records)
    records.trace = met(setup, split, sizes[-1])
    if len(split.x) == 1 and split.x.ndim == 3:
        records.image = split.x[0]
    seconds = statistics.median(
        row["seconds"] for row in records.timing if row["batch_size"] == sizes[-1]
    )
    records.result |= {
        "n": len(split.x),
        "inference_seconds": seconds,
        "images_per_second": len(split.x) / seconds,
    }
    return records


def classify(setup: Setup, x: Array, batch_size: int) -> Array:
    """Return the logits (N, outputs) of raw samples, computed batch by batch."""
    return forward(setup, batch_size)(setup.matrix(x))


def forward(setup: Setup, batch_size: int) -> Forward:
    """Return the way from raw samples to logits, through arrays for one batch size."""
    return Forward(setup.network, min(batch_size, ROWS), setup.scale)


def time_batches(setup: Setup, x: Array, batch_size: int) -> list[dict[str, object]]:
    """Return one row per timed pass from raw samples to outputs, after the warm-up."""
    timing, rows = setup.config.timing, []
    logits, outputs, x = forward(setup, batch_size), setup.network.output.forward, setup.matrix(x)
    for repeat in range(1 - timing.warmup, timing.repeats + 1):
        started = time.perf_counter()
        for first in range(0, len(x), batch_size):
            outputs(logits(x[first : first + batch_size]))
        seconds = time.perf_counter() - started
        if repeat >= 1:
            rows.append(timing_row("inference", len(x), seconds, batch_size, repeat))
    return rows


def check_agreement(setup: Setup, logits: dict[int, Array]) -> None:
    """Check that every batch size decides for the same classes."""
    if setup.classes is None:
        return
    decisions = {size: decide(setup.network.output.forward(a)) for size, a in logits.items()}
    first, *others = decisions
    for size in others:
        differing = int(np.count_nonzero(decisions[size] != decisions[first]))
        if differing:
            raise ArithmeticError(
                f"batch sizes {first} and {size} decide differently for {differing} samples"
            )


def measure(setup: Setup, split: Split, logits: Array, records: Records) -> None:
    """Add accuracy, confusion and predictions of a split to the records.

    Raises
    ------
    runner.nn.checks.Diverged
        When a logit or an output is not finite.
    """
    y = setup.network.output.forward(logits)
    if not (np.isfinite(logits).all() and np.isfinite(y).all()):
        raise Diverged(f"an output of the {split.name} split is not finite")
    records.accuracy += accuracy_rows(split, logits, y, setup.classes, setup.head)
    records.arrays |= {"y": y}
    if split.t is not None:
        records.arrays |= {"t": split.t}
    if setup.classes is None:
        return
    predicted: NDArray[np.intp] = decide(y)
    records.arrays |= {"predicted": predicted}
    if split.t is not None:
        records.confusion = confusion_matrix(split.t, predicted, setup.classes)


def met(setup: Setup, split: Split, batch_size: int) -> dict[str, Array]:
    """Return every array met by the first batch on its way forward, the labels last."""
    batch, options = split.x[:batch_size], setup.config.dataset
    arrays = dict(setup.network.trace(setup.prepare(batch)))
    if not options.flatten and batch.ndim > 2:
        arrays = {"images": setup.seen(batch), **arrays}
    if split.t is not None:
        t = split.t[:batch_size]
        if options.one_hot_label and setup.classes is not None:
            t = one_hot(t, setup.classes, setup.network.dtype)
        arrays["t"] = t
    return arrays

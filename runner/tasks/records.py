"""What a task hands back: plain rows and arrays, before they become tables and files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.nn.losses import Head
from runner.nn.outputs import decide
from runner.tasks.setup import Split

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]  # done, total, of what


@dataclass
class Records:
    """One task's results; rows have the columns of the table of the same name.

    Attributes
    ----------
    result : columns of results.csv that only the task knows.
    arrays : contents of predictions.npz.
    trace : every array that the first batch met on its way forward.
    confusion : (classes, classes), true class by predicted class, or None.
    weights : trained weights by name, or None where none were trained.
    image : the one image that was classified, where it is one alone.
    restored : epochs that came from a checkpoint.
    """

    result: Row = field(default_factory=dict)
    accuracy: list[Row] = field(default_factory=list)
    timing: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    trace: dict[str, NDArray[Any]] = field(default_factory=dict)
    confusion: NDArray[np.int64] | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    weights: dict[str, NDArray[Any]] | None = None
    image: NDArray[Any] | None = None
    restored: int = 0


def no_progress(done: int, total: int, what: str) -> None:
    """Show nothing."""


def timing_row(phase: str, items: int, seconds: float, batch: int | None, repeat: int) -> Row:
    """Return a row of timing.csv."""
    speed = items / seconds if seconds > 0 else None
    return {
        "phase": phase,
        "batch_size": batch,
        "repeat": repeat,
        "items": items,
        "seconds": seconds,
        "items_per_second": speed,
    }


def accuracy_rows(
    split: Split, logits: NDArray[Any], y: NDArray[Any], classes: int | None, head: Head
) -> list[Row]:
    """Return the rows of accuracy.csv of a split: each class, then the whole.

    Parameters
    ----------
    logits, y : (N, outputs), of the split's samples in their order.
    classes : their number, None for a regression (then only the loss counts).
    """
    if split.t is None or split.targets is None:
        return []

    def row(name: object, chosen: Any) -> Row:
        n = len(logits[chosen])
        return {
            "split": split.name,
            "class": str(name),
            "n": n,
            "correct": None if classes is None else int(np.count_nonzero(right[chosen])),
            "loss": float(head.value(logits[chosen], targets[chosen])) if n else None,
        }

    targets = split.targets
    if classes is None:
        return [row("all", slice(None))]
    right = decide(y) == split.t
    rows = [row(label, np.flatnonzero(split.t == label)) for label in range(classes)]
    return [*rows, row("all", slice(None))]


def confusion_matrix(t: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Return counts (classes, classes): row the true class, column the predicted one."""
    flat = np.bincount(t.astype(np.int64) * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def shape_rows(trace: Mapping[str, NDArray[Any]]) -> list[Row]:
    """Return the rows of shapes.csv."""
    return [
        {
            "order": order,
            "name": name,
            "shape": "x".join(str(side) for side in array.shape),
            "dtype": str(array.dtype),
            "mean": float(np.mean(array, dtype=np.float64)),
            "std": float(np.std(array, dtype=np.float64)),
        }
        for order, (name, array) in enumerate(trace.items())
    ]

"""Rosenblatt's perceptron and its learning rule (book ch. 2; Rosenblatt 1958)."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from runner.nn.checks import Array, number, require


class PassRecord(NamedTuple):
    """What a pass over the samples was.

    ``epoch`` counts the passes from 1, ``updates`` the changes of the weights
    since the start; ``error`` is the mean |t - y|, counted during the pass;
    ``w`` is (1 + inputs,) with the bias first; ``converged`` says whether the
    error fell below gamma.
    """

    epoch: int
    error: float
    updates: int
    seconds: float
    w: Array
    converged: bool


def perceptron(
    x: Array, t: Array, *, lr: float = 1.0, gamma: float = 0.01, max_passes: int = 100
) -> Iterator[PassRecord]:
    """Learn two classes by w ← w + lr (t - y) x, y = 1 for w·x > 0, else 0.

    x has a leading 1 for the bias, w starts from 0, and the samples are taken in
    the given order. Yields a record after each pass and stops when the
    error of a pass is below ``gamma``, or after ``max_passes``.

    Parameters
    ----------
    x
        Samples (samples, inputs).
    t
        Classes 0 and 1, (samples,).

    Raises
    ------
    NeuralNetworkError
        For other shapes or classes.
    """
    x, classes = _samples(x, t)
    lr = number("lr", lr)
    w, updates = np.zeros(x.shape[1], x.dtype), 0
    for epoch in range(1, max_passes + 1):
        started, before = time.perf_counter(), updates
        for sample, wanted in zip(x, classes, strict=True):
            y = 1 if sample @ w > 0 else 0
            if y != wanted:
                w += lr * (wanted - y) * sample
                updates += 1
        seconds, error = time.perf_counter() - started, (updates - before) / len(x)
        yield PassRecord(epoch, error, updates, seconds, w.copy(), error < gamma)
        if error < gamma:
            return


def _samples(x: Array, t: Array) -> tuple[Array, list[float]]:
    """Put a 1 before each sample; floating-point samples keep their dtype."""
    x, t = np.asarray(x), np.asarray(t)
    require(x.ndim == 2 and len(x) >= 1, "x", "(samples, inputs)", x.shape)
    require(t.shape == (len(x),), "t", str((len(x),)), t.shape)
    require(bool(np.isin(t, (0, 1)).all()), "t", "classes 0 and 1", np.unique(t).tolist())
    dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.float64
    return np.column_stack([np.ones(len(x), dtype), x.astype(dtype)]), t.tolist()

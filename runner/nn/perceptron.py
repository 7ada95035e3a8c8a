"""Rosenblatt's perceptron and its learning rule (book ch. 2; Rosenblatt 1958)."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from runner.nn.checks import Array, number, require
from runner.nn.training import Diverged, overflows

BLOCK = 48  # samples taken together: more take longer in products than they save in calls


class PassRecord(NamedTuple):
    """What a pass over the samples was.

    ``epoch`` counts the passes from 1; ``error`` is the mean |t - y| over
    samples and outputs, counted during the pass; ``updates`` the corrections
    of single neurons since the start; ``seconds`` the time of the pass;
    ``w`` the weights after it, (1 + inputs, outputs), biases first;
    ``converged`` says whether the error fell below gamma.
    """

    epoch: int
    error: float
    updates: int
    seconds: float
    w: Array
    converged: bool


def perceptron(
    x: Array,
    t: Array,
    w: Array,
    *,
    lr: float,
    gamma: float,
    max_passes: int,
    average: bool,
    rng: np.random.Generator | None,
    prepare: Callable[[Array], Array],
) -> Iterator[PassRecord]:
    """Learn by w ← w + lr (t - y) x, sample after sample; y = 1 for w·x > 0, else 0.

    x has a leading 1 for the bias. Several outputs are as many perceptrons
    side by side. Yields a record after each pass; the last is the one whose
    error is below ``gamma``, or number ``max_passes``.

    The weights are kept in units of ``lr``, so that from weights 0 it scales
    them and changes no decision; added up as they stand, multiples of 0.1
    round, and a sample that lies on the boundary falls to one side of it.

    Parameters
    ----------
    x
        Samples in any form, (samples, ...).
    t
        Classes 0 and 1, (samples, outputs); one-hot for one perceptron per class.
    w
        First weights (1 + inputs, outputs), biases first, float32 or float64; left alone.
    average
        Yield the mean of the weights after each step so far in place of the
        last ones, with which the rule goes on (Freund and Schapire 1999).
    rng
        Draws a new order for each pass; None keeps the given one.
    prepare
        Makes the input matrix (batch, inputs) of a batch of ``x``.

    Raises
    ------
    NeuralNetworkError
        For other shapes or classes, or a learning rate that is not above 0.
    Diverged
        After the pass in which a number overflows.
    """
    _check(x, t, w, prepare)
    info = np.finfo(w.dtype)
    lr = number("lr", lr, least=float(info.tiny), below=float(info.max))
    t, w, total = np.asarray(t, w.dtype), w / lr, np.zeros(w.shape) if average else None
    updates = steps = 0
    for epoch in range(1, max_passes + 1):
        started = time.perf_counter()
        order = np.arange(len(x)) if rng is None else rng.permutation(len(x))
        with overflows():
            wrong = _one_pass(x, t, w, total, order, prepare)
            steps += len(x)
            learned = (w if total is None else total / steps) * lr
        if not np.isfinite(learned).all():
            raise Diverged(f"pass {epoch}: weights are not finite")
        updates, error = updates + wrong, wrong / t.size
        seconds, converged = time.perf_counter() - started, error < gamma
        yield PassRecord(epoch, error, updates, seconds, learned.astype(w.dtype), converged)
        if converged:
            return


def _one_pass(
    x: Array,
    t: Array,
    w: Array,
    total: Array | None,
    order: Array,
    prepare: Callable[[Array], Array],
) -> int:
    """Take every sample once; change ``w`` and the running ``total`` in place, count mistakes."""
    wrong = 0
    inputs = np.ones((min(BLOCK, len(x)), len(w)), w.dtype)  # the first column stays 1
    earlier = np.tri(len(inputs), k=-1, dtype=w.dtype)
    for first in range(0, len(x), BLOCK):
        chosen = order[first : first + BLOCK]
        n = len(chosen)
        block = inputs[:n]
        block[:, 1:] = prepare(x[chosen])
        errors = _errors(block, t[chosen], w, earlier[:n, :n])
        if total is not None:
            # A correction is part of the weights after its own step and all later ones.
            remaining = np.arange(n, 0, -1, dtype=w.dtype)[:, None]
            total += n * w + block.T @ (remaining * errors)
        w += block.T @ errors
        wrong += int(np.count_nonzero(errors))
    return wrong


def _errors(x: Array, t: Array, w: Array, earlier: Array) -> Array:
    """Return t - y, (block, outputs), of samples that are taken one after the other.

    Sample i meets w + Σ_{j<i} x_j e_j, its score is x_i·w + Σ_{j<i} (x_i·x_j) e_j.
    Errors that give these scores and follow from them are therefore the
    rule's; with each round at least one more sample from the front has its
    own, so that the rounds end, most often after three or four.
    """
    start, products = x @ w, (x @ x.T) * earlier
    scores, errors = start, np.zeros_like(t)
    while not np.array_equal(found := t - (scores > 0), errors):
        errors = found
        scores = start + products @ errors
    if not np.isfinite(scores).all():
        raise Diverged("a score of the perceptron is not finite")
    return errors


def _check(x: Array, t: Array, w: Array, prepare: Callable[[Array], Array]) -> None:
    matrix = w.ndim == 2 and w.dtype in (np.float32, np.float64)
    require(matrix, "w", "(1 + inputs, outputs) of float32 or float64", f"{w.shape} of {w.dtype}")
    require(len(x) >= 1, "x", "at least one sample", "none")
    inputs, expected = prepare(x[:1]).shape, (1, len(w) - 1)
    require(inputs == expected, "x", f"{expected[1]} inputs, as w has", inputs[1:])
    shape = (len(x), w.shape[1])
    require(np.shape(t) == shape, "t", str(shape), np.shape(t))
    require(bool(np.isin(t, (0, 1)).all()), "t", "classes 0 and 1", np.unique(t).tolist())

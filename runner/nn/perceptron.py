"""Rosenblatt's perceptron and its learning rule (book ch. 2; Rosenblatt 1958)."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from runner.nn.checks import Array, Diverged, check_shape, number, overflows, require

BLOCK = 48  # samples taken together: more need more rounds, fewer more calls
STRIP = 8  # rows of the products of a block that are made together
KEPT = 64 << 20  # bytes of blocks that are kept for the next pass; MNIST needs 54 MB


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
    scale: float = 1.0,
) -> Iterator[PassRecord]:
    """Learn by w ← w + lr (t - y) x, sample after sample; y = 1 for w·x > 0, else 0.

    x has a leading 1 for the bias. Several outputs are as many perceptrons
    side by side. Yields a record after each pass; the last is the one whose
    error is below ``gamma``, or number ``max_passes``.

    The weights are kept in units of ``lr * scale`` and the samples as they
    are, with a leading 1/scale: that divides all scores by the same number,
    which changes no decision, and from weights 0 bytes are learned without
    rounding. Added up as they stand, multiples of 0.1 round, and a sample
    that lies on the boundary falls to one side of it.

    Parameters
    ----------
    x
        Samples (samples, inputs) of any real dtype; a memory map is read block by block.
    t
        Classes 0 and 1, (samples, outputs); one-hot for one perceptron per class.
    w
        First weights (1 + inputs, outputs), biases first, float32 or float64; left alone.
    average
        Yield the mean of the weights after each step so far in place of the
        last ones, with which the rule goes on (Freund and Schapire 1999).
    rng
        Draws a new order for each pass; None keeps the given one. Then the passes
        after the first are twice as fast, for up to 64 MB that are kept for them.
    scale
        Factor of the inputs, 1/255 for bytes that are to lie in [0, 1].

    Raises
    ------
    NeuralNetworkError
        For other shapes or classes, or a learning rate or a scale that is not above 0.
    Diverged
        After the pass in which a number overflows.
    """
    _check(x, t, w)
    info = np.finfo(w.dtype)
    bounds = {"least": float(info.tiny), "below": float(info.max)}
    unit = number("lr * scale", number("lr", lr, **bounds) * scale, **bounds)
    total = np.zeros(w.shape) if average else None
    with overflows():
        w = np.divide(w, unit, order="C")
        blocks = _Blocks(x, t, w.dtype, constant=1 / scale)
    updates = steps = 0
    for epoch in range(1, max_passes + 1):
        started = time.perf_counter()
        order = None if rng is None else rng.permutation(len(x))
        with overflows():
            wrong = _one_pass(blocks.take(order), w, total)
            steps += len(x)
            learned = (w if total is None else total / steps) * unit
        if not np.isfinite(learned).all():
            raise Diverged(f"pass {epoch}: weights are not finite")
        updates, error = updates + wrong, wrong / t.size
        seconds, converged = time.perf_counter() - started, error < gamma
        yield PassRecord(epoch, error, updates, seconds, learned.astype(w.dtype), converged)
        if converged:
            return


class _Block(NamedTuple):
    """Samples that are taken together, without the inputs that are 0 in all of them.

    ``used`` are the numbers of the weights that are left, 0 the bias; ``x`` the
    samples (used, block); ``t`` their classes (block, outputs), int8;
    ``products`` (block, block) has x_i·x_j in row i for each earlier sample j, else 0.
    """

    used: Array
    x: Array
    t: Array
    products: Array


def _one_pass(blocks: Iterator[_Block], w: Array, total: Array | None) -> int:
    """Take every block once; change ``w`` and the running ``total`` in place, count mistakes."""
    rows = w.view(f"V{w.strides[0]}")[:, 0]  # a row as one item is put back twice as fast
    wrong, scores = 0, np.zeros((BLOCK, w.shape[1]), w.dtype)
    for used, x, t, products in blocks:
        n, learned = len(t), w.take(used, axis=0)
        start = x.T.dot(learned)
        scores[:n] += start
        delta = _delta(start, t, products)
        if total is not None:
            # A correction is part of the weights after its own step and all later ones.
            remaining = np.arange(n, 0, -1, dtype=w.dtype)[:, None]
            total += n * w
            total[used] -= x.dot(remaining * delta)
        learned -= x.dot(delta)
        rows[used] = learned.view(rows.dtype)[:, 0]
        wrong += int(np.count_nonzero(delta))
    _check_scores(scores)  # one that is not finite has made their sum so
    return wrong


def _delta(start: Array, t: Array, products: Array) -> Array:
    """Return y - t, (block, outputs), of samples that are taken one after the other.

    Sample i meets w - Σ_{j<i} x_j δ_j with δ = y - t, so its score is
    x_i·w - Σ_{j<i} (x_i·x_j) δ_j, and y_i is 1 where that sum is below
    ``start``, x_i·w. Outputs that give themselves so are therefore the rule's;
    with each round at least one more sample from the front has its own, so
    that the rounds end, most often after five.
    """
    y, difference = start > 0, np.empty_like(t)
    delta, sums = np.empty_like(start), np.empty_like(start)
    bits, before = y.view(np.int8), b""
    while (now := y.tobytes()) != before:
        before = now
        np.subtract(bits, t, difference)
        delta[...] = difference  # cast apart: NumPy is slow on mixed types
        np.less(products.dot(delta, sums), start, y)
    return delta


class _Blocks:
    """Makes blocks of samples, and keeps some of those that come in the given order.

    Parameters
    ----------
    x, t
        As `perceptron` has them.
    dtype
        Of the samples and products of a block.
    constant
        Input of the bias.
    """

    def __init__(self, x: Array, t: Array, dtype: "np.dtype[Any]", constant: float) -> None:
        self.x, self.t = x, t.astype(np.int8)
        size = min(BLOCK, len(x))
        self.inputs = np.full((1 + x.shape[1], size), constant, dtype)  # row 0 stays
        self.earlier = np.tri(size, k=-1, dtype=dtype)
        self.kept: dict[int, _Block] = {}
        self.room = KEPT

    def take(self, order: Array | None) -> Iterator[_Block]:
        """Yield all samples, in the given order for None; the next block overwrites ``x``."""
        for first in range(0, len(self.x), BLOCK):
            chosen = slice(first, first + BLOCK)
            block = self.kept.get(first)
            if block is None:
                block = self._make(chosen if order is None else order[chosen])
                if order is None:
                    self._keep(first, block)
            used, x, t, products = block
            yield _Block(used, self._cast(x), t, products)

    def _make(self, chosen: slice | Array) -> _Block:
        """Return a block with ``x`` as it came, without the bias."""
        x, t = self.x[chosen], self.t[chosen]
        used = np.flatnonzero(x.any(axis=0))
        x = x.T.take(used, axis=0)
        return _Block(np.concatenate([[0], 1 + used]), x, t, self._products(self._cast(x)))

    def _keep(self, first: int, block: _Block) -> None:
        size = block.used.nbytes + block.x.nbytes + block.products.nbytes
        if size <= self.room:
            self.kept[first], self.room = block, self.room - size

    def _cast(self, x: Array) -> Array:
        """Return samples with the input of the bias, in an array that is made once."""
        made = self.inputs[: 1 + len(x), : x.shape[1]]
        made[1:] = x
        return made

    def _products(self, x: Array) -> Array:
        n = x.shape[1]
        products = np.zeros((n, n), x.dtype)
        for first in range(0, n, STRIP):  # strips leave out most of what is not needed
            end = first + STRIP
            np.matmul(x[:, first:end].T, x[:, :end], out=products[first:end, :end])
        products *= self.earlier[:n, :n]
        _check_scores(products)
        return products


def _check_scores(scores: Array) -> None:
    if not np.isfinite(scores).all():
        raise Diverged("a score of the perceptron is not finite")


def _check(x: Array, t: Array, w: Array) -> None:
    matrix = w.ndim == 2 and w.dtype in (np.float32, np.float64)
    require(matrix, "w", "(1 + inputs, outputs) of float32 or float64", f"{w.shape} of {w.dtype}")
    require(len(x) >= 1, "x", "at least one sample", "none")
    check_shape("x", x, (len(x), len(w) - 1))
    check_shape("t", t, (len(x), w.shape[1]))
    classes = bool(((t == 0) | (t == 1)).all())
    require(classes, "t", "classes 0 and 1", t if classes else np.unique(t).tolist())

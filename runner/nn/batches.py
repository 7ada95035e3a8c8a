"""Batches of samples as a training meets them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from runner.nn.checks import Array


class Batches:
    """Gathers batches into arrays that are made once.

    Most of an image is margin: of MNIST's 784 pixels 67 are 0 in all images,
    and about 520 are not in a batch of 100. So bytes are arranged: the inputs
    that are rarely other than 0 come first, and a batch begins at the first
    one that it needs, which leaves out about a fifth of the products of the
    first layer. An input of 0 changes nothing in them but the rounding.

    Parameters
    ----------
    x
        Samples (samples, inputs) of any real dtype; a memory map is read batch by batch,
        unless it is of bytes, which are copied to be arranged, or lies column by column.
    t
        Targets (samples, outputs).
    rows
        Samples in a batch, at most.
    dtype
        float32 or float64, of what is gathered.
    scale
        Factor of the inputs, 1/255 for bytes that are to lie in [0, 1].

    Attributes
    ----------
    order
        Numbers of the inputs as they are arranged; None where they are left as they are.
    unused
        How many of the first of them are 0 in all samples.
    """

    def __init__(self, x: Array, t: Array, rows: int, dtype: "np.dtype[Any]", scale: float) -> None:
        self.rows, self.scale = rows, float(scale)
        x = np.require(x, requirements=["C", "A"])  # else np.take copied all of it for each batch
        self.samples, self.order, self.unused = x, None, 0
        pairs = _arrangement(x, rows)
        if pairs is not None:
            self.samples = np.take(x.view(np.uint16), pairs, axis=1).view(np.uint8)
            self.order = (2 * pairs[:, None] + [0, 1]).ravel()
            self.unused = _first_used(self.samples)
        self.targets = np.ascontiguousarray(t.T, dtype)  # the losses want the batch last
        self.raw = np.empty((rows, x.shape[1]), x.dtype)
        self.x1 = np.empty(rows * (x.shape[1] + 1), dtype)
        self.t = np.empty(rows * t.shape[1], dtype)

    def take(self, chosen: Array) -> tuple[Array, Array, int]:
        """Return what back-propagation takes, of samples by number: x1, t and the first input.

        The next call overwrites the arrays.
        """
        n = len(chosen)
        # Bytes are gathered and then cast: that moves a quarter of the memory.
        raw = np.take(self.samples, chosen, axis=0, out=self.raw[:n], mode="clip")
        first = 0 if self.order is None else _first_used(raw)
        x1 = self.x1[: raw.size + n - n * first].reshape(n, -1)
        np.copyto(x1[:, :-1], raw[:, first:], casting="same_kind")
        if self.scale != 1:
            x1 *= self.scale
        x1[:, -1] = 1
        t = self.t[: n * len(self.targets)].reshape(-1, n)
        np.take(self.targets, chosen, axis=1, out=t, mode="clip")
        return x1, t.T, first

    @contextmanager
    def arranging(self, W: Array) -> Iterator[None]:
        """Arrange the first weights (inputs, units) as the inputs are, for as long as it lasts."""
        if self.order is None:
            yield
            return
        W[...] = W[self.order]
        try:
            yield
        finally:
            W[self.order] = W.copy()


def _first_used(x: Array) -> int:
    """Return the number of the first input that is not 0 in all samples of bytes."""
    return int((np.bitwise_or.reduce(x, axis=0) != 0).argmax())


def _arrangement(x: Array, rows: int) -> Array | None:
    """Return the numbers of the inputs by how many batches they are in, None where it is in vain.

    Pairs of neighbours stay together, because two bytes are moved several
    times as fast as one.
    """
    if x.dtype != np.uint8 or x.shape[1] % 2:
        return None
    pairs, starts = x.view(np.uint16), range(0, len(x), rows)
    used = sum(np.bitwise_or.reduce(pairs[i : i + rows], axis=0) != 0 for i in starts)
    return None if np.mean(used) > 0.95 * len(starts) else np.argsort(used, kind="stable")

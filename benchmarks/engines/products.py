"""The matrix products of a training alone: what no engine on the same BLAS can be faster than."""

import time
from collections.abc import Callable
from itertools import pairwise, product

import numpy as np

from engines.cases import BATCH, Array, Data, Training


class Trainer:
    """All products of full size, each in its own best layout; nothing is learned."""

    def __init__(self, case: Training, data: Data, threads: int) -> None:
        self.products: list[Callable[[], Array]] = []
        for layer, (fan_in, fan_out) in enumerate(pairwise(case.sizes)):
            self.products += [fastest(BATCH, fan_in, fan_out), fastest(fan_in, BATCH, fan_out)]
            if layer > 0:  # nobody needs the gradient in the inputs
                self.products.append(fastest(BATCH, fan_out, fan_in))

    def epoch(self, order: Array) -> None:
        """Do the products of an epoch."""
        for _ in range(0, len(order), BATCH):
            for multiply in self.products:
                multiply()

    def labels(self) -> None:
        """There are none."""


def fastest(rows: int, inner: int, columns: int) -> Callable[[], Array]:
    """Return the product (rows, inner) @ (inner, columns), by rows or columns as is fastest."""
    rng = np.random.default_rng(0)
    left, right = rng.random((rows, inner), np.float32), rng.random((inner, columns), np.float32)
    candidates = [multiplication(left, right, orders) for orders in product("CF", repeat=3)]
    return min(candidates, key=seconds)


def multiplication(left: Array, right: Array, orders: tuple[str, ...]) -> Callable[[], Array]:
    """Return the product of two matrices into a third, in these memory orders."""
    a, b = np.array(left, order=orders[0]), np.array(right, order=orders[1])
    out = np.empty((len(a), b.shape[1]), a.dtype, order=orders[2])
    return lambda: np.matmul(a, b, out=out)


def seconds(multiply: Callable[[], Array]) -> float:
    """Return the least time of five times ten calls."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(10):
            multiply()
        times.append(time.perf_counter() - started)
    return min(times)

"""The gradient by finite differences, slow and simple (book ch. 4.3, 4.4)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from runner.nn.checks import Array


def gradient(f: Callable[[Array], float], x: ArrayLike, h: float = 1e-4) -> Array:
    """Return df/dx by central differences, (f(x + h) - f(x - h)) / 2h in each element.

    Book 4.3.1 and 4.4. ``x`` may have any shape and dtype; ``f`` gets it
    as float64 (added to an integer array, ``h`` would be lost), and the gradient is
    float64 of the same shape.
    """
    x = np.array(x, dtype=np.float64)
    slopes = np.empty_like(x)
    for i in np.ndindex(x.shape):
        middle = x[i]
        x[i] = middle + h
        above = f(x)
        x[i] = middle - h
        below = f(x)
        x[i] = middle
        slopes[i] = (above - below) / (2 * h)
    return slopes

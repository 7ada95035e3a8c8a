"""The array type, the package's exceptions, and the checks that raise them."""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# What overflows ends as inf or nan, which is noticed; a warning would say it twice.
overflows = partial(np.errstate, over="ignore", invalid="ignore", divide="ignore")


class NeuralNetworkError(ValueError):
    """A parameter, a layer size or an array is not what was expected."""


class Diverged(FloatingPointError):
    """Loss or parameters are not finite, or so large that rounding hides their gradient."""


def require(holds: bool, what: str, expected: str, got: object) -> None:
    """Raise in the one form of all messages here unless a condition holds.

    Raises
    ------
    NeuralNetworkError
        ``<what>: expected <expected>, got <got>``.
    """
    if not holds:
        raise NeuralNetworkError(f"{what}: expected {expected}, got {got}")


def number(what: str, value: float, *, least: float = -math.inf, below: float = math.inf) -> float:
    """Return a finite number of ``[least, below)`` as a Python float.

    A Python float takes the dtype of the array it meets; a ``np.float64``
    would turn a float32 array into float64.

    Raises
    ------
    NeuralNetworkError
        Where it is no number, not finite or out of the range.
    """
    bounds = [f">= {least:g}"] * (least > -math.inf) + [f"< {below:g}"] * (below < math.inf)
    expected = f"a finite number {' and '.join(bounds)}".strip()
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    in_range = is_number and math.isfinite(value) and least <= value < below
    require(in_range, what, expected, repr(value))
    return float(value)


def check_shape(what: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise a NeuralNetworkError where the array has another shape."""
    if array.shape != shape:
        raise NeuralNetworkError(f"{what}: expected {shape}, got {array.shape}")

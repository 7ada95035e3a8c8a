"""First weights of a layer (book ch. 6.2)."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from runner.nn.checks import Array, number

RELU_FAMILY = frozenset({"relu", "leaky_relu", "elu", "gelu", "softplus"})


class Initializer(Protocol):
    """Makes the weights W, (fan_in, fan_out), of a layer.

    ``activation_name`` is the function that follows the layer. Random
    numbers are drawn in float64 and then cast, so that networks of both
    dtypes start from the same weights.
    """

    def __call__(
        self,
        fan_in: int,
        fan_out: int,
        activation_name: str,
        *,
        rng: np.random.Generator,
        dtype: DTypeLike,
    ) -> Array:
        """Return W."""
        ...


def _normal(std: Callable[[int, str], float]) -> Initializer:
    """Draw normal numbers of mean 0, their standard deviation by fan_in and activation name."""

    def initialize(
        fan_in: int,
        fan_out: int,
        activation_name: str,
        *,
        rng: np.random.Generator,
        dtype: DTypeLike,
    ) -> Array:
        W = rng.normal(0.0, std(fan_in, activation_name), (fan_in, fan_out))
        return W.astype(dtype)

    return initialize


def gaussian(std: float = 0.01) -> Initializer:
    """Return normal weights of one standard deviation in all layers (book 6.2.1)."""
    std = number("std", std, least=0)
    return _normal(lambda fan_in, name: std)


def zeros() -> Initializer:
    """Return weights of 0: all units of a layer then learn the same (book 6.2.1)."""
    return gaussian(0.0)


def xavier() -> Initializer:
    """Return normal weights of standard deviation 1/√fan_in, for sigmoid and tanh.

    This is the book's form (6.2.2), which looks back only. Glorot & Bengio
    2010 look both ways: √(2 / (fan_in + fan_out)), eq. 12; between layers of
    equal size the two are the same.
    """
    return _normal(lambda fan_in, name: _xavier_std(fan_in))


def he() -> Initializer:
    """Return normal weights of standard deviation √(2/fan_in), for ReLU.

    Book 6.2.3; He et al. 2015, eq. 10.
    """
    return _normal(lambda fan_in, name: _he_std(fan_in))


def auto() -> Initializer:
    """Return He's weights before ReLU and its relatives, else Xavier's (book 6.2.3)."""
    return _normal(lambda fan_in, name: (_he_std if name in RELU_FAMILY else _xavier_std)(fan_in))


def _xavier_std(fan_in: int) -> float:
    return math.sqrt(1 / fan_in)


def _he_std(fan_in: int) -> float:
    return math.sqrt(2 / fan_in)


INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "auto": auto,
    "gaussian": gaussian,
    "xavier": xavier,
    "he": he,
    "zeros": zeros,
}

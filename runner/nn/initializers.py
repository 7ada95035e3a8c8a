"""First weights of a layer (book ch. 6.2)."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from runner.nn.checks import Array, number

RELU_FAMILY = frozenset({"relu", "leaky_relu", "elu", "gelu", "softplus"})


# Makes the weights W of a layer: (fan_in, fan_out, activation_name, *, rng, dtype) -> (fan_in,
# fan_out). The name is that of the function that follows the layer. Random numbers are drawn in
# float64 and then cast, so that networks of both dtypes start from the same weights.
Initializer = Callable[..., Array]


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
    return _scaled(lambda name: 1)


def he() -> Initializer:
    """Return normal weights of standard deviation √(2/fan_in), for ReLU.

    Book 6.2.3; He et al. 2015, eq. 10.
    """
    return _scaled(lambda name: 2)


def auto() -> Initializer:
    """Return He's weights before ReLU and its relatives, else Xavier's (book 6.2.3).

    Xavier's suit maxout as well: the square of the larger of two normal numbers has the mean 1,
    that of the largest of five 1.8, where ReLU halves it.
    """
    return _scaled(lambda name: 2 if name in RELU_FAMILY else 1)


def _scaled(gain: Callable[[str], int]) -> Initializer:
    return _normal(lambda fan_in, name: math.sqrt(gain(name) / fan_in))


INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "auto": auto,
    "gaussian": gaussian,
    "xavier": xavier,
    "he": he,
    "zeros": zeros,
}

"""Activation functions of the hidden layers, each with its slope (book ch. 3.2, 5.5)."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import Chebyshev, chebval
from numpy.typing import NDArray

from runner.nn.checks import Array, number, overflows, require

# exp(-a) of a large a is 0 to every digit of a float, and so is a² of a small one.
vanishes = np.errstate(under="ignore")


class Activation(NamedTuple):
    """An activation function z = h(a) and its slope dz/da.

    Both take the pre-activation ``a`` of any shape; z and slope have its shape
    and dtype. ``forward(a, out=None)`` returns z, a new array or ``out``,
    which may be ``a`` itself; ``both(a, z, slope)`` writes into arrays that
    are there, which is what training does. Only where each unit takes several
    ``pieces`` does ``a`` have that many times as many columns as z.
    """

    forward: Callable[..., Array]
    both: Callable[[Array, Array, Array], None]
    pieces: int = 1

    def slope(self, a: Array) -> Array:
        """Return dz/da in a new array."""
        z, dz = np.empty_like(self.forward(a)), np.empty_like(a)
        self.both(a, z, dz)
        return dz


def pair(forward: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Activation:
    """Return the activation of two functions of ``a`` alone."""

    def forward_into(a: Array, out: Array | None = None) -> Array:
        z = forward(a)
        if out is None:
            return z
        np.copyto(out, z)
        return out

    def both(a: Array, z: Array, dz: Array) -> None:
        np.copyto(z, forward(a))
        np.copyto(dz, slope(a))

    return Activation(forward_into, both)


def step() -> Activation:
    """Return 0 for a <= 0, 1 for a > 0; its slope is 0 everywhere (book 3.2.2)."""
    return pair(lambda a: np.greater(a, 0, out=np.empty_like(a)), np.zeros_like)


def sigmoid() -> Activation:
    """Return 1 / (1 + exp(-a)) (book eq. 3.6), slope z (1 - z) (book eq. 5.12).

    Written as (1 + tanh(a/2)) / 2, the same function, which cannot overflow.
    """

    def forward(a: Array, out: Array | None = None) -> Array:
        z: Array = np.tanh(np.multiply(a, 0.5, out=out), out=out)
        z *= 0.5
        z += 0.5
        return z

    def both(a: Array, z: Array, dz: Array) -> None:
        forward(a, out=z)
        np.subtract(1, z, out=dz)
        dz *= z

    return Activation(forward, both)


def relu() -> Activation:
    """Return max(a, 0) (book eq. 3.7); its slope at 0 is 0."""

    def forward(a: Array, out: Array | None = None) -> Array:
        return np.maximum(a, 0, out=out)

    def both(a: Array, z: Array, dz: Array) -> None:
        np.greater(a, 0, out=dz)
        np.multiply(a, dz, out=z)  # half the time of another maximum

    return Activation(forward, both)


def tanh() -> Activation:
    """Return the hyperbolic tangent, slope 1 - z²."""

    def forward(a: Array, out: Array | None = None) -> Array:
        return np.tanh(a, out=out)

    @vanishes
    def both(a: Array, z: Array, dz: Array) -> None:
        forward(a, out=z)
        np.square(z, out=dz)
        np.subtract(1, dz, out=dz)

    return Activation(forward, both)


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """Return a for a > 0, else negative_slope · a (Maas et al. 2013)."""
    negative_slope = number("negative_slope", negative_slope)

    def forward(a: Array) -> Array:
        return np.where(a > 0, a, negative_slope * a)

    def slope(a: Array) -> Array:
        return np.where(a > 0, np.ones_like(a), negative_slope)

    return pair(forward, slope)


def elu(alpha: float = 1.0) -> Activation:
    """Return a for a > 0, else alpha (exp(a) - 1) (Clevert et al. 2016, section 3)."""
    alpha = number("alpha", alpha)

    # np.where computes both branches, hence the minimum: exp(a) overflows where it is not wanted.
    @vanishes
    def forward(a: Array) -> Array:
        return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0)))

    @vanishes
    def slope(a: Array) -> Array:
        return np.where(a > 0, np.ones_like(a), alpha * np.exp(np.minimum(a, 0)))

    return pair(forward, slope)


def maxout(pieces: int | None = None) -> Activation:
    """Return the largest of a unit's pieces (Goodfellow et al. 2013, section 3).

    ``a`` has the first pieces of all units, then the second ones, ...: (batch, pieces · units).
    The slope is 1 at the largest and 0 at the others; those that are equal share it.

    Parameters
    ----------
    pieces
        How many a unit has: 5 for None, as in its authors' network for MNIST.

    Raises
    ------
    NeuralNetworkError
        For a number of pieces that is none.
    """
    pieces = 5 if pieces is None else pieces
    require(type(pieces) is int and pieces >= 1, "pieces", "an integer from 1", repr(pieces))

    def apart(a: Array) -> Array:
        return a.reshape(*a.shape[:-1], pieces, -1)

    def forward(a: Array, out: Array | None = None) -> Array:
        z: Array = np.maximum.reduce(apart(a), axis=-2, out=out)
        return z

    @overflows()
    def both(a: Array, z: Array, dz: Array) -> None:
        forward(a, out=z)
        largest = np.equal(apart(a), z[..., None, :], out=apart(dz))
        largest /= np.add.reduce(largest, axis=-2, keepdims=True)

    return Activation(forward, both, pieces)


def softplus() -> Activation:
    """Return log(1 + exp(a)), a smooth ReLU (Dugas et al. 2001), slope sigmoid(a).

    Written as max(a, 0) + log(1 + exp(-|a|)), the same function, which cannot overflow.
    """

    @vanishes
    def forward(a: Array) -> Array:
        z: Array = np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))
        return z

    return pair(forward, sigmoid().forward)


def identity() -> Activation:
    """Return a itself, slope 1."""
    return pair(np.copy, np.ones_like)


def gelu(approximate: str = "none") -> Activation:
    """Return a·Φ(a), Φ the distribution function of the standard normal.

    Hendrycks & Gimpel 2016, section 2. The parameter's words are PyTorch's.

    Parameters
    ----------
    approximate
        ``"none"`` for Φ itself, ``"tanh"`` for the paper's approximation.

    Raises
    ------
    NeuralNetworkError
        For any other word.
    """
    require(approximate in ("none", "tanh"), "approximate", "'none' or 'tanh'", repr(approximate))
    return _exact_gelu() if approximate == "none" else _tanh_gelu()


def _tanh_gelu() -> Activation:
    """Φ(a) ≈ (1 + tanh u) / 2 with u = √(2/π) (a + 0.044715 a³)."""
    scale, cubic = math.sqrt(2 / math.pi), 0.044715

    def parts(a: Array) -> tuple[Array, Array]:
        a = np.clip(a, -10, 10)  # beyond, tanh u is ±1 to the last digit and a³ may overflow
        squares = a * a
        return np.tanh(scale * a * (1 + cubic * squares)), scale * (1 + 3 * cubic * squares)

    @vanishes
    def forward(a: Array) -> Array:
        u, _ = parts(a)
        z: Array = 0.5 * a * (1 + u)
        return z

    @vanishes
    def slope(a: Array) -> Array:
        u, du = parts(a)
        dz: Array = 0.5 * (1 + u) + 0.5 * a * (1 - u * u) * du
        return dz

    return pair(forward, slope)


def _exact_gelu() -> Activation:
    """Slope Φ(a) + a φ(a), φ the density of the standard normal."""

    @vanishes
    def forward(a: Array) -> Array:
        return a * _normal_cdf(a)

    @vanishes
    def slope(a: Array) -> Array:
        dz: Array = np.exp(-(_z(a) ** 2))
        dz *= a / math.sqrt(2 * math.pi)
        dz += _normal_cdf(a)
        return dz

    return pair(forward, slope)


# NumPy has no erf. Shepherd & Laframboise 1981 (Math. Comp. 36, 249-253) write
# erfc(z) = exp(-z²) E(z) for z >= 0: E is so smooth in t = (z - K) / (z + K) that
# a short Chebyshev series gives it to the last digits. T scales t to end in 1 at LAST.
K = 3.75
LAST = 26.0  # erfc of more has no normal float64
T = 1 + 2 * K / LAST


@cache
def _series(dtype: np.dtype[np.floating]) -> Array:
    """Chebyshev coefficients of E over t in [-1, 1], as many as the dtype can tell from 0."""

    def scaled_erfc(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([math.erfc(z) * math.exp(z * z) for z in K * (1 + t) / (T - t)])

    series = Chebyshev.interpolate(scaled_erfc, 24)
    return series.trim(float(np.finfo(dtype).eps)).coef.astype(dtype)


def _z(a: Array) -> Array:
    """Return |a|/√2, the argument of erfc that belongs to the normal distribution at ±a."""
    z: Array = np.minimum(np.abs(a) * math.sqrt(0.5), LAST)
    return z


def _normal_cdf(a: Array) -> Array:
    """Φ(a) = erfc(-a/√2) / 2."""
    z = _z(a)
    tail: Array = 0.5 * np.exp(-z * z) * chebval((T * z - K) / (z + K), _series(a.dtype))
    return np.where(a > 0, 1 - tail, tail)


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "step": step,
    "sigmoid": sigmoid,
    "relu": relu,
    "tanh": tanh,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "maxout": maxout,
    "gelu": gelu,
    "softplus": softplus,
    "identity": identity,
}

"""A noisy sine, the usual first regression (Bishop, Pattern Recognition and ML, section 1.1)."""

import math

import numpy as np

from .dataset import DataError, Dataset, build_dataset


def curve(*, n: int = 100, n_test: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Return t = sin(2πx) plus Gaussian noise, at x drawn evenly from [0, 1).

    Parameters
    ----------
    n, n_test : int
        Number of training samples and of the test samples that follow them.
    noise : float
        Standard deviation of the noise, in training and test alike.
    seed : int
        Of NumPy's frozen legacy stream: the same samples on every version.

    Returns
    -------
    Dataset
        x (n + n_test, 1) and t (n + n_test, 1), float64.

    Raises
    ------
    DataError
        If a parameter is out of its range.
    """
    for name, value, least in (("n", n, 1), ("n_test", n_test, 1), ("seed", seed, 0)):
        if not (isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**32):
            raise DataError(f"curve: {name}: expected an integer from {least}, got {value!r}")
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not 0 <= noise < math.inf:
        raise DataError(f"curve: noise: expected a number from 0, got {noise!r}")
    rng = np.random.RandomState(seed)
    x = rng.random_sample((n + n_test, 1))
    t = np.sin(2 * np.pi * x) + noise * rng.standard_normal(x.shape)
    return build_dataset(x, t, slice(0, n), slice(n, n + n_test))

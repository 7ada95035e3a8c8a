"""Samples of nothing but chance, to watch what first weights make of them (the book, 6.2)."""

from dataclasses import replace

import numpy as np

from .dataset import CLASSES, DataError, Dataset, build_dataset


def normal(*, n: int = 1000, features: int = 100, classes: int = 2, seed: int = 0) -> Dataset:
    """Return standard normal samples, and labels drawn evenly that do not depend on them.

    No network can do better than chance on samples that it has not seen.

    Parameters
    ----------
    n, features : int
        Number of samples, and of the numbers of each.
    classes : int
        Number of classes, at least 2.
    seed : int
        Of NumPy's frozen legacy stream, samples first: the same on every version.

    Returns
    -------
    Dataset
        x (n, features) float64 and t (n,) int64; both splits are everything.

    Raises
    ------
    DataError
        If a parameter is out of its range.
    """
    bounds = {
        "n": (n, 1, 2**32),
        "features": (features, 1, 2**32),
        "classes": (classes, 2, CLASSES),
        "seed": (seed, 0, 2**32 - 1),
    }
    for name, (value, least, most) in bounds.items():
        if not (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most):
            expected = f"an integer from {least} to {most}"
            raise DataError(f"normal: {name}: expected {expected}, got {value!r}")
    rng = np.random.RandomState(seed)
    x = rng.standard_normal((n, features))
    t = rng.randint(classes, size=n, dtype=np.int64)
    everything = slice(0, n)
    return replace(build_dataset(x, t, everything, everything), classes=classes)

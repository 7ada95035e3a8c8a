"""The 8 by 8 digits that ship with scikit-learn (UCI, Alpaydin and Kaynak 1998)."""

import numpy as np

from .dataset import Dataset, build_dataset

COUNT = 1797
TRAINING = 1437  # four fifths


def digits() -> Dataset:
    """Return the 1,797 digits in a fixed shuffled order, the last 360 for the test.

    x is (1797, 8, 8) uint8 with values 0..16, t (1797,) uint8.
    """
    from sklearn.datasets import load_digits

    library = load_digits()
    order = np.random.RandomState(0).permutation(COUNT)
    x = library.images.astype(np.uint8)[order]
    t = library.target.astype(np.uint8)[order]
    return build_dataset(x, t, slice(0, TRAINING), slice(TRAINING, COUNT), maximum=16.0)

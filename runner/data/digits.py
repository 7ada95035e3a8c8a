"""The 8 by 8 digits that ship with scikit-learn (UCI, Alpaydin and Kaynak 1998)."""

import numpy as np

from .dataset import Dataset, build_dataset, contents_digest
from .library import check_contents, library_file, read_rows

CONTENT = "scikit-learn's 1,797 digits"
COUNT = 1797
TRAINING = 1437  # four fifths
SHA256 = "566ea5563e974f752788b806606ce97532dc8788022936d599d1f3909dc6a792"


def digits() -> Dataset:
    """Return the 1,797 digits in a fixed shuffled order, the last 360 for the test.

    x is (1797, 8, 8) uint8 with values 0..16, t (1797,) uint8.

    Raises
    ------
    DataError
        If scikit-learn is not installed or its file has other contents.
    """
    path = library_file("sklearn", "datasets/data/digits.csv.gz")
    rows = read_rows(path, (COUNT, 65), CONTENT)[np.random.RandomState(0).permutation(COUNT)]
    x, t = rows[:, :-1].reshape(COUNT, 8, 8), rows[:, -1].copy()
    check_contents(path, contents_digest(x, t), SHA256, CONTENT)
    return build_dataset(x, t, slice(0, TRAINING), slice(TRAINING, COUNT), maximum=16.0)

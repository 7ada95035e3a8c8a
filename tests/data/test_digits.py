import numpy as np
from sklearn.datasets import load_digits

from runner.data.dataset import contents_digest
from runner.data.digits import digits


def test_the_same_digits_as_the_librarys():
    dataset, library = digits(), load_digits()
    assert dataset.x.shape == (1797, 8, 8)
    assert dataset.x.dtype == dataset.t.dtype == np.uint8
    rows = np.column_stack([dataset.x.reshape(1797, 64), dataset.t])
    theirs = np.column_stack([library.data, library.target])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, theirs.astype(np.uint8)))
    assert (dataset.classes, dataset.maximum) == (10, dataset.x.max()) == (10, 16.0)


def test_the_order_is_fixed_and_the_split_covers_all():
    dataset = digits()
    assert (dataset.train, dataset.test) == (slice(0, 1437), slice(1437, 1797))
    # Published with the data: no digit is rarer than 174 or more frequent than 183 (UCI).
    assert (np.bincount(dataset.t).min(), np.bincount(dataset.t).max()) == (174, 183)
    assert np.bincount(dataset.t[dataset.test]).min() > 20
    assert contents_digest(dataset.x, dataset.t).startswith("566ea5563e974f75")

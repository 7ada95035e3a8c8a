import gzip
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from runner.data import DataError
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


@pytest.mark.parametrize(
    ("packed", "got"),
    [
        (b"no gzip", "expected scikit-learn's 1,797 digits, got Not a gzipped file"),
        (gzip.compress(b"1,2\n3,4\n"), "expected rows and columns (1797, 65), got (2, 2)"),
        (
            gzip.compress((("0," * 64 + "0\n") * 1797).encode()),
            "expected scikit-learn's 1,797 digits (SHA-256 566ea5563e97), got ",
        ),
    ],
    ids=["no gzip", "another shape", "other values"],
)
def test_other_contents_are_refused(packed, got, tmp_path, monkeypatch):
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(packed)
    monkeypatch.setattr("runner.data.digits.library_file", lambda *place: path)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {got}')}"):
        digits()


def test_the_library_is_not_imported_which_takes_longer_than_learning_the_digits():
    code = (
        "import sys, runner.data.digits as module; module.digits(); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

import operator
import re

import numpy as np
import pytest

from runner.data import DataError
from runner.data.gates import GATES, gate


def nand(first, second):
    return 1 - (first & second)


@pytest.mark.parametrize(
    ("name", "rule"),
    [("and", operator.and_), ("or", operator.or_), ("xor", operator.xor), ("nand", nand)],
)
def test_truth_tables(name, rule):
    dataset = gate(name)
    assert dataset.x.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert dataset.x.dtype == np.float64
    assert dataset.t.tolist() == [rule(int(a), int(b)) for a, b in dataset.x]
    assert dataset.t.dtype == np.uint8
    assert (dataset.classes, dataset.maximum) == (2, 1.0)
    assert dataset.x[dataset.train].shape == dataset.x[dataset.test].shape == (4, 2)


def test_gates_differ():
    assert len({gate(name).digest for name in GATES}) == 4


def test_no_such_gate():
    message = "gate: expected one of and, nand, or, xor, got 'nor'"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        gate("nor")

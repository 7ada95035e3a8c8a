import re

import pytest

from runner.data import DataError
from runner.data.inline import inline


def test_labels_targets_and_none():
    labelled = inline([[0, 0], [1, 1]], [0, 1])
    assert labelled.x.tolist() == [[0, 0], [1, 1]]
    assert (labelled.classes, labelled.maximum) == (2, 1.0)
    assert inline(x=[[1.0]], t=[2.5]).t.tolist() == [[2.5]]
    assert inline(x=[[1.0, 0.5]]).t is None


def test_tuples_are_lists():
    assert inline(((0, 0), (0, 1)), (0, 1)).t.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        ([[1, 2], [3]], None, "x: expected rows of one length, got a ragged list"),
        ([[1, 2]], [0, 1], "t: expected 1 like x, got 2"),
        ([["1"]], [0], "x: expected real numbers of up to 64 bits, got <U1"),
        ([[float("nan")]], [0], "x: expected finite numbers, got nan at (0, 0)"),
    ],
)
def test_refused(x, t, message):
    with pytest.raises(DataError, match=f"^{re.escape(f'inline: {message}')}$"):
        inline(x, t)

import re

import numpy as np
import pytest

from runner.data import DataError
from runner.data.normal import normal


def test_form():
    dataset = normal(n=30, features=4, classes=3)
    assert dataset.x.shape == (30, 4)
    assert dataset.t.shape == (30,)
    assert (dataset.x.dtype, dataset.t.dtype) == (np.float64, np.int64)
    assert dataset.train == dataset.test == slice(0, 30)
    assert (dataset.classes, dataset.maximum) == (3, 1.0)
    # Also where chance has not drawn each of them.
    assert normal(n=1, classes=10).classes == 10


def test_the_stream_is_frozen():
    # MT19937 with seed 0: the first normal numbers that every tutorial of NumPy prints.
    first = [1.764052345967664, 0.4001572083672233, 0.9787379841057392]
    assert normal().x[0, :3].tolist() == first
    # The samples come first: labels do not move them.
    assert normal(classes=7).x[-1, -1] == normal().x[-1, -1]
    assert normal().digest == normal().digest
    assert normal(seed=1).digest != normal(seed=0).digest


def test_it_is_standard_normal():
    x = normal(n=10_000).x
    # A million numbers know mean and deviation to 0.001, the share beyond two to 0.0002.
    assert abs(x.mean()) < 0.004
    assert x.std() == pytest.approx(1, abs=0.003)
    assert np.mean(np.abs(x) > 2) == pytest.approx(0.0455, abs=0.001)


def test_labels_are_even_and_know_nothing_of_the_samples():
    dataset = normal(n=100_000, features=2, classes=4)
    assert np.bincount(dataset.t).tolist() == pytest.approx([25_000] * 4, abs=600)
    for label in range(4):
        assert np.abs(dataset.x[dataset.t == label].mean(axis=0)).max() < 0.03


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n": 0}, f"n: expected an integer from 1 to {2**32}, got 0"),
        ({"n": 2.5}, f"n: expected an integer from 1 to {2**32}, got 2.5"),
        ({"n": True}, f"n: expected an integer from 1 to {2**32}, got True"),
        ({"features": "9"}, f"features: expected an integer from 1 to {2**32}, got '9'"),
        ({"classes": 1}, "classes: expected an integer from 2 to 10000, got 1"),
        ({"classes": 10_001}, "classes: expected an integer from 2 to 10000, got 10001"),
        ({"seed": -1}, f"seed: expected an integer from 0 to {2**32 - 1}, got -1"),
        ({"seed": 2**32}, f"seed: expected an integer from 0 to {2**32 - 1}, got {2**32}"),
    ],
)
def test_refused_parameters(params, message):
    with pytest.raises(DataError, match=f"^{re.escape(f'normal: {message}')}$"):
        normal(**params)

import re

import numpy as np
import pytest

from runner.data import DataError
from runner.data.curve import curve


def test_form():
    dataset = curve(n=30, n_test=20)
    assert dataset.x.shape == dataset.t.shape == (50, 1)
    assert dataset.x.dtype == dataset.t.dtype == np.float64
    assert (dataset.train, dataset.test) == (slice(0, 30), slice(30, 50))
    assert (dataset.classes, dataset.maximum) == (None, 1.0)


def test_without_noise_it_is_a_sine():
    dataset = curve(noise=0)
    assert np.allclose(dataset.t, np.sin(2 * np.pi * dataset.x), rtol=0, atol=1e-15)


def test_noise_has_the_deviation_that_was_asked_for():
    means, deviations = [], []
    for seed in range(100):
        dataset = curve(n=500, n_test=500, noise=0.3, seed=seed)
        noise = dataset.t - np.sin(2 * np.pi * dataset.x)
        # In standard errors of the mean and the deviation of 1,000 normal numbers.
        means.append(noise.mean() / (0.3 / np.sqrt(1000)))
        deviations.append((noise.std() - 0.3) / (0.3 / np.sqrt(2000)))
    # A single draw may stray by three of them (seed 0 does); a hundred draws may not.
    for scores in (means, deviations):
        assert abs(np.mean(scores)) < 0.3
        assert 0.8 < np.std(scores) < 1.2


def test_the_stream_is_frozen():
    # MT19937 with seed 0; its first doubles are in NumPy's own documentation of `rand`.
    assert curve(n=2).x[:2].ravel().tolist() == [0.5488135039273248, 0.7151893663724195]
    assert curve().digest == curve().digest
    assert curve(seed=1).digest != curve(seed=0).digest


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n": 0}, "n: expected an integer from 1, got 0"),
        ({"n": 2.5}, "n: expected an integer from 1, got 2.5"),
        ({"n": True}, "n: expected an integer from 1, got True"),
        ({"n_test": "9"}, "n_test: expected an integer from 1, got '9'"),
        ({"seed": -1}, "seed: expected an integer from 0, got -1"),
        ({"seed": 2**32}, f"seed: expected an integer from 0, got {2**32}"),
        ({"noise": -0.1}, "noise: expected a number from 0, got -0.1"),
        ({"noise": float("inf")}, "noise: expected a number from 0, got inf"),
        ({"noise": float("nan")}, "noise: expected a number from 0, got nan"),
        ({"noise": None}, "noise: expected a number from 0, got None"),
    ],
)
def test_refused_parameters(params, message):
    with pytest.raises(DataError, match=f"^{re.escape(f'curve: {message}')}$"):
        curve(**params)

"""Statistics over replicates; NumPy and SciPy are the oracle."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from runner.tables.summarize import MEASURES, statistics, summarize

NAMES = [
    f"{measure}_{name}" for measure in MEASURES for name in ("mean", "std", "median", "low", "high")
]


def results(*rows):
    """Return rows of (lr, network, status, accuracy) as a table of results."""
    table = pd.DataFrame(rows, columns=["lr", "network", "status", "accuracy"])
    others = {name: np.nan for name in MEASURES if name != "accuracy"}
    return table.assign(**others).astype(dict.fromkeys(MEASURES, "float64"))


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_statistics_are_those_of_numpy_and_scipy(n):
    values = np.random.default_rng(n).normal(3, 2, n)
    found = statistics(values.tolist())
    low, high = scipy.stats.t.interval(
        0.95, n - 1, loc=values.mean(), scale=scipy.stats.sem(values)
    )
    expected = {
        "mean": values.mean(),
        "std": values.std(ddof=1),
        "median": np.median(values),
        "low": low,
        "high": high,
    }
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-12)


def test_equal_values_have_an_interval_of_no_width():
    found = statistics([0.5, 0.5, 0.5])
    assert found == {"mean": 0.5, "std": 0.0, "median": 0.5, "low": 0.5, "high": 0.5}


def test_one_value_has_no_spread_and_none_has_nothing():
    assert statistics([0.5]) == {"mean": 0.5, "median": 0.5} | dict.fromkeys(("std", "low", "high"))
    assert statistics([]) == dict.fromkeys(("mean", "std", "median", "low", "high"))


def test_a_row_per_configuration_in_the_order_of_the_first():
    table = summarize(
        results(
            ("2", "b", "completed", 0.5),
            ("1", "b", "completed", 0.7),
            ("1", "a", "completed", 0.1),
            ("2", "b", "completed", 0.6),
        ),
        ["lr", "network"],
    )
    assert list(table.columns) == ["lr", "network", "replicates", *NAMES]
    rows = table[["lr", "network", "replicates", "accuracy_mean"]].to_numpy().tolist()
    assert rows == [["2", "b", 2, 0.55], ["1", "b", 1, 0.7], ["1", "a", 1, 0.1]]
    assert table["accuracy_std"].iloc[0] == pytest.approx(np.std([0.5, 0.6], ddof=1))
    assert table["accuracy_std"].iloc[1] is None
    assert table["test_loss_mean"].isna().all()


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted"])
def test_only_completed_runs_count(status):
    table = summarize(
        results(
            ("1", "a", status, 0.9),
            ("2", "a", "completed", 0.5),
            ("1", "b", status, np.nan),
            ("2", "a", status, 0.9),
        ),
        ["lr", "network"],
    )
    assert table[["lr", "network", "replicates"]].to_numpy().tolist() == [
        ["1", "a", 0],
        ["2", "a", 1],
        ["1", "b", 0],
    ]
    assert table["accuracy_mean"].isna().tolist() == [True, False, True]
    assert table["accuracy_mean"].iloc[1] == 0.5


def test_an_empty_value_is_a_configuration_too():
    rows = [("", "a", "completed", 0.5), (None, "a", "completed", 0.7)]
    assert summarize(results(*rows), ["lr"])["replicates"].tolist() == [1, 1]


def test_without_keys_all_runs_are_one_configuration():
    table = summarize(results(*[("1", "a", "completed", value) for value in (0.1, 0.4)]), [])
    assert list(table.columns) == ["replicates", *NAMES]
    assert table[["replicates", "accuracy_mean"]].to_numpy().tolist() == [[2, 0.25]]


def test_a_measure_that_some_runs_lack_is_over_those_that_have_it():
    rows = results(*[("1", "a", "completed", value) for value in (0.1, np.nan, 0.3)])
    row = summarize(rows, ["lr"]).iloc[0]
    assert (row["replicates"], row["accuracy_mean"]) == (3, pytest.approx(0.2))

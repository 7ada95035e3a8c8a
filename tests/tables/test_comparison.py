"""What can be compared, and what a comparison is before anything was found."""

from dataclasses import asdict

import numpy as np
import pytest

from runner.tables.columns import TABLES
from runner.tables.comparison import BUSY, DRIFT, METRICS, VERDICTS, Comparison, Judged
from runner.tables.statistics import Pair

NUMBERS = "baseline value change low high bootstrap_low bootstrap_high effect p p_holm needed pair"


def test_more_is_better_of_accuracy_and_speed_alone():
    assert {name for name, metric in METRICS.items() if metric.more} == {
        "accuracy",
        "train_accuracy",
        "images_per_second",
    }
    assert {name for name, metric in METRICS.items() if metric.time} == {
        "images_per_second",
        "inference_seconds",
        "fit_seconds",
        "duration_seconds",
    }


def test_a_metric_is_a_column_and_its_repeats_are_too():
    assert list(METRICS)[:4] == ["accuracy", "test_loss", "train_accuracy", "epochs"]
    assert METRICS.keys() <= {column.name for column in TABLES["results"]}
    repeats = {name: (m.phase, m.column) for name, m in METRICS.items() if m.phase or m.column}
    assert repeats == {
        "images_per_second": ("inference", "items_per_second"),
        "inference_seconds": ("inference", "seconds"),
        "fit_seconds": ("epoch", "seconds"),
    }
    assert {column for _, column in repeats.values()} <= {c.name for c in TABLES["timing"]}


def test_before_anything_is_found_nothing_is():
    made = Comparison("b", {"lr": "1"}, "accuracy")
    found = asdict(made)
    assert all(found.pop(name) is None for name in NUMBERS.split())
    given = {"table": "b", "keys": {"lr": "1"}, "metric": "accuracy"}
    assert found == given | {"method": "", "verdict": "", "note": "", "n": 0, "n_baseline": 0}
    assert Judged("accuracy < 1", made, "holds").p is None


def test_remarks_are_added_to_the_note():
    made = Comparison("b", {}, "fit_seconds")
    for text, note in (("", ""), ("one", "one"), ("", "one"), ("two", "one; two")):
        made.remark(text)
        assert made.note == note
    assert made.time is True
    assert Comparison("b", {}, "test_loss").time is False


@pytest.mark.parametrize(
    ("design", "drift"), [(None, 1.1), ("paired", 1.1), ("independent", 1.1), ("repeats", 1.25)]
)
def test_repeats_of_one_run_may_meet_a_busy_moment(design, drift):
    made = Comparison("b", {}, "fit_seconds")
    made.pair = design and Pair(np.ones(2), np.ones(2), design)
    assert made.drift == drift
    assert (DRIFT, BUSY) == (1.1, 1.25)
    assert "pair" not in repr(made)


def test_what_differs_is_listed_before_what_does_not():
    assert VERDICTS == ("better", "worse", "underpowered", "not comparable", "no difference")

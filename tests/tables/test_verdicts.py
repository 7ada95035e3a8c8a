"""The parts of a comparison one by one: what is paired, tested, decided, and asked for."""

import math

import numpy as np
import pytest
import scipy.stats

from runner.tables import compare as parts
from runner.tables.comparison import Comparison, Sides
from runner.tables.matching import KEYS
from runner.tables.results import Results
from runner.tables.statistics import ENOUGH, Pair, needed


def rows(*values, metric="accuracy", **more):
    return [
        {"status": "completed", "seed": str(seed), metric: str(value)} | more
        for seed, value in enumerate(values)
    ]


def results(name, rows):
    return Results(name, rows, list(rows[0]))


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("accuracy test_loss images_per_second fit_seconds", "accuracy images_per_second"),
        ("test_loss fit_seconds", "test_loss fit_seconds"),
        ("accuracy", "accuracy"),
        ("fit_seconds", "fit_seconds"),
    ],
)
def test_one_measure_of_being_right_and_one_of_time_are_usual(recorded, expected):
    row = {"status": "completed"} | dict.fromkeys(recorded.split(), "0.5")
    unfinished = dict.fromkeys("accuracy images_per_second".split(), "1") | {"status": "failed"}
    assert parts.usual(results("a", [unfinished, {"status": "completed"}, row])) == expected.split()


@pytest.mark.parametrize(
    ("found", "metric", "expected"),
    [
        (rows(0.5, task="training"), "accuracy", True),
        (rows(0.5, 0.5, task="inference"), "accuracy", True),
        (rows(0.5, 0.6, task="inference"), "accuracy", False),
        (rows(0.5, 0.5, task="training"), "accuracy", False),
        (rows(0.5, task="training") + rows(0.5, task="inference"), "accuracy", False),
        (rows(0.5, 0.5), "accuracy", False),
    ],
)
def test_replicates_of_an_inference_are_one_run(found, metric, expected):
    assert parts.seedless(found, metric) is expected


def test_rows_of_a_seed_are_one_value():
    found = [*rows(0.5, 0.25), *rows(1.0), {"seed": "1.0", "accuracy": "0.75"}]
    assert parts.by_seed(found, "accuracy") == {"0": 0.75, "1": 0.5}


@pytest.mark.parametrize(
    ("metric", "samples", "step"),
    [
        ("epochs", ["100"], 1.0),
        ("accuracy", ["100", "50"], 1 / 50),
        ("train_accuracy", ["", "10"], 1 / 10),
        ("accuracy", ["", ""], 0.0),
        ("accuracy", ["0"], 0.0),
        ("accuracy", [], 0.0),
        ("test_loss", ["100"], 0.0),
    ],
)
def test_what_is_counted_has_a_step(metric, samples, step):
    assert parts.step([{"n": n} for n in samples], metric) == step


@pytest.mark.parametrize(
    ("before", "after", "common", "paired"),
    [
        (8, 8, 4, True),
        (8, 8, 3, False),
        (7, 9, 4, True),
        (9, 7, 3, False),
        (4, 4, 3, True),
        (4, 4, 2, False),
        (2, 5, 2, True),
        (2, 2, 1, False),
        (1, 1, 1, True),
        (1, 1, 0, False),
    ],
)
def test_seeds_are_paired_where_enough_are_common(before, after, common, paired):
    left = {str(seed): float(seed) for seed in range(before)}
    right = {str(seed): seed + 0.5 for seed in range(before - common, before - common + after)}
    pair = parts.over_seeds(left, dict(reversed(right.items())), 0.25)
    assert (pair.design, pair.step) == ("paired" if paired else "independent", 0.25)
    assert (len(pair.baseline), len(pair.other)) == ((common,) * 2 if paired else (before, after))
    if paired:
        np.testing.assert_array_equal(pair.other - pair.baseline, 0.5)


SAMPLE = np.array([0.90, 0.91, 0.93, 0.92])


def made(metric="accuracy", design="independent", **found):
    pair = Pair(SAMPLE, SAMPLE + 0.01, design)
    defaults = {"pair": pair, "change": 0.01, "effect": 0.4, "method": "Welch t"}
    return Comparison("b", {}, metric, **(defaults | found))


FASTER = {"bootstrap_low": 1.2, "bootstrap_high": 1.4, "change": 1.3}
SLOWER = {"bootstrap_low": 0.6, "bootstrap_high": 0.8, "change": 0.7}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (made(pair=Pair(SAMPLE, SAMPLE, "paired"), p_holm=0.0), "no difference"),
        (made(pair=Pair(SAMPLE[:2], SAMPLE, "independent"), p_holm=0.0), "underpowered"),
        (made(pair=Pair(SAMPLE[:3], SAMPLE, "independent"), p_holm=0.0), "better"),
        (made(p_holm=0.049), "better"),
        (made(p_holm=0.05), "no difference"),
        (made(p_holm=None), "no difference"),
        (made(p_holm=0.049, change=-0.01), "worse"),
        (made("test_loss", p_holm=0.049), "worse"),
        (made("test_loss", p_holm=0.049, change=-0.01), "better"),
        (made("images_per_second", p_holm=0.01, **FASTER), "better"),
        (made("images_per_second", p_holm=0.01, **SLOWER), "worse"),
        (made("fit_seconds", p_holm=0.01, **FASTER), "worse"),
        (made("fit_seconds", p_holm=0.01, **SLOWER), "better"),
        (made("fit_seconds", p_holm=0.01, **(FASTER | {"bootstrap_low": 1.0})), "no difference"),
        (made("fit_seconds", p_holm=0.01, **(SLOWER | {"bootstrap_high": 1.0})), "no difference"),
        (made("fit_seconds", p_holm=0.01, change=1.3), "no difference"),  # no interval
        (made(p_holm=0.5, effect=0.5), "underpowered"),
        (made(p_holm=0.5, effect=-0.5), "underpowered"),
        (made(p_holm=0.5, effect=-0.49), "no difference"),
        (made(p_holm=0.5, effect=None), "no difference"),
        (made(p_holm=0.5, effect=2.0, method="McNemar"), "no difference"),
        (made("fit_seconds", p_holm=0.5, effect=2.0, change=1.2), "underpowered"),
        (made("fit_seconds", p_holm=0.5, effect=2.0, change=1.1), "underpowered"),
        (made("fit_seconds", p_holm=0.5, effect=2.0, change=1.09), "no difference"),
        (made("fit_seconds", p_holm=0.5, effect=2.0, change=1 / 1.09), "no difference"),
        (made("fit_seconds", p_holm=0.5, effect=2.0, change=1 / 1.2), "underpowered"),
        (made("accuracy", p_holm=0.5, effect=2.0, change=1.0), "underpowered"),
    ],
)
def test_a_verdict_follows_from_what_was_found(found, expected):
    assert parts.verdict(found) == expected


def test_p_values_are_adjusted_for_the_comparisons_that_were_tested():
    found = [made(p=p) for p in (0.01, 0.04, None, 0.03)]
    found.append(made(p=0.001, verdict="not comparable"))
    found.append(made(p=0.9, effect=2.0))
    parts.decide(found)
    assert [one.p_holm for one in found] == [
        pytest.approx(0.04),
        pytest.approx(0.09),
        None,
        pytest.approx(0.09),
        None,
        pytest.approx(0.9),
    ]
    verdicts = ["better", *["no difference"] * 3, "not comparable", "underpowered"]
    assert [one.verdict for one in found] == verdicts
    # Of as many comparisons as there are tested ones: 0.01 is as far apart as it scatters.
    effect = 0.01 / np.std(SAMPLE, ddof=1)
    assert found[5].needed == needed(effect, paired=False, level=0.05 / 4)
    assert [one.needed for one in found[:5]] == [None] * 5


def replicates(left, right, comparisons=1, metric="accuracy", design="paired"):
    pair = Pair(np.array(left, dtype=float), np.array(right, dtype=float), design)
    return parts.wanted(made(metric, pair=pair), comparisons)


def test_as_many_replicates_are_wanted_as_would_find_the_difference():
    zeros, scattered = [0.0] * 5, [-1.0, 3.0, 0.0, 2.0, 1.0]
    effect = 1 / np.std(scattered, ddof=1)
    for comparisons, level in ((0, 0.05), (1, 0.05), (2, 0.025)):
        expected = needed(effect, paired=True, level=level)
        assert replicates(zeros, scattered, comparisons) == expected > 5
    assert replicates([0] * 5, [10, 11, 10, 11, 10]) == 6  # one more than there are
    assert replicates([0, 0], [10, 11]) == ENOUGH
    assert replicates([0], [1]) == ENOUGH
    assert replicates([0, 0], [-1, 1]) is None  # no difference to find
    assert replicates([0, 1, 2], [9, 10], design="independent") == ENOUGH


def test_times_have_to_differ_by_more_than_a_machine_drifts():
    drift = [100.0, 101.0, 102.0]
    for design, none in (("independent", None), ("repeats", ENOUGH)):
        assert replicates(drift, [109.0, 110.0, 111.0], 1, "fit_seconds", design) == none
    assert replicates(drift, [151.0, 152.0, 153.0], 1, "fit_seconds", "independent") == 4
    assert replicates(drift, [151.0, 152.0, 153.0], 1, "fit_seconds", "repeats") == ENOUGH
    left, right = np.array([90.0, 100, 115]), np.array([105.0, 125, 140])
    logs = [np.log(side) for side in (left, right)]
    difference = np.mean(logs[1]) - np.mean(logs[0]) - math.log(1.1)
    effect = difference / math.sqrt(sum(np.var(side, ddof=1) for side in logs) / 2)
    expected = needed(effect, paired=False)
    assert replicates(left, right, 1, "fit_seconds", "independent") == expected > 3


def compared(before, after, metric="accuracy"):
    sides = Sides(results("a", before), results("b", after), before, after)
    return parts.measured({"lr": "1"}, metric, sides, False)


def test_what_one_side_lacks_is_not_comparable():
    both, neither = rows(0.5, 0.6), rows(1.0, metric="test_loss")
    for before, after, note in ((both, neither, "b"), (neither, both, "a")):
        found = compared(before, after)
        assert (found.verdict, found.note) == ("not comparable", f"no accuracy in {note}")
        assert (found.table, found.keys, found.metric) == ("b", {"lr": "1"}, "accuracy")
    assert compared(neither, neither) is None
    assert compared(both, both).note == ""
    failed = [row | {"status": "failed"} for row in both]
    assert compared(both + failed, both + neither).note == "3 of 7 rows without it"


def test_means_over_seeds_are_tested_by_students_t():
    left, right = [0.90, 0.91, 0.93, 0.95], [0.88, 0.90, 0.91, 0.92]
    found = compared(rows(*left), rows(*right))
    expected = scipy.stats.ttest_rel(right, left)
    interval = expected.confidence_interval()
    assert (found.method, found.n_baseline, found.n) == ("paired t", 4, 4)
    assert (found.baseline, found.value) == pytest.approx((np.mean(left), np.mean(right)))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.bootstrap_low < found.change < found.bootstrap_high
    assert found.effect == pytest.approx(
        np.mean(np.subtract(right, left)) / np.std(np.subtract(right, left), ddof=1)
    )


def test_one_training_each_is_compared_as_one_value():
    found = compared(rows(0.5, task="training"), rows(0.6, task="training"))
    assert (found.n_baseline, found.n, found.p, found.low) == (1, 1, None, None)
    assert (found.method, found.note) == ("paired t", "")
    assert found.change == pytest.approx(0.1)


def test_one_run_is_compared_with_several():
    found = compared(rows(0.5), rows(0.6, 0.7, 0.8, task="training"))
    assert (found.n_baseline, found.n, found.note) == (1, 1, "seeds without a partner: 2")
    found = compared(rows(0.5, 0.5, task="inference"), rows(0.6, 0.6, task="inference"))
    assert (found.n_baseline, found.n, found.note) == (1, 1, "")


def test_means_that_are_equal_differ_by_nothing():
    found = compared(rows(0.25, 0.5, 1.0), rows(1.0, 0.5, 0.25))
    assert (found.change, found.p, found.low) == (0.0, 1.0, -found.high)
    assert found.high > 0


@pytest.mark.parametrize(
    ("task", "metric", "method", "note"),
    [
        ("inference", "accuracy", "McNemar", ""),
        ("training", "accuracy", "McNemar", "one training each, other seeds may differ"),
        ("perceptron", "accuracy", "McNemar", "one training each, other seeds may differ"),
        ("inference", "test_loss", "paired t", ""),
    ],
)
def test_decisions_say_who_is_right_more_often_and_nothing_of_losses(
    tmp_path, task, metric, method, note
):
    sides = []
    for name, right in (("a", [1, 1, 0, 1]), ("b", [1, 0, 0, 0])):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "predictions.npz", t=[1, 1, 1, 1], predicted=right)
        found = rows(np.mean(right), metric=metric, task=task, data_hash="5")
        sides.append(Results(name, found, list(found[0]), tmp_path / name))
    both = Sides(*sides, sides[0].rows, sides[1].rows)
    found = parts.measured({}, metric, both, False)
    assert (found.method, found.note, found.change) == (method, note, -0.5)


def test_configurations_that_nobody_has_are_named_by_their_keys():
    def swept(name, *values):
        found = [row for lr, width in values for row in rows(0.5, lr=lr, width=width)]
        return results(name, [dict.fromkeys(KEYS, "") | row for row in found])

    with pytest.raises(ValueError, match=r"^b: expected configurations of a \(by lr, width\), got"):
        parts.compare([swept("a", "11", "12", "21"), swept("b", "33", "34", "43")])

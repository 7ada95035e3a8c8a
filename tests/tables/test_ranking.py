"""Rankings: who is before whom is what SciPy's tests of all pairs say."""

import itertools
import re

import numpy as np
import pytest
import scipy.stats

from runner.tables.ranking import rank
from runner.tables.results import Results


def table(*groups, metric="accuracy", shift=0, **more):
    rows = [
        {"run_id": "r", "status": "completed", "seed": str(seed + shift * key), "lr": str(key)}
        | {metric: repr(float(value))}
        | more
        for key, values in enumerate(groups)
        for seed, value in enumerate(values)
    ]
    return Results("a", rows, list(rows[0]))


def expected_places(groups, test, more=True):
    """Return the places by testing every pair."""
    level = 0.05 / (len(groups) * (len(groups) - 1) / 2)
    before, after = np.zeros((2, len(groups)), dtype=int)
    for i, j in itertools.permutations(range(len(groups)), 2):
        if test(groups[i], groups[j]).pvalue < level:
            i_is_first = (groups[i].mean() > groups[j].mean()) == more
            before[i] += not i_is_first
            after[i] += i_is_first
    return {str(i): (1 + before[i], len(groups) - after[i]) for i in range(len(groups))}


def places(ranking):
    return {one.keys["lr"]: (one.best, one.worst) for one in ranking.summaries}


@pytest.mark.parametrize("seed", range(20))
def test_places_are_those_of_the_tests_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    groups = rng.normal(0.9, 0.01, (6, 8)) + rng.normal(0, 0.02, (6, 1))
    assert places(rank(table(*groups))) == expected_places(groups, scipy.stats.ttest_rel)
    welch = lambda a, b: scipy.stats.ttest_ind(a, b, equal_var=False)  # noqa: E731
    assert places(rank(table(*groups, shift=100))) == expected_places(groups, welch)
    found = rank(table(*groups, metric="test_loss"))
    assert places(found) == expected_places(groups, scipy.stats.ttest_rel, more=False)


def test_the_best_mean_is_first_and_ties_overlap():
    rng = np.random.default_rng(0)
    groups = [rng.normal(mean, 0.01, 6) for mean in (0.5, 0.9, 0.901)]
    ranking = rank(table(*groups))
    assert {one.keys["lr"] for one in ranking.summaries[:2]} == {"1", "2"}
    assert [(one.best, one.worst) for one in ranking.summaries] == [(1, 2), (1, 2), (3, 3)]
    last = ranking.summaries[2]
    assert (last.n, last.runs) == (6, 6)
    assert last.mean == pytest.approx(groups[0].mean())
    low, high = scipy.stats.t.interval(0.95, 5, groups[0].mean(), scipy.stats.sem(groups[0]))
    assert (last.low, last.high) == pytest.approx((low, high))


def test_counts_that_are_equal_by_chance_have_no_certain_place():
    rng = np.random.default_rng(1)
    wrong = 0
    for shift in [0, 100] * 10:  # paired, and not
        groups = rng.binomial(100, 0.95, (30, 3)) / 100
        wrong += set(places(rank(table(*groups, shift=shift, n="100"))).values()) != {(1, 30)}
    assert wrong <= 3  # of 20; where no scatter is no noise 17
    clear = table([0.5] * 3, [0.9] * 3, n="100")
    assert places(rank(clear)) == {"1": (1, 1), "0": (2, 2)}


def test_an_inference_that_seeds_have_no_part_in_is_one_run():
    ranking = rank(table([0.97] * 5, [0.98] * 5, task="inference"))
    assert places(ranking) == {"0": (1, 2), "1": (1, 2)}
    assert [one.n for one in ranking.summaries] == [5, 5]
    assert ranking.notes == ["accuracy: inferences that seeds have no part in count as one run"]


def test_two_replicates_cannot_be_ranked():
    ranking = rank(table([0.1, 0.11], [0.9, 0.91]))
    assert [(one.keys["lr"], one.best, one.worst) for one in ranking.summaries] == [
        ("1", 1, 2),
        ("0", 1, 2),
    ]


def test_times_that_are_as_near_as_a_machine_drifts_are_ties():
    groups = [np.full(5, s) + np.arange(5) / 1e4 for s in (1.0, 1.05, 1.5)]
    ranking = rank(table(*groups, metric="fit_seconds"), [], ["fit_seconds"])
    assert places(ranking) == {"0": (1, 2), "1": (1, 2), "2": (3, 3)}


def test_what_did_not_complete_is_last_and_has_no_place():
    found = table([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    for row in found.rows[:3]:
        row["status"] = "failed"
    first, last = rank(found).summaries
    assert (first.keys["lr"], first.n, first.best, first.worst) == ("1", 3, 1, 1)
    assert (last.n, last.runs, last.mean) == (0, 3, None)


def test_by_some_keys_is_over_all_of_the_others():
    rows = [table([0.1, 0.2], [0.3, 0.4], x=x).rows for x in "ab"]
    rows = [*rows[0], *rows[1]]
    whole = Results("a", rows, list(rows[0]))
    assert rank(whole).keys == ["lr", "x"]
    ranking = rank(whole, ["x"])
    assert [one.n for one in ranking.summaries] == [4, 4]
    assert ranking.notes == ["over all of lr"]
    whole.missing = 3
    assert rank(whole).notes == ["a: planned jobs without a row: 3"]


def test_what_is_not_there_is_said():
    message = "a: expected columns (lr), got rl; did you mean lr?"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        rank(table([0.1], [0.2]), ["rl"])
    message = "a: expected completed runs with test_loss, got none"
    with pytest.raises(ValueError, match=f"^{message}$"):
        rank(table([0.1], [0.2]), [], ["test_loss"])

"""Statistics; SciPy, statsmodels and definitions written out are the oracles."""

import gc
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower

from runner.tables import statistics as stats
from runner.tables.statistics import Pair

TABLES = 1000  # random ones
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-13)


def random_values(rng, *sizes):
    """Return values such as accuracies, losses and seconds have."""
    scale = 10.0 ** rng.integers(-3, 4)
    return [rng.normal(rng.normal(0, 3), rng.uniform(0.1, 2), size) * scale for size in sizes]


def test_paired_differences_agree_with_scipy():
    rng = np.random.default_rng(0)
    for _ in range(TABLES):
        n = int(rng.integers(3, 40))
        a, b = random_values(rng, n, n)
        pair = Pair(a, b, "paired")
        expected = scipy.stats.ttest_rel(b, a)
        error, freedom = stats.standard_error(pair)
        change = stats.mean_difference(pair)
        close(change, (b - a).mean())
        close(stats.p_value(change, error, freedom), expected.pvalue)
        close(stats.t_interval(change, error, freedom), expected.confidence_interval())
        close(stats.effect_size(pair), (b - a).mean() / (b - a).std(ddof=1))


def test_independent_values_agree_with_scipy():
    rng = np.random.default_rng(1)
    for _ in range(TABLES):
        a, b = random_values(rng, *(int(size) for size in rng.integers(3, 40, 2)))
        pair = Pair(a, b, "independent")
        expected = scipy.stats.ttest_ind(b, a, equal_var=False)
        error, freedom = stats.standard_error(pair)
        change = stats.mean_difference(pair)
        close(freedom, expected.df)
        close(stats.p_value(change, error, freedom), expected.pvalue)
        close(stats.t_interval(change, error, freedom), expected.confidence_interval())


def test_hedges_g_is_cohens_d_times_its_correction():
    # For 10 and 10 values the correction is 0.9576 (Hedges 1981, table 1, 18 degrees of freedom).
    a, b = np.arange(10.0), np.arange(10.0) + 2
    d = 2 / np.std(a, ddof=1)
    assert stats.effect_size(Pair(a, b, "independent")) == pytest.approx(0.9576 * d, rel=1e-4)


def test_mcnemar_agrees_with_scipy_and_statsmodels():
    rng = np.random.default_rng(2)
    for table in range(TABLES):
        gained, lost = (int(count) for count in rng.integers(0, 60, 2))
        if gained + lost:
            n = gained + lost
            found = scipy.stats.binomtest(gained, n, 0.5)
            close(stats.mcnemar(gained, lost), found.pvalue)
            if table < 200:
                exact = found.proportion_ci(method="exact")
                low, high = ((2 * share - 1) * n / 5000 for share in (exact.low, exact.high))
                close(stats.mcnemar_interval(gained, lost, 5000), (low, high))
                assert (low <= 0 <= high) == (found.pvalue >= 0.05)
        expected = statsmodels_mcnemar([[5, gained], [lost, 7]], exact=True).pvalue
        close(stats.mcnemar(gained, lost), 1.0 if math.isnan(expected) else expected)


def test_holm_agrees_with_statsmodels(monkeypatch):
    monkeypatch.setattr(gc, "collect", lambda: 0)  # each call of theirs collects, for 40 ms
    rng = np.random.default_rng(3)
    for _ in range(TABLES):
        p = rng.uniform(0, 1, int(rng.integers(1, 30))) ** 3
        close(stats.holm(p), multipletests(p, method="holm")[1])
    assert stats.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_its_definition(p):
    order = sorted(range(len(p)), key=lambda index: p[index])
    for place, index in enumerate(order):
        steps = [(len(p) - k) * p[order[k]] for k in range(place + 1)]
        assert stats.holm(p)[index] == pytest.approx(min(1.0, max(steps)), abs=1e-15)


def integrated_power(shift, freedom, level):
    """Return the power by integrating over how much the standard deviation is estimated as."""
    limit, normal = scipy.stats.t.ppf(1 - level / 2, freedom), scipy.stats.norm
    scatter = scipy.stats.chi(freedom, scale=1 / math.sqrt(freedom))

    s = 1.5 * (NODES + 1)  # from 0 to 3
    missed = normal.cdf(limit * s - shift) - normal.cdf(-limit * s - shift)
    return 1 - 1.5 * WEIGHTS @ (missed * scatter.pdf(s))


def test_power_agrees_with_statsmodels():
    rng = np.random.default_rng(4)
    known = 0
    for _ in range(TABLES):
        effect, n = rng.uniform(0.05, 1.5), int(rng.integers(3, 60))
        level = float(rng.choice([0.05, 0.01, 0.001]))
        for paired, theirs in ((True, TTestPower()), (False, TTestIndPower())):
            got = stats.power(effect, n, paired=paired, level=level)
            expected = theirs.power(effect, n, level)
            known += math.isfinite(expected)
            if math.isnan(expected):  # SciPy's function has given up
                shift = effect * math.sqrt(n if paired else n / 2)
                expected = integrated_power(shift, n - 1 if paired else 2 * n - 2, level)
            close(got, expected)
    assert known > 1.8 * TABLES


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("effect", [0.2, 0.5, 0.8, -1.3, 5.0])
@pytest.mark.parametrize("level", [0.05, 0.0005])
def test_as_many_as_needed_and_not_one_more(effect, paired, level):
    n = stats.needed(effect, paired=paired, level=level)
    assert stats.power(effect, n, paired=paired, level=level) >= 0.8
    assert n == 3 or stats.power(effect, n - 1, paired=paired, level=level) < 0.8


def test_needed_are_those_of_cohens_tables():
    # Cohen 1988, table 2.4.1: power 0.80, two-sided 0.05.
    assert [stats.needed(d, paired=False) for d in (0.2, 0.5, 0.8)] == [394, 64, 26]
    assert stats.needed(1e-5, paired=True) is None


def test_needed_for_what_was_seen():
    a, b = np.array([0.0, 1.0, 2.0]), np.array([1.5, 1.0, 3.5])
    effect = 1.0 / np.std(b - a, ddof=1)
    assert stats.needed_for(Pair(a, b, "paired")) == stats.needed(effect, paired=True)
    corrected = stats.needed(effect, paired=True, level=0.01)
    assert (
        stats.needed_for(Pair(a, b, "paired"), 5) == corrected > stats.needed(effect, paired=True)
    )
    assert stats.needed_for(Pair(a, a + 1, "paired")) == 3
    assert stats.needed_for(Pair(a, a[::-1].copy(), "independent")) is None
    assert stats.needed_for(Pair(a[:1], b[:1], "paired")) is None
    beyond = stats.needed(0.4 / np.std(b - a, ddof=1), paired=True)
    assert stats.needed_for(Pair(a, b, "paired"), room=0.6) == beyond
    assert stats.needed_for(Pair(a, b, "paired"), room=1.0) is None


@pytest.mark.parametrize("design", ["paired", "independent"])
@pytest.mark.parametrize("n", [3, 12, 150, 1500])
def test_the_bootstrap_agrees_with_scipys(design, n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0, 1, n), rng.normal(0.5, 2, n)
    low, high = stats.bootstrap_difference(Pair(a, b, design))
    options = {"method": "percentile", "n_resamples": 9999, "rng": rng}
    if design == "paired":
        found = scipy.stats.bootstrap([b - a], np.mean, **options)
    else:
        difference = lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis)  # noqa: E731
        found = scipy.stats.bootstrap([b, a], difference, **options)
    # Two bootstraps differ by chance, by a few hundredths of their width.
    width = found.confidence_interval.high - found.confidence_interval.low
    assert low == pytest.approx(found.confidence_interval.low, abs=0.08 * width)
    assert high == pytest.approx(found.confidence_interval.high, abs=0.08 * width)


@pytest.mark.parametrize("sizes", [(5, 5), (4, 7), (30, 1200)])
def test_the_bootstrap_of_medians_agrees_with_scipys(sizes):
    rng = np.random.default_rng(sum(sizes))
    a, b = (rng.lognormal(0, 0.2, size) for size in sizes)
    low, high = stats.bootstrap_ratio(Pair(a, b, "repeats"))
    ratio = lambda x, y, axis: np.median(x, axis=axis) / np.median(y, axis=axis)  # noqa: E731
    found = scipy.stats.bootstrap([b, a], ratio, method="percentile", rng=rng).confidence_interval
    assert low == pytest.approx(found.low, abs=0.1 * (found.high - found.low))
    assert high == pytest.approx(found.high, abs=0.1 * (found.high - found.low))


def test_the_bootstrap_of_proportions_is_as_wide_as_the_normal_one():
    gained, lost, n = 60, 30, 5000
    low, high = stats.bootstrap_proportions(gained, lost, n)
    error = math.sqrt((gained + lost) / n - ((gained - lost) / n) ** 2) / math.sqrt(n)
    assert low == pytest.approx((gained - lost) / n - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx((gained - lost) / n + 1.96 * error, abs=0.2 * error)


def test_the_same_values_have_the_same_interval():
    a, b = np.arange(5.0), np.arange(5.0) ** 2
    first = stats.bootstrap_difference(Pair(a, b, "independent"))
    assert first == stats.bootstrap_difference(Pair(a.copy(), b.copy(), "independent"))


def test_the_bootstrap_covers_what_it_should():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(300):
        low, high = stats.bootstrap_difference(Pair(*rng.normal(0, 1, (2, 30)), "paired"))
        held += low <= 0 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_two_values_have_no_interval():
    pair = Pair(np.zeros(2), np.ones(2), "paired")
    assert stats.bootstrap_difference(pair) == stats.bootstrap_ratio(pair) == (None, None)


def test_what_does_not_scatter_is_certain():
    pair = Pair(np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.3]) + 0.7, "paired")
    assert stats.standard_error(pair) == (0.0, 2)  # but for rounding
    assert stats.p_value(0.7, 0.0, 2) == 0.0
    assert stats.p_value(0.0, 0.0, 2) == 1.0
    assert stats.effect_size(pair) is None
    assert stats.effect_size(Pair(np.ones(3), np.ones(3), "independent")) == 0.0
    assert stats.standard_error(Pair(np.ones(3), np.ones(4), "independent")) == (0.0, 5)


def test_equal_counts_scatter_as_what_is_rounded_to_a_step():
    # Sheppard: rounding to a step h adds a variance of h^2 / 12 to each value.
    a, b = np.full(3, 0.7), np.full(3, 0.9)
    error, freedom = stats.standard_error(Pair(a, b, "paired", 0.1))
    assert (error, freedom) == (pytest.approx(0.1 * math.sqrt(2 / 12 / 3)), 2)
    error, freedom = stats.standard_error(Pair(a, b, "independent", 0.1))
    assert (error, freedom) == (pytest.approx(0.1 * math.sqrt(2 / 12 / 3)), pytest.approx(4))
    error, _ = stats.standard_error(Pair(a, b, "independent", 0.1), (-2.0, 0.0))
    assert error == pytest.approx(2 * 0.1 / math.sqrt(12 * 3))
    assert stats.effect_size(Pair(a, b, "paired", 0.1)) == pytest.approx(2 * math.sqrt(6))
    scattering = np.array([0.7, 0.8, 0.9])
    assert stats.standard_error(Pair(a, scattering, "paired", 0.1)) == stats.standard_error(
        Pair(a, scattering, "paired")
    )


def test_repeats_of_one_run_count_as_one_run():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0])
    error, freedom = stats.standard_error(Pair(a, b, "repeats"))
    assert error == pytest.approx(math.sqrt(a.var(ddof=1) + b.var(ddof=1)))
    assert freedom == 4

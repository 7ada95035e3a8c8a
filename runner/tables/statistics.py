"""Whether two samples differ beyond noise, and by how much.

A `Pair` holds what was measured on the baseline and on the other side. All tests are of one
form: an estimate, its standard error, and Student's t with some degrees of freedom; only
for the decisions of two classifiers on the same samples there is an exact test.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, gammaln, nctdtr, ndtri, stdtr, stdtrit

Array = NDArray[np.float64]
LEVEL = 0.05
POWER = 0.8
ENOUGH = 3  # of two values one cannot see how much they scatter
SEED = 20240229  # of the bootstrap: the same table, the same interval
DRAWS = 2_001  # so that the ends of the interval are two of them
MOST = 1_000_000  # replicates nobody makes


class Interval(NamedTuple):
    """The ends of a 95 % interval, None where there is none."""

    low: float | None
    high: float | None


UNKNOWN = Interval(None, None)


class Pair(NamedTuple):
    """Values of the baseline and of the other, and how they belong together.

    ``design`` is ``paired`` (the i-th values belong together), ``independent``, or ``repeats``:
    of one run each, whose repeats share the luck of their process, so that they
    tell of the scatter of runs, but count as one run.
    ``step`` is that of values that are counted, such as 1 / n of an accuracy: equal ones may
    differ by it.
    """

    baseline: Array
    other: Array
    design: str
    step: float = 0.0

    @property
    def enough(self) -> bool:
        """Whether the scatter can be judged."""
        return min(len(self.baseline), len(self.other)) >= ENOUGH

    def map(self, function: Callable[[Array], Array]) -> "Pair":
        """Return the pair of transformed values."""
        return Pair(function(self.baseline), function(self.other), self.design)


def standard_error(pair: Pair, slopes: tuple[float, float] = (-1.0, 1.0)) -> tuple[float, float]:
    """Return the standard error of a weighted sum of the two means, and its degrees of freedom.

    Parameters
    ----------
    slopes : weights of the baseline's and the other's mean; the default is the difference.
    """
    a, b = slopes[0] * pair.baseline, slopes[1] * pair.other
    if pair.design == "paired":
        step = pair.step * math.hypot(*slopes)
        return _std(a + b, step) / math.sqrt(len(a)), len(a) - 1
    if pair.design == "repeats":
        return math.hypot(_std(a), _std(b)), len(a) + len(b) - 2
    left, right = (
        _std(values, pair.step * abs(slope)) ** 2 / len(values)
        for values, slope in zip((a, b), slopes, strict=True)
    )
    if left + right == 0:
        return 0.0, len(a) + len(b) - 2
    # Welch (1947, Biometrika 34, 28-35)
    freedom = (left + right) ** 2 / (left**2 / (len(a) - 1) + right**2 / (len(b) - 1))
    return math.sqrt(left + right), freedom


def _std(values: Array, step: float = 0.0) -> float:
    """Return the standard deviation (n - 1); where values differ by rounding alone that of a step.

    A few counts are easily equal by chance, which makes nothing certain. Numbers rounded to a
    step scatter by its square over 12 (Sheppard 1898, Proc. Lond. Math. Soc. 29, 353-380).
    """
    centred = values - mean(values)
    std = math.sqrt(float(centred @ centred) / (len(values) - 1))
    return std if std > 1e-14 * float(np.abs(values).max()) else step / math.sqrt(12)


def mean(values: Array) -> float:
    """Return the mean; NumPy's own takes three times as long on few values."""
    return float(values.sum()) / len(values)


def p_value(estimate: float, error: float, freedom: float) -> float:
    """Return the two-sided p value of an estimate that should be 0."""
    if error == 0:
        return 1.0 if estimate == 0 else 0.0
    return float(2 * stdtr(freedom, -abs(estimate) / error))


def t_interval(estimate: float, error: float, freedom: float) -> Interval:
    """Return the 95 % interval by Student's t."""
    half = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    return Interval(estimate - half, estimate + half)


def mean_difference(pair: Pair) -> float:
    """Return the other's mean less the baseline's."""
    if pair.design == "paired":
        return mean(pair.other - pair.baseline)
    return mean(pair.other) - mean(pair.baseline)


def effect_size(pair: Pair) -> float | None:
    """Return the difference in standard deviations; None where nothing scatters.

    Cohen's d_z of pairs (Cohen 1988, 2.3.5), else Hedges' g: the difference over the root of
    the mean variance, times the exact correction (Hedges 1981, J. Educ. Stat. 6, 107-128).
    """
    if min(len(pair.baseline), len(pair.other)) < 2:
        return None
    difference = mean_difference(pair)
    std = _scatter(pair)
    if difference == 0 or std == 0:
        return 0.0 if difference == 0 else None
    if pair.design == "paired":
        return difference / std
    m = len(pair.baseline) + len(pair.other) - 2
    correction = math.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) / math.sqrt(m / 2)
    return difference / std * correction


def _scatter(pair: Pair) -> float:
    if pair.design == "paired":
        return _std(pair.other - pair.baseline, math.sqrt(2) * pair.step)
    left, right = _std(pair.baseline, pair.step), _std(pair.other, pair.step)
    return math.sqrt((left**2 + right**2) / 2)


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided p value of McNemar's test (1947, Psychometrika 12, 153-157).

    Parameters
    ----------
    gained, lost : samples that only the other, and only the baseline, got right.
    """
    n = gained + lost
    return min(1.0, 2 * float(bdtr(min(gained, lost), n, 0.5))) if n else 1.0


def mcnemar_interval(gained: int, lost: int, n: int) -> Interval:
    """Return the 95 % interval of (gained - lost) / n that goes with McNemar's exact test.

    That of a proportion (Clopper and Pearson 1934, Biometrika 26, 404-413) among the samples
    that one of the two alone got right: it excludes 0 where the test's p is below 0.05.
    """
    apart = gained + lost
    low = float(betaincinv(gained, lost + 1, LEVEL / 2)) if gained else 0.0
    high = float(betaincinv(gained + 1, lost, 1 - LEVEL / 2)) if lost else 1.0
    return Interval((2 * low - 1) * apart / n, (2 * high - 1) * apart / n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979, Scand. J. Stat. 6, 65-70)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def power(effect: float, n: int, *, paired: bool, level: float = LEVEL) -> float:
    """Return the power of the two-sided t test with n pairs, or n values on each side.

    ``effect`` is the difference in standard deviations (Cohen 1988, chapter 2).
    """
    freedom = n - 1 if paired else 2 * n - 2
    shift = abs(effect) * math.sqrt(n if paired else n / 2)
    limit = float(stdtrit(freedom, 1 - level / 2))
    # Both probabilities are nearly 0 where the function gives up.
    within, opposite = np.nan_to_num(nctdtr(freedom, shift, [limit, -limit]))
    return float(1 - within + opposite)


def needed(effect: float, *, paired: bool, level: float = LEVEL) -> int | None:
    """Return how many pairs, or values on each side, find an effect four times out of five.

    None where more than a million would be needed.
    """
    # With a normal in the place of Student's t somewhat too few, from where the search starts.
    few = ((float(ndtri(1 - level / 2)) + float(ndtri(POWER))) / effect) ** 2
    low = max(ENOUGH - 1, int(min(few if paired else 2 * few, MOST)) - 1)
    step, high = 1, low + 1
    while power(effect, high, paired=paired, level=level) < POWER:
        if high > MOST:
            return None
        low, high, step = high, high + 2 * step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if power(effect, middle, paired=paired, level=level) < POWER:
            low = middle
        else:
            high = middle
    return high


def needed_for(pair: Pair, comparisons: int = 1, room: float = 0.0) -> int | None:
    """Return how many replicates would find the difference seen, among so many comparisons.

    ``room`` is the difference that does not count.
    """
    if min(len(pair.baseline), len(pair.other)) < 2:
        return None
    difference, std = abs(mean_difference(pair)) - room, _scatter(pair)
    if difference <= 0:
        return None
    if std == 0:
        return ENOUGH
    paired = pair.design == "paired"
    return needed(difference / std, paired=paired, level=LEVEL / comparisons)


def bootstrap_difference(pair: Pair) -> Interval:
    """Return the 95 % percentile interval of the difference of means (Efron 1979)."""
    if not pair.enough:
        return UNKNOWN
    if pair.design == "paired":
        return _percentiles(_means(pair.other - pair.baseline, 0))
    return _percentiles(_means(pair.other, 1) - _means(pair.baseline, 0))


def bootstrap_proportions(gained: int, lost: int, n: int) -> Interval:
    """Return the 95 % percentile interval of (gained - lost) / n over resampled samples."""
    draws = np.random.default_rng(SEED).multinomial(
        n, [gained / n, lost / n, 1 - (gained + lost) / n], DRAWS
    )
    return _percentiles((draws[:, 0] - draws[:, 1]) / n)


def bootstrap_ratio(pair: Pair) -> Interval:
    """Return the 95 % percentile interval of the ratio of medians, other over baseline."""
    if not pair.enough:
        return UNKNOWN
    return _percentiles(_medians(pair.other, 1) / _medians(pair.baseline, 0))


def _percentiles(values: Array) -> Interval:
    last = len(values) - 1
    first = round(LEVEL / 2 * last)
    values = np.partition(values, (first, last - first))
    return Interval(float(values[first]), float(values[last - first]))


def _means(values: Array, stream: int) -> Array:
    """Return the means of resampled values."""
    n = len(values)
    if n <= 100:
        means: Array = _weights(n, stream) @ values
        return means
    rng = np.random.default_rng([SEED, stream])
    size = max(1, 1_000_000 // n)  # of a block
    blocks = [min(size, DRAWS - first) for first in range(0, DRAWS, size)]
    return np.concatenate([values[rng.integers(0, n, (b, n))].mean(axis=1) for b in blocks])


@functools.lru_cache(maxsize=16)
def _weights(n: int, stream: int) -> Array:
    """Return how often each of n values is in each resample, over n."""
    rng = np.random.default_rng([SEED, stream])
    weights: Array = rng.multinomial(n, np.full(n, 1 / n), DRAWS) / n
    return weights


def _medians(values: Array, stream: int) -> Array:
    """Return the medians of resampled values: which of the sorted ones is drawn in the middle."""
    ordered = np.sort(values)
    low, high = _middles(len(values), stream)
    medians: Array = (ordered[low] + ordered[high]) / 2
    return medians


@functools.lru_cache(maxsize=16)
def _middles(n: int, stream: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two middle positions of each resample of n sorted values (one, for odd n).

    They are where the middle ones of n uniform numbers lie, which are beta distributed
    (David and Nagaraja 2003, Order Statistics, 2.3).
    """
    rng = np.random.default_rng([SEED, stream])
    half = (n + 1) // 2
    low = rng.beta(half, n - half + 1, DRAWS)
    high = low if n % 2 else low + (1 - low) * rng.beta(1, n - half, DRAWS)
    first, second = (np.minimum(n * one, n - 1).astype(np.int64) for one in (low, high))
    return first, second

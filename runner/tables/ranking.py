"""Each configuration of a table over its replicates, and which of them the data can separate."""

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from runner.tables.compare import by_seed, seedless, step, usual, valued
from runner.tables.comparison import DRIFT, METRICS, Metric
from runner.tables.matching import grouped, matching_keys, told_by
from runner.tables.results import Results
from runner.tables.statistics import ENOUGH, LEVEL
from runner.tables.strict import Row
from runner.tables.summarize import STATISTICS, statistics

Array = NDArray[np.float64]


@dataclass
class Summary:
    """One metric of one configuration, over its replicates.

    ``best`` and ``worst`` are the places that it may have: one after those that are beyond
    noise before it, and before those that are beyond noise after it. Where they overlap, the
    data cannot separate two configurations.
    """

    keys: dict[str, str]
    metric: str
    runs: int
    n: int
    mean: float | None
    std: float | None
    median: float | None
    low: float | None
    high: float | None
    best: int = 0
    worst: int = 0


@dataclass
class Ranking:
    """The configurations of a table, the best mean first."""

    name: str
    keys: list[str]
    summaries: list[Summary]
    notes: list[str]


def rank(table: Results, by: Sequence[str] = (), metrics: Sequence[str] = ()) -> Ranking:
    """Return the configurations of a table with their statistics and places.

    Parameters
    ----------
    by : columns that tell configurations apart; none for those that vary, except the seed.
    metrics : names in `METRICS`; none for accuracy, or the loss where there is no accuracy.

    Raises
    ------
    ValueError
        When there is no such column, or nothing was measured.
    """
    varying = matching_keys([table])
    keys = list(by) or varying
    for key in keys:
        if key not in table.columns:
            near = difflib.get_close_matches(key, table.columns, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            known = ", ".join(varying) or "none varies"
            raise ValueError(f"{table.name}: expected columns ({known}), got {key}{hint}")
    groups = grouped(table, keys)
    summaries: list[Summary] = []
    notes: list[str] = []
    for name in metrics or usual(table)[:1]:
        measured = [valued(rows, name) for rows in groups.values()]
        if not any(measured):
            raise ValueError(f"{table.name}: expected completed runs with {name}, got none")
        found = [
            summarized(dict(zip(keys, values, strict=True)), name, len(groups[values]), rows)
            for values, rows in zip(groups, measured, strict=True)
        ]
        counted = [rows[:1] if rows and seedless(rows, name) else rows for rows in measured]
        if counted != measured:
            notes.append(f"{name}: inferences that seeds have no part in count as one run")
        place(found, counted, METRICS[name])
        summaries += sorted(found, key=lambda one: order(one, METRICS[name]))
    pooled = [key for key in varying if key not in keys and not told_by(table, key, keys)]
    notes += [f"over all of {', '.join(pooled)}"] if pooled else []
    return Ranking(table.name, keys, summaries, [*notes, *table.shortfall()])


def summarized(keys: dict[str, str], metric: str, runs: int, rows: Sequence[Row]) -> Summary:
    """Return the statistics of a configuration, some of whose runs have the metric."""
    found = statistics([float(row[metric]) for row in rows])
    mean, std, median, low, high = (found[name] for name in STATISTICS)
    return Summary(keys, metric, runs, len(rows), mean, std, median, low, high)


def order(one: Summary, metric: Metric) -> tuple[bool, int, float]:
    """Return what configurations are sorted by: place, then mean; those without a value last."""
    mean = one.mean or 0.0
    return one.mean is None, one.best, -mean if metric.more else mean


def place(found: Sequence[Summary], groups: Sequence[Sequence[Row]], metric: Metric) -> None:
    """Say which places each configuration may have.

    All pairs are tested, by seed where all have the same seeds; the level is divided by
    their number (Bonferroni), so that no place is wrong 19 times out of 20.
    """
    seeds = [by_seed(rows, metric.name) for rows in groups]
    paired = not metric.time and len({frozenset(one) for one in seeds if one}) == 1
    measured = [index for index, one in enumerate(seeds) if one]
    values = [
        np.array([seeds[index][seed] for seed in sorted(seeds[index])])
        if paired
        else np.array([float(row[metric.name]) for row in groups[index]])
        for index in measured
    ]
    margin = 0.0
    if metric.time and all((one > 0).all() for one in values):
        values, margin = [np.log(one) for one in values], math.log(DRIFT)
    level = LEVEL / max(1, len(values) * (len(values) - 1) / 2)
    for index in measured:
        found[index].best, found[index].worst = 1, len(values)
    enough = [index for index, one in enumerate(values) if len(one) >= ENOUGH]
    counts = step([row for rows in groups for row in rows], metric.name)
    larger, smaller = separated([values[index] for index in enough], paired, margin, level, counts)
    first, last = (larger, smaller) if metric.more else (smaller, larger)
    for index, above, below in zip(enough, first, last, strict=True):
        one = found[measured[index]]
        one.best, one.worst = 1 + int(above), len(values) - int(below)


def separated(
    values: Sequence[Array], paired: bool, margin: float, level: float, step: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many others are larger, and smaller, than each beyond noise.

    Parameters
    ----------
    values : of each configuration, at least two; of as many where they are paired.
    margin : the difference that does not count.
    level : of each test.
    step : of values that are counted; those that are equal may differ by it, as in a `Pair`.
    """
    larger, smaller = (np.zeros(len(values), dtype=np.int64) for _ in range(2))
    sizes = np.array([len(one) for one in values])
    means = np.array([one.sum() / len(one) for one in values])
    centred = [one - mean for one, mean in zip(values, means, strict=True)]
    together = np.array(centred) if paired else None
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.array([one @ one for one in centred]) / (sizes - 1) / sizes
        parts = at_least(parts, means, step**2 / 12 / sizes)
        for index in range(len(values)):
            rest = slice(index + 1, None)
            if together is None:
                variance = parts[rest] + parts[index]
                own = parts[index] ** 2 / (sizes[index] - 1)
                freedom = variance**2 / (parts[rest] ** 2 / (sizes[rest] - 1) + own)
            else:
                apart = together[rest] - together[index]
                variance = np.einsum("ij,ij->i", apart, apart) / (sizes[rest] - 1) / sizes[rest]
                variance = at_least(variance, means[rest], step**2 / 6 / sizes[rest])
                freedom = sizes[rest] - 1.0
            difference = means[rest] - means[index]
            beyond = np.maximum(np.abs(difference) - margin, 0)
            certain = np.where(beyond > 0, 0.0, 1.0)
            p = np.where(variance == 0, certain, 2 * stdtr(freedom, -beyond / np.sqrt(variance)))
            above, below = (p < level) & (difference > 0), (p < level) & (difference < 0)
            larger[index] += np.count_nonzero(above)
            smaller[index] += np.count_nonzero(below)
            smaller[rest] += above
            larger[rest] += below
    return larger, smaller


def at_least(variances: Array, means: Array, steps: Array) -> Array:
    """Return variances, those of means that scatter by rounding alone as of steps."""
    return np.where(variances <= 1e-28 * means**2, steps, variances)

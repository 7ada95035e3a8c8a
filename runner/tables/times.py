"""Times of two runs or sweeps: as a ratio, and only where they were taken alike."""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.tables import statistics as stats
from runner.tables.comparison import METRICS, Comparison, Sides
from runner.tables.results import Results, number
from runner.tables.statistics import Pair
from runner.tables.strict import Row


def measure_times(
    made: Comparison, sides: Sides, before: Sequence[Row], after: Sequence[Row], any_machine: bool
) -> None:
    """Compare times: of the runs where there are several, else of the repeats within them."""
    pair = Pair(column(before, made.metric), column(after, made.metric), "independent")
    made.method = "ratio of medians over runs"
    if not pair.enough:
        left = repeats(sides.baseline, before, made.metric)
        right = repeats(sides.table, after, made.metric)
        if left is not None and right is not None:
            pair, made.method = Pair(left, right, "repeats"), "ratio of medians over repeats"
    if min(pair.baseline.min(), pair.other.min()) <= 0:
        made.verdict, made.note = "not comparable", "a time of 0"
        return
    made.pair = pair
    made.n_baseline, made.n = len(pair.baseline), len(pair.other)
    made.baseline, made.value = median(pair.baseline.tolist()), median(pair.other.tolist())
    made.change = made.value / made.baseline
    made.bootstrap_low, made.bootstrap_high = stats.bootstrap_ratio(pair)
    logs = pair.map(np.log)
    made.effect = stats.effect_size(logs)
    if pair.enough:
        beyond = max(0.0, abs(math.log(made.change)) - math.log(made.drift))
        made.p = stats.p_value(beyond, *stats.standard_error(logs))
    conditions(made, sides, before, after, any_machine)


def column(rows: Sequence[Row], metric: str) -> NDArray[np.float64]:
    """Return a metric of each row."""
    return np.array([float(row[metric]) for row in rows])


def repeats(table: Results, rows: Sequence[Row], metric: str) -> NDArray[np.float64] | None:
    """Return the raw repeats behind a time; None where they are not recorded.

    An epoch stands for the whole training: its seconds are times the number of epochs.
    """
    found: list[float] = []
    phase, name = METRICS[metric].phase, METRICS[metric].column
    for row in rows:
        lines = [line for line in table.timing(row) if phase and line["phase"] == phase]
        if not lines:
            return None
        last = [line for line in lines if line["batch_size"] == lines[-1]["batch_size"]]
        factor = len(last) if phase == "epoch" else 1
        found += [factor * value for line in last if (value := number(line, name)) is not None]
    return np.array(found) if found else None


def conditions(
    made: Comparison, sides: Sides, before: Sequence[Row], after: Sequence[Row], any_machine: bool
) -> None:
    """Say under which other conditions times were taken; unless asked for, they do not compare."""
    left, right = machines(sides.baseline, before), machines(sides.table, after)
    if not left["cpu"] or not right["cpu"]:
        made.remark("machine not recorded")
    others = [
        f"{name} {in_words(left[name] | right[name])}"
        for name in left
        if others_than(left[name], right[name])
    ]
    if others and not any_machine:
        made.verdict = "not comparable"
    if others:
        made.remark("other " + ", ".join(others))


def machines(table: Results, rows: Sequence[Row]) -> dict[str, set[frozenset[str]]]:
    """Return the machines, the threads and the matrix-product libraries of runs.

    A run's libraries are those that its process had loaded, one of which it used: runs that
    have one in common are taken for equal.
    """
    distinct: list[dict[str, Any]] = []  # most often one, of which a large sweep has many copies
    for environment in map(table.environment, rows):
        if environment and environment not in distinct:
            distinct.append(environment)
    return {
        "cpu": {frozenset([str(one.get("cpu"))]) for one in distinct},
        "cores": {frozenset([str(one.get("cores"))]) for one in distinct},
        "threads": {frozenset([row["threads"]]) for row in rows if row.get("threads")},
        "BLAS": {libraries(one.get("blas")) for one in distinct},
    }


def others_than(left: set[frozenset[str]], right: set[frozenset[str]]) -> bool:
    """Whether the conditions of two sides are known, and have nothing in common."""
    known = bool(left) and bool(right)
    return known and left != right and not frozenset.intersection(*left, *right)


def in_words(conditions: Iterable[frozenset[str]]) -> str:
    """Return conditions as they are shown: ``1 / 2``."""
    return " / ".join(sorted(" and ".join(sorted(one)) for one in conditions))


def libraries(blas: Any) -> frozenset[str]:
    """Return the matrix-product libraries in words."""
    kept = ("internal_api", "version", "architecture")
    found = blas if isinstance(blas, list) else ()
    known = [info for info in found if isinstance(info, dict)]
    return frozenset(" ".join(str(info.get(key, "")) for key in kept) for info in known)

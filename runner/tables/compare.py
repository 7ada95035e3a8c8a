"""Result tables against a baseline: what differs, by how much, and whether beyond noise."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runner.tables import statistics as stats
from runner.tables.gate import Gate
from runner.tables.matching import differing, grouped, matching_keys, unmatched
from runner.tables.read import Results, Row, number
from runner.tables.statistics import ENOUGH, LEVEL, Pair

MEDIUM = 0.5  # standard deviations; "a medium effect" (Cohen 1988, 2.2.3)
# The same job on the same machine may take this much longer an hour later (asv's default too).
DRIFT = 1.1
CONDITIONS = ("cpu", "cores", "threads", "BLAS")  # of a time
VERDICTS = ("better", "worse", "underpowered", "not comparable", "no difference")


class Metric(NamedTuple):
    """A column that can be compared: whether more of it is better, and whether it is a time."""

    name: str
    more: bool
    phase: str = ""  # of timing.csv, where its raw repeats are
    column: str = ""
    time: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", True),
        Metric("test_loss", False),
        Metric("train_accuracy", True),
        Metric("epochs", False),
        Metric("images_per_second", True, "inference", "items_per_second", time=True),
        Metric("inference_seconds", False, "inference", "seconds", time=True),
        Metric("fit_seconds", False, "epoch", "seconds", time=True),
        Metric("duration_seconds", False, time=True),
    )
}


@dataclass
class Comparison:
    """One metric of one configuration in one table, against the baseline.

    Attributes
    ----------
    change : difference of means, or for times the ratio of medians, both seen from the baseline.
    low, high : its 95 % interval by Student's t; none for times.
    bootstrap_low, bootstrap_high : its 95 % bootstrap interval.
    effect : the difference in standard deviations.
    n, n_baseline : replicates, samples or raw repeats that were looked at.
    p, p_holm : of no difference; adjusted for the number of comparisons.
    needed : replicates that would find the difference seen, where there were too few.
    """

    table: str
    keys: dict[str, str]
    metric: str
    method: str = ""
    baseline: float | None = None
    value: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None
    effect: float | None = None
    n_baseline: int = 0
    n: int = 0
    p: float | None = None
    p_holm: float | None = None
    needed: int | None = None
    verdict: str = ""
    note: str = ""
    pair: Pair | None = field(default=None, repr=False)

    @property
    def time(self) -> bool:
        """Whether a time was compared: then ``change`` is a ratio."""
        return METRICS[self.metric].time


class Judged(NamedTuple):
    """A gate, a comparison it was asked of, and whether it holds beyond noise.

    ``state`` is ``holds``, ``does not hold``, ``within noise``, ``underpowered`` or
    ``not comparable``.
    """

    gate: str
    comparison: Comparison
    state: str
    p: float | None = None


@dataclass
class Outcome:
    """What a comparison of tables found.

    Attributes
    ----------
    differences : of each table but the first: what is constant in both and differs.
    """

    baseline: str
    tables: list[str]
    keys: list[str]
    differences: dict[str, dict[str, tuple[str, str]]]
    comparisons: list[Comparison]
    gates: list[Judged]
    notes: list[str]


def compare(
    tables: Sequence[Results],
    metrics: Sequence[str] = (),
    gates: Sequence[Gate] = (),
    *,
    any_machine: bool = False,
) -> Outcome:
    """Compare tables with the first one.

    Parameters
    ----------
    metrics : names in `METRICS`; none for accuracy (or loss) and speed, as far as recorded.
    any_machine : whether times of other machines, threads or BLAS are compared all the same.

    Raises
    ------
    ValueError
        When there is nothing that can be compared.
    """
    keys = matching_keys(tables)
    baseline, *others = tables
    names = list(dict.fromkeys([*(metrics or usual(baseline)), *(gate.metric for gate in gates)]))
    before = grouped(baseline, keys)
    found: list[Comparison] = []
    notes = [
        f"{table.name}: {table.missing} planned jobs have no row"
        for table in tables
        if table.missing
    ]
    differences = {}
    for table in others:
        after = grouped(table, keys)
        common = [values for values in before if values in after]
        if not common:
            expected = f"configurations of {baseline.name} (by {', '.join(keys)})"
            raise ValueError(f"{table.name}: expected {expected}, got none of them")
        notes += unmatched(baseline, table, before.keys(), after.keys())
        differences[table.name] = differing(baseline, table, keys)
        for values in common:
            sides = Sides(baseline, table, before[values], after[values])
            for name in names:
                made = Comparison(table.name, dict(zip(keys, values, strict=True)), name)
                measure(made, sides, any_machine)
                found.append(made)
    found = [made for made in found if made.verdict != "absent"]
    if not found:
        expected = " or ".join(names)
        raise ValueError(f"{baseline.name}: expected completed runs with {expected}, got none")
    decide(found)
    judged = judge(gates, found)
    return Outcome(
        baseline.name, [table.name for table in others], keys, differences, found, judged, notes
    )


def usual(baseline: Results) -> list[str]:
    """Return the metrics that are compared unless others are asked for."""

    def first(*names: str) -> list[str]:
        rows = [row for row in baseline.rows if row["status"] == "completed"]
        return [n for n in names if any(number(row, n) is not None for row in rows)][:1]

    found = first("accuracy", "test_loss") + first("images_per_second", "fit_seconds")
    if not found:
        expected = "a completed run with accuracy, test_loss or times"
        raise ValueError(f"{baseline.name}: expected {expected}, got none")
    return found


# What is measured on both sides


class Sides(NamedTuple):
    """The rows of one configuration in the baseline and in another table."""

    baseline: Results
    table: Results
    before: list[Row]
    after: list[Row]


def measure(made: Comparison, sides: Sides, any_machine: bool) -> None:
    """Fill a comparison with what both sides have of its metric."""
    before = valued(sides.before, made.metric)
    after = valued(sides.after, made.metric)
    if not before and not after:
        made.verdict = "absent"
        return
    if not before or not after:
        here = sides.table if before else sides.baseline
        made.verdict, made.note = "not comparable", f"no {made.metric} in {here.name}"
        return
    left_out = len(sides.before) + len(sides.after) - len(before) - len(after)
    made.note = f"{left_out} runs without it" if left_out else ""
    if made.time:
        measure_times(made, sides, before, after, any_machine)
    else:
        measure_means(made, sides, before, after)


def valued(rows: Sequence[Row], metric: str) -> list[Row]:
    """Return the completed rows that have a metric."""
    return [r for r in rows if r["status"] == "completed" and number(r, metric) is not None]


def measure_means(
    made: Comparison, sides: Sides, before: Sequence[Row], after: Sequence[Row]
) -> None:
    """Compare means: of the decisions of two runs on the same samples, or over seeds."""
    decisions = None
    if made.metric == "accuracy" and same(before, "accuracy") and same(after, "accuracy"):
        decisions = right_or_wrong(sides, before[0], after[0])
    if decisions is not None:
        made.pair = decisions
        gained, lost = (int(np.sum(decisions.other - decisions.baseline == s)) for s in (1, -1))
        made.method, made.p = "McNemar", stats.mcnemar(gained, lost)
        interval = stats.bootstrap_proportions(gained, lost, len(decisions.other))
    else:
        pair = made.pair = over_seeds(by_seed(before, made.metric), by_seed(after, made.metric))
        made.method = "paired t" if pair.design == "paired" else "Welch t"
        made.effect = stats.effect_size(pair)
        interval = stats.bootstrap_difference(pair)
    pair = made.pair
    made.n_baseline, made.n = len(pair.baseline), len(pair.other)
    made.baseline, made.value = stats.mean(pair.baseline), stats.mean(pair.other)
    made.change = stats.mean_difference(pair)
    made.bootstrap_low, made.bootstrap_high = interval
    if pair.enough:
        error, freedom = stats.standard_error(pair)
        made.low, made.high = stats.t_interval(made.change, error, freedom)
        made.p = stats.p_value(made.change, error, freedom) if made.p is None else made.p


def same(rows: Sequence[Row], metric: str) -> bool:
    """Whether rows have one value: a single run, or one that the seed has no part in."""
    return len({number(row, metric) for row in rows}) == 1


def right_or_wrong(sides: Sides, before: Row, after: Row) -> Pair | None:
    """Return which samples two runs decided rightly; None unless they saw the same samples."""
    left, right = sides.baseline.predictions(before), sides.table.predictions(after)
    if left is None or right is None or not np.array_equal(left["t"], right["t"]):
        return None
    if before.get("data_hash") != after.get("data_hash"):
        return None  # other samples with the same labels
    hits: list[NDArray[Any]] = [side["predicted"] == side["t"] for side in (left, right)]
    return Pair(hits[0].astype(float), hits[1].astype(float), "paired")


def by_seed(rows: Sequence[Row], metric: str) -> dict[int, float]:
    """Return a metric by seed, the mean of rows of the same seed."""
    values: dict[int, list[float]] = {}
    for row in rows:
        values.setdefault(int(float(row["seed"] or 0)), []).append(float(row[metric]))
    return {seed: math.fsum(found) / len(found) for seed, found in values.items()}


def over_seeds(before: Mapping[int, float], after: Mapping[int, float]) -> Pair:
    """Return values paired by seed; independent ones where most seeds have no partner."""
    common = sorted(before.keys() & after.keys())
    if 2 * len(common) >= min(len(before), len(after)):
        left, right = (np.array([side[seed] for seed in common]) for side in (before, after))
        return Pair(left, right, "paired")
    return Pair(np.array([*before.values()]), np.array([*after.values()]), "independent")


def measure_times(
    made: Comparison, sides: Sides, before: Sequence[Row], after: Sequence[Row], any_machine: bool
) -> None:
    """Compare times: of the runs where there are several, else of the repeats within them."""
    left, right = times(sides.baseline, before, made.metric), times(sides.table, after, made.metric)
    pair = Pair(column(before, made.metric), column(after, made.metric), "independent")
    made.method = "ratio of medians over runs"
    if not pair.enough and left is not None and right is not None:
        pair = Pair(left, right, "repeats")
        made.method = "ratio of medians over repeats"
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
        beyond = max(0.0, abs(math.log(made.change)) - math.log(DRIFT))
        made.p = stats.p_value(beyond, *stats.standard_error(logs))
    conditions(made, sides, before, after, any_machine)


def column(rows: Sequence[Row], metric: str) -> NDArray[np.float64]:
    """Return a metric of each row."""
    return np.array([float(row[metric]) for row in rows])


def times(table: Results, rows: Sequence[Row], metric: str) -> NDArray[np.float64] | None:
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
    notes = [made.note] if made.note else []
    if not left["cpu"] or not right["cpu"]:
        notes.append("machine not recorded")
    others = [
        f"{name} {in_words(left[name] | right[name])}"
        for name in left
        if left[name] and right[name] and not frozenset.intersection(*left[name], *right[name])
    ]
    if others and not any_machine:
        made.verdict = "not comparable"
    if others:
        notes.append("other " + ", ".join(others))
    made.note = "; ".join(notes)


def machines(table: Results, rows: Sequence[Row]) -> dict[str, set[frozenset[str]]]:
    """Return the machines, the threads and the matrix-product libraries of runs.

    A run's libraries are those that its process had loaded, one of which it used: runs that
    have one in common are taken for equal.
    """
    seen: dict[str, set[frozenset[str]]] = {name: set() for name in CONDITIONS}
    for row in rows:
        if row.get("threads"):
            seen["threads"].add(frozenset([row["threads"]]))
        environment = table.environment(row)
        if environment:
            seen["cpu"].add(frozenset([str(environment.get("cpu"))]))
            seen["cores"].add(frozenset([str(environment.get("cores"))]))
            seen["BLAS"].add(libraries(environment.get("blas")))
    return seen


def in_words(conditions: Iterable[frozenset[str]]) -> str:
    """Return conditions as they are shown: ``1 / 2``."""
    return " / ".join(sorted(" and ".join(sorted(one)) for one in conditions))


def libraries(blas: Any) -> frozenset[str]:
    """Return the matrix-product libraries in words."""
    kept = ("internal_api", "version", "architecture")
    known = [info for info in blas or () if isinstance(info, dict)]
    return frozenset(" ".join(str(info.get(key, "")) for key in kept) for info in known)


# What it means


def decide(found: Sequence[Comparison]) -> None:
    """Adjust the p values for their number, and give the verdicts."""
    tested = [made for made in found if made.p is not None and not made.verdict]
    for made, p in zip(tested, stats.holm([made.p or 0.0 for made in tested]), strict=True):
        made.p_holm = p
    for made in found:
        if not made.verdict:
            made.verdict = verdict(made)
        if made.verdict == "underpowered":
            made.needed = wanted(made, len(tested))


def verdict(made: Comparison) -> str:
    """Return what a comparison shows."""
    pair, unit = made.pair, 1.0 if made.time else 0.0
    assert pair is not None
    if np.array_equal(pair.baseline, pair.other):
        return "no difference"
    if not pair.enough:
        return "underpowered"
    ends = made.bootstrap_low, made.bootstrap_high
    apart = not made.time or not (ends[0] or 0.0) <= 1 <= (ends[1] or math.inf)
    if made.p_holm is not None and made.p_holm < LEVEL and apart:
        return "better" if ((made.change or 0.0) > unit) == METRICS[made.metric].more else "worse"
    drifts = made.time and abs(math.log(made.change or 1.0)) < math.log(DRIFT)
    seen = made.method != "McNemar" and abs(made.effect or 0.0) >= MEDIUM
    return "underpowered" if seen and not drifts else "no difference"


def wanted(made: Comparison, comparisons: int) -> int | None:
    """Return how many replicates would find the difference seen."""
    pair = made.pair
    assert pair is not None
    if made.time:
        pair = pair.map(np.log)
    wanted = stats.needed_for(pair, max(1, comparisons))
    here = 1 if pair.design == "repeats" else min(len(pair.baseline), len(pair.other))
    if wanted is None:
        return ENOUGH if here < 2 else None
    return max(wanted, ENOUGH, here + 1)


def judge(gates: Sequence[Gate], found: Sequence[Comparison]) -> list[Judged]:
    """Say of each gate where it holds beyond noise, adjusted for the number of judgements.

    Raises
    ------
    ValueError
        When a gate divides by zero.
    """
    judged = [tested(gate, made) for gate in gates for made in found if made.metric == gate.metric]
    known = [item for item in judged if item.p is not None]
    adjusted = iter(stats.holm([item.p or 0.0 for item in known]))
    return [settled(item, next(adjusted)) if item.p is not None else item for item in judged]


def tested(gate: Gate, made: Comparison) -> Judged:
    """Return a gate asked of one comparison: how probable its excess is by chance."""
    pair = made.pair
    if made.verdict == "not comparable" or pair is None:
        return Judged(gate.text, made, "not comparable")
    before, after = made.baseline or 0.0, made.value or 0.0
    try:
        excess, slopes = gate.excess(before, after), gate.slopes(before, after)
    except ZeroDivisionError:
        raise ValueError(f"--fail-if: expected no division by zero, got {gate.text!r}") from None
    if excess < 0 or (excess == 0 and gate.strict):
        return Judged(gate.text, made, "does not hold", 1.0)
    if not pair.enough:
        return Judged(gate.text, made, "underpowered")
    error, freedom = stats.standard_error(pair, slopes)
    if error == 0:
        return Judged(gate.text, made, "holds", 0.0)
    return Judged(gate.text, made, "holds", stats.p_value(excess, error, freedom) / 2)


def settled(item: Judged, p: float) -> Judged:
    """Return a judgement with its adjusted p value; within noise unless that is small.

    One-sided at half the level: the whole 95 % interval lies where the gate holds.
    """
    state = item.state
    if state == "holds" and p >= LEVEL / 2:
        state = "within noise"
    return item._replace(state=state, p=p)

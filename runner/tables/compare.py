"""Result tables against a baseline: what differs, by how much, and whether beyond noise."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.tables import statistics as stats
from runner.tables.comparison import DRIFT, METRICS, Comparison, Outcome, Sides
from runner.tables.gate import Gate
from runner.tables.judge import judge
from runner.tables.matching import differing, grouped, matching_keys, unmatched
from runner.tables.results import Results, number
from runner.tables.statistics import ENOUGH, LEVEL, Pair
from runner.tables.strict import Row
from runner.tables.times import measure_times

MEDIUM = 0.5  # standard deviations; "a medium effect" (Cohen 1988, 2.2.3)


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
    notes = list(dict.fromkeys(note for table in tables for note in table.shortfall()))
    differences = {}
    found: list[Comparison] = []
    for table in others:
        after = grouped(table, keys)
        notes += unmatched(baseline, table, before.keys(), after.keys())
        differences[table.name] = differing(baseline, table, keys)
        common = {
            values: Sides(baseline, table, before[values], after[values])
            for values in before
            if values in after
        }
        if not common:
            expected = f"configurations of {baseline.name} (by {', '.join(keys)})"
            raise ValueError(f"{table.name}: expected {expected}, got none of them")
        for values, sides in common.items():
            named = dict(zip(keys, values, strict=True))
            compared = (measured(named, name, sides, any_machine) for name in names)
            found += [made for made in compared if made]
    for name in names:
        if all(made.metric != name for made in found):
            raise ValueError(f"{baseline.name}: expected completed runs with {name}, got none")
    decide(found)
    gated = judge(gates, found)
    against = [table.name for table in others]
    return Outcome(baseline.name, against, keys, differences, found, gated, notes)


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


def measured(
    keys: dict[str, str], metric: str, sides: Sides, any_machine: bool
) -> Comparison | None:
    """Return what both sides have of a metric, None where neither has it."""
    made = Comparison(sides.table.name, keys, metric)
    before, after = valued(sides.before, metric), valued(sides.after, metric)
    if not before and not after:
        return None
    if not before or not after:
        here = sides.table if before else sides.baseline
        made.verdict, made.note = "not comparable", f"no {metric} in {here.name}"
        return made
    rows = len(sides.before) + len(sides.after)
    left_out = rows - len(before) - len(after)
    made.note = f"{left_out} of {rows} rows without it" if left_out else ""
    if made.time:
        measure_times(made, sides, before, after, any_machine)
    else:
        measure_means(made, sides, before, after)
    return made


def valued(rows: Sequence[Row], metric: str) -> list[Row]:
    """Return the completed rows that have a metric."""
    return [r for r in rows if r["status"] == "completed" and number(r, metric) is not None]


def measure_means(
    made: Comparison, sides: Sides, before: Sequence[Row], after: Sequence[Row]
) -> None:
    """Compare means: of the decisions of two runs on the same samples, or over seeds."""
    decisions = None
    if seedless(before, made.metric) and seedless(after, made.metric):
        before, after = before[:1], after[:1]
        if made.metric == "accuracy":
            decisions = right_or_wrong(sides, before[0], after[0])
    values = by_seed(before, made.metric), by_seed(after, made.metric)
    pair = made.pair = decisions or over_seeds(*values, step([*before, *after], made.metric))
    made.n_baseline, made.n = len(pair.baseline), len(pair.other)
    made.baseline, made.value = stats.mean(pair.baseline), stats.mean(pair.other)
    made.change = stats.mean_difference(pair)
    if decisions:
        by_mcnemar(made, pair)
        if before[0].get("task") in ("training", "perceptron"):
            made.remark("one training each, other seeds may differ")
    else:
        by_student(made, pair)
        alone = len(values[0]) + len(values[1]) - made.n_baseline - made.n
        if alone:
            made.remark(f"seeds without a partner: {alone}")


def by_mcnemar(made: Comparison, pair: Pair) -> None:
    """Test whether one of two runs is right more often, on the samples where they differ."""
    gained, lost = (int(np.sum(pair.other - pair.baseline == sign)) for sign in (1, -1))
    made.method, made.p = "McNemar", stats.mcnemar(gained, lost)
    made.low, made.high = stats.mcnemar_interval(gained, lost, made.n)
    made.bootstrap_low, made.bootstrap_high = stats.bootstrap_proportions(gained, lost, made.n)


def by_student(made: Comparison, pair: Pair) -> None:
    """Test whether means over seeds differ."""
    made.method = "paired t" if pair.design == "paired" else "Welch t"
    made.effect = stats.effect_size(pair)
    made.bootstrap_low, made.bootstrap_high = stats.bootstrap_difference(pair)
    if pair.enough:
        error, freedom = stats.standard_error(pair)
        made.low, made.high = stats.t_interval(made.change or 0.0, error, freedom)
        made.p = stats.p_value(made.change or 0.0, error, freedom)


def seedless(rows: Sequence[Row], metric: str) -> bool:
    """Whether rows are one run: a single one, or an inference that seeds have no part in.

    More of its replicates would say nothing more.
    """
    alike = len({number(row, metric) for row in rows}) == 1
    return len(rows) == 1 or (alike and {row.get("task") for row in rows} == {"inference"})


def right_or_wrong(sides: Sides, before: Row, after: Row) -> Pair | None:
    """Return which samples two runs decided rightly; None unless they saw the same samples."""
    left, right = sides.baseline.predictions(before), sides.table.predictions(after)
    if left is None or right is None or not np.array_equal(left["t"], right["t"]):
        return None
    if before.get("data_hash") != after.get("data_hash"):
        return None  # other samples with the same labels
    hits: list[NDArray[Any]] = [side["predicted"] == side["t"] for side in (left, right)]
    return Pair(hits[0].astype(float), hits[1].astype(float), "paired")


def by_seed(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """Return a metric by seed, the mean of rows of the same seed."""
    values: dict[str, list[float]] = {}
    for row in rows:  # pandas writes 3.0 where other rows have no seed
        values.setdefault(row["seed"].partition(".")[0], []).append(float(row[metric]))
    return {seed: math.fsum(found) / len(found) for seed, found in values.items()}


def step(rows: Sequence[Row], metric: str) -> float:
    """Return the step between two values of a metric that is counted, 0 of another.

    Of an accuracy it is one of the samples measured; training has more of them as a rule.
    """
    if metric == "epochs":
        return 1.0
    sizes = [number(row, "n") or math.inf for row in rows] if "accuracy" in metric else []
    return 1 / min(sizes, default=math.inf)


def over_seeds(before: Mapping[str, float], after: Mapping[str, float], step: float) -> Pair:
    """Return values paired by seed; independent ones where too many seeds have no partner."""
    common = sorted(before.keys() & after.keys())
    fewest = min(len(before), len(after))
    if len(common) >= min(fewest, max(ENOUGH, fewest / 2)):
        left, right = (np.array([side[seed] for seed in common]) for side in (before, after))
        return Pair(left, right, "paired", step)
    return Pair(np.array([*before.values()]), np.array([*after.values()]), "independent", step)


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
    room = 0.0
    if made.time:  # three runs or more leave no more room than this
        pair, room = pair.map(np.log), math.log(DRIFT)
    wanted = stats.needed_for(pair, max(1, comparisons), room)
    here = 1 if pair.design == "repeats" else min(len(pair.baseline), len(pair.other))
    if wanted is None:
        return ENOUGH if here < 2 else None
    return max(wanted, ENOUGH, here + 1)

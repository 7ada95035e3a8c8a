"""The sections about configurations: how they rank, what their accuracy costs, how they learn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runner.report.comparison import summary_cells
from runner.report.page import charts
from runner.report.page.blocks import (
    Cell,
    Chart,
    Section,
    Table,
    cut,
    measured,
    text,
    whole,
    without_empty,
)
from runner.report.page.run import line
from runner.tables.compare import valued
from runner.tables.matching import Values, grouped
from runner.tables.ranking import Ranking, Summary, rank
from runner.tables.results import Results, number
from runner.tables.strict import Row
from runner.tables.summarize import statistics

CURVES = 8  # configurations whose learning is drawn
SEEDS = 20  # replicates that a curve is the mean of
COLOURS = 8  # groups that can be told apart
COLUMNS = {"accuracy": "test_accuracy", "test_loss": "test_loss"}  # of history.csv, by metric
Point = dict[str, Any]


class Ranked(NamedTuple):
    """A table with the rankings of its configurations, accuracy or loss first, then time."""

    table: Results
    rankings: list[Ranking]
    groups: dict[Values, list[Row]]  # of each configuration

    @property
    def several(self) -> bool:
        """Whether there are configurations to tell apart."""
        return any(len(one.summaries) > 1 for one in self.rankings)


def ranked(table: Results, metrics: Sequence[str]) -> Ranked:
    """Return the rankings of a table by each metric."""
    rankings = [rank(table, metrics=[name]) for name in metrics]
    return Ranked(table, rankings, grouped(table, rankings[0].keys) if rankings else {})


def ranking_sections(found: Sequence[Ranked]) -> list[Section]:
    """Return how the configurations of each table rank, and how accuracy trades with time."""
    made = []
    for table, rankings, groups in (one for one in found if one.several):
        blocks: list[Any] = []
        for ranking in rankings:
            blocks += [ranking_chart(ranking, groups), ranking_table(ranking)]
        title = f"Ranking of {table.name}" if len(found) > 1 else "Ranking"
        made.append(Section(title, blocks))
    chart = trade_off(found)
    return [*made, Section("Accuracy and time", [chart])] if chart else made


def ranking_chart(ranking: Ranking, groups: Mapping[Values, Sequence[Row]]) -> Chart:
    """Return the chart of a ranking, coloured by a key of few values."""
    key, metric = telling(ranking), metric_of(ranking)
    points = [
        {"name": named(one), "place": place, "group": group(one, key)} | interval(one, groups)
        for place, one in enumerate(ranking.summaries, start=1)
        if one.mean is not None
    ]
    return charts.ranking(f"{metric} by configuration", metric, points, key)


def metric_of(ranking: Ranking) -> str:
    """Return the one metric of a ranking."""
    return ranking.summaries[0].metric


def telling(ranking: Ranking) -> str:
    """Return the first key whose values can be told apart by colour; nothing where none is."""
    for key in ranking.keys:
        if 1 < len({one.keys[key] for one in ranking.summaries if one.n}) <= COLOURS:
            return key
    return ""


def group(one: Summary, key: str) -> str:
    """Return the value of the key that colours a configuration."""
    return one.keys.get(key, "") or "none"


def named(one: Summary) -> str:
    """Return a configuration in words."""
    return ", ".join(value or "none" for value in one.keys.values()) or "all runs"


def interval(one: Summary, groups: Mapping[Values, Sequence[Row]]) -> dict[str, float | None]:
    """Return a mean with its interval over replicates; of one run, that of its samples."""
    low, high = one.low, one.high
    if one.n == 1 and one.metric == "accuracy":
        (row,) = valued(groups[tuple(one.keys.values())], "accuracy")
        low, high = number(row, "accuracy_low"), number(row, "accuracy_high")
    return {"value": one.mean, **possible(one.metric, one.mean, low, high)}


def possible(metric: str, mean: float | None, low: float | None, high: float | None) -> Point:
    """Return the part of an interval in which values can lie, as it is drawn.

    Of few replicates, Student's t gives ends below 0 and beyond 1; tables have them in full.
    Only a loss of the user's own can have a mean below 0.
    """
    least = low if low is None or (mean or 0.0) < 0 else max(low, 0.0)
    most = high if high is None or not metric.endswith("accuracy") else min(high, 1.0)
    return {"low": least, "high": most}


def ranking_table(ranking: Ranking) -> Table:
    """Return a ranking, with ties that the runs cannot separate."""
    keys, metric = ranking.keys, metric_of(ranking)
    heads = [*keys, "rank", "mean", "std", "median", "95 % interval", "n"]
    rows = []
    for one in ranking.summaries:
        shown = summary_cells(one)[len(keys) + 1 :]
        values = (one.best, one.mean, one.std, one.median, one.low, one.n)
        cells = [Cell(*pair) for pair in zip(shown, values, strict=True)]
        rows.append([*map(text, one.keys.values()), *cells])
    notes = list(ranking.notes)
    if any(one.best < one.worst for one in ranking.summaries):
        notes.append("Ranks that overlap are ties: the runs cannot separate them.")
    numeric = frozenset(range(len(keys), len(heads)))
    caption = f"Configurations by {metric}: statistics over their replicates"
    return without_empty(cut(Table(caption, heads, rows, True, numeric, notes=notes)))


def trade_off(found: Sequence[Ranked]) -> Chart | None:
    """Return accuracy (or loss) over time of all configurations; None where either is missing."""
    metrics = [metric_of(ranking) for ranking in found[0].rankings]
    alike = [one for one in found if [metric_of(each) for each in one.rankings] == metrics]
    if len(metrics) < 2:
        return None
    points = []
    for table, (values, times), groups in alike:
        key, costs = telling(values), {tuple(one.keys.values()): one for one in times.summaries}
        for one in values.summaries:
            cost = costs[tuple(one.keys.values())]
            if one.mean is not None and cost.mean is not None:
                colour = table.name if len(alike) > 1 else group(one, key)
                ends = both_ends(interval(cost, groups), interval(one, groups))
                points.append({"name": named(one), "group": colour, **ends})
    grouped_by = "table" if len(alike) > 1 else telling(alike[0].rankings[0])
    return charts.trade_off(metrics[1], metrics[0], points, grouped_by) if points[1:] else None


def both_ends(x: Point, y: Point) -> Point:
    """Return the value and the interval of two measures as the fields of a chart."""
    sides = {"x": x, "y": y}
    made = {side: given["value"] for side, given in sides.items()}
    ends = {f"{side}_{end}": sides[side][end] for side in sides for end in ("low", "high")}
    return made | ends


def learning_section(found: Sequence[Ranked]) -> Section | None:
    """Return how the best configurations of each sweep learned: means over their replicates."""
    blocks: list[Any] = []
    for table, rankings, groups in (one for one in found if one.table.sweep and one.rankings):
        ranking = rankings[0]
        column = COLUMNS.get(metric_of(ranking), "")
        points = [
            point
            for one in ranking.summaries[:CURVES]
            for point in mean_curve(table, groups[tuple(one.keys.values())], column, named(one))
        ]
        if points:
            title = f"{column} by epoch, the best configurations of {table.name}"
            about = "The mean over the replicates, and its 95 % interval."
            if max(one.n for one in ranking.summaries[:CURVES]) > SEEDS:
                about = f"The mean over the first {SEEDS} replicates, and its 95 % interval."
            blocks += [charts.curves(title, column, points, about), curve_table(title, points)]
    return Section("Learning", blocks) if blocks else None


def curve_table(title: str, points: Sequence[Point]) -> Table:
    """Return the points of curves, a column for each."""
    names = list(dict.fromkeys(point["series"] for point in points))
    values = {(point["epoch"], point["series"]): point["value"] for point in points}
    rows = [
        [whole(epoch), *(measured(values.get((epoch, name))) for name in names)]
        for epoch in sorted({point["epoch"] for point in points})
    ]
    return Table(title, ["epoch", *names], rows, True, frozenset(range(len(names) + 1)))


def mean_curve(table: Results, rows: Sequence[Row], column: str, name: str) -> list[Point]:
    """Return the mean of a column of history.csv by epoch, with its interval."""
    values: dict[float, list[float]] = {}
    for row in [row for row in rows if row["status"] == "completed"][:SEEDS]:
        for point in line(table.table(row, "history"), column, name):
            if None not in (point["epoch"], point["value"]):
                values.setdefault(point["epoch"], []).append(point["value"])
    made = []
    for epoch, seen in sorted(values.items()):
        over = statistics(seen)
        ends = possible(column, over["mean"], over["low"], over["high"])
        made.append({"epoch": epoch, "value": over["mean"], "series": name, **ends})
    return made

"""The sections about whole tables: at a glance, compared, run by run, and where they ran."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from runner.report import comparison as words
from runner.report.page.blocks import (
    Cell,
    Notes,
    Section,
    Table,
    Tiles,
    cut,
    measured,
    text,
    whole,
    without_empty,
)
from runner.tables.columns import RESULTS
from runner.tables.compare import compare, usual, valued
from runner.tables.comparison import METRICS, Outcome
from runner.tables.matching import matching_keys
from runner.tables.results import Results, number, swept
from runner.tables.strict import STATUSES, Row

VALUES = 20  # of a key
ENVIRONMENTS = 6  # side by side
MEASURES = (
    *("n", "accuracy", "accuracy_low", "accuracy_high", "test_loss", "train_accuracy", "epochs"),
    *("fit_seconds", "inference_seconds", "images_per_second", "duration_seconds"),
)
UNITS = {column.name: column.unit.replace("fraction", "") for column in RESULTS}
KINDS = {column.name: column.type for column in RESULTS}


def metrics(table: Results) -> list[str]:
    """Return what a table is ranked by, accuracy or loss first; nothing where none was measured."""
    with suppress(ValueError):
        return usual(table)
    return []


def best(table: Results, metric: str) -> Row | None:
    """Return the completed run with the best value of a metric."""
    rows, sign = valued(table.rows, metric), -1.0 if METRICS[metric].more else 1.0
    return min(rows, key=lambda row: sign * float(row[metric])) if rows else None


def shown(table: Results) -> tuple[Row, str]:
    """Return the run of a table that is shown whole, and in words how it was chosen."""
    if len(table.rows) == 1:
        return table.rows[0], f"The run of {table.name}"
    for metric in metrics(table)[:1]:
        row = best(table, metric)
        if row:
            return row, f"The best {metric} of {len(table.rows):,} runs of {table.name}"
    completed = [row for row in table.rows if row["status"] == "completed"]
    return (completed or table.rows)[0], f"The first of {len(table.rows):,} runs of {table.name}"


def glance(tables: Sequence[Results]) -> Section:
    """Return the few numbers to be seen first, and what is missing."""
    counts = Counter(row["status"] for table in tables for row in table.rows)
    others = [f"{counts[status]:,} {status}" for status in STATUSES[1:] if counts[status]]
    items = [("runs", f"{counts.total():,}", ", ".join(others) or "all completed")]
    for name in dict.fromkeys(name for table in tables for name in metrics(table)):
        rows = [row for table in tables if (row := best(table, name))]
        sign = -1.0 if METRICS[name].more else 1.0
        row = min(rows, key=lambda row: sign * float(row[name]))
        about = (name == "accuracy" and ends(row)) or f"run {row['run_id']}"
        value = f"{words.short(number(row, name))} {UNITS[name]}".strip()
        items.append((f"best {name}", value, about))
    environments = [table.environment(shown(table)[0]) or {} for table in tables]
    machines = sorted({str(one["cpu"]) for one in environments if one.get("cpu")})
    items.append(("machine", ", ".join(machines) or "not recorded", ""))
    notes = [note for table in tables for note in table.shortfall()]
    return Section("At a glance", [Tiles(items), *([Notes(notes)] if notes else [])])


def ends(row: Row) -> str:
    """Return the interval of a run's accuracy in words, nothing where it has none."""
    low, high = (number(row, f"accuracy_{end}") for end in ("low", "high"))
    return "" if None in (low, high) else f"95 %: {words.short(low)} to {words.short(high)}"


def comparison_section(tables: Sequence[Results]) -> Section | None:
    """Return the comparison of all tables with the first."""
    if len(tables) < 2:
        return None
    title = f"Compared with {tables[0].name}"
    try:
        outcome = compare(tables)
    except ValueError as error:
        return Section(title, [Notes([f"These tables cannot be compared: {error}"])])
    return Section(title, [comparison_table(outcome), *differences(outcome)])


def comparison_table(outcome: Outcome) -> Table:
    """Return each configuration against the baseline."""
    several = len(outcome.tables) > 1
    heads, left = words.comparison_heads(outcome, several)
    rows = []
    for made in outcome.comparisons:
        cells = words.comparison_cells(made, several)
        values = (
            made.baseline,
            made.value,
            made.change,
            made.low,
            made.effect,
            made.n,
            made.p_holm,
        )
        numbers = [Cell(*pair) for pair in zip(cells[left:], values, strict=True)]
        rows.append([*map(text, cells[:left]), *numbers])
    caption = "Each configuration against the baseline; p adjusted for the number of rows"
    numeric = frozenset(range(left, len(heads)))
    return without_empty(
        cut(Table(caption, heads, rows, True, numeric, notes=words.remarks(outcome)))
    )


def differences(outcome: Outcome) -> list[Table]:
    """Return what is constant within each of two tables and differs between them."""
    made = []
    for name, found in outcome.differences.items():
        rows = [[text(key), text(a or "none"), text(b or "none")] for key, (a, b) in found.items()]
        if rows:
            heads = ["what", outcome.baseline, name]
            made.append(Table(f"What differs in all runs of {name}", heads, rows, True))
    return made


def all_rows(tables: Sequence[Results]) -> Results:
    """Return the rows of all tables as one, whose first column names the table."""
    rows = [{"table": table.name, **row} for table in tables for row in table.rows]
    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    return Results("", rows, columns, sweep=True)


def keys_apart(merged: Results) -> list[str]:
    """Return the columns that tell rows apart, the seed last."""
    keys = ("table", *matching_keys([merged]), "seed")
    return [name for name in keys if len({row.get(name, "") for row in merged.rows}) > 1]


def runs_section(tables: Sequence[Results]) -> Section:
    """Return a row for each run, without the configuration that is the same in all."""
    merged = all_rows(tables)
    rows = merged.rows
    there = [name for name in (*MEASURES, "error") if any(row.get(name) for row in rows)]
    names = list(dict.fromkeys(["run_id", "status", *keys_apart(merged), *there]))
    numbers = [name for name in names if numeric(rows, name)]
    cells = [[cell(row, name, name in numbers) for name in names] for row in rows]
    caption = f"{len(rows):,} runs; a configuration that is the same in all is left out"
    places = frozenset(map(names.index, numbers))
    return Section("Runs", [cut(Table(caption, names, cells, True, places))])


def numeric(rows: Sequence[Row], name: str) -> bool:
    """Whether a column is numbers: by its type, or a swept key all of whose values are."""
    if name in KINDS or not swept([name]):
        return KINDS.get(name) in ("integer", "number")
    try:
        return all(float(row[name]) == float(row[name]) for row in rows if row.get(name))
    except ValueError:
        return False


def cell(row: Row, name: str, is_number: bool) -> Cell:
    """Return a cell of the table of runs; what was configured stands as it was written."""
    if not is_number:
        return text(row.get(name, ""))
    if name not in MEASURES:
        return Cell(row.get(name, ""), number(row, name))
    value = number(row, name)
    return whole(value) if KINDS[name] == "integer" else measured(value)


def configuration_section(
    tables: Sequence[Results], runs: Sequence[tuple[Results, Row]]
) -> Section | None:
    """Return what the runs differ in, and the configurations of those that are shown."""
    tried, composed = varied(tables), configurations(runs)
    blocks = [table for table in (tried, composed) if table.rows]
    return Section("Configuration", blocks) if blocks else None


def varied(tables: Sequence[Results]) -> Table:
    """Return the values of each key that tells runs apart."""
    merged, rows = all_rows(tables), []
    for name in keys_apart(merged):
        counts = Counter(row.get(name, "") for row in merged.rows)
        named = [value or "none" for value in list(counts)[:VALUES]]
        more = f", and {len(counts) - VALUES:,} more" if len(counts) > VALUES else ""
        rows.append([text(name), whole(len(counts)), text(", ".join(named) + more)])
    heads = ("key", "values", "which")
    return Table("What differs between runs", heads, rows, numeric=frozenset([1]))


def configurations(runs: Sequence[tuple[Results, Row]]) -> Table:
    """Return the configurations of runs side by side."""
    found = [table.configuration(row) for table, row in runs]
    rows = []
    for name in dict.fromkeys(name for one in found for name in one):
        values = [one.get(name, "") for one in found]
        told = "differs" if len(set(values)) > 1 else "same"
        rows.append([text(name), *map(text, values), *([text(told)] if runs[1:] else [])])
    heads = ["key", *(f"{row['run_id']} of {table.name}" for table, row in runs)]
    heads += ["differs"] if runs[1:] else []
    caption = "The composed configuration, without what does not change a run's numbers"
    return Table(caption, heads, rows, True)


def environment_section(tables: Sequence[Results]) -> Section | None:
    """Return where the runs happened: a column for each environment there was."""
    counts: Counter[tuple[tuple[str, str], ...]] = Counter()
    for table in tables:
        for row in table.rows:
            environment = table.environment(row)
            if environment is not None:
                counts[tuple(flat(environment))] += 1
    if not counts:
        return None
    columns = [dict(pairs) for pairs, _ in counts.most_common(ENVIRONMENTS)]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[text(name), *(text(column.get(name, "")) for column in columns)] for name in names]
    sizes = [count for _, count in counts.most_common(ENVIRONMENTS)]
    heads = ["what", *(f"{count:,} runs" if count > 1 else "1 run" for count in sizes)]
    left = len(counts) - len(columns)
    notes = [f"{left:,} more environments are in the runs' run.json"] if left else []
    return Section("Environment", [Table("Where the runs happened", heads, rows, notes=notes)])


def flat(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is recorded of an environment by dotted names."""
    found = []
    for name, value in environment.items():
        if isinstance(value, dict):
            found += [(f"{name}.{key}", str(inner)) for key, inner in value.items()]
        elif isinstance(value, list):
            found.append((name, "; ".join(sorted(map(listed, value)))))
        else:
            found.append((name, "" if value is None else str(value)))
    return found


def listed(value: Any) -> str:
    """Return an entry of a list in words."""
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)

"""A comparison and a ranking, as a person or another program reads them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement

from runner.report import formats
from runner.report.terminal import grid, print_text
from runner.tables.comparison import VERDICTS, Comparison, Judged, Outcome
from runner.tables.ranking import Ranking, Summary

MOST = 50  # rows on the terminal
DISPENSABLE = ("effect", "std", "median", "p", "value", "n", "baseline")  # the first of them most
NUMBERS = (
    *("method", "baseline", "value", "change", "low", "high", "bootstrap_low", "bootstrap_high"),
    *("effect", "n_baseline", "n", "p", "p_holm", "needed", "verdict", "note"),
)
PLACES = ("runs", "n", "mean", "std", "median", "low", "high", "best", "worst")


def show_comparison(outcome: Outcome, form: str, console: Console) -> None:
    """Print a comparison in one of the formats."""
    found = outcome.comparisons
    if form in ("csv", "json"):
        names = ["table", *outcome.keys, "metric", *NUMBERS]
        rows = [comparison_row(made) for made in found]
        print(formats.csv(names, rows) if form == "csv" else as_json(outcome, rows), end="")
        return
    several = len(outcome.tables) > 1
    heads, left = comparison_heads(outcome, several)
    if form != "terminal":
        write = formats.markdown if form == "markdown" else formats.latex
        print(write(heads, [comparison_cells(made, several) for made in found], left), end="")
        return
    print_text(console, f"baseline {outcome.baseline}")
    for table in outcome.tables:
        print_text(console, f"against  {table}")
        for name, (before, after) in outcome.differences[table].items():
            print_text(console, f"         {name}: {before or 'none'} -> {after or 'none'}")
    shown = sorted(found, key=lambda made: VERDICTS.index(made.verdict))[:MOST]
    shown = found if len(found) <= MOST else shown
    print_fitting(console, heads, [comparison_cells(made, several) for made in shown], left)
    if len(found) > MOST:
        print_text(console, f"... and {len(found) - MOST:,} more: --format csv has all")
    for note in remarks(outcome):
        print_text(console, note)
    counts = Counter(made.verdict for made in found)
    verdicts = [f"{counts[verdict]:,} {verdict}" for verdict in VERDICTS if counts[verdict]]
    alone = len(counts) == 1 and len(found) == 1
    print_text(console, next(iter(counts)) if alone else ", ".join(verdicts))


def print_fitting(
    console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], left: int
) -> None:
    """Print a table, without what can best be missed where the terminal is too narrow."""
    unlimited = console.options.update(max_width=10_000)
    for count in range(len(DISPENSABLE) + 1):
        missing = [head for head in heads[left:] if head in DISPENSABLE[:count]]
        kept = [i for i, head in enumerate(heads) if i < left or head not in missing]
        table = grid([heads[i] for i in kept], ([row[i] for i in kept] for row in rows), left)
        table.padding = (0, 1, 0, 0)
        if Measurement.get(console, unlimited, table).maximum <= console.width:
            break
    console.print(table)
    if missing:
        print_text(console, f"not shown for want of room: {', '.join(missing)}")


def comparison_heads(outcome: Outcome, several: bool) -> tuple[list[str], int]:
    """Return the heads of the table for reading, and how many are text."""
    text = [*(["table"] if several else []), *outcome.keys, "metric", "verdict"]
    return [*text, "baseline", "value", "change", "95 % interval", "effect", "n", "p"], len(text)


def comparison_cells(made: Comparison, several: bool) -> list[str]:
    """Return a row of the table for reading."""
    interval = made.low, made.high
    if made.time or made.low is None:
        interval = made.bootstrap_low, made.bootstrap_high
    sign = "x" if made.time else "+"
    verdict = made.verdict + (f" ({made.needed:,})" if made.needed else "")
    size = f"{made.n:,}" if made.n == made.n_baseline else f"{made.n_baseline:,} / {made.n:,}"
    return [
        *([made.table] if several else []),
        *made.keys.values(),
        made.metric,
        verdict,
        short(made.baseline),
        short(made.value),
        changed(made.change, sign),
        " to ".join(changed(end, sign) for end in interval if end is not None),
        "" if made.effect is None else f"{made.effect:.2f}",
        size if made.n else "",
        "" if made.p_holm is None else probability(made.p_holm),
    ]


def short(value: float | None) -> str:
    """Return a measured value: fractions to four digits, others to as many that count."""
    if value is None:
        return ""
    if value != 0 and abs(value) < 0.01:
        return f"{value:.4g}"
    return (
        f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}" if value < 1e4 else f"{value:,.0f}"
    )


def changed(value: float | None, sign: str) -> str:
    """Return a difference with its sign, or a ratio."""
    if value is None:
        return ""
    if sign == "x":
        return f"x{value:.3f}"
    digits = f"{value:+.4f}"
    return "0.0000" if digits in ("+0.0000", "-0.0000") else digits


def probability(p: float) -> str:
    """Return a p value."""
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def remarks(outcome: Outcome) -> list[str]:
    """Return the notes of a comparison, each once with the number of rows it is about."""
    counts = Counter(f"{made.metric}: {made.note}" for made in outcome.comparisons if made.note)
    total = len(outcome.comparisons)
    notes = [note if total <= 2 else f"{note} ({number} rows)" for note, number in counts.items()]
    if any(made.needed for made in outcome.comparisons):
        notes.append("underpowered (n): n replicates would do for the difference seen")
    return [*outcome.notes, *notes]


def comparison_row(made: Comparison) -> dict[str, Any]:
    """Return a comparison as a flat row, numbers in full."""
    numbers = {name: getattr(made, name) for name in NUMBERS}
    return {"table": made.table, **made.keys, "metric": made.metric, **numbers}


def as_json(outcome: Outcome, rows: Sequence[dict[str, Any]]) -> str:
    """Return all of a comparison as JSON."""
    differences = {
        table: {name: {"baseline": a, "value": b} for name, (a, b) in found.items()}
        for table, found in outcome.differences.items()
    }
    gates = [
        {"gate": item.gate, "state": item.state, "p_holm": item.p}
        | {"table": item.comparison.table, **item.comparison.keys}
        for item in outcome.gates
    ]
    return formats.as_json(
        {
            "baseline": outcome.baseline,
            "tables": outcome.tables,
            "keys": outcome.keys,
            "differences": differences,
            "comparisons": list(rows),
            "gates": gates,
            "notes": outcome.notes,
        }
    )


def gate_line(item: Judged) -> str:
    """Return in words what became of a gate."""
    made = item.comparison
    place = " ".join(f"{key}={value}" for key, value in made.keys.items())
    where = f"{made.table} {place}".strip()
    values = f"{made.metric} {short(made.value)}, baseline {short(made.baseline)}"
    chance = "" if item.p is None else f", p {probability(item.p)}"
    return formats.one_line(f"gate {item.state}: {item.gate}: {where}: {values}{chance}")


def show_ranking(ranking: Ranking, form: str, console: Console) -> None:
    """Print a ranking in one of the formats."""
    if form in ("csv", "json"):
        names = [*ranking.keys, "metric", *PLACES]
        rows = [summary_row(one) for one in ranking.summaries]
        content = {
            "table": ranking.name,
            "keys": ranking.keys,
            "summaries": rows,
            "notes": ranking.notes,
        }
        print(formats.csv(names, rows) if form == "csv" else formats.as_json(content), end="")
        return
    text = [*ranking.keys, "metric"]
    heads = [*text, "rank", "mean", "std", "median", "95 % interval", "n"]
    cells = [summary_cells(one) for one in ranking.summaries]
    if form != "terminal":
        write = formats.markdown if form == "markdown" else formats.latex
        print(write(heads, cells, len(text)), end="")
        return
    print_fitting(console, heads, cells[:MOST], len(text))
    if len(cells) > MOST:
        print_text(console, f"... and {len(cells) - MOST:,} more: --format csv has all")
    for note in ranking.notes:
        print_text(console, note)
    if any(one.best < one.worst for one in ranking.summaries):
        print_text(console, "ranks that overlap are ties: the runs cannot separate them")


def summary_row(one: Summary) -> dict[str, Any]:
    """Return a summary as a flat row, numbers in full."""
    return {**one.keys, "metric": one.metric} | {name: getattr(one, name) for name in PLACES}


def summary_cells(one: Summary) -> list[str]:
    """Return a row of the table for reading."""
    place = "" if one.mean is None else str(one.best)
    if one.best < one.worst:
        place += f"-{one.worst}"
    interval = "" if one.low is None else f"{short(one.low)} to {short(one.high)}"
    size = f"{one.n:,}" if one.n == one.runs else f"{one.n:,} of {one.runs:,}"
    numbers = [short(one.mean), short(one.std), short(one.median)]
    return [*one.keys.values(), one.metric, place, *numbers, interval, size]

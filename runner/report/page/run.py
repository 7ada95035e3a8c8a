"""The sections about one run: what it learned, what it confused, its network, its times."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.report.comparison import short
from runner.report.page import charts
from runner.report.page.blocks import (
    Cell,
    Image,
    Notes,
    Pictures,
    Section,
    Table,
    measured,
    png,
    text,
    whole,
    without_empty,
)
from runner.report.page.network import network
from runner.report.page.samples import decisions, galleries
from runner.tables.columns import RESULTS
from runner.tables.results import Results, number
from runner.tables.strict import Row, read_bytes
from runner.tables.summarize import statistics

CLASSES = 30  # of a confusion matrix that can be read
LAYERS = 24  # of a network that can be drawn
PAIRS = 10
WRONG = 5  # times as dark: what is rare must be seen
WHOLE = ("epoch", "updates")  # of history.csv
EPOCHS = 400  # points of a curve
COUNT = re.compile(r"\d{1,15}", re.ASCII)
SIZE = re.compile(r"\b\d{1,9}\b", re.ASCII)  # of a layer, in 784-50-10
PNG = b"\x89PNG\r\n\x1a\n"  # what a picture starts with
FIGURE = 2**20  # bytes of a picture that the report takes over
# Pictures of a run's folder that the report does not draw itself.
FIGURES = ("functions", "path", "boundary", "fit", "activations", "first_layer")


def run_sections(table: Results, row: Row, why: str) -> list[Section]:
    """Return the sections of a run; ``why`` says how it was chosen."""
    title = f"Run {row['run_id']}"
    first = Section(title, [facts(table, row, why)])
    if row.get("error"):
        first.blocks.append(Notes([f"{row['status']}: {row['error']}"]))
    made = [
        Section("Learning curves", learning(table, row), 3),
        Section("Accuracy by class", accuracy(table, row), 3),
        Section("Confusion", confusion(table, row), 3),
        Section("Pictures", pictures(table, row), 3),
        Section("Network and arrays", picture(table, row), 3),
        Section("Times", times(table, row), 3),
        Section("Expectations", expectations(table, row), 3),
    ]
    return [first, *(section for section in made if section.blocks)]


def facts(table: Results, row: Row, why: str) -> Table:
    """Return everything results.csv says of a run."""
    about = {column.name: column.about for column in RESULTS}
    units = {column.name: column.unit for column in RESULTS}
    rows = [
        [
            text(name),
            Cell(f"{row[name]} {units.get(name, '')}".strip(), number_or_none(row, name)),
            text(about.get(name, "swept")),
        ]
        for name in table.columns
        if row.get(name) and name not in ("schema_version", "error")
    ]
    return Table(why, ("column", "value", "meaning"), rows)


def number_or_none(row: Mapping[str, str], name: str) -> float | None:
    """Return a cell as a number; None for text."""
    kinds = {column.name: column.type for column in RESULTS}
    return number(row, name) if kinds.get(name) in ("integer", "number") else None


def learning(table: Results, row: Row) -> list[Any]:
    """Return loss and accuracy by epoch."""
    history = table.table(row, "history")
    made: list[Any] = []
    for measure in ("loss", "accuracy"):
        splits = ("train", "test", "validation")
        rows = [
            point
            for split in splits
            for point in line(history, f"{split}_{measure}", split)
            if split != "validation" or point["value"] is not None
        ]
        if any(point["value"] is not None for point in rows):
            about = "After each epoch, of the samples of each split."
            made.append(charts.curves(f"{measure.capitalize()} by epoch", measure, rows, about))
    errors = line(history, "error", "error of the pass")
    if any(point["value"] is not None for point in errors):
        made.append(charts.curves("Error by pass", "error", errors, "Counted during each pass."))
    return [*made, epochs(history)] if made else []


def epochs(history: Sequence[Row]) -> Table:
    """Return the rows of history.csv, as many of them as the curves have points."""
    names = list(history[0])
    rows = [
        [
            whole(number(one, name)) if name in WHOLE else measured(number(one, name))
            for name in names
        ]
        for one in thinned(history)
    ]
    numeric = frozenset(range(len(names)))
    return without_empty(Table("What was measured by epoch", names, rows, True, numeric))


def line(history: Sequence[Row], column: str, series: str) -> list[dict[str, Any]]:
    """Return the points of a curve."""
    return [
        {"epoch": number(row, "epoch"), "value": number(row, column), "series": series}
        for row in thinned(history)
    ]


def thinned(history: Sequence[Row]) -> list[Row]:
    """Return the rows of a history, every so many of them where there are very many."""
    step = max(1, -(-len(history) // EPOCHS))
    last = history[-1:] if (len(history) - 1) % step else []
    return [*history[::step], *last]


def accuracy(table: Results, row: Row) -> list[Any]:
    """Return accuracy by split and class."""
    made: list[Any] = []
    found = [line for line in table.table(row, "accuracy") if number(line, "accuracy") is not None]
    for split in dict.fromkeys(line["split"] for line in found):
        lines = [line for line in found if line["split"] == split]
        points = [
            {
                "name": line["class"],
                "value": number(line, "accuracy"),
                "low": number(line, "accuracy_low"),
                "high": number(line, "accuracy_high"),
            }
            for line in lines
        ]
        made.append(charts.classes(f"Accuracy by class, split {split}", points))
        made.append(class_table(split, lines))
    return made


def class_table(split: str, lines: Iterable[Row]) -> Table:
    """Return the rows of accuracy.csv of a split."""
    names = ("n", "correct", "accuracy", "accuracy_low", "accuracy_high", "loss")
    rows = [
        [
            text(line["class"]),
            *(whole(number(line, name)) for name in names[:2]),
            *(measured(number(line, name)) for name in names[2:]),
        ]
        for line in lines
    ]
    heads = ("class", "n", "correct", "accuracy", "from", "to", "loss")
    caption = f"Split {split}: accuracy with its 95 % Wilson interval, and mean loss"
    return Table(caption, heads, rows, tools=True, numeric=frozenset(range(1, 7)))


def confusion(table: Results, row: Row) -> list[Any]:
    """Return the confusion matrix, and the pairs of classes that are confused most."""
    lines = table.table(row, "confusion")
    if not lines:
        return []
    labels = [line["true"] for line in lines]
    counts = confused(table, row, lines)
    totals = {true: sum(counts[true, read] for read in labels) for true in labels}
    made = [matrix(labels, counts, totals)] if len(labels) <= CLASSES else []
    pairs = [(-count, *pair) for pair, count in counts.items() if count and pair[0] != pair[1]]
    if not pairs:
        return [*made, Notes(["No sample was confused with another class."])]
    worst = [
        [text(true), text(read), whole(-count), measured(-count / totals[true])]
        for count, true, read in sorted(pairs)[:PAIRS]
    ]
    heads = ("true", "read as", "samples", "share of the class")
    return [*made, Table("Confused most", heads, worst, True, frozenset((2, 3)), narrow=True)]


def confused(table: Results, row: Row, lines: Sequence[Row]) -> dict[tuple[str, str], int]:
    """Return how many samples of a class were read as another, by both.

    Raises
    ------
    ValueError
        Naming the file, where a class stands there twice or a count is none.
    """
    path = table.file(row, "confusion.csv")
    labels = [line["true"] for line in lines]
    if len(set(labels)) < len(labels):
        raise ValueError(f"{path}: expected each class once, got one twice")
    found = {(one["true"], label): one.get(label, "") for one in lines for label in labels}
    for (true, label), count in found.items():
        if not COUNT.fullmatch(count):
            where = f"{path}: class {true} read as {label}"
            raise ValueError(f"{where}: expected a count, got {count[:40]!r}")
    return {pair: int(count) for pair, count in found.items()}


def matrix(
    labels: Sequence[str], counts: Mapping[tuple[str, str], int], totals: Mapping[str, int]
) -> Table:
    """Return the confusion matrix."""
    rows = [
        [text(true), *(shaded(counts[true, read], totals[true], true == read) for read in labels)]
        for true in labels
    ]
    caption = "True class by row, what was read by column; the shade is the share of the row, "
    caption += f"{WRONG} times as dark where it is wrong"
    numeric = frozenset(range(1, len(labels) + 1))
    return Table(caption, ("true", *labels), rows, numeric=numeric, matrix=True, narrow=True)


def shaded(count: int, total: int, right: bool) -> Cell:
    """Return a count of the matrix; its shade is its share of the class."""
    share = count / total if total else 0.0
    level = share if right else min(1.0, WRONG * share)
    return Cell(f"{count:,}" if count else "", count, min(9, int(10 * level)) if count else None)


def pictures(table: Results, row: Row) -> list[Any]:
    """Return the samples that were read worst, and pictures that the run has drawn."""
    made: list[Any] = []
    if table.file(row, "confusion.csv"):
        try:
            made += galleries(decisions(table, row))
        except (ValueError, LookupError, TypeError, OSError) as error:
            made.append(Notes([f"No images are shown: {error}"]))
    return [*made, *drawn(table, row)]


def drawn(table: Results, row: Row) -> list[Any]:
    """Return the pictures that a run has drawn, and which of them are not taken over."""
    taken, left = [], []
    for name in FIGURES:
        path = table.file(row, f"figures/{name}.png")
        content = read_bytes(path) if path else b""
        if content.startswith(PNG) and len(content) <= FIGURE:
            said = f"{name.replace('_', ' ')} of run {row['run_id']}, as the run drew it"
            taken.append(Image(png(content), said, said))
        elif path:
            left.append(f"{path} is not shown: it is no PNG file of at most {FIGURE:,} bytes.")
    return [*([Pictures(taken)] if taken else []), *([Notes(left)] if left else [])]


def picture(table: Results, row: Row) -> list[Any]:
    """Return the network with the shapes of all arrays met on the way forward."""
    lines = table.table(row, "shapes")
    sizes = [int(size) for size in SIZE.findall(row.get("network", ""))]
    made: list[Any] = []
    weights = {line["name"] for line in lines}
    if {"W1", f"W{len(sizes) - 1}"} <= weights and 2 <= len(sizes) <= LAYERS:
        made.append(network(sizes, functions(table, row, len(sizes) - 2), lines))
    if lines:
        rows = [
            [
                whole(number(line, "order")),
                text(line["name"]),
                text(line["shape"]),
                text(line["dtype"]),
                *(measured(number(line, name)) for name in ("mean", "std")),
            ]
            for line in lines
        ]
        heads = ("order", "name", "shape", "dtype", "mean", "std")
        caption = "Every array that the first batch met on its way forward"
        made.append(Table(caption, heads, rows, tools=True, numeric=frozenset((0, 4, 5))))
    return made


def functions(table: Results, row: Row, hidden: int) -> list[str]:
    """Return the name of the function after each hidden layer, and after the last."""
    configured = table.settings(row).get("network")
    names = configured.get("activations") if isinstance(configured, dict) else None
    if not (isinstance(names, list) and len(names) == hidden):
        names = [row.get("activation", "")] * hidden
    return [*map(str, names), row.get("output", "")]


def times(table: Results, row: Row) -> list[Any]:
    """Return the times of each phase."""
    lines = [line for line in table.timing(row) if number(line, "seconds") is not None]
    made: list[Any] = []
    passes = [line for line in lines if line["phase"] == "inference"]
    if passes:
        points = [{"x": r["batch_size"], "seconds": number(r, "seconds")} for r in passes]
        means = [
            {"x": size, "mean": found["mean"], "low": found["low"], "high": found["high"]}
            for size in dict.fromkeys(line["batch_size"] for line in passes)
            for found in [spread(line for line in passes if line["batch_size"] == size)]
        ]
        title = "Seconds of each pass over the samples"
        made.append(charts.repeats(title, "batch size", [*points, *means]))
    trained = [line for line in lines if line["phase"] == "epoch"][:EPOCHS]
    if trained:
        points = [{"x": r["repeat"], "seconds": number(r, "seconds")} for r in trained]
        made.append(charts.repeats("Seconds of each epoch", "epoch", points))
    if lines:
        made.append(phases(lines))
    return made


def phases(lines: Sequence[Row]) -> Table:
    """Return the times of each phase and batch size over its repeats."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for one in lines:
        groups.setdefault((one["phase"], one["batch_size"]), []).append(one)
    rows = []
    for (phase, batch), found in groups.items():
        over = spread(found)
        ends = " to ".join(short(over[end]) for end in ("low", "high") if over[end] is not None)
        speed = statistics([v for r in found if (v := number(r, "items_per_second")) is not None])
        size = number({"batch": batch}, "batch")
        cells = [whole(size), whole(len(found)), measured(over["median"]), measured(over["mean"])]
        rows.append([text(phase), *cells, Cell(ends, over["low"]), measured(speed["median"])])
    heads = ("phase", "batch size", "repeats", "median s", "mean s", "95 % interval", "items/s")
    caption = "Seconds by phase, batch size and repeat; the interval is that of the mean"
    return without_empty(Table(caption, heads, rows, True, frozenset(range(1, 7))))


def spread(lines: Iterable[Row]) -> dict[str, float | None]:
    """Return the statistics of the seconds of timing rows."""
    return statistics([float(line["seconds"]) for line in lines])


def expectations(table: Results, row: Row) -> list[Any]:
    """Return what was expected of the run beside what it gave."""
    lines = table.table(row, "expect")
    names = ("name", "held", "expected", "got", "tolerance")
    words = {"True": "held", "False": "NOT HELD"}
    rows = [[text(words.get(line[name], line[name])) for name in names] for line in lines]
    heads = ("expectation", "", "expected", "got", "tolerance")
    return [Table("What the experiment expected", heads, rows, tools=True)] if lines else []

"""Short tables on the terminal."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.report.formats import CONTROLS
from runner.tables.columns import RESULTS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from runner.tables.summarize import Counts

# Columns of results.csv that say what was configured, for sweeps over no other key.
SHOWN = 50  # rows of a plan
CONFIGURED = (
    *("dataset", "network", "activation", "output", "loss", "optimizer"),
    *("batch_size", "seed", "epochs", "threads"),
)


def terminal() -> Console:
    """Return a console on standard output, wide enough for any table where it is a file."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def show_run(
    row: Mapping[str, Any],
    tables: Mapping[str, "pd.DataFrame"],
    folder: Path,
    console: Console,
    arrays: "Mapping[str, NDArray[Any]] | None" = None,
) -> None:
    """Print what a run was, its accuracy by class, its times, and where its files are."""
    parts = [row[key] for key in ("task", "network", "activation", "output") if row.get(key)]
    print_text(console, f"{' '.join(parts)} on {row['dataset']}, seed {row['seed']}")
    if row.get("error"):
        print_text(console, f"{row['status']}: {row['error']}")
    if "accuracy" in tables:
        console.print(accuracy(tables["accuracy"]))
    if "history" in tables:
        console.print(history(tables["history"]))
    if row.get("converged") is not None:
        print_text(console, convergence(row))
    if arrays and "image" in arrays:
        print_text(console, picture(arrays["image"]))
    for name, array in small_arrays(arrays or {}, "accuracy" in tables).items():
        form, comma = ("[{}]", ", ") if array.ndim == 1 else ("{}", " ")
        for line in array.reshape(-1, *array.shape[-1:] or [1]).tolist():
            numbers = comma.join(f"{value:.10g}" for value in line)
            print_text(console, f"{name} = {form.format(numbers)}")
    console.print(timing(tables["timing"]))
    if "expect" in tables:
        console.print(expectations(tables["expect"]))
    print_text(console, shown(folder))


def show_sweep(
    table: "pd.DataFrame",
    counts: "Counts",
    folder: Path,
    console: Console,
    unexpected: Sequence[str] = (),
) -> None:
    """Print a sweep's rows, what went otherwise than expected, and what can be done about it.

    Of many rows only the best are shown.
    """
    keys = varied(table)
    heads = [*keys, "status", "n", "accuracy", "test_loss", "seconds"]
    rows = [
        (
            *(row[name] for name in keys),
            row["status"],
            whole(row["n"]),
            *(digits(row[name]) for name in ("accuracy", "test_loss", "duration_seconds")),
        )
        for row in table.to_dict("records")
    ]
    console.print(grid(heads, rows, left=len(heads) - 4))
    for line in unexpected:
        print_text(console, line)
    completed = int((table["status"] == "completed").sum())
    ran = counts.done - counts.reused
    print_text(
        console,
        f"{completed} of {counts.total} jobs completed: {ran} run, "
        f"{counts.reused} reused, {counts.failed} failed",
    )
    if counts.done < counts.total or (table["status"].isin(["failed", "interrupted"])).any():
        print_text(console, f"run what is missing: runner resume {shown(folder)}")
    print_text(console, shown(folder / "results.csv"))


def varied(table: "pd.DataFrame") -> list[str]:
    """Return the columns in which the jobs of a sweep differ by what was configured."""
    known = {column.name for column in RESULTS}
    extra = [name for name in table.columns if name not in known]
    others = [name for name in CONFIGURED if differs(table[name])]
    return extra + [name for name in others if f"{name}.choice" not in extra]


def show_plan(
    table: "pd.DataFrame", counts: "Counts", changed: Sequence[str], console: Console
) -> None:
    """Print what a sweep would run, and how long that may take."""
    hidden = ("run_id", "config_hash", "data_hash", "weights_hash", "code_version")
    heads = [name for name in table.columns if name not in hidden]
    head = table.head(SHOWN)
    console.print(grid(heads, [[row[name] for name in heads] for row in head.to_dict("records")]))
    if len(table) > SHOWN:
        print_text(console, f"... and {len(table) - SHOWN:,} more")
    missing = counts.total - counts.done
    print_text(console, f"{counts.total:,} jobs, {counts.done:,} done, {missing:,} to run")
    if counts.seconds is not None:
        print_text(console, f"about {counts.seconds * missing:,.0f} s, one after the other")
    if changed:
        print_text(console, f"changed (sweep.allow_changes=true goes on): {'; '.join(changed)}")


@contextmanager
def job_progress(console: Console) -> Iterator[Callable[["Counts", Mapping[str, str]], None]]:
    """Yield a function that is told of each job that ends: a bar, or a line where it is a file."""

    def line(counts: "Counts", row: Mapping[str, str]) -> None:
        named = [f"{key}={row[key]}" for key in row if key not in ("status", "error") and row[key]]
        said = " ".join(filter(None, [row["status"], *named, row["error"]]))
        print_text(console, f"{counts.done}/{counts.total} {said}")

    if not console.is_terminal:
        yield line
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task, started = bar.add_task("", total=None), time.monotonic()

        def move(counts: "Counts", row: Mapping[str, str]) -> None:
            best = "" if counts.best is None else f", best {counts.best:.4f}"
            rate = (counts.done - counts.reused) / max(time.monotonic() - started, 1e-9)
            what = f"{rate:.1f} jobs/s, {counts.failed} failed{best}"
            bar.update(task, completed=counts.done, total=counts.total, description=what)

        yield move


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """Yield a function that shows (done, total, of what): a bar on a terminal, else nothing."""
    if not console.is_terminal:
        yield lambda done, total, what: None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        shown = bar.add_task("", total=None)
        yield lambda done, total, what: bar.update(
            shown, completed=done, total=total, description=what
        )


def picture(image: "NDArray[Any]") -> str:
    """Return an image (height, width) as characters, two wide each, dark where it is large."""
    shades = " .:-=+*#%@"
    largest = float(image.max()) or 1.0
    levels = (image.astype(float) / largest * (len(shades) - 1)).round().astype(int)
    return "\n".join("".join(2 * shades[level] for level in row).rstrip() for row in levels)


def convergence(row: Mapping[str, Any]) -> str:
    """Say in words how a perceptron's learning ended."""
    if row["converged"]:
        return f"converged in {row['epochs']} passes"
    reason = "the data is not linearly separable, or needs more passes"
    return f"not converged in {row['epochs']} passes: {reason}"


def small_arrays(arrays: "Mapping[str, NDArray[Any]]", measured: bool) -> "dict[str, NDArray[Any]]":
    """Return the arrays that fit on a line or two: learned weights, and outputs without labels."""
    named = {name: array for name, array in arrays.items() if array.size <= 20}
    return {name: array for name, array in named.items() if name != "y" or not measured}


def expectations(table: "pd.DataFrame") -> Table:
    """Return what was expected of a run beside what it gave."""
    rows = [
        (
            row["name"],
            "held" if row["held"] else "NOT HELD",
            row["expected"],
            row["got"],
            row["tolerance"],
        )
        for row in table.to_dict("records")
    ]
    return grid(("expectation", "", "expected", "got", "tolerance"), rows, left=5)


def accuracy(table: "pd.DataFrame") -> Table:
    """Return accuracy by split and class."""
    rows = [
        (
            row["split"],
            row["class"],
            whole(row["n"]),
            whole(row["correct"]),
            digits(row["accuracy"]),
            " to ".join(filter(None, map(digits, (row["accuracy_low"], row["accuracy_high"])))),
            digits(row["loss"]),
        )
        for row in table.to_dict("records")
    ]
    heads = ("split", "class", "n", "correct", "accuracy", "95 % interval", "loss")
    return grid(heads, rows, left=2)


def history(table: "pd.DataFrame") -> Table:
    """Return the last epochs of a training."""
    given = table.columns[table.notna().any()]
    heads = [name for name in given if name not in ("updates", "lr")]
    rows = [
        [whole(row["epoch"]), *(digits(row[name]) for name in heads[1:])]
        for row in table.tail(5).to_dict("records")
    ]
    return grid(heads, rows)


def timing(table: "pd.DataFrame") -> Table:
    """Return the median of the repeats of each phase and batch size."""
    rows = []
    for (phase, batch), group in table.groupby(["phase", "batch_size"], dropna=False, sort=False):
        seconds = group["seconds"].astype(float).median()
        items = group["items"].iloc[0]
        speed = f"{items / seconds:,.0f}" if seconds > 0 else ""
        size = whole(batch)
        rows.append((phase, size, whole(len(group)), f"{seconds:.6f}", speed))
    return grid(("phase", "batch size", "repeats", "median seconds", "items/s"), rows, left=1)


def grid(heads: Sequence[str], rows: Iterable[Sequence[object]], left: int = 0) -> Table:
    """Return a table whose first ``left`` columns are text and the others numbers."""
    table = Table(header_style="bold", box=SIMPLE_HEAD)
    for index, head in enumerate(heads):
        table.add_column(as_it_is(head), justify="left" if index < left else "right")
    for row in rows:
        table.add_row(*(as_it_is(cell) for cell in row))
    return table


def print_text(console: Console, text: str) -> None:
    """Print a line as it is, without wrapping."""
    console.print(as_it_is(text), soft_wrap=True)


def as_it_is(content: object) -> Text:
    """Return a text in which there is no markup, and nothing that a terminal would obey."""
    return Text(str(content).translate(CONTROLS))


def shown(path: Path) -> str:
    """Return a path, relative to the current folder where it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def differs(values: "pd.Series[Any]") -> bool:
    """Say whether a column has more than one value."""
    return values.nunique() > 1


def missing(value: Any) -> bool:
    """Say whether a cell is empty."""
    import pandas as pd

    return bool(pd.isna(value))


def digits(value: Any) -> str:
    """Return a number with four digits after the point, nothing for a missing one."""
    return "" if missing(value) else f"{float(value):.4f}"


def whole(value: Any) -> str:
    """Return an integer with its thousands set apart, nothing for a missing one."""
    return "" if missing(value) else f"{int(value):,}"

"""What a run gave: its row, its tables, and whether that was expected."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner import expect, weights
from runner.expect import Verdict
from runner.tables.columns import SCHEMA_VERSION, TABLES, Rows, table
from runner.tables.intervals import wilson
from runner.tasks.parts import activation_names
from runner.tasks.records import Records, shape_rows, timing_row
from runner.tasks.setup import Setup

if TYPE_CHECKING:
    import pandas as pd

SHORT = ("x", "y", "difference")  # what a terminal shows of a run's arrays, where it is short


@dataclass
class RunResult:
    """How a run ended, and what it wrote.

    Attributes
    ----------
    row : the one row of results.csv.
    rows, tables : results, accuracy, timing, shapes and, where there are any, history and expect.
    verdicts : whether what was expected of the run holds.
    unchecked : words of the command line that change what the experiment sets, so that its
        expectations were not looked at.
    notes : what else is worth knowing, such as how the weights of another program were read.
    """

    folder: Path
    row: dict[str, Any]
    rows: dict[str, Rows] = field(repr=False, default_factory=dict)
    records: Records = field(repr=False, default_factory=Records)
    verdicts: list[Verdict] = field(repr=False, default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @functools.cached_property
    def tables(self) -> dict[str, "pd.DataFrame"]:
        """The tables by name."""
        return {name: rows.frame() for name, rows in self.rows.items()}

    @property
    def small(self) -> dict[str, NDArray[Any]]:
        """Outputs, and a single neuron's weights: what a terminal shows where it is short."""
        kept: dict[str, NDArray[Any]] = {}
        weights = self.records.weights or {}
        if set(weights) == {"W1", "b1"} and weights["b1"].size == 1:
            kept["weights b, w"] = np.append(weights["b1"], weights["W1"])
        arrays = self.records.arrays
        if self.records.image is not None:
            kept["image"] = self.records.image
        return kept | {name: arrays[name] for name in SHORT if name in arrays}

    def _repr_html_(self) -> str:
        """Show the run in a notebook: its tables and pictures."""
        from runner.report.notebook import run_html

        return run_html(self.row, self.tables, self.folder, self.small, self.notes)

    @property
    def as_expected(self) -> bool:
        """Whether everything expected holds; without expectations, whether it completed."""
        if not self.verdicts:
            return self.status == "completed"
        told = any(verdict.name == "status" for verdict in self.verdicts)
        return all(verdict.held for verdict in self.verdicts) and (
            told or self.status == "completed"
        )

    @property
    def status(self) -> str:
        """completed, failed, diverged or interrupted."""
        return str(self.row["status"])

    @property
    def accuracy(self) -> float | None:
        """Fraction of the samples classified correctly; None where there are no classes."""
        accuracy: float | None = self.row.get("accuracy")
        return accuracy


def make_result(
    folder: Path,
    setup: Setup,
    records: Records,
    *,
    named: Mapping[str, Any],
    ended: Mapping[str, Any],
) -> RunResult:
    """Return what a run gave.

    Parameters
    ----------
    named : columns of results.csv that name the run.
    ended : those that say when and how it ended.
    """
    row = {
        **dict.fromkeys(column.name for column in TABLES["results"]),
        **named,
        **described(setup),
        **records.result,
        **measured(records),
        **ended,
    }
    config, verdicts = setup.config, []
    if config.expect:
        verdicts = expect.judge(config.expect, recorded(row, records), config.dtype)
    rows = make_tables(setup, row, records, verdicts)
    return RunResult(folder, row, rows, records, verdicts, notes=remarks(setup))


def check_records(records: Records) -> None:
    """Refuse records that no table or file can hold.

    Raises
    ------
    KeyError
        For a column that a table does not have, or one without which it says nothing.
    TypeError
        For arrays of objects.
    runner.weights.WeightsError
        For weights of no network.
    """
    table("results", [records.result])
    table("accuracy", map(with_interval, records.accuracy))
    table("timing", records.timing)
    table("history", records.history)
    for name, array in records.arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"{name}: expected an array of numbers or text, got one of objects")
    if records.weights:
        weights.from_arrays(records.weights, "trained weights")


def remarks(setup: Setup) -> list[str]:
    """Return what else is worth knowing of how given weights were read and are used."""
    given, activation = setup.weights, setup.config.activation
    if given is None:
        return []
    notes = [f"weights: {given.note}"] if given.note else []
    hidden = zip(activation_names(setup.config), given.pieces, strict=True)
    alone = any(name == "maxout" and pieces == 1 for name, pieces in hidden)
    if alone and activation.params.get("pieces") != 1:
        notes.append("activation: maxout of one piece is the identity (the weights have no more)")
    return notes


def described(setup: Setup) -> dict[str, Any]:
    """Return the columns of results.csv that are known before the task starts."""
    config = setup.config
    trains = config.task.name in ("training", "descent")
    return {
        "schema_version": SCHEMA_VERSION,
        "task": config.task.name,
        "dataset": config.dataset.name,
        "network": "-".join(str(size) for size in setup.network.sizes),
        "activation": "-".join(dict.fromkeys(activation_names(config))),
        "output": config.output.name,
        "loss": config.loss.name,
        "optimizer": config.optimizer.name if trains else None,
        "batch_size": str(config.batch_size).replace(" ", ""),
        "seed": config.seed,
        "parameters": setup.network.parameters.size,
    }


def measured(records: Records) -> dict[str, Any]:
    """Return the columns of results.csv that sum up accuracy.csv."""
    whole = [row for row in records.accuracy if row["class"] == "all"]
    if not whole:
        return {}
    row = with_interval(whole[-1])
    kept = ("n", "correct", "accuracy", "accuracy_low", "accuracy_high")
    return {key: row[key] for key in kept} | {"test_loss": row["loss"]}


def with_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an accuracy row with its fraction and Wilson interval, empty without samples."""
    n, correct = row["n"], row["correct"]
    accuracy = low = high = None
    if n and correct is not None:
        accuracy, (low, high) = correct / n, wilson(correct, n)
    return {**row, "accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}


def recorded(row: Mapping[str, Any], records: Records) -> dict[str, Any]:
    """Return all that a run records by the names that an expectation can use."""
    traced = shape_rows(records.trace)
    shapes = {f"shapes.{item['name']}": item["shape"] for item in traced}
    columns = {key for item in records.history for key in item}
    history = {f"history.{key}": [item.get(key) for item in records.history] for key in columns}
    trace = {f"trace.{name}": array for name, array in records.trace.items()}
    weights = {f"weights.{name}": array for name, array in (records.weights or {}).items()}
    moments = {
        f"{moment}.{item['name']}": item[moment] for item in traced for moment in ("mean", "std")
    }
    return {**shapes, **moments, **history, **trace, **weights, **records.arrays, **row}


def make_tables(
    setup: Setup, row: Mapping[str, Any], records: Records, verdicts: Sequence[Verdict]
) -> dict[str, Rows]:
    """Return the rows of a run's tables by name."""
    before = [
        timing_row("load", len(setup.dataset.x), setup.load_seconds, None, 1),
        timing_row("build", setup.network.parameters.size, setup.build_seconds, None, 1),
    ]
    rows: dict[str, list[Any]] = {
        "results": [row],
        "accuracy": [with_interval(item) for item in records.accuracy],
        "timing": before + records.timing,
        "shapes": shape_rows(records.trace),
        "history": records.history,
        "expect": [asdict(verdict) for verdict in verdicts],
    }
    tables = {name: table(name, rows[name]) for name in TABLES if rows[name]}
    if records.confusion is not None:
        tables["confusion"] = confusion_rows(records.confusion)
    if setup.config.task.name == "functions" and records.arrays:
        tables["functions"] = function_rows(records.arrays)
    return tables


def function_rows(arrays: Mapping[str, NDArray[Any]]) -> Rows:
    """Return x and what each function makes of it, a column each."""
    names, columns = list(arrays), list(arrays.values())
    return Rows(names, [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])


def confusion_rows(counts: NDArray[np.int64]) -> Rows:
    """Return confusion counts: a row per true class, a column per predicted one."""
    rows = [{"true": label} | dict(enumerate(row)) for label, row in enumerate(counts.tolist())]
    return Rows(["true", *range(len(counts))], rows)

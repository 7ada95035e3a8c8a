"""A table of results as text, and the folder that it was read from."""

import difflib
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.tables import store, strict
from runner.tables.columns import RESULTS, TABLES
from runner.tables.strict import STATUSES, Array, Row

NEEDED = ("schema_version", "run_id", "status", "seed")
READ = {  # columns of a run's tables that are read by name
    "accuracy": ("split", "class"),
    "confusion": ("true",),
    "expect": ("name", "held", "expected", "got", "tolerance"),
    "history": ("epoch",),
    "shapes": ("name", "shape", "dtype"),
    "timing": ("phase", "batch_size", "repeat", "seconds", "items_per_second"),
}
CONFIGURATION = ".hydra/config.yaml"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of one
PLANNED = ("run_id", "config_hash", "data_hash", "weights_hash", "code_version")


@dataclass
class Results:
    """A table of results: its rows as text, and the folder it belongs to, where it has one.

    Attributes
    ----------
    name : the path as it was given.
    columns : in the order of the file; a sweep's swept keys are among them.
    folder : of the run or of the sweep; None for a file alone.
    sweep : whether the folder is a sweep's, with each run in a folder of its own.
    missing : planned jobs of a sweep that have no row.
    repeated : rows of the file that are copies of others, and left out.
    """

    name: str
    rows: list[Row]
    columns: list[str]
    folder: Path | None = None
    sweep: bool = False
    missing: int = 0
    repeated: int = 0

    def shortfall(self) -> list[str]:
        """Return notes of what is not there, or did not complete."""
        notes = [f"{self.name}: planned jobs without a row: {self.missing}"] if self.missing else []
        if self.repeated:
            notes.append(f"{self.name}: copies of rows, left out: {self.repeated}")
        counts = Counter(row["status"] for row in self.rows)
        ended = [f"{counts[status]} {status}" for status in STATUSES[1:] if counts[status]]
        return [*notes, f"{self.name}: {', '.join(ended)}"] if ended else notes

    def environment(self, row: Row) -> dict[str, Any] | None:
        """Return where a row's run happened, as far as it is recorded."""
        path = self.file(row, store.RECORD)
        record = strict.read_json(path) if path else None
        found = record.get("environment") if isinstance(record, dict) else None
        return found if isinstance(found, dict) else None

    def timing(self, row: Row) -> list[Row]:
        """Return the rows of a run's timing.csv, none where there is no such file."""
        return self.table(row, "timing")

    def table(self, row: Row, name: str) -> list[Row]:
        """Return the rows of one of a run's tables, none where there is no such file."""
        path = self.file(row, f"{name}.csv")
        known = name if name in TABLES else None
        return strict.read_csv(path, known, READ.get(name, ())) if path else []

    def predictions(self, row: Row) -> dict[str, Array] | None:
        """Return the labels and the decisions of a run, None where there are none."""
        path = self.file(row, "predictions.npz")
        return strict.read_decisions(path) if path else None

    def outputs(self, row: Row) -> dict[str, Array] | None:
        """Return labels ``t``, outputs ``y`` and decisions ``predicted``, where a run has them."""
        path = self.file(row, "predictions.npz")
        return strict.read_outputs(path) if path else None

    def settings(self, row: Row) -> dict[str, Any]:
        """Return a run's configuration as a tree, empty where it is not recorded."""
        path = self.file(row, CONFIGURATION)
        tree = strict.read_yaml(path) if path else {}
        return tree if isinstance(tree, dict) else {}

    def configuration(self, row: Row) -> dict[str, str]:
        """Return a run's configuration by dotted names, empty where it is not recorded."""
        path = self.file(row, CONFIGURATION)
        return strict.read_configuration(path) if path else {}

    def file(self, row: Row, name: str) -> Path | None:
        """Return a file of a row's run, None where it is not there.

        Raises
        ------
        ValueError
            Where it lies elsewhere: what is read is shown, and may be passed on.
        """
        if self.folder is None:
            return None
        job = store.job_folder(row["run_id"]) if self.sweep else ""
        path = Path(self.folder, job, name)
        if not path.exists():
            return None
        if not os.path.realpath(path).startswith(self.root):
            raise ValueError(f"{path}: expected a file below {self.folder}, got one elsewhere")
        return path

    @cached_property
    def root(self) -> str:
        """The folder without links, and what divides it from what is in it."""
        return os.path.realpath(self.folder or ".").rstrip(os.sep) + os.sep


def read_results(given: str) -> Results:
    """Return the table of a results file, or of the folder of a run or of a sweep.

    Raises
    ------
    ValueError
        Naming file and line, where it is not one or is damaged.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", given):
        raise ValueError(f"{given}: expected a local file or folder, got a URL")
    if given.startswith(FORMULA):  # it is shown in tables, which a spreadsheet may open
        hint = f"did you mean ./{given}?"
        raise ValueError(f"{given}: expected a name that is no formula, got {given!r}; {hint}")
    path = Path(given)
    if not path.exists():
        expected = "a CSV file, or the folder of a run or of a sweep"
        raise ValueError(f"{given}: expected {expected}, got none{near(path)}")
    folder = path if path.is_dir() else None
    file, sweep = path / "results.csv" if folder else path, store.is_sweep(path)
    if not file.exists():
        expected = "a sweep with results" if sweep else "the folder of a run or of a sweep"
        raise ValueError(f"{given}: expected {expected}, got no results.csv")
    found = strict.read_csv(file, "results", NEEDED)
    rows = list({tuple(row.values()): row for row in found}.values())
    results = Results(given, rows, list(rows[0]), folder, sweep, repeated=len(found) - len(rows))
    if sweep:
        take_plan(results, path / store.PLAN)
    return results


def near(path: Path) -> str:
    """Return a hint at what has nearly the name of a path that is not there."""
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    names = difflib.get_close_matches(path.name, beside, n=1)
    return f"; did you mean {path.parent / names[0]}?" if names else ""


def take_plan(results: Results, path: Path) -> None:
    """Put the planned values of swept keys in the place of what the runs made of them.

    An early stop makes fewer epochs than were planned; the plan tells configurations apart.
    """
    plan = {row["run_id"]: row for row in strict.read_csv(path, needed=["run_id"])}
    swept = [name for name in next(iter(plan.values())) if name not in (*PLANNED, "seed")]
    for row in results.rows:
        if row["run_id"] in plan:
            row.update({name: plan[row["run_id"]][name] for name in swept})
    results.columns += [name for name in swept if name not in results.columns]
    results.missing = len(plan.keys() - {row["run_id"] for row in results.rows})


def number(row: Mapping[str, str], name: str) -> float | None:
    """Return a cell as a number; None where it is empty, absent or not finite."""
    text = row.get(name, "")
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def swept(columns: Sequence[str]) -> list[str]:
    """Return the columns that are none of results.csv's: swept keys."""
    known = {column.name for column in RESULTS}
    return [name for name in columns if name not in known]

"""Result tables read back, strictly: a damaged file is refused by name and line.

Only plain local files of bounded size are read, and text stays text (``NA``, ``007``).
"""

import csv
import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.tables import store
from runner.tables.columns import RESULTS, SCHEMA_VERSION, TABLES

LIMIT = 2**28  # bytes of one file; a row of results is about 600
NEEDED = ("schema_version", "run_id", "status", "seed")
STATUSES = ("completed", "failed", "diverged", "interrupted")
MOST = 10_000  # values of a configuration
# Parts of a configuration that do not change a run's numbers, or are compared as columns.
PASSING = ("hydra", "sweep", "output_dir", "data_dir", "figures", "expect", "seed")
PLANNED = ("run_id", "config_hash", "data_hash", "weights_hash", "code_version")
FORMS = {
    "integer": ("a whole number", re.compile(r"-?\d+(\.0+)?", re.ASCII)),
    "number": (
        "a number",
        re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf|nan", re.ASCII),
    ),
    "boolean": ("True or False", re.compile("True|False")),
}
Row = dict[str, str]
Array = NDArray[Any]


@dataclass
class Results:
    """A table of results: its rows as text, and the folder it belongs to, where it has one.

    Attributes
    ----------
    name : the path as it was given.
    columns : in the order of the file; a sweep's swept keys are among them.
    folder : of the run or of the sweep; None for a file alone.
    missing : planned jobs of a sweep that have no row.
    """

    name: str
    rows: list[Row]
    columns: list[str]
    folder: Path | None = None
    missing: int = 0
    kept: dict[Path, Any] = field(default_factory=dict, repr=False)

    def run_folder(self, row: Row) -> Path | None:
        """Return the folder of a row's run, None where only the row is there."""
        if self.folder is None:
            return None
        sweep = store.is_sweep(self.folder)
        return self.folder / store.job_folder(row["run_id"]) if sweep else self.folder

    def environment(self, row: Row) -> dict[str, Any] | None:
        """Return where a row's run happened, as far as it is recorded."""
        record = self._read(row, store.RECORD, read_json)
        return record.get("environment") if isinstance(record, dict) else None

    def timing(self, row: Row) -> list[Row]:
        """Return the rows of a run's timing.csv, none where there is no such file."""
        return self._read(row, "timing.csv", functools.partial(read_csv, table="timing")) or []

    def predictions(self, row: Row) -> dict[str, Array] | None:
        """Return the labels and the decisions of a run, None where there are none."""
        found: dict[str, Array] | None = self._read(row, "predictions.npz", read_decisions)
        return found

    def configuration(self, row: Row) -> dict[str, str]:
        """Return a run's configuration by dotted names, empty where it is not recorded."""
        return self._read(row, ".hydra/config.yaml", read_configuration) or {}

    def _read(self, row: Row, name: str, reader: Callable[[Path], Any]) -> Any:
        folder = self.run_folder(row)
        path = folder / name if folder else None
        if path is None or not path.exists():
            return None
        if name == "predictions.npz":  # large: not kept
            return reader(path)
        if path not in self.kept:
            self.kept[path] = reader(path)
        return self.kept[path]


def read_results(given: str) -> Results:
    """Return the table of a results file, or of the folder of a run or of a sweep.

    Raises
    ------
    ValueError
        Naming file and line, where it is not one or is damaged.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", given):
        raise ValueError(f"{given}: expected a local file or folder, got a URL")
    path = Path(given)
    folder = path if path.is_dir() else None
    file = path / "results.csv" if folder else path
    if folder and not file.exists():
        raise ValueError(f"{given}: expected the folder of a run or of a sweep, got no results.csv")
    rows = read_csv(file, "results", NEEDED)
    columns = list(rows[0])
    results = Results(given, rows, columns, folder)
    if folder and store.is_sweep(folder):
        take_plan(results, folder / store.PLAN)
    return results


def take_plan(results: Results, path: Path) -> None:
    """Put the planned values of swept keys in the place of what the runs made of them.

    An early stop makes fewer epochs than were planned; the plan tells configurations apart.
    """
    plan = {row["run_id"]: row for row in read_csv(path)}
    swept = [name for name in next(iter(plan.values())) if name not in (*PLANNED, "seed")]
    for row in results.rows:
        if row["run_id"] in plan:
            row.update({name: plan[row["run_id"]][name] for name in swept})
    results.columns += [name for name in swept if name not in results.columns]
    results.missing = len(plan.keys() - {row["run_id"] for row in results.rows})


def read_csv(path: Path, table: str | None = None, needed: Sequence[str] = ()) -> list[Row]:
    """Return the rows of a CSV file as text, at least one.

    Parameters
    ----------
    table : whose columns' types the cells must have; None for text alone.
    needed : columns that must be there.

    Raises
    ------
    ValueError
        Naming file and line.
    """
    lines = numbered(path, read_text(path))
    _, names = next(lines, (1, []))
    check_header(path, names, needed)
    forms = forms_of(table, names)
    rows = []
    for line, cells in lines:
        check_cells(f"{path}: line {line}", cells, names, forms)
        rows.append(dict(zip(names, cells, strict=True)))
    if not rows:
        raise ValueError(f"{path}: line 2: expected a row below the header, got none")
    return rows


def read_bytes(path: Path) -> bytes:
    """Return the content of a plain file of bounded size."""
    if not path.is_file():
        got = "a folder" if path.is_dir() else "something else" if path.exists() else "none"
        raise ValueError(f"{path}: expected a file, got {got}")
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise ValueError(f"{path}: expected a readable file, got {error.strerror}") from error
    if len(content) > LIMIT:
        raise ValueError(f"{path}: expected at most {LIMIT:,} bytes, got more")
    return content


def read_text(path: Path) -> str:
    """Return the text of a file whose last line is whole."""
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line}: expected UTF-8 text, got other bytes") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}: line {line}: expected text, got a zero byte")
    if not text.endswith("\n"):
        line = text.count("\n") + 1
        raise ValueError(f"{path}: line {line}: expected a whole row, got one without a line end")
    return text


def numbered(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's cells with the number of its first line."""
    rows = csv.reader(StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in rows:
            yield line, cells
            line = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}: line {line}: expected comma-separated cells: {error}") from None


def check_header(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse a header that names a column twice or lacks one that is needed."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{path}: line 1: expected each column once, got {twice[0]!r} twice")
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise ValueError(f"{path}: line 1: expected a column {lacking[0]}, got none")


def forms_of(table: str | None, names: Sequence[str]) -> list[tuple[int, str, re.Pattern[str]]]:
    """Return which cells must have which form, by their positions."""
    kinds = {column.name: column.type for column in TABLES[table]} if table else {}
    kinds = {name: kind for name, kind in kinds.items() if kind in FORMS and name in names}
    return [(list(names).index(name), *FORMS[kind]) for name, kind in kinds.items()]


def check_cells(
    where: str,
    cells: list[str],
    names: list[str],
    forms: Sequence[tuple[int, str, re.Pattern[str]]],
) -> None:
    """Refuse a row that is cut, too long, a second header, of another schema, or of other types."""
    if len(cells) != len(names):
        raise ValueError(f"{where}: expected {len(names)} cells, got {len(cells)}")
    if cells == names:
        raise ValueError(f"{where}: expected a row, got the header again")
    for index, expected, form in forms:
        cell = cells[index]
        if names[index] == "schema_version" and cell != str(SCHEMA_VERSION):
            raise ValueError(f"{where}: schema_version: expected {SCHEMA_VERSION}, got {cell!r}")
        if cell and not form.fullmatch(cell):
            raise ValueError(f"{where}: {names[index]}: expected {expected}, got {cell[:40]!r}")
    if "status" in names and cells[names.index("status")] not in STATUSES:
        got = cells[names.index("status")][:40]
        raise ValueError(f"{where}: status: expected one of {', '.join(STATUSES)}, got {got!r}")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    try:
        return json.loads(read_bytes(path))
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        line = getattr(error, "lineno", 1)
        raise ValueError(f"{path}: line {line}: expected JSON, got {error}") from None


def read_configuration(path: Path) -> dict[str, str]:
    """Return a composed configuration by dotted names, without what does not change numbers."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is ten times as fast
    try:
        text = read_text(path)
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, loader)):
            raise ValueError(f"{path}: expected values, got references to others")
        tree = yaml.load(text, loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path}: expected YAML, got {type(error).__name__}") from None
    found = {}
    for count, (name, value) in enumerate(leaves(tree)):
        if count > MOST:
            raise ValueError(f"{path}: expected at most {MOST:,} values, got more")
        if name.split(".")[0] not in PASSING:
            found[name] = "" if value is None else str(value)
    return found


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a tree by dotted names."""
    if not isinstance(tree, dict) or not tree:
        yield name, tree
        return
    for key, node in tree.items():
        yield from leaves(node, f"{name}.{key}" if name else str(key))


def read_decisions(path: Path) -> dict[str, Array] | None:
    """Return ``t`` and ``predicted`` of a predictions file, None where it has no decisions."""
    import zipfile

    expected = "labels t and decisions predicted"
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [archive.getinfo(f"{name}.npy").file_size for name in ("t", "predicted")]
        if sum(sizes) > LIMIT:
            raise ValueError(f"at most {LIMIT:,} bytes are read")
        with np.load(path, allow_pickle=False) as arrays:
            t, predicted = arrays["t"], arrays["predicted"]
    except KeyError:
        return None
    except Exception as error:  # NumPy's and zipfile's readers raise nearly anything
        raise ValueError(f"{path}: expected {expected}, got {type(error).__name__}") from error
    if t.ndim != 1 or t.shape != predicted.shape or {t.dtype.kind, predicted.dtype.kind} - {*"iu"}:
        raise ValueError(f"{path}: expected {expected}, got {t.shape} and {predicted.shape}")
    return {"t": t, "predicted": predicted}


def number(row: Mapping[str, str], name: str) -> float | None:
    """Return a cell as a number; None where it is empty, absent or not finite."""
    text = row.get(name, "")
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def swept(columns: Sequence[str]) -> list[str]:
    """Return the columns that are none of results.csv's: swept keys."""
    known = {column.name for column in RESULTS}
    return [name for name in columns if name not in known]

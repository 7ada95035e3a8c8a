"""Files read back, strictly: one that is damaged is refused by name and line.

Only plain local files of bounded size are read, and text stays text (``NA``, ``007``).
"""

import csv
import json
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runner.tables.columns import SCHEMA_VERSION, TABLES, written

LIMIT = 2**27  # bytes of one file; 100,000 rows of results are about half of it
STATUSES = ("completed", "failed", "diverged", "interrupted")
DECISIONS = "labels t and decisions predicted"
MOST = 10_000  # values of a configuration
# Parts of a configuration that do not change a run's numbers, or are compared as columns.
PASSING = ("hydra", "sweep", "output_dir", "data_dir", "figures", "expect", "seed")
Row = dict[str, str]
Array = NDArray[Any]


class Form(NamedTuple):
    """What the cells of a column must look like."""

    expected: str
    pattern: re.Pattern[str]


NUMBER = r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?inf|nan"
FORMS = {  # by a column's type, or its name
    "integer": Form("a whole number", re.compile(r"(-?\d+(\.0+)?)?", re.ASCII)),
    "number": Form("a number", re.compile(f"({NUMBER})?", re.ASCII)),
    "boolean": Form("True or False", re.compile("(True|False)?")),
    "schema_version": Form(str(SCHEMA_VERSION), re.compile(str(SCHEMA_VERSION))),
    "status": Form("one of " + ", ".join(STATUSES), re.compile("|".join(STATUSES))),
}


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
    numbers, rows = [], []
    lines = numbered(path, read_text(path))
    _, names = next(lines, (1, []))
    check_header(path, names, needed)
    for line, cells in lines:
        check_row(f"{path}: line {line}", cells, names)
        numbers.append(line)
        rows.append(cells)
    if not rows:
        raise ValueError(f"{path}: line 2: expected a row below the header, got none")
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        check_column(path, name, column, required(table, name), numbers)
    return [dict(zip(names, cells, strict=True)) for cells in rows]


def read_bytes(path: Path) -> bytes:
    """Return the content of a plain file of bounded size."""
    if not path.is_file():
        got = "a folder" if path.is_dir() else "something else" if path.exists() else "none"
        raise ValueError(f"{path}: expected a file, got {got}")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, LIMIT))
    except OSError as error:
        raise ValueError(f"{path}: expected a readable file, got {error.strerror}") from error
    if size > LIMIT:
        raise ValueError(f"{path}: expected at most {LIMIT:,} bytes, got {size:,}")
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
    """Refuse a header with a column without a name or there twice, or without one needed."""
    if "" in names:
        raise ValueError(f"{path}: line 1: expected a name for each column, got an empty one")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{path}: line 1: expected each column once, got {twice[0]!r} twice")
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise ValueError(f"{path}: line 1: expected a column {lacking[0]}, got none")


def check_row(where: str, cells: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a row that is cut, too long, or a second header."""
    if len(cells) != len(names):
        raise ValueError(f"{where}: expected {len(names)} cells, got {len(cells)}")
    if cells == names:
        raise ValueError(f"{where}: expected a row, got the header again")


def required(table: str | None, name: str) -> Form | None:
    """Return the form that the cells of a table's column must have, None for any text."""
    kinds = {column.name: column.type for column in TABLES[table]} if table else {}
    return FORMS.get(name if name in kinds and name in FORMS else kinds.get(name, ""))


def check_column(
    path: Path, name: str, cells: Sequence[str], form: Form | None, lines: Sequence[int]
) -> None:
    """Refuse a cell of another type, status or schema version."""
    wrong = {cell for cell in set(cells) if not form.pattern.fullmatch(cell)} if form else ()
    if form and wrong:
        index = next(index for index, cell in enumerate(cells) if cell in wrong)
        where, got = f"{path}: line {lines[index]}: {name}", cells[index][:40]
        raise ValueError(f"{where}: expected {form.expected}, got {got!r}")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    content = read_bytes(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # a number may have too many digits
        line = getattr(error, "lineno", 1)
        raise ValueError(f"{path}: line {line}: expected JSON, got {error}") from None


def read_configuration(path: Path) -> dict[str, str]:
    """Return a composed configuration by dotted names, without what does not change numbers."""
    found = {}
    for count, (name, value) in enumerate(leaves(read_yaml(path))):
        if count > MOST:
            raise ValueError(f"{path}: expected at most {MOST:,} values, got more")
        if name.split(".")[0] not in PASSING:
            found[name] = "" if value is None else written(value)
    return found


def read_yaml(path: Path) -> Any:
    """Return the values of a YAML file, which may not refer to each other."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is ten times as fast
    text = read_text(path)
    try:
        referring = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, loader))
        tree = None if referring else yaml.load(text, loader)
    except Exception as error:  # the makers of numbers, dates and truths raise nearly anything
        raise ValueError(f"{path}: expected YAML, got {type(error).__name__}") from None
    if referring:
        raise ValueError(f"{path}: expected values, got references to others")
    return tree


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a tree by dotted names."""
    if not isinstance(tree, dict) or not tree:
        yield name, tree
        return
    for key, node in tree.items():
        yield from leaves(node, f"{name}.{key}" if name else str(key))


def read_decisions(path: Path) -> dict[str, Array] | None:
    """Return ``t`` and ``predicted`` of a predictions file, None where it has no decisions."""
    arrays = read_arrays(path, ("t", "predicted"))
    if arrays is None:
        return None
    t, predicted = arrays["t"], arrays["predicted"]
    if t.ndim != 1 or t.shape != predicted.shape or {t.dtype.kind, predicted.dtype.kind} - {*"iu"}:
        raise ValueError(f"{path}: expected {DECISIONS}, got {t.shape} and {predicted.shape}")
    return arrays


def read_outputs(path: Path) -> dict[str, Array] | None:
    """Return ``t``, ``predicted`` and ``y`` of a classification, None where it is none."""
    decisions, outputs = read_decisions(path), read_arrays(path, ("y",))
    if decisions is None or outputs is None:
        return None
    t, y = decisions["t"], outputs["y"]
    if y.ndim != 2 or len(y) != len(t) or y.dtype.kind != "f":
        raise ValueError(f"{path}: expected outputs y (samples, outputs), got {y.shape}")
    return {**decisions, "y": y}


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, Array] | None:
    """Return arrays of an npz file, None where it lacks one of them."""
    content = BytesIO(read_bytes(path))
    try:
        with zipfile.ZipFile(content) as archive:
            sizes = [archive.getinfo(f"{name}.npy").file_size for name in names]
        if sum(sizes) > LIMIT:
            raise ValueError(f"at most {LIMIT:,} bytes are read")
        with np.load(content, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except KeyError:
        return None
    except Exception as error:  # NumPy's and zipfile's readers raise nearly anything
        raise ValueError(f"{path}: expected {DECISIONS}, got {type(error).__name__}") from error

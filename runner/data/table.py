"""Comma-separated tables of numbers with a header line."""

import csv
import math
import re
from io import StringIO
from typing import NoReturn

import numpy as np

from .dataset import Array, DataError

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
EXACT = 2**53  # the first integer beyond which float64 misses some


def read_table(contents: bytes, where: object, column: str | None) -> tuple[Array, Array]:
    """Return a CSV file's columns but one as x (N, inputs) float64, and that one as t (N,).

    Parameters
    ----------
    contents : bytes
        UTF-8; the first line names the columns, every other cell is a number.
    where : object
        What the messages call it; a path, mostly.
    column : str or None
        Name of the column of labels or targets; None for the last.

    Returns
    -------
    x, t : array
        t is int64 where all of it is written as integers, else float64.

    Raises
    ------
    DataError
        Naming the line, if the table is anything else.
    """
    try:
        text = contents.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        line = contents.count(b"\n", 0, reason.start) + 1
        raise DataError(f"{where}: line {line}: expected UTF-8 text, got other bytes") from None
    lines = StringIO(text, newline="")
    names = _read_names(lines, where)
    label = _position(names, column, where)
    body = text[lines.tell() :]
    if not body.strip():
        raise DataError(f"{where}: expected at least one line below the header, got none")
    values = _read_values(body)
    written = _read_column(body, label)
    if values is None or written is None or values.shape != (len(written), len(names)):
        _refuse(text, names, where)
    t = values[:, label]
    if all(map(INTEGER.fullmatch, written)):
        t = _integers(t, f"{where}: column {names[label]}")
    return np.delete(values, label, axis=1), t


def _read_names(lines: StringIO, where: object) -> list[str]:
    try:
        names = [name.strip() for name in next(csv.reader(lines, strict=True), [])]
    except csv.Error as reason:
        raise DataError(f"{where}: line 1: expected names of columns, got {reason}") from None
    if len(names) < 2:
        got = "one" if names else "none"
        raise DataError(f"{where}: line 1: expected two or more columns with commas, got {got}")
    for name in names:
        if not name or NUMBER.fullmatch(name):
            raise DataError(f"{where}: line 1: expected names of columns, got {name!r}")
        if names.count(name) > 1:
            raise DataError(f"{where}: line 1: expected each column once, got {name!r} twice")
    return names


def _position(names: list[str], column: str | None, where: object) -> int:
    if column is None:
        return len(names) - 1
    if column not in names:
        raise DataError(f"{where}: column: expected one of {', '.join(names)}, got {column!r}")
    return names.index(column)


def _read_values(body: str) -> Array | None:
    try:
        values: Array = np.loadtxt(
            StringIO(body), np.float64, comments=None, delimiter=",", quotechar='"', ndmin=2
        )
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _integers(t: Array, where: str) -> Array:
    largest = np.abs(t).max()
    if largest >= EXACT:
        raise DataError(f"{where}: expected integers below 2**53, got {largest:.0f}")
    return t.astype(np.int64)


def _read_column(body: str, column: int) -> list[str] | None:
    # Strict about quotes too, where NumPy takes a cut quotation for a whole one.
    lines = csv.reader(StringIO(body, newline=""), strict=True)
    try:
        return [row[column] for row in filter(None, lines)]
    except (csv.Error, IndexError):
        return None


def _refuse(text: str, names: list[str], where: object) -> NoReturn:
    # NumPy reads fast but counts rows, not lines; a second look finds the place.
    lines = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        next(lines)
        for row in filter(None, lines):
            place = f"{where}: line {lines.line_num}"
            if len(row) != len(names):
                raise DataError(f"{place}: expected {len(names)} cells, got {len(row)}")
            for name, cell in zip(names, row, strict=True):
                if not NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
                    raise DataError(f"{place}: column {name}: expected a number, got {cell!r:.40}")
    except csv.Error as reason:
        place = f"{where}: line {lines.line_num}"
        raise DataError(f"{place}: expected comma-separated numbers, got {reason}") from None
    raise DataError(f"{where}: expected comma-separated numbers, got something else")

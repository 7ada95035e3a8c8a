"""What a report is made of: sections of tables, charts and pictures, before they are HTML."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from runner.report.comparison import short

ROWS = 2_000  # of a table: more is for a program, not for a reader


class Cell(NamedTuple):
    """What a table shows, what it is sorted by where that is a number, and how dark it is."""

    text: str
    value: float | None = None
    shade: int | None = None  # 0 to 9


@dataclass
class Table:
    """Rows under heads; the first column names the row.

    Attributes
    ----------
    tools : whether it can be sorted and filtered.
    numeric : columns that are numbers, by their place.
    narrow : whether another block has room beside it.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    tools: bool = False
    numeric: frozenset[int] = frozenset()
    matrix: bool = False
    narrow: bool = False
    notes: Sequence[str] = ()
    kind: str = "table"


@dataclass
class Chart:
    """A Vega-Lite figure with what it shows in words."""

    title: str
    about: str
    spec: dict[str, Any]
    kind: str = "chart"


class Image(NamedTuple):
    """A picture as a URI, and what can be said instead of it."""

    source: str
    text: str
    label: str = ""


@dataclass
class Gallery:
    """Pictures side by side."""

    title: str
    about: str
    images: Sequence[Image]
    kind: str = "gallery"


@dataclass
class Pictures:
    """Pictures below each other."""

    images: Sequence[Image]
    kind: str = "pictures"


@dataclass
class Notes:
    """Lines of text."""

    lines: Sequence[str]
    kind: str = "notes"


@dataclass
class Tiles:
    """A few numbers to be seen first: name, value, and what is to be known of it."""

    items: Sequence[tuple[str, str, str]]
    kind: str = "tiles"


@dataclass
class Section:
    """A heading with its blocks; ``level`` 3 lies in the section before it of level 2."""

    title: str
    blocks: list[Any] = field(default_factory=list)
    level: int = 2


def cut(table: Table) -> Table:
    """Return a table without the rows that are too many, which is said."""
    if len(table.rows) <= ROWS:
        return table
    note = f"{len(table.rows) - ROWS:,} more rows are in the tables themselves."
    return replace(table, rows=table.rows[:ROWS], notes=[*table.notes, note])


def without_empty(table: Table) -> Table:
    """Return a table without the columns that are empty in every row."""
    kept = [
        place for place in range(len(table.heads)) if any(row[place].text for row in table.rows)
    ]
    return replace(
        table,
        heads=[table.heads[place] for place in kept],
        rows=[[row[place] for place in kept] for row in table.rows],
        numeric=frozenset(new for new, place in enumerate(kept) if place in table.numeric),
    )


def text(value: str) -> Cell:
    """Return a cell of text."""
    return Cell(value)


def measured(value: float | None) -> Cell:
    """Return a cell of a measured value, in as many digits as count."""
    return Cell(short(value), value)


def whole(value: float | None) -> Cell:
    """Return a cell of a whole number, its thousands set apart."""
    return Cell("" if value is None else f"{value:,.0f}", value)


def png(content: bytes) -> str:
    """Return a PNG file as a URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()

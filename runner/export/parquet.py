"""Tables as Parquet files, with the types, units and explanations of their columns."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from runner.export.runs import Run, read_runs
from runner.tables import store, strict
from runner.tables.columns import RESULTS, SCHEMA_VERSION, TABLES, Column
from runner.tables.strict import Row

RUN_ID = next(column for column in RESULTS if column.name == "run_id")
CONFUSION = (
    Column("true", "string", "the class that it is"),
    Column("predicted", "string", "the class that it was taken for"),
    Column("count", "integer", "how often", "samples"),
)


def export(path: Path, out: Path) -> str:
    """Write a file for each table into ``out``; rows of all but the results begin with run_id."""
    found = read_runs(path)
    rows = {"results": [run.row for run in found.runs]}
    for name in (*TABLES, "confusion"):
        if name != "results":
            rows[name] = [row for run in found.runs for row in rows_of(run, name)]
    written = {name: content(name, some) for name, some in rows.items() if some}
    for name, data in written.items():
        store.write_bytes(out / f"{name}.parquet", data)
    for name in rows.keys() - written.keys():
        (out / f"{name}.parquet").unlink(missing_ok=True)  # of an earlier export
    return f"{len(found.runs)} runs in {out}: {', '.join(f'{name}.parquet' for name in written)}"


def rows_of(run: Run, name: str) -> Iterable[Row]:
    """Return the rows of one table of a run, none where it has no such table."""
    path = run.folder / f"{name}.csv" if run.folder else None
    if path is None or not path.exists():
        return []
    rows = strict.read_csv(path, name if name in TABLES else None)
    if name == "confusion":
        rows = [
            {"true": row["true"], "predicted": label, "count": count}
            for row in rows
            for label, count in row.items()
            if label != "true"
        ]
    return [{"run_id": run.row["run_id"], **row} for row in rows]


def content(name: str, rows: Sequence[Row]) -> bytes:
    """Return rows as the bytes of a Parquet file; empty cells are missing values."""
    import pyarrow
    from pyarrow import parquet

    columns = columns_of(name, rows[0])
    fields = [field(column) for column in columns]
    schema = pyarrow.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})
    data = [[value(column, row.get(column.name, "")) for row in rows] for column in columns]
    arrays = [pyarrow.array(cells, part.type) for cells, part in zip(data, fields, strict=True)]
    file = BytesIO()
    parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), file)
    return file.getvalue()


def columns_of(name: str, row: Row) -> list[Column]:
    """Return the columns of a row in their order; those that no table has are text."""
    known = {column.name: column for column in (RUN_ID, *TABLES.get(name, CONFUSION))}
    return [known.get(key, Column(key, "string", "a swept key")) for key in row]


def field(column: Column) -> Any:
    """Return a column as Parquet has it."""
    import pyarrow

    kinds = {
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "string": pyarrow.string(),
    }
    about = {"description": column.about} | ({"unit": column.unit} if column.unit else {})
    return pyarrow.field(column.name, kinds[column.type], metadata=about)


def value(column: Column, text: str) -> Any:
    """Return a cell as what it is."""
    if text == "":
        return None
    if column.type == "integer":
        return int(float(text)) if "." in text else int(text)
    if column.type == "number":
        return float(text)
    return text == "True" if column.type == "boolean" else text

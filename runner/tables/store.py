"""Files below the output folder: their names, and how they are written.

Every file is written aside and renamed. ``run.json`` comes last, is synced,
and lists the size and checksum of all others: a folder without a whole one
does not count as a run.
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from runner.tables.columns import TABLES

if TYPE_CHECKING:
    import pandas as pd

RECORD = "run.json"
PLAN = "plan.csv"
CHECKPOINT = "checkpoint.npz"


def run_folder(output_dir: str, run_id: str, now: datetime) -> Path:
    """Return the folder of a single run that starts now."""
    return Path(output_dir, "runs", f"{now:%Y-%m-%d}", f"{now:%H-%M-%S-%f}_{run_id}")


def sweep_folder(output_dir: str, name: str | None, now: datetime) -> Path:
    """Return the folder of a sweep that starts now."""
    name = name or f"{now:%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(3)}"
    return Path(output_dir, "sweeps", name)


def job_folder(run_id: str) -> str:
    """Return the folder of one job below its sweep's."""
    return f"jobs/{run_id}"


def run_id(folder: Path) -> str:
    """Return the run_id that a run's or job's folder is named for."""
    return folder.name.rpartition("_")[2]


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield a path to write to; on success it takes the place of ``path``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file aside and rename it; ``sync`` waits until the disk has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary, temporary.open("xb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV: UTF-8, one line ending everywhere, empty for missing."""
    write_bytes(path, table.to_csv(index=False, lineterminator="\n").encode())


def write_arrays(path: Path, arrays: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
    """Write arrays as an npz file."""
    with aside(path) as temporary, temporary.open("xb") as file:
        np.savez(file, allow_pickle=False, **arrays)


class Checkpoint:
    """The file of a run that a training goes on from; only one of the same run_id counts."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.path, self.run_id = folder / CHECKPOINT, run_id

    def read(self) -> "dict[str, np.ndarray[Any, Any]] | None":
        """Return the arrays that were written last, None where there are none.

        Raises
        ------
        ValueError
            When the file is damaged, or is none of plain arrays.
        """
        if not self.path.exists():
            return None
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                arrays = dict(content)
        except Exception as error:  # NumPy's and zipfile's readers raise nearly anything
            reason = f"expected arrays to go on from, got {type(error).__name__}"
            raise ValueError(f"{self.path}: {reason}; remove it to start over") from error
        return arrays if str(arrays.pop("run_id", "")) == self.run_id else None

    def write(self, arrays: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
        """Put arrays in the place of those before."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(self.path, {"run_id": np.array(self.run_id), **arrays})

    def remove(self) -> None:
        """Remove the file, and what a killed run has left of writing it."""
        for path in (self.path, *self.path.parent.glob(f".{CHECKPOINT}.*")):
            path.unlink(missing_ok=True)


def commit(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``, which makes the folder count, over the files already there."""
    files = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, _checksum(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and counts(path)
    }
    text = json.dumps({**record, "files": files}, indent=2, ensure_ascii=False)
    write_bytes(folder / RECORD, (text + "\n").encode(), sync=True)


def counts(path: Path) -> bool:
    """Say whether a file is one of a run's results: no log, nothing that goes, nothing half."""
    passing = path.name in (RECORD, CHECKPOINT) or path.suffix == ".log"
    return not passing and not path.name.startswith(".")


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a run whose files are all whole, else None."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
        for name, (size, checksum) in record["files"].items():
            path = folder / name
            if path.stat().st_size != size or _checksum(path) != checksum:
                return None
    except (OSError, ValueError, KeyError):
        return None
    return record


def _checksum(path: Path) -> str:
    return xxhash.xxh3_64_hexdigest(path.read_bytes())


def create_sweep(folder: Path, plan: "pd.DataFrame", command: Sequence[str]) -> None:
    """Make a sweep's folder with its plan and command inside, by one rename.

    Raises
    ------
    FileExistsError
        When there is one of this name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        temporary.mkdir()
        write_table(temporary / PLAN, plan)
        write_bytes(temporary / "command.json", (json.dumps(list(command)) + "\n").encode())
        if folder.exists():
            raise FileExistsError(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_table(path: Path, name: str) -> "pd.DataFrame":
    """Read a table back, its columns in the types that `columns` gives them.

    Text stays text (``NA`` and ``007`` too); columns of other tables, such as
    swept keys, are text as well.
    """
    import pandas as pd

    kinds = {"integer": "Int64", "number": "float64", "boolean": "boolean"}
    text: Any = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in TABLES[name]:
        if column.type in kinds and column.name in text:
            values = text[column.name].replace({"": None, "True": True, "False": False})
            if column.type != "boolean":
                values = pd.to_numeric(values)
            text[column.name] = values.astype(kinds[column.type])
    table: pd.DataFrame = text
    return table


def read_expectations(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's expect.csv, none where nothing was expected."""
    path = folder / "expect.csv"
    if not path.exists():
        return []
    rows: Any = read_table(path, "expect").to_dict("records")
    return list(rows)


def merge_sweep(folder: Path) -> "pd.DataFrame":
    """Write and return a sweep's results: a row per job that counts, in the plan's order.

    The plan's columns (swept keys) follow those of the results; one that is
    a column already is written where the job itself had nothing to say.
    """
    import pandas as pd

    plan = pd.read_csv(folder / PLAN, dtype=str, keep_default_na=False)
    rows = []
    for planned in plan.to_dict("records"):
        job = folder / job_folder(str(planned["run_id"]))
        if read_record(job) is not None:
            result = pd.read_csv(job / "results.csv", dtype=str, keep_default_na=False)
            said = {key: value for key, value in result.iloc[0].to_dict().items() if value != ""}
            rows.append({**planned, **said})
    names = [column.name for column in TABLES["results"]]
    names += [name for name in plan.columns if name not in names]
    write_table(folder / "results.csv", pd.DataFrame(rows, columns=names, dtype=object))
    return read_table(folder / "results.csv", "results")

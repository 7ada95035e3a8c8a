"""Files below the output folder: their names, and how they are written.

Every file is written aside and renamed. ``run.json`` comes last, is synced,
and lists the size and checksum of all others: a folder without a whole one
does not count as a run.
"""

import csv
import errno
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from filelock import FileLock, Timeout

from runner.tables.columns import TABLES

if TYPE_CHECKING:
    import pandas as pd

RECORD = "run.json"
PLAN = "plan.csv"
COMMAND = "command.json"
CHECKPOINT = "checkpoint.npz"
LOCK = ".lock"
ENDED = ("completed", "diverged")  # run again, these would end so again


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
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file aside and rename it; ``sync`` waits until the disk has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as temporary, temporary.open("xb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV: one line ending everywhere, empty for missing."""
    write_bytes(path, table.to_csv(index=False, lineterminator="\n").encode())


def npz(arrays: Mapping[str, "np.ndarray[Any, Any]"]) -> bytes:
    """Return arrays as the content of an npz file."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


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
        write_bytes(self.path, npz({"run_id": np.array(self.run_id), **arrays}))

    def remove(self) -> None:
        """Remove the file, and what a killed run has left of writing it."""
        for path in (self.path, *self.path.parent.glob(f".{CHECKPOINT}.*")):
            path.unlink(missing_ok=True)


def commit(folder: Path, record: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a run's files by their names, and last ``run.json``, which makes them count."""
    for name, content in files.items():
        write_bytes(folder / name, content)
    sums = {name: [len(content), _checksum(content)] for name, content in files.items()}
    text = json.dumps({**record, "files": sums}, indent=2, ensure_ascii=False)
    write_bytes(folder / RECORD, (text + "\n").encode(), sync=True)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a run whose files are all whole, else None."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
        return None if any(damaged(folder, record)) else record
    except (OSError, ValueError, KeyError):
        return None


def damaged(folder: Path, record: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each file of a run that is not as it was written, with both checksums."""
    for name, (size, checksum) in record["files"].items():
        path = folder / name
        content = path.read_bytes() if path.is_file() else None
        got = "none" if content is None else _checksum(content)
        if content is None or len(content) != size or got != checksum:
            yield name, checksum, got


@contextmanager
def lock(folder: Path, seconds: float = -1) -> Iterator[bool]:
    """Keep other processes out of a folder; yield False where one was in it for so long.

    The system unlocks what a killed process has locked. Where it knows no locks
    (some network file systems), nothing is locked.
    """
    held = FileLock(folder / LOCK, timeout=seconds)  # makes the folder, too
    try:
        held.acquire()
    except Timeout:
        yield False
        return
    except NotImplementedError:
        yield True
        return
    try:
        yield True
    finally:
        held.release()


def locked(folder: Path) -> bool:
    """Whether another process is in a folder."""
    if not (folder / LOCK).exists():
        return False
    with lock(folder, 0) as free:
        return not free


def forget(folder: Path) -> None:
    """Take away the record of a run that is to be run again."""
    (folder / RECORD).unlink(missing_ok=True)


def _checksum(content: bytes) -> str:
    return xxhash.xxh3_64_hexdigest(content)


def create_sweep(folder: Path, plan: Iterable[Mapping[str, str]], command: Sequence[str]) -> None:
    """Make a sweep's folder with its plan and command inside, by one rename.

    Raises
    ------
    FileExistsError
        When there is one of this name.
    """
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        write_plan(temporary, plan)
        write_command(temporary, command)
        if not is_sweep(temporary):  # somebody has removed it in between
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(temporary))
        if folder.exists():
            raise FileExistsError(folder)
        try:
            temporary.rename(folder)
        except OSError as error:
            raise FileExistsError(folder) if folder.exists() else error from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep's."""
    return (folder / PLAN).exists()


def write_command(folder: Path, words: Sequence[str]) -> None:
    """Write the words after ``runner -m`` that a sweep was started with."""
    write_bytes(folder / COMMAND, (json.dumps(list(words)) + "\n").encode(), sync=True)


def read_command(folder: Path) -> list[str]:
    """Return the words after ``runner -m`` that a sweep was started with.

    Raises
    ------
    OSError, ValueError
        When the folder is not a sweep's.
    """
    words = json.loads((folder / COMMAND).read_bytes())
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{folder / COMMAND}: not a list of words")
    return words


def write_plan(folder: Path, plan: Iterable[Mapping[str, str]]) -> None:
    """Write a sweep's plan: a row per job."""
    rows = list(plan)
    write_bytes(folder / PLAN, csv_text(rows[0], rows).encode(), sync=True)


def read_plan(folder: Path) -> list[dict[str, str]]:
    """Return a sweep's plan, a row per job; none where there is no sweep."""
    path = folder / PLAN
    return read_rows(path) if path.exists() else []


def write_results(folder: Path, rows: Iterable[Mapping[str, str]], columns: Iterable[str]) -> None:
    """Write a sweep's results; ``columns`` that are none of results.csv's follow those."""
    names = [column.name for column in TABLES["results"]]
    names += [name for name in columns if name not in names]
    write_rows(folder / "results.csv", names, rows)


def write_rows(path: Path, names: Sequence[Any], rows: Iterable[Mapping[Any, Any]]) -> None:
    """Write rows as CSV."""
    write_bytes(path, csv_text(names, rows).encode())


def csv_text(names: Iterable[Any], rows: Iterable[Mapping[Any, Any]]) -> str:
    """Return rows as CSV: one line ending everywhere, empty for missing."""
    text, names = io.StringIO(), list(names)
    plain = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for cells in ([*names], *([row.get(name) for name in names] for row in rows)):
        values = ["" if value is None or value != value else value for value in cells]
        # A carriage return ends a row too, for who reads it; Python 3.11 does not quote it.
        returns = any("\r" in value for value in values if isinstance(value, str))
        (quoting if returns else plain).writerow(values)
    return text.getvalue()


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_row(folder: Path) -> dict[str, str] | None:
    """Return the row of a run that has left a record, None of one that has not, or is damaged."""
    if not (folder / RECORD).exists():
        return None
    try:
        return next(iter(read_rows(folder / "results.csv")), None)
    except (OSError, ValueError, csv.Error):
        return None


def read_ended(folder: Path) -> dict[str, str] | None:
    """Return the row of a run that needs not be run again, its files checked; else None."""
    record = read_record(folder)
    if record is None or record.get("status") not in ENDED:
        return None
    return read_row(folder)


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

"""The runs of a folder, as other tools want them: settings, numbers, curves and files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner.lookup import shortened
from runner.tables import store, strict
from runner.tables.columns import RESULTS
from runner.tables.results import Results, number, read_results, swept
from runner.tables.strict import Row

SETTINGS = ("schema_version", "seed", "parameters", "threads")  # numbers that are no result
METRICS = tuple(
    column.name
    for column in RESULTS
    if column.type in ("integer", "number") and column.name not in SETTINGS
)
HASHES = ("config_hash", "data_hash", "weights_hash", "code_version")
RUN_ID = re.compile("[0-9a-f]{12}")  # folders and files are named for it
FACTS = ("run_id", "status", "started_at", "error", *HASHES)


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    name : of its folder; within a sweep that is its run_id.
    row : of results.csv, as text.
    folder : its own; None where a job of a sweep has left none.
    settings : its configuration by dotted names, with the seed, the threads and the swept keys.
    """

    name: str
    row: Row
    folder: Path | None
    settings: Mapping[str, str]

    @property
    def started(self) -> float:
        """Seconds since 1970; 0 where it has not started."""
        text = self.row.get("started_at", "")
        return datetime.fromisoformat(text).timestamp() if text else 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return number(self.row, "duration_seconds") or 0.0

    @property
    def facts(self) -> dict[str, str]:
        """What names the run, and how it ended."""
        return {name: self.row[name] for name in FACTS if self.row.get(name)}

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that it ended with."""
        values = {name: number(self.row, name) for name in METRICS}
        return {name: value for name, value in values.items() if value is not None}

    def curves(self) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Yield each epoch, when it ended (seconds since 1970), and its numbers."""
        path = self.folder / "history.csv" if self.folder else None
        ended = self.started
        for row in strict.read_csv(path, "history") if path and path.exists() else ():
            values = {name: number(row, name) for name in row if name != "epoch"}
            ended += values.get("seconds") or 0.0
            known = {name: value for name, value in values.items() if value is not None}
            yield int(row["epoch"]), ended, known


@dataclass(frozen=True)
class Runs:
    """The runs of a folder; ``name`` is the sweep's, or ``runs`` for a single one."""

    name: str
    sweep: bool
    runs: list[Run]


def read_runs(path: Path) -> Runs:
    """Return what the folder of a run or of a sweep holds.

    Raises
    ------
    ValueError
        Where it is neither, or a file of it is damaged.
    """
    results = read_results(str(path))
    if results.folder is None:
        raise ValueError(f"{path}: expected the folder of a run or of a sweep, got a file")
    place = results.folder.resolve()
    runs = [read_run(results, row, place) for row in results.rows]
    return Runs(place.name if results.sweep else "runs", results.sweep, runs)


def read_run(results: Results, row: Row, place: Path) -> Run:
    """Return the run of a row; raise ValueError for one that names no folder of its own."""
    if not RUN_ID.fullmatch(row["run_id"]):
        got = shortened(row["run_id"], 40)
        raise ValueError(f"{place / 'results.csv'}: run_id: expected 12 hex digits, got {got}")
    folder = place / store.job_folder(row["run_id"]) if results.sweep else place
    extra = {name: row.get(name, "") for name in ("seed", "threads", *swept(results.columns))}
    settings = results.configuration(row) | {key: value for key, value in extra.items() if value}
    return Run(folder.name, row, folder if folder.is_dir() else None, settings)

"""What is known of a sweep's jobs while they end, and the table that says it."""

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.sweeps.plan import Row, swept
from runner.tables import store
from runner.tables.columns import SCHEMA_VERSION
from runner.tables.summarize import Counts, Watcher

if TYPE_CHECKING:
    import pandas as pd

EVERY = 2.0  # seconds between two writings of a table that grows, at least


def unwatched(counts: Counts, row: Mapping[str, str]) -> None:
    """Show nothing."""


def merged(planned: Row, recorded: Mapping[str, str]) -> Row:
    """Return a job's row; what is planned stands where the job itself had nothing to say."""
    return planned | {key: value for key, value in recorded.items() if value != ""}


class Board:
    """The rows of the jobs that have ended, by run_id, in the order of the plan.

    Parameters
    ----------
    folder
        The sweep's.
    plan
        A row per job, ``run_id`` among its keys.
    watch
        Told of every job that ends.
    """

    def __init__(self, folder: Path, plan: Iterable[Row], watch: Watcher = unwatched) -> None:
        self.folder, self.watch = folder, watch
        self.plan = {row["run_id"]: row for row in plan}
        self.rows: dict[str, Row] = {}
        self.earlier: dict[str, Row] = {}  # of jobs that are run again
        self.reused = self.failed = self.failed_before = 0
        self.best: float | None = None
        self.seconds = 0.0
        self.written, self.took = time.monotonic(), 0.0
        self.alone = threading.RLock()  # a thread may look while the sweep goes on

    def reuse(self) -> None:
        """Take the jobs that an earlier call completed, their files checked."""
        for run_id in self.plan:
            row = store.read_ended(self.job(run_id))
            if row is not None:
                self.rows[run_id] = merged(self.plan[run_id], row)
                self.count(row)
            elif (row := store.read_row(self.job(run_id))) is not None:
                self.earlier[run_id] = row
        self.reused, self.failed_before = len(self.rows), self.failed

    @property
    def missing(self) -> list[str]:
        """The run_ids of the jobs that have not ended."""
        return [run_id for run_id in self.plan if run_id not in self.rows]

    def look(self, run_ids: Iterable[str], *, own: bool = False) -> None:
        """Take what jobs have recorded since the last look; write the table now and then."""
        self.collect(run_ids, own=own)
        if time.monotonic() - self.written > max(EVERY, 20 * self.took):
            with suppress(OSError):  # a full disk, or somebody looks at the table: there is a next
                self.write()

    def collect(self, run_ids: Iterable[str], *, own: bool = False) -> None:
        """Take what jobs have recorded.

        That one was interrupted counts if it is this call's ``own``: what another
        program has let go of is still to be run. A job that has completed
        after all, here or there, takes the place of a failure.
        """
        with self.alone:
            for run_id in run_ids:
                known = self.rows.get(run_id)
                if known is not None and known["status"] in store.ENDED:
                    continue
                row = store.read_row(self.job(run_id))
                if row is None or row == self.earlier.get(run_id):
                    continue
                if known is None and (own or row["status"] != "interrupted"):
                    self.take(run_id, row)
                elif known is not None and row["status"] in store.ENDED:
                    self.rows[run_id] = merged(self.plan[run_id], row)
                    self.count_again()

    def take(self, run_id: str, row: Mapping[str, str]) -> None:
        """Take the row of a job that has ended."""
        taken = self.rows[run_id] = merged(self.plan[run_id], row)
        self.count(taken)
        ended = {name: taken.get(name, "") for name in ("status", "accuracy", "error")}
        try:
            self.watch(self.counts, dict(swept(self.plan[run_id])) | ended)
        except OSError:  # who watched has gone, or its disk is full: that is no fault of the jobs
            self.watch = unwatched

    def fail(self, run_id: str, error: str) -> None:
        """Take a job that left no record."""
        with self.alone:
            if run_id not in self.rows:
                row = {"status": "failed", "error": " ".join(error.split())}
                self.take(run_id, {"schema_version": str(SCHEMA_VERSION), **row})

    def count_again(self) -> None:
        """Count all rows, after one of them has changed."""
        self.failed, self.best, self.seconds = 0, None, 0.0
        for row in self.rows.values():
            self.count(row)

    def count(self, row: Row) -> None:
        """Count a row."""
        if row["status"] == "completed":
            self.seconds += float(row["duration_seconds"])
        else:
            self.failed += 1
        if row.get("accuracy"):
            accuracy = float(row["accuracy"])
            self.best = accuracy if self.best is None else max(self.best, accuracy)

    @property
    def counts(self) -> Counts:
        """Return how far the sweep is."""
        completed = len(self.rows) - self.failed
        mean = self.seconds / completed if completed else None
        return Counts(len(self.rows), len(self.plan), self.reused, self.failed, self.best, mean)

    def write(self) -> None:
        """Write results.csv, with what other programs have done of the same sweep."""
        started = time.monotonic()
        try:
            with self.alone, store.lock(self.folder):
                self.collect(self.plan)
                rows = [self.rows[run_id] for run_id in self.plan if run_id in self.rows]
                columns = next(iter(self.plan.values())) if self.plan else ()
                store.write_results(self.folder, rows, columns)
        finally:
            self.written = time.monotonic()
            self.took = self.written - started

    def table(self) -> "pd.DataFrame":
        """Return the rows as results.csv has them."""
        return store.read_table(self.folder / "results.csv", "results")

    def job(self, run_id: str) -> Path:
        """Return the folder of a job."""
        return self.folder / store.job_folder(run_id)

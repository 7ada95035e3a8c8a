"""The sweeper behind ``-m``, a Hydra plugin: it plans, runs what is missing, and merges."""

import errno
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from runner.compose.limits import check_words
from runner.compose.marks import mark
from runner.lookup import BadInput, interrupt_behind
from runner.sweeps import plan
from runner.sweeps.board import Board, unwatched
from runner.sweeps.launcher import RunnerLauncher, RunnerLauncherConf
from runner.tables import store
from runner.tables.summarize import Counts, Watcher, summarize

if TYPE_CHECKING:
    import pandas as pd

POLL = 0.5  # seconds between two looks for what other processes have finished
CHANGED = "code, data or weights have changed while the sweep ran"
LOST = "no record was left: the worker was killed, or the disk is full"


@dataclass
class RunnerSweeperConf:
    """The sweeper's node; what it needs to know is under ``sweep`` and ``output_dir``.

    ``params`` are overrides that the command line need not repeat, as Hydra's basic sweeper has
    them: a choice of ``hydra/sweeper`` with params is a sweep with a name.
    """

    _target_: str = "runner.sweeps.sweeper.RunnerSweeper"
    params: dict[str, Any] = field(default_factory=dict)


@dataclass
class SweepResult:
    """A sweep's folder, its results (one row per job), and how many jobs there are.

    ``unexpected`` says in words which jobs did not complete or did not give what they expect.
    With ``sweep.plan_only`` nothing has been run, ``results`` is the plan, and ``changed`` says
    in words how it differs from the plan of the sweep that is there.
    """

    folder: Path
    results: "pd.DataFrame"
    counts: Counts
    unexpected: list[str]
    plan_only: bool = False
    changed: list[str] = field(default_factory=list)


class RunnerSweeper(Sweeper):
    """Plans all jobs before any of them runs, runs those that are missing, merges their rows."""

    command: ClassVar[list[str]] = []  # the words after `runner -m`, for the sweep's folder
    watch: ClassVar[Watcher] = staticmethod(unwatched)
    place: ClassVar[Path | None] = None  # the folder of a sweep that goes on, wherever it is

    config: DictConfig
    context: HydraContext
    launcher: Launcher

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over, and make the launcher."""
        self.config, self.context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> SweepResult:
        """Run every combination of the arguments' values that has not been run.

        Raises
        ------
        BadInput
            Before anything is written, when one of the jobs cannot be run,
            or the sweep that is there was another one.
        """
        given = {word.partition("=")[0].lstrip("+") for word in arguments}
        own = [f"{key}={value}" for key, value in self.params.items() if key not in given]
        jobs, rows = self.plan([*own, *arguments])
        options, output_dir = self.config.sweep, self.config.output_dir
        new = store.sweep_folder(output_dir, options.name, datetime.now(UTC))
        folder = type(self).place or new
        board = Board(folder, rows, type(self).watch)
        if options.plan_only:
            board.reuse()
            before = store.read_plan(folder)
            return planned(board, plan.changes(before, rows) if before else [])
        self.open(folder, rows)
        board.reuse()
        return self.run(board, jobs)

    def open(self, folder: Path, rows: list[plan.Row]) -> None:
        """Make the sweep's folder, or go on in the one that is there."""
        self.config.hydra.sweep.dir = str(folder.absolute())  # workers may be started elsewhere
        if cast(Any, self.context.config_loader).trusted is None:
            mark(folder, type(self).command, None)
        if not store.is_sweep(folder):
            try:
                store.create_sweep(folder, rows, type(self).command)
                return
            except FileExistsError:
                if not store.is_sweep(folder):  # else another process was quicker
                    expected, where = "a name not taken", "command line"
                    raise BadInput("sweep.name", expected, folder.name, where=where) from None
        before = store.read_plan(folder)
        changed = plan.changes(before, rows)
        if changed and not self.config.sweep.allow_changes:
            expected = "the jobs of the sweep that is there (sweep.allow_changes=true goes on)"
            raise BadInput("sweep.name", expected, "; ".join(changed), where="command line")
        if before != rows:
            store.write_command(folder, type(self).command)
            store.write_plan(folder, rows)

    def run(self, board: Board, jobs: dict[str, plan.Job]) -> SweepResult:
        """Run the jobs that are missing."""
        try:
            with self.watching(board, jobs):
                todo = board.missing
                while todo:
                    tried = []
                    for run_id, job in zip(todo, self.launch(todo, board, jobs), strict=False):
                        settle(board, run_id, job)
                        tried.append(run_id)
                    stopped = self.config.sweep.fail_fast and board.failed > board.failed_before
                    todo = [] if stopped else released(board, tried)
        except KeyboardInterrupt as interrupt:
            board.collect(board.missing, own=True)
            counts = board.counts
            done = f"{counts.done - counts.failed} of {counts.total} jobs are done"
            interrupt.add_note(f"{done}; go on with: runner resume {board.folder}")
            raise
        finally:
            board.write()
            results = board.table()
            store.write_table(board.folder / "summary.csv", summary(board, results))
        if not store.is_sweep(board.folder):
            raise FileNotFoundError(errno.ENOENT, "removed while its jobs ran", str(board.folder))
        wrong = unexpected(board.folder, results)
        return SweepResult(board.folder, results, board.counts, wrong)

    def launch(
        self, run_ids: list[str], board: Board, jobs: dict[str, plan.Job]
    ) -> Iterator[JobReturn]:
        """Hand jobs to the launcher, and yield those that have ended, in their order."""
        words = [jobs[run_id].overrides for run_id in run_ids]
        whole = not self.config.sweep.fail_fast or isinstance(self.launcher, RunnerLauncher)
        size = len(words) if whole else 1  # one by one, others end when the first one fails
        for first in range(0, len(words), size):
            some = words[first : first + size]
            try:
                ended = self.launcher.launch(some, initial_job_idx=first)
            except Exception as error:  # a plugin's: of its workers, of a queue that is not there
                if (interrupt := interrupt_behind(error)) is not None:
                    raise interrupt from None
                ended = [JobReturn(status=JobStatus.FAILED, _return_value=error)] * len(some)
            yield from (job for job in ended if job.status != JobStatus.UNKNOWN)
            if not whole and stops(board, ended[-1]):
                return

    @contextmanager
    def watching(self, board: Board, jobs: dict[str, plan.Job]) -> Iterator[None]:
        """Keep the board up to date: after each job, or where others run them, now and then."""
        if isinstance(self.launcher, RunnerLauncher):
            fail_fast = self.config.sweep.fail_fast
            run_ids = {job.overrides: run_id for run_id, job in jobs.items()}

            def wanted(overrides: list[str]) -> bool:
                run_id = run_ids[tuple(overrides)]
                board.look([run_id])  # another program may have done it, or failed at it
                return run_id not in board.rows

            def ended(job: JobReturn) -> bool:
                settle(board, run_ids[tuple(job.overrides or ())], job)
                return not (fail_fast and stops(board, job))

            self.launcher.wanted, self.launcher.ended = wanted, ended
            yield
            return
        with repeating(lambda: board.look(board.missing)):
            yield

    def replicated(self, job: plan.Job) -> list[plan.Job]:
        """Return a job with the seeds that it is to be run with."""
        number, loader = self.config.sweep.replicates, cast(Any, self.context.config_loader)
        if number is None:
            return [job]
        return plan.replicated(job, loader.seed(self.config, list(job.overrides)), number)

    def plan(self, arguments: Sequence[str]) -> tuple[dict[str, plan.Job], list[plan.Row]]:
        """Return the jobs by their run_id, and the plan: two that are the same run are one job."""
        loader: Any = self.context.config_loader
        options = self.config.sweep
        check_words(arguments)
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
        groups = {
            override.key_or_group: loader.get_group_options(
                override.key_or_group, ObjectType.CONFIG
            )
            for override in overrides
            if loader.repository.group_exists(override.key_or_group)
        }
        together: Any = OmegaConf.to_object(options.zip)
        without: Any = OmegaConf.to_object(options.exclude)
        jobs: dict[str, plan.Job] = {}
        identities = {}
        limits = options.max_runs, together, without, options.replicates
        for job in itertools.chain(*map(self.replicated, plan.expand(overrides, groups, *limits))):
            identity = loader.identify(self.config, list(job.overrides))
            if identity.run_id not in jobs:
                jobs[identity.run_id] = job
                parts = {name: getattr(identity, name) or "" for name in plan.IDENTITY}
                identities[identity.run_id] = parts
        return jobs, plan.rows(jobs, identities)


def settle(board: Board, run_id: str, job: JobReturn) -> None:
    """Take a job that has ended, and one that left no record; not one that is at work elsewhere."""
    elsewhere = job.status == JobStatus.COMPLETED and job.return_value is None
    board.look([run_id], own=not elsewhere)
    if run_id not in board.rows and not elsewhere:
        board.fail(run_id, reason(run_id, job))


def released(board: Board, run_ids: list[str]) -> list[str]:
    """Wait for jobs that other processes are at; return those that they let go of undone."""
    while waiting := [run_id for run_id in run_ids if run_id not in board.rows]:
        free = [run_id for run_id in waiting if not store.locked(board.job(run_id))]
        board.look(waiting)
        if undone := [run_id for run_id in free if run_id not in board.rows]:
            return undone
        time.sleep(POLL)
    return []


@contextmanager
def repeating(look: Callable[[], None]) -> Iterator[None]:
    """Do something now and then, in a thread, until the block ends."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(POLL):
            look()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def stops(board: Board, job: JobReturn) -> bool:
    """Whether a job of this call has failed, which ends a sweep with ``fail_fast``."""
    return board.failed > board.failed_before or job.status == JobStatus.FAILED


def reason(run_id: str, job: JobReturn) -> str:
    """Return in words why a job left no record."""
    if job.status == JobStatus.FAILED:
        error = job._return_value
        return f"{type(error).__name__}: {error}"
    result = job.return_value if job.status == JobStatus.COMPLETED else None
    return LOST if result is None or result.row["run_id"] == run_id else CHANGED


def planned(board: Board, changed: list[str]) -> SweepResult:
    """Return what a sweep would do."""
    import pandas as pd

    status = [board.rows[run_id]["status"] if run_id in board.rows else "" for run_id in board.plan]
    table = pd.DataFrame(list(board.plan.values())).assign(status=status)
    return SweepResult(board.folder, table, board.counts, [], plan_only=True, changed=changed)


def summary(board: Board, results: "pd.DataFrame") -> "pd.DataFrame":
    """Return the summary of a sweep; replicates are jobs planned to differ in the seed alone."""
    row = next(iter(board.plan.values()))
    keys = [key for key, _ in plan.swept(row) if key != "seed"]
    planned = {key: [board.plan[run_id][key] for run_id in results["run_id"]] for key in keys}
    return summarize(results.assign(**planned), keys)


def unexpected(folder: Path, results: "pd.DataFrame") -> list[str]:
    """Return a line for each job that did not complete, unless that was expected, or differs."""
    lines = []
    for row in results.to_dict("records"):
        verdicts = store.read_expectations(folder / store.job_folder(str(row["run_id"])))
        told = any(verdict["name"] == "status" for verdict in verdicts)
        wrong = [
            f"{verdict['name']}: expected {verdict['expected']}, got {verdict['got']}"
            for verdict in verdicts
            if not verdict["held"]
        ]
        if row["status"] != "completed" and not told:
            wrong = [f"{row['status']}: {row['error']}"]
        if wrong:
            lines.append(f"{row['run_id']}: {'; '.join(wrong)}")
    return lines


def register() -> None:
    """Make sweeper and launcher known to Hydra, which looks in ``hydra_plugins`` only."""
    own = ("hydra_plugins.", "hydra._internal.core_plugins.", "runner.")
    check: Any = staticmethod(lambda name: name.startswith(own))
    Plugins.is_in_toplevel_plugins_module = check  # type: ignore[method-assign]
    for group, node in (("sweeper", RunnerSweeperConf), ("launcher", RunnerLauncherConf)):
        ConfigStore.instance().store(
            group=f"hydra/{group}", name="runner", node=node, provider="runner"
        )
    Plugins.instance().register(RunnerSweeper)
    Plugins.instance().register(RunnerLauncher)

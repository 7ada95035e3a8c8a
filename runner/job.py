"""One run: configuration in, task, files out."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner import config as configuration
from runner import expect
from runner import weights as weight_files
from runner.config import Config
from runner.environment import arithmetic, blas_threads, code_version, describe, products
from runner.lookup import (
    BadInput,
    did_you_mean,
    find,
    interrupt_behind,
    one_of,
    parameters,
    source_digest,
)
from runner.nn.training import Diverged
from runner.pictures import draw, draws
from runner.result import RunResult, check_records, make_result
from runner.tables import store
from runner.tasks import descent, functions, gradient, inference, perceptron, training
from runner.tasks.records import Progress, Records, no_progress
from runner.tasks.setup import Setup, build

TASKS: dict[str, Callable[..., Records]] = {
    "inference": inference.run,
    "training": training.run,
    "perceptron": perceptron.run,
    "functions": functions.run,
    "descent": descent.run,
    "gradient": gradient.run,
}
# What a task can refuse before it runs.
CHECKS: dict[str, Callable[[Setup], object]] = {
    "training": training.check,
    "perceptron": perceptron.check,
    "functions": lambda setup: functions.run(setup, **setup.config.task.params),
    "descent": descent.check_setup,
    "gradient": gradient.check,
}
log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # said nowhere unless somebody listens


@dataclass(frozen=True)
class Identity:
    """What a run is: two of the same run_id give the same numbers."""

    run_id: str
    config_hash: str
    data_hash: str
    weights_hash: str | None
    code_version: str
    threads: int


def identify(
    config: Config, folders: Sequence[Path], in_sweep: bool, *, download: bool = True
) -> Identity:
    """Check a configuration as far as it can be without running it, and name the run.

    Parameters
    ----------
    folders : where a user's own modules are looked for first.
    in_sweep : whether the run is a job of a sweep (then on one thread unless told otherwise).
    download : whether absent data may be fetched.

    Raises
    ------
    BadInput
        When it cannot be run.
    """
    return _identity(prepare(config, folders, download=download), folders, in_sweep)


def prepare(config: Config, folders: Sequence[Path], *, download: bool = True) -> Setup:
    """Validate a configuration and build all of it."""
    configuration.validate(config)
    expect.check_forms(config.expect)
    task_function(config, folders)
    setup = build(config, folders, download=download)
    if config.task.name in CHECKS:
        CHECKS[config.task.name](setup)
    return setup


def _identity(setup: Setup, folders: Sequence[Path], in_sweep: bool) -> Identity:
    config = setup.config
    plain = configuration.identity(config)
    threads = configuration.effective_threads(config, in_sweep)
    data_hash = setup.dataset.digest[:12]
    weights_hash = setup.weights.digest[:12] if setup.weights else None
    code = code_version()
    own = {name: source_digest(name, folders) for name in users_names(plain)}
    parts = [plain, threads, data_hash, weights_hash, code, own]
    return Identity(
        run_id=configuration.digest(parts),
        config_hash=configuration.digest(plain),
        data_hash=data_hash,
        weights_hash=weights_hash,
        code_version=code,
        threads=threads,
    )


def users_names(plain: Mapping[str, Any]) -> list[str]:
    """Return the ``module:function`` names in a configuration."""
    names = [node["name"] for node in plain.values() if isinstance(node, dict) and "name" in node]
    names += plain["network"]["activations"] or []
    return sorted({name for name in names if ":" in name})


def task_function(config: Config, folders: Sequence[Path]) -> Callable[..., Any]:
    """Return the task as a function of (setup, progress), its own parameters filled in."""
    task = find("task.name", config.task.name, TASKS, folders)
    known = list(parameters(task))[2:]
    for key in config.task.params:
        if key not in known:
            expected = one_of(known) if known else "no parameters"
            raise BadInput(f"task.params.{key}", expected, key, hint=did_you_mean(key, known))
    told = functools.partial(task, **config.task.params)
    return told if config.task.name in TASKS else checked(told)


def checked(task: Callable[..., Any]) -> Callable[..., Any]:
    """Return a task of the user's own that fails where no table or file can hold its records."""

    def run(setup: Setup, progress: Progress) -> Any:
        records = task(setup, progress)
        if isinstance(records, Records):
            check_records(records)
        return records

    return run


@contextmanager
def logging_if_possible() -> Iterator[None]:
    """Let a log that cannot be written, because the disk is full, end without a word on stderr."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


@logging_if_possible()
def run(
    config: Config,
    folder: Path,
    folders: Sequence[Path] = (),
    *,
    in_sweep: bool = False,
    progress: Progress = no_progress,
) -> RunResult:
    """Run a configuration and write its folder.

    What goes wrong while it runs is recorded there as the run's status and
    error; only an interrupt is raised again afterwards.

    Raises
    ------
    BadInput
        When it cannot be run at all; nothing is written then.
    KeyboardInterrupt
        After the record of an interrupted run is written.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    setup = prepare(config, folders)
    identity = _identity(setup, folders, in_sweep)
    task = task_function(config, folders)
    checkpoint = store.Checkpoint(folder, identity.run_id)
    setup.storage = checkpoint
    log.info("%s: %s starts", identity.run_id, config.task.name)
    ending = attempt(lambda: task(setup, progress), identity.threads)
    ended = {
        "status": ending.status,
        "error": ending.error,
        "started_at": started_at.isoformat(timespec="microseconds"),
        "duration_seconds": time.perf_counter() - started,
    }
    result = make_result(folder, setup, ending.records, named=asdict(identity), ended=ended)
    drawing = ending.status == "completed" and draws(setup, in_sweep)
    try:
        pictures = drawn(setup, result) if drawing else {}
    except KeyboardInterrupt as error:  # what has been measured is kept
        pictures, ending.interrupt = {}, error
    write(result, identity, setup.scale, pictures)
    if ending.status == "completed":
        checkpoint.remove()
    log.info("%s: %s", identity.run_id, ending.status)
    if ending.interrupt is not None:
        raise ending.interrupt
    return result


def run_in_sweep(config: Config, folder: Path, folders: Sequence[Path] = ()) -> RunResult | None:
    """Do a job of a sweep, unless another process has done it; None where one is at it.

    Of the result only folder and row are handed back. Errors are those of `run`.
    """
    with store.lock(folder, 0) as free:
        if not free:
            return None
        row: Mapping[str, Any] | None = store.read_ended(folder)
        if row is None:
            store.forget(folder)
            row = run(config, folder, folders, in_sweep=True).row
    return RunResult(folder, dict(row))


@dataclass
class Ending:
    """How a task ended; records are empty unless it completed."""

    status: str
    records: Records = field(default_factory=Records)
    error: str | None = None
    interrupt: KeyboardInterrupt | None = None


def attempt(task: Callable[[], Records], threads: int) -> Ending:
    """Do a task on a number of threads, and turn whatever stops it into its ending."""
    try:
        with products().limit(limits=threads):
            granted = blas_threads()
            if granted - {threads}:
                raise RuntimeError(f"threads: expected {threads}, got {granted} of the BLAS")
            records = task()
        if not isinstance(records, Records):
            raise TypeError(f"the task returned {type(records).__name__}, not Records")
        return Ending("completed", records)
    except Diverged as error:
        return Ending("diverged", error=str(error))
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        interrupt = interrupt_behind(error)
        if interrupt is not None:
            return Ending("interrupted", error="interrupted", interrupt=interrupt)
        log.exception("the task failed")
        return Ending("failed", error=" ".join(f"{type(error).__name__}: {error}".split()))


def drawn(setup: Setup, result: RunResult) -> dict[str, bytes]:
    """Return the pictures of a run; one that cannot be drawn is no reason to lose its numbers."""
    try:
        return draw(setup, result.records, result.tables)
    except Exception as error:
        log.exception("the figures failed")
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        result.notes.append(f"figures: none drawn: {reason}")
        return {}


def write(
    result: RunResult, identity: Identity, scale: float, pictures: Mapping[str, bytes]
) -> None:
    """Write a run's folder; the record that makes it count comes last."""
    records = result.records
    files = {
        f"{name}.csv": store.csv_text(rows.names, rows.rows).encode()
        for name, rows in result.rows.items()
    }
    if records.arrays:
        files["predictions.npz"] = store.npz(records.arrays)
    if records.weights:
        weights = weight_files.from_arrays(records.weights, "trained weights")
        metadata = {"arithmetic": arithmetic(identity.threads)}
        files["weights.safetensors"] = weight_files.dumps(weights, metadata)
    files |= {f"figures/{name}.png": picture for name, picture in pictures.items()}
    kept = {key: result.row[key] for key in ("status", "started_at", "duration_seconds")}
    record = {**asdict(identity), **kept, "input_scale": scale}
    record |= {"notes": result.notes} if result.notes else {}
    record["environment"] = describe(identity.threads)
    store.commit(result.folder, record, files)

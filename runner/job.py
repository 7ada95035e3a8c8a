"""One run: configuration in, task, files out."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner import config as configuration
from runner import expect
from runner import weights as weight_files
from runner.config import Config
from runner.environment import arithmetic, blas_threads, code_version, describe, products
from runner.expect import Verdict
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
from runner.tables import store
from runner.tables.columns import SCHEMA_VERSION, TABLES, Rows, table
from runner.tables.intervals import wilson
from runner.tasks import descent, functions, gradient, inference, perceptron, training
from runner.tasks.parts import activation_names
from runner.tasks.records import Progress, Records, no_progress, shape_rows, timing_row
from runner.tasks.setup import Setup, build

if TYPE_CHECKING:
    import pandas as pd

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
SHORT = ("x", "y", "difference")  # what a terminal shows of a run's arrays, where it is short
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


@dataclass
class RunResult:
    """How a run ended, and what it wrote.

    Attributes
    ----------
    row : the one row of results.csv.
    rows, tables : results, accuracy, timing, shapes and, where there are any, history and expect.
    verdicts : whether what was expected of the run holds.
    unchecked : words of the command line that change what the experiment sets, so that its
        expectations were not looked at.
    notes : what else is worth knowing, such as how the weights of another program were read.
    """

    folder: Path
    row: dict[str, Any]
    rows: dict[str, Rows] = field(repr=False, default_factory=dict)
    records: Records = field(repr=False, default_factory=Records)
    verdicts: list[Verdict] = field(repr=False, default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @functools.cached_property
    def tables(self) -> dict[str, "pd.DataFrame"]:
        """The tables by name."""
        return {name: rows.frame() for name, rows in self.rows.items()}

    @property
    def small(self) -> dict[str, NDArray[Any]]:
        """Outputs, and a single neuron's weights: what a terminal shows where it is short."""
        kept: dict[str, NDArray[Any]] = {}
        weights = self.records.weights or {}
        if set(weights) == {"W1", "b1"} and weights["b1"].size == 1:
            kept["weights b, w"] = np.append(weights["b1"], weights["W1"])
        arrays = self.records.arrays
        if self.records.image is not None:
            kept["image"] = self.records.image
        return kept | {name: arrays[name] for name in SHORT if name in arrays}

    def _repr_html_(self) -> str:
        """Show the run in a notebook: its tables and pictures."""
        from runner.report.notebook import run_html

        return run_html(self.row, self.tables, self.folder, self.small, self.notes)

    @property
    def as_expected(self) -> bool:
        """Whether everything expected holds; without expectations, whether it completed."""
        if not self.verdicts:
            return self.status == "completed"
        told = any(verdict.name == "status" for verdict in self.verdicts)
        return all(verdict.held for verdict in self.verdicts) and (
            told or self.status == "completed"
        )

    @property
    def status(self) -> str:
        """completed, failed, diverged or interrupted."""
        return str(self.row["status"])

    @property
    def accuracy(self) -> float | None:
        """Fraction of the samples classified correctly; None where there are no classes."""
        accuracy: float | None = self.row.get("accuracy")
        return accuracy


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
    return functools.partial(task, **config.task.params)


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
    row = {
        **dict.fromkeys(column.name for column in TABLES["results"]),
        **describe_run(setup, identity),
        **ending.records.result,
        **measured(ending.records, config),
        "status": ending.status,
        "error": ending.error,
        "started_at": started_at.isoformat(timespec="microseconds"),
        "duration_seconds": time.perf_counter() - started,
    }
    verdicts = []
    if config.expect:
        verdicts = expect.judge(config.expect, recorded(row, ending.records), config.dtype)
    rows = make_tables(setup, row, ending.records, verdicts)
    result = RunResult(folder, row, rows, ending.records, verdicts)
    if setup.weights is not None and setup.weights.note:
        result.notes.append(f"weights: {setup.weights.note}")
    pictures = {}
    if ending.status == "completed" and draws(setup, in_sweep):
        pictures = draw(setup, ending.records, result.tables)
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


def describe_run(setup: Setup, identity: Identity) -> dict[str, Any]:
    """Return the columns of results.csv that are known before the task starts."""
    config = setup.config
    trains = config.task.name in ("training", "descent")
    return {
        **asdict(identity),
        "schema_version": SCHEMA_VERSION,
        "task": config.task.name,
        "dataset": config.dataset.name,
        "network": "-".join(str(size) for size in setup.network.sizes),
        "activation": "-".join(dict.fromkeys(activation_names(config))),
        "output": config.output.name,
        "loss": config.loss.name,
        "optimizer": config.optimizer.name if trains else None,
        "batch_size": str(config.batch_size).replace(" ", ""),
        "seed": config.seed,
        "parameters": setup.network.parameters.size,
    }


def measured(records: Records, config: Config) -> dict[str, Any]:
    """Return the columns of results.csv that sum up accuracy.csv."""
    whole = [row for row in records.accuracy if row["class"] == "all"]
    if not whole:
        return {}
    row = with_interval(whole[-1])
    kept = ("n", "correct", "accuracy", "accuracy_low", "accuracy_high")
    return {key: row[key] for key in kept} | {"test_loss": row["loss"]}


def with_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an accuracy row with its fraction and Wilson interval, empty without samples."""
    n, correct = row["n"], row["correct"]
    accuracy = low = high = None
    if n and correct is not None:
        accuracy, (low, high) = correct / n, wilson(correct, n)
    return {**row, "accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}


def recorded(row: Mapping[str, Any], records: Records) -> dict[str, Any]:
    """Return all that a run records by the names that an expectation can use."""
    traced = shape_rows(records.trace)
    shapes = {f"shapes.{item['name']}": item["shape"] for item in traced}
    columns = {key for item in records.history for key in item}
    history = {f"history.{key}": [item.get(key) for item in records.history] for key in columns}
    trace = {f"trace.{name}": array for name, array in records.trace.items()}
    weights = {f"weights.{name}": array for name, array in (records.weights or {}).items()}
    moments = {
        f"{moment}.{item['name']}": item[moment] for item in traced for moment in ("mean", "std")
    }
    return {**shapes, **moments, **history, **trace, **weights, **records.arrays, **row}


def make_tables(
    setup: Setup, row: Mapping[str, Any], records: Records, verdicts: Sequence[Verdict]
) -> dict[str, Rows]:
    """Return the rows of a run's tables by name."""
    before = [
        timing_row("load", len(setup.dataset.x), setup.load_seconds, None, 1),
        timing_row("build", setup.network.parameters.size, setup.build_seconds, None, 1),
    ]
    rows: dict[str, list[Any]] = {
        "results": [row],
        "accuracy": [with_interval(item) for item in records.accuracy],
        "timing": before + records.timing,
        "shapes": shape_rows(records.trace),
        "history": records.history,
        "expect": [asdict(verdict) for verdict in verdicts],
    }
    tables = {name: table(name, rows[name]) for name in TABLES if rows[name]}
    if records.confusion is not None:
        tables["confusion"] = confusion_rows(records.confusion)
    if setup.config.task.name == "functions" and records.arrays:
        tables["functions"] = function_rows(records.arrays)
    return tables


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


def function_rows(arrays: Mapping[str, NDArray[Any]]) -> Rows:
    """Return x and what each function makes of it, a column each."""
    names, columns = list(arrays), list(arrays.values())
    return Rows(names, [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])


def confusion_rows(counts: NDArray[np.int64]) -> Rows:
    """Return confusion counts: a row per true class, a column per predicted one."""
    rows = [{"true": label} | dict(enumerate(row)) for label, row in enumerate(counts.tolist())]
    return Rows(["true", *range(len(counts))], rows)

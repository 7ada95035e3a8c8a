"""What the program can do, as functions: one run, a sweep, and the commands around them."""

import functools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer

from runner import job
from runner.choices import CONF, groups
from runner.compose.composition import plain, to_config
from runner.compose.errors import placed, to_bad_input
from runner.compose.loader import Loader, save_whole, user_folders
from runner.compose.marks import is_marked, mark
from runner.compose.recorded import origin, typed
from runner.config import Config, identity
from runner.lookup import BadInput
from runner.result import RunResult
from runner.sweeps import sweeper
from runner.sweeps.board import unwatched
from runner.sweeps.sweeper import RunnerSweeper, SweepResult
from runner.tables import store
from runner.tables.summarize import Watcher
from runner.tasks.records import Progress, no_progress

if TYPE_CHECKING:
    import pandas as pd

MAKING = (
    "oc.create",
    "oc.decode",
    "oc.deprecated",
    "oc.dict.keys",
    "oc.dict.values",
    "oc.select",
)


@contextmanager
def composer(
    config_dir: str | Path | None = None,
    *,
    builds: bool = True,
    download: bool = True,
    trusted: Sequence[Path] | None = None,
) -> Iterator[Hydra]:
    """Yield a Hydra that composes from ``conf/`` through the checked loader.

    Parameters
    ----------
    config_dir : a folder of the user's own choices, searched first.
    builds, download, trusted : see `Loader`.
    """
    version.setbase("1.3")
    register()
    search_path = create_config_search_path(str(CONF))
    if config_dir is not None:
        folder = Path(config_dir).resolve()
        check_folder(folder, config_dir)
        before_schema = SearchPathQuery(provider="schema", path=None)
        search_path.prepend("command-line", f"file://{folder}", before_schema)
    loader = Loader(search_path)
    loader.builds, loader.download, loader.trusted = builds, download, trusted
    state = GlobalHydra.instance()
    before, handlers, level = state.hydra, logging.root.handlers[:], logging.root.level
    state.clear()
    hydra = Hydra("runner", loader)
    state.initialize(hydra)
    try:
        with without_resolvers(), loader.followed.counting():
            yield hydra
    finally:
        state.hydra = before
        restore_logging(handlers, level)


@functools.cache
def register() -> None:
    """Make the schema, the sweeper and the launcher known to Hydra; once, which takes 30 ms."""
    save_whole()
    ConfigStore.instance().store(name="runner_schema", node=Config, provider="runner")
    sweeper.register()


def check_folder(folder: Path, given: str | Path) -> None:
    """Refuse a config folder that is none, or hides a choice of the program."""
    if not folder.is_dir():
        raise BadInput("--config-dir", "a folder", given, where="command line")
    built_in = groups(CONF)
    for group, choices in groups(folder).items():
        for choice in choices:
            if choice in built_in.get(group, {}):
                where = str(folder / group / f"{choice}.yaml")
                expected = f"a name that {group}/ has not already"
                raise BadInput("", expected, choice, where=where)


@contextmanager
def without_resolvers() -> Iterator[None]:
    """Take away OmegaConf's resolvers that make nodes out of text; give them back after."""
    names = [name for name in MAKING if OmegaConf.has_resolver(name)]
    kept = {name: BaseContainer._resolvers[name] for name in names}
    for name in names:
        OmegaConf.clear_resolver(name)
    try:
        yield
    finally:
        BaseContainer._resolvers.update(kept)


def restore_logging(handlers: list[logging.Handler], level: int) -> None:
    """Close what Hydra opened for a run, and give a notebook its own logging back."""
    for handler in logging.root.handlers:
        if handler not in handlers:
            handler.close()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def run(
    overrides: Sequence[str] = (),
    *,
    config_dir: str | Path | None = None,
    progress: Progress = no_progress,
    folder: Path | None = None,
    trusted: Sequence[Path] | None = None,
) -> RunResult:
    """Do one run and return what it wrote.

    Parameters
    ----------
    overrides : as on the command line, ``["experiment=and_gate", "seed=1"]``.
    config_dir : a folder of one's own choices.
    folder : that of the same run, which was stopped; a new one unless given.
    trusted : folders of which alone modules may be run; any that is named unless given.

    Raises
    ------
    BadInput
        When the configuration cannot be run; nothing is written then.
    """
    check_list(overrides)
    with composer(config_dir, trusted=trusted) as hydra:
        loader: Any = hydra.config_loader
        loader.folder = folder
        with hydras_complaints(overrides):
            begin = functools.partial(task, progress=progress, own=trusted is None)
            ended = hydra.run("config", begin, list(overrides))
        result: RunResult = ended.return_value
        result.unchecked = list(loader.unchecked)
    return result


@contextmanager
def hydras_complaints(words: Sequence[str]) -> Iterator[None]:
    """Turn what Hydra says of its own part of a configuration into bad input."""
    try:
        yield
    except (HydraException, ValueError) as error:
        ours = isinstance(error, ValueError) and not str(error).startswith("Unable to configure")
        if ours:
            raise
        raise to_bad_input(error, words) from error


def trusted_folders(
    marked: bool, config_dir: str | Path | None, own_code: bool
) -> list[Path] | None:
    """Return the folders whose modules a record may name; None, and thus any, if it is one's own.

    That it is, its mark or the user says.
    """
    if marked or own_code:
        return None
    return [] if config_dir is None else [Path(config_dir).resolve()]


def resume(
    folder: str | Path,
    *,
    config_dir: str | Path | None = None,
    own_code: bool = False,
    progress: Progress = no_progress,
) -> RunResult | None:
    """Go on with a run from its last checkpoint; return None where it is complete.

    Parameters
    ----------
    config_dir : where the folder of the user's own choices is now; its modules may be run.
    own_code : whether any ``module:function`` of a record that was not written here may be run.

    Raises
    ------
    BadInput
        When the folder is not a run's, its checkpoint is damaged, or its
        configuration, data, weights or code are no longer what they were;
        also when code would have to be run that may not be.
    """
    place = Path(folder).resolve()  # its name says which run it is
    try:
        started = origin(place)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput("", "the folder of a run or a sweep", folder, where="resume") from error
    record = store.read_record(place)
    if record is not None and record.get("status") == "completed":
        return None
    try:
        store.Checkpoint(place, store.run_id(place)).read()
    except ValueError as error:
        raise BadInput.because("", error, where="resume") from error
    marked = is_marked(place, started.words, started.config_dir)
    return run(
        started.words,
        config_dir=config_dir or started.config_dir,
        progress=progress,
        folder=place,
        trusted=trusted_folders(marked, config_dir, own_code),
    )


def sweep(overrides: Sequence[str], *, config_dir: str | Path | None = None) -> "pd.DataFrame":
    """Run a sweep and return its results, one row per job; a notebook shows them with a picture.

    Parameters and errors are those of `run`; values may be choices
    (``seed=1,2``), ranges (``seed=range(0,5)``) and globs
    (``activation=glob(*)``).
    """
    from runner.report.sweep_table import SweepTable

    result = run_sweep(overrides, config_dir=config_dir)
    return SweepTable(result.results).of(result.folder)


def run_sweep(
    overrides: Sequence[str],
    *,
    config_dir: str | Path | None = None,
    watch: Watcher = unwatched,
    folder: Path | None = None,
    trusted: Sequence[Path] | None = None,
) -> SweepResult:
    """Run what is missing of a sweep, and return its folder and results.

    ``watch`` is told of every job that ends; ``folder`` is that of a sweep that goes on, and a
    new one unless given; for ``trusted`` see `run`.
    """
    check_list(overrides)
    with composer(config_dir, trusted=trusted) as hydra:
        place = [] if config_dir is None else ["--config-dir", str(Path(config_dir).resolve())]
        RunnerSweeper.command, RunnerSweeper.watch = [*place, *overrides], staticmethod(watch)
        RunnerSweeper.place = folder
        words = [*overrides, "hydra.mode=MULTIRUN"]
        try:
            with hydras_complaints(overrides):
                result: SweepResult = hydra.multirun("config", task, words)
        except BadInput as bad:
            placed(bad, overrides)
            raise
        return result


def resume_sweep(
    folder: str | Path,
    *,
    config_dir: str | Path | None = None,
    own_code: bool = False,
    watch: Watcher = unwatched,
) -> SweepResult:
    """Run what is missing of the sweep in a folder.

    Parameters are those of `resume`, and of `run_sweep`.

    Raises
    ------
    BadInput
        When the folder is not a sweep's, its jobs are no longer what they were, or code
        would have to be run that may not be.
    """
    place = Path(folder).resolve()
    try:
        words = store.read_command(place)
    except (OSError, ValueError) as error:
        raise BadInput("", "the folder of a sweep", folder, where="resume") from error
    from runner.tables.results import FORMULA  # a sweep can start without

    if place.name.startswith(FORMULA):
        raise BadInput("", "a name that is no formula", place.name, where="resume")
    trusted = trusted_folders(is_marked(place, words, None), config_dir, own_code)
    if trusted is None:
        mark(place, words, None)
    if words[:1] == ["--config-dir"]:
        recorded, words = words[1:2], words[2:]
        config_dir = config_dir or "".join(recorded)
    passing = ("sweep.name=", "output_dir=", "sweep.plan_only=", "sweep.allow_changes=")
    words = [word for word in words if not word.lstrip("+").startswith(passing)]
    words += [f"output_dir={quoted(relative(place.parent.parent))}"]
    here = relative(place)  # which may have been moved since, and have any name
    return run_sweep(words, config_dir=config_dir, watch=watch, folder=here, trusted=trusted)


def relative(path: Path) -> Path:
    """Return a path as it is seen from the current folder, where it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def quoted(value: str | Path) -> str:
    """Return a text as a value of a command line, whatever is in it."""
    return QuotedString(str(value), Quote.single).with_quotes()


def check_list(overrides: Sequence[str]) -> None:
    """Refuse one text where a list of words is meant."""
    if isinstance(overrides, str):
        raise BadInput("overrides", 'a list of words, ["key=value"]', repr(overrides))


def task(cfg: DictConfig, progress: Progress = no_progress, own: bool = True) -> RunResult | None:
    """Do the run that Hydra has composed; in a sweep, hand back its row alone.

    One that runs code of the user's own, whose ``own`` words they are, is marked as theirs.
    """
    followed = cast(Any, GlobalHydra.instance().config_loader()).followed
    followed.begin()
    hydra, config = HydraConfig.get(), to_config(cfg)
    followed.end()
    folder, folders = Path(hydra.runtime.output_dir), user_folders(hydra)
    if hydra.mode == RunMode.MULTIRUN:
        return job.run_in_sweep(config, folder, folders)
    if own and (job.users_names(identity(config)) or hydra.job.env_copy):
        config_dir = str(folders[0]) if folders else None
        mark(folder, typed(plain(cast(Any, hydra.overrides))), config_dir)
    return job.run(config, folder, folders, progress=progress)

"""Run a recorded run again: whether it is the same run still, with the same numbers."""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from hydra.types import RunMode

from runner import agreement, job
from runner.agreement import Finding, Reproduction
from runner.app import composer
from runner.compose.composition import to_config
from runner.compose.errors import to_bad_input
from runner.compose.recorded import Origin, origin, read_config
from runner.compose.safety import leaves
from runner.config import Config, digest, identity
from runner.environment import describe
from runner.lookup import BadInput, did_you_mean, module_file, one_of, shortened
from runner.tables import store, strict
from runner.tasks.parts import load_once
from runner.tasks.records import Progress, no_progress

PLACES = ("data_dir", "dataset.path", "weights.path")  # where files are is no part of a run
ENVIRONMENT = ("cpu", "platform", "python", "versions", "arithmetic")
NAMED = ("data_hash", "weights_hash", "code_version", "threads")
RECORD: dict[str, Any] = {
    **dict.fromkeys(("run_id", "config_hash", "data_hash", "code_version", "status"), str),
    **{"weights_hash": (str, type(None)), "threads": int, "environment": dict, "files": dict},
}


def reproduce(
    folder: str | Path,
    places: Mapping[str, str] | None = None,
    *,
    config_dir: str | Path | None = None,
    own_code: bool = False,
    allow_changes: bool = False,
    strict_times: bool = False,
    progress: Progress = no_progress,
) -> Reproduction:
    """Check that the run in a folder is what it was, run it again, and compare its numbers.

    It is run in the folder that it was started in, where that is still there, and writes into
    a temporary one. Where configuration, data or weights have changed it would be another run,
    and is not done unless ``allow_changes``. Code that only the record names is not run: it may
    be a stranger's.

    Parameters
    ----------
    folder : of a single run, or of a job of a sweep.
    places : where data and weights are now, by `PLACES`.
    config_dir : where the folder of the user's own choices is now; its modules may be run.
    own_code : whether any ``module:function`` of the record may be run.
    strict_times : whether a time outside its interval means that it is not reproduced.

    Raises
    ------
    BadInput
        When the folder is not that of a run that has ended, or code would have to be run
        that may not be.
    """
    place = Path(folder).resolve()
    check_folder(place, folder)
    found = Reproduction(place, allow_changes=allow_changes, strict_times=strict_times)
    record = read_record(place, found)
    if record is None:
        return found
    moved = {key: str(Path(path).absolute()) for key, path in checked(places or {}).items()}
    named = None if config_dir is None else Path(config_dir).absolute()
    try:
        started = origin(place)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found.same.append(broken(".hydra", error))
        return found
    if named is not None:
        started = started._replace(config_dir=str(named))
    with within(started.cwd, imports=own_code):
        config = check_configuration(found, record, started)
        if config is not None and (own_code or may_run(found, config, started, named)):
            again(found, record, config, started, moved, progress)
    return found


def check_folder(place: Path, given: str | Path) -> None:
    """Refuse what is not the folder of a run that has ended."""
    where = "reproduce"
    if store.is_sweep(place):
        hint = f"its jobs are in {given}/jobs"
        raise BadInput("", "the folder of a run", f"the sweep {given}", where=where, hint=hint)
    if not (place / ".hydra").is_dir():
        raise BadInput("", "the folder of a run", given, where=where)
    if not (place / store.RECORD).exists():
        hint = f"runner resume {given}"
        raise BadInput(
            "", "a run that has ended", f"{given} without {store.RECORD}", where=where, hint=hint
        )


def checked(places: Mapping[str, str]) -> Mapping[str, str]:
    """Refuse keys that change more than where files are."""
    for key in places:
        if key not in PLACES:
            hint = did_you_mean(key, PLACES)
            raise BadInput(key, one_of(PLACES), key, where="reproduce", hint=hint)
    return places


def read_record(place: Path, found: Reproduction) -> dict[str, Any] | None:
    """Return the record of a run, None where it or a file of it is not as it was written."""
    try:
        record = strict.read_json(place / store.RECORD)
        wrong = [
            name
            for name, kind in RECORD.items()
            if not isinstance(record, dict) or not isinstance(record.get(name, 0.0), kind)
        ]
        if wrong:
            raise ValueError(f"expected a run's {wrong[0]}, got something else")
        found.same += [
            Finding(name, expected, got, False, "the file is not as it was written")
            for name, expected, got in store.damaged(place, record)
        ]
        row = strict.read_csv(place / "results.csv", "results")[0]
    except (ValueError, OSError, TypeError) as error:
        found.same.append(broken(store.RECORD, error))
        return None
    for name in ("run_id", "status", "config_hash", *NAMED):
        said, told = str(record[name] or ""), row.get(name, "")
        if said != told:
            note = f"in {store.RECORD}; results.csv has {told or 'none'}"
            found.same.append(Finding(name, told, said, False, note))
    if record["status"] == "interrupted":
        hint = f"runner resume {place}"
        raise BadInput("", "a run that was not interrupted", place, where="reproduce", hint=hint)
    return None if found.changed else record


def broken(what: str, error: Exception) -> Finding:
    """Return the finding of what cannot be read."""
    return Finding(what, "readable", "not", False, " ".join(f"{error}".split()))


@contextlib.contextmanager
def within(folder: Path, *, imports: bool) -> Iterator[None]:
    """Work in a folder; here, where it is no more.

    Modules are not imported from it (a relative import path would follow) unless ``imports``.
    """
    before = sys.path[:]
    sys.path[:] = [str(Path(entry).absolute()) for entry in before]
    with contextlib.chdir(folder if folder.is_dir() else "."):
        if imports:
            sys.path.append(str(Path.cwd()))
        try:
            yield
        finally:
            sys.path[:] = before


def may_run(found: Reproduction, config: Config, started: Origin, named: Path | None) -> bool:
    """Whether all code is the program's, or of a folder that the user has named.

    Raises
    ------
    BadInput
        When it is not, and nothing else keeps the run from being done again.
    """
    for name in job.users_names(identity(config)):
        if named is not None and module_file(name, named).is_file():
            continue
        if found.changed and found.changed[0].what == "configuration" and not found.allow_changes:
            return False
        expected = f"the folder of {name}, which the record names"
        hint = f"--own-code runs it, of {started.config_dir or started.cwd}"
        raise BadInput("--config-dir", expected, named or "none", where="reproduce", hint=hint)
    return True


def again(
    found: Reproduction,
    record: Mapping[str, Any],
    config: Config,
    started: Origin,
    moved: Mapping[str, str],
    progress: Progress,
) -> None:
    """Check what a run was made of, and run it again if it is the same or changes are allowed."""
    for key, path in moved.items():
        node, _, name = key.rpartition(".")
        setattr(getattr(config, node) if node else config, name, path)
    folders = [Path(started.config_dir)] if started.config_dir else []
    load_once.cache_clear()  # data that this process has read may have changed since
    try:
        now = job.identify(config, folders, started.in_sweep)
    except BadInput as bad:
        found.same.append(Finding("inputs", "usable", "not", False, needed(bad, started)))
        return
    found.same += same_inputs(record, now, config)
    found.conditions += conditions(record["environment"], describe(now.threads))
    mattering = [item for item in found.changed if item.what not in ("choices", "code", "modules")]
    if mattering and not found.allow_changes:
        return
    recorded = record["environment"].get("arithmetic")
    found.exact = recorded == describe(now.threads)["arithmetic"]
    with tempfile.TemporaryDirectory(prefix="runner-") as temporary:
        quiet = dataclasses.replace(config, figures="none")
        place = Path(temporary, "run")
        result = job.run(quiet, place, folders, in_sweep=started.in_sweep, progress=progress)
        sizes = [int(size) for size in result.row["network"].split("-")]
        tolerance = None if found.exact else agreement.rounding(sizes, config.dtype)
        files = list(record["files"])
        found.numbers = list(agreement.numbers(found.folder, place, files, tolerance))
        if result.status == record["status"] == "completed":
            try:
                found.times = list(agreement.times(found.folder, place))
            except ValueError as error:
                found.same.append(broken("timing.csv", error))


def check_configuration(
    found: Reproduction, record: Mapping[str, Any], started: Origin
) -> Config | None:
    """Return the recorded configuration, None where there is none to be read.

    It is compared by hash, and with what the words of the command line compose to now.
    """
    expected = record["config_hash"]
    then = now = None
    with composer(builds=False):
        try:
            then = read_config(found.folder)
        except Exception as error:  # OmegaConf raises many kinds
            reason = error if isinstance(error, BadInput) else to_bad_input(error, ())
            found.same.append(broken("configuration", ValueError(f".hydra/config.yaml: {reason}")))
    try:
        now = composed(started)
    except BadInput as bad:
        note = needed(bad, started)
        found.same.append(Finding("choices", expected, "none", False, note))
    if then is None:
        return None
    differing = differences(then, now) if now is not None else []
    if (got := digest(identity(then))) != expected:
        note = f".hydra/config.yaml: {'; '.join(back(differing)) or 'not what the hash is of'}"
        found.same.insert(0, Finding("configuration", expected, got, False, note))
        return then
    found.same.insert(0, Finding("configuration", expected, got, True))
    if differing and now is not None:
        words = "; ".join(f"{key}: {one} -> {two}" for key, one, two in differing)
        note = f".hydra or a file of choices: {words}"
        found.same.append(Finding("choices", expected, digest(identity(now)), False, note))
    return then


def back(differing: list[tuple[str, str, str]]) -> list[str]:
    """Return differences in words, the other way round."""
    return [f"{key}: {two} -> {one}" for key, one, two in differing]


def composed(started: Origin) -> Config:
    """Return what a run's words compose to now; raise BadInput where they do not."""
    given = started.config_dir
    if given is not None and not Path(given).is_dir():
        raise BadInput("--config-dir", "the run's folder of choices", f"none at {given}")
    words = [word for word in started.words if not word.startswith("hydra")]
    words += [word for word in started.words if word.startswith("hydra.searchpath=")]
    with composer(given, builds=False) as hydra:
        loader = cast(Any, hydra.config_loader)
        return to_config(loader.load_configuration("config", words, RunMode.RUN))


def differences(then: Config, now: Config) -> list[tuple[str, str, str]]:
    """Return the keys of two configurations that differ, with their values."""
    sides = [dict(leaves(dataclasses.asdict(config))) for config in (then, now)]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    values = [(key, *(shown(side, key) for side in sides)) for key in keys]
    return [(key, one, two) for key, one, two in values if one != two]


def shown(side: Mapping[str, Any], key: str) -> str:
    """Return a value in a few words."""
    return shortened(side[key], 40) if key in side else "none"


def needed(bad: BadInput, started: Origin) -> str:
    """Return what is wrong, and what would help where it is only a matter of place."""
    text = str(bad)
    if bad.field == "--config-dir":
        return f"{text}; say where it is: --config-dir DIR"
    if bad.field in PLACES and not started.cwd.is_dir():
        return f"{text}; started in {started.cwd}, which is gone: say where, {bad.field}=PATH"
    return f"{text}; if it is elsewhere, {bad.field}=PATH" if bad.field in PLACES else text


def same_inputs(record: Mapping[str, Any], now: job.Identity, config: Config) -> Iterator[Finding]:
    """Yield a finding for data, weights, threads and code, by their hashes."""
    data = config.dataset.path or config.data_dir
    notes = {
        "data_hash": f"dataset={config.dataset.name}" + (f", {data}" if data else ""),
        "weights_hash": f"weights={config.weights.name}"
        + (f", {config.weights.path}" if config.weights.path else ""),
        "code_version": "the program itself",
    }
    held = True
    for name in NAMED:
        before, after = (str(value or "none") for value in (record[name], getattr(now, name)))
        note = notes.get(name, "") if before != after else ""
        what = name.removesuffix("_hash").removesuffix("_version")
        yield Finding(what, before, after, before == after, note)
        held = held and before == after
    if held and now.config_hash == record["config_hash"] and now.run_id != record["run_id"]:
        note = "a module of your own has changed"
        yield Finding("modules", record["run_id"], now.run_id, False, note)


def conditions(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what has changed of the machine and the libraries."""
    sides = [dict(leaves({name: side.get(name) for name in ENVIRONMENT})) for side in (then, now)]
    for name in sides[0].keys() & sides[1].keys():  # not every run has loaded every library
        if sides[0][name] != sides[1][name]:
            before, after = (str(side[name] or "not recorded") for side in sides)
            yield Finding(name.removeprefix("versions."), before, after, False)

"""The one way in: every composition, of a run, a sweep or a worker, is checked here."""

import itertools
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra.core import utils
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from runner import job
from runner.compose import expectations
from runner.compose.composition import Composition, Plain, plain, to_config
from runner.compose.errors import placed, to_bad_input
from runner.compose.limits import Counted, Followed
from runner.compose.repository import Repository, copier
from runner.compose.safety import (
    check_no_code,
    check_overrides,
    related,
    typed_variables,
)
from runner.config import Config, identity
from runner.lookup import BadInput, module_file
from runner.tables import store

# What a loader keeps of what it has composed, and in a worker the loader that was sent last: a
# launcher's plugin sends a copy with every job.
MEMORY = ("composed", "merged", "identities", "parsed", "groups", "keys")
KEPT: dict[str, dict[str, Any]] = {}

WHOLE_NUMBER = re.compile(r"([\w.]+)=(0|-?[1-9][0-9]*)")


class SweepJob(NamedTuple):
    """One job of a sweep: its configuration as it is used, and as Hydra's files have it."""

    config: Config
    own: Plain
    hydra: Plain


@dataclass
class Merged(ResultDefault):
    """Files at the beginning of a defaults list, which have been merged before."""

    content: Callable[[], DictConfig] = field(default=OmegaConf.create)


class Loader(ConfigLoaderImpl):
    """Hydra's loader with the checks of this program.

    Attributes
    ----------
    builds : whether composing a run also builds it, to check it and to name its folder.
    download : whether building it may fetch data.
    folder : the folder of a run that goes on; None for a new one.
    trusted : folders whose modules may be run, where the words are those of a record; None where
        the user has typed them, and may run whatever they name.
    unchecked : words of the last composition that change what its experiment sets itself. Its
        expectations are of the experiment as it is written, and are then left out.
    """

    builds = True
    download = True
    folder: Path | None = None
    trusted: Sequence[Path] | None = None
    unchecked: tuple[str, ...] = ()

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = Repository(config_search_path)
        self.token = uuid.uuid4().hex
        self.composed: dict[tuple[str, ...], Composition] = {}
        self.merged: dict[tuple[Any, ...], Merged] = {}
        self.identities: dict[tuple[str, ...], job.Identity] = {}
        self.parsed: dict[str, Override] = {}
        self.groups: dict[str, bool] = {}
        self.keys: dict[str, list[str]] = {}
        self.followed = Followed()

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what has been composed: it is large, and quickly made again."""
        return {key: value for key, value in vars(self).items() if key not in MEMORY}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Go on with what an earlier copy of the same loader has composed in this process."""
        save_whole()
        if state["token"] not in KEPT:
            KEPT.clear()
            KEPT[state["token"]] = {name: {} for name in MEMORY}
        vars(self).update(state | KEPT[state["token"]])

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose and check a configuration.

        Raises
        ------
        BadInput
            For anything that is wrong with it.
        """
        with complaints(overrides):
            self.followed.begin()
            check_overrides(overrides, typed_variables(self._typed(overrides)))
            cfg = super().load_configuration(
                config_name, overrides, run_mode, from_shell, validate_sweep_overrides
            )
            self._leave_out_expectations(cfg, overrides)
            self._check(plain(cfg), overrides)
            self._place(cfg, run_mode)
        return cfg

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed, repo = super()._parse_overrides_and_create_caching_repo(config_name, overrides)
        return parsed, Counted(repo)

    def _compose_config_from_defaults_list(
        self, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        """Merge files; Hydra's own, with which every list begins, once for all jobs."""
        own = list(itertools.dropwhile(is_hydras, defaults))
        first = defaults[: len(defaults) - len(own)]
        key = tuple((item.config_path, item.package) for item in first)
        if key not in self.merged:
            content = super()._compose_config_from_defaults_list(first, repo)
            self.merged[key] = Merged(content=copier(content))
        return super()._compose_config_from_defaults_list([self.merged[key], *own], repo)

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        if isinstance(default, Merged):
            return ConfigResult("hydra", "", default.content(), {"package": None})
        return super()._load_single_config(default, repo)

    def _typed(self, words: Sequence[str]) -> Sequence[str]:
        """Return the words that the user has typed."""
        return words if self.trusted is None else ()

    def _check(self, composed: Plain, words: Sequence[str]) -> None:
        """Refuse what could run code, and words that a file has put among those of a record."""
        check_no_code(composed, self._typed(words))
        recorded = [
            *composed["hydra"]["overrides"]["hydra"],
            *composed["hydra"]["overrides"]["task"],
        ]
        if len(recorded) != len(words):
            added = ", ".join(word for word in map(str, recorded) if word not in words)
            raise BadInput("hydra.overrides", "nothing (this key is the program's)", added)

    def _check_modules(self, config: Config) -> None:
        """Refuse code that only a record names, and that may thus be a stranger's."""
        for name in job.users_names(identity(config)) if self.trusted is not None else ():
            if not any(module_file(name, folder).is_file() for folder in self.trusted or ()):
                expected = f"the folder of {name}, which the record names"
                hint = "--own-code runs whatever it names"
                given = ", ".join(map(str, self.trusted or ())) or "none"
                raise BadInput("--config-dir", expected, given, where="resume", hint=hint)

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Compose one job of a sweep, its folder below the sweep's.

        Raises
        ------
        BadInput
            For anything that is wrong with it.
        """
        made, values = self._composed(master_config, sweep_overrides)
        cfg = made.whole()
        self._apply_overrides_to_config(values, cfg)
        self._leave_out_expectations(cfg, sweep_overrides)
        hydra = self._hydra_of(master_config, sweep_overrides, made)
        cfg.hydra.overrides.task = hydra["overrides"]["task"]
        cfg.hydra.job.override_dirname = hydra["job"]["override_dirname"]
        cfg.hydra.job.chdir = False
        cfg.hydra.sweep.dir = hydra["sweep"]["dir"]
        cfg.hydra.sweep.subdir = hydra["sweep"]["subdir"]
        OmegaConf.copy_cache(from_config=master_config, to_config=cfg)
        return cfg

    def load_job(self, master: DictConfig, words: list[str], number: int) -> SweepJob:
        """Return what `load_sweep_config` and a launcher make of one job, in a tenth of the time.

        Raises
        ------
        BadInput
            For anything that is wrong with it.
        """
        made, values = self._composed(master, words)
        config, own = made.configure(values)
        if self._changes_experiment(bool(config.expect), words):
            config.expect, own["expect"] = {}, {}
        hydra = self._hydra_of(master, words, made)
        hydra["job"] |= {"id": str(number), "num": number}
        folder = Path(hydra["sweep"]["dir"], hydra["sweep"]["subdir"])
        hydra["runtime"] = hydra["runtime"] | {"output_dir": str(folder.absolute())}
        return SweepJob(config, own, hydra)

    def _hydra_of(self, master: DictConfig, words: list[str], made: Composition) -> Plain:
        """Return Hydra's part of one job as plain containers."""
        run_id = self.identify(master, words).run_id
        parsed = [self._parse(word) for word in words]
        overrides = [override for override in parsed if not override.is_hydra_override()]
        hydra = dict(made.hydra)
        dirname = get_overrides_dirname(overrides, **hydra["job"]["config"]["override_dirname"])
        hydra["overrides"] = hydra["overrides"] | {"task": [o.input_line for o in overrides]}
        hydra["job"] = hydra["job"] | {"override_dirname": dirname, "chdir": False}
        place = {"dir": str(master.hydra.sweep.dir), "subdir": store.job_folder(run_id)}
        hydra["sweep"] = hydra["sweep"] | place
        return hydra

    def identify(self, master: DictConfig, words: list[str]) -> job.Identity:
        """Check one job of a sweep as far as it can be without running it, and name it.

        Raises
        ------
        BadInput
            For anything that is wrong with it.
        """
        key = tuple(words)
        if key not in self.identities:
            with complaints(words):
                self.identities[key] = self._identify(master, words)
        return self.identities[key]

    def seed(self, master: DictConfig, words: list[str]) -> int:
        """Return the seed of one job of a sweep; raises like `identify`."""
        with complaints(words):
            made, values = self._composed(master, words)
            return made.configure(values)[0].seed

    def _identify(self, master: DictConfig, words: list[str]) -> job.Identity:
        made, values = self._composed(master, words)
        config, _ = made.configure(values)
        if self._changes_experiment(bool(config.expect), words):
            config.expect = {}
        check_output_dir(config.output_dir)
        self._check_modules(config)
        return job.identify(config, user_folders(master.hydra), True, download=self.download)

    def _composed(self, master: DictConfig, words: list[str]) -> tuple[Composition, list[Override]]:
        """Return what a job's choices make, and the plain values that are to be set on it."""
        self.followed.begin()
        new = [word for word in words if word not in self.parsed]
        check_overrides(new, plain(master.hydra.job)["env_copy"])
        values: list[Override] = []
        choices: list[str] = []
        changed: list[str] = []
        for override in map(self._parse, reversed(words)):
            key = override.key_or_group
            if override.is_hydra_override():
                raise BadInput(key, "no key of hydra's in a job of a sweep", override.input_line)
            if self._is_value(override) and not any(related(key, other) for other in changed):
                values.insert(0, override)
                continue
            choices.insert(0, str(override.input_line))
            if not self._is_group(key):
                changed.append(key)  # what stands before it and is about the same comes before it
        shared = (*plain(master.hydra.overrides.hydra), *choices)
        if shared not in self.composed:
            name = master.hydra.job.config_name
            made = super().load_configuration(name, list(shared), RunMode.RUN)
            self._check(plain(made), shared)
            self.composed[shared] = Composition(made)
        return self.composed[shared], values

    def _parse(self, word: str) -> Override:
        if word in self.parsed:
            return self.parsed[word]
        if number := WHOLE_NUMBER.fullmatch(word):  # a range of seeds has as many as jobs
            key, value = number[1], int(number[2])
            parsed = Override(OverrideType.CHANGE, key, ValueType.ELEMENT, value, input_line=word)
        else:
            (parsed,) = OverridesParser.create().parse_overrides([word])
        self.parsed[word] = parsed
        return parsed

    def _is_value(self, override: Override) -> bool:
        """Whether an override only sets a key that is there."""
        changes = override.is_add() or override.is_force_add() or override.is_delete()
        if changes or override.package is not None or override.is_hydra_override():
            return False
        return not self._is_group(override.key_or_group)

    def _is_group(self, key: str) -> bool:
        if key not in self.groups:
            self.groups[key] = self.repository.group_exists(key)
        return self.groups[key]

    def _leave_out_expectations(self, cfg: DictConfig, overrides: Sequence[str]) -> None:
        if self._changes_experiment(bool(cfg.expect), overrides):
            cfg.expect = {}

    def _changes_experiment(self, expects: bool, overrides: Sequence[str]) -> bool:
        known = expectations.Known(self.repository, self.keys)
        self.unchecked = expectations.changed(known, overrides) if expects else ()
        return bool(self.unchecked)

    def _place(self, cfg: DictConfig, run_mode: RunMode) -> None:
        """Check the values of a configuration, and name the folders of what it runs."""
        cfg.hydra.job.chdir = False
        try:
            config = to_config(cfg)
        except MissingMandatoryValue:
            if run_mode != RunMode.MULTIRUN:
                raise
            return  # it may be swept over; every job is checked before the first one runs
        if run_mode == RunMode.RUN and cfg.hydra.mode == RunMode.MULTIRUN:
            raise BadInput("hydra.mode", "RUN, or -m for a sweep", "MULTIRUN")
        if run_mode == RunMode.RUN and self.builds:
            check_output_dir(config.output_dir)
            self._check_modules(config)
            folders = user_folders(cfg.hydra)
            named = job.identify(config, folders, in_sweep=False, download=self.download)
            new = store.run_folder(config.output_dir, named.run_id, datetime.now(UTC))
            check_same(self.folder, named.run_id)
            cfg.hydra.run.dir = str(self.folder or new)


@contextmanager
def complaints(words: list[str]) -> Iterator[None]:
    """Turn whatever is wrong with a configuration into bad input that says where it is."""
    try:
        yield
    except BadInput as bad:
        placed(bad, words)
        raise
    except Exception as error:
        raise to_bad_input(error, words) from error


def save_whole() -> None:
    """Let Hydra write its files of a job as all others are: whole, whenever it is killed."""

    def save(cfg: DictConfig, filename: str, output_dir: Path) -> None:
        store.write_bytes(output_dir / filename, OmegaConf.to_yaml(cfg).encode())

    utils._save_config = save


def is_hydras(default: ResultDefault) -> bool:
    """Whether a file of a defaults list is one of Hydra's own."""
    return str(default.config_path).startswith("hydra/")


def check_output_dir(output_dir: str) -> None:
    """Refuse an output folder that is or lies below something else than a folder."""
    places = (Path(output_dir), *Path(output_dir).parents)
    place = next(path for path in places if path.exists())
    if not place.is_dir():
        raise BadInput("output_dir", "a folder", f"the file {place}")


def check_same(folder: Path | None, run_id: str) -> None:
    """Refuse to go on in the folder of a run that was another one."""
    if folder is not None and store.run_id(folder) != run_id:
        expected = f"the run {store.run_id(folder)} (configuration, data, weights and code)"
        raise BadInput("", expected, run_id, where=str(folder))


def user_folders(hydra: Any) -> list[Path]:
    """Return the folders in which a user's own modules are looked for: that of --config-dir."""
    sources = hydra["runtime"]["config_sources"]
    return [Path(source["path"]) for source in sources if source["provider"] == "command-line"]

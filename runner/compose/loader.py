"""The one way in: every composition, of a run, a sweep or a worker, is checked here."""

import copy
import functools
import pickle
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ConfigDefault, GroupDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf, open_dict

from runner import job
from runner.compose.errors import placed, related, to_bad_input
from runner.compose.safety import check_no_code, check_overrides, check_values, leaves
from runner.config import Config
from runner.lookup import BadInput, did_you_mean
from runner.tables import store

# Where things are and how often they are timed change no result that can be expected.
NEUTRAL = (
    *("experiment", "expect", "data_dir", "output_dir", "weights.path", "dataset.path"),
    *("figures", "threads", "timing", "hydra"),
)

Copier = Callable[[], DictConfig]


class Loader(ConfigLoaderImpl):
    """Hydra's loader with the checks of this program.

    Attributes
    ----------
    builds : whether composing a run also builds it, to check it and to name its folder.
    download : whether building it may fetch data.
    folder : the folder of a run that goes on; None for a new one.
    unchecked : words of the last composition that change what its experiment sets itself. Its
        expectations are of the experiment as it is written, and are then left out.
    """

    builds = True
    download = True
    folder: Path | None = None
    unchecked: tuple[str, ...] = ()

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.composed: dict[tuple[str, ...], tuple[Copier, Copier]] = {}
        self.identities: dict[tuple[str, ...], job.Identity] = {}
        self.parsed: dict[str, Override] = {}
        self.groups: dict[str, bool] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what a worker, which gets its job composed, has no use for."""
        empty: dict[str, Any] = {"composed": {}, "identities": {}, "parsed": {}}
        return vars(self) | empty

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
        try:
            check_overrides(overrides)
            cfg = super().load_configuration(
                config_name, overrides, run_mode, from_shell, validate_sweep_overrides
            )
            if config_name is not None:
                self._leave_out_expectations(cfg, overrides)
                check_no_code(plain(cfg))
                self._place(cfg, run_mode)
        except BadInput as bad:
            placed(bad, overrides)
            raise
        except Exception as error:
            raise to_bad_input(error, overrides) from error
        return cfg

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Compose one job of a sweep, its folder below the sweep's.

        Raises
        ------
        BadInput
            For anything that is wrong with it.
        """
        identity = self.identify(master_config, sweep_overrides)
        whole, _, values = self._composed(master_config, sweep_overrides)
        cfg = whole()
        self._apply_overrides_to_config(values, cfg)
        self._leave_out_expectations(cfg, sweep_overrides)
        parsed = [self._parse(word) for word in sweep_overrides]
        overrides = [override for override in parsed if not override.is_hydra_override()]
        options = plain(cfg.hydra.job.config.override_dirname)
        cfg.hydra.overrides.task = [override.input_line for override in overrides]
        cfg.hydra.job.override_dirname = get_overrides_dirname(overrides, **options)
        cfg.hydra.job.chdir = False
        cfg.hydra.sweep.dir = master_config.hydra.sweep.dir
        cfg.hydra.sweep.subdir = store.job_folder(identity.run_id)
        OmegaConf.copy_cache(from_config=master_config, to_config=cfg)
        return cfg

    def identify(self, master: DictConfig, words: list[str]) -> job.Identity:
        """Check one job of a sweep as far as it can be without running it, and name it.

        Raises
        ------
        BadInput
            For anything that is wrong with it.
        """
        key = tuple(words)
        if key not in self.identities:
            try:
                self.identities[key] = self._identify(master, words)
            except BadInput as bad:
                placed(bad, words)
                raise
            except Exception as error:
                raise to_bad_input(error, words) from error
        return self.identities[key]

    def _identify(self, master: DictConfig, words: list[str]) -> job.Identity:
        check_overrides([word for word in words if word not in self.parsed])
        _, own, values = self._composed(master, words)
        cfg = own()
        self._apply_overrides_to_config(values, cfg)
        self._leave_out_expectations(cfg, words)
        if any("$" in str(override.input_line) for override in values):
            check_values(plain(cfg))
        config = to_config(cfg)
        check_output_dir(config.output_dir)
        return job.identify(config, user_folders(master.hydra), True, download=self.download)

    def _composed(
        self, master: DictConfig, words: list[str]
    ) -> tuple[Copier, Copier, list[Override]]:
        """Return what a job's choices make, whole and without Hydra's part, and its plain values.

        Composing takes longer than most jobs, so it is done once for all jobs
        that make the same choices. Plain values come last in any composition:
        they are set on a copy, which is quickest as a pickle.
        """
        values: list[Override] = []
        choices: list[str] = []
        changed: list[str] = []
        for override in map(self._parse, reversed(words)):
            key = override.key_or_group
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
            check_no_code(plain(made))
            whole = copier(made)
            own = whole()
            with open_dict(own):
                del own["hydra"]  # a masked copy would have lost its types, and take any key
            self.composed[shared] = whole, copier(own)
        return *self.composed[shared], values

    def _parse(self, word: str) -> Override:
        if word not in self.parsed:
            (self.parsed[word],) = OverridesParser.create().parse_overrides([word])
        return self.parsed[word]

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

    def _leave_out_expectations(self, cfg: DictConfig, overrides: list[str]) -> None:
        chosen = [word.partition("=")[2] for word in overrides if word.startswith("experiment=")]
        names = [name for value in chosen for name in re.findall(r"[\w./-]+", value)]
        sets = [key for name in names for key in self._keys_of(f"experiment/{name}") if cfg.expect]
        changed = []
        for word in overrides:
            key = word.lstrip("+~").partition("=")[0]
            if not key.startswith(NEUTRAL) and any(related(key, own) for own in sets):
                changed.append(word)
        self.unchecked = tuple(changed)
        if changed:
            cfg.expect = {}

    def _keys_of(self, path: str) -> list[str]:
        """Return the keys that a file sets and the groups that it chooses from."""
        loaded = self.repository.load_config(path)
        if loaded is None:
            return []
        content = OmegaConf.to_container(loaded.config, resolve=False)
        defaults = [item for item in loaded.defaults_list or () if isinstance(item, GroupDefault)]
        groups = [str(item.group).lstrip("/") for item in defaults]
        own = [key for key, _ in leaves(content) if not key.startswith("expect")]
        parents = [item for item in loaded.defaults_list or () if isinstance(item, ConfigDefault)]
        folder = path.rpartition("/")[0]
        inherited = [
            key
            for item in parents
            if item.path not in (None, "_self_")
            for key in self._keys_of(f"{folder}/{item.path}")
        ]
        return own + groups + inherited

    def _place(self, cfg: DictConfig, run_mode: RunMode) -> None:
        """Check the values of a configuration, and name the folders of what it runs."""
        cfg.hydra.job.chdir = False
        config = to_config(cfg)
        if run_mode == RunMode.RUN and self.builds:
            in_sweep = cfg.hydra.mode == RunMode.MULTIRUN
            check_output_dir(config.output_dir)
            identity = job.identify(
                config, user_folders(cfg.hydra), in_sweep, download=self.download
            )
            now = datetime.now(UTC)
            new = store.run_folder(config.output_dir, identity.run_id, now)
            check_same(self.folder, identity.run_id)
            cfg.hydra.run.dir = str(self.folder or new)
            cfg.hydra.sweep.subdir = store.job_folder(identity.run_id)


def copier(cfg: DictConfig) -> Copier:
    """Return what makes copies: a pickle is quickest, but some plugins' classes have none."""
    try:
        return functools.partial(pickle.loads, pickle.dumps(cfg))
    except pickle.PicklingError:
        return functools.partial(copy.deepcopy, cfg)


def check_output_dir(output_dir: str) -> None:
    """Refuse an output folder that is or lies below something else than a folder."""
    for path in (Path(output_dir), *Path(output_dir).parents):
        if path.exists():
            if not path.is_dir():
                raise BadInput("output_dir", "a folder", f"the file {path}")
            return


def check_same(folder: Path | None, run_id: str) -> None:
    """Refuse to go on in the folder of a run that was another one."""
    if folder is not None and store.run_id(folder) != run_id:
        expected = f"the run {store.run_id(folder)} (configuration, data, weights and code)"
        raise BadInput("", expected, run_id, where=str(folder))


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Return an unresolved configuration as plain containers."""
    result: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)  # type: ignore[assignment]
    return result


def to_config(cfg: DictConfig) -> Config:
    """Return the configuration as its dataclass, every interpolation resolved.

    Raises
    ------
    BadInput
        For a key that the schema does not have.
    omegaconf.errors.OmegaConfBaseException
        For a value that is missing or cannot be resolved.
    """
    check_keys(cfg, Config)
    values: dict[str, Any] = {item.name: cfg[item.name] for item in fields(Config)}
    for key, value in values.items():
        if isinstance(value, Container):
            values[key] = OmegaConf.to_object(value)
    return Config(**values)


def check_keys(node: Any, kind: Any, path: str = "") -> None:
    """Refuse keys that were added (``+key=...``) to a node that has a schema."""
    known = {item.name: getattr(item, "type", None) for item in fields(kind)}
    for key in node:
        if key not in known and not (path == "" and key == "hydra"):
            hint = did_you_mean(str(key), known, path)
            raise BadInput(f"{path}{key}", f"a key of {kind.__name__}", key, hint=hint)
        if key in known and is_dataclass(known[key]) and node._get_node(key) is not None:
            check_keys(node[key], known[key], f"{path}{key}.")


def user_folders(hydra: Any) -> list[Path]:
    """Return the folders in which a user's own modules are looked for: that of --config-dir."""
    sources = hydra.runtime.config_sources
    return [Path(source.path) for source in sources if source.provider == "command-line"]

"""The one way in: every composition, of a run, a sweep or a worker, is checked here."""

import pickle
import re
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
from omegaconf import Container, DictConfig, OmegaConf

from runner import job
from runner.compose.errors import placed, related, to_bad_input
from runner.compose.safety import check_no_code, check_overrides, leaves
from runner.config import Config
from runner.lookup import BadInput, did_you_mean
from runner.tables import store

# Where things are and how often they are timed change no result that can be expected.
NEUTRAL = (
    *("experiment", "expect", "data_dir", "output_dir", "weights.path", "dataset.path"),
    *("figures", "threads", "timing", "hydra"),
)


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
        self.composed: dict[tuple[str, ...], bytes] = {}
        self.parsed: dict[str, Override] = {}

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

        Composing takes longer than most jobs. So what the choices make is
        composed once for all jobs that make the same choices; plain values
        come last in any composition, and are set on a copy of it.

        Raises
        ------
        BadInput
            For anything that is wrong with it.
        """
        try:
            cfg = self._job(master_config, sweep_overrides)
        except BadInput as bad:
            placed(bad, sweep_overrides)
            raise
        except Exception as error:
            raise to_bad_input(error, sweep_overrides) from error
        OmegaConf.copy_cache(from_config=master_config, to_config=cfg)
        cfg.hydra.sweep.dir = master_config.hydra.sweep.dir
        return cfg

    def _job(self, master: DictConfig, words: list[str]) -> DictConfig:
        check_overrides([word for word in words if word not in self.parsed])
        overrides = [self._parse(word) for word in words]
        values = [override for override in overrides if self._is_value(override)]
        choices = [override.input_line for override in overrides if override not in values]
        shared = (*plain_list(master.hydra.overrides.hydra), *map(str, choices))
        if shared not in self.composed:
            name = master.hydra.job.config_name
            made = super().load_configuration(name, list(shared), RunMode.RUN)
            check_no_code(plain(made))
            self.composed[shared] = pickle.dumps(made)
        cfg: DictConfig = pickle.loads(self.composed[shared])
        self._apply_overrides_to_config(values, cfg)
        cfg.hydra.overrides.task = list(words)
        options = cfg.hydra.job.config.override_dirname
        cfg.hydra.job.override_dirname = get_overrides_dirname(overrides, **options)
        self._leave_out_expectations(cfg, words)
        if any("$" in override.input_line for override in values):
            check_no_code(plain(cfg))
        self._place(cfg, RunMode.RUN)
        return cfg

    def _parse(self, word: str) -> Override:
        if word not in self.parsed:
            (self.parsed[word],) = OverridesParser.create().parse_overrides([word])
        return self.parsed[word]

    def _is_value(self, override: Override) -> bool:
        """Whether an override only sets a key that is there."""
        changes = override.is_add() or override.is_force_add() or override.is_delete()
        if changes or override.package is not None or override.is_hydra_override():
            return False
        return not self.repository.group_exists(override.key_or_group)

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


def plain_list(node: Any) -> list[str]:
    """Return a list node as plain words."""
    return [str(item) for item in node]


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

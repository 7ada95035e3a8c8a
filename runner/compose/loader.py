"""The one way in: every composition, of a run, a sweep or a worker, is checked here."""

import re
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ConfigDefault, GroupDefault
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
    unchecked : words of the last composition that change what its experiment sets itself. Its
        expectations are of the experiment as it is written, and are then left out.
    """

    builds = True
    download = True
    unchecked: tuple[str, ...] = ()

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
                self._check(cfg, run_mode)
        except BadInput as bad:
            placed(bad, overrides)
            raise
        except Exception as error:
            raise to_bad_input(error, overrides) from error
        return cfg

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """Compose one job of a sweep, its folder below the sweep's."""
        cfg = super().load_sweep_config(master_config, sweep_overrides)
        cfg.hydra.sweep.dir = master_config.hydra.sweep.dir
        return cfg

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

    def _check(self, cfg: DictConfig, run_mode: RunMode) -> None:
        check_no_code(plain(cfg))
        cfg.hydra.job.chdir = False
        config = to_config(cfg)
        if run_mode == RunMode.RUN and self.builds:
            in_sweep = cfg.hydra.mode == RunMode.MULTIRUN
            check_output_dir(config.output_dir)
            identity = job.identify(
                config, user_folders(cfg.hydra), in_sweep, download=self.download
            )
            now = datetime.now(UTC)
            cfg.hydra.run.dir = str(store.run_folder(config.output_dir, identity.run_id, now))
            cfg.hydra.sweep.subdir = store.job_folder(identity.run_id)


def check_output_dir(output_dir: str) -> None:
    """Refuse an output folder that is or lies below something else than a folder."""
    for path in (Path(output_dir), *Path(output_dir).parents):
        if path.exists():
            if not path.is_dir():
                raise BadInput("output_dir", "a folder", f"the file {path}")
            return


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

"""What a run's folder says of how it was composed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from runner.compose.composition import plain, to_config
from runner.compose.limits import Followed, count_values
from runner.compose.safety import check_values
from runner.config import Config
from runner.tables.strict import read_text, read_yaml


class Origin(NamedTuple):
    """How a run was started.

    Attributes
    ----------
    words : the overrides of its composition.
    config_dir : the user's folder of choices, None where there was none.
    cwd : the folder that it was started in, from which relative paths are seen.
    in_sweep : whether it was a job of a sweep.
    """

    words: list[str]
    config_dir: str | None
    cwd: Path
    in_sweep: bool


def origin(folder: Path) -> Origin:
    """Return how the run in a folder was started.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError
        When that is not recorded, or not as the program does it.
    """
    recorded = folder / ".hydra"
    hydra = read_yaml(recorded / "hydra.yaml")["hydra"]
    task = read_yaml(recorded / "overrides.yaml")
    words = typed({**hydra["overrides"], "task": task})
    if not all(isinstance(word, str) for word in words) or not isinstance(task, list):
        raise TypeError("overrides are words")
    sources = hydra["runtime"]["config_sources"]
    own = [source["path"] for source in sources if source["provider"] == "command-line"]
    cwd = Path(os.fspath(hydra["runtime"]["cwd"]))
    return Origin(words, own[0] if own else None, cwd, hydra["mode"] == "MULTIRUN")


def typed(overrides: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line, of what Hydra records as overrides."""
    own = [word for word in overrides["hydra"] if not str(word).startswith("hydra.mode=")]
    return [*overrides["task"], *own]


def read_config(folder: Path) -> Config:
    """Return the configuration that the run in a folder was composed to.

    Raises
    ------
    ValueError, OSError, omegaconf.errors.OmegaConfBaseException, yaml.YAMLError
        When that is not recorded, or is no configuration of this program.
    """
    path = folder / ".hydra" / "config.yaml"
    text = read_text(path)
    count_values(text, str(path))
    tree = OmegaConf.create(text)
    if not isinstance(tree, DictConfig):
        raise ValueError(f"{path}: expected keys with values, got a list")
    check_values(plain(tree))
    merged = OmegaConf.merge(OmegaConf.structured(Config), tree)
    assert isinstance(merged, DictConfig)
    with Followed().counting():
        return to_config(merged)

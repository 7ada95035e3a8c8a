"""Which words of a command line change what an experiment sets itself.

What it expects is of the experiment as it is written, and is then not looked at.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from hydra._internal.config_repository import ConfigRepository
from hydra.core.default_element import ConfigDefault, GroupDefault
from omegaconf import OmegaConf

from runner.compose.safety import leaves, related

# Where things are and how often they are timed change no result that can be expected.
NEUTRAL = (
    *("experiment", "expect", "data_dir", "output_dir", "weights.path", "dataset.path"),
    *("figures", "threads", "timing", "hydra"),
)


class Known(NamedTuple):
    """The files, and what has been found in them, which is added to."""

    repository: ConfigRepository
    keys: dict[str, list[str]]


def changed(known: Known, words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that set what the experiments among them set."""
    chosen = [word.partition("=")[2] for word in words if word.startswith("experiment=")]
    names = [name for value in chosen for name in re.findall(r"[\w./-]+", value)]
    sets = [key for name in names for key in keys_of(known, f"experiment/{name}")]
    found = []
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if not key.startswith(NEUTRAL) and any(related(key, own) for own in sets):
            found.append(word)
    return tuple(found)


def keys_of(known: Known, path: str) -> list[str]:
    """Return the keys that a file sets and the groups that it chooses from."""
    if path not in known.keys:
        known.keys[path] = read_keys(known, path)
    return known.keys[path]


def read_keys(known: Known, path: str) -> list[str]:
    """Read them, and those of the files that it begins with."""
    loaded = known.repository.load_config(path)
    if loaded is None:
        return []
    content = OmegaConf.to_container(loaded.config, resolve=False)
    defaults = [item for item in loaded.defaults_list or () if isinstance(item, GroupDefault)]
    groups = [str(item.group).lstrip("/") for item in defaults]
    own = [key for key, _ in leaves(content) if not key.startswith("expect")]
    named = [item for item in loaded.defaults_list or () if isinstance(item, ConfigDefault)]
    parents = [item.path for item in named if item.path not in (None, "_self_")]
    folder = path.rpartition("/")[0]
    paths = [name[1:] if name[0] == "/" else f"{folder}/{name}" for name in parents if name]
    return own + groups + [key for parent in paths for key in keys_of(known, parent)]

"""The configuration files of one composition after the other, each read once."""

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult

T = TypeVar("T")


class Repository(ConfigRepository):
    """Hydra's files, kept between the compositions of a sweep.

    Hydra reads them all again for every composition, which is half of its time.
    """

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Look in other places, and forget what was read."""
        super().initialize_sources(config_search_path)
        self.read: dict[str, Callable[[], ConfigResult | None]] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return the content of a file, or None where there is no such file."""
        if config_path not in self.read:
            self.read[config_path] = copier(super().load_config(config_path))
        return self.read[config_path]()  # a copy, because composing changes it

    def __deepcopy__(self, memo: dict[int, Any]) -> "Repository":
        """Share what was read with the copy that Hydra makes for every composition."""
        other = copy.copy(self)
        other.read = self.read
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Leave what was read behind: a launcher's plugin sends a copy with every job."""
        return vars(self) | {"read": {}}


def copier(value: T) -> Callable[[], T]:
    """Return what makes copies: a pickle is quickest, but some plugins' classes have none."""
    try:
        return functools.partial(pickle.loads, pickle.dumps(value))
    except pickle.PicklingError:
        return functools.partial(copy.deepcopy, value)

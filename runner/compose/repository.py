"""The configuration files of one composition after the other, each read once."""

import copy
import functools
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource

from runner.compose.limits import check_file
from runner.lookup import BadInput

T = TypeVar("T")


class Repository(ConfigRepository):
    """Hydra's files, kept between the compositions of a sweep.

    Hydra reads them all again for every composition, which is half of its time.
    """

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Look in other places, and forget what was read.

        Raises
        ------
        BadInput
            For a search path that would import a package.
        """
        for place in config_search_path.get_path():
            path = str(place.path).removeprefix("file://")
            if str(place.provider).startswith("hydra.searchpath") and "://" in path:
                raise BadInput("hydra.searchpath", "folders", path)
        super().initialize_sources(config_search_path)
        self.read: dict[str, Callable[[], ConfigResult | None]] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return the content of a file, or None where there is no such file.

        Raises
        ------
        BadInput
            For a path that leaves the folders, and a file that stands for too much.
        """
        if config_path not in self.read:
            self.check(config_path)
            loaded = super().load_config(config_path)
            check_defaults(config_path, loaded)
            self.read[config_path] = copier(loaded)
        return self.read[config_path]()  # a copy, because composing changes it

    def check(self, config_path: str) -> None:
        """Refuse a path that leaves the folders, and a file that stands for too much."""
        if ".." in config_path.split("/"):
            raise BadInput("defaults", "a choice of a group", config_path)
        name = ConfigSource._normalize_file_name(config_path)
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is not None and source.scheme() == "file":
            check_file(Path(source.path, name))

    def __deepcopy__(self, memo: dict[int, Any]) -> "Repository":
        """Share what was read with the copy that Hydra makes for every composition."""
        other = copy.copy(self)
        other.read = self.read
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Leave what was read behind: a launcher's plugin sends a copy with every job."""
        return vars(self) | {"read": {}}


def check_defaults(config_path: str, loaded: ConfigResult | None) -> None:
    """Refuse a defaults list whose interpolations do more than repeat another choice."""
    for item in (loaded and loaded.defaults_list) or ():
        for text in vars(item).values():
            if re.search(r"\$\{[^}]*:", str(text)):
                raise BadInput("defaults", "interpolations of choices", text, where=config_path)


def copier(value: T) -> Callable[[], T]:
    """Return what makes copies: a pickle is quickest, but some plugins' classes have none."""
    try:
        return functools.partial(pickle.loads, pickle.dumps(value))
    except pickle.PicklingError:
        return functools.partial(copy.deepcopy, value)

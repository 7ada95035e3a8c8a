"""The configuration files of one composition after the other, each read once."""

import copy
import functools
import pickle
import re
from collections.abc import Callable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from runner.compose.limits import check_file
from runner.lookup import BadInput

T = TypeVar("T")


@functools.cache
def yaml_loader() -> Any:
    """Return OmegaConf's reader of YAML on libyaml's parser, which takes a tenth of the time."""
    omegaconf: Any = get_yaml_loader()

    class Loader(yaml.CSafeLoader, omegaconf):  # type: ignore[misc]
        yaml_implicit_resolvers = omegaconf.yaml_implicit_resolvers
        yaml_constructors = omegaconf.yaml_constructors

    return Loader


class Folder(FileConfigSource):
    """Hydra's source of files, which are checked before they are read."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the content of a file.

        Raises
        ------
        ConfigLoadError
            Where there is no such file.
        BadInput
            For a file that stands for too much, or for anything else than keys with values.
        """
        path = Path(self.path, self._normalize_file_name(config_path)).resolve()
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        check_file(path)
        return read(self, path)


class Package(ImportlibResourcesConfigSource):
    """Hydra's source of files in packages, such as its own."""

    def _read_config(self, res: Traversable) -> ConfigResult:
        return read(self, res)


QUICK = {"file": Folder, "pkg": Package}


def read(source: ConfigSource, path: Traversable) -> ConfigResult:
    """Return the content of a file as Hydra's sources do."""
    with path.open(encoding="utf-8") as file:
        header = source._get_header_dict(file.read(512))
        file.seek(0)
        content = yaml.load(file, Loader=yaml_loader())
    if not isinstance(content, dict | None):
        raise BadInput("", "keys with values", content, where=str(path))
    config = OmegaConf.create({} if content is None else content)
    return ConfigResult(source.provider, f"{source.scheme()}://{source.path}", config, header)


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
        self.sources = [
            QUICK[source.scheme()](source.provider, f"{source.scheme()}://{source.path}")
            if source.scheme() in QUICK
            else source
            for source in self.sources
        ]
        self.read: dict[str, Callable[[], ConfigResult | None]] = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return the content of a file, or None where there is no such file.

        Raises
        ------
        BadInput
            For a path that leaves the folders, and a file that stands for too much.
        """
        if ".." in config_path.split("/"):
            raise BadInput("defaults", "a choice of a group", config_path)
        if config_path not in self.read:
            loaded = super().load_config(config_path)
            check_defaults(config_path, loaded)
            self.read[config_path] = copier(loaded)
        return self.read[config_path]()  # a copy, because composing changes it

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

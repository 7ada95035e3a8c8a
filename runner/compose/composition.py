"""What a set of choices makes, for all jobs of a sweep that differ in plain values only.

Composing takes longer than most jobs. Values come last in any composition, so
they are set on what the choices have made; and where no value depends on
another one, only the part is made anew in which a value lies.
"""

import pickle
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import groupby
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import Container, DictConfig, OmegaConf, open_dict

from runner.compose.repository import copier
from runner.compose.safety import check_values, leaves
from runner.config import Config
from runner.lookup import BadInput, NotGiven, did_you_mean

Plain = dict[str, Any]


class Composition:
    """What choices make.

    Attributes
    ----------
    whole, own : make copies, with Hydra's part and without.
    hydra : Hydra's part as plain containers.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.whole = copier(cfg)
        own = self.whole()
        with open_dict(own):
            del own["hydra"]  # a masked copy would have lost its types, and take any key
        self.own = copier(own)
        self.hydra: Plain = plain(cfg.hydra, enum_to_str=True)
        self.plain, self.spare = plain(own), own
        self.parts: dict[tuple[str, ...], bytes] = {}
        self.independent = not any(special(value) for _, value in leaves(self.plain))
        self.config = pickle.dumps(to_config(own)) if self.independent else b""

    def configure(self, values: Sequence[Override]) -> tuple[Config, Plain]:
        """Return the configuration with values set, as its dataclass and as plain containers.

        Raises
        ------
        BadInput
            For a value that is no plain one.
        omegaconf.errors.OmegaConfBaseException
            For a value of the wrong type, or one that is missing.
        """
        if not self.independent or any(special(override.input_line) for override in values):
            cfg = self.apply(values, self.own())
            check_values(plain(cfg), self.hydra["job"]["env_copy"])
            return to_config(cfg), plain(cfg)
        config: Config = pickle.loads(self.config)
        own = dict(self.plain)
        for name, overrides in groupby(sorted(values, key=top), top):
            made, own[name] = self.part(name, list(overrides))
            setattr(config, name, made)
        return config, own

    def part(self, name: str, values: Sequence[Override]) -> tuple[Any, Any]:
        """Return one key of the configuration with values set, as `configure` does."""
        words = tuple(str(override.input_line) for override in values)
        if words not in self.parts:
            # What is no container is replaced whole, so that one copy does for all such values.
            simple = not isinstance(self.spare[name], Container)
            made = self.apply(values, self.spare if simple else self.own())[name]
            self.parts[words] = pickle.dumps((to_object(made), unresolved(made)))
        both: tuple[Any, Any] = pickle.loads(self.parts[words])
        return both

    def apply(self, values: Sequence[Override], cfg: DictConfig) -> DictConfig:
        """Set values on a copy without Hydra's part, and return it."""
        ConfigLoaderImpl._apply_overrides_to_config(list(values), cfg)
        return cfg


def top(override: Override) -> str:
    """Return the key at the top of the configuration that a value lies in."""
    return override.key_or_group.partition(".")[0]


def special(value: Any) -> bool:
    """Whether a value stands for another one, or is missing."""
    return isinstance(value, str) and ("$" in value or "???" in value)


def plain(cfg: Container, **options: bool) -> Plain:
    """Return an unresolved configuration as plain containers."""
    result: Plain = OmegaConf.to_container(cfg, resolve=False, **options)  # type: ignore
    return result


def unresolved(value: Any) -> Any:
    """Return a node as plain containers, or the value that it is."""
    return plain(value) if isinstance(value, Container) else value


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
    for item in fields(Config):
        if item.name not in cfg:
            raise NotGiven(item.name)
    return Config(**{item.name: to_object(cfg[item.name]) for item in fields(Config)})


def to_object(value: Any) -> Any:
    """Return a node as the dataclass, list or value that it stands for."""
    return OmegaConf.to_object(value) if isinstance(value, Container) else value


def check_keys(node: Any, kind: Any, path: str = "") -> None:
    """Refuse keys that were added (``+key=...``) to a node that has a schema."""
    known = {item.name: getattr(item, "type", None) for item in fields(kind)}
    for key in node:
        if key not in known and not (path == "" and key == "hydra"):
            hint = did_you_mean(str(key), known, path)
            raise BadInput(f"{path}{key}", f"a key of {kind.__name__}", key, hint=hint)
        if key in known and is_dataclass(known[key]) and node._get_node(key) is not None:
            check_keys(node[key], known[key], f"{path}{key}.")

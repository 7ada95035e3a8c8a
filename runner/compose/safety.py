"""No code from configuration: what Hydra could be told to import or call is refused.

The one door for code of one's own is a choice's ``name: module:function``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser

from runner.config import Config
from runner.lookup import BadInput, did_you_mean

LAUNCHERS = (
    "runner.sweeps.launcher.RunnerLauncher",
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
)
SWEEPERS = ("runner.sweeps.sweeper.RunnerSweeper",)
CALLBACKS = (
    "hydra.experimental.callbacks.LogJobReturnCallback",
    "hydra.experimental.callbacks.PickleJobInfoCallback",
)
HANDLERS = ("logging.FileHandler", "logging.NullHandler", "logging.StreamHandler")
RESOLVERS = ("hydra", "now", "oc.env", "python_version")
CALLING = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_", "()")
RECORDS = ("hydra.overrides.", "hydra.job.override_dirname")  # what was typed, never resolved
OURS = "module:function under `name` is the way to code of your own"
GROUPS = frozenset(item.name for item in fields(Config) if is_dataclass(item.type)) | {"experiment"}

# Keys of Hydra's that this program decides: what they are, and what to use in their place.
DECIDED = {
    "hydra.run.dir": ("outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}", "output_dir"),
    "hydra.sweep.dir": ("multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}", "output_dir and sweep.name"),
    "hydra.sweep.subdir": ("${hydra.job.num}", "output_dir and sweep.name"),
    "hydra.output_subdir": (".hydra", "output_dir"),
    "hydra.job.chdir": (None, "paths relative to where the program is started"),
    "hydra.job.name": ("runner", "sweep.name"),
}
MAX_BYTES, MAX_DEPTH, MAX_VALUES = 200_000, 50, 20_000  # of one YAML file


def check_overrides(overrides: list[str]) -> None:
    """Refuse overrides that leave a config group's folder or search Python packages.

    Raises
    ------
    BadInput
    """
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key.partition("@")[0] in GROUPS and ".." in value:
            raise BadInput(key, "a choice of the group", value)
        if key == "hydra.searchpath":
            (parsed,) = OverridesParser.create().parse_overrides([override])
            folders = parsed.value()
            for folder in folders if isinstance(folders, list) else [folders]:
                if "://" in str(folder).removeprefix("file://"):
                    raise BadInput(key, "folders", folder)
                check_files(Path(str(folder).removeprefix("file://")))


def check_files(folder: Path) -> None:
    """Refuse YAML files that grow without bound when they are read.

    Their events are counted before anything is built of them; an alias
    counts as much as what it stands for.

    Raises
    ------
    BadInput
    """
    for path in sorted(folder.rglob("*.yaml")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BadInput("", "text in UTF-8", error.reason, where=str(path)) from error
        if len(text) > MAX_BYTES:
            raise BadInput(
                "", f"at most {MAX_BYTES:,} characters", f"{len(text):,}", where=str(path)
            )
        try:
            count_values(text, str(path))
        except yaml.YAMLError:
            continue  # said by the composition that uses the file, if one does


def count_values(text: str, where: str) -> int:
    """Return how many values a YAML text stands for; raise BadInput beyond the limits."""
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
        elif isinstance(event, yaml.AliasEvent):
            total += sizes.get(str(event.anchor), 1)
        if len(opened) > MAX_DEPTH or total > MAX_VALUES:
            expected = f"at most {MAX_DEPTH} levels and {MAX_VALUES:,} values"
            raise BadInput("", expected, "more", where=where)
    return total


def check_no_code(config: Mapping[str, Any]) -> None:
    """Refuse whatever in a composed, unresolved configuration could run code.

    Parameters
    ----------
    config : plain containers, with Hydra's own part under ``hydra``.

    Raises
    ------
    BadInput
    """
    check_values(config)
    check_hydra(config["hydra"])


def check_values(config: Mapping[str, Any]) -> None:
    """Refuse keys that would be called, and interpolations by what is not listed."""
    for path, value in leaves(config):
        for key in set(path.split(".")) & set(CALLING):
            check_target(path, key, value)
        if isinstance(value, str) and "${" in value and not path.startswith(RECORDS):
            check_interpolation(path, value)


def check_hydra(hydra: Mapping[str, Any]) -> None:
    """Refuse keys that Hydra does not know, keys that are the program's, and odd logging."""
    known = [*(item.name for item in fields(HydraConf)), "env"]  # its group of that name
    for key in hydra:
        if key not in known:
            hint = did_you_mean(key, known, "hydra.")
            raise BadInput(f"hydra.{key}", "a key of hydra", key, hint=hint)
    for key, (default, instead) in DECIDED.items():
        value: Any = hydra
        for part in key.split(".")[1:]:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value != default and not (key == "hydra.job.chdir" and value is False):
            raise BadInput(key, f"{instead} (this key is the program's)", value)
    for name in ("job_logging", "hydra_logging"):
        check_logging(f"hydra.{name}", hydra.get(name))


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of everything that is no container, or an empty one."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, (list, tuple)) and node:
        for index, value in enumerate(node):
            yield from leaves(value, f"{path}.{index}")
    else:
        yield path, node


def check_target(path: str, key: str, value: Any) -> None:
    """Refuse a key that would be called, but for the launchers and sweepers listed here."""
    allowed: tuple[str, ...] = ()
    if path == "hydra.launcher._target_":
        allowed = LAUNCHERS
    elif path == "hydra.sweeper._target_":
        allowed = SWEEPERS
    elif re.fullmatch(r"hydra\.callbacks\.[^.]+\._target_", path):
        allowed = CALLBACKS
    if value not in allowed:
        expected = "one that this program lists" if allowed else f"no {key}"
        raise BadInput(path, expected, value, hint=OURS)


def check_interpolation(path: str, value: str) -> None:
    """Refuse interpolations that call anything but the listed resolvers.

    A name that is itself an interpolation is refused, since it could become
    any. A job's values may not use ``hydra``'s: they would differ between
    otherwise equal runs.
    """
    if re.search(r"\$\{[^}:]*\$\{", value):
        raise BadInput(path, "an interpolation whose name is written out", value)
    for name in re.findall(r"\$\{\s*([^}:]*?)\s*:", value):
        if name not in RESOLVERS:
            hint = did_you_mean(name, RESOLVERS)
            raise BadInput(path, f"an interpolation by {', '.join(RESOLVERS)}", value, hint=hint)
        if name == "hydra" and not path.startswith("hydra."):
            raise BadInput(path, "a value that does not depend on hydra's", value)


def check_logging(path: str, node: Any) -> None:
    """Refuse logging set-ups that import or call anything but the plain handlers.

    Only a file's name may be an interpolation: what is checked is what is used.
    """
    for place, value in leaves(node, path):
        parts = place.split(".")
        if {"queue", "listener", ""} & set(parts) or (
            parts[-1] == "class" and value not in HANDLERS
        ):
            raise BadInput(place, f"one of the handlers {', '.join(HANDLERS)}", value)
        text = str(value)
        if "${" in text and parts[-1] != "filename":
            raise BadInput(place, "a value without interpolation", value)
        if "cfg://" in text or re.search(r"ext://(?!sys\.std(out|err)$)", text):
            raise BadInput(place, "ext://sys.stdout or ext://sys.stderr", value)

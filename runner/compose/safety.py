"""No code from configuration: what Hydra could be told to import or call is refused.

The one door for code of one's own is a choice's ``name: module:function``.
"""

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.conf import HydraConf

from runner.compose.limits import MAX_TEXT, check_words
from runner.config import Config
from runner.lookup import BadInput, did_you_mean, one_of

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

# Keys of launchers that run commands, write elsewhere or reach other machines, as they are unless
# the command line says so; and of Ray's, which hands on all there are, those that do not.
REACHING: dict[str, Any] = {
    "setup": None,
    "additional_parameters": {},
    "submitit_folder": "${hydra.sweep.dir}/.submitit/%j",
    "temp_folder": None,
}
HARMLESS = (
    *("num_cpus", "num_gpus", "memory", "object_store_memory"),
    *("max_retries", "include_dashboard", "log_to_driver"),
)

# What may be said of logging, by section: the rest could import, write elsewhere or read objects.
LOG_FILE = "${hydra.runtime.output_dir}/${hydra.job.name}.log"
HANDLERS = ("logging.FileHandler", "logging.NullHandler", "logging.StreamHandler")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
LOGGING = ("version", "disable_existing_loggers", "formatters", "handlers", "loggers", "root")
SECTIONS = {
    "formatters": ("format", "datefmt"),
    "handlers": ("class", "level", "formatter", "stream", "filename", "mode", "encoding", "delay"),
    "loggers": ("level", "handlers", "propagate"),
}
ALLOWED: dict[str, Collection[Any]] = {
    "version": (1,),
    "disable_existing_loggers": (True, False),
    "class": HANDLERS,
    "stream": STREAMS,
    "filename": (LOG_FILE,),
    "mode": ("a", "w"),
    "encoding": ("utf-8", None),
    "delay": (True, False),
    "propagate": (True, False),
    "level": (*logging.getLevelNamesMapping(), *range(51)),
}
PLAIN_FORMAT = r"(?:[^%{}$]|%%|%\(\w+\)-?\d{0,2}[sdf])*"  # no width that fills the disk


def check_overrides(overrides: Sequence[str], listed: Collection[str] = ()) -> None:
    """Refuse overrides that are long, that leave a config group's folder, or that call.

    Parameters
    ----------
    listed : environment variables that may be read.

    Raises
    ------
    BadInput
    """
    check_words(overrides)
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key.partition("@")[0] in GROUPS and ".." in value:
            raise BadInput(key, "a choice of the group", value)
        if key == "hydra":
            raise BadInput(key, "its keys one by one, such as hydra.verbose=true", value)
        if "${" in value:
            check_interpolation(key, value, listed)


def typed_variables(overrides: Sequence[str]) -> list[str]:
    """Return the environment variables that the command line lists.

    Raises
    ------
    BadInput
        For one that is not set.
    """
    key = "hydra.job.env_copy"
    values = [word.partition("=")[2] for word in overrides if word.lstrip("+").startswith(key)]
    names = [name for value in values for name in re.findall(r"[^\s\[\],'\"]+", value)]
    for name in names:
        if name not in os.environ:
            raise BadInput(key, "environment variables that are set", name, where="command line")
    return names


def check_no_code(config: Mapping[str, Any], words: Sequence[str] = ()) -> None:
    """Refuse whatever in a composed, unresolved configuration could run code.

    Parameters
    ----------
    config : plain containers, with Hydra's own part under ``hydra``.
    words : what the user has typed; some keys may be set there alone.

    Raises
    ------
    BadInput
    """
    check_environment(config["hydra"]["job"], words)
    check_values(config, config["hydra"]["job"]["env_copy"])
    check_hydra(config["hydra"])
    check_launcher(config["hydra"]["launcher"], words)


def check_values(config: Mapping[str, Any], listed: Collection[str] = ()) -> None:
    """Refuse keys that would be called, and interpolations by what is not listed."""
    for path, value in leaves(config):
        for key in set(path.split(".")) & set(CALLING):
            check_target(path, key, value)
        if isinstance(value, str) and "${" in value and not path.startswith(RECORDS):
            check_interpolation(path, value, listed)


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
    for name in ("launcher", "sweeper"):
        check_known(f"hydra.{name}", hydra.get(name))
    for name in ("job_logging", "hydra_logging"):
        check_logging(f"hydra.{name}", hydra.get(name))


def check_environment(job: Mapping[str, Any], words: Sequence[str]) -> None:
    """Refuse to set variables, which other programs obey, and to list any but by being told to.

    The value of one that is listed is written into the record of the run.
    """
    check_known("hydra.job", job)
    listed = list(job["env_copy"])
    if not set(listed) <= set(typed_variables(words)):
        expected = "none that the command line does not list by this key"
        raise BadInput("hydra.job.env_copy", expected, ", ".join(map(str, listed)))
    if others := sorted(map(str, set(job["env_set"]) - set(listed))):
        expected = "none (variables are set where the program is started)"
        raise BadInput("hydra.job.env_set", expected, ", ".join(others))


def check_launcher(launcher: Any, words: Sequence[str]) -> None:
    """Refuse what runs commands, writes elsewhere or reaches other machines, unless it is typed."""
    typed = [key_of(word) for word in words]
    for path, value in leaves(launcher, "hydra.launcher"):
        if not f"{path}{value}".isprintable():  # another line of a script
            raise BadInput(ascii(path).strip("'"), "one line of text", ascii(value))
        if reaches(path.split(".")[2:], value) and not any(related(key, path) for key in typed):
            raise BadInput(path, "nothing that the command line does not say", value)


def reaches(keys: Sequence[str], value: Any) -> bool:
    """Say whether a setting of a launcher reaches further than its jobs' folders and processes."""
    if keys[0] == "ray":
        return keys[-1] not in HARMLESS and value not in (None, {}, "local")
    return keys[0] in REACHING and value != REACHING[keys[0]]


def key_of(word: str) -> str:
    """Return the key of an override."""
    return word.lstrip("+~").partition("=")[0]


def related(key: str, field: str) -> bool:
    """Say whether an override of ``key`` can have given ``field`` its value."""
    key = key.partition("@")[0]
    return field == key or field.startswith((f"{key}.", f"{key}[")) or key.startswith(f"{field}.")


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


def check_interpolation(path: str, value: str, listed: Collection[str] = ()) -> None:
    """Refuse interpolations that call anything but the listed resolvers.

    A name that is itself an interpolation is refused, since it could become
    any. A job's values may not use ``hydra``'s: they would differ between
    otherwise equal runs.
    """
    if re.search(r"\$\{[^}:]*\$\{", value):
        raise BadInput(path, "an interpolation whose name is written out", value)
    if len(value) > MAX_TEXT:
        expected = f"at most {MAX_TEXT:,} characters with an interpolation"
        raise BadInput(path, expected, f"{len(value):,}")
    for name, rest in re.findall(r"\$\{\s*([^}:]*?)\s*:(?=([^,}]*))", value):
        if name not in RESOLVERS:
            hint = did_you_mean(name, RESOLVERS)
            raise BadInput(path, f"an interpolation by {', '.join(RESOLVERS)}", value, hint=hint)
        if name == "hydra" and not path.startswith("hydra."):
            raise BadInput(path, "a value that does not depend on hydra's", value)
        if name == "oc.env" and rest.strip(" '\"") not in listed:
            hint = "hydra.job.env_copy=[NAME] on the command line lists one, and records its value"
            raise BadInput(path, "an environment variable that is listed", value, hint=hint)


def check_logging(path: str, node: Any) -> None:
    """Refuse logging set-ups that do more than choose levels, formats and the plain handlers."""
    check_known(path, node, LOGGING)
    check_settings(path, {key: node[key] for key in node if key in ALLOWED}, node)
    for section, known in SECTIONS.items():
        check_known(f"{path}.{section}", node.get(section) or {})
        for name, item in (node.get(section) or {}).items():
            place = f"{path}.{section}.{name}"
            check_known(place, item, known)
            check_settings(place, item, node)
    if node.get("root") is not None:
        check_known(f"{path}.root", node["root"], SECTIONS["loggers"])
        check_settings(f"{path}.root", node["root"], node)


def check_known(path: str, node: Any, known: Collection[str] | None = None) -> None:
    """Refuse what is no node with the keys that are known."""
    if not isinstance(node, Mapping):
        raise BadInput(path, "keys with values", node)
    for key in node:
        if known is not None and key not in known:
            raise BadInput(f"{path}.{key}", one_of(known), key)


def check_settings(path: str, item: Mapping[str, Any], logs: Mapping[str, Any]) -> None:
    """Refuse a value of a formatter, a handler or a logger that is not among those known."""
    named = {"formatter": logs.get("formatters") or {}, "handlers": logs.get("handlers") or {}}
    allowed = ALLOWED | named
    for key, value in item.items():
        place = f"{path}.{key}"
        for one in value if isinstance(value, list) else [value]:
            if key in allowed and one not in allowed[key]:
                raise BadInput(place, one_of(map(str, allowed[key])), one)
        if key == "format" and not re.fullmatch(PLAIN_FORMAT, str(value)):
            raise BadInput(place, "a format of parts like %(message)s", value)
        if key == "datefmt" and "${" in str(value):
            raise BadInput(place, "a value without interpolation", value)

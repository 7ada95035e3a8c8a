"""No code from configuration: what Hydra could be told to import or call is refused.

The one door for code of one's own is a choice's ``name: module:function``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from runner.config import Config
from runner.lookup import BadInput, did_you_mean

LAUNCHERS = (
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
)
SWEEPERS = (
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper",
    "runner.sweeps.sweeper.RunnerSweeper",
)
CALLBACKS = (
    "hydra.experimental.callbacks.LogJobReturnCallback",
    "hydra.experimental.callbacks.PickleJobInfoCallback",
)
HANDLERS = ("logging.FileHandler", "logging.NullHandler", "logging.StreamHandler")
RESOLVERS = ("hydra", "now", "oc.env", "python_version")
RECORDS = ("hydra.overrides.", "hydra.job.override_dirname")  # what was typed, never resolved
CALLING = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")
OURS = "module:function under `name` is the way to code of your own"

GROUPS = frozenset(item.name for item in fields(Config) if is_dataclass(item.type)) | {"experiment"}

# Keys of Hydra's that this program decides, and what to use in their place.
DECIDED = {
    "hydra.run.dir": "output_dir",
    "hydra.sweep.dir": "output_dir and sweep.name",
    "hydra.sweep.subdir": "output_dir and sweep.name",
    "hydra.output_subdir": "output_dir",
    "hydra.job.chdir": "paths relative to where the program is started",
    "hydra.job.name": "sweep.name",
}

Leaf = tuple[str, Any]


def check_overrides(overrides: list[str]) -> None:
    """Refuse overrides that would move Hydra's folders or search Python packages.

    Raises
    ------
    BadInput
    """
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key in DECIDED:
            raise BadInput(key, f"{DECIDED[key]} (this key is the program's)", value or override)
        if key == "hydra.searchpath" and re.search(r"(?!file)\b\w+://", value):
            raise BadInput(key, "folders", value)
        group = key.partition("@")[0]
        if group in GROUPS and ".." in value:
            raise BadInput(key, "a choice of the group", value)


def check_no_code(config: Mapping[str, Any]) -> None:
    """Refuse whatever in a composed, unresolved configuration could run code.

    Parameters
    ----------
    config : plain containers, with Hydra's own part under ``hydra``.

    Raises
    ------
    BadInput
    """
    for path, value in leaves(config):
        key = path.rpartition(".")[2]
        if key in CALLING:
            check_target(path, key, value)
        if isinstance(value, str) and "${" in value and not path.startswith(RECORDS):
            check_interpolation(path, value)
    hydra = config.get("hydra") or {}
    for name in ("job_logging", "hydra_logging"):
        check_logging(f"hydra.{name}", hydra.get(name) or {})


def leaves(node: Any, path: str = "") -> Iterator[Leaf]:
    """Yield (dotted key, value) of everything that is no container."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from leaves(value, f"{path}.{index}")
    else:
        yield path, node


def check_target(path: str, key: str, value: Any) -> None:
    """Refuse a key that Hydra would call, but for the launchers and sweepers listed here."""
    allowed: tuple[str, ...] = ()
    if path == "hydra.launcher._target_":
        allowed = LAUNCHERS
    elif path == "hydra.sweeper._target_":
        allowed = SWEEPERS
    elif re.fullmatch(r"hydra\.callbacks\.[^.]+\._target_", path):
        allowed = CALLBACKS
    elif path == "hydra.sweeper.sampler._target_" and re.fullmatch(
        r"optuna\.samplers\.\w+", str(value)
    ):
        return
    if value not in allowed:
        expected = "one that this program lists" if allowed else f"no {key}"
        raise BadInput(path, expected, value, hint=OURS)


def check_interpolation(path: str, value: str) -> None:
    """Refuse interpolations that call anything but the listed resolvers.

    A job's values may not use ``hydra``'s: they would differ between
    otherwise equal runs.
    """
    for name in re.findall(r"\$\{\s*([^}:]*?)\s*:", value):
        if name not in RESOLVERS:
            hint = did_you_mean(name, RESOLVERS)
            raise BadInput(path, f"an interpolation by {', '.join(RESOLVERS)}", value, hint=hint)
        if name == "hydra" and not path.startswith("hydra."):
            raise BadInput(path, "a value that does not depend on hydra's", value)


def check_logging(path: str, node: Mapping[str, Any]) -> None:
    """Refuse logging set-ups that import or call anything but the plain handlers."""
    for place, value in leaves(node, path):
        parts = place.split(".")
        bad = {"()", "queue", "listener", ""} & set(parts)
        if bad or (parts[-1] == "class" and value not in HANDLERS):
            raise BadInput(place, f"one of the handlers {', '.join(HANDLERS)}", value)
        text = str(value)
        if "cfg://" in text or re.search(r"ext://(?!sys\.std(out|err)$)", text):
            raise BadInput(place, "ext://sys.stdout or ext://sys.stderr", value)

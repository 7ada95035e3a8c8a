"""Hydra's and OmegaConf's complaints as the one line a user sees."""

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import MarkedYAMLError

from runner import config
from runner.lookup import BadInput, NotGiven, did_you_mean, one_of

# Hydra's launchers, and the extra that each comes with.
PLUGINS = {"joblib": "sweep", "submitit_local": "sweep", "submitit_slurm": "sweep", "ray": "ray"}
TYPES = {"Integer": "an integer", "Float": "a number", "bool": "true or false"}


class NotInstalled(BadInput):
    """A choice that needs one of the extras."""


def to_bad_input(error: BaseException, overrides: Sequence[str]) -> BadInput:
    """Return what a composition's exception means to the user.

    Parameters
    ----------
    error : whatever composing raised; Hydra raises more kinds than its own.
    overrides : the words of the command line, to say where a key came from.
    """
    cause = next((link for link in chain(error) if isinstance(link, OmegaConfBaseException)), None)
    if isinstance(error, BadInput):
        bad = error
    elif isinstance(error, MissingConfigException):
        bad = missing_choice(error)
    elif isinstance(error, OverrideParseException):
        reason = first_line(error)
        if reason.startswith("LexerNoViableAlt"):
            reason = "characters that need quotes"
        bad = BadInput(error.override, "key=value", reason, where="command line")
    elif isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        reason = f"expected YAML, got {error.problem or error.context}"
        bad = BadInput.because("", reason, where=f"{mark.name}:{mark.line + 1}")
    elif cause is not None:
        bad = wrong_key_or_value(cause)
    elif str(error).startswith("Config group override must be"):
        bad = BadInput("", "the name of a choice for a config group", "none")
    elif isinstance(error, HydraException):
        bad = composition_error(messages(error), str(error))
    else:
        bad = BadInput.because("", f"{type(error).__name__}: {messages(error)}")
    return placed(bad, overrides)


def chain(error: BaseException) -> list[BaseException]:
    """Return an exception, what it was raised from, and so on.

    Under a debugger or a coverage tool OmegaConf's exceptions name themselves
    as their cause, so the chain ends where it meets itself.
    """
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__
    return links


def placed(bad: BadInput, overrides: Sequence[str]) -> BadInput:
    """Write into an error where its key came from, unless that is said; return the error."""
    if not bad.where:
        keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
        given = not bad.field or any(related(key, bad.field) for key in keys)
        bad.where = "command line" if given else "configuration"
    return bad


def related(key: str, field: str) -> bool:
    """Say whether an override of ``key`` can have given ``field`` its value."""
    key = key.partition("@")[0]
    return field == key or field.startswith((f"{key}.", f"{key}[")) or key.startswith(f"{field}.")


def missing_choice(error: MissingConfigException) -> BadInput:
    """Return the error of a choice that has no file."""
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    options = [str(option) for option in error.options or ()]
    if group == "hydra/launcher" and name in PLUGINS:
        expected = "a launcher that is installed"
        return NotInstalled(group, expected, name, hint=f"pip install 'runner[{PLUGINS[name]}]'")
    if not options:
        return BadInput.because(group, messages(error))
    return BadInput(group, one_of(options), name, hint=did_you_mean(name, options))


def wrong_key_or_value(error: OmegaConfBaseException) -> BadInput:
    """Return the error of a key that does not exist, or of a value it cannot take."""
    field = str(error.full_key or error.key or "")
    if isinstance(error, MissingMandatoryValue):
        return NotGiven(field)
    if isinstance(error, InterpolationResolutionError):
        return BadInput(field, "an interpolation that resolves", first_line(error))
    names: Sequence[str] = ()
    if error.parent_node is not None and OmegaConf.is_dict(error.parent_node):
        names = [str(key) for key in error.parent_node if key != "hydra"]
    elif is_dataclass(error.object_type):
        names = [item.name for item in fields(error.object_type)]
    return explained(field, str(error), names)


def composition_error(text: str, full: str) -> BadInput:
    """Return the error of a file or an override that Hydra could not put in place."""
    file = re.match(r"In '(.+?)': \w+ raised while composing config:\s*(.*)", full, re.DOTALL)
    if file:
        key = re.search(r"full_key: (\S+)", full)
        kind: Any = re.search(r"not in '(\w+)'", full)
        kind = getattr(config, kind[1], None) if kind else None
        names = [item.name for item in fields(kind)] if is_dataclass(kind) else []
        bad = explained(key[1] if key else "", file[2], names)
        bad.where = f"{file[1]}.yaml"
        return bad
    sweep = re.search(r"argument '(.+?)=|Sweep parameters '(.+?)=(.+?)' requires", full)
    if sweep:
        return BadInput(sweep[1] or sweep[2], "one value", "several", hint="a sweep needs -m")
    return BadInput.because("", text)


def explained(field: str, text: str, names: Sequence[str]) -> BadInput:
    """Return OmegaConf's text about a field in our words; ``names`` are its neighbours."""
    parent, _, key = field.rpartition(".")
    if re.match(r"Key '.*' (is )?not in ", text):
        known = ", ".join(names) or "it has none"
        expected = (f"a key of {parent}" if parent else "a key") + f" ({known})"
        prefix = f"{parent}." if parent else ""
        return BadInput(field, expected, key, hint=did_you_mean(key, names, prefix))
    match = re.match(r"Value '(.*)' is not a valid (bool)", text) or re.match(
        r"Value '(.*)' of type '\w+' could not be converted to (\w+)", text
    )
    if match:
        return BadInput(field, TYPES.get(match[2], match[2]), match[1])
    return BadInput.because(field, text.strip().splitlines()[0] if text.strip() else "unusable")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, its kind where there is none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def messages(error: BaseException) -> str:
    """Return the first lines of an exception and its causes in one."""
    return ": ".join(dict.fromkeys(first_line(link) for link in chain(error)))

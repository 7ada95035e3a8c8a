"""Hydra's and OmegaConf's complaints as the one line a user sees."""

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import MarkedYAMLError

from runner import config
from runner.choices import groups
from runner.compose.safety import related
from runner.lookup import BadInput, NotGiven, did_you_mean, install, one_of, shortened

# Hydra's launchers, and the extra that each comes with.
PLUGINS = {"joblib": "sweep", "submitit_local": "sweep", "submitit_slurm": "sweep", "ray": "ray"}
TYPES = {"Integer": "an integer", "Float": "a number", "bool": "true or false"}


FORMS = {  # what OmegaConf says of a value of another form, and what it should have been
    r"Invalid value assigned: (\w+) is not a ListConfig": "a list",
    r"Cannot assign (\w+) to Dict": "keys with values",
    r"Cannot convert '\w+' to string: '(.*)'": "text",
    r"field '.*' is not Optional()": "a value",
    r".* does not support deletion()": "a value",
}


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
        word = shortened(error.override)
        bad = BadInput(word, "key=value", shortened(reason), where="command line")
    elif isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        got = f"none ({error.problem or error.context})"
        bad = BadInput("", "YAML", got, where=f"{mark.name}:{mark.line + 1}")
    elif cause is not None:
        bad = wrong_key_or_value(cause)
    elif str(error).startswith("Config group override must be"):
        bad = no_choice(overrides)
    elif isinstance(error, InstantiationException):
        bad = not_made(str(error))
    elif isinstance(error, RecursionError):
        bad = BadInput("", "fewer levels", "more than can be read")
    elif str(error).startswith("Exceeds the limit"):  # of Python's, for digits
        bad = BadInput("", "numbers of at most 4,300 digits", "one of more")
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


def not_made(text: str) -> BadInput:
    """Return the error of a launcher or callback that does not take what it is given."""
    key = re.search(r"full_key: (\S+)", text)
    reason = re.search(
        r"^\w+\(['\"](?:\w+\.)*__init__\(\) (?:got )?(.*)['\"]\)", text, re.MULTILINE
    )
    got = reason[1] if reason else text.splitlines()[0]
    return BadInput(key[1] if key else "hydra", "what it takes", got)


def no_choice(overrides: Sequence[str]) -> BadInput:
    """Return the error of a group that was given what is no name."""
    values = r"\+*(\w*)=(null|true|false|[-+.\d]+|[{(].*)"
    matches = [match for word in overrides if (match := re.fullmatch(values, word))]
    known = groups()
    found = [match for match in matches if match[1] in known] or matches
    key, got = found[0].groups() if found else ("", "something else")
    return BadInput(key, "the name of a choice for a config group", got)


def missing_choice(error: MissingConfigException) -> BadInput:
    """Return the error of a choice that has no file."""
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    options = [str(option) for option in error.options or ()]
    if group == "hydra/launcher" and name in PLUGINS:
        expected = "a launcher that is installed"
        return NotInstalled(group, expected, name, hint=install(PLUGINS[name]))
    if not options:
        return BadInput(group, "choices of the group", name)
    return BadInput(group, one_of(options), name, hint=did_you_mean(name, options))


def wrong_key_or_value(error: OmegaConfBaseException) -> BadInput:
    """Return the error of a key that does not exist, or of a value it cannot take."""
    field = str(error.full_key or error.key or "")
    if isinstance(error, MissingMandatoryValue):
        return NotGiven(field)
    if isinstance(error, InterpolationResolutionError):
        got = re.sub(r"^Interpolation key '(.*)' not found$", r"no key \1", first_line(error))
        return BadInput(field, "an interpolation that resolves", got)
    names: Sequence[str] = ()
    if error.parent_node is not None and OmegaConf.is_dict(error.parent_node):
        names = [str(key) for key in error.parent_node if key != "hydra"]
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
    there = re.match(r"Could not append to config. An item is already at '(.+)'", text)
    if there:
        return BadInput(there[1], "a new key (++ sets any)", "one that is there already")
    swept = re.match(r"Sweeping over Hydra's configuration is not supported : '(.+?)=(.*)'", text)
    if swept:
        return BadInput(swept[1], "one value (it is of the sweep as a whole)", swept[2])
    if text.startswith("hydra.searchpath must be"):
        return BadInput("hydra.searchpath", "a list of folders", text.partition("Got: ")[2])
    return BadInput.because("", text)


def explained(field: str, text: str, names: Sequence[str]) -> BadInput:
    """Return OmegaConf's text about a field in our words; ``names`` are its neighbours."""
    parent, _, key = field.rpartition(".")
    if re.match(r"Key '.*' (is )?not in ", text):
        known = ", ".join(names) or "it has none"
        expected = (f"a key of {parent}" if parent else "a key") + f" ({known})"
        prefix = f"{parent}." if parent else ""
        hint = f"+{field} adds one" if parent == "expect" else did_you_mean(key, names, prefix)
        return BadInput(field, expected, key, hint=hint)
    for pattern, expected in FORMS.items():
        if form := re.match(pattern, text):
            return BadInput(field, expected, form[1] or None)
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

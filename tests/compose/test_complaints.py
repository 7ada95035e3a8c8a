"""Hydra's, OmegaConf's and Python's exceptions in the words of this program."""

import pytest
import yaml
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
)
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from runner.compose.errors import NotInstalled, to_bad_input
from runner.lookup import NotGiven

CALL = "Error in call to target 'x.Y':\nTypeError({})\nfull_key: hydra.launcher"
READ_ONLY = OmegaConf.create({"a": 1}, flags={"readonly": True})


def raised(action):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        action()
    return caught.value


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            InstantiationException(CALL.format("\"Y.__init__() got an unexpected keyword 'a'\"")),
            "command line: hydra.launcher: expected what it takes, got an unexpected keyword 'a'",
        ),
        (
            InstantiationException("Cannot be made"),
            "command line: hydra: expected what it takes, got Cannot be made",
        ),
        (RecursionError("deep"), "command line: expected fewer levels, got more than can be read"),
        (
            raised(lambda: int("9" * 5000)),
            "command line: expected numbers of at most 4,300 digits, got one of more",
        ),
        (HydraException("one\ntwo"), "command line: one"),
        (HydraException(), "command line: HydraException"),
        (
            ConfigCompositionException("hydra.searchpath must be a list of strings. Got: 3"),
            "configuration: hydra.searchpath: expected a list of folders, got 3",
        ),
        (KeyError("x"), "command line: KeyError: 'x'"),
        (
            MissingConfigException("", "hydra/launcher/ray", ["basic"]),
            "configuration: hydra/launcher: expected a launcher that is installed, got ray; "
            "pip install '.[ray]' in the folder that runner was installed from",
        ),
        (
            MissingConfigException("", "activation/x", None),
            "configuration: activation: expected choices of the group, got x",
        ),
        (
            raised(lambda: yaml.safe_load("a: [")),
            "<unicode string>:1: expected YAML, got none (expected the node content, but found "
            "'<stream end>')",
        ),
        (yaml.MarkedYAMLError("no mark"), "command line: MarkedYAMLError: no mark"),
        (
            raised(lambda: READ_ONLY.update({"a": 2})),
            "configuration: a: Cannot change read-only config container",
        ),
        (
            raised(lambda: OmegaConf.create({"a": "${b}"}).a),
            "configuration: a: expected an interpolation that resolves, got no key b",
        ),
    ],
)
def test_an_exception_is_one_line(error, message):
    assert str(to_bad_input(error, ["hydra.launcher.a=1"])) == message


def test_it_is_the_group_that_was_given_no_name():
    error = ConfigCompositionException("Config group override must be a string or a list.")
    words = ["epochs=1", "seed=null", "activation=null"]
    expected = "activation: expected the name of a choice for a config group, got null"
    assert str(to_bad_input(error, words)) == f"command line: {expected}"


def test_what_is_not_there_is_told_apart():
    missing = raised(lambda: OmegaConf.create({"a": {"b": "???"}}).a.b)
    assert isinstance(missing, MissingMandatoryValue)
    bad = to_bad_input(missing, ["a=1"])
    assert (type(bad), str(bad)) == (NotGiven, "command line: a.b: expected a value, got none")
    absent = MissingConfigException("", "hydra/launcher/joblib", [])
    assert isinstance(to_bad_input(absent, []), NotInstalled)

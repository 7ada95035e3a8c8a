"""Every file in conf/ is composed and built; its parameters are those of what it names."""

import inspect
from pathlib import Path

import pytest
import yaml

from runner.check import BUILDERS, Finding, check
from runner.choices import CONF, groups
from runner.data import DATASETS
from runner.data.distortion import DISTORTIONS
from runner.job import TASKS
from runner.nn.activations import ACTIVATIONS
from runner.nn.initializers import INITIALIZERS
from runner.nn.losses import LOSSES
from runner.nn.optimizers import OPTIMIZERS
from runner.nn.outputs import OUTPUTS
from runner.nn.schedules import SCHEDULES

TABLES = {
    "task": TASKS,
    "activation": ACTIVATIONS,
    "dataset": DATASETS,
    "distortion": DISTORTIONS,
    "init": INITIALIZERS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "output": OUTPUTS,
    "schedule": SCHEDULES,
}
ELSEWHERE = {"optimizer": {"lr"}}  # parameters that are taken out before the maker is called
OFFERED = {
    "task": {"setup", "progress"},
    "dataset": {"data_dir", "path", "progress", "mirrors", "download"},
}  # not in params
FILES = sorted(path.relative_to(CONF).as_posix() for path in Path(CONF).rglob("*.yaml"))
CHOICES = [(group, name) for group, names in groups().items() for name in names]


def load(group, name):
    return yaml.safe_load(Path(CONF, group, f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def findings():
    """What is said of every choice by `check --run`, which runs nothing here."""

    def to_run(names, *_):
        return [Finding(name, "ok", "to be run") for name in names]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.check.run_all", to_run)
        return {finding.choice: finding for finding in check(run=True)}


def test_every_file_is_a_choice_that_is_checked(findings):
    assert {f"{group}/{name}.yaml" for group, name in CHOICES} == set(FILES) - {"config.yaml"}
    assert set(findings) == {f"{group}/{name}" for group, name in CHOICES}
    assert set(BUILDERS) == {group for group in groups() if "/" not in group} - {"experiment"}


def test_experiments_that_say_what_they_expect_are_run_but_for_the_long_ones(findings):
    """Whether it holds is for tests/test_experiments.py."""
    said = {name for name in groups()["experiment"] if "expect" in load("experiment", name)}
    run = {choice for choice, finding in findings.items() if finding.reason == "to be run"}
    left = {f"experiment/{name}" for name in said} - run
    assert len(run) + len(left) == len(said)
    for choice in left:  # what it needs is not here, or is asked of the user
        assert findings[choice].reason.endswith(("got none", "is left to the user"))
    assert {"experiment/and_gate", "experiment/perceptron_and"} <= run


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_is_composed_and_built(group, name, findings):
    finding = findings[f"{group}/{name}"]
    assert finding.status in ("ok", "skipped"), finding.reason
    if finding.status == "skipped":
        absent = "mnist: expected its files in data_dir or the cache, got none"
        assert finding.reason.endswith(absent) or "; pip install '.[ray]' in" in finding.reason


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_explains_itself(group, name):
    assert groups()[group][name]


@pytest.mark.parametrize(("group", "name"), [pair for pair in CHOICES if pair[0] in TABLES])
def test_parameters_and_defaults_are_those_of_the_function(group, name):
    node = load(group, name)
    node = node.get("task", node)  # a task's file is of the whole configuration
    signature = inspect.signature(TABLES[group][node["name"]]).parameters
    wanted = {
        key: parameter.default
        for key, parameter in signature.items()
        if key not in OFFERED.get(group, ()) and parameter.kind is not parameter.POSITIONAL_ONLY
    }
    given = {
        key: value
        for key, value in (node.get("params") or {}).items()
        if key not in ELSEWHERE.get(group, ())
    }
    assert set(given) == set(wanted)
    for key, default in wanted.items():
        default = list(default) if isinstance(default, tuple) else default
        assert given[key] == ("???" if default is inspect.Parameter.empty else default)


@pytest.mark.parametrize("group", TABLES)
def test_every_function_has_a_choice(group):
    nodes = [load(group, name) for name in groups()[group]]
    assert {node.get("task", node)["name"] for node in nodes} == set(TABLES[group])


def test_real_mnist_is_built_where_it_is(mnist_dir):
    (finding,) = check(["dataset/mnist"], [f"data_dir={mnist_dir}"])
    assert finding.status == "ok"
    (finding,) = check(["pretrain_mnist"], [f"data_dir={mnist_dir}"])
    assert finding.status == "ok"

"""What editors check YAML files by: it takes every file that there is, and refuses wrong ones."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.choices import CONF, groups
from runner.cli import main
from runner.commands.schema import words
from runner.schema import json_schema

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path.relative_to(CONF).as_posix() for path in Path(CONF).rglob("*.yaml"))
NAMES = [name for name in words() if name != "results"]


def stored(name):
    return ROOT / "docs" / ("schema.json" if name == "config" else f"schema/{name}.json")


def complaints(name, text):
    """Return what an editor would mark in a file."""
    found = Draft202012Validator(json_schema(name)).iter_errors(yaml.safe_load(text))
    return [error.message for error in found]


def wired():
    """Return {file in conf/: its schemas} as the editor's settings have it."""
    schemas = json.loads((ROOT / ".vscode/settings.json").read_text("utf-8"))["yaml.schemas"]
    found = {}
    for schema, patterns in schemas.items():
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            for path in ROOT.glob(pattern):
                name = path.relative_to(ROOT / "conf").as_posix()
                found.setdefault(name, []).append(Path(schema).stem.replace("schema", "config"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_schema_is_current_and_a_schema(name):
    Draft202012Validator.check_schema(json_schema(name))
    command = f"python -m runner schema {name} > {stored(name).relative_to(ROOT)}"
    assert json.loads(stored(name).read_text(encoding="utf-8")) == json_schema(name), command


def test_every_file_has_its_schema():
    schemas = {path: "config" if "/" not in path else path.split("/")[0] for path in FILES}
    experiments = {path: "config" for path in FILES if path.startswith("experiment/")}
    assert wired() == {path: [name] for path, name in (schemas | experiments).items()}
    assert set(NAMES) == {"config", "hydra"} | {
        group for group in groups() if "/" not in group and group != "experiment"
    }


@pytest.mark.parametrize("path", FILES)
def test_every_file_is_taken(path):
    assert complaints(wired()[path][0], Path(CONF, path).read_text(encoding="utf-8")) == []


WRONG = {
    "config": ["epohcs: 3", "epochs: 0", "dtype: float16", "training: {droput: 0.5}", "seed: one"],
    "activation": [
        "nmae: relu",
        "params: {}",
        "name: relo",
        "name: leaky_relu\nparams: {slope: 1}",
        "name: leaky_relu\nparams: {negative_slope: a}",
        "name: tanh\nparams: {alpha: 1}",
        "name: own",
        "- relu",
    ],
    "dataset": ["name: mnist\nsplit: tset", "name: digits\nlimit: 0", "name: curve\npath: 1"],
    "network": ["hidden: 50", "hidden: [0]", "name: book", "hidden: [10.5]"],
    "optimizer": ["name: sgd\nlr: 0.1", "name: sgd\nparams: {momentum: 0.9}"],
    "task": ["name: train", "task: {nmae: training}", "epochs: 3"],
    "weights": ["name: fiel\npath: w.npz", "name: file\npaht: w.npz"],
    "hydra": ["n_jobs: 2", "defaults: runner"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name in WRONG for text in WRONG[name]])
def test_what_is_wrong_is_refused(name, text):
    assert complaints(name, text) != []


OWN = {
    "activation": "name: own:mish\nparams: {sharp: [1, 2], soft: null}",
    "dataset": "name: own:spirals\nparams: {turns: 3}\nlimit: 10\nnormalize: false",
    "optimizer": "defaults: [sgd]\nname: 나의.모듈:함수",
    "weights": "name: inline\nparams: {W1: [[0.5], [0.5]], b1: [-0.7]}",
    "task": "name: own:count",
    "config": "defaults: [and_gate, {override /task: training}]\nhydra: {job: {num: 1}}",
}


@pytest.mark.parametrize("name", OWN)
def test_what_is_ones_own_is_taken(name):
    assert complaints(name, OWN[name]) == []


def test_a_new_folder_names_its_schemas(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "new"]) == 0
    paths = [*tmp_path.rglob("*.yaml")]
    assert len(paths) == 2
    for path in paths:
        text = path.read_text(encoding="utf-8")
        schema = path.parent / re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.M)[1]
        check = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
        check.validate(yaml.safe_load(text))
        assert not check.is_valid(yaml.safe_load(f"{text}\nother: 1\n"))
    said = capsys.readouterr().out
    assert main(["schema", "activation"]) == 0
    assert capsys.readouterr().out == (tmp_path / "new/schema/activation.json").read_text("utf-8")
    assert "new/schema/config.json" in said.replace("\\", "/")

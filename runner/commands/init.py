"""Make a config folder of one's own, with an activation, an experiment and its test.

For example:
  runner init mine
"""

import shlex
from argparse import Namespace
from pathlib import Path

from runner.commands.words import Parser
from runner.lookup import BadInput

README = """\
# Experiments of our own

`activation/` and `experiment/` hold choices beside those of the program, `own.py` the functions
that they name. From the folder above:

    runner --config-dir {name} activation=bent dataset.limit=500
    runner --config-dir {name} experiment=bent_digits
    runner check --config-dir {name} --run
    pytest {name}

The last line is what a CI job runs: it checks every choice, and runs every experiment that says
what it expects. `runner choices` lists the groups that may have choices here.

An editor with a language server for YAML completes, explains and checks the files here by the
JSON Schemas in `schema/`, which a comment in each file names. For choices of another group:

    runner schema optimizer > schema/optimizer.json
"""
OWN = '''\
"""Functions that the choices of this folder name, as own:bent."""

import numpy as np


def bent():
    """Return the bent identity (√(a² + 1) - 1) / 2 + a and its slope."""

    def forward(a):
        return (np.sqrt(a * a + 1) - 1) / 2 + a

    def slope(a):
        return a / (2 * np.sqrt(a * a + 1)) + 1

    return forward, slope
'''
BENT = """\
# (sqrt(a^2 + 1) - 1) / 2 + a, a bend instead of a corner
# yaml-language-server: $schema=../schema/activation.json
name: own:bent
"""
EXPERIMENT = """\
# @package _global_
# Digits of 8 by 8 pixels, learned with an activation of our own
# yaml-language-server: $schema=../schema/config.json
defaults:
  - override /task: training
  - override /dataset: digits
  - override /activation: bent

network:
  hidden: [30]
epochs: 10
batch_size: 20
expect: # or the run, the check and the test fail
  network: 64-30-10
  accuracy: {at_least: 0.85}
"""
TEST = '''\
"""Everything in this folder composes, builds, and gives what it expects."""

from pathlib import Path

import numpy as np
import own
import pytest
from runner.check import check


def test_every_choice_and_experiment():
    findings = list(check(config_dir=Path(__file__).parent, run=True))
    assert findings
    assert [finding for finding in findings if finding.status != "ok"] == []


def test_the_slope_is_the_derivative():
    forward, slope = own.bent()
    a, h = np.linspace(-3, 3, 25), 1e-6
    numerical = (forward(a + h) - forward(a - h)) / (2 * h)
    assert slope(a) == pytest.approx(numerical, rel=1e-8)
'''
FILES = {
    "README.md": README,
    "own.py": OWN,
    "activation/bent.yaml": BENT,
    "experiment/bent_digits.yaml": EXPERIMENT,
    "test_own.py": TEST,
}
SCHEMAS = ("activation", "config")  # those that the files above name


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner init", description=__doc__)
    parser.add_argument("folder", metavar="DIR", help="a new folder, or an empty one")
    return parser


def do(options: Namespace) -> int:
    """Write the files, and say what can be done with them."""
    from runner.schema import dumps, json_schema

    folder = Path(options.folder)
    if folder.exists() and not folder.is_dir():
        raise BadInput("DIR", "a new folder or an empty one", f"the file {folder}", where="init")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput("DIR", "a new folder or an empty one", folder, where="init")
    quoted = shlex.quote(folder.resolve().name)
    schemas = {f"schema/{name}.json": dumps(json_schema(name)) + "\n" for name in SCHEMAS}
    for name, content in (FILES | schemas).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content.replace("{name}", quoted)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(path)
    print(f"try: runner check --config-dir {shlex.quote(str(folder))} --run")
    return 0

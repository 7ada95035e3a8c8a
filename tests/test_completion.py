"""Tab completion: what is offered, by which shells, and how soon."""

import os
import shutil
import subprocess
import sys

import pytest

from runner.choices import groups
from runner.cli import main
from runner.commands import COMMANDS, module
from runner.completion import candidates

ACTIVATIONS = sorted(groups()["activation"])
# A line up to the cursor, and every word that can stand at its end.
LINES = {
    "runner activ": ["activation="],
    "runner activation=": [f"activation={name}" for name in ACTIVATIONS],
    "runner seed=1 activation=re": ["activation=relu"],
    "runner -m output=softmax,id": ["output=softmax,identity"],
    "runner dtype=": ["dtype=float32", "dtype=float64"],
    "runner dataset.normalize=": ["dataset.normalize=false", "dataset.normalize=true"],
    "runner dataset.": [
        *("dataset.deskew=", "dataset.flatten=", "dataset.limit=", "dataset.normalize="),
        *("dataset.one_hot_label=", "dataset.path=", "dataset.split="),
    ],
    "runner tim": ["timing."],
    "runner timing.w": ["timing.warmup="],
    "runner optimizer.params.m": [],
    "runner optimizer=momentum optimizer.params.m": ["optimizer.params.momentum="],
    "runner +hydra/la": ["+hydra/launcher="],
    "runner experiment=and": ["experiment=and_gate"],
    "runner experiment=published/ker": ["experiment=published/keras_512_512"],
    "runner comp": ["compare", "completion"],
    "runner seed=1 comp": [],
    "runner --conf": ["--config-dir"],
    "runner check --": ["--config-dir", "--help", "--run"],
    "runner check activation/re": ["activation/relu"],
    "runner check xo": ["xor_gate"],
    "runner choices sche": ["schedule"],
    "runner data ver": ["verify"],
    "runner data verify ": ["fashion_mnist", "mnist", "mnist5k"],
    "runner data verify mnist ": [],
    "runner export onnx ": [],
    "runner -m --cfg ": ["all", "hydra", "job"],
    "runner --config-dir ": [],  # a folder
    "runner compare a.csv --format m": ["markdown"],
    "runner compare a.csv --format markdown ": [],
    "runner check --run xo": ["xor_gate"],
    "runner task=perceptron task.params.": [
        *("task.params.average=", "task.params.gamma=", "task.params.lr=", "task.params.shuffle="),
    ],
    "runner export o": ["onnx"],
    "runner schema r": ["results"],
    "runner completion ": ["bash", "fish", "zsh"],
    "runner report ": [],  # a file, which the shell knows
    "/some/where/runner activation=sof": ["activation=softplus"],
}


@pytest.mark.parametrize("line", LINES)
def test_what_can_follow(line):
    assert candidates(line) == LINES[line]


def test_a_folder_of_ones_own_is_looked_into(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/activation").mkdir(parents=True)
    for name in ("mish", "$(touch x)", "a b"):  # the last two are no words for a shell
        (tmp_path / f"mine/activation/{name}.yaml").write_text("name: own:mish\n")
    line = "runner --config-dir mine activation="
    assert candidates(line) == sorted(f"activation={name}" for name in ["mish", *ACTIVATIONS])
    assert candidates("runner --config-dir nowhere activation=mi") == []
    assert candidates("runner check --config-dir mine activation/mi") == ["activation/mish"]
    assert candidates("runner choices -cd mine ") == ["activation"]


def test_every_command_and_every_group_is_offered_first():
    first = candidates("runner ")
    assert set(COMMANDS) <= set(first)
    assert {f"{group}=" for group in groups() if "/" not in group} <= set(first)
    assert all(module(name).__doc__ for name in COMMANDS)


def asked(shell, *command, **environment):
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} here")
    return subprocess.run(
        [path, *command],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | environment,
        check=False,
        timeout=60,
    )


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Put the program on the PATH, as an installation does."""
    program = tmp_path / "runner"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


BASH = r"""
eval "$(runner completion bash)"
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
compopt() { printf 'open '; }
for COMP_LINE in "$@"; do
    COMP_POINT=${#COMP_LINE}
    _runner runner
    echo "${COMPREPLY[*]}"
done
"""


@pytest.mark.skipif(os.name == "nt", reason="no such shells")
def test_bash_completes_what_follows_its_own_word_breaks(on_path):
    lines = ["runner -m output=softmax,id", "runner comp", "runner timing.w", "runner report x"]
    done = asked("bash", "--norc", "-c", BASH, "bash", *lines)
    assert done.stdout.splitlines() == [
        "softmax,identity", "compare completion", "open timing.warmup=", ""
    ]  # fmt: skip
    assert done.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="no such shells")
def test_fish_completes(on_path, tmp_path):
    script = 'runner completion fish | source; complete -C "runner activation=sof"'
    done = asked("fish", "-N", "-c", script, HOME=str(tmp_path))
    assert done.stdout.split() == ["activation=softplus"]


def test_zsh_reads_its_script(tmp_path, capsys):
    assert main(["completion", "zsh"]) == 0
    script = tmp_path / "_runner"
    script.write_text(capsys.readouterr().out)
    done = asked("zsh", "-n", str(script))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_tab_imports_nothing_heavy_and_takes_a_fifth_of_a_second():
    code = (
        "import sys; from runner.cli import main;"
        "main(['completion', 'bash', 'runner activation=re']);"
        "print({'numpy', 'hydra', 'omegaconf', 'pandas', 'rich', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["activation=relu", "set()"]
    command = [sys.executable, "-m", "runner", "completion", "bash", "runner activation=re"]
    fastest = []
    for _ in range(3):
        before = os.times()
        subprocess.run(command, capture_output=True, check=True)
        after = os.times()  # the machine may be busy: processor time of the child
        fastest.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(fastest) <= 0.2

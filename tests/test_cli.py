"""The command line as a user meets it: a mistake is one line, exit 2, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from runner.choices import groups
from runner.cli import main

EXPERIMENTS = sorted(groups()["experiment"])

# What is typed, and what is answered after `error: `.
BAD = {
    "activation=relo": "command line: activation: expected one of elu, gelu, identity, leaky_relu, "
    "maxout, relu, sigmoid, softplus, step, tanh, got relo; did you mean relu?",
    "network.hiden=[5]": "command line: network.hiden: expected a key of network (hidden, "
    "activations), got hiden; did you mean network.hidden?",
    "batch_size=0": "command line: batch_size: expected at least 1, got 0",
    "batch_size=[]": "command line: batch_size: expected an integer, or a list of integers, got []",
    "batch_size=1.5": "command line: batch_size: expected an integer, or a list of integers, "
    "got 1.5",
    "batch_size=[1,1]": "command line: batch_size: expected different sizes, got [1, 1]",
    "batch_size=[1,0]": "command line: batch_size: expected at least 1, got 0",
    "task=training batch_size=[1,2]": "command line: batch_size: expected one integer (a list is "
    "for inference), got [1, 2]",
    "weights.path=/nowhere": "command line: weights.path: expected none unless weights=file, "
    "got /nowhere; did you mean weights=file weights.path=/nowhere?",
    "weights=file weights.path=/nowhere": "command line: weights.path: /nowhere: expected a weight "
    "file (safetensors, npz, or the book's pickle), got no such file",
    "weights=file": "command line: weights.path: expected a path, got none",
    "network.hidden=[50,99]": "command line: network.hidden: expected [50, 100] (the weights' "
    "shapes), got [50, 99]",
    "network.hidden=[0]": "command line: network.hidden: expected at least 1, got 0",
    "network.hidden=[a]": "command line: network.hidden[0]: expected an integer, got a",
    "network.activations=[relu]": "command line: network.activations: expected 2 names, one per "
    "hidden layer, got 1",
    "network.activations=[relu,tahn]": "command line: network.activations: expected one of elu, "
    "gelu, identity, leaky_relu, maxout, relu, sigmoid, softplus, step, tanh, or module:function, "
    "got tahn; did you mean tanh?",
    "network=null": "command line: expected the name of a choice for a config group, got none",
    "seed=abc": "command line: seed: expected an integer, got abc",
    "seed=-1": "command line: seed: expected between 0 and 4294967295, got -1",
    "seed=1,2": "command line: seed: expected one value, got several; a sweep needs -m",
    "seed=range(0,3)": "command line: seed: expected one value, got several; a sweep needs -m",
    "seed=[": "command line: seed=[: expected key=value, got no viable alternative at input '['",
    "seed=값": "command line: seed=값: expected key=value, got characters that need quotes",
    "seed=${nope}": "command line: seed: expected an interpolation that resolves, "
    "got Interpolation key 'nope' not found",
    "+sead=1": "command line: sead: expected a key of Config, got sead; did you mean seed?",
    "+network.foo=1": "command line: network.foo: expected a key of Network, got foo",
    "~activation": "command line: activation.name: expected a value, got none",
    "dtype=float16": "command line: dtype: expected one of float32, float64, got float16",
    "threads=0": "command line: threads: expected between 1 and 64, got 0",
    "epochs=0": "command line: epochs: expected at least 1, got 0",
    "timing.repeats=0": "command line: timing.repeats: expected at least 1, got 0",
    "dataset.limit=0": "command line: dataset.limit: expected at least 1, got 0",
    "dataset.split=tset": "command line: dataset.split: expected one of all, auto, test, train, "
    "got tset",
    "task=training dataset.split=test": "command line: dataset.split: expected auto (training "
    "learns the train split and is measured on both), got test",
    "dataset.normalize=perhaps": "command line: dataset.normalize: expected true or false, "
    "got perhaps",
    "optimizer.params.lr=-1": "command line: optimizer.params.lr: expected a number above 0, "
    "got -1",
    "optimizer.params.lr=fast": "command line: optimizer.params.lr: expected a number above 0, "
    "got fast",
    "optimizer=momentum optimizer.params.momentum=1": "command line: optimizer.params.momentum: "
    "expected a finite number >= 0 and < 1, got 1",
    "optimizer.params.momentun=1": "command line: optimizer.params.momentun: expected a key of "
    "optimizer.params (lr, weight_decay), got momentun",
    "activation.params.alpha=1": "command line: activation.params.alpha: expected a key of "
    "activation.params (it has none), got alpha",
    "activation=gelu activation.params.approximate=yes": "command line: "
    "activation.params.approximate: expected 'none' or 'tanh', got 'yes'",
    "dataset=digits": "command line: dataset: expected samples of 784 numbers (the weights' "
    "inputs), got 64",
    "dataset=curve output=identity": "configuration: loss: expected sum_squares (the targets are "
    "real numbers), got cross_entropy",
    "dataset=curve": "configuration: output: expected identity (the targets are real numbers), "
    "got softmax",
    "dataset=xor weights=none weights=inline +weights.params.W1=[[1],[1]] "
    "+weights.params.b1=[0] network=perceptron": "command line: weights: expected 2 output neurons "
    "(the dataset's classes, output=softmax), got 1",
    "dataset=file": "command line: dataset.path: expected a path, got none",
    "dataset=inline": "command line: dataset.params.x: expected a value, got none",
    "dataset.path=x.npz": "command line: dataset.path: expected none unless dataset=file, got "
    "x.npz; did you mean dataset=file dataset.path=x.npz?",
    "dataset=mnist data_dir=/nowhere": "command line: data_dir: expected a folder, got /nowhere",
    "network.hidden=[1000000,1000000] weights=none": "command line: network.hidden: expected a "
    "network that fits into memory, got 784-1000000-1000000-10",
    "task.params.n=1": "command line: task.params.n: expected a key of task.params (it has none), "
    "got n",
    "+task.params.n=1": "command line: task.params.n: expected no parameters, got n",
    "+weights.params.W1=1": "command line: weights.params: expected none with weights=pretrained, "
    "got W1",
    "network.activations=[elu,elu] activation=elu activation.params.alpha=banana": "command line: "
    "activation.params.alpha: expected a finite number, got 'banana'",
    "dataset=mnist dataset.params.without_mnist5k=banana": "command line: dataset: "
    "without_mnist5k: expected true or false, got 'banana'",
    "dataset=mnist +dataset.params.mirrors=[x]": "command line: dataset.params.mirrors: expected a "
    "parameter of the choice, got mirrors",
    "batch_size=null": "command line: batch_size: expected an integer, or a list of integers, "
    "got null",
    "+hydra.foo=1": "command line: hydra.foo: expected a key of hydra, got foo",
    "hydra/sweeper=basic": "configuration: hydra.sweeper._target_: expected one that this program "
    "lists, got hydra._internal.core_plugins.basic_sweeper.BasicSweeper; module:function under "
    "`name` is the way to code of your own",
    "--cfg job -p nope": "command line: --package: expected a part of the configuration, got nope",
    "--cfg job -m seed=1,2": "command line: -m: expected a sweep, or something to show, got both",
    "-m data_dir=a,b": "command line: data_dir: expected one value (it is of the sweep as a "
    "whole), got data_dir=a,b",
    "data_dir=/nowhere": "command line: data_dir: expected a folder, got /nowhere",
    "task=training output=step": "command line: output: expected softmax, sigmoid or identity "
    "(step has no slope), got step",
    "task=training output=identity": "command line: output: expected softmax (cross_entropy learns "
    "probabilities), got identity",
    "task=training output=pairwise loss=sum_squares": "command line: loss: expected cross_entropy "
    "(output=pairwise is learned with it), got sum_squares",
    "task=training output=pairwise training.label_smoothing=0.1": "command line: "
    "training.label_smoothing: expected 0 (there are no classes with a neuron each), got 0.1",
    "task=perceptron dataset=and output=pairwise": "command line: output: expected step "
    "(a perceptron has an output for each class), got pairwise",
    "dataset=mnist5k output=pairwise": "configuration: weights: expected 45 output neurons "
    "(the dataset's classes, output=pairwise), got 10",
    "distortion=shift": "command line: distortion: expected none unless task=training, got shift",
    "dataset=curve distortion=affine task=training output=identity loss=sum_squares": "command "
    "line: distortion: expected none, or images (height, width) of bytes, got samples of float64 "
    "(1,)",
    "dataset=digits task=training distortion=elastic distortion.params.sigma=0": "command line: "
    "distortion.params: expected finite numbers, and sigma above 0",
    "dataset=curve dataset.deskew=true task=training output=identity loss=sum_squares": "command "
    "line: dataset: deskew: expected images (height, width) of bytes, got float64 (1,)",
    "sweep.name=a/b": "command line: sweep.name: expected up to 100 letters, digits, dots, "
    "hyphens and underscores, got a/b",
    "experiment=and_gat": f"command line: experiment: expected one of {', '.join(EXPERIMENTS)}, "
    "got and_gat; did you mean and_gate?",
    "task=perceptron network.hidden=[3]": "command line: network.hidden: expected none (the rule "
    "reaches one layer), got [3]",
    "task=perceptron dataset=curve": "command line: dataset: expected classes to tell apart, "
    "got real-numbered targets",
    "task=perceptron dataset.split=test": "command line: dataset.split: expected auto (training "
    "learns the train split and is measured on both), got test",
    "task=functions task.params.functions=[relo]": "command line: task.params.functions: expected "
    "one of elu, gelu, identity, leaky_relu, relu, sigmoid, softmax, softplus, step, tanh, "
    "got relo; did you mean relu?",
    "task=descent task.params.steps=-1": "command line: task.params.steps: expected an integer "
    "from 0, got -1",
    "chekc": "command line: chekc: expected a command (check, choices, compare, data, export, "
    "report, reproduce, resume, schema, summarize) or key=value, got chekc; did you mean check?",
    "--experimental-rerun x": "command line: runner: unrecognized arguments: --experimental-rerun",
    "--config-dir nowhere": "command line: --config-dir: expected a folder, got nowhere",
    "hydra.run.dir=x": "command line: hydra.run.dir: expected output_dir (this key is the "
    "program's), got x",
    "check and_gat": "check: and_gat: expected an experiment or group/choice, got none such; "
    "did you mean and_gate?",
    "choices activatoin": "choices: GROUP: expected one of activation, dataset, experiment, "
    "experiment/published, hydra/launcher, hydra/sweeper, init, loss, network, optimizer, output, "
    "schedule, task, weights, got activatoin; did you mean activation?",
    "data verify mnsit": "command line: data: expected one of mnist, fashion_mnist, mnist5k, "
    "got 'mnsit'",
    "-m seed=range(0,1000000000)": "command line: sweep.max_runs: expected a sweep of at most "
    "100,000 jobs, got 1,000,000,000",
    "-m activation=glob(x*)": "command line: activation: expected at least one value, "
    "got activation=glob(x*)",
    "-m seed=range(3,0)": "command line: seed: expected at least one value, got seed=range(3,0)",
    "-m seed=range(0,3,0)": "command line: seed: expected a step other than 0, "
    "got seed=range(0,3,0)",
    "-m network.hidden=[50,100],[50,99]": "command line: network.hidden: expected [50, 100] (the "
    "weights' shapes), got [50, 99]",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", BAD)
def test_a_mistake_is_one_line_and_leaves_nothing(words, here, capsys):
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {BAD[words]}\n"
    assert captured.out == ""
    assert list(here.iterdir()) == []


def test_a_message_survives_a_terminal_that_cannot_show_it(here):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "runner", "activation='렐루'"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "got \\ub810\\ub8e8" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", ["-h", "--help"])
def test_help_names_commands_groups_and_choices(words, capsys):
    assert main([words]) == 0
    text = capsys.readouterr().out
    for word in ("check", "choices", "data", "schema", "mnist5k", "relu", "--multirun"):
        assert word in text


@pytest.mark.parametrize("command", ["check", "choices", "data", "schema"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "-h"])
    assert ended.value.code == 0
    assert f"usage: runner {command}" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from runner.cli import main; main(['-h']);"
        "print({'numpy', 'hydra', 'omegaconf', 'pandas', 'rich', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_run_imports_no_plotting_and_no_statistics(here):
    code = (
        "import sys; from runner.cli import main; main([]);"
        "heavy = {'matplotlib', 'scipy', 'sklearn', 'mlxtend', 'pooch'};"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_choices_explains_every_choice(capsys):
    assert main(["choices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "activation" in lines
    assert "  relu             max(0, a)" in lines
    explained = [line for line in lines if line.startswith("  ")]
    assert all(re.fullmatch(r"  \S+ +\S.*", line) for line in explained)


def test_cfg_shows_and_runs_nothing(here, capsys):
    assert main(["--cfg", "job", "network.hidden=[7]"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["network"]["hidden"] == [7]
    assert shown["optimizer"]["params"]["lr"] == 0.1
    assert list(here.iterdir()) == []


def test_info_and_version(capsys):
    assert main(["--info", "searchpath"]) == 0
    assert "structured://" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.endswith("runner 0.1.0\n")


SLOW = """
import time
def slow(setup, progress):
    print("started", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_and_is_recorded(number, status, here):
    (here / "mine" / "task").mkdir(parents=True)
    (here / "mine" / "slow.py").write_text(SLOW)
    (here / "mine" / "task" / "slow.yaml").write_text("name: slow:slow\n")
    command = [sys.executable, "-m", "runner", "--config-dir", "mine", "task=slow"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    assert process.stdout.readline() == "started\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert errors == f"error: {'interrupted' if status == 130 else 'terminated'}\n"
    (results,) = here.glob("outputs/runs/*/*/results.csv")
    header, row = results.read_text().splitlines()
    record = dict(zip(header.split(","), row.split(","), strict=True))
    assert record["status"] == "interrupted"
    assert record["accuracy"] == ""

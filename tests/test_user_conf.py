"""A config folder and modules of a user's own, outside the repository."""

import sys

import numpy as np
import pytest

import runner
from runner.cli import main

MODULE = """
import numpy as np
from helper import tanh_softplus

def mish():
    def slope(a):
        return tanh_softplus(a) + a * (1 - tanh_softplus(a) ** 2) / (1 + np.exp(-a))
    return lambda a: a * tanh_softplus(a), slope

def blobs(n=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    return x, (x.sum(axis=1) > 0).astype(int)

def three():
    return 3

def scalar():
    return float, float

def explode():
    raise RuntimeError("boom")

constant = 3
"""
HELPER = "import numpy as np\ndef tanh_softplus(a):\n    return np.tanh(np.log1p(np.exp(a)))\n"
FILES = {
    "own.py": MODULE,
    "helper.py": HELPER,
    "activation/mish.yaml": "# A user's own\nname: own:mish\n",
    "activation/three.yaml": "name: own:three\n",
    "activation/scalar.yaml": "name: own:scalar\n",
    "activation/explode.yaml": "name: own:explode\n",
    "activation/constant.yaml": "name: own:constant\n",
    "activation/mishh.yaml": "name: own:mishh\n",
    "activation/absent.yaml": "name: absent:mish\n",
    "activation/wrong_key.yaml": "nmae: own:mish\n",
    "activation/cut.yaml": "name: [own\n",
    "dataset/blobs.yaml": "name: own:blobs\nparams:\n  n: 40\n",
    "dataset/three.yaml": "name: own:three\n",
    "experiment/mine.yaml": "# @package _global_\ndefaults:\n  - override /activation: mish\n"
    "  - override /dataset: blobs\n  - override /output: sigmoid\n  - override /task: training\n"
    "epochs: 20\nexpect:\n  network: 2-50-100-1\n  accuracy: {at_least: 0.9}\n",
}
BAD = {
    "activation=three": "command line: activation: expected a function that returns a pair of "
    "functions, got int",
    "activation=scalar": "command line: activation: expected a forward of arrays, got TypeError: "
    "only 0-dimensional arrays can be converted to Python scalars",
    "activation=explode": "command line: activation: RuntimeError: boom",
    "activation=constant": "command line: activation.name: expected a function of {mine}/own.py, "
    "got constant",
    "activation=mishh": "command line: activation.name: expected a function of {mine}/own.py, "
    "got mishh; did you mean mish?",
    "activation=absent": "command line: activation.name: expected a module absent in {mine}, "
    "got absent:mish",
    "activation=wrong_key": "activation/wrong_key.yaml: activation.nmae: expected a key of "
    "activation (name, params), got nmae; did you mean activation.name?",
    "activation=cut": "{mine}/activation/cut.yaml:2: expected YAML, got none (did not find "
    "expected ',' or ']')",
    "dataset=three weights=none": "command line: dataset: own:three: expected (x, t), ((x_train, "
    "t_train), (x_test, t_test)) or a Dataset, got int",
    "dataset=blobs dataset.params.m=1": "command line: dataset.params.m: expected a key of "
    "dataset.params (n), got m",
    "dataset=blobs +dataset.params.m=1": "command line: dataset.params: expected one of n, got m",
    "dataset=blobs": "command line: dataset: expected samples of 784 numbers (the weights' "
    "inputs), got 2",
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "mine"


def test_an_activation_of_ones_own(mine):
    result = runner.run(["activation=mish", "dataset.limit=500"], config_dir=mine)
    assert result.row["activation"] == "own:mish"
    assert result.accuracy > 0.9  # close to the relu that the weights were trained with


SAME = """
import numpy as np

class Descent:
    def update(self, parameters, gradients, lr):
        parameters -= lr * gradients

def sgd():
    return Descent()

def linear():
    return lambda step, steps: 1 - step / steps

def zeros():
    def draw(inputs, outputs, activation, *, rng, dtype):
        return np.zeros((inputs, outputs), dtype)
    return draw

def halves():
    return {"W1": np.full((64, 10), 0.5), "b1": np.full(10, 0.5)}

def identity():
    return lambda images, rng: images

def softmax():
    def forward(a):
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    return forward, lambda y, dy: y * (dy - (y * dy).sum(axis=1, keepdims=True))

def squares():
    return lambda y, t: 0.5 * ((y - t) ** 2).sum() / len(y), lambda y, t: (y - t) / len(y)
"""
HALVES = [0.5] * 10
PARAMS = {"optimizer": "params: {lr: 0.1}"}


@pytest.mark.parametrize(
    ("group", "name", "given"),
    [
        ("optimizer", "sgd", ["optimizer=sgd"]),
        ("schedule", "linear", ["schedule=linear"]),
        ("init", "zeros", ["init=zeros"]),
        (
            "weights",
            "halves",
            ["weights=inline", f"+weights.params={{W1: {[HALVES] * 64}, b1: {HALVES}}}"],
        ),
        ("distortion", "identity", ["distortion=none"]),
        ("output", "softmax", ["output=softmax"]),
        ("loss", "squares", ["loss=sum_squares"]),
    ],
)
def test_a_function_of_ones_own_does_what_that_of_the_program_does(group, name, given, mine):
    (mine / "same.py").write_text(SAME)
    (mine / group).mkdir(exist_ok=True)
    (mine / group / "of_mine.yaml").write_text(f"name: same:{name}\n{PARAMS.get(group, '')}")
    words = ["task=training", "dataset=digits", "network.hidden=[]", "epochs=2", "figures=none"]
    theirs = runner.run([*words, *given])
    own = runner.run([*words, f"{group}=of_mine"], config_dir=mine)
    assert own.accuracy == pytest.approx(theirs.accuracy, abs=0.005)
    assert own.row["test_loss"] == pytest.approx(theirs.row["test_loss"], rel=1e-3)
    assert own.row["run_id"] != theirs.row["run_id"]


def test_an_experiment_of_ones_own_learns(mine):
    result = runner.run(["experiment=mine", "figures=none"], config_dir=mine)
    assert result.row["network"] == "2-50-100-1"
    assert result.accuracy > 0.9


def test_the_source_of_ones_own_module_belongs_to_the_run_id(mine):
    words = ["experiment=mine", "epochs=1", "figures=none"]

    def run_id():
        return runner.run(words, config_dir=mine).row["run_id"]

    before = run_id()
    assert run_id() == before
    (mine / "own.py").write_text(MODULE + "\n# changed\n")
    assert run_id() != before


def test_modules_of_two_folders_do_not_meet(mine, tmp_path):
    other = tmp_path / "other" / "activation"
    other.mkdir(parents=True)
    (other / "mish.yaml").write_text("name: own:mish\n")
    (other.parent / "own.py").write_text(
        "import numpy as np\ndef mish():\n    return np.zeros_like, np.zeros_like\n"
    )
    words = ["activation=mish", "dataset.limit=200"]
    assert runner.run(words, config_dir=mine).accuracy > 0.9
    assert runner.run(words, config_dir=other.parent).accuracy < 0.3
    assert runner.run(words, config_dir=mine).accuracy > 0.9
    assert not {"own", "helper"} & set(sys.modules)


def test_a_module_on_the_import_path(mine, monkeypatch):
    (mine / "activation" / "numpys.yaml").write_text("name: far_away:square\n")
    (mine.parent / "far_away.py").write_text(
        "def square():\n    return (lambda a: a * a), (lambda a: 2 * a)\n"
    )
    monkeypatch.syspath_prepend(str(mine.parent))
    result = runner.run(["activation=numpys", "dataset.limit=10"], config_dir=mine)
    assert result.row["activation"] == "far_away:square"


@pytest.mark.parametrize("words", BAD)
def test_a_mistake_is_one_line_and_leaves_nothing(words, mine, capsys):
    assert main(["--config-dir", "mine", *words.split()]) == 2
    assert capsys.readouterr().err == f"error: {BAD[words].format(mine=mine)}\n"
    assert not (mine.parent / "outputs").exists()


def test_check_looks_at_this_folder_alone(mine, capsys):
    for name in FILES:
        if name.startswith("activation/") and "mish.yaml" not in name:
            (mine / name).unlink()
    (mine / "dataset/three.yaml").unlink()
    assert main(["check", "--config-dir", "mine"]) == 0
    out = capsys.readouterr().out
    assert [" ".join(line.split()) for line in out.splitlines() if "/" in line] == [
        "activation/mish ok",
        "dataset/blobs ok",
        "experiment/mine ok",
    ]
    assert main(["check", "--config-dir", "mine", "--run"]) == 0
    assert "2 expectations held" in capsys.readouterr().out
    (mine / "activation/three.yaml").write_text(FILES["activation/three.yaml"])
    assert main(["check", "--config-dir", "mine"]) == 1
    assert "a pair of functions" in capsys.readouterr().out


def test_arrays_in_the_books_form(mine):
    (mine / "own.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x = np.arange(12, dtype=np.uint8).reshape(6, 2)\n"
        "    t = np.array([0, 1, 2, 0, 1, 2])\n"
        "    return (x[:4], t[:4]), (x[4:], t[4:])\n"
    )
    (mine / "dataset" / "split.yaml").write_text("name: own:load\n")
    result = runner.run(["dataset=split", "weights=none"], config_dir=mine)
    assert result.row["n"] == 2
    assert result.row["network"] == "2-50-100-3"
    with np.load(result.folder / "predictions.npz") as arrays:
        np.testing.assert_array_equal(arrays["t"], [1, 2])

"""A user's own functions are tried before a run depends on them; a mistake is one line."""

import numpy as np
import pytest

from runner.cli import main
from runner.lookup import BadInput
from runner.tasks.probe import functions, try_number, try_on_arrays

# Of each group the text of own.py, and what is answered after `error: command line: `.
BAD = {
    "output of another shape": (
        "output",
        "def output():\n    return lambda a: a[:1], lambda y, dy: dy\n",
        "output.name: expected a forward that keeps shape (2, 3) and dtype float32, got (1, 3) "
        "and float32",
    ),
    "output of another dtype": (
        "output",
        "def output():\n    return lambda a: a.astype('float64'), lambda y, dy: dy\n",
        "output.name: expected a forward that keeps shape (2, 3) and dtype float32, got (2, 3) "
        "and float64",
    ),
    "way back of another shape": (
        "output",
        "def output():\n    return lambda a: a.copy(), lambda y, dy: dy.sum(axis=1)\n",
        "output.name: expected a backward that keeps shape (2, 3) and dtype float32, got (2,) "
        "and float32",
    ),
    "activation in place": (
        "activation",
        "def activation():\n"
        "    def forward(a):\n"
        "        a *= 2\n"
        "        return a\n"
        "    return forward, lambda a: a * 0\n",
        "activation: expected a forward that leaves its argument alone, got it changed",
    ),
    "slope in place": (
        "activation",
        "def activation():\n"
        "    def slope(a):\n"
        "        a[:] = 1\n"
        "        return a\n"
        "    return lambda a: a * 1, slope\n",
        "activation: expected a slope that leaves its argument alone, got it changed",
    ),
    "activation that raises": (
        "activation",
        "def activation():\n    return lambda a: a.nothing, lambda a: a\n",
        "activation: expected a forward of arrays, got AttributeError: 'numpy.ndarray' object has "
        "no attribute 'nothing'",
    ),
    "loss of nan": (
        "loss",
        "def loss():\n    return lambda y, t: float('nan'), lambda y, t: y - t\n",
        "loss.name: expected a value that gives a finite number, got nan",
    ),
    "loss of text": (
        "loss",
        "def loss():\n    return lambda y, t: 'low', lambda y, t: y - t\n",
        "loss.name: expected a value that gives a finite number, got 'low'",
    ),
    "loss of truth": (
        "loss",
        "def loss():\n    return lambda y, t: True, lambda y, t: y - t\n",
        "loss.name: expected a value that gives a finite number, got True",
    ),
    "gradient of another shape": (
        "loss",
        "def loss():\n    return lambda y, t: 0.5, lambda y, t: (y - t)[0]\n",
        "loss.name: expected a gradient that keeps shape (2, 3) and dtype float32, got (3,) and "
        "float32",
    ),
    "schedule of a number": (
        "schedule",
        "def schedule():\n    return 5\n",
        "schedule.name: expected a factor of arrays, got TypeError: 'int' object is not callable",
    ),
    "schedule of infinity": (
        "schedule",
        "def schedule():\n    return lambda step, steps: float('inf')\n",
        "schedule.name: expected a factor that gives a finite number, got inf",
    ),
    "distortion of fewer images": (
        "distortion",
        "def distortion():\n    return lambda images, rng: images[:1]\n",
        "distortion.name: expected a distortion that keeps shape (2, 28, 28) and dtype float32, "
        "got (1, 28, 28) and float32",
    ),
    "optimizer of a number": (
        "optimizer",
        "def optimizer():\n    return 5\n",
        "optimizer.name: expected a function that returns something with an update, got int",
    ),
    "matrix of another shape": (
        "init",
        "def init():\n"
        "    def draw(fan_in, fan_out, activation_name, *, rng, dtype):\n"
        "        return rng.normal(size=(fan_out, fan_in)).astype(dtype)\n"
        "    return draw\n",
        "init.name: expected a matrix that keeps shape (2, 3) and dtype float32, got (3, 2) and "
        "float32",
    ),
}


@pytest.fixture
def answer(tmp_path, monkeypatch, capsys):
    """Return what the program says to a choice that own.py's function of the group's name makes."""
    monkeypatch.chdir(tmp_path)

    def ask(group, text):
        (tmp_path / "mine" / group).mkdir(parents=True)
        (tmp_path / "mine" / "own.py").write_text(text)
        params = "params:\n  lr: 0.1\n" if group == "optimizer" else ""
        (tmp_path / "mine" / group / "own.yaml").write_text(f"name: own:{group}\n{params}")
        words = ["--config-dir", "mine", "dataset=xor", "weights=none", f"{group}=own"]
        assert main(words) == 2
        assert not (tmp_path / "outputs").exists()
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err

    return ask


@pytest.mark.parametrize("what", BAD)
def test_a_function_that_cannot_be_used_is_one_line_and_leaves_nothing(what, answer):
    group, text, message = BAD[what]
    assert answer(group, text) == f"error: command line: {message}\n"


def test_an_init_that_cannot_be_used_is_named(answer):
    error = answer("init", "def init():\n    return 5\n")
    assert error.startswith("error: command line: init.name: expected ")


@pytest.mark.parametrize("made", [(len, len, len), (len,), [len, len], (len, 3), len, None])
def test_anything_but_a_pair_of_functions_is_refused(made):
    with pytest.raises(BadInput, match="expected a function that returns a pair of functions"):
        functions("activation", made)


def test_a_pair_of_functions_is_handed_on():
    assert functions("activation", (len, abs)) == (len, abs)


def test_a_result_is_compared_with_the_last_argument():
    first, last = np.zeros((4, 4)), np.zeros((2, 3), np.float32)
    try_on_arrays("output.name", {"backward": (lambda y, dy: dy + 1, (first, last))})
    with pytest.raises(BadInput, match=r"shape \(2, 3\) and dtype float32, got \(4, 4\)"):
        try_on_arrays("output.name", {"backward": (lambda y, dy: y + 1, (first, last))})


def test_a_change_of_any_argument_is_noticed():
    def spoils(y, dy):
        y += 1
        return dy

    with pytest.raises(BadInput, match="leaves its argument alone"):
        try_on_arrays("output.name", {"backward": (spoils, (np.zeros(2), np.zeros(2)))})


@pytest.mark.parametrize("number", [1, 0.5, np.float32(0.5), np.int64(3)])
def test_any_finite_number_will_do(number):
    try_number("loss.name", "value", lambda: number)


@pytest.mark.parametrize("value", [None, np.ones(1), 1j, np.float32("-inf")])
def test_what_is_no_finite_number_will_not(value):
    with pytest.raises(BadInput, match="a value that gives a finite number"):
        try_number("loss.name", "value", lambda: value)

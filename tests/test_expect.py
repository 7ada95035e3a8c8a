import re
import tempfile

import numpy as np
import pandas as pd
import pytest

import runner
from runner.cli import main
from runner.expect import check_forms, equal, judge
from runner.lookup import BadInput

RECORDED = {
    "accuracy": 0.75,
    "correct": 3,
    "status": "completed",
    "converged": False,
    "test_loss": None,
    "y": np.array([[0.1, 0.9]], np.float32),
    "predicted": np.array([0, 1, 1]),
    "history.updates": [2, 4],
}


@pytest.mark.parametrize(
    ("expect", "held"),
    [
        ({"accuracy": 0.75}, True),
        ({"accuracy": 0.75 + 0.9e-8}, True),
        ({"accuracy": 0.75 + 1.1e-8}, False),
        ({"accuracy": {"value": 0.7, "tolerance": 0.06}}, True),
        ({"accuracy": {"value": 0.7, "tolerance": 0.04}}, False),
        ({"accuracy": {"at_least": 0.75}}, True),
        ({"accuracy": {"at_least": 0.76}}, False),
        ({"accuracy": {"at_least": 0.7, "at_most": 0.75}}, True),
        ({"accuracy": {"at_most": 0.7}}, False),
        ({"correct": 3}, True),
        ({"correct": 4}, False),
        ({"correct": {"value": 5, "tolerance": 2}}, True),
        ({"correct": {"value": 5, "tolerance": 1}}, False),
        ({"status": "completed"}, True),
        ({"status": "diverged"}, False),
        ({"converged": False}, True),
        ({"converged": True}, False),
        ({"converged": 0}, False),
        ({"test_loss": 0.0}, False),
        ({"test_loss": {"at_least": 0.0}}, False),
        ({"predicted": [0, 1, 1]}, True),
        ({"predicted": [0, 1, 0]}, False),
        ({"predicted": [0, 1]}, False),
        ({"predicted": 1}, False),
        ({"history.updates": [2, 4]}, True),
        ({"history.updates": {"at_least": 2}}, True),
        ({"history.updates": {"at_least": 3}}, False),
        ({"nothing": 1}, False),
    ],
)
def test_what_holds(expect, held):
    check_forms(expect)
    (verdict,) = judge(expect, RECORDED, "float64")
    assert verdict.held is held


def test_float32_has_a_tolerance_of_its_own():
    assert judge({"y": [[0.1, 0.9]]}, RECORDED, "float32")[0].held
    assert not judge({"y": [[0.1, 0.9]]}, RECORDED, "float64")[0].held


def test_verdicts_say_what_was_expected_and_got():
    expect = {"accuracy": 0.5, "correct": {"at_least": 1, "at_most": 2}, "acuracy": 1}
    one, two, three = judge(expect, RECORDED, "float64")
    assert (one.expected, one.got, one.tolerance) == ("0.5", "0.75", "1e-08")
    assert (two.expected, two.got) == (">= 1 and <= 2", "3")
    assert three.got == "nothing recorded; did you mean accuracy?"


def test_nan_equals_nothing():
    assert not equal(1.0, float("nan"), 1.0)
    assert not equal(float("nan"), float("nan"), 1.0)


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"a": None}, "expect.a: expected finite numbers, words or truth values, got null"),
        ({"a": {"at_last": 1}}, "expect.a.at_last: expected one of at_least, at_most, tolerance, "
         "value, got at_last; did you mean at_least?"),
        ({"a": {"at_least": "x"}}, "expect.a.at_least: expected a number, got x"),
        ({"a": {"tolerance": 1}}, "expect.a: expected a value, a value and a tolerance, or a band, "
         "got tolerance"),
        ({"a": {"value": 1, "at_most": 1}}, "expect.a: expected a value, a value and a tolerance"),
        ({"a": {"at_most": 1, "tolerance": 1}}, "expect.a: expected a value, a value and a"),
        ({"a": {"at_least": 3, "at_most": 1}}, "expect.a: expected at_least below at_most, got 3"),
        ({"a": {"value": 1, "tolerance": -1}}, "expect.a.tolerance: expected at least 0, got -1"),
        ({"a": [[1], [1, 2]]}, "expect.a: expected rows of one length, got [[1], [1, 2]]"),
        ({"a": float("nan")}, "expect.a: expected finite numbers, words or truth values, got nan"),
    ],
)  # fmt: skip
def test_forms_that_say_nothing_are_refused(expect, message):
    with pytest.raises(BadInput, match=f"^{re.escape(message)}"):
        check_forms(expect)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_prints_and_writes_what_holds(here, capsys):
    assert main(["experiment=three_layer_network"]) == 0
    out = capsys.readouterr().out
    assert "0.31682708 0.69627909" in out
    assert "NOT HELD" not in out
    (path,) = here.glob("outputs/runs/*/*/expect.csv")
    table = pd.read_csv(path)
    assert table["name"].tolist() == ["trace.a1", "trace.z1", "trace.a2", "trace.z2", "y"]
    assert table["held"].all()


def test_a_run_that_gives_something_else_exits_1(here, capsys):
    (here / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\n# Wrong on purpose\ndefaults:\n  - and_gate\nexpect:\n"
    (here / "mine" / "experiment" / "wrong.yaml").write_text(text + "  accuracy: 0.5\n")
    words = ["--config-dir", "mine", "experiment=wrong"]
    assert main(words) == 1
    line = next(x for x in capsys.readouterr().out.splitlines() if "NOT HELD" in x)
    assert line.split() == ["accuracy", "NOT", "HELD", "0.5", "1", "1e-06"]
    assert main(["check", "--config-dir", "mine", "--run"]) == 1
    assert "accuracy: expected 0.5, got 1" in capsys.readouterr().out


def test_expectations_are_of_the_experiment_as_it_is_written(here, capsys):
    words = ["experiment=three_layer_network", "dataset.params.x=[[0,0]]"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "y = 0.3080685345 0.6768389367" in out
    assert "expectations not checked, changed by dataset.params.x=[[0,0]]" in out
    assert not list(here.glob("outputs/runs/*/*/expect.csv"))


@pytest.mark.parametrize(
    ("words", "checked"),
    [
        (["seed=3"], True),  # the experiment does not set it
        (["timing.repeats=1", "figures=none", "threads=1"], True),
        (["dtype=float64"], False),
        (["activation=relu"], False),
        (["network.hidden=[3,2]"], False),
    ],
)
def test_other_keys_do_not_change_the_experiment(here, words, checked):
    result = runner.run(["experiment=three_layer_network", *words])
    assert bool(result.verdicts) == checked
    assert (result.unchecked == []) == checked


def test_an_expected_divergence_is_as_expected(here):
    (here / "mine" / "experiment").mkdir(parents=True)
    (here / "mine" / "experiment" / "explodes.yaml").write_text(
        "# @package _global_\n# Diverges\ndefaults:\n  - override /task: training\n"
        "  - override /dataset: digits\n  - override /output: identity\n"
        "  - override /loss: sum_squares\noptimizer: {params: {lr: 1.0e+9}}\n"
        "expect: {status: diverged}\n"
    )
    assert main(["--config-dir", "mine", "experiment=explodes"]) == 0


def test_expectations_are_no_part_of_what_a_run_is(here):
    with_them = runner.run(["experiment=and_gate"]).row["run_id"]
    assert runner.run(["experiment=and_gate", "expect.correct=3"]).row["run_id"] == with_them


@pytest.mark.parametrize(
    ("experiment", "word"),
    [
        ("child", "weights.params.b1=[-2]"),  # set by the parent
        ("child", "dataset=xor"),  # chosen by the parent
        ("[and_gate]", "dataset=xor"),
        ("'and_gate'", "dataset=xor"),
    ],
)
def test_what_is_inherited_or_listed_is_the_experiments_own(here, experiment, word):
    (here / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\n# A child\ndefaults:\n  - and_gate\nexpect:\n  correct: 4\n"
    (here / "mine" / "experiment" / "child.yaml").write_text(text)
    result = runner.run([f"experiment={experiment}", word], config_dir=here / "mine")
    assert (result.verdicts, result.unchecked) == ([], [word])


def test_a_sweep_answers_for_its_jobs_expectations(here, capsys):
    words = ["-m", "experiment=and_gate", "seed=1,2"]
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "expect.correct=3"]) == 1
    assert capsys.readouterr().out.count("correct: expected 3, got 4") == 2
    assert main(["-m", "experiment=descent_diverges,descent"]) == 0  # a divergence is expected


def test_check_says_what_it_did_not_check(here, capsys):
    assert main(["check", "--run", "and_gate", "dataset=xor"]) == 0
    out = capsys.readouterr().out
    assert "not checked, changed by dataset=xor" in out


def test_check_runs_in_a_temporary_folder_of_any_name(here, monkeypatch, capsys):
    (here / "it's").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here / "it's"))
    assert main(["check", "--run", "and_gate"]) == 0
    assert "2 expectations held" in capsys.readouterr().out


def test_a_process_that_dies_is_one_finding(here, capsys):
    (here / "mine" / "experiment").mkdir(parents=True)
    (here / "mine" / "task").mkdir()
    (here / "mine" / "own.py").write_text(
        "import os\ndef dies(setup, progress):\n    os._exit(7)\n"
    )
    (here / "mine" / "task" / "dies.yaml").write_text("# Dies\nname: own:dies\n")
    text = "# @package _global_\n# A child\ndefaults:\n  - and_gate\n{}expect:\n  correct: 4\n"
    for name, more in (("lives", ""), ("dies", "  - override /task: dies\n")):
        (here / "mine" / "experiment" / f"{name}.yaml").write_text(text.format(more))
    assert main(["check", "--config-dir", "mine", "--run"]) == 1
    assert "BrokenProcessPool" in capsys.readouterr().out

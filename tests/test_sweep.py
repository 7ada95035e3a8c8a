import json

import pandas as pd
import pytest

import runner
from runner.cli import main

GATES = ["dataset=and,or", "weights=none", "timing.repeats=1"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_row_per_combination(here, capsys):
    words = ["-m", "activation=glob(*)", "output=softmax,identity", "dataset.limit=200"]
    assert main([*words, "timing.repeats=1", "sweep.name=mine"]) == 0
    folder = here / "outputs" / "sweeps" / "mine"
    table = pd.read_csv(folder / "results.csv")
    names = "elu gelu identity leaky_relu relu sigmoid softplus step tanh".split()
    rows = [(name, output) for name in names for output in ("softmax", "identity")]
    assert list(zip(table["activation"], table["output"], strict=True)) == rows
    chosen = table[["activation.choice", "output.choice"]].itertuples(index=False, name=None)
    assert list(chosen) == rows
    assert set(table["status"]) == {"completed"}
    assert table["run_id"].nunique() == len(rows)
    assert {path.name for path in (folder / "jobs").iterdir()} == set(table["run_id"])
    # What softmax does not change: who is the largest.
    same = table.pivot(index="activation", columns="output", values="correct")
    assert (same["softmax"] == same["identity"]).all()
    out = capsys.readouterr().out
    assert "18 of 18 jobs completed" in out
    assert "outputs/sweeps/mine/results.csv" in out.replace("\\", "/")


def test_from_python_the_same_rows():
    table = runner.sweep([*GATES, "optimizer.params.lr=0.1,0.2"])
    assert table["dataset"].tolist() == ["and", "and", "or", "or"]
    assert table["optimizer.params.lr"].tolist() == ["0.1", "0.2", "0.1", "0.2"]
    assert table["n"].tolist() == [4] * 4
    assert table["accuracy"].dtype == "float64"


def test_a_swept_key_that_is_a_column_gets_no_second_one():
    table = runner.sweep([*GATES, "seed=range(0,3)", "network.hidden=[3],[4,5]"])
    assert len(table) == 12
    assert list(table.columns[-3:]) == ["converged", "dataset.choice", "network.hidden"]
    assert set(table["network.hidden"]) == {"[3]", "[4,5]"}
    assert table["seed"].tolist() == [0, 0, 1, 1, 2, 2] * 2


def test_equal_jobs_are_one_job(here):
    table = runner.sweep([*GATES, "seed=1,2,1", "sweep.name=mine"])
    assert table[["dataset", "seed"]].to_numpy().tolist() == [
        ["and", 1],
        ["and", 2],
        ["or", 1],
        ["or", 2],
    ]
    plan = pd.read_csv(here / "outputs/sweeps/mine/plan.csv")
    assert plan["run_id"].tolist() == table["run_id"].tolist()
    command = json.loads((here / "outputs/sweeps/mine/command.json").read_text())
    assert command == [*GATES, "seed=1,2,1", "sweep.name=mine"]


def test_the_same_command_again_runs_nothing(here, capsys):
    words = ["-m", *GATES, "sweep.name=mine"]
    assert main(words) == 0
    assert "2 of 2 jobs completed: 2 run, 0 reused, 0 failed" in capsys.readouterr().out
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(words) == 0
    assert "2 of 2 jobs completed: 0 run, 2 reused, 0 failed" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_another_sweep_of_the_same_name_is_refused(here, capsys):
    assert main(["-m", *GATES, "sweep.name=mine"]) == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(["-m", *GATES, "sweep.name=mine", "epochs=7"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: command line: sweep.name: expected the jobs of the sweep")
    assert "config_hash" in error
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_jobs_use_one_thread_unless_told(here):
    wide = ["dataset=and,or", "weights=none", "network.hidden=[300]", "timing.repeats=1"]
    assert set(runner.sweep(wide)["threads"]) == {1}
    assert set(runner.sweep([*wide, "threads=2"])["threads"]) == {2}
    assert runner.run(["dataset=and", *wide[1:]]).row["threads"] == 2


def test_a_failing_job_leaves_its_row_and_the_others_go_on(here, capsys):
    (here / "mine" / "task").mkdir(parents=True)
    (here / "mine" / "own.py").write_text(
        "from runner.tasks import inference\n"
        "def picky(setup, progress):\n"
        "    if setup.config.seed == 1:\n"
        "        raise RuntimeError('one, \"two\"\\nthree')\n"
        "    return inference.run(setup, progress)\n"
    )
    (here / "mine" / "task" / "picky.yaml").write_text("name: own:picky\n")
    words = ["--config-dir", "mine", "-m", "task=picky", "dataset=and", "weights=none"]
    assert main([*words, "seed=0,1,2", "sweep.name=s"]) == 1
    table = pd.read_csv(here / "outputs/sweeps/s/results.csv")
    assert table["status"].tolist() == ["completed", "failed", "completed"]
    assert table["error"].iloc[1] == 'RuntimeError: one, "two" three'
    assert table["accuracy"].isna().tolist() == [False, True, False]
    assert "failed: RuntimeError: one" in capsys.readouterr().out
    (log,) = (here / "outputs/sweeps/s/jobs" / table["run_id"].iloc[1]).glob("*.log")
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_rosenblatts_rule_learns_14_of_the_16_functions_of_two_inputs():
    tables = [[n >> i & 1 for i in range(4)] for n in range(16)]
    swept = ",".join(str(table).replace(" ", "") for table in tables)
    table = runner.sweep(["experiment=perceptron_truth_table", f"dataset.params.t={swept}"])
    assert len(table) == 16
    assert set(table["status"]) == {"completed"}
    failed = table.loc[~table["converged"], "dataset.params.t"]
    assert sorted(failed) == ["[0,1,1,0]", "[1,0,0,1]"]  # XOR and its complement
    assert (table.loc[table["converged"], "accuracy"] == 1.0).all()

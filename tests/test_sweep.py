import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import runner
from runner.cli import main

TIMES = "fit_seconds inference_seconds images_per_second started_at duration_seconds".split()
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
SLOW = """\
import sys, time
from pathlib import Path
from runner.nn.training import Diverged
from runner.tasks import perceptron

def run(setup, progress, seconds=0.0, since=0):
    with Path("ran").open("a") as file:
        file.write(f"{setup.config.seed}\\n")
    if setup.config.seed >= since:
        time.sleep(seconds)
    if setup.config.seed == 101:
        raise RuntimeError("broken")
    if setup.config.seed == 102:
        raise Diverged("loss is nan")
    return perceptron.run(setup, progress)
"""
SLOWLY = ["task=slow", "dataset=and", "network=perceptron", "weights=none", "sweep.name=s"]
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
    names = "elu gelu identity leaky_relu maxout relu sigmoid softplus step tanh".split()
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
    assert "20 of 20 jobs completed" in out
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
    assert list(table.columns[-3:]) == ["validation_accuracy", "dataset.choice", "network.hidden"]
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


@pytest.fixture
def slow(here):
    """A folder with a task that takes its time, and says what has been run."""
    (here / "mine" / "task").mkdir(parents=True)
    (here / "mine" / "slow.py").write_text(SLOW)
    (here / "mine/task/slow.yaml").write_text(
        "name: slow:run\nparams:\n  seconds: 0.0\n  since: 0\n"
    )
    return here


def started(*words):
    """Start the program in a process of its own, and group of its own."""
    command = [sys.executable, "-m", "runner", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes)


def recorded(here):
    return {path.parent.name: path for path in here.glob("outputs/sweeps/s/jobs/*/run.json")}


def wait(process, condition):
    """Wait until something is so, or the process has ended."""
    end = time.monotonic() + 60
    while not condition() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)


def untimed(folder):
    text = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    return text.drop(columns=TIMES).to_csv()


@POSIX
@pytest.mark.promise(
    "Tables and arrays are whole, old or new, no row is lost or doubled: killed at any step, by "
    "any launcher"
)
def test_a_sweep_killed_at_any_moment_goes_on_where_it_was(slow, long):
    jobs = 16 if long else 4
    words = [*SLOWLY, f"seed=range(0,{jobs})", "task.params.seconds=0.1"]
    folder = slow / "outputs/sweeps/s"
    process = started("--config-dir", "mine", "-m", *words)
    wait(process, (folder / "plan.csv").exists)  # before the first job has ended
    kills, moments = 0, random.Random(0)
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        done = {run_id: path.stat().st_mtime_ns for run_id, path in recorded(slow).items()}
        process = started("resume", "outputs/sweeps/s")
        goal = len(done) + moments.choice((1, 1, 2, 3) if long else (2,))
        wait(process, lambda goal=goal: len(recorded(slow)) >= goal)
        time.sleep(moments.uniform(0, 0.03))
        now = recorded(slow)
        assert all(now[run_id].stat().st_mtime_ns == stamp for run_id, stamp in done.items())
    assert process.wait() == 0
    process.communicate()
    assert kills >= 1
    ran = (slow / "ran").read_text().split()
    assert len(ran) <= jobs + kills  # at most those at work when it was killed were run again
    again = untimed(folder)
    (slow / "ran").unlink()
    assert main(["resume", "outputs/sweeps/s"]) == 0
    assert not (slow / "ran").exists()
    whole = runner.app.run_sweep([*words, "output_dir=whole"], config_dir="mine")
    assert untimed(whole.folder) == again == untimed(folder)
    assert not list(slow.glob("outputs/sweeps/s/jobs/*/.*.csv*"))


@POSIX
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_sweep_in_order(slow, number, status, in_time):
    words = [*SLOWLY, "seed=range(0,50)", "task.params.seconds=600", "task.params.since=2"]
    process = started("--config-dir", "mine", "-m", *words)
    ran = slow / "ran"
    wait(process, lambda: ran.exists() and len(ran.read_text().split()) == 3)
    process.send_signal(number)
    out, error = process.communicate(timeout=in_time)
    assert process.returncode == status, error
    word = "interrupted" if status == 130 else "terminated"
    table = pd.read_csv(slow / "outputs/sweeps/s/results.csv")
    message = "2 of 50 jobs are done; go on with: runner resume outputs/sweeps/s"
    assert error.strip() == f"error: {word}; {message}"
    assert table["status"].tolist() == ["completed", "completed", "interrupted"]
    assert out.splitlines()[0] == "1/50 completed seed=0 accuracy=1.0"
    assert (slow / "outputs/sweeps/s/summary.csv").exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_what_went_wrong_is_named_at_the_end(slow, capsys):
    assert main(["--config-dir", "mine", "-m", *SLOWLY, "seed=100,101,102"]) == 1
    lines = capsys.readouterr().out.splitlines()
    table = pd.read_csv(slow / "outputs/sweeps/s/results.csv")
    ids = table["run_id"].tolist()
    folder = Path("outputs/sweeps/s")
    assert [line.rstrip() for line in lines[-5:]] == [
        f"{ids[1]}: failed: RuntimeError: broken",
        f"{ids[2]}: diverged: loss is nan",
        "1 of 3 jobs completed: 3 run, 0 reused, 2 failed",
        f"run what is missing: runner resume {folder}",
        str(folder / "results.csv"),
    ]
    assert [line for line in lines if line.startswith(("1/3", "2/3", "3/3"))] == [
        "1/3 completed seed=100 accuracy=1.0",
        "2/3 failed seed=101 RuntimeError: broken",
        "3/3 diverged seed=102 loss is nan",
    ]


def test_resume_from_the_command_line(slow, capsys):
    words = [*SLOWLY, "seed=100,101", "sweep.fail_fast=true", "output_dir=other"]
    assert main(["--config-dir", "mine", "-m", *words, "dataset=and,or"]) == 1
    out = capsys.readouterr().out
    assert "2 of 4 jobs completed: 3 run, 0 reused, 1 failed" in out
    folder = str(Path("other/sweeps/s"))
    assert f"run what is missing: runner resume {folder}" in out
    assert main(["resume", folder]) == 1
    out = capsys.readouterr().out
    assert "2 of 4 jobs completed: 1 run, 2 reused, 1 failed" in out
    assert (slow / "ran").read_text().split() == ["100", "100", "101", "101"]
    assert main(["resume", "mine"]) == 2
    expected = "expected the folder of a run or a sweep, got mine"
    assert capsys.readouterr().err == f"error: resume: {expected}\n"


def test_a_plan_is_shown_and_nothing_is_made(here, capsys):
    words = ["-m", "task=perceptron", "dataset=and,or", "sweep.name=s"]
    before = list(here.rglob("*"))
    assert main([*words, "seed=range(0,30)", "sweep.plan_only=true"]) == 0
    out = capsys.readouterr().out
    assert list(here.rglob("*")) == before
    assert out.splitlines()[-2:] == ["... and 10 more", "60 jobs, 0 done, 60 to run"]
    assert sum(line.split()[:1] in (["and"], ["or"]) for line in out.splitlines()) == 50
    words.append("seed=0,1,2")
    assert main(words) == 0
    capsys.readouterr()
    for path in list((here / "outputs/sweeps/s/jobs").glob("*/run.json"))[:2]:
        path.unlink()
    assert main([*words, "sweep.plan_only=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "6 jobs, 4 done, 2 to run"
    assert lines[-1].startswith("about ")


def test_two_sweeps_started_in_the_same_second(slow):
    words = ["--config-dir", "mine", "-m", *SLOWLY[:-1], "seed=0,1,2"]
    both = [started(*words) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    folders = {process.communicate()[0].splitlines()[-1] for process in both}
    assert len(folders) == 2
    for folder in folders:
        assert pd.read_csv(slow / folder)["seed"].tolist() == [0, 1, 2]

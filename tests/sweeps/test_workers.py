"""Jobs side by side in processes: the same table, and nothing lost or left over."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from runner import app
from runner.lookup import BadInput
from runner.tables import store

TIMES = "fit_seconds inference_seconds images_per_second started_at duration_seconds".split()
TWO = ["hydra/launcher=cores", "hydra.launcher.n_jobs=2"]
OWN = """\
import os
import sys
import time
from pathlib import Path
from runner.tasks import perceptron

def run(setup, progress, seconds=0.0, together=1):
    seed = setup.config.seed
    Path("new").mkdir(exist_ok=True)
    place = Path(f"new/{seed}")
    place.write_text(f"{os.getpid()} {os.getppid()}")
    place.rename(f"at-{seed}")
    end = time.monotonic() + 60
    while len({path.read_text() for path in Path().glob("at-*")}) < together:
        assert time.monotonic() < end
        time.sleep(0.01)
    if seed == 101 and not Path("harmless").exists():
        os.kill(os.getpid(), 9)
    if seed == 102:
        raise RuntimeError("broken")
    if seed == 103:
        raise Strange(1, 2)
    time.sleep(seconds)
    return perceptron.run(setup, progress)

class Strange(Exception):
    def __init__(self, a, b):  # cannot be made again from its text: not to be sent
        super().__init__("strange")
"""
SLOWLY = ["task=own", "dataset=and", "network=perceptron", "weights=none", "sweep.name=s", *TWO]
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine/own.py").write_text(OWN)
    (tmp_path / "mine/task/own.yaml").write_text(
        "name: own:run\nparams:\n  seconds: 0.0\n  together: 1\n"
    )
    return tmp_path


def own(*words):
    return app.run_sweep([*SLOWLY, *words], config_dir="mine")


def untimed(result):
    text = pd.read_csv(result.folder / "results.csv", dtype=str, keep_default_na=False)
    return text.drop(columns=TIMES).to_csv(index=False)


def alive(pid):
    """Whether a process is there, and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_table_is_that_of_jobs_one_by_one():
    words = ["task=perceptron", "dataset=and,or,xor", "seed=0,1"]
    one = app.run_sweep([*words, "sweep.name=one"])
    two = app.run_sweep([*words, "sweep.name=two", *TWO])
    assert untimed(one) == untimed(two)
    assert two.counts[:4] == (6, 6, 0, 0)
    assert app.run_sweep([*words, "sweep.name=two", *TWO]).counts.reused == 6


def test_jobs_are_spread_over_processes_that_stay():
    own("seed=range(0,8)", "task.params.together=2")
    pids = {path.read_text() for path in Path().glob("at-*")}
    assert len(pids) == 2
    assert {int(pid.split()[1]) for pid in pids} == {os.getpid()}
    assert not any(alive(pid.split()[0]) for pid in pids)


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_a_number_of_jobs_that_is_none_is_refused(n_jobs):
    words = ["task=perceptron", "dataset=and,or", "hydra/launcher=cores"]
    with pytest.raises(BadInput, match=f"n_jobs: expected at least 1, or -1 .*, got {n_jobs}$"):
        app.run_sweep([*words, f"hydra.launcher.n_jobs={n_jobs}"])
    assert not Path("outputs").exists()


@POSIX
def test_a_killed_worker_costs_its_job_alone():
    result = own("seed=100,101,102,103,104,105")
    assert result.results["status"].tolist() == [
        "completed", "failed", "failed", "failed", "completed", "completed",
    ]  # fmt: skip
    assert result.results["error"].tolist()[1:4] == [
        "ChildProcessError: the worker was killed (exit code -9)",
        "RuntimeError: broken",
        "Strange: strange",
    ]
    Path("harmless").touch()
    again = app.resume_sweep(result.folder)
    assert again.counts[:4] == (6, 6, 3, 2)
    assert again.results["status"].tolist()[:2] == ["completed", "completed"]


@POSIX
def test_the_first_failure_ends_it():
    seeds = "seed=102," + ",".join(map(str, range(30)))
    result = own(seeds, "task.params.seconds=0.2", "sweep.fail_fast=true")
    assert result.counts.failed == 1
    # What had started was not cut off; a worker may be ready long before the other.
    assert set(result.results["status"]) <= {"completed", "failed"}
    assert result.counts.done < 31


@POSIX
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_no_process_outlives_the_sweep(here, name, status, in_time):
    number = signal.Signals[name]  # Windows has not all of them
    words = ["--config-dir", "mine", "-m", *SLOWLY, "seed=0,1,2,3", "task.params.seconds=600"]
    command = [sys.executable, "-m", "runner", *words]
    process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE, start_new_session=True)
    until(lambda: len(list(here.glob("at-*"))) == 2)
    pids = [path.read_text().split()[0] for path in here.glob("at-*")]
    # SIGTERM goes to all processes at once, as `timeout` and systemd send it.
    (os.killpg if number == signal.SIGTERM else os.kill)(process.pid, number)
    _, error = process.communicate(timeout=in_time)
    until(lambda: not any(alive(pid) for pid in pids), in_time)
    assert process.returncode == status
    if number != signal.SIGKILL:
        assert "0 of 4 jobs are done; go on with: runner resume outputs/sweeps/s" in error
        table = store.read_table(here / "outputs/sweeps/s/results.csv", "results")
        assert table["status"].tolist() == ["interrupted"] * 2
        assert not (here / "at-2").exists()


def test_a_script_without_a_guard_is_not_run_again(here):
    words = ["task=perceptron", "dataset=and,or", *TWO]
    (here / "script.py").write_text(
        f"import runner\nopen('times', 'a').write('x')\nprint(len(runner.sweep({words!r})))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
    assert (here / "times").read_text() == "x"


def test_processes_share_a_sweep(here):
    words = ["--config-dir", "mine", "-m", *SLOWLY[:-2], "seed=range(0,12)"]
    words += ["task.params.together=3"]
    command = [sys.executable, "-m", "runner", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in both:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        assert "12 of 12 jobs completed" in out
        assert error == ""
    table = pd.read_csv(here / "outputs/sweeps/s/results.csv")
    assert table["seed"].tolist() == list(range(12))
    logs = here.glob("outputs/sweeps/s/jobs/*/runner.log")
    assert all(path.read_text().count(" starts") == 1 for path in logs)
    assert len({path.read_text() for path in here.glob("at-*")}) == 3

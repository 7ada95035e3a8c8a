"""Hydra's own launchers beside ours: the same table, one thread a job, and failures as rows."""

import os
import sys

import pandas as pd
import pytest
from hydra.errors import MissingConfigException

from runner import app
from runner.cli import main
from runner.compose.errors import NotInstalled, to_bad_input

TIMES = "fit_seconds inference_seconds images_per_second started_at duration_seconds".split()
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and scripts are POSIX's")
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
LAUNCHERS = {"joblib": JOBLIB, "submitit_local": ["hydra/launcher=slurm_local"]}
OWN = """\
import os
from pathlib import Path
from runner.tasks import perceptron

def run(setup, progress):
    if setup.config.seed == 1:
        raise RuntimeError("broken")
    if setup.config.seed == 2 and not Path("harmless").exists():
        os.kill(os.getpid(), 9)
    return perceptron.run(setup, progress)
"""
MINE = ["task=own", "network=perceptron", "weights=none"]
SBATCH = f"""\
#!{sys.executable}
import shutil, sys
shutil.copy(sys.argv[-1], "submitted")
sys.exit("no such partition")
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine/own.py").write_text(OWN)
    (tmp_path / "mine/task/own.yaml").write_text("name: own:run\n")
    return tmp_path


def own(*words):
    return app.run_sweep([*MINE, *words], config_dir="mine")


def untimed(result):
    text = pd.read_csv(result.folder / "results.csv", dtype=str, keep_default_na=False)
    return text.drop(columns=TIMES).to_csv(index=False)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_the_table_is_that_of_our_launcher(launcher):
    words = ["dataset=and", "seed=0,1"]
    ours = own(*words, "sweep.name=ours")
    theirs = own(*words, "sweep.name=theirs", *LAUNCHERS[launcher])
    assert untimed(ours) == untimed(theirs)
    assert theirs.results["status"].tolist() == ["completed", "failed"]
    assert theirs.results["error"].tolist() == ["", "RuntimeError: broken"]
    assert set(theirs.results["threads"]) == {1}


def test_a_job_may_ask_for_more_threads():
    words = ["dataset=and", "weights=none", "timing.repeats=1", "threads=2"]
    result = app.run_sweep([*words, *JOBLIB])
    assert result.results[["status", "threads"]].to_numpy().tolist() == [["completed", 2]]


@POSIX
def test_a_killed_joblib_worker_costs_rows_that_resume_completes(here, capsys):
    words = ["--config-dir", "mine", "-m", *MINE, "dataset=and,or", "seed=0,2", "sweep.name=s"]
    assert main([*words, *JOBLIB]) == 1
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    table = pd.read_csv("outputs/sweeps/s/results.csv")
    assert len(table) == 4
    lost = table.loc[table["status"] != "completed"]
    assert set(lost.index) >= {1, 3}  # and those that had not ended
    assert lost["error"].str.startswith("TerminatedWorkerError: A worker process").all()
    (here / "harmless").touch()
    assert main(["resume", "outputs/sweeps/s"]) == 0
    again = pd.read_csv("outputs/sweeps/s/results.csv")
    assert again["status"].tolist() == ["completed"] * 4
    assert again["run_id"].tolist() == table["run_id"].tolist()


def test_slurm_where_there_is_none(monkeypatch, capsys, here):
    monkeypatch.setenv("PATH", str(here))
    words = ["-m", "task=perceptron", "dataset=and,or", "hydra/launcher=slurm", "sweep.name=s"]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    table = pd.read_csv("outputs/sweeps/s/results.csv")
    assert table["status"].tolist() == ["failed"] * 2
    assert table["error"].str.startswith('RuntimeError: Could not detect "srun"').all()


@POSIX
def test_what_slurm_is_asked_for(monkeypatch, here):
    for name, text in (("srun", ""), ("sbatch", SBATCH)):
        (here / name).write_text(text)
        (here / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(here))
    words = ["task=perceptron", "dataset=and,or", "seed=0,1", "hydra.launcher.partition=night"]
    words += ["hydra.launcher.array_parallelism=3"]
    result = app.run_sweep([*words, "hydra/launcher=slurm"])
    assert result.counts[:4] == (4, 4, 0, 4)
    assert result.results["error"].str.contains("no such partition").all()
    asked = (here / "submitted").read_text().splitlines()
    wanted = "array=0-3%3 cpus-per-task=1 mem=2GB time=60 nodes=1 partition=night"
    assert {f"#SBATCH --{word}" for word in wanted.split()} <= set(asked)


@pytest.mark.parametrize(
    ("name", "extra"),
    [("joblib", "sweep"), ("submitit_local", "sweep"), ("submitit_slurm", "sweep"), ("ray", "ray")],
)
def test_a_launcher_that_is_not_installed(name, extra):
    absent = MissingConfigException("none", f"hydra/launcher/{name}", ["basic", "runner"])
    bad = to_bad_input(absent, [])
    assert isinstance(bad, NotInstalled)
    assert f"is installed, got {name}; pip install '.[{extra}]' in the folder" in str(bad)

"""Our launcher beside Hydra's own: what it writes, and what a job finds around it."""

import logging
import os
import pickle
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import runner
from runner import app
from runner.tables import store

TIMES = "fit_seconds inference_seconds images_per_second started_at duration_seconds".split()
CALLBACKS = [
    "+hydra.callbacks.log._target_=hydra.experimental.callbacks.LogJobReturnCallback",
    "+hydra.callbacks.pickle._target_=hydra.experimental.callbacks.PickleJobInfoCallback",
]
OWN = """\
import logging
import os
from runner.tasks import perceptron

def run(setup, progress):
    if setup.config.seed == 1:
        raise RuntimeError("not this one")
    logging.getLogger(__name__).info("seed %s, env %s", setup.config.seed, os.environ.get("MINE"))
    return perceptron.run(setup, progress)
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine/own.py").write_text(OWN)
    (tmp_path / "mine/task/own.yaml").write_text("name: own:run\n")
    return tmp_path


def both(*words, config_dir=None):
    """Return the same sweep run by our launcher and by Hydra's."""
    made = []
    for launcher in ("runner", "basic"):
        own = [f"hydra/launcher={launcher}", f"sweep.name={launcher}"]
        made.append(app.run_sweep([*words, *own], config_dir=config_dir))
    return made


def recorded(result, run_id):
    """Return the content of Hydra's files of a job, the launcher's name taken out."""
    folder = result.folder / "jobs" / run_id / ".hydra"
    files = {}
    for path in sorted(folder.iterdir()):
        text = path.read_text(encoding="utf-8")
        for before in ("hydra/launcher=", "sweep.name=", "sweeps/", "hydra/launcher: "):
            text = text.replace(f"{before}{result.folder.name}", f"{before}ours")
        files[path.name] = yaml.safe_load(text)
    assert files["config.yaml"]["sweep"].pop("name") == result.folder.name
    launcher = files["hydra.yaml"]["hydra"].pop("launcher")["_target_"]
    assert launcher.endswith(
        {"runner": ".RunnerLauncher", "basic": ".BasicLauncher"}[result.folder.name]
    )
    return files


def test_a_job_has_the_files_that_hydra_writes():
    words = ["task=perceptron", "dataset=and,or", "seed=3,4", "data_dir='.'"]
    extra = ["hydra.help.footer=mine", "hydra.verbose=[mine]", "threads=null", "epochs=${seed}"]
    ours, theirs = both(*words, *extra)
    assert ours.results["run_id"].tolist() == theirs.results["run_id"].tolist()
    for number, run_id in enumerate(ours.results["run_id"]):
        made, expected = recorded(ours, run_id), recorded(theirs, run_id)
        assert sorted(made) == ["config.yaml", "hydra.yaml", "overrides.yaml"]
        assert made == expected
        assert made["hydra.yaml"]["hydra"]["job"]["num"] == number
        folders = [result.folder / "jobs" / run_id for result in (ours, theirs)]
        inside = [sorted(path.name for path in folder.iterdir()) for folder in folders]
        assert inside[0] == inside[1]


def test_text_survives_the_faster_writing():
    odd = "a: b, 'c' #d \\n é 값 \U0001f600 1e3 true"
    words = ["task=perceptron", "dataset=and", "expect={}", "+expect.run_id='1e3'"]
    words += [f'+expect.error="{odd}"', "+expect.task='on'", "+expect.status='1_0'", "seed=1,2"]
    ours, theirs = both(*words)
    for run_id in ours.results["run_id"]:
        written = (result.folder / f"jobs/{run_id}/.hydra/config.yaml" for result in (ours, theirs))
        config, other = (OmegaConf.to_container(OmegaConf.load(path)) for path in written)
        assert config["expect"] == {"run_id": "1e3", "error": odd, "task": "on", "status": "1_0"}
        assert config["expect"] == other["expect"]


def test_both_launchers_give_the_same_table():
    ours, theirs = both("task=perceptron", "dataset=and,xor", "seed=0,1", "task.params.lr=0.5,2")
    tables = [
        pd.read_csv(result.folder / "results.csv", dtype=str, keep_default_na=False)
        .drop(columns=TIMES)
        .to_csv()
        for result in (ours, theirs)
    ]
    assert tables[0] == tables[1]
    plans = [(result.folder / "plan.csv").read_bytes() for result in (ours, theirs)]
    assert plans[0] == plans[1]
    summaries = [pd.read_csv(result.folder / "summary.csv") for result in (ours, theirs)]
    timed = [name for name in summaries[0] if "seconds" in name]
    pd.testing.assert_frame_equal(*(table.drop(columns=timed) for table in summaries))


def test_each_job_logs_its_own_lines_to_its_own_file(here):
    words = ["task=own", "network=perceptron", "weights=none", "dataset=and,or", "seed=0,1,2"]
    result = app.run_sweep(words, config_dir="mine")
    ids = result.results["run_id"].tolist()
    for run_id, status, seed in zip(
        ids, result.results["status"], result.results["seed"], strict=True
    ):
        text = (result.folder / "jobs" / run_id / "runner.log").read_text()
        assert not any(other in text for other in ids if other != run_id)
        assert text.count(f"{run_id}: ") == 2  # starts, and how it ended
        assert f"{run_id}: {status}" in text
        assert (f"seed {seed}, env None" in text) == (status == "completed")
        assert ("Traceback" in text) == (status == "failed")


@pytest.mark.parametrize("launcher", ["runner", "cores"])
def test_a_job_has_the_variables_that_the_command_line_lists(monkeypatch, launcher):
    monkeypatch.setenv("MINE", "there")
    words = ["task=own", "network=perceptron", "weights=none", "dataset=and", "seed=0,2"]
    result = app.run_sweep(
        [*words, "hydra.job.env_copy=[MINE]", f"hydra/launcher={launcher}"], config_dir="mine"
    )
    for run_id in result.results["run_id"]:
        assert "env there" in (result.folder / "jobs" / run_id / "runner.log").read_text()
    assert os.environ["MINE"] == "there"


@pytest.mark.parametrize("launcher", ["runner", "cores", "basic"])
def test_listed_callbacks_are_told(launcher):
    words = ["task=perceptron", "dataset=and", "seed=0,1", f"hydra/launcher={launcher}"]
    result = app.run_sweep([*words, *CALLBACKS])
    for run_id, seed in zip(result.results["run_id"], result.results["seed"], strict=True):
        folder = result.folder / "jobs" / run_id
        assert "Succeeded with return value" in (folder / "runner.log").read_text()
        # Written by the sweep above: nothing of others is unpickled.
        config = pickle.loads((folder / ".hydra/config.pickle").read_bytes())
        assert config.seed == seed
        ended = pickle.loads((folder / ".hydra/job_return.pickle").read_bytes())
        assert ended.return_value.row["run_id"] == run_id
        assert ended.cfg.seed == seed
        assert ended.hydra_cfg.hydra.runtime.output_dir == str(folder.absolute())
        assert (ended.working_dir, ended.task_name) == (str(Path.cwd()), "runner")
        assert f"seed={seed}" in ended.overrides
        assert store.read_ended(folder) is not None


@pytest.mark.parametrize("launcher", ["runner", "basic"])
def test_callbacks_are_told_of_a_failure(monkeypatch, launcher):
    def full(result, *others):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runner.job.write", full)
    words = ["task=perceptron", "dataset=and", f"hydra/launcher={launcher}"]
    result = app.run_sweep([*words, *CALLBACKS])
    folder = result.folder / "jobs" / result.results["run_id"].iloc[0]
    log = (folder / "runner.log").read_text()
    assert "LogJobReturnCallback][ERROR]" in log
    assert (folder / ".hydra/job_return.pickle").exists()
    assert result.results["error"].tolist() == ["OSError: [Errno 28] No space left on device"]


def test_choices_are_found_in_a_folder_of_the_search_path(here):
    (here / "more/network").mkdir(parents=True)
    (here / "more/network/tiny.yaml").write_text("hidden: [2]\n")
    words = ["hydra.searchpath=[file://more]", "dataset=and", "weights=none"]
    table = runner.sweep([*words, "network=tiny,two_layer", "seed=0,1"])
    assert table["network"].tolist() == ["2-2-2"] * 2 + ["2-100-2"] * 2


def test_logging_and_hydras_state_are_as_before():
    before = logging.root.handlers[:], logging.root.level
    app.run_sweep(["task=perceptron", "dataset=and", "seed=0,1"])
    assert (logging.root.handlers[:], logging.root.level) == before
    assert HydraConfig.instance().cfg is None or "sweep" not in HydraConfig.instance().cfg

"""A sweep on a Ray that is started for it, on this machine alone."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from runner import app

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")
pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="Hydra's Ray launcher is not there")

TIMES = "fit_seconds inference_seconds images_per_second started_at duration_seconds".split()
OWN = """\
from runner.tasks import perceptron

def run(setup, progress):
    if setup.config.seed == 1:
        raise RuntimeError("broken")
    return perceptron.run(setup, progress)
"""
WORDS = ["task=own", "network=perceptron", "weights=none", "dataset=and,or", "seed=0,1"]
ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's name for: listen on the loopback address
    "RAY_USAGE_STATS_ENABLED": "0",
}


def untimed(folder):
    text = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    return text.drop(columns=TIMES).to_csv(index=False)


def test_the_table_is_that_of_our_launcher(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine/own.py").write_text(OWN)
    (tmp_path / "mine/task/own.yaml").write_text("name: own:run\n")
    words = ["-m", *WORDS, "sweep.name=s", "hydra/launcher=cluster"]
    own = ["hydra.launcher.ray.init.address=local", "+hydra.launcher.ray.init.num_cpus=2"]
    ended = subprocess.run(
        [sys.executable, "-m", "runner", "--config-dir", "mine", *words, *own],
        env={**os.environ, **ALONE, "HOME": str(tmp_path)},  # Ray writes its keys there
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stdout
    ours = app.run_sweep(WORDS, config_dir="mine")
    folder = tmp_path / "outputs/sweeps/s"
    assert untimed(folder) == untimed(ours.folder)
    table = pd.read_csv(folder / "results.csv")
    assert table["status"].tolist() == ["completed", "failed"] * 2
    assert set(table["threads"]) == {1}

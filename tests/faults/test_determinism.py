"""The same numbers on any launcher, with any number of threads that the environment sets."""

import os
import subprocess
import sys

import pytest

LAUNCHERS = {
    "in process": [],
    "cores": ["hydra/launcher=cores", "hydra.launcher.n_jobs=2"],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=slurm_local"],
}
NAMES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# Layers and batches for which a BLAS would use all the threads it may.
WORDS = ["-m", "task=training", "dataset=digits", "network.hidden=[300,200]", "batch_size=200"]
WORDS += ["epochs=2", "optimizer=adam", "training.dropout=0.1", "figures=none", "sweep.name=s"]


def swept(folder, words, threads):
    """Return what a sweep leaves, started in an environment with a number of threads."""
    folder.mkdir()
    environment = os.environ | dict.fromkeys(NAMES, str(threads))
    command = [sys.executable, "-m", "runner", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.promise(
    "Tables, weights and predictions are the same bit for bit on every launcher, whatever number "
    "of threads the environment sets"
)
def test_launchers_and_threads(read, tmp_path, long, record_property):
    seeds = range(5) if long else range(2)
    words = [*WORDS, f"seed={','.join(map(str, seeds))}"]
    chosen = [(launcher, threads) for launcher in LAUNCHERS for threads in (1, 2, 4)]
    if not long:
        chosen = [("in process", 1), ("cores", 4)]
    found = []
    for number, (launcher, threads) in enumerate(chosen):
        folder = tmp_path / str(number)
        swept(folder, [*words, *LAUNCHERS[launcher]], threads)
        found.append(read(folder / "outputs/sweeps/s"))
        assert found[-1] == found[0], (launcher, threads)
    rows = found[0]["results.csv"]
    status = rows[0].index("status")
    assert [row[status] for row in rows[1:]] == ["completed"] * len(seeds)
    assert sum(name.endswith(".safetensors") for name in found[0]) == len(seeds)
    record_property("cases", len(chosen) * len(seeds))

"""Files are whole, old or new, whatever stops the program, and no row is lost or doubled."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLED = pytest.mark.promise(
    "Tables and arrays are whole, old or new, no row is lost or doubled: killed at any step, by "
    "any launcher"
)
FAILING = pytest.mark.promise(
    "Tables and arrays are whole, old or new, no row is lost or doubled: a full, broken or "
    "read-only disk, said in one line"
)
SWEEP = ["-m", "task=perceptron", "dataset=and", "seed=0,1", "sweep.name=s"]
PLACE = "outputs/sweeps/s"
COMMIT = ["rename", "fsync"]
ERRORS = ["ENOSPC", "EIO", "EMFILE", "EROFS"]
LAUNCHERS = {
    "in process": [],
    "cores": ["hydra/launcher=cores", "hydra.launcher.n_jobs=2"],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=slurm_local"],
}


@pytest.fixture(scope="session")
def undisturbed(nursery, read, tmp_path_factory):
    """What the sweep leaves when nothing goes wrong, its steps, and its seconds."""
    folder = tmp_path_factory.mktemp("whole")
    started = time.monotonic()
    ended = nursery.run(folder, SWEEP, fault={})
    assert (ended.status, ended.err) == (0, "")
    return read(folder / PLACE), ended.steps, time.monotonic() - started


def sample(total, number, long):
    """Return numbers from 1 to the last: all of them, or so many."""
    if long:
        return range(1, total + 1)
    return sorted({1 + round(i * (total - 1) / (number - 1)) for i in range(number)})


def resume(nursery, folder, read, expected):
    """Go on with a sweep; assert that it is then what it would have been."""
    words = ["resume", PLACE] if (folder / PLACE).exists() else SWEEP
    ended = nursery.run(folder, words)
    assert (ended.status, ended.err) == (0, ""), ended
    assert read(folder / PLACE) == expected


def disturbed(ended, folder, holds, expected):
    """Assert that a sweep that met with an error says so in one line, and has left no ruin."""
    lines = ended.err.splitlines()
    assert ended.status in (0, 1, 2), ended
    assert len(lines) <= 1, ended.err
    assert all(line.startswith("error: ") for line in lines), ended
    holds(folder / PLACE, expected)
    if ended.status != 0:
        assert lines or "failed: " in ended.out, ended


@KILLED
@pytest.mark.parametrize("kinds", [COMMIT, None], ids=["commits", "steps"])
def test_killed_at_every_step(
    kinds, nursery, undisturbed, read, holds, tmp_path, long, record_property
):
    expected, steps, _ = undisturbed
    total = sum(kinds is None or step.split()[0] in kinds for step in steps)
    chosen = sample(total, 3, long)
    for at in chosen:
        folder = tmp_path / str(at)
        folder.mkdir()
        fault = {"at": at, "how": "kill", "kinds": kinds}
        assert nursery.run(folder, SWEEP, fault=fault).status == -9
        holds(folder / PLACE, expected)
        resume(nursery, folder, read, expected)
    record_property("cases", len(chosen))


@KILLED
def test_a_single_run_killed_at_every_step(nursery, read, tmp_path, long, record_property):
    """Its folder has a time in its name, and so has Hydra's record of it: lines are counted."""
    words = ["task=perceptron", "dataset=and", "figures=none"]

    def lines(folder):
        found = folder.glob("outputs/runs/*/*/.hydra/[a-z]*.yaml")
        return {path.name: path.read_bytes().count(b"\n") for path in found}

    ended = nursery.run(tmp_path, words, fault={})
    expected, steps = lines(tmp_path), ended.steps
    assert sorted(expected) == ["config.yaml", "hydra.yaml", "overrides.yaml"]
    of_hydra = [at for at, step in enumerate(steps, start=1) if "/.hydra/" in step]
    chosen = range(1, len(steps) + 1) if long else of_hydra[::3]
    for at in chosen:
        folder = tmp_path / str(at)
        folder.mkdir()
        assert nursery.run(folder, words, fault={"at": at, "how": "kill"}).status == -9
        assert lines(folder).items() <= expected.items()
        read(folder / "outputs")
    record_property("cases", len(chosen))


@KILLED
def test_killed_at_random_times(nursery, undisturbed, read, holds, tmp_path, long, record_property):
    expected, _, seconds = undisturbed
    moments, number = random.Random(0), 200 if long else 2
    for case in range(number):
        folder = tmp_path / str(case)
        folder.mkdir()
        pid = nursery.start(folder, SWEEP)
        time.sleep(moments.uniform(0, seconds))
        with_group(pid)
        nursery.end()
        holds(folder / PLACE, expected)
        resume(nursery, folder, read, expected)
    record_property("cases", number)


def with_group(pid):
    """Kill a process and those it has started."""
    with contextlib.suppress(ProcessLookupError):  # it has ended before
        os.killpg(pid, signal.SIGKILL)


@KILLED
@pytest.mark.parametrize("launcher", ["cores", "joblib", "submitit_local"])
def test_a_worker_killed_at_its_steps(
    launcher, nursery, undisturbed, read, holds, tmp_path, long, record_property
):
    if launcher != "cores" and not long:
        pytest.skip("in the long form")
    expected, *_ = undisturbed
    path = tmp_path / "path"
    path.mkdir()
    shutil.copy(Path(__file__).parent / "nursery.py", path / "sitecustomize.py")
    inherited = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []

    def run(folder, at):
        environment = {
            "PYTHONPATH": os.pathsep.join([str(path), *inherited]),
            "RUNNER_FAULT": json.dumps({"at": at, "how": "kill"}),
        }
        return nursery.run(folder, [*SWEEP, *LAUNCHERS[launcher]], environment=environment)

    total = len(run(tmp_path, 0).steps) // 2  # a worker does one of the two jobs at least
    chosen = range(1, total, 5) if long else [total // 2]
    for at in chosen:
        folder = tmp_path / str(at)
        folder.mkdir()
        ended = run(folder, at)
        assert ended.status == 1, ended
        assert "Traceback" not in ended.out
        holds(folder / PLACE, expected)
        resume(nursery, folder, read, expected)
    record_property("cases", len(chosen))


@KILLED
@pytest.mark.parametrize("launcher", ["cores", "joblib", "submitit_local"])
def test_a_sweep_of_workers_killed_at_random_times(
    launcher, nursery, undisturbed, read, holds, tmp_path, long, record_property
):
    if not long:
        pytest.skip("in the long form; tests/sweeps/test_workers.py has a short one")
    expected, _, _ = undisturbed
    moments, words = random.Random(launcher), [*SWEEP, *LAUNCHERS[launcher]]
    started = time.monotonic()
    assert nursery.run(tmp_path, words).status == 0
    seconds, number = time.monotonic() - started, 20
    for case in range(number):
        folder = tmp_path / str(case)
        folder.mkdir()
        pid = nursery.start(folder, words)
        time.sleep(moments.uniform(0, seconds))
        with_group(pid)
        nursery.end()
        holds(folder / PLACE, expected)
        resume(nursery, folder, read, expected)
    record_property("cases", number)


@FAILING
@pytest.mark.parametrize("error", ERRORS)
def test_a_step_fails(error, nursery, undisturbed, read, holds, tmp_path, long, record_property):
    """It fails once, or from then on."""
    expected, steps, _ = undisturbed
    number = ERRORS.index(error)
    chosen = [(at, lasting) for at in range(1, len(steps) + 1) for lasting in (False, True)]
    chosen = chosen if long else [(5 + 17 * number, bool(number % 2))]
    for at, lasting in chosen:
        folder = tmp_path / f"{at}-{lasting}"
        folder.mkdir()
        fault = {"at": at, "how": error, "lasting": lasting}
        disturbed(nursery.run(folder, SWEEP, fault=fault), folder, holds, expected)
        resume(nursery, folder, read, expected)
    record_property("cases", len(chosen))


@FAILING
@pytest.mark.parametrize(
    ("limit", "values"),
    [
        ("RLIMIT_FSIZE", [0, 1, 10, 30, 100, 150, 200, 300, 400, 500, 600, 700, 800, 1000, 1200]),
        ("RLIMIT_FSIZE", [1500, 2000, 3000, 5000, 8000]),
        ("RLIMIT_NOFILE", range(4, 24)),
    ],
)
def test_a_limit_of_the_system(
    limit, values, nursery, undisturbed, read, holds, tmp_path, long, record_property
):
    expected, *_ = undisturbed
    chosen = values if long else [values[len(values) // 2]]
    for value in chosen:
        folder = tmp_path / str(value)
        folder.mkdir()
        disturbed(nursery.run(folder, SWEEP, limits={limit: value}), folder, holds, expected)
        resume(nursery, folder, read, expected)
    record_property("cases", len(chosen))


@FAILING
def test_the_folder_is_deleted(nursery, undisturbed, read, holds, tmp_path, long, record_property):
    expected, steps, _ = undisturbed
    total = len(steps)
    chosen = sample(total, 3, long)
    for at in chosen:
        folder = tmp_path / str(at)
        folder.mkdir()
        ended = nursery.run(folder, SWEEP, fault={"at": at, "how": "delete"})
        disturbed(ended, folder, holds, expected)
        assert ended.status != 0 or read(folder / PLACE) == expected, f"{at} {steps[at - 1]}"
        shutil.rmtree(folder / "outputs", ignore_errors=True)
    record_property("cases", len(chosen))


@FAILING
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "words",
    [SWEEP, SWEEP[1:-2], ["choices"], ["-h"], ["--cfg", "job"], ["schema"], ["compare", "a", "a"]],
    ids=lambda words: words[0],
)
def test_what_is_printed_finds_no_room(words, undisturbed, read, tmp_path, long):
    if words[0] in ("choices", "--cfg", "schema") and not long:
        pytest.skip("in the long form")
    expected, *_ = undisturbed
    (tmp_path / "a").write_text("schema_version,run_id,status,seed,accuracy\n1,a,completed,0,1\n")
    command = [sys.executable, "-m", "runner", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "error: system: No space left on device\n")
    if words is SWEEP:  # its jobs have nothing to do with that
        assert read(tmp_path / PLACE) == expected

"""`runner reproduce`: the same run gives the same numbers; what has changed is named."""

import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xxhash
import yaml

import runner
from runner import agreement, app, job
from runner.cli import main
from runner.compose.recorded import read_config
from runner.config import digest, identity
from runner.reproduce import reproduce
from runner.tables import store
from runner.weights import PRETRAINED

DIGITS = ["task=training", "dataset=digits", "dataset.limit=200", "epochs=2"]
GATE = ["dataset=and", "weights=none"]
TASKS = {
    "inference": ["dataset.limit=200", "batch_size=[10,100]"],
    "training": [*DIGITS, "optimizer=adam", "training.dropout=0.2", "figures=none"],
    "perceptron": ["experiment=and_gate", "figures=none"],
    "functions": ["task=functions", "figures=none"],
    "descent": ["task=descent", "figures=none"],
    "gradient": ["task=gradient", "dataset=digits", "dataset.limit=3", "network.hidden=[4]"],
    "diverged": [*DIGITS, "optimizer.params.lr=1e6"],
    "regression": [
        "task=training",
        "dataset=curve",
        "output=identity",
        "loss=sum_squares",
        "epochs=1",
    ],
}
BITS = "reproduced: the numbers are equal bit by bit"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to work in; beside it the one for temporary files, which is left empty."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    yield tmp_path / "here"
    assert list((tmp_path / "temporary").iterdir()) == []


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(capsys):
    """The lines of the answer, with single spaces; nothing went to stderr."""
    captured = capsys.readouterr()
    assert captured.err == ""
    return [" ".join(line.split()) for line in captured.out.splitlines() if line.strip()]


def flip(path, at=-1):
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def replace(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, text
    path.write_text(text.replace(old, new))


# What holds


@pytest.mark.parametrize("name", TASKS)
def test_a_run_of_every_task_holds(name, here, capsys):
    folder = runner.run(TASKS[name]).folder
    before = contents(here)
    assert main(["reproduce", str(folder)]) == 0
    shown = lines(capsys)
    assert shown[-1] == BITS
    compared = {line.split()[0] for line in shown}
    record = json.loads((folder / "run.json").read_text())
    assert {file for file in record["files"] if "figures" not in file} <= compared
    assert {"configuration", "data", "weights", "code", "threads"} <= compared
    assert contents(here) == before


def test_jobs_of_a_sweep_hold_with_the_threads_they_had(here, capsys):
    words = ["dataset=digits", "dataset.limit=20", "weights=none", "network.hidden=[200]"]
    runner.sweep([*words, "seed=1,2", "+expect.n=20", "sweep.name=s"])
    jobs = sorted(here.glob("outputs/sweeps/s/jobs/*"))
    assert len(jobs) == 2
    for folder in jobs:
        assert main(["reproduce", str(folder)]) == 0
        shown = lines(capsys)
        assert "threads 1 1 as recorded" in shown
        assert "expect.csv 5 cells equal" in shown
    assert main(["reproduce", str(runner.run(words).folder)]) == 0
    assert "threads 2 2 as recorded" in lines(capsys)


def test_a_training_that_was_interrupted_and_resumed_holds(here, capsys):
    def interrupt(done, total, what):
        if done == 2:
            raise KeyboardInterrupt

    words = ["epochs=3", "training.checkpoint_every=1", "training.validation=20"]
    with pytest.raises(KeyboardInterrupt):
        app.run([*DIGITS, *words, "figures=none"], progress=interrupt)
    (folder,) = here.glob("outputs/runs/*/*")
    assert app.resume(folder).records.restored == 2
    assert main(["reproduce", str(folder)]) == 0
    assert lines(capsys)[-1] == BITS


def test_one_that_is_copied_and_renamed_is_the_same_run(here, capsys):
    shutil.copytree(runner.run(GATE).folder, here / "kept")
    shutil.rmtree(here / "outputs")
    assert main(["reproduce", "kept"]) == 0
    assert lines(capsys)[-1] == BITS


def test_a_failed_run_fails_again(here, capsys):
    (here / "mine/task").mkdir(parents=True)
    (here / "mine/own.py").write_text("def own(setup, progress):\n    raise OSError('no')\n")
    (here / "mine/task/own.yaml").write_text("name: own:own\n")
    result = runner.run(["task=own", *GATE], config_dir="mine")
    assert result.status == "failed"
    again = ["reproduce", str(result.folder), "--config-dir", "mine"]
    assert main(again) == 0
    assert lines(capsys)[-1] == BITS
    (here / "mine/own.py").write_text("def own(setup, progress):\n    raise OSError('No')\n")
    assert main(again) == 1
    shown = lines(capsys)
    assert "line 2: error: OSError: no -> OSError: No" in shown[-2]
    assert shown[-1] == "NOT reproduced: 1 of 2 files differ; changed: modules"


# A user's own folder and module


@pytest.fixture
def mine(here):
    """A run with an activation of the user's own, started in another folder."""
    folder = here / "project"
    (folder / "mine/activation").mkdir(parents=True)
    code = "def leak(slope):\n    return (lambda a: a * slope), (lambda a: a * 0 + slope)\n"
    (folder / "mine/own.py").write_text(code)
    (folder / "mine/activation/leak.yaml").write_text("name: own:leak\nparams:\n  slope: 0.5\n")
    return folder


@pytest.fixture
def leaky(mine, monkeypatch, here):
    monkeypatch.chdir(mine)
    folder = runner.run(["activation=leak", *GATE], config_dir="mine").folder.resolve()
    monkeypatch.chdir(here)
    return folder


@pytest.mark.parametrize("words", [["--own-code"], ["--config-dir", "project/mine"]])
def test_with_ones_own_module_from_elsewhere(words, leaky, capsys):
    assert main(["reproduce", str(leaky), *words]) == 0
    assert lines(capsys)[-1] == BITS


def test_a_changed_module_is_named_and_numbers_are_said(leaky, mine, capsys):
    with (mine / "mine/own.py").open("a") as file:
        file.write("# one more line\n")
    again = ["reproduce", str(leaky), "--own-code"]
    assert main(again) == 1
    shown = lines(capsys)
    assert shown[-2].endswith(": a module of your own has changed")
    assert shown[-1] == (
        "NOT reproduced: the numbers are equal bit by bit; changed: modules; "
        "--allow-changes lets it pass"
    )
    assert main([*again, "--allow-changes"]) == 0
    assert lines(capsys)[-1] == f"{BITS}; changed: modules"


def test_a_changed_file_of_choices_is_named(leaky, mine, capsys):
    replace(mine / "mine/activation/leak.yaml", "0.5", "0.25")
    assert main(["reproduce", str(leaky), "--own-code"]) == 1
    shown = lines(capsys)
    assert shown[-2].endswith(": .hydra or a file of choices: activation.params.slope: 0.5 -> 0.25")
    assert "equal bit by bit; changed: choices; " in shown[-1]  # run as recorded


def test_a_folder_of_choices_that_has_moved(leaky, mine, capsys):
    (mine / "mine").rename(mine / "yours")
    assert main(["reproduce", str(leaky), "--own-code"]) == 1
    shown = lines(capsys)
    assert f"none at {mine}/mine; say where it is: --config-dir DIR" in shown[-3]
    assert main(["reproduce", str(leaky), "--config-dir", str(mine / "yours")]) == 0
    assert lines(capsys)[-1] == BITS


def test_a_module_of_the_folder_that_it_was_started_in(mine, here, monkeypatch):
    (mine / "mine/own.py").rename(mine / "lying_around.py")
    replace(mine / "mine/activation/leak.yaml", "own:", "lying_around:")
    before = sys.path[:]
    with monkeypatch.context() as there:
        there.chdir(mine)
        there.syspath_prepend(mine)
        folder = runner.run(["activation=leak", *GATE], config_dir="mine").folder.resolve()
    del sys.modules["lying_around"]
    assert sys.path == before
    with pytest.raises(runner.BadInput, match=r"--own-code runs it, of .*mine"):
        reproduce(folder, config_dir=mine / "mine")
    assert reproduce(folder, own_code=True).holds
    assert sys.path == before
    assert Path.cwd() == here


STRANGERS = {"activation": "subprocess:getoutput", "network": "os:system", "task": "trap:spring"}


@pytest.mark.parametrize("node", STRANGERS)
def test_a_strangers_record_runs_no_code_of_its_own(node, run, here, monkeypatch, capsys):
    (run / "trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\n")
    path = run / ".hydra/config.yaml"
    tree = yaml.safe_load(path.read_text())
    if node == "network":
        tree["network"] |= {"hidden": [2], "activations": [STRANGERS[node]]}
    else:
        tree[node] = {"name": STRANGERS[node], "params": {"cmd": "touch sprung"}}
    path.write_text(yaml.safe_dump(tree))
    forged = {"config_hash": digest(identity(read_config(run)))}
    record = json.loads((run / "run.json").read_text())
    replace(run / "results.csv", record["config_hash"], forged["config_hash"])
    monkeypatch.setattr(sys, "path", ["", *sys.path])  # as in a notebook
    hydra = run / ".hydra/hydra.yaml"
    hydra.write_text(re.sub("    cwd: .*", f"    cwd: {run}", hydra.read_text()))
    assert main(["reproduce", "run"]) == 1  # the file of results is damaged
    monkeypatch.setattr(store, "damaged", lambda place, record: [])
    assert main(["reproduce", "run"]) == 1  # a configuration of another hash
    (run / "run.json").write_text(json.dumps(record | forged) + "\n")
    capsys.readouterr()
    refused(
        ["run"],
        f"reproduce: --config-dir: expected the folder of {STRANGERS[node]}, which the record "
        f"names, got none; --own-code runs it, of {run}",
        capsys,
    )
    assert not [*here.rglob("sprung")]


# Relative paths, and what is needed where they lead nowhere


@pytest.fixture
def paths(here, monkeypatch):
    """A run of a file of samples and a file of weights, both relative, started in a folder."""
    place = here / "place"
    place.mkdir()
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(30, 784)).astype(np.float32), rng.integers(0, 10, 30)
    np.savez(place / "x.npz", x=x, t=t)
    shutil.copy(PRETRAINED, place / "w.safetensors")
    words = ["dataset=file", "dataset.path=x.npz", "weights=file", "weights.path=w.safetensors"]
    monkeypatch.chdir(place)
    folder = runner.run(words).folder.resolve()
    monkeypatch.chdir(here)
    return folder


def test_relative_paths_are_seen_from_where_it_was_started(paths, capsys):
    assert main(["reproduce", str(paths)]) == 0
    assert lines(capsys)[-1] == BITS


def test_files_that_have_moved(paths, here, capsys):
    shutil.copytree(paths, here / "kept")
    (here / "place").rename(here / "away")
    assert main(["reproduce", "kept"]) == 1
    shown = lines(capsys)
    gone = f"started in {here}/place, which is gone: say where, dataset.path=PATH"
    assert shown[-2].endswith(gone)
    assert shown[-1] == "NOT reproduced: not run again, it would be another run: inputs"
    assert main(["reproduce", "kept", "dataset.path=away/x.npz"]) == 1
    assert "weights.path=PATH" in lines(capsys)[-2]
    words = ["dataset.path=away/x.npz", "weights.path=away/w.safetensors"]
    assert main(["reproduce", "kept", *words]) == 0
    assert lines(capsys)[-1] == BITS


def test_a_byte_of_the_weights(paths, here, capsys):
    flip(here / "place/w.safetensors")
    assert main(["reproduce", str(paths)]) == 1
    shown = lines(capsys)
    was = json.loads((paths / "run.json").read_text())["weights_hash"]
    assert shown[-2].startswith(f"weights: expected {was}, got ")
    assert shown[-2].endswith(": weights=file, w.safetensors")
    assert shown[-1] == "NOT reproduced: not run again, it would be another run: weights"


def test_a_byte_of_the_weights_that_spoils_them(paths, here, capsys):
    flip(here / "place/w.safetensors", 0)
    assert main(["reproduce", str(paths)]) == 1
    assert "weights.path: w.safetensors: expected " in lines(capsys)[-2]


def test_a_byte_of_the_data(paths, here, capsys):
    with np.load(here / "place/x.npz") as content:
        arrays = dict(content)
    arrays["x"].view(np.uint8)[3, 5] ^= 1
    np.savez(here / "place/x.npz", **arrays)
    assert main(["reproduce", str(paths)]) == 1
    shown = lines(capsys)
    was = json.loads((paths / "run.json").read_text())["data_hash"]
    assert shown[-2].startswith(f"data: expected {was}, got ")
    assert shown[-2].endswith(": dataset=file, x.npz")
    assert not [line for line in shown if line.startswith("predictions.npz")]
    assert main(["reproduce", str(paths), "--allow-changes"]) == 1
    shown = lines(capsys)
    assert shown[-1].startswith("NOT reproduced: ")
    assert shown[-1].endswith("; changed: data")
    assert any(
        line.startswith("predictions.npz: expected 3 arrays, got 1 differ: y") for line in shown
    )


def test_a_byte_of_the_official_files(mnist_dir, here, capsys):
    for path in mnist_dir.iterdir():
        (here / path.name).symlink_to(path)
    folder = runner.run(["dataset=mnist", "data_dir=.", "dataset.limit=50"]).folder
    images = next(here.glob("t10k-images*"))
    content = bytearray(images.read_bytes())
    images.unlink()
    content[5000] ^= 1
    images.write_bytes(content)
    assert main(["reproduce", str(folder)]) == 1
    assert "data_dir: " in (line := lines(capsys)[-2])
    assert images.name in line


# The record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run that tests may copy."""
    place = tmp_path_factory.mktemp("recorded")
    return runner.run(["dataset=or", "weights=none", "seed=3", f"output_dir={place}"]).folder


@pytest.fixture
def run(recorded, here):
    return Path(shutil.copytree(recorded, here / "run"))


CHANGES = {
    "seed": ("config.yaml", "seed: 3", "seed: 4", "configuration", "seed: 3 -> 4"),
    "lr": ("config.yaml", "lr: 0.1", "lr: 0.2", "configuration", "optimizer.params.lr: 0.1 -> 0.2"),
    "words": ("overrides.yaml", "seed=3", "seed=5", "choices", "seed: 3 -> 5"),
    "output": ("config.yaml", "max_runs: 100000", "max_runs: 100001", "choices", "sweep.max_runs"),
    "threads": ("config.yaml", "threads: null", "threads: 2", "threads", ""),
    "expect": ("config.yaml", "expect: {}", "expect: {n: 5}", "choices", "expect.n: 5 -> none"),
    "key": ("config.yaml", "epochs:", "epocha:", "configuration", "expected a key"),
    "type": ("config.yaml", "seed: 3", "seed: x", "configuration", "seed: expected an integer"),
    "YAML": ("config.yaml", "seed: 3", "seed: [", "configuration", "config.yaml"),
    "kind": ("hydra.yaml", "mode: RUN", "mode: MULTIRUN", "", ""),
    "broken": ("hydra.yaml", "hydra:\n  run:", "hydri:\n  run:", ".hydra", "hydra"),
    "choice": ("overrides.yaml", "dataset=or", "dataset=ore", "choices", "did you mean"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_configuration_is_named(name, run, capsys):
    file, old, new, what, note = CHANGES[name]
    replace(run / ".hydra" / file, old, new)
    if not what:  # one of a narrow network has a thread in either case
        assert main(["reproduce", "run"]) == 0
        return
    assert main(["reproduce", "run"]) == 1
    (line,) = [line for line in lines(capsys) if line.startswith(f"{what}: ")]
    assert note in line


FILES = ["results.csv", "predictions.npz", "timing.csv", "confusion.csv"]


@pytest.mark.parametrize("file", FILES)
def test_a_byte_of_a_result(file, run, capsys):
    flip(run / file, 20)
    assert main(["reproduce", "run"]) == 1
    shown = lines(capsys)
    assert any(line.startswith(f"{file}: expected ") for line in shown)
    assert shown[-1].startswith("NOT reproduced: not run again")
    (run / file).unlink()
    assert main(["reproduce", "run"]) == 1
    assert any(
        line.startswith(f"{file}: expected ") and "got none" in line for line in lines(capsys)
    )


@pytest.mark.parametrize("name", ["run_id", "config_hash", "data_hash", "code_version"])
def test_a_changed_hash_is_named(name, run, capsys):
    record = json.loads((run / "run.json").read_text())
    was, record[name] = record[name], "0123456789ab"
    (run / "run.json").write_text(json.dumps(record) + "\n")
    assert main(["reproduce", "run"]) == 1
    assert lines(capsys)[-2] == (
        f"{name}: expected {was}, got 0123456789ab: in run.json; results.csv has {was}"
    )


def test_files_that_the_record_leaves_out_are_missed(run, capsys):
    record = json.loads((run / "run.json").read_text())
    del record["files"]["accuracy.csv"]
    (run / "run.json").write_text(json.dumps(record) + "\n")
    assert main(["reproduce", "run"]) == 1
    shown = lines(capsys)
    assert shown[-2] == "accuracy.csv: expected not recorded, got written: no checksum of it"


@pytest.mark.parametrize("name", ["predictions.npz", "accuracy.csv", "timing.csv"])
def test_a_file_that_is_no_such_file_but_has_its_checksum(name, run, capsys):
    record = json.loads((run / "run.json").read_text())
    (run / name).write_bytes(content := b"phase,batch_size\n1\n")
    record["files"][name] = [len(content), xxhash.xxh3_64_hexdigest(content)]
    (run / "run.json").write_text(json.dumps(record) + "\n")
    assert main(["reproduce", "run"]) == 1
    assert any(line.startswith(f"{name}: expected readable, got not: ") for line in lines(capsys))


@pytest.mark.parametrize("text", ["", "{", "[]\n", "{}\n", '{"run_id": 3}\n', "\ud800"])
def test_a_record_that_is_none(text, run, capsys):
    (run / "run.json").write_bytes(text.encode(errors="surrogatepass"))
    assert main(["reproduce", "run"]) == 1
    assert lines(capsys)[-2].startswith("run.json: expected readable, got not: ")


def meaning(content):
    """A configuration; None where there is none."""
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, ValueError):
        return None


def test_any_changed_byte_of_the_configuration_is_found_or_means_the_same(run):
    path = run / ".hydra" / "config.yaml"
    content = path.read_bytes()
    chance = random.Random(0)
    found = 0
    for _ in range(8):
        changed = bytearray(content)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(7)
        path.write_bytes(changed)
        result = reproduce(run)
        assert result.holds or all(one.note for one in result.changed)
        if result.holds:
            assert meaning(bytes(changed)) == meaning(content)
        found += not result.holds
    assert found > 3


def test_a_configuration_that_would_run_code(run, here, capsys):
    replace(run / ".hydra/config.yaml", "seed: 3", "seed: ${oc.create:3}")
    assert main(["reproduce", "run"]) == 1
    assert "expected an interpolation by" in lines(capsys)[-2]


# Code, machine, numbers


def test_changed_code_with_the_same_numbers(run, monkeypatch, capsys):
    was = job.code_version()
    monkeypatch.setattr(job, "code_version", lambda: "0123456789ab")
    assert main(["reproduce", "run"]) == 1
    shown = lines(capsys)
    assert shown[-2] == f"code: expected {was}, got 0123456789ab: the program itself"
    assert shown[-1].startswith("NOT reproduced: the numbers are equal bit by bit; changed: code;")
    assert main(["reproduce", "run", "--allow-changes"]) == 0
    assert lines(capsys)[-1] == f"{BITS}; changed: code"


def test_changed_code_with_other_numbers(run, monkeypatch, capsys):
    task = job.TASKS["inference"]

    def shifted(setup, progress):
        records = task(setup, progress)
        records.arrays["y"][0] += np.float32(1e-7)
        return records

    monkeypatch.setitem(job.TASKS, "inference", shifted)
    monkeypatch.setattr(job, "code_version", lambda: "0123456789ab")
    for words in ([], ["--allow-changes"]):
        assert main(["reproduce", "run", *words]) == 1
        shown = lines(capsys)
        assert "predictions.npz: expected 3 arrays, got 1 differ: y: " in shown[-2]
        assert shown[-1] == "NOT reproduced: 1 of 6 files differ; changed: code"


def test_a_time_outside_its_interval_is_said_and_decides_if_asked(run, monkeypatch, capsys):
    slower = agreement.Finding("inference_seconds", "1", "9", False, "slower: ratio 9.00")
    monkeypatch.setattr(agreement, "times", lambda recorded, again: [slower])
    assert main(["reproduce", "run"]) == 0
    shown = lines(capsys)
    assert "inference_seconds 1 9 OUTSIDE slower: ratio 9.00" in shown
    assert shown[-1] == BITS
    assert main(["reproduce", "run", "--strict-times"]) == 1
    assert lines(capsys)[-1] == f"NOT {BITS}; inference_seconds slower"


def other_machine(run, **changes):
    record = json.loads((run / "run.json").read_text())
    record["environment"] |= changes
    (run / "run.json").write_text(json.dumps(record) + "\n")


def test_another_machine_is_named_and_numbers_hold_within_rounding(run, monkeypatch, capsys):
    other_machine(run, cpu="Abacus", arithmetic="Abacus; numpy 0.1")
    task = job.TASKS["inference"]
    shift = np.float32(1e-6)

    def shifted(setup, progress):
        records = task(setup, progress)
        records.arrays["y"][0] += shift
        return records

    monkeypatch.setitem(job.TASKS, "inference", shifted)
    assert main(["reproduce", "run"]) == 0
    shown = lines(capsys)
    assert any(line.startswith("cpu Abacus ") and line.endswith(" other") for line in shown)
    assert any(line.startswith("arithmetic Abacus; numpy 0.1 ") for line in shown)
    assert any("not comparable: other cpu" in line for line in shown)
    assert shown[-1] == "reproduced: the numbers are equal within rounding (another arithmetic)"
    shift = np.float32(1e-4)
    assert main(["reproduce", "run"]) == 1
    assert "by more than rounding" in lines(capsys)[-1]


def test_a_record_of_before_arithmetic_was_recorded(run, capsys):
    record = json.loads((run / "run.json").read_text())
    del record["environment"]["arithmetic"]
    (run / "run.json").write_text(json.dumps(record) + "\n")
    assert main(["reproduce", "run"]) == 0
    shown = lines(capsys)
    assert any(line.startswith("arithmetic not recorded ") for line in shown)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernels are chosen by OpenBLAS")
def test_other_kernels_of_the_same_library(here, capsys):
    words = ["task=training", "dataset=digits", "epochs=3", "figures=none"]
    command = [sys.executable, "-m", "runner", *words]
    environment = os.environ | {"OPENBLAS_CORETYPE": "Nehalem"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    (folder,) = here.glob("outputs/runs/*/*")
    ours = runner.run(words).folder
    weights = [(place / "weights.safetensors").read_bytes() for place in (folder, ours)]
    with np.load(folder / "predictions.npz") as one, np.load(ours / "predictions.npz") as two:
        apart = np.abs(one["y"] - two["y"]).max()
    if not apart:
        pytest.skip("these kernels give the same bits on this processor")
    assert weights[0] != weights[1]
    tolerance = agreement.rounding([64, 50, 100, 10], "float32")
    assert apart < tolerance == pytest.approx(214 * 2.0**-23)
    assert main(["reproduce", str(folder)]) == 0
    assert "within rounding (another arithmetic)" in lines(capsys)[-1]


# The pieces


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_orders_of_a_networks_sums_lie_within_rounding(dtype):
    rng = np.random.default_rng(0)
    sizes = [784, 50, 100, 10]
    tolerance = agreement.rounding(sizes, dtype)
    for _ in range(5):
        layers = [
            (rng.normal(size=(m, n)) / np.sqrt(m)).astype(dtype)
            for m, n in itertools.pairwise(sizes)
        ]
        one = two = rng.random((20, 784)).astype(dtype)
        for W in layers:
            one = np.maximum(0, one @ W)
            backwards = np.zeros((20, W.shape[1]), dtype)
            for k in reversed(range(len(W))):  # one product after the other
                backwards += two[:, k, None] * W[k]
            two = np.maximum(0, backwards)
        assert 0 < np.abs(one - two).max() <= tolerance * np.abs(one).max()


def test_difference_of_arrays():
    a = np.array([1.0, -2.0, np.nan, 4.0], np.float32)
    b = a.copy()
    assert agreement.difference(a, b, None) == ""
    b[1] = np.nextafter(b[1], np.float32(0))
    assert agreement.difference(a, b, None) == (
        "1 of 4 differ, by up to 1.2e-07 where the largest is 4"
    )
    assert agreement.difference(a, b, 1e-6) == ""
    assert agreement.difference(a, a.astype(float), 1.0) == "(4,) of float32 -> (4,) of float64"
    assert agreement.difference(np.array([1, 2]), np.array([1, 3]), 1.0) == "1 of 2 differ"
    b[2] = 0
    assert agreement.difference(a, b, 1.0).startswith("2 of 4 differ, by up to nan ")
    b[2] = np.inf
    assert agreement.difference(a, b, 1.0) != ""
    zero, minus = np.array([0.0]), np.array([-0.0])
    assert agreement.difference(zero, minus, None) != ""  # other bits
    assert agreement.difference(zero, minus, 0.0) == ""


@pytest.mark.parametrize(
    ("left", "right", "tolerance", "same"),
    [
        ("0.5", "0.5", None, True),
        ("0.5", "0.50", None, False),
        ("0.5", "0.5001", 1e-3, True),
        ("0.5", "0.502", 1e-3, False),
        ("1e3", "1000.9", 1e-3, True),
        ("1000", "1001", 1.0, False),
        ("-3", "-2", 1.0, False),
        ("0.5", "", 1.0, False),
        ("a", "b", 1.0, False),
        ("nan", "0.5", 1.0, False),
        ("inf", "0.5", 1.0, False),
    ],
)
def test_cells(left, right, tolerance, same):
    assert agreement.same_cell(left, right, tolerance) is same


def timed(folder, seconds):
    """Write a run of given times, as far as they are read."""
    folder.mkdir()
    (folder / "results.csv").write_text(
        "schema_version,run_id,status,seed,threads,inference_seconds\n"
        f"1,a,completed,0,1,{np.median(seconds)}\n"
    )
    rows = [f"inference,10,{i},100,{s},{100 / s}" for i, s in enumerate(seconds, 1)]
    head = "phase,batch_size,repeat,items,seconds,items_per_second"
    (folder / "timing.csv").write_text("\n".join([head, *rows]) + "\n")
    (folder / "run.json").write_text('{"environment": {"cpu": "a", "cores": 2, "blas": []}}\n')
    return folder


@pytest.mark.parametrize(
    ("factor", "held", "word"), [(1.0, True, "ratio 1.00"), (3.0, False, "slower"),
                                 (0.3, False, "faster"), (1.08, True, "ratio 1.08")]
)  # fmt: skip
def test_times_hold_within_their_interval(factor, held, word, here):
    seconds = np.random.default_rng(0).normal(1, 0.01, 20)
    (one,) = agreement.times(timed(here / "a", seconds), timed(here / "b", seconds * factor))
    assert one.held is held
    assert one.note.startswith(word)
    assert (one.what, one.recorded) == ("inference_seconds", f"{np.median(seconds):.6f}")


# Bad input: one line, exit 2


def refused(words, message, capsys):
    assert main(["reproduce", *words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"error: {message}\n")


def test_a_record_that_grows_without_bound_is_not_read(run, capsys):
    levels = [f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    bomb = "\n".join(["x: [&a0 boom]", *(f"x{n}: {one}" for n, one in enumerate(levels))])
    (run / ".hydra/hydra.yaml").write_text(f"{bomb}\nhydra:\n  overrides:\n    hydra: [*a11]\n")
    assert main(["reproduce", "run"]) == 1
    assert "expected values, got references to others" in lines(capsys)[-2]


def test_what_is_no_run(here, run, capsys):
    expected = "reproduce: expected the folder of a run, got"
    for name in ("nowhere", ".", "run/results.csv"):
        refused([name], f"{expected} {name}", capsys)
    runner.sweep(["dataset=and,or", "weights=none", "sweep.name=s"])
    sweep = "outputs/sweeps/s"
    refused([sweep], f"{expected} the sweep {sweep}; its jobs are in {sweep}/jobs", capsys)


def test_one_that_has_not_ended(here, run, capsys):
    (run / "run.json").unlink()
    refused(
        ["run"],
        "reproduce: expected a run that has ended, got run without run.json; runner resume run",
        capsys,
    )


def test_one_that_was_interrupted(here, capsys):
    def interrupt(done, total, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        app.run([*DIGITS, "figures=none"], progress=interrupt)
    (folder,) = here.glob("outputs/runs/*/*")
    refused(
        [str(folder)],
        f"reproduce: expected a run that was not interrupted, got {folder}; runner resume {folder}",
        capsys,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=4"], "reproduce: seed: expected one of data_dir, dataset.path, weights.path, "
         "got seed"),
        (["datadir=x"], "reproduce: datadir: expected one of data_dir, dataset.path, "
         "weights.path, got datadir; did you mean data_dir?"),
        (["x"], "reproduce: KEY=PATH: expected a key with its value, got x"),
        (["--fast"], "command line: runner reproduce: unrecognized arguments: --fast"),
    ],
)  # fmt: skip
def test_words_that_are_wrong(words, message, run, capsys):
    refused(["run", *words], message, capsys)

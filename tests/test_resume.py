"""`runner resume`: a run that was stopped ends as if it had not been."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import runner
from runner.app import resume
from runner.cli import main
from runner.tables import store

WORDS = ["task=training", "dataset=digits", "dataset.limit=300", "epochs=8", "figures=none"]
SAVING = "training.checkpoint_every=3"
TIMES = ["started_at", "duration_seconds", "fit_seconds"]

# Ends like a power cut at the end of an epoch.
KILLED = """
import os, signal, sys
import runner

def progress(done, total, what):
    if done == int(sys.argv[1]):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

runner.run(sys.argv[2:], progress=progress)
"""

# Ends like one as soon as there is a checkpoint, wherever it is by then.
KILLED_EARLY = """
import os, signal, sys, threading, time
from pathlib import Path
import runner

def kill():
    while not list(Path().glob("outputs/runs/*/*/checkpoint.npz")):
        time.sleep(0.001)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

threading.Thread(target=kill, daemon=True).start()
runner.run(sys.argv[1:])
"""

# In the middle of an epoch it waits to be stopped, if it is told to.
OWN = """
import os
import sys
import time

import numpy as np


class Signs:
    def __init__(self, betas):
        self.betas, self.updates, self.state = betas, 0, {}

    def update(self, parameters, gradients, lr):
        if not self.state:
            self.state = {"m": np.zeros_like(parameters), "scale": np.float32(1)}
        self.updates += 1
        m, (beta, decay) = self.state["m"], self.betas
        m *= beta
        m += gradients
        parameters -= lr * self.state["scale"] * np.sign(m)
        self.state["scale"] *= np.float32(decay)
        if self.updates == 14 and "WAIT" in os.environ:
            print("waiting", flush=True)
            time.sleep(60)


def signs(betas):
    return Signs(betas)


class Odd:
    def __init__(self):
        self.odd = None

    def update(self, parameters, gradients, lr):
        self.odd = self.odd or (i for i in range(3))


odd = Odd
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mine(here):
    """Words for a user's own optimizer."""
    folder = here / "mine" / "optimizer"
    folder.mkdir(parents=True)
    (here / "mine" / "own.py").write_text(OWN)
    text = "name: own:signs\nparams:\n  lr: 0.001\n  betas: [0.9, 0.99]\n"
    (folder / "signs.yaml").write_text(text)
    (folder / "odd.yaml").write_text("name: own:odd\nparams:\n  lr: 0.1\n")
    return ["--config-dir", "mine", "optimizer=signs"]


def folder_of(here):
    (folder,) = here.glob("outputs/runs/*/*")
    return folder


def killed(words, after):
    """Run in a process of its own that is killed after an epoch; return the run's folder."""
    process = subprocess.run([sys.executable, "-c", KILLED, str(after), *words], check=False)
    assert process.returncode not in (0, 1)
    folder = folder_of(store.Path.cwd())
    assert not (folder / "run.json").exists()
    return folder


def contents(folder):
    """The bytes of every file of a folder, but for its log."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".log"
    }


def assert_same(folder, expected):
    """Compare all that two runs have left, but for times."""
    names = {path.name for path in expected.iterdir()}
    assert {path.name for path in folder.iterdir()} == names
    for name in ("weights.safetensors", "accuracy.csv", "confusion.csv", "shapes.csv"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    with np.load(folder / "predictions.npz") as one, np.load(expected / "predictions.npz") as two:
        assert one.files == two.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name], strict=True)
    columns = {"results": TIMES, "history": ["seconds"], "timing": ["seconds", "items_per_second"]}
    for name, times in columns.items():
        one, two = (
            pd.read_csv(place / f"{name}.csv", dtype=str).drop(columns=times)
            for place in (folder, expected)
        )
        pd.testing.assert_frame_equal(one, two)
    records = [store.read_record(place) for place in (folder, expected)]
    assert records[0]["files"].keys() == records[1]["files"].keys()
    assert records[0]["run_id"] == records[1]["run_id"]


EVERYTHING = [
    *("optimizer=momentum", "schedule=step", "schedule.params.warmup=0.1", "training.dropout=0.3"),
    *("training.input_dropout=0.1", "training.max_norm=2", "training.clip_norm=1"),
    *("training.label_smoothing=0.1", "training.validation=60", "training.patience=5"),
]


@pytest.mark.parametrize(
    ("options", "after", "saved"),
    [
        (["optimizer=sgd", SAVING], 4, 3),
        (["optimizer=adam", "training.dropout=0.2", "training.checkpoint_every=1"], 5, 5),
        ([*EVERYTHING, SAVING], 7, 6),
        (["optimizer=adam", "distortion=affine", SAVING], 5, 3),
    ],
)
def test_a_killed_run_goes_on_bit_for_bit(options, after, saved, here, capsys):
    words = [*WORDS, *options]
    folder = killed(words, after)
    assert (folder / "checkpoint.npz").exists()
    (folder / ".checkpoint.npz.1234.0123abcd").write_bytes(b"half of one")
    assert main(["resume", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"went on after epoch {saved}\ntraining 64-50-100-10")
    assert not [path for path in folder.iterdir() if "checkpoint" in path.name]
    assert_same(folder, runner.run(words).folder)

    before = contents(folder)
    assert main(["resume", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder} is complete\n"
    assert contents(folder) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_stopped_within_an_epoch_with_an_optimizer_of_ones_own(name, here, mine, in_time, capsys):
    words = [*mine, *WORDS, SAVING]
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"WAIT": "yes"},
        process_group=0,
    )
    assert process.stdout.readline() == "waiting\n"  # in the fifth epoch of three updates
    process.send_signal(signal.Signals[name])
    _, errors = process.communicate(timeout=in_time)
    folder = folder_of(here)
    if name == "SIGINT":
        assert (process.returncode, errors) == (130, "error: interrupted\n")
        row = store.read_table(folder / "results.csv", "results").iloc[0]
        assert (row["status"], row["error"]) == ("interrupted", "interrupted")
        record = store.read_record(folder)
        assert record["status"] == "interrupted"
        assert not [name for name in record["files"] if "checkpoint" in name]
    else:
        assert process.returncode == -signal.SIGKILL
        assert not (folder / "run.json").exists()
    assert main(["resume", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("went on after epoch 3\n")
    assert_same(folder, runner.run(words[2:], config_dir="mine").folder)


def test_killed_as_soon_as_there_is_a_checkpoint(here):
    words = [*WORDS, "epochs=100", "training.checkpoint_every=1", "optimizer=adam"]
    process = subprocess.run([sys.executable, "-c", KILLED_EARLY, *words], check=False)
    assert process.returncode not in (0, 1)
    folder = folder_of(here)
    assert not (folder / "run.json").exists()
    result = resume(folder)
    assert 0 < result.records.restored < 100
    assert result.row["epochs"] == 100
    assert_same(folder, runner.run(words).folder)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_sweeps_job_goes_on_from_its_checkpoint(here, mine, in_time, capsys):
    words = [*WORDS, SAVING, "seed=1,2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *mine, "-m", *words, "sweep.name=s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"WAIT": "yes"},
        process_group=0,
    )
    assert process.stdout.readline() == "waiting\n"  # the first job, in its fifth epoch
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=in_time)
    assert process.returncode == 130, errors
    (saved,) = here.glob("outputs/sweeps/s/jobs/*/checkpoint.npz")
    with np.load(saved) as arrays:
        before = [row["seconds"] for row in json.loads(str(arrays["state"]))["history"]]
    assert len(before) == 3
    assert main(["resume", "outputs/sweeps/s"]) == 0
    assert "2 of 2 jobs completed: 2 run, 0 reused, 0 failed" in capsys.readouterr().out
    assert not list(here.glob("outputs/sweeps/s/jobs/*/*checkpoint*"))
    seconds = pd.read_csv(saved.parent / "history.csv")["seconds"]
    assert seconds[:3].tolist() == pytest.approx(before, rel=1e-12)  # which no second start has

    runner.sweep([*words, "optimizer=signs", "sweep.name=whole"], config_dir="mine")
    jobs = sorted(here.glob("outputs/sweeps/whole/jobs/*"))
    assert saved.parent.name in [job.name for job in jobs]
    assert len(jobs) == 2
    for job in jobs:
        assert_same(here / "outputs/sweeps/s/jobs" / job.name, job)


def test_a_run_without_checkpoints_starts_over_in_its_folder(here, capsys):
    folder = killed(WORDS, 4)
    assert not (folder / "checkpoint.npz").exists()
    assert main(["resume", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("no checkpoint: started over\ntraining 64-50-100-10")
    assert_same(folder, runner.run(WORDS).folder)


def test_a_run_of_another_task_starts_over_too(here, monkeypatch):
    words = ["dataset=and", "weights=none"]
    folder = runner.run(words).folder
    (folder / "run.json").unlink()
    monkeypatch.chdir(folder)
    row = resume(".").row
    assert (row["status"], row["n"]) == ("completed", 4)
    assert store.read_record(folder)["run_id"] == row["run_id"] == store.run_id(folder)


def test_checkpoints_leave_no_trace(here):
    plain = runner.run(WORDS)
    saving = runner.run([*WORDS, "training.checkpoint_every=1"])
    assert saving.row["run_id"] == plain.row["run_id"]
    assert_same(saving.folder, plain.folder)


def test_a_failure_keeps_the_checkpoint_and_a_diverged_run_stays_so(here, mine, capsys):
    words = [*mine, "optimizer=odd", *WORDS, "training.checkpoint_every=2"]
    assert main(words) == 1
    error = "TypeError: optimizer.odd: expected numbers and arrays to save, got generator"
    assert capsys.readouterr().err.endswith(f": failed: {error}\n")
    assert store.read_record(folder_of(here))["status"] == "failed"


def test_a_diverged_run_diverges_again(here, capsys):
    assert main([*WORDS, "optimizer.params.lr=1e6", SAVING]) == 1
    folder = folder_of(here)
    row = store.read_table(folder / "results.csv", "results").iloc[0]
    assert row["status"] == "diverged"
    assert row["error"].startswith("epoch 1, step ")
    assert row[["accuracy", "correct", "n", "train_accuracy", "test_loss"]].isna().all()
    assert not (folder / "weights.safetensors").exists()
    first = capsys.readouterr().err
    assert main(["resume", str(folder)]) == 1
    assert capsys.readouterr().err == first


# What is refused: one line, exit 2, nothing changed


def interrupt(done, total, what):
    if done == 4:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The outputs of a run that was stopped after a checkpoint."""
    place = tmp_path_factory.mktemp("interrupted") / "outputs"
    with pytest.raises(KeyboardInterrupt):
        runner.run([*WORDS, SAVING, f"output_dir={place}"], progress=interrupt)
    return place


@pytest.fixture
def stopped(interrupted, here):
    """The folder of such a run, to do with as a test likes."""
    shutil.copytree(interrupted, here / "outputs")
    return folder_of(here)


def refused(folder, message, capsys):
    before = contents(folder) if folder.is_dir() else {}
    assert main(["resume", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {message}\n"
    assert captured.out == ""
    assert (contents(folder) if folder.is_dir() else {}) == before


NONE = "resume: expected the folder of a run or a sweep, got "


@pytest.mark.parametrize("name", ["nowhere", ".", "file", "outputs"])
def test_a_folder_that_is_no_run(name, here, stopped, capsys):
    (here / "file").write_text("")
    refused(here / name, f"{NONE}{here / name}", capsys)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("overrides.yaml", ""),
        ("overrides.yaml", "seed: 1\n"),
        ("overrides.yaml", "- 1\n"),
        ("overrides.yaml", "- [seed=1]\n"),
        ("overrides.yaml", "- 'seed=1\n"),
        ("overrides.yaml", "\udc80"),
        ("overrides.yaml", "- 2026-99-99\n"),
        ("hydra.yaml", ""),
        ("hydra.yaml", "hydra: {}\n"),
        ("hydra.yaml", "hydra: 3\n"),
        ("hydra.yaml", "hydra:\n  overrides: {hydra: null}\n"),
        ("hydra.yaml", "hydra:\n  overrides: {hydra: [3]}\n"),
        ("hydra.yaml", "hydra:\n  overrides: {hydra: []}\n  runtime: {config_sources: [a]}\n"),
        ("hydra.yaml", "hydra: !!python/object/apply:os.mkdir [pwned]\n"),
    ],
)
def test_a_record_of_what_was_typed_that_is_none(file, text, here, stopped, capsys):
    (stopped / ".hydra" / file).write_bytes(text.encode(errors="surrogateescape"))
    refused(stopped, f"{NONE}{stopped}", capsys)
    assert not (here / "pwned").exists()


@pytest.mark.parametrize("change", ["epochs=9", "seed=1", "training.dropout=0.1", "threads=2"])
def test_another_configuration_is_another_run(change, stopped, capsys):
    path = stopped / ".hydra" / "overrides.yaml"
    path.write_text(f"{path.read_text()}- {change}\n")
    words = [*WORDS, SAVING, change]
    other = store.run_id(runner.run(words).folder)
    was = f"the run {store.run_id(stopped)} (configuration, data, weights and code)"
    refused(stopped, f"{stopped}: expected {was}, got {other}", capsys)


def test_a_renamed_folder_is_no_run_of_its_own(stopped, here, capsys):
    mine = stopped.rename(here / "mine")
    was = "the run mine (configuration, data, weights and code)"
    refused(mine, f"{mine}: expected {was}, got {store.run_id(stopped)}", capsys)


def test_a_mistake_in_what_was_typed_is_the_usual_one(stopped, capsys):
    path = stopped / ".hydra" / "overrides.yaml"
    path.write_text(path.read_text().replace("epochs=8", "epochs=0"))
    refused(stopped, "command line: epochs: expected at least 1, got 0", capsys)


def test_options_of_hydra_are_part_of_what_was_typed(here):
    choices = here / "choices" / "network"
    choices.mkdir(parents=True)
    (choices / "tiny.yaml").write_text("hidden: [7]\n")
    words = [*WORDS, f"hydra.searchpath=[file://{here / 'choices'}]", "network=tiny"]
    folder = runner.run(words).folder
    (folder / "run.json").unlink()
    assert resume(folder).row["network"] == "64-7-10"


class Trap:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def pickled(path, arrays):
    np.savez(path, **arrays, trap=np.array([Trap()], dtype=object))


def bare_pickle(path, arrays):
    import pickle

    path.write_bytes(pickle.dumps(Trap()))


def one_array(path, arrays):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def flipped(path, arrays):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HARMS = {
    "cut": (lambda path, arrays: path.write_bytes(path.read_bytes()[:-500]), "BadZipFile"),
    "empty": (lambda path, arrays: path.write_bytes(b""), "EOFError"),
    "a bit": (flipped, "BadZipFile"),
    "text": (lambda path, arrays: path.write_text("hello"), "ValueError"),
    "pickled objects": (pickled, "ValueError"),
    "a pickle": (bare_pickle, "ValueError"),
    "one array": (one_array, "AttributeError|TypeError"),
    "folder": (
        lambda path, arrays: (path.unlink(), path.mkdir()),
        "IsADirectoryError|PermissionError",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_checkpoint_that_is_damaged_runs_nothing(harm, stopped, here, capsys):
    path = stopped / "checkpoint.npz"
    with np.load(path) as file:
        arrays = dict(file)
    do, kinds = HARMS[harm]
    do(path, arrays)
    before = contents(stopped)
    assert main(["resume", str(stopped)]) == 2
    captured = capsys.readouterr()
    message = f"error: resume: {path}: expected arrays to go on from, got "
    kind = captured.err.removeprefix(message).removesuffix("; remove it to start over\n")
    assert kind in kinds.split("|")
    assert captured.out == ""
    assert contents(stopped) == before
    assert not (here / "pwned").exists()

    (path.rmdir if path.is_dir() else path.unlink)()
    assert main(["resume", str(stopped)]) == 0
    assert capsys.readouterr().out.startswith("no checkpoint: started over\n")


def test_a_checkpoint_of_another_run_does_not_count(stopped, here):
    with pytest.raises(KeyboardInterrupt):
        runner.run([*WORDS, SAVING, "seed=1"], progress=interrupt)
    (other,) = set(here.glob("outputs/runs/*/*")) - {stopped}
    (other / "checkpoint.npz").replace(stopped / "checkpoint.npz")
    result = resume(stopped)
    assert (result.status, result.records.restored) == ("completed", 0)


def test_a_checkpoint_with_something_missing_is_a_failure_of_one_line(stopped, capsys):
    path = stopped / "checkpoint.npz"
    with np.load(path) as file:
        arrays = dict(file)
    del arrays["state"]
    np.savez(path, **arrays)
    assert main(["resume", str(stopped)]) == 1
    captured = capsys.readouterr()
    assert captured.err.endswith(": failed: KeyError: 'state'\n")
    assert len(captured.err.splitlines()) == 1


# A record that somebody else may have written


@pytest.fixture
def sent(here, monkeypatch):
    """A folder that came from elsewhere: nothing in this user's cache knows of it."""

    def forget():
        for name in [name for name in sys.modules if name == "evil" or "_evil" in name]:
            del sys.modules[name]

    def send(kind):
        forget()
        (here / "evil.py").write_text(
            "from pathlib import Path\nPath(__file__).with_name('RAN').touch()\n"
            "def dataset():\n    import numpy as np\n    return np.eye(2), np.arange(2)\n"
        )
        (here / "mine/dataset").mkdir(parents=True)
        (here / "mine/dataset/own.yaml").write_text("name: evil:dataset\n")
        words = ["dataset=own", "weights=none", "timing.repeats=1"]
        monkeypatch.syspath_prepend(str(here))
        monkeypatch.setenv("XDG_CACHE_HOME", str(here / "theirs"))
        if kind == "sweep":
            runner.sweep([*words, "seed=1,2", "sweep.name=s"], config_dir="mine")
            folder = here / "outputs/sweeps/s"
            shutil.rmtree(folder / "jobs")
        else:
            folder = runner.run(words, config_dir="mine").folder
            (folder / "run.json").unlink()
        monkeypatch.setenv("XDG_CACHE_HOME", str(here / "ours"))
        (here / "RAN").unlink()
        forget()
        return folder

    return send


FOREIGN = pytest.mark.promise("Code that only a record names is not run by resume or reproduce")


@FOREIGN
@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_code_that_only_a_record_names_is_not_run(kind, here, sent, capsys):
    folder = sent(kind)
    message = (
        "resume: --config-dir: expected the folder of evil:dataset, which the record names, "
        "got {}; --own-code runs whatever it names"
    )
    refused(folder, message.format("none"), capsys)
    assert main(["resume", str(folder), "--config-dir", "mine"]) == 2
    assert capsys.readouterr().err == f"error: {message.format(here / 'mine')}\n"
    assert not (here / "RAN").exists()

    (here / "evil.py").rename(here / "mine/evil.py")  # now it is the named folder's own
    if kind == "sweep":  # and another run, as its source has moved with all that is beside it
        assert main(["resume", str(folder), "--config-dir", "mine"]) == 2
        assert "sweep.name: expected the jobs of the sweep that is there" in capsys.readouterr().err
        assert (here / "mine/RAN").exists()


@FOREIGN
@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_own_code_says_that_a_record_may_be_trusted(kind, here, sent, capsys):
    folder = sent(kind)
    assert main(["resume", str(folder), "--own-code"]) == 0
    assert (here / "RAN").exists()
    shutil.rmtree(folder / "jobs") if kind == "sweep" else (folder / "run.json").unlink()
    assert main(["resume", str(folder)]) == 0  # from now on it is this user's


@FOREIGN
@pytest.mark.parametrize("word", ["seed=1", "seed=${batch_size}"])
def test_what_was_started_here_goes_on_without_a_word_more(word, here, mine):
    folder = runner.run([*WORDS, SAVING, "optimizer=signs", word], config_dir="mine").folder
    (folder / "run.json").unlink()
    assert main(["resume", str(folder)]) == 0
    words = store.read_record(folder)["run_id"]
    assert words == store.run_id(folder)


@FOREIGN
def test_a_record_lists_no_variables(here, monkeypatch, capsys):
    monkeypatch.setenv("SECRET", "s3cr3t")
    words = ["dataset=and", "weights=none", "timing.repeats=1", "seed=1,2", "sweep.name=s"]
    runner.sweep(words)
    folder = here / "outputs/sweeps/s"
    shutil.rmtree(folder / "jobs")
    store.write_command(folder, [*words, "hydra.job.env_copy=[SECRET]"])
    refused(
        folder,
        "command line: hydra.job.env_copy: expected none that the command line does not list by "
        "this key, got SECRET",
        capsys,
    )


def test_a_mark_that_cannot_be_left_changes_nothing(here, monkeypatch, mine):
    (here / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "file"))
    assert runner.run([*WORDS, "optimizer=signs"], config_dir="mine").status == "completed"


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["resume", "-h"])
    assert ended.value.code == 0
    assert "usage: runner resume" in capsys.readouterr().out


# Repeatability


@pytest.mark.parametrize("options", [[], ["optimizer=adam", "training.dropout=0.5"]])
def test_equal_runs_leave_equal_files(options):
    one, two, other = (runner.run([*WORDS, *options, f"seed={seed}"]).folder for seed in (2, 2, 3))
    assert_same(one, two)
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (one, other)]
    assert weights[0] != weights[1]

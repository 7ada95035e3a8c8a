"""What makes a number in a table one to trust: each test here fails when a safeguard is gone."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from rich.console import Console
from scipy.special import log_softmax
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_info, threadpool_limits

import runner
from runner.cli import main
from runner.config import Config, Network, effective_threads
from runner.tables import store

# Four samples through a hidden layer of two, and the same numbers out.
PASS = "dataset=xor network.hidden=[2] weights=inline timing.repeats=1".split() + [
    f"+weights.params.{name}={value}"
    for name, value in {"W1": "[[1,0],[0,1]]", "W2": "[[1,0],[0,1]]"}.items()
]
PASS += ["+weights.params.b1=[0,0]", "+weights.params.b2=[0,0]"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(here):
    """Write a config folder: the choice `own` of a group is own.py's function of its name."""

    def write(text, *groups, folder="mine"):
        for group in groups:
            (here / folder / group).mkdir(parents=True, exist_ok=True)
            (here / folder / group / "own.yaml").write_text(
                f"# Né ici\nname: own:{group}\n", "utf8"
            )
        (here / folder / "own.py").write_text(text, "utf8")
        return [f"{group}=own" for group in groups]

    return write


class Clock:
    """A time that passes only where it is spent, so that seconds are exact."""

    now = 1000.0

    def __call__(self):
        return self.now

    def spend(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


# Every call of either costs its seconds, and the next one so many times more.
SLOW = """
import time

def spending(seconds, growth):
    def spend(a):
        nonlocal seconds
        time.perf_counter.spend(seconds)
        seconds *= growth
        return a.copy()
    return spend

def activation(growth=1):
    return spending(1, growth), lambda a: a * 0 + 1

def output():
    return spending(10, 1), lambda y, dy: dy
"""
FLIPS = """
def activation():  # a sample by itself is seen otherwise than in company
    return lambda a: -a if len(a) == 1 else a.copy(), lambda a: a * 0 + 1
"""


@pytest.mark.parametrize(("sizes", "said"), [("[1,4]", "1 and 4"), ("[4,2,1]", "4 and 1")])
def test_batch_sizes_that_decide_differently_fail_the_run(own, sizes, said):
    words = [*PASS, *own(FLIPS, "activation"), f"batch_size={sizes}"]
    row = runner.run(words, config_dir="mine").row
    assert row["status"] == "failed"
    # 10 and 01; 00 and 11 are ties either way, which the first class wins.
    reason = f"ArithmeticError: batch sizes {said} decide differently for 2 samples"
    assert row["error"] == reason
    assert row["accuracy"] is row["correct"] is row["n"] is None


def test_batch_sizes_that_agree_complete_the_run(own):
    words = [*PASS, *own(FLIPS, "activation"), "batch_size=[4,2]"]
    assert runner.run(words, config_dir="mine").status == "completed"


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


RECORDS_THREADS = """
from pathlib import Path
from threadpoolctl import threadpool_info
from runner.tasks import inference

def task(setup, progress):
    met = {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
    Path("threads.txt").write_text(" ".join(map(str, met)))
    return inference.run(setup, progress)
"""


@pytest.mark.parametrize(
    ("words", "threads"), [([], 1), (["threads=2"], 2), (["network.hidden=[200]"], 2)]
)
def test_a_task_has_the_threads_it_says_whatever_was_set_before(here, own, words, threads):
    words = ["dataset=xor", "weights=none", *own(RECORDS_THREADS, "task"), *words]
    with threadpool_limits(limits=3, user_api="blas"):
        row = runner.run(words, config_dir="mine").row
        assert blas_threads() == {3}  # given back
    assert (row["status"], row["threads"]) == ("completed", threads)
    assert (here / "threads.txt").read_text() == str(threads)


@pytest.mark.parametrize(
    ("hidden", "threads"),
    [([199], 1), ([200], 2), ([199, 199], 1), ([200, 1], 2), ([1, 200], 2), ([1, 200, 1], 2)],
)
def test_a_second_thread_from_200_units_of_the_widest_layer(hidden, threads):
    assert effective_threads(Config(network=Network(hidden=hidden)), in_sweep=False) == threads


WATCHES = """
import json, os, sys

events = []
sync = os.fsync

def fsync(descriptor):
    sync(descriptor)
    status = os.fstat(descriptor)
    events.append(["sync", status.st_ino, status.st_size])

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR):
            events.append(["open", os.path.abspath(arguments[0]), 0])
    elif event == "os.rename":
        events.append(["rename", *map(os.path.abspath, arguments[:2])])

os.fsync = fsync
sys.addaudithook(watch)

import runner

{call}
print(json.dumps([event for event in events if "outputs" in str(event) or event[0] == "sync"]))
"""


def watched(call):
    """Return what another process did to files below outputs/: what, to which, and how."""
    command = [sys.executable, "-c", WATCHES.replace("{call}", call)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(event) for event in json.loads(done.stdout.splitlines()[-1])]


def ours(folder):
    """Return a run's files but for those that Hydra and logging keep open themselves."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"]
    return {str(path) for path in files if not {".hydra", ".lock"} & set(path.parts)}


def check_commit(events, folder):
    """Check that a run's record was synced whole, then renamed, and that nothing came after."""
    files, record = ours(folder), folder / "run.json"
    opened = [(i, event[1]) for i, event in enumerate(events) if event[0] == "open"]
    renamed = {event[2]: i for i, event in enumerate(events) if event[0] == "rename"}
    assert files <= set(renamed)
    assert not files & {path for _, path in opened}
    last = renamed[str(record)]
    assert last == max(renamed[path] for path in files)
    assert all(i < last for i, path in opened if path.startswith(str(folder)))
    status = record.stat()
    synced = events.index(("sync", status.st_ino, status.st_size))
    assert synced < last


def test_a_runs_record_is_synced_and_comes_last(here):
    events = watched("runner.run(['task=training', 'dataset=and', 'epochs=1'])")
    (record,) = here.glob("outputs/runs/*/*/run.json")
    assert len(ours(record.parent)) >= 10  # tables, arrays, weights, pictures
    check_commit(events, record.parent)


def test_a_sweep_appears_by_one_rename_and_its_jobs_are_runs(here):
    words = ["dataset=and,or", "weights=none", "timing.repeats=1", "sweep.name=mine"]
    events = watched(f"runner.sweep({words})")
    folder = here / "outputs" / "sweeps" / "mine"
    appeared = [event[2] for event in events if event[0] == "rename"].index(str(folder))
    before = [event[2] for event in events if event[0] == "rename"][:appeared]
    # Its plan and command are inside when it gets its name.
    assert [os.path.basename(path) for path in before] == ["plan.csv", "command.json"]  # noqa: PTH119
    assert not any(path.startswith(str(folder) + os.sep) for path in before)
    jobs = [folder / "jobs" / name for name in os.listdir(folder / "jobs")]  # noqa: PTH208
    assert len(jobs) == 2
    for job in jobs:
        check_commit(events, job)


def seconds_of(words):
    timing = runner.run(words, config_dir="mine").tables["timing"]
    return timing[timing["phase"] == "inference"]["seconds"].tolist()


def test_a_timed_pass_goes_from_samples_to_outputs(clock, own):
    words = [*PASS, *own(SLOW, "activation", "output"), "batch_size=[1,3]", "timing.repeats=3"]
    started = clock.now
    result = runner.run(words, config_dir="mine")
    timing = result.tables["timing"]
    rows = timing[timing["phase"] == "inference"]
    # Four batches of one sample or two of up to three: 1 s in the hidden layer, 10 s after it.
    assert rows["seconds"].tolist() == [44.0] * 3 + [22.0] * 3
    assert rows["items_per_second"].tolist() == [4 / 44] * 3 + [4 / 22] * 3
    assert result.row["inference_seconds"] == 22.0
    assert result.row["images_per_second"] == 4 / 22
    assert 3 * 44 + 3 * 22 <= result.row["duration_seconds"] <= clock.now - started


@pytest.mark.parametrize("warmup", [1, 3])
def test_warm_up_passes_happen_and_are_not_counted(clock, own, warmup):
    words = [*PASS, *own(SLOW, "activation"), "+activation.params.growth=2", "timing.repeats=4"]
    cold = seconds_of([*words, "timing.warmup=0"])
    # Each pass takes twice the time of the one before, which numbers them.
    assert cold == [cold[0], 2 * cold[0], 4 * cold[0], 8 * cold[0]]
    assert seconds_of([*words, f"timing.warmup={warmup}"]) == [2**warmup * s for s in cold]


def test_inference_seconds_are_the_median_of_the_repeats(clock, own):
    words = [*PASS, *own(SLOW, "activation"), "+activation.params.growth=2", "timing.repeats=5"]
    result = runner.run(words, config_dir="mine")
    timing = result.tables["timing"]
    middle = timing[timing["phase"] == "inference"]["seconds"].iloc[2]
    assert result.row["inference_seconds"] == middle
    assert result.row["images_per_second"] == 4 / middle


def test_seconds_of_an_epoch_exclude_evaluation(clock, own):
    words = ["task=training", "dataset=xor", "network.hidden=[2]", "batch_size=2", "epochs=3"]
    words += [*own(SLOW, "activation"), "figures=none"]
    started = clock.now
    result = runner.run(words, config_dir="mine")
    # Two batches forward are 2 s; looking at both splits afterwards costs 1 s each.
    assert result.tables["history"]["seconds"].tolist() == [2.0] * 3
    timing = result.tables["timing"]
    assert timing[timing["phase"] == "epoch"]["seconds"].tolist() == [2.0] * 3
    assert result.row["fit_seconds"] == 6.0
    assert 12.0 <= result.row["duration_seconds"] <= clock.now - started


def test_train_loss_is_that_of_the_whole_split_after_the_epoch():
    trained = runner.run("task=training dataset=digits epochs=2 figures=none".split())
    last = trained.tables["history"].iloc[-1]
    path = trained.folder / "weights.safetensors"
    words = ["dataset=digits", "dataset.split=train", "weights=file", f"weights.path={path}"]
    again = runner.run([*words, "timing.repeats=1"]).row
    # Summed over other batches; the mean during the epoch is another number altogether.
    assert last["train_loss"] == pytest.approx(again["test_loss"], rel=1e-5)
    assert last["train_accuracy"] == again["accuracy"] == trained.row["train_accuracy"]


RECORDS_ORDER = """
from pathlib import Path
import numpy as np

def init(extra=0):
    def draw(fan_in, fan_out, activation_name, *, rng, dtype):
        rng.normal(size=extra)
        return np.ones((fan_in, fan_out), dtype)
    return draw

def activation():
    def forward(a):
        if len(a) == 4:  # a batch of the training; evaluation sees all eight at once
            with Path("order.txt").open("a") as file:
                file.write(" ".join(str(round(value)) for value in a[:, 0].tolist()) + "\\n")
        return a * 0
    return forward, lambda a: a * 0

def dataset():
    return np.arange(8.0)[:, None], np.array([0, 1] * 4)
"""


def test_what_init_draws_does_not_change_the_order_of_the_samples(here, own):
    words = "task=training network.hidden=[1] batch_size=4 epochs=2 figures=none".split()
    words += own(RECORDS_ORDER, "init", "activation", "dataset")

    def order(*more):
        (here / "order.txt").unlink(missing_ok=True)
        runner.run([*words, *more], config_dir="mine")
        lines = (here / "order.txt").read_text().splitlines()
        return [list(map(int, line.split())) for line in lines[:4]]  # the training comes first

    plain = order()
    first, second = plain[0] + plain[1], plain[2] + plain[3]
    assert sorted(first) == sorted(second) == list(range(8))  # each sample once an epoch
    assert first != second  # shuffled anew
    assert order("+init.params.extra=1000") == plain
    assert order("seed=1") != plain


PROGRESS = """
from pathlib import Path

def activation():
    def forward(a):
        if len(a) == 2:
            with Path("events.txt").open("a") as file:
                file.write("batch\\n")
        return a.copy()
    return forward, lambda a: a * 0 + 1
"""


def test_progress_counts_epochs_and_names_the_running_one(here, own):
    words = ["task=training", "dataset=xor", "network.hidden=[3]", "batch_size=2", "epochs=3"]
    words += [*own(PROGRESS, "activation"), "figures=none"]
    told = []

    def progress(done, total, what):
        told.append((done, total))
        with (here / "events.txt").open("a") as file:
            file.write(f"{what}\n")

    runner.run(words, config_dir="mine", progress=progress)
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)
    assert told == sorted(told)
    events = (here / "events.txt").read_text().splitlines()
    batches = ["batch", "batch"]
    expected = ["epoch 1", *batches, "epoch 2", *batches, "epoch 3", *batches, "epoch 3"]
    start = events.index("epoch 1")  # the checks come before, a look at the shapes after
    assert events[start : start + len(expected)] == expected


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("task=training dataset=xor epochs=2 figures=none", ("epoch 2", "100%")),
        ("dataset=xor weights=none", ("batch size 100",)),
    ],
)
def test_a_terminal_shows_a_bar_that_moves(monkeypatch, words, shown):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr("runner.report.terminal.terminal", lambda: console)
    assert main(words.split()) == 0
    for text in shown:
        assert text in console.file.getvalue()


SCALES = (
    "from helper import factor\n"
    + """
def activation():
    return lambda a: factor * a, lambda a: factor + 0 * a
"""
)


def test_a_neighbour_of_ones_own_module_belongs_to_the_run(here, own):
    for folder, factor in (("mine", 1), ("other", -1)):
        own(SCALES, "activation", folder=folder)
        (here / folder / "helper.py").write_text(f"factor = {factor}\n")
    assert (here / "mine/own.py").read_bytes() == (here / "other/own.py").read_bytes()
    words = [*PASS, "activation=own", "output=identity"]
    mine, other, again = (runner.run(words, config_dir=name) for name in ("mine", "other", "mine"))
    assert mine.row["run_id"] == again.row["run_id"] != other.row["run_id"]
    y = [result.records.arrays["y"] for result in (mine, other, again)]
    np.testing.assert_array_equal(y[0], [[0, 0], [1, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(y[1], -y[0])
    np.testing.assert_array_equal(y[2], y[0])


@pytest.mark.parametrize("bytecode", [False, pytest.param(True)])
@pytest.mark.parametrize("name", ["own.py", "helper.py"])
def test_an_edited_module_is_read_again(here, own, monkeypatch, name, bytecode):
    monkeypatch.setattr(sys, "dont_write_bytecode", not bytecode)
    words = [*PASS, *own(SCALES, "activation"), "output=identity"]
    (here / "mine/helper.py").write_text("factor = 1\n")
    before = runner.run(words, config_dir="mine")
    file = here / "mine" / name
    stamp = file.stat().st_mtime_ns
    edits = {"own.py": ("factor * a", "factor - a"), "helper.py": ("1", "7")}
    file.write_text(file.read_text().replace(*edits[name]))
    # As many bytes at the same time: only the contents tell.
    os.utime(file, ns=(stamp, stamp))
    after = runner.run(words, config_dir="mine")
    assert after.row["run_id"] != before.row["run_id"]
    x = before.records.arrays["y"]
    # Hidden and output layer hand on what they get, so y is the activation of x.
    expected = 1 - x if name == "own.py" else 7 * x
    np.testing.assert_array_equal(after.records.arrays["y"], expected)


EXITS = {
    "def activation():\n    raise SystemExit(3)\n": "activation: SystemExit: 3",
    "import sys\nsys.exit('no')\n": "activation.name: expected a module own that can be "
    "imported, got SystemExit: no",
}


@pytest.mark.parametrize("text", EXITS)
def test_ones_own_code_cannot_end_the_program(here, own, capsys, text):
    assert main(["--config-dir", "mine", *own(text, "activation")]) == 2
    assert capsys.readouterr().err == f"error: command line: {EXITS[text]}\n"
    assert not (here / "outputs").exists()


@pytest.mark.parametrize("status", [0, 3])
def test_a_function_that_exits_when_it_is_tried_is_bad_input(own, status):
    text = f"import sys\ndef activation():\n    return lambda a: sys.exit({status}), lambda a: a\n"
    assert main(["--config-dir", "mine", *own(text, "activation")]) == 2


def rewrite(path, array):
    """Save an array over another of the same size, the file's time unchanged."""
    before = path.stat()
    np.save(path, array)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("changed", ["x.npy", "t.npy"])
def test_a_rewritten_data_file_is_noticed(here, changed):
    x, t = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    np.save("x.npy", x)
    np.save("t.npy", t)
    words = ["dataset=file", "dataset.path=x.npy", "dataset.params.labels=t.npy", *PASS[1:]]
    words += ["activation=identity"]
    before = runner.run(words).row
    rewrite(here / changed, 1 - (x if changed == "x.npy" else t))
    after = runner.run(words).row
    assert (before["correct"], after["correct"]) == (0, 2)
    assert before["data_hash"] != after["data_hash"]
    assert before["run_id"] != after["run_id"]
    rewrite(here / changed, x if changed == "x.npy" else t)
    assert runner.run(words).row["data_hash"] == before["data_hash"]


@pytest.mark.parametrize("same_time", [False, pytest.param(True)])
def test_rewritten_weights_are_noticed(here, same_time):
    words = "dataset=xor network=perceptron output=identity weights=file weights.path=w.npz".split()
    results, path = [], here / "w.npz"
    for number, sign in enumerate((1.0, -1.0)):
        np.savez(path, W1=sign * np.eye(2), b1=np.zeros(2))
        second = 1_000_000_000 + (0 if same_time else number)
        os.utime(path, (second, second))
        results.append(runner.run(words))
    before, after = results
    assert before.row["weights_hash"] != after.row["weights_hash"]
    np.testing.assert_array_equal(after.records.arrays["y"], -before.records.arrays["y"])


def test_the_command_line_works_in_a_thread(here):
    statuses = []
    work = threading.Thread(target=lambda: statuses.append(main(["dataset=and", "weights=none"])))
    work.start()
    work.join()
    assert statuses == [0]
    assert len(list(here.glob("outputs/runs/*/*/run.json"))) == 1


@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["activation=relo"], 2)])
def test_the_handler_of_sigterm_is_given_back(words, status):
    def handler(number, frame):
        """Do nothing."""

    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert main(words) == status
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_explanation_survives_a_terminal_that_cannot_show_it(own):
    own("", "activation")
    command = [sys.executable, "-m", "runner", "choices", "--config-dir", "mine"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["activation", "own", "N\\xe9", "ici"]


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe in its own way")
@pytest.mark.parametrize(
    "words",
    [
        "experiment=and_gate",
        "schema",
        pytest.param("choices"),
        pytest.param("--version"),
    ],
)
def test_a_closed_pipe_ends_the_program_quietly(words):
    reading, writing = os.pipe()
    os.close(reading)  # before anything is written, where `head` would do it at some time
    command = [sys.executable, "-m", "runner", *words.split()]
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHONUNBUFFERED"}
    try:
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


LEARN = "task=training network.hidden=[8] activation=tanh optimizer=adam batch_size=4".split()
LEARN += ["optimizer.params.lr=0.05", "epochs=200", "figures=none"]


@pytest.mark.parametrize(
    ("words", "network"),
    [
        ("output=sigmoid", "2-8-1"),
        ("output=softmax", "2-8-2"),
        ("output=identity loss=sum_squares", "2-8-2"),
    ],
)
def test_xor_is_learned_whatever_two_classes_end_in(words, network):
    result = runner.run([*LEARN, "dataset=xor", *words.split()])
    assert (result.row["network"], result.row["correct"]) == (network, 4)
    np.testing.assert_array_equal(result.records.arrays["predicted"], [0, 1, 1, 0])


BLOBS = """
import numpy as np

def dataset():
    rng = np.random.default_rng(0)
    t = np.arange(60) % 2
    return rng.normal(size=(60, 3)) + 2 * t[:, None], t
"""


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_the_loss_of_two_classes_is_scikit_learns(own, output):
    words = [*LEARN, *own(BLOBS, "dataset"), f"output={output}", "epochs=20", "dtype=float64"]
    result = runner.run([*words, "loss.params.delta=0"], config_dir="mine")
    y, t = result.records.arrays["y"], result.records.arrays["t"]
    assert y.shape == (60, 1 if output == "sigmoid" else 2)
    assert result.row["test_loss"] == pytest.approx(log_loss(t, y[:, -1]), rel=1e-9)
    assert result.accuracy == np.mean((y[:, -1] > 0.5) == t)
    assert result.accuracy > 0.9


def test_logits_of_two_classes_come_from_two_neurons():
    words = "dataset=xor output=identity weights=none dtype=float64 loss.params.delta=0".split()
    result = runner.run(words)
    assert result.row["network"] == "2-50-100-2"
    y, t = result.records.arrays["y"], result.records.arrays["t"]
    expected = -log_softmax(y, axis=1)[np.arange(4), t].mean()
    assert result.row["test_loss"] == pytest.approx(expected, rel=1e-9)


def test_samples_without_labels_are_counted_and_not_judged(here):
    words = ["dataset=inline", "dataset.params.x=[[0,2],[3,1],[5,5]]", *PASS[1:]]
    result = runner.run([*words, "activation=identity", "output=identity"])
    assert (result.status, result.row["n"]) == ("completed", 3)
    np.testing.assert_array_equal(result.records.arrays["y"], [[0, 2], [3, 1], [5, 5]])
    row = store.read_table(result.folder / "results.csv", "results").iloc[0]
    judged = ["correct", "accuracy", "accuracy_low", "accuracy_high", "test_loss"]
    assert row[judged].isna().all()
    files = {path.name for path in result.folder.iterdir()}
    assert not files & {"accuracy.csv", "confusion.csv"}

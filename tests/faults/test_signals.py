"""Ctrl-C and SIGTERM at any moment: a valid table, nobody left behind, and a sweep that goes on."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.job import attempt
from runner.lookup import interrupt_behind

SIGNALS = pytest.mark.promise(
    "Ctrl-C and SIGTERM at any moment end a sweep within 5 s, with status 130 or 143, a valid "
    "table and no process left; resume completes it"
)
SWEEP = ["-m", "task=perceptron", "dataset=and", "seed=range(0,6)", "sweep.name=s"]
PLACE = "outputs/sweeps/s"
CORES = ["hydra/launcher=cores", "hydra.launcher.n_jobs=2"]
STARTED = """\
import sys
from runner.cli import main
print("started", flush=True)
sys.exit(main(sys.argv[1:]))
"""
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def in_group(group):
    """Return the processes of a group that are no zombies, by what /proc says."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        if int(its_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


@pytest.fixture(scope="module")
def whole(nursery, read, tmp_path_factory):
    """What the sweep leaves when nobody disturbs it, and its seconds on one core and on two."""
    seconds = []
    for name, words in (("cores", CORES), ("one", [])):
        folder = tmp_path_factory.mktemp(name)
        started = time.monotonic()
        assert nursery.run(folder, [*SWEEP, *words]).status == 0
        seconds.append(time.monotonic() - started)
    return read(folder / PLACE), seconds[1], seconds[0]


@SIGNALS
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
@pytest.mark.parametrize("words", [[], CORES], ids=["in process", "cores"])
def test_a_signal_at_any_moment(
    words, number, nursery, whole, read, holds, tmp_path, long, in_time, record_property
):
    expected, moments = whole[0], random.Random(f"{number}{words}")
    seconds, cases = whole[2 if words else 1], 10 if long else 1
    if words and not long:
        seconds, cases = seconds / 2, 1
    for case in range(cases):
        folder = tmp_path / str(case)
        folder.mkdir()
        pid = nursery.start(folder, [*SWEEP, *words])
        time.sleep(moments.uniform(0.02, seconds))
        sent = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        ended = nursery.end()
        assert time.monotonic() - sent < in_time, ended
        if ended.status == 0:  # it was over before
            continue
        assert ended.status == STATUS[number], ended
        word = "interrupted" if number == signal.SIGINT else "terminated"
        assert ended.err.startswith(f"error: {word}"), ended.err
        assert ended.err.count("\n") == 1, ended.err
        while in_group(pid):  # the tracker of multiprocessing ends a moment after its parent
            assert time.monotonic() - sent < in_time, in_group(pid)
            time.sleep(0.02)
        holds(folder / PLACE, expected)
        if (folder / PLACE).exists():
            assert nursery.run(folder, ["resume", PLACE]).status == 0
            assert read(folder / PLACE) == expected
    record_property("cases", cases)


@SIGNALS
@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_signal_while_the_program_is_loaded(number, tmp_path, long, in_time, record_property):
    moments, cases = random.Random(number), 20 if long else 1
    for case in range(cases):
        command = [sys.executable, "-c", STARTED, *SWEEP, f"output_dir={case}"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=tmp_path, process_group=0, **pipes)
        assert process.stdout.readline() == "started\n"  # before that it is Python's own start
        time.sleep(moments.uniform(0, 0.8))
        process.send_signal(number)
        _, error = process.communicate(timeout=in_time)
        if process.returncode == -number and not error:  # before the program asks for signals
            continue
        if process.returncode != 0:
            # Python ends by SIGINT itself where `exec` was interrupted: 130 to a shell.
            assert process.returncode in (STATUS[number], -signal.SIGINT), error
            assert error.startswith("error: "), error
            assert error.count("\n") == 1, error
    record_property("cases", cases)


def test_an_interrupt_that_something_else_hides():
    def hidden(error):
        try:
            try:
                raise error
            finally:
                raise ValueError("in no state to be left")
        except ValueError as other:
            return other

    interrupt = KeyboardInterrupt()
    assert interrupt_behind(interrupt) is interrupt
    assert interrupt_behind(hidden(interrupt)) is interrupt
    assert interrupt_behind(hidden(hidden(interrupt))) is interrupt
    assert interrupt_behind(hidden(OSError())) is None
    assert attempt(lambda: raising(hidden(interrupt)), 1).interrupt is interrupt
    assert attempt(lambda: raising(OSError("full")), 1).error == "OSError: full"


def raising(error):
    raise error

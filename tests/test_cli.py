"""The command line as a user meets it: a mistake is one line, exit 2, and nothing left behind."""

import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
import yaml

from runner.cli import main
from runner.commands import COMMANDS, module


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_message_survives_a_terminal_that_cannot_show_it(here):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "runner", "activation='렐루'"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "got \\ub810\\ub8e8" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", ["-h", "--help"])
def test_help_names_commands_groups_and_choices(words, capsys):
    assert main([words]) == 0
    text = capsys.readouterr().out
    for word in ("check", "choices", "data", "schema", "mnist5k", "relu", "--multirun"):
        assert word in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "-h"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: runner {command}" in text
    assert max(map(len, text.splitlines())) <= 100
    examples = re.findall(rf"^  runner {command}\b(.*)$", text, re.M)
    assert examples or command == "completion"
    for example in examples:
        words = shlex.split(re.sub("(   | > ).*", "", example))
        module(command).parser().parse_intermixed_args(words)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from runner.cli import main; main(['-h']);"
        "print({'numpy', 'hydra', 'omegaconf', 'pandas', 'rich', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_run_imports_no_plotting_and_no_statistics(here):
    code = (
        "import sys; from runner.cli import main; main([]);"
        "heavy = {'matplotlib', 'scipy', 'sklearn', 'mlxtend', 'pooch'};"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_choices_explains_every_choice(capsys):
    assert main(["choices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "activation" in lines
    assert "  relu             max(0, a)" in lines
    explained = [line for line in lines if line.startswith("  ")]
    assert all(re.fullmatch(r"  \S+ +\S.*", line) for line in explained)


def test_cfg_shows_and_runs_nothing(here, capsys):
    assert main(["--cfg", "job", "network.hidden=[7]"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["network"]["hidden"] == [7]
    assert shown["optimizer"]["params"]["lr"] == 0.1
    assert list(here.iterdir()) == []


def test_info_and_version(capsys):
    assert main(["--info", "searchpath"]) == 0
    assert "structured://" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.endswith("runner 0.1.0\n")


SLOW = """
import time
def slow(setup, progress):
    print("started", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_and_is_recorded(number, status, here, in_time):
    (here / "mine" / "task").mkdir(parents=True)
    (here / "mine" / "slow.py").write_text(SLOW)
    (here / "mine" / "task" / "slow.yaml").write_text("name: slow:slow\n")
    command = [sys.executable, "-m", "runner", "--config-dir", "mine", "task=slow"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=in_time)
    assert process.returncode == status
    assert errors == f"error: {'interrupted' if status == 130 else 'terminated'}\n"
    (results,) = here.glob("outputs/runs/*/*/results.csv")
    header, row = results.read_text().splitlines()
    record = dict(zip(header.split(","), row.split(","), strict=True))
    assert record["status"] == "interrupted"
    assert record["accuracy"] == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_late_interrupt_leaves_no_trace():
    code = """import atexit, sys, time
from runner.cli import main
atexit.register(lambda: (print("over", flush=True), time.sleep(60)))
sys.argv = ["runner", "--version"]
sys.exit(main())"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True)
    while process.stdout.readline() != "over\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (-signal.SIGINT, "", "")

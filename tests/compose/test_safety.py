"""Configuration runs no code: each way that stock Hydra leaves open is refused before it opens."""

import os
import subprocess
import sys

import pytest

from runner.cli import main
from runner.compose.safety import check_launcher, check_logging
from runner.lookup import BadInput

NOTHING = pytest.mark.promise("A configuration runs no code, and writes only where it may")
MARK = (
    "import pathlib\npathlib.Path(__file__).with_name('RAN').touch()\ndef f(*a, **k):\n    pass\n"
)

# Words of a command line that the places of test_attacks.py do not have, and a part of the answer.
ATTACKS = {
    "+network.x={_target_:evil.f}": "network.x._target_: expected no _target_",
    "hydra.job_logging.handlers.console.stream=cfg://evil": "stream: expected one of ext://sys",
    'data_dir=oc.create +hydra.callbacks.x="${${data_dir}:{_target_:evil.f}}"': "written out",
    "hydra.searchpath=[pkg\\://evil]": "hydra.searchpath: expected folders, got pkg://evil",
    "hydra.job={chdir:true}": "hydra.job.chdir: expected paths relative",
    "+hydra.job_logging.handlers.file.level=${dtype}": "expected one of",
    "+hydra.job_logging.formatters.simple.datefmt=${dtype}": "a value without interpolation",
    "+hydra.overrides.hydra=[seed]": "hydra.overrides: expected nothing (this key is the pro",
    "+hydra.job_logging.formatters.simple.style=x": "style: expected one of datefmt, format",
    "hydra.job_logging.formatters.simple.format='%(message)999s'": "format: expected a format",
    "+hydra.launcher.x='a\tb'": "hydra.launcher.x: expected one line of text",
    "hydra.job_logging=3": "hydra.job_logging: expected keys with values",
    "hydra.launcher=3": "hydra.launcher: expected keys with values, got 3",
    "hydra.sweeper=null": "hydra.sweeper: expected keys with values, got null",
    "'hydra.searchpath=[pkg://evil]'": "expected",
    "hydra.job.env_copy=[NOT_SET_AT_ALL]": "expected environment variables that are set, got NOT",
    "hydra.job={env_copy:[HOME]}": "hydra.job.env_copy: expected none that the command line does",
    f"data_dir={'x' * 1001}${{dtype}}": "expected at most 1,000 characters with an interpolation",
}
FILES = {
    "handler": "# @package _global_\nhydra:\n  job_logging:\n    handlers:\n"
    "      file: ${activation.params.h}\nactivation:\n  name: relu\n"
    "  params:\n    h: {'()': evil.f}\n",
    "level": "# @package _global_\nhydra: {job_logging: {root: 3}}\n",
    "python": "name: !!python/object/apply:evil.f []\n",
    "parent": "defaults: [../weights/none]\n",
    "choice": "defaults: [/loss@x: '${now:%Y}']\n",
    "bytes": "name: \x01\n",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.py").write_text(MARK)
    return tmp_path


def ways(number, every, long):
    """Return all ways of starting the program, or the turn's one."""
    return every if long else [every[number % len(every)]]


@NOTHING
@pytest.mark.parametrize(("number", "words"), list(enumerate(ATTACKS)))
def test_the_command_line_cannot(number, words, here, long, record_property, capsys):
    flags = ways(number, [[], ["-m"]], long)
    for more in flags:
        assert main([*words.split(" "), *more]) == 2
        error = capsys.readouterr().err
        assert ATTACKS[words] in error
        assert len(error.splitlines()) == 1
        assert {path.name for path in here.iterdir()} == {"evil.py"}
    record_property("cases", len(flags))


@NOTHING
@pytest.mark.parametrize(("number", "name"), list(enumerate(FILES)))
def test_a_file_of_a_config_folder_cannot(number, name, here, long, record_property, capsys):
    (here / "mine" / "activation").mkdir(parents=True)
    (here / "mine" / "activation" / f"{name}.yaml").write_text(FILES[name])
    flags = ways(number, [["-m"], ["--cfg", "all"]], long)
    for more in flags:
        assert main(["--config-dir", "mine", f"activation={name}", *more]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert {path.name for path in here.iterdir()} == {"evil.py", "mine"}
    record_property("cases", len(flags))


def test_an_experiment_in_a_sweep_cannot(here, capsys):
    (here / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\nhydra: {callbacks: {a: {_target_: evil.f}}}\n"
    (here / "mine" / "experiment" / "bad.yaml").write_text(text)
    assert main(["--config-dir", "mine", "-m", "experiment=and_gate,bad"]) == 2
    assert "hydra.callbacks.a._target_" in capsys.readouterr().err
    assert {path.name for path in here.iterdir()} == {"evil.py", "mine"}


def test_the_marker_marks(here):
    """The same words do run code in a stock Hydra program: the marker would show it."""
    (here / "conf").mkdir()
    (here / "conf" / "config.yaml").write_text("a: 1\n")
    (here / "stock.py").write_text(
        "import hydra\n"
        "@hydra.main(version_base='1.3', config_path='conf', config_name='config')\n"
        "def main(cfg): pass\n"
        "main()\n"
    )
    words = ["+hydra.callbacks.a._target_=evil.f"]
    subprocess.run([sys.executable, "stock.py", *words], capture_output=True, check=False)
    assert (here / "RAN").exists()


def test_listed_parts_of_hydra_still_work(here, capsys):
    words = ["experiment=and_gate", "hydra/launcher=basic", "hydra/sweeper=runner"]
    assert main([*words, "hydra/hydra_logging=none"]) == 0
    assert main([*words, "hydra.verbose=false", "hydra.job.env_copy=[HOME]"]) == 0
    callback = "hydra.experimental.callbacks.LogJobReturnCallback"
    assert main(["experiment=and_gate", f"+hydra.callbacks.log._target_={callback}"]) == 0


@pytest.mark.parametrize("link", [".", "/dev/zero"])
def test_a_folder_that_never_ends(link, here, capsys):
    (here / "mine/activation").mkdir(parents=True)
    for name in ("a", "b", "c.yaml", "activation/d.yaml"):
        (here / "mine" / name).symlink_to(link if link != "." else here / "mine")
    if hasattr(os, "mkfifo"):
        os.mkfifo(here / "mine/activation/pipe.yaml")
    words = ["--config-dir", "mine", "dataset=and", "weights=none", "timing.repeats=1"]
    assert main([*words, "activation=pipe"]) == 2
    assert "got pipe" in capsys.readouterr().err
    assert main(words) == 0
    assert main(["choices", "--config-dir", "mine"]) == 0


def test_a_log_may_be_switched_off():
    check_logging("log", {"version": 1, "root": None, "disable_existing_loggers": False})


def test_a_launcher_of_the_command_lines_own_may_reach_further():
    launcher = {"setup": ["module load x"], "ray": {"init": {"address": "far:1", "num_cpus": 2}}}
    words = ["hydra.launcher.setup=[module load x]", "+hydra.launcher.ray.init.address=far:1"]
    check_launcher(launcher, words)
    for missing in words:
        with pytest.raises(BadInput, match="nothing that the command line does not say"):
            check_launcher(launcher, [word for word in words if word != missing])
    check_launcher({"ray": {"init": {"address": None}, "remote": {}}}, [])

"""Configuration runs no code: each way that stock Hydra leaves open is refused before it opens."""

import subprocess
import sys

import pytest

from runner.cli import main

MARK = (
    "import pathlib\npathlib.Path(__file__).with_name('RAN').touch()\ndef f(*a, **k):\n    pass\n"
)

# Words of a command line, and a part of the one line that refuses them.
ATTACKS = {
    "+hydra.callbacks.a._target_=evil.f": "hydra.callbacks.a._target_: expected one that",
    "hydra.launcher._target_=evil.f": "hydra.launcher._target_: expected one that",
    "hydra.sweeper._target_=evil.f": "hydra.sweeper._target_: expected one that",
    "+activation._target_=evil.f": "activation._target_: expected no _target_",
    "+activation.params._target_=evil.f": "activation.params._target_: expected no _target_",
    "+network.x={_target_:evil.f}": "network.x._target_: expected no _target_",
    "+activation.params.x=[{_target_:evil.f}]": "activation.params.x.0._target_: expected no",
    "+activation.params._partial_=true": "activation.params._partial_: expected no _partial_",
    "+hydra.job_logging.handlers.x={class:evil.f}": "hydra.job_logging.handlers.x.class: expected",
    "+hydra.hydra_logging.handlers.x={class:evil.f}": "hydra.hydra_logging.handlers.x.class:",
    "hydra.job_logging.handlers.console.stream=ext://evil.f": "stream: expected ext://sys.stdout",
    "hydra.job_logging.handlers.console.stream=cfg://evil": "stream: expected ext://sys.stdout",
    "seed='${oc.create:{_target_:evil.f}}'": "seed: expected an interpolation by",
    "seed=${oc.decode:1}": "seed: expected an interpolation by",
    "seed=${oc.select:a}": "seed: expected an interpolation by",
    "data_dir=${hydra:job.name}": "data_dir: expected a value that does not depend on hydra's",
    'data_dir=oc.create +hydra.callbacks.x="${${data_dir}:{_target_:evil.f}}"': "written out",
    "hydra.searchpath=[pkg\\://evil]": "hydra.searchpath: expected folders, got pkg://evil",
    "hydra.job={chdir:true}": "hydra.job.chdir: expected paths relative",
    "hydra.output_subdir=null": "hydra.output_subdir: expected output_dir",
    "+hydra.job_logging.handlers.file.level=${dtype}": "expected a value without interpolation",
    "hydra.searchpath=[pkg://evil]": "hydra.searchpath: expected folders",
    "'hydra.searchpath=[pkg://evil]'": "expected",
    "activation=../weights/none": "activation: expected a choice of the group",
    "hydra.job.chdir=true": "hydra.job.chdir: expected paths relative",
    "hydra.sweep.dir=x": "hydra.sweep.dir: expected output_dir",
    "hydra.sweep.subdir=x": "hydra.sweep.subdir: expected output_dir",
    "hydra.output_subdir=x": "hydra.output_subdir: expected output_dir",
    "--experimental-rerun evil": "unrecognized arguments: --experimental-rerun",
    "--config-path pkg://evil": "unrecognized arguments: --config-path",
    "--config-name evil": "unrecognized arguments: --config-name",
}
FILES = {
    "target": "name: relu\nparams:\n  x:\n    _target_: evil.f\n",
    "deep": "name: relu\nparams:\n  x: [[{y: {_target_: evil.f}}]]\n",
    "callback": "# @package _global_\nhydra:\n  callbacks:\n    a:\n      _target_: evil.f\n",
    "logging": "# @package _global_\nhydra:\n  job_logging:\n    handlers:\n"
    "      x: {'()': evil.f}\n",
    "handler": "# @package _global_\nhydra:\n  job_logging:\n    handlers:\n"
    "      file: ${activation.params.h}\nactivation:\n  name: relu\n"
    "  params:\n    h: {'()': evil.f}\n",
    "chdir": "# @package _global_\nhydra: {job: {chdir: true}}\n",
    "subdir": "# @package _global_\nhydra: {output_subdir: null}\n",
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{n}: &{n} [*{m}, *{m}, *{m}, *{m}, *{m}, *{m}, *{m}]\n"
        for m, n in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "nested": "name: relu\nx: " + "{a: " * 400 + "1" + "}" * 400 + "\n",
    "python": "name: !!python/object/apply:evil.f []\n",
    "launcher": "# @package _global_\nhydra:\n  launcher:\n    _target_: evil.f\n",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.py").write_text(MARK)
    return tmp_path


@pytest.mark.parametrize("sweeping", [False, True], ids=["run", "sweep"])
@pytest.mark.parametrize("words", ATTACKS)
def test_the_command_line_cannot(words, sweeping, here, capsys):
    assert main([*words.split(" "), *(["-m"] if sweeping else [])]) == 2
    error = capsys.readouterr().err
    assert ATTACKS[words] in error
    assert len(error.splitlines()) == 1
    assert {path.name for path in here.iterdir()} == {"evil.py"}


@pytest.mark.parametrize("flags", [[], ["-m"], ["--cfg", "all"]], ids=["run", "sweep", "cfg"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_a_config_folder_cannot(name, flags, here, capsys):
    (here / "mine" / "activation").mkdir(parents=True)
    (here / "mine" / "activation" / f"{name}.yaml").write_text(FILES[name])
    assert main(["--config-dir", "mine", f"activation={name}", *flags]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert {path.name for path in here.iterdir()} == {"evil.py", "mine"}


def test_an_experiment_in_a_sweep_cannot(here, capsys):
    (here / "mine" / "experiment").mkdir(parents=True)
    (here / "mine" / "experiment" / "bad.yaml").write_text(FILES["callback"])
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
    assert main([*words, "hydra.verbose=false", "+hydra.job.env_set.MINE=1"]) == 0
    callback = "hydra.experimental.callbacks.LogJobReturnCallback"
    assert main(["experiment=and_gate", f"+hydra.callbacks.log._target_={callback}"]) == 0

"""`runner init`: a config folder of one's own that runs, checks and tests."""

import os
import subprocess
import sys

import pytest

from runner.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_folder_runs_checks_and_passes_its_tests(here, capsys):
    assert main(["init", "our work"]) == 0
    said = capsys.readouterr().out.splitlines()
    files = {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()}
    assert set(said[:-1]) == files
    assert said[-1] == "try: runner check --config-dir 'our work' --run"
    assert "runner check --config-dir 'our work' --run" in (here / "our work/README.md").read_text()
    words = ["--config-dir", "our work", "activation=bent", "dataset.limit=100"]
    assert main([*words, "timing.repeats=1"]) == 0
    assert "own:bent" in capsys.readouterr().out
    assert main(["check", "--config-dir", "our work", "--run"]) == 0
    out = capsys.readouterr().out
    assert "2 expectations held" in out
    assert "2 of 2 in order" in out


def test_its_own_tests_pass_and_see_what_is_broken(here):
    assert main(["init", "ours"]) == 0

    def tested():
        environment = os.environ | {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "ours"]
        done = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        return done.returncode, done.stdout

    assert tested()[0] == 0
    own = here / "ours/own.py"
    right = own.read_text(encoding="utf-8")
    own.write_text(right.replace("+ 1\n\n    return", "- 1\n\n    return"), encoding="utf-8")
    status, said = tested()
    assert status == 1
    assert "2 failed" in said


def test_a_folder_that_is_in_use_is_refused(here, capsys):
    (here / "used").mkdir()
    (here / "used/x").write_text("")
    (here / "file").write_text("")
    (here / "empty").mkdir()
    assert main(["init", "used"]) == 2
    assert main(["init", "file"]) == 2
    expected = "error: init: DIR: expected a new folder or an empty one, got "
    assert capsys.readouterr().err == f"{expected}used\n{expected}the file file\n"
    assert [path.name for path in (here / "used").iterdir()] == ["x"]
    assert main(["init", "empty"]) == 0

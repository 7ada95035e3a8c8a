import re
import shlex
from pathlib import Path

import pytest
from hydra.types import RunMode

from runner.app import composer, run_sweep
from runner.choices import groups
from runner.compose.errors import NotInstalled

ROOT = Path(__file__).resolve().parent.parent
BOOK = (ROOT / "docs" / "book.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^runner (?!-m|check|data|schema)([^#\n`]*=[^#\n`]*)", BOOK, re.MULTILINE)
COMMANDS += re.findall(r"`runner (experiment=[^`]*)`", BOOK)
SWEEPS = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")


def test_every_experiment_is_in_the_table_with_its_own_words():
    rows = re.findall(
        r"^\| [^|]* \| `runner experiment=(\w+)[^|]*` \| (.*) \|$", BOOK, re.MULTILINE
    )
    told = {name: re.sub(r" \(book [^)]*\)$", "", about) for name, about in dict(rows).items()}
    written = {
        name: re.sub(r" \(book [^)]*\)$", "", about)
        for name, about in groups()["experiment"].items()
    }
    assert told == written


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes(command):
    with composer(builds=False) as hydra:
        hydra.compose_config("config", command.split(), run_mode=RunMode.RUN)


@pytest.mark.parametrize("command", re.findall(r"^runner -m (.*)$", SWEEPS, re.MULTILINE))
def test_every_job_of_every_sweep_composes(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        assert run_sweep([*shlex.split(command), "sweep.plan_only=true"]).counts.total > 1
    except NotInstalled as absent:
        pytest.skip(str(absent))


def test_readme_and_docs_name_files_that_exist():
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(
            r"`((?:tests|runner|conf|benchmarks|docs)/[\w/.]+)`", path.read_text()
        ):
            if "pretrained" not in name:
                assert (ROOT / name).exists(), name

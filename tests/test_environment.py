"""The record of where a run happened, computed in processes of their own: it is kept in each."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runner import environment

PACKAGE = Path(environment.__file__).parent


def ask(expression, folder, **variables):
    """Return what a fresh process in a folder finds for an expression of runner.environment."""
    code = f"import json; from runner.environment import *; print(json.dumps({expression}))"
    # A repository above the tests' folder is not the one that is meant.
    variables = {"GIT_CEILING_DIRECTORIES": str(folder.parent), **variables}
    kept = {key: os.environ[key] for key in os.environ if not key.startswith("GIT_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def copied(tmp_path):
    """A copy of the package's sources; a process in `tmp_path` imports it and no other."""
    shutil.copytree(
        PACKAGE, tmp_path / "runner", ignore=lambda folder, names: {"__pycache__", "conf"}
    )
    found = ask("__import__('runner').__file__", tmp_path)
    assert Path(found).parent.samefile(tmp_path / "runner")
    return tmp_path / "runner"


def version(package):
    return ask("code_version()", package.parent)


def test_code_version_is_of_the_sources_wherever_they_are(copied, tmp_path):
    own = ask("code_version()", PACKAGE.parent)
    assert re.fullmatch("[0-9a-f]{12}", own)
    assert version(copied) == version(copied) == own
    elsewhere = tmp_path / "else" / "where"
    shutil.copytree(copied, elsewhere / "runner")
    assert version(elsewhere / "runner") == own


def test_code_version_is_the_same_with_the_line_ends_of_windows(copied):
    before = version(copied)
    for path in copied.rglob("*.py"):
        contents = path.read_bytes()
        assert b"\r" not in contents
        path.write_bytes(contents.replace(b"\n", b"\r\n"))
    assert version(copied) == before


@pytest.mark.parametrize("name", ["environment.py", "nn/mlp.py"])
def test_code_version_follows_every_byte_of_source(copied, name):
    before = version(copied)
    path = copied / name
    contents = path.read_bytes()
    path.write_bytes(contents + b"#")
    assert version(copied) != before
    path.write_bytes(contents)
    assert version(copied) == before


def test_code_version_follows_files_that_come_go_and_move(copied):
    before = version(copied)
    extra = copied / "nn" / "extra.py"
    extra.touch()
    added = version(copied)
    # Still between the same neighbours: only its name tells.
    extra.rename(copied / "nn" / "extrb.py")
    assert len({before, added, version(copied)}) == 3
    (copied / "nn" / "extrb.py").unlink()
    assert version(copied) == before


def test_code_version_does_not_follow_what_is_no_source(copied):
    before = version(copied)
    (copied / "nn" / "__pycache__").mkdir()
    (copied / "nn" / "__pycache__" / "mlp.cpython-311.pyc").write_bytes(b"x")
    (copied / "notes.txt").write_text("x")
    assert version(copied) == before


def git(folder, *words):
    """Run git in a repository of the test's own, whatever the user's settings are."""
    settings = ("user.name=a", "user.email=a@b", "commit.gpgsign=false", "core.hooksPath=none")
    options = [word for setting in settings for word in ("-c", setting)]
    kept = {key: os.environ[key] for key in os.environ if not key.startswith("GIT_")}
    kept |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *options, *words]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(copied):
    """A repository with one commit; the package in it is ignored, so that it is clean."""
    folder = copied.parent
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text("runner\n")
    (folder / "file").write_text("one\n")
    git(folder, "add", ".gitignore", "file")
    git(folder, "commit", "--quiet", "--message", "one")
    return folder


def test_git_state_is_none_outside_a_repository(copied):
    assert ask("git_state()", copied.parent) is None


def test_git_state_is_none_without_git(repository):
    nowhere = repository / "nowhere"
    nowhere.mkdir()
    assert ask("git_state()", repository, PATH=str(nowhere)) is None


def test_git_state_names_the_commit(repository):
    one = git(repository, "rev-parse", "HEAD")
    assert ask("git_state()", repository) == {"commit": one, "dirty": False}
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "two")
    two = git(repository, "rev-parse", "HEAD")
    assert ask("git_state()", repository) == {"commit": two, "dirty": False} != {"commit": one}


@pytest.mark.parametrize("name", ["file", "untracked"])
def test_git_state_says_what_is_not_committed(repository, name):
    (repository / name).write_text("other\n")
    assert ask("git_state()", repository)["dirty"] is True


def test_git_state_of_a_repository_without_commits_names_none(copied):
    git(copied.parent, "init", "--quiet")
    assert ask("git_state()", copied.parent) == {"commit": None, "dirty": True}


def test_arithmetic_is_of_numpys_own_library_whatever_else_is_imported():
    # SciPy has another one, and the order in which they are found depends on the hash seed.
    found = {
        ask(f"(__import__('numpy'), {more} arithmetic(1))[-1]", PACKAGE.parent, PYTHONHASHSEED=seed)
        for more in ("", "__import__('scipy.linalg.blas'),")
        for seed in "123"
    }
    (only,) = found
    processor, numpy, *_, threads = only.split("; ")
    assert (processor, numpy) == (environment.cpu_model(), f"numpy {np.__version__}")
    assert threads == "threads 1"
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    assert (f"openblas {built['version']} " in only) == ("openblas" in built["name"])
    assert only.count("openblas") <= 1


def test_describe_names_python_libraries_and_threads(copied):
    code = "(__import__('numpy'), describe(3))[1]"
    found = ask(code, copied.parent)
    assert found["python"] == "{}.{}.{}".format(*sys.version_info[:3])
    assert found["threads"] == 3
    assert found["cores"] == os.cpu_count()
    assert found["versions"]["numpy"] == __import__("numpy").__version__
    assert found["blas"]
    assert not any("filepath" in library for library in found["blas"])
    assert found["git"] is None

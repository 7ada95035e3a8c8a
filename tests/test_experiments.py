"""What `check --run` runs, and the experiments that need a file of the user's."""

import os
import subprocess
import sys

import pytest

from runner.check import check
from runner.choices import CONF, groups

QUICKLY = ["timing.warmup=0", "timing.repeats=1"]  # which no expectation is about


def test_every_experiment_that_says_what_it_expects_holds(mnist_dir):
    found = check(groups()["experiment"], [f"data_dir={mnist_dir}", *QUICKLY], run=True)
    findings = {f.choice: f for f in found}
    assert {f.choice: f.reason for f in findings.values() if f.status != "ok"} == {}
    ran = [f.choice for f in findings.values() if f.reason.endswith("expectations held")]
    assert "experiment/and_gate" in ran
    assert "experiment/train_relu" in ran
    assert "experiment/pretrain_mnist" not in ran


@pytest.mark.parametrize("name", [n for n in groups()["experiment"] if n.startswith("book_")])
def test_the_books_network_holds(name, mnist_dir, book_weights):
    words = [f"data_dir={mnist_dir}", f"weights.path={book_weights}", *QUICKLY]
    (finding,) = check([name], words, run=True)
    assert (finding.status, finding.reason.partition(" ")[2]) == ("ok", "expectations held")


PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no")
EXPERIMENT = "# @package _global_\n# Mine\ndefaults:\n  - and_gate\nexpect:\n  correct: {}\n"


def test_pytest_collects_a_users_experiments(tmp_path):
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "right.yaml").write_text(EXPERIMENT.format(4))
    (folder / "wrong.yaml").write_text(EXPERIMENT.format(3))
    command = [*PYTEST, "--runner-experiments", "mine", "-rA"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "correct: expected 3, got 4" in done.stdout
    assert not (tmp_path / "outputs").exists()


def test_pytest_collects_the_projects_own_and_skips_what_has_no_data(tmp_path):
    named = ["-k", "gate or mnist_first_labels"]
    command = [*PYTEST, "--runner-experiments", str(CONF), *named, "-rs"]
    nothing = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}  # no MNIST in the cache
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=nothing)
    assert done.returncode == 0, done.stdout
    assert "4 passed, 1 skipped" in done.stdout
    assert "expected its files in data_dir or the cache" in done.stdout

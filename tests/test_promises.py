"""How the table of promises is made."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "promises.md"
TESTS = """\
import pytest

@pytest.mark.promise("one of two")
@pytest.mark.parametrize("case", range(3))
def test_one(case, long):
    assert case < 2 or not long

@pytest.mark.promise("many at once")
def test_many(record_property):
    record_property("cases", 1000)

@pytest.mark.promise("many at once")
def test_some(record_property):
    record_property("cases", 200)
    raise OSError

@pytest.fixture
def broken():
    raise OSError

@pytest.mark.promise("set up")
def test_set_up(broken):
    pass

@pytest.mark.promise("elsewhere")
def test_skipped():
    pytest.skip("not here")

def test_of_no_promise():
    pass
"""
HEAD = "| promise | cases tried | cases held |\n| --- | ---: | ---: |\n"


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_the_table_counts_cases_and_those_that_held(workers, tmp_path):
    shutil.copy(HERE / "conftest.py", tmp_path)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "own.md").write_text(f"# Title\n\nText.\n\n{HEAD}| old | 1 | 1 |\n\nAfter.\n")
    command = [sys.executable, "-m", "pytest", "-m", "promise", "--long", "--promises", "own.md"]
    command += ["-q", workers, "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    rows = (
        "| one of two | 3 | 2 |\n| many at once | 1,200 | 1,000 |\n"
        "| set up | 1 | 0 |\n| elsewhere | 0 | 0 |\n"
    )
    text = f"# Title\n\nText.\n\n{HEAD}{rows}\nAfter.\n"
    assert (tmp_path / "own.md").read_text() == text
    assert rows in done.stdout


def test_what_is_tested_is_in_the_document(request):
    texts = {
        marker.args[0] for item in request.session.items for marker in item.iter_markers("promise")
    }
    written = DOCUMENT.read_text(encoding="utf-8")
    missing = [text for text in texts if f"\n| {text} |" not in written]
    assert not missing, "`make torture` writes the table anew"

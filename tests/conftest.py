import os
import shutil
import signal
import tempfile
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
HEAD = "| promise | cases tried | cases held |"
PROMPT = 5  # seconds within which the contract has a process that is told to end, end
HANGS = 60  # seconds after which it hangs, however busy the machine is with other tests


def pytest_addoption(parser):
    parser.addoption(
        "--data-dir",
        type=Path,
        default=REPOSITORY.parent / "shared" / "data",
        help="folder with mnist/ (the four official files) and book/sample_weight.pkl",
    )
    parser.addoption(
        "--long",
        action="store_true",
        help="try every case of the promises, as `make torture` does, not a sample of them",
    )
    parser.addoption(
        "--promises",
        type=Path,
        metavar="FILE",
        help="write the table of promises into this Markdown file, in the place of the one there",
    )


def pytest_configure(config):
    # A shell that starts the tests in the background lets them, and what they start, ignore it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "sample(n): every n-th case will do in the short form")
    # One cache for all workers of a test run, and never the user's own.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        cache = tempfile.mkdtemp(prefix="runner-test-cache-")
        os.environ["XDG_CACHE_HOME"] = cache
        config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))


def pytest_collection_modifyitems(config, items):
    """Leave to the long form what is no part of the sample that the short one tries."""
    met, tried, left = Counter(), [], []
    for item in items:
        test, sample = item.nodeid.partition("[")[0], item.get_closest_marker("sample")
        chosen = sample is None or config.getoption("--long") or met[test] % sample.args[0] == 0
        (tried if chosen else left).append(item)
        met[test] += 1
    items[:] = tried
    config.hook.pytest_deselected(items=left)


def pytest_runtest_setup(item):
    # Properties travel with the report of a test, from other processes too; markers do not.
    for marker in item.iter_markers("promise"):
        item.user_properties.append(("promise", marker.args[0]))


def pytest_terminal_summary(terminalreporter, config):
    file = config.getoption("--promises")
    if not (file or config.getoption("--long") or config.option.markexpr):
        return
    ended = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
    counts = promises(report for kind in ended for report in terminalreporter.getreports(kind))
    lines = markdown(counts)
    if file is not None:
        before, _, rest = file.read_text(encoding="utf-8").partition(HEAD)
        _, gap, after = rest.partition("\n\n")
        text = before + "\n".join(lines) + (gap + after if gap else "\n")
        file.write_text(text, encoding="utf-8")
    if counts:
        terminalreporter.section("promises")
        for line in lines:
            terminalreporter.write_line(line)


def promises(reports):
    """Return how many cases of each promise were tried, and how many held.

    A test is as many cases as it has recorded as `cases`, or one; of a test that
    failed none held, and one that was skipped has tried none.
    """
    counts = {}
    tests = [report for report in reports if hasattr(report, "user_properties")]  # no files
    for report in sorted(tests, key=lambda report: report.location):
        cases = sum(value for name, value in report.user_properties if name == "cases") or 1
        tried = 0 if report.skipped and not hasattr(report, "wasxfail") else cases
        held = tried if report.passed else 0
        for promise in [value for name, value in report.user_properties if name == "promise"]:
            before = counts.get(promise, (0, 0))
            counts[promise] = (before[0] + tried, before[1] + held)
    return counts


def markdown(counts):
    """Return the lines of a table of promises."""
    rows = [f"| {text} | {tried:,} | {held:,} |" for text, (tried, held) in counts.items()]
    return [HEAD, "| --- | ---: | ---: |", *rows]


def real_data(config, name):
    path = config.getoption("--data-dir") / name
    if not path.exists():
        reason = f"no real data at {path} (say where with --data-dir)"
        # A machine that checks a change must have looked at the real data.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return path


@pytest.fixture(scope="session")
def mnist_dir(pytestconfig):
    """The folder of the four official MNIST files."""
    return real_data(pytestconfig, "mnist")


@pytest.fixture(scope="session")
def long(pytestconfig):
    """Whether every case is asked for, or a sample."""
    return pytestconfig.getoption("--long")


@pytest.fixture(scope="session")
def in_time(long):
    """Seconds that a process may take to end once it is told to.

    The contract's in the long form; in the short one, with other tests beside it, only
    what hangs is a failure.
    """
    return PROMPT if long else HANGS


@pytest.fixture(scope="session")
def book_weights(pytestconfig):
    """The book's pickled network."""
    return real_data(pytestconfig, "book/sample_weight.pkl")

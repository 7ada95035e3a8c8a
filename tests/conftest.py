import os
import shutil
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


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


def pytest_configure(config):
    # One cache for all workers of a test run, and never the user's own.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        cache = tempfile.mkdtemp(prefix="runner-test-cache-")
        os.environ["XDG_CACHE_HOME"] = cache
        config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))


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
def book_weights(pytestconfig):
    """The book's pickled network."""
    return real_data(pytestconfig, "book/sample_weight.pkl")

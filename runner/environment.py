"""Where a run happened: code version, library versions, machine, git state."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
LIBRARIES = ("hydra", "numpy", "omegaconf", "pandas", "scipy", "sklearn")


@functools.cache
def code_version() -> str:
    """Return 12 digits of the SHA-256 over the package's source files."""
    total = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: path.relative_to(PACKAGE).parts):
        total.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        # A checkout may have changed the line ends; the code is the same.
        total.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return total.hexdigest()[:12]


def describe(threads: int) -> dict[str, Any]:
    """Return what a reader needs to know of the machine and the libraries."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "blas": blas(),
        "arithmetic": arithmetic(threads),
        "versions": {
            name: getattr(sys.modules[name], "__version__", None)
            for name in LIBRARIES
            if name in sys.modules
        },
        "git": git_state(),
    }


@functools.cache
def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def products() -> Any:
    """Return the controller of the loaded libraries of matrix products and their threads.

    To find them takes a millisecond, and a new one can only come with an import.
    """
    return _found(len(sys.modules))


@functools.lru_cache(maxsize=1)
def _found(modules: int) -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def blas() -> list[dict[str, Any]]:
    """Return the libraries of matrix products that are loaded, without their paths."""
    kept = ("internal_api", "version", "architecture", "threading_layer")
    return [{key: info[key] for key in kept if key in info} for info in products().info()]


def blas_threads() -> set[int]:
    """Return the numbers of threads that the loaded matrix-product libraries now use."""
    return {info["num_threads"] for info in products().info()}


def arithmetic(threads: int) -> str:
    """Return what the last bits of NumPy's matrix products depend on."""
    numpy, libraries = sys.modules["numpy"], products().info()
    # NumPy's own lies in numpy.libs or in numpy/.dylibs. SciPy brings another one, which is there
    # only once it is imported, and they are found in no order that would last.
    place = str(Path(str(numpy.__file__)).resolve().parent)
    own = [info for info in libraries if info["filepath"].startswith(place)] or libraries
    names = {f"{info['internal_api']} {info['version']} {info.get('architecture')}" for info in own}
    parts = [cpu_model(), f"numpy {numpy.__version__}", *sorted(names), f"threads {threads}"]
    return "; ".join(parts)


@functools.cache
def git_state() -> dict[str, Any] | None:
    """Return commit and cleanness of the current folder's repository, None outside one."""
    command = ["git", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=5, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    lines = answer.stdout.splitlines()
    head = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
    head = None if head == "(initial)" else head  # no commit yet
    return {"commit": head, "dirty": any(not line.startswith("#") for line in lines)}

"""Configuration-driven experiments on neural networks written in plain NumPy.

`run` and `sweep` do from Python what the command line does; they import the
rest when they are called first.
"""

from typing import TYPE_CHECKING, Any

from runner.lookup import BadInput

if TYPE_CHECKING:
    from runner.app import run, sweep
    from runner.result import RunResult

__version__ = "0.1.0"
__all__ = ["BadInput", "RunResult", "run", "sweep"]


def __getattr__(name: str) -> Any:
    if name in ("run", "sweep", "RunResult"):
        from runner import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

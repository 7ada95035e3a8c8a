"""The commands, a module each: its docstring explains it, ``parser`` reads it, ``do`` does it.

A module is imported when its command is asked for, and loads what is heavy when it is done.
"""

import importlib
from types import ModuleType

COMMANDS = (
    *("check", "choices", "compare", "completion", "data", "export", "init"),
    *("report", "reproduce", "resume", "schema", "summarize"),
)


def module(name: str) -> ModuleType:
    """Return the module of a command."""
    return importlib.import_module(f"runner.commands.{name}")


def about(name: str) -> str:
    """Return what a command does, in a line."""
    return (module(name).__doc__ or "").partition("\n")[0]

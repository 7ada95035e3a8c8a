"""The config groups and their choices, read from the files' first comments alone.

Imports nothing heavy: the help text is made from it.
"""

import os
from pathlib import Path

from runner.lookup import BadInput

PACKAGE = Path(__file__).parent
DEEPEST = 4  # levels of a config folder, which may have links to itself
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"


def groups(folder: str | Path = CONF, parent: str = "") -> dict[str, dict[str, str]]:
    """Return {group: {choice: explanation}} of a config folder, sorted."""
    if not Path(folder).is_dir():
        raise BadInput("--config-dir", "a folder", folder, where="command line")
    found: dict[str, dict[str, str]] = {}
    for entry in sorted(os.scandir(Path(folder, parent)), key=lambda entry: entry.name):
        name = f"{parent}/{entry.name}" if parent else entry.name
        if entry.is_dir() and not entry.name.startswith((".", "_")):
            found |= groups(folder, name) if name.count("/") < DEEPEST else {}
        elif parent and entry.name.endswith(".yaml") and entry.is_file():
            found.setdefault(parent, {})[entry.name.removesuffix(".yaml")] = about(entry.path)
    return found


def about(path: str | Path) -> str:
    """Return the first comment of a choice's file, which explains it."""
    with Path(path).open(encoding="utf-8", errors="replace") as lines:
        for line in lines.read(4096).splitlines():
            if line.startswith("# ") and not line.startswith("# @package"):
                return line.removeprefix("# ").strip()
    return ""


def listing(folder: str | Path = CONF, width: int = 76) -> str:
    """Return each group with the names of its choices, a group a line or more."""
    lines = []
    for group, choices in groups(folder).items():
        line = f"  {group:<12}"
        for name in choices:
            if len(line) + 1 + len(name) > width:
                lines.append(line)
                line = " " * 14
            line += f" {name}"
        lines.append(line)
    return "\n".join(lines)

"""What was started here: a mark in the user's cache for each run and sweep.

A record says how a run was started, and a stranger may have written it. The
mark is where only the user's own programs write, so that a record that has one
is known to be as the user typed it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from runner.data.cache import cache_folder


def mark_of(folder: Path, words: Sequence[str], config_dir: str | None) -> Path:
    """Return where the mark of a run or sweep would be, by its folder and all that was typed."""
    typed = json.dumps([str(folder.resolve()), config_dir, list(words)])
    return cache_folder() / "started" / hashlib.sha256(typed.encode()).hexdigest()


def mark(folder: Path, words: Sequence[str], config_dir: str | None) -> None:
    """Leave the mark of a run or sweep that the user has started."""
    path = mark_of(folder, words, config_dir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        return  # going on with it then needs a word more


def is_marked(folder: Path, words: Sequence[str], config_dir: str | None) -> bool:
    """Whether the user has started the run or sweep in a folder with these words."""
    return mark_of(folder, words, config_dir).exists()

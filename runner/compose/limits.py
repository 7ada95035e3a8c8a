"""Bounds: no file, word or interpolation of a configuration grows without end as it is read."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_repository import CachingConfigRepository
from hydra.plugins.config_source import ConfigResult
from omegaconf import Container, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from runner.lookup import BadInput

MAX_WORDS = 10_000  # characters of all overrides: a list of 5,000 numbers takes a second
MAX_BYTES, MAX_DEPTH, MAX_VALUES = 200_000, 50, 20_000  # of one YAML file
MAX_FILES = 1_000  # that one composition takes in, one that comes twice counted twice
MAX_TEXT = 1_000  # characters of a value that is a number or has interpolations
LABORIOUS = r"\$\{|\A[-+]?\.?\d[\dA-Fa-fx_:.]*\Z"
MAX_FOLLOWED = 50_000  # characters that all interpolations of a composition stand for
STEP = 200  # that each of them counts at least


def check_words(words: Sequence[str]) -> None:
    """Refuse overrides that take long to parse.

    Raises
    ------
    BadInput
    """
    length = sum(map(len, words))
    if length > MAX_WORDS:
        expected, hint = f"at most {MAX_WORDS:,} characters", "a file of choices takes more"
        raise BadInput("", expected, f"{length:,}", where="command line", hint=hint)


def check_file(path: Path) -> int:
    """Return how many values a YAML file stands for; refuse one that has too many.

    Its events are counted before anything is built of them.

    Raises
    ------
    BadInput
        Also for what is no text, or no YAML.
    """
    where, size = str(path), path.stat().st_size
    if size > MAX_BYTES:
        raise BadInput("", f"at most {MAX_BYTES:,} bytes", f"{size:,}", where=where)
    try:
        return count_values(path.read_text(encoding="utf-8"), where)
    except UnicodeDecodeError as error:
        raise BadInput("", "text in UTF-8", error.reason, where=where) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        got = f"none ({error.problem or error.context})"
        raise BadInput("", "YAML", got, where=f"{where}:{line}") from error
    except yaml.YAMLError as error:  # such as a character that no text has
        got = f"none ({getattr(error, 'reason', error)})"
        raise BadInput("", "YAML", got, where=where) from error


def count_values(text: str, where: str) -> int:
    """Return how many values a YAML text stands for; raise BadInput beyond the limits.

    An alias counts as much as what it stands for.
    """
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
            total += 1  # an empty one is a value, too
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if len(event.value) > MAX_TEXT and re.search(LABORIOUS, event.value):
                expected = f"at most {MAX_TEXT:,} characters of a number or an interpolation"
                raise BadInput("", expected, f"{len(event.value):,}", where=where)
        elif isinstance(event, yaml.AliasEvent):
            total += sizes.get(str(event.anchor), 1)
        if len(opened) > MAX_DEPTH or total > MAX_VALUES:
            expected = f"at most {MAX_DEPTH} levels and {MAX_VALUES:,} values"
            raise BadInput("", expected, "more", where=where)
    return total


class Counted(CachingConfigRepository):
    """The files of one composition, which may name each other without end."""

    def __init__(self, delegate: CachingConfigRepository) -> None:
        self.delegate, self.taken = delegate, 0

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return the content of a file, or None where there is no such file."""
        self.taken += 1
        if self.taken > MAX_FILES:
            raise BadInput("defaults", f"at most {MAX_FILES:,} files", "more", where=config_path)
        return self.delegate.load_config(config_path)


class Followed:
    """How much the interpolations of a composition have been found to stand for.

    OmegaConf follows each of them anew, so that thirty that each name the one
    before twice stand for a thousand million values.
    """

    def __init__(self) -> None:
        self.total: float = 0

    def begin(self) -> None:
        """Begin to count, for another composition."""
        self.total = 0

    def end(self) -> None:
        """Count no more: what follows is the work of a run, or a user's own."""
        self.total = -math.inf

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Have OmegaConf count, and give up beyond the limit."""
        resolve: Any = Container._resolve_node_interpolation

        def counted(container: Container, inter_key: str, memo: Any) -> Any:
            if self.total > MAX_FOLLOWED:
                text = f"more than {MAX_FOLLOWED:,} characters that interpolations stand for"
                raise InterpolationResolutionError(text)
            self.total += STEP
            node = resolve(container, inter_key=inter_key, memo=memo)
            self.total += weight(node)
            return node

        patched: Any = Container
        patched._resolve_node_interpolation = counted
        try:
            yield
        finally:
            patched._resolve_node_interpolation = resolve


def weight(node: Any) -> int:
    """Return how much a node that is interpolated adds, its own interpolations unresolved."""
    inside = isinstance(node, Container)
    return len(str(OmegaConf.to_container(node, resolve=False) if inside else node._value()))

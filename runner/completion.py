"""What can follow on a command line, from file names and dataclasses alone.

A shell asks at every Tab: nothing heavy is imported, and nothing is composed.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.choices import CONF, groups
from runner.commands import COMMANDS, module
from runner.config import Choice, Config, walk

PARAMS = re.compile(r"^( *)params:[^\n]*\n((?:\1 .*\n)+)", re.M)  # of a choice, with their indent
PLAIN = re.compile(r"[\w./=+~,-]+")  # what no shell takes for anything but text


def candidates(line: str) -> list[str]:
    """Return the words that can stand where a command line ends, which begins with the program.

    A word that goes on ends in ``=``, ``.`` or ``/``.
    """
    *before, word = re.split(r"\s+", line.lstrip())
    words = before[1:]
    if words and words[0] in COMMANDS:
        found = of_command(words[0], words[1:], word)
    else:
        found = [*of_command("run", words, word)]
        found += COMMANDS if not words else ()
    return sorted({each for each in found if each.startswith(word) and PLAIN.fullmatch(each)})


def of_command(command: str, words: list[str], word: str) -> Iterable[str]:
    """Return the values of the option that a command's words end with, or what else can follow.

    Where that is a file or a folder, nothing: the shell knows them.
    """
    parser = module(command).parser()
    argument = parser.following(words)
    if argument is not None and argument.option_strings:
        return argument.choices or ()
    if word.startswith("-"):
        return re.findall(r"(?<=\s)--[a-z-]+", parser.format_help())
    if argument is None:
        return ()
    if command == "run":
        return overrides(words, word)
    known = getattr(module(command), "words", None)
    return argument.choices or (known(*config_dirs(words)) if known else ())


def overrides(words: list[str], word: str) -> Iterator[str]:
    """Yield the keys that begin like a word, as far as the next dot, or the values of its key."""
    sign = re.match(r"[+~]*", word)[0]  # type: ignore[index]
    key, equals, value = word.removeprefix(sign).partition("=")
    folders = [CONF, *config_dirs(words)]
    if equals:
        several = value[: value.rfind(",") + 1]  # of a sweep: those before stay
        yield from (f"{sign}{key}={several}{each}" for each in values(key, folders))
        return
    depth = key.count(".")
    for known in keys(words, folders):
        parts = known.split(".")
        yield sign + (".".join(parts[: depth + 1]) + "." if len(parts) > depth + 1 else f"{known}=")


def config_dirs(words: list[str]) -> list[Path]:
    """Return the folder of one's own choices that was named."""
    found = re.search(r"(?:^|\s)(?:--config-dir|-cd)[\s=](\S+)", " ".join(words))
    return [Path(found[1])] if found and Path(found[1]).is_dir() else []


def values(key: str, folders: Iterable[Path]) -> Iterator[str]:
    """Yield the choices of a group, or what a key may be where that can be counted."""
    for folder in folders:
        for group, choices in groups(folder).items():
            if f"{group}/".startswith(f"{key}/"):
                yield from (f"{group}/{choice}".removeprefix(f"{key}/") for choice in choices)
    for path, about, default in walk(Config()):
        if path == key:
            yield from ("true", "false") if isinstance(default, bool) else about.get("choices", ())


def keys(words: list[str], folders: Iterable[Path]) -> Iterator[str]:
    """Yield every group, every key, and the parameters of the choices that are made."""
    chosen = dict(re.findall(r"^  - (\w+): (\w+)$", text(CONF / "config.yaml"), re.M))
    chosen |= dict(word.partition("=")[::2] for word in words)
    for folder in folders:
        for group in groups(folder):
            yield group if "/" not in group or group.startswith("hydra") else "experiment"
            file = folder / group / f"{chosen.get(group)}.yaml"
            for indent, block in re.findall(PARAMS, text(file)):
                for name in re.findall(rf"^{indent}  (\w+):", block, re.M):
                    yield f"{group}.params.{name}"
    for path, _, _ in walk(Config()):
        if path.rpartition(".")[2] not in Choice.__dataclass_fields__:
            yield path


def text(path: Path) -> str:
    """Return the text of a file, none where there is no such file."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

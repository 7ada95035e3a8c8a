"""From a name in the configuration to the function that makes the thing.

A name is one of a table's, or ``module:function`` for a user's own.
"""

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


class BadInput(ValueError):
    """What the user gave cannot be used; its text is the one line they see.

    Parameters
    ----------
    field : the key, argument or file that is wrong.
    expected, got : what would have been right, and what was there.
    where : the place it came from: ``command line``, a file, a command.
    hint : a further clause, such as ``did you mean relu?``.
    """

    def __init__(
        self, field: str, expected: str, got: object, *, where: str = "", hint: str = ""
    ) -> None:
        self.field = field
        self.expected = expected
        self.got = got
        self.where = where
        self.hint = hint
        super().__init__(field, expected, got)

    @classmethod
    def because(cls, field: str, reason: object, *, where: str = "", hint: str = "") -> "BadInput":
        """Return the error whose reason is already written out in words."""
        return cls(field, str(reason), None, where=where, hint=hint)

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way back from a worker process."""
        got = None if self.got is None else str(self.got)
        return _rebuild, (self.field, self.expected, got, self.where, self.hint)

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.where, self.field) if part)
        reason = self.expected
        if self.got is not None:
            reason = f"expected {self.expected}, got {self.got}"
        text = f"{place}: {reason}" if place else reason
        if self.hint:
            text += f"; {self.hint}"
        return " ".join(text.split())


class NotGiven(BadInput):
    """A value that a choice leaves to the user is not there."""

    def __init__(self, field: str, expected: str = "a value") -> None:
        super().__init__(field, expected, "none")


def _rebuild(field: str, expected: str, got: object, where: str, hint: str) -> BadInput:
    return BadInput(field, expected, got, where=where, hint=hint)


def did_you_mean(word: str, options: Iterable[str], prefix: str = "") -> str:
    """Return ``did you mean ...?`` for the option nearest to ``word``, or nothing."""
    near = difflib.get_close_matches(str(word), list(options), n=1, cutoff=0.5)
    return f"did you mean {prefix}{near[0]}?" if near else ""


def one_of(options: Iterable[str]) -> str:
    """Return the options as words: ``one of a, b, c``."""
    return "one of " + ", ".join(sorted(options))


def find(
    field: str,
    name: str,
    table: Mapping[str, Callable[..., Any]],
    folders: Sequence[Path] = (),
) -> Callable[..., Any]:
    """Return the maker that ``name`` stands for.

    Parameters
    ----------
    field : the key that holds the name, for the error.
    name : a key of ``table``, or ``module:function``.
    folders : where modules are looked for before ``sys.path``.

    Raises
    ------
    BadInput
        When the table has no such name, or the module no such function.
    """
    if ":" in name:
        return _users_own(field, name, folders)
    if name not in table:
        expected = one_of(table) + ", or module:function"
        raise BadInput(field, expected, name, hint=did_you_mean(name, table))
    return table[name]


def call(field: str, maker: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """Return ``maker(**params)``, its complaints turned into bad input.

    Raises
    ------
    BadInput
        For a parameter that the maker does not have, one that is missing, or
        whatever else the maker raises.
    """
    known = inspect.signature(maker).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
    for key in params:
        if key not in known and not open_ended:
            expected = one_of(known) if known else "no parameters"
            raise BadInput(field, expected, key, hint=did_you_mean(key, known))
    for key, parameter in known.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and key not in params:
            raise NotGiven(f"{field}.{key}")
    try:
        return maker(**params)
    except ValueError as error:
        name, colon, reason = str(error).partition(": ")
        if colon and name in known:
            raise BadInput.because(f"{field}.{name}", reason) from error
        raise BadInput.because(field, error) from error
    except Exception as error:
        raise BadInput.because(field, f"{type(error).__name__}: {error}") from error


def source_file(name: str, folders: Sequence[Path] = ()) -> Path | None:
    """Return the file that a ``module:function`` comes from, None for a table's name.

    Its contents belong to what identifies a run.
    """
    if ":" not in name:
        return None
    module = _module("name", name, folders)
    file = getattr(module, "__file__", None)  # a built-in module has none
    return Path(file) if file else None


def _users_own(field: str, name: str, folders: Sequence[Path]) -> Callable[..., Any]:
    module = _module(field, name, folders)
    attribute = name.partition(":")[2]
    function = getattr(module, attribute, None)
    if not callable(function):
        public = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        expected = f"a function of {getattr(module, '__file__', module.__name__)}"
        raise BadInput(field, expected, attribute or name, hint=did_you_mean(attribute, public))
    result: Callable[..., Any] = function
    return result


def _module(field: str, name: str, folders: Sequence[Path]) -> ModuleType:
    path = name.partition(":")[0]
    if not all(part.isidentifier() for part in path.split(".")):
        raise BadInput(field, "module:function", name)
    try:
        for folder in folders:
            file = folder.joinpath(*path.split(".")).with_suffix(".py")
            if file.is_file():
                return _import_file(path, file, folder)
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise BadInput(field, f"a module {path} that can be imported", error) from error
        places = ", ".join(str(folder) for folder in folders) or "the import path"
        raise BadInput(field, f"a module {path} in {places}", name) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise BadInput(field, f"a module {path} that can be imported", reason) from error


def _import_file(path: str, file: Path, folder: Path) -> ModuleType:
    """Import a file under a name of its own, so that it shadows no installed module."""
    source = str(file.resolve())
    alias = f"runner_user_{hashlib.sha256(source.encode()).hexdigest()[:12]}_{path}"
    alias = alias.replace(".", "_")
    if alias in sys.modules:
        return sys.modules[alias]
    spec = importlib.util.spec_from_file_location(alias, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    # Its neighbours in the folder are importable while it is read, not after.
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    finally:
        sys.path.remove(str(folder))
    return module

"""From a name in the configuration to the function that makes the thing.

A name is one of a table's, or ``module:function`` for a user's own.
"""

import difflib
import functools
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
        self.reason = f"expected {expected}, got {shortened(got)}"
        self.where = where
        self.hint = hint
        super().__init__(field, expected, got)

    @classmethod
    def because(cls, field: str, reason: object, *, where: str = "", hint: str = "") -> "BadInput":
        """Return the error whose reason is already written out in words."""
        error = cls(field, "", "", where=where, hint=hint)
        error.reason = str(reason)
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way back from a worker process."""
        return _rebuild, (self.field, self.reason, self.where, self.hint)

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.where, self.field) if part)
        text = f"{place}: {self.reason}" if place else self.reason
        if self.hint:
            text += f"; {self.hint}"
        return " ".join(text.split())


class NotGiven(BadInput):
    """A value that a choice leaves to the user is not there."""

    def __init__(self, field: str, expected: str = "a value") -> None:
        super().__init__(field, expected, "none")


def _rebuild(field: str, reason: str, where: str, hint: str) -> BadInput:
    return BadInput.because(field, reason, where=where, hint=hint)


def shortened(value: object, width: int = 200) -> str:
    """Return a value as text for a message, its middle left out where it is long."""
    text = "null" if value is None else str(value)
    half = width // 2
    return text if len(text) <= width else f"{text[:half]} ... {text[-half:]}"


def did_you_mean(word: str, options: Iterable[str], prefix: str = "") -> str:
    """Return ``did you mean ...?`` for the option nearest to ``word``, or nothing."""
    near = difflib.get_close_matches(str(word), list(options), n=1)
    return f"did you mean {prefix}{near[0]}?" if near else ""


def install(extra: str) -> str:
    """Return the command for an extra; on the package index the name is another program's."""
    return f"pip install '.[{extra}]' in the folder that runner was installed from"


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


@functools.lru_cache(maxsize=256)
def parameters(maker: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a function by name."""
    return inspect.signature(maker).parameters


def call(field: str, maker: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """Return ``maker(**params)``, its complaints turned into bad input.

    Raises
    ------
    BadInput
        For a parameter that the maker does not have, one that is missing, or
        whatever else the maker raises.
    """
    known = parameters(maker)
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
    except (Exception, SystemExit) as error:
        raise BadInput.because(field, f"{type(error).__name__}: {error}") from error


def source_digest(name: str, folders: Sequence[Path] = ()) -> str:
    """Return the SHA-256 of the source a ``module:function`` comes from.

    Its contents belong to what identifies a run: every module of the folder
    it was found in, or else the file of the module alone.
    """
    module = _module("name", name, folders)
    file = getattr(module, "__file__", None)  # a built-in module has none
    if file is None:
        return ""
    for folder in folders:
        if Path(file).is_relative_to(folder):
            return folder_digest(folder)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over the Python files of a folder and those below it."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0")
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


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
            file = module_file(name, folder)
            if file.is_file():
                return _import_file(path, file, folder)
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise BadInput(field, f"a module {path} that can be imported", error) from error
        places = ", ".join(str(folder) for folder in folders) or "the import path"
        raise BadInput(field, f"a module {path} in {places}", name) from error
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        raise BadInput(field, f"a module {path} that can be imported", reason) from error


def module_file(name: str, folder: Path) -> Path:
    """Return the file that a ``module:function`` of a folder would be in."""
    return folder.joinpath(*name.partition(":")[0].split(".")).with_suffix(".py")


def _import_file(path: str, file: Path, folder: Path) -> ModuleType:
    """Import a file under a name of its own, so that it shadows no installed module.

    The name follows the contents of the folder: what has changed is read
    again. Its neighbours are importable while it is read, and are forgotten
    afterwards, so that two folders never meet.
    """
    source = f"{file.resolve()} {folder_digest(folder)}"
    alias = f"runner_user_{hashlib.sha256(source.encode()).hexdigest()[:12]}_{path}"
    alias = alias.replace(".", "_")
    if alias in sys.modules:
        return sys.modules[alias]
    spec = importlib.util.spec_from_file_location(alias, file)
    assert spec is not None  # as for every file of this name
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[alias] = module
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    # Bytecode is told from its source by size and second alone: too coarse for what is edited.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before - {alias}:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin and Path(origin).is_relative_to(folder):
                del sys.modules[name]
    return module


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Return the interrupt that an exception is, or came in the place of.

    What it interrupts may be in no state to be left in order: OmegaConf's own
    context managers then raise something else, and the interrupt would be lost.
    """
    link: BaseException | None = error
    met = set()  # under a debugger OmegaConf's exceptions name themselves as their cause
    while link is not None and not isinstance(link, KeyboardInterrupt):
        if id(link) in met:
            return None
        met.add(id(link))
        link = link.__cause__ or link.__context__
    return link

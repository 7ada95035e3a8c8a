"""A user's own functions tried once on small arrays, before a run depends on them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.lookup import BadInput

Array = NDArray[Any]


def functions(field: str, made: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Check that what a maker returned is a pair of functions.

    Raises
    ------
    BadInput
    """
    if not (isinstance(made, tuple) and len(made) == 2 and all(map(callable, made))):
        raise BadInput(field, "a function that returns a pair of functions", type(made).__name__)
    return made[0], made[1]


def try_on_arrays(
    field: str, tried: Mapping[str, tuple[Callable[..., Any], tuple[Array, ...]]]
) -> None:
    """Check that each function gives an array like its last argument, and changes none.

    Raises
    ------
    BadInput
    """
    for what, (function, arguments) in tried.items():
        copies = [argument.copy() for argument in arguments]
        result = np.asarray(attempt(field, what, function, *arguments))
        wanted = arguments[-1]
        if result.shape != wanted.shape or result.dtype != wanted.dtype:
            expected = f"a {what} that keeps shape {wanted.shape} and dtype {wanted.dtype}"
            raise BadInput(field, expected, f"{result.shape} and {result.dtype}")
        if not all(map(np.array_equal, arguments, copies)):
            raise BadInput(field, f"a {what} that leaves its argument alone", "it changed")


def try_number(field: str, what: str, function: Callable[..., Any], *arguments: Any) -> None:
    """Check that a function gives one finite number.

    Raises
    ------
    BadInput
    """
    result = attempt(field, what, function, *arguments)
    number = isinstance(result, (int, float, np.number)) and not isinstance(result, bool)
    if not (number and np.isfinite(result)):
        raise BadInput(field, f"a {what} that gives a finite number", repr(result))


def attempt(field: str, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function gives; what it raises is bad input."""
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        raise BadInput(field, f"a {what} of arrays", reason) from error

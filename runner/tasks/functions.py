"""Tabulate activation and output functions over a range of numbers (book ch. 3.2, 3.5)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from runner.lookup import BadInput, did_you_mean, one_of
from runner.nn.activations import ACTIVATIONS, Activation
from runner.nn.outputs import OUTPUTS, Output
from runner.tasks.records import Progress, Records, no_progress
from runner.tasks.setup import Array, Setup

FUNCTIONS: dict[str, Callable[..., Activation | Output]] = {**OUTPUTS, **ACTIVATIONS}
del FUNCTIONS["pairwise"]  # makes other numbers of other shapes: votes
del FUNCTIONS["maxout"]  # makes one number of several
MOST = 1_000_000  # points of a table


def run(
    setup: Setup,
    progress: Progress = no_progress,
    functions: Sequence[str] = ("step", "sigmoid", "relu"),
    start: float = -5.0,
    stop: float = 5.0,
    step: float = 0.1,
    points: Sequence[float] | None = None,
) -> Records:
    """Return ``x``, (points,), and what each function makes of it, an array of its name.

    Softmax takes all of x as one row.

    Parameters
    ----------
    functions : names of activations and outputs, which are taken with their defaults.
    start, stop, step : the range of x, ``stop`` left out.
    points : these numbers in place of the range.

    Raises
    ------
    BadInput
        For an unknown name, or numbers that make no range.
    """
    check_names(functions)
    dtype = setup.network.dtype
    if points is None:
        x = spread(start, stop, step).astype(dtype)
    else:
        x = vector("task.params.points", points, dtype)
    arrays = {"x": x} | {name: FUNCTIONS[name]().forward(x) for name in functions}
    return Records(result={"n": len(x)}, arrays=arrays, trace=arrays)


def check_names(functions: Any) -> None:
    """Refuse what is no list of known functions."""
    field = "task.params.functions"
    if not isinstance(functions, (list, tuple)) or not functions:
        raise BadInput(field, "a list of names", functions)
    for name in functions:
        if name not in list(FUNCTIONS):  # a list asks by ==, so that nothing need be hashable
            raise BadInput(field, one_of(FUNCTIONS), name, hint=did_you_mean(name, FUNCTIONS))


def spread(start: Any, stop: Any, step: Any) -> Array:
    """Return start, start + step, ... below stop, as ``np.arange`` does.

    Raises
    ------
    BadInput
        When they are no numbers, or make no point or too many.
    """
    first, last, width = vector("task.params.start, stop, step", (start, stop, step), np.float64)
    if width <= 0:
        raise BadInput("task.params.step", "a number above 0", step)
    if last <= first:
        raise BadInput("task.params.stop", f"a number above start ({start})", stop)
    if (last - first) / width > MOST:
        raise BadInput("task.params.step", f"at most {MOST:,} points", step)
    return np.arange(first, last, width)


def vector(field: str, values: Any, dtype: DTypeLike) -> Array:
    """Return a list of numbers as an array (n,), integers too as floats.

    Raises
    ------
    BadInput
        When it is none, or one of them is not finite in that dtype.
    """
    if isinstance(values, (list, tuple)) and values and all(map(is_real, values)):
        with np.errstate(over="ignore"):
            array = np.array(values, dtype)
        if np.isfinite(array).all():
            return array
    raise BadInput(field, "a list of finite numbers", values)


def is_real(value: Any) -> bool:
    """Say whether a value is a number; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)

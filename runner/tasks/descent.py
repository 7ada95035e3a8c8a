"""Minimise a function of a few numbers, to see how an optimizer moves (book ch. 4.4.1, 6.1)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from runner.lookup import BadInput, did_you_mean, one_of
from runner.nn.checks import Diverged, overflows
from runner.nn.numerical import gradient
from runner.tasks.functions import vector
from runner.tasks.records import Progress, Records, no_progress
from runner.tasks.setup import Array, Setup

H = 1e-4  # of the central difference (book 4.3.1)
LARGEST = H / float(np.finfo(np.float64).eps)  # beyond, x is rounded by more than H
SIDE = 61  # points along each side of a picture's grid


def bowl(x: Array) -> float:
    """Return x0² + x1² + ... (book eq. 4.6)."""
    return float(np.sum(x**2))


def valley(x: Array) -> float:
    """Return x0²/20 + x1² + ..., flat along x0 (book eq. 6.2)."""
    return float(x[0] ** 2 / 20 + np.sum(x[1:] ** 2))


def parabola(x: Array) -> float:
    """Return the sum of 0.01 x² + 0.1 x over the elements (book 4.3.2)."""
    return float(np.sum(0.01 * x**2 + 0.1 * x))


FUNCTIONS: dict[str, Callable[[Array], float]] = {
    "bowl": bowl,
    "valley": valley,
    "parabola": parabola,
}


def run(
    setup: Setup,
    progress: Progress = no_progress,
    function: str = "bowl",
    start: Sequence[float] = (-3.0, 4.0),
    steps: int = 100,
) -> Records:
    """Return the ``path`` of the descent, with ``values`` and numerical ``gradients`` along it.

    The optimizer, its learning rate and the schedule are the configured
    ones. ``path`` and ``gradients`` are (steps + 1, n), ``values`` is
    (steps + 1,), and ``x``, (n,), is where it ended. In two dimensions
    ``surface`` has the function around the path.

    Parameters
    ----------
    function : a name in ``FUNCTIONS``.
    start : the first point, n numbers.
    steps : updates; with 0 the function and its gradient are taken at ``start`` alone.

    Raises
    ------
    BadInput
        For an unknown function, or a start or number of steps that is none.
    runner.nn.checks.Diverged
        When a point is so large that rounding hides a difference of 1e-4.
    """
    f, point = check(function, start, steps, setup.network.dtype)
    path, values, gradients = [], [], []
    for done in range(steps + 1):
        check_size(done, point)
        path.append(point.copy())
        values.append(f(point.astype(np.float64)))
        gradients.append(gradient(f, point, H).astype(point.dtype))
        if done < steps:
            with overflows():
                lr = setup.lr * setup.schedule(done, steps)
                setup.optimizer.update(point, gradients[-1].copy(), lr)
        progress(done, steps, "steps")
    met = {"path": np.array(path), "values": np.array(values), "gradients": np.array(gradients)}
    around = {"surface": surface(f, met["path"])} if len(point) == 2 else {}
    return Records(arrays={"x": point, **met, **around})


def check(function: Any, start: Any, steps: Any, dtype: Any) -> tuple[Callable[..., float], Array]:
    """Return the function and the first point; raise BadInput for what is none."""
    if function not in list(FUNCTIONS):  # a list asks by ==, so that nothing need be hashable
        hint = did_you_mean(function, FUNCTIONS)
        raise BadInput("task.params.function", one_of(FUNCTIONS), function, hint=hint)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise BadInput("task.params.steps", "an integer from 0", steps)
    return FUNCTIONS[function], vector("task.params.start", start, dtype)


def check_setup(setup: Setup) -> None:
    """Check the task's parameters before it runs; raise BadInput for what is none."""
    given = setup.config.task.params
    known = {"function": "bowl", "start": (-3.0, 4.0), "steps": 100} | given
    check(known["function"], known["start"], known["steps"], setup.network.dtype)


def check_size(done: int, point: Array) -> None:
    """Raise Diverged for a point at which the numerical gradient means nothing.

    Without this the descent would seem to arrive: where x + H is x the
    gradient is 0, and the point stays (as the 2.6e13 of book 4.4.1 does).
    """
    size = float(np.max(np.abs(point)))
    if not size < LARGEST:
        raise Diverged(f"step {done}: |x| is {size:.3g}, too large for differences of {H:g}")


def surface(f: Callable[[Array], float], path: Array) -> Array:
    """Return x0, x1 and f(x) over a rectangle around a path, (3, SIDE, SIDE)."""
    low, high = path.min(axis=0), path.max(axis=0)
    margin = np.maximum((high - low) / 5, 1.0)
    x = np.array(np.meshgrid(*np.linspace(low - margin, high + margin, SIDE, dtype=np.float64).T))
    return np.array([*x, np.apply_along_axis(f, 0, x)])

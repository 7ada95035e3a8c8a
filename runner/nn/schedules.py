"""How the learning rate changes over a training.

A schedule takes the number of updates done so far and of all updates, and
returns the factor of the learning rate for the next update.
"""

from collections.abc import Callable

Schedule = Callable[[int, int], float]


def constant() -> Schedule:
    """Return 1 throughout."""
    return lambda step, steps: 1.0


def linear() -> Schedule:
    """Return 1 - step/steps: from 1 at the first update down to 0 after the last."""
    return lambda step, steps: 1 - step / steps


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "linear": linear,
}

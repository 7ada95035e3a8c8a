"""How the learning rate changes over a training.

A schedule takes the number of updates done so far and of all updates, and
returns the factor of the learning rate for the next update. Each has a
``warmup``: the fraction of all updates over which the factor first rises
linearly, one part after the other, up to 1 (Goyal et al. 2017, section 2.2).
"""

import math
from collections.abc import Callable, Sequence

from runner.nn.checks import number, require

Schedule = Callable[[int, int], float]


def constant(warmup: float = 0.0) -> Schedule:
    """Return 1 throughout."""
    return _warmed_up(warmup, lambda done: 1.0)


def linear(warmup: float = 0.0) -> Schedule:
    """Return 1 - step/steps: from 1 at the first update down to 0 after the last."""
    return _warmed_up(warmup, lambda done: 1 - done)


def step(
    milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1, warmup: float = 0.0
) -> Schedule:
    """Return gamma to the power of the milestones passed (He et al. 2016, section 4.2).

    The words are those of PyTorch's ``MultiStepLR``, but a milestone is a
    fraction of the training after the warm-up.

    Raises
    ------
    NeuralNetworkError
        For milestones that do not rise within [0, 1), and a gamma outside it.
    """
    is_list = isinstance(milestones, Sequence) and not isinstance(milestones, str)
    require(is_list, "milestones", "a list of fractions of the training", repr(milestones))
    parts = [number("milestones", part, least=0, below=1) for part in milestones]
    require(parts == sorted(set(parts)), "milestones", "rising fractions", list(milestones))
    gamma = number("gamma", gamma, least=0, below=1)
    return _warmed_up(warmup, lambda done: gamma ** sum(done >= part for part in parts))


def cosine(final: float = 0.0, warmup: float = 0.0) -> Schedule:
    """Return half a cosine from 1 down to ``final``.

    Loshchilov & Hutter 2017, eq. 5, without restarts.
    """
    final = number("final", final, least=0, below=1)
    depth = 1 - final
    return _warmed_up(warmup, lambda done: final + depth * (1 + math.cos(math.pi * done)) / 2)


def _warmed_up(warmup: float, factor: Callable[[float], float]) -> Schedule:
    """Return the schedule of a factor that depends on the fraction done after the warm-up."""
    warmup = number("warmup", warmup, least=0, below=1)

    def schedule(step: int, steps: int) -> float:
        rising = min(round(warmup * steps), steps - 1)  # an update is left to what follows
        if step < rising:
            return (step + 1) / rising
        return factor((step - rising) / (steps - rising))

    return schedule


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "linear": linear,
    "step": step,
    "cosine": cosine,
}

"""Whether a gate holds beyond noise."""

import math
from collections.abc import Sequence

import numpy as np

from runner.tables import statistics as stats
from runner.tables.comparison import Comparison, Judged
from runner.tables.gate import Gate
from runner.tables.statistics import LEVEL


def judge(gates: Sequence[Gate], found: Sequence[Comparison]) -> list[Judged]:
    """Say of each gate where it holds beyond noise, adjusted for the number of judgements.

    Raises
    ------
    ValueError
        When a gate divides by zero, or has numbers without end.
    """
    judged = [tested(gate, made) for gate in gates for made in found if made.metric == gate.metric]
    known = [item for item in judged if item.p is not None]
    adjusted = iter(stats.holm([item.p or 0.0 for item in known]))
    return [settled(item, next(adjusted)) if item.p is not None else item for item in judged]


def tested(gate: Gate, made: Comparison) -> Judged:
    """Return a gate asked of one comparison: how probable its excess is by chance."""
    pair = made.pair
    if made.verdict == "not comparable" or pair is None:
        return Judged(gate.text, made, "not comparable")
    before, after = made.baseline or 0.0, made.value or 0.0
    try:
        excess, slopes = gate.excess(before, after), gate.slopes(before, after)
        beyond = excess - unseen(gate, made, slopes)
    except ZeroDivisionError:
        raise ValueError(f"--fail-if: expected no division by zero, got {gate.text!r}") from None
    if not math.isfinite(excess):
        raise ValueError(f"--fail-if: expected finite numbers, got {gate.text!r}")
    if excess < 0 or (excess == 0 and gate.strict):
        return Judged(gate.text, made, "does not hold", 1.0)
    if not pair.enough:
        return Judged(gate.text, made, "underpowered")
    if made.time:  # on logarithms, which a slow outlier moves less
        pair, slopes = pair.map(np.log), (slopes[0] * before, slopes[1] * after)
    error, freedom = stats.standard_error(pair, slopes)
    if error == 0:
        return Judged(gate.text, made, "holds", 0.0 if beyond >= 0 else 1.0)
    return Judged(gate.text, made, "holds", stats.p_value(max(0.0, beyond), error, freedom) / 2)


def unseen(gate: Gate, made: Comparison, slopes: tuple[float, float]) -> float:
    """Return how much of a gate's excess says nothing.

    Of decisions one sample, the continuity correction (Edwards 1948, Psychometrika 13,
    185-187). Of times as much as a machine drifts, unless the gate itself leaves room for it.
    """
    if made.method == "McNemar":
        return max(map(abs, slopes)) / made.n
    before = made.baseline or 0.0
    if made.time and slopes[0]:
        room = abs(float(gate.excess(before, before)))
        drift = made.drift - 1 if slopes[1] > 0 else 1 - 1 / made.drift
        return max(0.0, abs(slopes[1]) * before * drift - room)
    return 0.0


def settled(item: Judged, p: float) -> Judged:
    """Return a judgement with its adjusted p value; within noise unless that is small.

    One-sided at half the level: the whole 95 % interval lies where the gate holds.
    """
    state = item.state
    if state == "holds" and p >= LEVEL / 2:
        state = "within noise"
    return item._replace(state=state, p=p)

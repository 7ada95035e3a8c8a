"""Intervals for proportions."""

import math

Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


def wilson(correct: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (Wilson 1927, JASA 22, 209-212).

    Parameters
    ----------
    correct : successes, between 0 and ``n``.
    n : trials, at least 1.
    z : normal quantile; the default gives 95 %.
    """
    p = correct / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)

"""A sweep in few numbers: how far it is, and each configuration over its replicates."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from statistics import median as middle
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("accuracy", "test_loss", "train_accuracy", "fit_seconds", "inference_seconds")
STATISTICS = ("mean", "std", "median", "low", "high")


class Counts(NamedTuple):
    """How far a sweep is."""

    done: int
    total: int
    reused: int
    failed: int
    best: float | None
    seconds: float | None  # of a job that completed, on average


# Told of each job with its swept values, then its status, accuracy and error.
Watcher = Callable[[Counts, Mapping[str, str]], None]


def summarize(results: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """Return a row per configuration, in the order of the first of its runs.

    Parameters
    ----------
    results : rows of results.csv; those that are not completed do not count.
    keys : the columns that tell configurations apart.

    Returns
    -------
    The keys, ``replicates``, and of each measure the mean, the standard deviation
    (n - 1), the median, and the 95 % interval of the mean by Student's t.
    """
    import pandas as pd

    groups = results.groupby(list(keys), sort=False, dropna=False) if keys else [((), results)]
    rows: list[dict[str, Any]] = []
    for values, group in groups:
        completed = group[group["status"] == "completed"]
        row = dict(zip(keys, values, strict=True)) | {"replicates": len(completed)}
        for measure in MEASURES:
            found = statistics(completed[measure].dropna().astype(float).tolist())
            row |= {f"{measure}_{name}": value for name, value in found.items()}
        rows.append(row)
    names = [f"{measure}_{name}" for measure in MEASURES for name in STATISTICS]
    return pd.DataFrame(rows, columns=[*keys, "replicates", *names], dtype=object)


def statistics(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean, standard deviation, median and the 95 % interval of the mean, by Student's t."""
    n = len(values)
    if n == 0:
        return dict.fromkeys(STATISTICS)
    mean, median = fmean(values), middle(values)
    if n == 1:
        return {"mean": mean, "std": None, "median": median, "low": None, "high": None}
    # Imported where there is a spread: it takes as long as a small sweep.
    from scipy.special import stdtrit

    std = stdev(values)
    half = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n)
    return {"mean": mean, "std": std, "median": median, "low": mean - half, "high": mean + half}

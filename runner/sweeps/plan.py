"""From overrides with choices, ranges and globs to a list of jobs without duplicates."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep

from runner.lookup import BadInput
from runner.tables.columns import RESULTS

if TYPE_CHECKING:
    import pandas as pd


EXACT = 10**7  # values of a range that are counted one by one
WHOLE = ("data_dir", "output_dir", "sweep")  # no part of a job, so not to be swept over


@dataclass(frozen=True)
class Job:
    """One job of a sweep: its overrides, and the values of the swept keys among them."""

    overrides: tuple[str, ...]
    swept: Mapping[str, str]


def count(override: Override, options: Sequence[str]) -> int:
    """Return how many values an override stands for, without making them.

    Parameters
    ----------
    override : parsed.
    options : the choices of its group, for globs.
    """
    value: Any = override._value
    if not override.is_sweep_override():
        return 1
    if isinstance(value, RangeSweep):
        start, stop, step = float(value.start or 0), float(value.stop or 0), float(value.step)
        if step == 0:
            raise unusable(override, "a step other than 0")
        number = max(0, math.ceil((stop - start) / step))
        if number > EXACT or isinstance(value.step, int):
            return number
        return sum(1 for _ in override.sweep_string_iterator())  # Hydra adds up fractions
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if isinstance(value, Glob):
        return len(value.filter(list(options)))
    raise unusable(override, "choices, a range or a glob")


def unusable(override: Override, expected: str) -> BadInput:
    """Return the error of an override that makes no jobs."""
    return BadInput(override.key_or_group, expected, override.input_line, where="command line")


def expand(
    overrides: Sequence[Override], options: Mapping[str, Sequence[str]], max_runs: int
) -> list[Job]:
    """Return every combination of the swept values, the first key varying slowest.

    Raises
    ------
    BadInput
        For a sweep without values, or of more than ``max_runs`` jobs.
    """
    total = 1
    for override in overrides:
        if override.is_sweep_override() and override.key_or_group.split(".")[0] in WHOLE:
            raise unusable(override, "one value (it is of the sweep as a whole)")
        number = count(override, options.get(override.key_or_group, ()))
        if number == 0:
            raise unusable(override, "at least one value")
        total *= number
    if total > max_runs:
        expected = f"a sweep of at most {max_runs:,} jobs"
        raise BadInput("sweep.max_runs", expected, f"{total:,}", where="command line")
    values = [words(override) for override in overrides]
    swept = [override.is_sweep_override() for override in overrides]
    names = [column(override, override.key_or_group in options) for override in overrides]
    return [
        Job(
            tuple(f"{o.get_key_element()}={v}" for o, v in zip(overrides, chosen, strict=True)),
            {name: v for name, v, s in zip(names, chosen, swept, strict=True) if s},
        )
        for chosen in itertools.product(*values)
    ]


def words(override: Override) -> list[str]:
    """Return the values of an override, each as written on a command line."""
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    return [override.get_value_element_as_str()]


def column(override: Override, is_group: bool) -> str:
    """Return the name of a swept key's column; a group whose name is one gets ``.choice``."""
    key = override.key_or_group
    taken = is_group and key in {known.name for known in RESULTS}
    return f"{key}.choice" if taken else key


def table(jobs: Mapping[str, Job]) -> "pd.DataFrame":
    """Return the plan: a row per job, with its run_id and its swept values."""
    import pandas as pd

    rows = [{"run_id": run_id, **job.swept} for run_id, job in jobs.items()]
    return pd.DataFrame(rows, dtype=object)

"""From overrides with choices, ranges and globs to a list of jobs without duplicates."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep

from runner.lookup import BadInput, did_you_mean
from runner.tables.columns import RESULTS, written

EXACT = 200_000  # values of a range that are counted one by one
IDENTITY = ("config_hash", "data_hash", "weights_hash", "code_version")
Row = dict[str, str]
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
        try:
            start, stop, step = float(value.start or 0), float(value.stop or 0), float(value.step)
        except OverflowError:  # an integer of hundreds of digits
            start = stop = step = math.inf
        if not math.isfinite(start + stop + step):
            raise unusable(override, "a range between finite numbers")
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
    overrides: Sequence[Override],
    options: Mapping[str, Sequence[str]],
    max_runs: int,
    together: Sequence[Sequence[str]] = (),
    without: Sequence[Mapping[str, Any]] = (),
    replicates: int | None = None,
) -> list[Job]:
    """Return every combination of the swept values, the first key varying slowest.

    Parameters
    ----------
    overrides : parsed; those with several values are swept.
    options : the choices of each group, for globs.
    max_runs : the largest number of combinations, replicates included.
    together : lists of keys whose values are taken side by side, first with first.
    without : combinations that are left out, as swept keys with their values.
    replicates : how often each combination is to be run; see `replicated`.

    Raises
    ------
    BadInput
        For a sweep without values, of more than ``max_runs`` jobs, or of keys
        that are not swept or have other numbers of values than their fellows.
    """
    check_replicates(overrides, replicates)
    names = [column(override, override.key_or_group in options) for override in overrides]
    counts = [size(override, options) for override in overrides]
    axes = side_by_side(overrides, counts, together)
    total = math.prod(counts[axis[0]] for axis in axes) * (replicates or 1)
    if total > max_runs:
        expected = f"a sweep of at most {max_runs:,} jobs"
        raise BadInput("sweep.max_runs", expected, f"{total:,}", where="command line")
    made = [elements(override) for override in overrides]
    counts = [len(each) for each in made]  # of a long range of fractions it was an estimate
    values = [[Override._get_value_element_as_str(value) for value in each] for each in made]
    cells = [[written(Override._convert_value(value)) for value in each] for each in made]
    swept = [override.is_sweep_override() for override in overrides]
    left_out = [exclusion(given, overrides, made) for given in without]
    jobs = []
    for places in itertools.product(*(range(counts[axis[0]]) for axis in axes)):
        at = {i: place for axis, place in zip(axes, places, strict=True) for i in axis}
        chosen, told = ([each[i][at[i]] for i in range(len(overrides))] for each in (values, cells))
        if any(all(at[i] in where for i, where in given.items()) for given in left_out):
            continue
        keys = [override.get_key_element() for override in overrides]
        jobs.append(
            Job(
                tuple(f"{key}={value}" for key, value in zip(keys, chosen, strict=True)),
                {name: cell for name, cell, s in zip(names, told, swept, strict=True) if s},
            )
        )
    if not jobs:
        raise BadInput("sweep.exclude", "at least one job that is left", "none")
    return jobs


def check_replicates(overrides: Sequence[Override], number: int | None) -> None:
    """Refuse a number of replicates that is none, and one where the seed is swept already."""
    if number is None:
        return
    if any(o.key_or_group == "seed" and o.is_sweep_override() for o in overrides):
        raise BadInput("sweep.replicates", "none where the seed is swept", number)
    if number < 1:
        raise BadInput("sweep.replicates", "at least 1", number)


def replicated(job: Job, first: int, number: int) -> list[Job]:
    """Return a job with each of its seeds, counted up from the first."""
    words = [word for word in job.overrides if not word.startswith("seed=")]
    return [
        Job((*words, f"seed={seed}"), {**job.swept, "seed": str(seed)})
        for seed in range(first, first + number)
    ]


def size(override: Override, options: Mapping[str, Sequence[str]]) -> int:
    """Return how many values an override has, at least one; raise BadInput otherwise."""
    if override.is_sweep_override() and override.key_or_group.split(".")[0] in WHOLE:
        raise unusable(override, "one value (it is of the sweep as a whole)")
    number = count(override, options.get(override.key_or_group, ()))
    if number == 0:
        raise unusable(override, "at least one value")
    return number


def side_by_side(
    overrides: Sequence[Override], counts: Sequence[int], together: Sequence[Sequence[str]]
) -> list[list[int]]:
    """Return the numbers of the overrides that vary independently, those together in one list."""
    swept = {o.key_or_group: i for i, o in enumerate(overrides) if o.is_sweep_override()}
    axes, taken = [], set()
    for keys in together:
        if not isinstance(keys, list):
            raise BadInput("sweep.zip", "lists of swept keys, such as [[a,b]]", keys)
        for key in keys:
            if key not in swept or key in taken:
                hint = did_you_mean(key, swept)
                raise BadInput("sweep.zip", "keys that are swept, each once", key, hint=hint)
            taken.add(key)
        axis = sorted(swept[key] for key in keys)
        if len({counts[i] for i in axis}) > 1:
            got = ", ".join(f"{key} {counts[swept[key]]}" for key in keys)
            raise BadInput("sweep.zip", "as many values of each key", got)
        axes.append(axis)
    alone = [[i] for i, o in enumerate(overrides) if o.key_or_group not in taken]
    return sorted(axes + alone)


def exclusion(
    given: Mapping[str, Any], overrides: Sequence[Override], made: Sequence[Sequence[Any]]
) -> dict[int, set[int]]:
    """Return where a combination to leave out stands, by the numbers of its overrides."""
    if not isinstance(given, Mapping):
        raise BadInput("sweep.exclude", "combinations, such as [{a: 1, b: 2}]", given)
    swept = {o.key_or_group: i for i, o in enumerate(overrides) if o.is_sweep_override()}
    for key in given:
        if key not in swept:
            hint = did_you_mean(key, swept)
            raise BadInput("sweep.exclude", "keys that are swept", key, hint=hint)
    return {
        i: {at for at, value in enumerate(made[i]) if Override._convert_value(value) == given[key]}
        for key, i in swept.items()
        if key in given
    }


def elements(override: Override) -> list[Any]:
    """Return the values of an override, as Hydra's parser has them."""
    return list(override.sweep_iterator()) if override.is_sweep_override() else [override._value]


def column(override: Override, is_group: bool) -> str:
    """Return the name of a swept key's column; a group whose name is one gets ``.choice``."""
    key = override.key_or_group
    taken = is_group and key in {known.name for known in RESULTS}
    return f"{key}.choice" if taken else key


def rows(jobs: Mapping[str, Job], identities: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """Return the plan: a row per job, with what it is and its swept values."""
    return [{"run_id": run_id, **identities[run_id], **job.swept} for run_id, job in jobs.items()]


def changes(before: Sequence[Row], now: Sequence[Row]) -> list[str]:
    """Return in words what has changed in the jobs that two plans have in common."""
    known = {swept(row): row for row in before}
    gone = len(known.keys() - {swept(row) for row in now})
    seen = {"jobs left out": [""] * gone} if gone else {}
    for row in now:
        old = known.get(swept(row))
        if old is None:
            seen.setdefault("new jobs", []).append("")
        elif old["run_id"] != row["run_id"]:
            for name in [name for name in IDENTITY if old.get(name) != row[name]]:
                seen.setdefault(name, []).append(f" {old.get(name)} -> {row[name]}")
            if all(old.get(name) == row[name] for name in IDENTITY):
                seen.setdefault("threads or a module of your own", []).append("")
    return [
        f"{what}{how[0] if len(set(how)) == 1 else ''} ({len(how)} of {len(now)})"
        for what, how in seen.items()
    ]


def swept(row: Row) -> tuple[tuple[str, str], ...]:
    """Return the swept keys of a planned job with their values."""
    return tuple((key, value) for key, value in row.items() if key not in ("run_id", *IDENTITY))

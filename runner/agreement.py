"""Whether two runs of the same thing have the same numbers: to the bit, or within rounding."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runner import weights as weight_files
from runner.tables import strict
from runner.tables.comparison import Comparison, Sides
from runner.tables.results import number, read_results
from runner.tables.times import measure_times

# What is looked at by other means: names of the run, and times.
NAMES = ("run_id", "config_hash", "data_hash", "weights_hash", "code_version")
TIMES = (
    *("started_at", "duration_seconds", "fit_seconds", "inference_seconds", "images_per_second"),
    *("seconds", "items_per_second"),
)
Arrays = Mapping[str, NDArray[Any]]


class Finding(NamedTuple):
    """One thing of a run: as it was recorded, as it is now, and what that means."""

    what: str
    recorded: str
    now: str
    held: bool
    note: str = ""


@dataclass
class Reproduction:
    """What a record, its inputs and its numbers are now.

    Attributes
    ----------
    same : whether it is the same run: record, configuration, data, weights, threads, code.
    conditions : what is known to change the last bits or the times.
    numbers, times : of the run done again; None where it was not.
    exact : whether numbers had to be equal bit by bit.
    allow_changes : whether the run may be another one, if its numbers are the same.
    strict_times : whether times decide as well: other programs make them longer.
    """

    folder: Path
    same: list[Finding] = field(default_factory=list)
    conditions: list[Finding] = field(default_factory=list)
    numbers: list[Finding] | None = None
    times: list[Finding] = field(default_factory=list)
    exact: bool = True
    allow_changes: bool = False
    strict_times: bool = False

    @property
    def changed(self) -> list[Finding]:
        """What is no longer as it was recorded."""
        return [found for found in self.same if not found.held]

    @property
    def agrees(self) -> bool:
        """Whether it was run again, with the same numbers."""
        return self.numbers is not None and all(found.held for found in self.numbers)

    @property
    def outside(self) -> list[Finding]:
        """Times that are not within their interval."""
        return [found for found in self.times if not found.held]

    @property
    def holds(self) -> bool:
        """Whether it is the same run with the same numbers."""
        same = self.allow_changes or not self.changed
        return self.agrees and same and not (self.strict_times and self.outside)


def rounding(sizes: Sequence[int], dtype: str) -> float:
    """Return how far two orders of the same sums may lie apart in a network's numbers.

    A sum of n products is off by at most n units in the last place of its largest part, whatever
    the order (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1); what one layer
    is off by the next one adds to. A training that is stable makes no more of it.

    Parameters
    ----------
    sizes : of the layers, from the inputs on.
    """
    return float(sum(sizes[:-1]) * np.finfo(dtype).eps)


def numbers(
    recorded: Path, again: Path, files: Sequence[str], tolerance: float | None
) -> Iterator[Finding]:
    """Yield a finding for each file of numbers of two runs.

    Parameters
    ----------
    files : names of what the recorded run has written.
    tolerance : relative to the largest number of an array, and in tables absolute below 1; None
        for equal bits. Whole numbers and words are equal in any case.
    """
    written = sorted(path.name for path in again.iterdir())
    for name in dict.fromkeys([*files, *written]):
        if Path(name).suffix not in COMPARED:
            continue
        if name not in files:
            yield Finding(name, "not recorded", "written", False, "no checksum of it")
            continue
        if not (again / name).exists():
            yield Finding(name, "written", "not written", False)
            continue
        compare = COMPARED[Path(name).suffix]
        try:
            count, differing = compare(recorded / name, again / name, tolerance)
        except ValueError as error:
            yield Finding(name, "readable", "not", False, str(error))
            continue
        others = f"; {len(differing) - 1} more" if len(differing) > 1 else ""
        note = f"{differing[0]}{others}" if differing else ""
        same = "equal" if tolerance is None else "equal within rounding"
        yield Finding(name, count, f"{len(differing)} differ" if note else same, not note, note)


def tables(one: Path, two: Path, tolerance: float | None) -> tuple[str, list[str]]:
    """Return how many cells of a table there are to compare, and those that differ in words."""
    left, right = strict.read_csv(one), strict.read_csv(two)
    names = [name for name in left[0] if name not in (*NAMES, *TIMES)]
    cells = f"{len(left) * len(names)} cells"
    if [*left[0]] != [*right[0]] or len(left) != len(right):
        sides = [f"{len(rows)} rows of {len(rows[0])}" for rows in (left, right)]
        return cells, [" -> ".join(sides)]
    return cells, [
        f"line {line}: {name}: {before[name] or 'none'} -> {after[name] or 'none'}"
        for line, (before, after) in enumerate(zip(left, right, strict=True), 2)
        for name in names
        if not same_cell(before[name], after[name], tolerance)
    ]


def same_cell(left: str, right: str, tolerance: float | None) -> bool:
    """Whether two cells are the same text, or fractions within the tolerance."""
    if left == right:
        return True
    if tolerance is None or left.lstrip("-").isdigit() or right.lstrip("-").isdigit():
        return False
    try:
        one, two = float(left), float(right)
    except ValueError:
        return False
    return abs(one - two) <= tolerance * max(1.0, min(abs(one), abs(two)))


def archives(one: Path, two: Path, tolerance: float | None) -> tuple[str, list[str]]:
    """Compare the arrays of two npz files as `tables` does cells."""
    return arrays(read_arrays(one), read_arrays(two), tolerance)


def weights(one: Path, two: Path, tolerance: float | None) -> tuple[str, list[str]]:
    """Compare two files of weights: byte by byte, or their arrays within the tolerance."""
    left, right = (weight_files.read(path).arrays() for path in (one, two))
    count, differing = arrays(left, right, tolerance)
    if tolerance is None and not differing and one.read_bytes() != two.read_bytes():
        differing = ["the bytes around the arrays"]
    return count, differing


def arrays(left: Arrays, right: Arrays, tolerance: float | None) -> tuple[str, list[str]]:
    """Compare arrays by their names as `tables` does cells."""
    if left.keys() != right.keys():
        return "", [f"{', '.join(left)} -> {', '.join(right)}"]
    told = ((name, difference(left[name], right[name], tolerance)) for name in left)
    return f"{len(left)} arrays", [f"{name}: {words}" for name, words in told if words]


def difference(left: NDArray[Any], right: NDArray[Any], tolerance: float | None) -> str:
    """Say in words how two arrays differ, nothing where they do not."""
    forms = [f"{array.shape} of {array.dtype}" for array in (left, right)]
    if forms[0] != forms[1]:
        return " -> ".join(forms)
    if left.tobytes() == right.tobytes():
        return ""
    apart = (left != right) & ~((left != left) & (right != right))
    counted = f"{np.count_nonzero(apart)} of {left.size} differ"
    if left.dtype.kind != "f":
        return counted
    if not apart.any():
        return "" if tolerance is not None else "the bits of zero or NaN"
    sizes = np.abs(left[np.isfinite(left)], dtype=np.float64)
    scale = float(sizes.max(initial=0.0)) if left.ndim else 1.0
    largest = float(np.abs(left[apart].astype(np.float64) - right[apart]).max())
    if tolerance is not None and largest <= tolerance * scale:
        return ""
    return f"{counted}, by up to {largest:.2g} where the largest is {scale:.2g}"


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file of bounded size; raise ValueError where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > strict.LIMIT:
                raise ValueError(f"at most {strict.LIMIT:,} bytes are read")
        with np.load(path, allow_pickle=False) as content:
            return dict(content)
    except Exception as error:  # NumPy's and zipfile's readers raise nearly anything
        raise ValueError(f"{path}: expected arrays, got {type(error).__name__}: {error}") from error


COMPARED = {".csv": tables, ".npz": archives, ".safetensors": weights}


def times(recorded: Path, again: Path) -> Iterator[Finding]:
    """Yield a finding for each time that two runs have measured repeatedly.

    It holds where the 95 % interval of the ratio of medians, made wider by as much as a machine
    drifts, has 1 in it; and where the conditions are others, since then it says nothing.
    """
    left, right = read_results(str(recorded)), read_results(str(again))
    for metric in ("inference_seconds", "fit_seconds"):
        if any(number(side.rows[0], metric) is None for side in (left, right)):
            continue
        made = Comparison(str(again), {}, metric)
        sides = Sides(left, right, left.rows, right.rows)
        measure_times(made, sides, left.rows, right.rows, any_machine=False)
        before, after = (f"{value or 0:.6f}" for value in (made.baseline, made.value))
        if made.verdict == "not comparable":
            yield Finding(metric, before, after, True, f"not comparable: {made.note}")
            continue
        if made.bootstrap_low is None or made.bootstrap_high is None:
            yield Finding(metric, before, after, True, "not comparable: too few repeats")
            continue
        low, high = made.bootstrap_low / made.drift, made.bootstrap_high * made.drift
        held = low <= 1 <= high
        slower = "slower" if (made.change or 1) > 1 else "faster"
        note = f"ratio {made.change:.2f}, interval {low:.2f} to {high:.2f}"
        yield Finding(metric, before, after, held, note if held else f"{slower}: {note}")

"""What is compared, and what a comparison of tables found."""

from dataclasses import dataclass, field
from typing import NamedTuple

from runner.tables.results import Results
from runner.tables.statistics import Pair
from runner.tables.strict import Row

# The same job on the same machine may take this much longer an hour later (asv's default too).
DRIFT = 1.1
# A single run may meet a busy moment of the machine, which all of its repeats share.
BUSY = 1.25
VERDICTS = ("better", "worse", "underpowered", "not comparable", "no difference")


class Metric(NamedTuple):
    """A column that can be compared: whether more of it is better, and whether it is a time."""

    name: str
    more: bool
    phase: str = ""  # of timing.csv, where its raw repeats are
    column: str = ""
    time: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", True),
        Metric("test_loss", False),
        Metric("train_accuracy", True),
        Metric("epochs", False),
        Metric("images_per_second", True, "inference", "items_per_second", time=True),
        Metric("inference_seconds", False, "inference", "seconds", time=True),
        Metric("fit_seconds", False, "epoch", "seconds", time=True),
        Metric("duration_seconds", False, time=True),
    )
}


@dataclass
class Comparison:
    """One metric of one configuration in one table, against the baseline.

    Attributes
    ----------
    change : difference of means, or for times the ratio of medians, both seen from the baseline.
    low, high : its 95 % interval by Student's t, of decisions the exact one; none for times.
    bootstrap_low, bootstrap_high : its 95 % bootstrap interval.
    effect : the difference in standard deviations.
    n, n_baseline : replicates, samples or raw repeats that were looked at.
    p, p_holm : of no difference; adjusted for the number of comparisons.
    needed : replicates that would find the difference seen, where there were too few.
    """

    table: str
    keys: dict[str, str]
    metric: str
    method: str = ""
    baseline: float | None = None
    value: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    bootstrap_low: float | None = None
    bootstrap_high: float | None = None
    effect: float | None = None
    n_baseline: int = 0
    n: int = 0
    p: float | None = None
    p_holm: float | None = None
    needed: int | None = None
    verdict: str = ""
    note: str = ""
    pair: Pair | None = field(default=None, repr=False)

    @property
    def time(self) -> bool:
        """Whether a time was compared: then ``change`` is a ratio."""
        return METRICS[self.metric].time

    def remark(self, text: str) -> None:
        """Add to the note."""
        self.note = "; ".join(filter(None, (self.note, text)))

    @property
    def drift(self) -> float:
        """The ratio of two times that says nothing."""
        return BUSY if self.pair is not None and self.pair.design == "repeats" else DRIFT


class Sides(NamedTuple):
    """The rows of one configuration in the baseline and in another table."""

    baseline: Results
    table: Results
    before: list[Row]
    after: list[Row]


class Judged(NamedTuple):
    """A gate, a comparison it was asked of, and whether it holds beyond noise.

    ``state`` is ``holds``, ``does not hold``, ``within noise``, ``underpowered`` or
    ``not comparable``.
    """

    gate: str
    comparison: Comparison
    state: str
    p: float | None = None


@dataclass
class Outcome:
    """What a comparison of tables found.

    Attributes
    ----------
    differences : of each table but the first: what is constant in both and differs.
    """

    baseline: str
    tables: list[str]
    keys: list[str]
    differences: dict[str, dict[str, tuple[str, str]]]
    comparisons: list[Comparison]
    gates: list[Judged]
    notes: list[str]

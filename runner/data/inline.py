"""Data written in the configuration itself."""

from .dataset import Dataset, from_pair


def inline(x: object, t: object = None) -> Dataset:
    """Return nested lists as a dataset whose train and test splits are both everything.

    Integer t are labels, float t regression targets.

    Raises
    ------
    DataError
        If the lists are not as `runner.data.from_arrays` wants them.
    """
    return from_pair(x, t, "inline")

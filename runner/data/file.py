"""Data from a user's own files, whose format is told by their contents."""

from pathlib import Path

from .dataset import Array, DataError, Dataset, from_arrays, from_pair
from .idx import GZIP, open_payload, read_idx
from .npz import NPY, NPZ, read_npy, read_npz
from .source import enough_memory, read_bytes
from .table import read_table

HALVES = ("x_train", "t_train", "x_test", "t_test")


def file(path: Path | str, labels: Path | str | None = None, column: str | None = None) -> Dataset:
    """Return the dataset in a file, or in a pair of files with one array each.

    Parameters
    ----------
    path : path
        An .npz with the arrays x and (optionally) t, or x_train, t_train, x_test and t_test;
        an .npy or IDX file (plain or gzip) of samples; or a CSV file with a header line.
    labels : path, optional
        The .npy or IDX file of labels or targets that goes with an .npy or IDX file.
    column : str, optional
        The column of labels or targets in a CSV file; the last where it is not given.

    Raises
    ------
    DataError
        Naming the file (and the line of a CSV file), if it is malformed, too large, or does not
        hold what `runner.data.from_arrays` wants.
    """
    with enough_memory(path):
        return _dataset(Path(path), labels, column)


def _dataset(path: Path, labels: Path | str | None, column: str | None) -> Dataset:
    contents = read_bytes(path)
    single = _is_array(contents)
    if labels is not None and not single:
        raise DataError(f"{path}: labels: expected none with an .npz or CSV file, got {labels}")
    if column is not None and (single or contents.startswith(NPZ)):
        raise DataError(f"{path}: column: expected none but with a CSV file, got {column!r}")
    if contents.startswith(NPZ):
        return _from_npz(contents, path)
    if not single:
        return from_pair(*read_table(contents, path, column), str(path))
    t = None if labels is None else _read_array(read_bytes(Path(labels)), Path(labels))
    return from_pair(_read_array(contents, path), t, str(path))


def _is_array(contents: bytes) -> bool:
    # No text starts with a zero byte.
    return contents.startswith((NPY, GZIP, b"\0"))


def _read_array(contents: bytes, path: Path) -> Array:
    if contents.startswith(NPY):
        return read_npy(contents, path)
    return read_idx(open_payload(contents, path), path)


def _from_npz(contents: bytes, path: Path) -> Dataset:
    arrays = read_npz(contents, path)
    if set(arrays) == set(HALVES):
        x, t, x_test, t_test = (arrays[name] for name in HALVES)
        return from_arrays(((x, t), (x_test, t_test)), str(path))
    if set(arrays) in ({"x"}, {"x", "t"}):
        return from_pair(arrays["x"], arrays.get("t"), str(path))
    got = ", ".join(sorted(arrays)) or "none"
    raise DataError(f"{path}: expected the arrays x and t or {', '.join(HALVES)}, got {got}")

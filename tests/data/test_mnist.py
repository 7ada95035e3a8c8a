import gzip
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from runner.data import DataError
from runner.data.cache import archive_path, load_cached, unpack
from runner.data.dataset import contents_digest, one_hot, samples, split_digest, transform
from runner.data.mnist import MNIST, mnist
from runner.data.source import sha256

downloads = pytest.mark.promise("A download is right, or one line that lists what every mirror did")
data_files = pytest.mark.promise(
    "A data file that is malformed, damaged or too large is never used"
)

DIGEST = split_digest(MNIST.sha256, 70000, slice(0, 60000), slice(60000, 70000))
# The counts of the book's chapter 3 and of the MNIST page.
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture
def dataset(mnist_dir):
    return mnist(data_dir=mnist_dir)


@pytest.fixture
def links(mnist_dir, tmp_path):
    """A folder of links to the official files, in which a test may replace some."""
    folder = tmp_path / "links"
    folder.mkdir()
    for file in MNIST.files:
        (folder / file.name).symlink_to(mnist_dir / file.name)
    return folder


def unpacked(mnist_dir, file):
    return gzip.decompress((mnist_dir / file.name).read_bytes())


def test_arrays_and_split(dataset):
    assert dataset.x.shape == (70000, 28, 28)
    assert dataset.x.dtype == dataset.t.dtype == np.uint8
    assert (dataset.train, dataset.test) == (slice(0, 60000), slice(60000, 70000))
    assert (dataset.classes, dataset.maximum) == (10, 255.0)
    assert not dataset.x.flags.writeable
    assert not dataset.t.flags.writeable


def test_first_labels_and_counts(dataset):
    _, train = samples(dataset, "train")
    _, test = samples(dataset, "test")
    assert train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(test).tolist() == TEST_COUNTS


def pixel_levels(dtype):
    x = np.arange(256, dtype=np.uint8).reshape(1, 256)
    return transform(x, maximum=255.0, normalize=True, flatten=True, dtype=dtype)[0]


def test_training_pixels(dataset):
    x, _ = samples(dataset, "train")
    counts = np.bincount(x.ravel(), minlength=256)
    # The published values are those of float32 pixels, summed exactly.
    levels = pixel_levels(np.float32).astype(np.float64)
    mean = counts @ levels / counts.sum()
    deviation = np.sqrt(counts @ (levels - mean) ** 2 / counts.sum())
    assert mean == pytest.approx(0.1306604774, abs=1e-10)
    assert deviation == pytest.approx(0.3081078055, abs=1e-10)
    exact = Fraction(int(counts @ np.arange(256)), 255 * int(counts.sum()))
    assert counts @ pixel_levels(np.float64) / counts.sum() == pytest.approx(exact, rel=1e-14)


def test_first_image(dataset):
    image = dataset.x[0]
    assert int(image.sum(dtype=np.int64)) == 27525
    assert np.count_nonzero(image) == 166


def test_the_books_options(dataset):
    x, t = samples(dataset, "test", 100)
    keep = {"maximum": dataset.maximum, "dtype": np.float32}
    flat = transform(x, normalize=True, flatten=True, **keep)
    assert (flat.shape, flat.dtype) == ((100, 784), np.float32)
    assert (flat.min(), flat.max()) == (0.0, 1.0)
    raw = transform(x, normalize=False, flatten=False, **keep)
    assert (raw.shape, raw.dtype, raw.max()) == ((100, 1, 28, 28), np.uint8, 255)
    rows = one_hot(t, 10, np.float32)
    assert rows.shape == (100, 10)
    # The first test label is 7: its 1 is at index 7 (one source has it at 6).
    assert rows[0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert rows.argmax(axis=1).tolist() == t.tolist()


def test_the_constants_of_the_archive(dataset):
    assert contents_digest(dataset.x, dataset.t) == MNIST.sha256
    assert dataset.digest == DIGEST


def test_without_the_subset(mnist_dir, dataset):
    rest = mnist(data_dir=mnist_dir, without_mnist5k=True)
    assert rest.train.dtype.kind == "i"
    assert rest.test == slice(60000, 70000)
    left_out = np.setdiff1d(np.arange(60000), rest.train)
    assert (len(rest.train), len(left_out)) == (55000, 5000)
    assert np.bincount(dataset.t[left_out]).tolist() == [500] * 10
    for digit in range(10):
        members = np.flatnonzero(dataset.t[:60000] == digit)
        assert np.array_equal(members[:500], np.intersect1d(members, left_out))
    assert np.all(np.diff(rest.train) > 0)
    assert rest.digest != dataset.digest


def test_what_is_left_out_is_the_librarys_subset(mnist_dir, library):
    rest = mnist(data_dir=mnist_dir, without_mnist5k=True)
    left_out = np.setdiff1d(np.arange(60000), rest.train)
    ours = np.column_stack([rest.x[left_out].reshape(5000, 784), rest.t[left_out]])
    theirs = np.column_stack(library)
    assert Counter(map(bytes, ours)) == Counter(map(bytes, theirs))
    # In the same order too, class by class.
    assert np.array_equal(ours[np.argsort(ours[:, -1], kind="stable")], theirs)


def test_the_second_load_is_the_mapped_archive(mnist_dir, cache):
    first = mnist(data_dir=mnist_dir)
    assert archive_path(MNIST) == cache / "mnist.npy"
    second = mnist(data_dir=mnist_dir)
    assert isinstance(second.x, np.memmap)
    assert second.digest == first.digest
    assert np.array_equal(first.x, second.x)
    assert isinstance(samples(second, "test", 10)[0], np.memmap)
    assert mnist(mirrors=()).digest == first.digest


@data_files
def test_a_damaged_archive_is_rebuilt(mnist_dir, cache):
    mnist(data_dir=mnist_dir)
    path = archive_path(MNIST)
    contents = bytearray(path.read_bytes())
    contents[30_000_000] ^= 1
    path.write_bytes(contents)
    assert load_cached(MNIST) is None
    rebuilt = mnist(data_dir=mnist_dir)
    assert contents_digest(rebuilt.x, rebuilt.t) == MNIST.sha256
    assert contents_digest(*unpack(MNIST, load_cached(MNIST))) == MNIST.sha256


@pytest.mark.parametrize("dotted", [False, True])
def test_unpacked_files(mnist_dir, tmp_path, dataset, dotted):
    for file in MNIST.files:
        name = file.name.removesuffix(".gz")
        name = name.replace("-idx", ".idx") if dotted else name
        (tmp_path / name).write_bytes(unpacked(mnist_dir, file))
    assert mnist(data_dir=tmp_path).digest == dataset.digest


def test_files_packed_by_another_program(mnist_dir, links, dataset):
    path = links / MNIST.files[3].name
    path.unlink()
    path.write_bytes(gzip.compress(unpacked(mnist_dir, MNIST.files[3]), 1))
    assert mnist(data_dir=str(links)).digest == dataset.digest


def test_no_such_folder(tmp_path):
    folder = tmp_path / "none"
    message = (
        f"{folder}: expected train-images-idx3-ubyte.gz or train-images-idx3-ubyte, "
        "got no such folder"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mnist(data_dir=folder)


@pytest.mark.parametrize("file", MNIST.files, ids=lambda file: file.name)
def test_a_missing_file_is_an_error_even_with_a_full_cache(links, dataset, file):
    (links / file.name).unlink()
    plain = file.name.removesuffix(".gz")
    message = f"{links}: expected {file.name} or {plain}, got none"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mnist(data_dir=links)


@data_files
def test_other_contents_are_named_with_both_digests(mnist_dir, links, dataset):
    file = MNIST.files[2]
    payload = bytearray(unpacked(mnist_dir, file))
    payload[-1] ^= 1
    path = links / file.name
    path.unlink()
    path.write_bytes(gzip.compress(bytes(payload)))
    message = (
        f"{path}: expected MNIST's official contents (SHA-256 65a50cbbf4e9), "
        f"got {sha256(bytes(payload))[:12]}"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mnist(data_dir=links)


@data_files
def test_swapped_files_are_refused(links, mnist_dir, dataset):
    path = links / MNIST.files[3].name
    path.unlink()
    path.symlink_to(mnist_dir / MNIST.files[2].name)
    with pytest.raises(DataError, match=re.escape(f"{path}: expected MNIST's official contents")):
        mnist(data_dir=links)


@data_files
def test_a_cut_file_is_named_with_both_digests_and_the_reason(mnist_dir, links, dataset):
    path = links / MNIST.files[0].name
    contents = path.read_bytes()[:-1]
    path.unlink()
    path.write_bytes(contents)
    message = (
        f"{path}: expected MNIST's official contents (SHA-256 ba891046e650), "
        f"got {sha256(contents)[:12]} packed; {path}: expected a whole gzip stream, got a cut one"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mnist(data_dir=links)


@pytest.fixture
def served(mnist_dir, server):
    server.folder = mnist_dir
    return server


@downloads
def test_download_then_cache(served, cache):
    downloaded = mnist(mirrors=[f"{served.url}/html/", f"{served.url}/good/"])
    assert downloaded.digest == DIGEST
    assert served.asked == [(kind, file.name) for file in MNIST.files for kind in ("html", "good")]
    del served.asked[:]
    assert mnist(mirrors=[f"{served.url}/good/"]).digest == DIGEST
    assert served.asked == []


@data_files
def test_a_damaged_archive_is_rebuilt_from_the_kept_files(served, cache):
    mnist(mirrors=[f"{served.url}/good/"])
    archive_path(MNIST).write_bytes(b"damaged")
    del served.asked[:]
    assert mnist(mirrors=[f"{served.url}/missing/"]).digest == DIGEST
    assert served.asked == []
    assert load_cached(MNIST) is not None


@data_files
def test_only_the_damaged_file_is_fetched_again(served, cache):
    mnist(mirrors=[f"{served.url}/good/"])
    archive_path(MNIST).unlink()
    (cache / "mnist" / MNIST.files[1].name).write_bytes(b"damaged")
    del served.asked[:]
    mnist(mirrors=[f"{served.url}/good/"])
    assert served.asked == [("good", MNIST.files[1].name)]


@downloads
def test_download_without_a_cache(served, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert mnist(mirrors=[f"{served.url}/good/"]).digest == DIGEST


@downloads
def test_all_mirrors_down_is_told(served, cache):
    message = (
        f"{MNIST.files[0].name}: expected it from a mirror, "
        f"got {served.url}/missing/: HTTP 404; {served.url}/cut/: cut off"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mnist(mirrors=[f"{served.url}/missing/", f"{served.url}/cut/"])
    assert not archive_path(MNIST).exists()


@downloads
def test_cold_processes_fetch_each_file_once(served, cache):
    code = (
        f"from runner.data.mnist import mnist; print(mnist(mirrors=['{served.url}/good/']).digest)"
    )
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    assert {process.communicate()[0] for process in processes} == {f"{DIGEST}\n"}
    assert sorted(served.asked) == sorted(("good", file.name) for file in MNIST.files)
    assert sorted(path.name for path in cache.iterdir()) == ["mnist", "mnist.npy"]
    kept = sorted([".lock", *(file.name for file in MNIST.files)])
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == kept

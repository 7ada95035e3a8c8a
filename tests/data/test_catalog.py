import re

import pytest

from runner.data import DATASETS, DataError, Dataset, fetch, verify
from runner.data.mnist import MNIST


@pytest.mark.parametrize("name", ["mnist5k", "digits", "and", "or", "nand", "xor", "curve"])
def test_datasets_that_need_nothing(name):
    assert isinstance(DATASETS[name](), Dataset)


def test_datasets_that_need_something(tmp_path, mnist_dir):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert DATASETS["inline"](x=[[1.0]]).x.shape == (1, 1)
    assert DATASETS["file"](path=tmp_path / "a.csv").x.shape == (1, 1)
    assert DATASETS["mnist"](data_dir=mnist_dir).x.shape == (70000, 28, 28)
    assert len(DATASETS) == 12


@pytest.mark.parametrize("call", [fetch, verify])
def test_only_three_are_kept_in_files(call):
    message = "data: expected one of mnist, fashion_mnist, mnist5k, got 'digits'"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        call("digits")


def test_verify_a_folder(mnist_dir):
    rows = verify("mnist", mnist_dir)
    assert rows == [(file.name, file.size, file.sha256, True) for file in MNIST.files]


def test_verify_tells_missing_and_wrong_files(mnist_dir, tmp_path):
    (tmp_path / MNIST.files[2].name).symlink_to(mnist_dir / MNIST.files[2].name)
    (tmp_path / MNIST.files[3].name).write_bytes(b"wrong")
    rows = {row.file: row for row in verify("mnist", tmp_path)}
    assert [rows[file.name].ok for file in MNIST.files] == [False, False, True, False]
    assert rows[MNIST.files[0].name] == (MNIST.files[0].name, 0, "", False)
    assert rows[MNIST.files[3].name].bytes == 5


def test_verify_without_a_folder(tmp_path):
    folder = tmp_path / "none"
    with pytest.raises(DataError, match=f"^{re.escape(f'{folder}: expected a folder, got none')}$"):
        verify("mnist", folder)
    message = f"data_dir: expected none with mnist5k, got {tmp_path}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        verify("mnist5k", tmp_path)


def test_fetch_mnist(mnist_dir, server, cache):
    server.folder = mnist_dir
    assert [row.ok for row in verify("mnist")] == [False] * 4
    rows = fetch("mnist", mirrors=[f"{server.url}/good/"])
    assert [(row.file, row.ok) for row in rows] == [
        ("mnist.npy", True),
        *((file.name, True) for file in MNIST.files),
    ]


def test_verify_a_cache_with_the_archive_only(mnist_dir, cache):
    DATASETS["mnist"](data_dir=mnist_dir)
    assert [(row.file, row.ok) for row in verify("mnist")] == [("mnist.npy", True)]
    (cache / "mnist.npy").write_bytes(b"damaged")
    assert [row.ok for row in verify("mnist")] == [False] * 5


def test_fetch_mnist5k(cache):
    assert [(row.file, row.ok) for row in fetch("mnist5k")] == [
        ("mnist_5k.csv.gz", True),
        ("mnist5k.npy", True),
    ]


def test_verify_tells_that_the_library_is_another(tmp_path, cache, monkeypatch):
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(b"wrong")
    monkeypatch.setattr("runner.data.catalog.images_file", lambda: path)
    assert [row[:2] + row[3:] for row in verify("mnist5k")] == [("mnist_5k.csv.gz", 5, False)]

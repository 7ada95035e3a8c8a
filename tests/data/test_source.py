import hashlib
import re

import pytest

from runner.data import DataError, source


def test_reads_all(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert source.read_bytes(path) == b"abc"
    assert source.sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_refuses_what_is_no_file(tmp_path):
    for path, got in ((tmp_path / "none", "none"), (tmp_path, "a folder")):
        with pytest.raises(
            DataError, match=f"^{re.escape(f'{path}: expected a file, got {got}')}$"
        ):
            source.read_bytes(path)


def test_refuses_more_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "LIMIT", 1000)
    path = tmp_path / "big"
    path.write_bytes(bytes(1000))
    assert len(source.read_bytes(path)) == 1000
    path.write_bytes(bytes(1001))
    message = f"{path}: expected at most 1,000 bytes, got more"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        source.read_bytes(path)

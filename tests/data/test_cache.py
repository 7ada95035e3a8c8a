import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pooch
import pytest
import xxhash

from runner.data.cache import (
    Archive,
    _wait_for,
    archive_path,
    cache_folder,
    load_cached,
    store,
    unpack,
    workspace,
)

promise = pytest.mark.promise("A data file that is malformed, damaged or too large is never used")

FLAT = np.arange(2 * 3 * 4 + 2, dtype=np.uint8)
TINY = Archive("tiny", (2, 3, 4), xxhash.xxh3_128_hexdigest(FLAT.tobytes()), sha256="")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_folder_is_that_of_pooch():
    assert cache_folder() == pooch.os_cache("runner")


@pytest.mark.skipif(sys.platform != "linux", reason="the variable is Linux's")
def test_the_folder_follows_the_environment_at_call_time(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache" / "runner"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert cache_folder() == tmp_path / "other" / "runner"


def test_what_is_stored_comes_back_mapped_and_read_only():
    assert load_cached(TINY) is None
    store(TINY, FLAT)
    flat = load_cached(TINY)
    assert isinstance(flat, np.memmap)
    assert not flat.flags.writeable
    x, t = unpack(TINY, flat)
    assert np.array_equal(x, np.arange(24).reshape(2, 3, 4))
    assert t.tolist() == [24, 25]
    assert np.shares_memory(x, flat)


def test_the_file_is_an_npy_file_and_nothing_else_is_left():
    store(TINY, FLAT)
    assert np.array_equal(np.load(archive_path(TINY), allow_pickle=False), FLAT)
    assert list(cache_folder().iterdir()) == [archive_path(TINY)]


def broken(contents):
    header = len(contents) - FLAT.size
    yield from (b"", b"\x93NUMPY", contents[:-1], contents + b"\0", bytes(len(contents)))
    for at in (0, 6, 30, header - 1, header, len(contents) - 1):  # magic, version, header, data
        yield contents[:at] + bytes([contents[at] ^ 1]) + contents[at + 1 :]


@promise
def test_no_flipped_bit_goes_unseen(record_property):
    store(TINY, FLAT)
    path = archive_path(TINY)
    good = path.read_bytes()
    for at in range(len(good)):
        changed = bytearray(good)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        assert load_cached(TINY) is None
    path.write_bytes(good)
    assert load_cached(TINY).tolist() == FLAT.tolist()
    record_property("cases", len(good))


@promise
def test_a_file_with_any_fault_is_not_used_and_is_replaced():
    store(TINY, FLAT)
    path = archive_path(TINY)
    good = path.read_bytes()
    for contents in broken(good):
        path.write_bytes(contents)
        assert load_cached(TINY) is None
        store(TINY, FLAT)
        assert path.read_bytes() == good


@promise
def test_other_contents_of_the_same_form_are_not_used():
    store(TINY, FLAT[::-1].copy())
    assert load_cached(TINY) is None


def test_a_folder_in_the_place_of_the_file_is_not_used():
    archive_path(TINY).mkdir(parents=True)
    assert load_cached(TINY) is None
    store(TINY, FLAT)
    assert list(cache_folder().iterdir()) == [archive_path(TINY)]


def test_a_cache_that_cannot_be_written_is_left(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    store(TINY, FLAT)
    assert load_cached(TINY) is None
    with workspace("tiny") as folder:
        (folder / "a").write_text("written all the same")
    assert not folder.exists()


def test_a_file_that_cannot_be_mapped_is_not_used(monkeypatch):
    def unreadable(*_):
        raise OSError

    store(TINY, FLAT)
    monkeypatch.setattr(np, "memmap", unreadable)
    assert load_cached(TINY) is None


def test_what_a_killed_process_left_is_cleared_away():
    folder = cache_folder()
    (folder / "tiny").mkdir(parents=True)
    for name in ("tiny.npy.abc.tmp", "tiny/tmpabc", "tiny/a"):
        (folder / name).write_text("left")
    store(TINY, FLAT)
    with workspace("tiny") as room:
        assert sorted(path.name for path in room.iterdir()) == [".lock", "a"]
    assert sorted(path.name for path in folder.iterdir()) == ["tiny", "tiny.npy"]


def test_a_folder_that_cannot_be_locked_is_not_used(monkeypatch):
    def unable(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("runner.data.cache._wait_for", unable)
    with workspace("tiny") as folder:
        assert folder.is_dir()
        assert cache_folder() not in folder.parents
    assert not folder.exists()


def test_windows_is_asked_for_its_lock_until_it_gives_it(tmp_path, monkeypatch):
    asked = []

    def locking(descriptor, mode, count):
        asked.append((mode, count))
        if len(asked) < 3:  # it gives up after ten seconds
            raise OSError(36, "Resource deadlock avoided")

    module = SimpleNamespace(LK_LOCK=1, locking=locking)
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setattr(sys, "platform", "win32")
    with (tmp_path / "lock").open("ab") as lock:
        _wait_for(lock)
    assert asked == [(1, 1)] * 3


def test_a_workspace_stays():
    with workspace("tiny") as folder:
        (folder / "a").write_text("kept")
    assert folder == cache_folder() / "tiny"
    assert (folder / "a").read_text() == "kept"


TAKE_TURNS = """
import sys, time
from pathlib import Path
from runner.data.cache import workspace
with workspace("tiny") as folder:
    inside = folder / "inside"
    inside.touch(exist_ok=False)
    time.sleep(0.05)
    inside.unlink()
"""


def test_a_workspace_is_one_processes_at_a_time():
    command = [sys.executable, "-c", TAKE_TURNS]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


def test_a_workspace_is_free_again_after_a_crash():
    crash = TAKE_TURNS.replace("inside.unlink()", "inside.unlink(); import os; os._exit(3)")
    assert subprocess.run([sys.executable, "-c", crash], check=False).returncode == 3
    assert subprocess.run([sys.executable, "-c", TAKE_TURNS], check=False).returncode == 0


def test_numpy_reads_the_header_as_it_is_meant():
    store(TINY, FLAT)
    with archive_path(TINY).open("rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        assert np.lib.format.read_array_header_1_0(file) == (FLAT.shape, False, FLAT.dtype)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such thing as a fifo here")
def test_what_would_never_end_is_not_opened():
    cache_folder().mkdir(parents=True)
    os.mkfifo(archive_path(TINY))
    assert load_cached(TINY) is None


def test_a_file_is_whole_before_it_has_its_name_and_is_cleared_away_if_it_never_has(monkeypatch):
    seen = []

    def replace(self, target):
        assert (target, self.parent) == (archive_path(TINY), cache_folder())
        assert self.read_bytes()[-FLAT.size :] == FLAT.tobytes()
        seen.append(self)
        raise OSError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        store(TINY, FLAT)
    assert list(cache_folder().iterdir()) == []
    seen[0].write_text("of a process that was killed")
    store(TINY, FLAT)
    assert list(cache_folder().iterdir()) == [archive_path(TINY)]

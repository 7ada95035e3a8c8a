import os
import re
import subprocess
import sys
import time
from functools import partial

import pytest

from runner.data import DataError
from runner.data.download import download
from runner.data.source import sha256

promise = pytest.mark.promise("A download is right, or one line that lists what every mirror did")

CONTENTS = bytes(range(256)) * 1000
NAME = "images.gz"


@pytest.fixture
def get(server, tmp_path):
    (server.folder / NAME).write_bytes(CONTENTS)
    folder = tmp_path / "got"

    def get(*kinds, **options):
        mirrors = [f"{server.url}/{kind}/" for kind in kinds]
        known = {"size": len(CONTENTS), "sha256": sha256(CONTENTS)}
        return download(NAME, folder, mirrors=mirrors, **(known | options))

    return get


def test_the_first_mirror_is_enough(get, server, tmp_path):
    path = get("good", "good")
    assert path == tmp_path / "got" / NAME
    assert path.read_bytes() == CONTENTS
    assert server.asked == [("good", NAME)]


def test_what_is_there_and_intact_is_not_fetched_again(get, server):
    path = get("good")
    assert get("good") == path
    assert get("missing") == path
    assert len(server.asked) == 1


def test_what_is_there_and_damaged_is_fetched_again(get):
    path = get("good")
    path.write_bytes(CONTENTS[:-1])
    assert get("good").read_bytes() == CONTENTS


@pytest.mark.parametrize("kind", ["encoded", "zealous"])
def test_contents_are_neither_packed_nor_unpacked_on_the_way(get, kind):
    assert get(kind).read_bytes() == CONTENTS


SIZE = f"{len(CONTENTS):,}"
FAILURES = {
    "missing": "HTTP 404",
    "broken": "HTTP 500",
    "empty": f"0 of {SIZE} bytes",
    "mute": "no connection",
    "reset": "cut off",
    "endless_redirect": "neither http nor https",
    "mangled": "ValueError: Port could not be cast to integer value as 'b'",
    "html": f"25 of {SIZE} bytes",
    "wrong": f"other contents (SHA-256 {sha256(bytes(len(CONTENTS)))[:12]}, "
    f"not {sha256(CONTENTS)[:12]})",
    "cut": "cut off",
    "long": f"more than {SIZE} bytes",
    "elsewhere": "neither http nor https",
    "around": "too many redirects",
}


@promise
@pytest.mark.parametrize("kind", FAILURES)
def test_a_mirror_that_fails_is_followed_by_the_next(get, server, kind):
    assert get(kind, "good").read_bytes() == CONTENTS
    assert server.asked[0][0] == kind
    assert server.asked[-1][0] == "good"


@promise
@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_told_and_leaves_nothing(get, server, tmp_path, kind):
    message = f"{NAME}: expected it from a mirror, got {server.url}/{kind}/: {FAILURES[kind]}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        get(kind)
    assert list((tmp_path / "got").iterdir()) == []


@promise
def test_all_mirrors_down_is_one_line_with_each(get, server):
    url = server.url
    message = (
        f"{NAME}: expected it from a mirror, got {url}/missing/: HTTP 404; "
        f"{url}/html/: 25 of {SIZE} bytes; http://127.0.0.1:9/: no connection"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        download(
            NAME,
            server.folder / "new",
            size=len(CONTENTS),
            sha256=sha256(CONTENTS),
            mirrors=[f"{url}/missing/", f"{url}/html/", "http://127.0.0.1:9/"],
        )


@promise
def test_a_file_is_no_mirror(server, tmp_path):
    (server.folder / NAME).write_bytes(CONTENTS)
    with pytest.raises(DataError, match="neither http nor https"):
        download(
            NAME,
            tmp_path,
            size=len(CONTENTS),
            sha256=sha256(CONTENTS),
            mirrors=[f"file://{server.folder}/"],
        )


def test_no_mirrors(get):
    with pytest.raises(DataError, match=r"expected it from a mirror, got no mirror$"):
        get()


@promise
def test_silence_is_not_waited_for(get):
    with pytest.raises(DataError, match=r"/silent/: no answer in time$"):
        get("silent", timeout=0.2)


@promise
@pytest.mark.parametrize("kind", ["drip", "drip_head", "drip_chunks", "patience"])
def test_dripping_is_not_waited_for(get, kind, tmp_path):
    with pytest.raises(DataError, match=rf"/{kind}/: \d+ of {SIZE} bytes in 0.2 s$"):
        get(kind, deadline=0.2)
    good = ["good"] * 20  # on a busy machine the first may be late too
    assert get(kind, *good, deadline=0.5).read_bytes() == CONTENTS
    assert [path.name for path in (tmp_path / "got").iterdir()] == [NAME]


KILLED = """
import sys
from pathlib import Path
from runner.data.cache import workspace
from runner.data.download import download
with workspace("a") as folder:
    size, sha256, *mirrors = sys.argv[1:]
    download("images.gz", folder, size=int(size), sha256=sha256, mirrors=mirrors)
"""


@promise
def test_a_killed_download_needs_no_cleaning(get, server, cache):
    command = [sys.executable, "-c", KILLED, str(len(CONTENTS)), sha256(CONTENTS)]
    slow = subprocess.Popen([*command, f"{server.url}/drip/"])
    while not server.asked:
        assert slow.poll() is None
        time.sleep(0.01)
    slow.kill()
    slow.wait()
    assert len(list(cache.glob("a/tmp*"))) == 1
    assert subprocess.run([*command, f"{server.url}/good/"], check=False).returncode == 0
    assert sorted(path.name for path in (cache / "a").iterdir()) == [".lock", NAME]
    assert (cache / "a" / NAME).read_bytes() == CONTENTS


class Bar:
    def __init__(self, calls, name):
        self.calls, self.total = calls, 0
        calls.append(name)

    def update(self, n):
        self.calls.append(n)

    def close(self):
        self.calls.append(("closed", self.total))


def test_a_bar_is_told_every_byte(get):
    calls = []
    get("good", progress=partial(Bar, calls))
    assert calls[0] == NAME
    assert sum(calls[1:-1]) == len(CONTENTS)
    assert calls[-1] == ("closed", len(CONTENTS))


def test_a_bar_is_closed_after_a_failure(get):
    calls = []
    get("cut", "good", progress=partial(Bar, calls))
    assert calls.count(("closed", len(CONTENTS))) == 2


def test_plain_progress_ends_at_100_percent_and_none_is_silent(get, capfd):
    path = get("good")
    assert capfd.readouterr() == ("", "")
    path.unlink()
    get("good", progress=True)
    assert capfd.readouterr().err.endswith(f"\r{NAME}: 100 %\n")


def test_progress_is_counted_from_nothing(server, tmp_path, capfd):
    (server.folder / "one").write_bytes(b"1")
    mirrors, known = [f"{server.url}/good/"], {"size": 1, "sha256": sha256(b"1")}
    download("one", tmp_path, mirrors=mirrors, progress=True, **known)
    assert capfd.readouterr() == ("", "\rone: 100 %\n")


def test_a_mirror_that_was_left_does_not_keep_the_program(server, tmp_path):
    program = KILLED.replace("mirrors=mirrors", "mirrors=mirrors, deadline=0.2")
    command = [sys.executable, "-c", program, "1", "", f"{server.url}/drip_head/"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.endswith(b"/drip_head/: 0 of 1 bytes in 0.2 s\n")

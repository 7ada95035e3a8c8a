import re
from functools import partial

import pytest

from runner.data import DataError
from runner.data.download import download
from runner.data.source import sha256

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
    "html": f"25 of {SIZE} bytes",
    "wrong": f"other contents (SHA-256 {sha256(bytes(len(CONTENTS)))[:12]}, "
    f"not {sha256(CONTENTS)[:12]})",
    "cut": "cut off",
    "long": f"more than {SIZE} bytes",
    "elsewhere": "neither http nor https",
    "around": "too many redirects",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_mirror_that_fails_is_followed_by_the_next(get, server, kind):
    assert get(kind, "good").read_bytes() == CONTENTS
    assert server.asked[0][0] == kind
    assert server.asked[-1][0] == "good"


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_told_and_leaves_nothing(get, server, tmp_path, kind):
    message = f"{NAME}: expected it from a mirror, got {server.url}/{kind}/: {FAILURES[kind]}"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        get(kind)
    assert list((tmp_path / "got").iterdir()) == []


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


def test_silence_is_not_waited_for(get):
    with pytest.raises(DataError, match=r"/silent/: no answer in time$"):
        get("silent", timeout=0.2)


def test_dripping_is_not_waited_for(get):
    with pytest.raises(DataError, match=rf"/drip/: \d+ of {SIZE} bytes in 0.2 s$"):
        get("drip", deadline=0.2)


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

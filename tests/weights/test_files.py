import errno
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_array

from runner.cli import main
from runner.weights import PRETRAINED, Weights, WeightsError, dumps, from_arrays, read, write
from runner.weights.parameters import LIMIT

promise = pytest.mark.promise(
    "A weight file from anywhere runs no code, crashes nothing, takes no undeclared memory"
)
EDITED = Path(__file__).with_name("edited.py")
EXPECTED = "expected a weight file (safetensors, npz, or the book's pickle), got "


def refused(path, got):
    with pytest.raises(WeightsError, match=f"^{re.escape(f'{path}: {EXPECTED}{got}')}$"):
        read(path)


def test_pretrained_lies_beside_the_module():
    assert PRETRAINED.name == "pretrained.safetensors"
    assert (PRETRAINED.parent / "files.py").is_file()


@pytest.mark.parametrize("ending", ["safetensors", "npz", "pkl", "npy", "txt", ""])
@pytest.mark.parametrize("form", ["safetensors", "npz", "pickle"])
def test_format_is_found_by_content(form, ending, arrays, tmp_path):
    path = tmp_path / f"w.{ending}"
    with path.open("wb") as stream:
        if form == "npz":
            np.savez(stream, **arrays)
        elif form == "pickle":
            pickle.dump(arrays, stream)
        else:
            stream.write(safetensors.numpy.save(arrays))
    assert read(path).digest == from_arrays(arrays, "x").digest
    assert read(str(path)).digest == read(path).digest


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_found_to_be_a_pickle(protocol, arrays, tmp_path):
    (tmp_path / "w").write_bytes(pickle.dumps(arrays, protocol))
    assert read(tmp_path / "w").digest == from_arrays(arrays, "x").digest


BAD = {
    "pickle": (
        b"cos\nsystem\n(Vtrue\ntR.",
        "expected a pickled dict of plain arrays, got a call of os.system",
    ),
    "npz": (b"PK\x03\x04", "expected an npz file of plain arrays, got a damaged zip archive"),
    "safetensors": (
        b"\x02" + bytes(7) + b"{{",
        "expected safetensors, got a header that is not JSON",
    ),
    "neither": (b"hello", EXPECTED + "one that begins with b'hello'"),
}


@promise
@pytest.mark.parametrize("ending", ["pkl", "npz", "npy", "safetensors", "bin"])
@pytest.mark.parametrize("form", BAD)
def test_bad_files_are_told_under_any_ending(form, ending, tmp_path):
    content, message = BAD[form]
    path = tmp_path / f"sample.{ending}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"^{re.escape(f'{path}: {message}')}$"):
        read(path)


@promise
@pytest.mark.parametrize("form", BAD)
def test_bad_files_end_a_run_with_one_line(form, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, message = BAD[form]
    Path("w").write_bytes(content)
    assert main(["dataset=xor", "weights=file", "weights.path=w"]) == 2
    assert capsys.readouterr().err == f"error: command line: weights.path: w: {message}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


@promise
@pytest.mark.parametrize("form", ["pickle", "npz", "safetensors"])
def test_an_edited_file_is_refused_or_means_what_it_means_to_others(
    form, long, tmp_path, record_property
):
    command = [sys.executable, str(EDITED), form, "200000" if long else "2000"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    record_property("cases", report["examples"])
    assert 0 < report["read"] < report["examples"]


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "an empty one"),
        (b"hello, world; hello", "one that begins with b'hello, world; he'"),
        (b"\x1f\x8b\x08\x00", r"one that begins with b'\x1f\x8b\x08\x00'"),
        (
            b"\x93NUMPY\x01\x00",
            "a single npy array; save W1, b1, W2, ... by numpy.savez",
        ),
    ],
)
def test_other_content_is_refused(content, got, tmp_path):
    (tmp_path / "w.pkl").write_bytes(content)
    refused(tmp_path / "w.pkl", got)


def test_missing_file(tmp_path):
    refused(tmp_path / "w.pkl", "no such file")
    refused("nowhere/w.pkl", "no such file")


def test_folder(tmp_path):
    refused(tmp_path, "a folder")


def test_path_that_no_file_can_have():
    refused("a\0b", "a path that no file can have")


def test_unreadable_file(tmp_path, monkeypatch):
    (tmp_path / "w.pkl").write_bytes(b"}.")

    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    refused(tmp_path / "w.pkl", "permission denied")


@promise
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such thing as a fifo here")
def test_what_would_never_end_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "fifo", "something that is no file")
    refused("/dev/zero", "something that is no file")


@promise
def test_too_large_a_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    with path.open("wb") as stream:
        try:
            stream.truncate(LIMIT + 1)  # sparse: it takes no room on the disk
        except OSError as cause:
            pytest.skip(f"no large files here: {cause}")
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened"))
    refused(path, f"a file of {LIMIT + 1} bytes, more than {LIMIT}")


@promise
def test_too_little_memory_is_one_line(arrays, tmp_path, monkeypatch):
    write(tmp_path / "w", from_arrays(arrays, "x"))

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("runner.weights.files.read_safetensors", exhausted)
    refused(tmp_path / "w", "one too large for the memory")


def test_write_replaces_what_was_there(arrays, tmp_path):
    weights = from_arrays(arrays, "x")
    (tmp_path / "w").write_bytes(bytes(10**5))
    write(tmp_path / "w", weights, {"seed": "0"})
    assert (tmp_path / "w").read_bytes() == dumps(weights, {"seed": "0"})
    write(str(tmp_path / "w"), weights)
    assert (tmp_path / "w").read_bytes() == dumps(weights)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scratch")
    yield folder / "w"
    shutil.rmtree(folder)


@st.composite
def networks(draw):
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    numbers = st.floats(width=np.dtype(dtype).itemsize * 8, allow_nan=False, allow_infinity=False)
    pairs = list(pairwise(sizes))
    return Weights(
        tuple(draw(any_array(dtype, pair, elements=numbers)) for pair in pairs),
        tuple(draw(any_array(dtype, pair[1:], elements=numbers)) for pair in pairs),
    )


@given(
    networks(),
    st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))),
)
@settings(max_examples=100, deadline=None, database=None)
def test_what_is_written_is_read(scratch, weights, metadata):
    write(scratch, weights, metadata)
    back = read(scratch)
    assert back.sizes == weights.sizes
    assert back.digest == weights.digest
    for name, array in safetensors.numpy.load_file(scratch).items():
        assert array.tobytes() == back.arrays()[name].tobytes() == weights.arrays()[name].tobytes()


START = [b"", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x04", b"}", b"(", b"\x10" + bytes(7) + b"{"]


@given(st.sampled_from(START), st.binary(max_size=100))
@settings(max_examples=300, deadline=None, database=None)
def test_whatever_the_bytes_nothing_but_a_refusal_is_raised(scratch, start, content):
    scratch.write_bytes(start + content)
    with pytest.raises(WeightsError) as refusal:
        read(scratch)
    assert "\n" not in str(refusal.value)


def test_an_archive_of_nothing_is_an_archive(tmp_path):
    np.savez(tmp_path / "w.npz")
    message = f"{tmp_path / 'w.npz'}: expected W1..Wn with b1..bn or B1..Bn, got no arrays"
    with pytest.raises(WeightsError, match=f"^{re.escape(message)}$"):
        read(tmp_path / "w.npz")

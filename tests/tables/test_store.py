import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xxhash

from runner.tables import store
from runner.tables.strict import read_csv

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def test_folders():
    folder = store.run_folder("out", "0123456789ab", NOW)
    assert folder == Path("out/runs/2026-03-04/05-06-07-000089_0123456789ab")
    assert store.run_id(folder) == "0123456789ab"
    assert store.run_id(Path(store.job_folder("0123456789ab"))) == "0123456789ab"
    assert store.sweep_folder("out", "mine", NOW) == Path("out/sweeps/mine")
    one, two = (store.sweep_folder("out", None, NOW) for _ in range(2))
    assert one.name.startswith("2026-03-04_05-06-07_")
    assert one != two


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    store.write_bytes(path, b"old")

    def fail():
        with store.aside(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def commit(folder):
    files = {"a.csv": b"x\n1\n", "b.npz": store.npz({"y": np.arange(3)})}
    store.commit(folder, {"status": "completed"}, files)


def test_a_run_counts_when_its_record_and_all_files_are_whole(tmp_path):
    commit(tmp_path)
    record = store.read_record(tmp_path)
    assert record["status"] == "completed"
    assert set(record["files"]) == {"a.csv", "b.npz"}


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "run.json").unlink(),
        lambda folder: (folder / "run.json").write_text('{"status": "compl'),
        lambda folder: (folder / "run.json").write_text("{}"),
        lambda folder: (folder / "b.npz").unlink(),
        lambda folder: (folder / "a.csv").write_text("x\n"),
        lambda folder: (folder / "a.csv").write_text("x\n2\n"),
    ],
)
def test_a_run_does_not_count_when_anything_is_torn(tmp_path, harm):
    commit(tmp_path)
    harm(tmp_path)
    assert store.read_record(tmp_path) is None


def test_tables_are_utf8_with_one_line_ending(tmp_path):
    store.write_table(tmp_path / "a.csv", pd.DataFrame({"name": ["값"], "n": [None]}))
    assert (tmp_path / "a.csv").read_bytes() == "name,n\n값,\n".encode()


def test_reading_gives_types_and_leaves_text_alone(tmp_path):
    text = "status,n,accuracy,converged,mine\nNA,7,0.5,True,007\nx,,,,1e5\n"
    (tmp_path / "results.csv").write_text(text, encoding="utf-8")
    table = store.read_table(tmp_path / "results.csv", "results")
    assert table["status"].tolist() == ["NA", "x"]
    assert table["mine"].tolist() == ["007", "1e5"]
    assert table["n"].tolist() == [7, pd.NA]
    assert table["accuracy"].iloc[0] == 0.5
    assert pd.isna(table["accuracy"].iloc[1])
    assert table["converged"].tolist() == [True, pd.NA]


def job(folder, run_id, accuracy):
    path = folder / store.job_folder(run_id)
    table = pd.DataFrame({"run_id": [run_id], "status": ["completed"], "accuracy": [accuracy]})
    files = {"results.csv": table.to_csv(index=False).encode()}
    store.commit(path, {"status": "completed"}, files)
    return path


PLAN = [
    {"run_id": "aa", "optimizer.params.lr": "0.1"},
    {"run_id": "bb", "optimizer.params.lr": '[1, "2"]'},
]


def test_a_sweep_appears_whole_and_once(tmp_path):
    folder = tmp_path / "sweeps" / "mine"
    assert not store.is_sweep(folder)
    assert store.read_plan(folder) == []
    store.create_sweep(folder, PLAN, ["optimizer.params.lr=0.1,0.01"])
    assert store.is_sweep(folder)
    assert json.loads((folder / "command.json").read_text()) == ["optimizer.params.lr=0.1,0.01"]
    assert store.read_command(folder) == ["optimizer.params.lr=0.1,0.01"]
    assert (folder / "plan.csv").read_text().splitlines()[1] == "aa,0.1"
    assert store.read_plan(folder) == PLAN
    with pytest.raises(FileExistsError):
        store.create_sweep(folder, PLAN[:1], [])
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    assert store.read_plan(folder) == PLAN


@pytest.mark.parametrize("content", ["{}", "[1]", "[", '"text"'])
def test_a_command_is_a_list_of_words(tmp_path, content):
    (tmp_path / "command.json").write_text(content)
    with pytest.raises(ValueError, match=r"command.json|Expecting"):
        store.read_command(tmp_path)


def test_a_row_is_that_of_a_run_that_has_ended(tmp_path):
    assert store.read_row(tmp_path / "jobs" / "aa") is None
    path = job(tmp_path, "aa", 0.25)
    row = {"run_id": "aa", "status": "completed", "accuracy": "0.25"}
    assert store.read_row(path) == store.read_ended(path) == row
    (path / "results.csv").write_text("run_id,status,accuracy\naa,completed,0.5\n")
    assert store.read_row(path)["accuracy"] == "0.5"
    assert store.read_ended(path) is None  # not what was written
    for content in (b"", b"run_id\n", b"\xff\xff\n\xff"):
        (path / "results.csv").write_bytes(content)
        assert store.read_row(path) is None
    (path / "results.csv").unlink()
    assert store.read_row(path) is None
    store.forget(path)
    assert store.read_row(path) is None
    store.forget(path)


def test_results_have_the_columns_of_a_run_and_then_the_swept_keys(tmp_path):
    rows = [
        {"run_id": "bb", "accuracy": "0.5", "optimizer.params.lr": "1", "left": "out"},
        {"run_id": "aa", "status": "failed", "error": 'a "b",\nc', "optimizer.params.lr": "2"},
    ]
    store.write_results(tmp_path, rows, ["run_id", "optimizer.params.lr"])
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[0].startswith("schema_version,run_id,status,")
    assert lines[0].endswith(",validation_accuracy,optimizer.params.lr")
    assert store.read_rows(tmp_path / "results.csv")[1]["error"] == 'a "b",\nc'
    table = store.read_table(tmp_path / "results.csv", "results")
    assert table["run_id"].tolist() == ["bb", "aa"]
    assert table["optimizer.params.lr"].tolist() == ["1", "2"]
    assert table["accuracy"].iloc[0] == 0.5
    assert pd.isna(table["accuracy"].iloc[1])
    assert table["status"].tolist() == ["", "failed"]


@pytest.mark.parametrize("text", ["a\rb", "\r", "a\r\nb", 'a"\r"', "\n", ",", '"', "", " a "])
def test_any_text_is_one_cell(tmp_path, text):
    path = tmp_path / "a.csv"
    store.write_rows(path, ["x", text or "y"], [{"x": text, text or "y": 1}, {"x": 2}])
    assert store.read_rows(path) == [{"x": text, text or "y": "1"}, {"x": "2", text or "y": ""}]
    assert read_csv(path)[0]["x"] == text
    assert pd.read_csv(path, dtype=str, keep_default_na=False)["x"].tolist() == [text, "2"]


def test_what_is_to_be_on_the_disk_is_waited_for(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(os.fstat(fd).st_size))
    store.write_bytes(tmp_path / "deep" / "a", b"123")
    assert done == []
    store.write_bytes(tmp_path / "a", b"1234", sync=True)
    assert done == [4]
    done.clear()
    commit(tmp_path)
    assert done == [(tmp_path / "run.json").stat().st_size]


def test_a_record_has_size_and_checksum_of_each_file(tmp_path):
    commit(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["files"]["a.csv"] == [4, xxhash.xxh3_64_hexdigest(b"x\n1\n")]
    assert list(store.damaged(tmp_path, record)) == []
    (tmp_path / "a.csv").write_bytes(b"x\n2\n")
    (tmp_path / "b.npz").unlink()
    (tmp_path / "b.npz").mkdir()
    other = xxhash.xxh3_64_hexdigest(b"x\n2\n")
    found = {name: got for name, _, got in store.damaged(tmp_path, record)}
    assert found == {"a.csv": other, "b.npz": "none"}
    wanted = {name: checksum for name, checksum, _ in store.damaged(tmp_path, record)}
    assert wanted == {name: checksum for name, (_, checksum) in record["files"].items()}


def test_a_checkpoint_is_that_of_its_run(tmp_path):
    checkpoint = store.Checkpoint(tmp_path, "aa")
    assert checkpoint.read() is None
    checkpoint.write({"x": np.arange(3)})
    checkpoint.write({"x": np.arange(4), "y": np.float32(1.5)})
    read = checkpoint.read()
    assert sorted(read) == ["x", "y"]
    np.testing.assert_array_equal(read["x"], np.arange(4))
    assert (read["y"].dtype, float(read["y"])) == (np.float32, 1.5)
    assert store.Checkpoint(tmp_path, "bb").read() is None
    (tmp_path / ".checkpoint.npz.1.00").write_bytes(b"half")
    (tmp_path / "mine.npz").write_bytes(b"whole")
    checkpoint.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]
    checkpoint.remove()


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\x03\x04", store.npz({"x": np.ones(9)})[:-9]]
)
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"to go on from, got \w+(Error|File); remove"):
        store.Checkpoint(tmp_path, "aa").read()
    np.savez(path, run_id="aa", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .* got ValueError; remove it"):
        store.Checkpoint(tmp_path, "aa").read()


def test_a_folder_is_locked_while_somebody_is_in_it(tmp_path):
    folder = tmp_path / "deep" / "job"
    assert not store.locked(folder)
    assert not folder.exists()  # to look leaves no trace
    with store.lock(folder, 0) as free:
        assert free
        assert store.locked(folder)
        with store.lock(folder, 0) as again:
            assert not again
        with store.lock(folder, 0.1) as again:
            assert not again
    assert not store.locked(folder)
    with pytest.raises(OSError, match="full"), store.lock(folder):
        raise OSError("full")
    assert not store.locked(folder)


def test_where_there_are_no_locks_nothing_is_locked(tmp_path, monkeypatch):
    def acquire(self):
        raise NotImplementedError

    monkeypatch.setattr(store.FileLock, "acquire", acquire)
    with store.lock(tmp_path, 0) as free:
        assert free
        assert not store.locked(tmp_path)


@pytest.mark.parametrize("taken", [True, False])
def test_a_sweep_that_another_process_makes_at_the_same_moment(tmp_path, monkeypatch, taken):
    folder = tmp_path / "sweeps" / "mine"

    def rename(self, target):
        if taken:
            target.mkdir()
            (target / "plan.csv").write_text("run_id\naa\n")
        raise OSError("not empty")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(FileExistsError if taken else OSError, match="mine" if taken else "empty"):
        store.create_sweep(folder, PLAN, [])
    assert [path.name for path in folder.parent.iterdir()] == ["mine"] * taken


def test_expectations_are_read_where_there_are_any(tmp_path):
    assert store.read_expectations(tmp_path) == []
    text = "name,held,expected,got,tolerance\naccuracy,False,0.5,0.25,exact\n"
    (tmp_path / "expect.csv").write_text(text)
    (row,) = store.read_expectations(tmp_path)
    expected = {"name": "accuracy", "held": False, "expected": "0.5", "got": "0.25"}
    assert row == expected | {"tolerance": "exact"}


def test_a_forgotten_run_does_not_count(tmp_path):
    commit(tmp_path)
    store.forget(tmp_path)
    assert store.read_record(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.npz"]


def test_a_run_that_is_to_be_run_again_is_known_by_its_status(tmp_path):
    for status, again in (("completed", False), ("diverged", False), ("failed", True)):
        text = f"run_id,status\naa,{status}\n".encode()
        store.commit(tmp_path, {"status": status}, {"results.csv": text})
        row = {"run_id": "aa", "status": status}
        assert store.read_row(tmp_path) == row
        assert store.read_ended(tmp_path) == (None if again else row)


def test_an_empty_folder_is_taken_too(tmp_path):
    folder = tmp_path / "sweeps" / "mine"
    folder.mkdir(parents=True)
    with pytest.raises(FileExistsError):  # a rename would have put the sweep in its place
        store.create_sweep(folder, PLAN, [])
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    assert list(folder.iterdir()) == []


def test_what_is_half_written_is_hidden(tmp_path):
    assert store.job_folder("aa") == "jobs/aa"
    with store.aside(tmp_path / "a.csv") as temporary:
        assert temporary.name.startswith(f".a.csv.{os.getpid()}.")
        temporary.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_record_can_be_read_by_people(tmp_path):
    store.commit(tmp_path, {"cpu": "é"}, {})
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == (
        '{\n  "cpu": "é",\n  "files": {}\n}\n'
    )


def test_whole_numbers_may_be_written_with_a_point(tmp_path):
    (tmp_path / "results.csv").write_text("n,epochs\n7.0,1e2\n,3\n")
    table = store.read_table(tmp_path / "results.csv", "results")
    assert table["n"].tolist() == [7, pd.NA]
    assert table["epochs"].tolist() == [100, 3]


def test_names_that_other_programs_go_by(tmp_path, monkeypatch):
    assert re.fullmatch(
        "2026-03-04_05-06-07_[0-9a-f]{6}", store.sweep_folder("out", None, NOW).name
    )
    with store.lock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        assert store.locked(tmp_path) is True
    assert store.locked(tmp_path / "nowhere") is False
    names, rename = [], Path.rename
    monkeypatch.setattr(Path, "rename", lambda a, b: (names.append(a.name), rename(a, b)))
    store.create_sweep(tmp_path / "mine", PLAN, [])
    assert re.fullmatch(r"\.mine\.[0-9a-f]{8}", names[0])


def test_a_sweep_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(os.fstat(fd).st_size))
    monkeypatch.setattr(Path, "rename", lambda *_: done.append("renamed"))
    store.create_sweep(tmp_path / "mine", PLAN, ["seed=0"])
    plan = len('run_id,optimizer.params.lr\naa,0.1\nbb,"[1, ""2""]"\n')
    assert done == [plan, len('["seed=0"]\n'), "renamed"]


def test_a_mistake_before_anything_is_written_is_the_one_that_is_told(tmp_path):
    with pytest.raises(ZeroDivisionError), store.aside(tmp_path / "a"):
        raise ZeroDivisionError


def test_arrays_of_objects_are_not_written():
    with pytest.raises(ValueError, match=r"^Object arrays cannot be saved"):
        store.npz({"x": np.array([{}])})


def test_what_is_wrong_is_told_with_its_place(tmp_path):
    (tmp_path / "command.json").write_text("{}")
    message = f"{tmp_path / 'command.json'}: not a list of words"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        store.read_command(tmp_path)
    (tmp_path / "checkpoint.npz").write_bytes(b"")
    message = f"{tmp_path / 'checkpoint.npz'}: expected arrays to go on from, got EOFError"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}; remove it to start over$"):
        store.Checkpoint(tmp_path, "aa").read()


def test_what_is_missing_is_empty():
    rows = [{"x": None, "y": float("nan")}, {"x": np.float64("nan"), "y": 0}]
    assert store.csv_text(["x", "y"], rows) == "x,y\n,\n,0\n"


def test_a_row_without_a_record_does_not_count(tmp_path):
    path = job(tmp_path, "aa", 0.25)
    store.forget(path)
    assert (path / "results.csv").exists()
    assert store.read_row(path) is None

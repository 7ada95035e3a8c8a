import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runner.tables import store

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

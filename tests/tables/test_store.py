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
    store.write_table(folder / "a.csv", pd.DataFrame({"x": [1]}))
    store.write_arrays(folder / "b.npz", {"y": np.arange(3)})
    store.commit(folder, {"status": "completed"})


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
    store.write_table(path / "results.csv", table)
    store.commit(path, {"status": "completed"})
    return path


def test_a_sweep_appears_whole_and_once(tmp_path):
    folder = tmp_path / "sweeps" / "mine"
    plan = pd.DataFrame({"run_id": ["aa", "bb"], "optimizer.params.lr": ["0.1", "0.01"]})
    store.create_sweep(folder, plan, ["optimizer.params.lr=0.1,0.01"])
    assert json.loads((folder / "command.json").read_text()) == ["optimizer.params.lr=0.1,0.01"]
    assert (folder / "plan.csv").read_text().splitlines()[1] == "aa,0.1"
    with pytest.raises(FileExistsError):
        store.create_sweep(folder, plan, [])
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_merging_takes_jobs_that_count_in_the_order_of_the_plan(tmp_path):
    folder = tmp_path / "mine"
    plan = pd.DataFrame({"run_id": ["bb", "aa", "cc"], "optimizer.params.lr": ["1", "2", "3"]})
    store.create_sweep(folder, plan, [])
    job(folder, "aa", 0.25)
    job(folder, "bb", 0.5)
    (job(folder, "cc", 0.75) / "run.json").unlink()
    table = store.merge_sweep(folder)
    assert table["run_id"].tolist() == ["bb", "aa"]
    assert table["accuracy"].tolist() == [0.5, 0.25]
    assert table["optimizer.params.lr"].tolist() == ["1", "2"]
    lines = (folder / "results.csv").read_text().splitlines()
    assert lines[0].startswith("schema_version,run_id,status,")
    assert lines[0].endswith(",converged,optimizer.params.lr")

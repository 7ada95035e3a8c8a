"""What is known of jobs while they end."""

import pytest

from runner.sweeps.board import Board
from runner.tables import store

PLAN = [{"run_id": run_id, "lr": lr} for run_id, lr in (("bb", "1"), ("aa", "2"), ("cc", "3"))]


def record(folder, run_id, status="completed", **values):
    path = folder / store.job_folder(run_id)
    row = {"run_id": run_id, "status": status, "duration_seconds": "2.0", **values}
    store.commit(path, {"status": status}, {"results.csv": store.csv_text(row, [row]).encode()})
    return path


def test_what_has_ended_is_taken_once_and_told(tmp_path):
    told = []
    board = Board(tmp_path, PLAN, lambda counts, row: told.append((counts, row)))
    record(tmp_path, "aa", accuracy="0.5")
    board.look(["aa", "bb"])
    board.look(board.plan)
    record(tmp_path, "bb", accuracy="0.25")
    board.look(board.plan)
    assert [row for _, row in told] == [
        {"lr": "2", "status": "completed", "accuracy": "0.5", "error": ""},
        {"lr": "1", "status": "completed", "accuracy": "0.25", "error": ""},
    ]
    assert [counts.done for counts, _ in told] == [1, 2]
    assert [counts.best for counts, _ in told] == [0.5, 0.5]
    assert board.missing == ["cc"]


def test_counts(tmp_path):
    board = Board(tmp_path, PLAN)
    assert board.counts == (0, 3, 0, 0, None, None)
    board.take("aa", {"status": "completed", "duration_seconds": "2.0", "accuracy": "0.5"})
    board.take("bb", {"status": "completed", "duration_seconds": "4.0", "accuracy": ""})
    assert board.counts == (2, 3, 0, 0, 0.5, 3.0)
    board.fail("cc", "OSError:\n  full")
    assert board.counts == (3, 3, 0, 1, 0.5, 3.0)
    assert board.rows["cc"] == {
        "run_id": "cc",
        "lr": "3",
        "schema_version": "1",  # as `runner compare` wants it
        "status": "failed",
        "error": "OSError: full",
    }
    assert board.missing == []


@pytest.mark.parametrize(
    ("status", "again"),
    [("completed", False), ("diverged", False), ("failed", True), ("interrupted", True)],
)
def test_what_would_end_the_same_way_is_reused(tmp_path, status, again):
    record(tmp_path, "aa", status)
    board = Board(tmp_path, PLAN)
    board.reuse()
    assert ("aa" in board.missing) == again
    assert board.counts.reused == board.counts.done == (0 if again else 1)
    assert board.counts.failed == board.failed_before == (1 if status == "diverged" else 0)


def test_a_job_whose_files_are_not_whole_is_run_again(tmp_path):
    path = record(tmp_path, "aa")
    (path / "results.csv").write_text("run_id,status\naa,completed\n")
    board = Board(tmp_path, PLAN)
    board.reuse()
    assert board.missing == ["bb", "aa", "cc"]


def test_the_table_is_in_the_order_of_the_plan(tmp_path):
    board = Board(tmp_path, PLAN)
    for run_id in ("cc", "aa", "bb"):
        record(tmp_path, run_id, accuracy="0.5")
        board.look([run_id])
    board.write()
    table = board.table()
    assert table["run_id"].tolist() == ["bb", "aa", "cc"]
    assert table["lr"].tolist() == ["1", "2", "3"]


def test_a_table_that_grows_is_written_now_and_then(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("runner.sweeps.board.time.monotonic", lambda: now[0])
    board = Board(tmp_path, PLAN)
    written = []
    for seconds, run_id in ((1.0, "bb"), (1.5, "aa"), (0.5, "cc")):
        now[0] += seconds
        record(tmp_path, run_id)
        board.look([run_id])
        path = tmp_path / "results.csv"
        written.append(len(store.read_rows(path)) if path.exists() else 0)
    assert written == [0, 2, 2]


def test_what_another_program_left_undone_is_not_taken(tmp_path):
    board = Board(tmp_path, PLAN)
    record(tmp_path, "aa", "interrupted")
    board.look(["aa"])
    assert "aa" in board.missing
    board.look(["aa"], own=True)
    assert board.rows["aa"]["status"] == "interrupted"
    assert board.counts.failed == 1
    # It has been run after all, and a killed worker's job too.
    board.fail("bb", "killed")
    for run_id in ("aa", "bb"):
        record(tmp_path, run_id, accuracy="0.5")
    board.write()
    assert board.table()["status"].tolist() == ["completed", "completed"]
    assert board.counts == (2, 3, 0, 0, 0.5, 2.0)


def test_a_table_that_cannot_be_written_now_is_written_later(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("runner.sweeps.board.time.monotonic", lambda: now[0])
    board = Board(tmp_path, PLAN)
    record(tmp_path, "aa")
    now[0] += 3
    with monkeypatch.context() as broken:
        broken.setattr(store, "write_results", lambda *args: full())
        board.look(["aa"])
        with pytest.raises(OSError, match="full"):
            board.write()
    assert board.rows["aa"]["status"] == "completed"
    now[0] += 3
    board.look(["aa"])
    assert len(board.table()) == 1


def full():
    raise OSError("full")


def test_who_watches_and_has_gone_stops_no_job(tmp_path):
    def gone(counts, row):
        seen.append(row["status"])
        raise BrokenPipeError

    seen = []
    board = Board(tmp_path, [{"run_id": "aa"}, {"run_id": "bb"}], gone)
    board.fail("aa", "broken")
    board.fail("bb", "broken too")
    assert seen == ["failed"]
    assert board.counts[:4] == (2, 2, 0, 2)

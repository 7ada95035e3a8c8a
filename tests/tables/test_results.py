"""Reading tables: what is damaged is refused by file and line, and text stays text."""

import re

import pytest

from runner.tables import store, strict
from runner.tables.results import number, read_results, swept

HEADER = "schema_version,run_id,status,seed,accuracy,optimizer,lr"
ROW = "1,abc,completed,0,0.9,sgd,0.1"


def written(tmp_path, *lines, end="\n"):
    path = tmp_path / "results.csv"
    path.write_bytes(("\n".join(lines) + end).encode())
    return path


def refused(path, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
        read_results(str(path))


def test_a_table_is_read_as_text(tmp_path):
    names = 'NA,007,1e5,"a ""b"",\nc", x'
    path = written(
        tmp_path, HEADER + ",a,b,c,d,e", f"{ROW},{names}", "1,x,failed,1,,NA,1e5,,,,,None"
    )
    table = read_results(str(path))
    assert table.columns[-6:] == ["lr", "a", "b", "c", "d", "e"]
    first, second = table.rows
    assert [first[name] for name in "abcde"] == ["NA", "007", "1e5", 'a "b",\nc', " x"]
    assert (number(first, "accuracy"), number(second, "accuracy")) == (0.9, None)
    assert second["optimizer"] == "NA"
    assert swept(table.columns) == ["lr", "a", "b", "c", "d", "e"]
    assert table.folder is None
    assert table.environment(first) is table.predictions(first) is None
    assert table.timing(first) == []


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("nan", None), ("-inf", None)])
def test_numbers(tmp_path, text, value):
    path = written(tmp_path, HEADER, f"1,abc,diverged,0,{text},sgd,0.1")
    assert number(read_results(str(path)).rows[0], "accuracy") == value


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER, ROW, "1,abc,completed"], "line 3: expected 7 cells, got 3"),
        ([HEADER, ROW + ",1"], "line 2: expected 7 cells, got 8"),
        ([HEADER, ROW, "", ROW], "line 3: expected 7 cells, got 0"),
        ([HEADER, ROW, HEADER, ROW], "line 3: expected a row, got the header again"),
        ([HEADER + ",lr", ROW + ",1"], "line 1: expected each column once, got 'lr' twice"),
        ([f",{HEADER}", f"0,{ROW}"], "line 1: expected a name for each column, got an empty one"),
        ([HEADER], "line 2: expected a row below the header, got none"),
        ([HEADER, "2" + ROW[1:]], "line 2: schema_version: expected 1, got '2'"),
        ([HEADER, ROW[1:]], "line 2: schema_version: expected 1, got ''"),
        (
            [HEADER.replace("schema_version", "version"), ROW],
            "line 1: expected a column schema_version, got none",
        ),
        ([HEADER, ROW.replace("0.9", "1_0")], "line 2: accuracy: expected a number, got '1_0'"),
        ([HEADER, ROW.replace("0.9", " 0.9")], "line 2: accuracy: expected a number, got ' 0.9'"),
        ([HEADER, ROW.replace(",0,", ",0.5,")], "line 2: seed: expected a whole number, got '0.5'"),
        (
            [HEADER, ROW.replace("completed", "done")],
            "line 2: status: expected one of completed, failed, diverged, interrupted, got 'done'",
        ),
        (
            [HEADER, '1,"a\nb",completed,0,0.9,sgd,1', "x"],
            "line 4: expected 7 cells, got 1",
        ),
        ([HEADER, ROW, '1,"a'], "line 3: expected comma-separated cells: unexpected end of data"),
        ([HEADER, '1,"a"b,'], "line 2: expected comma-separated cells: ',' expected after '\"'"),
        ([HEADER, ROW, "\0"], "line 3: expected text, got a zero byte"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path, lines, message):
    refused(written(tmp_path, *lines), message)


def test_a_row_without_its_end_may_be_cut(tmp_path):
    path = written(tmp_path, HEADER, ROW, end="")
    refused(path, "line 2: expected a whole row, got one without a line end")


def test_a_table_of_this_program_cut_anywhere_is_refused(tmp_path):
    names = HEADER.split(",")
    rows = [dict(zip(names, ROW.split(","), strict=True)) | {"seed": seed} for seed in range(3)]
    whole = store.csv_text(names, rows).encode()
    path = tmp_path / "results.csv"
    row_ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if length in row_ends[1:]:
            assert len(read_results(str(path)).rows) == row_ends.index(length)
        else:
            with pytest.raises(ValueError, match=r"results\.csv: line \d: expected"):
                read_results(str(path))


def test_only_plain_local_files_of_bounded_size_are_read(tmp_path, monkeypatch):
    given = "https://example.org/results.csv"
    with pytest.raises(ValueError, match=f"^{given}: expected a local file or folder, got a URL$"):
        read_results(given)
    expected = "expected a CSV file, or the folder of a run or of a sweep, got none"
    refused(tmp_path / "none.csv", expected)
    (tmp_path / "sweep").mkdir()
    refused(tmp_path / "sweeep", f"{expected}; did you mean {tmp_path / 'sweep'}?")
    (tmp_path / "sweep").rmdir()
    message = "expected the folder of a run or of a sweep, got no results.csv"
    refused(tmp_path, message)
    (tmp_path / "x.csv.gz").write_bytes(b"\x1f\x8b\x08\x00")
    refused(tmp_path / "x.csv.gz", "line 1: expected UTF-8 text, got other bytes")
    path = written(tmp_path, HEADER, ROW)
    monkeypatch.setattr(strict, "LIMIT", 50)
    refused(path, f"expected at most 50 bytes, got {path.stat().st_size}")


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "results.csv").mkdir()
    with pytest.raises(ValueError, match=r"results\.csv: expected a file, got a folder$"):
        read_results(str(tmp_path))


def test_copies_of_a_row_count_once(tmp_path):
    table = read_results(str(written(tmp_path, HEADER, ROW, ROW, ROW.replace("0.9", "0.8"), ROW)))
    assert [row["accuracy"] for row in table.rows] == ["0.9", "0.8"]
    assert table.shortfall() == [f"{table.name}: copies of rows, left out: 2"]


def test_what_a_run_leaves_beside_its_row_may_be_damaged(tmp_path):
    path = written(tmp_path, HEADER, ROW)
    table = read_results(str(tmp_path))
    (tmp_path / "run.json").write_text('{"environment": "x"}')
    assert table.environment(table.rows[0]) is None
    (tmp_path / "timing.csv").write_text("a,b\n1,2\n")
    message = r"timing\.csv: line 1: expected a column phase, got none$"
    with pytest.raises(ValueError, match=message):
        table.timing(table.rows[0])
    (tmp_path / "plan.csv").write_text("a,b\n1,2\n")
    message = r"plan\.csv: line 1: expected a column run_id, got none$"
    with pytest.raises(ValueError, match=message):
        read_results(str(tmp_path))
    assert read_results(str(path)).folder is None


def test_a_sweep_is_read_with_its_plan(tmp_path):
    written(
        tmp_path,
        HEADER + ",epochs",
        "1,a,completed,0,0.9,sgd,,7",
        "1,b,completed,1,0.8,sgd,,9",
    )
    plan = "run_id,config_hash,data_hash,weights_hash,code_version,epochs,seed,x"
    rows = [f"{run_id},,,,,20,{seed},1e5" for seed, run_id in enumerate("abc")]
    (tmp_path / "plan.csv").write_text("\n".join([plan, *rows, ""]))
    table = read_results(str(tmp_path))
    assert [row["epochs"] for row in table.rows] == ["20", "20"]  # not where they stopped
    assert [row["x"] for row in table.rows] == ["1e5", "1e5"]
    assert (table.missing, table.columns[-1]) == (1, "x")
    assert table.shortfall() == [f"{tmp_path}: planned jobs without a row: 1"]
    (tmp_path / "jobs" / "b").mkdir(parents=True)
    (tmp_path / "jobs" / "b" / "run.json").write_text('{"environment": {"cpu": "x"}}')
    assert [table.environment(row) for row in table.rows] == [None, {"cpu": "x"}]


def a_run(folder, run_id):
    folder.mkdir(parents=True)
    content = f"schema_version,run_id,status,seed\n1,{run_id},completed,0\n"
    (folder / "results.csv").write_text(content, encoding="utf-8")
    (folder / "plan.csv").write_text(f"run_id,seed\n{run_id},0\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("run_id", ["../../outside", "../../../{name}/outside"])
def test_a_run_id_leads_nowhere_else(tmp_path, run_id):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "run.json").write_text("{}", encoding="utf-8")
    folder = a_run(tmp_path / "sweep", run_id.format(name=tmp_path.name))
    (folder / "jobs").mkdir()
    table = read_results(str(folder))
    with pytest.raises(ValueError, match=r"expected a file below .*sweep, got one elsewhere"):
        table.environment(table.rows[0])


def test_a_link_out_of_a_run_is_refused_and_one_to_the_run_is_not(tmp_path):
    (tmp_path / "token.yaml").write_text("token: secret\n", encoding="utf-8")
    folder = a_run(tmp_path / "runs" / "one", "abc")
    (folder / "plan.csv").unlink()
    (folder / ".hydra").mkdir()
    (folder / "run.json").write_text('{"environment": {"cpu": "x"}}', encoding="utf-8")
    (folder / ".hydra" / "config.yaml").symlink_to(tmp_path / "token.yaml")
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    table = read_results(str(tmp_path / "link"))
    assert table.environment(table.rows[0]) == {"cpu": "x"}
    with pytest.raises(ValueError, match=r"config\.yaml: expected a file below .*link, got one"):
        table.configuration(table.rows[0])

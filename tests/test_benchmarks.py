"""What the benchmark makes of its measurements; nothing is timed here."""

import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SECONDS = {"project": [1.0, 2.0, 4.0], "pytorch": [3.0, 4.0, 10.0], "textbook": [2.0, 10.0, 12.0]}


@pytest.fixture
def compare(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("compare_engines")


def small(module, engine, threads=1):
    return [
        module.Row(number, threads, engine, "small-sgd", seconds, 0.9, 100.4 + number)
        for number, seconds in enumerate(SECONDS[engine], start=1)
    ]


def cells(text):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]


def test_one_table_has_the_accuracy_beside_every_time(compare):
    rows = [row for engine in SECONDS for row in small(compare, engine)]
    rows += small(compare, "project", 2) + small(compare, "pytorch", 2)[:2]
    head, _, *lines = cells(compare.table(rows))
    assert head == ["case", "engine", "1 thread", "2 threads"]
    assert lines == [
        ["784-50-100-10 SGD", "project", "2 s/epoch, 0.9000", "2 s/epoch, 0.9000"],
        # The medians of 3, 2 and 2.5, and of the first two: a round has been lost.
        ["", "pytorch", "2.50 (>= 2.5), 0.9000", "2.50 (>= 2.2), 0.9000"],
        ["", "textbook", "3.00 (>= 4: no), 0.9000", ""],
        ["peak memory of training", "project", "103 MB", "103 MB"],
        ["", "pytorch", "103 MB", "102 MB"],
        ["", "textbook", "103 MB", ""],
    ]


def test_an_engine_that_fails_loses_nothing_of_the_others(compare, monkeypatch, tmp_path, capsys):
    table, ran = tmp_path / "rows.csv", []

    def run(engine, threads, cases, data_dir, weights_to):
        ran.append((engine, len(table.read_text().splitlines())))
        row = {"case": "small-sgd", "seconds": 1.5, "accuracy": 0.9, "peak_mb": None}
        code, error = (1, "no such thing\n") if engine == "textbook" else (0, "")
        return subprocess.CompletedProcess([], code, json.dumps(row) + "\n", error)

    monkeypatch.setattr(compare, "run", run)
    words = "--rounds 2 --threads 1 --only small-sgd --engines textbook book --csv"
    monkeypatch.setattr(sys, "argv", ["compare_engines.py", *words.split(), str(table)])
    with pytest.raises(SystemExit, match=r"^textbook failed: no such thing$"):
        compare.main()
    # What had been measured was on the disk before the next engine started.
    assert ran == [("project", 1), ("textbook", 2), ("book", 3), ("project", 4), ("book", 5)]
    with table.open(newline="", encoding="utf-8") as file:
        measured = [(row["round"], row["engine"], row["seconds"]) for row in csv.DictReader(file)]
    engines = [("1", "project"), ("1", "textbook"), ("1", "book"), ("2", "project"), ("2", "book")]
    assert measured == [(*engine, "1.5") for engine in engines]
    assert "| book " in capsys.readouterr().out


def test_published_rows_go_into_table_page_and_picture(tmp_path, monkeypatch):
    import runner

    monkeypatch.syspath_prepend(BENCHMARKS)
    module = importlib.import_module("published")
    places = {"TABLE": "published.csv", "PAGE": "published.md", "PICTURE": "images/published.png"}
    for name, place in places.items():
        monkeypatch.setattr(module, name, tmp_path / place)
    (tmp_path / "published.md").write_text(f"# Mine\n{module.MARK}old")
    before = dict.fromkeys(module.COLUMNS, "1") | {"experiment": "saito_book_net", "error": "2.30"}
    lines = (",".join(before), ",".join(before.values()), "")
    (tmp_path / "published.csv").write_text("\n".join(lines))
    rows = "published/lecun1998_linear,published/lecun1998_linear_deskewed"
    words = [f"experiment={rows}", "dataset=digits", "epochs=1", "seed=0,1"]
    table = runner.sweep([*words, f"output_dir={tmp_path}", "sweep.name=s"])
    monkeypatch.setattr(sys, "argv", ["published.py", str(tmp_path / "sweeps" / "s")])
    module.main()
    row, _, kept = csv.DictReader((tmp_path / "published.csv").read_text().splitlines())
    assert (kept["experiment"], kept["error"]) == ("saito_book_net", "2.30")
    table = table[table["experiment"] == "published/lecun1998_linear"]
    errors = 100 * (1 - table["accuracy"])
    assert (row["experiment"], row["published"], row["target"]) == (
        "lecun1998_linear",
        "12.0",
        "8.0",
    )
    assert float(row["error"]) == pytest.approx(errors.mean(), abs=0.005)
    assert float(row["std"]) == pytest.approx(errors.std(), abs=0.005)
    assert [float(word) for word in row["errors"].split()] == pytest.approx(list(errors), abs=0.005)
    page = (tmp_path / "published.md").read_text()
    assert page.startswith(f"# Mine\n{module.MARK}\n## Linear")
    assert f"**{row['error']}**" in page
    assert (tmp_path / "images/published.png").read_bytes().startswith(b"\x89PNG")

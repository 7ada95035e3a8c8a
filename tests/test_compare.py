"""compare and summarize as a user meets them, on sweeps and runs that the program has made."""

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from runner.cli import main

TRAIN = ["task=training", "dataset=digits", "epochs=2"]


def run(*words):
    assert main([*words]) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with sweeps and single runs."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("-m", *TRAIN, "optimizer=sgd,adam", "sweep.replicates=4", "sweep.name=both")
        for name, lr in (("good", 0.1), ("bad", 0.02)):
            lr = f"optimizer.params.lr={lr}"
            run("-m", *TRAIN, lr, "sweep.replicates=6", f"sweep.name={name}")
        run("-m", *TRAIN, "sweep.replicates=2", "optimizer.params.lr=0.02", "sweep.name=two")
        for words in (["output_dir=one"], ["output_dir=other", "activation=sigmoid"]):
            run("dataset.limit=500", "timing.repeats=3", *words)
    return folder


@pytest.fixture
def here(made, monkeypatch, capsys):
    monkeypatch.chdir(made)
    capsys.readouterr()  # what fixtures printed
    return made


GOOD, BAD, TWO, BOTH = (f"outputs/sweeps/{name}" for name in ("good", "bad", "two", "both"))
GATE = ["--fail-if", "accuracy < baseline - 0.002"]


def single(folder, name):
    (found,) = (folder / name).glob("runs/*/*")
    return str(found)


def accuracies(folder, name):
    table = pd.read_csv(folder / name / "results.csv").sort_values("seed")
    return table["accuracy"].to_numpy()


@pytest.mark.parametrize("name", [GOOD, BOTH, f"{BOTH}/results.csv", "one"])
def test_a_table_is_not_different_from_itself(here, capsys, name):
    name = single(here, name) if name == "one" else name
    assert main(["compare", name, name, *GATE]) == 0
    out = capsys.readouterr().out
    assert "no difference" in out
    assert not re.search("better|worse|underpowered|not comparable|gate", out)


def test_a_true_drop_fails_the_gate_which_is_named(here, capsys):
    a, b = accuracies(here, GOOD), accuracies(here, BAD)
    assert (a - b).mean() > 0.02
    assert main(["compare", GOOD, BAD, "--metric", "accuracy", *GATE]) == 1
    out = capsys.readouterr().out
    assert "optimizer.params.lr: 0.1 -> 0.02" in out
    assert "gate holds: accuracy < baseline - 0.002: outputs/sweeps/bad: accuracy" in out
    assert re.search(r"accuracy +worse", out)
    assert out.rstrip().splitlines()[-2].strip() == "worse"
    assert main(["compare", BAD, GOOD, *GATE]) == 0


def test_two_seeds_are_underpowered(here, capsys):
    assert main(["compare", GOOD, TWO, "--metric", "accuracy", *GATE]) == 0
    out = capsys.readouterr().out
    assert re.search(r"accuracy +underpowered \(\d+\)", out)
    assert "underpowered (n): n replicates would do for the difference seen" in out
    assert "gate underpowered: accuracy < baseline - 0.002" in out


def test_json_and_csv_hold_the_numbers_of_scipy(here, capsys):
    a, b = accuracies(here, GOOD), accuracies(here, BAD)
    expected = scipy.stats.ttest_rel(b, a)
    words = ["compare", GOOD, BAD, "--metric", "accuracy,test_loss", *GATE, "--format"]
    assert main([*words, "json"]) == 1
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    row = content["comparisons"][0]
    assert row["change"] == pytest.approx((b - a).mean(), rel=1e-12)
    assert row["p"] == pytest.approx(expected.pvalue, rel=1e-10)
    interval = expected.confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx(tuple(interval), rel=1e-10)
    assert content["differences"][BAD]["optimizer.params.lr"] == {
        "baseline": "0.1",
        "value": "0.02",
    }
    assert content["gates"][0]["state"] == "holds"
    assert captured.err.startswith("gate holds: ")
    assert main([*words, "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["metric"] for row in rows] == ["accuracy", "test_loss"]
    assert float(rows[0]["p"]) == row["p"]
    assert [row["verdict"] for row in rows] == ["worse", "worse"]


def test_markdown_and_latex(here, capsys):
    assert main(["compare", BOTH, BOTH, "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| optimizer.choice | metric | verdict | baseline | value |")
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + 4
    assert main(["compare", BOTH, BOTH, "--format", "latex"]) == 0
    out = capsys.readouterr().out
    assert r"sgd & fit\_seconds & no difference &" in out


def test_single_runs_are_compared_by_their_decisions(here, capsys):
    a, b = single(here, "one"), single(here, "other")
    assert main(["compare", a, b, "--metric", "accuracy", "--format", "json"]) == 0
    row = json.loads(capsys.readouterr().out)["comparisons"][0]
    decided = [np.load(f"{name}/predictions.npz") for name in (a, b)]
    right = [run["predicted"] == run["t"] for run in decided]
    gained, lost = int(np.sum(right[1] & ~right[0])), int(np.sum(right[0] & ~right[1]))
    expected = scipy.stats.binomtest(gained, gained + lost).pvalue
    assert row["p"] == pytest.approx(expected, rel=1e-10)
    assert (row["method"], row["n"], row["verdict"]) == ("McNemar", 500, "worse")


def test_times_of_other_threads_are_not_compared_unless_asked_for(here, capsys):
    table = pd.read_csv(here / GOOD / "results.csv", dtype=str)
    table.assign(threads="2").to_csv(here / "threads.csv", index=False, lineterminator="\n")
    words = ["compare", f"{GOOD}/results.csv", "threads.csv", "--metric", "fit_seconds"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "threads: 1 -> 2" in out
    assert "fit_seconds: machine not recorded; other threads 1 / 2" in out
    assert out.rstrip().endswith("not comparable")
    assert main([*words, "--any-machine"]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main([*words, "--fail-if", "fit_seconds > 2 * baseline"]) == 2
    error = "compare: --fail-if: expected values that can be compared, got machine not recorded"
    assert error in capsys.readouterr().err


def test_three_tables(here, capsys):
    assert main(["compare", GOOD, BAD, GOOD, "--metric", "accuracy", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["verdict"] for row in rows] == ["worse", "no difference"]


@pytest.mark.parametrize("form", ["csv", "markdown", "latex"])
def test_what_is_missing_is_said_beside_a_table(here, capsys, form):
    table = pd.read_csv(here / BOTH / "results.csv", dtype=str)
    table.loc[table.index[-1], "status"] = "failed"
    half = table[table["optimizer.choice"] == "adam"]
    half.to_csv(here / "half.csv", index=False, lineterminator="\n")
    assert main(["compare", BOTH, "half.csv", "--metric", "accuracy", "--format", form]) == 0
    assert capsys.readouterr().err.splitlines()[:3] == [
        "half.csv: 1 failed",
        f"1 of {BOTH} not in half.csv: sgd",
        "accuracy: 1 of 8 rows without it; seeds without a partner: 1",
    ]
    assert main(["summarize", "half.csv", "--format", form]) == 0
    assert capsys.readouterr().err == "half.csv: 1 failed\n"


def test_a_sweep_is_summarized_and_ranked(here, capsys):
    assert main(["summarize", BOTH, "--by", "optimizer.choice", "--format", "json"]) == 0
    found = {
        row["optimizer.choice"]: row for row in json.loads(capsys.readouterr().out)["summaries"]
    }
    summary = pd.read_csv(here / BOTH / "summary.csv").set_index("optimizer.choice")
    assert set(found) == set(summary.index) == {"sgd", "adam"}
    for name, row in found.items():
        for key in ("mean", "std", "median", "low", "high"):
            assert row[key] == pytest.approx(summary.loc[name, f"accuracy_{key}"], rel=1e-12)
        assert row["n"] == 4
    assert main(["summarize", BOTH, "--metric", "accuracy", "--metric", "test_loss"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line.split()[:1] in (["sgd"], ["adam"])]
    assert "rank" in lines[1]
    for form in ("csv", "markdown", "latex"):
        assert main(["summarize", BOTH, "--format", form]) == 0
        assert "adam" in capsys.readouterr().out


def test_summaries_of_two_replicates_are_ties(here, capsys):
    table = pd.read_csv(here / BOTH / "results.csv", dtype=str)
    table[table["seed"] < "2"].to_csv(here / "few.csv", index=False, lineterminator="\n")
    assert main(["summarize", "few.csv"]) == 0
    out = capsys.readouterr().out
    assert out.count(" 1-2 ") == 2
    assert "ranks that overlap are ties: the runs cannot separate them" in out


MISTAKES = {
    "compare": "command line: runner compare: the following arguments are required: TABLE",
    f"compare {GOOD}": f"command line: compare: expected two tables or more, got {GOOD}",
    f"compare {GOOD} {BAD} --format pdf": "compare: --format: expected one of csv, json, "
    "latex, markdown, terminal, got pdf",
    f"compare {GOOD} {BAD} --metric acuracy": "compare: --metric: expected one of accuracy, "
    "test_loss, train_accuracy, epochs, images_per_second, inference_seconds, fit_seconds, "
    "duration_seconds, got acuracy; did you mean accuracy?",
    f"compare {GOOD} {BAD} --fail-if accuracy": "compare: --fail-if: expected <, <=, > or >=, got "
    "the end at position 9 of 'accuracy'",
    f"compare {GOOD} {BAD} --fail-if accuracy/0<1": "compare: --fail-if: expected no division by "
    "zero, got 'accuracy/0<1'",
    f"compare {GOOD} nowhere": "compare: nowhere: expected a CSV file, or the "
    "folder of a run or of a sweep, got none",
    f"compare {GOOD} http://x/y.csv": "compare: http://x/y.csv: expected a local file or folder, "
    "got a URL",
    f"compare {GOOD} outputs": "compare: outputs: expected the folder of a run or of a sweep, got "
    "no results.csv",
    f"compare {GOOD} {GOOD}/summary.csv": f"compare: {GOOD}/summary.csv: line 1: expected a column "
    "schema_version, got none",
    "summarize": "command line: runner summarize: the following arguments are required: DIR",
    f"summarize {BOTH} --by optimzer.choice": f"summarize: {BOTH}: expected columns "
    "(optimizer.choice), got optimzer.choice; did you mean optimizer.choice?",
    f"summarize {BOTH} --metric loss": "summarize: --metric: expected one of",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line(here, capsys, words):
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    quotes = str.maketrans("", "", "'")  # newer versions of Python quote choices
    assert line.translate(quotes).startswith(f"error: {MISTAKES[words]}".translate(quotes))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise")
def test_a_table_of_ten_thousand_rows_is_small_in_memory(tmp_path, made):
    row = pd.read_csv(made / GOOD / "results.csv", dtype=str).iloc[:1]
    table = pd.concat([row] * 10_000, ignore_index=True)
    table["lr"] = np.repeat(np.arange(1000), 10).astype(str)
    table["seed"] = np.tile(np.arange(10), 1000).astype(str)
    table["accuracy"] = np.random.default_rng(0).normal(0.9, 0.01, 10_000)
    table.to_csv(tmp_path / "a.csv", index=False, lineterminator="\n")
    code = (
        "import sys\nfrom runner.cli import main\nstatus = main(sys.argv[1:])\n"
        "print([line for line in open('/proc/self/status') if line[:5] == 'VmHWM'][0], status)"
    )
    command = [sys.executable, "-c", code, "compare", "a.csv", "a.csv"]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    kilobytes, _, status = out.stdout.split()[-3:]
    assert (status, int(kilobytes) <= 300_000) == ("0", True)
    assert "2,000 no difference" in out.stdout

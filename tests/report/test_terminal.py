import io
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from runner.report import terminal
from runner.tables.columns import frame
from runner.tables.summarize import Counts


def printed(show):
    console = Console(file=io.StringIO(), width=120)
    show(console)
    return console.file.getvalue()


ROW = {"task": "inference", "network": "2-1", "activation": "", "output": "step"}
TIMES = [0.5, 0.25, 1.0]


def tables():
    accuracy = {"split": "test", "class": "[red]all", "n": 4000, "correct": 3000}
    interval = {"accuracy": 0.75, "accuracy_low": 0.7, "accuracy_high": 0.8, "loss": None}
    timing = [
        {"phase": "inference", "batch_size": 10, "repeat": i, "items": 1000, "seconds": seconds}
        for i, seconds in enumerate(TIMES)
    ]
    return {
        "accuracy": frame("accuracy", [accuracy | interval]),
        "timing": frame("timing", [{"phase": "load", "items": 3, "seconds": 2.0}, *timing]),
    }


def test_a_run_is_shown_with_medians_and_without_markup():
    row = ROW | {"dataset": "and[/]", "seed": 3}
    text = printed(lambda console: terminal.show_run(row, tables(), Path("runs/x[b]"), console))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "inference 2-1 step on and[/], seed 3" in lines
    assert "test [red]all 4,000 3,000 0.7500 0.7000 to 0.8000" in lines
    assert "inference 10 3 0.500000 2,000" in lines
    assert "load 1 2.000000 2" in lines
    assert lines[-1] == str(Path("runs/x[b]"))


def test_an_untimed_phase_has_no_speed():
    timing = frame("timing", [{"phase": "build", "items": 3, "seconds": 0.0}])
    text = printed(lambda console: console.print(terminal.timing(timing)))
    assert "build 1 0.000000" in " ".join(text.split())


def test_the_last_epochs_are_shown():
    rows = [{"epoch": epoch, "train_loss": 1 / epoch} for epoch in range(1, 9)]
    text = printed(lambda console: console.print(terminal.history(frame("history", rows))))
    shown = [
        line.split() for line in text.splitlines() if line.split()[:1] and line.split()[0].isdigit()
    ]
    assert [words[0] for words in shown] == ["4", "5", "6", "7", "8"]
    assert shown[-1][1] == "0.1250"


def test_a_sweep_names_what_failed_and_why():
    rows = [
        {"run_id": "aa", "status": "completed", "n": 4, "accuracy": 0.5},
        {"run_id": "bb", "status": "failed", "error": "RuntimeError: [boom]"},
    ]
    table = frame("results", rows).assign(**{"optimizer.params.lr": ["1", "2"]})
    lines = ["bb: failed: RuntimeError: [boom]"]
    counts = Counts(done=2, total=3, reused=1, failed=1, best=0.5, seconds=1.0)
    text = printed(lambda console: terminal.show_sweep(table, counts, Path("s"), console, lines))
    assert "bb: failed: RuntimeError: [boom]" in text
    assert "1 of 3 jobs completed: 1 run, 1 reused, 1 failed" in text
    assert "runner resume s" in text
    assert "optimizer.params.lr" in text


def test_progress_is_a_bar_on_a_terminal_alone():
    plain, live = (Console(file=io.StringIO(), force_terminal=on, width=80) for on in (False, True))
    for console in (plain, live):
        with terminal.progress_bar(console) as progress:
            progress(1, 2, "epoch 1")
    assert plain.file.getvalue() == ""
    assert "epoch 1" in live.file.getvalue()


def test_paths_below_the_current_folder_are_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert terminal.shown(tmp_path / "a") == "a"
    assert terminal.shown(tmp_path.parent) == str(tmp_path.parent)


def test_missing_numbers_are_empty():
    assert terminal.digits(None) == terminal.digits(float("nan")) == terminal.digits(pd.NA) == ""
    assert terminal.whole(None) == terminal.whole(float("nan")) == terminal.whole(pd.NA) == ""


def test_an_image_is_dark_where_it_is_large():
    image = np.array([[0, 255, 0], [128, 255, 0], [0, 0, 0]], np.uint8)
    assert terminal.picture(image) == "  @@\n++@@\n"  # 128/255 is the fifth of nine shades
    assert terminal.picture(np.zeros((2, 2))) == "\n"

import re

import pytest

from runner.tables.matching import differing, grouped, matching_keys, unmatched
from runner.tables.results import Results

BASE = {"run_id": "r", "status": "completed", "seed": "0", "epochs": "3", "optimizer": "sgd"}


def table(name, *rows):
    rows = [BASE | row for row in rows]
    return Results(name, rows, list(rows[0]))


def test_keys_are_the_columns_that_vary_within_a_table_but_the_seed():
    a = table("a", {"lr": "1", "seed": "0", "x": "1"}, {"lr": "2", "seed": "1", "x": "1"})
    b = table("b", {"lr": "1", "x": "2"})
    assert matching_keys([a, b]) == ["lr"]
    assert matching_keys([b, b]) == []


def test_a_choice_stands_for_its_group_where_every_table_has_it():
    rows = [{"optimizer": "sgd", "optimizer.choice": "sgd"}, {"optimizer.choice": "mine"}]
    a, b = table("a", *rows), table("b", {"optimizer": "adam"})
    rows[1]["optimizer"] = "adam"
    assert matching_keys([table("a", *rows)]) == ["optimizer.choice"]
    assert matching_keys([table("a", *rows), b]) == ["optimizer"]
    with pytest.raises(ValueError, match=r"expected a column optimizer\.choice, which varies in a"):
        matching_keys([a, b])  # two of one name, which b cannot tell apart


def test_what_follows_from_swept_keys_is_no_key():
    rows = [
        {"network.hidden": f"[{size}]", "network": f"64-{size}-10", "optimizer": name}
        for size in (50, 100)
        for name in ("sgd", "adam")
    ]
    wide = [row | {"network": row["network"].replace("64", "784")} for row in rows]
    a, b = table("a", *rows), table("b", *wide)
    assert matching_keys([a, b]) == ["optimizer", "network.hidden"]


def test_a_single_run_has_the_swept_keys_in_its_configuration(tmp_path):
    (tmp_path / ".hydra").mkdir()
    text = "optimizer:\n  params: {lr: 0.1}\nnetwork:\n  hidden: [50, 100]\n"
    (tmp_path / ".hydra" / "config.yaml").write_text(text)
    rows = [{"optimizer.params.lr": lr, "network.hidden": "[50, 100]"} for lr in ("0.1", "0.2")]
    run, sweep = table("run", {}), table("sweep", *rows)
    run.folder = tmp_path
    assert matching_keys([run, sweep]) == ["optimizer.params.lr"]
    assert run.rows[0]["optimizer.params.lr"] == "0.1"
    assert run.columns[-2:] == ["optimizer.params.lr", "network.hidden"]


def test_its_values_are_written_as_a_sweep_writes_them(tmp_path):
    (tmp_path / ".hydra").mkdir()
    text = "network:\n  hidden: [50, 100]\ntraining:\n  max_norm: null\n"
    (tmp_path / ".hydra" / "config.yaml").write_text(text)
    cells = (("[50,100]", "null"), ("[50]", "3"))
    rows = [{"network.hidden": hidden, "training.max_norm": norm} for hidden, norm in cells]
    run, sweep = table("run", {}), table("sweep", *rows)
    run.folder = tmp_path
    keys = matching_keys([sweep, run])
    assert keys == ["network.hidden", "training.max_norm"]
    assert [*grouped(run, keys)] == [("[50,100]", "null")]


def test_a_column_that_varies_must_be_in_every_table():
    a, b = table("a", {"lr": "1"}, {"lr": "2"}), table("b", {})
    message = "b: line 1: expected a column lr, which varies in a, got none"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        matching_keys([a, b])


def test_epochs_are_a_key_where_they_were_swept_not_where_runs_stopped_by_themselves():
    stopped = table("a", {"seed": "0", "epochs": "3"}, {"seed": "1", "epochs": "5"})
    assert matching_keys([stopped]) == []
    rows = [{"seed": seed, "epochs": epochs} for seed in "01" for epochs in "35"]
    assert matching_keys([table("a", *rows)]) == ["epochs"]


def test_what_is_constant_in_both_and_differs():
    a = table("a", {"lr": "1", "seed": "0", "n": "10"}, {"lr": "1", "seed": "1", "n": "10"})
    b = table("b", {"lr": "2", "n": "10", "epochs": "4"}, {"lr": "2", "seed": "1", "epochs": "4"})
    assert differing(a, b, []) == {"lr": ("1", "2"), "epochs": ("3", "4")}
    assert differing(a, a, []) == {}


def test_a_configuration_that_no_column_tells_is_told_by_its_hash():
    a, b = table("a", {"config_hash": "1"}), table("b", {"config_hash": "2"})
    assert differing(a, b, []) == {"config_hash": ("1", "2")}


def test_configurations_of_one_table_alone_are_named():
    a, b = table("a", {}), table("b", {})
    notes = unmatched(a, b, [("1", "x"), ("2", "x")], [("1", "x"), ("3", "")])
    assert notes == ["1 of a not in b: 2/x", "1 of b not in a: 3/"]

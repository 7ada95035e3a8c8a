import pytest

from runner.tables.columns import TABLES, frame, json_schema

RESULTS = (
    "schema_version, run_id, status, task, dataset, network, activation, output, loss, optimizer, "
    "batch_size, seed, n, correct, accuracy, accuracy_low, accuracy_high, test_loss, "
    "train_accuracy, epochs, parameters, fit_seconds, inference_seconds, images_per_second, "
    "threads, started_at, duration_seconds, config_hash, data_hash, weights_hash, code_version, "
    "error, converged, validation_accuracy"
)
DESIGN = {
    "results": RESULTS,
    "accuracy": "split, class, n, correct, accuracy, accuracy_low, accuracy_high, loss",
    "timing": "phase, batch_size, repeat, items, seconds, items_per_second",
    "shapes": "order, name, shape, dtype, mean, std",
    "history": "epoch, train_loss, train_accuracy, test_loss, test_accuracy, updates, seconds, lr, "
    "error, validation_loss, validation_accuracy",
    "expect": "name, held, expected, got, tolerance",
}


@pytest.mark.parametrize("table", DESIGN)
def test_columns_are_those_of_the_contract(table):
    assert ", ".join(frame(table, []).columns) == DESIGN[table]


def test_missing_integers_stay_empty_and_others_whole():
    table = frame("timing", [{"repeat": 1, "batch_size": None}, {"repeat": 2, "batch_size": 7}])
    lines = table.to_csv(index=False, lineterminator="\n").splitlines()
    assert lines[1:] == [",,1,,,", ",7,2,,,"]


def test_refuses_a_column_that_the_table_has_not():
    with pytest.raises(KeyError, match="timing has no column \\['speed'\\]"):
        frame("timing", [{"speed": 1}])


def test_schema_describes_every_column():
    schema = json_schema()["$defs"]
    assert set(schema) == {f"{name}.csv" for name in TABLES}
    for name, columns in TABLES.items():
        assert list(schema[f"{name}.csv"]["properties"]) == [column.name for column in columns]

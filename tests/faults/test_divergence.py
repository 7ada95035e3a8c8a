"""What is no longer finite ends a run as diverged, without an accuracy."""

import numpy as np
import pandas as pd
import pytest

from runner.cli import main
from runner.tables import store

TRAINING = ["task=training", "dataset=digits", "dataset.limit=200", "epochs=3", "figures=none"]
BIG = ["dataset=inline", "dataset.params.x=[[1e30,1],[1,1e30],[-1e30,3]]"]
BIG += ["dataset.params.t=[0,1,0]"]
LINEAR = ["+weights.params.W1=[[1e30,-1e30],[1,2]]", "+weights.params.b1=[0,0]"]
LINEAR += ["weights=inline", "network.hidden=[]"]
CASES = {
    "squared error": [*TRAINING, "output=identity", "loss=sum_squares", "optimizer.params.lr=1e9"],
    "cross entropy": [*TRAINING, "optimizer.params.lr=1e9"],
    "float64": [*TRAINING, "dtype=float64", "optimizer.params.lr=1e200"],
    "momentum": [*TRAINING, "optimizer=momentum", "optimizer.params.lr=1e9"],
    "nesterov": [*TRAINING, "optimizer=nesterov", "optimizer.params.lr=1e9"],
    "adagrad": [*TRAINING, "optimizer=adagrad", "optimizer.params.lr=1e30"],
    "rmsprop": [*TRAINING, "optimizer=rmsprop", "optimizer.params.lr=1e30"],
    "adam": [*TRAINING, "optimizer=adam", "dtype=float64", "optimizer.params.lr=1e300"],
    "sigmoid outputs": [*TRAINING, "output=sigmoid", "optimizer.params.lr=1e30"],
    "first weights": [*TRAINING, "init=gaussian", "init.params.std=1e30"],
    "regression": [
        *("task=training", "dataset=curve", "output=identity", "loss=sum_squares"),
        *("activation=relu", "optimizer.params.lr=1e6", "epochs=3", "figures=none"),
    ],
    "perceptron": ["task=perceptron", *BIG, "task.params.lr=1e30"],
    "descent": ["task=descent", "optimizer.params.lr=10", "epochs=1000"],
    "inference, identity": [*BIG, *LINEAR, "output=identity"],
    "inference, softmax": [*BIG, *LINEAR, "output=softmax"],
    "inference, step": [*BIG, *LINEAR, "output=step"],
}
DIVERGENCE = pytest.mark.promise(
    "A run whose numbers are no longer finite ends as diverged, without an accuracy, with exit "
    "status 1"
)
REFUSED = pytest.mark.promise(
    "Data, weights and learning rates that are not finite are refused before anything runs"
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@DIVERGENCE
@pytest.mark.sample(2)
@pytest.mark.parametrize("case", CASES)
def test_a_run_that_diverges(case, here, capsys):
    assert main(CASES[case]) == 1
    (path,) = here.glob("outputs/runs/*/*/results.csv")
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {path.parent.relative_to(here)}: diverged: ")
    assert (printed.err.count("\n"), printed.out) == (1, "")
    row = store.read_table(path, "results").iloc[0]
    assert row["status"] == "diverged"
    assert row["error"]
    measured = ["n", "correct", "accuracy", "accuracy_low", "accuracy_high", "train_accuracy"]
    assert row[[*measured, "test_loss"]].isna().all()
    assert not [p for p in path.parent.iterdir() if p.name.startswith(("predictions", "weights"))]


@DIVERGENCE
def test_a_job_that_diverges_is_a_row_of_its_sweep(here, capsys):
    assert main(["-m", *CASES["squared error"], "optimizer.params.lr=0.001,1e9"]) == 1
    (path,) = here.glob("outputs/sweeps/*/results.csv")
    table = pd.read_csv(path)
    assert table["status"].tolist() == ["completed", "diverged"]
    assert table["accuracy"].isna().tolist() == [False, True]
    summary = pd.read_csv(path.parent / "summary.csv")
    assert summary["replicates"].tolist() == [1, 0]
    assert summary["accuracy_mean"].isna().tolist() == [False, True]
    assert capsys.readouterr().err == ""


@REFUSED
@pytest.mark.sample(4)  # each value, task and place at least once
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("task", ["inference", "training", "perceptron"])
@pytest.mark.parametrize("place", ["data", "weights"])
def test_a_file_with_a_number_that_is_not_finite(place, task, value, here, capsys):
    x, t, W1 = np.ones((10, 4)), np.arange(10) % 2, np.ones((4, 2))
    (x if place == "data" else W1)[3, 1] = value
    np.savez("data.npz", x=x, t=t)
    np.savez("weights.npz", W1=W1, b1=np.zeros(2))
    words = [f"task={task}", "dataset=file", "dataset.path=data.npz", "network.hidden=[]"]
    if place == "weights":
        words += ["weights=file", "weights.path=weights.npz"]
    assert main(words) == 2
    assert f"expected finite numbers, got {value}" in capsys.readouterr().err
    assert not (here / "outputs").exists()


@REFUSED
@pytest.mark.sample(5)
@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "inf", "nan", "1e999"])
@pytest.mark.parametrize("key", ["task.params.lr", "optimizer.params.lr"])
def test_a_learning_rate_that_is_not_finite(key, value, here, capsys):
    task = "perceptron" if key.startswith("task") else "training"
    assert main([f"task={task}", "dataset=and", f"{key}={value}"]) == 2
    assert capsys.readouterr().err.startswith(f"error: command line: {key}: expected a")
    assert not (here / "outputs").exists()

"""Runs end to end, their values against what is published."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier

import runner
from runner.cli import main
from runner.data.deskew import deskewed
from runner.data.digits import digits
from runner.tables import store


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def book(mnist_dir, book_weights):
    """Overrides for the book's network on the real test images."""
    return [
        "dataset=mnist",
        f"data_dir={mnist_dir}",
        "weights=file",
        f"weights.path={book_weights}",
        "activation=sigmoid",
        "timing.repeats=1",
        "timing.warmup=0",
    ]


@pytest.mark.parametrize("output", ["softmax", "identity"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_book_network_on_the_test_images(book, output, dtype):
    result = runner.run([*book, "batch_size=[1,100,10000]", f"output={output}", f"dtype={dtype}"])
    row = result.row
    assert (row["n"], row["correct"], row["accuracy"]) == (10_000, 9_352, 0.9352)
    assert row["test_loss"] == pytest.approx(0.22454366, abs=1e-6 if dtype == "float32" else 1e-8)
    assert row["parameters"] == 45_360
    assert row["network"] == "784-50-100-10"
    assert row["batch_size"] == "[1,100,10000]"


def test_book_network_without_normalize(book):
    row = runner.run([*book, "dataset.normalize=false"]).row
    assert (row["correct"], row["accuracy"]) == (9_207, 0.9207)
    assert row["test_loss"] == pytest.approx(0.26455726, abs=1e-6)


def test_book_network_on_the_training_images(book):
    row = runner.run([*book, "dataset.split=train", "batch_size=1000"]).row
    assert (row["n"], row["correct"]) == (60_000, 56_146)


def test_shapes_of_one_image_and_of_a_batch(book):
    one = runner.run([*book, "batch_size=1", "dataset.limit=1"]).tables["shapes"]
    assert one["shape"].tolist() == (
        "1x784 784x50 50 1x50 1x50 50x100 100 1x100 1x100 100x10 10 1x10 1x10 1".split()
    )
    batch = runner.run([*book, "dataset.limit=100", "dataset.flatten=false"]).tables["shapes"]
    assert batch["name"].tolist() == "images x W1 b1 a1 z1 W2 b2 a2 z2 W3 b3 a3 y t".split()
    assert batch["shape"].tolist()[:2] == ["100x1x28x28", "100x784"]
    assert batch["shape"].tolist()[-2:] == ["100x10", "100"]
    assert set(batch["dtype"][1:-1]) == {"float32"}
    hot = runner.run([*book, "dataset.limit=100", "dataset.one_hot_label=true"]).tables["shapes"]
    assert hot["shape"].tolist()[-1] == "100x10"


def test_pretrained_network_on_the_test_images(mnist_dir):
    row = runner.run(["dataset=mnist", f"data_dir={mnist_dir}"]).row
    assert row["n"] == 10_000
    assert row["accuracy"] >= 1 - 0.024


def test_default_job():
    result = runner.run()
    row = result.row
    assert (row["status"], row["dataset"], row["n"]) == ("completed", "mnist5k", 5_000)
    assert row["accuracy"] >= 0.975
    assert row["threads"] == 1
    assert row["optimizer"] is row["train_accuracy"] is row["fit_seconds"] is None
    files = {path.name for path in result.folder.iterdir()}
    assert files == {
        *("results.csv", "accuracy.csv", "timing.csv", "shapes.csv", "confusion.csv"),
        *("predictions.npz", "run.json", "runner.log", ".hydra"),
    }


def test_tables_agree_with_each_other():
    result = runner.run(["batch_size=[1,10,100]", "dataset.limit=500", "timing.repeats=3"])
    read = {name: pd.read_csv(result.folder / f"{name}.csv") for name in result.tables}
    confusion = pd.read_csv(result.folder / "confusion.csv").drop(columns="true").to_numpy()
    by_class, whole = read["accuracy"].iloc[:-1], read["accuracy"].iloc[-1]
    row = read["results"].iloc[0]
    assert whole["class"] == "all"
    assert whole["n"] == by_class["n"].sum() == confusion.sum() == row["n"] == 500
    assert whole["correct"] == by_class["correct"].sum() == np.trace(confusion) == row["correct"]
    np.testing.assert_array_equal(confusion.sum(axis=1), by_class["n"])
    np.testing.assert_array_equal(np.diag(confusion), by_class["correct"])
    mean = np.average(by_class["loss"], weights=by_class["n"])
    assert whole["loss"] == row["test_loss"] == pytest.approx(mean, rel=1e-6)
    with np.load(result.folder / "predictions.npz") as arrays:
        assert np.count_nonzero(arrays["t"] == arrays["predicted"]) == row["correct"]
        np.testing.assert_array_equal(arrays["y"].argmax(axis=1), arrays["predicted"])
        np.testing.assert_allclose(arrays["y"].sum(axis=1), 1, rtol=1e-5)
    timing = read["timing"]
    assert timing["phase"].tolist() == ["load", "build"] + ["inference"] * 9
    inference = timing[timing["phase"] == "inference"]
    assert inference["batch_size"].tolist() == [1] * 3 + [10] * 3 + [100] * 3
    assert inference["repeat"].tolist() == [1, 2, 3] * 3
    np.testing.assert_allclose(
        inference["items_per_second"], inference["items"] / inference["seconds"]
    )
    last = inference[inference["batch_size"] == 100]["seconds"]
    assert row["inference_seconds"] == pytest.approx(last.median())


def test_equal_runs_give_equal_rows_in_folders_of_their_own():
    one, two = runner.run(["seed=3"]), runner.run(["seed=3"])
    times = {"started_at", "duration_seconds", "inference_seconds", "images_per_second"}
    assert {key: one.row[key] for key in one.row if key not in times} == {
        key: two.row[key] for key in two.row if key not in times
    }
    assert one.folder != two.folder
    for name in ("accuracy", "shapes"):
        pd.testing.assert_frame_equal(one.tables[name], two.tables[name])


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (["seed=1"], True),
        (["threads=2"], True),
        (["dataset.limit=10"], True),
        (["dtype=float64"], True),
        (["figures=none"], False),
        (["output_dir=elsewhere"], False),
        (["sweep.name=mine"], False),
        (["hydra.verbose=false"], False),
    ],
)
def test_run_id_names_what_the_numbers_depend_on(change, differs):
    plain = ["dataset=and", "weights=none"]
    assert (runner.run(plain).row["run_id"] != runner.run(plain + change).row["run_id"]) == differs


def test_run_id_follows_the_contents_of_weights_not_their_path(here):
    trained = runner.run(["task=training", "dataset=and", "epochs=1", "figures=none"]).folder
    copy = here / "copy.safetensors"
    copy.write_bytes((trained / "weights.safetensors").read_bytes())
    words = ["dataset=and", "weights=file"]
    one = runner.run([*words, f"weights.path={trained}/weights.safetensors"]).row
    two = runner.run([*words, f"weights.path={copy}"]).row
    assert one["run_id"] == two["run_id"]
    other = runner.run(["task=training", "dataset=and", "epochs=2", "figures=none"]).folder
    three = runner.run([*words, f"weights.path={other}/weights.safetensors"]).row
    assert three["weights_hash"] != one["weights_hash"]
    assert three["run_id"] != one["run_id"]


def test_record_describes_run_and_machine():
    result = runner.run(["experiment=and_gate"])
    record = store.read_record(result.folder)
    assert record["run_id"] == result.row["run_id"]
    environment = record["environment"]
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["threads"] == 1
    assert environment["blas"]
    assert set(record["files"]) >= {"results.csv", "accuracy.csv", "timing.csv"}
    json.dumps(record)


def test_training_writes_history_and_weights_that_inference_reads(here):
    words = ["task=training", "figures=none"]
    result = runner.run([*words, "dataset=digits", "epochs=5", "batch_size=50"])
    row, history = result.row, pd.read_csv(result.folder / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert history["updates"].tolist() == [29, 58, 87, 116, 145]  # 1,437 samples, batches of 50
    assert history["test_accuracy"].iloc[-1] == row["accuracy"]
    assert history["train_accuracy"].iloc[-1] == row["train_accuracy"]
    assert row["fit_seconds"] == pytest.approx(history["seconds"].sum())
    assert row["accuracy"] > 0.85
    path = result.folder / "weights.safetensors"
    assert {name: array.shape for name, array in load_file(path).items()} == {
        **{"W1": (64, 50), "b1": (50,), "W2": (50, 100), "b2": (100,), "W3": (100, 10)},
        "b3": (10,),
    }
    again = runner.run(["dataset=digits", "weights=file", f"weights.path={path}"]).row
    assert (again["n"], again["correct"]) == (row["n"], row["correct"])
    assert again["test_loss"] == pytest.approx(row["test_loss"], rel=1e-6)


def test_training_is_repeatable_bit_for_bit():
    words = ["task=training", "dataset=digits", "epochs=2", "optimizer=adam", "figures=none"]
    one, two = (runner.run(words).folder / "weights.safetensors" for _ in range(2))
    assert one.read_bytes() == two.read_bytes()
    other = runner.run([*words, "seed=1"]).folder / "weights.safetensors"
    assert other.read_bytes() != one.read_bytes()


def test_training_on_mnist5k_learns_400_of_each_digit_and_tests_on_100():
    table = runner.run(["task=training", "epochs=1", "figures=none"]).tables["accuracy"]
    counts = table[table["class"] != "all"].groupby("split")["n"].unique()
    assert counts["train"].tolist() == [400]
    assert counts["test"].tolist() == [100]


def test_pairs_of_deskewed_digits_are_told_apart_by_votes(here):
    words = ["dataset=digits", "dataset.deskew=true", "output=pairwise", "network.hidden=[]"]
    learning = "task=training optimizer=momentum optimizer.params.lr=0.3 epochs=60 figures=none"
    trained = runner.run([*learning.split(), *words])
    assert trained.row["network"] == "64-45"
    weights = ["weights=file", f"weights.path={trained.folder}/weights.safetensors"]
    assert runner.run([*words, *weights]).accuracy == trained.accuracy
    x = deskewed(digits()).x.reshape(1797, 64) / 16
    library = OneVsOneClassifier(LogisticRegression(C=10)).fit(x[:1437], digits().t[:1437])
    assert trained.accuracy == pytest.approx(library.score(x[1437:], digits().t[1437:]), abs=0.02)


def test_two_classes_are_one_pair():
    words = "task=training dataset=or network.hidden=[] figures=none epochs=300 batch_size=4"
    words = [*words.split(), "optimizer.params.lr=0.5"]
    pair = runner.run([*words, "output=pairwise"])
    assert (pair.row["network"], pair.accuracy) == ("2-1", 1.0)
    # An output function of the other sign: the same training of the probability of class 1.
    sigmoid = runner.run([*words, "output=sigmoid", "init=zeros", "loss.params.delta=0"])
    again = runner.run([*words, "output=pairwise", "init=zeros"])
    losses = [run.tables["history"]["train_loss"].astype(float) for run in (sigmoid, again)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_regression_has_a_loss_and_no_accuracy():
    words = ["task=training", "dataset=curve", "output=identity", "loss=sum_squares"]
    words += ["activation=tanh", "epochs=200", "batch_size=10", "figures=none"]
    result = runner.run(words)
    assert result.accuracy is None
    assert result.row["test_loss"] < 0.1
    assert result.tables["accuracy"]["class"].tolist() == ["all", "all"]
    assert pd.read_csv(result.folder / "results.csv")["accuracy"].isna().all()


def test_divergence_is_recorded(here, capsys):
    from runner.cli import main

    words = "task=training dataset=digits output=identity loss=sum_squares optimizer.params.lr=1e9"
    assert main(words.split()) == 1
    assert "diverged: epoch 1, step" in capsys.readouterr().err
    (path,) = here.glob("outputs/runs/*/*/results.csv")
    row = store.read_table(path, "results").iloc[0]
    assert row["status"] == "diverged"
    assert pd.isna(row["accuracy"])


def test_samples_without_labels_give_outputs_alone():
    words = ["dataset=inline", "dataset.params.x=[[1.0,0.5]]", "weights=inline", "dtype=float64"]
    weights = {
        "W1": [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
        "b1": [0.1, 0.2, 0.3],
        "W2": [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]],
        "b2": [0.1, 0.2],
        "W3": [[0.1, 0.3], [0.2, 0.4]],
        "b3": [0.1, 0.2],
    }
    words += [f"+weights.params.{name}={value}" for name, value in weights.items()]
    words += ["network.hidden=[3,2]", "activation=sigmoid", "output=identity", "loss=sum_squares"]
    result = runner.run(words)
    assert result.accuracy is None
    with np.load(result.folder / "predictions.npz") as arrays:
        np.testing.assert_allclose(arrays["y"], [[0.31682708, 0.69627909]], atol=1e-8)
    other = runner.run([*words, "dataset.params.x=[[0,0]]"])
    with np.load(other.folder / "predictions.npz") as arrays:
        np.testing.assert_allclose(arrays["y"], [[0.3080685345, 0.6768389367]], atol=1e-8)


def test_a_notebooks_own_logging_and_hydra_are_given_back():
    import logging

    from hydra.core.global_hydra import GlobalHydra

    before = logging.root.handlers[:], logging.root.level, GlobalHydra.instance().hydra
    runner.run(["experiment=and_gate"])
    assert (logging.root.handlers[:], logging.root.level, GlobalHydra.instance().hydra) == before


def test_bad_input_is_an_exception_of_python():
    with pytest.raises(runner.BadInput, match=r"activation: expected one of .* did you mean relu"):
        runner.run(["activation=relo"])
    assert issubclass(runner.BadInput, ValueError)


CURVES = "learning_curves.png"
PLANE = {"activations.png", "boundary.png", "confusion.png"}
LEARNED = {"activations.png", "confusion.png", "first_layer.png", "images.png", CURVES}
LEARNED |= {"misclassified.png"}


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        (["task=training", "dataset=digits", "epochs=1", "figures=none"], set()),
        (
            ["task=training", "dataset=digits", "epochs=1", "distortion=shift"],
            {*LEARNED, "distorted.png"},
        ),
        (["dataset=and", "weights=none"], set()),
        (["dataset=and", "weights=none", "figures=all"], PLANE),
        (["task=perceptron", "dataset=xor"], {"boundary.png", "confusion.png", CURVES}),
        (["task=functions"], {"functions.png"}),
        (["task=descent"], {"path.png"}),
        (["experiment=regression", "epochs=2"], {"fit.png", "activations.png", CURVES}),
    ],
)
def test_figures_are_drawn_when_asked_for(words, drawn):
    folder = runner.run(words).folder
    assert {path.name for path in folder.glob("figures/*")} == drawn


def test_jobs_of_a_sweep_draw_nothing_unless_asked(here):
    words = ["task=training", "dataset=and,or", "epochs=1"]
    runner.sweep([*words, "sweep.name=plain"])
    assert not list(here.glob("outputs/sweeps/plain/jobs/*/figures"))
    runner.sweep([*words, "sweep.name=drawn", "figures=all"])
    assert len(list(here.glob("outputs/sweeps/drawn/jobs/*/figures/confusion.png"))) == 2


def test_maxout_from_training_to_inference_and_back():
    network = ["activation=maxout", "network.hidden=[40,30]"]
    words = ["task=training", "epochs=4", "training.dropout=0.1", "training.max_norm=2"]
    trained = runner.run([*words, *network, "activation.params.pieces=3", "figures=none"])
    assert trained.accuracy > 0.8
    assert trained.row["network"] == "784-40-30-10"
    assert trained.row["parameters"] == 785 * 120 + 41 * 90 + 31 * 10
    path = trained.folder / "weights.safetensors"
    arrays = load_file(path)
    assert [arrays[f"W{i}"].shape for i in (1, 2, 3)] == [(784, 120), (40, 90), (30, 10)]
    # The norm is that of each piece's weights.
    assert max(np.linalg.norm(arrays[f"W{i}"], axis=0).max() for i in (1, 2, 3)) <= 2 + 1e-5

    given = ["weights=file", f"weights.path={path}", "dataset.split=test"]
    again = runner.run([*network, *given])
    assert (again.row["correct"], again.row["n"]) == (trained.row["correct"], 1000)
    assert again.row["test_loss"] == pytest.approx(trained.row["test_loss"], rel=1e-6)
    with pytest.raises(runner.BadInput, match=r"W1: expected \(784, 80\), got \(784, 120\)"):
        runner.run([*network, *given, "activation.params.pieces=2"])


def test_figures_that_fail_lose_no_numbers(here, monkeypatch, capsys):
    def fails(*given):
        raise ZeroDivisionError("no\nroom")

    monkeypatch.setattr("runner.pictures.of_a_network", fails)
    assert main(["task=perceptron", "dataset=and", "figures=all"]) == 0
    assert "figures: none drawn: ZeroDivisionError: no room" in capsys.readouterr().out
    (folder,) = here.glob("outputs/runs/*/*")
    assert store.read_ended(folder)["accuracy"] == "1.0"
    assert not (folder / "figures").exists()


def test_an_interrupt_while_figures_are_drawn_loses_no_numbers(here, monkeypatch, capsys):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.pictures.of_a_network", interrupted)
    assert main(["task=perceptron", "dataset=and", "figures=all"]) == 130
    (folder,) = here.glob("outputs/runs/*/*")
    assert store.read_ended(folder)["status"] == "completed"


def test_maxout_on_weights_of_one_piece_says_that_it_is_the_identity():
    words = ["dataset.limit=20", "timing.repeats=1"]
    maxout = runner.run([*words, "activation=maxout"])
    assert maxout.notes == [
        "activation: maxout of one piece is the identity (the weights have no more)"
    ]
    assert json.loads((maxout.folder / "run.json").read_text())["notes"] == maxout.notes
    same = runner.run([*words, "activation=identity"])
    np.testing.assert_array_equal(maxout.records.arrays["y"], same.records.arrays["y"])
    told = runner.run([*words, "activation=maxout", "activation.params.pieces=1"])
    assert (same.notes, told.notes) == ([], [])


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("result={'nope': 1}", "KeyError: \"results has no column ['nope']\""),
        ("history=[{'loss': 1}]", "KeyError: \"history has no column ['loss']\""),
        ("accuracy=[{'class': 'all'}]", "KeyError: 'n'"),
        (
            "arrays={'y': np.array([None])}",
            "TypeError: y: expected an array of numbers or text, got one of objects",
        ),
        ("weights={'W': np.eye(2)}", "WeightsError: trained weights: expected W1..Wn"),
    ],
)
def test_records_that_fit_no_table_are_a_failure_of_the_run(here, given, error, capsys):
    (here / "mine" / "task").mkdir(parents=True)
    (here / "mine" / "task" / "own.yaml").write_text("# Odd\nname: own:run\n")
    text = "import numpy as np\nfrom runner.tasks.records import Records\n\n"
    text += f"def run(setup, progress):\n    return Records({given})\n"
    (here / "mine" / "own.py").write_text(text)
    assert main(["--config-dir", "mine", "task=own", "dataset=and", "weights=none"]) == 1
    assert error in capsys.readouterr().err
    (folder,) = here.glob("outputs/runs/*/*")
    row = store.read_row(folder)
    assert row["status"] == "failed"
    assert row["error"].startswith(error)

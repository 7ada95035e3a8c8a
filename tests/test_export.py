"""`runner export`: what other tools' own readers find is what the tables say.

The tools are no part of the test extra, being larger than the rest together:
pip install -e '.[mlflow,tensorboard,parquet]'
"""

import json
import shutil
import struct
import sys

import pandas as pd
import pytest

import runner
from runner.cli import main
from runner.tables import store

DIGITS = ["task=training", "dataset=digits", "dataset.limit=100", "epochs=2", "figures=none"]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)  # 3 by 2, cut
FORMATS = ("mlflow", "tensorboard", "parquet")


def needs(*modules):
    for module in modules:
        reason = f"needs {module}: pip install -e '.[mlflow,tensorboard,parquet]'"
        pytest.importorskip(module, reason=reason)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A single run with a figure, and a sweep of three jobs one of which diverges."""
    place = tmp_path_factory.mktemp("recorded")
    out = f"output_dir={place}"
    folder = runner.run([*DIGITS, "seed=7", out]).folder
    (folder / "figures").mkdir()
    (folder / "figures/curves.png").write_bytes(PNG)
    runner.sweep([*DIGITS, "optimizer.params.lr=0.1,0.2,1e6", "sweep.name=s", out])
    return place


@pytest.fixture
def here(recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(recorded, "outputs")
    return tmp_path


@pytest.fixture
def run(here):
    (folder,) = here.glob("outputs/runs/*/*")
    return folder


@pytest.fixture
def sweep(here):
    return here / "outputs/sweeps/s"


def results(folder):
    return store.read_table(folder / "results.csv", "results").set_index("run_id")


def history(folder):
    return store.read_table(folder / "history.csv", "history").set_index("epoch")


# Parquet, read by pandas and pyarrow


def test_parquet_of_a_sweep_has_every_row_with_its_types(sweep, capsys):
    needs("pyarrow")
    assert main(["export", "parquet", str(sweep), "-o", "p"]) == 0
    assert capsys.readouterr().out.startswith("3 runs in p: results.parquet, accuracy.parquet, ")
    table = pd.read_parquet("p/results.parquet").set_index("run_id")
    expected = results(sweep)
    assert list(table.columns) == list(expected.columns)
    for name in ("accuracy", "test_loss", "fit_seconds"):
        pd.testing.assert_series_equal(table[name], expected[name].astype("float64"))
    assert table["n"].dropna().tolist() == expected["n"].dropna().tolist()
    assert sorted(table["status"]) == ["completed", "completed", "diverged"]
    assert table["optimizer.params.lr"].tolist() == ["0.1", "0.2", "1000000.0"]  # as swept
    curves = pd.read_parquet("p/history.parquet").groupby("run_id")
    assert len(curves) == 2
    for run_id, rows in curves:
        own = history(sweep / "jobs" / run_id)
        assert rows["train_loss"].tolist() == own["train_loss"].tolist()
        assert rows["updates"].dtype == "int64"
    confusion = pd.read_parquet("p/confusion.parquet")
    right = confusion[confusion["true"] == confusion["predicted"]].groupby("run_id")["count"].sum()
    pd.testing.assert_series_equal(
        right, expected["correct"].dropna(), check_names=False, check_dtype=False, check_like=True
    )


def test_parquet_explains_its_columns(run):
    needs("pyarrow")
    from pyarrow import parquet

    assert main(["export", "parquet", str(run)]) == 0
    schema = parquet.read_schema("parquet/results.parquet")
    assert schema.metadata[b"schema_version"] == b"1"
    assert schema.field("fit_seconds").metadata == {
        b"description": b"training, without evaluation",
        b"unit": b"s",
    }
    assert str(schema.field("converged").type) == "bool"


def test_parquet_twice_gives_the_same_bytes_and_leaves_nothing_old(sweep, run, here):
    needs("pyarrow")
    written = []
    for _ in range(2):
        assert main(["export", "parquet", str(sweep), "-o", "p"]) == 0
        written.append({path.name: path.read_bytes() for path in (here / "p").iterdir()})
    assert written[0] == written[1]
    (run / "history.csv").unlink()
    assert main(["export", "parquet", str(run), "-o", "p"]) == 0
    assert len(pd.read_parquet("p/results.parquet")) == 1
    assert not (here / "p/history.parquet").exists()


# TensorBoard, read by its own accumulator


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return found


def test_tensorboard_reads_curves_results_and_figures(run, here, capsys):
    needs("tensorboard")
    for _ in range(2):  # the second time changes nothing
        assert main(["export", "tensorboard", str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "1 runs in tensorboard/runs: tensorboard --logdir tensorboard"
    )
    found = events(here / "tensorboard/runs" / run.name)
    own, row = history(run), results(run).iloc[0]
    curve = found.Scalars("history/train_loss")
    assert [event.step for event in curve] == [1, 2]
    assert [event.value for event in curve] == pytest.approx(own["train_loss"].tolist(), rel=1e-7)
    begin = pd.Timestamp(row["started_at"]).timestamp()
    ended = (begin + own["seconds"].cumsum()).tolist()
    assert [event.wall_time for event in curve] == pytest.approx(ended, abs=1e-3)
    (accuracy,) = found.Scalars("results/accuracy")
    assert accuracy.value == pytest.approx(row["accuracy"], rel=1e-7)
    (image,) = found.Images("figures/curves")
    assert (image.encoded_image_string, image.width, image.height) == (PNG, 3, 2)


def test_tensorboards_hyperparameters(sweep, here):
    needs("tensorboard")
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    assert main(["export", "tensorboard", str(sweep), "-o", "t"]) == 0
    rows = results(sweep)
    assert {path.name for path in (here / "t/s").iterdir()} == set(rows.index)
    for run_id, row in rows.iterrows():
        plugin = events(here / "t/s" / run_id).summary_metadata
        start = HParamsPluginData.FromString(
            plugin["_hparams_/session_start_info"].plugin_data.content
        ).session_start_info
        assert start.hparams["optimizer.params.lr"].string_value == row["optimizer.params.lr"]
        assert start.hparams["seed"].string_value == "0"
        end = HParamsPluginData.FromString(plugin["_hparams_/session_end_info"].plugin_data.content)
        assert end.session_end_info.status == (1 if row["status"] == "completed" else 2)


def test_tensorboard_of_a_job_that_was_run_again_has_it_once(sweep, here):
    needs("tensorboard")
    assert main(["export", "tensorboard", str(sweep)]) == 0
    text = (sweep / "results.csv").read_text()
    started = results(sweep)["started_at"].iloc[0]
    (sweep / "results.csv").write_text(text.replace(started, "2020-02-02T02:02:02.000000+00:00"))
    assert main(["export", "tensorboard", str(sweep)]) == 0
    folders = list((here / "tensorboard/s").iterdir())
    assert [len(list(folder.iterdir())) for folder in folders] == [1, 1, 1]


# MLflow, read by its own client


def client(folder):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


@pytest.mark.filterwarnings("ignore")  # of MLflow and SQLAlchemy among themselves
def test_mlflow_reads_runs_with_curves_and_files(run, sweep, here, capsys, monkeypatch):
    needs("mlflow", "sqlalchemy", "alembic")
    words = ["export", "mlflow", "--output", "m"]
    assert main([*words, str(run)]) == 0
    assert main([*words, str(sweep)]) == 0
    assert main([*words, str(sweep)]) == 0  # adds nothing
    said = [line.split(" in ")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "1 of 1 runs added to runs", "3 of 3 runs added to s", "0 of 3 runs added to s"
    ]  # fmt: skip
    store = client(here / "m")

    (single,) = store.search_runs([store.get_experiment_by_name("runs").experiment_id])
    row, own = results(run).iloc[0], history(run)
    assert single.info.run_name == run.name
    assert single.info.status == "FINISHED"
    begin = pd.Timestamp(row["started_at"]).timestamp() * 1000
    assert single.info.start_time == pytest.approx(begin, abs=1)
    duration = single.info.end_time - single.info.start_time
    assert duration == pytest.approx(1000 * row["duration_seconds"], abs=1)
    assert single.data.params["optimizer.params.lr"] == "0.1"
    assert single.data.params["seed"] == "7"
    assert single.data.metrics["accuracy"] == row["accuracy"]
    assert single.data.tags["runner.data_hash"] == row["data_hash"]
    curve = store.get_metric_history(single.info.run_id, "history/train_loss")
    assert {point.step: point.value for point in curve} == own["train_loss"].to_dict()
    files = {file.path for file in store.list_artifacts(single.info.run_id)}
    assert {"run.json", "weights.safetensors", "figures", ".hydra"} <= files
    copied = store.download_artifacts(single.info.run_id, "predictions.npz", str(here))
    assert (here / copied).read_bytes() == (run / "predictions.npz").read_bytes()

    jobs = store.search_runs([store.get_experiment_by_name("s").experiment_id])
    rows = results(sweep)
    assert {job.info.run_name for job in jobs} == set(rows.index)
    for job in jobs:
        row = rows.loc[job.info.run_name]
        assert job.data.params["optimizer.params.lr"] == row["optimizer.params.lr"]
        completed = row["status"] == "completed"
        assert job.info.status == ("FINISHED" if completed else "FAILED")
        assert job.data.metrics.get("accuracy") == (row["accuracy"] if completed else None)

    # A job that was run again, and one whose export was cut, take the place of what they were.
    text = (sweep / "results.csv").read_text()
    started = rows["started_at"].iloc[0]
    (sweep / "results.csv").write_text(text.replace(started, "2020-02-02T02:02:02.000000+00:00"))
    cut = next(job for job in jobs if job.info.run_name == rows.index[1])
    store.delete_tag(cut.info.run_id, "runner.exported")
    assert main([*words, str(sweep)]) == 0
    assert capsys.readouterr().out.startswith("2 of 3 runs added to s")
    assert len(store.search_runs([store.get_experiment_by_name("s").experiment_id])) == 3

    (here / "bad").mkdir()
    (here / "bad/mlflow.db").write_text("no database at all\n" * 10)
    assert main(["export", "mlflow", "-o", "bad", str(run)]) == 2
    assert "expected MLflow's database, got " in capsys.readouterr().err


# What is refused, without any of the tools


LIBRARIES = [("mlflow", "mlflow"), ("tensorboard", "tensorboard"), ("parquet", "pyarrow")]


@pytest.mark.parametrize(("name", "library"), LIBRARIES)
def test_a_tool_that_is_not_installed(name, library, here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["export", name, "outputs"]) == 2
    captured = capsys.readouterr()
    hint = f"pip install '.[{name}]' in the folder that runner was installed from"
    assert captured.err == (
        f"error: export {name}: expected the library {library}, got none; {hint}\n"
    )
    assert not (here / name).exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere: expected a CSV file, or the folder of a run or of a sweep, got none"),
        ("outputs", "outputs: expected the folder of a run or of a sweep, got no results.csv"),
        ("outputs/sweeps/s/plan.csv", "outputs/sweeps/s/plan.csv: line 1: expected a column "
         "schema_version, got none"),
        ("outputs/sweeps/s/results.csv", "outputs/sweeps/s/results.csv: expected the folder of a "
         "run or of a sweep, got a file"),
    ],
)  # fmt: skip
def test_what_is_no_run(path, message, here, monkeypatch, capsys):
    from runner.export import Exporter, runs

    monkeypatch.setattr(Exporter, "load", lambda self, name: lambda path, out: runs.read_runs(path))
    assert main(["export", "parquet", path]) == 2
    assert capsys.readouterr().err == f"error: export: {message}\n"


@pytest.mark.parametrize("run_id", ["x/../../../../away", "..", "/etc", "0123456789AB", ""])
def test_a_run_that_would_lead_out_of_its_folder(run_id, sweep):
    from runner.export.runs import read_runs

    path = sweep / "results.csv"
    was = results(sweep).index[0]
    path.write_text(path.read_text().replace(was, run_id))
    with pytest.raises(ValueError, match=f"run_id: expected 12 hex digits, got {run_id}$"):
        read_runs(sweep)


def test_a_figure_that_is_cut(run, capsys):
    needs("tensorboard")
    (run / "figures/curves.png").write_bytes(PNG[:20])
    assert main(["export", "tensorboard", str(run)]) == 2
    shown = capsys.readouterr().err
    assert shown.endswith("curves.png: expected a PNG picture, got 20 bytes\n")
    assert shown.count("\n") == 1


def test_a_format_that_is_none(here, capsys):
    assert main(["export", "wandb", "outputs"]) == 2
    assert (
        "export: format: expected one of mlflow, npz, onnx, parquet, pytorch, sklearn, "
        "tensorboard, got wandb" in capsys.readouterr().err
    )


def test_help_names_the_formats(capsys):
    with pytest.raises(SystemExit):
        main(["export", "-h"])
    out = capsys.readouterr().out
    assert all(name in out for name in FORMATS)


def test_runs_have_settings_metrics_and_curves_without_any_tool(run, sweep):
    from runner.export.runs import read_runs

    (one,) = read_runs(run).runs
    record = json.loads((run / "run.json").read_text())
    row = results(run).iloc[0]
    assert one.facts["run_id"] == record["run_id"]
    assert one.metrics["accuracy"] == row["accuracy"]
    assert "seed" not in one.metrics
    assert one.settings["seed"] == "7"
    assert one.settings["network.hidden"] == "[50,100]"
    steps, ends, values = zip(*one.curves(), strict=True)
    assert steps == (1, 2)
    assert ends[1] - ends[0] == pytest.approx(history(run)["seconds"][2], abs=1e-6)
    assert [value["test_loss"] for value in values] == history(run)["test_loss"].tolist()
    diverged = [job for job in read_runs(sweep).runs if job.row["status"] == "diverged"]
    assert len(diverged) == 1
    assert list(diverged[0].curves()) == []
    assert "accuracy" not in diverged[0].metrics

"""A sweep from Python: what it plans, what it runs, what it says has changed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hydra.core.utils import JobReturn, JobStatus

import runner
from runner import app
from runner.lookup import BadInput
from runner.result import RunResult
from runner.sweeps.board import Board
from runner.sweeps.sweeper import CHANGED, LOST, reason
from runner.tables import store

GATES = ["task=perceptron", "dataset=and,or"]
NAMED = [*GATES, "seed=0,1", "sweep.name=s"]
TIMES = "fit_seconds inference_seconds images_per_second started_at duration_seconds".split()
PICKY = """\
import os
import sys
from pathlib import Path
from runner.nn.training import Diverged
from runner.tasks import perceptron

def run(setup, progress, lr=1.0):
    seed = str(setup.config.seed)
    with Path("ran").open("a") as file:
        file.write(f"{setup.config.dataset.name} {seed}\\n")
    fault = Path("fault").read_text().split() if Path("fault").exists() else []
    if fault[:1] == [seed]:
        if fault[1] == "exit":
            sys.exit("enough")
        if fault[1] == "diverge":
            raise Diverged("loss: expected a finite number, got nan")
        if fault[1] == "interrupt":
            raise KeyboardInterrupt
        raise RuntimeError("one,\\ntwo")
    return perceptron.run(setup, progress, lr=lr)
"""
OWN = ["task=own", "dataset=and,or", "network=perceptron", "weights=none", "seed=0,1"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine/own.py").write_text(PICKY)
    (tmp_path / "mine/task/own.yaml").write_text("name: own:run\nparams:\n  lr: 1.0\n")
    return tmp_path


def run(*words):
    return app.run_sweep(list(words))


def own(*words):
    return app.run_sweep([*OWN, "sweep.name=s", *words], config_dir="mine")


def resumed(folder="outputs/sweeps/s"):
    return app.resume_sweep(folder)


def untimed(result):
    """Return what results.csv has, as it is written, without times."""
    text = pd.read_csv(result.folder / "results.csv", dtype=str, keep_default_na=False)
    return text.drop(columns=TIMES).to_csv(index=False)


def ran(here):
    """Return the jobs that were run since the last look."""
    path = here / "ran"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestJobs:
    def test_a_job_is_the_run_that_was_planned(self):
        result = run(*NAMED)
        planned = store.read_plan(result.folder)
        assert [row["run_id"] for row in planned] == result.results["run_id"].tolist()
        for row in planned:
            folder = result.folder / "jobs" / row["run_id"]
            record = json.loads((folder / "run.json").read_text())
            written = store.read_rows(folder / "results.csv")[0]
            for name in ("run_id", "config_hash", "data_hash", "code_version"):
                assert written[name] == record[name] == row[name]

    def test_the_same_job_in_two_sweeps_is_the_same_run(self):
        one = run(*NAMED)
        words = ["dataset=or,and", "task=perceptron", "seed=range(0,2)", "output_dir=other"]
        two = run(*words, "figures=none", "data_dir=outputs")
        assert set(one.results["run_id"]) == set(two.results["run_id"])
        assert two.folder.parent == Path("other/sweeps")

    @pytest.mark.parametrize("word", ["seed='1'", "seed=${epochs}", "+seed=1"])
    def test_a_value_is_what_it_is_in_a_single_run(self, word):
        words = ["task=perceptron", "dataset=and", "epochs=1", word]
        if word == "+seed=1":
            with pytest.raises(BadInput, match="got one that is there already"):
                run(*words)
            return
        single = runner.run(words).row["run_id"]
        result = run(*words)
        assert result.results["run_id"].tolist() == [single]
        assert [path.name for path in (result.folder / "jobs").iterdir()] == [single]

    def test_two_sweeps_that_start_together_get_a_folder_each(self):
        one, two = run(*GATES), run(*GATES)
        assert one.folder != two.folder
        assert [len(one.results), len(two.results)] == [2, 2]
        assert len(list(Path("outputs/sweeps").iterdir())) == 2


class TestNames:
    """A choice of hydra/sweeper with params is a sweep with a name."""

    PRESET = "defaults:\n  - runner\n  - _self_\nparams:\n  dataset: and,or\n  seed: 0,1\n"

    @pytest.fixture(autouse=True)
    def preset(self, here):
        (here / "mine/hydra/sweeper").mkdir(parents=True)
        (here / "mine/hydra/sweeper/gates.yaml").write_text(self.PRESET)

    def test_it_is_the_sweep_of_its_words(self):
        words = ["task=perceptron", "hydra/sweeper=gates", "sweep.name=named"]
        named = app.run_sweep(words, config_dir="mine")
        spelled = app.run_sweep([*GATES, "seed=0,1"], config_dir="mine")
        assert untimed(named) == untimed(spelled)
        assert resumed("outputs/sweeps/named").counts.reused == 4

    def test_the_command_line_has_the_last_word(self):
        words = ["task=perceptron", "hydra/sweeper=gates", "seed=3"]
        table = app.run_sweep(words, config_dir="mine").results
        assert table["seed"].tolist() == [3, 3]
        assert table["dataset"].tolist() == ["and", "or"]


class TestFewerThanAll:
    def test_side_by_side_and_left_out(self):
        zipped = "sweep.zip=[[epochs,seed]]"
        words = ["seed=3,4,5", "epochs=7,8,9", zipped, "sweep.exclude=[{dataset: or, seed: 4}]"]
        result = run(*GATES, *words)
        rows = zip(result.results["dataset"], result.results["seed"], strict=True)
        assert list(rows) == [("and", 3), ("and", 4), ("and", 5), ("or", 3), ("or", 5)]
        plan = store.read_plan(result.folder)
        assert [row["epochs"] for row in plan] == ["7", "8", "9", "7", "9"]

    @pytest.mark.parametrize("word", ["sweep.zip=[[seed,epochs]]", "sweep.exclude=[{sed: 1}]"])
    def test_what_is_refused_makes_nothing(self, word):
        with pytest.raises(BadInput, match=f"^command line: {word.partition('=')[0]}: expected k"):
            run(*GATES, "seed=1,2", "epochs=5", word)
        assert not Path("outputs").exists()

    def test_the_form_is_that_of_the_schema(self):
        with pytest.raises(BadInput, match=r"sweep.exclude"):
            run(*GATES, "seed=1,2", "sweep.exclude={seed: 1}")


class TestReplicates:
    def test_seeds_count_up_and_the_summary_is_over_them(self):
        words = ["task=perceptron", "dataset=normal", "task.params.shuffle=true", "epochs=2"]
        words += ["dataset.params.n=600", "task.params.average=true,false"]
        result = run(*words, "seed=5", "sweep.replicates=4")
        assert result.results["seed"].tolist() == [5, 6, 7, 8] * 2
        summary = pd.read_csv(result.folder / "summary.csv")
        assert summary["task.params.average"].tolist() == [True, False]
        assert summary["replicates"].tolist() == [4, 4]
        for _, row in summary.iterrows():
            same = result.results["task.params.average"] == str(row["task.params.average"])
            own = result.results.loc[same, "accuracy"].to_numpy()
            interval = scipy.stats.t.interval(0.95, 3, own.mean(), scipy.stats.sem(own))
            assert own.std() > 0
            np.testing.assert_allclose(
                row[["accuracy_mean", "accuracy_std", "accuracy_low", "accuracy_high"]].to_list(),
                [own.mean(), own.std(ddof=1), *interval],
                rtol=1e-12,
            )

    def test_without_a_seed_they_start_at_the_default(self):
        table = run("task=perceptron", "dataset=and", "sweep.replicates=2").results
        assert table["seed"].tolist() == [0, 1]

    def test_they_start_at_the_seed_that_each_choice_has(self, here):
        (here / "mine/experiment").mkdir()
        for name, seed in (("one", 10), ("two", 20)):
            text = f"# @package _global_\nseed: {seed}\ntask:\n  params:\n    lr: 2.0\n"
            (here / f"mine/experiment/{name}.yaml").write_text(text)
        words = ["task=own", "dataset=and", "network=perceptron", "weights=none"]
        words += ["experiment=one,two", "sweep.replicates=2"]
        result = app.run_sweep(words, config_dir="mine")
        assert result.results["seed"].tolist() == [10, 11, 20, 21]
        assert pd.read_csv(result.folder / "summary.csv")["replicates"].tolist() == [2, 2]

    @pytest.mark.parametrize(
        "word", ["epochs=1,abc", "task.params.nope=1,2", "network.hidden=3,[2]"]
    )
    def test_what_is_wrong_with_a_job_is_bad_input(self, word):
        with pytest.raises(BadInput, match=word.partition("=")[0]):
            run(*GATES, word, "sweep.replicates=2")
        assert not Path("outputs").exists()

    def test_they_count_as_runs(self):
        with pytest.raises(BadInput, match="max_runs: expected a sweep of at most 5 jobs, got 6"):
            run(*GATES, "sweep.replicates=3", "sweep.max_runs=5")

    def test_one_replicate_has_no_interval(self):
        folder = run(*GATES, "sweep.replicates=1").folder
        summary = pd.read_csv(folder / "summary.csv")
        assert summary["accuracy_mean"].notna().all()
        assert summary[["accuracy_std", "accuracy_low", "accuracy_high"]].isna().all(axis=None)

    def test_configurations_are_told_apart_as_planned(self):
        # Both stop after the same number of passes, which is what the column says.
        result = run("task=perceptron", "dataset=and", "epochs=50,60", "seed=0,1")
        assert result.results["epochs"].nunique() == 1
        summary = pd.read_csv(result.folder / "summary.csv")
        assert summary[["epochs", "replicates"]].to_numpy().tolist() == [[50, 2], [60, 2]]

    def test_a_failed_replicate_does_not_count(self, here):
        (here / "fault").write_text("1 raise")
        result = own()
        summary = pd.read_csv(result.folder / "summary.csv")
        assert summary[["dataset.choice", "replicates"]].to_numpy().tolist() == [
            ["and", 1],
            ["or", 1],
        ]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["seed=1,2", "sweep.replicates=2"], "expected none where the seed is swept, got 2"),
            (["sweep.replicates=0"], "expected at least 1, got 0"),
        ],
    )
    def test_refused(self, words, message):
        with pytest.raises(BadInput, match=f"sweep.replicates: {message}"):
            run(*GATES, *words)
        assert not Path("outputs").exists()


class TestPrograms:
    def test_what_another_one_has_done_or_failed_at_is_not_done_again(self, here, monkeypatch):
        (here / "fault").write_text("1 raise")
        done = own("output_dir=there").folder / "jobs"
        assert len(ran(here)) == 4
        reuse = Board.reuse

        def meanwhile(board):  # the other program ends after this one has looked
            reuse(board)
            shutil.copytree(done, board.folder / "jobs")

        monkeypatch.setattr(Board, "reuse", meanwhile)
        result = own()
        assert ran(here) == []
        assert result.results["status"].tolist() == ["completed", "failed"] * 2

    def test_a_row_of_other_code_is_said(self):
        job = JobReturn(status=JobStatus.COMPLETED)
        job.return_value = job_result("other")
        assert reason("a", job) == CHANGED


def job_result(run_id):
    return RunResult(Path("folder"), {"run_id": run_id})


class TestPlanOnly:
    def test_nothing_is_made(self, here):
        before = sorted(here.rglob("*"))
        result = run(*NAMED, "sweep.plan_only=true")
        assert sorted(here.rglob("*")) == before
        assert result.plan_only
        assert result.counts[:4] == (0, 4, 0, 0)
        assert result.counts.seconds is None
        assert result.results["status"].tolist() == [""] * 4
        assert result.results["dataset.choice"].tolist() == ["and", "and", "or", "or"]

    def test_what_is_done_is_counted(self, here):
        result = run(*NAMED)
        (result.folder / "jobs" / result.results["run_id"].iloc[2] / "run.json").unlink()
        before = files(here)
        plan = run(*NAMED, "sweep.plan_only=true")
        assert files(here) == before
        assert plan.counts[:4] == (3, 4, 3, 0)
        seconds = result.results["duration_seconds"].drop(index=2).mean()
        assert plan.counts.seconds == pytest.approx(seconds)
        assert plan.results["status"].tolist() == ["completed", "completed", "", "completed"]


class TestGoingOn:
    @pytest.fixture
    def again(self):
        return [lambda: own(), lambda: resumed()]

    @pytest.mark.parametrize("which", [0, 1], ids=["same command", "resume"])
    def test_only_what_is_missing_is_run(self, here, again, which):
        whole = own()
        expected = untimed(whole)
        assert len(ran(here)) == 4
        missing = whole.folder / "jobs" / whole.results["run_id"].iloc[1]
        shutil.rmtree(missing)
        torn = whole.folder / "jobs" / whole.results["run_id"].iloc[2] / "accuracy.csv"
        torn.write_text("split\n")
        kept = whole.folder / "jobs" / whole.results["run_id"].iloc[0] / "run.json"
        stamp = kept.stat().st_mtime_ns
        result = again[which]()
        assert ran(here) == ["and 1", "or 0"]
        assert untimed(result) == expected
        assert result.counts[:4] == (4, 4, 2, 0)
        assert kept.stat().st_mtime_ns == stamp
        before = files(here)
        assert again[which]().counts[:4] == (4, 4, 4, 0)
        assert ran(here) == []
        assert files(here) == before

    @pytest.mark.parametrize(
        ("which", "fault"), [(0, "raise"), (1, "exit")], ids=["same command", "resume"]
    )
    def test_what_failed_is_run_again(self, here, again, which, fault):
        (here / "fault").write_text(f"1 {fault}")
        assert own().counts[:4] == (4, 4, 0, 2)
        ran(here)
        result = again[which]()
        assert ran(here) == ["and 1", "or 1"]
        assert result.counts[:4] == (4, 4, 2, 2)
        (here / "fault").unlink()
        result = again[which]()
        assert ran(here) == ["and 1", "or 1"]
        assert result.counts[:4] == (4, 4, 2, 0)
        assert set(result.results["status"]) == {"completed"}

    def test_what_was_interrupted_is_run_again(self, here):
        (here / "fault").write_text("1 interrupt")
        with pytest.raises(KeyboardInterrupt) as caught:
            own()
        assert caught.value.__notes__ == [
            f"1 of 4 jobs are done; go on with: runner resume {Path('outputs/sweeps/s')}"
        ]
        table = pd.read_csv("outputs/sweeps/s/results.csv")
        assert table["status"].tolist() == ["completed", "interrupted"]
        assert ran(here) == ["and 0", "and 1"]
        (here / "fault").unlink()
        result = resumed()
        assert ran(here) == ["and 1", "or 0", "or 1"]
        assert set(result.results["status"]) == {"completed"}

    def test_what_diverged_would_diverge_again(self, here):
        (here / "fault").write_text("1 diverge")
        expected = untimed(own())
        ran(here)
        result = resumed()
        assert ran(here) == []
        assert untimed(result) == expected
        assert result.counts[:4] == (4, 4, 4, 2)
        assert len(result.unexpected) == 2

    def test_any_name_of_the_folder(self, here, monkeypatch):
        words = ["output_dir='it is, mine'", "dataset=and"]
        folder = app.run_sweep([*OWN, "sweep.name=a-1", *words], config_dir="mine").folder
        ran(here)
        (here / "link").symlink_to(here / folder, target_is_directory=True)
        names = {
            "relative": folder,
            "absolute": folder.absolute(),
            "slash": f"{folder}/",
            "dots": f"{folder}/jobs/../../a-1",
            "link": here / "link",
            "inside": ".",
        }
        for form, name in names.items():
            shutil.rmtree(next((here / folder / "jobs").iterdir()))
            if form == "inside":
                monkeypatch.chdir(folder)
            result = app.resume_sweep(name)
            assert result.counts[:4] == (2, 2, 1, 0), form
            assert result.folder.samefile(here / folder)
            assert [path.name for path in (here / "it is, mine/sweeps").iterdir()] == ["a-1"]
            assert not (here / "outputs").exists()

    @pytest.mark.parametrize("place", ["archive/s", "s", "archive/deep/my sweep é"])
    def test_a_folder_that_was_moved(self, here, place):
        run("task=perceptron", "dataset=and", "seed=0,1", "sweep.name=s")
        (here / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(here / "outputs/sweeps/s", here / place)
        shutil.rmtree(here / "outputs")
        lost = next((here / place / "jobs").iterdir())
        shutil.rmtree(lost)
        result = app.resume_sweep(place)
        assert result.counts[:4] == (2, 2, 1, 0)
        assert result.folder.samefile(here / place)
        assert (lost / "run.json").exists()
        assert [path.name for path in here.rglob("plan.csv")] == ["plan.csv"]
        assert runner.sweep(["task=perceptron", "dataset=or"]).folder.parent.name == "sweeps"

    @pytest.mark.parametrize("name", ["1e5", "007", "true", "null"])
    def test_a_name_that_reads_like_a_value(self, here, name):
        folder = run("task=perceptron", "dataset=and", f"sweep.name='{name}'").folder
        assert folder.name == name
        assert app.resume_sweep(folder).counts[:4] == (1, 1, 1, 0)
        assert [path.name for path in folder.parent.iterdir()] == [name]

    def test_a_folder_that_is_no_sweeps(self, here):
        folder = runner.run(["task=perceptron", "dataset=and", "figures=none"]).folder
        for path in (folder, here, here / "nowhere"):
            with pytest.raises(BadInput, match=r"^resume: expected the folder of a sweep, got "):
                app.resume_sweep(path)


class TestChanges:
    def refused(self, message, *words, again=run):
        before = files(Path("outputs"))
        with pytest.raises(BadInput) as caught:
            again(*words)
        text = "sweep.name: expected the jobs of the sweep that is there"
        start = f"command line: {text} (sweep.allow_changes=true goes on), got "
        assert str(caught.value).startswith(start)
        assert message in str(caught.value)
        assert files(Path("outputs")) == before

    def test_code(self, monkeypatch):
        old = run(*NAMED).results["code_version"].iloc[0]
        monkeypatch.setattr("runner.job.code_version", lambda: "0" * 12)
        message = f"got code_version {old} -> 000000000000 (4 of 4)"
        self.refused(message, *NAMED)
        self.refused(message, again=lambda: resumed())
        allowed = run(*NAMED, "sweep.allow_changes=true")
        assert allowed.counts[:4] == (4, 4, 0, 0)
        planned = [row["run_id"] for row in store.read_plan(allowed.folder)]
        assert planned == allowed.results["run_id"].tolist()
        assert set(allowed.results["code_version"]) == {"0" * 12}
        assert resumed().counts.reused == 4
        # What was allowed once is not allowed for ever.
        monkeypatch.setattr("runner.job.code_version", lambda: "1" * 12)
        self.refused("got code_version 000000000000 -> 111111111111", again=lambda: resumed())

    def test_data(self, here):
        np.savez(here / "a.npz", x=np.eye(4), t=[0, 1, 0, 1])
        words = ["dataset=file", "dataset.path=a.npz", "task=perceptron", "seed=0,1"]
        old = run(*words, "sweep.name=s").results["data_hash"].iloc[0]
        np.savez(here / "a.npz", x=np.eye(4), t=[1, 1, 0, 1])
        self.refused(f"got data_hash {old} -> ", *words, "sweep.name=s")
        self.refused(" (2 of 2)", again=lambda: resumed())

    def test_weights(self, here):
        trained = ["dataset=and", "weights=none", "task=training", "network.hidden=[2]"]
        for epochs in (1, 2):
            folder = runner.run([*trained, f"epochs={epochs}", "figures=none"]).folder
            shutil.copy(folder / "weights.safetensors", here / f"{epochs}.safetensors")
        shutil.rmtree(here / "outputs")
        shutil.copy(here / "1.safetensors", here / "w.safetensors")
        words = ["dataset=and", "network.hidden=[2]", "weights=file", "weights.path=w.safetensors"]
        words += ["batch_size=1,2", "sweep.name=s"]
        run(*words)
        shutil.copy(here / "2.safetensors", here / "w.safetensors")
        self.refused("got weights_hash ", *words)
        self.refused(" (2 of 2)", again=lambda: resumed())

    def test_a_module_of_ones_own(self, here):
        own()
        (here / "mine/own.py").write_text(PICKY + "\n# changed\n")
        self.refused("got threads or a module of your own (4 of 4)", again=own)

    def test_configuration(self):
        run(*NAMED)
        self.refused("got config_hash (4 of 4)", *NAMED, "task.params.lr=2")
        allowed = run(*NAMED, "task.params.lr=2", "sweep.allow_changes=true")
        assert resumed().counts.reused == 4
        assert json.loads((allowed.folder / "command.json").read_text())[-2:] == [
            "task.params.lr=2",
            "sweep.allow_changes=true",
        ]
        self.refused("got config_hash (4 of 4)", *NAMED)  # what was allowed once is the plan now

    def test_more_jobs(self):
        run(*NAMED)
        words = [*NAMED[:2], "seed=0,1,2", "sweep.name=s"]
        self.refused("new jobs (2 of 6)", *words)
        allowed = run(*words, "sweep.allow_changes=true")
        assert allowed.counts[:4] == (6, 6, 4, 0)
        result = resumed()
        assert result.counts[:4] == (6, 6, 6, 0)
        assert result.results["seed"].tolist() == [0, 1, 2] * 2

    def test_fewer_jobs(self):
        run(*NAMED)
        words = [*NAMED[:2], "seed=1", "sweep.name=s"]
        self.refused("jobs left out (4 of 2)", *words)


class TestFailures:
    @pytest.mark.parametrize(
        ("fault", "status", "error"),
        [
            ("raise", "failed", "RuntimeError: one, two"),
            ("exit", "failed", "SystemExit: enough"),
            ("diverge", "diverged", "loss: expected a finite number, got nan"),
        ],
    )
    def test_a_failure_is_a_row(self, here, fault, status, error):
        (here / "fault").write_text(f"1 {fault}")
        result = own()
        assert result.results["status"].tolist() == ["completed", status] * 2
        assert result.results["error"].tolist() == ["", error] * 2
        assert result.results["accuracy"].isna().tolist() == [False, True] * 2
        assert result.counts[:4] == (4, 4, 0, 2)
        run_id = result.results["run_id"].iloc[1]
        assert result.unexpected[0] == f"{run_id}: {status}: {error}"
        log = (result.folder / "jobs" / run_id / "runner.log").read_text()
        assert ("Traceback" in log) == (status == "failed")

    def test_a_full_disk_is_a_row(self, here, monkeypatch):
        write = runner.job.write

        def full(result, *others):
            if result.row["seed"] == 1:
                raise OSError(28, "No space left on device", "results.csv")
            write(result, *others)

        monkeypatch.setattr("runner.job.write", full)
        result = run(*NAMED)
        assert result.results["status"].tolist() == ["completed", "failed"] * 2
        assert result.results["dataset.choice"].tolist() == ["and", "and", "or", "or"]
        error = "OSError: [Errno 28] No space left on device: 'results.csv'"
        assert result.results["error"].iloc[1] == error
        folder = result.folder / "jobs" / result.results["run_id"].iloc[1]
        assert "Traceback" in (folder / "runner.log").read_text()
        monkeypatch.setattr("runner.job.write", write)
        assert resumed().counts[:4] == (4, 4, 2, 0)

    @pytest.mark.parametrize(
        ("launcher", "fault"),
        [("runner", "raise"), ("runner", "diverge"), ("basic", "raise"), ("basic", "disk")],
    )
    def test_fail_fast(self, here, monkeypatch, launcher, fault):
        if fault == "disk":
            monkeypatch.setattr("runner.job.write", self.no_space)
        else:
            (here / "fault").write_text(f"1 {fault}")
        words = ["sweep.fail_fast=true", f"hydra/launcher={launcher}"]
        first = 1 if fault == "disk" else 2  # with a full disk the first one fails
        result = own(*words)
        assert len(ran(here)) == first
        assert result.counts[:4] == (first, 4, 0, 1)
        assert len(store.read_rows(result.folder / "results.csv")) == first
        monkeypatch.undo()
        monkeypatch.chdir(here)
        (here / "fault").unlink(missing_ok=True)
        result = resumed()
        # What diverged is done, and does not stop what comes after it.
        assert len(ran(here)) == (2 if fault == "diverge" else 4 - first + 1)
        assert result.counts.done == 4
        assert result.counts.failed == (1 if fault == "diverge" else 0)

    @staticmethod
    def no_space(result, identity, pictures):
        raise OSError(28, "No space left on device")

    def test_without_fail_fast_all_are_run(self, here):
        (here / "fault").write_text("0 raise")
        assert own("hydra/launcher=basic").counts[:4] == (4, 4, 0, 2)
        assert len(ran(here)) == 4

    def test_a_record_of_before_is_not_taken_for_a_new_one(self, here, monkeypatch):
        monkeypatch.setattr("runner.sweeps.sweeper.POLL", 0.001)
        (here / "fault").write_text("1 raise")
        assert own("hydra/launcher=basic").counts.failed == 2
        (here / "fault").unlink()
        result = own("hydra/launcher=basic")
        assert result.counts[:4] == (4, 4, 2, 0)
        assert set(result.results["status"]) == {"completed"}

    def test_a_job_that_left_no_record_says_why(self):
        job = JobReturn(status=JobStatus.COMPLETED)
        assert reason("a", job) == LOST
        job.status, job.return_value = JobStatus.FAILED, ValueError("x")
        assert reason("a", job) == "ValueError: x"

    def test_what_is_expected_to_fail_is_as_expected(self, here):
        (here / "fault").write_text("1 raise")
        result = own("+expect.status=failed")
        wrong = result.results.loc[result.results["seed"] == 0, "run_id"]
        assert [line.split(":")[0] for line in result.unexpected] == wrong.tolist()
        assert "status: expected failed, got completed" in result.unexpected[0]

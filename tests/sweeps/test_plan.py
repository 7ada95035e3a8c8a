"""From words with several values to a list of jobs; Hydra's own reading is the oracle."""

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import runner
from runner.lookup import BadInput
from runner.sweeps.board import Board
from runner.sweeps.plan import Job, count, expand, rows
from runner.tables import store

CHOICES = ["adagrad", "adam", "momentum", "sgd"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(*words):
    return OverridesParser.create().parse_overrides(list(words))


def values(word):
    """Return the values that a word makes of its key, as a plan has them."""
    key = word.partition("=")[0]
    jobs = expand(parsed(word), {}, max_runs=1000)
    return [job.overrides[0].removeprefix(f"{key}=") for job in jobs]


def swept_optimizers(word):
    """Return the optimizers of a whole sweep's jobs, those of CHOICES alone."""
    words = ["dataset=xor", "weights=none", "timing.repeats=1", "timing.warmup=0", word]
    swept = runner.sweep(words)
    return [name for name in swept["optimizer.choice"] if name in CHOICES]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed=7", ["7"]),
        ("seed=3,1,2", ["3", "1", "2"]),
        ("seed=choice(3,1,2)", ["3", "1", "2"]),
        ("seed=sort(3,1,2)", ["1", "2", "3"]),
        ("seed=sort(3,1,2,reverse=true)", ["3", "2", "1"]),
        ("network.hidden=[3],[4,5]", ["[3]", "[4,5]"]),
        ("seed=range(3)", ["0", "1", "2"]),
        ("seed=range(2,5)", ["2", "3", "4"]),
        ("seed=range(0,10,3)", ["0", "3", "6", "9"]),
        ("seed=range(0,9,3)", ["0", "3", "6"]),
        ("seed=range(5,0,-2)", ["5", "3", "1"]),
        ("seed=range(-1,2)", ["-1", "0", "1"]),
        ("seed=sort(range(0,4),reverse=true)", ["3", "2", "1", "0"]),
        ("lr=range(1,0,-0.25)", ["1.0", "0.75", "0.5", "0.25"]),
        ("lr=range(1.5,4)", ["1.5", "2.5", "3.5"]),
        ("lr=range(0,0.3,0.1)", ["0.0", "0.1", "0.2"]),
        ("name='a,b',c", ["'a,b'", "c"]),
    ],
)
def test_values_in_their_order(word, expected):
    (override,) = parsed(word)
    assert values(word) == expected
    assert count(override, ()) == len(expected)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("optimizer=glob(*)", CHOICES),
        ("optimizer=glob(ad*)", ["adagrad", "adam"]),
        ("optimizer=glob([ad*,sgd])", ["adagrad", "adam", "sgd"]),
        ("optimizer=glob(*,exclude=ad*)", ["momentum", "sgd"]),
        ("optimizer=glob(*,exclude=[ad*,sgd])", ["momentum"]),
    ],
)
def test_a_glob_is_over_the_choices_of_its_group(word, expected):
    (override,) = parsed(word)
    assert count(override, CHOICES) == len(expected)
    assert swept_optimizers(word) == expected


def test_shuffled_values_are_all_there():
    (override,) = parsed("seed=shuffle(range(0,20))")
    assert count(override, ()) == 20
    met = values("seed=shuffle(range(0,20))")
    assert sorted(map(int, met)) == list(range(20))
    assert sorted(values("seed=shuffle(5,6,7)")) == ["5", "6", "7"]


@pytest.mark.parametrize(
    "step",
    [
        *(("0", "1", "0.1"), ("0.1", "0.4", "0.1"), ("0", "1", "0.3"), ("1", "0", "-0.1")),
        *(("-0.5", "0.5", "0.25"), ("0", "1e-3", "1e-4")),
        # Hydra adds the step up: three times 0.3 is less than 0.9 then, and so one more value.
        pytest.param(("0", "0.9", "0.3")),
        pytest.param(("0", "7", "0.7")),
    ],
    ids=",".join,
)
def test_a_fractional_range_has_as_many_jobs_as_were_counted(step):
    word = f"lr=range({','.join(step)})"
    (override,) = parsed(word)
    met = values(word)
    assert count(override, ()) == len(met)
    start, _, width = map(float, step)
    np.testing.assert_allclose(
        [float(value) for value in met], start + width * np.arange(len(met)), atol=1e-12
    )


def test_the_first_key_varies_slowest():
    jobs = expand(parsed("a=1,2", "b=x", "c=range(0,2)"), {}, max_runs=4)
    assert [job.overrides for job in jobs] == [
        ("a=1", "b=x", "c=0"),
        ("a=1", "b=x", "c=1"),
        ("a=2", "b=x", "c=0"),
        ("a=2", "b=x", "c=1"),
    ]
    assert [dict(job.swept) for job in jobs][1] == {"a": "1", "c": "1"}  # b is not swept over


def test_a_job_keeps_how_its_words_were_written():
    (job,) = expand(parsed("+weights.params.b1=[0,0]", "~experiment", "seed=1"), {}, 1)
    assert job.overrides[0] == "+weights.params.b1=[0,0]"
    assert job.overrides[1].startswith("~experiment")
    assert job.overrides[2] == "seed=1"


@pytest.mark.parametrize("allowed", [5, 6])
def test_a_sweep_is_as_large_as_the_product_of_its_keys(allowed):
    words = parsed("a=1,2", "b=range(0,3)", "c=7")
    if allowed < 6:
        message = "sweep.max_runs: expected a sweep of at most 5 jobs, got 6$"
        with pytest.raises(BadInput, match=message):
            expand(words, {}, allowed)
    else:
        assert len(expand(words, {}, allowed)) == 6


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed=range(0,-1)", "at least one value"),
        ("seed=range(0,3,-1)", "at least one value"),
        ("optimizer=glob(x*)", "at least one value"),
        ("seed=range(0,3,0)", "a step other than 0"),
        ("lr=interval(0,1)", "choices, a range or a glob"),
        ("output_dir=a,b", "one value"),
        ("sweep.name=a,b", "one value"),
        ("data_dir=a,b", "one value"),
    ],
)
def test_a_word_that_makes_no_jobs_is_bad_input(word, expected):
    with pytest.raises(BadInput) as caught:
        expand(parsed(word), {"optimizer": CHOICES}, 10)
    key = word.partition("=")[0]
    assert str(caught.value).startswith(f"command line: {key}: expected {expected}")
    assert str(caught.value).endswith(f", got {word}")


def test_only_a_group_whose_name_is_a_column_gets_another():
    groups = {"optimizer": CHOICES, "init": ["he", "zeros"]}
    words = parsed("optimizer=adam,sgd", "init=he,zeros", "seed=1,2", "optimizer.params.lr=1,2")
    names = list(expand(words, groups, 16)[0].swept)
    # `optimizer` holds the function's name, which two choices may share; `init` is no column.
    assert names == ["optimizer.choice", "init", "seed", "optimizer.params.lr"]


def test_the_plan_has_a_row_per_job():
    jobs = {"aa": Job(("seed=1",), {"seed": "1"}), "bb": Job(("seed=007",), {"seed": "007"})}
    made = rows(jobs, {"aa": {"data_hash": "d"}, "bb": {"data_hash": ""}})
    assert made == [
        {"run_id": "aa", "data_hash": "d", "seed": "1"},
        {"run_id": "bb", "data_hash": "", "seed": "007"},
    ]


def test_a_swept_column_that_a_job_leaves_empty_is_filled(here):
    words = ["dataset=xor", "weights=none", "timing.repeats=1", "sweep.name=mine"]
    swept = runner.sweep([*words, "epochs=1,2", "optimizer=sgd,adam"])
    assert swept["epochs"].tolist() == [1, 1, 2, 2]
    assert swept["optimizer.choice"].tolist() == ["sgd", "adam"] * 2
    folder = here / "outputs" / "sweeps" / "mine"
    written = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    assert written["epochs"].tolist() == ["1", "1", "2", "2"]
    assert list(written.columns).count("epochs") == 1
    # Inference makes no epochs and has no optimizer: the job by itself says nothing of them.
    jobs = [
        pd.read_csv(folder / "jobs" / name / "results.csv", keep_default_na=False).iloc[0]
        for name in written["run_id"]
    ]
    assert [(job["epochs"], job["optimizer"]) for job in jobs] == [("", "")] * 4
    assert written["optimizer"].tolist() == [""] * 4


def test_what_a_job_says_of_a_swept_column_counts(here):
    # A pass limit of 100, of which the job made 7.
    board = Board(here, [{"run_id": "aa", "epochs": "100", "optimizer.choice": "sgd"}])
    board.take("aa", {"run_id": "aa", "status": "diverged", "epochs": "7", "optimizer": ""})
    board.write()
    row = store.read_table(here / "results.csv", "results").iloc[0]
    assert (row["epochs"], row["optimizer"], row["optimizer.choice"]) == (7, "", "sgd")

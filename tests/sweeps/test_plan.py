"""From words with several values to a list of jobs; Hydra's own reading is the oracle."""

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import runner
from runner.lookup import BadInput
from runner.sweeps.board import Board
from runner.sweeps.plan import Job, changes, count, expand, rows
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


def swept(*words, together=(), without=()):
    jobs = expand(parsed(*words), {}, 100, together, without)
    return [" ".join(job.swept.values()) for job in jobs]


def test_values_side_by_side():
    words = ["a=1,2", "b=7", "c=x,y,z", "d=range(3)"]
    assert swept(*words, together=[["d", "c"]]) == [
        *("1 x 0", "1 y 1", "1 z 2"),
        *("2 x 0", "2 y 1", "2 z 2"),
    ]
    assert swept("a=1,2", "b=3,4", "c=5,6", together=[["a", "b", "c"]]) == ["1 3 5", "2 4 6"]
    # The axis stands where the first of its keys does.
    assert swept("a=1,2", "b=3,4", "c=5,6", together=[["a", "c"]])[:2] == ["1 3 5", "1 4 5"]
    assert swept("a=1,2", "b=3,4", "c=5,6", together=[["c", "a"]])[:2] == ["1 3 5", "1 4 5"]
    pairs = [["a", "c"], ["b", "d"]]
    assert swept("a=1,2", "b=3,4", "c=5,6", "d=7,8", together=pairs) == [
        *("1 3 5 7", "1 4 5 8"),
        *("2 3 6 7", "2 4 6 8"),
    ]


def test_a_side_counts_once():
    words = parsed("a=range(0,50)", "b=range(0,50)", "c=1,2")
    assert len(expand(words, {}, 100, [["a", "b"]])) == 100
    with pytest.raises(BadInput, match=r"at most 99 jobs, got 100$"):
        expand(words, {}, 99, [["a", "b"]])


@pytest.mark.parametrize(
    ("together", "message"),
    [
        ([["seed", "dataset"]], "expected as many values of each key, got seed 3, dataset 2"),
        ([["sed", "a"]], "expected keys that are swept, each once, got sed; did you mean seed?"),
        ([["seed", "epochs"]], "expected keys that are swept, each once, got epochs"),
        ([["seed"], ["seed"]], "expected keys that are swept, each once, got seed"),
        ([["seed", "seed"]], "expected keys that are swept, each once, got seed"),
        (["seed", "dataset"], "expected lists of swept keys, such as [[a,b]], got seed"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused(together, message):
    with pytest.raises(BadInput) as caught:
        swept("dataset=and,or", "seed=1,2,3", "epochs=5", together=together)
    assert str(caught.value).startswith(f"sweep.zip: {message}")


@pytest.mark.parametrize(
    ("word", "without", "left"),
    [
        ("b=1,2", [{"a": "x", "b": 1}], ["x 2", "y 1", "y 2"]),
        ("b=1,2", [{"a": "x", "b": 1}, {"a": "y"}], ["x 2"]),
        ("b=1,2", [{"b": 3}], ["x 1", "x 2", "y 1", "y 2"]),
        ("b=0.50,1", [{"b": 0.5}], ["x 1", "y 1"]),
        ("b=1e-3,1", [{"b": 0.001}], ["x 1", "y 1"]),
        ("b=range(0,0.3,0.1)", [{"b": 0.2}], ["x 0.0", "x 0.1", "y 0.0", "y 0.1"]),
        ("b=true,false", [{"b": True}], ["x False", "y False"]),
        ("b=null,1", [{"b": None}], ["x 1", "y 1"]),
        ("b=[2],[2,3],[4]", [{"b": [2, 3]}], ["x [2]", "x [4]", "y [2]", "y [4]"]),
        ("b={c:1},{c:2}", [{"b": {"c": 1}}], ["x {c:2}", "y {c:2}"]),
        ("b='p, q',r", [{"b": "p, q"}], ["x r", "y r"]),
        ('b="r",s', [{"b": "r"}], ["x s", "y s"]),
        ("b=1,1,2", [{"b": 1}], ["x 2", "y 2"]),
    ],
)
def test_combinations_are_left_out(word, without, left):
    assert swept("a=x,y", word, without=without) == left


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ([{"seed": 1}, {"seed": 2}], "expected at least one job that is left, got none"),
        ([{"sed": 1}], "expected keys that are swept, got sed; did you mean seed?"),
        ([{"epochs": 5}], "expected keys that are swept, got epochs"),
        (["seed"], "expected combinations, such as [{a: 1, b: 2}], got seed"),
    ],
)
def test_what_leaves_nothing_out_or_nothing_over_is_refused(without, message):
    with pytest.raises(BadInput) as caught:
        swept("seed=1,2", "epochs=5", without=without)
    assert str(caught.value).startswith(f"sweep.exclude: {message}")


def row(run_id, seed, **others):
    known = {"config_hash": "c", "data_hash": "d", "weights_hash": "", "code_version": "v"}
    return {"run_id": run_id, **known, **others, "seed": seed}


def test_changes_in_words():
    before = [row("aa", "1"), row("bb", "2"), row("cc", "3")]
    assert changes(before, before) == []
    assert changes(before, before[::-1]) == []
    now = [row("ax", "1", data_hash="e"), row("bx", "2", data_hash="e"), before[2]]
    assert changes(before, now) == ["data_hash d -> e (2 of 3)"]
    now = [row("ax", "1", config_hash="x"), row("bx", "2", config_hash="y"), before[2]]
    assert changes(before, now) == ["config_hash (2 of 3)"]
    now = [row("ax", "1", config_hash="x", code_version="w"), *before[1:]]
    assert changes(before, now) == ["config_hash c -> x (1 of 3)", "code_version v -> w (1 of 3)"]
    assert changes(before, [row("ax", "1"), *before[1:]]) == [
        "threads or a module of your own (1 of 3)"
    ]
    assert changes(before[:1], before) == ["new jobs (2 of 3)"]
    assert changes(before, before[:1]) == ["jobs left out (2 of 1)"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("name='a,b','c'", ["a,b", "c"]),
        ('name=["a b"],[c]', ["[a b]", "[c]"]),
        ("name=own:one,own:two", ["own:one", "own:two"]),
        (r"name='it\'s',C\:\\data", ["it's", r"C:\data"]),
        ("x=null,true,1e-3", ["null", "True", "0.001"]),
        ("x=[1, 2],{a: 'b'}", ["[1,2]", "{a:b}"]),
    ],
)
def test_a_cell_has_the_value_not_the_words_for_it(word, expected):
    jobs = expand(parsed(word), {}, max_runs=10)
    assert [*map("".join, (job.swept.values() for job in jobs))] == expected
    again = expand(parsed(*(job.overrides[0] for job in jobs[:1])), {}, max_runs=10)
    assert again[0].overrides == jobs[0].overrides  # the words stay as they can be read


def test_a_value_that_must_be_given_can_be_swept():
    words = ["dataset=inline", "weights=none", "task=perceptron", "dataset.params.t=[0,1]"]
    table = runner.sweep([*words, "dataset.params.x=[[0,0],[1,1]],[[0,1],[1,1]]"])
    assert table["dataset.params.x"].tolist() == ["[[0,0],[1,1]]", "[[0,1],[1,1]]"]
    assert table["data_hash"].nunique() == 2
    with pytest.raises(BadInput, match=r"^command line: dataset\.params\.x: expected a value"):
        runner.sweep([*words, "seed=1,2"])

"""What a comparison claims: how often it errs on noise, and that it finds what is there."""

import json
import math
import re

import numpy as np
import pytest
import scipy.stats

from runner.tables.compare import compare
from runner.tables.gate import parse
from runner.tables.matching import KEYS
from runner.tables.results import Results

METRICS = ("accuracy", "test_loss", "fit_seconds", "images_per_second", "inference_seconds")


def table(name, metric, *groups, folder=None, **more):
    """Return a table: a configuration for each group of values, a row for each seed."""
    rows = [
        dict.fromkeys(KEYS, "")
        | {"run_id": f"{key}-{seed}", "status": "completed"}
        | {"seed": str(seed), "epochs": "", "lr": str(key), metric: repr(float(value))}
        | more
        for key, values in enumerate(groups)
        for seed, value in enumerate(values)
    ]
    sweep = folder is not None and (folder / "plan.csv").exists()
    return Results(name, rows, list(rows[0]), folder, sweep)


def one(a, b, *metrics, **options):
    """Return the only comparison of two tables."""
    (found,) = compare([a, b], metrics, **options).comparisons
    return found


def test_a_table_is_not_different_from_itself():
    values = np.random.default_rng(0).normal(0.9, 0.01, (3, 10))
    found = compare([table("a", "accuracy", *values)] * 2).comparisons
    assert [made.verdict for made in found] == ["no difference"] * 3
    assert [made.change for made in found] == [0.0] * 3


def test_a_drop_of_two_points_over_ten_seeds_is_found():
    rng = np.random.default_rng(1)
    for _ in range(50):
        a = rng.normal(0.9, 0.01, 10)
        b = a - 0.02 + rng.normal(0, 0.01, 10)
        made = one(table("a", "accuracy", a), table("b", "accuracy", b))
        assert (made.method, made.n, made.verdict) == ("paired t", 10, "worse")
        assert made.p == pytest.approx(scipy.stats.ttest_rel(b, a).pvalue, rel=1e-10)
        assert made.low < made.change < made.high < 0


def test_two_seeds_are_underpowered_however_clear_they_look():
    made = one(table("a", "accuracy", [0.9, 0.91]), table("b", "accuracy", [0.88, 0.89001]))
    assert (made.verdict, made.needed, made.p) == ("underpowered", 3, None)
    made = one(table("a", "accuracy", [0.9, 0.91]), table("b", "accuracy", [0.88, 0.915]))
    assert made.verdict == "underpowered"
    assert made.needed > 10


def test_a_single_run_without_decisions_is_underpowered_unless_equal():
    a = table("a", "accuracy", [0.9])
    assert one(a, table("b", "accuracy", [0.9])).verdict == "no difference"
    made = one(a, table("b", "accuracy", [0.5]))
    assert (made.verdict, made.needed) == ("underpowered", 3)


def test_noise_is_seldom_called_a_difference():
    rng = np.random.default_rng(2)
    verdicts = [
        one(*(table(name, "accuracy", rng.normal(0.9, 0.01, 8)) for name in "ab")).verdict
        for _ in range(400)
    ]
    assert 8 <= sum(verdict in ("better", "worse") for verdict in verdicts) <= 32  # 5 %


def test_many_comparisons_are_adjusted_for():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(40):
        a, b = (table(name, "accuracy", *rng.normal(0.9, 0.01, (30, 6))) for name in "ab")
        found = compare([a, b]).comparisons
        wrong += any(made.verdict in ("better", "worse") for made in found)
        assert all(made.p_holm >= made.p for made in found)
    assert wrong <= 6  # without Holm 80 % of them


@pytest.mark.parametrize("n", [4, 100])
def test_counts_that_are_equal_by_chance_are_not_certain(n):
    rng = np.random.default_rng(n)
    wrong = 0
    for _ in range(20):
        a, b = (
            table(name, "accuracy", *rng.binomial(n, 0.95, (50, 3)) / n, n=str(n)) for name in "ab"
        )
        found = compare([a, b]).comparisons
        wrong += any(made.verdict in ("better", "worse") for made in found)
    assert wrong <= 3  # of 20 tables; where no scatter is no noise 9 and 8
    made = one(*(table(x, "accuracy", [y] * 3, n="4") for x, y in (("a", 1), ("b", 0.75))))
    assert (made.verdict, made.needed) == ("underpowered", 4)
    assert made.p == pytest.approx(2 * scipy.stats.t.sf(math.sqrt(18), 2), rel=1e-10)
    made = one(*(table(x, "epochs", [y] * 3) for x, y in (("a", 10), ("b", 20))), "epochs")
    assert made.verdict == "worse"


def test_a_higher_loss_is_worse_and_a_higher_accuracy_better():
    a, b = np.arange(5) / 100 + 0.5, np.arange(5) / 100 + 0.6
    for metric, verdict in (("accuracy", "better"), ("test_loss", "worse")):
        assert one(table("a", metric, a), table("b", metric, b)).verdict == verdict
        assert one(table("a", metric, b), table("b", metric, a)).verdict != verdict


def test_other_seeds_are_not_paired():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.9, 0.01, 10), rng.normal(0.85, 0.02, 12)
    right = table("b", "accuracy", b)
    for row in right.rows:
        row["seed"] = str(int(row["seed"]) + 100)
    made = one(table("a", "accuracy", a), right)
    assert (made.method, made.n_baseline, made.n) == ("Welch t", 10, 12)
    expected = scipy.stats.ttest_ind(b, a, equal_var=False)
    assert made.p == pytest.approx(expected.pvalue, rel=1e-10)
    assert (made.low, made.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-10)


@pytest.mark.parametrize(
    ("first", "method", "n", "note"),
    [
        (0, "paired t", 8, ""),
        (4, "paired t", 4, "seeds without a partner: 8"),
        (5, "Welch t", 8, ""),
    ],
)
def test_seeds_without_a_partner_are_named_or_used(first, method, n, note):
    values = np.random.default_rng(5).normal(0.9, 0.01, (2, 8))
    a, b = table("a", "accuracy", values[0]), table("b", "accuracy", values[1])
    for row in b.rows:
        row["seed"] = str(int(row["seed"]) + first)
    made = one(a, b)
    assert (made.method, made.n, made.note) == (method, n, note)


def test_two_common_seeds_of_four_are_too_few_to_pair():
    a, b = (table(name, "accuracy", np.arange(4) / 10) for name in "ab")
    for row in b.rows:
        row["seed"] = str(int(row["seed"]) + 2)
    assert (one(a, b).method, one(a, b).n) == ("Welch t", 4)


def test_seeds_of_any_size_are_told_apart():
    a = table("a", "accuracy", np.arange(4) / 10)
    for row in a.rows:
        row["seed"] = "9" * 400 + row["seed"]
    assert one(a, a).n == 4


def test_runs_that_did_not_complete_do_not_count():
    a, b = (table(name, "accuracy", np.arange(6) / 10) for name in "ab")
    b.rows[5] |= {"status": "diverged"}
    b.rows[4] |= {"accuracy": ""}
    made = one(a, b)
    assert (made.n, made.verdict) == (4, "no difference")
    assert made.note == "2 of 12 rows without it; seeds without a partner: 2"
    for row in b.rows:
        row["status"] = "failed"
    made = one(a, b)
    assert (made.verdict, made.note) == ("not comparable", "no accuracy in b")


def test_configurations_are_matched_and_what_is_alone_is_named():
    a = table("a", "accuracy", [0.1, 0.2], [0.3, 0.4], [0.5, 0.6])
    b = table("b", "accuracy", [0.1, 0.2], [0.3, 0.4])
    outcome = compare([a, b])
    assert outcome.keys == ["lr"]
    assert [made.keys for made in outcome.comparisons] == [{"lr": "0"}, {"lr": "1"}]
    assert outcome.notes == ["1 of a not in b: 2"]


def test_several_tables_are_compared_with_the_first():
    tables = [
        table(name, "accuracy", np.arange(4) / 10 + x)
        for name, x in zip("abc", (0, 1, -1), strict=True)
    ]
    found = compare(tables).comparisons
    assert [(made.table, made.verdict) for made in found] == [("b", "better"), ("c", "worse")]


@pytest.mark.parametrize(
    ("a", "b", "metrics", "message"),
    [
        (
            table("a", "accuracy", [1, 2], [1, 2]),
            table("b", "accuracy", [1], lr="7"),
            [],
            "b: expected configurations of a (by lr), got none of them",
        ),
        (
            table("a", "accuracy", [1], status="failed"),
            table("b", "accuracy", [1]),
            [],
            "a: expected a completed run with accuracy, test_loss or times, got none",
        ),
        (
            table("a", "accuracy", [1]),
            table("b", "accuracy", [1]),
            ["test_loss"],
            "a: expected completed runs with test_loss, got none",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(a, b, metrics, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        compare([a, b], metrics)


class TestTimes:
    def folder(self, path, seconds, **environment):
        """Write what a run leaves of its times."""
        path.mkdir(parents=True)
        lines = ["phase,batch_size,repeat,items,seconds,items_per_second", "build,,1,9,0.1,90"]
        lines += [f"inference,1,{i},100,9,9" for i in range(1, 4)]
        lines += [f"inference,10,{i},100,{s!r},{100 / s!r}" for i, s in enumerate(seconds, 1)]
        (path / "timing.csv").write_text("\n".join([*lines, ""]))
        blas = [{"internal_api": "openblas", "version": "1", "architecture": "Haswell"}]
        environment = {"cpu": "x", "cores": 2, "blas": blas} | environment
        (path / "run.json").write_text(json.dumps({"environment": environment}))
        return path

    def run(self, path, seconds, threads="1", **environment):
        folder = self.folder(path, [float(s) for s in seconds], **environment)
        speed = 100 / float(np.median(seconds))
        return table(path.name, "images_per_second", [speed], folder=folder, threads=threads)

    @pytest.mark.parametrize("repeats", [5, 20])
    def test_identical_runs_are_seldom_called_different(self, tmp_path, repeats):
        rng = np.random.default_rng(repeats)
        called = stopped = 0
        for pair in range(100):
            luck = rng.normal(1, 0.02, 2)  # of each process, which its repeats share
            noise = rng.lognormal(0, 0.05, (2, repeats))
            a, b = (
                self.run(tmp_path / f"{n}{pair}", 0.1 * luck[i] * noise[i])
                for i, n in enumerate("ab")
            )
            outcome = compare([a, b], gates=[parse("images_per_second < baseline", METRICS)])
            called += outcome.comparisons[0].verdict in ("better", "worse")
            stopped += outcome.gates[0].state == "holds"
        assert called <= 5
        assert stopped <= 5

    def test_twice_the_time_is_found(self, tmp_path):
        rng = np.random.default_rng(0)
        a = self.run(tmp_path / "a", rng.normal(0.1, 0.002, 5))
        b = self.run(tmp_path / "b", rng.normal(0.2, 0.004, 5))
        made = one(a, b)
        assert (made.verdict, made.n) == ("worse", 5)
        assert made.method == "ratio of medians over repeats"
        assert made.bootstrap_low < made.change < made.bootstrap_high < 0.6
        assert one(a, b, "images_per_second").change == pytest.approx(0.5, rel=0.1)

    @pytest.mark.parametrize(("seconds", "state"), [(0.105, "does not hold"), (0.13, "holds")])
    def test_a_gate_may_leave_room_for_drift_itself(self, tmp_path, seconds, state):
        rng = np.random.default_rng(1)
        a = self.run(tmp_path / "a", rng.normal(0.1, 0.0005, 9))
        b = self.run(tmp_path / "b", rng.normal(seconds, 0.0005, 9))
        gate = parse("images_per_second < 0.9 * baseline", METRICS)
        assert compare([a, b], gates=[gate]).gates[0].state == state

    def test_a_sweep_over_several_machines_is_compared_with_one_over_the_same(self, tmp_path):
        tables = []
        for name, cpus in (("a", "xyxy"), ("b", "zzzz")):
            (tmp_path / name).mkdir()
            (tmp_path / name / "plan.csv").touch()
            for seed, cpu in enumerate(cpus):
                self.folder(tmp_path / name / "jobs" / f"0-{seed}", [1.0], cpu=cpu)
            tables.append(table(name, "fit_seconds", [1, 1.1, 1.2, 1.3], folder=tmp_path / name))
        assert one(tables[0], tables[0]).verdict == "no difference"
        assert one(*tables).verdict == "not comparable"
        assert one(*tables).note == "other cpu x / y / z"

    def test_less_than_a_machine_drifts_is_no_difference(self, tmp_path):
        a = self.run(tmp_path / "a", [0.1, 0.1001, 0.1002])
        b = self.run(tmp_path / "b", [0.105, 0.1051, 0.1052])
        assert one(a, b).verdict == "no difference"

    def test_as_many_runs_as_are_said_to_be_needed_find_a_difference(self):
        rng = np.random.default_rng(7)
        logs = 0.1 * np.array([-1.0, -0.2, 0.2, 1.0])

        def compared(*logs):
            """Compare times with those of runs that take a quarter longer."""
            a, b = (
                table(name, "fit_seconds", seconds * np.exp(values))
                for name, seconds, values in zip("ab", (1, 1.25), logs, strict=True)
            )
            return one(a, b)

        made = compared(logs, logs)
        assert made.verdict == "underpowered"
        found = [
            compared(*rng.normal(0, logs.std(ddof=1), (2, made.needed))).verdict for _ in range(200)
        ]
        assert 0.7 <= found.count("worse") / 200 <= 0.9  # 0.8; drift left out, 0.4

    def test_several_runs_are_compared_as_runs(self):
        rng = np.random.default_rng(6)
        a, b = (table(n, "fit_seconds", rng.normal(s, 0.02, 8)) for n, s in (("a", 1), ("b", 1.3)))
        made = one(a, b)
        assert (made.method, made.verdict) == ("ratio of medians over runs", "worse")
        medians = [np.median([float(row["fit_seconds"]) for row in t.rows]) for t in (a, b)]
        assert made.change == pytest.approx(medians[1] / medians[0])
        assert made.note == "machine not recorded"

    @pytest.mark.parametrize(
        ("other", "note"),
        [
            ({"cpu": "y"}, "other cpu x / y"),
            ({"cores": 8}, "other cores 2 / 8"),
            ({"threads": "4"}, "other threads 1 / 4"),
            (
                {"blas": [{"internal_api": "mkl", "version": "2", "architecture": "?"}]},
                "other BLAS mkl 2 ? / openblas 1 Haswell",
            ),
        ],
    )
    def test_other_conditions_are_named_and_not_compared_unless_asked(self, tmp_path, other, note):
        a = self.run(tmp_path / "a", [0.1, 0.11, 0.12])
        b = self.run(tmp_path / "b", [0.5, 0.51, 0.52], **other)
        made = one(a, b)
        assert (made.verdict, made.note, made.p_holm) == ("not comparable", note, None)
        made = one(a, b, any_machine=True)
        assert (made.verdict, made.note) == ("worse", note)
        gate = parse("images_per_second < baseline", METRICS)
        assert compare([a, b], gates=[gate]).gates[0].state == "not comparable"

    def test_a_library_that_was_loaded_too_makes_no_difference(self, tmp_path):
        loaded = [
            {"internal_api": "openblas", "version": v, "architecture": "Haswell"}
            for v in ("0", "1")
        ]
        a, b = (
            self.run(tmp_path / n, [0.1, 0.2, 0.3], blas=loaded[i:]) for i, n in enumerate("ab")
        )
        assert one(a, b).verdict == "no difference"

    def test_a_record_of_other_things_names_no_libraries(self, tmp_path):
        a, b = (self.run(tmp_path / n, [0.1, 0.2, 0.3], blas=5) for n in "ab")
        assert one(a, b).verdict == "no difference"

    def test_a_time_of_nothing_is_not_compared(self):
        a, b = (table(n, "fit_seconds", [0.0, 1.0, 2.0]) for n in "ab")
        assert (one(a, b).verdict, one(a, b).note) == ("not comparable", "a time of 0")

    def test_epochs_stand_for_the_training(self, tmp_path):
        seconds = {"a": [1.0, 2.0, 3.0], "b": [5.0, 6.0, 7.0]}
        tables = []
        for name, values in seconds.items():
            (tmp_path / name).mkdir()
            lines = [f"epoch,10,{i},100,{s},1" for i, s in enumerate(values, 1)]
            head = "phase,batch_size,repeat,items,seconds,items_per_second"
            (tmp_path / name / "timing.csv").write_text("\n".join([head, *lines, ""]))
            tables.append(table(name, "fit_seconds", [sum(values)], folder=tmp_path / name))
        made = one(*tables)
        assert (made.baseline, made.value, made.change) == (6.0, 18.0, 3.0)


class TestSingleRuns:
    def run(self, path, t, predicted, **more):
        path.mkdir()
        np.savez(path / "predictions.npz", t=t, predicted=predicted)
        return table(path.name, "accuracy", [np.mean(t == predicted)], folder=path, **more)

    def test_their_decisions_are_tested_by_mcnemar(self, tmp_path):
        t = np.zeros(1000, dtype=int)
        first, second = t.copy(), t.copy()
        first[:30], second[20:70] = 1, 1
        a, b = self.run(tmp_path / "a", t, first), self.run(tmp_path / "b", t, second)
        made = one(a, b)
        assert (made.method, made.n, made.verdict) == ("McNemar", 1000, "worse")
        assert made.p == pytest.approx(scipy.stats.binomtest(20, 60, 0.5).pvalue, rel=1e-10)
        assert made.change == pytest.approx(-0.02)
        exact = scipy.stats.binomtest(20, 60, 0.5).proportion_ci(method="exact")
        expected = [(2 * share - 1) * 60 / 1000 for share in (exact.low, exact.high)]
        assert [made.low, made.high] == pytest.approx(expected, rel=1e-9)
        assert made.bootstrap_low == pytest.approx(made.low, abs=3e-3)

    def test_a_gate_on_decisions_holds_no_sooner_than_the_exact_test(self, tmp_path):
        t = np.zeros(1000, dtype=int)
        a = self.run(tmp_path / "a", t, t)
        for wrong, verdict, state in ((5, "no difference", "within noise"), (7, "worse", "holds")):
            b = self.run(tmp_path / f"b{wrong}", t, (np.arange(1000) < wrong).astype(int))
            outcome = compare([a, b], gates=[parse("accuracy < baseline", METRICS)])
            found = outcome.comparisons[0].verdict, outcome.gates[0].state
            assert found == (verdict, state)
        gates = [parse("accuracy < baseline + 0.01", METRICS)]  # a gain was wanted
        assert compare([a, a], gates=gates).gates[0].state == "holds"

    def test_one_training_each_says_nothing_of_other_seeds(self, tmp_path):
        t = np.zeros(100, dtype=int)
        a, b = (self.run(tmp_path / n, t, t, task="training") for n in "ab")
        assert one(a, b).note == "one training each, other seeds may differ"

    def test_other_samples_are_not_the_same(self, tmp_path):
        t = np.arange(10)
        a = self.run(tmp_path / "a", t, t)
        assert one(a, self.run(tmp_path / "b", t[::-1], t)).verdict == "underpowered"
        made = one(self.run(tmp_path / "c", t, t, data_hash="1"), self.run(tmp_path / "d", t, t))
        assert made.method == "paired t"

    def test_seeds_that_change_nothing_are_one_run(self, tmp_path):
        t = np.zeros(100, dtype=int)
        tables = []
        for name, wrong in (("a", 3), ("b", 5)):
            (tmp_path / name / "jobs").mkdir(parents=True)
            (tmp_path / name / "plan.csv").touch()
            for seed in range(4):
                job = tmp_path / name / "jobs" / f"0-{seed}"
                job.mkdir()
                np.savez(
                    job / "predictions.npz", t=t, predicted=(np.arange(100) < wrong).astype(int)
                )
            folder = tmp_path / name
            values = [1 - wrong / 100] * 4
            tables.append(table(name, "accuracy", values, folder=folder, task="inference"))
        made = one(*tables)
        assert (made.method, made.n, made.verdict) == ("McNemar", 100, "no difference")
        assert made.p == pytest.approx(0.5)
        for side in tables:  # nor are they replicates where the decisions are not there
            side.folder = None
        made = one(*tables)
        assert (made.n, made.verdict) == (1, "underpowered")

    def test_trainings_that_all_end_alike_are_replicates(self, tmp_path):
        a, b = (
            table(n, "accuracy", [x] * 4, task="perceptron") for n, x in (("a", 1), ("b", 0.75))
        )
        assert (one(a, b).n, one(a, b).verdict) == (4, "worse")


class TestGates:
    def judged(self, text, a, b, **options):
        gates = [parse(text, METRICS)]
        return compare([table("a", "accuracy", *a), table("b", "accuracy", *b)], gates=gates).gates

    def test_a_gate_holds_beyond_noise_alone(self):
        rng = np.random.default_rng(8)
        a = rng.normal(0.9, 0.01, 10)
        drop, noise = [a - 0.02 + rng.normal(0, 0.005, 10)], [a + rng.normal(-0.004, 0.02, 10)]
        text = "accuracy < baseline - 0.002"
        (item,) = self.judged(text, [a], drop)
        expected = scipy.stats.ttest_1samp(drop[0] - a, -0.002, alternative="less")
        assert (item.state, item.gate) == ("holds", text)
        assert item.p == pytest.approx(expected.pvalue, rel=1e-9)
        assert self.judged(text, [a], noise)[0].state == "within noise"
        assert self.judged(text, [a], [a])[0].state == "does not hold"
        assert self.judged(text, [a[:2]], [a[:2] - [0.1, 0.2]])[0].state == "underpowered"
        for endless in ("accuracy < 1e999", "accuracy < 1e999 - 1e999"):
            with pytest.raises(ValueError, match=f"^--fail-if: expected finite.*{endless}'$"):
                self.judged(endless, [a], [a])

    def test_a_product_and_a_difference_are_the_same_gate(self):
        rng = np.random.default_rng(8)
        a, b = rng.normal(0.9, 0.01, 8), rng.normal(0.85, 0.01, 8)
        found = [
            self.judged(text, [a], [b])[0].p
            for text in ("accuracy < 0.98 * baseline", "accuracy - 98 / 100 * baseline < 0")
        ]
        assert found[0] == pytest.approx(found[1], rel=1e-9)
        expected = scipy.stats.ttest_1samp(b - 0.98 * a, 0, alternative="less").pvalue
        assert found[0] == pytest.approx(expected, rel=1e-9)

    def test_a_constant_is_compared_with_one_side_alone(self):
        rng = np.random.default_rng(9)
        a, b = rng.normal(0.5, 0.1, 9), rng.normal(0.85, 0.01, 9)
        (item,) = self.judged("accuracy < 0.9", [a], [b])
        expected = scipy.stats.ttest_1samp(b, 0.9, alternative="less").pvalue
        assert item.p == pytest.approx(expected, rel=1e-9)

    def test_gates_on_many_configurations_are_adjusted_for(self):
        rng = np.random.default_rng(10)
        a = rng.normal(0.9, 0.01, (40, 6))
        items = self.judged("accuracy < baseline", a, a + rng.normal(0, 0.01, (40, 6)))
        assert len(items) == 40
        assert not any(item.state == "holds" for item in items)
        assert any(item.state == "within noise" for item in items)

    def test_a_division_by_zero_is_an_error(self):
        message = "--fail-if: expected no division by zero, got 'accuracy / baseline > 1'"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            self.judged("accuracy / baseline > 1", [[0.0] * 3], [[0.5] * 3])

    def test_a_gate_on_what_is_nowhere_is_an_error(self):
        message = "a: expected completed runs with fit_seconds, got none"
        with pytest.raises(ValueError, match=f"^{message}$"):
            self.judged("fit_seconds > 2 * baseline", [[0.5] * 3], [[0.5] * 3])

    def test_an_exact_bound(self):
        a = [[0.5] * 3]
        assert self.judged("accuracy <= baseline", a, a)[0].state == "holds"
        assert self.judged("accuracy < baseline", a, a)[0].state == "does not hold"


def test_the_loss_of_two_single_runs_says_nothing_of_their_samples():
    a, b = (
        table(name, "test_loss", [value], task="inference") for name, value in (("a", 1), ("b", 2))
    )
    made = one(a, b, "test_loss")
    assert (made.method, made.verdict, made.needed) == ("paired t", "underpowered", 3)
    assert (made.baseline, made.value, made.change) == (1.0, 2.0, 1.0)

"""Durations are right when the clock on the wall jumps."""

import datetime as library
import time

import pandas as pd
import pytest

import runner
from runner import job
from runner.sweeps import sweeper

TIMED = {
    "results": ["duration_seconds", "fit_seconds", "inference_seconds"],
    "timing": ["seconds"],
    "history": ["seconds"],
}


@pytest.fixture(params=[-86_400.0, 86_400.0], ids=["back", "ahead"])
def jumping(request, monkeypatch):
    """A clock that jumps by a day whenever somebody looks at it."""
    real, jumps = time.time, iter(range(1, 100_000))

    def now():
        return real() + request.param * next(jumps)

    class Jumping(library.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now(), tz)

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(time, "time_ns", lambda: int(now() * 1e9))
    for module in (library, job, sweeper):
        monkeypatch.setattr(module, "datetime", Jumping)


@pytest.mark.promise("Durations are those of a clock that only goes forward, whatever is set")
@pytest.mark.parametrize(
    "words",
    [
        ["dataset=digits", "weights=none", "batch_size=[1,100]"],
        ["task=training", "dataset=digits", "epochs=2", "figures=none"],
        ["task=perceptron", "dataset=xor", "figures=none"],
        ["-m", "task=perceptron", "dataset=xor", "seed=0,1"],
    ],
    ids=["inference", "training", "perceptron", "sweep"],
)
def test_the_clock_jumps(words, jumping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = time.perf_counter()
    (runner.sweep(words[1:]) if words[0] == "-m" else runner.run(words))
    took = time.perf_counter() - started
    found = {name: list(tmp_path.rglob(f"{name}.csv")) for name in TIMED}
    assert found["results"]
    for name, columns in TIMED.items():
        for path in found[name]:
            table = pd.read_csv(path)
            for column in set(columns) & set(table):
                values = table[column].dropna()
                assert values.between(0, took).all(), (name, column)
            if name == "results":
                whole = table["duration_seconds"].sum()
                assert table["fit_seconds"].fillna(0).sum() <= whole <= took

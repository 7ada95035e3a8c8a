"""The whole idea on one page: compose, build, infer, table."""

import numpy as np

import runner


def test_and_gate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = runner.run(["experiment=and_gate"])
    assert result.accuracy == 1.0
    assert result.row["correct"] == result.row["n"] == 4
    assert result.row["network"] == "2-1"
    assert (result.folder / "run.json").is_file()
    with np.load(result.folder / "predictions.npz") as arrays:
        np.testing.assert_array_equal(arrays["y"].ravel(), [0, 0, 0, 1])

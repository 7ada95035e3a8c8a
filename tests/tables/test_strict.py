"""What a run leaves beside its tables: damaged files are refused by name."""

import io
import zipfile

import numpy as np
import pytest

from runner.tables import strict


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def test_decisions_are_read_and_checked(tmp_path, monkeypatch):
    path = tmp_path / "predictions.npz"
    t = np.arange(3)
    path.write_bytes(npz(t=t, predicted=t, y=np.zeros((3, 10))))
    assert strict.read_decisions(path)["t"].tolist() == [0, 1, 2]
    path.write_bytes(npz(y=t))
    assert strict.read_decisions(path) is None  # of a regression
    for content, got in (
        (b"PK", "BadZipFile"),
        (npz(t=t, predicted=t)[:-40], "BadZipFile"),
        (npz(t=np.array([{}]), predicted=t), "ValueError"),
        (npz(t=t, predicted=t[:2]), r"\(3,\) and \(2,\)"),
        (npz(t=t, predicted=t / 2), r"\(3,\) and \(3,\)"),
    ):
        path.write_bytes(content)
        expected = "expected labels t and decisions predicted"
        with pytest.raises(ValueError, match=rf"predictions\.npz: {expected}, got {got}$"):
            strict.read_decisions(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("t", "predicted"):
            archive.writestr(f"{name}.npy", bytes(1_000_000))
    monkeypatch.setattr(strict, "LIMIT", 100_000)
    with pytest.raises(ValueError, match="expected labels"):
        strict.read_decisions(path)  # it would inflate to more


def test_json_and_configurations_are_checked(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"a": 1,\n "b": }')
    with pytest.raises(ValueError, match=r"run\.json: line 2: expected JSON, got Expecting value"):
        strict.read_json(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"run\.json: line 1: expected JSON"):
        strict.read_json(path)
    path = tmp_path / "config.yaml"
    path.write_text("optimizer:\n  params: {lr: 0.1, decay: null}\nseed: 3\nhydra: {x: 1}\n")
    values = {"optimizer.params.lr": "0.1", "optimizer.params.decay": ""}
    assert strict.read_configuration(path) == values
    path.write_text("a: &a [1]\nb: *a\n")
    with pytest.raises(ValueError, match="expected values, got references to others"):
        strict.read_configuration(path)
    path.write_text("a: [\n")
    with pytest.raises(ValueError, match=r"config\.yaml: expected YAML, got ParserError"):
        strict.read_configuration(path)
    path.write_text("".join(f"k{index}: 1\n" for index in range(10_002)))
    with pytest.raises(ValueError, match="expected at most 10,000 values, got more"):
        strict.read_configuration(path)


@pytest.mark.parametrize(
    "value",
    [
        "2001-99-99",
        '!!int ""',
        '!!timestamp "x"',
        "9" * 5_000,
        "!!bool x",
        '"\\ud800"',
        "[" * 9_999,
    ],
)
def test_yaml_of_no_value_names_its_file(tmp_path, value):
    (tmp_path / "config.yaml").write_text(f"a: {value}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.yaml: expected YAML, got \w+$"):
        strict.read_yaml(tmp_path / "config.yaml")


def test_json_of_too_many_digits_names_its_file(tmp_path):
    (tmp_path / "run.json").write_text("9" * 5_000, encoding="utf-8")
    with pytest.raises(ValueError, match=r"run\.json: line 1: expected JSON, got "):
        strict.read_json(tmp_path / "run.json")

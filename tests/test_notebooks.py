"""Runs and sweeps in a notebook, and the notebooks of docs/notebooks, executed."""

import base64
import pickle
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import runner

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "docs/notebooks").glob("*.ipynb"))
DIGITS = ["task=training", "dataset=digits", "dataset.limit=100", "network.hidden=[5]", "epochs=2"]


class Shown(HTMLParser):
    """The text, the tags and the pictures of a piece of HTML."""

    def __init__(self, html):
        super().__init__()
        self.text, self.tags, self.pictures = [], set(), {}
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        values = dict(attributes)
        if tag == "img":
            data = values["src"].removeprefix("data:image/png;base64,")
            self.pictures[values["alt"]] = base64.b64decode(data, validate=True)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_shows_its_tables_and_pictures():
    result = runner.run(DIGITS)
    shown = Shown(result._repr_html_())
    files = {path.stem: path.read_bytes() for path in result.folder.glob("figures/*.png")}
    assert shown.pictures == files
    assert "learning_curves" in files
    accuracy, history, *_ = tables(result)
    assert (accuracy["split"][-1], accuracy["class"][-1]) == ("test", "all")
    assert float(accuracy["accuracy"][-1]) == pytest.approx(result.accuracy, abs=1e-4)
    assert history["epoch"] == ["1", "2"]
    assert str(result.folder) in shown.text


def tables(shown):
    """Return the tables of what is shown, each as its columns of text."""
    found = []
    for table in re.findall("<table.*?</table>", shown._repr_html_(), re.S):
        rows = [
            re.findall("<t[hd].*?>(.*?)</t[hd]>", row, re.S)
            for row in re.findall("<tr.*?</tr>", table, re.S)
        ]
        found.append({name: cells for name, *cells in zip(*rows, strict=True)})
    return found


def test_what_a_stranger_wrote_is_no_markup(here):
    evil = "<script>alert(1)</script>"
    result = runner.run(["experiment=and_gate"])
    result.row["error"] = result.row["dataset"] = evil
    result.tables["expect"].loc[0, "name"] = evil
    result.notes.append(evil)
    (result.folder / "figures").mkdir(exist_ok=True)
    (result.folder / 'figures/"><script>.png').write_bytes(b"no picture")
    html = result._repr_html_()
    assert "script" not in Shown(html).tags
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4


def test_a_sweep_shows_how_its_jobs_differ():
    result = runner.sweep([*DIGITS, "optimizer.params.lr=0.1,0.2", "seed=3,4", "sweep.name=s"])
    shown = Shown(result._repr_html_())
    (table,) = tables(result)
    assert list(table)[:2] == ["optimizer.params.lr", "seed"]
    assert table["seed"] == ["3", "4", "3", "4"]
    shown_accuracy = [float(cell) for cell in table["accuracy"]]
    assert shown_accuracy == pytest.approx(result["accuracy"].tolist(), abs=1e-4)
    assert shown.pictures["accuracy"].startswith(b"\x89PNG")
    assert result.folder.name == "s"
    assert isinstance(result, pd.DataFrame)
    assert type(result[result["seed"] == 3]) is pd.DataFrame
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(result))


def test_a_sweep_of_a_regression_has_no_accuracy_to_draw():
    words = ["experiment=regression", "epochs=1", "seed=1,2", "sweep.name=s"]
    shown = Shown(runner.sweep(words)._repr_html_())
    assert shown.pictures == {}
    assert "test_loss" in shown.text
    plan = runner.sweep(["seed=1,2", "sweep.plan_only=true"])
    assert "table" in Shown(plan._repr_html_()).tags


def test_there_is_a_notebook_for_each_chapter():
    assert [path.stem for path in NOTEBOOKS] == ["chapter2", "chapter3", "chapter4"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, of the test extra")
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, here):
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, of the test extra")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient, of the test extra")
    shutil.copy(path, here)
    book = nbformat.read(here / path.name, as_version=4)
    resources = {"metadata": {"path": str(here)}}
    nbclient.NotebookClient(book, timeout=300, resources=resources).execute()
    shown = [
        output.data["text/html"]
        for cell in book.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert any("data:image/png;base64," in html for html in shown)
    assert all("script" not in Shown(html).tags for html in shown)

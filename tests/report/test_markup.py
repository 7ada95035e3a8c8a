"""What is in a table, a record or a name is text: it runs nowhere, and looks like what it is."""

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
import yaml
from rich.console import Console

from runner.cli import main
from runner.report import terminal
from runner.report.formats import CONTROLS
from runner.report.page import report
from runner.tables import store
from runner.tables.columns import frame
from runner.tables.results import read_results
from runner.tables.summarize import Counts

INERT = pytest.mark.promise(
    "What is in a table, a record or a name runs nowhere: not in a report, not on a terminal"
)
FORMULA = pytest.mark.promise(
    "A name that a spreadsheet would take for a formula is refused: of a sweep, of a table that is "
    "compared"
)
HOSTILE = {
    "script": "</script><script>alert(1)</script>",
    "title": "</title><script>alert(1)</script>",
    "style": "</style><img src=x onerror=alert(1)>",
    "svg": "<svg/onload=alert(1)>",
    "attribute": "\" onmouseover=\"alert(1)\" x='' autofocus onfocus='alert(1)",
    "address": "javascript:alert(1)",
    "data": "data:text/html,<script>alert(1)</script>",
    "comment": "<!--<script>",
    "cdata": "]]><script>alert(1)</script>",
    "entity": "&lt;script&gt;alert(1)&lt;/script&gt;&#60;b&#62;",
    "template": "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "json": '"}]},{"x":"\\u003cscript\\u003e',
    "lines": "\u2028\u2029</script >",
    "meta": '<meta http-equiv="refresh" content="0;url=https://localhost">',
    "base": "<base href=//localhost/>",
    "frame": "<iframe srcdoc='<script>alert(1)</script>'>",
}
# Columns of a run's tables in which any text may stand.
TEXTS = {
    "results.csv": ["activation", "output", "loss", "optimizer", "error", "optimizer.params.lr"],
    "plan.csv": ["optimizer.params.lr"],
    "accuracy.csv": ["class"],
    "shapes.csv": ["name", "dtype"],
    "expect.csv": ["name", "expected", "got", "tolerance"],
}


class Structure(HTMLParser):
    """The tags of a page with the names of their attributes, and where links lead."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.policy = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(name for name, _ in attrs)))
        links = ("href", "src", "action", "srcset", "data", "formaction", "xlink:href", "srcdoc")
        self.links += [value for name, value in attrs if name in links]


def filled(folder, copy, text):
    """Copy a run or a sweep, with a text wherever one may stand."""
    copy = copy / text.replace("/", "\N{FRACTION SLASH}")
    shutil.copytree(folder, copy)
    for path in [path for path in copy.rglob("*") if path.is_file()]:
        if path.name in TEXTS:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            for row in rows:
                row.update({name: text + row[name] for name in TEXTS[path.name] if name in row})
            store.write_rows(path, list(rows[0]), rows)
        elif path.name == "run.json":
            record = json.loads(path.read_text(encoding="utf-8"))
            record["environment"] = replaced(record["environment"], text)
            path.write_text(json.dumps(record), encoding="utf-8")
        elif path.name == "config.yaml":
            tree = yaml.safe_load(path.read_text(encoding="utf-8"))
            tree["activation"], tree["extra"] = replaced(tree["activation"], text), {text: text}
            path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return copy


def replaced(tree, text):
    """Return a tree with a text before every text."""
    if isinstance(tree, dict):
        return {key: replaced(value, text) for key, value in tree.items()}
    if isinstance(tree, list):
        return [replaced(value, text) for value in tree]
    return text + tree if isinstance(tree, str) else tree


@pytest.fixture(scope="module")
def plain(sizes, single, tmp_path_factory):
    """What is reported, and the structure of a page about it where every text is harmless."""
    folders = [sizes, single("gate")]
    place = tmp_path_factory.mktemp("plain")
    copies = [filled(folder, place / str(i), "harmless") for i, folder in enumerate(folders)]
    return folders, Structure(report([read_results(str(copy)) for copy in copies])).tags


@INERT
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_page_has_the_structure_that_it_has_with_harmless_texts(kind, plain, tmp_path):
    folders, tags = plain
    text = HOSTILE[kind]
    copies = [filled(folder, tmp_path / str(i), text) for i, folder in enumerate(folders)]
    page = Structure(report([read_results(str(copy)) for copy in copies]))
    assert page.tags == tags
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)


MARKUP = "[red]x[/red][link=https://localhost]y[/link][/]\\[bold]"
ESCAPES = "\x1b[2J\x1b]0;title\x07\x1b]8;;https://localhost\x1b\\z\x9b31m\r\x08\x00\x7f\u009d"


@INERT
@pytest.mark.parametrize("text", [MARKUP, ESCAPES], ids=["markup", "escapes"])
@pytest.mark.parametrize("live", [False, True], ids=["file", "terminal"])
def test_a_terminal_shows_texts_as_they_are(text, live, plain, tmp_path, capsys, monkeypatch):
    def console():
        return Console(file=out, force_terminal=live, width=400, color_system=None)

    out = io.StringIO()
    copy = filled(plain[0][0], tmp_path, re.sub(r"[\x00/]", "", text))
    monkeypatch.setattr(terminal, "terminal", console)
    for command in (["compare", str(copy), "--metric", "accuracy"], ["summarize"]):
        words = [*command, str(copy)]
        assert main(words) == 0, capsys.readouterr().err
    terminal.show_run(
        dict.fromkeys(("task", "network", "activation", "output", "dataset", "error"), text)
        | {"seed": 0, "status": text},
        {"timing": frame("timing", [{"phase": "load", "items": 3, "seconds": 2.0}])},
        copy,
        console(),
    )
    terminal.print_text(console(), text)
    with terminal.job_progress(console()) as watch:
        watch(Counts(1, 2, 0, 0, None, None), {"key" + text: text, "status": text, "error": text})
    printed = out.getvalue()
    if live:  # the bar's own
        printed = re.sub(r"\x1b\[(\?25[lh]|2K|1A|\d*m)|\r", "", printed)
    assert not set(printed) & {chr(code) for code in CONTROLS}
    if text is MARKUP:
        assert text in printed


@INERT
@pytest.mark.parametrize("command", ["compare", "summarize", "resume", "report", "choices", "data"])
def test_an_error_shows_no_escapes(command, tmp_path, capsys):
    words = {"report": ["-o", str(tmp_path / "r.html")], "data": []}.get(command, [])
    given = ["verify", ESCAPES] if command == "data" else [ESCAPES.replace("\0", "")]
    assert main([command, *given, *words]) == 2
    printed = capsys.readouterr().err
    assert not {character for character in printed[:-1] if ord(character) < 32}
    assert not set(printed) & {"\x7f", "\x9b", "\u009d"}


@FORMULA
@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", " ", "\uff1d", "|", "%"])
def test_a_sweep_that_is_named_like_a_formula(
    first, tmp_path, monkeypatch, capsys, long, record_property
):
    monkeypatch.chdir(tmp_path)
    cases = ["1+1", 'cmd|" /C calc"!A0', "s", ""] if long else ["1+1"]
    for rest in cases:
        words = ["-m", "task=perceptron", "dataset=and", "seed=0,1", f"sweep.name='{first}{rest}'"]
        assert main(words) == 2
        assert capsys.readouterr().err.startswith("error: command line: sweep.name: expected ")
        assert list(tmp_path.iterdir()) == []
    record_property("cases", len(cases))


@FORMULA
@pytest.mark.parametrize("first", ["=", "+", "@", "\t", "\r"])
@pytest.mark.parametrize("command", ["compare", "report", "summarize"])
def test_a_table_that_is_named_like_a_formula(command, first, sizes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(sizes / "results.csv", tmp_path / f"{first}1.csv")
    more = {"compare": [f"{first}1.csv"], "report": ["-o", "r.html"], "summarize": []}[command]
    assert main([command, f"{first}1.csv", *more]) == 2
    assert "expected a name that is no formula" in capsys.readouterr().err
    more = [word.replace(first, f"./{first}", 1) for word in more]
    assert main([command, f"./{first}1.csv", *more]) == 0


@FORMULA
def test_a_sweeps_folder_that_was_renamed_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["-m", "task=perceptron", "dataset=and", "seed=0,1", "sweep.name=s"]
    assert main(words) == 0
    folder = tmp_path / "outputs" / "sweeps" / "s"
    folder.rename(folder.with_name("=s"))
    assert main(["resume", "outputs/sweeps/=s"]) == 2
    assert capsys.readouterr().err == "error: resume: expected a name that is no formula, got =s\n"

import csv
import io
import json
import math

from rich.console import Console

from runner.report import formats
from runner.report.terminal import grid, print_text

HEADS, ROWS = ["name", "n"], [["a|b_c", "1"], ["[50%]\n<x> \\", "2"]]
OBEYED = [["*\x1b[31m&amp; $x$", "1"]]


def test_markdown_is_escaped():
    assert formats.markdown(HEADS, ROWS, 1) == (
        "| name | n |\n| :--- | ---: |\n| a\\|b\\_c | 1 |\n| \\[50%\\] \\<x\\> \\\\ | 2 |\n"
    )


def test_nothing_is_obeyed():
    marked = formats.markdown(HEADS, OBEYED, 1).splitlines()[-1]
    assert marked == "| \\*\ufffd\\[31m\\&amp; \\$x\\$ | 1 |"
    line = formats.latex(HEADS, OBEYED, 1).splitlines()[4]
    assert line == "{*}\ufffd{[}31m" + r"\&amp; \$x\$ & 1 \\"
    console = Console(file=io.StringIO(), width=80)
    console.print(grid(["[/x]", "[red]n"], OBEYED))
    print_text(console, "[b]\x1b]0;title\x07")
    text = console.file.getvalue()
    assert "[/x]" in text
    assert "[red]n" in text
    assert "[b]\ufffd]0;title" in text
    assert "\x1b" not in text


def test_latex_is_escaped():
    lines = formats.latex(HEADS, ROWS, 1).splitlines()
    assert lines[0] == r"\begin{tabular}{lr}"
    assert lines[4:6] == [
        r"a\textbar{}b\_c & 1 \\",
        r"{[}50\%{]} \textless{}x\textgreater{} \textbackslash{} & 2 \\",
    ]
    assert lines[-1] == r"\end{tabular}"


def test_csv_is_read_back():
    rows = [{"a": 'x,"y"', "b": 0.1}, {"a": None, "b": math.nan}]
    found = list(csv.DictReader(io.StringIO(formats.csv(["a", "b"], rows))))
    assert found == [{"a": 'x,"y"', "b": "0.1"}, {"a": "", "b": ""}]


def test_json_has_no_numbers_that_are_none():
    content = {"a": math.inf, "b": [math.nan, 0.1, {"c": "ü"}], "d": (1, None)}
    found = json.loads(formats.as_json(content), parse_constant=lambda name: 1 / 0)
    assert found == {"a": None, "b": [None, 0.1, {"c": "ü"}], "d": [1, None]}

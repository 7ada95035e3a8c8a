"""The report without a browser: what is in it, what it is made of, and what it refuses."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import time
from html.parser import HTMLParser
from importlib.resources import files
from io import BytesIO

import numpy as np
import pytest
from matplotlib import image as images
from PIL import Image

from runner.cli import main
from runner.data import DATASETS
from runner.report.page import ranking, report
from runner.report.page.document import embedded
from runner.report.page.network import network
from runner.report.page.samples import gray
from runner.tables.ranking import rank
from runner.tables.results import read_results

LINKS = ("src", "href", "action", "data", "srcset")
VOID = {"meta", "img", "input", "link", "br"}


class Page(HTMLParser):
    """What an HTML parser makes of a report: tags, texts by tag, and whether all are closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open, self.attributes = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self):
        return " ".join(data for tag, data in self.texts if tag not in ("script", "style"))

    def of(self, tag):
        return [attributes for name, attributes in self.attributes if name == tag]


def page(*paths):
    text = report([read_results(str(path)) for path in paths])
    parsed = Page(text)
    assert parsed.open == []
    return parsed


def specs(parsed):
    return [json.loads(data) for tag, data in parsed.texts if tag == "script" and data[:1] == "{"]


def titles(parsed):
    return [data for tag, data in parsed.texts if tag in ("h2", "h3")]


def test_a_sweep_shows_everything(sizes, read):
    parsed = page(sizes)
    found = titles(parsed)
    assert found[:5] == ["At a glance", "Ranking", "Accuracy and time", "Learning", "Runs"]
    assert re.fullmatch("Run [0-9a-f]{12}", found[5])
    assert found[6:11] == [
        *("Learning curves", "Accuracy by class", "Confusion", "Pictures"),
        "Network and arrays",
    ]
    assert found[11:] == ["Times", "Configuration", "Environment"]
    best = max(float(row["accuracy"]) for row in read(sizes / "results.csv"))
    assert f"{best:.4f}" in parsed.text()
    for row in read(sizes / "results.csv"):
        assert row["run_id"] in parsed.text()


def test_charts_have_the_numbers_of_the_tables(sizes):
    chart = specs(page(sizes))[0]
    ranked = rank(read_results(str(sizes)), metrics=["accuracy"])
    points = chart["data"]["values"]
    assert [point["value"] for point in points] == [one.mean for one in ranked.summaries]
    assert [point["low"] for point in points] == [max(0, one.low) for one in ranked.summaries]
    assert [point["high"] for point in points] == [min(1, one.high) for one in ranked.summaries]
    assert points[0]["name"] == ", ".join(ranked.summaries[0].keys.values())


def test_a_single_run_has_the_interval_of_its_samples(single, read):
    folder = single("inference")
    parsed = page(folder)
    (row,) = read(folder / "results.csv")
    low, high = float(row["accuracy_low"]), float(row["accuracy_high"])
    assert f"95 %: {low:.4f} to {high:.4f}" in parsed.text()
    assert "Ranking" not in titles(parsed)
    assert "Times" in titles(parsed)
    (times,) = (one for one in specs(parsed) if "seconds" in one["data"]["values"][0])
    assert {point["x"] for point in times["data"]["values"]} == {"10", "100"}


def test_the_pictures_are_the_samples_that_were_read_worst(single):
    folder = single("inference")
    run = np.load(folder / "predictions.npz")
    wrong = np.flatnonzero(run["predicted"] != run["t"])
    surest = wrong[np.argmax(run["y"][wrong].max(axis=1))]
    words = f"Sample {surest}: {run['t'][surest]}, read as {run['predicted'][surest]} with output"
    shown = [found for found in page(folder).of("img") if "Sample" in found["alt"]]
    assert shown[0]["alt"].startswith(words)
    seen = images.imread(BytesIO(base64.b64decode(shown[0]["src"].partition(",")[2])))
    assert np.array_equal(np.round(255 * (1 - seen)), DATASETS["mnist5k"]().x[surest])
    order = np.sort(run["y"], axis=1)
    closest = np.argmin(order[:, -1] - order[:, -2])
    assert any(found["alt"].startswith(f"Sample {closest}: ") for found in shown[len(wrong) :])


def test_samples_that_are_no_longer_those_of_the_run_are_not_shown(single, tmp_path, read, write):
    folder = shutil.copytree(single("inference"), tmp_path / "run")
    rows = read(folder / "results.csv")
    write(folder / "results.csv", [rows[0] | {"data_hash": "0" * 12}])
    parsed = page(folder)
    assert "No images are shown: mnist5k is no longer what the run saw" in parsed.text()
    assert not parsed.of("img")


def test_a_run_without_predictions_or_history(single, tmp_path):
    folder = shutil.copytree(single("training"), tmp_path / "run")
    for name in ("predictions.npz", "history.csv", "timing.csv", "shapes.csv"):
        (folder / name).unlink()
    parsed = page(folder)
    assert "No images are shown: the run left no predictions of classes" in parsed.text()
    assert not {"Learning curves", "Times", "Network and arrays"} & {*titles(parsed)}


@pytest.mark.parametrize(
    ("name", "picture"), [("descent", "path"), ("functions", "functions"), ("gate", "boundary")]
)
def test_runs_without_images_show_what_they_have_drawn(single, name, picture):
    parsed = page(single(name))
    assert any(found["alt"].startswith(picture) for found in parsed.of("img"))
    assert ("Expectations" in titles(parsed)) == (name == "descent")


def test_tables_alone_and_several_of_them(made, sizes):
    parsed = page(sizes, made / "outputs/sweeps/sigmoid", sizes / "results.csv")
    found = titles(parsed)
    assert f"Compared with {sizes}" in found
    assert f"Ranking of {sizes}" in found
    assert "activation" in parsed.text()
    heads = [data for tag, data in parsed.texts if tag == "th"]
    assert heads.count("verdict") == 1
    assert heads.count("differs") == 1
    cells = [data for tag, data in parsed.texts if tag == "td"]
    assert {"relu", "sigmoid", "differs", "same"} <= {*cells}


def test_tables_that_have_nothing_in_common(sizes, single):
    parsed = page(sizes, single("inference"), single("functions"))
    assert "These tables cannot be compared: " in parsed.text()


def test_what_is_missing_failed_or_diverged_is_said(sizes, tmp_path, read, write):
    folder = shutil.copytree(sizes, tmp_path / "sweep")
    rows = read(folder / "results.csv")
    lost, *rest = rows
    shutil.rmtree(folder / "jobs" / lost["run_id"])
    empty = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "fit_seconds"), "")
    rest[0] |= {"status": "failed", "error": "ValueError: <b>no</b>", **empty}
    rest[1] |= {"status": "diverged", "error": "loss is nan", **empty}
    write(folder / "results.csv", rest)
    text = page(folder).text()
    assert "planned jobs without a row: 1" in text
    assert "1 failed, 1 diverged" in text
    assert "ValueError: <b>no</b>" in text
    for row in rest:
        row |= {"status": "failed", "error": "too bad", **empty}
    write(folder / "results.csv", rest)
    parsed = page(folder)
    assert "failed: too bad" in parsed.text()
    assert "Ranking" not in titles(parsed)


def test_names_are_text_whatever_is_in_them(hostile, sizes, markup):
    parsed, plain = page(hostile), page(sizes)
    assert markup in parsed.text()
    assert str(hostile) in parsed.text()
    assert parsed.tags.count("script") == plain.tags.count("script")
    assert {*parsed.tags} == {*plain.tags}
    assert not any(name.startswith("on") for _, given in parsed.attributes for name in given)
    names = [point["name"] for point in specs(parsed)[0]["data"]["values"]]
    assert any(markup in name for name in names)


def test_embedded_json_ends_no_script():
    text = "</script><!--<script>&\u2028"
    assert json.loads(embedded({"a": text})) == {"a": text}
    assert not re.search("[<>&\u2028]", embedded(text))
    assert embedded([float("nan"), 1.5]) == "[null,1.5]"


def test_the_policy_allows_what_is_in_the_file_and_nothing_else(sizes):
    text = report([read_results(str(sizes))])
    policy = html.unescape(re.search('Content-Security-Policy" content="([^"]*)"', text)[1])
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        bodies = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        sums = [base64.b64encode(hashlib.sha256(body.encode()).digest()) for body in bodies]
        assert rules[f"{kind}-src"].split() == [f"'sha256-{one.decode()}'" for one in sums]
    given = [pair for _, attributes in Page(text).attributes for pair in attributes.items()]
    assert all(value[:1] == "#" or value[:5] == "data:" for name, value in given if name in LINKS)
    assert not any(name == "style" or name.startswith("on") for name, _ in given)


def test_the_same_tables_give_the_same_bytes(sizes, hostile):
    for folder in (sizes, hostile):
        first, second = (report([read_results(str(folder))]) for _ in range(2))
        assert first == second


def test_a_thousand_runs_in_five_seconds_and_ten_megabytes(thousand, tmp_path, capsys):
    started = time.process_time()
    assert main(["report", str(thousand), "-o", str(tmp_path / "report.html")]) == 0
    assert time.process_time() - started <= 5
    size = (tmp_path / "report.html").stat().st_size
    assert size <= 10 * 2**20
    assert f"{size:,} bytes" in capsys.readouterr().out
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(f"{index:012x}" in text for index in range(1_000))


def test_the_file_is_replaced_as_a_whole_or_not_at_all(sizes, tmp_path, capsys):
    place = tmp_path / "new" / "report.html"
    assert main(["report", str(sizes), "-o", str(place)]) == 0
    before = place.read_bytes()
    assert main(["report", str(tmp_path / "none"), "-o", str(place)]) == 2
    assert place.read_bytes() == before
    assert [path.name for path in place.parent.iterdir()] == ["report.html"]


MISTAKES = {
    ("report", "-o", "a.html"): "error: command line: runner report: the following arguments are",
    ("report", "{sizes}"): "error: command line: runner report: the following arguments are",
    ("report", "{sizes}x", "-o", "a.html"): "error: report: {sizes}x: expected a CSV file, or the "
    "folder of a run or of a sweep, got none; did you mean {sizes}?",
    ("report", "{sizes}/jobs", "-o", "a.html"): "error: report: {sizes}/jobs: expected the folder "
    "of a run or of a sweep, got no results.csv",
    ("report", "http://x/y", "-o", "a.html"): "error: report: http://x/y: expected a local file",
    ("report", "{sizes}", "-o", "{sizes}"): "error: report: -o: expected a file, got the folder",
    ("report", "{sizes}", "-o", "{sizes}/plan.csv"): "error: report: -o: expected a name that ends",
    ("report", "{sizes}", "-o", "{sizes}/plan.csv/a.html"): "error: report: -o: expected a file to",
    ("report", "{sizes}/summary.csv", "-o", "a.html"): "error: report: {sizes}/summary.csv: line 1",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line(sizes, tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main([word.format(sizes=sizes) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(MISTAKES[words].format(sizes=sizes))
    assert not list(tmp_path.iterdir())


def test_a_sweep_that_has_no_results_yet_and_a_damaged_file(sizes, tmp_path, capsys):
    folder = shutil.copytree(sizes, tmp_path / "sweep")
    for job in (folder / "jobs").iterdir():
        (job / "history.csv").write_text("epoch,train_loss\n1,2\n3", encoding="utf-8")
    words = ["report", str(folder), "-o", str(tmp_path / "a.html")]
    assert main(words) == 2
    assert "history.csv: line 3: expected a whole row" in capsys.readouterr().err
    (folder / "results.csv").unlink()
    assert main(words) == 2
    assert "expected a sweep with results, got no results.csv" in capsys.readouterr().err


def test_a_table_that_says_little(tmp_path, write):
    rows = [
        {"schema_version": "1", "run_id": f"a{seed}", "status": "completed", "seed": str(seed)}
        | {"accuracy": f"0.9{seed}"}
        for seed in range(3)
    ]
    write(tmp_path / "a.csv", rows)
    parsed = page(tmp_path / "a.csv")
    assert "0.9200" in parsed.text()
    assert "not recorded" in parsed.text()
    assert "95 %: " not in parsed.text()
    write(tmp_path / "a.csv", [row | {"accuracy": ""} for row in rows])
    assert titles(page(tmp_path / "a.csv")) == ["At a glance", "Runs", "Run a0", "Configuration"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("confusion.csv", "true,0\n0,many\n", "confusion.csv: class 0 read as 0: expected a count"),
        ("confusion.csv", "true,0\n7,1\n", "confusion.csv: class 7 read as 7: expected a count"),
        ("shapes.csv", "name\nx\n", "shapes.csv: line 1: expected a column shape, got none"),
        ("accuracy.csv", "split,class,n\ntest,0,x\n", "accuracy.csv: line 2: n: expected a whole"),
        ("run.json", "{", "run.json: line 1: expected JSON"),
        (".hydra/config.yaml", "a: [\n", "config.yaml: expected YAML"),
        *(
            ("confusion.csv", f"true,0,1\n0,5,{count}\n1,0,1\n", "0 read as 1: expected a count")
            for count in ("-5", "nan", "inf", "1_0")
        ),
        ("confusion.csv", "true,0,1\n0,5,1\n0,0,1\n", "expected each class once"),
    ],
)
def test_a_damaged_file_is_named(single, tmp_path, capsys, name, content, message):
    folder = shutil.copytree(single("inference"), tmp_path / "run")
    (folder / name).write_text(content, encoding="utf-8")
    assert main(["report", str(folder), "-o", str(tmp_path / "a.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_settings_that_are_none_and_damaged_predictions_cost_the_pictures_alone(single, tmp_path):
    folder = shutil.copytree(single("inference"), tmp_path / "run")
    (folder / ".hydra" / "config.yaml").write_text("dataset: 7\n", encoding="utf-8")
    assert "No images are shown" in page(folder).text()
    (folder / "predictions.npz").write_bytes(b"PK")
    assert "predictions.npz: expected labels t and decisions predicted" in page(folder).text()


def test_only_pictures_are_taken_over_from_a_run(single, tmp_path):
    folder = shutil.copytree(single("descent"), tmp_path / "run")
    (folder / "figures" / "path.png").write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    parsed = page(folder)
    assert "path.png is not shown: it is no PNG file" in parsed.text()
    assert not any(found["alt"].startswith("path") for found in parsed.of("img"))


def test_a_path_that_is_no_text_and_a_table_that_comes_twice(sizes, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    shutil.copytree(sizes, folder)
    assert main(["report", folder, folder, "-o", str(tmp_path / "a.html")]) == 0
    parsed = Page((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert any("/caf?" in title for title in titles(parsed))
    links = [given["href"] for given in parsed.of("a")]
    assert len(links) == len(set(links))
    assert set(links) <= {f"#{given['id']}" for _, given in parsed.attributes if "id" in given}


def test_a_curve_says_of_how_many_replicates_it_is_the_mean(sizes, monkeypatch):
    assert "The mean over the replicates, and" in page(sizes).text()
    monkeypatch.setattr(ranking, "SEEDS", 2)
    assert "The mean over the first 2 replicates, and" in page(sizes).text()


def test_intervals_are_drawn_where_values_can_lie():
    assert ranking.possible("accuracy", 0.9, -0.1, 1.2) == {"low": 0.0, "high": 1.0}
    assert ranking.possible("fit_seconds", 2.0, -1.0, 5.0) == {"low": 0.0, "high": 5.0}
    assert ranking.possible("test_loss", -3.0, -4.0, -2.0) == {"low": -4.0, "high": -2.0}
    assert ranking.possible("accuracy", 0.9, None, None) == {"low": None, "high": None}


def test_an_image_is_a_png_that_others_read():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 23
    seen = np.asarray(Image.open(BytesIO(gray(pixels))))
    assert np.array_equal(seen, 255 - np.round(pixels / pixels.max() * 255).astype(np.uint8))
    assert np.all(np.asarray(Image.open(BytesIO(gray(np.ones((2, 2)))))) == 255)


def test_a_network_is_drawn_layer_by_layer():
    shapes = [{"name": "W1", "shape": "784x50"}, {"name": "W2", "shape": "50x3"}]
    made = network([784, 50, 3], ["relu", "softmax"], shapes)
    assert made.text == "Network of 2 layers: input 784, then relu 50, then softmax 3"
    assert [label for _, label in made.between] == ["W1 784x50", "W2 50x3"]
    assert [len(layer.units) for layer in made.layers] == [6, 6, 3]
    assert [layer.gap is None for layer in made.layers] == [False, False, True]
    assert len(made.edges) == 6 * 6 + 6 * 3


def test_vega_is_the_published_one():
    folder = files("runner.report.page") / "vega"
    told = dict(
        reversed(line.split())
        for line in re.findall(r"^[0-9a-f]{64} .*$", (folder / "README.md").read_text(), re.M)
    )
    assert set(told) == {"vega.min.js", "vega-lite.min.js", "vega-embed.min.js"}
    for name, digest in told.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def contrast(a, b):
    """Return the contrast of two colours (WCAG 2.2, relative luminance)."""
    lights = []
    for colour in (a, b):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def over(shade, share, back):
    """Return the colour of a shade that lets so much of what is behind it through."""
    behind = (int(back[i : i + 2], 16) for i in (1, 3, 5))
    mixed = (share * a + (1 - share) * b for a, b in zip(shade, behind, strict=True))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)


def test_colours_can_be_told_from_what_is_behind_them():
    style = (files("runner.report.page") / "style.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        if not colours:
            continue
        for back in ("page", "card", "head"):
            for name in ("ink", "soft", "link"):
                assert contrast(colours[name], colours[back]) >= 4.5, (name, back)
        for index in range(8):
            assert contrast(colours[f"c{index}"], colours["card"]) >= 3
        shade = [int(part) for part in re.search(r"--shade: ([\d, ]+);", block)[1].split(",")]
        for share in re.findall(r"var\(--shade\), ([.\d]+)\)", style):
            assert contrast(colours["ink"], over(shade, float(share), colours["card"])) >= 4.5

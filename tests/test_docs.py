"""README and docs/: every command is run, every link leads somewhere, every output is as shown."""

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from hydra.types import RunMode

from runner.app import composer, run, run_sweep
from runner.choices import groups
from runner.cli import COMMANDS, main
from runner.compose.errors import NotInstalled
from runner.config import Config, walk
from runner.tables.columns import TABLES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BOOK = (DOCS / "book.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", *sorted(DOCS.rglob("*.md"))]
ENGLISH = [page for page in PAGES if page.parent.name != "ko" and page.name != "README.ko.md"]
KOREAN = [page for page in PAGES if page not in ENGLISH]
RUN = "outputs/runs/<date>/<time>_<run_id>"
LONG = re.compile(r"experiment=(train_|pretrain_|published/)|dataset=mnist\b.*epochs=")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def named(page):
    return str(page.relative_to(ROOT))


def made(name):
    """A module of docs/, which is no package."""
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(DOCS))


outputs = made("outputs")


# Commands


# The commands of errors.md are tried by tests/test_errors.py, each in an empty folder.
@pytest.mark.parametrize("page", [p for p in ENGLISH if p.name != "errors.md"], ids=named)
def test_a_page_from_its_top(page, given, pytestconfig, tmp_path, monkeypatch, capsys):
    text, names = page.read_text(encoding="utf-8"), {}
    data = pytestconfig.getoption("--data-dir")
    absent = "path/to/" in text and not (data / "mnist").exists()
    if absent and os.environ.get("CI"):
        pytest.fail(f"no real data at {data}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("runner.job.draw", lambda *run: {})  # tests/test_run.py has the pictures
    with outputs.workplace(tmp_path, data.resolve()):
        mention(text, given)
        for block in outputs.blocks(text):
            if absent and "path/to/" in block.text:
                continue
            outputs.prepare(block)
            if block.kind == "python" and block.file is None and can_be_run(block.text):
                exec(compile(block.text, named(page), "exec"), names)
            for command in block.commands if block.kind == "sh" else ():
                do(command)
            if block.kind == "console":
                show(block)
    if absent:
        pytest.skip(f"but for the rest, which is in order: no real data at {data}")


def can_be_run(source):
    """Whether the libraries are here that a script imports: PyTorch is no part of any extra's."""
    names = re.findall(r"^(?:import|from) (\w+)", source, re.M)
    return all(importlib.util.find_spec(name) for name in names)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The folder of a small sweep."""
    with contextlib.chdir(tmp_path_factory.mktemp("given")):
        words = ["task=perceptron", "dataset=and,or", "seed=0,1,2", "sweep.name=given"]
        return run_sweep(words).folder.resolve()


def mention(text, given):
    """Make small sweeps and tables under names that a page takes as given."""
    blocks = outputs.blocks(text)
    commands = "\n".join(command for block in blocks for command in block.commands)
    made = set(re.findall(r"sweep\.name=(\w+)", commands))
    wanted = set(re.findall(r"outputs/sweeps/(\w+)", commands)) - made
    tables = set(re.findall(r"(?<=[ /])\w+\.csv", commands))
    for name in wanted:
        shutil.copytree(given, f"outputs/sweeps/{name}")
    for name in tables:
        shutil.copy(given / "results.csv", name)
    if RUN in commands and not re.search(r"^(\$ )?runner (?!-m)[^\n]*=", commands, re.M):
        run(["experiment=and_gate"])


def show(block):
    """Run a block's commands, and compare what they print with what is shown."""
    if LONG.search(block.text):
        return [do(command) for command in block.commands]
    now = "".join(outputs.shown(command, block) for command in block.commands)
    return same(outputs.settled(now), outputs.settled(block.text))


def same(now, shown):
    """Numbers of a training differ a little between processors; words do not."""
    if now == shown:
        return
    number = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
    strip = [re.sub(r"[\s─]+", " ", number.sub("#", text)) for text in (now, shown)]
    assert strip[0] == strip[1]
    values = [[float(n.replace(",", "")) for n in number.findall(t)] for t in (now, shown)]
    assert values[0] == pytest.approx(values[1], rel=0.05, abs=0.02)


def do(command):
    """Do a command of a shell's block, in less time than a reader would wait."""
    words = shlex.split(command.partition("  #")[0].replace(RUN, outputs.last_run()))
    {
        "runner": runner,
        "make": lambda *words: in_makefile(words[0]),
        "pip": lambda *words: installable(words[-1]),
        "python": lambda script, *_: exists(script),
        "pytest": lambda *words: named_in("runner/pytest_plugin.py", words[0]),
        "cp": lambda source, _: exists(source),
        "mkdocs": lambda *words: None,
    }[words[0]](*words[1:])


def in_makefile(target):
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def installable(what):
    extra = re.search(r"\[(\w+)\]", what)
    assert extra is None or extra[1] in EXTRAS


def exists(path):
    assert Path(path).exists() or (ROOT / path).exists()


def named_in(path, word):
    assert word in (ROOT / path).read_text()


def runner(*words):
    """Run a command, its trainings short; a launcher's options are planned, not started."""
    words = list(words)
    if words[:2] == ["data", "fetch"]:  # tests/data/ downloads from a server of its own
        words = [f"dataset={words[2]}", "data_dir=path/to/mnist", "dataset.limit=1"]
    if words[0] == "check" and "--run" in words and "--config-dir" not in words:
        words.insert(1, "and_gate")
    if any(word.startswith("hydra/sweeper=") for word in words):
        return  # tests/test_published.py plans its jobs
    short = shortened(words)
    if "-m" in words and short != words:
        planned(words)
    status = main(short)
    if status == 2 and words[0] == "export":
        return  # the extra is not installed; tests/test_export.py has the rest
    assert status == 0 or (words[0] == "compare" and "--fail-if" in words and status == 1)


def planned(words):
    words = [word for word in words if word != "-m"]
    config_dir = None
    if words[0] == "--config-dir":
        _, config_dir, *words = words
    try:
        plan = run_sweep([*words, "sweep.plan_only=true"], config_dir=config_dir)
    except NotInstalled:
        return
    assert plan.counts.total > 1


def shortened(words):
    words = [word for word in words if not word.startswith(("hydra/launcher=", "hydra.launcher."))]
    words = [re.sub(r"^epochs=\d+$", "epochs=1", word) for word in words]
    if LONG.search(" ".join(words)) or {"dataset=mnist", "task=perceptron"} <= {*words}:
        words = [*words, "dataset.limit=500"]
        words += [] if "epochs=1" in words else ["epochs=1"]
    return words


INLINE = sorted(
    {
        command
        for page in ENGLISH
        for command in re.findall(r"`runner ([^`\n]+)`", page.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("command", INLINE)
def test_a_command_in_a_sentence(command, pytestconfig, tmp_path):
    words = shlex.split(command.replace("...", ""))
    if re.fullmatch(r"[a-z]+", words[0]):
        assert words[0] in COMMANDS
        return
    with outputs.workplace(tmp_path, pytestconfig.getoption("--data-dir").resolve()):
        words = [word for word in words if "NAME" not in word and not word.endswith("/")]
        written_elsewhere = "mine" in words or any("hydra/sweeper=" in word for word in words)
        if written_elsewhere or not any("=" in word for word in words):
            return
        if "-m" in words:
            planned(words)
            return
        with composer(builds=False) as hydra:
            hydra.compose_config("config", words, run_mode=RunMode.RUN)


def test_every_experiment_is_in_the_table_with_its_own_words():
    rows = re.findall(
        r"^\| [^|]* \| `runner experiment=(\w+)[^|]*` \| (.*) \|$", BOOK, re.MULTILINE
    )
    told = {name: re.sub(r" \(book [^)]*\)$", "", about) for name, about in dict(rows).items()}
    written = {
        name: re.sub(r" \(book [^)]*\)$", "", about)
        for name, about in groups()["experiment"].items()
    }
    assert told == written


# Both languages


@pytest.mark.parametrize("page", KOREAN, ids=named)
def test_the_korean_page_has_the_commands_and_outputs_of_the_english_one(page):
    english = outputs.original(page).read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    assert outputs.translated(text, english) == text

    def commands(text):
        found = [command for block in outputs.blocks(text) for command in block.commands]
        return [re.sub(r" +#.*", "", command) for command in found]

    assert set(commands(text)) <= set(commands(english))
    assert text.count("```console") == english.count("```console")


def test_readmes_have_the_numbers_of_the_tables_they_come_from():
    for readme in outputs.READMES:
        text = readme.read_text(encoding="utf-8")
        assert outputs.copied(text) == text
        assert text.count("| `") >= 5


# Links


def anchors(text):
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    ):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.is_file(), target
        if anchor:
            assert anchor in anchors(place.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_named_exists(page):
    names = re.findall(
        r"`(?:python )?((?:tests|runner|conf|benchmarks|docs)/[\w/.]+)", page.read_text("utf-8")
    )
    for name in names:
        assert "pretrained" in name or (ROOT / name).exists(), name


# The site


def test_the_reference_has_every_key_choice_column_and_command(given, tmp_path):
    reference = made("reference")
    page = reference.configuration()
    assert {path for path, *_ in walk(Config())} <= set(
        re.findall(r"^\| `([\w.]+)` \|", page, re.M)
    )
    assert "| `training.patience` | stop after so many epochs" in page
    assert "integer from 1 or `null`" in page
    assert "| list of integers from 1 | `[]` |" in page
    assert "| names with values | `{}` |" in page
    page = reference.choices()
    for group, members in groups().items():
        assert f"\n## {group}\n" in page
        assert all(f"| `{name}` | {about}" in page for name, about in members.items())
    assert "`activation.params.alpha`: `1.0`" in page
    page = reference.files()
    for name, columns in TABLES.items():
        section = page.partition(f"\n## {name}.csv\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \|", section, re.M) == [column.name for column in columns]
    tables = {name: given / f"{name}.csv" for name in ("plan", "summary")}
    tables["confusion"] = next(given.glob("jobs/*/confusion.csv"))
    task = "experiment=functions_step_sigmoid_relu"
    tables["functions"] = run([task, f"output_dir={tmp_path}"]).folder / "functions.csv"
    for name, path in tables.items():
        section = page.partition(f"\n## {name}.csv\n")[2].partition("\n## ")[0]
        named = re.findall(r"^\| `(\w+)` \|", section, re.M)
        written = path.read_text(encoding="utf-8").partition("\n")[0].split(",")
        assert [column for column in written if column in named] == named
        assert section.count("\n| *") == 1  # whatever was swept, or the classes that there are
        assert len(written) > len(named)
    page = reference.commands()
    assert all(f"\n## runner {name}\n\n```text\nusage: runner {name}" in page for name in COMMANDS)


def test_every_page_is_in_the_navigation():
    def leaves(node):
        if isinstance(node, str):
            return [node]
        return [
            leaf
            for part in (node.values() if isinstance(node, dict) else node)
            for leaf in leaves(part)
        ]

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert sorted(leaves(nav)) == sorted(
        pages | {f"reference/{name}.md" for name in made("reference").PAGES}
    )


def test_the_site_builds(tmp_path):
    if importlib.util.find_spec("material") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no mkdocs-material (extra docs)")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=quiet)
    assert done.returncode == 0, done.stderr
    assert '<html lang="ko"' in (tmp_path / "ko" / "index.html").read_text(encoding="utf-8")
    assert '<html lang="en"' in (tmp_path / "index.html").read_text(encoding="utf-8")
    page = (tmp_path / "reference" / "configuration" / "index.html").read_text(encoding="utf-8")
    assert "<code>training.patience</code>" in page
    outside = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="https?://')
    assert not [p for p in tmp_path.rglob("*.html") if outside.search(p.read_text("utf-8"))]

"""The reference of the site, made from the program itself: a hook of mkdocs.yml.

Nothing of it is stored, so nothing of it can be out of date: `mkdocs build` asks the
configuration's dataclasses, the files in conf/, the tables' columns and each command's help.
"""

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml

from runner import cli
from runner.choices import CONF, groups
from runner.config import MISSING, Config
from runner.sweeps.plan import IDENTITY
from runner.tables.columns import SCHEMA_VERSION, TABLES, Column
from runner.tables.summarize import MEASURES, STATISTICS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

FORMS = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}
FORMS |= {"list[int]": "list of integers", "list[str]": "list of names"}
FORMS |= {"list": "list", "dict": "names with values"}
LIMITS = {"minimum": "from", "above": "above", "maximum": "to", "below": "below"}
ABOUT_TABLES = {
    "results": "A row for each run; in a sweep a row for each job, also for one that failed. "
    "There a column for each swept key follows, by its dotted name.",
    "accuracy": "A row for each split and class.",
    "timing": "A row for each phase, batch size and repeat: raw seconds, no averages.",
    "shapes": "A row for each array met on the way forward.",
    "history": "A row for each epoch of a training, or pass of a perceptron.",
    "expect": "A row for each thing that the experiment expected.",
    "confusion": "A row for each class; of classifications alone.",
    "functions": "A row for each point; of `task=functions` alone.",
    "plan": "Of a sweep, made before its first job: a row for each job.",
    "summary": "Of a sweep: a row for each configuration, over its replicates.",
}
MEANINGS = {  # of the columns of summary.csv, beneath the name of a measure
    "mean": "mean over the replicates that are completed",
    "std": "standard deviation over the replicates (n - 1)",
    "median": "median over the replicates",
    "low": "lower end of the 95 % interval of the mean, by Student's t",
    "high": "upper end of the 95 % interval of the mean, by Student's t",
}
OTHER_FILES = """\
## Other files

| file | what is in it |
|---|---|
| `predictions.npz` | arrays: outputs `y`, labels `t`, decisions `predicted`, and what a task adds |
| `weights.safetensors` | `W1`, `b1`, `W2`, ... after a training |
| `run.json` | versions, machine, git state, hashes, checksums; written last, it makes a run count |
| `runner.log`, `.hydra/` | the log; the composed configuration and the words it was composed from |
| `figures/*.png` | pictures; `figures=all` draws them for inference too |
| `command.json` | of a sweep: the words of its command |
"""


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages of the reference."""
    from mkdocs.structure.files import File

    for name, make in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    return files


def on_post_page(output: str, page: "Page", config: "MkDocsConfig") -> str:
    """Say that Korean pages are in Korean, to browsers and screen readers."""
    korean = page.file.src_uri.startswith("ko/")
    return output.replace('<html lang="en"', '<html lang="ko"', 1) if korean else output


def cell(text: Any) -> str:
    """Return a text as a cell of a table."""
    return str(text).replace("|", r"\|").replace("\n", " ")


def code(value: Any) -> str:
    """Return a value as it is written in YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return f"`{cell(text.removesuffix('...' + chr(10)).strip())}`"


# Configuration


def configuration() -> str:
    """Return a page with every key of the configuration."""
    rows = "\n".join(f"| {' | '.join(row)} |" for row in keys(Config))
    return f"""# Configuration

Every key, as `runner/config.py` declares it. `runner schema` prints the same as JSON Schema, and
`runner --cfg job` shows the values of a run. Where the default is a choice of a group, the
group's file in `conf/` says the rest: see [choices](choices.md).

| key | what it says | type | default |
|---|---|---|---|
{rows}
"""


def keys(kind: type, path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield the cells of each key below a dataclass."""
    types, chosen = get_type_hints(kind), dict(defaults())
    for item in dataclasses.fields(kind):
        place, type_ = f"{path}{item.name}", types[item.name]
        if not dataclasses.is_dataclass(type_):
            default = "" if item.default == MISSING else code(default_of(item))
            yield (
                f"`{place}`",
                cell(about(item.metadata)),
                cell(form(type_, item.metadata)),
                default,
            )
            continue
        default = f"`{chosen[item.name]}`" if item.name in chosen else ""
        group = "a choice" if item.name in chosen else "keys below"
        yield f"`{place}`", cell(item.metadata["about"]), group, default
        yield from keys(type_, f"{place}.")


def defaults() -> Iterator[tuple[str, str]]:
    """Yield the groups of conf/config.yaml with the choices that are taken unless told."""
    for entry in yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["defaults"]:
        if isinstance(entry, dict):
            yield from ((group, choice) for group, choice in entry.items() if choice)


def default_of(item: "dataclasses.Field[Any]") -> Any:
    """Return what a key is unless given."""
    factory = item.default_factory
    return item.default if factory is dataclasses.MISSING else factory()


def about(metadata: Any) -> str:
    """Return what a key says, with its unit."""
    return str(metadata["about"]) + (f" [{metadata['unit']}]" if "unit" in metadata else "")


def form(type_: Any, metadata: Any) -> str:
    """Return the type of a key in words, with its bounds and choices."""
    if "choices" in metadata:
        return ", ".join(f"`{choice}`" for choice in metadata["choices"])
    name = type_.__name__ if type(type_) is type else str(type_)
    known = re.search("|".join(map(re.escape, FORMS)), name)
    text = FORMS[known[0]] if known else "integer, or a list of them"
    bounds = (f" {LIMITS[name]} {metadata[name]}" for name in LIMITS if name in metadata)
    text += "".join(bounds)
    return text + (" or `null`" if "None" in name else "")


# Choices


def choices() -> str:
    """Return a page with every group, its choices and their parameters."""
    text = "# Choices\n\nEvery group of `conf/` and its choices. `runner choices GROUP` lists them "
    text += "on the terminal. A parameter is set as `GROUP.params.NAME=VALUE`.\n"
    for group, members in groups(CONF).items():
        text += f"\n## {group}\n\n| choice | what it is | parameters and what else it sets |\n"
        text += "|---|---|---|\n"
        for name, words in members.items():
            text += f"| `{name}` | {cell(words)} | {settings(group, name)} |\n"
    return text


def settings(group: str, name: str) -> str:
    """Return the parameters of a choice, and for one of several lines what it sets."""
    if group.startswith("experiment"):
        return f"`conf/{group}/{name}.yaml`"
    if group.startswith("hydra"):
        return ""
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    found = [f"`{group}.params.{key}`: {code(value)}" for key, value in parameters(group, node)]
    found += [
        f"`{group}.{key}`: {code(value)}"
        for key, value in node.items()
        if key not in ("name", "params", "defaults", group) and group != "task"
    ]
    for entry in node.get("defaults", ()):
        found += [f"{key.replace('override /', '')}={value}" for key, value in entry.items()]
    return "<br>".join(found)


def parameters(group: str, node: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the parameters of a choice's file; a task's are below its name."""
    return list((node.get("params") or node.get(group, {}).get("params") or {}).items())


# Files


def files() -> str:
    """Return a page with every column of every table."""
    text = "# Files\n\nWhat a run writes into `outputs/runs/<date>/<time>_<run_id>/`, and a sweep "
    text += "into `outputs/sweeps/<name>/`, each job in `jobs/<run_id>/`. Tables are CSV: UTF-8, "
    text += "commas, one header line. Fractions, not percent; seconds; times in UTC, ISO 8601. "
    text += f"An empty cell has no value. Version {SCHEMA_VERSION}. `runner schema results` prints "
    text += "the columns as JSON Schema.\n"
    for name, columns in (TABLES | COMPUTED).items():
        text += f"\n## {name}.csv\n\n{ABOUT_TABLES[name]}\n\n"
        text += "| column | type | unit | what it says |\n|---|---|---|---|\n"
        for column in columns:
            label = column.name if column.name.startswith("*") else f"`{column.name}`"
            text += f"| {label} | {column.type} | {column.unit} | {cell(column.about)} |\n"
    return f"{text}\n{OTHER_FILES}"


def summary() -> Iterator[Column]:
    """Yield the columns of a sweep's summary, each measure's with its unit."""
    units = {column.name: column.unit for column in TABLES["results"]}
    yield Column("*swept keys*", "", "by their names in results.csv, but for the seed")
    yield Column("replicates", "integer", "runs of the configuration that are completed")
    for measure in MEASURES:
        for name in STATISTICS:
            yield Column(f"{measure}_{name}", "number", MEANINGS[name], units[measure])


def plan() -> Iterator[Column]:
    """Yield the columns of a sweep's plan."""
    of_results = {column.name: column for column in TABLES["results"]}
    yield from (of_results[name] for name in ("run_id", *IDENTITY))
    yield Column("*swept keys*", "", "the values of the job, each by the dotted name of its key")


CONFUSION = (
    Column("true", "integer", "the class that the samples are of"),
    Column("*0, 1, ...*", "integer", "how many of them were taken for this class", "samples"),
)
FUNCTIONS = (
    Column("x", "number", "where the functions are taken"),
    Column("*step, sigmoid, ...*", "number", "each function's value there, by its name"),
)
COMPUTED = {"confusion": CONFUSION, "functions": FUNCTIONS}
COMPUTED |= {"plan": tuple(plan()), "summary": tuple(summary())}


# Commands


def commands() -> str:
    """Return a page with the help of every command."""
    text = (
        "# Commands\n\n`python -m runner` and `runner` are the same program. Exit status: 0 done; "
    )
    text += "1 a gate, an expectation or a reproduction did not hold, or a job of a sweep failed; "
    text += "2 bad input, said in one line; 130 and 143 on SIGINT and SIGTERM.\n\n"
    text += f"## runner\n\n```text\n{said(['-h'])}```\n"
    for name in cli.COMMANDS:
        text += f"\n## runner {name}\n\n```text\n{said([name, '-h'])}```\n"
    return text


def said(words: list[str]) -> str:
    """Return what the program prints before it ends."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main(words)
    return printed.getvalue()


PAGES = {"configuration": configuration, "choices": choices, "files": files, "commands": commands}

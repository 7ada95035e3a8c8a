"""Run what the pages show, and write what it printed beneath it.

`python docs/outputs.py [PAGE ...] [--data-dir DIR] [--times]` rewrites the blocks of README and
docs/ that begin with ```console: each line `$ runner ...` is run, and its output takes the place
of the one that stands there. A page is worked through from its top in an empty folder, and
blocks that begin with the name of a file (`# mine/own.py`) are written there.

What differs from run to run is hidden: the table of times is left out, other times are dots,
hashes (one is of the code) are x, and a run's folder is `<date>/<time>_<run_id>`, which names the
last run in a command too. Blocks with a title keep their times, which are
written anew with `--times` alone. Rows of README's tables are copied from the tables they are
taken from.
"""

import argparse
import contextlib
import csv
import io
import os
import re
import runpy
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runner.cli import main as runner

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
READMES = (ROOT / "README.md", ROOT / "README.ko.md")
BLOCK = re.compile(
    r"""^```(?P<kind>\w+)(?: title="(?P<title>[^"\n]*)")?\n(?P<text>.*?)^```$""", re.M | re.S
)
TIMES = ("seconds", "median seconds", "items/s")
TIME = re.compile(r"(?<=_seconds )( +)\d+\.\d+( +)\d+\.\d+")  # as `runner reproduce` has them
TOOK = re.compile(r"(?<=in order, )[\d.]+(?= s$)", re.M)  # as `runner check` says it
TABLE_OF_TIMES = re.compile(r"^ *\n  phase .*?\n *\n(?!  phase)", re.M | re.S)
RUN = "outputs/runs/<date>/<time>_<run_id>"
FOLDER = re.compile(r"outputs/runs/[\d-]+/[\d-]+_[0-9a-f]{12}")
HASH = re.compile(r"\b[0-9a-f]{12}\b")


class Block(NamedTuple):
    """A fenced block of a page: its kind, its title if it has one, its text, its place."""

    kind: str
    title: str | None
    text: str
    span: tuple[int, int]

    @property
    def commands(self) -> list[str]:
        """The commands in it, those of a shell's block with their continued lines joined."""
        if self.kind == "console":
            return re.findall(r"^\$ (.*)$", self.text, re.M)
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]

    @property
    def file(self) -> str | None:
        """The file that it shows, if its title or its first line says so."""
        if self.kind in ("console", "sh"):
            return None
        named = re.match(r"(?:#|//|<!--) (\w[\w/]*\.\w+)\b.*\n", self.text)
        return self.title or (named[1] if named else None)


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    return [
        Block(found["kind"], found["title"], found["text"], found.span("text"))
        for found in BLOCK.finditer(page)
    ]


def pages() -> list[Path]:
    """Return README and all pages, the English ones first."""
    found = sorted((ROOT / "docs").rglob("*.md"), key=lambda path: ("ko" in path.parts, path))
    return [*READMES, *found]


@contextlib.contextmanager
def workplace(folder: Path, data: Path) -> Iterator[None]:
    """Work in a folder that has the data where the pages say it is."""
    place, before = folder / "path" / "to", Path.cwd()
    place.mkdir(parents=True, exist_ok=True)
    for name, source in (("mnist", data / "mnist"), ("sample_weight.pkl", data / "book")):
        target = source / name if source.name == "book" else source
        if target.exists() and not (place / name).exists():
            (place / name).symlink_to(target)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def prepare(block: Block) -> None:
    """Write the file that a block shows into the current folder; run the scripts that are there."""
    if block.file:
        Path(block.file).parent.mkdir(parents=True, exist_ok=True)
        Path(block.file).write_text(block.text, encoding="utf-8")
    for command in block.commands if block.kind == "sh" else ():
        script = re.fullmatch(r"python (\w+\.py)", command)
        if script:
            runpy.run_path(script[1])


def output(command: str) -> str:
    """Run `runner ...`, or `runner ... | tail -n 2`, and return what it printed on both streams."""
    command, _, lines = command.replace(RUN, last_run()).partition(" | tail -n ")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        runner(shlex.split(command)[1:])
    return "".join(printed.getvalue().splitlines(keepends=True)[-int(lines or 0) :])


def last_run() -> str:
    """Return the folder of the last run."""
    return max((str(path) for path in Path().glob("outputs/runs/*/*")), default=RUN)


def settled(printed: str, times: bool = False) -> str:
    """Return an output without what differs from run to run, at most one line of it empty."""
    text = HASH.sub(12 * "x", FOLDER.sub(RUN, printed))
    text = text if times else without_times(TABLE_OF_TIMES.sub("\n", text))
    text = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def without_times(text: str) -> str:
    """Return a text whose tables have dots in their columns of times."""
    ends: list[int] = []
    lines = []
    for line in TOOK.sub("…", TIME.sub(r"\1…       \2…       ", text)).splitlines():
        if not line.strip():
            ends = []
        elif not ends:
            heads = re.finditer(r"\S+(?: \S+)*", line)
            ends = [head.end() for head in heads if head[0] in TIMES]
        else:
            for end in ends:
                line = re.sub(r"[\d.,]+$", lambda m: "…".rjust(len(m[0])), line[:end]) + line[end:]
        lines.append(line)
    return "\n".join(lines)


def original(path: Path) -> Path | None:
    """Return the English page of a Korean one."""
    if path.name == "README.ko.md":
        return path.with_name("README.md")
    if path.parent.name != "ko":
        return None
    return ROOT / "docs" / ("" if path.name == "index.md" else "tutorial") / path.name


def translated(page: str, english: str) -> str:
    """Return a page with the outputs that the same commands have on the English one."""
    outputs = {tuple(block.commands): block.text for block in blocks(english)}
    text, end = "", 0
    for block in blocks(page):
        if block.kind == "console":
            text += page[end : block.span[0]] + outputs[tuple(block.commands)]
            end = block.span[1]
    return text + page[end:]


def ran(page: str, data: Path, times: bool = False) -> str:
    """Return a page with its outputs as they are now."""
    with tempfile.TemporaryDirectory() as folder, workplace(Path(folder), data):
        return rewrite(page, times)


def rewrite(page: str, times: bool) -> str:
    """Return a page with its outputs as they are now, run in the current folder."""
    text, end = "", 0
    for block in blocks(page):
        prepare(block)
        if block.kind != "console":
            continue
        new = "".join(shown(command, block) for command in block.commands)
        same = block.title and not times and settled(new) == settled(block.text)
        text += page[end : block.span[0]] + (block.text if same else new)
        end = block.span[1]
    return text + page[end:]


def shown(command: str, block: Block) -> str:
    """Return a command and what it prints."""
    return f"$ {command}\n{settled(output(command), times=block.title is not None)}"


def copied(readme: str) -> str:
    """Return README with the rows of its tables as they are in the tables they come from."""
    rows = published_rows() | speed_rows()
    return re.sub(r"^\| (\S[^|]*?) \|.*$", lambda row: rows.get(row[1], row[0]), readme, flags=re.M)


def published_rows() -> dict[str, str]:
    """Return rows of results on MNIST by what README calls them: their network."""
    path = ROOT / "outputs" / "reference" / "published.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        found = list(csv.DictReader(lines))
    return {
        f"`{row['experiment']}`": f"| `{row['experiment']}` | {row['network']} | "
        f"{row['published']} | {row['error']} | {row['fit_seconds']} s |"
        for row in found
    }


def speed_rows() -> dict[str, str]:
    """Return rows of docs/speed.md for README: our time and others' at one thread, by case."""
    cells: dict[str, dict[str, str]] = {}
    case = ""
    for line in (ROOT / "docs" / "speed.md").read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(row) == 4 and row[2][:1].isdigit():
            case = row[0] or case
            cells.setdefault(case, {})[row[1]] = re.split(r",| \(", row[2])[0]
    others = ("pytorch", "jax scan", "onnx runtime", "scikit learn")
    return {
        case: "| "
        + " | ".join([case, of["project"], *(of.get(name, "") for name in others)])
        + " |"
        for case, of in cells.items()
        if "project" in of
    }


def main() -> None:
    """Rewrite the pages that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--data-dir", type=Path, default=DATA, help="mnist/ and book/ are in it")
    parser.add_argument("--times", action="store_true", help="write times anew")
    options = parser.parse_args()
    for path in [page.resolve() for page in options.pages] or pages():
        before, english = path.read_text(encoding="utf-8"), original(path)
        if english is not None:
            after = translated(before, english.read_text(encoding="utf-8"))
        else:
            after = ran(before, options.data_dir.resolve(), options.times)
        after = copied(after) if path in READMES else after
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()

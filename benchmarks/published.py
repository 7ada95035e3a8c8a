"""The table of published results beside ours: from a finished sweep to a CSV, a page, a picture.

python benchmarks/published.py SWEEP_DIR [SWEEP_DIR ...]

The sweeps are those of `hydra/sweeper=published_tier_a` and its like. What was published, and
the target, come from the head of each experiment in conf/experiment/published/. Writes
outputs/reference/published.csv, the table of docs/published.md and docs/images/published.png.
What a sweep like `published_selection` measured on images held out of the training split goes
into outputs/reference/selection.csv. Rows that are not in the sweeps stay as they were.
"""

import argparse
import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import yaml

from runner.tables.store import read_record, read_rows

REPOSITORY = Path(__file__).resolve().parent.parent
EXPERIMENTS = REPOSITORY / "conf" / "experiment" / "published"
TABLE = REPOSITORY / "outputs" / "reference" / "published.csv"
SELECTION = TABLE.with_name("selection.csv")
PAGE = REPOSITORY / "docs" / "published.md"
PICTURE = REPOSITORY / "docs" / "images" / "published.png"
HEAD = re.compile(r"# (.+)\n# Published: (\S+)(?: % test error)?\. Target: (\S+) %")
COLUMNS = (
    *("experiment", "what", "published", "target", "error", "std", "errors", "seeds"),
    *("fit_seconds", "network", "epochs", "machine", "numpy", "code_version"),
)
VARIED = (
    *("experiment", "schedule", "optimizer.params.lr", "optimizer.params.weight_decay"),
    *("epochs", "seed"),
)
TIERS = {
    "published_tier_a": "Linear classifiers to two hidden layers",
    "published_tier_b": "Distorted images, and dropout",
    "published_tier_c": "The longest trainings",
}
MARK = "<!-- what follows is made by benchmarks/published.py -->\n"


def main() -> None:
    """Read the sweeps and write all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweeps", nargs="+", type=Path)
    rows = {row["experiment"]: row for row in read_rows(TABLE)} if TABLE.exists() else {}
    for folder in parser.parse_args().sweeps:
        jobs = completed(folder)
        if any(job.get("validation_accuracy") for job in jobs):
            select(jobs)
        else:
            rows |= measured(folder, jobs)
    heads = {path.stem: HEAD.search(path.read_text()) for path in EXPERIMENTS.glob("*.yaml")}
    unknown = {name for name, head in heads.items() if head is None}
    if unknown:
        raise SystemExit(f"no head: {', '.join(sorted(unknown))}")
    table = [
        rows[name] | dict(zip(COLUMNS[:4], (name, *head.groups()), strict=True))
        for name, head in sorted(heads.items())
        if head and name in rows
    ]
    write(TABLE, COLUMNS, table)
    said, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(said + mark + "\n" + page(table), encoding="utf-8", newline="\n")
    PICTURE.parent.mkdir(exist_ok=True)
    draw(table)


def completed(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a sweep's jobs, all of which must have completed.

    What all of them have in common is no column of the sweep's table, but an override of each.
    """
    jobs = []
    for row in read_rows(folder / "results.csv"):
        if row["status"] != "completed":
            raise SystemExit(f"{folder}: {row['run_id']} is {row['status']}")
        path = folder / "jobs" / row["run_id"] / ".hydra" / "overrides.yaml"
        words = yaml.safe_load(path.read_text(encoding="utf-8"))
        jobs.append(dict(word.split("=", 1) for word in words) | row)
    return jobs


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def select(jobs: list[dict[str, str]]) -> None:
    """Put what a sweep measured on held-out images into the table of all that was tried."""
    columns = (*VARIED, "validation_accuracy", "code_version")
    known = read_rows(SELECTION) if SELECTION.exists() else []
    rows = {
        tuple(row.get(name, "") for name in VARIED): {name: row.get(name, "") for name in columns}
        for row in [*known, *jobs]
    }
    write(SELECTION, columns, rows.values())


def measured(folder: Path, jobs: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Return a row for each experiment of a sweep."""
    by_name: dict[str, list[dict[str, str]]] = {}
    for job in jobs:
        by_name.setdefault(job["experiment"].removeprefix("published/"), []).append(job)
    return {name: summary(folder, jobs) for name, jobs in by_name.items()}


def summary(folder: Path, jobs: list[dict[str, str]]) -> dict[str, Any]:
    """Return mean and spread of an experiment's seeds."""
    errors = [100 * (1 - float(job["accuracy"])) for job in jobs]
    record = read_record(folder / "jobs" / jobs[0]["run_id"]) or {}
    environment = record["environment"]
    return {
        "experiment": jobs[0]["experiment"].removeprefix("published/"),
        "error": f"{fmean(errors):.2f}",
        "std": f"{stdev(errors):.2f}" if len(errors) > 1 else "",
        "errors": " ".join(f"{error:.2f}" for error in errors),
        "seeds": " ".join(job["seed"] for job in jobs),
        "fit_seconds": f"{median(float(job['fit_seconds']) for job in jobs):.1f}",
        "network": jobs[0]["network"],
        "epochs": jobs[0]["epochs"],
        "machine": f"{environment['cpu']}, {environment['threads']} thread",
        "numpy": environment["versions"]["numpy"],
        "code_version": jobs[0]["code_version"],
    }


def page(table: list[dict[str, Any]]) -> str:
    """Return a table as Markdown for each of the sweeps, and where they come from."""
    rows = {row["experiment"]: row for row in table}
    text = ""
    for name, title in TIERS.items():
        preset = (EXPERIMENTS.parents[1] / "hydra" / "sweeper" / f"{name}.yaml").read_text()
        here = [rows[row] for row in re.findall(r"published/(\w+)", preset) if row in rows]
        text += f"## {title}\n\n`hydra/sweeper={name}`\n\n{markdown(here)}\n" if here else ""
    machines = sorted({row["machine"] for row in table})
    versions = sorted({row["code_version"] for row in table})
    return text + (
        f"Seconds are of the training of one seed, their median, jobs side by side on two cores "
        f"({'; '.join(machines)}). Code {', '.join(versions)}. Made by "
        "`python benchmarks/published.py outputs/sweeps/published` from such sweeps.\n\n"
        "![Error against training time, ours and published](images/published.png)\n"
    )


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return rows as a table."""
    head = "| experiment | what | published | target | mean | each seed | epochs | seconds |\n"
    lines = [
        f"| `{row['experiment']}` | {row['what']} | {row['published']} | {row['target']} | "
        f"**{row['error']}**{'' if met(row) else ' (missed)'} | {row['errors']} | "
        f"{row['epochs']} | {row['fit_seconds']} |\n"
        for row in rows
    ]
    return head + "|---|---|---|---|---|---|---|---|\n" + "".join(lines)


def met(row: dict[str, Any]) -> bool:
    """Whether the mean of the seeds is not above the target."""
    return float(row["error"]) <= float(row["target"])


def draw(table: list[dict[str, Any]]) -> None:
    """Draw error against training time, each with the published error above or below it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.add_subplot()
    for number, row in enumerate(sorted(table, key=lambda row: -float(row["error"])), start=1):
        x, y = float(row["fit_seconds"]), float(row["error"])
        published = None if row["published"] == "none" else float(row["published"])
        if published is not None:
            axes.plot([x, x], [y, published], "-", color="0.8", zorder=0)
            axes.plot(x, published, "_", color="tab:red", markersize=12)
        axes.plot(
            x, y, "o", color="tab:blue", markersize=13, label=f"{number}  {row['experiment']}"
        )
        axes.annotate(str(number), (x, y), color="white", size=8, ha="center", va="center")
    axes.plot([], [], "o", color="tab:blue", label="here, mean of three seeds")
    axes.plot([], [], "_", color="tab:red", markersize=12, label="published")
    axes.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="test error, %")
    axes.set_yticks([1, 1.5, 2, 3, 5, 8, 12], ["1", "1.5", "2", "3", "5", "8", "12"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    handles = axes.get_legend_handles_labels()[0]
    names = figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
    for handle in names.legend_handles[:-2]:
        handle.set_visible(False)  # the numbers are their marks
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()

"""Runs in MLflow's own store: a SQLite file with the files of the runs beside it."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.export.runs import Run, Runs, read_runs
from runner.lookup import shortened

STATUS = {"completed": "FINISHED", "interrupted": "KILLED"}  # else FAILED
LONGEST = 5900  # characters of a parameter; MLflow takes 6,000
MOST = {"params": 100, "metrics": 1000}  # of one call
KEY, WHOLE = "runner.key", "runner.exported"


def export(path: Path, out: Path) -> str:
    """Add the runs of a folder to ``out/mlflow.db``; one that is there already is left alone.

    A job of a sweep that was run again takes the place of what it was.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would call home
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    found = read_runs(path)
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{out / 'mlflow.db'}"
    try:
        added = add_missing(MlflowClient(tracking_uri=uri), found, out)
    except (OSError, ValueError):
        raise
    except Exception as error:  # MLflow's own, SQLAlchemy's and alembic's have no name in common
        got = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        raise ValueError(f"{uri}: expected MLflow's database, got {got}") from error
    return f"{added} of {len(found.runs)} runs added to {found.name} in {uri}"


def add_missing(client: Any, found: Runs, out: Path) -> int:
    """Add the runs that are not there, and return how many these were."""
    experiment = experiment_of(client, found.name, out)
    known = exported(client, experiment)
    added = 0
    for run in found.runs:
        key = run.row["run_id"] if found.sweep else run.name
        before = known.get(key)
        if before is not None and before.data.tags.get(WHOLE) == run.row.get("started_at", ""):
            continue
        if before is not None:
            client.delete_run(before.info.run_id)
        add(client, experiment, run, key)
        added += 1
    return added


def experiment_of(client: Any, name: str, out: Path) -> str:
    """Return the experiment of a name, a new one where there is none."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    files = (out / "files" / name).as_uri()
    return str(client.create_experiment(name, artifact_location=files))


def exported(client: Any, experiment: str) -> dict[str, Any]:
    """Return the runs of an experiment that came from here, by their keys."""
    runs, token = [], None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return {run.data.tags[KEY]: run for run in runs if KEY in run.data.tags}


def add(client: Any, experiment: str, run: Run, key: str) -> None:
    """Add one run; the tag that makes it count comes last."""
    from mlflow.entities import Metric, Param

    begin = milliseconds(run.started)
    end = milliseconds(run.started + run.seconds)
    tags = {KEY: key} | {f"runner.{name}": value for name, value in run.facts.items()}
    made = client.create_run(experiment, start_time=begin, tags=tags, run_name=run.name).info
    metrics = [Metric(name, value, end, 0) for name, value in run.metrics.items()]
    for epoch, when, values in run.curves():
        metrics += [
            Metric(f"history/{name}", value, milliseconds(when), epoch)
            for name, value in values.items()
        ]
    params = [Param(name, shortened(value, LONGEST)) for name, value in run.settings.items()]
    in_parts(client, made.run_id, "params", params)
    in_parts(client, made.run_id, "metrics", metrics)
    if run.folder is not None:
        client.log_artifacts(made.run_id, str(run.folder))
    status = STATUS.get(run.row["status"], "FAILED")
    client.set_tag(made.run_id, WHOLE, run.row.get("started_at", ""))
    client.set_terminated(made.run_id, status, end_time=end)


def in_parts(client: Any, run_id: str, what: str, items: Sequence[Any]) -> None:
    """Log many things, as many at a time as MLflow takes."""
    for first in range(0, len(items), MOST[what]):
        client.log_batch(run_id, **{what: items[first : first + MOST[what]]})


def milliseconds(seconds: float) -> int:
    """Return seconds as MLflow has them."""
    return round(1000 * seconds)

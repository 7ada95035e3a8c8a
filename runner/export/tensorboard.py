"""Runs as TensorBoard's event files, written without TensorFlow."""

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from runner.export.runs import Run, read_runs
from runner.tables import store, strict

FILE = "events.out.tfevents."
HPARAMS = "_hparams_"  # the plugin's name for its tags


def export(path: Path, out: Path) -> str:
    """Write an event file for each run below ``out``, in place of one that is there."""
    found = read_runs(path)
    for run in found.runs:
        folder = out / found.name / run.name
        name = f"{FILE}{int(run.started)}.{run.row['run_id']}"
        store.write_bytes(folder / name, content(run))
        for other in folder.glob(f"{FILE}*"):
            if other.name != name:
                other.unlink()  # of an earlier try at the same job
    return f"{len(found.runs)} runs in {out / found.name}: tensorboard --logdir {out}"


def content(run: Run) -> bytes:
    """Return a run as the bytes of an event file; the same run gives the same bytes."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = BytesIO()
    writer = RecordWriter(file)
    writer.write(Event(wall_time=run.started, file_version="brain.Event:2").SerializeToString())
    for when, step, summary in summaries(run):
        event = Event(wall_time=when, step=step, summary=summary)
        writer.write(event.SerializeToString(deterministic=True))
    return file.getvalue()


def summaries(run: Run) -> Iterator[tuple[float, int, Any]]:
    """Yield (seconds since 1970, step, what was then)."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    def scalars(values: dict[str, float], prefix: str) -> Any:
        items = values.items()
        return Summary(value=[Summary.Value(tag=prefix + k, simple_value=v) for k, v in items])

    yield run.started, 0, hyperparameters(run)
    last = 0
    for last, when, values in run.curves():
        yield when, last, scalars(values, "history/")
    end = run.started + run.seconds
    yield end, last, scalars(run.metrics, "results/")
    for figure in sorted(run.folder.glob("figures/*.png")) if run.folder else ():
        png = strict.read_bytes(figure)
        if len(png) < 24:
            raise ValueError(f"{figure}: expected a PNG picture, got {len(png)} bytes")
        width, height = struct.unpack(">II", png[16:24])  # PNG (ISO 15948), 11.2.2
        image = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
        yield end, last, Summary(value=[Summary.Value(tag=f"figures/{figure.stem}", image=image)])


def hyperparameters(run: Run) -> Any:
    """Return what the plugin of that name shows: the settings, and which results belong to them."""
    from google.protobuf.struct_pb2 import Value
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import api_pb2 as api
    from tensorboard.plugins.hparams.plugin_data_pb2 import (
        HParamsPluginData,
        SessionEndInfo,
        SessionStartInfo,
    )

    names = [api.MetricInfo(name=api.MetricName(tag=f"results/{name}")) for name in run.metrics]
    kinds = [api.HParamInfo(name=name, type=api.DATA_TYPE_STRING) for name in run.settings]
    start = SessionStartInfo(group_name=run.name, start_time_secs=run.started)
    for name, value in run.settings.items():
        start.hparams[name].CopyFrom(Value(string_value=value))
    ended = api.STATUS_SUCCESS if run.row["status"] == "completed" else api.STATUS_FAILURE
    parts = {
        "experiment": {"experiment": api.Experiment(hparam_infos=kinds, metric_infos=names)},
        "session_start_info": {"session_start_info": start},
        "session_end_info": {
            "session_end_info": SessionEndInfo(
                status=ended, end_time_secs=run.started + run.seconds
            )
        },
    }
    values = []
    for tag, part in parts.items():
        data = HParamsPluginData(version=0, **part).SerializeToString(deterministic=True)
        about = SummaryMetadata.PluginData(plugin_name="hparams", content=data)
        metadata = SummaryMetadata(plugin_data=about)
        values.append(Summary.Value(tag=f"{HPARAMS}/{tag}", metadata=metadata))
    return Summary(value=values)

"""A run as a notebook shows it: its tables, then its pictures, in one piece of HTML."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.report.formats import CONTROLS
from runner.report.terminal import picture, small_arrays

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

TABLES = ("accuracy", "history", "expect", "timing")
ROWS = 20  # of a table; the files have all of them


def run_html(
    row: Mapping[str, Any],
    tables: Mapping[str, "pd.DataFrame"],
    folder: Path,
    arrays: "Mapping[str, NDArray[Any]]",
    notes: Sequence[str] = (),
) -> str:
    """Return what a run was, its tables, its small arrays and the pictures of its folder."""
    parts = [row[key] for key in ("task", "network", "activation", "output") if row.get(key)]
    title = f"{' '.join(parts)} on {row['dataset']}, seed {row['seed']}: {row['status']}"
    lines = [title, *([row["error"]] if row.get("error") else []), *notes]
    blocks = [f"<p><b>{text(lines[0])}</b></p>", *(f"<p>{text(line)}</p>" for line in lines[1:])]
    if "image" in arrays:
        blocks.append(f"<pre>{escape(picture(arrays['image']))}</pre>")
    for name, array in small_arrays(arrays, "accuracy" in tables).items():
        blocks.append(f"<pre>{text(name)} = {escape(str(array))}</pre>")
    blocks += [table_html(name, tables[name]) for name in TABLES if name in tables]
    files = sorted(folder.glob("figures/*.png"))
    blocks += [png_html(path.stem, path.read_bytes()) for path in files]
    return "\n".join([*blocks, f"<p><code>{text(folder)}</code></p>"])


def table_html(name: str, table: "pd.DataFrame") -> str:
    """Return the last rows of a table under its name; columns without any value are left out."""
    shown = table.dropna(axis="columns", how="all").tail(ROWS)
    body = shown.to_html(index=False, border=0, na_rep="", float_format=lambda x: f"{x:.4g}")
    return f"<p>{text(name)}</p>\n{body}"


def png_html(name: str, png: bytes) -> str:
    """Return a picture as HTML that needs no other file."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{text(name)}" title="{text(name)}" src="data:image/png;base64,{data}">'


def text(content: object) -> str:
    """Return a text in which nothing is markup or a control character."""
    return escape(str(content).translate(CONTROLS))

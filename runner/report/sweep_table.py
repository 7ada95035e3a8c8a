"""The results of a sweep: a DataFrame that a notebook shows short, with a picture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pandas as pd

from runner.report.figures import new_figure, to_png
from runner.report.notebook import png_html, text
from runner.report.terminal import varied

MOST = 40  # jobs in the picture


class SweepTable(pd.DataFrame):
    """One row per job; what is made from it is a plain DataFrame.

    Attributes
    ----------
    folder : of the sweep.
    """

    _metadata = ["folder"]  # noqa: RUF012 - pandas reads it from the class
    folder: Path

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def of(self, folder: Path) -> Self:
        """Say which sweep it is of."""
        self.folder = folder
        return self

    def _repr_html_(self) -> str:
        """Show how the jobs differ and what came of them, or the plan; long ones in part."""
        if "accuracy" not in self:
            return str(pd.DataFrame(self).to_html(index=False, border=0, na_rep="", max_rows=60))
        keys = varied(self)
        outcome = ["status", "n", "accuracy", "accuracy_low", "accuracy_high", "test_loss"]
        shown = pd.DataFrame(self)[[*keys, *outcome]].dropna(axis="columns", how="all")
        blocks = [
            shown.to_html(
                index=False, border=0, na_rep="", max_rows=60, float_format=lambda x: f"{x:.4g}"
            )
        ]
        if self["accuracy"].notna().any():
            blocks.append(png_html("accuracy", accuracy_png(pd.DataFrame(self), keys)))
        return "\n".join([*blocks, f"<p><code>{text(self.folder)}</code></p>"])


def accuracy_png(table: pd.DataFrame, keys: list[str]) -> bytes:
    """Return a PNG of each job's accuracy with its 95 % interval, the first at the top."""
    rows: list[dict[Any, Any]] = table[table["accuracy"].notna()].head(MOST).to_dict("records")
    figure = new_figure(6.0, 1.0 + 0.25 * len(rows))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        axes.plot([row["accuracy_low"], row["accuracy_high"]], [place, place], color="tab:blue")
        axes.plot(row["accuracy"], place, "o", color="tab:blue")
    labels = [", ".join(str(row[key]) for key in keys).replace("$", r"\$") for row in rows]
    axes.set(yticks=range(len(rows)), yticklabels=labels, xlabel="accuracy")
    axes.set_title(", ".join(keys).replace("$", r"\$"), size=9)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    return to_png(figure)

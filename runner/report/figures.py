"""Pictures of a run, each made from one of its tables; no screen is needed."""

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def learning_curves(history: "pd.DataFrame") -> bytes:
    """Return a PNG of loss and accuracy by epoch, from the rows of history.csv.

    A regression has no accuracy and gets its loss alone.
    """
    from matplotlib.ticker import MaxNLocator

    kinds = ["loss"] + ["accuracy"] * bool(history["test_accuracy"].notna().any())
    figure = new_figure(5.0 * len(kinds), 3.6)
    epochs = history["epoch"].astype(int)
    for place, kind in enumerate(kinds, start=1):
        axes = figure.add_subplot(1, len(kinds), place)
        for split, style in (("train", "o--"), ("test", "o-")):
            values = history[f"{split}_{kind}"].astype(float)
            axes.plot(epochs, values, style, label=split, markersize=3)
        axes.set(xlabel="epoch", ylabel=kind)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return to_png(figure)


def confusion(table: "pd.DataFrame") -> bytes:
    """Return a PNG of the counts of confusion.csv: rows true classes, columns predicted ones.

    The shade is the share of the row's class; what is right is on the diagonal.
    """
    counts = table.drop(columns="true").to_numpy(dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(1.5 + 0.45 * len(counts), 20.0)
    figure = new_figure(size, size)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour, size=7)
    classes = range(len(counts))
    axes.set(xlabel="predicted", ylabel="true", xticks=classes, yticks=classes)
    return to_png(figure)


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def to_png(figure: "Figure") -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    # Without the library's version, so that equal tables give equal files.
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()

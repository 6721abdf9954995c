"""Draws what a dataset costs by its size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["plot"]

# The same file for the same figures.
mpl.rcParams["svg.hashsalt"] = "scale"
mpl.rcParams["svg.fonttype"] = "none"


def plot(figures: Sequence[tuple[str, int, float, float]], path: Path) -> None:
    """Work, rows, CPU seconds and megabytes as lines over the rows, into a file of the kind that its ending says."""
    drawing = Figure(figsize=(10, 4.2), layout="constrained")
    seconds, memory = drawing.subplots(1, 2)
    for work in dict.fromkeys(work for work, *_ in figures):
        mine = sorted(numbers for name, *numbers in figures if name == work)
        rows = [each[0] for each in mine]
        seconds.plot(rows, [each[1] for each in mine], marker="o", label=work)
        memory.plot(rows, [each[2] for each in mine], marker="o", label=work)
    most, least = max(rows for _, rows, *_ in figures), min(rows for _, rows, *_ in figures)
    slowest = max(cost for _, rows, cost, _ in figures if rows == most)
    seconds.plot([least, most], [slowest * least / most, slowest], color="grey", linestyle=":", label="linear")
    seconds.set(xscale="log", yscale="log", xlabel="rows", ylabel="CPU seconds", title="Time")
    memory.set(xscale="log", xlabel="rows", ylabel="MB", title="Most memory at once", ylim=(0, None))
    memory.axhline(1000, color="grey", linestyle=":")
    seconds.legend()
    drawing.savefig(path, metadata={"Date": None})

"""The picture: each peer's cost of a test, on a logarithmic scale."""

from __future__ import annotations

from pathlib import Path

from .peer import ISOLATION, RECONNECTED
from .sheet import Sheet, short

COLOURS = ("#1b6ca8", "#d1495b")
"""Seatrial's, and the others'."""
MARKS = "osD^vPX*<>"


def draw(sheet: Sheet, path: Path) -> None:
    """Write an SVG: a bar for the first column of figures, a mark for each other one."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "isolation"  # equal figures make equal files
    from matplotlib import pyplot as plt

    rows = [name for name in sheet.names if _figures(sheet, name)]
    figure, axes = plt.subplots(figsize=(11, 1.6 + 0.42 * len(rows)), layout="constrained")
    columns = [column for column in sheet.columns if any(column in _figures(sheet, name) for name in rows)]
    for at, name in enumerate(reversed(rows)):
        figures = _figures(sheet, name)
        first, value = next(iter(figures.items()))
        axes.barh(at, value, color=COLOURS[not _ours(name)], alpha=0.85, height=0.62)
        axes.annotate(f"{short(value)}  ", (value, at), va="center", ha="right", fontsize=8, color="white")
        for column in figures.keys() - {first}:
            mark = MARKS[columns.index(column) % len(MARKS)]
            axes.plot(figures[column], at, mark, color="#222222", markersize=4, markerfacecolor="white")
    for number, column in enumerate(columns[1:], 1):
        axes.plot(
            [], [], MARKS[number % len(MARKS)], color="#222222", markersize=4, markerfacecolor="white", label=column
        )
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), list(reversed(rows)), fontsize=9)
    axes.set_xlabel("milliseconds for each test, besides the test's own work (median, logarithmic)")
    axes.set_title(f"Back to the baseline after a test; bars: {columns[0]}" if columns else "", fontsize=11, loc="left")
    axes.grid(axis="x", which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if len(columns) > 1:
        axes.legend(fontsize=8, loc="lower right", frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _figures(sheet: Sheet, name: str) -> dict[str, float]:
    """Medians by column: with the reconnection, where one is needed. None of whole runs, which are more than that."""
    found = {}
    for column in sheet.columns:
        for counted in (RECONNECTED, ISOLATION):
            value = sheet.median(name, counted, column)
            if value is not None and value > 0:
                found[column] = value
                break
    return found


def _ours(name: str) -> bool:
    return "Seatrial" in name

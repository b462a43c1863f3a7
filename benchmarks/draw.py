"""The plots of the report, as SVG that reads on light and on dark; needs matplotlib alone.

    python -m benchmarks.draw benchmarks/BENCHMARKS.json benchmarks/plots

The same figures give the same files, but for the version of matplotlib.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.clients import FLOOR, OURS_ASYNC, RAW

__all__ = ["draw"]

Row = Mapping[str, Any]

# Greys and hues of a middle lightness: on white and on black alike.
TEXT, GRID, OTHER, OURS, BARE = "#7d8590", "#8b949e55", "#6e8fb5", "#e8590c", "#9aa0a6"
HUES = (
    "#4c8dd6",
    "#9b6dd0",
    "#2f9e8f",
    "#c2892b",
    "#c75d92",
    "#6b9e3f",
    "#7986cb",
    "#b0665a",
    "#5fa8b8",
)
VARIANTS = ("trio", "sync", "bytes only")  # of what is a line already
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "bench",  # the same ids each time
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def _of(rows: Sequence[Row], section: str, column: str) -> Iterator[Row]:
    return (row for row in rows if row["section"] == section and column in row)


def _color(name: str, hues: dict[str, str]) -> str:
    """Ours and the floors are the same in every plot; others as they come."""
    if name.startswith(OURS_ASYNC):
        return OURS
    if name in (RAW, FLOOR):
        return BARE
    return hues.setdefault(name, HUES[len(hues) % len(HUES)])


def _bars(axes: Any, rows: Sequence[Row], column: str, title: str, unit: str) -> None:
    ordered = sorted(rows, key=lambda row: row[column], reverse=True)
    names = [row["client"] for row in ordered]
    values = [row[column] for row in ordered]
    colors = [
        OURS if name.startswith(OURS_ASYNC) else BARE if "floor" in name or name == RAW else OTHER
        for name in names
    ]
    bars = axes.barh(names, values, color=colors, height=0.7)
    axes.bar_label(bars, labels=[f"{value:.3g}" for value in values], padding=3, color=TEXT)
    axes.set_title(title)
    axes.set_xlabel(unit)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)


def _lines(axes: Any, rows: Sequence[Row], x: str, y: str) -> None:
    hues: dict[str, str] = {}
    names = dict.fromkeys(row["client"] for row in rows)
    for name in (name for name in names if not any(word in name for word in VARIANTS)):
        mine = [row for row in rows if row["client"] == name]
        ours = name.startswith(OURS_ASYNC)
        bare = name in (RAW, FLOOR)
        axes.plot(
            [row[x] for row in mine],
            [row[y] for row in mine],
            marker="o",
            markersize=4,
            linewidth=2.6 if ours else 1.5,
            linestyle="--" if bare else "-",
            color=_color(name, hues),
            label=name,
            zorder=3 if ours else 2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,g}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)


def _burst(plot: Any, rows: Sequence[Row]) -> Any:
    figure, both = plot.subplots(1, 2, figsize=(10, 5))
    found = list(_of(rows, "burst", "cpu_us"))
    for axes, case in zip(both, ("Anthropic", "OpenAI chat"), strict=True):
        mine = [row for row in found if row["case"] == case]
        _bars(axes, mine, "cpu_us", case, "CPU per event, µs")
        axes.set_xscale("log")
    return figure


def _lag(plot: Any, rows: Sequence[Row]) -> Any:
    figure, axes = plot.subplots(figsize=(9, 4.6))
    found = [row for row in _of(rows, "streams", "lag_p99_ms") if "OpenAI" not in row["case"]]
    _lines(axes, found, "streams", "lag_p99_ms")
    axes.set_xlabel("live streams in one process (20 events/s each; 10,000: 1 event/s)")
    axes.set_ylabel("p99 lag, ms")
    return figure


def _growth(plot: Any, rows: Sequence[Row]) -> Any:
    figure, axes = plot.subplots(figsize=(9, 4.6))
    kinds = ("text", "text, OpenAI chat")
    found = [row for row in _of(rows, "growth", "cpu_us") if row["kind"] in kinds]
    mine = [
        row
        for row in found
        if row["kind"] == "text" or row["client"].startswith("openai")  # which speaks nothing else
    ]
    _lines(axes, mine, "size", "cpu_us")
    axes.set_xlabel("events in the stream (a line ends where a run took over 45 s)")
    axes.set_ylabel("CPU per event, µs")
    return figure


def _memory(plot: Any, rows: Sequence[Row]) -> Any:
    figure, axes = plot.subplots(figsize=(8, 4.4))
    found = _of(rows, "streams", "kib_per_stream")
    mine = [
        row
        for row in found
        if row["streams"] == 1000
        and ("OpenAI" not in row["case"] or row["client"].startswith("openai"))
    ]
    _bars(axes, mine, "kib_per_stream", "1,000 live streams", "KiB per stream")
    return figure


DRAWN = {"burst": _burst, "lag": _lag, "growth": _growth, "memory": _memory}


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Draw all plots into a folder."""
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("svg")
    plot: Any = import_module("matplotlib.pyplot")
    with matplotlib.rc_context(STYLE):
        for name, make in DRAWN.items():
            figure = make(plot, rows)
            # Without these, the file tells the time and the version.
            nothing = {"Date": None, "Creator": None}
            target = folder / f"{name}.svg"
            figure.savefig(target, transparent=True, metadata=nothing)
            plot.close(figure)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())["rows"], Path(sys.argv[2]))

"""What an event costs, beside the floor and the peers.

    python -m benchmarks.bench [--events 20000] [--rounds 3] [--only SECTION ...]
    python -m benchmarks.bench --full     all, with all peers; renews the report
    python -m benchmarks.bench --report   the report again, from the figures that are there

Without ``--full`` it takes what the project's own environment has, prints the tables, and says
what got slower than in the report that is there. It never fails because of a time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import Options
from benchmarks.places import ROOT, Missing, python_of
from benchmarks.report import Results, compared, page, sections

__all__ = ["loaded", "main", "saved"]

HERE = ROOT / "benchmarks"
FIGURES, PAGE, PLOTS = HERE / "BENCHMARKS.json", HERE / "BENCHMARKS.md", HERE / "plots"
DRAWER = ".real/plots"


def run(options: Options) -> Results:
    """Measure."""

    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:4.0f} s  {line}", file=sys.stderr, flush=True)

    rows, versions = measure.measure(measure.cases(options), options, say=say)
    makers = {"import": measure.imports, "pieces": measure.pieces}
    for section, make in makers.items():
        if section in options.only or (options.full and not options.only):
            say(section)
            rows += make(options)
    return Results(measure.machine(), asdict(options), versions, rows)


def loaded(path: Path) -> Results:
    """Results that were saved."""
    return Results(**json.loads(path.read_text()))


def saved(results: Results, path: Path) -> None:
    """Save results: one row a line, so that a change shows."""
    facts = {name: value for name, value in asdict(results).items() if name != "rows"}
    lines = [f'"{name}": {json.dumps(value)}' for name, value in facts.items()]
    rows = ",\n".join(json.dumps(row) for row in results.rows)
    path.write_text("{\n" + ",\n".join([*lines, f'"rows": [\n{rows}\n]']) + "\n}\n")


def reported(figures: Path = FIGURES, target: Path = PAGE, plots: Path = PLOTS) -> None:
    """Write the page, and draw its plots if what draws them is installed."""
    target.write_text(page(loaded(figures)))
    try:
        python = python_of(DRAWER)
    except Missing as missing:
        print(f"no plots: {missing}", file=sys.stderr)
        return
    plots.mkdir(exist_ok=True)
    drawn = [str(python), "-m", "benchmarks.draw", str(figures), str(plots)]
    subprocess.run(drawn, check=True, cwd=ROOT)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and say what came out."""
    parser = argparse.ArgumentParser(prog="bench", description="what an event costs")
    parser.add_argument("--events", type=int, default=20_000, help="the length of a burst")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", nargs="*", default=[], help="only these sections", metavar="SECTION"
    )
    parser.add_argument("--full", action="store_true", help="all; renews the report")
    parser.add_argument("--report", action="store_true", help="only the report, from the figures")
    given = parser.parse_args(argv)
    if given.report:
        reported()
        return 0
    options = Options(given.events, given.rounds, given.full, tuple(given.only))
    results = run(options)
    print("\n".join(sections(results)).lstrip())
    if FIGURES.exists():
        print("", *compared(results, loaded(FIGURES)), sep="\n")
    else:
        print("\nThere is no report to compare with.")
    if options.full and not options.only:
        saved(results, FIGURES)
        reported()
    return 0


if __name__ == "__main__":
    sys.exit(main())

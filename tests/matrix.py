"""The faults, what a user sees of each, and the tests that hold it: ``matrix.toml`` as a page."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["ROWS", "Matrix", "Row", "Theme", "functions", "matrix", "matrix_page"]

TESTS = Path(__file__).resolve().parent
ROWS = range(1, 75)
"""The numbers of the faults, those of what does not exist among them."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault.

    Attributes:
        fault: What goes wrong.
        seen: What a user sees of it.
        scenarios: What holds that: names in ``engine/test_scenarios.py``.
        tests: What else does: files and functions.
        figure: What is asserted in numbers, or was measured.
        but: What is not as one wishes.
    """

    fault: str
    seen: str
    scenarios: list[str] = field(default_factory=list[str])
    tests: list[str] = field(default_factory=list[str])
    figure: str = ""
    but: str = ""


@dataclass(frozen=True, kw_only=True)
class Theme:
    """What users of other clients report, the rows that answer it, and further tests."""

    about: str
    rows: list[int]
    tests: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Matrix:
    """All there is, by number."""

    rows: dict[int, Row]
    themes: dict[str, Theme]
    out_of_scope: dict[int, str]

    def tests(self) -> Iterator[str]:
        """All tests that are named."""
        for row in self.rows.values():
            yield from row.tests
        for theme in self.themes.values():
            yield from theme.tests


@cache
def matrix() -> Matrix:
    """What the file says."""
    told = tomllib.loads((TESTS / "matrix.toml").read_text(encoding="utf-8"))
    return Matrix(
        {int(number): Row(**row) for number, row in told["rows"].items()},
        {name: Theme(**theme) for name, theme in told["themes"].items()},
        {int(number): name for number, name in told["out_of_scope"].items()},
    )


@cache
def functions(path: str) -> frozenset[str]:
    """The tests in a file, by its path under ``tests/``."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _held_by(scenarios: Iterable[str], tests: Iterable[str]) -> str:
    """Scenarios and tests in short, each file once, as a link to it."""
    by_file: dict[str, list[str]] = {}
    for name in scenarios:
        by_file.setdefault("engine/test_scenarios.py", []).append(f'"{name}"')
    for test in tests:
        path, _, name = test.partition("::")
        by_file.setdefault(path, []).append(f"`{name.removeprefix('test_')}`")
    return "; ".join(
        f"[{path.removesuffix('.py')}](../tests/{path}): {', '.join(names)}"
        for path, names in by_file.items()
    )


def _rows(rows: dict[int, Row]) -> Iterator[str]:
    for number, row in rows.items():
        seen = ". ".join(part for part in (row.seen, row.but and f"**But** {row.but}") if part)
        by = _held_by(row.scenarios, row.tests)
        yield f"| {number} | {row.fault} | {seen} | {row.figure} | {by} |\n"


def _themes(themes: dict[str, Theme]) -> Iterator[str]:
    for name, theme in themes.items():
        rows = ", ".join(map(str, theme.rows))
        yield f"| {name} | {theme.about} | {rows} | {_held_by((), theme.tests)} |\n"


def matrix_page() -> str:
    """The page on the faults."""
    told = matrix()
    outside = ", ".join(f"{name} ({number})" for number, name in told.out_of_scope.items())
    return f"""\
# What is seen of each fault

Made by `make report` of `tests/matrix.toml`; a test fails if this page is not what that gives, or
if a test that is named here is not there. `make faults` plays some of these faults for other
clients, too: see [FAULTS.md](FAULTS.md).

Tests run on asyncio and on trio. What stands in quotation marks is a scenario: it is played on
asyncio, on trio and in sync code, in all four protocols and in part at seven more places that
serve them, and the items have to be the same. Figures are what the tests assert, unless they
were measured, on two cores. An attempt is what `retries` counts, three by default; "kept" is what
`snapshot()` gives.

| | fault | what is seen | figure | tests |
| --: | --- | --- | --- | --- |
{"".join(_rows(told.rows))}
Not here, since it does not exist: {outside}.

## What users of other clients report

| | about | rows | further tests |
| --- | --- | --- | --- |
{"".join(_themes(told.themes))}"""

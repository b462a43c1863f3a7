"""The page on the faults is what it is made of, and that is true."""

import pytest
from engine.served import DIALECTS
from engine.test_scenarios import every
from matrix import ROWS, functions, matrix, matrix_page
from report import PAGES


def test_the_page_is_what_is_made() -> None:
    assert (PAGES / "MATRIX.md").read_text(encoding="utf-8") == matrix_page()


def test_each_fault_and_theme_is_there() -> None:
    told = matrix()
    assert sorted([*told.rows, *told.out_of_scope]) == list(ROWS)
    assert list(told.themes) == [f"T{number}" for number in range(1, 31)]
    assert all(row.scenarios or row.tests for row in told.rows.values())


def test_each_test_that_is_named_is_there() -> None:
    named = (test.partition("::") for test in matrix().tests())
    assert [(path, name) for path, _, name in named if name not in functions(path)] == []


@pytest.mark.parametrize("name", DIALECTS)
def test_scenarios_that_are_named_are_played_in_each_protocol(name: str) -> None:
    played = every(DIALECTS[name]).keys()
    assert {one for row in matrix().rows.values() for one in row.scenarios} <= played


def test_a_theme_is_answered_by_rows_that_are_there() -> None:
    told = matrix()
    assert {row for theme in told.themes.values() for row in theme.rows} <= told.rows.keys()

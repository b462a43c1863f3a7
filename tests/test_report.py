"""The committed reports are what the run gives."""

import pytest
import report
from corpus import needs_corpus
from recorded.answers import WAYS
from recorded.dialects import ANSWERS, REQUESTS


def page(name: str) -> str:
    return (report.PAGES / name).read_text(encoding="utf-8")


@needs_corpus
def test_the_page_on_answers() -> None:
    # That nothing is wrong is what the tests beside the comparison find, part by part.
    nothing = {(name, way): frozenset[str]() for name in ANSWERS for way in WAYS}
    made = report.corpus_page(nothing, {}).splitlines()
    assert [line for line in page("CORPUS.md").splitlines() if not line.startswith(OTHERS)] == made


OTHERS = tuple(f"| {what} |" for what in report.OTHERS)


@needs_corpus
@pytest.mark.parametrize("what", report.OTHERS)
def test_the_row_on_other_bodies(what: str) -> None:
    count, agree = report.OTHERS[what]()
    assert f"| {what} | {count} | {agree} |" in page("CORPUS.md").splitlines()


def test_an_answer_that_is_not_read_as_expected_is_listed() -> None:
    wrong = {("gemini", "whole"): frozenset[str](), ("gemini", "byte by byte"): frozenset({"it"})}
    assert report.disagreements(wrong) == "- gemini, byte by byte: `it`\n"


def rows(text: str, name: str) -> list[str]:
    """The rows of a dialect."""
    return [line for line in text.splitlines() if line.startswith(f"| {name} |")]


@needs_corpus
@pytest.mark.parametrize("name", REQUESTS)
def test_the_page_on_requests(name: str) -> None:
    made = report.requests_page({name: REQUESTS[name].outcomes()})
    assert rows(page("REQUESTS.md"), name) == rows(made, name)


def test_the_words_around_the_rows_of_requests() -> None:
    kept = [line for line in page("REQUESTS.md").splitlines() if not line.startswith(ROWS)]
    assert kept == report.requests_page({}).splitlines()


ROWS = tuple(f"| {name} |" for name in REQUESTS)

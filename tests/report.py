"""The committed reports on faults, recorded streams and requests: ``make report``.

The pages are in ``benchmarks/``; a test sees that they are what this gives.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from corpus import CORPUS, Recording
from matrix import matrix_page
from recorded import others
from recorded.answers import WAYS
from recorded.dialects import ANSWERS, REQUESTS
from recorded.requests import Outcome

PAGES = Path(__file__).resolve().parent.parent / "benchmarks"

Wrong = Mapping[tuple[str, str], frozenset[str]]
"""By dialect and way: the recordings that are not read as expected."""
Agreement = tuple[int, int]
"""How many there are, and how many of them agree."""


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table; columns are numbers, but for the first and those of reasons."""
    names = list(head)
    rule = ["---" if i == 0 or "why" in name else "--:" for i, name in enumerate(names)]
    lines = [names, rule, *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# --- answers


def wrong_answers() -> Wrong:
    """What is not read as expected."""
    return {
        (name, way): frozenset(
            r.id for r in answers.recordings() if answers.differences(r, pieces(r))
        )
        for name, answers in ANSWERS.items()
        for way, pieces in WAYS.items()
    }


def corpus_page(wrong: Wrong, other: Mapping[str, Agreement]) -> str:
    """The page on answers; of bodies without an expected result, how many there are and agree."""
    return f"""\
# Recorded answers

Made by `make report`; a test fails if this page is not what the run gives. The bodies were recorded
from the live services by open-source projects. Each is compared with what the provider's own SDK
makes of it: text, reasoning, tool calls (id, name, arguments), native finish reason, usage (as far
as the SDK keeps it), neutral counts, refusal, whether there is an error, its status and class,
every choice, id and model; and whether the answer is complete. No field is skipped: where the SDK's
result is ambiguous, it is compared with the reference that the corpus gives. The figures are how
many bodies agree in all of that.

## By dialect

{table(("dialect", "bodies", *WAYS), map(list, _dialects(wrong)))}
{disagreements(wrong)}
## By kind

Bodies that agree, whichever way their bytes come, of those of that kind. A body has several kinds.

{table(("kind", *ANSWERS), map(list, _kinds(wrong)))}
## Fields with a note

`ambiguous`: what the SDK says is one of several readings. `adjudicated`: the SDK is known to lose
it, and the corpus gives the right value.

{table(("field", *ANSWERS), map(list, _noted()))}
## Other bodies

They have no expected result. They count if they come out complete and the same whole, byte by byte
and at random cuts.

{table(("body", "recorded", "agree"), ([what, *counts] for what, counts in other.items()))}"""


def _dialects(wrong: Wrong) -> Iterable[Iterable[object]]:
    total: Counter[str] = Counter()
    for name, answers in ANSWERS.items():
        count = len(answers.recordings())
        agree = {way: count - len(wrong[name, way]) for way in WAYS}
        total.update({"": count, **agree})
        yield name, count, *agree.values()
    yield "all", total[""], *(total[way] for way in WAYS)


def disagreements(wrong: Wrong) -> str:
    """The recordings that are not read as expected, in a list."""
    return "".join(
        f"- {name}, {way}: `{each}`\n" for (name, way), some in wrong.items() for each in some
    )


def _kinds(wrong: Wrong) -> Iterable[Iterable[object]]:
    every: dict[str, Counter[str]] = {name: Counter() for name in ANSWERS}
    agree: dict[str, Counter[str]] = {name: Counter() for name in ANSWERS}
    for name, answers in ANSWERS.items():
        bad = frozenset[str]().union(*(wrong[name, way] for way in WAYS))
        for recording in answers.recordings():
            every[name].update(recording.meta["kinds"])
            agree[name].update(() if recording.id in bad else recording.meta["kinds"])
    for kind in sorted(set[str]().union(*every.values())):
        yield (
            f"`{kind}`",
            *(f"{agree[n][kind]} of {every[n][kind]}" if every[n][kind] else "" for n in ANSWERS),
        )


def _noted() -> Iterable[Iterable[object]]:
    found: Counter[tuple[str, str]] = Counter()
    for name, answers in ANSWERS.items():
        for recording in answers.recordings():
            for note in ("ambiguous", "adjudicated"):
                fields = recording.expected.get(note, ())
                found.update((f"{note}: {field}", name) for field in fields)
    for row in sorted({row for row, _ in found}):
        yield row, *(found[row, name] or "" for name in ANSWERS)


def _frames() -> Agreement:
    return _agreement(others.of_kind(others.BEDROCK), as_answers=False)


def _claudes() -> Agreement:
    frames = others.of_kind(others.BEDROCK)
    return _agreement([r for r in frames if others.is_claudes(r)], as_answers=True)


def _cases() -> Agreement:
    count = len(others.sse_cases())
    return count, count - len(others.wrong_sse_cases())


def _agreement(recordings: list[Recording], *, as_answers: bool) -> Agreement:
    return len(recordings), others.agreeing(recordings, as_answers=as_answers)


OTHERS: dict[str, Callable[[], Agreement]] = {
    "Bedrock event streams: the payloads of the frames": _frames,
    "of them answers of Claude's, read as the Messages API's": _claudes,
    "NDJSON of Ollama's own API": lambda: _agreement(
        others.of_kind("ollama-ndjson"), as_answers=True
    ),
    "JSON arrays of Gemini's": lambda: _agreement(
        others.of_kind("gemini-json-array"), as_answers=True
    ),
    "SSE cases of other parsers": _cases,
}
"""Bodies without an expected result, by what they are."""


# --- requests


def requests_page(outcomes: Mapping[str, list[Outcome]]) -> str:
    """The page on requests, by dialect."""
    return f"""\
# Recorded requests

Made by `make report`; a test fails if this page is not what the run gives. Each recorded request is
said once more through the public types (`AIModelCallConfig`, `Prompt`, `ToolDefinition`, ...), and
the body that is built for it is compared with the recorded one. They are equal up to order,
defaults, and spellings that mean the same. Those that went to the maker's own servers are held
against the request types of the official SDKs (`anthropic`, `openai`, `google-genai`), too: a body
is accepted if the types have a place for all of it.

{
        table(
            (
                "dialect",
                "recorded",
                "equal",
                "differ",
                "not expressible",
                "held against types",
                "accepted",
            ),
            map(list, _outcomes(outcomes)),
        )
    }
## What cannot be expressed

{table(("dialect", "requests", "what, and why"), map(list, _reasons(outcomes, _unsaid)))}
## What the SDKs' types have no place for

{table(("dialect", "requests", "why"), map(list, _reasons(outcomes, _untyped)))}"""


def _unsaid(outcome: Outcome) -> str | None:
    return outcome.reason


def _untyped(outcome: Outcome) -> str | None:
    return outcome.refused


def _outcomes(outcomes: Mapping[str, list[Outcome]]) -> Iterable[Iterable[object]]:
    for name, some in outcomes.items():
        said = [each for each in some if each.reason is None]
        typed = [each for each in said if REQUESTS[name].own_servers(each.recording)]
        yield (
            name,
            len(some),
            sum(not each.differences for each in said),
            sum(bool(each.differences) for each in said),
            len(some) - len(said),
            len(typed),
            sum(each.refused is None for each in typed),
        )


def _reasons(
    outcomes: Mapping[str, list[Outcome]], reason: Callable[[Outcome], str | None]
) -> Iterable[Iterable[object]]:
    for name, some in outcomes.items():
        found = Counter(why for each in some if (why := reason(each)) is not None)
        for why, count in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])):
            yield name, count, why


def main() -> None:
    """Write the pages."""
    (PAGES / "MATRIX.md").write_text(matrix_page(), encoding="utf-8")
    if not CORPUS.is_dir():
        sys.exit(
            "The recorded streams (../shared/corpus) are not here; their pages stay as they are"
        )
    other = {what: agreement() for what, agreement in OTHERS.items()}
    (PAGES / "CORPUS.md").write_text(corpus_page(wrong_answers(), other), encoding="utf-8")
    outcomes = {name: requests.outcomes() for name, requests in REQUESTS.items()}
    (PAGES / "REQUESTS.md").write_text(requests_page(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()

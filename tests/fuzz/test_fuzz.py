"""The known inputs keep the invariants that are fuzzed, and so do random ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
KNOWN = [(name, path.name) for name in TARGETS for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize(("target", "name"), KNOWN)
def test_a_known_input_keeps_the_invariant(target: str, name: str) -> None:
    TARGETS[target]((CORPUS / target / name).read_bytes())


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_known_input_with_a_few_other_bytes_does_too(target: str, data: st.DataObject) -> None:
    names = [name for of, name in KNOWN if of == target]
    content = bytearray((CORPUS / target / data.draw(st.sampled_from(names))).read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    TARGETS[target](bytes(content))


def test_each_target_says_its_invariant_and_has_inputs() -> None:
    assert {name for name, target in TARGETS.items() if target.__doc__} == set(TARGETS)
    assert {path.name for path in CORPUS.iterdir()} == {name for name, _ in KNOWN} == set(TARGETS)
    assert sum((CORPUS / of / name).stat().st_size for of, name in KNOWN) < 200_000

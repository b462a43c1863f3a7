"""Deep copies of what is nested to any depth."""

from __future__ import annotations

import copy
from typing import Any

from dhenara_stream.types import Secret, SystemInstruction
from dhenara_stream.types.shared.copies import deep_copied


def nested(depth: int) -> dict[str, Any]:
    it: dict[str, Any] = {"end": [1, "a", None]}
    for _ in range(depth):
        it = {"a": [it]}
    return it


def test_a_deep_copy_shares_nothing_and_ends_at_no_depth() -> None:
    given = nested(5000)
    copied = deep_copied(given)
    levels = 0
    while "a" in given:
        assert copied is not given
        assert copied["a"] is not given["a"]
        (given,), (copied,) = given["a"], copied["a"]
        levels += 1
    assert levels == 5000
    assert copied == given
    assert copied["end"] is not given["end"]


def test_a_deep_copy_keeps_what_is_held_twice_and_what_holds_itself() -> None:
    shared: list[Any] = [Secret("a-key-for-tests"), (1, [2])]
    given: dict[str, Any] = {"a": shared, "b": shared}
    given["c"] = given
    copied = deep_copied(given)
    assert copied["a"] is copied["b"]
    assert copied["c"] is copied
    assert copied["a"] == shared
    assert copied["a"][1][1] is not shared[1][1]


def test_a_struct_is_copied_with_what_it_holds() -> None:
    held = nested(2000)
    given = SystemInstruction(text="a", variables={"x": held})
    for copied in (copy.deepcopy(given), given.model_copy(deep=True), deep_copied([given])[0]):
        assert copied.text == "a"
        assert type(copied) is SystemInstruction
        assert copied.variables["x"] is not held
        assert copied.variables["x"]["a"] is not held["a"]

"""The responses that a simulator has kept, for ``previous_response_id`` and references to items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from ._json import encode, string

__all__ = ["StoredResponses"]

_Object: TypeAlias = dict[str, Any]

_UNKNOWN = 0  # the number of no response


@dataclass(frozen=True, slots=True)
class _Stored:
    name: str
    previous: int | None
    turn: tuple[_Object, ...]
    output: tuple[_Object, ...]
    size: int


class StoredResponses:
    """Responses with the input that led to them; the oldest are forgotten.

    A response may have the id of an earlier one, and go on from that: so each has a number, and
    an id is that of the newest. Those that went on from an earlier one still do.

    Args:
        most: How many are kept.
        most_bytes: How many bytes of JSON their items may take.
    """

    def __init__(self, most: int = 1_000, most_bytes: int = 64 * 1024 * 1024) -> None:
        self._most = most
        self._bytes_left = most_bytes
        self._kept = 0  # so far, the forgotten ones too
        self._responses: dict[int, _Stored] = {}
        self._numbers: dict[str, int] = {}
        self._items: dict[str, _Object] = {}
        self._reasoning: dict[str, str] = {}  # what came of reasoning, and that reasoning

    def keep(
        self,
        response_id: str,
        previous: str | None,
        turn: Sequence[_Object],
        output: Sequence[_Object],
    ) -> None:
        """Keep a response: its input and output, and the id of the one that it goes on from."""
        size = len(encode([*turn, *output]))
        before = None if previous is None else self._numbers.get(previous, _UNKNOWN)
        stored = _Stored(response_id, before, tuple(turn), tuple(output), size)
        self._kept += 1
        self._responses[self._kept] = stored
        self._numbers[response_id] = self._kept
        self._bytes_left -= size
        for item in output:
            self._items[string(item.get("id"))] = item
        for item, following in pairwise(output):
            if item.get("type") == "reasoning":
                self._reasoning[string(following.get("id"))] = item["id"]
        while len(self._responses) > self._most or self._bytes_left < 0:
            self._forget(next(iter(self._responses)))

    def _forget(self, number: int) -> None:
        forgotten = self._responses.pop(number)
        self._bytes_left += forgotten.size
        if self._numbers[forgotten.name] == number:
            del self._numbers[forgotten.name]
        for item in forgotten.output:
            name = string(item.get("id"))
            if self._items.get(name) is item:  # no later response has an item of that id
                del self._items[name]
                self._reasoning.pop(name, None)

    def history(self, response_id: str) -> list[_Object] | None:
        """All items up to the end of a response; ``None`` where not all of them are known."""
        turns: list[_Object] = []
        number: int | None = self._numbers.get(response_id, _UNKNOWN)
        while number is not None:
            stored = self._responses.get(number)
            if stored is None:
                return None
            turns += [*reversed(stored.output), *reversed(stored.turn)]
            number = stored.previous
        return turns[::-1]

    def item(self, item_id: str) -> _Object | None:
        """An item of a response that is kept."""
        return self._items.get(item_id)

    def reasoning_of(self, item_id: str) -> str | None:
        """The id of the reasoning that an item of a response that is kept came of."""
        return self._reasoning.get(item_id)

"""Deep copies of what providers and callers nest as deep as they like."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, TypeVar, cast

__all__ = ["deep_copied"]

_T = TypeVar("_T")

# Never changed, so shared.
_PLAIN = frozenset({str, int, float, bool, type(None)})
_NESTED = frozenset({dict, list})


def _entries(holder: list[Any] | dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """The keys of a dict, or the places of a list, and what is there."""
    return holder.items() if isinstance(holder, dict) else enumerate(holder)


def deep_copied(value: _T, memo: dict[int, Any] | None = None) -> _T:
    """The same as ``copy.deepcopy``, for dicts and lists within one another to any depth.

    It does not recurse: ``deepcopy`` does, and ends in a RecursionError a few hundred levels down,
    which a peer can send.
    """
    copies: dict[int, Any] = {} if memo is None else memo
    root: list[Any] = [value]
    waiting: list[Any] = [root]
    while waiting:
        holder = waiting.pop()
        for key, item in _entries(holder):  # values are replaced: nothing grows or shrinks
            kind = cast("type[object]", type(item))
            if kind in _PLAIN:
                continue
            if kind not in _NESTED:
                holder[key] = deepcopy(item, copies)
            elif id(item) in copies:
                holder[key] = copies[id(item)]
            else:
                holder[key] = copies[id(item)] = item.copy()
                waiting.append(holder[key])
    return cast("_T", root[0])

"""What decoders do with errors: what came beside one is not lost, and no foreign one gets out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from dhenara_stream.core.deltas import Delta
from dhenara_stream.errors import ProtocolError, ProviderError

__all__ = ["KeepsFailure", "not_too_deep"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Said = TypeVar("_Said", bound=Sequence[Delta])


def not_too_deep(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a method that reads JSON raise a ProtocolError where that is nested too deeply.

    Such JSON is a little less deep than what cannot be parsed at all.
    """

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except RecursionError as error:
            raise ProtocolError("an event is nested too deeply") from error

    return call


class KeepsFailure:
    """The part of a decoder that keeps an error until what came with it has been handed out.

    Attributes:
        failure: The error that is kept; the next call raises it.
    """

    failure: ProviderError | ProtocolError | None = None

    def raise_kept(self) -> None:
        """Raise the error that is kept, if there is one."""
        if self.failure is not None:
            raise self.failure

    def said_first(self, said: _Said) -> _Said:
        """What came with the error; without anything, the error is raised at once.

        Raises:
            ProviderError: If nothing came with it.
            ProtocolError: The same, if that is the error.
        """
        failure = self.failure
        if failure is not None and not said:
            self.failure = None
            raise failure
        return said

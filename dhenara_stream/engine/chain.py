"""An exception's chain as it may be shown: without frames, and without what holds a secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

__all__ = ["cut_at_secrets", "links", "without_frames"]


def links(error: BaseException) -> Iterator[BaseException]:
    """The exception, its causes, and those of the members of a group."""
    link: BaseException | None = error
    while link is not None:
        yield link
        if isinstance(link, BaseExceptionGroup):
            for member in cast("BaseExceptionGroup[BaseException]", link).exceptions:
                yield from links(member)
        link = link.__cause__ or link.__context__


def without_frames(error: BaseException) -> BaseException:
    """The exception; the frames of its chain are gone, whose locals hold headers and events."""
    for link in links(error):
        link.__traceback__ = None
    return error


def cut_at_secrets(error: BaseException, secrets: Sequence[str]) -> None:
    """End the exception's chain before the first cause that holds a secret: servers echo them."""
    link: BaseException | None = error
    while link is not None:
        cause = link.__cause__ or link.__context__
        if cause is not None and _holds(cause, secrets):
            cause = link.__cause__ = link.__context__ = None
        link = cause


def _holds(error: BaseException, secrets: Sequence[str]) -> bool:
    said = f"{error!r} {error.args!r} {vars(error)!r}"
    return any(secret in said for secret in secrets)

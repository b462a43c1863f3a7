"""Where the recorded provider streams lie, and how to read them. They are not of the project."""

import json
import zipfile
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"

needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the recorded streams (../shared/corpus) are not here"
)


class Recording:
    """One recorded answer; its files are read when they are asked for.

    Attributes:
        dialect: The protocol, as the corpus names it.
        id: Its name within the dialect.
    """

    def __init__(self, dialect: str, name: str) -> None:
        self.dialect = dialect
        self.id = name

    def __repr__(self) -> str:
        return f"<{self.dialect}/{self.id}>"

    def _read(self, name: str) -> bytes:
        return _archive().read(f"{self.dialect}/{self.id}/{name}")

    @cached_property
    def body(self) -> bytes:
        """The body of the answer."""
        return self._read("response.sse")

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Where it comes from."""
        meta: dict[str, Any] = json.loads(self._read("meta.json"))
        return meta

    @cached_property
    def expected(self) -> dict[str, Any]:
        """What the provider's own SDK makes of it."""
        expected: dict[str, Any] = json.loads(self._read("expected.json"))
        return expected

    @cached_property
    def request(self) -> dict[str, Any] | None:
        """The body of the request; ``None`` if it was not recorded."""
        try:
            request: dict[str, Any] = json.loads(self._read("request.json"))
        except KeyError:
            return None
        return request

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.meta["http_status"] or 200


@cache
def _archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(CORPUS / "streams.zip")


@cache
def _core() -> frozenset[str]:
    return frozenset(json.loads((CORPUS / "core.json").read_bytes())["core"])


def streams(dialect: str, *, core_only: bool = False) -> list[Recording]:
    """The recordings of a dialect: all, or the small and diverse ones; none without the corpus."""
    if not CORPUS.is_dir():
        return []
    paths = [path.split("/") for path in _archive().namelist()]
    names = sorted({path[1] for path in paths if path[0] == dialect})
    return [
        Recording(dialect, name)
        for name in names
        if not core_only or f"{dialect}/{name}" in _core()
    ]

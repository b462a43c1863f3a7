"""The file of finished calls: one JSON line each, written whole, so that a run can be taken up.

::

    {"type":"ai_model_call_result","index":0,"id":null,"fingerprint":"...","status":"...","response":{...}}

A run that was ended in the midst of a line leaves it cut: it is taken away. Nothing else is ever
changed, and a file with anything else in it is not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import msgspec

from dhenara_stream.errors import ConfigError, DhenaraStreamError
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    ExternalApiCallStatusEnum,
)

__all__ = ["CallKey", "ResultsFile"]

_T = TypeVar("_T")


class CallKey(msgspec.Struct, frozen=True):
    """Which call it is: by its own name, else its place, and by all that is sent."""

    name: str | int
    fingerprint: str


class _Line(msgspec.Struct, kw_only=True, tag_field="type", tag="ai_model_call_result"):
    index: int
    id: str | None
    fingerprint: str
    status: str
    response: msgspec.Raw


_decoder = msgspec.json.Decoder(_Line)
_HEAD = b'{"type":"ai_model_call_result",'
_SUCCESS = ExternalApiCallStatusEnum.RESPONSE_RECEIVED_SUCCESS


class ResultsFile:
    """Finished calls in a file; those that are there already are read when they are asked for."""

    def __init__(self, path: Path, lock: anyio.Lock) -> None:
        self._path = path
        self._lock = lock
        self._waiting: list[bytes] = []
        # Where each line lies: the answers themselves may be more than memory holds.
        self._places: dict[CallKey, tuple[int, int]] = {}
        try:
            self._mend(*self._scan())
            # Unbuffered: a line is with the system when the call returns.
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise ConfigError(f"results_file: {path}: cannot be used: {error.strerror}") from error

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Read what is there, and mend its end.

        Raises:
            ConfigError: If it is no such file, naming the line, or cannot be read and written.
        """
        return await anyio.to_thread.run_sync(cls, path, anyio.Lock())

    def _scan(self) -> tuple[int, bytes]:
        """Read all lines: how many bytes are whole, and what is to follow them."""
        whole = 0
        data = b"\n"
        with self._path.open("a+b") as file:  # it may not be there yet
            file.seek(0)
            for number, data in enumerate(file, 1):
                problem = self._read(data, whole)
                if problem and not data.endswith(b"\n") and data[: len(_HEAD)] in _BEGINNINGS:
                    return whole, b""
                if problem:
                    raise ConfigError(
                        f"results_file: {self._path}, line {number}: not the line of a finished "
                        f"call: {problem}; nothing was changed. Name another file"
                    )
                whole += len(data)
        return whole, b"" if data.endswith(b"\n") else b"\n"

    def _mend(self, whole: int, end: bytes) -> None:
        with self._path.open("r+b") as file:
            file.truncate(whole)
            file.seek(whole)
            file.write(end)

    def _read(self, data: bytes, at: int) -> str | None:
        """Note what a line says; or what is wrong with it."""
        try:
            line = _decoder.decode(data)
            if line.status == _SUCCESS:
                AIModelCallResponse.model_validate_json(line.response)
                name = line.index if line.id is None else line.id
                self._places[CallKey(name, line.fingerprint)] = at, len(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ConfigError) as error:
            return str(error)
        return None

    async def finished(self, key: CallKey) -> AIModelCallResponse | None:
        """The answer to a call that succeeded.

        Raises:
            DhenaraStreamError: If the file can no longer be read.
        """
        place = self._places.get(key)
        if place is None:
            return None
        async with self._lock:
            data = await self._in_thread(self._get, *place)
        return AIModelCallResponse.model_validate_json(_decoder.decode(data).response)

    def _get(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    async def add(self, key: CallKey, index: int, response: AIModelCallResponse) -> None:
        """Write a call's line. It is written to its end whatever is cancelled meanwhile.

        Raises:
            DhenaraStreamError: If it cannot be written.
        """
        self._waiting.append(_line(key, index, response))
        with anyio.CancelScope(shield=True):
            async with self._lock:  # and whoever has it next writes for all that wait
                lines, self._waiting = self._waiting, []
                if lines:
                    await self._in_thread(self._put, b"".join(lines))

    def _put(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) :]

    async def _in_thread(self, work: Callable[..., _T], *args: Any) -> _T:
        try:
            return await anyio.to_thread.run_sync(work, *args)
        except OSError as error:
            raise DhenaraStreamError(
                f"results_file: {self._path}: {error.strerror}; what was finished before is kept"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


_BEGINNINGS = frozenset(_HEAD[:size] for size in range(1, len(_HEAD) + 1))


def _line(key: CallKey, index: int, response: AIModelCallResponse) -> bytes:
    status = str(response.status.status) if response.status else ""
    try:
        answer = msgspec.json.encode(response.model_dump(mode="json"))
    except (TypeError, ValueError, RecursionError) as error:
        # JSON has no such thing: the answer is not kept, and asked for again.
        status, answer = f"not written: {error}", b"null"
    line = _Line(
        index=index,
        id=key.name if isinstance(key.name, str) else None,
        fingerprint=key.fingerprint,
        status=status,
        response=msgspec.Raw(answer),
    )
    return msgspec.json.encode(line) + b"\n"

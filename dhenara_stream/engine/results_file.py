"""The file of finished calls: one JSON line each, written whole, so that a run can be taken up.

::

    {"type":"ai_model_call_result","index":0,"id":null,"fingerprint":"...","status":"...","response":{...}}

A run that was ended in the midst of a line leaves it cut: it is taken away. Nothing else is ever
changed, and a file with anything else in it is not touched. A run locks the file, for two that
write would take away one another's lines.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread
import msgspec

from dhenara_stream.errors import ConfigError, DhenaraStreamError
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    ExternalApiCallStatusEnum,
)

from .sources import CLOSE_TIMEOUT

__all__ = ["CallKey", "ResultsFile"]

# A loop that was left early may still write its last lines: so long another run waits for it.
LOCK_SECONDS = CLOSE_TIMEOUT
LOCK_INTERVAL = 0.05
# Windows lets nobody else read what is locked: a byte that few files have, and the last but one
# that its C library can lock.
_LOCKED_BYTE = 2**31 - 2


class CallKey(msgspec.Struct, frozen=True, gc=False):
    """Which call it is: by its own name, else its place, and by all that is sent."""

    name: str | int
    fingerprint: bytes


class _Line(msgspec.Struct, kw_only=True, tag_field="type", tag="ai_model_call_result"):
    index: int
    id: str | None
    fingerprint: bytes
    status: str
    response: msgspec.Raw


_decoder = msgspec.json.Decoder(_Line)
_HEAD = b'{"type":"ai_model_call_result",'
_SUCCESS = ExternalApiCallStatusEnum.RESPONSE_RECEIVED_SUCCESS
_NO_LINE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ConfigError)


class ResultsFile:
    """Finished calls in a file; those that are there already are read when they are asked for."""

    def __init__(self, path: Path, turn: anyio.Lock) -> None:
        self._path = path
        # Unbuffered: a line is with the system when the call returns.
        self._file: FileIO = path.open("a+b", buffering=0)
        self._turn = turn
        self._waiting: list[bytes] = []
        self._failure: OSError | None = None
        # Where each line lies: the answers themselves may be more than memory holds.
        self._places: dict[CallKey, tuple[int, int]] = {}

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Lock the file, read what is there, and mend its end.

        Raises:
            ConfigError: If it is no such file, naming the line; if it cannot be read and written;
                or if another run has it.
        """
        try:
            results = await anyio.to_thread.run_sync(cls, path, anyio.Lock())
            await results._begin()
        except OSError as error:
            raise ConfigError(f"results_file: {path}: cannot be used: {error.strerror}") from error
        return results

    async def _begin(self) -> None:
        begun = False
        try:
            deadline = anyio.current_time() + LOCK_SECONDS
            while await anyio.to_thread.run_sync(_is_taken, self._file):
                if anyio.current_time() >= deadline:
                    raise ConfigError(f"results_file: {self._path}: is in use by another run")
                await anyio.sleep(LOCK_INTERVAL)
            await anyio.to_thread.run_sync(self._load)
            begun = True
        finally:
            if not begun:
                self.close()

    def _load(self) -> None:
        whole, end = self._scan()
        if self._file.seek(0, os.SEEK_END) > whole:
            self._file.truncate(whole)
        self._put(end)

    def _scan(self) -> tuple[int, bytes]:
        """Read all lines: how many bytes are whole, and what is to follow them."""
        whole = 0
        data = b"\n"
        with os.fdopen(self._file.fileno(), "rb", closefd=False) as file:
            file.seek(0)
            for number, data in enumerate(file, 1):
                problem = self._note(data, whole)
                if problem and not data.endswith(b"\n") and data[: len(_HEAD)] in _BEGINNINGS:
                    return whole, b""
                if problem:
                    raise ConfigError(
                        f"results_file: {self._path}, line {number}: not the line of a finished "
                        f"call: {problem}; nothing was changed. Name another file"
                    )
                whole += len(data)
        return whole, b"" if data.endswith(b"\n") else b"\n"

    def _note(self, data: bytes, at: int) -> str | None:
        """Note what a line says; or what is wrong with it."""
        try:
            key, response = _read(data)
        except _NO_LINE as error:
            return str(error)
        if response is not None:
            self._places[key] = at, len(data)
        return None

    async def finished(self, key: CallKey) -> AIModelCallResponse | None:
        """The answer to a call that succeeded.

        Raises:
            DhenaraStreamError: If the file can no longer be read, or was changed by others.
        """
        place = self._places.get(key)
        if place is None:
            return None
        try:
            async with self._turn:
                data = await anyio.to_thread.run_sync(self._get, *place)
            found, response = _read(data)
        except OSError as error:
            raise self._failed(error) from error
        except _NO_LINE as error:
            raise self._changed() from error
        if found != key:
            raise self._changed()
        return response

    def _get(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    async def add(self, key: CallKey, index: int, response: AIModelCallResponse) -> None:
        """Write a call's line. It is written to its end whatever is cancelled meanwhile.

        After a failure nothing is written any more: it would come after half a line.

        Raises:
            DhenaraStreamError: If it, or one before it, could not be written.
        """
        self._waiting.append(_line(key, index, response))
        with anyio.CancelScope(shield=True):
            async with self._turn:  # and whoever has it next writes for all that wait
                lines, self._waiting = self._waiting, []
                if lines and self._failure is None:
                    try:
                        await anyio.to_thread.run_sync(self._put, b"".join(lines))
                    except OSError as error:
                        self._failure = error
        if self._failure is not None:
            raise self._failed(self._failure) from self._failure

    def _put(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) :]

    def _failed(self, error: OSError) -> DhenaraStreamError:
        return DhenaraStreamError(
            f"results_file: {self._path}: {error.strerror}; what was finished before is kept"
        )

    def _changed(self) -> DhenaraStreamError:
        return DhenaraStreamError(f"results_file: {self._path}: was changed while it was in use")

    def close(self) -> None:
        """Close the file, and let another run have it."""
        # Closing alone would not: a child that was forked meanwhile has the same lock.
        with suppress(OSError):
            _lock(self._file, unlock=True)
        self._file.close()


_BEGINNINGS = frozenset(_HEAD[:size] for size in range(1, len(_HEAD) + 1))


def _read(data: bytes) -> tuple[CallKey, AIModelCallResponse | None]:
    """Which call a line is of, and the answer if it succeeded; raises one of ``_NO_LINE``."""
    line = _decoder.decode(data)
    key = CallKey(line.index if line.id is None else line.id, line.fingerprint)
    if line.status != _SUCCESS:
        return key, None
    return key, AIModelCallResponse.model_validate_json(line.response)


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


# --- locks


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:  # not on this system
        return None


_fcntl, _msvcrt = _module("fcntl"), _module("msvcrt")


def _is_taken(file: FileIO) -> bool:
    """Lock a file; whether another run has. Where there are no locks, none ever has."""
    try:
        _lock(file)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)  # else its file system has no locks
    return False


def _lock(file: FileIO, *, unlock: bool = False) -> None:
    if _fcntl is not None:
        _fcntl.flock(file, _fcntl.LOCK_UN if unlock else _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    elif _msvcrt is not None:
        file.seek(_LOCKED_BYTE)
        _msvcrt.locking(file.fileno(), _msvcrt.LK_UNLCK if unlock else _msvcrt.LK_NBLCK, 1)

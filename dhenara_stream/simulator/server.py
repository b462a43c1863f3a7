"""The simulated provider on real sockets: connections are served by a :class:`Service`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio
import anyio.abc

from .http1 import BadRequest, Framing, Head, Request, RequestReader
from .net import ClientLeft, Connection, Listener
from .plan import Data, End, Hold, PartialHead, Pause, Repeat, Rst, Step, Torn
from .service import RecordedRequest, Service

__all__ = ["Connections", "Server"]

_MAX_AHEAD = 1024 * 1024  # what a client may send ahead while it is answered


@dataclass(slots=True)
class Connections:
    """The connections of a simulator.

    Attributes:
        accepted: How many there were, all in all.
        open: How many there are.
        peak: The most there were at one time.
    """

    accepted: int = 0
    open: int = 0
    peak: int = 0

    def opened(self) -> int:
        """Count a new one; its number."""
        self.accepted += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        return self.accepted


class Server:
    """Accepts connections and answers what comes over them, until it is cancelled."""

    def __init__(
        self,
        service: Service,
        listener: Listener,
        connections: Connections,
        changed: Callable[[], None],
    ) -> None:
        self._service = service
        self._listener = listener
        self._connections = connections
        self._changed = changed

    async def run(self, tasks: anyio.abc.TaskGroup) -> None:
        """Serve until cancelled; each connection in a task of its own."""
        try:
            while True:
                connection = await self._listener.accept()
                tasks.start_soon(self._serve, connection, self._connections.opened())
        finally:
            self._listener.close()

    async def _serve(self, connection: Connection, number: int) -> None:
        session = _Session(self._service, connection, number, self._changed)
        try:
            await session.run()
        except ClientLeft:
            pass
        finally:
            connection.close()
            self._connections.open -= 1
            self._changed()


class _Session:
    """One connection: requests are read and answered, one after the other."""

    def __init__(
        self,
        service: Service,
        connection: Connection,
        number: int,
        changed: Callable[[], None],
    ) -> None:
        self._service = service
        self._connection = connection
        self._number = number
        self._changed = changed
        self._reader = RequestReader(max_body_bytes=service.settings.max_body_bytes)

    async def run(self) -> None:
        """Serve until either side is done with the connection.

        Raises:
            ClientLeft: In the middle of something.
        """
        try:
            while (request := await self._next_request()) is not None:
                if not await self._answer(request):
                    return
        except BadRequest as bad:
            head, body = self._service.reject(bad.status, bad.message)
            framing = Framing(head, keep_alive=False)
            await self._connection.send(framing.head() + framing.data(body))
            await self._connection.linger()

    async def _next_request(self) -> Request | None:
        while (request := self._reader.next_request()) is None:
            if self._reader.wants_continue():
                await self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            data = await self._connection.receive()
            if not data:
                return None
            self._reader.feed(data)
        return request

    async def _answer(self, request: Request) -> bool:
        """Answer a request; whether the connection can go on."""
        record, steps = self._service.respond(request, self._number)
        self._changed()
        try:
            return await _Response(self._connection, self._reader, request, record).send(steps)
        except ClientLeft:
            record.client_left, record.complete = True, False
            raise
        finally:
            self._changed()


class _Response:
    """Performs the steps of one response on a connection."""

    def __init__(
        self,
        connection: Connection,
        reader: RequestReader,
        request: Request,
        record: RecordedRequest,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._request = request
        self._record = record
        self._framing = Framing(Head(200, ()))
        self._due = anyio.current_time()  # when the last pause was to end

    async def send(self, steps: Iterator[Step]) -> bool:
        """Send the response; whether the connection can go on.

        Raises:
            ClientLeft: Before the last step was done.
        """
        while True:
            match next(steps):
                case Head() as step:
                    await self._send_head(step)
                case PartialHead() as step:
                    await self._connection.send(Framing(step.head).head()[: step.size])
                case Data() as step:
                    await self._connection.send(self._framing.data(step.data))
                case Pause() as step:
                    await self._pause(step.seconds)
                case step:
                    return await self._finish(step)

    async def _send_head(self, head: Head) -> None:
        keep_alive = self._request.keep_alive
        self._framing = Framing(head, method=self._request.method, keep_alive=keep_alive)
        self._record.status = head.status
        await self._connection.send(self._framing.head())

    async def _finish(self, step: Step) -> bool:
        """Do the last step; whether the connection can go on."""
        match step:
            case End():
                self._record.complete = True  # before the client can know it
                await self._connection.send(self._framing.end())
                return self._request.keep_alive and not step.close
            case Torn():
                await self._connection.send(self._framing.torn(step.data))
            case Rst():
                self._connection.reset()
            case Hold():
                while True:
                    await self._read_ahead()
            case Repeat():
                await self._repeat(step)
            case _:
                pass
        return False

    async def _repeat(self, step: Repeat) -> None:
        self._due = anyio.current_time()
        while True:
            await self._connection.send(self._framing.data(step.data))
            await self._pause(step.interval)

    async def _pause(self, seconds: float) -> None:
        self._due += seconds
        while (left := self._due - anyio.current_time()) > 0:
            with anyio.move_on_after(left):
                await self._read_ahead()

    async def _read_ahead(self) -> None:
        """Wait for the client, and keep what it sends for the next request.

        Raises:
            ClientLeft: It closed the connection, or sends more than it may.
        """
        data = await self._connection.receive()
        self._reader.feed(data)
        if not data or self._reader.buffered > _MAX_AHEAD:
            raise ClientLeft

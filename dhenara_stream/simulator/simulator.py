"""The simulator as it is used: keywords in, an address out, and what clients did."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
from anyio.from_thread import BlockingPortal, start_blocking_portal

from dhenara_stream.errors import ConfigError

from . import _check
from .memory import MemoryTransport
from .net import Listener
from .plan import Wire
from .server import Connections, Server
from .service import Answers, Faults, RecordedRequest, Service, Settings

__all__ = ["Simulator"]


class Simulator:
    """A local LLM provider that speaks the real protocols over real sockets.

    ``async with Simulator() as sim:`` serves in a task of the running event loop (asyncio or
    trio); ``with Simulator() as sim:`` serves from a thread of its own. Point a client at
    ``sim.url``. Leaving the block closes all connections at once.

    Anthropic Messages, OpenAI Chat Completions and Responses, and Gemini are spoken at the paths
    that the services have them at, and so they are at those of Azure, Bedrock and Vertex AI.

    Args:
        answers: What the model answers: nothing for answers made of the request (text, thinking
            where it is asked for, tool calls, JSON for a schema); one :class:`Answer` for all
            requests; a list for one request after the other, of which the last goes on for ever;
            or a function of the :class:`RecordedRequest`. ``None`` in a list or from a function
            stands for an answer made of the request. A request that gets no answer (refused, or
            failed by a fault before its head) uses none up.
        host: Where to listen; the name's first address.
        port: Which port; 0 for any free one.
        faults: What goes wrong: one :class:`Fault` for all requests; a list for one request after
            the other, ``None`` for nothing, after which all is well; or a function of the
            :class:`RecordedRequest`.
        tokens_per_second: The rate of a stream's pieces of content; ``None``: at once.
        time_to_first_token: Seconds from the request to the first piece of content; head and
            opening events are sent before.
        wire: What one HTTP chunk (and one write) holds: an ``"event"``, a ``"byte"``, ``"all"``
            of the answer, or so many bytes.
        validate: Whether requests are checked as the provider checks them.
        require_key: Whether requests without a key get a 401; any key will do.
        max_recorded: How many requests are kept in ``requests``; the oldest go first.
        max_body_bytes: Requests with a larger body get a 413.

    A function given for ``answers`` or ``faults`` is called in the event loop; where it fails,
    the client gets a 500 that says so.

    Attributes:
        connections: How many connections there are and were.

    Raises:
        ConfigError: A keyword's value is wrong, it names it; on entering the block, that the
            address cannot be had, and why.
    """

    def __init__(
        self,
        answers: Answers = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults = None,
        tokens_per_second: float | None = None,
        time_to_first_token: float = 0.0,
        wire: Wire = "event",
        validate: bool = True,
        require_key: bool = True,
        max_recorded: int = 10_000,
        max_body_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self._host = _check.text("host", host, empty=False)
        self._port = _check.integer("port", port, 0, 65535)
        settings = Settings(
            answers=answers,
            faults=faults,
            tokens_per_second=tokens_per_second,
            time_to_first_token=time_to_first_token,
            wire=wire,
            validate=validate,
            require_key=require_key,
            max_recorded=max_recorded,
            max_body_bytes=max_body_bytes,
        )
        self._service = Service(settings)
        self._url: str | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._portal: BlockingPortal | None = None
        self._thread = contextlib.ExitStack()
        self._change: anyio.Event | None = None
        self.connections = Connections()

    # --- what clients need, and what they did ---

    @property
    def url(self) -> str:
        """Where it listens or listened last, ``http://127.0.0.1:PORT``.

        Raises:
            ConfigError: It did not run yet.
        """
        if self._url is None:
            raise ConfigError("the simulator does not run: enter it with `with` or `async with`")
        return self._url

    @property
    def base_urls(self) -> dict[str, str]:
        """The address by the environment variable that makes a provider's clients go there."""
        protocols = self._service.protocols
        return {name: self.url + path for p in protocols for name, path in p.addresses.items()}

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far, oldest first; a new list each time."""
        return list(self._service.requests)

    def transport(self) -> MemoryTransport:
        """This simulator without sockets, for ``httpx.AsyncClient(transport=...)``.

        It answers whatever host is asked, and needs no ``with``; answers, faults and records are
        this simulator's.
        """
        return MemoryTransport(self._service, self._changed)

    # --- waiting ---

    async def wait_closed(self) -> None:
        """Wait until no client is connected; the event loop must be the simulator's."""
        await self._until(lambda: not self.connections.open)

    async def wait_requests(self, count: int) -> None:
        """Wait until so many requests came in all; the event loop must be the simulator's."""
        await self._until(lambda: self._service.count >= count)

    def wait_closed_sync(self, timeout: float = 10.0) -> None:
        """Wait until no client is connected, from a thread, inside ``with``.

        Raises:
            TimeoutError: It took longer than ``timeout`` seconds.
            ConfigError: The simulator was not entered with ``with``.
        """
        self._from_thread(self.wait_closed, timeout)

    def wait_requests_sync(self, count: int, timeout: float = 10.0) -> None:
        """Wait until so many requests came in all, from a thread, inside ``with``.

        Raises:
            TimeoutError: It took longer than ``timeout`` seconds.
            ConfigError: The simulator was not entered with ``with``.
        """
        self._from_thread(lambda: self.wait_requests(count), timeout)

    def _from_thread(self, wait: Callable[[], Awaitable[None]], timeout: float) -> None:
        if self._portal is None:
            raise ConfigError("waiting from a thread needs a simulator entered with `with`")

        async def bounded() -> None:
            with anyio.fail_after(timeout):
                await wait()

        self._portal.call(bounded)

    async def _until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            self._change = self._change or anyio.Event()
            await self._change.wait()

    def _changed(self) -> None:
        """Wake those who wait for something to happen."""
        if self._change is not None:
            self._change.set()
            self._change = None

    # --- running ---

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise ConfigError("this simulator runs already; make another one")
        listener = await Listener.bind(self._host, self._port)
        self._url = f"http://{listener.address}"
        self._tasks = await anyio.create_task_group().__aenter__()
        server = Server(self._service, listener, self.connections, self._changed)
        self._tasks.start_soon(server.run, self._tasks)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.cancel_scope.cancel()
            # Without the block's exception, which would come back wrapped in a group.
            await tasks.__aexit__(None, None, None)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(portal.wrap_async_context_manager(self))
            self._portal = portal
            self._thread = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._portal = None
        self._thread.close()

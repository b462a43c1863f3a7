"""What befalls a reader: Ctrl-C, a clock that is set, a pause: reliability.md, rows 51, 57, 63."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import anyio.to_thread
import pytest
from engine.support import (
    LONG,
    WORDS,
    Firehose,
    client_of,
    ctrl_c_when,
    is_complete,
    needs_signals,
    read,
    text_of,
)

from dhenara_stream.simulator import Silence, Simulator

pytestmark = pytest.mark.usefixtures("every_road")


@needs_signals
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_c_in_an_event_loop_keeps_what_came(backend: str) -> None:
    read_some = threading.Event()
    responses: list[Any] = []

    async def main(url: str) -> None:
        async with client_of(url) as client:
            responses.append(await client.generate_async(prompt="Hi"))
            async for _ in responses[0].stream_generator:
                read_some.set()

    with Simulator(LONG, faults=Silence(deltas=1)) as sim:
        with ctrl_c_when(read_some.wait), pytest.raises(KeyboardInterrupt):
            anyio.run(main, sim.url, backend=backend)
        sim.wait_closed_sync(1)
    kept = responses[0].snapshot().chat_response
    assert kept.text() == "word0"
    assert kept.choices[0].finish_reason is None


async def test_a_slow_reader_slows_the_server() -> None:
    with Firehose() as server:
        async with client_of(server.url, timeout=None) as client:
            response = await client.generate_async(prompt="Hi")
            async with response.stream_generator as stream:
                await anext(stream)
                assert await anyio.to_thread.run_sync(server.blocked.wait, 10)
                held = server.sent
                server.blocked.clear()
                for _ in range(held // 10_000 + 1):
                    await anext(stream)
                assert server.sent > held
            assert await anyio.to_thread.run_sync(server.closed.wait, 2)


async def test_a_clock_that_is_set_is_no_time_that_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_by = [0.0]
    of_the_system = time.time
    monkeypatch.setattr(time, "time", lambda: of_the_system() + set_by[0])
    limits: dict[str, Any] = {"timeout": 60.0, "idle_timeout": 10.0, "content_idle_timeout": 10.0}
    async with Simulator(LONG) as sim, client_of(sim.url, **limits) as client:
        response = await client.generate_async(prompt="Hi")
        items: list[Any] = []
        async for item in response.stream_generator:
            items.append(item)
            set_by[0] = 3600.0 if len(items) % 2 else -3600.0
        assert is_complete(items)
        assert text_of(items) == WORDS
        assert 0 <= items[-1][1].status.timing.total < 10
        assert is_complete(await read(await client.generate_async(prompt="Hi")))

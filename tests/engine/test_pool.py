"""What is promised of connections: their number, how soon they are free, and what a limit does.

reliability.md, section 4, rows 52, 53, 59 and 62.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.lowlevel
import httpcore
import httpx
import pytest
from engine.support import (
    LONG,
    SLOW,
    WHOLE,
    WORDS,
    client_of,
    error_of,
    is_complete,
    lasting,
    read,
    sync_client,
    text_of,
)
from engine.test_sync_bridge import background_threads
from engine.test_sync_bridge import run as run_script

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import Answer, RecordedRequest, Silence, Simulator

# All 2,000 of row 53 are run with CANCELS=2000.
CANCELS = int(os.environ.get("CANCELS", "500"))
CONNECTIONS = 10
SILENT = Silence(deltas=3)


def pool_of(connections: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=connections))


async def ask(client: AIModelClient) -> str:
    items = await read(await client.generate_async(prompt="Hi"))
    assert is_complete(items), items[-1]
    return text_of(items)


async def test_a_storm_of_cancellations_leaves_every_connection_of_a_small_pool_usable() -> None:
    lot = random.Random(53)

    async def cancelled(client: AIModelClient, steps: int) -> None:
        """Cancel a call after so many turns of the event loop."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    async with Simulator(Answer("One two three")) as sim, pool_of(CONNECTIONS) as pool:
        client = client_of(sim.url, http_client=pool, timeout=None)
        limit = anyio.Semaphore(3 * CONNECTIONS)

        async def one() -> None:
            async with limit:
                await cancelled(client, lot.randrange(60))

        async with anyio.create_task_group() as storm:
            for _ in range(CANCELS):
                storm.start_soon(one)
        assert sim.connections.accepted > CONNECTIONS
        with anyio.fail_after(1):
            async with anyio.create_task_group() as calls:
                for _ in range(CONNECTIONS + 1):
                    calls.start_soon(ask, client)
        assert sim.connections.open <= CONNECTIONS


async def test_a_call_that_is_cancelled_when_its_turn_comes_leaves_it_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind: Any = httpcore.AsyncConnectionPool
    assign = kind._assign_requests_to_connections
    waiting = anyio.CancelScope()
    closing = False

    def cancel_and_assign(pool: Any) -> Any:
        if closing:  # the call that waits is cancelled, but does not know yet
            waiting.cancel()
        return assign(pool)

    async def wait(client: AIModelClient) -> None:
        with waiting:
            await ask(client)

    monkeypatch.setattr(kind, "_assign_requests_to_connections", cancel_and_assign)
    async with Simulator(Answer("Hi"), faults=[SILENT, None]) as sim, pool_of(1) as pool:
        client = client_of(sim.url, http_client=pool, timeout=None)
        first = await client.generate_async(prompt="Hi")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, client)
            await anyio.wait_all_tasks_blocked()
            closing = True
            await first.stream_generator.aclose()
        assert waiting.cancelled_caught
        with anyio.fail_after(1):
            assert await ask(client) == "Hi"


@pytest.mark.parametrize("way", ["break", "context manager", "cancellation"])
async def test_a_stream_that_is_left_gives_its_place_to_the_next_at_once(way: str) -> None:
    async def leave(client: AIModelClient) -> None:
        response = await client.generate_async(prompt="Hi")
        stream = response.stream_generator
        if way == "break":
            async for _ in stream:
                break
        elif way == "context manager":
            async with stream:
                await anext(stream)
        else:
            with anyio.CancelScope() as scope:
                async for _ in stream:
                    scope.cancel()

    faults = [SILENT, None]
    async with Simulator(Answer("Hi"), faults=faults * 5) as sim, pool_of(1) as pool:
        client = client_of(sim.url, http_client=pool)
        taken: list[float] = []
        for _ in range(5):
            await leave(client)
            begun = anyio.current_time()
            async with lasting(0.0):
                assert await ask(client) == "Hi"
                taken.append(anyio.current_time() - begun)
        assert min(taken) < 0.05
        assert sim.connections.accepted >= 5


async def test_the_server_sees_the_end_of_a_stream_that_is_left_at_once() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, client_of(sim.url) as client:
        taken: list[float] = []
        for _ in range(5):
            response = await client.generate_async(prompt="Hi")
            async for _ in response.stream_generator:
                break
            begun = anyio.current_time()
            async with lasting(0.0):
                await sim.wait_closed()
                taken.append(anyio.current_time() - begun)
        assert min(taken) < 0.1


async def test_a_wait_for_a_connection_is_bounded_and_says_what_it_waited_for() -> None:
    async with Simulator(LONG, faults=SILENT) as sim, pool_of(1) as pool:
        limits: dict[str, Any] = {"first_event_timeout": 0.1, "retries": 2}
        client = client_of(sim.url, http_client=pool, **limits)
        response = await client.generate_async(prompt="Hi")
        async with response.stream_generator as stream:
            await anext(stream)
            async with lasting(0.2):
                error = error_of(await read(await client.generate_async(prompt="Hi")))
        assert len(sim.requests) == 1
    assert error["error_type"] == "FirstEventTimeout"
    assert "http_client" in error["message"]
    assert "limits" in error["message"]
    assert error["attempts"] == 2


async def test_calls_wait_for_their_turn_at_a_small_pool() -> None:
    async with Simulator(LONG, tokens_per_second=SLOW) as sim, pool_of(2) as pool:
        client = client_of(sim.url, http_client=pool)
        answers: list[str] = []

        async def one() -> None:
            answers.append(await ask(client))

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(one)
        assert answers == [WORDS] * 6
        assert sim.connections.accepted == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_where_descriptors_are_few_calls_fail_by_name_and_none_is_lost(backend: str) -> None:
    script = """
        import anyio, resource
        from engine.support import open_files, read
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        async def main():
            client = client_of(sys.argv[2], timeout=None, retries=1)
            before = open_files()
            responses = [await client.generate_async(prompt="Hold") for _ in range(100)]
            good, bad = [], []
            for response in responses:
                item = await anext(response.stream_generator)
                if response.status.http_status_code == 200:
                    good.append(text_of([item]))
                else:
                    bad.append(error_of([item]))
                await response.stream_generator.aclose()
            assert len(good) > 30 and set(good) == {"one"}, (len(good), set(good))
            told = {(error["error_type"], error["message"]) for error in bad}
            assert {kind for kind, _ in told} == {"ConnectError"}, told
            assert all("open files" in message for _, message in told), told
            assert open_files() <= before, (open_files(), before)
            items = await read(await client.generate_async(prompt="Hi"))
            assert text_of(items) == "one two", items
            await client.aclose()
        anyio.run(main, backend=sys.argv[3])
        print("ok")
    """

    def hold(request: RecordedRequest) -> Silence | None:
        return Silence(deltas=1) if b"Hold" in request.body else None

    with Simulator(Answer("one two"), faults=hold) as sim:
        done = run_script(script, sim.url, backend)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_five_hundred_threads_share_one_client() -> None:
    threads = 500
    waiting: list[anyio.Event] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        turn = anyio.Event()
        waiting.append(turn)
        if len(waiting) == threads:  # all calls are under way at once
            for event in waiting:
                event.set()
        await turn.wait()
        question = request.content.split(b"question ")[1].split(b'"')[0]
        return httpx.Response(200, content=WHOLE.replace(b"Hello", question))

    def one(number: int) -> str:
        items: list[Any] = list(client.generate(prompt=f"question {number}").stream_generator)
        assert is_complete(items)
        return text_of(items)

    own = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    with sync_client("https://llm.example", http_client=own, timeout=None) as client:
        with ThreadPoolExecutor(threads) as pool:
            assert list(pool.map(one, range(threads))) == [str(n) for n in range(threads)]
        assert len(background_threads()) == 1
    assert background_threads() == []
    anyio.run(own.aclose)

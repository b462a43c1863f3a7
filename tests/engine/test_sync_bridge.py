"""The stream of a sync client, and the thread behind it: contract.md, section 6."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from engine.support import (
    LONG,
    SLOW,
    WHOLE,
    WORDS,
    Firehose,
    client_of,
    ctrl_c_when,
    error_of,
    error_type,
    is_complete,
    needs_signals,
    open_files,
    sync_client,
    text_of,
    text_so_far,
)
from engine.test_connections import echo, remains

from dhenara_stream import (
    AIModelClient,
    AuthenticationError,
    IdleTimeout,
    TransportError,
    UsageError,
)
from dhenara_stream.engine.stream import ChatStream
from dhenara_stream.engine.sync import (
    HIGH_WATER,
    SyncChatStream,
    _Link,  # pyright: ignore[reportPrivateUsage]
)
from dhenara_stream.simulator import Answer, Respond, Silence, Simulator
from dhenara_stream.types import AIModelCallResponse, StreamItem

THREAD = "dhenara-stream-loop"
SILENT = Silence(deltas=3)
THREE = "word0 word1 word2"
Items = list[tuple[Any, Any]]


def background_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """After each test, the background thread has ended."""
    yield
    gc.collect()
    for thread in background_threads():
        thread.join(3)
    assert background_threads() == []


def ask(client: AIModelClient, prompt: str = "Hi") -> str:
    items: Items = list(client.generate(prompt=prompt).stream_generator)
    assert is_complete(items), items[-1]
    return text_of(items)


def take(stream: Iterator[Any], count: int) -> Items:
    return [next(stream) for _ in range(count)]


def assert_kept(response: AIModelCallResponse, text: str) -> None:
    """The snapshot has at least this, and says that it is incomplete."""
    snapshot = response.snapshot()
    assert snapshot.chat_response is not None
    assert (snapshot.chat_response.text() or "").startswith(text)
    assert snapshot.status is not None
    assert snapshot.status.status == "response_incomplete"


# --- reading


def test_items_come_one_by_one_and_then_no_more() -> None:
    with Simulator(Answer("One two")) as sim, sync_client(sim.url) as client:
        stream = client.generate(prompt="Hi").stream_generator
        items = take(stream, 4)
        assert text_of(items) == "One two"
        assert is_complete(items)
        for _ in range(3):
            with pytest.raises(StopIteration):
                next(stream)


def test_chunks_come_while_the_answer_is_still_being_made() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        with response.stream_generator as stream:
            assert text_of(take(stream, 3)) == THREE
            assert_kept(response, THREE)


def test_status_is_known_when_the_head_has_come() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        status = response.status
        assert status is not None
        assert status.http_status_code == 200
        assert (status.request_id or "").startswith("req_")
        with response.stream_generator as stream:
            assert stream.status is status


def test_a_loop_can_be_taken_up_again_inside_the_context_manager() -> None:
    with Simulator(LONG) as sim, sync_client(sim.url) as client:
        with client.generate(prompt="Hi").stream_generator as stream:
            first: list[StreamItem] = []
            for item in stream:
                first.append(item)
                break
            rest = list(stream)
        assert text_of([*first, *rest]) == WORDS


def test_an_iterator_is_its_own_iterator() -> None:
    with Simulator(Answer("Hi")) as sim, sync_client(sim.url) as client:
        iterator = iter(client.generate(prompt="Hi").stream_generator)
        assert iter(iterator) is iterator
        assert is_complete(list(iterator))


def test_many_items_that_come_at_once_are_all_handed_over() -> None:
    words = " ".join(["word"] * 1000)
    with Simulator(Answer(words), wire="all") as sim, sync_client(sim.url) as client:
        assert ask(client) == words


def test_an_answer_that_is_not_streamed() -> None:
    with Simulator(LONG, faults=[Respond(500), None]) as sim:
        with sync_client(sim.url, streaming=False) as client:
            response = client.generate(prompt="Hi")
        assert response.stream_generator is None
        assert response.snapshot() is response
        assert response.chat_response is not None
        assert response.chat_response.text() == WORDS


def test_errors_are_raised_where_that_is_wanted() -> None:
    with Simulator(faults=Respond(401)) as sim, sync_client(sim.url, raise_errors=True) as client:
        stream = client.generate(prompt="Hi").stream_generator
        with pytest.raises(AuthenticationError):
            next(stream)
        assert list(stream) == []
        client.config.streaming = False
        with pytest.raises(AuthenticationError):
            client.generate(prompt="Hi")


def test_a_failure_is_an_item_where_it_is_not() -> None:
    with Simulator(faults=Respond(401)) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        assert response.stream_generator is not None
        assert error_type(list(response.stream_generator)) == "AuthenticationError"
    with Simulator(faults=Respond(401)) as sim, sync_client(sim.url, streaming=False) as client:
        response = client.generate(prompt="Hi")
        assert response.status is not None
        assert response.status.code == "authentication_error"


@pytest.mark.parametrize("where", ["__init__", "open", "release"])
def test_a_bug_in_the_engine_is_raised_as_what_it_is(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    bug = ZeroDivisionError("oh")

    def broken(*_: Any) -> None:
        raise bug

    with Simulator(Answer("Hi")) as sim, sync_client(sim.url) as client:
        monkeypatch.setattr(f"dhenara_stream.engine.stream.ChatStream.{where}", broken)
        with pytest.raises(ZeroDivisionError) as caught:
            list(client.generate(prompt="Hi").stream_generator)
    assert caught.value is bug


def test_a_bug_between_two_waits_follows_what_came_and_is_raised_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = ChatStream.wait
    waits = 0

    async def broken(stream: ChatStream, *, opening: bool = False) -> None:
        nonlocal waits
        waits += not opening
        if waits > 1:
            raise ZeroDivisionError("oh")
        await original(stream, opening=opening)

    monkeypatch.setattr(ChatStream, "wait", broken)
    with Simulator(LONG, tokens_per_second=SLOW) as sim, sync_client(sim.url) as client:
        stream = client.generate(prompt="Hi").stream_generator
        assert next(stream)[0] is not None
        with pytest.raises(ZeroDivisionError):
            list(stream)
        assert list(stream) == []


def test_clocks_end_the_wait_when_they_say() -> None:
    with (
        Simulator(LONG, faults=SILENT) as sim,
        sync_client(sim.url, idle_timeout=0.2, raise_errors=True) as client,
    ):
        response = client.generate(prompt="Hi")
        begun = time.monotonic()
        with pytest.raises(IdleTimeout):
            list(response.stream_generator)
        assert time.monotonic() - begun < 0.45


def test_a_slow_reader_is_not_the_servers_fault() -> None:
    settings: dict[str, Any] = {"idle_timeout": 0.1, "content_idle_timeout": 0.1}
    words = " ".join(["word"] * 1000)
    with Simulator(Answer(words)) as sim, sync_client(sim.url, **settings) as client:
        items: Items = []
        for item in client.generate(prompt="Hi").stream_generator:
            if len(items) == 1:
                time.sleep(0.2)
            items.append(item)
        assert text_of(items) == words


# --- closing


def test_leaving_the_context_manager_closes_the_connection() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        with response.stream_generator as stream:
            for _ in stream:
                break
        sim.wait_closed_sync()
        assert_kept(response, "word0")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_closing_ends_the_stream_at_any_time_and_again(count: int) -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        stream = response.stream_generator
        take(stream, count)
        stream.close()
        sim.wait_closed_sync()
        stream.close()
        assert list(stream) == []
        assert_kept(response, THREE[: 5 * count])


def test_closing_a_stream_that_ended_changes_nothing() -> None:
    with Simulator(Answer("Hi")) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        with response.stream_generator as stream:
            assert is_complete(list(stream))
        stream.close()
        assert response.status is not None
        assert response.status.successful
    with Simulator(faults=Respond(401)) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        response.stream_generator.close()
        assert list(response.stream_generator) == []


def test_closing_from_another_thread_ends_the_wait_of_the_reader() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        stream = response.stream_generator
        with ThreadPoolExecutor(2) as pool:
            take(stream, 3)
            rest = pool.submit(list, stream)
            pool.submit(stream.close).result(2)
            assert rest.result(2) == []
        sim.wait_closed_sync()


def test_two_threads_may_share_one_stream() -> None:
    with Simulator(LONG, tokens_per_second=SLOW) as sim, sync_client(sim.url) as client:
        stream = client.generate(prompt="Hi").stream_generator
        with ThreadPoolExecutor(2) as pool, stream:
            parts = [pool.submit(list, stream) for _ in range(2)]
            items = [item for part in parts for item in part.result(5)]
        assert sorted(text_of([item]).strip() for item in items) == sorted(["", "", *WORDS.split()])
        assert sum(final is not None for _, final in items) == 1


def test_closing_the_client_ends_its_streams_and_the_next_call_works() -> None:
    with Simulator(LONG, faults=[SILENT, None]) as sim:
        client = sync_client(sim.url)
        response = client.generate(prompt="Hi")
        take(response.stream_generator, 1)
        client.close()
        client.close()
        sim.wait_closed_sync()
        assert background_threads() == []
        assert error_type(list(response.stream_generator)) == "StreamInterrupted"
        assert_kept(response, "word0")
        with client:
            assert ask(client) == WORDS


def test_closing_the_client_while_items_wait_to_be_read_is_the_error_after_them() -> None:
    with Firehose() as hose:
        client = sync_client(hose.url, timeout=None)
        stream = client.generate(prompt="Hi").stream_generator
        next(stream)
        assert hose.blocked.wait(5)
        client.close()
        items = list(stream)
        assert len(items) > 1
        assert error_type(items) == "StreamInterrupted"
        assert "client was closed" in error_of(items)["message"]
        assert hose.closed.wait(5)


# --- leaving without closing


def test_break_closes_the_connection() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        for _ in response.stream_generator:
            break
        sim.wait_closed_sync(1)
        assert_kept(response, "word0")
        assert response.status is not None
        assert response.status.message == "The stream was closed before the answer was complete"
        with pytest.raises(UsageError, match="left early"):
            next(response.stream_generator)


def test_break_of_an_answer_that_came_at_once_leaves_nothing_waiting() -> None:
    words = " ".join(["word"] * 1000)
    with Simulator(Answer(words), wire="all") as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        for _ in response.stream_generator:
            break
        link = response.stream_generator._link
        assert link.ended.wait(2)
        with pytest.raises(UsageError, match="left early"):
            next(response.stream_generator)


def test_an_exception_in_the_loop_closes_the_connection() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        with pytest.raises(KeyError):  # noqa: PT012
            for _ in client.generate(prompt="Hi").stream_generator:
                raise KeyError
        sim.wait_closed_sync(1)


def test_a_response_that_is_dropped_unread_warns_and_is_closed() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        with pytest.warns(ResourceWarning, match="unclosed stream") as warned:
            del response
        assert len(warned) == 1
        sim.wait_closed_sync(1)


def test_a_client_that_is_dropped_leaves_no_connection_and_no_thread() -> None:
    with Simulator(Answer("Hi")) as sim:
        client = sync_client(sim.url)
        ask(client)
        [thread] = background_threads()
        del client
        gc.collect()
        sim.wait_closed_sync(1)
        thread.join(1)
        assert not thread.is_alive()


def test_a_stream_outlives_its_client() -> None:
    with Simulator(LONG, tokens_per_second=SLOW) as sim:
        response = sync_client(sim.url).generate(prompt="Hi")
        gc.collect()
        assert text_of(list(response.stream_generator)) == WORDS


def test_connections_are_used_again() -> None:
    with Simulator(Answer("Hi")) as sim:
        client = sync_client(sim.url)
        for _ in range(3):
            ask(client)
        with client:
            for _ in range(3):
                ask(client)
        assert sim.connections.accepted == 1


def test_hundreds_of_streams_leave_nothing() -> None:
    def one(number: int) -> None:
        response = client.generate(prompt="Hi")
        if number % 6 == 0:
            for _ in response.stream_generator:
                break
        elif number % 6 == 3:
            with response.stream_generator as stream:
                next(stream)
        else:
            assert is_complete(list(response.stream_generator))

    def some(count: int) -> tuple[int, int]:
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(one, range(count)))
        client.close()
        sim.wait_closed_sync()
        gc.collect()
        assert background_threads() == []
        return remains(), open_files()

    with Simulator(Answer("One two three four"), max_recorded=10) as sim:
        client = sync_client(sim.url)
        before = some(50)
        assert some(300) == before


# --- threads


def test_all_clients_of_a_process_share_one_thread_while_there_are_any() -> None:
    with Simulator(Answer("Hi")) as sim:
        assert background_threads() == []
        first, second = sync_client(sim.url), sync_client(sim.url)
        assert background_threads() == []
        ask(first)
        [thread] = background_threads()
        ask(second)
        assert background_threads() == [thread]
        first.close()
        assert ask(second) == "Hi"
        assert background_threads() == [thread]
        second.close()
        assert background_threads() == []


def test_fifty_threads_use_one_client() -> None:
    with Simulator(echo, tokens_per_second=SLOW) as sim, sync_client(sim.url) as client:
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda n: ask(client, str(n)), range(100)))
        assert answers == [f"answer {n}" for n in range(100)]
        assert len(background_threads()) == 1


def test_threads_that_use_and_close_one_client_at_once() -> None:
    with Simulator(Answer("Hi")) as sim:
        client = sync_client(sim.url)

        def one(number: int) -> None:
            if number % 5 == 4:
                client.close()
            else:
                list(client.generate(prompt="Hi").stream_generator)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(60)))
        client.close()
        sim.wait_closed_sync()


def test_a_call_in_one_thread_read_in_another_closed_in_a_third() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:

        def elsewhere(function: Callable[..., Any], *args: Any) -> Any:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(function, *args).result(5)

        response = elsewhere(client.generate, "Hi")
        assert text_of(elsewhere(take, response.stream_generator, 3)) == THREE
        elsewhere(response.stream_generator.close)
        sim.wait_closed_sync()


async def test_inside_a_running_event_loop() -> None:
    with Simulator(LONG) as sim, sync_client(sim.url) as client:
        assert ask(client) == WORDS
        response = client.generate(prompt="Hi")
        for _ in response.stream_generator:
            break
        assert len(background_threads()) == 1


def test_on_the_thread_of_its_own_event_loop_it_says_so() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        with pytest.raises(UsageError, match="thread of its own event loop"):
            client.generate(prompt="Hi")
        seen.append(stream)
        stream.close()  # which does not wait there
        other.close()
        return httpx.Response(200, content=WHOLE)

    seen: list[Any] = []
    own = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    with Simulator(LONG, faults=SILENT) as sim:
        other = sync_client(sim.url)
        stream = other.generate(prompt="Hi").stream_generator
        with sync_client("http://llm.example", http_client=own) as client:
            assert ask(client) == "Hello"
        assert seen
        sim.wait_closed_sync()
        assert list(stream) == []
    anyio.run(own.aclose)


def test_a_thread_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any) -> None:
        raise OSError("Too many open files")

    with Simulator(Answer("Hi")) as sim:
        client = sync_client(sim.url)
        with monkeypatch.context() as patch:
            patch.setattr("anyio.run", run)
            with pytest.raises(TransportError, match="Too many open files"):
                client.generate(prompt="Hi")
        with client:
            assert ask(client) == "Hi"


def test_a_thread_whose_start_is_interrupted_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupts = iter([KeyboardInterrupt()])

    class Interrupted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            for interrupt in interrupts:
                raise interrupt
            return super().result(timeout)

    with Simulator(Answer("Hi")) as sim:
        client = sync_client(sim.url)
        with monkeypatch.context() as patch:
            patch.setattr("dhenara_stream.engine.sync.Future", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.generate(prompt="Hi")
        for thread in background_threads():
            thread.join(2)
        assert background_threads() == []
        with client:
            assert ask(client) == "Hi"


# --- backpressure


def test_a_slow_reader_slows_the_server() -> None:
    with Firehose() as server, sync_client(server.url, timeout=None) as client:
        response = client.generate(prompt="Hi")
        with response.stream_generator as stream:
            next(stream)
            assert server.blocked.wait(10)
            held = server.sent
            assert len(stream._link.items) < 500
            server.blocked.clear()
            for _ in range(held // 10_000 + 1):
                next(stream)
            assert server.sent > held
        assert server.closed.wait(2)


# --- Ctrl-C


@needs_signals
def test_ctrl_c_while_waiting_for_an_item() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        taken: Items = []
        read = threading.Event()
        with ctrl_c_when(read.wait), pytest.raises(KeyboardInterrupt) as caught:  # noqa: PT012
            for item in response.stream_generator:
                taken.append(item)
                if len(taken) == 3:
                    read.set()
        assert caught.value.__context__ is None  # the traceback shows nothing of our own
        assert text_of(taken) == THREE
        assert_kept(response, THREE)
        sim.wait_closed_sync(1)
        assert list(response.stream_generator) == []


@needs_signals
def test_ctrl_c_in_the_body_of_the_loop() -> None:
    with Simulator(LONG, faults=SILENT) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        read, never = threading.Event(), threading.Event()
        with ctrl_c_when(read.wait), pytest.raises(KeyboardInterrupt):  # noqa: PT012
            for _ in response.stream_generator:
                read.set()
                never.wait(5)
        assert_kept(response, "word0")
        sim.wait_closed_sync(1)


@needs_signals
@pytest.mark.parametrize("streaming", [True, False])
def test_ctrl_c_while_waiting_for_the_head(streaming: bool) -> None:
    with Simulator(faults=Silence()) as sim, sync_client(sim.url, streaming=streaming) as client:
        with ctrl_c_when(lambda: sim.wait_requests_sync(1)), pytest.raises(KeyboardInterrupt):
            client.generate(prompt="Hi")
        sim.wait_closed_sync(1)


@needs_signals
def test_ctrl_c_before_the_call_has_begun() -> None:
    busy, begin = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        begin.wait(10)

    def waits() -> None:
        """Wait until the main thread waits for the loop."""
        while "start_task_soon" not in stack_of(threading.main_thread()):
            time.sleep(0.001)

    with Simulator(LONG) as sim, sync_client(sim.url) as client:
        ask(client)
        loop = client._bridge._loop  # pyright: ignore[reportPrivateUsage]
        assert loop is not None
        blocker = threading.Thread(target=loop.portal.start_task_soon, args=(block,))
        blocker.start()
        assert busy.wait(5)
        with ctrl_c_when(waits), pytest.raises(KeyboardInterrupt):
            client.generate(prompt="Hi")
        begin.set()
        blocker.join()
        assert ask(client) == WORDS
        never = SyncChatStream(client._bridge, _Link(loop))  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(UsageError, match="closed before it began"):
            never.snapshot()


def stack_of(thread: threading.Thread) -> list[str]:
    """The names of the functions that a thread is in."""
    frame = sys._current_frames()[thread.ident or 0]
    return [entry.name for entry in traceback.extract_stack(frame)]


@needs_signals
def test_ctrl_c_while_waiting_for_the_next_attempt() -> None:
    with (
        Simulator(faults=Respond(500, retry_after=30)) as sim,
        sync_client(sim.url, timeout=None) as client,
    ):
        begun = time.monotonic()
        with ctrl_c_when(lambda: sim.wait_requests_sync(1)), pytest.raises(KeyboardInterrupt):
            client.generate(prompt="Hi")
        assert time.monotonic() - begun < 2
        assert len(sim.requests) == 1


# --- the wrong mode


@pytest.mark.parametrize(
    ("call", "right"),
    [
        (lambda client: client.generate("Hi"), "generate_async"),
        (lambda client: client.generate_with_existing_connection_sync("Hi"), "generate_async"),
        (lambda client: client.close(), "aclose"),
        (lambda client: client.cleanup_sync(), "aclose"),
        (lambda client: client.__enter__(), "async with"),
    ],
)
def test_a_sync_method_of_an_async_client(call: Callable[[Any], Any], right: str) -> None:
    with pytest.raises(UsageError, match=right):
        call(client_of("http://x"))


@pytest.mark.parametrize(
    ("call", "right"),
    [
        (lambda client: client.generate_async("Hi"), "Use generate"),
        (lambda client: client.generate_with_existing_connection_async("Hi"), "Use generate"),
        (lambda client: client.aclose(), "close"),
        (lambda client: client.cleanup_async(), "close"),
        (lambda client: client.__aenter__(), "'with'"),
    ],
)
async def test_an_async_method_of_a_sync_client(call: Callable[[Any], Any], right: str) -> None:
    with pytest.raises(UsageError, match=right):
        await call(sync_client("http://x"))


# --- processes


def run(script: str, *args: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    code = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tests), *args],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return done


PRELUDE = """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    from engine.support import client_of, sync_client, text_of, is_complete, error_of
    def ask(client):
        items = list(client.generate(prompt="Hi").stream_generator)
        assert is_complete(items), items
        return text_of(items)
"""


@pytest.mark.parametrize(
    "ending",
    ["sys.exit()", "del response, stream, client", "client.close()"],
)
def test_the_interpreter_exits_at_once_with_a_stream_open(ending: str) -> None:
    script = """
        client = sync_client(sys.argv[2])
        response = client.generate(prompt="Hi")
        stream = response.stream_generator
        next(stream)
        exec(sys.argv[3])
    """
    with Simulator(LONG, faults=SILENT) as sim:
        done = run(script, sim.url, ending)
        assert (done.stdout, done.stderr) == ("", "")
        sim.wait_closed_sync(1)


def test_the_interpreter_exits_within_a_loop() -> None:
    script = """
        for _ in sync_client(sys.argv[2]).generate(prompt="Hi").stream_generator:
            sys.exit(3)
    """
    with Simulator(LONG, faults=SILENT) as sim:
        done = run(script, sim.url, expect=3)
        assert (done.stdout, done.stderr) == ("", "")
        sim.wait_closed_sync(1)


def test_an_event_loop_that_ends_with_a_stream_open_says_nothing() -> None:
    script = """
        import anyio
        async def main():
            client = client_of(sys.argv[2])
            response = await client.generate_async(prompt="Hi")
            await anext(response.stream_generator)
            kept.append(response)
        kept = []
        anyio.run(main, backend=sys.argv[3])
    """
    with Simulator(LONG, faults=SILENT) as sim:
        for backend in ("asyncio", "trio"):
            done = run(script, sim.url, backend)
            assert (done.stdout, done.stderr) == ("", "")
            sim.wait_closed_sync(1)


def test_after_the_interpreters_end_has_begun_it_says_so() -> None:
    script = """
        import atexit
        client = sync_client(sys.argv[2])
        ask(client)
        def late():
            from dhenara_stream import UsageError
            try:
                client.generate(prompt="Hi")
            except UsageError as error:
                print(error)
        from dhenara_stream.engine.sync import _process
        atexit.unregister(_process.shut_down)
        atexit.register(late)
        atexit.register(_process.shut_down)
    """
    with Simulator(Answer("Hi")) as sim:
        assert "interpreter is shutting down" in run(script, sim.url).stdout


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="no fork here")
def test_a_forked_child_and_its_parent_both_go_on() -> None:
    script = """
        import gc, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from dhenara_stream import UsageError
        client = sync_client(sys.argv[2])
        assert ask(client) == "one two"
        stream = client.generate(prompt="Hi").stream_generator
        first = next(stream)
        sys.stdout.flush()
        child = os.fork()
        if not child:
            assert ask(client) == "one two"
            try:
                next(stream)
            except UsageError as error:
                assert "parent" in str(error)
            else:
                raise AssertionError
            stream.close()
            del stream
            gc.collect()
            client.close()
            assert ask(client) == "one two"
            del client
            gc.collect()
            print("child")
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        rest = list(stream)
        assert is_complete(rest)
        assert text_of([first, *rest]) == "one two"
        assert ask(client) == "one two"
        client.close()
        print("parent")
    """
    with Simulator(Answer("one two"), tokens_per_second=20) as sim:
        done = run(script, sim.url)
        assert done.stdout.split() == ["child", "parent"]
        assert done.stderr == ""
        assert len(sim.requests) == 5


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="no fork here")
def test_an_async_client_after_a_fork() -> None:
    script = """
        import anyio, gc, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        async def ask():
            response = await client.generate_async(prompt="Hi")
            items = [item async for item in response.stream_generator]
            assert is_complete(items)
        async def main():
            global client
            client = client_of(sys.argv[2])
            await ask()
            child = os.fork()
            if not child:
                os._exit(in_child())
            assert os.waitpid(child, 0)[1] == 0
            await ask()
            await client.aclose()
        def in_child():
            import threading
            failed = []
            def elsewhere():
                try:
                    anyio.run(ask, backend="trio")
                except BaseException as error:
                    failed.append(error)
                    raise
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            return len(failed)
        anyio.run(main)
        print("parent")
    """
    with Simulator(Answer("Hi")) as sim:
        done = run(script, sim.url)
        assert done.stdout.split() == ["parent"]
        assert done.stderr == ""
        assert len(sim.requests) == 3
        assert sim.connections.accepted == 2


def test_a_snapshot_has_what_has_arrived_and_was_not_handed_over() -> None:
    words = " ".join(["one"] * 400)
    with Simulator(Answer(words), wire="all") as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        next(response.stream_generator)
        # The pump alone stops at the upper mark, and nothing is taken here.
        while text_so_far(response).count("one") < 2 * HIGH_WATER:
            pass
        assert is_complete(list(response.stream_generator))
        assert text_so_far(response) == words
    assert text_so_far(response) == words


def test_a_snapshot_can_be_taken_on_the_event_loops_own_thread() -> None:
    with Simulator(LONG, tokens_per_second=SLOW) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        next(response.stream_generator)
        portal = client._bridge._leased().portal  # pyright: ignore[reportPrivateUsage]
        assert portal.call(text_so_far, response)
        response.stream_generator.close()


def test_in_a_forked_child_a_snapshot_does_not_wait_for_its_parents_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Simulator(LONG, tokens_per_second=SLOW) as sim, sync_client(sim.url) as client:
        response = client.generate(prompt="Hi")
        next(response.stream_generator)
        with monkeypatch.context() as as_in_a_child:
            as_in_a_child.setattr(response.stream_generator, "_pid", -1)
            assert text_so_far(response)
        response.stream_generator.close()

"""Many calls of a sync client: in threads, with Ctrl-C, forks and the interpreter's end."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from engine.support import KEY, LONG, ctrl_c_when, needs_signals, sync_client
from engine.test_sync_bridge import (
    background_threads,
    no_thread_is_left,
    run,
)

from dhenara_stream import ConfigError, InvalidRequestError, StreamInterrupted, UsageError
from dhenara_stream.engine.many import ManyCalls
from dhenara_stream.engine.sync_many import SyncManyResults
from dhenara_stream.simulator import Fault, RecordedRequest, Respond, Silence, Simulator
from dhenara_stream.types import (
    AIModelCallRequest,
    AIModelCallResult,
    AIModelCallsProgress,
    SyncResults,
)

__all__ = ["no_thread_is_left"]  # used by each test here, too

Results = list[AIModelCallResult]


def prompt_of(request: RecordedRequest) -> str:
    content: Any = request.json["messages"][0]["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


def stuck(request: RecordedRequest) -> Fault | None:
    """A call whose prompt says so never ends."""
    return Silence(deltas=1) if "stuck" in prompt_of(request) else None


def wait_for_idle(sim: Simulator) -> None:
    """Wait until connections are open only for calls to come: that of the call that ended."""
    deadline = time.monotonic() + 2
    while sim.connections.open > 1:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def indexes(results: Results) -> list[int]:
    return [result.index for result in results]


# --- reading


@pytest.mark.parametrize("streaming", [True, False])
def test_all_results_come_each_once(streaming: bool) -> None:
    with Simulator() as sim, sync_client(sim.url, streaming=streaming) as client:
        prompts = [f"number {n}" for n in range(30)]
        results = list(client.generate_many(prompts, concurrency=4))
        assert sorted(indexes(results)) == list(range(30))
        for result in results:
            assert result.response.chat_response is not None
            assert f'"number {result.index}"' in (result.response.chat_response.text() or "")
        assert sim.connections.peak <= 4


def test_results_come_in_order_where_that_is_wanted() -> None:
    with Simulator() as sim, sync_client(sim.url) as client:
        results = client.generate_many(map(str, range(30)), concurrency=4, ordered=True)
        assert indexes(list(results)) == list(range(30))


def test_a_loop_can_be_taken_up_again_inside_the_context_manager() -> None:
    with (
        Simulator() as sim,
        sync_client(sim.url) as client,
        client.generate_many(["a", "b", "c"], ordered=True) as results,
    ):
        for result in results:
            assert result.index == 0
            break
        assert indexes(list(results)) == [1, 2]
        assert next(results, None) is None


def test_one_failure_does_not_end_the_rest() -> None:
    faults = [None, Respond(400), None]
    with Simulator(faults=faults) as sim, sync_client(sim.url, raise_errors=True) as client:
        results = list(client.generate_many(["abc", "", "d"], concurrency=1))
        assert [type(result.error) for result in results] == [
            type(None),
            ConfigError,
            InvalidRequestError,
        ]


def test_no_requests_are_no_results() -> None:
    client = sync_client("http://127.0.0.1:9")
    assert list(client.generate_many([])) == []
    assert list(client.generate_many(iter(()))) == []


def test_requests_are_taken_in_the_caller_s_thread_as_places_become_free() -> None:
    threads: set[threading.Thread] = set()
    pulled = 0

    def endless() -> Iterator[str]:
        nonlocal pulled
        while True:
            threads.add(threading.current_thread())
            pulled += 1
            yield f"{pulled}"

    with (
        Simulator() as sim,
        sync_client(sim.url) as client,
        client.generate_many(endless(), concurrency=2) as results,
    ):
        for _ in range(5):
            next(results)
        assert pulled <= 5 + 2 * 4
        assert threads == {threading.current_thread()}
        assert results.progress.total is None


def test_a_result_is_handed_out_before_more_slow_requests_are_waited_for() -> None:
    pulled = 0

    def slowly() -> Iterator[str]:
        nonlocal pulled
        while True:  # each takes longer than the call before it
            deadline = time.monotonic() + 2
            while results.progress.done < pulled:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            pulled += 1
            yield f"{pulled}"

    with Simulator() as sim, sync_client(sim.url) as client:
        results = client.generate_many(slowly(), concurrency=4)
        with results:
            assert next(results).index == 0
            assert pulled == 2
            assert next(results).index == 1
            assert pulled == 3


def test_what_the_requests_raise_is_raised_after_the_results() -> None:
    def broken() -> Iterator[Any]:
        yield AIModelCallRequest(id="a", prompt="one")
        yield AIModelCallRequest(id="b", prompt="two")
        raise ZeroDivisionError("oh")

    found: Results = []
    with Simulator() as sim, sync_client(sim.url) as client:
        results = client.generate_many(broken())
        with pytest.raises(ZeroDivisionError, match="oh"):
            found.extend(results)
        assert {result.id for result in found} <= {"a", "b"}
        assert results.progress.done == 2
        assert list(results) == []


def test_progress_is_told_in_the_caller_s_thread() -> None:
    told: list[tuple[threading.Thread, AIModelCallsProgress]] = []

    def tell(progress: AIModelCallsProgress) -> None:
        told.append((threading.current_thread(), progress))

    with Simulator() as sim, sync_client(sim.url) as client:
        results = client.generate_many(["a", "b", "c"], on_progress=tell)
        assert len(list(results)) == 3
        assert results.progress.waiting == 0
    assert {thread for thread, _ in told} == {threading.current_thread()}
    assert (told[-1][1].done, told[-1][1].total) == (3, 3)


def test_what_on_progress_raises_is_raised_in_the_loop() -> None:
    def broken(_: AIModelCallsProgress) -> None:
        raise ZeroDivisionError

    with Simulator(faults=stuck) as sim, sync_client(sim.url) as client:
        results = client.generate_many(["a", "stuck"], on_progress=broken)
        with pytest.raises(ZeroDivisionError):
            list(results)
        wait_for_idle(sim)


def test_what_is_finished_is_not_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Simulator() as sim, sync_client(sim.url) as client:
        first = list(client.generate_many(["a", "b"], results_file=str(path), ordered=True))
        again = list(client.generate_many(["a", "b"], results_file=path, ordered=True))
        assert len(sim.requests) == 2
    assert [result.response for result in again] == [result.response for result in first]
    assert KEY not in path.read_text()


def test_another_file_is_an_error_at_the_first_result(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk")
    with sync_client("http://127.0.0.1:9") as client:
        results = client.generate_many(["a"], results_file=path)
        with pytest.raises(ConfigError, match=r"notes\.txt, line 1"):
            next(results)
        assert list(results) == []


def test_an_async_iterable_is_for_async_clients() -> None:
    async def prompts() -> AsyncIterator[str]:
        yield "a"

    requests: Any = prompts()
    with pytest.raises(ConfigError, match="takes no async iterable, as `async_generator` is"):
        sync_client("http://127.0.0.1:9").generate_many(requests)


# --- the end, at any time


def test_leaving_the_loop_cancels_what_runs() -> None:
    with Simulator(LONG, faults=stuck) as sim, sync_client(sim.url) as client:
        results = client.generate_many(["a", "stuck", "stuck"])
        for _ in results:
            break
        wait_for_idle(sim)
        with pytest.raises(UsageError, match="left early"):
            next(results)


def test_the_block_s_end_cancels_what_runs() -> None:
    with Simulator(LONG, faults=stuck) as sim, sync_client(sim.url) as client:
        with client.generate_many(["a", "stuck", "stuck"]) as results:
            assert next(results).index == 0
        wait_for_idle(sim)
        assert list(results) == []
        results.close()


def test_results_that_are_never_read_cost_nothing() -> None:
    client = sync_client("http://127.0.0.1:9")
    with client.generate_many(["a"]) as results:
        pass
    assert isinstance(results, SyncManyResults)
    results.abandon()
    del results
    unread = client.generate_many(["a"])
    assert isinstance(unread, SyncManyResults)
    unread.abandon()
    assert background_threads() == []


def test_results_that_are_dropped_unread_warn_and_are_cancelled() -> None:
    with Simulator(LONG, faults=stuck) as sim, sync_client(sim.url) as client:
        results = client.generate_many(["a", "stuck"])
        next(results)
        with pytest.warns(ResourceWarning, match="unclosed results"):  # noqa: PT031
            del results
            gc.collect()
        wait_for_idle(sim)


def test_closing_from_another_thread_ends_the_wait_of_the_reader() -> None:
    with Simulator(LONG, faults=stuck) as sim, sync_client(sim.url) as client:
        results = client.generate_many(["a", "stuck"])
        next(results)
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(list, results)
            sim.wait_requests_sync(2)
            results.close()
            assert rest.result(2) == []
        wait_for_idle(sim)


def test_closing_the_client_ends_its_calls() -> None:
    with Simulator(LONG, faults=stuck) as sim, sync_client(sim.url) as client:
        results = client.generate_many(["a", *["stuck"] * 20], concurrency=2)
        assert next(results).error is None
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(list, results)
            sim.wait_requests_sync(3)
            client.close()
            with pytest.raises(StreamInterrupted, match="client was closed"):
                rest.result(5)
        wait_for_idle(sim)
        assert len(list(client.generate_many(["a"]))) == 1


def test_a_client_that_was_closed_between_two_results_says_so() -> None:
    with Simulator(LONG, faults=stuck) as sim:
        client = sync_client(sim.url)
        results = client.generate_many(["a", "stuck"])
        assert next(results).index == 0
        client.close()
        assert background_threads() == []  # the loop has ended
        with pytest.raises(StreamInterrupted, match="client was closed"):
            next(results)
        assert list(results) == []


def test_work_that_the_end_of_the_loop_cuts_off_says_so() -> None:
    begun = threading.Event()

    async def forever() -> None:
        begun.set()
        await anyio.sleep_forever()

    client = sync_client("http://127.0.0.1:9")
    bridge = client._bridge  # pyright: ignore[reportPrivateUsage]
    guest = bridge.guest(anyio.sleep_forever, lambda: None)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(guest.ask, forever)
        assert begun.wait(2)
        client.close()
        with pytest.raises(StreamInterrupted, match="client was closed"):
            asked.result(2)
    guest.close()


def test_a_request_that_comes_after_the_client_was_closed_is_not_sent() -> None:
    def closing() -> Iterator[str]:
        yield "a"
        client.close()
        yield "b"

    with Simulator() as sim, sync_client(sim.url) as other, sync_client(sim.url) as client:
        assert len(list(other.generate_many(["x"]))) == 1  # keeps the loop
        results = client.generate_many(closing(), concurrency=1)
        assert next(results).index == 0
        with pytest.raises(StreamInterrupted, match="client was closed"):
            next(results)
        assert [prompt_of(request) for request in sim.requests] == ["x", "a"]


def test_many_runs_of_one_client_at_once() -> None:
    with (
        Simulator() as sim,
        sync_client(sim.url) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        runs = [pool.submit(lambda: list(client.generate_many(["a"] * 5))) for _ in range(8)]
        assert [sorted(indexes(run.result(10))) for run in runs] == [list(range(5))] * 8


def test_a_bug_is_raised_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ManyCalls, "_result", broken)
    results = sync_client("http://127.0.0.1:9").generate_many(["a"])
    with pytest.raises(ExceptionGroup) as caught:
        list(results)
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)
    assert list(results) == []


# --- Ctrl-C


@needs_signals
def test_ctrl_c_while_waiting_for_a_result(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Simulator(LONG, faults=stuck) as sim, sync_client(sim.url) as client:
        results = client.generate_many(["a", "stuck", "b"], results_file=path, concurrency=1)
        assert next(results).index == 0
        with ctrl_c_when(lambda: sim.wait_requests_sync(2)), pytest.raises(KeyboardInterrupt):
            next(results)
        wait_for_idle(sim)
        assert list(results) == []
        assert path.read_bytes().count(b"\n") == 1


@needs_signals
def test_ctrl_c_in_the_body_of_the_loop() -> None:
    read, never = threading.Event(), threading.Event()

    def loop(results: SyncResults) -> None:
        for _ in results:
            read.set()
            never.wait(5)

    with Simulator(LONG, faults=stuck) as sim, sync_client(sim.url) as client:
        with ctrl_c_when(read.wait), pytest.raises(KeyboardInterrupt):
            loop(client.generate_many(["a", "stuck"]))
        wait_for_idle(sim)


@needs_signals
def test_ctrl_c_before_the_work_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator() as sim, sync_client(sim.url) as client:
        assert len(list(client.generate_many(["a"]))) == 1

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            loop = client._bridge._loop  # pyright: ignore[reportPrivateUsage]
            assert loop is not None
            patched.setattr(loop, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(client.generate_many(["a"]))
        assert len(list(client.generate_many(["a"]))) == 1


# --- threads and processes


def test_on_the_thread_of_its_own_event_loop_it_says_so() -> None:
    with Simulator() as sim, sync_client(sim.url) as client:
        list(client.generate_many(["a"]))
        loop = client._bridge._loop  # pyright: ignore[reportPrivateUsage]
        assert loop is not None

        def use() -> None:
            next(client.generate_many(["a"]))

        with pytest.raises(UsageError, match="own event loop"):
            loop.portal.call(use)
        # Closing there does not wait for itself.
        results = client.generate_many(["a", "b"])
        next(results)
        loop.portal.call(results.close)


@pytest.mark.parametrize("ending", ["sys.exit()", "del results, client", "client.close()"])
def test_the_interpreter_exits_at_once_with_calls_running(ending: str, tmp_path: Path) -> None:
    script = """
        client = sync_client(sys.argv[2])
        prompts = ["a", *["stuck"] * 9]
        results = client.generate_many(prompts, results_file=sys.argv[3])
        next(results)
        exec(sys.argv[4])
    """
    with Simulator(LONG, faults=stuck) as sim:
        done = run(script, sim.url, str(tmp_path / "results.jsonl"), ending)
        assert (done.stdout, done.stderr) == ("", "")
        wait_for_idle(sim)


def test_the_interpreter_exits_within_a_loop() -> None:
    script = """
        for _ in sync_client(sys.argv[2]).generate_many(["a", "stuck"]):
            sys.exit(3)
    """
    with Simulator(LONG, faults=stuck) as sim:
        done = run(script, sim.url, expect=3)
        assert (done.stdout, done.stderr) == ("", "")
        wait_for_idle(sim)


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="no fork here")
def test_a_forked_child_leaves_its_parent_s_calls_alone() -> None:
    script = """
        import gc, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from dhenara_stream import UsageError
        client = sync_client(sys.argv[2])
        results = client.generate_many(["a", "b", "c"], concurrency=1)
        next(results)
        child = os.fork()
        if not child:
            try:
                next(results)
            except UsageError as error:
                assert "parent" in str(error)
            else:
                raise AssertionError
            results.close()
            del results
            gc.collect()
            assert len(list(client.generate_many(["a"]))) == 1
            client.close()
            print("child")
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        assert len(list(results)) == 2
        client.close()
        print("parent")
    """
    with Simulator() as sim:
        done = run(script, sim.url)
        assert done.stdout.split() == ["child", "parent"]
        assert done.stderr == ""


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="no fork here")
def test_a_forked_child_does_not_warn_of_its_parent_s_results() -> None:
    script = """
        import gc, warnings
        client = sync_client(sys.argv[2])
        results = client.generate_many(["a", "b", "c"], concurrency=1)
        next(results)
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if not child:
            warnings.simplefilter("always", ResourceWarning)
            del results
            gc.collect()
            sys.stderr.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert len(list(results)) == 2
    """
    with Simulator() as sim:
        done = run(script, sim.url)
        assert (done.stdout, done.stderr) == ("", "")


async def test_inside_a_running_event_loop(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with Simulator() as sim, sync_client(sim.url) as client:
        limits: dict[str, Any] = {"requests_per_minute": 60_000, "tokens_per_minute": 6e9}
        many = client.generate_many(["a", "b"], results_file=path, **limits)
        assert len(list(many)) == 2

"""Many calls at once, on both event loops: in virtual time, and with a results file."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from engine import virtual
from engine.support import (
    END,
    KEY,
    PERSON,
    START,
    STOP,
    WEATHER,
    client_of,
    endpoint,
    sse,
    sync_client,
)

from dhenara_stream import (
    AIModelClient,
    ConfigError,
    DhenaraStreamError,
    InvalidRequestError,
    StreamInterrupted,
    UsageError,
)
from dhenara_stream.engine import results_file
from dhenara_stream.engine.many import ManyCalls
from dhenara_stream.engine.results_file import CallKey, ResultsFile
from dhenara_stream.simulator import (
    Answer,
    Drop,
    Respond,
    Simulator,
    Thinking,
    ToolCall,
)
from dhenara_stream.types import (
    AIModelCallConfig,
    AIModelCallRequest,
    AIModelCallResponse,
    AIModelCallResult,
    AIModelCallsProgress,
    AsyncResults,
    Prompt,
    StructuredOutputConfig,
)
from dhenara_stream.types.genai.foundation_models.openai.chat import GPT5Nano

BACKENDS = ["asyncio", "trio"]
ONE_SECOND = 1.0
Results = list[AIModelCallResult]


def said(text: str) -> bytes:
    delta = json.dumps({"type": "text_delta", "text": text})
    content = f'{{"type":"content_block_delta","index":0,"delta":{delta}}}'
    return sse(START, content, END, STOP)


class Service:
    """Answers from memory with the prompt itself; a number in it is how many seconds that takes.

    Attributes:
        begun: When which prompt came.
        running: How many calls there are now.
        peak: The most there were at once.
        cancelled: Prompts whose call was cancelled.
    """

    def __init__(self) -> None:
        self.begun: list[tuple[float, str]] = []
        self.running = self.peak = 0
        self.cancelled: list[str] = []
        self.replies: dict[str, list[httpx.Response]] = {}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        [message] = json.loads(request.content)["messages"]
        found = re.search(r'"text": "(.*?)"', json.dumps(message))
        text = found[1] if found else message["content"]
        self.begun.append((anyio.current_time(), text))
        self.running += 1
        self.peak = max(self.peak, self.running)
        ended = False
        try:
            seconds = re.search(r"[\d.]+", text)
            await anyio.sleep(float(seconds[0]) if seconds else ONE_SECOND)
            ended = True
        finally:
            self.running -= 1
            if not ended:
                self.cancelled.append(text)
        replies = self.replies.get(text)
        return replies.pop(0) if replies else httpx.Response(200, content=said(text))

    @property
    def times(self) -> list[float]:
        """When calls began, from the first one on."""
        return [round(at - self.begun[0][0], 3) for at, _ in self.begun]


Body = Callable[[AIModelClient, Service], Awaitable[None]]


def in_virtual_time(backend: str, body: Body, **config: Any) -> None:
    """Run a test with a client of a service, in virtual time."""

    async def main() -> None:
        service = Service()
        async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as own:
            settings: dict[str, Any] = {"timeout": None, **config}
            await body(client_of("https://llm.example", http_client=own, **settings), service)

    virtual.run(backend, main)


async def take_all(results: AsyncResults, found: Results) -> None:
    async for result in results:
        found.append(result)


async def read(results: AsyncResults) -> Results:
    async with results:
        return [result async for result in results]


def texts(results: Results) -> list[str | None]:
    answers = [result.response.chat_response for result in results]
    return [answer.text() if answer else None for answer in answers]


both = pytest.mark.parametrize("backend", BACKENDS)


# --- results as they come, or in order


@both
@pytest.mark.parametrize("streaming", [True, False])
def test_results_come_as_calls_end(backend: str, streaming: bool) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        results = await read(client.generate_many_async(["3", "1", "2"]))
        assert texts(results) == ["1", "2", "3"]
        assert [result.index for result in results] == [1, 2, 0]
        assert [result.error for result in results] == [None] * 3
        assert not any(result.from_file for result in results)
        assert service.times == [0, 0, 0]

    in_virtual_time(backend, body, streaming=streaming)


@both
def test_results_come_in_order_where_that_is_wanted(backend: str) -> None:
    async def body(client: AIModelClient, _: Service) -> None:
        results = await read(client.generate_many_async(["3", "1", "2", "4"], ordered=True))
        assert texts(results) == ["3", "1", "2", "4"]

    in_virtual_time(backend, body)


@both
def test_no_more_calls_run_at_once_than_are_allowed(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        await read(client.generate_many_async(["1"] * 10, concurrency=3))
        assert service.peak == 3
        assert service.times == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]

    in_virtual_time(backend, body)


@both
def test_a_request_is_what_generate_takes_with_a_name(backend: str) -> None:
    async def body(client: AIModelClient, _: Service) -> None:
        requests: list[Any] = [
            "0.1 text",
            Prompt(text="0.2 prompt"),
            {"text": "0.3 dict"},
            AIModelCallRequest(id="a", prompt="0.4 request", instructions="Be brief."),
            AIModelCallRequest(id="b", messages=["0.5 messages"]),
        ]
        results = await read(client.generate_many_async(requests))
        assert texts(results) == [
            *("0.1 text", "0.2 prompt", "0.3 dict", "0.4 request", "0.5 messages")
        ]
        assert [result.id for result in results] == [None, None, None, "a", "b"]

    in_virtual_time(backend, body)


# --- backpressure, both ways


@both
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_requests_without_an_end_are_taken_as_results_are(
    backend: str, ordered: bool, asynchronous: bool
) -> None:
    pulled = 0

    def endless() -> Iterator[str]:
        nonlocal pulled
        while True:
            pulled += 1
            yield f"{pulled}"

    async def endless_async() -> AsyncIterator[str]:
        for prompt in endless():
            yield prompt

    async def body(client: AIModelClient, service: Service) -> None:
        requests = endless_async() if asynchronous else endless()
        async with client.generate_many_async(requests, concurrency=2, ordered=ordered) as results:
            assert (await anext(results)).index == 0
            await anyio.sleep(1000)
            assert pulled == len(service.begun) == 9  # a window of four for each place
            assert (await anext(results)).index == 1
            await anyio.sleep(1000)
            assert pulled == 10
            assert results.progress.total is None
            assert results.progress.waiting is None

    in_virtual_time(backend, body)


@both
def test_results_ahead_of_a_slow_one_are_bounded(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        prompts = ["100", *["1"] * 20]
        async with client.generate_many_async(prompts, concurrency=2, ordered=True) as results:
            assert (await anext(results)).index == 0
            assert anyio.current_time() - service.begun[0][0] == pytest.approx(100)
            assert len(service.begun) == 8
            assert [r.index async for r in results] == list(range(1, 21))

    in_virtual_time(backend, body)


@both
def test_a_result_is_handed_out_while_the_next_request_is_waited_for(backend: str) -> None:
    async def slowly() -> AsyncIterator[str]:
        for _ in range(3):
            yield "1"
            await anyio.sleep(60)

    async def body(client: AIModelClient, service: Service) -> None:
        begun = anyio.current_time()
        async with client.generate_many_async(slowly()) as results:
            times = [anyio.current_time() - begun async for _ in results]
        assert times == pytest.approx([1, 61, 121])
        assert len(service.begun) == 3

    in_virtual_time(backend, body)


@both
def test_several_tasks_may_read_the_results(backend: str) -> None:
    found: Results = []

    async def read_on(results: AsyncResults) -> None:
        async for result in results:
            found.append(result)
            await anyio.sleep(2)

    async def body(client: AIModelClient, _: Service) -> None:
        async with (
            client.generate_many_async(["1"] * 12, concurrency=4) as results,
            anyio.create_task_group() as tasks,
        ):
            for _number in range(3):
                tasks.start_soon(read_on, results)
        assert sorted(result.index for result in found) == list(range(12))

    in_virtual_time(backend, body)


# --- what fails


REFUSAL = '{"type":"error","error":{"type":"invalid_request_error","message":"not this one"}}'
TOO_MANY = '{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}'


@both
@pytest.mark.parametrize("config", [{}, {"raise_errors": True}, {"streaming": False}])
def test_one_failure_does_not_end_the_rest(backend: str, config: dict[str, Any]) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        service.replies["2"] = [httpx.Response(400, content=REFUSAL)]
        requests: list[Any] = ["1", "2", " ", {"txt": "?"}, 7, "3"]
        results = await read(client.generate_many_async(requests, ordered=True))
        assert texts(results) == ["1", None, None, None, None, "3"]
        errors = [type(result.error) for result in results]
        none = type(None)
        assert errors == [none, InvalidRequestError, *[ConfigError] * 3, none]
        statuses = [str(r.response.status.status) for r in results if r.response.status]
        assert statuses == [
            "response_received_success",
            "response_received_api_error",
            *["request_not_send"] * 3,
            "response_received_success",
        ]
        assert "not this one" in str(results[1].error)
        assert "prompt" in str(results[2].error)
        assert len(service.begun) == 3

    in_virtual_time(backend, body, **config)


@both
@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_the_requests_raise_is_raised_after_the_results(
    backend: str, asynchronous: bool
) -> None:
    def broken() -> Iterator[str]:
        yield "1"
        yield "2"
        raise ZeroDivisionError("oh")

    async def broken_async() -> AsyncIterator[str]:
        for prompt in broken():
            yield prompt

    async def body(client: AIModelClient, _: Service) -> None:
        found: Results = []
        requests = broken_async() if asynchronous else broken()
        async with client.generate_many_async(requests) as results:
            with pytest.raises(ZeroDivisionError, match="oh"):
                await take_all(results, found)
            assert [result async for result in results] == []
        assert texts(found) == ["1", "2"]

    in_virtual_time(backend, body)


def named(*ids: str | None) -> list[AIModelCallRequest]:
    return [AIModelCallRequest(id=name, prompt=f"{n}") for n, name in enumerate(ids, 1)]


async def test_two_requests_of_a_list_with_one_name_are_an_error_before_anything_is_sent() -> None:
    client = client_of("http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="two have the id 'a'"):
        client.generate_many_async(named("a", None, None, "b", "a"))


@both
def test_two_requests_with_one_name_that_come_one_by_one(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        found: Results = []
        async with client.generate_many_async(iter(named("a", "b", "a"))) as results:
            with pytest.raises(ConfigError, match="two have the id 'a'"):
                await take_all(results, found)
        assert [result.id for result in found] == ["a", "b"]
        assert len(service.begun) == 2

    in_virtual_time(backend, body)


# --- rate limits


@both
def test_requests_begin_as_evenly_as_their_limit_asks(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        await read(client.generate_many_async(["0.1"] * 5, requests_per_minute=60))
        assert service.times == pytest.approx([0, 1, 2, 3, 4])

    in_virtual_time(backend, body)


@both
def test_retries_count_as_requests_and_the_provider_s_wait_holds_beside(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        slow_down = httpx.Response(429, headers={"retry-after": "10"}, content=TOO_MANY)
        service.replies["0.1 first"] = [slow_down]
        prompts = ["0.1 first", "0.1", "0.1"]
        await read(client.generate_many_async(prompts, requests_per_minute=6, concurrency=1))
        # The retry at 10.1 is known of at 10.2, and has its ten seconds from there.
        assert service.times == pytest.approx([0, 10.1, 20.2, 30.2])

    in_virtual_time(backend, body)


def with_usage(prompt: int, output: int) -> httpx.Response:
    start = START.replace('"input_tokens":3', f'"input_tokens":{prompt}')
    end = END.replace('"output_tokens":2', f'"output_tokens":{output}')
    return httpx.Response(200, content=sse(start, end, STOP))


@both
def test_tokens_are_expected_before_a_call_and_settled_after_it(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        service.replies["1"] = [with_usage(500, 500) for _ in range(4)]
        await read(client.generate_many_async(["1"] * 4, tokens_per_minute=6000))
        first, second, third, fourth = service.times
        # It was expected to take its limit of 2000; it took 1000, which is 10 s, and so do others.
        assert first == 0
        assert second == pytest.approx(10.0)
        assert third - second == pytest.approx(10.0)
        assert fourth - third == pytest.approx(10.0)

    in_virtual_time(backend, body, max_output_tokens=2000)


async def short_first() -> AsyncIterator[str]:
    yield "005"
    await anyio.sleep(0.1)
    for _ in range(9):
        yield "100"


@both
def test_calls_under_way_are_charged_anew_when_the_first_answer_tells_more(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        service.replies = {
            prompt: [with_usage(500, 500) for _ in range(9)] for prompt in ("005", "100")
        }
        await read(client.generate_many_async(short_first(), tokens_per_minute=6000))
        early = [at for at in service.times if at < 5]
        # As many as a guess of about 100 tokens each allowed; all the others wait for those, too.
        assert 2 < len(early) < 9
        late = service.times[len(early) :]
        assert late == pytest.approx([10 * n for n in range(len(early), 10)])

    in_virtual_time(backend, body, max_output_tokens=50)


@both
def test_tokens_that_a_failed_call_did_not_take_are_given_back(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        service.replies["1"] = [httpx.Response(400, content=REFUSAL)]
        await read(client.generate_many_async(["1", "2"], concurrency=1, tokens_per_minute=600))
        assert service.times == [0, pytest.approx(1.0)]

    in_virtual_time(backend, body, max_output_tokens=2000)


@both
def test_an_answer_that_does_not_tell_its_tokens_took_what_was_expected(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        untold = START.replace(',"usage":{"input_tokens":3}', "")
        end = END.replace(',"usage":{"output_tokens":2}', "")
        service.replies["1"] = [httpx.Response(200, content=sse(untold, end, STOP))]
        results = await read(
            client.generate_many_async(["1", "2"], concurrency=1, tokens_per_minute=60_000)
        )
        assert service.times == [0, pytest.approx(2.0, abs=0.2)]
        assert texts(results) == [None, "2"]

    in_virtual_time(backend, body, max_output_tokens=2000)


@both
def test_an_answer_that_breaks_off_took_what_it_told(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        start = START.replace('"input_tokens":3', '"input_tokens":1000,"output_tokens":0')
        content = sse(
            start,
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}',
        )
        service.replies["1"] = [httpx.Response(200, content=content)]
        results = await read(
            client.generate_many_async(["1", "2"], concurrency=1, tokens_per_minute=6000)
        )
        assert results[0].error is not None
        assert texts(results)[0] == "Hello"
        assert service.times == [0, pytest.approx(10.0)]

    in_virtual_time(backend, body, max_output_tokens=2000)


# --- progress


@both
def test_progress_is_told_with_each_result(backend: str) -> None:
    told: list[AIModelCallsProgress] = []

    async def body(client: AIModelClient, service: Service) -> None:
        service.replies["2"] = [httpx.Response(400, content=REFUSAL)]
        prompts = ["1", "2", "3", "4"]
        many = client.generate_many_async(prompts, concurrency=2, on_progress=told.append)
        before = many.progress
        assert (before.total, before.waiting, before.elapsed_seconds) == (4, 4, 0)
        await read(many)
        assert [p.done for p in told] == [1, 2, 3, 4]
        assert [p.failed for p in told] == [0, 1, 1, 1]
        assert all(p.running <= 2 for p in told)
        assert [(p.waiting or 0) + p.running for p in told] == [3, 2, 1, 0]
        assert {p.total for p in told} == {4}
        assert (told[-1].prompt_tokens, told[-1].completion_tokens) == (9, 6)
        assert told[-1].cost == pytest.approx(9 * 1e-6 + 6 * 5e-6)
        assert many.progress.elapsed_seconds > 0
        assert many.progress == many.progress  # time has stopped

    in_virtual_time(backend, body)


@both
def test_what_on_progress_raises_is_raised_in_the_loop(backend: str) -> None:
    def broken(progress: AIModelCallsProgress) -> None:
        raise ZeroDivisionError(f"{progress.done}")

    async def body(client: AIModelClient, service: Service) -> None:
        with pytest.raises(ZeroDivisionError, match="1"):
            await read(client.generate_many_async(["1", "50"], on_progress=broken))
        assert service.cancelled == ["50"]

    in_virtual_time(backend, body)


def test_without_a_price_there_is_no_cost() -> None:
    assert AIModelCallsProgress().cost is None


# --- the end, at any time


@both
def test_leaving_early_cancels_what_runs(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        begun = anyio.current_time()
        async with client.generate_many_async(["1", "50", "60", "70"], concurrency=3) as results:
            async for _ in results:
                break
        assert anyio.current_time() - begun == pytest.approx(1.0)
        assert set(service.cancelled) >= {"50", "60"}
        assert service.running == 0
        with pytest.raises(UsageError, match="read once"):
            await anext(results)

    in_virtual_time(backend, body)


@both
def test_an_error_in_the_block_is_not_wrapped(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        async def fail() -> None:
            async with client.generate_many_async(["50"]):
                await anyio.sleep(1)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert service.cancelled == ["50"]

    in_virtual_time(backend, body)


@both
def test_a_cancelled_reader_cancels_the_calls_and_is_cancelled(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        after = False
        with anyio.move_on_after(5) as scope:
            await read(client.generate_many_async(["50"]))
            after = True
        assert scope.cancelled_caught
        assert not after
        assert service.cancelled == ["50"]

    in_virtual_time(backend, body)


@both
def test_requests_that_are_waited_for_are_closed(backend: str) -> None:
    closed: list[str] = []

    async def never() -> AsyncIterator[str]:
        try:
            yield "1"
            await anyio.sleep_forever()
        finally:
            closed.append("waiting")

    async def more() -> AsyncIterator[str]:
        try:
            while True:
                yield "1"
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append("suspended")

    class Plain:
        """An async iterator that is no generator."""

        def __aiter__(self) -> Plain:
            return self

        async def __anext__(self) -> str:
            return "1"

    async def body(client: AIModelClient, _: Service) -> None:
        for requests in (never(), more(), Plain()):
            async with client.generate_many_async(requests, concurrency=1) as results:
                await anext(results)
        assert closed == ["waiting", "suspended"]

    in_virtual_time(backend, body)


@both
def test_a_client_that_is_closed_makes_no_more_calls(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        async with client.generate_many_async(["1", "2", "3"], concurrency=1) as results:
            assert (await anext(results)).error is None
            await anyio.sleep(0.5)
            await client.aclose()
            await anyio.sleep(5)
            assert (await anext(results)).index == 1
            with pytest.raises(StreamInterrupted, match="closed before all requests"):
                await anext(results)
        assert len(service.begun) == 2

    in_virtual_time(backend, body)


@both
def test_a_client_that_is_closed_after_the_last_request_was_made(backend: str) -> None:
    async def body(client: AIModelClient, _: Service) -> None:
        found: Results = []
        async with client.generate_many_async(["1", "2"]) as results:
            async for result in results:
                found.append(result)
                await client.aclose()
        assert len(found) == 2

    in_virtual_time(backend, body)


@both
def test_calls_that_wait_for_a_rate_limit_are_not_sent_by_a_closed_client(backend: str) -> None:
    async def body(client: AIModelClient, service: Service) -> None:
        begun = anyio.current_time()
        found: Results = []
        many = client.generate_many_async(["1"] * 5, concurrency=3, requests_per_minute=6)
        async with many as results:
            assert (await anext(results)).error is None
            await client.aclose()
            with pytest.raises(StreamInterrupted, match="closed before all requests"):
                await take_all(results, found)
        assert anyio.current_time() - begun == pytest.approx(1.0)
        assert len(service.begun) == 1
        assert [type(result.error) for result in found] == [StreamInterrupted] * len(found)
        assert len(found) >= 2

    in_virtual_time(backend, body)


@both
def test_a_reader_of_slow_requests_learns_at_once_that_the_client_was_closed(backend: str) -> None:
    async def slowly() -> AsyncIterator[str]:
        yield "1"
        await anyio.sleep(1000)
        yield "2"

    async def body(client: AIModelClient, service: Service) -> None:
        async def close() -> None:
            await anyio.sleep(5)
            await client.aclose()

        begun = anyio.current_time()
        found: Results = []
        async with client.generate_many_async(slowly()) as results, anyio.create_task_group() as t:
            t.start_soon(close)
            with pytest.raises(StreamInterrupted, match="closed before all requests"):
                await take_all(results, found)
            assert anyio.current_time() - begun == pytest.approx(5.0)
            await anyio.sleep(2000)  # what is given then is not begun
            with pytest.raises(StreamInterrupted, match="closed before all requests"):
                await anext(results)
        assert len(found) == len(service.begun) == 1

    in_virtual_time(backend, body)


# --- arguments


async def tell(progress: AIModelCallsProgress) -> None:
    raise AssertionError(progress)


CLIENT = client_of("http://127.0.0.1:9")
SYNC = sync_client("http://127.0.0.1:9")
WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no place": ([], {"concurrency": 0}, "concurrency: .*from 1 on, got 0"),
    "half a place": ([], {"concurrency": 1.5}, "concurrency: .*got 1.5"),
    "a bool": ([], {"concurrency": True}, "concurrency: .*got True"),
    "no requests a minute": ([], {"requests_per_minute": 0}, "requests_per_minute: .*got 0"),
    "fewer than none": ([], {"requests_per_minute": -1}, "requests_per_minute: .*got -1"),
    "any number": ([], {"requests_per_minute": float("inf")}, "requests_per_minute: .*got inf"),
    "no number": ([], {"tokens_per_minute": float("nan")}, "tokens_per_minute: .*got nan"),
    "a text": ([], {"tokens_per_minute": "9"}, "tokens_per_minute: .*got '9'"),
    "no tokens": ([], {"tokens_per_minute": 0}, "tokens_per_minute: .*got 0"),
    "a limit that is a bool": ([], {"tokens_per_minute": True}, "tokens_per_minute: .*got True"),
    "no path": ([], {"results_file": 7}, "results_file: expected a path, got `int`"),
    "no function": ([], {"on_progress": 7}, "on_progress: expected a function, got `int`"),
    "a coroutine function": ([], {"on_progress": tell}, "on_progress: .*plain function"),
    "one prompt": ("Hi", {}, "requests: expected many, e.g. a list, got one `str`"),
    "one dict": ({"text": "Hi"}, {}, "requests: expected many, .*`dict`"),
    "one request": (AIModelCallRequest(prompt="Hi"), {}, "requests: .*`AIModelCallRequest`"),
    "nothing": (None, {}, "requests: expected an iterable, got `NoneType`"),
}


@pytest.mark.parametrize(("requests", "options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_named(requests: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CLIENT.generate_many_async(requests, **options)
    with pytest.raises(ConfigError, match=message):
        SYNC.generate_many(requests, **options)


def test_a_name_that_no_file_could_hold_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match=r"AIModelCallRequest\.id: 'a\\udcff' is no text"):
        AIModelCallRequest(id="a\udcff", prompt="Hi")
    request = AIModelCallRequest(id="\U0001f600", prompt="Hi")
    with pytest.raises(ConfigError, match="is no text"):
        request.id = "\ud83d"
    assert request.id == "\U0001f600"


def test_what_is_wrong_with_every_call_is_said_at_once() -> None:
    elsewhere = endpoint("http://127.0.0.1:9", GPT5Nano)
    with pytest.raises(ConfigError, match="does not serve the model"):
        AIModelClient(elsewhere, AIModelCallConfig()).generate_many_async([])


def test_the_method_of_the_other_client_names_the_right_one() -> None:
    with pytest.raises(UsageError, match=r"Use generate_many$"):
        SYNC.generate_many_async([])
    with pytest.raises(UsageError, match="Use generate_many_async"):
        CLIENT.generate_many([])


async def test_results_are_read_in_their_block_and_once() -> None:
    results = CLIENT.generate_many_async([])
    with pytest.raises(UsageError, match="async with"):
        await anext(results)
    assert await read(results) == []
    with pytest.raises(UsageError, match="once"):
        await read(results)


# --- the results file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_file(path).split(b"\n")[:-1]]


def read_file(path: Path) -> bytes:
    return path.read_bytes()


def write_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def changed_at(path: Path) -> int:
    return path.stat().st_mtime_ns


async def run(client: AIModelClient, requests: Any, path: Path, **options: Any) -> Results:
    many = client.generate_many_async(requests, results_file=path, ordered=True, **options)
    return await read(many)


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A server that is asked by several runs: its address counts."""
    async with Simulator() as sim:
        yield sim


async def test_what_is_finished_is_not_sent_again(path: Path) -> None:
    async with Simulator() as sim, client_of(sim.url) as client:
        requests = ["one", "two", AIModelCallRequest(id="c", prompt="three"), "one"]
        first = await run(client, requests, path)
        assert len(sim.requests) == 4
        again = await run(client, requests, path)
        assert len(sim.requests) == 4
    assert [result.from_file for result in again] == [True] * 4
    assert [result.response for result in again] == [result.response for result in first]
    assert [(r.index, r.id, r.error) for r in again] == [
        (0, None, None),
        (1, None, None),
        (2, "c", None),
        (3, None, None),
    ]
    assert {line["type"] for line in lines(path)} == {"ai_model_call_result"}
    assert sorted((line["index"], line["id"]) for line in lines(path) if line["id"]) == [(2, "c")]
    assert len(lines(path)) == 4
    assert b"sk-ant" not in read_file(path)


async def test_what_failed_is_called_again(path: Path) -> None:
    faults = [Respond(400), None, None, None]
    async with Simulator(faults=faults) as sim, client_of(sim.url) as client:
        first = await run(client, ["one", "two"], path, concurrency=1)
        assert isinstance(first[0].error, InvalidRequestError)
        again = await run(client, ["one", "two"], path)
        assert [(r.error, r.from_file) for r in again] == [(None, False), (None, True)]
        last = await run(client, ["one", "two", " "], path)
        assert [r.from_file for r in last] == [True, True, False]
    statuses = [line["status"] for line in lines(path)]
    assert statuses == [
        "response_received_api_error",
        *["response_received_success"] * 2,
        "request_not_send",
    ]


async def test_a_changed_request_is_another_one(path: Path, sim: Simulator) -> None:
    async with client_of(sim.url) as client:
        before = [AIModelCallRequest(id="a", prompt="one"), "two", "three"]
        after = [AIModelCallRequest(id="a", prompt="ONE"), "three", "three"]
        await run(client, before, path)
        results = await run(client, after, path)
        assert [result.from_file for result in results] == [False, False, True]
        # By its own name, wherever it is.
        [result] = await run(client, before[:1], path)
        assert result.from_file
        moved = await run(client, ["new", before[0]], path)
        assert [result.from_file for result in moved] == [False, True]


OTHERS: dict[str, dict[str, Any]] = {
    "an option": {"options": {"temperature": 0.5}},
    "another endpoint": {"url": "/elsewhere"},
    "a preview feature": {"options": {"betas": ["context-1m-2025-08-07"]}},
    "an answer that is not streamed": {"streaming": False},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_an_answer_of_other_settings_is_another_one(
    other: dict[str, Any], path: Path
) -> None:
    own = httpx.AsyncClient(transport=httpx.MockTransport(answer_at_once))
    async with own:
        await run(client_of("https://llm.example", http_client=own), ["one"], path)
        settings = dict(other)
        url = "https://llm.example" + settings.pop("url", "")
        client = client_of(url, http_client=own, **settings)
        assert [r.from_file for r in await run(client, ["one"], path)] == [False]
        assert [r.from_file for r in await run(client, ["one"], path)] == [True]


def answer_at_once(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=said("Hello"))


async def test_an_answer_of_the_simulator_is_not_taken_for_a_real_one(
    path: Path, sim: Simulator
) -> None:
    async with client_of(sim.url, test_mode=True) as client:
        await run(client, ["one"], path)
    async with client_of(sim.url) as client:
        assert [r.from_file for r in await run(client, ["one"], path)] == [False]
    assert len(sim.requests) == 1


async def test_another_key_makes_no_other_request(path: Path, sim: Simulator) -> None:
    async with client_of(sim.url) as client:
        await run(client, ["one"], path)
        api = client.model_endpoint.api
        api.api_key = f"{KEY}-2"
        assert [r.from_file for r in await run(client, ["one"], path)] == [True]


ANSWERS = {
    "text": Answer("Grüße, \u2028 and \U0001f600"),
    "tool calls": Answer(
        Thinking("Hm."), ToolCall("get_weather", {"city": "Paris", "n": [1, None, 1e300]})
    ),
    "cut tool calls": Answer(ToolCall("get_weather", '{"city": ')),
    "structured": Answer('{"name": "Ada"}'),
    "wrongly structured": Answer("no JSON"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_answer_is_the_same_from_the_file(
    answer: Answer, streaming: bool, path: Path
) -> None:
    settings: dict[str, Any] = {"streaming": streaming, "tools": [WEATHER]}
    if answer.content[0] in {Answer(text).content[0] for text in ('{"name": "Ada"}', "no JSON")}:
        settings = {"streaming": streaming, "structured_output": PERSON}
    async with Simulator(answer) as sim, client_of(sim.url, **settings) as client:
        [first] = await run(client, ["Hi"], path)
        [again] = await run(client, ["Hi"], path)
    assert again.from_file
    assert first.response.chat_response is not None
    assert again.response == first.response


@dataclass
class Person:
    """What an answer is to be."""

    name: str


async def test_a_structured_output_from_the_file_has_its_class(path: Path) -> None:
    config = StructuredOutputConfig.from_model(Person)
    async with (
        Simulator(Answer('{"name": "Ada"}')) as sim,
        client_of(sim.url, structured_output=config) as client,
    ):
        [first] = await run(client, ["Hi"], path)
        [again] = await run(client, ["Hi"], path)
    assert again.response == first.response
    assert again.response.chat_response is not None
    assert again.response.chat_response.structured_instance() == Person("Ada")


async def test_a_failure_s_line_has_what_came(path: Path) -> None:
    async with (
        Simulator(Answer("one two three"), faults=Drop(deltas=2)) as sim,
        client_of(sim.url) as client,
    ):
        [result] = await run(client, ["Hi"], path)
    assert result.error is not None
    [line] = lines(path)
    assert line["status"] == "response_incomplete"
    assert "one two" in json.dumps(line["response"]["chat_response"])


async def test_an_answer_that_json_has_not_is_asked_for_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deep(*_: Any, **__: Any) -> Any:
        raise RecursionError("too deep")

    async with Simulator() as sim, client_of(sim.url) as client:
        with monkeypatch.context() as patched:
            patched.setattr("dhenara_stream.types.AIModelCallResponse.model_dump", deep)
            [result] = await run(client, ["Hi"], path)
        assert result.error is None
        assert lines(path)[0]["response"] is None
        [again] = await run(client, ["Hi"], path)
        assert not again.from_file


async def test_finished_results_that_nobody_took_are_in_the_file(path: Path) -> None:
    async with Simulator() as sim, client_of(sim.url) as client:
        requests = ["one", "two", "three"]
        async with client.generate_many_async(requests, results_file=path) as results:
            await anext(results)
            await sim.wait_requests(3)
            while results.progress.running:
                await anyio.lowlevel.checkpoint()
        again = await run(client, requests, path)
        assert [result.from_file for result in again] == [True] * 3
        assert len(sim.requests) == 3


# --- a file that was cut, or is another


@pytest.fixture
async def two_lines(path: Path, sim: Simulator) -> bytes:
    async with client_of(sim.url) as client:
        await run(client, ["one", "two"], path, concurrency=1)
    return read_file(path)


async def test_a_last_line_that_was_cut_is_taken_away_and_called_again(
    two_lines: bytes, path: Path, sim: Simulator
) -> None:
    first, second, _ = two_lines.split(b"\n")
    async with client_of(sim.url) as client:
        for kept in (*range(1, 40), len(second) // 2, len(second) - 1):
            write_file(path, first + b"\n" + second[:kept])
            results = await run(client, ["one", "two"], path)
            assert [result.from_file for result in results] == [True, False]
            assert len(lines(path)) == 2
        write_file(path, first[:9])
        results = await run(client, ["one", "two"], path)
        assert [result.from_file for result in results] == [False, False]
        assert len(lines(path)) == 2


async def test_a_last_line_that_lacks_only_its_end_counts(
    two_lines: bytes, path: Path, sim: Simulator
) -> None:
    write_file(path, two_lines[:-1])
    async with client_of(sim.url) as client:
        results = await run(client, ["one", "two", "three"], path)
    assert [result.from_file for result in results] == [True, True, False]
    assert len(lines(path)) == 3


FOREIGN = {
    "a note": b"remember the milk",
    "a note's line": b"remember the milk\n",
    "JSON": b'{"a": 1}\n',
    "JSON without an end": b'{"a": 1}',
    "no UTF-8": b'{"type":"ai_model_call_result","index":0,"id":"\xff"}\n',
    "a line that was cut and went on": b'{"type":"ai_model_call_result","ind\n',
    "no answer": b'{"type":"ai_model_call_result","index":0,"id":null,"fingerprint":"",'
    b'"status":"response_received_success","response":{"status":7}}\n',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("after", [False, True])
async def test_another_file_is_an_error_and_stays_as_it_is(
    two_lines: bytes, content: bytes, after: bool, path: Path
) -> None:
    whole = two_lines * after + content
    write_file(path, whole)
    number = 3 if after else 1
    with pytest.raises(ConfigError, match=rf"results\.jsonl, line {number}: not the line of a"):
        await run(CLIENT, ["one"], path)
    assert read_file(path) == whole


async def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "results.jsonl"):
        with pytest.raises(ConfigError, match=r"results_file: .*cannot be used"):
            await run(CLIENT, ["one"], path)


async def test_a_file_that_lacks_nothing_is_not_touched(two_lines: bytes, path: Path) -> None:
    os.utime(path, ns=(0, 0))
    await run(CLIENT, [], path)
    assert changed_at(path) == 0
    assert read_file(path) == two_lines


async def test_a_file_that_can_no_longer_be_written_ends_the_calls(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with (
        Simulator() as sim,
        client_of(sim.url) as client,
        client.generate_many_async(["one"] * 9, results_file=path) as results,
    ):
        monkeypatch.setattr(ResultsFile, "_put", full)
        with pytest.raises(DhenaraStreamError, match=r"results\.jsonl: No space left"):
            await anext(results)
        assert [result async for result in results] == []
    assert read_file(path) == b""


ANSWER = AIModelCallResponse()


async def fail(work: Awaitable[object], message: str) -> None:
    with pytest.raises(DhenaraStreamError, match=message):
        await work


async def test_after_half_a_line_nothing_is_written_and_nobody_believes_it_was(
    two_lines: bytes, path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: ResultsFile, data: bytes) -> None:
        self._file.write(data[:50])  # pyright: ignore[reportPrivateUsage]
        raise OSError(errno.ENOSPC, "No space left on device")

    file = await ResultsFile.open(path)
    keys = [CallKey(index, b"") for index in range(4)]
    no_space = r"results\.jsonl: No space left on device; what was finished before is kept"
    with monkeypatch.context() as patched:
        patched.setattr(ResultsFile, "_put", half)
        async with anyio.create_task_group() as tasks:
            for key in keys[:3]:
                tasks.start_soon(fail, file.add(key, 0, ANSWER), no_space)
    await fail(file.add(keys[3], 3, ANSWER), no_space)  # where there is space again
    assert read_file(path).startswith(two_lines)
    assert len(read_file(path)) == len(two_lines) + 50
    file.close()
    async with client_of(sim.url) as client:
        assert [r.from_file for r in await run(client, ["one", "two"], path)] == [True, True]
    assert read_file(path) == two_lines


async def test_after_a_failure_no_result_is_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = anyio.Event()

    async def result(_: ManyCalls, job: Any) -> AIModelCallResult:
        if job.index == 0:
            failed.set()
            raise DhenaraStreamError("no space")
        await failed.wait()
        return AIModelCallResult(index=job.index, response=ANSWER)

    monkeypatch.setattr(ManyCalls, "_result", result)
    async with CLIENT.generate_many_async(["one", "two"]) as results:
        await anyio.wait_all_tasks_blocked()
        await fail(anext(results), "no space")
        assert [result async for result in results] == []
        assert results.progress.done == 0


# --- a file that others use


async def test_a_file_that_another_run_has_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_file, "LOCK_SECONDS", 0.0)
    file = await ResultsFile.open(path)
    with pytest.raises(ConfigError, match=r"results\.jsonl: is in use by another run"):
        await run(CLIENT, [], path)
    file.close()
    assert await run(CLIENT, [], path) == []


async def test_a_run_waits_for_the_last_lines_of_the_one_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await ResultsFile.open(path)
    found: list[bool] = []

    def is_taken(of: Any) -> bool:
        found.append(original(of))
        if found[-1]:
            file.close()
        return found[-1]

    original = results_file._is_taken  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(results_file, "_is_taken", is_taken)
    monkeypatch.setattr(results_file, "LOCK_INTERVAL", 0.0)
    assert await run(CLIENT, [], path) == []
    assert found == [True, False]


async def test_a_run_that_is_cancelled_while_it_waits_leaves_the_file(path: Path) -> None:
    file = await ResultsFile.open(path)
    with anyio.move_on_after(0.01) as scope:
        await run(CLIENT, [], path)
    assert scope.cancelled_caught
    file.close()
    assert await run(CLIENT, [], path) == []


class OtherLocks:
    """The locks of other systems: Windows' module, or a file system without any."""

    LK_NBLCK, LK_UNLCK, LOCK_EX, LOCK_NB, LOCK_UN = range(5)

    def __init__(self, problem: OSError | None = None) -> None:
        self.problem = problem
        self.done: list[tuple[int, int, int]] = []

    def locking(self, file: int, mode: int, size: int) -> None:
        self.done.append((mode, os.lseek(file, 0, os.SEEK_CUR), size))
        if self.problem is not None:
            raise self.problem

    def flock(self, *_: object) -> None:
        if self.problem is not None:
            raise self.problem


async def test_where_there_are_other_locks_they_are_used(
    two_lines: bytes, path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = OtherLocks()
    monkeypatch.setattr(results_file, "_fcntl", None)
    monkeypatch.setattr(results_file, "_msvcrt", windows)
    async with client_of(sim.url) as client:
        results = await run(client, ["one", "", "x"], path)
    assert [result.from_file for result in results] == [True, False, False]
    assert read_file(path).startswith(two_lines)
    [locked, unlocked] = windows.done
    assert (locked[0], unlocked[0]) == (windows.LK_NBLCK, windows.LK_UNLCK)
    assert locked[1:] == unlocked[1:] == (2**31 - 2, 1)
    monkeypatch.setattr(results_file, "LOCK_SECONDS", 0.0)
    windows.problem = OSError(errno.EACCES, "Permission denied")
    with pytest.raises(ConfigError, match="in use by another run"):
        await run(CLIENT, [], path)


@pytest.mark.parametrize("fcntl", [None, OtherLocks(OSError(errno.ENOTSUP, "Not supported"))])
async def test_where_there_are_no_locks_there_is_none(
    fcntl: OtherLocks | None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_file, "_fcntl", fcntl)
    monkeypatch.setattr(results_file, "_msvcrt", None)
    file = await ResultsFile.open(path)
    assert await run(CLIENT, [], path) == []
    file.close()


def swapped(two_lines: bytes) -> bytes:
    """The two lines the other way round, each where the other was."""
    first, second = two_lines.splitlines()
    size = max(len(first), len(second))
    return second.ljust(size) + b"\n" + first.ljust(size) + b"\n"


def padded(two_lines: bytes) -> bytes:
    """The two lines with the same length."""
    return b"".join(reversed(swapped(two_lines).splitlines(keepends=True)))


def cut(lines: bytes) -> bytes:
    """Without the second line's second half."""
    return lines[: len(lines) // 4 * 3]


def emptied(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [swapped, cut, emptied])
async def test_a_file_that_is_changed_under_a_run_is_named(
    change: Callable[[bytes], bytes], two_lines: bytes, path: Path, sim: Simulator
) -> None:
    whole = padded(two_lines)
    write_file(path, whole)
    async with (
        client_of(sim.url) as client,
        client.generate_many_async(["one", "two"], results_file=path) as results,
    ):
        write_file(path, change(whole))
        with pytest.raises(DhenaraStreamError, match=r"results\.jsonl: was changed while"):
            await take_all(results, [])
    assert len(sim.requests) == 2


async def test_a_file_that_can_no_longer_be_read_is_named(
    two_lines: bytes, path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    assert two_lines
    monkeypatch.setattr(ResultsFile, "_get", broken)
    async with client_of(sim.url) as client:
        await fail(run(client, ["one"], path), r"results\.jsonl: Input/output error")


class Slowly:
    """A file that takes three bytes at a time."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return int(self._file.write(data[:3]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


async def test_what_the_system_takes_in_pieces_is_written_whole(
    two_lines: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def slowly(self: Path, mode: str, **options: Any) -> Any:
        file: Any = opened(self, mode, **options)
        return Slowly(file) if mode == "a+b" else file

    monkeypatch.setattr(Path, "open", slowly)
    async with Simulator() as sim, client_of(sim.url) as client:
        await run(client, ["three", "four"], path, concurrency=1)
    assert [line["index"] for line in lines(path)] == [0, 1, 0, 1]
    assert read_file(path).startswith(two_lines)

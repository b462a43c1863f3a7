"""The relay of the examples, asked as a server asks it: by ASGI, in this event loop."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.requests import ClientDisconnect

from dhenara_stream.simulator import Answer, Respond, Silence, Simulator, Thinking
from dhenara_stream.types import SSEErrorResponse, SSEResponse, StreamingChatResponse

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "07_relay_starlette.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Browser:
    """One request to an ASGI application, and what came of it.

    Attributes:
        spec_version: How the server tells of a browser that left: by a message (2.3), or only by
            failing to send (2.4).
        leaves_after: After how many pieces of the body it leaves.
    """

    app: Any
    state: dict[str, Any]
    spec_version: str = "2.3"
    leaves_after: int | None = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: list[str] = field(default_factory=list[str])

    async def get(self, path: str, query: str = "") -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [],
            "state": dict(self.state),
        }
        self.left = anyio.Event()
        await self.app(scope, self.receive, self.send)

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self.left.is_set() and self.spec_version == "2.4":
            raise OSError("the browser is gone")
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        elif message.get("body"):
            self.pieces.append(message["body"].decode())
            if len(self.pieces) == self.leaves_after:
                self.left.set()

    def events(self) -> list[SSEResponse[Any]]:
        """The body as a browser has it: events, each ended by a blank line."""
        texts = "".join(self.pieces).split("\n\n")
        assert texts.pop() == ""
        return [SSEResponse.parse_sse(text) for text in texts]


@asynccontextmanager
async def serving(
    monkeypatch: pytest.MonkeyPatch, **keywords: Any
) -> AsyncIterator[tuple[Simulator, Any, dict[str, Any]]]:
    """A simulator, the application, and the state that its life gives."""
    app = load().app
    async with Simulator(**keywords) as sim:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", sim.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-not-a-real-key")
        async with app.router.lifespan_context(app) as state:
            yield sim, app, state


def texts(events: list[SSEResponse[Any]], kind: str) -> str:
    contents = [
        content
        for event in events
        for choice in event.data.choice_deltas
        for content in choice.content_deltas or ()
    ]
    return "".join(c.text_delta or "" for c in contents if c.type == kind)


async def test_the_answer_reaches_the_browser_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(Thinking("Let me see."), "Two levels,\r\nand “between”.")
    async with serving(monkeypatch, answers=answer) as (sim, app, state):
        browser = Browser(app, state)
        await browser.get("/chat", "prompt=What%20is%20a%20qubit%3F")

    assert browser.status == 200
    assert browser.headers["content-type"].startswith("text/event-stream")
    assert browser.headers["cache-control"] == "no-cache"
    assert browser.headers["x-accel-buffering"] == "no"
    events = browser.events()
    assert all(isinstance(event, StreamingChatResponse) for event in events)
    assert len(browser.pieces) == len(events) > 5
    assert texts(events, "reasoning") == "Let me see."
    assert texts(events, "text") == "Two levels,\r\nand “between”."
    assert [event.data.done for event in events].index(True) == len(events) - 1
    assert events[-1].data.usage.prompt_tokens > 0
    assert sim.requests[0].json["messages"][0]["content"][0]["text"] == "What is a qubit?"


async def test_browsers_share_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch) as (sim, app, state):
        for _ in range(3):
            await Browser(app, state).get("/chat", "prompt=Hi")

        assert sim.connections.accepted == 1


async def test_an_error_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Respond(400, message="not like this")
    async with serving(monkeypatch, faults=faults) as (_, app, state):
        browser = Browser(app, state)
        await browser.get("/chat", "prompt=Hi")

    (event,) = browser.events()
    assert isinstance(event, SSEErrorResponse)
    assert "not like this" in event.data.message


@pytest.mark.parametrize("query", ["", "prompt=", "prompt=%20"])
async def test_no_prompt_is_the_browsers_fault(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch) as (sim, app, state):
        browser = Browser(app, state)
        await browser.get("/chat", query)

        assert browser.status == 400
        assert "prompt" in browser.pieces[0]
        assert sim.requests == []


async def test_a_browser_that_leaves_closes_the_providers_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(monkeypatch, faults=Silence(deltas=3)) as (sim, app, state):
        browser = Browser(app, state, leaves_after=2)
        await browser.get("/chat", "prompt=Hi")
        await sim.wait_closed()

        assert sim.requests[0].client_left


async def test_a_browser_that_is_found_gone_closes_the_providers_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(monkeypatch, faults=Silence(deltas=3)) as (sim, app, state):
        browser = Browser(app, state, spec_version="2.4", leaves_after=2)
        with pytest.raises(ClientDisconnect):
            await browser.get("/chat", "prompt=Hi")
        await sim.wait_closed()

        assert sim.requests[0].client_left


async def test_the_page_reads_what_the_relay_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch) as (_, app, state):
        page, chat = Browser(app, state), Browser(app, state)
        await page.get("/")
        await chat.get("/chat", "prompt=Hi")

    assert page.headers["content-type"].startswith("text/html")
    html = "".join(page.pieces)
    listened = set(re.findall(r'addEventListener\("(\w+)"', html))
    assert listened == {"token_stream", "error"}
    assert {piece.split("\n")[0] for piece in chat.pieces} == {"event: token_stream"}
    for name in ("choice_deltas", "content_deltas", "text_delta", "done"):
        assert name in html
        assert f'"{name}"' in chat.pieces[0]

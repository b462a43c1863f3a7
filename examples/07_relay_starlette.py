"""A web service that relays answers to browsers, and a page that shows them.

Run it with any ASGI server: ``uvicorn --app-dir examples 07_relay_starlette:app``
"""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dhenara_stream import AIModelClient
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelEndpoint,
)
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>dhenara_stream, relayed</title>
<style>pre { white-space: pre-wrap } #thinking { color: gray }</style>
<form><input name="prompt" size="60" value="What is a qubit?" autofocus> <button>Ask</button></form>
<pre id="thinking"></pre>
<pre id="answer"></pre>
<script>
const form = document.querySelector("form");
const thinking = document.querySelector("#thinking");
const answer = document.querySelector("#answer");
let source;

form.onsubmit = submit => {
  submit.preventDefault();
  source?.close();
  thinking.textContent = answer.textContent = "";
  source = new EventSource("chat?prompt=" + encodeURIComponent(form.prompt.value));
  source.addEventListener("token_stream", event => {
    const chunk = JSON.parse(event.data);
    for (const choice of chunk.choice_deltas)
      for (const delta of choice.content_deltas ?? [])
        (delta.type === "reasoning" ? thinking : answer).append(delta.text_delta ?? "");
    if (chunk.done) source.close();  // left open, it would ask again
  });
  source.addEventListener("error", event => {  // the service's event, or the browser's own
    answer.append("\\n", event.data ? JSON.parse(event.data).message : "The connection broke.");
    source.close();
  });
};
</script>
"""


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def chat(request: Request) -> Response:
    prompt = request.query_params.get("prompt", "").strip()
    if not prompt:
        return PlainTextResponse("prompt: say something", 400)
    return Relay(events(request.state.client, prompt))


async def events(client: AIModelClient, prompt: str) -> AsyncGenerator[str]:
    """The answer as server-sent events, an error as one of them."""
    response = await client.generate_async(prompt=prompt)
    async with response.stream_generator as stream:
        async for chunk, _ in stream:
            if chunk is not None:
                yield chunk.to_sse_format()


class Relay(StreamingResponse):
    """Ends its source with itself: when the browser leaves, the provider's connection closes."""

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[str]) -> None:
        super().__init__(source, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._source):
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, AIModelClient]]:
    api = AIModelAPI(
        provider=AIModelAPIProviderEnum.ANTHROPIC, api_key=os.environ["ANTHROPIC_API_KEY"]
    )
    config = AIModelCallConfig(
        streaming=True, reasoning=True, max_reasoning_tokens=1024, max_output_tokens=4000
    )
    async with AIModelClient(AIModelEndpoint(api=api, ai_model=ClaudeHaiku45), config) as client:
        yield {"client": client}


app = Starlette(routes=[Route("/", page), Route("/chat", chat)], lifespan=lifespan)

"""The client: arguments in, a stream or an answer out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from dhenara_stream.core.accumulator import AnswerFacts
from dhenara_stream.core.conversation import conversation
from dhenara_stream.dialects.base import ChatRequest
from dhenara_stream.engine.handle import AsyncChatStream
from dhenara_stream.engine.many import (
    AsyncManyResults,
    ManyCalls,
    ManyOptions,
    OnProgress,
    RequestLike,
    Requests,
)
from dhenara_stream.engine.stream import Call, ChatStream
from dhenara_stream.engine.sync import Bridge
from dhenara_stream.engine.sync_many import SyncManyResults
from dhenara_stream.engine.transport import Transport
from dhenara_stream.errors import ConfigError, UsageError
from dhenara_stream.providers.registry import http_request, route_for
from dhenara_stream.types.genai.ai_model import AIModelEndpoint
from dhenara_stream.types.genai.dhenara.request import (
    AIModelCallConfig,
    AIModelCallRequest,
    Prompt,
    SystemInstruction,
    ToolCallResult,
    ToolCallResultsMessage,
)
from dhenara_stream.types.genai.dhenara.response import (
    AIModelCallResponse,
    AsyncResults,
    ChatResponse,
    SyncResults,
)

__all__ = ["AIModelClient"]

PromptLike = str | Mapping[str, Any] | Prompt
InstructionLike = str | Mapping[str, Any] | SystemInstruction
MessageLike = (
    str | Mapping[str, Any] | Prompt | ChatResponse | ToolCallResult | ToolCallResultsMessage
)


class AIModelClient:
    """Calls one model at one place, any number of times, also at once.

    Args:
        model_endpoint: The model and the place.
        config: How calls are made; the defaults if not given.
        is_async: Whether ``generate_async`` is used, or ``generate``.
        http_client: Your own ``httpx.AsyncClient``, also for a sync client, e.g. for proxies, a
            CA bundle or a test transport. It stays yours to close.

    Connections are kept from call to call. ``with`` / ``async with``, or ``close()`` /
    ``aclose()``, let them go at a known time.

    Raises:
        ConfigError: If an argument is of the wrong type.
    """

    def __init__(
        self,
        model_endpoint: AIModelEndpoint,
        config: AIModelCallConfig | None = None,
        is_async: bool = True,
        *,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        config = AIModelCallConfig() if config is None else config
        _check("model_endpoint", model_endpoint, AIModelEndpoint)
        _check("config", config, AIModelCallConfig)
        if http_client is not None:
            _check("http_client", http_client, httpx.AsyncClient)
        self.model_endpoint = model_endpoint
        self.config = config
        self.is_async = is_async
        with suppress(ConfigError):  # which the call raises
            route_for(model_endpoint).dialect.load()
        self._transport = Transport(_http_client(config, http_client))
        self._bridge = Bridge(self._transport)

    def __repr__(self) -> str:
        model, api = self.model_endpoint.ai_model, self.model_endpoint.api
        mode = "async" if self.is_async else "sync"
        return f"<AIModelClient {model.model_name} at {api.provider.value}, {mode}>"

    # --- calls

    async def generate_async(
        self,
        prompt: PromptLike | None = None,
        context: Sequence[PromptLike] | None = None,
        instructions: Sequence[InstructionLike] | str | None = None,
        messages: Sequence[MessageLike] | None = None,
    ) -> AIModelCallResponse:
        """Call the model.

        Args:
            prompt: What the user says.
            context: What was said before.
            instructions: What the model is told first.
            messages: The whole conversation, instead of ``prompt`` and ``context``.

        Returns:
            With ``streaming=True`` a response whose ``stream_generator`` is to be iterated with
            ``async for``; else one with ``chat_response``, or with a ``status`` that says what
            went wrong.

        Raises:
            ConfigError: If an argument is wrong; nothing was sent.
            DhenaraStreamError: With ``raise_errors=True``, if a call that is not streamed fails.
        """
        if not self.is_async:
            raise UsageError("this client is sync (is_async=False). Use generate")
        call = self._call(prompt, context, instructions, messages)
        core = ChatStream(call, self._transport)
        if not self.config.streaming:
            return await core.collect()
        stream = AsyncChatStream(core)
        await core.open()
        return AIModelCallResponse(status=core.status, async_stream_generator=stream)

    def generate(
        self,
        prompt: PromptLike | None = None,
        context: Sequence[PromptLike] | None = None,
        instructions: Sequence[InstructionLike] | str | None = None,
        messages: Sequence[MessageLike] | None = None,
    ) -> AIModelCallResponse:
        """As :meth:`generate_async`, for code without an event loop.

        Works in any thread, also where an event loop runs, e.g. in a notebook.

        Raises:
            ConfigError: If an argument is wrong; nothing was sent.
            DhenaraStreamError: With ``raise_errors=True``, if a call that is not streamed fails.
        """
        if self.is_async:
            raise UsageError(
                "this client is async (is_async=True, the default). Use generate_async, or make "
                "the client with is_async=False"
            )
        stream = self._bridge.stream(self._call(prompt, context, instructions, messages))
        if not self.config.streaming:
            return stream.collect()
        return AIModelCallResponse(status=stream.status, sync_stream_generator=stream)

    def generate_many_async(
        self,
        requests: Iterable[RequestLike] | AsyncIterable[RequestLike],
        *,
        concurrency: int = 16,
        ordered: bool = False,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        results_file: str | os.PathLike[str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> AsyncResults:
        """Call the model with many requests, a few at a time; results come as calls end.

        ::

            async with client.generate_many_async(prompts) as results:
                async for result in results:
                    ...

        What fails is a result with an ``error``, and the others go on, also with
        ``raise_errors=True``. The block's end cancels what still runs. What ``requests`` raises
        is raised after the results of those before it.

        Args:
            requests: Prompts, or :class:`AIModelCallRequest`; any iterable, also one without an
                end: they are taken as calls end and results are read.
            concurrency: Calls at once.
            ordered: Whether results come in the order of the requests. Those that are ahead wait,
                at most three for each place.
            requests_per_minute: Calls begin no faster, evenly after a burst of one second's
                worth; retries count.
            tokens_per_minute: As many tokens, input and output, are used at most, in the same
                way. What a call takes is estimated before it and settled after it. Give
                ``max_output_tokens``: until the first answer an output of so many is assumed,
                else one of 1000.
            results_file: Each call that ends becomes a JSON line of this file. A request that
                succeeded there is not sent again: same ``id``, else same place, and the same
                content, address, ``test_mode`` and ``streaming``. The file is locked meanwhile.
            on_progress: Called before each result is handed out; what it raises is raised there.

        Raises:
            ConfigError: If an argument is wrong, two requests of a list have the same ``id``, or,
                at the block's begin, ``results_file`` is a file of another kind or in use by
                another run; nothing was sent.
        """
        if not self.is_async:
            raise UsageError("this client is sync (is_async=False). Use generate_many")
        calls = self._many(
            requests,
            concurrency=concurrency,
            ordered=ordered,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            results_file=results_file,
            on_progress=on_progress,
        )
        return AsyncManyResults(requests, calls)

    def generate_many(
        self,
        requests: Iterable[RequestLike],
        *,
        concurrency: int = 16,
        ordered: bool = False,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        results_file: str | os.PathLike[str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> SyncResults:
        """As :meth:`generate_many_async`, for code without an event loop.

        ::

            with client.generate_many(prompts) as results:
                for result in results:
                    ...

        Requests are taken in the caller's thread, while it waits for the next result.

        Raises:
            ConfigError: If an argument is wrong, two requests of a list have the same ``id``, or,
                at the first result, ``results_file`` is a file of another kind or in use by
                another run; nothing was sent.
        """
        if self.is_async:
            raise UsageError(
                "this client is async (is_async=True, the default). Use generate_many_async, or "
                "make the client with is_async=False"
            )
        calls = self._many(
            requests,
            concurrency=concurrency,
            ordered=ordered,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            results_file=results_file,
            on_progress=on_progress,
        )
        return SyncManyResults(requests, calls, self._bridge)

    # dhenara-ai's other names for the same: connections are always kept.

    async def generate_with_existing_connection_async(
        self, *args: Any, **kwargs: Any
    ) -> AIModelCallResponse:
        """The same as :meth:`generate_async`."""
        return await self.generate_async(*args, **kwargs)

    def generate_with_existing_connection_sync(
        self, *args: Any, **kwargs: Any
    ) -> AIModelCallResponse:
        """The same as :meth:`generate`."""
        return self.generate(*args, **kwargs)

    def generate_with_existing_connection(self, *args: Any, **kwargs: Any) -> Any:
        """The same as :meth:`generate`, or :meth:`generate_async` of an async client."""
        if self.is_async:
            return self.generate_async(*args, **kwargs)
        return self.generate(*args, **kwargs)

    def _call(
        self,
        prompt: PromptLike | None,
        context: Sequence[PromptLike] | None,
        instructions: Sequence[InstructionLike] | str | None,
        messages: Sequence[MessageLike] | None,
    ) -> Call:
        endpoint, config = self.model_endpoint, self.config
        route = route_for(endpoint)
        system, turns = conversation(
            prompt=prompt, context=context, instructions=instructions, messages=messages
        )
        asked = ChatRequest(endpoint=endpoint, config=config, system=system, turns=turns)
        request = http_request(route, asked)
        model = endpoint.ai_model
        facts = AnswerFacts(
            model=model.model_name,
            provider=model.provider,
            api_provider=endpoint.api.provider,
            output=config.output_config,
            output_tool=request.output_tool,
            charge=endpoint.calculate_usage_charge,
        )
        return Call(
            request=request,
            dialect=route.dialect,
            facts=facts,
            config=config,
            api_provider=endpoint.api.provider.value,
            model=model.model_name_with_version_suffix,
        )

    def _many(self, requests: object, **options: Any) -> ManyCalls:
        how = ManyOptions(**options)
        return ManyCalls(Requests(requests, self._call_of), how, self._transport)

    def _call_of(self, request: AIModelCallRequest) -> Call:
        return self._call(request.prompt, request.context, request.instructions, request.messages)

    # --- the client's life

    async def aclose(self) -> None:
        """Close the running event loop's connections; a later call opens new ones."""
        if not self.is_async:
            raise UsageError(
                "aclose is for async clients (cleanup_async called for a sync client). Use close"
            )
        await self._transport.aclose()

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self.is_async:
            raise UsageError(
                "close is for sync clients (cleanup_sync called for an async client). Use aclose"
            )
        self._bridge.close()

    cleanup_async = aclose
    cleanup_sync = close

    async def __aenter__(self) -> Self:
        if not self.is_async:
            raise UsageError("this client is sync (is_async=False). Use 'with'")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        if self.is_async:
            raise UsageError("this client is async (is_async=True). Use 'async with'")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _check(name: str, value: object, cls: type) -> None:
    if not isinstance(value, cls):
        hint = ""
        if isinstance(value, httpx.Client):
            hint = "; the engine is async, also under a sync client"
        raise ConfigError(f"{name}: expected {cls.__name__}, got `{type(value).__name__}`{hint}")


def _http_client(
    config: AIModelCallConfig, http_client: httpx.AsyncClient | None
) -> httpx.AsyncClient | None:
    if not config.test_mode:
        return http_client
    if http_client is not None:
        raise ConfigError("http_client: not used in test_mode, which answers from memory")
    from dhenara_stream.simulator import Simulator

    return httpx.AsyncClient(transport=Simulator(require_key=False).transport(), trust_env=False)

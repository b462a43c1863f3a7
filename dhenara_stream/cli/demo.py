"""Watch an answer arrive, by default from the simulator: no key, no network."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from dhenara_stream import AIModelClient, ConfigError
from dhenara_stream.providers.registry import PROVIDERS, Provider
from dhenara_stream.simulator import Answer, Simulator, Text, Thinking
from dhenara_stream.types import (
    AIModelAPI,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
    ChatResponseChunk,
    ChatResponseReasoningContentItemDelta,
    FoundationModel,
    SSEErrorData,
    SSEErrorResponse,
)
from dhenara_stream.types.genai.foundation_models import ALL_CHAT_MODELS

from .report import facts_of
from .views import View, printable, view_of_stdout

__all__ = ["add_arguments", "run"]

PROMPT = "How does an answer get from a model to my screen?"
THINKING = (
    "How does an answer get from a model to a screen? Showing it is better than explaining it, and "
    "this text is doing so already: a provider sends the thinking first, as a block of its own."
)
ANSWER = """\
The way this one does: **over a socket, a word at a time**. Only the model is played, by the \
simulator of `dhenara_stream`. The bytes are those that the provider would send.

1. Each word comes as one server-sent event.
2. The engine cuts the bytes into events and decodes each into a typed struct.
3. Your loop gets it at once, as a chunk: that is what you saw arrive.
4. The pieces become one answer, with its usage, its price and its times.

Press Ctrl-C halfway and nothing that came is lost. Then ask a model: `--provider NAME`, with a \
key in the environment.
"""
# As a quick model does it.
TIME_TO_FIRST_TOKEN = 0.4
TOKENS_PER_SECOND = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--prompt", metavar="TEXT", help="what to ask")
    known = ", ".join(p.title for p in _providers())
    parser.add_argument("--provider", metavar="NAME", help=f"ask a real service: {known}")
    parser.add_argument("--model", metavar="NAME", help="ask this model at its real service")
    parser.add_argument("--no-thinking", action="store_true", help="answer without thinking")
    parser.add_argument("--fast", action="store_true", help="let the simulator answer at once")


def run(args: argparse.Namespace) -> int:
    """Show one answer; the exit code."""
    prompt: str = PROMPT if args.prompt is None else args.prompt
    with _service(args) as service, service.client(thinking=not args.no_thinking) as client:
        view = view_of_stdout()
        view.begin(service.title, prompt)
        return _report(_watch(client, prompt, view), view)


# --- who is asked


@dataclass(frozen=True, slots=True)
class _Service:
    endpoint: AIModelEndpoint
    title: str
    http_client: httpx.AsyncClient | None = None

    def client(self, *, thinking: bool) -> AIModelClient:
        """A client whose answers, thinking included, cost no more than a demo may."""
        control = self.endpoint.ai_model.get_settings().reasoning_control
        config = AIModelCallConfig(
            streaming=True,
            reasoning=thinking,
            reasoning_effort="low" if control == "effort" else None,
            max_reasoning_tokens=1024 if control == "token_budget" else None,
            max_output_tokens=4096,
        )
        return AIModelClient(self.endpoint, config, is_async=False, http_client=self.http_client)


@contextmanager
def _service(args: argparse.Namespace) -> Generator[_Service]:
    if args.provider is not None or args.model is not None:
        yield _real(args.provider, args.model)
        return
    pace = (None, 0.0) if args.fast else (TOKENS_PER_SECOND, TIME_TO_FIRST_TOKEN)
    blocks = [Text(ANSWER)] if args.no_thinking else [Thinking(THINKING), Text(ANSWER)]
    with Simulator(
        Answer(*blocks) if args.prompt is None else None,
        tokens_per_second=pace[0],
        time_to_first_token=pace[1],
    ) as simulator:
        yield _simulated(simulator)


def _simulated(simulator: Simulator) -> _Service:
    addresses = simulator.base_urls
    served = ((p, env) for p in _providers() for env in p.base_url_envs if env in addresses)
    provider, variable = next(served)
    address = addresses[variable]
    model = _cheapest(_models(provider))
    api = AIModelAPI(
        provider=provider.api_provider, api_key="any-key-will-do", config={"base_url": address}
    )
    # No proxy of the environment's can reach this process; and nothing is left to be closed.
    http_client = httpx.AsyncClient(
        trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
    )
    title = f"{model.display_name}, played by the simulator at {address}"
    return _Service(AIModelEndpoint(api=api, ai_model=model), title, http_client)


def _real(provider_name: str | None, model_name: str | None) -> _Service:
    provider = _provider(provider_name, model_name)
    models = _models(provider)
    if model_name is not None and model_name not in models:
        raise ConfigError(
            f"--model: {provider.api_provider} has no {model_name!r}; known: {', '.join(models)}"
        )
    model = _cheapest(models) if model_name is None else models[model_name]
    key = os.environ.get(provider.key_env)
    if not key:
        raise ConfigError(
            f"{provider.api_provider} wants a key: set the environment variable "
            f"{provider.key_env}, or leave out --provider and --model for the simulator"
        )
    api = AIModelAPI(provider=provider.api_provider, api_key=key)
    title = f"{model.display_name} ({provider.api_provider})"
    return _Service(AIModelEndpoint(api=api, ai_model=model), title)


def _providers() -> list[Provider]:
    """Those that want a key and nothing else."""
    return [provider for provider in PROVIDERS.values() if provider.key_required]


def _provider(name: str | None, model_name: str | None) -> Provider:
    """The provider of that name; without one, the first that serves the model."""
    for provider in _providers():
        if provider.api_provider == name or (name is None and model_name in _models(provider)):
            return provider
    if name is not None:
        titles = ", ".join(provider.title for provider in _providers())
        raise ConfigError(f"--provider: {name!r} is not known; known: {titles}")
    known = ", ".join(model for provider in _providers() for model in _models(provider))
    raise ConfigError(f"--model: {model_name!r} is not known; known: {known}")


def _models(provider: Provider) -> dict[str, FoundationModel]:
    return {m.model_name: m for m in ALL_CHAT_MODELS if m.provider in provider.makers}


def _cheapest(models: dict[str, FoundationModel]) -> FoundationModel:
    """The cheapest model, for output, of those that can show their thinking."""

    def price(model: FoundationModel) -> tuple[bool, float]:
        costs = model.get_cost_data()
        price = costs.output_token_cost_per_million if costs else float("inf")
        return not model.get_settings().supports_reasoning, price

    return min(models.values(), key=price)


# --- what comes


@dataclass(slots=True)
class _Outcome:
    """What there is when the loop has ended, and how it did."""

    response: AIModelCallResponse | None = None
    error: SSEErrorData | None = None
    interrupted: bool = False


def _watch(client: AIModelClient, prompt: str, view: View) -> _Outcome:
    outcome = _Outcome()
    try:
        with view:
            outcome.response = response = client.generate(prompt=prompt)
            with response.stream_generator as stream:
                for chunk, _ in stream:
                    if isinstance(chunk, SSEErrorResponse):
                        outcome.error = chunk.data
                    elif chunk is not None:
                        for text, thinking in _pieces(chunk.data):
                            view.add(text, thinking=thinking)
    except KeyboardInterrupt:
        outcome.interrupted = True
    return outcome


def _pieces(chunk: ChatResponseChunk) -> Iterator[tuple[str, bool]]:
    for choice in chunk.choice_deltas:
        for content in choice.content_deltas or ():
            if text := content.get_text_delta():
                yield text, isinstance(content, ChatResponseReasoningContentItemDelta)


def _report(outcome: _Outcome, view: View) -> int:
    """Show what came, whole or not; the exit code."""
    title, code = "The consolidated answer", 0
    if outcome.error is not None:
        title, code = "What came before the error", 1
    if outcome.interrupted:
        title, code = "Interrupted; what came is kept", 130
    response = outcome.response.snapshot() if outcome.response else None
    answer = response.chat_response if response else None
    if response and answer and (answer.choices or not code):
        text = answer.text() or answer.refusal() or ""
        view.answer(title, answer.reasoning() or "", text)
        view.facts(facts_of(response))
    elif outcome.interrupted:
        print("Interrupted before anything came.", flush=True)
    if outcome.error is not None:
        print(_message(outcome.error), file=sys.stderr)
    return code


def _message(error: SSEErrorData) -> str:
    details = error.details or {}
    names = ("http_status", "code", "request_id", "attempts", "retry_after")
    known = [f"{name.replace('_', ' ')} {details[name]}" for name in names if name in details]
    return printable(f"error: {error.message} ({', '.join([error.error_code, *known])})")

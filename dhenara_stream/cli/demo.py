"""Watch an answer arrive, by default from the simulator: no key, no network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from dhenara_stream import AIModelClient, ConfigError
from dhenara_stream.simulator import Answer, Simulator, Text, Thinking
from dhenara_stream.types import (
    AIModelAPI,
    AIModelCallConfig,
    AIModelEndpoint,
    ChatResponseChunk,
)

from .calls import Outcome, pieces_of_chunk, watch
from .endpoints import (
    ANY_KEY,
    account,
    cheapest,
    keyed_providers,
    models_of,
    provider_named,
    provider_serving,
    titles,
)
from .report import error_line, facts_of
from .views import View, view_of_stdout

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
    known = titles(keyed_providers())
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
        settings = self.endpoint.ai_model.get_settings()
        control = settings.reasoning_control
        config = AIModelCallConfig(
            streaming=True,
            reasoning=thinking and settings.supports_reasoning,
            reasoning_effort="low" if control == "effort" else None,
            max_reasoning_tokens=1024 if control == "token_budget" else None,
            max_output_tokens=4096,
            raise_errors=True,
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
    served = ((p, env) for p in keyed_providers() for env in p.base_url_envs if env in addresses)
    provider, variable = next(served)
    address = addresses[variable]
    model = cheapest(models_of(provider))
    api = AIModelAPI(provider=provider.api_provider, api_key=ANY_KEY, config={"base_url": address})
    # No proxy of the environment's can reach this process; and nothing is left to be closed.
    http_client = httpx.AsyncClient(
        trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
    )
    title = f"{model.display_name}, played by the simulator at {address}"
    return _Service(AIModelEndpoint(api=api, ai_model=model), title, http_client)


def _real(provider_name: str | None, model_name: str | None) -> _Service:
    if provider_name is not None:
        provider = provider_named(provider_name, keyed_providers())
    else:
        provider = provider_serving(model_name or "", keyed_providers())
    models = models_of(provider)
    if model_name is not None and model_name not in models:
        raise ConfigError(
            f"--model: {provider.title} has no {model_name!r}; known: {', '.join(models)}"
        )
    model = cheapest(models) if model_name is None else models[model_name]
    api = account(provider, "leave out --provider and --model for the simulator")
    title = f"{model.display_name} ({provider.title})"
    return _Service(AIModelEndpoint(api=api, ai_model=model), title)


# --- what comes


def _watch(client: AIModelClient, prompt: str, view: View) -> Outcome:
    def show(chunk: ChatResponseChunk) -> None:
        for text, thinking in pieces_of_chunk(chunk):
            view.add(text, thinking=thinking)

    with view:
        return watch(lambda: client.generate(prompt=prompt), show)


def _report(outcome: Outcome, view: View) -> int:
    """Show what came, whole or not; the exit code."""
    title, code = "The consolidated answer", 0
    if outcome.error is not None:
        title, code = "What came before the error", 1
    if outcome.interrupted:
        title, code = "Interrupted; what came is kept", 130
    response = outcome.response
    answer = response.chat_response if response else None
    if response and answer and (answer.choices or not code):
        text = answer.text() or answer.refusal() or ""
        view.answer(title, answer.reasoning() or "", text)
        view.facts(facts_of(response))
    elif outcome.interrupted:
        print("Interrupted before anything came.", flush=True)
    if outcome.error is not None:
        print(error_line(outcome.error), file=sys.stderr)
    return code

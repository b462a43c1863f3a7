"""Ask a model, and print its answer as it arrives.

  dhenara-stream chat "What is a qubit?" -m claude-haiku-4-5
  git diff | dhenara-stream chat "Review this" -m gpt-5.4-mini -s "Be brief."
  dhenara-stream chat "Name three" -m groq/llama-3.3-70b-versatile --schema names.json
  dhenara-stream chat "Hi" -m my-model --base-url http://localhost:8000/v1
  dhenara-stream chat "Hi" --test-mode

Piped input goes before the prompt, with a blank line between; with "-", or
without a prompt, it is the prompt. Where a script's input is not meant for it:
"< /dev/null". The key is in the environment, under the provider's usual name.

On stdout there is the answer and nothing else, with a line end at its end: in
a pipe exact, on a terminal without what could control it. Thinking, notes,
usage and errors go to stderr.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from dhenara_stream import AIModelClient, ConfigError
from dhenara_stream.types import (
    AIModelCallConfig,
    ChatResponse,
    FinishReason,
    Prompt,
    StoredFile,
    StructuredOutputConfig,
)

from .calls import Outcome, watch
from .endpoints import Names, endpoint_for
from .options import KNOWN, call_fields
from .printers import JsonPrinter, Output, Printer, TextPrinter
from .report import error_line, summary_lines
from .views import printable

__all__ = ["add_arguments", "run"]

EXIT_CODES = """\
exit codes:
  0    the answer is complete
  1    the call failed, or the answer is not the whole one that was asked for:
       broken off, cut by the limit on tokens or by a filter, refused, or not
       fitting the schema; stderr says why, and what came is on stdout
  2    what the caller can put right: an option, a key, a model, an address
  130  Ctrl-C; what came is on stdout
  141  the reader of stdout went away
"""
JSON_LINES = """\
--json, one object a line, in UTF-8; keys may be added, none goes away:
  {"event": "chunk", "text", "reasoning", "data"}
      a piece of the answer. text, reasoning: what is new, "" if nothing; the
      texts make up the answer's. data: the ChatResponseChunk
  {"event": "response", "text", "reasoning", "finish_reason", "complete",
   "structured", "data"}
      the last line of an answer that ended. text, reasoning: all of it;
      complete: whether the exit code is 0; structured: what fits the --schema,
      or null; data: the AIModelCallResponse, with status, usage and cost
  {"event": "error", "message", "text", "reasoning", "data"}
      the last line of a call that failed. text, reasoning: what had come;
      data: the SSEErrorData, with error_code, message and details
What is null is left out of data.
After Ctrl-C, or with exit code 2, there is no last line.
"""

_SCHEMES = ("http://", "https://", "data:")
_FROM_STDIN = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{EXIT_CODES}\n{JSON_LINES}"
    parser.add_argument("prompt", nargs="?", help='what to ask; "-": what is piped in')
    _add_places(parser)
    _add_contents(parser)
    _add_outputs(parser)


def _add_places(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who is asked")
    group.add_argument(
        "-m",
        "--model",
        metavar="NAME",
        help="a model of the catalogue, at its maker's; or PROVIDER/MODEL",
    )
    group.add_argument(
        "--provider",
        metavar="NAME",
        help="the provider or service, for any model; without --model its cheapest",
    )
    group.add_argument(
        "--base-url",
        metavar="URL",
        help="another address; of a server that speaks Chat Completions, if neither --provider nor "
        "the model says otherwise",
    )
    group.add_argument(
        "--key-env", metavar="NAME", help="the environment variable with the key, if another"
    )
    group.add_argument(
        "--config",
        metavar="FILE",
        help="a credentials file of ResourceConfig (JSON, TOML, YAML) instead of the environment",
    )
    group.add_argument(
        "--test-mode", action="store_true", help="answer from memory: no network, no key"
    )


def _add_contents(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is asked")
    group.add_argument("-s", "--system", metavar="TEXT", help="what the model is told first")
    group.add_argument(
        "-a",
        "--attachment",
        metavar="PATH|URL",
        action="append",
        default=[],
        help="a file to go with the prompt; may be repeated",
    )
    group.add_argument(
        "-o",
        "--option",
        metavar=("KEY", "VALUE"),
        nargs=2,
        action="append",
        default=[],
        help=f"how the call is made; may be repeated. Known: {', '.join(KNOWN)}",
    )
    group.add_argument(
        "--schema", metavar="FILE|JSON", help="the JSON schema that the answer has to fit"
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is shown")
    group.add_argument(
        "--no-stream", action="store_true", help="ask for the answer as a whole, not as it comes"
    )
    group.add_argument(
        "--reasoning", action="store_true", help="let the model think, and show it on stderr"
    )
    group.add_argument(
        "--json", action="store_true", help="print each event as a line of JSON, see below"
    )
    group.add_argument(
        "-q",
        "--quiet",
        "--no-usage",
        action="store_true",
        help="no usage, cost and notes on stderr; --json has them on stdout anyway",
    )


def run(args: argparse.Namespace) -> int:
    """Ask, and print what comes; the exit code."""
    config = _config(args)
    endpoint = endpoint_for(_names(args), config)
    files = [_file(given) for given in args.attachment]
    prompt = Prompt(text=_prompt(args.prompt), files=list(files))
    printer = JsonPrinter() if args.json else TextPrinter(thinking=args.reasoning)
    with AIModelClient(endpoint, config, is_async=False) as client:
        outcome = watch(
            lambda: client.generate(prompt=prompt, instructions=args.system), printer.chunk
        )
    return _finish(outcome, printer, summary=not (args.quiet or args.json))


# --- what is asked


def _config(args: argparse.Namespace) -> AIModelCallConfig:
    fields = call_fields(args.option)
    if args.reasoning:
        fields.setdefault("reasoning", True)
    if args.schema is not None:
        fields["structured_output"] = StructuredOutputConfig(output_schema=_schema(args.schema))
    return AIModelCallConfig(
        streaming=not args.no_stream, test_mode=args.test_mode, raise_errors=True, **fields
    )


def _names(args: argparse.Namespace) -> Names:
    return Names(
        model=args.model,
        provider=args.provider,
        base_url=args.base_url,
        key_env=args.key_env,
        config=args.config,
    )


def _schema(given: str) -> dict[str, Any]:
    text: str | bytes = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_bytes()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"--schema: neither a JSON object nor a file that can be read: {error}"
            ) from None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise ConfigError(f"--schema: no JSON object: {error}") from None


def _file(given: str) -> StoredFile:
    if given.lower().startswith(_SCHEMES):
        return StoredFile.from_url(given)
    return StoredFile.from_path(Path(given))


def _prompt(given: str | None) -> str:
    if given in (None, _FROM_STDIN):
        return _stdin()
    piped = "" if sys.stdin is None or sys.stdin.isatty() else _stdin()
    return f"{piped.rstrip()}\n\n{given}" if piped.strip() else given


def _stdin() -> str:
    if sys.stdin is None:
        raise ConfigError("prompt: there is none, and no standard input to read it from")
    if sys.stdin.isatty():
        Output(sys.stderr).line("Type the prompt; the end of input (Ctrl-D) sends it.")
    try:
        return sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"prompt: standard input cannot be read as text: {error}; give a file with --attachment"
        ) from None


# --- how it ended


_CUT_SHORT: dict[FinishReason | None, str] = {
    FinishReason.LENGTH: "it reached the limit on tokens, see -o max_output_tokens",
    FinishReason.CONTENT_FILTER: "the provider's filter ended it",
    FinishReason.PAUSE: "the provider paused it, and would go on in another turn",
    FinishReason.ERROR: "the provider failed",
    FinishReason.UNKNOWN: "it ended for a reason that is not known here",
}


def _finish(outcome: Outcome, printer: Printer, *, summary: bool) -> int:
    shortcoming = _shortcoming(outcome)
    printer.end(outcome, complete=not shortcoming)
    err = Output(sys.stderr)
    if shortcoming:
        err.line(printable(shortcoming))
    if summary and outcome.response is not None:
        for line in summary_lines(outcome.response):
            err.line(line)
    if outcome.interrupted:
        return 130
    return 1 if shortcoming else 0


def _shortcoming(outcome: Outcome) -> str:
    """Why the answer is not the whole one that was asked for; empty if it is."""
    if outcome.interrupted:
        return "interrupted: the answer is not complete"
    if outcome.error is not None:
        so_far = "; the answer is not complete" if any(outcome.pieces()) else ""
        return error_line(outcome.error) + so_far
    return _shortcoming_of(outcome.answer) if outcome.answer else "error: there is no answer"


def _shortcoming_of(answer: ChatResponse) -> str:
    if answer.refusal():
        return "the model refused"
    for choice in answer.choices[:1]:
        if choice.finish_reason in _CUT_SHORT:
            why = _CUT_SHORT[choice.finish_reason]
            return f"the answer is not complete: {why} ({choice.native_finish_reason})"
    output = answer.structured_unprocessed()
    if output is not None and output.parse_error:
        return f"the answer does not fit the schema: {output.parse_error}"
    return ""

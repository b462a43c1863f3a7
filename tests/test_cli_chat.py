"""``dhenara-stream chat``: an answer for other programs, by every protocol of the simulator."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import Terminal, posix, process, read_until, refused, terminal

import dhenara_stream
from dhenara_stream.cli import calls, chat, endpoints, main, options
from dhenara_stream.errors import ConfigError
from dhenara_stream.providers.registry import PROVIDERS, SERVICES
from dhenara_stream.simulator import (
    Answer,
    CleanCut,
    ErrorEvent,
    RedactedThinking,
    Refusal,
    Reset,
    Respond,
    Silence,
    Simulator,
    Text,
    Thinking,
)
from dhenara_stream.types import (
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
    ChatResponse,
)

HAIKU = ("-m", "claude-haiku-4-5")
KEY = "sk-not-a-real-key"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Place:
    """A provider that the simulator plays, and a model of it that can think."""

    provider: str
    model: str
    url_env: str
    key_env: str
    cut_by_limit: str


PLACES = [
    Place("anthropic", "claude-haiku-4-5", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "max_tokens"),
    Place("openai", "gpt-5.4-mini", "OPENAI_BASE_URL", "OPENAI_API_KEY", "incomplete"),
    Place("deepseek", "deepseek-v4-flash", "DEEPSEEK_BASE_URL", "DEEPSEEK_API_KEY", "length"),
    Place(
        *("google_gemini_api", "gemini-2.5-flash", "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"),
        "MAX_TOKENS",
    ),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no address, nothing piped in."""
    for provider in (*PROVIDERS.values(), *SERVICES.values()):
        for name in (provider.key_env, *provider.base_url_envs):
            monkeypatch.delenv(name or "NO_SUCH_NAME", raising=False)
    pipe_in(monkeypatch, "")


def pipe_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture(params=PLACES, ids=lambda place: place.provider)
def place(request: pytest.FixtureRequest) -> Place:
    place: Place = request.param
    return place


@pytest.fixture
def sim(
    request: pytest.FixtureRequest, place: Place, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Simulator]:
    """A simulator in the real service's place, with a key in the environment."""
    with Simulator(**getattr(request, "param", {})) as running:
        monkeypatch.setenv(place.url_env, running.base_urls[place.url_env])
        monkeypatch.setenv(place.key_env, KEY)
        yield running


@pytest.fixture
def claude(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator in the place of Anthropic's service, for what depends on no protocol."""
    with Simulator(**getattr(request, "param", {})) as running:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        yield running


def answers(*content: Any, **facts: Any) -> dict[str, Any]:
    return {"answers": Answer(*content, **facts)}


def ask(place: Place, *argv: str) -> int:
    return main(["chat", "Where?", "-m", place.model, *argv])


def lines_of(out: str) -> list[dict[str, Any]]:
    assert out.endswith("\n")
    return [json.loads(line) for line in out.splitlines()]


def texts_of(lines: list[dict[str, Any]]) -> str:
    return "".join(line["text"] for line in lines if line["event"] == "chunk")


# --- the answer

PARIS = "It is in Paris,\r\n\x1b[31mnaïve\x1b[0m ☃."


@pytest.mark.parametrize("sim", [answers(PARIS)], indirect=True)
@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_the_answer_and_nothing_else_is_on_stdout(
    sim: Simulator, place: Place, how: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, *how) == 0

    out, err = capsys.readouterr()
    assert out == PARIS + "\n"
    assert err.startswith(f"{place.model} ({place.provider}), ")
    assert err.count("\n") == 1
    assert " tokens in, " in err
    assert "$0." in err


@pytest.mark.parametrize("sim", [answers("One.\n")], indirect=True)
def test_a_line_end_is_not_doubled(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place) == 0
    assert capsys.readouterr().out == "One.\n"


@pytest.mark.parametrize("flag", ["-q", "--quiet", "--no-usage"])
def test_usage_can_be_left_out(
    flag: str, claude: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "Hi", *HAIKU, flag, "-o", "seed", "7"]) == 0
    assert capsys.readouterr().err == ""


def test_what_was_left_out_of_the_request_is_noted(
    claude: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "Hi", *HAIKU, "-o", "seed", "7"]) == 0
    assert "\nnote: options['seed']: left out" in capsys.readouterr().err


THOUGHT = answers(Thinking("Let me see."), Text("In Paris."))


@pytest.mark.parametrize("sim", [THOUGHT], indirect=True)
@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_thinking_is_shown_on_stderr_where_it_is_wanted(
    sim: Simulator, place: Place, how: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, "--reasoning", "-q", *how) == 0
    assert capsys.readouterr() == ("In Paris.\n", "Let me see.\n")

    assert ask(place, "-q", "-o", "reasoning", "true", *how) == 0
    assert capsys.readouterr() == ("In Paris.\n", "")


@pytest.mark.parametrize("claude", [answers(RedactedThinking(), "One.")], indirect=True)
@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_a_block_that_is_no_text_is_not_printed(
    how: tuple[str, ...], claude: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "Hi", *HAIKU, "-q", "--reasoning", *how]) == 0
    assert capsys.readouterr() == ("One.\n", "")


@pytest.mark.parametrize("sim", [answers('{"city": "Paris"}')], indirect=True)
@pytest.mark.parametrize("from_file", [True, False])
def test_an_answer_that_has_to_fit_a_schema(
    sim: Simulator,
    place: Place,
    from_file: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = json.dumps(SCHEMA)
    if from_file:
        (tmp_path / "city.json").write_text(given)
        given = str(tmp_path / "city.json")

    assert ask(place, "--schema", given) == 0
    assert json.loads(capsys.readouterr().out) == {"city": "Paris"}
    assert "city" in sim.requests[0].body.decode()


def test_an_answer_from_memory_needs_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "Hi", "--test-mode"]) == 0

    out, err = capsys.readouterr()
    assert out.startswith('You asked "Hi"')
    assert err.startswith("claude-")


# --- what is not the whole answer

CUT = {"answers": Answer("One two three."), "faults": CleanCut(deltas=2)}
RESET = {"answers": Answer("One two three."), "faults": Reset(deltas=2)}
OVERLOADED = {"answers": Answer("One two three."), "faults": ErrorEvent(deltas=2)}


@pytest.mark.parametrize("sim", [CUT, RESET, OVERLOADED], indirect=True)
def test_an_answer_that_breaks_off_is_kept_and_never_called_complete(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place) == 1

    out, err = capsys.readouterr()
    assert out == "One two\n"
    assert err.startswith("error: ")
    assert "; the answer is not complete\n" in err


@pytest.mark.parametrize("how", [(), ("--no-stream",)])
@pytest.mark.parametrize(
    "sim", [{"faults": Respond(status)} for status in (401, 400)], indirect=True
)
def test_a_refused_call_is_an_error_with_its_facts(
    sim: Simulator, place: Place, how: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, *how) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert "external_api_error, http status 40" in err
    assert "complete" not in err
    assert err.count("\n") == 1
    assert KEY not in err


@pytest.mark.parametrize("sim", [{"faults": Respond(429, retry_after=99.0)}], indirect=True)
def test_a_wait_that_is_too_long_is_told(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place) == 1
    assert "retry after 99" in capsys.readouterr().err


@pytest.mark.parametrize("sim", [answers("One two", stop_reason="length")], indirect=True)
@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_an_answer_cut_by_the_limit_says_so(
    sim: Simulator, place: Place, how: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, "-q", *how) == 1

    out, err = capsys.readouterr()
    assert out == "One two\n"
    assert err == (
        "the answer is not complete: it reached the limit on tokens, see -o max_output_tokens "
        f"({place.cut_by_limit})\n"
    )


@pytest.mark.parametrize(
    ("claude", "said"),
    [
        (answers("One", stop_reason="refusal"), "the provider's filter ended it (refusal)"),
        (
            answers("One", stop_reason="pause_turn"),
            "the provider paused it, and would go on in another turn (pause_turn)",
        ),
        (
            answers("One", stop_reason="new\x1bword"),
            "for a reason that is not known here (new\N{REPLACEMENT CHARACTER}word)",
        ),
    ],
    indirect=["claude"],
)
def test_an_answer_that_ended_early_says_why(
    claude: Simulator, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "Hi", "-q", *HAIKU]) == 1

    out, err = capsys.readouterr()
    assert out == "One\n"
    assert said in err


@pytest.mark.parametrize("sim", [answers(Refusal("I cannot say."))], indirect=True)
def test_the_words_of_a_refusal_are_printed(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(place, "-q")
    assert capsys.readouterr().out == "I cannot say.\n"


def test_a_refusal_is_not_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = {"type": "refusal", "text": "No."}
    item = {"type": "text", "message_contents": [part]}
    choice = {"index": 0, "finish_reason": "stop", "contents": [item]}
    refusal = ChatResponse.model_validate({"model": "m", "provider": "custom", "choices": [choice]})
    outcome(monkeypatch, response=AIModelCallResponse(chat_response=refusal))

    assert main(["chat", "Hi", "--test-mode"]) == 1
    assert capsys.readouterr() == ("No.\n", "the model refused\n")


def outcome(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Let a call end like this."""
    monkeypatch.setattr(chat, "watch", lambda *_: calls.Outcome(**fields))


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_no_answer_at_all_is_a_failure(
    how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome(monkeypatch)

    assert main(["chat", "Hi", "--test-mode", *how]) == 1
    assert capsys.readouterr() == ("", "error: there is no answer\n")


@pytest.mark.parametrize("sim", [answers("Somewhere.")], indirect=True)
def test_an_answer_that_does_not_fit_the_schema(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, "-q", "--schema", json.dumps(SCHEMA)) == 1

    out, err = capsys.readouterr()
    assert out == "Somewhere.\n"
    assert err.startswith("the answer does not fit the schema: ")


@pytest.mark.parametrize("sim", [{"answers": Answer()}], indirect=True)
def test_an_empty_answer_is_an_answer(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place) == 0
    assert capsys.readouterr().out == ""


# --- lines of JSON


@pytest.mark.parametrize("sim", [THOUGHT], indirect=True)
def test_each_event_is_a_line_of_json(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, "--json", "--reasoning") == 0

    out, err = capsys.readouterr()
    assert err == ""
    *chunks, last = lines_of(out)
    assert {chunk["event"] for chunk in chunks} == {"chunk"}
    assert {tuple(chunk) for chunk in chunks} == {("event", "text", "reasoning", "data")}
    assert texts_of(chunks) == last["text"] == "In Paris."
    assert "".join(chunk["reasoning"] for chunk in chunks) == last["reasoning"] == "Let me see."
    assert len([chunk for chunk in chunks if chunk["text"]]) > 1
    assert chunks[-1]["data"]["done"] is True
    facts = {name: last[name] for name in ("event", "finish_reason", "complete", "structured")}
    assert facts == {
        "event": "response",
        "finish_reason": "stop",
        "complete": True,
        "structured": None,
    }
    assert last["data"]["status"]["http_status_code"] == 200
    assert last["data"]["chat_response"]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("sim", [answers('{"city": "Paris"}')], indirect=True)
def test_a_whole_answer_is_one_line_of_json(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, "--json", "--no-stream", "--schema", json.dumps(SCHEMA)) == 0

    (line,) = lines_of(capsys.readouterr().out)
    assert line["structured"] == {"city": "Paris"}
    assert json.loads(line["text"]) == {"city": "Paris"}


@pytest.mark.parametrize("sim", [CUT], indirect=True)
def test_the_last_line_of_an_answer_that_breaks_off_is_the_error(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, "--json") == 1

    out, err = capsys.readouterr()
    *chunks, last = lines_of(out)
    assert texts_of(chunks) == last["text"] == "One two"
    assert last["event"] == "error"
    assert last["data"]["details"]["error_type"] == "TruncatedStream"
    assert last["data"]["message"] == last["message"]
    assert last["message"] in err


@pytest.mark.parametrize("sim", [answers("One", stop_reason="length")], indirect=True)
def test_the_last_line_says_whether_the_answer_is_complete(
    sim: Simulator, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(place, "--json") == 1

    last = lines_of(capsys.readouterr().out)[-1]
    assert (last["complete"], last["finish_reason"]) == (False, "length")


@pytest.mark.parametrize("sim", [answers("naïve \x9b☃\x7f\u2028")], indirect=True)
def test_json_is_utf_8_and_controls_no_terminal(
    sim: Simulator, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

    assert ask(place, "--json") == 0

    out = raw.getvalue().decode("utf-8")
    assert not {"\x9b", "\x7f"} & set(out)
    lines = [json.loads(line) for line in out.split("\n")[:-1]]
    assert lines[-1]["text"] == texts_of(lines) == "naïve \x9b☃\x7f\u2028"


# --- what is asked


def asked_of(sim: Simulator, *argv: str) -> dict[str, Any]:
    assert main(["chat", *argv, "-q", *HAIKU]) == 0
    body: dict[str, Any] = sim.requests[-1].json
    return body


def said_in(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "|".join(part["text"] for part in content)


@pytest.mark.parametrize(
    ("argv", "piped", "said"),
    [
        (["Summarise."], "A text.\n\n", "A text.\n\nSummarise."),
        (["Summarise."], " \n", "Summarise."),
        (["-"], "A text.\n", "A text.\n"),
        ([], "A text.\n", "A text.\n"),
    ],
)
def test_what_is_piped_in_goes_before_the_prompt(
    argv: list[str],
    piped: str,
    said: str,
    claude: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe_in(monkeypatch, piped)
    assert said_in(asked_of(claude, *argv)) == said


def test_a_terminal_is_read_only_where_there_is_no_prompt(
    claude: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("Typed."))

    assert said_in(asked_of(claude, "Given.")) == "Given."
    assert said_in(asked_of(claude)) == "Typed."
    assert "Ctrl-D" in capsys.readouterr().err


def test_a_process_without_input_has_its_prompt(
    claude: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert said_in(asked_of(claude, "Given.")) == "Given."
    capsys.readouterr()
    assert "prompt: there is none" in refused(capsys, "chat", "--test-mode")


def test_input_that_is_no_text_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x89PNG"), encoding="utf-8"))
    assert "--attachment" in refused(capsys, "chat", "--test-mode")


def test_an_empty_prompt_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "prompt" in refused(capsys, "chat", "--test-mode")


def test_the_request_has_what_the_options_say(claude: Simulator, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Some notes.")

    body = asked_of(
        *(claude, "Hi", "-s", "Be brief.", "-a", str(tmp_path / "notes.txt")),
        *("-a", "https://files.example/a.png", "-o", "temperature", "0.5"),
        *("-o", "max_output_tokens", "5", "-o", "max_output_tokens", "300"),
        *("-o", "stop", "END", "-o", "stop", "STOP"),
        *("-o", "options", '{"top_k": 3}', "-o", "metadata", '{"user": "u-1"}'),
    )

    assert body["system"] == "Be brief." or body["system"][0]["text"] == "Be brief."
    assert (body["max_tokens"], body["temperature"], body["top_k"]) == (300, 0.5, 3)
    assert body["stop_sequences"] == ["END", "STOP"]
    assert body["metadata"] == {"user_id": "u-1"}
    assert body["stream"] is True
    content = json.dumps(body["messages"][0]["content"])
    assert "Some notes." in content
    assert "https://files.example/a.png" in content


def test_an_effort_switches_reasoning_on() -> None:
    assert options.call_fields([("reasoning_effort", "low")])["reasoning"] is True
    fields = options.call_fields([("max_reasoning_tokens", "2000"), ("reasoning", "false")])
    assert fields == {"max_reasoning_tokens": 2000, "reasoning": False}


def test_every_field_of_a_call_can_be_given_or_is_left_out_on_purpose() -> None:
    elsewhere = {*options._ELSEWHERE, *options._USELESS}
    assert set(AIModelCallConfig.__struct_fields__) == (
        {name for name in options.KNOWN if name not in options._BODY} | elsewhere
    )
    assert options.call_fields([("timeout", "null"), ("idle_timeout", "2.5")]) == {
        "timeout": None,
        "idle_timeout": 2.5,
    }


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-o", "temprature", "1"], "'temprature' is not known; did you mean 'temperature'?"),
        (["-o", "q", "1"], "'q' is not known; known: api_version_override, "),
        (["-o", "temperature", "hot"], "-o temperature: expected `float`, got 'hot'"),
        (["-o", "temperature", "nan"], "-o temperature: expected `float` >= "),
        (["-o", "temperature", "7"], "expected a number from 0 to 1"),
        (["-o", "retries", "0"], "-o retries: expected `int` >= 1, got '0'"),
        (["-o", "timeout", "x"], "-o timeout: expected `float | null`, got 'x'"),
        (["-o", "reasoning_effort", "lots"], "expected one of minimal, low, "),
        (["-o", "verbosity", "lots"], "expected one of low, medium, high, got 'lots'"),
        (["-o", "options", "[1]"], "-o options: expected JSON"),
        (["-o", "metadata", "{"], "-o metadata: expected JSON"),
        (["-o", "hosted_tools", '{"a": 1}'], "hosted_tools"),
        (["-a", "no/such/file"], "cannot read file 'no/such/file'"),
        (["--schema", "no/such/file"], "--schema: neither a JSON object nor a file"),
        (["-m", "claude-3-5-haiku", "--reasoning"], "claude-3-5-haiku has no reasoning"),
        (["--schema", "{1}"], "--schema: no JSON object"),
        (["-m", "nothing"], "--model: 'nothing' is not known (say whose it is: PROVIDER/MODEL)"),
        (["-m", "nobody/nothing"], "'nobody/nothing' is not known"),
        (["-m", "gtp-5.4-mini"], "is not known; did you mean 'gpt-5.4-mini'? (say whose it is"),
        (["--provider", "anthropc"], "is not known; did you mean 'anthropic'?; known: anthropic"),
        (["--provider", "nobody"], "--provider: 'nobody' is not known; known: anthropic, openai"),
        (["--provider", "groq"], "--model: which one of groq?"),
        (["--base-url", "nowhere", "-m", "x"], "base_url"),
        (["--key-env", "NOT_SET"], "--key-env: the environment variable 'NOT_SET' is not set"),
        (["--config", "no/such.json"], "no such credentials file"),
    ],
)
def test_what_the_caller_can_put_right_is_named(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "chat", "Hi", "--test-mode", *argv)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "--model: which one?"),
        (HAIKU, "set the environment variable ANTHROPIC_API_KEY, or give --key-env or --config"),
        (["-m", "groq/llama"], "set the environment variable GROQ_API_KEY"),
        (["--provider", "openai_compatible", "-m", "x"], "base_url"),
    ],
)
def test_what_is_missing_is_named(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "chat", "Hi", *argv)


def test_a_wrong_key_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret with-space")

    err = refused(capsys, "chat", "Hi", *HAIKU)
    assert "api_key" in err
    assert "secret" not in err


# --- who is asked


def endpoint(call: AIModelCallConfig | None = None, /, **names: str) -> AIModelEndpoint:
    return endpoints.endpoint_for(endpoints.Names(**names), call or AIModelCallConfig())


@pytest.mark.parametrize(
    ("names", "provider", "model", "config"),
    [
        ({"model": "claude-haiku-4-5"}, "anthropic", "claude-haiku-4-5", {}),
        ({"model": "anthropic/claude-haiku-4-5"}, "anthropic", "claude-haiku-4-5", {}),
        ({"model": "anthropic/claude-new"}, "anthropic", "claude-new", {}),
        ({"provider": "anthropic", "model": "a/b"}, "anthropic", "a/b", {}),
        ({"provider": "anthropic"}, "anthropic", "claude-haiku-4-5", {}),
        (
            {"model": "claude-haiku-4-5", "base_url": "http://proxy.example"},
            *("anthropic", "claude-haiku-4-5", {"base_url": "http://proxy.example"}),
        ),
        (
            {"model": "groq/openai/gpt-oss-20b"},
            *("openai_compatible", "openai/gpt-oss-20b", {"service": "groq"}),
        ),
        (
            {"provider": "ollama", "model": "llama3"},
            *("openai_compatible", "llama3", {"service": "ollama"}),
        ),
        (
            {"model": "org/mine", "base_url": "http://localhost:1/v1"},
            *("openai_compatible", "org/mine", {"base_url": "http://localhost:1/v1"}),
        ),
    ],
)
def test_names_mean_a_model_at_a_place(
    names: dict[str, str],
    provider: str,
    model: str,
    config: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.setenv(name, KEY)

    found = endpoint(**names)

    assert (found.api.provider, found.ai_model.model_name) == (provider, model)
    assert found.api.config == config
    assert found.api.api_key == (None if "local" in str(names) or "ollama" in str(names) else KEY)


@pytest.mark.parametrize("claude", [answers("Here.")], indirect=True)
@pytest.mark.parametrize("name", ["openrouter/org/mine", "mine"])
def test_a_server_that_speaks_chat_completions(
    name: str,
    claude: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = claude.base_urls["OPENAI_BASE_URL"]
    monkeypatch.setenv("MY_KEY", KEY)

    assert main(["chat", "Hi", "-m", name, "--base-url", address, "--key-env", "MY_KEY"]) == 0

    out, err = capsys.readouterr()
    assert out == "Here.\n"
    assert err.startswith(f"{name.removeprefix('openrouter/')} (openai_compatible), ")
    assert "$" not in err  # nobody knows its prices


def test_an_unknown_model_can_do_what_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    names = {"model": "anthropic/claude-new", "key_env": "OTHER_KEY"}

    plain = endpoint(**names).ai_model.get_settings()
    assert (plain.max_output_tokens, plain.supports_reasoning) == (endpoints.OUTPUT_TOKENS, False)

    call = AIModelCallConfig(reasoning=True, max_reasoning_tokens=2000, max_output_tokens=90_000)
    able = endpoint(call, **names).ai_model.get_settings()
    assert (able.max_output_tokens, able.reasoning_control) == (90_000, "token_budget")


ACCOUNTS = {
    "openai_compatible": {"api_key": "key-of-groq", "config": {"service": "groq"}},
    "amazon_bedrock": {"api_key": "key-of-bedrock", "config": {"region": "eu-central-1"}},
    "deepseek": {"api_key": "key-of-deepseek"},
}


@pytest.mark.parametrize(
    ("names", "model", "key"),
    [
        ({"model": "claude-haiku-4-5"}, "claude-haiku-4-5", "key-of-bedrock"),
        ({"model": "deepseek/new"}, "new", "key-of-deepseek"),
        ({"provider": "deepseek"}, "deepseek-v4-flash", "key-of-deepseek"),
        ({"model": "groq/llama"}, "llama", "key-of-groq"),
        ({"provider": "openai_compatible", "model": "llama"}, "llama", "key-of-groq"),
        ({"provider": "deepseek", "key_env": "OTHER_KEY"}, "deepseek-v4-flash", KEY),
    ],
)
def test_a_credentials_file_has_the_accounts(
    names: dict[str, str],
    model: str,
    key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    (tmp_path / "accounts.json").write_text(json.dumps(ACCOUNTS))

    found = endpoint(config=str(tmp_path / "accounts.json"), **names)

    assert found.ai_model.model_name == model
    assert found.api.api_key == key


def test_a_file_without_a_name_gives_its_first_account(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"deepseek": ACCOUNTS["deepseek"]}))

    found = endpoint(config=str(file), base_url="http://proxy.example")

    assert found.ai_model.model_name == "deepseek-v4-flash"
    assert found.api.config == {"base_url": "http://proxy.example"}


@pytest.mark.parametrize(
    ("accounts", "names", "said"),
    [
        ({}, {}, "there is no account in it"),
        (ACCOUNTS, {"provider": "ollama", "model": "x"}, "there is no account at ollama in it"),
        (ACCOUNTS, {"model": "gpt-4o"}, "there is no account at openai in it"),
    ],
)
def test_an_account_that_is_not_in_the_file(
    accounts: dict[str, Any], names: dict[str, str], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(accounts))

    with pytest.raises(ConfigError, match=said):
        endpoint(config=str(file), **names)


# --- Ctrl-C, and where the output goes


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_ctrl_c_before_anything_came(
    how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dhenara_stream.AIModelClient, "generate", interrupted)

    assert main(["chat", "Hi", "--test-mode", *how]) == 130
    assert capsys.readouterr() == ("", "interrupted: the answer is not complete\n")


@pytest.mark.parametrize("sim", [answers("red \x1b[31mred\x9b2J\r\nend")], indirect=True)
def test_a_terminal_obeys_no_answer(
    sim: Simulator, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)

    assert ask(place) == 0
    assert screen.getvalue() == "red \ufffd[31mred\ufffd2J\nend\n"


THOUGHT_TWICE = answers(Thinking("Hm."), Text("One"), Thinking("Well."), Text(" two."))


@pytest.mark.parametrize("claude", [THOUGHT_TWICE], indirect=True)
@pytest.mark.parametrize(
    ("terminals", "out", "err"),
    [
        (("stdout", "stderr"), "Hm.\nOne\nWell.\n two.\n", ""),
        (("stdout",), "One two.\n", "Hm.\nWell.\n"),
    ],
)
def test_thinking_has_lines_of_its_own(
    terminals: tuple[str, ...],
    out: str,
    err: str,
    claude: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Terminal()
    for name in terminals:
        monkeypatch.setattr(sys, name, screen)

    assert main(["chat", "Hi", "-q", "--reasoning", *HAIKU]) == 0
    assert (screen.getvalue(), capsys.readouterr().err) == (out, err)


def test_a_process_without_output_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)

    assert main(["chat", "Hi", "--test-mode"]) == 0
    assert main(["chat", "Hi", "--test-mode", "--json"]) == 0


def test_the_help_tells_exit_codes_and_the_lines_of_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["chat", "--help"])

    assert f"{chat.EXIT_CODES}\n{chat.JSON_LINES}" in capsys.readouterr().out


# --- in a process of its own


@pytest.mark.parametrize("sim", [answers(PARIS)], indirect=True)
def test_a_pipeline(sim: Simulator, place: Place) -> None:
    with process("chat", "Where?", "-m", place.model, stdin=subprocess.PIPE) as running:
        out, err = running.communicate(b"Some text.", timeout=15)

    assert (running.returncode, out) == (0, f"{PARIS}\n".encode())
    assert b"tokens in" in err
    assert b"Some text." in sim.requests[0].body


@pytest.mark.parametrize("sim", [CUT], indirect=True)
def test_a_pipeline_whose_answer_breaks_off(sim: Simulator, place: Place) -> None:
    with process("chat", "Where?", "-m", place.model) as running:
        out, err = running.communicate(timeout=15)

    assert (running.returncode, out) == (1, b"One two\n")
    assert b"the answer is not complete" in err


HANGS = {"answers": Answer("One two three."), "faults": Silence(deltas=2)}


def interrupted(how: str, *, after: bytes) -> tuple[int, bytes, bytes]:
    """What a command comes to that gets Ctrl-C once it has shown something."""
    with process("chat", "Where?", *HAIKU, how) as running:
        assert running.stdout is not None
        shown = read_until(running.stdout.fileno(), after)
        running.send_signal(signal.SIGINT)
        rest, err = running.communicate(timeout=15)
    return running.returncode, shown + rest, err


@posix
@pytest.mark.parametrize("claude", [HANGS], indirect=True)
def test_ctrl_c_keeps_what_came(claude: Simulator) -> None:
    code, out, err = interrupted("-q", after=b"One two")
    assert (code, out) == (130, b"One two\n")
    assert err == b"interrupted: the answer is not complete\n"
    claude.wait_closed_sync()


@posix
@pytest.mark.parametrize("claude", [HANGS], indirect=True)
def test_ctrl_c_leaves_whole_lines_of_json(claude: Simulator) -> None:
    code, out, _ = interrupted("--json", after=b'" two"')
    assert code == 130
    lines = lines_of(out.decode())
    assert {line["event"] for line in lines} == {"chunk"}
    assert texts_of(lines) == "One two"


LONG = {"answers": Answer("word " * 200_000)}


@posix
@pytest.mark.parametrize("claude", [LONG], indirect=True)
@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_reader_that_goes_away_ends_it_quietly(claude: Simulator, how: tuple[str, ...]) -> None:
    with process("chat", "Where?", *HAIKU, *how) as running:
        assert running.stdout is not None
        read_until(running.stdout.fileno(), b"word")
        running.stdout.close()
        assert running.stderr is not None
        err = running.stderr.read()
        code = running.wait(timeout=15)

    assert (code, err) == (141, b"")
    claude.wait_closed_sync()


@posix
def test_a_reader_of_stderr_that_goes_away_ends_it_too(claude: Simulator) -> None:
    with process("chat", *HAIKU, stdin=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        running.stderr.close()
        running.stdin.write(b"Hi")
        running.stdin.close()
        code = running.wait(timeout=15)

    assert code == 141


@posix
@pytest.mark.parametrize("claude", [answers("red \x1b[31mred")], indirect=True)
def test_a_real_terminal_obeys_no_answer(claude: Simulator) -> None:
    command = ("chat", "Where?", *HAIKU)
    with terminal() as (ours, theirs), process(*command, stdout=theirs) as running:
        os.close(theirs)
        out = read_until(ours, b"never seen").decode()
        code = running.wait(timeout=15)

    assert (code, out) == (0, "red \ufffd[31mred\r\n")


@posix
def test_simulate_prints_all_addresses() -> None:
    with Simulator() as running:
        *names, last = running.base_urls
    with process("simulate") as command:
        assert command.stdout is not None
        out = read_until(command.stdout.fileno(), f"{last}=".encode()).decode()

    assert [line.split("=")[0] for line in out.splitlines()[1:]] == [
        f"export {name}" for name in (*names, last)
    ]

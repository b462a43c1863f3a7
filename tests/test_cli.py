"""The command: in this process by ``main``, and in its own, for signals, pipes and terminals."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from commands import ROOT, Terminal, posix, process, read_until, refused, terminal

import dhenara_stream
from dhenara_stream.cli import demo, main, report, views
from dhenara_stream.simulator import Answer, CleanCut, Respond, Simulator, Thinking
from dhenara_stream.types import (
    AIModelCallResponse,
    AIModelProviderEnum,
    CallTiming,
    ChatResponse,
    ChatResponseUsage,
    ExternalApiCallStatus,
    ExternalApiCallStatusEnum,
    UsageCharge,
)

ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def sim(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator in the real service's place, with a key in the environment."""
    with Simulator(**getattr(request, "param", {})) as running:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-not-a-real-key")
        yield running


# --- the command itself


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["demo", "--help"]])
def test_it_says_what_it_is(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(argv)

    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: dhenara-stream" if "--help" in argv else "dhenara-stream ")
    assert "--help" in argv or out.split()[1] == dhenara_stream.__version__


@pytest.mark.parametrize("argv", [[], ["play"], ["demo", "--speed", "9"]])
def test_a_wrong_command_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "usage: dhenara-stream" in refused(capsys, *argv)


def test_the_module_runs_as_the_command() -> None:
    importlib.import_module("dhenara_stream.__main__")  # which runs nothing

    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "dhenara_stream", "--version"],
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=15,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"dhenara-stream {dhenara_stream.__version__}\n"


# --- the demo, played by the simulator


def test_the_demo_shows_the_answer_as_it_comes_then_whole_then_the_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--fast"]) == 0

    out, err = capsys.readouterr()
    assert err == ""
    assert ESCAPE not in out
    streamed, _, rest = out.partition("--- The consolidated answer")
    assert f"\nThinking:\n{demo.THINKING}\n\nAnswer:\n{demo.ANSWER}" in streamed
    assert demo.THINKING not in rest
    assert demo.ANSWER in rest
    facts = dict(re.findall(r"^(\S[\w ]*?)  +(\S.*)$", rest, re.M))
    assert facts["finish"] == "stop"
    assert re.fullmatch(r"\d+ tokens in, \d+ out \(\d+ of them thinking\)", facts["usage"])
    assert re.fullmatch(r"\$0\.\d{6} \(input_tokens \$\S+, output_tokens \$\S+\)", facts["cost"])
    for name in ("time to first token", "time to the answer", "time in all"):
        assert re.fullmatch(r"\d+\.\d\d s", facts[name]), name
    assert re.fullmatch(r"[\d.]+ tokens per second", facts["speed"])
    assert "note" not in facts


def test_the_demo_needs_no_proxy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert main(["demo", "--fast"]) == 0
    assert capsys.readouterr().err == ""


def test_the_demo_without_thinking(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--fast", "--no-thinking"]) == 0

    out = capsys.readouterr().out
    assert "hinking" not in out
    assert "time to the answer" not in out


def test_a_prompt_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--fast", "--prompt", "Is \x1b[31mred\x1b[0m a colour?"]) == 0

    out = capsys.readouterr().out
    assert "Prompt: Is \N{REPLACEMENT CHARACTER}[31mred" in out
    assert "Answer:\nYou asked" in out
    assert ESCAPE not in out


def test_the_demo_is_paced_unless_it_is_to_be_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    paces: list[Any] = []

    class Recorded(Simulator):
        def __init__(self, answers: Any, **pace: Any) -> None:
            paces.append(tuple(pace.values()))
            super().__init__(answers)

    monkeypatch.setattr(demo, "Simulator", Recorded)
    main(["demo"])
    main(["demo", "--fast"])

    assert paces == [(60.0, 0.4), (None, 0.0)]


def test_an_empty_prompt_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["demo", "--fast", "--prompt", ""])

    assert code == 2
    assert "prompt" in capsys.readouterr().err


# --- a real service


@pytest.mark.parametrize(
    ("argv", "model", "thinking"),
    [
        (["--provider", "anthropic"], "claude-haiku-4-5", {"type": "enabled", "budget": 1024}),
        (["--model", "claude-opus-4-6"], "claude-opus-4-6", {"type": "adaptive"}),
        (
            ["--provider", "anthropic", "--model", "claude-3-5-haiku"],
            "claude-3-5-haiku-latest",
            None,
        ),
        (["--model", "claude-haiku-4-5", "--no-thinking"], "claude-haiku-4-5", None),
    ],
)
def test_a_real_service_is_asked(
    argv: list[str],
    model: str,
    thinking: dict[str, Any] | None,
    sim: Simulator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", *argv, "--prompt", "Hi"]) == 0

    out = capsys.readouterr().out
    assert "(anthropic)\nPrompt: Hi\n" in out
    assert "simulator at" not in out
    asked = sim.requests[0].json
    assert (asked["model"], asked["max_tokens"]) == (model, 4096)
    said = asked.get("thinking")
    assert (said and said["type"]) == (thinking and thinking["type"])
    assert (said and said.get("budget_tokens")) == (thinking and thinking.get("budget"))


def test_a_missing_key_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "set the environment variable ANTHROPIC_API_KEY" in refused(
        capsys, "demo", "--provider", "anthropic"
    )


def test_a_wrong_key_is_refused_without_showing_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret with-space")

    err = refused(capsys, "demo", "--provider", "anthropic")

    assert "api_key" in err
    assert "secret" not in err


@pytest.mark.parametrize(
    ("argv", "known"),
    [
        (["--provider", "nobody"], "--provider: 'nobody' is not known; known: anthropic"),
        (
            ["--model", "gpt-none"],
            "--model: 'gpt-none' is not known; did you mean 'gpt-4o'?; known",
        ),
        (
            ["--provider", "anthropic", "--model", "gpt-none"],
            "--model: anthropic has no 'gpt-none'; known: claude-",
        ),
    ],
)
def test_what_is_not_known_gets_a_list_of_what_is(
    argv: list[str], known: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert known in refused(capsys, "demo", *argv)


@pytest.mark.parametrize("sim", [{"faults": Respond(401)}], indirect=True)
def test_a_refusal_is_an_error_with_its_facts(
    sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--provider", "anthropic"]) == 1

    out, err = capsys.readouterr()
    assert "---" not in out
    assert err.startswith("error: ")
    for fact in ("external_api_error", "http status 401", "authentication_error", "attempts 1"):
        assert fact in err


CUT = {"answers": Answer(Thinking("Let me see."), "One two three."), "faults": CleanCut(deltas=5)}


@pytest.mark.parametrize("sim", [CUT], indirect=True)
def test_an_answer_that_breaks_off_is_kept(
    sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--provider", "anthropic"]) == 1

    out, err = capsys.readouterr()
    assert "--- What came before the error\n\n[11 characters of thinking]\nOne two\n" in out
    assert "none: the answer is not complete" in out
    assert re.search(r"^usage .* so far$", out, re.M)
    assert "speed" not in out
    assert "the answer ended without its terminal event" in err


@pytest.mark.parametrize("sim", [{"answers": Answer("word " * 400)}], indirect=True)
def test_a_long_answer_is_not_printed_whole_twice(
    sim: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--provider", "anthropic"]) == 0

    streamed, _, rest = capsys.readouterr().out.partition("--- The consolidated answer")
    assert streamed.count("word") == 400
    assert rest.count("word") == 200
    assert "word ...\n[2,000 characters, as above]" in rest


@pytest.mark.parametrize("sim", [{"answers": Answer(stop_reason="refusal")}], indirect=True)
def test_an_empty_answer_is_an_answer(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--provider", "anthropic"]) == 0

    out = capsys.readouterr().out
    assert "--- The consolidated answer" in out
    assert "content_filter" in out


# --- Ctrl-C


def interrupting(after: int) -> Callable[..., None]:
    """A view's ``add`` that is interrupted at a piece."""
    count = 0
    add = views.PlainView.add

    def interrupted(self: views.PlainView, text: str, *, thinking: bool) -> None:
        nonlocal count
        count += 1
        if count > after:
            raise KeyboardInterrupt
        add(self, text, thinking=thinking)

    return interrupted


def test_ctrl_c_keeps_and_shows_what_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(views.PlainView, "add", interrupting(5))

    assert main(["demo", "--fast"]) == 130

    out, err = capsys.readouterr()
    assert err == ""
    assert "--- Interrupted; what came is kept" in out
    assert "characters of thinking]" in out


def test_ctrl_c_before_anything_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dhenara_stream.AIModelClient, "generate", interrupted)

    assert main(["demo", "--fast"]) == 130
    assert "Interrupted before anything came." in capsys.readouterr().out


def test_ctrl_c_anywhere_else_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "facts_of", interrupted)

    assert main(["demo", "--fast"]) == 130
    assert capsys.readouterr().err == ""


# --- what is known of a call


def status(**fields: Any) -> ExternalApiCallStatus:
    success = ExternalApiCallStatusEnum.RESPONSE_RECEIVED_SUCCESS
    return ExternalApiCallStatus(status=success, api_provider="x", model="m", **fields)


def answer(**fields: Any) -> ChatResponse:
    return ChatResponse(model="m", provider=AIModelProviderEnum.CUSTOM, **fields)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (AIModelCallResponse(), {}),
        (AIModelCallResponse(chat_response=answer(), status=status()), {}),
        (
            AIModelCallResponse(
                chat_response=answer(usage=ChatResponseUsage(prompt_tokens=1234)),
                status=status(timing=CallTiming(first_content=1.0, total=2.0)),
            ),
            {"usage": "1,234 tokens in, ? out", "time to first token": "1.00 s"},
        ),
        (
            AIModelCallResponse(
                chat_response=answer(
                    usage=ChatResponseUsage(completion_tokens=8), usage_charge=UsageCharge(cost=1.5)
                ),
                status=status(timing=CallTiming(total=2.0), data={"adjustments": ["top_k: out"]}),
            ),
            {"cost": "$1.500000", "note": "top_k: out", "time in all": "2.00 s"},
        ),
        (
            AIModelCallResponse(
                chat_response=answer(usage=ChatResponseUsage(completion_tokens=8)),
                status=status(timing=CallTiming(first_content=1.0, first_answer=1.5, total=3.0)),
            ),
            {"speed": "4.0 tokens per second", "time to the answer": "1.50 s"},
        ),
    ],
)
def test_the_facts_are_those_that_are_known(
    response: AIModelCallResponse, expected: dict[str, str]
) -> None:
    facts = dict(report.facts_of(response))

    assert expected.items() <= facts.items()
    assert ("speed" in facts) == ("speed" in expected)
    assert ("cost" in facts) == ("cost" in expected)


def test_no_text_moves_the_cursor() -> None:
    assert (
        views.printable("a\tb\r\nc\x1b[2J\x07\x9b\x7f é") == "a\tb\nc\ufffd[2J\ufffd\ufffd\ufffd é"
    )


# --- where the output goes


def test_a_terminal_is_drawn_on_by_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    assert main(["demo", "--fast"]) == 0

    out = terminal.getvalue()
    assert ESCAPE in out
    assert "The consolidated answer" in out
    assert "tokens per second" in out


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_it_plain_gets_it_plain(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv(name, value)

    assert main(["demo", "--fast"]) == 0
    assert ESCAPE not in terminal.getvalue()


def test_a_terminal_without_rich_gets_it_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    assert main(["demo", "--fast"]) == 0
    assert ESCAPE not in terminal.getvalue()


def test_a_process_without_output_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert main(["demo", "--fast"]) == 0


@pytest.mark.parametrize("sim", [{"answers": Answer("naïve ☃")}], indirect=True)
def test_output_that_cannot_show_all_characters(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

    assert main(["demo", "--provider", "anthropic"]) == 0
    assert b"na?ve ?" in raw.getvalue()


def live_lines(text: str, height: int) -> list[str]:
    from rich.console import Console

    from dhenara_stream.cli.live import LiveView

    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=40, height=height, color_system=None)
    view = LiveView(console)
    view.begin("A title", "A prompt")
    with view:
        view.add("Hm. ", thinking=True)
        view.add(text, thinking=False)
    return file.getvalue().splitlines()


def test_the_drawing_shows_the_end_of_a_long_answer() -> None:
    drawn = "\n".join(live_lines("\n\n".join(f"line {i}" for i in range(50)), height=10))

    assert "line 49" in drawn
    assert "line 40" not in drawn


def test_a_terminal_shows_an_answer_without_thinking(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    assert main(["demo", "--fast", "--no-thinking"]) == 0
    assert demo.THINKING[-30:] not in terminal.getvalue()


def test_the_drawing_shows_all_of_a_short_answer() -> None:
    drawn = "\n".join(live_lines("**bold** words", height=10))

    assert "Hm." in drawn
    assert "bold words" in drawn


def test_redraws_are_throttled() -> None:
    from dhenara_stream.cli.live import REDRAWS_PER_SECOND

    assert REDRAWS_PER_SECOND <= 12


# --- in a process of its own


@posix
def test_ctrl_c_in_a_pipe() -> None:
    with process("demo") as running:
        assert running.stdout is not None
        shown = read_until(running.stdout.fileno(), b"Answer:\nThe way")
        running.send_signal(signal.SIGINT)
        rest, err = running.communicate(timeout=15)

    out = (shown + rest).decode()
    assert (running.returncode, err) == (130, b"")
    assert "--- Interrupted; what came is kept" in out
    assert "The way" in out.partition("--- Interrupted")[2]
    assert "in the environment." not in out


@posix
def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with process("demo") as running:  # which has most of it still to say
        assert running.stdout is not None
        read_until(running.stdout.fileno(), b"\n")
        running.stdout.close()
        assert running.stderr is not None
        err = running.stderr.read()
        code = running.wait(timeout=15)

    assert (code, err) == (141, b"")


@posix
def test_a_terminal_is_drawn_on_while_the_answer_comes() -> None:
    with terminal() as (ours, theirs), process("demo", stdout=theirs) as running:
        os.close(theirs)
        out = read_until(ours, b"never seen").decode()
        code = running.wait(timeout=15)

    assert code == 0
    assert "\x1b[?25l" in out  # the cursor is hidden,
    assert "\x1b[?25h" in out  # and comes back
    assert "waiting for the first token" in out
    whole = out.partition("The consolidated answer")[2]
    assert whole.count("a word at a time") == 1
    assert "time to first token" in whole


@posix
def test_ctrl_c_in_a_terminal() -> None:
    with terminal() as (ours, theirs), process("demo", stdout=theirs) as running:
        os.close(theirs)
        shown = read_until(ours, b"The way")
        running.send_signal(signal.SIGINT)
        out = (shown + read_until(ours, b"never seen")).decode()
        code = running.wait(timeout=15)

    assert code == 130
    assert "Interrupted; what came is kept" in out
    assert "The way" in out.partition("Interrupted;")[2]
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")


# --- simulate


@posix
def test_simulate_says_what_to_export_and_serves_until_ctrl_c() -> None:
    with process("simulate") as running:
        assert running.stdout is not None
        out = read_until(running.stdout.fileno(), b"ANTHROPIC_BASE_URL=").decode()
        address = re.findall(r"^export ANTHROPIC_BASE_URL=(http://127\.0\.0\.1:\d+)$", out, re.M)
        refusal = httpx.post(f"{address[0]}/v1/messages", json={}, trust_env=False)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=15)

    assert (running.returncode, err) == (0, b"")
    assert refusal.status_code == 401
    assert "any API key will do" in out


def started(monkeypatch: pytest.MonkeyPatch, *argv: str) -> tuple[Simulator, str]:
    """The simulator that these arguments make, and what is said of keys."""
    runs: list[tuple[Simulator, str]] = []
    monkeypatch.setattr(anyio, "run", lambda _, simulator, keys: runs.append((simulator, keys)))
    assert main(["simulate", *argv]) == 0
    monkeypatch.undo()
    return runs[0]


def asked(simulator: Simulator) -> httpx.Response:
    body = {
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    with simulator:
        return httpx.post(
            f"{simulator.url}/v1/messages",
            json=body,
            headers={"anthropic-version": "2023-06-01"},
            trust_env=False,
        )


def test_simulate_answers_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, keys = started(monkeypatch, "--no-key", "--answer", "Forty-two.")

    assert keys == "no API key is needed"
    assert asked(simulator).json()["content"] == [{"type": "text", "text": "Forty-two."}]


def test_simulate_fails_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, _ = started(monkeypatch, "--no-key", "--status", "529")
    assert asked(simulator).status_code == 529

    simulator, _ = started(monkeypatch, "--no-key", "--cut-after", "1")
    assert asked(simulator).status_code == 200


def test_a_port_in_use_is_an_error_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        err = refused(capsys, "simulate", "--port", str(port))

    assert f"127.0.0.1:{port}" in err
    assert "in use" in err


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--port", "70000"], "port"),
        (["--port", "x"], "--port"),
        (["--host", "192.0.2.1"], "192.0.2.1"),
        (["--tokens-per-second", "0"], "tokens_per_second"),
        (["--time-to-first-token", "-1"], "time_to_first_token"),
        (["--status", "99"], "status"),
        (["--cut-after", "-1"], "deltas"),
        (["--status", "500", "--cut-after", "1"], "not allowed with"),
    ],
)
def test_a_wrong_option_is_named(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in refused(capsys, "simulate", *argv)

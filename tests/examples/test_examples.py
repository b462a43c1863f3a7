"""Each example runs, as a script in its own process, against the simulator."""

from __future__ import annotations

import importlib.util
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dhenara_stream.simulator import (
    Answer,
    Drop,
    Fault,
    RecordedRequest,
    Respond,
    Silence,
    Simulator,
    Thinking,
    ToolCall,
)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SEED = ROOT.parent / "shared" / "seed" / "streaming.md"

posix = pytest.mark.skipif(os.name != "posix", reason="the signal is POSIX's here")


@contextmanager
def process(url: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-not-a-real-key",
        "NO_PROXY": "*",
    }
    with subprocess.Popen(
        [sys.executable, "-W", "error", *argv],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def run(url: str, *argv: str) -> tuple[int, str, str]:
    """The exit code of a script, what it printed, and what it complained of."""
    with process(url, *argv) as running:
        out, err = running.communicate(timeout=18)
    return running.returncode, out, err


def script(number: int) -> str:
    (path,) = EXAMPLES.glob(f"{number:02}_*.py")
    return str(path)


def ran(sim: Simulator, number: int) -> str:
    """What an example printed, which ended well."""
    code, out, err = run(sim.url, script(number))
    assert (code, err) == (0, "")
    return out


# --- the seed


def seed() -> str:
    """The seed's script with the import root changed, and nothing else."""
    text = SEED.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    return text.replace("dhenara.ai", "dhenara_stream")


needs_seed = pytest.mark.skipif(not SEED.is_file(), reason="../shared/seed is not here")


@needs_seed
def test_the_first_example_is_the_seed() -> None:
    assert Path(script(1)).read_text("utf-8").rstrip() == seed().rstrip()


def check_the_loop(out: str) -> None:
    streamed, _, rest = out.partition("\n\n---\nFinal consolidated response:\n\n")
    assert streamed == "Qubits are two-level systems."
    text, _, usage = rest.partition("\n\nUsage: ")
    assert text == streamed
    assert re.search(r"total_tokens=\d+, prompt_tokens=\d+, completion_tokens=\d+", usage)


QUBITS = Answer("Qubits are two-level systems.")


@needs_seed
def test_the_seed_runs() -> None:
    with Simulator(QUBITS) as sim:
        code, out, err = run(sim.url, "-c", seed())

    assert (code, err) == (0, "")
    check_the_loop(out)


def test_the_loop_prints_the_text_as_it_comes_then_whole_then_the_usage() -> None:
    with Simulator(QUBITS) as sim:
        check_the_loop(ran(sim, 1))
        (asked,) = sim.requests

    assert asked.json["system"] == "Be concise."
    assert (asked.json["max_tokens"], asked.json["stream"]) == (400, True)


def check_the_error(err: str, *words: str) -> None:
    """The seed's own error is the last word."""
    last = err.rstrip().splitlines()[-1]
    assert last.startswith("RuntimeError: external_api_error: ")
    assert [word for word in words if word not in last] == []


@pytest.mark.parametrize(
    ("fault", "requests", "words"),
    [
        (Respond(401), 1, ("401", "authentication_error", "API key")),
        (Respond(529, retry_after=0.01), 3, ("529", "overloaded_error")),
        (Drop(), 3, ("broke off",)),
    ],
    ids=["401", "529", "closes"],
)
def test_a_server_that_refuses_ends_the_loop_in_its_own_error(
    fault: Fault, requests: int, words: tuple[str, ...]
) -> None:
    def same(_: RecordedRequest) -> Fault:
        return fault

    with Simulator(faults=same) as sim:
        code, out, err = run(sim.url, script(1))
        assert len(sim.requests) == requests

    assert (code, out) == (1, "")
    check_the_error(err, *words)


def test_a_server_that_is_not_there_ends_the_loop_in_its_own_error() -> None:
    with socket.socket() as nobody:  # holds the port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        code, out, err = run(f"http://127.0.0.1:{port}", script(1))

    assert (code, out) == (1, "")
    check_the_error(err, f"cannot connect to 127.0.0.1:{port}")


# --- the others


@pytest.mark.parametrize(
    "path", [p for p in EXAMPLES.glob("*.py") if not p.name.startswith("01")], ids=lambda p: p.stem
)
def test_an_example_can_be_imported(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None

    spec.loader.exec_module(importlib.util.module_from_spec(spec))

    assert capfd.readouterr() == ("", "")


def test_a_service_goes_on_after_a_failure() -> None:
    faults = [Respond(429, retry_after=90.0), None]
    with Simulator(Answer("Entangled."), faults=faults) as sim:
        out = ran(sim, 2)

    assert "> What is a qubit?\n\nToo many requests" in out
    assert "90.0 s" in out
    assert re.search(r"> And what is entanglement\?\nEntangled\.\n\[\$0\.0\d+\]\n", out)


def test_a_service_reports_what_failed() -> None:
    with Simulator(faults=[Respond(400, message="no such thing"), None]) as sim:
        out = ran(sim, 2)

    assert re.search(r"InvalidRequestError: .*no such thing.* \(request req_\w+\)", out)


def test_on_trio_the_first_one_wins_and_the_other_ones_words_are_kept() -> None:
    def stuck(request: RecordedRequest) -> Fault | None:
        return Silence(deltas=2) if "sonnet" in request.json["model"] else None

    # The winner needs a while, so that the other one has begun.
    with Simulator(
        Answer("One two three four five six."), faults=stuck, tokens_per_second=20
    ) as sim:
        out = ran(sim, 3)
        sim.wait_closed_sync()

    assert re.search(
        r"--- claude-haiku\S+ The answer is complete\nOne two three four five six\.", out
    )
    assert re.search(r"--- claude-sonnet\S+ (?!The answer is complete).*\nOne two\n", out)


def test_each_of_many_streams_gets_its_own_answer() -> None:
    with Simulator() as sim:
        out = ran(sim, 4)

    topics = re.findall(
        r'^(\w+) +first [\d.]+ s, all [\d.]+ s: You asked "Explain (\w+) ', out, re.M
    )
    assert len(topics) == len(sim.requests) == 16
    assert all(topic == answered for topic, answered in topics)
    assert len(set(topics)) == 16
    assert sim.connections.accepted < 16  # they are used again
    assert sim.connections.peak <= 8


def test_a_stream_that_fails_leaves_the_others_alone() -> None:
    with Simulator(faults=[Respond(400, message="not this one"), None]) as sim:
        out = ran(sim, 4)

    assert len(re.findall(r"^\w+ +failed: .*not this one", out, re.M)) == 1
    assert len(re.findall(r"^\w+ +first ", out, re.M)) == 15


def test_tools_are_called_and_the_conversation_goes_back_whole() -> None:
    answers = [
        Answer(Thinking("Ask the tool."), ToolCall("get_weather", {"city": "Paris"}, id="toolu_1")),
        Answer(ToolCall("get_weather", '{"city": ', id="toolu_2")),
        Answer(ToolCall("get_snow", {}, id="toolu_3")),
        Answer("It is 21 degrees in Paris."),
    ]
    with Simulator(answers) as sim:
        out = ran(sim, 5)
        asked = [request.json["messages"] for request in sim.requests]

    assert "get_weather({'city': 'Paris'}) -> Paris: 21 degrees celsius, light wind\n" in out
    assert "It is 21 degrees in Paris.\n\nUsage of the last turn: " in out
    assert [len(messages) for messages in asked] == [1, 3, 5, 7]
    _, said, result, _, broken, _, unknown = asked[3]
    thinking, call = said["content"]
    assert thinking["thinking"] == "Ask the tool."
    assert thinking["signature"]
    assert (call["id"], call["input"]) == ("toolu_1", {"city": "Paris"})
    assert result["content"][0]["tool_use_id"] == "toolu_1"
    assert not result["content"][0].get("is_error")
    for message, name in ((broken, "toolu_2"), (unknown, "toolu_3")):
        assert message["content"][0]["tool_use_id"] == name
        assert message["content"][0]["is_error"] is True


def test_tools_with_a_failing_service() -> None:
    with Simulator(faults=Respond(400)) as sim:
        code, _, err = run(sim.url, script(5))

    assert code == 1
    check_the_error(err, "400")


def test_many_prompts_go_on_where_they_failed(tmp_path: Path) -> None:
    file = str(tmp_path / "reviews.jsonl")
    with Simulator(Answer("good"), faults=[Respond(400, message="not this one"), None]) as sim:
        code, first, err = run(sim.url, script(8), file)
        assert (code, len(sim.requests)) == (0, 6)
        assert "6 done, 1 failed, 0 from before, $0.0" in err
        code, again, err = run(sim.url, script(8), file)
        assert (code, len(sim.requests)) == (0, 7)
    assert len(re.findall(r"^r\d: good$", first, re.M)) == 5
    assert len(re.findall(r"^r\d: .*not this one", first, re.M)) == 1
    assert len(re.findall(r"^r\d: good$", again, re.M)) == 6
    assert "6 done, 0 failed, 5 from before, $0.0" in err


# SIGINT may be ignored by whoever started these tests; a shell's foreground has it as here.
INTERRUPTIBLE = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def read_until(running: subprocess.Popen[str], wanted: str) -> str:
    assert running.stdout is not None
    file, read = running.stdout.fileno(), b""
    while wanted.encode() not in read and select.select([file], [], [], 15)[0]:
        piece = os.read(file, 65536)
        assert piece, f"it ended: {read!r}"
        read += piece
    return read.decode()


@posix
def test_ctrl_c_keeps_what_came() -> None:
    with Simulator(Answer("One two three four five."), faults=Silence(deltas=3)) as sim:
        with process(sim.url, "-c", INTERRUPTIBLE, script(6)) as running:
            shown = read_until(running, "three")
            running.send_signal(signal.SIGINT)
            rest, err = running.communicate(timeout=15)
        sim.wait_closed_sync()

    assert (running.returncode, err) == (130, "")
    assert shown == "One two three"
    assert "--- 13 characters are kept; usage: ChatResponseUsage(" in rest


@pytest.mark.parametrize(
    ("keywords", "code", "words"),
    [
        ({}, 0, "The answer is complete"),
        ({"faults": Respond(400)}, 1, "--- 0 characters are kept; usage: None"),
    ],
)
def test_without_ctrl_c_it_runs_to_its_end(keywords: Any, code: int, words: str) -> None:
    with Simulator(**keywords) as sim:
        ended, out, err = run(sim.url, script(6))

    assert ended == code
    assert bool(err) == bool(code)
    assert words in out

"""Everything in the README runs."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dhenara_stream.simulator import Simulator

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def commands() -> list[str]:
    return [line for block in blocks("console") for line in block.splitlines()]


def run(*argv: str, given: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **extra}
    return subprocess.run(
        argv,
        check=False,
        cwd=ROOT,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_loop_stands_in_the_first_screen() -> None:
    first_screen = README.splitlines()[:45]

    assert any("for chunk, final in response.stream_generator:" in line for line in first_screen)


def test_the_python_blocks_run_one_after_the_other_in_one_session() -> None:
    source = "\n".join(blocks("python"))
    with Simulator() as sim:
        done = run(
            *(sys.executable, "-W", "error", "-c", source),
            **sim.base_urls,
            ANTHROPIC_API_KEY="sk-not-a-real-key",
            GEMINI_API_KEY="not-a-real-key",
            GROQ_API_KEY="not-a-real-key",
        )

    assert done.returncode == 0, done.stderr
    assert "the answer ended without its terminal event" in done.stdout


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_each_make_command_is_a_target_that_the_gate_runs(command: str) -> None:
    assert command in (ROOT / ".ci" / "run").read_text()
    assert re.search(rf"^{command.removeprefix('make ')}:", (ROOT / "Makefile").read_text(), re.M)


def test_the_simulator_command_serves_until_ctrl_c() -> None:
    [command] = [c for c in commands() if c.startswith("dhenara-stream simulate")]
    name, *arguments = command.replace("8765", "0").split()  # whichever port is free
    assert name == "dhenara-stream"

    with subprocess.Popen(
        [sys.executable, "-m", "dhenara_stream", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "ANTHROPIC_BASE_URL" in line)
        process.send_signal(signal.SIGINT)

        assert process.wait(10) == 0
    assert "http://127.0.0.1:" in line


@pytest.mark.parametrize("command", [c for c in commands() if "dhenara-stream chat" in c])
def test_the_chat_commands_print_an_answer(command: str) -> None:
    *piped, call = command.split(" | ")
    name, *arguments = shlex.split(call)
    assert name == "dhenara-stream"
    with Simulator() as sim:
        done = run(
            *(sys.executable, "-m", "dhenara_stream", *arguments),
            given="diff" if piped else "",
            **sim.base_urls,
            ANTHROPIC_API_KEY="sk-not-a-real-key",
        )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("You asked")


def test_every_file_that_is_named_exists() -> None:
    for name in re.findall(r"`((?:examples|benchmarks|dhenara_stream)/[\w/.]+)`", README):
        assert (ROOT / name).exists(), name


# --- figures, which stand on pages that are made


def rows(page: str) -> dict[str, list[str]]:
    """The rows of all tables of a page, by their first cell; without emphasis."""
    lines = re.findall(r"^\|(.+)\|$", page.replace("*", ""), re.M)
    cells = ([cell.strip() for cell in line.split("|")] for line in lines)
    return {name: others for name, *others in cells}


def page(name: str) -> dict[str, list[str]]:
    return rows((ROOT / "benchmarks" / name).read_text())


def test_the_table_of_faults_is_that_of_its_page() -> None:
    [table] = re.findall(r"^\| right, of .*?\n\n", README, re.M | re.S)
    of_readme, of_page = rows(table), page("FAULTS.md")
    assert of_readme.keys() >= {"dhenara_stream", "litellm"}
    for name, cells in of_readme.items():
        if not name.startswith(("-", "right")):
            assert cells == of_page[name], name


def test_the_table_of_costs_is_that_of_its_page() -> None:
    [table] = re.findall(r"^\| client .*?\n\n", README, re.M | re.S)
    of_page = (ROOT / "benchmarks" / "BENCHMARKS.md").read_text()
    assert "dhenara_stream" in rows(table)
    assert table in of_page


def test_the_counts_of_recordings_are_those_of_their_pages() -> None:
    requests = (ROOT / "benchmarks" / "REQUESTS.md").read_text()
    dialects = re.findall(r"^\| [\w-]+ \| (\d+) \| (\d+) \| \d+ \| \d+ \| \d+ \|", requests, re.M)
    assert len(dialects) == 4
    recorded, equal = (sum(map(int, counts)) for counts in zip(*dialects, strict=True))
    said = " ".join(README.split())
    assert f"{int(page('CORPUS.md')['all'][0]):,} recorded answers" in said
    assert f"{equal:,} of {recorded:,} recorded requests" in said

"""The client against servers of others: ``make test-real``.

``make test`` does not collect this folder (``norecursedirs`` in pyproject.toml): a folder that is
named on the command line is collected all the same. The servers are installed below ``.real`` by
the targets of the Makefile, from locks: llama.cpp's server and LiteLLM's proxy with pip, aimock
with npm. The tests of a server that is not installed are skipped, and say so.

A server is started once, at a port that the system chooses, and is killed when the tests end, in
whatever way they do (servers.py).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from real.servers import running

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".real"


def installed(name: str, what: str) -> Path:
    """Where a server is installed; without it, the test is skipped."""
    folder = INSTALLED / name
    if not (folder / ".stamp").exists():
        pytest.skip(f"{what} is not installed: `make .real/{name}/.stamp` says why")
    return folder


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of llama.cpp's server with a random model."""
    python = installed("llama", "llama.cpp's server") / "bin" / "python"
    model = tmp_path_factory.mktemp("llama") / "random.gguf"
    with running([str(python), str(HERE / "llama_server.py"), str(model)]) as url:
        yield url


@pytest.fixture(scope="session")
def aimock() -> Iterator[str]:
    """The URL of aimock with the answers of aimock.json, in pieces of 12 characters."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: aimock needs it")
    package = installed("aimock", "aimock") / "node_modules" / "@copilotkit" / "aimock"
    script = package / "dist" / "cli.js"
    answers = HERE / "aimock.json"
    with running([node, str(script), "-p", "0", "-f", str(answers), "-c", "12"]) as url:
        yield url


@pytest.fixture(scope="session")
def litellm(aimock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of LiteLLM's proxy in front of aimock."""
    command = installed("litellm", "LiteLLM's proxy") / "bin" / "litellm"
    upstream = {
        "gpt-4.1-nano": ("openai", "/v1"),
        "claude-haiku-4-5": ("anthropic", ""),
        "gemini-2.5-flash": ("gemini", "/v1beta/models/gemini-2.5-flash"),
    }
    config = {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {
                    "model": f"{maker}/{model}",
                    "api_base": aimock + path,
                    "api_key": "not-a-real-key",
                },
            }
            for model, (maker, path) in upstream.items()
        ],
        # Else the proxy makes its own attempts, for twenty seconds.
        "router_settings": {"num_retries": 0},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
    }
    path = tmp_path_factory.mktemp("litellm") / "config.yaml"
    path.write_text(json.dumps(config), "utf-8")  # JSON is YAML
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing is fetched
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "NO_DOCS": "1",
    }
    address = ["--host", "127.0.0.1", "--port", "0"]
    with running([str(command), "--config", str(path), *address], environment) as url:
        yield url

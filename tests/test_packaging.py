"""What is installed: the version, the files, the command, and no more than the dependencies."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import dhenara_stream

ROOT = Path(__file__).parent.parent
RUNTIME = {"anyio", "h11", "httpx", "httpx-sse", "msgspec"}

LOCKED = re.compile(
    r"^([\w.-]+)(?:\[[\w, -]+\])?==(\S+)(?: ; [^\\\n]+)? \\\n"
    r"(?: +--hash=sha256:[0-9a-f]{64}[ \\]*\n)+",
    re.MULTILINE,
)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def names(requirements: list[Any]) -> set[str]:
    """The packages required, included groups aside."""
    texts = [text for text in requirements if isinstance(text, str)]
    return {re.split(r"[^\w.-]", text)[0].replace("_", "-") for text in texts}


def locked(name: str) -> dict[str, str]:
    """The versions in a lock, each with a hash."""
    return dict(LOCKED.findall((ROOT / name).read_text("utf-8")))


def test_the_version_is_the_installed_one() -> None:
    assert "version" in project()["project"]["dynamic"]
    assert metadata.version("dhenara-stream") == dhenara_stream.__version__


def test_the_runtime_dependencies_are_four_and_one_that_httpx_brings() -> None:
    assert names(project()["project"]["dependencies"]) == RUNTIME
    required = metadata.requires("dhenara-stream") or []
    assert names([text for text in required if "extra ==" not in text]) == RUNTIME


def test_the_command_is_declared() -> None:
    (command,) = metadata.entry_points(group="console_scripts", name="dhenara-stream")
    assert command.value == "dhenara_stream.cli:main"


def test_the_wheel_carries_the_package_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "flit_core.wheel", "--outdir", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    files = [path for path in (ROOT / "dhenara_stream").rglob("*") if path.is_file()]
    assert shipped == {
        path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts
    }
    assert "dhenara_stream/py.typed" in shipped


def test_a_protocol_is_loaded_when_a_client_is_made_for_it() -> None:
    code = """
import sys
from dhenara_stream import AIModelClient
from dhenara_stream.types import AIModelAPI, AIModelEndpoint
from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45
def spoken():
    return {name.split(".")[2] for name in sys.modules if name.endswith((".request", ".stream"))
            and name.startswith("dhenara_stream.dialects.")}
print(spoken())
api = AIModelAPI(provider="anthropic", api_key="sk-no-key-at-all")
AIModelClient(AIModelEndpoint(api=api, ai_model=ClaudeHaiku45))
print(spoken())
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines() == ["set()", "{'anthropic'}"]


def test_import_loads_nothing_but_the_dependencies() -> None:
    # httpx loads rich for its own command line where it finds all that one needs.
    code = """
import anyio, httpx, httpx_sse, msgspec, sys
before = set(sys.modules)
import dhenara_stream
print(*(set(sys.modules) - before))
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    unwanted = {
        "anthropic",
        "google",
        "jsonschema",
        "openai",
        "pydantic",
        "rich",
        "starlette",
        "trio",
        "yaml",
    }
    assert "dhenara_stream" in loaded
    assert loaded & unwanted == set()


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("*.lock")))
def test_a_lock_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert "://" not in text
    assert LOCKED.sub("", text).splitlines() == text.splitlines()[:2]  # else only its heading


def test_the_locks_hold_what_the_project_asks_for() -> None:
    asked = project()
    extras, groups = asked["project"]["optional-dependencies"], asked["dependency-groups"]
    runtime, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    assert RUNTIME | names(extras["rich"]) | names(groups["build"]) <= runtime.keys()
    assert names([*groups["dev"], *chain(*extras.values())]) <= dev.keys()
    assert runtime.items() <= dev.items()
    own = ("litellm", "dhenara", "aiohttp", "pydantic-ai", "plots", "mutants")
    for name, group in [("real", "llama"), *zip(own, own, strict=True)]:
        assert names(groups[group]) <= locked(f"requirements-{name}.lock").keys()
    assert groups["build"] == asked["build-system"]["requires"]


def test_the_locks_name_extras_without_which_older_pips_find_a_package_unpinned() -> None:
    text = (ROOT / "requirements-dev.lock").read_text("utf-8")
    extras = re.findall(r"^([\w.-]+)\[\w+\]==", text, re.MULTILINE)
    assert {"anyio", "pyright"} <= set(extras)

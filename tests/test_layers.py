"""The order of the package, read from its source.

Who may import whom and what, what is public, how long a function may be, and what no file of the
project may name.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "dhenara_stream"

# A layer imports itself and layers of a lower rank. "" is the package's own __init__.
RANKS = {
    "_version": 0,
    "errors": 0,
    "types": 1,
    "core": 2,
    "dialects": 3,
    "providers": 4,
    "engine": 5,
    "simulator": 5,
    "client": 6,
    "": 7,
    "cli": 8,
    "__main__": 9,
}
PURE = {"errors", "types", "core", "dialects", "providers"}
NETWORKED = {"engine", "simulator", "client", "cli"}
WITH_THREADS = {"engine/sync.py", "simulator/sync.py"}
DEPENDENCIES = {"anyio", "h11", "httpx", "httpx_sse", "msgspec"}
EXTRAS = {
    "cli": {"rich"},
    "types": {"jsonschema", "referencing", "yaml"},
    "providers": {"botocore", "google"},
}

THREADS = {"_thread", "concurrent", "multiprocessing", "threading"}
NETWORK = {"anyio", "h11", "httpcore", "httpx", "httpx_sse"}
IO = {
    *{"ftplib", "http", "mmap", "queue", "sched", "select", "selectors", "signal", "smtplib"},
    *{"socket", "socketserver", "ssl", "subprocess", "urllib.request", "xmlrpc"},
}
UNCLOCKED = PURE - {"providers"}  # a provider may need the time to sign a request

FAST_PATH = ("engine/asyncio_source.py", "asyncio")  # the reason stands at its top

MAX_LINES = 80


def imports(source: str, path: str) -> Iterator[str]:
    """The dotted name of all that the module at ``path`` (in the package) imports.

    ``from a import b`` counts as ``a.b``, for ``b`` may be a module.
    """
    package = [PACKAGE, *Path(path).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join(filter(None, [*parents, node.module]))
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            match node:
                case ast.Call(
                    func=ast.Name(id=called) | ast.Attribute(attr=called),
                    args=[ast.Constant(value=str(name)), *_],
                ) if called in {"import_module", "__import__"}:
                    yield name
                case _:
                    pass


def layer_of(path: str) -> str:
    """The layer of the module at ``path``, relative to the package."""
    first = Path(path).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def refusal(path: str, name: str) -> str | None:
    """Why the module at ``path`` may not import ``name``; None if it may."""
    layer = layer_of(path)
    top, _, rest = name.partition(".")
    if name.endswith(".*"):
        return "a star import"
    if top == PACKAGE:
        target = rest.partition(".")[0]
        target = target if target in RANKS else ""
        if target != layer and RANKS[target] >= RANKS[layer]:
            return f"{target or 'the package itself'} is not below {layer}"
        return None
    names = {top, ".".join(name.split(".")[:2])}
    allowed = DEPENDENCIES | sys.stdlib_module_names | EXTRAS.get(layer, set())
    if names & {"asyncio", "trio"} and (path, top) != FAST_PATH:
        return "the event loop is anyio's business"
    if names & THREADS and path not in WITH_THREADS:
        return "threads belong in the synchronous fronts"
    if names & NETWORK and layer not in NETWORKED:
        return f"{layer} does no I/O"
    if layer in PURE and names & IO:
        return f"{layer} does no I/O"
    if layer in UNCLOCKED and "time" in names:
        return f"{layer} reads no clock"
    if layer in {"core", "dialects"} and "logging" in names:
        return f"{layer} keeps no log"
    if top not in allowed:
        return "no dependency of the package"
    return None


def reads_clock(node: ast.AST) -> bool:
    """Whether this is ``datetime.now``, ``date.today`` or the like; the types are no clock."""
    match node:
        case ast.Attribute(
            value=ast.Name(id="date" | "datetime") | ast.Attribute(attr="date" | "datetime"),
            attr="now" | "today" | "utcnow",
        ):
            return True
        case _:
            return False


def problems(path: str, source: str) -> list[str]:
    """What is wrong with the module at ``path``, relative to the package."""
    layer = layer_of(path)
    if layer not in RANKS:
        return [f"{path}: belongs to no layer"]
    nodes = list(ast.walk(ast.parse(source)))
    refused = [
        f"{path}: imports {name}: {why}"
        for name in imports(source, path)
        if (why := refusal(path, name))
    ]
    too_long = [
        f"{path}: {node.name} has {lines} lines"
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_LINES
    ]
    clocked = layer in UNCLOCKED and any(map(reads_clock, nodes))
    return refused + too_long + ([f"{path}: reads the clock"] if clocked else [])


def public_names(source: str) -> list[str] | None:
    """The module's ``__all__``, None if it has none."""
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return list(ast.literal_eval(value))
            case _:
                pass
    return None


def public_order(name: str) -> tuple[int, list[str | int]]:
    """CONSTANTS, then Classes, then the rest, numbers by value: as ruff sorts them."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def public_problems(module: str, names: list[str] | None, existing: object) -> list[str]:
    """What is wrong with the names that a module makes public."""
    if names is None:
        return [f"{module}: has no __all__"]
    found = [f"{module}: {name} does not exist" for name in names if not hasattr(existing, name)]
    if len(names) != len(set(names)):
        found.append(f"{module}: __all__ names something twice")
    if names != sorted(names, key=public_order):
        found.append(f"{module}: __all__ is not sorted")
    return found


def sources() -> Iterator[tuple[str, str]]:
    """Path (relative to the package) and text of each module."""
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        yield path.relative_to(ROOT / PACKAGE).as_posix(), path.read_text("utf-8")


def test_modules_keep_to_their_layer_and_functions_are_short() -> None:
    checked = list(sources())
    assert len(checked) > 1
    assert [problem for path, source in checked for problem in problems(path, source)] == []


def test_public_packages_say_what_is_public() -> None:
    found: list[str] = []
    for path, source in sources():
        names = public_names(source)
        public = path == "__init__.py" or (
            path.startswith("types/") and path.endswith("__init__.py")
        )
        if public or names is not None:
            module = ".".join([PACKAGE, *Path(path).with_suffix("").parts])
            module = module.removesuffix(".__init__")
            found += public_problems(module, names, importlib.import_module(module))
    assert found == []


@pytest.mark.parametrize(
    ("path", "source", "problem"),
    [
        ("core/sse.py", "from dhenara_stream.errors import ProtocolError", None),
        ("core/sse.py", "from dhenara_stream.core import deltas", None),
        ("core/sse.py", "from . import deltas", None),
        ("core/sse.py", "from ..errors import ProtocolError", None),
        ("core/sse.py", "from ..dialects import base", "dialects is not below core"),
        ("core/sse.py", "from .. import engine", "engine is not below core"),
        ("core/sse.py", "import dhenara_stream.client", "client is not below core"),
        ("core/sse.py", "from dhenara_stream import Client", "the package itself"),
        ("core/sse.py", "from dhenara_stream import errors", None),
        ("core/__init__.py", "from . import sse", None),
        ("errors.py", "from dhenara_stream.types import Usage", "types is not below errors"),
        ("engine/run.py", "import dhenara_stream.simulator", "simulator is not below engine"),
        ("simulator/x.py", "import dhenara_stream.engine", "engine is not below simulator"),
        ("__init__.py", "from dhenara_stream.client import Client", None),
        ("__init__.py", "from dhenara_stream.cli import main", "cli is not below"),
        ("cli.py", "import dhenara_stream", None),
        ("__main__.py", "from dhenara_stream.cli import main", None),
        ("new/x.py", "", "belongs to no layer"),
        ("core/sse.py", "def f():\n    import time", "no clock"),
        ("core/x.py", "from datetime import datetime", None),
        (
            "core/x.py",
            "from datetime import datetime as d, UTC\nd = datetime.now(UTC)",
            "the clock",
        ),
        ("types/x.py", "import datetime\nt = datetime.date.today()", "the clock"),
        ("providers/sign.py", "import datetime\nt = datetime.datetime.now()", None),
        ("dialects/x.py", "import logging.handlers", "keeps no log"),
        ("providers/sign.py", "import datetime, time, urllib.parse, logging", None),
        ("providers/x.py", "import urllib.request", "does no I/O"),
        ("providers/x.py", "from urllib import request", "does no I/O"),
        ("providers/x.py", "from http.client import HTTPConnection", "does no I/O"),
        ("providers/x.py", "import anyio.abc", "does no I/O"),
        ("__init__.py", "import httpx", "does no I/O"),
        ("engine/x.py", "import anyio, httpx, httpx_sse, logging, time, ssl", None),
        ("engine/x.py", "import asyncio", "anyio's business"),
        ("cli.py", "from trio import run", "anyio's business"),
        ("engine/x.py", "from threading import Lock", "synchronous fronts"),
        ("engine/x.py", "import concurrent.futures", "synchronous fronts"),
        ("engine/sync.py", "import threading", None),
        ("cli.py", "from os.path import *", "a star import"),
        ("cli.py", "def show():\n    import rich.live", None),
        ("engine/x.py", "import rich", "no dependency"),
        ("types/x.py", "import importlib\ny = importlib.import_module('yaml')", None),
        ("core/x.py", "y = import_module('yaml')", "no dependency"),
        ("providers/x.py", "import openai", "no dependency"),
        ("cli.py", "def f():\n" + "    pass\n" * 79, None),
        ("cli.py", "async def f():\n" + "    pass\n" * 80, "f has 81 lines"),
    ],
)
def test_problems_are_found(path: str, source: str, problem: str | None) -> None:
    found = problems(path, source)
    if problem is None:
        assert found == []
    else:
        assert any(problem in text for text in found)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("A = b = C_D = 1\n__all__ = ['C_D', 'A', 'b']", None),
        ("__all__: list[str] = []", None),
        ("A9 = A10 = A10b = 1\n__all__ = ['A9', 'A10', 'A10b']", None),
        ("A = 1", "no __all__"),
        ("__all__ = ['A']", "A does not exist"),
        ("A = 1\n__all__ = ['A', 'A']", "twice"),
        ("A = b = 1\n__all__ = ['b', 'A']", "not sorted"),
    ],
)
def test_public_problems_are_found(source: str, problem: str | None) -> None:
    module = ModuleType("m")
    exec(source, module.__dict__)
    found = public_problems("m", public_names(source), module)
    if problem is None:
        assert found == []
    else:
        assert problem in "".join(found)


UNWANTED = re.compile(r"(?<![\w.])/(?:home|opt|root|work)/|\b(?:TO" + "DO|FIX" + r"ME)\b")


def test_no_file_names_a_machine_path_or_leaves_work_open() -> None:
    folders = [PACKAGE, "tests", "examples", "benchmarks", ".ci"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += [ROOT / name for name in ("Makefile", "LICENSE", ".gitignore")]
    files += [path for ending in ("toml", "md", "lock") for path in ROOT.glob(f"*.{ending}")]
    found: list[str] = []
    for path in files:
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_text("utf-8", errors="replace")
            found += [f"{path}: {match[0]}" for match in UNWANTED.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("open('/ho" + "me/me/x')", True),
        ("# TO" + "DO: later", True),
        ("https://a.example/ho" + "me/x", False),
        ("path = ./wo" + "rk/x", False),
    ],
)
def test_unwanted_text_is_found(text: str, found: bool) -> None:
    assert bool(UNWANTED.search(text)) is found

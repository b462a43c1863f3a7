"""What a package weighs: seconds and memory of its import, and what it takes on the disk."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clients import AIOHTTP, PYDANTIC_AI
from benchmarks.peers import DHENARA, LITELLM
from benchmarks.places import ROOT, python_of

__all__ = ["OURS", "PACKAGES", "PYTHON", "Package", "weigh"]

PYTHON, OURS = "Python alone", "dhenara_stream"
MIB = 2**20
PEERS = r"\b(anthropic|openai|google\.genai|pydantic|litellm)\b"


@dataclass(frozen=True, slots=True)
class Package:
    """A package.

    Attributes:
        name: The row it gets.
        imported: What is imported.
        distributions: What is installed for it, without what those need.
        place: The environment it is installed in, where it is not the project's own.
    """

    name: str
    imported: str
    distributions: tuple[str, ...] = ()
    place: str | None = None


PACKAGES = (
    Package(PYTHON, "sys"),
    Package(
        "its four dependencies",
        "anyio, httpx, httpx_sse, msgspec",
        ("anyio", "httpx", "httpx-sse", "msgspec"),
    ),
    Package(OURS, "dhenara_stream", ("dhenara-stream",)),
    Package("aiohttp", "aiohttp", ("aiohttp",), AIOHTTP),
    Package("anthropic", "anthropic", ("anthropic",)),
    Package("openai", "openai", ("openai",)),
    Package("dhenara-ai", "dhenara.ai", ("dhenara-ai",), DHENARA),
    Package(
        "pydantic-ai",
        "pydantic_ai, pydantic_ai.models.anthropic",
        ("pydantic-ai-slim", "anthropic"),
        PYDANTIC_AI,
    ),
    Package("litellm", "litellm", ("litellm",), LITELLM),
)

# httpx imports these where they are installed. With what is weighed they are not, unless they are
# among what it needs.
_GUESTS = ("click", "rich")

_SCRIPT = """\
import resource, sys, time
sys.modules.update(dict.fromkeys({hidden}))
begun = time.perf_counter()
import {imported}
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak /= 2**20 if sys.platform == "darwin" else 2**10
try:  # on Linux that of the parent process may be in it
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**10
except OSError:
    pass
print(seconds, peak)
print(*sys.modules)
"""


def weigh(package: Package, rounds: int) -> dict[str, float]:
    """Seconds and MiB of its import, and MiB and packages on the disk.

    Of us also how many modules of provider SDKs and of pydantic are imported.

    Raises:
        Missing: If its environment is not there.
    """
    python = python_of(package.place)
    seconds: list[float] = []
    memory: list[float] = []
    modules = ""
    found = _closure(package) if package.distributions else []
    hidden = set(_GUESTS) - {_plain(one.metadata["Name"]) for one in found}
    script = _SCRIPT.format(imported=package.imported, hidden=sorted(hidden))
    with TemporaryDirectory() as compiled:
        # As installed: compiled once, which a work tree may not be.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(rounds + 1):
            done = subprocess.run(
                [str(python), "-c", script],
                check=True,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env=environment,
            )
            figures, modules = done.stdout.splitlines()
            second, mib = figures.split()
            seconds.append(float(second))
            memory.append(float(mib))
    weight = {
        "seconds": statistics.median(seconds[1:]),  # the first one compiles
        "mib": statistics.median(memory[1:]),
    }
    if found:
        weight["disk_mib"] = sum(map(_size, found)) / MIB
        weight["packages"] = len(found)
    if package.name == OURS:
        weight["foreign"] = sum(bool(re.match(PEERS, name)) for name in modules.split())
    return weight


def _closure(package: Package) -> list[Distribution]:
    """Its distributions, and all that they need here."""
    python = python_of(package.place)
    [site] = (python.parent.parent / "lib").glob("python*/site-packages")
    here = {_plain(one.metadata["Name"]): one for one in distributions(path=[str(site)])}
    found: dict[str, Distribution] = {}
    waiting = list(map(_plain, package.distributions))
    while waiting:
        name = waiting.pop()
        if name in here and name not in found:
            found[name] = here[name]
            waiting += _needs(here[name])
    return list(found.values())


def _needs(one: Distribution) -> Iterator[str]:
    for line in one.requires or ():
        requirement, _, marker = line.partition(";")
        if "extra" not in marker:  # other markers: what is not needed is not installed
            yield _plain(re.split(r"[\s\[(<>=!~]", requirement.strip(), maxsplit=1)[0])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _size(one: Distribution) -> int:
    """The bytes of its files, without what was compiled on installing."""
    if _plain(one.metadata["Name"]) == "dhenara-stream":  # which is not copied here
        return sum(path.stat().st_size for path in (ROOT / "dhenara_stream").rglob("*.py"))
    paths = (Path(str(one.locate_file(file))) for file in one.files or ())
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())

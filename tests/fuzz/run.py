"""Search for inputs that break an invariant, guided by coverage (atheris, libFuzzer).

    python tests/fuzz/run.py --seconds 60 [TARGET ...]

All targets share the time. An input that breaks one is written to ``found/`` beside this file, and
its bytes are shown; put it into ``corpus/TARGET/`` and the suite keeps it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
_WORDS = re.compile(rb'"([A-Za-z_.]{2,40})"|^([A-Za-z-]{2,40})(?= ?:)', re.MULTILINE)


def main() -> int:
    """Fuzz the targets side by side; the exit code."""
    sys.path[:0] = [str(HERE.parent)]
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for all together (%(default)s)")
    args = parser.parse_args()
    names: list[str] = args.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    workers = min(len(names), os.cpu_count() or 1)
    each = max(1, args.seconds * workers // len(names))
    with ThreadPoolExecutor(workers) as pool:
        codes = list(pool.map(lambda name: _fuzz(name, each), names))
    return max(codes)


def _fuzz(name: str, seconds: int) -> int:
    """Fuzz one target in a process of its own."""
    found = HERE / "found"
    found.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        words = Path(scratch, "words")
        words.write_bytes(_dictionary(name))
        command = [
            sys.executable,
            __file__,
            f"--run={name}",
            f"-max_total_time={seconds}",
            f"-dict={words}",
            f"-artifact_prefix={found}/{name}-",
            "-max_len=4096",
            "-timeout=10",
            scratch,
            str(CORPUS / name),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = [line for line in done.stderr.splitlines() if line.startswith(("Done", "#"))][-1:]
    print(f"{name}: {'broken' if done.returncode else 'holds'}; {' '.join(last)}", flush=True)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-6000:], sep="\n", flush=True)
    return done.returncode


def _dictionary(name: str) -> bytes:
    """The words of the known inputs, names of fields too, as libFuzzer reads them."""
    inputs = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    words = {word for data in inputs for found in _WORDS.findall(data) for word in found if word}
    return b"\n".join(b'"%b"' % word for word in sorted(words))


def _run(name: str) -> None:
    """Fuzz in this process; it ends the process."""
    atheris: Any = importlib.import_module("atheris")  # it has no types

    sys.path[:0] = [str(HERE.parent)]
    with atheris.instrument_imports(include=["dhenara_stream"]):
        from fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("--run="):
        _run(sys.argv[1].removeprefix("--run="))
    sys.exit(main())

"""Mutation testing of ``core`` and ``dialects`` (mutmut): ``make mutants``.

    python tests/mutants.py [--jobs N] [PATH ...]

mutmut changes one thing in a function (a ``<`` to a ``<=``, an argument to ``None``) and runs the
tests that call the function; a mutant they do not notice survives. Each file is held against its
own tests alone, on a copy of the tree in a temporary folder. The recorded streams are not in that
copy, so a kill is one by a test that is in the repository.

A survivor is a missing test, or equivalent: no caller could tell. Those are listed, with the
reason, in ``equivalent_mutants.toml``, but for what is so wherever it stands. The result is
``benchmarks/MUTANTS.md``; a run on some files renews these and leaves the others.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "benchmarks" / "MUTANTS.md"
PACKAGE = "dhenara_stream"
ROOMS = ("core", "dialects")

_DETECTED = ("killed", "timeout", "segfault")
_NAME = re.compile(r"\.x(?:_|ǁ(?P<owner>\w+?)ǁ)(?P<name>\w+?)__mutmut_\d+$")
# The type in a cast, and the case of a codec's name, change nothing.
_NO_MATTER = re.compile(r'(?<=\bcast\()[^,]+|"utf-8"', re.IGNORECASE)
_HEAD = """\
# Mutants

Made by `make mutants`: what the tests of a file notice of small changes to it (mutmut's). Each file
is held against its own tests alone, without the recorded streams. The score is killed of mutants
that are not equivalent. Those are in `tests/equivalent_mutants.toml`, with the reason.

| file | mutants | killed | equivalent | survived | score | date |
|---|--:|--:|--:|--:|--:|---|
"""


@dataclass(frozen=True)
class Mutant:
    """A change the tests did not notice."""

    function: str
    old: str
    new: str

    def is_same(self) -> bool:
        """Whether it is equivalent at sight."""
        return _NO_MATTER.sub("", self.old) == _NO_MATTER.sub("", self.new)


@dataclass
class Score:
    """What became of the mutants of one file; ``equivalent`` and ``survivors`` were not killed."""

    mutants: int
    equivalent: list[Mutant] = field(default_factory=list[Mutant])
    survivors: list[Mutant] = field(default_factory=list[Mutant])

    def cells(self) -> Iterable[object]:
        """The cells of the table, but for the first."""
        killed = self.mutants - len(self.equivalent) - len(self.survivors)
        share = 100 * killed / ((killed + len(self.survivors)) or 1)
        return (
            self.mutants,
            killed,
            len(self.equivalent),
            len(self.survivors),
            f"{share:.1f} %",
            f"{datetime.now(UTC):%Y-%m-%d}",
        )


def main() -> int:
    """Test the files given, or all; print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="core/sse.py, dialects/gemini, ..."
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time")
    args = parser.parse_args()
    if find_spec("mutmut") is None:
        parser.error("mutmut is not installed here; `make mutants` sees to that")
    known = _equivalent()
    for name in _files(args.paths or ROOMS):
        score = _test(name, known.get(name, {}), args.jobs)
        if score.mutants:
            _write(name, score)
            print(_row(name, score), _survivors(score), sep="\n", flush=True)
    return 0


def _files(paths: Iterable[str]) -> list[str]:
    """The files to mutate, relative to the package."""
    package = ROOT / PACKAGE
    found: dict[str, None] = {}
    for path in paths:
        start = package / path.removeprefix(f"{PACKAGE}/")
        files = [start] if start.suffix else sorted(start.rglob("*.py"))
        if not all(file.is_file() for file in files or [start]):
            raise SystemExit(f"no such file: {path}")
        found.update({file.relative_to(package).as_posix(): None for file in files})
    return list(found)


def _tests(name: str) -> list[str]:
    """The tests of a file: its own, else those of its dialect and those of all dialects."""
    path = Path(name)
    own = HERE / path.parts[0] / f"test_{path.stem}.py"
    if path.parts[0] == "core" and own.is_file():
        files = [own, *own.parent.glob(f"{own.stem}_*.py")]
        return sorted(file.relative_to(ROOT).as_posix() for file in files)
    room = ROOT / PACKAGE / path.parts[0]
    dialects = {each.name for each in room.iterdir() if each.is_dir()}
    one = path.parent.name in dialects
    others = tuple(f"test_{each}_" for each in dialects - {path.parent.name} if one)
    files = [file for file in own.parent.glob("test_*.py") if not file.name.startswith(others)]
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def _test(name: str, known: dict[Mutant, str], jobs: int) -> Score:
    """Run mutmut on one file."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for folder in (PACKAGE, HERE.name):
            shutil.copytree(
                ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__")
            )
        settings = (
            f"\n[tool.mutmut]\nsource_paths = ['{PACKAGE}']\nonly_mutate = ['{PACKAGE}/{name}']\n"
            f"pytest_add_cli_args_test_selection = {_tests(name)}\n"
        )
        project = (ROOT / "pyproject.toml").read_text()
        (copy / "pyproject.toml").write_text(project + settings)
        run = _mutmut(copy, "run", "--max-children", str(jobs))
        became = dict(
            line.strip().rsplit(": ", 1)
            for line in _mutmut(copy, "results", "--all", "true").stdout.splitlines()
        )
        if became and (run.returncode or "not checked" in became.values()):
            told = (run.stdout + run.stderr).replace("\r", "\n")  # it redraws its lines
            raise SystemExit(f"{name}: mutmut failed\n{told[-4000:]}")
        score = Score(len(became))
        for mutant, status in became.items():
            if status not in _DETECTED:
                change = _change(mutant, _mutmut(copy, "show", mutant).stdout)
                same = change in known or change.is_same()
                (score.equivalent if same else score.survivors).append(change)
    for gone in known.keys() - set(score.equivalent):
        print(f"{name}: no equivalent mutant: {gone}", file=sys.stderr)
    return score


def _mutmut(copy: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run it in the copy; with ``CI`` set, Hypothesis tries the same examples for each mutant."""
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *args],
        cwd=copy,
        env={**os.environ, "CI": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _change(mutant: str, diff: str) -> Mutant:
    """The lines that a mutant takes away and brings, from its diff."""
    named = _NAME.search(mutant)
    assert named
    lines = diff.partition("\n@@")[2].splitlines()[1:]
    old, new = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    owner = f"{named['owner']}." if named["owner"] else ""
    return Mutant(f"{owner}{named['name']}", old, new)


def _equivalent() -> dict[str, dict[Mutant, str]]:
    """The mutants that no test can kill, by file, and why."""
    files = tomllib.loads((HERE / "equivalent_mutants.toml").read_text())
    return {
        name: {Mutant(e["function"], e["old"], e["new"]): e["why"] for e in entries}
        for name, entries in files.items()
    }


# --- the page


def _row(name: str, score: Score) -> str:
    return f"| {' | '.join(map(str, (f'`{name}`', *score.cells())))} |"


def _survivors(score: Score) -> str:
    """The survivors as diffs, those of the same change once."""
    blocks: list[str] = []
    for mutant, times in Counter(score.survivors).items():
        changes = [f"- {line}" for line in mutant.old.splitlines()]
        changes += [f"+ {line}" for line in mutant.new.splitlines()]
        title = f"`{mutant.function}`" + (f", {times} times" if times > 1 else "")
        blocks.append("\n".join((title, "", "```diff", *changes, "```", "")))
    return "\n".join(blocks)


def _write(name: str, score: Score) -> None:
    """Put the result of one file in its place on the page."""
    head, *sections = (PAGE.read_text() if PAGE.exists() else _HEAD).split("\n## ")
    rows = {line.split("`")[1]: line for line in head.splitlines() if line.startswith("| `")}
    rows = {each: row for each, row in rows.items() if (ROOT / PACKAGE / each).is_file()}
    rows[name] = _row(name, score)
    text = {section.split("`")[1]: section.rstrip() for section in sections}
    text = {each: section for each, section in text.items() if each in rows and each != name}
    if score.survivors:
        text[name] = f"`{name}`\n\n{_survivors(score).rstrip()}"
    parts = [_HEAD + "".join(f"{rows[each]}\n" for each in sorted(rows))]
    PAGE.write_text("\n## ".join([*parts, *(f"{text[each]}\n" for each in sorted(text))]))


if __name__ == "__main__":
    sys.exit(main())

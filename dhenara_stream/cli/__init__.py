"""The command ``dhenara-stream``: a streamed answer in the terminal, and the simulator as a server.

Exit codes: 0 for success, 1 where the call failed or ``chat`` did not get the whole answer that was
asked for (cut by a limit or a filter, refused, no fit for the schema), 2 for what the caller can
put right (an option, a key, a model, an address), 130 after Ctrl-C, 141 where the reader of the
output went away.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from dhenara_stream import ConfigError, __version__

from . import chat, demo, simulate

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's; the exit code.

    Raises:
        SystemExit: For ``--help``, ``--version`` and what argparse refuses.
    """
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")  # an answer may hold what a terminal cannot show
    args = _parser().parse_args(argv)
    try:
        code: int = args.run(args)
        print(end="", flush=True)  # a broken pipe shows here, not when the interpreter exits
    except ConfigError as error:
        print(f"dhenara-stream {args.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # nothing more fails at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 141
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dhenara-stream", description="Streams chat answers from LLM providers."
    )
    parser.add_argument("--version", action="version", version=f"dhenara-stream {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command, text in (
        ("chat", chat, "ask a model, and print its answer as it arrives"),
        ("demo", demo, "watch an answer arrive"),
        ("simulate", simulate, "run a local LLM provider for development and tests"),
    ):
        sub = commands.add_parser(name, help=text, description=command.__doc__)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser

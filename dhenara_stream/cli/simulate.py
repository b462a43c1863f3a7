"""Run a local LLM provider that speaks the real protocol, until Ctrl-C."""

from __future__ import annotations

import argparse

import anyio

from dhenara_stream.simulator import Answer, CleanCut, Fault, Respond, Simulator

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="which port; by default any free one"
    )
    parser.add_argument(
        "--tokens-per-second", type=float, metavar="N", help="how fast; by default at once"
    )
    parser.add_argument(
        "--time-to-first-token", type=float, default=0.0, metavar="SECONDS", help="(%(default)s)"
    )
    parser.add_argument(
        "--answer", metavar="TEXT", help="what to answer; by default made of the request"
    )
    parser.add_argument("--no-key", action="store_true", help="ask for no API key")
    faults = parser.add_mutually_exclusive_group()
    faults.add_argument("--status", type=int, metavar="N", help="refuse with this HTTP status")
    faults.add_argument(
        "--cut-after", type=int, metavar="N", help="cut each answer after so many pieces"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, which is the way to end it: no failure."""
    simulator = Simulator(
        None if args.answer is None else Answer(args.answer),
        host=args.host,
        port=args.port,
        faults=_fault(args),
        tokens_per_second=args.tokens_per_second,
        time_to_first_token=args.time_to_first_token,
        require_key=not args.no_key,
    )
    try:
        anyio.run(_serve, simulator, "no API key is needed" if args.no_key else _ANY_KEY)
    except KeyboardInterrupt:
        print()
    return 0


_ANY_KEY = "any API key will do"


def _fault(args: argparse.Namespace) -> Fault | None:
    if args.status is not None:
        return Respond(args.status)
    return None if args.cut_after is None else CleanCut(deltas=args.cut_after)


async def _serve(simulator: Simulator, keys: str) -> None:
    async with simulator:
        print(f"# The simulator listens, {keys}. Ctrl-C ends it. Point clients at it:")
        for variable, address in simulator.base_urls.items():
            print(f"export {variable}={address}", flush=True)
        await anyio.sleep_forever()

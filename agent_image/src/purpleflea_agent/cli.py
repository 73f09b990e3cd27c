"""The command `purpleflea-agent`: run the agent of the image, or the same agent with paper money on one machine."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code of the process."""
    given = _parser().parse_args(arguments)
    if given.paper or given.replay is not None:
        from purpleflea_agent.paper import run

        return run.main(given)
    from purpleflea_agent import __main__

    return __main__.main()


def _parser() -> argparse.ArgumentParser:
    from purpleflea_agent.paper import options

    parser = argparse.ArgumentParser(prog="purpleflea-agent", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        allow_abbrev=False,
        help="run an agent",
        description="Run the agent as in its image, from the mounted settings; or with paper money.",
    )
    run.add_argument(
        "--paper", action="store_true", help="trade at a paper exchange with simulated prices"
    )
    run.add_argument(
        "--replay", type=Path, metavar="CANDLES.CSV", help="trade recorded candles, at full speed"
    )
    options.add_to(run)
    return parser


if __name__ == "__main__":
    sys.exit(main())

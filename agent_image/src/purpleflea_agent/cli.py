"""The command `purpleflea-agent`: run the agent of the image, or the same agent with paper money on one machine."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from purpleflea_agent.paper import options
from purpleflea_agent.paper.errors import PaperError

PROGRAM = "purpleflea-agent"
USER_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code of the process."""
    given = _parser().parse_args(arguments)
    try:
        options.refuse_contradictions(given)
    except PaperError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return USER_ERROR
    if given.paper or given.replay is not None:
        from purpleflea_agent.paper import run

        return run.main(given)
    from purpleflea_agent import __main__

    return __main__.main()


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line, without the list of all options before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER_ERROR, f"{PROGRAM}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, allow_abbrev=False)
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

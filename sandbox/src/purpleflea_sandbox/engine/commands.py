"""Command line of the engine: `engine run -- COMMAND`. This module contains only output and exit codes."""

import signal
import sys

import click

from purpleflea_sandbox.cluster.cli import OneLineErrors
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.engine import process, session
from purpleflea_sandbox.images.errors import ImageError


class _EngineErrors(OneLineErrors):
    expected = (ClusterError, ImageError)


@click.group(cls=_EngineErrors)
def engine() -> None:
    """Run commands with a Docker engine."""


@engine.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--with-parent", is_flag=True, help="End when the starting process ends, even by SIGKILL."
)
@click.option(
    "--or-skip",
    is_flag=True,
    help="If no engine answers and none can be started without a build from source, print why and succeed.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...], with_parent: bool, or_skip: bool) -> None:
    """Run COMMAND with the Docker engine of this machine, or with one that is started for it (Debian, root)."""
    if with_parent:
        process.end_with_parent()
    # The engine is also removed if the command is ended by a signal.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        code = session.run(command, TerminalProgress(), built_only=or_skip)
    except session.NoEngineError as error:
        if not or_skip:
            raise
        click.echo(f"skipped: {error}")
        code = 0
    sys.exit(code)

"""Command line of the image: `python -m purpleflea_sandbox.datadog node-agent|intake`."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable

import click

from purpleflea_sandbox.datadog import intake_app
from purpleflea_sandbox.datadog.node_agent import app as node_agent_app
from purpleflea_sandbox.datadog.node_agent import settings as node_agent_settings


@click.group()
def main() -> None:
    """Stand-in for Datadog in the sandbox."""
    level = os.environ.get("DD_LOG_LEVEL", "INFO").upper()
    logging.basicConfig(
        level=level if level in logging.getLevelNamesMapping() else "INFO",
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


@main.command("node-agent")
def node_agent() -> None:
    """Receive the metrics, traces and logs of this node's pods and forward them to the intake."""
    try:
        settings = node_agent_settings.from_environment(os.environ)
    except node_agent_settings.NodeAgentSettingsError as error:
        raise click.ClickException(str(error)) from error
    _run(lambda stop: node_agent_app.run(settings, stop))


@main.command("intake")
def intake() -> None:
    """Receive the data that node agents send and serve it under /received."""
    try:
        settings = intake_app.from_environment(os.environ)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    _run(lambda stop: intake_app.run(settings, stop))


def _run(role: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    async def until_signal() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await role(stop)

    try:
        asyncio.run(until_signal())
    except OSError as error:
        raise click.ClickException(f"cannot listen: {error}") from error


if __name__ == "__main__":
    main()

"""Command line of the demo: `demo up|down`. This module contains only output and exit codes."""

import click
from rich.console import Console

from purpleflea_sandbox.cluster import providers
from purpleflea_sandbox.cluster.cli import OneLineErrors, name_option, provider_option
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import identify
from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.demo.errors import DemoError
from purpleflea_sandbox.demo.files import DemoFiles
from purpleflea_sandbox.demo.fleet import Fleet
from purpleflea_sandbox.demo.screen import show
from purpleflea_sandbox.demo.simulation import Simulation


class _DemoErrors(OneLineErrors):
    expected = (ClusterError, DemoError)


@click.group(cls=_DemoErrors)
def demo() -> None:
    """Set up the whole fleet and show it."""


@demo.command()
@name_option
@provider_option
def up(name: str, choice: providers.Choice) -> None:
    """Set up cluster, Datadog stand-in, exchange, operator and three agents; repeat to continue an
    earlier run.
    """
    provider = providers.provider(name, choice)
    terminal = TerminalProgress()
    run = Simulation if provider.name == "simulated" else Fleet
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    show(console, run(provider, DemoFiles(identity=identify(name)), terminal).up())


@demo.command()
@name_option
@provider_option
def down(name: str, choice: providers.Choice) -> None:
    """Remove everything that the demo created; safe to repeat."""
    terminal = TerminalProgress()
    DemoFiles(identity=identify(name)).end_operator()
    if not providers.provider(name, choice).down(terminal):
        terminal.note("nothing to remove")

"""Command line of the demo: `demo up|down`. This module contains only output and exit codes."""

import click
from rich.console import Console

from purpleflea_sandbox.cluster import providers
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import DEFAULT_NAME, identify
from purpleflea_sandbox.cluster.progress import Terminal
from purpleflea_sandbox.demo.errors import DemoError
from purpleflea_sandbox.demo.files import Files
from purpleflea_sandbox.demo.fleet import Fleet
from purpleflea_sandbox.demo.screen import show
from purpleflea_sandbox.demo.simulation import Simulation
from purpleflea_sandbox.images.errors import ImageError

_name = click.option("--name", default=DEFAULT_NAME, show_default=True, help="Name of the cluster.")
_provider = click.option(
    "--provider",
    "choice",
    type=click.Choice(providers.CHOICES),
    default="auto",
    show_default=True,
    help="auto: kind if a Docker engine is running, else local if root, else simulated.",
)


class _OneLine(click.Group):
    """Shows an expected failure as its message, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (ClusterError, ImageError, DemoError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_OneLine)
def demo() -> None:
    """Set up the whole fleet and show it."""


@demo.command()
@_name
@_provider
def up(name: str, choice: providers.Choice) -> None:
    """Set up cluster, Datadog stand-in, exchange, operator and three agents; repeat to continue an
    earlier run.
    """
    provider = providers.provider(name, choice)
    terminal = Terminal()
    run = Simulation if provider.name == "simulated" else Fleet
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    show(console, run(provider, Files(identity=identify(name)), terminal).up())


@demo.command()
@_name
@_provider
def down(name: str, choice: providers.Choice) -> None:
    """Remove everything that the demo created; safe to repeat."""
    terminal = Terminal()
    Files(identity=identify(name)).end_operator()
    if not providers.provider(name, choice).down(terminal):
        terminal.note("nothing to remove")

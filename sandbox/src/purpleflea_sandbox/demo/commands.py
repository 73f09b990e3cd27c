"""The command line of the demo: `demo up|down`. Words and exit codes only."""

import click
from rich.console import Console

from purpleflea_sandbox.cluster import providers
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import DEFAULT_NAME
from purpleflea_sandbox.cluster.progress import Terminal
from purpleflea_sandbox.demo.errors import DemoError
from purpleflea_sandbox.demo.fleet import Fleet
from purpleflea_sandbox.demo.screen import show
from purpleflea_sandbox.demo.simulation import Simulation
from purpleflea_sandbox.images.errors import ImageError

_provider = click.option(
    "--provider",
    "choice",
    type=click.Choice(providers.CHOICES),
    default="auto",
    show_default=True,
    help="auto: kind with a Docker engine, else local as root, else simulated.",
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
    """The whole fleet, set up and shown."""


@demo.command()
@_provider
def up(choice: providers.Choice) -> None:
    """Set up cluster, stand-ins, operator and three agents; repeat to go on from what is there."""
    provider = providers.provider(DEFAULT_NAME, choice)
    terminal = Terminal()
    run = Simulation if provider.name == "simulated" else Fleet
    show(Console(highlight=False), run(provider, terminal).up())


@demo.command()
@_provider
def down(choice: providers.Choice) -> None:
    """Remove everything that the demo made; safe to repeat."""
    terminal = Terminal()
    provider = providers.provider(DEFAULT_NAME, choice)
    Simulation.end_operator()
    if not provider.down(terminal):
        terminal.note("there is nothing to remove")

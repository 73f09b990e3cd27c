"""Command line of the cluster:

`cluster up|down|status|kubeconfig|load`. This module contains only output and exit codes; the
providers do the work.
"""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from purpleflea_sandbox.cluster import providers
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import DEFAULT_NAME
from purpleflea_sandbox.cluster.port import Cluster, Options
from purpleflea_sandbox.cluster.progress import Terminal

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
        except ClusterError as error:
            raise click.ClickException(str(error)) from error
        except PermissionError as error:
            raise click.ClickException(
                f"{error.filename} may not be used by this user ({error.strerror}); "
                "run in a checkout of your own, or set XDG_STATE_HOME and XDG_CACHE_HOME"
            ) from error


@click.group(cls=_OneLine)
def cluster() -> None:
    """Manage a Kubernetes cluster on this machine."""


@cluster.command()
@_name
@_provider
@click.option("--audit", is_flag=True, help="Write every API request to an audit log.")
def up(name: str, choice: providers.Choice, audit: bool) -> None:
    """Start the cluster; do nothing if it is already running."""
    provider = providers.provider(name, choice)
    _show(provider.up(Options(audit=audit), Terminal()))


@cluster.command()
@_name
@_provider
@click.option("--purge", is_flag=True, help="Also remove the cached images.")
def down(name: str, choice: providers.Choice, purge: bool) -> None:
    """Remove the cluster and everything it created; safe to repeat."""
    terminal = Terminal()
    if not providers.provider(name, choice).down(terminal, purge=purge):
        terminal.note(f"cluster {name} does not exist")


@cluster.command()
@_name
@_provider
def status(name: str, choice: providers.Choice) -> None:
    """Show the cluster; exit with code 1 if it is not ready."""
    seen = providers.provider(name, choice).status()
    _show(seen)
    if not seen.ready:
        raise click.exceptions.Exit(1)


@cluster.command()
@_name
@_provider
def kubeconfig(name: str, choice: providers.Choice) -> None:
    """Print the path of the kubeconfig."""
    path = providers.provider(name, choice).kubeconfig
    if not path.is_file():
        raise ClusterError(
            f"kubeconfig {path} does not exist; run 'cluster up --name {name}' first"
        )
    click.echo(path)


@cluster.command()
@_name
@_provider
@click.argument("archives", nargs=-1, type=click.Path(exists=True, path_type=Path), required=True)
def load(name: str, choice: providers.Choice, archives: tuple[Path, ...]) -> None:
    """Load the images of OCI ARCHIVES into the node so that pods can use them."""
    for image in providers.provider(name, choice).load_images(archives, Terminal()):
        click.echo(image)


def _show(seen: Cluster) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in _rows(seen):
        table.add_row(label, value)
    Console(highlight=False, soft_wrap=True).print(table)


def _rows(seen: Cluster) -> list[tuple[str, str]]:
    rows = [
        ("cluster", f"{seen.name} ({seen.identity})"),
        ("provider", seen.provider),
        ("state", f"{seen.state}, {'ready' if seen.ready else 'not ready'}"),
    ]
    if seen.api:
        rows.append(("API", seen.api))
        rows.append(("kubeconfig", str(seen.kubeconfig)))
    rows.extend((component, version) for component, version in seen.versions.items())
    if seen.audit_log:
        rows.append(("audit log", str(seen.audit_log)))
    if seen.logs:
        rows.append(("logs", str(seen.logs)))
    if seen.pids:
        rows.append(("pids", " ".join(f"{unit}={pid}" for unit, pid in seen.pids.items())))
    rows.append(("real", "; ".join(seen.real)))
    rows.append(("simulated", "; ".join(seen.simulated)))
    return rows

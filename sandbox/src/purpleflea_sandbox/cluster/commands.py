"""Command line of the cluster: `cluster up|down|status|kubeconfig|load`.

This module contains only output and exit codes; the providers do the work.
"""

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from purpleflea_sandbox.cluster import providers
from purpleflea_sandbox.cluster.cli import OneLineErrors, name_option, provider_option
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.port import Cluster, Options
from purpleflea_sandbox.cluster.progress import TerminalProgress


@click.group(cls=OneLineErrors)
def cluster() -> None:
    """Manage a Kubernetes cluster on this machine."""


@cluster.command()
@name_option
@provider_option
@click.option("--audit", is_flag=True, help="Write every API request to an audit log.")
@click.option(
    "--workers", type=click.IntRange(0, 20), default=0, help="Worker nodes; only for kind."
)
@click.option(
    "--node-image", default="", help="Node image of kind, which decides the version of Kubernetes."
)
@click.option(
    "--lost-node-after",
    "lost_node_after_s",
    type=click.IntRange(0, 600),
    default=0,
    help="Seconds without a heartbeat after which a node is not ready; 0: as Kubernetes. Only for kind.",
)
@click.option(
    "--node-port",
    "node_ports",
    type=click.IntRange(30000, 32767),
    multiple=True,
    help="NodePort that is to be reachable at 127.0.0.1; repeat it for more. Only for kind.",
)
def up(name: str, choice: providers.Choice, **values: Any) -> None:
    """Start the cluster; do nothing if it is already running."""
    provider = providers.provider(name, choice)
    options = Options(**values)
    if provider.name != "kind" and (options.workers or options.node_image):
        raise ClusterError(
            f"provider {provider.name} has one node and one version of Kubernetes; use --provider kind"
        )
    _show(provider.up(options, TerminalProgress()))


@cluster.command()
@name_option
@provider_option
@click.option("--purge", is_flag=True, help="Also remove the cached images.")
def down(name: str, choice: providers.Choice, purge: bool) -> None:
    """Remove the cluster and everything it created; safe to repeat."""
    terminal = TerminalProgress()
    if not providers.provider(name, choice).down(terminal, purge=purge):
        terminal.note(f"cluster {name} does not exist")


@cluster.command()
@name_option
@provider_option
def status(name: str, choice: providers.Choice) -> None:
    """Show the cluster; exit with code 1 if it is not ready."""
    seen = providers.provider(name, choice).status()
    _show(seen)
    if not seen.ready:
        raise click.exceptions.Exit(1)


@cluster.command()
@name_option
@provider_option
def kubeconfig(name: str, choice: providers.Choice) -> None:
    """Print the path of the kubeconfig."""
    path = providers.provider(name, choice).kubeconfig
    if not path.is_file():
        raise ClusterError(
            f"kubeconfig {path} does not exist; run 'cluster up --name {name}' first"
        )
    click.echo(path)


@cluster.command()
@name_option
@provider_option
@click.argument("archives", nargs=-1, type=click.Path(exists=True, path_type=Path), required=True)
def load(name: str, choice: providers.Choice, archives: tuple[Path, ...]) -> None:
    """Load the images of OCI ARCHIVES into the node so that pods can use them."""
    for image in providers.provider(name, choice).load_images(archives, TerminalProgress()):
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

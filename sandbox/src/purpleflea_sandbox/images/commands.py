"""Command line of the images.

It prints the built images and the paths of their archives; the other modules do the work.
"""

import time
from pathlib import Path

import click

from purpleflea_sandbox.cluster.cli import OneLineErrors
from purpleflea_sandbox.cluster.progress import TerminalProgress, format_duration
from purpleflea_sandbox.images import build, catalogue


@click.group(cls=OneLineErrors)
def images() -> None:
    """Build the container images of the demo without a registry."""


@images.command(name="build")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--fresh",
    is_flag=True,
    help="Rebuild the base image too (security updates), and all images on it.",
)
def build_command(names: tuple[str, ...], *, fresh: bool) -> None:
    """Build the images (operator, agent, exchange, datadog) whose sources changed; print their
    archives.

    Examples (custom-agent) and the CSI driver (csi-driver) are built only if they are named.
    """
    began = time.monotonic()
    archives = build.ensure(names, TerminalProgress(), fresh=fresh)
    references = build.references(archives)
    for name, archive in archives.items():
        click.echo(f"{references[name]}  {archive}  {_size(archive)}")
    counted = "1 image" if len(archives) == 1 else f"{len(archives)} images"
    click.echo(f"{counted} ready in {format_duration(time.monotonic() - began)}", err=True)


@images.command(name="list")
def list_command() -> None:
    """List the images and the references that pods use."""
    for image in (*catalogue.IMAGES, *catalogue.EXAMPLES, *catalogue.PROGRAMS):
        click.echo(f"{image.name}  {image.reference}  {image.dockerfile or 'one program'}")


def _size(archive: Path) -> str:
    return f"{archive.stat().st_size / 1e6:.0f} MB"

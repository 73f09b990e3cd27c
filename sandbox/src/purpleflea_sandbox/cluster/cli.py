"""Shared parts of the command lines: a click group that prints expected errors in one line, and the
options that select a cluster.

The commands themselves are in the `commands` modules.
"""

from typing import ClassVar

import click

from purpleflea_sandbox.cluster import providers
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import DEFAULT_NAME

name_option = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, help="Name of the cluster."
)
provider_option = click.option(
    "--provider",
    "choice",
    type=click.Choice(providers.CHOICES),
    default="auto",
    show_default=True,
    help="auto: kind if a Docker engine is running, else local if root, else simulated.",
)


class OneLineErrors(click.Group):
    """Prints an expected error as its message, without a traceback."""

    expected: ClassVar[tuple[type[Exception], ...]] = (ClusterError,)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except self.expected as error:
            raise click.ClickException(str(error)) from error
        except PermissionError as error:
            raise click.ClickException(
                f"{error.filename} may not be used by this user ({error.strerror}); "
                "run in a checkout of your own, or set XDG_STATE_HOME and XDG_CACHE_HOME"
            ) from error

"""`resume`: delete PurpleFleaHalts and wait until the agents have resumed."""

import sys
import time
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, UNPROVEN, output_option, with_kubectl
from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.views import halts as views
from kubectl_purpleflea.workflows import resuming


@click.command()
@click.argument("names", nargs=-1, type=OBJECT_NAME, metavar="[HALT]...")
@click.option("-l", "--selector", default="", help="Label selector of PurpleFleaHalts.")
@click.option("--all", "everything", is_flag=True, help="Delete all halts of the namespace.")
@click.option("--force", is_flag=True, help="Resume although agents are not drained.")
@click.option(
    "--timeout",
    type=click.IntRange(0, 3600),
    default=90,
    show_default=True,
    help="Seconds to wait until the agents have resumed.",
)
@output_option("json", "yaml")
@with_kubectl
def resume(**arguments: Any) -> None:
    """Delete PurpleFleaHalts, so that the mode of the spec, or of other halts, applies again.

    The exit code is 0 only if the halts are gone and no agent reports them any more, 3 if this is not proven, and 1 if
    nothing was changed.
    """
    kubectl: Kubectl = arguments["kubectl"]
    names, labels, everything = arguments["names"], arguments["selector"], arguments["everything"]
    if sum(map(bool, (names, labels, everything))) != 1:
        raise click.UsageError("Name the halts, or use --selector or --all.")
    try:
        halts = resuming.chosen(kubectl, names, labels, everything=everything)
    except resuming.SelectionError as error:
        output.warn(f"NOTHING WAS CHANGED: {error}")
        sys.exit(FAILED)
    if not halts:
        output.warn(f"NOTHING WAS CHANGED: {resuming.nothing_found(kubectl)}")
        sys.exit(FAILED)
    deadline = time.monotonic() + arguments["timeout"]
    try:
        result = resuming.resume(kubectl, halts, force=arguments["force"], deadline=deadline)
    except KeyboardInterrupt:
        output.warn(
            "NOT PROVEN: interrupted; some of the halts may be deleted, and their agents may trade. See the halts that "
            "exist: kubectl get pfh"
        )
        sys.exit(UNPROVEN)
    if arguments["form"]:
        content = {"deleted": result.deleted, "held": result.held, "unproven": result.unproven}
        output.document({key: list(value) for key, value in content.items()}, arguments["form"])
    else:
        output.lines(views.resumed(result.deleted, result.held, result.unproven))
    if result.unproven:
        sys.exit(UNPROVEN if result.is_changed else FAILED)

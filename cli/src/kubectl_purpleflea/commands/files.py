"""`import` and `cost`: commands that read manifests and send no request."""

import dataclasses
import sys
from typing import IO

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, UNPROVEN
from kubectl_purpleflea.commands.manifests import documents, file_option
from kubectl_purpleflea.decisions.import_draft import Choices
from kubectl_purpleflea.decisions.importing import (
    Imported,
    NotImportableError,
    imported,
    workload_in,
)
from kubectl_purpleflea.decisions.metrics_cost import cost as metrics_cost
from kubectl_purpleflea.views.importing import costs, report


@click.command("import")
@file_option
@click.option("--strategy", default="", help="spec.strategy.")
@click.option("--markets", default="", metavar="A,B", help="spec.markets, such as BTC-USD,ETH-USD.")
@click.option(
    "--key-secret", default="", metavar="NAME[:KEY]", help="Secret with the key of the exchange."
)
def import_(file: IO[str], strategy: str, markets: str, key_secret: str) -> None:
    """Convert a Deployment into a PurpleFleaAgent.

    The manifest is printed to stdout, and the report of every field to stderr. The exit code is 0 if the manifest can
    be applied as it is, 3 if fields must be filled in, and 1 if there is no Deployment.
    """
    choices = Choices(
        strategy=strategy,
        markets=tuple(item.strip() for item in markets.split(",") if item.strip()),
        key_secret=key_secret,
    )
    listed = documents(file)
    workloads = [item for item in map(workload_in, listed) if item]
    if not workloads:
        output.warn("error: the file has no Deployment")
        sys.exit(FAILED)
    try:
        found = [imported(item, choices) for item in workloads]
    except NotImportableError as error:
        output.warn(f"error: {error}")
        sys.exit(FAILED)
    for number, item in enumerate(found):
        if number:
            output.say("---")
        output.document(item.agent, "yaml")
        _warn(item)
    for other in (item for item in listed if workload_in(item) is None):
        name = f"{other.get('kind')} {other['metadata'].get('name')}"
        output.warn(f"{name} is not converted; keep it if the agent uses it")
    sys.exit(0 if all(item.is_complete for item in found) else UNPROVEN)


def _warn(found: Imported) -> None:
    for line in report(found.report):
        output.warn(line.plain)


@click.command()
@file_option
@click.option("--all", "every_metric", is_flag=True, help="All metrics and not only the largest.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["json", "yaml"]), help="Form of the output."
)
def cost(file: IO[str], every_metric: bool, form: str | None) -> None:
    """Estimate the custom metrics of agents before they are applied.

    The numbers are those of status.customMetrics. The exit code is 3 if a budget is exceeded.
    """
    agents = [item for item in documents(file) if item.get("kind") == "PurpleFleaAgent"]
    if not agents:
        output.warn("error: the file has no PurpleFleaAgent")
        sys.exit(FAILED)
    found = [(item, metrics_cost(item)) for item in agents]
    if form:
        content = [
            {"agent": item["metadata"].get("name"), **dataclasses.asdict(result)}
            for item, result in found
        ]
        output.document({"agents": content}, form)
    else:
        for item, result in found:
            output.say(f"{item['metadata'].get('name')}:")
            output.lines(costs(result, every_metric=every_metric))
    sys.exit(0 if all(result.is_within_budget for _, result in found) else UNPROVEN)

"""`import` and `cost`: commands that read manifests and send no request."""

import dataclasses
import sys
from pathlib import Path
from typing import IO, Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, UNPROVEN
from kubectl_purpleflea.decisions.import_draft import Choices
from kubectl_purpleflea.decisions.importing import (
    Imported,
    NotImportableError,
    imported,
    workload_in,
)
from kubectl_purpleflea.decisions.metrics_cost import cost as metrics_cost
from kubectl_purpleflea.views.importing import costs, report

MAX_BYTES = 4 * 1024 * 1024
_FILE = click.option(
    "-f",
    "--filename",
    "file",
    type=click.File("r"),
    required=True,
    help="Manifest, or - for stdin.",
)


@click.command("import")
@_FILE
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
    documents = _documents(file)
    workloads = [item for item in map(workload_in, documents) if item]
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
    for other in (item for item in documents if workload_in(item) is None):
        name = f"{other.get('kind')} {other['metadata'].get('name')}"
        output.warn(f"{name} is not converted; keep it if the agent uses it")
    sys.exit(0 if all(item.is_complete for item in found) else UNPROVEN)


def _warn(found: Imported) -> None:
    for line in report(found.report):
        output.warn(line.plain)


@click.command()
@_FILE
@click.option("--all", "every_metric", is_flag=True, help="All metrics and not only the largest.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["json", "yaml"]), help="Form of the output."
)
def cost(file: IO[str], every_metric: bool, form: str | None) -> None:
    """Estimate the custom metrics of agents before they are applied.

    The numbers are those of status.customMetrics. The exit code is 3 if a budget is exceeded.
    """
    agents = [item for item in _documents(file) if item.get("kind") == "PurpleFleaAgent"]
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


def _documents(file: IO[str]) -> list[dict[str, Any]]:
    """Return the documents of a file; those of a List are returned one by one."""
    import yaml

    name = Path(getattr(file, "name", "-")).name
    try:
        content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise click.UsageError(f"{name} has more than {MAX_BYTES} bytes.")
        documents = [item for item in yaml.safe_load_all(content) if isinstance(item, dict)]
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise click.UsageError(f"{name} is not YAML: {str(error).splitlines()[0]}") from error
    flat: list[dict[str, Any]] = []
    for item in documents:
        inner = item.get("items") if item.get("kind") == "List" else None
        flat += (
            [entry for entry in inner if isinstance(entry, dict)]
            if isinstance(inner, list)
            else [item]
        )
    return [item for item in flat if isinstance(item.get("metadata"), dict)]

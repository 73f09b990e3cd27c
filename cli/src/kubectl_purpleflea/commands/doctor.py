"""`doctor`: checks of the installation, each problem with the command that fixes it."""

import dataclasses
import sys
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import output_option, with_kubectl
from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.decisions.finding import exit_code
from kubectl_purpleflea.views.findings import finding_lines
from kubectl_purpleflea.workflows.examining import examine


@click.command()
@click.option("-A", "--all-namespaces", is_flag=True, help="Agents of all namespaces.")
@click.option(
    "--operator-namespace", type=OBJECT_NAME, default="", help="Namespace of the operator."
)
@output_option("json", "yaml")
@with_kubectl
def doctor(**arguments: Any) -> None:
    """Check the installation: CRDs, operator, your rights, node agents, keys, clocks, webhooks, images and agents.

    Each problem has the command that fixes it. The exit code is 0 without problems, 10 with warnings, 20 with errors, 3
    without a problem if a check could not be made, and 1 if the API server does not answer.
    """
    found = examine(
        arguments["kubectl"],
        everywhere=arguments["all_namespaces"],
        operator_namespace=arguments["operator_namespace"],
    )
    if arguments["form"]:
        content = [{**dataclasses.asdict(item), "severity": item.severity.name} for item in found]
        output.document({"findings": content}, arguments["form"])
    else:
        output.lines(finding_lines(found))
    sys.exit(exit_code(found))

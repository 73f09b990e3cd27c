"""`why`: conditions, pods, Events and log errors of one agent as one story."""

import dataclasses
import sys
from datetime import UTC, datetime
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, UNPROVEN, output_option, with_kubectl
from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import AGENTS, missing_agent
from kubectl_purpleflea.views.story import story_lines
from kubectl_purpleflea.workflows.explaining import explain

UNHEALTHY = 10
"""Exit code if a user should act."""


@click.command()
@click.argument("name", type=OBJECT_NAME, metavar="AGENT")
@output_option("json", "yaml")
@with_kubectl
def why(**arguments: Any) -> None:
    """Explain why an agent does not work, with the remedy last.

    The exit code is 0 if the agent works, 10 if a user should act, 3 if no problem is known but not everything can be
    read, and 1 if the agent cannot be read.
    """
    kubectl: Kubectl = arguments["kubectl"]
    agent = kubectl.find(AGENTS, arguments["name"])
    if agent is None:
        output.warn(f"error: {missing_agent(kubectl, arguments['name'])}")
        sys.exit(FAILED)
    found = explain(kubectl, agent, datetime.now(UTC))
    if arguments["form"]:
        output.document(dataclasses.asdict(found), arguments["form"])
    else:
        output.lines(story_lines(found))
    sys.exit(UNHEALTHY if not found.is_healthy else UNPROVEN if found.unread else 0)

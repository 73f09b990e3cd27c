"""`open`: the addresses of an agent in Datadog."""

import sys
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, UNPROVEN, output_option, with_kubectl
from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.decisions.links import DEFAULT_SITE, links
from kubectl_purpleflea.decisions.objects import at, text
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import (
    AGENTS,
    OBSERVABILITIES,
    missing_agent,
    readable,
)


@click.command("open")
@click.argument("name", type=OBJECT_NAME, metavar="AGENT")
@click.option("--site", default="", help="Site of Datadog; default from a PurpleFleaObservability.")
@click.option("--identity", type=OBJECT_NAME, default="", help="One identity, such as momentum-0.")
@click.option("--browser", default="", metavar="LINK", help="Also open this link, such as logs.")
@output_option("json", "yaml")
@with_kubectl
def open_(**arguments: Any) -> None:
    """Print the addresses of an agent in Datadog: traces, service, logs, metrics, monitors and pods.

    The exit code is 0, 3 if the site cannot be read, and 1 if the agent cannot be read.
    """
    kubectl: Kubectl = arguments["kubectl"]
    agent = kubectl.find(AGENTS, arguments["name"])
    if agent is None:
        output.warn(f"error: {missing_agent(kubectl, arguments['name'])}")
        sys.exit(FAILED)
    site = arguments["site"] or _site(kubectl)
    found = dict(links(agent, site or "", arguments["identity"]))
    if arguments["form"]:
        output.document(found, arguments["form"])
    else:
        for kind, address in found.items():
            output.say(f"{kind:<9} {address}")
    if arguments["browser"]:
        if arguments["browser"] not in found:
            raise click.BadParameter(f"choose one of {', '.join(found)}", param_hint="--browser")
        click.launch(found[arguments["browser"]])
    if site is None:
        output.warn(
            f"the site is unknown, because you may not list purplefleaobservabilities; the addresses are those of "
            f"{DEFAULT_SITE}; choose another with --site"
        )
        sys.exit(UNPROVEN)


def _site(kubectl: Kubectl) -> str | None:
    """Return the site of the first PurpleFleaObservability of the namespace.

    It is empty if there is none, and None if the user may not read them.
    """
    found: list[dict[str, Any]] | None = readable(lambda: kubectl.items(OBSERVABILITIES), None)
    if found is None:
        return None
    return next((text(at(item, "spec", "site")) for item in found), "")

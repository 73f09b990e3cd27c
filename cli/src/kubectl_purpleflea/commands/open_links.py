"""`open`: the addresses of an agent in Datadog."""

import sys
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, output_option, with_kubectl
from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.decisions.links import links
from kubectl_purpleflea.decisions.objects import at, text
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import AGENTS, OBSERVABILITIES, readable


@click.command("open")
@click.argument("name", type=OBJECT_NAME, metavar="AGENT")
@click.option("--site", default="", help="Site of Datadog; default from a PurpleFleaObservability.")
@click.option("--identity", type=OBJECT_NAME, default="", help="One identity, such as momentum-0.")
@click.option("--browser", default="", metavar="LINK", help="Also open this link, such as logs.")
@output_option("json", "yaml")
@with_kubectl
def open_(**arguments: Any) -> None:
    """Print the addresses of an agent in Datadog: traces, service, logs, metrics, monitors and pods."""
    kubectl: Kubectl = arguments["kubectl"]
    agent = kubectl.find(AGENTS, arguments["name"])
    if agent is None:
        output.warn(f"error: PurpleFleaAgent {arguments['name']} does not exist in this namespace")
        sys.exit(FAILED)
    site = arguments["site"] or _site(kubectl)
    found = dict(links(agent, site, arguments["identity"]))
    if arguments["form"]:
        output.document(found, arguments["form"])
    else:
        for kind, address in found.items():
            output.say(f"{kind:<9} {address}")
    if arguments["browser"]:
        if arguments["browser"] not in found:
            raise click.BadParameter(f"choose one of {', '.join(found)}", param_hint="--browser")
        click.launch(found[arguments["browser"]])


def _site(kubectl: Kubectl) -> str:
    """Return the site of the first PurpleFleaObservability of the namespace; empty if there is none."""
    found: list[dict[str, Any]] = readable(lambda: kubectl.items(OBSERVABILITIES), [])
    return next((text(at(item, "spec", "site")) for item in found), "")

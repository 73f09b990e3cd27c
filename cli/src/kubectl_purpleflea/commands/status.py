"""`status`: the tree of agents and identities."""

import dataclasses
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, output_option, with_kubectl
from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.decisions.failures import KubectlError, explained
from kubectl_purpleflea.decisions.fleet import AgentState
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.views.fleet import tree
from kubectl_purpleflea.views.text import Line, line, styled
from kubectl_purpleflea.workflows.observing import observed_fleet


@click.command()
@click.argument("names", nargs=-1, type=OBJECT_NAME, metavar="[AGENT]...")
@click.option("-A", "--all-namespaces", is_flag=True, help="Agents of all namespaces.")
@click.option("--contexts", default="", metavar="A,B", help="Several contexts of the kubeconfig.")
@click.option("-w", "--watch", is_flag=True, help="Repeat until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two reads with --watch.",
)
@click.option(
    "--live/--no-live",
    default=None,
    help="Ask the agents for their drawdown through kubectl port-forward; default with names.",
)
@output_option("wide", "json", "yaml")
@with_kubectl
def status(**arguments: Any) -> None:
    """Show agents and identities, those with problems first.

    For each agent: the mode, its source and who has acknowledged it, readiness, rollout with partition, the connection
    per signal, limits, and the conditions that need attention.
    """
    if not arguments["watch"]:
        found = _read(arguments)
        _print(found, arguments["form"])
        sys.exit(
            FAILED if any(error for _, _, error in found) or not _has_all(found, arguments) else 0
        )
    try:
        _watch(arguments)
    except KeyboardInterrupt:
        sys.exit(0)


CONCURRENT_CONTEXTS = 8
Seen = tuple[str, list[AgentState], str]
"""Context, its agents, and the error if they cannot be read."""


def _read(arguments: dict[str, Any]) -> list[Seen]:
    """Read all contexts at the same time, so one that does not answer delays no other."""
    kubectl: Kubectl = arguments["kubectl"]
    chosen = [item.strip() for item in arguments["contexts"].split(",") if item.strip()] or [""]
    with ThreadPoolExecutor(min(CONCURRENT_CONTEXTS, len(chosen))) as pool:
        return list(pool.map(lambda context: _seen(kubectl, context, arguments), chosen))


def _seen(kubectl: Kubectl, context: str, arguments: dict[str, Any]) -> Seen:
    names, live = arguments["names"], arguments["live"]
    try:
        agents = observed_fleet(
            kubectl.in_context(context) if context else kubectl,
            names,
            everywhere=arguments["all_namespaces"],
            live=bool(names) if live is None else live,
        )
    except KubectlError as error:
        return context, [], explained(error)
    return context, agents, ""


def _has_all(found: list[Seen], arguments: dict[str, Any]) -> bool:
    """Return whether each named agent exists, and report those that do not."""
    known = {item.name for _, agents, _ in found for item in agents}
    missing = [name for name in arguments["names"] if name not in known]
    for name in missing:
        output.warn(f"error: PurpleFleaAgent {name} does not exist; list all: kubectl get pfa -A")
    return not missing


def _print(found: list[Seen], form: str | None) -> None:
    if form in ("json", "yaml"):
        clusters = [
            {"context": context, "error": error, "agents": [dataclasses.asdict(a) for a in agents]}
            for context, agents, error in found
        ]
        output.document({"clusters": clusters}, form)
        return
    for seen in found:
        output.lines(_lines(seen, form))


def _lines(seen: Seen, form: str | None) -> list[Line]:
    context, agents, error = seen
    if error:
        where = f"{context}: " if context else ""
        return [line(styled(f"{where}the agents cannot be read: {error}", "red"))]
    return tree(agents, wide=form == "wide", cluster=context)


def _watch(arguments: dict[str, Any]) -> None:
    """Redraw in place on a terminal; else print again."""
    if not sys.stdout.isatty() or arguments["form"] in ("json", "yaml"):
        while True:
            _print(_read(arguments), arguments["form"])
            time.sleep(arguments["interval"])
    with output.screen() as show:
        while True:
            show([item for seen in _read(arguments) for item in _lines(seen, arguments["form"])])
            time.sleep(arguments["interval"])

"""`status`: the tree of agents and identities."""

import dataclasses
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, UNPROVEN, output_option, with_kubectl
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
    per signal, limits, and the conditions that need attention. The exit code is 0, 3 if objects of the agents cannot be
    read, and 1 if a context or an agent cannot be read.
    """
    if not arguments["watch"]:
        found = _read(arguments)
        if not _is_empty(found, arguments):
            _print(found, arguments["form"])
        is_failed = any(item.error for item in found)
        if is_failed or not _has_all(found, arguments):
            sys.exit(FAILED)
        sys.exit(UNPROVEN if any(item.unread for item in found) else 0)
    try:
        _watch(arguments)
    except KeyboardInterrupt:
        sys.exit(0)


CONCURRENT_CONTEXTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The agents of one context."""

    context: str
    agents: list[AgentState] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Kinds of objects that the user may not read."""
    error: str = ""
    """Why the agents cannot be read."""


def _read(arguments: dict[str, Any]) -> list[Seen]:
    """Read all contexts at the same time, so one that does not answer delays no other."""
    kubectl: Kubectl = arguments["kubectl"]
    chosen = [item.strip() for item in arguments["contexts"].split(",") if item.strip()] or [""]
    with ThreadPoolExecutor(min(CONCURRENT_CONTEXTS, len(chosen))) as pool:
        return list(pool.map(lambda context: _seen(kubectl, context, arguments), chosen))


def _seen(kubectl: Kubectl, context: str, arguments: dict[str, Any]) -> Seen:
    names, live = arguments["names"], arguments["live"]
    try:
        agents, unread = observed_fleet(
            kubectl.in_context(context) if context else kubectl,
            names,
            everywhere=arguments["all_namespaces"],
            live=bool(names) if live is None else live,
        )
    except KubectlError as error:
        return Seen(context=context, error=explained(error))
    return Seen(context=context, agents=agents, unread=unread)


def _is_empty(found: list[Seen], arguments: dict[str, Any]) -> bool:
    """Return whether only the error about missing agents is to be shown."""
    is_text = arguments["form"] not in ("json", "yaml")
    has_content = any(item.error or item.agents for item in found)
    return is_text and bool(arguments["names"]) and not has_content


def _has_all(found: list[Seen], arguments: dict[str, Any]) -> bool:
    """Return whether each named agent exists, and report those that do not."""
    known = {agent.name for item in found for agent in item.agents}
    missing = [name for name in arguments["names"] if name not in known]
    for name in missing:
        output.warn(f"error: PurpleFleaAgent {name} does not exist; list all: kubectl get pfa -A")
    return not missing


def _print(found: list[Seen], form: str | None) -> None:
    if form in ("json", "yaml"):
        clusters = [
            {
                "context": item.context,
                "error": item.error,
                "unread": item.unread,
                "agents": [dataclasses.asdict(agent) for agent in item.agents],
            }
            for item in found
        ]
        output.document({"clusters": clusters}, form)
        return
    for seen in found:
        output.lines(_lines(seen, form))


def _lines(seen: Seen, form: str | None) -> list[Line]:
    if seen.error:
        where = f"{seen.context}: " if seen.context else ""
        return [line(styled(f"{where}the agents cannot be read: {seen.error}", "red"))]
    found = tree(seen.agents, wide=form == "wide", cluster=seen.context)
    if seen.unread:
        content = f"not read: {', '.join(seen.unread)}; see the rights that are missing: kubectl purpleflea doctor"
        found.append(line(styled(content, "yellow")))
    return found


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

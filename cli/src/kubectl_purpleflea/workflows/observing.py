"""Reads the objects of a fleet, several kinds at the same time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubectl_purpleflea.decisions.control_files import may_trade
from kubectl_purpleflea.decisions.failures import Failure, KubectlError
from kubectl_purpleflea.decisions.fleet import AgentState, fleet
from kubectl_purpleflea.decisions.objects import at, id_of, mapping, name_of, namespace_of
from kubectl_purpleflea.kubectl.agents import AgentError, ForwardedAgents
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import (
    AGENTS,
    CHILDREN,
    context_namespace,
    lacks_namespace,
    readable,
)
from purpleflea_contract import routes

Objects = list[dict[str, Any]]
CONCURRENT = 8


def together(reads: Sequence[Callable[[], Objects | None]]) -> list[Objects | None]:
    """Return the results of reads that run at the same time.

    Raises:
        KubectlError: A read failed.
    """
    with ThreadPoolExecutor(len(reads)) as pool:
        return [item.result() for item in [pool.submit(read) for read in reads]]


def observed_fleet(
    kubectl: Kubectl, names: Sequence[str], *, everywhere: bool, live: bool
) -> tuple[list[AgentState], list[str]]:
    """Return the agents, and what the user may not read of them.

    Without names, all agents of the namespace are returned. `live` asks each pod for its drawdown.

    Raises:
        KubectlError: The agents cannot be read.
    """
    place = ("--all-namespaces",) if everywhere else ()
    children = f"--selector={CHILDREN}"

    def of(kind: str) -> Objects | None:
        return readable(lambda: kubectl.items(kind, *place, children), None)

    agents, sets, pods = together(
        [
            lambda: kubectl.items(AGENTS, *place),
            lambda: of("statefulsets.apps"),
            lambda: of("pods"),
        ]
    )
    chosen = [item for item in agents or [] if not names or name_of(item) in names]
    if not agents and not everywhere:
        _require_namespace(kubectl)
    drawdowns = _drawdowns(kubectl, pods or [], set(names)) if live else {}
    unread = [kind for kind, found in (("statefulsets", sets), ("pods", pods)) if found is None]
    return fleet(chosen, sets or [], pods or [], drawdowns), unread


def _require_namespace(kubectl: Kubectl) -> None:
    """Raise an error if there are no agents because the namespace does not exist."""
    namespace = context_namespace(kubectl)
    if lacks_namespace(kubectl, namespace):
        text = f"namespace {namespace} does not exist; list all: kubectl get namespaces"
        raise KubectlError(Failure.NOT_FOUND, text)


def _drawdowns(kubectl: Kubectl, pods: Objects, names: set[str]) -> dict[str, str]:
    """Return the drawdown that each running pod of these agents reports."""
    agents = ForwardedAgents(kubectl)

    def ask(pod: dict[str, Any]) -> tuple[str, str]:
        try:
            body = agents.read(namespace_of(pod), name_of(pod), routes.STATUS.path)
        except AgentError:
            return id_of(pod), "?"
        return id_of(pod), _percent(mapping(body).get("drawdown_pct"))

    label = "app.kubernetes.io/instance"
    asked = [
        pod for pod in pods if may_trade(pod) and at(pod, "metadata", "labels", label) in names
    ]
    with ThreadPoolExecutor(CONCURRENT) as pool:
        return dict(pool.map(ask, asked))


def _percent(value: object) -> str:
    try:
        return f"{float(str(value)):.2f}"
    except ValueError:
        return "?"

"""Reads everything that explains the state of one agent, and names what the user may not read."""

from datetime import datetime
from functools import partial
from typing import Any

from kubectl_purpleflea.decisions.control_files import pods_of
from kubectl_purpleflea.decisions.failures import KubectlError
from kubectl_purpleflea.decisions.objects import at, items, name_of, namespace_of, number, text
from kubectl_purpleflea.decisions.story import Evidence, Story, story
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import readable
from kubectl_purpleflea.workflows.halting import operator_is_down
from kubectl_purpleflea.workflows.observing import together

LOG_PODS = 3
"""Pods whose logs are read, the first that are not ready."""
LOG_LINES = 200


def explain(kubectl: Kubectl, agent: dict[str, Any], now: datetime) -> Story:
    """Return the story of an agent."""
    there = kubectl.in_namespace(namespace_of(agent))

    kinds = ("pods", "events", "nodes")
    lists = together([partial(_listed, there, kind) for kind in kinds])
    pods, events, nodes = (item or [] for item in lists)
    is_down = operator_is_down(kubectl, "", now)
    unread = [kind for kind, item in zip(kinds, lists, strict=True) if item is None]
    own = [dict(item) for item in pods_of(namespace_of(agent), name_of(agent), pods)]
    evidence = Evidence(
        pods=own,
        nodes=nodes,
        events=[item for item in events if _is_about(item, agent, own)],
        logs=_logs(there, own),
        is_operator_down=is_down,
        unread=(*unread, *(() if is_down is not None else ("the Lease of the operator",))),
    )
    return story(agent, evidence)


def _listed(kubectl: Kubectl, kind: str) -> list[dict[str, Any]] | None:
    return readable(lambda: kubectl.items(kind), None)


def _is_about(event: dict[str, Any], agent: dict[str, Any], pods: list[dict[str, Any]]) -> bool:
    names = {name_of(agent), *(name_of(pod) for pod in pods)}
    kinds = ("PurpleFleaAgent", "Pod", "StatefulSet", "PersistentVolumeClaim")
    kind, name = (text(at(event, "involvedObject", key)) for key in ("kind", "name"))
    is_claim = kind == "PersistentVolumeClaim" and any(name.endswith(f"-{item}") for item in names)
    return kind in kinds and (name in names or is_claim)


def _logs(kubectl: Kubectl, pods: list[dict[str, Any]]) -> dict[str, str]:
    """Return the last lines of pods that are not ready; of the previous container if it crashed."""
    found: dict[str, str] = {}
    for pod in pods:
        statuses = items(at(pod, "status", "containerStatuses"))
        agent = next((item for item in statuses if item.get("name") == "agent"), None)
        if agent is None or agent.get("ready") is True or len(found) == LOG_PODS:
            continue
        is_restarted = number(agent.get("restartCount")) > 0
        previous = ("--previous",) if is_restarted and not at(agent, "state", "running") else ()
        try:
            found[name_of(pod)] = kubectl.run(
                *("logs", name_of(pod), "--container=agent", f"--tail={LOG_LINES}"), *previous
            )
        except KubectlError as error:
            if error.ends_command:
                raise
            # A container that never ran has no logs.
            continue
    return found

"""Reads everything that explains the state of one agent. Objects that the user may not read are left out."""

from datetime import datetime
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

    def of(kind: str) -> list[dict[str, Any]]:
        return readable(lambda: there.items(kind), [])

    pods, events, nodes = together([lambda: of("pods"), lambda: of("events"), lambda: of("nodes")])
    own = [dict(item) for item in pods_of(namespace_of(agent), name_of(agent), pods)]
    evidence = Evidence(
        pods=own,
        nodes=nodes,
        events=[item for item in events if _is_about(item, agent, own)],
        logs=_logs(there, own),
        is_operator_down=operator_is_down(kubectl, "", now),
    )
    return story(agent, evidence)


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

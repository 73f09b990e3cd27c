"""Writes that bring a halt to the agents without the operator: ConfigMaps, and annotations of pods. Pure.

The content is the one that the operator writes, so the operator keeps it when it runs again, because the
PurpleFleaHalt exists. A mode is never loosened, and each write names the version that it replaces.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_purpleflea.decisions.halts import Level
from kubectl_purpleflea.decisions.objects import (
    Manifest,
    annotations_of,
    at,
    items,
    labels_of,
    mapping,
    name_of,
    namespace_of,
    text,
)
from purpleflea_contract import control_file, environment, kubernetes
from purpleflea_contract.control_file import STRENGTH, Mode

MODES: Mapping[Level, Mode] = {Level.HALT: Mode.HALTED, Level.STOP: Mode.STOPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Content of control.json."""

    mode: Mode
    flatten: bool = False

    def text(self) -> str:
        """Return control.json, as the operator writes it."""
        content: dict[str, Any] = {"mode": self.mode, "generation": 0}
        if self.flatten:
            content["flatten"] = True
        return json.dumps(content, separators=(",", ":"))

    def nudge(self) -> str:
        """Return the annotation value that brings the file to a pod."""
        return control_file.nudge(self.mode, flatten=self.flatten)

    def strength(self) -> tuple[int, bool]:
        """Return a sort key: larger is stronger."""
        return STRENGTH.index(self.mode), self.flatten


def control_of(config_map: Manifest) -> Control | None:
    """Return the control file in a ConfigMap; None if it cannot be read."""
    content = text(at(config_map, "data", environment.CONTROL_FILE))
    try:
        found = mapping(json.loads(content))
    except ValueError:
        return None
    mode = _mode(found.get("mode"))
    return None if mode is None else Control(mode=mode, flatten=found.get("flatten") is True)


def _mode(value: object) -> Mode | None:
    return next((mode for mode in Mode if mode == value), None)


def stronger(live: Control | None, wanted: Control) -> Control:
    """Return the stronger of two control files. One that cannot be read counts as the weakest."""
    return wanted if live is None else max(live, wanted, key=Control.strength)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write of the ConfigMap of one agent."""

    namespace: str
    agent: str
    control: Control
    patch: Mapping[str, Any] | None = None
    """Merge patch of the ConfigMap; None if it has the content."""
    create: Mapping[str, Any] | None = None
    """The ConfigMap, if there is none."""
    problem: str = ""
    """Why the ConfigMap cannot be written; empty if it can."""
    is_sent: bool = False
    """Whether the write was sent, so that the file had another content before."""


def write(agent: Manifest, config_map: Manifest | None, wanted: Control) -> Write:
    """Return the write that halts an agent."""
    namespace, name = namespace_of(agent), name_of(agent)
    if config_map is None:
        return Write(namespace=namespace, agent=name, control=wanted, create=_new(agent, wanted))
    control = stronger(control_of(config_map), wanted)
    owners = [
        text(item.get("uid")) for item in items(at(config_map, "metadata", "ownerReferences"))
    ]
    if text(at(agent, "metadata", "uid")) not in owners:
        problem = f"ConfigMap {name} has another owner; delete that object"
        return Write(namespace=namespace, agent=name, control=control, problem=problem)
    is_written = at(config_map, "data", environment.CONTROL_FILE) == control.text()
    is_marked = annotations_of(config_map).get(kubernetes.ANNOTATION_HALTED) == "true"
    patch = None if is_written and is_marked else _patch(config_map, control)
    return Write(namespace=namespace, agent=name, control=control, patch=patch)


def _patch(config_map: Manifest, control: Control) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": at(config_map, "metadata", "uid"),
            "resourceVersion": at(config_map, "metadata", "resourceVersion"),
            "annotations": {kubernetes.ANNOTATION_HALTED: "true"},
        },
        "data": {environment.CONTROL_FILE: control.text()},
    }


def _new(agent: Manifest, control: Control) -> dict[str, Any]:
    name = name_of(agent)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace_of(agent),
            "labels": {
                kubernetes.LABEL_NAME: "purpleflea-agent",
                kubernetes.LABEL_INSTANCE: name,
                kubernetes.LABEL_COMPONENT: "trading-agent",
                kubernetes.LABEL_PART_OF: "purpleflea",
                kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
            },
            "ownerReferences": [
                {
                    "apiVersion": kubernetes.API_VERSION,
                    "kind": "PurpleFleaAgent",
                    "name": name,
                    "uid": at(agent, "metadata", "uid"),
                    "controller": True,
                }
            ],
            "annotations": {kubernetes.ANNOTATION_HALTED: "true"},
        },
        "data": {environment.CONTROL_FILE: control.text()},
    }


def pods_of(namespace: str, agent: str, pods: Iterable[Manifest]) -> list[Manifest]:
    """Return the pods of an agent, sorted. A pod whose labels were removed is found by its name and its container."""
    return sorted(
        (item for item in pods if namespace_of(item) == namespace and _is_of(agent, item)),
        key=name_of,
    )


def _is_of(agent: str, pod: Manifest) -> bool:
    labels = labels_of(pod)
    if labels.get(kubernetes.LABEL_NAME) == "purpleflea-agent":
        return labels.get(kubernetes.LABEL_INSTANCE) == agent
    names = [text(item.get("name")) for item in items(at(pod, "spec", "containers"))]
    return (
        bool(re.fullmatch(rf"{re.escape(agent)}-\d+", name_of(pod)))
        and kubernetes.CONTAINER in names
    )


def has_ended(pod: Manifest) -> bool:
    """Return whether the agent of a pod has ended and is not started again, so that it cannot trade."""
    if at(pod, "status", "phase") in ("Succeeded", "Failed"):
        return True
    states = _agent_states(pod)
    is_deleting = at(pod, "metadata", "deletionTimestamp") is not None
    return is_deleting and any(at(item, "state", "terminated") is not None for item in states)


def may_trade(pod: Manifest) -> bool:
    """Return whether the agent of a pod has started, so that it must acknowledge the mode."""
    if has_ended(pod):
        return False
    started = [
        at(item, "state", "running") is not None
        or at(item, "state", "terminated") is not None
        or number_of_restarts(item)
        for item in _agent_states(pod)
    ]
    has_states = bool(items(at(pod, "status", "containerStatuses")))
    # A pod on a node that does not report may run.
    return bool(any(started) or (not has_states and at(pod, "spec", "nodeName")))


def _agent_states(pod: Manifest) -> list[Mapping[str, Any]]:
    states = items(at(pod, "status", "containerStatuses"))
    return [item for item in states if item.get("name") == kubernetes.CONTAINER]


def is_starting(pod: Manifest) -> bool:
    """Return whether a kubelet can start the agent of a pod, possibly with the volumes that it has already mounted.

    A kubelet that pulls an image does not refresh a mounted file before the container runs.
    """
    return bool(at(pod, "spec", "nodeName")) and not has_ended(pod) and not may_trade(pod)


def number_of_restarts(container_status: Mapping[str, Any]) -> int:
    """Return how often a container was restarted."""
    found = container_status.get("restartCount")
    return found if isinstance(found, int) else 0


def next_nudge(pod: Manifest, control: Control) -> str:
    """Return the annotation value that makes the kubelet read the control file again."""
    last = text(annotations_of(pod).get(control_file.ANNOTATION))
    return control_file.next_nudge(last, control.mode, flatten=control.flatten)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of an agent to GET /v1/control; `error` if there is none."""

    mode: Mode = Mode.ACTIVE
    is_drained: bool = False
    flattened: bool | None = None
    since: str = ""
    left_undone: str = ""
    error: str = ""


def answer(body: object) -> Answer:
    """Return the answer of an agent. Fields of another type count as absent."""
    found = mapping(body)
    mode, drained = _mode(found.get("mode")), found.get("at_rest")
    if mode is None or not isinstance(drained, bool):
        return Answer(error="the answer is not an acknowledgement")
    flattened = found.get("flattened")
    return Answer(
        mode=mode,
        is_drained=drained,
        flattened=flattened if isinstance(flattened, bool) else None,
        since=text(found.get("since"))[:32],
        left_undone=text(found.get("left_undone"))[:253],
    )


def open_work(found: Answer, control: Control, *, drained: bool) -> str:
    """Return why an answer does not prove a mode; empty if it does. `drained`: nothing may be open either."""
    if found.error:
        return f"no acknowledgement: {found.error}"
    if STRENGTH.index(found.mode) < STRENGTH.index(control.mode):
        return f"the agent still has the mode {found.mode}"
    if control.flatten and found.flattened is None and drained:
        return "the agent has not reported that its positions are closed"
    if control.flatten and found.flattened is False and drained:
        return found.left_undone or "positions or resting orders may be left"
    if drained and not found.is_drained:
        return found.left_undone or "the agent is not drained"
    return ""

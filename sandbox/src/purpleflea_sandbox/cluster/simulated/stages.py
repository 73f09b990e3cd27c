"""Behavior of simulated pods and nodes as kwok stages, and the nodes themselves.

Pure. The templates are in the template language of kwok.
"""

import json
from collections.abc import Mapping
from typing import Any

from purpleflea_sandbox.cluster.build_specs import KUBERNETES

StageObject = Mapping[str, Any]

NODES = ("simulated-1", "simulated-2", "simulated-3")
POD_RANGE = "127.128.0.0/14"
"""A range of the loopback network.

The operator runs as a process of this machine and sends requests to simulated agents too, and these
requests must not leave the machine.
"""
_HEARTBEAT_MS = 300_000
_TERMINATION_MS = 500
"""kwok deletes a pod by name, and schedules another deletion when its own one changes the grace period of the pod.
Without a delay, the second deletion removes the next pod of the StatefulSet, again and again. The event of the first
deletion cancels a delayed one."""

_POD_RUNNING = """\
{{ $now := Now | Quote }}
phase: Running
startTime: {{ $now }}
conditions:
{{ range $type := list "PodReadyToStartContainers" "Initialized" "ContainersReady" "Ready" }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now }}}
{{ end }}
{{ range .spec.readinessGates }}
- {type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: {{ $now }}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state: {running: {startedAt: {{ $now }}}}
  {{ else }}
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now }}, finishedAt: {{ $now }}}}
  {{ end }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now }}}}
{{ end }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
hostIPs: [{ip: {{ index . 0 | Quote }}}]
{{ end }}
{{ with PodIPsWith .spec.nodeName (or .spec.hostNetwork false) .metadata.uid .metadata.name .metadata.namespace }}
podIP: {{ index . 0 | Quote }}
podIPs: [{ip: {{ index . 0 | Quote }}}]
{{ end }}
"""

_JOB_DONE = """\
{{ $now := Now | Quote }}
phase: Succeeded
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now }}, finishedAt: {{ $now }}}}
{{ end }}
"""

_NODE_BEATS = """\
{{ $now := Now | Quote }}
conditions:
- type: Ready
  status: "True"
  reason: Simulated
  message: this node exists only in the API
  lastHeartbeatTime: {{ $now }}
  lastTransitionTime: {{ .metadata.creationTimestamp | Quote }}
"""


def documents() -> str:
    """Return all stages as one file for kwok."""
    alive = _match(".metadata.deletionTimestamp", "DoesNotExist")
    stages = (
        _stage("pod-runs", "Pod", _POD_RUNNING, alive, _match(".status.phase", "In", "Pending")),
        _stage(
            "job-is-done",
            "Pod",
            _JOB_DONE,
            alive,
            _match(".status.phase", "In", "Running"),
            _match(".metadata.ownerReferences.[].kind", "In", "Job"),
        ),
        _stage(
            "pod-goes",
            "Pod",
            None,
            _match(".metadata.deletionTimestamp", "Exists"),
            delay_ms=_TERMINATION_MS,
        ),
        _stage("node-beats", "Node", _NODE_BEATS, alive, delay_ms=_HEARTBEAT_MS),
    )
    return "\n---\n".join(json.dumps(stage) for stage in stages) + "\n"


def node(name: str) -> StageObject:
    """Return a node that is ready from the start; kwok renews its lease."""
    capacity = {"cpu": "64", "memory": "256Gi", "pods": "10000", "ephemeral-storage": "1Ti"}
    versions = ("kubeletVersion", "kubeProxyVersion")
    empty = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"},
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": name},
            ],
            "conditions": [{"type": "Ready", "status": "True", "reason": "Simulated"}],
            "nodeInfo": {
                **dict.fromkeys(versions, KUBERNETES),
                **dict.fromkeys(empty, ""),
                "containerRuntimeVersion": "simulated",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    }


def _stage(
    name: str, kind: str, template: str | None, *matches: StageObject, delay_ms: int = 0
) -> StageObject:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": list(matches)},
            "next": {"delete": True} if template is None else {"statusTemplate": template},
            **({"delay": {"durationMilliseconds": delay_ms}} if delay_ms else {}),
        },
    }


def _match(key: str, operator: str, *values: str) -> StageObject:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}

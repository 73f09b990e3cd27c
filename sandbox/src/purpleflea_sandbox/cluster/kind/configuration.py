"""Configuration file for a new kind cluster. Pure. Defaults of kind are kept if possible."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_POLICY_IN_NODE = "/etc/kubernetes/purpleflea/audit-policy.json"
_LOGS_IN_NODE = "/var/log/kubernetes/audit"
AUDIT_FILE = "audit.jsonl"


def cluster_configuration(
    *,
    policy: Path | None,
    audit_folder: Path | None,
    workers: int = 0,
    lost_node_after_s: int = 0,
    ports: Mapping[int, int] | None = None,
) -> str:
    """Return a cluster with a control plane and workers; without workers, the control plane runs pods.

    It has an audit log if both paths are set. `lost_node_after_s` is the time until a node without a heartbeat is not
    ready; 0 is the default of Kubernetes. `ports` are ports of NodePort Services, and the ports of
    127.0.0.1 that lead to them.
    """
    kubelet = _kubelet_patch(lost_node_after_s)
    patches = [kubelet]
    if lost_node_after_s:
        patches.append(_node_monitor_patch(lost_node_after_s))
    mounts: list[Mapping[str, Any]] = []
    if policy is not None and audit_folder is not None:
        patches.append(_audit_patch())
        mounts = [
            {"hostPath": str(policy), "containerPath": _POLICY_IN_NODE, "readOnly": True},
            {"hostPath": str(audit_folder), "containerPath": _LOGS_IN_NODE},
        ]
    node = {
        "role": "control-plane",
        "kubeadmConfigPatches": [json.dumps(patch) for patch in patches],
        "extraMounts": mounts,
        "extraPortMappings": [
            {"containerPort": port, "hostPort": host_port, "listenAddress": "127.0.0.1"}
            for port, host_port in sorted((ports or {}).items())
        ],
    }
    worker = {"role": "worker", "kubeadmConfigPatches": [json.dumps(kubelet)]}
    return json.dumps(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [node, *[worker] * workers],
        },
        indent=2,
    )


def host_ports(configuration: str) -> Mapping[int, int]:
    """Return the ports of NodePort Services in a configuration, and the ports that lead to them."""
    (node, *_) = json.loads(configuration)["nodes"]
    mappings = node.get("extraPortMappings", ())
    return {item["containerPort"]: item["hostPort"] for item in mappings}


def _kubelet_patch(lost_node_after_s: int) -> Mapping[str, Any]:
    # If failCgroupV1 is not disabled, the kubelet does not start on a machine with version 1
    # cgroups.
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "maxPods": 250,
        # The kubelet renews the lease four times in its duration, so eight times before the node counts as lost.
        **({"nodeLeaseDurationSeconds": lost_node_after_s // 2} if lost_node_after_s else {}),
    }


def _node_monitor_patch(lost_node_after_s: int) -> Mapping[str, Any]:
    value = f"{lost_node_after_s}s"
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "controllerManager": {"extraArgs": [{"name": "node-monitor-grace-period", "value": value}]},
    }


def _audit_patch() -> Mapping[str, Any]:
    flags = {
        "audit-policy-file": _POLICY_IN_NODE,
        "audit-log-path": f"{_LOGS_IN_NODE}/{AUDIT_FILE}",
        "audit-log-mode": "blocking",
        "audit-log-maxsize": "4096",
    }
    volumes = [
        _volume("audit-policy", _POLICY_IN_NODE, "File", read_only=True),
        _volume("audit-log", _LOGS_IN_NODE, "DirectoryOrCreate", read_only=False),
    ]
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": [{"name": name, "value": value} for name, value in flags.items()],
            "extraVolumes": volumes,
        },
    }


def _volume(name: str, path: str, kind: str, *, read_only: bool) -> Mapping[str, Any]:
    return {
        "name": name,
        "hostPath": path,
        "mountPath": path,
        "pathType": kind,
        "readOnly": read_only,
    }

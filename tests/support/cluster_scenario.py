"""Shared parts of tests/e2e/cluster: kubectl of one cluster, the objects of a probe pod, and the traces of a cluster.

Traces are the mounts, cgroups, folders and processes that a cluster has on the machine.
"""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from purpleflea_sandbox.cluster import waiting
from purpleflea_sandbox.cluster.identity import Identity
from purpleflea_sandbox.cluster.local.provider import Local
from purpleflea_sandbox.cluster.port import Cluster

NAMESPACE = "scenario"
IMAGE = "localhost/probe:1"
LIMIT_S = 60.0


class Kubectl:
    """kubectl of one cluster in one namespace."""

    def __init__(self, seen: Cluster, kubectl: Path) -> None:
        self._argv = (str(kubectl), "--kubeconfig", str(seen.kubeconfig), "--namespace", NAMESPACE)

    def run(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self._argv, *arguments], input=stdin, capture_output=True, text=True, check=False
        )

    def must(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
        return done.stdout

    def apply(self, *manifests: object) -> None:
        self.must("apply", "-f", "-", stdin="\n---\n".join(json.dumps(each) for each in manifests))

    def probe(self, pod: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run("exec", pod, "--", "/probe", *arguments)


def eventually(condition: Callable[[], bool], what: str) -> None:
    assert waiting.until(condition, timeout_s=LIMIT_S, pause_s=0.2), (
        f"not within {LIMIT_S} s: {what}"
    )


def run_inside(cluster: Local, *argv: str) -> str:
    done = subprocess.run(cluster.command_inside(argv), capture_output=True, text=True, check=True)
    return done.stdout


def traces(clusters: Sequence[Identity]) -> dict[str, set[str]]:
    """Return the mounts, cgroups, folders and processes of the clusters on the machine."""
    marks = tuple(str(cluster.state) for cluster in clusters)
    processes = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            processes |= {f"{entry.name} {line}" for mark in marks if mark in line}
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    cgroups = {
        str(path)
        for root in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir())
        for cluster in clusters
        if (path := root / cluster.cgroup).exists()
    }
    return {
        "processes": processes,
        "mounts": {line for line in mounts for mark in marks if mark in line},
        "cgroups": cgroups,
        "folders": {mark for mark in marks if Path(mark).exists()},
        "kubeconfigs": {
            str(cluster.kubeconfig) for cluster in clusters if cluster.kubeconfig.exists()
        },
    }


def stateful_set(replicas: int) -> dict[str, object]:
    container = {
        "name": "web",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["serve", ":8080"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "16Mi"}},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod},
            "volumeClaimTemplates": [claim],
        },
    }

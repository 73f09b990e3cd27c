"""Tests of the simulated provider: a real control plane with simulated nodes, without root and without an engine.

The tests of this file depend on each other and run in sequence, as any user.
"""

import ipaddress
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import binaries, identity, processes, waiting
from purpleflea_sandbox.cluster.port import Cluster, Options
from purpleflea_sandbox.cluster.progress import NullProgress
from purpleflea_sandbox.cluster.simulated.provider import Simulated

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),  # the programs may have to be built first
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux"),
]

QUIET = NullProgress()
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    cluster = Simulated(identity.identify("e2e-simulated", tmp_path_factory.mktemp("checkout")))
    yield cluster
    cluster.down(QUIET, purge=True)


@pytest.fixture(scope="module")
def running(cluster: Simulated) -> Cluster:
    return cluster.up(Options(audit=True), QUIET)


def kubectl(seen: Cluster, *arguments: str, stdin: str | None = None) -> str:
    program = str(binaries.ensure(["kubectl"], QUIET)["kubectl"])
    done = subprocess.run(
        [program, "--kubeconfig", str(seen.kubeconfig), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_status_lists_the_simulated_components(running: Cluster) -> None:
    assert running.ready
    assert any("nothing runs in them" in line for line in running.simulated)
    assert not any("node" in line for line in running.real)


def test_pods_with_claims_become_ready_in_the_api(running: Cluster) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    mount = {"name": "data", "mountPath": "/data"}
    container = {"name": "web", "image": "localhost/none:1", "volumeMounts": [mount]}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 5,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
            "volumeClaimTemplates": [claim],
        },
    }
    kubectl(running, "apply", "-f", "-", stdin=json.dumps(manifest))

    kubectl(running, "rollout", "status", "statefulset/web", f"--timeout={LIMIT_S:.0f}s")

    pods = json.loads(kubectl(running, "get", "pods", "--output", "json"))["items"]
    addresses = {pod["status"]["podIP"] for pod in pods}
    assert len(addresses) == 5
    # Requests to a simulated pod never leave this machine.
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)


def test_a_deleted_pod_is_replaced(running: Cluster) -> None:
    uid = ("get", "pod", "web-0", "--output", "jsonpath={.metadata.uid}")
    before = kubectl(running, *uid)

    kubectl(running, "delete", "pod", "web-0")
    kubectl(running, "rollout", "status", "statefulset/web", f"--timeout={LIMIT_S:.0f}s")

    assert kubectl(running, *uid) != before


def test_images_are_not_needed(cluster: Simulated, running: Cluster) -> None:
    assert running.ready
    assert cluster.load_images([Path("/no/such/archive.tar")], QUIET) == ()


def test_all_ports_are_on_loopback(running: Cluster) -> None:
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True)
    pids = tuple(f"pid={pid}," for pid in running.pids.values())
    ours = [
        line.split()[3] for line in listening.stdout.splitlines() if any(p in line for p in pids)
    ]

    assert len(ours) >= 5
    assert all(address.startswith("127.0.0.1:") for address in ours)


def test_a_killed_supervisor_leaves_orphans_that_the_next_up_replaces(
    cluster: Simulated, running: Cluster
) -> None:
    os.kill(running.pids["supervisor"], signal.SIGKILL)
    assert waiting.until(lambda: cluster.status().state == "stale", timeout_s=LIMIT_S)

    again = cluster.up(Options(), QUIET)

    assert again.ready
    assert not set(again.pids.values()) & set(running.pids.values())
    for pid in running.pids.values():
        assert running.logs is None or str(running.logs.parent) not in processes.command_line(pid)


def test_down_leaves_nothing_and_may_be_repeated(cluster: Simulated) -> None:
    seen = cluster.status()
    lived = [handle for pid in seen.pids.values() if (handle := processes.handle(pid))]
    assert len(lived) >= 6

    assert cluster.down(QUIET, purge=True)
    assert not cluster.down(QUIET, purge=True)

    assert cluster.status().state == "stopped"
    assert not any(handle.is_alive() for handle in lived)
    assert not seen.kubeconfig.exists()

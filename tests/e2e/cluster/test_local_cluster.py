"""Tests of the local provider on a real cluster: pods, names, addresses, volumes, the audit log, recovery and cleanup.

The tests of this file depend on each other and run in sequence.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import binaries, identity
from purpleflea_sandbox.cluster.local.image_store import single_program_image
from purpleflea_sandbox.cluster.local.provider import Local
from purpleflea_sandbox.cluster.port import Cluster, Options
from purpleflea_sandbox.cluster.progress import NullProgress
from support.cluster_scenario import (
    IMAGE,
    LIMIT_S,
    NAMESPACE,
    Kubectl,
    eventually,
    run_inside,
    stateful_set,
    traces,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),  # the programs may have to be built first
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or os.geteuid() != 0,
        reason="the local cluster needs root on Linux",
    ),
]

QUIET = NullProgress()
REPLICAS = 2


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a separate checkout, so that these clusters do not conflict with those of a developer."""
    return tmp_path_factory.mktemp("checkout")


@pytest.fixture(scope="module")
def first(checkout: Path) -> Iterator[Local]:
    cluster = Local(identity.identify("e2e-first", checkout))
    yield cluster
    cluster.down(QUIET, purge=True)


@pytest.fixture(scope="module")
def second(checkout: Path) -> Iterator[Local]:
    cluster = Local(identity.identify("e2e-second", checkout))
    yield cluster
    cluster.down(QUIET, purge=True)


@pytest.fixture(scope="module")
def running(first: Local) -> Cluster:
    return first.up(Options(audit=True), QUIET)


@pytest.fixture(scope="module")
def kubectl(running: Cluster) -> Kubectl:
    return Kubectl(running, binaries.ensure(["kubectl"], QUIET)["kubectl"])


@pytest.fixture(scope="module")
def image(first: Local, running: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("image") / "probe.tar"
    program = binaries.ensure(["probe"], QUIET)["probe"]
    single_program_image(program, archive, name=IMAGE)
    assert first.load_images([archive], QUIET) == (IMAGE,)
    return archive


def test_a_new_image_replaces_the_previous_image_of_the_same_name(
    first: Local, running: Cluster, tmp_path: Path
) -> None:
    name = "localhost/replaced:1"
    for number in range(3):
        program = tmp_path / f"program-{number}"
        program.write_text(f"#!/bin/sh\n# {number}\n")
        archive = tmp_path / f"{number}.tar"
        single_program_image(program, archive, name=name)
        assert first.load_images([archive], QUIET) == (name,)
        assert first.load_images([archive], QUIET) == ()


@pytest.fixture(scope="module")
def web(kubectl: Kubectl, image: Path) -> None:
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        stateful_set(REPLICAS),
    )
    kubectl.must("rollout", "status", "statefulset/web", f"--timeout={LIMIT_S:.0f}s")


def test_a_cluster_starts_with_a_ready_node_and_lists_its_real_components(running: Cluster) -> None:
    assert running.ready
    assert running.state == "running"
    assert running.versions["kubernetes"].startswith("v1.")
    assert running.api is not None
    assert running.api.startswith("https://127.0.0.1:")
    assert {"kubelet", "containerd", "kube-apiserver", "coredns"} <= running.pids.keys()
    assert any("kubelet" in line for line in running.real)


def test_up_on_a_running_cluster_changes_nothing(first: Local, running: Cluster) -> None:
    again = first.up(Options(audit=True), QUIET)

    assert again.pids == running.pids
    assert again.api == running.api


def test_restricted_pods_with_claims_become_ready(kubectl: Kubectl, web: None) -> None:
    claims = json.loads(kubectl.must("get", "pvc", "--output", "json"))["items"]

    assert [claim["status"]["phase"] for claim in claims] == ["Bound"] * REPLICAS


def test_pod_logs_have_the_usual_paths_on_the_node(first: Local, web: None) -> None:
    assert f"{NAMESPACE}_web-0_" in run_inside(first, "ls", "/var/log/pods")
    assert f"web-0_{NAMESPACE}_web-" in run_inside(first, "ls", "/var/log/containers")


def test_a_service_name_reaches_every_pod(kubectl: Kubectl, web: None) -> None:
    responses: Counter[str] = Counter()

    def all_responded() -> bool:
        answer = kubectl.probe("web-0", "get", f"http://web.{NAMESPACE}")
        if answer.returncode == 0:  # kube-proxy applies the readiness of a pod with a short delay
            responses[answer.stdout] += 1
        return len(responses) == REPLICAS

    eventually(all_responded, f"responses of {REPLICAS} pods, received {responses}")


def test_a_pod_of_a_stateful_set_has_its_own_dns_name(kubectl: Kubectl, web: None) -> None:
    address = kubectl.must("get", "pod", "web-1", "--output", "jsonpath={.status.podIP}")

    answer = kubectl.probe("web-0", "resolve", f"web-1.web.{NAMESPACE}.svc.cluster.local")

    assert answer.stdout == address, answer.stderr
    assert address.startswith("10.244.")


def test_external_names_and_addresses_are_unreachable(kubectl: Kubectl, web: None) -> None:
    named = kubectl.probe("web-0", "resolve", "outside.example")
    # RFC 5737 reserves this address for documentation, so no host may respond.
    reached = kubectl.probe("web-0", "get", "http://192.0.2.1/")

    assert "no such host" in named.stderr
    assert "network is unreachable" in reached.stderr


def test_a_claim_keeps_its_data_when_the_pod_is_deleted(kubectl: Kubectl, web: None) -> None:
    kubectl.must("exec", "web-0", "--", "/probe", "write", "/data/journal", "kept")

    kubectl.must("delete", "pod", "web-0", "--grace-period=1")
    kubectl.must("rollout", "status", "statefulset/web", f"--timeout={LIMIT_S:.0f}s")

    eventually(
        lambda: kubectl.probe("web-0", "read", "/data/journal").stdout == "kept", "data of web-0"
    )


def test_a_deleted_claim_deletes_its_volume_and_folder(
    kubectl: Kubectl, web: None, running: Cluster
) -> None:
    assert running.logs is not None
    folders = running.logs.parent / "volumes"
    volume = kubectl.must("get", "pvc", "data-web-1", "--output", "jsonpath={.spec.volumeName}")
    assert (folders / volume).is_dir()

    kubectl.must("scale", "statefulset/web", "--replicas=1")
    kubectl.must("delete", "pvc", "data-web-1")

    eventually(lambda: not (folders / volume).exists(), f"removal of {folders / volume}")
    eventually(lambda: kubectl.run("get", "pv", volume).returncode != 0, "removal of the volume")


def test_the_audit_log_has_every_write_once(kubectl: Kubectl, web: None, first: Local) -> None:
    for number in range(5):
        kubectl.must("create", "configmap", f"counted-{number}")

    assert first.audit_log is not None
    lines = [json.loads(line) for line in first.audit_log.read_text().splitlines()]
    created = [
        line["objectRef"]["name"]
        for line in lines
        if line["verb"] == "create" and line["objectRef"].get("resource") == "configmaps"
    ]
    counted = [name for name in created if name.startswith("counted-")]
    assert sorted(counted) == [f"counted-{number}" for number in range(5)]
    assert {line["stage"] for line in lines} <= {"ResponseStarted", "ResponseComplete", "Panic"}
    assert {line["level"] for line in lines} == {"Metadata"}


def test_a_killed_kubelet_is_restarted_and_pods_keep_running(
    first: Local, kubectl: Kubectl, web: None
) -> None:
    query = ("get", "pod", "web-0", "--output", "jsonpath={.metadata.uid}/{.status.startTime}")
    before = kubectl.must(*query)
    killed = first.status().pids["kubelet"]

    os.kill(killed, signal.SIGKILL)

    eventually(lambda: first.status().pids.get("kubelet", killed) != killed, "a new kubelet")
    eventually(lambda: kubectl.probe("web-0", "read", "/data/journal").returncode == 0, "exec")
    assert kubectl.must(*query) == before


def test_two_clusters_run_in_parallel_and_are_removed_completely(
    first: Local, second: Local, checkout: Path, kubectl: Kubectl, web: None
) -> None:
    other = second.up(Options(), QUIET)
    mine = first.status()
    assert other.ready
    assert other.api != mine.api
    assert not set(other.pids.values()) & set(mine.pids.values())

    assert second.down(QUIET)

    assert second.status().state == "stopped"
    left = traces([identity.identify("e2e-second", checkout)])
    assert not any(left.values()), left
    # The mounts of the first cluster over the shared folders still exist.
    assert kubectl.probe("web-0", "read", "/data/journal").stdout == "kept"
    assert run_inside(first, "findmnt", "-no", "FSTYPE", "/var/lib/cni").strip() == "tmpfs"


def test_a_cluster_with_a_killed_supervisor_is_replaced_and_keeps_its_images(
    first: Local, image: Path, web: None, checkout: Path
) -> None:
    os.kill(first.status().pids["supervisor"], signal.SIGKILL)
    eventually(lambda: first.status().state == "stale", "the cluster to be stale")

    again = first.up(Options(), QUIET)

    assert again.ready
    assert again.audit_log is None
    assert first.load_images([image], QUIET) == ()


def test_down_leaves_nothing_and_may_be_repeated(
    first: Local, running: Cluster, checkout: Path
) -> None:
    cluster = identity.identify("e2e-first", checkout)
    assert all(traces([cluster])[kind] for kind in ("processes", "cgroups", "folders"))

    assert first.down(QUIET, purge=True)
    assert not first.down(QUIET, purge=True)

    left = traces([cluster])
    assert not any(left.values()), left
    assert not cluster.kept.exists()

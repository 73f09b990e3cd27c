"""Tests of the children of an agent on a real API server, which the simulated provider starts without root."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from purpleflea_operator.codegen.crd import agent_crd
from purpleflea_operator.kube import credentials
from purpleflea_sandbox.cluster import binaries, identity
from purpleflea_sandbox.cluster.port import Cluster, Options
from purpleflea_sandbox.cluster.progress import NullProgress
from purpleflea_sandbox.cluster.simulated.provider import Simulated
from support import removed_fields
from support.builders import a_spec
from support.waiting import wait_for

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),  # the programs may have to be built first
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux"),
]

QUIET = NullProgress()
CRD = "crd/purplefleaagents.purpleflea.com"


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = identity.identify("e2e-children", tmp_path_factory.mktemp("checkout"))
    cluster = Simulated(found)
    yield cluster.up(Options(audit=False), QUIET)
    cluster.down(QUIET, purge=True)


def kubectl(seen: Cluster, *arguments: str, stdin: object = None) -> str:
    program = str(binaries.ensure(["kubectl"], QUIET)["kubectl"])
    return subprocess.run(
        [program, "--kubeconfig", str(seen.kubeconfig), *arguments],
        input=json.dumps(stdin),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def conditions_of(seen: Cluster, name: str) -> set[str]:
    found = json.loads(kubectl(seen, "get", name, "--output=json"))
    conditions = found.get("status", {}).get("conditions") or ()
    return {item["type"] for item in conditions if item["status"] == "True"}


def test_fields_of_created_children_are_removed_when_they_are_no_longer_desired(
    running: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl(running, "create", "namespace", "trading")
    kubectl(running, "create", "--filename=-", stdin=agent_crd())
    # `kubectl wait` and a JSON path fail while the CRD has no conditions yet.
    wait_for(lambda: "Established" in conditions_of(running, CRD), timeout_s=60)
    agent = {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaAgent",
        "metadata": {"name": "momentum", "namespace": "trading"},
        "spec": a_spec(),
    }
    # The garbage collector deletes children whose agent does not exist.
    uid = kubectl(
        running, "create", "--filename=-", "--output=jsonpath={.metadata.uid}", stdin=agent
    )
    monkeypatch.setenv("KUBECONFIG", str(running.kubeconfig))
    found = asyncio.run(removed_fields.after_removal(credentials.credentials(), uid))
    removed_fields.check(found)

"""Golden files: the children of a table of agents, field by field, hash annotations included.

The files under tests/data/golden pin the output of the renderer. A change of a pod template restarts every agent when
the operator is upgraded, so such a change has to appear in a review. To write the files again:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest -q tests/unit/operator/manifests/test_golden.py
"""

import difflib
import json
import os
from pathlib import Path

import pytest
import yaml

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions.rollout import with_partition
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults, with_desired_hash
from support import spec_fields
from support.builders import a_spec

FOLDER = Path(__file__).parents[3] / "data" / "golden"
DEFAULTS = Defaults(
    image="localhost/purpleflea-agent:1.2.3", operator_namespace="purpleflea-system"
)

HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
SHARED = Connection(
    mode=ConnectionMode.SOCKET,
    dogstatsd_socket=Socket(folder="/var/run/datadog", name="dsd.socket"),
    apm_socket=Socket(folder="/var/run/datadog", name="apm.socket"),
)
SEPARATE = Connection(
    mode=ConnectionMode.SOCKET,
    dogstatsd_socket=Socket(folder="/run/metrics", name="dsd.socket"),
    apm_socket=Socket(folder="/run/traces", name="apm.socket"),
)
SERVICE = Connection(
    mode=ConnectionMode.SERVICE,
    host="datadog-agent.datadog.svc.cluster.local",
    dogstatsd_port=8225,
    apm_port=8226,
)
CSI = Connection(
    mode=ConnectionMode.CSI, dogstatsd_socket=SHARED.dogstatsd_socket, apm_socket=SHARED.apm_socket
)
HOLD = {"datadog": {"whenMissing": "Hold"}}
STORAGE = {"size": "2Gi", "storageClassName": "fast", "whenDeleted": "Delete"}

FULL = spec_fields.full_spec()
WITH_VOLUMES = {**FULL, "storage": {**FULL["storage"], "ephemeral": False}}
"""Every field, but an ephemeral journal excludes the volumes."""
# Name of the file: spec, connection, partition.
AGENTS = {
    "minimal": (a_spec(), HOST_IP, 0),
    "every-field": (WITH_VOLUMES, HOST_IP, 0),
    "default-storage": (
        {key: item for key, item in a_spec().items() if key != "storage"},
        HOST_IP,
        0,
    ),
    "alternatives": (
        a_spec(
            image={"repository": "registry.example.com/agents", "digest": "sha256:" + "ab" * 32},
            pod={"serviceAccountName": "trader", "envFrom": [{"secretRef": {"name": "more"}}]},
            network={"policy": "None"},
        ),
        HOST_IP,
        0,
    ),
    "connection-host-ip-other-ports": (
        a_spec(),
        Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8225, apm_port=8226),
        0,
    ),
    "connection-host-ip-metrics-only": (
        a_spec(),
        Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125),
        0,
    ),
    "connection-service": (a_spec(), SERVICE, 0),
    "connection-socket": (a_spec(), SHARED, 0),
    "connection-socket-two-folders": (a_spec(), SEPARATE, 0),
    "connection-csi": (a_spec(), CSI, 0),
    "connection-disabled": (a_spec(datadog={"connection": "Disabled"}), NO_CONNECTION, 0),
    "connection-none-yet": (a_spec(), NO_CONNECTION, 0),
    "hold-host-ip": (a_spec(**HOLD), HOST_IP, 0),
    "hold-socket": (a_spec(**HOLD), SHARED, 0),
    "hold-none-yet": (a_spec(**HOLD), NO_CONNECTION, 0),
    "storage": (a_spec(storage=STORAGE), HOST_IP, 0),
    "halted": (a_spec(trading={"mode": "Halted"}), HOST_IP, 0),
    "stopped": (a_spec(trading={"mode": "Stopped"}), HOST_IP, 0),
    "paused-rollout": (a_spec(replicas=3), HOST_IP, 2),
}


def rendered(name):
    spec, connection, partition = AGENTS[name]
    agent = Agent(
        namespace="trading",
        name="momentum",
        uid="3b0f6f0e-0000-4000-8000-000000000001",
        generation=1,
        spec=AgentSpec.model_validate(spec, extra="forbid"),
    )
    # Through JSON: the manifests as they are sent, without tuples and enums.
    *others, stateful_set = children(agent, DEFAULTS, connection)
    stateful_set = with_desired_hash(with_partition(stateful_set, partition))
    return json.loads(json.dumps([*others, stateful_set]))


def as_text(manifests):
    return yaml.safe_dump_all(manifests, explicit_start=True, width=10_000)


def templates(manifests):
    return [item["spec"]["template"] for item in manifests if item["kind"] == "StatefulSet"]


def failure(name, expected, found):
    if templates(expected) != templates(found):
        effect = "the pod template differs, so this change restarts every agent on upgrade"
    else:
        effect = "only other fields differ, so this change applies the children of every agent again on upgrade"
    lines = difflib.unified_diff(
        as_text(expected).splitlines(),
        as_text(found).splitlines(),
        "golden",
        "rendered",
        lineterm="",
    )
    return "\n".join(
        (
            f"{name}: {effect}.",
            "If this is intended, run UPDATE_GOLDEN=1 .venv/bin/python -m pytest -q "
            "tests/unit/operator/manifests/test_golden.py and state the effect in the commit and in the changelog.",
            *lines,
        )
    )


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_the_children_of_an_agent_are_those_of_the_golden_file(name):
    file, found = FOLDER / f"{name}.yaml", rendered(name)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(as_text(found))
    expected = list(yaml.safe_load_all(file.read_text()))
    if expected != found:
        pytest.fail(failure(name, expected, found), pytrace=False)


def test_the_golden_files_are_those_of_the_table():
    assert sorted(file.stem for file in FOLDER.iterdir()) == sorted(AGENTS)


def test_the_golden_files_contain_every_kind_of_child():
    kinds = {item["kind"] for name in AGENTS for item in rendered(name)}
    assert kinds == {
        "ConfigMap",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
        "StatefulSet",
    }


def test_a_changed_pod_template_is_reported_as_a_restart_of_every_agent():
    expected, found = rendered("minimal"), rendered("minimal")
    templates(found)[0]["spec"]["enableServiceLinks"] = True
    assert "restarts every agent on upgrade" in failure("minimal", expected, found)


def test_a_changed_hash_alone_is_reported_as_another_apply():
    expected, found = rendered("minimal"), rendered("minimal")
    found[0]["metadata"]["annotations"] = {"purpleflea.com/desired-hash": "0"}
    assert "restarts" not in failure("minimal", expected, found)
    assert "applies the children" in failure("minimal", expected, found)

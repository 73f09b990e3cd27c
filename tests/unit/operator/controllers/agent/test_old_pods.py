"""Children that pods of an earlier revision still need."""

import pytest

from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.old_pods import with_rules_of_old_pods
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import HOST_IP, a_pod
from support.observed_states import agent_value, observed_state

DEFAULTS = Defaults(image="agent:1")
OTHER_PORTS = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8225, apm_port=8226)
USUAL_PORTS = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def a_pod_with(number, *, template="earlier", env=(HOST_IP,), sidecar_port=None, account="default"):
    found = a_pod(
        f"momentum-{number}", env=env, annotations={"purpleflea.com/template-hash": template}
    )
    found["spec"]["serviceAccountName"] = account
    if sidecar_port:
        ports = [{"containerPort": sidecar_port, "protocol": "TCP"}]
        found["spec"]["initContainers"] = [{"name": "proxy", "ports": ports}]
    return found


def policy(*pods, connection=USUAL_PORTS, **spec):
    *others, workload = children(agent_value(**spec), DEFAULTS, connection)
    observed = observed_state(pods=pods)
    before = next((item for item in others if item["kind"] == "NetworkPolicy"), None)
    found = with_rules_of_old_pods(others, observed, workload)
    return before, next((item for item in found if item["kind"] == "NetworkPolicy"), None)


def wanted_hash(connection=USUAL_PORTS):
    template = children(agent_value(), DEFAULTS, connection)[-1]["spec"]["template"]
    return template["metadata"]["annotations"]["purpleflea.com/template-hash"]


def added(before, after, direction):
    rules = after["spec"][direction]
    assert rules[: len(before["spec"][direction])] == before["spec"][direction]
    return [
        (port["protocol"], port["port"])
        for rule in rules[len(before["spec"][direction]) :]
        for port in rule["ports"]
    ]


def test_the_ports_of_the_former_node_agent_stay_allowed_while_a_pod_uses_them():
    before, after = policy(a_pod_with(0), connection=OTHER_PORTS)
    assert added(before, after, "egress") == []
    moved = [HOST_IP, {"name": "DD_DOGSTATSD_PORT", "value": "9125"}]
    before, after = policy(a_pod_with(0, env=moved), a_pod_with(1), connection=OTHER_PORTS)
    assert added(before, after, "egress") == [("UDP", 9125)]
    key = "purpleflea.com/desired-hash"
    assert before["metadata"]["annotations"][key] != after["metadata"]["annotations"][key]


@pytest.mark.parametrize("connection", [NO_CONNECTION, OTHER_PORTS])
def test_a_connection_that_ends_stays_allowed_while_a_pod_uses_it(connection):
    before, after = policy(a_pod_with(0), connection=connection)
    allowed = {*added(before, after, "egress")}
    assert allowed == ({("UDP", 8125), ("TCP", 8126)} if connection is NO_CONNECTION else set())


def test_the_ports_of_a_former_sidecar_stay_allowed():
    before, after = policy(a_pod_with(0, sidecar_port=9000))
    assert added(before, after, "ingress") == [("TCP", 9000)]


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param((), id="no pods"),
        pytest.param((a_pod_with(0, template=wanted_hash(), sidecar_port=9000),), id="new pods"),
        pytest.param((a_pod_with(0, env=()),), id="an old pod without a connection"),
        pytest.param(
            (a_pod_with(0, env=[HOST_IP, {"name": "DD_TRACE_ENABLED", "value": "false"}]),),
            id="an old pod without traces",
        ),
    ],
)
def test_without_other_needs_of_old_pods_the_policy_is_the_rendered_one(pods):
    before, after = policy(*pods)
    assert after is before


def test_an_agent_without_a_policy_gets_none():
    assert policy(a_pod_with(0), network={"policy": "None"}) == (None, None)


@pytest.mark.parametrize(("account", "is_deleted"), [("momentum", False), ("default", True)])
def test_a_service_account_is_deleted_when_no_pod_uses_it(account, is_deleted):
    former = children(agent_value(pod={"serviceAccount": {}}), DEFAULTS, NO_CONNECTION)
    (live,) = [item for item in former if item["kind"] == "ServiceAccount"]
    observed = observed_state(children=[live], pods=[a_pod_with(0, account=account)])
    planned = plan.actions(children(agent_value(), DEFAULTS, NO_CONNECTION), observed)
    deleted = [item.manifest["kind"] for item in planned if isinstance(item, plan.Delete)]
    assert deleted == (["ServiceAccount"] if is_deleted else [])

"""Changed volume claims: the StatefulSet is recreated around its pods, also if the operator is killed meanwhile."""

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from support.builders import a_datadog_daemon_set, a_local_service, a_pod, an_agent
from support.waiting import wait_until_started

NS, NAME = "trading", "momentum"
OURS = {"verb": "write", "user_agent": "purpleflea-operator"}
WRITES = range(8)
"""More than the writes of the change; after the last write no operator is killed."""
pytestmark = pytest.mark.timeout(300)


def condition(server, kind):
    conditions = server.get("PurpleFleaAgent", NS, NAME).get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def is_ready(server):
    agent = server.get("PurpleFleaAgent", NS, NAME)
    status = agent.get("status", {})
    current = status.get("observedGeneration") == agent["metadata"]["generation"]
    ready = condition(server, "Ready").get("status") == "True"
    return current and ready and status.get("readyReplicas") == agent["spec"]["replicas"]


def uids(server):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in server.objects("Pod")}


def put_claims(server, size="1Gi"):
    """Store claims as the StatefulSet controller creates them."""
    for number in range(2):
        labels = {
            kubernetes.LABEL_INSTANCE: NAME,
            kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
        }
        metadata = {"name": f"state-{NAME}-{number}", "namespace": NS, "labels": labels}
        spec = {"resources": {"requests": {"storage": size}}, "storageClassName": "fast"}
        server.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
                "spec": spec,
            }
        )


def sizes(server):
    claims = server.objects("PersistentVolumeClaim")
    return [item["spec"]["resources"]["requests"]["storage"] for item in claims]


def template_size(server):
    found = server.get("StatefulSet", NS, NAME)
    if found is None:
        return None
    (template,) = found["spec"]["volumeClaimTemplates"]
    return template["spec"]["resources"]["requests"]["storage"]


def enlarge(server, size="2Gi"):
    server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"storage": {"size": size}}})


def is_enlarged(server):
    return template_size(server) == "2Gi" and sizes(server) == ["2Gi", "2Gi"] and is_ready(server)


@pytest.fixture
def kept(server, an_operator):
    """Two ready agents with volumes; no operator runs."""
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=2, storage={"size": "1Gi"}))
    put_claims(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
    server.clear()
    return server


def test_volumes_are_expanded_while_every_pod_keeps_running(kept, an_operator):
    before, first = uids(kept), kept.get("StatefulSet", NS, NAME)["metadata"]["uid"]
    with an_operator():
        enlarge(kept)
        kept.wait_until(lambda: is_enlarged(kept), timeout=30)
    assert uids(kept) == before
    assert kept.get("StatefulSet", NS, NAME)["metadata"]["uid"] != first
    (deleted,) = kept.writes(verb="delete")
    assert deleted.body == {"preconditions": {"uid": first}, "propagationPolicy": "Orphan"}
    kept.clear()
    with an_operator():
        wait_until_started(kept)
    assert kept.writes() == []


def variables(server):
    """Return the environment variables of the agent in the StatefulSet."""
    spec = server.get("StatefulSet", NS, NAME)["spec"]["template"]["spec"]
    return {item["name"]: item for item in spec["containers"][0]["env"]}


def test_volumes_are_expanded_without_a_node_agent_while_every_pod_keeps_running(kept, an_operator):
    before = uids(kept)
    with an_operator():
        kept.delete("DaemonSet", "datadog", "datadog-agent")
        kept.wait_until(
            lambda: condition(kept, "TelemetryReady").get("reason") == "NodeAgentMissing",
            timeout=30,
        )
        enlarge(kept)
        kept.wait_until(lambda: is_enlarged(kept), timeout=30)
    assert variables(kept)["DD_AGENT_HOST"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.hostIP"
    assert uids(kept) == before


def test_volumes_are_expanded_beside_a_better_connection_without_a_restart(server, an_operator):
    server.put(a_datadog_daemon_set())
    server.put(a_local_service())
    server.put(an_agent(replicas=2, storage={"size": "1Gi"}))
    put_claims(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        before, by_service = uids(server), variables(server)["DD_AGENT_HOST"]
        opened = a_datadog_daemon_set(host_ports=True)["spec"]
        server.patch("DaemonSet", "datadog", "datadog-agent", {"spec": opened})
    with an_operator():
        enlarge(server)
        server.wait_until(lambda: is_enlarged(server), timeout=30)
    assert by_service["value"] == "datadog-agent.datadog.svc.cluster.local"
    assert variables(server)["DD_AGENT_HOST"] == by_service
    assert uids(server) == before


@pytest.mark.parametrize("writes_before", WRITES)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_operator_killed_at_any_write_of_an_expansion_is_replaced_by_the_next(
    kept, an_operator, writes_before, moment
):
    before = uids(kept)
    enlarge(kept)
    break_it = kept.cut if moment == "before" else kept.lose_reply
    fault = break_it(skip=writes_before, times=None, **OURS)
    with an_operator():
        kept.wait_until(lambda: fault.hits or is_enlarged(kept), timeout=30)
    fault.cancel()
    with an_operator():
        kept.wait_until(lambda: is_enlarged(kept), timeout=30)
    assert uids(kept) == before


def test_an_expansion_that_is_rejected_is_tried_once_per_claim_and_reported(
    kept, an_operator, monkeypatch
):
    monkeypatch.setattr(timings, "REJECTED_RETRY_S", 600.0)
    refusal = kept.fail_next(
        verb="patch",
        resource="persistentvolumeclaims",
        status=403,
        message="only dynamically provisioned pvc can be resized",
        times=None,
    )
    with an_operator():
        enlarge(kept)
        kept.wait_until(
            lambda: condition(kept, "StorageReady").get("reason") == "ExpansionRefused", timeout=30
        )
        kept.wait_until(lambda: is_ready(kept))
        kept.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": 3}})
        kept.wait_until(lambda: is_ready(kept), timeout=30)
        assert refusal.hits == 2
        assert "set allowVolumeExpansion" in condition(kept, "StorageReady")["message"]


def test_a_stateful_set_that_is_being_deleted_is_not_changed_or_overwritten(kept, an_operator):
    kept.patch("StatefulSet", NS, NAME, {"metadata": {"finalizers": ["example.com/slow"]}})
    first = kept.get("StatefulSet", NS, NAME)["metadata"]["uid"]
    with an_operator():
        enlarge(kept)
        kept.wait_until(
            lambda: "deletionTimestamp" in kept.get("StatefulSet", NS, NAME)["metadata"]
        )
        kept.wait_until(lambda: sizes(kept) == ["2Gi", "2Gi"])
        assert template_size(kept) == "1Gi"
        assert kept.get("StatefulSet", NS, NAME)["metadata"]["uid"] == first
        kept.patch("StatefulSet", NS, NAME, {"metadata": {"finalizers": None}})
        kept.wait_until(lambda: is_enlarged(kept), timeout=30)


def test_orphaned_pods_of_a_deleted_agent_are_deleted_and_others_are_not(server, an_operator):
    owned = a_pod("other-0", instance="other")
    owned["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "n", "controller": True}
    ]
    server.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "n"}})
    server.put(owned)
    server.put(a_pod("momentum-0"))
    with an_operator():
        server.wait_until(lambda: server.get("Pod", NS, "momentum-0") is None)
    assert server.get("Pod", NS, "other-0") is not None

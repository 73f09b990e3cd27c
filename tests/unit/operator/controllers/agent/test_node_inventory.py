import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.node_inventory import (
    InventoryChange,
    NodeInventory,
    PodsByNode,
)
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.datadog.detection.facts import PodSecurity
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.datadog.detection.placement import ANYWHERE, Placement
from purpleflea_operator.datadog.detection.trust import TrustedNamespaces
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.tombstones import MAX_TOMBSTONES
from purpleflea_operator.kube.watch_scope import WatchScope
from support.builders import a_pod
from support.installations import a_node, a_node_agent, helm

DAEMON_SET = helm(sockets=False, dogstatsd_host_port=True, apm_host_port=True)
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
KEY = NamespacedName("trading", "momentum")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def nodes(clock):
    return NodeInventory(clock=clock)


def a_driver(name="k8s.csi.datadoghq.com"):
    return {"kind": "CSIDriver", "metadata": {"name": name, "uid": name, "resourceVersion": "1"}}


def a_namespace(level="", version=1):
    labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
    metadata = {"name": "trading", "uid": "n", "resourceVersion": str(version), "labels": labels}
    return {"kind": "Namespace", "metadata": metadata}


def a_node_agent_at(version, **changes):
    return a_node_agent(of=DAEMON_SET, version=version, **changes)


def readiness(nodes, name="node-1"):
    return [pod.is_ready for pod in nodes.node_agents_on(name)]


def test_a_heartbeat_of_a_node_affects_no_agent_and_a_taint_those_on_it(nodes):
    assert nodes.upsert(resources.NODE, a_node()) == InventoryChange(node="node-1")
    assert nodes.upsert(resources.NODE, a_node()) is None
    tainted = a_node(taints=["dedicated=gpu:NoSchedule"])
    assert nodes.upsert(resources.NODE, tainted) == InventoryChange(node="node-1")
    assert nodes.node("node-1").taints[0].key == "dedicated"


def test_a_deleted_node_is_removed(nodes):
    nodes.upsert(resources.NODE, a_node())
    assert nodes.delete(resources.NODE, "uid-node-1") == InventoryChange(node="node-1")
    assert nodes.node("node-1") is None
    assert nodes.delete(resources.NODE, "uid-node-1") is None


def test_the_pod_security_of_a_namespace_is_known_until_its_deletion(nodes):
    assert nodes.pod_security("trading") is PodSecurity.UNKNOWN
    assert nodes.upsert(resources.NAMESPACE, a_namespace()) == InventoryChange(namespace="trading")
    assert nodes.upsert(resources.NAMESPACE, a_namespace(version=2)) is None
    assert nodes.upsert(resources.NAMESPACE, a_namespace("restricted", 3)) == InventoryChange(
        namespace="trading"
    )
    assert nodes.pod_security("trading") is PodSecurity.RESTRICTED
    assert nodes.delete(resources.NAMESPACE, "n") is None
    assert nodes.pod_security("trading") is PodSecurity.UNKNOWN


def test_the_csi_driver_of_datadog_affects_all_agents_and_others_affect_none(nodes):
    assert nodes.upsert(resources.CSI_DRIVER, a_driver("ebs.csi.aws.com")) is None
    assert nodes.csi_driver is False
    assert nodes.upsert(resources.CSI_DRIVER, a_driver()) == InventoryChange(everywhere=True)
    assert nodes.upsert(resources.CSI_DRIVER, a_driver()) is None
    assert nodes.csi_driver is True
    assert nodes.delete(resources.CSI_DRIVER, "ebs.csi.aws.com") is None
    assert nodes.delete(resources.CSI_DRIVER, "k8s.csi.datadoghq.com") == InventoryChange(
        everywhere=True
    )
    assert nodes.csi_driver is False


def test_an_operator_bound_to_namespaces_sees_no_nodes():
    nodes = NodeInventory(clock=lambda: 0.0, scope=WatchScope(namespaces=("trading",)))
    assert (nodes.is_visible, nodes.csi_driver) == (False, None)
    assert not nodes.facts.is_visible


def test_a_node_agent_that_becomes_ready_affects_its_node_at_once(nodes):
    assert nodes.upsert(resources.POD, a_node_agent_at(1, ready=False)) == InventoryChange(
        node="node-1"
    )
    assert readiness(nodes) == [False]
    ready = InventoryChange(node="node-1", is_served=True)
    assert nodes.upsert(resources.POD, a_node_agent_at(2)) == ready
    assert nodes.upsert(resources.POD, a_node_agent_at(3)) is None
    assert readiness(nodes) == [True]
    assert nodes.has_pods_of(DAEMON_SET["metadata"]["uid"])


def test_a_pod_with_the_labels_of_a_node_agent_counts_only_in_a_trusted_namespace(clock):
    """The forged pod names the trusted DaemonSet as its controller."""
    pod = a_node_agent_at(1)
    forged = {**pod, "metadata": {**pod["metadata"], "namespace": "team-a", "uid": "forged"}}
    nodes = NodeInventory(clock=clock)
    assert nodes.upsert(resources.POD, forged) is None
    assert readiness(nodes) == []
    assert not nodes.has_pods_of(DAEMON_SET["metadata"]["uid"])
    nodes.upsert(resources.POD, pod)
    assert nodes.delete(resources.POD, "forged") is None
    assert readiness(nodes) == [True]
    trusting = NodeInventory(clock=clock, trusted=TrustedNamespaces(("datadog", "team-a")))
    trusting.upsert(resources.POD, forged)
    assert readiness(trusting) == [True]


def test_a_replaced_node_agent_counts_as_present_during_the_grace_period(nodes, clock):
    nodes.upsert(resources.POD, a_node_agent_at(1))
    gone = nodes.delete(resources.POD, "datadog/datadog-agent-node-1")
    assert gone == InventoryChange(node="node-1", after_s=timings.READINESS_GRACE_S)
    clock.now = timings.READINESS_GRACE_S - 1
    assert readiness(nodes) == [True]
    clock.now = timings.READINESS_GRACE_S
    assert readiness(nodes) == []
    assert not nodes.has_pods_of(DAEMON_SET["metadata"]["uid"])


def test_a_node_agent_that_returns_ends_the_grace_period(nodes, clock):
    nodes.upsert(resources.POD, a_node_agent_at(1))
    nodes.upsert(resources.POD, a_node_agent_at(2, ready=False))
    assert readiness(nodes) == [True, False]
    nodes.upsert(resources.POD, a_node_agent_at(3))
    assert readiness(nodes) == [True]


def test_a_pod_that_is_not_scheduled_is_on_no_node(nodes):
    waiting = a_node_agent_at(1, ready=False)
    waiting["spec"] = {}
    assert nodes.upsert(resources.POD, waiting) == InventoryChange()
    assert nodes.node_agents_on("") == ()


def test_an_older_version_changes_nothing(nodes):
    nodes.upsert(resources.POD, a_node_agent_at(2))
    assert nodes.upsert(resources.POD, a_node_agent_at(1, ready=False)) is None
    assert readiness(nodes) == [True]


def test_a_deleted_object_is_not_restored_by_a_list_that_was_in_flight(nodes):
    nodes.upsert(resources.NODE, a_node())
    nodes.delete(resources.NODE, "uid-node-1")
    assert nodes.upsert(resources.NODE, a_node()) is None
    for number in range(MAX_TOMBSTONES):
        nodes.delete(resources.NODE, f"another-{number}")
    assert nodes.upsert(resources.NODE, a_node()) == InventoryChange(node="node-1")


def listing(version, namespace=""):
    return Listing(uids=frozenset(), version=version, namespace=namespace)


def test_pruning_removes_objects_that_a_list_lacks_but_not_newer_ones(nodes):
    nodes.upsert(resources.POD, a_node_agent_at(1))
    nodes.upsert(resources.POD, a_node_agent("node-2", of=DAEMON_SET, version=9))
    assert nodes.prune(resources.POD, listing(5, "elsewhere")) == []
    assert nodes.prune(resources.POD, listing(5, "datadog")) == [
        InventoryChange(node="node-1", after_s=timings.READINESS_GRACE_S)
    ]
    assert readiness(nodes, "node-2") == [True]
    nodes.upsert(resources.NAMESPACE, a_namespace())
    assert nodes.prune(resources.NAMESPACE, listing(5)) == []


@pytest.mark.parametrize(
    ("changes", "waiting"),
    [
        ({"waiting": "ContainerCreating"}, ""),
        ({"waiting": "CreateContainerError"}, "CreateContainerError"),
        ({"waiting": "CrashLoopBackOff", "restarts": 3}, "CrashLoopBackOff"),
        ({"restarts": 3}, "CrashLoopBackOff"),
        ({"waiting": "ErrImagePull"}, "ImagePullBackOff"),
        ({"waiting": "ImagePullBackOff"}, "ImagePullBackOff"),
    ],
)
def test_the_reason_of_an_unready_node_agent_does_not_alternate(nodes, changes, waiting):
    nodes.upsert(resources.POD, a_node_agent_at(1, ready=False, **changes))
    assert [pod.waiting for pod in nodes.node_agents_on("node-1")] == [waiting]


def test_agents_are_indexed_by_the_nodes_of_their_pods():
    pods = PodsByNode()
    pods.upsert(a_pod("momentum-0"))
    pods.upsert(a_pod("momentum-1"))
    pods.upsert(a_pod("momentum-2", node=""))
    assert pods.agents_on("node-1") == [KEY]
    pods.delete("uid-momentum-0")
    assert pods.agents_on("node-1") == [KEY]
    pods.delete("uid-momentum-1")
    assert pods.agents_on("node-1") == []
    pods.upsert(a_pod("momentum-2", node="node-9"))
    assert pods.agents_on("node-9") == [KEY]


def counting(monkeypatch):
    """Return a list that has an entry for each node that is compared with a placement."""
    compared, reason = [], Placement.exclusion_reason

    def counted(wanted, node):
        compared.append(node.name)
        return reason(wanted, node)

    monkeypatch.setattr(Placement, "exclusion_reason", counted)
    return compared


def pending(nodes, *, placement=ANYWHERE, names=()):
    return nodes.coverage_of_pending(frozenset([placement]), frozenset(names), HOST_IP)


@pytest.mark.parametrize(
    "change",
    [
        lambda nodes: nodes.upsert(resources.NODE, a_node("node-1", taints=["a=b:NoSchedule"])),
        lambda nodes: nodes.upsert(resources.NODE, a_node("node-9")),
        lambda nodes: nodes.delete(resources.NODE, "uid-node-1"),
        lambda nodes: nodes.upsert(resources.POD, a_node_agent_at(2, node="node-2")),
        lambda nodes: nodes.upsert(resources.POD, a_node_agent_at(2, ready=False)),
        lambda nodes: nodes.update_facts(datadog_facts([], {})),
        lambda nodes: nodes.hide(resources.NODE),
    ],
    ids=["taint", "new node", "deleted node", "moved", "lost", "facts", "hidden"],
)
def test_pending_pods_with_one_placement_check_all_nodes_once_until_a_change(
    nodes, clock, monkeypatch, change
):
    fresh = NodeInventory(clock=clock)
    for inventory in (nodes, fresh):
        inventory.update_facts(datadog_facts([DAEMON_SET], {}))
        inventory.upsert(resources.POD, a_node_agent_at(1))
        for number in range(3):
            inventory.upsert(resources.NODE, a_node(f"node-{number}"))
    compared = counting(monkeypatch)
    pending(nodes)
    expected = len(compared)
    for _ in range(100):
        nodes.upsert(resources.NODE, a_node("node-2"))  # a heartbeat
        pending(nodes)
    assert len(compared) == expected
    change(nodes)
    change(fresh)
    assert pending(nodes) == pending(fresh)


def test_a_lost_node_agent_is_noticed_when_its_grace_is_over(nodes, clock):
    nodes.upsert(resources.NODE, a_node())
    nodes.update_facts(datadog_facts([DAEMON_SET], {}))
    nodes.upsert(resources.POD, a_node_agent_at(1))
    nodes.upsert(resources.POD, a_node_agent_at(2, ready=False))
    clock.now = timings.READINESS_GRACE_S - 0.1
    assert not pending(nodes).uncovered
    clock.now = timings.READINESS_GRACE_S
    assert [item.node for item in pending(nodes).uncovered] == ["node-1"]


def test_results_for_many_different_pods_are_bounded(nodes, monkeypatch):
    nodes.upsert(resources.NODE, a_node())
    compared = counting(monkeypatch)
    for number in range(1000):
        pending(nodes, names=[f"node-{number}"])
    before = len(compared)
    pending(nodes, names=["node-0"])
    assert len(compared) > before

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.node_inventory import (
    InventoryChange,
    NodeInventory,
    PodsByNode,
)
from purpleflea_operator.datadog.detection.facts import PodSecurity
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import MAX_TOMBSTONES, NamespacedName
from purpleflea_operator.kube.watch_scope import WatchScope
from support.builders import a_pod
from support.installations import a_node, a_node_agent, helm

DAEMON_SET = helm()
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


def test_a_beat_of_a_node_concerns_nobody_and_a_taint_those_on_it(nodes):
    assert nodes.upsert(resources.NODE, a_node()) == InventoryChange(node="node-1")
    assert nodes.upsert(resources.NODE, a_node()) is None
    tainted = a_node(taints=["dedicated=gpu:NoSchedule"])
    assert nodes.upsert(resources.NODE, tainted) == InventoryChange(node="node-1")
    assert nodes.node("node-1").taints[0].key == "dedicated"


def test_a_node_that_is_gone_is_forgotten(nodes):
    nodes.upsert(resources.NODE, a_node())
    assert nodes.delete(resources.NODE, "uid-node-1") == InventoryChange(node="node-1")
    assert (nodes.node("node-1"), list(nodes.nodes())) == (None, [])
    assert nodes.delete(resources.NODE, "uid-node-1") is None


def test_a_namespace_says_what_it_allows_until_it_is_gone(nodes):
    assert nodes.pod_security("trading") is PodSecurity.UNKNOWN
    assert nodes.upsert(resources.NAMESPACE, a_namespace()) == InventoryChange(namespace="trading")
    assert nodes.upsert(resources.NAMESPACE, a_namespace(version=2)) is None
    assert nodes.upsert(resources.NAMESPACE, a_namespace("restricted", 3)) == InventoryChange(
        namespace="trading"
    )
    assert nodes.pod_security("trading") is PodSecurity.RESTRICTED
    assert nodes.delete(resources.NAMESPACE, "n") is None
    assert nodes.pod_security("trading") is PodSecurity.UNKNOWN


def test_the_driver_of_datadog_concerns_everybody_and_others_nobody(nodes):
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


def test_bound_to_namespaces_nothing_of_it_is_seen():
    nodes = NodeInventory(clock=lambda: 0.0, scope=WatchScope(namespaces=("trading",)))
    assert (nodes.is_visible, nodes.csi_driver) == (False, None)
    assert not nodes.facts.is_visible


def test_a_node_agent_that_turns_ready_concerns_its_node_at_once(nodes):
    assert nodes.upsert(resources.POD, a_node_agent_at(1, ready=False)) == InventoryChange(
        node="node-1"
    )
    assert readiness(nodes) == [False]
    assert nodes.upsert(resources.POD, a_node_agent_at(2)) == InventoryChange(node="node-1")
    assert nodes.upsert(resources.POD, a_node_agent_at(3)) is None
    assert readiness(nodes) == [True]
    assert nodes.has_pods_of(DAEMON_SET["metadata"]["uid"])


def test_a_node_agent_that_is_replaced_counts_as_there_for_a_while(nodes, clock):
    nodes.upsert(resources.POD, a_node_agent_at(1))
    gone = nodes.delete(resources.POD, "datadog/datadog-agent-node-1")
    assert gone == InventoryChange(node="node-1", after_s=timings.READINESS_GRACE_S)
    clock.now = timings.READINESS_GRACE_S - 1
    assert readiness(nodes) == [True]
    clock.now = timings.READINESS_GRACE_S
    assert readiness(nodes) == []
    assert not nodes.has_pods_of(DAEMON_SET["metadata"]["uid"])


def test_a_node_agent_that_comes_back_ends_the_grace(nodes, clock):
    nodes.upsert(resources.POD, a_node_agent_at(1))
    nodes.upsert(resources.POD, a_node_agent_at(2, ready=False))
    assert readiness(nodes) == [True, False]
    nodes.upsert(resources.POD, a_node_agent_at(3))
    assert readiness(nodes) == [True]


def test_a_pod_without_a_node_is_nowhere_yet(nodes):
    waiting = a_node_agent_at(1, ready=False)
    waiting["spec"] = {}
    assert nodes.upsert(resources.POD, waiting) == InventoryChange()
    assert nodes.node_agents_on("") == ()


def test_an_older_version_changes_nothing(nodes):
    nodes.upsert(resources.POD, a_node_agent_at(2))
    assert nodes.upsert(resources.POD, a_node_agent_at(1, ready=False)) is None
    assert readiness(nodes) == [True]


def test_what_is_gone_does_not_come_back_with_a_list_that_was_under_way(nodes):
    nodes.upsert(resources.NODE, a_node())
    nodes.delete(resources.NODE, "uid-node-1")
    assert nodes.upsert(resources.NODE, a_node()) is None
    for number in range(MAX_TOMBSTONES):
        nodes.delete(resources.NODE, f"another-{number}")
    assert nodes.upsert(resources.NODE, a_node()) == InventoryChange(node="node-1")


def test_a_sweep_forgets_what_a_list_no_longer_shows_but_not_what_came_after_it(nodes):
    nodes.upsert(resources.POD, a_node_agent_at(1))
    nodes.upsert(resources.POD, a_node_agent("node-2", of=DAEMON_SET, version=9))
    assert nodes.prune(resources.POD, [], version=5) == [
        InventoryChange(node="node-1", after_s=timings.READINESS_GRACE_S)
    ]
    assert readiness(nodes, "node-2") == [True]
    nodes.upsert(resources.NAMESPACE, a_namespace())
    assert nodes.prune(resources.NAMESPACE, [], version=5) == []


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
def test_why_a_node_agent_is_not_ready_is_said_in_words_that_stay(nodes, changes, waiting):
    nodes.upsert(resources.POD, a_node_agent_at(1, ready=False, **changes))
    assert [pod.waiting for pod in nodes.node_agents_on("node-1")] == [waiting]


def test_agents_are_known_by_the_nodes_of_their_pods():
    pods = PodsByNode()
    pods.upsert(a_pod("momentum-0"))
    pods.upsert(a_pod("momentum-1"))
    pods.upsert(a_pod("momentum-2", node=""))
    assert pods.agents_on("node-1") == [KEY]
    pods.delete("uid-momentum-0")
    assert pods.agents_on("node-1") == [KEY]
    pods.prune(["uid-momentum-2"])
    assert pods.agents_on("node-1") == []
    pods.upsert(a_pod("momentum-2", node="node-9"))
    assert pods.agents_on("node-9") == [KEY]

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
def around(clock):
    return NodeInventory(clock=clock)


def a_driver(name="k8s.csi.datadoghq.com"):
    return {"kind": "CSIDriver", "metadata": {"name": name, "uid": name, "resourceVersion": "1"}}


def a_namespace(level="", version=1):
    labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
    metadata = {"name": "trading", "uid": "n", "resourceVersion": str(version), "labels": labels}
    return {"kind": "Namespace", "metadata": metadata}


def a_node_agent_at(version, **changes):
    return a_node_agent(of=DAEMON_SET, version=version, **changes)


def readiness(around, name="node-1"):
    return [pod.is_ready for pod in around.node_agents_on(name)]


def test_a_beat_of_a_node_concerns_nobody_and_a_taint_those_on_it(around):
    assert around.note(resources.NODE, a_node()) == InventoryChange(node="node-1")
    assert around.note(resources.NODE, a_node()) is None
    tainted = a_node(taints=["dedicated=gpu:NoSchedule"])
    assert around.note(resources.NODE, tainted) == InventoryChange(node="node-1")
    assert around.node("node-1").taints[0].key == "dedicated"


def test_a_node_that_is_gone_is_forgotten(around):
    around.note(resources.NODE, a_node())
    assert around.forget(resources.NODE, "uid-node-1") == InventoryChange(node="node-1")
    assert (around.node("node-1"), list(around.nodes())) == (None, [])
    assert around.forget(resources.NODE, "uid-node-1") is None


def test_a_namespace_says_what_it_allows_until_it_is_gone(around):
    assert around.pod_security("trading") is PodSecurity.UNKNOWN
    assert around.note(resources.NAMESPACE, a_namespace()) == InventoryChange(namespace="trading")
    assert around.note(resources.NAMESPACE, a_namespace(version=2)) is None
    assert around.note(resources.NAMESPACE, a_namespace("restricted", 3)) == InventoryChange(
        namespace="trading"
    )
    assert around.pod_security("trading") is PodSecurity.RESTRICTED
    assert around.forget(resources.NAMESPACE, "n") is None
    assert around.pod_security("trading") is PodSecurity.UNKNOWN


def test_the_driver_of_datadog_concerns_everybody_and_others_nobody(around):
    assert around.note(resources.CSI_DRIVER, a_driver("ebs.csi.aws.com")) is None
    assert around.csi_driver is False
    assert around.note(resources.CSI_DRIVER, a_driver()) == InventoryChange(everywhere=True)
    assert around.note(resources.CSI_DRIVER, a_driver()) is None
    assert around.csi_driver is True
    assert around.forget(resources.CSI_DRIVER, "ebs.csi.aws.com") is None
    assert around.forget(resources.CSI_DRIVER, "k8s.csi.datadoghq.com") == InventoryChange(
        everywhere=True
    )
    assert around.csi_driver is False


def test_bound_to_namespaces_nothing_of_it_is_seen():
    around = NodeInventory(clock=lambda: 0.0, scope=WatchScope(namespaces=("trading",)))
    assert (around.is_visible, around.csi_driver) == (False, None)
    assert not around.facts.is_visible


def test_a_node_agent_that_turns_ready_concerns_its_node_at_once(around):
    assert around.note(resources.POD, a_node_agent_at(1, ready=False)) == InventoryChange(
        node="node-1"
    )
    assert readiness(around) == [False]
    assert around.note(resources.POD, a_node_agent_at(2)) == InventoryChange(node="node-1")
    assert around.note(resources.POD, a_node_agent_at(3)) is None
    assert readiness(around) == [True]
    assert around.has_pods_of(DAEMON_SET["metadata"]["uid"])


def test_a_node_agent_that_is_replaced_counts_as_there_for_a_while(around, clock):
    around.note(resources.POD, a_node_agent_at(1))
    gone = around.forget(resources.POD, "datadog/datadog-agent-node-1")
    assert gone == InventoryChange(node="node-1", after_s=timings.READINESS_GRACE_S)
    clock.now = timings.READINESS_GRACE_S - 1
    assert readiness(around) == [True]
    clock.now = timings.READINESS_GRACE_S
    assert readiness(around) == []
    assert not around.has_pods_of(DAEMON_SET["metadata"]["uid"])


def test_a_node_agent_that_comes_back_ends_the_grace(around, clock):
    around.note(resources.POD, a_node_agent_at(1))
    around.note(resources.POD, a_node_agent_at(2, ready=False))
    assert readiness(around) == [True, False]
    around.note(resources.POD, a_node_agent_at(3))
    assert readiness(around) == [True]


def test_a_pod_without_a_node_is_nowhere_yet(around):
    waiting = a_node_agent_at(1, ready=False)
    waiting["spec"] = {}
    assert around.note(resources.POD, waiting) == InventoryChange()
    assert around.node_agents_on("") == ()


def test_an_older_version_changes_nothing(around):
    around.note(resources.POD, a_node_agent_at(2))
    assert around.note(resources.POD, a_node_agent_at(1, ready=False)) is None
    assert readiness(around) == [True]


def test_what_is_gone_does_not_come_back_with_a_list_that_was_under_way(around):
    around.note(resources.NODE, a_node())
    around.forget(resources.NODE, "uid-node-1")
    assert around.note(resources.NODE, a_node()) is None
    for number in range(MAX_TOMBSTONES):
        around.forget(resources.NODE, f"another-{number}")
    assert around.note(resources.NODE, a_node()) == InventoryChange(node="node-1")


def test_a_sweep_forgets_what_a_list_no_longer_shows_but_not_what_came_after_it(around):
    around.note(resources.POD, a_node_agent_at(1))
    around.note(resources.POD, a_node_agent("node-2", of=DAEMON_SET, version=9))
    assert around.sweep(resources.POD, [], version=5) == [
        InventoryChange(node="node-1", after_s=timings.READINESS_GRACE_S)
    ]
    assert readiness(around, "node-2") == [True]
    around.note(resources.NAMESPACE, a_namespace())
    assert around.sweep(resources.NAMESPACE, [], version=5) == []


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
def test_why_a_node_agent_is_not_ready_is_said_in_words_that_stay(around, changes, waiting):
    around.note(resources.POD, a_node_agent_at(1, ready=False, **changes))
    assert [pod.waiting for pod in around.node_agents_on("node-1")] == [waiting]


def test_agents_are_known_by_the_nodes_of_their_pods():
    places = PodsByNode()
    places.note(a_pod("momentum-0"))
    places.note(a_pod("momentum-1"))
    places.note(a_pod("momentum-2", node=""))
    assert places.agents_on("node-1") == [KEY]
    places.forget("uid-momentum-0")
    assert places.agents_on("node-1") == [KEY]
    places.sweep(["uid-momentum-2"])
    assert places.agents_on("node-1") == []
    places.note(a_pod("momentum-2", node="node-9"))
    assert places.agents_on("node-9") == [KEY]

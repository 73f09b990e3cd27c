"""Events from before a list or a deletion restore no object and lose none, for each kind that the informer follows."""

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.agent.informer import EventTargets, Informer
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.controllers.agent.watched_kinds import WATCHED
from purpleflea_operator.datadog.detection.facts import PodSecurity
from purpleflea_operator.datadog.detection.node_agent import CSI_DRIVER
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.runtime.workqueue import WorkQueue
from support.builders import an_agent

CLUSTER_SCOPED = (resources.NODE, resources.NAMESPACE, resources.CSI_DRIVER)
NODE_AGENT = "NodeAgent"
SUBJECTS = [*(kind.kind for kind in WATCHED), NODE_AGENT]


class NoCluster:
    """A cluster without requests, because the events contain everything."""


class NoAgents:
    """A client of agents that sends no request."""


class Watched:
    """The informer with one object of a kind, which can be recreated with the same name."""

    def __init__(self, subject):
        self.subject = subject
        name = "Pod" if subject == NODE_AGENT else subject
        self.kind = next(kind for kind in WATCHED if kind.kind == name)
        self.namespace = "" if self.kind in CLUSTER_SCOPED else "datadog"
        self.name = CSI_DRIVER if self.kind is resources.CSI_DRIVER else "momentum"
        self.cache = ObjectCache()
        self.nodes = NodeInventory(clock=lambda: 0.0)
        queue = WorkQueue(jitter=lambda: 0.0)
        targets = EventTargets(
            nodes=self.nodes,
            restarts=RestartBudget(queue.add, clock=lambda: 0.0),
            telemetry=TelemetryProbe(NoAgents(), queue.add, jitter=lambda: 0.0),
            uses_instrumentation=True,
        )
        self.informer = Informer(NoCluster(), self.cache, queue, targets)

    def manifest(self, uid, version):
        found = an_agent() if self.kind is resources.AGENT else {}
        ours = {
            kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
            kubernetes.LABEL_INSTANCE: "momentum",
        }
        metadata = {
            "uid": uid,
            "name": self.name,
            "resourceVersion": str(version),
            "labels": {} if self.subject == NODE_AGENT else ours,
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "DaemonSet",
                    "name": "datadog",
                    "uid": f"of-{uid}",
                    "controller": True,
                }
            ],
        }
        if self.namespace:
            metadata["namespace"] = self.namespace
        header = {"apiVersion": self.kind.api_version, "kind": self.kind.kind}
        spec = {**found.get("spec", {}), "nodeName": "node-1"}
        return {**header, "metadata": metadata, "spec": spec}

    def play(self, steps):
        for step in steps.split():
            verb, _, rest = step.partition(":")
            version, _, uids = rest.partition("=")
            if verb == "list":
                named = [] if not uids else uids.split(",")
                namespace = self.namespace and "elsewhere" if "elsewhere" in named else ""
                self.informer.on_listed(
                    self.kind,
                    Listing(uids=frozenset(named), version=int(version), namespace=namespace),
                )
            else:
                event_type = {"add": "ADDED", "item": None, "delete": "DELETED"}[verb]
                self.informer.on_event(self.kind, event_type, self.manifest(uids, int(version)))

    def exists(self):
        if self.kind is resources.NODE:
            return self.nodes.node(self.name) is not None
        if self.kind is resources.NAMESPACE:
            return self.nodes.pod_security(self.name) is not PodSecurity.UNKNOWN
        if self.kind is resources.CSI_DRIVER:
            return bool(self.nodes.csi_driver)
        if self.subject == NODE_AGENT:
            return any(self.nodes.has_pods_of(f"of-{uid}") for uid in ("old", "new"))
        return bool(list(self.cache.all(self.kind)))


GONE = {
    "deleted": "add:10=old delete:20=old",
    "an event from before the deletion": "add:10=old delete:20=old add:15=old",
    "an unknown object": "delete:20=old add:10=old",
    "a list in flight": "add:10=old delete:20=old item:10=old list:15=old",
    "missing in a list": "add:10=old list:20=",
    "an event from before the list": "add:10=old list:20= add:15=old",
    "both deleted": "add:10=old add:30=new delete:20=old delete:40=new",
    "recreated and missing": "add:10=old add:30=new list:40=",
}
EXISTS = {
    "listed": "item:10=old list:20=old",
    "newer than the list": "add:30=old list:20=",
    "matches the selector again": "add:10=old delete:20=old add:30=old",
    "recreated": "add:10=old delete:20=old add:30=new",
    "late deletion of the former object": "add:10=old add:30=new delete:20=old",
    "late event of the former object": "add:30=new add:10=old delete:20=old",
    "recreated while no watch was open": "add:10=old item:30=new list:40=new",
    "recreated after the list": "add:10=old add:30=new list:20=",
}


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("steps", GONE.values(), ids=GONE)
def test_nothing_restores_a_deleted_object(subject, steps):
    watched = Watched(subject)
    watched.play(steps)
    assert not watched.exists()


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("steps", EXISTS.values(), ids=EXISTS)
def test_no_object_that_exists_is_lost(subject, steps):
    watched = Watched(subject)
    watched.play(steps)
    assert watched.exists()


@pytest.mark.parametrize(
    "subject", [item for item in SUBJECTS if item not in (kind.kind for kind in CLUSTER_SCOPED)]
)
def test_the_list_of_a_namespace_removes_no_object_of_another(subject):
    watched = Watched(subject)
    watched.play("add:10=old list:20=elsewhere")
    assert watched.exists()

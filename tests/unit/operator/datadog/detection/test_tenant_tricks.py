"""A user with rights in one namespace cannot change how the agents of other namespaces are connected or counted."""

import copy

import pytest

from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.connection import selected_connection
from purpleflea_operator.datadog.detection.coverage import coverage
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.kube import resources
from support.builders import a_local_service
from support.installations import a_node, a_node_agent, datadog_operator, helm, plain, variables

OPEN = {"dogstatsd_host_port": True, "apm_host_port": True}
TRUSTED = helm(**OPEN)
SERVICES = {("datadog", "datadog-agent"): a_local_service()}
OTHER_PORTS = {**OPEN, "dogstatsd_port": 9125, "apm_port": 9126}


def changed(path, value, *, of=None):
    """Return the DaemonSet of a tenant with another value at a path."""
    item = copy.deepcopy(helm(namespace="team-a", **OTHER_PORTS) if of is None else of)
    *parents, last = path
    node = item
    for key in parents:
        node = node[key]
    node[last] = value
    return item


CONTAINERS = ("spec", "template", "spec", "containers")
TRICKS = {
    "the same DaemonSet": helm(namespace="team-a", **OPEN),
    "other ports": helm(namespace="team-a", **OTHER_PORTS),
    "more nodes than the trusted one": helm(namespace="team-a", desired=5000, **OTHER_PORTS),
    "a namespace that begins with a trusted one": helm(namespace="datadog-evil", **OTHER_PORTS),
    "a namespace that a trusted one begins with": helm(namespace="data", **OTHER_PORTS),
    "another case": helm(namespace="Datadog", **OTHER_PORTS),
    "letters of another script": helm(namespace="d\u0430tadog", **OTHER_PORTS),
    "white space": helm(namespace="datadog ", **OTHER_PORTS),
    "a line break": helm(namespace="datadog\n", **OTHER_PORTS),
    "an asterisk": helm(namespace="*", **OTHER_PORTS),
    "no namespace": changed(("metadata", "namespace"), ""),
    "a namespace that is not a text": changed(("metadata", "namespace"), ["datadog"]),
    "labels of Datadog's operator": datadog_operator(namespace="team-a"),
    "a plain manifest": plain(namespace="team-a"),
    "the network of the node": helm(namespace="team-a", host_network=True, dogstatsd_port=9125),
    "an annotation of the trusted release": helm(
        namespace="team-a", release="datadog", **OTHER_PORTS
    ),
    "the UID of the trusted one": changed(("metadata", "uid"), TRUSTED["metadata"]["uid"]),
    "a socket in the folder of the trusted one": helm(
        namespace="team-a", env=variables(DD_DOGSTATSD_SOCKET="/var/run/datadog/evil.socket")
    ),
    "a path out of its folder": helm(
        namespace="team-a", env=variables(DD_DOGSTATSD_SOCKET="/var/run/datadog/../x/dsd.socket")
    ),
    "5,000 digits": helm(namespace="team-a", env=variables(DD_DOGSTATSD_PORT="9" * 5000)),
    "digits of full width": helm(
        namespace="team-a", env=variables(DD_DOGSTATSD_PORT="\uff18\uff11\uff12\uff15")
    ),
    "a port of any type": changed((*CONTAINERS, 0, "ports", 0, "containerPort"), {"x": 2**70}),
    "containers that are not a list": changed(CONTAINERS, {"agent": {}}),
    "no template": changed(("spec",), None),
    "100,000 labels": changed(
        ("metadata", "labels"),
        {**TRUSTED["metadata"]["labels"], **{f"x{number}": "" for number in range(100_000)}},
    ),
}


def connections(*daemon_sets):
    facts = datadog_facts(daemon_sets, SERVICES, csi_driver=False)
    found = {
        mode: selected_connection(facts, mode) for mode in ("Auto", "HostIP", "Service", "Socket")
    }
    return facts, found


@pytest.mark.parametrize("trick", TRICKS)
def test_a_daemon_set_of_a_tenant_changes_no_connection(trick):
    before, wanted = connections(TRUSTED)
    for items in ((TRUSTED, TRICKS[trick]), (TRICKS[trick], TRUSTED)):
        facts, found = connections(*items)
        assert facts.node_agents == before.node_agents
        assert facts.unreadable == ()
        assert found == wanted


@pytest.mark.parametrize("trick", TRICKS)
def test_a_daemon_set_of_a_tenant_offers_no_connection(trick):
    facts, found = connections(TRICKS[trick])
    assert facts.node_agents == ()
    assert {mode: item.mode for mode, item in found.items()} == {
        mode: item.mode for mode, item in connections()[1].items()
    }
    assert not any(item.host for item in found.values())


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"namespace": "team-a", "name": "datadog-agent-node-1"},
        {"namespace": "datadog-evil"},
        {"namespace": "team-a", "labels": {"app.kubernetes.io/component": "agent", "agent": "x"}},
    ],
    ids=["of the trusted one", "same name", "similar namespace", "more labels"],
)
def test_a_pod_of_a_tenant_covers_no_node(change):
    """It names the trusted DaemonSet as its owner, and a node that it may not even run on."""
    facts, wanted = connections(TRUSTED)
    nodes = NodeInventory(clock=lambda: 0.0)
    nodes.upsert(resources.NODE, a_node())
    nodes.update_facts(facts)
    # The trusted node agent runs elsewhere, so its pods are visible.
    nodes.upsert(resources.POD, a_node_agent("node-2", of=TRUSTED))
    pod = a_node_agent(of=TRUSTED)
    pod["metadata"] |= change
    nodes.upsert(resources.POD, pod)
    found = coverage(["node-1"], facts, wanted["HostIP"], nodes)
    assert (found.uncovered == ()) is (not change)

"""An operator that watches only some namespaces."""

import kopf
import pytest

from purpleflea_operator import app, timings
from purpleflea_operator.runtime import lifecycle
from purpleflea_operator.settings import OperatorSettings
from support.builders import a_datadog_daemon_set, an_agent
from support.waiting import wait_until_started

NAME = "momentum"
BOUND = ("trading", "research")


def condition_of(server, namespace, kind="Ready", name=NAME):
    status = server.get("PurpleFleaAgent", namespace, name).get("status", {})
    return {item["type"]: item["status"] for item in status.get("conditions", [])}.get(kind)


def an_agent_in(namespace):
    # With one name in many namespaces, each agent needs a separate env in Datadog.
    return an_agent(namespace=namespace, uid=f"uid-{namespace}", datadog={"env": namespace})


def requested(server):
    """Return resource and namespace of the requests, without discovery."""
    return {(item.resource, item.namespace) for item in server.requests() if item.resource}


def test_only_agents_of_the_watched_namespaces_are_reconciled(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    for namespace in (*BOUND, "elsewhere"):
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: all(condition_of(server, name) == "True" for name in BOUND))
        # A later change is also received in each of them, by a separate watch.
        for namespace in (*BOUND, "elsewhere"):
            change = {"spec": {"replicas": 2}}
            server.patch("PurpleFleaAgent", namespace, NAME, change)
        server.wait_until(lambda: len(server.objects("Pod")) == 4)
    assert condition_of(server, "elsewhere") is None
    assert {item["metadata"]["namespace"] for item in server.objects("StatefulSet")} == set(BOUND)
    assert {namespace for _, namespace in requested(server)} == set(BOUND)


def test_no_resource_outside_the_namespaces_is_requested(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent_in("trading"))
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: condition_of(server, "trading") == "True")
    resources = {resource for resource, _ in requested(server)}
    assert not resources & {"daemonsets", "services", "nodes", "namespaces", "secrets"}


def test_with_telemetry_rights_a_bound_operator_detects_node_agents_and_proves_the_telemetry(
    server, an_operator
):
    daemon_set = a_datadog_daemon_set(host_ports=True)
    server.put(daemon_set)
    for namespace in (*BOUND, "elsewhere"):
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND, telemetry_rights=True):
        for kind in ("DatadogInstalled", "Ready"):
            server.wait_until(lambda k=kind: condition_of(server, "trading", k) == "True")
        server.wait_until(lambda: server.lists(resource="nodes"))
    assert condition_of(server, "elsewhere") is None
    pods = {namespace for resource, namespace in requested(server) if resource == "pods"}
    assert pods == {*BOUND, "datadog", "datadog-agent"}


def test_a_child_deleted_while_the_watch_of_its_namespace_was_stalled_is_recreated(
    server, an_operator
):
    for namespace in BOUND:
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: all(condition_of(server, name) == "True" for name in BOUND))
        server.stall_watches("configmaps")
        server.delete("ConfigMap", "research", NAME)
        server.compact()
        server.drop_watches("configmaps", cut=True)
        server.wait_until(lambda: server.get("ConfigMap", "research", NAME) is not None, timeout=30)
    assert server.get("ConfigMap", "trading", NAME) is not None


def test_a_restart_writes_nothing(server, an_operator):
    for namespace in BOUND:
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: all(condition_of(server, name) == "True" for name in BOUND))
    server.clear()
    with an_operator(watch_namespaces=BOUND):
        wait_until_started(server, watches=10 * len(BOUND))
    assert server.writes() == []


async def test_namespaces_that_are_all_without_permissions_end_the_start(server):
    for name in BOUND:
        message = f'purplefleaagents is forbidden in the namespace "{name}"'
        server.fail_next(verb="list", namespace=name, status=403, message=message, times=None)
    settings = OperatorSettings(health_port=0, watch_namespaces=BOUND)
    with pytest.raises(lifecycle.StartError, match=r'missing permission: .*"trading"'):
        await app.run(settings, connect=lambda: kopf.ConnectionInfo(server=server.url))


def reason_of(server, namespace, kind):
    status = server.get("PurpleFleaAgent", namespace, NAME).get("status", {})
    return {item["type"]: item["reason"] for item in status.get("conditions", [])}.get(kind)


@pytest.mark.parametrize("is_status_refused", [False, True])
def test_a_lost_namespace_is_reported_where_it_can_be_and_the_others_go_on(
    server, an_operator, monkeypatch, is_status_refused
):
    monkeypatch.setattr(timings, "OBJECTS_UNKNOWN_AFTER_S", 1.0)
    for namespace in BOUND:
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND, lease_namespace="system"):
        server.wait_until(lambda: all(condition_of(server, name) == "True" for name in BOUND))
        verbs = ("list", "watch", "patch") if is_status_refused else ("list", "watch")
        faults = [
            server.fail_next(verb=verb, namespace="research", status=403, times=None)
            for verb in verbs
        ]
        server.drop_watches(cut=True)

        def events():
            # Sorted, because the API server lists Events by name, and the names contain a hash.
            return sorted(item["reason"] for item in server.objects("Event", "system"))

        server.wait_until(lambda: events() == ["NamespaceNotWatched"], timeout=60)
        if not is_status_refused:
            server.wait_until(
                lambda: reason_of(server, "research", "WorkloadAvailable") == "NotWatched",
                timeout=60,
            )
        server.patch("PurpleFleaAgent", "trading", NAME, {"spec": {"replicas": 2}})
        server.wait_until(lambda: len(server.objects("Pod", "trading")) == 2, timeout=30)
        assert reason_of(server, "trading", "WorkloadAvailable") != "NotWatched"
        for fault in faults:
            fault.cancel()
        server.wait_until(
            lambda: events() == ["NamespaceNotWatched", "NamespaceWatched"], timeout=60
        )
        server.wait_until(
            lambda: reason_of(server, "research", "WorkloadAvailable") == "AllReady", timeout=60
        )

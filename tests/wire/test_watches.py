"""Watches and lists that fail, end or start over: each affects only its own kind and namespace."""

import json
import time
from collections import Counter

import orjson
import pytest

from purpleflea_operator import handlers, timings
from purpleflea_operator.kube import listing
from support.builders import a_datadog_daemon_set, an_agent
from support.installations import a_node, a_node_agent
from support.waiting import wait_for, wait_until_started

NS, NAME = "trading", "momentum"
BOUND = ("trading", "research")
KINDS = 14
"""Kinds that the operator watches."""
NO_WATCH_S = 5.0
"""Longest time without a watch of PurpleFleaAgent while kopf starts over, on a busy machine; otherwise 20 ms."""


def status_of(server, kind="Ready", namespace=NS, name=NAME):
    conditions = server.get("PurpleFleaAgent", namespace, name).get("status", {}).get("conditions")
    return {item["type"]: item["status"] for item in conditions or ()}.get(kind)


def is_ready(server, namespace=NS):
    return status_of(server, namespace=namespace) == "True"


def mode(server, namespace=NS, name=NAME):
    return json.loads(server.get("ConfigMap", namespace, name)["data"]["control.json"])["mode"]


def halt(server, namespace=NS):
    server.patch("PurpleFleaAgent", namespace, NAME, {"spec": {"trading": {"mode": "Halted"}}})


def wait_for_halt(server, namespace=NS, timeout=10):
    halt(server, namespace)
    server.wait_until(lambda: mode(server, namespace) == "Halted", timeout=timeout)


def an_agent_in(namespace):
    return an_agent(namespace=namespace, uid=f"uid-{namespace}", datadog={"env": namespace})


# Initial lists


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_initial_list_that_the_server_fails_is_retried(server, an_operator, status):
    server.put(an_agent())
    failed = server.fail_next(verb="list", resource="pods", status=status, times=3)
    with an_operator():
        server.wait_until(lambda: is_ready(server), timeout=20)
    assert failed.hits == 3


def test_an_initial_list_whose_connection_breaks_is_retried(server, an_operator):
    server.put(an_agent())
    server.cut(verb="list", resource="pods", times=3)
    with an_operator():
        server.wait_until(lambda: is_ready(server), timeout=20)


def test_a_start_lists_each_kind_once_although_some_lists_fail(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    failed = server.fail_next(verb="list", resource="nodes", status=503, times=3)
    with an_operator():
        server.wait_until(lambda: is_ready(server), timeout=20)
        wait_until_started(server, watches=KINDS)
    assert failed.hits == 3
    lists = Counter(request.resource for request in server.lists())
    assert lists.pop("nodes") == 4
    assert set(lists.values()) == {1}
    assert len(lists) == KINDS - 1


def test_a_list_of_many_pages_is_read_completely(server, an_operator, monkeypatch):
    monkeypatch.setattr(handlers, "PAGE_SIZE", 2)
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    server.put(a_datadog_daemon_set(host_ports=True))
    for number in range(5):
        server.put(an_agent(f"agent-{number}", uid=f"uid-{number}"))
    everyone = lambda: all(status_of(server, name=f"agent-{n}") == "True" for n in range(5))  # noqa: E731
    with an_operator():
        server.wait_until(everyone, timeout=20)
    server.clear()
    with an_operator():
        server.wait_until(lambda: server.open_watches() == KINDS, timeout=20)
        for number in range(5):
            change = {"spec": {"trading": {"mode": "Halted"}}}
            server.patch("PurpleFleaAgent", NS, f"agent-{number}", change)
            server.wait_until(lambda n=number: mode(server, name=f"agent-{n}") == "Halted")
    pages = Counter(request.resource for request in server.lists())
    assert {pages[name] for name in ("purplefleaagents", "configmaps", "pods")} == {3}


@pytest.mark.parametrize("resource", ["purplefleaagents", "configmaps"])
def test_a_list_whose_token_expires_starts_over_and_removes_nothing(
    server, an_operator, monkeypatch, resource
):
    monkeypatch.setattr(handlers, "PAGE_SIZE", 1)
    monkeypatch.setattr(listing, "PAGE_SIZE", 1)
    server.put(a_datadog_daemon_set(host_ports=True))
    for name in ("calm", NAME):
        server.put(an_agent(name, uid=f"uid-{name}"))
    with an_operator():
        server.wait_until(lambda: is_ready(server) and status_of(server, name="calm") == "True")
    server.clear()
    # The second page of the first list.
    expired = server.fail_next(verb="list", resource=resource, status=410, skip=1)
    with an_operator():
        server.wait_until(lambda: expired.hits == 1, timeout=20)
        wait_for_halt(server, timeout=20)
        server.wait_until(lambda: server.open_watches() == KINDS, timeout=20)
    assert not server.writes(resource="statefulsets")
    assert len(server.lists(resource=resource)) == 4


def test_readyz_names_the_list_that_is_waited_for(server, an_operator, ask, port):
    failed = server.fail_next(
        verb="list", resource="nodes", status=503, message="etcd has no leader", times=None
    )
    with an_operator(health_port=port):
        server.wait_until(lambda: failed.hits > 0)
        code, text = wait_for(lambda: answer if "etcd" in (answer := ask("/readyz"))[1] else None)
        assert code == 503
        assert "waiting for the list of nodes" in text
        failed.cancel()
        wait_for(lambda: ask("/readyz") == (200, "ok"))


# Lists after a watch had to start over


@pytest.mark.parametrize("kind", ["NetworkPolicy", "StatefulSet"])
def test_the_last_object_of_a_kind_that_a_repeated_list_misses_is_recreated(
    server, an_operator, kind
):
    resource = server.kind(kind).plural
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.stall_watches(resource)
        server.delete(kind, NS, NAME)
        for pod in server.objects("Pod") if kind == "StatefulSet" else ():
            server.delete("Pod", NS, pod["metadata"]["name"])
        server.compact()
        server.clear()
        server.drop_watches(resource, cut=True)
        server.wait_until(lambda: server.get(kind, NS, NAME) is not None, timeout=20)
        server.wait_until(lambda: is_ready(server), timeout=20)
        assert len(server.lists(resource=resource)) == 1


# One kind or one namespace


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_watch_affects_only_its_kind(server, an_operator, ask, port, status):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    resource = "purplefleaobservabilities"
    with an_operator(health_port=port, lease_namespace="ops"):
        server.wait_until(lambda: is_ready(server))
        server.wait_until(lambda: server.open_watches(resource) == 1)
        faults = [
            server.fail_next(verb=verb, resource=resource, status=status, times=None)
            for verb in ("watch", "list")
        ]
        server.drop_watches(resource, cut=True)
        server.wait_until(lambda: faults[0].hits > 1, timeout=20)
        wait_for_halt(server)
        code, text = ask("/livez")
        assert (code, f"the API server refuses to serve {resource} ({status}: " in text) == (
            200,
            True,
        )
        metric = f'purpleflea_operator_watches_failing{{namespace="",resource="{resource}"}} '
        assert f"{metric}1.0" in ask("/metrics")[1]
        for fault in faults:
            fault.cancel()
        server.wait_until(lambda: server.open_watches(resource) == 1, timeout=30)
        wait_for(lambda: f"{metric}1.0" not in ask("/metrics")[1])
        wait_for(lambda: ask("/livez") == (200, "ok"), timeout_s=30)


def test_a_lost_namespace_affects_only_its_agents(server, an_operator, ask, port):
    for namespace in BOUND:
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND, health_port=port):
        server.wait_until(lambda: all(is_ready(server, name) for name in BOUND))
        faults = [
            server.fail_next(verb=verb, namespace="research", status=403, times=None)
            for verb in ("watch", "list")
        ]
        server.drop_watches(cut=True)
        server.wait_until(lambda: faults[0].hits > 10, timeout=20)
        wait_for_halt(server)
        code, text = ask("/livez")
        assert (code, "pods in research (403: " in text, "in trading" in text) == (200, True, False)
        labels = '{namespace="research",resource="pods"}'
        assert f"purpleflea_operator_watches_failing{labels} 1.0" in ask("/metrics")[1]
        for fault in faults:
            fault.cancel()
        wait_for_halt(server, "research", timeout=30)
        wait_for(lambda: ask("/livez") == (200, "ok"), timeout_s=30)


def test_a_namespace_that_is_forbidden_at_the_start_is_reconciled_when_it_is_allowed(
    server, an_operator
):
    for namespace in BOUND:
        server.put(an_agent_in(namespace))
    faults = [
        server.fail_next(verb=verb, namespace="research", status=403, times=None)
        for verb in ("watch", "list")
    ]
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: is_ready(server))
        for fault in faults:
            fault.cancel()
        server.wait_until(lambda: is_ready(server, "research"), timeout=40)


def condition_of(server, kind):
    conditions = server.get("PurpleFleaAgent", NS, NAME)["status"]["conditions"]
    return next(item for item in conditions if item["type"] == kind)


def a_covered_agent(server):
    server.put(a_datadog_daemon_set(host_ports=True))
    daemon_set = server.get("DaemonSet", "datadog", "datadog-agent")
    server.put(a_node("node-0"))
    server.put(a_node_agent("node-0", of=daemon_set))
    server.put(an_agent())


def refuse(server, resource, status=403):
    return [
        server.fail_next(verb=verb, resource=resource, status=status, times=None)
        for verb in ("watch", "list")
    ]


REFUSED = {
    "nodes": ("TelemetryReady", "list and watch on nodes and pods"),
    "pods": ("TelemetryReady", "list and watch on nodes and pods"),
    "daemonsets": ("DatadogInstalled", "Grant list and watch on daemonsets"),
}
"""The condition of each kind that users need to know, and the remedy in its message."""


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("resource", REFUSED)
def test_a_kind_that_is_refused_for_long_is_unknown_until_it_is_served_again(
    server, an_operator, monkeypatch, resource, status
):
    monkeypatch.setattr(timings, "OBJECTS_UNKNOWN_AFTER_S", 1.0)
    kind, remedy = REFUSED[resource]
    a_covered_agent(server)
    with an_operator():
        server.wait_until(lambda: status_of(server, "TelemetryReady") == "True", timeout=20)
        server.wait_until(lambda: server.open_watches(resource) == 1)
        server.clear()
        faults = refuse(server, resource, status)
        server.drop_watches(resource, cut=True)
        server.wait_until(lambda: status_of(server, kind) == "Unknown", timeout=20)
        found = condition_of(server, kind)
        assert (found["reason"], remedy in found["message"]) == ("NotVisible", True)
        for fault in faults:
            fault.cancel()
        server.wait_until(lambda: status_of(server, kind) == "True", timeout=30)
    # The connection and so the pods stay; the status is written once for each change.
    assert not server.writes(resource="statefulsets")
    assert len(server.writes(resource="purplefleaagents/status")) == 2


@pytest.mark.parametrize("resource", ["daemonsets", "nodes", "namespaces"])
def test_a_kind_that_only_conditions_need_may_be_refused_at_the_start(
    server, an_operator, resource
):
    a_covered_agent(server)
    with an_operator():
        server.wait_until(lambda: status_of(server, "TelemetryReady") == "True", timeout=20)
    faults = refuse(server, resource)
    server.clear()
    with an_operator():
        wait_for_halt(server)
        if resource in REFUSED:
            kind = REFUSED[resource][0]
            server.wait_until(lambda: status_of(server, kind) == "Unknown", timeout=20)
        for fault in faults:
            fault.cancel()
        for kind in ("DatadogInstalled", "TelemetryReady"):
            server.wait_until(lambda k=kind: status_of(server, k) == "True", timeout=30)
    assert not server.writes(resource="statefulsets")


@pytest.mark.parametrize("status", [403, 404])
def test_an_optional_kind_may_be_missing_at_the_start(server, an_operator, ask, port, status):
    server.put(an_agent())
    if status == 404:
        server.unregister("CSIDriver")
    else:
        server.fail_next(verb="list", resource="csidrivers", status=403, times=None)
    with an_operator(health_port=port):
        server.wait_until(lambda: is_ready(server))
        assert ask("/readyz") == (200, "ok")


@pytest.mark.parametrize("name", ["PurpleFleaObservability", "CSIDriver"])
def test_an_optional_kind_that_is_installed_later_is_watched(
    server, an_operator, ask, port, name, monkeypatch
):
    monkeypatch.setattr(timings, "MISSING_KIND_RETRY_S", 0.3)
    kind = server.kind(name)
    server.unregister(name)
    server.put(an_agent())
    with an_operator(health_port=port):
        server.wait_until(lambda: is_ready(server))
        server.register(kind)
        server.wait_until(lambda: server.open_watches(kind.plural) == 1, timeout=20)
        wait_for_halt(server)
        assert ask("/livez") == (200, "ok")


@pytest.mark.parametrize("name", ["PurpleFleaObservability", "PurpleFleaHalt"])
def test_no_event_of_an_agent_is_lost_while_kopf_starts_over_for_a_late_kind(
    server, an_operator, name, monkeypatch
):
    monkeypatch.setattr(timings, "MISSING_KIND_RETRY_S", 0.3)
    kind, resource = server.kind(name), "purplefleaagents"
    server.unregister(name)
    names = [f"agent-{number}" for number in range(4)]
    for number, agent in enumerate(names):
        server.put(an_agent(agent, uid=f"uid-{number}"))
    is_halted = lambda agent: mode(server, name=agent) == "Halted"  # noqa: E731
    change = {"spec": {"trading": {"mode": "Halted"}}}
    with an_operator():
        server.wait_until(lambda: all(status_of(server, name=item) == "True" for item in names))
        # Otherwise the time without a watch is so short that a busy machine does not see it.
        server.delay(0.5, verb="list", resource=resource)
        server.register(kind)
        server.wait_until(lambda: server.open_watches(resource) == 0, timeout=20)
        began = time.monotonic()
        # Changes and a new agent while there is no watch.
        for agent in names[:2]:
            server.patch("PurpleFleaAgent", NS, agent, change)
        server.put(an_agent("late", uid="uid-late"))
        server.wait_until(lambda: server.open_watches(resource) == 1, timeout=20)
        assert time.monotonic() - began < NO_WATCH_S
        server.patch("PurpleFleaAgent", NS, names[2], change)
        server.wait_until(lambda: all(map(is_halted, names[:3])), timeout=20)
        server.wait_until(lambda: status_of(server, name="late") == "True", timeout=20)
        server.wait_until(lambda: server.open_watches(kind.plural) == 1, timeout=20)
        assert not is_halted(names[3])


# Streams that break


def test_an_error_in_a_stream_starts_only_this_watch_again(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "no leader"}}
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.wait_until(lambda: server.open_watches("purplefleaagents") == 1)
        server.clear()
        assert server.send_line(orjson.dumps(error), "purplefleaagents") == 1
        server.wait_until(lambda: server.open_watches("purplefleaagents") == 1)
        wait_for_halt(server)
        assert [item.resource for item in server.lists()] == ["purplefleaagents"]


def test_an_unreadable_stream_does_not_end_the_operator(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator(lease_namespace="ops") as operator:
        server.wait_until(lambda: is_ready(server))
        server.wait_until(lambda: server.open_watches("pods") == 1)
        assert server.send_line(b"{not JSON", "pods") == 1
        time.sleep(0.2)
        wait_for_halt(server, timeout=20)
        assert operator.is_alive


def test_a_stop_while_watches_fail_releases_the_lease_within_2_seconds(server, an_operator):
    server.put(an_agent())
    operator = an_operator(lease_namespace="ops").start()
    server.wait_until(lambda: server.open_watches("pods") == 1)
    refused = server.fail_next(verb="watch", status=404, times=None)
    server.drop_watches(cut=True)
    server.wait_until(lambda: refused.hits > 10, timeout=20)
    operator.stop_flag.set()
    lease = lambda: server.get("Lease", "ops", "purpleflea-operator")["spec"]  # noqa: E731
    server.wait_until(lambda: not lease().get("holderIdentity"), timeout=2)
    operator.join()


def test_watches_that_end_at_once_are_restarted_with_backoff(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.end_new_watches("pods")
        server.drop_watches("pods")
        time.sleep(5)
        assert 1 < len(server.watches(resource="pods")) < 10
        assert len(server.lists(resource="pods")) <= 3
        wait_for_halt(server)
        server.stop_ending_new_watches()
        server.wait_until(lambda: server.open_watches("pods") == 1, timeout=25)

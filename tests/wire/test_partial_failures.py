"""Errors are contained per child: the others are written, and the status is written in any case."""

import json

import pytest

from support.builders import a_datadog_daemon_set, a_pod, an_agent

NS, NAME = "trading", "momentum"
KINDS = {
    "configmaps": "ConfigMap",
    "serviceaccounts": "ServiceAccount",
    "networkpolicies": "NetworkPolicy",
    "poddisruptionbudgets": "PodDisruptionBudget",
    "statefulsets": "StatefulSet",
}


def conditions(server):
    found = server.get("PurpleFleaAgent", NS, NAME).get("status", {}).get("conditions", [])
    return {item["type"]: item for item in found}


def is_ready(server):
    return conditions(server).get("Ready", {}).get("status") == "True"


def failure(server):
    """Return the message of WorkloadAvailable if a write failed."""
    found = conditions(server).get("WorkloadAvailable", {})
    return found.get("message", "") if found.get("reason") == "ApplyFailed" else ""


def missing_kinds(server):
    return {kind for kind in KINDS.values() if server.get(kind, NS, NAME) is None}


def put_agent(server, **spec):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(
        an_agent(**{"replicas": 2, "pod": {"serviceAccount": {}, "minReadySeconds": 0}, **spec})
    )


@pytest.mark.parametrize("status", [403, 409, 422, 429, 503])
@pytest.mark.parametrize("resource", KINDS)
def test_a_new_child_that_fails_prevents_no_other(server, an_operator, resource, status):
    server.fail_next(
        verb="write", resource=resource, status=status, message="refused", retry_after=1, times=None
    )
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: failure(server), timeout=20)
        # Pods mount the ConfigMap, so the workload waits for it.
        expected = {KINDS[resource]} | ({"StatefulSet"} if resource == "configmaps" else set())
        assert missing_kinds(server) == expected
        assert f"{KINDS[resource]} {NAME}: refused" in failure(server)
        server.clear_faults()
        if status not in (403, 422):
            server.wait_until(lambda: is_ready(server), timeout=20)


def test_all_failing_children_are_named(server, an_operator):
    for resource in ("networkpolicies", "poddisruptionbudgets"):
        server.fail_next(verb="write", resource=resource, status=403, message="no", times=None)
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: failure(server))
    assert "NetworkPolicy momentum: no; PodDisruptionBudget momentum: no" in failure(server)
    assert len(server.objects("Pod")) == 2


@pytest.mark.parametrize("resource", ["networkpolicies", "poddisruptionbudgets", "serviceaccounts"])
def test_a_child_that_is_refused_prevents_neither_scaling_nor_a_stop(server, an_operator, resource):
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.delete(KINDS[resource], NS, NAME)
        server.fail_next(verb="write", resource=resource, status=403, message="no", times=None)
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": 3}})
        server.wait_until(lambda: len(server.objects("Pod")) == 3)
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Stopped"}}})
        server.wait_until(lambda: not server.objects("Pod"), timeout=30)
        server.wait_until(lambda: trading(server).get("mode") == "Stopped")


def trading(server):
    return server.get("PurpleFleaAgent", NS, NAME).get("status", {}).get("trading", {})


def test_a_status_does_not_report_a_spec_as_rolled_out_whose_write_failed(server, an_operator):
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.fail_next(
            verb="patch", resource="statefulsets", status=429, retry_after=2, message="x", times=2
        )
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"strategy": "mean-reversion"}})
        generation = server.get("PurpleFleaAgent", NS, NAME)["metadata"]["generation"]

        def is_current():
            status = server.get("PurpleFleaAgent", NS, NAME)["status"]
            return status["observedGeneration"] == generation and is_ready(server)

        server.wait_until(is_current, timeout=30)
        template = server.get("StatefulSet", NS, NAME)["spec"]["template"]
        assert "mean-reversion" in json.dumps(template)


@pytest.mark.parametrize(
    "fault",
    [
        lambda server, where: server.fail_next(status=403, times=None, message="no", **where),
        lambda server, where: server.fail_next(status=429, times=None, retry_after=20, **where),
        lambda server, where: server.fail_next(status=500, times=None, **where),
        lambda server, where: server.hang(times=None, **where),
        lambda server, where: server.cut(times=None, **where),
    ],
    ids=["forbidden", "throttled", "failing", "hanging", "cut"],
)
def test_events_that_cannot_be_read_do_not_delay_the_status(
    server_without_pods, an_operator, fault
):
    server = server_without_pods
    put_agent(server)
    with an_operator(server):
        server.wait_until(lambda: server.get("StatefulSet", NS, NAME) is not None)
        injected = fault(server, {"verb": "list", "resource": "events"})
        server.put(a_pod(ready=False, waiting="ContainerCreating"))
        server.wait_until(lambda: injected.hits, timeout=20)
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(lambda: trading(server).get("mode") == "Halted", timeout=8)

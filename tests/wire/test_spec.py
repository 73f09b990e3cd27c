import pytest

from support.builders import a_datadog_daemon_set, a_spec, an_agent

NS, NAME = "trading", "momentum"


def condition(server, kind):
    status = (server.get("PurpleFleaAgent", NS, NAME) or {}).get("status", {})
    return next((item for item in status.get("conditions", []) if item["type"] == kind), {})


def is_ready(server):
    agent = server.get("PurpleFleaAgent", NS, NAME)
    current = agent.get("status", {}).get("observedGeneration") == agent["metadata"]["generation"]
    return current and condition(server, "Ready").get("status") == "True"


def change(server, spec):
    server.patch("PurpleFleaAgent", NS, NAME, {"spec": spec})
    server.wait_until(lambda: is_ready(server))


@pytest.fixture(autouse=True)
def with_datadog(server):
    server.put(a_datadog_daemon_set(host_ports=True))


def test_an_unknown_field_that_the_api_server_does_not_check_is_rejected(server, an_operator):
    affinity = {"nodeAffinity": {"required": []}}
    server.put(an_agent(spec={**a_spec(), "pod": {"affinity": affinity}}))
    with an_operator():
        server.wait_until(lambda: condition(server, "SpecValid").get("status") == "False")
    message = condition(server, "SpecValid")["message"]
    assert "nodeAffinity.required: unknown field; remove it" in message
    assert server.objects("StatefulSet") == []


def test_the_fields_of_a_newer_crd_are_named_and_restart_no_pod(server, an_operator):
    """The API server adds fields with a default to every agent as soon as the CRD has them."""
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.clear()
        change(server, {"stopLoss": 5, "risk": {"maxLossUsd": "5"}})
        server.wait_until(lambda: condition(server, "SpecValid")["reason"] == "FieldsUnsupported")
    message = condition(server, "SpecValid")["message"]
    assert "spec.stopLoss" in message
    assert "spec.risk.maxLossUsd" in message
    assert [item.full_resource for item in server.writes()] == ["purplefleaagents/status", "events"]


def test_an_ignored_variable_is_reported_by_condition_and_event(server, an_operator):
    server.put(an_agent(pod={"env": [{"name": "DD_ENV", "value": "mine"}]}))
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.wait_until(lambda: "SpecValidOverrideIgnored" in events(server))
        found = condition(server, "SpecValid")
        assert (found["status"], found["reason"]) == ("True", "OverrideIgnored")
        assert "spec.pod.env[DD_ENV]" in events(server)["SpecValidOverrideIgnored"]
        change(server, {"pod": {"env": []}})
        server.wait_until(lambda: condition(server, "SpecValid")["reason"] == "Valid")


def events(server):
    return {item["reason"]: item["message"] for item in server.objects("events")}


def test_optional_children_are_created_and_deleted_with_their_fields(server, an_operator):
    server.put(an_agent(replicas=2, pod={"serviceAccount": {}}))
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        assert server.get("ServiceAccount", NS, NAME) is not None
        assert server.get("PodDisruptionBudget", NS, NAME) is not None
        change(server, {"replicas": 1, "pod": {"serviceAccount": None}})
        server.wait_until(lambda: server.get("ServiceAccount", NS, NAME) is None)
        server.wait_until(lambda: server.get("PodDisruptionBudget", NS, NAME) is None)


def test_removed_additions_are_removed_from_the_pods(server, an_operator):
    added = {
        "labels": {"desk": "crypto"},
        "env": [{"name": "A", "value": "b"}],
        "volumes": [{"name": "x", "emptyDir": {}}],
        "volumeMounts": [{"name": "x", "mountPath": "/x"}],
    }
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        before = server.get("StatefulSet", NS, NAME)["spec"]["template"]
        change(server, {"pod": added})
        server.wait_until(lambda: has_label(server, "desk"))
        change(server, {"pod": dict.fromkeys(added)})
        server.wait_until(lambda: not has_label(server, "desk"))
    assert server.get("StatefulSet", NS, NAME)["spec"]["template"] == before


def has_label(server, key):
    template = server.get("StatefulSet", NS, NAME)["spec"]["template"]
    return key in template["metadata"]["labels"]

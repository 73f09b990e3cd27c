import pytest

from support.builders import a_datadog_daemon_set, a_halt, a_pod, an_agent
from support.rights import Right, granted, roles

NS, NAME = "trading", "momentum"


def turned(server, kind="Ready"):
    status = server.get("PurpleFleaAgent", NS, NAME).get("status", {})
    return {item["type"]: item["reason"] for item in status.get("conditions", [])}.get(kind)


def used(server):
    """Return the permissions that the requests needed."""
    found = set()
    for item in server.requests():
        if not item.resource:
            continue
        found.add(Right(item.group, item.full_resource, item.verb))
        if item.verb == "patch" and item.status == 201:
            found.add(Right(item.group, item.full_resource, "create"))
    return found


@pytest.mark.parametrize(
    ("bound", "telemetry"),
    [((), False), ((NS,), False), ((NS,), True)],
    ids=["cluster-wide", "bound", "bound with telemetry rights"],
)
def test_the_operator_uses_no_permission_that_the_chart_does_not_grant(
    server_without_pods, an_operator, bound, telemetry
):
    server = server_without_pods
    server.put(a_datadog_daemon_set())
    server.put(an_agent())
    settings = {"watch_namespaces": bound, "telemetry_rights": telemetry}
    with an_operator(server, **settings, lease_namespace="purpleflea-system"):
        server.wait_until(lambda: server.get("StatefulSet", NS, NAME) is not None)
        # A stuck pod, whose Events are read; a halt; and an obsolete child.
        server.put(a_pod(ready=False, waiting="ContainerCreating"))
        server.wait_until(lambda: server.lists(resource="events"))
        change = {"trading": {"mode": "Halted"}, "network": {"policy": "None"}}
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": change})
        server.wait_until(lambda: server.writes(resource="pods"))
        server.wait_until(lambda: server.get("NetworkPolicy", NS, NAME) is None)
        server.put(a_halt())
        server.wait_until(lambda: server.get("PurpleFleaHalt", NS, "incident").get("status"))
    values = [f"watchNamespaces={{{','.join(bound)}}}"] if bound else []
    values += ["telemetryRights=true"] if telemetry else []
    found = used(server)
    assert found <= granted(roles(*values))
    assert Right("networking.k8s.io", "networkpolicies", "delete") in found
    assert Right("coordination.k8s.io", "leases", "create") in found
    assert Right("purpleflea.com", "purplefleahalts/status", "patch") in found

"""An operator that is bound to namespaces."""

import kopf
import pytest

from purpleflea_operator import app
from purpleflea_operator.runtime import lifecycle
from purpleflea_operator.settings import Settings
from support.builders import a_datadog_daemon_set, an_agent

NAME = "momentum"
BOUND = ("trading", "research")


def turned(server, namespace, kind="Ready", name=NAME):
    status = server.get("PurpleFleaAgent", namespace, name).get("status", {})
    return {item["type"]: item["status"] for item in status.get("conditions", [])}.get(kind)


def an_agent_in(namespace):
    # One name in many namespaces: an env of its own keeps each apart in Datadog.
    return an_agent(namespace=namespace, uid=f"uid-{namespace}", datadog={"env": namespace})


def asked(server):
    """What was asked of objects, by resource and namespace; discovery is no object."""
    return {(item.resource, item.namespace) for item in server.requests() if item.resource}


def test_agents_of_its_namespaces_are_served_and_others_left_alone(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    for namespace in (*BOUND, "elsewhere"):
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: all(turned(server, name) == "True" for name in BOUND))
        # A change, too, is seen in each of them, by a watch of its own.
        for namespace in (*BOUND, "elsewhere"):
            change = {"spec": {"replicas": 2}}
            server.patch("PurpleFleaAgent", namespace, NAME, change)
        server.wait_until(lambda: len(server.objects("Pod")) == 4)
    assert turned(server, "elsewhere") is None
    assert {item["metadata"]["namespace"] for item in server.objects("StatefulSet")} == set(BOUND)
    assert {namespace for _, namespace in asked(server)} == set(BOUND)


def test_nothing_that_lives_elsewhere_is_asked_for(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent_in("trading"))
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: turned(server, "trading") == "True")
    resources = {resource for resource, _ in asked(server)}
    assert not resources & {"daemonsets", "services", "nodes", "namespaces", "secrets"}


def test_a_child_deleted_while_the_watch_of_one_namespace_was_deaf_comes_back(server, an_operator):
    for namespace in BOUND:
        server.put(an_agent_in(namespace))
    with an_operator(watch_namespaces=BOUND):
        server.wait_until(lambda: all(turned(server, name) == "True" for name in BOUND))
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
        server.wait_until(lambda: all(turned(server, name) == "True" for name in BOUND))
    server.clear()
    with an_operator(watch_namespaces=BOUND):
        # First lists, lists of kopf, and the sweeps after them: the last thing that a start does.
        for namespace in BOUND:
            server.wait_until(
                lambda namespace=namespace: (
                    len(server.lists(resource="pods", namespace=namespace)) >= 3
                ),
                timeout=30,
            )
    assert server.writes() == []


async def test_a_namespace_without_rights_is_named(server):
    message = 'purplefleaagents is forbidden in the namespace "research"'
    server.fail_next(verb="list", namespace="research", status=403, message=message)
    settings = Settings(health_port=0, watch_namespaces=BOUND)
    with pytest.raises(lifecycle.StartError, match=r'missing permission: .*"research"'):
        await app.run(settings, connect=lambda: kopf.ConnectionInfo(server=server.url))

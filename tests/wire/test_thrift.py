from collections import Counter

import pytest

from support.builders import a_datadog_daemon_set, a_pod, an_agent

NS, NAME = "trading", "momentum"
PODS = 1000
pytestmark = pytest.mark.timeout(400)


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def status_of(server, name=NAME):
    return server.get("PurpleFleaAgent", NS, name).get("status", {})


def turned(server, kind, name=NAME):
    found = {item["type"]: item["status"] for item in status_of(server, name).get("conditions", [])}
    return found.get(kind)


def statuses(server):
    return server.writes(resource="purplefleaagents/status")


def report(server, *, ready, of=PODS, name=NAME):
    """What the StatefulSet controller says."""
    generation = server.get("StatefulSet", NS, name)["metadata"]["generation"]
    status = {
        "observedGeneration": generation,
        "replicas": of,
        "readyReplicas": ready,
        "updatedReplicas": of,
        "availableReplicas": ready,
        "currentRevision": f"{name}-1",
        "updateRevision": f"{name}-1",
    }
    server.patch("StatefulSet", NS, name, {"status": status})


def test_a_burst_of_a_thousand_pods_costs_two_statuses_and_ends_with_the_right_one(
    server_without_pods, an_operator, clock
):
    server = server_without_pods
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=PODS))
    with an_operator(server, clock=clock):
        server.wait_until(lambda: turned(server, "Ready") == "False")
        for number in range(PODS):
            server.put(a_pod(f"momentum-{number}"))
            report(server, ready=number + 1)
        server.wait_until(lambda: turned(server, "Ready") == "True", timeout=120)
        # One for the start, one for the end: the counts between are not worth a write.
        assert len(statuses(server)) == 2
    assert status_of(server)["readyReplicas"] == PODS
    assert Counter(item.verb for item in server.writes(resource="pods")) == {}


def test_a_status_that_turns_with_every_event_is_written_once_a_second_and_the_last_state_always(
    server_without_pods, an_operator, clock
):
    server = server_without_pods
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator(server, clock=clock):
        server.wait_until(lambda: turned(server, "Ready") == "False")
        server.put(a_pod())
        report(server, ready=1, of=1)
        server.wait_until(lambda: turned(server, "Ready") == "True")
        # Two writes are spent and time stands still: whatever turns now has to wait.
        for number in range(PODS):
            server.put(
                a_pod(ready=bool(number % 2), waiting="" if number % 2 else "CrashLoopBackOff")
            )
            report(server, ready=number % 2, of=1)
        server.put(a_pod(ready=False, waiting="CrashLoopBackOff"))
        report(server, ready=0, of=1)
        witness(server)
        assert len(statuses_of(server, NAME)) == 2
        assert turned(server, "Ready") == "True"
        clock.now += 1.0
        server.wait_until(lambda: turned(server, "Ready") == "False", timeout=60)
        assert len(statuses_of(server, NAME)) == 3
    assert status_of(server)["readyReplicas"] == 0


def statuses_of(server, name):
    return [item for item in statuses(server) if item.name == name]


def witness(server, name="witness"):
    """Make another agent Ready: when that is seen, all that came before it on any watch was seen, too."""
    server.put(an_agent(name, uid=f"uid-{name}"))
    server.wait_until(lambda: server.get("StatefulSet", NS, name) is not None, timeout=120)
    server.put(a_pod(f"{name}-0", instance=name))
    report(server, ready=1, of=1, name=name)
    server.wait_until(lambda: turned(server, "Ready", name) == "True", timeout=120)


def test_an_agent_is_left_alone_for_as_long_as_the_server_asks_and_others_go_on(
    server, an_operator, clock
):
    server.put(a_datadog_daemon_set(host_ports=True))
    refused = server.fail_next(
        verb="patch", resource="configmaps", name=NAME, status=429, retry_after=1, times=1
    )
    with an_operator(clock=clock):
        server.put(an_agent())
        server.wait_until(lambda: refused.hits == 1)
        for replicas in (2, 3, 4):
            # News of the agent itself are no reason to come back earlier.
            server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": replicas}})
            name = f"other-{replicas}"
            server.put(an_agent(name, uid=f"uid-{name}"))
            server.wait_until(lambda name=name: turned(server, "Ready", name) == "True")
        assert [item.status for item in server.requests(namespace=NS, name=NAME)] == [200, 404, 429]
        clock.now += 1.0
        server.wait_until(lambda: turned(server, "Ready") == "True", timeout=60)
    assert len(server.objects("Pod")) == 4 + 3


def test_agents_whose_requests_never_end_or_always_fail_slow_nobody_down(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    sick = ["hangs-0", "hangs-1", "hangs-2", "fails-0", "fails-1", "refused-0"]
    for name in sick:
        where = {"verb": "patch", "resource": "configmaps", "name": name, "times": None}
        if name.startswith("hangs"):
            server.hang(**where)
        else:
            server.fail_next(status=500 if name.startswith("fails") else 422, **where)
        server.put(an_agent(name, uid=f"uid-{name}"))
    with an_operator(workers=4):
        server.wait_until(lambda: len(server.requests(resource="configmaps", name="fails-1")) > 1)
        well = [f"well-{number}" for number in range(20)]
        for name in well:
            server.put(an_agent(name, uid=f"uid-{name}"))
        server.wait_until(
            lambda: all(turned(server, "Ready", name) == "True" for name in well), timeout=60
        )
        # Each try of a sick one waits longer than the one before.
        assert len(server.writes(resource="configmaps", name="fails-0")) < 20
        server.clear_faults()
        for name in sick:
            server.patch("PurpleFleaAgent", NS, name, {"spec": {"replicas": 2}})
        server.wait_until(
            lambda: all(turned(server, "Ready", name) == "True" for name in sick), timeout=60
        )

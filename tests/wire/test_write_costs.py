from collections import Counter

import pytest

from support.builders import a_datadog_daemon_set, a_pod, an_agent

NS, NAME = "trading", "momentum"
PODS = 1000
pytestmark = pytest.mark.timeout(400)


class Clock:
    """A clock that only the test advances."""

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
    """Write the status of the StatefulSet as its controller does."""
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


def test_a_burst_of_a_thousand_pods_costs_two_status_writes(
    server_without_pods, an_operator, clock
):
    server = server_without_pods
    # Without a node agent, the first status reports a problem, so it is not delayed.
    server.put(an_agent(replicas=PODS))
    with an_operator(server, clock=clock):
        server.wait_until(lambda: turned(server, "Ready") == "False")
        # With the annotations of the template, the pods have the current revision.
        template = server.get("StatefulSet", NS, NAME)["spec"]["template"]
        annotations = template["metadata"]["annotations"]
        for number in range(PODS):
            server.put(a_pod(f"momentum-{number}", annotations=annotations))
            report(server, ready=number + 1)
        server.wait_until(lambda: turned(server, "Ready") == "True", timeout=120)
        # One at the start and one at the end, because counts in between are not written.
        assert len(statuses(server)) == 2
    assert status_of(server)["readyReplicas"] == PODS
    assert Counter(item.verb for item in server.writes(resource="pods")) == {}


def test_an_alternating_status_is_written_once_per_second_and_at_the_end(
    server_without_pods, an_operator, clock
):
    server = server_without_pods
    server.put(an_agent())
    with an_operator(server, clock=clock):
        server.wait_until(lambda: turned(server, "Ready") == "False")
        server.put(a_pod())
        report(server, ready=1, of=1)
        server.wait_until(lambda: turned(server, "Ready") == "True")
        # Two writes are used and the clock does not advance, so further transitions have to wait.
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
    """Make another agent ready; when the operator has processed it, it has processed all earlier events."""
    server.put(an_agent(name, uid=f"uid-{name}"))
    server.wait_until(lambda: server.get("StatefulSet", NS, name) is not None, timeout=120)
    server.put(a_pod(f"{name}-0", instance=name))
    report(server, ready=1, of=1, name=name)
    server.wait_until(lambda: turned(server, "Ready", name) == "True", timeout=120)


def test_a_throttled_agent_waits_for_retry_after_and_others_continue(server, an_operator, clock):
    server.put(a_datadog_daemon_set(host_ports=True))
    refused = server.fail_next(
        verb="create", resource="configmaps", name=NAME, status=429, retry_after=1, times=1
    )
    with an_operator(clock=clock):
        server.put(an_agent())
        server.wait_until(lambda: refused.hits == 1)
        for replicas in (2, 3, 4):
            # Events of the agent itself do not end the delay.
            server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": replicas}})
            name = f"other-{replicas}"
            server.put(an_agent(name, uid=f"uid-{name}"))
            server.wait_until(lambda name=name: turned(server, "Ready", name) == "True")
        # One pass: the ConfigMap and the NetworkPolicy. The workload waits, and the first status is debounced.
        statuses = [item.status for item in server.requests(namespace=NS, name=NAME)]
        assert statuses == [429, 201]
        clock.now += 1.0
        server.wait_until(lambda: turned(server, "Ready") == "True", timeout=60)
    assert len(server.objects("Pod")) == 4 + 3


def test_agents_whose_requests_hang_or_fail_do_not_delay_others(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    failing = ["hangs-0", "hangs-1", "hangs-2", "fails-0", "fails-1", "refused-0"]
    for name in failing:
        where = {"verb": "create", "resource": "configmaps", "name": name, "times": None}
        if name.startswith("hangs"):
            server.hang(**where)
        else:
            server.fail_next(status=500 if name.startswith("fails") else 422, **where)
        server.put(an_agent(name, uid=f"uid-{name}"))
    with an_operator(workers=4):
        server.wait_until(lambda: len(server.requests(resource="configmaps", name="fails-1")) > 1)
        healthy = [f"healthy-{number}" for number in range(20)]
        for name in healthy:
            server.put(an_agent(name, uid=f"uid-{name}"))
        server.wait_until(
            lambda: all(turned(server, "Ready", name) == "True" for name in healthy), timeout=60
        )
        # The delay of a failing agent grows with each attempt.
        assert len(server.writes(resource="configmaps", name="fails-0")) < 20
        server.clear_faults()
        for name in failing:
            server.patch("PurpleFleaAgent", NS, name, {"spec": {"replicas": 2}})
        server.wait_until(
            lambda: all(turned(server, "Ready", name) == "True" for name in failing), timeout=60
        )

"""The control lane: changes of the mode reach the pods, whatever happens to other requests."""

import json
import time

import pytest

from purpleflea_operator.controllers.agent import control_lane
from purpleflea_operator.runtime.leader_election.elector import LeaseLostError
from purpleflea_operator.runtime.workqueue import URGENT_SHARE
from support.apiserver.faults import Fault
from support.builders import a_datadog_daemon_set, a_halt, a_pod, an_agent
from support.paper_agents import NUDGE, PaperAgents

NS, NAME = "trading", "momentum"
WORKERS = 8
pytestmark = pytest.mark.timeout(300)


def conditions(server, name):
    found = server.get("PurpleFleaAgent", NS, name).get("status", {}).get("conditions", [])
    return {item["type"]: item for item in found}


def is_ready(server, name=NAME):
    return conditions(server, name).get("Ready", {}).get("status") == "True"


def change(server, name=NAME, **spec):
    server.patch("PurpleFleaAgent", NS, name, {"spec": spec})


def set_mode(server, mode, name=NAME):
    change(server, name, trading={"mode": mode})


def mode_of(server, name=NAME):
    return json.loads(server.get("ConfigMap", NS, name)["data"]["control.json"])["mode"]


def annotations(server, name=NAME):
    """Return the mount refresh annotations of the pods of an agent."""
    pods = [item["metadata"] for item in server.objects("Pod")]
    return {
        item["annotations"].get(NUDGE)
        for item in pods
        if item["name"].startswith(f"{name}-") and item.get("annotations") is not None
    }


def has_reached_the_pods(server, mode, name=NAME):
    return lambda: mode_of(server, name) == mode and annotations(server, name) == {mode}


def names_of(count, prefix="other"):
    return [f"{prefix}-{number:02}" for number in range(count)]


@pytest.fixture
def fleet(server):
    """One agent with two pods, and as many other agents as the operator has workers."""
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=2))
    for name in names_of(WORKERS):
        server.put(an_agent(name, uid=f"uid-{name}"))
    return server


@pytest.fixture
def is_settled(fleet):
    """True if all agents are ready."""
    return lambda: all(is_ready(fleet, name) for name in (NAME, *names_of(WORKERS)))


INVALID = {"strategy": "Not Valid"}


@pytest.mark.parametrize("spec", [{}, INVALID], ids=["valid", "invalid"])
def test_a_halt_does_not_wait_for_workers_whose_requests_hang(fleet, an_operator, is_settled, spec):
    agents = PaperAgents(fleet)
    with an_operator(agents=agents, workers=WORKERS):
        fleet.wait_until(is_settled, timeout=60)
        stuck = fleet.hang(verb="patch", resource="statefulsets", times=None)
        for name in names_of(WORKERS):
            change(fleet, name, replicas=2)
        fleet.wait_until(lambda: stuck.hits == WORKERS)
        change(fleet, trading={"mode": "Halted"}, **spec)
        fleet.wait_until(has_reached_the_pods(fleet, "Halted"))
        fleet.wait_until(lambda: agents.asked.keys() == {"momentum-0", "momentum-1"})
        if not spec:
            set_mode(fleet, "Active")
            fleet.wait_until(has_reached_the_pods(fleet, "Active"))
        # No worker was free in the meantime.
        assert stuck.hits == WORKERS
        stuck.cancel()


def test_a_halt_does_not_wait_for_a_storm_of_rollouts(server, an_operator):
    count = 40
    names = names_of(count)
    for name in names:
        server.put(an_agent(name, uid=f"uid-{name}"))
    with an_operator(workers=2):
        server.wait_until(
            lambda: all(server.get("Pod", NS, f"{name}-0") for name in names), timeout=60
        )
        server.wait_until(lambda: all(conditions(server, name) for name in names), timeout=60)
        server.clear()
        server.delay(0.2, verb="patch", resource="statefulsets")
        for name in names:
            change(server, name, replicas=2)
        server.wait_until(lambda: server.writes(resource="statefulsets"))
        set_mode(server, "Halted", names[-1])
        server.wait_until(lambda: mode_of(server, names[-1]) == "Halted")
        server.wait_until(lambda: len(server.writes(resource="statefulsets")) >= count, timeout=60)
    written = [item.resource for item in server.writes() if item.resource != "purplefleaagents"]
    assert written[: written.index("configmaps")].count("statefulsets") < count / 2


def test_a_halt_of_many_agents_writes_the_modes_before_the_mounts_are_refreshed(
    server, an_operator
):
    names = names_of(80)
    for name in names:
        server.put(an_agent(name, uid=f"uid-{name}"))
    with an_operator():
        server.wait_until(lambda: all(is_ready(server, name) for name in names), timeout=60)
        server.clear()
        server.put(a_halt())
        server.wait_until(lambda: len(server.writes(resource="pods")) >= len(names), timeout=60)
    written = [item.resource for item in server.writes() if item.resource in ("configmaps", "pods")]
    assert written.count("configmaps") == len(names)
    # The last modes can be in flight when the first mounts are refreshed.
    last = len(written) - written[::-1].index("configmaps")
    early = written[:last].count("pods")
    assert early <= control_lane.WORKERS + len(names) / URGENT_SHARE < len(names) / 2


def test_a_halt_does_not_wait_for_a_retry_after_of_another_request(
    server_without_pods, an_operator
):
    server = server_without_pods
    server.put(an_agent(replicas=2))
    with an_operator(server):
        server.wait_until(lambda: server.get("StatefulSet", NS, NAME) is not None)
        throttled = server.fail_next(
            verb="list", resource="events", status=429, retry_after=20, times=None
        )
        server.put(a_pod(ready=False, waiting="ContainerCreating"))
        server.wait_until(lambda: throttled.hits > 0, timeout=20)
        set_mode(server, "Halted")
        server.wait_until(has_reached_the_pods(server, "Halted"))
        set_mode(server, "Active")
        server.wait_until(has_reached_the_pods(server, "Active"))
        # The pass still waits for the end of Retry-After.
        assert throttled.hits == 1


def test_a_throttled_mode_change_blocks_no_worker(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator(workers=1):
        server.wait_until(lambda: is_ready(server))
        throttled = server.fail_next(
            verb="patch", resource="configmaps", name=NAME, status=429, retry_after=20, times=1
        )
        set_mode(server, "Halted")
        server.wait_until(lambda: throttled.hits == 1)
        change(server, replicas=2)
        server.put(an_agent("second", uid="uid-second"))
        server.wait_until(lambda: is_ready(server, "second"))
        assert mode_of(server) == "Active"


def test_a_mode_change_is_applied_while_a_foreign_finalizer_blocks_the_deletion(
    server, an_operator
):
    agent = an_agent(replicas=2)
    agent["metadata"]["finalizers"] = ["example.com/hold"]
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(agent)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.delete("PurpleFleaAgent", NS, NAME)
        assert server.get("PurpleFleaAgent", NS, NAME)["metadata"]["deletionTimestamp"]
        for mode in ("Halted", "Active", "Stopped"):
            server.clear()
            set_mode(server, mode)
            server.wait_until(has_reached_the_pods(server, mode))
            server.wait_until(
                lambda mode=mode: conditions(server, NAME)["TradingActive"]["reason"] == mode
            )
            written = [(item.resource, item.name) for item in server.writes()]
            assert sorted(item for item in written if item[0] != "purplefleaagents") == [
                ("configmaps", NAME),
                ("pods", "momentum-0"),
                ("pods", "momentum-1"),
            ]
            # The request, and its confirmation.
            assert written.count(("purplefleaagents", NAME)) <= 2


def test_a_halt_is_applied_to_an_invalid_agent_that_is_being_deleted(server, an_operator):
    agent = an_agent()
    agent["metadata"]["finalizers"] = ["example.com/hold"]
    server.put(agent)
    with an_operator():
        server.wait_until(lambda: server.get("Pod", NS, "momentum-0"))
        server.delete("PurpleFleaAgent", NS, NAME)
        change(server, trading={"mode": "Halted"}, **INVALID)
        server.wait_until(has_reached_the_pods(server, "Halted"))


def test_a_halt_from_before_the_start_is_applied_to_an_agent_that_is_being_deleted(
    server, an_operator
):
    agent = an_agent()
    agent["metadata"]["finalizers"] = ["example.com/hold"]
    server.put(agent)
    with an_operator():
        server.wait_until(lambda: server.get("Pod", NS, "momentum-0"))
    server.delete("PurpleFleaAgent", NS, NAME)
    set_mode(server, "Halted")
    with an_operator():
        server.wait_until(has_reached_the_pods(server, "Halted"))


def test_lane_and_passes_write_each_change_once(fleet, an_operator, is_settled):
    names = (NAME, *names_of(WORKERS))
    with an_operator(workers=WORKERS):
        fleet.wait_until(is_settled, timeout=60)
        for mode in ("Halted", "Active", "Halted", "Active"):
            fleet.clear()
            for name in names:
                set_mode(fleet, mode, name)

            def is_reported(name, mode=mode):
                return conditions(fleet, name)["TradingActive"]["reason"] == mode

            fleet.wait_until(lambda: all(map(is_reported, names)), timeout=40)
            written = [
                (item.resource, item.name, item.status)
                for resource in ("configmaps", "pods")
                for item in fleet.writes(resource=resource)
            ]
            assert sorted(written) == sorted(
                [("configmaps", name, 200) for name in names]
                + [("pods", f"{name}-0", 200) for name in names]
                + [("pods", "momentum-1", 200)]
            )


def test_a_late_write_of_a_pass_does_not_undo_a_halt(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.clear()
        # The label of the strategy differs, so the pass writes the ConfigMap with the mode Active.
        late = server.hang(verb="patch", resource="configmaps", times=1)
        change(server, strategy="mean_reversion")
        server.wait_until(lambda: late.hits == 1)
        set_mode(server, "Halted")
        server.wait_until(has_reached_the_pods(server, "Halted"))
        late.cancel()
        server.wait_until(
            lambda: conditions(server, NAME)["TradingActive"]["reason"] == "Halted", timeout=40
        )
    statuses = [item.status for item in server.writes(resource="configmaps")]
    assert statuses == [200, 409]


def test_a_deleted_config_map_is_not_created_by_a_stale_lane(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.clear()
        late = server.hang(verb="patch", resource="configmaps", times=1)
        set_mode(server, "Halted")
        server.wait_until(lambda: late.hits == 1)
        server.delete("ConfigMap", NS, NAME)
        late.cancel()
        server.wait_until(lambda: server.get("ConfigMap", NS, NAME), timeout=40)
        server.wait_until(has_reached_the_pods(server, "Halted"), timeout=40)
    # A pass and the lane create it at the same time, and one of them fails.
    statuses = [item.status for item in server.writes(resource="configmaps")]
    assert statuses in ([409, 201], [409, 201, 409])


def test_the_lane_writes_nothing_after_the_lease_expired(server, an_operator):
    frozen_s = [0.0]
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    replica = an_operator(
        clock=lambda: time.monotonic() + frozen_s[0], lease_namespace="system", lease_s=3
    ).start()
    server.wait_until(lambda: is_ready(server))
    server.clear()
    frozen_s[0] = 60.0
    set_mode(server, "Halted")
    with pytest.raises(LeaseLostError):
        replica.join()
    assert [item for item in server.writes() if item.resource != "leases"] == []
    assert mode_of(server) == "Active"


def test_the_lane_ends_with_the_operator_while_its_requests_hang(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator() as operator:
        server.wait_until(lambda: is_ready(server))
        stuck = server.hang(verb="patch", resource="configmaps", times=None)
        set_mode(server, "Halted")
        server.wait_until(lambda: stuck.hits == 1)
        operator.stop()


@pytest.mark.parametrize(
    "resource", ["configmaps", "pods"], ids=["hanging ConfigMap", "hanging annotation"]
)
def test_a_newer_mode_does_not_wait_for_a_hanging_write_of_an_older_one(
    server, an_operator, resource
):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=2))
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        # Agents that have stopped are scaled to zero, and then there is no pod to annotate.
        scaling = server.hang(verb="patch", resource="statefulsets", times=None)
        set_mode(server, "Stopped")
        server.wait_until(has_reached_the_pods(server, "Stopped"))
        late = server.hang(verb="patch", resource=resource, times=1)
        set_mode(server, "Active")
        server.wait_until(lambda: late.hits == 1)
        set_mode(server, "Halted")
        # The timeout of the request is 10 s.
        server.wait_until(has_reached_the_pods(server, "Halted"), timeout=8)
        late.cancel()
        scaling.cancel()
        server.wait_until(lambda: conditions(server, NAME)["TradingActive"]["reason"] == "Halted")
        assert mode_of(server) == "Halted"


def test_an_outdated_cache_delays_no_change_of_the_mode(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.stall_watches("configmaps", also_new=True)
        server.patch("ConfigMap", NS, NAME, {"metadata": {"annotations": {"x": "y"}}})
        server.clear()
        set_mode(server, "Halted")
        server.wait_until(has_reached_the_pods(server, "Halted"), timeout=8)
        server.patch("ConfigMap", NS, NAME, {"metadata": {"annotations": {"x": "z"}}})
        set_mode(server, "Active")
        server.wait_until(has_reached_the_pods(server, "Active"), timeout=8)
    # Only a write that resumes names the version that it replaces.
    assert [item.status for item in server.writes(resource="configmaps")] == [200, 409, 200]


def modes_of(server):
    """Return the modes that the ConfigMap gets from now on."""
    found = []

    def observe(kind, change):
        if kind.kind == "ConfigMap" and not change.deleted:
            found.append(json.loads(change.after["data"]["control.json"])["mode"])

    server.subscribe(observe)
    return found


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
def test_a_resume_that_a_webhook_holds_cannot_follow_a_halt(server, an_operator, mode):
    """The ConfigMap already has the mode of the halt, because the resume was not stored yet."""
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=2))
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        set_mode(server, mode)
        server.wait_until(lambda: conditions(server, NAME)["TradingActive"]["reason"] == mode)
        server.clear()
        where = {"verb": "patch", "resource": "configmaps"}
        late = server.plan(Fault(effect="hold", where=where, times=1))
        set_mode(server, "Active")
        server.wait_until(lambda: late.hits == 1)
        found = modes_of(server)
        set_mode(server, mode)
        server.wait_until(lambda: found == [mode])
        server.wait_until(lambda: conditions(server, NAME)["TradingActive"]["reason"] == mode)
        late.cancel()
        set_mode(server, "Active")
        server.wait_until(lambda: conditions(server, NAME)["TradingActive"]["reason"] == "Active")
    assert found == [mode, "Active"]


def test_pods_are_nudged_and_asked_again_after_the_config_map_had_another_mode(server, an_operator):
    agents = PaperAgents(server)
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator(agents=agents):
        server.wait_until(lambda: is_ready(server))
        set_mode(server, "Halted")
        server.wait_until(lambda: conditions(server, NAME)["TradingActive"]["reason"] == "Halted")
        before = agents.asked["momentum-0"]
        server.patch("ConfigMap", NS, NAME, {"data": {"control.json": '{"mode":"Active"}'}})
        server.wait_until(lambda: annotations(server) == {"Halted.1"})
        assert mode_of(server) == "Halted"
        server.wait_until(lambda: agents.asked["momentum-0"] > before)
        server.wait_until(lambda: conditions(server, NAME)["TradingActive"]["reason"] == "Halted")


@pytest.mark.parametrize("halts", [True, False], ids=["PurpleFleaHalt", "spec"])
def test_a_halt_is_written_although_the_spec_is_invalid_and_the_config_map_is_deleted(
    server, an_operator, halts
):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        change(server, **INVALID)
        server.wait_until(lambda: conditions(server, NAME)["SpecValid"]["status"] == "False")
        server.delete("ConfigMap", NS, NAME)
        if halts:
            server.put(a_halt())
        else:
            set_mode(server, "Halted")
        server.wait_until(lambda: server.get("ConfigMap", NS, NAME))
        server.wait_until(has_reached_the_pods(server, "Halted"))
        server.wait_until(lambda: conditions(server, NAME)["TradingActive"]["reason"] == "Halted")


def test_a_halt_creates_a_deleted_config_map_beside_hanging_passes(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator(workers=1):
        server.wait_until(lambda: is_ready(server))
        stuck = server.hang(verb="patch", resource="statefulsets", times=None)
        change(server, replicas=2)
        server.wait_until(lambda: stuck.hits == 1)
        server.delete("ConfigMap", NS, NAME)
        set_mode(server, "Halted")
        server.wait_until(lambda: server.get("ConfigMap", NS, NAME), timeout=5)
        server.wait_until(has_reached_the_pods(server, "Halted"))
        stuck.cancel()


def test_a_config_map_of_another_owner_is_not_overwritten_by_a_halt(server, an_operator):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        # Without the label of the watch, the operator does not receive the object.
        refused = server.fail_next(verb="create", resource="configmaps", status=403, times=None)
        server.delete("ConfigMap", NS, NAME)
        server.wait_until(lambda: refused.hits)
        foreign = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
        server.put({**foreign, "metadata": {"name": NAME, "namespace": NS}})
        refused.cancel()
        server.clear()
        set_mode(server, "Halted")
        server.wait_until(lambda: server.writes(resource="configmaps", status=409))
    assert server.get("ConfigMap", NS, NAME)["data"] == {"a": "b"}


@pytest.mark.parametrize("resource", ["configmaps", "pods"])
def test_a_long_retry_after_delays_a_halt_for_seconds_only(
    server, an_operator, monkeypatch, resource
):
    monkeypatch.setattr("purpleflea_operator.timings.CONTROL_BACKOFF_LIMIT_S", 1.0)
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        throttled = server.fail_next(
            verb="patch", resource=resource, status=429, retry_after=3600, times=2
        )
        set_mode(server, "Halted")
        server.wait_until(has_reached_the_pods(server, "Halted"), timeout=8)
        assert throttled.hits == 2


def test_a_retry_after_of_a_resume_does_not_delay_a_halt(server, an_operator, monkeypatch):
    monkeypatch.setattr("purpleflea_operator.timings.CONTROL_BACKOFF_LIMIT_S", 30.0)
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        set_mode(server, "Stopped")
        server.wait_until(has_reached_the_pods(server, "Stopped"))
        throttled = server.fail_next(
            verb="patch", resource="configmaps", status=429, retry_after=25, times=1
        )
        set_mode(server, "Active")
        server.wait_until(lambda: throttled.hits == 1)
        set_mode(server, "Halted")
        server.wait_until(lambda: mode_of(server) == "Halted", timeout=20)

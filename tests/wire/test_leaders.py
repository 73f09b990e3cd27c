import json
import os
import signal
import subprocess
import sys
import time

import pytest

from purpleflea_operator.controllers.agent.informer import WATCHED
from purpleflea_operator.runtime.leader_election.elector import LeaseLostError
from support.builders import a_datadog_daemon_set, an_agent

# All kinds of the agents, and PurpleFleaObservability.
WATCHES = len(WATCHED) + 1

NS, NAME = "trading", "momentum"
LEASE = ("Lease", "system", "purpleflea-operator")
ELECTED = {"lease_namespace": "system", "lease_s": 3}


@pytest.fixture
def a_replica(an_operator):
    """Starts replicas that elect a leader, with a lease of 3 s."""
    return lambda **settings: an_operator(**ELECTED, **settings)


@pytest.fixture
def a_world(server):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent())
    return server


def holder(server):
    lease = server.get(*LEASE)
    return lease["spec"]["holderIdentity"] if lease else ""


def is_made(server, name=NAME, status="FalseTrue"):
    found = (server.get("PurpleFleaAgent", NS, name) or {}).get("status", {})
    conditions = {item["type"]: item["status"] for item in found.get("conditions", [])}
    return conditions.get("Ready", "-") in status


def but_leases(server):
    return [request for request in server.writes() if request.resource != "leases"]


def test_one_of_two_leads_and_the_other_only_looks_at_the_lease(a_world, a_replica):
    server = a_world
    with a_replica() as leader:
        server.wait_until(
            lambda: is_made(server, status="True") and server.open_watches() == WATCHES
        )
        first = holder(server)
        server.clear()
        with a_replica() as standby:
            server.wait_until(lambda: server.requests(verb="get", resource="leases")[4:])
            # Lists may still be the leader's: it sweeps some seconds after its start.
            assert server.requests(user_agent="kopf") == but_leases(server) == []
            assert server.open_watches() == WATCHES
            assert holder(server) == first
            assert leader.is_alive
            assert standby.is_alive


def test_after_an_orderly_end_the_other_leads_at_once(a_world, a_replica):
    server = a_world
    with a_replica(), a_replica():
        server.wait_until(lambda: is_made(server))
    leases = server.writes(resource="leases")
    assert holder(server) == ""
    assert {request.verb for request in leases} == {"create", "update"}


def test_sigterm_frees_the_lease_before_kopf_would_have_ended(a_world, tmp_path):
    server = a_world
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(kubeconfig(server.url)))
    environment = {
        **os.environ,
        "KUBECONFIG": str(file),
        "PURPLEFLEA_OPERATOR_HEALTH_PORT": "0",
        "PURPLEFLEA_OPERATOR_LEASE_NAMESPACE": "system",
    }
    command = [sys.executable, "-m", "purpleflea_operator"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        server.wait_until(lambda: server.open_watches() == WATCHES, timeout=20)
        process.send_signal(signal.SIGTERM)
        server.wait_until(lambda: holder(server) == "", timeout=3)
        assert process.wait(timeout=10) == 0


def kubeconfig(url):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
    }


def test_a_standby_takes_over_what_happens_after_an_orderly_end(a_world, a_replica):
    server = a_world
    first = a_replica().start()
    server.wait_until(lambda: is_made(server))
    leader = holder(server)
    with a_replica():
        server.wait_until(lambda: server.requests(verb="get", resource="leases")[1:])
        first.stop()
        began = time.monotonic()
        server.put(an_agent("second", uid="uid-second"))
        server.wait_until(lambda: is_made(server, "second"))
        # Less than the lease: it was given back.
        assert time.monotonic() - began < ELECTED["lease_s"]
        assert holder(server) not in ("", leader)


def test_a_leader_that_is_cut_off_stops_and_the_other_writes_alone(a_world, a_replica):
    server = a_world
    first = a_replica().start()
    server.wait_until(lambda: is_made(server))
    leader = holder(server)
    with a_replica():
        server.wait_until(lambda: server.requests(verb="get", resource="leases")[1:])
        # As the leader sees it, the lease can no longer be written.
        fault = server.fail_next(verb="update", resource="leases", status=503, times=None)
        with pytest.raises(LeaseLostError):
            first.join()
        fault.cancel()
        server.wait_until(lambda: holder(server) != leader)
        server.put(an_agent("second", uid="uid-second"))
        server.wait_until(lambda: is_made(server, "second"))


def test_a_leader_whose_lease_somebody_took_stops_with_an_error(a_world, a_replica):
    server = a_world
    replica = a_replica().start()
    server.wait_until(lambda: is_made(server))
    server.patch(*LEASE, {"spec": {"holderIdentity": "another"}})
    with pytest.raises(LeaseLostError, match="held by another"):
        replica.join()
    assert holder(server) == "another"


def test_conflicts_and_outages_shorter_than_the_deadline_cost_no_leadership(a_world, a_replica):
    server = a_world
    with a_replica():
        server.wait_until(lambda: is_made(server))
        leader = holder(server)
        server.lose_reply(verb="update", resource="leases")
        server.fail_next(verb="update", resource="leases", status=409, skip=1)
        server.fail_next(verb="update", resource="leases", status=429, retry_after=1, skip=2)
        server.fail_next(verb="update", resource="leases", status=500, skip=4)
        server.clear()
        server.wait_until(lambda: len(server.writes(resource="leases")) >= 8, timeout=20)
        assert holder(server) == leader
        server.put(an_agent("second", uid="uid-second"))
        server.wait_until(lambda: is_made(server, "second"))


def test_a_standby_outlives_an_api_outage(a_world, a_replica):
    server = a_world
    server.fail_next(resource="leases", status=503, times=3)
    with a_replica():
        server.wait_until(lambda: is_made(server))


def test_a_deleted_lease_is_made_again_by_its_leader(a_world, a_replica):
    server = a_world
    with a_replica():
        server.wait_until(lambda: is_made(server))
        leader = holder(server)
        server.delete(*LEASE)
        server.wait_until(lambda: holder(server) == leader)


class Clock:
    """The clock of a machine on which the process may be frozen for a while."""

    def __init__(self):
        self.frozen_s = 0.0

    def __call__(self):
        return time.monotonic() + self.frozen_s


def test_a_leader_that_wakes_after_its_lease_writes_nothing(a_world, a_replica):
    server, clock = a_world, Clock()
    replica = a_replica(clock=clock).start()
    # Ready is the last thing it has to say: whatever is written later is written too late.
    server.wait_until(lambda: is_made(server, status="True") and server.open_watches() == WATCHES)
    server.clear()
    clock.frozen_s = 60.0
    for number in range(20):
        server.put(an_agent(f"agent-{number}", uid=f"uid-{number}"))
    server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": 5}})
    with pytest.raises(LeaseLostError):
        replica.join()
    assert server.writes() == []
    assert server.get("StatefulSet", NS, NAME)["spec"]["replicas"] == 1


def test_a_write_that_waits_for_its_connection_while_the_lease_ends_is_not_sent(a_world, a_replica):
    server, clock = a_world, Clock()
    server.fail_next(verb="get", resource="leases", status=404, skip=999)
    gate = server.hang(verb="get", resource="purplefleaagents")
    replica = a_replica(clock=clock, workers=1).start()
    # The pass is past its decision to write and waits for the answer to its last question.
    server.wait_until(lambda: gate.hits)
    clock.frozen_s = 60.0
    gate.cancel()
    with pytest.raises(LeaseLostError):
        replica.join()
    assert but_leases(server) == []


def test_without_the_right_to_the_lease_the_operator_says_so(a_world, a_replica):
    from purpleflea_operator.runtime.lifecycle import StartError

    a_world.fail_next(resource="leases", status=403, message="leases is forbidden", times=None)
    with pytest.raises(StartError, match="missing permission for the lease: leases is forbidden"):
        a_replica().start().join()

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from purpleflea_operator.controllers.agent.watched_kinds import WATCHED
from purpleflea_operator.runtime.leader_election.elector import LeaseLostError
from support.builders import a_datadog_daemon_set, an_agent

# All kinds for agents, PurpleFleaObservability and PurpleFleaHalt, without DatadogInstrumentation, which is off.
WATCHES = len(WATCHED) + 1

NS, NAME = "trading", "momentum"
LEASE = ("Lease", "system", "purpleflea-operator")
ELECTED = {"lease_namespace": "system", "lease_s": 3}


@pytest.fixture
def a_replica(an_operator):
    """Return a function that starts replicas with leader election and a lease of 3 s."""
    return lambda **settings: an_operator(**ELECTED, **settings)


@pytest.fixture
def fleet(server):
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


def test_a_standby_watches_like_the_leader_and_only_reads(fleet, a_replica):
    server = fleet
    with a_replica() as leader:
        server.wait_until(
            lambda: is_made(server, status="True") and server.open_watches() == WATCHES
        )
        first = holder(server)
        server.clear()
        with a_replica() as standby:
            server.wait_until(lambda: server.open_watches() == 2 * WATCHES)
            server.wait_until(lambda: server.requests(verb="get", resource="leases")[4:])
            assert but_leases(server) == []
            assert holder(server) == first
            assert leader.is_alive
            assert standby.is_alive


def test_after_a_clean_shutdown_the_other_replica_leads_at_once(fleet, a_replica):
    server = fleet
    with a_replica(), a_replica():
        server.wait_until(lambda: is_made(server))
    leases = server.writes(resource="leases")
    assert holder(server) == ""
    assert {request.verb for request in leases} == {"create", "update"}


def test_sigterm_releases_the_lease_before_kopf_would_have_stopped(fleet, tmp_path):
    server = fleet
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


def test_a_standby_processes_events_after_a_clean_shutdown_of_the_leader(fleet, a_replica):
    server = fleet
    first = a_replica().start()
    server.wait_until(lambda: is_made(server))
    leader = holder(server)
    with a_replica():
        server.wait_until(lambda: server.requests(verb="get", resource="leases")[1:])
        first.stop()
        began = time.monotonic()
        server.put(an_agent("second", uid="uid-second"))
        server.wait_until(lambda: is_made(server, "second"))
        # This is less than the lease duration, because the lease was released.
        assert time.monotonic() - began < ELECTED["lease_s"]
        assert holder(server) not in ("", leader)


def test_a_partitioned_leader_stops_and_only_the_other_replica_writes(fleet, a_replica):
    server = fleet
    first = a_replica().start()
    server.wait_until(lambda: is_made(server))
    leader = holder(server)
    with a_replica():
        server.wait_until(lambda: server.requests(verb="get", resource="leases")[1:])
        # The leader cannot write the lease any more.
        fault = server.fail_next(verb="update", resource="leases", status=503, times=None)
        with pytest.raises(LeaseLostError):
            first.join()
        fault.cancel()
        server.wait_until(lambda: holder(server) != leader)
        server.put(an_agent("second", uid="uid-second"))
        server.wait_until(lambda: is_made(server, "second"))


def test_a_leader_whose_lease_was_taken_stops_with_an_error(fleet, a_replica):
    server = fleet
    replica = a_replica().start()
    server.wait_until(lambda: is_made(server))
    server.patch(*LEASE, {"spec": {"holderIdentity": "another"}})
    with pytest.raises(LeaseLostError, match="held by another"):
        replica.join()
    assert holder(server) == "another"


def test_conflicts_and_outages_shorter_than_the_deadline_keep_the_lease(fleet, a_replica):
    server = fleet
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


def test_a_standby_survives_an_outage_of_the_api_server(fleet, a_replica):
    server = fleet
    server.fail_next(resource="leases", status=503, times=3)
    with a_replica():
        server.wait_until(lambda: is_made(server))


def test_a_deleted_lease_is_created_again_by_the_leader(fleet, a_replica):
    server = fleet
    with a_replica():
        server.wait_until(lambda: is_made(server))
        leader = holder(server)
        server.delete(*LEASE)
        server.wait_until(lambda: holder(server) == leader)


class Clock:
    """A clock of a machine on which the process can be frozen for some time."""

    def __init__(self):
        self.frozen_s = 0.0

    def __call__(self):
        return time.monotonic() + self.frozen_s


def test_a_leader_that_resumes_after_its_lease_expired_writes_nothing(fleet, a_replica):
    server, clock = fleet, Clock()
    replica = a_replica(clock=clock).start()
    # Ready is the last write of the leader, so any later write is too late.
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


def test_a_write_that_waits_for_a_connection_while_the_lease_expires_is_not_sent(fleet, a_replica):
    server, clock = fleet, Clock()
    # An agent with a status may have had children, so the pass reads the agent before it creates some.
    server.patch("PurpleFleaAgent", NS, NAME, {"status": {"observedGeneration": 1}})
    server.fail_next(verb="get", resource="leases", status=404, skip=999)
    gate = server.hang(verb="get", resource="purplefleaagents")
    replica = a_replica(clock=clock, workers=1).start()
    # The pass has decided to write and waits for the response to its last read.
    server.wait_until(lambda: gate.hits)
    clock.frozen_s = 60.0
    gate.cancel()
    with pytest.raises(LeaseLostError):
        replica.join()
    assert but_leases(server) == []


def test_a_missing_permission_for_the_lease_is_reported(fleet, a_replica):
    from purpleflea_operator.runtime.lifecycle import StartError

    fleet.fail_next(resource="leases", status=403, message="leases is forbidden", times=None)
    with pytest.raises(StartError, match="missing permission for the lease: leases is forbidden"):
        a_replica().start().join()

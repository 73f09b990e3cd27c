"""The heartbeat monitor is muted for agents whose pods end, and for no agent that continues to run."""

import asyncio

import pytest

from purpleflea_operator.controllers.observability.absence_watch import AbsenceWatch
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from support.apiserver.faults import Fault
from support.builders import a_datadog_daemon_set, an_agent
from support.simulation import clock as clocks
from support.simulation.operations import KIND, NAME, NS
from support.simulation.world import a_world

TAGS = {"env": "production", "service": "purpleflea-trading-agent"}
SERVICE = tuple(TAGS.values())
MOVED = {"datadog": {"env": "staging"}}
ALL = {f"{NAME}-{ordinal}" for ordinal in range(3)}


class Recorder:
    """The fleet of the operator, and the services for which the watch requests a pass."""

    def __init__(self, monkeypatch):
        self.fleet, self.noted = None, set()
        init, note = CachedFleet.__init__, AbsenceWatch.note

        def record_init(fleet, *args):
            init(fleet, *args)
            self.fleet = fleet

        def record_note(watch, services):
            note(watch, services)
            self.noted |= services

        monkeypatch.setattr(CachedFleet, "__init__", record_init)
        monkeypatch.setattr(AbsenceWatch, "note", record_note)

    def view(self, clock):
        return self.fleet.absences(**TAGS, now=clock.wall())


@pytest.mark.parametrize(
    ("change", "is_refused", "absent"),
    [
        (MOVED, False, ALL),
        (MOVED | {"trading": {"interval": "nonsense"}}, False, set()),
        (MOVED, True, set()),
        ({"replicas": 1}, False, {f"{NAME}-1", f"{NAME}-2"}),
        ({"replicas": 1}, True, set()),
    ],
    ids=["moved", "invalid", "move refused", "scaled down", "scaling refused"],
)
def test_only_agents_whose_pods_ended_are_absent(monkeypatch, change, is_refused, absent):
    clock, recorder = clocks.Clock(), Recorder(monkeypatch)

    async def run():
        async with a_world(clock, 1) as world:
            world.server.put(a_datadog_daemon_set(host_ports=True))
            world.server.put(an_agent(uid="uid-agent", replicas=3, datadog=TAGS))
            world.deploy(1)
            await asyncio.sleep(60)
            if is_refused:
                where = {"verb": "write", "resource": "statefulsets"}
                world.plan(Fault(effect="fail", status=403, where=where, times=None))
            world.server.patch(KIND, NS, NAME, {"spec": change}, manager="kubectl-edit")
            await asyncio.sleep(0.2)
            assert SERVICE in recorder.noted
            running = recorder.view(clock).running
            recorder.noted.clear()
            await asyncio.sleep(600)
            # The end of a pod that ran at the time of the view requests another pass.
            assert (SERVICE in recorder.noted) is bool(running & absent)
            view = recorder.view(clock)
            assert (view.absent, view.running) == (absent, ALL - absent)

    clocks.run(clock, run)

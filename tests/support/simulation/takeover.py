"""A write of a former leader that an admission webhook holds until another replica leads and a user changes the spec.

The write was sent while the replica led, so the fence of the lease does not stop it.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.apiserver.faults import Fault
from support.apiserver.kinds import Kind, Obj
from support.apiserver.store import Change
from support.builders import a_datadog_daemon_set, an_agent
from support.simulation import clock as clocks
from support.simulation.hazard import OURS
from support.simulation.operations import KIND, NAME, NS
from support.simulation.world import World, a_world

ROLLOUT_S = 180.0
"""Time until both pods have the new revision, each after its minReadySeconds."""


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """The write of the change `first` is held; `second` follows the takeover. `value` returns what both change."""

    kind: str
    resource: str
    setup: dict[str, Any] = field(default_factory=dict)
    first: dict[str, Any]
    second: dict[str, Any]
    value: Callable[[Obj], Any]


def _mode(config_map: Obj) -> Any:
    return json.loads(config_map["data"]["control.json"])["mode"]


def _replicas(stateful_set: Obj) -> Any:
    return stateful_set["spec"]["replicas"]


def _template(stateful_set: Obj) -> Any:
    return stateful_set["spec"]["template"]["metadata"]["annotations"]


def _ports(policy: Obj) -> Any:
    return policy["spec"]["egress"]


TAKEOVERS = {
    "resume and halt": Takeover(
        kind="ConfigMap",
        resource="configmaps",
        setup={"trading": {"mode": "Halted"}},
        first={"trading": {"mode": "Active"}},
        second={"trading": {"mode": "Halted"}},
        value=_mode,
    ),
    "scale": Takeover(
        kind="StatefulSet",
        resource="statefulsets",
        first={"replicas": 1},
        second={"replicas": 3},
        value=_replicas,
    ),
    "settings": Takeover(
        kind="StatefulSet",
        resource="statefulsets",
        first={"trading": {"interval": "7s"}},
        second={"trading": {"interval": "9s"}},
        value=_template,
    ),
}


def values_after_release(
    name: str, *, is_terminated: bool
) -> tuple[list[Any], Any, dict[str, int]]:
    """Play a takeover. Return the values after the held write was released, the wanted one, and the pod starts.

    The former leader is partitioned, or it is ended with SIGTERM.
    """
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _play(clock, TAKEOVERS[name], is_terminated))


async def _play(
    clock: clocks.Clock, takeover: Takeover, is_terminated: bool
) -> tuple[list[Any], Any, dict[str, int]]:
    async with a_world(clock, 1) as world:
        server = world.server
        server.put(a_datadog_daemon_set(host_ports=True))
        server.put(an_agent(**{"replicas": 2, **takeover.setup}))
        world.deploy(2)
        await asyncio.sleep(60)
        held, partition = _isolate(world, takeover)
        server.patch(KIND, NS, NAME, {"spec": takeover.first})
        await world.wait_for(lambda: held.hits, 5, "the write is held")
        former = world.leader
        assert former is not None
        if is_terminated:
            await former.terminate()
        await world.wait_for(lambda: world.leader not in (None, former), 60, "another leader")
        await asyncio.sleep(20)
        server.patch(KIND, NS, NAME, {"spec": takeover.second})
        await asyncio.sleep(ROLLOUT_S)
        found = server.get(takeover.kind, NS, NAME)
        assert found is not None
        wanted = takeover.value(found)
        values: list[Any] = []
        starts: dict[str, int] = {}

        def observe(kind: Kind, change: Change) -> None:
            if kind.kind == takeover.kind and not change.deleted:
                values.append(takeover.value(change.after))
            if kind.kind == "Pod" and change.before is None:
                name = change.after["metadata"]["name"]
                starts[name] = starts.get(name, 0) + 1

        server.subscribe(observe)
        held.cancel()
        partition.cancel()
        await asyncio.sleep(60)
        found = server.get(takeover.kind, NS, NAME)
        assert found is not None
        values.append(takeover.value(found))
        return values, wanted, starts


def _isolate(world: World, takeover: Takeover) -> tuple[Fault, Fault]:
    leader = world.leader
    assert leader is not None
    assert leader.operator is not None
    client = leader.operator.name
    held = Fault(
        effect="hold", where={**OURS, "client": client, "resource": takeover.resource}, times=None
    )
    lease = Fault(effect="hang", where={"resource": "leases", "client": client}, times=None)
    return world.server.plan(held), world.server.plan(lease)

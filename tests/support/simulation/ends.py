"""Causes that must end a replica: how long that takes, the lease afterwards, and the result of the process."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from purpleflea_operator import handlers, leading
from purpleflea_operator.controllers.agent.informer import Informer
from purpleflea_operator.controllers.halt.controller import HaltController
from purpleflea_operator.controllers.observability.controller import ObservabilityController
from purpleflea_operator.kube.reflector import Reflector
from purpleflea_operator.runtime.leader_election.elector import LeaderElector
from support.apiserver.faults import Fault
from support.builders import a_datadog_daemon_set, an_agent
from support.simulation import clock as clocks
from support.simulation.world import Operator, World, a_world

LEASE = ("Lease", "system", "purpleflea-operator")
OTHER = "another-replica"


@dataclass
class End:
    """The end of a process: seconds after the cause, holder of the lease, and the error; None for exit code 0."""

    after_s: float
    holder: str
    error: BaseException | None


class UnexpectedError(Exception):
    """An error that no code expects."""


Bug = tuple[Any, str]

BUGS: dict[str, Bug] = {
    "reflector": (Reflector, "run"),
    "watches of kopf": (handlers, "watch"),
    "worker": (leading, "run_worker"),
    "informer": (Informer, "run"),
    "observability controller": (ObservabilityController, "run"),
    "halt controller": (HaltController, "run"),
    "renewal of the lease": (LeaderElector, "keep_renewing"),
    "caches": (leading.ReplicaTasks, "_keep_current"),
}
"""Coroutines of the replica, as the object that has them and their name."""


def end_of_bug(name: str, *, returns: bool = False) -> End:
    """Let one task raise an unexpected error, or return, while the replica leads."""
    owner, attribute = BUGS[name]
    trigger = _Trigger(returns)
    with trigger.on(owner, attribute):
        return _end(lambda world: trigger.event.set())


def end_without_credentials() -> End:
    """Answer each request with 401."""

    def revoke(world: World) -> None:
        world.server.plan(Fault(effect="fail", status=401, where={}, times=None))
        world.server.drop_watches(cut=True)

    return _end(revoke)


def end_with_lost_lease() -> End:
    """Let another replica take the lease."""

    def take(world: World) -> None:
        lease = world.server.get(*LEASE)
        assert lease is not None
        lease["spec"]["holderIdentity"] = OTHER
        world.server.put(lease)

    return _end(take)


def end_by_sigterm(resource: str = "") -> End:
    """Send SIGTERM; with a resource, while its first list hangs."""

    def terminate(world: World) -> None:
        operator = world.replicas[0].operator
        assert operator is not None
        operator.stop.set()

    return _end(terminate, hanging=resource)


class _Trigger:
    """Ends a coroutine of the operator when `event` is set."""

    def __init__(self, returns: bool) -> None:
        self.returns = returns
        self.event = asyncio.Event()

    @contextlib.contextmanager
    def on(self, owner: Any, attribute: str) -> Iterator[None]:
        original = getattr(owner, attribute)

        async def ending(*args: Any, **options: Any) -> Any:
            work = asyncio.ensure_future(original(*args, **options))
            due = asyncio.ensure_future(self.event.wait())
            try:
                await asyncio.wait((work, due), return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    return work.result()
                if not self.returns:
                    raise UnexpectedError
            finally:
                work.cancel()
                due.cancel()
                await asyncio.gather(work, due, return_exceptions=True)

        setattr(owner, attribute, ending)
        try:
            yield
        finally:
            setattr(owner, attribute, original)


def _end(cause: Callable[[World], None], *, hanging: str = "") -> End:
    clock = clocks.Clock()

    async def run() -> End:
        async with a_world(clock, 1) as world:
            world.server.put(a_datadog_daemon_set(host_ports=True))
            world.server.put(an_agent(replicas=2))
            if hanging:
                world.server.plan(
                    Fault(effect="hang", where={"verb": "list", "resource": hanging}, times=None)
                )
            world.deploy()
            await asyncio.sleep(30)
            operator = world.replicas[0].operator
            assert operator is not None
            assert _holder(world)
            began = world.now_s
            cause(world)
            return await _wait(world, operator, began)

    return clocks.run(clock, lambda: run())


async def _wait(world: World, operator: Operator, began: float) -> End:
    await asyncio.wait([operator.task], timeout=60)
    assert operator.task.done(), "the process does not end"
    error = None if operator.task.cancelled() else operator.task.exception()
    return End(world.now_s - began, _holder(world), error)


def _holder(world: World) -> str:
    lease = world.server.get(*LEASE)
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")

"""A hazard of the matrix, and the operations that it can have an effect on."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.apiserver.faults import Fault
from support.apiserver.requests import Where
from support.simulation.world import World

WATCH_S = 45.0
WRITE_S = 20.0
OURS: Where = {"verb": "write", "user_agent": "purpleflea-operator", "other_than": "leases"}
Play = Callable[[World], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """A fault.

    after_s: the end state is reached this long after the fault, in addition to the time without a fault.
    halt_s: an agent that is halted during the fault has the mode this long after the request.
    disturb: a change of the cluster that the run without a fault has as well.
    """

    name: str
    play: Play
    after_s: float
    halt_s: float
    replicas: int = 1
    disturb: Play | None = None
    writes: int = 12
    events: int = 12
    """Writes, and Events of Kubernetes, in addition to those without the fault."""
    only: tuple[str, ...] = ()
    """The operations that it can have an effect on; empty if it has one on all but `without`."""
    without: tuple[str, ...] = ()
    restarts_pods: bool = False
    """True if pods have to restart because of it."""
    accepts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By operation: fields of the end state that rightly differ because of the fault."""
    is_racy: bool = False
    """True if the result depends on random delays, so it is run with several seeds."""

    def concerns(self, operation: str) -> bool:
        """Return whether it can have an effect on an operation."""
        return operation not in self.without and operation in (self.only or (operation,))


NO_WRITES = ("delete",)
"""Operations in which the operator writes nothing."""
RESTARTING = ("upgrade",)
"""Operations that end the operator before a fault of its open streams, or of its requests, has an effect."""
CREATING = ("create", "recreate", "move")
HALTS = (
    "halt",
    "stop",
    "resume",
    "PurpleFleaHalt",
    "PurpleFleaHalt-end",
    "PurpleFleaHalt-stop",
)
ENDED = {"PurpleFleaHalt-stop": ("status.firstAcknowledgedAt", "status.lastAcknowledgedAt")}
"""Agents that cannot receive a Stop end after their grace period, so they acknowledge nothing. An operator that is
killed, or that loses its lease, loses the acknowledgements that it has not reported, and ended agents do not repeat
them."""
TEMPLATES = ("update", "scale-up", "scale-down", "stop", "storage", "connection", "upgrade")
"""Operations that change a StatefulSet."""


async def nothing(world: World) -> None:
    """Play no fault."""


def both(**fields: Any) -> list[Fault]:
    """Return faults of the lists and watches of kopf."""
    where: list[Where] = [
        {"verb": verb, "user_agent": "purpleflea-operator"} for verb in ("list", "watch")
    ]
    return [Fault(effect="fail", where=item, times=None, **fields) for item in where]

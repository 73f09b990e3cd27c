"""The identities that agents gave up, by namespace, until the API server has shown that no pod has them any more.

The watch of the pods can be behind without an error, so pods that it never reported can still end. A record costs
nothing until another agent waits for the identity. Only then the pods are read, so an ordinary start needs no read.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import IdentityKey

LIMIT = 10_000
"""Records that are kept. Those of deleted agents whose identity no other agent uses are never read."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    not_before_s: float = 0.0
    error: str = ""


class FormerIdentities:
    """The records. `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[IdentityKey, dict[str, _Record]] = {}
        self._newest: OrderedDict[tuple[IdentityKey, str], None] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._newest)

    def add(self, identity: IdentityKey, namespace: str) -> None:
        """Record that pods of a namespace may have an identity that no agent there claims."""
        self._records.setdefault(identity, {}).setdefault(namespace, _Record())
        self._newest[identity, namespace] = None
        self._newest.move_to_end((identity, namespace))
        if len(self._newest) > LIMIT:
            self.discard(*next(iter(self._newest)))

    def discard(self, identity: IdentityKey, namespace: str) -> None:
        """Remove the record, because no pod has the identity."""
        self._newest.pop((identity, namespace), None)
        records = self._records.get(identity, {})
        records.pop(namespace, None)
        if not records:
            self._records.pop(identity, None)

    def namespaces(self, identity: IdentityKey, *, other_than: str) -> Iterable[str]:
        """Return the other namespaces whose pods may have an identity."""
        return tuple(item for item in self._records.get(identity, ()) if item != other_than)

    def postpone(self, identity: IdentityKey, namespace: str, error: str = "") -> None:
        """Record that a pod still has the identity, or that the pods could not be read."""
        record = self._records.get(identity, {}).get(namespace)
        if record is None:
            return
        delay_s = timings.IDENTITY_READ_RETRY_S * 2.0 ** min(record.failures, 8)
        record.failures += 1
        record.not_before_s = self._clock() + min(delay_s, timings.IDENTITY_READ_LIMIT_S)
        record.error = error

    def wait_s(self, identity: IdentityKey, namespace: str) -> float:
        """Return the seconds until the pods of a namespace may be read; 0 if they may be now."""
        return max(0.0, self._records[identity][namespace].not_before_s - self._clock())

    def error(self, identity: IdentityKey, namespace: str) -> str:
        """Return why the pods could not be read; empty if they could, or were not read yet."""
        return self._records[identity][namespace].error

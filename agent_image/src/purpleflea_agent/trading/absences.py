"""When an order or an escrow that the exchange does not show may be given up as never arrived.

One "no such order" is no proof: a read may be stale, and a wall clock may step. It keeps what it saw in memory only;
after a restart the waiting begins anew, and the market of an order stays closed meanwhile.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

LOST_AFTER_S = 30.0
"""Age from which an order that the exchange does not show never arrived: five times the longest request."""
LOST_AFTER_NOES = 3


@dataclass(slots=True, kw_only=True)
class _Absence:
    since: float
    was_sent_here: bool
    noes: int = 0


class Absences:
    """Orders or escrows of unknown outcome, and how often and how long the exchange has not shown them."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[str, _Absence] = {}

    def begin(self, idempotency_key: str) -> None:
        """It was just sent by this process, and not answered."""
        self._known[idempotency_key] = _Absence(since=self._monotonic(), was_sent_here=True)

    def is_lost(self, idempotency_key: str, *, wall_age_s: float) -> bool:
        """Count one more "no"; whether they are enough. The wall clock counts only for an earlier process's orders."""
        now = self._monotonic()
        absence = self._known.setdefault(idempotency_key, _Absence(since=now, was_sent_here=False))
        absence.noes += 1
        waited_s = now - absence.since
        age_s = waited_s if absence.was_sent_here else max(waited_s, wall_age_s)
        return absence.noes >= LOST_AFTER_NOES and age_s > LOST_AFTER_S

    def end(self, idempotency_key: str) -> None:
        """The outcome is known."""
        self._known.pop(idempotency_key, None)

"""When the exchange is believed on a position against our own fills.

What it told before our last fills it may tell again for as long as it likes: such an answer is merely old. Any other
difference is somebody else's trade, or an older answer still; it is believed once it has stayed the same for as long
as an order is looked for. Closing a position twice opens one: so until then the smaller of both sizes counts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.journal_markets import Holding
from purpleflea_agent.trading.absences import LOST_AFTER_NOES, LOST_AFTER_S


@dataclass(slots=True, kw_only=True)
class _Dispute:
    difference: Decimal
    since: float
    times: int = 0


class Disputes:
    """Positions on which the exchange and our own fills differ, and for how long."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[str, _Dispute] = {}

    def is_won(self, market: str, *, told: Decimal, held: Holding) -> bool:
        """Count one more answer of the exchange; whether it is to be believed against our own fills."""
        if told == held.size:
            self._known.pop(market, None)
            return False
        if told == held.told:
            return False
        now, difference = self._monotonic(), told - held.size
        dispute = self._known.get(market)
        if dispute is None or dispute.difference != difference:
            dispute = self._known[market] = _Dispute(difference=difference, since=now)
        dispute.times += 1
        return dispute.times >= LOST_AFTER_NOES and now - dispute.since > LOST_AFTER_S


def closable(told: Decimal, held: Decimal) -> Decimal:
    """The signed size that may be closed: what both the exchange and our own fills know of."""
    if told * held <= 0:
        return Decimal(0)
    return min(told, held, key=abs)

"""State machine of an escrow: created, then released to the counterparty or cancelled with a refund
to the creator.

created --release--> released
   |-----cancel----> cancelled
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from purpleflea_sandbox.exchange.errors import ConflictError


class EscrowStatus(StrEnum):
    CREATED = "created"
    RELEASED = "released"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEscrow:
    """A request for an escrow."""

    idempotency_key: str
    counterparty_id: str
    amount_usd: Decimal
    description: str = ""

    @property
    def fingerprint(self) -> str:
        parts = (self.counterparty_id, str(self.amount_usd.normalize()), self.description)
        return sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    escrow_id: str
    account_id: int
    request: NewEscrow
    status: EscrowStatus
    created_ms: int
    updated_ms: int


def closed(escrow: Escrow, outcome: EscrowStatus, now_ms: int) -> Escrow:
    """Return the escrow after its only transition.

    Raises ConflictError if the escrow is not in the created state.
    """
    if escrow.status is not EscrowStatus.CREATED:
        raise ConflictError(
            "escrow_state",
            f"escrow {escrow.escrow_id} is {escrow.status}; only a created escrow can change",
        )
    return replace(escrow, status=outcome, updated_ms=now_ms)

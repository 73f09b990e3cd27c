"""Escrows: the amount is taken from the creator immediately and paid to the counterparty or
refunded.

If the counterparty is another agent of the same owner, its account is credited. Any other
counterparty is outside this exchange, so the money leaves the exchange.
"""

import logging
from decimal import Decimal

from purpleflea_sandbox.exchange.core.escrows import Escrow, EscrowStatus, NewEscrow, closed
from purpleflea_sandbox.exchange.errors import ConflictError, NotFoundError
from purpleflea_sandbox.exchange.storage import accounts, escrows
from purpleflea_sandbox.exchange.storage.accounts import Account, EntryKind, LedgerEntry
from purpleflea_sandbox.exchange.venue.context import VenueContext, fresh_id

logger = logging.getLogger(__name__)


def create(venue: VenueContext, account: Account, request: NewEscrow) -> tuple[Escrow, bool]:
    """Lock an amount; return the escrow and whether it is new (False if the idempotency key already
    has an escrow).
    """
    known = escrows.find_by_idempotency_key(
        venue.database, account.account_id, request.idempotency_key
    )
    if known is not None:
        return _replayed(known, request), False
    free = venue.holdings(account).free_usd
    if request.amount_usd > free:
        raise ConflictError(
            "insufficient_balance", f"amount_usd exceeds the {free:.2f} USD that are available"
        )
    now_ms = venue.clock()
    escrow = Escrow(
        escrow_id=fresh_id("esc"),
        account_id=account.account_id,
        request=request,
        status=EscrowStatus.CREATED,
        created_ms=now_ms,
        updated_ms=now_ms,
    )
    with venue.database.transaction():
        escrows.add(venue.database, escrow)
        _post(venue, escrow, account, EntryKind.ESCROW_LOCK)
    _log(account, escrow)
    return escrow, True


def get(venue: VenueContext, account: Account, escrow_id: str) -> Escrow:
    escrow = escrows.find(venue.database, account.account_id, escrow_id)
    if escrow is None:
        raise NotFoundError("unknown_escrow", f"no escrow {escrow_id} in this account")
    return escrow


def release(venue: VenueContext, account: Account, escrow_id: str) -> Escrow:
    """Pay the counterparty."""
    escrow = closed(get(venue, account, escrow_id), EscrowStatus.RELEASED, venue.clock())
    payee = accounts.find(venue.database, account.owner, escrow.request.counterparty_id)
    with venue.database.transaction():
        escrows.update(venue.database, escrow)
        if payee is not None:
            _post(venue, escrow, payee, EntryKind.ESCROW_RECEIPT)
    _log(account, escrow)
    return escrow


def cancel(venue: VenueContext, account: Account, escrow_id: str) -> Escrow:
    """Refund the creator."""
    escrow = closed(get(venue, account, escrow_id), EscrowStatus.CANCELLED, venue.clock())
    with venue.database.transaction():
        escrows.update(venue.database, escrow)
        _post(venue, escrow, account, EntryKind.ESCROW_REFUND)
    _log(account, escrow)
    return escrow


def _replayed(known: Escrow, request: NewEscrow) -> Escrow:
    if known.request.fingerprint != request.fingerprint:
        raise ConflictError(
            "idempotency_conflict",
            f"Idempotency-Key {request.idempotency_key!r} already belongs to another escrow ({known.escrow_id})",
        )
    return known


def _post(venue: VenueContext, escrow: Escrow, account: Account, kind: EntryKind) -> None:
    sign = Decimal(-1) if kind is EntryKind.ESCROW_LOCK else Decimal(1)
    entry = LedgerEntry(
        account_id=account.account_id,
        kind=kind,
        amount_usd=sign * escrow.request.amount_usd,
        reference=escrow.escrow_id,
        at_ms=escrow.updated_ms,
    )
    accounts.post(venue.database, entry)


def _log(account: Account, escrow: Escrow) -> None:
    logger.info(
        "escrow %s",
        escrow.status,
        extra={
            "agent_id": account.agent_id,
            "escrow_id": escrow.escrow_id,
            "amount_usd": str(escrow.request.amount_usd),
        },
    )

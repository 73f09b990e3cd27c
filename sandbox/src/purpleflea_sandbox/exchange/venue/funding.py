"""Funding of accounts: the start balance of a new account, the faucet, and manual adjustments.

Every amount is an entry of the account, so its cash can always be explained.
"""

import logging
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_sandbox.exchange.errors import NotFoundError, TooManyError
from purpleflea_sandbox.exchange.storage import accounts
from purpleflea_sandbox.exchange.storage.accounts import Account, EntryKind, LedgerEntry
from purpleflea_sandbox.exchange.venue.context import VenueContext, fresh_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaucetClaim:
    """One faucet payment."""

    claim_id: str
    credited_usd: Decimal


def account(venue: VenueContext, owner_name: str, agent_id: str) -> Account:
    """Return the account of an agent; it is opened with the start balance on first use."""
    known = accounts.find(venue.database, owner_name, agent_id)
    return known or _opened(venue, owner_name, agent_id)


def claim_faucet(venue: VenueContext, claimant: Account) -> FaucetClaim:
    """Pay the faucet amount, once per window and account.

    Raises TooManyError inside the window.
    """
    now_ms = venue.clock()
    last_ms = accounts.last_entry_ms(venue.database, claimant.account_id, EntryKind.FAUCET)
    if last_ms is not None:
        remaining_ms = last_ms + venue.terms.faucet_window_s * 1000 - now_ms
        if remaining_ms > 0:
            raise TooManyError(
                "faucet_window",
                "the faucet has already paid this agent in the current window",
                retry_after_s=-(-remaining_ms // 1000),
            )
    claim = FaucetClaim(claim_id=fresh_id("clm"), credited_usd=venue.terms.faucet_amount_usd)
    entry = _credit(
        claimant.account_id, EntryKind.FAUCET, claim.credited_usd, claim.claim_id, now_ms
    )
    with venue.database.transaction():
        accounts.post(venue.database, entry)
    logger.info("faucet claimed", extra={"agent_id": claimant.agent_id, "claim_id": claim.claim_id})
    return claim


def adjust(venue: VenueContext, owner_name: str, agent_id: str, cash_usd: Decimal) -> Account:
    """Set the cash of an account, to simulate a loss, an empty wallet or a deposit; the operation
    is idempotent.

    Raises NotFoundError if the account does not exist.
    """
    known = accounts.find(venue.database, owner_name, agent_id)
    if known is None:
        raise NotFoundError("unknown_account", "no such account; /admin/accounts lists them all")
    change = cash_usd - known.cash_usd
    if change:
        entry = _credit(
            known.account_id, EntryKind.ADJUSTMENT, change, fresh_id("adj"), venue.clock()
        )
        with venue.database.transaction():
            accounts.post(venue.database, entry)
        logger.info("cash adjusted", extra={"agent_id": agent_id, "owner": owner_name})
    return accounts.get(venue.database, known.account_id)


def _opened(venue: VenueContext, owner_name: str, agent_id: str) -> Account:
    now_ms = venue.clock()
    deposit = venue.terms.start_balance_usd
    with venue.database.transaction():
        account_id = accounts.add(venue.database, owner_name, agent_id, now_ms)
        accounts.post(
            venue.database,
            _credit(account_id, EntryKind.OPENING_DEPOSIT, deposit, "start balance", now_ms),
        )
    logger.info("account opened", extra={"agent_id": agent_id, "owner": owner_name})
    return accounts.get(venue.database, account_id)


def _credit(
    account_id: int, kind: EntryKind, amount: Decimal, reference: str, at_ms: int
) -> LedgerEntry:
    return LedgerEntry(
        account_id=account_id, kind=kind, amount_usd=amount, reference=reference, at_ms=at_ms
    )

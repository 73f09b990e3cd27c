"""Wallet, escrow, faucet, and registration of keys."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from purpleflea_sandbox.exchange.api import views
from purpleflea_sandbox.exchange.api.decimals import text
from purpleflea_sandbox.exchange.api.dependencies import (
    Caller,
    CurrentVenue,
    IdempotencyKey,
    State,
    require_rate,
)
from purpleflea_sandbox.exchange.api.models import (
    BalanceView,
    ClaimView,
    EscrowBody,
    EscrowsView,
    EscrowView,
    KeyView,
)
from purpleflea_sandbox.exchange.api.problems import documented
from purpleflea_sandbox.exchange.core.escrows import NewEscrow
from purpleflea_sandbox.exchange.errors import InvalidError
from purpleflea_sandbox.exchange.storage import escrows
from purpleflea_sandbox.exchange.venue import access, escrow, funding

router = APIRouter(responses=documented(401, 422, 429))

EscrowId = Annotated[str, Path(max_length=64)]


@router.get("/v1/balance", tags=["wallet"])
async def balance(venue: CurrentVenue, caller: Caller) -> BalanceView:
    return views.balance_view(venue.holdings(caller))


@router.post(
    "/v1/escrow",
    tags=["escrow"],
    status_code=201,
    responses={
        **documented(409),
        200: {
            "model": EscrowView,
            "description": "The idempotency key was already used: the existing escrow",
        },
    },
)
async def create_escrow(
    body: EscrowBody,
    idempotency_key: IdempotencyKey,
    venue: CurrentVenue,
    caller: Caller,
    response: Response,
) -> EscrowView:
    """Lock an amount for a counterparty."""
    # The precision of a dollar token; it also keeps every sum within the 28 digits of Decimal.
    if not body.amount_usd or body.amount_usd != round(body.amount_usd, 6):
        raise InvalidError(
            "invalid_amount", "amount_usd must be more than 0, with at most 6 decimals"
        )
    request = NewEscrow(
        idempotency_key=idempotency_key,
        counterparty_id=body.counterparty_id,
        amount_usd=body.amount_usd,
        description=body.description,
    )
    created, is_new = escrow.create(venue, caller, request)
    response.status_code = 201 if is_new else 200
    return views.escrow_view(created)


@router.get("/v1/escrow", tags=["escrow"])
async def find_escrow(
    idempotency_key: Annotated[str, Query(max_length=128)], venue: CurrentVenue, caller: Caller
) -> EscrowsView:
    """Find the escrow of an idempotency key after a response was lost; the list is empty if there
    is none.
    """
    known = escrows.find_by_idempotency_key(venue.database, caller.account_id, idempotency_key)
    return EscrowsView(escrows=[views.escrow_view(known)] if known else [])


@router.get("/v1/escrow/{escrow_id}", tags=["escrow"], responses=documented(404))
async def get_escrow(escrow_id: EscrowId, venue: CurrentVenue, caller: Caller) -> EscrowView:
    return views.escrow_view(escrow.get(venue, caller, escrow_id))


@router.post("/v1/escrow/{escrow_id}/release", tags=["escrow"], responses=documented(404, 409))
async def release_escrow(escrow_id: EscrowId, venue: CurrentVenue, caller: Caller) -> EscrowView:
    """Pay the counterparty.

    If the escrow was already released or cancelled, the response is 409.
    """
    return views.escrow_view(escrow.release(venue, caller, escrow_id))


@router.post("/v1/escrow/{escrow_id}/cancel", tags=["escrow"], responses=documented(404, 409))
async def cancel_escrow(escrow_id: EscrowId, venue: CurrentVenue, caller: Caller) -> EscrowView:
    """Refund the creator. If the escrow was already released or cancelled, the response is 409."""
    return views.escrow_view(escrow.cancel(venue, caller, escrow_id))


@router.post("/faucet/claim", tags=["faucet"])
async def claim_faucet(venue: CurrentVenue, caller: Caller) -> ClaimView:
    """Credit paper dollars once per window; inside the window the response is 429 with Retry-After."""
    claim = funding.claim_faucet(venue, caller)
    return ClaimView(claim_id=claim.claim_id, credited_usd=text(claim.credited_usd))


@router.post("/v1/auth/register", tags=["keys"], status_code=201)
async def register(state: State) -> KeyView:
    """Create a new key with its own accounts; this operation needs no key."""
    require_rate(state.registrations, "all callers", state.venue.clock())
    return KeyView(api_key=access.register(state.venue))

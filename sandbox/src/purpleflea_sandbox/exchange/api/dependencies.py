"""Dependencies of all operations: the venue, the account of the caller, and authorization.

Checks run in this sequence: key, rate limit, agent. If a stale fault is active, the venue is
replaced by a snapshot; the operations do not need to handle it.
"""

import hmac
from typing import Annotated, cast

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from purpleflea_sandbox.exchange.api.models import AGENT_ID_PATTERN
from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.core.orders import AT_ONCE, FillPlan
from purpleflea_sandbox.exchange.core.rate_limit import RateLimit
from purpleflea_sandbox.exchange.errors import ForbiddenError, TooManyError, UnauthorizedError
from purpleflea_sandbox.exchange.storage.accounts import Account
from purpleflea_sandbox.exchange.venue import access, funding
from purpleflea_sandbox.exchange.venue.context import VenueContext, fresh_id

STALE, PLAN = "purpleflea.stale", "purpleflea.fill_plan"
"""Keys of the scope that a fault sets: the age of a stale read, and the course of the fills."""

_key_scheme = HTTPBearer(auto_error=False, scheme_name="ApiKey", bearerFormat="pf_paper_<32 hex>")
_admin_scheme = HTTPBearer(auto_error=False, scheme_name="AdminToken")

Key = Annotated[HTTPAuthorizationCredentials | None, Depends(_key_scheme)]
Token = Annotated[HTTPAuthorizationCredentials | None, Depends(_admin_scheme)]
AgentId = Annotated[
    str,
    Header(
        alias="X-Agent-Id",
        pattern=AGENT_ID_PATTERN,
        description="The sub-account under the key.",
    ),
]


async def idempotency_key(
    given: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=128,
            description="Identifies the intent: requests with the same key and body take effect once. "
            "If omitted, every request is a new intent.",
        ),
    ] = None,
) -> str:
    """Return the caller's key, or a generated key; a request with a generated key cannot be retried
    safely.
    """
    return given or fresh_id("key")


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


async def app_state(request: Request) -> AppState:
    return cast("AppState", request.app.state.exchange)


State = Annotated[AppState, Depends(app_state)]


async def current_venue(request: Request, state: State) -> VenueContext:
    age_ms: int | None = request.scope.get(STALE)
    return state.venue if age_ms is None else state.past.at_age(age_ms)


CurrentVenue = Annotated[VenueContext, Depends(current_venue)]


async def fill_plan(request: Request) -> FillPlan:
    return cast("FillPlan", request.scope.get(PLAN, AT_ONCE))


Plan = Annotated[FillPlan, Depends(fill_plan)]


async def owner(state: State, key: Key) -> str:
    """Return the owner of the bearer key, and apply its rate limit."""
    if key is None:
        raise UnauthorizedError("missing_key", "send the API key as `Authorization: Bearer <key>`")
    known = access.owner(state.venue, state.key_file, key.credentials)
    require_rate(state.rate_limit, access.hash_of(key.credentials), state.venue.clock())
    return known


Owner = Annotated[str, Depends(owner)]


async def account(venue: CurrentVenue, owner_name: Owner, agent_id: AgentId = "default") -> Account:
    return funding.account(venue, owner_name, agent_id)


Caller = Annotated[Account, Depends(account)]


async def admin(state: State, token: Token) -> None:
    """Require the admin token; if no token is configured, every request is rejected."""
    if state.admin_token is None:
        raise ForbiddenError(
            "admin_closed", "the admin API is closed; set EXCHANGE_ADMIN_TOKEN to open it"
        )
    given = "" if token is None else token.credentials
    if not hmac.compare_digest(given.encode(), state.admin_token.encode()):
        raise UnauthorizedError(
            "wrong_admin_token", "send the admin token as `Authorization: Bearer <token>`"
        )


def require_rate(limit: RateLimit, caller: str, now_ms: int) -> None:
    wait_s = limit.wait_s(caller, now_ms)
    if wait_s:
        raise TooManyError("rate_limited", "too many requests under this key", retry_after_s=wait_s)

"""What every operation asks first: which venue, whose account, and whether the caller may.

Order: key, rate limit, agent. A stale fault swaps the venue underneath; nobody else notices.
"""

import hmac
from typing import Annotated, cast

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from purpleflea_sandbox.exchange.api.models import AGENT_ID_PATTERN
from purpleflea_sandbox.exchange.core.rate_limit import RateLimit
from purpleflea_sandbox.exchange.errors import ForbiddenError, TooManyError, UnauthorizedError
from purpleflea_sandbox.exchange.house import House
from purpleflea_sandbox.exchange.storage.accounts import Account
from purpleflea_sandbox.exchange.venue import access, cashier
from purpleflea_sandbox.exchange.venue.place import Venue, fresh_id

STALE = "purpleflea.stale"

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
            description="Names the intent: the same key and body never act twice. Left out, each request is one.",
        ),
    ] = None,
) -> str:
    """The caller's key, or one of our own: such a request cannot be repeated safely."""
    return given or fresh_id("key")


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


async def house(request: Request) -> House:
    return cast("House", request.app.state.house)


Premises = Annotated[House, Depends(house)]


async def venue(request: Request, premises: Premises) -> Venue:
    if request.scope.get(STALE) and premises.stale_venue is not None:
        return premises.stale_venue
    return premises.venue


AtVenue = Annotated[Venue, Depends(venue)]


async def owner(premises: Premises, key: Key) -> str:
    """The owner of the bearer key, within its rate limit."""
    if key is None:
        raise UnauthorizedError("missing_key", "send the API key as `Authorization: Bearer <key>`")
    known = access.owner(premises.venue, premises.key_file, key.credentials)
    require_rate(premises.rate_limit, access.hash_of(key.credentials), premises.venue.clock())
    return known


Owner = Annotated[str, Depends(owner)]


async def account(at: AtVenue, owner_name: Owner, agent_id: AgentId = "default") -> Account:
    return cashier.account(at, owner_name, agent_id)


Caller = Annotated[Account, Depends(account)]


async def admin(premises: Premises, token: Token) -> None:
    """Let the holder of the admin token in; without a token configured nobody is."""
    if premises.admin_token is None:
        raise ForbiddenError(
            "admin_closed", "the admin API is closed; set EXCHANGE_ADMIN_TOKEN to open it"
        )
    given = "" if token is None else token.credentials
    if not hmac.compare_digest(given.encode(), premises.admin_token.encode()):
        raise UnauthorizedError(
            "wrong_admin_token", "send the admin token as `Authorization: Bearer <token>`"
        )


def require_rate(limit: RateLimit, caller: str, now_ms: int) -> None:
    wait_s = limit.wait_s(caller, now_ms)
    if wait_s:
        raise TooManyError("rate_limited", "too many requests under this key", retry_after_s=wait_s)

"""Access to routes: the bearer token for those that read or change orders and escrows, and for the account's data.

Without a token file, routes that move money are closed, and the account's data is for clients in the pod only.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from purpleflea_agent.api.problems import Problem
from purpleflea_agent.application import Application

_bearer = HTTPBearer(auto_error=False, description="Content of the mounted token file.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]

LOOPBACK = frozenset({"127.0.0.1", "::1"})
"""Exact addresses, because proxies of a service mesh in the pod connect from others, such as 127.0.0.6."""
LOOPBACK_NAMES = LOOPBACK | {"localhost", "[::1]"}
FORWARDED = ("forwarded", "x-forwarded-for")


def token_check(agent: Application) -> Callable[[Credentials], Awaitable[None]]:
    """Return the dependency of a route that requires the token."""

    async def authorized(credentials: Credentials) -> None:
        token = _token(agent)
        if token is None:
            raise Problem(403, "closed", "no API token is mounted: this endpoint is closed")
        _compare(credentials.credentials if credentials else "", token)

    return authorized


def account_check(agent: Application) -> Callable[[Request, Credentials], Awaitable[bool]]:
    """Return the dependency of a route that shows the account: whether the request may get the account's data.

    A wrong token is an error, so that a client with an old token notices it.
    """

    async def may_read_account(request: Request, credentials: Credentials) -> bool:
        if agent.settings.api.status_access == "Network":
            return True
        if agent.token_file is None:
            return _is_from_the_pod(request)
        token = _token(agent)
        if token is None or credentials is None:
            return False
        _compare(credentials.credentials, token)
        return True

    return may_read_account


def _token(agent: Application) -> str | None:
    return agent.token_file.key() if agent.token_file else None


def _compare(given: str, token: str) -> None:
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Problem(
            401,
            "unauthorized",
            "the bearer token is missing or wrong",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _is_from_the_pod(request: Request) -> bool:
    """Return whether a client in the pod sent the request itself: kubectl port-forward, or a container of the pod.

    A proxy in the pod adds a header. The Host must be local too, because a page in a browser beside kubectl
    port-forward can reach the port under the name of its site (DNS rebinding).
    """
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address) in LOOPBACK and request.url.hostname in LOOPBACK_NAMES

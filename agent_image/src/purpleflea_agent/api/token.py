"""The bearer token of the routes that read or change orders and escrows. Without a token file they are closed."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from purpleflea_agent.api.problems import Problem
from purpleflea_agent.application import Application

_bearer = HTTPBearer(auto_error=False, description="Content of the mounted token file.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def token_check(agent: Application) -> Callable[[Credentials], Awaitable[None]]:
    """Return the dependency of a route that requires the token."""

    async def authorized(credentials: Credentials) -> None:
        token = agent.token_file.key() if agent.token_file else None
        if token is None:
            raise Problem(403, "closed", "no API token is mounted: this endpoint is closed")
        given = credentials.credentials if credentials else ""
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise Problem(
                401,
                "unauthorized",
                "the bearer token is missing or wrong",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return authorized

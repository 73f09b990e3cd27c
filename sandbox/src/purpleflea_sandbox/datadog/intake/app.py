"""The composition root of the intake and the API: one store, one organisation, one server."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from purpleflea_sandbox.datadog import servers
from purpleflea_sandbox.datadog.api.application import add_routes
from purpleflea_sandbox.datadog.api.keys import ApplicationKey, KeyRing
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.intake import read, receive
from purpleflea_sandbox.datadog.intake.store import Store

logger = logging.getLogger(__name__)

_LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the intake listens and which keys it accepts (empty: any)."""

    host: str = "0.0.0.0"  # noqa: S104 - it is a server in a container
    port: int = 8080
    api_key: str = ""
    application_key: str = ""


def from_environment(environment: Mapping[str, str]) -> Settings:
    port = environment.get("SANDBOX_INTAKE_PORT", "8080")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"SANDBOX_INTAKE_PORT is {port!r}; it must be a port from 0 to 65535")
    return Settings(
        port=int(port),
        api_key=environment.get("DD_API_KEY", ""),
        application_key=environment.get("DD_APP_KEY", ""),
    )


def organisation(settings: Settings, store: Store) -> Organisation:
    """An empty organisation on a given store."""
    given = settings.application_key
    keys = KeyRing(settings.api_key, [ApplicationKey(key=given)] if given else [])
    return Organisation(store, keys)


def application(
    store: Store, api_key: str = "", org: Organisation | None = None
) -> web.Application:
    """The server on a given store, and on a given organisation where there is one."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    add_routes(app, org or organisation(Settings(api_key=api_key), store), receive.DATA_PATHS)
    receive.add_routes(app, store, api_key)
    read.add_routes(app, store)
    return app


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    store = Store()
    app = application(store, settings.api_key, organisation(settings, store))
    async with servers.served(app, settings.host, settings.port) as port:
        logger.info("intake listens on port %d", port)
        await stop.wait()

"""Composition root of the intake, the API and the fleet page: one store, one organization, one server."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from purpleflea_sandbox.datadog import servers
from purpleflea_sandbox.datadog.api.application import add_routes
from purpleflea_sandbox.datadog.api.keys import ApplicationKey, KeyRing
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.evaluation_bridge import EVALUATION_INTERVAL_S, EvaluationBridge
from purpleflea_sandbox.datadog.intake import read, receive
from purpleflea_sandbox.datadog.intake.store import Store

logger = logging.getLogger(__name__)

_MAX_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """Address of the intake, and the keys it accepts. If a key is empty, any key is accepted."""

    host: str = "0.0.0.0"  # noqa: S104 - a server in a container
    port: int = 8080
    api_key: str = ""
    application_key: str = ""
    webhooks: Mapping[str, str] = field(default_factory=dict)
    evaluation_interval_s: float = EVALUATION_INTERVAL_S


def from_environment(environment: Mapping[str, str]) -> IntakeSettings:
    port = environment.get("SANDBOX_INTAKE_PORT", "8080")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"SANDBOX_INTAKE_PORT is {port!r}; it must be a port from 0 to 65535")
    return IntakeSettings(
        port=int(port),
        api_key=environment.get("DD_API_KEY", ""),
        application_key=environment.get("DD_APP_KEY", ""),
        webhooks=_webhooks(environment.get("SANDBOX_WEBHOOKS", "")),
    )


def _webhooks(text: str) -> Mapping[str, str]:
    """Parse name=address pairs, separated by spaces."""
    pairs = [pair.partition("=") for pair in text.split()]
    for name, _, address in pairs:
        if not name or not address.startswith(("http://", "https://")):
            raise ValueError(f"SANDBOX_WEBHOOKS is {text!r}; it must be name=http://address ...")
    return {name: address for name, _, address in pairs}


def organisation(settings: IntakeSettings, store: Store) -> Organisation:
    """Create an empty organization on a given store."""
    given = settings.application_key
    keys = KeyRing(settings.api_key, [ApplicationKey(key=given)] if given else [])
    return Organisation(store, keys)


def application(
    store: Store,
    api_key: str = "",
    org: Organisation | None = None,
    bridge: EvaluationBridge | None = None,
) -> web.Application:
    """Create the server on a given store, and on a given organization if there is one."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    org = org or organisation(IntakeSettings(api_key=api_key), store)
    add_routes(app, org, receive.DATA_PATHS)
    (bridge or EvaluationBridge(org, {})).add_routes(app)
    receive.add_routes(app, store, api_key)
    read.add_routes(app, store)
    return app


async def run(settings: IntakeSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    store = Store()
    org = organisation(settings, store)
    bridge = EvaluationBridge(org, settings.webhooks)
    app = application(store, settings.api_key, org, bridge)
    async with (
        servers.served(app, settings.host, settings.port) as port,
        bridge.running(settings.evaluation_interval_s),
    ):
        logger.info("intake is listening on port %d", port)
        await stop.wait()

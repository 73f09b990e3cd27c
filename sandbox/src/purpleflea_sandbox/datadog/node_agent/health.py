"""Health and status of the node agent over HTTP: /live, /ready, /startup and /status.

Ready means that the node agent listens and has the list of pods, so that it can add their tags. If the intake is
unreachable, the node agent stays ready, because otherwise the agents' data would have no receiver.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

Checks = Callable[[], Mapping[str, bool]]
Status = Callable[[], Mapping[str, Any]]


def application(*, checks: Checks, status: Status) -> web.Application:
    """Create the health server; `checks` returns for each part if it works."""

    async def live(request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(request: web.Request) -> web.Response:
        results = checks()
        return web.json_response(dict(results), status=200 if all(results.values()) else 503)

    async def show(request: web.Request) -> web.Response:
        return web.json_response({"checks": dict(checks()), **status()})

    app = web.Application()
    app.router.add_get("/live", live)
    app.router.add_get("/ready", ready)
    app.router.add_get("/startup", ready)
    app.router.add_get("/status", show)
    return app

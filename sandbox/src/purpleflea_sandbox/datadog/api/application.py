"""Mount all API routes on an aiohttp application, and the routes that control the stand-in itself.

The control routes (/faults, /keys, /calls, /received) need no key, because they are reachable on this machine only.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from purpleflea_sandbox.datadog.api import (
    ci_tests,
    dashboards,
    deployments,
    entrance,
    events,
    log_config,
    metrics,
    monitors,
    notebooks,
    scanner,
    slos,
    validation,
)
from purpleflea_sandbox.datadog.api.faults import Installed, fault
from purpleflea_sandbox.datadog.api.keys import ApplicationKey
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.api.routing import Route

_FAMILIES = (
    validation,
    monitors,
    slos,
    dashboards,
    log_config,
    metrics,
    notebooks,
    scanner,
    events,
    deployments,
    ci_tests,
)


def routes() -> Iterable[Route]:
    """Yield every endpoint of the API, fixed paths before variable paths."""
    for family in _FAMILIES:
        yield from family.routes()


def add_routes(app: web.Application, organisation: Organisation, data_paths: Iterable[str]) -> None:
    """Mount the API. `data_paths` are the intake routes: faults apply to them, but the request log omits them."""
    app.middlewares.append(entrance.journal_and_faults(organisation, frozenset(data_paths)))
    for route in routes():
        app.router.add_route(route.method, route.path, entrance.handler(organisation, route))
    handle = _Handling(organisation)
    app.router.add_get("/faults", handle.faults)
    app.router.add_put("/faults", handle.replace_faults)
    app.router.add_delete("/faults", handle.remove_faults)
    app.router.add_get("/keys", handle.keys)
    app.router.add_put("/keys", handle.replace_keys)
    app.router.add_get("/calls", handle.calls)
    app.router.add_delete("/calls", handle.forget_calls)
    app.router.add_get("/received/tests", handle.tests)
    app.router.add_get("/received/deployments", handle.deployments)


class _Handling:
    """Handlers of the stand-in's own control routes."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def faults(self, request: web.Request) -> web.Response:
        return web.json_response([_shown(one) for one in self._organisation.faults.installed])

    async def replace_faults(self, request: web.Request) -> web.Response:
        """Replace all faults. If several match a call, they are tried in the given sequence."""
        try:
            self._organisation.faults.replace([fault(one) for one in await _list(request)])
        except ValueError as error:
            return web.json_response({"errors": [str(error)]}, status=400)
        return await self.faults(request)

    async def remove_faults(self, request: web.Request) -> web.Response:
        self._organisation.faults.replace(())
        return web.Response(status=204)

    async def keys(self, request: web.Request) -> web.Response:
        keys = self._organisation.keys.application_keys.values()
        return web.json_response(
            [{"key": one.key, "scopes": one.scopes and sorted(one.scopes)} for one in keys]
        )

    async def replace_keys(self, request: web.Request) -> web.Response:
        """Replace the application keys. If `scopes` is null or missing, the key is unscoped."""
        try:
            self._organisation.keys.replace([_key(one) for one in await _list(request)])
        except (ValueError, TypeError, KeyError) as error:
            return web.json_response({"errors": [f"no list of keys: {error}"]}, status=400)
        return await self.keys(request)

    async def calls(self, request: web.Request) -> web.Response:
        entries = self._organisation.journal.entries
        shown = [
            {"method": e.method, "path": e.path, "query": e.query, "status": e.status}
            for e in entries
        ]
        return web.json_response({"calls": shown})

    async def tests(self, request: web.Request) -> web.Response:
        """Return test results (sessions, modules, suites and tests), oldest first."""
        return web.json_response({"tests": list(self._organisation.tests)})

    async def deployments(self, request: web.Request) -> web.Response:
        """Return deployments, oldest first."""
        stored = self._organisation.deployments.items()
        return web.json_response({"deployments": [{"id": one, **rest} for one, rest in stored]})

    async def forget_calls(self, request: web.Request) -> web.Response:
        self._organisation.journal.clear()
        return web.Response(status=204)


async def _list(request: web.Request) -> list[Mapping[str, Any]]:
    document = json.loads(await request.read())
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise ValueError("the body has to be a list of objects")
    return document


def _key(document: Mapping[str, Any]) -> ApplicationKey:
    scopes = document.get("scopes")
    return ApplicationKey(
        key=str(document["key"]), scopes=None if scopes is None else frozenset(map(str, scopes))
    )


def _shown(item: Installed) -> dict[str, Any]:
    one = item.fault
    return {
        "kind": str(one.kind),
        "method": one.method,
        "path_prefix": one.path_prefix,
        "ms": one.ms,
        "status": one.status,
        "reset_s": one.reset_s,
        "skip": one.skip,
        "times": one.times,
        "hits": item.hits,
    }

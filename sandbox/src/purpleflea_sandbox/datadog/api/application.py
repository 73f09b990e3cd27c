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
    downtimes,
    events,
    log_config,
    metrics,
    middleware,
    monitors,
    notebooks,
    scanner,
    slos,
    validation,
)
from purpleflea_sandbox.datadog.api.faults import InstalledApiFault, fault
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
    downtimes,
    ci_tests,
)


def routes() -> Iterable[Route]:
    """Yield every endpoint of the API, fixed paths before variable paths."""
    for family in _FAMILIES:
        yield from family.routes()


def add_routes(app: web.Application, organisation: Organisation, data_paths: Iterable[str]) -> None:
    """Mount the API. `data_paths` are the intake routes: faults apply to them, but the request log omits them."""
    app.middlewares.append(
        middleware.log_requests_and_inject_faults(organisation, frozenset(data_paths))
    )
    for route in routes():
        app.router.add_route(route.method, route.path, middleware.handler(organisation, route))
    control = _ControlRoutes(organisation)
    app.router.add_get("/faults", control.faults)
    app.router.add_put("/faults", control.replace_faults)
    app.router.add_delete("/faults", control.remove_faults)
    app.router.add_get("/keys", control.keys)
    app.router.add_put("/keys", control.replace_keys)
    app.router.add_get("/calls", control.calls)
    app.router.add_delete("/calls", control.clear_calls)
    app.router.add_get("/received/tests", control.tests)
    app.router.add_get("/received/deployments", control.deployments)


class _ControlRoutes:
    """Handlers of the stand-in's own control routes."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation

    async def faults(self, request: web.Request) -> web.Response:
        return web.json_response(
            [_fault_json(item) for item in self._organisation.faults.installed]
        )

    async def replace_faults(self, request: web.Request) -> web.Response:
        """Replace all faults. If several match a call, they are tried in the given sequence."""
        try:
            self._organisation.faults.replace([fault(item) for item in await _list(request)])
        except ValueError as error:
            return web.json_response({"errors": [str(error)]}, status=400)
        return await self.faults(request)

    async def remove_faults(self, request: web.Request) -> web.Response:
        self._organisation.faults.replace(())
        return web.Response(status=204)

    async def keys(self, request: web.Request) -> web.Response:
        keys = self._organisation.keys.application_keys.values()
        return web.json_response(
            [{"key": key.key, "scopes": key.scopes and sorted(key.scopes)} for key in keys]
        )

    async def replace_keys(self, request: web.Request) -> web.Response:
        """Replace the application keys. If `scopes` is null or missing, the key is unscoped."""
        try:
            self._organisation.keys.replace(
                [_application_key(item) for item in await _list(request)]
            )
        except (ValueError, TypeError, KeyError) as error:
            return web.json_response({"errors": [f"invalid list of keys: {error}"]}, status=400)
        return await self.keys(request)

    async def calls(self, request: web.Request) -> web.Response:
        entries = self._organisation.request_log.entries
        shown = [
            {
                "method": entry.method,
                "path": entry.path,
                "query": entry.query,
                "status": entry.status,
            }
            for entry in entries
        ]
        return web.json_response({"calls": shown})

    async def tests(self, request: web.Request) -> web.Response:
        """Return test results (sessions, modules, suites and tests), oldest first."""
        return web.json_response({"tests": list(self._organisation.tests)})

    async def deployments(self, request: web.Request) -> web.Response:
        """Return deployments, oldest first."""
        stored = self._organisation.deployments.items()
        return web.json_response(
            {"deployments": [{"id": identifier, **attributes} for identifier, attributes in stored]}
        )

    async def clear_calls(self, request: web.Request) -> web.Response:
        self._organisation.request_log.clear()
        return web.Response(status=204)


async def _list(request: web.Request) -> list[Mapping[str, Any]]:
    document = json.loads(await request.read())
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise ValueError("the body has to be a list of objects")
    return document


def _application_key(document: Mapping[str, Any]) -> ApplicationKey:
    scopes = document.get("scopes")
    return ApplicationKey(
        key=str(document["key"]), scopes=None if scopes is None else frozenset(map(str, scopes))
    )


def _fault_json(item: InstalledApiFault) -> dict[str, Any]:
    fault = item.fault
    return {
        "kind": str(fault.kind),
        "method": fault.method,
        "path_prefix": fault.path_prefix,
        "ms": fault.ms,
        "status": fault.status,
        "reset_s": fault.reset_s,
        "skip": fault.skip,
        "times": fault.times,
        "hits": item.hits,
    }

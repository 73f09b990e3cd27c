"""A POST route that answers only clients in the pod of the operator, such as `kubectl port-forward`.

The HTTP server reads no credentials, and other pods can reach its port. So the API server decides who may use such a
route: it requires the right on pods/portforward in the namespace of the operator. The module has no resource in it.
"""

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

import orjson
from aiohttp import web

Answer = Callable[[Any], tuple[int, Mapping[str, Any]]]
"""Returns the status code and the content of the answer to the JSON document of a request."""
Handler = Callable[[web.Request], Awaitable[web.Response]]


def local_route(answer: Answer) -> Handler:
    """Return the handler of a route."""

    async def on_request(request: web.Request) -> web.Response:
        if not is_loopback(request.remote):
            return _json(403, {"error": "only kubectl port-forward reaches this path"})
        try:
            document = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            return _json(400, {"error": "the body is not JSON"})
        return _json(*answer(document))

    return on_request


def is_loopback(address: str | None) -> bool:
    """Return whether a client has a loopback address. IPv4 clients of an IPv6 socket have a mapped address."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


def _json(status: int, content: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(content), content_type="application/json")

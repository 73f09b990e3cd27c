"""One request to Datadog's API: address, keys, response or error. The module defines no routes and does not retry.

Keys are sent only in headers. Error texts are limited in length, and keys are removed from them. Redirects are not
followed, because they would send the keys to another address.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from purpleflea_operator import bounded_body, timings
from purpleflea_operator.datadog.client import errors

TIMEOUT = aiohttp.ClientTimeout(
    total=timings.DATADOG_REQUEST_TIMEOUT_S, connect=timings.CONNECT_TIMEOUT_S
)
MAX_MESSAGE_LENGTH = 400
BODY_LIMIT = 16 * 1024 * 1024
"""Longest response in bytes after decompression. A page of 1,000 monitors has 3 MB. `spec.url` can name a proxy, which
is not trusted to be brief."""
POOL_SIZE = 4

RequestHook = Callable[[str, str, str], None]
"""Called after each request with method, family of the endpoint, and status code or class of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """API key and application key. Their text is not part of the repr."""

    api: str = field(repr=False)
    app: str = field(repr=False)

    def redact(self, text: str) -> str:
        """Return `text` with both keys replaced by asterisks."""
        return text.replace(self.api, "***").replace(self.app, "***")


def session(traces: list[aiohttp.TraceConfig], *, user_agent: str) -> aiohttp.ClientSession:
    """Return a session for Datadog's API. Proxies are taken from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=POOL_SIZE),
        headers={"User-Agent": user_agent, "X-Datadog-Managed-By": "iac"},
        trace_configs=traces,
        trust_env=True,
    )


class Transport:
    """Sends requests to one organization."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        keys: Keys,
        *,
        on_request: RequestHook = lambda *_: None,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._keys = keys
        self._on_request = on_request

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        """Send one request and return the decoded JSON, None if the response is empty.

        Raises:
            DatadogError: The request failed. The subclass in `errors` determines the reaction.
        """
        headers = {"DD-API-KEY": self._keys.api, "DD-APPLICATION-KEY": self._keys.app}
        if body is not None:
            headers["Content-Type"] = "application/json"
        family = path.split("/")[3]
        try:
            async with self._session.request(
                method,
                self._url + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as response:
                payload = await bounded_body.read(response, BODY_LIMIT)
                self._on_request(method, family, str(response.status))
                if response.status >= 300:
                    message = self._keys.redact(_message(payload))[:MAX_MESSAGE_LENGTH]
                    raise errors.from_response(response.status, message, response.headers)
                return orjson.loads(payload) if payload else None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            self._on_request(method, family, type(error).__name__)
            text = self._keys.redact(f"{type(error).__name__}: {error}")
            raise errors.Unreachable(text[:MAX_MESSAGE_LENGTH]) from None


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Raise Unreachable if a response does not have the documented form, as that of a proxy may not."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise errors.Unreachable(
            f"the response has another form than Datadog documents: {type(error).__name__}"
        ) from error


def _message(payload: bytes) -> str:
    """Return Datadog's error texts. API version 1 sends a list of texts, version 2 also a list of objects."""
    try:
        reported = orjson.loads(payload)["errors"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return " ".join(payload.decode("utf-8", "replace").split())
    items = reported if isinstance(reported, list) else [reported]
    return "; ".join(
        str(item.get("detail") or item.get("title") or item)
        if isinstance(item, dict)
        else str(item)
        for item in items
    )

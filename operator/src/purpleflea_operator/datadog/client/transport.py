"""One request to Datadog's API: address, keys, answer or error. It knows no route and repeats nothing.

Keys go into headers only; what comes back is bounded and freed of them before anybody sees it. Redirects are not
followed: they would carry the keys elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from purpleflea_operator import timings
from purpleflea_operator.datadog.client import errors

TIMEOUT = aiohttp.ClientTimeout(
    total=timings.DATADOG_REQUEST_TIMEOUT_S, connect=timings.CONNECT_TIMEOUT_S
)


MESSAGE_LENGTH = 400
POOL_SIZE = 4

Told = Callable[[str, str, str], None]
"""Takes method, family of the endpoint and code (or the kind of the failure) of a request that ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """API key and application key; their text never shows."""

    api: str = field(repr=False)
    app: str = field(repr=False)

    def hidden(self, text: str) -> str:
        """`text` without the keys."""
        return text.replace(self.api, "***").replace(self.app, "***")


def session(traces: list[aiohttp.TraceConfig], *, user_agent: str) -> aiohttp.ClientSession:
    """A session for Datadog's API; proxies are taken from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=POOL_SIZE),
        headers={"User-Agent": user_agent, "X-Datadog-Managed-By": "iac"},
        trace_configs=traces,
        trust_env=True,
    )


class Transport:
    """Requests to one organisation."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        keys: Keys,
        *,
        tell: Told = lambda *_: None,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._keys = keys
        self._tell = tell

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Any:
        """Send one request; the answer as JSON, None where it is empty.

        Raises:
            DatadogError: It failed; see `errors` for what follows.
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
                payload = await response.read()
                self._tell(method, family, str(response.status))
                if response.status >= 300:
                    message = self._keys.hidden(_message(payload))[:MESSAGE_LENGTH]
                    raise errors.from_response(response.status, message, response.headers)
                return orjson.loads(payload) if payload else None
        except (TimeoutError, aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            self._tell(method, family, type(error).__name__)
            text = self._keys.hidden(f"{type(error).__name__}: {error}")
            raise errors.Unreachable(text[:MESSAGE_LENGTH]) from None


def _message(payload: bytes) -> str:
    """What Datadog says is wrong: version 1 has a list of texts, version 2 also one of objects."""
    try:
        found = orjson.loads(payload)["errors"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return " ".join(payload.decode("utf-8", "replace").split())
    items = found if isinstance(found, list) else [found]
    return "; ".join(
        str(item.get("detail") or item.get("title") or item)
        if isinstance(item, dict)
        else str(item)
        for item in items
    )

"""Client of the API server for the benchmark: applies, patches, lists and endless watches.

It is separate from the operator's client, so that its requests have a different user in the audit log.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import orjson

CONCURRENCY = 32
LINE_LIMIT = 4 * 1024 * 1024
PAUSE_S = 0.2
MANAGER = "scale"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TIMEOUT = aiohttp.ClientTimeout(total=120)
ENDLESS = aiohttp.ClientTimeout(total=None, sock_connect=10)

Manifest = dict[str, Any]
Item = TypeVar("Item")


class RequestError(Exception):
    """The API server rejected a request."""


class Api:
    """One API server, for one user."""

    def __init__(self, server: str, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    async def apply(self, path: str, manifest: Manifest) -> Manifest:
        """Force server-side apply."""
        return await self.send(
            "PATCH", f"{path}?fieldManager={MANAGER}&force=true", manifest, APPLY
        )

    async def patch(self, path: str, change: Manifest) -> Manifest:
        """Merge a change into an object."""
        return await self.send("PATCH", f"{path}?fieldManager={MANAGER}", change, MERGE)

    async def send(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """Send a request and return the response.

        Raises:
            RequestError: The status is not a success.
        """
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": content_type}
        url = self._server + path
        async with self._session.request(
            method, url, data=data, headers=headers, timeout=TIMEOUT
        ) as response:
            content = await response.read()
            if response.status >= 300:
                raise RequestError(f"{method} {path}: {response.status} {content[:300]!r}")
            parsed: Manifest = orjson.loads(content)
            return parsed

    async def follow(self, path: str, on_event: Callable[[str, Manifest], None]) -> None:
        """List a collection and watch it without an end. The API server ends slow watches, so they are resumed."""
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list(path, on_event)
                async for kind, item in self._watch(path, version):
                    if kind == "ERROR":
                        version = ""
                        break
                    version = item["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        on_event(kind, item)
            except (aiohttp.ClientError, TimeoutError, RequestError):
                version = ""
            await asyncio.sleep(PAUSE_S)

    async def _list(self, path: str, on_event: Callable[[str, Manifest], None]) -> str:
        token = ""
        while True:
            page = await self.send("GET", f"{path}?limit=500&continue={token}")
            for item in page["items"]:
                on_event("ADDED", item)
            token = page["metadata"].get("continue", "")
            if not token:
                return str(page["metadata"]["resourceVersion"])

    async def _watch(self, path: str, version: str) -> AsyncIterator[tuple[str, Manifest]]:
        query = f"?watch=1&allowWatchBookmarks=true&resourceVersion={version}"
        async with self._session.get(
            self._server + path + query, timeout=ENDLESS, read_bufsize=LINE_LIMIT
        ) as response:
            if response.status != 200:
                yield "ERROR", {}
                return
            async for line in response.content:
                event = orjson.loads(line)
                yield event["type"], event["object"]


def session(kubeconfig: Path) -> tuple[str, aiohttp.ClientSession]:
    """Return the address of the API server and a session with the token of a kubeconfig."""
    config = json.loads(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": "scale-benchmark"}
    return cluster["server"], aiohttp.ClientSession(connector=connector, headers=headers)


async def for_all(
    items: Iterable[Item], act: Callable[[Item], Awaitable[object]], *, at_once: int = CONCURRENCY
) -> None:
    """Call `act` for each item, with limited concurrency and in sequence of the items."""
    remaining = iter(items)

    async def worker() -> None:
        for item in remaining:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


def names(count: int) -> Sequence[str]:
    """Return the names of the agents."""
    return [f"agent-{number:05}" for number in range(count)]

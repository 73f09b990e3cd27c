"""Pods of this node from the API server: one list, then one watch that resumes.

It fills a PodMemory. If the watch is lost, it resumes; if its resource version is too old, the pods are listed again.
"""

import asyncio
import json
import logging
import random
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod, PodMemory, Port

logger = logging.getLogger(__name__)

_LIST_TIMEOUT = aiohttp.ClientTimeout(total=30)
_WATCH_SECONDS = 290
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 30, sock_connect=10)
_FIRST_DELAY_S = 0.5
_MAX_DELAY_S = 30.0
_MAX_EVENT_BYTES = 4 * 1024 * 1024


class _TooOldError(Exception):
    """The API server no longer has the resource version to resume from."""


class ServiceAccount:
    """Token and certificate authority mounted into the pod. The token is read for each request, because it is renewed
    in place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def headers(self) -> Mapping[str, str]:
        path = self._folder / "token"
        return {"Authorization": f"Bearer {path.read_text().strip()}"} if path.exists() else {}

    def tls(self) -> ssl.SSLContext | bool:
        path = self._folder / "ca.crt"
        return ssl.create_default_context(cafile=str(path)) if path.exists() else True


class PodWatch:
    """Keep the memory in sync with the pods of one node."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        account: ServiceAccount,
        node: str,
        memory: PodMemory,
    ) -> None:
        self._session = session
        self._url = f"{url}/api/v1/pods"
        self._account = account
        self._selector = {"fieldSelector": f"spec.nodeName={node}"}
        self._memory = memory
        self._version = ""
        self._tls: ssl.SSLContext | bool = True
        self.synced = False
        self.last_error = ""

    async def run(self) -> None:
        self._tls = self._account.tls()
        delay = _FIRST_DELAY_S
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except _TooOldError:
                self._version = ""
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                self._record_error(error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                delay = min(_MAX_DELAY_S, delay * 2)
                continue
            delay = _FIRST_DELAY_S
            self.last_error = ""

    async def _list(self) -> None:
        async with self._session.get(
            self._url,
            params=self._selector,
            headers=self._account.headers(),
            ssl=self._tls,
            timeout=_LIST_TIMEOUT,
        ) as response:
            response.raise_for_status()
            document = await response.json()
        self._memory.replace([parsed_pod(item) for item in document["items"]])
        self._version = document["metadata"]["resourceVersion"]
        self.synced = True

    async def _watch(self) -> None:
        """Watch until the server closes the stream, which it does after `_WATCH_SECONDS`."""
        query = {
            **self._selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        async with self._session.get(
            self._url,
            params=query,
            headers=self._account.headers(),
            ssl=self._tls,
            timeout=_WATCH_TIMEOUT,
        ) as response:
            if response.status == 410:
                raise _TooOldError
            response.raise_for_status()
            while line := await response.content.readline(max_line_length=_MAX_EVENT_BYTES):
                self._apply(json.loads(line))

    def _apply(self, event: Mapping[str, Any]) -> None:
        item = event["object"]
        if event["type"] == "ERROR":
            if item.get("code") == 410:
                raise _TooOldError
            raise ValueError(f"the watch ended: {item.get('message')}")
        self._version = item["metadata"]["resourceVersion"]
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self._memory.put(parsed_pod(item))
            case "DELETED":
                self._memory.remove(item["metadata"]["uid"])
            case _:
                pass  # a bookmark contains only the resource version

    def _record_error(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self.last_error:
            logger.warning("pods cannot be read from the API server: %s", text)
        self.last_error = text


def parsed_pod(item: Mapping[str, Any]) -> Pod:
    """Parse the part of a pod that the node agent needs from its JSON."""
    metadata, status = item["metadata"], item.get("status", {})
    conditions = {
        condition["type"]: condition["status"] for condition in status.get("conditions", ())
    }
    owners = [owner for owner in metadata.get("ownerReferences", ()) if owner.get("controller")]
    owner = owners[0] if owners else {}
    return Pod(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        containers=_containers(item),
        owner_kind=owner.get("kind", ""),
        owner_name=owner.get("name", ""),
        address=status.get("podIP", ""),
        is_ready=conditions.get("Ready") == "True",
    )


def _containers(item: Mapping[str, Any]) -> tuple[Container, ...]:
    status = item.get("status", {})
    states = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    ids = {state["name"]: state.get("containerID", "").rpartition("/")[2] for state in states}
    spec = item["spec"]
    return tuple(
        Container(
            name=container["name"],
            id=ids.get(container["name"], ""),
            image=container.get("image", ""),
            ports=tuple(
                Port(number=port["containerPort"], name=port.get("name", ""))
                for port in container.get("ports", ())
            ),
        )
        for container in (*spec.get("initContainers", ()), *spec["containers"])
    )

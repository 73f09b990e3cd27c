"""The adapter to the Kubernetes API: builds requests, reads answers, turns failures into `errors`.

It decides nothing: what to write is the reconciler's business. Each call is one request (a list may be several pages)
and is not repeated here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from purpleflea_operator import timings
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.protocol import FIELD_MANAGER
from purpleflea_operator.kube.resources import EVENT, ObjectRef, ResourceKind, ref_of
from purpleflea_operator.kube.watch_scope import CLUSTER_WIDE, WatchScope
from purpleflea_operator.parsing import Manifest, resource_version, rows, table, text

TIMEOUT = aiohttp.ClientTimeout(
    total=timings.KUBE_REQUEST_TIMEOUT_S, connect=timings.CONNECT_TIMEOUT_S
)


PAGE = 500
APPLY = "application/apply-patch+yaml"  # JSON is YAML: the server takes it under this name
MERGE = "application/merge-patch+json"


class HttpKubeClient:
    """A cluster behind an HTTP session."""

    def __init__(
        self, server: str, session: aiohttp.ClientSession, scope: WatchScope = CLUSTER_WIDE
    ) -> None:
        self._server = server.rstrip("/")
        self._session = session
        self._scope = scope

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Read one object; None where it does not exist."""
        try:
            return await self._request("GET", ref.path)
        except errors.NotFound:
            return None

    async def list_all(
        self, kind: ResourceKind, *, selector: str = ""
    ) -> tuple[list[Manifest], str]:
        """Read all objects of a kind that the operator sees; with the resource version of the (oldest) list."""
        found: list[Manifest] = []
        versions = []
        for path in self._scope.paths(kind):
            items, version = await self._list(kind, path, selector=selector)
            found += items
            versions.append(version)
        return found, min(versions, key=resource_version)

    async def _list(
        self, kind: ResourceKind, path: str, *, selector: str
    ) -> tuple[list[Manifest], str]:
        found: list[Manifest] = []
        query = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        while True:
            page = await self._request("GET", path, query=query)
            # Items of a list carry neither apiVersion nor kind.
            header = {"apiVersion": kind.api_version, "kind": kind.kind}
            found.extend({**header, **item} for item in rows(page.get("items")))
            metadata = table(page.get("metadata"))
            query["continue"] = text(metadata.get("continue"), limit=8192)
            if not query["continue"]:
                return found, text(metadata.get("resourceVersion"))

    async def create(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Make an object; returns it as stored.

        Raises:
            Conflict: It exists.
        """
        collection = ref.path.rpartition("/")[0]
        return await self._request("POST", collection, body=manifest)

    async def replace(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Replace exactly the version of an object that the manifest names; returns it as stored.

        Raises:
            Conflict: That version is not the newest.
        """
        return await self._request("PUT", ref.path, body=manifest)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, forced, with our field manager; returns the object as stored."""
        return await self._apply(ref_of(manifest).path, manifest)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Server-side apply of the status subresource; returns the object as stored."""
        return await self._apply(f"{ref_of(manifest).path}/status", manifest)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str]) -> None:
        """Merge annotations into an object."""
        body = {"metadata": {"annotations": dict(annotations)}}
        query = {"fieldManager": FIELD_MANAGER}
        await self._request("PATCH", ref.path, query=query, body=body, content_type=MERGE)

    async def set_finalizers(
        self, ref: ObjectRef, finalizers: Sequence[str], *, version: str
    ) -> Manifest:
        """Replace the finalizers of exactly this version of an object; returns it as stored.

        Raises:
            Conflict: That version is not the newest.
        """
        metadata = {"finalizers": list(finalizers), "resourceVersion": version}
        query = {"fieldManager": FIELD_MANAGER}
        body = {"metadata": metadata}
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=MERGE)

    async def grow(self, ref: ObjectRef, size: str) -> Manifest:
        """Ask for a larger volume; returns the claim as stored."""
        body = {"spec": {"resources": {"requests": {"storage": size}}}}
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=MERGE)

    async def delete(self, ref: ObjectRef, *, uid: str, orphan: bool = False) -> bool:
        """Delete exactly the object with this uid; whether it is gone, now or already, and not only marked.

        With `orphan` its dependents stay and belong to nobody; it vanishes once that is done.
        """
        policy = "Orphan" if orphan else "Background"
        body = {"preconditions": {"uid": uid}, "propagationPolicy": policy}
        try:
            answer = await self._request("DELETE", ref.path, body=body)
        except errors.NotFound:
            return True
        return answer.get("kind") == "Status"

    async def events_about(self, namespace: str, *, uid: str) -> list[Manifest]:
        """Events about one object (a diagnosis of what does not start)."""
        path = f"{EVENT.prefix}/namespaces/{namespace}/{EVENT.plural}"
        query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": "20"}
        return list(rows((await self._request("GET", path, query=query)).get("items")))

    async def create_event(self, event: Manifest) -> None:
        """Post an Event."""
        path = f"{EVENT.prefix}/namespaces/{event['metadata']['namespace']}/{EVENT.plural}"
        await self._request("POST", path, body=event)

    async def _apply(self, path: str, manifest: Manifest) -> Manifest:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("PATCH", path, query=query, body=manifest, content_type=APPLY)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        try:
            async with self._session.request(
                method,
                self._server + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                headers=None if body is None else {"Content-Type": content_type},
                timeout=TIMEOUT,
            ) as response:
                payload = await response.read()
                if response.status >= 400:
                    raise errors.from_response(
                        response.status, _message(payload), response.headers.get("Retry-After")
                    )
                answer = orjson.loads(payload)
                if not isinstance(answer, dict):
                    raise errors.Unavailable("the answer is not an object")
                return answer
        except (TimeoutError, aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise errors.Unavailable(f"{type(error).__name__}: {error}") from error


def _message(payload: bytes) -> str:
    """The message of a Status answer, bounded: it ends in logs and conditions."""
    try:
        text = str(orjson.loads(payload)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = payload.decode("utf-8", "replace")
    return text[:500]

"""HTTP client for the Kubernetes API: builds requests, parses responses and raises `kube.errors`.

The module must not decide what to write; the reconcilers do. Each call is one request (a list may need several pages)
and is never retried here.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from purpleflea_operator import bounded_body, timings
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.protocol import FIELD_MANAGER, ObjectList
from purpleflea_operator.kube.resources import EVENT, ObjectRef, ResourceKind, ref_of
from purpleflea_operator.kube.watch_scope import CLUSTER_WIDE, WatchScope
from purpleflea_operator.parsing import Manifest, mapping, mappings, resource_version, text

PAGE_SIZE = 500
EVENT_PAGES = 4
"""Pages of a list of Events. More Events do not explain more."""
BODY_LIMIT = 32 * 1024 * 1024
"""Longest response in bytes. The longest usual one is a page of Events, which any user can write."""
APPLY = "application/apply-patch+yaml"  # the API server accepts JSON under this type, because JSON is YAML
MERGE = "application/merge-patch+json"


class HttpKubeClient:
    """Kubernetes API through an HTTP session, limited to the watched namespaces."""

    def __init__(
        self,
        server: str,
        session: aiohttp.ClientSession,
        scope: WatchScope = CLUSTER_WIDE,
        *,
        timeout_s: float = timings.KUBE_REQUEST_TIMEOUT_S,
    ) -> None:
        self._server = server.rstrip("/")
        self._session = session
        self._scope = scope
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timings.CONNECT_TIMEOUT_S)

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None if it does not exist."""
        try:
            return await self._request("GET", ref.path)
        except errors.NotFound:
            return None

    async def find(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None if it does not exist. It needs the right to list, and not the right to get."""
        query = {"fieldSelector": f"metadata.name={ref.name}"}
        page = await self._request("GET", ref.path.rpartition("/")[0], query=query)
        header = {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind}
        return next(({**header, **item} for item in mappings(page.get("items"))), None)

    async def served_plurals(self, api_version: str) -> frozenset[str]:
        """Return the plural names of the kinds that the API server serves in a version of a group."""
        try:
            document = await self._request("GET", f"/apis/{api_version}")
        except errors.NotFound:
            return frozenset()
        return frozenset(text(item.get("name")) for item in mappings(document.get("resources")))

    async def list_all(self, kind: ResourceKind, *, selector: str = "") -> ObjectList:
        """Return all objects of a kind in the watch scope.

        If there is a list per namespace, a namespace that the API server refuses is skipped, unless it refuses all.
        """
        manifests: list[Manifest] = []
        versions = []
        refusals: dict[str, errors.ApiError] = {}
        for namespace, path in self._scope.paths_by_namespace(kind).items():
            try:
                items, version = await self._list(kind, path, selector=selector)
            except (errors.Forbidden, errors.NotFound) as error:
                refusals[namespace] = error
                continue
            manifests += items
            versions.append(version)
        if not versions:
            raise next(iter(refusals.values()))
        return ObjectList(manifests, min(versions, key=resource_version), frozenset(refusals))

    async def list_in(self, kind: ResourceKind, namespace: str, *, selector: str) -> list[Manifest]:
        """Return the objects of a kind with these labels in one namespace."""
        path = f"{kind.prefix}/namespaces/{namespace}/{kind.plural}"
        manifests, _ = await self._list(kind, path, selector=selector)
        return manifests

    async def _list(
        self, kind: ResourceKind, path: str, *, selector: str
    ) -> tuple[list[Manifest], str]:
        manifests: list[Manifest] = []
        query = {"limit": str(PAGE_SIZE), **({"labelSelector": selector} if selector else {})}
        while True:
            page = await self._request("GET", path, query=query)
            # Items of a list have neither apiVersion nor kind.
            header = {"apiVersion": kind.api_version, "kind": kind.kind}
            manifests.extend({**header, **item} for item in mappings(page.get("items")))
            metadata = mapping(page.get("metadata"))
            query["continue"] = text(metadata.get("continue"), limit=8192)
            if not query["continue"]:
                return manifests, text(metadata.get("resourceVersion"))

    async def create(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Create an object and return it as stored.

        Raises:
            AlreadyExists: An object with this name exists.
        """
        collection = ref.path.rpartition("/")[0]
        # Strict as an apply, which rejects fields that the API server does not support.
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return await self._request("POST", collection, query=query, body=manifest)

    async def replace(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Replace an object and return it as stored. The manifest names the version to replace.

        Raises:
            Conflict: The object has a newer version.
        """
        return await self._request("PUT", ref.path, body=manifest)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Force server-side apply with our field manager and return the object as stored."""
        return await self._apply(ref_of(manifest).path, manifest)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Force server-side apply of the status subresource and return the object as stored."""
        return await self._apply(f"{ref_of(manifest).path}/status", manifest)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str]) -> Manifest:
        """Merge annotations into an object and return it as stored."""
        body = {"metadata": {"annotations": dict(annotations)}}
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=MERGE)

    async def set_labels(self, ref: ObjectRef, labels: Mapping[str, str], *, uid: str) -> Manifest:
        """Merge labels into the object with this UID and return the object as stored.

        Raises:
            Conflict: The object has another UID.
        """
        body = {"metadata": {"labels": dict(labels), "uid": uid}}
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=MERGE)

    async def set_finalizers(
        self, ref: ObjectRef, finalizers: Sequence[str], *, version: str
    ) -> Manifest:
        """Replace the finalizers of this version of an object and return the object as stored.

        Raises:
            Conflict: The object has a newer version.
        """
        metadata = {"finalizers": list(finalizers), "resourceVersion": version}
        query = {"fieldManager": FIELD_MANAGER}
        body = {"metadata": metadata}
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=MERGE)

    async def set_managed_fields(self, live: Manifest, entries: Sequence[Manifest]) -> Manifest:
        """Replace the managedFields of this version of an object and return the object as stored.

        Raises:
            Conflict: The object has a newer version.
        """
        version = live["metadata"]["resourceVersion"]
        body = {"metadata": {"managedFields": list(entries), "resourceVersion": version}}
        query = {"fieldManager": FIELD_MANAGER}
        path = ref_of(live).path
        return await self._request("PATCH", path, query=query, body=body, content_type=MERGE)

    async def expand_volume(self, ref: ObjectRef, size: str) -> Manifest:
        """Request a larger volume and return the PersistentVolumeClaim as stored."""
        body = {"spec": {"resources": {"requests": {"storage": size}}}}
        query = {"fieldManager": FIELD_MANAGER}
        return await self._request("PATCH", ref.path, query=query, body=body, content_type=MERGE)

    async def delete(self, ref: ObjectRef, *, uid: str, orphan: bool = False) -> bool:
        """Delete the object if it has this UID. Return True if it no longer exists, False if it is only terminating.

        With `orphan` the dependents stay, without an owner. The object exists until they are released.
        """
        policy = "Orphan" if orphan else "Background"
        body = {"preconditions": {"uid": uid}, "propagationPolicy": policy}
        try:
            response = await self._request("DELETE", ref.path, body=body)
        except errors.NotFound:
            return True
        # The response is the object if it is terminating, and a Status if it is deleted.
        return response.get("kind") == "Status"

    async def events_with_reason(self, namespace: str, *, reason: str) -> list[Manifest]:
        """Return the Events of a namespace with one reason, at most 2,000, to diagnose why pods do not start."""
        path = f"{EVENT.prefix}/namespaces/{namespace}/{EVENT.plural}"
        query = {"fieldSelector": f"reason={reason}", "limit": str(PAGE_SIZE)}
        found: list[Manifest] = []
        for _ in range(EVENT_PAGES):
            page = await self._request("GET", path, query=query)
            found += mappings(page.get("items"))
            query["continue"] = text(mapping(page.get("metadata")).get("continue"), limit=8192)
            if not query["continue"]:
                break
        return found

    async def create_event(self, event: Manifest) -> None:
        """Create an Event."""
        path = f"{EVENT.prefix}/namespaces/{event['metadata']['namespace']}/{EVENT.plural}"
        await self._request("POST", path, body=event)

    async def _apply(self, path: str, manifest: Manifest) -> Manifest:
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("PATCH", path, query=query, body=manifest, content_type=APPLY)

    def _url(self, path: str, query: Mapping[str, str] | None) -> URL:
        """Return an encoded URL, because aiohttp would otherwise parse and encode path and query again."""
        suffix = f"?{urlencode(query)}" if query else ""
        return URL(f"{self._server}{path}{suffix}", encoded=True)

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
                self._url(path, query),
                data=None if body is None else orjson.dumps(body),
                headers=None if body is None else {"Content-Type": content_type},
                timeout=self._timeout,
            ) as response:
                payload = await bounded_body.read(response, BODY_LIMIT)
                if response.status >= 400:
                    message, reason = _status(payload)
                    retry_after = response.headers.get("Retry-After")
                    failure = errors.from_response(
                        response.status, message, retry_after, reason=reason
                    )
                    failure.path = path
                    raise failure
                result = orjson.loads(payload)
                if not isinstance(result, dict):
                    raise errors.Unavailable("the response is not a JSON object")
                return result
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            is_refused = isinstance(error, aiohttp.ClientConnectorError)
            kind = errors.Unreachable if is_refused else errors.Unavailable
            failed = kind(f"{type(error).__name__}: {error}")
            failed.path = path
            raise failed from error


def _status(payload: bytes) -> tuple[str, str]:
    """Return message and reason of a Status response. The message is cut to 500 characters, because logs and conditions
    contain it."""
    try:
        status = orjson.loads(payload)
        message, reason = str(status["message"]), text(status.get("reason"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message, reason = payload.decode("utf-8", "replace"), ""
    return message[:500], reason

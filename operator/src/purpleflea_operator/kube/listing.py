"""Lists that are read page by page, so that at most one page is in memory, and the loop serves other tasks meanwhile.

The module parses the responses. It must not send requests or keep objects.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, mapping, mappings, resource_version, text

PAGE_SIZE = 50
"""Objects per page. A page of pods has up to 0.5 MB and blocks the event loop for 10 ms; 250 pods block it for 50
ms."""
PAGE_LIMIT = 2 * 1024 * 1024
"""Longest page of a list in bytes, unless it has one object. Parsing needs up to 20 times as much memory. A usual page
has 0.5 MB, but any user may create objects of 1.5 MB, such as agents, or pods with the labels that are selected."""
LINE_LIMIT = 16 * 1024 * 1024
"""Longest object in bytes, and longest line of a watch. The API server accepts objects of up to 3 MB, and escapes can
make them longer."""
SLICE = 5
"""Objects that are processed before other tasks run, which takes one or two milliseconds."""
TOKEN_LIMIT = 16_384
"""Longest continue token in characters. The token has the name of an object, and its version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A complete list of one kind: the UIDs of its objects, its resource version, and its namespace.

    The namespace is empty for the whole cluster. Objects in other namespaces are unknown, not absent.
    """

    uids: frozenset[str]
    version: int
    namespace: str = ""


def decoded(payload: bytes) -> dict[str, Any]:
    """Return the object in a response or in a line of a watch.

    Raises:
        ValueError: The payload is not a JSON object.
    """
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        # A free-form field of another owner can hold a number that orjson rejects, such as 1e400.
        try:
            value = json.loads(payload)
        except RecursionError as error:
            raise ValueError("the response is nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError("the response is not a JSON object")
    return value


class PageSize:
    """Number of objects per page: fewer after a page that was too large, more after small pages."""

    def __init__(self) -> None:
        self.objects = PAGE_SIZE

    @property
    def limit(self) -> int:
        """Largest number of bytes of the next page."""
        return PAGE_LIMIT if self.objects > 1 else LINE_LIMIT

    def shrink(self) -> bool:
        """Set a smaller number, because a page was too large. Return False if a page has one object already."""
        is_possible = self.objects > 1
        self.objects = self.objects // 4 or 1
        return is_possible

    def adapt(self, read: int) -> None:
        """Set a larger number if the last page was small. One user with large objects then delays no long list."""
        if read * 2 < PAGE_LIMIT:
            self.objects = min(PAGE_SIZE, self.objects * 2)


class ListReader:
    """Reads the pages of one list. `on_object` receives each object."""

    def __init__(self, kind: ResourceKind, on_object: Callable[[Manifest], None]) -> None:
        self._header = {"apiVersion": kind.api_version, "kind": kind.kind}
        self._on_object = on_object
        self._uids: set[str] = set()
        self.version = ""
        """Resource version of the list."""
        self.token = ""
        """Token of the next page; empty if the list is complete."""

    async def read(self, payload: bytes) -> None:
        """Process one page.

        Raises:
            ValueError: The payload is not a list.
        """
        page = decoded(payload)
        metadata = mapping(page.get("metadata"))
        version = text(metadata.get("resourceVersion"))
        if not version or not isinstance(page.get("items", []) or [], list):
            raise ValueError("the response is not a list")
        self.version, self.token = version, text(metadata.get("continue"), limit=TOKEN_LIMIT)
        # Parsing the page has blocked the loop for some milliseconds.
        await asyncio.sleep(0)
        for number, item in enumerate(mappings(page.pop("items", None)), start=1):
            uid = mapping(item.get("metadata")).get("uid")
            if isinstance(uid, str):
                self._uids.add(uid)
            # Items of a list have neither apiVersion nor kind.
            self._on_object({**item, **self._header})
            if number % SLICE == 0:
                await asyncio.sleep(0)

    def listing(self, namespace: str) -> Listing:
        """Return the complete list."""
        version = resource_version(self.version)
        return Listing(uids=frozenset(self._uids), version=version, namespace=namespace)

"""Reads the stream of a watch: passes each event on, and returns the version from which the watch continues."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from purpleflea_operator.kube import listing
from purpleflea_operator.kube.listing import decoded
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_state import WatchObserver
from purpleflea_operator.parsing import mapping, text

_EVENTS = ("ADDED", "MODIFIED", "DELETED")


class StartOverError(Exception):
    """The watch cannot continue; the kind must be listed again. The text is empty if the version has expired."""


class WatchStream:
    """The streams of one path. The observer receives every object."""

    def __init__(self, path: str, kind: ResourceKind, observer: WatchObserver) -> None:
        self._path = path
        self._header = {"apiVersion": kind.api_version, "kind": kind.kind}
        self._observer = observer

    async def read(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
        """Process the events, and yield after each chunk the last version, or "" if it has none.

        Raises:
            StartOverError: The API server sent an error, or an event has no object.
            ValueError: A line is not a JSON object.
        """
        version, number = "", 0
        async for lines in _lines(chunks):
            for line in lines:
                version = self._process(line) or version
                number += 1
                if number % listing.SLICE == 0:
                    await asyncio.sleep(0)
            yield version

    def _process(self, line: bytes) -> str:
        event = decoded(line)
        event_type, manifest = event.get("type"), event.get("object")
        if not isinstance(manifest, dict):
            raise StartOverError("an event of the watch has no object")
        if event_type == "ERROR":
            raise StartOverError(_stream_error(manifest))
        if event_type in _EVENTS:
            self._observer.on_event(self._path, event_type, {**manifest, **self._header})
        return text(mapping(manifest.get("metadata")).get("resourceVersion"))


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Yield the complete lines of each chunk. An incomplete last line is dropped."""
    rest: list[bytes] = []
    size = 0
    async for chunk in chunks:
        first, newline, others = chunk.partition(b"\n")
        rest.append(first)
        size += len(first)
        if newline:
            *lines, tail = others.split(b"\n")
            complete = [b"".join(rest), *lines]
            rest, size = [tail], len(tail)
            yield [line for line in complete if line]
        if size > listing.LINE_LIMIT:
            raise StartOverError(f"an event of the watch is longer than {listing.LINE_LIMIT} bytes")


def _stream_error(status: dict[str, Any]) -> str:
    """Return the text of an error in a stream, or an empty text if the version of the watch expired."""
    code = status.get("code")
    return "" if code == 410 else f"{code}: {str(status.get('message'))[:500]}"

"""Request bodies of the intake's metric, event and check routes. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog import dogstatsd
from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.node_agent.aggregate import Flush
from purpleflea_sandbox.datadog.node_agent.forward import Payload, payload

_MAX_SERIES = 2_000
"""Maximum series of a payload, because the intake limits the size of a body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Host name and tags that are added to all data of this node."""

    hostname: str
    host_tags: tuple[str, ...] = ()

    def metrics(self, flush: Flush, now: float) -> Iterator[Payload]:
        """Yield the payloads of a flush, including the metric datadog.agent.running."""
        for part in self._parts((*flush.series, self._running(now))):
            yield payload("/api/v2/series", {"series": part}, "metrics")
        for part in self._parts(flush.distributions):
            yield payload("/api/v1/distribution_points", {"series": part}, "distributions")

    def other(
        self, packet: dogstatsd.Event | dogstatsd.ServiceCheck, tags: tuple[str, ...], now: float
    ) -> Payload:
        """Return the payload of an event or a service check."""
        merged = list(tagging.merged(tags, self.host_tags))
        timestamp = packet.timestamp or int(now)
        if isinstance(packet, dogstatsd.Event):
            event = {
                "host": self.hostname,
                **packet.fields,
                "title": packet.title,
                "text": packet.text,
                "date_happened": timestamp,
                "tags": merged,
            }
            return payload("/api/v1/events", event, "events")
        check = {
            "check": packet.name,
            "status": packet.status,
            "message": packet.message,
            "timestamp": timestamp,
            "host_name": packet.hostname or self.hostname,
            "tags": merged,
        }
        return payload("/api/v1/check_run", [check], "checks")

    def _parts(self, series: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
        tagged = [
            {**item, "tags": list(tagging.merged(item["tags"], self.host_tags))} for item in series
        ]
        for start in range(0, len(tagged), _MAX_SERIES):
            yield tagged[start : start + _MAX_SERIES]

    def _running(self, now: float) -> Mapping[str, Any]:
        return {
            "metric": "datadog.agent.running",
            "type": 3,
            "interval": 0,
            "points": [{"timestamp": int(now), "value": 1}],
            "tags": [],
            "resources": [{"type": "host", "name": self.hostname}],
        }

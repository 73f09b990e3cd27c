"""Pure: the registry of managed objects and deployment marks. It is stored in the status of the resource.

The record of an object is stored as Creating before the object is created. After a crash it shows that an object of
this kind and key may have been created by the operator.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.api.observability_status import (
    MAX_CHANGE_LENGTH,
    MAX_ERROR_LENGTH,
    MAX_OBJECTS,
    ObjectState,
)
from purpleflea_operator.controllers.observability.decisions.deployments import (
    DeploymentMark,
    marks_from_status,
)
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

TEXT_FIELDS = ("id", "link", "hash", "version", "change", "since")
FLAGS = ("adopted", "unlisted")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """Record of one managed object, as last observed or written."""

    kind: ObjectKind
    key: str
    state: ObjectState
    id: str = ""
    link: str = ""
    hash: str = ""
    version: str = ""
    change: str = ""
    last_error: str = ""
    adopted: bool = False
    unlisted: bool = False
    """True if lists do not show the object, so that it is known only by its id."""
    since: str = ""
    """End of the last create request that had no answer."""

    @property
    def reference(self) -> Reference:
        """Kind and key of the object."""
        return Reference(kind=self.kind, key=self.key)

    @property
    def name(self) -> str:
        """Name for messages, with the id."""
        return f"{self.kind}/{self.key} ({self.id})"

    def to_status(self) -> dict[str, Any]:
        """Return the record in the format of status.objects."""
        fields = {"kind": str(self.kind), "key": self.key, "state": str(self.state)}
        texts = {name: getattr(self, name) for name in TEXT_FIELDS} | {
            "change": self.change[:MAX_CHANGE_LENGTH],
            "lastError": self.last_error[:MAX_ERROR_LENGTH],
        }
        fields |= {name: text for name, text in texts.items() if text}
        return fields | {name: True for name in FLAGS if getattr(self, name)}


class ObjectRegistry:
    """Records of one resource, in the sequence in which they were added."""

    def __init__(
        self, records: Iterable[ObjectRecord] = (), deployments: Iterable[DeploymentMark] = ()
    ) -> None:
        self._records = {record.reference: record for record in records}
        self.deployments = tuple(deployments)
        self.silenced_until = ""
        """End of the longest downtime that may exist; empty if none may exist."""
        self.downtime_error = ""
        """Reason for which Datadog refused the downtimes."""

    def __iter__(self) -> Iterator[ObjectRecord]:
        return iter(self._records.values())

    def get(self, reference: Reference) -> ObjectRecord | None:
        """Return the record of an object."""
        return self._records.get(reference)

    def put(self, record: ObjectRecord) -> None:
        """Add or replace the record of an object."""
        self._records[record.reference] = record

    def update(self, records: Iterable[ObjectRecord]) -> None:
        """Add or replace several records."""
        for record in records:
            self.put(record)

    def delete(self, reference: Reference) -> None:
        """Delete the record of an object, if there is one."""
        self._records.pop(reference, None)

    def sort(self, sequence: Iterable[Reference]) -> None:
        """Sort the records by a sequence of references. Other records follow."""
        first = [reference for reference in sequence if reference in self._records]
        self._records = {reference: self._records[reference] for reference in first} | self._records

    def to_status(self) -> list[dict[str, Any]]:
        """Return the records in the format of status.objects."""
        return [record.to_status() for record in self][:MAX_OBJECTS]


def registry_from_status(status: Mapping[str, Any]) -> ObjectRegistry:
    """Return the registry that a status contains. Records that another client made unreadable are omitted."""
    records = (_record(item) for item in status.get("objects") or ())
    registry = ObjectRegistry(
        (record for record in records if record is not None), marks_from_status(status)
    )
    registry.silenced_until = str(status.get("silencedUntil") or "")
    registry.downtime_error = str(status.get("downtimeError") or "")
    return registry


def _record(item: Mapping[str, Any]) -> ObjectRecord | None:
    try:
        kind, state = ObjectKind(item["kind"]), ObjectState(item["state"])
        key = str(item["key"])
    except (KeyError, ValueError):
        return None
    texts: dict[str, Any] = {name: str(item.get(name) or "") for name in TEXT_FIELDS}
    return ObjectRecord(
        kind=kind,
        key=key,
        state=state,
        last_error=str(item.get("lastError") or ""),
        adopted=bool(item.get("adopted")),
        unlisted=bool(item.get("unlisted")),
        **texts,
    )


PAGES = {
    ObjectKind.MONITOR: "/monitors/{id}",
    ObjectKind.SLO: "/slo?slo_id={id}",
    ObjectKind.DASHBOARD: "/dashboard/{id}",
    ObjectKind.LOG_PIPELINE: "/logs/pipelines",
    ObjectKind.LOG_INDEX: "/logs/pipelines/indexes",
    ObjectKind.LOG_INDEX_ORDER: "/logs/pipelines/indexes",
    ObjectKind.METRIC_TAGS: "/metric/summary?metric={id}",
    ObjectKind.SCANNER_GROUP: "/organization-settings/sensitive-data-scanner",
    ObjectKind.SCANNER_RULE: "/organization-settings/sensitive-data-scanner",
    ObjectKind.NOTEBOOK: "/notebook/{id}",
}


def web_url(page_url: str, kind: ObjectKind, identifier: str) -> str:
    """Return the URL of an object's page in Datadog."""
    return page_url + PAGES[kind].format(id=identifier)

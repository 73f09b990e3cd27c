"""Pure: what the operator remembers of the objects it made and the deployments it marked, kept in the status.

An entry is written down as Creating before the object is made: after a crash it tells that what is found may be ours.

Pure: where an object is seen in Datadog's web pages.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.api.observability_status import CHANGE_LENGTH, ERROR_LENGTH, OBJECTS, State
from purpleflea_operator.controllers.observability.decisions.deployments import DeploymentMark
from purpleflea_operator.controllers.observability.decisions.deployments import remembered as marks
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

FIELDS = ("id", "link", "hash", "version", "change", "since")
FLAGS = ("adopted", "unlisted")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """One object, as last seen or written."""

    kind: ObjectKind
    key: str
    state: State
    id: str = ""
    link: str = ""
    hash: str = ""
    version: str = ""
    change: str = ""
    last_error: str = ""
    adopted: bool = False
    unlisted: bool = False
    """Whether its list does not show it: it is known by its id only."""
    since: str = ""
    """When a create of it was surely over, done or lost."""

    @property
    def reference(self) -> Reference:
        """How other objects refer to it."""
        return Reference(kind=self.kind, key=self.key)

    def shown(self) -> dict[str, Any]:
        """The entry as the status shows it."""
        found = {"kind": str(self.kind), "key": self.key, "state": str(self.state)}
        texts = {name: getattr(self, name) for name in FIELDS} | {
            "change": self.change[:CHANGE_LENGTH],
            "lastError": self.last_error[:ERROR_LENGTH],
        }
        found |= {name: text for name, text in texts.items() if text}
        return found | {name: True for name in FLAGS if getattr(self, name)}


class ObjectRegistry:
    """The entries of one resource, in the order in which they were put."""

    def __init__(
        self, entries: Iterable[ObjectRecord] = (), deployments: Iterable[DeploymentMark] = ()
    ) -> None:
        self._entries = {entry.reference: entry for entry in entries}
        self.deployments = tuple(deployments)

    def __iter__(self) -> Iterator[ObjectRecord]:
        return iter(self._entries.values())

    def get(self, reference: Reference) -> ObjectRecord | None:
        """The entry of an object."""
        return self._entries.get(reference)

    def put(self, entry: ObjectRecord) -> None:
        """Remember an object."""
        self._entries[entry.reference] = entry

    def drop(self, reference: Reference) -> None:
        """Forget an object."""
        self._entries.pop(reference, None)

    def arrange(self, order: Iterable[Reference]) -> None:
        """Bring the entries into an order; others follow."""
        first = [reference for reference in order if reference in self._entries]
        self._entries = {reference: self._entries[reference] for reference in first} | self._entries

    def shown(self) -> list[dict[str, Any]]:
        """The entries as the status shows them."""
        return [entry.shown() for entry in self][:OBJECTS]


def remembered(status: Mapping[str, Any]) -> ObjectRegistry:
    """What a status tells; what cannot be read in it (somebody wrote there) is left out."""
    entries = (_entry(item) for item in status.get("objects") or ())
    return ObjectRegistry((entry for entry in entries if entry is not None), marks(status))


def _entry(item: Mapping[str, Any]) -> ObjectRecord | None:
    try:
        kind, state = ObjectKind(item["kind"]), State(item["state"])
        key = str(item["key"])
    except (KeyError, ValueError):
        return None
    texts: dict[str, Any] = {name: str(item.get(name) or "") for name in FIELDS}
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


def link(page_url: str, kind: ObjectKind, identifier: str) -> str:
    """The address of an object's page."""
    return page_url + PAGES[kind].format(id=identifier)

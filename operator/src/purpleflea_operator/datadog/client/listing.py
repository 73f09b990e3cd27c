"""Looks: what one organisation holds of a kind, by list calls only. At most eleven requests for everything.

Whose an object is, and whether it is right, is decided in sync.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.models import Inventory, ListFilter, RemoteObject, owned
from purpleflea_operator.datadog.client.transport import Transport
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind

PAGE = 1000


Look = Callable[[Transport, ListFilter], Awaitable[Inventory]]


async def survey(transport: Transport, scope: ListFilter, kinds: Iterable[ObjectKind]) -> Inventory:
    """Look at the kinds; one that cannot be looked at is hidden, with the reason.

    Raises:
        Throttled: Not before its time.
        Unreachable: Datadog is away.
    """
    found = Inventory()
    for look in dict.fromkeys(LOOKS[kind] for kind in kinds):
        shown = [kind for kind, other in LOOKS.items() if other is look]
        try:
            seen = await look(transport, scope)
        except (errors.Forbidden, errors.NotFound, errors.Refused) as error:
            found.hidden.update(dict.fromkeys(shown, error))
            continue
        found.objects.update(seen.objects)
        found = replace(found, reporting=found.reporting | seen.reporting)
    return found


def _survey(kind: ObjectKind, items: Iterable[RemoteObject]) -> Inventory:
    return Inventory(objects={kind: tuple(items)})


async def _monitors(transport: Transport, scope: ListFilter) -> Inventory:
    found: list[dict[str, Any]] = []
    page: list[dict[str, Any]] | None = None
    while page is None or len(page) == PAGE:
        number = len(found) // PAGE
        query = {"monitor_tags": scope.tag, "page": str(number), "page_size": str(PAGE)}
        page = await transport.request("GET", "/api/v1/monitor", query=query)
        found.extend(page or ())
    return _survey(ObjectKind.MONITOR, (monitor(item) for item in found))


async def _slos(transport: Transport, scope: ListFilter) -> Inventory:
    query = {"tags_query": scope.tag, "limit": str(PAGE)}
    page = await transport.request("GET", "/api/v1/slo", query=query)
    return _survey(ObjectKind.SLO, (plain(ObjectKind.SLO, item) for item in page["data"]))


async def _dashboards(transport: Transport, _: ListFilter) -> Inventory:
    found: list[dict[str, Any]] = []
    page: list[dict[str, Any]] | None = None
    while page is None or len(page) == PAGE:
        query = {"start": str(len(found)), "count": str(PAGE)}
        page = (await transport.request("GET", "/api/v1/dashboard", query=query))["dashboards"]
        found.extend(page)
    return _survey(ObjectKind.DASHBOARD, (dashboard(item, body=None) for item in found))


async def _pipelines(transport: Transport, _: ListFilter) -> Inventory:
    page = await transport.request("GET", "/api/v1/logs/config/pipelines")
    return _survey(ObjectKind.LOG_PIPELINE, (plain(ObjectKind.LOG_PIPELINE, item) for item in page))


async def _indexes(transport: Transport, _: ListFilter) -> Inventory:
    page = await transport.request("GET", "/api/v1/logs/config/indexes")
    return _survey(ObjectKind.LOG_INDEX, (index(item) for item in page["indexes"]))


async def _index_order(transport: Transport, _: ListFilter) -> Inventory:
    order = await transport.request("GET", "/api/v1/logs/config/index-order")
    found = RemoteObject(kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body=order)
    return _survey(ObjectKind.LOG_INDEX_ORDER, (found,))


async def _metrics(transport: Transport, scope: ListFilter) -> Inventory:
    path = "/api/v2/metrics"
    configured = await transport.request("GET", path, query={"filter[configured]": "true"})
    query = {"filter[tags]": f"service:{scope.service}", "window[seconds]": "86400"}
    reporting = await transport.request("GET", path, query=query)
    return Inventory(
        objects={
            ObjectKind.METRIC_TAGS: tuple(
                wrapped(ObjectKind.METRIC_TAGS, item)
                for item in configured["data"]
                if item["type"] == "manage_tags"
            )
        },
        reporting=frozenset(item["id"] for item in reporting["data"]),
    )


async def _scanner(transport: Transport, _: ListFilter) -> Inventory:
    page = await transport.request("GET", "/api/v2/sensitive-data-scanner/config")
    kinds = {
        "sensitive_data_scanner_group": ObjectKind.SCANNER_GROUP,
        "sensitive_data_scanner_rule": ObjectKind.SCANNER_RULE,
    }
    objects: dict[ObjectKind, list[RemoteObject]] = {kind: [] for kind in kinds.values()}
    for item in page.get("included") or ():
        if item["type"] in kinds:
            kind = kinds[item["type"]]
            objects[kind].append(wrapped(kind, item))
    organisation = RemoteObject(kind=ObjectKind.SCANNER, id=page["data"]["id"], body={})
    return Inventory(
        objects={
            ObjectKind.SCANNER: (organisation,),
            **{kind: tuple(items) for kind, items in objects.items()},
        }
    )


async def _notebooks(transport: Transport, scope: ListFilter) -> Inventory:
    query = {"query": scope.notebook, "include_cells": "true", "count": "100"}
    page = await transport.request("GET", "/api/v1/notebooks", query=query)
    return _survey(
        ObjectKind.NOTEBOOK, (wrapped(ObjectKind.NOTEBOOK, item) for item in page["data"])
    )


def monitor(item: dict[str, Any]) -> RemoteObject:
    """A monitor as its endpoints show it; Datadog calls some query alerts metric alerts."""
    kind = "query alert" if item["type"] == "metric alert" else item["type"]
    return RemoteObject(kind=ObjectKind.MONITOR, id=str(item["id"]), body={**item, "type": kind})


def dashboard(item: dict[str, Any], *, body: Body | None) -> RemoteObject:
    """A dashboard; its list shows no widgets."""
    return RemoteObject(
        kind=ObjectKind.DASHBOARD,
        id=item["id"],
        body=body,
        version=item.get("modified_at"),
        text=item.get("description") or "",
        title=item.get("title") or "",
    )


def plain(kind: ObjectKind, item: dict[str, Any]) -> RemoteObject:
    """An object of version 1."""
    return RemoteObject(kind=kind, id=str(item["id"]), body=item)


def index(item: dict[str, Any]) -> RemoteObject:
    """A log index: its name is its id."""
    return RemoteObject(
        kind=ObjectKind.LOG_INDEX, id=item["name"], body=owned(ObjectKind.LOG_INDEX, item)
    )


def wrapped(kind: ObjectKind, item: dict[str, Any]) -> RemoteObject:
    """An object of version 2."""
    return RemoteObject(kind=kind, id=str(item["id"]), body=owned(kind, {"data": item}))


LOOKS: dict[ObjectKind, Look] = {
    ObjectKind.MONITOR: _monitors,
    ObjectKind.SLO: _slos,
    ObjectKind.DASHBOARD: _dashboards,
    ObjectKind.LOG_PIPELINE: _pipelines,
    ObjectKind.LOG_INDEX: _indexes,
    ObjectKind.LOG_INDEX_ORDER: _index_order,
    ObjectKind.METRIC_TAGS: _metrics,
    ObjectKind.SCANNER: _scanner,
    ObjectKind.SCANNER_GROUP: _scanner,
    ObjectKind.SCANNER_RULE: _scanner,
    ObjectKind.NOTEBOOK: _notebooks,
}

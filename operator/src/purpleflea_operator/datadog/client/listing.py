"""Lists the objects of one organization, by kind. All kinds together take at most eleven requests.

Ownership and drift of the objects are not decided here.
"""

from collections.abc import Awaitable, Callable, Iterable, Sized
from dataclasses import replace
from typing import Any

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.models import (
    Inventory,
    ListFilter,
    RemoteObject,
    owned_fields,
)
from purpleflea_operator.datadog.client.transport import Transport, readable
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind

PAGE_SIZE = 1000
MAX_OBJECTS = 50 * PAGE_SIZE
"""Objects of one kind that are listed at most. A server that repeats its pages would otherwise be listed forever."""
METRICS_WINDOW_S = 2_592_000
"""Longest look-back of the list of metrics, 30 days. The default of one hour omits the metrics of halted agents."""

ListCall = Callable[[Transport, ListFilter], Awaitable[Inventory]]


async def list_objects(
    transport: Transport, list_filter: ListFilter, kinds: Iterable[ObjectKind]
) -> Inventory:
    """List the objects of the kinds. If a kind cannot be listed, it is hidden, with the error.

    Raises:
        Throttled: The rate limit is exceeded.
        Unreachable: Datadog did not answer.
    """
    inventory = Inventory()
    for list_call in dict.fromkeys(LIST_CALLS[kind] for kind in kinds):
        listed_kinds = [kind for kind, other in LIST_CALLS.items() if other is list_call]
        try:
            with readable():
                listed = await list_call(transport, list_filter)
        except (errors.DatadogForbidden, errors.DatadogNotFound, errors.Refused) as error:
            inventory.hidden.update(dict.fromkeys(listed_kinds, error))
            continue
        inventory.objects.update(listed.objects)
        inventory = replace(inventory, reporting=inventory.reporting | listed.reporting)
    return inventory


def _check_number(items: Sized) -> None:
    if len(items) > MAX_OBJECTS:
        raise errors.Unreachable(f"the list has more than {MAX_OBJECTS} objects")


def _inventory(kind: ObjectKind, items: Iterable[RemoteObject]) -> Inventory:
    return Inventory(objects={kind: tuple(items)})


async def _monitors(transport: Transport, list_filter: ListFilter) -> Inventory:
    items: list[dict[str, Any]] = []
    page: list[dict[str, Any]] | None = None
    while page is None or len(page) == PAGE_SIZE:
        number = len(items) // PAGE_SIZE
        query = {"monitor_tags": list_filter.tag, "page": str(number), "page_size": str(PAGE_SIZE)}
        page = await transport.request("GET", "/api/v1/monitor", query=query)
        items.extend(page or ())
        _check_number(items)
    return _inventory(ObjectKind.MONITOR, (plain(ObjectKind.MONITOR, item) for item in items))


async def _slos(transport: Transport, list_filter: ListFilter) -> Inventory:
    query = {"tags_query": list_filter.tag, "limit": str(PAGE_SIZE)}
    page = await transport.request("GET", "/api/v1/slo", query=query)
    return _inventory(ObjectKind.SLO, (plain(ObjectKind.SLO, item) for item in page["data"]))


async def _dashboards(transport: Transport, _: ListFilter) -> Inventory:
    items: list[dict[str, Any]] = []
    page: list[dict[str, Any]] | None = None
    while page is None or len(page) == PAGE_SIZE:
        query = {"start": str(len(items)), "count": str(PAGE_SIZE)}
        page = (await transport.request("GET", "/api/v1/dashboard", query=query))["dashboards"]
        items.extend(page)
        _check_number(items)
    return _inventory(ObjectKind.DASHBOARD, (dashboard(item, body=None) for item in items))


async def _pipelines(transport: Transport, _: ListFilter) -> Inventory:
    page = await transport.request("GET", "/api/v1/logs/config/pipelines")
    return _inventory(
        ObjectKind.LOG_PIPELINE, (plain(ObjectKind.LOG_PIPELINE, item) for item in page)
    )


async def _indexes(transport: Transport, _: ListFilter) -> Inventory:
    page = await transport.request("GET", "/api/v1/logs/config/indexes")
    return _inventory(ObjectKind.LOG_INDEX, (index(item) for item in page["indexes"]))


async def _index_order(transport: Transport, _: ListFilter) -> Inventory:
    index_order = await transport.request("GET", "/api/v1/logs/config/index-order")
    remote = RemoteObject(kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body=index_order)
    return _inventory(ObjectKind.LOG_INDEX_ORDER, (remote,))


async def _metrics(transport: Transport, list_filter: ListFilter) -> Inventory:
    path, window = "/api/v2/metrics", {"window[seconds]": str(METRICS_WINDOW_S)}
    query = {"filter[configured]": "true", **window}
    configured = await transport.request("GET", path, query=query)
    query = {"filter[tags]": f"service:{list_filter.service}", **window}
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
    scanner = RemoteObject(kind=ObjectKind.SCANNER, id=page["data"]["id"], body={})
    return Inventory(
        objects={
            ObjectKind.SCANNER: (scanner,),
            **{kind: tuple(items) for kind, items in objects.items()},
        }
    )


async def _notebooks(transport: Transport, list_filter: ListFilter) -> Inventory:
    query = {"query": list_filter.notebook, "include_cells": "true", "count": "100"}
    page = await transport.request("GET", "/api/v1/notebooks", query=query)
    return _inventory(
        ObjectKind.NOTEBOOK, (wrapped(ObjectKind.NOTEBOOK, item) for item in page["data"])
    )


def dashboard(item: dict[str, Any], *, body: Body | None) -> RemoteObject:
    """Return a dashboard. Its list shows no widgets, so `body` is None for listed dashboards."""
    return RemoteObject(
        kind=ObjectKind.DASHBOARD,
        id=item["id"],
        body=body,
        version=item.get("modified_at"),
        text=item.get("description") or "",
        title=item.get("title") or "",
    )


def plain(kind: ObjectKind, item: dict[str, Any]) -> RemoteObject:
    """Return an object of API version 1."""
    return RemoteObject(kind=kind, id=str(item["id"]), body=item)


def index(item: dict[str, Any]) -> RemoteObject:
    """Return a log index. Its name is its id."""
    return RemoteObject(
        kind=ObjectKind.LOG_INDEX, id=item["name"], body=owned_fields(ObjectKind.LOG_INDEX, item)
    )


def wrapped(kind: ObjectKind, item: dict[str, Any]) -> RemoteObject:
    """Return an object of API version 2."""
    return RemoteObject(kind=kind, id=str(item["id"]), body=owned_fields(kind, {"data": item}))


LIST_CALLS: dict[ObjectKind, ListCall] = {
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

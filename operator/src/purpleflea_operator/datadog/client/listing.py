"""Looks: what one organisation holds of a kind, by list calls only. At most eleven requests for everything.

Whose an object is, and whether it is right, is decided in sync.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.models import Found, Scope, Survey, owned
from purpleflea_operator.datadog.client.transport import Transport
from purpleflea_operator.datadog.definitions.objects import Body, Kind

PAGE = 1000


Look = Callable[[Transport, Scope], Awaitable[Survey]]


async def survey(transport: Transport, scope: Scope, kinds: Iterable[Kind]) -> Survey:
    """Look at the kinds; one that cannot be looked at is hidden, with the reason.

    Raises:
        Throttled: Not before its time.
        Unreachable: Datadog is away.
    """
    found = Survey()
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


def _survey(kind: Kind, items: Iterable[Found]) -> Survey:
    return Survey(objects={kind: tuple(items)})


async def _monitors(transport: Transport, scope: Scope) -> Survey:
    found: list[dict[str, Any]] = []
    page: list[dict[str, Any]] | None = None
    while page is None or len(page) == PAGE:
        number = len(found) // PAGE
        query = {"monitor_tags": scope.tag, "page": str(number), "page_size": str(PAGE)}
        page = await transport.request("GET", "/api/v1/monitor", query=query)
        found.extend(page or ())
    return _survey(Kind.MONITOR, (monitor(item) for item in found))


async def _slos(transport: Transport, scope: Scope) -> Survey:
    query = {"tags_query": scope.tag, "limit": str(PAGE)}
    page = await transport.request("GET", "/api/v1/slo", query=query)
    return _survey(Kind.SLO, (plain(Kind.SLO, item) for item in page["data"]))


async def _dashboards(transport: Transport, _: Scope) -> Survey:
    found: list[dict[str, Any]] = []
    page: list[dict[str, Any]] | None = None
    while page is None or len(page) == PAGE:
        query = {"start": str(len(found)), "count": str(PAGE)}
        page = (await transport.request("GET", "/api/v1/dashboard", query=query))["dashboards"]
        found.extend(page)
    return _survey(Kind.DASHBOARD, (dashboard(item, body=None) for item in found))


async def _pipelines(transport: Transport, _: Scope) -> Survey:
    page = await transport.request("GET", "/api/v1/logs/config/pipelines")
    return _survey(Kind.LOG_PIPELINE, (plain(Kind.LOG_PIPELINE, item) for item in page))


async def _indexes(transport: Transport, _: Scope) -> Survey:
    page = await transport.request("GET", "/api/v1/logs/config/indexes")
    return _survey(Kind.LOG_INDEX, (index(item) for item in page["indexes"]))


async def _index_order(transport: Transport, _: Scope) -> Survey:
    order = await transport.request("GET", "/api/v1/logs/config/index-order")
    found = Found(kind=Kind.LOG_INDEX_ORDER, id="organisation", body=order)
    return _survey(Kind.LOG_INDEX_ORDER, (found,))


async def _metrics(transport: Transport, scope: Scope) -> Survey:
    path = "/api/v2/metrics"
    configured = await transport.request("GET", path, query={"filter[configured]": "true"})
    query = {"filter[tags]": f"service:{scope.service}", "window[seconds]": "86400"}
    reporting = await transport.request("GET", path, query=query)
    return Survey(
        objects={
            Kind.METRIC_TAGS: tuple(
                wrapped(Kind.METRIC_TAGS, item)
                for item in configured["data"]
                if item["type"] == "manage_tags"
            )
        },
        reporting=frozenset(item["id"] for item in reporting["data"]),
    )


async def _scanner(transport: Transport, _: Scope) -> Survey:
    page = await transport.request("GET", "/api/v2/sensitive-data-scanner/config")
    kinds = {
        "sensitive_data_scanner_group": Kind.SCANNER_GROUP,
        "sensitive_data_scanner_rule": Kind.SCANNER_RULE,
    }
    objects: dict[Kind, list[Found]] = {kind: [] for kind in kinds.values()}
    for item in page.get("included") or ():
        if item["type"] in kinds:
            kind = kinds[item["type"]]
            objects[kind].append(wrapped(kind, item))
    organisation = Found(kind=Kind.SCANNER, id=page["data"]["id"], body={})
    return Survey(
        objects={
            Kind.SCANNER: (organisation,),
            **{kind: tuple(items) for kind, items in objects.items()},
        }
    )


async def _notebooks(transport: Transport, scope: Scope) -> Survey:
    query = {"query": scope.notebook, "include_cells": "true", "count": "100"}
    page = await transport.request("GET", "/api/v1/notebooks", query=query)
    return _survey(Kind.NOTEBOOK, (wrapped(Kind.NOTEBOOK, item) for item in page["data"]))


def monitor(item: dict[str, Any]) -> Found:
    """A monitor as its endpoints show it; Datadog calls some query alerts metric alerts."""
    kind = "query alert" if item["type"] == "metric alert" else item["type"]
    return Found(kind=Kind.MONITOR, id=str(item["id"]), body={**item, "type": kind})


def dashboard(item: dict[str, Any], *, body: Body | None) -> Found:
    """A dashboard; its list shows no widgets."""
    return Found(
        kind=Kind.DASHBOARD,
        id=item["id"],
        body=body,
        version=item.get("modified_at"),
        text=item.get("description") or "",
        title=item.get("title") or "",
    )


def plain(kind: Kind, item: dict[str, Any]) -> Found:
    """An object of version 1."""
    return Found(kind=kind, id=str(item["id"]), body=item)


def index(item: dict[str, Any]) -> Found:
    """A log index: its name is its id."""
    return Found(kind=Kind.LOG_INDEX, id=item["name"], body=owned(Kind.LOG_INDEX, item))


def wrapped(kind: Kind, item: dict[str, Any]) -> Found:
    """An object of version 2."""
    return Found(kind=kind, id=str(item["id"]), body=owned(kind, {"data": item}))


LOOKS: dict[Kind, Look] = {
    Kind.MONITOR: _monitors,
    Kind.SLO: _slos,
    Kind.DASHBOARD: _dashboards,
    Kind.LOG_PIPELINE: _pipelines,
    Kind.LOG_INDEX: _indexes,
    Kind.LOG_INDEX_ORDER: _index_order,
    Kind.METRIC_TAGS: _metrics,
    Kind.SCANNER: _scanner,
    Kind.SCANNER_GROUP: _scanner,
    Kind.SCANNER_RULE: _scanner,
    Kind.NOTEBOOK: _notebooks,
}

"""Routes of metrics: tag configurations (Metrics without Limits), percentiles, and metadata.

Both exist only if the metric has reported data.
"""

import re
from collections.abc import Iterable

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import Document, Organisation, iso
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_WINDOW_S = 3600
_TAG = re.compile(r"[\w./-]+:[\w./-]+")
_METADATA = ("type", "description", "short_name", "unit", "per_unit", "statsd_interval")


def routes() -> Iterable[Route]:
    write = "metric_tags_write"
    yield Route("GET", "/api/v2/metrics", list_all, "metrics_read")
    tags = "/api/v2/metrics/{name}/tags"
    yield Route("POST", tags, create, write)
    yield Route("GET", tags, get_one, "metrics_read")
    yield Route("PATCH", tags, update, write)
    yield Route("DELETE", tags, delete, write)
    yield Route("GET", "/api/v1/metrics/{name}", metadata, "metrics_read")
    yield Route("PUT", "/api/v1/metrics/{name}", update_metadata, "metrics_metadata_write")


def list_all(call: Call) -> Answer:
    """List metrics and tag configurations, in pages with a cursor. If `filter[configured]` is set, only one of both
    is listed.

    Only metrics that have reported within `window[seconds]` (default: one hour) are listed, and if `filter[tags]` is
    set, only those with this tag.
    """
    configured = call.query.get("filter[configured]", "").lower()
    wanted_tag = call.query.get("filter[tags]", "")
    stored = call.organisation.metric_tags
    if wanted_tag and configured:
        raise refused(400, "filter[tags] cannot be combined with filter[configured]")
    reported = _reported(call, wanted_tag)
    documents = [stored[name] for name in sorted(stored)] if configured != "false" else []
    documents = [document for document in documents if document["id"] in reported]
    if configured != "true":
        names = sorted(reported - set(stored))
        documents += [{"type": "metrics", "id": name} for name in names]
    size = call.number("page[size]", len(documents))
    start = call.number("page[cursor]", 0)
    page = documents[start : start + size] if size else []
    next_cursor = str(start + size) if start + size < len(documents) else None
    pagination = {
        "type": "cursor_limit",
        "limit": size,
        "cursor": call.query.get("page[cursor]"),
        "next_cursor": next_cursor,
    }
    return Answer(body={"data": page, "meta": {"pagination": pagination}})


def _reported(call: Call, tag: str) -> set[str]:
    """Return the metrics that have reported within the window. If a tag is given, only those with this tag."""
    if tag and not _TAG.fullmatch(tag):
        raise refused(400, f"This stand-in supports only key:value as a tag filter, not {tag!r}")
    since = call.organisation.now() - call.number("window[seconds]", _WINDOW_S)
    found = call.organisation.data.series.find(tags=[tag] if tag else ())
    return {entry.metric for entry in found if entry.newest() >= since}


def create(call: Call) -> Answer:
    name = call.parts["name"]
    attributes = _attributes(call, "v2.MetricTagConfigurationCreateRequest")
    kind = _reported_type(call.organisation, name)
    if kind is None:
        raise refused(400, "Cannot configure tags on a metric that does not exist.")
    if name in call.organisation.metric_tags:
        raise refused(
            409, f"New {kind} conflicts with existing tag configuration, use PATCH to update"
        )
    if (kind == "distribution") != (attributes["metric_type"] == "distribution"):
        raise refused(400, f"Metric type {attributes['metric_type']} does not match {kind}")
    _check_percentiles(attributes, attributes["metric_type"])
    now = iso(call.organisation.now())
    stored: Document = {"created_at": now, "modified_at": now, "tags": []} | attributes
    if attributes["metric_type"] == "distribution":
        stored.setdefault("include_percentiles", False)
    document = {"type": "manage_tags", "id": name, "attributes": stored}
    call.organisation.metric_tags[name] = document
    return Answer(status=201, body={"data": document})


def get_one(call: Call) -> Answer:
    return Answer(body={"data": _configuration(call)})


def update(call: Call) -> Answer:
    document = _configuration(call)
    attributes = _attributes(call, "v2.MetricTagConfigurationUpdateRequest")
    _check_percentiles(attributes, document["attributes"]["metric_type"])
    document["attributes"] |= attributes | {"modified_at": iso(call.organisation.now())}
    return Answer(body={"data": document})


def delete(call: Call) -> Answer:
    del call.organisation.metric_tags[_configuration(call)["id"]]
    return Answer(status=204)


def metadata(call: Call) -> Answer:
    return Answer(body=_metadata(call))


def update_metadata(call: Call) -> Answer:
    known, body = _metadata(call), call.document()
    if faults := shapes.faults(body, "v1.MetricMetadata"):
        raise refused(400, *faults)
    known |= {name: body[name] for name in _METADATA if name in body}
    call.organisation.metric_metadata[call.parts["name"]] = known
    return Answer(body=known)


def _attributes(call: Call, shape: str) -> Document:
    body = call.document()
    if faults := shapes.faults(body, shape):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    if body["data"]["id"] != call.parts["name"]:
        raise refused(400, "The id of the payload is not the metric of the path")
    attributes: Document = dict(body["data"].get("attributes") or {})
    if not attributes:
        raise refused(400, "Invalid payload: data.attributes: required")
    if "tags" in attributes:
        attributes["tags"] = sorted(set(attributes["tags"]))
    return attributes


def _check_percentiles(attributes: Document, kind: str) -> None:
    if "include_percentiles" in attributes and kind != "distribution":
        raise refused(400, "include_percentiles is only for distribution metrics")


def _configuration(call: Call) -> Document:
    configuration = call.organisation.metric_tags.get(call.parts["name"])
    if configuration is None:
        raise refused(404, f"No tag configuration found for metric {call.parts['name']}")
    return configuration


def _metadata(call: Call) -> Document:
    name = call.parts["name"]
    kind = _reported_type(call.organisation, name)
    if kind is None:
        raise refused(404, "metric_name not found")
    defaults: Document = dict.fromkeys(_METADATA) | {"type": kind, "integration": None}
    return defaults | call.organisation.metric_metadata.get(name, {})


def _reported_type(organisation: Organisation, name: str) -> str | None:
    series = organisation.data.series.find(name)
    return series[0].type if series else None

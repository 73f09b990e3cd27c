"""Routes of /api/v1/slo."""

from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.api import references, shapes
from purpleflea_sandbox.datadog.api.errors import ApiError, refused
from purpleflea_sandbox.datadog.api.organisation import AUTHOR, Document, Organisation
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route
from purpleflea_sandbox.datadog.queries import read

_CLIENT_FIELDS = (
    "name",
    "description",
    "type",
    "query",
    "sli_specification",
    "monitor_ids",
    "groups",
    "thresholds",
    "timeframe",
    "target_threshold",
    "warning_threshold",
    "tags",
)
_LIMIT = 1000


def routes() -> Iterable[Route]:
    base, scope = "/api/v1/slo", "slos_write"
    yield Route("POST", base, create, scope)
    yield Route("GET", base, list_all, "slos_read")
    yield Route("GET", f"{base}/can_delete", can_delete, "slos_read")
    yield Route("GET", f"{base}/{{id}}", get_one, "slos_read")
    yield Route("PUT", f"{base}/{{id}}", update, scope)
    yield Route("DELETE", f"{base}/{{id}}", delete, scope)


def create(call: Call) -> Answer:
    body = call.document()
    _check(call.organisation, body, "v1.ServiceLevelObjectiveRequest")
    now = int(call.organisation.now())
    identifier = call.organisation.ids.hexadecimal()
    slo = _stored(body) | {"id": identifier, "created_at": now, "modified_at": now}
    call.organisation.slos[identifier] = slo | {"creator": AUTHOR}
    return Answer(body={"data": [call.organisation.slos[identifier]]})


def list_all(call: Call) -> Answer:
    """List all SLOs. `tags_query` filters by one tag, `query` by a part of the name."""
    wanted = set(tagging.normalised_all(call.listed("tags_query")))
    ids = set(call.listed("ids"))
    metric = call.query.get("metrics_query", "")
    matches = [
        slo
        for slo in call.organisation.slos.values()
        if wanted <= set(slo["tags"])
        and (not ids or slo["id"] in ids)
        and call.query.get("query", "").lower() in slo["name"].lower()
        and metric in str(slo.get("query", ""))
    ]
    offset, limit = call.number("offset", 0), min(call.number("limit", _LIMIT), _LIMIT)
    count = {"total_count": len(call.organisation.slos), "total_filtered_count": len(matches)}
    return Answer(
        body={
            "data": matches[offset : offset + limit],
            "errors": [],
            "metadata": {"page": count},
        }
    )


def get_one(call: Call) -> Answer:
    return Answer(body={"data": _slo(call), "errors": None})


def update(call: Call) -> Answer:
    slo, body = _slo(call), call.document()
    _check(call.organisation, body, "v1.ServiceLevelObjective")
    if body["type"] != slo["type"]:
        raise refused(400, "SLO type cannot be changed")
    kept = {name: slo[name] for name in ("id", "created_at", "creator")}
    slo.clear()
    slo.update(_stored(body) | kept | {"modified_at": int(call.organisation.now())})
    return Answer(body={"data": [slo]})


def delete(call: Call) -> Answer:
    slo = _slo(call)
    obstacle = references.slo_obstacle(call.organisation, slo["id"])
    if obstacle and not call.flag("force"):
        raise ApiError(409, {"errors": obstacle, "data": None})
    del call.organisation.slos[slo["id"]]
    return Answer(body={"data": [slo["id"]]})


def can_delete(call: Call) -> Answer:
    obstacles = {
        identifier: references.slo_obstacle(call.organisation, identifier)
        for identifier in call.listed("ids")
    }
    errors = {identifier: obstacle for identifier, obstacle in obstacles.items() if obstacle}
    free = [identifier for identifier, obstacle in obstacles.items() if not obstacle]
    return Answer(
        status=409 if errors else 200, body={"data": {"ok": free}, "errors": errors or None}
    )


def _check(organisation: Organisation, body: Mapping[str, Any], shape: str) -> None:
    if faults := shapes.faults(body, shape):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    if body["type"] == "metric":
        for part in ("numerator", "denominator"):
            text = (body.get("query") or {}).get(part, "")
            try:
                read.series(text)
            except read.UnreadableError as error:
                raise refused(400, f"Invalid query in {part}: {error}") from error
    for monitor in body.get("monitor_ids") or ():
        if monitor not in organisation.monitors:
            raise refused(404, "Monitor not found")
    if not body["thresholds"] or any(
        not 0 < threshold["target"] < 100 for threshold in body["thresholds"]
    ):
        raise refused(400, "Invalid payload: a target has to be between 0 and 100")


def _stored(body: Mapping[str, Any]) -> Document:
    stored = {name: body[name] for name in _CLIENT_FIELDS if name in body}
    stored["tags"] = list(tagging.normalised_all(body.get("tags") or ()))
    stored.setdefault("description", "")
    stored.setdefault("monitor_tags", [])
    stored["thresholds"] = [_shown_threshold(threshold) for threshold in body["thresholds"]]
    first = stored["thresholds"][0]
    stored.setdefault("timeframe", first["timeframe"])
    stored.setdefault("target_threshold", first["target"])
    return stored


def _shown_threshold(threshold: Mapping[str, Any]) -> Document:
    """Return the threshold with the display values that the server adds."""
    shown = dict(threshold) | {"target_display": _display(threshold["target"])}
    if threshold.get("warning") is not None:
        shown["warning_display"] = _display(threshold["warning"])
    return shown


def _display(value: float) -> str:
    return f"{value:.3f}".rstrip("0").ljust(len(f"{int(value)}.") + 1, "0")


def _slo(call: Call) -> Document:
    slo = call.organisation.slos.get(call.parts["id"])
    if slo is None:
        raise refused(404, "SLO not found")
    return slo

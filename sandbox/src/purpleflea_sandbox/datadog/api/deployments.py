"""Routes of DORA metrics: deployments. If an id is sent twice, the second deployment replaces the first."""

from collections.abc import Iterable

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import Document, iso
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_MIN_ID_LENGTH, _MAX_ID_LENGTH = 16, 128
_TYPE = "dora_deployment"


def routes() -> Iterable[Route]:
    base = "/api/v2/dora"
    yield Route("POST", f"{base}/deployment", create, None)
    yield Route("POST", f"{base}/deployments", list_all, "dora_metrics_read")
    yield Route("GET", f"{base}/deployments/{{id}}", get_one, "dora_metrics_read")
    yield Route("DELETE", f"{base}/deployment/{{id}}", delete, "dora_metrics_write")


def create(call: Call) -> Answer:
    body = call.document()
    if faults := shapes.faults(body, "v2.DORADeploymentRequest"):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    attributes: Document = dict(body["data"]["attributes"])
    identifier = attributes.pop("id", None) or call.organisation.ids.uuid().replace("-", "")
    if not _MIN_ID_LENGTH <= len(identifier) <= _MAX_ID_LENGTH:
        raise refused(400, f"id: it has {_MIN_ID_LENGTH} to {_MAX_ID_LENGTH} characters")
    for name in ("started_at", "finished_at"):
        attributes[name] = _nanoseconds(attributes[name])
    if attributes["finished_at"] < attributes["started_at"]:
        raise refused(400, "finished_at is before started_at")
    call.organisation.deployments[identifier] = attributes
    call.organisation.remove_oldest_deployments()
    return Answer(body={"data": {"id": identifier, "type": _TYPE}})


def list_all(call: Call) -> Answer:
    """List deployments, newest first. If `query` is set, all of its tags (such as service:name) must match."""
    body = call.document()
    if faults := shapes.faults(body, "v2.DORAListDeploymentsRequest"):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    parameters: Document = body["data"]["attributes"]
    wanted = [term.partition(":") for term in parameters.get("query", "").split()]
    matches = [
        _shown(identifier, attributes)
        for identifier, attributes in call.organisation.deployments.items()
        if all(str(attributes.get(name)) == value for name, _, value in wanted)
    ]
    matches.sort(key=lambda shown: shown["attributes"]["finished_at"], reverse=True)
    return Answer(body={"data": matches[: parameters.get("limit", 10)]})


def get_one(call: Call) -> Answer:
    return Answer(body={"data": _shown(call.parts["id"], _deployment(call))})


def delete(call: Call) -> Answer:
    _deployment(call)
    del call.organisation.deployments[call.parts["id"]]
    return Answer(status=202)


def _deployment(call: Call) -> Document:
    deployment = call.organisation.deployments.get(call.parts["id"])
    if deployment is None:
        raise refused(404, "Deployment not found")
    return deployment


def _shown(identifier: str, attributes: Document) -> Document:
    times = {name: iso(attributes[name] / 10**9) for name in ("started_at", "finished_at")}
    return {"id": identifier, "type": _TYPE, "attributes": attributes | times}


def _nanoseconds(time: int) -> int:
    """Convert a time to nanoseconds; its magnitude shows if it is in seconds, milliseconds or nanoseconds."""
    if time < 10**11:
        return time * 10**9
    return time * 10**6 if time < 10**14 else time

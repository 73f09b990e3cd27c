"""Routes of /api/v1/logs/config: pipelines, indexes, and the sequence of both. The sequence alone decides which of
them process a log.
"""

from collections.abc import Iterable

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import log_config_error, refused
from purpleflea_sandbox.datadog.api.organisation import Document
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Handle, Route

_READ, _PIPELINES, _INDEXES = (
    "logs_read_config",
    "logs_write_pipelines",
    "logs_modify_indexes",
)


def routes() -> Iterable[Route]:
    def route(method: str, path: str, handle: Handle, scope: str) -> Route:
        limit = "logs_config_read" if method == "GET" else "logs_config_write"
        return Route(method, f"/api/v1/logs/config/{path}", handle, scope, limit)

    yield route("GET", "pipelines", pipelines, _READ)
    yield route("POST", "pipelines", create_pipeline, _PIPELINES)
    yield route("GET", "pipelines/{id}", pipeline, _READ)
    yield route("PUT", "pipelines/{id}", update_pipeline, _PIPELINES)
    yield route("DELETE", "pipelines/{id}", delete_pipeline, _PIPELINES)
    yield route("GET", "pipeline-order", pipeline_order, _READ)
    yield route("PUT", "pipeline-order", order_pipelines, _PIPELINES)
    yield route("GET", "indexes", indexes, _READ)
    yield route("POST", "indexes", create_index, _INDEXES)
    yield route("GET", "indexes/{name}", index, _READ)
    yield route("PUT", "indexes/{name}", update_index, _INDEXES)
    yield route("DELETE", "indexes/{name}", delete_index, _INDEXES)
    yield route("GET", "index-order", index_order, _READ)
    yield route("PUT", "index-order", order_indexes, _INDEXES)


def pipelines(call: Call) -> Answer:
    return Answer(body=list(call.organisation.logs.pipelines.values()))


def create_pipeline(call: Call) -> Answer:
    body = _checked(call, "v1.LogsPipeline", "Invalid Pipeline")
    identifier = call.organisation.ids.token()
    call.organisation.logs.pipelines[identifier] = _stored_pipeline(body, identifier)
    return Answer(body=call.organisation.logs.pipelines[identifier])


def pipeline(call: Call) -> Answer:
    return Answer(body=_pipeline(call))


def update_pipeline(call: Call) -> Answer:
    identifier = _pipeline(call)["id"]
    stored = _stored_pipeline(_checked(call, "v1.LogsPipeline", "Invalid Pipeline"), identifier)
    call.organisation.logs.pipelines[identifier] = stored
    return Answer(body=stored)


def delete_pipeline(call: Call) -> Answer:
    del call.organisation.logs.pipelines[_pipeline(call)["id"]]
    return Answer(body={})


def pipeline_order(call: Call) -> Answer:
    return Answer(body={"pipeline_ids": list(call.organisation.logs.pipelines)})


def order_pipelines(call: Call) -> Answer:
    """Set the sequence of all pipelines. If the list does not name each pipeline once, nothing changes."""
    wanted = _checked(call, "v1.LogsPipelinesOrder", "Invalid pipeline order")["pipeline_ids"]
    stored = call.organisation.logs.pipelines
    if sorted(wanted) != sorted(stored):
        message = "Invalid pipeline order"
        raise log_config_error(message, "The list has to hold every pipeline once", status=422)
    call.organisation.logs.pipelines = {identifier: stored[identifier] for identifier in wanted}
    return Answer(body={"pipeline_ids": wanted})


def indexes(call: Call) -> Answer:
    return Answer(body={"indexes": list(call.organisation.logs.indexes.values())})


def create_index(call: Call) -> Answer:
    body = _checked(call, "v1.LogsIndex", "Invalid index")
    if body["name"] in call.organisation.logs.indexes:
        raise log_config_error("Invalid index", f"Index {body['name']} already exists")
    stored = {"exclusion_filters": [], "is_rate_limited": False} | body
    call.organisation.logs.indexes[body["name"]] = stored
    return Answer(body=stored)


def index(call: Call) -> Answer:
    return Answer(body=_index(call))


def update_index(call: Call) -> Answer:
    index_config = _index(call)
    body = _checked(call, "v1.LogsIndexUpdateRequest", "Invalid index")
    name = index_config["name"]
    stored = {"exclusion_filters": [], "is_rate_limited": False, "name": name} | body
    is_disabled = stored.pop("disable_daily_limit", index_config.get("daily_limit") is None)
    if is_disabled:
        # Recorded in TestAccDatadogLogsIndex_Basic.yaml of Terraform's provider.
        limits = ("daily_limit", "daily_limit_reset", "daily_limit_warning_threshold_percentage")
        stored |= dict.fromkeys(limits)
    call.organisation.logs.indexes[name] = stored
    return Answer(body=stored)


def delete_index(call: Call) -> Answer:
    index_config = _index(call)
    del call.organisation.logs.indexes[index_config["name"]]
    return Answer(body=index_config)


def index_order(call: Call) -> Answer:
    return Answer(body={"index_names": list(call.organisation.logs.indexes)})


def order_indexes(call: Call) -> Answer:
    """Set the sequence of all indexes; a log is stored in the first index that matches it."""
    wanted = _checked(call, "v1.LogsIndexesOrder", "Invalid index order")["index_names"]
    stored = call.organisation.logs.indexes
    if sorted(wanted) != sorted(stored):
        raise log_config_error("Invalid index order", "The list has to hold every index once")
    call.organisation.logs.indexes = {name: stored[name] for name in wanted}
    return Answer(body={"index_names": wanted})


def _checked(call: Call, shape: str, message: str) -> Document:
    body = call.document()
    if faults := shapes.faults(body, shape):
        raise log_config_error(message, *faults)
    return body


def _stored_pipeline(body: Document, identifier: str) -> Document:
    defaults: Document = {"is_enabled": False, "processors": [], "description": "", "tags": []}
    fixed = {"id": identifier, "type": "pipeline", "is_read_only": False}
    return defaults | {"filter": {"query": ""}} | body | fixed


def _pipeline(call: Call) -> Document:
    """Return the pipeline of the path. If it does not exist, the API responds with 400, not 404."""
    stored = call.organisation.logs.pipelines.get(call.parts["id"])
    if stored is None:
        raise log_config_error("Non existing pipeline", f"No pipeline {call.parts['id']}")
    return stored


def _index(call: Call) -> Document:
    stored = call.organisation.logs.indexes.get(call.parts["name"])
    if stored is None:
        raise refused(404, "Index not found")
    return stored

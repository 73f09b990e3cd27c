"""Routes of /api/v1/notebooks."""

from collections.abc import Iterable

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import AUTHOR, Document, Organisation, iso
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_COUNT = 100


def routes() -> Iterable[Route]:
    base, scope = "/api/v1/notebooks", "notebooks_write"
    yield Route("POST", base, create, scope)
    yield Route("GET", base, list_all, "notebooks_read")
    yield Route("GET", f"{base}/{{id}}", get_one, "notebooks_read")
    yield Route("PUT", f"{base}/{{id}}", update, scope)
    yield Route("DELETE", f"{base}/{{id}}", delete, scope)


def create(call: Call) -> Answer:
    attributes = _attributes(call, "v1.NotebookCreateRequest")
    organisation = call.organisation
    number, now = organisation.ids.number(), iso(organisation.now())
    stored = {"author": AUTHOR, "created": now, "modified": now, "status": "published"}
    stored |= _with_ids(organisation, attributes)
    organisation.notebooks[number] = {"id": number, "type": "notebooks", "attributes": stored}
    return Answer(body={"data": organisation.notebooks[number]})


def list_all(call: Call) -> Answer:
    """List notebooks whose name contains `query`. If `include_cells` is false, their cells are omitted."""
    wanted = call.query.get("query", "").lower()
    matches = [
        notebook
        for notebook in call.organisation.notebooks.values()
        if wanted in notebook["attributes"]["name"].lower()
    ]
    start, count = call.number("start", 0), call.number("count", _COUNT)
    page = matches[start : start + count]
    if call.query.get("include_cells", "true").lower() == "false":
        page = [_without_cells(notebook) for notebook in page]
    counts = {
        "total_count": len(call.organisation.notebooks),
        "total_filtered_count": len(matches),
    }
    return Answer(body={"data": page, "meta": {"page": counts}})


def get_one(call: Call) -> Answer:
    return Answer(body={"data": _notebook(call)})


def update(call: Call) -> Answer:
    notebook = _notebook(call)
    attributes = _attributes(call, "v1.NotebookUpdateRequest")
    kept = {name: notebook["attributes"][name] for name in ("author", "created")}
    modified = {"modified": iso(call.organisation.now()), "status": "published"}
    notebook["attributes"] = modified | _with_ids(call.organisation, attributes) | kept
    return Answer(body={"data": notebook})


def delete(call: Call) -> Answer:
    del call.organisation.notebooks[_notebook(call)["id"]]
    return Answer(status=204)


def _attributes(call: Call, shape: str) -> Document:
    body = call.document()
    if faults := shapes.faults(body, shape):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    attributes: Document = body["data"]["attributes"]
    return attributes


def _with_ids(organisation: Organisation, attributes: Document) -> Document:
    cells = [{"id": organisation.ids.token()[:8]} | cell for cell in attributes["cells"]]
    return attributes | {"cells": cells}


def _without_cells(notebook: Document) -> Document:
    attributes = {k: v for k, v in notebook["attributes"].items() if k != "cells"}
    return notebook | {"attributes": attributes}


def _notebook(call: Call) -> Document:
    text = call.parts["id"]
    notebook = call.organisation.notebooks.get(int(text)) if text.isdigit() else None
    if notebook is None:
        raise refused(404, "Notebook not found")
    return notebook

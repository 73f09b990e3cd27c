"""Routes of /api/v2/sensitive-data-scanner: groups of rules, and the configuration version that each change
increments.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import Document, Organisation
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_GROUP = "sensitive_data_scanner_group"
_RULE = "sensitive_data_scanner_rule"
_CONFIG = "sensitive_data_scanner_configuration"
_BASE = "/api/v2/sensitive-data-scanner/config"
_PREFIX = "v2.SensitiveDataScanner"


def routes() -> Iterable[Route]:
    read, write = "data_scanner_read", "data_scanner_write"
    yield Route("GET", _BASE, configuration, read)
    yield Route("PATCH", _BASE, order, write)
    yield Route("GET", f"{_BASE}/standard-patterns", standard_patterns, read)
    yield Route("POST", f"{_BASE}/groups", create_group, write)
    yield Route("PATCH", f"{_BASE}/groups/{{id}}", update_group, write)
    yield Route("DELETE", f"{_BASE}/groups/{{id}}", delete_group, write)
    yield Route("POST", f"{_BASE}/rules", create_rule, write)
    yield Route("PATCH", f"{_BASE}/rules/{{id}}", update_rule, write)
    yield Route("DELETE", f"{_BASE}/rules/{{id}}", delete_rule, write)


def configuration(call: Call) -> Answer:
    """Return the complete configuration: the sequence of the groups, all groups and all rules."""
    scanner = call.organisation.scanner
    groups = [_shown_group(call.organisation, identifier) for identifier in scanner.groups]
    order = [{"id": identifier, "type": _GROUP} for identifier in scanner.groups]
    data = {
        "id": scanner.id,
        "type": _CONFIG,
        "attributes": {},
        "relationships": {"groups": {"data": order}},
    }
    limits = {"count_limit": 100, "group_count_limit": 20}
    return Answer(
        body={
            "data": data,
            "included": [*groups, *scanner.rules.values()],
            "meta": {"version": scanner.version} | limits,
        }
    )


def standard_patterns(call: Call) -> Answer:
    """Return no patterns, because the pattern library is Datadog's own."""
    return Answer(body={"data": []})


def order(call: Call) -> Answer:
    body = _checked(call, "ConfigRequest")
    scanner = call.organisation.scanner
    wanted = [group["id"] for group in body["data"]["relationships"]["groups"]["data"]]
    if sorted(wanted) != sorted(scanner.groups):
        raise refused(400, "The list has to hold every group once")
    scanner.groups = {identifier: scanner.groups[identifier] for identifier in wanted}
    return Answer(body=_meta(call))


def create_group(call: Call) -> Answer:
    body = _checked(call, "GroupCreateRequest")
    data, scanner = body["data"], call.organisation.scanner
    # Terraform's provider sends no relationship (resource_datadog_sensitive_data_scanner_group.go).
    if _target(data, "configuration") not in ("", scanner.id):
        raise refused(400, "Configuration not found")
    identifier = call.organisation.ids.uuid()
    scanner.groups[identifier] = dict(data["attributes"])
    group = _shown_group(call.organisation, identifier)
    return Answer(body={"data": group} | _meta(call))


def update_group(call: Call) -> Answer:
    body = _checked(call, "GroupUpdateRequest")
    group = _stored_object(call.organisation.scanner.groups, call.parts["id"], "Group")
    group |= body["data"].get("attributes") or {}
    return Answer(body=_meta(call))


def delete_group(call: Call) -> Answer:
    """Delete a group and its rules."""
    scanner, identifier = call.organisation.scanner, call.parts["id"]
    _checked(call, "GroupDeleteRequest")
    _stored_object(scanner.groups, identifier, "Group")
    del scanner.groups[identifier]
    kept = {
        key: rule for key, rule in scanner.rules.items() if _target(rule, "group") in scanner.groups
    }
    scanner.rules = kept
    return Answer(body=_meta(call))


def create_rule(call: Call) -> Answer:
    data = _checked(call, "RuleCreateRequest")["data"]
    scanner = call.organisation.scanner
    group = _target(data, "group")
    _stored_object(scanner.groups, group, "Group")
    identifier = call.organisation.ids.uuid()
    relationships = {"group": {"data": {"id": group, "type": _GROUP}}}
    scanner.rules[identifier] = {
        "id": identifier,
        "type": _RULE,
        "attributes": data["attributes"],
        "relationships": relationships,
    }
    return Answer(body={"data": scanner.rules[identifier]} | _meta(call))


def update_rule(call: Call) -> Answer:
    body = _checked(call, "RuleUpdateRequest")
    rule = _stored_object(call.organisation.scanner.rules, call.parts["id"], "Rule")
    rule["attributes"] |= body["data"].get("attributes") or {}
    return Answer(body=_meta(call))


def delete_rule(call: Call) -> Answer:
    _checked(call, "RuleDeleteRequest")
    _stored_object(call.organisation.scanner.rules, call.parts["id"], "Rule")
    del call.organisation.scanner.rules[call.parts["id"]]
    return Answer(body=_meta(call))


def _checked(call: Call, shape: str) -> Document:
    """Return the body. Raises ApiError if its version is not the current version."""
    body = call.document()
    if faults := shapes.faults(body, _PREFIX + shape):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    version = (body.get("meta") or {}).get("version")
    if version is not None and version != call.organisation.scanner.version:
        raise refused(400, f"Version {version} is not the current version")
    return body


def _meta(call: Call) -> Document:
    """Increment the version and return the response metadata."""
    call.organisation.scanner.version += 1
    return {"meta": {"version": call.organisation.scanner.version}}


def _shown_group(organisation: Organisation, identifier: str) -> Document:
    scanner = organisation.scanner
    rules = [
        {"id": key, "type": _RULE}
        for key, rule in scanner.rules.items()
        if _target(rule, "group") == identifier
    ]
    return {
        "id": identifier,
        "type": _GROUP,
        "attributes": scanner.groups[identifier],
        "relationships": {
            "configuration": {"data": {"id": scanner.id, "type": _CONFIG}},
            "rules": {"data": rules},
        },
    }


def _target(data: Mapping[str, Any], name: str) -> str:
    relationship = (data.get("relationships") or {}).get(name) or {}
    return str((relationship.get("data") or {}).get("id", ""))


def _stored_object(stored: Mapping[str, Document], identifier: str, kind: str) -> Document:
    if identifier not in stored:
        raise refused(404, f"{kind} not found")
    return stored[identifier]

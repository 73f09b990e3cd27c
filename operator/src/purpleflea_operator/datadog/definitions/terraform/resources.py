"""Resources of the provider DataDog/datadog 4.19, one function per kind of definition.

This module does not define objects; it only writes definitions in the form of the provider.
"""

from collections.abc import Mapping
from typing import Any

from purpleflea_operator.api.objective import FULL_BUDGET
from purpleflea_operator.datadog.definitions.hcl import Block, Call, Expression, Raw, expression
from purpleflea_operator.datadog.definitions.objects import (
    ORGANIZATION_SCANNER,
    Body,
    Definition,
    ObjectKind,
    Reference,
    resolved,
)
from purpleflea_operator.datadog.definitions.parameters import Feature

TYPES = {
    ObjectKind.MONITOR: "datadog_monitor",
    ObjectKind.SLO: "datadog_service_level_objective",
    ObjectKind.DASHBOARD: "datadog_dashboard_json",
    ObjectKind.LOG_PIPELINE: "datadog_logs_custom_pipeline",
    ObjectKind.LOG_INDEX: "datadog_logs_index",
    ObjectKind.LOG_INDEX_ORDER: "datadog_logs_index_order",
    ObjectKind.SCANNER_GROUP: "datadog_sensitive_data_scanner_group",
    ObjectKind.SCANNER_RULE: "datadog_sensitive_data_scanner_rule",
}
OPTIONAL = frozenset({Feature.ANOMALIES, Feature.LOG_INDEX, Feature.SCANNER})
"""Features whose resources have a count."""


def address(definition: Definition) -> str:
    """Return the address of the resource in the module."""
    counted = "[0]" if definition.feature in OPTIONAL else ""
    return f"{TYPES[definition.kind]}.{_name(definition)}{counted}"


def resource(definition: Definition, known: Mapping[Reference, Definition]) -> Block:
    """Return the resource. References become the addresses of the resources in `known`."""
    ids = {
        reference: expression(f"{address(known[reference])}.id")
        for reference in definition.references
        if reference != ORGANIZATION_SCANNER
    }
    # The provider selects the scanner of the organization itself.
    body = resolved(definition, {ORGANIZATION_SCANNER: "", **ids})
    items: list[Any] = [*_count(definition), *WRITERS[definition.kind](body)]
    header = f'resource "{TYPES[definition.kind]}" "{_name(definition)}"'
    return Block(header, tuple(items))


def _name(definition: Definition) -> str:
    return definition.key.replace("-", "_").replace(".", "_")


def _count(definition: Definition) -> list[Any]:
    if definition.feature not in OPTIONAL:
        return []
    return [("count", Raw(f"var.features.{definition.feature} ? 1 : 0")), None]


def _present(body: Mapping[str, Any], *names: str) -> list[Any]:
    return [(name, body[name]) for name in names if name in body]


def _block(header: str, *items: Any) -> list[Any]:
    return [None, Block(header, tuple(items))]


def _monitor(body: Body) -> list[Any]:
    options = dict(body["options"])
    thresholds = options.pop("thresholds", {})
    windows = options.pop("threshold_windows", {})
    items = [*_present(body, "name", "type", "priority", "query", "message"), None]
    items += [("tags", body["tags"]), None, *options.items()]
    if thresholds:
        items += _block("monitor_thresholds", *thresholds.items())
    if windows:
        items += _block("monitor_threshold_windows", *windows.items())
    if body["type"] == "slo alert":
        items += _burn_rate_check(body["options"]["thresholds"]["critical"])
    return items


def _burn_rate_check(rate: Expression) -> list[Any]:
    """Return the check of a burn rate. A variable cannot have it, because it compares two variables."""
    variable = rate.text.removesuffix(".rate").removeprefix("var.")
    precondition = Block(
        "precondition",
        (
            ("condition", Raw(f"{rate.text} * (100 - var.objective.target) < {FULL_BUDGET}")),
            (
                "error_message",
                f"{variable}: rate must be less than 100 / (100 - target), because otherwise it is never exceeded.",
            ),
        ),
    )
    return _block("lifecycle", precondition)


def _slo(body: Body) -> list[Any]:
    items = _present(body, "name", "description", "type", "tags")
    items += [None, *_present(body, "timeframe", "target_threshold", "warning_threshold")]
    items += _block("query", *body["query"].items())
    for threshold in body["thresholds"]:
        items += _block("thresholds", *threshold.items())
    return items


def _dashboard(body: Body) -> list[Any]:
    # The provider compares the whole JSON with the response. Datadog adds these fields to a request without them.
    return [("dashboard", Call("jsonencode", {**body, "notify_list": [], "tags": []}))]


def _pipeline(body: Body) -> list[Any]:
    items = _present(body, "name", "is_enabled", "tags")
    items += _block("filter", *body["filter"].items())
    for processor in body["processors"]:
        settings = [item for item in processor.items() if item[0] != "type"]
        kind = Block(processor["type"].replace("-", "_"), tuple(settings))
        items += _block("processor", kind)
    return items


def _index(body: Body) -> list[Any]:
    items = [("name", body["name"]), ("retention_days", body["num_retention_days"])]
    items.append(("daily_limit", body["daily_limit"]))
    items += _block("filter", *body["filter"].items())
    # Exclusion filters that users add in Datadog are kept.
    return items + _block("lifecycle", ("ignore_changes", Raw("[exclusion_filter]")))


def _index_sequence(_: Body) -> list[Any]:
    # The name is a reference, so Terraform creates the index before it sets the sequence.
    return [("indexes", Raw("concat([datadog_logs_index.agents[0].name], var.log_index.others)"))]


def _scanner_group(body: Body) -> list[Any]:
    attributes = body["data"]["attributes"]
    items = _present(attributes, "name", "description", "is_enabled", "product_list")
    return items + _block("filter", *attributes["filter"].items())


def _scanner_rule(body: Body) -> list[Any]:
    attributes = dict(body["data"]["attributes"])
    group = body["data"]["relationships"]["group"]["data"]["id"]
    items = [("group_id", group), *_present(attributes, "name", "pattern", "is_enabled")]
    items += _present(attributes, "priority", "tags")
    for block in ("included_keyword_configuration", "text_replacement"):
        if block in attributes:
            items += _block(block, *attributes[block].items())
    return items


WRITERS = {
    ObjectKind.MONITOR: _monitor,
    ObjectKind.SLO: _slo,
    ObjectKind.DASHBOARD: _dashboard,
    ObjectKind.LOG_PIPELINE: _pipeline,
    ObjectKind.LOG_INDEX: _index,
    ObjectKind.LOG_INDEX_ORDER: _index_sequence,
    ObjectKind.SCANNER_GROUP: _scanner_group,
    ObjectKind.SCANNER_RULE: _scanner_rule,
}

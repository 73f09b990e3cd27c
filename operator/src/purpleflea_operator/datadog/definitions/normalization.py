"""Table of Datadog's normalizations: how a field of a request differs from the same field of the next response. Pure.

The operator compares both in the normal form, because otherwise it would send the same update in each pass. A row names
its source: code of Datadog's Terraform provider (github.com/DataDog/terraform-provider-datadog, version 4.19), which
has to ignore the same differences, its recorded responses (datadog/tests/cassettes), or Datadog's API reference.

The table does not list fields that Datadog adds, because only fields of the request are compared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_contract.tags import stored_tag
from purpleflea_operator.datadog.definitions.objects import ObjectKind

Fields = Mapping[ObjectKind, frozenset[str]]
"""Dotted names of fields by kind, without positions in lists."""
_LARGEST_EXACT = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """One row. `fields` is None if it is valid for each field of each kind."""

    name: str
    fields: Fields | None
    apply: Callable[[Any], Any]
    source: str

    def is_for(self, kind: ObjectKind, field: str) -> bool:
        """Return True if Datadog changes this field in this way."""
        return self.fields is None or field in self.fields.get(kind, ())


def _fields(**names: str) -> Fields:
    """Return the fields by kind. A keyword is the name of a kind, its value lists fields with spaces between them."""
    return {ObjectKind[kind]: frozenset(fields.split()) for kind, fields in names.items()}


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _metric_alert(value: Any) -> Any:
    return "query alert" if value == "metric alert" else value


def _tags(value: Any) -> Any:
    return sorted({stored_tag(str(tag)) for tag in value}) if isinstance(value, list) else value


def _set(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, list) else value


def _query(value: Any) -> Any:
    return "*" if value == "" else value


def _without_zero(value: Any) -> Any:
    return None if value == 0 and not isinstance(value, bool) else value


def _without_default(value: Any) -> Any:
    return None if value == "default" else value


def _number(value: Any) -> Any:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    # A float has no exact form of larger numbers, and of the largest none at all.
    return float(value) if is_whole and abs(value) <= _LARGEST_EXACT else value


def _without_empty(value: Any) -> Any:
    return None if value is False or value in ("", [], {}) else value


NORMALIZATIONS = (
    Normalization(
        name="white space around a text is removed",
        fields=_fields(
            MONITOR="message query options.escalation_message",
            SLO="description query.numerator query.denominator",
        ),
        apply=_trimmed,
        source="TestAccDatadogMonitor_TrimWhitespace.yaml; StateFunc of resource_datadog_monitor.go; trimStateValue of"
        " resource_datadog_service_level_objective.go",
    ),
    Normalization(
        name="metric alert and query alert are one type",
        fields=_fields(MONITOR="type"),
        apply=_metric_alert,
        source="TestAccMonitor_Fwprovider_SchedulingOptions.yaml; DiffSuppressFunc of resource_datadog_monitor.go",
    ),
    Normalization(
        name="tags are a set, in lower case and with underscores for other characters",
        fields=_fields(
            MONITOR="tags",
            SLO="tags",
            DASHBOARD="tags",
            LOG_PIPELINE="tags",
            LOG_INDEX="tags",
            METRIC_TAGS="tags",
            SCANNER_RULE="tags",
        ),
        apply=_tags,
        source="TestAccDatadogServiceLevelObjective_Basic.yaml (the sequence differs from one response to the next),"
        " TestAccDatadogLogsPipeline_import.yaml, TestAccDatadogMetricTagConfiguration_GaugeUpdate.yaml;"
        " NormalizeTag of internal/utils/tags.go",
    ),
    Normalization(
        name="lists without a sequence",
        fields=_fields(
            MONITOR="restricted_roles options.notify_by options.renotify_statuses",
            DASHBOARD="notify_list restricted_roles",
            SCANNER_GROUP="product_list",
        ),
        apply=_set,
        source="TestAccDatadogDashboardNotifyListDiff.yaml; TypeSet of these fields in resource_datadog_monitor.go and"
        " resource_datadog_sensitive_data_scanner_group.go; prepResource of resource_datadog_dashboard_json.go",
    ),
    Normalization(
        name="an empty query of a scanning group means every log",
        fields=_fields(SCANNER_GROUP="filter.query"),
        apply=_query,
        source="DiffSuppressFunc of filter.query in resource_datadog_sensitive_data_scanner_group.go",
    ),
    Normalization(
        name="0 and an omitted field are equal",
        fields=_fields(
            MONITOR="priority options.evaluation_delay options.renotify_interval options.renotify_occurrences"
            " options.timeout_h",
        ),
        apply=_without_zero,
        source="TestAccDatadogMonitor_BasicNoTreshold.yaml (priority); updateMonitorState of"
        " resource_datadog_monitor.go, which reads an omitted option as 0",
    ),
    Normalization(
        name="the value default and an omitted field are equal",
        fields=_fields(MONITOR="options.on_missing_data"),
        apply=_without_default,
        source="test_create_a_metric_monitor_with_a_custom_schedule_returns_ok_response.yaml of"
        " github.com/DataDog/datadog-api-client-python",
    ),
    Normalization(
        name="whole numbers become floats",
        fields=None,
        apply=_number,
        source="TestAccMonitor_Fwprovider_Basic_float_int.yaml; suppressDataDogFloatIntDiff of"
        " resource_datadog_monitor.go",
    ),
    Normalization(
        name="false, empty and omitted fields are equal",
        fields=None,
        apply=_without_empty,
        source="TestAccDatadogMonitor_UpdatedToRemoveTags.yaml (thresholds), TestAccDatadogLogsIndex_Basic.yaml"
        " (disable_daily_limit), TestAccDatadogSensitiveDataScannerGroup_Basic.yaml (description)",
    ),
)


DOCUMENT = """\
# How Datadog changes fields of a request

Generated by `make observability` from `operator/src/purpleflea_operator/datadog/definitions/normalization.py`; do not
edit.

A response of Datadog can differ from the request in the following ways. The operator compares both in the normal form,
so these differences are no edits and cause no writes. The source of each row is code of Datadog's Terraform provider
4.19 (folder `datadog`), a response that its tests recorded (folder `datadog/tests/cassettes`), or another source that
it names.

| change | fields | source |
|---|---|---|
{rows}
"""


def document() -> str:
    """Return the table as Markdown."""
    rows = (f"| {row.name} | {_shown(row.fields)} | {row.source} |" for row in NORMALIZATIONS)
    return DOCUMENT.format(rows="\n".join(rows))


def _shown(fields: Fields | None) -> str:
    if fields is None:
        return "all"
    return "; ".join(
        f"{kind}: {', '.join(f'`{name}`' for name in sorted(names))}"
        for kind, names in fields.items()
    )


def normal_form(kind: ObjectKind, field: str, value: Any) -> Any:
    """Return the value of a field in the form in which a request and a response can be compared."""
    for row in NORMALIZATIONS:
        if row.is_for(kind, field):
            value = row.apply(value)
    return value

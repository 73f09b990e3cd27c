import json
import re
from collections.abc import Iterator

import pytest

from purpleflea_contract import events, facets, metrics, spans, tags
from purpleflea_operator.datadog.definitions import catalog, operator_metrics
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_sandbox.datadog.queries import read, tree
from support import log_tags

METRICS = {metric.name: metric for metric in metrics.METRICS}
OF_OPERATOR = {
    f"{operator_metrics.NAMESPACE}.{name}"
    for name in (operator_metrics.AGENTS, operator_metrics.LONGEST_HALT)
}
OPERATOR_TAGS = {
    operator_metrics.FLEET_ENV,
    operator_metrics.FLEET_SERVICE,
    operator_metrics.CLUSTER,
}
MEASURED = {f"trace.{span.name}" for span in spans.SPANS if span.measured}
TRACE_TAGS = {"env", "service", "resource_name"}
ATTRIBUTES = {name for event in events.EVENTS for name in event.attributes} | {events.EVENT_TYPE}
LOG_TAGS = log_tags.of_pods() | log_tags.of_pipeline()
EVENT_NAMES = {event.name for event in events.EVENTS}
EVERYTHING = catalog.everything(Parameters())
WIDGETS = [
    widget["definition"]
    for item in EVERYTHING
    if item.kind is ObjectKind.DASHBOARD
    for widget in item.body["widgets"]
] + [
    cell["attributes"]["definition"]
    for item in EVERYTHING
    if item.kind is ObjectKind.NOTEBOOK
    for cell in item.body["data"]["attributes"]["cells"]
    if cell["attributes"]["definition"]["type"] != "markdown"
]
CONDITIONS = [
    read.condition(re.sub("<[^>]*>", "1", item.body["query"]), item.body["type"])
    for item in EVERYTHING
    if item.kind is ObjectKind.MONITOR
]


def widget_queries(widget) -> Iterator[str]:
    for request in widget["requests"]:
        for query in request.get("queries", [request.get("query")]):
            if "query" in query:
                yield query["query"]


def every_series() -> Iterator[tree.MetricQuery]:
    for condition in CONDITIONS:
        if isinstance(condition, tree.MetricCondition):
            yield from tree.leaves(condition.expression)
    for item in EVERYTHING:
        if item.kind is ObjectKind.SLO:
            for text in item.body["query"].values():
                yield from tree.leaves(read.series(text))
    for widget in WIDGETS:
        for text in widget_queries(widget):
            yield from tree.leaves(read.series(text))


def every_term() -> Iterator[tree.Term]:
    for condition in CONDITIONS:
        if isinstance(condition, tree.LogCondition):
            yield from condition.search
    for item in EVERYTHING:
        if item.kind in (ObjectKind.LOG_PIPELINE, ObjectKind.LOG_INDEX):
            yield from read.search(item.body["filter"]["query"])
        if item.kind is ObjectKind.SCANNER_GROUP:
            yield from read.search(item.body["data"]["attributes"]["filter"]["query"])
    for widget in WIDGETS:
        if widget["type"] == "list_stream":
            yield from read.search(widget["requests"][0]["query"]["query_string"])


def carried_tags(series: tree.MetricQuery) -> set[str]:
    if series.metric in OF_OPERATOR:
        return OPERATOR_TAGS
    if series.metric in MEASURED:
        return TRACE_TAGS
    return {*METRICS[series.metric].tag_names, *tags.UNIFIED}


def values_of(metric: str, tag: str) -> tuple[str, ...]:
    known = {item.name: item for item in (*METRICS[metric].tags, *tags.EVERY_METRIC)}
    return known[tag].values if tag in known else ()


ALL_SERIES = list(every_series())
ALL_TERMS = list(every_term())


def test_the_definitions_have_series_and_search_terms_to_check():
    assert len(ALL_SERIES) > 30
    assert len(ALL_TERMS) >= 10


@pytest.mark.parametrize("series", ALL_SERIES, ids=lambda series: series.metric)
def test_a_query_uses_only_names_of_the_contract(series):
    assert series.metric in {*METRICS, *MEASURED, *OF_OPERATOR}
    known = carried_tags(series)
    assert {item.tag for item in series.filters} <= known
    assert set(series.by) <= known
    for item in series.filters:
        if series.metric in METRICS and not item.variable:
            allowed = values_of(series.metric, item.tag)
            assert not allowed or item.value in allowed
            assert item.value == item.value.lower()


@pytest.mark.parametrize("series", ALL_SERIES, ids=lambda series: series.metric)
def test_the_aggregator_of_a_query_fits_the_type_of_the_metric(series):
    if series.metric in OF_OPERATOR:
        kind = "gauge"
    else:
        kind = "distribution" if series.metric in MEASURED else METRICS[series.metric].type
    assert series.as_count == (kind == "count")
    if series.aggregator == "histogram" or series.aggregator.startswith("p"):
        assert kind == "distribution"
    if kind == "count":
        assert series.aggregator == "sum"


@pytest.mark.parametrize("term", ALL_TERMS, ids=lambda term: term.key)
def test_a_log_search_uses_only_attributes_and_tags_of_log_lines(term):
    if term.attribute:
        assert term.key in {facet.path for facet in facets.FACETS}
        assert term.key in ATTRIBUTES
        if term.key == events.EVENT_TYPE:
            assert term.value in EVENT_NAMES
        if term.key == "escrow.status":
            assert term.value in tags.STATUS.values
    else:
        assert term.key in LOG_TAGS


@pytest.mark.parametrize(
    "name", [name for one in CONDITIONS if isinstance(one, tree.LogCondition) for name in one.by]
)
def test_a_log_monitor_groups_by_a_tag_of_log_lines(name):
    assert name in LOG_TAGS


def test_only_the_pipeline_adds_agent_id_as_a_tag():
    """The pods of one StatefulSet share their annotations."""
    assert "agent_id" in log_tags.of_pipeline() - log_tags.of_pods()
    assert {"env", "service", "version", "strategy"} <= log_tags.of_pods()


def test_tags_of_the_pipeline_are_fields_of_every_line():
    assert log_tags.of_pipeline() <= set(events.LINE_FIELDS)


def test_every_facet_is_an_attribute_or_a_field_of_the_line():
    paths = {facet.path for facet in facets.FACETS}
    assert paths - ATTRIBUTES - set(events.LINE_FIELDS) == set()


def test_percentiles_are_enabled_if_a_query_needs_them():
    configured = {
        item.key
        for item in EVERYTHING
        if item.kind is ObjectKind.METRIC_TAGS
        and item.body["data"]["attributes"].get("include_percentiles")
    }
    asked = {item.metric for item in ALL_SERIES if item.aggregator.startswith("p")}
    assert asked - MEASURED <= configured


def test_no_query_needs_a_tag_that_the_metric_configuration_drops():
    kept = {
        item.key: set(item.body["data"]["attributes"]["tags"])
        for item in EVERYTHING
        if item.kind is ObjectKind.METRIC_TAGS
    }
    for series in ALL_SERIES:
        if series.metric in kept:
            used = {item.tag for item in series.filters} | set(series.by)
            assert used <= kept[series.metric]


def test_formulas_use_every_query_of_their_widget():
    for widget in WIDGETS:
        for request in widget["requests"]:
            for shown in request.get("formulas", []):
                names = {query["name"] for query in request["queries"]}
                used = set(re.findall("[a-z_][a-z0-9_]*", shown["formula"])) - {"count_nonzero"}
                assert used == names
                read.formula(shown["formula"])


def test_every_query_uses_each_template_variable_whose_tag_its_data_has():
    board = next(item.body for item in EVERYTHING if item.kind is ObjectKind.DASHBOARD)
    variables = {item["name"] for item in board["template_variables"]}
    assert variables == {"env", "service", "agent_id", "strategy", "market"}
    for widget in (item["definition"] for item in board["widgets"]):
        for text in widget_queries(widget):
            for series in tree.leaves(read.series(text)):
                used = {item.tag for item in series.filters if item.variable}
                assert used == variables & carried_tags(series), widget["title"]
        if widget["type"] == "list_stream":
            terms = read.search(widget["requests"][0]["query"]["query_string"])
            assert {term.key for term in terms if term.variable} == variables & LOG_TAGS


def test_the_dashboard_has_the_published_widgets_in_the_current_format():
    board = next(item.body for item in EVERYTHING if item.kind is ObjectKind.DASHBOARD)
    kinds = {item["definition"]["title"]: item["definition"]["type"] for item in board["widgets"]}
    assert kinds["Fleet P&L (USD)"] == "query_value"
    assert kinds["P&L by market"] == "timeseries"
    assert kinds["Max drawdown"] == "query_value"
    assert kinds["Order latency distribution"] == "distribution"
    assert kinds["Wallet balance"] == "timeseries"
    assert kinds["Error rate by endpoint (%)"] == "toplist"
    assert kinds["Order latency over time"] == "heatmap"
    assert '"q"' not in json.dumps(board)


def test_widgets_do_not_overlap():
    board = next(item.body for item in EVERYTHING if item.kind is ObjectKind.DASHBOARD)
    cells = [
        (x, y)
        for place in (item["layout"] for item in board["widgets"])
        for x in range(place["x"], place["x"] + place["width"])
        for y in range(place["y"], place["y"] + place["height"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(12))


def test_every_metric_is_configured_without_the_tag_host():
    configured = {
        item.key: item.body["data"]["attributes"]
        for item in EVERYTHING
        if item.kind is ObjectKind.METRIC_TAGS
    }
    assert set(configured) == set(METRICS)
    assert all("host" not in item["tags"] for item in configured.values())

"""Datadog's own API client against the stand-in: every response parses into its models without unknown fields."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException, ForbiddenException, NotFoundException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.dashboards_api import DashboardsApi
from datadog_api_client.v1.api.events_api import EventsApi
from datadog_api_client.v1.api.logs_indexes_api import LogsIndexesApi
from datadog_api_client.v1.api.metrics_api import MetricsApi
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v1.api.notebooks_api import NotebooksApi
from datadog_api_client.v1.api.service_level_objectives_api import ServiceLevelObjectivesApi
from datadog_api_client.v2.api.dora_metrics_api import DORAMetricsApi
from datadog_api_client.v2.api.events_api import EventsApi as NewEventsApi
from datadog_api_client.v2.api.key_management_api import KeyManagementApi
from datadog_api_client.v2.api.metrics_api import MetricsApi as NewMetricsApi
from datadog_api_client.v2.api.sensitive_data_scanner_api import SensitiveDataScannerApi

from support.datadog_api import API_KEY, APPLICATION_KEY, DatadogApi
from support.datadog_models import faults

with warnings.catch_warnings():
    # One of its docstrings has an escape sequence that causes a warning when Python compiles the
    # module.
    warnings.simplefilter("ignore")
    from datadog_api_client.v1.api.logs_pipelines_api import LogsPipelinesApi

OBSERVABILITY = Path(__file__).parents[3] / "observability"
LATENCY = "agent.order.latency_ms"
UNDOCUMENTED = ("Monitor.org_id", "Monitor.created_at", "Monitor.overall_state_modified")
"""Fields that the real API sends although they are missing in its own schema."""


def generated(name: str) -> Any:
    return json.loads((OBSERVABILITY / name).read_text())


@pytest.fixture
def api() -> Iterator[DatadogApi]:
    with DatadogApi() as one:
        yield one


@pytest.fixture
def client(api: DatadogApi) -> Iterator[ApiClient]:
    configuration = Configuration(host=api.url)
    configuration.api_key = {"apiKeyAuth": API_KEY, "appKeyAuth": APPLICATION_KEY}
    with ApiClient(configuration) as one:
        yield one


def clean(answer: Any) -> Any:
    """Return the response after a strict walk over its models."""
    for item in answer if isinstance(answer, list) else [answer]:
        left = [
            fault
            for fault in faults(item.to_dict(), type(item))
            if not fault.startswith(UNDOCUMENTED)
        ]
        assert left == []
    return answer


def test_validation(client: ApiClient) -> None:
    assert clean(AuthenticationApi(client).validate()).valid is True
    assert str(clean(KeyManagementApi(client).validate_api_key()).status) == "ok"


def test_monitors(client: ApiClient) -> None:
    monitors = MonitorsApi(client)
    created = clean(monitors.create_monitor(body=generated("monitors/drawdown.json")))
    clean(monitors.get_monitor(created.id, group_states="all"))
    clean(monitors.list_monitors(monitor_tags="team:trading", page=0, page_size=100))
    clean(monitors.search_monitors(query="drawdown"))
    clean(monitors.check_can_delete_monitor([created.id]))
    monitors.validate_monitor(body=generated("monitors/heartbeat.json"))
    clean(monitors.update_monitor(created.id, body={"name": "other"}))
    assert clean(monitors.delete_monitor(created.id)).deleted_monitor_id == created.id
    with pytest.raises(NotFoundException):
        monitors.get_monitor(created.id)


def test_objectives(client: ApiClient) -> None:
    slos = ServiceLevelObjectivesApi(client)
    created = clean(slos.create_slo(body=generated("slo.json"))).data[0]
    clean(slos.list_slos(tags_query="team:trading"))
    clean(slos.get_slo(created.id))
    clean(slos.check_can_delete_slo(created.id))
    clean(slos.update_slo(created.id, body=generated("slo.json") | {"name": "other"}))
    assert clean(slos.delete_slo(created.id)).data == [created.id]


def test_dashboards(client: ApiClient) -> None:
    dashboards = DashboardsApi(client)
    created = clean(dashboards.create_dashboard(body=generated("dashboard.json")))
    clean(dashboards.get_dashboard(created.id))
    clean(dashboards.list_dashboards())
    clean(dashboards.update_dashboard(created.id, body=generated("dashboard.json")))
    clean(dashboards.delete_dashboard(created.id))


def test_log_configuration(client: ApiClient) -> None:
    pipelines, indexes = LogsPipelinesApi(client), LogsIndexesApi(client)
    created = clean(pipelines.create_logs_pipeline(body=generated("pipeline.json")))
    clean(pipelines.list_logs_pipelines().value)
    clean(pipelines.get_logs_pipeline(created.id))
    clean(pipelines.get_logs_pipeline_order())
    clean(pipelines.update_logs_pipeline_order(body={"pipeline_ids": [created.id]}))
    pipelines.delete_logs_pipeline(created.id)
    clean(indexes.create_logs_index(body=generated("index.json")))
    clean(indexes.list_log_indexes())
    clean(indexes.update_logs_index_order(body=generated("index-order.json")))


def test_metrics(api: DatadogApi, client: ApiClient) -> None:
    api.report(LATENCY, "distribution", ["market:btc-usd"])
    metrics = NewMetricsApi(client)
    body = generated(f"metrics/{LATENCY}.json")
    clean(metrics.create_tag_configuration(LATENCY, body=body))
    clean(metrics.list_tag_configuration_by_name(LATENCY))
    clean(metrics.list_tag_configurations(filter_configured=True))
    attributes = {"tags": ["env"], "include_percentiles": True}
    change = {"data": {"type": "manage_tags", "id": LATENCY, "attributes": attributes}}
    clean(metrics.update_tag_configuration(LATENCY, body=change))
    metrics.delete_tag_configuration(LATENCY)
    clean(MetricsApi(client).update_metric_metadata(LATENCY, body={"unit": "millisecond"}))


def test_notebooks(client: ApiClient) -> None:
    notebooks = NotebooksApi(client)
    created = clean(notebooks.create_notebook(body=generated("notebook.json"))).data
    clean(notebooks.list_notebooks(query="weekly"))
    clean(notebooks.get_notebook(created.id))
    notebooks.delete_notebook(created.id)


def test_the_scanner(client: ApiClient) -> None:
    scanner = SensitiveDataScannerApi(client)
    body = generated("scanner/agents.json")
    configuration = clean(scanner.list_scanning_groups()).data.id
    body["data"]["relationships"]["configuration"]["data"]["id"] = configuration
    group = clean(scanner.create_scanning_group(body=body)).data
    rule = generated("scanner/rules/api-keys.json")
    rule["data"]["relationships"]["group"]["data"]["id"] = group.id
    created = clean(scanner.create_scanning_rule(body=rule)).data
    clean(scanner.list_scanning_groups())
    clean(scanner.delete_scanning_rule(created.id, body={"meta": {}}))
    clean(scanner.delete_scanning_group(group.id, body={"meta": {}}))


def test_events(client: ApiClient) -> None:
    event = {"title": "Deployed", "text": "1.2.3", "tags": ["team:trading"]}
    created = clean(EventsApi(client).create_event(body=event)).event
    clean(EventsApi(client).list_events(start=0, end=2_000_000_000, tags="team:trading"))
    clean(EventsApi(client).get_event(created.id))
    attributes = {
        "category": "change",
        "title": "Deployed",
        "attributes": {"changed_resource": {"type": "configuration", "name": "agents"}},
    }
    change = {"data": {"type": "event", "attributes": attributes}}
    clean(NewEventsApi(client).create_event(body=change))
    clean(NewEventsApi(client).list_events())


def test_deployments(client: ApiClient) -> None:
    dora = DORAMetricsApi(client)
    attributes = {"service": "agents", "started_at": 1_700_000_000, "finished_at": 1_700_000_060}
    sent = {"data": {"attributes": attributes | {"id": "momentum-1.2.3-aaaa"}}}
    created = clean(dora.create_dora_deployment(body=sent)).data
    assert created.id == "momentum-1.2.3-aaaa"
    clean(dora.get_dora_deployment(created.id))


def test_error_responses_become_client_exceptions(api: DatadogApi, client: ApiClient) -> None:
    monitors = MonitorsApi(client)
    body = generated("monitors/drawdown.json")
    monitors.create_monitor(body=body)
    with pytest.raises(ApiException) as refused:
        monitors.create_monitor(body=body)
    api.scope_key(["slos_read"])

    assert "Duplicate of an existing monitor_id" in refused.value.body["errors"][0]
    with pytest.raises(ForbiddenException):
        monitors.list_monitors()

"""What is sent to Datadog, as it is sent: marked, and once as a create and once as an update."""

import importlib
from dataclasses import replace

import pytest

from purpleflea_operator.controllers.observability.decisions import ownership_tags
from purpleflea_operator.datadog.client import models
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind, resolved
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters
from support import datadog_models

UID = "11111111-2222-3333-4444-555555555555"
CREATED = {
    ObjectKind.MONITOR: "v1.monitor.Monitor",
    ObjectKind.SLO: "v1.service_level_objective_request.ServiceLevelObjectiveRequest",
    ObjectKind.DASHBOARD: "v1.dashboard.Dashboard",
    ObjectKind.LOG_PIPELINE: "v1.logs_pipeline.LogsPipeline",
    ObjectKind.LOG_INDEX: "v1.logs_index.LogsIndex",
    ObjectKind.LOG_INDEX_ORDER: "v1.logs_indexes_order.LogsIndexesOrder",
    ObjectKind.METRIC_TAGS: "v2.metric_tag_configuration_create_request.MetricTagConfigurationCreateRequest",
    ObjectKind.SCANNER_GROUP: "v2.sensitive_data_scanner_group_create_request.SensitiveDataScannerGroupCreateRequest",
    ObjectKind.SCANNER_RULE: "v2.sensitive_data_scanner_rule_create_request.SensitiveDataScannerRuleCreateRequest",
    ObjectKind.NOTEBOOK: "v1.notebook_create_request.NotebookCreateRequest",
}
UPDATED = CREATED | {
    ObjectKind.MONITOR: "v1.monitor_update_request.MonitorUpdateRequest",
    ObjectKind.SLO: "v1.service_level_objective.ServiceLevelObjective",
    ObjectKind.LOG_INDEX: "v1.logs_index_update_request.LogsIndexUpdateRequest",
    ObjectKind.METRIC_TAGS: "v2.metric_tag_configuration_update_request.MetricTagConfigurationUpdateRequest",
    ObjectKind.SCANNER_GROUP: "v2.sensitive_data_scanner_group_update_request.SensitiveDataScannerGroupUpdateRequest",
    ObjectKind.SCANNER_RULE: "v2.sensitive_data_scanner_rule_update_request.SensitiveDataScannerRuleUpdateRequest",
    ObjectKind.NOTEBOOK: "v1.notebook_update_request.NotebookUpdateRequest",
}
EVERYTHING = catalog.everything(Parameters(features=frozenset(Feature)))


def by_name(item):
    return f"{item.kind}-{item.key}" if isinstance(item, Definition) else None


def model(path):
    module, _, name = path.rpartition(".")
    return getattr(
        importlib.import_module(f"datadog_api_client.{module[:2]}.model{module[2:]}"), name
    )


def sent(definition):
    marked = replace(definition, body=ownership_tags.tagged_body(definition, UID))
    return resolved(marked, dict.fromkeys(definition.references, "1234567"))


@pytest.mark.parametrize("definition", EVERYTHING, ids=by_name)
def test_datadogs_models_know_every_key_of_what_is_made(definition):
    assert datadog_models.faults(sent(definition), model(CREATED[definition.kind])) == []


@pytest.mark.parametrize("definition", EVERYTHING, ids=by_name)
def test_datadogs_models_know_every_key_of_what_is_changed(definition):
    body = models.update_body(definition.kind, "1234567", sent(definition))
    assert datadog_models.faults(body, model(UPDATED[definition.kind])) == []


@pytest.mark.parametrize(
    "definition", [item for item in EVERYTHING if item.kind is ObjectKind.MONITOR], ids=by_name
)
def test_datadogs_models_know_every_key_of_what_is_adopted(definition):
    body = ownership_tags.adopted_body(definition.kind, sent(definition))
    assert datadog_models.faults(body, model(UPDATED[definition.kind])) == []

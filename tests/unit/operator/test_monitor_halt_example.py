"""examples/monitor-halt: the three files agree with each other, with the CRD and with Datadog's models."""

import json
import re

import hcl2
import pytest
import yaml
from datadog_api_client.v2.model.spec import Spec

from purpleflea_operator.api.halt import HaltSpec
from support import datadog_models

SCRIPT_BODY = {
    "level": "Halt",
    "reason": "Datadog monitor drawdown",
    "selector": {"names": ["momentum"]},
    "expiresAt": "2026-12-01T00:00:00Z",
}


@pytest.fixture
def folder(repository):
    return repository / "examples" / "monitor-halt"


@pytest.fixture
def rights(folder):
    return {item["kind"]: item for item in yaml.safe_load_all((folder / "rights.yaml").read_text())}


def workflow(folder):
    parsed = hcl2.loads((folder / "workflow.tf").read_text())
    (resource,) = parsed["resource"]
    (body,) = [item for kind in resource.values() for item in kind.values()]
    return (folder / "workflow.tf").read_text(), body


def test_the_runner_may_only_create_halts(rights):
    assert rights["Role"]["rules"] == [
        {"apiGroups": ["purpleflea.com"], "resources": ["purplefleahalts"], "verbs": ["create"]}
    ]
    assert rights["RoleBinding"]["roleRef"]["name"] == rights["Role"]["metadata"]["name"]


def test_the_policy_is_about_the_account_that_has_the_right(rights):
    (subject,) = rights["RoleBinding"]["subjects"]
    (condition,) = rights["ValidatingAdmissionPolicy"]["spec"]["matchConditions"]
    user = f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
    assert condition["expression"] == f"request.userInfo.username == '{user}'"
    binding = rights["ValidatingAdmissionPolicyBinding"]["spec"]
    assert binding["policyName"] == rights["ValidatingAdmissionPolicy"]["metadata"]["name"]
    assert rights["ValidatingAdmissionPolicy"]["spec"]["failurePolicy"] == "Fail"


def test_the_runner_runs_one_action_and_the_workflow_uses_it(folder):
    values = yaml.safe_load((folder / "runner-values.yaml").read_text())["runner"]
    assert values["kubernetesActions"] == {"pods": [], "customObjects": ["create"]}
    assert values["config"]["actionsAllowlist"] == values["kubernetesPermissions"] == []
    text, _ = workflow(folder)
    actions = re.findall(r'"(com\.datadoghq\.[a-zA-Z.]+)"', text)
    assert actions == [
        "com.datadoghq.datatransformation.func",
        "com.datadoghq.kubernetes.customresources.createCustomObject",
    ]


def test_the_workflow_is_limited_and_starts_as_a_dry_run(folder):
    text, _ = workflow(folder)
    variables = {
        name.strip('"'): body
        for group in hcl2.loads(text)["variable"]
        for name, body in group.items()
    }
    assert variables["dry_run"]["default"] is True
    assert variables["halts_per_hour"]["default"] == 5
    assert "default" not in variables["connection_id"]
    assert 'rateLimit = { count = var.halts_per_hour, interval = "3600s" }' in text
    assert 'var.dry_run ? [{ name = "dryRun", value = "All" }] : []' in text


def test_the_halt_that_the_script_builds_is_valid():
    assert HaltSpec.model_validate(SCRIPT_BODY).level == "Halt"


def test_datadogs_model_has_every_field_of_the_workflow():
    spec = {
        "handle": "halt-agent",
        "inputSchema": {"parameters": [{"name": "agent_id", "type": "STRING"}]},
        "triggers": [
            {
                "startStepNames": ["Build_halt"],
                "monitorTrigger": {"rateLimit": {"count": 5, "interval": "3600s"}},
            }
        ],
        "connectionEnvs": [
            {"env": "default", "connections": [{"connectionId": "c", "label": "KUBERNETES"}]}
        ],
        "steps": [
            {
                "name": "Create_halt",
                "actionId": "com.datadoghq.kubernetes.customresources.createCustomObject",
                "connectionLabel": "KUBERNETES",
                "parameters": [{"name": "namespace", "value": "trading"}],
                "outboundEdges": [{"nextStepName": "x", "branchName": "main"}],
                "display": {"bounds": {"x": 0, "y": 0}},
            }
        ],
    }
    assert datadog_models.faults(spec, Spec) == []
    assert json.dumps(spec)

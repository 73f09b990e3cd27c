"""`import` of a Deployment like that of the published integration, and `cost`."""

import json
import re

import pytest
import yaml
from click.testing import CliRunner

from kubectl_purpleflea.application import cli
from kubectl_purpleflea.decisions.import_draft import Choices, Fate
from kubectl_purpleflea.decisions.importing import NotImportableError, imported
from kubectl_purpleflea.decisions.metrics_cost import cost
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions import metrics_budget
from support.builders import a_spec, an_agent

# The annotations and variables are those of the published page.
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: momentum
  namespace: trading
spec:
  replicas: 2
  strategy: {type: RollingUpdate}
  selector: {matchLabels: {app: agent}}
  template:
    metadata:
      labels: {app: agent, desk: fx}
      annotations:
        ad.datadoghq.com/agent.logs: '[{"source": "python", "service": "purpleflea-trading-agent"}]'
        admission.datadoghq.com/enabled: "true"
        ad.datadoghq.com/agent.check_names: '["purpleflea_agent"]'
        ad.datadoghq.com/agent.init_configs: '[{}]'
        ad.datadoghq.com/agent.instances: '[{"min_collection_interval": 15}]'
        example.com/owner: team-a
    spec:
      imagePullSecrets: [{name: regcred}]
      nodeSelector: {pool: trading}
      terminationGracePeriodSeconds: 45
      securityContext: {runAsNonRoot: true}
      initContainers: [{name: wait, image: busybox}]
      volumes:
        - {name: config, configMap: {name: models}}
        - {name: sockets, hostPath: {path: /var/run/datadog}}
        - {name: journal, persistentVolumeClaim: {claimName: journal}}
      containers:
        - name: proxy
          image: envoy:1
          tty: true
          env: [{name: ADMIN_TOKEN, value: canary-3}, {name: MODE, value: a}]
        - name: agent
          image: registry.example.com:5000/acme/agent:1.4.0
          imagePullPolicy: Always
          command: [ddtrace-run, uvicorn, "server:app"]
          ports: [{containerPort: 8000}]
          readinessProbe: {httpGet: {path: /health, port: 8000}}
          lifecycle: {}
          resources: {requests: {cpu: 100m}}
          volumeMounts:
            - {name: config, mountPath: /models}
            - {name: sockets, mountPath: /var/run/datadog}
          env:
            - {name: DD_AGENT_HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
            - {name: DD_DOGSTATSD_HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
            - {name: DD_TRACE_AGENT_PORT, value: "8126"}
            - {name: DD_ENV, value: production}
            - {name: DD_SERVICE, value: purpleflea-trading-agent}
            - {name: DD_VERSION, value: 1.0.0}
            - {name: DD_LOGS_INJECTION, value: "true"}
            - {name: DD_API_KEY, value: canary-1}
            - {name: AGENT_ID, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: PURPLEFLEA_API_KEY, valueFrom: {secretKeyRef: {name: exchange, key: token}}}
            - {name: WALLET_PASSWORD, value: canary-2}
            - {name: LOOKBACK, value: "20"}
            - {name: DD_DYNAMIC_INSTRUMENTATION_ENABLED, value: "true"}
"""
CHOICES = Choices(strategy="momentum", markets=("BTC-USD",))


def converted(text=DEPLOYMENT, choices=CHOICES):
    return imported(yaml.safe_load(text), choices)


def test_the_deployment_of_the_page_becomes_a_valid_agent():
    found = converted()
    spec = found.agent["spec"]
    AgentSpec.model_validate(spec)
    assert found.is_complete
    assert found.agent["metadata"] == {"name": "momentum", "namespace": "trading"}
    assert spec["api"] == {"keySecretRef": {"name": "exchange", "key": "token"}}
    assert spec["image"] == {
        "repository": "registry.example.com:5000/acme/agent",
        "tag": "1.4.0",
        "pullPolicy": "Always",
        "pullSecrets": ["regcred"],
    }
    assert spec["datadog"] == {
        "env": "production",
        "service": "purpleflea-trading-agent",
        "version": "1.0.0",
        "check": {"enabled": True},
    }
    assert (spec["strategy"], spec["replicas"], spec["markets"]) == ("momentum", 2, ["BTC-USD"])
    pod = spec["pod"]
    assert pod["env"] == [{"name": "LOOKBACK", "value": "20"}]
    assert [item["name"] for item in pod["volumes"]] == ["config", "journal"]
    assert pod["volumeMounts"] == [{"name": "config", "mountPath": "/models"}]
    assert pod["sidecars"] == [
        {"name": "proxy", "image": "envoy:1", "env": [{"name": "MODE", "value": "a"}]}
    ]
    assert (pod["labels"], pod["annotations"]) == (
        {"app": "agent", "desk": "fx"},
        {"example.com/owner": "team-a"},
    )


def test_the_report_names_each_field_and_no_secret_reaches_the_output():
    found = converted()
    lost = {item.source for item in found.report if item.fate is Fate.LOST}
    assert lost == {
        "env WALLET_PASSWORD",
        "env DD_API_KEY",
        "command",
        "container.lifecycle",
        "volume sockets",
        "container proxy.tty",
        "container proxy: env ADMIN_TOKEN",
        "init container wait",
    }
    text = json.dumps(found.agent) + repr(found.report)
    assert "canary" not in text
    names = " ".join(item.source for item in found.report)
    for name in ("AGENT_ID", "DD_AGENT_HOST", "DD_DOGSTATSD_HOST", "readinessProbe", "strategy"):
        assert name in names


def test_missing_values_are_required():
    found = converted(DEPLOYMENT.replace("PURPLEFLEA_API_KEY", "OTHER"), Choices())
    required = [item.result for item in found.report if item.fate is Fate.REQUIRED]
    assert len(required) == 3
    assert not found.is_complete
    assert converted(choices=Choices(strategy="a", markets=("b",), key_secret="s:k")).agent["spec"][
        "api"
    ] == {"keySecretRef": {"name": "s", "key": "k"}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("momentum", "momentum"),
        ("2-Fast_agent", "fast-agent"),
        ("9", "agent"),
        ("a" * 60, "a" * 45),
    ],
)
def test_a_name_that_is_not_allowed_is_changed(name, expected):
    manifest = yaml.safe_load(DEPLOYMENT)
    manifest["metadata"]["name"] = name
    assert imported(manifest, CHOICES).agent["metadata"]["name"] == expected


@pytest.mark.parametrize(
    "manifest",
    [
        {"kind": "Service", "metadata": {"name": "a"}},
        {"kind": "Deployment", "metadata": {"name": "a"}},
        {
            "kind": "Deployment",
            "metadata": {"name": "a"},
            "spec": {"template": {"spec": {"containers": "x"}}},
        },
    ],
)
def test_a_manifest_without_a_container_is_refused(manifest):
    with pytest.raises(NotImportableError):
        imported(manifest, CHOICES)


PAGE_FRAGMENT = """\
metadata:
  annotations:
    admission.datadoghq.com/enabled: "true"
spec:
  containers:
    - name: agent
      env:
        - {name: DD_ENV, value: production}
"""


@pytest.mark.parametrize(
    ("text", "name", "is_named"),
    [
        (PAGE_FRAGMENT, "agent", False),
        (PAGE_FRAGMENT.replace("metadata:", "metadata:\n  name: breakout"), "breakout", True),
        (PAGE_FRAGMENT.replace("- name: agent\n      env", "- env"), "agent", False),
        (f"apiVersion: v1\nkind: Pod\n{PAGE_FRAGMENT}", "agent", False),
    ],
)
def test_a_pod_or_the_part_of_a_manifest_on_the_page_becomes_an_agent(
    tmp_path, text, name, is_named
):
    file = tmp_path / "agent-deployment.yaml"
    file.write_text(text, encoding="utf-8")
    options = ["--strategy=momentum", "--markets=BTC-USD", "--key-secret=k"]
    done = CliRunner().invoke(cli, ["import", "-f", str(file), *options])
    assert done.exit_code == 0, done.output
    agent = yaml.safe_load(done.stdout)
    AgentSpec.model_validate(agent["spec"])
    assert (agent["metadata"], "image" in agent["spec"]) == ({"name": name}, False)
    assert agent["spec"]["datadog"]["env"] == "production"
    assert ("the file has no other name" in done.stderr) == (not is_named)
    assert "the operator's image" in done.stderr


def test_pull_secrets_without_an_image_are_reported(tmp_path):
    file = tmp_path / "agent-deployment.yaml"
    file.write_text(f"{PAGE_FRAGMENT}  imagePullSecrets: [{{name: r}}]\n", encoding="utf-8")
    done = CliRunner().invoke(cli, ["import", "-f", str(file)])
    assert "image" not in yaml.safe_load(done.stdout)["spec"]
    assert re.search(r"not carried over +imagePullSecrets", done.stderr)


@pytest.mark.parametrize(
    "text",
    [
        "kind: Service\nmetadata: {name: a}\nspec: {containers: [{name: a}]}",
        "metadata: {name: a}\nspec: {containers: []}",
        "metadata: {name: a}\nspec: []",
        "metadata: {name: a}",
    ],
)
def test_other_documents_have_no_workload(tmp_path, text):
    file = tmp_path / "x.yaml"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(cli, ["import", "-f", str(file)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "has no Deployment" in done.stderr


def test_an_image_has_a_tag_or_a_digest():
    for image, expected in (
        ("agent", {"repository": "agent", "tag": "latest"}),
        ("r/a@sha256:" + "0" * 64, {"repository": "r/a", "digest": "sha256:" + "0" * 64}),
        ("localhost:5000/a", {"repository": "localhost:5000/a", "tag": "latest"}),
    ):
        text = DEPLOYMENT.replace("registry.example.com:5000/acme/agent:1.4.0", image)
        found = converted(text).agent["spec"]["image"]
        assert {key: found[key] for key in expected} == expected


def test_the_command_prints_a_manifest_and_the_report(tmp_path):
    file = tmp_path / "deployment.yaml"
    file.write_text(DEPLOYMENT + "---\nkind: Service\nmetadata: {name: s}\n", encoding="utf-8")
    done = CliRunner().invoke(cli, ["import", "-f", str(file), "--strategy=a", "--markets=X,Y"])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(done.stdout)["spec"]["markets"] == ["X", "Y"]
    assert "Service s is not converted" in done.stderr
    assert CliRunner().invoke(cli, ["import", "-f", str(file)]).exit_code == 3
    for text, code in (("a: [", 2), ("", 1), ("kind: Service\nmetadata: {}", 1), ("a: &a [*a]", 1)):
        file.write_text(text, encoding="utf-8")
        assert CliRunner().invoke(cli, ["import", "-f", str(file)]).exit_code == code, text


@pytest.mark.parametrize(
    "datadog",
    [
        {},
        {"legacyHistograms": True},
        {"apm": {"runtimeMetrics": True}, "check": {"enabled": True}},
        {"openMetrics": {"enabled": True}},
        {"connection": "Disabled"},
    ],
)
@pytest.mark.parametrize("markets", [["BTC-USD"], ["BTC-USD", "ETH-USD", "SOL-USD"]])
def test_the_cost_is_the_one_that_the_operator_reports(datadog, markets):
    spec = a_spec(replicas=3, markets=markets, datadog=datadog)
    found = cost({**an_agent(), "spec": spec})
    assert found.total == metrics_budget.estimated(AgentSpec.model_validate(spec))
    assert sum(row.total for row in found.rows) == found.total


def test_a_budget_that_is_exceeded_is_reported(tmp_path):
    file = tmp_path / "agent.yaml"
    agent = an_agent(datadog={"customMetricsBudget": 5})
    file.write_text(yaml.safe_dump(agent), encoding="utf-8")
    done = CliRunner().invoke(cli, ["cost", "-f", str(file)])
    assert (done.exit_code, "of a budget of 5" in done.output) == (3, True)
    done = CliRunner().invoke(cli, ["cost", "-f", str(file), "--output=json"])
    assert json.loads(done.output)["agents"][0]["budget"] == 5

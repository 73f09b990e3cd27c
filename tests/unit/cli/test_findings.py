from datetime import UTC, datetime, timedelta

import pytest
import yaml

from kubectl_purpleflea.decisions.finding import Severity, exit_code
from kubectl_purpleflea.decisions.findings import KINDS, Observed, findings
from kubectl_purpleflea.decisions.operator_health import Installation
from kubectl_purpleflea.decisions.rights import RIGHTS, markdown, missing, rules_of
from kubectl_purpleflea.decisions.webhooks import touches_pods
from kubectl_purpleflea.views.findings import finding_lines
from support.builders import a_pod, an_agent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
HOOK = {
    "name": "h.example.com",
    "rules": [{"apiGroups": [""], "resources": ["pods"], "operations": ["CREATE"]}],
}


def a_crd(kind, version="v1alpha1"):
    versions = [{"name": version, "served": True}]
    return {"metadata": {"name": f"{kind}.purpleflea.com"}, "spec": {"versions": versions}}


def an_installation(**changes):
    fields = {"namespace": "s", "name": "o", "lease": "o", "image": "r/o:1", "version": "1"}
    return Installation(**{**fields, "replicas": 2, "ready": 2, **changes})


def a_lease(seconds=1.0):
    renewed = (NOW - timedelta(seconds=seconds)).isoformat()
    return {"spec": {"holderIdentity": "x", "leaseDurationSeconds": 10, "renewTime": renewed}}


def observed(**changes):
    defaults = {
        "namespace": "trading",
        "now": NOW,
        "server_now": NOW,
        "crds": [a_crd(kind) for kind in KINDS],
        "operators": [an_installation()],
        "leases": {"s/o": a_lease()},
        "rules": ALL,
        "agents": [],
        "pods": [a_pod()],
        "secrets": {("trading", "purpleflea-api-key"): frozenset({"api-key"})},
        "node_leases": [],
        "webhooks": [],
        "namespaces": {},
    }
    return Observed(**{**defaults, **changes})


def a_pulling_pod():
    pod = a_pod("momentum-1", waiting="ErrImagePull", message="not found")
    pod["status"]["containerStatuses"][0]["image"] = "r/x:9"
    return pod


def a_node_lease(seconds):
    renewed = (NOW + timedelta(seconds=seconds)).isoformat()
    return {"metadata": {"name": "node-1"}, "spec": {"renewTime": renewed}}


def an_uncovered_agent():
    message = "node node-7 has no node agent; run: helm upgrade datadog-agent --set x"
    conditions = [
        {
            "type": "TelemetryReady",
            "status": "False",
            "reason": "NodesUncovered",
            "message": message,
        }
    ]
    nodes = {"missing": [{"node": "node-7", "reason": "taint gpu not tolerated"}]}
    return {**an_agent(), "status": {"conditions": conditions, "datadog": {"nodes": nodes}}}


CASES = [
    ({}, Severity.OK, "", ""),
    (
        {"crds": []},
        Severity.ERROR,
        "CRD of purplefleahalts is not installed",
        "helm upgrade --install",
    ),
    (
        {"crds": [a_crd(kind, "v1") for kind in KINDS]},
        Severity.ERROR,
        "serves v1 and not v1alpha1",
        "same release",
    ),
    ({"crds": None}, Severity.UNKNOWN, "the CRDs cannot be read", "customresourcedefinitions"),
    ({"operators": []}, Severity.ERROR, "the operator is not installed", "helm upgrade --install"),
    ({"operators": None}, Severity.UNKNOWN, "cannot be read", "--operator-namespace"),
    (
        {"operators": [an_installation(replicas=0, ready=0)]},
        Severity.ERROR,
        "scaled to 0",
        "kubectl scale deployment o --replicas=2 --namespace=s",
    ),
    (
        {"leases": {"s/o": a_lease(70)}},
        Severity.ERROR,
        "the Lease ended 60 s ago",
        "kubectl logs deployment/o --namespace=s",
    ),
    (
        {"operators": [an_installation(ready=1)]},
        Severity.WARNING,
        "1/2 replicas",
        "kubectl describe pods",
    ),
    (
        {"operators": [an_installation(watched=("a",))]},
        Severity.WARNING,
        "does not watch the namespace trading",
        "watchNamespaces",
    ),
    (
        {"rules": []},
        Severity.WARNING,
        "you may not create, get, watch purplefleahalts.purpleflea.com",
        "--clusterrole=purpleflea-halter",
    ),
    ({"rules": None}, Severity.UNKNOWN, "does not report your rights", "kubectl auth can-i"),
    ({"leases": {}}, Severity.UNKNOWN, "the Lease of s/o cannot be read", "get leases"),
    ({"server_now": None}, Severity.UNKNOWN, "does not report its time", "selfsubjectreviews"),
    ({"node_leases": None}, Severity.UNKNOWN, "the clocks of the nodes", "list leases"),
    ({"webhooks": None}, Severity.UNKNOWN, "the admission webhooks cannot be read", "list mutat"),
    (
        {"webhooks": [{"metadata": {"name": "w"}, "webhooks": [HOOK]}], "namespaces": None},
        Severity.UNKNOWN,
        "the labels of namespaces cannot be read",
        "list namespaces",
    ),
    ({"pods": None}, Severity.UNKNOWN, "the pods cannot be read", "list pods"),
    ({"agents": None}, Severity.UNKNOWN, "the agents cannot be read", "list purplefleaagents"),
    (
        {"secrets": {}, "agents": [an_agent()]},
        Severity.UNKNOWN,
        "1 Secret cannot be read",
        "get secrets",
    ),
    (
        {"has_namespace": False},
        Severity.ERROR,
        "namespace trading does not exist",
        "kubectl create namespace trading",
    ),
    (
        {"secrets": {("trading", "purpleflea-api-key"): None}, "agents": [an_agent()]},
        Severity.ERROR,
        "Secret purpleflea-api-key does not exist",
        "kubectl create secret generic purpleflea-api-key --namespace=trading --from-literal=api-key=VALUE",
    ),
    (
        {
            "secrets": {("trading", "purpleflea-api-key"): frozenset({"key"})},
            "agents": [an_agent()],
        },
        Severity.ERROR,
        "has no key api-key",
        "kubectl apply -f -",
    ),
    (
        {"now": NOW + timedelta(minutes=2)},
        Severity.WARNING,
        "120 s ahead of the API server",
        "timedatectl",
    ),
    (
        {"now": NOW - timedelta(minutes=2)},
        Severity.WARNING,
        "120 s behind the API server",
        "timedatectl",
    ),
    (
        {"node_leases": [a_node_lease(60)]},
        Severity.WARNING,
        "clock of node node-1 is 60 s ahead",
        "NTP",
    ),
    (
        {"webhooks": [{"metadata": {"name": "w"}, "webhooks": [HOOK]}], "agents": [an_agent()]},
        Severity.NOTE,
        "w/h.example.com applies to the agents in trading and refuses new pods while",
        "namespaceSelector",
    ),
    (
        {"pods": [a_pulling_pod()]},
        Severity.ERROR,
        "trading/momentum-1: image r/x:9 cannot be pulled: not found",
        "kubectl edit pfa momentum --namespace=trading",
    ),
    (
        {"agents": [an_uncovered_agent()]},
        Severity.WARNING,
        "node node-7 has no node agent",
        "helm upgrade datadog-agent",
    ),
    ({"agents": [an_agent()]}, Severity.WARNING, "WaitingForOperator", "problems of the operator"),
]


@pytest.mark.parametrize(("changes", "severity", "content", "fix"), CASES)
def test_each_problem_is_found_with_its_fix(changes, severity, content, fix):
    found = findings(observed(**changes))
    assert any(
        (item.severity, True, True) == (severity, content in item.text, fix in item.fix)
        for item in found
    ), found
    least = {Severity.UNKNOWN: 3, Severity.WARNING: 10, Severity.ERROR: 20}
    assert exit_code(found) >= least.get(severity, 0)
    assert list(found) == sorted(found, key=lambda item: -item.severity)


def test_without_problems_the_exit_code_is_0():
    found = findings(observed())
    assert {item.severity for item in found} == {Severity.OK}
    assert (exit_code(found), finding_lines(found)[-1].plain) == (0, "0 errors, 0 warnings")


def test_what_cannot_be_read_is_unknown_and_neither_an_error_nor_fine():
    found = findings(Observed(namespace="trading", now=NOW))
    assert {item.severity for item in found} == {Severity.UNKNOWN}
    assert exit_code(found) == 3
    assert finding_lines(found)[-1].plain == "0 errors, 0 warnings, 7 checks not made"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"rules": [{"apiGroups": ["*"], "resources": ["*/*"], "operations": ["*"]}]}, True),
        (
            {"rules": [{"apiGroups": ["apps"], "resources": ["pods"], "operations": ["CREATE"]}]},
            False,
        ),
        ({"rules": [{"apiGroups": [""], "resources": ["pods"], "operations": ["DELETE"]}]}, False),
        ({"rules": "x"}, False),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "trading"}}}, True),
        (
            {
                "objectSelector": {
                    "matchExpressions": [
                        {
                            "key": "admission.datadoghq.com/enabled",
                            "operator": "NotIn",
                            "values": ["false"],
                        }
                    ]
                }
            },
            False,
        ),
    ],
)
def test_a_webhook_is_found_if_it_applies_to_the_pods(change, expected):
    assert touches_pods({**HOOK, **change}, "trading", {"team": "a"}) is expected


def test_a_rule_for_named_objects_grants_no_right():
    rule = {**ALL[0], "resourceNames": ["a"]}
    assert len(missing([rule])) == len(RIGHTS)
    assert missing(ALL) == []
    subresources = [{"apiGroups": [""], "resources": ["*/portforward"], "verbs": ["create", "get"]}]
    lacking = {right.resource for right, _ in missing(subresources)}
    assert "pods/portforward" not in lacking
    assert rules_of({"status": None}) == []


def test_the_rights_of_the_roles_of_the_chart_suffice_for_halt_and_resume(repository):
    text = (repository / "charts/purpleflea-operator/templates/user-roles.yaml").read_text()

    def rules(name):
        block = text.partition(f'define "purpleflea-operator.{name}"')[2].partition("{{- end }}")[0]
        return yaml.safe_load(block.partition("}}")[2])

    required = [
        item for item in RIGHTS if not item.is_optional and item.resource == "purplefleahalts"
    ]
    halter = [item for item in required if item.command == "halt, stop"]
    resumer = [item for item in required if item.command == "resume"]
    assert missing(rules("halter"), halter) == []
    assert missing(rules("resumer"), resumer) == []


def test_the_table_of_rights_in_the_documentation_is_generated(repository):
    page = (repository / "docs" / "kubectl-plugin.md").read_text(encoding="utf-8")
    assert markdown() in page

"""The chart renders valid names and labels for every release, and no user id that a cluster would refuse."""

import re

import pytest

from support.rights import rendered

LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def of_kind(kind, *values, **more):
    return [item for item in rendered(*values, **more) if item["kind"] == kind]


def deployment(*values, **more):
    (found,) = of_kind("Deployment", *values, **more)
    return found


def variables(*values, **more):
    (container,) = deployment(*values, **more)["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value") for item in container["env"]}


def texts(node):
    """Yield each name, namespace and label of a manifest."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("name", "namespace", "serviceAccountName", "priorityClassName"):
                yield key, value
            elif key in ("labels", "matchLabels"):
                yield from ((key, item) for item in value.values())
            elif key == "resourceNames":
                yield from ((key, item) for item in value)
            yield from texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)


@pytest.mark.parametrize("word", ["1234", "0x1f", "1e3", "true", "null", "no"])
def test_a_name_that_yaml_reads_as_another_type_stays_a_text(word):
    values = (
        f"fullnameOverride={word}",
        f"serviceAccount.name={word}",
        f"watchNamespaces={{{word}}}",
        f"observability.secrets[0].name={word}",
        f"observability.secrets[0].namespace={word}",
        f"priorityClassName={word}",
    )
    found = rendered(
        namespace=word,
        release=word,
        options=[f"--set-string={value}" for value in values],
    )
    for manifest in found:
        if manifest["kind"] == "CustomResourceDefinition":
            continue
        wrong = [(key, item) for key, item in texts(manifest) if not isinstance(item, str)]
        assert not wrong, (manifest["kind"], wrong)


def test_every_label_of_the_chart_is_valid():
    for manifest in rendered(release="a" * 53):
        if manifest["kind"] != "CustomResourceDefinition":
            labels = [item for key, item in texts(manifest) if "abels" in key]
            assert all(LABEL.fullmatch(item) for item in labels)


def test_the_operator_runs_as_the_user_of_its_image_or_of_the_cluster():
    assert deployment()["spec"]["template"]["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ((), (), "10001"),
        ((), ("--api-versions=security.openshift.io/v1",), ""),
        (("agent.fsGroup=2000",), (), "2000"),
        (("agent.fsGroup=1000650000",), ("--api-versions=security.openshift.io/v1",), "1000650000"),
    ],
    ids=["Kubernetes", "OpenShift", "set", "set on OpenShift"],
)
def test_the_group_of_volumes_is_left_to_a_cluster_that_assigns_it(values, options, expected):
    found = variables(*values, options=options)
    assert found["PURPLEFLEA_OPERATOR_AGENT_FS_GROUP"] == expected


def test_the_ports_of_dns_servers_are_passed_to_the_operator():
    assert variables()["PURPLEFLEA_OPERATOR_AGENT_DNS_PORTS"] == "53,1053,5353"
    found = variables("agent.dnsPorts={53,9053}")
    assert found["PURPLEFLEA_OPERATOR_AGENT_DNS_PORTS"] == "53,9053"


def test_datadogs_webhooks_do_not_change_the_operators_pods_unless_they_are_requested():
    key = "admission.datadoghq.com/enabled"
    assert deployment()["spec"]["template"]["metadata"]["labels"][key] == "false"
    found = deployment(options=[r"--set-string=podLabels.admission\.datadoghq\.com/enabled=true"])
    assert found["spec"]["template"]["metadata"]["labels"][key] == "true"


def ingress(*values):
    (policy,) = of_kind("NetworkPolicy", *values)
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (labels,) = [policy["spec"]["podSelector"]["matchLabels"]]
    assert labels == deployment(*values)["spec"]["selector"]["matchLabels"]
    return policy["spec"]["ingress"]


@pytest.mark.parametrize(
    ("values", "namespaces"),
    [
        ((), ["datadog", "datadog-agent"]),
        (("datadog.namespaces={monitoring}",), ["monitoring"]),
        (
            ("networkPolicy.ingressNamespaces={prometheus,datadog}",),
            ["prometheus", "datadog", "datadog-agent"],
        ),
        (
            ("networkPolicy.ingressNamespaces={prometheus}", "datadog.annotations=false"),
            ["prometheus"],
        ),
    ],
)
def test_only_the_scrapers_reach_the_operators_port(values, namespaces):
    (rule,) = ingress(*values)
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]
    (source,) = rule["from"]
    (expression,) = source["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == namespaces


@pytest.mark.parametrize("value", ["datadog.namespaces={*}", "networkPolicy.ingressNamespaces={*}"])
def test_the_operators_port_can_be_open_to_all_pods_of_the_cluster(value):
    (rule,) = ingress(value)
    assert rule["from"] == [{"namespaceSelector": {}}]


def test_without_scrapers_only_the_kubelet_reaches_the_operators_port():
    assert ingress("datadog.annotations=false") == []
    (rule,) = ingress("datadog.annotations=false", "networkPolicy.nodeCidrs={10.0.0.0/16}")
    assert rule["from"] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]


def test_the_policy_of_the_operator_can_be_left_out():
    assert of_kind("NetworkPolicy", "networkPolicy.enabled=false") == []

"""Values of the operator's chart: each is described, optional, and has the effect that its description promises."""

import re
import shutil
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.codegen import chart_docs
from purpleflea_operator.runtime import metrics
from purpleflea_operator.settings import OperatorSettings
from support import charts
from support.charts import OPERATOR, documents, merged

WITHOUT_CRDS = {"crds": {"install": False}}
SCHEMA, VALUES = charts.schema_of(OPERATOR), charts.values_of(OPERATOR)
PROPERTIES = dict(charts.properties(SCHEMA))


def rendered(values=None, **more):
    return documents(OPERATOR, merged(WITHOUT_CRDS, values or {}), **more)


def of_kind(kind, values=None, **more):
    return [item for item in rendered(values, **more) if item["kind"] == kind]


def pod(values=None, **more):
    (deployment,) = of_kind("Deployment", values, **more)
    return deployment["spec"]["template"]


def container(values=None, **more):
    (found,) = pod(values, **more)["spec"]["containers"]
    return found


def variables(values=None, **more):
    return {item["name"]: item.get("value") for item in container(values, **more)["env"]}


def refusal(values):
    done = charts.template(OPERATOR, values)
    assert done.returncode != 0
    return done.stderr


def test_every_value_is_described():
    missing = [".".join(path) for path, node in PROPERTIES.items() if not node.get("description")]
    assert missing == []


def test_every_group_refuses_unknown_values():
    groups = [node for node in PROPERTIES.values() if "properties" in node]
    assert all(node["additionalProperties"] is False for node in (SCHEMA, *groups))


def test_values_and_schema_have_the_same_names():
    def names(node, path=()):
        for key, value in node.items():
            inner = PROPERTIES[*path, key]
            yield (*path, key)
            if "properties" in inner and isinstance(value, dict):
                yield from names(value, (*path, key))

    shown = set(names(VALUES))
    optional = {
        path
        for path in PROPERTIES
        if path[0] in ("probes", "resources", "global") and path not in shown
    }
    assert PROPERTIES.keys() - shown == optional


def test_the_table_of_the_readme_is_current():
    text = (OPERATOR / "README.md").read_text(encoding="utf-8")
    assert chart_docs.page(text, SCHEMA, VALUES) == text, "run make docs"


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_value_of_null_has_the_effect_of_the_default(name):
    """`helm upgrade --reuse-values` of an earlier version has none of the values that are new."""
    if name == "crds":
        assert documents(OPERATOR, {name: None}) == documents(OPERATOR)
    elif name in ("image", "agent"):
        inner = {key: None for key in VALUES[name] if key not in ("image", "repository")}
        assert rendered({name: inner}) == rendered()
    elif name in ("resources", "serviceAccount", "datadog"):
        assert rendered({name: None}), "renders"
    else:
        assert rendered({name: None}) == rendered()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "localhost/purpleflea-operator:0.1.0"),
        ({"tag": "1.2"}, "localhost/purpleflea-operator:1.2"),
        ({"tag": "007"}, "localhost/purpleflea-operator:007"),
        ({"digest": f"sha256:{'a' * 64}"}, f"localhost/purpleflea-operator@sha256:{'a' * 64}"),
        (
            {"tag": "1.2", "digest": f"sha256:{'a' * 64}"},
            f"localhost/purpleflea-operator:1.2@sha256:{'a' * 64}",
        ),
        ({"registry": "mirror.example.com"}, "mirror.example.com/purpleflea-operator:0.1.0"),
        ({"registry": "mirror:5000/a/b/"}, "mirror:5000/a/b/purpleflea-operator:0.1.0"),
        (
            {"registry": "mirror", "repository": "ghcr.io/acme/operator"},
            "mirror/acme/operator:0.1.0",
        ),
        (
            {"registry": "mirror", "repository": "registry:5000/acme/operator"},
            "mirror/acme/operator:0.1.0",
        ),
        ({"registry": "mirror", "repository": "acme/operator"}, "mirror/acme/operator:0.1.0"),
        ({"registry": "mirror", "repository": "operator"}, "mirror/operator:0.1.0"),
        ({"registry": "mirror", "repository": "a.b"}, "mirror/a.b:0.1.0"),
        ({"repository": "registry:5000/operator"}, "registry:5000/operator:0.1.0"),
    ],
)
def test_an_image_has_registry_repository_tag_and_digest(image, expected):
    found = rendered({"image": image, "agent": {"image": {**image, **_agent(image)}}})
    images = {
        item["image"]
        for manifest in found
        if manifest["kind"] in ("Deployment", "Job")
        for item in manifest["spec"]["template"]["spec"]["containers"]
    }
    assert images == {expected}
    (deployment,) = (item for item in found if item["kind"] == "Deployment")
    (environment,) = (item["env"] for item in deployment["spec"]["template"]["spec"]["containers"])
    (agent,) = (
        item["value"] for item in environment if item["name"] == "PURPLEFLEA_OPERATOR_AGENT_IMAGE"
    )
    assert agent == expected.replace("purpleflea-operator", "purpleflea-agent")
    assert OperatorSettings(agent_image=agent).agent_image == agent


def _agent(image):
    name = image.get("repository", "localhost/purpleflea-agent")
    return {"repository": name}


@pytest.mark.parametrize(
    "image",
    [
        {"digest": "sha256:12"},
        {"tag": "latest"},
        {"tag": "a b"},
        {"repository": ""},
        {"repository": "a:b"},
        {"registry": "https://registry.example.com"},
        {"registry": "a b"},
    ],
)
def test_an_image_that_cannot_be_pulled_is_refused(image):
    assert "image" in refusal({"image": image})
    assert "agent" in refusal({"agent": {"image": image}})


def test_pull_secrets_reach_the_operator_its_jobs_and_the_agents():
    values = {
        "imagePullSecrets": [{"name": "mine"}],
        "agent": {"image": {"pullSecrets": ["theirs", "more"]}},
    }
    for kind in ("Deployment", "Job"):
        for item in of_kind(kind, values):
            assert item["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "mine"}]
    assert variables(values)["PURPLEFLEA_OPERATOR_AGENT_IMAGE_PULL_SECRETS"] == "theirs,more"
    assert "PURPLEFLEA_OPERATOR_AGENT_IMAGE_PULL_SECRETS" not in variables()


def test_common_labels_and_annotations_are_on_every_object_and_change_no_selector():
    values = {
        "commonLabels": {"cost": "trading", "app.kubernetes.io/name": "other"},
        "commonAnnotations": {"owner": "trading"},
        "metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
    }
    for item in documents(OPERATOR, values):
        metadata = item["metadata"]
        assert metadata["labels"]["cost"] == "trading", item["kind"]
        assert metadata["annotations"]["owner"] == "trading", item["kind"]
    (before,), (after,) = of_kind("Deployment"), of_kind("Deployment", values)
    assert after["spec"]["selector"] == before["spec"]["selector"]
    labels = after["spec"]["template"]["metadata"]["labels"]
    assert before["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert after["spec"]["template"]["metadata"]["annotations"]["owner"] == "trading"


def test_the_labels_of_a_pod_that_the_chart_needs_cannot_be_replaced():
    labels = pod({"podLabels": {"app.kubernetes.io/name": "other", "mine": "1"}})["metadata"][
        "labels"
    ]
    assert (labels["app.kubernetes.io/name"], labels["mine"]) == ("purpleflea-operator", "1")


def test_an_existing_service_account_is_used_everywhere():
    values = {"serviceAccount": {"create": False, "name": "mine"}}
    found = rendered(values)
    assert "ServiceAccount" not in {item["kind"] for item in found}
    used = {
        item["spec"]["template"]["spec"]["serviceAccountName"]
        for item in found
        if item["kind"] in ("Deployment", "Job")
    }
    subjects = {
        subject["name"] for item in found if "subjects" in item for subject in item["subjects"]
    }
    assert used == subjects == {"mine"}
    assert pod({"serviceAccount": {"create": False}})["spec"]["serviceAccountName"] == "default"


@pytest.mark.parametrize("bound", [[], ["trading"]])
def test_without_rbac_there_is_no_role_of_the_operator(bound):
    values = {"rbac": {"create": False}, "userRoles": False, "watchNamespaces": bound}
    kinds = {item["kind"] for item in rendered(values)}
    assert kinds.isdisjoint({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
    assert "ServiceAccount" in kinds


def test_the_operator_gets_proxies_and_authorities():
    found = variables(
        {
            "proxy": {"http": "http://p:1", "https": "http://p:2", "noProxy": "a,b"},
            "caBundle": {"configMap": "authorities", "key": "all.pem"},
        }
    )
    assert found.items() >= {
        ("HTTP_PROXY", "http://p:1"),
        ("HTTPS_PROXY", "http://p:2"),
        ("NO_PROXY", "a,b"),
        ("SSL_CERT_FILE", "/etc/purpleflea-ca/all.pem"),
    }
    assert variables().keys().isdisjoint({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"})


@pytest.mark.parametrize(
    ("bundle", "volume"),
    [
        ({"configMap": "a"}, {"configMap": {"name": "a"}}),
        (
            {"secret": "b"},
            {"secret": {"secretName": "b", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        ),
        ({"configMap": "a", "secret": "b"}, {"configMap": {"name": "a"}}),
    ],
)
def test_authorities_come_from_a_config_map_or_a_secret(bundle, volume):
    spec = pod({"caBundle": bundle})["spec"]
    assert {"name": "ca-bundle", **volume} in spec["volumes"]
    (item,) = spec["containers"]
    assert "ca-bundle" in {mount["name"] for mount in item["volumeMounts"]}


def test_further_variables_arguments_volumes_and_objects_are_added():
    mount = {"name": "more", "mountPath": "/more"}
    values = {
        "extraEnv": [{"name": "MORE", "value": "1"}],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "extraArgs": ["--watch-silence-s=300"],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [mount],
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}},
        ],
    }
    found = container(values)
    assert variables(values)["MORE"] == "1"
    assert found["args"] == ["--watch-silence-s=300"]
    assert OperatorSettings.of_arguments(found["args"]).watch_silence_s == 300
    assert found["envFrom"] == [{"secretRef": {"name": "more"}}]
    assert mount in found["volumeMounts"]
    assert {"name": "more", "emptyDir": {}} in pod(values)["spec"]["volumes"]
    names = {item["metadata"]["name"] for item in of_kind("ConfigMap", values)}
    assert names == {"one", "two"}


@pytest.mark.parametrize("name", ["NAMESPACE", "LEASE_NAME", "LEASE_NAMESPACE"])
def test_a_variable_on_which_the_leadership_depends_cannot_be_replaced(name):
    assert "extraEnv" in refusal({"extraEnv": [{"name": f"PURPLEFLEA_OPERATOR_{name}"}]})


def test_the_times_of_probes_can_be_changed_one_by_one():
    found = container({"probes": {"liveness": {"failureThreshold": 9}, "startup": None}})
    assert found["livenessProbe"] == {
        "httpGet": {"path": "/livez", "port": "health"},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 9,
    }
    assert found["startupProbe"]["failureThreshold"] == 60


def test_the_spread_over_nodes_can_be_replaced_and_removed():
    assert "topologySpreadConstraints" not in pod({"topologySpreadConstraints": []})["spec"]
    own = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    (found,) = pod({"topologySpreadConstraints": [own]})["spec"]["topologySpreadConstraints"]
    (deployment,) = of_kind("Deployment")
    assert found == {**own, "labelSelector": deployment["spec"]["selector"]}
    other = {**own, "labelSelector": {"matchLabels": {"a": "b"}}}
    assert pod({"topologySpreadConstraints": [other]})["spec"]["topologySpreadConstraints"] == [
        other
    ]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({}, {"maxUnavailable": 1}),
        ({"maxUnavailable": "50%"}, {"maxUnavailable": "50%"}),
        ({"minAvailable": 1}, {"minAvailable": 1}),
        ({"minAvailable": 0}, {"minAvailable": 0}),
    ],
)
def test_a_disruption_budget_has_one_of_its_two_bounds(budget, expected):
    (found,) = of_kind("PodDisruptionBudget", {"podDisruptionBudget": budget})
    bounds = {key: found["spec"].get(key) for key in ("minAvailable", "maxUnavailable")}
    assert {key: value for key, value in bounds.items() if value is not None} == expected


@pytest.mark.parametrize("values", [{"replicas": 1}, {"podDisruptionBudget": {"enabled": False}}])
def test_there_is_no_budget_for_one_replica_or_on_request(values):
    assert of_kind("PodDisruptionBudget", values) == []


def test_a_strategy_of_recreate_has_no_bounds():
    (found,) = of_kind("Deployment", {"updateStrategy": {"type": "Recreate"}})
    assert found["spec"]["strategy"] == {"type": "Recreate"}


def test_security_contexts_are_merged_with_the_restricted_ones():
    values = {
        "podSecurityContext": {"runAsUser": 1000},
        "securityContext": {"readOnlyRootFilesystem": False},
    }
    assert pod(values)["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    found = container(values)["securityContext"]
    assert found["readOnlyRootFilesystem"] is False
    assert found["capabilities"] == {"drop": ["ALL"]}


MONITORS = {
    name: {"enabled": True, "labels": {"release": "prometheus"}, "namespace": "monitoring"}
    for name in ("podMonitor", "serviceMonitor", "prometheusRule")
}


def test_objects_of_prometheus_exist_only_on_request():
    kinds = {"PodMonitor", "ServiceMonitor", "PrometheusRule", "Service"}
    assert kinds.isdisjoint(item["kind"] for item in rendered())
    found = {
        item["kind"]: item for item in rendered({"metrics": MONITORS}) if item["kind"] in kinds
    }
    assert found.keys() == kinds
    for kind in kinds - {"Service"}:
        metadata = found[kind]["metadata"]
        assert metadata["labels"]["release"] == "prometheus"
        assert metadata["namespace"] == "monitoring"


def test_the_monitors_select_the_metrics_port_of_the_operators_pods():
    found = {item["kind"]: item for item in rendered({"metrics": MONITORS})}
    labels = pod()["metadata"]["labels"]
    service = found["Service"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert found["PodMonitor"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    wanted = found["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    (endpoint,) = found["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    (endpoint,) = found["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in container()["ports"]}


def test_the_alerts_use_metrics_that_the_operator_exports():
    text = Path(metrics.__file__).read_text(encoding="utf-8")
    (rule,) = of_kind("PrometheusRule", {"metrics": MONITORS})
    (group,) = rule["spec"]["groups"]
    for alert in group["rules"]:
        for name in re.findall(r"purpleflea_operator_(\w+)", alert["expr"]):
            assert f'"{name}"' in text or f"_{name}" in text, name


BOUND = {"watchNamespaces": ["trading"], "telemetryRights": True}


def test_a_bound_operator_with_telemetry_rights_only_reads_outside_its_namespaces():
    found = rendered({**BOUND, "userRoles": False})
    roles = [item for item in found if item["kind"] == "ClusterRole"]
    roles = [
        item for item in roles if "helm.sh/hook" not in item["metadata"].get("annotations", {})
    ]
    (role,) = roles
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    resources = {name for rule in role["rules"] for name in rule["resources"]}
    assert resources == {"daemonsets", "services", "nodes", "namespaces", "csidrivers", "pods"}
    assert variables(BOUND)["PURPLEFLEA_OPERATOR_TELEMETRY_RIGHTS"] == "true"


def test_telemetry_rights_need_the_names_of_namespaces():
    assert "datadog.namespaces" in refusal({**BOUND, "datadog": {"namespaces": ["*"]}})


def test_telemetry_rights_add_nothing_to_an_operator_of_the_whole_cluster():
    assert rendered({"telemetryRights": True}) == rendered()


# Every optional object and field at once.
FULL = {
    **BOUND,
    "metrics": MONITORS,
    "proxy": {"https": "http://p:2"},
    "caBundle": {"secret": "a"},
    "imagePullSecrets": [{"name": "a"}],
    "extraEnv": [{"name": "A", "value": "1"}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"a": "b"},
    "affinity": {"nodeAffinity": {}},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.1"]},
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "commonLabels": {"a": "b"},
    "observability": {"secrets": [{"namespace": "a", "name": "b"}]},
    "networkPolicy": {"ingressNamespaces": ["monitoring"], "nodeCidrs": ["10.0.0.0/8"]},
}


@pytest.mark.parametrize("version", ["1.30", "1.34", "1.35", "1.36", "1.37"])
@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "everything"])
def test_every_object_is_valid_in_the_supported_versions_of_kubernetes(version, values):
    mutating = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    options = [mutating] if version in ("1.36", "1.37") else []
    for item in rendered(values, options=options):
        if not item["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(item, version, strict=True)


def notes(folder, values):
    """Return the text that helm prints after an installation; `helm template` does not render it."""
    copy = folder / "chart"
    shutil.copytree(OPERATOR, copy)
    file = copy / "templates" / "NOTES.txt"
    text = file.read_text(encoding="utf-8")
    file.unlink()
    (copy / "templates" / "_notes.tpl").write_text(f'{{{{ define "notes" }}}}{text}{{{{ end }}}}')
    (copy / "templates" / "notes.yaml").write_text(
        'kind: Notes\nmetadata: {}\ntext: {{ include "notes" . | toJson }}\n'
    )
    (found,) = (
        item for item in documents(copy, merged(WITHOUT_CRDS, values)) if item["kind"] == "Notes"
    )
    return found["text"]


@pytest.mark.parametrize(("bound", "namespace"), [([], "default"), (["trading"], "trading")])
def test_the_notes_need_no_file_and_their_agent_is_valid(tmp_path, bound, namespace):
    text = notes(tmp_path, {"watchNamespaces": bound})
    assert "examples/" not in text
    assert "docs/" not in text
    assert f"--namespace {namespace}" in text
    manifest = yaml.safe_load(text.partition("<<END\n")[2].partition("     END\n")[0])
    spec = AgentSpec.model_validate(manifest["spec"], extra="forbid")
    assert spec.storage is not None


def test_the_notes_name_a_missing_rule_for_prometheus(tmp_path):
    monitor = {"metrics": {"podMonitor": {"enabled": True}}}
    assert "networkPolicy.ingressNamespaces" in notes(tmp_path, monitor)

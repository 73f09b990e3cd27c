"""Nothing in a spec weakens the isolation, the identity or the connection that the operator sets."""

import pytest

from purpleflea_contract import environment as env
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.manifests.user_overrides import user_overrides
from support.builders import a_spec

HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def an_agent(**changes):
    spec = AgentSpec.model_validate(a_spec(**changes), extra="forbid")
    return Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)


def template(connection=HOST_IP, defaults=None, **changes):
    found = children(an_agent(**changes), defaults or Defaults(image="agent:1"), connection)
    return found[-1]["spec"]["template"]


def pod(connection=HOST_IP, **changes):
    return template(connection, pod=changes)


ANNOTATIONS = (
    "container.apparmor.security.beta.kubernetes.io/agent",
    "container.apparmor.security.beta.kubernetes.io/signer",
    "container.seccomp.security.alpha.kubernetes.io/agent",
    "seccomp.security.alpha.kubernetes.io/pod",
    "apparmor.security.beta.kubernetes.io/defaultProfileName",
    "k8s.v1.cni.cncf.io/networks",
    "v1.multus-cni.io/default-network",
    "io.kubernetes.cri-o.userns-mode",
    "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel",
    "devices.crio.io/agent",
    "admission.datadoghq.com/python-lib.version",
    "admission.datadoghq.com/agent.python-lib.version",
    "ad.datadoghq.com/tags",
    "ad.datadoghq.com/exclude",
    "ad.datadoghq.com/logs_exclude",
    "ad.datadoghq.com/metrics_exclude",
    "ad.datadoghq.com/agent.tags",
    "ad.datadoghq.com/agent.exclude",
    "ad.datadoghq.com/agent.logs_exclude",
    "purpleflea.com/settings",
    "purpleflea.com/desired-hash",
)


@pytest.mark.parametrize("key", ANNOTATIONS)
def test_an_annotation_that_weakens_a_pod_is_ignored_and_reported(key):
    assert pod(annotations={key: "unconfined"}) == pod()
    agent = an_agent(pod={"annotations": {key: "unconfined"}})
    assert user_overrides(agent).ignored == (f"spec.pod.annotations[{key}]",)


@pytest.mark.parametrize(
    "key",
    [
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
        "sidecar.istio.io/inject",
        "security.example.com/owner",
        "prometheus.io/scrape",
    ],
)
def test_other_annotations_are_added(key):
    assert pod(annotations={key: "x"})["metadata"]["annotations"][key] == "x"


LABELS = (
    "admission.datadoghq.com/enabled",
    "admission.datadoghq.com/config.mode",
    "admission.datadoghq.com/mutate-pod",
    "tags.datadoghq.com/env",
    "tags.datadoghq.com/service",
    "tags.datadoghq.com/version",
    "tags.datadoghq.com/agent.env",
    "tags.datadoghq.com/agent.service",
    "app.kubernetes.io/instance",
    "apps.kubernetes.io/pod-index",
    "statefulset.kubernetes.io/pod-name",
    "controller-revision-hash",
    "pod-template-hash",
    "purpleflea.com/strategy",
)


@pytest.mark.parametrize("key", LABELS)
def test_a_label_of_the_operator_is_kept_and_the_field_is_reported(key):
    assert pod(labels={key: "other"}) == pod()
    agent = an_agent(pod={"labels": {key: "other"}})
    assert user_overrides(agent).ignored == (f"spec.pod.labels[{key}]",)


@pytest.mark.parametrize("connection", [HOST_IP, NO_CONNECTION])
@pytest.mark.parametrize("setting", ["Auto", "Disabled"])
def test_datadogs_admission_webhooks_do_not_change_the_pods(connection, setting):
    labels = template(connection, datadog={"connection": setting})["metadata"]["labels"]
    assert labels["admission.datadoghq.com/enabled"] == "false"


VARIABLES = (
    *("PURPLEFLEA_AGENT_ID", "PURPLEFLEA_API_TOKEN_FILE", "PURPLEFLEA_A_LATER_VERSION"),
    *("DD_AGENT_HOST", "DD_AGENT_PORT", "DD_TRACE_AGENT_HOSTNAME", "DD_TRACE_AGENT_PORT"),
    *("DD_TRACE_AGENT_URL", "DD_DOGSTATSD_HOST", "DD_DOGSTATSD_PORT", "DD_DOGSTATSD_URL"),
    *("DD_DOGSTATSD_DISABLE", "DD_TAGS", "DATADOG_TAGS", "DD_ENV", "DD_ENTITY_ID"),
    *("DD_REMOTE_CONFIGURATION_ENABLED", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"),
)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_replaces_one_of_the_operator_is_ignored_and_reported(name):
    assert pod(env=[{"name": name, "value": "x"}]) == pod()
    agent = an_agent(pod={"env": [{"name": name, "value": "x"}]})
    assert user_overrides(agent).ignored == (f"spec.pod.env[{name}]",)


@pytest.mark.parametrize("connection", [HOST_IP, NO_CONNECTION])
def test_a_variable_of_env_from_cannot_replace_one_that_only_the_operator_sets(connection):
    found = pod(connection, envFrom=[{"secretRef": {"name": "more"}}])
    (container,) = found["spec"]["containers"]
    names = [item["name"] for item in container["env"]]
    # A variable of `env` takes precedence over one of `envFrom`.
    assert {item.name for item in env.VARIABLES} - {env.DD_LOGS_INJECTION} <= set(names)
    assert set(env.ALIASES) <= set(names)
    assert len(names) == len(set(names))


def test_the_values_that_protect_from_env_from_are_those_of_unset_variables():
    (container,) = pod(envFrom=[{"secretRef": {"name": "more"}}])["spec"]["containers"]
    found = {item["name"]: item.get("value", "") for item in container["env"]}
    expected = {
        "DD_TRACE_ENABLED": "true",
        "DD_DOGSTATSD_PORT": "8125",
        "DD_TRACE_AGENT_PORT": "8126",
        "DD_DOGSTATSD_URL": "",
        "PURPLEFLEA_API_TOKEN_FILE": "",
        "PURPLEFLEA_HTTP_PORT": "8000",
    }
    assert expected.items() <= found.items()


def test_without_env_from_no_variable_is_added_for_protection():
    (container,) = pod()["spec"]["containers"]
    names = {item["name"] for item in container["env"]}
    assert names.isdisjoint(env.ALIASES)
    assert "PURPLEFLEA_API_TOKEN_FILE" not in names


PATHS = (
    *("/", "/etc", "/etc/purpleflea", "/etc/purpleflea/", "//etc/purpleflea", "/etc//purpleflea"),
    *("/etc/./purpleflea", "/x/../etc/purpleflea", "/etc/purpleflea/../purpleflea/settings.json"),
    *("/var/run", "/run", "/run/purpleflea", "/run/purpleflea/api-key"),
    *("/var/../run/datadog", "/var/run/./datadog/dsd.socket", "/run/datadog-apm"),
    *("/var/lib/purpleflea", "/var/lib/purpleflea/journal.db", "/tmp", "/tmp/../tmp/x"),
    *("/proc", "/proc/self", "/sys/fs/cgroup", "/dev", "/dev/shm"),
)


@pytest.mark.parametrize("path", PATHS)
def test_no_spelling_of_a_mount_path_hides_a_folder_of_the_operator(path):
    mounts = [{"name": "extra", "mountPath": path}]
    assert pod(volumeMounts=mounts) == pod()
    agent = an_agent(pod={"volumeMounts": mounts})
    assert user_overrides(agent).ignored == (f"spec.pod.volumeMounts[{path}]",)


@pytest.mark.parametrize("path", ["/models", "/etc/ssl", "/var/lib/other", "/running", "/opt/tmp"])
def test_a_mount_beside_the_folders_of_the_operator_is_added(path):
    mounts = [{"name": "extra", "mountPath": path}]
    (container,) = pod(volumeMounts=mounts)["spec"]["containers"]
    assert container["volumeMounts"][-1]["mountPath"] == path


@pytest.mark.parametrize(
    "field",
    [
        *({name: True} for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")),
        {"initContainers": [{"name": "x", "image": "y"}]},
        {"ephemeralContainers": []},
        {"containers": []},
        {"hostAliases": []},
        {"dnsPolicy": "None"},
        {"hostname": "x"},
        {"schedulerName": "x"},
        {"runtimeClassName": "x"},
        {"nodeName": "x"},
        {"securityContext": {"runAsUser": 0}},
        {"securityContext": {"runAsNonRoot": False}},
        {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
        {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
        {"securityContext": {"sysctls": []}},
        {"securityContext": {"supplementalGroups": [0]}},
        {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]},
        {"volumeMounts": [{"name": "x", "mountPath": "/x", "mountPropagation": "Bidirectional"}]},
        {"volumeMounts": [{"name": "x", "mountPath": "/x", "subPathExpr": "$(A)"}]},
        {"sidecars": [{"name": "x", "image": "y", "lifecycle": {}}]},
        {"sidecars": [{"name": "x", "image": "y", "volumeDevices": []}]},
        {"sidecars": [{"name": "x", "image": "y", "restartPolicy": "Never"}]},
        {"sidecars": [{"name": "x", "image": "y", "ports": [{"name": "p", "hostPort": 1}]}]},
        {
            "sidecars": [
                {"name": "x", "image": "y", "securityContext": {"procMount": "Unmasked"}},
            ]
        },
    ],
    ids=str,
)
def test_a_field_outside_of_the_restricted_profile_is_refused_by_name(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        an_agent(pod=field)


def test_the_pods_have_no_user_id_so_that_the_cluster_or_the_image_chooses_it():
    assert pod()["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_a_cluster_that_assigns_groups_gets_no_group():
    found = template(defaults=Defaults(image="agent:1", fs_group=None))
    assert found["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_user_and_groups_of_the_spec_are_used():
    ids = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000]}
    context = pod(securityContext=ids)["spec"]["securityContext"]
    assert ids.items() <= context.items()
    assert context["runAsNonRoot"] is True

"""The stand-in's chart renders the objects of Datadog's chart, with the same names, for the same values."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

CHART = Path(__file__).parents[3] / "sandbox" / "charts" / "datadog"
HELM = Path(sys.executable).with_name("helm")
VALUES_OF_THE_PAGE = {
    "datadog": {
        "apiKeyExistingSecret": "datadog-secret",
        "appKeyExistingSecret": "datadog-secret",
        "site": "datadoghq.com",
        "clusterName": "pf-prod",
        "tags": ["team:trading"],
        "apm": {"socketEnabled": True, "portEnabled": True, "port": 8126},
        "dogstatsd": {"useHostPort": True, "originDetection": True},
        "logs": {"enabled": True, "containerCollectAll": False},
        "processAgent": {"processCollection": True},
        "kubeStateMetricsEnabled": False,
        "operator": {"enabled": False},
    },
    "clusterAgent": {"replicas": 2, "admissionController": {"configMode": "hostip"}},
    "agents": {"priorityClassCreate": True, "tolerations": [{"operator": "Exists"}]},
}

Objects = Mapping[tuple[str, str], Mapping[str, Any]]


def rendered(values: Mapping[str, Any] | None = None, release: str = "datadog-agent") -> Objects:
    command = [str(HELM), "template", release, str(CHART), "--namespace=datadog", "--values=-"]
    done = subprocess.run(
        command, input=yaml.safe_dump(values or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def containers(objects: Objects) -> Mapping[str, Mapping[str, Any]]:
    daemonset = objects["DaemonSet", "datadog-agent"]
    return {one["name"]: one for one in daemonset["spec"]["template"]["spec"]["containers"]}


def environment(container: Mapping[str, Any]) -> Mapping[str, str]:
    return {one["name"]: one.get("value", "") for one in container["env"]}


def with_datadog(**values: Any) -> Objects:
    return rendered({"datadog": values})


def test_chart_passes_helm_lint() -> None:
    done = subprocess.run(
        [str(HELM), "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "values",
    [{}, VALUES_OF_THE_PAGE, {"datadog": {"csi": {"enabled": True}}}],
    ids=["defaults", "the page", "csi"],
)
def test_every_object_is_valid(values: Mapping[str, Any]) -> None:
    for one in rendered(values).values():
        kubernetes_validate.validate(one, "1.37", strict=True)


def test_daemonset_has_the_labels_of_datadogs_chart() -> None:
    objects = rendered()
    daemonset = objects["DaemonSet", "datadog-agent"]

    assert daemonset["metadata"]["labels"] == {
        "helm.sh/chart": "datadog-3.240.0",
        "app.kubernetes.io/name": "datadog-agent",
        "app.kubernetes.io/instance": "datadog-agent-agent",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/part-of": "datadog-datadog--agent",
        "app.kubernetes.io/component": "agent",
        "agent.datadoghq.com/component": "agent",
        "app.kubernetes.io/version": "7",
    }
    assert daemonset["spec"]["selector"] == {"matchLabels": {"app": "datadog-agent"}}
    pod = daemonset["spec"]["template"]
    assert pod["metadata"]["labels"]["admission.datadoghq.com/enabled"] == "false"
    assert "tolerations" not in pod["spec"]
    for container in containers(objects).values():
        path, _, tag = container["image"].rpartition(":")
        assert (path.endswith("/agent"), tag) == (True, "7.81.1")


def test_default_values_render_both_containers_without_host_ports() -> None:
    both = containers(rendered())

    assert {name: one["ports"] for name, one in both.items()} == {
        "agent": [{"name": "dogstatsdport", "containerPort": 8125, "protocol": "UDP"}],
        "trace-agent": [{"name": "traceport", "containerPort": 8126, "protocol": "TCP"}],
    }
    seen = environment(both["agent"])
    assert {
        "DD_DOGSTATSD_SOCKET": "/var/run/datadog/dsd.socket",
        "DD_DOGSTATSD_NON_LOCAL_TRAFFIC": "true",
        "DD_DOGSTATSD_TAG_CARDINALITY": "low",
        "DD_LOGS_ENABLED": "false",
        "DD_APM_ENABLED": "true",
    }.items() <= seen.items()
    traces = environment(both["trace-agent"])
    assert traces["DD_APM_RECEIVER_SOCKET"] == "/var/run/datadog/apm.socket"
    assert traces["DD_APM_NON_LOCAL_TRAFFIC"] == "true"


def test_local_service_is_always_rendered() -> None:
    for values in ({}, {"apm": {"socketEnabled": False}}):
        spec = with_datadog(**values)["Service", "datadog-agent"]["spec"]
        assert spec["internalTrafficPolicy"] == "Local"
        assert [(one["port"], one["protocol"]) for one in spec["ports"]] == [
            (8125, "UDP"),
            (8126, "TCP"),
        ]


def test_host_ports_are_opened_only_if_configured() -> None:
    both = containers(
        with_datadog(
            apm={"portEnabled": True, "port": 8226}, dogstatsd={"useHostPort": True, "port": 8225}
        )
    )

    assert both["agent"]["ports"][0]["hostPort"] == 8225
    assert both["trace-agent"]["ports"][0]["hostPort"] == 8226
    assert environment(both["agent"])["DD_DOGSTATSD_PORT"] == "8225"
    assert "--port=8226" in both["trace-agent"]["args"]


def test_host_network_renders_no_host_ports() -> None:
    objects = rendered(
        {"agents": {"useHostNetwork": True}, "datadog": {"apm": {"portEnabled": True}}}
    )
    spec = objects["DaemonSet", "datadog-agent"]["spec"]["template"]["spec"]

    assert spec["hostNetwork"] is True
    assert all("hostPort" not in one["ports"][0] for one in containers(objects).values())


def test_trace_agent_is_not_rendered_if_apm_is_disabled() -> None:
    both = containers(with_datadog(apm={"socketEnabled": False, "portEnabled": False}))

    assert list(both) == ["agent"]
    assert environment(both["agent"])["DD_APM_ENABLED"] == "false"


def test_log_collection_mounts_the_pod_log_folder() -> None:
    objects = with_datadog(logs={"enabled": True, "containerCollectAll": True})
    spec = objects["DaemonSet", "datadog-agent"]["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in spec["volumes"]}

    assert volumes["logpodpath"]["hostPath"]["path"] == "/var/log/pods"
    assert "pointerdir" in volumes
    assert (
        environment(containers(objects)["agent"])["DD_LOGS_CONFIG_CONTAINER_COLLECT_ALL"] == "true"
    )


def test_custom_checks_and_their_configuration_are_mounted_in_the_agents_folders() -> None:
    checks = {
        "checksd": {"purpleflea_agent.py": "import x\n"},
        "confd": {"a.yaml": "instances: []"},
    }
    objects = with_datadog(**checks)
    template = objects["DaemonSet", "datadog-agent"]["spec"]["template"]
    volumes = {one["name"]: one for one in template["spec"]["volumes"]}
    mounts = {one["name"]: one for one in containers(objects)["agent"]["volumeMounts"]}

    for kind, folder in (("checksd", "checks.d"), ("confd", "conf.d")):
        assert objects["ConfigMap", f"datadog-agent-{kind}"]["data"] == checks[kind]
        assert volumes[kind]["configMap"]["name"] == f"datadog-agent-{kind}"
        assert mounts[kind]["mountPath"] == f"/etc/datadog-agent/{folder}"
        # Checks are loaded once, so a changed file has to replace the pod.
        assert template["metadata"]["annotations"][f"checksum/{kind}-config"]
    for one in objects.values():
        kubernetes_validate.validate(one, "1.37", strict=True)


def test_check_folders_are_not_mounted_without_custom_checks() -> None:
    objects = rendered()

    assert not [name for _, name in objects if name.endswith(("-checksd", "-confd"))]
    assert not [
        one for one in containers(objects)["agent"]["volumeMounts"] if "agent/c" in one["mountPath"]
    ]


def test_command_in_the_check_readme_mounts_the_check(tmp_path: Path) -> None:
    check = Path(__file__).parents[3] / "agent_check" / "purpleflea_agent.py"
    option = f"--set-file=datadog.checksd.purpleflea_agent\\.py={check}"
    command = [str(HELM), "template", "datadog-agent", str(CHART), option]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    maps = [one for one in yaml.safe_load_all(done.stdout) if one and one["kind"] == "ConfigMap"]
    assert {"purpleflea_agent.py": check.read_text()} in [one["data"] for one in maps]


def test_user_variables_come_last_and_take_precedence() -> None:
    objects = with_datadog(
        envDict={"DD_DOGSTATSD_TAG_CARDINALITY": "high"}, env=[{"name": "A", "value": "b"}]
    )
    names = [one["name"] for one in containers(objects)["agent"]["env"]]

    assert names[-2:] == ["A", "DD_DOGSTATSD_TAG_CARDINALITY"]
    assert environment(containers(objects)["agent"])["DD_DOGSTATSD_TAG_CARDINALITY"] == "high"


def test_existing_secret_replaces_the_default_key() -> None:
    objects = rendered(VALUES_OF_THE_PAGE)

    assert not [kind for kind, _ in objects if kind == "Secret"]
    key = containers(objects)["agent"]["env"][0]["valueFrom"]["secretKeyRef"]
    assert key == {"name": "datadog-secret", "key": "api-key"}


def test_api_requires_an_application_key_only_if_one_is_configured() -> None:
    def key_of(objects: Objects) -> list[Mapping[str, Any]]:
        pod = objects["Deployment", "datadog-intake"]["spec"]["template"]["spec"]
        named = [one for one in pod["containers"][0]["env"] if one["name"] == "DD_APP_KEY"]
        return [one["valueFrom"]["secretKeyRef"] for one in named]

    given = with_datadog(appKey="test-key")

    assert key_of(rendered()) == []
    assert key_of(given) == [{"name": "datadog-agent-appkey", "key": "app-key"}]
    assert given["Secret", "datadog-agent-appkey"]["data"] == {"app-key": "dGVzdC1rZXk="}
    assert key_of(rendered(VALUES_OF_THE_PAGE)) == [{"name": "datadog-secret", "key": "app-key"}]


def test_a_release_name_without_datadog_gets_this_suffix() -> None:
    assert ("DaemonSet", "watch-datadog") in rendered(release="watch")


def test_cluster_role_grants_only_the_used_permissions() -> None:
    assert rendered()["ClusterRole", "datadog-agent"]["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
    ]


def test_intake_meets_restricted_pod_security_and_is_not_detected_as_a_node_agent() -> None:
    pod = rendered()["Deployment", "datadog-intake"]["spec"]["template"]

    assert "agent.datadoghq.com/component" not in pod["metadata"]["labels"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    context = pod["spec"]["containers"][0]["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)


def test_node_port_exposes_the_intake() -> None:
    spec = rendered({"sandbox": {"intake": {"nodePort": 30080}}})["Service", "datadog-intake"][
        "spec"
    ]

    assert (spec["type"], spec["ports"][0]["nodePort"]) == ("NodePort", 30080)


def test_csi_driver_is_rendered_only_if_enabled_and_mounts_the_socket_folders() -> None:
    name = "datadog-csi-driver-node-server"
    assert ("DaemonSet", name) not in rendered()
    split = {"hostSocketPath": "/run/apm", "socketPath": "/var/run/datadog/apm.socket"}
    objects = with_datadog(csi={"enabled": True}, apm=split)

    driver = objects["CSIDriver", "k8s.csi.datadoghq.com"]
    assert driver["spec"] == {"volumeLifecycleModes": ["Persistent", "Ephemeral"]}
    assert environment(containers(objects)["agent"])["DD_CSI_ENABLED"] == "true"
    pod = objects["DaemonSet", name]["spec"]["template"]["spec"]
    node, registrar = pod["containers"]
    assert (node["name"], registrar["name"]) == ("csi-node-driver", "csi-node-driver-registrar")
    assert node["args"][1:] == [
        "--apm-host-socket-path=/run/apm/apm.socket",
        "--dsd-host-socket-path=/var/run/datadog/dsd.socket",
    ]
    mounted = {one["mountPath"]: one.get("mountPropagation") for one in node["volumeMounts"]}
    folders = {"/csi", "/run/apm", "/var/run/datadog", "/var/lib/kubelet/pods"}
    assert mounted.keys() == folders
    assert mounted["/var/lib/kubelet/pods"] == "Bidirectional"

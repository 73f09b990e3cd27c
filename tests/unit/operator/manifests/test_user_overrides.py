"""The user's additions to the pods are merged by key. Reserved keys are ignored and reported."""

import pytest

from purpleflea_contract import environment as env
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions.conditions.spec_valid import spec_valid
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.manifests.user_overrides import user_overrides
from support.builders import a_spec
from support.observed_states import observed_state


def an_agent(**changes):
    spec = AgentSpec.model_validate(a_spec(**changes), extra="forbid")
    return Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)


def rendered(**changes):
    found = children(an_agent(**changes), Defaults(image="agent:1"), NO_CONNECTION)
    return {item["kind"]: item for item in found}


def template(**pod):
    return rendered(pod=pod)["StatefulSet"]["spec"]["template"]


def container(**pod):
    (found,) = template(**pod)["spec"]["containers"]
    return found


def sidecar(**changes):
    item = {"name": "signer", "image": "acme/signer:1", **changes}
    (found,) = template(sidecars=[item])["spec"]["initContainers"]
    return found


def test_labels_and_annotations_are_added_to_the_pods_but_not_to_the_selector():
    found = rendered(pod={"labels": {"desk": "crypto"}, "annotations": {"acme.io/owner": "me"}})
    workload = found["StatefulSet"]["spec"]
    assert workload["template"]["metadata"]["labels"]["desk"] == "crypto"
    assert workload["template"]["metadata"]["annotations"]["acme.io/owner"] == "me"
    assert "desk" not in workload["selector"]["matchLabels"]


@pytest.mark.parametrize(
    ("pod", "field"),
    [
        ({"labels": {"app.kubernetes.io/name": "x"}}, "labels[app.kubernetes.io/name]"),
        ({"labels": {"tags.datadoghq.com/env": "x"}}, "labels[tags.datadoghq.com/env]"),
        ({"labels": {"purpleflea.com/strategy": "x"}}, "labels[purpleflea.com/strategy]"),
        ({"labels": {"controller-revision-hash": "x"}}, "labels[controller-revision-hash]"),
        ({"annotations": {"purpleflea.com/mode": "x"}}, "annotations[purpleflea.com/mode]"),
        (
            {"annotations": {"ad.datadoghq.com/agent.logs": "[]"}},
            "annotations[ad.datadoghq.com/agent.logs]",
        ),
        ({"env": [{"name": "PURPLEFLEA_AGENT_ID", "value": "x"}]}, "env[PURPLEFLEA_AGENT_ID]"),
        ({"env": [{"name": "PURPLEFLEA_HTTP_PORT", "value": "1"}]}, "env[PURPLEFLEA_HTTP_PORT]"),
        ({"env": [{"name": "DD_AGENT_HOST", "value": "x"}]}, "env[DD_AGENT_HOST]"),
        (
            {"env": [{"name": "DD_REMOTE_CONFIGURATION_ENABLED", "value": "true"}]},
            "env[DD_REMOTE_CONFIGURATION_ENABLED]",
        ),
        ({"volumes": [{"name": "state", "emptyDir": {}}]}, "volumes[state]"),
        (
            {"volumeMounts": [{"name": "x", "mountPath": "/etc/purpleflea"}]},
            "volumeMounts[/etc/purpleflea]",
        ),
        (
            {"volumeMounts": [{"name": "x", "mountPath": "/var/lib"}]},
            "volumeMounts[/var/lib]",
        ),
        ({"volumeMounts": [{"name": "x", "mountPath": "/tmp/a"}]}, "volumeMounts[/tmp/a]"),
        ({"sidecars": [{"name": "agent", "image": "x"}]}, "sidecars[agent]"),
        (
            {"sidecars": [{"name": "await-node-agent", "image": "x"}]},
            "sidecars[await-node-agent]",
        ),
        ({"volumes": [{"name": "node-agent", "emptyDir": {}}]}, "volumes[node-agent]"),
        (
            {"volumeMounts": [{"name": "x", "mountPath": env.SOCKETS_DIR}]},
            f"volumeMounts[{env.SOCKETS_DIR}]",
        ),
    ],
)
def test_reserved_keys_are_kept_and_the_ignored_field_is_reported(pod, field):
    assert template(**pod) == template()
    found = spec_valid(observed_state(agent=an_agent(pod=pod)))
    assert (found.status, found.reason) == ("True", "OverrideIgnored")
    assert f"spec.pod.{field}" in found.message


def test_many_ignored_fields_are_counted_rather_than_listed():
    pod = {"env": [{"name": name, "value": "x"} for name in sorted(reserved_variables())]}
    message = spec_valid(observed_state(agent=an_agent(pod=pod))).message
    assert f"and {len(pod['env']) - 5} more" in message


def reserved_variables():
    return {item.name for item in env.VARIABLES} - {env.DD_LOGS_INJECTION}


def test_every_variable_of_the_contract_except_log_injection_is_reserved():
    names = [item.name for item in env.VARIABLES]
    agent = an_agent(pod={"env": [{"name": name, "value": "x"} for name in names]})
    assert [item.name for item in user_overrides(agent).env] == [env.DD_LOGS_INJECTION]


def test_a_spec_without_reserved_keys_has_no_ignored_fields():
    pod = {"env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}], "labels": {"a": "b"}}
    found = spec_valid(observed_state(agent=an_agent(pod=pod)))
    assert (found.status, found.reason) == ("True", "Valid")


def test_datadog_annotations_are_not_reserved_if_datadog_is_disabled():
    annotations = {"ad.datadoghq.com/agent.logs": "[]"}
    agent = an_agent(datadog={"connection": "Disabled"}, pod={"annotations": annotations})
    assert user_overrides(agent).ignored == ()
    assert user_overrides(agent).annotations == annotations


def test_a_variable_may_come_from_a_secret_a_config_map_or_a_field():
    key = {"name": "keys", "key": "token"}
    found = container(
        env=[
            {"name": "A", "valueFrom": {"secretKeyRef": {**key, "optional": True}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": key}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "E", "value": ""},
        ]
    )["env"]
    assert found[-5:] == [
        {"name": "A", "valueFrom": {"secretKeyRef": {**key, "optional": True}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": key}},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "E"},  # as the API server stores an empty value
    ]


def test_a_secret_with_variables_cannot_change_the_agents_http_server():
    found = container(envFrom=[{"secretRef": {"name": "more"}, "prefix": "ACME_"}])
    assert found["envFrom"] == [{"prefix": "ACME_", "secretRef": {"name": "more"}}]
    variables = {item["name"]: item.get("value", "") for item in found["env"]}
    assert (variables["PURPLEFLEA_HTTP_HOST"], variables["PURPLEFLEA_HTTP_PORT"]) == ("", "8000")


def test_user_volumes_are_added_to_the_operators_volumes():
    volumes = [
        {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "ca", "configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "ca"}]}},
        {"name": "cert", "secret": {"secretName": "cert", "defaultMode": 256}},
        {"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}},
        {
            "name": "token",
            "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "a"}}]},
        },
    ]
    mounts = [{"name": "models", "mountPath": "/models", "readOnly": True, "subPath": "v2"}]
    spec = template(volumes=volumes, volumeMounts=mounts)["spec"]
    names = [item["name"] for item in spec["volumes"]]
    assert names[:4] == ["config", "api-key", "tmp", "state"]
    assert spec["volumes"][4:] == volumes
    assert spec["containers"][0]["volumeMounts"][-1] == mounts[0]


def test_a_host_path_is_rejected():
    with pytest.raises(ValueError, match="hostPath"):
        an_agent(pod={"volumes": [{"name": "x", "hostPath": {"path": "/"}}]})


def test_a_sidecar_starts_before_the_agent_and_ends_after_it():
    assert sidecar()["restartPolicy"] == "Always"


def test_a_sidecar_complies_with_the_restricted_profile():
    assert sidecar()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    context = {"runAsUser": 65532, "runAsGroup": 65532, "readOnlyRootFilesystem": False}
    assert context.items() <= sidecar(securityContext=context)["securityContext"].items()


@pytest.mark.parametrize(
    "context",
    [
        {"privileged": True},
        {"allowPrivilegeEscalation": True},
        {"runAsUser": 0},
        {"capabilities": {"add": ["NET_ADMIN"]}},
    ],
)
def test_a_sidecar_that_requests_more_privileges_is_rejected(context):
    with pytest.raises(ValueError, match=next(iter(context))):
        an_agent(pod={"sidecars": [{"name": "x", "image": "y", "securityContext": context}]})


def test_a_sidecar_has_the_fields_of_the_spec():
    item = {
        "name": "signer",
        "image": "acme/signer:1",
        "imagePullPolicy": "Always",
        "command": ["/signer"],
        "args": ["--port=7000"],
        "env": [{"name": "A", "value": "b"}],
        "envFrom": [{"configMapRef": {"name": "c"}}],
        "ports": [{"name": "sign", "containerPort": 7000, "protocol": "TCP"}],
        "volumeMounts": [{"name": "state", "mountPath": "/journal", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 7000}},
        "livenessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 5},
        "startupProbe": {"exec": {"command": ["/signer", "ready"]}, "initialDelaySeconds": 2},
        "resources": {"requests": {"cpu": "5m"}, "limits": {"memory": "64Mi"}},
    }
    found = sidecar(**item)
    times = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3}
    expected = {
        **item,
        "readinessProbe": {**item["readinessProbe"], **times},
        "livenessProbe": {**times, **item["livenessProbe"]},
        "startupProbe": {**times, **item["startupProbe"]},
    }
    assert {key: found[key] for key in item} == expected


def test_ingress_to_the_port_of_a_sidecar_is_allowed():
    item = {"name": "x", "image": "y", "ports": [{"name": "p", "containerPort": 53}]}
    rules = rendered(pod={"sidecars": [item]})["NetworkPolicy"]["spec"]["ingress"]
    assert rules == [{"ports": [{"protocol": "TCP", "port": 53}]}]


def test_affinity_and_topology_spread_are_copied_to_the_pods():
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]}
                ]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 5,
                    "preference": {"matchExpressions": [{"key": "x", "operator": "Exists"}]},
                }
            ],
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": ""}},
                        "namespaces": ["trading"],
                    },
                }
            ]
        },
    }
    spread = {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    spec = template(affinity=affinity, topologySpreadConstraints=[spread])["spec"]
    assert spec["affinity"] == affinity
    (found,) = spec["topologySpreadConstraints"]
    assert found["labelSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "momentum"
    assert (found["maxSkew"], found["matchLabelKeys"]) == (1, ["controller-revision-hash"])
    assert spread.items() <= found.items()


def test_a_misspelled_field_inside_affinity_is_reported():
    wrong = {"nodeAffinity": {"requiredDuringScheduling": {}}}
    with pytest.raises(ValueError, match=r"affinity\.nodeAffinity\.requiredDuringScheduling\n"):
        an_agent(pod={"affinity": wrong})


def test_no_service_account_is_created_and_no_token_mounted_by_default():
    assert "ServiceAccount" not in rendered()
    spec = template()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "default"


def test_a_created_service_account_has_the_agents_name_and_owner_reference():
    annotations = {"acme.io/role": "trader"}
    found = rendered(pod={"serviceAccount": {"annotations": annotations}})
    account = found["ServiceAccount"]
    assert account["metadata"]["name"] == "momentum"
    assert annotations.items() <= account["metadata"]["annotations"].items()
    assert account["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert account["automountServiceAccountToken"] is False
    spec = found["StatefulSet"]["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("momentum", False)


def test_an_existing_service_account_can_be_used_with_its_token():
    spec = template(serviceAccountName="existing", automountServiceAccountToken=True)["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("existing", True)


@pytest.mark.parametrize("replicas", [0, 1])
def test_no_disruption_budget_is_created_for_fewer_than_two_identities(replicas):
    assert "PodDisruptionBudget" not in rendered(replicas=replicas)


def test_a_drain_evicts_one_pod_at_a_time_and_does_not_wait_for_unready_pods():
    found = rendered(replicas=2)
    budget = found["PodDisruptionBudget"]["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert budget["selector"] == found["StatefulSet"]["spec"]["selector"]


def test_egress_can_be_limited_to_ports():
    policy = rendered(network={"egressPorts": [443]})["NetworkPolicy"]["spec"]["egress"][-1]
    assert policy["ports"] == [{"protocol": "TCP", "port": 443}]


def test_the_retention_policy_of_claims_is_that_of_the_spec():
    storage = {"whenDeleted": "Delete", "whenScaled": "Retain"}
    spec = rendered(storage=storage)["StatefulSet"]["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == storage

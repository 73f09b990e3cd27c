import json

import pytest

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Control
from purpleflea_contract.settings import Settings
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_sandbox.datadog.node_agent.checks.configuration import check_instances
from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod
from support.builders import a_spec

DEFAULTS = Defaults(image="localhost/purpleflea-agent:0.1.0")
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def rendered(connection=HOST_IP, **changes):
    agent = Agent(
        namespace="trading",
        name="momentum",
        uid="agent-uid",
        generation=1,
        spec=AgentSpec.model_validate(a_spec(**changes)),
    )
    return {item["kind"]: item for item in children(agent, DEFAULTS, connection)}


def template(connection=HOST_IP, **changes):
    return rendered(connection, **changes)["StatefulSet"]["spec"]["template"]


def variables(connection=HOST_IP, **changes):
    container = template(connection, **changes)["spec"]["containers"][0]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def field(path):
    return {"fieldRef": {"fieldPath": path}}


def settings_of(found):
    """Return the settings that the agents read from the annotation of the pod template through a volume."""
    template = found["StatefulSet"]["spec"]["template"]
    folder = next(item for item in template["spec"]["volumes"] if item["name"] == "config")
    sources = folder["projected"]["sources"]
    (item,) = next(source["downwardAPI"]["items"] for source in sources if "downwardAPI" in source)
    assert item["path"] == "settings.json"
    name = item["fieldRef"]["fieldPath"].removeprefix("metadata.annotations['").removesuffix("']")
    return Settings.model_validate_json(template["metadata"]["annotations"][name])


def test_an_agent_has_three_children_that_it_owns():
    found = rendered()
    assert list(found) == ["ConfigMap", "NetworkPolicy", "StatefulSet"]
    owners = [item["metadata"]["ownerReferences"][0]["uid"] for item in found.values()]
    assert owners == ["agent-uid"] * 3


def test_the_settings_file_has_the_values_of_the_spec():
    settings = settings_of(rendered(trading={"interval": "5s", "orderSize": "0.5"}))
    assert (settings.trading.interval, settings.trading.order_size) == ("5s", "0.5")
    assert settings.markets == ("BTC-USD",)


def test_the_settings_file_contains_no_name_of_a_secret():
    assert "purpleflea-api-key" not in settings_of(rendered()).model_dump_json()


def test_each_revision_of_a_pod_has_separate_settings():
    slow, fast = rendered(trading={"interval": "9s"}), rendered(trading={"interval": "1s"})
    assert slow["ConfigMap"] == fast["ConfigMap"]
    assert slow["StatefulSet"]["spec"]["template"] != fast["StatefulSet"]["spec"]["template"]


def test_halting_changes_the_control_file_and_not_the_pod_template():
    active, halted = rendered(), rendered(trading={"mode": "Halted"})
    control = Control.model_validate_json(halted["ConfigMap"]["data"]["control.json"])
    assert control.mode == "Halted"
    assert active["StatefulSet"] == halted["StatefulSet"]


def test_a_change_of_settings_changes_the_pod_template():
    assert template() != template(trading={"interval": "5s"})


def test_scaling_changes_the_replicas_and_not_the_pod_template():
    one, five = rendered(), rendered(replicas=5)
    assert five["StatefulSet"]["spec"]["replicas"] == 5
    assert one["StatefulSet"]["spec"]["template"] == five["StatefulSet"]["spec"]["template"]
    assert one["ConfigMap"] == five["ConfigMap"]


def test_pods_and_workload_have_the_unified_service_labels():
    datadog = {"env": "prod", "service": "pf", "version": "1.4.2"}
    expected = {
        "tags.datadoghq.com/env": "prod",
        "tags.datadoghq.com/service": "pf",
        "tags.datadoghq.com/version": "1.4.2",
    }
    found = rendered(datadog=datadog)["StatefulSet"]
    for labels in (found["metadata"]["labels"], found["spec"]["template"]["metadata"]["labels"]):
        assert expected.items() <= labels.items()


def test_the_version_defaults_to_the_tag_of_the_image():
    image = {"repository": "acme/agent", "tag": "2.0.1"}
    assert template(image=image)["metadata"]["labels"]["tags.datadoghq.com/version"] == "2.0.1"
    assert template()["metadata"]["labels"]["tags.datadoghq.com/version"] == "0.1.0"


def test_the_version_of_a_digest_is_a_valid_label():
    image = {"repository": "acme/agent", "digest": "sha256:" + "ab" * 32}
    labels = template(image=image)["metadata"]["labels"]
    assert labels["tags.datadoghq.com/version"] == "abababababab"


def test_the_environment_has_the_variables_of_the_datadog_libraries():
    found = variables()
    assert found["DD_ENV"] == field("metadata.labels['tags.datadoghq.com/env']")
    assert found["DD_SERVICE"] == field("metadata.labels['tags.datadoghq.com/service']")
    assert found["DD_VERSION"] == field("metadata.labels['tags.datadoghq.com/version']")
    assert found["DD_ENTITY_ID"] == field("metadata.uid")
    assert found["DD_EXTERNAL_ENV"] == "it-false,cn-agent,pu-$(DD_INTERNAL_POD_UID)"
    assert found["DD_AGENT_HOST"] == field("status.hostIP")
    assert found["PURPLEFLEA_AGENT_ID"] == field("metadata.name")
    assert not {"DD_DOGSTATSD_PORT", "DD_TRACE_AGENT_URL", "DD_DOGSTATSD_HOST"} & found.keys()


def test_a_variable_is_defined_before_a_variable_that_refers_to_it():
    names = list(
        variables(Connection(mode=ConnectionMode.SERVICE, host="dd", dogstatsd_port=1, apm_port=2))
    )
    assert names.index("DD_INTERNAL_POD_UID") < names.index("DD_EXTERNAL_ENV")
    assert names.index("DD_AGENT_HOST") < names.index("DD_TRACE_AGENT_PORT")


def test_ports_that_differ_from_the_defaults_are_set():
    found = variables(Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8225, apm_port=8226))
    assert found["DD_DOGSTATSD_PORT"] == "8225"
    assert found["DD_TRACE_AGENT_PORT"] == "8226"
    assert "DD_TRACE_AGENT_URL" not in found


def test_the_service_is_the_host_if_the_node_opens_no_port():
    host = "datadog-agent.datadog.svc.cluster.local"
    connection = Connection(
        mode=ConnectionMode.SERVICE, host=host, dogstatsd_port=8125, apm_port=8126
    )
    assert variables(connection)["DD_AGENT_HOST"] == host


def test_without_a_node_agent_no_telemetry_is_sent():
    found = variables(NO_CONNECTION)
    assert "DD_AGENT_HOST" not in found
    assert found["DD_TRACE_ENABLED"] == "false"


def test_the_annotations_tag_everything_and_opt_in_to_logs_with_masking():
    annotations = template(datadog={"team": "desk", "tags": {"book": "a"}})["metadata"][
        "annotations"
    ]
    tags = json.loads(annotations["ad.datadoghq.com/tags"])
    assert tags == {"book": "a", "strategy": "momentum", "team": "desk"}
    (source,) = json.loads(annotations["ad.datadoghq.com/agent.logs"])
    assert (source["source"], source["service"]) == ("python", "purpleflea-trading-agent")
    assert {rule["type"] for rule in source["log_processing_rules"]} == {"mask_sequences"}


def annotations(**datadog):
    return template(datadog=datadog)["metadata"]["annotations"]


def test_no_check_runs_by_default():
    found = annotations()
    assert kubernetes.DD_ANNOTATION_CHECKS not in found
    assert kubernetes.DD_ANNOTATION_TOLERATE_UNREADY not in found
    assert annotations(check={"enabled": False}, openMetrics={"enabled": False}) == found


def test_the_check_requests_the_status_of_ready_and_unready_pods():
    found = annotations(check={"enabled": True, "intervalSeconds": 30})
    assert json.loads(found["ad.datadoghq.com/agent.checks"]) == {
        "purpleflea_agent": {
            "instances": [
                {
                    "url": "http://%%host%%:8000",
                    "tags": ["agent_id:%%kube_pod_name%%"],
                    "min_collection_interval": 30,
                }
            ]
        }
    }
    assert found["ad.datadoghq.com/tolerate-unready"] == "true"


@pytest.mark.parametrize(
    ("datadog", "api", "access"),
    [
        ({}, {}, None),
        ({"check": {"enabled": True}}, {}, "Network"),
        ({"check": {"enabled": True}}, {"statusAccess": "Token"}, None),
        ({"check": {"enabled": True}}, {"tokenSecretRef": "token"}, "Network"),
        ({"check": {"enabled": True}, "connection": "Disabled"}, {}, None),
        ({"openMetrics": {"enabled": True}}, {}, None),
        ({}, {"statusAccess": "Network"}, "Network"),
        ({}, {"statusAccess": "Token"}, None),
    ],
)
def test_the_status_shows_the_account_to_the_network_only_for_the_check(datadog, api, access):
    api = {"keySecretRef": {"name": "purpleflea-api-key"}, **api}
    found = settings_of(rendered(datadog=datadog, api=api))
    assert found.api.status_access == (access or "Token")
    assert ("status_access" in found.api.model_fields_set) is (access is not None)


def test_open_metrics_are_read_with_the_openmetrics_check_of_datadog():
    found = annotations(check={"enabled": True}, openMetrics={"enabled": True, "metrics": ["a.*"]})
    checks = json.loads(found["ad.datadoghq.com/agent.checks"])
    assert list(checks) == ["openmetrics", "purpleflea_agent"]
    (instance,) = checks["openmetrics"]["instances"]
    assert instance["openmetrics_endpoint"] == "http://%%host%%:8000/metrics"
    assert (instance["namespace"], instance["metrics"]) == ("purpleflea", ["a.*"])


def test_disabled_runs_no_check():
    found = annotations(connection="Disabled", check={"enabled": True})
    assert kubernetes.DD_ANNOTATION_CHECKS not in found


def test_the_simulated_node_agent_parses_the_annotation():
    found = annotations(check={"enabled": True}, openMetrics={"enabled": True})
    container = Container(name="agent", id="c0ffee")
    pod = Pod(
        uid="u",
        namespace="trading",
        name="momentum-0",
        annotations=found,
        containers=(container,),
        address="10.0.0.7",
    )
    instances, problems = check_instances(pod)
    assert problems == ()
    addresses = {
        one.instance.get("url") or one.instance["openmetrics_endpoint"] for one in instances
    }
    assert addresses == {"http://10.0.0.7:8000", "http://10.0.0.7:8000/metrics"}
    assert all("agent_id:momentum-0" in one.instance["tags"] for one in instances)


def test_disabled_collects_no_logs():
    annotations = template(NO_CONNECTION, datadog={"connection": "Disabled"})["metadata"][
        "annotations"
    ]
    assert not [key for key in annotations if key.startswith("ad.datadoghq.com")]


def test_pods_comply_with_the_restricted_profile():
    spec = template()["spec"]
    container = spec["containers"][0]["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert container["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


def test_the_key_is_mounted_as_a_folder_and_never_in_the_environment():
    text = json.dumps(template()["spec"])
    assert "secretKeyRef" not in text
    assert "subPath" not in text


def test_the_journal_has_a_retained_volume_claim_if_storage_is_set():
    spec = rendered(storage={"size": "2Gi"})["StatefulSet"]["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    assert "state" not in [volume["name"] for volume in spec["template"]["spec"]["volumes"]]


def test_the_network_policy_allows_only_the_listed_egress():
    policy = rendered(network={"egressCidrs": ["203.0.113.0/24"]})["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    cidrs = [to["ipBlock"]["cidr"] for rule in policy["egress"] for to in rule.get("to", [])]
    assert cidrs == ["203.0.113.0/24"]


def test_an_empty_list_of_egress_ranges_allows_no_address():
    policy = rendered(network={"egressCidrs": []})["NetworkPolicy"]["spec"]
    assert all(rule.get("to") is None for rule in policy["egress"])
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {
        *Defaults(image="x").dns_ports,
        8125,
        8126,
    }


def test_no_network_policy_is_created_if_the_policy_is_none():
    assert "NetworkPolicy" not in rendered(network={"policy": "None"})


def test_children_have_the_hash_of_their_desired_state():
    key = kubernetes.ANNOTATION_DESIRED_HASH
    first, second = rendered()["StatefulSet"], rendered(replicas=2)["StatefulSet"]
    assert first["metadata"]["annotations"][key] != second["metadata"]["annotations"][key]
    assert rendered()["StatefulSet"] == first


@pytest.mark.parametrize(
    "connection", [HOST_IP, Connection(mode=ConnectionMode.SERVICE, host="h", dogstatsd_port=1)]
)
def test_a_connection_is_recorded_on_the_workload(connection):
    assert (
        recorded_connection.connection_from_annotation(rendered(connection)["StatefulSet"])
        == connection
    )


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"mode": "Unknown"}'])
def test_an_invalid_recorded_connection_is_ignored(text):
    assert (
        recorded_connection.connection_from_annotation(
            {"metadata": {"annotations": {recorded_connection.ANNOTATION: text}}}
        )
        is None
    )


def test_the_pod_has_the_scheduling_rules_of_the_spec():
    spec = template(
        pod={
            "nodeSelector": {"pool": "trading"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "priorityClassName": "high",
            "terminationGracePeriodSeconds": 60,
        },
        image={"repository": "acme/agent", "tag": "1", "pullSecrets": ["registry"]},
    )["spec"]
    assert spec["nodeSelector"] == {"pool": "trading"}
    assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert spec["priorityClassName"] == "high"
    assert spec["terminationGracePeriodSeconds"] == 60
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


OWN_IMAGE = {"repository": "acme/agent", "tag": "1", "pullSecrets": ["own", "shared"]}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["default", "shared"]),
        ({"image": OWN_IMAGE}, ["own", "shared"]),
        # The init container that waits for the node agent has the default image.
        ({"image": OWN_IMAGE, "datadog": {"whenMissing": "Hold"}}, ["own", "shared", "default"]),
    ],
)
def test_the_secrets_of_the_default_image_are_those_of_pods_that_use_it(changes, names):
    agent = Agent(
        namespace="trading",
        name="momentum",
        uid="agent-uid",
        generation=1,
        spec=AgentSpec.model_validate(a_spec(**changes)),
    )
    defaults = Defaults(image=DEFAULTS.image, image_pull_secrets=("default", "shared"))
    *_, workload = children(agent, defaults, HOST_IP)
    found = workload["spec"]["template"]["spec"]["imagePullSecrets"]
    assert [item["name"] for item in found] == names


def test_the_token_of_the_agents_own_endpoints_is_mounted_if_it_is_set():
    api = {"keySecretRef": {"name": "key"}, "tokenSecretRef": "token"}
    spec = template(api=api)["spec"]
    assert {"name": "api-token", "secret": {"secretName": "token"}} in spec["volumes"]
    assert variables(api=api)["PURPLEFLEA_API_TOKEN_FILE"] == "/var/run/purpleflea/api-token/token"
    assert "PURPLEFLEA_API_TOKEN_FILE" not in variables()


def test_a_claim_has_the_storage_class_of_the_spec():
    storage = {"size": "1Gi", "storageClassName": "fast"}
    (claim,) = rendered(storage=storage)["StatefulSet"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"


def test_no_port_for_traces_is_open_if_traces_are_off():
    connection = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125)
    policy = rendered(connection)["NetworkPolicy"]["spec"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert 8126 not in ports
    assert variables(connection)["DD_TRACE_ENABLED"] == "false"


def test_without_a_connection_no_port_of_a_node_agent_is_open():
    policy = rendered(NO_CONNECTION)["NetworkPolicy"]["spec"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {*Defaults(image="x").dns_ports, 1}


def test_the_grace_period_is_passed_to_the_agent():
    assert variables()["PURPLEFLEA_GRACE_PERIOD_S"] == "30"
    assert variables(pod={"terminationGracePeriodSeconds": 90})["PURPLEFLEA_GRACE_PERIOD_S"] == "90"


def test_tracing_and_histograms_keep_the_defaults_of_datadog():
    configured = {
        "DD_TRACE_SAMPLING_RULES": '[{"sample_rate":0.25}]',
        "DD_RUNTIME_METRICS_ENABLED": "true",
        "DD_PROFILING_ENABLED": "true",
        "PURPLEFLEA_LEGACY_HISTOGRAMS": "true",
    }
    assert not configured.keys() & variables().keys()
    apm = {"sampleRate": "0.25", "runtimeMetrics": True, "profiling": True}
    datadog = {"apm": apm, "legacyHistograms": True}
    assert configured.items() <= variables(datadog=datadog).items()
    assert not configured.keys() & variables(NO_CONNECTION, datadog=datadog).keys()


def test_the_variable_that_turns_tracing_off_is_set_once():
    off = {"apm": {"enabled": False}}
    container = template(datadog=off)["spec"]["containers"][0]
    entries = [item for item in container["env"] if item["name"] == "DD_TRACE_ENABLED"]
    assert entries == [{"name": "DD_TRACE_ENABLED", "value": "false"}]
    connection = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125)
    container = template(connection, datadog=off)["spec"]["containers"][0]
    assert [item["name"] for item in container["env"]].count("DD_TRACE_ENABLED") == 1
    assert "DD_TRACE_ENABLED" not in variables()


def test_logs_can_be_excluded_or_sent_unmasked():
    found = annotations(logs={"enabled": False})
    assert kubernetes.DD_ANNOTATION_LOGS not in found
    assert found["ad.datadoghq.com/agent.logs_exclude"] == "true"
    (source,) = json.loads(annotations(logs={"maskSecrets": False})["ad.datadoghq.com/agent.logs"])
    assert "log_processing_rules" not in source
    assert "ad.datadoghq.com/agent.logs_exclude" not in annotations()


@pytest.mark.parametrize("rate", ["0", "1", "1.0", "0.000001"])
def test_a_share_from_0_to_1_is_a_sample_rate(rate):
    rules = variables(datadog={"apm": {"sampleRate": rate}})["DD_TRACE_SAMPLING_RULES"]
    assert json.loads(rules) == [{"sample_rate": float(rate)}]


@pytest.mark.parametrize("rate", ["1.1", "-0.5", "25%", "2", "", "0.", "NaN"])
def test_any_other_value_is_not_a_sample_rate(rate):
    with pytest.raises(ValueError, match="sampleRate"):
        AgentSpec.model_validate(a_spec(datadog={"apm": {"sampleRate": rate}}))


def test_faucet_and_flattening_reach_the_settings_file():
    found = rendered(
        faucet={"belowUsd": "75.50", "autoClaim": False}, trading={"flattenOnStop": True}
    )
    settings = settings_of(found)
    assert (settings.faucet.auto_claim, settings.faucet.below_usd) == (False, "75.50")
    assert settings.trading.flatten_on_stop is True


def test_stopping_changes_the_control_file_and_not_the_pod_template():
    stopped = rendered(trading={"mode": "Stopped"})
    control = Control.model_validate_json(stopped["ConfigMap"]["data"]["control.json"])
    assert control.mode == "Stopped"
    assert rendered()["StatefulSet"] == stopped["StatefulSet"]


@pytest.mark.parametrize("connection", [HOST_IP, NO_CONNECTION], ids=["connected", "none"])
@pytest.mark.parametrize(
    "pod",
    [
        {},
        {"env": [{"name": "DD_REMOTE_CONFIGURATION_ENABLED", "value": "true"}]},
        {"envFrom": [{"secretRef": {"name": "more"}}]},
    ],
    ids=["plain", "env", "env-from"],
)
def test_remote_configuration_is_off_in_every_container_with_variables_of_datadog(connection, pod):
    spec = template(connection, datadog={"whenMissing": "Hold"}, pod=pod)["spec"]
    for container in (*spec["containers"], *spec["initContainers"]):
        values = [
            item["value"]
            for item in container["env"]
            if item["name"] == "DD_REMOTE_CONFIGURATION_ENABLED"
        ]
        assert values == ["false"]

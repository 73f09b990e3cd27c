"""Users' annotations for Autodiscovery may describe their own pod, and nothing else that the node agent can reach."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions.conditions.spec_valid import spec_valid
from purpleflea_operator.manifests import autodiscovery
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.user_overrides import user_overrides
from support.builders import a_spec
from support.observed_states import observed_state


def an_agent(**changes):
    spec = AgentSpec.model_validate(a_spec(**changes), extra="forbid")
    return Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)


AD = "ad.datadoghq.com/"
REDIS = {"host": "%%host%%", "port": 6379}


def checks(**instance):
    return {f"{AD}redis.checks": json.dumps({"redisdb": {"instances": [REDIS | instance]}})}


def check(name="redisdb", *, init=None, **more):
    value = {name: {"init_config": init or {}, "instances": [REDIS], **more}}
    return {f"{AD}redis.checks": json.dumps(value)}


def version_1(instance, names=("redisdb",), init=()):
    lists = {"check_names": names, "init_configs": init or [{}], "instances": [instance]}
    return {f"{AD}redis.{key}": json.dumps(value) for key, value in lists.items()}


def logs(**source):
    return {f"{AD}signer.logs": json.dumps([source])}


USED = {
    "no annotation": {},
    "another annotation": {"acme.io/owner": "%%env_DD_API_KEY%%"},
    "a check": checks(),
    "a check of version 1": version_1(REDIS),
    "two instances of one check of version 1": version_1([REDIS, REDIS]),
    "a URL": checks(url="http://%%host%%:8080/status?full=1"),
    "a URL with variables only": checks(openmetrics_endpoint="http://%%host%%:%%port%%/metrics"),
    "a port by number": checks(url="http://%%host%%:%%port_0%%/"),
    "a host by network": {
        f"{AD}a.checks": json.dumps({"tcp_check": {"instances": [{"host": "%%host_pod%%"}]}})
    },
    "an IPv6 address": checks(url="https://[%%host%%]:443/"),
    "the name of the pod": checks(tags=["pod:%%kube_pod_name%%", "shard:12", "url:http"]),
    "expressions": checks(metrics=[".+", "a:1", {"go_.*": "go"}]),
    "a password of the user": checks(password="hunter2"),
    "numbers and switches": checks(timeout=3, ssl=True, empty=None, collect=["a", 1, False]),
    "settings for the check": check(init={"service": "x", "timeout": 3}),
    "logs in a check": check(logs=[{"source": "redis", "service": "cache"}]),
    "cardinality": check(check_tag_cardinality="low", ignore_autodiscovery_tags=True),
    "logs": logs(source="go", service="signer", tags=["a:b"]),
    "masking": logs(
        source="go",
        log_processing_rules=[
            {"type": "mask_sequences", "name": "m", "pattern": "/x", "replace_placeholder": "*"}
        ],
    ),
    "tags": {f"{AD}signer.tags": '{"team": "desk", "list": ["a", "b"]}'},
    "switches": {f"{AD}tolerate-unready": "true", f"{AD}signer.logs_exclude": "TRUE"},
}
SECRET = "%%env_DD_API_KEY%%"
IGNORED = {
    "a variable of the node agent": checks(password=SECRET),
    "in a tag": checks(tags=[f"key:{SECRET}"]),
    "in the key of a setting": checks(**{SECRET: 1}),
    "in a nested setting": checks(headers={"X": {"Y": [SECRET]}}),
    "in a URL": checks(url=f"http://%%host%%/?{SECRET}"),
    "as a part of another variable": checks(password="%%host%%env_DD_API_KEY%%"),
    "inside of another variable": checks(password="%%%%host%%env_DD_API_KEY%%%%"),
    "with three signs": checks(password="%%%env_DD_API_KEY%%"),
    "in another case": checks(password="%%ENV_DD_API_KEY%%"),
    "escaped": {
        f"{AD}a.checks": '{"redisdb": {"instances": [{"host": "%%host%%", "password": '
        '"\\u0025\\u0025env_DD_API_KEY\\u0025\\u0025"}]}}'
    },
    "half of a variable": checks(password="%%env_DD_API_KEY"),
    "an unknown variable": checks(password="%%extra_token%%"),
    "in the settings of the check": check(init={"password": SECRET}),
    "in the name of the check": check(name=SECRET),
    "in the name of a check of version 1": version_1(REDIS, names=[SECRET]),
    "in an instance of version 1": version_1(REDIS | {"password": SECRET}),
    "in the settings of version 1": version_1(REDIS, init=[{"password": SECRET}]),
    "in the tags of a container": {f"{AD}signer.tags": json.dumps({"key": SECRET})},
    "in the key of a tag": {f"{AD}signer.tags": json.dumps({SECRET: "a"})},
    "in logs": logs(source="go", service=SECRET),
    "in the tags of logs": logs(source="go", tags=[SECRET]),
    "in logs of a check": check(logs=[{"source": SECRET}]),
    "in the cardinality": check(check_tag_cardinality=SECRET),
    "a secret of the node agent": checks(password="ENC[k8s_secret@kube-system/admin/token]"),
    "a secret with spaces": checks(password="  ENC[handle] "),
    "another host": checks(host="10.0.0.1"),
    "no host": {f"{AD}a.checks": '{"redisdb": {"instances": [{"port": 1}]}}'},
    "an empty host": checks(host=""),
    "loopback of the node agent": checks(host="localhost"),
    "a name of the cluster": checks(host="kubernetes.default.svc"),
    "a host in another key": checks(server="evil.example"),
    "a host in a list": checks(hosts=["%%host%%", "evil.example"]),
    "a host in a key with a prefix": checks(nginx_status_url="http://evil.example/"),
    "a host in an unknown key": checks(somewhere="http://evil.example/"),
    "a host with a port in an unknown key": checks(somewhere="evil.example:80"),
    "an address in an unknown key": checks(somewhere="169.254.169.254"),
    "an IPv6 address with a port": checks(somewhere="[fd00::1]:80"),
    "an own URL that ends elsewhere": checks(url="http://%%host%%.evil.example/"),
    "an own URL with a user": checks(url="http://%%host%%@evil.example/"),
    "an own URL with a backslash": checks(url="http://%%host%%\\@evil.example/"),
    "an own URL with a blank": checks(url="http://%%host%%/ http://evil.example/"),
    "a URL after an own URL": checks(url="%%host%% http://evil.example/"),
    "a URL without a scheme": checks(url="//evil.example/"),
    "a port that is not one": checks(url="http://%%host%%:80evil/"),
    "a proxy": checks(proxy={"http": "evil.example"}),
    "a proxy of the check": check(init={"proxy": {"https": "http://evil.example:3128"}}),
    "a URL for JMX": checks(jmx_url="service:jmx:rmi:///jndi/rmi://%%host%%:1/jmxrmi"),
    "the token of the node agent": checks(bearer_token_auth=True),
    "the path of a token": checks(bearer_token_path="/var/run/secrets/token"),
    "a reader of tokens": checks(auth_token={"reader": {"type": "file", "path": "x"}}),
    "the role of the node": checks(auth_type="aws"),
    "options of Java": checks(java_options="-XX:OnOutOfMemoryError=id"),
    "options of Java for the check": check(init={"is_jmx": True}),
    "a file": checks(tls_ca_cert="/etc/datadog-agent/datadog.yaml"),
    "a file by URL": checks(somewhere="file:///etc/shadow"),
    "a relative file": checks(somewhere="../auth_token"),
    "a file of Windows": checks(somewhere="C:\\Windows\\win.ini"),
    "a file in the home folder": checks(somewhere="~/.ssh/id_rsa"),
    "a socket": checks(unix_socket_path="/var/run/docker.sock"),
    "a check of the node": check(name="process"),
    "a check of the node in another case": check(name=" Disk "),
    "a check of the node in version 1": version_1(REDIS, names=["redisdb", "kubelet"]),
    "a key in another case": check(Instances=[{"host": "evil.example"}]),
    "identifiers": check(ad_identifiers=["other"]),
    "a check of the cluster": check(cluster_check=True),
    "another name": check(name="redisdb", Name="process"),
    "a check that is not an object": {f"{AD}a.checks": '{"redisdb": []}'},
    "checks that are not an object": {f"{AD}a.checks": "[]"},
    "instances that are not a list": {f"{AD}a.instances": '{"host": "%%host%%"}'},
    "an instance that is not an object": {f"{AD}a.instances": '["%%host%%"]'},
    "a duplicate key": {
        f"{AD}a.checks": '{"redisdb": {"instances": [], "instances": [{"host": "x"}]}}'
    },
    "names that are not texts": {f"{AD}a.check_names": "[1]"},
    "a file as a log": logs(type="file", path="/var/log/syslog"),
    "a port as a log": logs(type="tcp", port=514),
    "a journal as a log": logs(type="journald"),
    "a log key in another case": logs(Path="/etc/shadow", source="go"),
    "a file as a log of a check": check(logs=[{"type": "file", "path": "/etc/shadow"}]),
    "logs that are not a list": {f"{AD}a.logs": "{}"},
    "a source that is not an object": {f"{AD}a.logs": '["x"]'},
    "tags that are not an object": {f"{AD}a.tags": "[]"},
    "no JSON": {f"{AD}a.checks": "{"},
    "deep JSON": {f"{AD}a.checks": "[" * 4000},
    "deep JSON that is complete": {f"{AD}a.instances": "[" * 2000 + "]" * 2000},
    "a large number": {f"{AD}a.instances": "9" * 4096},
    "an identifier": {f"{AD}redis.check.id": "_kubernetes_apiserver"},
    "an identifier of a container": {f"{AD}redis.id": "x"},
    "checks of a Service": {f"{AD}service.unknown": "x"},
    "an unknown annotation": {f"{AD}unknown": "x"},
    "a switch that is not one": {f"{AD}signer.exclude": "maybe"},
    "the prefix of Agent 5": {"service-discovery.datadoghq.com/redis.instances": "[]"},
}


@pytest.mark.parametrize("annotations", USED.values(), ids=USED)
def test_an_annotation_about_the_own_pod_is_used(annotations):
    assert autodiscovery.ignored(annotations) == {}
    agent = an_agent(pod={"annotations": annotations})
    assert user_overrides(agent).annotations == annotations
    assert user_overrides(agent).ignored == ()


@pytest.mark.parametrize("connection", ["Auto", "Disabled"])
@pytest.mark.parametrize("annotations", IGNORED.values(), ids=IGNORED)
def test_an_annotation_that_reaches_beyond_the_pod_is_ignored_with_a_reason(
    annotations, connection
):
    agent = an_agent(pod={"annotations": annotations}, datadog={"connection": connection})
    found = user_overrides(agent)
    assert found.annotations == {}
    assert len(found.ignored) == len(annotations)
    for text in found.ignored:
        assert text.startswith("spec.pod.annotations[")
        assert text.endswith(")")


def test_the_reason_is_part_of_the_condition():
    agent = an_agent(pod={"annotations": checks(password=SECRET)})
    found = spec_valid(observed_state(agent=agent))
    assert found.reason == "OverrideIgnored"
    assert "spec.pod.annotations[ad.datadoghq.com/redis.checks] (it has a template" in found.message


def test_all_lists_of_version_1_are_ignored_together_and_another_container_is_not():
    other = version_1(REDIS)
    used = {key.replace("redis.", "cache."): text for key, text in other.items()}
    faulty = version_1(REDIS | {"host": "evil.example"})
    assert autodiscovery.ignored({**used, **faulty}).keys() == faulty.keys()


TEXTS = st.sampled_from(
    ["%%", "%", "host", "env_X", "%%host%%", "://", "/", "evil", ":80", "@", "\\"]
)


@given(st.lists(TEXTS, max_size=8).map("".join))
def test_no_combination_of_parts_leaves_a_variable_of_the_node_agent(text):
    annotations = checks(password=text)
    if autodiscovery.ignored(annotations):
        return
    # The node agent replaces from the left, each variable with the shortest name.
    assert "%%" not in text.replace("%%host%%", "10.0.0.1")
    assert "://" not in text or text.split("://")[1].startswith("%%host%%")


@given(st.recursive(st.none() | st.text(max_size=8), lambda item: st.lists(item, max_size=3)))
def test_any_json_is_read_without_an_error(value):
    for kind in ("checks", "instances", "init_configs", "check_names", "logs", "tags"):
        autodiscovery.ignored({f"{AD}a.{kind}": json.dumps(value)})

"""Objects of other owners with values outside every range. Such a value is not used, and everything else works."""

import copy
import functools
import json
import logging
import random
from datetime import UTC, datetime

import pytest

from purpleflea_contract import environment as env
from purpleflea_operator import parsing
from purpleflea_operator.agent_client.http import HttpAgentClient
from purpleflea_operator.agent_client.protocol import AgentUnreachableError
from purpleflea_operator.controllers.agent.datadog_discovery import DatadogDiscovery
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import datadog_installed
from purpleflea_operator.controllers.agent.decisions.datadog_status import datadog_status
from purpleflea_operator.controllers.agent.decisions.gather import Surroundings, gather
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.decisions.quantity import quantity
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.status import next_status
from purpleflea_operator.controllers.agent.decisions.storage import (
    VolumeClaim,
    claims_to_expand,
    too_large,
)
from purpleflea_operator.controllers.agent.decisions.trading_mode import ordinal
from purpleflea_operator.controllers.agent.informer import EventTargets, Informer
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    ConnectionMode,
    Constraints,
    selected_connection,
)
from purpleflea_operator.datadog.detection.coverage import coverage, node_agent_pod
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, PodSecurity
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.datadog.detection.placement import PlacementRequirement
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.lease import MAX_LEASE_DURATION_S, lease_record
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from purpleflea_operator.runtime.leader_election import decisions
from purpleflea_operator.runtime.workqueue import WorkQueue
from support.builders import a_local_service, a_pod, an_agent
from support.installations import a_node, a_node_agent, a_node_inventory, helm, variables
from support.observed_states import agent_value, observed_state

DIGITS = "9" * 5000
NOT_PORTS = [
    *("", "0", "-1", "65536", "08125", "8125 ", "+8125", "8_125", "1e3", "٨١٢٥", "²", DIGITS),
    *(None, True, 1.5, 0, -1, 65536, 2**64, [], {}),
]
NOT_PATHS = [
    *("", "x", "./x", "/a/../b", "/..", "/a\0b", "/a\nb", "/$(HOST)", "/" + "a" * 5000),
    *(None, 1, [], {}),
]
HOSTILE = [
    *(
        None,
        "",
        "\0",
        "../..",
        "-1",
        "²",
        DIGITS,
        "x" * 5000,
        True,
        False,
        -1,
        0,
        65536,
        2**31,
        2**64,
    ),
    *(
        1.5,
        1e308,
        [],
        {},
        [None],
        [[]],
        [{}],
        {"": None},
        {"name": None},
        [1, "a", {"name": 2**64}],
    ),
]
OPEN = {"dogstatsd_host_port": True, "apm_host_port": True}
AGENT = ("datadog", "datadog-agent")


def facts_of(daemon_set, service=None):
    return datadog_facts([daemon_set], {AGENT: service} if service else {})


def chosen(facts, wanted="Auto"):
    return selected_connection(facts, wanted, Constraints(security=PodSecurity.PRIVILEGED))


@pytest.mark.parametrize("value", NOT_PORTS, ids=lambda value: repr(value)[:20])
def test_a_value_that_is_not_a_port_is_rejected(value):
    assert parsing.port(value) is None


@pytest.mark.parametrize("value", [1, 8125, 65535, "1", "8125", "65535"])
def test_a_port_is_an_integer_or_decimal_digits(value):
    assert parsing.port(value) == int(value)


@pytest.mark.parametrize("value", NOT_PATHS, ids=lambda value: repr(value)[:20])
def test_a_value_that_is_not_a_clean_absolute_path_is_rejected(value):
    assert parsing.path(value) is None


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_every_parser_accepts_every_value(value):
    for parse in (
        *(parsing.mapping, parsing.mappings, parsing.text, parsing.name, parsing.tag, parsing.port),
        *(
            parsing.count,
            parsing.path,
            parsing.socket_name,
            parsing.timestamp,
            parsing.resource_version,
        ),
        quantity,
    ):
        parse(value)


@pytest.mark.parametrize(
    "text", ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "now", DIGITS]
)
def test_a_time_that_cannot_be_parsed_is_rejected(text):
    assert parsing.timestamp(text) is None


@pytest.mark.parametrize("value", ["65536", "-1", "٨١٢٥", "8_125", "udp", DIGITS])
@pytest.mark.parametrize("name", ["DD_DOGSTATSD_PORT", "DD_APM_RECEIVER_PORT"])
def test_a_port_of_a_variable_outside_the_range_is_unusable_with_a_reason(name, value):
    (agent,) = facts_of(helm(**OPEN, sockets=False, env=variables(**{name: value}))).node_agents
    receiver, other = (
        (agent.dogstatsd, agent.apm) if "DOGSTATSD" in name else (agent.apm, agent.dogstatsd)
    )
    assert receiver.port is None
    assert other.port is not None
    assert receiver.blocked_by.name == name
    assert agent.invalid_values == (f"{name} is not a port from 1 to 65535",)
    assert value not in str(agent)


def test_an_unusable_port_is_named_if_the_connection_is_refused():
    daemon_set = helm(**OPEN, sockets=False, env=variables(DD_DOGSTATSD_PORT=DIGITS))
    connection = chosen(facts_of(daemon_set))
    assert connection.mode is ConnectionMode.NONE
    assert "datadog/datadog-agent: DD_DOGSTATSD_PORT is not a port" in connection.refusal_message
    assert len(connection.refusal_message) < 300


@pytest.mark.parametrize("number", [None, 0, 65536, 2**64, "8125 ", DIGITS, []])
@pytest.mark.parametrize("field", ["containerPort", "hostPort"])
def test_a_declared_port_outside_the_range_is_unusable(field, number):
    daemon_set = helm(**OPEN, sockets=False)
    for container in daemon_set["spec"]["template"]["spec"]["containers"]:
        for port in container["ports"]:
            port[field] = number
    assert chosen(facts_of(daemon_set)).mode is ConnectionMode.NONE


@pytest.mark.parametrize("number", [None, 0, -1, 65536, 2**64, "http", []])
def test_a_port_of_a_service_outside_the_range_is_unusable_with_a_reason(number):
    service = a_local_service(ports={"dogstatsdport": number, "traceport": 8126})
    (agent,) = facts_of(helm(sockets=False), service).node_agents
    assert (agent.service.dogstatsd_port, agent.service.apm_port) == (None, 8126)
    assert agent.invalid_values == (
        "port dogstatsdport of its Service is not a port from 1 to 65535",
    )


@pytest.mark.parametrize(
    "path",
    [
        "unix:///var/run/datadog/../../etc/dsd.socket",
        "/var/run/datadog/" + "x" * 5000,
        "/var/run/datadog/a\nb",
        "/var/run/datadog/" + "x" * 100,
        "unix://dsd.socket",
        "unix:///",
    ],
    ids=range(6),
)
def test_a_socket_outside_a_clean_path_is_unusable_with_a_reason(path):
    (agent,) = facts_of(helm(env=variables(DD_DOGSTATSD_SOCKET=path))).node_agents
    assert agent.dogstatsd.socket is None
    assert agent.apm.socket is not None
    (reason,) = agent.invalid_values
    assert reason.startswith("DD_DOGSTATSD_SOCKET is not an absolute path")


@pytest.mark.parametrize("path", ["/var/../etc", "relative", "/" + "x" * 5000, None, 7, []])
def test_a_folder_of_the_node_that_is_not_a_clean_path_is_not_mounted(path):
    daemon_set = helm()
    for volume in daemon_set["spec"]["template"]["spec"]["volumes"]:
        volume["hostPath"] = {"path": path}
    (agent,) = facts_of(daemon_set).node_agents
    assert agent.dogstatsd.socket is agent.apm.socket is None


def test_texts_of_a_node_agent_fit_into_the_status_and_into_commands():
    daemon_set = helm(**OPEN, image="gcr.io/datadoghq/agent:" + "7" * 5000)
    daemon_set["metadata"]["labels"]["helm.sh/chart"] = "datadog-" + "1" * 5000
    daemon_set["metadata"]["annotations"] = {"meta.helm.sh/release-name": "x; rm -rf / #"}
    facts = facts_of(daemon_set)
    (agent,) = facts.node_agents
    assert (agent.agent_version, agent.chart_version, agent.release) == (None, None, agent.name)
    status = datadog_status(observed_state(agent=None, datadog=facts, connection=chosen(facts)))
    assert all(len(str(value)) <= 253 for value in status.values())


def test_a_daemon_set_that_cannot_be_parsed_hides_no_other():
    broken = helm(name="broken", **OPEN)
    del broken["metadata"]["uid"]
    facts = datadog_facts([broken, helm(**OPEN)], {})
    assert [agent.name for agent in facts.node_agents] == ["datadog-agent"]
    assert facts.unreadable == ("datadog/broken",)
    assert not datadog_facts([broken], {}).are_complete


@pytest.mark.parametrize("text", [DIGITS, "-" + DIGITS, "٣", "1_0", str(2**63), "1.5", None])
def test_a_label_that_is_not_a_number_of_64_bits_is_neither_greater_nor_less(text):
    for operator in ("Gt", "Lt"):
        assert not PlacementRequirement(key="k", operator=operator, values=("3",)).matches(text)
        assert not PlacementRequirement(key="k", operator=operator, values=(str(text),)).matches(
            "3"
        )


GOOD = {"mode": "HostIP", "host": "", "dogstatsd": 8125, "apm": 8126}


@pytest.mark.parametrize(
    "change",
    [
        *({"dogstatsd": value} for value in (0, 65536, -1, 2**64, "8125", True, [], 1.5)),
        *({"apm": value} for value in (0, 65536, "8126", {})),
        *({"host": value} for value in (None, 1, [], "a b", "../x", "x" * 5000)),
        *({"apmSocket": value} for value in ("x", "/a/../b", 1, [], "/" + "x" * 5000, "/x")),
        *({"mode": value} for value in (None, "x", [], 1)),
    ],
    ids=lambda change: str(change)[:30],
)
def test_a_recorded_connection_with_values_outside_the_ranges_is_ignored(change):
    texts = (json.dumps({**GOOD, **change}), json.dumps(list(change)), "[" * 5000, None, 7)
    for text in texts:
        stateful_set = {"metadata": {"annotations": {recorded_connection.ANNOTATION: text}}}
        assert recorded_connection.connection_from_annotation(stateful_set) is None
    good = {"metadata": {"annotations": {recorded_connection.ANNOTATION: json.dumps(GOOD)}}}
    assert recorded_connection.connection_from_annotation(good).dogstatsd_port == 8125


@pytest.mark.parametrize(
    "variable",
    [
        {"name": env.DD_DOGSTATSD_PORT, "value": DIGITS},
        {"name": env.DD_DOGSTATSD_PORT, "value": "udp"},
        {"name": env.DD_TRACE_AGENT_URL, "value": "http://x"},
        {"name": env.DD_TRACE_AGENT_URL, "value": "http://x:" + DIGITS},
        {"name": env.DD_AGENT_HOST, "value": "a b"},
    ],
    ids=range(5),
)
def test_variables_of_a_pod_outside_the_ranges_are_ignored(variable):
    host = {"name": env.DD_AGENT_HOST, "value": "datadog"}
    assert recorded_connection.connection_from_pods([a_pod(env=[host, variable])]) is None


@pytest.mark.parametrize(
    "text", ["1e999999999", "NaN", "sNaN", "Infinity", DIGITS, "1e99999", "0x10", "1 Gi"]
)
def test_a_quantity_that_is_not_a_number_compares_without_an_error(text):
    claim = VolumeClaim(name="x", uid="u", requested=text, storage_class="")
    assert quantity(text) is None
    assert claims_to_expand([claim], "1Gi") == too_large([claim], "1Gi") == []


def test_quantities_have_all_suffixes_of_kubernetes():
    texts = ("1Pi", "1024Ti", "1Ei", "1024Pi", "1E", "1e18", "1000m", "1000000u", "1000000000n")
    values = [quantity(text) for text in texts]
    assert values[0] == values[1]
    assert values[2] == values[3]
    assert values[4] == values[5]
    assert values[6] == values[7] == values[8] == 1


def test_the_number_of_an_identity_has_at_most_nine_digits():
    names = {"momentum-0": 0, "momentum-12": 12, "momentum-" + "9" * 200: -1, "momentum-٣": -1}
    assert {name: ordinal(pod(a_pod(name=name))) for name in names} == names


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("renewTime", "0000-01-01T00:00:00.000000Z"),
        ("renewTime", "soon"),
        ("acquireTime", 7),
        ("leaseDurationSeconds", 2**31 - 1),
        ("leaseDurationSeconds", -5),
        ("leaseDurationSeconds", "15"),
        ("holderIdentity", ["x"]),
        ("leaseTransitions", "x"),
    ],
)
def test_a_lease_with_values_outside_the_ranges_is_parsed_and_expires(field, value):
    record = lease_record({"metadata": {"resourceVersion": "1"}, "spec": {field: value}})
    assert 1 <= record.duration_s <= MAX_LEASE_DURATION_S


def test_the_transitions_of_a_lease_stay_within_the_field():
    record = lease_record(
        {"metadata": {"resourceVersion": "1"}, "spec": {"leaseTransitions": 2**31 - 1}}
    )
    seen = decisions.observe(None, record, now=0.0)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    terms = decisions.LeaseConfig(identity="me")
    step = decisions.next_candidate_step(seen, terms, now=100.0, moment=moment, jitter=0.0)
    assert step.record.transitions == 0


def test_a_retry_after_header_of_any_digits_is_bounded():
    for header in (DIGITS, "²", "٣", "-1", "1e9", "inf", "nan", "soon"):
        assert 0.0 <= errors.from_response(429, "", header).retry_after_s <= 30.0


def test_a_resource_version_that_is_not_a_number_is_tolerated():
    cache, node = ObjectCache(), a_node()
    agent = an_agent()
    for version in (DIGITS, "x", "²", "-1", 7, None):
        agent["metadata"]["resourceVersion"] = node["metadata"]["resourceVersion"] = version
        cache.put(agent)
        NodeInventory(clock=lambda: 0.0).upsert(resources.NODE, node)
    assert cache.agent(NamespacedName("trading", "momentum")) is not None


def test_a_free_form_number_beyond_64_bits_is_cached():
    cache, agent = ObjectCache(), an_agent()
    agent["spec"]["free"] = 2**64 + 1
    assert cache.put(agent)
    assert cache.agent(NamespacedName("trading", "momentum"))["spec"]["strategy"] == "momentum"


class Answer:
    """A response of the API server with this body."""

    status, headers = 200, {}

    def __init__(self, body):
        self._body = body

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    @property
    def content(self):
        return self

    async def iter_chunked(self, _):
        yield self._body


class Session:
    """A session that returns this body for every request."""

    def __init__(self, body):
        self._body = body

    def request(self, *_, **__):
        return Answer(self._body)


@pytest.mark.parametrize("body", [b"[]", b"7", b'"x"', b"null", b"", b"<html>", b"[" * 5000])
async def test_an_answer_that_is_not_an_object_is_a_transient_error(body):
    with pytest.raises(errors.Unavailable):
        await HttpKubeClient("http://x", Session(body)).list_all(resources.POD)


@pytest.mark.parametrize("body", [b"{}", b'{"items":null,"metadata":{"resourceVersion":"x"}}'])
async def test_a_list_without_items_is_empty(body):
    found, version, _ = await HttpKubeClient("http://x", Session(body)).list_all(resources.POD)
    assert (found, parsing.resource_version(version)) == ([], 0)


async def test_a_pod_with_an_invalid_address_is_unreachable():
    with pytest.raises(AgentUnreachableError):
        await HttpAgentClient(None).status("a b/c\0")


# Fuzz tests

ROUNDS = 2000


def places(node, path=()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from places(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield (*path, index)
            yield from places(value, (*path, index))


def mutated(manifest, chance):
    """Return the manifest with one to four values replaced or removed, mostly below its top level."""
    found = copy.deepcopy(manifest)
    for _ in range(chance.randint(1, 4)):
        everywhere = [path for path in places(found) if len(path) > 1 or chance.random() < 0.1]
        if not everywhere:
            break
        *parents, last = chance.choice(everywhere)
        node = found
        for key in parents:
            node = node[key]
        if chance.random() < 0.25:
            del node[last]
        else:
            node[last] = copy.deepcopy(chance.choice(HOSTILE))
    return found


DAEMON_SET = helm(
    **OPEN,
    env=variables(DD_DOGSTATSD_PORT="8125", DD_APM_RECEIVER_PORT="8126"),
    node_selector={"pool": "a"},
    tolerations=[{"key": "dedicated", "operator": "Exists"}],
)
SERVICE = a_local_service()
NODE = a_node(taints=["dedicated=gpu:NoSchedule"])
NODE_AGENT = a_node_agent(of=DAEMON_SET)
POD = a_pod(restarts=2, waiting="CrashLoopBackOff")
NAMESPACE = {
    "kind": "Namespace",
    "metadata": {
        "name": "trading",
        "uid": "n",
        "resourceVersion": "1",
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    },
}
STATEFUL_SET = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {
        "name": "momentum",
        "namespace": "trading",
        "uid": "s",
        "resourceVersion": "1",
        "labels": POD["metadata"]["labels"],
        "annotations": {recorded_connection.ANNOTATION: json.dumps(GOOD)},
    },
    "spec": {"replicas": 1},
}
WATCHED = [
    (resources.DAEMON_SET, DAEMON_SET),
    (resources.NODE, NODE),
    (resources.POD, NODE_AGENT),
    (resources.POD, POD),
    (resources.NAMESPACE, NAMESPACE),
    (resources.STATEFUL_SET, STATEFUL_SET),
    (resources.AGENT, an_agent()),
]


class Objects:
    """A cluster with a Service for every DaemonSet."""

    def __init__(self):
        self.service = SERVICE

    async def get(self, ref):
        assert ".." not in ref.path
        return self.service


class Agents:
    """Agents that do not answer."""

    async def status(self, address):
        raise AgentUnreachableError(address)

    control = not_ready_reason = status


@pytest.fixture
def quiet(caplog):
    caplog.set_level(logging.CRITICAL)


def an_informer(cluster):
    cache, queue = ObjectCache(), WorkQueue(jitter=lambda: 0.0)
    nodes = NodeInventory(clock=lambda: 0.0)
    targets = EventTargets(
        nodes=nodes,
        restarts=RestartBudget(queue.add, clock=lambda: 0.0),
        telemetry=TelemetryProbe(Agents(), queue.add, jitter=lambda: 0.0),
    )
    return Informer(cluster, cache, queue, targets), cache, nodes


def test_detection_accepts_mutated_objects():
    chance = random.Random(1)  # noqa: S311
    nodes = NodeInventory(clock=lambda: 0.0)
    nodes.upsert(resources.NODE, NODE)
    whole = helm(name="whole", **OPEN)
    for _ in range(ROUNDS):
        broken = mutated(DAEMON_SET, chance)
        services = {AGENT: mutated(SERVICE, chance)}
        facts = datadog_facts([broken, whole], services)
        assert any(agent.name == "whole" for agent in facts.node_agents)
        hash(facts)
        for wanted in ("Auto", "HostIP", "Service", "Socket", "CSI"):
            connection = chosen(facts, wanted)
            for port in (connection.dogstatsd_port, connection.apm_port):
                assert port is None or 1 <= port <= 65535
            coverage(["node-1"], facts, connection, nodes)
            assert len(connection.refusal_message) < 2000
        node_agent_pod(mutated(NODE_AGENT, chance))
    assert NO_DATADOG.are_complete


@pytest.mark.usefixtures("quiet")
async def test_watch_events_of_mutated_objects_raise_nothing_and_hide_nothing():
    chance = random.Random(2)  # noqa: S311
    cluster = Objects()
    informer, cache, nodes = an_informer(cluster)
    discovery = DatadogDiscovery(cluster, cache, nodes, clock=lambda: 0.0)
    for number in range(ROUNDS):
        kind, manifest = chance.choice(WATCHED)
        informer.on_event(
            kind, chance.choice((None, "ADDED", "MODIFIED", "DELETED")), mutated(manifest, chance)
        )
        if number % 20 == 0:
            cluster.service = mutated(SERVICE, chance)
            await discovery.discover()
    whole = an_agent("other", uid="other-uid")
    informer.on_event(resources.AGENT, "ADDED", whole)
    informer.on_event(resources.NODE, "ADDED", a_node("node-9"))
    assert cache.agent(NamespacedName("trading", "other")) is not None
    assert nodes.node("node-9") is not None


CHILDREN = children(
    agent_value(replicas=2, storage={"size": "1Gi"}, pod={"serviceAccount": {}}),
    Defaults(image="agent:1"),
    NO_CONNECTION,
)
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {
        "name": "state-momentum-0",
        "namespace": "trading",
        "uid": "claim",
        "resourceVersion": "1",
        "labels": CHILDREN[0]["metadata"]["labels"],
    },
    "spec": {"resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"},
    "status": {"capacity": {"storage": "1Gi"}},
}


def stored_agent():
    """Return an agent with every part that a pass reads."""
    condition = {
        "status": "False",
        "reason": "X",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    types = ("Ready", "WorkloadAvailable", "TelemetryReady")
    agent = an_agent(replicas=2, storage={"size": "1Gi"})
    agent["metadata"] |= {
        "annotations": {"purpleflea.com/reason": "x"},
        "managedFields": [
            {
                "manager": "x",
                "time": "2026-01-01T00:00:00Z",
                "fieldsV1": {"f:spec": {"f:trading": {"f:mode": {}}}},
            }
        ],
    }
    agent["status"] = {
        "observedGeneration": 1,
        "replicas": 2,
        "conditions": [{"type": kind, **condition} for kind in types],
        "trading": {"mode": "Active", "since": "2026-01-01T00:00:00Z"},
    }
    return agent


def everything_of_an_agent():
    """Return the objects of one agent, as stored."""
    agent = stored_agent()
    found = [(resources.AGENT, agent)]
    for number, child in enumerate(copy.deepcopy(CHILDREN)):
        child["metadata"] |= {"uid": f"child-{number}", "resourceVersion": "1", "generation": 1}
        child["metadata"]["ownerReferences"][0]["uid"] = agent["metadata"]["uid"]
        if child["kind"] == "StatefulSet":
            counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), 2)
            child["status"] = {**counts, "observedGeneration": 1, "updateRevision": "a"}
        found.append((resources.kind_of(child), child))
    pods = [a_pod("momentum-0", restarts=2, waiting="CrashLoopBackOff"), a_pod("momentum-1")]
    return [*found, *((resources.POD, item) for item in pods), (resources.CLAIM, CLAIM)]


def complete_pass(cache):
    """Return the findings of one pass over the agent."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    resource = cache.agent(NamespacedName("trading", "momentum"))
    observed = gather(resource, cache, Surroundings(nodes=a_node_inventory()), now=now)
    if observed.agent is None:
        plan.halt_actions(observed)
    else:
        agent = effective_agent(observed, observed.agent)
        wanted = children(agent, Defaults(image="agent:1"), observed.connection)
        plan.actions(wanted, observed)
    found = summary.findings(observed)
    next_status(resource.get("status", {}), observed, found, name="momentum", now=now)
    return {str(item.type): item for item in found}


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("index", range(len(everything_of_an_agent())))
def test_a_pass_accepts_mutated_objects_of_its_agent(index):
    chance = random.Random(index)  # noqa: S311
    for _ in range(150):
        informer, cache, _ = an_informer(Objects())
        for number, (kind, manifest) in enumerate(everything_of_an_agent()):
            sent = mutated(manifest, chance) if number == index else manifest
            informer.on_event(kind, "ADDED", sent)
        key = NamespacedName("trading", "momentum")
        if cache.agent(key) is None:
            # Without its identity, an agent cannot be found.
            assert index == 0
            continue
        assert complete_pass(cache)["SpecValid"].status in ("True", "False")


@pytest.mark.parametrize(
    "spec",
    [
        *HOSTILE,
        {"strategy": 2**64},
        {**an_agent()["spec"], "replicas": 2**64},
        {**an_agent()["spec"], "risk": {"maxOrderUsd": float("nan")}},
        {**an_agent()["spec"], "pod": {"affinity": {"nodeAffinity": {"x": 2**64}}}},
        {**an_agent()["spec"], "pod": {"labels": {"a": "x" * 10**6}}},
        {
            **an_agent()["spec"],
            "pod": {"affinity": functools.reduce(lambda inner, _: {"x": inner}, range(900), 1)},
        },
    ],
    ids=lambda item: repr(item)[:30],
)
def test_a_spec_that_cannot_be_used_is_reported(spec):
    informer, cache, _ = an_informer(Objects())
    informer.on_event(resources.AGENT, "ADDED", {**an_agent(), "spec": spec})
    found = complete_pass(cache)["SpecValid"]
    # A field that this version does not support is reported, and the rest of the spec applies.
    assert found.reason in ("Invalid", "FieldsUnsupported")
    assert len(found.message) < 3000


@pytest.mark.parametrize(
    "broken", [{"labels": 7}, {"labels": {"a": 1}}, {"name": None}, {"namespace": []}]
)
def test_a_deleted_object_leaves_the_cache_whatever_else_it_contains(broken):
    informer, cache, nodes = an_informer(Objects())
    for kind, manifest in [*everything_of_an_agent(), *WATCHED]:
        informer.on_event(kind, "ADDED", manifest)
    informer.totals.upsert({**an_agent(), "status": {"replicas": "x", "conditions": "x"}})
    for kind, manifest in [*everything_of_an_agent(), *WATCHED]:
        metadata = {**manifest["metadata"], **broken}
        deleted = {**manifest, "metadata": metadata, "status": {"replicas": []}, "spec": 5}
        informer.on_event(kind, "DELETED", deleted)
    assert [
        item
        for kind in (*resources.CHILDREN, resources.AGENT, resources.POD)
        for item in cache.all(kind)
    ] == []
    assert nodes.node("node-1") is None
    assert len(informer.totals) == 0


@pytest.mark.usefixtures("quiet")
async def test_a_start_with_mutated_objects_keeps_the_valid_ones():
    chance = random.Random(3)  # noqa: S311
    for _ in range(100):
        broken = [(kind, mutated(manifest, chance)) for kind, manifest in WATCHED for _ in range(3)]
        whole = [
            (resources.AGENT, an_agent("other", uid="other-uid")),
            (resources.NODE, a_node("node-9")),
        ]
        informer, cache, nodes = an_informer(Objects())
        for kind, manifest in (*broken, *whole):
            informer.on_event(kind, None, manifest)
        await informer.start()
        assert cache.agent(NamespacedName("trading", "other")) is not None
        assert nodes.node("node-9") is not None


def test_an_object_that_cannot_be_parsed_is_logged_once(caplog):
    informer, _, _ = an_informer(Objects())
    broken = a_node()
    del broken["metadata"]["uid"]
    for _ in range(3):
        informer.on_event(resources.NODE, "MODIFIED", broken)
    (record,) = caplog.records
    assert record.getMessage() == "an object is malformed and is ignored; correct or delete it"
    assert (record.kind, record.object) == ("Node", "/node-1")


def test_a_node_agent_that_cannot_be_parsed_is_named_in_the_condition():
    broken = helm()
    broken["metadata"]["uid"] = None
    observed = observed_state(agent=None, datadog=datadog_facts([broken], {}))
    found = datadog_installed(observed)
    assert (found.status, found.reason) == ("Unknown", "NotVisible")
    assert "datadog/datadog-agent cannot be read" in found.message


async def test_an_unusable_value_is_logged_when_the_facts_change(caplog):
    cluster, cache = Objects(), ObjectCache()
    cache.put(helm(**OPEN, env=variables(DD_DOGSTATSD_PORT=DIGITS)))
    discovery = DatadogDiscovery(
        cluster, cache, NodeInventory(clock=lambda: 0.0), clock=lambda: 0.0
    )
    for _ in range(3):
        await discovery.discover()
    (record,) = caplog.records
    assert record.daemon_set == "datadog/datadog-agent"
    assert record.reason == "DD_DOGSTATSD_PORT is not a port from 1 to 65535"

from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from purpleflea_contract import control
from purpleflea_operator.controllers.agent.decisions.conditions.spec_valid import spec_valid
from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import telemetry_ready
from purpleflea_operator.controllers.agent.decisions.connection_choice import (
    SlotUse,
    decide,
    slot_use,
)
from purpleflea_operator.controllers.agent.decisions.gather import (
    Surroundings,
    gather,
    has_workload_or_pods,
    is_identity,
    parsed,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    PassOutcome,
    with_outcome,
)
from purpleflea_operator.controllers.agent.decisions.remembered import Remembered
from purpleflea_operator.controllers.halt.decisions.halt import halt
from purpleflea_operator.controllers.halt.decisions.index import HaltIndex
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
    Refusal,
    selected_connection,
)
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import LOCAL_SERVICES, a_datadog_daemon_set, a_halt, a_pod, an_agent
from support.installations import a_node, a_node_inventory, helm
from support.observed_states import agent_value

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def a_cache(*, owner="agent-uid", connection=HOST_IP):
    agent = agent_value(uid=owner)
    cache = ObjectCache()
    for number, item in enumerate(children(agent, Defaults(image="agent:1"), connection)):
        identity = {"uid": f"child-{number}", "resourceVersion": "1"}
        cache.put({**item, "metadata": {**item["metadata"], **identity}})
    cache.put(a_pod())
    return cache


def gathered(cache=None, resource=None, nodes=None):
    """Return what is gathered from the cache; by default that of an agent with children and a pod."""
    surroundings = Surroundings(nodes=nodes or a_node_inventory())
    return gather(resource or an_agent(), cache or a_cache(), surroundings, now=NOW)


def test_the_state_has_the_children_and_pods_of_the_agent():
    observed = gathered()
    assert sorted(kind for kind, _ in observed.children) == [
        "ConfigMap",
        "NetworkPolicy",
        "StatefulSet",
    ]
    assert [pod.name for pod in observed.pods] == ["momentum-0"]


def test_children_of_a_deleted_agent_of_the_same_name_are_left_out():
    assert gathered(a_cache(owner="older"), an_agent()).children == {}


def test_an_invalid_spec_names_the_field():
    observed = gathered(a_cache(), an_agent(markets=[]))
    assert observed.agent is None
    assert observed.invalid.startswith("spec.markets")


@pytest.mark.parametrize(
    ("trading", "order"),
    [
        ({"mode": "Halted"}, "Halted"),
        ({"mode": "Stopped"}, "Stopped"),
        ({"mode": "Active"}, None),
        ({"mode": ["Halted"]}, None),
        ("Halted", None),
        (None, None),
    ],
)
def test_only_a_request_to_stop_is_read_from_an_invalid_spec(trading, order):
    resource = an_agent(markets=[])
    resource["spec"]["trading"] = trading
    assert gathered(a_cache(), resource).stop_mode == order


def test_the_connection_follows_the_current_installation():
    found = datadog_facts([a_datadog_daemon_set()], LOCAL_SERVICES)
    observed = gathered(a_cache(), an_agent(), a_node_inventory(found))
    assert observed.connection == selected_connection(found, "Auto")


def test_the_connection_is_kept_while_there_is_no_node_agent():
    assert gathered().connection == HOST_IP


def test_an_agent_with_an_invalid_spec_keeps_its_connection():
    found = datadog_facts([a_datadog_daemon_set()], LOCAL_SERVICES)
    observed = gathered(a_cache(), an_agent(markets=[]), a_node_inventory(found))
    assert observed.connection == HOST_IP


def test_a_disabled_connection_is_not_kept():
    agent = an_agent(datadog={"connection": "Disabled"})
    assert gathered(a_cache(), agent).connection.mode is ConnectionMode.NONE


@pytest.mark.parametrize(
    ("when_missing", "mode"), [("Warn", ConnectionMode.NONE), ("Hold", ConnectionMode.SOCKET)]
)
def test_a_socket_that_the_namespace_now_forbids_is_kept_only_if_agents_would_wait(
    when_missing, mode
):
    nodes = a_node_inventory()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": "trading", "uid": "n", "labels": labels}
    nodes.upsert(resources.NAMESPACE, {"kind": "Namespace", "metadata": metadata})
    had = Connection(mode=ConnectionMode.SOCKET, dogstatsd_socket=Socket(folder="/run", name="s"))
    agent = an_agent(datadog={"whenMissing": when_missing})
    assert gathered(a_cache(connection=had), agent, nodes).connection.mode is mode


KINDS = (*resources.CHILDREN, resources.POD)
ACTIVE = control.Acknowledgement(mode=control.Mode.ACTIVE, at_rest=False)
MOVED = datadog_facts([helm(dogstatsd_host_port=True, dogstatsd_port=8225)], {})


def a_settled_agent(generation=1, **changes):
    return {**an_agent(**changes), "status": {"observedGeneration": generation}}


def a_cache_with_status(status, generation=1):
    """Return a cache in which the StatefulSet has the best connection and this status."""
    cache = a_cache(connection=selected_connection(MOVED, "HostIP"))
    (stored,) = cache.owned(resources.STATEFUL_SET, NamespacedName("trading", "momentum"))
    metadata = {**stored["metadata"], "generation": generation, "resourceVersion": "2"}
    cache.put({**stored, "metadata": metadata, "status": status})
    template = stored["spec"]["template"]["metadata"]["annotations"]
    pod = a_pod(annotations=template)
    cache.put({**pod, "metadata": {**pod["metadata"], "resourceVersion": "2"}})
    return cache


def test_the_current_and_the_best_connection_are_reported():
    observed = gathered(a_cache(), a_settled_agent(), a_node_inventory(MOVED))
    assert observed.current_connection == HOST_IP
    assert observed.connection.dogstatsd_port == 8225


def test_an_agent_needs_a_slot_to_switch_and_keeps_its_connection_without_one():
    nodes = a_node_inventory(MOVED)
    nodes.upsert(resources.NODE, a_node("node-1"))
    observed = gathered(a_cache(), a_settled_agent(), nodes)
    assert slot_use(observed) is SlotUse.ACQUIRE
    assert decide(observed, slot_free=True) is observed.connection
    kept = decide(observed, slot_free=False)
    assert (kept.dogstatsd_port, kept.refusal) == (8125, Refusal.RESTART_BUDGET)
    outcome = PassOutcome(connection=kept, children=dict(observed.children))
    after = with_outcome(observed, outcome)
    assert (after.connection, after.coverage) == (kept, observed.current_coverage)
    assert [item.node for item in after.coverage.uncovered] == ["node-1"]
    finding = telemetry_ready(after)
    assert (finding.status, finding.reason) == ("Unknown", "WaitingForAgents")


@pytest.mark.parametrize(
    ("status", "generation", "use"),
    [
        ({}, 1, SlotUse.HOLD),
        (
            {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1},
            1,
            SlotUse.RELEASE,
        ),
        ({"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}, 2, SlotUse.HOLD),
        (
            {
                "observedGeneration": 1,
                "updatedReplicas": 1,
                "availableReplicas": 0,
                "readyReplicas": 1,
            },
            1,
            SlotUse.HOLD,
        ),
        ({"observedGeneration": 1, "updatedReplicas": 0, "availableReplicas": 1}, 1, SlotUse.HOLD),
    ],
)
def test_an_agent_holds_its_slot_until_all_pods_are_ready_again(status, generation, use):
    cache = a_cache_with_status(status, generation)
    observed = gathered(cache, a_settled_agent(), a_node_inventory(MOVED))
    assert slot_use(observed) is use
    assert decide(observed, slot_free=True).dogstatsd_port == 8225


@pytest.mark.parametrize(
    ("agent", "current"),
    [
        pytest.param(
            a_settled_agent(generation=0, markets=["ETH-USD"]), HOST_IP, id="changed by the user"
        ),
        pytest.param(a_settled_agent(markets=[]), HOST_IP, id="invalid"),
        pytest.param(
            a_settled_agent(datadog={"whenMissing": "Hold"}), NO_CONNECTION, id="held without one"
        ),
    ],
)
def test_agents_that_need_no_slot(agent, current):
    observed = gathered(a_cache(connection=current), agent, a_node_inventory(MOVED))
    assert slot_use(observed) is SlotUse.NONE
    expected = 8125 if observed.agent is None else 8225
    assert decide(observed, slot_free=True).dogstatsd_port == expected


def test_an_agent_without_a_stateful_set_needs_no_slot():
    assert slot_use(gathered(ObjectCache(), a_settled_agent())) is SlotUse.NONE


def test_agents_without_a_connection_need_a_slot_for_the_first_one():
    nodes = a_node_inventory(MOVED)
    observed = gathered(a_cache(connection=NO_CONNECTION), a_settled_agent(), nodes)
    assert slot_use(observed) is SlotUse.ACQUIRE
    assert decide(observed, slot_free=False).refusal is Refusal.RESTART_BUDGET


def test_agents_that_lose_an_untrusted_connection_need_a_slot():
    tenant = helm(namespace="team-a", dogstatsd_host_port=True, apm_host_port=True)
    nodes = a_node_inventory(datadog_facts([tenant], {}))
    observed = gathered(a_cache(), a_settled_agent(), nodes)
    assert observed.connection == NO_CONNECTION
    assert slot_use(observed) is SlotUse.ACQUIRE
    assert decide(observed, slot_free=False).mode is ConnectionMode.HOST_IP


def test_gathering_twice_returns_the_same_and_changes_nothing():
    cache, nodes = a_cache(), a_node_inventory(MOVED)
    remembered = Remembered(
        control=control.Control(mode=control.Mode.ACTIVE),
        delivered_at=NOW,
        acknowledgements=MappingProxyType({"uid-momentum-0": ACTIVE}),
        attempts=MappingProxyType({"uid-momentum-0": 1}),
    )
    known = [item for kind in KINDS for item in cache.all(kind)]

    def observe():
        surroundings = Surroundings(nodes=nodes)
        return gather(a_settled_agent(), cache, surroundings, now=NOW, remembered=remembered)

    assert observe() == observe()
    assert observe().trading.acknowledgements == {"uid-momentum-0": ACTIVE}
    assert [item for kind in KINDS for item in cache.all(kind)] == known
    assert nodes.facts == MOVED


def test_pending_pods_need_node_agents_on_every_node_that_fits():
    cache = a_cache()
    cache.put(a_pod("momentum-1", node=""))
    found = datadog_facts([a_datadog_daemon_set()], LOCAL_SERVICES)
    nodes = a_node_inventory(found)
    for item in (a_node("node-1"), a_node("node-2"), a_node("node-3", taints=["x:NoSchedule"])):
        nodes.upsert(resources.NODE, item)
    assert gathered(cache, an_agent(), nodes).coverage.needed == 2


def test_the_state_has_the_time_since_which_identities_are_missing():
    resource = an_agent()
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T01:00:00Z"}
    available = {
        "type": "WorkloadAvailable",
        "status": "False",
        "lastTransitionTime": "2026-01-01T02:00:00Z",
    }
    resource["status"] = {"conditions": [ready, available]}
    observed = gathered(a_cache(), resource)
    assert observed.unavailable_since == datetime(2026, 1, 1, 2, tzinfo=UTC)
    available["status"] = "True"
    assert gathered(a_cache(), resource).unavailable_since is None


def test_the_state_has_the_claims_of_the_agent():
    cache = a_cache()
    labels = a_pod()["metadata"]["labels"]
    metadata = {"name": "state-momentum-0", "namespace": "trading", "uid": "c", "labels": labels}
    spec = {"resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"}
    cache.put({"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    (found,) = gathered(cache, an_agent()).claims
    assert (found.name, found.requested, found.storage_class) == ("state-momentum-0", "1Gi", "fast")


def a_reference(kind="StatefulSet", name="momentum", **fields):
    return {"kind": kind, "name": name, "uid": "u", "controller": True, **fields}


@pytest.mark.parametrize(
    ("name", "owners", "is_counted"),
    [
        ("momentum-0", [a_reference()], True),
        ("momentum-0", [a_reference(uid="the previous StatefulSet")], True),
        ("momentum-0", [], True),
        ("momentum-12", [a_reference(controller=False)], True),
        ("copy-of-momentum", [], False),
        ("momentum-x", [], False),
        ("momentum-", [], False),
        ("momentum", [], False),
        ("momentum-²", [], False),
        ("other-0", [], False),
        ("momentum-0", [a_reference("ReplicaSet")], False),
        ("momentum-0", [a_reference("Job")], False),
        ("momentum-0", [a_reference(name="other")], False),
    ],
)
def test_a_foreign_pod_with_the_labels_of_an_agent_is_not_counted(name, owners, is_counted):
    manifest = a_pod(name)
    manifest["metadata"]["ownerReferences"] = owners
    assert is_identity(manifest, "momentum") is is_counted


def test_fields_of_a_newer_crd_are_ignored_and_named():
    agent = an_agent(risk={"maxLossUsd": "5", "maxDrawdownPct": 7})
    observed = gathered(ObjectCache(), agent)
    assert observed.agent.spec.risk.max_drawdown_pct == 7
    finding = spec_valid(observed)
    assert (finding.status, finding.reason) == ("True", "FieldsUnsupported")
    assert "spec.risk.maxLossUsd" in finding.message


@pytest.mark.parametrize(
    ("number", "is_valid"), [(0, True), (64, True), (65, False), (9000, False)]
)
def test_an_agent_with_too_many_labels_is_invalid_and_can_be_halted(number, is_valid):
    resource = an_agent()
    resource["metadata"]["labels"] = {f"desk-{index}": "fx" for index in range(number)}
    cache, halts = ObjectCache(), HaltIndex()
    cache.put(resource)
    halts.put(
        halt(a_halt(selector={"matchLabels": {"desk": "rates"}}), operator_namespace="system")
    )
    stored = cache.agent(NamespacedName("trading", "momentum"))
    for item in (resource, stored):
        found, error = parsed(item)
        assert (found is not None) is is_valid
        assert is_valid or ("metadata.labels" in error and "64 labels" in error)
    assert len(halts.of("trading", "momentum", stored["metadata"]["labels"])) == (not is_valid)


def test_a_spec_that_differs_is_parsed_again_even_if_the_generation_is_the_same():
    """After a restore of etcd, another spec can have a generation that was used before."""
    before, after = an_agent(replicas=2), an_agent(replicas=3)
    assert parsed(before)[0].spec is parsed(an_agent(replicas=2))[0].spec
    assert parsed(before)[0].generation == parsed(after)[0].generation
    assert (parsed(before)[0].spec.replicas, parsed(after)[0].spec.replicas) == (2, 3)


@pytest.mark.parametrize(
    "change", [{"uid": "another"}, {"generation": 7}, {"name": "other"}, {"namespace": "other"}]
)
def test_the_same_spec_of_another_agent_is_parsed_for_that_agent(change):
    resource = an_agent()
    other = {**resource, "metadata": {**resource["metadata"], **change}}
    ((field, value),) = change.items()
    assert getattr(parsed(resource)[0], field) != value
    assert getattr(parsed(other)[0], field) == value


def test_a_spec_with_an_integer_of_more_than_64_bits_is_parsed():
    resource = an_agent()
    resource["spec"]["replicas"] = 2**64
    agent, error = parsed(resource)
    assert agent is None
    assert "replicas" in error


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [((), False), (("ConfigMap",), False), (("Pod",), True), (("StatefulSet",), True)],
)
def test_an_agent_has_a_workload_or_pods_if_the_cache_has_one_of_them(kinds, expected):
    full, cache = a_cache(), ObjectCache()
    key = NamespacedName("trading", "momentum")
    for kind in (resources.CONFIG_MAP, resources.POD, resources.STATEFUL_SET):
        for item in full.owned(kind, key) if kind.kind in kinds else ():
            cache.put(item)
    assert has_workload_or_pods(cache, key) is expected

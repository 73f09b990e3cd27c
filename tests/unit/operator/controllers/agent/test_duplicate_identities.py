from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_contract.kubernetes import DD_LABEL_ENV, DD_LABEL_SERVICE
from purpleflea_contract.tags import stored_value
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions import plan, status, upgrade
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.decisions.conditions.duplicate_identity import (
    duplicate_identity,
)
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    ClaimState,
    IdentityIndex,
    may_run,
)
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.transitions import transitions
from purpleflea_operator.controllers.agent.former_identities import LIMIT, FormerIdentities
from purpleflea_operator.controllers.agent.identity_holders import IdentityHolders
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from support.builders import a_pod, an_agent
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_agent_in(namespace, *, age=0, uid=None, name="momentum", **spec):
    found = an_agent(name, namespace=namespace, uid=uid or f"uid-{namespace}", **spec)
    found["metadata"]["creationTimestamp"] = f"2026-01-{10 - age:02d}T00:00:00Z"
    return found


def namespaces(claims):
    return [claim.namespace for claim in claims]


def an_index(*running):
    """Return an index in which the agents of these namespaces run."""

    def state(claim):
        return ClaimState.RUNNING if claim.namespace in running else ClaimState.RAN

    return IdentityIndex(state, lambda: 0.0)


def holder(index, namespace):
    found = index.holder_other_than(f"uid-{namespace}")
    return found.namespace if found else None


def test_if_neither_agent_runs_the_older_one_holds_the_identities():
    index = an_index()
    assert index.upsert(an_agent_in("young")) == []
    assert index.upsert(an_agent_in("old", age=5)) == []
    assert (holder(index, "young"), holder(index, "old")) == ("old", None)


SAME_IN_DATADOG = [
    ("Production", "production"),
    ("prod__eu", "prod_eu"),
    ("PROD_EU", "prod_eu"),
    ("prod.eu-1", "Prod.EU-1"),
]


@pytest.mark.parametrize(("one", "other"), SAME_IN_DATADOG)
@pytest.mark.parametrize("field", ["env", "service"])
def test_values_that_datadog_stores_as_one_are_one_identity(field, one, other):
    index = an_index()
    index.upsert(an_agent_in("young", datadog={field: one}))
    index.upsert(an_agent_in("old", age=5, datadog={field: other}))
    assert (holder(index, "young"), holder(index, "old")) == ("old", None)


@pytest.mark.parametrize(("one", "other"), SAME_IN_DATADOG)
def test_pods_with_the_former_spelling_of_an_env_keep_their_identity(one, other):
    pod = a_pod()
    pod["metadata"]["labels"] |= {DD_LABEL_ENV: one, DD_LABEL_SERVICE: "s"}
    assert may_run(pod, ("momentum", stored_value("env", other), "s"), None)


def test_values_that_differ_in_datadog_are_two_identities():
    index = an_index()
    index.upsert(an_agent_in("young", datadog={"env": "prod-eu"}))
    index.upsert(an_agent_in("old", age=5, datadog={"env": "prod_eu"}))
    assert (holder(index, "young"), holder(index, "old")) == (None, None)


def test_a_holder_keeps_the_identities_if_an_older_agent_is_added():
    index = an_index()
    index.upsert(an_agent_in("one", uid="b"))
    assert index.holder_other_than("b") is None
    assert index.upsert(an_agent_in("same-second", uid="a")) == []
    assert index.upsert(an_agent_in("old", age=5)) == []
    holders = [index.holder_other_than(uid) for uid in ("b", "a", "uid-old")]
    assert [item and item.namespace for item in holders] == [None, "one", "one"]


def test_after_a_restart_the_running_agent_holds_the_identities():
    index = an_index("young")
    index.upsert(an_agent_in("old", age=5))
    index.upsert(an_agent_in("young"))
    assert (holder(index, "old"), holder(index, "young")) == ("young", None)


@pytest.mark.parametrize(
    "apart",
    [
        {"name": "momentum-1"},
        {"datadog": {"env": "staging"}},
        {"datadog": {"service": "other"}},
        {"datadog": {"connection": "Disabled"}},
        {"replicas": 0},
    ],
)
def test_agents_with_another_name_env_or_service_do_not_conflict(apart):
    index = an_index()
    index.upsert(an_agent_in("old", age=5))
    index.upsert(an_agent_in("young", **apart))
    assert holder(index, "young") is None


def test_omitted_fields_have_their_defaults():
    index = an_index()
    written = {"env": "production", "service": "purpleflea-trading-agent"}
    index.upsert(an_agent_in("old", age=5, datadog=written))
    index.upsert(an_agent_in("young"))
    assert holder(index, "young") == "old"


def test_other_agents_are_affected_if_the_holder_is_deleted_or_changes_its_identity():
    index = an_index()
    for age, namespace in ((5, "first"), (4, "second"), (3, "third")):
        index.upsert(an_agent_in(namespace, age=age))
    assert holder(index, "third") == "first"
    moved = an_agent_in("first", age=5, datadog={"env": "staging"})
    assert namespaces(index.upsert(moved)) == ["second", "third"]
    assert (holder(index, "third"), holder(index, "second")) == ("second", None)
    assert namespaces(index.delete("uid-second")) == ["third"]
    assert index.delete("uid-second") == []
    assert holder(index, "third") is None


def test_the_deletion_of_an_agent_without_identities_affects_no_other():
    index = an_index()
    index.upsert(an_agent_in("first", age=5))
    index.upsert(an_agent_in("second"))
    assert index.delete("uid-second") == []


def test_a_new_generation_or_a_deletion_of_an_agent_affects_the_others():
    index = an_index()
    index.upsert(an_agent_in("first", age=5))
    index.upsert(an_agent_in("second"))
    changed = an_agent_in("first", age=5)
    changed["metadata"]["generation"] = 9
    assert namespaces(index.upsert(changed)) == ["second"]
    assert index.upsert(changed) == []
    changed["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert namespaces(index.upsert(changed)) == ["second"]


def test_an_unchanged_agent_affects_no_other():
    index = an_index()
    index.upsert(an_agent_in("first", age=5))
    index.upsert(an_agent_in("second"))
    assert index.upsert(an_agent_in("first", age=5)) == []


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_the_sequence_of_events_does_not_decide_the_holder(sequence, gone):
    index = an_index()
    for number in sequence:
        index.upsert(an_agent_in(f"n{number}", age=number))
    for number in gone:
        index.delete(f"uid-n{number}")
    left = sorted(set(range(6)) - gone, reverse=True)
    expected = {number: None if number == left[0] else f"n{left[0]}" for number in left}
    assert {number: holder(index, f"n{number}") for number in left} == expected


def duplicate(*, holder="old/momentum", live=None, allow=False, **changes):
    """An agent whose identities belong to another agent, `holder`, with a StatefulSet of `live` replicas."""
    return observed_state(
        spec={"datadog": {"duplicateIdentity": "Allow"} if allow else {}},
        stateful_set=None if live is None else a_stateful_set(live),
        conflicting_agent=holder,
        **changes,
    )


@pytest.mark.parametrize(
    ("observed", "condition", "replicas"),
    [
        (duplicate(holder=""), ("False", "Unique"), 3),
        (duplicate(), ("True", "NotStarted"), 0),
        (duplicate(live=0), ("True", "NotStarted"), 0),
        (duplicate(live=2), ("True", "AlreadyRunning"), 2),
        (duplicate(live=5), ("True", "AlreadyRunning"), 3),
        (duplicate(allow=True), ("True", "Allowed"), 3),
        (duplicate(pods=[a_pod("momentum-1")]), ("True", "AlreadyRunning"), 2),
    ],
)
def test_a_duplicate_is_not_started_and_running_pods_stay(observed, condition, replicas):
    found = duplicate_identity(observed)
    assert (found.status, found.reason) == condition
    assert effective_agent(observed, observed.agent).spec.replicas == replicas


def test_agents_outside_the_watched_namespaces_are_unknown():
    bound = duplicate_identity(replace(duplicate(holder=""), sees_all_namespaces=False))
    assert (bound.status, bound.reason) == ("Unknown", "NotVisible")
    assert (
        duplicate_identity(replace(duplicate(), sees_all_namespaces=False)).reason == "NotStarted"
    )
    unseen = status.next_status(
        {},
        replace(duplicate(holder="", live=3), sees_all_namespaces=False),
        (bound,),
        name="m",
        now=NOW,
    )
    assert transitions({}, unseen) == ()


def test_a_duplicate_that_is_not_started_is_not_ready_and_has_a_remedy():
    found = {item.type: item for item in summary.findings(duplicate(live=0))}
    ready = found["Ready"]
    assert (ready.status, ready.reason) == ("False", "DuplicateIdentity")
    assert "old/momentum has the same name" in ready.message
    assert "spec.datadog.duplicateIdentity" in ready.message


def test_an_invalid_spec_is_not_a_duplicate():
    assert duplicate_identity(replace(duplicate(), agent=None)).reason == "Unique"


def test_a_duplicate_causes_a_warning_and_its_end_a_normal_event():
    def written(observed, before):
        return status.next_status(before, observed, summary.findings(observed), name="m", now=NOW)

    unique, twice = written(duplicate(holder="", live=3), {}), written(duplicate(live=3), {})
    assert [item.reason for item in transitions({}, unique) if "Duplicate" in item.reason] == []
    assert [(item.type, item.reason) for item in transitions(unique, twice)] == [
        ("Warning", "DuplicateIdentityAlreadyRunning")
    ]
    assert [(item.type, item.reason) for item in transitions(twice, unique)] == [
        ("Normal", "DuplicateIdentityUnique")
    ]


IDENTITY = ("momentum", "production", "purpleflea-trading-agent")
LATER = "2026-01-02T00:00:00Z"


def a_pod_with(env="production", service="purpleflea-trading-agent", **changes):
    found = a_pod(**changes)
    tags = {"tags.datadoghq.com/env": env, "tags.datadoghq.com/service": service}
    found["metadata"]["labels"] |= tags
    return found


def a_resource(created="2025-01-01T00:00:00Z", **spec):
    found = an_agent(**spec)
    found["metadata"]["creationTimestamp"] = created
    return found


@pytest.mark.parametrize(
    ("found", "resource", "holds"),
    [
        pytest.param(a_pod_with(), None, True, id="of a deleted agent"),
        pytest.param(a_pod_with(deleting=True), None, True, id="of a deleted agent, and ending"),
        pytest.param(a_pod_with(env="other"), None, False, id="with another env"),
        pytest.param(a_pod_with(service="other"), None, False, id="with another service"),
        pytest.param(a_pod(), None, False, id="without an env"),
        pytest.param(a_pod_with(), a_resource(), False, id="of an agent that claims the identity"),
        pytest.param(a_pod_with(), a_resource(LATER), True, id="of the predecessor of an agent"),
        pytest.param(
            a_pod_with(), a_resource(datadog={"env": "new"}), True, id="with the previous env"
        ),
        pytest.param(a_pod_with(), a_resource(replicas=0), True, id="of an agent scaled to zero"),
        pytest.param(
            a_pod_with(deleting=True),
            a_resource(datadog={"connection": "Disabled"}),
            True,
            id="that still sends telemetry",
        ),
        pytest.param(
            a_pod_with(env="production") | {"spec": a_pod(env=())["spec"]},
            a_resource(datadog={"connection": "Disabled"}),
            False,
            id="that sends no telemetry",
        ),
    ],
)
def test_a_pod_holds_the_identity_that_its_agent_does_not_claim(found, resource, holds):
    assert may_run(found, IDENTITY, resource) is holds


def a_workload(namespace, uid, *, replicas=1, generation=0, status=None):
    tags = {
        f"tags.datadoghq.com/{key}": value
        for key, value in zip(("env", "service"), IDENTITY[1:], strict=True)
    }
    owner = {"kind": "PurpleFleaAgent", "name": "momentum", "uid": uid, "controller": True}
    metadata = {
        "name": "momentum",
        "namespace": namespace,
        "uid": f"uid-{namespace}",
        "resourceVersion": "1",
        "labels": {"app.kubernetes.io/instance": "momentum", **tags},
        "ownerReferences": [owner],
        "generation": generation,
    }
    spec = {"replicas": replicas}
    return {"kind": "StatefulSet", "metadata": metadata, "spec": spec, "status": status or {}}


def stopped_workload(namespace, **status):
    return a_workload(namespace, "gone", replicas=0, generation=2, status=status)


def holders_with(*manifests, waiting_uid="b"):
    cache = ObjectCache()
    holders = IdentityHolders(cache, lambda: 0.0)
    for item in manifests:
        cache.put(item)
        holders.note(item)
    waiting = an_agent_in("b", uid=waiting_uid)
    cache.put(waiting)
    holders.claims.upsert(waiting)
    return holders


@pytest.mark.parametrize(
    ("left", "holder"),
    [
        ([], None),
        ([a_pod_with(namespace="a")], "a"),
        ([a_workload("a", "gone")], "a"),
        ([a_workload("a", "gone", replicas=0)], "a, to be read"),
        ([stopped_workload("a", observedGeneration=2, replicas=1)], "a"),
        ([stopped_workload("a", observedGeneration=1)], "a"),
        ([stopped_workload("a")], "a"),
        ([stopped_workload("a", observedGeneration=2, replicas=0)], "a, to be read"),
        ([a_pod_with(namespace="b")], None),
        ([a_pod_with(namespace="a"), a_workload("b", "b")], None),
        ([a_pod_with(name="copy", namespace="a")], None),
    ],
    ids=[
        "nothing is left",
        "a pod",
        "a StatefulSet",
        "a StatefulSet without pods",
        "a stopped StatefulSet with pods that are not watched",
        "a stopped StatefulSet before its controller has removed the pods",
        "a stopped StatefulSet that its controller has not processed",
        "a stopped StatefulSet without pods",
        "a pod of the same namespace",
        "the agent runs already",
        "a pod that has another name",
    ],
)
def test_an_agent_waits_for_the_pods_that_are_left_in_other_namespaces(left, holder):
    assert blocker(holders_with(*left)) == holder


def blocker(holders, uid="b"):
    """Return the namespace whose pods an agent waits for, and if they must be read."""
    found = holders.holder_other_than(uid)
    assert found is None or found.is_ending
    return found and found.namespace + (", to be read" if found.is_unread else "")


def test_an_unknown_agent_has_no_holder():
    assert holders_with().holder_other_than("unknown") is None


def test_an_agent_that_waits_for_pods_has_a_command_to_see_them():
    state = duplicate(conflict_is_ending=True)
    found = duplicate_identity(state)
    assert found.reason == "NotStarted"
    assert (
        "kubectl get pods --namespace old --selector app.kubernetes.io/instance=momentum"
        in found.message
    )


HOLD_S = timings.IDENTITY_HOLD_S
RUNNING, RAN, STARTING, STARTABLE, UNSTARTABLE = ClaimState


class Contest:
    """An index with the states of agents by namespace, and a clock."""

    def __init__(self, **states):
        self.states = states
        self.now = 0.0
        self.lost = []
        self.index = IdentityIndex(lambda claim: self.states[claim.namespace], lambda: self.now)
        self.index.on_loss = lambda claims: self.lost.append(namespaces(claims))
        for age, namespace in enumerate(reversed(states)):
            self.index.upsert(an_agent_in(namespace, age=age))

    def holder(self):
        names = [name for name in self.states if holder(self.index, name) is None]
        assert len(names) == 1, names
        return names[0]


@pytest.mark.parametrize(
    ("first", "second", "at_once", "later"),
    [
        (RUNNING, STARTABLE, "first", "first"),
        (RAN, STARTABLE, "first", "first"),
        (RAN, RUNNING, "second", "second"),
        (STARTING, STARTABLE, "first", "second"),
        (STARTABLE, STARTABLE, "first", "second"),
        (STARTABLE, STARTING, "second", "first"),
        (UNSTARTABLE, STARTABLE, "second", "second"),
        (UNSTARTABLE, RAN, "second", "second"),
        (UNSTARTABLE, UNSTARTABLE, "first", "first"),
        (STARTING, UNSTARTABLE, "first", "first"),
    ],
)
def test_an_agent_that_never_ran_loses_the_identities_to_one_that_can_start(
    first, second, at_once, later
):
    contest = Contest(first=first, second=second)
    assert contest.holder() == at_once
    contest.now = HOLD_S - 1
    assert contest.holder() == at_once
    contest.now = HOLD_S
    assert contest.holder() == later


def test_agents_that_do_not_start_hold_the_identities_in_turns():
    contest = Contest(a=STARTING, b=STARTABLE, c=STARTABLE)
    turns = []
    for number in range(6):
        contest.now = number * HOLD_S
        turns.append(contest.holder())
    assert turns == ["a", "b", "c", "a", "b", "c"]
    assert contest.lost == [["a", "b", "c"]] * 5


def test_a_holder_that_starts_keeps_the_identities():
    contest = Contest(a=STARTABLE, b=STARTABLE)
    assert contest.holder() == "a"
    contest.states["a"] = RUNNING
    contest.now = 100 * HOLD_S
    assert contest.holder() == "a"
    assert contest.lost == []


def test_a_holder_whose_spec_becomes_invalid_before_it_ran_loses_the_identities_at_once():
    contest = Contest(a=STARTABLE, b=STARTABLE)
    assert contest.holder() == "a"
    contest.states["a"] = UNSTARTABLE
    assert contest.holder() == "b"
    contest.states["a"] = STARTABLE
    assert contest.holder() == "b"


def test_an_agent_that_waits_gets_the_seconds_until_the_holder_loses_the_identities():
    contest = Contest(a=STARTING, b=STARTABLE)
    contest.holder()
    contest.now = 100.0
    assert contest.index.holder_other_than("uid-b").loses_in_s == HOLD_S - 100.0
    contest.states["a"] = RUNNING
    assert contest.index.holder_other_than("uid-b").loses_in_s is None


# The agents of two namespaces in the cache: `squatter` is older, and its claim was looked up first.

OWN_TAGS = {
    f"tags.datadoghq.com/{key}": value
    for key, value in zip(("env", "service"), IDENTITY[1:], strict=True)
}
NEVER = {"observedGeneration": 1, "neverStarted": True}


class Rivals:
    def __init__(self, *, status=None, spec=None, deleted=False):
        self.cache, self.now, self.version = ObjectCache(), 0.0, 1
        self.holders = IdentityHolders(self.cache, lambda: self.now)
        squatter = an_agent_in("squatter", age=5, **(spec or {}))
        squatter["status"] = status or {}
        if deleted:
            squatter["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.put(squatter)
        self.holders.claims.holder_other_than("uid-squatter")
        self.put(an_agent_in("owner"))

    def put(self, manifest):
        self.version += 1
        manifest["metadata"]["resourceVersion"] = str(self.version)
        self.cache.put(manifest)
        kind = resources.kind_of(manifest)
        if kind is resources.AGENT:
            self.holders.claims.upsert(manifest)
        self.holders.history.on_event(kind, "ADDED", manifest)

    def blocks(self):
        found = self.holders.holder_other_than("uid-owner")
        return found and ("ending" if found.is_ending else "holds")


def a_squatting_pod(**changes):
    return a_pod_with(namespace="squatter", **changes)


def waiting_pod(*, node="", finalizer=False):
    found = a_squatting_pod()
    found["status"] = {"containerStatuses": [{"name": "agent", "state": {"waiting": {}}}]}
    found["spec"] |= {"nodeName": node} if node else {}
    if not node:
        found["spec"].pop("nodeName", None)
    if finalizer:
        found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return found


STATES = {
    "running": [{"name": "agent", "state": {"running": {}}}],
    "crashed": [{"name": "agent", "state": {"waiting": {}}, "restartCount": 3}],
    "between two runs": [
        {"name": "agent", "state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}}
    ],
}


@pytest.mark.parametrize(
    ("rivals", "pods", "at_once", "later"),
    [
        pytest.param({}, [], "holds", None, id="a valid spec that is never applied"),
        pytest.param({"status": NEVER}, [], "holds", None, id="no pod, such as with no quota"),
        pytest.param({"spec": {"markets": []}}, [], None, None, id="an invalid spec"),
        pytest.param(
            {"spec": {"trading": {"mode": "Stopped"}}}, [], None, None, id="stopped from the start"
        ),
        pytest.param({"deleted": True}, [], None, None, id="deleted, kept by a finalizer"),
        pytest.param(
            {"status": NEVER}, [waiting_pod()], "holds", "ending", id="a pod that cannot be placed"
        ),
        pytest.param(
            {"status": NEVER},
            [waiting_pod(node="n1")],
            "holds",
            "ending",
            id="a pod whose image cannot be pulled",
        ),
        pytest.param(
            {"status": NEVER},
            [waiting_pod(finalizer=True)],
            "holds",
            None,
            id="a deleted pod without a node, kept by a finalizer",
        ),
        pytest.param(
            {"status": NEVER},
            [waiting_pod(node="n1", finalizer=True)],
            "holds",
            "ending",
            id="a deleted pod that its node may still start",
        ),
        pytest.param(
            {"status": NEVER, "spec": {"datadog": {"duplicateIdentity": "Allow"}}},
            [waiting_pod()],
            "holds",
            None,
            id="a pod that is allowed beside another one",
        ),
        pytest.param(
            {"status": {"observedGeneration": 1}}, [], "holds", "holds", id="an agent that ran"
        ),
        pytest.param(
            {"status": {"observedGeneration": 1}, "spec": {"trading": {"mode": "Stopped"}}},
            [],
            "holds",
            "holds",
            id="an agent that ran and is stopped",
        ),
        pytest.param(
            {"status": {"observedGeneration": 1}, "spec": {"markets": []}},
            [],
            "holds",
            "holds",
            id="an agent that ran and has an invalid spec now",
        ),
        *(
            pytest.param(
                {"status": NEVER},
                [a_squatting_pod() | {"status": {"containerStatuses": statuses}}],
                "holds",
                "holds",
                id=f"a pod that is {name}, before the status says so",
            )
            for name, statuses in STATES.items()
        ),
    ],
)
def test_only_an_agent_that_ran_holds_an_identity_without_a_limit(rivals, pods, at_once, later):
    contest = Rivals(**rivals)
    for item in pods:
        contest.put(item)
    assert contest.blocks() == at_once
    contest.now = HOLD_S
    assert contest.blocks() == later
    if later == "ending":
        # The pods are gone.
        for item in pods:
            contest.cache.mark_deleted(resources.POD, item["metadata"]["uid"])
        assert contest.blocks() is None


@pytest.mark.parametrize(
    "spec",
    [{}, {"trading": {"mode": "Stopped"}}, {"markets": []}],
    ids=["valid", "stopped", "invalid"],
)
@pytest.mark.parametrize("reported", ["status", "StatefulSet", "nothing"])
def test_an_agent_whose_ready_pods_are_not_watched_keeps_its_identity(spec, reported):
    ready = {"readyReplicas": 1}
    contest = Rivals(status=NEVER | (ready if reported == "status" else {}), spec=spec)
    status = ready if reported == "StatefulSet" else {}
    contest.put(a_workload("squatter", "uid-squatter", status=status))
    contest.now = HOLD_S
    assert contest.blocks() == ("ending" if reported == "nothing" else "holds")


def test_an_agent_that_is_allowed_beside_another_one_is_waited_for_if_its_pods_were_ready():
    contest = Rivals(status=NEVER, spec={"datadog": {"duplicateIdentity": "Allow"}})
    contest.now = HOLD_S
    assert contest.blocks() is None
    contest.put(a_workload("squatter", "uid-squatter", replicas=0, status={"readyReplicas": 1}))
    assert contest.blocks() == "ending"


def test_an_agent_does_not_start_beside_a_rival_whose_statefulset_still_requests_pods():
    contest = Rivals(status=NEVER)
    contest.put(a_workload("squatter", "uid-squatter"))
    contest.now = HOLD_S
    assert contest.blocks() == "ending"
    contest.put(a_workload("squatter", "uid-squatter", replicas=0))
    assert contest.blocks() is None


def test_a_recreated_agent_does_not_inherit_the_claim_of_its_predecessor():
    contest = Rivals(status={"observedGeneration": 1})
    successor = an_agent_in("squatter", uid="uid-new")
    successor["metadata"]["resourceVersion"] = "99"
    contest.cache.put(successor)
    # The event of the successor was not processed by the index yet.
    contest.now = HOLD_S
    assert contest.blocks() is None


@pytest.mark.parametrize("live", [None, 2])
def test_pods_that_never_ran_are_removed_for_the_holder(live):
    observed = replace(duplicate(live=live, pods=[a_pod("momentum-1")]), never_started=True)
    assert effective_agent(observed, observed.agent).spec.replicas == 0
    assert duplicate_identity(observed).reason == "NotStarted"


@pytest.mark.parametrize(
    ("changes", "deletes"),
    [
        ({}, True),
        ({"never_started": False}, False),
        ({"conflicting_agent": ""}, False),
    ],
)
def test_an_invalid_agent_that_never_ran_loses_its_statefulset_to_the_holder(changes, deletes):
    observed = replace(duplicate(live=1), agent=None, invalid="spec.markets", never_started=True)
    found = plan.invalid_actions(replace(observed, **changes))
    assert [type(item).__name__ for item in found] == (["Delete"] if deletes else [])


def test_a_statefulset_that_is_being_deleted_is_not_deleted_again():
    observed = replace(duplicate(live=1), agent=None, invalid="x", never_started=True)
    observed.stateful_set["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert plan.invalid_actions(observed) == ()


@pytest.mark.parametrize(
    ("current", "never_started", "recorded"),
    [
        ({}, True, True),
        ({}, False, False),
        (NEVER, True, True),
        (NEVER, False, False),
        ({"observedGeneration": 1}, True, False),
    ],
)
def test_the_status_records_that_an_agent_never_started_until_it_starts(
    current, never_started, recorded
):
    observed = replace(observed_state(), never_started=never_started)
    findings = summary.findings(observed)
    found = status.next_status(current, observed, findings, name="m", now=NOW)
    assert found.get("neverStarted", False) is recorded


RELEASES = {
    "deleted": None,
    "with another env": {"datadog": {"env": "moved"}},
    "with another service": {"datadog": {"service": "moved"}},
    "without a connection": {"datadog": {"connection": "Disabled"}},
    "scaled to zero": {"replicas": 0},
}


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_the_pods_of_an_agent_that_gave_up_an_identity_must_be_read(release):
    holders = holders_with()
    holders.claims.upsert(an_agent_in("a", age=5))
    if release is None:
        holders.claims.delete("uid-a")
    else:
        holders.claims.upsert(an_agent_in("a", age=5, **release))
    assert blocker(holders) == "a, to be read"
    holders.former.discard(IDENTITY, "a")
    assert blocker(holders) is None


@pytest.mark.parametrize(
    "item",
    [a_workload("a", "gone"), a_pod_with(namespace="a"), a_pod_with(namespace="a", deleting=True)],
    ids=["StatefulSet", "pod", "ending pod"],
)
def test_objects_that_are_left_after_a_restart_must_end_and_then_be_read(item):
    holders = holders_with(item)
    assert blocker(holders) == "a"
    kind = resources.kind_of(item)
    if kind is resources.STATEFUL_SET:
        holders.on_workload_gone(item)
    holders._cache.mark_deleted(kind, item["metadata"]["uid"])
    assert blocker(holders) == "a, to be read"


def test_the_pods_of_a_rival_whose_statefulset_is_deleted_must_be_read():
    contest = Rivals(status=NEVER)
    contest.now = HOLD_S
    workload = a_workload("squatter", "uid-squatter")
    contest.put(workload)
    assert contest.blocks() == "ending"
    contest.holders.on_workload_gone(workload)
    contest.cache.mark_deleted(resources.STATEFUL_SET, workload["metadata"]["uid"])
    assert contest.holders.holder_other_than("uid-owner").is_unread


def test_a_statefulset_of_another_owner_holds_no_identity():
    holders, foreign = holders_with(), a_workload("a", "gone")
    foreign["metadata"]["ownerReferences"] = []
    holders.on_workload_gone(foreign)
    assert blocker(holders) is None


@pytest.mark.parametrize(
    ("status", "partition", "shown", "blocks"),
    [
        (
            {"observedGeneration": 2, "currentRevision": "old", "updateRevision": "new"},
            1,
            None,
            True,
        ),
        (
            {"observedGeneration": 2, "currentRevision": "old", "updateRevision": "new"},
            0,
            None,
            False,
        ),
        (
            {"observedGeneration": 2, "currentRevision": "new", "updateRevision": "new"},
            1,
            None,
            False,
        ),
        (
            {"observedGeneration": 1, "currentRevision": "new", "updateRevision": "new"},
            0,
            None,
            True,
        ),
        (
            {"observedGeneration": 2, "currentRevision": "old", "updateRevision": "new"},
            1,
            "old",
            False,
        ),
        (
            {"observedGeneration": 2, "currentRevision": "old", "updateRevision": "new"},
            1,
            "new",
            True,
        ),
    ],
    ids=[
        "the partition keeps the earlier revision, and its pod is evicted",
        "no pod of the earlier revision is created",
        "the rollout is complete",
        "the change was not processed yet",
        "a pod shows that the earlier revision has another env",
        "only a pod of the new revision is known",
    ],
)
def test_a_statefulset_that_can_create_pods_of_an_earlier_revision_holds_their_identity(
    status, partition, shown, blocks
):
    workload = a_workload("a", "uid-a", replicas=2, generation=2, status=status)
    workload["metadata"]["labels"][DD_LABEL_ENV] = "moved"
    workload["spec"]["updateStrategy"] = {"rollingUpdate": {"partition": partition}}
    pod = a_pod_with(namespace="a", env="moved")
    pod["metadata"]["labels"]["controller-revision-hash"] = shown
    holders = holders_with()
    holders.claims.upsert(an_agent_in("a", age=5))
    moved = an_agent_in("a", age=5, datadog={"env": "moved"})
    for item in (moved, workload, *([pod] if shown else [])):
        holders._cache.put(item)
    holders.claims.upsert(moved)
    assert blocker(holders) == ("a" if blocks else "a, to be read")


def test_an_agent_that_runs_with_another_env_waits_for_the_pods_of_the_new_one():
    running = a_workload("b", "b")
    running["metadata"]["labels"][DD_LABEL_ENV] = "staging"
    assert blocker(holders_with(running, a_pod_with(namespace="a"))) == "a"


def test_only_the_agents_that_wait_are_queued_when_a_pod_changes():
    holders = holders_with(a_pod_with(namespace="a"))
    key = NamespacedName("a", "momentum")
    assert list(holders.pop_waiting(key)) == []
    blocker(holders)
    assert list(holders.pop_waiting(key)) == [NamespacedName("b", "momentum")]
    assert list(holders.pop_waiting(key)) == []


def test_the_number_of_former_identities_is_limited():
    former = FormerIdentities(lambda: 0.0)
    for number in range(LIMIT + 5):
        former.add(("momentum", f"env-{number}", "s"), "a")
    assert len(former) == LIMIT
    assert former.namespaces(("momentum", "env-0", "s"), other_than="b") == ()
    assert former.namespaces(("momentum", f"env-{LIMIT}", "s"), other_than="b") == ("a",)
    former.postpone(("momentum", "env-0", "s"), "a")
    assert len(former._records) == LIMIT


def taking(*, live=2, holder="a/momentum", allow=False, env="staging", **changes):
    """Return the step of an agent that runs with an env and has another one in its spec."""
    workload = a_stateful_set(live)
    workload["metadata"]["labels"] = {**workload["metadata"].get("labels", {}), DD_LABEL_ENV: env}
    observed = duplicate(holder=holder, allow=allow, **changes)
    observed = replace(observed, children={("StatefulSet", "momentum"): workload})
    rendered = a_workload("trading", "agent-uid", replicas=live)
    workload["metadata"]["labels"] |= {
        key: text for key, text in rendered["metadata"]["labels"].items() if key != DD_LABEL_ENV
    }
    return upgrade.decide(observed, rendered, NO_CONNECTION, "Paced").step


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ({}, True),
        ({"conflict_is_ending": True}, True),
        ({"holder": ""}, False),
        ({"allow": True}, False),
        ({"live": 0}, False),
        ({"env": "production"}, False),
    ],
    ids=["held", "still ending", "free", "allowed", "without pods", "of its own identity"],
)
def test_running_pods_keep_their_template_instead_of_a_held_identity(changes, is_kept):
    assert (taking(**changes) is upgrade.Step.KEEP) is is_kept


def test_a_running_agent_that_waits_for_pods_reports_that_its_pods_are_unchanged():
    found = duplicate_identity(duplicate(live=2, conflict_is_ending=True))
    assert found.reason == "AlreadyRunning"
    assert "running agents keep their env and service until the previous pods" in found.message


def test_an_agent_whose_previous_pods_cannot_be_read_names_the_error():
    found = duplicate_identity(duplicate(conflict_is_ending=True, conflict_error="forbidden"))
    assert "these pods cannot be read: forbidden" in found.message

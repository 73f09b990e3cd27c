"""Decisions about volume claims."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import progressing
from purpleflea_operator.controllers.agent.decisions.conditions.storage_ready import (
    next_check_s,
    storage_ready,
)
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    pod_problem,
)
from purpleflea_operator.controllers.agent.decisions.gather import Surroundings, gather
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.decisions.remembered import Remembered
from purpleflea_operator.controllers.agent.decisions.storage import (
    claim,
    requires_recreate,
)
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_pod, a_spec
from support.builders import an_agent as an_agent_manifest
from support.observed_states import agent_value, observed_state


def an_agent(storage):
    return agent_value(replicas=2, **({"storage": storage} if storage is not None else {}))


def rendered(storage):
    return children(an_agent(storage), Defaults(image="agent:1"), NO_CONNECTION)


def as_stored(manifests):
    """Return manifests as the API server stores them, with UIDs and with defaults in the claim templates."""
    found = deepcopy(list(manifests))
    for number, item in enumerate(found):
        item["metadata"]["uid"] = f"uid-{number}"
        for template in item.get("spec", {}).get("volumeClaimTemplates", ()):
            template |= {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {}}
            template["spec"]["volumeMode"] = "Filesystem"
    return {plan.child_id(item): item for item in found}


def a_claim(
    name="state-momentum-0",
    *,
    size="1Gi",
    storage_class="fast",
    capacity=None,
    volume="",
    phase="",
    created=None,
):
    status = {"capacity": {"storage": capacity}} if capacity else {}
    times = {"creationTimestamp": created} if created else {}
    return claim(
        {
            "metadata": {"name": name, "uid": f"uid-{name}", **times},
            "spec": {
                "resources": {"requests": {"storage": size}},
                "storageClassName": storage_class,
                "volumeName": volume,
            },
            "status": {**status, "phase": phase} if phase else status,
        }
    )


def with_storage(storage, *, before=None, claims=(), rejection=""):
    return observed_state(
        agent=an_agent(storage),
        children=as_stored(rendered(storage if before is None else before)).values(),
        claims=claims,
        expansion_error=rejection,
    )


def planned(observed, storage):
    return [type(item) for item in plan.actions(rendered(storage), observed)]


ONE_GI, TWO_GI = {"size": "1Gi"}, {"size": "2Gi"}
FAST = {"size": "1Gi", "storageClassName": "fast"}


@pytest.mark.parametrize("storage", [{}, ONE_GI, FAST, {"size": "1024Mi"}])
def test_planning_after_applying_is_empty(storage):
    assert planned(with_storage(storage), storage) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ONE_GI, TWO_GI),
        (TWO_GI, ONE_GI),
        (ONE_GI, FAST),
        (FAST, ONE_GI),
        (FAST, {"size": "1Gi", "storageClassName": "slow"}),
        (ONE_GI, None),
    ],
)
def test_changed_claim_templates_recreate_the_stateful_set_around_its_pods(before, after):
    observed = replace(with_storage(after or ONE_GI, before=before), agent=an_agent(after))
    assert planned(observed, after) == [plan.RecreateOrphaning]


def test_an_added_volume_recreates_the_stateful_set():
    observed = replace(with_storage(ONE_GI), children=as_stored(rendered(None)))
    assert planned(observed, ONE_GI) == [plan.RecreateOrphaning]


def test_the_same_size_in_another_notation_recreates_nothing():
    found = planned(with_storage({"size": "1024Mi"}, before=ONE_GI), {"size": "1024Mi"})
    assert found == [plan.Apply]


def test_a_stateful_set_that_is_being_deleted_is_not_changed():
    observed = with_storage(TWO_GI, before=ONE_GI)
    terminating = deepcopy(dict(observed.children))
    terminating["StatefulSet", "momentum"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert planned(replace(observed, children=terminating), TWO_GI) == []


def test_a_deleted_stateful_set_is_created_and_then_needs_no_write():
    observed = with_storage(TWO_GI, before=ONE_GI)
    gone = {key: item for key, item in observed.children.items() if key[0] != "StatefulSet"}
    assert planned(replace(observed, children=gone), TWO_GI) == [plan.Create]
    assert planned(with_storage(TWO_GI), TWO_GI) == []


def test_only_claims_that_are_too_small_are_expanded():
    claims = [a_claim(), a_claim("state-momentum-1", size="2Gi"), a_claim("x", size="3Gi")]
    found = plan.actions(rendered(TWO_GI), with_storage(TWO_GI, claims=claims))
    assert [(item.claim.name, item.size) for item in found] == [("state-momentum-0", "2Gi")]


def test_a_rejected_expansion_is_not_repeated_at_once():
    assert planned(with_storage(TWO_GI, claims=[a_claim()], rejection="no"), TWO_GI) == []


def test_a_claim_with_an_invalid_size_is_not_expanded():
    assert planned(with_storage(TWO_GI, claims=[a_claim(size="soon")]), TWO_GI) == []


@pytest.mark.parametrize(
    ("storage", "claims", "rejection", "expected", "text"),
    [
        ({"ephemeral": True}, [], "", "Ephemeral", "spec.storage.ephemeral is true"),
        # Without a default storage class. A volume that was provisioned by hand is sufficient.
        (ONE_GI, [a_claim(storage_class="")], "", "NoStorageClass", "storageclasses"),
        (ONE_GI, [a_claim(storage_class="", capacity="1Gi")], "", "Ready", "1Gi"),
        (ONE_GI, [a_claim(storage_class="", volume="pv-1")], "", "Ready", "1Gi"),
        (ONE_GI, [], "", "Ready", "1Gi"),
        (ONE_GI, [a_claim(capacity="1Gi")], "", "Ready", "1Gi"),
        (TWO_GI, [a_claim()], "", "Expanding", "state-momentum-0"),
        (TWO_GI, [a_claim(size="2Gi", capacity="1Gi")], "", "Expanding", "2Gi"),
        (TWO_GI, [a_claim()], "only some", "ExpansionRefused", "only some; set allowVolume"),
        (ONE_GI, [a_claim(size="2Gi")], "", "CannotShrink", "set spec.storage.size to 2Gi"),
        (
            FAST,
            [a_claim(storage_class="slow")],
            "",
            "ClassDiffers",
            "only new claims are created with fast",
        ),
    ],
)
def test_the_condition_reports_the_state_of_the_volumes(storage, claims, rejection, expected, text):
    found = storage_ready(with_storage(storage, claims=claims, rejection=rejection))
    assert found.reason == expected
    assert found.status == ("True" if expected == "Ready" else "False")
    assert text in found.message


def test_only_the_first_of_many_claims_are_named():
    many = [a_claim(f"state-{number}", size="2Gi") for number in range(7)]
    found = storage_ready(with_storage(ONE_GI, claims=many))
    assert "state-4 and 2 more are larger" in found.message


def old_pod(name, **changes):
    found = a_pod(name, **changes)
    found["spec"]["volumes"] = [{"name": "state", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    return pod(found)


@pytest.mark.parametrize(
    ("pods", "deleted"),
    [
        ([], []),
        ([pod(a_pod("momentum-0"))], []),
        ([old_pod("momentum-1"), old_pod("momentum-0")], ["momentum-0"]),
        ([old_pod("momentum-10"), old_pod("momentum-9")], ["momentum-9"]),
        ([old_pod("momentum-1"), pod(a_pod("momentum-0"))], ["momentum-1"]),
        ([old_pod("momentum-1"), pod(a_pod("momentum-0", ready=False))], []),
        ([old_pod("momentum-1"), pod(a_pod("momentum-0", deleting=True))], []),
        ([old_pod("momentum-1"), old_pod("momentum-0", deleting=True)], []),
    ],
)
def test_pods_older_than_an_added_volume_are_deleted_one_at_a_time(pods, deleted):
    found = plan.actions(rendered(ONE_GI), replace(with_storage(ONE_GI), pods=pods))
    assert [item.pod.name for item in found if isinstance(item, plan.DeletePod)] == deleted


def test_pods_without_a_volume_stay_if_the_spec_has_none():
    observed = replace(
        with_storage(ONE_GI), agent=an_agent(None), children=as_stored(rendered(None))
    )
    assert plan.actions(rendered(None), replace(observed, pods=[old_pod("momentum-0")])) == ()


def test_the_volumes_of_an_invalid_spec_are_unknown():
    observed = replace(with_storage(ONE_GI), agent=None)
    assert storage_ready(observed).reason == "SpecInvalid"
    assert plan.actions((), replace(observed, children={})) == ()


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def aged(observed, *, stateful_set_s, config_map_s, recreated_s=None):
    """Return the state with children that were created some seconds ago."""
    found = {}
    for (kind, name), item in observed.children.items():
        age_s = stateful_set_s if kind == "StatefulSet" else config_map_s
        created = (NOW - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found[kind, name] = {**item, "metadata": {**item["metadata"], "creationTimestamp": created}}
    recreated = None if recreated_s is None else NOW - timedelta(seconds=recreated_s)
    return replace(observed, children=found, now=NOW, recreated_at=recreated)


@pytest.mark.parametrize(
    ("ages", "wait_s"),
    [
        ({"stateful_set_s": 60, "config_map_s": 60}, 0),
        ({"stateful_set_s": 60, "config_map_s": 65}, 0),
        ({"stateful_set_s": 60, "config_map_s": 3600}, 540),
        ({"stateful_set_s": 700, "config_map_s": 3600}, 0),
        ({"stateful_set_s": 60, "config_map_s": 60, "recreated_s": 90}, 510),
        ({"stateful_set_s": 60, "config_map_s": 3600, "recreated_s": 90}, 540),
        ({"stateful_set_s": -3600, "config_map_s": 0}, 600),
    ],
    ids=[
        "new",
        "created in sequence",
        "recreated",
        "recreated long ago",
        "by this process",
        "both",
        "clock",
    ],
)
def test_a_stateful_set_is_recreated_once_in_ten_minutes(ages, wait_s):
    observed = aged(with_storage(TWO_GI, before=ONE_GI), **ages)
    live = observed.stateful_set
    assert plan.recreation_wait_s(live, observed) == wait_s
    expected = [plan.DelayRecreation] if wait_s else [plan.RecreateOrphaning]
    assert planned(observed, TWO_GI)[0] is expected[0]


def test_a_recreation_without_a_clock_or_times_is_not_delayed():
    observed = with_storage(TWO_GI, before=ONE_GI)
    assert plan.recreation_wait_s(observed.stateful_set, observed) == 0
    assert plan.recreation_wait_s(observed.stateful_set, replace(observed, now=NOW)) == 0


def test_the_rest_of_the_spec_is_applied_while_a_recreation_waits():
    observed = aged(with_storage(TWO_GI, before=ONE_GI), stateful_set_s=60, config_map_s=3600)
    delayed, written = plan.actions(rendered(TWO_GI), observed)
    assert isinstance(delayed, plan.DelayRecreation)
    templates = observed.stateful_set["spec"]["volumeClaimTemplates"]
    assert written.manifest["spec"]["volumeClaimTemplates"] == templates
    children = {**observed.children, plan.child_id(written.manifest): {
        **observed.stateful_set, **written.manifest,
        "metadata": {**observed.stateful_set["metadata"], **written.manifest["metadata"]},
    }}  # fmt: skip
    assert planned(replace(observed, children=children), TWO_GI) == [plan.DelayRecreation]


def test_nothing_is_applied_while_the_recreation_with_other_volumes_waits():
    observed = aged(with_storage(ONE_GI), stateful_set_s=60, config_map_s=3600)
    without = rendered(None)
    assert [type(item) for item in plan.actions(without, observed)] == [plan.DelayRecreation]


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.5Gi", "1536Mi"), ("1500m", "1.5"), ("0.0005", "1m"), ("1000000k", "1G")],
)
def test_another_text_of_the_same_size_requires_no_recreation(one, other):
    assert planned(with_storage({"size": one}, before={"size": other}), {"size": one}) in (
        [],
        [plan.Apply],
    )


def test_a_delayed_recreation_is_reported_and_the_agents_stay_available():
    observed = replace(with_storage(ONE_GI), recreation_delay="later")
    found = progressing(observed)
    assert (found.status, found.reason) == ("True", "RecreationDelayed")
    found = progressing(replace(observed, not_stored="a webhook changes it"))
    assert (found.status, found.reason) == ("False", "NotStored")


# Volumes by default

NEW = {key: item for key, item in a_spec(replicas=2).items() if key != "storage"}
CLAIMS, NO_CLAIMS = "claims", "no claims"


def a_live_stateful_set(kind):
    """Return the StatefulSet that this version renders with volumes, or the one of earlier versions without them."""
    storage = {} if kind is CLAIMS else {"ephemeral": True}
    (found,) = (item for item in rendered(storage) if item["kind"] == "StatefulSet")
    return found


def gathered(storage, *, live=None, recreated=None, old_pods=False):
    """Return the observed state of an agent whose spec has this storage, or none."""
    spec = {**NEW, **({} if storage is None else {"storage": storage})}
    resource = an_agent_manifest(spec=spec)
    cache = ObjectCache()
    if live is not None:
        stateful_set = deepcopy(a_live_stateful_set(live))
        owner = stateful_set["metadata"]["ownerReferences"][0]
        owner["uid"] = resource["metadata"]["uid"]
        cache.put(stateful_set | {"metadata": {**stateful_set["metadata"], "uid": "sts-uid"}})
    if old_pods:
        found = a_pod()
        found["spec"]["volumes"] = [{"name": "state", "emptyDir": {}}]
        cache.put(found)
    remembered = Remembered(recreated=None if recreated is None else a_live_stateful_set(recreated))
    surroundings = Surroundings(nodes=NodeInventory(clock=lambda: 0.0))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return gather(resource, cache, surroundings, now=now, remembered=remembered)


@pytest.mark.parametrize(
    ("storage", "live", "has_volumes", "reason"),
    [
        # A new agent has volumes unless its spec opts out.
        (None, {}, True, "Ready"),
        ({}, {}, True, "Ready"),
        ({"ephemeral": False}, {}, True, "Ready"),
        ({"ephemeral": True}, {}, False, "Ephemeral"),
        # A running agent keeps what it has.
        (None, {"live": NO_CLAIMS}, False, "Ephemeral"),
        (None, {"live": CLAIMS}, True, "Ready"),
        ({"ephemeral": True}, {"live": NO_CLAIMS}, False, "Ephemeral"),
        ({"ephemeral": True}, {"live": CLAIMS}, True, "VolumesKept"),
        # Volumes are added on request.
        ({}, {"live": NO_CLAIMS}, True, "Ready"),
        ({"size": "2Gi"}, {"live": NO_CLAIMS}, True, "Ready"),
        # While the StatefulSet is recreated, or after its pods were orphaned.
        (None, {"recreated": NO_CLAIMS}, False, "Ephemeral"),
        (None, {"recreated": CLAIMS}, True, "Ready"),
        ({"ephemeral": True}, {"recreated": CLAIMS}, True, "VolumesKept"),
        (None, {"old_pods": True}, False, "Ephemeral"),
        ({}, {"old_pods": True}, True, "Ready"),
    ],
    ids=str,
)
def test_volumes_are_the_default_of_new_agents_and_running_agents_keep_what_they_have(
    storage, live, has_volumes, reason
):
    observed = gathered(storage, **live)
    manifests = children(observed.agent, Defaults(image="agent:1"), NO_CONNECTION)
    (stateful_set,) = (item for item in manifests if item["kind"] == "StatefulSet")
    assert bool(stateful_set["spec"].get("volumeClaimTemplates")) == has_volumes
    volumes = {item["name"] for item in stateful_set["spec"]["template"]["spec"]["volumes"]}
    assert ("state" in volumes) != has_volumes
    assert storage_ready(observed).reason == reason


def test_an_agent_of_an_earlier_version_needs_no_write():
    observed = gathered(None, live=NO_CLAIMS)
    (live,) = (item for key, item in observed.children.items() if key[0] == "StatefulSet")
    manifests = children(observed.agent, Defaults(image="agent:1"), NO_CONNECTION)
    (wanted,) = (item for item in manifests if item["kind"] == "StatefulSet")
    assert not requires_recreate(wanted, live)
    assert wanted["spec"] == live["spec"]
    # The message is that of earlier versions, because each change of a message is a write.
    assert storage_ready(observed).message == (
        "the journal of an agent is lost when its pod leaves the node, because spec.storage is not set; "
        "set spec.storage to keep the journal"
    )


def test_a_user_who_confirms_the_ephemeral_journal_changes_no_pod():
    before, after = (
        gathered(storage, live=NO_CLAIMS).agent for storage in (None, {"ephemeral": True})
    )
    one, other = (
        children(item, Defaults(image="agent:1"), NO_CONNECTION) for item in (before, after)
    )
    assert one == other


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def waiting_for_volumes(*claims, pods=("momentum-0", "momentum-1"), after_s=0.0, message=""):
    return replace(
        with_storage(FAST, claims=claims),
        pods=[
            pod(a_pod(name, ready=False, node="" if message else "node-1", message=message))
            for name in pods
        ],
        now=NOON + timedelta(seconds=after_s),
    )


def pending(number, **changes):
    values = {"phase": "Pending", "created": "2026-01-01T12:00:00Z", **changes}
    return a_claim(f"state-momentum-{number}", **values)


BOUND = a_claim(capacity="1Gi", volume="pvc-1", phase="Bound")


@pytest.mark.parametrize(
    ("observed", "reason", "check_s"),
    [
        (waiting_for_volumes(BOUND), "Ready", None),
        (waiting_for_volumes(pending(0), pending(1)), "Provisioning", 60.0),
        (waiting_for_volumes(BOUND, pending(1), after_s=20), "Provisioning", 40.0),
        (waiting_for_volumes(BOUND, pending(1), after_s=60), "VolumePending", None),
        (waiting_for_volumes(pending(0), pending(1), after_s=600), "VolumePending", None),
        # Claims of identities that are gone, or that end, may wait without a limit.
        (waiting_for_volumes(BOUND, pending(7), after_s=600), "Ready", None),
        (waiting_for_volumes(pending(0), pods=(), after_s=600), "Ready", None),
        # A claim without a status was created by a client a moment ago.
        (waiting_for_volumes(a_claim(phase="")), "Ready", None),
        (waiting_for_volumes(pending(0, created=None), after_s=600), "Provisioning", None),
        (waiting_for_volumes(a_claim(volume="pvc-1", phase="Lost")), "VolumeLost", None),
        (waiting_for_volumes(pending(1), a_claim(phase="Lost"), pods=()), "VolumeLost", None),
        (replace(waiting_for_volumes(pending(0)), now=None), "Provisioning", None),
    ],
)
def test_claims_without_a_volume_are_not_ready(observed, reason, check_s):
    found = storage_ready(observed)
    assert (found.status, found.reason) == ("True" if reason == "Ready" else "False", reason)
    assert next_check_s(observed) == check_s


def test_the_message_names_the_claims_their_class_and_the_command():
    found = storage_ready(waiting_for_volumes(pending(0), pending(1), after_s=90))
    assert found.message == (
        "state-momentum-0, state-momentum-1 (storage class fast) have no volume, so their pods cannot start. To show "
        "the cause: kubectl describe pvc state-momentum-0"
    )
    scheduling = waiting_for_volumes(pending(0), after_s=90, message="0/3 nodes are available")
    assert "see the condition WorkloadAvailable" in storage_ready(scheduling).message


def test_a_pod_that_waits_for_its_volume_refers_to_the_condition():
    waiting = a_pod(ready=False)
    del waiting["spec"]["nodeName"]
    text = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims"
    waiting["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": text}]
    assert pod_problem(pod(waiting), None)[1].endswith(
        "see the condition StorageReady, and check spec.storage"
    )

"""Failed writes: the writes that they prevent, and the message that reports them."""

from copy import deepcopy

import pytest

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.storage import claim
from purpleflea_operator.controllers.agent.decisions.write_failures import (
    MAX_NAMED,
    TEXT_LIMIT,
    WriteFailure,
    depends_on,
    not_stored,
    reported,
)
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.observed_states import agent_value

ACCOUNT = {"serviceAccount": {}}
KINDS = ["ConfigMap", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget", "StatefulSet"]


def manifests(**spec):
    agent = agent_value(**{"replicas": 2, "pod": ACCOUNT, **spec})
    found = children(agent, Defaults(image="agent:1"), NO_CONNECTION)
    return {item["kind"]: item for item in found}


def live(**spec):
    return {plan.child_id(item): deepcopy(item) for item in manifests(**spec).values()}


def applied(kind, **spec):
    return plan.Apply(manifest=manifests(**spec)[kind])


@pytest.mark.parametrize("failed", KINDS[1:])
@pytest.mark.parametrize("kind", KINDS)
def test_no_child_depends_on_another_one_except_on_the_config_map(failed, kind):
    for action in (plan.Create, plan.Apply):
        wanted = action(manifest=manifests()[kind])
        assert not depends_on(wanted, [plan.Create(manifest=manifests()[failed])], {})


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_workload_depends_on_a_config_map_that_cannot_be_created(kind):
    failed = [plan.Create(manifest=manifests()["ConfigMap"])]
    assert depends_on(plan.Create(manifest=manifests()[kind]), failed, {}) is (
        kind == "StatefulSet"
    )


@pytest.mark.parametrize(
    ("spec", "is_blocked"),
    [
        ({}, False),
        ({"trading": {"mode": "Halted"}}, True),
        ({"trading": {"mode": "Halted"}, "replicas": 0}, False),
    ],
    ids=["the live mode is the desired one", "the live mode is another one", "no pods"],
)
def test_pods_do_not_start_with_another_mode_than_the_desired_one(spec, is_blocked):
    failed = [applied("ConfigMap", **spec)]
    assert depends_on(applied("StatefulSet", **spec), failed, live()) is is_blocked
    if "replicas" not in spec:
        recreation = plan.RecreateOrphaning(
            manifest=live()["StatefulSet", "momentum"], wanted=manifests()["StatefulSet"]
        )
        assert depends_on(recreation, failed, live()) is is_blocked


def a_recreation():
    wanted = manifests()["StatefulSet"]
    return plan.RecreateOrphaning(manifest=wanted, wanted=wanted)


@pytest.mark.parametrize(
    "action",
    [
        plan.Create(manifest=manifests()["StatefulSet"]),
        plan.Apply(manifest=manifests()["StatefulSet"]),
        a_recreation(),
    ],
)
def test_a_service_account_stays_until_the_workload_is_written(action):
    failed = [action]
    for kind in KINDS[1:]:
        deletion = plan.Delete(manifest=manifests()[kind])
        assert depends_on(deletion, failed, live()) is (kind == "ServiceAccount")
    assert not depends_on(plan.Delete(manifest=manifests()["ServiceAccount"]), [], live())


def test_a_failed_deletion_prevents_nothing():
    failed = [plan.Delete(manifest=manifests()["NetworkPolicy"])]
    assert not depends_on(applied("StatefulSet"), failed, live())
    assert not depends_on(plan.Delete(manifest=manifests()["ServiceAccount"]), failed, live())


def test_expansions_and_deletions_of_pods_depend_on_nothing():
    failed = [plan.Create(manifest=item) for item in manifests().values()]
    expansion = plan.ExpandVolume(claim=claim({"metadata": {"name": "a", "uid": "u"}}), size="2Gi")
    assert not depends_on(expansion, failed, {})


def a_failure(target="StatefulSet momentum", text="exceeded quota", **fields):
    return WriteFailure(target=target, text=text, **fields)


def test_no_failure_is_reported_as_an_empty_message():
    assert reported([]) == ("", Reason.APPLY_FAILED)


def test_a_rejected_write_is_named_with_its_object():
    text, reason = reported([a_failure()])
    assert text == (
        "the API server rejects StatefulSet momentum: exceeded quota; "
        "fix the cause, and the operator retries"
    )
    assert reason is Reason.APPLY_FAILED


def test_a_transient_error_is_reported_when_it_persists():
    assert reported([a_failure(transient_passes=timings.REPORT_AFTER_FAILURES - 1)])[0] == ""
    text, _ = reported([a_failure(transient_passes=timings.REPORT_AFTER_FAILURES)])
    assert text == (
        "writes to the API server keep failing: StatefulSet momentum: exceeded quota; "
        "the operator retries"
    )


def test_all_failures_are_named_and_the_name_of_another_owner_gives_the_reason():
    text, reason = reported(
        [
            a_failure("ConfigMap a", "denied"),
            a_failure("ServiceAccount a", "it is taken", reason=Reason.NAME_TAKEN),
            a_failure("NetworkPolicy a", "forbidden"),
            a_failure("StatefulSet a", "away", transient_passes=9),
        ]
    )
    assert reason is Reason.NAME_TAKEN
    assert text == (
        "it is taken; "
        "the API server rejects ConfigMap a: denied; NetworkPolicy a: forbidden; "
        "fix the cause, and the operator retries; "
        "writes to the API server keep failing: StatefulSet a: away; the operator retries"
    )


def test_a_child_that_is_not_stored_as_written_is_no_failure():
    item = a_failure(text="a webhook changes it", reason=Reason.NOT_STORED)
    assert reported([item])[0] == ""
    assert not_stored([item, a_failure()]) == "a webhook changes it"
    assert not_stored([a_failure()]) == ""


def test_the_message_is_bounded():
    failures = [a_failure(f"Pod {number}", "x" * 5000) for number in range(100)]
    text, _ = reported(failures)
    assert "and 96 more" in text
    assert len(text) < (MAX_NAMED + 1) * (TEXT_LIMIT + 50)

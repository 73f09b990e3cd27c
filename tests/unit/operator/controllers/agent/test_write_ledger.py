"""The memory of writes: what is repeated, when, and the message about a write that does not last."""

from copy import deepcopy
from dataclasses import replace

import pytest

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.write_failures import WriteFailure
from purpleflea_operator.controllers.agent.decisions.write_ledger import FREE_WRITES, WriteLedger
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.observed_states import agent_value

TARGET = "StatefulSet momentum"
FAILURE = WriteFailure(target=TARGET, text="forbidden")


def manifest(**spec):
    return children(agent_value(**spec), Defaults(image="agent:1"), NO_CONNECTION)[-1]


def stored(change=None, **spec):
    """Return the StatefulSet as stored, after a webhook."""
    found = deepcopy(manifest(**spec))
    found["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": []}
    found["status"] = {"replicas": 1}
    if change is not None:
        change(found)
    return found


def with_image(image="mirror/agent:1"):
    def change(found):
        found["spec"]["template"]["spec"]["containers"][0]["image"] = image

    return change


def written(ledger, *changes, at=0.0, **spec):
    for change in changes:
        ledger.record_stored(manifest(**spec), stored(change, **spec), at)


def test_the_first_writes_are_free():
    ledger = WriteLedger()
    for _ in range(FREE_WRITES):
        assert ledger.contested(manifest(), stored(with_image()), 0.0) is None
        written(ledger, with_image())
    assert ledger.contested(manifest(), stored(with_image()), 0.0) is not None


def test_a_write_with_the_same_result_is_not_repeated():
    ledger = WriteLedger()
    written(ledger, *[with_image()] * FREE_WRITES)
    found = ledger.contested(manifest(), stored(with_image()), 1e9)
    assert found.reason is Reason.NOT_STORED
    assert (
        'spec.template.spec.containers[agent].image should be "agent:1" and is "mirror/agent:1"'
        in found.text
    )
    assert "kubectl annotate statefulset momentum --namespace trading" in found.text
    assert ledger.retry_after_s((), {TARGET}, 0.0) is None


@pytest.mark.parametrize(
    "news",
    [
        {"live": stored(with_image("mirror/agent:2"))},
        {"live": stored(lambda found: found["metadata"]["annotations"].update(retry="1"))},
        {"wanted": manifest(replicas=2)},
    ],
    ids=["another value", "an annotation", "another manifest"],
)
def test_news_lets_the_operator_write_again(news):
    ledger = WriteLedger()
    written(ledger, *[with_image()] * FREE_WRITES)
    wanted, live = news.get("wanted", manifest()), news.get("live", stored(with_image()))
    assert ledger.contested(wanted, live, timings.CONTESTED_RETRY_S) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["status"].update(replicas=0),
        lambda found: found["metadata"].update(resourceVersion="8", generation=9, uid="v"),
    ],
    ids=["the status", "system fields"],
)
def test_changes_of_the_system_are_no_news(change):
    ledger = WriteLedger()
    written(ledger, *[with_image()] * FREE_WRITES)
    live = stored(with_image())
    change(live)
    assert ledger.contested(manifest(), live, timings.CONTESTED_RETRY_S) is not None


def test_a_value_that_changes_with_each_write_is_written_with_backoff():
    ledger, moment, writes = WriteLedger(), 0.0, 0
    delays = []
    while writes < 10:
        live = stored(with_image(f"agent:x{writes}"))
        if ledger.contested(manifest(), live, moment) is None:
            written(ledger, with_image(f"agent:x{writes + 1}"), at=moment)
            writes += 1
        else:
            delay_s = ledger.retry_after_s((), {TARGET}, moment)
            delays.append(delay_s)
            moment += delay_s
    assert delays == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_a_write_that_is_not_stored_as_written_is_repeated_without_an_event():
    ledger = WriteLedger()
    written(ledger, with_image())
    assert ledger.retry_after_s((), {TARGET}, 0.0) == timings.UNSETTLED_RETRY_S
    assert ledger.retry_after_s((), (), 0.0) is None


def test_repairs_that_last_for_ten_minutes_are_free_again():
    ledger = WriteLedger()
    written(ledger, None, None, None)
    live = stored(with_image())
    assert ledger.contested(manifest(), live, timings.CONTESTED_RETRY_S - 1) is not None
    assert ledger.contested(manifest(), live, timings.WRITE_MEMORY_S) is None
    assert ledger.contested(manifest(), live, timings.WRITE_MEMORY_S) is None


def test_a_write_that_is_stored_is_settled():
    assert WriteLedger().record_stored(manifest(), stored(), 0.0)


def test_an_additional_rule_of_a_network_policy_is_named():
    ledger = WriteLedger()
    policy = next(
        item
        for item in children(agent_value(), Defaults(image="agent:1"), NO_CONNECTION)
        if item["kind"] == "NetworkPolicy"
    )
    open_policy = deepcopy(policy)
    open_policy["spec"]["egress"].append({})
    for _ in range(FREE_WRITES):
        assert not ledger.record_stored(policy, open_policy, 0.0)
    assert "spec.egress should be" in ledger.contested(policy, open_policy, 0.0).text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda found: found["spec"].pop("replicas"), "spec.replicas should be 1 and is missing"),
        (lambda found: found["spec"].update(replicas=2**70), f"and is {2**70}"),
        (lambda found: found["spec"].update(replicas="x" * 500), "xxx..."),
        (lambda found: _env(found).update(value="hidden"), "has another value"),
    ],
    ids=["missing", "beyond 64 bits", "long", "a variable"],
)
def test_values_in_the_message_are_bounded_and_variables_are_hidden(change, text):
    ledger, live = WriteLedger(), stored(change)
    for _ in range(FREE_WRITES):
        try:
            ledger.record_stored(manifest(), live, 0.0)
        except TypeError:
            pytest.fail("a value cannot be compared")
    found = ledger.contested(manifest(), live, 0.0).text
    assert text in found
    assert "hidden" not in found
    assert len(found) < 1000


def _env(found):
    container = found["spec"]["template"]["spec"]["containers"][0]
    return next(item for item in container["env"] if "value" in item)


def test_an_object_that_is_as_desired_by_now_is_described_without_a_field():
    ledger = WriteLedger()
    written(ledger, None, None, None)
    assert "changed again and again" in ledger.contested(manifest(), stored(), 0.0).text


def test_a_rejected_write_is_repeated_with_backoff():
    ledger, moment, delays = WriteLedger(), 0.0, []
    for _ in range(9):
        assert ledger.rejected(TARGET, "wanted", moment) is None
        ledger.record_rejected(TARGET, "wanted", FAILURE, moment)
        assert ledger.rejected(TARGET, "wanted", moment) is FAILURE
        delays.append(ledger.retry_after_s([FAILURE], (), moment))
        moment += delays[-1]
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_another_write_of_the_same_object_is_not_held_back():
    ledger = WriteLedger()
    ledger.record_rejected(TARGET, "wanted", FAILURE, 0.0)
    assert ledger.rejected(TARGET, "something else", 0.0) is None
    assert ledger.rejected("StatefulSet other", "wanted", 0.0) is None
    ledger.record_rejected(TARGET, "something else", FAILURE, 0.0)
    assert ledger.retry_after_s([FAILURE], (), 0.0) == 1.0


def test_a_rejection_ends_when_its_write_succeeds_or_is_not_planned_any_more():
    ledger = WriteLedger()
    ledger.record_rejected(TARGET, "wanted", FAILURE, 0.0)
    ledger.keep_rejections({TARGET, "other"})
    assert ledger.rejected(TARGET, "wanted", 0.0) is FAILURE
    ledger.keep_rejections(set())
    assert ledger.rejected(TARGET, "wanted", 0.0) is None


def test_an_older_result_does_not_make_a_rejected_write_due_at_once():
    ledger = WriteLedger()
    written(ledger, None)
    ledger.record_rejected(TARGET, "delete", FAILURE, 60.0)
    assert ledger.retry_after_s([FAILURE], (), 60.5) == 0.5


def test_an_older_rejection_does_not_make_a_write_that_is_not_stored_due_at_once():
    ledger = WriteLedger()
    ledger.record_rejected(TARGET, "older", FAILURE, 0.0)
    written(ledger, *[with_image()] * (FREE_WRITES - 1), None, at=60.0)
    contested = ledger.contested(manifest(), stored(with_image()), 60.0)
    assert ledger.retry_after_s([contested], (), 60.0) == timings.CONTESTED_RETRY_S


def test_a_rejection_that_is_not_remembered_is_retried_after_the_longest_delay():
    failures = [FAILURE, replace(FAILURE, transient_passes=1)]
    assert WriteLedger().retry_after_s(failures, (), 7.0) == timings.REJECTED_RETRY_LIMIT_S
    assert WriteLedger().retry_after_s(failures[1:], (), 7.0) is None

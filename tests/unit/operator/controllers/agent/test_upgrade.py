"""The decision when an agent gets a pod template that the operator has changed."""

import pytest

from purpleflea_operator.controllers.agent.decisions import upgrade
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import progressing
from purpleflea_operator.controllers.agent.decisions.observed_state import UpgradeWait
from purpleflea_operator.controllers.agent.decisions.plan import is_as_desired
from purpleflea_operator.controllers.agent.decisions.upgrade import Step
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.manifests import template_record
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_pod
from support.observed_states import agent_value, observed_state

OLD, NEW = Defaults(image="agent:1"), Defaults(image="agent:2")
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
STATUS = {
    "observedGeneration": 1,
    "replicas": 3,
    "readyReplicas": 3,
    "updatedReplicas": 3,
    "availableReplicas": 3,
}
REQUEST = "purpleflea.com/upgrade"
CAUSE = "purpleflea.com/rollout-cause"


def rendered(defaults=NEW, connection=NO_CONNECTION, **spec):
    return children(agent_value(replicas=3, **spec), defaults, connection)[-1]


def a_live(defaults=OLD, *, annotations=None, status=None, **spec):
    found = rendered(defaults, **spec)
    metadata = {
        **found["metadata"],
        "generation": 1,
        "annotations": {**found["metadata"]["annotations"], **(annotations or {})},
    }
    return {**found, "metadata": metadata, "status": status or STATUS}


def without_record(live):
    """Return a StatefulSet as a version of the operator without this feature has written it."""
    annotations = {
        key: value
        for key, value in live["metadata"]["annotations"].items()
        if key not in template_record.KEYS
    }
    template = live["spec"]["template"]
    labels_only = {**template, "metadata": {"labels": template["metadata"]["labels"]}}
    return {
        **live,
        "metadata": {**live["metadata"], "annotations": annotations},
        "spec": {**live["spec"], "template": labels_only},
    }


def observed(live, *, spec=None, **changes):
    changes = {
        "pods": [a_pod(f"momentum-{number}") for number in range(3)],
        "reported_generation": 1,
        "reported_progress": "Complete",
        "current_connection": NO_CONNECTION,
        **changes,
    }
    return observed_state(spec=spec, stateful_set=live, **changes)


STOPPED = {"trading": {"mode": "Stopped"}}
EDITED = {"markets": ["ETH-USD"]}


@pytest.mark.parametrize(
    ("state", "desired", "step"),
    [
        pytest.param(observed(a_live()), rendered(OLD), Step.APPLY, id="unchanged"),
        pytest.param(observed(a_live()), rendered(), Step.UPGRADE, id="another default image"),
        pytest.param(observed(None), rendered(), Step.APPLY, id="a new agent"),
        pytest.param(
            observed(a_live(), spec=EDITED, reported_generation=0),
            rendered(**EDITED),
            Step.APPLY,
            id="changed by a user meanwhile",
        ),
        pytest.param(
            observed(a_live(), reported_generation=0),
            rendered(),
            Step.UPGRADE,
            id="halted by a user meanwhile",
        ),
        pytest.param(
            observed(a_live(), spec=EDITED, reported_progress="ApplyFailed"),
            rendered(**EDITED),
            Step.APPLY,
            id="changed by a user, and the first write failed",
        ),
        pytest.param(
            observed(a_live(), spec=EDITED),
            rendered(**EDITED),
            Step.UPGRADE,
            id="another meaning of the same spec",
        ),
        pytest.param(
            observed(without_record(a_live())), rendered(), Step.UPGRADE, id="without a record"
        ),
        pytest.param(
            observed(without_record(a_live()), reported_generation=0),
            rendered(),
            Step.APPLY,
            id="without a record, changed by a user",
        ),
        pytest.param(observed(a_live(), pods=()), rendered(), Step.APPLY, id="without pods"),
        pytest.param(observed(a_live(), spec=STOPPED), rendered(), Step.KEEP, id="pods that drain"),
        pytest.param(
            observed(None, recreated=a_live()), rendered(), Step.KEEP, id="being recreated"
        ),
        pytest.param(
            observed(a_live(), current_connection=HOST_IP),
            rendered(),
            Step.APPLY,
            id="together with another connection",
        ),
        pytest.param(
            observed(a_live(), agent=None), rendered(), Step.APPLY, id="with an invalid spec"
        ),
    ],
)
def test_only_a_template_that_the_operator_has_changed_waits(state, desired, step):
    assert upgrade.decide(state, desired, NO_CONNECTION, "Paced").step is step


@pytest.mark.parametrize(
    ("asked", "used", "step"),
    [
        ("", "", Step.KEEP),
        ("1", "", Step.UPGRADE),
        ("1", "1", Step.KEEP),
        ("2", "1", Step.UPGRADE),
        ("", "1", Step.KEEP),
    ],
    ids=["none", "the first", "used up", "another one", "removed"],
)
def test_with_the_policy_manual_each_upgrade_needs_a_new_request(asked, used, step):
    live = a_live(annotations={REQUEST: used} if used else None)
    state = observed(live, upgrade_request=asked)
    decision = upgrade.decide(state, rendered(), NO_CONNECTION, "Manual")
    assert decision.step is step
    assert decision.wait is (UpgradeWait.TURN if step is Step.UPGRADE else UpgradeWait.REQUEST)
    annotations = upgrade.upgraded(state, rendered())["metadata"]["annotations"]
    assert annotations.get(REQUEST, "") == asked


def test_an_agent_that_waits_needs_no_write():
    live = a_live(annotations={CAUSE: "OperatorUpgrade"})
    assert is_as_desired(upgrade.kept(observed(live), rendered()), live)
    # As stored by the API server, with the deprecated copy of the name of the ServiceAccount.
    template = live["spec"]["template"]
    stored = {**template, "spec": {**template["spec"], "serviceAccount": "default"}}
    live = {**live, "spec": {**live["spec"], "template": stored}}
    manifest = upgrade.kept(observed(live), rendered())
    assert is_as_desired(manifest, live)
    assert "serviceAccount" not in manifest["spec"]["template"]["spec"]


def test_an_agent_that_waits_needs_no_write_if_its_statefulset_has_no_partition():
    live = without_record(a_live())
    live = {**live, "spec": {**live["spec"], "updateStrategy": {"type": "RollingUpdate"}}}
    assert is_as_desired(upgrade.kept(observed(live), rendered()), live)


@pytest.mark.parametrize("partition", [0, 2])
def test_an_agent_that_waits_is_scaled_and_its_rollout_paused_and_continued(partition):
    live = a_live()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2 - partition}}
    live = {**live, "spec": {**live["spec"], "updateStrategy": strategy}}
    desired = rendered()
    wanted = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    desired = {**desired, "spec": {**desired["spec"], "replicas": 5, "updateStrategy": wanted}}
    manifest = upgrade.kept(observed(live), desired)
    assert manifest["spec"]["replicas"] == 5
    assert manifest["spec"]["updateStrategy"] == wanted
    assert manifest["spec"]["template"] == live["spec"]["template"]
    assert manifest["metadata"]["labels"]["tags.datadoghq.com/version"] == "1"
    assert not is_as_desired(manifest, live)


def test_without_a_live_statefulset_there_is_nothing_to_keep():
    assert upgrade.kept(observed(None), rendered()) == rendered()


def test_the_cause_is_recorded_only_for_an_agent_that_was_ready():
    def cause(status):
        manifest = upgrade.upgraded(observed(a_live(status=status)), rendered())
        return manifest["metadata"]["annotations"].get(CAUSE)

    assert cause(STATUS) == "OperatorUpgrade"
    assert cause({**STATUS, "readyReplicas": 2}) is None


def test_the_record_stays_until_the_template_changes():
    annotations = {CAUSE: "OperatorUpgrade", REQUEST: "1", template_record.KEYS[0]: "other"}
    live = a_live(annotations=annotations)
    same = upgrade.applied(observed(live), rendered(OLD))
    assert template_record.recorded(same) == annotations
    changed = upgrade.applied(observed(live), rendered(**EDITED))
    assert template_record.recorded(changed).keys() == {template_record.KEYS[0]}
    assert template_record.recorded(changed) != annotations
    created = upgrade.applied(observed(None), rendered())
    assert created == rendered()


def test_an_upgrade_has_started_when_the_operator_has_changed_the_template():
    before = a_live()
    after = a_live(NEW, annotations={CAUSE: "OperatorUpgrade"})
    assert upgrade.has_started(before, after)
    assert not upgrade.has_started(before, a_live(NEW))
    assert not upgrade.has_started(after, after)
    assert not upgrade.has_started(None, after)
    assert not upgrade.has_started(before, None)


@pytest.mark.parametrize(
    ("state", "reason", "text"),
    [
        (observed(a_live()), "Complete", "all agents run the current spec"),
        (observed(a_live(), upgrade=UpgradeWait.TURN), "OperatorUpgrade", "their turn"),
        (
            observed(a_live(), upgrade=UpgradeWait.REQUEST),
            "OperatorUpgrade",
            "kubectl annotate pfa momentum",
        ),
        (
            observed(
                a_live(
                    annotations={CAUSE: "OperatorUpgrade"}, status={**STATUS, "readyReplicas": 2}
                )
            ),
            "OperatorUpgrade",
            "agents are being replaced",
        ),
        (
            observed(
                a_live(
                    annotations={CAUSE: "OperatorUpgrade"}, status={**STATUS, "readyReplicas": 2}
                ),
                pods=[a_pod("momentum-2", ready=False, waiting="ImagePullBackOff")],
            ),
            "ImagePullFailed",
            "the upgrade of the other agents of env",
        ),
    ],
    ids=["complete", "waits for its turn", "waits for a request", "restarts", "fails"],
)
def test_progressing_announces_an_upgrade(state, reason, text):
    finding = progressing(state)
    assert finding.reason == reason
    assert text in finding.message


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"replicas": 5}, True),
        ({"trading": {"mode": "Halted"}}, True),
        ({"network": {"policy": "None"}}, True),
        ({"datadog": {"budgetPolicy": "Enforce", "customMetricsBudget": 9}}, True),
        ({"trading": {"interval": "15s"}, "risk": {"maxDrawdownPct": 20}}, True),
        ({"trading": {"interval": "16s"}}, False),
        ({"image": {"repository": "agent", "tag": "9"}}, False),
        ({"pod": {"serviceAccount": {}}}, False),
        ({"storage": {"size": "1Gi"}}, False),
    ],
)
def test_the_hash_of_the_spec_has_the_fields_that_restart_the_agents(change, is_same):
    def hashed(**spec):
        return template_record.spec_hash(agent_value(**spec))

    assert (hashed(**change) == hashed()) == is_same


def test_a_change_inside_a_group_keeps_the_group_in_the_hash():
    def hashed(**spec):
        return template_record.spec_hash(agent_value(**spec))

    assert hashed(pod={"serviceAccount": {}}) == hashed(
        pod={"serviceAccount": {"annotations": {"team": "desk"}}}
    )
    assert hashed(storage={"size": "1Gi"}) == hashed(storage={"size": "2Gi"})

"""Ten broken things: `why` names cause and cure of each from the status that the operator writes."""

from datetime import UTC, datetime

import pytest

from kubectl_purpleflea.decisions.reasons import REASONS
from kubectl_purpleflea.decisions.story import Evidence, story
from kubectl_purpleflea.views.story import story_lines
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.codegen import plugin_reasons
from purpleflea_operator.controllers.agent.decisions.conditions.summary import findings
from purpleflea_operator.controllers.agent.decisions.status import next_status
from support.builders import a_datadog_daemon_set, a_pod, an_agent
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET = 'MountVolume.SetUp failed for volume "api-key" : secret "purpleflea-api-key" not found'
QUOTA = 'pods "momentum-0" is forbidden: exceeded quota: small, requested: cpu=2, used: cpu=1'
SECURITY = 'pods "momentum-0" is forbidden: violates PodSecurity "restricted:latest": privileged (container "web")'


def observed(*pods, ready=0, **overrides):
    defaults = {"daemon_sets": [a_datadog_daemon_set(host_ports=True)], "now": NOW}
    return observed_state(
        stateful_set=a_stateful_set(ready=ready),
        pods=pods or [a_pod(f"momentum-{number}") for number in range(3)],
        **{**defaults, **overrides},
    )


def an_observed_agent(state, **spec):
    """Return the agent with the status that the operator writes for an observed state."""
    status = next_status({}, state, findings(state), name="momentum", now=NOW)
    return {**an_agent(replicas=3, **spec), "status": status}


def unready(**changes):
    return a_pod("momentum-2", ready=False, **changes)


def a_node(name="node-1", *, ready="Unknown"):
    condition = {
        "type": "Ready",
        "status": ready,
        "lastTransitionTime": "2026-01-01T11:00:00Z",
        "message": "Kubelet stopped posting node status.",
    }
    return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


HEALTHY = observed(ready=3)
ASKED = {
    "not_ready": {"uid-momentum-2": "the exchange refuses the API key of spec.api.keySecretRef"}
}
CASES = {
    "no Datadog": (
        observed(ready=3, daemon_sets=[]),
        Evidence(),
        "NodeAgentMissing",
        "helm install datadog-agent",
    ),
    "wrong port": (
        observed(
            ready=3,
            daemon_sets=[a_datadog_daemon_set()],
            spec={"datadog": {"connection": "HostIP"}},
        ),
        Evidence(),
        "NoConnection",
        "useHostPort=true",
    ),
    "tainted node": (
        observed(
            unready(node="", message="0/1 nodes: 1 node(s) had untolerated taint {a: b}"),
            ready=2,
        ),
        Evidence(),
        "Unschedulable",
        "spec.pod.tolerations",
    ),
    "missing Secret": (
        observed(
            unready(waiting="ContainerCreating"), ready=2, pod_events=[f"momentum-2: {SECRET}"]
        ),
        Evidence(),
        "SecretNotFound",
        "kubectl create secret generic purpleflea-api-key --namespace=trading --from-literal=api-key=VALUE",
    ),
    "wrong image": (
        observed(
            unready(waiting="ImagePullBackOff", message='Back-off pulling image "r/x:1"'), ready=2
        ),
        Evidence(),
        "ImagePullFailed",
        "Correct spec.image (kubectl edit pfa momentum",
    ),
    "quota": (
        observed(a_pod("momentum-1"), ready=1, pod_creation_error=QUOTA),
        Evidence(),
        "PodsRefused",
        "kubectl describe quota --namespace=trading",
    ),
    "denied by Pod Security": (
        observed(a_pod("momentum-1"), ready=1, pod_creation_error=SECURITY),
        Evidence(),
        "PodsRefused",
        "pod-security.kubernetes.io/enforce=LEVEL",
    ),
    "missing rights": (
        observed(
            ready=3,
            failure="StatefulSet momentum cannot be applied: forbidden: cannot patch resource statefulsets",
            failure_reason=Reason.APPLY_FAILED,
        ),
        Evidence(),
        "ApplyFailed",
        "helm upgrade purpleflea-operator",
    ),
    "revoked key": (
        observed(unready(), ready=2, **ASKED),
        Evidence(
            logs={
                "momentum-2": '{"level":"ERROR","message":"exchange refused the key","status":401}'
            }
        ),
        "NotReady",
        "kubectl create secret generic purpleflea-api-key --namespace=trading --from-literal=api-key=NEW_KEY",
    ),
    "node down": (
        HEALTHY,
        Evidence(pods=[a_pod("momentum-0")], nodes=[a_node(), a_node("other")]),
        "node node-1 is not ready since 2026-01-01T11:00:00Z",
        "kubectl delete node node-1",
    ),
    "operator down": (
        HEALTHY,
        Evidence(is_operator_down=True),
        "the operator does not run",
        "kubectl purpleflea doctor",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_story_of_a_broken_agent_names_cause_and_cure(name):
    state, evidence, cause, cure = CASES[name]
    found = story(an_observed_agent(state), evidence)
    assert not found.is_healthy
    lines = [line.plain for line in story_lines(found)]
    assert any(cause in line for line in lines), lines
    # The cure of the first cause is the first remedy, and remedies are the last section.
    first = lines.index("what to do:")
    assert cure in lines[first + 1], lines[first:]
    assert len(lines) - first - 1 == len(found.remedies)


def test_a_healthy_agent_has_a_story_without_remedies():
    connected = observed(ready=3, telemetry_delivery={})
    found = story(
        an_observed_agent(connected),
        Evidence(pods=[a_pod("momentum-0")], nodes=[a_node(ready="True")]),
    )
    assert [item.severity for item in found.problems if item.severity == "Warning"] == []
    assert (found.is_healthy, found.pods, found.remedies) == (True, (), ())


def test_an_agent_without_a_status_points_to_the_operator():
    found = story(an_agent(), Evidence())
    assert not found.is_healthy
    assert "kubectl purpleflea doctor" in found.remedies[0]


def test_events_are_the_newest_warnings_and_logs_the_last_errors():
    events = [
        {
            "type": kind,
            "reason": reason,
            "message": "a\n b",
            "lastTimestamp": f"2026-01-01T10:00:0{second}Z",
            "involvedObject": {"kind": "Pod", "name": "momentum-0"},
            "count": 3,
        }
        for second, (kind, reason) in enumerate(
            [("Normal", "Pulled"), ("Warning", "BackOff"), ("Warning", "BackOff")]
        )
    ]
    logs = {
        "momentum-0": '{"level":"INFO","message":"ok"}\nTraceback error: x\n'
        '{"level":"error","message":"m","error":"e"}\n[]'
    }
    agent = an_observed_agent(CASES["wrong image"][0])
    found = story(agent, Evidence(events=events, logs=logs))
    assert found.events == ("2026-01-01T10:00:02Z Pod momentum-0: BackOff: a b (3 times)",)
    assert found.logs == ("momentum-0: Traceback error: x", "momentum-0: m: e")


def test_the_reasons_of_the_plugin_are_those_of_the_operator(repository):
    file = repository / "cli/src/kubectl_purpleflea/decisions/reasons.py"
    assert file.read_text(encoding="utf-8") == plugin_reasons.module()
    assert REASONS["WorkloadAvailable", "CrashLooping"][0] == "Warning"


def test_a_reason_of_another_version_is_a_problem():
    agent = an_observed_agent(HEALTHY)
    conditions_ = [{"type": "Ready", "status": "False", "reason": "Novel", "message": "x; do y"}]
    agent["status"] = {**agent["status"], "conditions": conditions_}
    found = story(agent, Evidence())
    assert [item.reason for item in found.problems] == ["Novel"]

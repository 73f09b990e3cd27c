from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.codegen.crd import INITIAL_CONDITION
from purpleflea_operator.controllers.agent.decisions import status
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    pod,
    stuck_pod,
)
from purpleflea_operator.controllers.agent.decisions.transitions import transitions
from support.builders import CREATED, a_datadog_daemon_set, a_pod, a_spec
from support.observed_states import a_stateful_set, agent_value, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def with_workload(stateful_set=None, *, daemon_set=None, **changes):
    daemon_sets = [daemon_set] if daemon_set else []
    return observed_state(stateful_set=stateful_set, daemon_sets=daemon_sets, **changes)


def outcome(observed):
    return {item.type: (item.status, item.reason) for item in summary.findings(observed)}


def message(observed, kind):
    return next(item.message for item in summary.findings(observed) if item.type == kind)


def test_a_healthy_agent_has_no_problem_in_any_condition():
    observed = with_workload(a_stateful_set(), daemon_set=a_datadog_daemon_set(host_ports=True))
    assert outcome(observed) == {
        "Ready": ("True", "Ready"),
        "SpecValid": ("True", "Valid"),
        "WorkloadAvailable": ("True", "AllReady"),
        "DatadogInstalled": ("True", "Found"),
        "TelemetryReady": ("True", "Connected"),
        "TradingActive": ("True", "Active"),
        "Progressing": ("True", "Complete"),
        "DuplicateIdentity": ("False", "Unique"),
        "StorageReady": ("False", "Ephemeral"),
    }


def test_an_invalid_spec_names_the_field_and_the_remedy():
    observed = with_workload(a_stateful_set(), agent=None, invalid="spec.markets: too short")
    assert outcome(observed)["SpecValid"] == ("False", "Invalid")
    assert outcome(observed)["Ready"] == ("False", "Invalid")
    assert "spec.markets: too short" in message(observed, "SpecValid")
    assert "keeps running" in message(observed, "SpecValid")


def test_a_missing_node_agent_does_not_stop_the_agents_and_its_remedy_is_shown():
    observed = with_workload(a_stateful_set())
    assert outcome(observed)["Ready"] == ("True", "Ready")
    assert outcome(observed)["DatadogInstalled"] == ("False", "NotFound")
    assert outcome(observed)["TelemetryReady"] == ("False", "NodeAgentMissing")
    assert "helm install datadog-agent datadog/datadog" in message(observed, "DatadogInstalled")


@pytest.mark.parametrize(
    ("daemon_set", "spec", "expected"),
    [
        ({"apm": False, "host_ports": True}, {}, ("False", "ApmOff")),
        ({"logs": "false", "host_ports": True}, {}, ("False", "LogsOff")),
        ({"logs": None, "host_ports": True}, {}, ("False", "LogsOff")),
        ({}, {"datadog": {"connection": "HostIP"}}, ("False", "NoConnection")),
        ({}, {"datadog": {"connection": "Disabled"}}, ("False", "Disabled")),
    ],
)
def test_telemetry_is_ready_only_with_a_connection_for_every_signal(daemon_set, spec, expected):
    observed = with_workload(
        a_stateful_set(),
        daemon_set=a_datadog_daemon_set(**daemon_set),
        spec=a_spec(replicas=3, **spec),
    )
    assert outcome(observed)["TelemetryReady"] == expected


@pytest.mark.parametrize(
    ("daemon_set", "datadog", "named"),
    [
        ({"apm": False}, {"apm": {"enabled": False}}, "metrics, logs"),
        ({"logs": "false"}, {"logs": {"enabled": False}}, "metrics, traces"),
    ],
)
def test_a_signal_that_agents_do_not_send_is_not_required(daemon_set, datadog, named):
    observed = with_workload(
        a_stateful_set(),
        daemon_set=a_datadog_daemon_set(host_ports=True, **daemon_set),
        spec=a_spec(replicas=3, datadog=datadog),
    )
    assert outcome(observed)["TelemetryReady"] == ("True", "Connected")
    assert message(observed, "TelemetryReady").endswith(f": {named}")


def test_a_disabled_signal_is_reported_with_the_command_that_enables_it():
    observed = with_workload(a_stateful_set(), daemon_set=a_datadog_daemon_set(logs="false"))
    assert "helm upgrade datadog-agent" in message(observed, "TelemetryReady")
    assert "datadog.logs.enabled=true" in message(observed, "TelemetryReady")


def test_telemetry_waits_for_agents_that_are_not_ready():
    observed = with_workload(
        a_stateful_set(ready=1), daemon_set=a_datadog_daemon_set(host_ports=True)
    )
    assert outcome(observed)["TelemetryReady"] == ("Unknown", "WaitingForAgents")


@pytest.mark.parametrize(
    ("stateful_set", "expected"),
    [
        (None, "Progressing"),
        (a_stateful_set(ready=2), "Progressing"),
        (a_stateful_set(updated=2), "Progressing"),
        (a_stateful_set(generation=2), "Progressing"),
        (a_stateful_set(replicas=0, ready=0, updated=0), "ScaledToZero"),
    ],
)
def test_the_workload_is_available_only_when_all_run_the_current_spec(stateful_set, expected):
    assert outcome(with_workload(stateful_set))["WorkloadAvailable"][1] == expected


@pytest.mark.parametrize(
    ("waiting", "reason", "remedy"),
    [
        ("ImagePullBackOff", "ImagePullFailed", "spec.image"),
        ("ErrImageNeverPull", "ImagePullFailed", "spec.image"),
        ("CrashLoopBackOff", "CrashLooping", "logs --previous"),
        ("CreateContainerConfigError", "ConfigurationMissing", "message names"),
    ],
)
def test_a_pod_that_does_not_start_has_a_reason_and_a_remedy(waiting, reason, remedy):
    broken = a_pod("momentum-2", ready=False, waiting=waiting, message="no such thing")
    observed = with_workload(a_stateful_set(ready=2), pods=[a_pod("momentum-0"), broken])
    assert outcome(observed)["WorkloadAvailable"] == ("False", reason)
    text = message(observed, "WorkloadAvailable")
    assert "2/3 agents are ready" in text
    assert "momentum-2" in text
    assert remedy in text


def a_crashing_pod(*, state=None, restarts=2, exit_code=137, at="2026-01-01T11:55:00Z"):
    found = a_pod("momentum-2", ready=False, restarts=restarts)
    (container,) = found["status"]["containerStatuses"]
    last = {"exitCode": exit_code, "reason": "OOMKilled", "finishedAt": at}
    container |= {"state": state or {"running": {}}, "lastState": {"terminated": last}}
    return found


def test_a_terminated_run_without_a_reason_is_read():
    found = a_crashing_pod()
    del found["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"]
    assert pod(found).last_exit == "Error (exit code 137)"


BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s of momentum_uid-1"}}


def test_a_crash_looping_pod_has_the_same_message_in_every_state():
    texts = set()
    for state in ({"running": {}}, BACK_OFF, {"terminated": {"exitCode": 0}}):
        observed = with_workload(
            a_stateful_set(ready=2), pods=[a_crashing_pod(state=state)], now=NOW
        )
        assert outcome(observed)["WorkloadAvailable"] == ("False", "CrashLooping")
        texts.add(message(observed, "WorkloadAvailable"))
    (text,) = texts
    assert "its last run ended with OOMKilled (exit code 137)" in text
    assert "back-off" not in text


@pytest.mark.parametrize(
    "pod",
    [a_crashing_pod(restarts=1), a_crashing_pod(at="2026-01-01T11:40:00Z")],
    ids=["once", "long ago"],
)
def test_a_pod_that_crashed_once_or_long_ago_is_starting(pod):
    observed = with_workload(a_stateful_set(ready=2), pods=[pod], now=NOW)
    assert outcome(observed)["WorkloadAvailable"] == ("False", "Progressing")


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [("ImagePullBackOff", "ImagePullFailed"), ("CrashLoopBackOff", "CrashLooping")],
)
def test_a_sidecar_that_does_not_start_is_reported_instead_of_the_waiting_agent(waiting, reason):
    found = a_pod(ready=False, waiting="PodInitializing")
    found["status"]["initContainerStatuses"] = [
        {"name": "proxy", "state": {"waiting": {"reason": waiting}}}
    ]
    observed = with_workload(a_stateful_set(ready=2), pods=[found])
    assert outcome(observed)["WorkloadAvailable"] == ("False", reason)


def test_pods_that_cannot_be_created_are_explained_by_the_api_server():
    observed = with_workload(
        a_stateful_set(ready=0), pod_creation_error='serviceaccount "x" not found', now=NOW
    )
    assert outcome(observed)["WorkloadAvailable"] == ("False", "PodsRefused")
    assert outcome(observed)["Progressing"] == ("False", "PodsRefused")
    assert 'serviceaccount "x" not found' in message(observed, "WorkloadAvailable")


def test_an_unschedulable_pod_is_reported_with_its_reason():
    pending = a_pod(ready=False, node="", message="0/1 nodes are available")
    observed = with_workload(a_stateful_set(ready=0), pods=[pending])
    assert outcome(observed)["WorkloadAvailable"] == ("False", "Unschedulable")
    assert "0/1 nodes are available" in message(observed, "WorkloadAvailable")


def test_a_pod_that_waits_for_the_scheduler_is_not_a_problem_yet():
    observed = with_workload(a_stateful_set(ready=0), pods=[a_pod(ready=False, node="")])
    assert outcome(observed)["WorkloadAvailable"] == ("False", "Progressing")


def test_telemetry_waits_for_a_missing_stateful_set():
    observed = with_workload(daemon_set=a_datadog_daemon_set(host_ports=True))
    assert outcome(observed)["TelemetryReady"] == ("Unknown", "WaitingForAgents")


def test_a_missing_secret_is_named_from_the_events_of_the_pod():
    text = 'MountVolume.SetUp failed for volume "api-key" : secret "pf" not found'
    hanging = a_pod(ready=False, waiting="ContainerCreating")
    observed = with_workload(a_stateful_set(ready=0), pods=[hanging], pod_events=(text,))
    assert outcome(observed)["WorkloadAvailable"] == ("False", "SecretNotFound")
    assert 'secret "pf" not found' in message(observed, "WorkloadAvailable")
    assert "spec.api.keySecretRef" in message(observed, "WorkloadAvailable")


def test_another_volume_that_cannot_be_mounted_is_reported_verbatim():
    observed = with_workload(
        a_stateful_set(ready=0), pods=[a_pod(ready=False)], pod_events=("no disk",)
    )
    assert outcome(observed)["WorkloadAvailable"] == ("False", "VolumeNotMounted")


def test_a_rejected_write_is_reported():
    observed = with_workload(failure="exceeded quota", failure_reason="ApplyFailed")
    assert outcome(observed)["WorkloadAvailable"] == ("False", "ApplyFailed")
    assert message(observed, "Ready") == "exceeded quota"


def test_only_a_pod_that_is_stuck_for_some_time_is_diagnosed():
    created = datetime.fromisoformat(CREATED)
    hanging = [pod(a_pod(ready=False, waiting="ContainerCreating"))]
    assert stuck_pod(hanging, created + timedelta(seconds=4), after_s=5) is None
    assert stuck_pod(hanging, created + timedelta(seconds=6), after_s=5).name == "momentum-0"
    assert stuck_pod([pod(a_pod())], NOW, after_s=5) is None


def test_a_pod_with_a_running_sidecar_has_its_volumes_and_is_not_diagnosed():
    waiting = a_pod(ready=False, waiting="PodInitializing")
    late = datetime.fromisoformat(CREATED) + timedelta(hours=1)
    assert stuck_pod([pod(waiting)], late, after_s=5) is not None
    waiting["status"]["initContainerStatuses"] = [{"name": "hold", "state": {"running": {}}}]
    assert stuck_pod([pod(waiting)], late, after_s=5) is None


def next_of(observed, current=None, now=NOW):
    return status.next_status(
        current or {}, observed, summary.findings(observed), name="momentum", now=now
    )


def test_a_transition_time_is_kept_while_the_status_is_the_same():
    first = next_of(with_workload(a_stateful_set(ready=1)))
    later = next_of(with_workload(a_stateful_set(ready=2)), first, NOW + timedelta(hours=1))
    assert {item["lastTransitionTime"] for item in later["conditions"]} == {"2026-01-01T12:00:00Z"}


def test_a_transition_changes_only_its_own_time():
    first = next_of(with_workload(a_stateful_set(ready=1)))
    later = next_of(with_workload(a_stateful_set()), first, NOW + timedelta(hours=1))
    times = {item["type"]: item["lastTransitionTime"] for item in later["conditions"]}
    assert times["Ready"] == times["WorkloadAvailable"] == "2026-01-01T13:00:00Z"
    assert times["SpecValid"] == times["DatadogInstalled"] == "2026-01-01T12:00:00Z"


def test_the_status_has_the_connection_to_the_node_agent():
    found = next_of(
        with_workload(a_stateful_set(), daemon_set=a_datadog_daemon_set(host_ports=True))
    )
    assert found["datadog"] == {
        "installer": "Helm",
        "release": "datadog-agent",
        "namespace": "datadog",
        "chartVersion": "3.240.0",
        "agentVersion": "7.81.1",
        "connection": "HostIP",
        "dogstatsd": "HostIP:8125",
        "apm": "HostIP:8126",
        "logs": "On",
        "nodes": {"needed": 0, "covered": 0, "missing": []},
    }
    assert found["selector"] == (
        "app.kubernetes.io/name=purpleflea-agent,app.kubernetes.io/instance=momentum"
    )


def test_the_same_status_is_never_written_again():
    found = next_of(with_workload(a_stateful_set()))
    assert status.write_after_s(found, dict(found), since_write_s=0) is None


def test_a_transition_is_written_at_once():
    old, new = (
        next_of(with_workload(a_stateful_set(ready=2))),
        next_of(with_workload(a_stateful_set())),
    )
    assert status.write_after_s(old, new, since_write_s=0) == 0.0


@pytest.mark.parametrize(("since", "after"), [(0.0, 15.0), (3.0, 12.0), (19.0, 0.0)])
def test_changes_of_counts_alone_are_written_at_intervals(since, after):
    old = next_of(with_workload(a_stateful_set(ready=1)))
    new = next_of(with_workload(a_stateful_set(ready=2)), old)
    assert status.write_after_s(old, new, since_write_s=since) == after


def after_a_change(stateful_set, *, before=None, pods=(), **changes):
    """The status that stood before a change of the spec, and the one wanted after it."""
    old = next_of(before or with_workload(a_stateful_set()))
    return old, next_of(with_workload(stateful_set, pods=pods, generation=2, **changes), old)


ROLLING = a_stateful_set(ready=2, updated=1)
CRASHING = a_pod(ready=False, waiting="CrashLoopBackOff")


def test_a_rollout_in_progress_is_not_reported_at_once():
    assert status.is_only_progress(*after_a_change(ROLLING))


def test_telemetry_that_waits_for_a_rollout_is_not_reported_at_once():
    connected = {"daemon_set": a_datadog_daemon_set(host_ports=True)}
    before = with_workload(a_stateful_set(), **connected)
    assert outcome(before)["TelemetryReady"] == ("True", "Connected")
    assert status.is_only_progress(*after_a_change(ROLLING, before=before, **connected))


PENDING = {"conditions": [INITIAL_CONDITION]}


@pytest.mark.parametrize("current", [{}, PENDING])
def test_a_start_without_a_problem_is_not_reported_at_once(current):
    starting = with_workload(ROLLING, daemon_set=a_datadog_daemon_set(host_ports=True))
    assert status.is_only_start(current, next_of(starting, current))


def test_a_new_pod_that_the_scheduler_rejects_is_not_reported_at_once():
    message = '0/1 nodes are available: persistentvolumeclaim "state-momentum-0" not found'
    rejected = [a_pod(ready=False, node="", message=message)]
    node_agent = a_datadog_daemon_set(host_ports=True)
    starting = with_workload(ROLLING, pods=rejected, daemon_set=node_agent)
    wanted = next_of(starting, PENDING)
    assert "Unschedulable" in {item["reason"] for item in wanted["conditions"]}
    assert status.is_only_start(PENDING, wanted)
    assert not status.is_only_start({"observedGeneration": 1}, wanted)


REJECTED = a_pod("momentum-1", ready=False, node="", message="persistentvolumeclaim not found")


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        pytest.param({"pods": [a_pod(), REJECTED]}, True, id="a pod is added"),
        pytest.param({"pods": [CRASHING, REJECTED]}, False, id="another pod crashes"),
        pytest.param({"pods": [a_pod(), a_pod("momentum-1", ready=False)]}, False, id="it starts"),
        pytest.param(
            {
                "pods": [a_pod(), REJECTED],
                "agent": agent_value(trading={"mode": "Halted"}),
            },
            False,
            id="the mode changes",
        ),
        pytest.param({"pods": [a_pod(), REJECTED], "daemon_set": None}, False, id="no node agent"),
    ],
)
def test_a_rejected_pod_beside_running_ones_is_not_reported_at_once(changes, waits):
    node_agent = {"daemon_set": a_datadog_daemon_set(host_ports=True)}
    current = next_of(with_workload(a_stateful_set(), pods=[a_pod()], **node_agent))
    later = with_workload(ROLLING, **{**node_agent, **changes})
    wanted = next_of(later, current)
    assert status.is_only_start(current, wanted) is waits
    assert not status.is_only_start(wanted, next_of(later, wanted))


@pytest.mark.parametrize(
    ("current", "changes"),
    [
        pytest.param({}, {"stateful_set": a_stateful_set()}, id="ready"),
        pytest.param({}, {"pods": [CRASHING]}, id="a pod crashes"),
        pytest.param({}, {"invalid": "spec.x: no", "agent": None}, id="invalid"),
        pytest.param({}, {"daemon_set": None}, id="no node agent"),
        pytest.param({"observedGeneration": 1}, {}, id="reported before"),
    ],
)
def test_any_other_first_status_is_reported_at_once(current, changes):
    starting = {
        "stateful_set": ROLLING,
        "daemon_set": a_datadog_daemon_set(host_ports=True),
        **changes,
    }
    wanted = next_of(with_workload(starting.pop("stateful_set"), **starting))
    assert not status.is_only_start(current, wanted)


@pytest.mark.parametrize(
    "statuses",
    [
        pytest.param(({}, next_of(with_workload(ROLLING))), id="a new agent"),
        pytest.param(after_a_change(a_stateful_set()), id="the change is done"),
        pytest.param(
            (next_of(with_workload(a_stateful_set())), next_of(with_workload(ROLLING))),
            id="pods fail without a change",
        ),
        pytest.param(after_a_change(ROLLING, invalid="spec.x: no", agent=None), id="invalid"),
        pytest.param(
            after_a_change(ROLLING, pods=[CRASHING]),
            id="its first pod crashes",
        ),
        pytest.param(
            after_a_change(ROLLING, before=with_workload(ROLLING, pods=[CRASHING])),
            id="the change may be the cure",
        ),
    ],
)
def test_any_other_change_is_reported_at_once(statuses):
    assert not status.is_only_progress(*statuses)


def test_a_recovery_is_reported_even_after_quiet_reasons():
    bad = next_of(with_workload(a_stateful_set(ready=2), pods=[CRASHING]))
    better = next_of(with_workload(a_stateful_set(ready=2)), bad)
    good = next_of(with_workload(a_stateful_set()), better)
    assert transitions(bad, better) == ()
    assert transitions(better, good) == ()
    (events,) = transitions(better, good, troubled={"WorkloadAvailable"})
    assert (events.type, events.reason) == ("Normal", "WorkloadAvailableAllReady")


def reasons(old, new):
    return [(item.type, item.reason) for item in transitions(old, new)]


def test_a_healthy_start_causes_no_event():
    healthy = a_datadog_daemon_set(host_ports=True)
    first = next_of(with_workload(a_stateful_set(ready=0), daemon_set=healthy))
    second = next_of(with_workload(a_stateful_set(), daemon_set=healthy), first)
    assert reasons({}, first) == []
    assert reasons(first, second) == []


def test_a_missing_node_agent_causes_a_warning_and_its_arrival_a_normal_event():
    without = next_of(with_workload(a_stateful_set()))
    there = next_of(with_workload(a_stateful_set(), daemon_set=a_datadog_daemon_set()), without)
    assert reasons({}, without) == [
        ("Warning", "DatadogInstalledNotFound"),
        ("Warning", "TelemetryReadyNodeAgentMissing"),
    ]
    assert reasons(without, there) == [
        ("Normal", "DatadogInstalledFound"),
        ("Normal", "TelemetryReadyConnected"),
    ]

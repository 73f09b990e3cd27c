"""The customizations for Argo CD: health of every status that the operator writes, actions, and the ConfigMap."""

from datetime import UTC, datetime

import pytest
import yaml

from purpleflea_operator.api.halt import HaltSpec
from purpleflea_operator.codegen.crd import INITIAL_CONDITION
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    TradingObservation,
    UpgradeWait,
)
from support import argocd
from support import reported_statuses as statuses
from support.builders import a_pod
from support.observed_states import a_stateful_set, observed_state

DELETED = "2026-01-01T12:00:00Z"


@pytest.fixture(scope="session")
def folder(repository):
    return repository / "examples" / "gitops" / "argocd"


@pytest.fixture(scope="session")
def run(folder):
    """Return a function that runs a script of a kind."""

    def result(resource, script="health"):
        kinds = folder / "resource_customizations" / "purpleflea.com"
        return argocd.run((kinds / resource["kind"] / f"{script}.lua").read_text(), resource)

    return result


def expectations(**groups):
    return {
        tuple(case.split("/")): health for health, cases in groups.items() for case in cases.split()
    }


POD_PROBLEMS = (
    "ImagePullFailed ConfigurationMissing ContainerNotCreated CrashLooping SecretNotFound PodsRefused NotReady "
    "Unschedulable VolumeNotMounted ApplyFailed NameTaken NodeLost"
)


def each(condition, reasons):
    return " ".join(f"{condition}/{reason}" for reason in reasons.split())


AGENT_HEALTH = expectations(
    Healthy=" ".join(
        (
            "SpecValid/Valid SpecValid/OverrideIgnored SpecValid/FieldsUnsupported",
            "WorkloadAvailable/AllReady WorkloadAvailable/ScaledToZero",
            "Progressing/Complete Progressing/OperatorUpgrade",
            each(
                "DatadogInstalled",
                "Found Explicit NotFound UntrustedNodeAgent NoneForLinux ExtendedDaemonSet NotVisible",
            ),
            each(
                "TelemetryReady",
                "Connected SpecInvalid Disabled NodeAgentMissing MetricsOff PodSecurityForbids NoConnection "
                "NodesUncovered ApmOff TracesUnreachable LogsOff NotInjected TelemetryLost AgentsSilent "
                "NodeAgentNotReady NotVisible WaitingForAgents NotCollected",
            ),
            "TradingActive/Active",
            "DuplicateIdentity/Unique DuplicateIdentity/NotVisible DuplicateIdentity/Allowed",
            "StorageReady/Ready StorageReady/Ephemeral StorageReady/Expanding StorageReady/Provisioning",
            "WithinBudget/WithinBudget WithinBudget/BudgetExceeded",
            "PositionsConsistent/PositionsAgree",
        )
    ),
    # A problem of a pod is Degraded when also Progressing is False, which the operator decides.
    Progressing=" ".join(
        (
            each("WorkloadAvailable", f"Progressing {POD_PROBLEMS}"),
            "Progressing/RollingOut Progressing/RecreationDelayed",
            "TradingActive/Resuming TradingActive/Halting TradingActive/Stopping TradingActive/SpecInvalid",
        )
    ),
    Suspended="TradingActive/Halted TradingActive/Stopped",
    Degraded=" ".join(
        (
            "SpecValid/Invalid WorkloadAvailable/NotWatched TradingActive/StoppedIncomplete",
            each(
                "Progressing", f"HaltsUnread NotStored DeadlineExceeded SpecInvalid {POD_PROBLEMS}"
            ),
            "DuplicateIdentity/NotStarted DuplicateIdentity/AlreadyRunning",
            each(
                "StorageReady",
                "VolumesKept VolumeLost VolumePending NoStorageClass ExpansionRefused CannotShrink ClassDiffers "
                "SpecInvalid",
            ),
            "PositionsConsistent/PositionsDiffer",
        )
    ),
)
HALT_HEALTH = expectations(
    Healthy="Accepted/Accepted Halted/Halted Halted/Expired Draining/Drained Draining/NothingSelected "
    "Draining/Expired",
    Progressing="Halted/Halting Draining/Draining",
    Degraded="Accepted/Invalid Accepted/ScopeLimited Halted/NothingSelected",
)
OBSERVABILITY_HEALTH = expectations(
    Healthy="KeysValid/Valid Synced/InSync Synced/Planned Synced/Edited Degraded/AsExpected",
    Progressing="KeysValid/NotChecked Synced/Progressing Synced/RateLimited",
    Degraded=" ".join(
        (
            each("KeysValid", "Rejected SecretMissing SecretForbidden KeyMissing"),
            each(
                "Synced", "ObjectsFailed Unreachable KeysInvalid SpecInvalid OwnerExists Deleting"
            ),
            each(
                "Degraded", "ObjectsFailed Unreachable KeysInvalid SpecInvalid OwnerExists Deleting"
            ),
        )
    ),
)


@pytest.mark.parametrize("case", statuses.AGENT_CASES, ids="-".join)
def test_each_reason_of_an_agent_has_the_expected_health(run, case):
    assert case in AGENT_HEALTH, "add the reason to the table, and to health.lua if needed"
    found = run(statuses.agent(statuses.agent_status_with(*case)))
    assert found["status"] == AGENT_HEALTH[case]
    is_shown = found["status"] != "Healthy" or case[0] == "TelemetryReady"
    if is_shown and case != ("TelemetryReady", "Connected"):
        assert f"{case[0]} is {case[1]}" in found["message"]


@pytest.mark.parametrize("case", statuses.HALT_CASES, ids="-".join)
def test_each_reason_of_a_halt_has_the_expected_health(run, case):
    found = run(statuses.halt(statuses.halt_status_with(*case)))
    assert found["status"] == HALT_HEALTH[case]
    assert found["message"]


@pytest.mark.parametrize("case", statuses.OBSERVABILITY_CASES, ids="-".join)
def test_each_reason_of_an_observability_resource_has_the_expected_health(run, case):
    found = run(statuses.observability(statuses.observability_status_with(*case)))
    assert found["status"] == OBSERVABILITY_HEALTH[case]
    assert found["message"]


BROKEN = a_pod("momentum-2", ready=False, waiting="ImagePullBackOff")
CRASHING = a_pod("momentum-2", ready=False, waiting="CrashLoopBackOff")
STARTING = a_pod("momentum-2", ready=False, waiting="ContainerCreating")
NO_PODS = TradingObservation(confirmed=[f"momentum-{number}" for number in range(3)])


@pytest.mark.parametrize(
    ("observed", "health"),
    [
        (statuses.healthy(), "Healthy"),
        (observed_state(stateful_set=a_stateful_set()), "Healthy"),
        (observed_state(), "Progressing"),
        (observed_state(stateful_set=a_stateful_set(ready=2), pods=[STARTING]), "Progressing"),
        (observed_state(stateful_set=a_stateful_set(ready=2), pods=[BROKEN]), "Degraded"),
        (observed_state(stateful_set=a_stateful_set(ready=2), pods=[CRASHING]), "Degraded"),
        (observed_state(failure="exceeded quota"), "Degraded"),
        (observed_state(stateful_set=a_stateful_set(), agent=None, invalid="markets"), "Degraded"),
        (observed_state(stateful_set=a_stateful_set(0), spec={"replicas": 0}), "Healthy"),
        (statuses.healthy(spec={"trading": {"mode": "Halted"}}), "Progressing"),
        (statuses.healthy(spec={"trading": {"mode": "Halted"}}, trading=NO_PODS), "Suspended"),
        (
            statuses.healthy(
                spec={"trading": {"mode": "Halted"}}, pods=[a_pod("momentum-0", ready=True)]
            ),
            "Progressing",
        ),
        (statuses.healthy(upgrade=UpgradeWait.TURN), "Healthy"),
        (statuses.healthy(unwatched="403"), "Degraded"),
    ],
)
def test_a_status_that_the_operator_computes_has_the_expected_health(run, observed, health):
    assert run(statuses.agent(statuses.status_of(observed)))["status"] == health


HEALTHY = {
    "PurpleFleaAgent": lambda generation: statuses.agent(
        statuses.agent_status_with("TradingActive", "Active"), generation=generation
    ),
    "PurpleFleaHalt": lambda generation: statuses.halt(
        statuses.halt_status_with("Halted", "Halted"), generation=generation
    ),
    "PurpleFleaObservability": lambda generation: statuses.observability(
        statuses.observability_status_with("Synced", "InSync"), generation=generation
    ),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_an_old_status_counts_as_progress_and_the_current_one_as_healthy(run, kind):
    assert run(HEALTHY[kind](1))["status"] == "Healthy"
    assert run(HEALTHY[kind](2))["status"] == "Progressing"


@pytest.mark.parametrize("build", [statuses.agent, statuses.halt, statuses.observability])
@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"conditions": []},
        {"conditions": [INITIAL_CONDITION]},
        {"observedGeneration": 1},
        {"observedGeneration": 1, "conditions": []},
        {"observedGeneration": 1, "conditions": [{"type": "Other", "status": "True"}]},
    ],
)
def test_a_status_without_the_conditions_counts_as_progress(run, build, status):
    assert run(build(status))["status"] == "Progressing"


def test_a_script_has_only_the_libraries_of_argo_cd():
    script = """return {type(string), type(io), type(os.execute), type(os.time), type(table.insert),
        type(require("os").date), tostring(pcall(function() return ("a"):upper() end))}"""
    assert argocd.run(script, {}) == [
        *("nil", "nil", "nil", "function", "function", "function", "false")
    ]


@pytest.mark.parametrize(("action", "level"), [("halt", "Halt"), ("stop", "Stop")])
def test_halting_creates_a_valid_halt_of_this_agent_and_leaves_the_spec(run, action, level):
    (change,) = run(statuses.agent(), f"actions/{action}/action")
    assert change["operation"] == "create"
    resource = change["resource"]
    assert resource["kind"] == "PurpleFleaHalt"
    assert resource["metadata"] == {"name": f"momentum-argocd-{action}", "namespace": "trading"}
    spec = HaltSpec.model_validate(resource["spec"], extra="forbid")
    assert (spec.level, spec.selector.names) == (level, ("momentum",))


def discovered(run, resource):
    return {
        name
        for name, action in run(resource, "actions/discovery").items()
        if not action["disabled"]
    }


@pytest.mark.parametrize(
    ("halts", "available"),
    [
        ([], {"halt", "stop"}),
        (["trading/incident"], {"halt", "stop"}),
        (["trading/momentum-argocd-halt"], {"stop"}),
        (["trading/momentum-argocd-stop", "trading/momentum-argocd-halt"], set()),
        (["research/momentum-argocd-halt"], {"halt", "stop"}),
    ],
)
def test_an_agent_cannot_be_halted_twice_by_argo_cd(run, halts, available):
    assert discovered(run, statuses.agent({"trading": {"halts": halts}})) == available


def test_actions_of_a_new_or_deleted_agent(run):
    assert discovered(run, statuses.agent()) == {"halt", "stop"}
    deleted = statuses.agent()
    deleted["metadata"]["deletionTimestamp"] = DELETED
    assert discovered(run, deleted) == set()


@pytest.mark.parametrize("annotations", [None, {"team": "fx"}])
def test_the_upgrade_of_an_agent_that_waits_can_be_requested(run, annotations):
    waiting = statuses.agent(statuses.agent_status_with("Progressing", "OperatorUpgrade"))
    if annotations:
        waiting["metadata"]["annotations"] = annotations
    assert "upgrade" in discovered(run, waiting)
    found = run(waiting, "actions/upgrade/action")["metadata"]["annotations"]
    requested = int(found.pop("purpleflea.com/upgrade"))
    assert abs(requested - datetime.now(UTC).timestamp()) < 3600
    assert found == (annotations or {})


def test_a_halt_can_be_released_by_force_only_while_it_drains(run):
    draining = statuses.halt(statuses.halt_status_with("Draining", "Draining"))
    assert discovered(run, draining) == {"force-resume"}
    assert discovered(run, statuses.halt(statuses.halt_status_with("Draining", "Drained"))) == set()
    assert discovered(run, statuses.halt()) == set()
    changed = run(draining, "actions/force-resume/action")
    assert changed["metadata"]["annotations"] == {"purpleflea.com/force-resume": "true"}
    assert changed["spec"] == draining["spec"]


def test_the_config_map_contains_the_scripts_and_every_action_is_discovered(folder, run):
    text = (folder / "argocd-cm.yaml").read_text()
    assert text == argocd.config_map(folder / "resource_customizations"), "run: make gitops"
    for kind, build in (("PurpleFleaAgent", statuses.agent), ("PurpleFleaHalt", statuses.halt)):
        key = f"resource.customizations.actions.purpleflea.com_{kind}"
        actions = yaml.safe_load(yaml.safe_load(text)["data"][key])
        names = {item["name"] for item in actions["definitions"]}
        assert names == set(argocd.run(actions["discovery.lua"], build()))

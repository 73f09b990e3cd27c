"""Flux and other programs that use kstatus: the state of every status that the operator writes, and the expressions."""

import pytest
import yaml
from cel_expr_python import cel

from purpleflea_operator.codegen.crd import INITIAL_CONDITION
from support import kstatus
from support import reported_statuses as statuses


def is_ready(status):
    return any((item["type"], item["status"]) == ("Ready", "True") for item in status["conditions"])


RESOURCES = {
    "PurpleFleaAgent": (statuses.agent, statuses.agent_status_with, statuses.AGENT_CASES),
    "PurpleFleaObservability": (
        statuses.observability,
        statuses.observability_status_with,
        statuses.OBSERVABILITY_CASES,
    ),
}
CASES = [
    pytest.param(kind, case, id="-".join((kind, *case)))
    for kind, (_, _, cases) in RESOURCES.items()
    for case in cases
]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_a_resource_is_current_exactly_if_it_is_ready_and_its_spec_was_observed(kind, case):
    build, status_with, _ = RESOURCES[kind]
    status = status_with(*case)
    expected = "Current" if is_ready(status) else "InProgress"
    assert kstatus.state(build(status)) == expected
    assert kstatus.state(build(status, generation=2)) == "InProgress"


@pytest.mark.parametrize("case", statuses.HALT_CASES, ids="-".join)
def test_a_halt_is_current_when_it_was_observed(case):
    status = statuses.halt_status_with(*case)
    assert kstatus.state(statuses.halt(status)) == "Current"
    assert kstatus.state(statuses.halt(status, generation=2)) == "InProgress"


def test_a_new_agent_is_not_current_before_the_operator_has_observed_it():
    """The CRD has a default for the status, so this also applies if no operator runs."""
    assert kstatus.state(statuses.agent({"conditions": [INITIAL_CONDITION]})) == "InProgress"


@pytest.mark.parametrize(
    ("resource", "state"),
    [
        ({"metadata": {"deletionTimestamp": "2026-01-01T12:00:00Z"}}, "Terminating"),
        ({"metadata": {"generation": 1}}, "Current"),
        (
            {
                "metadata": {"generation": 1},
                "status": {"conditions": [{"type": "Stalled", "status": "True"}]},
            },
            "Failed",
        ),
        (
            {
                "metadata": {"generation": 1},
                "status": {"conditions": [{"type": "Reconciling", "status": "True"}]},
            },
            "InProgress",
        ),
    ],
)
def test_the_rules_of_kstatus_for_other_resources(resource, state):
    assert kstatus.state(resource) == state


@pytest.fixture(scope="session")
def health_of(repository):
    """Return a function that evaluates healthCheckExprs as Flux does: inProgress, failed, and then current."""
    environment = cel.NewEnv(variables=dict.fromkeys(("status", "metadata"), cel.Type.DYN))
    file = repository / "examples" / "gitops" / "flux" / "purpleflea.yaml"
    checks = {
        check["kind"]: {
            name: environment.compile(check[name])
            for name in ("inProgress", "failed", "current")
            if name in check
        }
        for item in yaml.safe_load_all(file.read_text())
        for check in item["spec"].get("healthCheckExprs", ())
    }

    def health(resource):
        data = {"metadata": resource["metadata"], "status": resource.get("status", {})}
        results = {"inProgress": "InProgress", "failed": "Failed", "current": "Current"}
        for name, expression in checks[resource["kind"]].items():
            if expression.eval(data=data).value() is True:
                return results[name]
        return "InProgress"

    return health


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_the_expressions_agree_with_kstatus_and_report_failures_at_once(health_of, kind, case):
    build, status_with, _ = RESOURCES[kind]
    resource = build(status_with(*case))
    found, generic = health_of(resource), kstatus.state(resource)
    if found == "Failed":
        conditions = {item["type"]: item["status"] for item in resource["status"]["conditions"]}
        assert "False" in (conditions.get("SpecValid"), conditions.get("Progressing")) or (
            conditions.get("Degraded") == "True" or conditions.get("KeysValid") == "False"
        )
    else:
        assert found == generic


@pytest.mark.parametrize("kind", RESOURCES)
@pytest.mark.parametrize(
    "status", [None, {}, {"conditions": []}, {"conditions": [INITIAL_CONDITION]}]
)
def test_the_expressions_count_a_new_resource_as_progress(health_of, kind, status):
    assert health_of(RESOURCES[kind][0](status)) == "InProgress"


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        ("PurpleFleaAgent", ("SpecValid", "Invalid")),
        ("PurpleFleaAgent", ("Progressing", "DeadlineExceeded")),
        ("PurpleFleaAgent", ("Progressing", "ImagePullFailed")),
        ("PurpleFleaObservability", ("KeysValid", "Rejected")),
        ("PurpleFleaObservability", ("Degraded", "ObjectsFailed")),
    ],
)
def test_a_problem_that_needs_a_user_fails_at_once(health_of, kind, case):
    build, status_with, _ = RESOURCES[kind]
    assert health_of(build(status_with(*case))) == "Failed"

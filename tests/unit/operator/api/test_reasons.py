"""Reasons of conditions and Events: one list, in which every reason is used and explained."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import purpleflea_operator
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations.agent import AGENT_REASONS, IN_PROGRESS, WITHOUT_EVENTS
from purpleflea_operator.api.explanations.halt import HALT_REASONS
from purpleflea_operator.api.explanations.observability import OBSERVABILITY_REASONS
from purpleflea_operator.api.explanations.operator import OPERATOR_REASONS
from purpleflea_operator.api.reasons import Explanations, Reason, Severity

PACKAGE = Path(purpleflea_operator.__file__).parent
EXPLANATIONS = "api/explanations/"
HOME = "api/reasons.py"
ALL = (
    *AGENT_REASONS.items,
    *HALT_REASONS.items,
    *OBSERVABILITY_REASONS.items,
    *OPERATOR_REASONS.items,
)

OTHER_MEANINGS = {
    "Ready": "condition type of pods, nodes and both resources",
    "Progressing": "condition type",
    "Accepted": "condition type",
    "Halted": "condition type, and a trading mode",
    "Draining": "condition type",
    "DuplicateIdentity": "condition type",
    "WithinBudget": "condition type",
    "Disabled": "value of spec.datadog.connection",
    "Edited": "state of an object in Datadog",
    "InSync": "state of an object in Datadog",
    "Planned": "state of an object in Datadog",
    "NotVisible": "refusal of a connection, which selects the reason",
}
"""Texts that are equal to a reason and mean something else."""
MAY_CONTAIN = {
    "api/agent_status.py": {"Ready", "Progressing", "DuplicateIdentity", "WithinBudget"},
    "api/datadog.py": {"Disabled"},
    "api/observability_status.py": {"Ready", "Edited", "InSync", "Planned"},
    "api/halt.py": {"Accepted", "Halted", "Draining"},
    "codegen/crd.py": {"Ready", "Halted", "Draining"},
    "controllers/agent/decisions/conditions/telemetry.py": {"Disabled"},
    "controllers/agent/decisions/duplicate_identities.py": {"Disabled"},
    "controllers/agent/decisions/metrics_budget.py": {"Disabled"},
    "controllers/agent/decisions/observed_state.py": {"Ready"},
    "controllers/observability/decisions/absences.py": {"Ready"},
    "controllers/observability/decisions/version_rollouts.py": {"Ready"},
    "datadog/detection/connection.py": {"Disabled", "NotVisible"},
    "datadog/detection/coverage.py": {"Ready"},
    "datadog/detection/placement.py": {"Ready"},
    "manifests/collection.py": {"Disabled"},
    "manifests/datadog_env.py": {"Disabled"},
    "manifests/telemetry_gate.py": {"Disabled"},
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name != HOME:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def literals(module: ast.Module) -> set[str]:
    found = (node.value for node in ast.walk(module) if isinstance(node, ast.Constant))
    return {value for value in found if isinstance(value, str)}


def members(module: ast.Module) -> set[str]:
    """Return the names of the members of Reason that a module uses."""
    return {
        node.attr
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Reason"
    }


def test_no_reason_is_written_as_a_literal():
    values = {str(reason) for reason in Reason}
    found = {name: literals(module) & values for name, module in modules()}
    assert {name: texts for name, texts in found.items() if texts} == MAY_CONTAIN
    assert set().union(*MAY_CONTAIN.values()) == OTHER_MEANINGS.keys()


def test_every_reason_is_used():
    used = [members(module) for name, module in modules() if not name.startswith(EXPLANATIONS)]
    assert set(Reason.__members__) - set().union(*used) == set()


def test_every_reason_is_explained_once_per_condition():
    for explanations in (AGENT_REASONS, HALT_REASONS, OBSERVABILITY_REASONS, OPERATOR_REASONS):
        keys = [
            (kind, item.reason) for item in explanations.items for kind in item.statuses or [""]
        ]
        assert [key for key, count in Counter(keys).items() if count > 1] == []
    assert {item.reason for item in ALL} == set(Reason)


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{'-'.join(item.statuses)}-{item.reason}")
def test_a_reason_has_a_meaning_and_a_warning_a_remedy(item):
    assert item.meaning.endswith((".", "`"))
    assert item.remedy or item.severity is not Severity.WARNING


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{'-'.join(item.statuses)}-{item.reason}")
def test_the_remedy_of_a_warning_has_a_command_or_leads_to_one(item):
    if item.severity is Severity.WARNING:
        has_command = re.search(r"`(kubectl|helm) [a-z][^`]+`", item.remedy)
        assert has_command or "](runbooks/" in item.remedy or item.remedy.startswith("See ")


@pytest.mark.parametrize(
    "item", AGENT_REASONS.items, ids=lambda item: f"{'-'.join(item.statuses)}-{item.reason}"
)
def test_only_the_good_status_of_a_condition_of_an_agent_has_the_severity_normal(item):
    for kind, status in item.statuses.items():
        is_good = status == ("False" if kind is ConditionType.DUPLICATE_IDENTITY else "True")
        has_exception = item.reason in (
            Reason.OVERRIDE_IGNORED,
            Reason.ROLLING_OUT,
            Reason.RECREATION_DELAYED,
            Reason.OPERATOR_UPGRADE,
            Reason.FIELDS_UNSUPPORTED,
        )
        assert (item.severity is Severity.NORMAL) == (is_good and not has_exception)


def test_these_states_of_an_agent_post_no_event():
    quiet = {
        (kind, item.reason)
        for item in AGENT_REASONS.items
        for kind in item.statuses
        if not item.severity.posts_events and kind not in WITHOUT_EVENTS
    }
    assert quiet == {
        (ConditionType.WORKLOAD_AVAILABLE, "Progressing"),
        (ConditionType.DATADOG_INSTALLED, "NotVisible"),
        (ConditionType.TELEMETRY_READY, "NotVisible"),
        (ConditionType.TELEMETRY_READY, "WaitingForAgents"),
        (ConditionType.TELEMETRY_READY, "Disabled"),
        (ConditionType.DUPLICATE_IDENTITY, "NotVisible"),
        (ConditionType.STORAGE_READY, "Ephemeral"),
        (ConditionType.STORAGE_READY, "Provisioning"),
        (ConditionType.STORAGE_READY, "Expanding"),
    }
    assert {"Ready", "Progressing"} == WITHOUT_EVENTS
    assert {
        "Progressing",
        "RollingOut",
        "RecreationDelayed",
        "WaitingForAgents",
        "Provisioning",
    } == IN_PROGRESS


def test_only_these_reasons_of_observability_are_temporary():
    in_progress = OBSERVABILITY_REASONS.with_severity(Severity.IN_PROGRESS)
    assert in_progress == {"RateLimited", "Progressing"}


def test_a_reason_of_another_version_of_the_operator_counts_as_a_warning():
    explanations = Explanations(())
    assert explanations.get("Ready", "Obsolete") is None
    assert explanations.severity("Ready", "Obsolete") is Severity.WARNING
    assert AGENT_REASONS.severity("TelemetryReady", "Connected") is Severity.NORMAL


def test_a_remedy_that_upgrades_the_operator_removes_the_image_of_a_rollback():
    """A rollback restores `image.tag` of its revision, and an upgrade without it keeps the old operator."""
    upgrades = [item.remedy for item in ALL if item.remedy.startswith("Upgrade the operator")]

    assert upgrades
    for remedy in upgrades:
        assert "--set image.tag= --set image.digest=" in remedy
        assert "--reset-then-reuse-values" in remedy, "the defaults are those of the new chart"

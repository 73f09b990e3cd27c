"""The statuses that the operator writes for each reason of each condition, for programs that read them.

A status is computed by the code of the operator from a healthy state in which one condition has another reason. So a
new reason, or a change of the summary Ready, appears here without a change of this module.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations.agent import AGENT_REASONS
from purpleflea_operator.api.explanations.halt import HALT_REASONS
from purpleflea_operator.api.explanations.observability import OBSERVABILITY_REASONS
from purpleflea_operator.api.halt import HaltCondition
from purpleflea_operator.api.observability_status import ObjectState, ObservabilityCondition
from purpleflea_operator.api.reasons import Explanations, Reason
from purpleflea_operator.controllers.agent.decisions import status as agent_status
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.decisions.conditions.finding import finding
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.observability.decisions import status as observability_status
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.parsing import MutableManifest
from support.builders import a_datadog_daemon_set
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
Case = tuple[str, str]
"""Condition and reason."""


def cases(explanations: Explanations, *, without: str = "") -> Iterator[Case]:
    """Yield each condition of a resource with each of its reasons."""
    for item in explanations.items:
        for condition in item.statuses:
            if condition != without:
                yield condition, str(item.reason)


AGENT_CASES = tuple(cases(AGENT_REASONS, without=ConditionType.READY))
HALT_CASES = tuple(cases(HALT_REASONS))
OBSERVABILITY_CASES = tuple(cases(OBSERVABILITY_REASONS))


def agent(status: MutableManifest | None = None, *, generation: int = 1) -> MutableManifest:
    """Return an agent resource with a status."""
    return _resource("PurpleFleaAgent", "momentum", status, generation)


def halt(status: MutableManifest | None = None, *, generation: int = 1) -> MutableManifest:
    """Return a halt with a status."""
    return _resource("PurpleFleaHalt", "incident", status, generation)


def observability(status: MutableManifest | None = None, *, generation: int = 1) -> MutableManifest:
    """Return an observability resource with a status."""
    return _resource("PurpleFleaObservability", "fleet", status, generation)


def _resource(
    kind: str, name: str, status: MutableManifest | None, generation: int
) -> MutableManifest:
    resource = {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "trading", "generation": generation},
        "spec": {},
        **({} if status is None else {"status": status}),
    }
    # As a client receives it, without the enumerations of the operator.
    return json.loads(json.dumps(resource))  # type: ignore[no-any-return]


def healthy(**changes: Any) -> ObservedState:
    """Return the state of an agent without a problem, on a node with a node agent."""
    daemon_sets = [a_datadog_daemon_set(host_ports=True)]
    return observed_state(stateful_set=a_stateful_set(), daemon_sets=daemon_sets, **changes)


def status_of(observed: ObservedState) -> MutableManifest:
    """Return the status of an agent in a state."""
    findings = summary.findings(observed)
    return agent_status.next_status({}, observed, findings, name="momentum", now=NOW)


def agent_status_with(condition: str, reason: str) -> MutableManifest:
    """Return the status of a healthy agent in which a condition has another reason."""
    kind = ConditionType(condition)
    changed = finding(kind, Reason(reason), f"{condition} is {reason}")
    checked = {item.type: item for item in summary.findings(healthy())[1:]}
    findings = tuple({**checked, kind: changed}.values())
    all_findings = (summary.summary(findings), *findings)
    return agent_status.next_status({}, healthy(), all_findings, name="momentum", now=NOW)


def halt_status_with(condition: str, reason: str) -> MutableManifest:
    """Return the status of a complete halt in which a condition has another reason."""
    reasons = {
        HaltCondition.ACCEPTED: Reason.ACCEPTED,
        HaltCondition.HALTED: Reason.HALTED,
        HaltCondition.DRAINING: Reason.DRAINED,
        HaltCondition(condition): Reason(reason),
    }
    conditions = [
        {
            "type": str(kind),
            "status": HALT_REASONS.status(kind, found),
            "reason": str(found),
            "message": f"{kind} is {found}",
        }
        for kind, found in reasons.items()
    ]
    return {"observedGeneration": 1, "conditions": conditions}


_STATES = {
    Reason.IN_SYNC: ObjectState.IN_SYNC,
    Reason.AS_EXPECTED: ObjectState.IN_SYNC,
    Reason.PLANNED: ObjectState.PLANNED,
    Reason.EDITED: ObjectState.EDITED,
    Reason.PROGRESSING: ObjectState.CREATING,
    Reason.OBJECTS_FAILED: ObjectState.FAILED,
}
"""States of an object that cause a reason. Other reasons interrupt a pass."""


def observability_status_with(condition: str, reason: str) -> MutableManifest:
    """Return the status after a pass in which a condition has another reason."""
    value = observability_status.ConditionValue(
        status=OBSERVABILITY_REASONS.status(condition, Reason(reason)),
        reason=Reason(reason),
        message=f"{condition} is {reason}",
    )
    is_about_keys = condition == ObservabilityCondition.KEYS_VALID
    object_state = _STATES.get(value.reason)
    state = observability_status.SyncState(
        generation=1,
        wanted=1,
        keys=value if is_about_keys else observability_status.VALID,
        interruption=None if is_about_keys or object_state else value,
    )
    record = ObjectRecord(
        kind=ObjectKind.MONITOR, key="drawdown", state=object_state or ObjectState.IN_SYNC
    )
    return observability_status.next_status({}, ObjectRegistry([record]), state, NOW)

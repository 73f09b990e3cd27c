"""Halts agents and waits for the proof: by the status of the halt, or by the agents if the operator does not answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kubectl_purpleflea.decisions.failures import KubectlError
from kubectl_purpleflea.decisions.halts import HaltState, Outcome, Progress, Proof, halt_state
from kubectl_purpleflea.decisions.objects import at, name_of, namespace_of
from kubectl_purpleflea.decisions.operator_health import is_down
from kubectl_purpleflea.kubectl.agents import Agents
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import HALTS, lease_of, operators
from kubectl_purpleflea.workflows.direct import DirectHalt, DirectState

OPERATOR_ANSWER_S = 5.0
"""Seconds without a status of the halt after which the command writes the control files itself. The operator writes
the first status within a second. The command only tightens modes, so it is safe if the operator runs after all."""
ROUND_S = 2.0
"""Pause between two requests for the acknowledgements of the agents."""

DELETED = "the halt was deleted, so the agents may trade"

Report = Callable[[str], None]
"""Receives a line of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The state to wait for, and the limits."""

    proof: Proof
    timeout_s: float
    operator_namespace: str = ""
    names: tuple[str, ...] = ()
    """Agents that the user named."""


def operator_is_down(kubectl: Kubectl, namespace: str, now: datetime) -> bool | None:
    """Return whether no operator leads; None if this is not known, such as without rights to read Leases.

    Several operators can be bound to different namespaces, so all of them must be down.
    """
    try:
        states = [
            is_down(lease_of(kubectl, item), now) for item in operators(kubectl, namespace) or ()
        ]
    except KubectlError:
        return None
    # An operator can run outside the cluster, without a Deployment.
    return None if not states or None in states else all(states)


def wait_for_proof(
    kubectl: Kubectl, agents: Agents, halt: dict[str, Any], wait: Wait, report: Report
) -> Outcome:
    """Wait until the halt is proven or the time is over, and return the result."""
    deadline = time.monotonic() + wait.timeout_s
    bounded = kubectl.until(deadline)
    if not _is_lost(bounded, wait):
        state = _observe(bounded, halt, wait, deadline, report)
        if state.is_reported:
            return _by_operator(state, wait)
    report(
        "The operator does not answer. This command writes the control files of the agents itself. The operator keeps "
        "them when it runs again, because the PurpleFleaHalt exists."
    )
    direct = DirectHalt(kubectl=kubectl, agents=agents, halt=halt)
    outcome = _directly(direct, wait, deadline, report)
    limit = _limit(kubectl, halt, wait)
    if not limit:
        return outcome
    return replace(outcome, is_proven=False, unproven=(*outcome.unproven, limit))


def _limit(kubectl: Kubectl, halt: dict[str, Any], wait: Wait) -> str:
    """Return why the operator would apply a halt to fewer agents when it runs again; empty if it would not."""
    if at(halt, "spec", "selector", "scope") != "Cluster":
        return ""
    try:
        installed = operators(kubectl, wait.operator_namespace) or []
    except KubectlError:
        installed = []
    namespace = namespace_of(halt)
    if any(item.namespace == namespace and not item.watched for item in installed):
        return ""
    return (
        f"the operator may resume agents outside {namespace} when it runs again, because the scope Cluster applies "
        "only in its own namespace, and only to the namespaces that it watches"
    )


def _observe(
    kubectl: Kubectl, halt: dict[str, Any], wait: Wait, deadline: float, report: Report
) -> HaltState:
    """Return the last state of a halt before the deadline; earlier if waiting longer changes nothing."""
    there, name = kubectl.in_namespace(namespace_of(halt)), name_of(halt)
    answer_by = time.monotonic() + OPERATOR_ANSWER_S
    state, former = HaltState(), ""
    for seen in there.watch(HALTS, name, silence_s=1.0, deadline=deadline):
        current = seen if seen is not None else _read(there, name)
        if current is not None:
            if at(current, "metadata", "uid") != at(halt, "metadata", "uid"):
                return HaltState(is_reported=True, is_final=True, problem=DELETED)
            state = halt_state(current, wait.names)
            line = _counts(state)
            if state.is_reported and line != former:
                report(line)
                former, answer_by = line, time.monotonic() + OPERATOR_ANSWER_S
        if state.is_final or state.proves(wait.proof):
            break
        if time.monotonic() >= answer_by:
            if not state.is_reported or _is_lost(kubectl, wait):
                return HaltState()
            answer_by = time.monotonic() + OPERATOR_ANSWER_S
    return state


def _is_lost(kubectl: Kubectl, wait: Wait) -> bool:
    """Return whether no operator leads any more, so that the status of the halt does not change."""
    return operator_is_down(kubectl, wait.operator_namespace, datetime.now(UTC)) is True


def _counts(state: Progress) -> str:
    return f"{state.acknowledged}/{state.running} acknowledged, {state.drained}/{state.running} drained"


def _read(kubectl: Kubectl, name: str) -> dict[str, Any] | None:
    """Return the halt; an object without a UID if it was deleted, and None if it cannot be read."""
    try:
        return kubectl.find(HALTS, name) or {"metadata": {}}
    except KubectlError:
        return None


def _by_operator(state: HaltState, wait: Wait) -> Outcome:
    is_proven = state.proves(wait.proof)
    missing = () if is_proven else state.open or (state.message,)
    unproven = [item for item in (state.problem, *missing) if item]
    return Outcome(
        is_proven=is_proven,
        by_agents=False,
        **state.counts(),
        unproven=() if is_proven else tuple(dict.fromkeys(unproven)),
    )


def _directly(direct: DirectHalt, wait: Wait, deadline: float, report: Report) -> Outcome:
    """Write and ask until the halt is proven or the time is over. At least one round is made."""
    outcome = Outcome(is_proven=False, by_agents=True)
    former = ""
    while True:
        try:
            state = direct.advance()
            outcome = _by_agents(state, wait)
            line = _counts(state)
        except KubectlError as error:
            line = f"the agents cannot be read: {error}"
            outcome = replace(outcome, is_proven=False, unproven=(line,))
        if line != former:
            report(line)
            former = line
        if outcome.is_proven or time.monotonic() >= deadline:
            return outcome
        time.sleep(min(ROUND_S, max(0.0, deadline - time.monotonic())))


def _by_agents(state: DirectState, wait: Wait) -> Outcome:
    missing = len(set(wait.names)) - state.matched
    unproven = list(state.unproven)
    if wait.proof is Proof.DRAINED:
        unproven += state.open
    if not state.matched:
        unproven.append("no agent matches, so nothing is halted")
    elif wait.names and missing > 0:
        unproven.append(f"{missing} of the named agents do not exist or do not match")
    return Outcome(
        is_proven=not unproven,
        by_agents=True,
        **state.counts(),
        unproven=tuple(unproven),
    )

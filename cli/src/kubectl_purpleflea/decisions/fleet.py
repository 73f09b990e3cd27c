"""Agents and their identities as `status` shows them, problems first. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_purpleflea.decisions.control_files import pods_of
from kubectl_purpleflea.decisions.objects import (
    Manifest,
    at,
    id_of,
    items,
    mapping,
    name_of,
    namespace_of,
    number,
    text,
)
from kubectl_purpleflea.decisions.reasons import REASONS
from purpleflea_contract import kubernetes
from purpleflea_contract.links import reason_url

TROUBLE = ("Warning", "InProgress")
"""Severities that `status` shows. Quiet states are chosen by the user, or cannot be observed."""
_SEQUENCE = (
    "SpecValid",
    "DuplicateIdentity",
    "WorkloadAvailable",
    "TradingActive",
    "PositionsConsistent",
    "Progressing",
    "DatadogInstalled",
    "TelemetryReady",
    "StorageReady",
    "WithinBudget",
    "Ready",
)
"""Conditions from causes to effects. Ready repeats others."""
DEFAULT_DRAWDOWN_PCT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A condition that a user should check."""

    condition: str
    reason: str
    severity: str
    message: str
    remedy: str = ""
    link: str = ""
    """Address of the runbook of the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One pod of an agent."""

    name: str
    state: str
    is_ready: bool
    node: str = ""
    restarts: int = 0
    drawdown: str = ""
    """Drawdown as the agent reports it, in percent; empty if it was not requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """One agent resource."""

    namespace: str
    name: str
    strategy: str
    mode: str
    mode_source: str
    """Who set the mode, and why."""
    acknowledged: str
    """Agents that have acknowledged the mode, as 2/2; empty if none has to."""
    replicas: int
    ready: int
    updated: int
    partition: int
    """Ordinals below this number keep their revision; 0 if no rollout is paused or in its trial."""
    dogstatsd: str
    apm: str
    logs: str
    limits: str
    problems: tuple[Problem, ...] = ()
    identities: tuple[Identity, ...] = ()

    @property
    def severity(self) -> int:
        """Sort key: 0 with a warning, 1 while something is in progress, 2 without a problem."""
        found = {item.severity for item in self.problems}
        return 0 if "Warning" in found else 1 if found else 2


def problems(agent: Manifest) -> tuple[Problem, ...]:
    """Return the problems of an agent, causes before effects."""
    conditions = items(at(agent, "status", "conditions"))
    if not conditions:
        message = "the operator has not reported this agent; see whether it runs: kubectl purpleflea doctor"
        return (
            Problem(
                condition="Ready",
                reason="WaitingForOperator",
                severity="Warning",
                message=message,
                link=reason_url("PurpleFleaAgent", "Ready", "WaitingForOperator"),
            ),
        )
    found = [item for condition in conditions if (item := _problem(condition)) is not None]
    known = sorted(found, key=lambda item: _rank(item.condition))
    # Ready and Progressing repeat the reason of the condition that is their cause.
    shown: list[Problem] = []
    for item in known:
        is_repeated = any(item.reason == other.reason for other in shown)
        if not (item.condition in ("Ready", "Progressing") and is_repeated):
            shown.append(item)
    return tuple(shown)


def _rank(condition: str) -> int:
    return _SEQUENCE.index(condition) if condition in _SEQUENCE else len(_SEQUENCE)


def _problem(condition: Mapping[str, Any]) -> Problem | None:
    kind, reason = text(condition.get("type")), text(condition.get("reason"))
    # Another version of the operator may have more reasons.
    severity, remedy = REASONS.get((kind, reason), ("Warning", ""))
    if severity not in TROUBLE:
        return None
    return Problem(
        condition=kind,
        reason=reason,
        severity=severity,
        message=text(condition.get("message")),
        remedy=remedy,
        # The page of the conditions does not have the reasons of another version.
        link=reason_url("PurpleFleaAgent", kind, reason) if (kind, reason) in REASONS else "",
    )


def fleet(
    agents: Iterable[Manifest],
    stateful_sets: Iterable[Manifest],
    pods: Sequence[Manifest],
    drawdowns: Mapping[str, str] | None = None,
) -> list[AgentState]:
    """Return the agents, those with problems first. `drawdowns` are by <namespace>/<pod>."""
    sets = {id_of(item): item for item in stateful_sets}
    found = [
        _agent(
            item,
            sets.get(id_of(item), {}),
            pods_of(namespace_of(item), name_of(item), pods),
            drawdowns or {},
        )
        for item in agents
    ]
    return sorted(found, key=lambda item: (item.severity, item.namespace, item.name))


def _agent(
    agent: Manifest,
    stateful_set: Manifest,
    pods: Sequence[Manifest],
    drawdowns: Mapping[str, str],
) -> AgentState:
    spec, status = mapping(at(agent, "spec")), mapping(at(agent, "status"))
    trading, datadog = mapping(status.get("trading")), mapping(status.get("datadog"))
    return AgentState(
        namespace=namespace_of(agent),
        name=name_of(agent),
        strategy=text(spec.get("strategy")),
        mode=text(trading.get("mode")) or text(at(spec, "trading", "mode")) or "Active",
        mode_source=_source(trading),
        acknowledged=_acknowledged(trading),
        replicas=number(spec.get("replicas")) if "replicas" in spec else 1,
        ready=number(status.get("readyReplicas")),
        updated=number(status.get("updatedReplicas")),
        partition=number(at(stateful_set, "spec", "updateStrategy", "rollingUpdate", "partition")),
        dogstatsd=text(datadog.get("dogstatsd")) or "-",
        apm=text(datadog.get("apm")) or "-",
        logs=text(datadog.get("logs")) or "-",
        limits=_limits(mapping(spec.get("risk"))),
        problems=problems(agent),
        identities=tuple(_identity(pod, drawdowns.get(id_of(pod), "")) for pod in pods),
    )


def _source(trading: Mapping[str, Any]) -> str:
    if text(trading.get("mode")) in ("", "Active"):
        return ""
    parts = [text(trading.get("changedBy")), text(trading.get("reason"))]
    return ": ".join(part for part in parts if part)


def _acknowledged(trading: Mapping[str, Any]) -> str:
    running = number(trading.get("running"))
    return f"{number(trading.get('acknowledged'))}/{running}" if running else ""


def _limits(risk: Mapping[str, Any]) -> str:
    drawdown = number(risk.get("maxDrawdownPct")) or DEFAULT_DRAWDOWN_PCT
    order = text(risk.get("maxOrderUsd")) or "1000"
    return f"drawdown {drawdown} %, order {order} USD"


def _identity(pod: Manifest, drawdown: str) -> Identity:
    statuses = items(at(pod, "status", "containerStatuses"))
    agent = next((item for item in statuses if item.get("name") == kubernetes.CONTAINER), {})
    return Identity(
        name=name_of(pod),
        state=pod_state(pod),
        is_ready=agent.get("ready") is True or _is_ready(pod),
        node=text(at(pod, "spec", "nodeName")),
        restarts=number(agent.get("restartCount")),
        drawdown=drawdown,
    )


def _is_ready(pod: Manifest) -> bool:
    conditions = items(at(pod, "status", "conditions"))
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def pod_state(pod: Manifest) -> str:
    """Return the state of a pod as `kubectl get pods` shows it: the reason of a container, or the phase."""
    if at(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    groups = ("initContainerStatuses", "containerStatuses")
    for status in [item for group in groups for item in items(at(pod, "status", group))]:
        waiting = text(at(status, "state", "waiting", "reason"))
        if waiting and waiting not in ("ContainerCreating", "PodInitializing"):
            return waiting
    reason = text(at(pod, "status", "reason"))
    if not at(pod, "spec", "nodeName"):
        return "Unschedulable" if pod_message(pod) else "Pending"
    return reason or text(at(pod, "status", "phase")) or "Running"


def pod_message(pod: Manifest) -> str:
    """Return the explanation of the kubelet or of the scheduler for a pod that does not run; empty if there is none."""
    groups = ("initContainerStatuses", "containerStatuses")
    for status in [item for group in groups for item in items(at(pod, "status", group))]:
        message = text(at(status, "state", "waiting", "message"))
        if message:
            return message
    for condition in items(at(pod, "status", "conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return text(condition.get("message"))
    return text(at(pod, "status", "message"))

"""Pure: StatefulSets and pods of a service -> the wanted versions, the completely rolled out ones, and their times.

A version is rolled out if all pods of every agent with this version in its spec run it and are ready. Agents with zero
replicas do not delay a rollout, but their version counts as wanted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from purpleflea_contract import kubernetes
from purpleflea_operator.parsing import Manifest

UNIFIED_LABELS = (kubernetes.DD_LABEL_ENV, kubernetes.DD_LABEL_SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A version that all its agents run. `agents` are namespace/name."""

    version: str
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSpan:
    """Time from the creation of the first new pod until the last pod became ready."""

    started: datetime
    finished: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The versions of one service in one environment."""

    wanted: frozenset[str]
    complete: tuple[Rollout, ...]


def view(stateful_sets: Iterable[Manifest], *, env: str, service: str) -> View:
    """Return the wanted and the complete versions. Case is ignored, because Datadog converts tags to lower case."""
    by_version: dict[str, list[Manifest]] = {}
    for item in stateful_sets:
        labels = item["spec"]["template"]["metadata"].get("labels") or {}
        unified = [str(labels.get(name, "")).lower() for name in UNIFIED_LABELS]
        version = labels.get(kubernetes.DD_LABEL_VERSION)
        if version and unified == [env.lower(), service.lower()]:
            by_version.setdefault(version, []).append(item)
    complete = (
        Rollout(version=version, agents=tuple(sorted(_address(item) for item in running)))
        for version, items in sorted(by_version.items())
        if (running := [item for item in items if _replicas(item)])
        and all(_runs(item) for item in running)
    )
    return View(wanted=frozenset(by_version), complete=tuple(complete))


def span(pods: Iterable[Manifest], *, now: datetime) -> RolloutSpan:
    """Return the time of a rollout from its pods. Times that the pods do not have are `now`."""
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    created = [_moment(pod["metadata"].get("creationTimestamp")) for pod in alive]
    ready = [
        _moment(condition.get("lastTransitionTime"))
        for pod in alive
        for condition in pod.get("status", {}).get("conditions") or ()
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    finished = max((moment for moment in ready if moment), default=now)
    started = min((moment for moment in created if moment), default=finished)
    return RolloutSpan(started=min(started, finished), finished=finished)


def _address(item: Manifest) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _replicas(item: Manifest) -> int:
    return int(item["spec"].get("replicas", 1))


def _runs(item: Manifest) -> bool:
    """Return True if all pods have the current template and are ready."""
    status, replicas = item.get("status") or {}, _replicas(item)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    observed = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    return observed and all(count == replicas for count in counts)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
